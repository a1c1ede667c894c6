// SPDX-License-Identifier: Apache-2.0
// base/file.h - whole files: read, mapped, written atomically.
#ifndef FOVEA_BASE_FILE_H_
#define FOVEA_BASE_FILE_H_

#include "base/diag.h"

// Reads a whole regular file into the arena (NUL appended, not counted).
// More than max_bytes is ERR_LIMIT. span: where the name stood; optional.
FV_NODISCARD fv_status fv_file_read(fv_arena *ar, const char *path, size_t max_bytes,
                                    fv_diag_sink *diag, const fv_span *span, char **out_data,
                                    size_t *out_size);

// Maps a regular file read-only; unmapped when the arena dies. A size of 0
// gives a valid pointer.
FV_NODISCARD fv_status fv_file_map(fv_arena *ar, const char *path, fv_diag_sink *diag,
                                   const fv_span *span, const void **out_data, size_t *out_size);

// The same, with the descriptor, which is closed when the arena dies.
FV_NODISCARD fv_status fv_file_map_open(fv_arena *ar, const char *path, fv_diag_sink *diag,
                                        int *out_fd, const void **out_data, size_t *out_size);

// Opens `name` strictly beneath directory `dir` ("" = the current one): an
// absolute name, one with "..", or one that leaves dir through a symbolic link
// is ERR_IO with a diagnostic. Maps it as above.
FV_NODISCARD fv_status fv_file_map_beneath(fv_arena *ar, const char *dir, const char *name,
                                           fv_diag_sink *diag, const fv_span *span,
                                           const void **out_data, size_t *out_size);

// As beneath, but symbolic links are followed wherever they lead: for a directory
// that the user named, with names that a file in it gives.
FV_NODISCARD fv_status fv_file_map_beside(fv_arena *ar, const char *dir, const char *name,
                                          fv_diag_sink *diag, const fv_span *span,
                                          const void **out_data, size_t *out_size);

// Pages of a mapped file may go until they are read again; memory that is not within the mapping
// stays.
typedef struct fv_mapping {
  const void *data;
  size_t size;
} fv_mapping;
void fv_mapping_release(const fv_mapping *m, const void *data, size_t size);  // NULL: no file's

// A piece of a file to write.
typedef struct fv_piece {
  const void *data;
  size_t size;
} fv_piece;

// A file under way.
typedef struct fv_draft fv_draft;
FV_NODISCARD fv_status fv_draft_put(fv_draft *d, const void *data, size_t size);  // at its end
// In place of bytes that were put already.
FV_NODISCARD fv_status fv_draft_patch(fv_draft *d, uint64_t at, const void *data, size_t size);
// What was put, as the pages of the file itself, for as long as the draft.
FV_NODISCARD fv_status fv_draft_view(fv_draft *d, const void **data, size_t *size);

typedef struct fv_new_file {
  const char *path;
  const fv_piece *piece;
  size_t count;
  unsigned mode;                                    // 0644 or 0755
  fv_status (*write)(void *user, fv_draft *draft);  // optional: what follows the pieces
  void *user;
} fv_new_file;

// Writes whole files: contents first, synced, then names, so that on failure the old files, if
// any, are untouched and nothing is left. Where the file system and /proc allow it a file has no
// name until then, and a process that is killed leaves nothing either; else it leaves
// .fovea-*.tmp in the same directory. A caller may block SIGINT, SIGTERM and SIGHUP meanwhile: when
// one is pending before the names are given, none is. An existing non-regular file (/dev/full, a
// pipe) is written in place, when all is there.
FV_NODISCARD fv_status fv_files_write(const fv_new_file *file, size_t n, fv_diag_sink *diag);

#endif  // FOVEA_BASE_FILE_H_
