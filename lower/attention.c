// SPDX-License-Identifier: Apache-2.0
// The family attention: softmax(scale q k^T + mask) v with an online softmax.
//
// A block is one head of one batch and some tiles of query rows. Keys come in
// tiles of a few panels of 16: k is transposed and v copied into scratch once a
// tile and block, so the workspace does not grow with the number of keys.
// Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018);
// Dao et al., "FlashAttention" (2022).
//
// What is masked has no effect whatever stands there: scores are selected, not
// multiplied. A tile of v that holds a NaN or an infinity takes a slower path
// that selects per key; the others need no select since 0 * finite is 0.
#include "lower/internal.h"

enum { COLUMNS = 16, MAX_HEAD = 512 };

typedef struct att {
  lw_kernel k;
  const fv_node *n;
  fv_dtype t;             // compute type
  int lanes, vectors;     // of a key tile
  int keys;               // of a tile
  int rows, block_tiles;  // rows of a register tile, tiles of a block
  int64_t heads, group, head, v_head;  // query heads, per kv head; sizes
  const fv_expr *batch, *q_len, *k_len, *valid;
  const fv_expr *ib, *ih, *ii, *ij, *id;  // indices: batch, head, query, key, channel
  const fv_expr *q, *kx, *v, *mask, *bias, *lengths;
  int s_q, s_k, s_v, s_s, s_o, s_m, s_l;  // scratch
  int64_t v_stride;
  fv_kv visible_keys;     // of this batch: keys below it
} att;

//===-- Shape ---------------------------------------------------------------------===//

static lw_why head_size(const fv_value *v, int64_t heads, int64_t *out) {
  int64_t d;
  if (!fv_x_is_lit(v->type.dim[v->type.rank - 1], &d))
    return "the size of a head is not known when it is compiled";
  *out = heads ? d / heads : d;
  return *out > 0 && *out <= MAX_HEAD ? NULL : "a head has more than 512 channels, or none";
}

static lw_why shape_of(const fv_node *n, att *a) {
  const fv_value *q = n->in[0], *k = n->in[1], *v = n->in[2];
  const int64_t heads = fv_attr_int(n, "heads");
  int64_t kv = fv_attr_int(n, "kv_heads");
  int64_t h, hk;
  if (!fv_dtype_is_float(q->type.dtype))
    return "its elements are no floats";
  if (q->type.rank != (heads ? 3 : 4))
    return "its operands have neither rank 4, nor rank 3 with heads=";
  if (heads) {
    h = heads;
    hk = kv ? kv : heads;
  } else if (!fv_x_is_lit(q->type.dim[1], &h) || !fv_x_is_lit(k->type.dim[1], &hk)) {
    return "the number of heads is not known when it is compiled";
  }
  lw_why why = head_size(q, heads ? h : 0, &a->head);
  if (!why)
    why = head_size(v, heads ? hk : 0, &a->v_head);
  if (why)
    return why;
  a->heads = h;
  a->group = h / hk;
  const int row = heads ? 1 : 2;
  a->batch = q->type.dim[0];
  a->q_len = q->type.dim[row];
  a->k_len = k->type.dim[row];
  return NULL;
}

lw_why lw_attention_refuses(const lw *l, const fv_node *n) {
  (void)l;
  att a;
  return shape_of(n, &a);
}

// Element of q, k or v.
static const fv_expr *element(att *a, const fv_value *v, const fv_expr *row, bool kv,
                              int64_t size) {
  fv_xpool *p = a->k.l->pool;
  const fv_expr *h = kv ? fv_x_floordiv(p, a->ih, fv_x_i64(p, a->group)) : a->ih;
  if (v->type.rank == 4) {
    const fv_expr *ix[] = {a->ib, h, row, a->id};
    return lw_at(&a->k, v, ix);
  }
  const fv_expr *c = fv_x_add(p, fv_x_mul(p, h, fv_x_i64(p, size)), a->id);
  const fv_expr *ix[] = {a->ib, row, c};
  return lw_at(&a->k, v, ix);
}

