// SPDX-License-Identifier: Apache-2.0
#include "base/str.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/escape.h"

// Makes room for n more bytes and the NUL.
static void reserve(fv_str *s, size_t n) {
  size_t need;
  if (!fv_add_size(s->size, n, &need) || !fv_add_size(need, 1, &need))
    need = SIZE_MAX;  // the allocation below fails and jumps
  if (need <= s->cap)
    return;
  size_t cap = s->cap <= SIZE_MAX / 2 && s->cap * 2 > need ? s->cap * 2 : need;
  if (cap < 64)
    cap = 64;
  char *data = fv_arena_alloc(s->arena, cap);
  if (s->size)
    memcpy(data, s->data, s->size);
  s->data = data;
  s->cap = cap;
}

void fv_str_append(fv_str *s, const void *p, size_t n) {
  reserve(s, n);
  if (n)
    memcpy(s->data + s->size, p, n);
  s->size += n;
  s->data[s->size] = '\0';
}

void fv_str_puts(fv_str *s, const char *text) {
  fv_str_append(s, text, strlen(text));
}

void fv_str_printf(fv_str *s, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fv_str_vprintf(s, fmt, ap);
  va_end(ap);
}

void fv_str_vprintf(fv_str *s, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  const int n = vsnprintf(NULL, 0, fmt, again);
  va_end(again);
  FV_CHECK(s->arena, n >= 0);
  reserve(s, (size_t)n);
  vsnprintf(s->data + s->size, (size_t)n + 1, fmt, ap);
  s->size += (size_t)n;
}

