// SPDX-License-Identifier: Apache-2.0
//
// Scaled dot-product attention by its definition. It states the rules for
// masks and is slow: a fused schedule computes the same without an S x S buffer.
#include <math.h>

#include "ir/sem/sem_util.h"

// Every form is brought to q [B, H, Q, D], k [B, G, K, D], v [B, G, K, V].
typedef struct attention {
  int rank;        // of the operands
  bool packed;     // heads stand in the last dim: [B, S, heads * D]
  int score_rank;  // of the scores that masks broadcast against
  const fv_expr *batch, *heads, *kv_heads, *group, *q_len, *k_len, *depth, *v_depth;
  const fv_expr *kv_valid;  // NULL: all
} attention;

enum { Q, K, V, MASK, BIAS, LENGTHS };

//===-- Dims --------------------------------------------------------------===//

static fv_status packed_heads(fv_sem *s, attention *a) {
  const int64_t heads = fv_attr_int(s->node, "heads");
  const int64_t given = fv_attr_int(s->node, "kv_heads");
  const int64_t kv_heads = given ? given : heads;
  if (heads % kv_heads != 0)
    return fv_sem_error(s, "kv_heads = %lld must divide heads = %lld", (long long)kv_heads,
                        (long long)heads);
  a->heads = fv_x_i64(s->pool, heads);
  a->kv_heads = fv_x_i64(s->pool, kv_heads);
  a->group = fv_x_i64(s->pool, heads / kv_heads);
  const fv_expr *const by[] = {a->heads, a->kv_heads, a->kv_heads};
  const fv_expr *depth[3];
  for (int i = Q; i <= V; i++)
    if (!fv_x_divide(s->pool, fv_sem_dim(s, i, -1), by[i], &depth[i]))
      return fv_sem_error(s, "the last dim of '%s' must be a multiple of its %s heads (%s)",
                          fv_sem_operand_name(s, i), fv_sem_dim_text(s, by[i]), fv_sem_shapes(s));
  a->depth = depth[Q];
  a->v_depth = depth[V];
  return fv_sem_same_dim(s, depth[Q], depth[K], "the dims of a head of q and of k");
}

static fv_status plain_heads(fv_sem *s, attention *a) {
  const bool four = a->rank == 4;
  if (fv_attr_int(s->node, "kv_heads") != 0)
    return fv_sem_error(s, "kv_heads goes with heads, for operands [B, S, heads * D] (%s)",
                        fv_sem_shapes(s));
  a->heads = four ? fv_sem_dim(s, Q, 1) : fv_x_i64(s->pool, 1);
  a->kv_heads = four ? fv_sem_dim(s, K, 1) : fv_x_i64(s->pool, 1);
  a->depth = fv_sem_dim(s, Q, -1);
  a->v_depth = fv_sem_dim(s, V, -1);
  if (four)
    FV_TRY(fv_sem_same_dim(s, a->kv_heads, fv_sem_dim(s, V, 1), "the heads of k and v (axis 1)"));
  if (!fv_x_divide(s->pool, a->heads, a->kv_heads, &a->group))
    return fv_sem_error(s, "the heads of k (axis 1) must divide those of q (%s)", fv_sem_shapes(s));
  return fv_sem_same_dim(s, a->depth, fv_sem_dim(s, K, -1), "the last dims of q and k");
}

static fv_status read_dims(fv_sem *s, attention *a) {
  FV_TRY(fv_sem_want_float(s, Q));
  FV_TRY(fv_sem_int_in(s, "heads", 0, 1 << 20));
  FV_TRY(fv_sem_int_in(s, "kv_heads", 0, 1 << 20));
  a->packed = fv_attr_int(s->node, "heads") > 0;
  FV_TRY(fv_sem_want_rank(s, Q, 2, a->packed ? 3 : 4));
  a->rank = fv_sem_rank(s, Q);
  a->score_rank = a->rank + a->packed;
  for (int i = K; i <= V; i++) {
    FV_TRY(fv_sem_same_dtype(s, Q, i));
    FV_TRY(fv_sem_want_rank(s, i, a->rank, a->rank));
  }
  a->batch = a->rank > 2 ? fv_sem_dim(s, Q, 0) : fv_x_i64(s->pool, 1);
  for (int i = K; i <= V && a->rank > 2; i++)
    FV_TRY(fv_sem_same_axis(s, i, 0, Q, 0));
  a->q_len = fv_sem_dim(s, Q, -2);
  a->k_len = fv_sem_dim(s, K, -2);
  FV_TRY(fv_sem_same_dim(s, a->k_len, fv_sem_dim(s, V, -2), "the numbers of rows of k and v"));
  return a->packed ? packed_heads(s, a) : plain_heads(s, a);
}

