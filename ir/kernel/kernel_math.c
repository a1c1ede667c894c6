// SPDX-License-Identifier: Apache-2.0
// Expands transcendental primitives to arithmetic for any number of lanes, in
// f32 and f64; branch-free but for large arguments of sin and cos.
//
// Polynomials are minimax fits for the relative error of the function (Remez
// exchange in 60 digits; coefficients are rounded to the format from the lowest
// power on, the rest is fitted again after each). "fit 2^-28" is the largest
// relative error of the function that the rounded polynomial causes. MADs may
// or may not be fused; bounds hold for both. Products that must be exact are
// exact without fusion.
//
// Largest errors measured, in ULP, without and with fusion. f32: every third
// float (sin, cos: every one from 2^-4 on; pow: 8 million pairs) against the C
// library's double functions; f64: 200 thousand values (sin, cos: 60 million)
// over all exponents against 113-bit ones.
//          exp   log   tanh  erf   sin, cos  pow   mod
//   f32    1.02  0.82  2.43  2.76  2.48      0.79  exact
//   f64    0.93  0.75  2.51  1.45  1.53      0.74  exact
// tests/unit/test_kernel_math.c holds the bounds.
#include "ir/kernel/kernel_math.h"

#include <float.h>
#include <math.h>

//===-- Formats -----------------------------------------------------------------===//

static const double exp32[] = {  // (exp(r) - 1 - r) / r^2, |r| < 0.348; fit 2^-28
    0x1.fffffcp-2, 0x1.555488p-3, 0x1.555844p-5, 0x1.124082p-7, 0x1.6adcb4p-10};
static const double expm1_32[] = {  // the same for expm1; fit 2^-30
    0x1p-1, 0x1.555554p-3, 0x1.5554e8p-5, 0x1.1113a2p-7, 0x1.6d4f52p-10, 0x1.9c78ep-13};
static const double log32[] = {  // (log(1+f) - f + f^2/2) / f^3, |f| < 0.4143; fit 2^-29
    0x1.555548p-2,  -0x1.00007p-2, 0x1.99a542p-3,  -0x1.552f24p-3, 0x1.23030cp-3,
    -0x1.0100e4p-3, 0x1.eff3fp-4,  -0x1.bf53f6p-4, 0x1.b5df1p-5};
static const double sin32[] = {  // (sin(r) - r) / r^3 in r^2, |r| < 0.793; fit 2^-27
    -0x1.555544p-3, 0x1.1106c6p-7, -0x1.991c26p-13};
static const double cos32[] = {  // (cos(r) - 1 + r^2/2) / r^4 in r^2; fit 2^-32
    0x1.55554ap-5, -0x1.6c0c14p-10, 0x1.99de6ap-16};
static const double tail32[] = {  // (2 atanh(s)/s - 2 - 2/3 s^2) / s^4 in s^2; fit 2^-36
    0x1.999ap-2, 0x1.24527ap-2, 0x1.dfa308p-3};
static const double pio2_32[] = {  // 11 bits each, the last 24
    0x1.92p+0, 0x1.fb4p-12, 0x1.444p-24, 0x1.68cp-39, 0x1.1a6264p-54};

static const double exp64[] = {  // fit 2^-63
    0x1p-1,
    0x1.555555555555ep-3,
    0x1.5555555555571p-5,
    0x1.111111110e049p-7,
    0x1.6c16c16c067f7p-10,
    0x1.a01a01b7fe43p-13,
    0x1.a01a02050c976p-16,
    0x1.71dde54fef491p-19,
    0x1.27e3f7e699a41p-22,
    0x1.af7e0f3d96d35p-26,
    0x1.20f15c90fb339p-29};
static const double expm1_64[] = {  // fit 2^-57
    0x1.0000000000001p-1,  0x1.5555555555557p-3,  0x1.5555555554b1cp-5,  0x1.11111111102acp-7,
    0x1.6c16c16fcaa02p-10, 0x1.a01a01aad311cp-13, 0x1.a019f01ad5a07p-16, 0x1.71de0543b6509p-19,
    0x1.28093248d3f65p-22, 0x1.af4869e112feep-26, 0x1.d17f68c530b4p-30};
