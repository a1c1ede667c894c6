// SPDX-License-Identifier: Apache-2.0
//
// The pipeline verifies after every pass, and names the pass.
#include "unit.h"

#include "passes/pass.h"

// A graph whose addition has a type that its operands do not give.
static fv_module *broken_module(fv_arena *ar, fv_diag_sink *diag) {
  fv_module *m = fv_module_create(ar, "test");
  fv_graph *g = fv_graph_create(m, "main", NULL);
  const fv_type t = {.dtype = FV_f32, .rank = 1, .dim = {fv_x_i64(m->pool, 4)}};
  fv_value *x = fv_graph_add_input(g, "x", &t);
  fv_node *n = fv_node_create(g->region, FV_OP_add, 2, (fv_value *[]){x, x}, NULL);
  fv_node_insert_before(n, NULL);
  assert_int_equal(fv_infer_node(n, diag), FV_OK);
  fv_graph_add_output(g, "y", n->out[0]);
  n->out[0]->type.dtype = FV_f64;
  return m;
}

static void test_the_pass_is_named(void **state) {
  (void)state;
  for (size_t i = 0; fv_pass_at(i); i++) {
    collected log = {0};
    fv_diag_sink diag = COLLECTING_SINK(&log);
    fv_arena *ar = fv_arena_create(NULL);
    assert_non_null(ar);
    const char *name = fv_pass_at(i)->name;
    fv_module *m = broken_module(ar, &diag);
    assert_int_not_equal(fv_pipeline_run(m, &(fv_pipeline){.spec = name}, &diag), FV_OK);
    char want[64];
    snprintf(want, sizeof want, "after pass '%s'", name);
    if (!strstr(log.text, want))
      fail_msg("%s: %s", name, log.text);
    fv_arena_destroy(ar);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_pass_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
