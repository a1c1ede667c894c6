// SPDX-License-Identifier: Apache-2.0
// The family contraction: sums of products, matmul and convolution alike.
//
// One operand (b, the weights) is read by columns, from panels of 16 columns:
// [outer axes][column / 16][reduced axes][column % 16]. The other (a) is any
// expression; its rows are copied once a block into scratch, so padding and
// strides of a convolution (implicit im2col) cost nothing in the inner loop.
// A register tile holds R rows x P panels; each element of the result is one
// chain of mads over k in order, so its bits do not depend on the tile.
#include <string.h>

#include "lower/blocking.h"
#include "lower/contraction.h"
#include "lower/copy.h"
#include "lower/emit.h"

enum { PANEL = LW_PANEL };

//===-- The kernel ----------------------------------------------------------------===//

typedef struct tile {
  lw_kernel k;
  const lw_group *g;
  lw_contraction shape;
  lw_loops outer, rows, red;  // grid; rows (at most one loop); reduced
  uint32_t panel, column;     // indices: the columns are panel * PANEL + column
  const fv_expr *col_extent, *row_extent, *k_extent;
  const fv_expr *a;               // over operands
  const fv_expr *b;               // over operands and an element of the panels, LW_BOUND
  const fv_expr *value, *offset;  // of the root, LW_BOUND without arguments
  int last_red;                   // reduced index that runs in blocks, innermost; or -1
  fv_dtype t;                     // compute type
  fv_type b_type;
  int b_operand;
  const fv_expr *b_index[FV_MAX_RANK];
  int lanes, per_panel;  // vectors of a panel
  lw_blocking size;
  int panels, max_rows;  // of the register tile
  int a_scratch, c_scratch;
  const fv_expr *a_stride;  // elements of a row in scratch
} tile;

// Order of the reduced indices: as the nest has them, but the one along which a
// lies in blocks last. Returns its number, or -1.
static int blocked_red(lw *l, const lw_group *g, const lw_contraction *shape) {
  const fv_nest *t = &g->anchor->meaning->nest;
  for (int r = t->n_par; t->n_red > 1 && r < t->n_par + t->n_red; r++) {
    lw_kernel k;
    int64_t extent;
    const fv_expr *index[FV_MAX_LOOPS], *block, *lane = NULL;
    if (!fv_x_is_lit(t->extent[r], &extent) || extent % LW_PANEL != 0)
      continue;
    lw_kernel_begin(&k, l, g, true);
    for (int i = 0; i < t->n_par + t->n_red; i++)
      index[i] = i == r ? lw_split_index(&k, t->extent[i], LW_PANEL, &block, &lane)
                        : lw_new_index(&k, t->extent[i]);
    const fv_expr *a = lw_simplify(&k, lw_inline(&k, g->anchor, shape->a, index));
    if (lw_runs_along(&k, a, lane->ref))
      return r;
  }
  return -1;
}

// The column axis in panels; outer axes first, then panels, then reduced axes.
static fv_layout panel_layout(const tile *c, const fv_node *anchor) {
  const fv_expr *b = c->shape.b;
  const int n_par = anchor->meaning->nest.n_par, n_red = anchor->meaning->nest.n_red;
  fv_layout y = {0};
  for (int i = 0; i < b->n; i++)
    if ((int)b->arg[i]->ref < n_par && i != c->shape.col_axis)
      y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)i};
  y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)c->shape.col_axis, .block = PANEL};
  for (int k = 0; k <= n_red; k++) {
    const int r = k < n_red ? n_par + k : c->last_red;
    for (int i = 0; i < b->n; i++)
      if ((int)b->arg[i]->ref == r && (k == n_red || r != c->last_red))
        y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)i};
  }
  y.piece[y.n++] =
      (fv_layout_piece){.axis = (uint8_t)c->shape.col_axis, .inner = 1, .block = PANEL};
  return y;
}

static const fv_expr *bind_leaf(void *user, const fv_expr *e) {
  return e->kind == FV_E_LOAD && e->ref == LW_BOUND ? user : e;
}

