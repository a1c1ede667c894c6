// SPDX-License-Identifier: Apache-2.0
// Emits composed expressions as kernel instructions, scalar or over lanes.
//
// An element load becomes, by how its offset moves with the lane: one scalar
// load and a splat, a contiguous vector load, or a gather. A load that is not
// proved to be in range stands in an arm of SELECT whose condition excludes
// what is out of range; it is masked by the conditions around it.
#include "lower/emit.h"

#include "ir/expr/expr_walk.h"

int lw_lanes(const lw *l, fv_dtype compute) {
  const int n = (int)(l->target->vector_bits / 8) / fv_dtype_size(compute);
  return n < 1 ? 1 : n > 16 ? 16 : n;
}

uint32_t lw_group_items(const lw *l) {
  uint32_t n = 1;
  while (n <= l->target->group_size / 2)
    n *= 2;
  return n;
}

//===-- Memo: expression -> value, open addressing ----------------------------===//

static size_t memo_slot(const struct lw_memo *m, const fv_expr *x) {
  size_t at = (x->id * 2654435761u) & (m->cap - 1);
  while (m->key[at] && m->key[at] != x)
    at = (at + 1) & (m->cap - 1);
  return at;
}

static void memo_grow(struct lw_memo *m, fv_arena *ar) {
  const struct lw_memo old = *m;
  m->cap = old.cap ? old.cap * 2 : 32;
  m->key = FV_NEW_N(ar, const fv_expr *, m->cap);
  m->value = FV_NEW_N(ar, fv_kv, m->cap);
  for (size_t i = 0; i < old.cap; i++) {
    if (!old.key[i])
      continue;
    const size_t at = memo_slot(m, old.key[i]);
    m->key[at] = old.key[i];
    m->value[at] = old.value[i];
  }
}

void lw_memo_set(lw_kernel *k, struct lw_memo *m, const fv_expr *x, fv_kv v) {
  if (m->n * 2 >= m->cap)
    memo_grow(m, k->l->arena);
  const size_t at = memo_slot(m, x);
  m->n += !m->key[at];
  m->key[at] = x;
  m->value[at] = v;
}

fv_kv lw_memo_get(const struct lw_memo *m, const fv_expr *x) {
  if (!m || !m->cap)
    return FV_K_NONE;
  const size_t at = memo_slot(m, x);
  return m->key[at] ? m->value[at] : FV_K_NONE;
}

//===-- Points ------------------------------------------------------------------===//

void lw_emit_init(lw_emit *e, lw_kernel *k, int lanes, int lane) {
  *e = (lw_emit){.k = k,
                 .lanes = lanes,
                 .lane = lane,
                 .count = FV_K_NONE,
                 .guard = FV_K_NONE,
                 .bound = FV_K_NONE,
                 .together = fv_kb_items(k->kb) > 1};
  lw_emit_move(e);
}

void lw_emit_move(lw_emit *e) {
  e->point = FV_NEW(e->k->l->arena, lw_point);
}

void lw_bind(lw_emit *e, uint32_t index, fv_kv value) {
  lw_binding *b = FV_NEW(e->k->l->arena, lw_binding);
  *b = (lw_binding){.outer = e->indices, .index = index, .value = value};
  e->indices = b;
  lw_emit_move(e);
}

