// SPDX-License-Identifier: Apache-2.0
#include "base/str.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#include "tests/unit/unit.h"

static fv_arena *ar;

static const char *double_text(double v) {
  fv_str s = {.arena = ar};
  fv_str_double(&s, v);
  return s.data;
}

static const char *json_text(const char *text, size_t n) {
  fv_str s = {.arena = ar};
  fv_str_json(&s, text, n);
  return s.data;
}

static void strings_grow(void **state) {
  (void)state;
  fv_str s = {.arena = ar};
  fv_str_append(&s, NULL, 0);
  assert_string_equal(s.data, "");
  fv_str_puts(&s, "ab");
  fv_str_printf(&s, "%d", 12);
  fv_str_append(&s, "\0c", 2);
  assert_int_equal(s.size, 6);
  assert_memory_equal(s.data, "ab12\0c", 7);
  for (int i = 0; i < 5000; i++)
    fv_str_printf(&s, "%04d", i);
  assert_int_equal(s.size, 6 + 4 * 5000);
  assert_memory_equal(s.data + s.size - 8, "49984999", 9);
}

static void doubles_are_short(void **state) {
  (void)state;
  static const struct {
    double v;
    const char *text;
  } cases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {-1.5, "-1.5"},
      {100.0, "100.0"},
      {0.1, "0.1"},
      {0.3, "0.3"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1e-5, "0.00001"},
      {1.25e-5, "0.0000125"},
      {1e-6, "1e-6"},
      {1e16, "10000000000000000.0"},
      {1e17, "1e17"},
      {1.5e300, "1.5e300"},
      {123456.75, "123456.75"},
      {1.0 / 3, "0.3333333333333333"},
      {DBL_MAX, "1.7976931348623157e308"},
      {DBL_MIN, "2.2250738585072014e-308"},
      {5e-324, "5e-324"},
      {(double)NAN, "nan"},
      {(double)INFINITY, "inf"},
      {-(double)INFINITY, "-inf"},
  };
  for (size_t i = 0; i < FV_COUNTOF(cases); i++)
    assert_string_equal(double_text(cases[i].v), cases[i].text);
}

static void doubles_read_back(void **state) {
  (void)state;
  uint64_t bits = 88172645463325252u;
  for (int i = 0; i < 100000; i++) {
    bits ^= bits << 13;
    bits ^= bits >> 7;
    bits ^= bits << 17;
    double v, back;
    memcpy(&v, &bits, sizeof v);
    if (!isfinite(v))
      continue;
    const char *text = double_text(v);
    assert_true(fv_parse_double(text, strlen(text), &back));
    assert_memory_equal(&v, &back, sizeof v);
    assert_non_null(strpbrk(text, ".e"));
  }
}

// "C.UTF-8" has a point, too; the test is of use where a locale with a comma is.
static void locales_do_not_matter(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8", "C.UTF-8"};
  for (size_t i = 0; i < FV_COUNTOF(names); i++) {
    if (!setlocale(LC_ALL, names[i]))
      continue;
    double v;
    assert_string_equal(double_text(1.5), "1.5");
    assert_true(fv_parse_double("2.5", 3, &v) && v == 2.5);
    setlocale(LC_ALL, "C");
  }
}

static void integers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t v;
  } good[] = {{"0", 0},
              {"-0", 0},
              {"7", 7},
              {"-12", -12},
              {"007", 7},
              {"9223372036854775807", INT64_MAX},
              {"-9223372036854775808", INT64_MIN}};
  for (size_t i = 0; i < FV_COUNTOF(good); i++) {
    int64_t v = 1;
    assert_true(fv_parse_i64(good[i].text, strlen(good[i].text), &v));
    assert_true(v == good[i].v);
  }
  static const char *const bad[] = {"",
                                    "-",
                                    "+1",
                                    " 1",
                                    "1 ",
                                    "1.0",
                                    "0x1",
                                    "--1",
                                    "1e3",
                                    "9223372036854775808",
                                    "-9223372036854775809",
                                    "99999999999999999999999"};
  for (size_t i = 0; i < FV_COUNTOF(bad); i++) {
    int64_t v = 5;
    assert_false(fv_parse_i64(bad[i], strlen(bad[i]), &v));
    assert_int_equal(v, 5);
  }
  int64_t v;
  assert_true(fv_parse_i64("123x", 3, &v) && v == 123);
  assert_false(fv_parse_i64("1\0002", 3, &v));
}

