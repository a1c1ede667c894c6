// SPDX-License-Identifier: Apache-2.0
// What tests that hold tensors against each other share.
#ifndef FOVEA_TESTS_COMPARE_H_
#define FOVEA_TESTS_COMPARE_H_

#include "fovea/fovea.h"
#include "fovea/scalar.h"

// Distance of 1 to the next larger number.
static inline double eps_of(fv_dtype t) {
  switch (t) {
  case FV_f64: return 0x1p-52;
  case FV_f16: return 0x1p-10;
  case FV_bf16: return 0x1p-7;
  default: return 0x1p-23;
  }
}

static inline fv_scalar element(const fv_tensor_io *t, int64_t k) {
  return fv_scalar_load(t->dtype, (const char *)t->data + k * fv_dtype_size(t->dtype));
}

static inline bool same_shape(const fv_tensor_io *a, const fv_tensor_io *b) {
  bool same = a->rank == b->rank && a->dtype == b->dtype;
  for (int d = 0; same && d < a->rank; d++)
    same = a->dim[d] == b->dim[d];
  return same;
}

#endif  // FOVEA_TESTS_COMPARE_H_
