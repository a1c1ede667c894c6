// SPDX-License-Identifier: Apache-2.0
#include "ir/graph/uses.h"

// Uses are put in front, so the walk goes from the last to the first.
static void add(fv_uses *u, fv_arena *ar, const fv_value *v, const fv_use *like) {
  fv_use *x = FV_NEW(ar, fv_use);
  *x = *like;
  x->next = u->first[v->id];
  u->first[v->id] = x;
  u->count[v->id]++;
}

static void add_results(fv_uses *u, fv_arena *ar, fv_region *r) {
  for (int i = r->n_result; i-- > 0;)
    add(u, ar, r->result[i], &(fv_use){.region = r, .index = i});
}

static void add_operands(fv_uses *u, fv_arena *ar, fv_node *n) {
  for (int i = n->n_in; i-- > 0;)
    if (n->in[i])
      add(u, ar, n->in[i], &(fv_use){.node = n, .region = n->region, .index = i});
}

void fv_uses_build(fv_uses *u, fv_arena *ar, const fv_graph *g) {
  *u = (fv_uses){.n_value = g->module->n_value};
  u->first = FV_NEW_N(ar, const fv_use *, u->n_value);
  u->count = FV_NEW_N(ar, uint32_t, u->n_value);
  fv_node **order = NULL;
  size_t n = 0, cap = 0;
  for (fv_node *x = fv_walk_first(g->region); x; x = fv_walk_next(g->region, x))
    FV_PUSH(ar, order, n, cap, x);
  add_results(u, ar, g->region);
  while (n-- > 0) {
    for (int b = order[n]->n_body; b-- > 0;)
      add_results(u, ar, order[n]->body[b]);
    add_operands(u, ar, order[n]);
  }
}
