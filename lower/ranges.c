// SPDX-License-Identifier: Apache-2.0
// Symbols that the run sets: between which values they lie, and the largest value
// of what depends on them.
#include "ir/sem/sem.h"
#include "lower/lower.h"

typedef struct sought {
  const fv_lentry *e;
  size_t range;  // 1 + number of the last range whose symbol was seen
} sought;

static const fv_expr *note_symbol(void *user, const fv_expr *x) {
  sought *s = user;
  const size_t at = x->kind == FV_E_SYM && x->ref < s->e->n_symbol ? s->e->range_of[x->ref] : 0;
  s->range = at > s->range ? at : s->range;
  return x;
}

// The end of the range at which x is largest; a number if x does not grow or fall.
static const fv_expr *largest(fv_xpool *p, const fv_expr *x, const fv_lrange *r) {
  const fv_expr *next = fv_x_add(p, fv_x_sym(p, r->symbol), fv_x_i64(p, 1));
  next = fv_x_subst_sym(p, x, r->symbol, next);
  if (fv_prove_le(p, x, next) == FV_YES)
    return fv_x_subst_sym(p, x, r->symbol, r->hi);
  if (fv_prove_le(p, next, x) == FV_YES)
    return fv_x_subst_sym(p, x, r->symbol, r->lo);
  return fv_x_i64(p, fv_x_range(p, x, NULL, 0).hi);
}

const fv_expr *fv_lower_bound(fv_xpool *p, const fv_lentry *e, const fv_expr *x) {
  for (;;) {
    sought s = {.e = e};
    if (e->n_range)
      (void)fv_x_rewrite(p, x, note_symbol, &s);
    if (!s.range)
      return x;
    x = largest(p, x, &e->range[s.range - 1]);
  }
}

typedef struct ranging {
  fv_arena *arena;
  fv_xpool *pool;
  fv_lentry *e;
} ranging;

static const fv_expr *at_most(const ranging *l, const fv_expr *a, const fv_expr *b) {
  return fv_prove_le(l->pool, a, b) == FV_YES   ? b
         : fv_prove_le(l->pool, b, a) == FV_YES ? a
                                                : fv_x_op(l->pool, FV_X_MAX, a, b, NULL);
}

static const fv_expr *at_least(const ranging *l, const fv_expr *a, const fv_expr *b) {
  return fv_prove_le(l->pool, a, b) == FV_YES   ? a
         : fv_prove_le(l->pool, b, a) == FV_YES ? b
                                                : fv_x_op(l->pool, FV_X_MIN, a, b, NULL);
}

// Loops of one definition share their counter: a symbol lies in all of its ranges together.
static void add_range(const ranging *l, int64_t symbol, const fv_expr *lo, const fv_expr *hi) {
  fv_lentry *e = l->e;
  while (e->n_symbol <= (size_t)symbol)
    FV_PUSH(l->arena, e->range_of, e->n_symbol, e->cap_symbol, 0);
  if (e->range_of[symbol]) {
    const fv_lrange *before = &e->range[e->range_of[symbol] - 1];
    lo = at_least(l, before->lo, lo);
    hi = at_most(l, before->hi, hi);
  }
  const fv_lrange r = {(uint32_t)symbol, lo, hi};
  FV_PUSH(l->arena, e->range, e->n_range, e->cap_range, r);
  e->range_of[symbol] = e->n_range;
}

static void ranges_of_loop(const ranging *l, const fv_node *n) {
  const fv_expr *zero = fv_x_i64(l->pool, 0), *trips = fv_attr_get(n, "trips")->x;
  const fv_expr *last = fv_x_sub(l->pool, trips, fv_x_i64(l->pool, 1));
  add_range(l, fv_attr_int(n, "counter"), zero, at_most(l, zero, last));
  if (fv_attr_int(n, "count") >= 0)
    add_range(l, fv_attr_int(n, "count"), zero, trips);
}

static void ranges_of_if(const ranging *l, const fv_node *n) {
  const fv_attr *symbols = fv_attr_get(n, "symbols");
  int at = 0;
  for (int i = 0; i < n->n_out; i++)
    for (int d = 0; d < n->out[i]->type.rank; d++, at++)
      if (at < symbols->n && symbols->ints[at] >= 0)
        add_range(
            l, symbols->ints[at], fv_x_i64(l->pool, 0),
            at_most(l, n->body[0]->result[i]->type.dim[d], n->body[1]->result[i]->type.dim[d]));
}

static void ranges_of_node(const ranging *l, const fv_node *n) {
  for (int i = 0; i < n->meaning->n_defined; i++) {
    const fv_defined *d = &n->meaning->defined[i];
    add_range(l, d->symbol, fv_x_i64(l->pool, fv_symbol_get(l->pool, d->symbol)->min), d->max);
  }
}

void fv_lower_ranges(fv_arena *ar, fv_lentry *e, const fv_graph *g) {
  const ranging l = {ar, g->module->pool, e};
  fv_walk w = {.top = g->region};
  while (fv_walk_step(&w)) {
    if (w.event == FV_WALK_ENTER && w.node->meaning)
      ranges_of_node(&l, w.node);
    else if (w.event == FV_WALK_ENTER && w.node->op == FV_OP_loop)
      ranges_of_loop(&l, w.node);
    else if (w.event == FV_WALK_LEAVE && w.node->op == FV_OP_if)
      ranges_of_if(&l, w.node);
  }
}
