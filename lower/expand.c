// SPDX-License-Identifier: Apache-2.0
// Inlines the definitions of composite ops, except those that a schedule
// family takes whole, and drops what nobody uses.
#include <string.h>

#include "lower/group.h"

// Copies the nodes of n's expansion in front of n and forwards its results. `copy` is by the
// ids of the module that is lowered, which all definitions are of.
static void inline_node(fv_node *n, fv_value **copy, fv_value **forward) {
  fv_region *x = n->meaning->expansion;
  fv_node *before = n->prev;
  int p = 0;
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i])
      copy[x->param[p++]->id] = n->in[i];
  fv_region_clone_nodes(x, n->region, n, copy);
  for (int i = 0; i < n->n_out; i++) {
    fv_value *v = forward[n->out[i]->id] = copy[x->result[i]->id];
    if (!v->name)
      v->name = n->out[i]->name;
  }
  for (fv_node *m = before ? before->next : n->region->first; m != n; m = m->next) {
    fv_node_copy_spans(m, n);
    if (n->expect)
      m->expect = n->expect;
  }
  fv_node_remove(n);
}

// Once it is inlined nobody can tell why.
static fv_status test_expect(lw *l, const fv_node *n) {
  const lw_family *f = n->expect ? lw_family_find(n->expect) : NULL;
  const lw_why why = f ? f->match(l, n) : NULL;
  if (!why || why == lw_other_kind)
    return FV_OK;
  return fv_error(l->diag, FV_ERR_NO, fv_node_span(n),
                  "expected '%s', but this is computed by its definition, by several kernels: %s",
                  n->expect, why);
}

static bool is_expand(const fv_node *n) {
  return n->meaning && n->meaning->kind == FV_MEANS_EXPAND;
}

// One round: inlines each composite node of the graph once. Definitions may
// hold composite ops themselves, so the caller repeats until none is left.
static fv_status expand_round(lw *l, fv_graph *g, fv_value **copy, bool *changed) {
  const uint32_t n_value = l->module->n_value;
  fv_value **forward = FV_NEW_N(l->arena, fv_value *, n_value);
  *changed = false;
  for (fv_node *n = fv_walk_first(g->region), *next; n; n = next) {
    next = fv_walk_next(g->region, n);
    if (!is_expand(n) || lw_family_of(l, n))
      continue;
    FV_TRY(test_expect(l, n));
    inline_node(n, copy, forward);
    *changed = true;
  }
  if (*changed)
    fv_graph_forward(g, forward, n_value);
  return FV_OK;
}

fv_status lw_expand(lw *l, fv_graph *g, fv_value **copy) {
  l->family = NULL;
  l->uses = (fv_uses){0};
  // Nesting of definitions is bounded by the op table: what an op is defined by is
  // another op, or a smaller one of its kind.
  for (bool changed = true; changed;)
    FV_TRY(expand_round(l, g, copy, &changed));
  fv_graph_drop_dead(g);
  return FV_OK;
}
