// SPDX-License-Identifier: Apache-2.0
//
// Movement: the shape changes, the elements do not. Reshape and its relatives
// stand in sem_reshape.c, ops with data-dependent indices in sem_select.c.
#include "base/checked.h"
#include "ir/sem/sem_util.h"

fv_status fv_sem_transpose(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  const fv_attr *perm = fv_attr_get(s->node, "perm");
  int64_t axis[FV_MAX_RANK];
  bool used[FV_MAX_RANK] = {false};
  if (perm->n != 0 && perm->n != x.rank)
    return fv_sem_error(s, "perm has %d entries, but x has rank %d (%s)", perm->n, x.rank,
                        fv_sem_shapes(s));
  for (int i = 0; i < x.rank; i++) {
    axis[i] = perm->n ? perm->ints[i] : x.rank - 1 - i;
    if (axis[i] < 0 || axis[i] >= x.rank || used[axis[i]])
      return fv_sem_error(s, "perm[%d] = %lld: perm must hold each of 0..%d once (%s)", i,
                          (long long)axis[i], x.rank - 1, fv_sem_shapes(s));
    used[axis[i]] = true;
  }
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  for (int i = 0; i < x.rank; i++) {
    dims[i] = x.dim[axis[i]];
    at[axis[i]] = fv_sem_index(s, i);
  }
  fv_sem_result(s, x.dtype, x.rank, dims);
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

// A dim of 1 in `shape` keeps the extent of x there (ONNX: broadcast both ways).
fv_status fv_sem_expand(fv_sem *s) {
  const fv_type *x = fv_sem_type(s, 0);
  fv_type want = {.dtype = x->dtype};
  const fv_expr *dims[FV_MAX_RANK];
  int rank;
  FV_TRY(fv_sem_shape_attr(s, "shape", &want.rank, want.dim));
  FV_TRY(fv_sem_broadcast_dims(s, (const fv_type *[]){x, &want}, 2, &rank, dims));
  fv_sem_result(s, x->dtype, rank, dims);
  return fv_sem_yield(s, fv_sem_arg(s, 0));
}

//===-- Parts of an axis --------------------------------------------------===//

// Element of operand 0 where the index along `axis` is replaced.
static const fv_expr *load_at(fv_sem *s, int operand, int axis, const fv_expr *index) {
  const fv_expr *at[FV_MAX_RANK];
  for (int i = 0; i < fv_sem_rank(s, operand); i++)
    at[i] = i == axis ? index : fv_sem_index(s, i);
  return fv_sem_load(s, operand, at);
}

static fv_status concat_dims(fv_sem *s, int axis, const fv_expr **dims) {
  const fv_type first = *fv_sem_type(s, 0);
  for (int i = 0; i < first.rank; i++)
    dims[i] = first.dim[i];
  for (int k = 1; k < s->node->n_in; k++) {
    FV_TRY(fv_sem_same_dtype(s, 0, k));
    FV_TRY(fv_sem_want_rank(s, k, first.rank, first.rank));
    for (int i = 0; i < first.rank; i++) {
      if (i == axis) {
        dims[i] = fv_x_add(s->pool, dims[i], fv_sem_dim(s, k, i));
        continue;
      }
      FV_TRY(fv_sem_same_axis(s, 0, i, k, i));
    }
  }
  return FV_OK;
}

// An element is looked for in all operands of one nest, and a kernel has so many
// buffers: a concat of more is one of concats.
enum { CONCAT_OPERANDS = 16 };

static fv_status concat_of_concats(fv_sem *s, int axis) {
  const int n = s->node->n_in, n_part = (n + CONCAT_OPERANDS - 1) / CONCAT_OPERANDS;
  fv_value **part = FV_NEW_N(s->arena, fv_value *, n_part + 1);
  fv_sem_begin_expansion(s);
  for (int k = 0; k <= n_part; k++) {
    const bool last = k == n_part;
    const int first = k * CONCAT_OPERANDS;
    const int rest = n - first < CONCAT_OPERANDS ? n - first : CONCAT_OPERANDS;
    fv_node *c =
        fv_sb_node(s, FV_OP_concat, last ? n_part : rest, last ? part : &s->build->param[first]);
    fv_attr_set_int(c, "axis", axis);
    part[k] = fv_sb_done(s, c);
  }
  return fv_sem_results(s, 1, &part[n_part]);
}

fv_status fv_sem_concat(fv_sem *s) {
  const int n = s->node->n_in;
  if (n == 0)
    return fv_sem_error(s, "needs one operand or more");
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  int axis;
  FV_TRY(fv_sem_axis(s, "axis", fv_sem_rank(s, 0), &axis));
  const fv_expr *dims[FV_MAX_RANK];
  FV_TRY(concat_dims(s, axis, dims));
  if (n > CONCAT_OPERANDS)
    return concat_of_concats(s, axis);
  fv_sem_result(s, fv_sem_type(s, 0)->dtype, fv_sem_rank(s, 0), dims);
  // From the last operand to the first: each stands before `limit`.
  const fv_expr *i = fv_sem_index(s, axis);
  const fv_expr *limit = dims[axis];
  const fv_expr *value = NULL;
  for (int k = n - 1; k >= 0; k--) {
    const fv_expr *begin = fv_x_sub(s->pool, limit, fv_sem_dim(s, k, axis));
    const fv_expr *here = load_at(s, k, axis, fv_x_sub(s->pool, i, begin));
    value = value ? fv_sem_pick(s, fv_sem_x2(s, FV_X_LT, i, limit), here, value) : here;
    limit = begin;
  }
  return fv_sem_yield(s, value);
}

// Sizes of the parts of a split.
static fv_status split_sizes(fv_sem *s, const fv_expr *extent, int *count, const fv_expr **size) {
  const fv_attr *sizes = fv_attr_get(s->node, "sizes");
  const int64_t parts = fv_attr_int(s->node, "parts");
  if ((sizes->n != 0) == (parts != 0) && sizes->n != parts)
    return fv_sem_error(s, "give either parts or sizes (parts = %lld, %d sizes)", (long long)parts,
                        sizes->n);
  if (sizes->n > FV_MAX_RESULTS || parts < 0 || parts > FV_MAX_RESULTS ||
      (parts == 0 && sizes->n == 0))
    return fv_sem_error(s, "%lld parts: it must be 1..%d", (long long)(sizes->n ? sizes->n : parts),
                        FV_MAX_RESULTS);
  *count = sizes->n ? sizes->n : (int)parts;
  if (!sizes->n) {
    const fv_expr *n = fv_x_i64(s->pool, parts), *zero = fv_x_i64(s->pool, 0);
    size[0] = fv_x_floordiv(s->pool, extent, n);
    if (!fv_x_divide(s->pool, extent, n, &size[0]) &&
        fv_sem_need(s, FV_REL_EQ, fv_x_mod(s->pool, extent, n), zero,
                    "what equal parts leave of the axis") != FV_YES)
      return fv_sem_error(s, "the extent %s cannot be cut into %lld equal parts (%s)",
                          fv_sem_dim_text(s, extent), (long long)parts, fv_sem_shapes(s));
    for (int i = 1; i < *count; i++)
      size[i] = size[0];
    return FV_OK;
  }
  const fv_expr *sum = fv_x_i64(s->pool, 0);
  for (int i = 0; i < *count; i++) {
    size[i] = sizes->dims[i];
    FV_TRY(fv_sem_want_not_negative(s, size[i], fv_arena_printf(s->arena, "sizes[%d]", i)));
    sum = fv_x_add(s->pool, sum, size[i]);
  }
  return fv_sem_same_dim(s, sum, extent, "the sum of sizes and the extent of the axis");
}

fv_status fv_sem_split(fv_sem *s) {
  int axis;
  int count = 0;
  const fv_expr *size[FV_MAX_RESULTS];
  fv_value *part[FV_MAX_RESULTS];
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", fv_sem_rank(s, 0), &axis));
  FV_TRY(split_sizes(s, fv_sem_dim(s, 0, axis), &count, size));
  fv_sem_begin_expansion(s);
  const fv_expr *start = fv_x_i64(s->pool, 0);
  for (int i = 0; i < count; i++) {
    const fv_expr *end = fv_x_add(s->pool, start, size[i]);
    part[i] = fv_sb_slice(s, fv_sem_param(s, 0), axis, start, end);
    start = end;
  }
  return fv_sem_results(s, count, part);
}

// A bound of a slice as an index lo..lo + extent: negative counts from the end, what
// is beyond is cut.
static fv_status slice_bound(fv_sem *s, const char *attr, int lo, const fv_expr *extent,
                             const fv_expr **out) {
  const int64_t limit = INT64_C(1) << 48;
  const fv_expr *least = fv_x_i64(s->pool, lo), *most = fv_x_add(s->pool, extent, least);
  const fv_expr *e = fv_attr_get(s->node, attr)->x;
  int64_t v;
  if (fv_x_is_lit(e, &v)) {
    if (v <= -limit || v >= limit) {
      *out = v < 0 ? least : most;
      return FV_OK;
    }
    if (v < 0)
      e = fv_x_add(s->pool, e, extent);
  } else if (fv_sem_in_range(s, e, extent) != FV_YES &&
             fv_sem_need(s, FV_REL_LE, fv_x_i64(s->pool, 0), e, attr) != FV_YES) {
    return fv_sem_error(s, "cannot prove that %s = %s is 0 or more (%s)", attr,
                        fv_sem_dim_text(s, e), fv_sem_shapes(s));
  }
  const fv_expr *above = fv_x_sub(s->pool, e, least);
  if (fv_sem_in_range(s, above, fv_x_add(s->pool, extent, fv_x_i64(s->pool, 1))) == FV_YES)
    *out = e;
  else
    *out = fv_sem_min_i64(s, fv_sem_max_i64(s, e, least), most);
  return FV_OK;
}

fv_status fv_sem_slice(fv_sem *s) {
  fv_xpool *p = s->pool;
  const fv_type x = *fv_sem_type(s, 0);
  int axis;
  const fv_expr *start;
  const fv_expr *end;
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", x.rank, &axis));
  const int64_t by = fv_attr_int(s->node, "step");
  FV_TRY(fv_sem_int_in(s, "step", -INT32_MAX, INT32_MAX));
  if (by == 0)
    return fv_sem_error(s, "step must not be 0");
  // Backwards, the entry before the first one ends the slice.
  FV_TRY(slice_bound(s, "start", by < 0 ? -1 : 0, x.dim[axis], &start));
  FV_TRY(slice_bound(s, "end", by < 0 ? -1 : 0, x.dim[axis], &end));
  const fv_expr *step = fv_x_i64(p, by), *stride = fv_x_i64(p, by < 0 ? -by : by);
  const fv_expr *way = by < 0 ? fv_x_sub(p, start, end) : fv_x_sub(p, end, start);
  const fv_expr *count = fv_sem_max_i64(s, way, fv_x_i64(p, 0));
  count = fv_x_floordiv(p, fv_x_add(p, count, fv_x_sub(p, stride, fv_x_i64(p, 1))), stride);
  const fv_expr *dims[FV_MAX_RANK];
  for (int i = 0; i < x.rank; i++)
    dims[i] = i == axis ? count : x.dim[i];
  fv_sem_result(s, x.dtype, x.rank, dims);
  const fv_expr *at = fv_x_add(p, start, fv_x_mul(p, fv_sem_index(s, axis), step));
  return fv_sem_yield(s, load_at(s, 0, axis, at));
}

fv_status fv_sem_select(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  int axis;
  const fv_expr *index;
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", x.rank, &axis));
  FV_TRY(fv_sem_expr(s, "index", &index));
  int64_t v;
  if (fv_x_is_lit(index, &v) && v < 0)
    index = fv_x_add(s->pool, index, x.dim[axis]);
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < x.rank; i++) {
    at[i] = i == axis ? index : fv_sem_index(s, rank);
    if (i != axis)
      dims[rank++] = x.dim[i];
  }
  fv_sem_result(s, x.dtype, rank, dims);
  FV_TRY(fv_sem_want_in_range(s, index, x.dim[axis], "index"));
  return fv_sem_yield(s, fv_sem_load(s, 0, at));
}

