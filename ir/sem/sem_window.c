// SPDX-License-Identifier: Apache-2.0
//
// Windows that slide over spatial axes: pooling, and the geometry of convolution.
#include <math.h>

#include "ir/sem/sem_util.h"

fv_status fv_sem_windows(fv_sem *s, int spatial, bool dilations, fv_window *w) {
  int64_t stride[FV_MAX_RANK];
  int64_t dilation[FV_MAX_RANK];
  int64_t pads[2 * FV_MAX_RANK];
  FV_TRY(fv_sem_ints(s, "strides", spatial, 1, INT32_MAX, 1, stride));
  FV_TRY(fv_sem_ints(s, "pads", 2 * spatial, 0, INT32_MAX, 0, pads));
  if (dilations)
    FV_TRY(fv_sem_ints(s, "dilations", spatial, 1, 65535, 1, dilation));
  for (int i = 0; i < spatial; i++) {
    w[i].stride = stride[i];
    w[i].dilation = dilations ? dilation[i] : 1;
    w[i].pad_begin = pads[i];
    w[i].pad_end = pads[spatial + i];
    w[i].in = fv_sem_dim(s, 0, 2 + i);
  }
  return FV_OK;
}

fv_status fv_sem_window_extent(fv_sem *s, const fv_window *w, int axis, const fv_expr **out) {
  fv_xpool *p = s->pool;
  const fv_expr *one = fv_x_i64(p, 1);
  const char *what = fv_arena_printf(s->arena, "the kernel along axis %d", axis);
  if (fv_sem_need(s, FV_REL_LE, one, w->kernel, what) != FV_YES)
    return fv_sem_error(s, "the kernel is empty along axis %d (%s)", axis, fv_sem_shapes(s));
  const fv_expr *reach = fv_x_mul(p, fv_x_sub(p, w->kernel, one), fv_x_i64(p, w->dilation));
  const fv_expr *padded = fv_x_add(p, w->in, fv_x_i64(p, w->pad_begin + w->pad_end));
  const fv_expr *room = fv_x_sub(p, fv_x_sub(p, padded, reach), one);
  const fv_truth fits = fv_sem_need(s, FV_REL_LE, fv_x_add(p, reach, one), padded, what);
  if (fits != FV_YES)
    return fv_sem_error(
        s, "along axis %d the kernel reaches over %s elements, the padded input %s %s%s (%s)", axis,
        fv_sem_dim_text(s, fv_x_add(p, reach, one)),
        fits == FV_NO ? "has" : "may have fewer:", fv_sem_dim_text(s, padded),
        fits == FV_NO ? "" : "; declare a larger min for its dims", fv_sem_shapes(s));
  *out = fv_x_add(p, fv_x_floordiv(p, room, fv_x_i64(p, w->stride)), one);
  return FV_OK;
}

const fv_expr *fv_sem_window_at(fv_sem *s, const fv_window *w, const fv_expr *o, const fv_expr *k,
                                const fv_expr **inside) {
  fv_xpool *p = s->pool;
  const fv_expr *at =
      fv_x_add(p, fv_x_mul(p, o, fv_x_i64(p, w->stride)), fv_x_mul(p, k, fv_x_i64(p, w->dilation)));
  at = fv_x_sub(p, at, fv_x_i64(p, w->pad_begin));
  // Without padding on a side no window leaves the input on that side.
  const fv_expr *low = w->pad_begin > 0 ? fv_sem_x2(s, FV_X_LE, fv_x_i64(p, 0), at) : NULL;
  const fv_expr *high = w->pad_end > 0 ? fv_sem_x2(s, FV_X_LT, at, w->in) : NULL;
  *inside = fv_sem_both(s, low, high);
  return at;
}

//===-- Pooling -----------------------------------------------------------===//

