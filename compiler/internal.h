// SPDX-License-Identifier: Apache-2.0
// compiler/internal.h - what is behind the handles of fovea/fovea.h.
#ifndef FOVEA_COMPILER_INTERNAL_H_
#define FOVEA_COMPILER_INTERNAL_H_

#include <pthread.h>

#include "base/str.h"
#include "compiler/plugin.h"
#include "fovea/fovea.h"
#include "frontend/frontend.h"
#include "ir/eval/eval.h"
#include "lower/lower.h"
#include "runtime/exec/artifact.h"
#include "runtime/exec/cpu.h"
#include "runtime/exec/exec.h"
#include "runtime/library.h"

// A module in an arena of its own.
typedef struct fv_loaded {
  fv_arena *arena;
  fv_module *module;
} fv_loaded;

struct fv_model {
  fv_arena *arena;
  const char *path;
  fv_load_options options;  // of the frontend, copied
  fv_model_info info;
  fv_verify_info *verify;
  int n_verify;
  pthread_mutex_t lock;
  fv_loaded loaded;  // as it was read, until somebody takes it
};

// A program that is ready to run: compiled kernels (CPU functions or a device
// with its own memory), a graph runner, or a library made earlier.
struct fv_executable {
  fv_arena *arena;
  bool own_arena;
  fv_library library;  // empty if it is none
  fv_module *module;   // NULL for a library
  fv_model_info info;
  fv_backend table;           // as far as the backend knows it
  const fv_backend *backend;  // that; NULL for a library
  fv_device *device;
  fv_lowered *lowered;
  fv_kernels *kernels;
  void *image;
  size_t image_size;
  void *constants;  // 64-byte aligned, own
  fv_stage until;
  const char *manifest;  // JSON text
  fv_artifact_desc desc;
  fv_model_api own_api;
  const fv_model_api *api;  // NULL: the code is for another machine
  // Held by the one run of a graph runner: it makes expressions in the pool of the module.
  pthread_mutex_t graph_runs;
};

// Compiles a module that is already in memory; changes it. `ar` is its arena,
// which must outlive the executable and is not owned by it.
FV_NODISCARD fv_status fv_compile_module(fv_arena *ar, fv_module *m, const fv_compile_options *o,
                                         fv_diag_sink *diag, fv_executable **out);

// The module of a model, which is the caller's: to be changed, and its arena to be destroyed. The
// first who asks gets what was read with the model; for others it is read again.
FV_NODISCARD fv_status fv_model_take(const fv_model *m, fv_diag_sink *diag, fv_loaded *out);

// info.c: tables of fv_model_info, from a module or from an image.
void fv_info_from_module(fv_arena *ar, fv_module *m, fv_model_info *out);
void fv_info_from_image(fv_arena *ar, const fv_program *p, fv_model_info *out);

// For entry points: a sink that is NULL drops what it is told.
#define FV_SINK(diag) ((diag) ? (diag) : &(fv_diag_sink){.emit = NULL})

// Runs fn under protection of ar and reports out-of-memory and bugs to diag.
fv_status fv_guard(fv_arena *ar, fv_diag_sink *diag, fv_status (*fn)(void *user), void *user);

#endif  // FOVEA_COMPILER_INTERNAL_H_
