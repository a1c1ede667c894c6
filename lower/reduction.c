// SPDX-License-Identifier: Apache-2.0
// Reductions within a kernel: of a row, over the lanes of its last reduced index, or
// per lane, one after another.
//
// A row is split by lane number and CHAINS vectors and ends in a halving tree. A
// float sum adds at most STRETCH terms to one register; the sums of such stretches
// join a total whose rounding error is carried along. So its error does not grow with
// its length, and its bits depend on the lanes and the work-items of the target and, as
// lanes and stretches are chosen for the longest row, on the max that a dim of the row
// was declared with.
//
// Work-items that are together share the innermost loop; what each made of its part goes
// through memory of the group, where one of them joins the parts by a tree for all.
#include "lower/buffers.h"
#include "lower/emit.h"
#include "lower/long_sum.h"

// Vectors that a reduction accumulates side by side: each addition waits for the
// one before in its chain.
enum { CHAINS = 4 };
// A sum of n terms in one register is off by up to n / 2 eps, and a stretch costs some
// ten operations more.
enum { STRETCH = 32 };

fv_kv lw_identity(lw_kernel *k, fv_combine c, fv_dtype t, int lanes) {
  const fv_scalar v = fv_combine_identity(c, t);
  return fv_dtype_is_float(t) ? fv_kb_const_f(k->kb, t, lanes, v.f)
                              : fv_kb_const_i(k->kb, t, lanes, v.i);
}

typedef struct red {
  const fv_nest *nest;
  const fv_expr *value;
  fv_kv acc, best;  // VARs; best: of ARG_MAX and ARG_MIN
  uint32_t arg_index;
  bool shared;  // by work-items
  fv_dtype t;
  int lanes, chains;
  // A sum in stretches:
  int cut;             // the loop that is cut into stretches, -1 = none
  int64_t stretch;     // its steps in one
  fv_kv total, carry;  // VARs
} red;

// A sum of products is a chain of mads, as in a contraction.
static bool sums_products(const red *r) {
  return r->nest->combine == FV_COMBINE_SUM && fv_dtype_is_float(r->t) &&
         r->value->kind == FV_E_OP && r->value->op == FV_X_MUL && r->value->dtype == r->t;
}

