// SPDX-License-Identifier: Apache-2.0
// ir/expr/dtype.h - element types: one table.
#ifndef FOVEA_IR_EXPR_DTYPE_H_
#define FOVEA_IR_EXPR_DTYPE_H_

#include "base/base.h"
#include "fovea/dtype.h"

// bool is one byte, 0 or 1. bf16 is the upper half of an f32.
const char *fv_dtype_name(fv_dtype t);
FV_CONST int fv_dtype_size(fv_dtype t);  // bytes
FV_CONST bool fv_dtype_is_float(fv_dtype t);
FV_CONST bool fv_dtype_is_int(fv_dtype t);  // signed or unsigned integer, not bool
// Is each value of `from` one of `to`, floats of floats and integers of integers? Then a cast is
// the fv_scalar itself.
FV_CONST bool fv_dtype_widens(fv_dtype from, fv_dtype to);
bool fv_dtype_find(const char *name, fv_dtype *out);
// The type in which a code generator computes: f16 and bf16 -> f32, the rest
// itself. Values are rounded to the storage type at each store only.
fv_dtype fv_dtype_compute(fv_dtype t);

#endif  // FOVEA_IR_EXPR_DTYPE_H_
