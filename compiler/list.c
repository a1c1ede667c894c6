// SPDX-License-Identifier: Apache-2.0
// What is there: backends, frontends, passes, ops; and the canonical form of a model.
#include <string.h>

#include "base/file.h"
#include "compiler/emit.h"
#include "compiler/internal.h"
#include "passes/pass.h"

const char *fv_version(void) {
  return FV_VERSION;
}

typedef struct list_cx {
  void (*f)(void *user, const char *kind, const char *name, const char *doc);
  void *user;
} list_cx;

static void list_backend(void *user, const fv_backend *b) {
  const list_cx *cx = user;
  cx->f(cx->user, "backends", b->name, b->doc);
}

void fv_list(const char *kind,
             void (*f)(void *user, const char *kind, const char *name, const char *doc),
             void *user) {
  list_cx cx = {f, user};
  fv_diag_sink silent = {0};
  if (!kind || strcmp(kind, "backends") == 0)
    fv_backend_each(list_backend, &cx, &silent);
  if (!kind || strcmp(kind, "frontends") == 0)
    for (size_t i = 0; fv_frontends[i]; i++)
      f(user, "frontends", fv_frontends[i]->name, fv_frontends[i]->doc);
  if (!kind || strcmp(kind, "passes") == 0)
    for (size_t i = 0; fv_pass_at(i); i++)
      f(user, "passes", fv_pass_at(i)->name, fv_pass_at(i)->doc);
  if (!kind || strcmp(kind, "ops") == 0)
    for (int i = 0; i < FV_OP_COUNT; i++)
      f(user, "ops", fv_op_get((fv_op)i)->name, fv_op_get((fv_op)i)->doc);
  static const struct {
    const char *name, *doc;
  } family[] = {
#define X(name, doc) {#name, doc},
      FV_FAMILY_TABLE(X)
#undef X
  };
  if (!kind || strcmp(kind, "families") == 0)
    for (size_t i = 0; i < FV_COUNTOF(family); i++)
      f(user, "families", family[i].name, family[i].doc);
}

//===-- Formatting ----------------------------------------------------------------------===//

typedef struct format_cx {
  fv_arena *ar;
  const char *path;
  fv_diag_sink *diag;
  fv_str *out;
} format_cx;

static fv_status format_body(void *user) {
  const format_cx *cx = user;
  char *data;
  size_t size;
  const fv_load_limits limits = {0};
  FV_TRY(fv_file_read(cx->ar, cx->path, 16u << 20, cx->diag, NULL, &data, &size));
  for (size_t i = 0; fv_frontends[i]; i++)
    if (fv_frontends[i]->format && fv_frontends[i]->recognises(cx->path, data, size))
      return fv_frontends[i]->format(cx->ar, cx->path, data, size, &limits, cx->diag, cx->out);
  return fv_error(cx->diag, FV_ERR_UNSUPPORTED, NULL, "'%s' is of no format that can be formatted",
                  cx->path);
}

fv_status fv_format(const char *path, fv_diag_sink *diag, fv_bytes *out) {
  fv_arena *ar = fv_arena_create(NULL);
  if (!ar)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  fv_str s = {.arena = ar};
  format_cx cx = {ar, path, diag, &s};
  fv_status status = fv_guard(ar, diag, format_body, &cx);
  if (status == FV_OK)
    status = fv_bytes_copy(out, s.data, s.size, diag);
  fv_arena_destroy(ar);
  return status;
}
