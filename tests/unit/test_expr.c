// SPDX-License-Identifier: Apache-2.0
//
// Expressions against plain evaluation: what is built, simplified, proved,
// divided, rewritten and printed must agree with the values at random points.
#include "ir/expr/expr.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_SYM = 4 };

typedef struct rng {
  uint64_t s;
} rng;

static uint64_t next(rng *r) {
  r->s ^= r->s << 13;
  r->s ^= r->s >> 7;
  r->s ^= r->s << 17;
  return r->s;
}
static int64_t between(rng *r, int64_t lo, int64_t hi) {
  return lo + (int64_t)(next(r) % (uint64_t)(hi - lo + 1));
}

static const int64_t sym_min[N_SYM] = {1, 0, 4, -3};
static const int64_t sym_max[N_SYM] = {512, 7, 4, 9};

static fv_xpool *make_pool(fv_arena *ar) {
  static const char *const name[N_SYM] = {"B", "S", "K", "off"};
  fv_xpool *p = fv_xpool_create(ar);
  for (int i = 0; i < N_SYM; i++)
    fv_symbol_add(p, name[i], sym_min[i], sym_max[i], FV_SYM_DIM);
  return p;
}

static void random_point(rng *r, int64_t *v) {
  for (int i = 0; i < N_SYM; i++)
    v[i] = between(r, sym_min[i], sym_max[i]);
}

static int64_t floored(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

// A random expression next to its values at some points, computed plainly.
enum { POINTS = 6 };
typedef struct sample {
  const fv_expr *e;
  int64_t v[POINTS];
} sample;

static bool plain(fv_scalar_op op, int64_t a, int64_t b, int64_t *out) {
  switch (op) {
  case FV_X_ADD: *out = a + b; return true;
  case FV_X_SUB: *out = a - b; return true;
  case FV_X_MUL: *out = a * b; return true;
  case FV_X_FLOORDIV: *out = b ? floored(a, b) : 0; return b != 0;
  case FV_X_MOD: *out = b ? a - b * floored(a, b) : 0; return b != 0;
  case FV_X_MIN: *out = a < b ? a : b; return true;
  default: *out = a > b ? a : b; return true;
  }
}

static const fv_scalar_op ops[] = {FV_X_ADD, FV_X_ADD,      FV_X_SUB, FV_X_MUL,
                                   FV_X_MOD, FV_X_FLOORDIV, FV_X_MIN, FV_X_MAX};

static bool combine(fv_xpool *p, fv_scalar_op op, const sample *a, const sample *b, sample *out) {
  for (int i = 0; i < POINTS; i++)
    if (!plain(op, a->v[i], b->v[i], &out->v[i]) || llabs(out->v[i]) > (INT64_C(1) << 40))
      return false;
  out->e = fv_x_op(p, op, a->e, b->e, NULL);
  return true;
}

static int grow_samples(rng *r, fv_xpool *p, sample *s, int max, int64_t point[POINTS][N_SYM]) {
  int n = 0;
  for (int i = 0; i < POINTS; i++)
    random_point(r, point[i]);
  for (uint32_t k = 0; k < N_SYM; k++, n++) {
    s[n].e = fv_x_sym(p, k);
    for (int i = 0; i < POINTS; i++)
      s[n].v[i] = point[i][k];
  }
  for (int k = 0; k < 4; k++, n++) {
    const int64_t c = between(r, -9, 20);
    s[n].e = fv_x_i64(p, c);
    for (int i = 0; i < POINTS; i++)
      s[n].v[i] = c;
  }
  for (int tries = 0; n < max && tries < 8 * max; tries++) {
    const sample *a = &s[next(r) % (uint64_t)n], *b = &s[next(r) % (uint64_t)n];
    if (combine(p, ops[next(r) % FV_COUNTOF(ops)], a, b, &s[n]))
      n++;
  }
  return n;
}

static void check_pair(fv_xpool *p, const sample *a, const sample *b) {
  const fv_truth eq = fv_prove_eq(p, a->e, b->e), le = fv_prove_le(p, a->e, b->e);
  const fv_expr *q;
  const bool divides = fv_x_divide(p, a->e, b->e, &q);
  const fv_expr *back = divides ? fv_x_mul(p, q, b->e) : NULL;
  if (divides)
    assert_int_not_equal(fv_prove_eq(p, back, a->e), FV_NO);
  for (int i = 0; i < POINTS; i++) {
    assert_false(eq == FV_YES && a->v[i] != b->v[i]);
    assert_false(eq == FV_NO && a->v[i] == b->v[i]);
    assert_false(le == FV_YES && a->v[i] > b->v[i]);
    assert_false(le == FV_NO && a->v[i] <= b->v[i]);
  }
}

static void test_random_against_evaluation(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 400; seed++) {
    rng r = {seed * 0x9e3779b97f4a7c15u};
    fv_arena *ar = fv_arena_create(NULL);
    fv_xpool *p = make_pool(ar);
    sample s[60];
    int64_t point[POINTS][N_SYM];
    const int n = grow_samples(&r, p, s, 60, point);
    for (int k = 0; k < n; k++) {
      const fv_range range = fv_x_range(p, s[k].e, NULL, 0);
      for (int i = 0; i < POINTS; i++) {
        int64_t v = 0;
        if (!fv_x_eval_i64(s[k].e, point[i], &v) || v != s[k].v[i])
          fail_msg("seed %llu: expression %d has a wrong value", (unsigned long long)seed, k);
        if (v < range.lo || v > range.hi)
          fail_msg("seed %llu: expression %d leaves its range", (unsigned long long)seed, k);
      }
    }
    for (int k = 0; k < 200; k++)
      check_pair(p, &s[next(&r) % (uint64_t)n], &s[next(&r) % (uint64_t)n]);
    fv_arena_destroy(ar);
  }
}

