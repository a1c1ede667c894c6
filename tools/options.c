// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string.h>

void text_list_add(fv_arena *ar, text_list *l, const char *text) {
  FV_PUSH(ar, l->item, l->count, l->cap, text);
}

static const option_row *row_at(const option_table *t, size_t i, void **values) {
  const int part = i >= t->count[0];
  if (values)
    *values = t->values[part];
  return &t->row[part][part ? i - t->count[0] : i];
}

static size_t row_count(const option_table *t) {
  return t->count[0] + t->count[1];
}

//===-- Values ------------------------------------------------------------===//

typedef struct parser {
  fv_arena *arena;
  const option_table *t;
  fv_diag_sink *diag;
} parser;

static fv_status bad_value(const parser *p, const char *shown, const char *value,
                           const char *want) {
  return fv_error(p->diag, FV_ERR_ARG, NULL, "%s: '%s' is not %s", shown, value, want);
}

static void add_commas(const parser *p, text_list *l, const char *value) {
  for (const char *s = value;;) {
    const char *comma = strchr(s, ',');
    const size_t n = comma ? (size_t)(comma - s) : strlen(s);
    if (n)
      text_list_add(p->arena, l, fv_arena_strndup(p->arena, s, n));
    if (!comma)
      return;
    s = comma + 1;
  }
}

// `shown` is the option as the user wrote it.
static fv_status set_value(const parser *p, const option_row *o, void *values, const char *shown,
                           const char *value) {
  void *to = (char *)values + o->offset;
  switch (o->kind) {
  case OPTION_FLAG: *(bool *)to = true; break;
  case OPTION_TEXT: *(const char **)to = value; break;
  case OPTION_INT:
    if (!fv_parse_i64(value, strlen(value), to) || *(int64_t *)to < 0)
      return bad_value(p, shown, value, "a number of 0 or more");
    break;
  case OPTION_NUMBER:
    if (!fv_parse_double(value, strlen(value), to) || !(*(double *)to >= 0))
      return bad_value(p, shown, value, "a number of 0 or more");
    break;
  case OPTION_LIST: text_list_add(p->arena, to, value); break;
  case OPTION_COMMAS: add_commas(p, to, value); break;
  }
  return FV_OK;
}

// Lists begin empty; what stands in for an empty one is the command's affair.
fv_status options_init(fv_arena *ar, const option_table *t, fv_diag_sink *diag) {
  const parser p = {ar, t, diag};
  for (size_t i = 0; i < row_count(t); i++) {
    void *values;
    const option_row *o = row_at(t, i, &values);
    if (o->initial && o->kind != OPTION_COMMAS && o->kind != OPTION_LIST)
      FV_TRY(set_value(&p, o, values, o->name ? o->name : "", o->initial));
  }
  return FV_OK;
}

//===-- Arguments ---------------------------------------------------------===//

static const char *name_at(void *user, int i) {
  const option_table *t = user;
  for (size_t k = 0; k < row_count(t); k++) {
    const option_row *o = row_at(t, k, NULL);
    if (o->name && i-- == 0)
      return o->name;
  }
  return NULL;
}

static fv_status unknown(const parser *p, const char *name) {
  option_table t = *p->t;
  const int near = fv_did_you_mean(name, name_at, &t);
  const fv_status s = fv_error(p->diag, FV_ERR_ARG, NULL, "there is no option '--%s'", name);
  if (near >= 0)
    fv_note(p->diag, NULL, "did you mean '--%s'?", name_at(&t, near));
  return s;
}

// By its name or by a beginning that only one name has.
static fv_status find_long(const parser *p, const char *text, size_t n, const option_row **out,
                           void **values) {
  const option_row *found = NULL;
  for (size_t i = 0; i < row_count(p->t); i++) {
    void *v;
    const option_row *o = row_at(p->t, i, &v);
    if (!o->name || strncmp(o->name, text, n) != 0)
      continue;
    const bool whole = o->name[n] == 0;
    if (found && !whole)
      return fv_error(p->diag, FV_ERR_ARG, NULL, "'--%.*s' may mean '--%s' or '--%s'", (int)n, text,
                      found->name, o->name);
    found = o;
    *values = v;
    if (whole)
      break;
  }
  if (!found || n == 0)
    return unknown(p, fv_arena_strndup(p->arena, text, n));
  *out = found;
  return FV_OK;
}

