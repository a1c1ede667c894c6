// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "listing.h"

typedef struct list_options {
  bool markdown;
} list_options;

static const option_row rows[] = {
    {"markdown", 0, OPTION_FLAG, offsetof(list_options, markdown), NULL, NULL,
     "of ops: the whole reference, docs/ops.md"},
};

static const char *const kinds[] = {
#define X(name) #name,
    FV_LIST_KINDS(X)
#undef X
};

static const char *kind_at(void *user, int i) {
  (void)user;
  return i < (int)FV_COUNTOF(kinds) ? kinds[i] : NULL;
}

static fv_status check_kind(tool *t, const char *kind) {
  fv_str all = {.arena = t->arena};
  for (size_t i = 0; i < FV_COUNTOF(kinds); i++) {
    if (strcmp(kinds[i], kind) == 0)
      return FV_OK;
    fv_str_printf(&all, "%s%s", i ? ", " : "", kinds[i]);
  }
  const fv_status s = usage_error(t, "'%s' is none of %s", kind, all.data);
  fv_note_meant(t->diag, NULL, kind, kind_at, NULL);
  return s;
}

static void put_json(fv_str *s, const listing *l) {
  for (size_t i = 0; i < l->count; i++) {
    const struct listed *x = &l->item[i];
    fv_str_puts(s, i ? ",\n  {\"kind\": " : "[\n  {\"kind\": ");
    fv_str_json(s, x->kind, strlen(x->kind));
    fv_str_puts(s, ", \"name\": ");
    fv_str_json(s, x->name, strlen(x->name));
    fv_str_puts(s, ", \"doc\": ");
    fv_str_json(s, x->doc, strlen(x->doc));
    fv_str_puts(s, "}");
  }
  fv_str_puts(s, l->count ? "\n]\n" : "[]\n");
}

static void put_text(fv_str *s, const listing *l, bool headings) {
  int width = 22;
  for (size_t i = 0; i < l->count; i++)
    width = (int)strlen(l->item[i].name) > width ? (int)strlen(l->item[i].name) : width;
  for (size_t i = 0; i < l->count; i++) {
    const struct listed *x = &l->item[i];
    if (headings && (i == 0 || strcmp(x->kind, x[-1].kind) != 0))
      fv_str_printf(s, "%s%s\n", i ? "\n" : "", x->kind);
    fv_str_printf(s, "%s%-*s %s\n", headings ? "  " : "", width, x->name, x->doc);
  }
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
  fv_str s = {.arena = t->arena};
  listing l;
  if (kind)
    FV_TRY(check_kind(t, kind));
  if (o->markdown) {
    if (!kind || strcmp(kind, "ops") != 0)
      return usage_error(t, "--markdown is of ops only");
    return print_reference(t);
  }
  FV_TRY(listing_read(t, kind, &l));
  if (t->common->json)
    put_json(&s, &l);
  else
    put_text(&s, &l, !kind);
  return print_text(t, &s);
}

const command command_list = {
    .name = "list",
    .usage = "[KIND]",
    .doc = "list what this build of fovea has",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(list_options),
    .min_args = 0,
    .max_args = 1,
    .run = run,
#define X(kind) "  " #kind "\n"
    .more = "KINDS\n" FV_LIST_KINDS(X),
#undef X
};
