// SPDX-License-Identifier: Apache-2.0
//
// Expressions over the trips of a loop.
#include "ir/graph/loop.h"

static uint32_t counter_of(const fv_node *loop) {
  return (uint32_t)fv_attr_int(loop, "counter");
}

static fv_xpool *pool_of(const fv_node *loop) {
  return loop->region->graph->module->pool;
}

static const fv_expr *at_trip(const fv_node *loop, const fv_expr *e, const fv_expr *trip) {
  return fv_x_subst_sym(pool_of(loop), e, counter_of(loop), trip);
}

static const fv_expr *in_next_trip(const fv_node *loop, const fv_expr *e) {
  fv_xpool *p = pool_of(loop);
  return at_trip(loop, e, fv_x_add(p, fv_x_sym(p, counter_of(loop)), fv_x_i64(p, 1)));
}

// The least or largest value of e in any trip, or NULL. What rises or falls steadily has it in the
// first trip or in the last, whose number may be a symbol.
static const fv_expr *extreme(const fv_node *loop, const fv_expr *e, bool largest) {
  fv_xpool *p = pool_of(loop);
  const fv_expr *next = in_next_trip(loop, e);
  if (next == e)
    return e;
  const bool rises = fv_prove_le(p, e, next) == FV_YES;
  if (rises || fv_prove_le(p, next, e) == FV_YES) {
    const fv_expr *last = fv_x_sub(p, fv_attr_get(loop, "trips")->x, fv_x_i64(p, 1));
    return at_trip(loop, e, rises == largest ? last : fv_x_i64(p, 0));
  }
  const fv_range r = fv_x_range(p, e, NULL, 0);
  if (r.lo == INT64_MIN || r.hi == INT64_MAX)
    return NULL;
  return fv_x_i64(p, largest ? r.hi : r.lo);
}

bool fv_loop_widen(const fv_node *loop, fv_bounds *b) {
  b->lo = b->lo ? extreme(loop, b->lo, false) : NULL;
  b->hi = b->hi ? extreme(loop, b->hi, true) : NULL;
  return b->lo && b->hi;
}

bool fv_loop_never_reaches(const fv_node *loop, const fv_expr *e) {
  fv_xpool *p = pool_of(loop);
  return in_next_trip(loop, e) != e &&
         fv_prove_le(p, fv_attr_get(loop, "trips")->x, fv_x_i64(p, 0)) == FV_YES;
}

bool fv_loop_apart(const fv_node *loop, fv_bounds b) {
  fv_xpool *p = pool_of(loop);
  const fv_expr *one = fv_x_i64(p, 1);
  return fv_prove_le(p, fv_x_add(p, b.hi, one), in_next_trip(loop, b.lo)) == FV_YES ||
         fv_prove_le(p, fv_x_add(p, in_next_trip(loop, b.hi), one), b.lo) == FV_YES;
}

const bool *fv_symbols_inside(fv_arena *ar, const fv_node *owner) {
  bool *set = FV_NEW_N(ar, bool, fv_symbol_count(pool_of(owner)));
  if (owner->op == FV_OP_loop)
    set[counter_of(owner)] = true;
  for (int b = 0; b < owner->n_body; b++) {
    for (fv_node *n = fv_walk_first(owner->body[b]); n; n = fv_walk_next(owner->body[b], n)) {
      const int64_t *symbol;
      const int count = fv_node_defines(n, &symbol);
      for (int i = 0; i < count; i++)
        if (symbol[i] >= 0)
          set[symbol[i]] = true;
    }
  }
  return set;
}

typedef struct dependence {
  const bool *on;
  bool found;
} dependence;

static const fv_expr *note_dependence(void *user, const fv_expr *e) {
  dependence *d = user;
  d->found = d->found || (e->kind == FV_E_SYM && d->on[e->ref]);
  return e;
}

bool fv_x_uses_symbols(fv_xpool *p, const fv_expr *e, const bool *symbol) {
  dependence d = {.on = symbol};
  (void)fv_x_rewrite(p, e, note_dependence, &d);
  return d.found;
}
