// SPDX-License-Identifier: Apache-2.0
// frontend/weights/weights.h - the weights of a model, by their published names.
//
// A set of safetensors files, single or sharded by an index file. Tensors are
// borrowed from the mappings, which live as long as the arena; what has to be
// converted, transposed or cut is made when its elements are asked for.
#ifndef FOVEA_FRONTEND_WEIGHTS_WEIGHTS_H_
#define FOVEA_FRONTEND_WEIGHTS_WEIGHTS_H_

#include "ir/graph/graph.h"

typedef struct fv_weights fv_weights;

fv_weights *fv_weights_create(fv_arena *ar);

// Adds a .safetensors file, or all files of a .safetensors.index.json. With
// `dir` the name is opened strictly beneath it ("" = the current directory);
// with NULL the path is the user's own and trusted. `as` (optional) is the
// float type to which float tensors are converted when they are used.
FV_NODISCARD fv_status fv_weights_add(fv_weights *w, const char *dir, const char *name,
                                      const fv_dtype *as, fv_diag_sink *diag, const fv_span *span);

int fv_weights_count(const fv_weights *w);
// Tensors in the order of the files; NULL past the end.
const char *fv_weights_name(const fv_weights *w, int i);
// The tensor of that name, of the type that it is used in; NULL if there is none, or fovea lacks
// its type.
const fv_tensor *fv_weights_find(fv_weights *w, const char *name);
// The type of that tensor, as its file says, if fovea has no such type ("F8_E4M3"); else NULL.
const char *fv_weights_lacks(const fv_weights *w, const char *name);
// Names of the files, separated by commas, for messages.
const char *fv_weights_files(const fv_weights *w);

//===-- Views -------------------------------------------------------------===//

// A tensor seen through other strides, in elements.
typedef struct fv_view {
  const fv_tensor *base;
  int rank;
  int64_t dim[FV_MAX_RANK], stride[FV_MAX_RANK];
  int64_t offset;
} fv_view;

fv_view fv_view_of(const fv_tensor *t);
// On failure these leave the view alone and return a sentence; else NULL.
const char *fv_view_transpose(fv_view *v, int n, const int64_t *perm);  // n == 0: reversed
const char *fv_view_slice(fv_view *v, int64_t axis, int64_t start, int64_t end);
const char *fv_view_split(fv_view *v, int64_t axis, int64_t parts, int64_t index);
const char *fv_view_select(fv_view *v, int64_t axis, int64_t index);
const char *fv_view_reshape(fv_arena *ar, fv_view *v, int n, const int64_t *dims);
// The view as a tensor of that name.
const fv_tensor *fv_view_tensor(fv_arena *ar, const fv_view *v, const char *name);

#endif  // FOVEA_FRONTEND_WEIGHTS_WEIGHTS_H_
