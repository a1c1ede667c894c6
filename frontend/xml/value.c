// SPDX-License-Identifier: Apache-2.0
//
// Values: nodes, constants, and the binding of names to them.
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "frontend/xml/build.h"

//===-- Nodes -------------------------------------------------------------===//

fv_node *fv_xml_node(fv_xml_cx *cx, fv_op op, int n_in, fv_value *const *in) {
  return fv_node_create(cx->top->region, op, n_in, in, fv_xml_at(cx, cx->current));
}

fv_range fv_xml_range(fv_xml_cx *cx, const fv_expr *e) {
  return cx->top && cx->top->region ? fv_graph_range(cx->top->region->graph, e)
                                    : fv_x_range(cx->pool, e, NULL, 0);
}

static bool size_fits(fv_xml_cx *cx, const fv_value *v) {
  int64_t least[FV_MAX_RANK];
  int64_t bytes;
  for (int i = 0; i < v->type.rank; i++) {
    const int64_t lo = fv_xml_range(cx, v->type.dim[i]).lo;
    least[i] = lo < 0 ? 0 : lo;
  }
  if (fv_bytes_i64(least, v->type.rank, fv_dtype_size(v->type.dtype), &bytes))
    return true;
  (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at(cx, cx->current),
                     "the result is %s: more bytes than the limit of %lld",
                     fv_xml_type_text(cx, &v->type), (long long)FV_MAX_BYTES);
  return false;
}

fv_node *fv_xml_place_node(fv_xml_cx *cx, fv_node *n) {
  const unsigned before = cx->diag->n_errors;
  const fv_status st = fv_infer_node(n, cx->diag);
  if (st != FV_OK) {  // reported by the semantics: count it as ours
    cx->status = cx->status == FV_OK ? st : cx->status;
    cx->n_faults += cx->diag->n_errors - before;
    cx->current->bad = true;
    return NULL;
  }
  for (int i = 0; i < n->n_out; i++)
    if (!size_fits(cx, n->out[i]))
      return NULL;
  fv_node_insert_before(n, NULL);
  return n;
}

fv_value *fv_xml_op1(fv_xml_cx *cx, fv_node *n) {
  n = fv_xml_place_node(cx, n);
  return n ? n->out[0] : NULL;
}

// What a constant is: all its members, in order, and which of them is taken. Two may have one
// key, so what is found under it is looked at.
static const char *constant_key(fv_xml_cx *cx, const fv_tensor *const *data, int n,
                                const fv_expr *member) {
  return fv_arena_printf(cx->arena, "%u %llx", member ? (unsigned)member->id : 0U,
                         (unsigned long long)fv_hash64(data, sizeof *data * (size_t)n, 0));
}

static bool same_members(const fv_value *v, const fv_tensor *const *data, int n) {
  return v->def->n_data == n &&
         (v->def->data == data || memcmp(v->def->data, data, sizeof *data * (size_t)n) == 0);
}

fv_value *fv_xml_constant(fv_xml_cx *cx, const fv_tensor **data, int n, const fv_expr *member) {
  fv_xml_scope *known = cx->top->constants;
  const char *key = constant_key(cx, data, n, member);
  const fv_xml_name *e = fv_xml_scope_get(known, key, strlen(key));
  if (e && same_members(e->value, data, n))
    return e->value;
  fv_node *node = fv_xml_node(cx, FV_OP_constant, 0, NULL);
  node->data = data;
  node->n_data = n;
  if (member)
    fv_attr_set_expr(node, "member", member);
  fv_value *v = fv_xml_op1(cx, node);
  if (!v)
    return NULL;
  const fv_xml_name entry = {.name = key, .kind = FV_XML_VALUE, .value = v};
  if (!e)
    fv_xml_scope_put(cx->arena, known, fv_arena_dup(cx->arena, &entry, sizeof entry));
  return v;
}

fv_value *fv_xml_constant_of(fv_xml_cx *cx, const fv_tensor *tensor) {
  const fv_tensor **list = FV_NEW_N(cx->arena, const fv_tensor *, 1);
  list[0] = tensor;
  return fv_xml_constant(cx, list, 1, NULL);
}

//===-- Literals ----------------------------------------------------------===//

// One tensor for each value, so that equal literals are one constant.
static const fv_tensor *literal_tensor(fv_xml_cx *cx, fv_dtype t, fv_scalar v) {
  uint64_t word = 0;
  fv_scalar_store(t, &word, v);
  const char *key =
      fv_arena_printf(cx->arena, "%s %llx", fv_dtype_name(t), (unsigned long long)word);
  const fv_xml_name *known = fv_xml_scope_get(cx->tensors, key, strlen(key));
  if (known)
    return known->tensor;
  fv_tensor *made = FV_NEW(cx->arena, fv_tensor);
  *made = (fv_tensor){.name = "", .dtype = t, .data = fv_arena_dup(cx->arena, &word, sizeof word)};
  const fv_xml_name entry = {.name = key, .kind = FV_XML_CONST, .tensor = made};
  fv_xml_scope_put(cx->arena, cx->tensors, fv_arena_dup(cx->arena, &entry, sizeof entry));
  return made;
}

fv_value *fv_xml_literal_value(fv_xml_cx *cx, fv_xml_slice s, const char *text, fv_dtype t) {
  fv_scalar v = {0};
  const char *why = fv_scalar_parse(t, text, strlen(text), &v);
  if (!why)
    return fv_xml_constant_of(cx, literal_tensor(cx, t, v));
  (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, s.attr, s.at),
                     "'%s' %s %s, which is the type needed here", text, why, fv_dtype_name(t));
  return NULL;
}

