// SPDX-License-Identifier: Apache-2.0
//
// Sums of products: matrix products and convolution. An expression of f16 or
// bf16 is computed in f32, its sum too, and rounded once, at the store.
#include "ir/sem/sem_util.h"

// Ends a contraction: sum of a * b, then optionally + bias (an element at
// parallel indices).
static fv_status sum_of_products(fv_sem *s, const fv_expr *a, const fv_expr *b,
                                 const fv_expr *bias) {
  const fv_expr *acc = fv_sem_acc(s, (fv_dtype)a->dtype);
  return fv_sem_combine(s, FV_COMBINE_SUM, fv_x_mul(s->pool, a, b),
                        bias ? fv_x_add(s->pool, acc, bias) : NULL);
}

static fv_status want_bias(fv_sem *s, int operand, const fv_expr *extent, const char *what) {
  if (!fv_sem_has(s, operand))
    return FV_OK;
  FV_TRY(fv_sem_same_dtype(s, 0, operand));
  FV_TRY(fv_sem_want_rank(s, operand, 1, 1));
  return fv_sem_same_dim(s, fv_sem_dim(s, operand, 0), extent, what);
}

//===-- Matrix products ---------------------------------------------------===//

// The leading dims of an operand of a product, as a type to broadcast.
static fv_type batch_of(const fv_type *t) {
  fv_type b = *t;
  b.rank = t->rank > 2 ? t->rank - 2 : 0;
  return b;
}

// Checks and result of a batched product; a_at and b_at are the loads' indices.
static fv_status product_nest(fv_sem *s, fv_dtype t, const fv_expr **a_at, const fv_expr **b_at) {
  const fv_type a = *fv_sem_type(s, 0);
  const fv_type b = *fv_sem_type(s, 1);
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_want_rank(s, 1, 1, FV_MAX_RANK));
  const fv_expr *k = a.dim[a.rank - 1];
  const bool vector = b.rank == 1;
  FV_TRY(fv_sem_same_dim(s, k, b.dim[vector ? 0 : b.rank - 2],
                         vector ? "the last dim of a and the dim of b"
                                : "the last dim of a and the last but one of b"));
  const fv_type batch_a = batch_of(&a);
  const fv_type batch_b = batch_of(&b);
  const fv_expr *dims[FV_MAX_RANK];
  int batch;
  FV_TRY(fv_sem_broadcast_dims(s, (const fv_type *[]){&batch_a, &batch_b}, 2, &batch, dims));
  int rank = batch;
  if (a.rank > 1)
    dims[rank++] = a.dim[a.rank - 2];
  if (b.rank > 1)
    dims[rank++] = b.dim[b.rank - 1];
  fv_sem_result(s, t, rank, dims);
  const fv_expr *index[FV_MAX_RANK];
  for (int i = 0; i < rank; i++)
    index[i] = fv_sem_index(s, i);
  const fv_expr *red = fv_sem_index(s, fv_sem_reduce(s, k));
  fv_sem_broadcast_index(s, &batch_a, batch, dims, index, a_at);
  fv_sem_broadcast_index(s, &batch_b, batch, dims, index, b_at);
  if (a.rank > 1)
    a_at[a.rank - 2] = index[batch];
  a_at[a.rank - 1] = red;
  if (b.rank > 1)
    b_at[b.rank - 1] = index[rank - 1];
  b_at[vector ? 0 : b.rank - 2] = red;
  return FV_OK;
}

fv_status fv_sem_matmul(fv_sem *s) {
  const fv_expr *a_at[FV_MAX_RANK];
  const fv_expr *b_at[FV_MAX_RANK];
  FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  FV_TRY(fv_sem_same_dtype(s, 0, 1));
  FV_TRY(product_nest(s, fv_sem_type(s, 0)->dtype, a_at, b_at));
  return sum_of_products(s, fv_sem_load(s, 0, a_at), fv_sem_load(s, 1, b_at), NULL);
}

static fv_status want_byte(fv_sem *s, int operand) {
  const fv_dtype t = fv_sem_type(s, operand)->dtype;
  if (t == FV_i8 || t == FV_u8)
    return FV_OK;
  return fv_sem_error(s, "'%s' must be i8 or u8; it is %s", fv_sem_operand_name(s, operand),
                      fv_sem_type_text(s, fv_sem_type(s, operand)));
}

