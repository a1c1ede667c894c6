// SPDX-License-Identifier: Apache-2.0
//
// Text of expressions: an infix printer and an operator-precedence parser,
// both with a stack of their own, so that depth costs no C stack.
#include <string.h>

#include "ir/expr/expr_pool.h"

//===-- Printing --------------------------------------------------------===//

typedef enum item_kind { ITEM_TEXT, ITEM_EXPR, ITEM_TERM } item_kind;

typedef struct item {
  item_kind kind;
  int prec;  // 0 in a sum, 1 left of '*', 2 right of '*'
  const char *text;
  const fv_expr *e;
} item;

typedef struct printer {
  const fv_xpool *p;
  fv_str *out;
  item *stack, local[32];
  size_t n, cap;
  const fv_xprint *how;
  size_t start;  // of the text, in out
} printer;

static void push_item(printer *w, item it) {
  if (w->n == w->cap) {
    item *wider = FV_NEW_N(w->out->arena, item, w->cap * 2);
    memcpy(wider, w->stack, w->n * sizeof *wider);
    w->stack = wider;
    w->cap *= 2;
  }
  w->stack[w->n++] = it;
}

static void push_text(printer *w, const char *text) {
  push_item(w, (item){.kind = ITEM_TEXT, .text = text});
}

static void push_expr(printer *w, const fv_expr *e, int prec) {
  push_item(w, (item){.kind = ITEM_EXPR, .e = e, .prec = prec});
}

static bool is_name(const char *s) {
  for (const char *c = s; *c; c++) {
    const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
    const bool digit = (*c >= '0' && *c <= '9') || *c == '.';
    if (!letter && (!digit || c == s))
      return false;
  }
  return s[0] != 0;
}

static void print_literal(printer *w, const fv_expr *e) {
  const fv_dtype t = (fv_dtype)e->dtype;
  if (t == FV_i64) {
    fv_str_printf(w->out, "%lld", (long long)e->lit.i);
    return;
  }
  fv_str_printf(w->out, "%s(", fv_dtype_name(t));
  if (fv_dtype_is_float(t))
    fv_str_double(w->out, e->lit.f);
  else
    fv_str_printf(w->out, "%lld", (long long)e->lit.i);
  fv_str_puts(w->out, ")");
}

// Arguments between `open` and `close`, pushed so that they come out in order.
static void print_args(printer *w, const fv_expr *e, const char *open, const char *close) {
  fv_str_puts(w->out, open);
  push_text(w, close);
  for (int i = e->n - 1; i >= 0; i--) {
    push_expr(w, e->arg[i], 0);
    if (i > 0)
      push_text(w, ", ");
  }
}

static bool negative_term(const fv_expr *e) {
  if (e->dtype != FV_i64)
    return false;
  if (fv_xp_is_op(e, FV_X_MUL))
    e = e->arg[1];
  return e->kind == FV_E_LIT && e->lit.i < 0 && e->lit.i != INT64_MIN;
}

// A term after the first: with its sign.
static void print_term(printer *w, const fv_expr *e, const char *plus) {
  if (!negative_term(e)) {
    fv_str_puts(w->out, plus);
    push_expr(w, e, 1);
    return;
  }
  fv_str_puts(w->out, "-");
  const int64_t coef = fv_xp_is_op(e, FV_X_MUL) ? e->arg[1]->lit.i : e->lit.i;
  if (e->kind == FV_E_LIT)
    fv_str_printf(w->out, "%lld", (long long)-coef);
  if (e->kind == FV_E_LIT)
    return;
  if (coef != -1)
    push_text(w, fv_arena_printf(w->out->arena, "*%lld", (long long)-coef));
  push_expr(w, e->arg[0], coef == -1 ? 2 : 1);
}

static void print_op(printer *w, const fv_expr *e, int prec) {
  const fv_scalar_op op = (fv_scalar_op)e->op;
  if (e->dtype == FV_i64 && (op == FV_X_ADD || op == FV_X_MUL)) {
    if (prec == 0 && op == FV_X_MUL && negative_term(e)) {
      print_term(w, e, "");
      return;
    }
    const bool parens = prec >= (op == FV_X_ADD ? 1 : 2);
    if (parens) {
      fv_str_puts(w->out, "(");
      push_text(w, ")");
    }
    if (op == FV_X_ADD) {
      push_item(w, (item){.kind = ITEM_TERM, .e = e->arg[1]});
      push_expr(w, e->arg[0], 0);
    } else {
      push_expr(w, e->arg[1], 2);
      push_text(w, "*");
      push_expr(w, e->arg[0], 1);
    }
    return;
  }
  fv_str_puts(w->out, op == FV_X_CAST ? fv_dtype_name((fv_dtype)e->dtype) : fv_scalar_name(op));
  if (op == FV_X_BITCAST)
    fv_str_printf(w->out, "_%s", fv_dtype_name((fv_dtype)e->dtype));
  print_args(w, e, "(", ")");
}

