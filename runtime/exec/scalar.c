// SPDX-License-Identifier: Apache-2.0
// The integer primitives on slots. Everything wraps; nothing is undefined.
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

// Truncating quotient; x / 0 is 0, and INT64_MIN / -1 wraps.
static int64_t divide(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t remainder_of(int64_t a, int64_t b) {
  return b == 0 || b == -1 ? 0 : a % b;
}

static int64_t floor_divide(int64_t a, int64_t b) {
  const int64_t r = remainder_of(a, b);
  return divide(a, b) - (r != 0 && (r < 0) != (b < 0));
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

static int64_t power(int64_t a, int64_t b) {
  if (b < 0)  // the truncated real power
    return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
  uint64_t r = 1, base = (uint64_t)a;
  for (; b > 0; b >>= 1, base *= base)
    if (b & 1)
      r *= base;
  return (int64_t)r;
}

int64_t ex_scalar(uint32_t op, int64_t a, int64_t b, int64_t c) {
  const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
  switch (op) {
  case FV_X_NEG: return (int64_t)(0 - ua);
  case FV_X_ABS: return a < 0 ? (int64_t)(0 - ua) : a;
  case FV_X_NOT: return a == 0;
  case FV_X_ADD: return (int64_t)(ua + ub);
  case FV_X_SUB: return (int64_t)(ua - ub);
  case FV_X_MUL: return (int64_t)(ua * ub);
  case FV_X_DIV: return divide(a, b);
  case FV_X_FLOORDIV: return floor_divide(a, b);
  case FV_X_MOD: return floor_mod(a, b);
  case FV_X_MAX: return a > b ? a : b;
  case FV_X_MIN: return a < b ? a : b;
  case FV_X_AND: return a & b;
  case FV_X_OR: return a | b;
  case FV_X_XOR: return a ^ b;
  case FV_X_SHL: return (int64_t)(ua << (b & 63));
  case FV_X_SHR: return shift_right(a, b);
  case FV_X_POW: return power(a, b);
  case FV_X_EQ: return a == b;
  case FV_X_NE: return a != b;
  case FV_X_LT: return a < b;
  case FV_X_LE: return a <= b;
  case FV_X_SELECT: return a ? b : c;
  case FV_X_MAD: return (int64_t)(ua * ub + (uint64_t)c);
  default: return a;  // CAST, BITCAST (bool and i64 are both slots), FLOOR CEIL ROUND
  }
}
