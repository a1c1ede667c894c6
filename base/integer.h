// SPDX-License-Identifier: Apache-2.0
// base/integer.h - divisions of i64 by b != 0, as the scalar table means them. INT64_MIN / -1
// wraps; the rest of a floored division has the sign of b.
#ifndef FOVEA_BASE_INTEGER_H_
#define FOVEA_BASE_INTEGER_H_

#include <stdint.h>

static inline int64_t fv_quotient_i64(int64_t a, int64_t b) {
  return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
static inline int64_t fv_remainder_i64(int64_t a, int64_t b) {
  return b == -1 ? 0 : a % b;
}
static inline int64_t fv_floordiv_i64(int64_t a, int64_t b) {
  const int64_t r = fv_remainder_i64(a, b);
  return fv_quotient_i64(a, b) - (r != 0 && (r < 0) != (b < 0));
}
static inline int64_t fv_mod_i64(int64_t a, int64_t b) {
  const int64_t r = fv_remainder_i64(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

#endif  // FOVEA_BASE_INTEGER_H_
