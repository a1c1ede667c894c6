// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "cases.h"
#include "values.h"

typedef struct compare_options {
  model_options model;
  compile_options compile;
  text_list backend, threads, dim, input;
  const char *graph;
  double rtol;
  bool verify;
} compare_options;

static const option_row rows[] = {
    {"backend", 'b', OPTION_LIST, offsetof(compare_options, backend), "NAME[:KEY=VALUE]...,...",
     NULL,
     "the backends, each with its options; each is compared with the first "
     "(default: reference,llvm)"},
    {"threads", 't', OPTION_COMMAS, offsetof(compare_options, threads), "LIST", "1",
     "numbers of threads; each backend runs with each"},
    {"dim", 0, OPTION_LIST, offsetof(compare_options, dim), "NAME=N,...", NULL,
     "values of a dim: all combinations are run; may be repeated, or B=1,4,S=64,128"},
    {"input", 'i', OPTION_LIST, offsetof(compare_options, input), "NAME=TENSOR", NULL,
     "an input, see TENSORS; may be repeated"},
    {"graph", 'g', OPTION_TEXT, offsetof(compare_options, graph), "NAME", NULL,
     "compare this graph only (default: all)"},
    {"rtol", 0, OPTION_NUMBER, offsetof(compare_options, rtol), "X", "1e-4",
     "how far floats may be off, relative to the greatest magnitude in the output"},
    {"verify", 0, OPTION_FLAG, offsetof(compare_options, verify), NULL, NULL,
     "compare all backends with the golden cases of the model (<verify>), as exactly as those say"},
    PASSES_ROWS(compare_options, compile),
    MODEL_ROWS(compare_options, model),
};

// One column of the comparison: a backend, or a library.
typedef struct subject {
  const char *name;
  const backend_spec *backend;  // NULL: a library
  const model *m;
} subject;

// One description (or none) and the libraries behind it.
typedef struct group {
  const model *model;
  size_t n_model;
  case_list cases;
} group;

typedef struct comparison {
  tool *t;
  const compare_options *o;
  backend_list backends;
  case_list cases;
  fv_tensor_io **want;  // by case; the first run fills them in
  table rows;
  fv_str json;
  size_t n_json;
  bool differs;
  fv_status failure;
} comparison;

//===-- Cases -------------------------------------------------------------===//

// The values of one dim, as "S=64" each.
typedef struct sweep {
  const char *name;
  text_list values;
} sweep;

typedef struct sweep_list {
  sweep *item;
  size_t count, cap;
} sweep_list;

// "B=1,4,S=64,128": what has a '=' begins a dim, what has none is one more value.
static fv_status add_sweeps(tool *t, const char *text, sweep_list *out) {
  const size_t before = out->count;
  for (const char *p = text;; p++) {
    const size_t n = strcspn(p, ",");
    const char *eq = memchr(p, '=', n);
    const char *value = eq ? eq + 1 : p;
    const size_t size = n - (size_t)(value - p);
    if (eq) {
      const sweep s = {.name = fv_arena_strndup(t->arena, p, (size_t)(eq - p))};
      FV_PUSH(t->arena, out->item, out->count, out->cap, s);
    }
    if (out->count == before || size == 0)
      return usage_error(t, "--dim: '%s' is not NAME=NUMBER,...", text);
    sweep *s = &out->item[out->count - 1];
    text_list_add(t->arena, &s->values,
                  fv_arena_printf(t->arena, "%s=%.*s", s->name, (int)size, value));
    p += n;
    if (!*p)
      return FV_OK;
  }
}

