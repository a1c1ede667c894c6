// SPDX-License-Identifier: Apache-2.0
//
// Conditions: what a graph needs of its dims and what is not proved, and what follows from it.
#include <string.h>

#include "base/hash.h"
#include "ir/graph/divisible.h"
#include "ir/graph/loop.h"

static fv_truth not(fv_truth t) {
  return t == FV_YES ? FV_NO : t == FV_NO ? FV_YES : FV_UNKNOWN;
}

static fv_truth prove_broadcast(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  const fv_expr *one = fv_x_i64(p, 1);
  const fv_truth t[] = {fv_prove_eq(p, a, b), fv_prove_eq(p, a, one), fv_prove_eq(p, b, one)};
  fv_truth any = FV_NO;
  for (size_t i = 0; i < FV_COUNTOF(t) && any != FV_YES; i++)
    any = t[i] == FV_NO ? any : t[i];
  return any;
}

fv_truth fv_prove(fv_xpool *p, fv_relation r, const fv_expr *a, const fv_expr *b) {
  switch (r) {
  case FV_REL_EQ: return fv_prove_eq(p, a, b);
  case FV_REL_NE: return not(fv_prove_eq(p, a, b));
  case FV_REL_LE: return fv_prove_le(p, a, b);
  default: return prove_broadcast(p, a, b);
  }
}

void fv_condition_print(const fv_xpool *p, fv_str *s, const fv_condition *c, const fv_xprint *how) {
  fv_x_print_as(p, s, c->a, how);
  fv_str_printf(s, " %s ", fv_relation_sign(c->relation));
  fv_x_print_as(p, s, c->b, how);
}

//===-- The list ----------------------------------------------------------===//

// Equal for two conditions that say the same: differences of the sides, where these are compared.
typedef struct key {
  const fv_expr *x, *y;
} key;

static key key_of(fv_xpool *p, const fv_condition *c) {
  if (c->relation == FV_REL_LE)
    return (key){fv_x_sub(p, c->b, c->a), NULL};
  const bool differ = c->relation != FV_REL_BROADCAST;
  const fv_expr *x = differ ? fv_x_sub(p, c->a, c->b) : c->a;
  const fv_expr *y = differ ? fv_x_sub(p, c->b, c->a) : c->b;
  return x->id < y->id ? (key){x, y} : (key){y, x};
}

static uint64_t hash_key(const fv_condition *c, key k) {
  return fv_hash64(&k, sizeof k, (uint64_t)c->relation);
}

static bool is_listed(const fv_graph *g, const fv_condition *c) {
  fv_xpool *p = g->module->pool;
  const key k = key_of(p, c);
  const uint64_t h = hash_key(c, k);
  for (int64_t i = fv_index_first(&g->conditions, h); i != FV_INDEX_END;
       i = fv_index_next(&g->conditions, i)) {
    const key have = key_of(p, &g->condition[i]);
    if (g->condition[i].relation == c->relation && have.x == k.x && have.y == k.y)
      return true;
  }
  return false;
}

static void add_condition(fv_graph *g, const fv_condition *c) {
  fv_arena *ar = g->module->arena;
  FV_PUSH(ar, g->condition, g->n_condition, g->cap_condition, *c);
  fv_index_add(ar, &g->conditions, hash_key(c, key_of(g->module->pool, c)));
  fv_note_divisible(g, c);
}

static void forget_conditions(fv_graph *g) {
  g->condition = NULL;
  g->n_condition = g->cap_condition = 0;
  g->conditions = (fv_index){0};
  g->whole = NULL;
  g->n_whole = g->cap_whole = 0;
  g->wholes = (fv_index){0};
}

void fv_graph_copy_conditions(fv_graph *to, const fv_graph *from) {
  forget_conditions(to);
  for (size_t i = 0; i < from->n_condition; i++)
    add_condition(to, &from->condition[i]);
  if (from->n_one)
    to->one = fv_arena_dup(to->module->arena, from->one, from->n_one * sizeof *from->one);
  to->n_made_one++;
  if (from->n_within)
    to->within =
        fv_arena_dup(to->module->arena, from->within, from->n_within * sizeof *from->within);
}

//===-- Equal dims ----------------------------------------------------------===//

