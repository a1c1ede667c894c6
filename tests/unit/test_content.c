// SPDX-License-Identifier: Apache-2.0
//
// Contents of integer values: at any dims they are what the evaluator computes, for
// random graphs of shape arithmetic.
#include "unit.h"

#include "ir/eval/eval.h"

enum { VALUES = 64 };

typedef struct env {
  fv_arena *arena;
  fv_module *m;
  fv_graph *g;
  fv_diag_sink diag;
  uint64_t rng;
  bool may_fail;  // ops whose run may fail, and with it that of the graph
  fv_value *value[VALUES];
  int n;
} env;

static int pick(env *e, int n) {
  e->rng ^= e->rng << 13;
  e->rng ^= e->rng >> 7;
  e->rng ^= e->rng << 17;
  return (int)(e->rng % (uint64_t)n);
}

static fv_value *any(env *e) {
  return e->value[pick(e, e->n)];
}

// Places the node, if it is valid.
static void put(env *e, fv_node *n) {
  const bool fails = n->op == FV_OP_div || n->op == FV_OP_mod || n->op == FV_OP_gather;
  if ((fails && !e->may_fail) || e->n == VALUES || fv_infer_node(n, &e->diag) != FV_OK)
    return;
  fv_node_insert_before(n, NULL);
  e->value[e->n++] = n->out[0];
}

static fv_node *node(env *e, fv_op op, int n_in, fv_value *const *in) {
  return fv_node_create(e->g->region, op, n_in, in, NULL);
}

static void put_constant(env *e) {
  const fv_dtype types[] = {FV_i64, FV_i64, FV_i32, FV_u8, FV_bool};
  const fv_dtype t = types[pick(e, 5)];
  fv_tensor *w = FV_NEW(e->arena, fv_tensor);
  *w = (fv_tensor){.name = "", .dtype = t, .rank = pick(e, 3)};
  for (int i = 0; i < w->rank; i++)
    w->dim[i] = 1 + pick(e, 3);
  const int64_t n = fv_tensor_count(w), size = fv_dtype_size(t);
  char *data = FV_NEW_N(e->arena, char, n *size);
  for (int64_t i = 0; i < n; i++)
    fv_scalar_store(t, data + i * size,
                    (fv_scalar){.i = t == FV_bool ? pick(e, 2) : pick(e, 5) - (t == FV_i64)});
  w->data = data;
  fv_node *c = node(e, FV_OP_constant, 0, NULL);
  c->n_data = 1;
  c->data = FV_NEW_N(e->arena, const fv_tensor *, 1);
  c->data[0] = w;
  put(e, c);
}

static void put_shaped(env *e, fv_op op) {
  fv_value *a = any(e);
  fv_node *n = node(e, op, 1, &a);
  int64_t axes[2] = {pick(e, 2), 1};
  const fv_expr *dims[2] = {fv_x_i64(e->m->pool, pick(e, 2) ? -1 : 1 + pick(e, 3)),
                            fv_x_i64(e->m->pool, 1 + pick(e, 2))};
  switch (op) {
  case FV_OP_shape:
    fv_attr_set_int(n, "start", pick(e, 4) - 2);
    fv_attr_set_int(n, "end", pick(e, 3) ? 8 : -1);
    break;
  case FV_OP_reshape:
  case FV_OP_expand: fv_attr_set_dims(n, "shape", 1 + pick(e, 2), dims); break;
  case FV_OP_squeeze:
  case FV_OP_unsqueeze: fv_attr_set_ints(n, "axes", 1, axes); break;
  case FV_OP_slice:
    fv_attr_set_int(n, "axis", pick(e, 2));
    fv_attr_set_expr(n, "start", fv_x_i64(e->m->pool, pick(e, 3) - 1));
    fv_attr_set_expr(n, "end", fv_x_i64(e->m->pool, pick(e, 4)));
    break;
  case FV_OP_cast: {
    const fv_dtype to[] = {FV_i64, FV_i32, FV_i8, FV_u8, FV_bool};
    fv_attr_set_dtype(n, "to", to[pick(e, 5)]);
    break;
  }
  default: break;
  }
  put(e, n);
}

// Nests of the other forms: running sums, writes to places that are computed.
static void put_form(env *e) {
  fv_value *a = any(e), *in[3] = {a, a, a};
  if (a->type.dtype != FV_i64 || a->type.rank == 0)
    return;
  if (pick(e, 2)) {
    fv_node *n = node(e, FV_OP_cumsum, 1, in);
    fv_attr_set_int(n, "axis", pick(e, a->type.rank));
    put(e, n);
    return;
  }
  const int before = e->n;
  put(e, node(e, FV_OP_sub, 2, in));  // all to the first entry
  if (e->n == before)
    return;
  in[1] = e->value[before];
  put(e, node(e, FV_OP_scatter_elements, 3, in));
}

