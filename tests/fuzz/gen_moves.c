// SPDX-License-Identifier: Apache-2.0
// Movement: reshapes, slices, concatenation, gathers.
#include "tests/fuzz/gen.h"

static int pick_axis(gen *g, const val *a) {
  return gen_int(g, 0, a->v->type.rank - 1);
}

// A negative axis means the same.
static int64_t either_sign(gen *g, int axis, int rank) {
  return gen_chance(g, 0.3) ? axis - rank : axis;
}

// Merges two axes, cuts one in two, or asks for all that is left.
static int new_dims(gen *g, const fv_type *t, const fv_expr **dims) {
  fv_xpool *p = g->m->pool;
  int rank = 0;
  const int at = t->rank ? gen_int(g, 0, t->rank - 1) : 0;
  const bool merge = gen_chance(g, 0.5);
  int64_t d;
  if (gen_chance(g, 0.15)) {
    dims[rank++] = gen_i64(g, -1);
    return rank;
  }
  for (int i = 0; i < t->rank && rank < FV_MAX_RANK - 1; i++) {
    if (i == at && merge && i + 1 < t->rank) {
      dims[rank++] = fv_x_mul(p, t->dim[i], t->dim[i + 1]);
      i++;
    } else if (i == at && gen_static(t->dim[i], &d) && d > 3) {
      int64_t by = 2;
      while (d % by != 0)
        by++;
      dims[rank++] = gen_i64(g, gen_chance(g, 0.5) ? by : d / by);
      dims[rank] = gen_i64(g, 0);
      gen_static(dims[rank - 1], &by);
      dims[rank++] = gen_i64(g, d / by);
    } else {
      dims[rank++] = t->dim[i];
    }
  }
  if (gen_chance(g, 0.2) && rank < 5)
    dims[rank++] = gen_i64(g, 1);
  return rank;
}

bool gen_reshape(gen *g) {
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  const double u = fuzz_unit(&g->r);
  if (u < 0.15) {
    fv_node *n = gen_node(g, FV_OP_unsqueeze, 1, &a);
    fv_attr_set_ints(n, "axes", 1, (int64_t[]){gen_int(g, 0, t->rank)});
    return gen_done(g, n, a);
  }
  if (u < 0.3) {
    int64_t one;
    for (int i = 0; i < t->rank; i++) {
      if (!gen_static(t->dim[i], &one) || one != 1)
        continue;
      fv_node *n = gen_node(g, FV_OP_squeeze, 1, &a);
      fv_attr_set_ints(n, "axes", 1, (int64_t[]){either_sign(g, i, t->rank)});
      return gen_done(g, n, a);
    }
  }
  if (u < 0.4) {
    fv_node *n = gen_node(g, FV_OP_flatten, 1, &a);
    fv_attr_set_int(n, "axis", gen_int(g, 0, t->rank));
    return gen_done(g, n, a);
  }
  const fv_expr *dims[FV_MAX_RANK];
  const int rank = new_dims(g, t, dims);
  fv_node *n = gen_node(g, FV_OP_reshape, 1, &a);
  fv_attr_set_dims(n, "shape", rank, dims);
  return gen_done(g, n, a);
}

bool gen_transpose(gen *g) {
  const val a = gen_pick(g);
  const int rank = a.v->type.rank;
  int64_t perm[FV_MAX_RANK];
  if (rank < 2)
    return false;
  for (int i = 0; i < rank; i++) {
    const int j = gen_int(g, 0, i);
    perm[i] = perm[j];
    perm[j] = i;
  }
  fv_node *n = gen_node(g, FV_OP_transpose, 1, &a);
  if (gen_chance(g, 0.8))
    fv_attr_set_ints(n, "perm", rank, perm);
  return gen_done(g, n, a);
}

