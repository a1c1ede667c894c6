// SPDX-License-Identifier: Apache-2.0
// backends/interpreter/interpreter.h - what the files of this backend share.
#ifndef FOVEA_BACKENDS_INTERPRETER_INTERPRETER_H_
#define FOVEA_BACKENDS_INTERPRETER_INTERPRETER_H_

#include "fovea/plugin.h"

struct fv_kernels {
  const fv_host *host;
  const fv_kernel_code *const *code;  // the caller's; they outlive the set
  size_t count;
};

// memory.c: memory whose bounds are known, and launches that check them.
const fv_device_ops *interpreter_queue(fv_kernels *k, fv_report *r, void **out_dev);
void interpreter_destroy(void *dev);

#endif  // FOVEA_BACKENDS_INTERPRETER_INTERPRETER_H_
