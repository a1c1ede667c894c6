// SPDX-License-Identifier: Apache-2.0
//
// The one evaluator of scalar primitives. Constant folding, the reference
// backend and the kernel interpreter all end here.
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/integer.h"
#include "ir/expr/expr.h"

//===-- Names -----------------------------------------------------------===//

static const struct {
  const char *name;
  int arity;
} scalar_row[FV_X_COUNT] = {
#define X(id, name, arity, types) {name, arity},
    FV_SCALAR_TABLE(X)
#undef X
};

const char *fv_scalar_name(fv_scalar_op op) {
  return scalar_row[op].name;
}

int fv_scalar_arity(fv_scalar_op op) {
  return scalar_row[op].arity;
}

//===-- Rounding --------------------------------------------------------===//

// Nearest value, ties to even, of a binary format with `digits` significand
// bits (the hidden one included) and exponents emin..emax.
static double round_binary(double v, int digits, int emin, int emax) {
  uint64_t u;
  memcpy(&u, &v, sizeof u);
  const uint64_t sign = u & (UINT64_C(1) << 63);
  u ^= sign;
  if (u >= UINT64_C(0x7ff) << 52)  // infinity, NaN
    return v;
  if (u < (uint64_t)(emin + 1023) << 52) {
    // Subnormal in the target: adding 2^52 quanta leaves only whole quanta.
    const uint64_t bits = (uint64_t)(52 + emin - (digits - 1) + 1023) << 52;
    double a, quanta;
    memcpy(&a, &u, sizeof a);
    memcpy(&quanta, &bits, sizeof quanta);
    a = (a + quanta) - quanta;
    return sign ? -a : a;
  }
  const int drop = 53 - digits;
  const uint64_t lsb = (u >> drop) & 1;
  u += (UINT64_C(1) << (drop - 1)) - 1 + lsb;
  u &= ~((UINT64_C(1) << drop) - 1);
  if (u >= (uint64_t)(emax + 1 + 1023) << 52)
    u = UINT64_C(0x7ff) << 52;
  u |= sign;
  memcpy(&v, &u, sizeof v);
  return v;
}

double fv_round_to(fv_dtype t, double v) {
  switch (t) {
  case FV_f32: return (double)(float)v;
  case FV_f16: return round_binary(v, 11, -14, 15);
  case FV_bf16: return round_binary(v, 8, -126, 127);
  default: return v;
  }
}

static uint16_t encode_f16(double v) {
  v = fv_round_to(FV_f16, v);
  uint64_t u;
  memcpy(&u, &v, sizeof u);
  const unsigned sign = (unsigned)(u >> 63) << 15;
  const int e = (int)(u >> 52 & 0x7ff) - 1023;
  if (isnan(v))
    return (uint16_t)(sign | 0x7e00u | (unsigned)(u >> 42 & 0x1ff));
  if (isinf(v))
    return (uint16_t)(sign | 0x7c00u);
  if (e < -14)  // subnormal or zero: a whole number of quanta
    return (uint16_t)(sign | (unsigned)(fabs(v) * 0x1p24));
  return (uint16_t)(sign | (unsigned)(e + 15) << 10 | (unsigned)(u >> 42 & 0x3ff));
}

static float float_of_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

// In f32, whose bias is 112 more, and without a branch, so that compilers make vectors of it. A
// subnormal is what a number of the least exponent, 2^-14, has beyond it.
static double decode_f16(uint16_t h) {
  const uint32_t rebias = UINT32_C(112) << 23, quantum = UINT32_C(1) << 23, e = h & 0x7c00u;
  const uint32_t more = (e == 0 ? quantum : 0) | (e == 0x7c00 ? rebias : 0);
  const float beyond = float_of_bits(e == 0 ? rebias + quantum : 0);
  const float f = float_of_bits(((h & 0x7fffu) << 13) + rebias + more) - beyond;
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return (double)float_of_bits(u | (h & 0x8000u) << 16);
}

static uint16_t encode_bf16(double v) {
  const float f = (float)fv_round_to(FV_bf16, v);  // exact
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return (uint16_t)(isnan(v) ? (u >> 16 | 0x40) : u >> 16);
}

static double decode_bf16(uint16_t h) {
  const uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, sizeof f);
  return (double)f;
}

//===-- Memory ----------------------------------------------------------===//

