// SPDX-License-Identifier: Apache-2.0
// Inlines the definitions of composite ops, except those that a schedule
// family takes whole, makes constants of parts of constants, and drops what nobody uses.
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

//===-- Parts of constants ------------------------------------------------------------===//

// What n picks of a constant, as indices of that: fixed ones in front, then a stretch of one
// axis, the others whole. So it lies together. NULL, or its constant.
static const fv_node *part_of_constant(lw *l, const fv_node *n, fv_value *const *forward,
                                       int64_t *offset) {
  if (!lw_is_nest(n, FV_NEST_MAP) || n->meaning->nest.check ||
      n->meaning->nest.value->kind != FV_E_LOAD)
    return NULL;
  const fv_expr *x = n->meaning->nest.value, *first[FV_MAX_RANK];
  const fv_type *t = &n->out[0]->type;
  const fv_value *v = n->in[x->ref];
  const fv_node *c = forward[v->id] ? forward[v->id]->def : v->def;
  const int lead = x->n - t->rank;
  if (!c || c->op != FV_OP_constant || lead < 0 || t->rank == 0)
    return NULL;
  for (int i = 0; i < x->n; i++) {
    const int axis = i - lead;  // of the part
    int64_t at;
    first[i] =
        axis < 0 ? x->arg[i] : fv_x_sub(l->pool, x->arg[i], fv_x_index(l->pool, (uint32_t)axis));
    if (!fv_x_is_lit(first[i], &at) ||
        (axis > 0 && (at != 0 || t->dim[axis] != c->out[0]->type.dim[i])))
      return NULL;
  }
  const fv_expr *o = fv_type_offset(l->pool, &c->out[0]->type, first);
  return fv_x_is_lit(o, offset) && fv_type_static(t, (int64_t[FV_MAX_RANK]){0}) ? c : NULL;
}

static fv_status replace_part(lw *l, fv_node *n, const fv_node *of, int64_t offset,
                              fv_value **forward) {
  const fv_type *t = &n->out[0]->type;
  fv_node *c = fv_node_create(n->region, FV_OP_constant, 0, NULL, NULL);
  memcpy(c->attr, of->attr, sizeof *c->attr * (size_t)fv_op_get(c->op)->n_attr);
  fv_node_copy_spans(c, n);
  const fv_tensor **data = FV_NEW_N(l->arena, const fv_tensor *, of->n_data);
  for (int i = 0; i < of->n_data; i++) {
    fv_tensor part = *of->data[i];
    int64_t stride[FV_MAX_RANK], step = 1;
    part.rank = t->rank;
    (void)fv_type_static(t, part.dim);
    for (int d = t->rank - 1; d >= 0; d--) {
      stride[d] = step;
      step *= part.dim[d];
    }
    data[i] = fv_tensor_view(l->arena, &part, of->data[i], offset, stride);
  }
  c->data = data;
  c->n_data = of->n_data;
  fv_node_insert_before(c, n);
  FV_TRY(fv_infer_node(c, l->diag));
  forward[n->out[0]->id] = c->out[0];
  fv_node_remove(n);
  return FV_OK;
}

// Definitions pick parts of weights (those of one direction of a layer), which passes have not
// seen: such a part is a constant, so that it is packed when the model is compiled.
static fv_status find_parts(lw *l, fv_graph *g) {
  const uint32_t n_value = l->module->n_value;
  fv_value **forward = FV_NEW_N(l->arena, fv_value *, n_value);
  for (fv_node *n = fv_walk_first(g->region), *next; n; n = next) {
    int64_t offset;
    next = fv_walk_next(g->region, n);
    const fv_node *c = part_of_constant(l, n, forward, &offset);
    if (c)
      FV_TRY(replace_part(l, n, c, offset, forward));
  }
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
  FV_TRY(find_parts(l, g));
  fv_graph_drop_dead(g);
  return FV_OK;
}
