// SPDX-License-Identifier: Apache-2.0
#include "lower/blocking.h"

#include "lower/emit.h"

// The first row of a product whose registers the target has.
typedef struct row {
  lw_product product;
  uint32_t registers;   // at least
  int nr, most_mr, kr;  // most_mr: more gain nothing, and LLVM starts to spill
  int mc_tiles, nc_tiles;
} row;

static const row rows[] = {
    {LW_GEMM, 32, .nr = 32, .most_mr = 12, .kr = 4, .mc_tiles = 16, .nc_tiles = 32},
    {LW_GEMM, 0, .nr = 16, .most_mr = 12, .kr = 4, .mc_tiles = 16, .nc_tiles = 32},
    {LW_GEMV, 32, .nr = 64, .most_mr = 1, .kr = 4, .mc_tiles = 1, .nc_tiles = 1},
    {LW_GEMV, 0, .nr = 32, .most_mr = 1, .kr = 4, .mc_tiles = 1, .nc_tiles = 1},
    {LW_SCORES, 32, .nr = 32, .most_mr = 12, .kr = 4, .mc_tiles = 8, .nc_tiles = 4},
    {LW_SCORES, 0, .nr = 16, .most_mr = 12, .kr = 4, .mc_tiles = 8, .nc_tiles = 4},
};

static const row *row_of(const lw *l, lw_product product) {
  const row *r = rows;
  while (r->product != product || r->registers > l->target->registers)
    r++;
  return r;
}

// Accumulators of mr rows, nr columns of one operand, one value of the other, one
// to load ahead.
static int rows_that_fit(const lw *l, const row *r, int vectors) {
  const int mr = ((int)l->target->registers - 2 - vectors) / vectors;
  return mr < 1 ? 1 : mr > r->most_mr ? r->most_mr : mr;
}

static int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Steps of k such that the columns of a tile fill half of the first cache, where
// they stay while the rows of a block pass.
static int64_t steps_that_fit(const lw *l, int nr, int size) {
  const int64_t steps = (int64_t)(l->target->l1_bytes / 2) / (nr * size);
  return steps < LW_PANEL ? LW_PANEL : steps / LW_PANEL * LW_PANEL;
}

// Tiles of rows whose packed copies, padded by a line, fill half of the second cache.
static int tiles_that_fit(const lw *l, const row *r, int mr, int64_t k, int size) {
  const int64_t bytes = mr * (k + LW_PANEL) * size;
  const int64_t tiles = (int64_t)(l->target->l2_bytes / 2) / bytes;
  return tiles < 1 ? 1 : tiles > r->mc_tiles ? r->mc_tiles : (int)tiles;
}

lw_blocking lw_blocking_of(const lw *l, lw_product product, fv_dtype compute, int64_t k,
                           int64_t columns) {
  const row *r = row_of(l, product);
  lw_blocking b = {.lanes = lw_lanes(l, compute), .nr = r->nr, .kr = r->kr};
  if (columns >= 0 && columns <= LW_PANEL)
    b.nr = LW_PANEL;
  b.vectors = b.nr / b.lanes;
  b.mr = rows_that_fit(l, r, b.vectors);
  const int size = fv_dtype_size(compute);
  b.kc = product == LW_GEMM ? steps_that_fit(l, b.nr, size) : k < 0 ? 1024 : k;
  if (k > b.kc)  // blocks of the same size, nearly
    b.kc = (ceil_div(ceil_div(k, ceil_div(k, b.kc)), LW_PANEL)) * LW_PANEL;
  b.mc = (int64_t)b.mr * tiles_that_fit(l, r, b.mr, k >= 0 && k < b.kc ? k : b.kc, size);
  b.nc = (int64_t)b.nr * r->nc_tiles;
  return b;
}