static void doubles(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double v;
  } good[] = {{"0", 0.0},
              {"1.", 1.0},
              {".5", 0.5},
              {"-.5", -0.5},
              {"1e3", 1000.0},
              {"1E+3", 1000.0},
              {"1e-3", 1e-3},
              {"-2.5e1", -25.0},
              {"inf", (double)INFINITY},
              {"-inf", -(double)INFINITY},
              {"1e-400", 0.0}};
  for (size_t i = 0; i < FV_COUNTOF(good); i++) {
    double v = 9;
    assert_true(fv_parse_double(good[i].text, strlen(good[i].text), &v));
    assert_true(v == good[i].v);
  }
  static const char *const bad[] = {"",     "-",   ".",     "e1",    "1e",    "1e+",
                                    "+1",   " 1",  "1 ",    "0x1p3", "1,5",   "infinity",
                                    "-nan", "NaN", "1.2.3", "1e400", "1e5.0", "1f"};
  for (size_t i = 0; i < FV_COUNTOF(bad); i++) {
    double v = 9;
    assert_false(fv_parse_double(bad[i], strlen(bad[i]), &v));
    assert_true(v == 9);
  }
  double v;
  assert_true(fv_parse_double("nan", 3, &v) && isnan(v));
  char longer[2000];
  memset(longer, '1', sizeof longer);
  assert_false(fv_parse_double(longer, sizeof longer, &v));
}

// What JSON has no number for is a word, which is read again.
static void json_doubles(void **state) {
  (void)state;
  static const struct {
    double v;
    const char *text;
  } row[] = {{(double)NAN, "\"NaN\""},
             {(double)INFINITY, "\"Infinity\""},
             {-(double)INFINITY, "\"-Infinity\""},
             {-0.0, "-0.0"},
             {0.1, "0.1"}};
  for (size_t i = 0; i < FV_COUNTOF(row); i++) {
    fv_str s = {.arena = ar};
    fv_str_json_double(&s, row[i].v);
    assert_string_equal(s.data, row[i].text);
    const size_t quote = s.data[0] == '"';
    double v = 9;
    assert_true(fv_parse_json_double(s.data + quote, s.size - 2 * quote, &v));
    assert_true(isnan(row[i].v) ? isnan(v) : v == row[i].v);
  }
}

static void json_is_escaped(void **state) {
  (void)state;
  assert_string_equal(json_text("", 0), "\"\"");
  assert_string_equal(json_text("a\"b\\c\n\t\r", 8), "\"a\\\"b\\\\c\\n\\t\\r\"");
  assert_string_equal(json_text("\0\x1f\x7f", 3), "\"\\u0000\\u001f\\u007f\"");
  assert_string_equal(json_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9),
                      "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
  // Lone, overlong, surrogate, too large, cut off.
  assert_string_equal(json_text("\x80", 1), "\"\\ufffd\"");
  assert_string_equal(json_text("\xc0\xaf", 2), "\"\\ufffd\\ufffd\"");
  assert_string_equal(json_text("\xed\xa0\x80", 3), "\"\\ufffd\\ufffd\\ufffd\"");
  assert_string_equal(json_text("\xf4\x90\x80\x80", 4), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
  assert_string_equal(json_text("\xe2\x82", 2), "\"\\ufffd\\ufffd\"");
}

static int set_up(void **state) {
  (void)state;
  ar = fv_arena_create(NULL);
  return ar ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  fv_arena_destroy(ar);
  return 0;
}

static void whole_numbers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    fv_whole want;
    int64_t value;
  } row[] = {
      {"0", FV_WHOLE, 0},
      {"-0.0", FV_WHOLE, 0},
      {"0e999999999999999999999", FV_WHOLE, 0},
      {"0.000e-5", FV_WHOLE, 0},
      {"1e18", FV_WHOLE, 1000000000000000000},
      {"1e19", FV_WHOLE_BEYOND, 0},
      {"1e999999999999999999999", FV_WHOLE_BEYOND, 0},
      {"1e-999999999999999999999", FV_WHOLE_NONE, 0},
      {"12.50e1", FV_WHOLE, 125},
      {"12.50e0", FV_WHOLE_NONE, 0},
      {"12500e-2", FV_WHOLE, 125},
      {"12500e-3", FV_WHOLE_NONE, 0},
      {".5e1", FV_WHOLE, 5},
      {"5.", FV_WHOLE, 5},
      {"-9223372036854775808.000", FV_WHOLE, INT64_MIN},
      {"9223372036854775808", FV_WHOLE_BEYOND, 0},
      {"0.9223372036854775807e19", FV_WHOLE, INT64_MAX},
      {"", FV_WHOLE_NONE, 0},
      {"-", FV_WHOLE_NONE, 0},
      {".", FV_WHOLE_NONE, 0},
      {"1e", FV_WHOLE_NONE, 0},
      {"inf", FV_WHOLE_NONE, 0},
      {"1.2.3", FV_WHOLE_NONE, 0},
  };
  for (size_t i = 0; i < FV_COUNTOF(row); i++) {
    int64_t v = 0;
    const fv_whole got = fv_parse_whole_i64(row[i].text, strlen(row[i].text), &v);
    if (got != row[i].want || v != row[i].value)
      fail_msg("'%s': %d, %lld", row[i].text, (int)got, (long long)v);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(strings_grow),      cmocka_unit_test(doubles_are_short),
      cmocka_unit_test(doubles_read_back), cmocka_unit_test(locales_do_not_matter),
      cmocka_unit_test(json_doubles),      cmocka_unit_test(integers),
      cmocka_unit_test(doubles),           cmocka_unit_test(json_is_escaped),
      cmocka_unit_test(whole_numbers),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
