// SPDX-License-Identifier: Apache-2.0
//
// Contents: what the elements of a small integer value are, as expressions of dims.
// They follow from the meaning of the node: its expression at each index, with the
// contents of the operands in place of loads. Integers of any width are i64 here, so
// an element that may not fit its type has no content; bools are bools.
#include "ir/sem/sem_util.h"

enum { MAX_ELEMENTS = 64, MAX_POINTS = 4096, MAX_DEPTH = 64 };

typedef struct contents {
  const fv_node *node;
  fv_xpool *pool;
  int64_t at[FV_MAX_LOOPS];  // indices of the point
  const fv_expr *acc;        // the combined value, in `post`
} contents;

static const fv_expr *content_of(contents *c, const fv_expr *e, int depth);

//===-- Leaves --------------------------------------------------------------===//

static const fv_expr *of_load(contents *c, const fv_expr *e, int depth) {
  if (e->ref == FV_NEST_ACC)
    return c->acc;
  const fv_value *v = (int)e->ref < c->node->n_in ? c->node->in[e->ref] : NULL;
  if (!v || !v->content)
    return NULL;
  int64_t flat = 0;
  for (int i = 0; i < e->n; i++) {
    int64_t extent, k;
    const fv_expr *x = content_of(c, e->arg[i], depth);
    if (!x || !fv_x_is_lit(x, &k) || !fv_x_is_lit(v->type.dim[i], &extent) || k < 0 || k >= extent)
      return NULL;
    flat = flat * extent + k;
  }
  return flat < v->n_content ? v->content[flat] : NULL;
}

static bool fits(fv_xpool *p, const fv_expr *x, fv_dtype t) {
  const int bits = 8 * fv_dtype_size(t);
  if (t == FV_i64 || t == FV_bool)
    return true;
  const fv_range r = fv_x_range(p, x, NULL, 0);
  const bool sign = t != FV_u8;
  const int64_t end = INT64_C(1) << (bits - sign);
  return r.lo >= (sign ? -end : 0) && r.hi < end;
}

//===-- Primitives ------------------------------------------------------------===//

static const fv_expr *of_cast(contents *c, const fv_expr *x, fv_dtype to) {
  fv_xpool *p = c->pool;
  if (to == FV_bool)
    return x->dtype == FV_bool ? x : fv_x_op(p, FV_X_NE, x, fv_x_i64(p, 0), NULL);
  if (!fv_dtype_is_int(to))
    return NULL;
  if (x->dtype == FV_bool)
    x = fv_x_op(p, FV_X_SELECT, x, fv_x_i64(p, 1), fv_x_i64(p, 0));
  return fits(p, x, to) ? x : NULL;
}

// Is the divisor never 0, and does truncation round down?
static bool divides(fv_xpool *p, fv_scalar_op op, const fv_expr *a, const fv_expr *b) {
  const fv_range ra = fv_x_range(p, a, NULL, 0), rb = fv_x_range(p, b, NULL, 0);
  return rb.lo > 0 && (op != FV_X_DIV || ra.lo >= 0);
}

static const fv_expr *of_op(contents *c, const fv_expr *e, const fv_expr *const *arg) {
  const fv_scalar_op op = (fv_scalar_op)e->op;
  fv_xpool *p = c->pool;
  const fv_expr *x;
  int64_t known;
  switch (op) {
  case FV_X_ADD:
  case FV_X_SUB:
  case FV_X_MUL:
  case FV_X_NEG:
  case FV_X_ABS:
  case FV_X_MIN:
  case FV_X_MAX:
  case FV_X_EQ:
  case FV_X_NE:
  case FV_X_LT:
  case FV_X_LE: x = fv_x_op(p, op, arg[0], arg[1], NULL); break;
  case FV_X_DIV:
  case FV_X_FLOORDIV:
  case FV_X_MOD:
    if (!divides(p, op, arg[0], arg[1]))
      return NULL;
    x = fv_x_op(p, op == FV_X_DIV ? FV_X_FLOORDIV : op, arg[0], arg[1], NULL);
    break;
  case FV_X_AND:
  case FV_X_OR:
  case FV_X_XOR:
  case FV_X_NOT:  // bit by bit for integers
    for (int i = 0; i < e->n; i++)
      if (arg[i]->dtype != FV_bool && !fv_x_is_lit(arg[i], &known))
        return NULL;
    x = fv_x_op(p, op, arg[0], e->n > 1 ? arg[1] : NULL, NULL);
    break;
  default: return NULL;
  }
  return e->dtype == FV_bool || fits(p, x, (fv_dtype)e->dtype) ? x : NULL;
}

