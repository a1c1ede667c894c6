// SPDX-License-Identifier: Apache-2.0
//
// The op reference, docs/ops.md. All of it comes from the op table; which element
// types an operand may have is asked of the op's meaning.
#include <string.h>

#include "compiler/emit.h"
#include "compiler/internal.h"
#include "ir/graph/example.h"

typedef struct reference {
  fv_arena *ar;
  fv_str text;
  fv_bytes *out;
  fv_diag_sink silent;
} reference;

//===-- Element types -----------------------------------------------------===//

// Whether the op takes example `ex` with the operands that state no type as t,
// or, if `operand` is not negative, with that one as t and the rest as they were.
static bool takes(reference *r, fv_op op, fv_example ex, int operand, fv_dtype t) {
  fv_module *m = fv_module_create(r->ar, "m");
  fv_node *n;
  if (operand >= 0) {
    ex.operand[operand].dtype = t;
    ex.operand[operand].has_dtype = true;
    t = FV_f32;
  }
  return fv_example_build(fv_graph_create(m, "g", NULL), op, &ex, t, &r->silent, &n) == FV_OK;
}

// The first example in which an operand is there.
static bool example_with(fv_op op, int operand, fv_example *out) {
  for (int i = 0; fv_example_get(op, i, out); i++)
    if (operand < out->n_operand && !out->operand[operand].absent)
      return true;
  return false;
}

// "floats, i8, bool": a class by its name if all of it is taken.
static void print_types(fv_str *s, const bool *taken) {
  static const struct {
    const char *name, *kinds;
  } classes[] = {{"floats", "f"}, {"integers", "iu"}, {"bool", "b"}};
  static const char kind[] = {
#define X(name, size, kind) kind,
      FV_DTYPE_TABLE(X)
#undef X
  };
  const char *comma = "";
  for (size_t c = 0; c < FV_COUNTOF(classes); c++) {
    bool all = true;
    for (int t = 0; t < FV_DTYPE_COUNT; t++)
      all = all && (taken[t] || !strchr(classes[c].kinds, kind[t]));
    if (all) {
      fv_str_printf(s, "%s%s", comma, classes[c].name);
      comma = ", ";
      continue;
    }
    for (int t = 0; t < FV_DTYPE_COUNT; t++)
      if (taken[t] && strchr(classes[c].kinds, kind[t])) {
        fv_str_printf(s, "%s%s", comma, fv_dtype_name((fv_dtype)t));
        comma = ", ";
      }
  }
}

static void print_operand_types(reference *r, fv_op op) {
  const fv_op_info *o = fv_op_get(op);
  const char *open = "- **types**: ";
  fv_example ex;
  int joint = -1;  // the first operand of those that share one type
  for (int k = 0; k < o->n_operand; k++) {
    if (!example_with(op, k, &ex))
      continue;
    const bool own = ex.operand[k].has_dtype;
    if (!own && joint >= 0)
      continue;
    joint = own ? joint : k;
    fv_str_puts(&r->text, open);
    for (int i = k; i < o->n_operand; i++)
      if (i == k || (!own && example_with(op, i, &ex) && !ex.operand[i].has_dtype))
        fv_str_printf(&r->text, "%s`%.*s`", i == k ? "" : ", ", (int)o->operand[i].len,
                      o->operand[i].name);
    fv_str_puts(&r->text, ": ");
    bool taken[FV_DTYPE_COUNT];
    (void)example_with(op, k, &ex);
    for (int t = 0; t < FV_DTYPE_COUNT; t++)
      taken[t] = takes(r, op, ex, own ? k : -1, (fv_dtype)t);
    print_types(&r->text, taken);
    open = "; ";
  }
  if (*open == ';')
    fv_str_puts(&r->text, "\n");
}

//===-- Signatures --------------------------------------------------------===//

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
  for (int i = 0; i < o->n_attr; i++) {
    const fv_param_info *a = &o->attr[i];
    fv_str_printf(s, "%s`%.*s`: %s", i ? "; " : "- **attributes**: ", (int)a->len, a->name,
                  fv_attr_kind_name(a->kind));
    if (!a->dflt)
      fv_str_puts(s, ", required");
    else if (a->dflt_len)
      fv_str_printf(s, " = `%.*s`", (int)a->dflt_len, a->dflt);
    else
      fv_str_puts(s, ", optional");
  }
  if (o->n_attr)
    fv_str_puts(s, "\n");
}

