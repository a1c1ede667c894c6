// SPDX-License-Identifier: Apache-2.0
// Constants in their layouts, one after another, each made once.
#include <stdlib.h>
#include <string.h>

#include "base/gather.h"
#include "lower/lower.h"

enum { ROOM = 1 << 18 };  // what is made at a time: it stays in the cache until it is taken

typedef struct stream {
  fv_status (*put)(void *user, const void *data, size_t size);
  void *user;
  uint8_t *room;
  size_t n;     // of it in use
  uint64_t at;  // in the constants
} stream;

static fv_status flush(stream *s) {
  const size_t n = s->n;
  s->n = 0;
  return n ? s->put(s->user, s->room, n) : FV_OK;
}

static fv_status put_zeros(stream *s, uint64_t size) {
  while (size > 0) {
    if (s->n == ROOM)
      FV_TRY(flush(s));
    const size_t n = size < ROOM - s->n ? (size_t)size : ROOM - s->n;
    memset(s->room + s->n, 0, n);
    s->n += n;
    s->at += n;
    size -= n;
  }
  return FV_OK;
}

static fv_status put_run(stream *s, const uint8_t *from, size_t size, int64_t n, int64_t step) {
  while (n > 0) {
    if (ROOM - s->n < size)
      FV_TRY(flush(s));
    const size_t fit = (ROOM - s->n) / size, m = (uint64_t)n < fit ? (size_t)n : fit;
    fv_gather(s->room + s->n, from, size, m, step);
    s->n += m * size;
    s->at += m * size;
    from += (int64_t)m * step * (int64_t)size;
    n -= (int64_t)m;
  }
  return FV_OK;
}

static fv_status put_row_major(stream *s, const fv_tensor *t, const void *data, int size) {
  const size_t bytes = (size_t)fv_tensor_count(t) * (size_t)size;
  FV_TRY(flush(s));
  s->at += bytes;
  return bytes ? s->put(s->user, data, bytes) : FV_OK;
}

// Walks the destination in order, piece by piece like a counter; the last piece is a run.
static fv_status put_blocked(stream *s, const fv_tensor *t, const void *data, const fv_layout *y,
                             int size) {
  int64_t stride[FV_MAX_RANK], extent[FV_MAX_RANK + 2], at[FV_MAX_RANK + 2] = {0};
  int64_t step = 1, runs = 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    stride[d] = step;
    step *= t->dim[d];
  }
  for (int i = 0; i < y->n; i++) {
    const fv_layout_piece q = y->piece[i];
    extent[i] = q.inner   ? q.block
                : q.block ? (t->dim[q.axis] + q.block - 1) / q.block
                          : t->dim[q.axis];
    runs *= i + 1 < y->n ? extent[i] : extent[i] != 0;
  }
  const fv_layout_piece last = y->piece[y->n - 1];
  const int64_t each =
      last.block && !last.inner ? last.block : 1;  // of the axis, from one to the next
  for (int64_t r = 0; r < runs; r++) {
    int64_t index[FV_MAX_RANK] = {0}, from = 0;
    for (int i = 0; i + 1 < y->n; i++) {
      const fv_layout_piece q = y->piece[i];
      index[q.axis] += q.block && !q.inner ? at[i] * q.block : at[i];
    }
    int64_t inside = (t->dim[last.axis] - index[last.axis] + each - 1) / each;
    for (int d = 0; d < t->rank; d++) {
      inside = index[d] < t->dim[d] ? inside : 0;
      from += index[d] * stride[d];
    }
    inside = inside < extent[y->n - 1] ? inside : extent[y->n - 1];
    if (inside > 0)
      FV_TRY(put_run(s, (const uint8_t *)data + from * size, (size_t)size, inside,
                     each * stride[last.axis]));
    FV_TRY(put_zeros(s, (uint64_t)(extent[y->n - 1] - inside) * (uint64_t)size));
    for (int i = y->n - 2; i >= 0 && ++at[i] == extent[i]; i--)
      at[i] = 0;
  }
  return FV_OK;
}

static fv_status put_member(stream *s, const fv_lconst *c, const fv_tensor *t, fv_diag_sink *diag) {
  const int size = fv_dtype_size(c->type.dtype);
  void *own;
  const void *data = fv_tensor_read(t, &own);
  if (!data)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory: weight '%s'", t->name);
  const fv_status status = c->type.layout.n ? put_blocked(s, t, data, &c->type.layout, size)
                                            : put_row_major(s, t, data, size);
  fv_tensor_done(t, own);
  return status;
}

static fv_status put_all(const fv_lowered *l, stream *s, fv_diag_sink *diag) {
  for (size_t i = 0; i < l->n_constant; i++) {
    const fv_lconst *c = &l->constant[i];
    for (int m = 0; m < c->n_member; m++) {
      FV_TRY(put_zeros(s, c->offset + c->stride * (uint64_t)m - s->at));
      FV_TRY(put_member(s, c, c->member[m], diag));
    }
  }
  FV_TRY(put_zeros(s, l->const_bytes - s->at));
  return flush(s);
}

fv_status fv_lower_write_constants(const fv_lowered *l, fv_diag_sink *diag,
                                   fv_status (*put)(void *user, const void *data, size_t size),
                                   void *user) {
  stream s = {.put = put, .user = user, .room = malloc(ROOM)};
  if (!s.room)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  const fv_status status = put_all(l, &s, diag);
  free(s.room);
  return status;
}
