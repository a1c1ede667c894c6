// SPDX-License-Identifier: Apache-2.0
// The thread pool and the CPU device: every task once, the same bits for any
// number of threads, the caller's floating-point environment.
#include "tests/unit/unit.h"

#include <fenv.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/exec/cpu.h"
#include "runtime/exec/pool.h"

typedef struct tally {
  int32_t count[16];  // by task; no two threads share an element
  pthread_t thread[16];
} tally;

static void count_task(void *arg, uint32_t i) {
  tally *t = arg;
  t->count[i]++;
  t->thread[i] = pthread_self();
}

static void test_every_task_once(void **state) {
  (void)state;
  for (uint32_t threads = 1; threads <= 8; threads++) {
    fv_pool *p = fv_pool_create(threads);
    assert_non_null(p);
    assert_int_equal(fv_pool_threads(p), threads);
    for (int round = 0; round < 300; round++)
      for (uint32_t n = 0; n <= threads; n++) {
        tally t = {{0}, {0}};
        fv_pool_run(p, n, count_task, &t);
        for (uint32_t i = 0; i < 16; i++)
          assert_int_equal(t.count[i], i < n);
        if (n)
          assert_true(pthread_equal(t.thread[0], pthread_self()));
      }
    fv_pool_destroy(p);
  }
  fv_pool_destroy(NULL);
}

// Workers that have gone to sleep wake again; so does a caller that waits long.
static void slow_task(void *arg, uint32_t i) {
  if (i == 1)
    usleep(3000);
  count_task(arg, i);
}
static void test_sleepers(void **state) {
  (void)state;
  fv_pool *p = fv_pool_create(3);
  for (int round = 0; round < 30; round++) {
    tally t = {{0}, {0}};
    usleep(round % 3 ? 2000 : 0);
    fv_pool_run(p, 3, slow_task, &t);
    assert_true(t.count[0] == 1 && t.count[1] == 1 && t.count[2] == 1);
  }
  usleep(2000);
  fv_pool_destroy(p);
}

// After a fork the child has none of the threads; the pool makes them again, and does not wait for
// those that are gone. The workers sleep or spin at the time.
static void test_fork(void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip();  // it does not allow a child to start threads
#endif
  for (int round = 0; round < 6; round++) {
    fv_pool *p = fv_pool_create(3);
    tally t = {{0}, {0}};
    fv_pool_run(p, 3, count_task, &t);
    usleep(round % 2 ? 20000 : 0);
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      for (int i = 0; i < 100 && round < 4; i++)
        fv_pool_run(p, 3, count_task, &t);
      const bool ok = round >= 4 || (t.count[0] == 101 && t.count[1] == 101 && t.count[2] == 101 &&
                                     !pthread_equal(t.thread[1], t.thread[2]));
      fv_pool_destroy(p);
      _exit(ok ? 0 : 1);
    }
    int status;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fv_pool_run(p, 3, count_task, &t);
    assert_true(t.count[0] == 2 && t.count[1] == 2 && t.count[2] == 2);
    fv_pool_destroy(p);
  }
}

// More tasks than threads: the caller takes the rest.
static void test_more_tasks(void **state) {
  (void)state;
  fv_pool *p = fv_pool_create(2);
  tally t = {{0}, {0}};
  fv_pool_run(p, 16, count_task, &t);
  for (uint32_t i = 0; i < 16; i++)
    assert_int_equal(t.count[i], 1);
  fv_pool_destroy(p);
}

static void *own_pool(void *arg) {
  fv_pool *p = fv_pool_create(2);
  for (int i = 0; i < 500; i++)
    fv_pool_run(p, 2, count_task, arg);
  fv_pool_destroy(p);
  return NULL;
}
static void test_many_pools(void **state) {
  (void)state;
  pthread_t t[4];
  tally tallies[4] = {{{0}, {0}}};
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&t[i], NULL, own_pool, &tallies[i]), 0);
  for (int i = 0; i < 4; i++) {
    pthread_join(t[i], NULL);
    assert_true(tallies[i].count[0] == 500 && tallies[i].count[1] == 500);
  }
}

