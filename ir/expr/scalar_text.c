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

bool fv_scalar_fits(fv_dtype t, int64_t v) {
  uint64_t word = 0;
  fv_scalar_store(t, &word, (fv_scalar){.i = v});
  return !fv_dtype_is_float(t) && fv_scalar_load(t, &word).i == v;
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
  const fv_whole whole = fv_parse_whole_i64(s, n, &out->i);
  if (whole == FV_WHOLE && fv_scalar_fits(t, out->i))
    return NULL;
  return t == FV_bool || whole == FV_WHOLE_NONE ? none : beyond;
}
