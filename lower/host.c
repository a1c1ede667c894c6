// SPDX-License-Identifier: Apache-2.0
// The host program of a graph: walks its regions in order, gives each
// materialised value a buffer, and lets the family of each group launch its kernel.
#include "lower/host.h"

#include "lower/regions.h"
#include "lower/variant.h"

//===-- States ------------------------------------------------------------------------===//

static void emit_state_write(lw *l, const fv_node *n) {
  const int64_t s = fv_attr_int(n, "state");
  const uint32_t src = lw_value_buffer(l, n->in[0]);
  const fv_lbuffer *b = &l->entry->buffer[src];
  if (b->space == FV_SPACE_STATE && b->index == (uint32_t)s && b->stride == lw_state_offset(l, n))
    return;  // it stands there already: written in place, or read
  l->out->state_doubled[s] = true;
  const uint32_t dst = lw_state_buffer(l, n, FV_SPACE_STATE_NEXT);
  lw_copy_bytes(l, dst, src, &n->in[0]->type);
}

//===-- The walk ------------------------------------------------------------------------===//

static fv_status emit_node(lw *l, fv_node *n) {
  if (n->op == FV_OP_state_write) {
    emit_state_write(l, n);
    return FV_OK;
  }
  if (n->op == FV_OP_require) {
    lw_new_inst(l, FV_H_REQUIRE, fv_node_span(n))->number = l->entry->n_required++;
    return FV_OK;
  }
  if (!n->meaning || !n->n_out)
    return FV_OK;
  const lw_group *g = l->group[n->out[0]->id];
  return g && g->root == n ? lw_emit_group(l, g) : FV_OK;
}

static fv_status emit_graph_body(lw *l, fv_graph *g) {
  lw_regions r = {0};
  fv_walk w = {.top = g->region};
  l->region = g->region;
  while (fv_walk_step(&w)) {
    switch (w.event) {
    case FV_WALK_ENTER:
      if (w.node->n_body)
        lw_begin_node(l, &r, w.node);
      else
        FV_TRY(emit_node(l, w.node));
      if (w.node->meaning)
        lw_read_defined(l, w.node);
      break;
    case FV_WALK_BEGIN: lw_begin_region(l, &r, w.region); break;
    case FV_WALK_END: lw_end_region(l, &r, w.region); break;
    default:
      if (w.node->n_body)
        lw_end_node(l, &r, w.node);
      break;
    }
  }
  return FV_OK;
}

// Outputs that a kernel can write directly get their buffer first.
static void place_ports(lw *l, fv_graph *g) {
  for (int i = 0; i < g->region->n_param; i++) {
    const fv_value *v = g->region->param[i];
    const fv_lbuffer b = {.space = FV_SPACE_INPUT,
                          .dtype = v->type.dtype,
                          .index = (uint32_t)i,
                          .name = g->input_name[i]};
    l->buffer[v->id] = lw_new_buffer(l, &b);
  }
  for (int i = 0; i < g->region->n_result; i++) {
    const fv_value *v = g->region->result[i];
    if (!lw_is_written(l, v) || v->def->region != g->region || l->buffer[v->id] != FV_NO_SLOT ||
        l->group[v->id]->family->in_place)
      continue;
    const fv_lbuffer b = {.space = FV_SPACE_OUTPUT,
                          .dtype = v->type.dtype,
                          .index = (uint32_t)i,
                          .name = g->output_name[i]};
    l->buffer[v->id] = lw_new_buffer(l, &b);
  }
}

static void copy_outputs(lw *l, fv_graph *g) {
  for (int i = 0; i < g->region->n_result; i++) {
    const fv_value *v = g->region->result[i];
    const uint32_t src = lw_value_buffer(l, v);
    const fv_lbuffer *b = &l->entry->buffer[src];
    if (b->space == FV_SPACE_OUTPUT && b->index == (uint32_t)i)
      continue;
    const fv_lbuffer out = {.space = FV_SPACE_OUTPUT,
                            .dtype = v->type.dtype,
                            .index = (uint32_t)i,
                            .name = g->output_name[i]};
    lw_copy_bytes(l, lw_new_buffer(l, &out), src, &v->type);
  }
}

fv_status lw_host_entry(lw *l, fv_graph *g) {
  l->entry->graph = g;
  l->n_packed = 0;
  l->packed_index = (fv_index){0};
  l->buffer = FV_NEW_N(l->arena, uint32_t, l->module->n_value);
  for (uint32_t i = 0; i < l->module->n_value; i++)
    l->buffer[i] = FV_NO_SLOT;
  fv_lower_ranges(l->arena, l->entry, g);
  place_ports(l, g);
  FV_TRY(emit_graph_body(l, g));
  copy_outputs(l, g);
  return lw_verify_host(l, l->entry);
}
