// SPDX-License-Identifier: Apache-2.0
// Lowering as a whole: what it leaves alone.
#include <stdio.h>
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

static void check_op(fv_op op, int i) {
  env e = {.arena = fv_arena_create(NULL)};
  e.diag = COLLECTING_SINK(&e.log);
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
  env e = {.arena = fv_arena_create(NULL)};
  e.diag = COLLECTING_SINK(&e.log);
  fv_module *m;
  if (fv_text_parse(e.arena, "in.fvt", in, strlen(in), NULL, NULL, &e.diag, &m) != FV_OK ||
      fv_verify(m, "reading", &e.diag) != FV_OK)
    fail_msg("%s", e.log.text);
  check_kept(&e, m);
  fv_arena_destroy(e.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_module_is_kept),
      cmocka_unit_test(test_regions_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
