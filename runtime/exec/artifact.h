// SPDX-License-Identifier: Apache-2.0
// runtime/exec/artifact.h - what a compiled model is to the program that uses it.
//
// The code generator emits two things beside the kernels: one constant
// `fv_model_desc` (hidden) and the exported function `NAME_get`:
//
//   const fv_artifact_desc fv_model_desc = {sizeof(fv_artifact_desc), n, "NAME", image, ...};
//   const fv_model_api *NAME_get(void) { return fv_artifact_get(); }
//
// and links the bitcode of runtime/exec, which has fv_artifact_get() and all it
// needs; every symbol but NAME_get becomes internal, so that two models link
// into one program. The table is the same for all models; M.h repeats it with
// the model's own names and adds typed wrappers.
// Threads: the table and everything behind it is constant; no lock, no lazy
// initialisation. One thread at a time uses a context; any number of contexts.
// The child of a fork may use and destroy the contexts that no thread was in when it forked.
#ifndef FOVEA_RUNTIME_EXEC_ARTIFACT_H_
#define FOVEA_RUNTIME_EXEC_ARTIFACT_H_

#include <stdint.h>

#include "fovea/program.h"

// All pointers are valid as long as the library is loaded. Layout is fixed (LP64: byte offsets
// on the right) because the code generator writes it member by member.
typedef struct fv_artifact_desc {
  uint32_t struct_size;             //  0: 80
  uint32_t kernel_count;            //  4: equals the image's kernels.count
  const char *name;                 //  8: the NAME of NAME_get
  const void *image;                // 16: fv_program, 8-byte aligned
  uint64_t image_bytes;             // 24
  const void *constants;            // 32: 64-byte aligned; may be NULL if there are none
  uint64_t const_bytes;             // 40: at least the image's const_bytes
  const fv_cpu_kernel_fn *kernels;  // 48: in the order of the image's kernels; NULL: the program
                                    //     runs on a device of its own
  const char *cpu_features;  // 56: that the code is made of beyond what every CPU of its kind
                             //     has, in LLVM's spelling: "avx2,fma"; "" or NULL: none
  const char *manifest;      // 64: JSON text, or NULL
  const void *reserved;      // 72: NULL
} fv_artifact_desc;

// Statuses of all functions below, and of M.h. 0 is success.
//   X(id, value, text)
#define FV_MODEL_STATUS_TABLE(X)                                         \
  X(OK, 0, "ok")                                                         \
  X(ERR_ARG, 1, "invalid argument")                                      \
  X(ERR_DIM, 2, "a dim is out of its range or does not fit the others")  \
  X(ERR_RUN, 3, "a check of the model failed")                           \
  X(ERR_OOM, 4, "out of memory")                                         \
  X(ERR_DEVICE, 5, "the device failed")                                  \
  X(ERR_IMAGE, 6, "the program image is damaged")                        \
  X(ERR_CPU, 7, "this CPU lacks an instruction set that the code needs") \
  X(ERR_LIMIT, 8, "a limit was exceeded")

enum {
#define X(id, value, text) FV_MODEL_##id = (value),
  FV_MODEL_STATUS_TABLE(X)
#undef X
};

// Calls task(arg, i) for each i in 0..count-1, in any order, on any threads,
// and returns when all have returned.
typedef void (*fv_parallel_for_fn)(void *user, uint32_t count,
                                   void (*task)(void *arg, uint32_t index), void *arg);

typedef struct fv_model_options {
  uint32_t struct_size;
  uint32_t threads;                 // 0 = as many as this process may use; 1 creates none
  fv_parallel_for_fn parallel_for;  // optional: the caller's threads instead of ours
  void *user;                       // for parallel_for
} fv_model_options;

typedef enum fv_model_port { FV_MODEL_INPUT, FV_MODEL_OUTPUT } fv_model_port;

typedef struct fv_model_tensor {  // what the model says of an input or output
  const char *name;
  uint32_t dtype;  // fv_dtype
  uint32_t rank;
} fv_model_tensor;

typedef struct fv_model_symbol {  // a dim that a bind must know
  const char *name;
  int64_t min, max;
} fv_model_symbol;

typedef struct fv_model_state {
  const char *name;
  uint32_t dtype, rank;
  uint32_t members;
  uint32_t reserved;
  int64_t length;    // valid rows, or -1 if the state has no length
  int64_t capacity;  // rows that fit, or -1
} fv_model_state;

