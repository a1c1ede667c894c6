// SPDX-License-Identifier: Apache-2.0
// lower/contraction_tile.h - the kernel of a contraction: its register tile, and the
// copies of rows that feed it.
#ifndef FOVEA_LOWER_CONTRACTION_TILE_H_
#define FOVEA_LOWER_CONTRACTION_TILE_H_

#include "lower/blocking.h"
#include "lower/contraction.h"
#include "lower/emit.h"

// How a's rows are copied: `a` over `red`, collapsed. A block of k is `units` points
// of the outermost `n_outer` loops, each `unit` steps; units 0: all of k at once.
typedef struct lw_pack {
  lw_loops red;
  const fv_expr *a;
  const fv_expr *flat;  // k as one index, over red
  int n_outer;
  int64_t unit, units;
} lw_pack;

// The block at hand: rows lo..hi, groups of panels and, if k runs in blocks, its
// steps; the sums of the block wait in scratch for the next steps.
typedef struct lw_block {
  fv_kv row_lo, row_hi, group_lo, group_hi;
  fv_kv k_lo, k_hi, unit_lo, unit_hi;
  int64_t rows;  // that it has room for: tiles may reach past its last row
} lw_block;

typedef struct lw_tile {
  lw_kernel k;
  const lw_group *g;
  lw_contraction shape;
  lw_loops outer, rows, red;  // grid; rows (at most one loop); reduced
  uint32_t panel, column;     // indices: the columns are panel * LW_PANEL + column
  const fv_expr *col_extent, *row_extent, *k_extent;
  const fv_expr *a;               // over operands
  const fv_expr *b;               // over operands and an element of the panels, LW_BOUND
  const fv_expr *value, *offset;  // of the root, LW_BOUND without arguments
  int last_red;                   // reduced index that runs in blocks, innermost; or -1
  fv_dtype t;                     // compute type
  fv_type b_type;
  int b_operand;
  const fv_expr *b_index[FV_MAX_RANK];
  int lanes, per_panel;  // vectors of a panel
  lw_blocking size;
  int panels, max_rows;  // of the register tile
  int a_scratch, c_scratch;
  const fv_expr *a_stride;  // elements of a row in scratch
  lw_pack pack;
  lw_block at;
} lw_tile;

// Cuts k into blocks where one is too much.
void lw_plan_pack(lw_tile *c);
// Copies the rows and steps of the block at hand into scratch.
void lw_pack_rows(lw_tile *c, lw_emit *e);
// One tile of `rows` rows from row0, by a group of panels; direct: a is not in scratch.
void lw_emit_tile(lw_tile *c, lw_emit *e, int rows, fv_kv row0, fv_kv group, bool direct);

#endif  // FOVEA_LOWER_CONTRACTION_TILE_H_