static const double log64[] = {  // 2 atanh(s)/s - 2 = s^2 p(s^2), |s| < 0.1716; fit 2^-59
    0x1.5555555555592p-1, 0x1.999999997ff1bp-2, 0x1.24924941e132ep-2, 0x1.c71c52146db9bp-3,
    0x1.74663ce7c7176p-3, 0x1.39a1e950ef31ep-3, 0x1.2f03b54617788p-3};
static const double sin64[] = {  // fit 2^-57
    -0x1.5555555555547p-3, 0x1.111111110f572p-7,   -0x1.a01a019bad787p-13,
    0x1.71de351ef3353p-19, -0x1.ae5e1f88e20abp-26, 0x1.5d7e388ae8897p-33};
static const double cos64[] = {  // fit 2^-63
    0x1.5555555555549p-5,   -0x1.6c16c16c14bcfp-10, 0x1.a01a019c24ecdp-16,
    -0x1.27e4f7a4ec44fp-22, 0x1.1ee9a7a74fef1p-29,  -0x1.8f8b734f1e361p-37};
static const double tail64[] = {  // fit 2^-66
    0x1.9999999999b33p-2, 0x1.2492492457780p-2, 0x1.c71c722def485p-3, 0x1.745ce9b297322p-3,
    0x1.3b1ef526979e1p-3, 0x1.0f7f0e440f730p-3, 0x1.0e4adf3fe9735p-3};
static const double pio2_64[] = {  // 26 bits each, the last 53
    0x1.921fb5p+0, 0x1.110b46p-26, 0x1.1a6263p-54, 0x1.8a2e03707344ap-81};

static const km_format format32 = {
    .f = FV_f32,
    .i = FV_i32,
    .mant = 23,
    .bias = 127,
    .tiny_shift = 25,
    .n_pio2 = FV_COUNTOF(pio2_32) - 1,
    .n_exp = FV_COUNTOF(exp32),
    .n_expm1 = FV_COUNTOF(expm1_32),
    .n_log = FV_COUNTOF(log32),
    .n_sin = FV_COUNTOF(sin32),
    .n_cos = FV_COUNTOF(cos32),
    .n_tail = FV_COUNTOF(tail32),
    .magic = 0x1.8p23,
    .min_normal = 0x1p-126,
    .exp_lo = -176.1,
    .exp_hi = 89.5,
    .tanh_one = 9.5,
    .ln2_hi = 0x1.62e4p-1,
    .ln2_lo = 0x1.7f7d1cp-20,
    .trig_max = 0x1.9p13,
    .pow_max = 0x1p32,
    .half_pi = {0x1.921fb6p+0, -0x1.777a5cp-25},
    .ln2 = {0x1.62e43p-1, -0x1.05c61p-29},
    .two_log2e = {0x1.715476p+1, 0x1.4ae0cp-25},
    .two_thirds = {0x1.555556p-1, -0x1.555556p-26},
    .pio2 = pio2_32,
    .exp = exp32,
    .expm1 = expm1_32,
    .log = log32,
    .sin = sin32,
    .cos = cos32,
    .tail = tail32,
};

static const km_format format64 = {
    .f = FV_f64,
    .i = FV_i64,
    .mant = 52,
    .bias = 1023,
    .tiny_shift = 54,
    .n_pio2 = FV_COUNTOF(pio2_64) - 1,
    .n_exp = FV_COUNTOF(exp64),
    .n_expm1 = FV_COUNTOF(expm1_64),
    .n_log = FV_COUNTOF(log64),
    .n_sin = FV_COUNTOF(sin64),
    .n_cos = FV_COUNTOF(cos64),
    .n_tail = FV_COUNTOF(tail64),
    .magic = 0x1.8p52,
    .min_normal = 0x1p-1022,
    .exp_lo = -1418.2,
    .exp_hi = 710,
    .tanh_one = 22,
    .ln2_hi = 0x1.62e42fefa38p-1,
    .ln2_lo = 0x1.ef35793c7673p-45,
    .trig_max = 0x1p20,
    .pow_max = 0x1p64,
    .half_pi = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54},
    .ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56},
    .two_log2e = {0x1.71547652b82fep+1, 0x1.777d0ffda0d24p-55},
    .two_thirds = {0x1.5555555555555p-1, 0x1.5555555555555p-55},
    .pio2 = pio2_64,
    .exp = exp64,
    .expm1 = expm1_64,
    .log = log64,
    .sin = sin64,
    .cos = cos64,
    .tail = tail64,
};

