// SPDX-License-Identifier: Apache-2.0
// ir/graph/divisible.h - conditions like mod(e, c) == 0, c a number, and what follows from them.
#ifndef FOVEA_IR_GRAPH_DIVISIBLE_H_
#define FOVEA_IR_GRAPH_DIVISIBLE_H_

#include "ir/graph/graph.h"

// The graph keeps c in mind, if it is one.
void fv_note_divisible(fv_graph *g, const fv_condition *c);
// Does a relation of a and b follow? e/c*c is e, and so on for the divisors of c.
fv_truth fv_follows_divisible(fv_graph *g, fv_relation r, const fv_expr *a, const fv_expr *b);

#endif  // FOVEA_IR_GRAPH_DIVISIBLE_H_
