// SPDX-License-Identifier: Apache-2.0
// The register tile of a contraction: R rows x P panels. Each element of the result
// is one chain of mads over k in order, so its bits depend on no size of a block.
#include "lower/contraction_tile.h"

#include "lower/copy.h"

// Offset in b of panel `panel` at k = 0, for the outer indices at hand.
static fv_kv b_offset(lw_tile *c, lw_emit *e, fv_kv panel) {
  fv_xpool *p = c->k.l->pool;
  fv_kb *kb = c->k.kb;
  const fv_expr *ix[FV_MAX_RANK];
  for (int i = 0; i < c->b_type.rank; i++) {
    ix[i] = c->b_index[i];
    if (i == c->shape.col_axis || lw_axis_loop(c->shape.b, i) >= c->g->anchor->meaning->nest.n_par)
      ix[i] = fv_x_i64(p, 0);
  }
  lw_emit at = *e;
  lw_emit_move(&at);  // e's point outlives the loop we are in
  const fv_kv base = lw_emit_exact(&at, fv_type_offset(p, &c->b_type, ix));
  const fv_kv stride = lw_emit_host(&c->k, fv_x_mul(p, c->k_extent, fv_x_i64(p, LW_PANEL)));
  return fv_kb_add(kb, base, fv_kb_mul(kb, panel, stride));
}

//===-- Packing the rows of a -----------------------------------------------------===//

// Cuts k into blocks of whole points of its outer loops where one block is too much:
// the inner loops must have a known length.
void lw_plan_pack(lw_tile *c) {
  fv_xpool *p = c->k.l->pool;
  lw_pack *w = &c->pack;
  *w = (lw_pack){.red = c->red, .a = c->a, .flat = fv_x_i64(p, 0), .unit = 1};
  for (int i = 0; i < c->red.n; i++)
    w->flat = fv_x_add(p, fv_x_mul(p, w->flat, c->red.extent[i]), fv_x_index(p, c->red.index[i]));
  const fv_expr *x[] = {w->a, w->flat};
  lw_collapse(c->k.l, &w->red, x, 2);
  w->a = x[0], w->flat = x[1];
  int64_t k, inner;
  if (fv_x_is_lit(c->k_extent, &k) && k <= c->size.kc)
    return;
  w->n_outer = w->red.n;
  while (w->n_outer > 1 && fv_x_is_lit(w->red.extent[w->n_outer - 1], &inner) && inner > 0 &&
         (w->n_outer == w->red.n || inner <= c->size.kc / w->unit)) {
    w->unit *= inner;
    w->n_outer--;
  }
  if (w->n_outer == w->red.n && w->red.n > 1)
    return;
  w->units = w->unit < c->size.kc ? c->size.kc / w->unit : 1;
}

// Where a row of the block begins in scratch, less the steps before this block's.
static fv_kv packed_row(lw_tile *c, fv_kv row) {
  fv_kb *kb = c->k.kb;
  const fv_kv at = fv_kb_mul(kb, row, lw_emit_host(&c->k, c->a_stride));
  return c->pack.units ? fv_kb_sub(kb, at, c->at.k_lo) : at;
}

typedef struct pack_row {
  lw_tile *c;
  fv_kv base;
} pack_row;

static void pack_body(void *user, lw_emit *e) {
  pack_row *w = user;
  fv_kb *kb = e->k->kb;
  lw_emit s = lw_scalar_of(e);
  const fv_kv at = fv_kb_add(kb, w->base, lw_emit_exact(&s, w->c->pack.flat));
  const fv_kv v = fv_kb_splat(kb, fv_kb_cast(kb, w->c->t, lw_emit_expr(e, w->c->pack.a)), e->lanes);
  fv_kb_store(kb, w->c->a_scratch, at, v, e->lanes > 1 ? e->count : FV_K_NONE);
}

