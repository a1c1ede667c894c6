// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t fv_hash64(const void *p, size_t n, uint64_t seed) {
  return XXH3_64bits_withSeed(p, n, seed);
}

fv_hash128 fv_hash_bytes(const void *p, size_t n) {
  const XXH128_hash_t h = XXH3_128bits(p, n);
  return (fv_hash128){.lo = h.low64, .hi = h.high64};
}
