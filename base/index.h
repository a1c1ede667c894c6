// SPDX-License-Identifier: Apache-2.0
// base/index.h - finds the items of a growable array by a hash of them.
//
// The array is the caller's: item i of the index stands for its element i.
//   for (int64_t i = fv_index_first(&x, h); i != FV_INDEX_END; i = fv_index_next(&x, i))
//     if (equal(&array[i], key)) ...
#ifndef FOVEA_BASE_INDEX_H_
#define FOVEA_BASE_INDEX_H_

#include "base/arena.h"

enum { FV_INDEX_END = -1 };

typedef struct fv_index_item {
  uint64_t hash;
  int64_t next;
} fv_index_item;

typedef struct fv_index {
  fv_index_item *item;
  size_t n, cap;
  int64_t *bucket;  // FV_INDEX_END: empty
  size_t n_bucket;  // a power of two, or 0
} fv_index;

int64_t fv_index_first(const fv_index *x, uint64_t hash);     // an item of this hash
int64_t fv_index_next(const fv_index *x, int64_t i);          // another one with the hash of item i
void fv_index_add(fv_arena *ar, fv_index *x, uint64_t hash);  // the item behind the last

#endif  // FOVEA_BASE_INDEX_H_
