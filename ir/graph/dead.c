// SPDX-License-Identifier: Apache-2.0
// Removal of nodes that nobody needs: neither a result nor a symbol they define.
#include "ir/graph/graph.h"

typedef struct needs {
  fv_graph *g;
  uint32_t *uses;    // by value id
  uint32_t *symbol;  // by symbol: attributes and types that name it; NULL: none is defined
  uint32_t step;     // what a use counts: 1, or -1 when a node goes
  const fv_node *at;
} needs;

static bool has_own_effect(const fv_node *n) {
  if (n->op != FV_OP_require)
    return fv_op_get(n->op)->flags & FV_OPF_EFFECT;
  const fv_condition c = fv_node_condition(n);
  return fv_prove(n->region->graph->module->pool, c.relation, c.a, c.b) != FV_YES;
}

static bool has_effect(const fv_node *n) {
  if (has_own_effect(n))
    return true;
  for (int i = 0; i < n->n_body; i++)
    for (fv_node *b = fv_walk_first(n->body[i]); b; b = fv_walk_next(n->body[i], b))
      if (has_own_effect(b))
        return true;
  return false;
}

//===-- Symbols -----------------------------------------------------------===//

static const fv_expr *count_symbol(void *user, const fv_expr *x) {
  needs *s = user;
  if (x->kind == FV_E_SYM && !(s->at && fv_node_sets(s->at, x->ref)))
    s->symbol[x->ref] += s->step;
  return x;
}

static void count_in(needs *s, const fv_expr *x) {
  if (x && x->kind != FV_E_LIT)
    (void)fv_x_rewrite(s->g->module->pool, x, count_symbol, s);
}

// What n asks of symbols that others define.
static void count_symbols(needs *s, const fv_node *n, uint32_t step) {
  s->step = step;
  s->at = n;
  for (int i = 0; s->symbol && i < fv_op_get(n->op)->n_attr; i++) {
    const fv_attr *a = &n->attr[i];
    if (a->kind == 'x')
      count_in(s, a->x);
    for (int d = 0; a->kind == 'D' && d < a->n; d++)
      count_in(s, a->dims[d]);
  }
  for (int i = 0; s->symbol && i < n->n_out; i++)
    for (int d = 0; d < n->out[i]->type.rank; d++)
      count_in(s, n->out[i]->type.dim[d]);
}

static void count_all_symbols(needs *s) {
  fv_xpool *p = s->g->module->pool;
  bool any = false;
  for (uint32_t i = 0; i < fv_symbol_count(p) && !any; i++)
    any = fv_symbol_get(p, i)->kind == FV_SYM_RESULT;
  if (!any)
    return;
  s->symbol = FV_NEW_N(s->g->module->arena, uint32_t, fv_symbol_count(p));
  for (fv_node *n = fv_walk_first(s->g->region); n; n = fv_walk_next(s->g->region, n))
    count_symbols(s, n, 1);
  s->at = NULL;
  for (int i = 0; i < s->g->n_advance; i++)
    count_in(s, s->g->advance[i].next);
}

//===-- Nodes ---------------------------------------------------------------===//

static bool needed(const needs *s, const fv_node *n) {
  for (int i = 0; i < n->n_out; i++)
    if (s->uses[n->out[i]->id])
      return true;
  const int64_t *symbol;
  const int count = s->symbol ? fv_node_defines(n, &symbol) : 0;
  for (int i = 0; i < count; i++)
    if (symbol[i] >= 0 && s->symbol[symbol[i]])
      return true;
  return has_effect(n);
}

static void release(needs *s, const fv_node *n) {
  count_symbols(s, n, (uint32_t)-1);
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i])
      s->uses[n->in[i]->id]--;
  for (int b = 0; b < n->n_body; b++)
    for (int r = 0; r < n->body[b]->n_result; r++)
      s->uses[n->body[b]->result[r]->id]--;
}

uint64_t fv_graph_drop_dead(fv_graph *g) {
  fv_arena *ar = g->module->arena;
  uint64_t dropped = 0;
  needs s = {.g = g, .uses = FV_NEW_N(ar, uint32_t, g->module->n_value)};
  fv_graph_count_uses(g, s.uses);
  count_all_symbols(&s);
  fv_node **order = NULL;
  size_t n_order = 0, cap = 0;
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n))
    FV_PUSH(ar, order, n_order, cap, n);
  for (size_t i = n_order; i-- > 0;) {
    fv_node *n = order[i];
    if (needed(&s, n))
      continue;
    release(&s, n);
    for (int k = 0; k < n->n_body; k++)
      for (fv_node *b = fv_walk_first(n->body[k]); b; b = fv_walk_next(n->body[k], b))
        release(&s, b);
    fv_node_remove(n);
    dropped++;
  }
  return dropped;
}
