// SPDX-License-Identifier: Apache-2.0
//
// The text form: what is printed reads back and prints as the same bytes, for
// random graphs and for every example of the op table; faults have a place; a
// chain of a million nodes needs no more than 256 KiB of stack.
#include "unit.h"

#include <pthread.h>

#include "ir/graph/example.h"
#include "ir/graph/graph.h"
#include "ir/sem/sem.h"

typedef struct env {
  fv_arena *arena;
  fv_module *m;
  fv_diag_sink diag;
  collected log;
} env;

static void begin(env *e) {
  memset(e, 0, sizeof *e);
  e->arena = fv_arena_create(NULL);
  assert_non_null(e->arena);
  e->diag = COLLECTING_SINK(&e->log);
}

static void end(env *e) {
  fv_arena_destroy(e->arena);
}

typedef struct rng {
  uint64_t s;
} rng;

static uint64_t next(rng *r) {
  r->s ^= r->s << 13;
  r->s ^= r->s >> 7;
  r->s ^= r->s << 17;
  return r->s;
}

static uint64_t pick(rng *r, size_t n) {
  return next(r) % n;
}

// Prints, reads in another arena, verifies, prints again: the same bytes?
static void check_round_trip(env *e, fv_module *m, const char *what,
                             const fv_tensor *(*weights)(void *user, const char *name),
                             void *user) {
  env other;
  begin(&other);
  fv_str a = {.arena = e->arena}, b = {.arena = other.arena};
  fv_text_print(m, &a);
  if (fv_text_parse(other.arena, "test.fvt", a.data, a.size, weights, user, &other.diag,
                    &other.m) != FV_OK)
    fail_msg("%s: %s\n%s", what, other.log.text, a.data);
  if (fv_verify(other.m, "reading", &other.diag) != FV_OK)
    fail_msg("%s: %s", what, other.log.text);
  fv_text_print(other.m, &b);
  if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
    fail_msg("%s: printed twice differently:\n%s\n---\n%s", what, a.data, b.data);
  end(&other);
}

//===-- Random graphs ---------------------------------------------------===//

typedef struct generator {
  rng r;
  env *e;
  fv_type t;  // of all values but constants and collected results
  fv_value *value[256];
  int n;
  int nodes_left;
} generator;

static const char *random_name(generator *g) {
  static const char *const name[] = {"x", "y", "layer.0",     "a b", "12",
                                     "",  "y", "caf\xc3\xa9", "i0"};
  const uint64_t k = pick(&g->r, 2 * FV_COUNTOF(name));
  return k < FV_COUNTOF(name) ? name[k] : NULL;
}

static void keep(generator *g, fv_value *v) {
  v->name = random_name(g);
  if (g->n < (int)FV_COUNTOF(g->value))
    g->value[g->n++] = v;
}

static void place(generator *g, fv_node *n) {
  if (fv_infer_node(n, &g->e->diag) != FV_OK)
    fail_msg("%s", g->e->log.text);
  fv_node_insert_before(n, NULL);
}

static const fv_tensor *random_tensor(generator *g) {
  fv_tensor *t = FV_NEW(g->e->arena, fv_tensor);
  t->dtype = FV_f32;
  t->rank = 2;
  t->dim[0] = pick(&g->r, 2) ? 1 : 0;
  t->dim[1] = 4;
  if (pick(&g->r, 3) == 0) {
    t->dim[0] = 8;
    t->rank = 3;
    t->dim[2] = 1;
  }
  t->name = pick(&g->r, 2) && t->rank == 2 ? "w" : "";
  const int64_t count = fv_tensor_count(t);
  uint32_t *data = FV_NEW_N(g->e->arena, uint32_t, count);
  for (int64_t i = 0; i < count; i++)
    data[i] = (uint32_t)next(&g->r);  // any bits: NaN with payload, infinity, subnormal
  t->data = data;
  return t;
}

static void add_constant(generator *g, fv_region *r) {
  fv_node *n = fv_node_create(r, FV_OP_constant, 0, NULL, NULL);
  n->n_data = 1;
  n->data = FV_NEW_N(g->e->arena, const fv_tensor *, 1);
  n->data[0] = random_tensor(g);
  place(g, n);
  n->out[0]->name = random_name(g);
}

