// SPDX-License-Identifier: Apache-2.0
#include "ir/graph/example.h"

#include <string.h>

#include "ir/graph/attr_text.h"

typedef struct cursor {
  const char *p, *end;
} cursor;

static void skip_blanks(cursor *c) {
  while (c->p < c->end && *c->p == ' ')
    c->p++;
}

static bool take(cursor *c, char ch) {
  if (c->p == c->end || *c->p != ch)
    return false;
  c->p++;
  return true;
}

int fv_example_count(fv_op op) {
  const char *const *p = fv_op_get(op)->examples;
  int n = 0;
  while (p && p[n])
    n++;
  return n;
}

static bool take_number(cursor *c, int64_t *out) {
  const char *from = c->p;
  while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
    c->p++;
  return c->p > from && fv_parse_i64(from, (size_t)(c->p - from), out);
}

static bool take_scale(cursor *c, double *out) {
  const size_t n = strcspn(c->p, " ;>");
  const char *from = c->p;
  c->p += n;
  return fv_parse_double(from, n, out) && *out > 0;
}

// [dtype ':'] ('s' | dims) ['<' limit] ['*' scale] ['>0'], or '-'
static bool take_operand(cursor *c, fv_example_operand *o) {
  *o = (fv_example_operand){.scale = 1};
  const size_t word = strcspn(c->p, " ;:");
  if (c->p + word < c->end && c->p[word] == ':') {
    char name[8] = {0};
    if (word >= sizeof name)
      return false;
    memcpy(name, c->p, word);
    if (!fv_dtype_find(name, &o->dtype))
      return false;
    o->has_dtype = true;
    c->p += word + 1;
  }
  if (take(c, '-')) {
    o->absent = true;
    return !o->has_dtype;
  }
  if (!take(c, 's')) {
    do {
      if (o->rank == FV_MAX_RANK || !take_number(c, &o->dim[o->rank++]))
        return false;
    } while (take(c, 'x'));
  }
  if (take(c, '<') && (!take_number(c, &o->limit) || o->limit < 1))
    return false;
  if (take(c, '*') && !take_scale(c, &o->scale))
    return false;
  if (take(c, '>')) {
    o->positive = true;
    return take(c, '0');
  }
  return true;
}

static bool take_attr(cursor *c, fv_example_attr *a) {
  a->name = c->p;
  while (c->p < c->end && *c->p != '=' && *c->p != ' ')
    c->p++;
  a->name_len = (size_t)(c->p - a->name);
  if (a->name_len == 0 || !take(c, '='))
    return false;
  a->value = c->p;
  while (c->p < c->end && *c->p != ' ')
    c->p++;
  a->value_len = (size_t)(c->p - a->value);
  return true;
}

bool fv_example_get(fv_op op, int i, fv_example *out) {
  *out = (fv_example){0};
  if (i < 0 || i >= fv_example_count(op))
    return false;
  const char *text = fv_op_get(op)->examples[i];
  cursor c = {text, text + strlen(text)};
  for (skip_blanks(&c); c.p < c.end && *c.p != ';'; skip_blanks(&c))
    if (out->n_operand == FV_MAX_OPERANDS || !take_operand(&c, &out->operand[out->n_operand++]))
      return false;
  if (!take(&c, ';'))
    return true;
  for (skip_blanks(&c); c.p < c.end; skip_blanks(&c))
    if (out->n_attr == FV_MAX_ATTRS || !take_attr(&c, &out->attr[out->n_attr++]))
      return false;
  return true;
}

//===-- Building ----------------------------------------------------------===//

static const fv_param_info *find_attr(const fv_op_info *info, const fv_example_attr *a) {
  for (int i = 0; i < info->n_attr; i++)
    if (info->attr[i].len == a->name_len && memcmp(info->attr[i].name, a->name, a->name_len) == 0)
      return &info->attr[i];
  return NULL;
}

static const char *operand_name(fv_graph *g, const fv_op_info *info, int i) {
  fv_arena *ar = g->module->arena;
  const int last = info->n_operand - 1;
  if (i < last || (i == last && !info->operand[i].variadic))
    return fv_arena_strndup(ar, info->operand[i].name, info->operand[i].len);
  const fv_param_info *p = &info->operand[last < 0 ? 0 : last];
  return fv_arena_printf(ar, "%.*s%d", (int)p->len, p->name, i - last);
}

static fv_status set_attrs(fv_node *n, const fv_example *ex, fv_diag_sink *diag) {
  const fv_op_info *info = fv_op_get(n->op);
  for (int i = 0; i < ex->n_attr; i++) {
    const fv_example_attr *a = &ex->attr[i];
    const fv_param_info *p = find_attr(info, a);
    const char *err = "is not in the schema";
    size_t at = 0;
    if (!p || fv_attr_parse(n, p, a->value, a->value_len, NULL, NULL, &err, &at) != FV_OK)
      return fv_error(diag, FV_ERR_PARSE, NULL, "%s: example attribute '%.*s': %s", info->name,
                      (int)a->name_len, a->name, err);
  }
  return FV_OK;
}

fv_status fv_example_build(fv_graph *g, fv_op op, const fv_example *ex, fv_dtype t,
                           fv_diag_sink *diag, fv_node **out) {
  const fv_op_info *info = fv_op_get(op);
  fv_module *m = g->module;
  fv_value *in[FV_MAX_OPERANDS] = {NULL};
  for (int i = 0; i < ex->n_operand; i++) {
    const fv_example_operand *o = &ex->operand[i];
    if (o->absent)
      continue;
    fv_type type = {.dtype = o->has_dtype ? o->dtype : t, .rank = o->rank};
    for (int k = 0; k < o->rank; k++)
      type.dim[k] = fv_x_i64(m->pool, o->dim[k]);
    in[i] = fv_graph_add_input(g, operand_name(g, info, i), &type);
  }
  fv_node *n = fv_node_create(g->region, op, ex->n_operand, in, NULL);
  FV_TRY(set_attrs(n, ex, diag));
  fv_node_insert_before(n, NULL);
  FV_TRY(fv_infer_node(n, diag));
  for (int i = 0; i < n->n_out; i++)
    fv_graph_add_output(g, fv_arena_printf(m->arena, "out%d", i), n->out[i]);
  *out = n;
  return FV_OK;
}