static void put_random(env *e) {
  static const fv_op unary[] = {
      FV_OP_shape,   FV_OP_shape,     FV_OP_size,       FV_OP_reshape,    FV_OP_expand,
      FV_OP_squeeze, FV_OP_slice,     FV_OP_unsqueeze,  FV_OP_cast,       FV_OP_abs,
      FV_OP_not,     FV_OP_transpose, FV_OP_reduce_sum, FV_OP_reduce_max, FV_OP_reduce_prod,
      FV_OP_cumsum,  FV_OP_cumprod,   FV_OP_arg_max};
  static const fv_op binary[] = {FV_OP_add,
                                 FV_OP_sub,
                                 FV_OP_mul,
                                 FV_OP_div,
                                 FV_OP_mod,
                                 FV_OP_min,
                                 FV_OP_max,
                                 FV_OP_and,
                                 FV_OP_or,
                                 FV_OP_xor,
                                 FV_OP_equal,
                                 FV_OP_less,
                                 FV_OP_greater_or_equal};
  fv_value *in[3] = {any(e), any(e), any(e)};
  const int k = pick(e, 11);
  if (k == 0)
    put_constant(e);
  else if (k < 5)
    put_shaped(e, unary[pick(e, FV_COUNTOF(unary))]);
  else if (k == 5 || k == 6)
    put(e, node(e, k == 5 ? FV_OP_gather : FV_OP_concat, 2, in));
  else if (k == 7)
    put(e, node(e, FV_OP_where, 3, in));
  else if (k == 10)
    put_form(e);
  else
    put(e, node(e, binary[pick(e, FV_COUNTOF(binary))], 2, in));
}

static void check_value(const env *e, const fv_value *v, const fv_array *got, const int64_t *symbol,
                        uint64_t seed) {
  assert_int_equal(v->n_content, fv_array_count(got));
  for (int i = 0; i < v->n_content; i++) {
    const fv_expr *x = fv_x_cast(e->m->pool, FV_i64, v->content[i]);
    const char *at = (const char *)got->data + i * fv_dtype_size(got->dtype);
    int64_t want = 0;
    assert_true(fv_x_eval_i64(x, symbol, &want));
    if (want != fv_scalar_load(got->dtype, at).i) {
      fv_str s = {.arena = e->arena};
      fv_x_print(e->m->pool, &s, x);
      fail_msg("seed %llu: %s of %s is %lld, not %s = %lld", (unsigned long long)seed,
               fv_op_get(v->def->op)->name, fv_dtype_name(got->dtype),
               (long long)fv_scalar_load(got->dtype, at).i, s.data, (long long)want);
    }
  }
}

// Two inputs of symbolic dims; what has content is an output. How many had, of all?
static void random_graph(uint64_t seed, int *with, int *all, int *runs) {
  env e = {.arena = fv_arena_create(NULL),
           .rng = seed * 0x9e3779b97f4a7c15u + 1,
           .may_fail = seed % 4 == 0};
  e.m = fv_module_create(e.arena, "m");
  e.g = fv_graph_create(e.m, "main", NULL);
  fv_xpool *p = e.m->pool;
  fv_type t = {.dtype = FV_f32, .rank = 2};
  for (int i = 0; i < 2; i++)
    t.dim[i] = fv_x_sym(p, fv_symbol_add(p, i ? "S" : "B", i, 40, FV_SYM_DIM));
  for (int i = 0; i < 2; i++) {
    e.value[e.n++] = fv_graph_add_input(e.g, i ? "y" : "x", &t);
    t.dim[0] = fv_x_add(p, t.dim[0], fv_x_i64(p, 2));
  }
  put_constant(&e);
  for (int i = 0; i < 60; i++)
    put_random(&e);
  const fv_value *out[VALUES];
  int n_out = 0;
  for (int i = 2; i < e.n; i++) {
    fv_value *v = e.value[i];
    *all += !fv_dtype_is_float(v->type.dtype);
    if (!v->content)
      continue;
    out[n_out++] = v;
    fv_graph_add_output(e.g, "o", v);
  }
  *with += n_out;
  fv_graph_drop_dead(e.g);
  for (int run = 0; run < 4; run++) {
    int64_t *symbol = FV_NEW_N(e.arena, int64_t, fv_symbol_count(p));
    symbol[0] = pick(&e, 41);
    symbol[1] = 1 + pick(&e, 40);
    fv_array in[2] = {{.dtype = FV_f32, .rank = 2}, {.dtype = FV_f32, .rank = 2}};
    for (int i = 0; i < 2; i++) {
      for (int d = 0; d < 2; d++)
        assert_true(fv_x_eval_i64(e.g->region->param[i]->type.dim[d], symbol, &in[i].dim[d]));
      in[i].data = FV_NEW_N(e.arena, float, fv_array_count(&in[i]) + 1);
    }
    fv_array got[VALUES];
    fv_run_io io = {
        .symbol = symbol, .input = in, .output = got, .arena = e.arena, .diag = &e.diag};
    if (fv_eval_graph(e.g, &io) != FV_OK)
      continue;  // a divisor of 0, an index out of range
    ++*runs;
    for (int i = 0; i < n_out; i++)
      check_value(&e, out[i], &got[i], symbol, seed);
  }
  fv_arena_destroy(e.arena);
}

static void test_random(void **state) {
  (void)state;
  int with = 0, all = 0, runs = 0;
  for (uint64_t seed = 1; seed <= 400; seed++)
    random_graph(seed, &with, &all, &runs);
  print_message("%d of %d integer values have contents, %d runs\n", with, all, runs);
  assert_true(with * 10 > all * 5 && runs > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
