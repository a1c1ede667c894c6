// SPDX-License-Identifier: Apache-2.0
// Removal of nodes whose results nobody uses.
#include "ir/graph/graph.h"

static bool has_effect(const fv_node *n) {
  if (fv_op_get(n->op)->flags & FV_OPF_EFFECT)
    return true;
  for (int i = 0; i < n->n_body; i++)
    for (fv_node *b = fv_walk_first(n->body[i]); b; b = fv_walk_next(n->body[i], b))
      if (fv_op_get(b->op)->flags & FV_OPF_EFFECT)
        return true;
  return false;
}

static void release(uint32_t *uses, const fv_node *n) {
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i])
      uses[n->in[i]->id]--;
}

static void release_body(uint32_t *uses, fv_region *body) {
  for (fv_node *b = fv_walk_first(body); b; b = fv_walk_next(body, b)) {
    release(uses, b);
    for (int i = 0; i < b->n_body; i++)
      for (int r = 0; r < b->body[i]->n_result; r++)
        uses[b->body[i]->result[r]->id]--;
  }
  for (int r = 0; r < body->n_result; r++)
    uses[body->result[r]->id]--;
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
    for (int b = 0; b < n->n_body; b++)
      release_body(uses, n->body[b]);
    fv_node_remove(n);
    dropped++;
  }
  return dropped;
}
