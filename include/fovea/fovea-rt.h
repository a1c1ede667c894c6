// SPDX-License-Identifier: Apache-2.0
// fovea/fovea-rt.h - loads and runs compiled models by name (libfovea-rt).
//
//   fv_rt_error err;  fv_rt_model *m;  fv_rt_context *c;
//   if (fv_rt_load("libminilm.so", &m, &err) || fv_rt_create(m, NULL, &c, &err))
//     fprintf(stderr, "%s\n", err.text);
//   fv_rt_tensor in = {.name = "ids", .dtype = FV_i64, .rank = 2, .dim = {1, 8}, .data = ids};
//   fv_rt_tensor out[1] = {0};
//   fv_rt_run(c, "main", &in, 1, NULL, 0, out, 1, &err);
//
// A program that knows its model at compile time needs none of this: M.h and
// libM.so are enough. libfovea-rt needs libc only. It prints nothing; errors
// are a status and a text. Threads: a model is immutable and may be shared, a
// context is used by one thread at a time; the model outlives its contexts.
// The child of a fork may use and destroy the contexts that no thread was in when it forked.
#ifndef FOVEA_FOVEA_RT_H_
#define FOVEA_FOVEA_RT_H_

#include <stddef.h>
#include <stdint.h>

#include "fovea/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FV_RT_API __attribute__((visibility("default")))

// 0 is success. The values of compiled models are passed on as they are.
enum {
  FV_RT_OK = 0,
  FV_RT_ERR_ARG = 1,     // invalid argument
  FV_RT_ERR_DIM = 2,     // a dim is out of its range or does not fit the others
  FV_RT_ERR_RUN = 3,     // a check of the model failed
  FV_RT_ERR_OOM = 4,     // out of memory
  FV_RT_ERR_DEVICE = 5,  // the device failed
  FV_RT_ERR_IMAGE = 6,   // the library is damaged
  FV_RT_ERR_CPU = 7,     // this CPU lacks an instruction set that the code needs
  FV_RT_ERR_LIMIT = 8,   // a limit was exceeded
  FV_RT_ERR_FILE = 9,    // the file cannot be read, or is no compiled model
  FV_RT_ERR_ABI = 10     // made by another version of fovea, or for another machine
};

typedef struct fv_rt_error {
  char text[512];
} fv_rt_error;

typedef struct fv_rt_model fv_rt_model;
typedef struct fv_rt_context fv_rt_context;

//===-- Models ------------------------------------------------------------===//

// The file is looked at before it is loaded: a whole ELF library for this machine that exports
// NAME_get alone and is as it was made, but for what strip takes away. What is loaded is the file
// that was looked at, even if another one takes its path meanwhile. err may be NULL here and below.
FV_RT_API int32_t fv_rt_load(const char *path, fv_rt_model **out, fv_rt_error *err);
FV_RT_API void fv_rt_unload(fv_rt_model *m);  // NULL ok

FV_RT_API const char *fv_rt_name(const fv_rt_model *m);
FV_RT_API const char *fv_rt_manifest(const fv_rt_model *m);  // JSON text, or ""
FV_RT_API uint32_t fv_rt_entry_count(const fv_rt_model *m);
FV_RT_API const char *fv_rt_entry_name(const fv_rt_model *m, uint32_t entry);  // NULL past the end
FV_RT_API int32_t fv_rt_find_entry(const fv_rt_model *m, const char *name);    // -1: none

typedef struct fv_rt_port {
  const char *name;
  fv_dtype dtype;
  int rank;
} fv_rt_port;
FV_RT_API uint32_t fv_rt_input_count(const fv_rt_model *m, uint32_t entry);
FV_RT_API uint32_t fv_rt_output_count(const fv_rt_model *m, uint32_t entry);
FV_RT_API int32_t fv_rt_input(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_port *out);
FV_RT_API int32_t fv_rt_output(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_port *out);

// A dim that a run must know: from the shapes of the inputs, or given.
typedef struct fv_rt_symbol {
  const char *name;
  int64_t min, max;
} fv_rt_symbol;
FV_RT_API uint32_t fv_rt_symbol_count(const fv_rt_model *m, uint32_t entry);
FV_RT_API int32_t fv_rt_symbol_at(const fv_rt_model *m, uint32_t entry, uint32_t i,
                                  fv_rt_symbol *out);

//===-- Contexts ----------------------------------------------------------===//

typedef struct fv_rt_options {
  uint32_t struct_size;  // sizeof(fv_rt_options); members of newer versions must be 0
  uint32_t threads;      // 0 = as many as this process may use; 1 creates none
  // optional: the caller's threads. Calls task(arg, i) for each i < count and
  // returns when all have returned.
  void (*parallel_for)(void *user, uint32_t count, void (*task)(void *arg, uint32_t i), void *arg);
  void *user;
} fv_rt_options;

FV_RT_API int32_t fv_rt_create(const fv_rt_model *m, const fv_rt_options *options,
                               fv_rt_context **out, fv_rt_error *err);
FV_RT_API void fv_rt_destroy(fv_rt_context *c);  // NULL ok

typedef struct fv_rt_tensor {  // row-major
  const char *name;
  fv_dtype dtype;
  int rank;
  int64_t dim[FV_MAX_RANK];
  void *data;    // aligned to its element
  size_t bytes;  // outputs: room at `data` if the caller gives it
} fv_rt_tensor;

typedef struct fv_rt_dim {
  const char *name;
  int64_t value;
} fv_rt_dim;

// Runs an entry (NULL = the first). Inputs: all of them, in any order. dims: those that no input
// names; others may be given and must agree. Outputs, in the order of the entry: where data is NULL
// the context lends memory that is valid until its next run, else it is the caller's, of `bytes`
// bytes; those behind n_out are not wanted. An output that overlaps an input or another output is
// refused before anything is written; so is an input in memory lent for an output of this entry.
// A run that fails changes no state.
FV_RT_API int32_t fv_rt_run(fv_rt_context *c, const char *entry, const fv_rt_tensor *in,
                            size_t n_in, const fv_rt_dim *dims, size_t n_dims, fv_rt_tensor *out,
                            size_t n_out, fv_rt_error *err);

FV_RT_API int64_t fv_rt_workspace_bytes(const fv_rt_context *c);

// States: all become zero; a new context with equal states; the states as
// bytes (data NULL tells the size) and back.
FV_RT_API int32_t fv_rt_reset(fv_rt_context *c, fv_rt_error *err);
FV_RT_API int32_t fv_rt_fork(fv_rt_context *c, fv_rt_context **out, fv_rt_error *err);
FV_RT_API int32_t fv_rt_save(fv_rt_context *c, void *data, uint64_t capacity, uint64_t *out_bytes,
                             fv_rt_error *err);
FV_RT_API int32_t fv_rt_restore(fv_rt_context *c, const void *data, uint64_t bytes,
                                fv_rt_error *err);

#ifdef __cplusplus
}
#endif

#endif  // FOVEA_FOVEA_RT_H_
