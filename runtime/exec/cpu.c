// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec/cpu.h"

#include <stdbool.h>

#include "runtime/exec/libc.h"
#include "runtime/exec/pool.h"

enum { ALIGN = 64 };
// Less work than this is not worth another thread.
#define TASK_NANOSECONDS 4000.0

struct fv_cpu_device {
  const fv_cpu_kernel_fn *kernel;
  float *cost;  // per kernel: nanoseconds a block last took; 0 = not known
  uint32_t count, threads;
  fv_pool *pool;  // NULL: one thread, or the caller's
  fv_parallel_for_fn parallel_for;
  void *user;
  void *scratch;  // scratch_bytes for each thread
  int64_t scratch_bytes;
  void **buf;  // addresses of a launch; it grows only
  uint32_t buf_room;
};

//===-- Floating-point environment --------------------------------------------===//

#if defined(__x86_64__)
typedef uint32_t fp_env;
static fp_env fp_enter(void) {
  fp_env old;
  const fp_env fresh = 0x1f80;
  __asm__ volatile("stmxcsr %0" : "=m"(old));
  __asm__ volatile("ldmxcsr %0" : : "m"(fresh));
  return old;
}
static void fp_leave(fp_env old) {
  __asm__ volatile("ldmxcsr %0" : : "m"(old));
}
#elif defined(__aarch64__)
typedef uint64_t fp_env;
static fp_env fp_enter(void) {
  fp_env old;
  __asm__ volatile("mrs %0, fpcr" : "=r"(old));
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
  return old;
}
static void fp_leave(fp_env old) {
  __asm__ volatile("msr fpcr, %0" : : "r"(old));
}
#else
typedef int fp_env;
static fp_env fp_enter(void) {
  return 0;
}
static void fp_leave(fp_env old) {
  (void)old;
}
#endif

//===-- Launch ------------------------------------------------------------------===//

typedef struct job {
  fv_cpu_device *d;
  fv_cpu_kernel_fn kernel;
  const int64_t *scalar;
  int64_t blocks;
  uint32_t tasks;
  int32_t *result;      // per task
  int64_t nanoseconds;  // that task 0 took
} job;

static int64_t now(void) {
  ex_timespec t = {0, 0};
  clock_gettime(EX_CLOCK_MONOTONIC, &t);
  return t.seconds * INT64_C(1000000000) + t.nanoseconds;
}

static int64_t range_begin(const job *j, uint32_t task) {
  const int64_t each = j->blocks / j->tasks, rest = j->blocks % j->tasks;
  return each * task + (task < rest ? task : rest);
}

static void run_range(void *arg, uint32_t task) {
  job *j = arg;
  char *scratch = (char *)j->d->scratch + (int64_t)task * j->d->scratch_bytes;
  const int64_t start = task == 0 ? now() : 0;
  const fp_env old = fp_enter();
  j->result[task] = j->kernel(j->d->buf, j->scalar, j->d->scratch ? scratch : NULL,
                              range_begin(j, task), range_begin(j, task + 1));
  fp_leave(old);
  if (task == 0)
    j->nanoseconds = now() - start;
}

// How many threads share the blocks. It rests on a measurement; the bits do not
// depend on it.
static uint32_t choose_tasks(const fv_cpu_device *d, uint32_t kernel, int64_t blocks) {
  uint32_t n = blocks < (int64_t)d->threads ? (uint32_t)blocks : d->threads;
  const double worth = (double)d->cost[kernel] * (double)blocks / TASK_NANOSECONDS;
  if (d->cost[kernel] > 0 && worth < n)
    n = (uint32_t)worth;
  return n > 1 ? n : 1;
}

static int32_t cpu_reserve(void *dev, int64_t scratch_bytes) {
  fv_cpu_device *d = dev;
  if (scratch_bytes <= d->scratch_bytes)
    return 0;
  int64_t each, all;
  if (__builtin_add_overflow(scratch_bytes, (int64_t)ALIGN - 1, &each))
    return -1;
  each &= ~(int64_t)(ALIGN - 1);
  if (__builtin_mul_overflow(each, (int64_t)d->threads, &all))
    return -1;
  free(d->scratch);
  d->scratch_bytes = 0;
  d->scratch = aligned_alloc(ALIGN, (size_t)all);
  if (!d->scratch)
    return -1;
  d->scratch_bytes = each;
  return 0;
}

static bool make_room(fv_cpu_device *d, uint32_t n_buf) {
  if (n_buf <= d->buf_room)
    return true;
  free(d->buf);
  d->buf = calloc(n_buf, sizeof *d->buf);
  d->buf_room = d->buf ? n_buf : 0;
  return d->buf != NULL;
}

