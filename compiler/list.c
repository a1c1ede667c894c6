// SPDX-License-Identifier: Apache-2.0
// What is there: backends, frontends, passes, ops; and the op reference, which
// is printed from the op table alone.
#include <string.h>

#include "base/file.h"
#include "compiler/emit.h"
#include "compiler/internal.h"
#include "passes/pass.h"

const char *fv_version(void) {
  return FV_VERSION;
}

typedef struct list_cx {
  void (*f)(void *user, const char *kind, const char *name, const char *doc);
  void *user;
} list_cx;

static void list_backend(void *user, const fv_backend *b) {
  const list_cx *cx = user;
  cx->f(cx->user, "backends", b->name, b->doc);
}

void fv_list(const char *kind,
             void (*f)(void *user, const char *kind, const char *name, const char *doc),
             void *user) {
  list_cx cx = {f, user};
  fv_diag_sink silent = {0};
  if (!kind || strcmp(kind, "backends") == 0)
    fv_backend_each(list_backend, &cx, &silent);
  if (!kind || strcmp(kind, "frontends") == 0)
    for (size_t i = 0; fv_frontends[i]; i++)
      f(user, "frontends", fv_frontends[i]->name, fv_frontends[i]->doc);
  if (!kind || strcmp(kind, "passes") == 0)
    for (size_t i = 0; fv_pass_at(i); i++)
      f(user, "passes", fv_pass_at(i)->name, fv_pass_at(i)->doc);
  if (!kind || strcmp(kind, "ops") == 0)
    for (int i = 0; i < FV_OP_COUNT; i++)
      f(user, "ops", fv_op_get((fv_op)i)->name, fv_op_get((fv_op)i)->doc);
  static const struct {
    const char *name, *doc;
  } family[] = {
#define X(name, doc) {#name, doc},
      FV_FAMILY_TABLE(X)
#undef X
  };
  if (!kind || strcmp(kind, "families") == 0)
    for (size_t i = 0; i < FV_COUNTOF(family); i++)
      f(user, "families", family[i].name, family[i].doc);
}

//===-- The op reference ------------------------------------------------------------------===//

static void print_params(fv_str *s, const char *title, const fv_param_info *p, int n) {
  if (!n)
    return;
  fv_str_printf(s, "- **%s**: ", title);
  for (int i = 0; i < n; i++)
    fv_str_printf(s, "%s`%.*s`%s", i ? ", " : "", (int)p[i].len, p[i].name,
                  p[i].variadic   ? " (any number)"
                  : p[i].optional ? " (optional)"
                                  : "");
  fv_str_puts(s, "\n");
}

static void print_attrs(fv_str *s, const fv_op_info *o) {
  static const struct {
    char kind;
    const char *name;
  } kinds[] = {{'i', "int"},  {'f', "float"}, {'b', "bool"},  {'s', "string"},
               {'I', "ints"}, {'D', "dims"},  {'t', "dtype"}, {'x', "expr"}};
  for (int i = 0; i < o->n_attr; i++) {
    const fv_param_info *a = &o->attr[i];
    const char *kind = "";
    for (size_t k = 0; k < FV_COUNTOF(kinds); k++)
      if (kinds[k].kind == a->kind)
        kind = kinds[k].name;
    fv_str_printf(s, "- attribute `%.*s`: %s", (int)a->len, a->name, kind);
    if (!a->dflt)
      fv_str_puts(s, ", required");
    else if (a->dflt_len)
      fv_str_printf(s, ", default `%.*s`", (int)a->dflt_len, a->dflt);
    else
      fv_str_puts(s, ", default empty");
    fv_str_puts(s, "\n");
  }
}

static fv_status reference_body(void *user) {
  fv_str *s = user;
  fv_str_puts(s,
              "# Ops\n\nPrinted from the op table by `fovea list ops --markdown`. Names and "
              "meanings are ONNX's where ONNX has the op. The examples are operand shapes "
              "(`2x3`; `s` is rank 0, `-` absent) and attributes.\n");
  for (int i = 0; i < FV_OP_COUNT; i++) {
    const fv_op_info *o = fv_op_get((fv_op)i);
    fv_str_printf(s, "\n## %s\n\n%s.\n\n", o->name, o->doc);
    print_params(s, "operands", o->operand, o->n_operand);
    print_params(s, "results", o->result, o->n_result);
    print_attrs(s, o);
    for (int k = 0; o->examples && o->examples[k]; k++)
      fv_str_printf(s, "%s%s", k ? " | " : "- examples: `", o->examples[k]);
    if (o->examples)
      fv_str_puts(s, "`\n");
    if (o->tolerance > 0)
      fv_str_printf(s, "- bound: %g eps\n", o->tolerance);
  }
  return FV_OK;
}

static fv_status finish(fv_arena *ar, fv_status s, const fv_str *text, fv_diag_sink *diag,
                        fv_bytes *out) {
  if (s == FV_OK)
    s = fv_bytes_copy(out, text->data, text->size, diag);
  fv_arena_destroy(ar);
  return s;
}

fv_status fv_op_reference(fv_bytes *out) {
  fv_diag_sink silent = {0};
  fv_arena *ar = fv_arena_create(NULL);
  if (!ar)
    return FV_ERR_OOM;
  fv_str s = {.arena = ar};
  return finish(ar, fv_guard(ar, &silent, reference_body, &s), &s, &silent, out);
}

//===-- Formatting ----------------------------------------------------------------------===//

typedef struct format_cx {
  fv_arena *ar;
  const char *path;
  fv_diag_sink *diag;
  fv_str *out;
} format_cx;

static fv_status format_body(void *user) {
  const format_cx *cx = user;
  char *data;
  size_t size;
  const fv_load_limits limits = {0};
  FV_TRY(fv_file_read(cx->ar, cx->path, 16u << 20, cx->diag, NULL, &data, &size));
  for (size_t i = 0; fv_frontends[i]; i++)
    if (fv_frontends[i]->format && fv_frontends[i]->recognises(cx->path, data, size))
      return fv_frontends[i]->format(cx->ar, cx->path, data, size, &limits, cx->diag, cx->out);
  return fv_error(cx->diag, FV_ERR_UNSUPPORTED, NULL, "'%s' is of no format that can be formatted",
                  cx->path);
}

fv_status fv_format(const char *path, fv_diag_sink *diag, fv_bytes *out) {
  fv_arena *ar = fv_arena_create(NULL);
  if (!ar)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  fv_str s = {.arena = ar};
  format_cx cx = {ar, path, diag, &s};
  return finish(ar, fv_guard(ar, diag, format_body, &cx), &s, diag, out);
}
