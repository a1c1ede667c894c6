// SPDX-License-Identifier: Apache-2.0
//
// Graphs: construction, attributes, walks, replacement, types and layouts, the
// op table, and what the verifier finds.
#include "unit.h"

#include "ir/graph/attr_text.h"
#include "ir/graph/graph.h"
#include "ir/sem/sem.h"

typedef struct env {
  unit_env u;
  fv_module *m;
  fv_graph *g;
  fv_type t;  // f32[B, 4]
} env;

static int set_up(void **state) {
  env *e = unit_set_up(sizeof *e);
  e->m = fv_module_create(e->u.arena, "test");
  e->g = fv_graph_create(e->m, "main", NULL);
  const uint32_t b = fv_symbol_add(e->m->pool, "B", 1, 64, FV_SYM_DIM);
  e->t = (fv_type){.dtype = FV_f32, .rank = 2};
  e->t.dim[0] = fv_x_sym(e->m->pool, b);
  e->t.dim[1] = fv_x_i64(e->m->pool, 4);
  *state = e;
  return 0;
}

static fv_node *put(env *e, fv_region *r, fv_op op, fv_value *a, fv_value *b) {
  fv_value *in[2] = {a, b};
  fv_node *n = fv_node_create(r, op, b ? 2 : 1, in, NULL);
  assert_int_equal(fv_infer_node(n, &e->u.diag), FV_OK);
  fv_node_insert_before(n, NULL);
  return n;
}

// A loop of three trips that carries x through tanh.
static fv_node *put_loop(env *e, fv_region *r, fv_value *x) {
  fv_node *n = fv_node_create(r, FV_OP_loop, 1, &x, NULL);
  const uint32_t i = fv_symbol_add(e->m->pool, "i", 0, 2, FV_SYM_COUNTER);
  fv_attr_set_expr(n, "trips", fv_x_i64(e->m->pool, 3));
  fv_attr_set_int(n, "counter", i);
  fv_value *carry = fv_region_add_param(n->body[0], &x->type, "carry");
  fv_region_add_result(n->body[0], put(e, n->body[0], FV_OP_tanh, carry, NULL)->out[0]);
  assert_int_equal(fv_infer_node(n, &e->u.diag), FV_OK);
  fv_node_insert_before(n, NULL);
  return n;
}

static void test_walk_and_replace(void **state) {
  env *e = *state;
  fv_region *top = e->g->region;
  fv_value *x = fv_graph_add_input(e->g, "x", &e->t);
  fv_node *a = put(e, top, FV_OP_neg, x, NULL);
  fv_node *loop = put_loop(e, top, a->out[0]);
  fv_node *c = put(e, top, FV_OP_add, loop->out[0], a->out[0]);
  fv_graph_add_output(e->g, "y", c->out[0]);
  const fv_node *want[] = {a, loop, loop->body[0]->first, c};
  size_t k = 0;
  for (fv_node *n = fv_walk_first(top); n; n = fv_walk_next(top, n))
    assert_ptr_equal(n, want[k++]);
  assert_int_equal(k, FV_COUNTOF(want));
  k = 0;
  for (fv_node *n = fv_walk_first(loop->body[0]); n; n = fv_walk_next(loop->body[0], n))
    k++;
  assert_int_equal(k, 1);

  uint32_t *uses = FV_NEW_N(e->u.arena, uint32_t, e->m->n_value);
  fv_graph_count_uses(e->g, uses);
  assert_int_equal(uses[a->out[0]->id], 2);
  assert_int_equal(uses[c->out[0]->id], 1);
  fv_value **forward = FV_NEW_N(e->u.arena, fv_value *, e->m->n_value);
  forward[a->out[0]->id] = x;
  fv_graph_forward(e->g, forward, e->m->n_value);
  fv_node_remove(a);
  assert_ptr_equal(loop->in[0], x);
  assert_ptr_equal(c->in[1], x);
  assert_ptr_equal(top->first, loop);
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
}

// An `if` whose first arm is empty, and whose second holds a loop.
static fv_node *put_if(env *e, fv_region *r, fv_value *cond, fv_value *x) {
  fv_node *n = fv_node_create(r, FV_OP_if, 1, &cond, NULL);
  fv_region_add_result(n->body[0], x);
  fv_region_add_result(n->body[1], put_loop(e, n->body[1], x)->out[0]);
  assert_int_equal(fv_infer_node(n, &e->u.diag), FV_OK);
  fv_node_insert_before(n, NULL);
  return n;
}

