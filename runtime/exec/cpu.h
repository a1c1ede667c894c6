// SPDX-License-Identifier: Apache-2.0
// runtime/exec/cpu.h - the device that runs compiled kernels on this machine.
//
// Blocks of a launch are split by number into contiguous ranges, one a thread;
// blocks do not know of each other, so the bits do not depend on the count of
// threads. Launches that are over in microseconds stay on the caller's thread. Each range runs in
// the default floating-point environment (round to nearest, denormals kept, no traps); the thread's
// own is restored after it.
#ifndef FOVEA_RUNTIME_EXEC_CPU_H_
#define FOVEA_RUNTIME_EXEC_CPU_H_

#include "runtime/exec/artifact.h"

typedef struct fv_cpu_device fv_cpu_device;  // one per context

// `kernels` stays. options may be NULL. NULL: out of memory.
fv_cpu_device *fv_cpu_create(const fv_cpu_kernel_fn *kernels, uint32_t count,
                             const fv_model_options *options);
void fv_cpu_destroy(fv_cpu_device *d);  // NULL ok
uint32_t fv_cpu_threads(const fv_cpu_device *d);

// Functions of the device; `dev` is the fv_cpu_device.
const fv_device_ops *fv_cpu_ops(void);

// Those for memory, which any device in this process's memory may use; they do not look at `dev`.
void *fv_cpu_alloc(void *dev, int64_t bytes);
void fv_cpu_free(void *dev, void *object, int64_t bytes);
int32_t fv_cpu_copy(void *dev, fv_memref dst, fv_memref src, int64_t bytes);
int32_t fv_cpu_zero(void *dev, fv_memref dst, int64_t bytes);
int32_t fv_cpu_write(void *dev, fv_memref dst, const void *src, int64_t bytes);
int32_t fv_cpu_read(void *dev, void *dst, fv_memref src, int64_t bytes);

// features.c: does this machine have the features (comma-separated, LLVM's names)? If not, those
// that are missing, or that features.def does not know, are copied to `missing`, as many as have
// room.
int fv_cpu_has(const char *features, char *missing, uint64_t size);

#endif  // FOVEA_RUNTIME_EXEC_CPU_H_
