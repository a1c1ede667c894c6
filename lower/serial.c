// SPDX-License-Identifier: Apache-2.0
// The family serial: ops that are given as kernel IR themselves.
#include "lower/internal.h"

fv_status lw_serial(lw *l, const lw_group *g) {
  const fv_node *n = g->root;
  lw_kernel k;
  lw_kernel_begin(&k, l, g, true);
  k.kb = fv_kb_create(l->arena, l->pool, lw_family_name(g->family));
  k.span = fv_node_span(n);
  // Buffers in the order that the builder counts on: operands, then results.
  for (int i = 0; i < n->n_in; i++) {
    if (!n->in[i])
      continue;
    const fv_type t = lw_value_type(l, n->in[i]);
    lw_operand *o = &k.operand[k.n_operand++];
    *o = (lw_operand){.value = n->in[i], .type = t, .buffer = lw_value_buffer(l, n->in[i])};
    o->kbuf = fv_kb_buffer(k.kb, t.dtype, false);
  }
  for (int i = 0; i < n->n_out; i++) {
    const fv_type t = lw_value_type(l, n->out[i]);
    lw_operand *o = &k.operand[k.n_operand++];
    *o = (lw_operand){.value = n->out[i], .type = t, .buffer = lw_value_buffer(l, n->out[i])};
    o->kbuf = fv_kb_buffer(k.kb, t.dtype, true);
  }
  n->meaning->build(n, k.kb);
  const fv_expr *grid = fv_x_i64(l->pool, 1);
  for (int i = 0; i < n->meaning->grid_rank; i++)
    grid = fv_x_mul(l->pool, grid, n->out[0]->type.dim[i]);
  lw_kernel_launch(&k, fv_op_get(n->op)->name, grid);
  return FV_OK;
}