static void test_arms(void **state) {
  env *e = *state;
  fv_region *top = e->g->region;
  const fv_type flag = {.dtype = FV_bool};
  fv_value *x = fv_graph_add_input(e->g, "x", &e->t), *c = fv_graph_add_input(e->g, "c", &flag);
  fv_node *a = put_if(e, top, c, x), *dead = put_if(e, top, c, x);
  fv_graph_add_output(e->g, "y", a->out[0]);
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  fv_node *loop = a->body[1]->first;
  const fv_node *want[] = {a, loop, loop->body[0]->first, dead, dead->body[1]->first};
  size_t k = 0;
  for (fv_node *n = fv_walk_first(top); n && k < FV_COUNTOF(want); n = fv_walk_next(top, n))
    assert_ptr_equal(n, want[k++]);
  assert_int_equal(k, FV_COUNTOF(want));
  // The walk with its structure: ( enters, ) leaves, [ ] are regions.
  char seen[64];
  k = 0;
  for (fv_walk w = {.top = top}; fv_walk_step(&w) && k < sizeof seen - 1;)
    seen[k++] = " ()[]"[w.event];
  seen[k] = 0;
  assert_string_equal(seen, "([][([()])])([][([()])])");
  assert_int_equal(fv_graph_drop_dead(e->g), 1);  // with all that is in it
  assert_null(a->next);
  uint32_t *uses = FV_NEW_N(e->u.arena, uint32_t, e->m->n_value);
  fv_graph_count_uses(e->g, uses);
  assert_int_equal(uses[x->id], 2);
  // A value of an arm is seen in it alone.
  a->body[0]->result[0] = loop->out[0];
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_ERR_INTERNAL);
}

static void test_insertion_order(void **state) {
  env *e = *state;
  fv_value *x = fv_graph_add_input(e->g, "x", &e->t);
  fv_node *a = put(e, e->g->region, FV_OP_neg, x, NULL);
  fv_node *b = fv_node_create(e->g->region, FV_OP_tanh, 1, &x, NULL);
  fv_node_insert_before(b, a);
  assert_ptr_equal(e->g->region->first, b);
  assert_ptr_equal(b->next, a);
  assert_ptr_equal(a->prev, b);
  fv_node_remove(a);
  assert_ptr_equal(e->g->region->last, b);
}

static void test_attributes(void **state) {
  env *e = *state;
  fv_node *n = fv_node_create(e->g->region, FV_OP_loop, 0, NULL, NULL);
  assert_int_equal(fv_attr_int(n, "while_carry"), -1);
  assert_int_equal(fv_attr_get(n, "trips")->kind, 0);
  assert_int_equal(fv_attr_get(n, "collect_axes")->kind, 'I');
  assert_int_equal(fv_attr_get(n, "collect_axes")->n, 0);
  fv_attr_set_ints(n, "collect_axes", 2, (const int64_t[]){1, -1});
  assert_int_equal(fv_attr_get(n, "collect_axes")->ints[1], -1);
}

static void test_spans(void **state) {
  env *e = *state;
  const fv_span s[2] = {{.file = "a", .line = 1}, {.file = "a", .line = 2}};
  fv_node *n = fv_node_create(e->g->region, FV_OP_loop, 0, NULL, &s[0]);
  fv_node *other = fv_node_create(e->g->region, FV_OP_loop, 0, NULL, &s[1]);
  fv_node_copy_spans(other, n);
  fv_node_copy_spans(other, n);
  assert_int_equal(other->n_span, 2);
  assert_ptr_equal(fv_node_span(other), &s[1]);
}

// Their numbers are in files and in programs of others: appended, never reordered.
static void test_element_types(void **state) {
  (void)state;
  static const char *const name[] = {"f32", "f64", "f16", "bf16", "i8",
                                     "u8",  "i16", "i32", "i64",  "bool"};
  assert_true(FV_DTYPE_COUNT >= FV_COUNTOF(name));
  for (size_t i = 0; i < FV_COUNTOF(name); i++)
    assert_string_equal(fv_dtype_name((fv_dtype)i), name[i]);
}

static void test_op_table(void **state) {
  (void)state;
  for (int i = 0; i < FV_OP_COUNT; i++) {
    const fv_op_info *o = fv_op_get((fv_op)i);
    assert_int_equal(fv_op_find(o->name, strlen(o->name)), i);
    assert_true(o->n_operand < FV_MAX_OPERANDS && o->n_attr < FV_MAX_ATTRS);
    for (int k = 0; k < o->n_attr; k++)
      assert_int_not_equal(o->attr[k].kind, 0);
    for (int k = 0; k + 1 < o->n_operand; k++)
      assert_false(o->operand[k].variadic);
  }
  assert_int_equal(fv_op_find("ad", 2), FV_OP_COUNT);
  assert_int_equal(fv_op_find("addd", 4), FV_OP_COUNT);
  assert_int_equal(fv_op_find("addd", 3), FV_OP_add);
}

static void assert_text(env *e, const fv_expr *x, const char *want) {
  fv_str s = {.arena = e->u.arena};
  fv_x_print(e->m->pool, &s, x);
  assert_string_equal(s.data, want);
}

