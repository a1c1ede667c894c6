// SPDX-License-Identifier: Apache-2.0
// tools/values.h - elements of tensors: sizes, conversion, text.
#ifndef FOVEA_TOOLS_VALUES_H_
#define FOVEA_TOOLS_VALUES_H_

#include "base/str.h"
#include "fovea/fovea.h"

const char *dtype_name(fv_dtype t);
int64_t dtype_size(fv_dtype t);
bool dtype_is_float(fv_dtype t);

int64_t tensor_count(const fv_tensor_io *t);
int64_t tensor_bytes(const fv_tensor_io *t);
void put_shape(fv_str *s, int rank, const int64_t *dim);  // "[2, 384]"
void put_type(fv_str *s, const fv_tensor_io *t);          // "f32[2, 384]"

// Element i. Floats of fewer bits are rounded to nearest, half to even.
double value_get(const fv_tensor_io *t, int64_t i);
int64_t value_get_int(const fv_tensor_io *t, int64_t i);  // of integers and bools
void value_set(fv_dtype t, void *data, int64_t i, double v);
void value_set_int(fv_dtype t, void *data, int64_t i, int64_t v);
// Whether an integer type holds v.
bool value_fits(fv_dtype t, int64_t v);
// Whether v, when it is finite, stays so in a float type.
bool value_holds(fv_dtype t, double v);
void put_value(fv_str *s, const fv_tensor_io *t, int64_t i);
// As JSON: numbers with all their digits.
void put_json_value(fv_str *s, const fv_tensor_io *t, int64_t i);

#endif  // FOVEA_TOOLS_VALUES_H_
