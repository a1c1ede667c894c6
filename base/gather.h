// SPDX-License-Identifier: Apache-2.0
// base/gather.h - elements that stand apart, one behind the other.
#ifndef FOVEA_BASE_GATHER_H_
#define FOVEA_BASE_GATHER_H_

#include <string.h>

#include "base/base.h"

// n elements of `size` bytes, `step` elements from one to the next.
static inline void fv_gather(void *to, const void *from, size_t size, size_t n, int64_t step) {
  char *out = to;
  const char *in = from;
#define FV_GATHER(bytes)                                                \
  case bytes:                                                           \
    for (size_t i = 0; i < n; i++)                                      \
      memcpy(out + i * bytes, in + (int64_t)i * step * bytes, (bytes)); \
    break
  switch (step == 1 ? 0 : size) {
    FV_GATHER(1);
    FV_GATHER(2);
    FV_GATHER(4);
    FV_GATHER(8);
  default: memcpy(out, in, n * size); break;
  }
#undef FV_GATHER
}

#endif  // FOVEA_BASE_GATHER_H_
