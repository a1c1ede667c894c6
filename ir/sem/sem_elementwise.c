// SPDX-License-Identifier: Apache-2.0
//
// Elementwise ops: one scalar formula each, at the element of every operand
// that broadcasting pairs with the element of the result.
#include <math.h>

#include "base/checked.h"
#include "ir/sem/sem_util.h"

// Checks `count` operands of one element type and sets the broadcast result.
static fv_status begin(fv_sem *s, int count, unsigned classes) {
  for (int i = 0; i < count; i++)
    FV_TRY(fv_sem_want_class(s, i, classes));
  if (count > 1)
    FV_TRY(fv_sem_same_dtype(s, 0, 1));
  return fv_sem_broadcast(s, 0, count, fv_sem_type(s, 0)->dtype);
}

static fv_status end(fv_sem *s, const fv_expr *value) {
  return fv_sem_yield(s, fv_x_cast(s->pool, s->out[0].dtype, value));
}

static const fv_expr *arg(fv_sem *s, int operand) {
  return fv_sem_arg(s, operand);
}

// In the compute type: for formulas with constants that f16 or bf16 would round.
static const fv_expr *wide_arg(fv_sem *s, int operand) {
  return fv_sem_widen(s, fv_sem_arg(s, operand));
}

static const fv_expr *lit(fv_sem *s, const fv_expr *like, double v) {
  return fv_x_lit(s->pool, (fv_dtype)like->dtype, v);
}
static const fv_expr *add(fv_sem *s, const fv_expr *a, const fv_expr *b) {
  return fv_x_add(s->pool, a, b);
}
static const fv_expr *mul(fv_sem *s, const fv_expr *a, const fv_expr *b) {
  return fv_x_mul(s->pool, a, b);
}
static const fv_expr *scaled(fv_sem *s, double c, const fv_expr *x) {
  return mul(s, x, lit(s, x, c));
}
static const fv_expr *plus(fv_sem *s, const fv_expr *x, double c) {
  return add(s, x, lit(s, x, c));
}

//===-- One primitive ---------------------------------------------------===//

#define ELEMENTWISE_1(name, prim, classes)               \
  fv_status fv_sem_##name(fv_sem *s) {                   \
    FV_TRY(begin(s, 1, classes));                        \
    return end(s, fv_sem_x1(s, FV_X_##prim, arg(s, 0))); \
  }
#define ELEMENTWISE_2(name, prim, classes)                          \
  fv_status fv_sem_##name(fv_sem *s) {                              \
    FV_TRY(begin(s, 2, classes));                                   \
    return end(s, fv_sem_x2(s, FV_X_##prim, arg(s, 0), arg(s, 1))); \
  }
// Result bool; `first` and `second` say which operand stands on which side.
#define ELEMENTWISE_COMPARE(name, prim, classes, first, second)                                  \
  fv_status fv_sem_##name(fv_sem *s) {                                                           \
    FV_TRY(begin(s, 2, classes));                                                                \
    s->out[0].dtype = FV_bool;                                                                   \
    return fv_sem_yield(s,                                                                       \
                        fv_sem_x2(s, FV_X_##prim, fv_sem_arg(s, first), fv_sem_arg(s, second))); \
  }

ELEMENTWISE_2(add, ADD, FV_CLASS_NUMBER)
ELEMENTWISE_2(sub, SUB, FV_CLASS_NUMBER)
ELEMENTWISE_2(mul, MUL, FV_CLASS_NUMBER)
ELEMENTWISE_2(pow, POW, FV_CLASS_FLOAT)
ELEMENTWISE_2(min, MIN, FV_CLASS_NUMBER)
ELEMENTWISE_2(max, MAX, FV_CLASS_NUMBER)
ELEMENTWISE_2(and, AND, FV_CLASS_INT | FV_CLASS_BOOL)
ELEMENTWISE_2(or, OR, FV_CLASS_INT | FV_CLASS_BOOL)
ELEMENTWISE_2(xor, XOR, FV_CLASS_INT | FV_CLASS_BOOL)
ELEMENTWISE_COMPARE(equal, EQ, FV_CLASS_ANY, 0, 1)
ELEMENTWISE_COMPARE(less, LT, FV_CLASS_NUMBER, 0, 1)
ELEMENTWISE_COMPARE(less_or_equal, LE, FV_CLASS_NUMBER, 0, 1)
ELEMENTWISE_COMPARE(greater, LT, FV_CLASS_NUMBER, 1, 0)
ELEMENTWISE_COMPARE(greater_or_equal, LE, FV_CLASS_NUMBER, 1, 0)
ELEMENTWISE_1(sqrt, SQRT, FV_CLASS_FLOAT)
ELEMENTWISE_1(exp, EXP, FV_CLASS_FLOAT)
ELEMENTWISE_1(log, LOG, FV_CLASS_FLOAT)
ELEMENTWISE_1(erf, ERF, FV_CLASS_FLOAT)
ELEMENTWISE_1(sin, SIN, FV_CLASS_FLOAT)
ELEMENTWISE_1(cos, COS, FV_CLASS_FLOAT)
ELEMENTWISE_1(tanh, TANH, FV_CLASS_FLOAT)
ELEMENTWISE_1(floor, FLOOR, FV_CLASS_FLOAT)
ELEMENTWISE_1(ceil, CEIL, FV_CLASS_FLOAT)
ELEMENTWISE_1(round, ROUND, FV_CLASS_FLOAT)
ELEMENTWISE_1(not, NOT, FV_CLASS_INT | FV_CLASS_BOOL)

fv_status fv_sem_is_nan(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  s->out[0].dtype = FV_bool;
  return fv_sem_yield(s, fv_sem_x1(s, FV_X_IS_NAN, fv_sem_arg(s, 0)));
}

//===-- Formulas --------------------------------------------------------===//

// A zero divisor of integers is an error of the run.
static fv_status divide(fv_sem *s, fv_scalar_op op, unsigned classes) {
  FV_TRY(begin(s, 2, classes));
  const fv_expr *b = arg(s, 1);
  if (!fv_dtype_is_float((fv_dtype)b->dtype))
    fv_sem_check(s, fv_sem_x2(s, FV_X_NE, b, lit(s, b, 0)), "integer division by zero");
  return end(s, fv_sem_x2(s, op, arg(s, 0), b));
}
fv_status fv_sem_div(fv_sem *s) {
  return divide(s, FV_X_DIV, FV_CLASS_NUMBER);
}
fv_status fv_sem_mod(fv_sem *s) {
  return divide(s, FV_X_MOD, FV_CLASS_INT);
}

static fv_status want_signed(fv_sem *s) {
  if (fv_sem_type(s, 0)->dtype != FV_u8)
    return FV_OK;
  return fv_sem_error(s, "'x' must be signed; it is %s; a <cast> in front mends it",
                      fv_sem_type_text(s, fv_sem_type(s, 0)));
}

fv_status fv_sem_neg(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_NUMBER));
  FV_TRY(want_signed(s));
  return end(s, fv_sem_x1(s, FV_X_NEG, arg(s, 0)));
}

fv_status fv_sem_abs(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_NUMBER));
  const fv_expr *x = arg(s, 0);
  return end(s, x->dtype == FV_u8 ? x : fv_sem_x1(s, FV_X_ABS, x));
}

