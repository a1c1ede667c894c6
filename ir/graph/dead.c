// SPDX-License-Identifier: Apache-2.0
// Removal of nodes whose results nobody uses.
#include "ir/graph/graph.h"

static bool has_effect(const fv_node *n) {
  if (fv_op_get(n->op)->flags & FV_OPF_EFFECT)
    return true;
  if (!n->body)
    return false;
  for (fv_node *b = fv_walk_first(n->body); b; b = fv_walk_next(n->body, b))
    if (fv_op_get(b->op)->flags & FV_OPF_EFFECT)
      return true;
  return false;
}

static void release(uint32_t *uses, const fv_node *n) {
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i])
      uses[n->in[i]->id]--;
}

uint64_t fv_graph_drop_dead(fv_graph *g) {
  fv_arena *ar = g->module->arena;
  uint64_t dropped = 0;
  uint32_t *uses = FV_NEW_N(ar, uint32_t, g->module->n_value);
  fv_graph_count_uses(g, uses);
  fv_node **order = NULL;
  size_t n_order = 0, cap = 0;
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n))
    FV_PUSH(ar, order, n_order, cap, n);
  for (size_t i = n_order; i-- > 0;) {
    fv_node *n = order[i];
    bool used = has_effect(n);
    for (int o = 0; o < n->n_out; o++)
      used = used || uses[n->out[o]->id];
    if (used)
      continue;
    release(uses, n);
    if (n->body) {
      for (fv_node *b = fv_walk_first(n->body); b; b = fv_walk_next(n->body, b))
        release(uses, b);
      for (int r = 0; r < n->body->n_result; r++)
        uses[n->body->result[r]->id]--;
    }
    fv_node_remove(n);
    dropped++;
  }
  return dropped;
}
