// SPDX-License-Identifier: Apache-2.0
#include "backends.h"

#include <string.h>

// A comma parts backends, but not in front of +NAME and -NAME, nor in front of KEY=VALUE, which no
// backend is called: it is refused as the option that it is meant to be.
static bool goes_on(const char *behind) {
  return *behind == '+' || *behind == '-' || behind[strcspn(behind, ",:=")] == '=';
}

// Length of the first backend with its options.
static size_t spec_length(const char *text) {
  size_t n = strcspn(text, ",");
  while (text[n] && goes_on(text + n + 1))
    n += 1 + strcspn(text + n + 1, ",");
  return n;
}

static fv_status check(tool *t, const backend_spec *b) {
  const fv_compile_options o = {.struct_size = sizeof o,
                                .backend = b->name,
                                .backend_option = b->option.item,
                                .n_backend_option = b->option.count};
  return fv_compile_check(&o, t->diag);
}

static fv_status parse_one(tool *t, const char *text, size_t n, backend_spec *out) {
  *out = (backend_spec){.text = fv_arena_strndup(t->arena, text, n)};
  const char *p = out->text;
  out->name = fv_arena_strndup(t->arena, p, strcspn(p, ":"));
  if (!*out->name)
    return usage_error(t, "-b: '%s' names no backend", text);
  if (strchr(out->name, '='))
    return usage_error(
        t, "-b: '%s': options stand behind a ':' each, as in NAME:KEY=VALUE:KEY=VALUE", out->text);
  for (p += strcspn(p, ":"); *p; p += strcspn(p, ":")) {
    p++;
    text_list_add(t->arena, &out->option, fv_arena_strndup(t->arena, p, strcspn(p, ":")));
  }
  return FV_OK;
}

static fv_status split(tool *t, const char *text, backend_list *out) {
  for (const char *p = text;;) {
    const size_t n = spec_length(p);
    backend_spec b;
    FV_TRY(parse_one(t, p, n, &b));
    FV_PUSH(t->arena, out->item, out->count, out->cap, b);
    if (!p[n])
      return FV_OK;
    p += n + 1;
  }
}

fv_status backends_parse(tool *t, const char *text, backend_list *out) {
  size_t i = out->count;
  FV_TRY(split(t, text, out));
  for (; i < out->count; i++)
    FV_TRY(check(t, &out->item[i]));
  return FV_OK;
}

fv_status backend_parse(tool *t, const char *text, const char *otherwise, const text_list *more,
                        backend_spec *out) {
  backend_list all = {0};
  FV_TRY(split(t, text ? text : otherwise, &all));
  if (all.count > 1)
    return usage_error(t, "-b: '%s' are several backends, and here is room for one", text);
  for (size_t i = 0; i < more->count; i++)
    text_list_add(t->arena, &all.item[0].option, more->item[i]);
  *out = all.item[0];
  return check(t, out);
}
