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

typedef struct taken {
  _Alignas(ALIGN) struct taken *prev, *next;
  size_t size;  // bytes, this header included
} taken;

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
  taken *taken;       // of fv_arena_take(), newest first
  defer *defers;      // newest first
  fv_arena *parent;   // of a child
  void **slot;        // of a child: where its parent knows it
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

FV_NORETURN static void jump(fv_arena *ar, fv_status s, const char *bug) {
  while (!ar->frame && ar->parent)
    ar = ar->parent;
  // Nobody to report to: the arena was used outside fv_arena_protect(), which
  // is a fault of the calling code that no input can cause.
  if (!ar->frame)
    abort();
  ar->frame->bug = bug;
  longjmp(ar->frame->env, (int)s);
}

FV_NORETURN void fv_arena_exhausted(fv_arena *ar) {
  jump(ar, FV_ERR_OOM, NULL);
}

static void free_blocks(fv_arena *ar, block *b) {
  for (block *next; b; b = next) {
    next = b->next;
    ar->allocator.resize(ar->allocator.user, b, b->size, 0);
  }
}

void fv_arena_destroy(fv_arena *ar) {
  if (!ar)
    return;
  if (ar->slot)
    *ar->slot = NULL;
  // A cleanup may not allocate, but it may look at what the arena holds.
  for (defer *d = ar->defers; d; d = d->next)
    if (d->handle)
      d->fn(d->handle);
  while (ar->taken)
    fv_arena_give(ar, ar->taken + 1);
  free_blocks(ar, ar->blocks);
  const fv_allocator a = ar->allocator;
  a.resize(a.user, ar, sizeof *ar, 0);
}

static void destroy_child(void *ar) {
  fv_arena_destroy(ar);
}

fv_arena *fv_arena_create_child(fv_arena *parent) {
  void **slot = fv_arena_defer(parent, destroy_child);
  fv_arena *ar = fv_arena_create(&parent->allocator);
  if (!ar)
    jump(parent, FV_ERR_OOM, NULL);
  ar->parent = parent;
  ar->slot = slot;
  *slot = ar;
  return ar;
}

// The first block stays, to be used again.
void fv_arena_clear(fv_arena *ar) {
  FV_CHECK(ar, !ar->defers);
  while (ar->taken)
    fv_arena_give(ar, ar->taken + 1);
  block *keep = NULL;
  for (block **b = &ar->blocks; *b && !FV_ARENA_BLOCK; b = &(*b)->next) {
    if ((*b)->size == FIRST_BLOCK) {
      keep = *b;
      *b = keep->next;
      break;
    }
  }
  free_blocks(ar, ar->blocks);
  ar->blocks = keep;
  ar->free = keep ? (char *)(keep + 1) : NULL;
  ar->free_size = keep ? keep->size - sizeof *keep : 0;
  if (keep)
    keep->next = NULL;
  else
    ar->next_block = FIRST_BLOCK;
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

void *fv_arena_take(fv_arena *ar, size_t size) {
  size_t all;
  taken *t = NULL;
  if (fv_add_size(size, sizeof *t, &all))
    t = ar->allocator.resize(ar->allocator.user, NULL, 0, all);
  if (!t)
    jump(ar, FV_ERR_OOM, NULL);
  *t = (taken){.next = ar->taken, .size = all};
  if (ar->taken)
    ar->taken->prev = t;
  ar->taken = t;
  return t + 1;
}

void fv_arena_give(fv_arena *ar, void *p) {
  if (!p)
    return;
  taken *t = (taken *)p - 1;
  if (t->prev)
    t->prev->next = t->next;
  else
    ar->taken = t->next;
  if (t->next)
    t->next->prev = t->prev;
  ar->allocator.resize(ar->allocator.user, t, t->size, 0);
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