static void add_elementwise(generator *g, fv_region *r) {
  static const fv_op unary[] = {FV_OP_neg, FV_OP_tanh, FV_OP_exp, FV_OP_abs};
  static const fv_op binary[] = {FV_OP_add, FV_OP_mul, FV_OP_max, FV_OP_sub};
  fv_value *in[2] = {g->value[pick(&g->r, (size_t)g->n)], g->value[pick(&g->r, (size_t)g->n)]};
  const bool two = pick(&g->r, 2);
  fv_node *n = fv_node_create(r, two ? binary[pick(&g->r, 4)] : unary[pick(&g->r, 4)], two ? 2 : 1,
                              in, NULL);
  if (pick(&g->r, 10) == 0)
    n->expect = "a \"quoted\" word\n";
  place(g, n);
  keep(g, n->out[0]);
}

// About the dims, and in a loop its counter.
static void add_require(generator *g, fv_region *r) {
  static const char *const what[] = {"r", "", "a \"quoted\" word\n) {"};
  fv_xpool *p = g->e->m->pool;
  const fv_expr *a = fv_x_add(p, g->t.dim[0], fv_x_i64(p, (int64_t)pick(&g->r, 4)));
  if (r->owner && r->owner->op == FV_OP_loop && pick(&g->r, 2))
    a = fv_x_add(p, a, fv_x_sym(p, (uint32_t)fv_attr_int(r->owner, "counter")));
  fv_node *n = fv_node_create(r, FV_OP_require, 0, NULL, NULL);
  fv_attr_set_expr(n, "a", a);
  fv_attr_set_expr(n, "b", fv_x_mul(p, g->t.dim[0], fv_x_i64(p, (int64_t)pick(&g->r, 4))));
  fv_attr_set_str(n, "relation", fv_relation_sign((fv_relation)pick(&g->r, FV_REL_COUNT)));
  fv_attr_set_str(n, "what", what[pick(&g->r, FV_COUNTOF(what))]);
  place(g, n);
}

// Regions are filled one after another, so that the test itself nests as deep
// as it likes without recursion.
typedef struct open_node {
  fv_node *n;
  int values;  // visible outside
  int at;      // which region is filled
} open_node;

static fv_node *begin_loop(generator *g, fv_region *r) {
  fv_value *in[2] = {g->value[pick(&g->r, (size_t)g->n)], g->value[pick(&g->r, (size_t)g->n)]};
  fv_xpool *p = g->e->m->pool;
  fv_node *n = fv_node_create(r, FV_OP_loop, (int)pick(&g->r, 3), in, NULL);
  fv_attr_set_expr(n, "trips", fv_x_add(p, g->t.dim[0], fv_x_i64(p, (int64_t)pick(&g->r, 5))));
  fv_attr_set_int(n, "counter", fv_symbol_add(p, "i", 0, 70, FV_SYM_COUNTER));
  for (int i = 0; i < n->n_in; i++)
    keep(g, fv_region_add_param(n->body[0], &g->t, NULL));
  return n;
}

static void end_loop(generator *g, const open_node *o) {
  fv_node *n = o->n;
  const int64_t axes[1] = {(int64_t)pick(&g->r, 3)};
  const int collects = (int)pick(&g->r, 2);
  for (int i = 0; i < n->n_in + collects; i++)
    fv_region_add_result(n->body[0], g->value[pick(&g->r, (size_t)g->n)]);
  fv_attr_set_ints(n, "collect_axes", collects, axes);
  g->n = o->values;
  place(g, n);
  for (int i = 0; i < n->n_in; i++)
    keep(g, n->out[i]);
}

static fv_node *begin_if(generator *g, fv_region *r) {
  fv_value *in[2] = {g->value[pick(&g->r, (size_t)g->n)], NULL};
  fv_node *n = fv_node_create(r, FV_OP_reduce_max, 1, in, NULL);
  fv_attr_set_bool(n, "keepdims", false);
  place(g, n);
  in[0] = in[1] = n->out[0];
  n = fv_node_create(r, FV_OP_less, 2, in, NULL);
  place(g, n);
  return fv_node_create(r, FV_OP_if, 1, n->out, NULL);
}

// The arms give a value of the common type, and one of another number of rows each.
static void end_arm(generator *g, const open_node *o) {
  fv_region *arm = o->n->body[o->at];
  fv_node *n = fv_node_create(arm, FV_OP_slice, 1, &g->value[g->n - 1], NULL);
  fv_attr_set_int(n, "axis", 1);
  fv_attr_set_expr(n, "end", fv_x_i64(g->e->m->pool, 1 + (int64_t)pick(&g->r, 4)));
  place(g, n);
  fv_region_add_result(arm, g->value[pick(&g->r, (size_t)g->n)]);
  fv_region_add_result(arm, n->out[0]);
  g->n = o->values;
  if (o->at == 0)
    return;
  place(g, o->n);
  keep(g, o->n->out[0]);
}

