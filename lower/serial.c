// SPDX-License-Identifier: Apache-2.0
// The family serial: ops that are given as kernel IR themselves.
#include "lower/buffers.h"
#include "lower/compose.h"

static fv_status emit(lw *l, const lw_group *g) {
  const fv_node *n = g->root;
  lw_kernel k;
  lw_kernel_begin(&k, l, g, true);
  k.kb = fv_kb_create(l->arena, l->pool, g->family->name);
  k.span = fv_node_span(n);
  // Buffers in the order that the builder counts on: operands, then results.
  for (int i = 0; i < n->n_in; i++) {
    if (!n->in[i])
      continue;
    const fv_type t = lw_value_type(l, n->in[i]);
    const lw_operand o = {.value = n->in[i],
                          .type = t,
                          .buffer = lw_value_buffer(l, n->in[i]),
                          .kbuf = fv_kb_buffer(k.kb, t.dtype, false)};
    FV_PUSH(l->arena, k.operand, k.n_operand, k.cap_operand, o);
  }
  for (int i = 0; i < n->n_out; i++) {
    const fv_type t = lw_value_type(l, n->out[i]);
    const lw_operand o = {.value = n->out[i],
                          .type = t,
                          .buffer = lw_value_buffer(l, n->out[i]),
                          .kbuf = fv_kb_buffer(k.kb, t.dtype, true)};
    FV_PUSH(l->arena, k.operand, k.n_operand, k.cap_operand, o);
  }
  n->meaning->build(n, k.kb);
  const fv_expr *grid = fv_x_i64(l->pool, 1);
  for (int i = 0; i < n->meaning->grid_rank; i++)
    grid = fv_x_mul(l->pool, grid, n->out[0]->type.dim[i]);
  lw_kernel_launch(&k, fv_op_get(n->op)->name, grid);
  return FV_OK;
}

static lw_why match(lw *l, const fv_node *n) {
  (void)l;
  return n->meaning && n->meaning->kind == FV_MEANS_KERNEL ? NULL : lw_other_kind;
}

const lw_family lw_family_serial = {.name = "serial",
                                    .match = match,
                                    .takes_nothing =
                                        "a serial kernel reads its operands from "
                                        "memory",
                                    .emit = emit};
