// SPDX-License-Identifier: Apache-2.0
#include "base/checked.h"

#include "base/hash.h"
#include "tests/unit/unit.h"

static void overflow_leaves_the_result_alone(void **state) {
  (void)state;
  int64_t r = 77;
  assert_false(fv_add_i64(INT64_MAX, 1, &r));
  assert_false(fv_add_i64(INT64_MIN, -1, &r));
  assert_false(fv_sub_i64(INT64_MIN, 1, &r));
  assert_false(fv_sub_i64(0, INT64_MIN, &r));
  assert_false(fv_mul_i64(INT64_MAX / 2 + 1, 2, &r));
  assert_false(fv_mul_i64(INT64_MIN, -1, &r));
  assert_int_equal(r, 77);
  size_t s = 78;
  assert_false(fv_add_size(SIZE_MAX, 1, &s));
  assert_false(fv_mul_size(SIZE_MAX, 2, &s));
  assert_int_equal(s, 78);
}

static void results_at_the_border(void **state) {
  (void)state;
  int64_t r;
  assert_true(fv_add_i64(INT64_MAX - 1, 1, &r) && r == INT64_MAX);
  assert_true(fv_sub_i64(-1, INT64_MAX, &r) && r == INT64_MIN);
  assert_true(fv_mul_i64(INT64_MIN / 2, 2, &r) && r == INT64_MIN);
  size_t s;
  assert_true(fv_add_size(SIZE_MAX - 1, 1, &s) && s == SIZE_MAX);
  assert_true(fv_mul_size(SIZE_MAX, 1, &s) && s == SIZE_MAX);
}

static void bytes_of_a_tensor(void **state) {
  (void)state;
  int64_t r = 77;
  assert_true(fv_bytes_i64(NULL, 0, 4, &r) && r == 4);
  assert_true(fv_bytes_i64((int64_t[]){3, 5}, 2, 4, &r) && r == 60);
  assert_true(fv_bytes_i64((int64_t[]){3, 0, 5}, 3, 4, &r) && r == 0);
  assert_true(fv_bytes_i64((int64_t[]){FV_MAX_BYTES}, 1, 1, &r) && r == FV_MAX_BYTES);
  r = 77;
  assert_false(fv_bytes_i64((int64_t[]){FV_MAX_BYTES + 1}, 1, 1, &r));
  assert_false(fv_bytes_i64((int64_t[]){-1}, 1, 4, &r));
  assert_false(fv_bytes_i64((int64_t[]){INT64_C(1) << 60}, 1, 4, &r));
  assert_false(fv_bytes_i64((int64_t[]){INT64_C(1) << 40, INT64_C(1) << 40}, 2, 4, &r));
  assert_false(fv_bytes_i64((int64_t[]){0, -3}, 2, 4, &r));
  assert_int_equal(r, 77);
}

static void alignment(void **state) {
  (void)state;
  int64_t r;
  assert_true(fv_align_i64(0, 64, &r) && r == 0);
  assert_true(fv_align_i64(1, 64, &r) && r == 64);
  assert_true(fv_align_i64(64, 64, &r) && r == 64);
  assert_true(fv_align_i64(65, 64, &r) && r == 128);
  assert_false(fv_align_i64(INT64_MAX, 64, &r));
}

static void statuses_have_texts_and_exit_codes(void **state) {
  (void)state;
  assert_string_equal(fv_status_text(FV_OK), "ok");
  assert_int_equal(fv_status_exit_code(FV_OK), 0);
  assert_int_equal(fv_status_exit_code(FV_ERR_NO), 1);
  assert_int_equal(fv_status_exit_code(FV_ERR_ARG), 2);
  assert_int_equal(fv_status_exit_code(FV_ERR_PARSE), 3);
  assert_int_equal(fv_status_exit_code(FV_ERR_UNSUPPORTED), 4);
  assert_int_equal(fv_status_exit_code(FV_ERR_INTERNAL), 5);
  assert_string_equal(fv_status_text((fv_status)1000), "unknown status");
  assert_int_equal(fv_status_exit_code((fv_status)1000), 5);
}

// Hashes stand in manifests and caches: they may not change.
static void hashes_are_those_of_xxh3(void **state) {
  (void)state;
  assert_true(fv_hash64("", 0, 0) == UINT64_C(0x2D06800538D394C2));
  const fv_hash128 h = fv_hash_bytes("", 0);
  assert_true(h.lo == UINT64_C(0x6001C324468D497F));
  assert_true(h.hi == UINT64_C(0x99AA06D3014798D8));
  assert_true(fv_hash64("a", 1, 0) != fv_hash64("a", 1, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(overflow_leaves_the_result_alone),
      cmocka_unit_test(results_at_the_border),
      cmocka_unit_test(bytes_of_a_tensor),
      cmocka_unit_test(alignment),
      cmocka_unit_test(statuses_have_texts_and_exit_codes),
      cmocka_unit_test(hashes_are_those_of_xxh3),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
