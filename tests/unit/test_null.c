// SPDX-License-Identifier: Apache-2.0
//
// NULL for whatever a header calls optional: the sink above all, in good calls and in refused ones.
#include "unit.h"

#include <unistd.h>

#include "fovea/fovea.h"

#define MODEL FV_SOURCE_DIR "/tests/golden/cli/small.xml"

static void models(void **state) {
  (void)state;
  fv_model *m = NULL;
  fv_bytes b = {0};
  int n = 0;
  const char *const op = "add";
  assert_int_equal(fv_model_load("nosuch.xml", NULL, NULL, &m), FV_ERR_IO);
  assert_int_not_equal(
      fv_model_load(FV_SOURCE_DIR "/tests/golden/xml/literals.xml", NULL, NULL, &m), FV_OK);
  assert_int_equal(fv_model_load(MODEL, NULL, NULL, &m), FV_OK);
  assert_int_equal(fv_model_count_ops(m, NULL, &op, 1, &n, NULL), FV_OK);
  assert_int_not_equal(fv_model_count_ops(m, "nosuch", &op, 1, &n, NULL), FV_OK);
  assert_int_equal(fv_model_emit(m, "text", NULL, NULL, &b), FV_OK);
  fv_bytes_free(&b);
  assert_int_not_equal(fv_model_emit(m, "nosuch", NULL, NULL, &b), FV_OK);
  assert_int_equal(fv_format(MODEL, NULL, &b), FV_OK);
  fv_bytes_free(&b);
  assert_int_not_equal(fv_format("nosuch.xml", NULL, &b), FV_OK);
  fv_model_destroy(m);
  fv_model_destroy(NULL);
}

static void contexts(fv_executable *e) {
  const int64_t k[2] = {10, 20};
  const float x[4] = {1, 2, 3, 4};
  const uint8_t keep[2] = {1, 0};
  fv_context *c = NULL;
  assert_int_equal(fv_context_create(e, 1, NULL, &c), FV_OK);
  const fv_tensor_io in[] = {{"x", FV_f32, 2, {2, 2}, (void *)(uintptr_t)x},
                             {"n", FV_i64, 1, {2}, (void *)(uintptr_t)k},
                             {"keep", FV_bool, 2, {2, 1}, (void *)(uintptr_t)keep}};
  assert_int_equal(fv_context_run(c, "main", in, 3, NULL, 0, NULL, 0, NULL), FV_OK);
  assert_int_equal(fv_context_run(c, NULL, in, 3, NULL, 0, NULL, 0, NULL), FV_OK);
  assert_int_equal(fv_context_again(c, NULL), FV_OK);
  assert_int_equal(fv_context_reset(c, NULL), FV_OK);
  assert_int_equal(fv_context_run(c, "main", NULL, 0, NULL, 0, NULL, 0, NULL), FV_ERR_ARG);
  assert_int_equal(fv_context_run(c, "nosuch", in, 3, NULL, 0, NULL, 0, NULL), FV_ERR_ARG);
  fv_context_destroy(c);
  fv_context_destroy(NULL);
}

static void executables(void **state) {
  (void)state;
  static const char *const backends[] = {"reference", "interpreter", NULL};
  fv_model *m = NULL;
  assert_int_equal(fv_model_load(MODEL, NULL, NULL, &m), FV_OK);
  assert_int_equal(fv_compile_check(NULL, NULL), FV_OK);
  for (size_t i = 0; i < FV_COUNTOF(backends); i++) {
    const fv_compile_options o = {.struct_size = sizeof o, .backend = backends[i]};
    fv_executable *e = NULL;
    fv_bytes b = {0};
    assert_int_equal(fv_compile_check(&o, NULL), FV_OK);
    assert_int_equal(fv_compile(m, &o, NULL, &e), FV_OK);
    assert_int_not_equal(fv_executable_emit(e, "nosuch", NULL, &b), FV_OK);
    contexts(e);
    fv_executable_destroy(e);
  }
  const fv_compile_options wrong = {.struct_size = sizeof wrong, .backend = "nosuch"};
  fv_executable *e = NULL;
  assert_int_equal(fv_compile_check(&wrong, NULL), FV_ERR_ARG);
  assert_int_not_equal(fv_compile(m, &wrong, NULL, &e), FV_OK);
  fv_executable_destroy(NULL);
  fv_model_destroy(m);
}

static void libraries(void **state) {
  (void)state;
  const char *folder = scratch_dir();
  char library[4200], header[4200];
  (void)snprintf(library, sizeof library, "%s/libsmall.so", folder);
  (void)snprintf(header, sizeof header, "%s/small.h", folder);
  fv_model *m = NULL;
  fv_executable *e = NULL;
  assert_int_equal(fv_model_load(MODEL, NULL, NULL, &m), FV_OK);
  assert_int_equal(fv_compile(m, NULL, NULL, &e), FV_OK);
  fv_model_destroy(m);
  assert_int_equal(
      fv_executable_write_library(e, NULL, FV_LIBRARY_SHARED, library, header, NULL, NULL), FV_OK);
  assert_int_not_equal(fv_executable_write_library(e, NULL, FV_LIBRARY_SHARED, "/nosuch/libm.so",
                                                   header, NULL, NULL),
                       FV_OK);
  fv_executable_destroy(e);
  assert_int_equal(fv_executable_load(library, NULL, &e), FV_OK);
  contexts(e);
  fv_executable_destroy(e);
  assert_int_not_equal(fv_executable_load(header, NULL, &e), FV_OK);
  assert_int_equal(unlink(library) | unlink(header) | rmdir(folder), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(models),
      cmocka_unit_test(executables),
      cmocka_unit_test(libraries),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
