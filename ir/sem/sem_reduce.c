// SPDX-License-Identifier: Apache-2.0
//
// Reductions over axes, and pooling over windows.
#include <math.h>

#include "base/checked.h"
#include "ir/sem/sem_util.h"

// Sets the result of a reduction over `reduced` axes and gives the element of
// operand 0 at parallel and reduced indices. *count: elements of one reduction.
static const fv_expr *reduced_arg(fv_sem *s, fv_dtype t, const bool *reduced, bool keepdims,
                                  const fv_expr **count) {
  const fv_type x = *fv_sem_type(s, 0);
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < x.rank; i++)
    if (!reduced[i] || keepdims)
      dims[rank++] = reduced[i] ? fv_x_i64(s->pool, 1) : x.dim[i];
  fv_sem_result(s, t, rank, dims);
  *count = fv_x_i64(s->pool, 1);
  int par = 0;
  for (int i = 0; i < x.rank; i++) {
    if (reduced[i]) {
      at[i] = fv_sem_index(s, fv_sem_reduce(s, x.dim[i]));
      *count = fv_x_mul(s->pool, *count, x.dim[i]);
      par += keepdims;
    } else {
      at[i] = fv_sem_index(s, par++);
    }
  }
  return fv_sem_load(s, 0, at);
}

static fv_status reduce_axes(fv_sem *s, fv_combine c, const bool *reduced, bool keepdims,
                             bool mean) {
  const fv_dtype t = fv_sem_type(s, 0)->dtype;
  const fv_expr *count;
  const fv_expr *x = reduced_arg(s, t, reduced, keepdims, &count);
  if (!mean)
    return fv_sem_combine(s, c, x, NULL);
  // The count is not rounded to f16.
  const fv_expr *sum = fv_sem_widen(s, fv_sem_acc(s, t));
  const fv_expr *post =
      fv_sem_x2(s, FV_X_DIV, sum, fv_x_cast(s->pool, (fv_dtype)sum->dtype, count));
  return fv_sem_combine(s, c, x, fv_x_cast(s->pool, t, post));
}

static fv_status reduce(fv_sem *s, fv_combine c, unsigned classes, bool mean) {
  bool reduced[FV_MAX_RANK] = {false};
  FV_TRY(fv_sem_want_class(s, 0, classes));
  FV_TRY(fv_sem_axes(s, "axes", fv_sem_rank(s, 0), true, reduced));
  return reduce_axes(s, c, reduced, fv_attr_bool(s->node, "keepdims"), mean);
}

static fv_status reduce_extreme(fv_sem *s, fv_combine number, fv_combine truth) {
  const bool b = fv_sem_type(s, 0)->dtype == FV_bool;
  return reduce(s, b ? truth : number, FV_CLASS_ANY, false);
}

fv_status fv_sem_reduce_sum(fv_sem *s) {
  return reduce(s, FV_COMBINE_SUM, FV_CLASS_NUMBER, false);
}
fv_status fv_sem_reduce_prod(fv_sem *s) {
  return reduce(s, FV_COMBINE_PROD, FV_CLASS_NUMBER, false);
}
fv_status fv_sem_reduce_mean(fv_sem *s) {
  return reduce(s, FV_COMBINE_SUM, FV_CLASS_FLOAT, true);
}
fv_status fv_sem_reduce_max(fv_sem *s) {
  return reduce_extreme(s, FV_COMBINE_MAX, FV_COMBINE_ANY);
}
fv_status fv_sem_reduce_min(fv_sem *s) {
  return reduce_extreme(s, FV_COMBINE_MIN, FV_COMBINE_ALL);
}

// Reads x and `axis`, along which there is something to choose from.
static fv_status want_choice(fv_sem *s, int *axis) {
  FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", fv_sem_rank(s, 0), axis));
  const fv_truth some = fv_sem_need(s, FV_REL_LE, fv_x_i64(s->pool, 1), fv_sem_dim(s, 0, *axis),
                                    fv_arena_printf(s->arena, "axis %d of 'x'", *axis));
  if (some == FV_YES)
    return FV_OK;
  return fv_sem_error(s, "axis %d %s no elements to choose from%s (%s)", *axis,
                      some == FV_NO ? "has" : "may have",
                      some == FV_NO ? "" : "; declare a larger min for its dims", fv_sem_shapes(s));
}

