// SPDX-License-Identifier: Apache-2.0
// The families map and row: the generic schedule of every nest.
//
// The root's indices are split in outer ones (the grid: blocks of rows) and
// inner ones (loops, the last over lanes). A reduction whose indices are all
// outer is computed once per row, over the lanes of its last reduced index;
// one that depends on the lane index is computed per lane, serially (reduction.c).
//
// Where a block has several work-items they share the loop over lanes, and the loops of
// a row's reductions; short rows they share out.
#include "lower/map.h"

#include "lower/blocking.h"
#include "lower/copy.h"

typedef struct map {
  lw_kernel k;
  const fv_expr *value, *offset, *check;
  lw_loops outer, inner;
  int lanes;
} map;

//===-- The body ------------------------------------------------------------------===//

void lw_emit_check(lw_emit *e, const fv_expr *check) {
  fv_kb *kb = e->k->kb;
  fv_kv ok = lw_emit_exact(e, check);
  if (fv_kb_lanes(kb, ok) > 1) {
    if (e->count != FV_K_NONE) {
      const fv_kv lane = fv_kb_ramp(kb, fv_kb_i64(kb, 0), 1, e->lanes);
      ok = fv_kb_op(kb, FV_X_OR, ok, fv_kb_op(kb, FV_X_LE, e->count, lane, FV_K_NONE), FV_K_NONE);
    }
    ok = fv_kb_reduce(kb, FV_X_AND, ok);
  }
  const fv_node *root = e->k->group->root;
  fv_kb_check(kb, ok, root->meaning->nest.check_text, fv_node_span(root));
}

static void body(void *user, lw_emit *e) {
  map *m = user;
  struct lw_memo rows = {0};
  if (e->rows)
    for (size_t i = 0; i < e->rows->cap; i++)
      if (e->rows->key[i])
        lw_memo_set(e->k, &rows, e->rows->key[i], e->rows->value[i]);
  if (m->check)
    lw_emit_check(e, m->check);
  lw_emit in = *e;
  in.rows = &rows;
  lw_ensure_reductions(&in, m->value, &rows);
  lw_once o = lw_begin_once(&in);
  lw_emit_store(&o.e, m->k.out_kbuf, m->offset, lw_emit_expr(&o.e, m->value));
  lw_end_once(&o);
}

static void inner_loops(map *m, lw_emit *e, fv_kv lo, fv_kv hi) {
  fv_kb *kb = m->k.kb;
  const lw_loops *s = &m->inner;
  const fv_kv zero = fv_kb_i64(kb, 0);
  if (s->n == 0) {
    body(m, e);
    return;
  }
  lw_emit in = *e;
  for (int i = 0; i + 1 < s->n; i++) {
    const bool first = i == 0;
    const fv_kv end = first && hi != FV_K_NONE ? hi : lw_emit_host(&m->k, s->extent[i]);
    lw_bind(&in, s->index[i], fv_kb_for(kb, first ? lo : zero, end, 1));
  }
  const bool only = s->n == 1;
  lw_lane_loop(&in, m->lanes, s->index[s->n - 1], only ? lo : zero, s->extent[s->n - 1],
               only ? hi : FV_K_NONE, body, m);
  for (int i = 0; i + 1 < s->n; i++)
    fv_kb_end(kb);
}

// Without outer indices the blocks split the first inner one.
static const fv_expr *split_inner(map *m) {
  fv_kb *kb = m->k.kb;
  fv_xpool *p = m->k.l->pool;
  lw_emit e;
  lw_emit_init(&e, &m->k, 1, -1);
  if (m->inner.n == 0) {
    inner_loops(m, &e, FV_K_NONE, FV_K_NONE);
    return fv_x_i64(p, 1);
  }
  lw_loops tail = m->inner;
  tail.index[0] = 0;
  tail.extent[0] = fv_x_i64(p, 1);
  const int64_t step = lw_steps_of_block(fv_x_range(p, lw_points(p, &tail), NULL, 0));
  const fv_kv lo = fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, step));
  const fv_kv end = fv_kb_add(kb, lo, fv_kb_i64(kb, step));
  const fv_kv hi = fv_kb_op(kb, FV_X_MIN, end, lw_emit_host(&m->k, m->inner.extent[0]), FV_K_NONE);
  inner_loops(m, &e, lo, hi);
  return lw_ceil_div(p, m->inner.extent[0], step);
}

