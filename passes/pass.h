// SPDX-License-Identifier: Apache-2.0
// passes/pass.h - what a pass is, and the pipeline that runs them.
//
// One file a pass: passes/pass_<name>.c defines `const fv_pass fv_pass_<name>`
// and the build finds it. A pass knows no target, owns arena memory only, and
// does one thing; verifying, counting and dumping are the pipeline's work.
#ifndef FOVEA_PASSES_PASS_H_
#define FOVEA_PASSES_PASS_H_

#include "ir/graph/graph.h"

typedef struct fv_pass_cx {
  fv_diag_sink *diag;
  fv_arena *arena;
  uint64_t changes;  // the pass counts what it changed
} fv_pass_cx;

typedef struct fv_pass {
  const char *name, *doc;
  fv_status (*run)(fv_pass_cx *cx, fv_graph *g);
} fv_pass;

const fv_pass *fv_pass_at(size_t i);  // NULL past the end
const fv_pass *fv_pass_find(const char *name, size_t len);

typedef struct fv_pipeline {
  const char *spec;        // "O0", "O1", "O2", or "a,b,c"; NULL = O2
  const char *dump_after;  // a pass or "all"; NULL = none
  void (*dump)(void *user, const char *pass, const char *text);
  void *user;
} fv_pipeline;

// Whether all of its passes exist, and the one that is dumped runs.
FV_NODISCARD fv_status fv_pipeline_check(const fv_pipeline *p, fv_diag_sink *diag);
// Runs the passes on every graph of the module and verifies after each.
FV_NODISCARD fv_status fv_pipeline_run(fv_module *m, const fv_pipeline *p, fv_diag_sink *diag);

#endif  // FOVEA_PASSES_PASS_H_
