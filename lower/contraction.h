// SPDX-License-Identifier: Apache-2.0
// lower/contraction.h - which nests are sums of products, and of what.
#ifndef FOVEA_LOWER_CONTRACTION_H_
#define FOVEA_LOWER_CONTRACTION_H_

#include "lower/group.h"

// What makes a nest a contraction: sum of a * b where one axis of the result
// (the last that only b sees) runs over columns. Indices are loop numbers.
typedef struct lw_contraction {
  const fv_expr *a;       // a factor, as the nest has it
  const fv_expr *b;       // in the other: the load of the columns,
  const fv_expr *factor;  // and the factor over it (FV_NEST_ACC)
  int b_operand;          // the node's operand that holds the columns
  int col;                // parallel index of the columns
  int col_axis;           // axis of the operand
} lw_contraction;

// The loop that runs along an axis of b, and the index there when the loop is at `index`: it
// is cut where the axis may be 1 and the loop longer.
int lw_axis_loop(const fv_expr *b, int axis);
const fv_expr *lw_axis_index(fv_xpool *p, const fv_expr *b, int axis, const fv_expr *index);

bool lw_match_contraction(lw *l, const fv_node *n, lw_contraction *out);

#endif  // FOVEA_LOWER_CONTRACTION_H_