// Points of a row: of the inner loops, or of a reduction if those are more.
static fv_range row_points(const map *m) {
  fv_xpool *p = m->k.l->pool;
  fv_range most = fv_x_range(p, lw_points(p, &m->inner), NULL, 0);
  for (size_t r = 0; r < m->k.n_reduction; r++) {
    const fv_nest *t = &m->k.reduction[r]->meaning->nest;
    lw_loops s = {0};
    for (int i = t->n_par; i < t->n_par + t->n_red; i++)
      s.extent[s.n++] = t->extent[i];
    const fv_range x = fv_x_range(p, lw_points(p, &s), NULL, 0);
    most.lo = x.lo > most.lo ? x.lo : most.lo;
    most.hi = x.hi > most.hi ? x.hi : most.hi;
  }
  return most;
}

// A row that never has a vector for each work-item of a group is short: an item has whole rows.
static bool is_short_row(const map *m, fv_range points) {
  return points.hi < (int64_t)fv_kb_items(m->k.kb) * m->lanes;
}

static const fv_expr *split_outer(map *m) {
  fv_kb *kb = m->k.kb;
  fv_xpool *p = m->k.l->pool;
  lw_emit e;
  lw_emit_init(&e, &m->k, 1, -1);
  const fv_expr *rows = lw_points(p, &m->outer);
  const fv_range points = row_points(m);
  const bool is_short = is_short_row(m, points);
  int64_t step = lw_steps_of_block(points);
  if (is_short && step < fv_kb_items(kb))
    step = fv_kb_items(kb);
  const fv_kv lo = fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, step));
  const fv_kv end = fv_kb_add(kb, lo, fv_kb_i64(kb, step));
  const fv_kv hi = fv_kb_op(kb, FV_X_MIN, end, lw_emit_host(&m->k, rows), FV_K_NONE);
  const fv_kv row = is_short ? lw_for(&e, lo, hi, 1) : fv_kb_for(kb, lo, hi, 1);
  lw_decode_row(&e, &m->outer, row);
  struct lw_memo found = {0};
  e.rows = &found;
  lw_ensure_reductions(&e, m->value, &found);
  inner_loops(m, &e, fv_kb_i64(kb, 0), FV_K_NONE);
  fv_kb_end(kb);
  return lw_ceil_div(p, rows, step);
}

//===-- Shape of the schedule ---------------------------------------------------===//

// Which of the first n indices, those of the root, the reductions name.
typedef struct rows_cx {
  uint64_t set;
  uint32_t n;
} rows_cx;

static void look_rows(void *user, const fv_expr *e) {
  rows_cx *c = user;
  if (!(e->ref & LW_REDUCTION))
    return;
  for (int i = 0; i < e->n; i++)
    if (e->arg[i]->kind == FV_E_INDEX && e->arg[i]->ref < c->n)
      c->set |= (uint64_t)1 << e->arg[i]->ref;
}

// The work-items of a group share the elements of a block, or each row of it. They would not all
// come to the barriers of a row behind a check that some fail.
static void share_blocks(map *m) {
  if (!m->check || m->k.n_reduction == 0)
    fv_kb_set_items(m->k.kb, lw_group_items(m->k.l));
}

// Collapses the loops, splits the grid, emits and launches.
static void finish(map *m, bool pure, fv_dtype t, const char *family) {
  const fv_expr *all[] = {m->value, m->offset, m->check};
  lw_collapse(m->k.l, &m->inner, all, 3);
  m->value = all[0], m->offset = all[1], m->check = all[2];
  if (pure && m->inner.n > 1) {  // the grid runs over all but the last index
    m->outer = m->inner;
    m->outer.n--;
    m->inner.index[0] = m->inner.index[m->inner.n - 1];
    m->inner.extent[0] = m->inner.extent[m->inner.n - 1];
    m->inner.n = 1;
  }
  share_blocks(m);
  m->lanes = m->inner.n ? lw_choose_lanes(&m->k, m->value, t, m->inner.extent[m->inner.n - 1]) : 1;
  const fv_expr *grid = m->outer.n ? split_outer(m) : split_inner(m);
  lw_kernel_launch(&m->k, family, grid);
}

