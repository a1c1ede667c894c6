// SPDX-License-Identifier: Apache-2.0
// Lowering as a whole: what it leaves alone.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph/example.h"
#include "ir/kernel/kernel.h"
#include "lower/lower.h"
#include "unit.h"

typedef struct env {
  fv_arena *arena;
  fv_diag_sink diag;
  collected log;
} env;

static const fv_target targets[] = {
    {.struct_size = sizeof(fv_target),
     .has_fma = 1,
     .has_f64 = 1,
     .vector_bits = 512,
     .registers = 32,
     .l1_bytes = 32 << 10,
     .l2_bytes = 1 << 20,
     .l3_bytes = 8 << 20,
     .workers = 4},
    {.struct_size = sizeof(fv_target),
     .has_f64 = 1,
     .vector_bits = 64,
     .registers = 16,
     .l1_bytes = 16 << 10,
     .l2_bytes = 128 << 10,
     .l3_bytes = 1 << 20,
     .workers = 1},
};

// The graphs of m: its pool may have got symbols, which stand in front of them.
static const char *text_of(env *e, fv_module *m) {
  fv_str s = {.arena = e->arena};
  fv_text_print(m, &s);
  return strstr(s.data, "\ngraph ");
}

// The kernels that are made of m, as text.
static const char *lower(env *e, const fv_module *m, const fv_target *t) {
  fv_lowered *l;
  fv_str s = {.arena = e->arena};
  if (fv_lower(m, t, false, &e->diag, &l) != FV_OK)
    fail_msg("%s", e->log.text);
  for (size_t i = 0; i < l->n_kernel; i++)
    fv_kernel_print(&l->kernel[i]->code, &s);
  return s.data ? s.data : "";
}

// One module, lowered for one target and another in turns.
static void check_kept(env *e, fv_module *m) {
  const char *before = text_of(e, m);
  const char *wide = lower(e, m, &targets[0]), *narrow = lower(e, m, &targets[1]);
  assert_string_equal(text_of(e, m), before);
  assert_string_equal(lower(e, m, &targets[0]), wide);
  assert_string_equal(lower(e, m, &targets[1]), narrow);
  assert_int_equal(fv_verify(m, "lowering it", &e->diag), FV_OK);
}

static void begin(env *e) {
  *e = (env){.arena = fv_arena_create(NULL)};
  e->diag = COLLECTING_SINK(&e->log);
}

static void check_op(fv_op op, int i) {
  env e;
  begin(&e);
  fv_module *m = fv_module_create(e.arena, "m");
  fv_graph *g = fv_graph_create(m, "main", NULL);
  fv_example ex;
  fv_node *n;
  const fv_dtype t = strchr("f-", fv_op_get(op)->dtypes[0]) ? FV_f32 : FV_i32;
  if (fv_example_get(op, i, &ex) && fv_example_build(g, op, &ex, t, &e.diag, &n) == FV_OK)
    check_kept(&e, m);
  fv_arena_destroy(e.arena);
}

static void test_module_is_kept(void **state) {
  (void)state;
  for (int op = 0; op < FV_OP_COUNT; op++)
    for (int i = 0; i < fv_example_count((fv_op)op) && i < 3; i++)
      check_op((fv_op)op, i);
}

static fv_module *parse(env *e, const char *text) {
  fv_module *m;
  if (fv_text_parse(e->arena, "in.fvt", text, strlen(text), NULL, NULL, &e->diag, &m) != FV_OK ||
      fv_verify(m, "reading", &e->diag) != FV_OK)
    fail_msg("%s", e->log.text);
  return m;
}

// A definition in a loop in an arm.
static void test_regions_are_kept(void **state) {
  (void)state;
  static const char in[] =
      "fovea 1\nmodule \"m\"\nsymbol i counter 0..1\n"
      "graph \"main\" {\n"
      "  input \"x\" %x : f32[3, 4]\n"
      "  input \"c\" %c : bool[]\n"
      "  %y = if(%c) : f32[3, 4] do {\n"
      "    %l = loop(%x) {trips = 2, counter = 0} : f32[3, 4] do {\n"
      "      param %v : f32[3, 4]\n"
      "      %s = softmax(%v) {axis = 1} : f32[3, 4]\n"
      "      %g = gelu(%s) : f32[3, 4]\n"
      "      yield %g\n"
      "    }\n"
      "    yield %l\n"
      "  } else {\n"
      "    yield %x\n"
      "  }\n"
      "  output \"y\" %y\n"
      "}\n";
  env e;
  begin(&e);
  check_kept(&e, parse(&e, in));
  fv_arena_destroy(e.arena);
}

