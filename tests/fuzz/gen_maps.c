// SPDX-License-Identifier: Apache-2.0
// Elementwise ops.
#include <math.h>

#include "tests/fuzz/gen.h"

// Exact if the operand is: the same bits by any road.
static bool exact_unary(gen *g, val a) {
  static const fv_op op[] = {FV_OP_neg,  FV_OP_abs,   FV_OP_relu, FV_OP_relu,  FV_OP_floor,
                             FV_OP_ceil, FV_OP_round, FV_OP_clip, FV_OP_is_nan};
  const fv_op k = op[fuzz_below(&g->r, a.exact ? FV_COUNTOF(op) : 4)];
  fv_node *n = gen_node(g, k, 1, &a);
  if (k == FV_OP_clip) {
    fv_attr_set_float(n, "min", gen_int(g, -2, 0));
    fv_attr_set_float(n, "max", gen_int(g, 0, 4));
  }
  const bool low = k == FV_OP_abs || k == FV_OP_relu;
  return gen_done(g, n, (val){.exact = a.exact, .mag = a.mag, .min = low ? 0 : -a.mag});
}

static bool smooth_unary(gen *g, val a) {
  static const fv_op op[] = {FV_OP_erf,        FV_OP_sin,        FV_OP_cos,     FV_OP_tanh,
                             FV_OP_sigmoid,    FV_OP_silu,       FV_OP_gelu,    FV_OP_hard_sigmoid,
                             FV_OP_hard_swish, FV_OP_leaky_relu, FV_OP_softplus};
  a = gen_small(g, a, 60);
  const fv_op k = op[fuzz_below(&g->r, FV_COUNTOF(op))];
  fv_node *n = gen_node(g, k, 1, &a);
  if (k == FV_OP_gelu && gen_chance(g, 0.5))
    fv_attr_set_str(n, "approximate", "tanh");
  if (k == FV_OP_leaky_relu)
    fv_attr_set_float(n, "alpha", 0.25);
  const double mag = a.mag + 1;
  return gen_done(g, n, (val){.mag = mag, .min = k == FV_OP_sigmoid && a.mag < 8 ? 3e-4 : -mag});
}

// Ops of positive numbers, and the one that makes them.
static bool positive_unary(gen *g, val a) {
  static const fv_op op[] = {FV_OP_log, FV_OP_sqrt, FV_OP_reciprocal};
  if (!(a.min > 0)) {
    a = gen_small(g, a, 6);
    return gen_op(g, FV_OP_exp, 1, &a, (val){.mag = exp(a.mag), .min = exp(-a.mag) * 0.9});
  }
  const fv_op k = op[fuzz_below(&g->r, FV_COUNTOF(op))];
  const double low = fabs(log(a.min)), high = fabs(log(a.mag + 1));
  if (k == FV_OP_log)
    return gen_op(g, k, 1, &a, (val){.mag = fmax(low, high), .min = -low});
  if (k == FV_OP_sqrt)
    return gen_op(g, k, 1, &a, (val){.mag = sqrt(a.mag), .min = sqrt(a.min) * 0.9});
  return gen_op(g, k, 1, &a, (val){.mag = 1 / a.min, .min = 0.9 / (a.mag + 1)});
}

bool gen_unary(gen *g) {
  val a = gen_pick(g);
  if (a.v->type.dtype == FV_bool)
    return gen_op(g, FV_OP_not, 1, &a, a);
  if (gen_is_int(&a)) {
    static const fv_op op[] = {FV_OP_not, FV_OP_abs, FV_OP_relu, FV_OP_neg};
    return gen_op(g, op[gen_int(g, 0, a.v->type.dtype == FV_u8 ? 2 : 3)], 1, &a, a);
  }
  const double u = fuzz_unit(&g->r);
  if (u < (a.exact ? 0.7 : 0.3))
    return exact_unary(g, a);
  return u < 0.85 ? smooth_unary(g, a) : positive_unary(g, a);
}

//===-- Two operands -----------------------------------------------------------------===//

// Something that broadcasts with a: as often as not, what was there before.
static val partner(gen *g, val a, char kind) {
  const fv_type *t = &a.v->type;
  const double u = fuzz_unit(&g->r);
  if (!kind && u < 0.55) {
    for (int i = 0; i < 12; i++) {
      const val b = g->value[fuzz_below(&g->r, (uint64_t)g->n)];
      if (b.v->type.dtype == t->dtype && (b.v != a.v || gen_chance(g, 0.2)))
        return b;
    }
  }
  if (!kind && u < 0.7 && t->rank > 0 && t->dtype != FV_bool) {
    fv_node *n = gen_node(g, gen_chance(g, 0.5) ? FV_OP_reduce_max : FV_OP_reduce_sum, 1, &a);
    const int64_t axis[] = {gen_int(g, -t->rank, t->rank - 1)};
    fv_attr_set_ints(n, "axes", 1, axis);
    const double mag = n->op == FV_OP_reduce_max ? a.mag : a.mag * (double)GEN_LARGEST_SIZE;
    if (gen_done(g, n, (val){.exact = a.exact, .mag = mag, .min = -mag}))
      return gen_last(g);
  }
  const fv_expr *dims[FV_MAX_RANK];
  const int rank = gen_int(g, 0, t->rank);
  for (int i = 0; i < rank; i++)
    dims[i] = gen_chance(g, 0.25) ? gen_i64(g, 1) : t->dim[t->rank - rank + i];
  return gen_fresh(g, kind, t->dtype, rank, dims);
}