// All combinations of the dims, as an odometer, last dim fastest.
static fv_status add_cases(comparison *c, const model *m, const fv_graph_info *g,
                           const text_list *input) {
  sweep_list sweeps = {0};
  fv_arena *ar = c->t->arena;
  for (size_t i = 0; i < c->o->dim.count; i++)
    FV_TRY(add_sweeps(c->t, c->o->dim.item[i], &sweeps));
  size_t *at = FV_NEW_N(ar, size_t, sweeps.count);
  for (;;) {
    const char **now = FV_NEW_N(ar, const char *, sweeps.count);
    for (size_t i = 0; i < sweeps.count; i++)
      now[i] = sweeps.item[i].values.item[at[i]];
    FV_TRY(case_create(c->t, m, g, input, now, sweeps.count, &c->cases));
    c->cases.item[c->cases.count - 1].tolerance = c->o->rtol;
    size_t i = sweeps.count;
    while (i > 0 && ++at[i - 1] == sweeps.item[i - 1].values.count)
      at[--i] = 0;
    if (i == 0)
      return FV_OK;
  }
}

static bool names_input(const char *spec, const fv_graph_info *g) {
  const size_t n = strcspn(spec, "=");
  for (int i = 0; i < g->n_input; i++)
    if (strlen(g->input[i].name) == n && memcmp(spec, g->input[i].name, n) == 0)
      return true;
  return false;
}

// All graphs are run: each takes the inputs that it has, one that none has is
// left to be complained of.
static fv_status add_graph(comparison *c, const model *m, const fv_graph_info *g) {
  text_list own = {0};
  for (size_t k = 0; k < c->o->input.count; k++) {
    const char *spec = c->o->input.item[k];
    bool elsewhere = false;
    for (int i = 0; i < m->info->n_graph; i++)
      elsewhere = elsewhere || names_input(spec, &m->info->graph[i]);
    if (!elsewhere || names_input(spec, g))
      text_list_add(c->t->arena, &own, spec);
  }
  return add_cases(c, m, g, &own);
}

static fv_status make_cases(comparison *c, const model *m) {
  if (c->o->verify)
    return cases_of_model(c->t, m, c->o->graph, &c->cases);
  const fv_graph_info *g;
  if (c->o->graph) {
    FV_TRY(graph_find(c->t, m, c->o->graph, &g));
    return add_cases(c, m, g, &c->o->input);
  }
  for (int i = 0; i < m->info->n_graph; i++)
    FV_TRY(add_graph(c, m, &m->info->graph[i]));
  return FV_OK;
}

//===-- Rows --------------------------------------------------------------===//

static void put_json(comparison *c, const run_case *x, const char *output, const subject *s,
                     const char *threads, const difference *d, const char *verdict) {
  fv_str *out = &c->json;
  const struct {
    const char *key, *value;
  } text[] = {{"model", s->m->path}, {"graph", x->graph->name}, {"case", x->label},
              {"output", output},    {"backend", s->name},      {"verdict", verdict}};
  fv_str_puts(out, c->n_json++ ? ",\n  {" : "\n  {");
  for (size_t i = 0; i < FV_COUNTOF(text); i++) {
    fv_str_printf(out, "%s\"%s\": ", i ? ", " : "", text[i].key);
    fv_str_json(out, text[i].value, strlen(text[i].value));
  }
  fv_str_printf(out, ", \"threads\": %s", threads);
  if (d)
    put_json_errors(out, d);
  fv_str_puts(out, "}");
}

static void put_row(comparison *c, const run_case *x, const char *output, const subject *s,
                    const char *threads, const difference *d, const char *verdict) {
  fv_arena *ar = c->t->arena;
  if (c->t->common->json) {
    put_json(c, x, output, s, threads, d, verdict);
    return;
  }
  table_row(&c->rows, (const char *[]){x->graph->name, x->label, output, s->name, threads,
                                       d ? fv_arena_printf(ar, "%.3g", d->max_abs) : "-",
                                       d ? fv_arena_printf(ar, "%.3g", d->max_rel) : "-", verdict});
}

