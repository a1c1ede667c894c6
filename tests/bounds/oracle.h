// SPDX-License-Identifier: Apache-2.0
// tests/bounds/oracle.h - what ops that sum over rows should give, in long double.
//
// Written from the definitions of the ops, sharing nothing with the evaluator.
#ifndef FOVEA_TESTS_BOUNDS_ORACLE_H_
#define FOVEA_TESTS_BOUNDS_ORACLE_H_

#include <stdbool.h>
#include <stdint.h>

// How the rows of n numbers lie in x.
typedef enum row_layout {
  ROW,     // [rows, n]
  COLUMN,  // [n, rows]
  PLANES,  // [a, rows, b], n = a * b
  POOL,    // [1, rows, a, b]
  N_LAYOUT
} row_layout;

typedef struct row_op {
  const char *op;
  const char *xml;   // with the reduced axes as %s, and the number of elements as %n
  unsigned layouts;  // set
  bool keeps_row;    // the result is a row, too
  int64_t max;       // longest row worth its time
  // Fills want[0] or want[0..n); returns by what an eps is to be multiplied.
  long double (*want)(const double *x, int64_t n, long double *want);
  // The bound that the doc of the op states for n terms, in eps, if the table's column is
  // that for short rows; else NULL.
  double (*bound)(double column, int64_t n);
  bool gives_repeated;  // of a row of one repeated value the result is exact
} row_op;

extern const row_op row_ops[];
extern const int n_row_ops;

#endif  // FOVEA_TESTS_BOUNDS_ORACLE_H_
