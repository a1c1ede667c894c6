// SPDX-License-Identifier: Apache-2.0
//
// Changes of a graph that passes share: regions that become part of the one
// around them, symbols that become expressions.
#include "ir/graph/graph.h"

void fv_region_inline(fv_region *from, fv_node *at) {
  while (from->first) {
    fv_node *n = from->first;
    fv_node_remove(n);
    fv_node_insert_before(n, at);
  }
}

typedef struct rewriting {
  fv_xpool *pool;
  const fv_expr *const *by;
  uint32_t n;
} rewriting;

static const fv_expr *rewrite(const rewriting *w, const fv_expr *e) {
  return e ? fv_x_subst_syms(w->pool, e, w->by, w->n) : NULL;
}

static void rewrite_types(const rewriting *w, fv_value *const *v, int n) {
  for (int i = 0; i < n; i++)
    for (int d = 0; d < v[i]->type.rank; d++)
      v[i]->type.dim[d] = rewrite(w, v[i]->type.dim[d]);
}

static void rewrite_attrs(const rewriting *w, fv_node *n) {
  fv_arena *ar = fv_xpool_arena(w->pool);
  for (int i = 0; i < fv_op_get(n->op)->n_attr; i++) {
    fv_attr *a = &n->attr[i];
    if (a->kind == 'x')
      a->x = rewrite(w, a->x);
    if (a->kind != 'D' || !a->n)
      continue;
    const fv_expr **dims = FV_NEW_N(ar, const fv_expr *, a->n);
    for (int d = 0; d < a->n; d++)
      dims[d] = rewrite(w, a->dims[d]);
    a->dims = dims;
  }
}

void fv_graph_subst_symbols(fv_graph *g, const fv_expr *const *by, uint32_t n) {
  const rewriting w = {g->module->pool, by, n};
  rewrite_types(&w, g->region->param, g->region->n_param);
  for (fv_node *x = fv_walk_first(g->region); x; x = fv_walk_next(g->region, x)) {
    rewrite_attrs(&w, x);
    rewrite_types(&w, x->out, x->n_out);
    if (x->op == FV_OP_require)
      fv_graph_note_require(x);
    for (int b = 0; b < x->n_body; b++)
      rewrite_types(&w, x->body[b]->param, x->body[b]->n_param);
  }
  for (int i = 0; i < g->n_advance; i++)
    g->advance[i].next = rewrite(&w, g->advance[i].next);
}
