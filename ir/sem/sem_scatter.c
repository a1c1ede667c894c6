// SPDX-License-Identifier: Apache-2.0
//
// Elements read or written where an index tensor says.
#include <string.h>

#include "ir/sem/sem_util.h"

fv_status fv_sem_want_index(fv_sem *s, int operand) {
  const fv_dtype t = fv_sem_type(s, operand)->dtype;
  if (t == FV_i32 || t == FV_i64)
    return FV_OK;
  return fv_sem_error(s, "'%s' must be i64 or i32; it is %s; a <cast> in front mends it",
                      fv_sem_operand_name(s, operand),
                      fv_sem_type_text(s, fv_sem_type(s, operand)));
}

const fv_expr *fv_sem_wrapped(fv_sem *s, const fv_expr *index, const fv_expr *extent) {
  const fv_expr *i = fv_x_cast(s->pool, FV_i64, index);
  const fv_expr *negative = fv_sem_x2(s, FV_X_LT, i, fv_x_i64(s->pool, 0));
  return fv_sem_pick(s, negative, fv_x_add(s->pool, i, extent), i);
}

// An index from data, which must be one of 0..extent-1, or negative from the end.
static const fv_expr *checked(fv_sem *s, const fv_expr *index, const fv_expr *extent) {
  const fv_expr *i = fv_sem_wrapped(s, index, extent);
  fv_sem_check(s, fv_sem_bounds(s, i, extent),
               fv_arena_printf(s->arena, "%s: index out of range", fv_op_get(s->node->op)->name));
  return i;
}

//===-- Tuples of indices (gather_nd, scatter_nd) -----------------------------------===//

// The last axis of operand 1 holds `tuple` indices into the axes [first, first + tuple) of
// operand 0.
static fv_status tuple_of(fv_sem *s, int first, int *tuple) {
  const fv_type *ids = fv_sem_type(s, 1);
  const int room = fv_sem_rank(s, 0) - first;
  int64_t n;
  if (!fv_x_is_lit(ids->dim[ids->rank - 1], &n))
    return fv_sem_error(s, "the last dim of 'indices' must be a number; it is %s (%s)",
                        fv_sem_dim_text(s, ids->dim[ids->rank - 1]), fv_sem_shapes(s));
  if (n < 1 || n > room)
    return fv_sem_error(s, "the last dim of 'indices' is %lld; it must be in 1..%d (%s)",
                        (long long)n, room, fv_sem_shapes(s));
  *tuple = (int)n;
  return FV_OK;
}

// Axis [first, first + tuple) of operand 0 at the tuple that stands at lead[0..) of operand 1.
static void at_tuple(fv_sem *s, const fv_expr *const *lead, int first, int tuple,
                     const fv_expr **at) {
  const int n = fv_sem_rank(s, 1) - 1;
  const fv_expr *id[FV_MAX_RANK];
  for (int i = 0; i < n; i++)
    id[i] = lead[i];
  for (int j = 0; j < tuple; j++) {
    id[n] = fv_x_i64(s->pool, j);
    at[first + j] = checked(s, fv_sem_load(s, 1, id), fv_sem_dim(s, 0, first + j));
  }
}

fv_status fv_sem_gather_nd(fv_sem *s) {
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_want_index(s, 1));
  FV_TRY(fv_sem_want_rank(s, 1, 1, FV_MAX_RANK));
  const fv_type x = *fv_sem_type(s, 0), ids = *fv_sem_type(s, 1);
  const int least = x.rank < ids.rank ? x.rank : ids.rank;
  FV_TRY(fv_sem_int_in(s, "batch_dims", 0, least - 1));
  const int batch = (int)fv_attr_int(s->node, "batch_dims");
  int tuple;
  FV_TRY(tuple_of(s, batch, &tuple));
  for (int i = 0; i < batch; i++)
    FV_TRY(fv_sem_same_axis(s, 0, i, 1, i));
  const int rest = x.rank - batch - tuple;
  FV_TRY(fv_sem_rank_fits(s, ids.rank - 1 + rest));
  const fv_expr *dims[FV_MAX_RANK], *index[FV_MAX_RANK] = {0}, *at[FV_MAX_RANK];
  int rank = 0;
  for (int i = 0; i + 1 < ids.rank; i++)
    dims[rank++] = ids.dim[i];
  for (int i = x.rank - rest; i < x.rank; i++)
    dims[rank++] = x.dim[i];
  fv_sem_result(s, x.dtype, rank, dims);
  for (int i = 0; i < rank; i++)
    index[i] = fv_sem_index(s, i);
  for (int i = 0; i < batch; i++)
    at[i] = index[i];
  at_tuple(s, index, batch, tuple, at);
  for (int i = 0; i < rest; i++)
    at[batch + tuple + i] = index[ids.rank - 1 + i];
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