static void test_layouts(void **state) {
  env *e = *state;
  fv_xpool *p = e->m->pool;
  const fv_expr *index[2] = {fv_x_index(p, 0), fv_x_index(p, 1)};
  fv_type t = e->t;
  assert_text(e, fv_type_count(p, &t), "B*4");
  assert_text(e, fv_type_offset(p, &t, index), "i0*4+i1");
  t.dim[1] = fv_x_i64(p, 20);
  t.layout = (fv_layout){.n = 3, .piece = {{1, 0, 16}, {0, 0, 0}, {1, 1, 16}}};
  assert_true(fv_layout_valid(&t.layout, 2));
  assert_text(e, fv_type_count(p, &t), "B*20");
  assert_text(e, fv_type_stored(p, &t), "B*32");
  fv_str s = {.arena = e->u.arena};
  fv_type_print(p, &s, &t);
  assert_string_equal(s.data, "f32[B, 20]{1/16, 0, 1%16}");
  int64_t dims[FV_MAX_RANK];
  assert_false(fv_type_static(&t, dims));
  // Distinct indices have distinct offsets below the stored count.
  bool seen[3 * 32] = {false};
  for (int64_t i = 0; i < 3; i++) {
    for (int64_t j = 0; j < 20; j++) {
      const fv_expr *at[2] = {fv_x_i64(p, i), fv_x_i64(p, j)};
      const fv_expr *x = fv_x_subst_sym(p, fv_type_offset(p, &t, at), 0, fv_x_i64(p, 3));
      int64_t offset = -1;
      assert_true(fv_x_is_lit(x, &offset) && offset >= 0 && offset < 3 * 32 && !seen[offset]);
      seen[offset] = true;
    }
  }
  t.layout.piece[0].block = 8;
  assert_false(fv_layout_valid(&t.layout, 2));
  t.layout = (fv_layout){.n = 1, .piece = {{0, 0, 0}}};
  assert_false(fv_layout_valid(&t.layout, 2));
}

//===-- The verifier ----------------------------------------------------===//

static void assert_broken(env *e, const char *what) {
  e->u.log.text[0] = 0;
  assert_int_equal(fv_verify(e->m, "pass 'x'", &e->u.diag), FV_ERR_INTERNAL);
  if (!strstr(e->u.log.text, what) || !strstr(e->u.log.text, "pass 'x'"))
    fail_msg("expected '%s' in: %s", what, e->u.log.text);
}

static void test_verifier(void **state) {
  env *e = *state;
  fv_region *top = e->g->region;
  fv_value *x = fv_graph_add_input(e->g, "x", &e->t);
  fv_node *a = put(e, top, FV_OP_neg, x, NULL), *b = put(e, top, FV_OP_add, a->out[0], x);
  fv_node *loop = put_loop(e, top, b->out[0]);
  fv_graph_add_output(e->g, "y", loop->out[0]);
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);

  // A meaning is built once, and again only when something that it follows from changes.
  const struct fv_meaning *built = a->meaning;
  assert_true(fv_node_is_inferred(a));
  assert_ptr_equal(a->meaning, built);
  b->in[0] = x;
  assert_true(fv_node_is_inferred(b));  // of the same type
  b->in[0] = a->out[0];
  const fv_type type = x->type;
  x->type.dtype = FV_f64;
  assert_false(fv_node_is_inferred(a));
  x->type = type;
  x->type.dim[1] = fv_x_i64(e->m->pool, 9);
  assert_false(fv_node_is_inferred(a));
  x->type = type;
  assert_true(fv_node_is_inferred(a));
  fv_node *soft = put(e, top, FV_OP_softmax, x, NULL);
  built = soft->meaning;
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  assert_ptr_equal(soft->meaning, built);
  fv_attr_set_int(soft, "axis", 0);
  assert_false(fv_node_is_inferred(soft));
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  assert_ptr_not_equal(soft->meaning, built);

  b->in[0] = loop->out[0];
  assert_broken(e, "used before its definition");
  b->in[0] = loop->body[0]->first->out[0];
  assert_broken(e, "used before its definition");
  b->in[0] = a->out[0];
  top->result[0] = loop->body[0]->first->out[0];
  assert_broken(e, "does not enclose");
  top->result[0] = loop->out[0];
  fv_node_remove(a);
  assert_broken(e, "defined nowhere");
  fv_node_insert_before(a, b);
  a->out[0]->type.dim[1] = fv_x_i64(e->m->pool, 5);
  assert_broken(e, "where its semantics give f32[B, 4]");
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  a->in[0] = NULL;
  assert_broken(e, "no longer valid");
  a->in[0] = x;
  loop->body[0]->result[0] = x;
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  fv_attr_set_int(loop, "counter", 99);
  assert_broken(e, "a symbol that does not exist");
}

