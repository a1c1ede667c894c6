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

static const struct {
  const char *op;
  long double (*f)(long double x);
} function[] = {{"exp", expl},
                {"log", logl},
                {"sin", sinl},
                {"cos", cosl},
                {"tanh", tanhl},
                {"erf", erfl},
                {"sqrt", sqrtl},
                {"sigmoid", sigmoidl},
                {"silu", silul},
                {"softplus", softplusl},
                {"reciprocal", reciprocall}};
static const fv_dtype types[] = {FV_f32, FV_f64};
static const double bound = 4;

typedef struct session {
  subject subject;
  const char *only;
  int failed, passed;
} session;

static bool wanted(const session *s, size_t i) {
  return !s->only || strcmp(s->only, function[i].op) == 0;
}

static void put_graphs(FILE *f, void *user) {
  const session *s = user;
  for (size_t i = 0; i < FV_COUNTOF(function); i++)
    for (size_t t = 0; t < FV_COUNTOF(types) && wanted(s, i); t++)
      fprintf(f,
              "<graph name='%s_%s'><input name='x' type='%s' shape='%d'/><%s x='x' out='y'/>"
              "<output name='y'/></graph>\n",
              function[i].op, fv_dtype_name(types[t]), fv_dtype_name(types[t]), N, function[i].op);
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

// Distance in units of the last place of what is wanted; beyond the largest number all is alike.
static double ulps(fv_dtype t, double got, long double want) {
  const int digits = t == FV_f32 ? 24 : 53, low = t == FV_f32 ? -149 : -1074;
  const int high = t == FV_f32 ? 128 : 1024;
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got) ? 0 : HUGE_VAL;
  const long double top = ldexpl(1, high);
  const long double g = isinf(got) ? copysignl(top, (long double)got) : (long double)got;
  const long double w = fabsl(want) > top ? copysignl(top, want) : want;
  int e;
  frexpl(w, &e);
  e = w == 0 || e - digits < low ? low : e - digits > high - digits ? high - digits : e - digits;
  return (double)(fabsl(g - w) / ldexpl(1, e));
}

//===-- Running ---------------------------------------------------------------------===//

static void run(session *s, size_t i, fv_dtype t, void *x) {
  char entry[32];
  fv_tensor_io y, in = {.name = "x", .dtype = t, .rank = 1, .dim = {N}, .data = x};
  double worst = 0, at = 0, got = 0;
  snprintf(entry, sizeof entry, "%s_%s", function[i].op, fv_dtype_name(t));
  fill(t, x);
  bool ok =
      fv_context_run(s->subject.context, entry, &in, 1, NULL, 0, &y, 1, &s->subject.diag) == FV_OK;
  for (int k = 0; k < N && ok; k++) {
    const double a = element(&in, k).f, v = element(&y, k).f;
    const double off = ulps(t, v, function[i].f((long double)a));
    if (off > worst)
      worst = off, at = a, got = v;
  }
  ok = ok && worst <= bound;
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
