// SPDX-License-Identifier: Apache-2.0
// lower/map.h - what the generic schedule does for other families.
#ifndef FOVEA_LOWER_MAP_H_
#define FOVEA_LOWER_MAP_H_

#include "lower/emit.h"

// Makes the result of g's root by a map or reduction over its operands that need not be its own.
fv_status lw_map_nest(lw *l, const lw_group *g, const fv_nest *t);
// Fails the run where the condition does not hold; the text is that of the root's nest.
void lw_emit_check(lw_emit *e, const fv_expr *check);

#endif  // FOVEA_LOWER_MAP_H_
