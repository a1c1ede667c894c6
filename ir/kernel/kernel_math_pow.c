// SPDX-License-Identifier: Apache-2.0
// pow: 2^(y log2 |x|) with the logarithm and the product in double words, so
// that what exp2 sees is known to some 10 bits more than the result. Integer
// powers that the format holds come out exact. Products and sums of words are
// written as MUL, ADD and SUB, which are never fused.
#include <math.h>

#include "ir/kernel/kernel_math.h"

//===-- Double words ----------------------------------------------------------------===//

// a + b exactly, for |a| >= |b| or a = 0.
static km_words sum_ordered(km *c, fv_kv a, fv_kv b) {
  km_words r;
  r.h = km_add(c, a, b);
  r.l = km_sub(c, b, km_sub(c, r.h, a));
  return r;
}

// a + b exactly.
static km_words sum(km *c, fv_kv a, fv_kv b) {
  km_words r;
  r.h = km_add(c, a, b);
  const fv_kv bb = km_sub(c, r.h, a);
  r.l = km_add(c, km_sub(c, a, km_sub(c, r.h, bb)), km_sub(c, b, bb));
  return r;
}

// a = h + l with the upper and the lower half of its significant bits.
static km_words split(km *c, fv_kv a) {
  const int64_t mask = (int64_t)(~UINT64_C(0) << ((c->m->mant + 2) / 2));
  km_words r;
  r.h = km_float(c, km_op(c, FV_X_AND, km_bits(c, a), km_i(c, mask)));
  r.l = km_sub(c, a, r.h);
  return r;
}

// a * b exactly (f64: to 2^-106).
static km_words product(km *c, fv_kv a, fv_kv b) {
  const km_words x = split(c, a), y = split(c, b);
  km_words r;
  r.h = km_mul(c, a, b);
  fv_kv e = km_sub(c, km_mul(c, x.h, y.h), r.h);
  e = km_add(c, e, km_mul(c, x.h, y.l));
  e = km_add(c, e, km_mul(c, x.l, y.h));
  r.l = km_add(c, e, km_mul(c, x.l, y.l));
  return r;
}

km_words fv__km_product_words(km *c, km_words a, km_words b) {
  const km_words p = product(c, a.h, b.h);
  const fv_kv cross = km_add(c, km_mul(c, a.h, b.l), km_mul(c, a.l, b.h));
  return sum_ordered(c, p.h, km_add(c, p.l, cross));
}

static km_words constant(km *c, const double v[2]) {
  return (km_words){km_f(c, v[0]), km_f(c, v[1])};
}

//===-- log2, exp2 ------------------------------------------------------------------===//

// log2(x) = k + 2/ln2 * atanh(s), s = f / (2 + f):
// 2 atanh(s) = 2s + s^3 (2/3 + s^2 tail(s^2)).
static km_words log2_of(km *c, fv_kv x) {
  const km_format *m = c->m;
  fv_kv f, k;
  fv__km_log_parts(c, x, &f, &k);
  const km_words d = sum_ordered(c, km_f(c, 2), f);
  km_words s;
  s.h = km_op(c, FV_X_DIV, f, d.h);
  const km_words back = product(c, s.h, d.h);
  fv_kv rest = km_sub(c, km_sub(c, f, back.h), back.l);
  rest = km_sub(c, rest, km_mul(c, s.h, d.l));
  s.l = km_op(c, FV_X_DIV, rest, d.h);
  const km_words z = fv__km_product_words(c, s, s);
  const fv_kv tail = km_mul(c, z.h, fv__km_poly(c, m->tail, m->n_tail, z.h));
  km_words series = sum_ordered(c, km_f(c, m->two_thirds[0]), tail);
  series.l = km_add(c, series.l, km_f(c, m->two_thirds[1]));
  // series / 2, as the factor 2 is in 2/ln2
  const fv_kv half = km_f(c, 0.5);
  series = (km_words){km_mul(c, series.h, half), km_mul(c, series.l, half)};
  const km_words cube = fv__km_product_words(c, fv__km_product_words(c, s, z), series);
  km_words log = sum_ordered(c, s.h, cube.h);
  log = sum_ordered(c, log.h, km_add(c, log.l, km_add(c, s.l, cube.l)));
  log = fv__km_product_words(c, log, constant(c, m->two_log2e));
  const km_words r = sum(c, k, log.h);
  return sum_ordered(c, r.h, km_add(c, r.l, log.l));
}

// 2^(e.h + e.l): with n the integer nearest to e.h and t = (e - n) ln2,
// 1 + t + t^2 p(t), where only the sum of the small terms is rounded early.
static fv_kv exp2_of(km *c, km_words e) {
  const km_format *m = c->m;
  const fv_kv top = km_f(c, 2 * m->bias - 10);
  const fv_kv bottom = km_f(c, -(2 * m->bias - 10));
  e.h = km_op(c, FV_X_MIN, km_op(c, FV_X_MAX, e.h, bottom), top);
  const fv_kv magic = km_f(c, m->magic);
  const fv_kv moved = km_add(c, e.h, magic);
  const fv_kv n = km_sub(c, km_bits(c, moved), km_bits(c, magic));
  const km_words r = sum(c, km_sub(c, e.h, km_sub(c, moved, magic)), e.l);
  const km_words t = fv__km_product_words(c, r, constant(c, m->ln2));
  const fv_kv p = fv__km_poly(c, m->exp, m->n_exp, t.h);
  const fv_kv square = km_mul(c, km_mul(c, t.h, t.h), p);
  const km_words one = sum_ordered(c, km_f(c, 1), t.h);
  const fv_kv small = km_add(c, one.l, km_add(c, t.l, square));
  return fv__km_scale(c, km_add(c, one.h, small), n);
}