// The element of operand `x` in i32, minus its zero point: one for all, or one for each index of
// the axis `axis` of x, which the loops have as `along`.
static fv_status from_zero_point(fv_sem *s, int x, int zero, int axis, const fv_expr *along,
                                 const fv_expr *const *at, const fv_expr **out) {
  *out = fv_x_cast(s->pool, FV_i32, fv_sem_load(s, x, at));
  if (!fv_sem_has(s, zero))
    return FV_OK;
  FV_TRY(fv_sem_same_dtype(s, x, zero));
  FV_TRY(fv_sem_want_rank(s, zero, 0, along ? 1 : 0));
  const bool each = fv_sem_rank(s, zero) == 1;
  if (each)
    FV_TRY(fv_sem_same_dim(
        s, fv_sem_dim(s, zero, 0), fv_sem_dim(s, x, axis),
        fv_arena_printf(s->arena, "the dim of '%s' and axis %d of '%s'",
                        fv_sem_operand_name(s, zero), axis, fv_sem_operand_name(s, x))));
  const fv_expr *z = fv_sem_load(s, zero, each ? &along : NULL);
  *out = fv_x_sub(s->pool, *out, fv_x_cast(s->pool, FV_i32, z));
  return FV_OK;
}

fv_status fv_sem_matmul_integer(fv_sem *s) {
  enum { A, B, A_ZERO_POINT, B_ZERO_POINT };
  const fv_expr *a_at[FV_MAX_RANK], *b_at[FV_MAX_RANK], *a, *b;
  FV_TRY(want_byte(s, A));
  FV_TRY(want_byte(s, B));
  FV_TRY(product_nest(s, FV_i32, a_at, b_at));
  const int rows = fv_sem_rank(s, A) - 2, columns = fv_sem_rank(s, B) - 1;
  FV_TRY(from_zero_point(s, A, A_ZERO_POINT, rows, rows >= 0 ? a_at[rows] : NULL, a_at, &a));
  FV_TRY(
      from_zero_point(s, B, B_ZERO_POINT, columns, columns > 0 ? b_at[columns] : NULL, b_at, &b));
  return sum_of_products(s, a, b, NULL);
}

// The mask broadcasts against [..., m, k]. It selects: a product with 0 would
// let a NaN through.
fv_status fv_sem_masked_matmul(fv_sem *s) {
  const fv_expr *a_at[FV_MAX_RANK];
  const fv_expr *b_at[FV_MAX_RANK];
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_want_rank(s, 0, 2, FV_MAX_RANK));
  FV_TRY(fv_sem_want_rank(s, 1, 2, FV_MAX_RANK));
  FV_TRY(fv_sem_want_bool(s, 2));
  FV_TRY(fv_sem_same_dtype(s, 0, 1));
  FV_TRY(product_nest(s, fv_sem_type(s, 0)->dtype, a_at, b_at));
  const int rank = s->out[0].rank;
  fv_type full = s->out[0];
  full.dim[rank - 1] = fv_sem_dim(s, 0, -1);
  const fv_expr *dims[FV_MAX_RANK];
  int joint;
  FV_TRY(fv_sem_broadcast_dims(s, (const fv_type *[]){&full, fv_sem_type(s, 2)}, 2, &joint, dims));
  for (int i = 0; i < joint; i++)
    if (joint != rank || fv_sem_need(s, FV_REL_EQ, dims[i], full.dim[i], "mask") != FV_YES)
      return fv_sem_error(s, "mask must broadcast to %s (%s)", fv_sem_type_text(s, &full),
                          fv_sem_shapes(s));
  const fv_expr *index[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  for (int i = 0; i < rank; i++)
    index[i] = fv_sem_index(s, i);
  index[rank - 1] = fv_sem_index(s, rank);  // the reduced dim
  fv_sem_broadcast_index(s, fv_sem_type(s, 2), rank, full.dim, index, at);
  const fv_expr *product = fv_x_mul(s->pool, fv_sem_load(s, 0, a_at), fv_sem_load(s, 1, b_at));
  const fv_expr *zero = fv_x_lit_f(s->pool, (fv_dtype)product->dtype, 0);
  return fv_sem_combine(s, FV_COMBINE_SUM, fv_sem_pick(s, fv_sem_load(s, 2, at), product, zero),
                        NULL);
}

