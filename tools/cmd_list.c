// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

typedef struct list_options {
  bool markdown;
} list_options;

static const option_row rows[] = {
    {"markdown", 0, OPTION_FLAG, offsetof(list_options, markdown), NULL, NULL,
     "of ops: the whole reference, docs/ops.md"},
};

static const char *const kinds[] = {"backends", "frontends", "passes", "ops", "families"};

// The library is at work when it calls back, so that rows are printed at once.
typedef struct lister {
  bool json, heading;
  int n;
  char kind[32];
} lister;

static void print_string(const char *text) {
  putchar('"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\')
      putchar('\\');
    putchar(*text == '\n' ? ' ' : *text);
  }
  putchar('"');
}

static void print_row(void *user, const char *kind, const char *name, const char *doc) {
  lister *l = user;
  if (l->json) {
    fputs(l->n++ ? ",\n  {\"kind\": " : "[\n  {\"kind\": ", stdout);
    print_string(kind);
    fputs(", \"name\": ", stdout);
    print_string(name);
    fputs(", \"doc\": ", stdout);
    print_string(doc ? doc : "");
    putchar('}');
    return;
  }
  if (l->heading && strcmp(l->kind, kind) != 0) {
    printf("%s%s\n", l->n ? "\n" : "", kind);
    snprintf(l->kind, sizeof l->kind, "%s", kind);
  }
  l->n++;
  printf("%s%-22s %s\n", l->heading ? "  " : "", name, doc ? doc : "");
}

static const char *kind_at(void *user, int i) {
  (void)user;
  return i < (int)FV_COUNTOF(kinds) ? kinds[i] : NULL;
}

static fv_status print_reference(tool *t) {
  fv_bytes out = {0};
  FV_TRY(fv_op_reference(&out));
  const fv_status s = write_text(t, "-", &out);
  fv_bytes_free(&out);
  return s;
}

static fv_status run(tool *t) {
  const list_options *o = t->options;
  const char *kind = t->args.count ? t->args.item[0] : NULL;
  bool known = !kind;
  for (size_t i = 0; i < FV_COUNTOF(kinds) && !known; i++)
    known = strcmp(kinds[i], kind) == 0;
  if (!known) {
    const int near = fv_did_you_mean(kind, kind_at, NULL);
    const fv_status s =
        usage_error(t, "'%s' is none of backends, frontends, passes, ops, families", kind);
    if (near >= 0)
      fv_note(t->diag, NULL, "did you mean '%s'?", kinds[near]);
    return s;
  }
  if (o->markdown) {
    if (!kind || strcmp(kind, "ops") != 0)
      return usage_error(t, "--markdown is of ops only");
    return print_reference(t);
  }
  lister l = {.json = t->common->json, .heading = !kind};
  fv_list(kind, print_row, &l);
  if (l.json)
    fputs(l.n ? "\n]\n" : "[]\n", stdout);
  return print_text(t, &(fv_str){.arena = t->arena});
}

const command command_list = {
    .name = "list",
    .usage = "[backends|frontends|passes|ops|families]",
    .doc = "list what this build of fovea has",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(list_options),
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
