// SPDX-License-Identifier: Apache-2.0
// The families map and row: the generic schedule of every nest.
//
// The root's indices are split in outer ones (the grid: blocks of rows) and
// inner ones (loops, the last over lanes). A reduction whose indices are all
// outer is computed once per row, over the lanes of its last reduced index;
// one that depends on the lane index is computed per lane, serially. Sums are
// split by lane number and CHAINS vectors, and end in a halving tree, so the bits
// depend on the lanes of the target alone.
#include "lower/map.h"

#include "lower/blocking.h"
#include "lower/copy.h"

// Vectors that a reduction accumulates side by side: each addition waits for the
// one before in its chain.
enum { CHAINS = 4 };

typedef struct map {
  lw_kernel k;
  const fv_expr *value, *offset, *check;
  lw_loops outer, inner;
  int lanes;
} map;

//===-- Reductions ----------------------------------------------------------------===//

fv_kv lw_identity(lw_kernel *k, fv_combine c, fv_dtype t, int lanes) {
  const fv_scalar v = fv_combine_identity(c, t);
  return fv_dtype_is_float(t) ? fv_kb_const_f(k->kb, t, lanes, v.f)
                              : fv_kb_const_i(k->kb, t, lanes, v.i);
}

typedef struct red {
  map *m;
  const fv_nest *nest;
  const fv_expr *value;
  fv_kv acc, best;  // VARs; best: of ARG_MAX and ARG_MIN
  uint32_t arg_index;
  fv_dtype t;
  int lanes;
} red;

static void accumulate(void *user, lw_emit *e) {
  red *r = user;
  fv_kb *kb = e->k->kb;
  fv_kv v = lw_emit_expr(e, r->value);
  if (e->count != FV_K_NONE && e->lane >= 0 && r->lanes == e->lanes && r->lanes > 1) {
    const fv_kv lane = fv_kb_ramp(kb, fv_kb_i64(kb, 0), 1, e->lanes);
    const fv_kv on = fv_kb_op(kb, FV_X_LT, lane, e->count, FV_K_NONE);
    v = fv_kb_op(kb, FV_X_SELECT, on, fv_kb_splat(kb, v, e->lanes),
                 lw_identity(e->k, r->nest->combine, r->t, e->lanes));
  }
  const fv_kv old = fv_kb_get(kb, r->acc);
  fv_kb_set(kb, r->acc,
            fv_kb_splat(kb, fv_kb_op(kb, fv_combine_op(r->nest->combine), old, v, FV_K_NONE),
                        fv_kb_lanes(kb, old)));
}

// First largest (smallest), NaN above all.
static void accumulate_arg(void *user, lw_emit *e) {
  red *r = user;
  fv_kb *kb = e->k->kb;
  const fv_kv v = fv_kb_splat(kb, lw_emit_expr(e, r->value), r->lanes);
  const fv_kv best = fv_kb_get(kb, r->best);
  fv_kv better = r->nest->combine == FV_COMBINE_ARG_MAX ? fv_kb_op(kb, FV_X_LT, best, v, FV_K_NONE)
                                                        : fv_kb_op(kb, FV_X_LT, v, best, FV_K_NONE);
  if (fv_dtype_is_float(r->t)) {
    const fv_kv v_nan = fv_kb_op(kb, FV_X_IS_NAN, v, FV_K_NONE, FV_K_NONE);
    const fv_kv b_nan = fv_kb_op(kb, FV_X_IS_NAN, best, FV_K_NONE, FV_K_NONE);
    const fv_kv b_ok = fv_kb_op(kb, FV_X_NOT, b_nan, FV_K_NONE, FV_K_NONE);
    better =
        fv_kb_op(kb, FV_X_OR, better, fv_kb_op(kb, FV_X_AND, v_nan, b_ok, FV_K_NONE), FV_K_NONE);
  }
  fv_kb_set(kb, r->best, fv_kb_op(kb, FV_X_SELECT, better, v, best));
  const fv_kv at = fv_kb_splat(kb, lw_index_value(e, r->arg_index), r->lanes);
  fv_kb_set(kb, r->acc, fv_kb_op(kb, FV_X_SELECT, better, at, fv_kb_get(kb, r->acc)));
}