//===-- More elements -----------------------------------------------------===//

fv_status fv_sem_pad(fv_sem *s) {
  const fv_type x = *fv_sem_type(s, 0);
  int64_t pads[2 * FV_MAX_RANK];
  const fv_expr *value;
  FV_TRY(fv_sem_ints(s, "pads", 2 * x.rank, -INT32_MAX, INT32_MAX, 0, pads));
  FV_TRY(fv_sem_literal(s, "value", x.dtype, &value));
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  const fv_expr *inside = NULL;
  for (int i = 0; i < x.rank; i++) {
    const int64_t before = pads[i];
    const int64_t after = pads[x.rank + i];
    dims[i] = fv_x_add(s->pool, x.dim[i], fv_x_i64(s->pool, before + after));
    FV_TRY(fv_sem_want_not_negative(s, dims[i],
                                    fv_arena_printf(s->arena, "axis %d after padding", i)));
    at[i] = fv_x_sub(s->pool, fv_sem_index(s, i), fv_x_i64(s->pool, before));
    if (before > 0)
      inside = fv_sem_both(s, inside, fv_sem_x2(s, FV_X_LE, fv_x_i64(s->pool, 0), at[i]));
    if (after > 0)
      inside = fv_sem_both(s, inside, fv_sem_x2(s, FV_X_LT, at[i], x.dim[i]));
  }
  fv_sem_result(s, x.dtype, x.rank, dims);
  const fv_expr *y = fv_sem_load(s, 0, at);
  return fv_sem_yield(s, inside ? fv_sem_pick(s, inside, y, value) : y);
}