static bool is_dim(const fv_xpool *p, const fv_expr *e) {
  return e->kind == FV_E_SYM && fv_symbol_get(p, e->ref)->kind == FV_SYM_DIM;
}

// What stands for a symbol at last; the way there is shortened.
static const fv_expr *resolve(fv_graph *g, const fv_expr *e) {
  const fv_expr *last = e;
  while (last->kind == FV_E_SYM && last->ref < g->n_one && g->one[last->ref])
    last = g->one[last->ref];
  while (e != last) {
    const fv_expr *next = g->one[e->ref];
    g->one[e->ref] = last;
    e = next;
  }
  return last;
}

static const fv_expr *unify_leaf(void *g, const fv_expr *e) {
  return e->kind == FV_E_SYM ? resolve(g, e) : e;
}

const fv_expr *fv_graph_unified(fv_graph *g, const fv_expr *e) {
  return g->n_one && fv_x_has(e, FV_XF_SYM) ? fv_x_rewrite(g->module->pool, e, unify_leaf, g) : e;
}

// Lets `by` stand for the dim `e`, if it is known of it what is known of e.
static bool stand_for(fv_graph *g, const fv_expr *e, const fv_expr *by) {
  fv_arena *ar = g->module->arena;
  fv_xpool *p = g->module->pool;
  if (!is_dim(p, e) || !(is_dim(p, by) || by->kind == FV_E_LIT))
    return false;
  const fv_range have = fv_x_range(p, e, NULL, 0), got = fv_x_range(p, by, NULL, 0);
  if (got.lo < have.lo || got.hi > have.hi)
    return false;
  if (e->ref >= g->n_one) {
    const uint32_t n = fv_symbol_count(p);
    const fv_expr **wider = FV_NEW_N(ar, const fv_expr *, n);
    for (uint32_t i = 0; i < g->n_one; i++)
      wider[i] = g->one[i];
    g->one = wider;
    g->n_one = n;
  }
  g->one[e->ref] = by;
  g->n_made_one++;
  return true;
}

static bool make_one(fv_graph *g, const fv_condition *c) {
  if (c->relation != FV_REL_EQ)
    return false;
  const fv_expr *a = fv_graph_unified(g, c->a), *b = fv_graph_unified(g, c->b);
  return a != b && (stand_for(g, b, a) || stand_for(g, a, b));
}

//===-- Ranges ------------------------------------------------------------------===//

// Each symbol of an expression once; more than that are not looked at.
typedef struct symbols {
  const fv_expr *item[FV_CONDITION_SYMBOLS];
  size_t n;
} symbols;

static const fv_expr *note_symbol(void *user, const fv_expr *e) {
  symbols *s = user;
  bool known = e->kind != FV_E_SYM || s->n == FV_CONDITION_SYMBOLS;
  for (size_t i = 0; i < s->n && !known; i++)
    known = s->item[i] == e;
  if (!known)
    s->item[s->n++] = e;
  return e;
}

static symbols symbols_of(fv_graph *g, const fv_expr *e) {
  symbols s = {.n = 0};
  (void)fv_x_rewrite(g->module->pool, e, note_symbol, &s);
  return s;
}

size_t fv_condition_symbols(fv_xpool *p, const fv_condition *c,
                            uint32_t out[static FV_CONDITION_SYMBOLS]) {
  symbols s = {.n = 0};
  (void)fv_x_rewrite(p, c->a, note_symbol, &s);
  (void)fv_x_rewrite(p, c->b, note_symbol, &s);
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++)
    if (s.item[i] != c->a && s.item[i] != c->b)
      out[n++] = s.item[i]->ref;
  return n;
}

// Of a condition like 3 <= S: the symbol and the range that it gives it.
static bool gives_range(fv_graph *g, const fv_condition *c, const fv_expr **sym, fv_range *out) {
  fv_xpool *p = g->module->pool;
  const fv_expr *room = fv_x_sub(p, fv_graph_unified(g, c->b), fv_graph_unified(g, c->a));
  const symbols s = symbols_of(g, room);
  int64_t k;
  *out = (fv_range){INT64_MIN, INT64_MAX};
  if (c->relation != FV_REL_LE || s.n != 1)
    return false;
  *sym = s.item[0];
  if (fv_x_is_lit(fv_x_sub(p, room, *sym), &k) && k > INT64_MIN)
    out->lo = -k;
  else if (fv_x_is_lit(fv_x_add(p, room, *sym), &k))
    out->hi = k;
  else
    return false;
  return true;
}

