// SPDX-License-Identifier: Apache-2.0
// ir/graph/loop.h - what holds in all trips of a loop.
//
// A loop is a node with the attributes `trips` and `counter`; its body need not be whole yet.
#ifndef FOVEA_IR_GRAPH_LOOP_H_
#define FOVEA_IR_GRAPH_LOOP_H_

#include "ir/graph/graph.h"

// An i64 expression lies in lo..hi, inclusive.
typedef struct fv_bounds {
  const fv_expr *lo, *hi;
} fv_bounds;

// Widens the bounds to those that hold in all trips; they no longer name the counter. False where
// there are none.
bool fv_loop_widen(const fv_node *loop, fv_bounds *b);
// e counts the trips of a loop that makes none: it never has a value.
bool fv_loop_never_reaches(const fv_node *loop, const fv_expr *e);

// Has each trip an interval of its own, above that of the trip before or below it? Proved.
bool fv_loop_apart(const fv_node *loop, fv_bounds b);

// By number: the symbols that have a value in the regions of a node alone, so in each trip of a
// loop another one: its counter, and what nodes in its body define.
const bool *fv_symbols_inside(fv_arena *ar, const fv_node *owner);
bool fv_x_uses_symbols(fv_xpool *p, const fv_expr *e, const bool *symbol);

#endif  // FOVEA_IR_GRAPH_LOOP_H_