//===-- Special cases -----------------------------------------------------------------===//

static fv_kv both(km *c, fv_kv a, fv_kv b) {
  return km_op(c, FV_X_AND, a, b);
}
static fv_kv either(km *c, fv_kv a, fv_kv b) {
  return km_op(c, FV_X_OR, a, b);
}
static fv_kv negate(km *c, fv_kv a) {
  return km_un(c, FV_X_NOT, a);
}
static fv_kv is_integer(km *c, fv_kv y) {
  return km_op(c, FV_X_EQ, km_un(c, FV_X_FLOOR, y), y);
}

static fv_kv pow_any(km *c, fv_kv x, fv_kv y) {
  const km_format *m = c->m;
  const fv_kv zero = km_f(c, 0), one = km_f(c, 1), inf = km_f(c, INFINITY);
  const fv_kv a = km_un(c, FV_X_ABS, x);
  // A larger |y| gives 0 or infinity as well, but for |x| = 1, where log2 is 0.
  const fv_kv top = km_f(c, m->pow_max), bottom = km_f(c, -m->pow_max);
  const fv_kv limit = km_op(c, FV_X_MIN, km_op(c, FV_X_MAX, y, bottom), top);
  const km_words log = log2_of(c, a);
  km_words e = product(c, limit, log.h);
  e = sum_ordered(c, e.h, km_add(c, e.l, km_mul(c, limit, log.l)));
  fv_kv r = exp2_of(c, e);
  // |x| = 0 or infinity: infinity when the power grows, 0 when it shrinks
  const fv_kv at_zero = km_op(c, FV_X_EQ, a, zero), at_inf = km_op(c, FV_X_EQ, a, inf);
  const fv_kv grows = km_op(c, FV_X_XOR, at_inf, km_op(c, FV_X_LT, y, zero));
  r = km_sel(c, either(c, at_zero, at_inf), km_sel(c, grows, inf, zero), r);
  // negative base: odd integers give the sign, fractions NaN (but for -infinity)
  const fv_kv whole = is_integer(c, y);
  const fv_kv even = is_integer(c, km_mul(c, y, km_f(c, 0.5)));
  const fv_kv signed_zero = km_sel(c, both(c, whole, negate(c, even)), x, zero);
  r = fv__km_with_sign(c, r, signed_zero);
  const fv_kv negative = both(c, km_op(c, FV_X_LT, x, zero), negate(c, at_inf));
  fv_kv bad = both(c, negative, negate(c, whole));
  bad = either(c, bad, either(c, km_un(c, FV_X_IS_NAN, x), km_un(c, FV_X_IS_NAN, y)));
  r = km_sel(c, bad, km_f(c, NAN), r);
  return km_sel(c, either(c, km_op(c, FV_X_EQ, y, zero), km_op(c, FV_X_EQ, x, one)), one, r);
}

fv_kv fv__km_pow(km *c, fv_kv x, fv_kv y) {
  fv_kb *kb = c->kb;
  double k;
  const fv_kinst in = *kb_at(kb, y);
  if (in.op != FV_K_CONST)
    return pow_any(c, x, y);
  k = in.imm.f;
  if (k == 0)
    return km_f(c, 1);
  if (k == 1)
    return x;
  if (k == 2)
    return km_mul(c, x, x);
  if (k == -1)
    return km_op(c, FV_X_DIV, km_f(c, 1), x);
  return pow_any(c, x, y);
}

//===-- Integers ------------------------------------------------------------------------===//

// Square and multiply over the bits of y, wrapping. A negative y gives the
// truncated real power: 0 but for x = 1 and -1.
fv_kv fv__km_int_pow(fv_kb *kb, fv_kv x, fv_kv y) {
  const fv_dtype t = fv_kb_dtype(kb, x);
  const int lanes = fv_kb_lanes(kb, x);
  const fv_kv zero = fv_kb_const_i(kb, t, lanes, 0), one = fv_kb_const_i(kb, t, lanes, 1);
  const fv_kv result = fv_kb_var(kb, one), base = fv_kb_var(kb, x), left = fv_kb_var(kb, y);
  fv_kb_for(kb, fv_kb_i64(kb, 0), fv_kb_i64(kb, 8 * fv_dtype_size(t)), 1);
  const fv_kv e = fv_kb_get(kb, left), b = fv_kb_get(kb, base), r = fv_kb_get(kb, result);
  const fv_kv odd =
      fv_kb_op(kb, FV_X_NE, fv_kb_op(kb, FV_X_AND, e, one, FV_K_NONE), zero, FV_K_NONE);
  fv_kb_set(kb, result, fv_kb_op(kb, FV_X_SELECT, odd, fv_kb_mul(kb, r, b), r));
  fv_kb_set(kb, base, fv_kb_mul(kb, b, b));
  fv_kb_set(kb, left, fv_kb_op(kb, FV_X_SHR, e, one, FV_K_NONE));
  fv_kb_end(kb);
  const fv_kv power = fv_kb_get(kb, result);
  const fv_kv is_one = fv_kb_op(kb, FV_X_EQ, x, one, FV_K_NONE);
  // -1 to an odd power is -1 again, to an even one 1: what the loop gives for
  // any y, as only its lowest bit counts.
  const fv_kv is_minus = fv_kb_op(kb, FV_X_EQ, x, fv_kb_const_i(kb, t, lanes, -1), FV_K_NONE);
  const fv_kv unit = fv_kb_op(kb, FV_X_OR, is_one, is_minus, FV_K_NONE);
  const fv_kv truncated = fv_kb_op(kb, FV_X_SELECT, unit, power, zero);
  return fv_kb_op(kb, FV_X_SELECT, fv_kb_op(kb, FV_X_LT, y, zero, FV_K_NONE), truncated, power);
}
