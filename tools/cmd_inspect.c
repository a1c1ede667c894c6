// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "model.h"
#include "values.h"

typedef struct inspect_options {
  model_options model;
  compile_options compile;
  const char *emit, *output, *backend;
  text_list assert_op, assert_no_op;
} inspect_options;

static const option_row rows[] = {
    MODEL_ROWS(inspect_options, model),
    {"emit", 0, OPTION_TEXT, offsetof(inspect_options, emit), "KIND", NULL,
     "in place of the summary: text, json or dot (the graphs), kernel, llvm, asm, opencl or obj "
     "(what a backend makes of them)"},
    {"output", 'o', OPTION_TEXT, offsetof(inspect_options, output), "FILE", "-", "where that goes"},
    {"backend", 'b', OPTION_TEXT, offsetof(inspect_options, backend), "NAME", NULL,
     "whose code to show (default: opencl for --emit=opencl, else llvm)"},
    COMPILE_ROWS(inspect_options, compile),
    {"assert-op", 0, OPTION_LIST, offsetof(inspect_options, assert_op), "OP=N", NULL,
     "exit with 1 unless the model has N nodes of this op; may be repeated"},
    {"assert-no-op", 0, OPTION_LIST, offsetof(inspect_options, assert_no_op), "OP", NULL,
     "exit with 1 if the model has nodes of this op; may be repeated"},
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
  }
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
    fv_str_puts(s, "}");
  }
  fv_str_puts(s, "]}\n");
}

//===-- Assertions --------------------------------------------------------===//

static fv_status assert_count(tool *t, const model *m, const char *op, int64_t want) {
  const int n = fv_model_count_op(m->description, op);
  if (n < 0)
    return usage_error(t, "there is no op '%s' (`fovea list ops`)", op);
  if (n == want)
    return FV_OK;
  return fv_error(t->diag, FV_ERR_NO, NULL, "%s has %d %s, not %lld", m->path, n, op,
                  (long long)want);
}

static fv_status assert_ops(tool *t, const inspect_options *o, const model *m) {
  fv_status result = FV_OK;
  for (size_t i = 0; i < o->assert_op.count + o->assert_no_op.count; i++) {
    const bool none = i >= o->assert_op.count;
    const char *text = none ? o->assert_no_op.item[i - o->assert_op.count] : o->assert_op.item[i];
    const char *eq = none ? NULL : strchr(text, '=');
    int64_t want = 0;
    if (!none && (!eq || !fv_parse_i64(eq + 1, strlen(eq + 1), &want) || want < 0))
      return usage_error(t, "--assert-op: '%s' is not OP=NUMBER", text);
    const char *op = eq ? fv_arena_strndup(t->arena, text, (size_t)(eq - text)) : text;
    const fv_status s = assert_count(t, m, op, want);
    if (s != FV_OK && s != FV_ERR_NO)
      return s;
    if (s != FV_OK)
      result = s;
  }
  return result;
}

//===-- The command -------------------------------------------------------===//

static bool is_one_of(const char *word, const char *const *list) {
  for (; *list; list++)
    if (strcmp(word, *list) == 0)
      return true;
  return false;
}

static fv_status emit(tool *t, const inspect_options *o, const model *m) {
  static const char *const of_graphs[] = {"text", "json", "dot", "xml", NULL};
  fv_bytes *out = bytes_new(t);
  if (is_one_of(o->emit, of_graphs)) {
    const char *passes;
    if (!m->description)
      return usage_error(t, "'%s' is compiled and has no graphs any more", m->path);
    FV_TRY(passes_of(t, &o->compile, &passes));
    FV_TRY(fv_model_emit(m->description, o->emit, passes, t->diag, out));
  } else {
    const char *backend = o->backend                       ? o->backend
                          : strcmp(o->emit, "opencl") == 0 ? "opencl"
                                                           : NULL;
    fv_executable *e;
    if (strcmp(o->output, "-") == 0 && strcmp(o->emit, "obj") == 0 && isatty(STDOUT_FILENO))
      return usage_error(t, "an object file is nothing for a terminal: name a file by -o");
    FV_TRY(model_compile(t, m, backend, &o->compile, NULL, NULL, &e));
    FV_TRY(fv_executable_emit(e, o->emit, t->diag, out));
  }
  return write_text(t, o->output, out);
}

static fv_status run(tool *t) {
  const inspect_options *o = t->options;
  const bool asserts = o->assert_op.count + o->assert_no_op.count > 0;
  model m;
  FV_TRY(model_open(t, t->args.item[0], &o->model, &m));
  if (asserts && !m.description)
    return usage_error(t, "'%s' is compiled: its ops cannot be counted any more", m.path);
  if (o->emit) {
    FV_TRY(emit(t, o, &m));
  } else if (!asserts || t->common->json) {
    fv_str s = {.arena = t->arena};
    if (t->common->json)
      put_json_summary(&s, &m);
    else
      put_summary(&s, &m);
    FV_TRY(print_text(t, &s));
  }
  return assert_ops(t, o, &m);
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
    .more =
        "EXAMPLES\n"
        "  fovea inspect models/minilm.xml\n"
        "  fovea inspect models/se_digits.xml --emit=dot | dot -Tsvg >se.svg\n"
        "  fovea inspect models/bert_base.xml --emit=text -O2\n"
        "  fovea inspect models/se_digits.xml --emit=asm -o se.s\n"
        "  fovea inspect models/minilm.xml --assert-op attention=1 --assert-no-op softmax\n",
};
