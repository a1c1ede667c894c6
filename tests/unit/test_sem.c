// SPDX-License-Identifier: Apache-2.0
//
// Semantics: every example of every row is inferred and evaluated; values of
// hand; checks and their messages; symbolic dims.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "ir/graph/attr_text.h"
#include "ir/graph/example.h"
#include "sem_eval.h"

typedef struct env {
  fv_arena *arena;
  fv_module *module;
  fv_graph *graph;
  fv_diag_sink diag;
  char text[1024];  // the last error
} env;

static void keep_text(void *user, const fv_diag *d) {
  env *e = user;
  if (d->severity == FV_ERROR)
    snprintf(e->text, sizeof e->text, "%s", d->text);
}

static void begin(env *e) {
  memset(e, 0, sizeof *e);
  e->arena = fv_arena_create(NULL);
  assert_non_null(e->arena);
  e->module = fv_module_create(e->arena, "test");
  e->graph = fv_graph_create(e->module, "main", NULL);
  e->diag = (fv_diag_sink){.emit = keep_text, .user = e};
}

static void end(env *e) {
  fv_arena_destroy(e->arena);
}

// Runs a test body under the arena's protection, so that a failed invariant is
// a failed test.
typedef struct guarded {
  void (*fn)(env *e);
  env *e;
} guarded;

static fv_status run_guarded(void *user) {
  guarded *g = user;
  g->fn(g->e);
  return FV_OK;
}

static void with_env(void (*fn)(env *e)) {
  env e;
  const char *bug = "";
  begin(&e);
  const fv_status s = fv_arena_protect(e.arena, run_guarded, &(guarded){fn, &e}, &bug);
  if (s != FV_OK)
    fail_msg("%s: %s (last error: %s)", fv_status_text(s), bug, e.text);
  end(&e);
}

static eval_ctx eval_begin(env *e, const int64_t *symbols) {
  return (eval_ctx){.arena = e->arena,
                    .symbols = symbols,
                    .of = FV_NEW_N(e->arena, eval_tensor *, e->module->n_value + 1)};
}

// Deterministic contents that respect the example's limits.
static void fill(eval_tensor *t, const fv_example_operand *o, int salt) {
  for (int64_t i = 0; i < t->count; i++) {
    const int64_t r = (i * 7 + salt * 5 + 3) % 11;
    if (o->limit > 0)
      t->data[i].i = (i + salt) % o->limit;
    else if (t->type.dtype == FV_bool)
      t->data[i].i = r % 2;
    else if (fv_dtype_is_float(t->type.dtype))
      t->data[i].f = o->scale * 0.25 * (double)(o->positive ? r + 1 : r - 5);
    else
      t->data[i].i = o->positive || t->type.dtype == FV_u8 ? r + 1 : r - 5;
  }
}

//===-- Every example -----------------------------------------------------===//

static void run_example(env *e, fv_op op, int i, fv_dtype t) {
  fv_example ex;
  fv_node *n;
  const char *name = fv_op_get(op)->name;
  if (!fv_example_get(op, i, &ex))
    fail_msg("%s: example %d is malformed", name, i);
  e->graph = fv_graph_create(e->module, "g", NULL);
  if (fv_example_build(e->graph, op, &ex, t, &e->diag, &n) != FV_OK)
    fail_msg("%s: example %d as %s: %s", name, i, fv_dtype_name(t), e->text);
  eval_ctx c = eval_begin(e, NULL);
  for (int k = 0; k < n->n_in; k++) {
    if (!n->in[k])
      continue;
    c.of[n->in[k]->id] = eval_new(&c, &n->in[k]->type);
    fill(c.of[n->in[k]->id], &ex.operand[k], k);
  }
  eval_node(&c, n, e->module);
  if (c.fault)
    fail_msg("%s: example %d as %s: %s", name, i, fv_dtype_name(t), c.fault);
}

static void examples_of(env *e, fv_op op) {
  const fv_op_info *info = fv_op_get(op);
  static const fv_dtype floats[] = {FV_f32, FV_f16, FV_bf16, FV_f64};
  static const fv_dtype ints[] = {FV_i32, FV_u8, FV_i8, FV_i16, FV_i64};
  const int count = fv_example_count(op);
  assert_true(count > 0);
  for (int i = 0; i < count; i++) {
    if (strcmp(info->dtypes, "-") == 0)
      run_example(e, op, i, FV_f32);
    for (size_t k = 0; strchr(info->dtypes, 'f') && k < FV_COUNTOF(floats); k++)
      run_example(e, op, i, floats[k]);
    for (size_t k = 0; strchr(info->dtypes, 'i') && k < FV_COUNTOF(ints); k++)
      run_example(e, op, i, ints[k]);
    if (strchr(info->dtypes, 'b'))
      run_example(e, op, i, FV_bool);
  }
}

static void all_examples(env *e) {
  for (int op = 0; op < FV_OP_COUNT; op++)
    if (!(fv_op_get((fv_op)op)->flags & FV_OPF_BUILTIN))
      examples_of(e, (fv_op)op);
}
static void test_every_example(void **state) {
  (void)state;
  with_env(all_examples);
}

// Schemas are what the kinds table says, docs are there; a row stands where its
// name and section say.
static void test_rows_are_complete(void **state) {
  (void)state;
  for (int op = 0; op < FV_OP_COUNT; op++) {
    const fv_op_info *o = fv_op_get((fv_op)op);
    assert_true(strlen(o->doc) > 0);
    assert_non_null(o->dtypes);
    if (!o->shape || !o->usage || !o->usage[0])
      fail_msg("%s: .shape and .usage are missing, see include/fovea/ops.def", o->name);
    assert_true(strlen(o->section) > 0);
    const fv_op_info *before = op ? fv_op_get((fv_op)(op - 1)) : NULL;
    if (before && before->section == o->section && strcmp(before->name, o->name) >= 0)
      fail_msg("%s comes after %s: rows are sorted by name", o->name, before->name);
    assert_true(o->tolerance >= 0);
    for (int i = 0; i < o->n_attr; i++)
      assert_true(o->attr[i].kind != 0);
  }
}