// c must broadcast to the result, not the other way round.
static fv_status gemm_addend(fv_sem *s, const fv_expr **out) {
  const fv_type y = s->out[0];
  const fv_expr *dims[FV_MAX_RANK];
  int rank;
  FV_TRY(fv_sem_same_dtype(s, 0, 2));
  FV_TRY(fv_sem_want_rank(s, 2, 0, 2));
  FV_TRY(fv_sem_broadcast_dims(s, (const fv_type *[]){&y, fv_sem_type(s, 2)}, 2, &rank, dims));
  for (int i = 0; i < 2; i++)
    if (fv_sem_need(s, FV_REL_EQ, dims[i], y.dim[i], "c") != FV_YES)
      return fv_sem_error(s, "c must broadcast to %s (%s)", fv_sem_type_text(s, &y),
                          fv_sem_shapes(s));
  *out = fv_sem_widen(s, fv_sem_arg(s, 2));
  return FV_OK;
}

fv_status fv_sem_gemm(fv_sem *s) {
  const bool ta = fv_attr_bool(s->node, "trans_a");
  const bool tb = fv_attr_bool(s->node, "trans_b");
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_same_dtype(s, 0, 1));
  FV_TRY(fv_sem_want_rank(s, 0, 2, 2));
  FV_TRY(fv_sem_want_rank(s, 1, 2, 2));
  const fv_expr *k = fv_sem_dim(s, 0, ta ? 0 : 1);
  FV_TRY(fv_sem_same_dim(s, k, fv_sem_dim(s, 1, tb ? 1 : 0), "the inner dims of a and b"));
  fv_sem_result(s, fv_sem_type(s, 0)->dtype, 2,
                (const fv_expr *[]){fv_sem_dim(s, 0, ta ? 1 : 0), fv_sem_dim(s, 1, tb ? 0 : 1)});
  const fv_expr *m = fv_sem_index(s, 0);
  const fv_expr *n = fv_sem_index(s, 1);
  const fv_expr *r = fv_sem_index(s, fv_sem_reduce(s, k));
  const fv_expr *a = fv_sem_load(s, 0, (const fv_expr *[]){ta ? r : m, ta ? m : r});
  const fv_expr *b = fv_sem_load(s, 1, (const fv_expr *[]){tb ? n : r, tb ? r : n});
  const double alpha = fv_attr_float(s->node, "alpha");
  const double beta = fv_attr_float(s->node, "beta");
  // alpha and beta are not rounded to f16.
  const fv_expr *post = fv_sem_widen(s, fv_sem_acc(s, (fv_dtype)a->dtype));
  const fv_dtype c = (fv_dtype)post->dtype;
  if (alpha < 1 || alpha > 1)
    post = fv_x_mul(s->pool, post, fv_x_lit_f(s->pool, c, alpha));
  if (fv_sem_has(s, 2)) {
    const fv_expr *add = NULL;
    FV_TRY(gemm_addend(s, &add));
    if (beta < 1 || beta > 1)
      add = fv_x_mul(s->pool, add, fv_x_lit_f(s->pool, c, beta));
    post = fv_x_add(s->pool, post, add);
  }
  return fv_sem_combine(s, FV_COMBINE_SUM, fv_x_mul(s->pool, a, b),
                        fv_x_cast(s->pool, s->out[0].dtype, post));
}

