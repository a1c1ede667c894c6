// SPDX-License-Identifier: Apache-2.0
// base/arena.h - memory of a compile: allocated piecewise, released at once.
//
// Exhaustion and broken invariants jump to the innermost fv_arena_protect() of
// the same arena, which turns them into a status. So no compile-time code
// checks for NULL, and no jump ever leaves the library: every public entry
// point runs its body under fv_arena_protect(). The frames jumped over own
// nothing but arena memory; foreign handles hang on fv_arena_defer(). Code of
// plugins is never jumped over.
// Thread-compatible: one arena is used by one thread at a time.
#ifndef FOVEA_BASE_ARENA_H_
#define FOVEA_BASE_ARENA_H_

#include "base/base.h"

// Host allocator. size == 0 frees. old_size is always exact, in bytes.
typedef struct fv_allocator {
  void *(*resize)(void *user, void *ptr, size_t old_size, size_t size);
  void *user;
} fv_allocator;

extern const fv_allocator fv_allocator_libc;

typedef struct fv_arena fv_arena;

// NULL allocator = libc. Returns NULL when out of memory.
fv_arena *fv_arena_create(const fv_allocator *a);
void fv_arena_destroy(fv_arena *ar);  // runs deferred cleanups, newest first; NULL ok

// Zeroed, 16-byte aligned. Never returns NULL (see above). Size 0 gives a
// valid unique pointer.
void *fv_arena_alloc(fv_arena *ar, size_t size);
void *fv_arena_alloc_n(fv_arena *ar, size_t elem, size_t n);  // checked product
void *fv_arena_dup(fv_arena *ar, const void *p, size_t size);
char *fv_arena_strndup(fv_arena *ar, const char *s, size_t n);
char *fv_arena_strdup(fv_arena *ar, const char *s);
char *fv_arena_printf(fv_arena *ar, const char *fmt, ...) FV_PRINTF(2, 3);

#define FV_NEW(ar, T) ((T *)fv_arena_alloc((ar), sizeof(T)))
#define FV_NEW_N(ar, T, n) ((T *)fv_arena_alloc_n((ar), sizeof(T), (size_t)(n)))

// Growable array in an arena: makes room for `count + 1` elements, doubling.
//   FV_PUSH(ar, v->items, v->count, v->cap, item);
void *fv_arena_grow(fv_arena *ar, void *items, size_t elem, size_t count, size_t *cap);
#define FV_PUSH(ar, items, count, cap, item)                                         \
  ((items) = fv_arena_grow((ar), (items), sizeof *(items), (size_t)(count), &(cap)), \
   (items)[(count)++] = (item))

// Memory that may go before the arena does: not zeroed, aligned as above.
void *fv_arena_take(fv_arena *ar, size_t size);
void fv_arena_give(fv_arena *ar, void *p);  // of fv_arena_take() of this arena; NULL ok

// An arena for what is needed for a while only. It dies with its parent or before it,
// and jumps to the parent's fv_arena_protect().
fv_arena *fv_arena_create_child(fv_arena *parent);
void fv_arena_clear(fv_arena *ar);  // all allocations go; deferred cleanups are not for it

// Reserves a cleanup slot; store a foreign handle in it right after creating
// the handle. Non-NULL slots get fn(handle) when the arena dies.
void **fv_arena_defer(fv_arena *ar, void (*fn)(void *));

// Runs fn(user); returns its status, ERR_OOM if memory ran out, ERR_INTERNAL
// on a failed FV_CHECK (then *bug, optional, names it; static storage).
FV_NODISCARD fv_status fv_arena_protect(fv_arena *ar, fv_status (*fn)(void *user), void *user,
                                        const char **bug);

// Memory ran out that is not the arena's.
FV_NORETURN void fv_arena_exhausted(fv_arena *ar);

// A broken invariant of our own code: never for bad input.
FV_NORETURN void fv_arena_bug(fv_arena *ar, const char *what);
#define FV_STRINGIFY_(x) #x
#define FV_STRINGIFY(x) FV_STRINGIFY_(x)
#define FV_CHECK(ar, cond) \
  ((cond) ? (void)0 : fv_arena_bug((ar), __FILE__ ":" FV_STRINGIFY(__LINE__) ": " #cond))

#endif  // FOVEA_BASE_ARENA_H_
