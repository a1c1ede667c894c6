// SPDX-License-Identifier: Apache-2.0
//
// Conditions: what is listed, what follows from what is, and dims that become one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph/graph.h"
#include "ir/sem/sem.h"

static fv_module *parse(fv_arena *ar, const char *text) {
  fv_diag_sink silent = {0};
  fv_module *m = NULL;
  const fv_status s = fv_text_parse(ar, "m", text, strlen(text), NULL, NULL, &silent, &m);
  return s == FV_OK ? m : NULL;
}

#define HEAD                                                                            \
  "fovea 1\nmodule \"m\"\nunproved check\nsymbol N dim 1..64\nsymbol M dim 1..64\n"     \
  "symbol K dim 1..64\nsymbol L dim 8..64\nsymbol Z dim 0..64\nsymbol W dim 4..100\n\n" \
  "graph \"g\" {\n  input \"a\" %a : f32[N]\n  input \"b\" %b : f32[M]\n"               \
  "  input \"c\" %c : f32[K]\n"

static const fv_expr *type_of(const fv_module *m, const char *output) {
  const fv_graph *g = m->graph[0];
  for (int i = 0; i < g->region->n_result; i++)
    if (strcmp(g->output_name[i], output) == 0)
      return g->region->result[i]->type.dim[0];
  return NULL;
}

static void equal_dims_are_one(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_module *m = parse(ar, HEAD
                       "  require N == M \"r\"\n  require M == K \"r\"\n"
                       "  %0 = add(%a, %c) : f32[N]\n  %1 = relu(%b) : f32[N]\n"
                       "  output \"x\" %0\n  output \"y\" %1\n}\n");
  assert_non_null(m);
  assert_int_equal(m->graph[0]->n_condition, 2);
  assert_ptr_equal(type_of(m, "x"), type_of(m, "y"));
  // The inputs still bind the dims that they were declared with.
  uint32_t sym;
  assert_true(fv_symbol_find(m->pool, "M", &sym));
  assert_ptr_equal(fv_graph_input_type(m->graph[0], 1)->dim[0], fv_x_sym(m->pool, sym));
  fv_str s = {.arena = ar}, again = {.arena = ar};
  fv_text_print(m, &s);
  fv_module *copy = parse(ar, s.data);
  assert_non_null(copy);
  fv_text_print(copy, &again);
  assert_string_equal(s.data, again.data);
  fv_arena_destroy(ar);
}

// A dim takes the place of another only if all that is known of that is known of it.
static void the_narrower_range_stays(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_module *m = parse(ar, HEAD
                       "  require N == L \"r\"\n  %0 = relu(%a) : f32[L]\n"
                       "  output \"x\" %0\n}\n");
  assert_non_null(m);
  fv_module *apart = parse(ar, HEAD
                           "  require N == W \"r\"\n  %0 = relu(%a) : f32[N]\n"
                           "  output \"x\" %0\n}\n");
  assert_non_null(apart);
  assert_int_equal(apart->graph[0]->n_condition, 1);
  fv_module *number = parse(ar, HEAD
                            "  require N == 4 \"r\"\n  %0 = relu(%a) : f32[4]\n"
                            "  output \"x\" %0\n}\n");
  assert_non_null(number);
  fv_arena_destroy(ar);
}

static void what_follows_is_not_listed(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_module *m = parse(ar, HEAD
                       "  require 2*N == 2*M \"r\"\n  require N == M \"r\"\n"
                       "  require M == N \"r\"\n  require N ~ M \"r\"\n"
                       "  require 1 <= Z \"r\"\n  require 0 <= Z-1 \"r\"\n"
                       "  require 1 <= N \"r\"\n  output \"x\" %a\n}\n");
  assert_non_null(m);
  assert_int_equal(m->graph[0]->n_condition, 2);  // N == M, 1 <= Z
  assert_null(parse(ar, HEAD "  require N == M \"r\"\n  require N != M \"r\"\n"
                             "  output \"x\" %a\n}\n"));
  assert_null(parse(ar, HEAD "  require N != M \"r\"\n  require N == M \"r\"\n"
                             "  output \"x\" %a\n}\n"));
  assert_null(parse(ar, HEAD "  require 65 <= N \"r\"\n  output \"x\" %a\n}\n"));
  fv_arena_destroy(ar);
}