static void accumulate(void *user, lw_emit *e) {
  red *r = user;
  fv_kb *kb = e->k->kb;
  const fv_kv old = fv_kb_get(kb, r->acc);
  const int lanes = fv_kb_lanes(kb, old);
  const bool masked = e->count != FV_K_NONE && e->lane >= 0 && r->lanes == e->lanes && r->lanes > 1;
  if (!masked && sums_products(r)) {
    const fv_kv a = fv_kb_splat(kb, lw_emit_expr(e, r->value->arg[0]), lanes);
    const fv_kv b = fv_kb_splat(kb, lw_emit_expr(e, r->value->arg[1]), lanes);
    fv_kb_set(kb, r->acc, fv_kb_mad(kb, a, b, old));
    return;
  }
  fv_kv v = fv_kb_splat(kb, lw_emit_expr(e, r->value), lanes);
  if (masked) {
    const fv_kv lane = fv_kb_ramp(kb, fv_kb_i64(kb, 0), 1, e->lanes);
    const fv_kv on = fv_kb_op(kb, FV_X_LT, lane, e->count, FV_K_NONE);
    v = fv_kb_op(kb, FV_X_SELECT, on, v, lw_identity(e->k, r->nest->combine, r->t, e->lanes));
  }
  fv_kb_set(kb, r->acc, fv_kb_op(kb, fv_combine_op(r->nest->combine), old, v, FV_K_NONE));
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

//===-- Sums in stretches ---------------------------------------------------------===//

// Finds the outermost loop of which one pass is a short sum.
static void plan_stretches(red *r, fv_xpool *p, const lw_loops *s, bool along) {
  r->cut = -1;
  if (r->nest->combine != FV_COMBINE_SUM || !fv_dtype_is_float(r->t))
    return;
  int64_t adds = 1;  // of one pass of the loops inside
  for (int i = s->n - 1; i >= 0; i--) {
    const bool vectors = along && i == s->n - 1;
    int64_t steps = fv_x_range(p, s->extent[i], NULL, 0).hi;
    steps /= vectors ? (int64_t)r->chains * r->lanes : 1;
    if (steps > 1 && steps > STRETCH / adds) {
      r->cut = i;
      r->stretch = adds < STRETCH ? STRETCH / adds : 1;
      return;
    }
    // Behind the vectors come those left and the other chains.
    adds *= vectors ? steps + 2 * r->chains : steps > 1 ? steps : 1;
  }
}

static void begin_stretches(red *r, fv_kb *kb) {
  if (r->cut < 0)
    return;
  r->total = fv_kb_var(kb, fv_kb_const_f(kb, r->t, r->lanes, 0));
  r->carry = fv_kb_var(kb, fv_kb_const_f(kb, r->t, r->lanes, 0));
}

static void add_stretch(red *r, fv_kb *kb) {
  lw_long_sum s = {fv_kb_get(kb, r->total), fv_kb_get(kb, r->carry)};
  s = lw_long_add(kb, s, fv_kb_get(kb, r->acc));
  fv_kb_set(kb, r->total, s.total);
  fv_kb_set(kb, r->carry, s.carry);
  fv_kb_set(kb, r->acc, fv_kb_const_f(kb, r->t, r->lanes, 0));
}

static fv_kv result_of(const red *r, fv_kb *kb) {
  return r->cut < 0 ? fv_kb_get(kb, r->acc)
                    : fv_kb_add(kb, fv_kb_get(kb, r->total), fv_kb_get(kb, r->carry));
}

//===-- Loops ---------------------------------------------------------------------===//

// Elements lo..hi of the index along memory, a vector of each chain at a time.
static void reduce_vectors(red *r, const lw_emit *at, uint32_t index, fv_kv lo, fv_kv hi) {
  lw_kernel *k = at->k;
  fv_kb *kb = k->kb;
  const fv_scalar_op combine = fv_combine_op(r->nest->combine);
  fv_kv chain[CHAINS] = {r->acc};
  for (int i = 1; i < r->chains; i++)
    chain[i] = fv_kb_var(kb, lw_identity(k, r->nest->combine, r->t, r->lanes));
  lw_emit e = *at;
  e.lanes = r->lanes;
  e.lane = (int)index;
  const fv_kv first = lw_for(&e, lo, hi, (int64_t)r->chains * r->lanes);
  for (int i = 0; i < r->chains; i++) {
    lw_bind(&e, index, fv_kb_add(kb, first, fv_kb_i64(kb, (int64_t)i * r->lanes)));
    r->acc = chain[i];
    accumulate(r, &e);
  }
  fv_kb_end(kb);
  r->acc = chain[0];
  for (int half = r->chains / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      fv_kb_set(kb, chain[i],
                fv_kb_op(kb, combine, fv_kb_get(kb, chain[i]), fv_kb_get(kb, chain[i + half]),
                         FV_K_NONE));
}

// Begins a loop over 0..hi, in stretches if it is the one that is cut.
static fv_kv begin_loop(red *r, fv_kb *kb, bool cut, fv_kv hi, int64_t step, fv_kv *out_hi) {
  const fv_kv zero = fv_kb_i64(kb, 0);
  *out_hi = hi;
  if (!cut)
    return zero;
  const int64_t length = r->stretch * step;
  const fv_kv lo = fv_kb_for(kb, zero, hi, length);
  *out_hi = fv_kb_op(kb, FV_X_MIN, fv_kb_add(kb, lo, fv_kb_i64(kb, length)), hi, FV_K_NONE);
  return lo;
}

static void end_loop(red *r, fv_kb *kb, bool cut) {
  if (!cut)
    return;
  add_stretch(r, kb);
  fv_kb_end(kb);
}

// Along memory: a vector of each chain at a time, then what is left one by one.
static void reduce_along(red *r, const lw_emit *at, uint32_t index, const fv_expr *extent,
                         bool cut) {
  fv_kb *kb = at->k->kb;
  const int64_t step = (int64_t)r->chains * r->lanes;
  const fv_kv all = lw_emit_host(at->k, extent), by = fv_kb_i64(kb, step);
  const fv_kv whole = fv_kb_mul(kb, fv_kb_op(kb, FV_X_FLOORDIV, all, by, FV_K_NONE), by);
  fv_kv hi;
  const fv_kv lo = begin_loop(r, kb, cut, whole, step * lw_sharers(at), &hi);
  reduce_vectors(r, at, index, lo, hi);
  end_loop(r, kb, cut);
  lw_lane_loop(at, r->lanes, index, whole, extent, FV_K_NONE, accumulate, r);
  if (cut)
    add_stretch(r, kb);
}

// The loops of a reduction, the last over lanes when it runs along memory.
static void reduction_loops(red *r, lw_emit *e, const lw_loops *s, bool along) {
  lw_kernel *k = e->k;
  fv_kb *kb = k->kb;
  lw_emit in = *e;
  in.together = r->shared;
  const int n = s->n - (along ? 1 : 0);
  for (int i = 0; i < n; i++) {
    fv_kv hi;
    const bool last = i == s->n - 1;
    const fv_kv all = lw_emit_host(k, s->extent[i]);
    const fv_kv lo = begin_loop(r, kb, i == r->cut, all, last ? lw_sharers(&in) : 1, &hi);
    lw_bind(&in, s->index[i], last ? lw_for(&in, lo, hi, 1) : fv_kb_for(kb, lo, hi, 1));
  }
  if (along) {
    reduce_along(r, &in, s->index[n], s->extent[n], n == r->cut);
  } else if (r->best != FV_K_NONE) {
    accumulate_arg(r, &in);
  } else {
    accumulate(r, &in);
  }
  for (int i = n - 1; i >= 0; i--) {
    fv_kb_end(kb);
    end_loop(r, kb, i == r->cut);
  }
}

// Writes a reduction that others want, too, besides what the kernel does with it.
static void store_reduction(lw_emit *e, const fv_expr *load, fv_kv v) {
  lw_kernel *k = e->k;
  const fv_value *out = k->reduction[lw_reduction_number(load)]->out[0];
  const fv_type t = lw_value_type(k->l, out);
  const int o = lw_operand_of(k, out, lw_value_buffer(k->l, out), &t);
  lw_once once = lw_begin_once(e);
  lw_emit_store(&once.e, k->operand[o].kbuf, fv_type_offset(k->l->pool, &t, load->arg), v);
  lw_end_once(&once);
}

// The halving tree over the parts of n work-items that lie in a buffer.
static fv_kv tree_of_parts(const red *r, lw_kernel *k, int parts, int n) {
  fv_kb *kb = k->kb;
  const fv_scalar_op op = fv_combine_op(r->nest->combine);
  const int lanes = n < 16 ? n : 16;
  fv_kv *v = FV_NEW_N(k->l->arena, fv_kv, (size_t)(n / lanes));
  for (int i = 0; i < n / lanes; i++)
    v[i] = fv_kb_load(kb, parts, fv_kb_i64(kb, (int64_t)i * lanes), lanes, FV_K_NONE);
  for (int half = n / lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      v[i] = fv_kb_op(kb, op, v[i], v[i + half], FV_K_NONE);
  return fv_kb_reduce(kb, op, v[0]);
}

// The whole of what each work-item made a part of. One item joins the parts, so the work of a
// group grows with its items and not with their square, and takes two steps of the group, where
// a tree that items share takes one a level. The first barrier waits for those that still read
// what was there before.
static fv_kv combine_items(const red *r, const lw_emit *e, fv_kv part) {
  lw_kernel *k = e->k;
  fv_kb *kb = k->kb;
  const int n = (int)fv_kb_items(kb);
  if (k->parts[r->t] == 0)  // buffer 0 is what the kernel writes
    k->parts[r->t] = fv_kb_scratch(kb, r->t, fv_x_i64(k->l->pool, n));
  const int parts = k->parts[r->t];
  fv_kb_barrier(kb);
  fv_kb_store(kb, parts, fv_kb_item(kb), part, FV_K_NONE);
  fv_kb_barrier(kb);
  lw_once once = lw_begin_once(e);
  fv_kb_store(kb, parts, fv_kb_i64(kb, 0), tree_of_parts(r, k, parts, n), FV_K_NONE);
  lw_end_once(&once);
  fv_kb_barrier(kb);
  return fv_kb_load(kb, parts, fv_kb_i64(kb, 0), 1, FV_K_NONE);
}

// Emits the reduction that the load stands for and notes its value in rows.
static void emit_reduction(lw_emit *e, const fv_expr *load, struct lw_memo *rows) {
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
  red r = {.nest = nest, .best = FV_K_NONE, .lanes = e->lanes};
  r.value = lw_nest_value(k, n, at);
  lw_ensure_reductions(e, r.value, rows);
  const bool arg = nest->combine == FV_COMBINE_ARG_MAX || nest->combine == FV_COMBINE_ARG_MIN;
  // Of several equal ones the first counts, which parts do not tell: each item finds it.
  r.shared = e->together && !arg && s.n > 0;
  r.chains = r.shared ? 1 : CHAINS;  // other items fill the time of an addition
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
  plan_stretches(&r, p, &s, along && r.lanes > 1);
  begin_stretches(&r, kb);
  reduction_loops(&r, e, &s, along && r.lanes > 1);
  fv_kv v = result_of(&r, kb);
  if (along && r.lanes > 1)
    v = fv_kb_reduce(kb, fv_combine_op(nest->combine), v);
  if (r.shared)
    v = combine_items(&r, e, v);
  const fv_expr *acc = fv_x_load(p, arg ? FV_i64 : (fv_dtype)r.value->dtype, LW_BOUND, 0, NULL);
  lw_emit post = *e;
  post.bound = v;
  lw_emit_move(&post);
  const fv_expr *x = lw_nest_post(k, n, at, acc);
  lw_ensure_reductions(e, x, rows);
  lw_memo_set(k, rows, load, lw_emit_expr(&post, x));
  if (lw_stores(k, n->out[0]))
    store_reduction(e, load, lw_memo_get(rows, load));
}

// Reductions that x needs, in order; those that depend on the lane only where
// there is one.
typedef struct need {
  lw_emit *e;
  const fv_expr **load;
  size_t n, cap;
} need;

static void look_need(void *user, const fv_expr *e) {
  need *d = user;
  if (e->ref & LW_REDUCTION)
    FV_PUSH(d->e->k->l->arena, d->load, d->n, d->cap, e);
}

void lw_ensure_reductions(lw_emit *e, const fv_expr *x, struct lw_memo *rows) {
  need d = {.e = e};
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
      emit_reduction(e, d.load[i], rows);
  }
}