// What is printed reads back to the same node, in this pool and in another.
static void test_text_round_trip(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    rng r = {seed * 0x2545f4914f6cdd1du};
    fv_arena *ar = fv_arena_create(NULL);
    fv_xpool *p = make_pool(ar), *other = make_pool(ar);
    sample s[60];
    int64_t point[POINTS][N_SYM];
    const int n = grow_samples(&r, p, s, 60, point);
    for (int k = n - 1; k >= 0; k--) {
      fv_str a = {.arena = ar}, b = {.arena = ar};
      const char *err = "";
      size_t at = 0;
      const fv_xprint whole = {.limit = 0};
      fv_x_print_as(p, &a, s[k].e, &whole);
      const fv_expr *e = fv_x_parse_i64(p, a.data, a.size, NULL, NULL, &err, &at);
      if (e != s[k].e)
        fail_msg("seed %llu: '%s' reads back differently: %s at %zu", (unsigned long long)seed,
                 a.data, err, at);
      e = fv_x_parse_i64(other, a.data, a.size, NULL, NULL, &err, &at);
      assert_non_null(e);
      fv_x_print_as(other, &b, e, &whole);
      assert_string_equal(a.data, b.data);
    }
    fv_arena_destroy(ar);
  }
}

// Sums and products in any order and grouping are one node.
static void test_polynomials_are_canonical(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  for (uint64_t seed = 1; seed <= 300; seed++) {
    rng r = {seed * 0x9e3779b97f4a7c15u};
    fv_xpool *p = make_pool(ar);
    const fv_expr *x[4];
    for (int i = 0; i < 4; i++) {
      const fv_expr *m = fv_x_mul(p, fv_x_sym(p, (uint32_t)(next(&r) % N_SYM)),
                                  fv_x_index(p, (uint32_t)(next(&r) % 3)));
      x[i] = fv_x_add(p, m, fv_x_i64(p, between(&r, -5, 5)));
    }
    const fv_expr *a = fv_x_mul(p, fv_x_add(p, x[0], x[1]), fv_x_sub(p, x[2], x[3]));
    const fv_expr *b = fv_x_sub(p, fv_x_mul(p, x[2], x[1]), fv_x_mul(p, x[3], x[0]));
    b = fv_x_add(p, fv_x_sub(p, b, fv_x_mul(p, x[1], x[3])), fv_x_mul(p, x[0], x[2]));
    assert_ptr_equal(a, b);
  }
  fv_arena_destroy(ar);
}

static const fv_expr *parse(fv_xpool *p, const char *text) {
  const char *err = "";
  size_t at = 0;
  const fv_expr *e = fv_x_parse_i64(p, text, strlen(text), NULL, NULL, &err, &at);
  if (!e)
    fail_msg("'%s': %s at %zu", text, err, at);
  return e;
}

