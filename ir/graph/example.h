// SPDX-License-Identifier: Apache-2.0
// ir/graph/example.h - the examples column of the op table, parsed.
//
// What runs on them: conformance cases, fuzz seeds, the pages of the op
// reference. Text borrowed from the table is not NUL-terminated.
#ifndef FOVEA_IR_GRAPH_EXAMPLE_H_
#define FOVEA_IR_GRAPH_EXAMPLE_H_

#include "ir/graph/graph.h"

typedef struct fv_example_operand {
  bool absent;     // an optional operand left out
  bool has_dtype;  // else: the element type that the case runs in
  fv_dtype dtype;
  int rank;
  int64_t dim[FV_MAX_RANK];
  int64_t limit;  // > 0: integers 0..limit-1
  bool positive;  // values must be above 0
  double scale;   // what ordinary values are multiplied by
} fv_example_operand;

typedef struct fv_example_attr {
  const char *name, *value;
  size_t name_len, value_len;
} fv_example_attr;

typedef struct fv_example {
  int n_operand, n_attr;
  fv_example_operand operand[FV_MAX_OPERANDS];
  fv_example_attr attr[FV_MAX_ATTRS];
} fv_example;

int fv_example_count(fv_op op);
// False past the end, or if the text is malformed (a bug in the table).
bool fv_example_get(fv_op op, int i, fv_example *out);

// Builds the example in g: an input a present operand (named after it), the
// node, inferred, and an output a result. `t` is the dtype of operands that
// have none of their own.
FV_NODISCARD fv_status fv_example_build(fv_graph *g, fv_op op, const fv_example *ex, fv_dtype t,
                                        fv_diag_sink *diag, fv_node **out);

#endif  // FOVEA_IR_GRAPH_EXAMPLE_H_
