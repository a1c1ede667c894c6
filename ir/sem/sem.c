// SPDX-License-Identifier: Apache-2.0
//
// Inference: runs the semantics function of a node, and the checks that
// semantics functions are written with.
#include "ir/sem/sem.h"

#include "base/checked.h"
#include "base/hash.h"
#include "ir/sem/sem_util.h"

typedef fv_status (*sem_fn)(fv_sem *s);

static const sem_fn sem_of[] = {
#define FV_OP(name, ...) fv_sem_##name,
#include "fovea/ops.def"
};

//===-- Messages --------------------------------------------------------===//

fv_status fv_sem_error(fv_sem *s, const char *fmt, ...) {
  fv_str text = {.arena = s->arena};
  fv_str_printf(&text, "%s: ", fv_op_get(s->node->op)->name);
  va_list ap;
  va_start(ap, fmt);
  fv_str_vprintf(&text, fmt, ap);
  va_end(ap);
  return fv_error(s->diag, FV_ERR_TYPE, fv_node_span(s->node), "%s", text.data);
}

const char *fv_sem_operand_name(const fv_sem *s, int operand) {
  const fv_op_info *op = fv_op_get(s->node->op);
  if (op->n_operand == 0)
    return "operand";
  const fv_param_info *p = &op->operand[operand < op->n_operand ? operand : op->n_operand - 1];
  const char *name = fv_arena_strndup(s->arena, p->name, p->len);
  if (!p->variadic)
    return name;
  return fv_arena_printf(s->arena, "%s[%d]", name, operand - (op->n_operand - 1));
}

const char *fv_sem_dim_text(const fv_sem *s, const fv_expr *dim) {
  fv_str text = {.arena = s->arena};
  fv_x_print(s->pool, &text, dim);
  return text.data;
}

const char *fv_sem_type_text(const fv_sem *s, const fv_type *t) {
  fv_str text = {.arena = s->arena};
  fv_type_print(s->pool, &text, t);
  return text.data;
}

const char *fv_sem_shapes(const fv_sem *s) {
  fv_str text = {.arena = s->arena};
  fv_str_puts(&text, "");
  for (int i = 0; i < s->node->n_in; i++)
    if (s->node->in[i])
      fv_str_printf(&text, "%s%s: %s", text.size ? ", " : "", fv_sem_operand_name(s, i),
                    fv_sem_type_text(s, &s->node->in[i]->type));
  return text.data;
}

//===-- Inference -------------------------------------------------------===//

static fv_status check_operands(fv_sem *s) {
  const fv_op_info *op = fv_op_get(s->node->op);
  const int n = s->node->n_in;
  const bool variadic = op->n_operand > 0 && op->operand[op->n_operand - 1].variadic;
  if (n > op->n_operand && !variadic)
    return fv_sem_error(s, "takes %d operand%s, not %d", op->n_operand,
                        op->n_operand == 1 ? "" : "s", n);
  for (int i = 0; i < op->n_operand; i++) {
    const fv_param_info *p = &op->operand[i];
    if (!p->optional && !p->variadic && !fv_sem_has(s, i))
      return fv_sem_error(s, "operand '%.*s' is missing", (int)p->len, p->name);
  }
  for (int i = op->n_operand - variadic; i < n && variadic; i++)
    if (!s->node->in[i])
      return fv_sem_error(s, "operand '%s' is missing", fv_sem_operand_name(s, i));
  return FV_OK;
}

static fv_status check_attrs(fv_sem *s) {
  const fv_op_info *op = fv_op_get(s->node->op);
  for (int i = 0; i < op->n_attr; i++)
    if (fv_attr_is_missing(&s->node->attr[i]))
      return fv_sem_error(s, "attribute '%.*s' is missing", (int)op->attr[i].len, op->attr[i].name);
  return FV_OK;
}