static void fill(generator *g, fv_region *top) {
  open_node open[8];
  int depth = 0;
  fv_region *r = top;
  while (g->nodes_left-- > 0 || depth > 0) {
    const uint64_t k = g->nodes_left > 0 ? pick(&g->r, 12) : 0;
    open_node *o = depth ? &open[depth - 1] : NULL;
    if (k == 0 && depth > 0 && o->n->n_body == 2) {
      end_arm(g, o);
      depth -= o->at++;
      r = depth ? open[depth - 1].n->body[open[depth - 1].at] : top;
    } else if (k == 0 && depth > 0) {
      end_loop(g, &open[--depth]);
      r = depth ? open[depth - 1].n->body[open[depth - 1].at] : top;
    } else if ((k == 1 || k == 3) && depth < 8) {
      const int visible = g->n;
      open[depth] = (open_node){k == 1 ? begin_loop(g, r) : begin_if(g, r), visible, 0};
      r = open[depth++].n->body[0];
    } else if (k == 4) {
      add_require(g, r);
    } else if (k == 2) {
      add_constant(g, r);
    } else {
      add_elementwise(g, r);
    }
  }
}

static void random_module(generator *g) {
  env *e = g->e;
  e->m = fv_module_create(e->arena, "ran\"dom");
  fv_xpool *p = e->m->pool;
  const uint32_t b = fv_symbol_add(p, "B", 1, 64, FV_SYM_DIM);
  const uint32_t s = fv_symbol_add(p, "seq len", 0, INT64_MAX, FV_SYM_DIM);
  const uint32_t past = fv_symbol_add(p, "past", 0, 512, FV_SYM_STATE);
  g->t = (fv_type){.dtype = FV_f32, .rank = 2};
  g->t.dim[0] = fv_x_add(p, fv_x_sym(p, b), fv_x_floordiv(p, fv_x_sym(p, s), fv_x_i64(p, 3)));
  g->t.dim[1] = fv_x_i64(p, 4);
  fv_state *state = fv_module_add_state(e->m, "cache", &g->t, 3);
  state->length_axis = (int)pick(&g->r, 2);
  state->length = past;
  for (int k = 0; k < 2; k++) {
    fv_graph *graph = fv_graph_create(e->m, k ? "decode" : "main", NULL);
    g->n = 0;
    g->nodes_left = (int)pick(&g->r, 60);
    keep(g, fv_graph_add_input(graph, "x", &g->t));
    fill(g, graph->region);
    fv_graph_add_output(graph, "y", g->value[g->n - 1]);
    fv_graph_add_output(graph, "y too", g->value[0]);
    graph->advance = FV_NEW(e->arena, fv_advance);
    graph->advance[0] =
        (fv_advance){.length = past, .next = fv_x_add(p, fv_x_sym(p, past), fv_x_i64(p, 1))};
    graph->n_advance = 1;
  }
}

static void test_random_graphs(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    env e;
    char what[64];
    begin(&e);
    generator g = {.r = {seed * 0x9e3779b97f4a7c15u}, .e = &e};
    random_module(&g);
    snprintf(what, sizeof what, "seed %llu", (unsigned long long)seed);
    if (fv_verify(e.m, what, &e.diag) != FV_OK)
      fail_msg("%s", e.log.text);
    check_round_trip(&e, e.m, what, NULL, NULL);
    end(&e);
  }
}

// Every example of every row: all kinds of attributes and operands.
static void test_examples(void **state) {
  (void)state;
  for (int op = 0; op < FV_OP_COUNT; op++) {
    fv_example ex;
    for (int i = 0; fv_example_get((fv_op)op, i, &ex); i++) {
      env e;
      fv_node *n;
      begin(&e);
      e.m = fv_module_create(e.arena, "example");
      fv_graph *g = fv_graph_create(e.m, "main", NULL);
      const char *classes = fv_op_get((fv_op)op)->dtypes;
      const fv_dtype t = strchr(classes, 'f') || classes[0] == '-' ? FV_f32
                         : strchr(classes, 'i')                    ? FV_i32
                                                                   : FV_bool;
      if (fv_example_build(g, (fv_op)op, &ex, t, &e.diag, &n) == FV_OK) {
        if (fv_verify(e.m, "building", &e.diag) != FV_OK)
          fail_msg("%s", e.log.text);
        check_round_trip(&e, e.m, fv_op_get((fv_op)op)->name, NULL, NULL);
      }
      end(&e);
    }
  }
}

