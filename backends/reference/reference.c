// SPDX-License-Identifier: Apache-2.0
// The oracle: runs the graph as it was before lowering, by the evaluator of the
// semantics (ir/eval/eval.h), in double, one op after another. Plain C, no LLVM.
#include "fovea/plugin.h"
#include "ir/eval/eval.h"

static int32_t open_device(const fv_host *host, const fv_option *options, size_t n_options,
                           fv_report *r, fv_device **out) {
  (void)host;
  (void)options;
  (void)n_options;
  (void)r;
  *out = NULL;
  return FV_PLUGIN_OK;
}

static void close_device(fv_device *d) {
  (void)d;
}

static const char *describe(fv_device *d) {
  (void)d;
  return "evaluates the semantics in double precision";
}

static int32_t run_graph(fv_device *d, const struct fv_graph *graph, struct fv_run_io *io,
                         fv_report *r) {
  (void)d;
  (void)r;
  switch (fv_eval_graph(graph, io)) {
  case FV_OK: return FV_PLUGIN_OK;
  case FV_ERR_OOM: return FV_PLUGIN_OOM;
  case FV_ERR_RUN: return FV_PLUGIN_REFUSED;
  default: return FV_PLUGIN_FAILED;
  }
}

static const fv_backend backend = {
    .struct_size = sizeof backend,
    .abi = FV_ABI_VERSION,
    .sanitizer = FV_ABI_SANITIZER,
    .name = "reference",
    .doc = "the oracle: evaluates the semantics in double precision",
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .run_graph = run_graph,
};

FV_BACKEND_EXPORT(reference, backend)