typedef struct fv_model_ctx fv_model_ctx;
typedef struct fv_model_api fv_model_api;

// A symbol value that is left to the input dims.
#define FV_MODEL_UNKNOWN INT64_MIN

// Members are only ever appended.
struct fv_model_api {
  uint32_t struct_size;
  uint32_t abi;  // FV_MODEL_ABI
  const fv_artifact_desc *desc;

  // options may be NULL; members that an older caller's lack are 0. On failure *out is NULL and
  // *why (optional) a static sentence or status text.
  int32_t (*create)(const fv_model_api *api, const fv_model_options *options, fv_model_ctx **out,
                    const char **why);
  void (*destroy)(fv_model_ctx *c);  // NULL ok
  const char *(*error)(
      const fv_model_ctx *c);  // sentence for the last failure; "" if none, or NULL
  const char *(*status_text)(int32_t status);

  // What the model has. Indices count from 0; names are unique.
  uint32_t (*entry_count)(const fv_model_api *api);
  const char *(*entry_name)(const fv_model_api *api, uint32_t entry);  // NULL past the end
  uint32_t (*port_count)(const fv_model_api *api, uint32_t entry, fv_model_port kind);
  int32_t (*port)(const fv_model_api *api, uint32_t entry, fv_model_port kind, uint32_t index,
                  fv_model_tensor *out);
  uint32_t (*symbol_count)(const fv_model_api *api, uint32_t entry);
  int32_t (*symbol)(const fv_model_api *api, uint32_t entry, uint32_t index, fv_model_symbol *out);

  // Below, a context that is NULL is FV_MODEL_ERR_ARG.
  // Fixes the sizes of the next runs of an entry. `symbols`: one value each in
  // the order of symbol(), or NULL; `input_dims`: per input its dims, or NULL.
  // What one leaves open the other must give; if both speak they must agree.
  // Binding again with equal values costs next to nothing.
  int32_t (*bind)(fv_model_ctx *c, uint32_t entry, const int64_t *symbols,
                  const int64_t *const *input_dims);
  // Dims of a port after bind (outputs: an upper bound where they depend on
  // data), and after a run (as they are).
  int32_t (*dims)(const fv_model_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                  int64_t *out_dims);
  int32_t (*bytes)(const fv_model_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                   int64_t *out_bytes);
  int64_t (*workspace_bytes)(const fv_model_ctx *c);  // held by the context, states apart

  // Row-major tensors of the bound dims; pointers aligned to their element. An output that is
  // NULL (or all of them, where `outputs` is) is not wanted. One that overlaps an input or
  // another output of the run is refused.
  // On failure the states are as before and outputs are undefined.
  int32_t (*run)(fv_model_ctx *c, uint32_t entry, const void *const *inputs, void *const *outputs);

  // States. fork: a new context with equal states. save with data == NULL tells
  // the size; load takes what save of the same model gave.
  int32_t (*reset)(fv_model_ctx *c);
  int32_t (*fork)(fv_model_ctx *c, fv_model_ctx **out);
  int32_t (*save)(fv_model_ctx *c, void *data, uint64_t capacity, uint64_t *out_bytes);
  int32_t (*load)(fv_model_ctx *c, const void *data, uint64_t bytes);
  uint32_t (*state_count)(const fv_model_api *api);
  int32_t (*state)(const fv_model_ctx *c, uint32_t index, fv_model_state *out);
};

#define FV_MODEL_ABI (1u << 16 | 0u)

// In artifacts: the table of fv_model_desc. (Bitcode only.) A note called FOVEA keeps room for the
// seal of the library, see runtime/library.h.
const fv_model_api *fv_artifact_get(void);
extern const fv_artifact_desc fv_model_desc __attribute__((visibility("hidden")));

// In this process: a table for kernels compiled in memory. `desc` and `out`
// must outlive every context.
void fv_artifact_api(const fv_artifact_desc *desc, fv_model_api *out);

// The same for a program that runs on a device of its own, of which the desc has no kernels:
// contexts are made here, not by create. `ops` is copied, `dev` stays the caller's.
int32_t fv_artifact_create_on(const fv_model_api *api, const fv_device_ops *ops, void *dev,
                              fv_model_ctx **out, const char **why);

#endif  // FOVEA_RUNTIME_EXEC_ARTIFACT_H_
