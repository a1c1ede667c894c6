// SPDX-License-Identifier: Apache-2.0
// runtime/exec/exec.h - runs the host program of an image.
//
// This folder is freestanding C: it includes fovea/program.h and its own
// headers, and calls libc (libc.h) only. It is compiled natively into
// libfovea-rt and, as bitcode, into every artifact.
//
// An fv_exec_image is a checked view of an image: constant, shared by any
// number of contexts. A context holds states, workspace and what is bound; one
// thread at a time uses it. Statuses are those of artifact.h.
#ifndef FOVEA_RUNTIME_EXEC_EXEC_H_
#define FOVEA_RUNTIME_EXEC_EXEC_H_

#include <stdbool.h>
#include <stddef.h>

#include "fovea/sized.h"
#include "runtime/exec/artifact.h"

//===-- Images ------------------------------------------------------------===//

typedef struct fv_exec_image {
  const unsigned char *base;
  const fv_program *head;
  const fv_prog_symbol *symbol;
  const fv_prog_state *state;
  const fv_prog_kernel *kernel;
  const uint32_t *site;
  const fv_prog_entry *entry;
} fv_exec_image;

// Checks everything that the interpreter relies on. `image` is 8-byte aligned
// and stays. On failure *why (optional) is a static sentence.
int32_t fv_exec_open(const void *image, uint64_t size, fv_exec_image *out, const char **why);

// The view of an image that was checked before.
fv_exec_image fv_exec_view(const void *image);

static inline const void *fv_exec_table(const fv_exec_image *im, fv_table t) {
  return im->base + t.offset;
}
static inline const char *fv_exec_string(const fv_exec_image *im, uint32_t offset) {
  return (const char *)im->base + offset;
}
int64_t fv_exec_dtype_size(uint32_t dtype);  // bytes
char fv_exec_dtype_kind(uint32_t dtype);     // f i u b, see fovea/dtype.h

// Number of the entry of that name, or -1.
int32_t fv_exec_find_entry(const fv_exec_image *im, const char *name);

//===-- Contexts ----------------------------------------------------------===//

typedef struct fv_exec_options {
  const void *constants;     // host memory, 64-byte aligned; stays
  uint64_t const_bytes;      // at least the image's
  const fv_device_ops *ops;  // copied
  void *dev;                 // passed to ops; not owned
  int64_t max_bytes;         // of workspace and states each; 0 = 2^46
  uint64_t max_steps;        // host instructions of one run; 0 = no limit
} fv_exec_options;

typedef struct fv_exec_ctx fv_exec_ctx;

// `image` is copied (the view, not the bytes).
int32_t fv_exec_create(const fv_exec_image *image, const fv_exec_options *options,
                       fv_exec_ctx **out);
void fv_exec_destroy(fv_exec_ctx *c);             // NULL ok
const char *fv_exec_error(const fv_exec_ctx *c);  // of the last failure; "" if none
const fv_exec_image *fv_exec_image_of(const fv_exec_ctx *c);

// As bind, dims, bytes, run of fv_model_api. A run whose state lengths have
// changed since the bind repeats it by itself, unless the dims of an output
// change: then it fails and wants a bind.
int32_t fv_exec_bind(fv_exec_ctx *c, uint32_t entry, const int64_t *symbols,
                     const int64_t *const *input_dims);
int32_t fv_exec_dims(const fv_exec_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                     int64_t *out);
int32_t fv_exec_bytes(const fv_exec_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                      int64_t *out);
int64_t fv_exec_workspace(const fv_exec_ctx *c);
int32_t fv_exec_run(fv_exec_ctx *c, uint32_t entry, const void *const *inputs,
                    void *const *outputs);

//===-- States ------------------------------------------------------------===//

// All states become zero and their lengths 0; their dims may then change.
int32_t fv_exec_reset(fv_exec_ctx *c);
int32_t fv_exec_save(fv_exec_ctx *c, void *data, uint64_t capacity, uint64_t *out_bytes);
int32_t fv_exec_load(fv_exec_ctx *c, const void *data, uint64_t bytes);
int32_t fv_exec_state(const fv_exec_ctx *c, uint32_t index, fv_model_state *out);

//===-- Planning (plan.c) -------------------------------------------------===//

typedef struct fv_plan_item {
  int64_t bytes;         // >= 0
  uint32_t first, last;  // lifetime, inclusive
  int64_t offset;        // out: multiple of 64
} fv_plan_item;

// Assigns offsets to the items so that no two that live at the same time overlap; each gets
// at least 64 bytes. Greedy, largest first, lowest gap. `order` has 2 * n
// entries of workspace. Returns the bytes of the whole, or -1 on overflow.
int64_t fv_plan_arena(fv_plan_item *item, uint32_t n, uint32_t *order);

#endif  // FOVEA_RUNTIME_EXEC_EXEC_H_
