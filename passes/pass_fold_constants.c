// SPDX-License-Identifier: Apache-2.0
// Evaluates nodes whose operands are constants, in one walk. A family (one tensor per trip
// of a repeat) is folded member by member. Results that would be much larger than their
// operands stay as they are, and so does what exceeds the budget: the work and the bytes
// that a graph may take are a multiple of what its constants hold, so that compiling is
// linear in the size of a model. What is not folded is computed by the run.
#include "ir/eval/eval.h"
#include "passes/pass.h"

enum { GROWTH = 4, SMALL = 4096 };
// Beyond a fixed amount: scalar operations for each element of the graph's constants, and
// bytes made for each of theirs.
enum { FREE_WORK = 1 << 26, WORK_PER_ELEMENT = 64, FREE_BYTES = 1 << 26, BYTES_PER_BYTE = 2 };

typedef struct folding {
  fv_pass_cx *cx;
  fv_value **forward;  // by id of the n_forward values at first: the constant in its place
  uint32_t n_forward;
  int64_t *symbol;     // none is looked at
  double work, bytes;  // what is left of the budget
} folding;

// The constant that a value is now.
static const fv_node *constant_of(const folding *f, const fv_value *v) {
  if (v->id < f->n_forward && f->forward[v->id])
    v = f->forward[v->id];
  return v->def && v->def->op == FV_OP_constant ? v->def : NULL;
}

static const fv_expr *member_of(const fv_node *n) {
  return fv_attr_get(n, "member")->x;
}

typedef struct family {
  int members;
  const fv_expr *member;  // which one is meant; NULL: there is one
  int64_t elements;       // of the operands
} family;

// The common family of the operands; false when an operand is no constant or
// two families differ.
static bool common_family(const folding *f, const fv_node *n, family *out) {
  *out = (family){.members = 1};
  int present = 0;
  for (int i = 0; i < n->n_in; i++) {
    if (!n->in[i])
      continue;
    const fv_node *c = constant_of(f, n->in[i]);
    if (!c)
      return false;
    present++;
    out->elements += fv_tensor_count(c->data[0]);
    if (c->n_data == 1)
      continue;
    if (out->member && (out->members != c->n_data || out->member != member_of(c)))
      return false;
    out->members = c->n_data;
    out->member = member_of(c);
  }
  return present > 0;
}

// A symbol in an attribute makes a node depend on the run.
static bool depends_on_run(const fv_node *n) {
  if (n->meaning->n_defined)
    return true;
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

// Takes the cost of folding n from the budget, if it is worth it and affordable.
static bool pay(folding *f, const fv_node *n, const family *of) {
  double elements = 0, bytes = 0;
  for (int o = 0; o < n->n_out; o++) {
    int64_t dim[FV_MAX_RANK];
    double count = 1;
    if (!fv_type_static(&n->out[o]->type, dim))
      return false;
    for (int d = 0; d < n->out[o]->type.rank; d++)
      count *= (double)dim[d];
    elements += count;
    bytes += count * fv_dtype_size(n->out[o]->type.dtype);
  }
  const double work = fv_eval_work(n) * of->members;
  bytes *= of->members;
  if (elements > GROWTH * (double)of->elements + SMALL || work > f->work || bytes > f->bytes)
    return false;
  f->work -= work;
  f->bytes -= bytes;
  return true;
}

// Are all elements of the results known numbers, whatever the operands are?
static bool known_contents(const fv_node *n) {
  int64_t v;
  for (int o = 0; o < n->n_out; o++) {
    if (!n->out[o]->content)
      return false;
    for (int i = 0; i < n->out[o]->n_content; i++)
      if (!fv_x_is_lit(n->out[o]->content[i], &v))
        return false;
  }
  return n->meaning->n_defined == 0;
}

static void from_contents(folding *f, const fv_node *n, fv_array *out) {
  fv_arena *ar = f->cx->arena;
  for (int o = 0; o < n->n_out; o++) {
    const fv_value *v = n->out[o];
    const int size = fv_dtype_size(v->type.dtype);
    out[o] = (fv_array){.dtype = v->type.dtype, .rank = v->type.rank};
    FV_CHECK(ar, fv_type_static(&v->type, out[o].dim));
    char *data = FV_NEW_N(ar, char, (size_t)v->n_content *(size_t)size + 1);
    for (int i = 0; i < v->n_content; i++)
      fv_scalar_store(v->type.dtype, data + (size_t)i * (size_t)size,
                      (fv_scalar){.i = v->content[i]->lit.i});
    out[o].data = data;
  }
}

static fv_status fold_member(folding *f, const fv_node *n, int member, fv_array *out) {
  fv_arena *ar = f->cx->arena;
  if (known_contents(n)) {
    from_contents(f, n, out);
    return FV_OK;
  }
  fv_array *in = fv_arena_take(ar, (size_t)n->n_in * sizeof *in + 1);
  const fv_array **p = fv_arena_take(ar, (size_t)n->n_in * sizeof *p + 1);
  for (int i = 0; i < n->n_in; i++) {
    p[i] = n->in[i] ? &in[i] : NULL;
    if (!n->in[i])
      continue;
    const fv_node *c = constant_of(f, n->in[i]);
    const fv_tensor *t = c->data[c->n_data == 1 ? 0 : member];
    in[i] = (fv_array){
        .dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)fv_tensor_data(ar, t)};
    for (int d = 0; d < t->rank; d++)
      in[i].dim[d] = t->dim[d];
  }
  const fv_status s = fv_eval_node(n, ar, f->symbol, p, out, f->cx->diag);
  fv_arena_give(ar, in);
  fv_arena_give(ar, p);
  return s;
}