fv_status fv_sem_linear(fv_sem *s) {
  FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  FV_TRY(fv_sem_same_dtype(s, 0, 1));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_want_rank(s, 1, 2, 2));
  const fv_type x = *fv_sem_type(s, 0);
  const fv_expr *k = x.dim[x.rank - 1];
  FV_TRY(fv_sem_same_dim(s, k, fv_sem_dim(s, 1, 1), "the last dims of x and w (w is [out, in])"));
  FV_TRY(want_bias(s, 2, fv_sem_dim(s, 1, 0), "the dim of b and the first dim of w"));
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  for (int i = 0; i < x.rank; i++)
    dims[i] = i == x.rank - 1 ? fv_sem_dim(s, 1, 0) : x.dim[i];
  fv_sem_result(s, x.dtype, x.rank, dims);
  const fv_expr *o = fv_sem_index(s, x.rank - 1);
  const fv_expr *r = fv_sem_index(s, fv_sem_reduce(s, k));
  for (int i = 0; i < x.rank; i++)
    at[i] = i == x.rank - 1 ? r : fv_sem_index(s, i);
  const fv_expr *w = fv_sem_load(s, 1, (const fv_expr *[]){o, r});
  const fv_expr *bias = fv_sem_has(s, 2) ? fv_sem_load(s, 2, &o) : NULL;
  return sum_of_products(s, fv_sem_load(s, 0, at), w, bias);
}

//===-- Convolution -------------------------------------------------------===//

static fv_status check_channels(fv_sem *s, int64_t group, const fv_expr **per_group) {
  const fv_expr *g = fv_x_i64(s->pool, group);
  const fv_expr *m = fv_sem_dim(s, 1, 0);
  const fv_expr *want = fv_x_mul(s->pool, fv_sem_dim(s, 1, 1), g);
  FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, 0, 1), want,
                         group == 1 ? "the channels of x and w (axis 1)"
                                    : "the channels of x (axis 1) and group times those of w"));
  if (!fv_x_divide(s->pool, m, g, per_group))
    return fv_sem_error(s, "group = %lld does not divide the %s output channels of w (%s)",
                        (long long)group, fv_sem_dim_text(s, m), fv_sem_shapes(s));
  return want_bias(s, 2, m, "the dim of b and the first dim of w");
}

fv_status fv_sem_conv(fv_sem *s) {
  fv_window w[FV_MAX_RANK];
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *per_group;
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_same_dtype(s, 0, 1));
  FV_TRY(fv_sem_want_rank(s, 0, 3, FV_MAX_RANK));
  const int rank = fv_sem_rank(s, 0);
  FV_TRY(fv_sem_want_rank(s, 1, rank, rank));
  FV_TRY(fv_sem_int_in(s, "group", 1, INT32_MAX));
  const int64_t group = fv_attr_int(s->node, "group");
  FV_TRY(check_channels(s, group, &per_group));
  FV_TRY(fv_sem_windows(s, rank - 2, true, w));
  dims[0] = fv_sem_dim(s, 0, 0);
  dims[1] = fv_sem_dim(s, 1, 0);
  for (int i = 0; i < rank - 2; i++) {
    w[i].kernel = fv_sem_dim(s, 1, 2 + i);
    FV_TRY(fv_sem_window_extent(s, &w[i], 2 + i, &dims[2 + i]));
  }
  fv_sem_result(s, fv_sem_type(s, 0)->dtype, rank, dims);
  const fv_expr *m = fv_sem_index(s, 1);
  const fv_expr *c = fv_sem_index(s, fv_sem_reduce(s, fv_sem_dim(s, 1, 1)));
  const fv_expr *x_at[FV_MAX_RANK] = {fv_sem_index(s, 0), c};
  const fv_expr *w_at[FV_MAX_RANK] = {m, c};
  if (group > 1)
    x_at[1] = fv_x_add(
        s->pool, c, fv_x_mul(s->pool, fv_x_floordiv(s->pool, m, per_group), fv_sem_dim(s, 1, 1)));
  const fv_expr *inside = NULL;
  for (int i = 0; i < rank - 2; i++) {
    const fv_expr *in;
    w_at[2 + i] = fv_sem_index(s, fv_sem_reduce(s, w[i].kernel));
    x_at[2 + i] = fv_sem_window_at(s, &w[i], fv_sem_index(s, 2 + i), w_at[2 + i], &in);
    inside = fv_sem_both(s, inside, in);
  }
  const fv_expr *x = fv_sem_load(s, 0, x_at);
  if (inside)
    x = fv_sem_pick(s, inside, x, fv_x_lit_f(s->pool, (fv_dtype)x->dtype, 0));
  return sum_of_products(s, x, fv_sem_load(s, 1, w_at),
                         fv_sem_has(s, 2) ? fv_sem_load(s, 2, &m) : NULL);
}