bool gen_slice(gen *g) {
  const val a = gen_pick(g);
  const int rank = a.v->type.rank;
  if (rank == 0)
    return false;
  const int axis = pick_axis(g, &a);
  if (gen_chance(g, 0.25)) {
    fv_node *n = gen_node(g, FV_OP_select, 1, &a);
    fv_attr_set_int(n, "axis", either_sign(g, axis, rank));
    fv_attr_set_expr(n, "index", gen_i64(g, gen_int(g, -1, 1)));
    return gen_done(g, n, a);
  }
  fv_node *n = gen_node(g, FV_OP_slice, 1, &a);
  fv_attr_set_int(n, "axis", either_sign(g, axis, rank));
  if (gen_chance(g, 0.7))
    fv_attr_set_expr(n, "start", gen_i64(g, gen_int(g, -4, 3)));
  if (gen_chance(g, 0.5))
    fv_attr_set_expr(n, "end", gen_i64(g, gen_int(g, -2, 20)));
  if (gen_chance(g, 0.3))
    fv_attr_set_int(n, "step", gen_int(g, 1, 3));
  if (gen_chance(g, 0.2)) {  // backwards
    fv_attr_set_int(n, "step", -gen_int(g, 1, 2));
    fv_attr_set_expr(n, "start", gen_i64(g, gen_int(g, -2, 20)));
    fv_attr_set_expr(n, "end",
                     gen_i64(g, gen_chance(g, 0.5) ? gen_int(g, 0, 2) : -(INT64_C(1) << 48)));
  }
  return gen_done(g, n, a);
}

bool gen_concat(gen *g) {
  val in[4] = {gen_pick(g)};
  const fv_type *t = &in[0].v->type;
  if (t->rank == 0)
    return false;
  const int axis = pick_axis(g, &in[0]), n_in = gen_int(g, 2, 4);
  val like = in[0];
  for (int i = 1; i < n_in; i++) {
    const double u = fuzz_unit(&g->r);
    in[i] = u < 0.3 ? in[0] : gen_pick(g);
    bool fits = in[i].v->type.rank == t->rank && in[i].v->type.dtype == t->dtype;
    for (int d = 0; d < t->rank && fits; d++)
      fits = d == axis || in[i].v->type.dim[d] == t->dim[d];
    if (!fits) {
      const fv_expr *dims[FV_MAX_RANK];
      for (int d = 0; d < t->rank; d++)
        dims[d] = d == axis ? gen_dim(g) : t->dim[d];
      in[i] = gen_fresh(g, 0, t->dtype, t->rank, dims);
    }
    like.exact = like.exact && in[i].exact;
    like.mag = in[i].mag > like.mag ? in[i].mag : like.mag;
    like.min = in[i].min < like.min ? in[i].min : like.min;
  }
  fv_node *n = gen_node(g, FV_OP_concat, n_in, in);
  fv_attr_set_int(n, "axis", either_sign(g, axis, t->rank));
  return gen_done(g, n, like);
}

bool gen_pad(gen *g) {
  val a = gen_pick(g);
  const int rank = a.v->type.rank;
  int64_t pads[2 * FV_MAX_RANK] = {0};
  for (int k = gen_int(g, 1, 2); k > 0 && rank; k--)
    pads[gen_int(g, 0, 2 * rank - 1)] = gen_int(g, -1, 2);
  fv_node *n = gen_node(g, FV_OP_pad, 1, &a);
  fv_attr_set_ints(n, "pads", 2 * rank, pads);
  if (gen_chance(g, 0.3))
    fv_attr_set_float(n, "value", 1);
  a.mag = a.mag > 1 ? a.mag : 1;
  a.min = a.min < 0 ? a.min : 0;
  return gen_done(g, n, a);
}

bool gen_expand(gen *g) {
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  const fv_expr *dims[FV_MAX_RANK];
  const int lead = t->rank < 4 ? gen_int(g, 0, 1) : 0;
  int64_t d;
  if (lead)
    dims[0] = gen_dim(g);
  for (int i = 0; i < t->rank; i++)
    dims[lead + i] = gen_static(t->dim[i], &d) && d == 1 ? gen_dim(g) : gen_i64(g, 1);
  fv_node *n = gen_node(g, FV_OP_expand, 1, &a);
  fv_attr_set_dims(n, "shape", lead + t->rank, dims);
  return gen_done(g, n, a);
}

bool gen_split(gen *g) {
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  if (t->rank == 0)
    return false;
  const int axis = pick_axis(g, &a);
  fv_node *n = gen_node(g, FV_OP_split, 1, &a);
  fv_attr_set_int(n, "axis", axis);
  int64_t d;
  if (gen_chance(g, 0.6)) {
    fv_attr_set_int(n, "parts", gen_int(g, 1, 4));
  } else if (gen_static(t->dim[axis], &d) && d > 1) {
    const int64_t cut = gen_int(g, 0, (int)d);
    const fv_expr *sizes[] = {gen_i64(g, cut), gen_i64(g, d - cut)};
    fv_attr_set_dims(n, "sizes", 2, sizes);
  }
  return gen_done(g, n, a);
}

