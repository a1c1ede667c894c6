// SPDX-License-Identifier: Apache-2.0
// Holds a backend to the bounds that the op table states: ops that sum over rows, on
// rows of up to 10^7 numbers that sums and differences find hard. The oracle computes
// in long double from the definitions and shares nothing with the evaluator, so the
// reference is tested, too.
//
//   test_bounds BACKEND [OP]
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph/graph.h"
#include "tests/bounds/oracle.h"
#include "tests/bounds/subject.h"
#include "tests/compare.h"

enum { ROWS = 3, MAX_CASES = 1024 };

//===-- Cases -----------------------------------------------------------------------===//

typedef struct bound_case {
  const row_op *op;
  fv_dtype t;
  row_layout layout;
  int64_t n, a, b;  // n = a * b
} bound_case;

typedef struct session {
  subject subject;
  bound_case c[MAX_CASES];
  int n_case;
  int failed, passed;
} session;

static void add_case(session *s, const bound_case *c) {
  if (s->n_case < MAX_CASES)
    s->c[s->n_case++] = *c;
  else
    s->failed++;
}

// The schedules are the same for all types. f16 and bf16 compute in f32: one length shows how
// they round.
static void list_sizes(session *s, const row_op *o, fv_dtype t, row_layout l) {
  static const int64_t size[][2] = {{1, 1},   {1, 17},    {13, 17},     {3, 256},
                                    {8, 125}, {250, 400}, {1000, 1000}, {2500, 4000}};
  const int64_t least = t == FV_f32 && l != COLUMN ? 1 : 1000;
  const int64_t most = t == FV_f32 ? o->max : t == FV_f64 ? 100000 : 1000;
  for (size_t z = 0; z < FV_COUNTOF(size); z++) {
    const int64_t n = size[z][0] * size[z][1];
    if (n >= least && n <= most && n <= o->max)
      add_case(s, &(bound_case){o, t, l, n, size[z][0], size[z][1]});
  }
}

static void list_cases(session *s, const char *only) {
  static const fv_dtype types[] = {FV_f32, FV_f64, FV_f16, FV_bf16};
  for (int o = 0; o < n_row_ops; o++)
    for (int l = 0; l < N_LAYOUT; l++)
      for (size_t t = 0; t < FV_COUNTOF(types); t++)
        if (row_ops[o].layouts >> l & 1 && (t == 0 || l == ROW || l == POOL) &&
            (!only || strcmp(only, row_ops[o].op) == 0))
          list_sizes(s, &row_ops[o], types[t], (row_layout)l);
}

// Rows of the longest size cost time.
static int64_t rows_of(const bound_case *c) {
  return c->n > 100000 ? 1 : ROWS;
}

static void dims_of(const bound_case *c, fv_tensor_io *x) {
  const int64_t r = rows_of(c);
  const int64_t dim[N_LAYOUT][4] = {{r, c->n}, {c->n, r}, {c->a, r, c->b}, {1, r, c->a, c->b}};
  static const int rank[N_LAYOUT] = {2, 2, 3, 4};
  x->rank = rank[c->layout];
  for (int d = 0; d < x->rank; d++)
    x->dim[d] = dim[c->layout][d];
}

static int64_t place_of(const bound_case *c, int64_t row, int64_t i) {
  const int64_t rows = rows_of(c);
  switch (c->layout) {
  case COLUMN: return i * rows + row;
  case PLANES: return (i / c->b * rows + row) * c->b + i % c->b;
  default: return row * c->n + i;
  }
}

//===-- The model -------------------------------------------------------------------===//

static void put_shape(FILE *f, const fv_tensor_io *x) {
  for (int d = 0; d < x->rank; d++)
    fprintf(f, "%s%lld", d ? ", " : "", (long long)x->dim[d]);
}

static bool has_weights(const bound_case *c) {
  return strstr(c->op->xml, "'w'") != NULL;
}

static void weight_dims(const bound_case *c, fv_tensor_io *w) {
  w->rank = c->op->keeps_row ? 1 : 2;
  w->dim[0] = c->n;
  w->dim[1] = 1;
}

static void put_input(FILE *f, const char *name, fv_dtype t, const fv_tensor_io *x) {
  fprintf(f, "<input name='%s' type='%s' shape='", name, fv_dtype_name(t));
  put_shape(f, x);
  fprintf(f, "'/>\n");
}

