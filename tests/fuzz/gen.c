// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/gen.h"

#include <math.h>
#include <string.h>

//===-- Numbers ----------------------------------------------------------------===//

uint64_t fuzz_next(fuzz_rng *r) {
  uint64_t z = r->s += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t fuzz_below(fuzz_rng *r, uint64_t n) {
  return fuzz_next(r) % n;
}

double fuzz_unit(fuzz_rng *r) {
  return (double)(fuzz_next(r) >> 11) * 0x1p-53;
}

uint64_t fuzz_hash(const void *data, size_t n, uint64_t seed) {
  const unsigned char *p = data;
  uint64_t h = 0xcbf29ce484222325u ^ seed;
  for (size_t i = 0; i < n; i++)
    h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

fv_scalar fuzz_element(fuzz_rng *r, char kind, int64_t limit, fv_dtype t) {
  const double u = fuzz_unit(r);
  fv_scalar v = {.i = 0};
  if (t == FV_bool)
    v.i = u < 0.6;
  else if (kind == 'k')
    v.i = (int64_t)(u * (double)limit);
  else if (!fv_dtype_is_float(t))
    v.i = kind == 'q' ? 1 + (int64_t)(u * 5) : (int64_t)(u * 7) - (t == FV_u8 ? 0 : 3);
  else if (kind == 'n')
    v.f = floor(u * 7) - 3;
  else
    v.f = kind == 'q' ? 0.25 + 1.75 * u : 2 * u - 1;
  return v;
}

//===-- Values ------------------------------------------------------------------===//

bool gen_is_real(const val *a) {
  return fv_dtype_is_float(a->v->type.dtype);
}

bool gen_is_int(const val *a) {
  return fv_dtype_is_int(a->v->type.dtype);
}

const fv_expr *gen_i64(gen *g, int64_t v) {
  return fv_x_i64(g->m->pool, v);
}

bool gen_static(const fv_expr *e, int64_t *out) {
  return fv_x_is_lit(e, out);
}

const fv_expr *gen_dim(gen *g) {
  static const int64_t size[] = {1, 2, 3, 5, 8, 15, 16, 17, 33};
  if (gen_chance(g, 0.8))
    return g->dim[fuzz_below(&g->r, (uint64_t)g->n_dim)];
  return gen_i64(g, size[fuzz_below(&g->r, FV_COUNTOF(size))]);
}

val gen_pick(gen *g) {
  if (gen_chance(g, 0.45))
    return gen_last(g);
  const double u = fuzz_unit(&g->r);
  return g->value[g->n - 1 - (int)(u * u * g->n)];
}

val gen_pick_real(gen *g) {
  for (int i = 0; i < 8; i++) {
    const val a = gen_pick(g);
    if (gen_is_real(&a))
      return a;
  }
  const fv_expr *dims[] = {gen_dim(g), gen_dim(g)};
  return gen_fresh(g, 0, g->real, 2, dims);
}

val gen_pick_rank(gen *g, int lo, int hi) {
  for (int i = 0; i < 8; i++) {
    const val a = gen_pick(g);
    if (gen_is_real(&a) && a.v->type.rank >= lo && a.v->type.rank <= hi)
      return a;
  }
  const fv_expr *dims[FV_MAX_RANK];
  const int rank = gen_int(g, lo, hi);
  for (int i = 0; i < rank; i++)
    dims[i] = gen_dim(g);
  return gen_fresh(g, 0, g->real, rank, dims);
}

val gen_small(gen *g, val a, double mag) {
  if (!(a.mag > mag))
    return a;
  fv_node *n = gen_node(g, a.exact ? FV_OP_clip : FV_OP_tanh, 1, &a);
  if (a.exact) {
    fv_attr_set_float(n, "min", -floor(mag));
    fv_attr_set_float(n, "max", floor(mag));
  }
  const val like = {.exact = a.exact, .mag = a.exact ? floor(mag) : 1, .min = -mag};
  return gen_done(g, n, like) ? gen_last(g) : a;
}

//===-- New values -----------------------------------------------------------------===//

static const fv_tensor *random_tensor(gen *g, char kind, fv_dtype t, int rank, const int64_t *dim) {
  fv_tensor *w = FV_NEW(g->arena, fv_tensor);
  *w = (fv_tensor){.name = "", .dtype = t, .rank = rank};
  memcpy(w->dim, dim, (size_t)rank * sizeof *dim);
  const int64_t n = fv_tensor_count(w), size = fv_dtype_size(t);
  char *data = FV_NEW_N(g->arena, char, n *size + 1);
  for (int64_t i = 0; i < n; i++)
    fv_scalar_store(t, data + i * size, fuzz_element(&g->r, kind, 1, t));
  w->data = data;
  return w;
}

static void push(gen *g, val a) {
  if (g->n < GEN_MAX_VALUES)
    g->value[g->n++] = a;
}

// What is known of an element of a kind.
static val kind_of(char kind, int64_t limit, fv_dtype t) {
  if (!fv_dtype_is_float(t))
    return (val){.exact = true, .mag = kind == 'k' ? (double)limit : 7, .min = kind == 'q'};
  return kind == 'n' ? (val){.exact = true, .mag = 3, .min = -3}
                     : (val){.mag = kind == 'q' ? 2 : 1, .min = kind == 'q' ? 0.24 : -1};
}

// A dim that an input may have beside `count` elements: over the symbols that
// shapes bind, no count of a loop, and not too large.
static bool bound_by_shapes(const gen *g, const fv_expr *e) {
  if (e->kind == FV_E_SYM && fv_symbol_get(g->m->pool, e->ref)->kind != FV_SYM_DIM)
    return false;
  for (int i = 0; i < e->n; i++)
    if (!bound_by_shapes(g, e->arg[i]))
      return false;
  return true;
}

static const fv_expr *input_dim(gen *g, const fv_expr *e, int64_t *count) {
  int64_t d;
  if (!bound_by_shapes(g, e) || !fv_x_eval_i64(e, g->largest, &d) || *count * d > 20000)
    return gen_i64(g, 1);
  *count *= d ? d : 1;
  return e;
}

val gen_fresh(gen *g, char kind, fv_dtype t, int rank, const fv_expr *const *dims) {
  fv_type type = {.dtype = t, .rank = rank};
  int64_t dim[FV_MAX_RANK], count = 1, largest = 1;
  bool fixed = true;
  if (!kind)
    kind = g->integral || gen_chance(g, 0.15) || !fv_dtype_is_float(t) ? 'n' : 'r';
  for (int i = 0; i < rank; i++) {
    type.dim[i] = input_dim(g, dims[i], &largest);
    fixed = fixed && gen_static(type.dim[i], &dim[i]);
    count *= fixed ? dim[i] : 1;
  }
  val a = kind_of(kind, 0, t);
  if (fixed && count <= 2048 && gen_chance(g, 0.4)) {
    fv_node *n = gen_node(g, FV_OP_constant, 0, NULL);
    n->n_data = 1;
    n->data = FV_NEW_N(g->arena, const fv_tensor *, 1);
    n->data[0] = random_tensor(g, kind, t, rank, dim);
    FV_CHECK(g->arena, gen_done(g, n, a));
    return gen_last(g);
  }
  a.v = fv_graph_add_input(g->graph, fv_arena_printf(g->arena, "%c%d", kind, g->n_input++), &type);
  push(g, a);
  return a;
}

val gen_index(gen *g, fv_dtype t, int64_t limit, int rank, const fv_expr *const *dims) {
  fv_type type = {.dtype = t, .rank = rank};
  for (int i = 0; i < rank; i++)
    type.dim[i] = dims[i];
  val a = kind_of('k', limit, t);
  a.v = fv_graph_add_input(
      g->graph, fv_arena_printf(g->arena, "k%lld_%d", (long long)limit, g->n_input++), &type);
  push(g, a);
  return a;
}

//===-- Nodes ----------------------------------------------------------------------===//

fv_node *gen_node(gen *g, fv_op op, int n_in, const val *in) {
  fv_value *v[FV_MAX_OPERANDS];
  for (int i = 0; i < n_in; i++)
    v[i] = in[i].v;
  return fv_node_create(g->region, op, n_in, v, NULL);
}

// The reference takes about a microsecond a point.
static bool small_enough(const gen *g, const fv_node *n) {
  for (int o = 0; o < n->n_out; o++) {
    int64_t count = 1, d;
    for (int i = 0; i < n->out[o]->type.rank; i++) {
      if (!fv_x_eval_i64(n->out[o]->type.dim[i], g->largest, &d) || d > 4096)
        return false;
      count *= d ? d : 1;
      if (count > 40000)
        return false;
    }
  }
  if (!n->meaning || n->meaning->kind != FV_MEANS_NEST)
    return true;
  double points = 1;
  for (int i = 0; i < n->meaning->nest.n_par + n->meaning->nest.n_red; i++) {
    int64_t d;
    if (!fv_x_eval_i64(n->meaning->nest.extent[i], g->largest, &d))
      return false;
    points *= (double)d;
  }
  return points * g->trips <= 400000;
}

static double exact_limit(fv_dtype t) {
  switch (t) {
  case FV_f16: return 0x1p11;
  case FV_bf16: return 0x1p8;
  case FV_f64: return 0x1p53;
  default: return 0x1p24;
  }
}

bool gen_done(gen *g, fv_node *n, val like) {
  if (g->n + FV_MAX_RESULTS >= GEN_MAX_VALUES || fv_infer_node(n, &g->silent) != FV_OK ||
      !small_enough(g, n))
    return false;
  for (int i = 0; i < n->n_out; i++) {
    const fv_dtype t = n->out[i]->type.dtype;
    if (fv_dtype_is_float(t) && !(like.mag <= (t == FV_f16 ? 2e3 : 1e6)))
      return false;
  }
  fv_node_insert_before(n, NULL);
  for (int i = 0; i < n->n_out; i++) {
    const fv_dtype t = n->out[i]->type.dtype;
    val a = like;
    a.v = n->out[i];
    a.exact = !fv_dtype_is_float(t) || (like.exact && like.mag <= exact_limit(t));
    push(g, a);
  }
  return true;
}

bool gen_op(gen *g, fv_op op, int n_in, const val *in, val like) {
  return gen_done(g, gen_node(g, op, n_in, in), like);
}

//===-- The whole --------------------------------------------------------------------===//

static const struct {
  gen_builder build;
  int weight;
} builder[] = {
    {gen_unary, 14},    {gen_binary, 20},   {gen_compare, 3},    {gen_where, 4},   {gen_cast, 2},
    {gen_reshape, 6},   {gen_transpose, 5}, {gen_slice, 5},      {gen_concat, 4},  {gen_pad, 2},
    {gen_expand, 2},    {gen_gather, 4},    {gen_scatter, 2},    {gen_make, 2},    {gen_split, 2},
    {gen_reduce, 10},   {gen_moments, 3},   {gen_arg, 2},        {gen_top_k, 2},   {gen_matmul, 9},
    {gen_linear, 8},    {gen_conv, 9},      {gen_pool, 3},       {gen_softmax, 5}, {gen_norm, 7},
    {gen_attention, 6}, {gen_gather_nd, 1}, {gen_scatter_nd, 3}, {gen_scan, 2},    {gen_layer, 1},
    {gen_cell, 1},      {gen_rotary, 1},    {gen_loop, 4},       {gen_masked, 2},  {gen_if, 4},
};

bool gen_step(gen *g) {
  int total = 0;
  for (size_t i = 0; i < FV_COUNTOF(builder); i++)
    total += builder[i].weight;
  int at = gen_int(g, 0, total - 1);
  size_t k = 0;
  while (at >= builder[k].weight)
    at -= builder[k++].weight;
  return builder[k].build(g);
}

void gen_steps(gen *g, int n) {
  for (int tries = 0; n > 0 && tries < 400; tries++)
    n -= gen_step(g);
}

static void choose_dims(gen *g) {
  static const int64_t size[] = {1, 2, 3, 4, 5, 8, 15, 16, 16, 17, 32, 33};
  fv_xpool *p = g->m->pool;
  static const char *const name[] = {"B", "S"};
  const int symbols = gen_int(g, 0, 2);
  for (int i = 0; i < symbols; i++) {
    const uint32_t s =
        fv_symbol_add(p, name[i], gen_chance(g, 0.5) ? 0 : 1, GEN_LARGEST_SIZE, FV_SYM_DIM);
    g->largest[s] = GEN_LARGEST_SIZE;
    g->dim[g->n_dim++] = fv_x_sym(p, s);
    if (gen_chance(g, 0.2))
      g->dim[g->n_dim++] = fv_x_add(p, fv_x_sym(p, s), gen_i64(g, 1));
  }
  while (g->n_dim < 4)
    g->dim[g->n_dim++] = gen_i64(g, size[fuzz_below(&g->r, FV_COUNTOF(size))]);
  if (gen_chance(g, 0.06))
    g->dim[g->n_dim++] = gen_i64(g, 0);
}

static bool is_used(const gen *g, const fv_value *v) {
  for (fv_node *n = fv_walk_first(g->graph->region); n; n = fv_walk_next(g->graph->region, n))
    for (int i = 0; i < n->n_in; i++)
      if (n->in[i] == v)
        return true;
  return false;
}

static void add_outputs(gen *g) {
  int k = 0;
  for (int i = g->n - 1; i >= 0 && k < 12; i--) {
    const val *a = &g->value[i];
    const bool computed = a->v->def && a->v->def->op != FV_OP_constant;
    if (!gen_chance(g, !computed ? 0.02 : is_used(g, a->v) ? 0.12 : 1) && k)
      continue;
    fv_graph_add_output(g->graph, fv_arena_printf(g->arena, a->exact ? "exact%d" : "y%d", k), a->v);
    k++;
  }
}

void fuzz_generate(fv_arena *ar, uint64_t seed, fv_module **out) {
  static const fv_dtype real[] = {FV_f32, FV_f32, FV_f32, FV_f32, FV_f32,
                                  FV_f32, FV_f32, FV_f64, FV_f16, FV_bf16};
  gen *g = FV_NEW(ar, gen);
  *g = (gen){.r = {seed * 0x9e3779b97f4a7c15u},
             .arena = ar,
             .m = fv_module_create(ar, "fuzz"),
             .trips = 1};
  g->graph = fv_graph_create(g->m, "main", NULL);
  g->region = g->graph->region;
  g->real = real[fuzz_below(&g->r, FV_COUNTOF(real))];
  g->integral = gen_chance(g, 0.35);
  choose_dims(g);
  for (int i = gen_int(g, 1, 2); i > 0; i--) {
    const fv_expr *dims[FV_MAX_RANK];
    const int rank = gen_int(g, 0, 4);
    for (int d = 0; d < rank; d++)
      dims[d] = gen_dim(g);
    gen_fresh(g, 0, g->real, rank, dims);
  }
  if (gen_chance(g, 0.12))
    gen_state(g);
  gen_steps(g, gen_int(g, 2, gen_chance(g, 0.2) ? 40 : 14));
  add_outputs(g);
  fv_graph_drop_dead(g->graph);  // an op that fails fails nothing if nobody wants it
  *out = g->m;
}
