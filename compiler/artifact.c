// SPDX-License-Identifier: Apache-2.0
// What is made of an executable ahead of time: a shared library, an object or an
// archive, and the C header that goes with each of them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/archive.h"
#include "compiler/artifact_header.h"
#include "compiler/emit.h"
#include "compiler/internal.h"
#include "runtime/library.h"

typedef struct header_cx {
  const fv_executable *e;
  const char *name;
  fv_arena *ar;
  fv_diag_sink *diag;
  fv_bytes *out;
} header_cx;

static fv_status header_body(void *user) {
  header_cx *cx = user;
  fv_str s = {.arena = cx->ar};
  FV_TRY(fv_artifact_header(cx->ar, cx->e->image, cx->e->image_size, cx->name, &s));
  return fv_bytes_copy(cx->out, s.data, s.size, cx->diag);
}

static bool is_identifier(const char *s) {
  if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_'))
    return false;
  for (; *s; s++)
    if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
          *s == '_'))
      return false;
  return true;
}

static fv_status make_header(const fv_executable *e, const char *name, fv_diag_sink *diag,
                             fv_bytes *out) {
  fv_arena *ar = fv_arena_create(NULL);
  if (!ar)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  header_cx cx = {e, name, ar, diag, out};
  const fv_status s = fv_guard(ar, diag, header_body, &cx);
  fv_arena_destroy(ar);
  return s;
}

static fv_status add_seal(fv_bytes *b, fv_diag_sink *diag) {
  unsigned char *data = realloc(b->data, b->size + FV_SEAL_BYTES);
  if (!data) {
    fv_bytes_free(b);
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  }
  *b = (fv_bytes){data, b->size + FV_SEAL_BYTES};
  const char *why = fv_library_seal(data, b->size);
  if (!why)
    return FV_OK;
  fv_bytes_free(b);
  return fv_error(diag, FV_ERR_BACKEND, NULL, "the library that the backend made is wrong: %s",
                  why);
}

static fv_status emit_artifact(const fv_executable *e, const char *name, int kind,
                               fv_diag_sink *diag, fv_bytes *out) {
  char folder[4096];
  if (!fv_plugin_dir(folder, sizeof folder))
    return fv_error(diag, FV_ERR_IO, NULL, "the folder of the artifact runtime cannot be found");
  const fv_artifact a = {.struct_size = sizeof a,
                         .shared = kind == FV_LIBRARY_SHARED,
                         .name = name,
                         .image = e->image,
                         .image_size = e->image_size,
                         .constants = e->constants,
                         .constants_size = (size_t)e->lowered->const_bytes,
                         .exec_folder = folder,
                         .manifest = e->manifest};
  fv_report report = {.diag = diag};
  fv_blob blob = {0};
  FV_TRY(fv_plugin_status(e->backend->emit_artifact(e->kernels, &a, &report, &blob)));
  if (kind != FV_LIBRARY_ARCHIVE)
    return fv_take_blob(&blob, diag, out);
  const fv_status s = fv_archive_make(blob.data, blob.size, name, diag, out);
  if (blob.release)
    blob.release(blob.data, blob.size);
  return s;
}

fv_status fv_executable_library(const fv_executable *e, const char *name, fv_library_kind kind,
                                fv_diag_sink *diag, fv_bytes *library, fv_bytes *header) {
  if (!name)
    name = e->info.name;
  if (!is_identifier(name))
    return fv_error(diag, FV_ERR_ARG, NULL, "'%s' is no C identifier; choose one with --name",
                    name);
  if (e->until != FV_STAGE_RUN)
    return fv_error(diag, FV_ERR_ARG, NULL, "compiling was stopped before a library");
  if (!e->lowered || !e->backend->emit_artifact)
    return fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "backend '%s' makes no libraries",
                    e->backend ? e->backend->name : "of a library");
  FV_TRY(emit_artifact(e, name, kind, diag, library));
  if (kind == FV_LIBRARY_SHARED)
    FV_TRY(add_seal(library, diag));
  const fv_status s = make_header(e, name, diag, header);
  if (s != FV_OK)
    fv_bytes_free(library);
  return s;
}