// Of ranges the narrowest is listed, whatever came first; it answers for what needs less.
static void the_narrowest_range_is_listed(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_module *m = parse(ar, HEAD
                       "  require 1 <= Z \"r\"\n  require Z <= 9 \"r\"\n"
                       "  require 3 <= Z \"r\"\n  require 2 <= Z \"r\"\n"
                       "  require 3 <= Z+N-1 \"r\"\n  require Z-N <= 8 \"r\"\n"
                       "  require 2*Z <= 17 \"r\"\n  require N == M \"r\"\n"
                       "  require 5 <= N \"r\"\n  require 5 <= M \"r\"\n"
                       "  output \"x\" %a\n}\n");
  assert_non_null(m);
  const fv_graph *g = m->graph[0];
  assert_int_equal(g->n_condition, 5);  // Z <= 9, 3 <= Z, 2*Z <= 17, N == M, 5 <= N
  int64_t three;
  assert_true(fv_x_is_lit(g->condition[1].a, &three) && three == 3);
  assert_null(parse(ar, HEAD "  require 5 <= Z \"r\"\n  require Z <= 4 \"r\"\n"
                             "  output \"x\" %a\n}\n"));
  fv_arena_destroy(ar);
}

// A need of an op is listed once, wherever it stands, and under its own name.
static void needs_are_listed_once(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_module *m = parse(ar, HEAD
                       "  %0 = add(%a, %b) : f32[max(N, M)]\n"
                       "  %1 = mul(%b, %a) : f32[max(N, M)]\n"
                       "  %2 = sub(%0, %b) : f32[max(N, M)]\n"
                       "  output \"x\" %1\n  output \"y\" %2\n}\n");
  assert_non_null(m);
  assert_int_equal(m->graph[0]->n_condition, 1);
  assert_int_equal(m->graph[0]->condition[0].relation, FV_REL_BROADCAST);
  assert_string_equal(m->graph[0]->condition[0].text, "add");
  fv_arena_destroy(ar);
}

static bool holds(fv_relation r, int64_t a, int64_t b) {
  switch (r) {
#define X(id, sign, holds, between, behind) \
  case FV_REL_##id: return holds;
    FV_RELATION_TABLE(X)
#undef X
  default: return false;
  }
}

// What is proved of a relation agrees with all values of the symbols.
static void proofs_agree_with_values(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = fv_xpool_create(ar);
  fv_symbol_add(p, "u", 0, 3, FV_SYM_DIM);
  fv_symbol_add(p, "v", 1, 1, FV_SYM_DIM);
  static const char *const text[] = {"u", "v", "u+1", "2*u", "3", "1", "0", "max(u, 1)", "u%2"};
  const size_t n = FV_COUNTOF(text);
  for (size_t i = 0; i < n * n; i++) {
    const char *err;
    size_t at;
    const char *s = text[i / n], *t = text[i % n];
    const fv_expr *a = fv_x_parse_i64(p, s, strlen(s), NULL, NULL, &err, &at);
    const fv_expr *b = fv_x_parse_i64(p, t, strlen(t), NULL, NULL, &err, &at);
    for (int r = 0; r < FV_REL_COUNT; r++) {
      const fv_truth truth = fv_prove(p, (fv_relation)r, a, b);
      for (int64_t u = 0; u <= 3; u++) {
        const int64_t value[] = {u, 1};
        int64_t x, y;
        assert_true(fv_x_eval_i64(a, value, &x) && fv_x_eval_i64(b, value, &y));
        assert_true(truth == FV_UNKNOWN || holds((fv_relation)r, x, y) == (truth == FV_YES));
      }
    }
  }
  fv_arena_destroy(ar);
}

