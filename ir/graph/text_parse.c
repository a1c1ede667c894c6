// SPDX-License-Identifier: Apache-2.0
//
// The text form, read. Its grammar stands in ir/graph/text.h. Types are inferred
// anew, and a printed type that differs is an error at its place.
#include <string.h>

#include "base/hash.h"
#include "ir/graph/attr_text.h"
#include "ir/graph/text.h"

// A list of values or types under construction.
typedef struct names {
  const char **item;
  size_t n, cap;
} names;

// A region op whose body is being read.
typedef struct frame {
  fv_node *node;
  names out;
  fv_type *type;
  size_t n_type, type_at;
} frame;

typedef struct parser {
  fv_text_reader r;
  fv_graph *g;
  fv_region *region;
  frame *frame;
  size_t n_frame, cap_frame;
  fv_value **slot;  // values by name, open addressing
  const char **key;
  size_t n_value, n_slots;
} parser;

//===-- Values ----------------------------------------------------------===//

static size_t value_slot(const parser *p, const char *name) {
  size_t k = fv_hash64(name, strlen(name), 0) & (p->n_slots - 1);
  while (p->key[k] && strcmp(p->key[k], name) != 0)
    k = (k + 1) & (p->n_slots - 1);
  return k;
}

static void resize_table(parser *p, size_t n_slots) {
  fv_value **slot = p->slot;
  const char **key = p->key;
  const size_t old = p->n_slots;
  p->n_slots = n_slots;
  p->slot = FV_NEW_N(p->r.arena, fv_value *, n_slots);
  p->key = FV_NEW_N(p->r.arena, const char *, n_slots);
  for (size_t i = 0; i < old; i++) {
    if (!key[i])
      continue;
    const size_t k = value_slot(p, key[i]);
    p->key[k] = key[i];
    p->slot[k] = slot[i];
  }
}

static fv_status define(parser *p, size_t at, const char *name, fv_value *v) {
  if (p->n_value * 2 >= p->n_slots)
    resize_table(p, p->n_slots * 2);
  const size_t k = value_slot(p, name);
  if (p->key[k])
    return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "%%%s is defined twice", name);
  p->key[k] = name;
  p->slot[k] = v;
  p->n_value++;
  const bool numbered = strspn(name, "0123456789") == strlen(name);
  v->name = numbered ? NULL : name;
  return FV_OK;
}

static bool encloses(const fv_region *outer, const fv_region *r) {
  while (r && r != outer)
    r = r->owner ? r->owner->region : NULL;
  return r != NULL;
}

static fv_status read_value_name(parser *p, const char **out) {
  FV_TRY(fv_tr_want(&p->r, '%'));
  return fv_tr_name(&p->r, out);
}

static fv_status read_value(parser *p, fv_value **out) {
  const char *name;
  fv_tr_skip(&p->r);
  const size_t at = p->r.at;
  FV_TRY(read_value_name(p, &name));
  *out = p->slot[value_slot(p, name)];
  if (!*out)
    return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "%%%s is not defined before this place", name);
  if (!encloses((*out)->def ? (*out)->def->region : (*out)->region, p->region))
    return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "%%%s belongs to a body that has ended", name);
  return FV_OK;
}

//===-- Nodes -----------------------------------------------------------===//

static const char *op_candidate(void *user, int i) {
  (void)user;
  return i < FV_OP_COUNT ? fv_op_get((fv_op)i)->name : NULL;
}

static fv_status read_op(parser *p, fv_op *out) {
  const char *word;
  fv_tr_skip(&p->r);
  const size_t at = p->r.at;
  FV_TRY(fv_tr_word(&p->r, &word));
  *out = fv_op_find(word, strlen(word));
  if (*out != FV_OP_COUNT)
    return FV_OK;
  const int near = fv_did_you_mean(word, op_candidate, NULL);
  if (near >= 0)
    return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "there is no op '%s'; did you mean '%s'?", word,
                      op_candidate(NULL, near));
  return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "there is no op '%s'", word);
}

static fv_status read_data(parser *p, const fv_tensor ***out, int *n_out) {
  size_t n = 0, cap = 0;
  const fv_tensor **data = NULL, *t;
  FV_TRY(fv_tr_want(&p->r, '<'));
  do {
    FV_TRY(fv_tr_tensor(&p->r, &t));
    FV_PUSH(p->r.arena, data, n, cap, t);
  } while (n < INT32_MAX && fv_tr_eat(&p->r, ','));
  *out = data;
  *n_out = (int)n;
  return fv_tr_want(&p->r, '>');
}