//===-- Elements of one axis (gather_elements, scatter_elements) ----------------------===//

// Operands 0 and 1 have one rank; off the axis no dim of operand 1 is the larger.
static fv_status want_elements(fv_sem *s, int *axis) {
  const int rank = fv_sem_rank(s, 0);
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_want_index(s, 1));
  FV_TRY(fv_sem_want_rank(s, 1, rank, rank));
  FV_TRY(fv_sem_axis(s, "axis", rank, axis));
  return FV_OK;
}

// The element of operand 0 that the index at lead[0..rank) of operand 1 means.
static fv_status at_element(fv_sem *s, const fv_expr *const *lead, int axis, const fv_expr **at) {
  for (int i = 0; i < fv_sem_rank(s, 0); i++) {
    const fv_expr *have = fv_sem_dim(s, 1, i), *room = fv_sem_dim(s, 0, i);
    at[i] = lead[i];
    if (i == axis) {
      at[i] = checked(s, fv_sem_load(s, 1, lead), room);
      continue;
    }
    const char *what = fv_arena_printf(s->arena, "axis %d of 'indices'", i);
    const fv_truth fits = fv_sem_need(s, FV_REL_LE, have, room, what);
    if (fits == FV_NO)
      return fv_sem_error(s, "axis %d of 'indices' is longer than that of '%s' (%s)", i,
                          fv_sem_operand_name(s, 0), fv_sem_shapes(s));
    if (fits == FV_UNKNOWN)
      checked(s, at[i], room);
  }
  return FV_OK;
}

fv_status fv_sem_gather_elements(fv_sem *s) {
  int axis;
  FV_TRY(want_elements(s, &axis));
  const fv_type x = *fv_sem_type(s, 0), ids = *fv_sem_type(s, 1);
  const fv_expr *index[FV_MAX_RANK], *at[FV_MAX_RANK];
  fv_sem_result(s, x.dtype, ids.rank, ids.dim);
  for (int i = 0; i < ids.rank; i++)
    index[i] = fv_sem_index(s, i);
  FV_TRY(at_element(s, index, axis, at));
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

//===-- Scatters ----------------------------------------------------------------------===//

static fv_status reduction_of(fv_sem *s, fv_combine *out) {
  static const fv_combine combine[] = {FV_COMBINE_NONE, FV_COMBINE_SUM, FV_COMBINE_PROD,
                                       FV_COMBINE_MAX, FV_COMBINE_MIN};
  int which;
  FV_TRY(fv_sem_choice(s, "reduction", "none add mul max min", &which));
  if (which)
    FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  *out = combine[which];
  return FV_OK;
}

// f16 and bf16 are summed in f32, by this op itself between two casts.
static bool is_widened(const fv_sem *s, fv_combine c) {
  const fv_dtype t = fv_sem_type(s, 0)->dtype;
  return (c == FV_COMBINE_SUM || c == FV_COMBINE_PROD) && fv_dtype_compute(t) != t;
}

static fv_status widened(fv_sem *s) {
  fv_sem_begin_expansion(s);
  fv_value *in[] = {fv_sb_widen(s, fv_sem_param(s, 0)), fv_sem_param(s, 1),
                    fv_sb_widen(s, fv_sem_param(s, 2))};
  fv_value *y = NULL;
  if (in[0] && in[2]) {
    fv_node *n = fv_sb_node(s, s->node->op, 3, in);
    memcpy(n->attr, s->node->attr, sizeof *n->attr * (size_t)fv_op_get(n->op)->n_attr);
    y = fv_sb_cast(s, fv_sb_done(s, n), fv_sem_type(s, 0)->dtype);
  }
  return fv_sem_results(s, 1, &y);
}

// Writes operand `updates`, at the points index[0..), into operand 0 at `target`.
static fv_status scatter(fv_sem *s, fv_combine c, int updates, const fv_expr *const *index,
                         const fv_expr *const *target) {
  const fv_expr *own[FV_MAX_RANK];
  for (int i = 0; i < fv_sem_rank(s, 0); i++)
    own[i] = fv_sem_index(s, i);
  return fv_sem_scatter(s, c, fv_sem_load(s, 0, own), target, fv_sem_load(s, updates, index));
}

fv_status fv_sem_scatter_nd(fv_sem *s) {
  fv_combine c;
  int tuple;
  FV_TRY(fv_sem_same_dtype(s, 0, 2));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_want_index(s, 1));
  FV_TRY(fv_sem_want_rank(s, 1, 1, FV_MAX_RANK));
  FV_TRY(reduction_of(s, &c));
  FV_TRY(tuple_of(s, 0, &tuple));
  const fv_type x = *fv_sem_type(s, 0), ids = *fv_sem_type(s, 1), updates = *fv_sem_type(s, 2);
  const int lead = ids.rank - 1, rank = lead + x.rank - tuple;
  FV_TRY(fv_sem_rank_fits(s, rank));
  FV_TRY(fv_sem_want_rank(s, 2, rank, rank));
  for (int i = 0; i < rank; i++)
    FV_TRY(i < lead ? fv_sem_same_axis(s, 2, i, 1, i)
                    : fv_sem_same_axis(s, 2, i, 0, tuple + i - lead));
  if (is_widened(s, c))
    return widened(s);
  const fv_expr *index[FV_MAX_RANK], *target[FV_MAX_RANK];
  fv_sem_result(s, x.dtype, x.rank, x.dim);
  fv_sem_points(s, rank, updates.dim);
  for (int i = 0; i < rank; i++)
    index[i] = fv_sem_index(s, i);
  at_tuple(s, index, 0, tuple, target);
  for (int i = tuple; i < x.rank; i++)
    target[i] = index[lead + i - tuple];
  return scatter(s, c, 2, index, target);
}