// The quotes of the table are those of C; the page has those of XML.
static void print_usage(fv_str *s, const char *const *line) {
  fv_str_puts(s, "\n```xml\n");
  for (; *line; line++) {
    for (const char *c = *line; *c; c++)
      fv_str_printf(s, "%c", *c == '\'' ? '"' : *c);
    fv_str_puts(s, "\n");
  }
  fv_str_puts(s, "```\n");
}

//===-- The page ----------------------------------------------------------===//

static const char head[] =
    "# Ops\n\n"
    "This page is printed from the op table (`fovea list ops --markdown`), and its examples run "
    "in\n"
    "the tests. An op is an element of the [model language](dialect.md). Names and meanings are\n"
    "ONNX's where ONNX has the op.\n\n"
    "* A shape that **broadcasts** is lined up with the others at its last axis; a dim of 1, or "
    "one\n"
    "  that is not there, is repeated.\n"
    "* **floats** are f32, f64, f16 and bf16; **integers** are i8, u8, i16, i32 and i64. The "
    "operands\n"
    "  of one op have one element type unless it says otherwise.\n"
    "* Kinds of attributes: `int` and `expr` are an integer expression, `ints` and `dims` a list "
    "of\n"
    "  them with commas, `float` a number, `bool` is `true` or `false`, `dtype` an element type. "
    "An\n"
    "  `expr` and `dims` may name symbolic dims and counters of loops.\n"
    "* An `axis` may be negative: -1 is the last one.\n"
    "* **bound** is how far backends may differ from the reference, in units of the last place "
    "(eps)\n"
    "  of the result type times the value, or, where many elements are added up, the largest value "
    "of\n"
    "  the tensor. `exact` is the same bits.\n"
    "* An **error** is found when the model is read. What **fails the run** is found when it runs: "
    "the\n"
    "  call returns an error and no state changes.\n\n";

static void print_contents(fv_str *s) {
  const char *section = NULL;
  for (int i = 0; i < FV_OP_COUNT; i++) {
    const fv_op_info *o = fv_op_get((fv_op)i);
    fv_str_printf(s, o->section == section ? " " : "%s**%s:** ", section ? "\n\n" : "", o->section);
    section = o->section;
    fv_str_printf(s, "[%s](#%s)", o->name, o->name);
  }
  fv_str_puts(s, "\n");
}

static void print_op(reference *r, fv_op op) {
  fv_str *s = &r->text;
  const fv_op_info *o = fv_op_get(op);
  fv_str_printf(s, "\n### %s\n\n%s.\n\n", o->name, o->doc);
  print_params(s, "operands", o->operand, o->n_operand);
  print_attrs(s, o);
  print_params(s, "results", o->result, o->n_result);
  print_operand_types(r, op);
  fv_str_printf(s, "- **shape**: %s\n", o->shape);
  for (int k = 0; o->corners && o->corners[k]; k++)
    fv_str_printf(s, "%s  - %s\n", k ? "" : "- **corner cases**:\n", o->corners[k]);
  if (o->tolerance > 0)
    fv_str_printf(s, "- **bound**: %g eps\n", o->tolerance);
  else if (!(o->flags & FV_OPF_BUILTIN))
    fv_str_puts(s, "- **bound**: exact\n");
  print_usage(s, o->usage);
}

static fv_status body(void *user) {
  reference *r = user;
  const char *section = NULL;
  fv_str_puts(&r->text, head);
  print_contents(&r->text);
  for (int i = 0; i < FV_OP_COUNT; i++) {
    const fv_op_info *o = fv_op_get((fv_op)i);
    if (o->section != section)
      fv_str_printf(&r->text, "\n## %s\n\n%s.\n", o->section, o->section_doc);
    section = o->section;
    print_op(r, (fv_op)i);
  }
  return fv_bytes_copy(r->out, r->text.data, r->text.size, &r->silent);
}

fv_status fv_op_reference(fv_bytes *out) {
  reference r = {.ar = fv_arena_create(NULL), .out = out};
  if (!r.ar)
    return FV_ERR_OOM;
  r.text.arena = r.ar;
  const fv_status s = fv_guard(r.ar, &r.silent, body, &r);
  fv_arena_destroy(r.ar);
  return s;
}