#define LOAD_AS(T, member)            \
  do {                                \
    T x_;                             \
    memcpy(&x_, p, sizeof x_);        \
    return (fv_scalar){.member = x_}; \
  } while (0)

FV_INLINE fv_scalar load(fv_dtype t, const void *p) {
  uint16_t h;
  switch (t) {
  case FV_f32: LOAD_AS(float, f);
  case FV_f64: LOAD_AS(double, f);
  case FV_f16: memcpy(&h, p, sizeof h); return (fv_scalar){.f = decode_f16(h)};
  case FV_bf16: memcpy(&h, p, sizeof h); return (fv_scalar){.f = decode_bf16(h)};
  case FV_i8: LOAD_AS(int8_t, i);
  case FV_u8: LOAD_AS(uint8_t, i);
  case FV_i16: LOAD_AS(int16_t, i);
  case FV_i32: LOAD_AS(int32_t, i);
  case FV_i64: LOAD_AS(int64_t, i);
  case FV_bool: return (fv_scalar){.i = *(const uint8_t *)p != 0};
  default: return (fv_scalar){.i = 0};
  }
}

fv_scalar fv_scalar_load(fv_dtype t, const void *p) {
  return load(t, p);
}

FV_INLINE void load_lanes(fv_dtype t, int64_t size, const uint8_t *p, int64_t stride, fv_scalar *v,
                          int64_t n) {
  for (int64_t i = 0; i < n && stride == 1; i++)
    v[i] = load(t, p + i * size);
  for (int64_t i = 0; i < n && stride != 1; i++)
    v[i] = load(t, p + i * stride * size);
}

void fv_scalar_load_n(fv_dtype t, const void *p, int64_t stride, fv_scalar *v, int64_t n) {
  switch (t) {
#define X(name, size, kind) \
  case FV_##name: load_lanes(FV_##name, size, p, stride, v, n); return;
    FV_DTYPE_TABLE(X)
#undef X
  default: return;
  }
}

#define STORE_AS(T, value)     \
  do {                         \
    const T x_ = (T)(value);   \
    memcpy(p, &x_, sizeof x_); \
    return;                    \
  } while (0)

void fv_scalar_store(fv_dtype t, void *p, fv_scalar v) {
  switch (t) {
  case FV_f32: STORE_AS(float, v.f);
  case FV_f64: STORE_AS(double, v.f);
  case FV_f16: STORE_AS(uint16_t, encode_f16(v.f));
  case FV_bf16: STORE_AS(uint16_t, encode_bf16(v.f));
  case FV_i8:
  case FV_u8: STORE_AS(uint8_t, (uint64_t)v.i);
  case FV_i16: STORE_AS(uint16_t, (uint64_t)v.i);
  case FV_i32: STORE_AS(uint32_t, (uint64_t)v.i);
  case FV_i64: STORE_AS(int64_t, v.i);
  case FV_bool: STORE_AS(uint8_t, v.i != 0);
  default: return;
  }
}

//===-- Integers --------------------------------------------------------===//

static int int_bits(fv_dtype t) {
  return 8 * fv_dtype_size(t);
}

// The bits of a type as it holds them: those of `mask`, of which `sign` counts as negative.
static const struct {
  uint64_t mask, sign;
} bits_of[FV_DTYPE_COUNT] = {
#define BITS(size) (~UINT64_C(0) >> (64 - 8 * (size)))
#define X(name, size, kind) {BITS(size), (kind) == 'i' ? BITS(size) / 2 + 1 : 0},
    FV_DTYPE_TABLE(X)
#undef X
#undef BITS
};

FV_INLINE int64_t int_wrap(fv_dtype t, uint64_t v) {
  if (t == FV_bool)
    return v != 0;
  return (int64_t)(((v & bits_of[t].mask) ^ bits_of[t].sign) - bits_of[t].sign);
}

FV_INLINE void int_limits(fv_dtype t, int64_t *lo, int64_t *hi) {
  *lo = (int64_t)(0 - bits_of[t].sign);
  *hi = (int64_t)(bits_of[t].mask - bits_of[t].sign);
}

static uint64_t int_pow(int64_t a, int64_t b) {
  if (b < 0)  // the truncated real power
    return a == 1 ? 1 : a == -1 ? (b % 2 ? ~UINT64_C(0) : 1) : 0;
  uint64_t r = 1, base = (uint64_t)a;
  for (; b > 0; b >>= 1, base *= base)
    if (b & 1)
      r *= base;
  return r;
}

