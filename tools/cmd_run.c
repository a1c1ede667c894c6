// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "cases.h"
#include "values.h"

typedef struct run_options {
  model_options model;
  compile_options compile;
  text_list input, dim, want;
  const char *graph, *save;
  int64_t threads, values;
  bool verify;
} run_options;

static const option_row rows[] = {
    {"input", 'i', OPTION_LIST, offsetof(run_options, input), "NAME=TENSOR", NULL,
     "an input, see TENSORS; may be repeated"},
    {"dim", 0, OPTION_COMMAS, offsetof(run_options, dim), "NAME=N", NULL,
     "the value of a dim; may be repeated"},
    {"graph", 'g', OPTION_TEXT, offsetof(run_options, graph), "NAME", NULL,
     "which graph to run; needed if there are several"},
    {"want", 0, OPTION_COMMAS, offsetof(run_options, want), "NAME", NULL,
     "an output to print and to save, in place of all; may be repeated"},
    {"save", 0, OPTION_TEXT, offsetof(run_options, save), "FILE", NULL,
     "write the outputs to FILE.safetensors or, if it is one, to FILE.npy"},
    {"verify", 0, OPTION_FLAG, offsetof(run_options, verify), NULL, NULL,
     "run the golden cases of the model (<verify>) and exit with 1 if results differ"},
    {"values", 0, OPTION_INT, offsetof(run_options, values), "N", "8",
     "how many elements of each output to print"},
    BACKEND_ROWS(run_options, compile, "who runs it (`fovea list backends`; default: llvm)"),
    {"threads", 't', OPTION_INT, offsetof(run_options, threads), "N", "0",
     "threads; 0: as many as this process may use"},
    PASSES_ROWS(run_options, compile),
    MODEL_ROWS(run_options, model),
};

//===-- Printing ----------------------------------------------------------===//

static void put_output(fv_str *s, const fv_tensor_io *x, int64_t most) {
  const int64_t n = tensor_count(x);
  fv_str_printf(s, "%s: ", x->name);
  put_type(s, x);
  fv_str_puts(s, "\n ");
  for (int64_t i = 0; i < n && i < most; i++) {
    fv_str_puts(s, " ");
    put_value(s, x, i);
  }
  fv_str_puts(s, n > most ? " ...\n" : n == 0 ? " no elements\n" : "\n");
}

static void put_json_output(fv_str *s, const fv_tensor_io *x, int64_t most) {
  const int64_t n = tensor_count(x);
  fv_str_puts(s, "{\"name\": ");
  fv_str_json(s, x->name, strlen(x->name));
  fv_str_printf(s, ", \"dtype\": \"%s\", \"shape\": ", dtype_name(x->dtype));
  put_shape(s, x->rank, x->dim);
  fv_str_puts(s, ", \"values\": [");
  for (int64_t i = 0; i < n && i < most; i++) {
    fv_str_puts(s, i ? ", " : "");
    put_json_value(s, x, i);
  }
  fv_str_puts(s, "]}");
}

static fv_status print_outputs(tool *t, const run_case *c, const fv_tensor_io *out, int n) {
  const run_options *o = t->options;
  const fv_graph_info *g = c->graph;
  fv_str s = {.arena = t->arena};
  if (!t->common->json) {
    if (c->label[0])
      print_note("%s: %s\n", g->name, c->label);
    for (int i = 0; i < n; i++)
      put_output(&s, &out[i], o->values);
    return print_text(t, &s);
  }
  fv_str_puts(&s, "{\"graph\": ");
  fv_str_json(&s, g->name, strlen(g->name));
  fv_str_puts(&s, ", \"dims\": {");
  for (size_t i = 0; i < c->n_dim; i++) {
    fv_str_puts(&s, i ? ", " : "");
    fv_str_json(&s, c->dim[i].name, strlen(c->dim[i].name));
    fv_str_printf(&s, ": %lld", (long long)c->dim[i].value);
  }
  fv_str_puts(&s, "}, \"outputs\": [");
  for (int i = 0; i < n; i++) {
    fv_str_puts(&s, i ? ",\n " : "\n ");
    put_json_output(&s, &out[i], o->values);
  }
  fv_str_puts(&s, "]}\n");
  return print_text(t, &s);
}

//===-- Wanted outputs ----------------------------------------------------===//

static const char *output_name(void *user, int i) {
  const fv_graph_info *g = user;
  return i < g->n_output ? g->output[i].name : NULL;
}

// Per output of the graph: is it wanted?
static fv_status find_wanted(tool *t, const fv_graph_info *g, bool **out) {
  const text_list *want = &((const run_options *)t->options)->want;
  bool *wanted = *out = FV_NEW_N(t->arena, bool, g->n_output);
  for (int i = 0; i < g->n_output; i++)
    wanted[i] = want->count == 0;
  for (size_t k = 0; k < want->count; k++) {
    int i = 0;
    while (i < g->n_output && strcmp(g->output[i].name, want->item[k]) != 0)
      i++;
    if (i == g->n_output) {
      fv_graph_info copy = *g;
      const fv_status s =
          usage_error(t, "--want: graph '%s' has no output '%s'", g->name, want->item[k]);
      fv_note_meant(t->diag, NULL, want->item[k], output_name, &copy);
      return s;
    }
    wanted[i] = true;
  }
  return FV_OK;
}