// What conditions say of single dims narrows the range of an expression, and never to what it may
// not be: against all values that meet them. Where it grows or falls with each dim all along, the
// range is no wider than these. The conditions may be those of wider dims that are then one with
// these, and reach out of what is declared: there u*(17-u) falls, and (u-2)*(u-2) does below it.
typedef struct limits {
  int64_t lo, hi, most;
  bool of_wider, equal_first;
} limits;

static fv_module *parse_limits(fv_arena *ar, const limits *l) {
  const char *u = l->of_wider ? "U" : "u", *v = l->of_wider ? "V" : "v";
  const char *equal = l->of_wider ? "  require U == u \"r\"\n  require v == V \"r\"\n" : "";
  return parse(
      ar, fv_arena_printf(ar,
                          "fovea 1\nmodule \"m\"\nunproved check\n"
                          "symbol u dim 2..8\nsymbol v dim 0..5\n"
                          "symbol U dim 0..60\nsymbol V dim 0..90\n"
                          "graph \"g\" {\n  input \"a\" %%a : f32[u, v]\n"
                          "  input \"A\" %%b : f32[U, V]\n%s"
                          "  require %lld <= %s \"r\"\n  require %s <= %lld \"r\"\n"
                          "  require %s <= %lld \"r\"\n%s  output \"a\" %%a\n}\n",
                          l->equal_first ? equal : "", (long long)l->lo, u, u, (long long)l->hi, v,
                          (long long)l->most, l->equal_first ? "" : equal));
}

static void range_agrees(fv_module *m, const limits *l, const char *text, bool exact) {
  const fv_expr *e = fv_x_parse_i64(m->pool, text, strlen(text), NULL, NULL, NULL, NULL);
  const fv_range r = fv_graph_range(m->graph[0], e);
  int64_t least = INT64_MAX, largest = INT64_MIN;
  for (int64_t u = 2; u <= 8; u++)
    for (int64_t v = 0; v <= 5; v++) {
      int64_t y;
      if (u < l->lo || u > l->hi || v > l->most || !fv_x_eval_i64(e, (int64_t[]){u, v}, &y))
        continue;
      least = y < least ? y : least;
      largest = y > largest ? y : largest;
    }
  if (r.lo > least || r.hi < largest || (exact && (r.lo != least || r.hi != largest)))
    fail_msg("%s with %d <= u <= %d, v <= %d%s: %d..%d, not %d..%d", text, (int)l->lo, (int)l->hi,
             (int)l->most, l->of_wider ? " of wider dims" : "", (int)r.lo, (int)r.hi, (int)least,
             (int)largest);
}

static void ranges_agree_with_values(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool exact;
  } x[] = {{"u", true},
           {"u-v", true},
           {"2*u+3*v-1", true},
           {"7-u", true},
           {"u-3", true},
           {"max(u, 4)", true},
           {"min(u, v)", true},
           {"floordiv(u, 2)-v", true},
           {"u%3", false},
           {"u*v", true},
           {"(u-v)*(u-v)", false},
           {"floordiv(12, u)", false},
           {"u*(17-u)", false},
           {"(u-2)*(u-2)", false},
           {"v*(11-v)", false},
           {"v*(v-11)", false},
           {"u*(17-u)-v*(11-v)", false}};
  static const int64_t low[] = {0, 1, 2, 3, 5, 7}, high[] = {3, 5, 7, 8, 9, 20, 50};
  static const int64_t most[] = {0, 2, 4, 5, 6, 20, 80};
  const size_t n = FV_COUNTOF(low) * FV_COUNTOF(high) * FV_COUNTOF(most);
  for (size_t k = 0; k < 3 * n; k++) {
    const limits l = {.lo = low[k % FV_COUNTOF(low)],
                      .hi = high[k / FV_COUNTOF(low) % FV_COUNTOF(high)],
                      .most = most[k % n / FV_COUNTOF(low) / FV_COUNTOF(high)],
                      .of_wider = k / n > 0,
                      .equal_first = k / n > 1};
    if (l.lo > l.hi)
      continue;
    fv_arena *ar = fv_arena_create(NULL);
    fv_module *m = parse_limits(ar, &l);
    assert_non_null(m);
    for (size_t i = 0; i < FV_COUNTOF(x); i++)
      range_agrees(m, &l, x[i].text, x[i].exact);
    fv_arena_destroy(ar);
  }
}

