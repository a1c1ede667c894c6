// SPDX-License-Identifier: Apache-2.0
//
// Reshape, flatten, squeeze and unsqueeze.
//
// A reshape cuts the dims of both sides into groups of provably equal products
// ([B, S, 768] -> [B, S, 12, 64] has the groups B|B, S|S, 768|12*64). An index
// is linearised inside of its group only, so that merging dims is free of
// division and splitting costs one division a dim.
#include "ir/sem/sem_util.h"

// The dims of one side that are not 1, and the axes they stand at.
typedef struct side {
  int n;
  const fv_expr *dim[FV_MAX_RANK];
  int axis[FV_MAX_RANK];
} side;

static side side_of(const fv_sem *s, int rank, const fv_expr *const *dims) {
  side r = {0};
  for (int i = 0; i < rank; i++) {
    if (fv_sem_is_one(s, dims[i]))
      continue;
    r.dim[r.n] = dims[i];
    r.axis[r.n++] = i;
  }
  return r;
}

// Ends *x and *y of the group that begins at x0, y0: the products of the dims
// from there agree, or everything is in it.
static void group_end(fv_sem *s, const side *a, const side *b, int *x, int *y) {
  const fv_expr *pa = a->dim[(*x)++];
  const fv_expr *pb = b->dim[(*y)++];
  while (fv_prove_eq(s->pool, pa, pb) != FV_YES) {
    const fv_expr *q;
    int64_t zero;
    const bool b_less =
        fv_prove_le(s->pool, pb, pa) == FV_YES ||
        (!(fv_x_is_lit(pb, &zero) && zero == 0) && fv_x_divide(s->pool, pa, pb, &q));
    if (*y < b->n && (b_less || *x == a->n))
      pb = fv_x_mul(s->pool, pb, b->dim[(*y)++]);
    else if (*x < a->n)
      pa = fv_x_mul(s->pool, pa, a->dim[(*x)++]);
    else
      return;
  }
}

// Indices of the operand in one group: a's dims x0..x1 for b's y0..y1.
static void group_index(fv_sem *s, const side *a, int x0, int x1, const side *b, int y0, int y1,
                        const fv_expr **at) {
  fv_xpool *p = s->pool;
  const fv_expr *linear = fv_x_i64(p, 0);
  for (int j = y0; j < y1; j++)
    linear = fv_x_add(p, fv_x_mul(p, linear, b->dim[j]), fv_sem_index(s, b->axis[j]));
  for (int i = x1 - 1; i > x0; i--) {
    int64_t v;
    if (fv_x_is_lit(a->dim[i], &v) && v == 0)
      continue;  // an empty tensor: no element has an index
    at[a->axis[i]] = fv_x_mod(p, linear, a->dim[i]);
    linear = fv_x_floordiv(p, linear, a->dim[i]);
  }
  at[a->axis[x0]] = linear;
}