// Sorts the parallel indices: the column; rows (a sees them, b does not; the
// innermost run that collapses); the rest are the grid's.
static void shape_loops(tile *c, const fv_expr *const *index) {
  fv_xpool *p = c->k.l->pool;
  const fv_node *n = c->g->anchor;
  const fv_nest *t = &n->meaning->nest;
  lw_loops m = {0};
  for (int i = 0; i < t->n_par; i++) {
    if (i == c->shape.col)
      continue;
    if (fv_x_uses_index(c->k.l->pool, c->shape.a, (uint32_t)i) &&
        !fv_x_uses_index(c->k.l->pool, c->shape.b, (uint32_t)i))
      lw_add_loop(&m, index[i], t->extent[i]);
    else
      lw_add_loop(&c->outer, index[i], t->extent[i]);
  }
  const fv_expr *x[] = {c->a, c->value, c->offset};
  lw_collapse(c->k.l, &m, x, 3);
  c->a = x[0], c->value = x[1], c->offset = x[2];
  for (int i = 0; i + 1 < m.n; i++) {
    c->outer.index[c->outer.n] = m.index[i];
    c->outer.extent[c->outer.n++] = m.extent[i];
  }
  if (m.n) {
    c->rows.n = 1;
    c->rows.index[0] = m.index[m.n - 1];
    c->rows.extent[0] = m.extent[m.n - 1];
  }
  c->row_extent = m.n ? m.extent[m.n - 1] : fv_x_i64(p, 1);
}

// The panels of b; packing may launch a kernel of its own.
static uint32_t pack_b(tile *c, lw *l, const lw_group *g) {
  memset(c, 0, sizeof *c);
  c->g = g;
  lw_match_contraction(l, g->anchor, &c->shape);
  c->last_red = blocked_red(l, g, &c->shape);
  const fv_layout layout = panel_layout(c, g->anchor);
  return lw_packed_buffer(l, g->anchor->in[c->shape.b_operand], &layout, &c->b_type);
}

static void setup(tile *c, lw *l, const lw_group *g) {
  fv_xpool *p = l->pool;
  const uint32_t b_buffer = pack_b(c, l, g);
  const fv_node *n = g->anchor;
  const fv_nest *t = &n->meaning->nest;
  const fv_value *b = n->in[c->shape.b_operand];
  lw_kernel_begin(&c->k, l, g, false);
  c->k.bound = n;
  const fv_expr *index[FV_MAX_LOOPS];
  const fv_expr *panel, *column, *block = NULL, *lane = NULL;
  for (int i = 0; i < t->n_par + t->n_red; i++)
    index[i] = i == c->shape.col  ? lw_split_index(&c->k, t->extent[i], PANEL, &panel, &column)
               : i == c->last_red ? lw_split_index(&c->k, t->extent[i], LW_PANEL, &block, &lane)
                                  : lw_new_index(&c->k, t->extent[i]);
  c->panel = panel->ref;
  c->column = column->ref;
  c->b_operand = lw_operand_of(&c->k, b, b_buffer, &c->b_type);
  for (int i = 0; i < c->shape.b->n; i++)
    c->b_index[i] = index[c->shape.b->arg[i]->ref];
  c->a = lw_inline(&c->k, n, c->shape.a, index);
  const fv_expr *element = fv_x_load(p, (fv_dtype)c->shape.b->dtype, LW_BOUND, 0, NULL);
  c->b = lw_simplify(&c->k, lw_inline_over(&c->k, n, c->shape.factor, index, element));
  c->t = fv_dtype_compute((fv_dtype)t->value->dtype);
  const fv_expr *acc = fv_x_load(p, (fv_dtype)t->value->dtype, LW_BOUND, 0, NULL);
  const fv_expr *result = lw_nest_post(&c->k, n, index, acc);
  c->value = result;
  if (g->root != n)
    c->value =
        fv_x_rewrite(p, lw_nest_value(&c->k, g->root, index), bind_leaf, (void *)(uintptr_t)result);
  c->offset = lw_simplify(&c->k, fv_type_offset(p, &c->k.out_type, index));
  c->value = lw_simplify(&c->k, c->value);
  c->col_extent = t->extent[c->shape.col];
  for (int i = t->n_par; i < t->n_par + t->n_red; i++)
    if (i != c->last_red)
      lw_add_loop(&c->red, index[i], t->extent[i]);
  if (c->last_red >= 0) {
    lw_add_loop(&c->red, block, c->k.extent[block->ref]);
    lw_add_loop(&c->red, lane, c->k.extent[lane->ref]);
  }
  c->a = lw_simplify(&c->k, c->a);
  c->k_extent = lw_points(p, &c->red);
  shape_loops(c, index);
}

