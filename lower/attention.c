// SPDX-License-Identifier: Apache-2.0
// The family attention: softmax(scale q k^T + mask) v with an online softmax.
//
// A block is one head of one batch and some tiles of query rows. Keys come in
// tiles of a few panels: k is transposed and v copied into scratch once a tile
// and block, so the workspace does not grow with the number of keys. The softmax
// moves on once a tile. The sums of a tile are made apart, and those of a stretch of tiles
// join totals with what their roundings lose, so the error does not grow with the number of
// keys, either. A single row (decoding) reads each key once, so there k
// stays as it is and scores are dot products along the channels.
// Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018);
// Dao et al., "FlashAttention" (2022).
//
// What is masked has no effect whatever stands there: scores are selected, not
// multiplied. A tile of v that holds a NaN or an infinity takes a slower path
// that selects per key; the others need no select since 0 * finite is 0.
#include "lower/attention.h"

#include "lower/blocking.h"

enum { MAX_HEAD = 512, TILE_BYTES = 32 << 10 };
// Tiles whose sums are added before they join a total, as in the sums of a row (reduction.c).
enum { STRETCH = 16 };

//===-- Shape ---------------------------------------------------------------------===//

static lw_why head_size(const fv_value *v, int64_t heads, int64_t *out) {
  int64_t d;
  if (!fv_x_is_lit(v->type.dim[v->type.rank - 1], &d))
    return "the size of a head is not known when it is compiled";
  *out = heads ? d / heads : d;
  return *out > 0 && *out <= MAX_HEAD ? NULL : "a head has more than 512 channels, or none";
}

