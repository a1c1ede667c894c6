// SPDX-License-Identifier: Apache-2.0
//
// Sums of products of any types, in the evaluator: what they are, and that none costs much more
// than that of a convolution of f32.
#include "unit.h"

#include <time.h>

#include "ir/eval/eval.h"
#include "sem_eval.h"

// A graph of one node, of `rows` rows of its result.
typedef struct subject {
  const char *types;  // words
  double products;    // a row
  const char *form;   // the text of the graph: $t stands for the type, $r for the rows
} subject;

static const subject subjects[] = {
    // The measure of the others.
    {"f32 f64 f16 bf16", 24 * 96 * 16 * 9,
     "input \"x\" %x : $t[1, 16, 24, 96]\n input \"w\" %w : $t[$r, 16, 3, 3]\n"
     "%y = conv(%x, %w) {pads = [1, 1, 1, 1]} : $t[1, $r, 24, 96]\n"},
    {"f32 f64 f16 bf16 i8 u8 i16 i32 i64", 200.0 * 300,
     "input \"a\" %a : $t[$r, 200]\n input \"b\" %b : $t[200, 300]\n"
     "%y = matmul(%a, %b) : $t[$r, 300]\n"},
    {"f32 f64 f16 bf16", 200.0 * 300,
     "input \"a\" %a : $t[$r, 200]\n input \"b\" %b : $t[300, 200]\n"
     "%y = linear(%a, %b) : $t[$r, 300]\n"},
    {"f32 f64 f16 bf16", 200.0 * 300,
     "input \"a\" %a : $t[$r, 200]\n input \"b\" %b : $t[200, 300]\n"
     "input \"m\" %m : bool[$r, 200]\n"
     "%y = masked_matmul(%a, %b, %m) : $t[$r, 300]\n"},
    {"i8 u8", 200.0 * 300,
     "input \"a\" %a : $t[$r, 200]\n input \"b\" %b : $t[200, 300]\n"
     "input \"z\" %z : $t[$r]\n input \"v\" %v : $t[300]\n"
     "%y = matmul_integer(%a, %b, %z, %v) : i32[$r, 300]\n"},
};

#define TIMES_AT_MOST 2.0

typedef struct env {
  fv_arena *arena;
  fv_module *m;
  const fv_graph *g;
  fv_array in[4], out;
} env;

static void put_form(fv_str *s, const char *form, const char *type, int rows) {
  fv_str_puts(s, "fovea 1\nmodule \"m\"\ngraph \"main\" {\n");
  for (const char *p = form; *p; p++) {
    if (*p != '$')
      fv_str_printf(s, "%c", *p);
    else if (*++p == 't')
      fv_str_puts(s, type);
    else
      fv_str_printf(s, "%d", rows);
  }
  fv_str_puts(s, "output \"y\" %y\n}\n");
}

// Small whole numbers: their sums are exact in any order.
static void fill(fv_arena *ar, fv_array *a) {
  const int64_t n = fv_array_count(a), size = fv_dtype_size(a->dtype);
  char *data = fv_arena_alloc(ar, (size_t)(n * size));
  uint64_t rng = 88172645463325252u;
  for (int64_t i = 0; i < n; i++) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    const int64_t v = (int64_t)(rng % 7) - 3;
    fv_scalar_store(a->dtype, data + i * size,
                    fv_dtype_is_float(a->dtype)
                        ? (fv_scalar){.f = (double)v}
                        : (fv_scalar){.i = a->dtype == FV_bool ? v > 0 : v});
  }
  a->data = data;
}

static void begin(env *e, const subject *s, const char *type, int rows) {
  collected c = {""};
  fv_diag_sink sink = COLLECTING_SINK(&c);
  *e = (env){.arena = fv_arena_create(NULL)};
  fv_str text = {.arena = e->arena};
  put_form(&text, s->form, type, rows);
  if (fv_text_parse(e->arena, "t", text.data, text.size, NULL, NULL, &sink, &e->m) != FV_OK)
    fail_msg("%s%s", text.data, c.text);
  e->g = e->m->graph[0];
  for (int i = 0; i < e->g->region->n_param; i++) {
    const fv_type *t = &e->g->region->param[i]->type;
    e->in[i] = (fv_array){.dtype = t->dtype, .rank = t->rank};
    for (int d = 0; d < t->rank; d++)
      assert_true(fv_x_eval_i64(t->dim[d], NULL, &e->in[i].dim[d]));
    fill(e->arena, &e->in[i]);
  }
}

