// SPDX-License-Identifier: Apache-2.0
// lower/lines.h - kernels that do something in order within each of many lines.
//
// Blocks run over lines; lines that lie side by side in memory (columns) run over lanes.
#ifndef FOVEA_LOWER_LINES_H_
#define FOVEA_LOWER_LINES_H_

#include "lower/emit.h"

typedef struct lw_lines {
  lw_loops loops;  // one point is one line
  bool columns;    // the last of them runs over lanes
  int lanes;
} lw_lines;

// Splits the lines, each `steps` steps of work at `value`, into blocks, and launches the kernel.
void lw_launch_lines(lw_kernel *k, lw_lines *s, const fv_expr *value, const fv_expr *steps,
                     lw_block_body block, void *user);
// In a block: calls body for its line, or for its columns lo..hi.
void lw_each_line(const lw_lines *s, lw_emit *e, fv_kv lo, fv_kv hi, lw_lane_body body, void *user);

#endif  // FOVEA_LOWER_LINES_H_