const km_format *fv__km_format(fv_dtype t) {
  return t == FV_f64 ? &format64 : &format32;
}

//===-- Pieces ------------------------------------------------------------------===//

fv_kv fv__km_poly(km *c, const double *p, int n, fv_kv x) {
  fv_kv r = km_f(c, p[n - 1]);
  for (int i = n - 2; i >= 0; i--)
    r = km_mad(c, r, x, km_f(c, p[i]));
  return r;
}

static fv_kv pow2(km *c, fv_kv n) {  // -bias < n <= bias
  const fv_kv biased = km_add(c, n, km_i(c, c->m->bias));
  return km_float(c, km_op(c, FV_X_SHL, biased, km_i(c, c->m->mant)));
}

// In two steps, of which the first is exact: so denormal results are rounded
// once and what is too large becomes infinity.
fv_kv fv__km_scale(km *c, fv_kv v, fv_kv n) {
  const fv_kv half = km_op(c, FV_X_SHR, n, km_i(c, 1));
  return km_mul(c, km_mul(c, v, pow2(c, half)), pow2(c, km_sub(c, n, half)));
}

static int64_t sign_bit(const km *c) {
  return c->m->f == FV_f64 ? INT64_MIN : INT32_MIN;
}

fv_kv fv__km_with_sign(km *c, fv_kv v, fv_kv sign) {
  const fv_kv bit = km_op(c, FV_X_AND, km_bits(c, sign), km_i(c, sign_bit(c)));
  return km_float(c, km_op(c, FV_X_OR, km_bits(c, v), bit));
}

void fv__km_round_product(km *c, fv_kv x, double by, fv_kv *out_f, fv_kv *out_i) {
  const fv_kv magic = km_f(c, c->m->magic);
  const fv_kv t = km_mad(c, x, km_f(c, by), magic);
  *out_f = km_sub(c, t, magic);
  *out_i = km_sub(c, km_bits(c, t), km_bits(c, magic));
}

// x = n ln2 + r
static fv_kv reduce_ln2(km *c, fv_kv x, fv_kv *out_n) {
  fv_kv nf;
  fv__km_round_product(c, x, M_LOG2E, &nf, out_n);
  const fv_kv r = km_mad(c, nf, km_f(c, -c->m->ln2_hi), x);
  return km_mad(c, nf, km_f(c, -c->m->ln2_lo), r);
}

//===-- exp, expm1, tanh, log, log1p
//------------------------------------------------------------===//

// exp(x) = 2^n (1 + r + r^2 p(r)). Beyond the clamp the result is 0 or
// infinity all the same. NaN passes the clamp and makes r NaN.
// The clamp from below is where both factors of 2^n are 0, not where results
// become 0: -inf is what masks put there, and products that underflow are slow.
fv_kv fv__km_exp(km *c, fv_kv x) {
  const km_format *m = c->m;
  x = km_op(c, FV_X_MIN, km_op(c, FV_X_MAX, x, km_f(c, m->exp_lo)), km_f(c, m->exp_hi));
  fv_kv n;
  const fv_kv r = reduce_ln2(c, x, &n);
  const fv_kv p = fv__km_poly(c, m->exp, m->n_exp, r);
  const fv_kv e = km_mad(c, km_mul(c, r, r), p, r);
  return fv__km_scale(c, km_add(c, e, km_f(c, 1)), n);
}

// x = n ln2 + r, and exp(r) - 1 = r + r^2 p(r).
static fv_kv expm1_reduced(km *c, fv_kv x, fv_kv *out_n) {
  const km_format *m = c->m;
  const fv_kv r = reduce_ln2(c, x, out_n);
  return km_mad(c, km_mul(c, r, r), fv__km_poly(c, m->expm1, m->n_expm1, r), r);
}