//===-- Values by hand ----------------------------------------------------===//

// A node with operands and attributes in the form of the examples column; dims
// may name symbols.
static fv_node *make(env *e, const char *op_name, const char *types, const char *attrs,
                     fv_dtype t) {
  const fv_op op = fv_op_find(op_name, strlen(op_name));
  assert_true(op < FV_OP_COUNT);
  fv_value *in[FV_MAX_OPERANDS] = {NULL};
  int n_in = 0;
  for (const char *p = types; *p;) {
    fv_type type = {.dtype = t};
    char word[64];
    int used;
    assert_int_equal(sscanf(p, " %63s%n", word, &used), 1);
    p += used;
    p += strspn(p, " ");
    char *dims = word;
    char *colon = strchr(word, ':');
    if (colon) {
      *colon = 0;
      assert_true(fv_dtype_find(word, &type.dtype));
      dims = colon + 1;
    }
    if (*dims == '-') {
      n_in++;
      continue;
    }
    for (char *d = strtok(dims, "x"); d && *d != 's'; d = strtok(NULL, "x")) {
      const char *err;
      size_t at;
      type.dim[type.rank] = fv_x_parse_i64(e->module->pool, d, strlen(d), NULL, NULL, &err, &at);
      assert_non_null(type.dim[type.rank]);
      type.rank++;
    }
    char name[16];
    snprintf(name, sizeof name, "in%d", n_in);
    in[n_in++] = fv_graph_add_input(e->graph, name, &type);
  }
  fv_node *n = fv_node_create(e->graph->region, op, n_in, in, NULL);
  const fv_op_info *info = fv_op_get(op);
  for (const char *p = attrs; *p;) {
    const size_t name = strcspn(p, "=");
    const size_t value = strcspn(p + name + 1, " ");
    const char *err = "unknown attribute";
    size_t at;
    fv_status s = FV_ERR_PARSE;
    for (int i = 0; i < info->n_attr; i++)
      if (info->attr[i].len == name && memcmp(info->attr[i].name, p, name) == 0)
        s = fv_attr_parse(n, &info->attr[i], p + name + 1, value, NULL, NULL, &err, &at);
    if (s != FV_OK)
      fail_msg("%s: attribute %.*s: %s", op_name, (int)name, p, err);
    p += name + 1 + value;
    p += strspn(p, " ");
  }
  fv_node_insert_before(n, NULL);
  return n;
}

// Infers, evaluates with the given numbers and compares result 0.
static void expect(env *e, const int64_t *symbols, fv_node *n, const double *const *in, int count,
                   const double *want) {
  if (fv_infer_node(n, &e->diag) != FV_OK)
    fail_msg("%s", e->text);
  eval_ctx c = eval_begin(e, symbols);
  for (int k = 0; k < n->n_in; k++) {
    if (!n->in[k])
      continue;
    eval_tensor *t = eval_new(&c, &n->in[k]->type);
    for (int64_t i = 0; i < t->count; i++)
      t->data[i] = fv_dtype_is_float(t->type.dtype)
                       ? (fv_scalar){.f = fv_round_to(t->type.dtype, in[k][i])}
                       : (fv_scalar){.i = (int64_t)in[k][i]};
    c.of[n->in[k]->id] = t;
  }
  eval_node(&c, n, e->module);
  if (c.fault)
    fail_msg("%s: %s", fv_op_get(n->op)->name, c.fault);
  const eval_tensor *y = c.of[n->out[0]->id];
  assert_int_equal(y->count, count);
  for (int i = 0; i < count; i++) {
    const bool f = fv_dtype_is_float(y->type.dtype);
    const double got = f ? y->data[i].f : (double)y->data[i].i;
    if (isnan(want[i]) ? !isnan(got)
                       : !(got == want[i] || fabs(got - want[i]) <= 1e-6 * (1 + fabs(want[i]))))
      fail_msg("%s: element %d is %g, not %g", fv_op_get(n->op)->name, i, got, want[i]);
  }
}

#define LIST(...) ((const double[]){__VA_ARGS__})
#define INPUTS(...) ((const double *const[]){__VA_ARGS__})

static void products(env *e) {
  fv_node *n = make(e, "matmul", "2x3 3x2", "", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 2, 3, 4, 5, 6), LIST(1, 0, 0, 1, 1, 1)), 4, LIST(4, 5, 10, 11));
  n = make(e, "linear", "1x2 3x2 3", "", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 2), LIST(1, 0, 0, 1, 1, 1), LIST(10, 20, 30)), 3,
         LIST(11, 22, 33));
  n = make(e, "gemm", "2x1 2x2 2", "trans_a=true alpha=2 beta=0.5", FV_f64);
  expect(e, NULL, n, INPUTS(LIST(1, 3), LIST(1, 2, 3, 4), LIST(2, 4)), 2, LIST(21, 30));
  n = make(e, "masked_matmul", "1x2 2x1 bool:1x2", "", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(2, 1), LIST(3, NAN), LIST(1, 0)), 1, LIST(6));
  n = make(e, "conv", "1x1x4 1x1x3", "pads=1,1 strides=2", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 2, 3, 4), LIST(1, 10, 100)), 2, LIST(210, 432));
  n = make(e, "conv", "1x2x2 2x1x1 2", "group=2", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 2, 3, 4), LIST(10, 100), LIST(1, 2)), 4,
         LIST(11, 21, 302, 402));
}
static void test_products(void **state) {
  (void)state;
  with_env(products);
}