static fv_node *put_fill(env *e, fv_region *r, const fv_expr *dim) {
  fv_node *n = fv_node_create(r, FV_OP_fill, 0, NULL, NULL);
  fv_attr_set_float(n, "value", 1);
  fv_attr_set_dims(n, "shape", 1, &dim);
  assert_int_equal(fv_infer_node(n, &e->u.diag), FV_OK);
  fv_node_insert_before(n, NULL);
  return n;
}

// Numbers of attributes: what is printed reads back as the same, and neighbours stay apart where a
// double takes them for one.
static void test_float_attributes(void **state) {
  env *e = *state;
  static const struct {
    const char *text;
    bool whole;
    int64_t value;
  } row[] = {
      {"-0.0", true, 0},
      {"0", true, 0},
      {"1.5", false, 0},
      {"inf", false, 0},
      {"1e300", false, 0},
      {"9007199254740992", true, INT64_C(9007199254740992)},
      {"9007199254740993", true, INT64_C(9007199254740993)},
      {"-9007199254740993.0", true, INT64_C(-9007199254740993)},
      {"9223372036854775806", true, INT64_MAX - 1},
      {"9223372036854775807", true, INT64_MAX},
      {"9223372036854775808", false, 0},
      {"-9223372036854775808", true, INT64_MIN},
      {"-9223372036854775809", false, 0},
  };
  fv_attr seen[FV_COUNTOF(row)];
  fv_node *n = fv_node_create(e->g->region, FV_OP_fill, 0, NULL, NULL);
  const fv_param_info *info = &fv_op_get(FV_OP_fill)->attr[0];
  fv_attr *a = fv_attr_get(n, "value");
  for (size_t i = 0; i < FV_COUNTOF(row); i++) {
    assert_int_equal(
        fv_attr_parse(n, info, row[i].text, strlen(row[i].text), NULL, NULL, NULL, NULL), FV_OK);
    seen[i] = *a;
    assert_int_equal(a->is_whole, row[i].whole);
    assert_true(!a->is_whole || a->whole == row[i].value);
    fv_str s = {.arena = e->m->arena};
    fv_attr_print(e->m->pool, &s, a, NULL);
    assert_int_equal(fv_attr_parse(n, info, s.data, s.size, NULL, NULL, NULL, NULL), FV_OK);
    if (!fv_attr_eq(a, &seen[i]) && row[i].whole)
      fail_msg("%s reads back as %s", row[i].text, s.data);
    for (size_t k = 0; k < i; k++)
      assert_true(!row[i].whole || !fv_attr_eq(&seen[k], &seen[i]));
  }
}

// A symbol that the run sets has a value behind what defines it, and in the same region.
static void test_symbols_of_the_run(void **state) {
  env *e = *state;
  fv_region *top = e->g->region;
  fv_xpool *p = e->m->pool;
  fv_value *x = fv_graph_add_input(e->g, "x", &e->t);
  fv_node *loop = put_loop(e, top, x), *beside = put_loop(e, top, x);
  const fv_expr *counter = fv_x_sym(p, (uint32_t)fv_attr_int(loop, "counter"));
  const fv_expr *dim = fv_x_mul(p, fv_x_add(p, counter, fv_x_i64(p, 1)), fv_x_i64(p, 2));
  fv_node *inside = put_fill(e, loop->body[0], dim);
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  fv_node *behind = put_fill(e, top, dim);
  assert_broken(e, "set in another region");
  fv_node_remove(behind);
  fv_node *other = put_fill(e, beside->body[0], dim);
  assert_broken(e, "set in another region");
  fv_node_remove(other);
  // Loops of definitions share a counter.
  fv_attr_set_int(beside, "counter", fv_attr_int(loop, "counter"));
  other = put_fill(e, beside->body[0], dim);
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  fv_node_remove(other);
  fv_node_remove(inside);
  const uint32_t count = fv_symbol_add(p, "n", 0, 3, FV_SYM_RESULT);
  fv_node *early = put_fill(e, top, fv_x_sym(p, count));
  assert_broken(e, "'n' has no value yet");
  fv_attr_set_int(loop, "count", count);
  assert_int_equal(fv_verify(e->m, "the test", &e->u.diag), FV_OK);
  fv_node_remove(early);
  fv_node_insert_before(early, loop);
  assert_broken(e, "'n' has no value yet");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_walk_and_replace, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(test_arms, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(test_insertion_order, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(test_attributes, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(test_spans, set_up, unit_tear_down),
      cmocka_unit_test(test_element_types),
      cmocka_unit_test_setup_teardown(test_float_attributes, set_up, unit_tear_down),
      cmocka_unit_test(test_op_table),
      cmocka_unit_test_setup_teardown(test_layouts, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(test_verifier, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(test_symbols_of_the_run, set_up, unit_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
