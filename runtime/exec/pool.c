// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "runtime/exec/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 2000 };

typedef struct worker {
  struct fv_pool *pool;
  pthread_t thread;
  int number;  // 0 is the caller
  int32_t result;
} worker;

struct fv_pool {
  int threads;
  worker *w;
  pthread_mutex_t lock;
  pthread_cond_t wake, done;
  atomic_uint round;    // counts jobs; a change wakes the workers
  atomic_int running;
  int quit;
  int64_t blocks;
  fv_pool_fn fn;
  void *user;
};

// cgroup v2 "max 100000" or "200000 100000"; v1 in two files.
static int quota_threads(void) {
  long long quota = -1, period = 0;
  FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
  if (f) {
    if (fscanf(f, "%lld %lld", &quota, &period) != 2)
      quota = -1;
    fclose(f);
  } else if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re"))) {
    if (fscanf(f, "%lld", &quota) != 1)
      quota = -1;
    fclose(f);
    f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
    if (f && fscanf(f, "%lld", &period) != 1)
      period = 0;
    if (f)
      fclose(f);
  }
  if (quota <= 0 || period <= 0)
    return 1 << 20;
  const long long n = (quota + period - 1) / period;
  return n < 1 ? 1 : (int)n;
}

int fv_pool_default_threads(void) {
  cpu_set_t set;
  int n = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    n = CPU_COUNT(&set);
  const int q = quota_threads();
  n = n < q ? n : q;
  return n < 1 ? 1 : n > 256 ? 256 : n;
}

static int32_t run_piece(fv_pool *p, int number) {
  const int64_t begin = p->blocks * number / p->threads;
  const int64_t end = p->blocks * (number + 1) / p->threads;
  return begin < end ? p->fn(p->user, number, begin, end) : 0;
}

// Spins briefly for the next job, then sleeps.
static unsigned next_round(fv_pool *p, unsigned seen) {
  for (int i = 0; i < SPINS; i++) {
    const unsigned r = atomic_load_explicit(&p->round, memory_order_acquire);
    if (r != seen)
      return r;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  pthread_mutex_lock(&p->lock);
  while (atomic_load(&p->round) == seen)
    pthread_cond_wait(&p->wake, &p->lock);
  pthread_mutex_unlock(&p->lock);
  return atomic_load(&p->round);
}

static void *work(void *arg) {
  worker *w = arg;
  fv_pool *p = w->pool;
  unsigned seen = 0;
  for (;;) {
    seen = next_round(p, seen);
    if (p->quit)
      return NULL;
    w->result = run_piece(p, w->number);
    if (atomic_fetch_sub(&p->running, 1) == 1) {
      pthread_mutex_lock(&p->lock);
      pthread_cond_signal(&p->done);
      pthread_mutex_unlock(&p->lock);
    }
  }
}

static void start_round(fv_pool *p) {
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->round, 1);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
}

fv_pool *fv_pool_create(int threads) {
  fv_pool *p = calloc(1, sizeof *p);
  if (!p)
    return NULL;
  p->w = calloc((size_t)threads, sizeof *p->w);
  if (!p->w) {
    free(p);
    return NULL;
  }
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  pthread_cond_init(&p->done, NULL);
  p->threads = 1;
  for (int i = 1; i < threads; i++) {
    p->w[i] = (worker){.pool = p, .number = i};
    if (pthread_create(&p->w[i].thread, NULL, work, &p->w[i]))
      break;  // fewer threads give the same results
    p->threads++;
  }
  return p;
}

void fv_pool_destroy(fv_pool *p) {
  if (!p)
    return;
  p->quit = 1;
  start_round(p);
  for (int i = 1; i < p->threads; i++)
    pthread_join(p->w[i].thread, NULL);
  pthread_mutex_destroy(&p->lock);
  pthread_cond_destroy(&p->wake);
  pthread_cond_destroy(&p->done);
  free(p->w);
  free(p);
}

int fv_pool_threads(const fv_pool *p) {
  return p->threads;
}

int32_t fv_pool_run(fv_pool *p, int64_t blocks, fv_pool_fn fn, void *user) {
  if (p->threads == 1 || blocks == 1)
    return fn(user, 0, 0, blocks);
  p->blocks = blocks;
  p->fn = fn;
  p->user = user;
  atomic_store(&p->running, p->threads - 1);
  start_round(p);
  p->w[0].result = run_piece(p, 0);
  for (int i = 0; i < SPINS && atomic_load_explicit(&p->running, memory_order_acquire); i++) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  if (atomic_load(&p->running)) {
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->running))
      pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
  }
  for (int i = 0; i < p->threads; i++)
    if (p->w[i].result)
      return p->w[i].result;
  return 0;
}
