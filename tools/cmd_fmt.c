// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

typedef struct fmt_options {
  bool check, in_place;
} fmt_options;

static const option_row rows[] = {
    {"check", 0, OPTION_FLAG, offsetof(fmt_options, check), NULL, NULL,
     "write nothing; name the files that would change and exit with 1 if there are any"},
    {"in-place", 'i', OPTION_FLAG, offsetof(fmt_options, in_place), NULL, NULL,
     "write the files anew, those that change"},
};

enum { MAX_MODEL = 64 << 20 };

typedef struct formatting {
  tool *t;
  const fmt_options *o;
  fv_str json;
  bool changes;  // some file would
} formatting;

static void put_json(formatting *f, const char *path, bool changes, const fv_bytes *text) {
  fv_str_puts(&f->json, f->json.size ? ",\n  {\"path\": " : "[\n  {\"path\": ");
  fv_str_json(&f->json, path, strlen(path));
  fv_str_printf(&f->json, ", \"changes\": %s", changes ? "true" : "false");
  if (text) {
    fv_str_puts(&f->json, ", \"text\": ");
    fv_str_json(&f->json, text->data, text->size);
  }
  fv_str_puts(&f->json, "}");
}

static fv_status format_one(formatting *f, const char *path) {
  tool *t = f->t;
  fv_bytes *text = bytes_new(t);
  char *old;
  size_t size;
  const bool print = !f->o->check && !f->o->in_place, json = t->common->json;
  FV_TRY(fv_format(path, t->diag, text));
  if (print && !json)
    return write_text(t, "-", text);
  FV_TRY(fv_file_read(t->arena, path, MAX_MODEL, t->diag, NULL, &old, &size));
  const bool changes = size != text->size || memcmp(old, text->data, size) != 0;
  f->changes = f->changes || changes;
  if (json)
    put_json(f, path, changes, print ? text : NULL);
  if (!changes || print)
    return FV_OK;
  if (f->o->in_place)
    return write_text(t, path, text);
  fv_str line = {.arena = t->arena};
  fv_str_printf(&line, "%s\n", path);
  return json ? FV_OK : print_text(t, &line);
}

static fv_status run(tool *t) {
  const fmt_options *o = t->options;
  formatting f = {.t = t, .o = o, .json = {.arena = t->arena}};
  fv_status worst = FV_OK;
  if (o->check && o->in_place)
    return usage_error(t, "--check and --in-place exclude each other");
  for (size_t i = 0; i < t->args.count; i++) {
    const fv_status s = format_one(&f, t->args.item[i]);
    if (worst == FV_OK)
      worst = s;
  }
  if (t->common->json) {
    fv_str_puts(&f.json, f.json.size ? "\n]\n" : "[]\n");
    const fv_status s = print_text(t, &f.json);
    worst = worst != FV_OK ? worst : s;
  }
  return worst != FV_OK ? worst : o->check && f.changes ? FV_ERR_NO : FV_OK;
}

const command command_fmt = {
    .name = "fmt",
    .usage = "FILE... [--check | -i]",
    .doc = "print models in their canonical form",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(fmt_options),
    .min_args = 1,
    .max_args = SIZE_MAX,
    .run = run,
};
