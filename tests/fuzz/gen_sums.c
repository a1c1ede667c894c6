// SPDX-License-Identifier: Apache-2.0
// Reductions, contractions, pooling, softmax and norms.
#include <math.h>

#include "tests/fuzz/gen.h"

static double largest(const gen *g, const fv_expr *dim) {
  int64_t d = 1;
  return fv_x_eval_i64(dim, g->largest, &d) ? (double)d : 1;
}

static int random_axes(gen *g, int rank, int64_t *axes, double *count, const fv_type *t) {
  int n = 0;
  *count = 1;
  for (int i = 0; i < rank; i++)
    if (gen_chance(g, 0.5) || (i == rank - 1 && n == 0 && gen_chance(g, 0.7))) {
      axes[n++] = gen_chance(g, 0.3) ? i - rank : i;
      *count *= largest(g, t->dim[i]);
    }
  for (int i = 0; n == 0 && i < rank; i++)
    *count *= largest(g, t->dim[i]);
  return n;
}

bool gen_reduce(gen *g) {
  static const fv_op real[] = {FV_OP_reduce_sum, FV_OP_reduce_mean, FV_OP_reduce_max,
                               FV_OP_reduce_min, FV_OP_reduce_prod};
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  fv_op op = real[gen_int(g, 0, 4)];
  int64_t axes[FV_MAX_RANK];
  double count;
  if (!gen_is_real(&a))
    op = real[gen_int(g, 2, 3)];
  if (gen_is_int(&a) && gen_chance(g, 0.5))
    op = FV_OP_reduce_sum;
  const int n_axes = random_axes(g, t->rank, axes, &count, t);
  fv_node *n = gen_node(g, op, 1, &a);
  fv_attr_set_ints(n, "axes", n_axes, axes);
  fv_attr_set_bool(n, "keepdims", gen_chance(g, 0.6));
  val like = a;
  if (op == FV_OP_reduce_sum)
    like = (val){.exact = a.exact, .mag = a.mag * count, .min = a.min > 0 ? 0 : -a.mag * count};
  if (op == FV_OP_reduce_prod)
    like = (val){.exact = a.exact, .mag = pow(a.mag, count), .min = -INFINITY};
  if (op == FV_OP_reduce_mean)
    like.exact = false;
  return gen_done(g, n, like);
}

bool gen_moments(gen *g) {
  const val a = gen_pick_real(g);
  const fv_type *t = &a.v->type;
  int64_t axes[FV_MAX_RANK];
  double count;
  const int n_axes = random_axes(g, t->rank, axes, &count, t);
  const val x = gen_small(g, a, 64);
  fv_node *n = gen_node(g, FV_OP_moments, 1, &x);
  fv_attr_set_ints(n, "axes", n_axes, axes);
  fv_attr_set_bool(n, "keepdims", gen_chance(g, 0.6));
  return gen_done(g, n, (val){.mag = fmax(x.mag, x.mag * x.mag), .min = -x.mag});
}

bool gen_arg(gen *g) {
  const val a = gen_pick(g);
  if (!a.exact || a.v->type.rank == 0 || a.v->type.dtype == FV_bool)
    return false;
  static const fv_op op[] = {FV_OP_arg_max, FV_OP_arg_min, FV_OP_max_with_index};
  fv_node *n = gen_node(g, op[gen_int(g, 0, 2)], 1, &a);
  fv_attr_set_int(n, "axis", gen_int(g, -1, a.v->type.rank - 1));
  fv_attr_set_bool(n, "keepdims", gen_chance(g, 0.5));
  return gen_done(g, n, (val){.exact = true, .mag = fmax(a.mag, 4096), .min = fmin(a.min, 0)});
}

// The order of inexact values is a matter of rounding, but not the values themselves.
bool gen_top_k(gen *g) {
  const val a = gen_pick(g);
  const int rank = a.v->type.rank;
  if (rank == 0 || a.v->type.dtype == FV_bool)
    return false;
  fv_node *n = gen_node(g, FV_OP_top_k, 1, &a);
  fv_attr_set_int(n, "k", gen_int(g, 1, 5));
  fv_attr_set_int(n, "axis", gen_int(g, -1, rank - 1));
  fv_attr_set_bool(n, "largest", gen_chance(g, 0.6));
  if (!gen_done(g, n, a))
    return false;
  if (!a.exact)
    g->n--;
  else
    g->value[g->n - 1].mag = 4096;
  return true;
}

