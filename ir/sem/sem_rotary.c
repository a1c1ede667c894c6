// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embedding: pairs of elements of the last axis are turned.
#include "ir/sem/sem_util.h"

static fv_status check(fv_sem *s, const fv_expr **half) {
  const fv_type x = *fv_sem_type(s, 0);
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK - 1));
  if (!fv_x_divide(s->pool, x.dim[x.rank - 1], fv_x_i64(s->pool, 2), half))
    return fv_sem_error(s, "the last dim of x must be even (%s)", fv_sem_shapes(s));
  fv_type part = x;
  part.dim[x.rank - 1] = *half;
  for (int k = 1; k <= 2; k++) {
    const fv_expr *dims[FV_MAX_RANK];
    int rank;
    FV_TRY(fv_sem_same_dtype(s, 0, k));
    FV_TRY(fv_sem_want_rank(s, k, 1, x.rank));
    FV_TRY(fv_sem_broadcast_dims(s, (const fv_type *[]){&part, fv_sem_type(s, k)}, 2, &rank, dims));
    for (int i = 0; i < rank; i++)
      if (fv_sem_need(s, FV_REL_EQ, dims[i], part.dim[i], fv_sem_operand_name(s, k)) != FV_YES)
        return fv_sem_error(s, "'%s' must broadcast to %s, half of x (%s)",
                            fv_sem_operand_name(s, k), fv_sem_type_text(s, &part),
                            fv_sem_shapes(s));
  }
  return FV_OK;
}

// The first or second elements of the pairs, [.., D / 2].
static fv_value *halves(fv_sem *s, fv_value *x, const fv_expr *half, bool interleaved, int which) {
  const int rank = fv_sem_rank(s, 0);
  if (!x)
    return NULL;
  if (!interleaved) {
    const fv_expr *start = which ? half : fv_x_i64(s->pool, 0);
    return fv_sb_slice(s, x, rank - 1, start, fv_x_add(s->pool, start, half));
  }
  fv_node *n = fv_sb_node(s, FV_OP_slice, 1, &x);
  fv_attr_set_int(n, "axis", rank - 1);
  fv_attr_set_expr(n, "start", fv_x_i64(s->pool, which));
  fv_attr_set_int(n, "step", 2);
  return fv_sb_done(s, n);
}

fv_status fv_sem_rotary_embedding(fv_sem *s) {
  const fv_expr *half;
  FV_TRY(check(s, &half));
  const int rank = fv_sem_rank(s, 0);
  const bool interleaved = fv_attr_bool(s->node, "interleaved");
  fv_sem_begin_expansion(s);
  fv_value *x = fv_sb_widen(s, fv_sem_param(s, 0));
  fv_value *c = fv_sb_widen(s, fv_sem_param(s, 1));
  fv_value *d = fv_sb_widen(s, fv_sem_param(s, 2));
  fv_value *a = halves(s, x, half, interleaved, 0);
  fv_value *b = halves(s, x, half, interleaved, 1);
  fv_value *turned[] = {
      fv_sb_2(s, FV_OP_sub, fv_sb_2(s, FV_OP_mul, a, c), fv_sb_2(s, FV_OP_mul, b, d)),
      fv_sb_2(s, FV_OP_add, fv_sb_2(s, FV_OP_mul, b, c), fv_sb_2(s, FV_OP_mul, a, d))};
  fv_value *y;
  if (interleaved) {
    for (int i = 0; i < 2; i++)
      turned[i] = fv_sb_unsqueeze(s, turned[i], rank);
    y = fv_sb_reshape(s, fv_sb_concat(s, 2, turned, rank), rank, fv_sem_type(s, 0)->dim);
  } else {
    y = fv_sb_concat(s, 2, turned, rank - 1);
  }
  y = fv_sb_cast(s, y, fv_sem_type(s, 0)->dtype);
  return fv_sem_results(s, 1, &y);
}