// Two loops of one definition, each with the longest in another place.
static void test_shared_counter(void **state) {
  (void)state;
  static const char in[] =
      "fovea 1\nmodule \"m\"\nsymbol N dim 1..9\nsymbol i counter 0..9\n"
      "graph \"main\" {\n"
      "  input \"x\" %%x : f32[N]\n"
      "  %%a = loop(%%x) {trips = %s, counter = 1} : f32[N] do {\n"
      "    param %%v : f32[N]\n"
      "    yield %%v\n"
      "  }\n"
      "  %%b = loop(%%a) {trips = %s, counter = 1} : f32[N] do {\n"
      "    param %%w : f32[N]\n"
      "    yield %%w\n"
      "  }\n"
      "  output \"y\" %%b\n"
      "}\n";
  static const char *const trips[][3] = {
      {"7", "3", "6"}, {"3", "7", "6"}, {"N", "3", "8"}, {"3", "N", "8"}};
  for (size_t k = 0; k < FV_COUNTOF(trips); k++) {
    char text[sizeof in + 8];
    snprintf(text, sizeof text, in, trips[k][0], trips[k][1]);
    env e;
    begin(&e);
    fv_module *m = parse(&e, text);
    fv_lentry entry = {0};
    fv_lower_ranges(e.arena, &entry, m->graph[0]);
    const fv_expr *most = fv_lower_bound(m->pool, &entry, fv_x_sym(m->pool, 1));
    assert_int_equal(fv_x_range(m->pool, most, NULL, 0).hi, atoi(trips[k][2]));
    fv_arena_destroy(e.arena);
  }
}

// The lanes that every work-item computes, but for those of arms.
static int64_t lanes_of_all(const fv_kernel_code *k) {
  int64_t lanes = 0, arms = 0;
  uint8_t *open = calloc(k->n_inst, 1);
  assert_non_null(open);
  for (uint32_t i = 0, depth = 0; i < k->n_inst; i++) {
    const fv_kinst *in = &k->inst[i];
    if (in->op == FV_K_FOR || in->op == FV_K_IF)
      arms += open[depth++] = in->op == FV_K_IF;
    else if (in->op == FV_K_END)
      arms -= open[--depth];
    else if (in->op != FV_K_CONST && arms == 0)
      lanes += in->lanes;
  }
  free(open);
  return lanes;
}

// What a group's items made of a row is joined in work that does not grow with their square.
static void test_groups_join_parts_once(void **state) {
  (void)state;
  static const char in[] =
      "fovea 1\nmodule \"m\"\n"
      "graph \"main\" {\n"
      "  input \"x\" %x : f32[3, 65536]\n"
      "  %y = reduce_max(%x) {axes = [1], keepdims = true} : f32[3, 1]\n"
      "  output \"y\" %y\n"
      "}\n";
  int64_t lanes[2];
  for (int i = 0; i < 2; i++) {
    env e;
    begin(&e);
    fv_target t = targets[1];
    t.has_groups = 1;
    t.group_size = i ? 1024 : 32;
    fv_lowered *l;
    if (fv_lower(parse(&e, in), &t, false, &e.diag, &l) != FV_OK)
      fail_msg("%s", e.log.text);
    assert_int_equal(l->n_kernel, 1);
    assert_int_equal(l->kernel[0]->code.n_item, t.group_size);
    lanes[i] = lanes_of_all(&l->kernel[0]->code);
    fv_arena_destroy(e.arena);
  }
  assert_int_equal(lanes[0], lanes[1]);
}

// The kernel of softmax over rows of N, whose dim line is given, by groups of `items`.
static const fv_kernel_code *softmax_kernel(env *e, const char *dim, const char *row,
                                            uint32_t items) {
  static const char in[] =
      "fovea 1\nmodule \"m\"\n%s"
      "graph \"main\" {\n"
      "  input \"x\" %%x : f32[300, %s]\n"
      "  %%y = softmax(%%x) {axis = 1} : f32[300, %s]\n"
      "  output \"y\" %%y\n"
      "}\n";
  fv_target t = targets[1];
  t.has_groups = 1;
  t.group_size = items;
  fv_lowered *l;
  if (fv_lower(parse(e, fv_arena_printf(e->arena, in, dim, row, row)), &t, false, &e->diag, &l) !=
      FV_OK)
    fail_msg("%s", e->log.text);
  assert_int_equal(l->n_kernel, 1);
  return &l->kernel[0]->code;
}

static bool has_barrier(const fv_kernel_code *k) {
  for (uint32_t i = 0; i < k->n_inst; i++)
    if (k->inst[i].op == FV_K_BARRIER)
      return true;
  return false;
}

// Rows that never have a vector for each item are no work of a group, whoever knows how long
// they are.
static void test_short_rows_are_shared_out(void **state) {
  (void)state;
  for (uint32_t items = 2; items <= 64; items *= 2)
    for (int64_t most = 3; most <= 300; most += most / 5 + 1) {
      env e;
      begin(&e);
      const char *row = fv_arena_printf(e.arena, "%lld", (long long)most);
      const char *dim = fv_arena_printf(e.arena, "symbol N dim 1..%s\n", row);
      const bool is_long = most >= 2 * (int64_t)items;  // two lanes
      assert_int_equal(has_barrier(softmax_kernel(&e, "", row, items)), is_long);
      assert_int_equal(has_barrier(softmax_kernel(&e, dim, "N", items)), is_long);
      fv_arena_destroy(e.arena);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_module_is_kept),
      cmocka_unit_test(test_regions_are_kept),
      cmocka_unit_test(test_shared_counter),
      cmocka_unit_test(test_groups_join_parts_once),
      cmocka_unit_test(test_short_rows_are_shared_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