// A range never reaches out of the one that its symbol was declared with: what is proved of a
// symbol is proved there alone.
static void note_range(fv_graph *g, const fv_condition *c) {
  fv_xpool *p = g->module->pool;
  const fv_expr *sym;
  fv_range r;
  if (!gives_range(g, c, &sym, &r))
    return;
  if (sym->ref >= g->n_within) {
    const uint32_t n = fv_symbol_count(p);
    fv_range *wider = FV_NEW_N(g->module->arena, fv_range, n);
    for (uint32_t i = 0; i < n; i++)
      wider[i] = i < g->n_within ? g->within[i] : fv_x_range(p, fv_x_sym(p, i), NULL, 0);
    g->within = wider;
    g->n_within = n;
  }
  fv_range *have = &g->within[sym->ref];
  have->lo = r.lo > have->lo ? r.lo : have->lo;
  have->hi = r.hi < have->hi ? r.hi : have->hi;
}

// Where the ranges make an expression least, or largest: at the end of the range of each symbol
// with which it grows, or falls, all along.
static const fv_expr *extreme(fv_graph *g, const fv_expr *e, bool largest) {
  fv_xpool *p = g->module->pool;
  const fv_expr *one = fv_x_i64(p, 1);
  const symbols s = symbols_of(g, e);
  for (size_t i = 0; i < s.n; i++) {
    const uint32_t y = s.item[i]->ref;
    if (y >= g->n_within)
      continue;
    const fv_expr *next = fv_x_subst_sym(p, e, y, fv_x_add(p, s.item[i], one));
    const fv_range step = fv_x_range(p, fv_x_sub(p, next, e), NULL, 0), r = g->within[y];
    const bool rises = step.lo >= 0;
    const int64_t end = rises == largest ? r.hi : r.lo;
    if ((rises || step.hi <= 0) && end != INT64_MIN && end != INT64_MAX)
      e = fv_x_subst_sym(p, e, y, fv_x_i64(p, end));
  }
  return e;
}

fv_range fv_graph_range(fv_graph *g, const fv_expr *e) {
  fv_xpool *p = g->module->pool;
  e = fv_graph_unified(g, e);
  fv_range r = fv_x_range_within(p, e, g->within, g->n_within);
  if (!g->n_within || !fv_x_has(e, FV_XF_SYM) || fv_x_has(e, FV_XF_LOAD))
    return r;
  const fv_range least = fv_x_range(p, extreme(g, e, false), NULL, 0);
  const fv_range most = fv_x_range(p, extreme(g, e, true), NULL, 0);
  r.lo = least.lo > r.lo ? least.lo : r.lo;
  r.hi = most.hi < r.hi ? most.hi : r.hi;
  return r;
}

// Proved, with what the conditions say.
static fv_truth follows(fv_graph *g, const fv_condition *c) {
  const fv_expr *a = fv_graph_unified(g, c->a), *b = fv_graph_unified(g, c->b);
  const fv_truth t = fv_prove(g->module->pool, c->relation, a, b);
  if (t == FV_UNKNOWN && c->relation == FV_REL_LE && g->n_within &&
      fv_graph_range(g, fv_x_sub(g->module->pool, b, a)).lo >= 0)
    return FV_YES;
  return t == FV_UNKNOWN && g->n_whole ? fv_follows_divisible(g, c->relation, a, b) : t;
}

//===-- What only the run knows -------------------------------------------------===//

static fv_relation relation_of(const fv_node *n) {
  const char *sign = fv_attr_str(n, "relation");
  fv_relation r = 0;
  while (r < FV_REL_COUNT && strcmp(fv_relation_sign(r), sign) != 0)
    r++;
  return r;
}

fv_condition fv_node_condition(const fv_node *n) {
  return (fv_condition){.relation = relation_of(n),
                        .a = fv_attr_get(n, "a")->x,
                        .b = fv_attr_get(n, "b")->x,
                        .text = fv_attr_str(n, "what"),
                        .span = fv_node_span(n)};
}

