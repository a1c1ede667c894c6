// SPDX-License-Identifier: Apache-2.0
#include "base/index.h"

static int64_t of_hash(const fv_index *x, int64_t i, uint64_t hash) {
  while (i != FV_INDEX_END && x->item[i].hash != hash)
    i = x->item[i].next;
  return i;
}

int64_t fv_index_first(const fv_index *x, uint64_t hash) {
  return x->n_bucket ? of_hash(x, x->bucket[hash & (x->n_bucket - 1)], hash) : FV_INDEX_END;
}

int64_t fv_index_next(const fv_index *x, int64_t i) {
  return of_hash(x, x->item[i].next, x->item[i].hash);
}

static void link_item(fv_index *x, size_t i) {
  int64_t *head = &x->bucket[x->item[i].hash & (x->n_bucket - 1)];
  x->item[i].next = *head;
  *head = (int64_t)i;
}

void fv_index_add(fv_arena *ar, fv_index *x, uint64_t hash) {
  const fv_index_item item = {.hash = hash};
  FV_PUSH(ar, x->item, x->n, x->cap, item);
  if (x->n <= x->n_bucket) {
    link_item(x, x->n - 1);
    return;
  }
  x->n_bucket = x->n_bucket ? x->n_bucket * 2 : 16;
  x->bucket = FV_NEW_N(ar, int64_t, x->n_bucket);
  for (size_t i = 0; i < x->n_bucket; i++)
    x->bucket[i] = FV_INDEX_END;
  for (size_t i = 0; i < x->n; i++)
    link_item(x, i);
}