static void put_graph(FILE *f, const bound_case *c, int number) {
  static const char *const axes[] = {"1", "0", "0, 2", "2, 3"};
  char kernel[64];
  fv_tensor_io x, w;
  dims_of(c, &x);
  weight_dims(c, &w);
  fprintf(f, "<graph name='g%d'>\n", number);
  put_input(f, "x", c->t, &x);
  if (has_weights(c))
    put_input(f, "w", c->t, &w);
  snprintf(kernel, sizeof kernel, "%lld, %lld", (long long)c->a, (long long)c->b);
  const char *attr = strstr(c->op->xml, "kernel_shape") ? kernel : axes[c->layout];
  for (const char *p = c->op->xml; *p; p++)
    if (p[0] == '%' && p[1] == 's')
      fputs(attr, f), p++;
    else if (p[0] == '%' && p[1] == 'n')
      fprintf(f, "%lld", (long long)c->n), p++;
    else
      fputc(*p, f);
  fprintf(f, "\n<output name='y'/></graph>\n");
}

static void put_graphs(FILE *f, void *user) {
  const session *s = user;
  for (int i = 0; i < s->n_case; i++)
    put_graph(f, &s->c[i], i);
}

//===-- Numbers ---------------------------------------------------------------------===//

static double random_unit(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (double)(*state >> 11) * 0x1p-53;
}

typedef enum row_kind {
  CONSTANT,      // one value repeated, of which no sum is a multiple
  TINY,          // its square is no float
  HUGE_SUM,      // the sum is just finite
  ODD_INTEGERS,  // sums of them pass 2^24
  ABSORBED,      // each is lost when it is added to the first
  NEAR_EQUAL,    // they differ in the last places
  POSITIVE,
  MIXED_SIGNS,  // sums cancel
  N_KIND
} row_kind;

static const char *const kind_name[] = {"one value",    "a tiny value", "a huge value",
                                        "odd integers", "1 and less",   "near equal",
                                        "positive",     "mixed signs"};

static double largest_of(fv_dtype t) {
  switch (t) {
  case FV_f64: return DBL_MAX;
  case FV_f16: return 65504;
  default: return FLT_MAX;  // bf16 has its exponents
  }
}

static double number_of(const bound_case *c, row_kind kind, int64_t row, int64_t i,
                        uint64_t *state) {
  static const double repeated[ROWS] = {-77.7, 999.9, 0.1};
  const double eps = eps_of(c->t), u = random_unit(state);
  switch (kind) {
  case CONSTANT: return repeated[row];
  case TINY: return c->t == FV_f64 ? 1e-200 : c->t == FV_f16 ? 1e-5 : 1e-30;
  case HUGE_SUM: return 0.9 * largest_of(c->t) / (double)(c->n < 2 ? 2 : c->n);
  case ODD_INTEGERS: return i % 3 ? 3 : 5;
  case ABSORBED: return i ? 0.45 * eps : 1;
  case NEAR_EQUAL: return 1000 * (1 + eps * floor(16 * u));
  case POSITIVE: return u;
  default: return 2 * u - 1;
  }
}

static bool multiplies(const bound_case *c) {
  return strstr(c->op->op, "prod") != NULL;
}

// Factors whose product neither overflows nor vanishes.
static double factor_of(const bound_case *c, row_kind kind, uint64_t *state) {
  const double eps = eps_of(c->t), u = random_unit(state);
  return kind == CONSTANT ? 1 + 3 * eps : 1 + (u - 0.5) / sqrt((double)c->n);
}

// Squares are computed by rms_norm and lp_normalize, which is part of their docs.
static bool is_apt(const bound_case *c, row_kind kind) {
  const bool squares = strstr(c->op->op, "rms") || strstr(c->op->xml, "p='2'");
  if (multiplies(c))
    return kind == CONSTANT || kind == POSITIVE;
  if (c->n > 100000 && kind != CONSTANT && kind != ODD_INTEGERS && kind != MIXED_SIGNS)
    return false;
  if (c->t == FV_f16 && c->n > 600 && (kind == CONSTANT || kind == NEAR_EQUAL))
    return c->op->keeps_row || strstr(c->op->op, "mean") != NULL;  // the sum is infinite
  return kind != HUGE_SUM || !squares;
}

//===-- Running ---------------------------------------------------------------------===//

typedef struct arrays {
  double *x;          // a row after another
  long double *want;  // of one row
  void *in, *weights;
} arrays;