static void movement(env *e) {
  fv_node *n = make(e, "reshape", "2x6", "shape=4,-1", FV_f32);
  const double *twelve = LIST(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  expect(e, NULL, n, INPUTS(twelve), 12, twelve);
  n = make(e, "reshape", "6x2", "shape=4,3", FV_f32);
  expect(e, NULL, n, INPUTS(twelve), 12, twelve);
  n = make(e, "reshape", "3x2x2", "shape=2,1,6", FV_f32);
  expect(e, NULL, n, INPUTS(twelve), 12, twelve);
  n = make(e, "transpose", "2x3", "", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(0, 1, 2, 3, 4, 5)), 6, LIST(0, 3, 1, 4, 2, 5));
  n = make(e, "slice", "5", "axis=0 start=-4 end=-1 step=2", FV_f32);
  expect(e, NULL, n, INPUTS(twelve), 2, LIST(1, 3));
  n = make(e, "slice", "5", "axis=0 start=-1 end=-281474976710656 step=-1", FV_f32);
  expect(e, NULL, n, INPUTS(twelve), 5, LIST(4, 3, 2, 1, 0));
  n = make(e, "slice", "5", "axis=0 start=9 end=0 step=-3", FV_f32);
  expect(e, NULL, n, INPUTS(twelve), 2, LIST(4, 1));
  n = make(e, "concat", "2x1 2x2", "axis=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 2), LIST(3, 4, 5, 6)), 6, LIST(1, 3, 4, 2, 5, 6));
  n = make(e, "pad", "2", "pads=1,-1 value=9", FV_i32);
  expect(e, NULL, n, INPUTS(LIST(5, 6)), 2, LIST(9, 5));
  n = make(e, "range", "", "start=5 limit=-1 delta=-3", FV_f32);
  expect(e, NULL, n, NULL, 2, LIST(5, 2));
  n = make(e, "gather", "3x2 i64:2", "axis=0", FV_f32);
  expect(e, NULL, n, INPUTS(twelve, LIST(-1, 1)), 4, LIST(4, 5, 2, 3));
  n = make(e, "tensor_scatter", "4 2", "axis=0 position=1", FV_f32);
  expect(e, NULL, n, INPUTS(twelve, LIST(8, 9)), 4, LIST(0, 8, 9, 3));
  n = make(e, "trilu", "2x3", "upper=false", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 2, 3, 4, 5, 6)), 6, LIST(1, 0, 0, 4, 5, 0));
  n = make(e, "one_hot", "i64:2", "depth=2 axis=0", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(-1, 5)), 4, LIST(0, 0, 1, 0));
  n = make(e, "select", "2x3", "axis=1 index=-1", FV_f32);
  expect(e, NULL, n, INPUTS(twelve), 2, LIST(2, 5));
}

static void indexing(env *e) {
  const double *six = LIST(0, 1, 2, 3, 4, 5);
  fv_node *n = make(e, "gather_nd", "2x3 i64:3x2", "", FV_f32);
  expect(e, NULL, n, INPUTS(six, LIST(0, 2, 1, 0, -1, -1)), 3, LIST(2, 3, 5));
  n = make(e, "gather_nd", "2x3 i64:2x1", "batch_dims=1", FV_f32);
  expect(e, NULL, n, INPUTS(six, LIST(2, 0)), 2, LIST(2, 3));
  n = make(e, "gather_elements", "2x3 i64:2x2", "axis=1", FV_f32);
  expect(e, NULL, n, INPUTS(six, LIST(2, 2, -3, 1)), 4, LIST(2, 2, 3, 4));
  // Two updates of one row: the later wins, and sums take both.
  n = make(e, "scatter_nd", "2x2 i64:3x1 3x2", "", FV_f32);
  expect(e, NULL, n, INPUTS(six, LIST(1, 0, -1), LIST(7, 8, 9, 10, 11, 12)), 4,
         LIST(9, 10, 11, 12));
  n = make(e, "scatter_nd", "2x2 i64:3x1 3x2", "reduction=add", FV_f32);
  expect(e, NULL, n, INPUTS(six, LIST(1, 0, -1), LIST(7, 8, 9, 10, 11, 12)), 4,
         LIST(9, 11, 20, 23));
  n = make(e, "scatter_nd", "3 i64:2x1 2", "reduction=max", FV_f32);
  expect(e, NULL, n, INPUTS(six, LIST(2, 2), LIST(NAN, 9)), 3, LIST(0, 1, NAN));
  n = make(e, "scatter_elements", "3x2 i64:1x2 1x2", "axis=0 reduction=mul", FV_i32);
  expect(e, NULL, n, INPUTS(six, LIST(2, 1), LIST(10, 100)), 6, LIST(0, 1, 2, 300, 40, 5));
}
static void test_indexing(void **state) {
  (void)state;
  with_env(indexing);
}

static void scans(env *e) {
  const double *six = LIST(1, 2, 3, 4, 5, 6);
  fv_node *n = make(e, "cumsum", "2x3", "axis=1", FV_f32);
  expect(e, NULL, n, INPUTS(six), 6, LIST(1, 3, 6, 4, 9, 15));
  n = make(e, "cumsum", "2x3", "axis=0 exclusive=true", FV_i64);
  expect(e, NULL, n, INPUTS(six), 6, LIST(0, 0, 0, 1, 2, 3));
  n = make(e, "cumsum", "2x3", "axis=-1 reverse=true", FV_f32);
  expect(e, NULL, n, INPUTS(six), 6, LIST(6, 5, 3, 15, 11, 6));
  n = make(e, "cumprod", "2x3", "axis=1 exclusive=true reverse=true", FV_f64);
  expect(e, NULL, n, INPUTS(six), 6, LIST(6, 3, 1, 30, 6, 1));
  n = make(e, "cumsum", "4", "axis=0", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, INFINITY, 2, -INFINITY)), 4, LIST(1, INFINITY, INFINITY, NAN));
}
static void test_scans(void **state) {
  (void)state;
  with_env(scans);
}
static void test_movement(void **state) {
  (void)state;
  with_env(movement);
}

