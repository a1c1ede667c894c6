// SPDX-License-Identifier: Apache-2.0
#include "compiler/options.h"

#include <stddef.h>
#include <string.h>

#include "base/str.h"

const fv_option_info *fv_option_at(const fv_backend *b, size_t i) {
  const bool has = b->struct_size >= offsetof(fv_backend, options) + sizeof b->options;
  return has && b->options && b->options[i].key ? &b->options[i] : NULL;
}

static const char *key_at(void *user, int i) {
  fv_backend *const *b = user;
  const fv_option_info *o = fv_option_at(*b, (size_t)i);
  return o ? o->key : NULL;
}

static fv_status unknown(fv_arena *ar, const fv_backend *b, const char *key, fv_diag_sink *diag) {
  fv_str all = {.arena = ar};
  for (size_t i = 0; fv_option_at(b, i); i++)
    fv_str_printf(&all, "%s%s=%s", i ? ", " : "", fv_option_at(b, i)->key, fv_option_at(b, i)->arg);
  const fv_status s =
      fv_error(diag, FV_ERR_ARG, NULL, "backend '%s' has no option '%s'", b->name, key);
  fv_note_meant(diag, NULL, key, key_at, &b);
  if (all.data)
    fv_note(diag, NULL, "its options are %s (`fovea list options`)", all.data);
  else
    fv_note(diag, NULL, "it has none");
  return s;
}

// "a=1,b=2": another option within the value of one.
static bool holds_another(const char *value) {
  for (const char *p = strchr(value, ','); p; p = strchr(p + 1, ','))
    if (p[1 + strcspn(p + 1, ",=")] == '=')
      return true;
  return false;
}

static const fv_option_info *find(const fv_backend *b, const char *key) {
  for (size_t i = 0; fv_option_at(b, i); i++)
    if (strcmp(fv_option_at(b, i)->key, key) == 0)
      return fv_option_at(b, i);
  return NULL;
}

fv_status fv_options_read(fv_arena *ar, const fv_backend *b, const char *const *text, size_t count,
                          fv_diag_sink *diag, fv_option **out, size_t *n_out) {
  fv_option *all = FV_NEW_N(ar, fv_option, count);
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    const char *eq = strchr(text[i], '=');
    if (!eq || eq == text[i])
      return fv_error(diag, FV_ERR_ARG, NULL, "backend option '%s' is not KEY=VALUE", text[i]);
    const char *key = fv_arena_strndup(ar, text[i], (size_t)(eq - text[i]));
    const fv_option_info *info = find(b, key);
    if (!info)
      return unknown(ar, b, key, diag);
    if (!eq[1])
      return fv_error(diag, FV_ERR_ARG, NULL, "backend option '%s' has no value", text[i]);
    if (holds_another(eq + 1))
      return fv_error(diag, FV_ERR_ARG, NULL,
                      "backend option '%s': options are joined by ':', not by ','", text[i]);
    size_t k = 0;
    while (k < n && strcmp(all[k].key, key) != 0)
      k++;
    const char *value = k < n && info->is_list ? fv_arena_printf(ar, "%s,%s", all[k].value, eq + 1)
                                               : fv_arena_strdup(ar, eq + 1);
    all[k] = (fv_option){info->key, value};
    n += k == n;
  }
  *out = all;
  *n_out = n;
  return FV_OK;
}