static void expect(fv_xpool *p, const char *from, const char *to) {
  fv_str s = {.arena = fv_xpool_arena(p)};
  fv_x_print(p, &s, parse(p, from));
  assert_string_equal(s.data, to);
}

static void test_simplification(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = make_pool(ar);
  expect(p, "B*16+S-B*16", "S");
  expect(p, "(B*16 + S) / 16", "B");
  expect(p, "(B*16 + S) % 16", "S");
  expect(p, "(B*S + off) / B", "S+floordiv(off, B)");
  expect(p, "S % 8", "S");
  expect(p, "S / 8", "0");
  expect(p, "6*B/4", "B+floordiv(B, 2)");
  expect(p, "(B/2)/3", "floordiv(B, 6)");
  expect(p, "B/4*4 + B%4", "B");
  expect(p, "B*S/B", "S");
  expect(p, "B*(S+1)%B", "0");
  expect(p, "min(S, 7)", "S");
  expect(p, "max(S, B+7)", "B+7");
  expect(p, "min(B+1, B)", "B");
  expect(p, "select(lt(S, 8), B, 3)", "B");
  expect(p, "-9223372036854775808", "-9223372036854775808");
  expect(p, "9223372036854775807+1", "1+9223372036854775807");
  expect(p, "-B+S*-3", "-B-S*3");
  expect(p, "i64(lt(B, 9))+S", "S+i64(lt(B, 9))");
  assert_int_equal(fv_prove_le(p, parse(p, "B"), parse(p, "(B+15)/16*16")), FV_YES);
  assert_int_equal(fv_prove_le(p, parse(p, "(B+15)/16*16"), parse(p, "B+15")), FV_YES);
  assert_int_equal(fv_prove_eq(p, parse(p, "2*B"), parse(p, "2*S+1")), FV_NO);
  assert_int_equal(fv_prove_eq(p, parse(p, "B"), parse(p, "S")), FV_UNKNOWN);
  fv_arena_destroy(ar);
}

static void test_range_with_indices(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = make_pool(ar);
  const fv_expr *b = fv_x_sym(p, 0), *k = fv_x_i64(p, 16);
  const fv_expr *i = fv_x_index(p, 0), *j = fv_x_index(p, 1);
  const fv_expr *extent[2] = {b, k};
  // i * 16 + j - B * 16 < 0, though B is a symbol.
  const fv_expr *e = fv_x_add(p, fv_x_mul(p, i, k), j);
  const fv_range r = fv_x_range(p, fv_x_sub(p, e, fv_x_mul(p, b, k)), extent, 2);
  assert_int_equal(r.hi, -1);
  // Columns: j * B + i <= 16 * B - 1.
  e = fv_x_add(p, fv_x_mul(p, j, b), i);
  assert_int_equal(fv_x_range(p, fv_x_sub(p, e, fv_x_mul(p, b, k)), extent, 2).hi, -1);
  assert_int_equal(fv_x_range(p, fv_x_mod(p, e, fv_x_i64(p, 5)), extent, 2).hi, 4);
  assert_int_equal(fv_x_range(p, j, extent, 2).hi, 15);
  assert_true(fv_x_range(p, j, NULL, 0).hi == INT64_MAX);
  fv_arena_destroy(ar);
}

// Random expressions with B and S made loop indices: no value leaves the range.
static void test_random_index_ranges(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 400; seed++) {
    rng r = {seed * 0x9e3779b97f4a7c15u};
    fv_arena *ar = fv_arena_create(NULL);
    fv_xpool *p = make_pool(ar);
    sample s[60];
    int64_t point[POINTS][N_SYM];
    const int n = grow_samples(&r, p, s, 60, point);
    const fv_expr *extent[2] = {fv_x_i64(p, 8), fv_x_add(p, fv_x_sym(p, 3), fv_x_i64(p, 5))};
    for (int k = 0; k < n; k++) {
      const fv_expr *e = fv_x_subst_sym(p, s[k].e, 0, fv_x_index(p, 1));
      e = fv_x_subst_sym(p, e, 1, fv_x_index(p, 0));
      const fv_range range = fv_x_range(p, e, extent, 2);
      for (int i = 0; i < 20; i++) {
        int64_t at[N_SYM], v;
        random_point(&r, at);
        at[0] = between(&r, 1, at[3] + 4);
        if (fv_x_eval_i64(s[k].e, at, &v) && (v < range.lo || v > range.hi))
          fail_msg("seed %llu: expression %d leaves its range", (unsigned long long)seed, k);
      }
    }
    fv_arena_destroy(ar);
  }
}

