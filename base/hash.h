// SPDX-License-Identifier: Apache-2.0
// base/hash.h - 64 and 128-bit content hashes (xxHash XXH3).
#ifndef FOVEA_BASE_HASH_H_
#define FOVEA_BASE_HASH_H_

#include "base/base.h"

uint64_t fv_hash64(const void *p, size_t n, uint64_t seed);
typedef struct fv_hash128 {
  uint64_t lo, hi;
} fv_hash128;
fv_hash128 fv_hash_bytes(const void *p, size_t n);

#endif  // FOVEA_BASE_HASH_H_