// What a condition of divisibility lets follow agrees with all values that meet it, and the
// quotients are whole.
static void divisible(fv_arena *ar, int64_t c, const char *what) {
  static const char *const text[] = {
      "u",         "v",           "u/2*2",       "u/4*4",         "u/2*2*v", "u*v",
      "u/4",       "u/2",         "u/6*3",       "u/2+v",         "3*(u/2)", "u%2",
      "u%4",       "u%3",         "max(u/2, v)", "2*max(u/2, v)", "u/2/2",   "u/2/2*4",
      "(u+2)/2*2", "u/2*(u/2)*4", "u*u",         "u/2*2-1",       "0",       "1"};
  fv_module *m = fv_module_create(ar, "m");
  fv_xpool *p = m->pool;
  fv_symbol_add(p, "u", 0, 24, FV_SYM_DIM);
  fv_symbol_add(p, "v", 1, 3, FV_SYM_DIM);
  fv_graph *g = fv_graph_create(m, "g", NULL);
  const fv_expr *of = fv_x_parse_i64(p, what, strlen(what), NULL, NULL, NULL, NULL);
  const fv_condition fact = {.relation = FV_REL_EQ,
                             .a = fv_x_mod(p, of, fv_x_i64(p, c)),
                             .b = fv_x_i64(p, 0),
                             .text = "r"};
  assert_int_equal(fv_require(g->region, NULL, &fact, true), FV_YES);
  const size_t n = FV_COUNTOF(text);
  size_t proved = 0;
  for (size_t i = 0; i < n * n * FV_REL_COUNT; i++) {
    const char *s = text[i / n % n], *t = text[i % n];
    const fv_condition need = {.relation = (fv_relation)(i / n / n),
                               .a = fv_x_parse_i64(p, s, strlen(s), NULL, NULL, NULL, NULL),
                               .b = fv_x_parse_i64(p, t, strlen(t), NULL, NULL, NULL, NULL),
                               .text = "r"};
    const fv_truth alone = fv_prove(p, need.relation, need.a, need.b);
    const fv_truth truth = fv_require(g->region, NULL, &need, false);
    proved += alone == FV_UNKNOWN && truth == FV_YES;
    for (int64_t u = 0; u <= 24; u++)
      for (int64_t v = 1; v <= 3; v++) {
        const int64_t value[] = {u, v};
        int64_t x, y, rest;
        assert_true(fv_x_eval_i64(need.a, value, &x) && fv_x_eval_i64(need.b, value, &y) &&
                    fv_x_eval_i64(fact.a, value, &rest));
        if (rest == 0 && truth != FV_UNKNOWN && holds(need.relation, x, y) != (truth == FV_YES))
          fail_msg("%s %% %d == 0: %s %s %s for u = %d, v = %d", what, (int)c, s,
                   fv_relation_sign(need.relation), t, (int)u, (int)v);
      }
    if (c == 4 && strcmp(what, "u") == 0 && need.relation == FV_REL_EQ && strcmp(s, "u") == 0 &&
        (strcmp(t, "u/2*2") == 0 || strcmp(t, "u/4*4") == 0))
      assert_int_equal(truth, FV_YES);
  }
  assert_true(proved > 0 || strcmp(what, "u") != 0 || c == 5);
}

static void divisibility_agrees_with_values(void **state) {
  (void)state;
  static const char *const what[] = {"u", "u*v", "u+v", "2*u", "u-3"};
  for (size_t i = 0; i < FV_COUNTOF(what); i++)
    for (int64_t c = 2; c <= 6; c++) {
      fv_arena *ar = fv_arena_create(NULL);
      divisible(ar, c, what[i]);
      fv_arena_destroy(ar);
    }
}