static uint64_t hash_late(const fv_region *at, const fv_condition *c, key k) {
  return fv_hash64(&at, sizeof at, hash_key(c, k));
}

void fv_graph_note_require(fv_node *n) {
  fv_graph *g = n->region->graph;
  fv_arena *ar = g->module->arena;
  const fv_condition c = fv_node_condition(n);
  FV_PUSH(ar, g->late, g->n_late, g->cap_late, n);
  fv_index_add(ar, &g->lates, hash_late(n->region, &c, key_of(g->module->pool, &c)));
}

static bool is_placed(const fv_node *n) {
  return n->prev || n->next || n->region->first == n;
}

// Is it tested in the region? Needs are met in program order, so what is found stands in front.
static bool is_required_in(const fv_region *at, const fv_condition *c, key k) {
  const fv_graph *g = at->graph;
  const uint64_t h = hash_late(at, c, k);
  for (int64_t i = fv_index_first(&g->lates, h); i != FV_INDEX_END;
       i = fv_index_next(&g->lates, i)) {
    const fv_node *n = g->late[i];
    if (n->region != at || !is_placed(n))
      continue;
    const fv_condition have = fv_node_condition(n);
    const key x = key_of(g->module->pool, &have);
    if (have.relation == c->relation && x.x == k.x && x.y == k.y)
      return true;
  }
  return false;
}

typedef struct definition {
  const fv_region *from, *to;  // regions from the inner one to that of the definition
  bool found;
} definition;

// Does a symbol get its value within the definition?
static const fv_expr *note_inner(void *user, const fv_expr *e) {
  definition *d = user;
  if (e->kind != FV_E_SYM || !fv_x_has(e, FV_XF_RUN))
    return e;
  for (const fv_region *r = d->from; !d->found; r = r->owner->region) {
    d->found = r->owner && r->owner->op == FV_OP_loop &&
               fv_attr_int(r->owner, "counter") == (int64_t)e->ref;
    for (const fv_node *n = r->last; n && !d->found; n = n->prev)
      d->found = fv_node_sets(n, e->ref);
    if (r == d->to)
      break;
  }
  return e;
}

static bool in_arm(const fv_region *r) {
  for (; r->owner; r = r->owner->region)
    if (r->owner->op == FV_OP_if)
      return true;
  return false;
}

// Does each run that bind lets through come here? Not to an arm, nor to a loop that may make no
// trip.
static bool runs_surely(const fv_region *r) {
  fv_graph *g = r->graph;
  for (const fv_node *n = r->owner; n; n = n->region->owner) {
    if (n->op == FV_OP_if)
      return false;
    if (n->op != FV_OP_loop)
      continue;
    const fv_condition some = {
        .relation = FV_REL_LE, .a = fv_x_i64(g->module->pool, 1), .b = fv_attr_get(n, "trips")->x};
    if (fv_attr_int(n, "while_carry") >= 0 || follows(g, &some) != FV_YES)
      return false;
  }
  return true;
}

// Is it tested in the region, or around it?
static bool is_required(const fv_region *at, const fv_condition *c) {
  const key k = key_of(at->graph->module->pool, c);
  const fv_region *r = at->graph->n_late ? at : NULL;
  while (r && !is_required_in(r, c, k))
    r = r->owner ? r->owner->region : NULL;
  return r;
}

// What is within a definition is not known to who wrote the model, and may be computed as a whole:
// its needs are tested in front of the node, but for those about what it alone computes.
static void leave_definitions(fv_region **at, fv_node **before, const fv_condition *c) {
  fv_xpool *p = (*at)->graph->module->pool;
  for (fv_region *r = *at; r->owner; r = r->owner->region) {
    if (r->owner->n_body)
      continue;
    definition d = {.from = *at, .to = r};
    (void)fv_x_rewrite(p, c->a, note_inner, &d);
    (void)fv_x_rewrite(p, c->b, note_inner, &d);
    if (d.found)
      return;
    *before = r->owner;
    *at = r->owner->region;
  }
}

