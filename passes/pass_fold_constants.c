// SPDX-License-Identifier: Apache-2.0
// Evaluates nodes whose operands are constants. A family (one tensor per trip
// of a repeat) is folded member by member. Results that would be much larger
// than their operands stay as they are.
#include "ir/eval/eval.h"
#include "passes/pass.h"

enum { MAX_ELEMENTS = 1 << 26, GROWTH = 4, SMALL = 4096 };

static const fv_expr *member_of(const fv_node *n) {
  return fv_attr_get(n, "member")->x;
}

// The common family of the operands: number of members and which one is meant;
// false when an operand is no constant or two families differ.
static bool family(const fv_node *n, int *members, const fv_expr **member, int64_t *elements) {
  *members = 1;
  *member = NULL;
  *elements = 0;
  int present = 0;
  for (int i = 0; i < n->n_in; i++) {
    if (!n->in[i])
      continue;
    const fv_node *c = n->in[i]->def;
    if (!c || c->op != FV_OP_constant)
      return false;
    present++;
    *elements += fv_tensor_count(c->data[0]);
    if (c->n_data == 1)
      continue;
    if (*member && (*members != c->n_data || *member != member_of(c)))
      return false;
    *members = c->n_data;
    *member = member_of(c);
  }
  return present > 0;
}

static bool worth_it(const fv_node *n, int64_t operand_elements) {
  int64_t total = 0;
  for (int o = 0; o < n->n_out; o++) {
    int64_t dim[FV_MAX_RANK], count = 1;
    if (!fv_type_static(&n->out[o]->type, dim))
      return false;
    for (int d = 0; d < n->out[o]->type.rank; d++)
      if (dim[d] < 0 || __builtin_mul_overflow(count, dim[d], &count))
        return false;
    if (count > MAX_ELEMENTS)
      return false;
    total += count;
  }
  return total <= GROWTH * operand_elements + SMALL;
}

static fv_status fold_member(fv_pass_cx *cx, const fv_node *n, int member, fv_array *out) {
  fv_array *in = FV_NEW_N(cx->arena, fv_array, n->n_in);
  const fv_array **p = FV_NEW_N(cx->arena, const fv_array *, n->n_in);
  for (int i = 0; i < n->n_in; i++) {
    if (!n->in[i])
      continue;
    const fv_node *c = n->in[i]->def;
    const fv_tensor *t = c->data[c->n_data == 1 ? 0 : member];
    in[i] = (fv_array){.dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data};
    for (int d = 0; d < t->rank; d++)
      in[i].dim[d] = t->dim[d];
    p[i] = &in[i];
  }
  int64_t *none = FV_NEW_N(cx->arena, int64_t, fv_symbol_count(n->region->graph->module->pool) + 1);
  return fv_eval_node(n, cx->arena, none, p, out, cx->diag);
}

static const fv_tensor *tensor_of(fv_pass_cx *cx, const fv_array *a) {
  fv_tensor *t = FV_NEW(cx->arena, fv_tensor);
  *t = (fv_tensor){.name = "", .dtype = a->dtype, .rank = a->rank, .data = a->data};
  for (int d = 0; d < a->rank; d++)
    t->dim[d] = a->dim[d];
  return t;
}

static fv_status fold(fv_pass_cx *cx, fv_node *n, int members, const fv_expr *member,
                      fv_value **forward) {
  fv_node **c = FV_NEW_N(cx->arena, fv_node *, n->n_out);
  for (int o = 0; o < n->n_out; o++) {
    c[o] = fv_node_create(n->region, FV_OP_constant, 0, NULL, fv_node_span(n));
    c[o]->n_data = members;
    c[o]->data = FV_NEW_N(cx->arena, const fv_tensor *, members);
    if (member)
      fv_attr_set_expr(c[o], "member", member);
  }
  fv_array *out = FV_NEW_N(cx->arena, fv_array, n->n_out);
  for (int m = 0; m < members; m++) {
    FV_TRY(fold_member(cx, n, m, out));
    for (int o = 0; o < n->n_out; o++)
      c[o]->data[m] = tensor_of(cx, &out[o]);
  }
  for (int o = 0; o < n->n_out; o++) {
    fv_node_insert_before(c[o], n);
    fv_node_copy_spans(c[o], n);
    fv_value *v = fv_value_create(n->region->graph->module, &n->out[o]->type, c[o], 0);
    c[o]->out = FV_NEW_N(cx->arena, fv_value *, 1);
    c[o]->out[0] = v;
    c[o]->n_out = 1;
    forward[n->out[o]->id] = v;
  }
  fv_node_remove(n);
  cx->changes++;
  return FV_OK;
}

// A symbol in an attribute makes a node depend on the run.
static bool depends_on_run(const fv_node *n) {
  for (int i = 0; i < fv_op_get(n->op)->n_attr; i++) {
    const fv_attr *a = &n->attr[i];
    if (a->kind == 'x' && a->x && fv_x_has(a->x, FV_XF_SYM))
      return true;
    for (int d = 0; a->kind == 'D' && d < a->n; d++)
      if (fv_x_has(a->dims[d], FV_XF_SYM))
        return true;
  }
  return false;
}

static fv_status run(fv_pass_cx *cx, fv_graph *g) {
  for (bool again = true; again;) {
    again = false;
    // Folding makes at most one new value for each old one.
    fv_value **forward = FV_NEW_N(cx->arena, fv_value *, 2 * g->module->n_value);
    for (fv_node *n = fv_walk_first(g->region), *next; n; n = next) {
      next = fv_walk_next(g->region, n);
      int members;
      const fv_expr *member;
      int64_t elements;
      if (!n->meaning || n->body || !n->n_out || depends_on_run(n) ||
          !family(n, &members, &member, &elements) || !worth_it(n, elements))
        continue;
      FV_TRY(fold(cx, n, members, member, forward));
      again = true;
    }
    if (again)
      fv_graph_forward(g, forward);
  }
  return FV_OK;
}

const fv_pass fv_pass_fold_constants = {
    .name = "fold_constants", .doc = "Evaluates nodes whose operands are constants", .run = run};