//===-- Contractions ------------------------------------------------------------------===//

static val product(const gen *g, val a, val b, const fv_expr *k, val bias) {
  const double mag = a.mag * b.mag * largest(g, k) + bias.mag;
  return (val){.exact = a.exact && b.exact && bias.exact, .mag = mag, .min = -mag};
}

static const val no_bias = {.exact = true};

// A second operand: what is there if it fits, else made.
static val second(gen *g, val a, const fv_expr *k) {
  const fv_type *t = &a.v->type;
  for (int i = 0; i < 6; i++) {
    const val b = gen_pick(g);
    const fv_type *u = &b.v->type;
    if (u->dtype != t->dtype || u->rank < 1)
      continue;
    if (u->dim[u->rank > 1 ? u->rank - 2 : 0] == k)
      return b;
    if (u->rank > 1 && u->dim[u->rank - 1] == k) {  // a product with a transposed view
      int64_t perm[FV_MAX_RANK];
      for (int d = 0; d < u->rank; d++)
        perm[d] = d < u->rank - 2 ? d : 2 * u->rank - 3 - d;
      fv_node *n = gen_node(g, FV_OP_transpose, 1, &b);
      fv_attr_set_ints(n, "perm", u->rank, perm);
      if (gen_done(g, n, b))
        return gen_last(g);
    }
  }
  const fv_expr *dims[FV_MAX_RANK];
  int rank = gen_chance(g, 0.1) ? 1 : 2;
  const int lead = t->rank > 2 && rank == 2 && gen_chance(g, 0.4) ? t->rank - 2 : 0;
  for (int i = 0; i < lead; i++)
    dims[i] = gen_chance(g, 0.2) ? gen_i64(g, 1) : t->dim[i];
  dims[lead] = k;
  if (rank == 2)
    dims[lead + 1] = gen_dim(g);
  return gen_fresh(g, a.exact ? 'n' : 0, t->dtype, lead + rank, dims);
}

bool gen_matmul(gen *g) {
  val a = gen_pick(g);
  if (a.v->type.rank == 0 || a.v->type.dtype == FV_bool)
    return false;
  if (gen_is_real(&a))
    a = gen_small(g, a, 40);
  const fv_type *t = &a.v->type;
  const fv_expr *k = t->dim[t->rank - 1];
  val b = second(g, a, k);
  if (gen_is_real(&b))
    b = gen_small(g, b, 40);
  const val in[] = {a, b};
  if (t->rank == 2 && b.v->type.rank == 2 && gen_is_real(&a) && gen_chance(g, 0.2)) {
    fv_node *n = gen_node(g, FV_OP_gemm, 2, in);
    fv_attr_set_float(n, "alpha", 0.5);
    return gen_done(g, n, product(g, a, (val){.mag = b.mag}, k, no_bias));
  }
  return gen_op(g, FV_OP_matmul, 2, in, product(g, a, b, k, no_bias));
}

bool gen_linear(gen *g) {
  val a = gen_small(g, gen_pick_rank(g, 1, 4), 40);
  const fv_type *t = &a.v->type;
  const fv_expr *k = t->dim[t->rank - 1];
  const fv_expr *dims[] = {gen_dim(g), k};
  const char kind = a.exact ? 'n' : 0;
  const val w = gen_fresh(g, kind, t->dtype, 2, dims);
  const int n_in = gen_chance(g, 0.6) ? 3 : 2;
  const val b = n_in == 3 ? gen_fresh(g, kind, t->dtype, 1, dims) : no_bias;
  const val in[] = {a, w, b};
  return gen_op(g, FV_OP_linear, n_in, in, product(g, a, w, k, b));
}

