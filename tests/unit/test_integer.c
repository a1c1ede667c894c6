// SPDX-License-Identifier: Apache-2.0
#include "base/integer.h"

#include "tests/unit/unit.h"

// a = q b + r, where r is less than b and of its sign (floored) or of that of a (truncated); all
// but INT64_MIN / -1, which wraps.
static void divisions_are_what_they_are_called(void **state) {
  (void)state;
  static const int64_t edge[] = {INT64_MIN, -(INT64_C(1) << 53), -64,      -1, 0, 1,
                                 64,        INT64_C(1) << 53,    INT64_MAX};
  enum { EDGES = sizeof edge / sizeof *edge, ROOM = 7 };
  int64_t number[EDGES * ROOM];
  for (int i = 0; i < EDGES * ROOM; i++)
    number[i] = (int64_t)((uint64_t)edge[i / ROOM] + (uint64_t)(int64_t)(i % ROOM - ROOM / 2));
  for (int i = 0; i < EDGES * ROOM; i++)
    for (int k = 0; k < EDGES * ROOM; k++) {
      const int64_t a = number[i], b = number[k];
      if (b == 0)
        continue;
      const int64_t q = fv_quotient_i64(a, b), r = fv_remainder_i64(a, b);
      const int64_t floored = fv_floordiv_i64(a, b), mod = fv_mod_i64(a, b);
      assert_true((uint64_t)q * (uint64_t)b + (uint64_t)r == (uint64_t)a);
      assert_true((uint64_t)floored * (uint64_t)b + (uint64_t)mod == (uint64_t)a);
      assert_true(r == 0 || (r < 0) == (a < 0));
      assert_true(mod == 0 || (mod < 0) == (b < 0));
      assert_true(b < 0 ? r > b && (b == INT64_MIN || r < -b) : r < b && r > -b);
      assert_true(b < 0 ? mod > b : mod < b);
    }
  assert_true(fv_quotient_i64(INT64_MIN, -1) == INT64_MIN);
  assert_true(fv_floordiv_i64(INT64_MIN, -1) == INT64_MIN && fv_mod_i64(INT64_MIN, -1) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(divisions_are_what_they_are_called),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