static void test_floats_keep_their_bits(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = fv_xpool_create(ar);
  const fv_expr *x = fv_x_load(p, FV_f32, 0, 0, NULL);
  const fv_expr *zero = fv_x_lit_f(p, FV_f32, 0.0), *minus = fv_x_lit_f(p, FV_f32, -0.0);
  assert_ptr_not_equal(zero, minus);
  assert_ptr_equal(fv_x_add(p, x, minus), x);
  assert_ptr_not_equal(fv_x_add(p, x, zero), x);
  assert_ptr_equal(fv_x_sub(p, x, zero), x);
  assert_ptr_not_equal(fv_x_sub(p, x, minus), x);
  assert_ptr_equal(fv_x_mul(p, x, fv_x_lit_f(p, FV_f32, 1)), x);
  assert_ptr_not_equal(fv_x_mul(p, x, zero), zero);
  assert_ptr_not_equal(fv_x_sub(p, x, x), zero);
  const fv_expr *third =
      fv_x_op(p, FV_X_DIV, fv_x_lit_f(p, FV_f32, 1), fv_x_lit_f(p, FV_f32, 3), NULL);
  assert_true(third->kind == FV_E_LIT && third->lit.f == (double)(1.0f / 3.0f));
  assert_ptr_equal(fv_x_lit_f(p, FV_f32, NAN), fv_x_lit_f(p, FV_f32, -NAN));
  assert_ptr_equal(fv_x_cast(p, FV_f16, fv_x_cast(p, FV_f32, fv_x_load(p, FV_f16, 0, 0, NULL))),
                   fv_x_load(p, FV_f16, 0, 0, NULL));
  fv_arena_destroy(ar);
}

// Elements of tensors wrap around: what holds for dims does not for them.
static void test_loads_wrap(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = fv_xpool_create(ar);
  const fv_expr *x = fv_x_load(p, FV_i64, 0, 0, NULL), *two = fv_x_i64(p, 2);
  assert_ptr_not_equal(fv_x_floordiv(p, fv_x_mul(p, x, two), two), x);
  assert_int_equal(fv_prove_le(p, x, fv_x_add(p, x, two)), FV_UNKNOWN);
  assert_int_equal(fv_prove_eq(p, x, fv_x_add(p, x, two)), FV_NO);
  assert_ptr_equal(fv_x_sub(p, fv_x_add(p, x, two), two), x);
  fv_arena_destroy(ar);
}

static const fv_expr *three(void *user, const fv_expr *e) {
  return e->kind == FV_E_LOAD ? fv_x_i64(user, 3) : e;
}

static void test_rewriting(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = make_pool(ar);
  const fv_expr *i = fv_x_index(p, 0), *b = fv_x_sym(p, 0);
  const fv_expr *x = fv_x_load(p, FV_i64, 2, 1, &i);
  const fv_expr *e = fv_x_add(p, fv_x_mul(p, x, b), fv_x_op(p, FV_X_MIN, i, b, NULL));
  const fv_expr *at = fv_x_i64(p, 0);
  const fv_expr *sub = fv_x_subst_index(p, e, &at, 1);
  const fv_expr *done = fv_x_rewrite(p, sub, three, p);
  assert_ptr_equal(done, fv_x_mul(p, b, fv_x_i64(p, 3)));
  assert_ptr_equal(fv_x_subst_sym(p, done, 0, fv_x_i64(p, 5)), fv_x_i64(p, 15));
  fv_arena_destroy(ar);
}