static lw_why shape_of(const fv_node *n, lw_att *a) {
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

// Element of q, k or v.
static const fv_expr *element(lw_att *a, const fv_value *v, const fv_expr *row, bool kv,
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
static const fv_expr *broadcast(lw_att *a, const fv_value *v) {
  const fv_expr *all[] = {a->ib, a->ih, a->ii, a->ij};
  const fv_expr *ix[FV_MAX_RANK];
  for (int i = 0; i < v->type.rank; i++) {
    int64_t one;
    const bool single = fv_x_is_lit(v->type.dim[i], &one) && one == 1;
    ix[i] = single ? fv_x_i64(a->k.l->pool, 0) : all[4 - v->type.rank + i];
  }
  return lw_at(&a->k, v, ix);
}

static void setup(lw_att *a, lw *l, const lw_group *g, bool one_row) {
  fv_xpool *p = l->pool;
  const fv_node *n = g->root;
  lw_kernel_begin(&a->k, l, g, false);
  a->n = n;
  shape_of(n, a);
  a->t = fv_dtype_compute(n->in[0]->type.dtype);
  const lw_blocking size = lw_blocking_of(l, LW_SCORES, a->t, a->head, -1);
  a->lanes = size.lanes;
  a->one_row = one_row;
  a->panel = size.nr;
  a->vectors = size.vectors;
  a->rows = one_row ? 1 : size.mr;
  a->block = one_row ? 1 : size.mc;
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
  const int64_t block = a->block;
  a->v_stride = (a->v_head + a->panel - 1) / a->panel * a->panel;
  a->k_stride = (a->head + a->lanes - 1) / a->lanes * a->lanes;
  const int64_t bytes = (a->k_stride + a->v_stride) * a->panel * fv_dtype_size(a->t);
  const int64_t panels = TILE_BYTES / bytes;  // a tile of k and v stays in the first cache
  const int64_t most = size.nc / size.nr;
  a->keys = a->panel * (int)(panels < 1 ? 1 : panels > most ? most : panels);
  a->s_q = fv_kb_scratch(kb, a->t, fv_x_i64(p, block * a->k_stride));
  a->s_k = fv_kb_scratch(kb, a->t, fv_x_i64(p, a->k_stride * a->keys));
  a->s_v = fv_kb_scratch(kb, a->t, fv_x_i64(p, a->keys * a->v_stride));
  a->s_s = fv_kb_scratch(kb, a->t, fv_x_i64(p, (int64_t)a->rows * a->keys));
  a->s_o = fv_kb_scratch(kb, a->t, fv_x_i64(p, block * a->v_stride));
  a->s_m = fv_kb_scratch(kb, a->t, fv_x_i64(p, block + a->lanes));
  a->s_l = fv_kb_scratch(kb, a->t, fv_x_i64(p, block + a->lanes));
  a->s_t = fv_kb_scratch(kb, a->t, fv_x_i64(p, a->rows + a->lanes));
  a->s_a = fv_kb_scratch(kb, a->t, fv_x_i64(p, a->rows + a->lanes));
  a->s_total_m = fv_kb_scratch(kb, a->t, fv_x_i64(p, block));
  for (int i = 0; i < 2; i++) {
    a->s_total_l[i] = fv_kb_scratch(kb, a->t, fv_x_i64(p, block));
    a->s_total_o[i] = fv_kb_scratch(kb, a->t, fv_x_i64(p, block * a->v_stride));
  }
}

//===-- Copies into scratch -------------------------------------------------------===//

typedef struct copy {
  lw_att *a;
  const fv_expr *x;
  int scratch;
  fv_kv base;    // scratch offset of channel 0
  fv_kv factor;  // optional
  fv_kv finite;  // optional VAR: 0 in each lane as long as all were finite
} copy;

static void copy_body(void *user, lw_emit *e) {
  copy *c = user;
  lw_att *a = c->a;
  fv_kb *kb = a->k.kb;
  fv_kv v = fv_kb_splat(kb, lw_emit_expr(e, c->x), e->lanes);
  if (c->finite != FV_K_NONE)  // x - x is 0 unless x is not finite
    fv_kb_set(kb, c->finite,
              lw_op2(a, FV_X_ADD, fv_kb_get(kb, c->finite), lw_op2(a, FV_X_SUB, v, v)));
  if (c->factor != FV_K_NONE)
    v = lw_op2(a, FV_X_MUL, v, c->factor);
  fv_kb_store(kb, c->scratch, fv_kb_add(kb, c->base, lw_index_value(e, a->id->ref)), v,
              e->lanes > 1 ? e->count : FV_K_NONE);
}

// Copies the channels of x at the row that index `row` of e stands for.
static void copy_row(copy *c, const lw_emit *e, int lanes, int64_t size) {
  lw_att *a = c->a;
  lw_lane_loop(e, lanes, a->id->ref, lw_i64(a, 0), fv_x_i64(a->k.l->pool, size), FV_K_NONE,
               copy_body, c);
}

static int copy_lanes(lw_att *a, const fv_expr *x, int64_t size) {
  return lw_choose_lanes(&a->k, x, a->t, fv_x_i64(a->k.l->pool, size));
}

// The channels of a row up to the next whole vector.
static void zero_rest(lw_att *a, int scratch, fv_kv base) {
  for (int64_t d = a->head; d < a->k_stride; d++)
    fv_kb_store(a->k.kb, scratch, fv_kb_add(a->k.kb, base, lw_i64(a, d)), lw_num(a, 0), FV_K_NONE);
}

// Whole vectors.
static void fill_zero(lw_att *a, int scratch, fv_kv lo, fv_kv hi) {
  const fv_kv at = fv_kb_for(a->k.kb, lo, hi, a->lanes);
  fv_kb_store(a->k.kb, scratch, at, fv_kb_const_f(a->k.kb, a->t, a->lanes, 0), FV_K_NONE);
  fv_kb_end(a->k.kb);
}

static void load_queries(lw_att *a, const lw_emit *e, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  const double scale = fv_attr_float(a->n, "scale");
  lw_emit in = *e;
  const fv_kv i = fv_kb_for(kb, lo, hi, 1);
  const fv_kv r = fv_kb_sub(kb, i, lo);
  lw_bind(&in, a->ii->ref, i);
  copy c = {.a = a,
            .x = a->q,
            .scratch = a->s_q,
            .finite = FV_K_NONE,
            .base = fv_kb_mul(kb, r, lw_i64(a, a->k_stride)),
            .factor = lw_num(a, scale != 0 ? scale : 1 / __builtin_sqrt((double)a->head))};
  copy_row(&c, &in, copy_lanes(a, a->q, a->head), a->head);
  if (a->one_row)
    zero_rest(a, a->s_q, c.base);
  fv_kb_store(kb, a->s_m, r, lw_num(a, -__builtin_inf()), FV_K_NONE);
  fv_kb_store(kb, a->s_l, r, lw_num(a, 0), FV_K_NONE);
  const fv_kv o = fv_kb_mul(kb, r, lw_i64(a, a->v_stride));
  fill_zero(a, a->s_o, o, fv_kb_add(kb, o, lw_i64(a, a->v_stride)));
  fv_kb_end(kb);
}

// Totals of no stretch.
static void clear_totals(lw_att *a, fv_kv rows) {
  fv_kb *kb = a->k.kb;
  const fv_kv r = fv_kb_for(kb, lw_i64(a, 0), rows, 1);
  fv_kb_store(kb, a->s_total_m, r, lw_num(a, -__builtin_inf()), FV_K_NONE);
  const fv_kv o = fv_kb_mul(kb, r, lw_i64(a, a->v_stride));
  for (int i = 0; i < 2; i++) {
    fv_kb_store(kb, a->s_total_l[i], r, lw_num(a, 0), FV_K_NONE);
    fill_zero(a, a->s_total_o[i], o, fv_kb_add(kb, o, lw_i64(a, a->v_stride)));
  }
  fv_kb_end(kb);
}

// A tile of k, transposed: lanes are keys. Those that nobody sees are 0.
static void turn_keys(lw_att *a, const lw_emit *e, fv_kv j0, fv_kv count) {
  fv_kb *kb = a->k.kb;
  lw_emit in = *e;
  const fv_kv jj = fv_kb_for(kb, lw_i64(a, 0), count, a->lanes);
  in.lanes = a->lanes;
  in.lane = (int)a->ij->ref;
  const fv_kv j = fv_kb_add(kb, j0, jj);
  lw_bind(&in, a->ij->ref, j);
  in.count = fv_kb_sub(kb, a->visible_keys, j);
  const fv_kv d = fv_kb_for(kb, lw_i64(a, 0), lw_i64(a, a->head), 1);
  lw_bind(&in, a->id->ref, d);
  fv_kb_store(kb, a->s_k, lw_at2(a, d, a->keys, jj),
              fv_kb_splat(kb, lw_emit_expr(&in, a->kx), a->lanes), FV_K_NONE);
  fv_kb_end(kb);
  fv_kb_end(kb);
}

// Returns a bool: is every v of the tile finite?
static fv_kv load_keys(lw_att *a, const lw_emit *e, fv_kv j0, fv_kv count) {
  fv_kb *kb = a->k.kb;
  if (!a->one_row)
    turn_keys(a, e, j0, count);
  const int lanes = copy_lanes(a, a->v, a->v_head);
  const fv_kv finite = fv_kb_var(kb, fv_kb_const_f(kb, a->t, lanes, 0));
  lw_emit in = *e;
  const fv_kv seen = lw_op2(a, FV_X_MIN, fv_kb_sub(kb, a->visible_keys, j0), count);
  const fv_kv jj = fv_kb_for(kb, lw_i64(a, 0), seen, 1);
  lw_bind(&in, a->ij->ref, fv_kb_add(kb, j0, jj));
  if (a->one_row) {
    copy k = {.a = a,
              .x = a->kx,
              .scratch = a->s_k,
              .finite = FV_K_NONE,
              .base = fv_kb_mul(kb, jj, lw_i64(a, a->k_stride)),
              .factor = FV_K_NONE};
    copy_row(&k, &in, copy_lanes(a, a->kx, a->head), a->head);
    zero_rest(a, a->s_k, k.base);
  }
  copy v = {.a = a,
            .x = a->v,
            .scratch = a->s_v,
            .finite = finite,
            .base = fv_kb_mul(kb, jj, lw_i64(a, a->v_stride)),
            .factor = FV_K_NONE};
  copy_row(&v, &in, lanes, a->v_head);
  fv_kb_end(kb);
  fill_zero(a, a->s_v, fv_kb_mul(kb, seen, lw_i64(a, a->v_stride)),
            fv_kb_mul(kb, count, lw_i64(a, a->v_stride)));
  const fv_kv ok = lw_op2(a, FV_X_EQ, fv_kb_get(kb, finite), lw_num(a, 0));
  return lanes > 1 ? fv_kb_reduce(kb, FV_X_AND, ok) : ok;
}

//===-- The result ----------------------------------------------------------------===//

typedef struct put {
  lw_att *a;
  const fv_expr *offset;
  fv_kv row, l, empty;
} put;

static void put_body(void *user, lw_emit *e) {
  put *w = user;
  lw_att *a = w->a;
  fv_kb *kb = a->k.kb;
  const fv_kv at = lw_at2(a, w->row, a->v_stride, lw_index_value(e, a->id->ref));
  const fv_kv o = fv_kb_load(kb, a->s_o, at, e->lanes, FV_K_NONE);
  fv_kv y = lw_op2(a, FV_X_DIV, o, w->l);
  if (w->empty != FV_K_NONE)
    y = fv_kb_op(kb, FV_X_SELECT, w->empty, fv_kb_const_f(kb, a->t, e->lanes, 0), y);
  lw_emit_store(e, a->k.out_kbuf, w->offset, y);
}

static void write_rows(lw_att *a, lw_emit *e, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  fv_xpool *p = a->k.l->pool;
  const fv_expr *column = fv_x_add(p, fv_x_mul(p, a->ih, fv_x_i64(p, a->v_head)), a->id);
  const fv_expr *ix3[] = {a->ib, a->ii, column}, *ix4[] = {a->ib, a->ih, a->ii, a->id};
  lw_emit in = *e;
  const fv_kv i = fv_kb_for(kb, lo, hi, 1);
  lw_bind(&in, a->ii->ref, i);
  const fv_kv row = fv_kb_sub(kb, i, lo);
  const fv_kv l = fv_kb_load(kb, a->s_l, row, 1, FV_K_NONE);
  put w = {.a = a,
           .row = row,
           .l = l,
           .empty = FV_K_NONE,
           .offset = fv_type_offset(p, &a->k.out_type, a->k.out_type.rank == 4 ? ix4 : ix3)};
  if (fv_attr_str(a->n, "empty")[0] == 'z')
    w.empty = lw_op2(a, FV_X_EQ, l, lw_num(a, 0));
  const fv_expr *extent = fv_x_i64(p, a->v_head);
  lw_lane_loop(&in, lw_choose_lanes(&a->k, w.offset, a->t, extent), a->id->ref, lw_i64(a, 0),
               extent, FV_K_NONE, put_body, &w);
  fv_kb_end(kb);
}

//===-- The kernel ----------------------------------------------------------------===//

// Keys j0 to `end`, or as many as a tile holds.
static void key_tile(lw_att *a, const lw_emit *e, fv_kv j0, fv_kv end, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  // Whole panels of them: what is beyond is masked.
  const fv_kv panel = lw_i64(a, a->panel);
  fv_kv count = lw_op2(a, FV_X_MIN, fv_kb_sub(kb, end, j0), lw_i64(a, a->keys));
  count = fv_kb_add(kb, count, lw_i64(a, a->panel - 1));
  count = fv_kb_mul(kb, lw_op2(a, FV_X_FLOORDIV, count, panel), panel);
  const fv_kv finite = load_keys(a, e, j0, count);
  lw_att_tile(a, e, j0, count, finite, lo, hi);
}

// All tiles of keys from `first` to `end`. Those of one stretch need no totals.
static void key_stretches(lw_att *a, const lw_emit *e, fv_kv first, fv_kv end, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  const int64_t stretch = (int64_t)a->keys * STRETCH;
  const fv_kv rows = fv_kb_sub(kb, hi, lo);
  const fv_kv several = lw_op2(a, FV_X_LT, fv_kb_add(kb, first, lw_i64(a, stretch)), end);
  fv_kb_if(kb, several);
  clear_totals(a, rows);
  fv_kb_end(kb);
  const fv_kv s0 = fv_kb_for(kb, first, end, stretch);
  fv_kb_if(kb, lw_op2(a, FV_X_LT, first, s0));
  lw_att_join(a, rows, false);
  fv_kb_end(kb);
  const fv_kv s1 = lw_op2(a, FV_X_MIN, fv_kb_add(kb, s0, lw_i64(a, stretch)), end);
  const fv_kv j0 = fv_kb_for(kb, s0, s1, a->keys);
  key_tile(a, e, j0, s1, lo, hi);
  fv_kb_end(kb);
  fv_kb_end(kb);
  fv_kb_if(kb, several);
  lw_att_join(a, rows, true);
  fv_kb_end(kb);
}

static void emit(lw *l, const lw_group *g, bool one_row) {
  lw_att a = {0};
  setup(&a, l, g, one_row);
  fv_kb *kb = a.k.kb;
  fv_xpool *p = l->pool;
  const int64_t block = a.block;
  const fv_expr *blocks = lw_ceil_div(p, a.q_len, block);
  const fv_kv nb = lw_emit_host(&a.k, blocks);
  fv_kv at = fv_kb_block(kb);
  const fv_kv rb = lw_op2(&a, FV_X_MOD, at, nb);
  at = lw_op2(&a, FV_X_FLOORDIV, at, nb);
  lw_emit e;
  lw_emit_init(&e, &a.k, 1, -1);
  lw_bind(&e, a.ih->ref, lw_op2(&a, FV_X_MOD, at, lw_i64(&a, a.heads)));
  lw_bind(&e, a.ib->ref, lw_op2(&a, FV_X_FLOORDIV, at, lw_i64(&a, a.heads)));
  a.visible_keys = lw_op2(&a, FV_X_MIN, lw_emit_host(&a.k, a.valid), lw_emit_host(&a.k, a.k_len));
  if (a.lengths)
    a.visible_keys =
        lw_op2(&a, FV_X_MIN, a.visible_keys, fv_kb_cast(kb, FV_i64, lw_emit_expr(&e, a.lengths)));
  const fv_kv lo = fv_kb_mul(kb, rb, lw_i64(&a, block));
  const fv_kv hi =
      lw_op2(&a, FV_X_MIN, fv_kb_add(kb, lo, lw_i64(&a, block)), lw_emit_host(&a.k, a.q_len));
  load_queries(&a, &e, lo, hi);
  // Keys that some row of the block sees: the first row starts, the last ends.
  fv_kv first, end, unused;
  lw_att_key_range(&a, lo, &first, &unused);
  lw_att_key_range(&a, fv_kb_sub(kb, hi, lw_i64(&a, 1)), &unused, &end);
  const fv_kv tile = lw_i64(&a, a.keys);
  first = fv_kb_mul(kb, lw_op2(&a, FV_X_FLOORDIV, first, tile), tile);
  key_stretches(&a, &e, first, end, lo, hi);
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

static fv_status emit_either(lw *l, const lw_group *g) {
  fv_xpool *p = l->pool;
  lw_att a;
  shape_of(g->root, &a);
  const fv_expr *one = fv_x_i64(p, 1);
  const fv_truth t = fv_prove_le(p, a.q_len, one);
  const fv_expr *cond = t == FV_YES  ? fv_x_lit_i(p, FV_bool, 1)
                        : t == FV_NO ? fv_x_lit_i(p, FV_bool, 0)
                                     : fv_x_op(p, FV_X_LE, a.q_len, one, NULL);
  lw_either(l, cond, emit_one, emit_many, g);
  return FV_OK;
}

//===-- The family ----------------------------------------------------------------===//

static lw_why match(lw *l, const fv_node *n) {
  (void)l;
  lw_att a;
  return n->op == FV_OP_attention ? shape_of(n, &a) : lw_other_kind;
}

static bool composes(lw *l, const fv_node *n, int operand) {
  (void)l, (void)n, (void)operand;
  return true;
}

const lw_family lw_family_attention = {.name = "attention",
                                       .match = match,
                                       .takes_nothing = "attention reads its operands from memory",
                                       .composes = composes,
                                       .emit = emit_either};
