// SPDX-License-Identifier: Apache-2.0
// frontend/frontend.h - what a model format fills in to be read.
//
// A frontend is one folder frontend/<name>/ with one constant `const fv_frontend
// fv_frontend_<name>`; the build finds it. A frontend reports every fault of a
// file that it can in one run, at the place of the fault, and never prints.
#ifndef FOVEA_FRONTEND_FRONTEND_H_
#define FOVEA_FRONTEND_FRONTEND_H_

#include "base/str.h"
#include "ir/graph/graph.h"

// Replaces the value of an integer <let> of the model.
typedef struct fv_let {
  const char *name;
  int64_t value;
} fv_let;

// Bounds of what one load may take; 0 = the default beside it.
typedef struct fv_load_limits {
  size_t max_bytes;     // of the description, without weights; 16 MiB
  size_t max_elements;  // XML elements; 1,000,000
  int max_depth;        // of nested elements, and of blocks that call blocks; 64
  size_t max_nodes;     // of the graph, when all blocks are expanded; 1,000,000
  size_t max_members;   // tensors of all families of weights that differ; 262,144
} fv_load_limits;

typedef struct fv_load_options {
  const fv_let *let;
  int n_let;
  const fv_let *dim;  // dims of the model that are to be these numbers
  int n_dim;
  // Weight files named by the user, who is trusted: any path. They stand in
  // place of those that the model names. 0 = as the model says.
  const char *const *weights;
  int n_weights;
  fv_load_limits limits;
} fv_load_options;

typedef struct fv_frontend {
  const char *name, *doc;
  // Is this the format? `head` is the beginning of the file, at most some KiB.
  bool (*recognises)(const char *path, const void *head, size_t size);
  // Reads the model at `path` into a new module in `ar`; options may be NULL.
  // Runs under fv_arena_protect() of ar. On failure at least one error was
  // reported, and *out is NULL.
  FV_NODISCARD fv_status (*load)(fv_arena *ar, const char *path, const fv_load_options *options,
                                 fv_diag_sink *diag, fv_module **out);
  // optional: appends the canonical form of a description to `out`.
  FV_NODISCARD fv_status (*format)(fv_arena *ar, const char *path, const char *bytes, size_t size,
                                   const fv_load_limits *limits, fv_diag_sink *diag, fv_str *out);
} fv_frontend;

#endif  // FOVEA_FRONTEND_FRONTEND_H_
