// SPDX-License-Identifier: Apache-2.0
// Memory and launches: an object knows its size, so the interpreter of kernel IR
// can tell an access outside of it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter.h"
#include "ir/kernel/kernel.h"

typedef struct object {
  int64_t bytes;
  max_align_t data[];
} object;

typedef struct queue {
  const fv_kernels *set;
  char error[256];
} queue;

static char *address(fv_memref m) {
  return (char *)((object *)m.object)->data + m.offset;
}

static int32_t fail(queue *q, const char *text, const char *kernel) {
  snprintf(q->error, sizeof q->error, "%s%s%s", text, kernel ? " in " : "", kernel ? kernel : "");
  return -1;
}

//===-- Memory --------------------------------------------------------------===//

static void *allocate(void *dev, int64_t bytes) {
  (void)dev;
  size_t size;
  if (bytes < 0 || __builtin_add_overflow((size_t)bytes, sizeof(object), &size))
    return NULL;
  object *o = malloc(size);
  if (o)
    o->bytes = bytes;
  return o;
}

static void release(void *dev, void *o, int64_t bytes) {
  (void)dev;
  (void)bytes;
  free(o);
}

static bool inside(fv_memref m, int64_t bytes) {
  const int64_t size = ((object *)m.object)->bytes;
  return m.offset >= 0 && m.offset <= size && bytes >= 0 && bytes <= size - m.offset;
}

static int32_t copy(void *dev, fv_memref dst, fv_memref src, int64_t bytes) {
  if (!inside(dst, bytes) || !inside(src, bytes))
    return fail(dev, "a copy leaves its buffer", NULL);
  memmove(address(dst), address(src), (size_t)bytes);
  return 0;
}

static int32_t zero(void *dev, fv_memref dst, int64_t bytes) {
  if (!inside(dst, bytes))
    return fail(dev, "a fill leaves its buffer", NULL);
  memset(address(dst), 0, (size_t)bytes);
  return 0;
}

static int32_t write_bytes(void *dev, fv_memref dst, const void *src, int64_t bytes) {
  if (!inside(dst, bytes))
    return fail(dev, "a write leaves its buffer", NULL);
  memcpy(address(dst), src, (size_t)bytes);
  return 0;
}

static int32_t read_bytes(void *dev, void *dst, fv_memref src, int64_t bytes) {
  if (!inside(src, bytes))
    return fail(dev, "a read leaves its buffer", NULL);
  memcpy(dst, address(src), (size_t)bytes);
  return 0;
}

//===-- Launches ------------------------------------------------------------===//

typedef struct job {
  const fv_kernel_code *code;
  fv_arena *arena;
  const fv_memref *buf;
  const int64_t *scalar;
  int64_t blocks, scratch_bytes;
  int32_t result;
} job;

static fv_status run(void *user) {
  job *j = user;
  const uint32_t n = j->code->n_global;
  void **base = FV_NEW_N(j->arena, void *, n);
  int64_t *bytes = FV_NEW_N(j->arena, int64_t, n);
  for (uint32_t i = 0; i < n; i++) {
    base[i] = address(j->buf[i]);
    bytes[i] = ((object *)j->buf[i].object)->bytes - j->buf[i].offset;
  }
  void *scratch = fv_arena_alloc(j->arena, (size_t)j->scratch_bytes);
  const fv_kmemory memory = {base, bytes, scratch, j->scratch_bytes};
  j->result = fv_kernel_interpret_in(j->code, j->arena, &memory, j->scalar, 0, j->blocks);
  return FV_OK;
}

static int32_t launch(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                      uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                      int64_t scratch_bytes) {
  queue *q = dev;
  (void)n_scalar;
  if (blocks <= 0)
    return 0;
  if (kernel >= q->set->count || n_buf != q->set->code[kernel]->n_global)
    return fail(q, "a launch of another program", NULL);
  job j = {.code = q->set->code[kernel],
           .arena = fv_arena_create(NULL),
           .buf = buf,
           .scalar = scalar,
           .blocks = blocks,
           .scratch_bytes = scratch_bytes};
  const fv_status s = j.arena ? fv_arena_protect(j.arena, run, &j, NULL) : FV_ERR_OOM;
  fv_arena_destroy(j.arena);
  if (s != FV_OK)
    return fail(q, "out of memory", NULL);
  switch (j.result) {
  case FV_K_OUTSIDE: return fail(q, "an access outside of a buffer", j.code->name);
  case FV_K_RACE: return fail(q, "a race of work-items", j.code->name);
  case FV_K_APART: return fail(q, "a barrier that not all work-items come to", j.code->name);
  default: return j.result;
  }
}

static const char *error_of(void *dev) {
  return ((queue *)dev)->error;
}

const fv_device_ops *interpreter_queue(fv_kernels *k, fv_report *r, void **out_dev) {
  static const fv_device_ops ops = {.struct_size = sizeof ops,
                                    .host_memory = 0,
                                    .alloc = allocate,
                                    .free = release,
                                    .launch = launch,
                                    .copy = copy,
                                    .zero = zero,
                                    .write = write_bytes,
                                    .read = read_bytes,
                                    .error = error_of};
  queue *q = calloc(1, sizeof *q);
  *out_dev = q;
  if (!q) {
    k->host->error(r, FV_PLUGIN_OOM, "out of memory");
    return NULL;
  }
  q->set = k;
  return &ops;
}

void interpreter_destroy(void *dev) {
  free(dev);
}
