// SPDX-License-Identifier: Apache-2.0
// fovea/dtype.h - element types, shared by every public header.
//
// The numbers are part of the binary interface (artifacts, plugins): rows are
// appended, never reordered.
#ifndef FOVEA_DTYPE_H_
#define FOVEA_DTYPE_H_

//  X(name, size in bytes, kind: f float, i signed, u unsigned, b bool)
#define FV_DTYPE_TABLE(X) \
  X(f32, 4, 'f')          \
  X(f64, 8, 'f')          \
  X(f16, 2, 'f')          \
  X(bf16, 2, 'f')         \
  X(i8, 1, 'i')           \
  X(u8, 1, 'u')           \
  X(i16, 2, 'i')          \
  X(i32, 4, 'i')          \
  X(i64, 8, 'i')          \
  X(bool, 1, 'b')

typedef enum fv_dtype {
#define X(name, size, kind) FV_##name,
  FV_DTYPE_TABLE(X)
#undef X
      FV_DTYPE_COUNT
} fv_dtype;

enum { FV_MAX_RANK = 8 };

#endif  // FOVEA_DTYPE_H_
