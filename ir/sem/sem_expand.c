// SPDX-License-Identifier: Apache-2.0
//
// The expansion builder: an op defined as a graph of other ops.
#include "ir/sem/sem_util.h"

void fv_sem_begin_expansion(fv_sem *s) {
  fv_node *n = s->node;
  s->meaning->kind = FV_MEANS_EXPAND;
  s->build = fv_region_create(n->region->graph, n);
  s->meaning->expansion = s->build;
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i]) {
      fv_value *v = fv_region_add_param(s->build, &n->in[i]->type, NULL);
      v->content = n->in[i]->content;
      v->n_content = n->in[i]->n_content;
    }
}

fv_value *fv_sem_param(fv_sem *s, int operand) {
  if (!fv_sem_has(s, operand))
    return NULL;
  int k = 0;
  for (int i = 0; i < operand; i++)
    k += s->node->in[i] != NULL;
  return s->meaning->expansion->param[k];
}

fv_node *fv_sb_node(fv_sem *s, fv_op op, int n_in, fv_value *const *in) {
  fv_node *n = fv_node_create(s->build, op, n_in, in, NULL);
  fv_node_copy_spans(n, s->node);
  return n;
}

fv_value *fv_sb_done(fv_sem *s, fv_node *n) {
  if (s->failed != FV_OK)
    return NULL;
  fv_node_insert_before(n, NULL);
  s->failed = fv_infer_node(n, s->diag);
  return s->failed == FV_OK ? n->out[0] : NULL;
}

fv_value *fv_sb_1(fv_sem *s, fv_op op, fv_value *a) {
  if (!a)
    return NULL;
  return fv_sb_done(s, fv_sb_node(s, op, 1, &a));
}

fv_value *fv_sb_2(fv_sem *s, fv_op op, fv_value *a, fv_value *b) {
  if (!a || !b)
    return NULL;
  return fv_sb_done(s, fv_sb_node(s, op, 2, (fv_value *[]){a, b}));
}

fv_value *fv_sb_3(fv_sem *s, fv_op op, fv_value *a, fv_value *b, fv_value *c) {
  if (!a || !b || !c)
    return NULL;
  return fv_sb_done(s, fv_sb_node(s, op, 3, (fv_value *[]){a, b, c}));
}

fv_value *fv_sb_scalar(fv_sem *s, fv_dtype t, double v) {
  fv_node *n = fv_sb_node(s, FV_OP_constant, 0, NULL);
  fv_tensor *tensor = FV_NEW(s->arena, fv_tensor);
  void *data = fv_arena_alloc(s->arena, 8);
  const fv_scalar value = fv_dtype_is_float(t) ? (fv_scalar){.f = v} : (fv_scalar){.i = (int64_t)v};
  fv_scalar_store(t, data, value);
  *tensor = (fv_tensor){.name = "", .dtype = t, .data = data};
  n->data = FV_NEW(s->arena, const fv_tensor *);
  n->data[0] = tensor;
  n->n_data = 1;
  return fv_sb_done(s, n);
}

