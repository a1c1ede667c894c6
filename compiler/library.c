// SPDX-License-Identifier: Apache-2.0
// A library that was compiled earlier, as an executable. The file is looked at
// before it is loaded, see runtime/library.h.
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compiler/internal.h"
#include "runtime/library.h"

typedef struct library_cx {
  fv_executable *e;
  const char *path;
  fv_diag_sink *diag;
} library_cx;

static fv_status refuse(library_cx *cx, fv_status status, const char *why) {
  return fv_error(cx->diag, status, NULL, "library '%s': %s", cx->path, why);
}

static fv_status library_body(void *user) {
  library_cx *cx = user;
  fv_executable *e = cx->e;
  const void *data;
  size_t size;
  const char *why;
  bool foreign;
  FV_TRY(fv_file_map(e->arena, cx->path, cx->diag, NULL, &data, &size));
  const char *name = fv_library_getter(data, size, &why, &foreign);
  char real[PATH_MAX];
  if (!name)
    return refuse(cx, foreign ? FV_ERR_ABI : FV_ERR_PARSE, why);
  if (!realpath(cx->path, real))
    return refuse(cx, FV_ERR_IO, "its path cannot be resolved");
  e->library = dlopen(real, RTLD_NOW | RTLD_LOCAL);
  if (!e->library)
    return refuse(cx, FV_ERR_ABI, dlerror());
  const fv_model_api *(*get)(void);
  void *symbol = dlsym(e->library, name);
  memcpy(&get, &symbol, sizeof get);
  if (!symbol)
    return refuse(cx, FV_ERR_PARSE, "its entry point is gone");
  e->api = get();
  if (!e->api || e->api->abi >> 16 != FV_MODEL_ABI >> 16 || e->api->struct_size < sizeof *e->api ||
      !e->api->desc || e->api->desc->struct_size < sizeof *e->api->desc)
    return refuse(cx, FV_ERR_ABI, "it was made by another version of fovea");
  fv_exec_image view;
  if (fv_exec_open(e->api->desc->image, e->api->desc->image_bytes, &view, &why) != FV_MODEL_OK)
    return refuse(cx, FV_ERR_PARSE, why);
  e->manifest = e->api->desc->manifest;
  fv_info_from_image(e->arena, view.head, &e->info);
  return FV_OK;
}

fv_status fv_executable_load(const char *path, fv_diag_sink *diag, fv_executable **out) {
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