// What a condition decides is not looked at: a chain of them ends here.
static const fv_expr *taken(contents *c, const fv_expr *e, const fv_expr **cond, int depth) {
  while (e->kind == FV_E_OP && e->op == FV_X_SELECT) {
    int64_t known;
    *cond = content_of(c, e->arg[0], depth);
    if (!*cond)
      return NULL;
    if (!fv_x_is_lit(*cond, &known))
      return e;
    e = e->arg[known ? 1 : 2];
  }
  return e;
}

static const fv_expr *content_of(contents *c, const fv_expr *e, int depth) {
  const fv_expr *arg[3] = {NULL, NULL, NULL}, *cond = NULL;
  if (depth >= MAX_DEPTH)
    return NULL;
  e = taken(c, e, &cond, depth + 1);
  if (!e || fv_dtype_is_float((fv_dtype)e->dtype))
    return NULL;
  switch (e->kind) {
  case FV_E_LIT: return e->dtype == FV_bool ? e : fv_x_i64(c->pool, e->lit.i);
  case FV_E_SYM: return e;
  case FV_E_INDEX: return fv_x_i64(c->pool, c->at[e->ref]);
  case FV_E_LOAD: return of_load(c, e, depth + 1);
  default: break;
  }
  for (int i = 0; i < e->n; i++) {
    arg[i] = i == 0 && e->op == FV_X_SELECT ? cond : content_of(c, e->arg[i], depth + 1);
    if (!arg[i])
      return NULL;
  }
  if (e->op == FV_X_SELECT)
    return fv_x_op(c->pool, FV_X_SELECT, arg[0], arg[1], arg[2]);
  return e->op == FV_X_CAST ? of_cast(c, arg[0], (fv_dtype)e->dtype) : of_op(c, e, arg);
}

//===-- Nests ---------------------------------------------------------------===//

static bool combines(fv_combine how, fv_scalar_op *op) {
  switch (how) {
  case FV_COMBINE_SUM: *op = FV_X_ADD; return true;
  case FV_COMBINE_PROD: *op = FV_X_MUL; return true;
  case FV_COMBINE_MAX: *op = FV_X_MAX; return true;
  case FV_COMBINE_MIN: *op = FV_X_MIN; return true;
  case FV_COMBINE_ANY: *op = FV_X_OR; return true;
  case FV_COMBINE_ALL: *op = FV_X_AND; return true;
  default: return false;
  }
}

// Counts `at` of the loops lo..hi up; false at the end.
static bool advance(contents *c, const int64_t *extent, int lo, int hi) {
  for (int i = hi - 1; i >= lo; i--) {
    if (++c->at[i] < extent[i])
      return true;
    c->at[i] = 0;
  }
  return false;
}

static const fv_expr *element(contents *c, const int64_t *extent) {
  const fv_nest *t = &c->node->meaning->nest;
  const int n_all = t->n_par + t->n_red;
  fv_scalar_op op = FV_X_ADD;
  const fv_expr *all = content_of(c, t->value, 0);
  if (t->combine == FV_COMBINE_NONE || !all)
    return all;
  if (!combines(t->combine, &op))
    return NULL;
  while (all && advance(c, extent, t->n_par, n_all)) {
    const fv_expr *x = content_of(c, t->value, 0);
    all = x ? fv_x_op(c->pool, op, all, x, NULL) : NULL;
    all = all && fits(c->pool, all, (fv_dtype)t->value->dtype) ? all : NULL;
  }
  c->acc = all;
  return all && t->post ? content_of(c, t->post, 0) : all;
}

static bool loops(const fv_nest *t, int64_t *extent, int64_t *elements) {
  int64_t points = 1;
  *elements = 1;
  for (int i = 0; i < t->n_par + t->n_red; i++) {
    if (!fv_x_is_lit(t->extent[i], &extent[i]) || extent[i] < 0 || extent[i] > MAX_POINTS)
      return false;
    points *= extent[i];
    *elements *= i < t->n_par ? extent[i] : 1;
    if (points > MAX_POINTS || *elements > MAX_ELEMENTS)
      return false;
    if (i >= t->n_par && extent[i] == 0)
      return false;  // over nothing: a neutral element, for no one's benefit
  }
  return true;
}

