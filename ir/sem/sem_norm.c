// SPDX-License-Identifier: Apache-2.0
//
// Softmax and the norms, by their definitions. f16 and bf16 are widened to f32
// inside and rounded once at the end.
#include <math.h>

#include "ir/sem/sem_util.h"

static fv_value *sub(fv_sem *s, fv_value *a, fv_value *b) {
  return fv_sb_2(s, FV_OP_sub, a, b);
}
static fv_value *mul(fv_sem *s, fv_value *a, fv_value *b) {
  return fv_sb_2(s, FV_OP_mul, a, b);
}

// Rounds to the type of operand 0 and ends the definition.
static fv_status done(fv_sem *s, fv_value *y) {
  y = fv_sb_cast(s, y, fv_sem_type(s, 0)->dtype);
  return fv_sem_results(s, 1, &y);
}

// A reduction over a set of axes.
static fv_value *reduce_over(fv_sem *s, fv_op op, fv_value *v, const bool *set, bool keepdims) {
  if (!v)
    return NULL;
  int count = 0;
  int64_t axes[FV_MAX_RANK];
  for (int i = 0; i < v->type.rank; i++)
    if (set[i])
      axes[count++] = i;
  fv_node *n = fv_sb_node(s, op, 1, &v);
  fv_attr_set_ints(n, "axes", count, axes);
  fv_attr_set_bool(n, "keepdims", keepdims);
  return fv_sb_done(s, n);
}

// A reduction over the axes from..rank-1, which stay as 1.
static fv_value *reduce_from(fv_sem *s, fv_op op, fv_value *v, int from) {
  bool set[FV_MAX_RANK];
  for (int i = 0; i < FV_MAX_RANK; i++)
    set[i] = i >= from;
  return reduce_over(s, op, v, set, true);
}

//===-- Softmax -----------------------------------------------------------===//

static fv_status begin_axis(fv_sem *s, int *axis) {
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", fv_sem_rank(s, 0), axis));
  fv_sem_begin_expansion(s);
  return FV_OK;
}

fv_status fv_sem_softmax(fv_sem *s) {
  int axis;
  FV_TRY(begin_axis(s, &axis));
  fv_value *x = fv_sb_widen(s, fv_sem_param(s, 0));
  fv_value *shifted = sub(s, x, fv_sb_reduce(s, FV_OP_reduce_max, x, axis, true));
  fv_value *e = fv_sb_1(s, FV_OP_exp, shifted);
  return done(s, fv_sb_2(s, FV_OP_div, e, fv_sb_reduce(s, FV_OP_reduce_sum, e, axis, true)));
}

fv_status fv_sem_log_softmax(fv_sem *s) {
  int axis;
  FV_TRY(begin_axis(s, &axis));
  fv_value *x = fv_sb_widen(s, fv_sem_param(s, 0));
  fv_value *shifted = sub(s, x, fv_sb_reduce(s, FV_OP_reduce_max, x, axis, true));
  fv_value *sum = fv_sb_reduce(s, FV_OP_reduce_sum, fv_sb_1(s, FV_OP_exp, shifted), axis, true);
  return done(s, sub(s, shifted, fv_sb_1(s, FV_OP_log, sum)));
}

fv_value *fv_sb_masked_softmax(fv_sem *s, fv_value *scores, fv_value *visible, bool zero_empty) {
  if (!scores)
    return NULL;
  const int axis = scores->type.rank - 1;
  fv_value *x = scores;
  if (visible)
    x = fv_sb_3(s, FV_OP_where, visible, scores, fv_sb_full_like(s, scores, -HUGE_VAL));
  fv_value *shifted = sub(s, x, fv_sb_reduce(s, FV_OP_reduce_max, x, axis, true));
  fv_value *e = fv_sb_1(s, FV_OP_exp, shifted);
  // Where nothing is visible the shift is -inf - -inf: the select keeps it out.
  fv_value *zero = fv_sb_full_like(s, scores, 0);
  if (visible)
    e = fv_sb_3(s, FV_OP_where, visible, e, zero);
  fv_value *p = fv_sb_2(s, FV_OP_div, e, fv_sb_reduce(s, FV_OP_reduce_sum, e, axis, true));
  if (visible && zero_empty)
    p = fv_sb_3(s, FV_OP_where, visible, p, zero);
  return p;
}

//===-- Norms -------------------------------------------------------------===//

