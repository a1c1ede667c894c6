// SPDX-License-Identifier: Apache-2.0
// What reads and writes where indices say, running sums, and whole recurrent layers.
#include "tests/fuzz/gen.h"

static double largest(const gen *g, const fv_expr *dim) {
  int64_t d = 1;
  return fv_x_eval_i64(dim, g->largest, &d) ? (double)d : 1;
}

//===-- By tuples of indices ----------------------------------------------------------===//

// How many leading axes of a are static, not empty and of one extent: one bound holds for
// all indices of a tuple.
static int tuple_room(const fv_type *t, int64_t *extent) {
  int n = 0;
  int64_t d;
  while (n < t->rank && gen_static(t->dim[n], &d) && d > 0 && (n == 0 || d == *extent)) {
    *extent = d;
    n++;
  }
  return n;
}

// Tuples of indices into the leading axes of a, [lead..., tuple]; false if there is no room.
static bool tuples(gen *g, const val *a, int *lead, int *tuple, val *out) {
  int64_t extent = 0;
  const int room = tuple_room(&a->v->type, &extent);
  if (room == 0)
    return false;
  *tuple = gen_int(g, 1, room);
  *lead = gen_int(g, 0, 2);
  const fv_expr *dims[] = {gen_dim(g), gen_dim(g), NULL};
  dims[*lead] = gen_i64(g, *tuple);
  *out = gen_index(g, gen_chance(g, 0.5) ? FV_i64 : FV_i32, extent, *lead + 1, dims);
  return true;
}

bool gen_gather_nd(gen *g) {
  const val a = gen_pick(g);
  val in[2] = {a, a};
  int lead, tuple;
  if (!tuples(g, &a, &lead, &tuple, &in[1]))
    return false;
  return gen_op(g, FV_OP_gather_nd, 2, in, a);
}

// A value of these dims: one that is there, or a new one.
static val updates_for(gen *g, const val *a, int rank, const fv_expr *const *dims) {
  for (int i = 0; i < 6; i++) {
    const val u = gen_pick(g);
    bool fits = u.v->type.dtype == a->v->type.dtype && u.v->type.rank == rank;
    for (int d = 0; d < rank && fits; d++)
      fits = u.v->type.dim[d] == dims[d];
    if (fits)
      return u;
  }
  return gen_fresh(g, a->exact ? 'n' : 0, a->v->type.dtype, rank, dims);
}

bool gen_scatter_nd(gen *g) {
  static const char *const reduction[] = {"none", "add", "max", "min"};
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  val in[3] = {a, a, a};
  int lead, tuple;
  if (!tuples(g, &a, &lead, &tuple, &in[1]) || lead + t->rank - tuple > 5)
    return false;
  const fv_expr *dims[FV_MAX_RANK];
  double count = 1;
  for (int i = 0; i < lead; i++) {
    dims[i] = in[1].v->type.dim[i];
    count *= largest(g, dims[i]);
  }
  for (int i = tuple; i < t->rank; i++)
    dims[lead + i - tuple] = t->dim[i];
  in[2] = updates_for(g, &a, lead + t->rank - tuple, dims);
  const int how = t->dtype == FV_bool ? 0 : gen_int(g, 0, 3);
  const double mag = a.mag + in[2].mag * (how == 1 ? count : 1);
  fv_node *n = gen_node(g, FV_OP_scatter_nd, 3, in);
  fv_attr_set_str(n, "reduction", reduction[how]);
  return gen_done(g, n, (val){.exact = a.exact && in[2].exact, .mag = mag, .min = -mag});
}

bool gen_scan(gen *g) {
  const val a = gen_pick(g);
  const fv_type *t = &a.v->type;
  if (t->rank == 0 || t->dtype == FV_bool)
    return false;
  const int axis = gen_int(g, 0, t->rank - 1);
  fv_node *n = gen_node(g, FV_OP_cumsum, 1, &a);
  fv_attr_set_int(n, "axis", gen_chance(g, 0.3) ? axis - t->rank : axis);
  fv_attr_set_bool(n, "exclusive", gen_chance(g, 0.3));
  fv_attr_set_bool(n, "reverse", gen_chance(g, 0.3));
  const double mag = a.mag * largest(g, t->dim[axis]);
  return gen_done(g, n, (val){.exact = a.exact, .mag = mag, .min = a.min > 0 ? 0 : -mag});
}

//===-- Layers --------------------------------------------------------------------------===//

bool gen_layer(gen *g) {
  static const char *const direction[] = {"forward", "reverse", "bidirectional"};
  const val x = gen_small(g, gen_pick_rank(g, 3, 3), 40);
  const fv_type *t = &x.v->type;
  const bool lstm = gen_chance(g, 0.5);
  const int gates = lstm ? 4 : 3, hidden = gen_int(g, 1, 9), way = gen_int(g, 0, 2);
  const int layout = gen_int(g, 0, 1);
  const fv_expr *ways = gen_i64(g, way == 2 ? 2 : 1), *rows = gen_i64(g, gates * hidden);
  const fv_expr *w_dims[] = {ways, rows, t->dim[2]};
  const fv_expr *r_dims[] = {ways, rows, gen_i64(g, hidden)};
  const fv_expr *b_dims[] = {ways, gen_i64(g, 2 * gates * hidden)};
  val in[5] = {x, gen_fresh(g, 'r', t->dtype, 3, w_dims), gen_fresh(g, 'r', t->dtype, 3, r_dims)};
  int n_in = 3;
  if (gen_chance(g, 0.6))
    in[n_in++] = gen_fresh(g, 0, t->dtype, 2, b_dims);
  if (n_in == 4 && gen_chance(g, 0.5))
    in[n_in++] = gen_index(g, FV_i64, 9, 1, &t->dim[layout == 0]);
  fv_node *n = gen_node(g, lstm ? FV_OP_lstm : FV_OP_gru, n_in, in);
  fv_attr_set_str(n, "direction", direction[way]);
  fv_attr_set_int(n, "layout", layout);
  return gen_done(g, n, (val){.mag = 40, .min = -40});
}