static void print_expr(printer *w, const fv_expr *e, int prec) {
  const char *name;
  switch (e->kind) {
  case FV_E_LIT: print_literal(w, e); break;
  case FV_E_SYM:
    name = w->how->shown ? fv_symbol_get(w->p, e->ref)->shown : fv_symbol_get(w->p, e->ref)->name;
    fv_str_printf(w->out, is_name(name) ? "%s" : "`%s`", name);
    break;
  case FV_E_INDEX: fv_str_printf(w->out, "i%u", e->ref); break;
  case FV_E_LOAD:
    fv_str_printf(w->out, "%%%u", e->ref);
    print_args(w, e, "[", "]");
    break;
  default: print_op(w, e, prec); break;
  }
}

const fv_xprint fv_xprint_short = {.limit = 200, .shown = true};

static bool is_too_long(const printer *w) {
  return w->how->limit && (w->out->size - w->start > w->how->limit || w->n > w->how->limit);
}

// A name or, when the text is long enough, dots in place of an operation.
static bool print_instead(printer *w, const fv_expr *e) {
  const char *name = w->how->name ? w->how->name(w->how->user, e) : NULL;
  if (!name && (e->kind != FV_E_OP || !is_too_long(w)))
    return false;
  fv_str_puts(w->out, name ? name : "...");
  return true;
}

// Terms that are left out leave one row of dots.
static bool omit_term(printer *w) {
  static const char dots[] = "...";
  const size_t n = strlen(dots);
  if (!is_too_long(w))
    return false;
  if (w->out->size < n || memcmp(w->out->data + w->out->size - n, dots, n) != 0)
    fv_str_puts(w->out, "+...");
  return true;
}

void fv_x_print_as(const fv_xpool *p, fv_str *s, const fv_expr *e, const fv_xprint *how) {
  printer w = {.p = p, .out = s, .cap = FV_COUNTOF(w.local), .how = how, .start = s->size};
  w.stack = w.local;
  push_expr(&w, e, 0);
  while (w.n > 0) {
    const item it = w.stack[--w.n];
    if (it.kind == ITEM_TEXT) {
      fv_str_puts(s, it.text);
    } else if (it.kind == ITEM_TERM) {
      if (!omit_term(&w))
        print_term(&w, it.e, "+");
    } else if (!print_instead(&w, it.e)) {
      print_expr(&w, it.e, it.prec);
    }
  }
}

void fv_x_print(const fv_xpool *p, fv_str *s, const fv_expr *e) {
  fv_x_print_as(p, s, e, &fv_xprint_short);
}

//===-- Parsing ---------------------------------------------------------===//

typedef struct pending {
  char kind;       // + - * / % ( u(nary minus) f(unction) c(ast)
  uint8_t which;   // f: fv_scalar_op, c: fv_dtype
  size_t n_value;  // ( f c: values below it
  size_t at;
} pending;

typedef struct parser {
  fv_xpool *p;
  const char *text;
  size_t n, at;
  const fv_expr *(*symbol)(void *user, const char *name, size_t n);
  void *user;
  const fv_expr **value;
  size_t n_value, cap_value;
  pending *op;
  size_t n_op, cap_op;
  const char *err;
  size_t err_at;
} parser;

static bool fail(parser *r, size_t at, const char *why) {
  r->err = why;
  r->err_at = at;
  return false;
}

static void push_value(parser *r, const fv_expr *e) {
  FV_PUSH(r->p->arena, r->value, r->n_value, r->cap_value, e);
}

static void push_op(parser *r, char kind, uint8_t which, size_t at) {
  const pending op = {kind, which, r->n_value, at};
  FV_PUSH(r->p->arena, r->op, r->n_op, r->cap_op, op);
}

static void skip_blanks(parser *r) {
  while (r->at < r->n && (r->text[r->at] == ' ' || r->text[r->at] == '\t' ||
                          r->text[r->at] == '\n' || r->text[r->at] == '\r'))
    r->at++;
}