static val weight_of_conv(gen *g, const val *a, int64_t group, int spatial, int64_t *kernel) {
  const fv_type *t = &a->v->type;
  static const int64_t channels[] = {4, 8, 16, 16, 17, 32};
  const fv_expr *dims[FV_MAX_RANK];
  int64_t c = 1, out = channels[gen_int(g, 0, 5)];
  gen_static(t->dim[1], &c);
  if (group > 1)
    out = group * gen_int(g, 1, 2);
  dims[0] = gen_i64(g, out);
  dims[1] = gen_i64(g, c / group);
  for (int i = 0; i < spatial; i++) {
    kernel[i] = gen_int(g, 1, 3);
    dims[2 + i] = gen_i64(g, kernel[i]);
  }
  return gen_fresh(g, a->exact ? 'n' : 0, t->dtype, t->rank, dims);
}

static void conv_attributes(gen *g, fv_node *n, int spatial, int64_t group) {
  int64_t v[2 * FV_MAX_RANK];
  for (int i = 0; i < 2 * spatial; i++)
    v[i] = gen_int(g, 0, 1);
  if (gen_chance(g, 0.7))
    fv_attr_set_ints(n, "pads", 2 * spatial, v);
  for (int i = 0; i < spatial; i++)
    v[i] = gen_chance(g, 0.3) ? 2 : 1;
  fv_attr_set_ints(n, "strides", spatial, v);
  if (gen_chance(g, 0.15))
    fv_attr_set_ints(n, "dilations", spatial, v);
  fv_attr_set_int(n, "group", group);
}

// Squeeze and excitation, the way of mobile networks.
static void squeeze_excite(gen *g, val a) {
  val in[2] = {a};
  if (!gen_op(g, FV_OP_global_average_pool, 1, &a, (val){.mag = a.mag, .min = -a.mag}))
    return;
  in[1] = gen_last(g);
  if (gen_op(g, FV_OP_sigmoid, 1, &in[1], (val){.mag = 1, .min = 0}))
    in[1] = gen_last(g);
  gen_op(g, FV_OP_mul, 2, in, (val){.mag = a.mag * in[1].mag, .min = -a.mag * in[1].mag});
}

bool gen_conv(gen *g) {
  static const int64_t channels[] = {1, 3, 4, 8, 16, 16, 17, 32};
  val a = gen_small(g, gen_pick_rank(g, 3, 5), 20);
  int64_t c, kernel[FV_MAX_RANK];
  if (!gen_static(a.v->type.dim[1], &c) || c < 1) {
    const fv_expr *dims[] = {gen_chance(g, 0.3) ? gen_dim(g) : gen_i64(g, gen_int(g, 1, 2)),
                             gen_i64(g, channels[gen_int(g, 0, 7)]), gen_i64(g, gen_int(g, 3, 9)),
                             gen_chance(g, 0.3) ? gen_dim(g) : gen_i64(g, gen_int(g, 3, 9))};
    a = gen_fresh(g, 0, g->real, 4, dims);
    gen_static(dims[1], &c);
  }
  const int spatial = a.v->type.rank - 2;
  const int64_t group = gen_chance(g, 0.2) ? c : 1;
  const val w = weight_of_conv(g, &a, group, spatial, kernel);
  const int n_in = gen_chance(g, 0.5) ? 3 : 2;
  const val b =
      n_in == 3 ? gen_fresh(g, a.exact ? 'n' : 0, a.v->type.dtype, 1, &w.v->type.dim[0]) : no_bias;
  const val in[] = {a, w, b};
  fv_node *n = gen_node(g, FV_OP_conv, n_in, in);
  conv_attributes(g, n, spatial, group);
  double points = (double)c / (double)group;
  for (int i = 0; i < spatial; i++)
    points *= (double)kernel[i];
  const double mag = a.mag * w.mag * points + b.mag;
  if (!gen_done(g, n, (val){.exact = a.exact && w.exact && b.exact, .mag = mag, .min = -mag}))
    return false;
  if (gen_chance(g, 0.4))
    gen_norm(g);
  if (gen_chance(g, 0.4))
    gen_unary(g);
  const val last = gen_last(g);
  if (gen_chance(g, 0.3) && gen_is_real(&last) && last.v->type.rank > 2)
    squeeze_excite(g, last);
  return true;
}

