// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/checked.h"
#include "frontend/weights/weights.h"

fv_view fv_view_of(const fv_tensor *t) {
  fv_view v = {.base = t, .rank = t->rank};
  int64_t step = 1;
  for (int i = t->rank - 1; i >= 0; i--) {
    v.dim[i] = t->dim[i];
    v.stride[i] = step;
    step *= t->dim[i] > 0 ? t->dim[i] : 1;  // bounded when the tensor was read
  }
  return v;
}

static const char *normalise(const fv_view *v, int64_t *axis) {
  if (*axis < -v->rank || *axis >= v->rank)
    return "the axis is out of range";
  *axis += *axis < 0 ? v->rank : 0;
  return NULL;
}

const char *fv_view_transpose(fv_view *v, int n, const int64_t *perm) {
  if (n != 0 && n != v->rank)
    return "transpose needs one entry for each axis";
  fv_view old = *v;
  unsigned seen = 0;
  for (int i = 0; i < v->rank; i++) {
    int64_t from = n ? perm[i] : v->rank - 1 - i;
    if (normalise(&old, &from) || (seen >> from & 1)) {
      *v = old;
      return "transpose needs each axis once";
    }
    seen |= 1U << from;
    v->dim[i] = old.dim[from];
    v->stride[i] = old.stride[from];
  }
  return NULL;
}

const char *fv_view_slice(fv_view *v, int64_t axis, int64_t start, int64_t end) {
  const char *err = normalise(v, &axis);
  if (err)
    return err;
  if (start < 0 || end < start || end > v->dim[axis])
    return "the slice is not within the tensor";
  v->offset += start * v->stride[axis];
  v->dim[axis] = end - start;
  return NULL;
}

const char *fv_view_split(fv_view *v, int64_t axis, int64_t parts, int64_t index) {
  const char *err = normalise(v, &axis);
  if (err)
    return err;
  if (parts <= 0 || v->dim[axis] % parts != 0)
    return "the axis cannot be split into that many equal parts";
  if (index < 0 || index >= parts)
    return "there is no such part: they count from 0";
  const int64_t size = v->dim[axis] / parts;
  return fv_view_slice(v, axis, index * size, (index + 1) * size);
}

const char *fv_view_select(fv_view *v, int64_t axis, int64_t index) {
  const char *err = normalise(v, &axis);
  if (err)
    return err;
  if (index < 0 || index >= v->dim[axis])
    return "the index is not within the tensor";
  v->offset += index * v->stride[axis];
  v->rank--;
  for (int64_t i = axis; i < v->rank; i++) {
    v->dim[i] = v->dim[i + 1];
    v->stride[i] = v->stride[i + 1];
  }
  return NULL;
}

static int64_t count_of(const fv_view *v) {
  int64_t n = 1;
  for (int i = 0; i < v->rank; i++)
    n *= v->dim[i];
  return n;
}

const char *fv_view_reshape(fv_arena *ar, fv_view *v, int n, const int64_t *dims) {
  if (n > FV_MAX_RANK)
    return "more dims than a tensor can have";
  int64_t count;
  if (!fv_bytes_i64(dims, n, 1, &count) || count != count_of(v))
    return "reshape must keep the number of elements";
  const fv_tensor *packed = fv_view_tensor(ar, v, v->base->name);
  fv_tensor t = *packed;
  t.rank = n;
  for (int i = 0; i < n; i++)
    t.dim[i] = dims[i];
  *v = fv_view_of(fv_arena_dup(ar, &t, sizeof t));
  return NULL;
}

const fv_tensor *fv_view_tensor(fv_arena *ar, const fv_view *v, const char *name) {
  fv_tensor like = *v->base;
  like.name = name;
  like.rank = v->rank;
  memcpy(like.dim, v->dim, sizeof like.dim);
  return fv_tensor_view(ar, &like, v->base, v->offset, v->stride);
}
