// SPDX-License-Identifier: Apache-2.0
// backends/opencl/print.h - kernel IR as OpenCL C 1.2.
//
// One work-item runs one block, or a work-group whose scratch is local memory. A value is a
// constant variable; one with more lanes than OpenCL has vectors for is several, its pieces. f16
// and bf16 are their bits in a ushort, bool is a uchar of 0 or 1.
#ifndef FOVEA_BACKENDS_OPENCL_PRINT_H_
#define FOVEA_BACKENDS_OPENCL_PRINT_H_

#include "fovea/kernel.h"
#include "text.h"

// Vector widths of OpenCL are 2^0 .. 2^4 (3 is not used).
enum { N_WIDTH = 5, MAX_WIDTH = 16 };

// Helper functions that the printed kernels call.
typedef struct helpers {
  bool partial_load[FV_DTYPE_COUNT][N_WIDTH];
  bool partial_store[FV_DTYPE_COUNT][N_WIDTH];
  bool divide[FV_DTYPE_COUNT];  // div, floordiv, mod of integers
  bool half[N_WIDTH], half_from_double[N_WIDTH];
  bool bfloat[N_WIDTH];
  bool bfloat_from_wide;  // rounding from i32, i64
  bool bfloat_from_double;
  bool mad32, mad64, f64;
} helpers;

typedef struct printer {
  const fv_kernel_code *k;
  text *out;
  helpers *need;
  const char *unsupported;  // the first thing that cannot be printed
  int depth;
} printer;

typedef struct piece {
  int index, count;  // which, of how many
  int start, width;  // lanes
} piece;

// The i-th piece of a value with that many lanes; false past the last.
bool piece_at(int lanes, int i, piece *out);
const char *type_name(int dtype);
const char *unsigned_name(int dtype);  // integer of the same size
const char *signed_name(int dtype);
void print_type(printer *p, int dtype, int width);
void print_value(printer *p, uint32_t v, int piece_index);
void print_const(printer *p, const fv_kinst *in, int width);
bool is_float(int dtype);  // f32, f64: what is computed with
bool is_bits(int dtype);   // f16, bf16

// print.c
void print_kernel(text *out, const fv_kernel_code *k, helpers *need, const char **unsupported);
// print_op.c: the expression of one piece of OP, CAST, BITCAST, REDUCE
void print_op(printer *p, const fv_kinst *in, const piece *at);
void print_cast(printer *p, const fv_kinst *in, const piece *at);
void print_bitcast(printer *p, const fv_kinst *in, const piece *at);
void print_reduce(printer *p, uint32_t number, const fv_kinst *in);
// print_helpers.c
void print_helpers(text *out, const helpers *need);

static inline int width_index(int width) {
  return __builtin_ctz((unsigned)width);
}

#endif  // FOVEA_BACKENDS_OPENCL_PRINT_H_
