// SPDX-License-Identifier: Apache-2.0
// Attention, recurrent cells, loops and states.
#include "tests/fuzz/gen.h"

//===-- Attention ------------------------------------------------------------------===//

typedef struct shape {
  int rank;  // 3: [batch, rows, heads * width], 4: [batch, heads, rows, width]
  const fv_expr *batch, *rows, *keys;
  int heads, kv_heads, width;
} shape;

static val of_shape(gen *g, const shape *s, const fv_expr *rows, int heads, bool reuse) {
  const fv_expr *dims[4] = {s->batch, rows, gen_i64(g, (int64_t)heads * s->width)};
  if (s->rank == 4) {
    dims[1] = gen_i64(g, heads);
    dims[2] = rows;
    dims[3] = gen_i64(g, s->width);
  }
  for (int i = g->n - 1; i >= 0 && reuse; i--) {
    const fv_type *t = &g->value[i].v->type;
    bool same = t->rank == s->rank && t->dtype == g->real && g->value[i].mag < 30;
    for (int d = 0; d < s->rank && same; d++)
      same = t->dim[d] == dims[d];
    if (same && gen_chance(g, 0.6))
      return g->value[i];
  }
  return gen_fresh(g, 'r', g->real, s->rank, dims);
}

static val mask_or_bias(gen *g, const shape *s, fv_dtype t) {
  const fv_expr *dims[4] = {s->batch, gen_i64(g, s->heads), s->rows, s->keys};
  for (int i = 0; i < 3; i++)
    if (gen_chance(g, 0.4))
      dims[i] = gen_i64(g, 1);
  if (s->rank == 3 && gen_chance(g, 0.3))
    return gen_fresh(g, 'r', t, 2, &dims[2]);
  const int rank = gen_int(g, 2, 4);
  return gen_fresh(g, 'r', t, rank, &dims[4 - rank]);
}

bool gen_attention(gen *g) {
  static const int width[] = {1, 4, 8, 16, 17, 32};
  shape s = {.rank = gen_int(g, 3, 4),
             .batch = gen_dim(g),
             .rows = gen_dim(g),
             .heads = gen_int(g, 1, 4),
             .width = width[gen_int(g, 0, 5)]};
  s.keys = gen_chance(g, 0.5) ? s.rows : gen_dim(g);
  s.kv_heads = gen_chance(g, 0.3) ? 1 : s.heads;
  const val q = of_shape(g, &s, s.rows, s.heads, true);
  const val k = of_shape(g, &s, s.keys, s.kv_heads, true);
  const val v = of_shape(g, &s, s.keys, s.kv_heads, true);
  val in[5] = {q, k, v};
  int n_in = 3;
  if (gen_chance(g, 0.35))
    in[n_in++] = mask_or_bias(g, &s, FV_bool);
  if (gen_chance(g, 0.2)) {
    if (n_in == 3)
      in[n_in++] = (val){.v = NULL};
    in[n_in++] = mask_or_bias(g, &s, g->real);
  }
  fv_node *n = gen_node(g, FV_OP_attention, n_in, in);
  if (s.rank == 3) {
    fv_attr_set_int(n, "heads", s.heads);
    fv_attr_set_int(n, "kv_heads", s.kv_heads);
  }
  fv_attr_set_bool(n, "causal", gen_chance(g, 0.4));
  if (gen_chance(g, 0.2))
    fv_attr_set_int(n, "window", gen_int(g, 1, 5));
  if (gen_chance(g, 0.2))
    fv_attr_set_float(n, "softcap", 2);
  if (gen_chance(g, 0.3))
    fv_attr_set_float(n, "scale", 0.5);
  return gen_done(g, n, (val){.mag = v.mag, .min = -v.mag});
}

bool gen_masked(gen *g) {
  const val a = gen_small(g, gen_pick_rank(g, 2, 4), 40);
  const fv_type *t = &a.v->type;
  const fv_expr *k = t->dim[t->rank - 1];
  const fv_expr *dims[] = {k, gen_dim(g)};
  const val b = gen_fresh(g, a.exact ? 'n' : 0, t->dtype, 2, dims);
  const val in[] = {a, b, gen_fresh(g, 'n', FV_bool, 2, &t->dim[t->rank - 2])};
  const double mag = a.mag * b.mag * (double)GEN_LARGEST_SIZE;
  return gen_op(g, FV_OP_masked_matmul, 3, in,
                (val){.exact = a.exact && b.exact, .mag = mag, .min = -mag});
}

