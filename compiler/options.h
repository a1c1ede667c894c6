// SPDX-License-Identifier: Apache-2.0
// compiler/options.h - the options of a backend, by its table.
#ifndef FOVEA_COMPILER_OPTIONS_H_
#define FOVEA_COMPILER_OPTIONS_H_

#include "base/diag.h"
#include "fovea/plugin.h"

// Reads "key=value" texts; ERR_ARG for what is none or not in the table.
FV_NODISCARD fv_status fv_options_read(fv_arena *ar, const fv_backend *b, const char *const *text,
                                       size_t count, fv_diag_sink *diag, fv_option **out,
                                       size_t *n_out);
// Rows of a backend; NULL past the end.
const fv_option_info *fv_option_at(const fv_backend *b, size_t i);

#endif  // FOVEA_COMPILER_OPTIONS_H_