static fv_status check_result(fv_sem *s, const fv_type *t) {
  int64_t dim[FV_MAX_RANK];
  FV_CHECK(s->arena, t->rank >= 0 && t->rank <= FV_MAX_RANK);
  for (int i = 0; i < t->rank; i++)
    if (fv_x_range(s->pool, t->dim[i], NULL, 0).hi < 0)
      return fv_sem_error(s, "axis %d of the result %s has a negative extent", i,
                          fv_sem_type_text(s, t));
  int64_t bytes;
  if (fv_type_static(t, dim) && !fv_bytes_i64(dim, t->rank, fv_dtype_size(t->dtype), &bytes))
    return fv_error(s->diag, FV_ERR_LIMIT, fv_node_span(s->node),
                    "%s: the result %s is too large: a tensor has at most 2^46 bytes",
                    fv_op_get(s->node->op)->name, fv_sem_type_text(s, t));
  return FV_OK;
}

// Results keep their identity when a node is inferred again: uses stay valid.
static void place_results(fv_sem *s, const fv_type *types) {
  fv_node *n = s->node;
  if (n->n_out != s->n_out) {
    fv_value **out = FV_NEW_N(s->arena, fv_value *, s->n_out);
    for (int i = 0; i < n->n_out && i < s->n_out; i++)
      out[i] = n->out[i];
    n->out = out;
    n->n_out = s->n_out;
  }
  for (int i = 0; i < n->n_out; i++) {
    if (!n->out[i]) {
      n->out[i] = fv_value_create(s->module, &types[i], n, (uint32_t)i);
      continue;
    }
    const fv_type old = n->out[i]->type;
    n->out[i]->type = types[i];
    if (old.rank == types[i].rank)  // a layout was chosen: semantics do not see it
      n->out[i]->type.layout = old.layout;
  }
}

// A number that the type of the arithmetic cannot hold would become infinity
// without a word. What is stored as it is, fv_sem_literal checks for its type.
static fv_status check_numbers(fv_sem *s, const fv_type *types) {
  const fv_op_info *op = fv_op_get(s->node->op);
  for (int i = 0; i < op->n_attr && s->n_out > 0; i++) {
    const fv_attr *a = &s->node->attr[i];
    const fv_dtype t = fv_dtype_compute(types[0].dtype);
    if (a->kind == 'f' && !fv_scalar_holds(t, a->f))
      return fv_sem_error(s, "%.*s = %g cannot be represented in %s", (int)op->attr[i].len,
                          op->attr[i].name, a->f, fv_dtype_name(t));
  }
  return FV_OK;
}

static uint64_t hash_type(uint64_t h, const fv_type *t) {
  h = fv_hash64(&t->dtype, sizeof t->dtype, h);
  return fv_hash64(t->dim, sizeof *t->dim * (size_t)t->rank, h);
}

static bool counts(const fv_expr *const *x, int n) {
  for (int i = 0; i < n; i++)
    if (x[i] && fv_x_has(x[i], FV_XF_RUN))
      return true;
  return false;
}

// All that a semantics function looks at: operands, attributes and, where one of them
// counts the trips of a loop around the node, the loops.
static uint64_t hash_from(const fv_node *n) {
  uint64_t h = (uint64_t)n->op;
  bool in_loop = false;
  for (int i = 0; i < n->n_in; i++) {
    const fv_value *v = n->in[i];
    h = v ? hash_type(h + 1, &v->type) : fv_hash64(&v, sizeof v, h);
    if (v && v->content)
      h = fv_hash64(v->content, sizeof *v->content * (size_t)v->n_content, h);
    in_loop = in_loop || (v && counts(v->type.dim, v->type.rank));
  }
  for (int i = 0; i < fv_op_get(n->op)->n_attr; i++) {
    const fv_attr *a = &n->attr[i];
    h = fv_attr_hash(h, a);
    in_loop = in_loop || (a->kind == 'x' && counts(&a->x, 1)) ||
              (a->kind == 'D' && counts(a->dims, a->n));
  }
  for (const fv_node *l = in_loop ? n->region->owner : NULL; l; l = l->region->owner)
    if (l->op == FV_OP_loop)
      h = fv_attr_hash(fv_attr_hash(h, fv_attr_get(l, "counter")), fv_attr_get(l, "trips"));
  return h;
}

static uint64_t hash_results(const fv_node *n) {
  uint64_t h = (uint64_t)n->n_out;
  for (int i = 0; i < n->n_out; i++)
    h = hash_type(h, &n->out[i]->type);
  return h;
}

