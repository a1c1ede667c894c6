// SPDX-License-Identifier: Apache-2.0
// compiler/emit.h - views of a module: text, dot, json.
#ifndef FOVEA_COMPILER_EMIT_H_
#define FOVEA_COMPILER_EMIT_H_

#include "base/str.h"
#include "fovea/fovea.h"
#include "frontend/frontend.h"
#include "lower/lower.h"

FV_NODISCARD fv_status fv_emit_module(fv_module *m, const char *kind, fv_str *out,
                                      fv_diag_sink *diag);
// malloc'ed copy for the caller of the library, NUL-terminated.
FV_NODISCARD fv_status fv_bytes_copy(fv_bytes *out, const void *data, size_t size,
                                     fv_diag_sink *diag);
extern const fv_frontend *const fv_frontends[];  // ends with NULL

// Which nodes each kernel computes, and why its result is not computed within another.
void fv_emit_groups(const fv_lowered *l, fv_str *out);

#endif  // FOVEA_COMPILER_EMIT_H_