// Does the reduction of the root run along memory with its last parallel index, not with its
// reduced ones?
static bool runs_across(map *m, const fv_node *root, const fv_nest *t,
                        const fv_expr *const *index) {
  const fv_expr *at[FV_MAX_LOOPS];
  for (int i = 0; i < t->n_par + t->n_red; i++)
    at[i] = i < t->n_par ? index[i] : lw_new_index(&m->k, t->extent[i]);
  const fv_expr *v = lw_nest_value(&m->k, root, at);
  return lw_runs_along(&m->k, v, index[t->n_par - 1]->ref) &&
         !(t->n_red && lw_runs_along(&m->k, v, at[t->n_par + t->n_red - 1]->ref));
}

fv_status lw_map_nest(lw *l, const lw_group *g, const fv_nest *t) {
  map m = {0};
  lw_kernel_begin(&m.k, l, g, false);
  const fv_expr *index[FV_MAX_LOOPS];
  // A blocked destination is walked as it lies: ..., block, ..., lane.
  const fv_layout *y = &m.k.out_type.layout;
  const int blocked = y->n ? y->piece[y->n - 1].axis : -1;
  const fv_expr *blocks = NULL, *lane = NULL;
  for (int i = 0; i < t->n_par; i++)
    index[i] = i == blocked ? lw_split_index(&m.k, t->extent[i], LW_PANEL, &blocks, &lane)
                            : lw_new_index(&m.k, t->extent[i]);
  m.offset = fv_type_offset(l->pool, &m.k.out_type, index);
  const bool reduces = t->form == FV_NEST_REDUCE;
  if (reduces) {
    const uint32_t r = (uint32_t)lw_reduction_of(&m.k, g->root);
    m.value = fv_x_load(l->pool, g->root->out[0]->type.dtype, LW_REDUCTION | r, t->n_par, index);
  } else {
    m.value = lw_inline(&m.k, g->root, t->value, index);
  }
  if (t->check) {
    m.check = lw_inline(&m.k, g->root, t->check, index);
  }
  rows_cx rows = {.n = (uint32_t)m.k.n_index};
  FV_CHECK(l->arena, rows.n <= 64);  // FV_MAX_LOOPS, and one more for a blocked axis
  lw_each_load(l, m.value, look_rows, &rows);
  if (reduces && t->n_par > 0 && runs_across(&m, g->root, t, index))
    rows.set &= ~((uint64_t)1 << index[t->n_par - 1]->ref);  // kept for the lanes
  const bool pure = rows.set == 0 && !reduces;
  for (int i = 0; i < t->n_par; i++) {
    const fv_expr *ix = i == blocked ? blocks : index[i];
    lw_add_loop(pure || !(rows.set >> ix->ref & 1) ? &m.inner : &m.outer, ix,
                i == blocked ? m.k.extent[ix->ref] : t->extent[i]);
  }
  if (blocked >= 0) {
    lw_add_loop(&m.inner, lane, m.k.extent[lane->ref]);
    m.value = lw_simplify(&m.k, m.value);
    m.offset = lw_simplify(&m.k, m.offset);
  }
  finish(&m, pure, g->root->out[0]->type.dtype, g->family->name);
  return FV_OK;
}

//===-- The families --------------------------------------------------------------===//

static fv_status emit(lw *l, const lw_group *g) {
  return lw_map_nest(l, g, &g->root->meaning->nest);
}

static lw_why match_map(lw *l, const fv_node *n) {
  (void)l;
  return lw_is_map(n) ? NULL : lw_other_kind;
}

static lw_why match_row(lw *l, const fv_node *n) {
  (void)l;
  return lw_is_nest(n, FV_NEST_REDUCE) ? NULL : lw_other_kind;
}

static lw_why row_takes(lw *l, const lw_group *g, const fv_node *n) {
  (void)g;
  return lw_is_epilogue(l, n) ? "it is computed with the product before it" : lw_repeats_work(l, n);
}

static lw_why row_leads(lw *l, const lw_group *g) {
  (void)l;
  return g->anchor ? "a kernel computes one product, and no reduction with it" : NULL;
}