void lw_pack_rows(lw_tile *c, lw_emit *e) {
  fv_kb *kb = c->k.kb;
  const lw_pack *w = &c->pack;
  lw_emit in = *e;
  const fv_kv row = fv_kb_for(kb, c->at.row_lo, c->at.row_hi, 1);
  lw_emit_move(&in);
  if (c->rows.n)
    lw_bind(&in, c->rows.index[0], row);
  pack_row to = {c, packed_row(c, fv_kb_sub(kb, row, c->at.row_lo))};
  const int last = w->red.n - 1;
  fv_kv lo = fv_kb_i64(kb, 0), hi = FV_K_NONE;
  int opened = 0, i = 0;
  if (w->units && last > 0) {
    lw_loops outer = w->red;
    outer.n = i = w->n_outer;
    lw_decode_row(&in, &outer, fv_kb_for(kb, c->at.unit_lo, c->at.unit_hi, 1));
    opened++;
  } else if (w->units) {
    lo = c->at.k_lo, hi = c->at.k_hi;
  }
  for (; i < last; i++, opened++)
    lw_bind(&in, w->red.index[i], fv_kb_for(kb, lo, lw_emit_host(&c->k, w->red.extent[i]), 1));
  int lanes = lw_choose_lanes(&c->k, w->a, c->t, w->red.extent[last]);
  if (!lw_runs_along(&c->k, w->a, w->red.index[last]))
    lanes = 1;
  lw_lane_loop(&in, lanes, w->red.index[last], lo, w->red.extent[last], hi, pack_body, &to);
  for (; opened >= 0; opened--)
    fv_kb_end(kb);
}

//===-- The register tile ---------------------------------------------------------===//

// One step of k for a tile: loads P panels of b, then for each row one splat.
typedef struct micro {
  lw_tile *c;
  int rows;
  int width;      // vectors of a row
  fv_kv *acc;     // rows x width VARs
  fv_kv *b_base;  // of each panel
  fv_kv *panel;   // which they are
  fv_kv *a_base;  // of each packed row; NULL: a is emitted in place
  fv_kv *b;       // width vectors of b, of the step at hand
  lw_emit *at;    // of the tile
  bool direct;
  fv_kv next;
} micro;

// Puts the emitter on the lanes of a panel from `column` on.
static void at_columns(lw_tile *c, lw_emit *e, fv_kv panel, fv_kv column) {
  fv_kb *kb = c->k.kb;
  int64_t columns;
  e->lanes = c->lanes;
  e->lane = (int)c->column;
  lw_bind(e, c->panel, panel);
  lw_bind(e, c->column, column);
  if (fv_x_is_lit(c->col_extent, &columns) && columns % (c->panels * LW_PANEL) == 0)
    return;
  const fv_kv col = fv_kb_add(kb, fv_kb_mul(kb, panel, fv_kb_i64(kb, LW_PANEL)), column);
  e->count = fv_kb_sub(kb, lw_emit_host(&c->k, c->col_extent), col);
}

// The factor of the columns, given what the panel holds.
static fv_kv b_factor(micro *u, int panel, int vector, fv_kv element) {
  lw_tile *c = u->c;
  if (c->b->kind == FV_E_LOAD)
    return element;
  lw_emit e = *u->at;
  at_columns(c, &e, u->panel[panel], fv_kb_i64(c->k.kb, (int64_t)vector * c->lanes));
  e.bound = element;
  return fv_kb_splat(c->k.kb, lw_emit_expr(&e, c->b), c->lanes);
}

static fv_kv a_element(micro *u, int row, fv_kv kk) {
  lw_tile *c = u->c;
  fv_kb *kb = c->k.kb;
  if (u->a_base)
    return fv_kb_load(kb, c->a_scratch, fv_kb_add(kb, u->a_base[row], kk), 1, FV_K_NONE);
  lw_emit e = *u->at;
  lw_bind(&e, c->red.index[0], kk);
  return lw_emit_expr(&e, c->a);
}