fv_status fv_sem_scatter_elements(fv_sem *s) {
  fv_combine c;
  int axis;
  FV_TRY(fv_sem_same_dtype(s, 0, 2));
  FV_TRY(want_elements(s, &axis));
  FV_TRY(reduction_of(s, &c));
  const fv_type x = *fv_sem_type(s, 0), updates = *fv_sem_type(s, 2);
  FV_TRY(fv_sem_want_rank(s, 2, x.rank, x.rank));
  for (int i = 0; i < x.rank; i++)
    FV_TRY(fv_sem_same_axis(s, 2, i, 1, i));
  if (is_widened(s, c))
    return widened(s);
  const fv_expr *index[FV_MAX_RANK], *target[FV_MAX_RANK];
  fv_sem_result(s, x.dtype, x.rank, x.dim);
  fv_sem_points(s, x.rank, updates.dim);
  for (int i = 0; i < x.rank; i++)
    index[i] = fv_sem_index(s, i);
  FV_TRY(at_element(s, index, axis, target));
  return scatter(s, c, 2, index, target);
}

// Rows from `position` on: a target that no data decides, so no two points meet.
fv_status fv_sem_tensor_scatter(fv_sem *s) {
  const fv_type past = *fv_sem_type(s, 0), update = *fv_sem_type(s, 1);
  int axis;
  const fv_expr *position, *index[FV_MAX_RANK], *target[FV_MAX_RANK];
  FV_TRY(fv_sem_same_dtype(s, 0, 1));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_want_rank(s, 1, past.rank, past.rank));
  FV_TRY(fv_sem_axis(s, "axis", past.rank, &axis));
  FV_TRY(fv_sem_expr(s, "position", &position));
  for (int i = 0; i < past.rank; i++)
    if (i != axis)
      FV_TRY(fv_sem_same_axis(s, 0, i, 1, i));
  fv_sem_result(s, past.dtype, past.rank, past.dim);
  fv_sem_points(s, update.rank, update.dim);
  const fv_expr *room =
      fv_x_add(s->pool, fv_x_sub(s->pool, past.dim[axis], update.dim[axis]), fv_x_i64(s->pool, 1));
  FV_TRY(fv_sem_want_in_range(s, position, room, "position"));
  for (int i = 0; i < past.rank; i++) {
    index[i] = fv_sem_index(s, i);
    target[i] = i == axis ? fv_x_add(s->pool, index[i], position) : index[i];
  }
  return scatter(s, FV_COMBINE_NONE, 1, index, target);
}
