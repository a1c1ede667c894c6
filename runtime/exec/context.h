// SPDX-License-Identifier: Apache-2.0
// runtime/exec/context.h - inside of a run context; shared by exec's files.
#ifndef FOVEA_RUNTIME_EXEC_CONTEXT_H_
#define FOVEA_RUNTIME_EXEC_CONTEXT_H_

#include <stdbool.h>

#include "runtime/exec/exec.h"

typedef struct exec_state {
  void *object[2];     // current, next (the same unless double-buffered)
  int64_t bytes;       // of all members
  bool written;        // by the run at hand, so commit swaps
} exec_state;

struct fv_exec {
  const fv_program *p;
  const fv_device_ops *ops;
  void *dev;
  void *constants;     // object of the device
  bool own_constants;
  exec_state *state;
  int64_t *length;     // by symbol: state lengths
  // The bound entry.
  const fv_prog_entry *e;
  int64_t *slot;
  int64_t *bound;      // the symbol values it was bound with
  fv_memref *place;    // per buffer
  fv_memref *start;    // per buffer, as planned (SWAP moves `place`)
  void *arena;
  int64_t arena_bytes;
  void **in_object, **out_object;  // devices with memory of their own
  int64_t *in_bytes, *out_bytes;
  int64_t (*in_dims)[FV_MAX_RANK], (*out_dims)[FV_MAX_RANK];
  uint64_t empty[8];   // stands for inputs without elements
  char error[512];
};

// Rows of a table of the image.
static inline const void *exec_at(const fv_program *p, fv_table t) {
  return (const char *)p + t.offset;
}
#define EXEC_ROWS(p, table, type) ((const type *)exec_at((p), (table)))

int exec_fail(fv_exec *x, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *exec_string(const fv_program *p, uint32_t offset);

// plan.c: offsets of the arena buffers of the bound entry; returns the size or
// -1 when a size is out of range.
int64_t exec_plan(fv_exec *x);

// Runs instructions [from, to) of the entry.
int exec_instructions(fv_exec *x, uint32_t from, uint32_t to);
int64_t exec_scalar(uint16_t op, int64_t a, int64_t b, int64_t c);

#endif  // FOVEA_RUNTIME_EXEC_CONTEXT_H_