// Chains of a million steps: no recursion, and linear time.
static void test_long_chains(void **state) {
  (void)state;
  enum { N = 1000000 };
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = make_pool(ar);
  const fv_expr *b = fv_x_sym(p, 0), *sum = b, *deep = b, *wide = b;
  for (int i = 0; i < N; i++) {
    sum = fv_x_add(p, sum, fv_x_i64(p, 1));
    deep = fv_x_op(p, FV_X_XOR, fv_x_add(p, deep, b), fv_x_i64(p, 5), NULL);
  }
  for (uint32_t i = 0; i < N / 10; i++)
    wide = fv_x_add(p, wide, fv_x_index(p, i));
  assert_ptr_equal(sum, fv_x_add(p, b, fv_x_i64(p, N)));
  const int64_t value[N_SYM] = {3, 0, 4, 0};
  int64_t got = 0, want = 3;
  for (int i = 0; i < N; i++)
    want = (want + 3) ^ 5;
  assert_true(fv_x_eval_i64(deep, value, &got));
  assert_int_equal(got, want);
  assert_ptr_equal(fv_x_subst_sym(p, deep, 0, fv_x_i64(p, 3)), fv_x_i64(p, want));
  fv_str s = {.arena = ar};
  fv_x_print_as(p, &s, deep, &(fv_xprint){.limit = 0});
  assert_ptr_equal(fv_x_parse_i64(p, s.data, s.size, NULL, NULL, NULL, NULL), deep);
  const fv_expr *shared = deep, *terms = fv_x_index(p, N);  // beyond the limit of a polynomial
  for (int i = 0; i < 1000; i++)
    shared = fv_x_op(p, FV_X_MAX, fv_x_op(p, FV_X_XOR, shared, b, NULL), shared, NULL);
  for (uint32_t i = 0; i < 1000; i++)
    terms = fv_x_add(p, terms, fv_x_op(p, FV_X_XOR, fv_x_index(p, i), b, NULL));
  for (int i = 0; i < 3; i++) {
    fv_str brief = {.arena = ar};
    fv_x_print(p, &brief, (const fv_expr *[]){deep, shared, terms}[i]);
    assert_true(brief.size < 2000);
    assert_non_null(strstr(brief.data, "..."));
  }
  const fv_expr *zero = fv_x_i64(p, 0), **by = FV_NEW_N(ar, const fv_expr *, N / 10);
  for (int i = 0; i < N / 10; i++)
    by[i] = zero;
  assert_ptr_equal(fv_x_subst_index(p, wide, by, N / 10), b);
  fv_arena_destroy(ar);
}

// What is noted when an expression is made, against a walk.
static unsigned walked_flags(const fv_xpool *p, const fv_expr *e) {
  unsigned f = 0;
  if (e->kind == FV_E_SYM)
    f = fv_symbol_get(p, e->ref)->kind == FV_SYM_COUNTER ? FV_XF_SYM | FV_XF_RUN : FV_XF_SYM;
  else if (e->kind == FV_E_INDEX)
    f = FV_XF_INDEX;
  else if (e->kind == FV_E_LOAD)
    f = FV_XF_LOAD;
  else if (e->kind == FV_E_OP && (e->op == FV_X_EXP || e->op == FV_X_POW))
    f = FV_XF_TRANSCENDENTAL;
  for (int i = 0; i < e->n; i++) {
    const unsigned below = walked_flags(p, e->arg[i]);
    if (e->kind == FV_E_LOAD && (below & FV_XF_LOAD))
      f |= FV_XF_INDIRECT;
    f |= below;
  }
  return f;
}

static bool walked_index(const fv_expr *e, uint32_t index) {
  bool found = e->kind == FV_E_INDEX && e->ref == index;
  for (int i = 0; i < e->n; i++)
    found = found || walked_index(e->arg[i], index);
  return found;
}