static fv_status read_operands(parser *p, fv_value ***out, int *n_out) {
  size_t n = 0, cap = 0;
  fv_value **in = NULL, *v;
  FV_TRY(fv_tr_want(&p->r, '('));
  *out = NULL;
  *n_out = 0;
  if (fv_tr_eat(&p->r, ')'))
    return FV_OK;
  do {
    v = NULL;
    if (!fv_tr_eat_word(&p->r, "_"))
      FV_TRY(read_value(p, &v));
    FV_PUSH(p->r.arena, in, n, cap, v);
  } while (n < INT32_MAX && fv_tr_eat(&p->r, ','));
  *out = in;
  *n_out = (int)n;
  return fv_tr_want(&p->r, ')');
}

static fv_status read_attr(parser *p, fv_node *n) {
  fv_text_reader *r = &p->r;
  const fv_op_info *info = fv_op_get(n->op);
  const char *name, *text, *err = "not a value of this attribute";
  fv_tr_skip(r);
  const size_t at = r->at;
  FV_TRY(fv_tr_word(r, &name));
  const fv_param_info *a = NULL;
  for (int i = 0; i < info->n_attr && !a; i++)
    if (strlen(name) == info->attr[i].len &&
        memcmp(name, info->attr[i].name, info->attr[i].len) == 0)
      a = &info->attr[i];
  if (!a)
    return fv_tr_fail(r, at, FV_ERR_PARSE, "%s has no attribute '%s'", info->name, name);
  FV_TRY(fv_tr_want(r, '='));
  fv_tr_skip(r);
  const size_t begin = r->at;
  size_t err_at = 0;
  if (a->kind == 's') {
    FV_TRY(fv_tr_string(r, &text));
    n->attr[a - info->attr] = (fv_attr){.kind = 's', .s = text};
    return FV_OK;
  }
  r->at = fv_tr_extent(r, ",}");
  if (fv_attr_parse(n, a, r->text + begin, r->at - begin, fv_tr_let, r, &err, &err_at) != FV_OK)
    return fv_tr_fail(r, begin + err_at, FV_ERR_PARSE, "%s: %s", name, err);
  return FV_OK;
}

static fv_status read_attrs(parser *p, fv_node *n) {
  fv_tr_skip(&p->r);
  const size_t at = p->r.at;
  if (fv_tr_eat(&p->r, '{')) {
    do
      FV_TRY(read_attr(p, n));
    while (fv_tr_eat(&p->r, ','));
    FV_TRY(fv_tr_want(&p->r, '}'));
  }
  // Numbers of symbols must exist before the semantics look at them.
  if (!fv_node_symbols_exist(n))
    return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "counter, count and symbols are numbers of symbols");
  return FV_OK;
}

static const char *type_text(parser *p, const fv_type *t) {
  fv_str s = {.arena = p->r.arena};
  fv_type_print(p->r.m->pool, &s, t);
  return s.data;
}

// Infers the node, compares with the types of the text, places it.
static fv_status finish_node(parser *p, const frame *f) {
  fv_node *n = f->node;
  FV_TRY(fv_infer_node(n, p->r.diag));
  if ((size_t)n->n_out != f->out.n || f->out.n != f->n_type)
    return fv_tr_fail(&p->r, f->type_at, FV_ERR_TYPE,
                      "%s has %d results; the text names %zu and gives %zu types",
                      fv_op_get(n->op)->name, n->n_out, f->out.n, f->n_type);
  for (int i = 0; i < n->n_out; i++) {
    fv_type *have = &n->out[i]->type;
    have->layout = f->type[i].layout;
    if (!fv_type_eq(have, &f->type[i]))
      return fv_tr_fail(&p->r, f->type_at, FV_ERR_TYPE, "%%%s is %s; the text says %s",
                        f->out.item[i], type_text(p, have), type_text(p, &f->type[i]));
    FV_TRY(define(p, f->type_at, f->out.item[i], n->out[i]));
  }
  fv_node_insert_before(n, NULL);
  return FV_OK;
}

static fv_status read_types(parser *p, frame *f) {
  size_t cap = 0;
  if (!fv_tr_eat(&p->r, ':'))
    return FV_OK;
  fv_tr_skip(&p->r);
  f->type_at = p->r.at;
  do {
    fv_type t;
    FV_TRY(fv_tr_type(&p->r, &t));
    FV_PUSH(p->r.arena, f->type, f->n_type, cap, t);
  } while (fv_tr_eat(&p->r, ','));
  return FV_OK;
}