bool gen_rotary(gen *g) {
  const val a = gen_pick_rank(g, 2, 4);
  const fv_type *t = &a.v->type;
  int64_t width;
  if (!gen_static(t->dim[t->rank - 1], &width) || width % 2 || width == 0)
    return false;
  const fv_expr *dims[] = {t->dim[t->rank - 2], gen_i64(g, width / 2)};
  const val in[] = {a, gen_fresh(g, 'r', t->dtype, 2, dims), gen_fresh(g, 'r', t->dtype, 2, dims)};
  fv_node *n = gen_node(g, FV_OP_rotary_embedding, 3, in);
  fv_attr_set_bool(n, "interleaved", gen_chance(g, 0.5));
  return gen_done(g, n, (val){.mag = 6 * a.mag, .min = -6 * a.mag});
}

//===-- Recurrent cells ----------------------------------------------------------------===//

bool gen_cell(gen *g) {
  const val x = gen_small(g, gen_pick_rank(g, 2, 2), 40);
  const fv_type *t = &x.v->type;
  const bool lstm = gen_chance(g, 0.5);
  const int gates = lstm ? 4 : 3, hidden = gen_int(g, 1, 17);
  const fv_expr *h = gen_i64(g, hidden), *rows = gen_i64(g, gates * hidden);
  const fv_expr *h_dims[] = {t->dim[0], h}, *w_dims[] = {rows, t->dim[1]}, *r_dims[] = {rows, h};
  val in[7];
  int n = 0;
  in[n++] = x;
  in[n++] = gen_fresh(g, 0, t->dtype, 2, h_dims);
  if (lstm)
    in[n++] = gen_fresh(g, 0, t->dtype, 2, h_dims);
  in[n++] = gen_fresh(g, 'r', t->dtype, 2, w_dims);
  in[n++] = gen_fresh(g, 'r', t->dtype, 2, r_dims);
  if (gen_chance(g, 0.6)) {
    in[n++] = gen_fresh(g, 0, t->dtype, 1, &rows);
    in[n++] = gen_fresh(g, 0, t->dtype, 1, &rows);
  }
  return gen_op(g, lstm ? FV_OP_lstm_cell : FV_OP_gru_cell, n, in, (val){.mag = 5, .min = -5});
}

//===-- Loops -----------------------------------------------------------------------------===//

typedef struct loop {
  fv_node *node;
  const fv_expr *trips;
  fv_region *outer;
  int values, carries, first;  // of g->value: those outside, and the first carry
  bool tested;                 // carry 0 is the condition
} loop;

// The next value of a carry: one of its type that the body made, kept small.
static fv_value *next_of(gen *g, const loop *l, int carry) {
  const val param = g->value[l->first + carry];
  val best = param;
  for (int i = g->n - 1; i >= l->first; i--) {
    const val a = g->value[i];
    if (fv_type_eq(&a.v->type, &param.v->type) && (a.exact || !param.exact) && gen_chance(g, 0.8)) {
      best = a;
      break;
    }
  }
  return gen_is_real(&param) ? gen_small(g, best, 3).v : best.v;
}

// A condition that ends the loop some time: a number that all trips share, or one
// that grows.
static fv_value *next_test(gen *g, const loop *l) {
  for (int i = g->n - 1; i >= l->first; i--) {
    const val a = g->value[i];
    if (!a.exact || a.v->type.dtype == FV_bool)
      continue;
    fv_node *n = gen_node(g, FV_OP_reduce_max, 1, &a);
    fv_attr_set_bool(n, "keepdims", false);
    if (!gen_done(g, n, a))
      continue;
    const val in[] = {gen_last(g), gen_fresh(g, 'n', a.v->type.dtype, 0, NULL)};
    if (gen_op(g, FV_OP_less, 2, in, (val){.exact = true, .mag = 1}))
      return gen_last(g).v;
  }
  return g->value[l->first].v;
}

// A counter of its own, or one that loops beside this one have, too, as those of definitions do.
static uint32_t choose_counter(gen *g) {
  fv_xpool *p = g->m->pool;
  const bool shared = gen_chance(g, 0.7);
  uint32_t counter;
  const char *name =
      fv_arena_printf(g->arena, shared ? "at%d" : "i%d", shared ? g->depth : g->n_counter++);
  return shared && fv_symbol_find(p, name, &counter)
             ? counter
             : fv_symbol_add(p, name, 0, GEN_LARGEST_SIZE, FV_SYM_COUNTER);
}