static void scalars(env *e) {
  fv_node *n = make(e, "clip", "3", "min=-1.5 max=1", FV_i32);
  expect(e, NULL, n, INPUTS(LIST(-5, 0, 7)), 3, LIST(-1, 0, 1));
  n = make(e, "clip", "2", "min=0 max=300", FV_u8);
  expect(e, NULL, n, INPUTS(LIST(3, 255)), 2, LIST(3, 255));
  n = make(e, "sigmoid", "4", "", FV_f64);
  expect(e, NULL, n, INPUTS(LIST(0, -1000, 1000, NAN)), 4, LIST(0.5, 0, 1, NAN));
  n = make(e, "gelu", "3", "", FV_f64);
  expect(e, NULL, n, INPUTS(LIST(0, 1, -1)), 3, LIST(0, 0.8413447460685429, -0.15865525393145707));
  n = make(e, "softplus", "2", "", FV_f64);
  expect(e, NULL, n, INPUTS(LIST(1000, 0)), 2, LIST(1000, 0.6931471805599453));
  n = make(e, "cast", "4", "to=i8", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(300, -300, NAN, 1.9)), 4, LIST(127, -128, 0, 1));
  n = make(e, "cast", "3", "to=bool", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(0.5, 0, NAN)), 3, LIST(1, 0, 1));
  n = make(e, "greater", "2 2", "", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(2, NAN), LIST(1, 0)), 2, LIST(1, 0));
  n = make(e, "mod", "2 2", "", FV_i32);
  expect(e, NULL, n, INPUTS(LIST(-7, 7), LIST(3, -3)), 2, LIST(2, -2));
  n = make(e, "where", "bool:2 2 s", "", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 0), LIST(1, 2), LIST(9)), 2, LIST(1, 9));
  n = make(e, "relu", "2", "", FV_f16);
  expect(e, NULL, n, INPUTS(LIST(NAN, -1)), 2, LIST(NAN, 0));
}
static void test_scalars(void **state) {
  (void)state;
  with_env(scalars);
}

static void reductions(env *e) {
  const double *six = LIST(1, 2, 3, 4, 5, 6);
  expect(e, NULL, make(e, "reduce_mean", "2x3", "axes=1", FV_f32), INPUTS(six), 2, LIST(2, 5));
  expect(e, NULL, make(e, "reduce_sum", "2x3", "keepdims=false", FV_f32), INPUTS(six), 1, LIST(21));
  expect(e, NULL, make(e, "reduce_max", "2", "", FV_bool), INPUTS(LIST(0, 1)), 1, LIST(1));
  expect(e, NULL, make(e, "reduce_min", "2", "", FV_bool), INPUTS(LIST(0, 1)), 1, LIST(0));
  expect(e, NULL, make(e, "reduce_mean", "s", "", FV_f16), INPUTS(LIST(3)), 1, LIST(3));
  expect(e, NULL, make(e, "arg_max", "4", "", FV_f32), INPUTS(LIST(1, 7, 7, 0)), 1, LIST(1));
  expect(e, NULL, make(e, "arg_max", "3", "", FV_f32), INPUTS(LIST(1, NAN, 9)), 1, LIST(1));
  expect(e, NULL, make(e, "max_pool", "1x1x3", "kernel_shape=2 pads=1,0", FV_f32),
         INPUTS(LIST(-3, -1, -2)), 3, LIST(-3, -1, -1));
  expect(e, NULL, make(e, "average_pool", "1x1x3", "kernel_shape=2 pads=1,1", FV_f32),
         INPUTS(LIST(2, 4, 6)), 4, LIST(2, 3, 5, 6));
  expect(e, NULL,
         make(e, "average_pool", "1x1x3", "kernel_shape=2 pads=1,1 count_include_pad=true", FV_f32),
         INPUTS(LIST(2, 4, 6)), 4, LIST(1, 3, 5, 3));
  expect(e, NULL, make(e, "softmax", "2", "", FV_f32), INPUTS(LIST(1e30, 1e30)), 2, LIST(0.5, 0.5));
  expect(e, NULL, make(e, "top_k", "5", "k=3", FV_f32), INPUTS(LIST(1, NAN, 5, 5, 2)), 3,
         LIST(NAN, 5, 5));
  expect(e, NULL, make(e, "top_k", "2x2", "k=1 axis=0 largest=false", FV_i32),
         INPUTS(LIST(4, 1, 2, 3)), 2, LIST(2, 1));
}
static void test_reductions(void **state) {
  (void)state;
  with_env(reductions);
}

