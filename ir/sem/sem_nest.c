// SPDX-License-Identifier: Apache-2.0
//
// The nest builder: results as loops over one scalar expression.
#include <math.h>

#include "ir/sem/sem_util.h"

//===-- Combiners -------------------------------------------------------===//

fv_scalar_op fv_combine_op(fv_combine c) {
  switch (c) {
  case FV_COMBINE_PROD: return FV_X_MUL;
  case FV_COMBINE_MAX: return FV_X_MAX;
  case FV_COMBINE_MIN: return FV_X_MIN;
  case FV_COMBINE_ANY: return FV_X_OR;
  case FV_COMBINE_ALL: return FV_X_AND;
  default: return FV_X_ADD;
  }
}

fv_scalar fv_combine_identity(fv_combine c, fv_dtype t) {
  const bool f = fv_dtype_is_float(t);
  const int bits = fv_dtype_size(t) * 8;
  const bool is_unsigned = t == FV_u8 || t == FV_bool;
  const int64_t top = t == FV_bool ? 1
                      : t == FV_u8 ? 255
                      : bits == 64 ? INT64_MAX
                                   : (INT64_C(1) << (bits - 1)) - 1;
  switch (c) {
  case FV_COMBINE_MAX:
  case FV_COMBINE_ARG_MAX:
    return f ? (fv_scalar){.f = -INFINITY} : (fv_scalar){.i = is_unsigned ? 0 : -top - 1};
  case FV_COMBINE_MIN:
  case FV_COMBINE_ARG_MIN: return f ? (fv_scalar){.f = INFINITY} : (fv_scalar){.i = top};
  case FV_COMBINE_PROD:
  case FV_COMBINE_ALL: return f ? (fv_scalar){.f = 1} : (fv_scalar){.i = 1};
  default: return f ? (fv_scalar){.f = 0} : (fv_scalar){.i = 0};
  }
}

fv_nest fv_nest_base(const fv_nest *scatter, const fv_type *result) {
  fv_nest base = {.form = FV_NEST_MAP, .n_par = result->rank, .value = scatter->base};
  for (int i = 0; i < result->rank; i++)
    base.extent[i] = result->dim[i];
  return base;
}

//===-- Building --------------------------------------------------------===//

void fv_sem_result(fv_sem *s, fv_dtype t, int rank, const fv_expr *const *dims) {
  FV_CHECK(s->arena, rank >= 0 && rank <= FV_MAX_RANK);
  fv_type type = {.dtype = t, .rank = rank};
  fv_nest *nest = &s->meaning->nest;
  s->meaning->kind = FV_MEANS_NEST;
  nest->n_par = rank;
  for (int i = 0; i < rank; i++) {
    type.dim[i] = dims[i];
    nest->extent[i] = dims[i];
  }
  s->out[0] = type;
  s->n_out = 1;
}

const fv_expr *fv_sem_index(fv_sem *s, int i) {
  return fv_x_index(s->pool, (uint32_t)i);
}

int fv_sem_reduce(fv_sem *s, const fv_expr *extent) {
  fv_nest *nest = &s->meaning->nest;
  const int i = nest->n_par + nest->n_red;
  FV_CHECK(s->arena, i < FV_MAX_LOOPS);
  nest->extent[i] = extent;
  nest->n_red++;
  return i;
}

const fv_expr *fv_sem_load(fv_sem *s, int operand, const fv_expr *const *index) {
  const fv_type *t = fv_sem_type(s, operand);
  return fv_x_load(s->pool, t->dtype, (uint32_t)operand, t->rank, index);
}

// A dim that only the run knows to be 1 or as broad is read at min(index, dim - 1).
static const fv_expr *broadcast_at(fv_sem *s, const fv_expr *dim, const fv_expr *broad,
                                   const fv_expr *index) {
  fv_graph *g = s->node->region->graph;
  if (fv_sem_is_one(s, dim))
    return fv_x_i64(s->pool, 0);
  if (fv_prove_eq(s->pool, fv_graph_unified(g, dim), fv_graph_unified(g, broad)) == FV_YES)
    return index;
  return fv_sem_x2(s, FV_X_MIN, index, fv_x_sub(s->pool, dim, fv_x_i64(s->pool, 1)));
}

void fv_sem_broadcast_index(fv_sem *s, const fv_type *t, int rank, const fv_expr *const *dims,
                            const fv_expr *const *index, const fv_expr **out) {
  for (int i = 0; i < t->rank; i++) {
    const int k = rank - t->rank + i;
    FV_CHECK(s->arena, k >= 0);
    out[i] = broadcast_at(s, t->dim[i], dims[k], index[k]);
  }
}

