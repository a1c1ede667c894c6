// SPDX-License-Identifier: Apache-2.0
#include "base/checked.h"
#include "ir/graph/graph.h"

bool fv_layout_eq(const fv_layout *a, const fv_layout *b) {
  if (a->n != b->n)
    return false;
  for (int i = 0; i < a->n; i++) {
    const fv_layout_piece *p = &a->piece[i], *q = &b->piece[i];
    if (p->axis != q->axis || p->inner != q->inner || p->block != q->block)
      return false;
  }
  return true;
}

bool fv_type_eq(const fv_type *a, const fv_type *b) {
  if (a->dtype != b->dtype || a->rank != b->rank)
    return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i])
      return false;
  return fv_layout_eq(&a->layout, &b->layout);
}

const fv_expr *fv_type_count(fv_xpool *p, const fv_type *t) {
  const fv_expr *n = fv_x_i64(p, 1);
  for (int i = 0; i < t->rank; i++)
    n = fv_x_mul(p, n, t->dim[i]);
  return n;
}

static const fv_layout_piece *piece_of(const fv_type *t, int i, fv_layout_piece *row_major) {
  if (t->layout.n)
    return &t->layout.piece[i];
  *row_major = (fv_layout_piece){.axis = (uint8_t)i};
  return row_major;
}

static int piece_count(const fv_type *t) {
  return t->layout.n ? t->layout.n : t->rank;
}

static const fv_expr *piece_extent(fv_xpool *p, const fv_type *t, const fv_layout_piece *l) {
  const fv_expr *dim = t->dim[l->axis];
  if (l->block == 0)
    return dim;
  const fv_expr *block = fv_x_i64(p, l->block);
  if (l->inner)
    return block;
  return fv_x_floordiv(p, fv_x_add(p, dim, fv_x_i64(p, l->block - 1)), block);
}

static const fv_expr *piece_index(fv_xpool *p, const fv_layout_piece *l, const fv_expr *index) {
  if (l->block == 0)
    return index;
  const fv_expr *block = fv_x_i64(p, l->block);
  return l->inner ? fv_x_mod(p, index, block) : fv_x_floordiv(p, index, block);
}

const fv_expr *fv_type_bytes(fv_xpool *p, const fv_type *t) {
  return fv_x_mul(p, fv_type_count(p, t), fv_x_i64(p, fv_dtype_size(t->dtype)));
}

const fv_expr *fv_type_member_stride(fv_xpool *p, const fv_type *t) {
  const fv_expr *align = fv_x_i64(p, FV_MEMBER_ALIGN);
  const fv_expr *up = fv_x_add(p, fv_type_bytes(p, t), fv_x_i64(p, FV_MEMBER_ALIGN - 1));
  return fv_x_mul(p, fv_x_floordiv(p, up, align), align);
}

const fv_expr *fv_type_stored(fv_xpool *p, const fv_type *t) {
  const fv_expr *n = fv_x_i64(p, 1);
  for (int i = 0; i < piece_count(t); i++) {
    fv_layout_piece row;
    n = fv_x_mul(p, n, piece_extent(p, t, piece_of(t, i, &row)));
  }
  return n;
}

const fv_expr *fv_type_offset(fv_xpool *p, const fv_type *t, const fv_expr *const *index) {
  const fv_expr *offset = fv_x_i64(p, 0);
  for (int i = 0; i < piece_count(t); i++) {
    fv_layout_piece row;
    const fv_layout_piece *l = piece_of(t, i, &row);
    offset = fv_x_mul(p, offset, piece_extent(p, t, l));
    offset = fv_x_add(p, offset, piece_index(p, l, index[l->axis]));
  }
  return offset;
}

bool fv_type_static(const fv_type *t, int64_t dims[FV_MAX_RANK]) {
  for (int i = 0; i < t->rank; i++)
    if (!fv_x_is_lit(t->dim[i], &dims[i]))
      return false;
  return true;
}

// "f32[B, 16, H]", and for a blocked layout "f32[B, 16, H]{0, 1/16, 2, 1%16}".
void fv_type_print_as(const fv_xpool *p, fv_str *s, const fv_type *t, const fv_xprint *how) {
  fv_str_printf(s, "%s[", fv_dtype_name(t->dtype));
  for (int i = 0; i < t->rank; i++) {
    fv_str_puts(s, i ? ", " : "");
    fv_x_print_as(p, s, t->dim[i], how);
  }
  fv_str_puts(s, "]");
  for (int i = 0; i < t->layout.n; i++) {
    const fv_layout_piece *l = &t->layout.piece[i];
    fv_str_printf(s, "%s%d", i ? ", " : "{", l->axis);
    if (l->block)
      fv_str_printf(s, "%c%d", l->inner ? '%' : '/', l->block);
  }
  if (t->layout.n)
    fv_str_puts(s, "}");
}

void fv_type_print(const fv_xpool *p, fv_str *s, const fv_type *t) {
  fv_type_print_as(p, s, t, &fv_xprint_short);
}

int64_t fv_tensor_count(const fv_tensor *t) {
  int64_t n;
  return fv_bytes_i64(t->dim, t->rank, 1, &n) ? n : -1;
}

bool fv_layout_valid(const fv_layout *l, int rank) {
  uint32_t whole[FV_MAX_RANK] = {0}, inner[FV_MAX_RANK] = {0};  // block + 1
  if (l->n == 0)
    return true;
  if (l->n > FV_MAX_RANK + 2)
    return false;
  for (int i = 0; i < l->n; i++) {
    const fv_layout_piece *p = &l->piece[i];
    if (p->axis >= rank || p->inner > 1 || (p->inner && p->block == 0))
      return false;
    uint32_t *seen = p->inner ? &inner[p->axis] : &whole[p->axis];
    // The outer piece stands in front of the inner one.
    if (*seen || (p->inner && whole[p->axis] != p->block + 1u))
      return false;
    *seen = p->block + 1u;
  }
  for (int i = 0; i < rank; i++)
    if (whole[i] == 0 || (whole[i] > 1 && inner[i] != whole[i]))
      return false;
  return true;
}
