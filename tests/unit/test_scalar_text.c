// SPDX-License-Identifier: Apache-2.0
//
// Numbers as text against what each element type holds.
#include "unit.h"

#include <math.h>

#include "base/str.h"
#include "ir/expr/dtype.h"
#include "ir/expr/expr.h"

__extension__ typedef __int128 wide;

static const char *read(fv_dtype t, const char *text, fv_scalar *out) {
  return fv_scalar_parse(t, text, strlen(text), out);
}

// A 65-bit number in one of several spellings of the same.
static void spell(char *text, size_t room, wide v, int form) {
  const char *const sign = v < 0 ? "-" : "";
  const unsigned long long n = (unsigned long long)(v < 0 ? -v : v);
  switch (form) {
  case 0: (void)snprintf(text, room, "%s%llu", sign, n); return;
  case 1: (void)snprintf(text, room, "%s%llu.0", sign, n); return;
  case 2: (void)snprintf(text, room, "%s%llue0", sign, n); return;
  case 3: (void)snprintf(text, room, "%s%llu00E-2", sign, n); return;
  default:
    (void)snprintf(text, room, "%s000%llu.%010llue+10", sign, n / 10000000000, n % 10000000000);
    return;
  }
}

// Every integer around the ends of every integer type, and around 2^53.
static void integers(void **state) {
  (void)state;
  static const fv_dtype types[] = {FV_i8, FV_u8, FV_i16, FV_i32, FV_i64};
  static const int64_t lo[] = {INT8_MIN, 0, INT16_MIN, INT32_MIN, INT64_MIN};
  static const int64_t hi[] = {INT8_MAX, UINT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX};
  const int64_t around[] = {-(INT64_C(1) << 53), INT64_C(1) << 53};
  for (size_t k = 0; k < FV_COUNTOF(types); k++)
    for (int d = -1100; d <= 1100; d++)
      for (int at = 0; at < 4; at++) {
        const wide v = (wide)(at < 2 ? around[at] : at == 2 ? lo[k] : hi[k]) + d;
        const bool fits = v >= lo[k] && v <= hi[k];
        for (int form = 0; form < 5; form++) {
          char text[64];
          spell(text, sizeof text, v, form);
          fv_scalar got = {0};
          const char *why = read(types[k], text, &got);
          if ((why == NULL) != fits || (fits && got.i != v))
            fail_msg("%s as %s: %s", text, fv_dtype_name(types[k]), why ? why : "another number");
          assert_true(fits || strcmp(why, "is out of the range of") == 0);
        }
      }
  fv_scalar v;
  assert_null(read(FV_i64, "-9223372036854775808", &v));
  assert_null(read(FV_i64, "9223372036854775807", &v));
  assert_non_null(read(FV_i64, "9223372036854775808", &v));
  assert_non_null(read(FV_i64, "1.5", &v));
  assert_non_null(read(FV_bool, "2", &v));
  assert_null(read(FV_bool, "true", &v));
  assert_non_null(read(FV_i8, "true", &v));
}

// Between the greatest value and what rounds to infinity lies half a step.
static void floats(void **state) {
  (void)state;
  static const struct {
    fv_dtype t;
    double greatest, beyond;
  } row[] = {{FV_f16, 65504, 65520},
             {FV_bf16, 0x1.fep127, 0x1.ffp127},
             {FV_f32, 0x1.fffffep127, 0x1.ffffffp127}};
  for (size_t k = 0; k < FV_COUNTOF(row); k++)
    for (int sign = -1; sign <= 1; sign += 2) {
      const double v[] = {row[k].greatest, nextafter(row[k].beyond, 0), row[k].beyond, 1e300};
      for (size_t i = 0; i < FV_COUNTOF(v); i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%.17g", sign * v[i]);
        fv_scalar got = {0};
        assert_int_equal(read(row[k].t, text, &got) == NULL, i < 2);
        assert_int_equal(fv_scalar_holds(row[k].t, sign * v[i]), i < 2);
        assert_null(read(FV_f64, text, &got));
      }
    }
}

// What is no number but meant is allowed where floats are.
static void meant(void **state) {
  (void)state;
  static const fv_dtype types[] = {FV_f16, FV_bf16, FV_f32, FV_f64};
  for (size_t k = 0; k < FV_COUNTOF(types); k++) {
    fv_scalar v = {0};
    assert_null(read(types[k], "-0.0", &v));
    assert_true(v.f == 0 && signbit(v.f));
    assert_null(read(types[k], "inf", &v));
    assert_true(isinf(v.f) && v.f > 0);
    assert_null(read(types[k], "-inf", &v));
    assert_true(isinf(v.f) && v.f < 0);
    assert_null(read(types[k], "nan", &v));
    assert_true(isnan(v.f));
    assert_null(read(types[k], "1e-300", &v));  // rounds to 0, which is near
    assert_non_null(read(types[k], "1e400", &v));
    assert_non_null(read(types[k], "true", &v));
  }
  fv_scalar v;
  assert_non_null(read(FV_i32, "inf", &v));
  assert_non_null(read(FV_i32, "nan", &v));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers),
      cmocka_unit_test(floats),
      cmocka_unit_test(meant),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
