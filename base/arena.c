// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

// Hostile builds give each allocation its own heap block, so that a memory
// checker sees every overrun.
#ifndef FV_ARENA_BLOCK
#define FV_ARENA_BLOCK 0
#endif

#define ALIGN 16
#define FIRST_BLOCK ((size_t)16 << 10)
#define LARGEST_BLOCK ((size_t)1 << 20)

typedef struct block {
  _Alignas(ALIGN) struct block *next;
  size_t size;  // bytes, this header included
} block;

typedef struct defer {
  struct defer *next;
  void (*fn)(void *);
  void *handle;
} defer;

typedef struct frame {
  jmp_buf env;
  struct frame *outer;
  const char *bug;
} frame;

struct fv_arena {
  fv_allocator allocator;
  block *blocks;
  char *free;         // unused part of the current block
  size_t free_size;   // bytes, a multiple of ALIGN
  size_t next_block;  // size of the next one, bytes
  defer *defers;      // newest first
  frame *frame;       // innermost fv_arena_protect()
};

static void *libc_resize(void *user, void *ptr, size_t old_size, size_t size) {
  (void)user;
  (void)old_size;
  if (size == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, size);
}

const fv_allocator fv_allocator_libc = {.resize = libc_resize, .user = NULL};

fv_arena *fv_arena_create(const fv_allocator *a) {
  if (!a)
    a = &fv_allocator_libc;
  fv_arena *ar = a->resize(a->user, NULL, 0, sizeof *ar);
  if (!ar)
    return NULL;
  *ar = (fv_arena){.allocator = *a, .next_block = FIRST_BLOCK};
  return ar;
}

void fv_arena_destroy(fv_arena *ar) {
  if (!ar)
    return;
  // A cleanup may not allocate, but it may look at what the arena holds.
  for (defer *d = ar->defers; d; d = d->next)
    if (d->handle)
      d->fn(d->handle);
  const fv_allocator a = ar->allocator;
  for (block *b = ar->blocks; b;) {
    block *next = b->next;
    a.resize(a.user, b, b->size, 0);
    b = next;
  }
  a.resize(a.user, ar, sizeof *ar, 0);
}

FV_NORETURN static void jump(fv_arena *ar, fv_status s, const char *bug) {
  // Nobody to report to: the arena was used outside fv_arena_protect(), which
  // is a fault of the calling code that no input can cause.
  if (!ar->frame)
    abort();
  ar->frame->bug = bug;
  longjmp(ar->frame->env, (int)s);
}

void fv_arena_bug(fv_arena *ar, const char *what) {
  jump(ar, FV_ERR_INTERNAL, what);
}

static block *new_block(fv_arena *ar, size_t payload) {
  size_t size;
  block *b = NULL;
  if (fv_add_size(payload, sizeof(block), &size))
    b = ar->allocator.resize(ar->allocator.user, NULL, 0, size);
  if (!b)
    jump(ar, FV_ERR_OOM, NULL);
  *b = (block){.next = ar->blocks, .size = size};
  ar->blocks = b;
  return b;
}

void *fv_arena_alloc(fv_arena *ar, size_t size) {
  if (size == 0)
    size = 1;
  if (FV_ARENA_BLOCK)
    return memset(new_block(ar, size) + 1, 0, size);

  size_t rounded;
  if (!fv_add_size(size, ALIGN - 1, &rounded))
    jump(ar, FV_ERR_OOM, NULL);
  rounded &= ~(size_t)(ALIGN - 1);
  if (rounded > ar->free_size) {
    // What is large gets a block of its own; the current one stays in use.
    if (rounded > ar->next_block / 4)
      return memset(new_block(ar, rounded) + 1, 0, rounded);
    const size_t payload = ar->next_block - sizeof(block);
    ar->free = (char *)(new_block(ar, payload) + 1);
    ar->free_size = payload;
    if (ar->next_block < LARGEST_BLOCK)
      ar->next_block *= 2;
  }
  void *p = ar->free;
  ar->free += rounded;
  ar->free_size -= rounded;
  return memset(p, 0, rounded);
}

void *fv_arena_alloc_n(fv_arena *ar, size_t elem, size_t n) {
  size_t size;
  if (!fv_mul_size(elem, n, &size))
    jump(ar, FV_ERR_OOM, NULL);
  return fv_arena_alloc(ar, size);
}

void *fv_arena_dup(fv_arena *ar, const void *p, size_t size) {
  void *q = fv_arena_alloc(ar, size);
  if (size)
    memcpy(q, p, size);
  return q;
}

char *fv_arena_strndup(fv_arena *ar, const char *s, size_t n) {
  n = n ? strnlen(s, n) : 0;
  size_t size;
  if (!fv_add_size(n, 1, &size))
    jump(ar, FV_ERR_OOM, NULL);
  char *q = fv_arena_alloc(ar, size);
  if (n)
    memcpy(q, s, n);
  return q;
}

char *fv_arena_strdup(fv_arena *ar, const char *s) {
  return fv_arena_dup(ar, s, strlen(s) + 1);
}

char *fv_arena_printf(fv_arena *ar, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  const int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  // The jump of a failed allocation skips va_end, which frees nothing on any
  // machine that we know.
  char *s = n < 0 ? NULL : fv_arena_alloc(ar, (size_t)n + 1);
  if (s)
    vsnprintf(s, (size_t)n + 1, fmt, again);
  va_end(again);
  FV_CHECK(ar, s);
  return s;
}

void *fv_arena_grow(fv_arena *ar, void *items, size_t elem, size_t count, size_t *cap) {
  if (count < *cap)
    return items;
  size_t wanted;
  if (!fv_mul_size(count, 2, &wanted))
    jump(ar, FV_ERR_OOM, NULL);
  if (wanted < 8)
    wanted = 8;
  void *grown = fv_arena_alloc_n(ar, elem, wanted);
  if (count)
    memcpy(grown, items, elem * count);
  *cap = wanted;
  return grown;
}

void **fv_arena_defer(fv_arena *ar, void (*fn)(void *)) {
  defer *d = FV_NEW(ar, defer);
  d->fn = fn;
  d->next = ar->defers;
  ar->defers = d;
  return &d->handle;
}

fv_status fv_arena_protect(fv_arena *ar, fv_status (*fn)(void *user), void *user,
                           const char **bug) {
  frame f;
  f.outer = ar->frame;
  f.bug = NULL;
  ar->frame = &f;
  if (bug)
    *bug = NULL;
  // The signal mask is not part of the contract, so the cheap form will do.
  const int jumped = _setjmp(f.env);
  if (jumped == 0) {
    const fv_status s = fn(user);
    ar->frame = f.outer;
    return s;
  }
  ar->frame = f.outer;
  if (bug)
    *bug = f.bug;
  return (fv_status)jumped;
}