static void test_flags(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = make_pool(ar);
  const uint32_t counter = fv_symbol_add(p, "trip", 0, 9, FV_SYM_COUNTER);
  rng r = {7};
  enum { N = 400 };
  const fv_expr *e[N] = {fv_x_sym(p, 0), fv_x_sym(p, counter), fv_x_index(p, 3), fv_x_index(p, 67),
                         fv_x_i64(p, 5)};
  for (int i = 5; i < N; i++) {
    const fv_expr *a = e[next(&r) % (uint64_t)i], *b = e[next(&r) % (uint64_t)i];
    const fv_expr *f = fv_x_cast(p, FV_f32, a);
    const fv_scalar_op op = (const fv_scalar_op[]){FV_X_EXP, FV_X_ABS, FV_X_POW}[next(&r) % 3];
    f = fv_x_op(p, op, f, op == FV_X_POW ? fv_x_cast(p, FV_f32, b) : NULL, NULL);
    switch (i % 3) {
    case 0: e[i] = fv_x_add(p, a, b); break;
    case 1: e[i] = fv_x_load(p, FV_i64, 0, 2, (const fv_expr *const[]){a, b}); break;
    default: e[i] = fv_x_op(p, FV_X_MIN, fv_x_cast(p, FV_i64, f), b, NULL); break;
    }
    if (e[i]->cost > 60)  // the walks below take them as trees
      e[i] = e[i % 5];
    assert_int_equal(e[i]->flags, walked_flags(p, e[i]));
    assert_int_equal(fv_x_uses_index(p, e[i], 3), walked_index(e[i], 3));
    assert_int_equal(fv_x_uses_index(p, e[i], 67), walked_index(e[i], 67));
  }
  const fv_expr *f = fv_x_load(p, FV_f32, 0, 0, NULL);
  for (int i = 0; i < 100; i++)
    f = fv_x_add(p, f, fv_x_op(p, FV_X_EXP, f, NULL, NULL));
  assert_int_equal(f->cost, UINT16_MAX);
  fv_arena_destroy(ar);
}

static void test_parse_errors(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t at;
  } bad[] = {{"", 0},
             {"B+", 2},
             {"B B", 2},
             {"(B", 0},
             {"B)", 1},
             {"nope", 0},
             {"B,S", 1},
             {"min(B)", 0},
             {"lt(B, S)", 0},
             {"exp(B)", 0},
             {"select(B,S,S)", 0},
             {"foo(B)", 0},
             {"99999999999999999999", 0},
             {"`B", 0},
             {"min(B, lt(B, S))", 0},
             {"i64(B, S)", 0},
             {"f32(B)", 0},
             {"min()", 4}};
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = make_pool(ar);
  for (size_t i = 0; i < FV_COUNTOF(bad); i++) {
    const char *err = NULL;
    size_t at = 99;
    assert_null(fv_x_parse_i64(p, bad[i].text, strlen(bad[i].text), NULL, NULL, &err, &at));
    assert_non_null(err);
    if (at != bad[i].at)
      fail_msg("'%s': %s at %zu", bad[i].text, err, at);
  }
  fv_arena_destroy(ar);
}

static void test_symbols(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_xpool *p = fv_xpool_create(ar);
  for (int i = 0; i < 1000; i++)
    fv_symbol_add(p, "n", 0, i, FV_SYM_DIM);
  fv_symbol_add(p, "batch size", 1, 4, FV_SYM_DIM);
  for (uint32_t i = 0; i < fv_symbol_count(p); i++) {
    uint32_t found;
    assert_true(fv_symbol_find(p, fv_symbol_get(p, i)->name, &found));
    assert_int_equal(found, i);
  }
  expect(p, "`batch size`*2", "`batch size`*2");
  fv_arena_destroy(ar);
}

//===-- Scalars ---------------------------------------------------------===//

// Every 16-bit pattern goes out and in; halfway points go to even.
static void check_16_bits(fv_dtype t) {
  for (unsigned h = 0; h < 0x10000; h++) {
    const uint16_t in = (uint16_t)h;
    uint16_t out;
    const fv_scalar v = fv_scalar_load(t, &in);
    fv_scalar_store(t, &out, v);
    if (isnan(v.f)) {
      assert_true(isnan(fv_scalar_load(t, &out).f));
      continue;
    }
    assert_int_equal(in, out);
    assert_true(fv_round_to(t, v.f) == v.f);
    const uint16_t up = (uint16_t)(h + 1);
    const double w = fv_scalar_load(t, &up).f;
    if (isinf(v.f) || isnan(w) || isinf(w) || up == 0 || up == 0x8000)
      continue;
    const double half = v.f + (w - v.f) / 2;
    assert_true(fv_round_to(t, half) == (h & 1 ? w : v.f));
    assert_true(fv_round_to(t, nextafter(half, v.f)) == v.f);
    assert_true(fv_round_to(t, nextafter(half, w)) == w);
  }
}