// Element of a mask or bias, broadcast from the right to [B, H, q, k].
static const fv_expr *broadcast(att *a, const fv_value *v) {
  const fv_expr *all[] = {a->ib, a->ih, a->ii, a->ij};
  const fv_expr *ix[FV_MAX_RANK];
  for (int i = 0; i < v->type.rank; i++) {
    int64_t one;
    const bool single = fv_x_is_lit(v->type.dim[i], &one) && one == 1;
    ix[i] = single ? fv_x_i64(a->k.l->pool, 0) : all[4 - v->type.rank + i];
  }
  return lw_at(&a->k, v, ix);
}

static void setup(att *a, lw *l, const lw_group *g, bool one_row) {
  fv_xpool *p = l->pool;
  const fv_node *n = g->root;
  lw_kernel_begin(&a->k, l, g, false);
  a->n = n;
  shape_of(n, a);
  a->t = fv_dtype_compute(n->in[0]->type.dtype);
  a->lanes = lw_lanes(l, a->t);
  const int regs = (int)l->target->registers;
  a->keys = COLUMNS * (regs >= 32 ? 2 : 1);
  a->vectors = a->keys / a->lanes;
  a->rows = (regs - 1 - a->vectors) / a->vectors;
  a->rows = one_row ? 1 : a->rows < 1 ? 1 : a->rows > 14 ? 14 : a->rows;
  a->block_tiles = one_row ? 1 : 4;
  a->ib = lw_new_index(&a->k, a->batch);
  a->ih = lw_new_index(&a->k, fv_x_i64(p, a->heads));
  a->ii = lw_new_index(&a->k, a->q_len);
  a->ij = lw_new_index(&a->k, a->k_len);
  a->id = lw_new_index(&a->k, fv_x_i64(p, a->head));
  a->q = element(a, n->in[0], a->ii, false, a->head);
  a->kx = element(a, n->in[1], a->ij, true, a->head);
  a->v = element(a, n->in[2], a->ij, true, a->v_head);
  const fv_value *extra[3] = {NULL};  // trailing operands may be left out
  for (int i = 3; i < n->n_in; i++)
    extra[i - 3] = n->in[i];
  a->mask = extra[0] ? broadcast(a, extra[0]) : NULL;
  a->bias = extra[1] ? broadcast(a, extra[1]) : NULL;
  a->lengths = extra[2] ? lw_at(&a->k, extra[2], &a->ib) : NULL;
  const fv_expr *valid = fv_attr_get(n, "kv_valid")->x;
  int64_t none;
  a->valid = fv_x_is_lit(valid, &none) && none < 0 ? a->k_len : valid;
  fv_kb *kb = a->k.kb;
  const int64_t block = (int64_t)a->rows * a->block_tiles;
  a->v_stride = (a->v_head + a->keys - 1) / a->keys * a->keys;
  a->s_q = fv_kb_scratch(kb, a->t, fv_x_i64(p, block * a->head));
  a->s_k = fv_kb_scratch(kb, a->t, fv_x_i64(p, a->head * a->keys));
  a->s_v = fv_kb_scratch(kb, a->t, fv_x_i64(p, a->keys * a->v_stride));
  a->s_s = fv_kb_scratch(kb, a->t, fv_x_i64(p, (int64_t)a->rows * a->keys));
  a->s_o = fv_kb_scratch(kb, a->t, fv_x_i64(p, block * a->v_stride));
  a->s_m = fv_kb_scratch(kb, a->t, fv_x_i64(p, block));
  a->s_l = fv_kb_scratch(kb, a->t, fv_x_i64(p, block));
}

//===-- Small helpers -----------------------------------------------------------===//

static fv_kv num(att *a, double v) {
  return fv_kb_const_f(a->k.kb, a->t, 1, v);
}
static fv_kv op2(att *a, fv_scalar_op op, fv_kv x, fv_kv y) {
  return fv_kb_op(a->k.kb, op, x, y, FV_K_NONE);
}
static fv_kv i64(att *a, int64_t v) {
  return fv_kb_i64(a->k.kb, v);
}
static fv_kv at2(att *a, fv_kv row, int64_t stride, fv_kv col) {
  return fv_kb_add(a->k.kb, fv_kb_mul(a->k.kb, row, i64(a, stride)), col);
}

//===-- Copies into scratch -------------------------------------------------------===//

typedef struct copy {
  att *a;
  const fv_expr *x;
  int scratch;
  fv_kv base;       // scratch offset of channel 0
  int64_t stride;   // of a channel: 1, or the key tile (transposed)
  fv_kv row_ok;     // the row exists
  fv_kv finite;     // optional VAR
} copy;

