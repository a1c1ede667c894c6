// SPDX-License-Identifier: Apache-2.0
// tests/scale/models.h - models of any size, as XML.
#ifndef FOVEA_TESTS_SCALE_MODELS_H_
#define FOVEA_TESTS_SCALE_MODELS_H_

#include "base/str.h"
#include "ir/graph/graph.h"

// n nodes of `op` in each shape that its operands allow: a chain, each of the last; a
// ladder, each of the last two; a fan, all of one value. From the op's examples; false: its
// result cannot be its operand.
bool model_of_op(fv_arena *ar, fv_op op, int n, fv_str *out);

// Models that no single op makes.
typedef struct special_model {
  const char *name;
  void (*write)(fv_str *out, int n);
} special_model;
extern const special_model special_models[];  // ends with a NULL name

#endif  // FOVEA_TESTS_SCALE_MODELS_H_