static void attention_rules(env *e) {
  // One key visible to query 0, two to query 1; the masked key holds NaN.
  fv_node *n = make(e, "attention", "2x1 2x1 2x1", "causal=true scale=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(0, 0), LIST(1, 2), LIST(4, 8)), 2, LIST(4, 6));
  n = make(e, "attention", "1x1 2x1 2x1 bool:1x2", "scale=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1), LIST(1, NAN), LIST(5, NAN), LIST(1, 0)), 1, LIST(5));
  n = make(e, "attention", "1x1 2x1 2x1 bool:1x2", "scale=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1), LIST(1, NAN), LIST(5, NAN), LIST(0, 0)), 1, LIST(0));
  n = make(e, "attention", "1x1 2x1 2x1 bool:1x2", "scale=1 empty=nan", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1), LIST(1, NAN), LIST(5, NAN), LIST(0, 0)), 1, LIST(NAN));
  n = make(e, "attention", "1x1 2x1 2x1 1x2", "scale=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1), LIST(1, NAN), LIST(5, INFINITY), LIST(3, -INFINITY)), 1,
         LIST(5));
  // Causal with more queries than keys: the first query sees none.
  n = make(e, "attention", "2x1 1x1 1x1", "causal=true scale=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1, 1), LIST(1), LIST(7)), 2, LIST(0, 7));
  n = make(e, "attention", "1x1 4x1 4x1", "causal=true scale=1 kv_valid=3 window=2", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(0), LIST(1, 1, 1, NAN), LIST(1, 2, 4, NAN)), 1, LIST(3));
  n = make(e, "attention", "1x1 3x1 3x1", "scale=1 kv_valid=2", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(0), LIST(1, 1, NAN), LIST(1, 2, NAN)), 1, LIST(1.5));
  n = make(e, "attention", "2x1x1 2x2x1 2x2x1 - - i64:2", "scale=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(0, 0), LIST(1, 1, 1, 1), LIST(1, 2, 3, 4), NULL, NULL, LIST(1, 2)),
         2, LIST(1, 3.5));
  // Two query heads share one key/value head.
  n = make(e, "attention", "1x2 2x1 2x1", "heads=2 kv_heads=1 scale=1", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(0, 1000), LIST(0, 1), LIST(2, 4)), 2, LIST(3, 4));
  n = make(e, "additive_attention", "1x1 1x2x1 1x2x1 1x1 1 i64:1", "", FV_f32);
  expect(e, NULL, n, INPUTS(LIST(1), LIST(1, NAN), LIST(3, NAN), LIST(1), LIST(1), LIST(1)), 1,
         LIST(3));
}
static void test_attention_rules(void **state) {
  (void)state;
  with_env(attention_rules);
}

//===-- Symbolic dims -----------------------------------------------------===//

static void symbolic(env *e) {
  fv_xpool *p = e->module->pool;
  fv_symbol_add(p, "B", 1, 8, FV_SYM_DIM);
  fv_symbol_add(p, "S", 1, 512, FV_SYM_DIM);
  fv_symbol_add(p, "past", 0, 512, FV_SYM_STATE);
  const int64_t values[] = {2, 3, 1};
  fv_node *n = make(e, "reshape", "BxSx4", "shape=B,S,2,2", FV_f32);
  assert_int_equal(fv_infer_node(n, &e->diag), FV_OK);
  // Inside of its group the index of the split dim needs no division.
  fv_str text = {.arena = e->arena};
  fv_x_print(p, &text, n->meaning->nest.value);
  assert_null(strstr(text.data, "floordiv"));
  assert_null(strstr(text.data, "mod"));
  n = make(e, "reshape", "BxSx2x2", "shape=-1,4", FV_f32);
  assert_int_equal(fv_infer_node(n, &e->diag), FV_OK);
  assert_ptr_equal(n->out[0]->type.dim[0], fv_x_mul(p, fv_x_sym(p, 0), fv_x_sym(p, 1)));
  n = make(e, "attention", "BxSx4 Bx512x4 Bx512x4", "heads=2 causal=true kv_valid=past+S", FV_f32);
  if (fv_infer_node(n, &e->diag) != FV_OK)
    fail_msg("%s", e->text);
  eval_ctx c = eval_begin(e, values);
  for (int k = 0; k < 3; k++) {
    c.of[n->in[k]->id] = eval_new(&c, &n->in[k]->type);
    fill(c.of[n->in[k]->id], &(fv_example_operand){.scale = 1}, k);
  }
  eval_node(&c, n, e->module);
  assert_null(c.fault);
  assert_int_equal(c.of[n->out[0]->id]->count, 2 * 3 * 4);
  n = make(e, "tensor_scatter", "Bx512x4 BxSx4", "axis=1 position=past", FV_f32);
  assert_int_equal(fv_infer_node(n, &e->diag), FV_OK);
  assert_non_null(n->meaning->nest.check);  // past + S <= 512 is for the run to see
  n = make(e, "slice", "BxS", "axis=1 start=1", FV_f32);
  assert_int_equal(fv_infer_node(n, &e->diag), FV_OK);
  assert_ptr_equal(n->out[0]->type.dim[1], fv_x_sub(p, fv_x_sym(p, 1), fv_x_i64(p, 1)));
}
static void test_symbolic(void **state) {
  (void)state;
  with_env(symbolic);
}

//===-- Loops ---------------------------------------------------------------===//

// A layer whose gates are all open adds tanh(x) to c each step; its lengths stop it.
static void layers(env *e) {
  const double big = 100;
  const double w[] = {big, 1, big, big};  // i, tanh's, f, o: gates = igfo
  const double zero[] = {0, 0, 0, 0}, bias[] = {big, 0, big, big, 0, 0, 0, 0};
  const double x[] = {1, 1, 1, 1, 1, 1}, t = 0.7615941559557649;
  fv_node *n = make(e, "lstm", "3x2x1 1x4x1 1x4x1 1x8 i64:2", "gates=igfo", FV_f64);
  expect(e, NULL, n, INPUTS(x, w, zero, bias, LIST(1, 3)), 6,
         LIST(tanh(t), tanh(t), 0, tanh(2 * t), 0, tanh(3 * t)));
  n = make(e, "lstm", "2x3x1 1x4x1 1x4x1 1x8 i64:2", "gates=igfo layout=1 direction=reverse",
           FV_f64);
  expect(e, NULL, n, INPUTS(x, w, zero, bias, LIST(1, 3)), 6,
         LIST(tanh(t), 0, 0, tanh(3 * t), tanh(2 * t), tanh(t)));
  // Without update gate and recurrence, h is tanh(x) at once; the first h where nothing is read.
  n = make(e, "gru", "2x2x1 1x3x1 1x3x1 1x6 i64:2 1x2x1", "gates=nrz", FV_f64);
  expect(e, NULL, n,
         INPUTS(x, LIST(1, 0, -big), zero, LIST(0, 0, -big, 0, 0, 0), LIST(2, 0), LIST(5, 5)), 4,
         LIST(t, 0, t, 0));
}
static void test_layers(void **state) {
  (void)state;
  with_env(layers);
}