bool gen_pool(gen *g) {
  const val a = gen_pick_rank(g, 3, 5);
  const int spatial = a.v->type.rank - 2;
  const double u = fuzz_unit(&g->r);
  if (u < 0.3)
    return gen_op(g, FV_OP_global_max_pool, 1, &a, a);
  if (u < 0.5)
    return gen_op(g, FV_OP_global_average_pool, 1, &a, (val){.mag = a.mag, .min = -a.mag});
  const bool max = u < 0.75;
  fv_node *n = gen_node(g, max ? FV_OP_max_pool : FV_OP_average_pool, 1, &a);
  int64_t v[2 * FV_MAX_RANK], pads[2 * FV_MAX_RANK] = {0};
  for (int i = 0; i < spatial; i++)
    v[i] = gen_int(g, 1, 3);
  for (int i = 0; i < 2 * spatial; i++)
    pads[i] = v[i % spatial] > 1 && gen_chance(g, 0.4);
  fv_attr_set_ints(n, "kernel_shape", spatial, v);
  fv_attr_set_ints(n, "pads", 2 * spatial, pads);
  for (int i = 0; i < spatial; i++)
    v[i] = gen_int(g, 1, 2);
  fv_attr_set_ints(n, "strides", spatial, v);
  return gen_done(g, n, (val){.exact = max && a.exact, .mag = a.mag, .min = max ? a.min : -a.mag});
}

//===-- Softmax and norms ---------------------------------------------------------------===//

bool gen_softmax(gen *g) {
  const val a = gen_pick_rank(g, 1, 5);
  const bool log = gen_chance(g, 0.2);
  fv_node *n = gen_node(g, log ? FV_OP_log_softmax : FV_OP_softmax, 1, &a);
  if (gen_chance(g, 0.4))
    fv_attr_set_int(n, "axis", gen_int(g, -1, a.v->type.rank - 1));
  return gen_done(g, n, (val){.mag = log ? 2 * a.mag + 10 : 1, .min = log ? -2 * a.mag - 10 : 0});
}

static bool layer_norm(gen *g, val a) {
  const fv_type *t = &a.v->type;
  const int axis = gen_chance(g, 0.7) ? t->rank - 1 : gen_int(g, 0, t->rank - 1);
  const bool rms = gen_chance(g, 0.4);
  const val scale = gen_fresh(g, 0, t->dtype, t->rank - axis, &t->dim[axis]);
  const int n_in = rms || gen_chance(g, 0.3) ? 2 : 3;
  val in[3] = {a, scale, scale};
  if (n_in == 3)
    in[2] = gen_fresh(g, 0, t->dtype, t->rank - axis, &t->dim[axis]);
  double count = 1;
  for (int i = axis; i < t->rank; i++)
    count *= largest(g, t->dim[i]);
  fv_node *n = gen_node(g, rms ? FV_OP_rms_norm : FV_OP_layer_norm, n_in, in);
  fv_attr_set_int(n, "axis", gen_chance(g, 0.5) ? axis : axis - t->rank);
  const double mag = sqrt(count) * 3 + 3;
  return gen_done(g, n, (val){.mag = mag, .min = -mag});
}

static bool batch_norm(gen *g, val a) {
  const fv_type *t = &a.v->type;
  const fv_expr *c = t->dim[1];
  const val in[] = {a, gen_fresh(g, 0, t->dtype, 1, &c), gen_fresh(g, 0, t->dtype, 1, &c),
                    gen_fresh(g, 0, t->dtype, 1, &c), gen_fresh(g, 'q', t->dtype, 1, &c)};
  const double mag = (a.mag + 3) * 6 + 3;
  return gen_op(g, FV_OP_batch_norm, 5, in, (val){.mag = mag, .min = -mag});
}

bool gen_norm(gen *g) {
  const val a = gen_pick_rank(g, 1, 5);
  const double u = fuzz_unit(&g->r);
  if (u < 0.15) {
    fv_node *n = gen_node(g, FV_OP_lp_normalize, 1, &a);
    fv_attr_set_int(n, "axis", gen_int(g, -1, a.v->type.rank - 1));
    fv_attr_set_int(n, "p", gen_int(g, 1, 2));
    return gen_done(g, n, (val){.mag = 1, .min = -1});
  }
  return a.v->type.rank > 1 && (u < 0.4 || a.v->type.rank > 3) ? batch_norm(g, a)
                                                               : layer_norm(g, a);
}
