// SPDX-License-Identifier: Apache-2.0
// What is made of an executable ahead of time: a shared library, an object or an
// archive, and the C header that goes with each of them.
#include "base/file.h"
#include "compiler/archive.h"
#include "compiler/artifact_header.h"
#include "compiler/internal.h"
#include "runtime/library.h"

// A library under way.
typedef struct library_cx {
  const fv_executable *e;
  const char *name;
  fv_library_kind kind;
  fv_arena *ar;
  fv_diag_sink *diag;
  fv_archive_parts around;  // of an archive
  fv_blob blob;             // all of it that stands before the constants
  fv_draft *draft;
  const char *path, *header_path;
  int64_t bytes;
} library_cx;

static bool is_identifier(const char *s) {
  if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_'))
    return false;
  for (; *s; s++)
    if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
          *s == '_'))
      return false;
  return true;
}

static fv_status make_blob(library_cx *cx) {
  const fv_executable *e = cx->e;
  char folder[4096];
  if (!fv_plugin_dir(folder, sizeof folder))
    return fv_error(cx->diag, FV_ERR_IO, NULL,
                    "the folder of the artifact runtime cannot be found");
  const fv_artifact a = {.struct_size = sizeof a,
                         .shared = cx->kind == FV_LIBRARY_SHARED,
                         .name = cx->name,
                         .image = e->image,
                         .image_size = e->image_size,
                         .constants_size = e->lowered->const_bytes,
                         .exec_folder = folder,
                         .manifest = e->manifest};
  fv_report report = {.diag = cx->diag};
  return fv_plugin_status(e->backend->emit_artifact(e->kernels, &a, &report, &cx->blob));
}

static fv_status put(void *user, const void *data, size_t size) {
  library_cx *cx = user;
  cx->bytes += (int64_t)size;
  return fv_draft_put(cx->draft, data, size);
}

// Over the file as it was written.
static fv_status put_seal(library_cx *cx) {
  static const char room[FV_SEAL_BYTES];
  const void *data;
  size_t size;
  fv_seal seal;
  FV_TRY(put(cx, room, sizeof room));
  FV_TRY(fv_draft_view(cx->draft, &data, &size));
  const char *why = fv_library_seal(data, size, &seal);
  if (why)
    return fv_error(cx->diag, FV_ERR_BACKEND, NULL,
                    "the library that the backend made is wrong: %s", why);
  FV_TRY(fv_draft_patch(cx->draft, seal.note_at, seal.note, sizeof seal.note));
  return fv_draft_patch(cx->draft, size - sizeof seal.end, seal.end, sizeof seal.end);
}

static fv_status put_library(void *user, fv_draft *draft) {
  library_cx *cx = user;
  cx->draft = draft;
  FV_TRY(put(cx, cx->around.head, cx->around.head_size));
  FV_TRY(put(cx, cx->blob.data, cx->blob.size));
  FV_TRY(fv_lower_write_constants(cx->e->lowered, cx->diag, put, cx));
  FV_TRY(put(cx, "\n", cx->around.pad));
  return cx->kind == FV_LIBRARY_SHARED ? put_seal(cx) : FV_OK;
}

static fv_status write_body(void *user) {
  library_cx *cx = user;
  fv_str header = {.arena = cx->ar};
  FV_TRY(fv_artifact_header(cx->ar, cx->e->image, cx->e->image_size, cx->name, &header));
  FV_TRY(make_blob(cx));
  if (cx->kind == FV_LIBRARY_ARCHIVE)
    FV_TRY(fv_archive_make(cx->ar, cx->blob.size + cx->e->lowered->const_bytes, cx->name, cx->diag,
                           &cx->around));
  const fv_piece text = {header.data, header.size};
  const fv_new_file files[] = {{.path = cx->path,
                                .mode = cx->kind == FV_LIBRARY_SHARED ? 0755 : 0644,
                                .write = put_library,
                                .user = cx},
                               {.path = cx->header_path, .piece = &text, .count = 1, .mode = 0644}};
  return fv_files_write(files, FV_COUNTOF(files), cx->diag);
}

fv_status fv_executable_write_library(const fv_executable *e, const char *name,
                                      fv_library_kind kind, const char *library_path,
                                      const char *header_path, fv_diag_sink *diag,
                                      int64_t *out_bytes) {
  diag = FV_SINK(diag);
  if (!name)
    name = e->info.name;
  if (!is_identifier(name))
    return fv_error(diag, FV_ERR_ARG, NULL, "'%s' is no C identifier; choose one with --name",
                    name);
  if (e->until != FV_STAGE_RUN && e->until != FV_STAGE_CODE)
    return fv_error(diag, FV_ERR_ARG, NULL, "compiling was stopped before a library");
  if (!e->lowered || !e->backend->emit_artifact)
    return fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "backend '%s' makes no libraries",
                    e->backend ? e->backend->name : "of a library");
  library_cx cx = {.e = e,
                   .name = name,
                   .kind = kind,
                   .ar = fv_arena_create(NULL),
                   .diag = diag,
                   .path = library_path,
                   .header_path = header_path};
  if (!cx.ar)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  const fv_status s = fv_guard(cx.ar, diag, write_body, &cx);
  if (cx.blob.release)
    cx.blob.release(cx.blob.data, cx.blob.size);
  fv_arena_destroy(cx.ar);
  if (s == FV_OK && out_bytes)
    *out_bytes = cx.bytes;
  return s;
}
