// SPDX-License-Identifier: Apache-2.0
// compiler/archive.h - static libraries.
#ifndef FOVEA_COMPILER_ARCHIVE_H_
#define FOVEA_COMPILER_ARCHIVE_H_

#include "base/diag.h"

// What stands around the one object of an archive, which defines NAME_get: before it the head, with
// the index that linkers look symbols up in; behind it `pad` bytes '\n'. The same object gives the
// same bytes.
typedef struct fv_archive_parts {
  const void *head;
  size_t head_size, pad;
} fv_archive_parts;
FV_NODISCARD fv_status fv_archive_make(fv_arena *ar, uint64_t size, const char *name,
                                       fv_diag_sink *diag, fv_archive_parts *out);

#endif  // FOVEA_COMPILER_ARCHIVE_H_