fv_value *fv_sb_reduce(fv_sem *s, fv_op op, fv_value *a, int axis, bool keepdims) {
  if (!a)
    return NULL;
  const int64_t axes[] = {axis};
  fv_node *n = fv_sb_node(s, op, 1, &a);
  fv_attr_set_ints(n, "axes", 1, axes);
  fv_attr_set_bool(n, "keepdims", keepdims);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_reshape(fv_sem *s, fv_value *a, int rank, const fv_expr *const *dims) {
  if (!a)
    return NULL;
  fv_node *n = fv_sb_node(s, FV_OP_reshape, 1, &a);
  fv_attr_set_dims(n, "shape", rank, dims);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_expand_dims(fv_sem *s, fv_value *v, int rank, const fv_expr *const *dims) {
  if (!v)
    return NULL;
  fv_node *n = fv_sb_node(s, FV_OP_expand, 1, &v);
  fv_attr_set_dims(n, "shape", rank, dims);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_unsqueeze(fv_sem *s, fv_value *v, int axis) {
  if (!v)
    return NULL;
  const int64_t axes[] = {axis};
  fv_node *n = fv_sb_node(s, FV_OP_unsqueeze, 1, &v);
  fv_attr_set_ints(n, "axes", 1, axes);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_transpose(fv_sem *s, fv_value *a, int rank, const int64_t *perm) {
  if (!a)
    return NULL;
  fv_node *n = fv_sb_node(s, FV_OP_transpose, 1, &a);
  fv_attr_set_ints(n, "perm", rank, perm);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_cast(fv_sem *s, fv_value *a, fv_dtype t) {
  if (!a || a->type.dtype == t)
    return a;
  fv_node *n = fv_sb_node(s, FV_OP_cast, 1, &a);
  fv_attr_set_dtype(n, "to", t);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_widen(fv_sem *s, fv_value *v) {
  return v ? fv_sb_cast(s, v, fv_dtype_compute(v->type.dtype)) : NULL;
}

fv_value *fv_sb_full_like(fv_sem *s, fv_value *like, double v) {
  return like ? fv_sb_scalar(s, like->type.dtype, v) : NULL;
}

fv_value *fv_sb_slice(fv_sem *s, fv_value *a, int axis, const fv_expr *start, const fv_expr *end) {
  if (!a)
    return NULL;
  fv_node *n = fv_sb_node(s, FV_OP_slice, 1, &a);
  fv_attr_set_int(n, "axis", axis);
  fv_attr_set_expr(n, "start", start);
  fv_attr_set_expr(n, "end", end);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_range(fv_sem *s, const fv_expr *start, const fv_expr *limit) {
  fv_node *n = fv_sb_node(s, FV_OP_range, 0, NULL);
  fv_attr_set_expr(n, "start", start);
  fv_attr_set_expr(n, "limit", limit);
  return fv_sb_done(s, n);
}

fv_value *fv_sb_linear(fv_sem *s, fv_value *x, fv_value *w, fv_value *b) {
  if (!x || !w)
    return NULL;
  return fv_sb_done(s, fv_sb_node(s, FV_OP_linear, b ? 3 : 2, (fv_value *[]){x, w, b}));
}

fv_value *fv_sb_concat(fv_sem *s, int n, fv_value *const *v, int axis) {
  for (int i = 0; i < n; i++)
    if (!v[i])
      return NULL;
  fv_node *node = fv_sb_node(s, FV_OP_concat, n, v);
  fv_attr_set_int(node, "axis", axis);
  return fv_sb_done(s, node);
}

fv_value *fv_sb_and(fv_sem *s, fv_value *a, fv_value *b) {
  if (!a || !b)
    return a ? a : b;
  return fv_sb_2(s, FV_OP_and, a, b);
}

//===-- Loops -----------------------------------------------------------===//

static bool is_counted_around(const fv_sem *s, uint32_t sym) {
  for (const fv_node *n = s->build->owner; n; n = n->region->owner) {
    const fv_attr *a = n->op == FV_OP_loop ? fv_attr_get(n, "counter") : NULL;
    if (a && a->kind && a->i == (int64_t)sym)  // a frontend may not have set it yet
      return true;
  }
  return false;
}

// The first of the counters of definitions that no loop around has, so loops beside each other
// share one, and the symbols do not grow with the layers of a model. That is right because what is
// known of a counter belongs to the loop and not to the symbol: provers widen over the trips of
// the loops around a node (fv_loop_widen), results and collected values do not name a counter, a
// need that does is tested in the body where it arises (require_late), and where one range must
// do for a symbol it is that of all its loops (fv_lower_ranges). Frontends spell no such name.
static uint32_t counter_of(fv_sem *s) {
  for (int i = 0;; i++) {
    uint32_t sym;
    const char *name = fv_arena_printf(s->arena, "definition.t%d", i);
    if (!fv_symbol_find(s->pool, name, &sym)) {
      sym = fv_symbol_add(s->pool, name, 0, INT64_C(1) << 46, FV_SYM_COUNTER);
      fv_symbol_show(s->pool, sym, "the step");
      return sym;
    }
    if (!is_counted_around(s, sym))
      return sym;
  }
}

fv_sb_loop fv_sb_begin_loop(fv_sem *s, const fv_expr *trips, int n, fv_value **carry) {
  const uint32_t counter = counter_of(s);
  fv_sb_loop l = {.outer = s->build, .n_carry = n, .counter = fv_x_sym(s->pool, counter)};
  for (int i = 0; i < n; i++)
    if (!carry[i])
      return l;
  l.node = fv_sb_node(s, FV_OP_loop, n, carry);
  fv_attr_set_expr(l.node, "trips", trips);
  fv_attr_set_int(l.node, "counter", counter);
  for (int i = 0; i < n; i++)
    carry[i] = fv_region_add_param(l.node->body[0], &carry[i]->type, NULL);
  s->build = l.node->body[0];
  return l;
}

void fv_sb_end_loop(fv_sem *s, fv_sb_loop *l, fv_value *const *next, int n_each,
                    fv_value *const *each, fv_value **out) {
  fv_node *n = l->node;
  const int n_carry = l->n_carry;
  bool whole = n && s->failed == FV_OK;
  s->build = l->outer;
  for (int i = 0; i < n_carry + n_each; i++)
    out[i] = NULL;
  for (int i = 0; i < n_carry; i++)
    whole = whole && next[i];
  for (int i = 0; i < n_each; i++)
    whole = whole && each[i];
  if (!whole)
    return;
  for (int i = 0; i < n_carry + n_each; i++)
    fv_region_add_result(n->body[0], i < n_carry ? next[i] : each[i - n_carry]);
  fv_attr_set_ints(n, "collect_axes", n_each, FV_NEW_N(s->arena, int64_t, n_each));
  if (fv_sb_done(s, n))
    for (int i = 0; i < n_carry + n_each; i++)
      out[i] = n->out[i];
}

//===-- Results ---------------------------------------------------------===//

fv_status fv_sem_results(fv_sem *s, int n, fv_value *const *v) {
  if (s->failed != FV_OK)
    return s->failed;
  FV_CHECK(s->arena, n <= FV_MAX_RESULTS);
  for (int i = 0; i < n; i++) {
    if (!v[i])
      return fv_sem_error(s, "its definition does not fit these operands (%s)", fv_sem_shapes(s));
    fv_region_add_result(s->build, v[i]);
    s->out[i] = v[i]->type;
  }
  s->n_out = n;
  return FV_OK;
}

//===-- Kernel ops ------------------------------------------------------===//

fv_status fv_sem_kernel(fv_sem *s, int grid_rank,
                        void (*build)(const fv_node *n, struct fv_kb *kb)) {
  s->meaning->kind = FV_MEANS_KERNEL;
  s->meaning->build = build;
  s->meaning->grid_rank = grid_rank;
  return FV_OK;
}

void fv_sem_add_result(fv_sem *s, const fv_type *t) {
  FV_CHECK(s->arena, s->n_out < FV_MAX_RESULTS);
  s->out[s->n_out++] = *t;
}