// Tested where it arises: there its symbols have values, and an arm that is not taken needs
// nothing.
static void require_late(fv_region *at, fv_node *before, const fv_condition *c) {
  leave_definitions(&at, &before, c);
  if (is_required(at, c))
    return;
  fv_node *n = fv_node_create(at, FV_OP_require, 0, NULL, c->span);
  fv_attr_set_expr(n, "a", c->a);
  fv_attr_set_expr(n, "b", c->b);
  fv_attr_set_str(n, "relation", fv_relation_sign(c->relation));
  fv_attr_set_str(n, "what", c->text);
  fv_node_insert_before(n, before && is_placed(before) ? before : NULL);
}

size_t fv_graph_list_conditions(fv_arena *ar, const fv_graph *g, const fv_condition **out) {
  fv_condition *c = NULL;
  size_t n = 0, cap = 0;
  for (size_t i = 0; i < g->n_condition; i++)
    FV_PUSH(ar, c, n, cap, g->condition[i]);
  for (fv_node *x = fv_walk_first(g->region); x; x = fv_walk_next(g->region, x))
    if (x->op == FV_OP_require)
      FV_PUSH(ar, c, n, cap, fv_node_condition(x));
  *out = c;
  return n;
}

// Does it hold in all trips of the loops around?
static bool holds_in_loops(const fv_region *at, const fv_condition *c) {
  fv_xpool *p = at->graph->module->pool;
  const fv_expr *room = fv_x_sub(p, c->b, c->a), *zero = fv_x_i64(p, 0);
  fv_bounds b = {room, room};
  for (const fv_node *n = at->owner; n && c->relation == FV_REL_LE; n = n->region->owner)
    if (n->op == FV_OP_loop && fv_attr_get(n, "counter")->kind && fv_attr_get(n, "trips")->kind) {
      if (!fv_loop_widen(n, &b))
        return false;
      if (fv_prove_le(p, zero, b.lo) == FV_YES)
        return true;
    }
  return false;
}

static void list_condition(fv_graph *g, const fv_condition *c) {
  add_condition(g, c);
  (void)make_one(g, c);
  note_range(g, c);
}

// What bind can test, as control around it was folded or its symbols have become numbers, is a
// condition of the graph, if each run needs it.
static void promote_late(fv_graph *g) {
  for (size_t i = 0; i < g->n_late; i++) {
    fv_node *n = g->late[i];
    if (!is_placed(n) || !runs_surely(n->region))
      continue;
    const fv_condition c = fv_node_condition(n);
    if (fv_x_has(c.a, FV_XF_RUN) || fv_x_has(c.b, FV_XF_RUN) || follows(g, &c) != FV_UNKNOWN)
      continue;
    if (!is_listed(g, &c))
      list_condition(g, &c);
    fv_node_remove(n);
  }
}

// Nodes whose conditions follow from those of the graph.
static void drop_late(fv_graph *g) {
  for (size_t i = 0; i < g->n_late; i++) {
    fv_node *n = g->late[i];
    if (!is_placed(n))
      continue;
    const fv_condition c = fv_node_condition(n);
    if (follows(g, &c) == FV_YES || (g->n_condition && is_listed(g, &c)) ||
        holds_in_loops(n->region, &c))
      fv_node_remove(n);
  }
}

//===-- Needs -----------------------------------------------------------------===//

// a and max(a, b) broadcast if a and b do, as that is the dim of what they gave.
static fv_condition reduced(const fv_condition *c) {
  fv_condition r = *c;
  if (r.a->kind == FV_E_OP && r.a->op == FV_X_MAX)
    r = (fv_condition){c->relation, c->b, c->a, c->text, c->span};
  const fv_expr *m = r.b;
  if (c->relation != FV_REL_BROADCAST || m->kind != FV_E_OP || m->op != FV_X_MAX ||
      (m->arg[0] != r.a && m->arg[1] != r.a))
    return *c;
  r.b = m->arg[m->arg[0] == r.a];
  return r;
}