static void ensure_reductions(map *m, lw_emit *e, const fv_expr *x, struct lw_memo *rows);

// Along memory: CHAINS vectors at a time, then what is left one by one.
static void reduce_along(red *r, const lw_emit *at, uint32_t index, const fv_expr *extent) {
  lw_kernel *k = at->k;
  fv_kb *kb = k->kb;
  const fv_scalar_op combine = fv_combine_op(r->nest->combine);
  const fv_kv hi = lw_emit_host(k, extent), step = fv_kb_i64(kb, (int64_t)CHAINS * r->lanes);
  const fv_kv whole = fv_kb_mul(kb, fv_kb_op(kb, FV_X_FLOORDIV, hi, step, FV_K_NONE), step);
  fv_kv chain[CHAINS] = {r->acc};
  for (int i = 1; i < CHAINS; i++)
    chain[i] = fv_kb_var(kb, lw_identity(k, r->nest->combine, r->t, r->lanes));
  lw_emit e = *at;
  e.lanes = r->lanes;
  e.lane = (int)index;
  const fv_kv first = fv_kb_for(kb, fv_kb_i64(kb, 0), whole, (int64_t)CHAINS * r->lanes);
  for (int i = 0; i < CHAINS; i++) {
    lw_bind(&e, index, fv_kb_add(kb, first, fv_kb_i64(kb, (int64_t)i * r->lanes)));
    r->acc = chain[i];
    accumulate(r, &e);
  }
  fv_kb_end(kb);
  r->acc = chain[0];
  lw_lane_loop(at, r->lanes, index, whole, extent, FV_K_NONE, accumulate, r);
  for (int half = CHAINS / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      fv_kb_set(kb, chain[i],
                fv_kb_op(kb, combine, fv_kb_get(kb, chain[i]), fv_kb_get(kb, chain[i + half]),
                         FV_K_NONE));
}

// The loops of a reduction, the last over lanes when it runs along memory.
static void reduction_loops(red *r, lw_emit *e, const lw_loops *s, bool along) {
  lw_kernel *k = e->k;
  fv_kb *kb = k->kb;
  lw_emit in = *e;
  const fv_kv zero = fv_kb_i64(kb, 0);
  for (int i = 0; i + (along ? 1 : 0) < s->n; i++)
    lw_bind(&in, s->index[i], fv_kb_for(kb, zero, lw_emit_host(k, s->extent[i]), 1));
  if (along) {
    reduce_along(r, &in, s->index[s->n - 1], s->extent[s->n - 1]);
  } else if (r->best != FV_K_NONE) {
    accumulate_arg(r, &in);
  } else {
    accumulate(r, &in);
  }
  for (int i = 0; i + (along ? 1 : 0) < s->n; i++)
    fv_kb_end(kb);
}

// Emits the reduction that the load stands for and notes its value in rows.
static void emit_reduction(map *m, lw_emit *e, const fv_expr *load, struct lw_memo *rows) {
  lw_kernel *k = e->k;
  fv_kb *kb = k->kb;
  fv_xpool *p = k->l->pool;
  const fv_node *n = k->reduction[lw_reduction_number(load)];
  const fv_nest *nest = &n->meaning->nest;
  const fv_expr *at[FV_MAX_LOOPS];
  lw_loops s = {0};
  for (int i = 0; i < nest->n_par; i++)
    at[i] = load->arg[i];
  for (int i = 0; i < nest->n_red; i++) {
    at[nest->n_par + i] = lw_new_index(k, nest->extent[nest->n_par + i]);
    lw_add_loop(&s, at[nest->n_par + i], nest->extent[nest->n_par + i]);
  }
  red r = {.m = m, .nest = nest, .best = FV_K_NONE, .lanes = e->lanes};
  r.value = lw_nest_value(k, n, at);
  ensure_reductions(m, e, r.value, rows);
  const bool arg = nest->combine == FV_COMBINE_ARG_MAX || nest->combine == FV_COMBINE_ARG_MIN;
  if (!arg && s.n > 1)
    lw_collapse(k->l, &s, &r.value, 1);
  r.t = fv_dtype_compute((fv_dtype)r.value->dtype);
  const bool along = e->lanes == 1 && s.n && !arg && lw_runs_along(k, r.value, s.index[s.n - 1]);
  if (along)
    r.lanes = lw_choose_lanes(k, r.value, r.t, s.extent[s.n - 1]);
  if (arg) {
    r.arg_index = s.index[0];
    r.best = fv_kb_var(kb, lw_identity(k, nest->combine, r.t, r.lanes));
    r.acc = fv_kb_var(kb, fv_kb_const_i(kb, FV_i64, r.lanes, 0));
  } else {
    r.acc = fv_kb_var(kb, lw_identity(k, nest->combine, r.t, r.lanes));
  }
  reduction_loops(&r, e, &s, along && r.lanes > 1);
  fv_kv v = fv_kb_get(kb, r.acc);
  if (along && r.lanes > 1)
    v = fv_kb_reduce(kb, fv_combine_op(nest->combine), v);
  const fv_expr *acc = fv_x_load(p, arg ? FV_i64 : (fv_dtype)r.value->dtype, LW_BOUND, 0, NULL);
  lw_emit post = *e;
  post.bound = v;
  lw_emit_move(&post);
  const fv_expr *x = lw_nest_post(k, n, at, acc);
  ensure_reductions(m, e, x, rows);
  lw_memo_set(k, rows, load, lw_emit_expr(&post, x));
}

// Reductions that x needs, in order; those that depend on the lane only where
// there is one.
typedef struct need {
  map *m;
  lw_emit *e;
  const fv_expr **load;
  size_t n, cap;
} need;

static void look_need(void *user, const fv_expr *e) {
  need *d = user;
  if (e->ref & LW_REDUCTION)
    FV_PUSH(d->e->k->l->arena, d->load, d->n, d->cap, e);
}

static void ensure_reductions(map *m, lw_emit *e, const fv_expr *x, struct lw_memo *rows) {
  need d = {.m = m, .e = e};
  lw_each_load(e->k->l, x, look_need, &d);
  for (size_t i = 0; i < d.n; i++) {
    if (lw_memo_get(rows, d.load[i]) != FV_K_NONE)
      continue;
    bool ready = true;  // each index it names has a value here
    for (int a = 0; a < d.load[i]->n; a++) {
      const fv_expr *ix = d.load[i]->arg[a];
      if (ix->kind == FV_E_INDEX && lw_index_value(e, ix->ref) == FV_K_NONE)
        ready = false;
    }
    if (ready)
      emit_reduction(m, e, d.load[i], rows);
  }
}

//===-- The body ------------------------------------------------------------------===//

void lw_emit_check(lw_emit *e, const fv_expr *check) {
  fv_kb *kb = e->k->kb;
  fv_kv ok = lw_emit_expr(e, check);
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
  ensure_reductions(m, &in, m->value, &rows);
  lw_emit_store(&in, m->k.out_kbuf, m->offset, lw_emit_expr(&in, m->value));
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

enum { BLOCK_ELEMENTS = 8192 };

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
  int64_t rest = 1;
  lw_loops tail = m->inner;
  tail.index[0] = 0;
  tail.extent[0] = fv_x_i64(p, 1);
  if (!fv_x_is_lit(lw_points(p, &tail), &rest) || rest < 1)
    rest = 64;
  int64_t step = BLOCK_ELEMENTS / rest;
  step = step < 1 ? 1 : step;
  const fv_kv lo = fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, step));
  const fv_kv end = fv_kb_add(kb, lo, fv_kb_i64(kb, step));
  const fv_kv hi = fv_kb_op(kb, FV_X_MIN, end, lw_emit_host(&m->k, m->inner.extent[0]), FV_K_NONE);
  inner_loops(m, &e, lo, hi);
  return lw_ceil_div(p, m->inner.extent[0], step);
}

