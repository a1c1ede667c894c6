// SPDX-License-Identifier: Apache-2.0
// The memory planner: offsets in one arena from sizes and lifetimes.
#include "runtime/exec/internal.h"

// Larger first; then those that begin earlier, then by number: the same plan
// for the same items, always.
static bool before(const fv_plan_item *item, uint32_t a, uint32_t b) {
  if (item[a].bytes != item[b].bytes)
    return item[a].bytes > item[b].bytes;
  if (item[a].first != item[b].first)
    return item[a].first < item[b].first;
  return a < b;
}

static void sift(const fv_plan_item *item, uint32_t *heap, uint32_t at, uint32_t n) {
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= n)
      return;
    if (child + 1 < n && before(item, heap[child], heap[child + 1]))
      child++;
    if (!before(item, heap[at], heap[child]))
      return;
    const uint32_t t = heap[at];
    heap[at] = heap[child];
    heap[child] = t;
    at = child;
  }
}

static void sort(const fv_plan_item *item, uint32_t *order, uint32_t n) {
  for (uint32_t i = n / 2; i-- > 0;)
    sift(item, order, i, n);
  for (uint32_t i = n; i-- > 1;) {
    const uint32_t t = order[0];
    order[0] = order[i];
    order[i] = t;
    sift(item, order, 0, i);
  }
}

int64_t fv_plan_arena(fv_plan_item *item, uint32_t n, uint32_t *order) {
  uint32_t *placed = order + n;  // in order of offset
  int64_t total = 0;
  for (uint32_t i = 0; i < n; i++) {
    order[i] = i;
    if (item[i].bytes < 0 || item[i].bytes > EX_MAX_BYTES)
      return -1;
    item[i].bytes = ex_align(item[i].bytes > 0 ? item[i].bytes : 1);
  }
  sort(item, order, n);
  for (uint32_t k = 0; k < n; k++) {
    fv_plan_item *x = &item[order[k]];
    int64_t at = 0;
    for (uint32_t p = 0; p < k; p++) {
      const fv_plan_item *y = &item[placed[p]];
      if (y->last < x->first || x->last < y->first)
        continue;
      if (at + x->bytes <= y->offset)
        break;
      if (y->offset + y->bytes > at)
        at = y->offset + y->bytes;
    }
    x->offset = at;
    if (at > EX_MAX_BYTES)
      return -1;
    uint32_t p = k;
    for (; p > 0 && item[placed[p - 1]].offset > at; p--)
      placed[p] = placed[p - 1];
    placed[p] = order[k];
    if (at + x->bytes > total)
      total = at + x->bytes;
  }
  return total > EX_MAX_BYTES ? -1 : total;
}