const fv_expr *fv_sem_arg(fv_sem *s, int operand) {
  const fv_expr *index[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  const int rank = s->out[0].rank;
  for (int i = 0; i < rank; i++)
    index[i] = fv_sem_index(s, i);
  fv_sem_broadcast_index(s, fv_sem_type(s, operand), rank, s->out[0].dim, index, at);
  return fv_sem_load(s, operand, at);
}

static fv_status broadcast_error(fv_sem *s, fv_truth equal, const fv_expr *a, const fv_expr *b) {
  const char *ta = fv_sem_dim_text(s, a);
  const char *tb = fv_sem_dim_text(s, b);
  if (equal == FV_NO)
    return fv_sem_error(s, "shapes do not broadcast: %s against %s (%s)", ta, tb, fv_sem_shapes(s));
  return fv_sem_error(s,
                      "shapes do not broadcast: cannot prove %s == %s; declare them as one dim "
                      "(%s)",
                      ta, tb, fv_sem_shapes(s));
}

// Of two dims that are equal, or of which one is 1: the other one.
static const fv_expr *broader(fv_sem *s, const fv_expr *a, const fv_expr *b) {
  const fv_expr *one = fv_x_i64(s->pool, 1);
  if (fv_prove_le(s->pool, one, a) == FV_YES && fv_prove_le(s->pool, one, b) == FV_YES)
    return fv_x_op(s->pool, FV_X_MAX, a, b, NULL);
  return fv_sem_pick(s, fv_sem_x2(s, FV_X_EQ, a, one), b, a);
}

fv_status fv_sem_broadcast_dims(fv_sem *s, const fv_type *const *types, int count, int *rank,
                                const fv_expr **dims) {
  *rank = 0;
  for (int i = 0; i < count; i++)
    *rank = types[i]->rank > *rank ? types[i]->rank : *rank;
  for (int axis = 0; axis < *rank; axis++) {
    dims[axis] = NULL;
    for (int i = 0; i < count; i++) {
      const int k = axis - (*rank - types[i]->rank);
      if (k < 0)
        continue;
      const fv_expr *d = types[i]->dim[k];
      if (!dims[axis] || fv_sem_is_one(s, dims[axis])) {
        dims[axis] = d;
        continue;
      }
      fv_graph *g = s->node->region->graph;
      if (fv_sem_is_one(s, d) ||
          fv_prove_eq(s->pool, fv_graph_unified(g, dims[axis]), fv_graph_unified(g, d)) == FV_YES)
        continue;
      const fv_truth fits = fv_sem_need(s, FV_REL_BROADCAST, dims[axis], d, NULL);
      if (fits != FV_YES)
        return broadcast_error(s, fits, dims[axis], d);
      dims[axis] = broader(s, dims[axis], d);
    }
  }
  return FV_OK;
}

fv_status fv_sem_broadcast(fv_sem *s, int first, int count, fv_dtype t) {
  const fv_type *types[FV_MAX_OPERANDS];
  int n = 0;
  for (int i = first; i < first + count; i++)
    if (fv_sem_has(s, i))
      types[n++] = fv_sem_type(s, i);
  const fv_expr *dims[FV_MAX_RANK];
  int rank;
  FV_TRY(fv_sem_broadcast_dims(s, types, n, &rank, dims));
  fv_sem_result(s, t, rank, dims);
  return FV_OK;
}

fv_status fv_sem_yield(fv_sem *s, const fv_expr *value) {
  FV_CHECK(s->arena, value->dtype == s->out[0].dtype && s->meaning->nest.n_red == 0);
  s->meaning->nest.combine = FV_COMBINE_NONE;
  s->meaning->nest.value = value;
  return FV_OK;
}

static const fv_expr *replace_acc(void *user, const fv_expr *e) {
  return e->kind == FV_E_LOAD && e->ref == FV_NEST_ACC ? user : e;
}

fv_status fv_sem_combine(fv_sem *s, fv_combine c, const fv_expr *value, const fv_expr *post) {
  fv_nest *nest = &s->meaning->nest;
  const bool arg = c == FV_COMBINE_ARG_MAX || c == FV_COMBINE_ARG_MIN;
  if (nest->n_red == 0) {  // over one element: no loop at all
    FV_CHECK(s->arena, !arg);
    if (!post)
      return fv_sem_yield(s, value);
    // The rewrite hands the leaf back unchanged, so it needs no constness here.
    return fv_sem_yield(s, fv_x_rewrite(s->pool, post, replace_acc, (void *)(uintptr_t)value));
  }
  if (post && post->kind == FV_E_LOAD && post->ref == FV_NEST_ACC)
    post = NULL;  // the combined value itself
  const fv_dtype t = post ? (fv_dtype)post->dtype : arg ? FV_i64 : (fv_dtype)value->dtype;
  FV_CHECK(s->arena, t == s->out[0].dtype);
  nest->form = FV_NEST_REDUCE;
  nest->combine = c;
  nest->value = value;
  nest->post = post;
  return FV_OK;
}

fv_status fv_sem_scan(fv_sem *s, fv_combine c, int along, bool exclusive, bool reverse,
                      const fv_expr *value) {
  fv_nest *nest = &s->meaning->nest;
  FV_CHECK(s->arena, nest->n_red == 0 && along >= 0 && along < nest->n_par);
  FV_CHECK(s->arena, value->dtype == s->out[0].dtype && c != FV_COMBINE_NONE);
  nest->form = FV_NEST_SCAN;
  nest->combine = c;
  nest->along = along;
  nest->exclusive = exclusive;
  nest->reverse = reverse;
  nest->value = value;
  return FV_OK;
}

void fv_sem_points(fv_sem *s, int n, const fv_expr *const *extent) {
  fv_nest *nest = &s->meaning->nest;
  FV_CHECK(s->arena, n >= 0 && n <= FV_MAX_LOOPS);
  nest->form = FV_NEST_SCATTER;
  nest->n_par = n;
  for (int i = 0; i < n; i++)
    nest->extent[i] = extent[i];
}

fv_status fv_sem_scatter(fv_sem *s, fv_combine c, const fv_expr *base, const fv_expr *const *target,
                         const fv_expr *value) {
  fv_nest *nest = &s->meaning->nest;
  const fv_dtype t = s->out[0].dtype;
  FV_CHECK(s->arena, nest->form == FV_NEST_SCATTER && base->dtype == t && value->dtype == t);
  nest->combine = c;
  nest->base = base;
  nest->value = value;
  for (int i = 0; i < s->out[0].rank; i++)
    nest->target[i] = target[i];
  return FV_OK;
}

void fv_sem_check(fv_sem *s, const fv_expr *cond, const char *text) {
  fv_nest *nest = &s->meaning->nest;
  nest->check = fv_sem_both(s, nest->check, cond);
  if (!nest->check_text)
    nest->check_text = text;
}

//===-- Scalars ---------------------------------------------------------===//

const fv_expr *fv_sem_both(fv_sem *s, const fv_expr *a, const fv_expr *b) {
  if (!a || !b)
    return a ? a : b;
  return fv_sem_x2(s, FV_X_AND, a, b);
}

const fv_expr *fv_sem_bounds(fv_sem *s, const fv_expr *e, const fv_expr *extent) {
  const fv_expr *zero = fv_x_i64(s->pool, 0);
  return fv_sem_both(s, fv_sem_x2(s, FV_X_LE, zero, e), fv_sem_x2(s, FV_X_LT, e, extent));
}

const fv_expr *fv_sem_min_i64(fv_sem *s, const fv_expr *a, const fv_expr *b) {
  if (fv_prove_le(s->pool, a, b) == FV_YES)
    return a;
  if (fv_prove_le(s->pool, b, a) == FV_YES)
    return b;
  return fv_sem_x2(s, FV_X_MIN, a, b);
}

const fv_expr *fv_sem_max_i64(fv_sem *s, const fv_expr *a, const fv_expr *b) {
  if (fv_prove_le(s->pool, a, b) == FV_YES)
    return b;
  if (fv_prove_le(s->pool, b, a) == FV_YES)
    return a;
  return fv_sem_x2(s, FV_X_MAX, a, b);
}

const fv_expr *fv_sem_product(fv_sem *s, int n, const fv_expr *const *dims) {
  const fv_expr *p = fv_x_i64(s->pool, 1);
  for (int i = 0; i < n; i++)
    p = fv_x_mul(s->pool, p, dims[i]);
  return p;
}

const fv_expr *fv_sem_widen(fv_sem *s, const fv_expr *e) {
  return fv_x_cast(s->pool, fv_dtype_compute((fv_dtype)e->dtype), e);
}

const fv_expr *fv_sem_acc(fv_sem *s, fv_dtype t) {
  return fv_x_load(s->pool, t, FV_NEST_ACC, 0, NULL);
}
