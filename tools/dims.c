// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "dims.h"

static int find_symbol(const dims *d, const char *name, size_t n) {
  const fv_symbol_info *s = d->info->symbol;
  for (int64_t i = fv_index_first(&d->index, fv_hash64(name, n, 0)); i != FV_INDEX_END;
       i = fv_index_next(&d->index, i))
    if (strlen(s[i].name) == n && memcmp(s[i].name, name, n) == 0)
      return (int)i;
  return -1;
}

static const char *symbol_name(void *user, int i) {
  const fv_model_info *info = user;
  return i < info->n_symbol ? info->symbol[i].name : NULL;
}

fv_status dims_set(tool *t, dims *d, int symbol, int64_t value, const char *by) {
  const fv_symbol_info *s = &d->info->symbol[symbol];
  if (d->value[symbol] != DIM_UNKNOWN && d->value[symbol] != value)
    return fv_error(t->diag, FV_ERR_ARG, NULL, "dim %s is %lld by %s, but %lld by %s", s->name,
                    (long long)d->value[symbol], d->by[symbol], (long long)value, by);
  if (value < s->min || value > s->max)
    return fv_error(t->diag, FV_ERR_ARG, NULL, "%s: dim %s is %lld; the model allows %lld to %lld",
                    by, s->name, (long long)value, (long long)s->min, (long long)s->max);
  d->value[symbol] = value;
  d->by[symbol] = by;
  return FV_OK;
}

fv_status dims_create(tool *t, const fv_model_info *info, const char *const *text, size_t count,
                      dims *out) {
  *out = (dims){.info = info,
                .value = FV_NEW_N(t->arena, int64_t, info->n_symbol),
                .by = FV_NEW_N(t->arena, const char *, info->n_symbol)};
  for (int i = 0; i < info->n_symbol; i++) {
    out->value[i] = DIM_UNKNOWN;
    fv_index_add(t->arena, &out->index,
                 fv_hash64(info->symbol[i].name, strlen(info->symbol[i].name), 0));
  }
  for (size_t i = 0; i < count; i++) {
    const char *eq = strchr(text[i], '=');
    int64_t v;
    if (!eq || !fv_parse_i64(eq + 1, strlen(eq + 1), &v) || v < 0)
      return usage_error(t, "--dim: '%s' is not NAME=NUMBER", text[i]);
    const char *name = fv_arena_strndup(t->arena, text[i], (size_t)(eq - text[i]));
    const int s = find_symbol(out, name, strlen(name));
    if (s < 0) {
      fv_model_info copy = *info;
      const fv_status bad = usage_error(t, "--dim: the model has no dim '%s'", name);
      fv_note_meant(t->diag, NULL, name, symbol_name, &copy);
      return bad;
    }
    if (info->symbol[s].is_state_length)
      return usage_error(t, "--dim: '%s' is the length of a state, which runs set", name);
    FV_TRY(dims_set(t, out, s, v, "--dim"));
  }
  return FV_OK;
}

fv_dim_value *dims_values(tool *t, const dims *d, size_t *n) {
  fv_dim_value *v = FV_NEW_N(t->arena, fv_dim_value, d->info->n_symbol);
  *n = 0;
  for (int i = 0; i < d->info->n_symbol; i++)
    if (d->value[i] != DIM_UNKNOWN)
      v[(*n)++] = (fv_dim_value){d->info->symbol[i].name, d->value[i]};
  return v;
}

void put_dims(fv_str *s, const dims *d) {
  bool first = true;
  for (int i = 0; i < d->info->n_symbol; i++)
    if (d->value[i] != DIM_UNKNOWN) {
      fv_str_printf(s, "%s%s=%lld", first ? "" : " ", d->info->symbol[i].name,
                    (long long)d->value[i]);
      first = false;
    }
  if (first)
    fv_str_puts(s, "");
}

//===-- Expressions -------------------------------------------------------===//

// "2*S+1", "floordiv(S, 2)": the text of a dim that is no plain symbol, by
// precedence, with stacks of its own.
typedef struct calc {
  const dims *d;
  int64_t value[32];
  char op[32];  // + - * ( and the first letter of a function
  int n_value, n_op;
  bool ok;
} calc;

static int precedence(char op) {
  return op == '*' ? 2 : op == '+' || op == '-' ? 1 : 0;
}

static int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static void push_value(calc *c, int64_t v) {
  if (c->n_value == (int)FV_COUNTOF(c->value)) {
    c->ok = false;
    return;
  }
  c->value[c->n_value++] = v;
}

