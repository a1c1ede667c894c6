// SPDX-License-Identifier: Apache-2.0
//
// One executable, many threads, each with a context of its own.
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#include "fovea/fovea.h"

enum { THREADS = 4, ROUNDS = 6, SLICES = 3000, ROWS = SLICES + 2 };

// Each slice has an index of its own, and the first run makes the expressions that go with it.
static void write_model(const char *path) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f,
          "<model name=\"m\" xmlns=\"urn:fovea:model:1\">"
          "<input name=\"x\" type=\"f32\" shape=\"%d, 3\"/>"
          "<slice x=\"x\" axis=\"0\" start=\"0\" end=\"2\" out=\"s0\"/>",
          ROWS);
  for (int i = 1; i <= SLICES; i++)
    fprintf(f,
            "<slice x=\"x\" axis=\"0\" start=\"%d\" end=\"%d\" out=\"t%d\"/>"
            "<add a=\"s%d\" b=\"t%d\" out=\"s%d\"/>",
            i, i + 2, i, i - 1, i, i);
  fprintf(f, "<output name=\"y\" value=\"s%d\"/></model>", SLICES);
  assert_int_equal(fclose(f), 0);
}

static fv_executable *executable;
static pthread_barrier_t all_ready;

static void *work(void *arg) {
  float x[ROWS * 3];
  for (int i = 0; i < ROWS * 3; i++)
    x[i] = (float)(i / 3);
  const fv_tensor_io in = {.name = "x", .dtype = FV_f32, .rank = 2, .dim = {ROWS, 3}, .data = x};
  fv_tensor_io out;
  fv_diag_sink silent = {0};
  fv_context *c = NULL;
  const fv_status made = fv_context_create(executable, 1, &silent, &c);
  pthread_barrier_wait(&all_ready);
  bool *good = arg;
  *good = made == FV_OK && fv_context_run(c, "main", &in, 1, NULL, 0, &out, 1, &silent) == FV_OK;
  for (int i = 0; i < 6 && *good; i++)  // row r: the sum of r .. SLICES + r
    *good = ((const float *)out.data)[i] == (float)((SLICES + 1) * (SLICES / 2 + i / 3));
  fv_context_destroy(c);
  return NULL;
}

static void test_runs_at_the_same_time(void **state) {
  (void)state;
  const char *folder = scratch_dir();
  char path[4200];
  snprintf(path, sizeof path, "%s/m.xml", folder);
  write_model(path);
  collected log = {0};
  fv_diag_sink diag = COLLECTING_SINK(&log);
  fv_model *m = NULL;
  const fv_compile_options o = {.struct_size = sizeof o, .backend = "reference"};
  if (fv_model_load(path, NULL, &diag, &m) != FV_OK)
    fail_msg("%s", log.text);
  assert_int_equal(pthread_barrier_init(&all_ready, NULL, THREADS), 0);
  for (int round = 0; round < ROUNDS; round++) {
    if (fv_compile(m, &o, &diag, &executable) != FV_OK)
      fail_msg("%s", log.text);
    pthread_t thread[THREADS];
    bool good[THREADS];
    for (int i = 0; i < THREADS; i++)
      assert_int_equal(pthread_create(&thread[i], NULL, work, &good[i]), 0);
    for (int i = 0; i < THREADS; i++)
      assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
      assert_true(good[i]);
    fv_executable_destroy(executable);
  }
  pthread_barrier_destroy(&all_ready);
  fv_model_destroy(m);
  unlink(path);
  rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_runs_at_the_same_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
