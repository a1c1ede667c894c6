// SPDX-License-Identifier: Apache-2.0
// compiler/archive.h - static libraries.
#ifndef FOVEA_COMPILER_ARCHIVE_H_
#define FOVEA_COMPILER_ARCHIVE_H_

#include "base/diag.h"
#include "fovea/fovea.h"

// An ar archive of one object, with the index that linkers look symbols up in: the object
// defines NAME_get. The same object gives the same bytes.
FV_NODISCARD fv_status fv_archive_make(const void *object, size_t size, const char *name,
                                       fv_diag_sink *diag, fv_bytes *out);

#endif  // FOVEA_COMPILER_ARCHIVE_H_