static bool is_integer(const fv_expr *e) {
  return fv_dtype_is_int((fv_dtype)e->dtype);
}

// May op be applied to n integer or bool arguments?
static const char *misuse(fv_scalar_op op, int n, const fv_expr *const *a) {
  if (n != fv_scalar_arity(op))
    return "wrong number of arguments";
  const bool logic = op == FV_X_NOT || op == FV_X_AND || op == FV_X_OR || op == FV_X_XOR ||
                     op == FV_X_EQ || op == FV_X_NE;
  const bool arith = (op >= FV_X_ADD && op <= FV_X_MIN) || op == FV_X_SHL || op == FV_X_SHR ||
                     op == FV_X_LT || op == FV_X_LE || op == FV_X_MAD || op == FV_X_NEG ||
                     op == FV_X_ABS;
  const int first = op == FV_X_SELECT ? 1 : 0;
  if (!logic && !arith && !first)
    return "not a function of integers";
  for (int i = first; i < n; i++) {
    if (a[i]->dtype != a[first]->dtype)
      return "the arguments differ in type";
    if (arith && !is_integer(a[i]))
      return "this needs integers";
  }
  return first && a[0]->dtype != FV_bool ? "the condition of select must be a comparison" : NULL;
}

static bool apply_scalar(parser *r, fv_scalar_op op, size_t n, size_t at) {
  const fv_expr **a = r->value + (r->n_value - n);
  const char *why = n < 1 || n > 3 ? "wrong number of arguments" : misuse(op, (int)n, a);
  if (why)
    return fail(r, at, why);
  const fv_expr *e = fv_x_op(r->p, op, a[0], n > 1 ? a[1] : NULL, n > 2 ? a[2] : NULL);
  r->n_value -= n;
  push_value(r, e);
  return true;
}

// Applies the topmost operator.
static bool reduce(parser *r) {
  const pending op = r->op[--r->n_op];
  switch (op.kind) {
  case '+': return apply_scalar(r, FV_X_ADD, 2, op.at);
  case '-': return apply_scalar(r, FV_X_SUB, 2, op.at);
  case '*': return apply_scalar(r, FV_X_MUL, 2, op.at);
  case '/': return apply_scalar(r, FV_X_FLOORDIV, 2, op.at);
  case '%': return apply_scalar(r, FV_X_MOD, 2, op.at);
  default: return apply_scalar(r, FV_X_NEG, 1, op.at);
  }
}

static int precedence(char kind) {
  switch (kind) {
  case '+':
  case '-': return 1;
  case '*':
  case '/':
  case '%': return 2;
  case 'u': return 3;
  default: return 0;  // brackets
  }
}

static bool read_number(parser *r) {
  const size_t at = r->at;
  uint64_t v = 0;
  for (; r->at < r->n && r->text[r->at] >= '0' && r->text[r->at] <= '9'; r->at++)
    if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
        __builtin_add_overflow(v, (uint64_t)(r->text[r->at] - '0'), &v))
      return fail(r, at, "this integer is too large");
  const bool minus = r->n_op > 0 && r->op[r->n_op - 1].kind == 'u';
  if (v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
    return fail(r, at, "this integer is too large");
  if (minus)
    r->n_op--;
  push_value(r, fv_x_i64(r->p, (int64_t)(minus ? 0 - v : v)));
  return true;
}

static bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

static bool read_symbol(parser *r, const char *name, size_t len, size_t at) {
  uint32_t sym;
  const char *copy = fv_arena_strndup(r->p->arena, name, len);
  const fv_expr *e = NULL;
  if (strlen(copy) == len && fv_symbol_find(r->p, copy, &sym))
    e = fv_x_sym(r->p, sym);
  else if (r->symbol)
    e = r->symbol(r->user, name, len);
  if (!e)
    return fail(r, at, "this name is not a dim or integer that is known here");
  push_value(r, e);
  return true;
}

// A name in front of '(' is a function or an element type.
static bool read_call(parser *r, const char *name, size_t len, size_t at) {
  fv_dtype t;
  for (int i = 0; i < FV_X_COUNT; i++) {
    const char *s = fv_scalar_name((fv_scalar_op)i);
    if (strlen(s) == len && memcmp(s, name, len) == 0 && i != FV_X_CAST && i != FV_X_BITCAST) {
      push_op(r, 'f', (uint8_t)i, at);
      return true;
    }
  }
  if (!fv_dtype_find(fv_arena_strndup(r->p->arena, name, len), &t) || fv_dtype_is_float(t))
    return fail(r, at, "unknown function; there are floordiv, mod, min, max, select, lt, le, eq");
  push_op(r, 'c', (uint8_t)t, at);
  return true;
}

