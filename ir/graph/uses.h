// SPDX-License-Identifier: Apache-2.0
// ir/graph/uses.h - who uses each value of a graph.
//
// Built in one walk; changes of the graph are not followed. Uses stand in program
// order of their users, results of a region behind the nodes in it.
#ifndef FOVEA_IR_GRAPH_USES_H_
#define FOVEA_IR_GRAPH_USES_H_

#include "ir/graph/graph.h"

typedef struct fv_use {
  const struct fv_use *next;
  fv_node *node;      // whose operand `index` it is; NULL: a result of `region`
  fv_region *region;  // in which it is used
  int index;
} fv_use;

typedef struct fv_uses {
  const fv_use **first;  // by value id, NULL: unused
  uint32_t *count;       // by value id
  uint32_t n_value;
} fv_uses;

void fv_uses_build(fv_uses *u, fv_arena *ar, const fv_graph *g);

static inline const fv_use *fv_uses_of(const fv_uses *u, const fv_value *v) {
  return v->id < u->n_value ? u->first[v->id] : NULL;
}

#endif  // FOVEA_IR_GRAPH_USES_H_
