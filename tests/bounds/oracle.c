// SPDX-License-Identifier: Apache-2.0
#include "tests/bounds/oracle.h"

#include <math.h>
#include <stddef.h>

//===-- Sums ------------------------------------------------------------------------===//

// Long double with the rounding errors summed apart (Neumaier): exact enough for 10^7
// doubles whatever their signs.
typedef struct exact {
  long double sum, lost;
} exact;

static void add(exact *s, long double v) {
  const long double t = s->sum + v;
  s->lost += fabsl(s->sum) >= fabsl(v) ? (s->sum - t) + v : (v - t) + s->sum;
  s->sum = t;
}

static long double total(const exact *s) {
  return s->sum + s->lost;
}

static long double sum_of(const double *x, int64_t n) {
  exact s = {0, 0};
  for (int64_t i = 0; i < n; i++)
    add(&s, (long double)x[i]);
  return total(&s);
}

static long double size_of(const double *x, int64_t n) {
  exact s = {0, 0};
  for (int64_t i = 0; i < n; i++)
    add(&s, fabsl((long double)x[i]));
  return total(&s);
}

static long double reduce_sum(const double *x, int64_t n, long double *want) {
  want[0] = sum_of(x, n);
  return size_of(x, n);
}

static long double reduce_mean(const double *x, int64_t n, long double *want) {
  want[0] = sum_of(x, n) / (long double)n;
  return size_of(x, n) / (long double)n;
}

// By distances from the first number: see layer_norm.
static long double variance(const double *x, int64_t n, long double *want) {
  exact m = {0, 0}, s = {0, 0};
  for (int64_t i = 0; i < n; i++)
    add(&m, (long double)x[i] - (long double)x[0]);
  for (int64_t i = 0; i < n; i++) {
    const long double d = (long double)x[i] - (long double)x[0] - total(&m) / (long double)n;
    add(&s, d * d);
  }
  want[0] = total(&s) / (long double)n;
  return want[0];
}

static long double reduce_prod(const double *x, int64_t n, long double *want) {
  want[0] = 1;
  for (int64_t i = 0; i < n; i++)
    want[0] *= (long double)x[i];
  return fabsl(want[0]);
}

// Weights e ^ (i / 4096): the largest score rises slowly. `equal`: all weights are 1.
static long double weighted_mean(const double *x, int64_t n, long double *want, bool equal) {
  exact w = {0, 0}, s = {0, 0}, size = {0, 0};
  for (int64_t i = 0; i < n; i++) {
    const long double v = equal ? 1 : expl((long double)(i + 1 - n) * 0x1p-12L);
    add(&w, v);
    add(&s, v * (long double)x[i]);
    add(&size, v * fabsl((long double)x[i]));
  }
  want[0] = total(&s) / total(&w);
  return total(&size) / total(&w);
}
static long double attend_all(const double *x, int64_t n, long double *want) {
  return weighted_mean(x, n, want, true);
}
static long double attend_rising(const double *x, int64_t n, long double *want) {
  return weighted_mean(x, n, want, false);
}

//===-- Rows ------------------------------------------------------------------------===//

static long double largest(const long double *v, int64_t n) {
  long double m = 1;
  for (int64_t i = 0; i < n; i++)
    m = fmaxl(m, fabsl(v[i]));
  return m;
}

static long double softmax_with(const double *x, int64_t n, long double *want, bool logarithm) {
  exact s = {0, 0};
  long double top = -INFINITY;
  for (int64_t i = 0; i < n; i++)
    top = fmaxl(top, (long double)x[i]);
  for (int64_t i = 0; i < n; i++)
    add(&s, expl((long double)x[i] - top));
  for (int64_t i = 0; i < n; i++)
    want[i] = logarithm ? (long double)x[i] - top - logl(total(&s))
                        : expl((long double)x[i] - top) / total(&s);
  return largest(want, n);
}

static long double softmax(const double *x, int64_t n, long double *want) {
  return softmax_with(x, n, want, false);
}
static long double log_softmax(const double *x, int64_t n, long double *want) {
  return softmax_with(x, n, want, true);
}

static const long double epsilon = 1e-12L;

// Distances from the first number are exact where the mean is not.
static long double layer_norm(const double *x, int64_t n, long double *want) {
  exact m = {0, 0}, s = {0, 0};
  for (int64_t i = 0; i < n; i++)
    add(&m, want[i] = (long double)x[i] - (long double)x[0]);
  for (int64_t i = 0; i < n; i++) {
    want[i] -= total(&m) / (long double)n;
    add(&s, want[i] * want[i]);
  }
  for (int64_t i = 0; i < n; i++)
    want[i] /= sqrtl(total(&s) / (long double)n + epsilon);
  return largest(want, n);
}

static long double square_sum(const double *x, int64_t n) {
  exact s = {0, 0};
  for (int64_t i = 0; i < n; i++)
    add(&s, (long double)x[i] * (long double)x[i]);
  return total(&s);
}

