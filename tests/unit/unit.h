// SPDX-License-Identifier: Apache-2.0
// tests/unit/unit.h - what all unit tests include: cmocka, an allocator that
// counts and fails, a sink that collects, a scratch folder.
#ifndef FOVEA_TESTS_UNIT_UNIT_H_
#define FOVEA_TESTS_UNIT_UNIT_H_

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/diag.h"
#include "tests/scratch.h"

// Counts what lives, and fails allocation number fail_at (1-based, 0 = none),
// once or from then on.
typedef struct counting_allocator {
  size_t calls, fail_at, live_blocks, live_bytes;
  bool persistent;
} counting_allocator;

static inline void *counting_resize(void *user, void *ptr, size_t old_size, size_t size) {
  counting_allocator *c = user;
  if (size == 0) {
    if (ptr) {
      c->live_blocks--;
      c->live_bytes -= old_size;
      free(ptr);
    }
    return NULL;
  }
  c->calls++;
  if (c->fail_at && (c->calls == c->fail_at || (c->persistent && c->calls > c->fail_at)))
    return NULL;
  void *p = realloc(ptr, size);
  assert_non_null(p);
  c->live_blocks += ptr == NULL;
  c->live_bytes += size - old_size;
  return p;
}

static inline fv_allocator counting_of(counting_allocator *c) {
  return (fv_allocator){.resize = counting_resize, .user = c};
}

// Appends "severity code text\n" of each diagnostic.
typedef struct collected {
  char text[8192];
} collected;

static inline void collect(void *user, const fv_diag *d) {
  collected *c = user;
  const size_t n = strlen(c->text);
  snprintf(c->text + n, sizeof c->text - n, "%d %d %s\n", (int)d->severity, (int)d->code, d->text);
}

#define COLLECTING_SINK(c) ((fv_diag_sink){.emit = collect, .user = (c)})

// An arena, and a sink that keeps what it is told; what a group of tests has besides stands behind
// it in a struct that begins with this one.
typedef struct unit_env {
  fv_arena *arena;
  fv_diag_sink diag;
  collected log;
} unit_env;

static inline void *unit_set_up(size_t size) {
  unit_env *e = calloc(1, size);
  assert_non_null(e);
  e->arena = fv_arena_create(NULL);
  assert_non_null(e->arena);
  e->diag = COLLECTING_SINK(&e->log);
  return e;
}

static inline int unit_tear_down(void **state) {
  unit_env *e = *state;
  fv_arena_destroy(e->arena);
  free(e);
  return 0;
}

// A new folder; its name is in static storage.
static inline const char *scratch_dir(void) {
  const char *path = scratch_folder();
  assert_non_null(path);
  return path;
}

#endif  // FOVEA_TESTS_UNIT_UNIT_H_