// 2^n (q + (1 - 2^-n)) with q = exp(r) - 1. The inner difference is exact, or so near 1 or
// -2^-n that it does not show. For n = 0 it is 0, and q is as exact as r.
static fv_kv expm1_of(km *c, fv_kv x) {
  const km_format *m = c->m;
  const fv_kv low = km_f(c, -(m->mant + 4));  // from here on it rounds to -1
  const fv_kv y = km_op(c, FV_X_MIN, km_op(c, FV_X_MAX, x, low), km_f(c, m->exp_hi));
  fv_kv n;
  const fv_kv q = expm1_reduced(c, y, &n);
  const fv_kv most = km_i(c, 2 * m->mant);
  const fv_kv inverse = pow2(c, km_un(c, FV_X_NEG, km_op(c, FV_X_MIN, n, most)));
  const fv_kv e = km_add(c, q, km_sub(c, km_f(c, 1), inverse));
  return fv__km_with_sign(c, fv__km_scale(c, e, n), x);  // -0 stays
}

// With e = exp(2|x|) - 1 = 2^n (r + r^2 p(r)) + (2^n - 1): tanh|x| = e / (e + 2).
// For n = 0 e keeps the relative precision of the polynomial down to denormals.
static fv_kv tanh_of(km *c, fv_kv x) {
  const km_format *m = c->m;
  fv_kv a = km_op(c, FV_X_MIN, km_un(c, FV_X_ABS, x), km_f(c, m->tanh_one));
  a = km_add(c, a, a);
  fv_kv n;
  const fv_kv q = expm1_reduced(c, a, &n);
  const fv_kv s = pow2(c, n);
  const fv_kv e = km_mad(c, s, q, km_sub(c, s, km_f(c, 1)));
  return fv__km_with_sign(c, km_op(c, FV_X_DIV, e, km_add(c, e, km_f(c, 2))), x);
}

void fv__km_log_parts(km *c, fv_kv x, fv_kv *out_f, fv_kv *out_k) {
  const km_format *m = c->m;
  const fv_kv tiny = km_op(c, FV_X_LT, x, km_f(c, m->min_normal));
  const fv_kv up = km_mul(c, x, km_f(c, ldexp(1, m->tiny_shift)));
  const fv_kv bits = km_bits(c, km_sel(c, tiny, up, x));
  const fv_kv half = km_bits(c, km_f(c, M_SQRT1_2));
  const fv_kv k = km_op(c, FV_X_SHR, km_sub(c, bits, half), km_i(c, m->mant));
  const fv_kv one = km_float(c, km_sub(c, bits, km_op(c, FV_X_SHL, k, km_i(c, m->mant))));
  *out_f = km_sub(c, one, km_f(c, 1));
  const fv_kv shift = km_sel(c, tiny, km_i(c, -m->tiny_shift), km_i(c, 0));
  *out_k = fv_kb_cast(c->kb, m->f, km_add(c, k, shift));
}

// k ln2 + log(1 + f) + rest, f in [sqrt(1/2) - 1, sqrt(2) - 1], with a small rest.
// f32: f - f^2/2 + f^3 p(f). f64: with s = f / (2 + f), h = f^2/2:
// f - (h - s (h + s^2 p(s^2))).
static fv_kv log_sum(km *c, fv_kv f, fv_kv k, fv_kv rest) {
  const km_format *m = c->m;
  fv_kv t;
  const fv_kv ff = km_mul(c, f, f);
  const fv_kv low = km_mad(c, k, km_f(c, m->ln2_lo), rest);
  if (m->f == FV_f32) {
    t = km_mad(c, km_mul(c, ff, f), fv__km_poly(c, m->log, m->n_log, f), low);
    t = km_mad(c, ff, km_f(c, -0.5), t);
  } else {
    const fv_kv s = km_op(c, FV_X_DIV, f, km_add(c, f, km_f(c, 2)));
    const fv_kv z = km_mul(c, s, s);
    const fv_kv h = km_mul(c, ff, km_f(c, 0.5));
    const fv_kv hr = km_mad(c, z, fv__km_poly(c, m->log, m->n_log, z), h);
    t = km_sub(c, km_mad(c, s, hr, low), h);
  }
  return km_mad(c, k, km_f(c, m->ln2_hi), km_add(c, f, t));
}