static void loop_types(env *e) {
  fv_xpool *p = e->module->pool;
  const uint32_t steps = fv_symbol_add(p, "T", 1, 64, FV_SYM_DIM);
  const uint32_t t = fv_symbol_add(p, "t", 0, 63, FV_SYM_COUNTER);
  const fv_type x_type = {.dtype = FV_f32, .rank = 2, .dim = {fv_x_sym(p, steps), fv_x_i64(p, 4)}};
  const fv_type h_type = {.dtype = FV_f32, .rank = 1, .dim = {fv_x_i64(p, 4)}};
  fv_value *x = fv_graph_add_input(e->graph, "x", &x_type);
  fv_value *h = fv_graph_add_input(e->graph, "h", &h_type);
  fv_node *loop = fv_node_create(e->graph->region, FV_OP_loop, 1, &h, NULL);
  fv_attr_set_expr(loop, "trips", fv_x_sym(p, steps));
  fv_attr_set_int(loop, "counter", t);
  fv_attr_set_ints(loop, "collect_axes", 1, (const int64_t[]){-1});
  fv_value *carry = fv_region_add_param(loop->body[0], &h_type, "h");
  fv_node *row = fv_node_create(loop->body[0], FV_OP_select, 1, &x, NULL);
  fv_attr_set_int(row, "axis", 0);
  fv_attr_set_expr(row, "index",
                   fv_x_sub(p, fv_x_sub(p, fv_x_sym(p, steps), fv_x_sym(p, t)), fv_x_i64(p, 1)));
  fv_node_insert_before(row, NULL);
  assert_int_equal(fv_infer_node(row, &e->diag), FV_OK);
  assert_null(row->meaning->nest.check);  // 0 <= T - t - 1 < T is proved from t < T
  fv_node *sum =
      fv_node_create(loop->body[0], FV_OP_add, 2, (fv_value *[]){carry, row->out[0]}, NULL);
  fv_node_insert_before(sum, NULL);
  assert_int_equal(fv_infer_node(sum, &e->diag), FV_OK);
  fv_region_add_result(loop->body[0], sum->out[0]);
  fv_region_add_result(loop->body[0], row->out[0]);
  fv_node_insert_before(loop, NULL);
  if (fv_infer_graph(e->graph, &e->diag) != FV_OK)
    fail_msg("%s", e->text);
  assert_int_equal(loop->n_out, 2);
  assert_int_equal(loop->out[1]->type.rank, 2);
  assert_ptr_equal(loop->out[1]->type.dim[1], fv_x_sym(p, steps));
  assert_ptr_equal(loop->out[1]->type.dim[0], fv_x_i64(p, 4));
  // A carry that changes its type is refused.
  fv_node *cast = fv_node_create(loop->body[0], FV_OP_cast, 1, &sum->out[0], NULL);
  fv_attr_set_dtype(cast, "to", FV_f64);
  fv_node_insert_before(cast, NULL);
  assert_int_equal(fv_infer_node(cast, &e->diag), FV_OK);
  loop->body[0]->result[0] = cast->out[0];
  assert_int_equal(fv_infer_graph(e->graph, &e->diag), FV_ERR_TYPE);
  assert_non_null(strstr(e->text, "the next value of carry 0"));
}
static void test_loop_types(void **state) {
  (void)state;
  with_env(loop_types);
}

//===-- Messages ------------------------------------------------------------===//

typedef struct bad_case {
  const char *op, *types, *attrs;
  fv_dtype dtype;
  const char *text;  // must occur in the message
} bad_case;

