// SPDX-License-Identifier: Apache-2.0
//
// What follows from a number being divided without rest: its quotients are whole.
#include "ir/graph/divisible.h"

#include "base/hash.h"

// mod(e, c) == 0, c a number
void fv_note_divisible(fv_graph *g, const fv_condition *c) {
  int64_t v;
  const fv_expr *m = fv_x_is_lit(c->a, &v) ? c->b : c->a;
  const fv_expr *zero = m == c->a ? c->b : c->a;
  if (c->relation != FV_REL_EQ || !fv_x_is_lit(zero, &v) || v != 0 || m->kind != FV_E_OP ||
      m->op != FV_X_MOD || m->dtype != FV_i64 || !fv_x_is_lit(m->arg[1], &v) || v < 2)
    return;
  FV_PUSH(g->module->arena, g->whole, g->n_whole, g->cap_whole, m);
}

enum { MOST_STEPS = 512 };  // of a proof: each goes through the expression

static uint64_t hash_dividend(const fv_expr *e) {
  return fv_hash64(&e, sizeof e, 0);
}

// Sorts the conditions by what is divided, as it is with the dims that are one by now.
static void index_whole(fv_graph *g) {
  if (g->wholes_of_one != g->n_made_one)
    g->wholes = (fv_index){0};
  g->wholes_of_one = g->n_made_one;
  while (g->wholes.n < g->n_whole) {
    const fv_expr *m = fv_graph_unified(g, g->whole[g->wholes.n]);
    fv_index_add(g->module->arena, &g->wholes, hash_dividend(m->kind == FV_E_OP ? m->arg[0] : m));
  }
}

typedef struct quotient {
  const fv_expr *e;  // that c divides without rest
  int64_t c;
  const fv_expr *found;  // a floordiv(e, d), d a divisor of c
  const fv_expr *by;     // for `found`
} quotient;

// Is x of e by a divisor of c?
static bool is_part(const quotient *q, const fv_expr *x, fv_scalar_op op) {
  int64_t d;
  return x->kind == FV_E_OP && x->op == op && x->arg[0] == q->e && fv_x_is_lit(x->arg[1], &d) &&
         d > 0 && q->c % d == 0;
}

static const fv_expr *find_quotient(void *user, const fv_expr *x) {
  quotient *q = user;
  if (!q->found && is_part(q, x, FV_X_FLOORDIV))
    q->found = x;
  return x;
}

static const fv_expr *put_quotient(void *user, const fv_expr *x) {
  const quotient *q = user;
  return x == q->found ? q->by : x;
}

typedef struct whole_rest {
  const quotient *q;
  const fv_expr *zero;
} whole_rest;

static const fv_expr *drop_rest(void *user, const fv_expr *x) {
  const whole_rest *r = user;
  return is_part(r->q, x, FV_X_MOD) ? r->zero : x;
}

// x = a*t + b of the quotient t = e/d, if that is what it is: then d*x = a*e + d*b, with the sign
// and the zeros of x, and x itself where d divides a. An index stands for t: conditions have none,
// and both are 0 or more.
static bool multiply_out(fv_xpool *p, quotient *q, const fv_expr **x) {
  const fv_expr *t = fv_x_index(p, 0), *zero = fv_x_i64(p, 0);
  q->found = NULL;
  (void)fv_x_rebuild(p, *x, find_quotient, q);
  if (!q->found)
    return false;
  const fv_expr *d = q->found->arg[1], *next = fv_x_add(p, t, fv_x_i64(p, 1));
  q->by = t;
  const fv_expr *of_t = fv_x_rebuild(p, *x, put_quotient, q);
  const fv_expr *of_next = fv_x_subst_index(p, of_t, &next, 1);
  const fv_expr *a = fv_x_sub(p, of_next, of_t), *b = fv_x_subst_index(p, of_t, &zero, 1);
  if (fv_x_has(a, FV_XF_INDEX) || fv_x_add(p, fv_x_mul(p, a, t), b) != of_t)
    return false;
  int64_t of_a, of_d;
  if (fv_x_is_lit(a, &of_a) && fv_x_is_lit(d, &of_d) && of_a % of_d == 0)
    *x = fv_x_add(p, fv_x_mul(p, fv_x_i64(p, of_a / of_d), q->e), b);
  else
    *x = fv_x_add(p, fv_x_mul(p, a, q->e), fv_x_mul(p, d, b));
  return true;
}

typedef struct dividends {
  fv_arena *arena;
  const fv_expr **item;
  size_t n, cap;
} dividends;

static const fv_expr *note_dividend(void *user, const fv_expr *x) {
  dividends *d = user;
  if (x->kind == FV_E_OP && (x->op == FV_X_FLOORDIV || x->op == FV_X_MOD))
    FV_PUSH(d->arena, d->item, d->n, d->cap, x->arg[0]);
  return x;
}

// What a condition says of the quotients and rests of e.
static const fv_expr *with_dividend(fv_graph *g, const fv_expr *x, const fv_expr *e, int *left) {
  fv_xpool *p = g->module->pool;
  const uint64_t h = hash_dividend(e);
  for (int64_t i = fv_index_first(&g->wholes, h); i != FV_INDEX_END && *left > 0;
       i = fv_index_next(&g->wholes, i)) {
    const fv_expr *m = fv_graph_unified(g, g->whole[i]);
    quotient q = {.e = e};
    if (m->kind != FV_E_OP || m->op != FV_X_MOD || m->arg[0] != e ||
        !fv_x_is_lit(m->arg[1], &q.c) || q.c < 2 || fv_x_range(p, e, NULL, 0).lo < 0)
      continue;
    whole_rest rest = {&q, fv_x_i64(p, 0)};
    x = fv_x_rebuild(p, x, drop_rest, &rest);
    while (--*left > 0 && multiply_out(p, &q, &x))
      ;
  }
  return x;
}

// x, or a multiple of it, without the quotients and rests of which conditions say that they are
// whole and 0. Where they are gone, others may come to light.
static const fv_expr *with_whole(fv_graph *g, const fv_expr *x) {
  int left = MOST_STEPS;
  index_whole(g);
  for (const fv_expr *before = NULL; x != before && left > 0;) {
    dividends d = {.arena = g->module->arena};
    (void)fv_x_rebuild(g->module->pool, x, note_dividend, &d);
    before = x;
    for (size_t i = 0; i < d.n && left > 0; i++)
      x = with_dividend(g, x, d.item[i], &left);
  }
  return x;
}

fv_truth fv_follows_divisible(fv_graph *g, fv_relation r, const fv_expr *a, const fv_expr *b) {
  fv_xpool *p = g->module->pool;
  const fv_expr *d = fv_x_sub(p, a, b), *x = with_whole(g, d), *zero = fv_x_i64(p, 0);
  if (x == d)
    return FV_UNKNOWN;
  if (r != FV_REL_BROADCAST)
    return fv_prove(p, r, x, zero);
  return fv_prove(p, FV_REL_EQ, x, zero) == FV_YES ? FV_YES : FV_UNKNOWN;
}