static void test_rounding(void **state) {
  (void)state;
  check_16_bits(FV_f16);
  check_16_bits(FV_bf16);
  assert_true(fv_round_to(FV_f16, 65519.99) == 65504);
  assert_true(isinf(fv_round_to(FV_f16, 65520)));
  assert_true(isinf(fv_round_to(FV_bf16, 3.4e38)));
  assert_true(signbit(fv_round_to(FV_f16, -1e-30)));
  // 2^60 + 2^52 is halfway between two bf16; one more decides.
  const fv_scalar none = {.i = 0};
  const int64_t tie = (INT64_C(1) << 60) + (INT64_C(1) << 52);
  fv_scalar v = fv_scalar_eval(FV_X_CAST, FV_i64, FV_bf16, (fv_scalar){.i = tie}, none, none);
  assert_true(v.f == 0x1p60);
  v = fv_scalar_eval(FV_X_CAST, FV_i64, FV_bf16, (fv_scalar){.i = tie + 1}, none, none);
  assert_true(v.f == 0x1p60 + 0x1p53);
}

static int64_t int_op(fv_scalar_op op, fv_dtype t, int64_t a, int64_t b) {
  return fv_scalar_eval(op, t, t, (fv_scalar){.i = a}, (fv_scalar){.i = b}, (fv_scalar){.i = 0}).i;
}

static int64_t to_int(fv_dtype t, double v) {
  const fv_scalar none = {.i = 0};
  return fv_scalar_eval(FV_X_CAST, FV_f32, t, (fv_scalar){.f = v}, none, none).i;
}

static void test_scalars(void **state) {
  (void)state;
  assert_int_equal(int_op(FV_X_ADD, FV_i8, 127, 1), -128);
  assert_int_equal(int_op(FV_X_MUL, FV_u8, 20, 20), 144);
  assert_int_equal(int_op(FV_X_FLOORDIV, FV_i32, -7, 2), -4);
  assert_int_equal(int_op(FV_X_MOD, FV_i32, -7, 2), 1);
  assert_int_equal(int_op(FV_X_MOD, FV_i32, 7, -2), -1);
  assert_int_equal(int_op(FV_X_DIV, FV_i32, -7, 2), -3);
  assert_int_equal(int_op(FV_X_DIV, FV_i64, INT64_MIN, -1), INT64_MIN);
  assert_int_equal(int_op(FV_X_MOD, FV_i64, 5, 0), 0);
  assert_int_equal(int_op(FV_X_SHR, FV_i32, -8, 1), -4);
  assert_int_equal(int_op(FV_X_NOT, FV_bool, 1, 0), 0);
  assert_int_equal(to_int(FV_i8, 1000), 127);
  assert_int_equal(to_int(FV_u8, -3), 0);
  assert_int_equal(to_int(FV_i32, NAN), 0);
  assert_int_equal(to_int(FV_i64, 1e30), INT64_MAX);
  assert_int_equal(to_int(FV_i64, -1e30), INT64_MIN);
  assert_int_equal(to_int(FV_i32, -2.9), -2);
  const fv_scalar nan = {.f = NAN}, one = {.f = 1}, zero = {.i = 0};
  assert_true(isnan(fv_scalar_eval(FV_X_MAX, FV_f32, FV_f32, nan, one, zero).f));
  assert_true(isnan(fv_scalar_eval(FV_X_MIN, FV_f32, FV_f32, one, nan, zero).f));
  assert_int_equal(fv_scalar_eval(FV_X_NE, FV_f32, FV_bool, nan, nan, zero).i, 1);
  assert_int_equal(fv_scalar_eval(FV_X_LE, FV_f32, FV_bool, nan, one, zero).i, 0);
  assert_int_equal(fv_scalar_eval(FV_X_BITCAST, FV_f32, FV_i32, one, zero, zero).i, 0x3f800000);
}

static const fv_scalar *numbers_of(fv_dtype t) {
  enum { N = 12 };
  static const double f[N] = {0.0, -0.0, 1, -1, 2.5, -3.75, 70000, -1e300, 1e-7, 3, INFINITY, NAN};
  static const int64_t i[N] = {0, 1, -1, 2, 7, -8, 127, 255, 32767, 65535, INT64_MIN, INT64_MAX};
  static fv_scalar v[N];
  const fv_scalar none = {.i = 0};
  for (int k = 0; k < N; k++) {
    if (fv_dtype_is_float(t))
      v[k].f = fv_round_to(t, f[k]);
    else
      v[k] = fv_scalar_eval(FV_X_CAST, FV_i64, t, (fv_scalar){.i = i[k]}, none, none);
  }
  return v;
}