static int32_t cpu_launch(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                          uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                          int64_t scratch_bytes) {
  fv_cpu_device *d = dev;
  (void)n_scalar;
  if (blocks <= 0)
    return 0;
  if (kernel >= d->count || !make_room(d, n_buf) || cpu_reserve(d, scratch_bytes))
    return -1;
  int32_t result[FV_POOL_MAX];
  job j = {
      .d = d, .kernel = d->kernel[kernel], .scalar = scalar, .blocks = blocks, .result = result};
  for (uint32_t i = 0; i < n_buf; i++)
    d->buf[i] = (char *)buf[i].object + buf[i].offset;
  j.tasks = choose_tasks(d, kernel, blocks);
  if (j.tasks == 1) {
    run_range(&j, 0);
  } else if (d->parallel_for) {
    d->parallel_for(d->user, j.tasks, run_range, &j);
  } else {
    fv_pool_run(d->pool, j.tasks, run_range, &j);
  }
  d->cost[kernel] = (float)(j.nanoseconds + 1) / (float)range_begin(&j, 1);
  // The failure of the lowest block, whoever ran it.
  for (uint32_t i = 0; i < j.tasks; i++)
    if (result[i])
      return result[i];
  return 0;
}

//===-- Memory --------------------------------------------------------------------===//

void *fv_cpu_alloc(void *dev, int64_t bytes) {
  (void)dev;
  if (bytes < 0)
    return NULL;
  return aligned_alloc(ALIGN, ((size_t)bytes + ALIGN - 1) / ALIGN * ALIGN);
}

void fv_cpu_free(void *dev, void *object, int64_t bytes) {
  (void)dev;
  (void)bytes;
  free(object);
}

int32_t fv_cpu_copy(void *dev, fv_memref dst, fv_memref src, int64_t bytes) {
  (void)dev;
  memmove((char *)dst.object + dst.offset, (char *)src.object + src.offset, (size_t)bytes);
  return 0;
}

int32_t fv_cpu_zero(void *dev, fv_memref dst, int64_t bytes) {
  (void)dev;
  memset((char *)dst.object + dst.offset, 0, (size_t)bytes);
  return 0;
}

int32_t fv_cpu_write(void *dev, fv_memref dst, const void *src, int64_t bytes) {
  (void)dev;
  memcpy((char *)dst.object + dst.offset, src, (size_t)bytes);
  return 0;
}

int32_t fv_cpu_read(void *dev, void *dst, fv_memref src, int64_t bytes) {
  (void)dev;
  memcpy(dst, (char *)src.object + src.offset, (size_t)bytes);
  return 0;
}

static const char *cpu_error(void *dev) {
  (void)dev;
  return "out of memory";
}

const fv_device_ops *fv_cpu_ops(void) {
  static const fv_device_ops ops = {
      .struct_size = sizeof ops,
      .host_memory = 1,
      .alloc = fv_cpu_alloc,
      .free = fv_cpu_free,
      .launch = cpu_launch,
      .copy = fv_cpu_copy,
      .zero = fv_cpu_zero,
      .write = fv_cpu_write,
      .read = fv_cpu_read,
      .error = cpu_error,
      .reserve = cpu_reserve,
  };
  return &ops;
}

//===-- Create and destroy ----------------------------------------------------------===//

fv_cpu_device *fv_cpu_create(const fv_cpu_kernel_fn *kernels, uint32_t count,
                             const fv_model_options *options) {
  fv_cpu_device *d = calloc(1, sizeof *d);
  if (!d)
    return NULL;
  d->cost = calloc((size_t)count + 1, sizeof *d->cost);
  if (!d->cost) {
    free(d);
    return NULL;
  }
  d->kernel = kernels;
  d->count = count;
  d->threads = options ? options->threads : 0;
  if (!d->threads)
    d->threads = fv_cpu_count();
  if (d->threads > FV_POOL_MAX)
    d->threads = FV_POOL_MAX;
  if (options && options->parallel_for) {
    d->parallel_for = options->parallel_for;
    d->user = options->user;
  } else if (d->threads > 1) {
    d->pool = fv_pool_create(d->threads);
    if (!d->pool) {
      fv_cpu_destroy(d);
      return NULL;
    }
    d->threads = fv_pool_threads(d->pool);
  }
  return d;
}

void fv_cpu_destroy(fv_cpu_device *d) {
  if (!d)
    return;
  fv_pool_destroy(d->pool);
  free(d->scratch);
  free(d->buf);
  free(d->cost);
  free(d);
}

uint32_t fv_cpu_threads(const fv_cpu_device *d) {
  return d->threads;
}
