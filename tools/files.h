// SPDX-License-Identifier: Apache-2.0
// tools/files.h - tensors in files: npy and safetensors.
#ifndef FOVEA_TOOLS_FILES_H_
#define FOVEA_TOOLS_FILES_H_

#include "base/safetensors.h"
#include "tool.h"

// npy 1.0 to 3.0, little-endian, C order. `name` becomes the tensor's.
FV_NODISCARD fv_status npy_read(tool *t, const char *path, const char *name, fv_tensor_io *out);
FV_NODISCARD fv_status npy_write(tool *t, const char *path, const fv_tensor_io *tensor);

// A file named by the user; or, with dir, one beneath it.
FV_NODISCARD fv_status safetensors_read(tool *t, const char *dir, const char *path,
                                        fv_safetensors **out);
// The tensor of that key, aligned for its type.
FV_NODISCARD fv_status safetensors_get(tool *t, const char *path, const fv_safetensors *file,
                                       const char *key, fv_tensor_io *out);
FV_NODISCARD fv_status safetensors_write(tool *t, const char *path, const fv_tensor_io *tensor,
                                         size_t count);

// By the ending of the path: .npy (one tensor) or .safetensors.
FV_NODISCARD fv_status tensors_save(tool *t, const char *path, const fv_tensor_io *tensor,
                                    size_t count);
bool ends_with(const char *text, const char *end);

#endif  // FOVEA_TOOLS_FILES_H_
