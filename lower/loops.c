// SPDX-License-Identifier: Apache-2.0
// Loop shapes that the schedule families share.
#include "lower/buffers.h"
#include "lower/emit.h"

//===-- Loop shapes -----------------------------------------------------------===//

void lw_add_loop(lw_loops *s, const fv_expr *index, const fv_expr *extent) {
  s->index[s->n] = index->ref;
  s->extent[s->n++] = extent;
}

static const fv_expr *subst_pair(lw *l, const fv_expr *x, uint32_t a, const fv_expr *by_a,
                                 uint32_t b, const fv_expr *by_b) {
  const uint32_t n = (a > b ? a : b) + 1;
  const fv_expr **sub = FV_NEW_N(l->arena, const fv_expr *, n);
  sub[a] = by_a;
  sub[b] = by_b;
  return fv_x_subst_index(l->pool, x, sub, n);
}

// May loops a (outer) and b run as one index of extent Ea * Eb? With x' = x at
// a = 0, they may if x' at b = a * Eb + b is x again: then x depends on a and b
// through that sum alone. Equal expressions are equal pointers.
static bool collapses(lw *l, const fv_expr *x, uint32_t a, uint32_t b, const fv_expr *eb) {
  if (!x)
    return true;
  fv_xpool *p = l->pool;
  const fv_expr *ia = fv_x_index(p, a), *ib = fv_x_index(p, b);
  const fv_expr *flat = subst_pair(l, x, a, fv_x_i64(p, 0), b, ib);
  const fv_expr *sum = fv_x_add(p, fv_x_mul(p, ia, eb), ib);
  return subst_pair(l, flat, a, ia, b, sum) == x;
}

void lw_collapse(lw *l, lw_loops *s, const fv_expr **x, int n_x) {
  fv_xpool *p = l->pool;
  for (int d = s->n - 2; d >= 0; d--) {
    bool ok = true;
    for (int i = 0; i < n_x && ok; i++)
      ok = collapses(l, x[i], s->index[d], s->index[d + 1], s->extent[d + 1]);
    if (!ok)
      continue;
    for (int i = 0; i < n_x; i++)
      if (x[i])
        x[i] = subst_pair(l, x[i], s->index[d], fv_x_i64(p, 0), s->index[d + 1],
                          fv_x_index(p, s->index[d + 1]));
    s->extent[d + 1] = fv_x_mul(p, s->extent[d], s->extent[d + 1]);
    for (int i = d; i + 1 < s->n; i++) {
      s->index[i] = s->index[i + 1];
      s->extent[i] = s->extent[i + 1];
    }
    s->n--;
  }
}

// Does some load of x move by one element with index i, and none by more?
typedef struct stride_cx {
  lw_kernel *k;
  uint32_t index;
  int unit, other;
} stride_cx;

static void look_stride(void *user, const fv_expr *e) {
  stride_cx *c = user;
  int64_t step;
  if (!lw_is_operand(e) || !fv_x_uses_index(c->k->l->pool, e->arg[0], c->index))
    return;
  if (lw_step(c->k->l, e->arg[0], c->index, &step) && step == 1)
    c->unit++;
  else
    c->other++;
}

bool lw_runs_along(lw_kernel *k, const fv_expr *x, uint32_t index) {
  stride_cx c = {.k = k, .index = index};
  lw_each_load(k->l, x, look_stride, &c);
  return c.unit > 0;
}

// Lanes such that the widest element of the expression fills a vector.
typedef struct width_cx {
  lw_kernel *k;
  int size;
} width_cx;

static void look_width(void *user, const fv_expr *e) {
  width_cx *c = user;
  if (!lw_is_operand(e))
    return;
  const int s = fv_dtype_size(fv_dtype_compute((fv_dtype)e->dtype));
  c->size = s > c->size ? s : c->size;
}

int lw_choose_lanes(lw_kernel *k, const fv_expr *x, fv_dtype t, const fv_expr *extent) {
  width_cx c = {.k = k, .size = fv_dtype_size(fv_dtype_compute(t))};
  lw_each_load(k->l, x, look_width, &c);
  int lanes = (int)(k->l->target->vector_bits / 8) / (c.size < 4 ? 4 : c.size);
  int64_t e;
  if (fv_x_is_lit(extent, &e))
    while (lanes > 1 && lanes > e)
      lanes /= 2;
  return lanes < 1 ? 1 : lanes > 16 ? 16 : lanes;
}

//===-- Loops over lanes --------------------------------------------------------===//

int64_t lw_sharers(const lw_emit *e) {
  return e->together ? fv_kb_items(e->k->kb) : 1;
}

fv_kv lw_for(lw_emit *e, fv_kv lo, fv_kv hi, int64_t step) {
  fv_kb *kb = e->k->kb;
  const int64_t all = step * lw_sharers(e);
  if (e->together)
    lo = fv_kb_add(kb, lo, fv_kb_mul(kb, fv_kb_item(kb), fv_kb_i64(kb, step)));
  e->together = false;
  return fv_kb_for(kb, lo, hi, all);
}

