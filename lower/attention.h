// SPDX-License-Identifier: Apache-2.0
// The state of the family attention while it emits a kernel; see attention.c.
#ifndef FOVEA_LOWER_ATTENTION_H_
#define FOVEA_LOWER_ATTENTION_H_

#include "lower/buffers.h"
#include "lower/emit.h"

typedef struct lw_att {
  lw_kernel k;
  const fv_node *n;
  fv_dtype t;          // compute type
  int lanes, vectors;  // of a panel
  int panel, keys;     // keys of a panel, of a tile
  bool one_row;
  int rows;                            // of a register tile
  int64_t block;                       // rows of a block
  int64_t heads, group, head, v_head;  // query heads, per kv head; sizes
  const fv_expr *batch, *q_len, *k_len, *valid;
  const fv_expr *ib, *ih, *ii, *ij, *id;  // indices: batch, head, query, key, channel
  const fv_expr *q, *kx, *v, *mask, *bias, *lengths;
  int s_q, s_k, s_v, s_s, s_o;     // scratch: operands, scores, result
  int s_m, s_l;                    // of each row of the block: largest score, sum of exp
  int s_t, s_a;                    // of each row of the tile: a reduction, factor of o and l
  int s_total_m;                   // of the stretches before: largest score; the sums of l and o
  int s_total_l[2], s_total_o[2];  // with what they rounded off
  int64_t k_stride, v_stride;      // k_stride: of one row's keys, which are not transposed
  fv_kv visible_keys;              // of this batch: keys below it
} lw_att;

// First and one past the last key that query i may see by position.
void lw_att_key_range(lw_att *a, fv_kv i, fv_kv *lo, fv_kv *hi);

// Scores, softmax and values of `count` keys from j0 on, which are in scratch,
// for the rows from lo to hi. `finite`: every v among them is finite.
void lw_att_tile(lw_att *a, const lw_emit *e, fv_kv j0, fv_kv count, fv_kv finite, fv_kv lo,
                 fv_kv hi);

// At the end of a stretch of tiles: l and o of `rows` rows join their totals and begin anew;
// `last`: they become these.
void lw_att_join(lw_att *a, fv_kv rows, bool last);

//===-- Small helpers ---------------------------------------------------------------===//

static inline fv_kv lw_num(lw_att *a, double v) {
  return fv_kb_const_f(a->k.kb, a->t, 1, v);
}
static inline fv_kv lw_op2(lw_att *a, fv_scalar_op op, fv_kv x, fv_kv y) {
  return fv_kb_op(a->k.kb, op, x, y, FV_K_NONE);
}
static inline fv_kv lw_i64(lw_att *a, int64_t v) {
  return fv_kb_i64(a->k.kb, v);
}
static inline fv_kv lw_at2(lw_att *a, fv_kv row, int64_t stride, fv_kv col) {
  return fv_kb_add(a->k.kb, fv_kb_mul(a->k.kb, row, lw_i64(a, stride)), col);
}

#endif  // FOVEA_LOWER_ATTENTION_H_