fv_status fv_sem_reciprocal(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  const fv_expr *x = arg(s, 0);
  return end(s, fv_sem_x2(s, FV_X_DIV, lit(s, x, 1), x));
}

// With e = exp(-|x|) nothing overflows, and far below 0 the result is e itself
// down to the smallest denormal.
static const fv_expr *sigmoid(fv_sem *s, const fv_expr *x) {
  const fv_expr *e = fv_sem_x1(s, FV_X_EXP, fv_sem_x1(s, FV_X_NEG, fv_sem_x1(s, FV_X_ABS, x)));
  const fv_expr *negative = fv_sem_x2(s, FV_X_LT, x, lit(s, x, 0));
  const fv_expr *top = fv_sem_pick(s, negative, e, lit(s, x, 1));
  return fv_sem_x2(s, FV_X_DIV, top, plus(s, e, 1));
}

fv_status fv_sem_sigmoid(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  return end(s, sigmoid(s, arg(s, 0)));
}

// x * sigmoid(x). Where exp(x) has lost places below the normal numbers, x * exp(x) need not
// have: there exp is exp(x / 2) twice, of which x meets one first.
fv_status fv_sem_silu(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  const fv_expr *x = wide_arg(s, 0);
  const double far = x->dtype == FV_f64 ? -700 : -80;
  const fv_expr *half = fv_sem_x2(s, FV_X_LT, x, lit(s, x, far));
  const fv_expr *y = fv_sem_pick(s, half, scaled(s, 0.5, x), x);
  const fv_expr *part = fv_sem_pick(s, half, fv_sem_x1(s, FV_X_EXP, y), lit(s, x, 1));
  return end(s, mul(s, mul(s, x, part), sigmoid(s, y)));
}

fv_status fv_sem_relu(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_NUMBER));
  const fv_expr *x = arg(s, 0);
  return end(s, fv_sem_x2(s, FV_X_MAX, x, lit(s, x, 0)));
}

fv_status fv_sem_leaky_relu(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  const fv_expr *x = wide_arg(s, 0);
  const fv_expr *negative = fv_sem_x2(s, FV_X_LT, x, lit(s, x, 0));
  return end(s, fv_sem_pick(s, negative, scaled(s, fv_attr_float(s->node, "alpha"), x), x));
}

