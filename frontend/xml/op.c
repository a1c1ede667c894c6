// SPDX-License-Identifier: Apache-2.0
//
// An element whose name is a row of the op table.
#include <string.h>

#include "frontend/xml/build.h"

typedef struct builder {
  const fv_op_info *info;
  const fv_xml_elem *elem;
  fv_value **in;
  const char **literal;  // per operand: still to be typed
  fv_xml_slice *from;
  int n_in;
  bool failed;
} builder;

static const fv_xml_attr *attr_of(const fv_xml_elem *e, const fv_param_info *p) {
  for (int i = 0; i < e->n_attr; i++)
    if (strlen(e->attr[i].name) == p->len && memcmp(e->attr[i].name, p->name, p->len) == 0)
      return &e->attr[i];
  return NULL;
}

static void read_one(fv_xml_cx *cx, builder *b, int at, fv_xml_slice s) {
  b->from[at] = s;
  b->literal[at] = s.n ? fv_xml_literal(cx, s) : NULL;
  if (b->literal[at])
    return;
  b->in[at] = fv_xml_operand(cx, s, NULL);
  b->failed |= !b->in[at];
}

static int count_operands(const fv_xml_elem *e, const fv_op_info *info) {
  int n = info->n_operand;
  if (n && info->operand[n - 1].variadic) {
    const fv_xml_attr *list = attr_of(e, &info->operand[n - 1]);
    n += (list ? fv_xml_list_count(list) : 0) - 1;
  }
  return n;
}

static void read_operands(fv_xml_cx *cx, builder *b) {
  int at = 0;
  for (int i = 0; i < b->info->n_operand; i++) {
    const fv_xml_attr *a = attr_of(b->elem, &b->info->operand[i]);
    if (!a) {
      at += !b->info->operand[i].variadic;
      continue;
    }
    if (!b->info->operand[i].variadic) {
      read_one(cx, b, at++, fv_xml_whole(a));
      continue;
    }
    fv_xml_slice rest = fv_xml_whole(a);
    fv_xml_slice item;
    while (fv_xml_next(&rest, &item))
      read_one(cx, b, at++, item);
  }
}

static bool is_truth(const char *s) {
  return s[0] == 't' || s[0] == 'f';
}

// A literal takes the type of its siblings: of the first that is not bool, so
// that the condition of `where` does not count. true and false are bool.
static void type_literals(fv_xml_cx *cx, builder *b) {
  const fv_dtype *like = NULL;
  for (int i = 0; i < b->n_in && !like; i++)
    if (b->in[i] && b->in[i]->type.dtype != FV_bool)
      like = &b->in[i]->type.dtype;
  for (int i = 0; i < b->n_in; i++) {
    if (!b->literal[i])
      continue;
    if (!like && b->failed)
      continue;  // the sibling that would say is poisoned
    const fv_dtype t =
        like && !is_truth(b->literal[i]) ? *like : fv_xml_literal_type(b->literal[i]);
    b->in[i] = fv_xml_literal_value(cx, b->from[i], b->literal[i], t);
    b->failed |= !b->in[i];
  }
}

// shape="s" with s a list whose contents are known.
static bool dims_of_value(fv_xml_cx *cx, fv_node *n, const fv_param_info *p, const char *text) {
  const fv_xml_name *e =
      p->kind == 'D' ? fv_xml_scope_find(cx->top->scope, text, strlen(text)) : NULL;
  const fv_value *v = e && e->kind == FV_XML_VALUE ? e->value : NULL;
  if (!v || v->type.rank != 1 || !v->content || !fv_dtype_is_int(v->type.dtype))
    return false;
  fv_attr_set_dims(n, fv_arena_strndup(cx->arena, p->name, p->len), v->n_content, v->content);
  return true;
}

static bool is_defined(fv_xml_cx *cx, fv_xml_slice s, const fv_attr *a) {
  if (a->kind == 'x')
    return fv_xml_is_defined(cx, s, a->x);
  for (int i = 0; a->kind == 'D' && i < a->n; i++)
    if (!fv_xml_is_defined(cx, s, a->dims[i]))
      return false;
  return true;
}

static void read_attr(fv_xml_cx *cx, builder *b, fv_node *n, const fv_param_info *p) {
  const fv_xml_attr *a = attr_of(b->elem, p);
  if (!a)
    return;
  const fv_xml_slice s = fv_xml_whole(a);
  const bool holes = strchr(a->value, '{') != NULL;
  const char *text = holes ? fv_xml_plain(cx, s) : fv_xml_slice_text(cx, s);
  const bool integers = strchr("iIDx", p->kind) != NULL;
  if (!text || (integers && !holes && !fv_xml_no_dots(cx, s))) {
    b->failed = true;
    return;
  }
  if (dims_of_value(cx, n, p, text))
    return;
  const char *err = "malformed";
  size_t at = 0;
  cx->poisoned = false;
  const fv_status st = fv_attr_parse(n, p, text, strlen(text), fv_xml_symbol, cx, &err, &at);
  if (st == FV_OK && !cx->poisoned) {
    b->failed = !is_defined(cx, s, &n->attr[p - b->info->attr]) || b->failed;
    return;
  }
  b->failed = true;
  if (cx->poisoned)
    return;
  if (integers && !holes)
    fv_xml_report_expr(cx, s, err, at);
  else
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, holes ? 0 : s.at + at), "%s", err);
}