// Bits beyond the width of the type do not take part in a shift amount.
static uint64_t int_shift(fv_scalar_op op, fv_dtype t, int64_t a, int64_t b) {
  const int by = (int)((uint64_t)b & (uint64_t)(int_bits(t) - 1));
  if (op == FV_X_SHL)
    return (uint64_t)a << by;
  return a < 0 ? ~(~(uint64_t)a >> by) : (uint64_t)a >> by;
}

FV_INLINE int64_t int_unary(fv_scalar_op op, fv_dtype t, int64_t a) {
  switch (op) {
  case FV_X_NEG: return int_wrap(t, 0 - (uint64_t)a);
  case FV_X_ABS: return int_wrap(t, a < 0 ? 0 - (uint64_t)a : (uint64_t)a);
  case FV_X_NOT: return t == FV_bool ? !a : int_wrap(t, ~(uint64_t)a);
  case FV_X_IS_NAN: return 0;
  default: return a;  // FLOOR CEIL ROUND; the rest is for floats only
  }
}

FV_INLINE int64_t int_eval(fv_scalar_op op, fv_dtype t, int64_t a, int64_t b, int64_t c) {
  const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
  switch (op) {
  case FV_X_ADD: return int_wrap(t, ua + ub);
  case FV_X_SUB: return int_wrap(t, ua - ub);
  case FV_X_MUL: return int_wrap(t, ua * ub);
  case FV_X_DIV: return b == 0 ? 0 : int_wrap(t, (uint64_t)fv_quotient_i64(a, b));
  case FV_X_FLOORDIV: return b == 0 ? 0 : int_wrap(t, (uint64_t)fv_floordiv_i64(a, b));
  case FV_X_MOD: return b == 0 ? 0 : fv_mod_i64(a, b);
  case FV_X_POW: return int_wrap(t, int_pow(a, b));
  case FV_X_MAX: return a > b ? a : b;
  case FV_X_MIN: return a < b ? a : b;
  case FV_X_AND: return a & b;
  case FV_X_OR: return a | b;
  case FV_X_XOR: return a ^ b;
  case FV_X_SHL:
  case FV_X_SHR: return int_wrap(t, int_shift(op, t, a, b));
  case FV_X_EQ: return a == b;
  case FV_X_NE: return a != b;
  case FV_X_LT: return a < b;
  case FV_X_LE: return a <= b;
  case FV_X_MAD: return int_wrap(t, ua * ub + (uint64_t)c);
  default: return int_unary(op, t, a);
  }
}

//===-- Floats ----------------------------------------------------------===//

FV_INLINE double float_eval(fv_scalar_op op, double a, double b, double c) {
  switch (op) {
  case FV_X_NEG: return -a;
  case FV_X_ABS: return fabs(a);
  case FV_X_SQRT: return sqrt(a);
  case FV_X_EXP: return exp(a);
  case FV_X_LOG: return log(a);
  case FV_X_EXPM1: return expm1(a);
  case FV_X_LOG1P: return log1p(a);
  case FV_X_SIN: return sin(a);
  case FV_X_COS: return cos(a);
  case FV_X_TANH: return tanh(a);
  case FV_X_ERF: return erf(a);
  case FV_X_FLOOR: return floor(a);
  case FV_X_CEIL: return ceil(a);
  case FV_X_ROUND: return nearbyint(a);
  case FV_X_ADD: return a + b;
  case FV_X_SUB: return a - b;
  case FV_X_MUL: return a * b;
  case FV_X_DIV: return a / b;
  case FV_X_FLOORDIV: return floor(a / b);
  case FV_X_MOD: return fmod(a, b);
  case FV_X_POW: return pow(a, b);
  case FV_X_MAX: return a > b || isnan(a) ? a : b;
  case FV_X_MIN: return a < b || isnan(a) ? a : b;
  case FV_X_MAD: return fma(a, b, c);
  default: return a;
  }
}

FV_INLINE bool float_test(fv_scalar_op op, double a, double b, int64_t *out) {
  switch (op) {
  case FV_X_IS_NAN: *out = isnan(a); return true;
  case FV_X_EQ: *out = a == b; return true;
  case FV_X_NE: *out = a != b; return true;
  case FV_X_LT: *out = a < b; return true;
  case FV_X_LE: *out = a <= b; return true;
  default: return false;
  }
}

//===-- Conversion ------------------------------------------------------===//

