// SPDX-License-Identifier: Apache-2.0
// runtime/exec/pool.h - a fork-join pool of threads.
//
// Work is a range of blocks split into one contiguous piece a thread, so which
// thread does what depends on the number of threads alone, and since a block
// never looks at another, the results do not depend on it at all.
#ifndef FOVEA_RUNTIME_EXEC_POOL_H_
#define FOVEA_RUNTIME_EXEC_POOL_H_

#include <stdint.h>

typedef struct fv_pool fv_pool;
// One piece: blocks [begin, end) for worker `worker`. Returns 0 or an error.
typedef int32_t (*fv_pool_fn)(void *user, int worker, int64_t begin, int64_t end);

int fv_pool_default_threads(void);  // affinity and cgroup quota; at least 1
// threads counts the caller: 1 creates none. NULL when out of memory.
fv_pool *fv_pool_create(int threads);
void fv_pool_destroy(fv_pool *p);  // NULL ok
int fv_pool_threads(const fv_pool *p);
// Runs and waits; the error of the lowest range that failed, or 0.
int32_t fv_pool_run(fv_pool *p, int64_t blocks, fv_pool_fn fn, void *user);

#endif  // FOVEA_RUNTIME_EXEC_POOL_H_