static void copy_body(void *user, lw_emit *e) {
  copy *c = user;
  att *a = c->a;
  fv_kb *kb = a->k.kb;
  const fv_kv d = e->index[a->id->ref];
  lw_emit in = *e;
  in.guard = c->row_ok;
  fv_kv v = fv_kb_splat(kb, lw_emit_expr(&in, c->x), e->lanes);
  if (e->lanes == 1 && c->row_ok != FV_K_NONE)  // a scalar load under a guard is not masked
    v = fv_kb_op(kb, FV_X_SELECT, c->row_ok, v, num(a, 0));
  if (c->finite != FV_K_NONE) {
    // x - x is 0 unless x is not finite.
    const fv_kv zero = op2(a, FV_X_SUB, v, v);
    fv_kv ok = op2(a, FV_X_EQ, zero, num(a, 0));
    if (e->lanes > 1)
      ok = fv_kb_reduce(kb, FV_X_AND, ok);
    fv_kb_set(kb, c->finite, op2(a, FV_X_AND, fv_kb_get(kb, c->finite), ok));
  }
  const fv_kv at = fv_kb_add(kb, c->base, fv_kb_mul(kb, d, i64(a, c->stride)));
  if (c->stride == 1 || e->lanes == 1) {
    fv_kb_store(kb, c->scratch, at, v, e->lanes > 1 ? e->count : FV_K_NONE);
    return;
  }
  fv_kv mask = FV_K_NONE;
  if (e->count != FV_K_NONE)
    mask = op2(a, FV_X_LT, fv_kb_ramp(kb, i64(a, 0), 1, e->lanes), e->count);
  fv_kb_scatter(kb, c->scratch, fv_kb_ramp(kb, at, c->stride, e->lanes), v, mask);
}

// Copies `size` channels of x at the row that index `row` of e stands for.
static void copy_row(copy *c, const lw_emit *e, int64_t size) {
  att *a = c->a;
  fv_xpool *p = a->k.l->pool;
  const fv_expr *extent = fv_x_i64(p, size);
  const int lanes = lw_choose_lanes(&a->k, c->x, a->t, extent);
  lw_lane_loop(e, lanes, a->id->ref, i64(a, 0), extent, FV_K_NONE, copy_body, c);
}

static void load_queries(att *a, lw_emit *e, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  lw_emit in = *e;
  const fv_kv i = fv_kb_for(kb, lo, hi, 1);
  const fv_kv r = fv_kb_sub(kb, i, lo);
  in.index[a->ii->ref] = i;
  copy c = {.a = a, .x = a->q, .scratch = a->s_q, .stride = 1, .row_ok = FV_K_NONE,
            .finite = FV_K_NONE, .base = fv_kb_mul(kb, r, i64(a, a->head))};
  copy_row(&c, &in, a->head);
  fv_kb_store(kb, a->s_m, r, num(a, -__builtin_inf()), FV_K_NONE);
  fv_kb_store(kb, a->s_l, r, num(a, 0), FV_K_NONE);
  const fv_kv z = fv_kb_for(kb, i64(a, 0), i64(a, a->v_stride), a->lanes);
  fv_kb_store(kb, a->s_o, at2(a, r, a->v_stride, z), fv_kb_splat(kb, num(a, 0), a->lanes),
              FV_K_NONE);
  fv_kb_end(kb);
  fv_kb_end(kb);
}

// Returns a bool: is every v of the tile finite?
static fv_kv load_keys(att *a, lw_emit *e, fv_kv j0) {
  fv_kb *kb = a->k.kb;
  const fv_kv finite = fv_kb_var(kb, fv_kb_const_i(kb, FV_bool, 1, 1));
  lw_emit in = *e;
  const fv_kv jj = fv_kb_for(kb, i64(a, 0), i64(a, a->keys), 1);
  const fv_kv j = fv_kb_add(kb, j0, jj);
  in.index[a->ij->ref] = j;
  const fv_kv ok = op2(a, FV_X_LT, j, a->visible_keys);
  copy k = {.a = a, .x = a->kx, .scratch = a->s_k, .base = jj, .stride = a->keys, .row_ok = ok,
            .finite = FV_K_NONE};
  copy_row(&k, &in, a->head);
  copy v = {.a = a, .x = a->v, .scratch = a->s_v, .base = fv_kb_mul(kb, jj, i64(a, a->v_stride)),
            .stride = 1, .row_ok = ok, .finite = finite};
  copy_row(&v, &in, a->v_head);
  fv_kb_end(kb);
  return fv_kb_get(kb, finite);
}

