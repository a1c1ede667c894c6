// SPDX-License-Identifier: Apache-2.0
//
// Ops whose elements are chosen by data or by position: lookups, triangles,
// scatter into a window, and the k largest.
#include "ir/kernel/kernel.h"
#include "ir/sem/sem_util.h"

static fv_status want_index_type(fv_sem *s, int operand) {
  const fv_dtype t = fv_sem_type(s, operand)->dtype;
  if (t == FV_i32 || t == FV_i64)
    return FV_OK;
  return fv_sem_error(s, "'%s' must be i64 or i32; it is %s; a <cast> in front mends it",
                      fv_sem_operand_name(s, operand),
                      fv_sem_type_text(s, fv_sem_type(s, operand)));
}

// An index from data as i64; negative ones count from the end.
static const fv_expr *wrapped(fv_sem *s, const fv_expr *index, const fv_expr *extent) {
  const fv_expr *i = fv_x_cast(s->pool, FV_i64, index);
  const fv_expr *negative = fv_sem_x2(s, FV_X_LT, i, fv_x_i64(s->pool, 0));
  return fv_sem_pick(s, negative, fv_x_add(s->pool, i, extent), i);
}

fv_status fv_sem_gather(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  const fv_type ids = *fv_sem_type(s, 1);
  int axis;
  FV_TRY(want_index_type(s, 1));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", x.rank, &axis));
  FV_TRY(fv_sem_rank_fits(s, x.rank - 1 + ids.rank));
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  const fv_expr *id_at[FV_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < x.rank; i++) {
    if (i != axis) {
      at[i] = fv_sem_index(s, rank);
      dims[rank++] = x.dim[i];
      continue;
    }
    for (int k = 0; k < ids.rank; k++) {
      id_at[k] = fv_sem_index(s, rank);
      dims[rank++] = ids.dim[k];
    }
  }
  fv_sem_result(s, x.dtype, rank, dims);
  at[axis] = wrapped(s, fv_sem_load(s, 1, id_at), x.dim[axis]);
  fv_sem_check(s, fv_sem_bounds(s, at[axis], x.dim[axis]), "gather: index out of range");
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

fv_status fv_sem_embedding(fv_sem *s) {
  const fv_type ids = *fv_sem_type(s, 0);
  FV_TRY(want_index_type(s, 0));
  FV_TRY(fv_sem_want_rank(s, 1, 2, 2));
  FV_TRY(fv_sem_rank_fits(s, ids.rank + 1));
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *id_at[FV_MAX_RANK];
  for (int i = 0; i < ids.rank; i++) {
    dims[i] = ids.dim[i];
    id_at[i] = fv_sem_index(s, i);
  }
  dims[ids.rank] = fv_sem_dim(s, 1, 1);
  fv_sem_result(s, fv_sem_type(s, 1)->dtype, ids.rank + 1, dims);
  const fv_expr *row = fv_x_cast(s->pool, FV_i64, fv_sem_load(s, 0, id_at));
  fv_sem_check(s, fv_sem_bounds(s, row, fv_sem_dim(s, 1, 0)), "embedding: id out of range");
  return fv_sem_yield(s, fv_sem_load(s, 1, (const fv_expr *[]){row, fv_sem_index(s, ids.rank)}));
}

fv_status fv_sem_one_hot(fv_sem *s) {
  const fv_type ids = *fv_sem_type(s, 0);
  const fv_dtype t = fv_attr_get(s->node, "dtype")->t;
  const fv_expr *depth;
  const fv_expr *on;
  const fv_expr *off;
  int axis;
  FV_TRY(want_index_type(s, 0));
  FV_TRY(fv_sem_rank_fits(s, ids.rank + 1));
  FV_TRY(fv_sem_axis(s, "axis", ids.rank + 1, &axis));
  FV_TRY(fv_sem_expr(s, "depth", &depth));
  FV_TRY(fv_sem_want_not_negative(s, depth, "depth"));
  FV_TRY(fv_sem_literal(s, "on", t, &on));
  FV_TRY(fv_sem_literal(s, "off", t, &off));
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  int k = 0;
  for (int i = 0; i <= ids.rank; i++) {
    if (i != axis)
      at[k] = fv_sem_index(s, i);
    dims[i] = i == axis ? depth : ids.dim[k++];
  }
  fv_sem_result(s, t, ids.rank + 1, dims);
  const fv_expr *id = wrapped(s, fv_sem_load(s, 0, at), depth);
  return fv_sem_yield(s, fv_sem_pick(s, fv_sem_x2(s, FV_X_EQ, id, fv_sem_index(s, axis)), on, off));
}

fv_status fv_sem_trilu(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  const fv_expr *k;
  FV_TRY(fv_sem_want_rank(s, 0, 2, FV_MAX_RANK));
  FV_TRY(fv_sem_expr(s, "k", &k));
  fv_sem_result(s, x.dtype, x.rank, x.dim);
  const fv_expr *diagonal = fv_x_add(s->pool, fv_sem_index(s, x.rank - 2), k);
  const fv_expr *column = fv_sem_index(s, x.rank - 1);
  const fv_expr *keep = fv_attr_bool(s->node, "upper") ? fv_sem_x2(s, FV_X_LE, diagonal, column)
                                                       : fv_sem_x2(s, FV_X_LE, column, diagonal);
  return fv_sem_yield(s, fv_sem_pick(s, keep, fv_sem_arg(s, 0), fv_x_lit(s->pool, x.dtype, 0)));
}

fv_status fv_sem_tensor_scatter(fv_sem *s) {
  const fv_type past = *fv_sem_type(s, 0);
  int axis;
  const fv_expr *position;
  FV_TRY(fv_sem_same_dtype(s, 0, 1));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_want_rank(s, 1, past.rank, past.rank));
  FV_TRY(fv_sem_axis(s, "axis", past.rank, &axis));
  FV_TRY(fv_sem_expr(s, "position", &position));
  for (int i = 0; i < past.rank; i++)
    if (i != axis)
      FV_TRY(fv_sem_same_dim(s, past.dim[i], fv_sem_dim(s, 1, i),
                             fv_arena_printf(s->arena, "the dims of axis %d", i)));
  const fv_expr *rows = fv_sem_dim(s, 1, axis);
  fv_sem_result(s, past.dtype, past.rank, past.dim);
  const fv_expr *room =
      fv_x_add(s->pool, fv_x_sub(s->pool, past.dim[axis], rows), fv_x_i64(s->pool, 1));
  FV_TRY(fv_sem_want_in_range(s, position, room, "position"));
  const fv_expr *at[FV_MAX_RANK];
  for (int i = 0; i < past.rank; i++)
    at[i] = fv_sem_index(s, i);
  const fv_expr *old = fv_sem_load(s, 0, at);
  at[axis] = fv_x_sub(s->pool, at[axis], position);
  const fv_expr *fresh = fv_sem_load(s, 1, at);
  return fv_sem_yield(s, fv_sem_pick(s, fv_sem_bounds(s, at[axis], rows), fresh, old));
}