static fv_status read_attrs(fv_sem *s, attention *a) {
  int64_t v;
  FV_TRY(fv_sem_float_min(s, "scale", 0));
  FV_TRY(fv_sem_float_min(s, "softcap", 0));
  FV_TRY(fv_sem_int_in(s, "window", 0, INT32_MAX));
  FV_TRY(fv_sem_expr(s, "kv_valid", &a->kv_valid));
  if (fv_x_is_lit(a->kv_valid, &v) && v == -1)
    a->kv_valid = NULL;
  if (a->kv_valid && (fv_prove_le(s->pool, fv_x_i64(s->pool, 0), a->kv_valid) == FV_NO ||
                      fv_prove_le(s->pool, a->kv_valid, a->k_len) == FV_NO))
    return fv_sem_error(s, "kv_valid = %s is out of range: k has %s rows (%s)",
                        fv_sem_dim_text(s, a->kv_valid), fv_sem_dim_text(s, a->k_len),
                        fv_sem_shapes(s));
  if (!(fv_attr_float(s->node, "scale") > 0) && (!fv_x_is_lit(a->depth, &v) || v < 1))
    return fv_sem_error(s, "the default scale 1 / sqrt(%s) is no constant; give scale (%s)",
                        fv_sem_dim_text(s, a->depth), fv_sem_shapes(s));
  return FV_OK;
}

// A mask or bias must broadcast to the scores.
static fv_status check_mask(fv_sem *s, const attention *a, int operand, unsigned classes) {
  if (!fv_sem_has(s, operand))
    return FV_OK;
  FV_TRY(fv_sem_want_class(s, operand, classes));
  const fv_type *m = fv_sem_type(s, operand);
  fv_type scores = {.dtype = m->dtype, .rank = a->score_rank};
  const fv_expr *const all[] = {a->batch, a->heads, a->q_len, a->k_len};
  for (int i = 0; i < scores.rank; i++)
    scores.dim[i] = all[4 - scores.rank + i];
  if (scores.rank == 3 && !a->packed)
    scores.dim[0] = a->batch;
  const fv_expr *dims[FV_MAX_RANK];
  int rank;
  FV_TRY(fv_sem_want_rank(s, operand, 0, scores.rank));
  FV_TRY(fv_sem_broadcast_dims(s, (const fv_type *[]){&scores, m}, 2, &rank, dims));
  for (int i = 0; i < rank; i++)
    if (fv_sem_need(s, FV_REL_EQ, dims[i], scores.dim[i], fv_sem_operand_name(s, operand)) !=
        FV_YES)
      return fv_sem_error(s, "'%s' must broadcast to the scores %s (%s)",
                          fv_sem_operand_name(s, operand), fv_sem_type_text(s, &scores),
                          fv_sem_shapes(s));
  return FV_OK;
}

static fv_status check_lengths(fv_sem *s, int operand, const fv_expr *batch) {
  if (!fv_sem_has(s, operand))
    return FV_OK;
  FV_TRY(fv_sem_want_int(s, operand));
  FV_TRY(fv_sem_want_rank(s, operand, 1, 1));
  return fv_sem_same_dim(s, fv_sem_dim(s, operand, 0), batch, "the dim of lengths and the batch");
}

//===-- Masks, shared with additive attention -----------------------------===//

void fv_sb_join_mask(fv_sem *s, fv_value *mask, fv_value **scores, fv_value **visible) {
  if (!mask || !*scores)
    return;
  if (mask->type.dtype == FV_bool) {
    *visible = fv_sb_and(s, *visible, mask);
    return;
  }
  mask = fv_sb_cast(s, mask, (*scores)->type.dtype);
  *scores = fv_sb_2(s, FV_OP_add, *scores, mask);
  fv_value *hidden = fv_sb_2(s, FV_OP_equal, mask, fv_sb_full_like(s, mask, -HUGE_VAL));
  *visible = fv_sb_and(s, *visible, fv_sb_1(s, FV_OP_not, hidden));
}

