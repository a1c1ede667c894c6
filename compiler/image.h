// SPDX-License-Identifier: Apache-2.0
// compiler/image.h - a lowered module as one block of bytes (fovea/program.h).
#ifndef FOVEA_COMPILER_IMAGE_H_
#define FOVEA_COMPILER_IMAGE_H_

#include "lower/lower.h"

// In the arena of the module. kernel_of: number of each lowered kernel in the
// image, i.e. of l->kernel.
FV_NODISCARD fv_status fv_image_build(const fv_lowered *l, fv_diag_sink *diag, void **out_image,
                                      size_t *out_size);

#endif  // FOVEA_COMPILER_IMAGE_H_