//===-- Constants -------------------------------------------------------===//

static float big_data[40];
static const fv_tensor big = {
    .name = "big", .dtype = FV_f32, .rank = 1, .dim = {40}, .data = big_data};

static const fv_tensor *lookup(void *user, const char *name) {
  (void)user;
  return strcmp(name, "big") == 0 ? &big : NULL;
}

static void test_families_and_weights(void **state) {
  (void)state;
  env e;
  begin(&e);
  e.m = fv_module_create(e.arena, "weights");
  fv_graph *g = fv_graph_create(e.m, "main", NULL);
  const fv_tensor *family[2] = {&big, &big};
  fv_node *n = fv_node_create(g->region, FV_OP_constant, 0, NULL, NULL);
  n->data = family;
  n->n_data = 2;
  fv_attr_set_expr(n, "member", fv_x_i64(e.m->pool, 1));
  assert_int_equal(fv_infer_node(n, &e.diag), FV_OK);
  fv_node_insert_before(n, NULL);
  fv_graph_add_output(g, "y", n->out[0]);
  check_round_trip(&e, e.m, "family", lookup, NULL);

  fv_str s = {.arena = e.arena};
  fv_text_print(e.m, &s);
  assert_non_null(strstr(s.data, "f32[40] @\"big\":"));
  assert_non_null(strstr(s.data, "{member = 1}"));
  fv_module *m;
  assert_int_equal(fv_text_parse(e.arena, "t", s.data, s.size, NULL, NULL, &e.diag, &m),
                   FV_ERR_PARSE);
  big_data[7] = 1;
  assert_int_equal(fv_text_parse(e.arena, "t", s.data, s.size, lookup, NULL, &e.diag, &m),
                   FV_ERR_PARSE);
  assert_non_null(strstr(e.log.text, "other contents"));
  big_data[7] = 0;
  end(&e);
}

//===-- Faults ----------------------------------------------------------===//

#define HEAD "fovea 1\nmodule \"m\"\nsymbol B dim 1..8\n"
#define GRAPH HEAD "graph \"g\" {\n  input \"x\" %x : f32[B, 4]\n"

static const struct {
  const char *text;
  uint32_t line, col;
  const char *says;
} fault[] = {
    {"", 1, 1, "'fovea' is expected"},
    {"fovea 2\n", 1, 7, "must be in 1..1"},
    {"fovea 1 module \"m", 1, 16, "not closed"},
    {HEAD "symbol B dim 1..8\n", 4, 8, "declared twice"},
    {HEAD "symbol C dim 4..1\n", 4, 17, "must be in 4.."},
    {HEAD "symbol C dime 1..4\n", 4, 8, "dim, state, counter or result"},
    {HEAD "state \"s\" members 1 axis 1 length B : f32[B]\n", 4, 39, "has no axis 1"},
    {HEAD "graph \"g\" {", 4, 12, "a word is expected"},
    {GRAPH "  %y = tahn(%x) : f32[B, 4]\n}\n", 6, 8, "did you mean 'tanh'?"},
    {GRAPH "  %y = tanh(%z) : f32[B, 4]\n}\n", 6, 13, "not defined before"},
    {GRAPH "  %x = tanh(%x) : f32[B, 4]\n}\n", 6, 19, "defined twice"},
    {GRAPH "  %y = tanh(%x) : f32[B, 5]\n}\n", 6, 19, "%y is f32[B, 4]; the text says f32[B, 5]"},
    {GRAPH "  %y = tanh(%x)\n}\n", 7, 1, "gives 0 types"},
    {GRAPH "  %y = tanh(%x) : f32[C, 4]\n}\n", 6, 23, "not a dim or integer"},
    {GRAPH "  %y = tanh(%x) : f33[B, 4]\n}\n", 6, 19, "not an element type"},
    {GRAPH "  %y = tanh(%x) : f32[B, 4]{1}\n}\n", 6, 28, "store each axis once"},
    {GRAPH "  %y = tanh(%x) {b = 1} : f32[B, 4]\n}\n", 6, 18, "no attribute 'b'"},
    {GRAPH "  %y = tanh() : f32[B, 4]\n}\n", 6, 3, "missing"},
    {GRAPH "  %y = loop(%x) {trips = 2, counter = 7} : f32[B, 4] do {\n", 6, 17,
     "numbers of symbols"},
    {GRAPH "  %y = loop(%x) {trips = 2, counter = 0} : f32[B, 4] do {\n  param %a : f32[B]\n", 7,
     14, "has not the type of operand"},
    {GRAPH "  %y = loop(%x) {trips = 2, counter = 0} : f32[B, 4] do {\n  param %a : f32[B, 4]\n"
           "  yield %a\n  }\n  %z = tanh(%a) : f32[B, 4]\n}\n",
     10, 13, "a body that has ended"},
    {GRAPH "  %c = constant <f32[3] [1.0, 2.0]>() : f32[3]\n}\n", 6, 34, "',' is expected"},
    {GRAPH "  %c = constant <f32[B] [1.0]>() : f32[3]\n}\n", 6, 18, "plain integer dims"},
    {GRAPH "  %c = constant <f32[4611686018427387904] [1.0]>() : f32[3]\n}\n", 6, 18,
     "fit in memory"},
    {GRAPH "  %c = constant <f32[1000000] [1.0]>() : f32[3]\n}\n", 6, 31, "elements are needed"},
    {GRAPH "  %c = constant <i8[2] x\"0g00\">() : i8[2]\n}\n", 6, 26, "hexadecimal digits"},
    {GRAPH "  %c = constant <f32[99] @\"w\":0000000000000000>() : f32[99]\n}\n", 6, 27,
     "no weight 'w'"},
    {GRAPH "}\nrest", 7, 1, "a graph or the end"},
};

