// SPDX-License-Identifier: Apache-2.0
// A library that was compiled earlier, as an executable.
#include <stdlib.h>

#include "compiler/internal.h"

typedef struct library_cx {
  fv_executable *e;
  const char *path;
  fv_diag_sink *diag;
} library_cx;

static fv_status library_body(void *user) {
  library_cx *cx = user;
  fv_executable *e = cx->e;
  FV_TRY(fv_library_open(cx->path, cx->diag, &e->library));
  e->api = e->library.api;
  e->manifest = e->api->desc->manifest;
  fv_info_from_image(e->arena, e->api->desc->image, &e->info);
  return FV_OK;
}

fv_status fv_executable_load(const char *path, fv_diag_sink *diag, fv_executable **out) {
  diag = FV_SINK(diag);
  *out = NULL;
  fv_executable *e = calloc(1, sizeof *e);
  fv_arena *ar = e ? fv_arena_create(NULL) : NULL;
  if (!ar) {
    free(e);
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  }
  e->arena = ar;
  e->own_arena = true;
  library_cx cx = {e, path, diag};
  const fv_status s = fv_guard(ar, diag, library_body, &cx);
  if (s != FV_OK)
    fv_executable_destroy(e);
  else
    *out = e;
  return s;
}
