// SPDX-License-Identifier: Apache-2.0
//
// Nodes `require`: their text, their copies, where a need finds them, and what the verifier says
// of wrong ones.
#include "unit.h"

#include "ir/graph/graph.h"
#include "ir/sem/sem.h"

typedef unit_env env;

static int set_up(void **state) {
  *state = unit_set_up(sizeof(env));
  return 0;
}

static fv_module *read(env *e, const char *text) {
  fv_module *m = NULL;
  if (fv_text_parse(e->arena, "m", text, strlen(text), NULL, NULL, &e->diag, &m) != FV_OK ||
      fv_verify(m, "reading", &e->diag) != FV_OK)
    fail_msg("%s\n%s", e->log.text, text);
  return m;
}

static const char *print(env *e, fv_module *m) {
  fv_str s = {.arena = e->arena};
  fv_text_print(m, &s);
  return s.data;
}

//===-- Text and copies -----------------------------------------------------===//

// A node at %1$s wherever one may stand: in front of all, behind what defines its symbols, in a
// loop, in an arm and in a loop of an arm.
static const char *const module_text =
    "fovea 1\nmodule \"m\"\nsymbol N dim 1..64\nsymbol M dim 0..64\nsymbol k result 0..8\n"
    "symbol i counter 0..2\n\n"
    "graph \"main\" {\n"
    "  input \"x\" %%x : f32[N]\n"
    "  input \"c\" %%c : bool[]\n"
    "  input \"n\" %%n : i64[]\n"
    "%s"
    "  %%0 = item(%%n) {min = 0, max = 8, symbols = [2]} : i64[]\n"
    "%s"
    "  %%1 = loop(%%x) {trips = 3, counter = 3} : f32[N] do {\n"
    "    param %%2 : f32[N]\n"
    "%s"
    "    %%3 = neg(%%2) : f32[N]\n"
    "    yield %%3\n"
    "  }\n"
    "  %%4 = if(%%c) : f32[N] do {\n"
    "%s"
    "    yield %%1\n"
    "  } else {\n"
    "    %%5 = loop(%%1) {trips = 3, counter = 3} : f32[N] do {\n"
    "      param %%6 : f32[N]\n"
    "%s"
    "      %%7 = exp(%%6) : f32[N]\n"
    "      yield %%7\n"
    "    }\n"
    "    yield %%5\n"
    "  }\n"
    "  output \"y\" %%4\n"
    "}\n";
enum { PLACES = 5 };
static const struct place {
  int depth;
  bool k, i;  // which symbols of the run have a value there
} place[PLACES] = {
    {1, false, false}, {1, true, false}, {2, true, true}, {2, true, false}, {3, true, true}};

static const char *const side[] = {"N", "M+3",   "max(N, M)*2", "(N+M)%7", "7",
                                   "k", "k*N-1", "i",           "i+k"};

static bool has_value(const struct place *at, const char *x) {
  return (at->k || !strchr(x, 'k')) && (at->i || !strchr(x, 'i'));
}

static const char *node_text(env *e, const struct place *at, size_t r, const char *a,
                             const char *b) {
  static const char *const what[] = {"slice", "", "a \\\"b\\\" \\\\ \\n ) {", "caf\xc3\xa9"};
  return fv_arena_printf(
      e->arena, "%*srequire() {a = %s, relation = \"%s\", b = %s, what = \"%s\"}\n", 2 * at->depth,
      "", a, fv_relation_sign((fv_relation)r), b, what[r % FV_COUNTOF(what)]);
}

static fv_module *with_nodes(env *e, const char *const *node) {
  return read(e,
              fv_arena_printf(e->arena, module_text, node[0], node[1], node[2], node[3], node[4]));
}

static fv_node *require_node(fv_module *m) {
  fv_region *top = m->graph[0]->region;
  fv_node *n = fv_walk_first(top);
  while (n && n->op != FV_OP_require)
    n = fv_walk_next(top, n);
  assert_non_null(n);
  return n;
}

// What is printed reads back to the same bytes and so does its copy, wherever the node stands,
// whatever it says.
static void text_and_copies(void **state) {
  env *e = *state;
  size_t tried = 0;
  for (size_t k = 0; k < PLACES * FV_REL_COUNT * FV_COUNTOF(side); k++) {
    const struct place *at = &place[k % PLACES];
    const size_t r = k / PLACES % FV_REL_COUNT, s = k / PLACES / FV_REL_COUNT;
    const char *a = side[s], *b = side[(s + r + 1) % FV_COUNTOF(side)];
    if (!has_value(at, a) || !has_value(at, b))
      continue;
    const char *node[PLACES] = {"", "", "", "", ""};
    node[k % PLACES] = node_text(e, at, r, a, b);
    fv_module *m = with_nodes(e, node);
    const char *text = print(e, m);
    assert_string_equal(text, print(e, read(e, text)));
    fv_module *c = fv_module_clone(m);
    assert_string_equal(text, print(e, c));
    assert_int_equal(fv_verify(c, "copying", &e->diag), FV_OK);
    const fv_condition have = fv_node_condition(require_node(m));
    assert_int_equal(have.relation, r);
    const fv_condition *list;
    assert_int_equal(fv_graph_list_conditions(e->arena, c->graph[0], &list), 1);
    assert_true(list->relation == have.relation && list->a == have.a && list->b == have.b);
    assert_string_equal(list->text, have.text);
    tried++;
  }
  assert_true(tried > 100);
}