//===-- Scores --------------------------------------------------------------------===//

// s[r][j] = q[r] . k[j] for a tile of rows whose first is row0 of the block.
static void scores(att *a, fv_kv row0) {
  fv_kb *kb = a->k.kb;
  fv_kv acc[14 * 8], base[14];
  const fv_kv zero = fv_kb_const_f(kb, a->t, a->lanes, 0);
  for (int i = 0; i < a->rows * a->vectors; i++)
    acc[i] = fv_kb_var(kb, zero);
  for (int r = 0; r < a->rows; r++)
    base[r] = fv_kb_mul(kb, fv_kb_add(kb, row0, i64(a, r)), i64(a, a->head));
  const int unroll = a->head % 4 == 0 ? 4 : 1;
  const fv_kv d0 = fv_kb_for(kb, i64(a, 0), i64(a, a->head), unroll);
  for (int u = 0; u < unroll; u++) {
    const fv_kv d = fv_kb_add(kb, d0, i64(a, u));
    fv_kv k[8];
    for (int v = 0; v < a->vectors; v++)
      k[v] = fv_kb_load(kb, a->s_k, at2(a, d, a->keys, i64(a, v * a->lanes)), a->lanes,
                        FV_K_NONE);
    for (int r = 0; r < a->rows; r++) {
      const fv_kv q = fv_kb_splat(
          kb, fv_kb_load(kb, a->s_q, fv_kb_add(kb, base[r], d), 1, FV_K_NONE), a->lanes);
      for (int v = 0; v < a->vectors; v++) {
        const fv_kv var = acc[r * a->vectors + v];
        fv_kb_set(kb, var, fv_kb_mad(kb, q, k[v], fv_kb_get(kb, var)));
      }
    }
  }
  fv_kb_end(kb);
  for (int r = 0; r < a->rows; r++)
    for (int v = 0; v < a->vectors; v++)
      fv_kb_store(kb, a->s_s, i64(a, r * a->keys + v * a->lanes),
                  fv_kb_get(kb, acc[r * a->vectors + v]), FV_K_NONE);
}

// First and one past the last key that query i may see by position.
static void key_range(att *a, fv_kv i, fv_kv *lo, fv_kv *hi) {
  fv_kb *kb = a->k.kb;
  fv_xpool *p = a->k.l->pool;
  const fv_kv offset = lw_emit_host(&a->k, fv_x_sub(p, a->valid, a->q_len));
  const fv_kv end = fv_kb_add(kb, fv_kb_add(kb, i, offset), i64(a, 1));
  const int64_t window = fv_attr_int(a->n, "window");
  *lo = i64(a, 0);
  *hi = a->visible_keys;
  if (fv_attr_bool(a->n, "causal"))
    *hi = op2(a, FV_X_MIN, *hi, end);
  if (window > 0)
    *lo = op2(a, FV_X_MAX, *lo, fv_kb_sub(kb, end, i64(a, window)));
}

// Scale, softcap, bias and mask of one vector of scores; -inf where unseen.
static fv_kv masked_score(att *a, lw_emit *e, fv_kv s, fv_kv j, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  const double scale = fv_attr_float(a->n, "scale");
  const double cap = fv_attr_float(a->n, "softcap");
  s = op2(a, FV_X_MUL, s, num(a, scale != 0 ? scale : 1 / __builtin_sqrt((double)a->head)));
  if (cap > 0) {
    s = fv_kb_op(kb, FV_X_TANH, op2(a, FV_X_DIV, s, num(a, cap)), FV_K_NONE, FV_K_NONE);
    s = op2(a, FV_X_MUL, s, num(a, cap));
  }
  const fv_kv lane = fv_kb_ramp(kb, j, 1, a->lanes);
  fv_kv seen = op2(a, FV_X_AND, op2(a, FV_X_LE, lo, lane), op2(a, FV_X_LT, lane, hi));
  lw_emit in = *e;
  in.lanes = a->lanes;
  in.lane = (int)a->ij->ref;
  in.index[a->ij->ref] = j;
  in.count = fv_kb_sub(kb, lw_emit_host(&a->k, a->k_len), j);
  in.memo = FV_NEW(a->k.l->arena, struct lw_memo);
  const fv_expr *const both[] = {a->bias, a->mask};
  for (int i = 0; i < 2; i++) {
    if (!both[i])
      continue;
    const fv_kv m = lw_emit_expr(&in, both[i]);
    if (fv_kb_dtype(kb, m) == FV_bool) {
      seen = op2(a, FV_X_AND, seen, m);
      continue;
    }
    const fv_kv f = fv_kb_cast(kb, a->t, m);
    seen = op2(a, FV_X_AND, seen, op2(a, FV_X_NE, f, num(a, -__builtin_inf())));
    s = op2(a, FV_X_ADD, s, f);
  }
  const fv_kv hidden = fv_kb_const_f(kb, a->t, a->lanes, -__builtin_inf());
  return fv_kb_op(kb, FV_X_SELECT, seen, s, hidden);
}