static fv_kv is_first(fv_kb *kb) {
  return fv_kb_op(kb, FV_X_EQ, fv_kb_item(kb), fv_kb_i64(kb, 0), FV_K_NONE);
}

lw_once lw_begin_once(const lw_emit *e) {
  lw_once o = {.e = *e, .open = e->together};
  if (o.open) {
    fv_kb_if(e->k->kb, is_first(e->k->kb));
    lw_emit_move(&o.e);
    o.e.together = false;
  }
  return o;
}

void lw_end_once(lw_once *o) {
  if (o->open)
    fv_kb_end(o->e.k->kb);
}

void lw_lane_loop(const lw_emit *at, int lanes, uint32_t index, fv_kv lo, const fv_expr *extent,
                  fv_kv hi, lw_lane_body body, void *user) {
  fv_kb *kb = at->k->kb;
  lw_emit e = *at;
  int64_t whole;
  const bool known = fv_x_is_lit(extent, &whole) && hi == FV_K_NONE;
  e.lanes = lanes;
  e.lane = lanes > 1 ? (int)index : -1;
  if (hi == FV_K_NONE)
    hi = lw_emit_host(at->k, extent);
  const fv_kv span = fv_kb_sub(kb, hi, lo);
  const fv_kv step = fv_kb_i64(kb, lanes);
  const fv_kv full =
      fv_kb_add(kb, lo, fv_kb_mul(kb, fv_kb_op(kb, FV_X_FLOORDIV, span, step, FV_K_NONE), step));
  lw_bind(&e, index, lw_for(&e, lo, full, lanes));
  body(user, &e);
  fv_kb_end(kb);
  if (lanes == 1 || (known && whole % lanes == 0))
    return;
  fv_kv rest = fv_kb_op(kb, FV_X_LT, full, hi, FV_K_NONE);
  if (at->together)
    rest = fv_kb_op(kb, FV_X_AND, rest, is_first(kb), FV_K_NONE);
  fv_kb_if(kb, rest);
  lw_bind(&e, index, full);
  e.count = fv_kb_sub(kb, hi, full);
  body(user, &e);
  fv_kb_end(kb);
}

void lw_decode_row(lw_emit *e, const lw_loops *s, fv_kv row) {
  fv_kb *kb = e->k->kb;
  for (int i = s->n - 1; i >= 0; i--) {
    const fv_kv extent = lw_emit_host(e->k, s->extent[i]);
    lw_bind(e, s->index[i], i == 0 ? row : fv_kb_op(kb, FV_X_MOD, row, extent, FV_K_NONE));
    if (i > 0)
      row = fv_kb_op(kb, FV_X_FLOORDIV, row, extent, FV_K_NONE);
  }
}

const fv_expr *lw_points(fv_xpool *p, const lw_loops *s) {
  const fv_expr *x = fv_x_i64(p, 1);
  for (int i = 0; i < s->n; i++)
    x = fv_x_mul(p, x, s->extent[i]);
  return x;
}

//===-- Blocks --------------------------------------------------------------------===//

enum {
  BLOCK_POINTS = 8192,
  LIKELY_POINTS = 1024,  // where only the run knows, within what is possible
};

int64_t lw_steps_of_block(fv_range points) {
  int64_t n = points.lo > LIKELY_POINTS ? points.lo : LIKELY_POINTS;
  n = n < points.hi ? n : points.hi;
  return n < 1 ? BLOCK_POINTS : n < BLOCK_POINTS ? BLOCK_POINTS / n : 1;
}

const fv_expr *lw_blocks(lw_kernel *k, const lw_loops *rows, const fv_expr *columns, int64_t step,
                         lw_block_body body, void *user) {
  fv_kb *kb = k->kb;
  fv_xpool *p = k->l->pool;
  const fv_expr *n_row = lw_points(p, rows);
  const fv_expr *across = columns ? lw_ceil_div(p, columns, step) : NULL;
  const fv_kv block = fv_kb_block(kb), width = fv_kb_i64(kb, step);
  const fv_expr *cut = columns ? columns : n_row;
  fv_kv chunk = block;
  lw_emit e;
  lw_emit_init(&e, k, 1, -1);
  if (columns) {
    const fv_kv n = lw_emit_host(k, across);
    chunk = fv_kb_op(kb, FV_X_MOD, block, n, FV_K_NONE);
    lw_decode_row(&e, rows, fv_kb_op(kb, FV_X_FLOORDIV, block, n, FV_K_NONE));
  }
  const fv_kv lo = fv_kb_mul(kb, chunk, width);
  const fv_kv hi =
      fv_kb_op(kb, FV_X_MIN, fv_kb_add(kb, lo, width), lw_emit_host(k, cut), FV_K_NONE);
  if (columns) {
    body(user, &e, lo, hi);
    return fv_x_mul(p, n_row, across);
  }
  lw_decode_row(&e, rows, fv_kb_for(kb, lo, hi, 1));
  body(user, &e, FV_K_NONE, FV_K_NONE);
  fv_kb_end(kb);
  return lw_ceil_div(p, n_row, step);
}
