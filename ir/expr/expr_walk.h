// SPDX-License-Identifier: Apache-2.0
// ir/expr/expr_walk.h - iterative walk over the distinct nodes of an expression.
#ifndef FOVEA_IR_EXPR_EXPR_WALK_H_
#define FOVEA_IR_EXPR_EXPR_WALK_H_

#include "ir/expr/expr_pool.h"

// The nodes reached, arguments first, with a map from a node to its position.
// Small walks need no memory but this struct.
enum { FV_XWALK_LOCAL = 24, FV_XWALK_SLOTS = 64 };
#define FV_XWALK_NONE ((size_t)-1)
typedef struct fv_xwalk {
  const fv_xpool *p;
  const fv_expr **order;
  size_t n, cap;
  uint32_t *slot;  // position + 1
  size_t n_slots;
  const fv_expr *order_local[FV_XWALK_LOCAL];
  uint32_t slot_local[FV_XWALK_SLOTS];
} fv_xwalk;

void fv_xwalk_init(fv_xwalk *w, const fv_xpool *p);
// Appends the nodes below and including e in which one of the flags (FV_XF_*)
// occurs, and that are not there yet.
void fv_xwalk_postorder(fv_xwalk *w, const fv_expr *e, uint32_t flags);
size_t fv_xwalk_find(const fv_xwalk *w, const fv_expr *e);  // or FV_XWALK_NONE

#endif  // FOVEA_IR_EXPR_EXPR_WALK_H_