//===-- top_k -------------------------------------------------------------===//

// Does (a, i) come before (b, j)? A strict total order: by value, NaN as the
// largest, equal values by index.
static fv_kv before(fv_kb *kb, bool largest, fv_kv a, fv_kv i, fv_kv b, fv_kv j) {
  fv_kv first =
      largest ? fv_kb_op(kb, FV_X_LT, b, a, FV_K_NONE) : fv_kb_op(kb, FV_X_LT, a, b, FV_K_NONE);
  fv_kv same = fv_kb_op(kb, FV_X_EQ, a, b, FV_K_NONE);
  if (fv_dtype_is_float(fv_kb_dtype(kb, a))) {
    const fv_kv nan_a = fv_kb_op(kb, FV_X_IS_NAN, a, FV_K_NONE, FV_K_NONE);
    const fv_kv nan_b = fv_kb_op(kb, FV_X_IS_NAN, b, FV_K_NONE, FV_K_NONE);
    const fv_kv wins = largest ? nan_a : nan_b;
    const fv_kv loses = largest ? nan_b : nan_a;
    const fv_kv alone = fv_kb_op(kb, FV_X_AND, wins,
                                 fv_kb_op(kb, FV_X_NOT, loses, FV_K_NONE, FV_K_NONE), FV_K_NONE);
    first = fv_kb_op(kb, FV_X_OR, first, alone, FV_K_NONE);
    same = fv_kb_op(kb, FV_X_OR, same, fv_kb_op(kb, FV_X_AND, nan_a, nan_b, FV_K_NONE), FV_K_NONE);
  }
  const fv_kv tie = fv_kb_op(kb, FV_X_AND, same, fv_kb_op(kb, FV_X_LT, i, j, FV_K_NONE), FV_K_NONE);
  return fv_kb_op(kb, FV_X_OR, first, tie, FV_K_NONE);
}

