// SPDX-License-Identifier: Apache-2.0
// Emits composed expressions as kernel instructions, scalar or over lanes.
//
// An element load becomes, by how its offset moves with the lane: one scalar
// load and a splat, a contiguous vector load, or a gather. Loads in a lazy arm
// of SELECT are made safe by the arm's condition.
#include <string.h>

#include "lower/internal.h"

int lw_lanes(const lw *l, fv_dtype compute) {
  const int n = (int)(l->target->vector_bits / 8) / fv_dtype_size(compute);
  return n < 1 ? 1 : n > 16 ? 16 : n;
}

//===-- Memo: expression -> value, open addressing ----------------------------===//

static fv_kv *memo_find(struct lw_memo *m, fv_arena *ar, const fv_expr *x) {
  if (m->n * 2 >= m->cap) {
    const struct lw_memo old = *m;
    m->cap = old.cap ? old.cap * 2 : 64;
    m->key = FV_NEW_N(ar, const fv_expr *, m->cap);
    m->value = FV_NEW_N(ar, fv_kv, m->cap);
    for (size_t i = 0; i < old.cap; i++) {
      if (!old.key[i])
        continue;
      size_t at = (old.key[i]->id * 2654435761u) & (m->cap - 1);
      while (m->key[at])
        at = (at + 1) & (m->cap - 1);
      m->key[at] = old.key[i];
      m->value[at] = old.value[i];
    }
  }
  size_t at = (x->id * 2654435761u) & (m->cap - 1);
  while (m->key[at] && m->key[at] != x)
    at = (at + 1) & (m->cap - 1);
  if (!m->key[at]) {
    m->key[at] = x;
    m->value[at] = FV_K_NONE;
    m->n++;
  }
  return &m->value[at];
}

void lw_memo_set(lw_kernel *k, struct lw_memo *m, const fv_expr *x, fv_kv v) {
  *memo_find(m, k->l->arena, x) = v;
}

fv_kv lw_memo_get(const struct lw_memo *m, const fv_expr *x) {
  if (!m || !m->cap)
    return FV_K_NONE;
  size_t at = (x->id * 2654435761u) & (m->cap - 1);
  while (m->key[at] && m->key[at] != x)
    at = (at + 1) & (m->cap - 1);
  return m->key[at] ? m->value[at] : FV_K_NONE;
}

void lw_emit_init(lw_emit *e, lw_kernel *k, int lanes, int lane) {
  memset(e, 0, sizeof *e);
  e->k = k;
  e->lanes = lanes;
  e->lane = lane;
  e->count = e->guard = e->bound = FV_K_NONE;
  for (int i = 0; i < LW_MAX_INDEX; i++)
    e->index[i] = FV_K_NONE;
  e->memo = FV_NEW(k->l->arena, struct lw_memo);
}

//===-- Guards ------------------------------------------------------------------===//

static fv_kv and_guard(lw_emit *e, fv_kv g, fv_kv cond) {
  return g == FV_K_NONE ? cond : fv_kb_op(e->k->kb, FV_X_AND, g, cond, FV_K_NONE);
}

// True for the lanes below count, as a vector.
static fv_kv active_lanes(lw_emit *e) {
  fv_kb *kb = e->k->kb;
  const fv_kv lane = fv_kb_ramp(kb, fv_kb_i64(kb, 0), 1, e->lanes);
  return fv_kb_op(kb, FV_X_LT, lane, e->count, FV_K_NONE);
}

// Mask of a gather: guard and active lanes; FV_K_NONE if all are on.
static fv_kv lane_mask(lw_emit *e) {
  fv_kv m = e->guard;
  if (e->count != FV_K_NONE)
    m = and_guard(e, m, active_lanes(e));
  return m == FV_K_NONE ? m : fv_kb_splat(e->k->kb, m, e->lanes);
}

// An emitter for the lane-invariant parts: same indices, scalar, own memo. What
// some lane needs is emitted if its guard is on in any of them.
static lw_emit scalar_of(lw_emit *e) {
  lw_emit s = *e;
  s.lanes = 1;
  s.lane = -1;
  s.count = FV_K_NONE;
  if (e->guard != FV_K_NONE && fv_kb_lanes(e->k->kb, e->guard) > 1)
    s.guard = fv_kb_reduce(e->k->kb, FV_X_OR, lane_mask(e));
  if (e->lanes > 1)  // the same expression has another value over lanes
    s.memo = FV_NEW(e->k->l->arena, struct lw_memo);
  return s;
}