fv_value *fv_sb_masked_matmul(fv_sem *s, fv_value *a, fv_value *b, fv_value *visible) {
  if (!visible)
    return fv_sb_2(s, FV_OP_matmul, a, b);
  return fv_sb_3(s, FV_OP_masked_matmul, a, b, visible);
}

// j < lengths[b] as bool [B, 1.., keys] of the given rank.
static fv_value *within_lengths(fv_sem *s, fv_value *lengths, const fv_expr *keys, int rank) {
  const fv_expr *dims[FV_MAX_RANK];
  if (!lengths)
    return NULL;
  dims[0] = lengths->type.dim[0];
  for (int i = 1; i < rank; i++)
    dims[i] = fv_x_i64(s->pool, 1);
  lengths = fv_sb_reshape(s, fv_sb_cast(s, lengths, FV_i64), rank, dims);
  return fv_sb_2(s, FV_OP_less, fv_sb_range(s, fv_x_i64(s->pool, 0), keys), lengths);
}

//===-- The definition ----------------------------------------------------===//

// Operand to [B, heads, rows, depth], widened.
static fv_value *to_rank_4(fv_sem *s, const attention *a, int operand, const fv_expr *heads,
                           const fv_expr *rows, const fv_expr *depth) {
  fv_value *v = fv_sb_widen(s, fv_sem_param(s, operand));
  if (!a->packed)
    return a->rank == 4 ? v
                        : fv_sb_reshape(s, v, 4, (const fv_expr *[]){a->batch, heads, rows, depth});
  v = fv_sb_reshape(s, v, 4, (const fv_expr *[]){a->batch, rows, heads, depth});
  return fv_sb_transpose(s, v, 4, (const int64_t[]){0, 2, 1, 3});
}

// Each key/value head serves `group` query heads that stand side by side.
static fv_value *repeat_heads(fv_sem *s, const attention *a, fv_value *v, const fv_expr *depth) {
  if (fv_sem_is_one(s, a->group))
    return v;
  v = fv_sb_unsqueeze(s, v, 2);
  v = fv_sb_expand_dims(s, v, 5,
                        (const fv_expr *[]){a->batch, a->kv_heads, a->group, a->k_len, depth});
  return fv_sb_reshape(s, v, 4, (const fv_expr *[]){a->batch, a->heads, a->k_len, depth});
}

static fv_value *mask_param(fv_sem *s, const attention *a, int operand) {
  fv_value *m = fv_sem_param(s, operand);
  // [B, Q, K] of operands without heads: the scores have a heads axis of 1.
  const bool batched = m && m->type.rank == 3 && a->score_rank == 3 && !a->packed;
  return batched ? fv_sb_unsqueeze(s, m, 1) : m;
}

// Key j is visible to query i when lo(i) <= j < hi(i). NULL: all are, unless
// `told`, which asks for the answer where there may be no key at all.
static fv_value *visible_by_position(fv_sem *s, const attention *a, bool told) {
  fv_xpool *p = s->pool;
  const bool causal = fv_attr_bool(s->node, "causal");
  const int64_t window = fv_attr_int(s->node, "window");
  const fv_expr *valid = a->kv_valid ? a->kv_valid : a->k_len;
  // hi of query 0: i + 1 + (kv_valid - q_len)
  const fv_expr *hi = fv_x_add(p, fv_x_sub(p, valid, a->q_len), fv_x_i64(p, 1));
  fv_value *seen = NULL;
  told = told && fv_prove_le(p, fv_x_i64(p, 1), a->k_len) != FV_YES;
  if (!causal && window == 0 && !a->kv_valid && !told)
    return NULL;
  fv_value *key = fv_sb_range(s, fv_x_i64(p, 0), a->k_len);
  if (causal) {
    fv_value *end = fv_sb_range(s, hi, fv_x_add(p, hi, a->q_len));
    seen = fv_sb_2(s, FV_OP_less, key, fv_sb_unsqueeze(s, end, 1));
  } else if (a->kv_valid || told) {
    fv_value *end = fv_sb_range(s, valid, fv_x_add(p, valid, fv_x_i64(p, 1)));
    seen = fv_sb_2(s, FV_OP_less, key, end);
  }
  if (window > 0) {
    const fv_expr *lo = fv_x_sub(p, hi, fv_x_i64(p, window));
    fv_value *begin = fv_sb_range(s, lo, fv_x_add(p, lo, a->q_len));
    seen =
        fv_sb_and(s, seen, fv_sb_2(s, FV_OP_greater_or_equal, key, fv_sb_unsqueeze(s, begin, 1)));
  }
  return seen;
}

