// SPDX-License-Identifier: Apache-2.0
// Remainder of floats with the sign of the dividend, exact: a long division
// of the significands as integers.
#include <math.h>

#include "ir/kernel/kernel_math.h"

km_number fv__km_take_apart(km *c, fv_kv magnitude) {
  const km_format *m = c->m;
  const fv_kv bits = fv_kb_cast(c->kb, FV_i64, km_bits(c, magnitude));
  const fv_kv biased = km_op(c, FV_X_SHR, bits, km_i64(c, m->mant));
  const fv_kv hidden = km_i64(c, INT64_C(1) << m->mant);
  const fv_kv low = km_op(c, FV_X_AND, bits, km_i64(c, (INT64_C(1) << m->mant) - 1));
  const fv_kv normal = km_op(c, FV_X_LT, km_i64(c, 0), biased);
  km_number n;
  n.significand = km_sel(c, normal, km_op(c, FV_X_OR, low, hidden), low);
  n.exponent = km_op(c, FV_X_MAX, biased, km_i64(c, 1));
  return n;
}

// (significand * 2^shift) mod divisor, by pieces that fit 63 bits.
static fv_kv shifted_mod(km *c, fv_kv significand, fv_kv shift, fv_kv divisor) {
  fv_kb *kb = c->kb;
  const int piece = 62 - c->m->mant;
  const fv_kv rest = fv_kb_var(kb, km_op(c, FV_X_MOD, significand, divisor));
  const fv_kv left = fv_kb_var(kb, km_op(c, FV_X_MAX, shift, km_i64(c, 0)));
  fv_kv most = fv_kb_i64(kb, 2 * c->m->bias + c->m->mant);
  if ((c->lanes & (c->lanes - 1)) == 0)
    most = fv_kb_reduce(kb, FV_X_MAX, fv_kb_get(kb, left));
  fv_kb_for(kb, fv_kb_i64(kb, 0), most, piece);
  const fv_kv d = fv_kb_get(kb, left), r = fv_kb_get(kb, rest);
  const fv_kv by = km_op(c, FV_X_MIN, d, km_i64(c, piece));
  fv_kb_set(kb, rest, km_op(c, FV_X_MOD, km_op(c, FV_X_SHL, r, by), divisor));
  fv_kb_set(kb, left, km_sub(c, d, by));
  fv_kb_end(kb);
  return fv_kb_get(kb, rest);
}

fv_kv fv__km_mod(km *c, fv_kv a, fv_kv b) {
  const km_format *m = c->m;
  const fv_kv x = km_un(c, FV_X_ABS, a), y = km_un(c, FV_X_ABS, b);
  const km_number p = fv__km_take_apart(c, x), q = fv__km_take_apart(c, y);
  const fv_kv divisor = km_op(c, FV_X_MAX, q.significand, km_i64(c, 1));
  const fv_kv shift = km_sub(c, p.exponent, q.exponent);
  const fv_kv rest = shifted_mod(c, p.significand, shift, divisor);
  // A multiple of the last bit of b and smaller than b: exact.
  const fv_kv scale = km_sub(c, q.exponent, km_i64(c, m->bias + m->mant));
  fv_kv r = fv__km_scale(c, fv_kb_cast(c->kb, m->f, rest), fv_kb_cast(c->kb, m->i, scale));
  r = km_sel(c, km_op(c, FV_X_LT, x, y), x, r);
  const fv_kv inf = km_f(c, INFINITY);
  const fv_kv fits = km_op(c, FV_X_AND, km_op(c, FV_X_LT, x, inf),
                           km_op(c, FV_X_LT, km_f(c, 0), y));  // false for NaN
  return km_sel(c, fits, fv__km_with_sign(c, r, a), km_f(c, NAN));
}
