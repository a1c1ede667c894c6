// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "emit.h"
#include "listing.h"
#include "values.h"

typedef struct inspect_options {
  model_options model;
  compile_options compile;
  const char *emit, *output;
  text_list assert_op, assert_no_op, assert_kernel;
} inspect_options;

static const option_row rows[] = {
    MODEL_ROWS(inspect_options, model),
    DIM_ROW(inspect_options, model),
    {"emit", 0, OPTION_TEXT, offsetof(inspect_options, emit), "KIND", NULL,
     "in place of the summary: the model at a stage of its way, see KINDS OF OUTPUT"},
    {"output", 'o', OPTION_TEXT, offsetof(inspect_options, output), "FILE", "-", "where that goes"},
    BACKEND_ROWS(inspect_options, compile,
                 "whose code to show (default: opencl for --emit=opencl, else llvm)"),
    PASSES_ROWS(inspect_options, compile),
    {"assert-op", 0, OPTION_LIST, offsetof(inspect_options, assert_op), "OP=N", NULL,
     "exit with 1 unless the model has N nodes of this op after its passes (-O0: as loaded); "
     "may be repeated"},
    {"assert-no-op", 0, OPTION_LIST, offsetof(inspect_options, assert_no_op), "OP", NULL,
     "exit with 1 if it has nodes of this op; may be repeated"},
    {"assert-kernel", 0, OPTION_LIST, offsetof(inspect_options, assert_kernel), "FAMILY=N", NULL,
     "exit with 1 unless N kernels of this family are made of it (`fovea list families`); may be "
     "repeated"},
};

//===-- Summary -----------------------------------------------------------===//

static void put_ports(fv_str *s, const char *title, const fv_port_info *p, int n) {
  for (int i = 0; i < n; i++)
    fv_str_printf(s, "  %-7s %s: %s[%s]\n", i ? "" : title, p[i].name, dtype_name(p[i].dtype),
                  p[i].shape);
}

// Loops have symbols of their own; what a user can set or see stands in the
// shape of a port or is the length of a state.
static bool has_word(const char *text, const char *word) {
  const size_t n = strlen(word);
  for (const char *at = text; (at = strstr(at, word)); at++)
    if ((at == text || strchr(" (*+-,", at[-1])) && (!at[n] || strchr(" )*+-,", at[n])))
      return true;
  return false;
}

static bool is_shown(const fv_model_info *info, const fv_symbol_info *y) {
  bool shown = y->is_state_length;
  for (int g = 0; g < info->n_graph; g++) {
    for (int i = 0; i < info->graph[g].n_input; i++)
      shown = shown || has_word(info->graph[g].input[i].shape, y->name);
    for (int i = 0; i < info->graph[g].n_output; i++)
      shown = shown || has_word(info->graph[g].output[i].shape, y->name);
  }
  return shown;
}

static void put_symbols(fv_str *s, const fv_model_info *info) {
  for (int i = 0; i < info->n_symbol; i++) {
    const fv_symbol_info *y = &info->symbol[i];
    if (!is_shown(info, y))
      continue;
    fv_str_printf(s, "dim %s: %lld to %lld%s\n", y->name, (long long)y->min, (long long)y->max,
                  y->is_state_length ? ", the length of a state" : "");
  }
}

static void put_summary(fv_str *s, const model *m) {
  const fv_model_info *info = m->info;
  fv_str_printf(s, "model %s: ", info->name);
  if (m->description)
    fv_str_printf(s, "%d nodes, ", info->n_node);
  fv_str_printf(s, "%s of weights%s\n", bytes_text(s->arena, info->weight_bytes),
                m->library ? ", compiled" : "");
  put_symbols(s, info);
  for (int i = 0; i < info->n_state; i++)
    fv_str_printf(s, "state %s\n", info->state[i]);
  for (int i = 0; i < info->n_graph; i++) {
    const fv_graph_info *g = &info->graph[i];
    fv_str_printf(s, "graph %s\n", g->name);
    put_ports(s, "inputs", g->input, g->n_input);
    put_ports(s, "outputs", g->output, g->n_output);
    for (int k = 0; k < g->n_condition; k++)
      fv_str_printf(s, "  %-7s %s, checked %s\n", k ? "" : "needs", g->condition[k],
                    k < g->n_bind_condition ? "at bind" : "during the run");
  }
  if (m->library && fv_executable_manifest(m->library)[0])
    fv_str_printf(s, "made of\n%s\n", fv_executable_manifest(m->library));
  const int n = m->description ? fv_model_verify_count(m->description) : 0;
  for (int i = 0; i < n; i++) {
    const fv_verify_info v = fv_model_verify_get(m->description, i);
    fv_str_printf(s, "verify %s: %s, to %g\n", v.graph, v.path, v.tolerance);
  }
}

