// SPDX-License-Identifier: Apache-2.0
//
// Declarations: integers, dims, constants, weights, inputs and outputs.
#include <string.h>

#include "base/checked.h"
#include "frontend/xml/build.h"

static fv_xml_slice attr(const fv_xml_elem *e, const char *name) {
  return fv_xml_whole(fv_xml_find_attr(e, name));
}

static const char *plain_name(fv_xml_cx *cx, const fv_xml_elem *e) {
  return fv_xml_slice_text(cx, attr(e, "name"));
}

static void bind_here(fv_xml_cx *cx, const fv_xml_elem *e, fv_xml_kind kind, const void *what) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "name");
  fv_xml_bind(cx, a, 0, plain_name(cx, e), what ? kind : FV_XML_POISON, what);
}

//===-- Integers ----------------------------------------------------------===//

void fv_xml_run_let(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_expr *value = NULL;
  const char *name = plain_name(cx, e);
  for (int i = 0; cx->options && !cx->top && i < cx->options->n_let; i++)
    if (strcmp(cx->options->let[i].name, name) == 0)
      value = fv_x_i64(cx->pool, cx->options->let[i].value);
  if (!value)
    value = fv_xml_expr(cx, attr(e, "value"));
  bind_here(cx, e, FV_XML_INT, value);
}

void fv_xml_run_dim(fv_xml_cx *cx, const fv_xml_elem *e) {
  const char *name = plain_name(cx, e);
  const fv_xml_attr *min = fv_xml_find_attr(e, "min");
  int64_t lo = 1;
  int64_t hi = 0;
  bool good = fv_xml_int(cx, attr(e, "max"), &hi);
  good = (!min || fv_xml_int(cx, fv_xml_whole(min), &lo)) && good;
  if (good && (lo < 0 || hi < lo || hi > FV_MAX_BYTES)) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE,
                       fv_xml_at_value(cx, min && lo < 0 ? min : fv_xml_find_attr(e, "max"), 0),
                       "a dim needs 0 <= min <= max <= %lld; this is %lld to %lld",
                       (long long)FV_MAX_BYTES, (long long)lo, (long long)hi);
    good = false;
  }
  const fv_let *fixed = NULL;
  for (int i = 0; cx->options && i < cx->options->n_dim; i++)
    fixed = strcmp(cx->options->dim[i].name, name) == 0 ? &cx->options->dim[i] : fixed;
  if (good && fixed && (fixed->value < lo || fixed->value > hi)) {
    (void)fv_xml_fault(cx, FV_ERR_ARG, fv_xml_at(cx, e),
                       "dim %s is to be %lld, but the model allows %lld to %lld", name,
                       (long long)fixed->value, (long long)lo, (long long)hi);
    good = false;
  }
  if (good && fixed) {
    bind_here(cx, e, FV_XML_INT, fv_x_i64(cx->pool, fixed->value));
    return;
  }
  uint32_t sym;
  if (!good || !fv_xml_is_name(name) || fv_symbol_find(cx->pool, name, &sym)) {
    bind_here(cx, e, FV_XML_POISON, good ? e : NULL);  // says what is wrong with the name
    return;
  }
  sym = fv_symbol_add(cx->pool, name, lo, hi, FV_SYM_DIM);
  bind_here(cx, e, FV_XML_INT, fv_x_sym(cx->pool, sym));
}

//===-- Requirements --------------------------------------------------------===//

// "N == M", as a relation between two expressions.
static bool parse_requirement(fv_xml_cx *cx, fv_xml_slice that, fv_condition *out) {
  static const struct {
    const char *sign;
    fv_relation relation;
    bool swap, strict;
  } signs[] = {{"==", FV_REL_EQ, false, false}, {"!=", FV_REL_NE, false, false},
               {"<=", FV_REL_LE, false, false}, {">=", FV_REL_LE, true, false},
               {"<", FV_REL_LE, false, true},   {">", FV_REL_LE, true, true}};
  const char *text = that.attr->value + that.at;
  size_t at = 0, k = 0;
  while (at < that.n && !strchr("=!<>", text[at]))
    at++;
  while (k < FV_COUNTOF(signs) && (at + strlen(signs[k].sign) > that.n ||
                                   strncmp(text + at, signs[k].sign, strlen(signs[k].sign)) != 0))
    k++;
  if (k == FV_COUNTOF(signs)) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, that.attr, that.at + at),
                       "a requirement has two integers and ==, !=, <, <=, > or >= between them");
    return false;
  }
  const size_t next = at + strlen(signs[k].sign);
  const fv_xml_slice left = {that.attr, that.at, at};
  const fv_xml_slice right = {that.attr, that.at + next, that.n - next};
  const fv_expr *a = fv_xml_expr(cx, fv_xml_trim(left));
  const fv_expr *b = a ? fv_xml_expr(cx, fv_xml_trim(right)) : NULL;
  if (!b)
    return false;
  out->relation = signs[k].relation;
  out->a = signs[k].swap ? b : a;
  out->b = signs[k].swap ? a : b;
  if (signs[k].strict)
    out->a = fv_x_add(cx->pool, out->a, fv_x_i64(cx->pool, 1));
  return true;
}

