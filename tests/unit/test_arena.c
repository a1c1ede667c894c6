// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include "tests/unit/unit.h"

static void gives_zeroed_aligned_memory(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  // Sizes around block boundaries, and of several blocks.
  for (size_t size = 0; size < 70000; size = size * 5 / 4 + 1) {
    for (int i = 0; i < 4; i++) {
      unsigned char *p = fv_arena_alloc(ar, size);
      assert_int_equal((uintptr_t)p % 16, 0);
      for (size_t k = 0; k < size; k++)
        assert_int_equal(p[k], 0);
      if (size)
        memset(p, 0xAA, size);
    }
  }
  fv_arena_destroy(ar);
  fv_arena_destroy(NULL);
}

static void empty_allocations_are_distinct(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  void *a = fv_arena_alloc(ar, 0), *b = fv_arena_alloc_n(ar, 0, 7);
  assert_non_null(a);
  assert_non_null(b);
  assert_ptr_not_equal(a, b);
  fv_arena_destroy(ar);
}

static void allocations_do_not_overlap(void **state) {
  (void)state;
  enum { n = 2000 };
  static unsigned char *p[n];
  static size_t size[n];
  fv_arena *ar = fv_arena_create(NULL);
  unsigned seed = 1;
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1103515245u + 12345u;
    size[i] = (seed >> 16) % (i % 97 == 0 ? 40000 : 300);
    p[i] = fv_arena_alloc(ar, size[i]);
    memset(p[i], (int)(i & 0xFF), size[i]);
  }
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < size[i]; k++)
      assert_int_equal(p[i][k], i & 0xFF);
  fv_arena_destroy(ar);
}

static void copies_and_prints(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  assert_string_equal(fv_arena_strdup(ar, "abc"), "abc");
  assert_string_equal(fv_arena_strndup(ar, "abc", 2), "ab");
  assert_string_equal(fv_arena_strndup(ar, "abc", 100), "abc");
  assert_string_equal(fv_arena_strndup(ar, NULL, 0), "");
  assert_memory_equal(fv_arena_dup(ar, "a\0b", 3), "a\0b", 3);
  assert_non_null(fv_arena_dup(ar, NULL, 0));
  assert_string_equal(fv_arena_printf(ar, "%s-%d", "x", 42), "x-42");
  assert_int_equal(strlen(fv_arena_printf(ar, "%50000d", 1)), 50000);
  fv_arena_destroy(ar);
}

static void grows_arrays(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  int *items = NULL;
  size_t count = 0, cap = 0;
  for (int i = 0; i < 10000; i++)
    FV_PUSH(ar, items, count, cap, i);
  assert_int_equal(count, 10000);
  assert_true(cap >= count);
  for (int i = 0; i < 10000; i++)
    assert_int_equal(items[i], i);
  fv_arena_destroy(ar);
}

static void what_is_given_back_is_gone(void **state) {
  (void)state;
  counting_allocator c = {.fail_at = 0};
  const fv_allocator a = counting_of(&c);
  fv_arena *ar = fv_arena_create(&a);
  enum { n = 64 };
  unsigned char *p[n];
  const size_t before = c.live_blocks;
  for (int i = 0; i < n; i++) {
    p[i] = fv_arena_take(ar, (size_t)i * 100);
    assert_int_equal((uintptr_t)p[i] % 16, 0);
    memset(p[i], i, (size_t)i * 100);
  }
  for (int i = 0; i < n; i += 2)  // from the middle, and then the ends
    fv_arena_give(ar, p[i]);
  for (int i = 1; i < n; i += 2) {
    for (int k = 0; k < i * 100; k++)
      assert_int_equal(p[i][k], i);
    if (i % 4 == 1)
      fv_arena_give(ar, p[i]);
  }
  fv_arena_give(ar, NULL);
  assert_int_equal(c.live_blocks, before + n / 4);
  fv_arena_destroy(ar);
  assert_int_equal(c.live_blocks, 0);
}

static void a_child_is_used_again_and_again(void **state) {
  (void)state;
  counting_allocator c = {.fail_at = 0};
  const fv_allocator a = counting_of(&c);
  fv_arena *ar = fv_arena_create(&a);
  fv_arena *child = fv_arena_create_child(ar), *left = fv_arena_create_child(ar);
  size_t most = 0;
  for (int round = 0; round < 100; round++) {
    for (size_t size = 1; size < 40000; size = size * 3 + 1) {
      const unsigned char *p = fv_arena_alloc(child, size);
      for (size_t k = 0; k < size; k++)
        assert_int_equal(p[k], 0);
      memset((void *)(uintptr_t)p, 0xAA, size);
    }
    fv_arena_take(child, 10);
    if (round == 0)
      most = c.live_bytes;
    assert_true(c.live_bytes <= most + 4096);
    fv_arena_clear(child);
  }
  fv_arena_alloc(left, 100);  // goes with the parent
  fv_arena_destroy(child);
  fv_arena_destroy(ar);
  assert_int_equal(c.live_blocks, 0);
}

typedef struct trace {
  char text[16];
  size_t n;
} trace;
static trace freed;

static void note_freed(void *handle) {
  freed.text[freed.n++] = *(const char *)handle;
}

