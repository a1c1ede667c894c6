// SPDX-License-Identifier: Apache-2.0
#include "ir/graph/attr_text.h"

#include <math.h>
#include <string.h>

typedef struct parse_ctx {
  fv_node *node;
  fv_xpool *pool;
  fv_arena *arena;
  const fv_param_info *info;
  const char *text;  // the whole attribute
  const fv_expr *(*symbol)(void *user, const char *name, size_t n);
  void *user;
  const char **err;
  size_t *err_at;
} parse_ctx;

// A piece of the attribute's text.
typedef struct piece {
  const char *p;
  size_t n;
} piece;

static fv_status fail(parse_ctx *c, const char *at, const char *why) {
  *c->err = why;
  *c->err_at = (size_t)(at - c->text);
  return FV_ERR_PARSE;
}

static bool blank(char ch) {
  return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

static piece trim(piece t) {
  while (t.n && blank(t.p[0]))
    t.p++, t.n--;
  while (t.n && blank(t.p[t.n - 1]))
    t.n--;
  return t;
}

static bool is(piece t, const char *word) {
  return t.n == strlen(word) && memcmp(t.p, word, t.n) == 0;
}

static fv_status parse_expr(parse_ctx *c, piece t, const fv_expr **out) {
  t = trim(t);
  if (t.n == 0)
    return fail(c, t.p, "an integer expression is expected here");
  int64_t literal;  // also takes the ends of the i64 range, which unary minus cannot build
  if (fv_parse_i64(t.p, t.n, &literal)) {
    *out = fv_x_i64(c->pool, literal);
    return FV_OK;
  }
  const char *err = "not an integer expression";
  size_t at = 0;
  *out = fv_x_parse_i64(c->pool, t.p, t.n, c->symbol, c->user, &err, &at);
  return *out ? FV_OK : fail(c, t.p + at, err);
}

static fv_status parse_int(parse_ctx *c, piece t, int64_t *out) {
  const fv_expr *e;
  FV_TRY(parse_expr(c, t, &e));
  if (!fv_x_is_lit(e, out))
    return fail(c, trim(t).p, "this must be a plain integer; it depends on a dim");
  return FV_OK;
}

// Cuts the next element off a list at the first comma outside parentheses.
static piece next_element(piece *rest) {
  size_t i = 0;
  for (int depth = 0; i < rest->n && (rest->p[i] != ',' || depth > 0); i++)
    depth += (rest->p[i] == '(') - (rest->p[i] == ')');
  const piece head = {rest->p, i};
  const size_t cut = i < rest->n ? i + 1 : i;
  rest->p += cut;
  rest->n -= cut;
  return head;
}

static piece list_body(piece t) {
  t = trim(t);
  if (t.n >= 2 && t.p[0] == '[' && t.p[t.n - 1] == ']')
    t = trim((piece){t.p + 1, t.n - 2});
  return t;
}

static int count_elements(piece t) {
  if (t.n == 0)
    return 0;
  int n = 1;
  int depth = 0;
  for (size_t i = 0; i < t.n; i++) {
    depth += (t.p[i] == '(') - (t.p[i] == ')');
    n += t.p[i] == ',' && depth <= 0;
  }
  return n;
}

static fv_status parse_ints(parse_ctx *c, piece t, fv_attr *out) {
  t = list_body(t);
  const int n = count_elements(t);
  int64_t *v = FV_NEW_N(c->arena, int64_t, n);
  for (int i = 0; i < n; i++)
    FV_TRY(parse_int(c, next_element(&t), &v[i]));
  out->n = n;
  out->ints = v;
  return FV_OK;
}

static fv_status parse_dims(parse_ctx *c, piece t, fv_attr *out) {
  t = list_body(t);
  const int n = count_elements(t);
  const fv_expr **v = FV_NEW_N(c->arena, const fv_expr *, n);
  for (int i = 0; i < n; i++)
    FV_TRY(parse_expr(c, next_element(&t), &v[i]));
  out->n = n;
  out->dims = v;
  return FV_OK;
}

static fv_status parse_float(parse_ctx *c, piece t, fv_attr *out) {
  t = trim(t);
  if (t.n && fv_parse_double(t.p, t.n, &out->f)) {
    out->is_whole = fv_parse_whole_i64(t.p, t.n, &out->whole) == FV_WHOLE;
    return FV_OK;
  }
  // An integer let may stand for a number.
  if (parse_int(c, t, &out->whole) != FV_OK)
    return fail(c, t.p, "not a number");
  out->is_whole = true;
  out->f = (double)out->whole;
  return FV_OK;
}

static fv_status parse_bool(parse_ctx *c, piece t, bool *out) {
  t = trim(t);
  *out = is(t, "true") || is(t, "1");
  if (*out || is(t, "false") || is(t, "0"))
    return FV_OK;
  return fail(c, t.p, "this must be true or false");
}

static fv_status parse_dtype(parse_ctx *c, piece t, fv_dtype *out) {
  t = trim(t);
  if (fv_dtype_find(fv_arena_strndup(c->arena, t.p, t.n), out))
    return FV_OK;
  return fail(c, t.p, "not an element type; they are f32 f64 f16 bf16 i8 u8 i16 i32 i64 bool");
}

static fv_status parse_any(parse_ctx *c, piece t, fv_attr *out) {
  switch (c->info->kind) {
  case 'i': return parse_int(c, t, &out->i);
  case 'f': return parse_float(c, t, out);
  case 'b': return parse_bool(c, t, &out->b);
  case 's': out->s = fv_arena_strndup(c->arena, t.p, t.n); return FV_OK;
  case 'I': return parse_ints(c, t, out);
  case 'D': return parse_dims(c, t, out);
  case 't': return parse_dtype(c, t, &out->t);
  case 'x': return parse_expr(c, t, &out->x);
  default: return fail(c, t.p, "attribute of unknown kind");
  }
}

fv_status fv_attr_parse(fv_node *n, const fv_param_info *a, const char *text, size_t len,
                        const fv_expr *(*symbol)(void *user, const char *name, size_t n),
                        void *user, const char **err, size_t *err_at) {
  fv_module *m = n->region->graph->module;
  const fv_op_info *op = fv_op_get(n->op);
  const char *err_dummy;
  size_t at_dummy;
  parse_ctx c = {.node = n,
                 .pool = m->pool,
                 .arena = m->arena,
                 .info = a,
                 .text = text,
                 .symbol = symbol,
                 .user = user,
                 .err = err ? err : &err_dummy,
                 .err_at = err_at ? err_at : &at_dummy};
  const ptrdiff_t index = a - op->attr;
  FV_CHECK(m->arena, index >= 0 && index < op->n_attr);
  fv_attr value = {.kind = a->kind};
  FV_TRY(parse_any(&c, (piece){text, len}, &value));
  n->attr[index] = value;
  return FV_OK;
}

void fv_attr_print(const fv_xpool *p, fv_str *out, const fv_attr *a, const fv_xprint *how) {
  switch (a->kind) {
  case 'i': fv_str_printf(out, "%lld", (long long)a->i); break;
  case 'f':
    if (a->is_whole && fabs(a->f) >= 0x1p53)
      fv_str_printf(out, "%lld", (long long)a->whole);
    else
      fv_str_double(out, a->f);
    break;
  case 'b': fv_str_puts(out, a->b ? "true" : "false"); break;
  case 's': fv_str_puts(out, a->s); break;
  case 't': fv_str_puts(out, fv_dtype_name(a->t)); break;
  case 'x': fv_x_print_as(p, out, a->x, how); break;
  case 'I':
  case 'D':
    fv_str_puts(out, "[");
    for (int i = 0; i < a->n; i++) {
      fv_str_puts(out, i ? ", " : "");
      if (a->kind == 'I')
        fv_str_printf(out, "%lld", (long long)a->ints[i]);
      else
        fv_x_print_as(p, out, a->dims[i], how);
    }
    fv_str_puts(out, "]");
    break;
  default: break;
  }
}