// One row of the online softmax: s becomes p, m and l and o move on.
static void soften_row(att *a, lw_emit *e, fv_kv r, fv_kv row, fv_kv j0) {
  fv_kb *kb = a->k.kb;
  fv_kv lo, hi, s[8];
  key_range(a, e->index[a->ii->ref], &lo, &hi);
  const fv_kv m_old = fv_kb_load(kb, a->s_m, row, 1, FV_K_NONE);
  fv_kv top = FV_K_NONE;
  for (int v = 0; v < a->vectors; v++) {
    const fv_kv at = at2(a, r, a->keys, i64(a, v * a->lanes));
    s[v] = masked_score(a, e, fv_kb_load(kb, a->s_s, at, a->lanes, FV_K_NONE),
                        fv_kb_add(kb, j0, i64(a, v * a->lanes)), lo, hi);
    top = v ? op2(a, FV_X_MAX, top, s[v]) : s[v];
  }
  const fv_kv m = op2(a, FV_X_MAX, m_old, fv_kb_reduce(kb, FV_X_MAX, top));
  const fv_kv none = op2(a, FV_X_EQ, m, num(a, -__builtin_inf()));
  const fv_kv base = fv_kb_op(kb, FV_X_SELECT, none, num(a, 0), m);
  const fv_kv alpha = fv_kb_op(kb, FV_X_EXP, op2(a, FV_X_SUB, m_old, base), FV_K_NONE, FV_K_NONE);
  fv_kv sum = FV_K_NONE;
  for (int v = 0; v < a->vectors; v++) {
    const fv_kv p = fv_kb_op(kb, FV_X_EXP, op2(a, FV_X_SUB, s[v], base), FV_K_NONE, FV_K_NONE);
    fv_kb_store(kb, a->s_s, at2(a, r, a->keys, i64(a, v * a->lanes)), p, FV_K_NONE);
    sum = v ? op2(a, FV_X_ADD, sum, p) : p;
  }
  const fv_kv l = fv_kb_load(kb, a->s_l, row, 1, FV_K_NONE);
  fv_kb_store(kb, a->s_m, row, m, FV_K_NONE);
  fv_kb_store(kb, a->s_l, row,
              op2(a, FV_X_ADD, op2(a, FV_X_MUL, l, alpha), fv_kb_reduce(kb, FV_X_ADD, sum)),
              FV_K_NONE);
  const fv_kv c = fv_kb_for(kb, i64(a, 0), i64(a, a->v_stride), a->lanes);
  const fv_kv at = at2(a, row, a->v_stride, c);
  fv_kb_store(kb, a->s_o, at,
              op2(a, FV_X_MUL, fv_kb_load(kb, a->s_o, at, a->lanes, FV_K_NONE), alpha), FV_K_NONE);
  fv_kb_end(kb);
}

