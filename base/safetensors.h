// SPDX-License-Identifier: Apache-2.0
// base/safetensors.h - the tensors of a safetensors file in memory.
//
// The file is checked whole when it is opened: after that every tensor lies
// within the bytes and has the size that its shape says. Nothing is copied but
// names.
#ifndef FOVEA_BASE_SAFETENSORS_H_
#define FOVEA_BASE_SAFETENSORS_H_

#include "base/diag.h"
#include "fovea/dtype.h"

typedef struct fv_safetensor {
  const char *name;
  const char *type;  // as the file says: "F32"
  bool usable;       // fovea has this type: `dtype`
  fv_dtype dtype;
  int rank;
  int64_t dim[FV_MAX_RANK];
  int64_t bytes;
  const void *data;  // into the bytes of the file; aligned to nothing in particular
} fv_safetensor;

typedef struct fv_safetensors {
  fv_safetensor *tensor;  // in the order of the header
  int count;
  uint32_t *slot;  // hash table: number of a tensor + 1
  size_t n_slot;   // a power of two
} fv_safetensors;

// `file` names the file in messages. `data` must live as long as the tensors
// are used; the rest is in the arena. Refused are: a header over 100 MB or
// beyond the end, anything but the JSON of the format, duplicate names, sizes
// that differ from the shape, and overlaps, holes or bytes left over.
FV_NODISCARD fv_status fv_safetensors_open(fv_arena *ar, const char *file, const void *data,
                                           size_t size, fv_diag_sink *diag, const fv_span *span,
                                           fv_safetensors **out);

// NULL if there is none of that name.
const fv_safetensor *fv_safetensors_find(const fv_safetensors *st, const char *name);

#endif  // FOVEA_BASE_SAFETENSORS_H_
