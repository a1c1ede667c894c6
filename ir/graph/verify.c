// SPDX-License-Identifier: Apache-2.0
//
// The verifier. It runs after every pass, and a fault it finds is the pass's,
// never the user's: the message names the pass and the node.
#include <string.h>

#include "ir/expr/expr_walk.h"
#include "ir/graph/graph.h"

typedef struct verifier {
  fv_module *m;
  const char *when;
  fv_diag_sink *diag;
  const fv_value **owner;  // by value id: who has this id
  bool *defined;           // by value id: its definition was passed
  uint32_t n_value;        // definitions that inference makes anew get ids beyond these
  fv_graph *g;
  // Symbols that the run sets, in this graph:
  const fv_region **scope;  // by symbol: in which region it has a value; NULL: not yet
  fv_xwalk seen;            // expressions of them, each looked at once
  const fv_region **home;   // of each: the innermost scope of its symbols
  size_t n_home, cap_home;
} verifier;

static fv_status broken(verifier *v, const fv_node *n, const char *fmt, ...) FV_PRINTF(3, 4);

static fv_status broken(verifier *v, const fv_node *n, const char *fmt, ...) {
  fv_str s = {.arena = v->m->arena};
  va_list ap;
  va_start(ap, fmt);
  fv_str_vprintf(&s, fmt, ap);
  va_end(ap);
  return fv_error(v->diag, FV_ERR_INTERNAL, n ? fv_node_span(n) : v->g->span,
                  "internal error: after %s, graph '%s': %s%s%s", v->when, v->g->name,
                  n ? fv_op_get(n->op)->name : "", n ? ": " : "", s.data);
}

static const fv_region *region_of(const fv_value *v) {
  return v->def ? v->def->region : v->region;
}

static bool encloses(const fv_region *outer, const fv_region *r) {
  while (r && r != outer)
    r = r->owner ? r->owner->region : NULL;
  return r != NULL;
}

static fv_status check_use(verifier *v, const fv_node *n, const fv_region *at, const fv_value *use,
                           const char *what, int i) {
  if (!use)
    return broken(v, n, "%s %d is missing", what, i);
  if (use->id >= v->n_value || v->owner[use->id] != use || !v->defined[use->id])
    return broken(v, n, "%s %d is used before its definition, or defined nowhere", what, i);
  if (!encloses(region_of(use), at))
    return broken(v, n, "%s %d is defined in a region that does not enclose its use", what, i);
  return FV_OK;
}

//===-- Symbols of the run ------------------------------------------------===//

static const fv_region *inner(const fv_region *a, const fv_region *b) {
  return !a || (b && encloses(a, b)) ? b : a;
}

// Symbols have their values where they are used in region `at`: a counter in its loop, what a
// node defines behind that node.
static fv_status check_expr(verifier *v, const fv_node *n, const fv_region *at, const fv_expr *x) {
  if (!x || !fv_x_has(x, FV_XF_RUN))
    return FV_OK;
  fv_xwalk *w = &v->seen;
  fv_xwalk_postorder(w, x, FV_XF_RUN);
  for (size_t i = v->n_home; i < w->n; i++) {
    const fv_expr *e = w->order[i];
    const fv_region *home = NULL;
    if (e->kind == FV_E_SYM) {
      home = v->scope[e->ref];
      if (!home)
        return broken(v, n, "the symbol '%s' has no value yet",
                      fv_symbol_get(v->m->pool, e->ref)->name);
    }
    for (int k = 0; k < e->n; k++) {
      const size_t part = fv_xwalk_find(w, e->arg[k]);
      home = inner(home, part == FV_XWALK_NONE ? NULL : v->home[part]);
    }
    FV_PUSH(v->m->arena, v->home, v->n_home, v->cap_home, home);
  }
  if (encloses(v->home[fv_xwalk_find(w, x)], at))
    return FV_OK;
  fv_str s = {.arena = v->m->arena};
  fv_x_print(v->m->pool, &s, x);
  return broken(v, n, "%s has no value here: one of its symbols is set in another region", s.data);
}

// Loops of definitions that stand beside each other share a counter: then what was found out
// about expressions no longer holds.
static void enter_counter(verifier *v, const fv_region *body) {
  if (body->owner->op != FV_OP_loop)
    return;
  const fv_region **scope = &v->scope[fv_attr_int(body->owner, "counter")];
  if (*scope) {
    fv_xwalk_init(&v->seen, v->m->pool);
    v->n_home = 0;
  }
  *scope = body;
}

