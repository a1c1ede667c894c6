// SPDX-License-Identifier: Apache-2.0
// compiler/manifest.h - what a compiled model says of its own making.
#ifndef FOVEA_COMPILER_MANIFEST_H_
#define FOVEA_COMPILER_MANIFEST_H_

#include "compiler/internal.h"

// JSON text in the arena of `e`, whose module is as it was loaded and whose kernels are compiled:
// version of fovea, hashes of the description `m` (NULL: there is none) and of the weights,
// options, target. No paths and no dates: the same input gives the same text.
FV_NODISCARD fv_status fv_manifest_make(const fv_executable *e, const fv_model *m,
                                        const fv_compile_options *o, fv_diag_sink *diag,
                                        const char **out);

// The instruction sets that the kernels are made of, or NULL.
const char *fv_kernel_needs(const fv_executable *e);

#endif  // FOVEA_COMPILER_MANIFEST_H_