fv_kv lw_index_value(const lw_emit *e, uint32_t index) {
  for (const lw_binding *b = e->indices; b; b = b->outer)
    if (b->index == index)
      return b->value;
  return FV_K_NONE;
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

// The guard of all that e emits: a single lane that is not active is guarded, too.
static fv_kv base_guard(lw_emit *e) {
  fv_kb *kb = e->k->kb;
  if (e->lanes > 1 || e->count == FV_K_NONE)
    return e->guard;
  return and_guard(e, e->guard, fv_kb_op(kb, FV_X_LT, fv_kb_i64(kb, 0), e->count, FV_K_NONE));
}

// What some lane needs is emitted if its guard is on in any of them.
lw_emit lw_scalar_of(lw_emit *e) {
  lw_emit s = *e;
  if (e->lanes == 1)
    return s;
  if (e->guard != FV_K_NONE && fv_kb_lanes(e->k->kb, e->guard) > 1)
    s.guard = fv_kb_reduce(e->k->kb, FV_X_OR, lane_mask(e));
  s.lanes = 1;
  s.lane = -1;
  s.count = FV_K_NONE;
  if (!e->point->scalar)  // the same expression has another value over lanes
    e->point->scalar = FV_NEW(e->k->l->arena, lw_point);
  s.point = e->point->scalar;
  return s;
}

// Where numbers of dims are exact: offsets and conditions.
fv_kv lw_emit_exact(const lw_emit *e, const fv_expr *x) {
  lw_emit s = *e;
  s.exact = true;
  return lw_emit_expr(&s, x);
}

//===-- Loads -------------------------------------------------------------------===//

// How an i64 expression moves with the lane index.
typedef enum motion { INVARIANT, LINEAR, FREE } motion;

static motion motion_of(lw_emit *e, const fv_expr *x, int64_t *step) {
  lw *l = e->k->l;
  if (e->lane < 0 || !fv_x_uses_index(l->pool, x, (uint32_t)e->lane))
    return INVARIANT;
  return lw_step(l, x, (uint32_t)e->lane, step) ? LINEAR : FREE;
}

static fv_kv to_compute(lw_kernel *k, fv_kv v) {
  return fv_kb_cast(k->kb, fv_dtype_compute(fv_kb_dtype(k->kb, v)), v);
}

// Is the offset an element of the operand?
static fv_kv in_range(lw_emit *e, const lw_operand *o, fv_kv at) {
  fv_kb *kb = e->k->kb;
  const fv_kv size = lw_emit_host(e->k, fv_type_stored(e->k->l->pool, &o->type));
  const fv_kv low = fv_kb_op(kb, FV_X_LE, fv_kb_i64(kb, 0), at, FV_K_NONE);
  return fv_kb_op(kb, FV_X_AND, low, fv_kb_op(kb, FV_X_LT, at, size, FV_K_NONE), FV_K_NONE);
}

// What is not to be read is replaced by element 0, if there is one for sure.
static fv_kv load_scalar(lw_emit *e, const lw_operand *o, const fv_expr *offset, bool guarded) {
  fv_kb *kb = e->k->kb;
  fv_xpool *p = e->k->l->pool;
  lw_emit s = lw_scalar_of(e);
  const fv_kv at = lw_emit_exact(&s, offset);
  fv_kv on = base_guard(&s);
  if (!guarded || (on == FV_K_NONE && !e->own_range))
    return fv_kb_load(kb, o->kbuf, at, 1, FV_K_NONE);
  if (e->own_range)
    on = and_guard(e, on, in_range(e, o, at));
  if (fv_x_range(p, fv_type_stored(p, &o->type), NULL, 0).lo >= 1)
    return fv_kb_load(kb, o->kbuf, fv_kb_op(kb, FV_X_SELECT, on, at, fv_kb_i64(kb, 0)), 1,
                      FV_K_NONE);
  const fv_kv count = fv_kb_op(kb, FV_X_SELECT, on, fv_kb_i64(kb, 1), fv_kb_i64(kb, 0));
  return fv_kb_load(kb, o->kbuf, at, 1, count);
}

static fv_kv load_contiguous(lw_emit *e, const lw_operand *o, const fv_expr *offset, bool guarded) {
  fv_kb *kb = e->k->kb;
  lw_emit s = lw_scalar_of(e);
  const fv_kv at = lw_emit_exact(&s, offset);
  fv_kv count = e->count;
  if (guarded && e->guard != FV_K_NONE) {
    const fv_kv all = count == FV_K_NONE ? fv_kb_i64(kb, e->lanes) : count;
    count = fv_kb_op(kb, FV_X_SELECT, e->guard, all, fv_kb_i64(kb, 0));
  }
  return fv_kb_load(kb, o->kbuf, at, e->lanes, count);
}

static fv_kv load_gather(lw_emit *e, const lw_operand *o, const fv_expr *offset, bool guarded) {
  fv_kb *kb = e->k->kb;
  int64_t step = 0;
  fv_kv at, mask = FV_K_NONE;
  const motion m = motion_of(e, offset, &step);
  if (m != FREE) {
    lw_emit s = lw_scalar_of(e);
    at = fv_kb_ramp(kb, lw_emit_exact(&s, offset), step, e->lanes);
  } else {
    at = fv_kb_splat(kb, lw_emit_exact(e, offset), e->lanes);
  }
  if (guarded)
    mask = lane_mask(e);
  else if (e->count != FV_K_NONE)
    mask = active_lanes(e);
  if (guarded && e->own_range)
    mask = and_guard(e, mask, in_range(e, o, at));
  return fv_kb_gather(kb, o->kbuf, at, mask);
}

static fv_kv emit_load(lw_emit *e, const fv_expr *x) {
  lw_kernel *k = e->k;
  if (x->ref & LW_BOUND)
    return e->bound;
  if (x->ref & LW_REDUCTION)
    return lw_memo_get(e->rows, x);
  const lw_operand *o = &k->operand[lw_operand_number(x)];
  const bool single = e->lanes == 1 && e->count != FV_K_NONE;  // the lane may be off
  const bool guarded = single || (x->ref & LW_UNPROVED);
  int64_t step = 0;
  const motion m = e->lanes > 1 ? motion_of(e, x->arg[0], &step) : INVARIANT;
  const bool by_lane =
      guarded && e->lanes > 1 &&
      (e->own_range || (e->guard != FV_K_NONE && fv_kb_lanes(k->kb, e->guard) > 1));
  if (m == INVARIANT && !by_lane)
    return to_compute(k, load_scalar(e, o, x->arg[0], guarded));
  if (m == LINEAR && step == 1 && !by_lane)
    return to_compute(k, load_contiguous(e, o, x->arg[0], guarded));
  return to_compute(k, load_gather(e, o, x->arg[0], guarded));
}

//===-- Where each part of an expression is needed -----------------------------===//

// Arms of SELECT make a tree of scopes. A part is emitted once, for the widest
// scope that the scopes of its uses agree on: one of them that contains the
// others, or the scope around a SELECT both of whose arms use it. If they agree
// on none, the conditions say nothing about it together, and each unproved load
// in it checks its own range (`own_range`).
typedef struct scope {
  struct scope *parent;
  const fv_expr *select;  // NULL: of the whole expression, or of no condition
  int arm, depth;
  bool own_range;
  bool known;
  fv_kv guard;  // if known
} scope;

typedef struct part {
  fv_kv value;
  scope *scope;   // NULL: nobody needs it
  bool unproved;  // it has an unproved load in it
  bool on_host;   // it is an integer that the host computes
} part;

typedef struct emission {
  lw_emit *e;
  fv_xwalk walk;
  part *part;  // by position in the walk
  scope *outer;
} emission;

static scope *new_scope(emission *m, scope *parent, const fv_expr *select, int arm) {
  scope *s = FV_NEW(m->e->k->l->arena, scope);
  *s = (scope){.parent = parent, .select = select, .arm = arm, .depth = parent->depth + 1};
  s->own_range = parent->own_range;
  return s;
}

static scope *merge(emission *m, scope *a, scope *b) {
  if (!a || a == b)
    return b;
  scope *x = a, *y = b, *last_x = NULL, *last_y = NULL;
  while (x != y) {
    if (x->depth >= y->depth)
      last_x = x, x = x->parent;
    else
      last_y = y, y = y->parent;
  }
  if (x == a || x == b)
    return x;
  if (last_x->select && last_x == a && last_y == b && last_x->select == last_y->select)
    return x;
  scope *none = new_scope(m, x, NULL, 0);
  none->own_range = true;
  return none;
}

static void need(emission *m, const fv_expr *x, scope *s) {
  const size_t at = fv_xwalk_find(&m->walk, x);
  if (at != FV_XWALK_NONE)
    m->part[at].scope = merge(m, m->part[at].scope, s);
}

// Integers of dims are computed by the host, which tells what does not fit 64 bits. Elements
// wrap around: only such as always fit are the host's.
static bool host_takes(const emission *m, const fv_expr *x) {
  if (x->dtype != FV_i64 || fv_x_has(x, FV_XF_INDEX | FV_XF_LOAD))
    return false;
  if (m->e->exact || x->n == 0)
    return true;
  const fv_range r = fv_x_range(m->e->k->l->pool, x, NULL, 0);
  bool fits = r.lo > INT64_MIN && r.hi < INT64_MAX;
  for (int k = 0; k < x->n && fits; k++) {
    const size_t at = fv_xwalk_find(&m->walk, x->arg[k]);
    fits = at != FV_XWALK_NONE ? m->part[at].on_host : x->arg[k]->kind == FV_E_LIT;
  }
  return fits;
}

// Parts whose value is there or is made in one go.
static bool is_leaf(const emission *m, size_t at) {
  const fv_expr *x = m->walk.order[at];
  return x->n == 0 || x->kind == FV_E_LOAD || m->part[at].on_host;
}

static void find_kinds(emission *m) {
  for (size_t i = 0; i < m->walk.n; i++) {
    const fv_expr *x = m->walk.order[i];
    bool u = x->kind == FV_E_LOAD && (x->ref & LW_UNPROVED);
    for (int k = 0; k < x->n && !u; k++) {
      const size_t at = fv_xwalk_find(&m->walk, x->arg[k]);
      u = at != FV_XWALK_NONE && m->part[at].unproved;
    }
    m->part[i].unproved = u;
    m->part[i].on_host = host_takes(m, x);
  }
}

// Users come after what they use: from the last to the first each part knows
// all scopes that need it.
static void find_scopes(emission *m) {
  for (size_t i = m->walk.n; i-- > 0;) {
    const fv_expr *x = m->walk.order[i];
    part *q = &m->part[i];
    if (!q->scope)
      continue;
    q->value = lw_memo_get(&m->e->point->memo[m->e->exact], x);
    if (q->value != FV_K_NONE || is_leaf(m, i))
      continue;
    const bool lazy = x->op == FV_X_SELECT && q->unproved;
    for (int k = 0; k < x->n; k++)
      need(m, x->arg[k], lazy && k > 0 ? new_scope(m, q->scope, x, k) : q->scope);
  }
}

//===-- Expressions -----------------------------------------------------------===//

fv_kv lw_emit_host(lw_kernel *k, const fv_expr *x) {
  return fv_kb_host(k->kb, x);
}

static fv_kv emit_index(lw_emit *e, const fv_expr *x) {
  const fv_kv base = lw_index_value(e, x->ref);
  FV_CHECK(e->k->l->arena, base != FV_K_NONE);
  if (e->lanes > 1 && (int)x->ref == e->lane)
    return fv_kb_ramp(e->k->kb, base, 1, e->lanes);
  return base;
}

static fv_kv emit_lit(lw_emit *e, const fv_expr *x) {
  const fv_dtype t = fv_dtype_compute((fv_dtype)x->dtype);
  return fv_dtype_is_float(t) ? fv_kb_const_f(e->k->kb, t, 1, x->lit.f)
                              : fv_kb_const_i(e->k->kb, t, 1, x->lit.i);
}

// Integer literals whose sum or product does not fold, as it does not fit.
static fv_kv emit_literals(lw_emit *e, const fv_expr *x) {
  if (e->exact)
    return lw_emit_host(e->k, x);
  lw_kernel *k = e->k;
  struct lw_memo *memo = &e->point->memo[false];
  const fv_expr **stack = NULL;
  size_t n = 0, cap = 0;
  FV_PUSH(k->l->arena, stack, n, cap, x);
  while (n) {
    const fv_expr *top = stack[n - 1], *first = NULL;
    fv_kv a[3] = {FV_K_NONE, FV_K_NONE, FV_K_NONE};
    for (int i = 0; i < top->n && !first; i++) {
      a[i] =
          top->arg[i]->kind == FV_E_LIT ? emit_lit(e, top->arg[i]) : lw_memo_get(memo, top->arg[i]);
      first = a[i] == FV_K_NONE ? top->arg[i] : NULL;
    }
    if (first) {
      FV_PUSH(k->l->arena, stack, n, cap, first);
      continue;
    }
    lw_memo_set(k, memo, top, fv_kb_op(k->kb, (fv_scalar_op)top->op, a[0], a[1], a[2]));
    n--;
  }
  return lw_memo_get(memo, x);
}

// The value of an argument that has been emitted; FV_K_NONE: not yet.
static fv_kv value_of(const emission *m, const fv_expr *x) {
  if (x->kind == FV_E_LIT)
    return emit_lit(m->e, x);
  const size_t at = fv_xwalk_find(&m->walk, x);
  return at == FV_XWALK_NONE ? emit_literals(m->e, x) : m->part[at].value;
}

// The guard of a scope whose conditions have been emitted.
static fv_kv guard_of(emission *m, scope *s) {
  fv_kb *kb = m->e->k->kb;
  while (!s->known) {
    scope *next = s;
    while (!next->parent->known)
      next = next->parent;
    next->known = true;
    next->guard = next->parent->guard;
    if (!next->select)
      continue;
    fv_kv cond = value_of(m, next->select->arg[0]);
    if (next->arm == 2)
      cond = fv_kb_op(kb, FV_X_NOT, cond, FV_K_NONE, FV_K_NONE);
    next->guard = and_guard(m->e, next->guard, cond);
  }
  return s->guard;
}

static fv_kv emit_op(const emission *m, const fv_expr *x) {
  fv_kb *kb = m->e->k->kb;
  fv_kv a[3] = {FV_K_NONE, FV_K_NONE, FV_K_NONE};
  for (int i = 0; i < x->n; i++)
    a[i] = value_of(m, x->arg[i]);
  if (x->op == FV_X_CAST) {
    // A cast to a storage-only type rounds; the computation goes on in f32.
    const fv_kv r = fv_kb_cast(kb, (fv_dtype)x->dtype, a[0]);
    return to_compute(m->e->k, r);
  }
  if (x->op == FV_X_BITCAST)
    return fv_kb_bitcast(kb, (fv_dtype)x->dtype, a[0]);
  return fv_kb_op(kb, (fv_scalar_op)x->op, a[0], a[1], a[2]);
}

static fv_kv emit_part(emission *m, size_t at) {
  const fv_expr *x = m->walk.order[at];
  part *q = &m->part[at];
  if (x->kind == FV_E_INDEX)
    return emit_index(m->e, x);
  if (q->on_host)
    return lw_emit_host(m->e->k, x);
  if (x->kind != FV_E_LOAD)
    return emit_op(m, x);
  lw_emit e = *m->e;
  if (q->unproved) {
    e.guard = guard_of(m, q->scope);
    e.own_range = q->scope->own_range;
  } else {
    e.guard = FV_K_NONE;
    e.own_range = false;
  }
  return emit_load(&e, x);
}

// What must be emitted before part `at`, or FV_XWALK_NONE: arguments, and
// conditions around an unproved load.
static size_t missing(const emission *m, size_t at) {
  const fv_expr *x = m->walk.order[at];
  if (!is_leaf(m, at)) {
    for (int k = 0; k < x->n; k++)
      if (x->arg[k]->kind != FV_E_LIT && value_of(m, x->arg[k]) == FV_K_NONE)
        return fv_xwalk_find(&m->walk, x->arg[k]);
  } else if (x->kind == FV_E_LOAD && m->part[at].unproved) {
    for (const scope *s = m->part[at].scope; s && !s->known; s = s->parent)
      if (s->select && value_of(m, s->select->arg[0]) == FV_K_NONE)
        return fv_xwalk_find(&m->walk, s->select->arg[0]);
  }
  return FV_XWALK_NONE;
}

static fv_kv emit_parts(emission *m) {
  fv_arena *ar = m->e->k->l->arena;
  size_t *stack = NULL, n = 0, cap = 0;
  const size_t root = m->walk.n - 1;
  FV_PUSH(ar, stack, n, cap, root);
  while (n) {
    const size_t at = stack[n - 1];
    part *q = &m->part[at];
    const size_t first = q->value == FV_K_NONE ? missing(m, at) : FV_XWALK_NONE;
    if (first != FV_XWALK_NONE) {
      FV_CHECK(ar, n <= m->walk.n);  // conditions never wait for what they guard
      FV_PUSH(ar, stack, n, cap, first);
      continue;
    }
    n--;
    if (q->value != FV_K_NONE)
      continue;
    q->value = emit_part(m, at);
    // What is right under its guard alone is of no use to the next expression.
    if (!q->unproved ||
        (q->scope == m->outer && m->outer->guard == FV_K_NONE && !m->outer->own_range))
      lw_memo_set(m->e->k, &m->e->point->memo[m->e->exact], m->walk.order[at], q->value);
  }
  return m->part[root].value;
}

// Recursion: an offset is an expression of its own; it is as deep as loads stand
// in the offsets of loads, which the depth of a group bounds.
fv_kv lw_emit_expr(lw_emit *e, const fv_expr *x) {
  if (x->kind == FV_E_LIT)
    return emit_lit(e, x);
  const fv_kv made = lw_memo_get(&e->point->memo[e->exact], x);
  if (made != FV_K_NONE)
    return made;
  fv_arena *ar = e->k->l->arena;
  emission m = {.e = e};
  fv_xwalk_init(&m.walk, e->k->l->pool);
  fv_xwalk_postorder(&m.walk, x, FV_XF_SYM | FV_XF_INDEX | FV_XF_LOAD);
  if (m.walk.n == 0)
    return emit_literals(e, x);
  m.part = FV_NEW_N(ar, part, m.walk.n);
  for (size_t i = 0; i < m.walk.n; i++)
    m.part[i].value = FV_K_NONE;
  m.outer = FV_NEW(ar, scope);
  *m.outer = (scope){.known = true, .guard = base_guard(e), .own_range = e->own_range};
  m.part[m.walk.n - 1].scope = m.outer;
  find_kinds(&m);
  find_scopes(&m);
  return emit_parts(&m);
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
  lw_emit s = lw_scalar_of(e);
  if (e->lanes == 1) {
    fv_kb_store(kb, kbuf, lw_emit_exact(&s, offset), v, e->count);
    return;
  }
  v = fv_kb_splat(kb, v, e->lanes);
  if (m == LINEAR && step == 1) {
    fv_kb_store(kb, kbuf, lw_emit_exact(&s, offset), v, e->count);
    return;
  }
  const fv_kv at = m == LINEAR ? fv_kb_ramp(kb, lw_emit_exact(&s, offset), step, e->lanes)
                               : fv_kb_splat(kb, lw_emit_exact(e, offset), e->lanes);
  fv_kb_scatter(kb, kbuf, at, v, lane_mask(e));
}
