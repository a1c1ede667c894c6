// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "model.h"

typedef struct check_options {
  model_options model;
  bool quiet;
} check_options;

static const option_row rows[] = {
    MODEL_ROWS(check_options, model),
    DIM_ROW(check_options, model),
    {"quiet", 'q', OPTION_FLAG, offsetof(check_options, quiet), NULL, NULL,
     "say nothing of models that are good"},
};

static void put_good(fv_str *s, const model *m) {
  const fv_model_info *info = m->info;
  fv_str_printf(s, "%s: ok: %d graph%s", m->path, info->n_graph, info->n_graph == 1 ? "" : "s");
  if (m->description)
    fv_str_printf(s, ", %d nodes", info->n_node);
  fv_str_printf(s, ", %s of weights\n", bytes_text(s->arena, info->weight_bytes));
}

static void put_json(fv_str *s, const char *path, const model *m, bool first) {
  fv_str_puts(s, first ? "[\n" : ",\n");
  fv_str_puts(s, "  {\"path\": ");
  fv_str_json(s, path, strlen(path));
  fv_str_printf(s, ", \"ok\": %s", m ? "true" : "false");
  if (m)
    fv_str_printf(s, ", \"graphs\": %d, \"nodes\": %d, \"weight_bytes\": %lld", m->info->n_graph,
                  m->info->n_node, (long long)m->info->weight_bytes);
  fv_str_puts(s, "}");
}

static fv_status run(tool *t) {
  const check_options *o = t->options;
  fv_status worst = FV_OK;
  fv_str s = {.arena = t->arena};
  for (size_t i = 0; i < t->args.count; i++) {
    model m;
    const fv_status status = model_open(t, t->args.item[i], &o->model, &m);
    if (worst == FV_OK)
      worst = status;
    if (t->common->json)
      put_json(&s, t->args.item[i], status == FV_OK ? &m : NULL, i == 0);
    else if (status == FV_OK && !o->quiet)
      put_good(&s, &m);
  }
  if (t->common->json)
    fv_str_puts(&s, "\n]\n");
  const fv_status printed = print_text(t, &s);
  return worst != FV_OK ? worst : printed;
}

const command command_check = {
    .name = "check",
    .usage = "MODEL...",
    .doc = "say whether models and their weights are right",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(check_options),
    .min_args = 1,
    .max_args = SIZE_MAX,
    .run = run,
};
