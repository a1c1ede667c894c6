// SPDX-License-Identifier: Apache-2.0
// Kernels in two variants. Of two dims that broadcast, one may be 1; mostly they are equal, and
// then elements are read in line, as if one dim had been declared. Else they are read at an
// index that is cut. The host program branches between the two.
#include "lower/variant.h"

#include "lower/buffers.h"

//===-- The common case ---------------------------------------------------------------===//

static const fv_expr *common_leaf(void *user, const fv_expr *e) {
  lw *l = user;
  if (e->kind != FV_E_SYM || e->ref >= l->n_common || !l->common[e->ref])
    return e;
  if (!l->assumed[e->ref]) {
    l->assumed[e->ref] = true;
    FV_PUSH(l->arena, l->assumption, l->n_assumption, l->cap_assumption, e->ref);
  }
  return l->common[e->ref];
}

const fv_expr *lw_common(lw *l, const fv_expr *e) {
  return l->n_common && fv_x_has(e, FV_XF_SYM) ? fv_x_rewrite(l->pool, e, common_leaf, l) : e;
}

// Replacements whose dims were themselves replaced are followed to the end.
static const fv_expr *resolved(lw *l, const fv_expr *e) {
  for (const fv_expr *next; (next = lw_common(l, e)) != e;)
    e = next;
  return e;
}

typedef struct sought {
  uint32_t symbol;
  bool found;
} sought;

static const fv_expr *note_symbol(void *user, const fv_expr *e) {
  sought *s = user;
  s->found = s->found || (e->kind == FV_E_SYM && e->ref == s->symbol);
  return e;
}

static bool replace(lw *l, const fv_expr *e, const fv_expr *by) {
  if (e->kind != FV_E_SYM || (by->kind == FV_E_SYM && by->ref > e->ref))
    return false;
  sought s = {.symbol = e->ref};
  (void)fv_x_rewrite(l->pool, by, note_symbol, &s);
  if (!s.found)
    l->common[e->ref] = by;
  return !s.found;
}

static void forget_assumptions(lw *l) {
  while (l->n_assumption)
    l->assumed[l->assumption[--l->n_assumption]] = false;
}

void lw_assume_equal(lw *l, const fv_graph *g) {
  l->n_common = 0;
  for (size_t i = 0; i < g->n_condition; i++) {
    const fv_condition *c = &g->condition[i];
    if (c->relation != FV_REL_BROADCAST)
      continue;
    if (!l->n_common) {
      l->n_common = fv_symbol_count(l->pool);
      l->common = FV_NEW_N(l->arena, const fv_expr *, l->n_common);
      l->assumed = FV_NEW_N(l->arena, bool, l->n_common);
      l->seen = FV_NEW_N(l->arena, uint32_t, l->module->n_value);
    }
    const fv_expr *a = resolved(l, c->a), *b = resolved(l, c->b);
    if (a != b && !replace(l, b, a))
      (void)replace(l, a, b);
  }
  for (uint32_t y = 0; y < l->n_common; y++)
    if (l->common[y])
      l->common[y] = resolved(l, l->common[y]);
}

//===-- A group in the common case ------------------------------------------------------===//

typedef struct changed_node {
  fv_node *node;
  const fv_meaning *meaning;  // of the other variant
} changed_node;
typedef struct changed_value {
  fv_value *value;
  fv_type type;
} changed_value;

struct lw_variant {
  changed_node *node;
  size_t n_node, cap_node, next;
  changed_value *value;
  size_t n_value, cap_value;
  bool in_line;  // some index is cut no more
  fv_status status;
};

typedef struct reading {
  lw *l;
  const fv_nest *nest;
  bool in_line;
} reading;

// min(i, n - 1) is i, where the loop of i has n points.
static const fv_expr *in_line(void *user, const fv_expr *e) {
  reading *r = user;
  if (e->kind == FV_E_SYM)
    return common_leaf(r->l, e);
  if (e->kind != FV_E_OP || e->op != FV_X_MIN || e->dtype != FV_i64)
    return e;
  fv_xpool *p = r->l->pool;
  for (int k = 0; k < 2; k++) {
    const fv_expr *i = e->arg[k];
    if (i->kind != FV_E_INDEX || (int)i->ref >= r->nest->n_par + r->nest->n_red ||
        e->arg[1 - k] != fv_x_sub(p, r->nest->extent[i->ref], fv_x_i64(p, 1)))
      continue;
    r->in_line = true;
    return i;
  }
  return e;
}