static const fv_tensor *tensor_of(fv_pass_cx *cx, const fv_array *a) {
  fv_tensor *t = FV_NEW(cx->arena, fv_tensor);
  *t = (fv_tensor){.name = "", .dtype = a->dtype, .rank = a->rank, .data = a->data};
  for (int d = 0; d < a->rank; d++)
    t->dim[d] = a->dim[d];
  return t;
}

static fv_status fold(folding *f, fv_node *n, const family *of) {
  fv_pass_cx *cx = f->cx;
  fv_node **c = FV_NEW_N(cx->arena, fv_node *, n->n_out);
  for (int o = 0; o < n->n_out; o++) {
    c[o] = fv_node_create(n->region, FV_OP_constant, 0, NULL, fv_node_span(n));
    c[o]->n_data = of->members;
    c[o]->data = FV_NEW_N(cx->arena, const fv_tensor *, of->members);
    if (of->member)
      fv_attr_set_expr(c[o], "member", of->member);
  }
  fv_array *out = FV_NEW_N(cx->arena, fv_array, n->n_out);
  for (int m = 0; m < of->members; m++) {
    FV_TRY(fold_member(f, n, m, out));
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
    f->forward[n->out[o]->id] = v;
  }
  fv_node_remove(n);
  cx->changes++;
  return FV_OK;
}

static void set_budget(folding *f, fv_graph *g) {
  f->work = FREE_WORK;
  f->bytes = FREE_BYTES;
  for (const fv_node *n = fv_walk_first(g->region); n;
       n = fv_walk_next(g->region, (fv_node *)(uintptr_t)n))
    for (int d = 0; d < n->n_data; d++) {
      const double count = (double)fv_tensor_count(n->data[d]);
      f->work += WORK_PER_ELEMENT * count;
      f->bytes += BYTES_PER_BYTE * count * fv_dtype_size(n->data[d]->dtype);
    }
}

static fv_status run(fv_pass_cx *cx, fv_graph *g) {
  folding f = {.cx = cx};
  const uint64_t before = cx->changes;
  set_budget(&f, g);
  f.n_forward = g->module->n_value;
  f.forward = FV_NEW_N(cx->arena, fv_value *, f.n_forward);
  f.symbol = FV_NEW_N(cx->arena, int64_t, fv_symbol_count(g->module->pool) + 1);
  for (fv_node *n = fv_walk_first(g->region), *next; n; n = next) {
    next = fv_walk_next(g->region, n);
    family of = {.members = 1};
    if (!n->meaning || n->n_body || !n->n_out)
      continue;
    if (known_contents(n) || (!depends_on_run(n) && common_family(&f, n, &of) && pay(&f, n, &of)))
      FV_TRY(fold(&f, n, &of));
  }
  if (cx->changes != before)
    fv_graph_forward(g, f.forward, f.n_forward);
  return FV_OK;
}

const fv_pass fv_pass_fold_constants = {
    .name = "fold_constants",
    .doc =
        "Evaluates nodes whose operands are constants, as far as a budget of work and bytes goes",
    .run = run};
