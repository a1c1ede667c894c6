// SPDX-License-Identifier: Apache-2.0
// base/checked.h - the only place where sizes are computed.
//
// Each function returns false on overflow and then leaves *out alone.
#ifndef FOVEA_BASE_CHECKED_H_
#define FOVEA_BASE_CHECKED_H_

#include "base/base.h"

// No tensor has more elements, no buffer more bytes than this.
#define FV_MAX_BYTES (INT64_C(1) << 46)

static inline bool fv_add_i64(int64_t a, int64_t b, int64_t *out) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r))
    return false;
  *out = r;
  return true;
}
static inline bool fv_sub_i64(int64_t a, int64_t b, int64_t *out) {
  int64_t r;
  if (__builtin_sub_overflow(a, b, &r))
    return false;
  *out = r;
  return true;
}
static inline bool fv_mul_i64(int64_t a, int64_t b, int64_t *out) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r))
    return false;
  *out = r;
  return true;
}
static inline bool fv_add_size(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_add_overflow(a, b, &r))
    return false;
  *out = r;
  return true;
}
static inline bool fv_mul_size(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_mul_overflow(a, b, &r))
    return false;
  *out = r;
  return true;
}
// Product of n dims times elem bytes; false on overflow, a negative dim, or
// more than FV_MAX_BYTES.
static inline bool fv_bytes_i64(const int64_t *dim, int n, int64_t elem, int64_t *out) {
  int64_t r = elem;
  for (int i = 0; i < n; i++)
    if (dim[i] < 0 || !fv_mul_i64(r, dim[i], &r))
      return false;
  if (r < 0 || r > FV_MAX_BYTES)
    return false;
  *out = r;
  return true;
}
// Rounds up to a multiple of align (a power of two).
static inline bool fv_align_i64(int64_t a, int64_t align, int64_t *out) {
  int64_t r;
  if (!fv_add_i64(a, align - 1, &r))
    return false;
  *out = r & ~(align - 1);
  return true;
}

#endif  // FOVEA_BASE_CHECKED_H_
