// SPDX-License-Identifier: Apache-2.0
// fovea/fovea.h - the compiler as a library (libfovea).
//
//   fv_model *m;  fv_executable *e;  fv_context *c;
//   fv_model_load("model.xml", NULL, &diag, &m);
//   fv_compile(m, &(fv_compile_options){.struct_size = sizeof(fv_compile_options),
//                                       .backend = "llvm"}, &diag, &e);
//   fv_context_create(e, 1, &diag, &c);
//   fv_context_run(c, "main", in, n_in, NULL, 0, out, n_out, &diag);
//
// Structs of options begin with struct_size, their size; NULL in place of one means all defaults.
// Members of newer versions that this one does not know must be 0.
// Errors: a status, and diagnostics with locations through the sink; NULL in place of
// a sink drops them. The library prints nothing. Threads: a model and an executable are immutable
// and may be shared; a context is used by one thread at a time. Contexts of one executable run at
// the same time, but on a backend that runs the graph itself (reference): there one waits for the
// other. The model may go before the executable; the executable outlives its contexts.
#ifndef FOVEA_FOVEA_H_
#define FOVEA_FOVEA_H_

#include <stddef.h>

#include "fovea/diag.h"
#include "fovea/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FV_API __attribute__((visibility("default")))

typedef struct fv_model fv_model;
typedef struct fv_executable fv_executable;
typedef struct fv_context fv_context;

// Bytes made by the library; release with fv_bytes_free.
typedef struct fv_bytes {
  void *data;
  size_t size;
} fv_bytes;
FV_API void fv_bytes_free(fv_bytes *b);

//===-- Models ----------------------------------------------------------===//

typedef struct fv_model_load_options {
  size_t struct_size;
  const char *const *let;  // "layers=2": overrides of the model's integer lets
  size_t n_let;
  const char *const *weights;  // weight files used instead of the model's own
  size_t n_weights;
  const char *const *dim;  // "B=1": dims of the model that are to be numbers, as if written so
  size_t n_dim;
} fv_model_load_options;

// Loads and checks a model description (not a compiled library).
FV_API FV_NODISCARD fv_status fv_model_load(const char *path, const fv_model_load_options *o,
                                            fv_diag_sink *diag, fv_model **out);
FV_API void fv_model_destroy(fv_model *m);  // NULL ok

// One graph of a model or entry of an executable.
typedef struct fv_port_info {
  const char *name;
  fv_dtype dtype;
  int rank;
  const char *shape;         // "B, S, 768"
  int64_t dim[FV_MAX_RANK];  // value, or -1 where it depends on symbols
  int symbol[FV_MAX_RANK];   // the symbol that a dim is, or -1
} fv_port_info;
typedef struct fv_symbol_info {
  const char *name;
  int64_t min, max;
  int is_state_length;
} fv_symbol_info;
typedef struct fv_graph_info {
  const char *name;
  const fv_port_info *input, *output;
  int n_input, n_output;
  const char *const *condition;  // "N == M  (m.xml:7:2: add)": what is checked, the first
  int n_condition;               // n_bind_condition when a run begins, the others while it runs
  int n_bind_condition;
} fv_graph_info;
typedef struct fv_model_info {
  const char *name;
  const fv_graph_info *graph;
  int n_graph;
  const fv_symbol_info *symbol;
  int n_symbol;
  const char *const *state;  // names
  int n_state;
  int64_t weight_bytes;
  int n_node;
} fv_model_info;
FV_API const fv_model_info *fv_model_get_info(const fv_model *m);

// Golden cases of the model (<verify>): files hold inputs and outputs by name.
typedef struct fv_verify_info {
  const char *graph, *path;
  double tolerance;
} fv_verify_info;
FV_API int fv_model_verify_count(const fv_model *m);
FV_API fv_verify_info fv_model_verify_get(const fv_model *m, int i);

// Numbers of nodes of ops in the model after its passes (-1: no such op); a loop's body counts
// once. passes: a preset or list, NULL = "O2"; "O0": as loaded.
FV_API FV_NODISCARD fv_status fv_model_count_ops(const fv_model *m, const char *passes,
                                                 const char *const *op, size_t n_op, int *count,
                                                 fv_diag_sink *diag);
// kind: text, json, dot: the graphs after the passes, as above. xml: the description itself in
// its canonical form; passes do not count.
FV_API FV_NODISCARD fv_status fv_model_emit(const fv_model *m, const char *kind, const char *passes,
                                            fv_diag_sink *diag, fv_bytes *out);

//===-- Compiling -------------------------------------------------------===//

// How far fv_compile goes. What stops early can be looked at, not run: weights are not packed,
// and before FV_STAGE_CODE they are not hashed and the backend compiles nothing.
typedef enum fv_stage {
  FV_STAGE_RUN,      // all of it
  FV_STAGE_GROUPS,   // which nodes each kernel computes: emit "groups", count_kernels
  FV_STAGE_KERNELS,  // kernel IR: emit "kernel", too
  FV_STAGE_CODE,     // what the backend makes: emit all kinds, write libraries
} fv_stage;