static bool same_scalar(fv_dtype t, fv_scalar a, fv_scalar b) {
  return a.i == b.i || (fv_dtype_is_float(t) && isnan(a.f) && isnan(b.f));
}

// Many at once are each by itself.
static void check_lanes(fv_scalar_op op, fv_dtype t, fv_dtype to, int by) {
  enum { N = 144 };
  fv_scalar a[N], b[N], v[N];
  const fv_scalar *x = numbers_of(t);
  for (int i = 0; i < N; i++) {
    a[i] = x[i / 12];
    b[i] = x[i % 12];
  }
  fv_lanes arg[3] = {{a, by != 1}, {b, by != 2}, {b, by != 3}};
  if (op == FV_X_SELECT)
    for (int i = 0; i < N; i++)
      a[i].i = i % 3 == 0;
  fv_scalar_eval_n(op, t, to, arg, v, N);
  const fv_dtype is = op == FV_X_CAST || op == FV_X_BITCAST ? to
                      : op >= FV_X_EQ && op <= FV_X_LE      ? FV_bool
                      : op == FV_X_IS_NAN                   ? FV_bool
                                                            : t;
  for (int i = 0; i < N; i++) {
    const fv_scalar one =
        fv_scalar_eval(op, t, to, a[i * arg[0].by], b[i * arg[1].by], b[i * arg[2].by]);
    if (!same_scalar(is, one, v[i]))
      fail_msg("%s of %s, %d", fv_scalar_name(op), fv_dtype_name(t), i);
    if (op == FV_X_CAST && fv_dtype_widens(t, to) && !same_scalar(is, one, a[i * arg[0].by]))
      fail_msg("a cast of %s to %s is none", fv_dtype_name(t), fv_dtype_name(to));
  }
}

static void test_lanes(void **state) {
  (void)state;
  for (int op = 0; op < FV_X_COUNT; op++)
    for (int t = 0; t < FV_DTYPE_COUNT; t++)
      for (int to = 0; to < FV_DTYPE_COUNT; to++) {
        const bool casts = op == FV_X_CAST || op == FV_X_BITCAST;
        if (casts ? op == FV_X_BITCAST && fv_dtype_size((fv_dtype)t) != fv_dtype_size((fv_dtype)to)
                  : to != t)
          continue;
        for (int by = 0; by < 4; by++)
          check_lanes((fv_scalar_op)op, (fv_dtype)t, (fv_dtype)to, by);
      }
}

static void test_loads_of_lanes(void **state) {
  (void)state;
  enum { N = 100 };
  uint8_t data[N * 8 * 3];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)(i * 151 + i / 7);
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    for (int64_t stride = -2; stride <= 2; stride++) {
      fv_scalar v[N];
      const int64_t size = fv_dtype_size((fv_dtype)t);
      const uint8_t *first = data + (stride < 0 ? -stride * (N - 1) * size : 0);
      fv_scalar_load_n((fv_dtype)t, first, stride, v, N);
      for (int i = 0; i < N; i++)
        assert_true(
            same_scalar((fv_dtype)t, v[i], fv_scalar_load((fv_dtype)t, first + i * stride * size)));
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_against_evaluation),
      cmocka_unit_test(test_text_round_trip),
      cmocka_unit_test(test_polynomials_are_canonical),
      cmocka_unit_test(test_simplification),
      cmocka_unit_test(test_range_with_indices),
      cmocka_unit_test(test_random_index_ranges),
      cmocka_unit_test(test_floats_keep_their_bits),
      cmocka_unit_test(test_loads_wrap),
      cmocka_unit_test(test_rewriting),
      cmocka_unit_test(test_long_chains),
      cmocka_unit_test(test_flags),
      cmocka_unit_test(test_parse_errors),
      cmocka_unit_test(test_symbols),
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_scalars),
      cmocka_unit_test(test_lanes),
      cmocka_unit_test(test_loads_of_lanes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
