// SPDX-License-Identifier: Apache-2.0
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/gather.h"
#include "ir/graph/graph.h"

struct fv_tensor_source {
  const void *data;  // of the first element
  fv_dtype dtype;    // in which it is stored
  int rank;
  int64_t dim[FV_MAX_RANK], stride[FV_MAX_RANK];  // in elements; the last dim runs first
  _Atomic(void *) made;                           // by whom it was asked for first; from malloc
};

static int64_t count_of(const fv_tensor_source *s) {
  int64_t n = 1;
  for (int d = 0; d < s->rank; d++)
    n *= s->dim[d];
  return n;
}

static bool is_row_major(int rank, const int64_t *dim, const int64_t *stride) {
  int64_t step = 1;
  for (int d = rank - 1; d >= 0; d--) {
    if (dim[d] != 1 && stride[d] != step)
      return false;
    step *= dim[d];
  }
  return true;
}

static void free_made(void *handle) {
  fv_tensor_source *s = handle;
  free(atomic_load(&s->made));
}

fv_tensor *fv_tensor_of(fv_arena *ar, const fv_tensor *like, const void *data, fv_dtype dtype,
                        const int64_t *stride) {
  fv_tensor *t = fv_arena_dup(ar, like, sizeof *t);
  fv_tensor_source s = {.data = data, .dtype = dtype, .rank = t->rank};
  memcpy(s.dim, t->dim, sizeof s.dim);
  memcpy(s.stride, stride, (size_t)t->rank * sizeof *stride);
  t->data = data;
  t->source = NULL;
  if (count_of(&s) == 0 || (dtype == t->dtype && is_row_major(s.rank, s.dim, s.stride) &&
                            (uintptr_t)data % (size_t)fv_dtype_size(dtype) == 0))
    return t;
  t->data = NULL;
  void **slot = fv_arena_defer(ar, free_made);
  *slot = t->source = FV_NEW(ar, fv_tensor_source);
  *t->source = s;
  return t;
}

fv_tensor *fv_tensor_view(fv_arena *ar, const fv_tensor *like, const fv_tensor *base,
                          int64_t offset, const int64_t *stride) {
  const fv_tensor_source *s = base->source;
  fv_dtype dtype = base->dtype;
  const char *data = base->data;
  if (s && fv_tensor_count(like) == count_of(s) && is_row_major(like->rank, like->dim, stride)) {
    fv_tensor *t = fv_arena_dup(ar, like, sizeof *t);  // all of it, in its order
    t->data = NULL;
    t->source = base->source;
    return t;
  }
  if (s && is_row_major(s->rank, s->dim, s->stride)) {
    dtype = s->dtype;
    data = s->data;
  } else if (s) {
    data = fv_tensor_data(ar, base);
  }
  return fv_tensor_of(ar, like, data + offset * fv_dtype_size(dtype), dtype, stride);
}

// A run along the last dim, to `out`.
static void convert(const fv_tensor_source *s, fv_dtype as, const char *from, char *out) {
  const size_t in = (size_t)fv_dtype_size(s->dtype), size = (size_t)fv_dtype_size(as);
  const int64_t n = s->rank ? s->dim[s->rank - 1] : 1;
  const int64_t step = s->rank ? s->stride[s->rank - 1] * (int64_t)in : 0;
  if (as == s->dtype) {
    fv_gather(out, from, in, (size_t)n, s->rank ? s->stride[s->rank - 1] : 1);
    return;
  }
  for (int64_t i = 0; i < n; i++, from += step, out += size) {
    uint64_t word = 0;
    memcpy(&word, from, in);
    fv_scalar_store(as, out, fv_scalar_load(s->dtype, &word));
  }
}

// From malloc; NULL: there is no memory.
static void *make(const fv_tensor *t) {
  const fv_tensor_source *s = t->source;
  const size_t size = (size_t)fv_dtype_size(t->dtype);
  char *out = malloc((size_t)count_of(s) * size), *to = out;
  int64_t at[FV_MAX_RANK] = {0};
  const int last = s->rank - 1;
  while (to) {
    int64_t offset = 0;
    for (int d = 0; d < last; d++)
      offset += at[d] * s->stride[d];
    convert(s, t->dtype, (const char *)s->data + offset * fv_dtype_size(s->dtype), to);
    to += (size_t)(s->rank ? s->dim[last] : 1) * size;
    int d = last - 1;
    while (d >= 0 && ++at[d] == s->dim[d])
      at[d--] = 0;
    if (d < 0)
      break;
  }
  return out;
}

const void *fv_tensor_data(fv_arena *ar, const fv_tensor *t) {
  if (!t->source)
    return t->data;
  void *made = atomic_load(&t->source->made), *none = NULL;
  if (made)
    return made;
  made = make(t);
  if (!made)
    fv_arena_exhausted(ar);
  if (atomic_compare_exchange_strong(&t->source->made, &none, made))
    return made;
  free(made);
  return none;
}

const void *fv_tensor_read(const fv_tensor *t, void **own) {
  *own = NULL;
  if (!t->source)
    return t->data;
  const void *made = atomic_load(&t->source->made);
  return made ? made : (*own = make(t));
}

fv_tensor_span fv_tensor_stored(const fv_tensor *t) {
  const fv_tensor_source *s = t->source;
  int64_t last = s ? 0 : fv_tensor_count(t) - 1;
  for (int d = 0; s && d < s->rank; d++)
    last += (s->dim[d] - 1) * s->stride[d];
  const fv_dtype dtype = s ? s->dtype : t->dtype;
  return (fv_tensor_span){s ? s->data : t->data, last + 1, dtype};
}

void fv_tensor_done(const fv_tensor *t, void *own) {
  const fv_tensor_span s = fv_tensor_stored(t);
  free(own);
  fv_mapping_release(t->file, s.data, (size_t)s.count * (size_t)fv_dtype_size(s.dtype));
}