static bool open_loop(gen *g, loop *l) {
  val in[4];
  *l = (loop){.outer = g->region, .tested = gen_chance(g, 0.2)};
  l->trips = gen_chance(g, 0.3) && g->depth == 0
                 ? gen_dim(g)
                 : gen_i64(g, gen_chance(g, 0.05) ? 0 : gen_int(g, 1, 4));
  if (l->tested)
    in[l->carries++] = gen_fresh(g, 'n', FV_bool, 0, NULL);
  for (int i = gen_int(g, 1, 2); i > 0; i--) {
    const val a = gen_pick(g);
    in[l->carries++] = gen_is_real(&a) ? gen_small(g, a, 3) : a;
  }
  l->node = gen_node(g, FV_OP_loop, l->carries, in);
  const uint32_t counter = choose_counter(g);
  if (counter >= FV_COUNTOF(g->largest) - 1)
    return false;
  g->largest[counter] = GEN_LARGEST_SIZE;
  fv_attr_set_expr(l->node, "trips", l->trips);
  fv_attr_set_int(l->node, "counter", counter);
  l->values = g->n;
  g->region = l->node->body[0];
  l->first = g->n;
  for (int i = 0; i < l->carries; i++) {
    val a = in[i];
    const bool floats = gen_is_real(&a);
    a.v = fv_region_add_param(g->region, &in[i].v->type, NULL);
    a.mag = floats ? 3 : 1e9;
    a.min = floats ? -3 : -1e9;
    g->value[g->n++] = a;
  }
  return true;
}

// A value from in front of the loop with an entry for each trip.
static val of_trips(gen *g, const loop *l) {
  const fv_expr *dims[] = {l->trips, gen_dim(g), gen_dim(g)};
  fv_region *body = g->region;
  g->region = l->outer;
  const val a = gen_fresh(g, 0, g->real, gen_int(g, 1, 3), dims);
  g->region = body;
  return a;
}

static bool along_trips(gen *g, fv_op op, val a, double mag) {
  fv_node *n = gen_node(g, op, 1, &a);
  if (op == FV_OP_reduce_max) {
    fv_attr_set_ints(n, "axes", 1, (int64_t[]){0});
    fv_attr_set_bool(n, "keepdims", false);
  } else {
    fv_attr_set_int(n, "axis", 0);
  }
  return gen_done(g, n, (val){.exact = a.exact, .mag = mag, .min = -mag});
}

// The trips up to this one, or from it on, as one value. Between, in memory, it has as many
// entries as they are, which nobody else may see.
static void growing(gen *g, const loop *l) {
  fv_xpool *p = g->m->pool;
  const fv_expr *t = fv_x_sym(p, (uint32_t)fv_attr_int(l->node, "counter"));
  const val a = of_trips(g, l);
  const double mag = a.mag * (double)GEN_LARGEST_SIZE;
  const int first = g->n;
  fv_node *n = gen_node(g, FV_OP_slice, 1, &a);
  fv_attr_set_int(n, "axis", 0);
  if (gen_chance(g, 0.5))
    fv_attr_set_expr(n, "end", fv_x_add(p, t, gen_i64(g, 1)));
  else
    fv_attr_set_expr(n, "start", t);
  const bool made = gen_done(g, n, a) && along_trips(g, FV_OP_cumsum, gen_last(g), mag) &&
                    along_trips(g, FV_OP_reduce_max, gen_last(g), mag);
  if (made)
    g->value[first] = gen_last(g);
  g->n = made ? first + 1 : first;
}

// An entry of a family for each trip: what a scan reads, or the weights of a layer.
static void scanned(gen *g, const loop *l) {
  const uint32_t counter = (uint32_t)fv_attr_int(l->node, "counter");
  const val a = of_trips(g, l);
  fv_node *n = gen_node(g, FV_OP_select, 1, &a);
  fv_attr_set_expr(n, "index", fv_x_sym(g->m->pool, counter));
  fv_attr_set_int(n, "axis", 0);
  if (a.v->region || a.v->def->op != FV_OP_constant)
    gen_done(g, n, a);
}