void fv_xml_run_require(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_slice that = attr(e, "that");
  const char *as_written = fv_xml_slice_text(cx, that);
  fv_condition c = {.text = fv_arena_printf(cx->arena, "require '%s'", as_written),
                    .span = fv_xml_at(cx, e)};
  if (!parse_requirement(cx, that, &c))
    return;
  if (fv_require(cx->top->region, NULL, &c, true) != FV_YES)
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, that.attr, that.at),
                       "this can never hold");
}

//===-- Constants ---------------------------------------------------------===//

enum { MAX_CONST = 1 << 20 };

typedef struct elements {
  fv_scalar *v;
  size_t n, cap;
} elements;

static bool separator(char c) {
  return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool parse_element(fv_xml_cx *cx, const fv_xml_elem *e, fv_dtype t, size_t at, size_t n,
                          fv_scalar *out) {
  const char *p = e->text + at;
  const char *why = fv_scalar_parse(t, p, n, out);
  if (why)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_offset(cx, fv_xml_text_offset(cx->file, e, at)),
                       "'%.*s' %s %s", (int)(n < 40 ? n : 40), p, why, fv_dtype_name(t));
  return !why;
}

static bool parse_elements(fv_xml_cx *cx, const fv_xml_elem *e, fv_dtype t, elements *out) {
  for (size_t i = 0; i < e->text_size;) {
    if (separator(e->text[i])) {
      i++;
      continue;
    }
    size_t n = 0;
    while (i + n < e->text_size && !separator(e->text[i + n]))
      n++;
    fv_scalar v = {0};
    if (!parse_element(cx, e, t, i, n, &v))
      return false;
    if (out->n == MAX_CONST) {
      (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at(cx, e),
                         "a constant has at most %d elements; put it into a weights file",
                         MAX_CONST);
      return false;
    }
    FV_PUSH(cx->arena, out->v, out->n, out->cap, v);
    i += n;
  }
  return true;
}

static bool const_dims(fv_xml_cx *cx, const fv_xml_elem *e, size_t n, fv_tensor *t) {
  const fv_xml_attr *shape = fv_xml_find_attr(e, "shape");
  const fv_expr *dim[FV_MAX_RANK];
  int64_t count = 1;
  t->rank = n == 1 ? 0 : 1;
  t->dim[0] = (int64_t)n;
  if (!shape)
    return true;
  if (!fv_xml_dims(cx, shape, &t->rank, dim))
    return false;
  bool good = true;
  for (int i = 0; i < t->rank && good; i++)
    good = fv_x_is_lit(dim[i], &t->dim[i]);
  if (!good || !fv_bytes_i64(t->dim, t->rank, 1, &count)) {
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, shape, 0),
                       good ? "these are more elements than the limit allows"
                            : "the shape of a constant has plain integers only");
    return false;
  }
  if (count == (int64_t)n || (n == 1 && count <= MAX_CONST))
    return true;
  (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, shape, 0),
                     "the shape asks for %lld elements, but %zu %s given", (long long)count, n,
                     n == 1 ? "is" : "are");
  return false;
}

const fv_tensor *fv_xml_const_tensor(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_tensor *t = FV_NEW(cx->arena, fv_tensor);
  elements have = {0};
  t->name = "";
  if (!fv_xml_type(cx, fv_xml_find_attr(e, "type"), &t->dtype) ||
      !parse_elements(cx, e, t->dtype, &have) || !const_dims(cx, e, have.n, t))
    return NULL;
  const size_t size = (size_t)fv_dtype_size(t->dtype);
  int64_t count = 1;
  for (int i = 0; i < t->rank; i++)
    count *= t->dim[i];
  char *data = fv_arena_alloc_n(cx->arena, size, (size_t)count);
  for (int64_t i = 0; i < count; i++)
    fv_scalar_store(t->dtype, data + (size_t)i * size, have.v[have.n == 1 ? 0 : i]);
  t->data = data;
  return t;
}