static void of_nest(contents *c, fv_value *out) {
  const fv_nest *t = &c->node->meaning->nest;
  fv_arena *ar = fv_xpool_arena(c->pool);
  int64_t extent[FV_MAX_LOOPS], n;
  // A point of a scan or a scatter is no element of the result.
  if ((t->form != FV_NEST_MAP && t->form != FV_NEST_REDUCE) || !loops(t, extent, &n))
    return;
  const fv_expr **x = FV_NEW_N(ar, const fv_expr *, n + 1);
  for (int64_t i = 0; i < n; i++) {
    x[i] = element(c, extent);
    if (!x[i])
      return;
    advance(c, extent, 0, t->n_par);
  }
  out->content = x;
  out->n_content = (int)n;
}

//===-- Nodes -----------------------------------------------------------------===//

static void of_constant(fv_xpool *p, const fv_node *n) {
  const fv_tensor *t = n->data[0];
  const int64_t count = fv_tensor_count(t);
  if (n->n_data != 1 || count > MAX_ELEMENTS || fv_dtype_is_float(t->dtype))
    return;
  const fv_expr **x = FV_NEW_N(fv_xpool_arena(p), const fv_expr *, count + 1);
  const char *data = fv_tensor_data(fv_xpool_arena(p), t);
  for (int64_t i = 0; i < count; i++) {
    const char *at = data + i * fv_dtype_size(t->dtype);
    const int64_t v = fv_scalar_load(t->dtype, at).i;
    x[i] = t->dtype == FV_bool ? fv_x_lit_i(p, FV_bool, v != 0) : fv_x_i64(p, v);
  }
  n->out[0]->content = x;
  n->out[0]->n_content = (int)count;
}

static void same_as(fv_value *out, const fv_value *v) {
  out->content = v->content;
  out->n_content = v->n_content;
}

// What both arms give alike. Expressions that an arm alone defines differ.
static void of_if(const fv_node *n) {
  for (int i = 0; i < n->n_out; i++) {
    const fv_value *a = n->body[0]->result[i], *b = n->body[1]->result[i];
    bool same = a->content && b->content && a->n_content == b->n_content;
    for (int k = 0; same && k < a->n_content; k++)
      same = a->content[k] == b->content[k];
    if (same)
      same_as(n->out[i], a);
  }
}

// What no trip changes.
static void of_loop(const fv_node *n) {
  for (int i = 0; i < n->n_in; i++)
    if (n->body[0]->result[i] == n->body[0]->param[i])
      same_as(n->out[i], n->in[i]);
}

static void of_item(fv_xpool *p, const fv_node *n) {
  const fv_defined *d = &n->meaning->defined[0];
  const fv_expr **x = FV_NEW(fv_xpool_arena(p), const fv_expr *);
  x[0] = fv_x_sym(p, d->symbol);
  n->out[d->result]->content = x;
  n->out[d->result]->n_content = 1;
}

void fv_sem_contents(const fv_node *n) {
  fv_xpool *p = n->region->graph->module->pool;
  bool integers = false;
  for (int i = 0; i < n->n_out; i++) {
    n->out[i]->content = NULL;
    integers = integers || !fv_dtype_is_float(n->out[i]->type.dtype);
  }
  if (!integers)
    return;
  if (n->op == FV_OP_constant)
    of_constant(p, n);
  else if (n->op == FV_OP_if)
    of_if(n);
  else if (n->op == FV_OP_loop)
    of_loop(n);
  else if (!n->meaning)
    return;
  else if (n->meaning->n_defined == 1 && n->meaning->kind == FV_MEANS_NEST)
    of_item(p, n);
  else if (n->meaning->kind == FV_MEANS_NEST)
    of_nest(&(contents){.node = n, .pool = p}, n->out[0]);
  else if (n->meaning->kind == FV_MEANS_EXPAND)
    for (int i = 0; i < n->n_out; i++)
      same_as(n->out[i], n->meaning->expansion->result[i]);
}
