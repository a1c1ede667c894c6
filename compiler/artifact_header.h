// SPDX-License-Identifier: Apache-2.0
// compiler/artifact_header.h - the C header M.h of a compiled model.
#ifndef FOVEA_COMPILER_ARTIFACT_HEADER_H_
#define FOVEA_COMPILER_ARTIFACT_HEADER_H_

#include "base/str.h"

// Appends to *out the header of the model in `image` (fovea/program.h) under
// the prefix `name`, a C identifier. It is C99 and C++17 and includes nothing
// of fovea: it repeats the layouts of runtime/exec/artifact.h and adds typed
// wrappers. ERR_ABI if the image is of another version.
FV_NODISCARD fv_status fv_artifact_header(fv_arena *ar, const void *image, size_t size,
                                          const char *name, fv_str *out);

#endif  // FOVEA_COMPILER_ARTIFACT_HEADER_H_