FV_INLINE int64_t float_to_int(fv_dtype to, double v) {
  if (to == FV_bool)
    return v != 0;  // true for NaN
  if (isnan(v))
    return 0;
  int64_t lo, hi;
  int_limits(to, &lo, &hi);
  v = trunc(v);
  if (v <= (double)lo)
    return lo;
  return v >= (double)hi ? hi : (int64_t)v;  // (double)INT64_MAX is 2^63
}

// To odd, so that a second rounding to fewer bits gives the nearest value.
static double int_to_double_odd(int64_t v) {
  const uint64_t mag = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  uint64_t kept = mag;
  if (mag >> 53) {
    const int drop = 11 - __builtin_clzll(mag);
    const uint64_t mask = (UINT64_C(1) << drop) - 1;
    kept = (mag & ~mask) | (mag & mask ? UINT64_C(1) << drop : 0);
  }
  return v < 0 ? -(double)kept : (double)kept;
}

FV_INLINE fv_scalar cast(fv_dtype t, fv_dtype to, fv_scalar a) {
  if (fv_dtype_is_float(t))
    return fv_dtype_is_float(to) ? (fv_scalar){.f = fv_round_to(to, a.f)}
                                 : (fv_scalar){.i = float_to_int(to, a.f)};
  if (to == FV_f64)
    return (fv_scalar){.f = (double)a.i};
  if (fv_dtype_is_float(to))
    return (fv_scalar){.f = fv_round_to(to, int_to_double_odd(a.i))};
  if (to == FV_bool)
    return (fv_scalar){.i = a.i != 0};
  int64_t lo, hi;
  int_limits(to, &lo, &hi);
  return (fv_scalar){.i = a.i < lo ? lo : a.i > hi ? hi : a.i};
}

static fv_scalar bitcast(fv_dtype t, fv_dtype to, fv_scalar a) {
  uint64_t bits = 0;
  fv_scalar_store(t, &bits, a);
  return fv_scalar_load(to, &bits);
}

FV_INLINE fv_scalar eval(fv_scalar_op op, fv_dtype t, fv_dtype to, fv_scalar a, fv_scalar b,
                         fv_scalar c) {
  switch (op) {
  case FV_X_SELECT: return a.i ? b : c;
  case FV_X_CAST: return cast(t, to, a);
  case FV_X_BITCAST: return bitcast(t, to, a);
  default: break;
  }
  int64_t truth;
  if (!fv_dtype_is_float(t))
    return (fv_scalar){.i = int_eval(op, t, a.i, b.i, c.i)};
  if (float_test(op, a.f, b.f, &truth))
    return (fv_scalar){.i = truth};
  return (fv_scalar){.f = float_eval(op, a.f, b.f, c.f)};
}

fv_scalar fv_scalar_eval(fv_scalar_op op, fv_dtype t, fv_dtype to, fv_scalar a, fv_scalar b,
                         fv_scalar c) {
  return eval(op, t, to, a, b, c);
}

FV_INLINE void eval_lanes(fv_scalar_op op, fv_dtype t, fv_dtype to, const fv_lanes arg[3],
                          fv_scalar *v, int64_t n) {
  const fv_scalar *a = arg[0].v, *b = arg[1].v, *c = arg[2].v;
  const int64_t ia = arg[0].by, ib = arg[1].by, ic = arg[2].by;
  for (int64_t i = 0; i < n; i++)
    v[i] = eval(op, t, to, a[i * ia], b[i * ib], c[i * ic]);
}

static void cast_lanes(fv_dtype t, fv_dtype to, const fv_lanes arg[3], fv_scalar *v, int64_t n) {
  switch (to) {
#define X(name, size, kind) \
  case FV_##name: eval_lanes(FV_X_CAST, t, FV_##name, arg, v, n); return;
    FV_DTYPE_TABLE(X)
#undef X
  default: return;
  }
}

void fv_scalar_eval_n(fv_scalar_op op, fv_dtype t, fv_dtype to, const fv_lanes arg[3], fv_scalar *v,
                      int64_t n) {
  if (op == FV_X_CAST) {
    cast_lanes(t, to, arg, v, n);
    return;
  }
  switch (op) {
#define X(id, name, arity, types) \
  case FV_X_##id: eval_lanes(FV_X_##id, t, to, arg, v, n); return;
    FV_SCALAR_TABLE(X)
#undef X
  default: return;
  }
}
