// SPDX-License-Identifier: Apache-2.0
// lower/copy.h - copies of values to other layouts and buffers.
#ifndef FOVEA_LOWER_COPY_H_
#define FOVEA_LOWER_COPY_H_

#include "lower/buffers.h"

// Copies src to a buffer in another layout or buffer: axis j of src runs with
// axis perm[j] of dst (NULL: j), `shift` (optional) is added to the index of
// shift_axis of dst. What a layout pads is set to 0.
typedef struct lw_copy {
  const lw_group *group;  // optional: src may be a virtual value of it
  const fv_value *src;
  uint32_t src_buffer;  // unless there is a group
  uint32_t dst_buffer;
  fv_type dst;            // extents of the copy; layout of the destination
  const fv_type *within;  // optional: type of the whole destination, row-major
  const int *perm;
  int shift_axis;
  const fv_expr *shift;
} lw_copy;
void lw_copy_map(lw *l, const lw_copy *c);  // map.c

// pack.c: v in another layout: constants are packed at compile time, others by a
// kernel launched here (once per entry and region).
uint32_t lw_packed_buffer(lw *l, const fv_value *v, const fv_layout *layout, fv_type *out_type);

#endif  // FOVEA_LOWER_COPY_H_