// That of an operand of the same dims.
static int blocked_axis(lw *l, const lw_group *g) {
  const fv_nest *t = &g->root->meaning->nest;
  const fv_value *out = g->root->out[0];
  const fv_expr *index[FV_MAX_LOOPS];
  lw_kernel k;
  if (t->check)
    return -1;
  lw_kernel_begin(&k, l, g, true);
  for (int i = 0; i < t->n_par; i++)
    index[i] = lw_new_index(&k, t->extent[i]);
  lw_nest_value(&k, g->root, index);
  for (size_t o = 0; o < k.n_operand; o++) {
    const fv_type *a = &k.operand[o].type;
    bool same = a->layout.n > 0 && a->rank == out->type.rank;
    for (int d = 0; d < out->type.rank && same; d++)
      same = a->dim[d] == out->type.dim[d];
    if (same)
      return a->layout.piece[a->layout.n - 1].axis;
  }
  return -1;
}

const lw_family lw_family_map = {.name = "map",
                                 .match = match_map,
                                 .takes = lw_takes_once,
                                 .composes = lw_composes_all,
                                 .blocked_axis = blocked_axis,
                                 .emit = emit,
                                 .emits_twice = true};

const lw_family lw_family_row = {.name = "row",
                                 .match = match_row,
                                 .takes = row_takes,
                                 .leads = row_leads,
                                 .composes = lw_composes_all,
                                 .emit = emit,
                                 .stores = true,
                                 .emits_twice = true};

//===-- Copies ------------------------------------------------------------------===//

// Index and extent of each piece of the destination, and the logical indices;
// *out_inside (or NULL): the condition that they are not in the padding.
static void piece_loops(map *m, const lw_copy *c, const fv_expr **logical,
                        const fv_expr **out_inside) {
  fv_xpool *p = m->k.l->pool;
  const fv_layout *y = &c->dst.layout;
  *out_inside = NULL;
  for (int i = 0; i < c->dst.rank; i++)
    logical[i] = NULL;
  for (int i = 0; i < (y->n ? y->n : c->dst.rank); i++) {
    const fv_layout_piece whole = {.axis = (uint8_t)i};
    const fv_layout_piece q = y->n ? y->piece[i] : whole;
    const fv_expr *dim = c->dst.dim[q.axis];
    const fv_expr *extent = q.inner   ? fv_x_i64(p, q.block)
                            : q.block ? lw_ceil_div(p, dim, q.block)
                                      : dim;
    const fv_expr *ix = lw_new_index(&m->k, extent);
    lw_add_loop(&m->inner, ix, extent);
    const fv_expr *part = q.block && !q.inner ? fv_x_mul(p, ix, fv_x_i64(p, q.block)) : ix;
    logical[q.axis] = logical[q.axis] ? fv_x_add(p, logical[q.axis], part) : part;
    int64_t d;
    if (q.inner && !(fv_x_is_lit(dim, &d) && d % q.block == 0))
      *out_inside = fv_x_op(p, FV_X_LT, logical[q.axis], dim, NULL);
  }
}

void lw_copy_map(lw *l, const lw_copy *c) {
  fv_xpool *p = l->pool;
  map m = {0};
  static const lw_group own = {.family = &lw_family_map};
  const lw_group *g = c->group ? c->group : &own;
  fv_value *out = FV_NEW(l->arena, fv_value);
  const fv_type *dst = c->within ? c->within : &c->dst;
  lw_kernel_begin_to(&m.k, l, g, out, c->dst_buffer, dst);
  const fv_expr *logical[FV_MAX_RANK], *from[FV_MAX_RANK], *inside;
  piece_loops(&m, c, logical, &inside);
  const fv_type t = lw_value_type(l, c->src);
  for (int j = 0; j < t.rank; j++)
    from[j] = logical[c->perm ? c->perm[j] : j];
  m.value = c->group ? lw_at(&m.k, c->src, from)
                     : lw_load(&m.k, lw_operand_of(&m.k, c->src, c->src_buffer, &t), from);
  if (inside)
    m.value = fv_x_op(p, FV_X_SELECT, inside, m.value, fv_x_lit(p, t.dtype, 0));
  if (c->shift)
    logical[c->shift_axis] = fv_x_add(p, logical[c->shift_axis], c->shift);
  m.offset = fv_x_i64(p, 0);
  if (c->within) {
    m.offset = fv_type_offset(p, dst, logical);
  } else {
    for (int i = 0; i < m.inner.n; i++)
      m.offset =
          fv_x_add(p, fv_x_mul(p, m.offset, m.inner.extent[i]), fv_x_index(p, m.inner.index[i]));
  }
  finish(&m, true, t.dtype, c->group ? g->family->name : "copy");
}