// o[r] += p[r] v for a tile; `careful`: keys of weight 0 are left out.
static void add_values(att *a, fv_kv row0, bool careful) {
  fv_kb *kb = a->k.kb;
  fv_kv acc[14 * 8];
  const fv_kv c = fv_kb_for(kb, i64(a, 0), i64(a, a->v_stride), a->keys);
  for (int r = 0; r < a->rows; r++)
    for (int v = 0; v < a->vectors; v++) {
      const fv_kv at = at2(a, fv_kb_add(kb, row0, i64(a, r)), a->v_stride,
                           fv_kb_add(kb, c, i64(a, v * a->lanes)));
      acc[r * a->vectors + v] = fv_kb_var(kb, fv_kb_load(kb, a->s_o, at, a->lanes, FV_K_NONE));
    }
  const int unroll = 4;
  const fv_kv j0 = fv_kb_for(kb, i64(a, 0), i64(a, a->keys), unroll);
  for (int u = 0; u < unroll; u++) {
    const fv_kv j = fv_kb_add(kb, j0, i64(a, u));
    fv_kv val[8];
    for (int v = 0; v < a->vectors; v++)
      val[v] = fv_kb_load(kb, a->s_v,
                          at2(a, j, a->v_stride, fv_kb_add(kb, c, i64(a, v * a->lanes))),
                          a->lanes, FV_K_NONE);
    for (int r = 0; r < a->rows; r++) {
      const fv_kv p1 = fv_kb_load(kb, a->s_s, fv_kb_add(kb, j, i64(a, r * a->keys)), 1, FV_K_NONE);
      const fv_kv p = fv_kb_splat(kb, p1, a->lanes);
      for (int v = 0; v < a->vectors; v++) {
        const fv_kv var = acc[r * a->vectors + v], old = fv_kb_get(kb, var);
        fv_kv next = fv_kb_mad(kb, p, val[v], old);
        if (careful)
          next = fv_kb_op(kb, FV_X_SELECT, op2(a, FV_X_EQ, p, num(a, 0)), old, next);
        fv_kb_set(kb, var, next);
      }
    }
  }
  fv_kb_end(kb);
  for (int r = 0; r < a->rows; r++)
    for (int v = 0; v < a->vectors; v++)
      fv_kb_store(kb, a->s_o,
                  at2(a, fv_kb_add(kb, row0, i64(a, r)), a->v_stride,
                      fv_kb_add(kb, c, i64(a, v * a->lanes))),
                  fv_kb_get(kb, acc[r * a->vectors + v]), FV_K_NONE);
  fv_kb_end(kb);
}

//===-- The result ----------------------------------------------------------------===//

typedef struct put {
  att *a;
  const fv_expr *offset;
  fv_kv row, l, empty;
} put;

static void put_body(void *user, lw_emit *e) {
  put *w = user;
  att *a = w->a;
  fv_kb *kb = a->k.kb;
  const fv_kv at = at2(a, w->row, a->v_stride, e->index[a->id->ref]);
  const fv_kv o = fv_kb_load(kb, a->s_o, at, e->lanes, FV_K_NONE);
  fv_kv y = op2(a, FV_X_DIV, o, w->l);
  if (w->empty != FV_K_NONE)
    y = fv_kb_op(kb, FV_X_SELECT, w->empty, fv_kb_const_f(kb, a->t, e->lanes, 0), y);
  lw_emit_store(e, a->k.out_kbuf, w->offset, y);
}

static void write_rows(att *a, lw_emit *e, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  fv_xpool *p = a->k.l->pool;
  const fv_expr *column = fv_x_add(p, fv_x_mul(p, a->ih, fv_x_i64(p, a->v_head)), a->id);
  const fv_expr *ix3[] = {a->ib, a->ii, column}, *ix4[] = {a->ib, a->ih, a->ii, a->id};
  lw_emit in = *e;
  const fv_kv i = fv_kb_for(kb, lo, hi, 1);
  in.index[a->ii->ref] = i;
  const fv_kv row = fv_kb_sub(kb, i, lo);
  const fv_kv l = fv_kb_load(kb, a->s_l, row, 1, FV_K_NONE);
  put w = {.a = a, .row = row, .l = l, .empty = FV_K_NONE,
           .offset = fv_type_offset(p, &a->k.out_type, a->k.out_type.rank == 4 ? ix4 : ix3)};
  if (fv_attr_str(a->n, "empty")[0] == 'z')
    w.empty = op2(a, FV_X_EQ, l, num(a, 0));
  const fv_expr *extent = fv_x_i64(p, a->v_head);
  lw_lane_loop(&in, lw_choose_lanes(&a->k, w.offset, a->t, extent), a->id->ref, i64(a, 0), extent,
               FV_K_NONE, put_body, &w);
  fv_kb_end(kb);
}

//===-- The kernel ----------------------------------------------------------------===//

