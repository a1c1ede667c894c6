// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/exec/pool.h"

struct fv_cpu {
  const fv_cpu_kernel_fn *kernel;
  size_t count;
  fv_pool *pool;
  int threads;
  char *scratch;         // one slice a worker
  int64_t scratch_bytes;  // of a slice
};

fv_cpu *fv_cpu_create(const fv_cpu_kernel_fn *kernel, size_t count, int threads) {
  fv_cpu *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->kernel = kernel;
  c->count = count;
  c->pool = fv_pool_create(threads > 0 ? threads : fv_pool_default_threads());
  if (!c->pool) {
    free(c);
    return NULL;
  }
  c->threads = fv_pool_threads(c->pool);
  return c;
}

void fv_cpu_destroy(fv_cpu *c) {
  if (!c)
    return;
  fv_pool_destroy(c->pool);
  free(c->scratch);
  free(c);
}

int fv_cpu_threads(const fv_cpu *c) {
  return c->threads;
}

static void *cpu_alloc(void *dev, int64_t bytes) {
  (void)dev;
  const size_t n = ((size_t)bytes + 63) & ~(size_t)63;
  return aligned_alloc(64, n ? n : 64);
}

static void cpu_free(void *dev, void *object, int64_t bytes) {
  (void)dev;
  (void)bytes;
  free(object);
}

// Kernels count on round-to-nearest and on denormals; the caller may have set
// something else.
#if defined(__x86_64__)
typedef uint32_t fp_state;
static fp_state fp_enter(void) {
  const fp_state old = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0x1f80);
  return old;
}
static void fp_leave(fp_state old) {
  __builtin_ia32_ldmxcsr(old);
}
#else
typedef int fp_state;
static fp_state fp_enter(void) {
  return 0;
}
static void fp_leave(fp_state old) {
  (void)old;
}
#endif

typedef struct job {
  fv_cpu *c;
  fv_cpu_kernel_fn fn;
  void **buf;
  const int64_t *scalar;
} job;

static int32_t run_job(void *user, int worker, int64_t begin, int64_t end) {
  const job *j = user;
  const fp_state old = fp_enter();
  const int32_t r = j->fn(j->buf, j->scalar, j->c->scratch + worker * j->c->scratch_bytes, begin,
                          end);
  fp_leave(old);
  return r;
}

static int32_t cpu_launch(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                          uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                          int64_t scratch_bytes) {
  fv_cpu *c = dev;
  (void)n_scalar;
  if (kernel >= c->count || n_buf > 64)
    return -1;
  const int64_t need = (scratch_bytes + 127) & ~INT64_C(63);
  if (need > c->scratch_bytes) {
    free(c->scratch);
    c->scratch = cpu_alloc(NULL, need * c->threads);
    c->scratch_bytes = c->scratch ? need : 0;
    if (!c->scratch)
      return -1;
  }
  void *p[64];
  for (uint32_t i = 0; i < n_buf; i++)
    p[i] = (char *)buf[i].object + buf[i].offset;
  job j = {c, c->kernel[kernel], p, scalar};
  return fv_pool_run(c->pool, blocks, run_job, &j);
}

static int32_t cpu_copy(void *dev, fv_memref dst, fv_memref src, int64_t bytes) {
  (void)dev;
  memmove((char *)dst.object + dst.offset, (const char *)src.object + src.offset, (size_t)bytes);
  return 0;
}

static int32_t cpu_zero(void *dev, fv_memref dst, int64_t bytes) {
  (void)dev;
  memset((char *)dst.object + dst.offset, 0, (size_t)bytes);
  return 0;
}

static int32_t cpu_write(void *dev, fv_memref dst, const void *src, int64_t bytes) {
  (void)dev;
  memcpy((char *)dst.object + dst.offset, src, (size_t)bytes);
  return 0;
}

static int32_t cpu_read(void *dev, void *dst, fv_memref src, int64_t bytes) {
  (void)dev;
  memcpy(dst, (const char *)src.object + src.offset, (size_t)bytes);
  return 0;
}

static const char *cpu_error(void *dev) {
  (void)dev;
  return "out of memory for a kernel's scratch";
}

const fv_device_ops *fv_cpu_ops(void) {
  static const fv_device_ops ops = {
      .struct_size = sizeof ops, .host_memory = 1, .alloc = cpu_alloc, .free = cpu_free,
      .launch = cpu_launch, .copy = cpu_copy, .zero = cpu_zero, .write = cpu_write,
      .read = cpu_read, .error = cpu_error};
  return &ops;
}
