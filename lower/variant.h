// SPDX-License-Identifier: Apache-2.0
// lower/variant.h - kernels in two variants, for dims that are equal or of which one is 1.
#ifndef FOVEA_LOWER_VARIANT_H_
#define FOVEA_LOWER_VARIANT_H_

#include "lower/group.h"

// Notes the dims that broadcast in the graph: equal ones are the common case.
void lw_assume_equal(lw *l, const fv_graph *g);
// The expression in the common case.
const fv_expr *lw_common(lw *l, const fv_expr *e);
// Emits the kernel of a group; twice, under a branch, where it reads dims that may be 1.
FV_NODISCARD fv_status lw_emit_group(lw *l, const lw_group *g);

#endif  // FOVEA_LOWER_VARIANT_H_