static void enter_defined(verifier *v, const fv_node *n) {
  const int64_t *symbol;
  const int count = fv_node_defines(n, &symbol);
  for (int i = 0; i < count; i++)
    if (symbol[i] >= 0)
      v->scope[symbol[i]] = n->region;
}

static fv_status check_dims(verifier *v, const fv_node *n, const fv_region *at, const fv_type *t) {
  for (int i = 0; i < t->rank; i++)
    FV_TRY(check_expr(v, n, at, t->dim[i]));
  return FV_OK;
}

static fv_status check_attr_exprs(verifier *v, const fv_node *n) {
  for (int i = 0; i < fv_op_get(n->op)->n_attr; i++) {
    const fv_attr *a = &n->attr[i];
    if (a->kind == 'x')
      FV_TRY(check_expr(v, n, n->region, a->x));
    for (int d = 0; a->kind == 'D' && d < a->n; d++)
      FV_TRY(check_expr(v, n, n->region, a->dims[d]));
  }
  return FV_OK;
}

//===-- Nodes and values --------------------------------------------------===//

static fv_status check_type(verifier *v, const fv_node *n, const fv_type *t) {
  if (t->dtype >= FV_DTYPE_COUNT || t->rank < 0 || t->rank > FV_MAX_RANK)
    return broken(v, n, "a value has no valid type");
  for (int i = 0; i < t->rank; i++)
    if (!t->dim[i] || t->dim[i]->dtype != FV_i64)
      return broken(v, n, "axis %d of a value has no valid extent", i);
  if (!fv_layout_valid(&t->layout, t->rank))
    return broken(v, n, "a layout does not store each axis once");
  return FV_OK;
}

static fv_status enter_value(verifier *v, const fv_node *n, const fv_value *value) {
  if (!value || value->id >= v->n_value || v->owner[value->id])
    return broken(v, n, "a result or parameter has no id of its own");
  v->owner[value->id] = value;
  return check_type(v, n, &value->type);
}

static fv_status enter_params(verifier *v, const fv_node *n, const fv_region *r) {
  if (r->graph != v->g || r->owner != n || (n && n->body[r->index] != r))
    return broken(v, n, "a region belongs to another node or graph");
  for (int i = 0; i < r->n_param; i++) {
    FV_TRY(enter_value(v, n, r->param[i]));
    if (r->param[i]->def || r->param[i]->region != r || r->param[i]->index != (uint32_t)i)
      return broken(v, n, "parameter %d does not know its region", i);
    FV_TRY(check_dims(v, n, r, &r->param[i]->type));
    v->defined[r->param[i]->id] = true;
  }
  return FV_OK;
}

static fv_status check_attrs(verifier *v, const fv_node *n) {
  const fv_op_info *info = fv_op_get(n->op);
  for (int i = 0; i < info->n_attr; i++)
    if (n->attr[i].kind != info->attr[i].kind || fv_attr_is_missing(&n->attr[i]))
      return broken(v, n, "attribute '%.*s' is missing or of another kind", (int)info->attr[i].len,
                    info->attr[i].name);
  if (!fv_node_symbols_exist(n))
    return broken(v, n, "names a symbol that does not exist");
  return check_attr_exprs(v, n);
}

static fv_status enter_node(verifier *v, const fv_node *n, const fv_region *r,
                            const fv_node *prev) {
  if (n->op >= FV_OP_COUNT)
    return broken(v, NULL, "a node has no op");
  const fv_op_info *info = fv_op_get(n->op);
  if (n->region != r || n->prev != prev || (n->next ? n->next->prev : r->last) != n)
    return broken(v, n, "the list of nodes is damaged");
  if (n->n_body != info->n_body)
    return broken(v, n, "has %d regions where its op has %d", n->n_body, info->n_body);
  if ((n->op == FV_OP_constant) != (n->n_data > 0))
    return broken(v, n, "constants, and only these, have data");
  FV_TRY(check_attrs(v, n));
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i])  // the semantics know which operands may be absent
      FV_TRY(check_use(v, n, r, n->in[i], "operand", i));
  for (int i = 0; i < n->n_out; i++) {
    FV_TRY(enter_value(v, n, n->out[i]));
    if (n->out[i]->def != n || n->out[i]->index != (uint32_t)i)
      return broken(v, n, "result %d does not know its node", i);
  }
  return FV_OK;
}