// An op with any number of results makes as many as out= names, unless told.
static void count_results(builder *b, fv_node *n) {
  const fv_op_info *info = b->info;
  const bool variadic = info->n_result && info->result[info->n_result - 1].variadic;
  const fv_xml_attr *out = fv_xml_find_attr(b->elem, "out");
  if (!variadic || !out || fv_xml_find_attr(b->elem, "parts") || fv_xml_find_attr(b->elem, "sizes"))
    return;
  for (int i = 0; i < info->n_attr; i++)
    if (info->attr[i].len == 5 && memcmp(info->attr[i].name, "parts", 5) == 0)
      fv_attr_set_int(n, "parts", fv_xml_list_count(out));
}

static bool is_any_of(const fv_param_info *p, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (p[i].len == strlen(name) && memcmp(p[i].name, name, p[i].len) == 0)
      return true;
  return false;
}

static bool has_param(const fv_op_info *info, const char *name) {
  return is_any_of(info->operand, info->n_operand, name) ||
         is_any_of(info->attr, info->n_attr, name);
}

static void bind_results(fv_xml_cx *cx, const builder *b, fv_node *n) {
  const fv_xml_attr *out = fv_xml_find_attr(b->elem, "out");
  const int named = out ? fv_xml_list_count(out) : 0;
  if (named > n->n_out) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, out, 0),
                       "<%s> has %d result%s, but out= names %d", b->elem->name, n->n_out,
                       n->n_out == 1 ? "" : "s", named);
    fv_xml_poison_out(cx, b->elem);
    return;
  }
  fv_xml_slice rest = out ? fv_xml_whole(out) : (fv_xml_slice){0};
  fv_xml_slice item;
  for (int i = 0; out && fv_xml_next(&rest, &item); i++)
    if (item.n != 1 || out->value[item.at] != '_')
      fv_xml_bind_value(cx, item, n->out[i]);
  if (n->n_out && !has_param(b->info, "type"))
    fv_xml_assert_dtype(cx, b->elem, n->out[0]);
  if (n->n_out && !has_param(b->info, "shape"))
    fv_xml_assert_shape(cx, b->elem, n->out[0]);
}

//===-- Expectations --------------------------------------------------------===//

static const char *expect_word(void *user, int i) {
  static const char *const word[] = {
#define X(name, doc) #name,
      FV_FAMILY_TABLE(X)
#undef X
          "fused",
      NULL};
  (void)user;
  return word[i];
}

// A copy for each element: what it is expanded to has the same pointer.
static void read_expect(fv_xml_cx *cx, const fv_xml_elem *e, fv_node *n) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "expect");
  const char *word = a ? fv_xml_plain(cx, fv_xml_whole(a)) : NULL;
  if (!word)
    return;
  fv_str all = {.arena = cx->arena};
  for (int i = 0; expect_word(NULL, i); i++) {
    if (strcmp(word, expect_word(NULL, i)) == 0) {
      n->expect = fv_arena_strdup(cx->arena, word);
      return;
    }
    fv_str_printf(&all, " %s", expect_word(NULL, i));
  }
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0),
                     "'%s' is none of the kinds of kernels%s%s", word, all.data,
                     fv_xml_suggest(cx, word, expect_word, NULL));
}

void fv_xml_run_op(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_op op = fv_op_find(e->name, strlen(e->name));
  builder b = {.info = fv_op_get(op), .elem = e};
  b.n_in = count_operands(e, b.info);
  b.in = FV_NEW_N(cx->arena, fv_value *, b.n_in);
  b.literal = FV_NEW_N(cx->arena, const char *, b.n_in);
  b.from = FV_NEW_N(cx->arena, fv_xml_slice, b.n_in);
  read_operands(cx, &b);
  type_literals(cx, &b);
  fv_node *n = fv_xml_node(cx, op, b.n_in, b.in);
  for (int i = 0; i < b.info->n_attr; i++)
    read_attr(cx, &b, n, &b.info->attr[i]);
  count_results(&b, n);
  read_expect(cx, e, n);
  if (b.failed || !fv_xml_place_node(cx, n))
    fv_xml_poison_out(cx, e);
  else
    bind_results(cx, &b, n);
}