// The nest of a reshape whose element counts are known to agree.
static fv_status reshape_nest(fv_sem *s, int rank, const fv_expr *const *dims) {
  const fv_type x = *fv_sem_type(s, 0);
  const side a = side_of(s, x.rank, x.dim);
  const side b = side_of(s, rank, dims);
  const fv_expr *at[FV_MAX_RANK];
  for (int i = 0; i < x.rank; i++)
    at[i] = fv_x_i64(s->pool, 0);
  fv_sem_result(s, x.dtype, rank, dims);
  int i = 0;
  int j = 0;
  while (i < a.n && j < b.n) {
    const int x0 = i;
    const int y0 = j;
    group_end(s, &a, &b, &i, &j);
    group_index(s, &a, x0, i, &b, y0, j, at);
  }
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

//===-- Reshape -----------------------------------------------------------===//

// Products of what is left of the two sides after equal dims cancel; `skip` is
// left out of b.
static void cancelled(fv_sem *s, const fv_type *x, int rank, const fv_expr *const *dims, int skip,
                      const fv_expr **pa, const fv_expr **pb) {
  bool used[FV_MAX_RANK] = {false};
  *pa = *pb = fv_x_i64(s->pool, 1);
  for (int j = 0; j < rank; j++) {
    int hit = -1;
    int64_t v;
    if (j == skip)
      continue;
    if (!(fv_x_is_lit(dims[j], &v) && v == 0))  // 0 does not cancel
      for (int i = 0; i < x->rank && hit < 0; i++)
        if (!used[i] && fv_prove_eq(s->pool, x->dim[i], dims[j]) == FV_YES)
          hit = i;
    if (hit >= 0)
      used[hit] = true;
    else
      *pb = fv_x_mul(s->pool, *pb, dims[j]);
  }
  for (int i = 0; i < x->rank; i++)
    if (!used[i])
      *pa = fv_x_mul(s->pool, *pa, x->dim[i]);
}

static fv_status infer_free_dim(fv_sem *s, int rank, const fv_expr **dims, int axis) {
  const fv_expr *pa;
  const fv_expr *pb;
  int64_t v;
  cancelled(s, fv_sem_type(s, 0), rank, dims, axis, &pa, &pb);
  if (fv_x_is_lit(pb, &v) && v == 0)
    return fv_sem_error(s, "shape[%d] = -1 has no one answer when another dim is 0 (%s)", axis,
                        fv_sem_shapes(s));
  if (fv_x_divide(s->pool, pa, pb, &dims[axis]))
    return FV_OK;
  dims[axis] = fv_x_floordiv(s->pool, pa, pb);
  const fv_expr *zero = fv_x_i64(s->pool, 0), *rest = fv_x_mod(s->pool, pa, pb);
  if (fv_sem_need(s, FV_REL_LE, fv_x_i64(s->pool, 1), pb, "the other dims") != FV_YES ||
      fv_sem_need(s, FV_REL_EQ, rest, zero,
                  fv_arena_printf(s->arena, "what is left beside shape[%d]", axis)) != FV_YES)
    return fv_sem_error(s, "shape[%d] = -1: cannot divide %s by %s without rest (%s)", axis,
                        fv_sem_dim_text(s, pa), fv_sem_dim_text(s, pb), fv_sem_shapes(s));
  return FV_OK;
}

fv_status fv_sem_reshape(fv_sem *s) {
  const fv_attr *shape = fv_attr_get(s->node, "shape");
  const fv_expr *dims[FV_MAX_RANK];
  int free_axis = -1;
  FV_TRY(fv_sem_rank_fits(s, shape->n));
  for (int i = 0; i < shape->n; i++) {
    int64_t v;
    dims[i] = shape->dims[i];
    if (!fv_x_is_lit(dims[i], &v) || v != -1) {
      FV_TRY(fv_sem_want_not_negative(s, dims[i], fv_arena_printf(s->arena, "shape[%d]", i)));
      continue;
    }
    if (free_axis >= 0)
      return fv_sem_error(s, "shape[%d] and shape[%d] are both -1; only one can be inferred",
                          free_axis, i);
    free_axis = i;
  }
  if (free_axis >= 0) {
    FV_TRY(infer_free_dim(s, shape->n, dims, free_axis));
    return reshape_nest(s, shape->n, dims);
  }
  const fv_expr *pa;
  const fv_expr *pb;
  cancelled(s, fv_sem_type(s, 0), shape->n, dims, -1, &pa, &pb);
  const fv_truth equal = fv_sem_need(s, FV_REL_EQ, pa, pb, "the elements");
  if (equal == FV_YES)
    return reshape_nest(s, shape->n, dims);
  fv_type want = {.dtype = fv_sem_type(s, 0)->dtype, .rank = shape->n};
  for (int i = 0; i < shape->n; i++)
    want.dim[i] = dims[i];
  return fv_sem_error(s,
                      "%s to %s: %s %s elements into %s (equal dims left out); a dim of "
                      "-1 takes what is left",
                      fv_sem_shapes(s), fv_sem_type_text(s, &want),
                      equal == FV_NO ? "cannot put" : "cannot prove that one can put",
                      fv_sem_dim_text(s, pa), fv_sem_dim_text(s, pb));
}

fv_status fv_sem_flatten(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  const int64_t given = fv_attr_int(s->node, "axis");
  if (given < -x.rank || given > x.rank)
    return fv_sem_error(s, "axis = %lld is out of range: it must be in %d..%d (%s)",
                        (long long)given, -x.rank, x.rank, fv_sem_shapes(s));
  const int axis = (int)(given < 0 ? given + x.rank : given);
  const fv_expr *dims[] = {fv_sem_product(s, axis, x.dim),
                           fv_sem_product(s, x.rank - axis, x.dim + axis)};
  return reshape_nest(s, 2, dims);
}

fv_status fv_sem_squeeze(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  bool drop[FV_MAX_RANK] = {false};
  FV_TRY(fv_sem_axes(s, "axes", x.rank, false, drop));
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < x.rank; i++) {
    if (drop[i] && fv_sem_need(s, FV_REL_EQ, x.dim[i], fv_x_i64(s->pool, 1),
                               fv_arena_printf(s->arena, "axis %d of 'x'", i)) != FV_YES)
      return fv_sem_error(s, "axis %d has extent %s; only an extent of 1 can go (%s)", i,
                          fv_sem_dim_text(s, x.dim[i]), fv_sem_shapes(s));
    at[i] = drop[i] ? fv_x_i64(s->pool, 0) : fv_sem_index(s, rank);
    if (!drop[i])
      dims[rank++] = x.dim[i];
  }
  fv_sem_result(s, x.dtype, rank, dims);
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

fv_status fv_sem_unsqueeze(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  const int64_t rank64 = (int64_t)x.rank + fv_attr_get(s->node, "axes")->n;
  FV_TRY(fv_sem_rank_fits(s, rank64 > FV_MAX_RANK ? FV_MAX_RANK + 1 : (int)rank64));
  const int rank = (int)rank64;
  bool fresh[FV_MAX_RANK] = {false};
  FV_TRY(fv_sem_axes(s, "axes", rank, false, fresh));
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  int k = 0;
  for (int i = 0; i < rank; i++) {
    if (!fresh[i])
      at[k] = fv_sem_index(s, i);
    dims[i] = fresh[i] ? fv_x_i64(s->pool, 1) : x.dim[k++];
  }
  fv_sem_result(s, x.dtype, rank, dims);
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}
