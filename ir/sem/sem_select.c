// SPDX-License-Identifier: Apache-2.0
//
// Ops whose elements are chosen by data or by position: lookups, triangles,
// scatter into a window.
#include "ir/sem/sem_util.h"

fv_status fv_sem_gather(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  const fv_type ids = *fv_sem_type(s, 1);
  int axis;
  FV_TRY(fv_sem_want_index(s, 1));
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
  at[axis] = fv_sem_wrapped(s, fv_sem_load(s, 1, id_at), x.dim[axis]);
  fv_sem_check(s, fv_sem_bounds(s, at[axis], x.dim[axis]), "gather: index out of range");
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

fv_status fv_sem_embedding(fv_sem *s) {
  const fv_type ids = *fv_sem_type(s, 0);
  FV_TRY(fv_sem_want_index(s, 0));
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
  FV_TRY(fv_sem_want_index(s, 0));
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
  const fv_expr *id = fv_sem_wrapped(s, fv_sem_load(s, 0, at), depth);
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
