// SPDX-License-Identifier: Apache-2.0
// Control that constants decide. An `if` whose condition is a constant becomes the arm
// that runs: its nodes move out of it, and symbols that stood for its dims become those
// dims. The symbol of an `item` of a constant becomes its value.
#include "passes/pass.h"

static const void *elements_of(const fv_node *c, int member) {
  return fv_tensor_data(c->region->graph->module->arena, c->data[member]);
}

// The arm that every run takes, or NULL.
static fv_region *only_arm(const fv_node *n) {
  if (n->op != FV_OP_if || !n->in[0]->def || n->in[0]->def->op != FV_OP_constant)
    return NULL;
  const fv_node *c = n->in[0]->def;
  const bool first = *(const uint8_t *)elements_of(c, 0) != 0;
  for (int i = 1; i < c->n_data; i++)
    if ((*(const uint8_t *)elements_of(c, i) != 0) != first)
      return NULL;
  return n->body[first ? 0 : 1];
}

typedef struct folding {
  fv_value **forward;  // by value id
  const fv_expr **by;  // by symbol
} folding;

static void fold(folding *f, fv_node *n, fv_region *arm) {
  const fv_attr *symbols = fv_attr_get(n, "symbols");
  int at = 0;
  for (int i = 0; i < n->n_out; i++) {
    const fv_type *t = &arm->result[i]->type;
    f->forward[n->out[i]->id] = arm->result[i];
    for (int d = 0; d < t->rank; d++, at++)
      if (at < symbols->n && symbols->ints[at] >= 0)
        f->by[symbols->ints[at]] = t->dim[d];
    if (!arm->result[i]->name)
      arm->result[i]->name = n->out[i]->name;
  }
  fv_region_inline(arm, n);
  fv_node_remove(n);
}

// The value of an `item` of a constant, if it is in range: others fail the run.
static bool constant_item(const fv_node *n, int64_t *out) {
  const fv_node *c = n->op == FV_OP_item ? n->in[0]->def : NULL;
  int64_t max;
  if (!c || c->op != FV_OP_constant || c->n_data != 1 ||
      !fv_x_is_lit(fv_attr_get(n, "max")->x, &max))
    return false;
  *out = fv_scalar_load(c->data[0]->dtype, elements_of(c, 0)).i;
  return *out >= fv_attr_int(n, "min") && *out <= max;
}

// A dim of an arm may be that of another `if` that is folded, too.
static void resolve_symbols(fv_xpool *p, const fv_expr **by, uint32_t n) {
  for (uint32_t s = 0; s < n; s++)
    for (const fv_expr *x = NULL; by[s] != x;) {
      x = by[s];
      by[s] = fv_x_subst_syms(p, x, by, n);
    }
}

static fv_status run(fv_pass_cx *cx, fv_graph *g) {
  fv_xpool *p = g->module->pool;
  const uint32_t symbols = fv_symbol_count(p);
  const uint32_t n_value = g->module->n_value;
  folding f = {FV_NEW_N(cx->arena, fv_value *, n_value),
               FV_NEW_N(cx->arena, const fv_expr *, symbols)};
  fv_node **order = NULL;
  size_t n_order = 0, cap = 0, items = 0;
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n)) {
    int64_t v;
    if (only_arm(n)) {
      FV_PUSH(cx->arena, order, n_order, cap, n);
    } else if (constant_item(n, &v) && !f.by[fv_attr_get(n, "symbols")->ints[0]]) {
      f.by[fv_attr_get(n, "symbols")->ints[0]] = fv_x_i64(p, v);
      items++;
    }
  }
  for (size_t i = 0; i < n_order; i++)
    fold(&f, order[i], only_arm(order[i]));
  if (!n_order && !items)
    return FV_OK;
  cx->changes += n_order;
  fv_graph_forward(g, f.forward, n_value);
  resolve_symbols(p, f.by, symbols);
  fv_graph_subst_symbols(g, f.by, symbols);
  FV_TRY(fv_infer_graph(g, cx->diag));
  return fv_graph_unify(g, cx->diag);  // needs of an arm became those of the graph
}

const fv_pass fv_pass_fold_control = {.name = "fold_control",
                                      .doc =
                                          "Puts the arm that runs in place of an if whose "
                                          "condition is a constant",
                                      .run = run};