static fv_truth need_eq(fv_graph *g, const fv_expr *a, const fv_expr *b, bool by_author) {
  const fv_condition c = {.relation = FV_REL_EQ, .a = a, .b = b, .text = "r"};
  return fv_require(g->region, NULL, &c, by_author);
}

// Of many conditions each is found where it says something, whatever came first, for one dim and
// for a sum; what a rest hides, too, and a dim that stands for others.
static void each_divisibility_is_found(void **state) {
  (void)state;
  enum { DIMS = 40, SUMMED = 20 };
  fv_arena *ar = fv_arena_create(NULL);
  fv_module *m = fv_module_create(ar, "m");
  fv_xpool *p = m->pool;
  fv_graph *g = fv_graph_create(m, "g", NULL);
  const fv_expr *four = fv_x_i64(p, 4), *zero = fv_x_i64(p, 0), *d[DIMS], *twin[DIMS];
  for (int i = 0; i < DIMS; i++) {
    d[i] = fv_x_sym(p, fv_symbol_add(p, fv_arena_printf(ar, "d%d", i), 0, 64, FV_SYM_DIM));
    twin[i] = fv_x_sym(p, fv_symbol_add(p, fv_arena_printf(ar, "t%d", i), 0, 64, FV_SYM_DIM));
    assert_int_equal(need_eq(g, fv_x_mod(p, d[i], four), zero, true), FV_YES);
  }
  const fv_expr *sum = zero, *whole = zero;
  for (int i = 0; i < DIMS; i++) {
    const fv_expr *e = d[i], *next = d[(i + 1) % DIMS];
    const fv_expr *back = fv_x_mul(p, fv_x_floordiv(p, e, four), four);
    assert_int_equal(need_eq(g, back, e, false), FV_YES);
    const fv_expr *hidden = fv_x_floordiv(p, fv_x_add(p, fv_x_mod(p, e, four), next), four);
    assert_int_equal(need_eq(g, fv_x_mul(p, hidden, four), next, false), FV_YES);
    if (i >= DIMS - SUMMED) {
      sum = fv_x_add(p, sum, e);
      whole = fv_x_add(p, whole, back);
    }
    const fv_expr *t = fv_x_mul(p, fv_x_floordiv(p, twin[i], four), four);
    assert_int_equal(need_eq(g, t, twin[i], false), FV_UNKNOWN);
    assert_int_equal(need_eq(g, e, twin[i], true), FV_YES);
    assert_int_equal(need_eq(g, t, twin[i], false), FV_YES);
  }
  assert_int_equal(need_eq(g, whole, sum, false), FV_YES);
  assert_int_equal(need_eq(g, fv_x_add(p, whole, fv_x_i64(p, 1)), sum, false), FV_NO);
  fv_arena_destroy(ar);
}

// A condition does not follow from itself.
static void divisibility_is_listed(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_module *m = parse(ar, HEAD
                       "  require mod(N, 2) == 0 \"r\"\n  require floordiv(N, 2)*2 == N \"r\"\n"
                       "  require mod(N, 4) == 0 \"r\"\n  output \"x\" %a\n}\n");
  assert_non_null(m);
  assert_int_equal(m->graph[0]->n_condition, 2);
  assert_null(parse(ar, HEAD "  require mod(N, 2) == 0 \"r\"\n  require mod(N, 2) == 1 \"r\"\n"
                             "  output \"x\" %a\n}\n"));
  fv_arena_destroy(ar);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_dims_are_one),
      cmocka_unit_test(the_narrower_range_stays),
      cmocka_unit_test(what_follows_is_not_listed),
      cmocka_unit_test(needs_are_listed_once),
      cmocka_unit_test(the_narrowest_range_is_listed),
      cmocka_unit_test(proofs_agree_with_values),
      cmocka_unit_test(ranges_agree_with_values),
      cmocka_unit_test(divisibility_agrees_with_values),
      cmocka_unit_test(each_divisibility_is_found),
      cmocka_unit_test(divisibility_is_listed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