static bool divide(gen *g, val a) {
  const val in[] = {a, partner(g, a, 'q')};
  if (gen_is_real(&a))
    return gen_op(g, FV_OP_div, 2, in, (val){.mag = a.mag * 4.2, .min = -a.mag * 4.2});
  return gen_op(g, gen_chance(g, 0.5) ? FV_OP_div : FV_OP_mod, 2, in, a);
}

static bool power(gen *g, val a) {
  if (!gen_is_real(&a) || !(a.min > 0.1) || a.mag > 20)
    return false;
  const val in[] = {a, gen_small(g, partner(g, a, 0), 3)};
  const double mag = pow(fmax(a.mag, 1 / a.min), 3);
  return gen_op(g, FV_OP_pow, 2, in, (val){.mag = mag, .min = 0});
}

bool gen_binary(gen *g) {
  static const fv_op number[] = {FV_OP_add, FV_OP_add, FV_OP_add, FV_OP_mul, FV_OP_mul,
                                 FV_OP_sub, FV_OP_sub, FV_OP_max, FV_OP_min};
  static const fv_op logic[] = {FV_OP_and, FV_OP_or, FV_OP_xor};
  const val a = gen_pick(g);
  const fv_dtype t = a.v->type.dtype;
  if (t != FV_bool && gen_chance(g, 0.08))
    return divide(g, a);
  if (gen_chance(g, 0.04))
    return power(g, a);
  const val b = partner(g, a, 0);
  const bool swap = gen_chance(g, 0.5);
  const val in[2] = {swap ? b : a, swap ? a : b};
  const bool bits = t == FV_bool || (gen_is_int(&a) && gen_chance(g, 0.2));
  const fv_op op = bits ? logic[gen_int(g, 0, 2)] : number[fuzz_below(&g->r, FV_COUNTOF(number))];
  val like = {.exact = a.exact && b.exact, .mag = a.mag + b.mag, .min = a.min + b.min};
  if (op == FV_OP_mul) {
    like.mag = a.mag * b.mag;
    like.min = a.min > 0 && b.min > 0 ? a.min * b.min : -like.mag;
  } else if (op == FV_OP_sub) {
    like.min = -like.mag;
  } else if (op == FV_OP_max || op == FV_OP_min) {
    like.mag = fmax(a.mag, b.mag);
    like.min = fmin(a.min, b.min);
  }
  return gen_op(g, op, 2, in, like);
}

bool gen_compare(gen *g) {
  static const fv_op op[] = {FV_OP_less, FV_OP_less_or_equal, FV_OP_greater, FV_OP_greater_or_equal,
                             FV_OP_equal};
  const val a = gen_pick(g);
  if (!a.exact || a.v->type.dtype == FV_bool)
    return false;
  const val in[] = {a, partner(g, a, gen_chance(g, 0.5) ? 'n' : 0)};
  return in[1].exact &&
         gen_op(g, op[fuzz_below(&g->r, FV_COUNTOF(op))], 2, in, (val){.exact = true, .mag = 1});
}

bool gen_where(gen *g) {
  const val a = gen_pick(g), b = partner(g, a, 0);
  const fv_type *t = &a.v->type;
  val cond = {0};
  for (int i = 0; i < 8 && !cond.v; i++) {
    const val c = gen_pick(g);
    if (c.v->type.dtype == FV_bool)
      cond = c;
  }
  if (!cond.v) {
    const fv_expr *dims[FV_MAX_RANK];
    const int rank = gen_int(g, 0, t->rank);
    for (int i = 0; i < rank; i++)
      dims[i] = gen_chance(g, 0.3) ? gen_i64(g, 1) : t->dim[t->rank - rank + i];
    cond = gen_fresh(g, 'n', FV_bool, rank, dims);
  }
  const val in[] = {cond, a, b};
  return gen_op(
      g, FV_OP_where, 3, in,
      (val){.exact = a.exact && b.exact, .mag = fmax(a.mag, b.mag), .min = fmin(a.min, b.min)});
}

bool gen_cast(gen *g) {
  const val a = gen_pick(g);
  const bool real = gen_is_real(&a);
  const fv_dtype to = gen_chance(g, 0.4) ? g->real : (fv_dtype)gen_int(g, 0, FV_DTYPE_COUNT - 1);
  if (real && !a.exact && !fv_dtype_is_float(to))
    return false;
  // Where rounding happens is a backend's choice, so a narrow float is no exact one
  // unless all its values are.
  fv_node *n = gen_node(g, FV_OP_cast, 1, &a);
  fv_attr_set_dtype(n, "to", to);
  const double mag = real || a.v->type.dtype == FV_bool ? a.mag : fmin(a.mag, 300);
  return (real || a.v->type.dtype == FV_bool || a.mag < 300 || !fv_dtype_is_float(to)) &&
         gen_done(g, n, (val){.exact = a.exact, .mag = mag, .min = a.min > 0 ? 0 : -mag});
}
