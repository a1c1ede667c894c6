// SPDX-License-Identifier: Apache-2.0
//
// Numbers of a model's text as elements of a type.
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "ir/expr/expr.h"

bool fv_scalar_holds(fv_dtype t, double v) {
  return !fv_dtype_is_float(t) || !isfinite(v) || isfinite(fv_round_to(t, v));
}

static bool is_word(const char *s, size_t n, const char *word) {
  return n == strlen(word) && memcmp(s, word, n) == 0;
}

// Whole numbers may be written as a float would be: 2.0, 1e3.
static bool parse_whole(const char *s, size_t n, int64_t *out) {
  double v;
  if (fv_parse_i64(s, n, out))
    return true;
  if (!fv_parse_double(s, n, &v) || !(v >= -0x1p63 && v < 0x1p63) || v != floor(v))
    return false;
  *out = (int64_t)v;
  return true;
}

const char *fv_scalar_parse(fv_dtype t, const char *s, size_t n, fv_scalar *out) {
  static const char *const none = "is no";
  static const char *const beyond = "is out of the range of";
  if (is_word(s, n, "true") || is_word(s, n, "false")) {
    out->i = s[0] == 't';
    return t == FV_bool ? NULL : none;
  }
  if (fv_dtype_is_float(t)) {
    if (!fv_parse_double(s, n, &out->f))
      return none;
    return fv_scalar_holds(t, out->f) ? NULL : beyond;
  }
  if (!parse_whole(s, n, &out->i))
    return none;
  uint64_t word = 0;
  fv_scalar_store(t, &word, *out);
  if (fv_scalar_load(t, &word).i == out->i)
    return NULL;
  return t == FV_bool ? none : beyond;
}