static fv_value *scores_of(fv_sem *s, const attention *a, fv_value *q, fv_value *k) {
  double scale = fv_attr_float(s->node, "scale");
  const double cap = fv_attr_float(s->node, "softcap");
  int64_t depth;
  if (!(scale > 0) && fv_x_is_lit(a->depth, &depth))
    scale = 1 / sqrt((double)depth);
  fv_value *t = fv_sb_transpose(s, k, 4, (const int64_t[]){0, 1, 3, 2});
  fv_value *scores = fv_sb_2(s, FV_OP_matmul, q, t);
  scores = fv_sb_2(s, FV_OP_mul, scores, fv_sb_full_like(s, scores, scale));
  if (!(cap > 0))
    return scores;
  fv_value *c = fv_sb_full_like(s, scores, cap);
  scores = fv_sb_1(s, FV_OP_tanh, fv_sb_2(s, FV_OP_div, scores, c));
  return fv_sb_2(s, FV_OP_mul, scores, c);
}

// [B, H, Q, V] back to the form of q, rounded to its dtype.
static fv_value *from_rank_4(fv_sem *s, const attention *a, fv_value *y) {
  const fv_expr *dims[4];
  const fv_expr *last = a->v_depth;
  y = fv_sb_cast(s, y, fv_sem_type(s, Q)->dtype);
  if (a->packed) {
    y = fv_sb_transpose(s, y, 4, (const int64_t[]){0, 2, 1, 3});
    last = fv_x_mul(s->pool, a->heads, a->v_depth);
  } else if (a->rank == 4) {
    return y;
  }
  dims[a->rank - 1] = last;
  dims[a->rank - 2] = a->q_len;
  if (a->rank == 3)
    dims[0] = a->batch;
  return fv_sb_reshape(s, y, a->rank, dims);
}

fv_status fv_sem_attention(fv_sem *s) {
  attention a = {0};
  int empty;
  FV_TRY(read_dims(s, &a));
  FV_TRY(read_attrs(s, &a));
  FV_TRY(fv_sem_choice(s, "empty", "zero nan", &empty));
  FV_TRY(check_mask(s, &a, MASK, FV_CLASS_FLOAT | FV_CLASS_BOOL));
  FV_TRY(check_mask(s, &a, BIAS, FV_CLASS_FLOAT));
  FV_TRY(check_lengths(s, LENGTHS, a.batch));
  fv_sem_begin_expansion(s);
  fv_value *q = to_rank_4(s, &a, Q, a.heads, a.q_len, a.depth);
  fv_value *k = to_rank_4(s, &a, K, a.kv_heads, a.k_len, a.depth);
  fv_value *v = to_rank_4(s, &a, V, a.kv_heads, a.k_len, a.v_depth);
  k = repeat_heads(s, &a, k, a.depth);
  v = repeat_heads(s, &a, v, a.v_depth);
  fv_value *scores = scores_of(s, &a, q, k);
  fv_value *visible = visible_by_position(s, &a, empty == 1);
  visible = fv_sb_and(s, visible, within_lengths(s, fv_sem_param(s, LENGTHS), a.k_len, 4));
  fv_sb_join_mask(s, mask_param(s, &a, MASK), &scores, &visible);
  fv_sb_join_mask(s, mask_param(s, &a, BIAS), &scores, &visible);
  fv_value *p = fv_sb_masked_softmax(s, scores, visible, false);
  fv_value *y = fv_sb_masked_matmul(s, p, v, visible);  // no visible key: +0.0
  if (visible && empty == 1 && s->failed == FV_OK) {
    fv_value *any = fv_sb_reduce(s, FV_OP_reduce_max, visible, visible->type.rank - 1, true);
    y = fv_sb_3(s, FV_OP_where, any, y, fv_sb_full_like(s, y, NAN));
  }
  y = from_rank_4(s, &a, y);
  return fv_sem_results(s, 1, &y);
}

//===-- Additive attention ------------------------------------------------===//