static void keep_place(void *user, const fv_diag *d) {
  fv_diag *out = user;
  if (!out->text)
    *out = (fv_diag){d->severity, d->code, d->span, strdup(d->text)};
}

static void test_faults(void **state) {
  (void)state;
  int bad = 0;
  for (size_t i = 0; i < FV_COUNTOF(fault); i++) {
    fv_arena *ar = fv_arena_create(NULL);
    fv_diag first = {.text = NULL};
    fv_diag_sink sink = {.emit = keep_place, .user = &first};
    fv_module *m;
    const fv_status s =
        fv_text_parse(ar, "a.fvt", fault[i].text, strlen(fault[i].text), NULL, NULL, &sink, &m);
    assert_int_not_equal(s, FV_OK);
    assert_non_null(first.text);
    if (!first.span || first.span->line != fault[i].line || first.span->col != fault[i].col ||
        !strstr(first.text, fault[i].says))
      print_error("fault %zu: %u:%u: %s\n", i, first.span ? first.span->line : 0,
                  first.span ? first.span->col : 0, first.text);
    bad += strstr(first.text, fault[i].says) == NULL || !first.span ||
           first.span->line != fault[i].line || first.span->col != fault[i].col;
    free((void *)(uintptr_t)first.text);
    fv_arena_destroy(ar);
  }
  assert_int_equal(bad, 0);
}

// Damaged text is an error or another valid module, but never a crash.
static void test_damaged_text(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    env e;
    begin(&e);
    generator g = {.r = {seed * 0x2545f4914f6cdd1du}, .e = &e};
    random_module(&g);
    fv_str s = {.arena = e.arena};
    fv_text_print(e.m, &s);
    for (int k = 0; k < 40; k++) {
      env other;
      begin(&other);
      const size_t size = pick(&g.r, 4) ? s.size : pick(&g.r, s.size);
      char *copy = malloc(size + 1);
      assert_non_null(copy);
      memcpy(copy, s.data, size);
      for (uint64_t n = pick(&g.r, 3) + 1; n > 0 && size > 0; n--)
        copy[pick(&g.r, size)] = s.data[pick(&g.r, s.size)];
      const fv_status ok =
          fv_text_parse(other.arena, "a", copy, size, NULL, NULL, &other.diag, &other.m);
      if (ok == FV_OK)
        assert_int_equal(fv_verify(other.m, "reading", &other.diag), FV_OK);
      else
        assert_int_not_equal(other.diag.n_errors, 0);
      free(copy);
      end(&other);
    }
    end(&e);
  }
}

//===-- Size ------------------------------------------------------------===//

enum { CHAIN = 1000000, NEST = 20000 };

