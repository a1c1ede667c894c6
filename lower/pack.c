// SPDX-License-Identifier: Apache-2.0
// Copies of values in the layouts that kernels ask for.
#include "base/hash.h"
#include "lower/copy.h"

struct lw_packed {
  const fv_value *value;
  fv_layout layout;
  const fv_region *region;  // in which the copy is made
  uint32_t buffer;
};

uint32_t lw_packed_buffer(lw *l, const fv_value *v, const fv_layout *layout, fv_type *out_type) {
  *out_type = v->type;
  out_type->layout = *layout;
  const uint64_t hash = fv_hash64(&v->id, sizeof v->id, 0);
  for (int64_t i = fv_index_first(&l->packed_index, hash); i != FV_INDEX_END;
       i = fv_index_next(&l->packed_index, i)) {
    const struct lw_packed *p = &l->packed[i];
    if (p->value == v && p->region == l->region && fv_layout_eq(&p->layout, layout))
      return p->buffer;
  }
  struct lw_packed e = {.value = v, .layout = *layout, .region = l->region};
  if (v->def && v->def->op == FV_OP_constant) {
    e.buffer = lw_constant_buffer(l, v->def, layout);
  } else {
    const fv_lbuffer a = {.space = FV_SPACE_ARENA,
                          .dtype = v->type.dtype,
                          .bytes = lw_type_room(l, out_type),
                          .name = v->name,
                          .span = v->def ? fv_node_span(v->def) : NULL};
    e.buffer = lw_new_buffer(l, &a);
    const lw_copy c = {
        .src = v, .src_buffer = lw_value_buffer(l, v), .dst_buffer = e.buffer, .dst = *out_type};
    lw_copy_map(l, &c);
  }
  FV_PUSH(l->arena, l->packed, l->n_packed, l->cap_packed, e);
  fv_index_add(l->arena, &l->packed_index, hash);
  return e.buffer;
}