fv_status fv_sem_range(fv_sem *s) {
  fv_xpool *p = s->pool;
  const fv_dtype t = fv_attr_get(s->node, "dtype")->t;
  const int64_t delta = fv_attr_int(s->node, "delta");
  const fv_expr *start;
  const fv_expr *limit;
  FV_TRY(fv_sem_expr(s, "start", &start));
  FV_TRY(fv_sem_expr(s, "limit", &limit));
  FV_TRY(fv_sem_int_in(s, "delta", -INT32_MAX, INT32_MAX));
  if (delta == 0)
    return fv_sem_error(s, "delta must not be 0");
  if (t == FV_bool)
    return fv_sem_error(s, "dtype = bool: a range holds numbers");
  const fv_expr *way = delta > 0 ? fv_x_sub(p, limit, start) : fv_x_sub(p, start, limit);
  const int64_t step = delta > 0 ? delta : -delta;
  way = fv_sem_max_i64(s, way, fv_x_i64(p, 0));
  const fv_expr *count =
      fv_x_floordiv(p, fv_x_add(p, way, fv_x_i64(p, step - 1)), fv_x_i64(p, step));
  fv_sem_result(s, t, 1, &count);
  const fv_expr *i = fv_x_mul(p, fv_sem_index(s, 0), fv_x_i64(p, delta));
  return fv_sem_yield(s, fv_x_cast(p, t, fv_x_add(p, start, i)));
}

fv_status fv_sem_fill(fv_sem *s) {
  const fv_dtype t = fv_attr_get(s->node, "dtype")->t;
  const fv_expr *dims[FV_MAX_RANK];
  const fv_expr *value;
  int rank;
  FV_TRY(fv_sem_shape_attr(s, "shape", &rank, dims));
  FV_TRY(fv_sem_literal(s, "value", t, &value));
  fv_sem_result(s, t, rank, dims);
  return fv_sem_yield(s, value);
}