static const fv_expr *read_in_line(reading *r, const fv_expr *e) {
  return e ? fv_x_rebuild(r->l->pool, e, in_line, r) : NULL;
}

static const fv_meaning *common_meaning(lw *l, struct lw_variant *v, const fv_meaning *m) {
  fv_meaning *c = fv_arena_dup(l->arena, m, sizeof *m);
  fv_nest *t = &c->nest;
  for (int i = 0; i < t->n_par + t->n_red; i++)
    t->extent[i] = lw_common(l, t->extent[i]);
  reading r = {.l = l, .nest = t};
  t->value = read_in_line(&r, t->value);
  t->post = read_in_line(&r, t->post);
  t->check = read_in_line(&r, t->check);
  v->in_line = v->in_line || r.in_line;
  return c;
}

static void take_value(lw *l, struct lw_variant *v, const lw_group *g, fv_value *x) {
  if (l->seen[x->id] == l->walk)
    return;
  l->seen[x->id] = l->walk;
  changed_value c = {x, x->type};
  for (int d = 0; d < x->type.rank; d++)
    c.type.dim[d] = lw_common(l, x->type.dim[d]);
  FV_PUSH(l->arena, v->value, v->n_value, v->cap_value, c);
  const bool within = lw_is_virtual(l, g, x);
  if (within) {
    const changed_node n = {x->def, common_meaning(l, v, x->def->meaning)};
    FV_PUSH(l->arena, v->node, v->n_node, v->cap_node, n);
  }
  if (!within || l->stored[x->id])
    (void)lw_value_buffer(l, x);  // it has one, whichever variant runs
}

// The root, and all that is computed within its kernel.
static void take_group(lw *l, struct lw_variant *v, const lw_group *g) {
  l->walk++;
  fv_node *n = g->root;
  take_value(l, v, g, n->out[0]);
  const changed_node root = {n, common_meaning(l, v, n->meaning)};
  FV_PUSH(l->arena, v->node, v->n_node, v->cap_node, root);
  for (; v->next < v->n_node; v->next++) {
    n = v->node[v->next].node;
    for (int i = 0; i < n->n_in; i++)
      if (n->in[i])
        take_value(l, v, g, n->in[i]);
  }
}

static void exchange(struct lw_variant *v) {
  for (size_t i = 0; i < v->n_value; i++) {
    const fv_type t = v->value[i].value->type;
    v->value[i].value->type = v->value[i].type;
    v->value[i].type = t;
  }
  for (size_t i = 0; i < v->n_node; i++) {
    const fv_meaning *m = v->node[i].node->meaning;
    v->node[i].node->meaning = v->node[i].meaning;
    v->node[i].meaning = m;
  }
}

static void emit_common(lw *l, const lw_group *g) {
  exchange(l->variant);
  l->variant->status = g->family->emit(l, g);
  exchange(l->variant);
}

static void emit_any(lw *l, const lw_group *g) {
  const fv_status s = g->family->emit(l, g);
  l->variant->status = l->variant->status == FV_OK ? s : l->variant->status;
}

fv_status lw_emit_group(lw *l, const lw_group *g) {
  if (!l->n_common || !g->family->emits_twice)
    return g->family->emit(l, g);
  struct lw_variant v = {.status = FV_OK};
  forget_assumptions(l);
  take_group(l, &v, g);
  const fv_expr *cond = fv_x_lit_i(l->pool, FV_bool, 1);
  for (size_t i = 0; i < l->n_assumption; i++) {
    const uint32_t y = l->assumption[i];
    const fv_expr *equal = fv_x_op(l->pool, FV_X_EQ, fv_x_sym(l->pool, y), l->common[y], NULL);
    cond = fv_x_op(l->pool, FV_X_AND, cond, equal, NULL);
  }
  if (!v.in_line)
    return g->family->emit(l, g);
  l->variant = &v;
  lw_either(l, cond, emit_common, emit_any, g);
  l->variant = NULL;
  return v.status;
}