static fv_status take_long(const parser *p, int argc, char *const *argv, int *i) {
  const char *text = argv[*i] + 2;
  const char *eq = strchr(text, '=');
  const option_row *o = NULL;
  void *values = NULL;
  FV_TRY(find_long(p, text, eq ? (size_t)(eq - text) : strlen(text), &o, &values));
  const char *shown = fv_arena_printf(p->arena, "--%s", o->name);
  if (o->kind == OPTION_FLAG) {
    if (eq)
      return fv_error(p->diag, FV_ERR_ARG, NULL, "%s takes no value", shown);
    return set_value(p, o, values, shown, "");
  }
  if (!eq && *i + 1 >= argc)
    return fv_error(p->diag, FV_ERR_ARG, NULL, "%s wants %s", shown, o->arg);
  return set_value(p, o, values, shown, eq ? eq + 1 : argv[++*i]);
}

// -b llvm, -bllvm; flags may be joined.
static fv_status take_short(const parser *p, int argc, char *const *argv, int *i) {
  for (const char *c = argv[*i] + 1; *c; c++) {
    const option_row *o = NULL;
    void *values = NULL;
    for (size_t k = 0; k < row_count(p->t) && !o; k++)
      if (row_at(p->t, k, &values)->letter == *c)
        o = row_at(p->t, k, &values);
    if (!o)
      return fv_error(p->diag, FV_ERR_ARG, NULL, "there is no option '-%c'", *c);
    const char *shown = fv_arena_printf(p->arena, "-%c", *c);
    if (o->kind == OPTION_FLAG) {
      FV_TRY(set_value(p, o, values, shown, ""));
      continue;
    }
    if (!c[1] && *i + 1 >= argc)
      return fv_error(p->diag, FV_ERR_ARG, NULL, "%s wants %s", shown, o->arg);
    return set_value(p, o, values, shown, c[1] ? c + 1 : argv[++*i]);
  }
  return FV_OK;
}

fv_status options_parse(fv_arena *ar, const option_table *t, int argc, char *const *argv,
                        fv_diag_sink *diag, text_list *rest) {
  const parser p = {ar, t, diag};
  bool ended = false;
  for (int i = 0; i < argc; i++) {
    const char *a = argv[i];
    if (ended || a[0] != '-' || a[1] == 0)
      text_list_add(ar, rest, a);
    else if (strcmp(a, "--") == 0)
      ended = true;
    else if (a[1] == '-')
      FV_TRY(take_long(&p, argc, argv, &i));
    else
      FV_TRY(take_short(&p, argc, argv, &i));
  }
  return FV_OK;
}

//===-- Help --------------------------------------------------------------===//

enum { HELP_COLUMN = 28, HELP_WIDTH = 80 };

// Words of `text` from the help column on, wrapped.
static void put_wrapped(fv_str *out, size_t column, const char *text) {
  if (column + 1 >= HELP_COLUMN) {
    fv_str_puts(out, "\n");
    column = 0;
  }
  fv_str_printf(out, "%*s", (int)(HELP_COLUMN - column), "");
  column = HELP_COLUMN;
  for (const char *s = text; *s;) {
    const size_t n = strcspn(s, " ");
    if (column > HELP_COLUMN && column + 1 + n > HELP_WIDTH) {
      fv_str_printf(out, "\n%*s", HELP_COLUMN, "");
      column = HELP_COLUMN;
    } else if (column > HELP_COLUMN) {
      fv_str_puts(out, " ");
      column++;
    }
    fv_str_append(out, s, n);
    column += n;
    s += n + strspn(s + n, " ");
  }
  fv_str_puts(out, "\n");
}

static void put_option(fv_str *out, const option_row *o) {
  const size_t from = out->size;
  fv_str_puts(out, "  ");
  if (o->letter)
    fv_str_printf(out, "-%c%s", o->letter, o->name ? ", " : "");
  else
    fv_str_puts(out, "    ");
  if (o->name)
    fv_str_printf(out, "--%s", o->name);
  if (o->arg)
    fv_str_printf(out, "%s%s", o->name ? "=" : "", o->arg);
  const char *help = o->help;
  if (o->initial)
    help = fv_arena_printf(out->arena, "%s (default: %s)", o->help, o->initial);
  put_wrapped(out, out->size - from, help);
}

void options_help(const option_table *t, fv_str *out) {
  static const char *const title[] = {"OPTIONS", "ALL COMMANDS"};
  for (int part = 0; part < 2; part++) {
    if (t->count[part] == 0)
      continue;
    fv_str_printf(out, "\n%s\n", title[part]);
    for (size_t i = 0; i < t->count[part]; i++)
      put_option(out, &t->row[part][i]);
  }
}