// One line along the axis: k times the first of those that come after the last
// one taken. Needs no scratch; k passes over the line.
static void top_k_line(const fv_node *node, fv_kb *kb, fv_kv extent, fv_kv in, fv_kv out,
                       fv_kv step) {
  const bool largest = fv_attr_bool(node, "largest");
  const fv_dtype stored = node->in[0]->type.dtype;
  const fv_dtype t = fv_dtype_compute(stored);
  const fv_kv zero = fv_dtype_is_float(t) ? fv_kb_const_f(kb, t, 1, 0) : fv_kb_const_i(kb, t, 1, 0);
  const fv_kv none = fv_kb_i64(kb, -1);
  const fv_kv last = fv_kb_var(kb, zero);
  const fv_kv last_at = fv_kb_var(kb, none);
  const fv_kv n = fv_kb_for(kb, fv_kb_i64(kb, 0), fv_kb_i64(kb, fv_attr_int(node, "k")), 1);
  const fv_kv best = fv_kb_var(kb, zero);
  const fv_kv best_at = fv_kb_var(kb, none);
  const fv_kv i = fv_kb_for(kb, fv_kb_i64(kb, 0), extent, 1);
  const fv_kv x =
      fv_kb_cast(kb, t, fv_kb_load(kb, 0, fv_kb_add(kb, in, fv_kb_mul(kb, i, step)), 1, FV_K_NONE));
  const fv_kv start = fv_kb_i64(kb, 0);
  const fv_kv taken = fv_kb_get(kb, last_at);
  const fv_kv chosen = fv_kb_get(kb, best_at);
  const fv_kv open = fv_kb_op(kb, FV_X_OR, fv_kb_op(kb, FV_X_LT, taken, start, FV_K_NONE),
                              before(kb, largest, fv_kb_get(kb, last), taken, x, i), FV_K_NONE);
  const fv_kv better = fv_kb_op(kb, FV_X_OR, fv_kb_op(kb, FV_X_LT, chosen, start, FV_K_NONE),
                                before(kb, largest, x, i, fv_kb_get(kb, best), chosen), FV_K_NONE);
  fv_kb_if(kb, fv_kb_op(kb, FV_X_AND, open, better, FV_K_NONE));
  fv_kb_set(kb, best, x);
  fv_kb_set(kb, best_at, i);
  fv_kb_end(kb);
  fv_kb_end(kb);
  const fv_kv to = fv_kb_add(kb, out, fv_kb_mul(kb, n, step));
  fv_kb_store(kb, 1, to, fv_kb_cast(kb, stored, fv_kb_get(kb, best)), FV_K_NONE);
  fv_kb_store(kb, 2, to, fv_kb_get(kb, best_at), FV_K_NONE);
  fv_kb_set(kb, last, fv_kb_get(kb, best));
  fv_kb_set(kb, last_at, fv_kb_get(kb, best_at));
  fv_kb_end(kb);
}

// A block is one element of the dims before the axis; the dims after it are a
// loop in the block.
static void build_top_k(const fv_node *node, struct fv_kb *kb) {
  const fv_type *x = &node->in[0]->type;
  const int64_t given = fv_attr_int(node, "axis");
  const int axis = (int)(given < 0 ? given + x->rank : given);
  const fv_kv extent = fv_kb_host(kb, x->dim[axis]);
  const fv_kv k = fv_kb_i64(kb, fv_attr_int(node, "k"));
  fv_kv inner = fv_kb_i64(kb, 1);
  for (int i = axis + 1; i < x->rank; i++)
    inner = fv_kb_mul(kb, inner, fv_kb_host(kb, x->dim[i]));
  const fv_kv block = fv_kb_block(kb);
  const fv_kv in = fv_kb_mul(kb, fv_kb_mul(kb, block, extent), inner);
  const fv_kv out = fv_kb_mul(kb, fv_kb_mul(kb, block, k), inner);
  const fv_kv j = fv_kb_for(kb, fv_kb_i64(kb, 0), inner, 1);
  top_k_line(node, kb, extent, fv_kb_add(kb, in, j), fv_kb_add(kb, out, j), inner);
  fv_kb_end(kb);
}

fv_status fv_sem_top_k(fv_sem *s) {
  fv_type values = *fv_sem_type(s, 0);
  int axis;
  FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", values.rank, &axis));
  FV_TRY(fv_sem_int_in(s, "k", 0, INT32_MAX));
  const fv_expr *k = fv_x_i64(s->pool, fv_attr_int(s->node, "k"));
  const fv_truth fits = fv_prove_le(s->pool, k, values.dim[axis]);
  if (fits != FV_YES)
    return fv_sem_error(
        s, "k = %s %s the extent %s of axis %d%s (%s)", fv_sem_dim_text(s, k),
        fits == FV_NO ? "exceeds" : "may exceed", fv_sem_dim_text(s, values.dim[axis]), axis,
        fits == FV_NO ? "" : "; declare a larger min for its dims", fv_sem_shapes(s));
  values.dim[axis] = k;
  values.layout = (fv_layout){0};
  fv_type indices = values;
  indices.dtype = FV_i64;
  fv_sem_add_result(s, &values);
  fv_sem_add_result(s, &indices);
  return fv_sem_kernel(s, axis, build_top_k);
}