static void test_count(void **state) {
  (void)state;
  const uint32_t n = fv_cpu_count();
  assert_true(n >= 1 && n <= (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
}

//===-- The CPU device ----------------------------------------------------------===//

// Each block is added up serially into its own element; scratch holds its terms.
static int32_t k_sum(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                     int64_t end) {
  const float *x = buf[0];
  float *y = buf[1], *terms = scratch;
  for (int64_t b = begin; b < end; b++) {
    float sum = 0;
    for (int64_t i = 0; i < scalar[0]; i++)
      terms[i] = x[b * scalar[0] + i] * 1.1f;
    for (int64_t i = 0; i < scalar[0]; i++)
      sum += terms[i];
    y[b] = sum;
  }
  return 0;
}
// Fails site `block` from block 5 on.
static int32_t k_fail(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                      int64_t end) {
  (void)buf;
  (void)scalar;
  (void)scratch;
  for (int64_t b = begin; b < end; b++)
    if (b >= 5)
      return (int32_t)b + 1;
  return 0;
}
// What the environment is: rounding, and whether denormals live.
static int32_t k_environment(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                             int64_t end) {
  (void)scalar;
  (void)scratch;
  volatile float small = 1e-38f, one = 1, tiny = 1e-10f;
  for (int64_t b = begin; b < end; b++)
    ((int32_t *)buf[0])[b] = one + tiny == one && one - tiny == one && small / 8 > 0;
  return 0;
}
static const fv_cpu_kernel_fn kernels[] = {k_sum, k_fail, k_environment};

static void serial_for(void *user, uint32_t count, void (*task)(void *arg, uint32_t i), void *arg) {
  ++*(int *)user;
  for (uint32_t i = count; i-- > 0;)
    task(arg, i);
}

static void test_same_bits(void **state) {
  (void)state;
  enum { BLOCKS = 37, N = 129 };
  static float x[BLOCKS * N], want[BLOCKS], y[BLOCKS];
  for (int i = 0; i < BLOCKS * N; i++)
    x[i] = (float)((i * 7919) % 1000) / 17.0f;
  const fv_device_ops *ops = fv_cpu_ops();
  const fv_memref buf[] = {{x, 0}, {y, 0}};
  const int64_t n = N;
  for (uint32_t threads = 1; threads <= 9; threads++) {
    int calls = 0;
    fv_model_options o = {.struct_size = sizeof o, .threads = threads, .user = &calls};
    if (threads == 9)
      o.parallel_for = serial_for;
    fv_cpu_device *d = fv_cpu_create(kernels, 3, &o);
    assert_int_equal(fv_cpu_threads(d), threads);
    memset(y, 0, sizeof y);
    assert_int_equal(ops->reserve(d, N * 4), 0);
    assert_int_equal(ops->launch(d, 0, 2, buf, 1, &n, BLOCKS, N * 4), 0);
    if (threads == 1)
      memcpy(want, y, sizeof y);
    assert_memory_equal(y, want, sizeof y);
    for (int again = 0; again < 20; again++)  // on fewer threads, once it is known how short it is
      assert_int_equal(ops->launch(d, 0, 2, buf, 1, &n, BLOCKS, N * 4), 0);
    assert_memory_equal(y, want, sizeof y);
    for (int64_t blocks = 1; blocks <= BLOCKS; blocks++)  // the lowest failure, always
      assert_int_equal(ops->launch(d, 1, 0, NULL, 0, NULL, blocks, 0), blocks > 5 ? 6 : 0);
    assert_int_equal(ops->launch(d, 3, 0, NULL, 0, NULL, 1, 0), -1);
    assert_int_equal(ops->reserve(d, INT64_MAX), -1);
    assert_true(threads < 9 ? calls == 0 : calls > 0);
    fv_cpu_destroy(d);
  }
}

static void test_environment(void **state) {
  (void)state;
  const fv_device_ops *ops = fv_cpu_ops();
  int32_t ok[8];
  const fv_memref buf = {ok, 0};
  for (uint32_t threads = 1; threads <= 4; threads++) {
    const fv_model_options o = {.struct_size = sizeof o, .threads = threads};
    fv_cpu_device *d = fv_cpu_create(kernels, 3, &o);
    memset(ok, 0, sizeof ok);
    fesetround(FE_UPWARD);
#if defined(__x86_64__)
    const unsigned old = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(old | 0x8040);  // flush denormals
#endif
    const int32_t r = ops->launch(d, 2, 1, &buf, 0, NULL, 8, 0);
#if defined(__x86_64__)
    const unsigned after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(old);
    assert_true((after & 0xffc0) == ((old | 0x8040) & 0xffc0));
#endif
    assert_int_equal(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    assert_int_equal(r, 0);
    for (int i = 0; i < 8; i++)
      assert_int_equal(ok[i], 1);
    fv_cpu_destroy(d);
  }
}

static void test_features(void **state) {
  (void)state;
  char missing[32] = "";
  assert_true(fv_cpu_has(NULL, missing, sizeof missing));
  assert_true(fv_cpu_has("", missing, sizeof missing));
  assert_false(fv_cpu_has("of-some-other-kind", missing, sizeof missing));
  assert_string_equal(missing, "of-some-other-kind");
#if defined(__x86_64__)
  assert_int_equal(fv_cpu_has("avx2", missing, sizeof missing), !!__builtin_cpu_supports("avx2"));
  assert_int_equal(fv_cpu_has("fma", missing, sizeof missing), !!__builtin_cpu_supports("fma"));
  assert_int_equal(fv_cpu_has("sse3,avx512f", missing, sizeof missing),
                   !!__builtin_cpu_supports("avx512f"));
  if (!__builtin_cpu_supports("avx512f"))
    assert_string_equal(missing, "avx512f");
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_task_once),
      cmocka_unit_test(test_sleepers),
      cmocka_unit_test(test_many_pools),
      cmocka_unit_test(test_count),
      cmocka_unit_test(test_fork),
      cmocka_unit_test(test_more_tasks),
      cmocka_unit_test(test_same_bits),
      cmocka_unit_test(test_environment),
      cmocka_unit_test(test_features),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