// r, a logarithm of x, for all x.
static fv_kv log_cases(km *c, fv_kv x, fv_kv r) {
  const fv_kv inf = km_f(c, INFINITY), zero = km_f(c, 0);
  const fv_kv good = km_sel(c, km_op(c, FV_X_EQ, x, inf), inf, r);
  const fv_kv bad = km_sel(c, km_op(c, FV_X_EQ, x, zero), km_f(c, -INFINITY), km_f(c, NAN));
  return km_sel(c, km_op(c, FV_X_LT, zero, x), good, bad);
}

static fv_kv log_of(km *c, fv_kv x) {
  fv_kv f, k;
  fv__km_log_parts(c, x, &f, &k);
  return log_cases(c, x, log_sum(c, f, k, km_f(c, 0)));
}

// 1 + x is u and what rounding lost: log(u + lost) = log(u) + lost / u.
static fv_kv log1p_of(km *c, fv_kv x) {
  fv_kv f, k;
  const fv_kv one = km_f(c, 1);
  const fv_kv u = km_add(c, one, x);
  const fv_kv part = km_sub(c, u, one);
  const fv_kv lost = km_add(c, km_sub(c, one, km_sub(c, u, part)), km_sub(c, x, part));
  fv__km_log_parts(c, u, &f, &k);
  const fv_kv r = log_cases(c, u, log_sum(c, f, k, km_op(c, FV_X_DIV, lost, u)));
  return km_sel(c, km_op(c, FV_X_EQ, x, km_f(c, 0)), x, r);  // -0 stays
}

//===-- erf -----------------------------------------------------------------------===//

// f32: up to 1 x + x p(x^2), fit 2^-29; beyond, 1 - 1 / q(x)^8, fit 2^-29, whose
// errors are damped by erfc(x). From 3.925 on it rounds to 1.
static fv_kv erf32_of(km *c, fv_kv a) {
  static const double near[] = {0x1.06eba8p-3, -0x1.81273ep-2,  0x1.ce2ce6p-4, -0x1.b7f71ap-6,
                                0x1.53f224p-8, -0x1.a3515ep-11, 0x1.4771fep-14};
  static const double far[] = {0x1.0063e2p+0,  0x1.0f119p-3,    0x1.c6ddfep-4,
                               -0x1.79c32ap-8, 0x1.ead4ap-6,    -0x1.be593ap-7,
                               0x1.6dfe5ap-8,  -0x1.20106ep-10, 0x1.fa7e72p-14};
  const fv_kv one = km_f(c, 1);
  const fv_kv x = km_op(c, FV_X_MIN, a, km_f(c, 4));
  const fv_kv z = km_mul(c, x, x);
  const fv_kv low = km_mad(c, x, fv__km_poly(c, near, FV_COUNTOF(near), z), x);
  fv_kv q = fv__km_poly(c, far, FV_COUNTOF(far), x);
  for (int i = 0; i < 3; i++)
    q = km_mul(c, q, q);
  const fv_kv high = km_sub(c, one, km_op(c, FV_X_DIV, one, q));
  return km_sel(c, km_op(c, FV_X_LE, one, x), high, low);
}