static void *long_chain(void *user) {
  (void)user;
  env e;
  begin(&e);
  e.m = fv_module_create(e.arena, "chain");
  fv_graph *g = fv_graph_create(e.m, "main", NULL);
  fv_type t = {.dtype = FV_f32, .rank = 1, .dim = {fv_x_i64(e.m->pool, 4)}};
  fv_value *v = fv_graph_add_input(g, "x", &t);
  for (int i = 0; i < CHAIN; i++) {
    fv_node *n = fv_node_create(g->region, FV_OP_neg, 1, &v, NULL);
    assert_int_equal(fv_infer_node(n, &e.diag), FV_OK);
    fv_node_insert_before(n, NULL);
    v = n->out[0];
  }
  fv_graph_add_output(g, "y", v);
  assert_int_equal(fv_infer_graph(g, &e.diag), FV_OK);
  assert_int_equal(fv_verify(e.m, "building", &e.diag), FV_OK);
  check_round_trip(&e, e.m, "chain", NULL, NULL);
  end(&e);
  return NULL;
}

// Each dim holds that of the value before twice: as a tree the last is 2^SLICES long.
static void *shared_dims(void *user) {
  enum { SLICES = 1000 };
  env e;
  begin(&e);
  e.m = fv_module_create(e.arena, "slices");
  fv_graph *g = fv_graph_create(e.m, "main", NULL);
  const uint32_t s = fv_symbol_add(e.m->pool, "S", 1, 4096, FV_SYM_DIM);
  fv_type t = {.dtype = FV_f32, .rank = 1, .dim = {fv_x_sym(e.m->pool, s)}};
  fv_value *v = fv_graph_add_input(g, "x", &t);
  for (int i = 0; i < SLICES; i++) {
    fv_node *n = fv_node_create(g->region, FV_OP_slice, 1, &v, NULL);
    fv_attr_set_int(n, "axis", 0);
    fv_attr_set_expr(n, "start", fv_x_i64(e.m->pool, 1));
    fv_attr_set_expr(n, "end", fv_x_i64(e.m->pool, -1));
    if (fv_infer_node(n, &e.diag) != FV_OK)
      fail_msg("%s", e.log.text);
    fv_node_insert_before(n, NULL);
    v = n->out[0];
  }
  fv_graph_add_output(g, "y", v);
  fv_str text = {.arena = e.arena};
  fv_text_print(e.m, &text);
  assert_true(text.size < 1000 * SLICES);
  assert_non_null(strstr(text.data, "\nlet $0 = "));
  check_round_trip(&e, e.m, "slices", NULL, NULL);
  end(&e);
  return user;
}

static void *deep_nest(void *user) {
  (void)user;
  fv_str s = {.arena = fv_arena_create(NULL)};
  fv_str_puts(&s, "fovea 1\nmodule \"m\"\nsymbol i counter 0..1\ngraph \"g\" {\n");
  for (int i = 0; i < NEST; i++)
    fv_str_puts(&s, "loop() {trips = 2, counter = 0} do {\n");
  for (int i = 0; i < NEST; i++)
    fv_str_puts(&s, "yield }\n");
  fv_str_puts(&s, "}\n");
  collected log = {.text = ""};
  fv_diag_sink sink = COLLECTING_SINK(&log);
  fv_module *m;
  assert_int_equal(fv_text_parse(s.arena, "a", s.data, s.size, NULL, NULL, &sink, &m), FV_OK);
  assert_int_equal(fv_verify(m, "reading", &sink), FV_OK);
  fv_arena_destroy(s.arena);
  return NULL;
}

static void on_small_stack(void *(*fn)(void *)) {
  pthread_t thread;
  pthread_attr_t attr;
  assert_int_equal(pthread_attr_init(&attr), 0);
  assert_int_equal(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
  assert_int_equal(pthread_create(&thread, &attr, fn, NULL), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  pthread_attr_destroy(&attr);
}

static void test_long_chain(void **state) {
  (void)state;
  on_small_stack(long_chain);
}

static void test_shared_dims(void **state) {
  (void)state;
  on_small_stack(shared_dims);
}

static void test_deep_nest(void **state) {
  (void)state;
  on_small_stack(deep_nest);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_graphs),        cmocka_unit_test(test_examples),
      cmocka_unit_test(test_families_and_weights), cmocka_unit_test(test_faults),
      cmocka_unit_test(test_damaged_text),         cmocka_unit_test(test_long_chain),
      cmocka_unit_test(test_shared_dims),          cmocka_unit_test(test_deep_nest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
