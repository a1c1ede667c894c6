// SPDX-License-Identifier: Apache-2.0
// Merges nodes of equal op, operands and attributes in one region. State reads
// are kept apart: what they give depends on the writes between.
#include "base/hash.h"
#include "passes/pass.h"

static uint64_t hash_node(const fv_node *n, fv_value *const *forward) {
  uint64_t h = fv_hash64(&n->region, sizeof n->region, (uint64_t)n->op);
  for (int i = 0; i < n->n_in; i++) {
    const fv_value *v = n->in[i] && forward[n->in[i]->id] ? forward[n->in[i]->id] : n->in[i];
    h = fv_hash64(&v, sizeof v, h);
  }
  h = fv_hash64(n->data, sizeof *n->data * (size_t)n->n_data, h);
  for (int i = 0; i < fv_op_get(n->op)->n_attr; i++)
    h = fv_attr_hash(h, &n->attr[i]);
  return h;
}

static bool same_node(const fv_node *a, const fv_node *b, fv_value *const *forward) {
  if (a->op != b->op || a->region != b->region || a->n_in != b->n_in || a->n_data != b->n_data ||
      a->n_out != b->n_out)
    return false;
  for (int i = 0; i < a->n_in; i++) {
    const fv_value *x = a->in[i] && forward[a->in[i]->id] ? forward[a->in[i]->id] : a->in[i];
    const fv_value *y = b->in[i] && forward[b->in[i]->id] ? forward[b->in[i]->id] : b->in[i];
    if (x != y)
      return false;
  }
  for (int i = 0; i < a->n_data; i++)
    if (a->data[i] != b->data[i])
      return false;
  for (int i = 0; i < fv_op_get(a->op)->n_attr; i++)
    if (!fv_attr_eq(&a->attr[i], &b->attr[i]))
      return false;
  return true;
}

static bool may_merge(const fv_node *n) {
  return !n->n_body && n->n_out > 0 && n->op != FV_OP_state_read &&
         !(fv_op_get(n->op)->flags & FV_OPF_EFFECT);
}

static fv_status run(fv_pass_cx *cx, fv_graph *g) {
  const uint64_t before = cx->changes;
  fv_value **forward = FV_NEW_N(cx->arena, fv_value *, g->module->n_value);
  size_t count = 0, size = 64;
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n))
    count++;
  while (size < count * 2)
    size *= 2;
  fv_node **table = FV_NEW_N(cx->arena, fv_node *, size);
  for (fv_node *n = fv_walk_first(g->region), *next; n; n = next) {
    next = fv_walk_next(g->region, n);
    if (!may_merge(n))
      continue;
    size_t at = hash_node(n, forward) & (size - 1);
    while (table[at] && !same_node(table[at], n, forward))
      at = (at + 1) & (size - 1);
    if (!table[at]) {
      table[at] = n;
      continue;
    }
    for (int o = 0; o < n->n_out; o++)
      forward[n->out[o]->id] = table[at]->out[o];
    fv_node_copy_spans(table[at], n);
    if (!table[at]->expect)
      table[at]->expect = n->expect;
    fv_node_remove(n);
    cx->changes++;
  }
  if (cx->changes != before)
    fv_graph_forward(g, forward, g->module->n_value);
  return FV_OK;
}

const fv_pass fv_pass_merge_equal = {
    .name = "merge_equal", .doc = "Computes equal nodes of a region once", .run = run};
