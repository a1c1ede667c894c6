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

static fv_status format_one(tool *t, const fmt_options *o, const char *path, bool *changes) {
  fv_bytes *text = bytes_new(t);
  FV_TRY(fv_format(path, t->diag, text));
  if (!o->check && !o->in_place)
    return write_text(t, "-", text);
  char *old;
  size_t size;
  FV_TRY(fv_file_read(t->arena, path, MAX_MODEL, t->diag, NULL, &old, &size));
  if (size == text->size && memcmp(old, text->data, size) == 0)
    return FV_OK;
  *changes = true;
  if (o->check) {
    fv_str line = {.arena = t->arena};
    fv_str_printf(&line, "%s\n", path);
    return print_text(t, &line);
  }
  return write_text(t, path, text);
}

static fv_status run(tool *t) {
  const fmt_options *o = t->options;
  fv_status worst = FV_OK;
  bool changes = false;
  if (o->check && o->in_place)
    return usage_error(t, "--check and --in-place exclude each other");
  for (size_t i = 0; i < t->args.count; i++) {
    const fv_status s = format_one(t, o, t->args.item[i], &changes);
    if (worst == FV_OK)
      worst = s;
  }
  return worst != FV_OK ? worst : o->check && changes ? FV_ERR_NO : FV_OK;
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