static void fill(const bound_case *c, row_kind kind, uint64_t seed, arrays *a) {
  const size_t size = (size_t)fv_dtype_size(c->t);
  uint64_t state = seed;
  for (int64_t r = 0; r < rows_of(c); r++)
    for (int64_t i = 0; i < c->n; i++) {
      void *p = (char *)a->in + (size_t)place_of(c, r, i) * size;
      const double v =
          multiplies(c) ? factor_of(c, kind, &state) : number_of(c, kind, r, i, &state);
      fv_scalar_store(c->t, p, (fv_scalar){.f = v});
      a->x[r * c->n + i] = fv_scalar_load(c->t, p).f;
    }
  for (int64_t i = 0; i < c->n; i++)
    fv_scalar_store(c->t, (char *)a->weights + (size_t)i * size, (fv_scalar){.f = 1});
}

static double column_of(const char *op) {
  for (int i = 0; i < FV_OP_COUNT; i++)
    if (strcmp(fv_op_get((fv_op)i)->name, op) == 0)
      return fv_op_get((fv_op)i)->tolerance;
  return 0;
}

static bool check_row(const session *s, int number, row_kind kind, int64_t row, const arrays *a,
                      const fv_tensor_io *y) {
  const bound_case *c = &s->c[number];
  const long double scale = c->op->want(a->x + row * c->n, c->n, a->want);
  const double column = column_of(c->op->op);
  double bound = c->op->bound ? c->op->bound(column, c->n) : column;
  if (c->op->gives_repeated && kind == CONSTANT)
    bound = 0;
  const int64_t n = c->op->keeps_row ? c->n : 1;
  for (int64_t i = 0; i < n; i++) {
    const double got = element(y, c->op->keeps_row ? place_of(c, row, i) : row).f;
    const long double off = fabsl((long double)got - a->want[i]);
    // Below the normal numbers an ULP is no smaller.
    const long double one = fmaxl((long double)eps_of(c->t) * scale, c->t == FV_f16 ? 0x1p-24L : 0);
    if (got != (double)a->want[i] && !(off <= (long double)bound * one)) {
      printf("FAIL: %s of %lld of %s, %s, layout %d: %.9Lg, want %.9Lg, off by %.3Lg eps of %g\n",
             c->op->op, (long long)c->n, fv_dtype_name(c->t), kind_name[kind], (int)c->layout,
             (long double)got, a->want[i], off / one, bound);
      return false;
    }
  }
  return true;
}

static void run_kind(session *s, int number, row_kind kind, arrays *a) {
  const bound_case *c = &s->c[number];
  char entry[16];
  fv_tensor_io io[2] = {{.name = "x", .dtype = c->t, .data = a->in},
                        {.name = "w", .dtype = c->t, .data = a->weights}};
  fv_tensor_io y;
  dims_of(c, &io[0]);
  weight_dims(c, &io[1]);
  fill(c, kind, 1 + (uint64_t)kind, a);
  snprintf(entry, sizeof entry, "g%d", number);
  bool ok = fv_context_run(s->subject.context, entry, io, has_weights(c) ? 2 : 1, NULL, 0, &y, 1,
                           &s->subject.diag) == FV_OK;
  for (int64_t r = 0; r < rows_of(c) && ok; r++)
    ok = check_row(s, number, kind, r, a, &y);
  s->passed += ok;
  s->failed += !ok;
}

static void run_case(session *s, int number) {
  const bound_case *c = &s->c[number];
  const size_t n = (size_t)(rows_of(c) * c->n) + 64;
  arrays a = {calloc(n, sizeof *a.x), calloc(n, sizeof *a.want), calloc(n, 8), calloc(n, 8)};
  for (int k = 0; k < N_KIND && a.x && a.want && a.in && a.weights; k++)
    if (is_apt(c, (row_kind)k))
      run_kind(s, number, (row_kind)k, &a);
  s->failed += !a.x || !a.want || !a.in || !a.weights;
  free(a.x);
  free(a.want);
  free(a.in);
  free(a.weights);
}

int main(int argc, char **argv) {
  static session s;
  if (argc < 2 || argc > 3) {
    fputs("usage: test_bounds BACKEND [OP]\n", stderr);
    return 2;
  }
  list_cases(&s, argc > 2 ? argv[2] : NULL);
  const int status = subject_open(&s.subject, argv[1], put_graphs, &s);
  for (int i = 0; i < s.n_case && status == 0; i++)
    run_case(&s, i);
  subject_close(&s.subject);
  printf("%d passed, %d failed\n", s.passed, s.failed);
  return status ? status : s.failed || !s.passed;
}