bool fv_node_is_inferred(const fv_node *n) {
  return n->meaning && n->meaning->from == hash_from(n) && n->meaning->types == hash_results(n);
}

fv_status fv_infer_node(fv_node *n, fv_diag_sink *diag) {
  fv_module *m = n->region->graph->module;
  fv_sem s = {.node = n, .module = m, .pool = m->pool, .arena = m->arena, .diag = diag};
  s.meaning = FV_NEW(m->arena, fv_meaning);
  FV_TRY(check_operands(&s));
  FV_TRY(check_attrs(&s));
  FV_TRY(sem_of[n->op](&s));
  const fv_type *types = s.types ? s.types : s.out;
  FV_TRY(check_numbers(&s, types));
  for (int i = 0; i < s.n_out; i++)
    FV_TRY(check_result(&s, &types[i]));
  place_results(&s, types);
  s.meaning->from = hash_from(n);
  s.meaning->types = hash_results(n);
  n->meaning = fv_op_get(n->op)->flags & FV_OPF_BUILTIN ? NULL : s.meaning;
  fv_sem_contents(n);
  return FV_OK;
}

// Carries of a loop have the types of their initial values: known before the
// body is inferred.
static void enter_body(const fv_node *loop, fv_region *body) {
  for (int i = 0; i < body->n_param && i < loop->n_in; i++) {
    fv_value *v = body->param[i];
    if (!loop->in[i])
      continue;
    v->type = loop->in[i]->type;
    const bool stays = i < body->n_result && body->result[i] == v;
    v->content = stays ? loop->in[i]->content : NULL;
    v->n_content = loop->in[i]->n_content;
  }
}

fv_status fv_infer_graph(fv_graph *g, fv_diag_sink *diag) {
  fv_walk w = {.top = g->region};
  while (fv_walk_step(&w)) {
    if (w.event == FV_WALK_BEGIN)
      enter_body(w.node, w.region);
    else if (w.event == FV_WALK_LEAVE)
      FV_TRY(fv_infer_node(w.node, diag));
  }
  return FV_OK;
}

//===-- Checking operands -----------------------------------------------===//

bool fv_sem_has(const fv_sem *s, int operand) {
  return operand < s->node->n_in && s->node->in[operand];
}

const fv_type *fv_sem_type(const fv_sem *s, int operand) {
  FV_CHECK(s->arena, fv_sem_has(s, operand));
  return &s->node->in[operand]->type;
}

int fv_sem_rank(const fv_sem *s, int operand) {
  return fv_sem_type(s, operand)->rank;
}

const fv_expr *fv_sem_dim(const fv_sem *s, int operand, int axis) {
  const fv_type *t = fv_sem_type(s, operand);
  if (axis < 0)
    axis += t->rank;
  FV_CHECK(s->arena, axis >= 0 && axis < t->rank);
  return t->dim[axis];
}

fv_status fv_sem_want_rank(fv_sem *s, int operand, int lo, int hi) {
  const int rank = fv_sem_rank(s, operand);
  if (rank >= lo && rank <= hi)
    return FV_OK;
  const char *name = fv_sem_operand_name(s, operand);
  const char *type = fv_sem_type_text(s, fv_sem_type(s, operand));
  if (lo == hi)
    return fv_sem_error(s, "'%s' must have rank %d; it is %s", name, lo, type);
  if (hi >= FV_MAX_RANK)
    return fv_sem_error(s, "'%s' must have rank %d or more; it is %s", name, lo, type);
  return fv_sem_error(s, "'%s' must have rank %d to %d; it is %s", name, lo, hi, type);
}

fv_status fv_sem_want_class(fv_sem *s, int operand, unsigned classes) {
  static const char *const word[] = {"",     "floats",         "integers",         "numbers",
                                     "bool", "floats or bool", "integers or bool", "any type"};
  const fv_dtype t = fv_sem_type(s, operand)->dtype;
  const unsigned have = fv_dtype_is_float(t) ? FV_CLASS_FLOAT
                        : fv_dtype_is_int(t) ? FV_CLASS_INT
                                             : FV_CLASS_BOOL;
  if (have & classes)
    return FV_OK;
  return fv_sem_error(s, "'%s' must hold %s; it is %s; a <cast> in front mends it",
                      fv_sem_operand_name(s, operand), word[classes & 7],
                      fv_sem_type_text(s, fv_sem_type(s, operand)));
}