static fv_status arg_reduce(fv_sem *s, fv_combine c) {
  bool reduced[FV_MAX_RANK] = {false};
  int axis;
  FV_TRY(want_choice(s, &axis));
  reduced[axis] = true;
  const fv_expr *count;
  const fv_expr *x = reduced_arg(s, FV_i64, reduced, fv_attr_bool(s->node, "keepdims"), &count);
  return fv_sem_combine(s, c, x, NULL);
}
fv_status fv_sem_arg_max(fv_sem *s) {
  return arg_reduce(s, FV_COMBINE_ARG_MAX);
}
fv_status fv_sem_arg_min(fv_sem *s) {
  return arg_reduce(s, FV_COMBINE_ARG_MIN);
}

// The element is found by its index, so that a row's kernel makes both: the index is on the way
// to the element. Of one element and many that are the least the largest is that element.
fv_status fv_sem_max_with_index(fv_sem *s) {
  int axis;
  FV_TRY(want_choice(s, &axis));
  const fv_dtype t = fv_sem_type(s, 0)->dtype;
  const bool keepdims = fv_attr_bool(s->node, "keepdims");
  fv_sem_begin_expansion(s);
  fv_value *x = fv_sem_param(s, 0);
  fv_node *n = fv_sb_node(s, FV_OP_arg_max, 1, &x);
  fv_attr_set_int(n, "axis", axis);
  fv_attr_set_bool(n, "keepdims", keepdims);
  fv_value *index = fv_sb_done(s, n), *at = index;
  if (keepdims && index) {
    n = fv_sb_node(s, FV_OP_squeeze, 1, &index);
    fv_attr_set_ints(n, "axes", 1, (int64_t[]){axis});
    at = fv_sb_done(s, n);
  }
  if (!at)
    return fv_sem_results(s, 1, &at);
  n = fv_sb_node(s, FV_OP_one_hot, 1, &at);
  fv_attr_set_expr(n, "depth", fv_sem_dim(s, 0, axis));
  fv_attr_set_int(n, "axis", axis);
  fv_attr_set_dtype(n, "dtype", FV_bool);
  const fv_scalar least = fv_combine_identity(FV_COMBINE_MAX, t);
  fv_value *rest = fv_sb_scalar(s, t, fv_dtype_is_float(t) ? least.f : (double)least.i);
  fv_value *found = fv_sb_3(s, FV_OP_where, fv_sb_done(s, n), x, rest);
  fv_value *y = fv_sb_reduce(s, FV_OP_reduce_max, found, axis, keepdims);
  return fv_sem_results(s, 2, (fv_value *[]){y, index});
}

//===-- Running sums and products -------------------------------------------===//

static fv_status running(fv_sem *s, fv_combine c) {
  const fv_type x = *fv_sem_type(s, 0);
  const fv_expr *at[FV_MAX_RANK];
  int axis;
  FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", x.rank, &axis));
  fv_sem_result(s, x.dtype, x.rank, x.dim);
  for (int i = 0; i < x.rank; i++)
    at[i] = fv_sem_index(s, i);
  return fv_sem_scan(s, c, axis, fv_attr_bool(s->node, "exclusive"),
                     fv_attr_bool(s->node, "reverse"), fv_sem_load(s, 0, at));
}
fv_status fv_sem_cumsum(fv_sem *s) {
  return running(s, FV_COMBINE_SUM);
}
fv_status fv_sem_cumprod(fv_sem *s) {
  return running(s, FV_COMBINE_PROD);
}

//===-- Global pooling ----------------------------------------------------===//

static fv_status global_pool(fv_sem *s, fv_combine c, unsigned classes, bool mean) {
  bool reduced[FV_MAX_RANK] = {false};
  FV_TRY(fv_sem_want_class(s, 0, classes));
  FV_TRY(fv_sem_want_rank(s, 0, 3, FV_MAX_RANK));
  for (int i = 2; i < fv_sem_rank(s, 0); i++)
    reduced[i] = true;
  return reduce_axes(s, c, reduced, true, mean);
}
fv_status fv_sem_global_average_pool(fv_sem *s) {
  return global_pool(s, FV_COMBINE_SUM, FV_CLASS_FLOAT, true);
}
fv_status fv_sem_global_max_pool(fv_sem *s) {
  return global_pool(s, FV_COMBINE_MAX, FV_CLASS_NUMBER, false);
}
