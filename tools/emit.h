// SPDX-License-Identifier: Apache-2.0
// tools/emit.h - --emit=KIND: a model written out at some stage of its way.
#ifndef FOVEA_TOOLS_EMIT_H_
#define FOVEA_TOOLS_EMIT_H_

#include "model.h"

typedef struct emit_request {
  const char *kind;    // see EMIT_HELP
  const char *output;  // a file, "-", or NULL: standard output; for libraries lib and the name
  const char *name;    // of libraries: what C code sees, or NULL
  const char *dump_after;
  const compile_options *compile;
  int64_t threads;  // to compile with; 0 = as many as the process may use
  // Filled in by emit_check().
  const struct emit_kind *found;
  backend_spec backend;
} emit_request;

// The kind that a file's ending tells; a usage error if it tells none.
FV_NODISCARD fv_status emit_kind_of(tool *t, const char *path, const char **out);
// All that can be wrong with a request but for the model.
FV_NODISCARD fv_status emit_check(tool *t, emit_request *r);
FV_NODISCARD fv_status emit(tool *t, const model *m, const emit_request *r);

#define EMIT_HELP                                                                              \
  "KINDS OF OUTPUT\n"                                                                          \
  "  xml                       the description in its canonical form, as `fovea fmt` has it\n" \
  "  text, json, dot           the graphs after the passes (-O0: as they were loaded)\n"       \
  "  groups                    the kernels: which ops each computes, and what keeps their\n"   \
  "                            results from being computed within the next one\n"              \
  "  kernel                    the kernels in the language that all backends print\n"          \
  "  llvm, asm, opencl         what a backend makes of them\n"                                 \
  "  so, a, obj                a library with its header NAME.h: shared, static, or as one\n"  \
  "                            object file\n"

#endif  // FOVEA_TOOLS_EMIT_H_