fv_status fv_sem_want_float(fv_sem *s, int operand) {
  return fv_sem_want_class(s, operand, FV_CLASS_FLOAT);
}
fv_status fv_sem_want_int(fv_sem *s, int operand) {
  return fv_sem_want_class(s, operand, FV_CLASS_INT);
}
fv_status fv_sem_want_bool(fv_sem *s, int operand) {
  return fv_sem_want_class(s, operand, FV_CLASS_BOOL);
}

fv_status fv_sem_same_dtype(fv_sem *s, int a, int b) {
  if (fv_sem_type(s, a)->dtype == fv_sem_type(s, b)->dtype)
    return FV_OK;
  return fv_sem_error(s, "element types differ (%s); a <cast> in front mends it", fv_sem_shapes(s));
}

// The node that the user wrote: what is within a definition is not known to him.
static const fv_node *outermost(const fv_node *n) {
  while (n->region->owner && !n->region->owner->n_body)
    n = n->region->owner;
  return n;
}

fv_truth fv_sem_need(fv_sem *s, fv_relation r, const fv_expr *a, const fv_expr *b,
                     const char *what) {
  return fv_sem_need_at(s, s->node->region, s->node, r, a, b, what);
}

fv_truth fv_sem_need_at(fv_sem *s, fv_region *at, fv_node *before, fv_relation r, const fv_expr *a,
                        const fv_expr *b, const char *what) {
  const fv_truth t = fv_prove(s->pool, r, a, b);
  if (t != FV_UNKNOWN)
    return t;
  const fv_node *n = outermost(s->node);
  const char *op = fv_op_get(n->op)->name;
  const fv_condition c = {.relation = r,
                          .a = a,
                          .b = b,
                          .text = what ? fv_arena_printf(s->arena, "%s: %s", op, what) : op,
                          .span = fv_node_span(n)};
  return fv_require(at, before, &c, false);
}

fv_status fv_sem_same_dim(fv_sem *s, const fv_expr *a, const fv_expr *b, const char *what) {
  const fv_truth equal = fv_sem_need(s, FV_REL_EQ, a, b, what);
  if (equal == FV_YES)
    return FV_OK;
  const char *ta = fv_sem_dim_text(s, a);
  const char *tb = fv_sem_dim_text(s, b);
  if (equal == FV_NO)
    return fv_sem_error(s, "%s must be equal: %s is not %s (%s)", what, ta, tb, fv_sem_shapes(s));
  return fv_sem_error(s, "%s must be equal: cannot prove %s == %s; declare them as one dim (%s)",
                      what, ta, tb, fv_sem_shapes(s));
}

fv_status fv_sem_same_axis(fv_sem *s, int a, int axis_a, int b, int axis_b) {
  const char *what = fv_arena_printf(s->arena, "axis %d of '%s' and axis %d of '%s'", axis_a,
                                     fv_sem_operand_name(s, a), axis_b, fv_sem_operand_name(s, b));
  return fv_sem_same_dim(s, fv_sem_dim(s, a, axis_a), fv_sem_dim(s, b, axis_b), what);
}

fv_status fv_sem_axis(fv_sem *s, const char *attr, int rank, int *out) {
  const int64_t axis = fv_attr_int(s->node, attr);
  if (axis < -rank || axis >= rank) {
    if (rank == 0)
      return fv_sem_error(s, "%s = %lld, but a tensor of rank 0 has no axes (%s)", attr,
                          (long long)axis, fv_sem_shapes(s));
    return fv_sem_error(s, "%s = %lld is out of range: it must be in %d..%d for rank %d (%s)", attr,
                        (long long)axis, -rank, rank - 1, rank, fv_sem_shapes(s));
  }
  *out = (int)(axis < 0 ? axis + rank : axis);
  return FV_OK;
}
