// SPDX-License-Identifier: Apache-2.0
// lower/blocking.h - the sizes of register tiles and blocks, by target.
//
// In the words of BLIS (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly
// Instantiating BLAS Functionality", 2015): a register tile has mr rows and nr
// columns; a block has mc rows, nc columns and kc steps of the sum.
#ifndef FOVEA_LOWER_BLOCKING_H_
#define FOVEA_LOWER_BLOCKING_H_

#include "lower/group.h"

// Columns of a panel, channels of a block in memory: for every target and type, since
// one packed copy of a weight serves them all.
enum { LW_PANEL = 16 };

typedef enum lw_product {
  LW_GEMM,    // many rows
  LW_GEMV,    // one row: bound by reading the columns
  LW_SCORES,  // queries by keys, and by values
} lw_product;

typedef struct lw_blocking {
  int lanes;       // of a vector
  int vectors;     // of nr
  int mr, nr;      // rows, columns of a register tile
  int kr;          // steps of k in the body of the innermost loop
  int64_t mc, nc;  // rows, columns of a block: multiples of mr and nr
  int64_t kc;      // steps of k in a block, of many rows; else all
} lw_blocking;

// k: length of the sums, `columns` of the product; -1: not known.
lw_blocking lw_blocking_of(const lw *l, lw_product product, fv_dtype compute, int64_t k,
                           int64_t columns);

#endif  // FOVEA_LOWER_BLOCKING_H_