static fv_status open_body(parser *p, const frame *f, int index) {
  FV_TRY(fv_tr_want_word(&p->r, index ? "else" : "do"));
  FV_TRY(fv_tr_want(&p->r, '{'));
  p->region = f->node->body[index];
  while (fv_tr_eat_word(&p->r, "param")) {
    const char *name;
    fv_type t;
    FV_TRY(read_value_name(p, &name));
    FV_TRY(fv_tr_want(&p->r, ':'));
    fv_tr_skip(&p->r);
    const size_t at = p->r.at;
    FV_TRY(fv_tr_type(&p->r, &t));
    const int i = p->region->n_param;
    const fv_node *n = f->node;
    if (i >= n->n_in || !n->in[i] || !fv_type_eq(&t, &n->in[i]->type))
      return fv_tr_fail(&p->r, at, FV_ERR_TYPE, "%%%s has not the type of operand %d", name, i);
    FV_TRY(define(p, at, name, fv_region_add_param(p->region, &t, NULL)));
  }
  return FV_OK;
}

static fv_status read_node(parser *p) {
  frame f = {.node = NULL};
  fv_op op;
  const fv_tensor **data = NULL;
  fv_value **in;
  int n_data = 0, n_in;
  fv_tr_skip(&p->r);
  const size_t at = p->r.at;
  if (p->r.at < p->r.size && p->r.text[p->r.at] == '%') {
    do {
      const char *name;
      FV_TRY(read_value_name(p, &name));
      FV_PUSH(p->r.arena, f.out.item, f.out.n, f.out.cap, name);
    } while (fv_tr_eat(&p->r, ','));
    FV_TRY(fv_tr_want(&p->r, '='));
  }
  FV_TRY(read_op(p, &op));
  if (op == FV_OP_constant)
    FV_TRY(read_data(p, &data, &n_data));
  FV_TRY(read_operands(p, &in, &n_in));
  f.node = fv_node_create(p->region, op, n_in, in, fv_tr_span(&p->r, at));
  f.node->data = data;
  f.node->n_data = n_data;
  FV_TRY(read_attrs(p, f.node));
  if (fv_tr_eat_word(&p->r, "expect"))
    FV_TRY(fv_tr_string(&p->r, &f.node->expect));
  fv_tr_skip(&p->r);
  f.type_at = p->r.at;
  FV_TRY(read_types(p, &f));
  if (!f.node->n_body)
    return finish_node(p, &f);
  FV_PUSH(p->r.arena, p->frame, p->n_frame, p->cap_frame, f);
  return open_body(p, &f, 0);
}

static fv_status close_body(parser *p) {
  fv_value *v;
  fv_tr_skip(&p->r);
  if (p->r.at < p->r.size && p->r.text[p->r.at] == '%') {
    do {
      FV_TRY(read_value(p, &v));
      fv_region_add_result(p->region, v);
    } while (fv_tr_eat(&p->r, ','));
  }
  FV_TRY(fv_tr_want(&p->r, '}'));
  const frame f = p->frame[p->n_frame - 1];
  if (p->region->index + 1 < f.node->n_body)
    return open_body(p, &f, p->region->index + 1);
  p->n_frame--;
  p->region = f.node->region;
  return finish_node(p, &f);
}

//===-- Graphs ----------------------------------------------------------===//

static fv_status read_input(parser *p) {
  const char *name, *value;
  fv_type t;
  FV_TRY(fv_tr_string(&p->r, &name));
  const size_t at = p->r.at;
  FV_TRY(read_value_name(p, &value));
  FV_TRY(fv_tr_want(&p->r, ':'));
  FV_TRY(fv_tr_type(&p->r, &t));
  return define(p, at, value, fv_graph_add_input(p->g, name, &t));
}

static fv_status read_relation(parser *p, fv_relation *out) {
  fv_text_reader *r = &p->r;
  for (uint32_t i = 0; i < FV_REL_COUNT; i++) {
    const char *sign = fv_relation_sign(i);
    const size_t n = strlen(sign);
    if (r->size - r->at >= n && memcmp(r->text + r->at, sign, n) == 0) {
      r->at += n;
      *out = (fv_relation)i;
      return FV_OK;
    }
  }
  return fv_tr_fail(r, r->at, FV_ERR_PARSE, "a relation is expected here: ==, !=, <= or ~");
}