static void cleanups_run_newest_first(void **state) {
  (void)state;
  freed = (trace){.n = 0};
  fv_arena *ar = fv_arena_create(NULL);
  static char a = 'a', b = 'b', c = 'c';
  *fv_arena_defer(ar, note_freed) = &a;
  *fv_arena_defer(ar, note_freed) = &b;
  (void)fv_arena_defer(ar, note_freed);  // never filled: not called
  *fv_arena_defer(ar, note_freed) = &c;
  fv_arena_destroy(ar);
  assert_string_equal(freed.text, "cba");
}

typedef struct protected_call {
  fv_arena *ar;
  int what;
  size_t size;
} protected_call;

static fv_status run_protected(void *user) {
  protected_call *p = user;
  switch (p->what) {
  case 0: return FV_OK;
  case 1: return FV_ERR_TYPE;
  case 2: FV_CHECK(p->ar, 1 + 1 == 3); return FV_OK;
  case 3: fv_arena_alloc(p->ar, p->size); return FV_OK;
  case 4: fv_arena_alloc_n(p->ar, SIZE_MAX / 2, 3); return FV_OK;
  default: {
    protected_call inner = {.ar = p->ar, .what = p->what - 10};
    const fv_status s = fv_arena_protect(p->ar, run_protected, &inner, NULL);
    assert_int_equal(s, FV_ERR_INTERNAL);
    return FV_ERR_ABI;
  }
  }
}

static void protect_returns_the_status(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  const char *bug = "untouched";
  protected_call p = {.ar = ar};
  assert_int_equal(fv_arena_protect(ar, run_protected, &p, &bug), FV_OK);
  assert_null(bug);
  p.what = 1;
  assert_int_equal(fv_arena_protect(ar, run_protected, &p, NULL), FV_ERR_TYPE);
  p.what = 2;
  assert_int_equal(fv_arena_protect(ar, run_protected, &p, &bug), FV_ERR_INTERNAL);
  assert_non_null(bug);
  assert_non_null(strstr(bug, "1 + 1 == 3"));
  assert_non_null(strstr(bug, "test_arena.c:"));
  // The inner call catches; the outer one goes on.
  p.what = 12;
  assert_int_equal(fv_arena_protect(ar, run_protected, &p, &bug), FV_ERR_ABI);
  assert_null(bug);
  fv_arena_destroy(ar);
}

static void sizes_that_overflow_are_out_of_memory(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX - 40};
  for (size_t i = 0; i < FV_COUNTOF(sizes); i++) {
    counting_allocator c = {.fail_at = 2, .persistent = true};
    const fv_allocator a = counting_of(&c);
    fv_arena *small = fv_arena_create(&a);
    protected_call p = {.ar = small, .what = 3, .size = sizes[i]};
    assert_int_equal(fv_arena_protect(small, run_protected, &p, NULL), FV_ERR_OOM);
    fv_arena_destroy(small);
  }
  protected_call p = {.ar = ar, .what = 4};
  assert_int_equal(fv_arena_protect(ar, run_protected, &p, NULL), FV_ERR_OOM);
  // The arena is still of use.
  assert_non_null(fv_arena_alloc(ar, 10));
  fv_arena_destroy(ar);
}

static size_t handles;
static void drop_handle(void *handle) {
  (void)handle;
  handles--;
}

static fv_status busy(void *user) {
  fv_arena *ar = user;
  int *items = NULL;
  size_t count = 0, cap = 0;
  for (int i = 0; i < 20000; i++) {
    FV_PUSH(ar, items, count, cap, i);
    if (i % 1000 == 0) {
      void **slot = fv_arena_defer(ar, drop_handle);
      handles++;
      *slot = &handles;
      fv_arena_printf(ar, "%d of %s", i, "many");
      fv_arena *child = fv_arena_create_child(ar);
      fv_arena_give(child, fv_arena_take(child, 3));
      fv_arena_take(ar, 40000);
      fv_arena_alloc(child, 40000);
      if (i % 2000 == 0)
        fv_arena_destroy(child);
    }
  }
  return FV_OK;
}

// Fails allocation 1, 2, 3, ... until the work succeeds; nothing may leak.
static void every_allocation_may_fail(void **state) {
  const bool persistent = *(const bool *)*state;
  size_t n = 1;
  for (;; n++) {
    counting_allocator c = {.fail_at = n, .persistent = persistent};
    const fv_allocator a = counting_of(&c);
    fv_arena *ar = fv_arena_create(&a);
    fv_status s = FV_ERR_OOM;
    if (ar)
      s = fv_arena_protect(ar, busy, ar, NULL);
    fv_arena_destroy(ar);
    assert_int_equal(c.live_blocks, 0);
    assert_int_equal(c.live_bytes, 0);
    assert_int_equal(handles, 0);
    if (s == FV_OK)
      break;
    assert_int_equal(s, FV_ERR_OOM);
  }
  assert_true(n > 5);
}

int main(void) {
  static bool once = false, persistent = true;

  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_zeroed_aligned_memory),
      cmocka_unit_test(empty_allocations_are_distinct),
      cmocka_unit_test(allocations_do_not_overlap),
      cmocka_unit_test(copies_and_prints),
      cmocka_unit_test(grows_arrays),
      cmocka_unit_test(what_is_given_back_is_gone),
      cmocka_unit_test(a_child_is_used_again_and_again),
      cmocka_unit_test(cleanups_run_newest_first),
      cmocka_unit_test(protect_returns_the_status),
      cmocka_unit_test(sizes_that_overflow_are_out_of_memory),
      {"allocation n fails", every_allocation_may_fail, NULL, NULL, &once},
      {"allocations fail from n on", every_allocation_may_fail, NULL, NULL, &persistent},
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