// "C" is a static object of the C library: this neither allocates nor fails.
static locale_t c_locale(void) {
  return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

// -d.ddde-ddd with `digits` significant digits.
static void print_scientific(char *text, size_t size, int digits, double v) {
  const locale_t before = uselocale(c_locale());
  snprintf(text, size, "%.*e", digits - 1, v);
  uselocale(before);
}

void fv_str_double(fv_str *s, double v) {
  if (isnan(v)) {
    fv_str_puts(s, "nan");
    return;
  }
  if (isinf(v)) {
    fv_str_puts(s, v < 0 ? "-inf" : "inf");
    return;
  }
  // Where 15 digits suffice they end in zeros that the shortest text lacks; of
  // subnormals that is not true.
  char text[40];
  for (int digits = fabs(v) < DBL_MIN ? 1 : DBL_DIG; digits <= 17; digits++) {
    print_scientific(text, sizeof text, digits, v);
    if (strtod_l(text, NULL, c_locale()) == v)
      break;
  }
  if (text[0] == '-')
    fv_str_puts(s, "-");
  const char *p = text + (text[0] == '-');
  char *e = strchr(text, 'e');
  const int exponent = (int)strtol(e + 1, NULL, 10);
  char digit[20];
  int n = 0;
  for (const char *q = p; q < e; q++)
    if (*q != '.')
      digit[n++] = *q;
  while (n > 1 && digit[n - 1] == '0')
    n--;

  if (exponent < -5 || exponent > 16) {
    fv_str_append(s, digit, 1);
    if (n > 1)
      fv_str_printf(s, ".%.*s", n - 1, digit + 1);
    fv_str_printf(s, "e%d", exponent);
    return;
  }
  if (exponent < 0) {
    fv_str_append(s, "0.00000", (size_t)(1 - exponent));
    fv_str_append(s, digit, (size_t)n);
    return;
  }
  for (int i = 0; i <= exponent; i++)
    fv_str_append(s, i < n ? &digit[i] : "0", 1);
  fv_str_puts(s, ".");
  if (n > exponent + 1)
    fv_str_append(s, digit + exponent + 1, (size_t)(n - exponent - 1));
  else
    fv_str_puts(s, "0");
}

void fv_str_json_double(fv_str *s, double v) {
  if (isnan(v))
    fv_str_puts(s, "\"NaN\"");
  else if (isinf(v))
    fv_str_puts(s, v < 0 ? "\"-Infinity\"" : "\"Infinity\"");
  else
    fv_str_double(s, v);
}

void fv_str_json(fv_str *s, const char *text, size_t n) {
  fv_str_puts(s, "\"");
  for (size_t i = 0; i < n;) {
    char c[8];
    size_t size;
    i += fv__json_char(text + i, n - i, c, &size);
    fv_str_append(s, c, size);
  }
  fv_str_puts(s, "\"");
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool fv_parse_i64(const char *s, size_t n, int64_t *out) {
  size_t i = n > 0 && s[0] == '-';
  if (i == n)
    return false;
  int64_t v = 0;
  // Counted downwards: the least number has no positive counterpart.
  for (; i < n; i++)
    if (!is_digit(s[i]) || !fv_mul_i64(v, 10, &v) || !fv_sub_i64(v, s[i] - '0', &v))
      return false;
  if (s[0] != '-' && !fv_sub_i64(0, v, &v))
    return false;
  *out = v;
  return true;
}

static size_t skip_digits(const char *s, size_t n, size_t i) {
  while (i < n && is_digit(s[i]))
    i++;
  return i;
}

// [-] (digits [. digits*] | . digits) [(e|E) [+|-] digits]
static bool is_decimal(const char *s, size_t n) {
  const size_t start = n > 0 && s[0] == '-';
  size_t i = skip_digits(s, n, start);
  size_t digits = i - start;
  if (i < n && s[i] == '.') {
    const size_t end = skip_digits(s, n, i + 1);
    digits += end - i - 1;
    i = end;
  }
  if (digits == 0)
    return false;
  if (i < n && (s[i] == 'e' || s[i] == 'E')) {
    i++;
    if (i < n && (s[i] == '+' || s[i] == '-'))
      i++;
    const size_t end = skip_digits(s, n, i);
    if (end == i)
      return false;
    i = end;
  }
  return i == n;
}

static bool text_is(const char *s, size_t n, const char *word) {
  return n == strlen(word) && memcmp(s, word, n) == 0;
}

bool fv_parse_double(const char *s, size_t n, double *out) {
  if (text_is(s, n, "nan") || text_is(s, n, "inf") || text_is(s, n, "-inf")) {
    *out = s[0] == 'n' ? (double)NAN : s[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    return true;
  }
  // No double needs more than 770 digits to be told from its neighbours.
  char text[1024];
  if (n >= sizeof text || !is_decimal(s, n))
    return false;
  memcpy(text, s, n);
  text[n] = '\0';
  const double v = strtod_l(text, NULL, c_locale());
  if (isinf(v))
    return false;
  *out = v;
  return true;
}

// The exponent behind the 'e'; far beyond any number of digits, more make no difference.
static int64_t parse_exponent(const char *s, size_t n) {
  int64_t e = 0;
  for (size_t i = s[0] == '-' || s[0] == '+'; i < n && e < INT64_C(1) << 50; i++)
    e = e * 10 + (s[i] - '0');
  return s[0] == '-' ? -e : e;
}

fv_whole fv_parse_whole_i64(const char *s, size_t n, int64_t *out) {
  if (!is_decimal(s, n))
    return FV_WHOLE_NONE;
  const size_t begin = s[0] == '-';
  size_t end = begin;
  int64_t power = 0;  // of ten, that the digits in [begin, end) are multiplied with
  for (bool fraction = false; end < n && (is_digit(s[end]) || s[end] == '.'); end++) {
    power -= fraction;
    fraction = fraction || s[end] == '.';
  }
  if (end < n)
    power += parse_exponent(s + end + 1, n - end - 1);
  for (; end > begin && (s[end - 1] == '0' || s[end - 1] == '.'); end--)
    power += s[end - 1] == '0';
  int64_t v = 0;
  if (end > begin && power < 0)
    return FV_WHOLE_NONE;
  for (size_t i = begin; i < end; i++)
    if (s[i] != '.' && (!fv_mul_i64(v, 10, &v) || !fv_sub_i64(v, s[i] - '0', &v)))
      return FV_WHOLE_BEYOND;
  for (; v != 0 && power > 0; power--)  // ends soon: v overflows
    if (!fv_mul_i64(v, 10, &v))
      return FV_WHOLE_BEYOND;
  if (s[0] != '-' && !fv_sub_i64(0, v, &v))
    return FV_WHOLE_BEYOND;
  *out = v;
  return FV_WHOLE;
}

bool fv_parse_json_double(const char *s, size_t n, double *out) {
  if (text_is(s, n, "NaN"))
    *out = (double)NAN;
  else if (text_is(s, n, "Infinity"))
    *out = (double)INFINITY;
  else if (text_is(s, n, "-Infinity"))
    *out = -(double)INFINITY;
  else
    return fv_parse_double(s, n, out);
  return true;
}