static const bad_case bad[] = {
    {"add", "2 3", "", FV_f32, "add: shapes do not broadcast: 2 against 3 (a: f32[2], b: f32[3])"},
    {"add", "B S", "", FV_f32, "cannot prove B == S; declare them as one dim"},
    {"add", "2 i64:2", "", FV_f32, "element types differ (a: f32[2], b: i64[2])"},
    {"add", "2", "", FV_f32, "add: operand 'b' is missing"},
    {"relu", "2 2", "", FV_f32, "takes 1 operand, not 2"},
    {"exp", "2", "", FV_i32, "'x' must hold floats; it is i32[2]"},
    {"neg", "2", "", FV_u8, "'x' must be signed"},
    {"matmul", "2x3 4x5", "", FV_f32, "must be equal: 3 is not 4 (a: f32[2, 3], b: f32[4, 5])"},
    {"matmul", "s 3", "", FV_f32, "'a' must have rank 1 or more"},
    {"reshape", "2x3", "shape=4,-1", FV_f32, "cannot divide"},
    {"reshape", "2x3", "shape=-1,-1", FV_f32, "only one can be inferred"},
    {"reshape", "2x3", "shape=5", FV_f32, "cannot put 6 elements into 5"},
    {"reshape", "0x3", "shape=0,-1", FV_f32, "no one answer"},
    {"reshape", "2", "shape=-2", FV_f32, "negative"},
    {"reshape", "s", "shape=1,1,1,1,1,1,1,1,1", FV_f32, "rank 9"},
    {"softmax", "2x3", "axis=2", FV_f32,
     "axis = 2 is out of range: it must be in -2..1 for rank 2"},
    {"softmax", "s", "", FV_f32, "rank 1 or more"},
    {"concat", "2 3", "", FV_f32, "attribute 'axis' is missing"},
    {"concat", "2 -", "axis=0", FV_f32, "operand 'x[1]' is missing"},
    {"concat", "- 2", "axis=0", FV_f32, "operand 'x[0]' is missing"},
    {"concat", "", "axis=0", FV_f32, "needs one operand"},
    {"split", "5", "parts=2", FV_f32, "cannot be cut into 2 equal parts"},
    {"split", "5", "parts=0", FV_f32, "parts"},
    {"split", "5", "parts=99", FV_f32, "1..8"},
    {"split", "5", "sizes=2,2", FV_f32, "4 is not 5"},
    {"conv", "1x3x8 4x3x3", "strides=0", FV_f32, "strides[0] = 0 is out of range"},
    {"conv", "1x3x8 4x3x3", "group=0", FV_f32, "group = 0 is out of range"},
    {"conv", "1x4x8 4x2x3", "group=9223372036854775807", FV_f32, "out of range"},
    {"conv", "1x4x8 3x2x3", "group=2", FV_f32, "group = 2 does not divide"},
    {"conv", "1x3x2 4x3x3", "", FV_f32,
     "the kernel reaches over 3 elements, the padded input has 2"},
    {"conv", "1x3xS 4x3x3", "", FV_f32, "declare a larger min"},
    {"conv", "1x3x8 4x3x3", "pads=-1,0", FV_f32, "pads[0] = -1"},
    {"conv", "1x3x8 4x3x0", "", FV_f32, "kernel is empty"},
    {"max_pool", "1x1x4", "kernel_shape=2 pads=2,0", FV_f32, "without any input"},
    {"max_pool", "1x1x4", "kernel_shape=0", FV_f32, "kernel_shape[0] = 0"},
    {"transpose", "2x3", "perm=0,0", FV_f32, "each of 0..1 once"},
    {"transpose", "2x3", "perm=-9,1", FV_f32, "each of 0..1 once"},
    {"slice", "5", "axis=0 step=0", FV_f32, "step must not be 0"},
    {"select", "5", "axis=0 index=5", FV_f32, "index = 5 is out of range: it must be in 0..4"},
    {"top_k", "5", "k=6", FV_f32, "k = 6 exceeds the extent 5 of axis 0"},
    {"top_k", "5", "k=-1", FV_f32, "k = -1 is out of range"},
    {"gather", "5 2", "", FV_f32, "must be i64 or i32"},
    {"gather_nd", "5 i64:2x2", "", FV_f32, "the last dim of 'indices' is 2; it must be in 1..1"},
    {"gather_nd", "5 i64:2xB", "", FV_f32, "the last dim of 'indices' must be a number"},
    {"gather_nd", "5x3 i64:2x1", "batch_dims=2", FV_f32, "batch_dims = 2 is out of range"},
    {"gather_nd", "5x3 i64:2x1", "batch_dims=1", FV_f32,
     "axis 0 of 'x' and axis 0 of 'indices' must be equal: 5 is not 2"},
    {"gather_elements", "5x3 i64:2x4", "", FV_f32, "axis 1 of 'indices' is longer"},
    {"scatter_nd", "5x3 i64:2x1 2x4", "", FV_f32,
     "axis 1 of 'updates' and axis 1 of 'x' must be equal: 4 is not 3"},
    {"scatter_nd", "5 i64:2x1 2", "reduction=sum", FV_f32, "one of: none add mul max min"},
    {"scatter_nd", "5 i64:2x1 2", "reduction=add", FV_bool, "must hold numbers"},
    {"scatter_elements", "5 i64:2 3", "", FV_f32,
     "axis 0 of 'updates' and axis 0 of 'indices' must be equal: 3 is not 2"},
    {"cumsum", "s", "axis=0", FV_f32, "rank 1 or more"},
    {"lstm", "5x2x3 1x16x3 1x16x4", "direction=backward", FV_f32, "one of: forward reverse"},
    {"lstm", "5x2x3 1x16x3 1x16x4", "direction=bidirectional", FV_f32, "axis 0 of 'w'"},
    {"lstm", "5x2x3 1x16x3 1x16x4 1x16", "", FV_f32,
     "axis 1 of 'b' and 8 times axis 2 of 'r' must be equal: 16 is not 32"},
    {"lstm", "5x2x3 1x16x3 1x16x4", "gates=ifgg", FV_f32, "each of the letters 'ifgo' once"},
    {"gru", "5x2x3 1x12x3 1x12x4 - 2", "", FV_f32, "'lengths' must be i64 or i32"},
    {"range", "", "limit=9 delta=0", FV_f32, "delta must not be 0"},
    {"range", "", "limit=9223372036854775807 start=-9223372036854775807", FV_f32, "out of range"},
    {"fill", "", "value=0 shape=4611686018427387904,4", FV_f32, "too large"},
    {"fill", "", "value=0.5 shape=2 dtype=i32", FV_f32, "cannot be represented in i32"},
    {"pad", "3", "pads=-2,-2", FV_f32, "negative"},
    {"squeeze", "2", "axes=0", FV_f32, "only an extent of 1"},
    {"reduce_sum", "2x3", "axes=0,-2", FV_f32, "names axis 0 twice"},
    {"gelu", "2", "approximate=tahn", FV_f32, "approximate = 'tahn' is unknown"},
    {"layer_norm", "2x3 4", "", FV_f32, "3 is not 4"},
    {"layer_norm", "2x3 3", "epsilon=-1", FV_f32, "epsilon = -1"},
    {"attention", "2x3 2x4 2x3", "", FV_f32, "the last dims of q and k must be equal: 3 is not 4"},
    {"attention", "1x3x2x4 1x2x2x4 1x2x2x4", "", FV_f32, "must divide those of q"},
    {"attention", "2x4 2x4 2x4", "heads=3", FV_f32, "multiple of its 3 heads"},
    {"attention", "2x4 2x4 2x4", "heads=4 kv_heads=3", FV_f32,
     "kv_heads = 3 must divide heads = 4"},
    {"attention", "2x4 2x4 2x4 3x2", "", FV_f32, "shapes do not broadcast"},
    {"attention", "2x4 2x4 2x4", "window=-1", FV_f32, "window = -1"},
    {"attention", "2x4 2x4 2x4", "kv_valid=3", FV_f32, "kv_valid = 3 is out of range"},
    {"gru_cell", "1x2 1x3 8x2 9x3", "", FV_f32, "8 is not 9"},
    {"gru_cell", "1x2 1x3 9x2 9x3", "gates=rzz", FV_f32, "each of the letters 'rzn' once"},
};

