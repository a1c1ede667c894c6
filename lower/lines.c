// SPDX-License-Identifier: Apache-2.0
#include "lower/lines.h"

void lw_launch_lines(lw_kernel *k, lw_lines *s, const fv_expr *value, const fv_expr *steps,
                     lw_block_body block, void *user) {
  lw_loops rows = s->loops;
  const fv_expr *columns = s->columns ? rows.extent[--rows.n] : NULL;
  s->lanes = columns ? lw_choose_lanes(k, value, k->out_type.dtype, columns) : 1;
  const int64_t lines = lw_steps_of_block(fv_x_range(k->l->pool, steps, NULL, 0));
  const int64_t least = columns ? 4 * s->lanes : 1;  // whole cache lines
  const fv_expr *grid =
      lw_blocks(k, &rows, columns, lines < least ? least : lines / least * least, block, user);
  lw_kernel_launch(k, k->group->family->name, grid);
}

void lw_each_line(const lw_lines *s, lw_emit *e, fv_kv lo, fv_kv hi, lw_lane_body body,
                  void *user) {
  const int last = s->loops.n - 1;
  if (s->columns)
    lw_lane_loop(e, s->lanes, s->loops.index[last], lo, s->loops.extent[last], hi, body, user);
  else
    body(user, e);
}