// Do the semantics still give the types that the results have?
static fv_status check_inference(verifier *v, fv_node *n) {
  if (fv_node_is_inferred(n))
    return FV_OK;
  const int n_out = n->n_out;
  fv_type *old = FV_NEW_N(v->m->arena, fv_type, n_out);
  for (int i = 0; i < n_out; i++)
    old[i] = n->out[i]->type;
  if (fv_infer_node(n, v->diag) != FV_OK)
    return broken(v, n, "the node is no longer valid");
  if (n->n_out != n_out)
    return broken(v, n, "has %d results where its semantics give %d", n_out, n->n_out);
  for (int i = 0; i < n_out; i++) {
    if (fv_type_eq(&old[i], &n->out[i]->type))
      continue;
    fv_str a = {.arena = v->m->arena}, b = {.arena = v->m->arena};
    fv_type_print(v->m->pool, &a, &old[i]);
    fv_type_print(v->m->pool, &b, &n->out[i]->type);
    return broken(v, n, "result %d is %s where its semantics give %s", i, a.data, b.data);
  }
  return FV_OK;
}

static fv_status leave_node(verifier *v, fv_node *n) {
  for (int b = 0; b < n->n_body; b++)
    for (int i = 0; i < n->body[b]->n_param && i < n->n_in; i++)
      if (n->in[i] && !fv_type_eq(&n->body[b]->param[i]->type, &n->in[i]->type))
        return broken(v, n, "carry %d has another type inside the body", i);
  FV_TRY(check_inference(v, n));
  enter_defined(v, n);
  for (int i = 0; i < n->n_out; i++) {
    v->defined[n->out[i]->id] = true;
    FV_TRY(check_dims(v, n, n->region, &n->out[i]->type));
  }
  return FV_OK;
}

static fv_status check_results(verifier *v, const fv_region *r) {
  for (int i = 0; i < r->n_result; i++)
    FV_TRY(check_use(v, r->owner, r, r->result[i], "result", i));
  return FV_OK;
}

static fv_status check_conditions(verifier *v) {
  for (size_t i = 0; i < v->g->n_condition; i++) {
    const fv_condition *c = &v->g->condition[i];
    if (c->relation >= FV_REL_COUNT || !c->a || !c->b || !c->text || c->a->dtype != FV_i64 ||
        c->b->dtype != FV_i64)
      return broken(v, NULL, "condition %zu is malformed", i);
    const unsigned late = FV_XF_RUN | FV_XF_INDEX | FV_XF_LOAD;
    if (fv_x_has(c->a, late) || fv_x_has(c->b, late))
      return broken(v, NULL, "condition %zu is not known at bind", i);
  }
  return FV_OK;
}

static fv_status check_graph(verifier *v) {
  fv_region *r = v->g->region;
  v->scope = FV_NEW_N(v->m->arena, const fv_region *, fv_symbol_count(v->m->pool));
  fv_xwalk_init(&v->seen, v->m->pool);
  v->n_home = 0;
  FV_TRY(check_conditions(v));
  FV_TRY(enter_params(v, NULL, r));
  fv_walk w = {.top = r};
  const fv_node *prev = NULL;  // in the region at hand
  while (fv_walk_step(&w)) {
    switch (w.event) {
    case FV_WALK_ENTER: FV_TRY(enter_node(v, w.node, w.region, prev)); break;
    case FV_WALK_BEGIN:
      enter_counter(v, w.region);
      FV_TRY(enter_params(v, w.node, w.region));
      prev = NULL;
      break;
    case FV_WALK_END: FV_TRY(check_results(v, w.region)); break;
    default:
      FV_TRY(leave_node(v, w.node));
      prev = w.node;
      break;
    }
  }
  FV_TRY(check_results(v, r));
  for (int i = 0; i < v->g->n_advance; i++) {
    if (v->g->advance[i].length >= fv_symbol_count(v->m->pool) || !v->g->advance[i].next)
      return broken(v, NULL, "advance %d names no symbol", i);
    FV_TRY(check_expr(v, NULL, r, v->g->advance[i].next));
  }
  return FV_OK;
}

fv_status fv_verify(fv_module *m, const char *when, fv_diag_sink *diag) {
  verifier v = {.m = m, .when = when, .diag = diag, .n_value = m->n_value};
  v.owner = FV_NEW_N(m->arena, const fv_value *, v.n_value);
  v.defined = FV_NEW_N(m->arena, bool, v.n_value);
  for (int i = 0; i < m->n_graph; i++) {
    v.g = m->graph[i];
    if (v.g->module != m)
      return broken(&v, NULL, "the graph belongs to another module");
    FV_TRY(check_graph(&v));
  }
  return FV_OK;
}
