// SPDX-License-Identifier: Apache-2.0
// Holds the elementwise functions of a backend to the bound in units of the last place
// that their docs state, over a dense sample of all bit patterns: denormals, tails and
// what is near a cancellation. The oracle is the C library's in long double, on forms
// that do not cancel.
//
//   test_ulp BACKEND [OP]
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph/graph.h"
#include "tests/bounds/subject.h"
#include "tests/compare.h"

enum { N = 1 << 20 };

//===-- Functions -------------------------------------------------------------------===//

static long double sigmoidl(long double x) {
  return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}
static long double silul(long double x) {
  return x * sigmoidl(x);
}
static long double softplusl(long double x) {
  return fmaxl(x, 0) + log1pl(expl(-fabsl(x)));
}
static long double reciprocall(long double x) {
  return 1 / x;
}

static long double gelul(long double x) {
  return x * erfcl(-x * 0.70710678118654752440084436210485L) / 2;
}
// x (1 + tanh u) / 2 is x / (1 + e^-2u).
static long double gelu_tanhl(long double x) {
  const long double u = 0.79788456080286535587989211986876L * (x + 0.044715L * x * x * x);
  return x * sigmoidl(2 * u);
}

// `of_x`: the bound is in units of the last place of x, not of the result, which is a difference
// of numbers of the size of x.
static const struct {
  const char *op;
  long double (*f)(long double x);
  const char *name, *attrs;  // of its graph and of the op; NULL: as `op`, and none
  bool of_x;
} function[] = {
    {.op = "exp", .f = expl},
    {.op = "log", .f = logl},
    {.op = "sin", .f = sinl},
    {.op = "cos", .f = cosl},
    {.op = "tanh", .f = tanhl},
    {.op = "erf", .f = erfl},
    {.op = "sqrt", .f = sqrtl},
    {.op = "sigmoid", .f = sigmoidl},
    {.op = "silu", .f = silul},
    {.op = "softplus", .f = softplusl},
    {.op = "reciprocal", .f = reciprocall},
    {.op = "gelu", .f = gelul, .of_x = true},
    {.op = "gelu",
     .f = gelu_tanhl,
     .name = "gelu_tanh",
     .attrs = "approximate='tanh'",
     .of_x = true},
};
static const fv_dtype types[] = {FV_f32, FV_f64};
static const double bound = 4, bound_of_x = 2;

typedef struct session {
  subject subject;
  const char *only;
  int failed, passed;
} session;

static const char *name_of(size_t i) {
  return function[i].name ? function[i].name : function[i].op;
}

static bool wanted(const session *s, size_t i) {
  return !s->only || strcmp(s->only, name_of(i)) == 0;
}

static void put_graphs(FILE *f, void *user) {
  const session *s = user;
  for (size_t i = 0; i < FV_COUNTOF(function); i++)
    for (size_t t = 0; t < FV_COUNTOF(types) && wanted(s, i); t++)
      fprintf(f,
              "<graph name='%s_%s'><input name='x' type='%s' shape='%d'/><%s x='x' %s out='y'/>"
              "<output name='y'/></graph>\n",
              name_of(i), fv_dtype_name(types[t]), fv_dtype_name(types[t]), N, function[i].op,
              function[i].attrs ? function[i].attrs : "");
}

//===-- Numbers ---------------------------------------------------------------------===//

static uint64_t next(uint64_t *s) {
  *s ^= *s << 13;
  *s ^= *s >> 7;
  *s ^= *s << 17;
  return *s * UINT64_C(2685821657736338717);
}

// Half of them evenly over the bit patterns, which are as many below 1 as above; half where
// functions turn: up to 128 (1024), finely.
static void fill(fv_dtype t, void *x) {
  uint64_t state = 88172645463325252;
  for (int i = 0; i < N; i++) {
    const uint64_t u = next(&state);
    if (i % 2) {
      const double v = (double)(int64_t)u * (t == FV_f32 ? 0x1p-56 : 0x1p-53);
      fv_scalar_store(t, (char *)x + i * fv_dtype_size(t), (fv_scalar){.f = v});
    } else if (t == FV_f32) {
      const uint32_t bits = (uint32_t)(i / 2) * 8192u + (uint32_t)(u & 8191);
      memcpy((char *)x + i * 4, &bits, 4);
    } else {
      memcpy((char *)x + i * 8, &u, 8);
    }
  }
}

// Distance in units of the last place of `unit`; beyond the largest number all is alike.
static double ulps(fv_dtype t, double got, long double want, long double unit) {
  const int digits = t == FV_f32 ? 24 : 53, low = t == FV_f32 ? -149 : -1074;
  const int high = t == FV_f32 ? 128 : 1024;
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got) ? 0 : HUGE_VAL;
  const long double top = ldexpl(1, high);
  const long double g = isinf(got) ? copysignl(top, (long double)got) : (long double)got;
  const long double w = fabsl(want) > top ? copysignl(top, want) : want;
  int e;
  unit = fminl(fabsl(unit), top);
  frexpl(unit, &e);
  e = unit == 0 || e - digits < low ? low : e - digits > high - digits ? high - digits : e - digits;
  return (double)(fabsl(g - w) / ldexpl(1, e));
}

//===-- Running ---------------------------------------------------------------------===//

static void run(session *s, size_t i, fv_dtype t, void *x) {
  char entry[32];
  fv_tensor_io y, in = {.name = "x", .dtype = t, .rank = 1, .dim = {N}, .data = x};
  double worst = 0, at = 0, got = 0;
  snprintf(entry, sizeof entry, "%s_%s", name_of(i), fv_dtype_name(t));
  fill(t, x);
  bool ok =
      fv_context_run(s->subject.context, entry, &in, 1, NULL, 0, &y, 1, &s->subject.diag) == FV_OK;
  for (int k = 0; k < N && ok; k++) {
    const double a = element(&in, k).f, v = element(&y, k).f;
    const long double want = function[i].f((long double)a);
    const double off = ulps(t, v, want, function[i].of_x ? (long double)a : want);
    if (off > worst)
      worst = off, at = a, got = v;
  }
  ok = ok && worst <= (function[i].of_x ? bound_of_x : bound);
  printf("%s%s: %.3f ULP at %a, %a, want %La\n", ok ? "" : "FAIL: ", entry, worst, at, got,
         function[i].f((long double)at));
  s->passed += ok;
  s->failed += !ok;
}

int main(int argc, char **argv) {
  static session s;
  if (argc < 2 || argc > 3) {
    fputs("usage: test_ulp BACKEND [OP]\n", stderr);
    return 2;
  }
  s.only = argc > 2 ? argv[2] : NULL;
  void *x = calloc(N, 8);
  const int status = x ? subject_open(&s.subject, argv[1], put_graphs, &s) : 1;
  for (size_t i = 0; i < FV_COUNTOF(function) && status == 0; i++)
    for (size_t t = 0; t < FV_COUNTOF(types) && wanted(&s, i); t++)
      run(&s, i, types[t], x);
  subject_close(&s.subject);
  free(x);
  return status ? status : s.failed || !s.passed;
}