// Moves the wanted ones to the front and returns how many there are.
static int keep_wanted(fv_tensor_io *out, int n, const bool *wanted) {
  int kept = 0;
  for (int i = 0; i < n; i++)
    if (wanted[i])
      out[kept++] = out[i];
  return kept;
}

//===-- Golden cases ------------------------------------------------------===//

static void put_json_row(fv_str *s, const run_case *c, const char *output, const difference *d,
                         bool first) {
  fv_str_puts(s, first ? "[\n  {\"graph\": " : ",\n  {\"graph\": ");
  fv_str_json(s, c->graph->name, strlen(c->graph->name));
  fv_str_puts(s, ", \"file\": ");
  fv_str_json(s, c->label, strlen(c->label));
  fv_str_puts(s, ", \"output\": ");
  fv_str_json(s, output, strlen(output));
  put_json_errors(s, d);
  fv_str_puts(s, ", \"tolerance\": ");
  fv_str_json_double(s, c->tolerance);
  fv_str_printf(s, ", \"match\": %s}", d->match ? "true" : "false");
}

static void put_row(table *w, const run_case *c, const char *output, const difference *d) {
  fv_arena *ar = w->arena;
  table_row(
      w, (const char *[]){c->graph->name, c->label, output, fv_arena_printf(ar, "%.3g", d->max_abs),
                          fv_arena_printf(ar, "%.3g", d->max_rel),
                          fv_arena_printf(ar, "%g", c->tolerance), difference_verdict(ar, d)});
}

static fv_status verify(tool *t, const case_list *cases, fv_context *cx) {
  table w = {.arena = t->arena, .columns = 7, .right = 1U << 3 | 1U << 4 | 1U << 5};
  fv_str s = {.arena = t->arena};
  bool same = true, first = true;
  table_row(
      &w, (const char *[]){"graph", "file", "output", "max abs err", "max rel err", "allowed", ""});
  for (size_t k = 0; k < cases->count; k++) {
    const run_case *c = &cases->item[k];
    fv_tensor_io *out;
    FV_TRY(case_run(t, cx, c, &out));
    for (int i = 0; i < c->graph->n_output; i++) {
      const difference d = tensors_compare(t->arena, &c->expected[i], &out[i], c->tolerance);
      same = same && d.match;
      if (t->common->json)
        put_json_row(&s, c, out[i].name, &d, first);
      else
        put_row(&w, c, out[i].name, &d);
      first = false;
    }
  }
  if (t->common->json)
    fv_str_puts(&s, first ? "[]\n" : "\n]\n");
  else
    table_put(&w, &s);
  FV_TRY(print_text(t, &s));
  return same ? FV_OK : FV_ERR_NO;
}

//===-- The command -------------------------------------------------------===//

static fv_status run(tool *t) {
  const run_options *o = t->options;
  case_list cases = {0};
  model m;
  fv_executable *e;
  fv_context *cx;
  backend_spec b;
  bool *wanted = NULL;
  if (o->verify && (o->input.count || o->dim.count || o->want.count || o->save))
    return usage_error(t,
                       "--verify has its own inputs, and looks at all outputs: -i, --dim, --want "
                       "and --save do not go with it");
  FV_TRY(threads_check(t, o->threads));
  FV_TRY(passes_check(t, &o->compile, NULL));
  FV_TRY(backend_parse(t, o->compile.backend, "llvm", &o->compile.backend_option, &b));
  FV_TRY(model_open(t, t->args.item[0], &o->model, &m));
  FV_TRY(model_not_compiled(t, &m, &o->compile));
  // The command line first: a wrong input need not wait for the compiler.
  if (o->verify) {
    FV_TRY(cases_of_model(t, &m, o->graph, &cases));
  } else {
    const fv_graph_info *g;
    FV_TRY(graph_find(t, &m, o->graph, &g));
    FV_TRY(find_wanted(t, g, &wanted));
    FV_TRY(case_create(t, &m, g, &o->input, o->dim.item, o->dim.count, &cases));
  }
  FV_TRY(model_compile(t, &m, FV_STAGE_RUN, &b, &o->compile, NULL, NULL, o->threads, &e));
  FV_TRY(context_open(t, e, o->threads, &cx));
  if (o->verify)
    return verify(t, &cases, cx);
  fv_tensor_io *out;
  FV_TRY(case_run(t, cx, &cases.item[0], &out));
  const int n = keep_wanted(out, cases.item[0].graph->n_output, wanted);
  if (o->save)
    FV_TRY(tensors_save(t, o->save, out, (size_t)n));
  return print_outputs(t, &cases.item[0], out, n);
}

const command command_run = {
    .name = "run",
    .usage = "MODEL [OPTION...]",
    .doc = "run a model on given inputs",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(run_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .more = TENSOR_HELP
    "EXAMPLES\n"
    "  fovea run models/se_digits.xml --verify\n"
    "  fovea run models/se_digits.xml -i x=@digits.npy --save=logits.npy\n"
    "  fovea run models/transformer.xml -g encode -i src=3,7,5,2 -i lengths=4 --dim B=1\n"
    "  fovea run libse_digits.so --dim N=2 -i x=random:seed=7,lo=0,hi=1\n",
};