static void put_string(fv_str *s, const char *text) {
  fv_str_json(s, text, strlen(text));
}

static void put_json_ports(fv_str *s, const char *key, const fv_port_info *p, int n) {
  fv_str_printf(s, ", \"%s\": [", key);
  for (int i = 0; i < n; i++) {
    fv_str_puts(s, i ? ", {\"name\": " : "{\"name\": ");
    put_string(s, p[i].name);
    fv_str_printf(s, ", \"dtype\": \"%s\", \"shape\": ", dtype_name(p[i].dtype));
    put_string(s, p[i].shape);
    fv_str_puts(s, "}");
  }
  fv_str_puts(s, "]");
}

static void put_json_summary(fv_str *s, const model *m) {
  const fv_model_info *info = m->info;
  fv_str_puts(s, "{\"name\": ");
  put_string(s, info->name);
  fv_str_printf(s, ", \"compiled\": %s, \"nodes\": %d, \"weight_bytes\": %lld,\n \"dims\": [",
                m->library ? "true" : "false", info->n_node, (long long)info->weight_bytes);
  bool first = true;
  for (int i = 0; i < info->n_symbol; i++) {
    const fv_symbol_info *y = &info->symbol[i];
    if (!is_shown(info, y))
      continue;
    fv_str_puts(s, first ? "{\"name\": " : ", {\"name\": ");
    first = false;
    put_string(s, y->name);
    fv_str_printf(s, ", \"min\": %lld, \"max\": %lld, \"state_length\": %s}", (long long)y->min,
                  (long long)y->max, y->is_state_length ? "true" : "false");
  }
  fv_str_puts(s, "],\n \"states\": [");
  for (int i = 0; i < info->n_state; i++) {
    fv_str_puts(s, i ? ", " : "");
    put_string(s, info->state[i]);
  }
  fv_str_puts(s, "],\n \"graphs\": [");
  for (int i = 0; i < info->n_graph; i++) {
    fv_str_puts(s, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
    put_string(s, info->graph[i].name);
    put_json_ports(s, "inputs", info->graph[i].input, info->graph[i].n_input);
    put_json_ports(s, "outputs", info->graph[i].output, info->graph[i].n_output);
    fv_str_puts(s, ", \"conditions\": [");
    for (int k = 0; k < info->graph[i].n_condition; k++) {
      fv_str_puts(s, k ? ", " : "");
      put_string(s, info->graph[i].condition[k]);
    }
    fv_str_puts(s, "]");
    fv_str_puts(s, "}");
  }
  const char *manifest = m->library ? fv_executable_manifest(m->library) : "";
  fv_str_printf(s, "]%s%s}\n", *manifest ? ",\n \"manifest\": " : "", manifest);
}

//===-- Assertions --------------------------------------------------------===//

// NAME=N
typedef struct assertion {
  const char *name;
  int64_t want;
} assertion;

static fv_status parse_assertion(tool *t, const char *option, const char *text, assertion *out) {
  const char *eq = strchr(text, '=');
  if (!eq || !fv_parse_i64(eq + 1, strlen(eq + 1), &out->want) || out->want < 0)
    return usage_error(t, "%s: '%s' is not NAME=NUMBER", option, text);
  out->name = fv_arena_strndup(t->arena, text, (size_t)(eq - text));
  return FV_OK;
}

static fv_status check_count(tool *t, const model *m, const char *what, const assertion *a, int n) {
  if (n == a->want)
    return FV_OK;
  return fv_error(t->diag, FV_ERR_NO, NULL, "%s has %d %s%s, not %lld", m->path, n, a->name, what,
                  (long long)a->want);
}

static fv_status assert_ops(tool *t, const inspect_options *o, const model *m) {
  const size_t n_some = o->assert_op.count, n = n_some + o->assert_no_op.count;
  assertion *a = FV_NEW_N(t->arena, assertion, n);
  const char **op = FV_NEW_N(t->arena, const char *, n), *passes;
  int *count = FV_NEW_N(t->arena, int, n);
  fv_status result = FV_OK;
  if (n == 0)
    return FV_OK;
  for (size_t i = 0; i < n; i++) {
    if (i < n_some)
      FV_TRY(parse_assertion(t, "--assert-op", o->assert_op.item[i], &a[i]));
    else
      a[i] = (assertion){.name = o->assert_no_op.item[i - n_some]};
    op[i] = a[i].name;
  }
  FV_TRY(passes_of(t, &o->compile, &passes));
  FV_TRY(fv_model_count_ops(m->description, passes, op, n, count, t->diag));
  for (size_t i = 0; i < n; i++) {
    if (count[i] < 0)
      return listing_unknown(t, "op", "ops", op[i]);
    const fv_status s = check_count(t, m, "", &a[i], count[i]);
    result = s == FV_OK ? result : s;
  }
  return result;
}

static fv_status assert_kernels(tool *t, const inspect_options *o, const model *m,
                                const backend_spec *b) {
  fv_executable *e;
  fv_status result = FV_OK;
  if (o->assert_kernel.count == 0)
    return FV_OK;
  FV_TRY(model_compile(t, m, FV_STAGE_GROUPS, b, &o->compile, NULL, NULL, 0, &e));
  for (size_t i = 0; i < o->assert_kernel.count; i++) {
    assertion a;
    FV_TRY(parse_assertion(t, "--assert-kernel", o->assert_kernel.item[i], &a));
    const int n = fv_executable_count_kernels(e, a.name);
    if (n < 0 && fv_executable_count_kernels(e, "map") < 0)
      return usage_error(t, "--assert-kernel: this backend runs the graph and has no kernels");
    if (n < 0)
      return listing_unknown(t, "family", "families", a.name);
    const fv_status s = check_count(t, m, n == 1 ? " kernel" : " kernels", &a, n);
    result = s == FV_OK ? result : s;
  }
  if (result != FV_OK)
    fv_note(t->diag, NULL, "`fovea inspect %s --emit=groups` shows them all, and why", m->path);
  return result;
}

//===-- The command -------------------------------------------------------===//

static fv_status run(tool *t) {
  const inspect_options *o = t->options;
  emit_request r = {.kind = o->emit, .output = o->output, .compile = &o->compile};
  backend_spec b = {0};
  const bool asserts = o->assert_op.count + o->assert_no_op.count + o->assert_kernel.count > 0;
  model m;
  FV_TRY(passes_check(t, &o->compile, NULL));
  if (o->emit)
    FV_TRY(emit_check(t, &r));
  if (o->assert_kernel.count || o->compile.backend || o->compile.backend_option.count)
    FV_TRY(backend_parse(t, o->compile.backend, "llvm", &o->compile.backend_option, &b));
  FV_TRY(model_open(t, t->args.item[0], &o->model, &m));
  if (asserts && !m.description)
    return usage_error(t, "'%s' is compiled: its ops and kernels cannot be counted any more",
                       m.path);
  if (o->emit) {
    FV_TRY(emit(t, &m, &r));
  } else if (!asserts || t->common->json) {
    fv_str s = {.arena = t->arena};
    if (t->common->json)
      put_json_summary(&s, &m);
    else
      put_summary(&s, &m);
    FV_TRY(print_text(t, &s));
  }
  const fv_status ops = assert_ops(t, o, &m);
  if (ops != FV_OK && ops != FV_ERR_NO)
    return ops;
  const fv_status kernels = assert_kernels(t, o, &m, &b);
  return kernels != FV_OK ? kernels : ops;
}

const command command_inspect = {
    .name = "inspect",
    .usage = "MODEL [OPTION...]",
    .doc = "show what a model has, its graphs, or the code made of it",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(inspect_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .more = EMIT_HELP
    "\nEXAMPLES\n"
    "  fovea inspect models/transformer.xml\n"
    "  fovea inspect models/se_digits.xml --emit=dot | dot -Tsvg >se.svg\n"
    "  fovea inspect models/transformer.xml --emit=text -O0\n"
    "  fovea inspect models/se_digits.xml --emit=asm -o se.s\n"
    "  fovea inspect models/transformer.xml --emit=groups\n"
    "  fovea inspect models/transformer.xml --assert-op attention=5 --assert-no-op matmul\n"
    "  fovea inspect models/transformer.xml --assert-kernel attention=5\n",
};
