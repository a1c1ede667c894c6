// SPDX-License-Identifier: Apache-2.0
// What is there: backends and their options, frontends, passes, ops; and the canonical form of a
// model.
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "compiler/emit.h"
#include "compiler/internal.h"
#include "compiler/options.h"
#include "passes/pass.h"

const char *fv_version(void) {
  return FV_VERSION;
}

typedef struct lister {
  void (*f)(void *user, const char *kind, const char *name, const char *doc);
  void *user;
  const char *kind;  // that is being listed
} lister;

static void tell(const lister *l, const char *name, const char *doc) {
  l->f(l->user, l->kind, name, doc);
}

static void tell_backend(void *user, const fv_backend *b) {
  tell(user, b->name, b->doc);
}

static void tell_options(void *user, const fv_backend *b) {
  char name[256];
  for (size_t i = 0; fv_option_at(b, i); i++) {
    const fv_option_info *o = fv_option_at(b, i);
    snprintf(name, sizeof name, "%s:%s=%s", b->name, o->key, o->arg);
    tell(user, name, o->doc);
  }
}

static void list_backends(lister *l) {
  fv_diag_sink silent = {0};
  fv_backend_each(tell_backend, l, &silent);
}

static void list_options(lister *l) {
  fv_diag_sink silent = {0};
  fv_backend_each(tell_options, l, &silent);
}

static void list_frontends(lister *l) {
  for (size_t i = 0; fv_frontends[i]; i++)
    tell(l, fv_frontends[i]->name, fv_frontends[i]->doc);
}

static void list_passes(lister *l) {
  for (size_t i = 0; fv_pass_at(i); i++)
    tell(l, fv_pass_at(i)->name, fv_pass_at(i)->doc);
}

static void list_ops(lister *l) {
  for (int i = 0; i < FV_OP_COUNT; i++)
    tell(l, fv_op_get((fv_op)i)->name, fv_op_get((fv_op)i)->doc);
}

static void list_families(lister *l) {
#define X(name, doc) tell(l, #name, doc);
  FV_FAMILY_TABLE(X)
#undef X
}

void fv_list(const char *kind,
             void (*f)(void *user, const char *kind, const char *name, const char *doc),
             void *user) {
  static const struct {
    const char *kind;
    void (*list)(lister *l);
  } all[] = {
#define X(kind) {#kind, list_##kind},
      FV_LIST_KINDS(X)
#undef X
  };
  for (size_t i = 0; i < FV_COUNTOF(all); i++)
    if (!kind || strcmp(kind, all[i].kind) == 0)
      all[i].list(&(lister){f, user, all[i].kind});
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
  diag = FV_SINK(diag);
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