//===-- Loads -------------------------------------------------------------------===//

// How an i64 expression moves with the lane index.
typedef enum motion { INVARIANT, LINEAR, FREE } motion;

static motion motion_of(lw_emit *e, const fv_expr *x, int64_t *step) {
  fv_xpool *p = e->k->l->pool;
  if (e->lane < 0 || !fv_x_uses_index(p, x, (uint32_t)e->lane))
    return INVARIANT;
  const fv_expr *sub[LW_MAX_INDEX] = {0};
  sub[e->lane] = fv_x_add(p, fv_x_index(p, (uint32_t)e->lane), fv_x_i64(p, 1));
  const fv_expr *next = fv_x_subst_index(p, x, sub, (uint32_t)e->lane + 1);
  return fv_x_is_lit(fv_x_sub(p, next, x), step) ? LINEAR : FREE;
}

static fv_kv to_compute(lw_kernel *k, fv_kv v) {
  return fv_kb_cast(k->kb, fv_dtype_compute(fv_kb_dtype(k->kb, v)), v);
}

static fv_kv load_scalar(lw_emit *e, int kbuf, const fv_expr *offset) {
  fv_kb *kb = e->k->kb;
  lw_emit s = scalar_of(e);
  fv_kv at = lw_emit_expr(&s, offset);
  if (e->guard != FV_K_NONE && fv_kb_lanes(kb, e->guard) == 1)
    at = fv_kb_op(kb, FV_X_SELECT, e->guard, at, fv_kb_i64(kb, 0));
  return fv_kb_load(kb, kbuf, at, 1, FV_K_NONE);
}

static fv_kv load_contiguous(lw_emit *e, int kbuf, const fv_expr *offset) {
  fv_kb *kb = e->k->kb;
  lw_emit s = scalar_of(e);
  const fv_kv at = lw_emit_expr(&s, offset);
  fv_kv count = e->count;
  if (e->guard != FV_K_NONE) {
    const fv_kv all = count == FV_K_NONE ? fv_kb_i64(kb, e->lanes) : count;
    count = fv_kb_op(kb, FV_X_SELECT, e->guard, all, fv_kb_i64(kb, 0));
  }
  return fv_kb_load(kb, kbuf, at, e->lanes, count);
}

static fv_kv load_gather(lw_emit *e, int kbuf, const fv_expr *offset) {
  fv_kb *kb = e->k->kb;
  int64_t step;
  fv_kv at;
  if (motion_of(e, offset, &step) == LINEAR) {
    lw_emit s = scalar_of(e);
    at = fv_kb_ramp(kb, lw_emit_expr(&s, offset), step, e->lanes);
  } else {
    at = fv_kb_splat(kb, lw_emit_expr(e, offset), e->lanes);
  }
  return fv_kb_gather(kb, kbuf, at, lane_mask(e));
}

static fv_kv emit_load(lw_emit *e, const fv_expr *x) {
  lw_kernel *k = e->k;
  if (x->ref == LW_BOUND)
    return e->bound;
  if (x->ref >= LW_REDUCTION)
    return lw_memo_get(e->rows, x);
  const int kbuf = k->operand[x->ref].kbuf;
  int64_t step = 0;
  const motion m = e->lanes > 1 ? motion_of(e, x->arg[0], &step) : INVARIANT;
  const bool lane_guard = e->guard != FV_K_NONE && fv_kb_lanes(k->kb, e->guard) > 1;
  if (m == INVARIANT && !lane_guard)
    return to_compute(k, load_scalar(e, kbuf, x->arg[0]));
  if (m == LINEAR && step == 1 && !lane_guard)
    return to_compute(k, load_contiguous(e, kbuf, x->arg[0]));
  return to_compute(k, load_gather(e, kbuf, x->arg[0]));
}

//===-- Expressions -----------------------------------------------------------===//

fv_kv lw_emit_host(lw_kernel *k, const fv_expr *x) {
  return fv_kb_host(k->kb, x);
}

static fv_kv emit_index(lw_emit *e, const fv_expr *x) {
  const fv_kv base = e->index[x->ref];
  if (e->lanes > 1 && (int)x->ref == e->lane)
    return fv_kb_ramp(e->k->kb, base, 1, e->lanes);
  return base;
}