static long double rms_norm(const double *x, int64_t n, long double *want) {
  const long double root = sqrtl(square_sum(x, n) / (long double)n + epsilon);
  for (int64_t i = 0; i < n; i++)
    want[i] = (long double)x[i] / root;
  return largest(want, n);
}

static long double normalize(const double *x, int64_t n, long double *want, long double norm) {
  for (int64_t i = 0; i < n; i++)
    want[i] = (long double)x[i] / fmaxl(norm, epsilon);
  return largest(want, n);
}

static long double lp_normalize_1(const double *x, int64_t n, long double *want) {
  return normalize(x, n, want, size_of(x, n));
}
static long double lp_normalize_2(const double *x, int64_t n, long double *want) {
  return normalize(x, n, want, sqrtl(square_sum(x, n)));
}

//===-- The ops ---------------------------------------------------------------------===//

// A register that takes n products, or factors, in order: each rounding is worth half an eps.
static double by_length(double column, int64_t n) {
  return fmax(column, 0.5 * (double)n);
}

enum {
  IN_ROWS = 1 << ROW,
  IN_ROWS_OR_COLUMNS = 1 << ROW | 1 << COLUMN,
  ANYWHERE = 1 << ROW | 1 << COLUMN | 1 << PLANES,
  IN_COLUMNS = 1 << COLUMN,
  IN_POOLS = 1 << POOL,
  LONG = 100000,
  LONGEST = 10000000,
};

const row_op row_ops[] = {
    {"reduce_sum", "<reduce_sum x='x' axes='%s' keepdims='false' out='y'/>", ANYWHERE, false,
     LONGEST, reduce_sum, NULL, false},
    {"reduce_mean", "<reduce_mean x='x' axes='%s' keepdims='false' out='y'/>", ANYWHERE, false,
     LONGEST, reduce_mean, NULL, false},
    {"moments", "<moments x='x' axes='%s' keepdims='false' out='y, v'/>", ANYWHERE, false, LONG,
     reduce_mean, NULL, true},
    {"moments", "<moments x='x' axes='%s' keepdims='false' out='m, y'/>", ANYWHERE, false, LONG,
     variance, NULL, true},
    {"reduce_prod", "<reduce_prod x='x' axes='%s' keepdims='false' out='y'/>", ANYWHERE, false,
     LONGEST, reduce_prod, by_length, false},
    {"cumprod", "<cumprod x='x' axis='%s' out='c'/><slice x='c' axis='%s' start='-1' out='y'/>",
     IN_ROWS_OR_COLUMNS, false, LONGEST, reduce_prod, by_length, false},
    {"global_average_pool", "<global_average_pool x='x' out='y'/>", IN_POOLS, false, LONG,
     reduce_mean, NULL, false},
    {"average_pool", "<average_pool x='x' kernel_shape='%s' out='y'/>", IN_POOLS, false, LONG,
     reduce_mean, NULL, false},
    {"softmax", "<softmax x='x' axis='%s' out='y'/>", IN_ROWS_OR_COLUMNS, true, LONG, softmax, NULL,
     false},
    {"log_softmax", "<log_softmax x='x' axis='%s' out='y'/>", IN_ROWS_OR_COLUMNS, true, LONG,
     log_softmax, NULL, false},
    {"layer_norm", "<layer_norm x='x' scale='w' axis='%s' epsilon='1e-12' out='y'/>", IN_ROWS, true,
     LONG, layer_norm, NULL, true},
    {"rms_norm", "<rms_norm x='x' scale='w' axis='%s' epsilon='1e-12' out='y'/>", IN_ROWS, true,
     LONG, rms_norm, NULL, false},
    {"lp_normalize", "<lp_normalize x='x' axis='%s' p='1' epsilon='1e-12' out='y'/>",
     IN_ROWS_OR_COLUMNS, true, LONG, lp_normalize_1, NULL, false},
    {"lp_normalize", "<lp_normalize x='x' axis='%s' p='2' epsilon='1e-12' out='y'/>",
     IN_ROWS_OR_COLUMNS, true, LONG, lp_normalize_2, NULL, false},
    {"attention",
     "<fill value='0' shape='1, 1, 1, 1' out='q'/><fill value='1' shape='1, 1, %n, 1' out='k'/>"
     "<reshape x='x' shape='1, 1, %n, -1' out='v'/>"
     "<attention q='q' k='k' v='v' expect='attention' out='y'/>",
     IN_COLUMNS, false, LONG, attend_all, NULL, false},
    {"attention",
     "<fill value='0.000244140625' shape='1, 1, 1, 1' out='q'/>"
     "<range start='0' limit='%n' out='i'/><cast x='i' to='f32' out='f'/>"
     "<reshape x='f' shape='1, 1, %n, 1' out='k'/><reshape x='x' shape='1, 1, %n, -1' out='v'/>"
     "<attention q='q' k='k' v='v' expect='attention' out='y'/>",
     IN_COLUMNS, false, LONG, attend_rising, NULL, false},
    {"matmul", "<matmul a='x' b='w' out='y'/>", IN_ROWS, false, LONG, reduce_sum, by_length, false},
};
const int n_row_ops = sizeof row_ops / sizeof row_ops[0];