void fv_xml_run_const(fv_xml_cx *cx, const fv_xml_elem *e) {
  bind_here(cx, e, FV_XML_CONST, fv_xml_const_tensor(cx, e));
}

//===-- Weights -----------------------------------------------------------===//

void fv_xml_run_weights(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *type = fv_xml_find_attr(e, "type");
  const fv_xml_attr *file = fv_xml_find_attr(e, "file");
  fv_dtype as = FV_f32;
  bool good = !type || fv_xml_type(cx, type, &as);
  if (good && type && !fv_dtype_is_float(as)) {
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, type, 0),
                       "weights are converted to a float type only");
    good = false;
  }
  const bool given = cx->options && cx->options->n_weights > 0;
  const int n = given ? cx->options->n_weights : 1;
  if (given && fv_weights_count(cx->weights) > 0)
    return;  // the user's files stand in place of all
  for (int i = 0; i < n && good; i++) {
    const char *name = given ? cx->options->weights[i] : fv_xml_slice_text(cx, attr(e, "file"));
    const unsigned before = cx->diag->n_errors;
    const fv_status st = fv_weights_add(cx->weights, given ? NULL : cx->module->dir, name,
                                        type ? &as : NULL, cx->diag, fv_xml_at_value(cx, file, 0));
    good = st == FV_OK;
    if (good)
      continue;
    cx->status = cx->status == FV_OK ? st : cx->status;
    cx->n_faults += cx->diag->n_errors - before;
  }
  cx->weights_failed |= !good;
}

void fv_xml_run_weight(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_slice from = attr(e, "from");
  fv_value *v = NULL;
  if (from.n == 0 || from.attr->value[from.at] != '@')
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, from.attr, from.at),
                       "a weight is written @name");
  else
    v = fv_xml_weight(cx, from);
  if (v)
    fv_xml_assert_type(cx, e, v);
  fv_xml_bind_value(cx, attr(e, "name"), v);
}

//===-- Inputs and outputs ------------------------------------------------===//

typedef struct late_symbol {
  const fv_xpool *pool;
  const char *name;
} late_symbol;

static const fv_expr *note_late(void *user, const fv_expr *e) {
  late_symbol *late = user;
  if (e->kind == FV_E_SYM && fv_symbol_get(late->pool, e->ref)->kind == FV_SYM_RESULT)
    late->name = fv_symbol_get(late->pool, e->ref)->name;
  return e;
}

// Whoever gives an input must know how much: a count that the run itself makes
// says nothing before it.
static bool known_before(fv_xml_cx *cx, const fv_xml_elem *e, const fv_type *t) {
  late_symbol late = {.pool = cx->pool};
  for (int i = 0; i < t->rank; i++)
    (void)fv_x_rewrite(cx->pool, t->dim[i], note_late, &late);
  if (late.name)
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, fv_xml_find_attr(e, "shape"), 0),
                       "the shape of an input must be known before the run, but '%.*s' counts the "
                       "steps of a loop",
                       (int)strcspn(late.name, "."), late.name);
  return !late.name;
}

void fv_xml_run_input(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_type t;
  const char *name = plain_name(cx, e);
  fv_value *v = NULL;
  if (fv_xml_declared(cx, e, &t) && known_before(cx, e, &t) && fv_xml_is_name(name)) {
    v = fv_graph_add_input(cx->graph, name, &t);
    v->name = fv_xml_unique(cx, name);
  }
  fv_xml_bind_value(cx, attr(e, "name"), v);
}

void fv_xml_run_output(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *name = fv_xml_find_attr(e, "name");
  const fv_xml_attr *value = fv_xml_find_attr(e, "value");
  const char *word = plain_name(cx, e);
  if (!fv_xml_is_name(word))
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, name, 0),
                       "'%s' is no name: a name has letters, digits and '_', no digit first", word);
  if (!fv_xml_scope_note(cx->arena, cx->outputs, word, (size_t)cx->graph->region->n_result))
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, name, 0),
                       "the graph has an output '%s' already", word);
  fv_value *v = fv_xml_operand(cx, fv_xml_whole(value ? value : name), NULL);
  if (!v)
    return;
  fv_xml_assert_type(cx, e, v);
  fv_graph_add_output(cx->graph, word, v);
}