fv_status fv_sem_gelu(fv_sem *s) {
  int form;
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  FV_TRY(fv_sem_choice(s, "approximate", "none tanh", &form));
  const fv_expr *x = wide_arg(s, 0);
  const fv_expr *inner;
  if (form == 0) {
    inner = fv_sem_x1(s, FV_X_ERF, scaled(s, 0.70710678118654752, x));
  } else {
    const fv_expr *cube = mul(s, mul(s, x, x), x);
    const fv_expr *u = add(s, x, scaled(s, 0.044715, cube));
    inner = fv_sem_x1(s, FV_X_TANH, scaled(s, 0.79788456080286536, u));
  }
  return end(s, mul(s, scaled(s, 0.5, x), plus(s, inner, 1)));
}

static const fv_expr *clamp01(fv_sem *s, const fv_expr *x) {
  const fv_expr *top = fv_sem_x2(s, FV_X_MIN, x, lit(s, x, 1));
  return fv_sem_x2(s, FV_X_MAX, top, lit(s, x, 0));
}

fv_status fv_sem_hard_sigmoid(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  const fv_expr *line = plus(s, scaled(s, fv_attr_float(s->node, "alpha"), wide_arg(s, 0)),
                             fv_attr_float(s->node, "beta"));
  return end(s, clamp01(s, line));
}

fv_status fv_sem_hard_swish(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  const fv_expr *x = wide_arg(s, 0);
  return end(s, mul(s, x, clamp01(s, plus(s, scaled(s, 1.0 / 6, x), 0.5))));
}

// max(x, 0) + log(1 + exp(-|x|)) cannot overflow.
fv_status fv_sem_softplus(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_FLOAT));
  const fv_expr *x = arg(s, 0);
  const fv_expr *e = fv_sem_x1(s, FV_X_EXP, fv_sem_x1(s, FV_X_NEG, fv_sem_x1(s, FV_X_ABS, x)));
  const fv_expr *rest = fv_sem_x1(s, FV_X_LOG1P, e);
  return end(s, add(s, fv_sem_x2(s, FV_X_MAX, x, lit(s, x, 0)), rest));
}

// A bound in the dtype of x; one beyond the range of an integer type becomes
// the end of that range.
static const fv_expr *bound(fv_sem *s, const fv_expr *x, const fv_attr *a, bool lower) {
  const fv_dtype t = (fv_dtype)x->dtype;
  if (fv_dtype_is_float(t))
    return lit(s, x, a->f);
  const int bits = 8 * fv_dtype_size(t);
  const int64_t hi = t == FV_u8 ? 255 : (int64_t)(UINT64_MAX >> (65 - bits));
  const int64_t lo = t == FV_u8 ? 0 : -hi - 1;
  const double v = lower ? ceil(a->f) : floor(a->f);  // the integers within [min, max]
  const int64_t i = a->is_whole   ? a->whole
                    : v < -0x1p63 ? INT64_MIN
                    : v >= 0x1p63 ? INT64_MAX
                                  : (int64_t)v;
  return fv_x_lit_i(s->pool, t, i < lo ? lo : i > hi ? hi : i);
}

fv_status fv_sem_clip(fv_sem *s) {
  FV_TRY(begin(s, 1, FV_CLASS_NUMBER));
  const fv_attr *lo = fv_attr_get(s->node, "min");
  const fv_attr *hi = fv_attr_get(s->node, "max");
  if (isnan(lo->f) || isnan(hi->f))
    return fv_sem_error(s, "min and max must be numbers, not NaN");
  const fv_expr *x = arg(s, 0);
  const fv_expr *y = x;
  if (lo->f != -INFINITY)
    y = fv_sem_x2(s, FV_X_MAX, y, bound(s, x, lo, true));
  if (hi->f != INFINITY)
    y = fv_sem_x2(s, FV_X_MIN, y, bound(s, x, hi, false));
  return end(s, y);
}

fv_status fv_sem_cast(fv_sem *s) {
  const fv_dtype to = fv_attr_get(s->node, "to")->t;
  FV_TRY(begin(s, 1, FV_CLASS_ANY));
  s->out[0].dtype = to;
  const fv_expr *x = fv_sem_arg(s, 0);
  if (to == FV_bool && x->dtype != FV_bool)
    return fv_sem_yield(s, fv_sem_x2(s, FV_X_NE, x, lit(s, x, 0)));
  return fv_sem_yield(s, fv_x_cast(s->pool, to, x));
}

fv_status fv_sem_where(fv_sem *s) {
  FV_TRY(fv_sem_want_bool(s, 0));
  FV_TRY(fv_sem_same_dtype(s, 1, 2));
  FV_TRY(fv_sem_broadcast(s, 0, 3, fv_sem_type(s, 1)->dtype));
  return fv_sem_yield(s, fv_sem_pick(s, fv_sem_arg(s, 0), fv_sem_arg(s, 1), fv_sem_arg(s, 2)));
}
