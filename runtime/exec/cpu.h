// SPDX-License-Identifier: Apache-2.0
// runtime/exec/cpu.h - the CPU as a device: kernels are functions, memory is
// the host's, blocks are spread over a pool.
#ifndef FOVEA_RUNTIME_EXEC_CPU_H_
#define FOVEA_RUNTIME_EXEC_CPU_H_

#include <stddef.h>

#include "fovea/program.h"

typedef struct fv_cpu fv_cpu;
// threads 0: as many as this process may use. kernel[] must outlive it.
fv_cpu *fv_cpu_create(const fv_cpu_kernel_fn *kernel, size_t count, int threads);
void fv_cpu_destroy(fv_cpu *c);  // NULL ok
int fv_cpu_threads(const fv_cpu *c);
const fv_device_ops *fv_cpu_ops(void);  // their `dev` is the fv_cpu

#endif  // FOVEA_RUNTIME_EXEC_CPU_H_
