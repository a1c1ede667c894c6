// SPDX-License-Identifier: Apache-2.0
// lower/regions.h - nodes with regions in the host program: loops, `if`.
#ifndef FOVEA_LOWER_REGIONS_H_
#define FOVEA_LOWER_REGIONS_H_

#include "lower/buffers.h"

// The nodes around the point at hand, outermost first.
typedef struct lw_regions {
  struct lw_frame **frame;
  size_t n, cap;
} lw_regions;

// A node with regions begins, one of its regions begins and ends, it ends.
void lw_begin_node(lw *l, lw_regions *r, fv_node *n);
void lw_begin_region(lw *l, const lw_regions *r, fv_region *body);
void lw_end_region(lw *l, const lw_regions *r, const fv_region *body);
void lw_end_node(lw *l, lw_regions *r, fv_node *n);
void lw_read_defined(lw *l, const fv_node *n);  // the symbols of a node that has run

#endif  // FOVEA_LOWER_REGIONS_H_