static void key_tile(att *a, lw_emit *e, fv_kv j0, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  const fv_kv finite = load_keys(a, e, j0);
  const fv_kv row0 = fv_kb_for(kb, i64(a, 0), fv_kb_sub(kb, hi, lo), a->rows);
  scores(a, row0);
  lw_emit in = *e;
  const fv_kv rows = op2(a, FV_X_MIN, i64(a, a->rows), fv_kb_sub(kb, fv_kb_sub(kb, hi, lo), row0));
  const fv_kv r = fv_kb_for(kb, i64(a, 0), rows, 1);
  const fv_kv row = fv_kb_add(kb, row0, r);
  in.index[a->ii->ref] = fv_kb_add(kb, lo, row);
  soften_row(a, &in, r, row, j0);
  fv_kb_end(kb);
  fv_kb_if(kb, finite);
  add_values(a, row0, false);
  fv_kb_else(kb);
  add_values(a, row0, true);
  fv_kb_end(kb);
  fv_kb_end(kb);
}

static void emit(lw *l, const lw_group *g, bool one_row) {
  att a = {0};
  setup(&a, l, g, one_row);
  fv_kb *kb = a.k.kb;
  fv_xpool *p = l->pool;
  const int64_t block = (int64_t)a.rows * a.block_tiles;
  const fv_expr *blocks = lw_ceil_div(p, a.q_len, block);
  const fv_kv nb = lw_emit_host(&a.k, blocks);
  fv_kv at = fv_kb_block(kb);
  const fv_kv rb = op2(&a, FV_X_MOD, at, nb);
  at = op2(&a, FV_X_FLOORDIV, at, nb);
  lw_emit e;
  lw_emit_init(&e, &a.k, 1, -1);
  e.index[a.ih->ref] = op2(&a, FV_X_MOD, at, i64(&a, a.heads));
  e.index[a.ib->ref] = op2(&a, FV_X_FLOORDIV, at, i64(&a, a.heads));
  a.visible_keys = op2(&a, FV_X_MIN, lw_emit_host(&a.k, a.valid), lw_emit_host(&a.k, a.k_len));
  if (a.lengths)
    a.visible_keys = op2(&a, FV_X_MIN, a.visible_keys,
                         fv_kb_cast(kb, FV_i64, lw_emit_expr(&e, a.lengths)));
  const fv_kv lo = fv_kb_mul(kb, rb, i64(&a, block));
  const fv_kv hi = op2(&a, FV_X_MIN, fv_kb_add(kb, lo, i64(&a, block)),
                       lw_emit_host(&a.k, a.q_len));
  load_queries(&a, &e, lo, hi);
  // Keys that some row of the block sees: the first row starts, the last ends.
  fv_kv first, end, unused;
  key_range(&a, lo, &first, &unused);
  key_range(&a, fv_kb_sub(kb, hi, i64(&a, 1)), &unused, &end);
  const fv_kv tile = i64(&a, a.keys);
  first = fv_kb_mul(kb, op2(&a, FV_X_FLOORDIV, first, tile), tile);
  const fv_kv j0 = fv_kb_for(kb, first, end, a.keys);
  key_tile(&a, &e, j0, lo, hi);
  fv_kb_end(kb);
  write_rows(&a, &e, lo, hi);
  const fv_expr *heads = fv_x_mul(p, a.batch, fv_x_i64(p, a.heads));
  lw_kernel_launch(&a.k, one_row ? "attention_row" : "attention", fv_x_mul(p, heads, blocks));
}

static void emit_one(lw *l, const lw_group *g) {
  emit(l, g, true);
}
static void emit_many(lw *l, const lw_group *g) {
  emit(l, g, false);
}

fv_status lw_attention(lw *l, const lw_group *g) {
  fv_xpool *p = l->pool;
  att a;
  shape_of(g->root, &a);
  const fv_expr *one = fv_x_i64(p, 1);
  const fv_truth t = fv_prove_le(p, a.q_len, one);
  const fv_expr *cond = t == FV_YES  ? fv_x_lit_i(p, FV_bool, 1)
                        : t == FV_NO ? fv_x_lit_i(p, FV_bool, 0)
                                     : fv_x_op(p, FV_X_LE, a.q_len, one, NULL);
  lw_either(l, cond, emit_one, emit_many, g);
  return FV_OK;
}