static bool close_loop(gen *g, loop *l) {
  fv_region *body = l->node->body[0];
  for (int i = 0; i < l->carries; i++)
    fv_region_add_result(body, i == 0 && l->tested ? next_test(g, l) : next_of(g, l, i));
  int64_t axes[2];
  int collects = 0;
  val like = {.exact = true};
  for (int i = gen_int(g, 0, 2); i > 0 && g->n > l->first; i--) {
    const val a = g->value[gen_int(g, l->first, g->n - 1)];
    if (a.v->type.rank > 3)
      continue;
    fv_region_add_result(body, a.v);
    axes[collects++] = gen_int(g, -1, a.v->type.rank);
    like.exact = like.exact && a.exact;
    like.mag = a.mag > like.mag ? a.mag : like.mag;
  }
  fv_attr_set_ints(l->node, "collect_axes", collects, axes);
  if (l->tested) {
    const uint32_t count =
        fv_symbol_add(g->m->pool, fv_arena_printf(g->arena, "c%d", g->n_counter++), 0,
                      GEN_LARGEST_SIZE, FV_SYM_RESULT);
    if (count >= FV_COUNTOF(g->largest))
      return false;
    g->largest[count] = GEN_LARGEST_SIZE;
    fv_attr_set_int(l->node, "while_carry", 0);
    fv_attr_set_int(l->node, "count", count);
  }
  bool all_exact = like.exact;
  for (int i = 0; i < l->carries; i++)
    all_exact =
        all_exact && (!gen_is_real(&g->value[l->first + i]) || g->value[l->first + i].exact);
  g->n = l->values;
  g->region = l->outer;
  like.exact = all_exact;
  like.mag = like.mag > 3 ? like.mag : 3;
  like.min = -like.mag;
  return gen_done(g, l->node, like);
}

static bool one_loop(gen *g) {
  loop l;
  if (g->depth >= 2 || !open_loop(g, &l))
    return false;
  const double outside = g->trips;
  int64_t trips = 1;
  fv_x_eval_i64(l.trips, g->largest, &trips);
  g->trips *= trips > 1 ? (double)trips : 1;
  g->depth++;
  if (gen_chance(g, 0.6))
    scanned(g, &l);
  if (gen_chance(g, 0.3))
    growing(g, &l);
  gen_steps(g, gen_int(g, 1, 6));
  g->depth--;
  g->trips = outside;
  return close_loop(g, &l);
}

bool gen_loop(gen *g) {
  const bool made = one_loop(g);
  if (made && gen_chance(g, 0.6))
    (void)one_loop(g);  // beside it
  return made;
}

//===-- States ------------------------------------------------------------------------------===//

enum { CAPACITY = 16 };

// A cache that a run appends to, and attention over the valid part.
void gen_state(gen *g) {
  fv_xpool *p = g->m->pool;
  const int heads = gen_int(g, 1, 2), width = gen_chance(g, 0.5) ? 4 : 16;
  const int64_t rows = gen_int(g, 1, 3);
  const uint32_t past = fv_symbol_add(p, "past", 0, CAPACITY, FV_SYM_STATE);
  g->largest[past] = CAPACITY;
  const fv_expr *dims[] = {gen_i64(g, 2), gen_i64(g, heads), gen_i64(g, rows), gen_i64(g, width)};
  fv_type t = {.dtype = g->real, .rank = 4};
  for (int i = 0; i < 4; i++)
    t.dim[i] = i == 2 ? gen_i64(g, CAPACITY) : dims[i];
  fv_state *s = fv_module_add_state(g->m, "cache", &t, 1);
  s->length_axis = 2;
  s->length = past;
  const val like = {.mag = 1, .min = -1};
  fv_node *n = gen_node(g, FV_OP_state_read, 0, NULL);
  if (!gen_done(g, n, like))
    return;
  const val update = gen_fresh(g, 'r', g->real, 4, dims);
  const val in[] = {{.v = n->out[0]}, update};
  n = gen_node(g, FV_OP_tensor_scatter, 2, in);
  fv_attr_set_int(n, "axis", 2);
  fv_attr_set_expr(n, "position", fv_x_sym(p, past));
  if (!gen_done(g, n, like))
    return;
  const val kv = gen_last(g);
  n = gen_node(g, FV_OP_state_write, 1, &kv);
  if (!gen_done(g, n, like))
    return;
  const fv_expr *valid = fv_x_add(p, fv_x_sym(p, past), gen_i64(g, rows));
  g->graph->advance = FV_NEW(g->arena, fv_advance);
  g->graph->advance[0] = (fv_advance){.length = past, .next = valid};
  g->graph->n_advance = 1;
  const val q[] = {gen_fresh(g, 'r', g->real, 4, dims), kv, kv};
  n = gen_node(g, FV_OP_attention, 3, q);
  fv_attr_set_bool(n, "causal", gen_chance(g, 0.5));
  fv_attr_set_expr(n, "kv_valid", valid);
  gen_done(g, n, like);
}
