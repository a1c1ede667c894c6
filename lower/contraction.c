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

#include "lower/contraction_tile.h"
#include "lower/copy.h"

//===-- The kernel ----------------------------------------------------------------===//

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
static fv_layout panel_layout(const lw_tile *c, const fv_node *anchor) {
  const fv_expr *b = c->shape.b;
  const int n_par = anchor->meaning->nest.n_par, n_red = anchor->meaning->nest.n_red;
  fv_layout y = {0};
  for (int i = 0; i < b->n; i++)
    if (lw_axis_loop(b, i) < n_par && i != c->shape.col_axis)
      y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)i};
  y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)c->shape.col_axis, .block = LW_PANEL};
  for (int k = 0; k <= n_red; k++) {
    const int r = k < n_red ? n_par + k : c->last_red;
    for (int i = 0; i < b->n; i++)
      if (lw_axis_loop(b, i) == r && (k == n_red || r != c->last_red))
        y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)i};
  }
  y.piece[y.n++] =
      (fv_layout_piece){.axis = (uint8_t)c->shape.col_axis, .inner = 1, .block = LW_PANEL};
  return y;
}

static const fv_expr *bind_leaf(void *user, const fv_expr *e) {
  return e->kind == FV_E_LOAD && e->ref == LW_BOUND ? user : e;
}

