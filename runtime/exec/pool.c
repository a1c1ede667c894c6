// SPDX-License-Identifier: Apache-2.0
// The ticket (a count of runs, and the number of tasks of this one, in one
// word) starts the workers; `pending` ends the run. Whoever sleeps first says
// so and then looks again; whoever wakes first changes the word and then looks
// for sleepers. Both orders are sequentially consistent, so one sees the other.
#include "runtime/exec/pool.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/exec/libc.h"

enum { SPINS = 2000, COUNT_BITS = 16 };
_Static_assert(FV_POOL_MAX < 1 << COUNT_BITS, "the count of tasks fits into the ticket");

typedef struct worker {
  fv_pool *pool;
  ex_thread thread;
  uint32_t index;
} worker;

struct fv_pool {
  _Alignas(64) atomic_uint_fast64_t ticket;
  _Alignas(64) atomic_uint pending;   // tasks of others that still run
  _Alignas(64) atomic_uint sleepers;  // workers
  atomic_bool caller_sleeps, quit;
  void (*task)(void *arg, uint32_t index);
  void *arg;
  uint32_t threads, wanted;  // the caller included
  int process;               // that the workers belong to
  ex_mutex lock;
  ex_cond wake, done;
  worker w[];  // threads - 1
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Waits for a ticket other than `seen`.
static uint64_t next_ticket(fv_pool *p, uint64_t seen) {
  for (int i = 0; i < SPINS; i++) {
    const uint64_t t = atomic_load_explicit(&p->ticket, memory_order_acquire);
    if (t != seen)
      return t;
    relax();
  }
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->sleepers, 1);
  uint64_t t;
  while ((t = atomic_load(&p->ticket)) == seen)
    pthread_cond_wait(&p->wake, &p->lock);
  atomic_fetch_sub(&p->sleepers, 1);
  pthread_mutex_unlock(&p->lock);
  return t;
}

static void *work(void *user) {
  worker *w = user;
  fv_pool *p = w->pool;
  for (uint64_t seen = 0;;) {
    seen = next_ticket(p, seen);
    if (atomic_load_explicit(&p->quit, memory_order_acquire))
      return NULL;
    // Those without a task read nothing else: the caller does not wait for them.
    if (w->index >= (seen & ((1u << COUNT_BITS) - 1)))
      continue;
    p->task(p->arg, w->index);
    if (atomic_fetch_sub(&p->pending, 1) == 1 && atomic_load(&p->caller_sleeps)) {
      pthread_mutex_lock(&p->lock);
      pthread_cond_broadcast(&p->done);
      pthread_mutex_unlock(&p->lock);
    }
  }
}

static void post(fv_pool *p, uint32_t count) {
  const uint64_t t = atomic_load_explicit(&p->ticket, memory_order_relaxed);
  atomic_store(&p->ticket, ((t >> COUNT_BITS) + 1) << COUNT_BITS | count);
  if (atomic_load(&p->sleepers)) {
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
  }
}

static void join(fv_pool *p) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&p->pending, memory_order_acquire) == 0)
      return;
    relax();
  }
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->caller_sleeps, true);
  while (atomic_load(&p->pending))
    pthread_cond_wait(&p->done, &p->lock);
  atomic_store(&p->caller_sleeps, false);
  pthread_mutex_unlock(&p->lock);
}

// A process that was forked has none of the workers, and locks as they stood: it begins anew.
static void start(fv_pool *p) {
  p->process = getpid();
  atomic_init(&p->ticket, 0);
  atomic_init(&p->pending, 0);
  atomic_init(&p->sleepers, 0);
  atomic_init(&p->caller_sleeps, false);
  atomic_init(&p->quit, false);
  memset(&p->lock, 0, sizeof p->lock);
  memset(&p->wake, 0, sizeof p->wake);
  memset(&p->done, 0, sizeof p->done);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  pthread_cond_init(&p->done, NULL);
  // Signals are the host program's: its own threads take them. Faults stay.
  ex_sigset all, old;
  ex_sigset_fill(&all);
  pthread_sigmask(EX_SIG_SETMASK, &all, &old);
  for (p->threads = 1; p->threads < p->wanted; p->threads++) {
    worker *w = &p->w[p->threads - 1];
    w->pool = p;
    w->index = p->threads;
    if (pthread_create(&w->thread, NULL, work, w))
      break;
  }
  pthread_sigmask(EX_SIG_SETMASK, &old, NULL);
}

void fv_pool_run(fv_pool *p, uint32_t count, void (*task)(void *arg, uint32_t index), void *arg) {
  if (count > 1 && p->process != getpid())
    start(p);
  const uint32_t shared = count < p->threads ? count : p->threads;
  if (shared > 1) {
    p->task = task;
    p->arg = arg;
    atomic_store_explicit(&p->pending, shared - 1, memory_order_relaxed);
    post(p, shared);
  }
  if (count)
    task(arg, 0);
  for (uint32_t i = shared; i < count; i++)
    task(arg, i);
  if (shared > 1)
    join(p);
}

uint32_t fv_pool_threads(const fv_pool *p) {
  return p->threads;
}

fv_pool *fv_pool_create(uint32_t threads) {
  threads = threads < 1 ? 1 : threads > FV_POOL_MAX ? FV_POOL_MAX : threads;
  const size_t bytes = sizeof(fv_pool) + (threads - 1) * sizeof(worker);
  fv_pool *p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  if (!p)
    return NULL;
  memset(p, 0, bytes);
  p->wanted = threads;
  start(p);
  return p;
}

void fv_pool_destroy(fv_pool *p) {
  if (!p)
    return;
  if (p->process == getpid()) {
    atomic_store(&p->quit, true);
    post(p, 0);
    for (uint32_t i = 0; i + 1 < p->threads; i++)
      pthread_join(p->w[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
  }
  free(p);
}