fv_truth fv_require(fv_region *at, fv_node *before, const fv_condition *need, bool by_author) {
  fv_graph *g = at->graph;
  const fv_condition simple = reduced(need), *c = &simple;
  const fv_truth t = follows(g, c);
  if (t != FV_UNKNOWN || (g->n_condition && is_listed(g, c)))
    return t == FV_UNKNOWN ? FV_YES : t;
  const unsigned of_kernel = FV_XF_INDEX | FV_XF_LOAD;
  if (!(by_author || g->module->check_unproved) || fv_x_has(c->a, of_kernel) ||
      fv_x_has(c->b, of_kernel))
    return FV_UNKNOWN;
  // A loop that may make no trip has needs of arms that were folded.
  if (is_required(at, c))
    return FV_YES;
  if (fv_x_has(c->a, FV_XF_RUN) || fv_x_has(c->b, FV_XF_RUN) || in_arm(at))
    require_late(at, before, c);
  else
    list_condition(g, c);
  return FV_YES;
}

//===-- Unification -----------------------------------------------------------===//

// Is it the first condition that gives a symbol an end of its range? done[] has two a symbol.
static bool gives_end(fv_graph *g, const fv_condition *c, bool *done) {
  const fv_expr *sym;
  fv_range r;
  if (!gives_range(g, c, &sym, &r))
    return false;
  const fv_range have = g->within[sym->ref];
  const bool low = r.lo != INT64_MIN;
  bool *first = &done[2 * sym->ref + low];
  if (*first || (low ? r.lo != have.lo : r.hi != have.hi))
    return false;
  *first = true;
  return true;
}

// Nothing is in the range that conditions give the symbol of this one.
static bool leaves_nothing(fv_graph *g, const fv_condition *c) {
  const fv_expr *sym;
  fv_range r;
  return gives_range(g, c, &sym, &r) && g->within[sym->ref].lo > g->within[sym->ref].hi;
}

// Conditions that made dims one or gave them their range stay; the others unless they follow.
static fv_status drop_proved(fv_graph *g, fv_diag_sink *diag) {
  fv_condition *old = g->condition;
  const size_t n = g->n_condition;
  bool *needed = FV_NEW_N(g->module->arena, bool, n);
  forget_conditions(g);
  for (uint32_t i = 0; i < g->n_one; i++)
    g->one[i] = NULL;
  g->n_made_one++;
  for (size_t i = 0; i < n; i++)
    needed[i] = make_one(g, &old[i]);
  g->n_within = 0;
  for (size_t i = 0; i < n; i++)
    note_range(g, &old[i]);
  bool *done = FV_NEW_N(g->module->arena, bool, 2 * (size_t)g->n_within);
  for (size_t i = 0; i < n; i++) {
    const fv_condition *c = &old[i];
    const fv_truth t = leaves_nothing(g, c) ? FV_NO : follows(g, c);
    if (t == FV_NO) {
      fv_str s = {.arena = g->module->arena};
      fv_condition_print(g->module->pool, &s, c, &fv_xprint_short);
      return fv_error(diag, FV_ERR_TYPE, c->span, "%s: %s can never hold", c->text, s.data);
    }
    if (gives_end(g, c, done) || needed[i] || t == FV_UNKNOWN)
      add_condition(g, c);
  }
  return FV_OK;
}

const fv_type *fv_graph_input_type(const fv_graph *g, int i) {
  return g->declared ? &g->declared[i] : &g->region->param[i]->type;
}

fv_status fv_graph_unify(fv_graph *g, fv_diag_sink *diag) {
  promote_late(g);
  if (g->n_condition)
    FV_TRY(drop_proved(g, diag));
  if (!g->n_one) {
    drop_late(g);
    return FV_OK;
  }
  fv_type *declared = FV_NEW_N(g->module->arena, fv_type, g->region->n_param);
  for (int i = 0; i < g->region->n_param; i++)
    declared[i] = *fv_graph_input_type(g, i);
  g->declared = declared;
  fv_xpool *p = g->module->pool;
  const fv_expr **by = FV_NEW_N(g->module->arena, const fv_expr *, g->n_one);
  for (uint32_t i = 0; i < g->n_one; i++)
    by[i] = g->one[i] ? resolve(g, fv_x_sym(p, i)) : NULL;
  fv_graph_subst_symbols(g, by, g->n_one);
  FV_TRY(fv_infer_graph(g, diag));
  drop_late(g);
  return FV_OK;
}
