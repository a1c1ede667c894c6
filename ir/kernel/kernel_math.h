// SPDX-License-Identifier: Apache-2.0
// ir/kernel/kernel_math.h - what the expansions of transcendental primitives share.
#ifndef FOVEA_IR_KERNEL_KERNEL_MATH_H_
#define FOVEA_IR_KERNEL_KERNEL_MATH_H_

#include "ir/kernel/kernel_build.h"

// A binary floating-point format, with the constants and polynomials of its
// functions. Polynomials stand lowest power first.
typedef struct km_format {
  fv_dtype f, i;   // the float type, the integer type of its size
  int mant, bias;  // fraction bits, exponent bias
  int tiny_shift;  // 2^tiny_shift makes every denormal normal
  int n_pio2;      // parts of pi/2 in front of the last
  int n_exp, n_expm1, n_log, n_sin, n_cos, n_tail;
  double magic;  // 1.5 * 2^mant: adding it rounds to an integer, in the low bits
  double min_normal;
  double exp_lo, exp_hi;  // beyond: 0, infinity
  double tanh_one;        // from here on tanh rounds to 1
  double ln2_hi, ln2_lo;  // n * ln2_hi is exact for every exponent n
  double trig_max;        // |x| beyond is reduced in integers
  double pow_max;         // |y| beyond overflows or underflows for every x but 1
  double half_pi[2], ln2[2], two_log2e[2], two_thirds[2];  // to twice the precision
  const double *pio2;
  const double *exp, *expm1, *log, *sin, *cos, *tail;
} km_format;

const km_format *fv__km_format(fv_dtype t);

// An expansion under construction.
typedef struct km {
  fv_kb *kb;
  const km_format *m;
  int lanes;
} km;

// Double word: h + l, |l| <= ulp(h) / 2.
typedef struct km_words {
  fv_kv h, l;
} km_words;

// A float without sign as significand * 2^(exponent - bias - mant), in i64.
typedef struct km_number {
  fv_kv significand, exponent;
} km_number;

static inline fv_kv km_f(km *c, double v) {
  return fv_kb_const_f(c->kb, c->m->f, c->lanes, v);
}
static inline fv_kv km_i(km *c, int64_t v) {
  return fv_kb_const_i(c->kb, c->m->i, c->lanes, v);
}
static inline fv_kv km_i64(km *c, int64_t v) {
  return fv_kb_const_i(c->kb, FV_i64, c->lanes, v);
}
static inline fv_kv km_op(km *c, fv_scalar_op op, fv_kv a, fv_kv b) {
  return fv_kb_op(c->kb, op, a, b, FV_K_NONE);
}
static inline fv_kv km_un(km *c, fv_scalar_op op, fv_kv a) {
  return fv_kb_op(c->kb, op, a, FV_K_NONE, FV_K_NONE);
}
static inline fv_kv km_add(km *c, fv_kv a, fv_kv b) {
  return fv_kb_add(c->kb, a, b);
}
static inline fv_kv km_sub(km *c, fv_kv a, fv_kv b) {
  return fv_kb_sub(c->kb, a, b);
}
static inline fv_kv km_mul(km *c, fv_kv a, fv_kv b) {
  return fv_kb_mul(c->kb, a, b);
}
static inline fv_kv km_mad(km *c, fv_kv a, fv_kv b, fv_kv d) {
  return fv_kb_mad(c->kb, a, b, d);
}
static inline fv_kv km_sel(km *c, fv_kv cond, fv_kv a, fv_kv b) {
  return fv_kb_op(c->kb, FV_X_SELECT, cond, a, b);
}
static inline fv_kv km_bits(km *c, fv_kv a) {
  return fv_kb_bitcast(c->kb, c->m->i, a);
}
static inline fv_kv km_float(km *c, fv_kv bits) {
  return fv_kb_bitcast(c->kb, c->m->f, bits);
}

//===-- kernel_math.c ---------------------------------------------------------===//

fv_kv fv__km_poly(km *c, const double *p, int n, fv_kv x);
// v * 2^n, rounded once, for |n| < 2 * bias.
fv_kv fv__km_scale(km *c, fv_kv v, fv_kv n);
// The sign bit of `sign` put onto v >= 0.
fv_kv fv__km_with_sign(km *c, fv_kv v, fv_kv sign);
// The nearest integer of x * by, as a float and as bits.
void fv__km_round_product(km *c, fv_kv x, double by, fv_kv *out_f, fv_kv *out_i);
fv_kv fv__km_exp(km *c, fv_kv x);
// x > 0 (or +-0, infinity, NaN: then garbage) as (1 + f) * 2^k.
void fv__km_log_parts(km *c, fv_kv x, fv_kv *out_f, fv_kv *out_k);

//===-- kernel_math_pow.c -----------------------------------------------------===//

km_words fv__km_product_words(km *c, km_words a, km_words b);
fv_kv fv__km_pow(km *c, fv_kv x, fv_kv y);
fv_kv fv__km_int_pow(fv_kb *kb, fv_kv x, fv_kv y);

//===-- kernel_math_mod.c -----------------------------------------------------===//

km_number fv__km_take_apart(km *c, fv_kv magnitude);
fv_kv fv__km_mod(km *c, fv_kv a, fv_kv b);

//===-- kernel_math_trig.c ----------------------------------------------------===//

fv_kv fv__km_trig(km *c, fv_kv x, int quarter);  // quarter: 0 for sin, 1 for cos

#endif  // FOVEA_IR_KERNEL_KERNEL_MATH_H_