static void micro_step(micro *u, fv_kv kk) {
  lw_tile *c = u->c;
  fv_kb *kb = c->k.kb;
  int n = 0;
  const int kbuf = c->k.operand[c->b_operand].kbuf;
  const fv_kv at = fv_kb_mul(kb, kk, fv_kb_i64(kb, LW_PANEL));
  for (int q = 0; q < c->panels; q++)
    for (int v = 0; v < c->per_panel; v++) {
      const fv_kv off = fv_kb_add(kb, fv_kb_add(kb, u->b_base[q], at), fv_kb_i64(kb, v * c->lanes));
      const fv_kv element = fv_kb_load(kb, kbuf, off, c->lanes, FV_K_NONE);
      if (v == 0 && !u->direct)
        fv_kb_prefetch(kb, kbuf, fv_kb_add(kb, off, u->next));
      u->b[n++] = b_factor(u, q, v, fv_kb_cast(kb, fv_dtype_compute(c->b_type.dtype), element));
    }
  for (int r = 0; r < u->rows; r++) {
    const fv_kv a = fv_kb_splat(kb, fv_kb_cast(kb, c->t, a_element(u, r, kk)), c->lanes);
    for (int j = 0; j < n; j++) {
      const fv_kv acc = u->acc[r * n + j];
      fv_kb_set(kb, acc, fv_kb_mad(kb, a, u->b[j], fv_kb_get(kb, acc)));
    }
  }
}

static void micro_loop(micro *u) {
  lw_tile *c = u->c;
  fv_kb *kb = c->k.kb;
  const fv_kv lo = c->at.k_lo, hi = c->at.k_hi;
  const fv_kv step = fv_kb_i64(kb, c->size.kr), n = fv_kb_sub(kb, hi, lo);
  const fv_kv whole = fv_kb_mul(kb, fv_kb_op(kb, FV_X_FLOORDIV, n, step, FV_K_NONE), step);
  const fv_kv full = fv_kb_add(kb, lo, whole);
  const fv_kv kk = fv_kb_for(kb, lo, full, c->size.kr);
  for (int i = 0; i < c->size.kr; i++)
    micro_step(u, fv_kb_add(kb, kk, fv_kb_i64(kb, i)));
  fv_kb_end(kb);
  int64_t k;
  if (fv_x_is_lit(c->k_extent, &k) && k % c->size.kr == 0 &&
      c->pack.units * c->pack.unit % c->size.kr == 0)
    return;
  const fv_kv rest = fv_kb_for(kb, full, hi, 1);
  micro_step(u, rest);
  fv_kb_end(kb);
}

static fv_kv zero_of(lw_tile *c) {
  return fv_dtype_is_float(c->t) ? fv_kb_const_f(c->k.kb, c->t, c->lanes, 0)
                                 : fv_kb_const_i(c->k.kb, c->t, c->lanes, 0);
}

// Where the sums of a tile wait, from its first row in the block on.
static fv_kv sums_of(const lw_tile *c, fv_kv group, fv_kv row) {
  fv_kb *kb = c->k.kb;
  const fv_kv g = fv_kb_sub(kb, group, c->at.group_lo);
  const fv_kv line = fv_kb_add(kb, fv_kb_mul(kb, g, fv_kb_i64(kb, c->at.rows)), row);
  return fv_kb_mul(kb, line, fv_kb_i64(kb, (int64_t)c->panels * LW_PANEL));
}

// The sums of a tile in scratch: from `base`, a row after the other.
static fv_kv sum_at(const micro *u, fv_kv base, int row, int vector) {
  fv_kb *kb = u->c->k.kb;
  return fv_kb_add(kb, base, fv_kb_i64(kb, (row * u->width + vector) * u->c->lanes));
}

// They begin with zero, or where the block of k before this one left them.
static void begin_sums(lw_tile *c, micro *u, fv_kv base) {
  fv_kb *kb = c->k.kb;
  for (int i = 0; i < u->rows * u->width; i++)
    u->acc[i] = fv_kb_var(kb, zero_of(c));
  if (!c->pack.units)
    return;
  fv_kb_if(kb, fv_kb_op(kb, FV_X_LT, fv_kb_i64(kb, 0), c->at.k_lo, FV_K_NONE));
  for (int r = 0; r < u->rows; r++)
    for (int j = 0; j < u->width; j++)
      fv_kb_set(kb, u->acc[r * u->width + j],
                fv_kb_load(kb, c->c_scratch, sum_at(u, base, r, j), c->lanes, FV_K_NONE));
  fv_kb_end(kb);
}