static void choose_tile(tile *c, lw_product product) {
  int64_t k = -1, columns = -1;
  fv_x_is_lit(c->k_extent, &k);
  fv_x_is_lit(c->col_extent, &columns);
  c->size = lw_blocking_of(c->k.l, product, c->t, k, columns);
  c->lanes = c->size.lanes;
  c->per_panel = PANEL / c->lanes;
  c->panels = c->size.nr / PANEL;
  c->max_rows = c->size.mr;
}

// Offset in b of panel `panel` at k = 0, for the outer indices at hand.
static fv_kv b_offset(tile *c, lw_emit *e, fv_kv panel) {
  fv_xpool *p = c->k.l->pool;
  fv_kb *kb = c->k.kb;
  const fv_expr *ix[FV_MAX_RANK];
  for (int i = 0; i < c->b_type.rank; i++) {
    ix[i] = c->b_index[i];
    if (i == c->shape.col_axis || (int)c->shape.b->arg[i]->ref >= c->g->anchor->meaning->nest.n_par)
      ix[i] = fv_x_i64(p, 0);
  }
  lw_emit at = *e;
  lw_emit_move(&at);  // e's place outlives the loop we are in
  const fv_kv base = lw_emit_expr(&at, fv_type_offset(p, &c->b_type, ix));
  const fv_kv stride = lw_emit_host(&c->k, fv_x_mul(p, c->k_extent, fv_x_i64(p, PANEL)));
  return fv_kb_add(kb, base, fv_kb_mul(kb, panel, stride));
}

// One step of k for a tile: loads P panels of b, then for each row one splat.
typedef struct micro {
  tile *c;
  int rows;
  int width;      // vectors of a row
  fv_kv *acc;     // rows x width VARs
  fv_kv *b_base;  // of each panel
  fv_kv *panel;   // which they are
  fv_kv *a_base;  // of each packed row; NULL: a is emitted in place
  fv_kv *b;       // width vectors of b, of the step at hand
  lw_emit *at;    // of the tile
} micro;

// Puts the emitter on the lanes of a panel from `column` on.
static void at_columns(tile *c, lw_emit *e, fv_kv panel, fv_kv column) {
  fv_kb *kb = c->k.kb;
  int64_t columns;
  e->lanes = c->lanes;
  e->lane = (int)c->column;
  lw_bind(e, c->panel, panel);
  lw_bind(e, c->column, column);
  if (fv_x_is_lit(c->col_extent, &columns) && columns % (c->panels * PANEL) == 0)
    return;
  const fv_kv col = fv_kb_add(kb, fv_kb_mul(kb, panel, fv_kb_i64(kb, PANEL)), column);
  e->count = fv_kb_sub(kb, lw_emit_host(&c->k, c->col_extent), col);
}

// The factor of the columns, given what the panel holds.
static fv_kv b_factor(micro *u, int panel, int vector, fv_kv element) {
  tile *c = u->c;
  if (c->b->kind == FV_E_LOAD)
    return element;
  lw_emit e = *u->at;
  at_columns(c, &e, u->panel[panel], fv_kb_i64(c->k.kb, (int64_t)vector * c->lanes));
  e.bound = element;
  return fv_kb_splat(c->k.kb, lw_emit_expr(&e, c->b), c->lanes);
}

static fv_kv a_element(micro *u, int row, fv_kv kk) {
  tile *c = u->c;
  fv_kb *kb = c->k.kb;
  if (u->a_base)
    return fv_kb_load(kb, c->a_scratch, fv_kb_add(kb, u->a_base[row], kk), 1, FV_K_NONE);
  lw_emit e = *u->at;
  lw_bind(&e, c->red.index[0], kk);
  return lw_emit_expr(&e, c->a);
}