// In front of the nodes stand the conditions of the graph, which look alike.
static void conditions_come_first(void **state) {
  env *e = *state;
  static const char text[] =
      "fovea 1\nmodule \"m\"\nsymbol N dim 1..64\nsymbol M dim 1..64\n\n"
      "graph \"main\" {\n"
      "  input \"x\" %x : f32[N, M]\n"
      "  require (N+M)%7 == 3 \"r\"\n"
      "  require N <= M \"()\"\n"
      "  require() {a = M, relation = \"!=\", b = 5, what = \"r\"}\n"
      "  output \"x\" %x\n"
      "}\n";
  fv_module *m = read(e, text);
  assert_int_equal(m->graph[0]->n_condition, 2);
  const char *printed = print(e, m);
  assert_string_equal(strstr(printed, "  require N <="), strstr(text, "  require N <="));
  assert_string_equal(print(e, read(e, printed)), printed);
}

static size_t count_requires(fv_module *m) {
  size_t n = 0;
  fv_region *top = m->graph[0]->region;
  for (fv_node *x = fv_walk_first(top); x; x = fv_walk_next(top, x))
    n += x->op == FV_OP_require;
  return n;
}

// A need finds the node that says it in its own graph: in front of it, or around it.
static void a_need_finds_its_node(void **state) {
  env *e = *state;
  for (size_t k = 1; k < PLACES; k++) {
    const char *node[PLACES] = {"", "", "", "", ""};
    node[k] = node_text(e, &place[k], FV_REL_LE, "k", "N");
    fv_module *m = with_nodes(e, node);
    m->check_unproved = true;
    fv_module *c = fv_module_clone(m);
    const fv_node *have = require_node(m);
    const fv_condition need = fv_node_condition(have);
    assert_int_equal(fv_require(have->region, NULL, &need, false), FV_YES);
    assert_int_equal(count_requires(m), 1);
    fv_node *copy = require_node(c);
    fv_region *at = copy->region;
    assert_ptr_not_equal(copy, have);
    assert_int_equal(fv_require(at, NULL, &need, false), FV_YES);
    assert_int_equal(count_requires(c), 1);
    fv_node_remove(copy);
    assert_int_equal(fv_require(at, NULL, &need, false), FV_YES);
    assert_int_equal(count_requires(c), 1);
    assert_int_equal(count_requires(m), 1);
    // Within a region is no answer for what is around it; around is one for what is within.
    if (at->owner) {
      assert_int_equal(fv_require(at->owner->region, at->owner, &need, false), FV_YES);
      assert_int_equal(count_requires(c), 2);
    } else {
      for (const fv_node *n = at->first; n; n = n->next)
        for (int i = 0; i < n->n_body; i++)
          assert_int_equal(fv_require(n->body[i], NULL, &need, false), FV_YES);
      assert_int_equal(count_requires(c), 1);
    }
    assert_int_equal(fv_verify(c, "adding", &e->diag), FV_OK);
  }
}

//===-- What the verifier refuses ---------------------------------------------===//

static void assert_broken(env *e, fv_module *m, const char *why) {
  e->log.text[0] = 0;
  e->diag.n_errors = 0;
  assert_int_equal(fv_verify(m, "the test", &e->diag), FV_ERR_INTERNAL);
  if (!strstr(e->log.text, why))
    fail_msg("%s does not say: %s", e->log.text, why);
}

// Breaks an attribute and mends it again.
static void break_attr(env *e, fv_module *m, const char *name, fv_attr by, const char *why) {
  fv_attr *a = fv_attr_get(require_node(m), name);
  const fv_attr was = *a;
  *a = by;
  assert_broken(e, m, why);
  *a = was;
  assert_int_equal(fv_verify(m, "mending", &e->diag), FV_OK);
}