//===-- By index --------------------------------------------------------------------===//

// Indices below the extent of an axis: an input, or positions that arg_max found.
static bool index_for(gen *g, const fv_expr *extent, val *out) {
  int64_t d;
  if (!gen_static(extent, &d))
    d = 1;
  if (d < 1)
    return false;
  const fv_expr *dims[] = {gen_dim(g), gen_dim(g)};
  *out = gen_index(g, gen_chance(g, 0.5) ? FV_i64 : FV_i32, d, gen_int(g, 0, 2), dims);
  return true;
}

bool gen_gather(gen *g) {
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  if (t->rank == 0)
    return false;
  const int axis = pick_axis(g, &a);
  val in[2] = {a, a};
  if (!index_for(g, t->dim[axis], &in[1]))
    return false;
  if (t->rank == 2 && gen_is_real(&a) && gen_chance(g, 0.4) && index_for(g, t->dim[0], &in[1])) {
    const val ids[] = {in[1], a};
    return gen_op(g, FV_OP_embedding, 2, ids, a);
  }
  fv_node *n = gen_node(g, FV_OP_gather, 2, in);
  fv_attr_set_int(n, "axis", either_sign(g, axis, t->rank));
  return gen_done(g, n, a);
}

bool gen_scatter(gen *g) {
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  int64_t d;
  if (t->rank == 0)
    return false;
  const int axis = pick_axis(g, &a);
  if (!gen_static(t->dim[axis], &d) || d < 1)
    return false;
  const fv_expr *dims[FV_MAX_RANK];
  const int count = gen_int(g, 1, (int)d);
  for (int i = 0; i < t->rank; i++)
    dims[i] = i == axis ? gen_i64(g, count) : t->dim[i];
  const val u = gen_fresh(g, a.exact ? 'n' : 0, t->dtype, t->rank, dims);
  const val in[] = {a, u};
  fv_node *n = gen_node(g, FV_OP_tensor_scatter, 2, in);
  fv_attr_set_int(n, "axis", either_sign(g, axis, t->rank));
  fv_attr_set_expr(n, "position", gen_i64(g, gen_int(g, 0, (int)d - count)));
  return gen_done(
      g, n, (val){.exact = a.exact && u.exact, .mag = a.mag + u.mag, .min = -(a.mag + u.mag)});
}

bool gen_make(gen *g) {
  const double u = fuzz_unit(&g->r);
  if (u < 0.3) {
    const val a = gen_pick(g);
    fv_node *n = gen_node(g, FV_OP_trilu, 1, &a);
    fv_attr_set_bool(n, "upper", gen_chance(g, 0.5));
    fv_attr_set_expr(n, "k", gen_i64(g, gen_int(g, -2, 2)));
    return gen_done(g, n, (val){.exact = a.exact, .mag = a.mag, .min = a.min < 0 ? a.min : 0});
  }
  if (u < 0.55) {
    fv_node *n = gen_node(g, FV_OP_range, 0, NULL);
    fv_attr_set_expr(n, "start", gen_i64(g, gen_int(g, -2, 2)));
    fv_attr_set_expr(n, "limit", gen_dim(g));
    fv_attr_set_int(n, "delta", gen_int(g, 1, 2));
    fv_attr_set_dtype(n, "dtype", gen_chance(g, 0.5) ? g->real : FV_i64);
    return gen_done(g, n, (val){.exact = true, .mag = 40, .min = -2});
  }
  if (u < 0.75) {
    val ids;
    fv_node *n;
    if (!index_for(g, gen_i64(g, gen_int(g, 1, 17)), &ids))
      return false;
    n = gen_node(g, FV_OP_one_hot, 1, &ids);
    fv_attr_set_expr(n, "depth", gen_dim(g));
    fv_attr_set_int(n, "axis", gen_int(g, -1, ids.v->type.rank));
    fv_attr_set_dtype(n, "dtype", g->real);
    return gen_done(g, n, (val){.exact = true, .mag = 1, .min = 0});
  }
  const fv_expr *dims[] = {gen_dim(g), gen_dim(g)};
  fv_node *n = gen_node(g, FV_OP_fill, 0, NULL);
  fv_attr_set_float(n, "value", gen_int(g, -2, 2));
  fv_attr_set_dims(n, "shape", gen_int(g, 0, 2), dims);
  fv_attr_set_dtype(n, "dtype", g->real);
  return gen_done(g, n, (val){.exact = true, .mag = 2, .min = -2});
}