static const fv_expr *split_outer(map *m, int64_t work) {
  fv_kb *kb = m->k.kb;
  fv_xpool *p = m->k.l->pool;
  lw_emit e;
  lw_emit_init(&e, &m->k, 1, -1);
  const fv_expr *rows = lw_points(p, &m->outer);
  const int64_t step = work >= BLOCK_ELEMENTS ? 1 : BLOCK_ELEMENTS / (work < 1 ? 1 : work);
  const fv_kv lo = fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, step));
  const fv_kv end = fv_kb_add(kb, lo, fv_kb_i64(kb, step));
  const fv_kv hi = fv_kb_op(kb, FV_X_MIN, end, lw_emit_host(&m->k, rows), FV_K_NONE);
  const fv_kv row = fv_kb_for(kb, lo, hi, 1);
  lw_decode_row(&e, &m->outer, row);
  struct lw_memo found = {0};
  e.rows = &found;
  ensure_reductions(m, &e, m->value, &found);
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

// Work of one row, for the size of a block: points of the inner loops and of
// the reductions, symbols counted as 64.
static int64_t row_work(map *m) {
  fv_xpool *p = m->k.l->pool;
  int64_t work = 1, v;
  if (!fv_x_is_lit(lw_points(p, &m->inner), &work))
    work = 1024;
  for (size_t r = 0; r < m->k.n_reduction; r++) {
    const fv_nest *t = &m->k.reduction[r]->meaning->nest;
    int64_t w = 1;
    for (int i = t->n_par; i < t->n_par + t->n_red; i++)
      w *= fv_x_is_lit(t->extent[i], &v) && v < 65536 ? v : 64;
    work = w > work ? w : work;
  }
  return work;
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
  m->lanes = m->inner.n ? lw_choose_lanes(&m->k, m->value, t, m->inner.extent[m->inner.n - 1]) : 1;
  const fv_expr *grid = m->outer.n ? split_outer(m, row_work(m)) : split_inner(m);
  lw_kernel_launch(&m->k, family, grid);
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
  // A reduction that runs along memory with its last parallel index, not with
  // its reduced ones, keeps that index for the lanes.
  if (reduces && t->n_par > 0) {
    const fv_expr *at[FV_MAX_LOOPS];
    for (int i = 0; i < t->n_par; i++)
      at[i] = index[i];
    for (int i = t->n_par; i < t->n_par + t->n_red; i++)
      at[i] = lw_new_index(&m.k, t->extent[i]);
    const fv_expr *v = lw_nest_value(&m.k, g->root, at);
    const uint32_t last = index[t->n_par - 1]->ref;
    if (lw_runs_along(&m.k, v, last) &&
        !(t->n_red && lw_runs_along(&m.k, v, at[t->n_par + t->n_red - 1]->ref)))
      rows.set &= ~((uint64_t)1 << last);
  }
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
  return n->meaning && n->meaning->kind == FV_MEANS_NEST && n->meaning->nest.form == FV_NEST_REDUCE
             ? NULL
             : lw_other_kind;
}

static lw_why map_takes(lw *l, const lw_group *g, const fv_node *n) {
  (void)g;
  return lw_repeats_work(l, n);
}

static lw_why row_takes(lw *l, const lw_group *g, const fv_node *n) {
  (void)g;
  return lw_is_epilogue(l, n) ? "it is computed with the product before it" : lw_repeats_work(l, n);
}

static lw_why row_leads(lw *l, const lw_group *g) {
  (void)l;
  return g->anchor ? "a kernel computes one product, and no reduction with it" : NULL;
}

static bool composes(lw *l, const fv_node *n, int operand) {
  (void)l, (void)n, (void)operand;
  return true;
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
                                 .takes = map_takes,
                                 .composes = composes,
                                 .blocked_axis = blocked_axis,
                                 .emit = emit};

const lw_family lw_family_row = {.name = "row",
                                 .match = match_row,
                                 .takes = row_takes,
                                 .leads = row_leads,
                                 .composes = composes,
                                 .emit = emit};

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