static fv_kv emit_lit(lw_emit *e, const fv_expr *x) {
  const fv_dtype t = fv_dtype_compute((fv_dtype)x->dtype);
  return fv_dtype_is_float(t) ? fv_kb_const_f(e->k->kb, t, 1, x->lit.f)
                              : fv_kb_const_i(e->k->kb, t, 1, x->lit.i);
}

// Condition first; each arm under its guard. Values made under a guard are
// right only there, so an arm that loads has a memo of its own.
static fv_kv emit_select(lw_emit *e, const fv_expr *x) {
  fv_kb *kb = e->k->kb;
  const fv_kv cond = lw_emit_expr(e, x->arg[0]);
  fv_kv arm[2];
  for (int i = 0; i < 2; i++) {
    lw_emit a = *e;
    const fv_kv here = i == 0 ? cond : fv_kb_op(kb, FV_X_NOT, cond, FV_K_NONE, FV_K_NONE);
    a.guard = and_guard(e, e->guard, here);
    a.memo = FV_NEW(e->k->l->arena, struct lw_memo);
    arm[i] = lw_emit_expr(&a, x->arg[i + 1]);
  }
  return fv_kb_op(kb, FV_X_SELECT, cond, arm[0], arm[1]);
}

static fv_kv emit_op(lw_emit *e, const fv_expr *x) {
  fv_kb *kb = e->k->kb;
  if (x->op == FV_X_SELECT)
    return emit_select(e, x);
  fv_kv a[3] = {FV_K_NONE, FV_K_NONE, FV_K_NONE};
  for (int i = 0; i < x->n; i++)
    a[i] = lw_emit_expr(e, x->arg[i]);
  if (x->op == FV_X_CAST) {
    // A cast to a storage-only type rounds; the computation goes on in f32.
    const fv_kv r = fv_kb_cast(kb, (fv_dtype)x->dtype, a[0]);
    return to_compute(e->k, r);
  }
  if (x->op == FV_X_BITCAST)
    return fv_kb_bitcast(kb, (fv_dtype)x->dtype, a[0]);
  return fv_kb_op(kb, (fv_scalar_op)x->op, a[0], a[1], a[2]);
}

// Recursion is bounded: an expression is as deep as a group is long.
fv_kv lw_emit_expr(lw_emit *e, const fv_expr *x) {
  if (x->kind == FV_E_LIT)
    return emit_lit(e, x);
  if (x->kind == FV_E_INDEX)
    return emit_index(e, x);
  if (x->dtype == FV_i64 && !fv_x_has(x, FV_XF_INDEX | FV_XF_LOAD))
    return lw_emit_host(e->k, x);
  fv_kv v = lw_memo_get(e->memo, x);
  if (v != FV_K_NONE)
    return v;
  v = x->kind == FV_E_LOAD ? emit_load(e, x) : emit_op(e, x);
  lw_memo_set(e->k, e->memo, x, v);
  return v;
}

//===-- Stores ------------------------------------------------------------------===//

fv_kv lw_emit_to_storage(lw_kernel *k, fv_kv v, fv_dtype storage) {
  return fv_kb_cast(k->kb, storage, v);
}

void lw_emit_store(lw_emit *e, int kbuf, const fv_expr *offset, fv_kv v) {
  fv_kb *kb = e->k->kb;
  v = lw_emit_to_storage(e->k, v, fv_kb_buffer_dtype(kb, kbuf));
  int64_t step = 0;
  const motion m = e->lanes > 1 ? motion_of(e, offset, &step) : INVARIANT;
  lw_emit s = scalar_of(e);
  if (e->lanes == 1) {
    fv_kb_store(kb, kbuf, lw_emit_expr(&s, offset), v, FV_K_NONE);
    return;
  }
  v = fv_kb_splat(kb, v, e->lanes);
  if (m == LINEAR && step == 1) {
    fv_kb_store(kb, kbuf, lw_emit_expr(&s, offset), v, e->count);
    return;
  }
  const fv_kv at = m == LINEAR ? fv_kb_ramp(kb, lw_emit_expr(&s, offset), step, e->lanes)
                               : fv_kb_splat(kb, lw_emit_expr(e, offset), e->lanes);
  fv_kb_scatter(kb, kbuf, at, v, lane_mask(e));
}