static void run(env *e) {
  fv_diag_sink sink = {0};
  fv_run_io io = {.input = e->in, .output = &e->out, .arena = e->arena, .diag = &sink};
  assert_int_equal(fv_eval_graph(e->g, &io), FV_OK);
}

// Against the evaluator of the unit tests, bit by bit.
static void check(env *e) {
  eval_ctx c = {.arena = e->arena, .of = FV_NEW_N(e->arena, eval_tensor *, e->m->n_value + 1)};
  const fv_region *r = e->g->region;
  for (int i = 0; i < r->n_param; i++) {
    eval_tensor *t = c.of[r->param[i]->id] = eval_new(&c, &r->param[i]->type);
    for (int64_t k = 0; k < t->count; k++)
      t->data[k] = fv_scalar_load(t->type.dtype,
                                  (const char *)e->in[i].data + k * fv_dtype_size(t->type.dtype));
  }
  eval_node(&c, r->first, e->m);
  assert_null(c.fault);
  const eval_tensor *want = c.of[r->first->out[0]->id];
  const int size = fv_dtype_size(e->out.dtype);
  assert_int_equal(want->count, fv_array_count(&e->out));
  for (int64_t k = 0; k < want->count; k++) {
    uint64_t word = 0;
    fv_scalar_store(e->out.dtype, &word, want->data[k]);
    if (memcmp(&word, (const char *)e->out.data + k * size, (size_t)size) != 0)
      fail_msg("%s of %s: element %lld", fv_op_get(r->first->op)->name, fv_dtype_name(e->out.dtype),
               (long long)k);
  }
}

static double now(void) {
  struct timespec t;
  assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Seconds a product.
static double cost_of(const subject *s, const char *type) {
  const int rows = 1 + (int)(2e6 / s->products);
  env e;
  begin(&e, s, type, rows);
  const double start = now();
  run(&e);
  const double seconds = now() - start;
  fv_arena_destroy(e.arena);
  return seconds / (s->products * rows);
}

// How many times the cost of the measure. By turns, so that a busy machine slows both.
static double times_of(const subject *s, const char *type) {
  double least = INFINITY, measure = INFINITY;
  for (int i = 0; i < 7; i++) {
    least = fmin(least, cost_of(s, type));
    measure = fmin(measure, cost_of(&subjects[0], "f32"));
  }
  return least / measure;
}

// The next word, in `word`; NULL behind the last.
static const char *next_type(const char *types, char *word) {
  int used = 0;
  return sscanf(types, " %7s%n", word, &used) == 1 ? types + used : NULL;
}

static void test_values(void **state) {
  (void)state;
  char type[8];
  for (size_t i = 0; i < FV_COUNTOF(subjects); i++)
    for (const char *p = subjects[i].types; (p = next_type(p, type));) {
      env e;
      begin(&e, &subjects[i], type, 3);
      run(&e);
      check(&e);
      fv_arena_destroy(e.arena);
    }
}

static void test_costs(void **state) {
  (void)state;
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  skip();  // what is measured is what the compiler makes of loops
#endif
  int dear = 0;
  char type[8];
  for (size_t i = 0; i < FV_COUNTOF(subjects); i++)
    for (const char *p = subjects[i].types; (p = next_type(p, type));) {
      const double times = times_of(&subjects[i], type);
      const char *op = strstr(subjects[i].form, "%y = ") + 5;
      print_message("%.*s of %s: %.2f times\n", (int)strcspn(op, "("), op, type, times);
      dear += times > TIMES_AT_MOST;
    }
  assert_int_equal(dear, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_costs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