// Geometry and result of a pool; at[] are the input indices, *inside says when
// the element exists. w has room for FV_MAX_RANK.
static fv_status pool_nest(fv_sem *s, bool dilations, fv_window *w, const fv_expr **at,
                           const fv_expr **inside) {
  FV_TRY(fv_sem_want_rank(s, 0, 3, FV_MAX_RANK));
  const int rank = fv_sem_rank(s, 0);
  const int spatial = rank - 2;
  int64_t kernel[FV_MAX_RANK];
  if (fv_attr_get(s->node, "kernel_shape")->n == 0)
    return fv_sem_error(s, "kernel_shape needs %d entries (%s)", spatial, fv_sem_shapes(s));
  FV_TRY(fv_sem_ints(s, "kernel_shape", spatial, 1, INT32_MAX, 1, kernel));
  FV_TRY(fv_sem_windows(s, spatial, dilations, w));
  const fv_expr *dims[FV_MAX_RANK] = {fv_sem_dim(s, 0, 0), fv_sem_dim(s, 0, 1)};
  for (int i = 0; i < spatial; i++) {
    const int64_t reach = (kernel[i] - 1) * w[i].dilation + 1;
    if (w[i].pad_begin >= reach || w[i].pad_end >= reach)
      return fv_sem_error(s,
                          "pads of %lld and %lld along axis %d leave windows without any "
                          "input: they must be below the kernel's reach of %lld",
                          (long long)w[i].pad_begin, (long long)w[i].pad_end, 2 + i,
                          (long long)reach);
    w[i].kernel = fv_x_i64(s->pool, kernel[i]);
    FV_TRY(fv_sem_window_extent(s, &w[i], 2 + i, &dims[2 + i]));
  }
  fv_sem_result(s, fv_sem_type(s, 0)->dtype, rank, dims);
  *inside = NULL;
  at[0] = fv_sem_index(s, 0);
  at[1] = fv_sem_index(s, 1);
  for (int i = 0; i < spatial; i++) {
    const fv_expr *k = fv_sem_index(s, fv_sem_reduce(s, w[i].kernel));
    const fv_expr *in;
    at[2 + i] = fv_sem_window_at(s, &w[i], fv_sem_index(s, 2 + i), k, &in);
    *inside = fv_sem_both(s, *inside, in);
  }
  return FV_OK;
}

// What never wins a maximum.
static const fv_expr *lowest(fv_sem *s, fv_dtype t) {
  if (fv_dtype_is_float(t))
    return fv_x_lit_f(s->pool, t, -INFINITY);
  const int bits = 8 * fv_dtype_size(t);
  return fv_x_lit_i(s->pool, t, t == FV_u8 ? 0 : -(int64_t)(UINT64_MAX >> (65 - bits)) - 1);
}

fv_status fv_sem_max_pool(fv_sem *s) {
  fv_window w[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  const fv_expr *inside;
  FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  FV_TRY(pool_nest(s, true, w, at, &inside));
  const fv_expr *x = fv_sem_load(s, 0, at);
  if (inside)
    x = fv_sem_pick(s, inside, x, lowest(s, (fv_dtype)x->dtype));
  return fv_sem_combine(s, FV_COMBINE_MAX, x, NULL);
}

// How many elements of window `o` lie inside of the input.
static const fv_expr *covered(fv_sem *s, const fv_window *w, const fv_expr *o) {
  fv_xpool *p = s->pool;
  if (w->pad_begin == 0 && w->pad_end == 0)
    return w->kernel;
  const fv_expr *start =
      fv_x_sub(p, fv_x_mul(p, o, fv_x_i64(p, w->stride)), fv_x_i64(p, w->pad_begin));
  const fv_expr *stop = fv_x_add(p, start, w->kernel);
  if (w->pad_begin > 0)
    start = fv_sem_x2(s, FV_X_MAX, start, fv_x_i64(p, 0));
  if (w->pad_end > 0)
    stop = fv_sem_x2(s, FV_X_MIN, stop, w->in);
  return fv_x_sub(p, stop, start);
}

fv_status fv_sem_average_pool(fv_sem *s) {
  fv_window w[FV_MAX_RANK];
  const fv_expr *at[FV_MAX_RANK];
  const fv_expr *inside;
  FV_TRY(fv_sem_want_float(s, 0));
  FV_TRY(pool_nest(s, false, w, at, &inside));
  const fv_expr *x = fv_sem_load(s, 0, at);
  if (inside)
    x = fv_sem_pick(s, inside, x, fv_x_lit_f(s->pool, (fv_dtype)x->dtype, 0));
  const bool all = fv_attr_bool(s->node, "count_include_pad");
  const fv_expr *count = fv_x_i64(s->pool, 1);
  for (int i = 0; i < s->out[0].rank - 2; i++)
    count = fv_x_mul(s->pool, count, all ? w[i].kernel : covered(s, &w[i], fv_sem_index(s, 2 + i)));
  const fv_expr *sum = fv_sem_widen(s, fv_sem_acc(s, (fv_dtype)x->dtype));
  const fv_expr *mean =
      fv_sem_x2(s, FV_X_DIV, sum, fv_x_cast(s->pool, (fv_dtype)sum->dtype, count));
  return fv_sem_combine(s, FV_COMBINE_SUM, x, fv_x_cast(s->pool, s->out[0].dtype, mean));
}
