// SPDX-License-Identifier: Apache-2.0
// A sum whose rounding error is carried along, so that it does not grow with the terms.
#ifndef FOVEA_LOWER_LONG_SUM_H_
#define FOVEA_LOWER_LONG_SUM_H_

#include "ir/kernel/kernel_build.h"

typedef struct lw_long_sum {
  fv_kv total, carry;  // carry: what the last addition rounded off
} lw_long_sum;

// s + v: Kahan's sum, with the error by Knuth's two-sum, which is exact whatever the sizes.
// The error of an addition that overflowed means nothing.
static inline lw_long_sum lw_long_add(fv_kb *kb, lw_long_sum s, fv_kv v) {
  const fv_dtype t = fv_kb_dtype(kb, v);
  const int lanes = fv_kb_lanes(kb, v);
  const fv_kv y = fv_kb_add(kb, v, s.carry);
  const fv_kv sum = fv_kb_add(kb, s.total, y);
  const fv_kv part = fv_kb_sub(kb, sum, s.total);
  const fv_kv lost =
      fv_kb_add(kb, fv_kb_sub(kb, s.total, fv_kb_sub(kb, sum, part)), fv_kb_sub(kb, y, part));
  const fv_kv size = fv_kb_op(kb, FV_X_ABS, sum, FV_K_NONE, FV_K_NONE);
  const fv_kv finite =
      fv_kb_op(kb, FV_X_LT, size, fv_kb_const_f(kb, t, lanes, __builtin_inf()), FV_K_NONE);
  const fv_kv zero = fv_kb_const_f(kb, t, lanes, 0);
  return (lw_long_sum){sum, fv_kb_op(kb, FV_X_SELECT, finite, lost, zero)};
}

#endif  // FOVEA_LOWER_LONG_SUM_H_