// Sorts the parallel indices: the column; rows (a sees them, b does not; the
// innermost run that collapses); the rest are the grid's.
static void shape_loops(lw_tile *c, const fv_expr *const *index) {
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
static uint32_t pack_b(lw_tile *c, lw *l, const lw_group *g) {
  memset(c, 0, sizeof *c);
  c->g = g;
  lw_match_contraction(l, g->anchor, &c->shape);
  c->last_red = blocked_red(l, g, &c->shape);
  const fv_layout layout = panel_layout(c, g->anchor);
  return lw_packed_buffer(l, g->anchor->in[c->shape.b_operand], &layout, &c->b_type);
}

static void setup(lw_tile *c, lw *l, const lw_group *g) {
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
    index[i] = i == c->shape.col  ? lw_split_index(&c->k, t->extent[i], LW_PANEL, &panel, &column)
               : i == c->last_red ? lw_split_index(&c->k, t->extent[i], LW_PANEL, &block, &lane)
                                  : lw_new_index(&c->k, t->extent[i]);
  c->panel = panel->ref;
  c->column = column->ref;
  c->b_operand = lw_operand_of(&c->k, b, b_buffer, &c->b_type);
  for (int i = 0; i < c->shape.b->n; i++)
    c->b_index[i] = lw_axis_index(p, c->shape.b, i, index[lw_axis_loop(c->shape.b, i)]);
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

static void choose_tile(lw_tile *c, lw_product product) {
  int64_t k = -1, columns = -1;
  fv_x_is_lit(c->k_extent, &k);
  fv_x_is_lit(c->col_extent, &columns);
  c->size = lw_blocking_of(c->k.l, product, c->t, k, columns);
  c->lanes = c->size.lanes;
  c->per_panel = LW_PANEL / c->lanes;
  c->panels = c->size.nr / LW_PANEL;
  c->max_rows = c->size.mr;
}

//===-- Variants --------------------------------------------------------------------===//

// Rows of the tiles that take what whole tiles leave of a block.
static int rest_rows(const lw_tile *c) {
  return c->max_rows > 4 ? 4 : 1;
}

// Room for what a block copies and sums; padded by a line, so that the rows do not
// fall on one set of the cache when k is a power of two.
static void make_scratch(lw_tile *c, int64_t rows, int64_t groups) {
  fv_xpool *p = c->k.l->pool;
  const lw_pack *w = &c->pack;
  const int64_t width = (int64_t)c->panels * LW_PANEL;
  const fv_expr *k = w->units ? fv_x_i64(p, w->units * w->unit) : c->k_extent;
  c->at.rows = rows + rest_rows(c) - 1;  // where the last tile may end
  c->a_stride = fv_x_add(p, k, fv_x_i64(p, LW_PANEL));
  c->a_scratch = fv_kb_scratch(c->k.kb, c->t, fv_x_mul(p, c->a_stride, fv_x_i64(p, c->at.rows)));
  const int64_t sums = w->units ? groups * c->at.rows : c->max_rows;
  c->c_scratch = fv_kb_scratch(c->k.kb, c->t, fv_x_i64(p, sums * width));
}

// The block's product, for all of k or for one block of it.
static void emit_block(lw_tile *c, lw_emit *e) {
  fv_kb *kb = c->k.kb;
  lw_pack_rows(c, e);
  const fv_kv group = fv_kb_for(kb, c->at.group_lo, c->at.group_hi, 1);
  // Whole tiles, then the rest by tiles of a few rows.
  const fv_kv lo = c->at.row_lo, hi = c->at.row_hi;
  const fv_kv step = fv_kb_i64(kb, c->max_rows);
  const fv_kv tiles = fv_kb_op(kb, FV_X_FLOORDIV, fv_kb_sub(kb, hi, lo), step, FV_K_NONE);
  const fv_kv full = fv_kb_add(kb, lo, fv_kb_mul(kb, tiles, step));
  lw_emit_tile(c, e, c->max_rows, fv_kb_for(kb, lo, full, c->max_rows), group, false);
  fv_kb_end(kb);
  lw_emit_tile(c, e, rest_rows(c), fv_kb_for(kb, full, hi, rest_rows(c)), group, false);
  fv_kb_end(kb);
  fv_kb_end(kb);
}

// k in blocks, in order: each sum remains one chain.
static void emit_k_blocks(lw_tile *c, lw_emit *e) {
  fv_kb *kb = c->k.kb;
  fv_xpool *p = c->k.l->pool;
  const lw_pack *w = &c->pack;
  lw_block *at = &c->at;
  const fv_kv zero = fv_kb_i64(kb, 0), unit = fv_kb_i64(kb, w->unit);
  const fv_expr *points = fv_x_floordiv(p, c->k_extent, fv_x_i64(p, w->unit));
  const fv_kv n = lw_emit_host(&c->k, points);
  // Once where k is 0: the epilogue still has to store.
  const fv_kv end = fv_kb_op(kb, FV_X_MAX, n, fv_kb_i64(kb, 1), FV_K_NONE);
  at->unit_lo = fv_kb_for(kb, zero, end, w->units);
  const fv_kv next = fv_kb_add(kb, at->unit_lo, fv_kb_i64(kb, w->units));
  at->unit_hi = fv_kb_op(kb, FV_X_MIN, next, n, FV_K_NONE);
  at->k_lo = fv_kb_mul(kb, at->unit_lo, unit);
  at->k_hi = fv_kb_mul(kb, at->unit_hi, unit);
  lw_emit in = *e;
  lw_emit_move(&in);
  emit_block(c, &in);
  fv_kb_end(kb);
}

// From block `n` of `extent` things in blocks of `size`: lo..hi.
static void cut(lw_tile *c, fv_kv n, const fv_expr *extent, fv_kv size, fv_kv *lo, fv_kv *hi) {
  fv_kb *kb = c->k.kb;
  *lo = fv_kb_mul(kb, n, size);
  *hi = fv_kb_op(kb, FV_X_MIN, fv_kb_add(kb, *lo, size), lw_emit_host(&c->k, extent), FV_K_NONE);
}

// Rows of a block when `blocks` share them: about the same number, whole tiles.
static fv_kv share_rows(lw_tile *c, const fv_expr *blocks) {
  fv_xpool *p = c->k.l->pool;
  const fv_expr *one = fv_x_i64(p, 1), *mr = fv_x_i64(p, c->max_rows);
  const fv_expr *unit = fv_x_mul(p, fv_x_op(p, FV_X_MAX, blocks, one, NULL), mr);
  const fv_expr *up = fv_x_sub(p, fv_x_add(p, c->row_extent, unit), one);
  return lw_emit_host(&c->k, fv_x_mul(p, fv_x_floordiv(p, up, unit), mr));
}

// Many rows: a block is some tiles of rows by some groups of panels.
static void emit_tiles(lw *l, const lw_group *g) {
  lw_tile c;
  setup(&c, l, g);
  choose_tile(&c, LW_GEMM);
  fv_kb *kb = c.k.kb;
  fv_xpool *p = l->pool;
  int64_t block_rows = c.size.mc, m;
  if (fv_x_is_lit(c.row_extent, &m) && m < c.max_rows) {
    c.max_rows = m < 1 ? 1 : (int)m;
    block_rows = c.max_rows;
  }
  const int64_t block_groups = c.size.nc / c.size.nr;
  lw_plan_pack(&c);
  make_scratch(&c, block_rows, block_groups);
  const fv_expr *groups = lw_ceil_div(p, c.col_extent, c.size.nr);
  const fv_expr *col_blocks = lw_ceil_div(p, groups, block_groups);
  const fv_expr *row_blocks = lw_ceil_div(p, c.row_extent, block_rows);
  const fv_kv ncb = lw_emit_host(&c.k, col_blocks), nrb = lw_emit_host(&c.k, row_blocks);
  fv_kv at = fv_kb_block(kb);
  const fv_kv cb = fv_kb_op(kb, FV_X_MOD, at, ncb, FV_K_NONE);
  at = fv_kb_op(kb, FV_X_FLOORDIV, at, ncb, FV_K_NONE);
  const fv_kv rb = fv_kb_op(kb, FV_X_MOD, at, nrb, FV_K_NONE);
  lw_emit e;
  lw_emit_init(&e, &c.k, 1, -1);
  lw_decode_row(&e, &c.outer, fv_kb_op(kb, FV_X_FLOORDIV, at, nrb, FV_K_NONE));
  cut(&c, rb, c.row_extent, share_rows(&c, row_blocks), &c.at.row_lo, &c.at.row_hi);
  cut(&c, cb, groups, fv_kb_i64(kb, block_groups), &c.at.group_lo, &c.at.group_hi);
  c.at.k_lo = fv_kb_i64(kb, 0);
  c.at.k_hi = lw_emit_host(&c.k, c.k_extent);
  (c.pack.units ? emit_k_blocks : emit_block)(&c, &e);
  lw_kernel_launch(&c.k, g->family->name,
                   fv_x_mul(p, lw_points(p, &c.outer), fv_x_mul(p, row_blocks, col_blocks)));
}

// One row: a product of a matrix and a vector, bound by reading b.
static void emit_vector(lw *l, const lw_group *g) {
  lw_tile c;
  setup(&c, l, g);
  choose_tile(&c, LW_GEMV);
  fv_kb *kb = c.k.kb;
  fv_xpool *p = l->pool;
  c.c_scratch = fv_kb_scratch(kb, c.t, fv_x_i64(p, (int64_t)c.panels * LW_PANEL));
  const fv_expr *groups = lw_ceil_div(p, c.col_extent, (int64_t)LW_PANEL * c.panels);
  const fv_kv ng = lw_emit_host(&c.k, groups);
  const fv_kv block = fv_kb_block(kb);
  lw_emit e;
  lw_emit_init(&e, &c.k, 1, -1);
  lw_decode_row(&e, &c.outer, fv_kb_op(kb, FV_X_FLOORDIV, block, ng, FV_K_NONE));
  const fv_kv zero = fv_kb_i64(kb, 0);
  if (c.rows.n)
    lw_bind(&e, c.rows.index[0], zero);
  c.at = (lw_block){.row_lo = zero, .row_hi = fv_kb_i64(kb, 1), .k_lo = zero};
  c.at.k_hi = lw_emit_host(&c.k, c.k_extent);
  lw_emit_tile(&c, &e, 1, zero, fv_kb_op(kb, FV_X_MOD, block, ng, FV_K_NONE), true);
  // No rows, no blocks: the branch to here takes "at most one".
  lw_kernel_launch(&c.k, "matvec",
                   fv_x_mul(p, fv_x_mul(p, lw_points(p, &c.outer), groups), c.row_extent));
}

// Rows of the product when it has a single loop of them; NULL if it is not
// known to fit the one-row form.
static const fv_expr *row_count(lw *l, const lw_group *g, bool *one_k) {
  lw_tile c = {.g = g};
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
  lw_tile c;
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