typedef struct fv_compile_options {
  size_t struct_size;
  const char *backend;     // NULL = "llvm"
  const char *passes;      // "O0", "O1", "O2" or a list "a,b,c"; NULL = "O2"
  const char *dump_after;  // a pass, or "all"; NULL = none
  void (*dump)(void *user, const char *pass, const char *text);
  void *user;
  const char *const *backend_option;  // "key=value"
  size_t n_backend_option;
  fv_stage until;
  int threads;  // 0 = as many as the process may use; what is made does not depend on it
} fv_compile_options;

// Whether there are these passes, and this backend (unless it is NULL) with these options:
// ERR_ARG with the reason, before any work. OK says nothing of whether the backend works here.
FV_API FV_NODISCARD fv_status fv_compile_check(const fv_compile_options *o, fv_diag_sink *diag);
FV_API FV_NODISCARD fv_status fv_compile(const fv_model *m, const fv_compile_options *o,
                                         fv_diag_sink *diag, fv_executable **out);
// A library made by fv_executable_write_library, as an executable of its own.
FV_API FV_NODISCARD fv_status fv_executable_load(const char *path, fv_diag_sink *diag,
                                                 fv_executable **out);
FV_API void fv_executable_destroy(fv_executable *e);  // NULL ok
FV_API const fv_model_info *fv_executable_get_info(const fv_executable *e);
// Of what it was made, by what and for what: JSON text, "" if it is not known. A library keeps it.
FV_API const char *fv_executable_manifest(const fv_executable *e);

// How many kernels of a family there are: map, row, contraction, attention, serial; -1: there is
// no such family, or the backend runs no kernels. A loop's body counts once.
FV_API int fv_executable_count_kernels(const fv_executable *e, const char *family);
// kind: groups (which nodes each kernel computes), kernel, or what the backend has: llvm, asm,
// obj, opencl.
FV_API FV_NODISCARD fv_status fv_executable_emit(const fv_executable *e, const char *kind,
                                                 fv_diag_sink *diag, fv_bytes *out);
// A library for this backend's target, in any of its forms, and its header, which is the same
// for all. name: a C identifier; NULL = from the model's name. Both files are there whole or
// neither is; weights go from their files into the library a piece at a time. *out_bytes
// (optional): the size of the library.
typedef enum fv_library_kind {
  FV_LIBRARY_OBJECT = 0,   // one relocatable object
  FV_LIBRARY_SHARED = 1,   // needs libc and nothing else
  FV_LIBRARY_ARCHIVE = 2,  // the object as a static library
} fv_library_kind;
FV_API FV_NODISCARD fv_status fv_executable_write_library(const fv_executable *e, const char *name,
                                                          fv_library_kind kind,
                                                          const char *library_path,
                                                          const char *header_path,
                                                          fv_diag_sink *diag, int64_t *out_bytes);

//===-- Running ---------------------------------------------------------===//

// threads 0: as many as the process may use.
FV_API FV_NODISCARD fv_status fv_context_create(fv_executable *e, int threads, fv_diag_sink *diag,
                                                fv_context **out);
FV_API void fv_context_destroy(fv_context *c);  // NULL ok

typedef struct fv_tensor_io {
  const char *name;
  fv_dtype dtype;
  int rank;
  int64_t dim[FV_MAX_RANK];
  void *data;  // inputs: caller's. outputs: the context's, valid until the next run
} fv_tensor_io;
typedef struct fv_dim_value {
  const char *name;
  int64_t value;
} fv_dim_value;

// Runs an entry. Inputs in any order, all of them. dims: values of symbols
// that no input names. out: filled in the order of the entry's outputs (room
// for n_out of them; those behind are not wanted, and out may be NULL). They are the context's
// memory: an input that lies in it, an output of the run before, is refused (copy it).
// A run that fails changes no state.
FV_API FV_NODISCARD fv_status fv_context_run(fv_context *c, const char *entry,
                                             const fv_tensor_io *in, size_t n_in,
                                             const fv_dim_value *dims, size_t n_dims,
                                             fv_tensor_io *out, size_t n_out, fv_diag_sink *diag);
// Runs the same again with the same inputs and outputs, without any check:
// for measurements.
FV_API FV_NODISCARD fv_status fv_context_again(fv_context *c, fv_diag_sink *diag);
FV_API FV_NODISCARD fv_status fv_context_reset(fv_context *c, fv_diag_sink *diag);
FV_API int64_t fv_context_workspace_bytes(const fv_context *c);

//===-- What is there -----------------------------------------------------===//

// Kinds of what there is. options: of backends, "llvm:cpu=NAME"; families: of kernels.
#define FV_LIST_KINDS(X) X(backends) X(options) X(frontends) X(passes) X(ops) X(families)
// Calls f(user, kind, name, doc) for each thing of a kind; NULL: of all kinds. The texts of
// options live until f returns, the others as long as the process.
FV_API void fv_list(const char *kind,
                    void (*f)(void *user, const char *kind, const char *name, const char *doc),
                    void *user);
// The op reference (docs/ops.md), from the op table.
FV_API FV_NODISCARD fv_status fv_op_reference(fv_bytes *out);
// Canonical form of a model description, comments kept.
FV_API FV_NODISCARD fv_status fv_format(const char *path, fv_diag_sink *diag, fv_bytes *out);
FV_API const char *fv_version(void);

#ifdef __cplusplus
}
#endif

#endif  // FOVEA_FOVEA_H_