// A parameter of the norm over the axes from `axis` on has exactly their dims.
static fv_status want_trailing(fv_sem *s, int operand, int axis) {
  if (!fv_sem_has(s, operand))
    return FV_OK;
  const fv_type x = *fv_sem_type(s, 0);
  FV_TRY(fv_sem_same_dtype(s, 0, operand));
  FV_TRY(fv_sem_want_rank(s, operand, x.rank - axis, x.rank - axis));
  for (int i = axis; i < x.rank; i++)
    FV_TRY(fv_sem_same_dim(s, x.dim[i], fv_sem_dim(s, operand, i - axis),
                           fv_arena_printf(s->arena, "axis %d of x and axis %d of '%s'", i,
                                           i - axis, fv_sem_operand_name(s, operand))));
  return FV_OK;
}

// 1 / sqrt(v + epsilon)
static fv_value *inverse_root(fv_sem *s, fv_value *v) {
  fv_value *epsilon = fv_sb_full_like(s, v, fv_attr_float(s->node, "epsilon"));
  fv_value *root = fv_sb_1(s, FV_OP_sqrt, fv_sb_2(s, FV_OP_add, v, epsilon));
  return fv_sb_1(s, FV_OP_reciprocal, root);
}

// x minus its first element along a set of axes. The mean of a row rounds, and where
// its elements are near each other that is all that is left of their distances from it. Between
// themselves these are exact. (The sum is over one element, or none of an empty row.)
// Another `origin` to begin with (NULL: 0) changes nothing but how the differences round.
static fv_value *from_first(fv_sem *s, fv_value *x, const bool *set, fv_value *origin) {
  const fv_expr *zero = fv_x_i64(s->pool, 0), *one = fv_x_i64(s->pool, 1);
  fv_value *first = x;
  for (int i = 0; x && i < x->type.rank; i++)
    first = set[i] ? fv_sb_slice(s, first, i, zero, one) : first;
  first = reduce_over(s, FV_OP_reduce_sum, first, set, true);
  return origin ? sub(s, sub(s, x, origin), sub(s, first, origin)) : sub(s, x, first);
}

// The distances of x from its mean along a set of axes.
static fv_value *centred(fv_sem *s, fv_value *x, const bool *set, fv_value *origin) {
  fv_value *d = from_first(s, x, set, origin);
  return sub(s, d, reduce_over(s, FV_OP_reduce_mean, d, set, true));
}

// The mean along a set of axes, which stay as 1. What the first one is off by, which is some
// roundings of the sum, is the mean of the distances from it; so that of one repeated value is
// that value, and what subtracts it leaves nothing. Distances that overflow tell nothing.
static fv_value *mean_of(fv_sem *s, fv_value *x, const bool *set) {
  fv_value *near = reduce_over(s, FV_OP_reduce_mean, x, set, true);
  fv_value *off = reduce_over(s, FV_OP_reduce_mean, sub(s, x, near), set, true);
  if (!off)
    return NULL;
  fv_value *size = fv_sb_1(s, FV_OP_abs, off);
  fv_value *finite = fv_sb_2(s, FV_OP_less, size, fv_sb_full_like(s, off, HUGE_VAL));
  return fv_sb_3(s, FV_OP_where, finite, fv_sb_2(s, FV_OP_add, near, off), near);
}

// The variance is that of the distances from the mean as it was rounded, so that a row's kernel
// makes both: the mean is on the way to the variance, as a reduction (over axes of 1 by now),
// which such a kernel writes, too.
fv_status fv_sem_moments(fv_sem *s) {
  bool set[FV_MAX_RANK] = {false};
  FV_TRY(fv_sem_want_float(s, 0));
  const int rank = fv_sem_rank(s, 0);
  const fv_dtype t = fv_sem_type(s, 0)->dtype;
  const bool keepdims = fv_attr_bool(s->node, "keepdims");
  FV_TRY(fv_sem_axes(s, "axes", rank, true, set));
  fv_sem_begin_expansion(s);
  fv_value *x = fv_sb_widen(s, fv_sem_param(s, 0));
  fv_value *rounded = fv_sb_cast(s, mean_of(s, x, set), t);
  fv_value *mean = reduce_over(s, FV_OP_reduce_sum, rounded, set, keepdims), *at = mean;
  for (int i = 0; i < rank && !keepdims; i++)
    at = set[i] ? fv_sb_unsqueeze(s, at, i) : at;
  fv_value *d = centred(s, x, set, fv_sb_widen(s, at));
  fv_value *variance = reduce_over(s, FV_OP_reduce_mean, mul(s, d, d), set, keepdims);
  return fv_sem_results(s, 2, (fv_value *[]){mean, fv_sb_cast(s, variance, t)});
}