static fv_status read_condition(parser *p) {
  fv_text_reader *r = &p->r;
  fv_tr_skip(r);
  const size_t at = r->at;
  fv_condition c = {.span = fv_tr_span(r, at)};
  FV_TRY(fv_tr_expr(r, "=!<~\n#", &c.a));
  FV_TRY(read_relation(p, &c.relation));
  FV_TRY(fv_tr_expr(r, "\"\n#", &c.b));
  FV_TRY(fv_tr_string(r, &c.text));
  if (fv_x_has(c.a, FV_XF_RUN) || fv_x_has(c.b, FV_XF_RUN))
    return fv_tr_fail(r, at, FV_ERR_TYPE, "a condition is about what is known before the run");
  const fv_truth t = fv_require(p->region, NULL, &c, true);
  if (t == FV_YES)
    return FV_OK;
  return fv_tr_fail(r, at, FV_ERR_TYPE,
                    t == FV_NO ? "this condition can never hold"
                               : "a condition is about what is known before the run");
}

// A condition, not a node `require` that comes first: that has "()" behind its word.
static bool eat_condition(parser *p) {
  const size_t at = p->r.at;
  if (!fv_tr_eat_word(&p->r, "require"))
    return false;
  const size_t behind = p->r.at;
  const bool is_node = fv_tr_eat(&p->r, '(') && fv_tr_eat(&p->r, ')');
  p->r.at = is_node ? at : behind;
  return !is_node;
}

static fv_status read_output(parser *p) {
  const char *name;
  fv_value *v;
  FV_TRY(fv_tr_string(&p->r, &name));
  FV_TRY(read_value(p, &v));
  fv_graph_add_output(p->g, name, v);
  return FV_OK;
}

static fv_status read_advance(parser *p) {
  fv_advance a;
  FV_TRY(fv_tr_symbol(&p->r, &a.length));
  FV_TRY(fv_tr_want(&p->r, '='));
  FV_TRY(fv_tr_expr(&p->r, "\n}#", &a.next));
  fv_graph_add_advance(p->g, a);
  return FV_OK;
}

static fv_status read_graph(parser *p) {
  const char *name;
  const fv_span *span = fv_tr_span(&p->r, p->r.at);
  FV_TRY(fv_tr_string(&p->r, &name));
  p->g = fv_graph_create(p->r.m, name, span);
  p->region = p->g->region;
  p->n_slots = p->n_value = 0;
  resize_table(p, 64);
  FV_TRY(fv_tr_want(&p->r, '{'));
  while (fv_tr_eat_word(&p->r, "input"))
    FV_TRY(read_input(p));
  while (eat_condition(p))
    FV_TRY(read_condition(p));
  FV_TRY(fv_graph_unify(p->g, p->r.diag));
  for (;;) {
    const bool top = p->n_frame == 0;
    if (!top && fv_tr_eat_word(&p->r, "yield")) {
      FV_TRY(close_body(p));
    } else if (top && fv_tr_eat_word(&p->r, "output")) {
      FV_TRY(read_output(p));
    } else if (top && fv_tr_eat_word(&p->r, "advance")) {
      FV_TRY(read_advance(p));
    } else if (top && fv_tr_eat(&p->r, '}')) {
      return FV_OK;
    } else {
      FV_TRY(read_node(p));
    }
  }
}

//===-- Modules ---------------------------------------------------------===//

static fv_status read_symbol(parser *p) {
  const char *name, *kind;
  int64_t lo, hi;
  uint32_t known;
  fv_tr_skip(&p->r);
  const size_t at = p->r.at;
  FV_TRY(fv_tr_name(&p->r, &name));
  FV_TRY(fv_tr_word(&p->r, &kind));
  FV_TRY(fv_tr_int(&p->r, INT64_MIN, INT64_MAX, &lo));
  FV_TRY(fv_tr_want(&p->r, '.'));
  FV_TRY(fv_tr_want(&p->r, '.'));
  FV_TRY(fv_tr_int(&p->r, lo, INT64_MAX, &hi));
  if (fv_symbol_find(p->r.m->pool, name, &known))
    return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "symbol '%s' is declared twice", name);
  for (size_t i = 0; i < FV_COUNTOF(fv_symbol_kind_name); i++) {
    if (strcmp(kind, fv_symbol_kind_name[i]) == 0) {
      fv_symbol_add(p->r.m->pool, name, lo, hi, (fv_symbol_kind)i);
      return FV_OK;
    }
  }
  return fv_tr_fail(&p->r, at, FV_ERR_PARSE, "a symbol is a dim, state, counter or result");
}