// f64: up to 1 |x| p(x^2), fit 2^-56; beyond, 1 - exp(-x^2) q(t) with
// t = (|x| - 3) / (|x| + 3), fit 2^-57. The error of rounding x^2 is damped by
// erfc(|x|), so it needs no second word.
static fv_kv erf64_of(km *c, fv_kv a) {
  static const double near[] = {
      0x1.20dd750429b6dp+0,  -0x1.812746b0379a6p-2,  0x1.ce2f21a03ff71p-4,  -0x1.b82ce311c54d7p-6,
      0x1.565bccf267d24p-8,  -0x1.c02daf3bff55dp-11, 0x1.f9a2a2ac06abcp-14, -0x1.f4c8de5487268p-17,
      0x1.b971bba98237ep-20, -0x1.5bb12ea80ee21p-23, 0x1.d4cad98cf175bp-27, -0x1.a4ce2a5c8a22dp-31};
  static const double far[] = {0x1.6e9827d229706p-3,  -0x1.4e102b9d065f7p-2, 0x1.f6ff203f53b3bp-3,
                               -0x1.336ffbe60b1b7p-3, 0x1.258b17b69ca39p-4,  -0x1.8fa4c29cb46dep-6,
                               0x1.17de5018137cfp-8,  0x1.7615b30b0933p-11,  -0x1.30476ea63f8aep-11,
                               0x1.448afbf960d29p-14, 0x1.b2fd21ed160dep-14, 0x1.03547968e991ap-16};
  const fv_kv one = km_f(c, 1), three = km_f(c, 3);
  const fv_kv x = km_op(c, FV_X_MIN, a, km_f(c, 6));
  const fv_kv z = km_mul(c, x, x);
  const fv_kv low = km_mul(c, x, fv__km_poly(c, near, FV_COUNTOF(near), z));
  const fv_kv t = km_op(c, FV_X_DIV, km_sub(c, x, three), km_add(c, x, three));
  const fv_kv e = fv__km_exp(c, km_un(c, FV_X_NEG, z));
  const fv_kv high = km_sub(c, one, km_mul(c, e, fv__km_poly(c, far, FV_COUNTOF(far), t)));
  return km_sel(c, km_op(c, FV_X_LE, one, x), high, low);
}

static fv_kv erf_of(km *c, fv_kv x) {
  const fv_kv a = km_un(c, FV_X_ABS, x);
  return fv__km_with_sign(c, c->m->f == FV_f32 ? erf32_of(c, a) : erf64_of(c, a), x);
}

//===-- Choice ----------------------------------------------------------------------===//

bool fv__k_is_math(const fv_kinst *in) {
  if (in->op != FV_K_OP)
    return false;
  const bool is_float = fv_dtype_is_float((fv_dtype)in->dtype);
  switch (in->xop) {
  case FV_X_EXP:
  case FV_X_LOG:
  case FV_X_EXPM1:
  case FV_X_LOG1P:
  case FV_X_SIN:
  case FV_X_COS:
  case FV_X_TANH:
  case FV_X_ERF:
  case FV_X_MOD:
  case FV_X_FLOORDIV: return is_float;
  case FV_X_POW: return true;
  default: return false;
  }
}

fv_kv fv__kb_math(fv_kb *kb, fv_scalar_op op, fv_kv a, fv_kv b) {
  int lanes = fv_kb_lanes(kb, a);
  if (b != FV_K_NONE && fv_kb_lanes(kb, b) > lanes)
    lanes = fv_kb_lanes(kb, b);
  km c = {.kb = kb, .m = fv__km_format(fv_kb_dtype(kb, a)), .lanes = lanes};
  a = fv_kb_splat(kb, a, lanes);
  if (b != FV_K_NONE)
    b = fv_kb_splat(kb, b, lanes);
  if (op == FV_X_POW && !fv_dtype_is_float(fv_kb_dtype(kb, a)))
    return fv__km_int_pow(kb, a, b);
  switch (op) {
  case FV_X_EXP: return fv__km_exp(&c, a);
  case FV_X_LOG: return log_of(&c, a);
  case FV_X_EXPM1: return expm1_of(&c, a);
  case FV_X_LOG1P: return log1p_of(&c, a);
  case FV_X_SIN: return fv__km_trig(&c, a, 0);
  case FV_X_COS: return fv__km_trig(&c, a, 1);
  case FV_X_TANH: return tanh_of(&c, a);
  case FV_X_ERF: return erf_of(&c, a);
  case FV_X_MOD: return fv__km_mod(&c, a, b);
  case FV_X_POW: return fv__km_pow(&c, a, b);
  case FV_X_FLOORDIV: return km_un(&c, FV_X_FLOOR, km_op(&c, FV_X_DIV, a, b));
  default: fv_arena_bug(kb->arena, "no transcendental primitive");
  }
}
