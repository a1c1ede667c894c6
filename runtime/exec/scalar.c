// SPDX-License-Identifier: Apache-2.0
// The integer primitives on slots, which are dims, sizes and offsets: what does not fit 64 bits has
// no value (FV_MODEL_UNKNOWN), never another one, and so has what is made of it. It fails a run
// where it is used, as arms that are not taken are computed, too. What divides by 0 is 0.
#include "runtime/exec/internal.h"

enum { ANY = 1, FLOATS = 0 };

// 0: not for the integers of host programs.
int ex_scalar_arity(uint32_t op) {
  static const uint8_t row[] = {
#define X(id, name, arity, types) (arity) * (types),
      FV_SCALAR_TABLE(X)
#undef X
  };
  return op < sizeof row ? row[op] : 0;
}

static bool negate(int64_t a, int64_t *out) {
  return !__builtin_sub_overflow(0, a, out);
}

// Truncating quotient.
static bool divide(int64_t a, int64_t b, int64_t *out) {
  if (b == -1)
    return negate(a, out);
  *out = b ? a / b : 0;
  return true;
}

static int64_t remainder_of(int64_t a, int64_t b) {
  return b == 0 || b == -1 ? 0 : a % b;
}

static bool floor_divide(int64_t a, int64_t b, int64_t *out) {
  const int64_t r = remainder_of(a, b);
  if (!divide(a, b, out))
    return false;
  *out -= r != 0 && (r < 0) != (b < 0);
  return true;
}

static int64_t floor_mod(int64_t a, int64_t b) {
  const int64_t r = remainder_of(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

// The count is taken modulo 64.
static int64_t shift_right(int64_t a, int64_t by) {
  const int n = (int)(by & 63);
  return a < 0 ? (int64_t) ~(~(uint64_t)a >> n) : a >> n;
}

static bool shift_left(int64_t a, int64_t by, int64_t *out) {
  *out = (int64_t)((uint64_t)a << (by & 63));
  return shift_right(*out, by) == a;
}

static bool power(int64_t a, int64_t b, int64_t *out) {
  *out = 1;
  if (b < 0) {  // the truncated real power
    *out = a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    return true;
  }
  for (int64_t base = a; b > 0; b >>= 1) {
    if (b & 1 && __builtin_mul_overflow(*out, base, out))
      return false;
    if (b > 1 && __builtin_mul_overflow(base, base, &base))
      return false;
  }
  return true;
}

static bool multiply_add(int64_t a, int64_t b, int64_t c, int64_t *out) {
  int64_t product;
  return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(product, c, out);
}

static int64_t exact(uint32_t op, int64_t a, int64_t b) {
  switch (op) {
  case FV_X_NOT: return a == 0;
  case FV_X_MOD: return floor_mod(a, b);
  case FV_X_MAX: return a > b ? a : b;
  case FV_X_MIN: return a < b ? a : b;
  case FV_X_AND: return a & b;
  case FV_X_OR: return a | b;
  case FV_X_XOR: return a ^ b;
  case FV_X_SHR: return shift_right(a, b);
  case FV_X_EQ: return a == b;
  case FV_X_NE: return a != b;
  case FV_X_LT: return a < b;
  case FV_X_LE: return a <= b;
  default: return a;  // CAST, BITCAST (bool and i64 are both slots), FLOOR CEIL ROUND
  }
}

static bool compute(uint32_t op, int64_t a, int64_t b, int64_t c, int64_t *out) {
  switch (op) {
  case FV_X_NEG: return negate(a, out);
  case FV_X_ABS: *out = a; return a >= 0 || negate(a, out);
  case FV_X_ADD: return !__builtin_add_overflow(a, b, out);
  case FV_X_SUB: return !__builtin_sub_overflow(a, b, out);
  case FV_X_MUL: return !__builtin_mul_overflow(a, b, out);
  case FV_X_DIV: return divide(a, b, out);
  case FV_X_FLOORDIV: return floor_divide(a, b, out);
  case FV_X_SHL: return shift_left(a, b, out);
  case FV_X_POW: return power(a, b, out);
  case FV_X_MAD: return multiply_add(a, b, c, out);
  default: *out = exact(op, a, b); return true;
  }
}

int64_t ex_scalar(uint32_t op, int64_t a, int64_t b, int64_t c) {
  const int arity = ex_scalar_arity(op);
  int64_t out;
  if (a == FV_MODEL_UNKNOWN)
    return a;
  if (op == FV_X_SELECT)
    return a ? b : c;
  if ((arity > 1 && b == FV_MODEL_UNKNOWN) || (arity > 2 && c == FV_MODEL_UNKNOWN))
    return FV_MODEL_UNKNOWN;
  return compute(op, a, b, c, &out) ? out : FV_MODEL_UNKNOWN;
}