fv_status fv_sem_layer_norm(fv_sem *s) {
  int axis;
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", fv_sem_rank(s, 0), &axis));
  FV_TRY(fv_sem_float_min(s, "epsilon", 0));
  FV_TRY(want_trailing(s, 1, axis));
  FV_TRY(want_trailing(s, 2, axis));
  fv_sem_begin_expansion(s);
  bool set[FV_MAX_RANK];
  for (int i = 0; i < FV_MAX_RANK; i++)
    set[i] = i >= axis;
  fv_value *d = centred(s, fv_sb_widen(s, fv_sem_param(s, 0)), set, NULL);
  fv_value *variance = reduce_from(s, FV_OP_reduce_mean, mul(s, d, d), axis);
  fv_value *y = mul(s, d, inverse_root(s, variance));
  y = mul(s, y, fv_sb_widen(s, fv_sem_param(s, 1)));
  if (fv_sem_has(s, 2))
    y = fv_sb_2(s, FV_OP_add, y, fv_sb_widen(s, fv_sem_param(s, 2)));
  return done(s, y);
}

fv_status fv_sem_rms_norm(fv_sem *s) {
  int axis;
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", fv_sem_rank(s, 0), &axis));
  FV_TRY(fv_sem_float_min(s, "epsilon", 0));
  FV_TRY(want_trailing(s, 1, axis));
  fv_sem_begin_expansion(s);
  fv_value *x = fv_sb_widen(s, fv_sem_param(s, 0));
  fv_value *square = reduce_from(s, FV_OP_reduce_mean, mul(s, x, x), axis);
  fv_value *y = mul(s, x, inverse_root(s, square));
  return done(s, mul(s, y, fv_sb_widen(s, fv_sem_param(s, 1))));
}

// Parameter [C] as [C, 1, ...], to broadcast against axis 1 of x.
static fv_value *channel_param(fv_sem *s, int operand) {
  const int rank = fv_sem_rank(s, 0) - 1;
  const fv_expr *dims[FV_MAX_RANK];
  for (int i = 0; i < rank; i++)
    dims[i] = i == 0 ? fv_sem_dim(s, 0, 1) : fv_x_i64(s->pool, 1);
  return fv_sb_reshape(s, fv_sb_widen(s, fv_sem_param(s, operand)), rank, dims);
}

fv_status fv_sem_batch_norm(fv_sem *s) {
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_want_rank(s, 0, 2, FV_MAX_RANK));
  FV_TRY(fv_sem_float_min(s, "epsilon", 0));
  for (int i = 1; i < 5; i++) {
    FV_TRY(fv_sem_same_dtype(s, 0, i));
    FV_TRY(fv_sem_want_rank(s, i, 1, 1));
    FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, 0, 1), fv_sem_dim(s, i, 0),
                           fv_arena_printf(s->arena,
                                           "the channels of x (axis 1) and the dim of "
                                           "'%s'",
                                           fv_sem_operand_name(s, i))));
  }
  fv_sem_begin_expansion(s);
  fv_value *gain = mul(s, channel_param(s, 1), inverse_root(s, channel_param(s, 4)));
  fv_value *x = fv_sb_widen(s, fv_sem_param(s, 0));
  fv_value *y = mul(s, sub(s, x, channel_param(s, 3)), gain);
  return done(s, fv_sb_2(s, FV_OP_add, y, channel_param(s, 2)));
}

fv_status fv_sem_lp_normalize(fv_sem *s) {
  int axis;
  FV_TRY(fv_sem_int_in(s, "p", 1, 2));
  FV_TRY(fv_sem_float_min(s, "epsilon", 0));
  FV_TRY(begin_axis(s, &axis));
  fv_value *x = fv_sb_widen(s, fv_sem_param(s, 0));
  fv_value *norm;
  if (fv_attr_int(s->node, "p") == 1) {
    norm = fv_sb_reduce(s, FV_OP_reduce_sum, fv_sb_1(s, FV_OP_abs, x), axis, true);
  } else {
    norm = fv_sb_reduce(s, FV_OP_reduce_sum, mul(s, x, x), axis, true);
    norm = fv_sb_1(s, FV_OP_sqrt, norm);
  }
  fv_value *epsilon = fv_sb_full_like(s, x, fv_attr_float(s->node, "epsilon"));
  return done(s, fv_sb_2(s, FV_OP_div, x, fv_sb_2(s, FV_OP_max, norm, epsilon)));
}