// Does the topmost operation: + - * or a function of two.
static void reduce(calc *c) {
  if (c->n_value < 2) {
    c->ok = false;
    return;
  }
  const char op = c->op[--c->n_op];
  const int64_t b = c->value[--c->n_value], a = c->value[c->n_value - 1];
  int64_t *r = &c->value[c->n_value - 1];
  switch (op) {
  case '+': c->ok = c->ok && fv_add_i64(a, b, r); break;
  case '-': c->ok = c->ok && fv_sub_i64(a, b, r); break;
  case '*': c->ok = c->ok && fv_mul_i64(a, b, r); break;
  case 'f':
  case 'o':
    if (b == 0 || (a == INT64_MIN && b == -1))
      c->ok = false;
    else
      *r = op == 'f' ? floor_div(a, b) : a - floor_div(a, b) * b;
    break;
  case 'i': *r = a < b ? a : b; break;
  case 'a': *r = a > b ? a : b; break;
  default: c->ok = false; break;
  }
}

static void reduce_to(calc *c, int least) {
  while (c->ok && c->n_op > 0 && c->op[c->n_op - 1] != '(' &&
         precedence(c->op[c->n_op - 1]) >= least)
    reduce(c);
}

static void push_op(calc *c, char op) {
  if (c->n_op == (int)FV_COUNTOF(c->op)) {
    c->ok = false;
    return;
  }
  c->op[c->n_op++] = op;
}

static bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

// A number, a symbol, or the name of a function, which goes below its '('.
static const char *take_operand(calc *c, const char *s) {
  static const struct {
    const char *name;
    char op;
  } functions[] = {{"floordiv", 'f'}, {"mod", 'o'}, {"min", 'i'}, {"max", 'a'}};
  size_t n = 0;
  while (name_char(s[n]))
    n++;
  int64_t v;
  if (fv_parse_i64(s, n, &v)) {
    push_value(c, v);
    return s + n;
  }
  if (s[n] == '(') {
    for (size_t i = 0; i < FV_COUNTOF(functions); i++)
      if (strlen(functions[i].name) == n && memcmp(functions[i].name, s, n) == 0) {
        push_op(c, functions[i].op);
        return s + n;
      }
    c->ok = false;
    return s + n;
  }
  const int symbol = n ? find_symbol(c->d, s, n) : -1;
  c->ok = symbol >= 0 && c->d->value[symbol] != DIM_UNKNOWN;
  if (c->ok)
    push_value(c, c->d->value[symbol]);
  return s + n;
}

bool dims_evaluate(const dims *d, const char *text, size_t n, int64_t *out) {
  calc c = {.d = d, .ok = true};
  bool operand = true;  // is what comes next
  const char *end = text + n;
  for (const char *s = text; s < end && c.ok;) {
    if (*s == ' ') {
      s++;
    } else if (*s == '(') {
      push_op(&c, '(');
      s++;
      operand = true;
    } else if (operand && *s == '-') {
      push_value(&c, 0);
      push_op(&c, '-');
      s++;
    } else if (operand) {
      s = take_operand(&c, s);
      operand = *s == '(';
    } else if (*s == ')' || *s == ',') {
      reduce_to(&c, 1);
      c.ok = c.ok && c.n_op > 0 && c.op[c.n_op - 1] == '(';
      operand = *s == ',';
      if (c.ok && *s == ')') {
        c.n_op--;
        if (c.n_op > 0 && c.op[c.n_op - 1] >= 'a')
          reduce(&c);
      }
      s++;
    } else {
      reduce_to(&c, precedence(*s) ? precedence(*s) : 1);
      c.ok = c.ok && precedence(*s) > 0;
      push_op(&c, *s++);
      operand = true;
    }
  }
  reduce_to(&c, 1);
  if (!c.ok || c.n_op != 0 || c.n_value != 1)
    return false;
  *out = c.value[0];
  return true;
}

// The d-th of the dims "B, 2*S, max(S, 3)".
bool dims_of_port(const dims *d, const fv_port_info *port, int dim, int64_t *out) {
  if (port->dim[dim] >= 0) {
    *out = port->dim[dim];
    return true;
  }
  const int symbol = port->symbol[dim];
  if (symbol >= 0) {
    *out = d->value[symbol];
    return *out != DIM_UNKNOWN;
  }
  const char *s = port->shape;
  for (int depth = 0, at = 0; at < dim && *s; s++) {
    depth += (*s == '(') - (*s == ')');
    at += *s == ',' && depth == 0;
  }
  size_t n = 0;
  for (int depth = 0; s[n] && (s[n] != ',' || depth > 0); n++)
    depth += (s[n] == '(') - (s[n] == ')');
  return dims_evaluate(d, s, n, out);
}