// Reads an operand or what may stand in front of one. *done: an operand ended.
static bool read_operand(parser *r, bool *done) {
  const size_t at = r->at;
  const char c = r->text[at];
  *done = false;
  if (c == '-' || c == '(') {
    push_op(r, c == '-' ? 'u' : '(', 0, at);
    r->at++;
    return true;
  }
  if (c == '+') {
    r->at++;
    return true;
  }
  if (c >= '0' && c <= '9') {
    *done = true;
    return read_number(r);
  }
  if (c == '`') {
    const char *end = memchr(r->text + at + 1, '`', r->n - at - 1);
    if (!end)
      return fail(r, at, "this name has no closing back quote");
    r->at = (size_t)(end - r->text) + 1;
    *done = true;
    return read_symbol(r, r->text + at + 1, r->at - at - 2, at);
  }
  r->at += c == '$';
  while (r->at < r->n && name_char(r->text[r->at]))
    r->at++;
  const size_t len = r->at - at;
  if (len == 0)
    return fail(r, at, "an integer, a name or '(' is expected here");
  skip_blanks(r);
  if (r->at < r->n && r->text[r->at] == '(') {
    r->at++;
    return read_call(r, r->text + at, len, at);
  }
  *done = true;
  return read_symbol(r, r->text + at, len, at);
}

static bool close_bracket(parser *r, size_t at) {
  while (r->n_op > 0 && precedence(r->op[r->n_op - 1].kind) > 0)
    if (!reduce(r))
      return false;
  if (r->n_op == 0)
    return fail(r, at, "this ')' closes nothing");
  const pending op = r->op[--r->n_op];
  const size_t n = r->n_value - op.n_value;
  if (op.kind == '(')
    return true;
  if (op.kind == 'f')
    return apply_scalar(r, (fv_scalar_op)op.which, n, op.at);
  if (n != 1)
    return fail(r, op.at, "wrong number of arguments");
  r->value[r->n_value - 1] = fv_x_cast(r->p, (fv_dtype)op.which, r->value[r->n_value - 1]);
  return true;
}

// Reads what follows an operand. *operand: an operand must come next.
static bool read_operator(parser *r, bool *operand) {
  const size_t at = r->at++;
  const char c = r->text[at];
  *operand = c != ')';
  if (c == ')')
    return close_bracket(r, at);
  if (c == ',') {
    while (r->n_op > 0 && precedence(r->op[r->n_op - 1].kind) > 0)
      if (!reduce(r))
        return false;
    if (r->n_op == 0 || r->op[r->n_op - 1].kind == '(')
      return fail(r, at, "this ',' stands in no argument list");
    return true;
  }
  const int prec = precedence(c);
  if (prec == 0 || c == 'u')
    return fail(r, at, "an operator is expected here: + - * / %");
  while (r->n_op > 0 && precedence(r->op[r->n_op - 1].kind) >= prec)
    if (!reduce(r))
      return false;
  push_op(r, c, 0, at);
  return true;
}

static bool parse_all(parser *r) {
  bool operand = true, done;
  for (;;) {
    skip_blanks(r);
    if (r->at == r->n)
      break;
    if (!operand) {
      if (!read_operator(r, &operand))
        return false;
      continue;
    }
    if (!read_operand(r, &done))
      return false;
    operand = !done;
  }
  if (operand)
    return fail(r, r->n, "the expression ends too early");
  while (r->n_op > 0) {
    if (precedence(r->op[r->n_op - 1].kind) == 0)
      return fail(r, r->op[r->n_op - 1].at, "this '(' is not closed");
    if (!reduce(r))
      return false;
  }
  return r->value[0]->dtype == FV_i64 || fail(r, 0, "this is a truth value, not an integer");
}

const fv_expr *fv_x_parse_i64(fv_xpool *p, const char *text, size_t n,
                              const fv_expr *(*symbol)(void *user, const char *name, size_t n),
                              void *user, const char **err, size_t *err_at) {
  parser r = {.p = p, .text = text, .n = n, .symbol = symbol, .user = user};
  if (parse_all(&r))
    return r.value[0];
  if (err)
    *err = r.err;
  if (err_at)
    *err_at = r.err_at;
  return NULL;
}