static void put_outputs(comparison *c, const run_case *x, const fv_tensor_io *want,
                        const fv_tensor_io *got, const subject *s, const char *threads) {
  for (int i = 0; i < x->graph->n_output; i++) {
    if (!want) {
      put_row(c, x, got[i].name, s, threads, NULL, "");
      continue;
    }
    const difference d = tensors_compare(c->t->arena, &want[i], &got[i], x->tolerance);
    c->differs = c->differs || !d.match;
    put_row(c, x, got[i].name, s, threads, &d, difference_verdict(c->t->arena, &d));
  }
}

static void put_failure(comparison *c, const run_case *x, const subject *s, const char *threads,
                        fv_status status) {
  put_row(c, x, "", s, threads, NULL, status == FV_ERR_UNSUPPORTED ? "UNSUPPORTED" : "FAILED");
  if (c->failure == FV_OK)
    c->failure = status;
}

//===-- Runs --------------------------------------------------------------===//

// Graphs of a library have its own tables.
static const fv_graph_info *graph_of(const model *m, const char *name) {
  for (int i = 0; i < m->info->n_graph; i++)
    if (strcmp(m->info->graph[i].name, name) == 0)
      return &m->info->graph[i];
  return NULL;
}

// Each library behind a description has its graphs.
static fv_status check_graphs(comparison *c, const group *g) {
  for (size_t i = 0; i < g->n_model; i++)
    for (size_t k = 0; k < g->cases.count; k++)
      if (!graph_of(&g->model[i], g->cases.item[k].graph->name))
        return fv_error(c->t->diag, FV_ERR_ARG, NULL, "'%s' has no graph '%s'", g->model[i].path,
                        g->cases.item[k].graph->name);
  return FV_OK;
}

static void run_with(comparison *c, const subject *s, fv_executable *e, const char *threads) {
  fv_context *cx = NULL;
  int64_t n = 0;
  (void)fv_parse_i64(threads, strlen(threads), &n);
  fv_status status = context_open(c->t, e, n, &cx);
  for (size_t k = 0; k < c->cases.count; k++) {
    const run_case *x = &c->cases.item[k];
    fv_tensor_io *out;
    fv_status ran = status;
    if (ran == FV_OK)
      ran = case_run(c->t, cx, x, &out);
    if (ran != FV_OK) {
      put_failure(c, x, s, threads, ran);
      continue;
    }
    const fv_tensor_io *want = x->expected ? x->expected : c->want[k];
    put_outputs(c, x, want, out, s, threads);
    if (!want)
      c->want[k] = tensors_copy(c->t->arena, out, x->graph->n_output);
  }
}

static void run_subject(comparison *c, const subject *s) {
  fv_executable *e;
  const fv_status status =
      model_compile(c->t, s->m, FV_STAGE_RUN, s->backend, &c->o->compile, NULL, NULL, 0, &e);
  for (size_t i = 0; i < c->o->threads.count; i++) {
    if (status == FV_OK)
      run_with(c, s, e, c->o->threads.item[i]);
    for (size_t k = 0; status != FV_OK && k < c->cases.count; k++)
      put_failure(c, &c->cases.item[k], s, c->o->threads.item[i], status);
  }
}

static void compare_group(comparison *c, const group *g) {
  const model *m = g->model;
  c->rows.cell.count = 0;
  table_row(&c->rows, (const char *[]){"graph", "case", "output", "backend", "threads",
                                       "max abs err", "max rel err", ""});
  c->cases = g->cases;
  c->want = FV_NEW_N(c->t->arena, fv_tensor_io *, c->cases.count);
  for (size_t i = 0; i < g->n_model; i++) {
    const char *slash = strrchr(m[i].path, '/');
    if (m[i].library) {
      run_subject(c, &(subject){slash ? slash + 1 : m[i].path, NULL, &m[i]});
      continue;
    }
    for (size_t b = 0; b < c->backends.count; b++)
      run_subject(c, &(subject){c->backends.item[b].text, &c->backends.item[b], &m[i]});
  }
}

static fv_status open_all(tool *t, const compare_options *o, model *m) {
  static const model_options none = {0};
  for (size_t i = 0; i < t->args.count; i++) {
    const bool library = ends_with(t->args.item[i], ".so");
    FV_TRY(model_open(t, t->args.item[i], library ? &none : &o->model, &m[i]));
  }
  return FV_OK;
}