static void micro_step(micro *u, fv_kv kk) {
  tile *c = u->c;
  fv_kb *kb = c->k.kb;
  int n = 0;
  const int kbuf = c->k.operand[c->b_operand].kbuf;
  const fv_kv at = fv_kb_mul(kb, kk, fv_kb_i64(kb, PANEL));
  for (int q = 0; q < c->panels; q++)
    for (int v = 0; v < c->per_panel; v++) {
      const fv_kv off = fv_kb_add(kb, fv_kb_add(kb, u->b_base[q], at), fv_kb_i64(kb, v * c->lanes));
      const fv_kv element = fv_kb_load(kb, kbuf, off, c->lanes, FV_K_NONE);
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
  tile *c = u->c;
  fv_kb *kb = c->k.kb;
  const fv_kv zero = fv_kb_i64(kb, 0);
  const fv_kv n = lw_emit_host(&c->k, c->k_extent);
  fv_xpool *p = c->k.l->pool;
  const int unroll = c->size.kr;
  const fv_expr *step = fv_x_i64(p, unroll);
  const fv_expr *whole = fv_x_mul(p, fv_x_floordiv(p, c->k_extent, step), step);
  const fv_kv full = lw_emit_host(&c->k, whole);
  const fv_kv kk = fv_kb_for(kb, zero, full, unroll);
  for (int i = 0; i < unroll; i++)
    micro_step(u, fv_kb_add(kb, kk, fv_kb_i64(kb, i)));
  fv_kb_end(kb);
  int64_t k;
  if (fv_x_is_lit(c->k_extent, &k) && k % unroll == 0)
    return;
  const fv_kv rest = fv_kb_for(kb, full, n, 1);
  micro_step(u, rest);
  fv_kb_end(kb);
}

// Result of a tile: from registers through scratch to the epilogue, row by row.
static void epilogue(tile *c, lw_emit *e, micro *u, fv_kv row0, fv_kv row_end, fv_kv panel0) {
  fv_kb *kb = c->k.kb;
  const int width = c->panels * PANEL, n = u->width;
  for (int r = 0; r < u->rows; r++)
    for (int j = 0; j < n; j++)
      fv_kb_store(kb, c->c_scratch, fv_kb_i64(kb, r * width + j * c->lanes),
                  fv_kb_get(kb, u->acc[r * n + j]), FV_K_NONE);
  const fv_kv left = fv_kb_sub(kb, row_end, row0);
  const fv_kv rows = fv_kb_op(kb, FV_X_MIN, fv_kb_i64(kb, u->rows), left, FV_K_NONE);
  const fv_kv r = fv_kb_for(kb, fv_kb_i64(kb, 0), rows, 1);
  for (int j = 0; j < n; j++) {
    lw_emit in = *e;
    if (c->rows.n)
      lw_bind(&in, c->rows.index[0], fv_kb_add(kb, row0, r));
    const fv_kv panel = fv_kb_add(kb, panel0, fv_kb_i64(kb, j / c->per_panel));
    const fv_kv column = fv_kb_i64(kb, j % c->per_panel * c->lanes);
    at_columns(c, &in, panel, column);
    const fv_kv at =
        fv_kb_add(kb, fv_kb_mul(kb, r, fv_kb_i64(kb, width)), fv_kb_i64(kb, j * c->lanes));
    in.bound = fv_kb_load(kb, c->c_scratch, at, c->lanes, FV_K_NONE);
    lw_emit_store(&in, c->k.out_kbuf, c->offset, lw_emit_expr(&in, c->value));
  }
  fv_kb_end(kb);
}

static fv_kv zero_of(tile *c) {
  return fv_dtype_is_float(c->t) ? fv_kb_const_f(c->k.kb, c->t, c->lanes, 0)
                                 : fv_kb_const_i(c->k.kb, c->t, c->lanes, 0);
}

// One tile of `rows` rows from row0 (its packed rows start at row0 - row_lo).
static void emit_tile(tile *c, lw_emit *e, int rows, fv_kv row0, fv_kv row_lo, fv_kv row_end,
                      fv_kv group, bool direct) {
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
  const fv_kv n_panels = lw_emit_host(&c->k, lw_ceil_div(c->k.l->pool, c->col_extent, PANEL));
  const fv_kv last = fv_kb_sub(kb, n_panels, fv_kb_i64(kb, 1));
  const fv_kv first = fv_kb_mul(kb, group, fv_kb_i64(kb, c->panels));
  for (int q = 0; q < c->panels; q++) {
    // A group may reach past the last panel: it reads that one again and the
    // masked stores drop the copy.
    const fv_kv panel = fv_kb_add(kb, first, fv_kb_i64(kb, q));
    u.panel[q] = fv_kb_op(kb, FV_X_MIN, panel, last, FV_K_NONE);
    u.b_base[q] = b_offset(c, e, u.panel[q]);
  }
  for (int r = 0; !direct && r < rows; r++) {
    const fv_kv row = fv_kb_add(kb, fv_kb_sub(kb, row0, row_lo), fv_kb_i64(kb, r));
    u.a_base[r] = fv_kb_mul(kb, row, lw_emit_host(&c->k, c->a_stride));
  }
  for (int i = 0; i < rows * n; i++)
    u.acc[i] = fv_kb_var(kb, zero_of(c));
  micro_loop(&u);
  epilogue(c, e, &u, row0, row_end, first);
}

//===-- Packing the rows of a -----------------------------------------------------===//

typedef struct pack {
  tile *c;
  fv_kv base;    // of the row in scratch
  lw_loops red;  // collapsed for a
  const fv_expr *a;
  const fv_expr *flat;  // k as one index, over red
} pack;

static void pack_body(void *user, lw_emit *e) {
  pack *w = user;
  fv_kb *kb = e->k->kb;
  lw_emit s = lw_scalar_of(e);
  const fv_kv at = fv_kb_add(kb, w->base, lw_emit_expr(&s, w->flat));
  const fv_kv v = fv_kb_splat(kb, fv_kb_cast(kb, w->c->t, lw_emit_expr(e, w->a)), e->lanes);
  fv_kb_store(kb, w->c->a_scratch, at, v, e->lanes > 1 ? e->count : FV_K_NONE);
}

static void pack_rows(tile *c, lw_emit *e, fv_kv lo, fv_kv hi) {
  fv_kb *kb = c->k.kb;
  fv_xpool *p = c->k.l->pool;
  pack w = {.c = c, .red = c->red, .a = c->a, .flat = fv_x_i64(p, 0)};
  for (int i = 0; i < c->red.n; i++)
    w.flat = fv_x_add(p, fv_x_mul(p, w.flat, c->red.extent[i]), fv_x_index(p, c->red.index[i]));
  const fv_expr *x[] = {w.a, w.flat};
  lw_collapse(c->k.l, &w.red, x, 2);
  w.a = x[0], w.flat = x[1];
  lw_emit in = *e;
  const fv_kv row = fv_kb_for(kb, lo, hi, 1);
  lw_emit_move(&in);
  if (c->rows.n)
    lw_bind(&in, c->rows.index[0], row);
  w.base = fv_kb_mul(kb, fv_kb_sub(kb, row, lo), lw_emit_host(&c->k, c->a_stride));
  for (int i = 0; i + 1 < w.red.n; i++)
    lw_bind(&in, w.red.index[i],
            fv_kb_for(kb, fv_kb_i64(kb, 0), lw_emit_host(&c->k, w.red.extent[i]), 1));
  const int last = w.red.n - 1;
  int lanes = lw_choose_lanes(&c->k, w.a, c->t, w.red.extent[last]);
  if (!lw_runs_along(&c->k, w.a, w.red.index[last]))
    lanes = 1;
  lw_lane_loop(&in, lanes, w.red.index[last], fv_kb_i64(kb, 0), w.red.extent[last], FV_K_NONE,
               pack_body, &w);
  for (int i = 0; i < w.red.n; i++)
    fv_kb_end(kb);
}

//===-- Variants --------------------------------------------------------------------===//

// Many rows: a block is some tiles of rows by some groups of panels.
static void emit_tiles(lw *l, const lw_group *g) {
  tile c;
  setup(&c, l, g);
  choose_tile(&c, LW_GEMM);
  fv_kb *kb = c.k.kb;
  fv_xpool *p = l->pool;
  int64_t block_rows = c.size.mc, m;
  if (fv_x_is_lit(c.row_extent, &m) && m < c.max_rows) {
    c.max_rows = m < 1 ? 1 : (int)m;
    block_rows = c.max_rows;
  }
  // Rows in scratch are padded by a line, so that they do not fall on one set
  // of the cache when k is a power of two.
  c.a_stride = fv_x_add(p, c.k_extent, fv_x_i64(p, PANEL));
  c.a_scratch = fv_kb_scratch(kb, c.t, fv_x_mul(p, c.a_stride, fv_x_i64(p, block_rows)));
  c.c_scratch = fv_kb_scratch(kb, c.t, fv_x_i64(p, (int64_t)c.max_rows * c.panels * PANEL));
  const fv_expr *groups = lw_ceil_div(p, c.col_extent, (int64_t)PANEL * c.panels);
  const int64_t groups_block = c.size.nc / c.size.nr;
  const fv_expr *col_blocks = lw_ceil_div(p, groups, groups_block);
  const fv_expr *row_blocks = lw_ceil_div(p, c.row_extent, block_rows);
  const fv_kv ncb = lw_emit_host(&c.k, col_blocks), nrb = lw_emit_host(&c.k, row_blocks);
  fv_kv at = fv_kb_block(kb);
  const fv_kv cb = fv_kb_op(kb, FV_X_MOD, at, ncb, FV_K_NONE);
  at = fv_kb_op(kb, FV_X_FLOORDIV, at, ncb, FV_K_NONE);
  const fv_kv rb = fv_kb_op(kb, FV_X_MOD, at, nrb, FV_K_NONE);
  lw_emit e;
  lw_emit_init(&e, &c.k, 1, -1);
  lw_decode_row(&e, &c.outer, fv_kb_op(kb, FV_X_FLOORDIV, at, nrb, FV_K_NONE));
  const fv_kv lo = fv_kb_mul(kb, rb, fv_kb_i64(kb, block_rows));
  const fv_kv hi = fv_kb_op(kb, FV_X_MIN, fv_kb_add(kb, lo, fv_kb_i64(kb, block_rows)),
                            lw_emit_host(&c.k, c.row_extent), FV_K_NONE);
  pack_rows(&c, &e, lo, hi);
  const fv_kv g0 = fv_kb_mul(kb, cb, fv_kb_i64(kb, groups_block));
  const fv_kv g1 = fv_kb_op(kb, FV_X_MIN, fv_kb_add(kb, g0, fv_kb_i64(kb, groups_block)),
                            lw_emit_host(&c.k, groups), FV_K_NONE);
  const fv_kv group = fv_kb_for(kb, g0, g1, 1);
  // Whole tiles, then the rest by tiles of a few rows.
  const fv_kv rows = fv_kb_sub(kb, hi, lo);
  const fv_kv step = fv_kb_i64(kb, c.max_rows);
  const fv_kv full =
      fv_kb_add(kb, lo, fv_kb_mul(kb, fv_kb_op(kb, FV_X_FLOORDIV, rows, step, FV_K_NONE), step));
  const fv_kv r0 = fv_kb_for(kb, lo, full, c.max_rows);
  emit_tile(&c, &e, c.max_rows, r0, lo, hi, group, false);
  fv_kb_end(kb);
  const int small = c.max_rows > 4 ? 4 : 1;
  const fv_kv r1 = fv_kb_for(kb, full, hi, small);
  emit_tile(&c, &e, small, r1, lo, hi, group, false);
  fv_kb_end(kb);
  fv_kb_end(kb);
  lw_kernel_launch(&c.k, g->family->name,
                   fv_x_mul(p, lw_points(p, &c.outer), fv_x_mul(p, row_blocks, col_blocks)));
}

// One row: a product of a matrix and a vector, bound by reading b.
static void emit_vector(lw *l, const lw_group *g) {
  tile c;
  setup(&c, l, g);
  choose_tile(&c, LW_GEMV);
  fv_kb *kb = c.k.kb;
  fv_xpool *p = l->pool;
  c.c_scratch = fv_kb_scratch(kb, c.t, fv_x_i64(p, (int64_t)c.panels * PANEL));
  const fv_expr *groups = lw_ceil_div(p, c.col_extent, (int64_t)PANEL * c.panels);
  const fv_kv ng = lw_emit_host(&c.k, groups);
  const fv_kv block = fv_kb_block(kb);
  lw_emit e;
  lw_emit_init(&e, &c.k, 1, -1);
  lw_decode_row(&e, &c.outer, fv_kb_op(kb, FV_X_FLOORDIV, block, ng, FV_K_NONE));
  const fv_kv zero = fv_kb_i64(kb, 0);
  if (c.rows.n)
    lw_bind(&e, c.rows.index[0], zero);
  emit_tile(&c, &e, 1, zero, zero, fv_kb_i64(kb, 1), fv_kb_op(kb, FV_X_MOD, block, ng, FV_K_NONE),
            true);
  // No rows, no blocks: the branch to here takes "at most one".
  lw_kernel_launch(&c.k, "matvec",
                   fv_x_mul(p, fv_x_mul(p, lw_points(p, &c.outer), groups), c.row_extent));
}

// Rows of the product when it has a single loop of them; NULL if it is not
// known to fit the one-row form.
static const fv_expr *row_count(lw *l, const lw_group *g, bool *one_k) {
  tile c = {.g = g};
  const fv_nest *t = &g->anchor->meaning->nest;
  lw_match_contraction(l, g->anchor, &c.shape);
  const fv_expr *rows = fv_x_i64(l->pool, 1);
  for (int i = 0; i < t->n_par; i++)
    if (i != c.shape.col && fv_x_uses_index(l->pool, c.shape.a, (uint32_t)i) &&
        !fv_x_uses_index(l->pool, c.shape.b, (uint32_t)i))
      rows = fv_x_mul(l->pool, rows, t->extent[i]);
  *one_k = t->n_red == 1;
  return rows;
}

static fv_status emit(lw *l, const lw_group *g) {
  bool one_k;
  const fv_expr *rows = row_count(l, g, &one_k);
  fv_xpool *p = l->pool;
  const fv_truth one = fv_prove_le(p, rows, fv_x_i64(p, 1));
  const fv_expr *cond = !one_k || one == FV_NO ? fv_x_lit_i(p, FV_bool, 0)
                        : one == FV_YES        ? fv_x_lit_i(p, FV_bool, 1)
                                               : fv_x_op(p, FV_X_LE, rows, fv_x_i64(p, 1), NULL);
  tile c;
  pack_b(&c, l, g);  // before the branch, for both
  lw_either(l, cond, emit_vector, emit_tiles, g);
  return FV_OK;
}

//===-- The family ----------------------------------------------------------------===//

static lw_why match(lw *l, const fv_node *n) {
  lw_contraction shape;
  return lw_match_contraction(l, n, &shape) ? NULL : lw_other_kind;
}

static lw_why takes(lw *l, const lw_group *g, const fv_node *n) {
  for (const fv_use *u = fv_uses_of(&l->uses, n->out[0]); u; u = u->next)
    if (u->node == g->anchor)
      return "a product reads its operands many times: only movement is computed within it";
  return lw_repeats_work(l, n);
}

static lw_why leads(lw *l, const lw_group *g) {
  (void)l;
  return g->anchor || g->reduces ? lw_family_contraction.takes_nothing : NULL;
}

// The columns are read from panels.
static bool composes(lw *l, const fv_node *n, int operand) {
  lw_contraction shape;
  return !lw_match_contraction(l, n, &shape) || n->in[shape.b_operand] != n->in[operand];
}

static int blocked_axis(lw *l, const lw_group *g) {
  lw_contraction shape;
  return lw_match_contraction(l, g->anchor, &shape) ? shape.col : -1;
}

const lw_family lw_family_contraction = {
    .name = "contraction",
    .match = match,
    .takes = takes,
    .takes_nothing = "a kernel computes one product, and no reduction with it",
    .leads = leads,
    .composes = composes,
    .blocked_axis = blocked_axis,
    .emit = emit,
    .has_epilogue = true};