//===-- Binding -----------------------------------------------------------===//

void fv_xml_bind(fv_xml_cx *cx, const fv_xml_attr *a, size_t at, const char *name, fv_xml_kind kind,
                 const void *what) {
  fv_xml_scope *s = cx->top ? cx->top->scope : cx->model;
  const fv_xml_name *old = fv_xml_scope_find(s, name, strlen(name));
  if (!fv_xml_is_name(name)) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, at),
                       "'%s' is no name: a name has letters, digits and '_', no digit first", name);
    return;
  }
  if (old) {
    if (old->kind == FV_XML_POISON && !cx->top)
      return;
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, at),
                       "'%s' is bound already, in line %u; a name is bound once", name,
                       old->where ? (unsigned)fv_xml_place(cx->file, old->where->at).line : 1);
    return;
  }
  fv_xml_name *e = FV_NEW(cx->arena, fv_xml_name);
  *e = (fv_xml_name){.name = name, .kind = kind, .where = cx->current};
  switch (kind) {
  case FV_XML_VALUE: e->value = (fv_value *)(uintptr_t)what; break;
  case FV_XML_LITERAL: e->literal = what; break;
  case FV_XML_INT: e->expr = what; break;
  case FV_XML_TEXT: e->text = what; break;
  case FV_XML_CONST: e->tensor = what; break;
  case FV_XML_INDEX:
  case FV_XML_POISON: break;
  }
  fv_xml_scope_put(cx->arena, s, e);
}

// Names in the IR are unique per graph: "x", then "x.2", "x.3".
const char *fv_xml_unique(fv_xml_cx *cx, const char *name) {
  fv_xml_name *e = fv_xml_scope_get(cx->value_names, name, strlen(name));
  if (!e) {
    e = FV_NEW(cx->arena, fv_xml_name);
    e->name = name;
    e->expr = fv_x_i64(cx->pool, 1);
    fv_xml_scope_put(cx->arena, cx->value_names, e);
    return name;
  }
  const int64_t n = e->expr->lit.i + 1;
  e->expr = fv_x_i64(cx->pool, n);
  return fv_arena_printf(cx->arena, "%s.%lld", name, (long long)n);
}

void fv_xml_bind_value(fv_xml_cx *cx, fv_xml_slice name, fv_value *v) {
  const char *word = fv_xml_slice_text(cx, name);
  if (v && !v->name && fv_xml_is_name(word))
    v->name = fv_xml_unique(cx, word);
  fv_xml_bind(cx, name.attr, name.at, word, v ? FV_XML_VALUE : FV_XML_POISON, v);
}

void fv_xml_poison_out(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *out = fv_xml_find_attr(e, "out");
  if (!out)
    return;
  fv_xml_slice rest = fv_xml_whole(out);
  fv_xml_slice item;
  while (fv_xml_next(&rest, &item)) {
    const char *eq = memchr(out->value + item.at, '=', item.n);
    if (eq)
      item.n = (size_t)(eq - out->value) - item.at;
    const char *word = fv_xml_slice_text(cx, fv_xml_trim(item));
    if (fv_xml_is_name(word) && strcmp(word, "_") != 0 &&
        !fv_xml_scope_find(cx->top->scope, word, strlen(word)))
      fv_xml_bind(cx, out, item.at, word, FV_XML_POISON, NULL);
  }
}

//===-- Assertions --------------------------------------------------------===//

fv_truth fv_xml_need_equal(fv_xml_cx *cx, const fv_expr *a, const fv_expr *b, const char *what,
                           const fv_span *at) {
  const fv_condition c = {.relation = FV_REL_EQ, .a = a, .b = b, .text = what, .span = at};
  return fv_require(cx->top->region, NULL, &c, false);
}

void fv_xml_assert_dtype(fv_xml_cx *cx, const fv_xml_elem *e, const fv_value *v) {
  const fv_xml_attr *type = fv_xml_find_attr(e, "type");
  fv_dtype dtype;
  if (type && fv_xml_type(cx, type, &dtype) && dtype != v->type.dtype)
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, type, 0),
                       "the type is asserted as %s, but the value is %s", fv_dtype_name(dtype),
                       fv_xml_type_text(cx, &v->type));
}

void fv_xml_assert_shape(fv_xml_cx *cx, const fv_xml_elem *e, const fv_value *v) {
  const fv_xml_attr *shape = fv_xml_find_attr(e, "shape");
  fv_type t = v->type;
  if (!shape || !fv_xml_dims(cx, shape, &t.rank, t.dim))
    return;
  fv_truth same = t.rank == v->type.rank ? FV_YES : FV_NO;
  for (int i = 0; i < t.rank && same != FV_NO; i++) {
    const fv_truth d =
        fv_xml_need_equal(cx, t.dim[i], v->type.dim[i], "shape", fv_xml_at_value(cx, shape, 0));
    same = d == FV_YES ? same : d;
  }
  if (same != FV_YES)
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, shape, 0),
                       "the shape is asserted as %s, but %s %s", fv_xml_type_text(cx, &t),
                       same == FV_NO ? "the value is" : "cannot be proved: the value is",
                       fv_xml_type_text(cx, &v->type));
}

void fv_xml_assert_type(fv_xml_cx *cx, const fv_xml_elem *e, const fv_value *v) {
  fv_xml_assert_dtype(cx, e, v);
  fv_xml_assert_shape(cx, e, v);
}