static fv_status check_additive(fv_sem *s) {
  enum { QUERY, KEYS, VALUES, WQ, VECTOR, LENGTH, SEEN };
  static const int rank[] = {2, 3, 3, 2, 1};
  FV_TRY(fv_sem_want_float(s, QUERY));
  for (int i = QUERY; i <= VECTOR; i++) {
    FV_TRY(fv_sem_same_dtype(s, QUERY, i));
    FV_TRY(fv_sem_want_rank(s, i, rank[i], rank[i]));
  }
  const fv_expr *batch = fv_sem_dim(s, QUERY, 0);
  const fv_expr *steps = fv_sem_dim(s, KEYS, 1);
  const fv_expr *width = fv_sem_dim(s, KEYS, 2);
  FV_TRY(fv_sem_same_dim(s, batch, fv_sem_dim(s, KEYS, 0), "the batch dims of query and keys"));
  FV_TRY(fv_sem_same_dim(s, batch, fv_sem_dim(s, VALUES, 0), "the batch dims of query and values"));
  FV_TRY(fv_sem_same_dim(s, steps, fv_sem_dim(s, VALUES, 1), "the steps of keys and values"));
  FV_TRY(
      fv_sem_same_dim(s, width, fv_sem_dim(s, WQ, 0), "the last dim of keys and the first of wq"));
  FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, QUERY, 1), fv_sem_dim(s, WQ, 1),
                         "the last dims of query and wq"));
  FV_TRY(
      fv_sem_same_dim(s, width, fv_sem_dim(s, VECTOR, 0), "the last dim of keys and the dim of v"));
  FV_TRY(check_lengths(s, LENGTH, batch));
  if (!fv_sem_has(s, SEEN))
    return FV_OK;
  FV_TRY(fv_sem_want_class(s, SEEN, FV_CLASS_FLOAT | FV_CLASS_BOOL));
  const fv_type scores = {.rank = 2, .dim = {batch, steps}};
  const fv_expr *dims[FV_MAX_RANK];
  int joint;
  FV_TRY(fv_sem_want_rank(s, SEEN, 0, 2));
  FV_TRY(fv_sem_broadcast_dims(s, (const fv_type *[]){&scores, fv_sem_type(s, SEEN)}, 2, &joint,
                               dims));
  for (int i = 0; i < 2; i++)
    FV_TRY(fv_sem_same_dim(s, dims[i], scores.dim[i], "the dims of mask and of the scores"));
  return FV_OK;
}

fv_status fv_sem_additive_attention(fv_sem *s) {
  enum { QUERY, KEYS, VALUES, WQ, VECTOR, LENGTH, SEEN };
  FV_TRY(check_additive(s));
  fv_sem_begin_expansion(s);
  fv_value *w = fv_sb_widen(s, fv_sem_param(s, WQ));
  fv_value *query = fv_sb_linear(s, fv_sb_widen(s, fv_sem_param(s, QUERY)), w, NULL);
  fv_value *keys = fv_sb_widen(s, fv_sem_param(s, KEYS));
  fv_value *values = fv_sb_widen(s, fv_sem_param(s, VALUES));
  fv_value *mix = fv_sb_2(s, FV_OP_add, fv_sb_unsqueeze(s, query, 1), keys);
  fv_value *scores = fv_sb_2(s, FV_OP_matmul, fv_sb_1(s, FV_OP_tanh, mix),
                             fv_sb_widen(s, fv_sem_param(s, VECTOR)));
  fv_value *visible = within_lengths(s, fv_sem_param(s, LENGTH), fv_sem_dim(s, KEYS, 1), 2);
  fv_sb_join_mask(s, fv_sem_param(s, SEEN), &scores, &visible);
  fv_value *p = fv_sb_masked_softmax(s, scores, visible, true);
  if (visible && visible->type.rank == 2)
    visible = fv_sb_unsqueeze(s, visible, 1);
  fv_value *ctx = fv_sb_masked_matmul(s, fv_sb_unsqueeze(s, p, 1), values, visible);
  ctx = fv_sb_reshape(s, ctx, 2,
                      (const fv_expr *[]){fv_sem_dim(s, QUERY, 0), fv_sem_dim(s, VALUES, 2)});
  const fv_dtype t = fv_sem_type(s, QUERY)->dtype;
  fv_value *out[] = {fv_sb_cast(s, ctx, t), fv_sb_cast(s, p, t)};
  return fv_sem_results(s, 2, out);
}