static fv_status read_let(parser *p) {
  fv_text_reader *r = &p->r;
  const fv_expr *x;
  int64_t number;
  FV_TRY(fv_tr_want(r, '$'));
  const size_t at = r->at;
  FV_TRY(fv_tr_int(r, 0, INT64_MAX, &number));
  if ((uint64_t)number != r->n_let)
    return fv_tr_fail(r, at, FV_ERR_PARSE, "this is let number %zu", r->n_let);
  FV_TRY(fv_tr_want(r, '='));
  FV_TRY(fv_tr_expr(r, "\n#", &x));
  FV_PUSH(r->arena, r->let, r->n_let, r->cap_let, x);
  return FV_OK;
}

static fv_status read_state(parser *p) {
  const char *name;
  int64_t members, axis = -1;
  uint32_t length = 0;
  fv_type t;
  const fv_span *span = fv_tr_span(&p->r, p->r.at);
  FV_TRY(fv_tr_string(&p->r, &name));
  FV_TRY(fv_tr_want_word(&p->r, "members"));
  FV_TRY(fv_tr_int(&p->r, 1, INT32_MAX, &members));
  if (fv_tr_eat_word(&p->r, "axis")) {
    FV_TRY(fv_tr_int(&p->r, 0, FV_MAX_RANK - 1, &axis));
    FV_TRY(fv_tr_want_word(&p->r, "length"));
    FV_TRY(fv_tr_symbol(&p->r, &length));
  }
  FV_TRY(fv_tr_want(&p->r, ':'));
  fv_tr_skip(&p->r);
  const size_t at = p->r.at;
  FV_TRY(fv_tr_type(&p->r, &t));
  if (axis >= t.rank)
    return fv_tr_fail(&p->r, at, FV_ERR_TYPE, "state '%s' has no axis %lld", name, (long long)axis);
  fv_state *s = fv_module_add_state(p->r.m, name, &t, (int)members);
  s->length_axis = (int)axis;
  s->length = length;
  s->span = span;
  return FV_OK;
}

static fv_status read_verify(parser *p) {
  fv_verify_case v = {.span = fv_tr_span(&p->r, p->r.at)};
  FV_TRY(fv_tr_string(&p->r, &v.graph));
  FV_TRY(fv_tr_string(&p->r, &v.file));
  FV_TRY(fv_tr_double(&p->r, &v.tolerance));
  fv_module_add_verify(p->r.m, v);
  return FV_OK;
}

static fv_status read_module(parser *p) {
  const char *name;
  int64_t version;
  FV_TRY(fv_tr_want_word(&p->r, "fovea"));
  FV_TRY(fv_tr_int(&p->r, 1, 1, &version));
  FV_TRY(fv_tr_want_word(&p->r, "module"));
  FV_TRY(fv_tr_string(&p->r, &name));
  p->r.m = fv_module_create(p->r.arena, name);
  p->r.m->file = p->r.file;
  if (fv_tr_eat_word(&p->r, "unproved")) {
    FV_TRY(fv_tr_want_word(&p->r, "check"));
    p->r.m->check_unproved = true;
  }
  while (fv_tr_eat_word(&p->r, "symbol"))
    FV_TRY(read_symbol(p));
  while (fv_tr_eat_word(&p->r, "let"))
    FV_TRY(read_let(p));
  while (fv_tr_eat_word(&p->r, "state"))
    FV_TRY(read_state(p));
  while (fv_tr_eat_word(&p->r, "verify"))
    FV_TRY(read_verify(p));
  while (fv_tr_eat_word(&p->r, "graph"))
    FV_TRY(read_graph(p));
  if (p->r.at < p->r.size)
    return fv_tr_fail(&p->r, p->r.at, FV_ERR_PARSE, "a graph or the end is expected here");
  return FV_OK;
}

fv_status fv_text_parse(fv_arena *ar, const char *file, const char *text, size_t size,
                        const fv_tensor *(*weights)(void *user, const char *name), void *user,
                        fv_diag_sink *diag, fv_module **out) {
  parser p = {.r = {.arena = ar,
                    .file = fv_arena_strdup(ar, file),
                    .text = text,
                    .size = size,
                    .line = 1,
                    .diag = diag,
                    .weights = weights,
                    .user = user}};
  FV_TRY(read_module(&p));
  *out = p.r.m;
  return FV_OK;
}
