// SPDX-License-Identifier: Apache-2.0
// lower/buffers.h - buffers and instructions of the host program of an entry.
#ifndef FOVEA_LOWER_BUFFERS_H_
#define FOVEA_LOWER_BUFFERS_H_

#include "lower/group.h"

uint32_t lw_new_buffer(lw *l, const fv_lbuffer *b);
fv_linst *lw_new_inst(lw *l, fv_hop op, const fv_span *span);
// Emits both variants under a branch that the host takes by `cond` (bool over
// symbols); without a branch if cond is a literal.
void lw_either(lw *l, const fv_expr *cond, void (*yes)(lw *l, const lw_group *g),
               void (*no)(lw *l, const lw_group *g), const lw_group *g);

void lw_copy_bytes(lw *l, uint32_t dst, uint32_t src, const fv_type *t);

fv_type lw_value_type(lw *l, const fv_value *v);        // as stored
const fv_expr *lw_type_bytes(lw *l, const fv_type *t);  // as the run has it
const fv_expr *lw_type_room(lw *l, const fv_type *t);   // upper bound, known at bind
const fv_expr *lw_ceil_div(fv_xpool *p, const fv_expr *a, int64_t b);

uint32_t lw_value_buffer(lw *l, const fv_value *v);  // of a value that is not virtual
uint32_t lw_constant_buffer(lw *l, const fv_node *n, const fv_layout *layout);
// The state that a state_read or state_write names: its current or its next version.
const fv_expr *lw_state_offset(lw *l, const fv_node *n);  // of its member; NULL: there is one
uint32_t lw_state_buffer(lw *l, const fv_node *n, fv_space space);

#endif  // FOVEA_LOWER_BUFFERS_H_