// A graph of its own with example i of op; NULL: there is none of this type.
static fv_node *put_example(env *e, fv_op op, int i) {
  fv_example ex;
  fv_node *n;
  const fv_dtype t = strchr("f-", fv_op_get(op)->dtypes[0]) ? FV_f32 : FV_i32;
  e->graph = fv_graph_create(e->module, "g", NULL);
  return fv_example_get(op, i, &ex) && fv_example_build(e->graph, op, &ex, t, &e->diag, &n) == FV_OK
             ? n
             : NULL;
}

// A dim that may be 0: the op takes it, or refuses it in words of its own, not in those of an op
// that it is defined by.
static void dims_from_zero(env *e, fv_op op, int i, int64_t dim) {
  const fv_op_info *info = fv_op_get(op);
  if (!put_example(e, op, i))
    return;
  const fv_expr *x =
      fv_x_sym(e->module->pool, fv_symbol_add(e->module->pool, "N", 0, 64, FV_SYM_DIM));
  for (int k = 0; k < e->graph->region->n_param; k++) {
    fv_type *type = &e->graph->region->param[k]->type;
    for (int d = 0; d < type->rank; d++) {
      int64_t v;
      if (fv_x_is_lit(type->dim[d], &v) && v == dim)
        type->dim[d] = x;
    }
  }
  const size_t name = strlen(info->name);
  if (fv_infer_graph(e->graph, &e->diag) != FV_OK &&
      (strncmp(e->text, info->name, name) != 0 || e->text[name] != ':'))
    fail_msg("%s, example %d with %lld as N: %s", info->name, i, (long long)dim, e->text);
}

static void all_dims_from_zero(env *e) {
  for (int op = 0; op < FV_OP_COUNT; op++)
    for (int i = 0; i < fv_example_count((fv_op)op); i++)
      for (int64_t dim = 2; dim < 20; dim++)
        dims_from_zero(e, (fv_op)op, i, dim);
}
static void test_dims_from_zero(void **state) {
  (void)state;
  with_env(all_dims_from_zero);
}

// One dim of an operand is another one: the op takes it, or says what is wrong in its own name, by
// the operand's name and with the dim.
static void other_dim(env *e, fv_op op, int i, int operand, int axis, int64_t dim) {
  const fv_op_info *info = fv_op_get(op);
  const fv_node *n = put_example(e, op, i);
  if (!n)
    return;
  fv_value *v = operand < n->n_in ? n->in[operand] : NULL;
  if (!v || v->def || axis >= v->type.rank)
    return;
  v->type.dim[axis] = fv_x_i64(e->module->pool, dim);
  e->text[0] = 0;
  if (fv_infer_graph(e->graph, &e->diag) == FV_OK)
    return;
  const int row = operand < info->n_operand ? operand : info->n_operand - 1;
  const size_t len = info->operand[row].len;
  const char *number = fv_arena_printf(e->module->arena, "%lld", (long long)dim);
  bool named = false;
  for (const char *at = e->text; !named && *at; at++)
    named = (at == e->text || strchr("' (", at[-1])) &&
            strncmp(at, info->operand[row].name, len) == 0 && strchr("':[ ", at[len]);
  const size_t name = strlen(info->name);
  if (!named || !strstr(e->text, number) || strncmp(e->text, info->name, name) != 0 ||
      e->text[name] != ':')
    fail_msg("%s, example %d, axis %d of '%.*s' = %lld: %s", info->name, i, axis, (int)len,
             info->operand[row].name, (long long)dim, e->text);
}

static void all_other_dims(env *e) {
  for (int op = 0; op < FV_OP_COUNT; op++)
    for (int i = 0; i < fv_example_count((fv_op)op); i++)
      for (int operand = 0; operand < 8; operand++)
        for (int axis = 0; axis < FV_MAX_RANK; axis++)
          for (int64_t dim = 0; dim < 24; dim += 23)
            other_dim(e, (fv_op)op, i, operand, axis, dim);
}
static void test_other_dims(void **state) {
  (void)state;
  with_env(all_other_dims);
}

static void messages(env *e) {
  fv_symbol_add(e->module->pool, "B", 1, 8, FV_SYM_DIM);
  fv_symbol_add(e->module->pool, "S", 1, 512, FV_SYM_DIM);
  for (size_t i = 0; i < FV_COUNTOF(bad); i++) {
    const bad_case *b = &bad[i];
    e->text[0] = 0;
    fv_node *n = make(e, b->op, b->types, b->attrs, b->dtype);
    const fv_status s = fv_infer_node(n, &e->diag);
    if (s == FV_OK || !strstr(e->text, b->text))
      fail_msg("%s %s; %s: got '%s', not '%s'", b->op, b->types, b->attrs,
               s == FV_OK ? "no error" : e->text, b->text);
  }
}
static void test_messages(void **state) {
  (void)state;
  with_env(messages);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows_are_complete),
      cmocka_unit_test(test_every_example),
      cmocka_unit_test(test_products),
      cmocka_unit_test(test_movement),
      cmocka_unit_test(test_indexing),
      cmocka_unit_test(test_scans),
      cmocka_unit_test(test_scalars),
      cmocka_unit_test(test_reductions),
      cmocka_unit_test(test_attention_rules),
      cmocka_unit_test(test_symbolic),
      cmocka_unit_test(test_layers),
      cmocka_unit_test(test_loop_types),
      cmocka_unit_test(test_dims_from_zero),
      cmocka_unit_test(test_other_dims),
      cmocka_unit_test(test_messages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
