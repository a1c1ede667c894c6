// SPDX-License-Identifier: Apache-2.0
// runtime/exec/pool.h - a small fork-join pool of threads.
//
// One thread at a time calls a pool. The caller is one of its threads, so a
// pool of one creates none. Between runs the others spin for some microseconds,
// then sleep. In the child of a fork that came between two runs the pool is whole: its threads
// are made again by the first run that needs them.
#ifndef FOVEA_RUNTIME_EXEC_POOL_H_
#define FOVEA_RUNTIME_EXEC_POOL_H_

#include <stdint.h>

typedef struct fv_pool fv_pool;

// At most FV_POOL_MAX threads, the caller included; fewer if the system gives
// no more. NULL: out of memory.
enum { FV_POOL_MAX = 1024 };
fv_pool *fv_pool_create(uint32_t threads);
void fv_pool_destroy(fv_pool *p);  // NULL ok; no run is under way
uint32_t fv_pool_threads(const fv_pool *p);

// Calls task(arg, i) once for each i < count and returns when all have returned. Each is on a
// thread of its own, as far as there are threads; 0 and the rest are on the caller's.
void fv_pool_run(fv_pool *p, uint32_t count, void (*task)(void *arg, uint32_t index), void *arg);

// cpus.c: how many threads this process may well use: CPUs of its affinity mask
// counted as physical cores, bounded by the quota of its control group. >= 1.
uint32_t fv_cpu_count(void);

#endif  // FOVEA_RUNTIME_EXEC_POOL_H_