// All cases are made before the first is run: what is wrong with them is told at once.
static fv_status make_groups(comparison *c, const model *m, group **out, size_t *n_out) {
  const size_t n = c->t->args.count;
  group *g = FV_NEW_N(c->t->arena, group, n);
  *out = g;
  *n_out = 0;
  for (size_t i = 0; i < n; i += g++->n_model) {
    *g = (group){.model = &m[i], .n_model = 1};
    while (i + g->n_model < n && m[i + g->n_model].library)
      g->n_model++;
    c->cases = (case_list){0};
    FV_TRY(make_cases(c, g->model));
    g->cases = c->cases;
    FV_TRY(check_graphs(c, g));
    ++*n_out;
  }
  return FV_OK;
}

static fv_status check_threads(tool *t, const text_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    int64_t n;
    if (!fv_parse_i64(list->item[i], strlen(list->item[i]), &n) || n < 0)
      return usage_error(t, "--threads: '%s' is not a number of 0 or more", list->item[i]);
    FV_TRY(threads_check(t, n));
  }
  return FV_OK;
}

static fv_status run(tool *t) {
  compare_options *o = fv_arena_dup(t->arena, t->options, sizeof *o);
  comparison c = {.t = t, .o = o, .json = {.arena = t->arena}};
  c.rows = (table){.arena = t->arena, .columns = 8, .right = 1U << 4 | 1U << 5 | 1U << 6};
  model *m = FV_NEW_N(t->arena, model, t->args.count);
  group *g;
  size_t n_group;
  FV_TRY(passes_check(t, &o->compile, NULL));
  if (o->backend.count == 0)
    text_list_add(t->arena, &o->backend, "reference,llvm");
  for (size_t i = 0; i < o->backend.count; i++)
    FV_TRY(backends_parse(t, o->backend.item[i], &c.backends));
  if (o->threads.count == 0)
    text_list_add(t->arena, &o->threads, "1");
  FV_TRY(check_threads(t, &o->threads));
  FV_TRY(open_all(t, o, m));
  FV_TRY(make_groups(&c, m, &g, &n_group));
  for (size_t i = 0; i < n_group; i++) {
    fv_str s = {.arena = t->arena};
    compare_group(&c, &g[i]);
    if (n_group > 1)
      fv_str_printf(&s, "%s%s\n", i ? "\n" : "", g[i].model->path);
    table_put(&c.rows, &s);
    if (!t->common->json)
      FV_TRY(print_text(t, &s));
  }
  if (t->common->json) {
    fv_str s = {.arena = t->arena};
    fv_str_printf(&s, "[%s\n]\n", c.json.data ? c.json.data : "");
    FV_TRY(print_text(t, &s));
  }
  return c.failure != FV_OK ? c.failure : c.differs ? FV_ERR_NO : FV_OK;
}

const command command_compare = {
    .name = "compare",
    .usage = "MODEL... [-b LIST] [OPTION...]",
    .doc = "run a model on several backends and compare the results",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(compare_options),
    .min_args = 1,
    .max_args = SIZE_MAX,
    .run = run,
    .more = TENSOR_HELP
    "MODELS\n"
    "  A compiled library takes part as one more backend of the model before it.\n"
    "BACKENDS\n"
    "  A comma begins the next one, unless + or - follows it: llvm:features=+avx2,-fma,opencl.\n"
    "EXAMPLES\n"
    "  fovea compare models/se_digits.xml -b reference,llvm,opencl -t 1,2\n"
    "  fovea compare models/se_digits.xml -b llvm,llvm:cpu=x86-64,llvm:features=+avx2,+fma\n"
    "  fovea compare models/transformer.xml -g encode --dim=B=1,4,S=8,32\n"
    "  fovea compare models/se_digits.xml libse_digits.so --verify\n",
};