// The sums go through scratch to the epilogue, row by row.
static void epilogue(lw_tile *c, lw_emit *e, micro *u, fv_kv base, fv_kv row0, fv_kv panel0) {
  fv_kb *kb = c->k.kb;
  const int width = c->panels * LW_PANEL, n = u->width;
  const fv_kv left = fv_kb_sub(kb, c->at.row_hi, row0);
  const fv_kv rows = fv_kb_op(kb, FV_X_MIN, fv_kb_i64(kb, u->rows), left, FV_K_NONE);
  const fv_kv r = fv_kb_for(kb, fv_kb_i64(kb, 0), rows, 1);
  const fv_kv row = fv_kb_add(kb, base, fv_kb_mul(kb, r, fv_kb_i64(kb, width)));
  for (int j = 0; j < n; j++) {
    lw_emit in = *e;
    if (c->rows.n)
      lw_bind(&in, c->rows.index[0], fv_kb_add(kb, row0, r));
    const fv_kv panel = fv_kb_add(kb, panel0, fv_kb_i64(kb, j / c->per_panel));
    const fv_kv column = fv_kb_i64(kb, j % c->per_panel * c->lanes);
    at_columns(c, &in, panel, column);
    in.bound = fv_kb_load(kb, c->c_scratch, sum_at(u, row, 0, j), c->lanes, FV_K_NONE);
    lw_emit_store(&in, c->k.out_kbuf, c->offset, lw_emit_expr(&in, c->value));
  }
  fv_kb_end(kb);
}

static void end_sums(lw_tile *c, lw_emit *e, micro *u, fv_kv base, fv_kv row0, fv_kv panel0) {
  fv_kb *kb = c->k.kb;
  for (int r = 0; r < u->rows; r++)
    for (int j = 0; j < u->width; j++)
      fv_kb_store(kb, c->c_scratch, sum_at(u, base, r, j), fv_kb_get(kb, u->acc[r * u->width + j]),
                  FV_K_NONE);
  if (c->pack.units)
    fv_kb_if(kb, fv_kb_op(kb, FV_X_LE, lw_emit_host(&c->k, c->k_extent), c->at.k_hi, FV_K_NONE));
  epilogue(c, e, u, base, row0, panel0);
  if (c->pack.units)
    fv_kb_end(kb);
}

// One tile of `rows` rows from row0, by a group of panels.
void lw_emit_tile(lw_tile *c, lw_emit *e, int rows, fv_kv row0, fv_kv group, bool direct) {
  fv_kb *kb = c->k.kb;
  fv_arena *ar = c->k.l->arena;
  const int n = c->panels * c->per_panel;
  micro u = {.c = c,
             .rows = rows,
             .width = n,
             .at = e,
             .acc = FV_NEW_N(ar, fv_kv, rows * n),
             .b_base = FV_NEW_N(ar, fv_kv, c->panels),
             .panel = FV_NEW_N(ar, fv_kv, c->panels),
             .a_base = direct ? NULL : FV_NEW_N(ar, fv_kv, rows),
             .b = FV_NEW_N(ar, fv_kv, n)};
  const fv_kv n_panels = lw_emit_host(&c->k, lw_ceil_div(c->k.l->pool, c->col_extent, LW_PANEL));
  const fv_kv last = fv_kb_sub(kb, n_panels, fv_kb_i64(kb, 1));
  const fv_kv first = fv_kb_mul(kb, group, fv_kb_i64(kb, c->panels));
  for (int q = 0; q < c->panels; q++) {
    // A group may reach past the last panel: it reads that one again and the
    // masked stores drop the copy.
    const fv_kv panel = fv_kb_add(kb, first, fv_kb_i64(kb, q));
    u.panel[q] = fv_kb_op(kb, FV_X_MIN, panel, last, FV_K_NONE);
    u.b_base[q] = b_offset(c, e, u.panel[q]);
  }
  u.direct = direct;
  u.next =
      fv_kb_mul(kb, lw_emit_host(&c->k, c->k_extent), fv_kb_i64(kb, (int64_t)LW_PANEL * c->panels));
  const fv_kv row = fv_kb_sub(kb, row0, c->at.row_lo);
  for (int r = 0; !direct && r < rows; r++)
    u.a_base[r] = packed_row(c, fv_kb_add(kb, row, fv_kb_i64(kb, r)));
  const fv_kv base = c->pack.units ? sums_of(c, group, row) : fv_kb_i64(kb, 0);
  begin_sums(c, &u, base);
  micro_loop(&u);
  end_sums(c, e, &u, base, row0, first);
}