static void wrong_attributes(void **state) {
  env *e = *state;
  const char *node[PLACES] = {"", node_text(e, &place[1], FV_REL_LE, "k", "N"), "", "", ""};
  fv_module *m = with_nodes(e, node);
  fv_xpool *p = m->pool;
  static const char *const name[] = {"a", "b", "relation", "what"};
  for (size_t i = 0; i < FV_COUNTOF(name); i++) {
    const char *why = fv_arena_printf(e->arena, "attribute '%s' is missing", name[i]);
    break_attr(e, m, name[i], (fv_attr){0}, why);
    break_attr(e, m, name[i], (fv_attr){.kind = i < 2 ? 'x' : 's'}, why);
    break_attr(e, m, name[i], (fv_attr){.kind = 'i'}, why);
  }
  break_attr(e, m, "relation", (fv_attr){.kind = 's', .s = "<"}, "no relation of two integers");
  for (size_t i = 0; i < 2; i++) {
    const fv_expr *index = fv_x_index(p, 0), *load = fv_x_load(p, FV_i64, 0, 1, &index);
    break_attr(e, m, name[i], (fv_attr){.kind = 'x', .x = fv_x_lit_f(p, FV_f32, 1)},
               "no relation of two integers");
    break_attr(e, m, name[i], (fv_attr){.kind = 'x', .x = index}, "is about an index or data");
    break_attr(e, m, name[i], (fv_attr){.kind = 'x', .x = load}, "is about an index or data");
  }
}

// At each place, about each symbol that has no value there.
static void symbols_without_a_value(void **state) {
  env *e = *state;
  for (size_t k = 0; k < PLACES; k++) {
    const char *node[PLACES] = {"", "", "", "", ""};
    node[k] = node_text(e, &place[k], FV_REL_EQ, "N", "M+1");
    fv_module *m = with_nodes(e, node);
    for (uint32_t symbol = 2; symbol < 4; symbol++) {
      const bool known = symbol == 2 ? place[k].k : place[k].i;
      const fv_expr *x = fv_x_add(m->pool, fv_x_sym(m->pool, symbol), fv_x_i64(m->pool, 1));
      fv_attr *a = fv_attr_get(require_node(m), k % 2 ? "a" : "b");
      const fv_expr *was = a->x;
      a->x = x;
      if (known)
        assert_int_equal(fv_verify(m, "the test", &e->diag), FV_OK);
      else
        assert_broken(e, m,
                      k == 3 ? "one of its symbols is set in another region" : "has no value yet");
      a->x = was;
    }
  }
}

static void wrong_structure(void **state) {
  env *e = *state;
  const char *node[PLACES] = {"", node_text(e, &place[1], FV_REL_LE, "k", "N"), "", "", ""};
  fv_module *m = with_nodes(e, node);
  fv_node *n = require_node(m), *item = n->prev;
  fv_node_remove(n);
  fv_node_insert_before(n, item);
  assert_broken(e, m, "the symbol 'k' has no value yet");
  fv_node_remove(n);
  fv_node_insert_before(n, item->next);
  fv_value *x = m->graph[0]->region->param[0];
  n->in = &x;
  n->n_in = 1;
  assert_broken(e, m, "takes 0 operands, not 1");
  n->n_in = 0;
  n->prev = NULL;
  assert_broken(e, m, "the list of nodes is damaged");
}

// Conditions of the graph: each field of each damaged.
static void wrong_conditions(void **state) {
  env *e = *state;
  fv_module *m = read(e,
                      "fovea 1\nmodule \"m\"\nsymbol N dim 1..64\nsymbol k result 0..8\n"
                      "symbol i counter 0..8\ngraph \"g\" {\n  input \"x\" %x : f32[N]\n"
                      "  require N <= 8 \"r\"\n  require 3 <= N \"r\"\n  output \"x\" %x\n}\n");
  fv_xpool *p = m->pool;
  const fv_expr *index = fv_x_index(p, 0);
  const fv_expr *late[] = {fv_x_sym(p, 1), fv_x_sym(p, 2), index,
                           fv_x_load(p, FV_i64, 0, 1, &index)};
  assert_int_equal(m->graph[0]->n_condition, 2);
  for (size_t i = 0; i < 2; i++) {
    fv_condition *c = &m->graph[0]->condition[i];
    const fv_condition was = *c;
    const char *bad = fv_arena_printf(e->arena, "condition %zu is malformed", i);
    const fv_expr **side_of[] = {&c->a, &c->b};
    c->relation = FV_REL_COUNT;
    assert_broken(e, m, bad);
    *c = was;
    c->text = NULL;
    assert_broken(e, m, bad);
    for (size_t s = 0; s < 2; s++) {
      *c = was;
      *side_of[s] = NULL;
      assert_broken(e, m, bad);
      *side_of[s] = fv_x_lit_f(p, FV_f32, 1);
      assert_broken(e, m, bad);
      for (size_t l = 0; l < FV_COUNTOF(late); l++) {
        *side_of[s] = late[l];
        assert_broken(e, m, fv_arena_printf(e->arena, "condition %zu is not known at bind", i));
      }
    }
    *c = was;
    assert_int_equal(fv_verify(m, "mending", &e->diag), FV_OK);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(text_and_copies, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(conditions_come_first, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(a_need_finds_its_node, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(wrong_attributes, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(symbols_without_a_value, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(wrong_structure, set_up, unit_tear_down),
      cmocka_unit_test_setup_teardown(wrong_conditions, set_up, unit_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
