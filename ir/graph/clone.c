// SPDX-License-Identifier: Apache-2.0
//
// Copies of regions and modules. What never changes is shared: expressions,
// meanings, constant data, texts, spans.
#include <string.h>

#include "ir/graph/graph.h"

static fv_node *clone_node(fv_region *r, const fv_node *n, fv_value **copy) {
  fv_arena *ar = r->graph->module->arena;
  fv_value **in = FV_NEW_N(ar, fv_value *, n->n_in);
  for (int i = 0; i < n->n_in; i++)
    in[i] = n->in[i] ? copy[n->in[i]->id] : NULL;
  fv_node *c = fv_node_create(r, n->op, n->n_in, in, NULL);
  fv_node_copy_spans(c, n);
  const int n_attr = fv_op_get(n->op)->n_attr;
  if (n_attr)
    memcpy(c->attr, n->attr, (size_t)n_attr * sizeof *n->attr);
  c->data = n->data;
  c->n_data = n->n_data;
  c->meaning = n->meaning;
  c->expect = n->expect;
  c->n_out = n->n_out;
  c->out = FV_NEW_N(ar, fv_value *, n->n_out);
  for (int i = 0; i < n->n_out; i++) {
    const fv_value *v = n->out[i];
    fv_value *o = fv_value_create(r->graph->module, &v->type, c, v->index);
    o->name = v->name;
    o->content = v->content;
    o->n_content = v->n_content;
    c->out[i] = copy[v->id] = o;
  }
  return c;
}

static void clone_params(fv_region *to, const fv_region *from, fv_value **copy) {
  for (int i = 0; i < from->n_param; i++) {
    const fv_value *v = from->param[i];
    fv_value *c = copy[v->id] = fv_region_add_param(to, &v->type, v->name);
    c->content = v->content;
    c->n_content = v->n_content;
  }
}

void fv_region_clone_nodes(fv_region *from, fv_region *to, fv_node *at, fv_value **copy) {
  fv_region *r = to;  // the copy of where the walk is
  fv_node *owner = NULL;
  for (fv_walk w = {.top = from}; fv_walk_step(&w);) {
    switch (w.event) {
    case FV_WALK_ENTER:
      owner = clone_node(r, w.node, copy);
      fv_node_insert_before(owner, r == to ? at : NULL);
      break;
    case FV_WALK_BEGIN:
      r = owner->body[w.region->index];
      clone_params(r, w.region, copy);
      break;
    case FV_WALK_END:
      for (int i = 0; i < w.region->n_result; i++)
        fv_region_add_result(r, copy[w.region->result[i]->id]);
      owner = r->owner;
      r = owner->region;
      break;
    case FV_WALK_START:
    case FV_WALK_LEAVE: break;
    }
  }
}

fv_module *fv_module_clone(const fv_module *m) {
  fv_module *c = FV_NEW(m->arena, fv_module);
  *c = *m;
  c->n_value = 0;
  c->graph = FV_NEW_N(m->arena, fv_graph *, m->n_graph);
  fv_value **copy = FV_NEW_N(m->arena, fv_value *, m->n_value);
  for (int i = 0; i < m->n_graph; i++) {
    const fv_graph *from = m->graph[i];
    fv_graph *g = c->graph[i] = FV_NEW(m->arena, fv_graph);
    *g = *from;
    g->module = c;
    fv_graph_copy_conditions(g, from);
    g->late = NULL;
    g->n_late = g->cap_late = 0;
    g->lates = (fv_index){0};
    g->region = fv_region_create(g, NULL);
    clone_params(g->region, from->region, copy);
    fv_region_clone_nodes(from->region, g->region, NULL, copy);
    for (int k = 0; k < from->region->n_result; k++)
      fv_region_add_result(g->region, copy[from->region->result[k]->id]);
  }
  return c;
}
