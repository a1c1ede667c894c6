// SPDX-License-Identifier: Apache-2.0
// The host program of a graph: walks its regions in order, gives each
// materialised value a buffer, lets the family of each group launch its kernel, and
// turns loop nodes into loops over swapped carry buffers.
#include "lower/host.h"

#include "lower/copy.h"

const fv_expr *fv_lower_bound(fv_xpool *p, const fv_lentry *e, const fv_expr *x) {
  for (size_t i = e->n_range; i-- > 0;)
    x = fv_x_subst_sym(p, x, e->range[i].symbol, e->range[i].hi);
  return x;
}

static void copy_bytes(lw *l, uint32_t dst, uint32_t src, const fv_type *t) {
  fv_linst *i = lw_new_inst(l, FV_H_COPY, NULL);
  fv_xpool *p = l->pool;
  i->a = dst;
  i->b = src;
  i->x = fv_x_mul(p, fv_type_stored(p, t), fv_x_i64(p, fv_dtype_size(t->dtype)));
}

//===-- States ------------------------------------------------------------------------===//

static void emit_state_write(lw *l, const fv_node *n) {
  const int64_t s = fv_attr_int(n, "state");
  const uint32_t src = lw_value_buffer(l, n->in[0]);
  const fv_lbuffer *b = &l->entry->buffer[src];
  if (b->space == FV_SPACE_STATE && b->index == (uint32_t)s)
    return;  // written in place
  l->out->state_doubled[s] = true;
  const uint32_t dst = lw_state_buffer(l, n, FV_SPACE_STATE_NEXT);
  copy_bytes(l, dst, src, &n->in[0]->type);
}

//===-- Loops -------------------------------------------------------------------------===//

typedef struct loop_frame {
  fv_node *node;
  uint32_t *cur, *next;  // per carry
  bool *direct;          // the body writes next itself
  uint32_t *collect, *slice;
  uint32_t loop_inst;
  int n_carry, n_collect;
  fv_region *outer;
} loop_frame;

static uint32_t arena_like(lw *l, const fv_type *t, const char *name) {
  const fv_lbuffer b = {
      .space = FV_SPACE_ARENA, .dtype = t->dtype, .bytes = lw_type_bytes(l, t), .name = name};
  return lw_new_buffer(l, &b);
}

// Can result i of the body be computed straight into the next carry?
static bool computes_into(const lw *l, const loop_frame *f, int i) {
  const fv_region *body = f->node->body;
  const fv_value *v = body->result[i];
  if (!v->def || v->def->region != body || !l->group[v->id] || l->group[v->id]->root != v->def ||
      l->group[v->id]->family->in_place)
    return false;
  for (int j = 0; j < i; j++)
    if (body->result[j] == v)
      return false;
  return true;
}

// The type of a collected value while the loop runs: time first.
static fv_type collected_type(const loop_frame *f, int c) {
  const fv_value *v = f->node->body->result[f->n_carry + c];
  fv_type t = v->type;
  t.rank++;
  t.dim[0] = fv_attr_get(f->node, "trips")->x;
  for (int d = 0; d < v->type.rank; d++)
    t.dim[d + 1] = v->type.dim[d];
  return t;
}

static void begin_loop(lw *l, loop_frame *f) {
  fv_node *n = f->node;
  fv_xpool *p = l->pool;
  const fv_expr *trips = fv_attr_get(n, "trips")->x;
  const int64_t count = fv_attr_int(n, "count");
  if (count >= 0) {
    const struct lw_result_symbol r = {(uint32_t)count, trips};
    FV_PUSH(l->arena, l->result, l->n_result, l->cap_result, r);
    fv_lentry *e = l->entry;
    const fv_lrange range = {(uint32_t)count, fv_x_i64(p, 0), trips};
    FV_PUSH(l->arena, e->range, e->n_range, e->cap_range, range);
  }
  f->n_carry = n->n_in;
  f->n_collect = n->body->n_result - n->n_in;
  f->cur = FV_NEW_N(l->arena, uint32_t, f->n_carry);
  f->next = FV_NEW_N(l->arena, uint32_t, f->n_carry);
  f->direct = FV_NEW_N(l->arena, bool, f->n_carry);
  f->collect = FV_NEW_N(l->arena, uint32_t, f->n_collect);
  f->slice = FV_NEW_N(l->arena, uint32_t, f->n_collect);
  for (int i = 0; i < f->n_carry; i++) {
    const fv_value *param = n->body->param[i];
    f->cur[i] = arena_like(l, &param->type, param->name);
    copy_bytes(l, f->cur[i], lw_value_buffer(l, n->in[i]), &param->type);
    l->buffer[param->id] = f->cur[i];
    f->next[i] = FV_NO_SLOT;
    if (n->body->result[i] == param)
      continue;
    f->next[i] = arena_like(l, &param->type, param->name);
    f->direct[i] = computes_into(l, f, i);
    if (f->direct[i])
      l->buffer[n->body->result[i]->id] = f->next[i];
  }
  const uint32_t counter = (uint32_t)fv_attr_int(n, "counter");
  for (int c = 0; c < f->n_collect; c++) {
    const fv_type t = collected_type(f, c);
    const fv_type *slice = &n->body->result[f->n_carry + c]->type;
    f->collect[c] = arena_like(l, &t, "collected");
    const fv_lbuffer view = {.space = FV_SPACE_VIEW,
                             .dtype = t.dtype,
                             .index = f->collect[c],
                             .stride = fv_x_mul(p, fv_x_sym(p, counter), lw_type_bytes(l, slice))};
    f->slice[c] = lw_new_buffer(l, &view);
  }
  const int64_t w = fv_attr_int(n, "while_carry");
  f->loop_inst = (uint32_t)l->entry->n_inst;
  fv_linst *i = lw_new_inst(l, FV_H_LOOP, fv_node_span(n));
  i->x = trips;
  i->symbol = counter;
  if (w >= 0)
    i->a = f->cur[w];
  f->outer = l->region;
  l->region = n->body;
}

static void end_loop(lw *l, loop_frame *f) {
  fv_node *n = f->node;
  for (int c = 0; c < f->n_collect; c++) {
    const fv_value *v = n->body->result[f->n_carry + c];
    copy_bytes(l, f->slice[c], lw_value_buffer(l, v), &v->type);
  }
  for (int i = 0; i < f->n_carry; i++)
    if (f->next[i] != FV_NO_SLOT && !f->direct[i])
      copy_bytes(l, f->next[i], lw_value_buffer(l, n->body->result[i]), &n->body->result[i]->type);
  for (int i = 0; i < f->n_carry; i++) {
    if (f->next[i] == FV_NO_SLOT)
      continue;
    fv_linst *s = lw_new_inst(l, FV_H_SWAP, NULL);
    s->a = f->cur[i];
    s->b = f->next[i];
  }
  const uint32_t end = (uint32_t)l->entry->n_inst;
  fv_linst *e = lw_new_inst(l, FV_H_END_LOOP, NULL);
  e->match = f->loop_inst;
  const int64_t count = fv_attr_int(n, "count");
  if (count >= 0)
    e->result = (uint32_t)count;
  l->entry->inst[f->loop_inst].match = end;
  l->region = f->outer;
  for (int i = 0; i < f->n_carry; i++)
    l->buffer[n->out[i]->id] = f->cur[i];
  const int64_t *axes = fv_attr_get(n, "collect_axes")->ints;
  for (int c = 0; c < f->n_collect; c++) {
    const fv_value *out = n->out[f->n_carry + c];
    const int64_t axis = axes[c] < 0 ? axes[c] + out->type.rank : axes[c];
    if (axis == 0) {
      l->buffer[out->id] = f->collect[c];
      continue;
    }
    fv_value *src = FV_NEW(l->arena, fv_value);
    src->type = collected_type(f, c);
    int perm[FV_MAX_RANK];
    perm[0] = (int)axis;
    for (int d = 1; d < src->type.rank; d++)
      perm[d] = d <= axis ? d - 1 : d;
    const lw_copy copy = {.src = src,
                          .src_buffer = f->collect[c],
                          .dst_buffer = lw_value_buffer(l, out),
                          .dst = out->type,
                          .perm = perm};
    lw_copy_map(l, &copy);
  }
}

//===-- The walk ------------------------------------------------------------------------===//

static fv_status emit_node(lw *l, fv_node *n) {
  if (n->op == FV_OP_state_write) {
    emit_state_write(l, n);
    return FV_OK;
  }
  if (!n->meaning || !n->n_out)
    return FV_OK;
  const lw_group *g = l->group[n->out[0]->id];
  return g && g->root == n ? g->family->emit(l, g) : FV_OK;
}

static fv_status emit_graph_body(lw *l, fv_graph *g) {
  loop_frame *stack = NULL;
  size_t n_stack = 0, cap = 0;
  fv_node *n = g->region->first;
  l->region = g->region;
  for (;;) {
    if (!n) {
      if (!n_stack)
        return FV_OK;
      loop_frame *f = &stack[--n_stack];
      end_loop(l, f);
      n = f->node->next;
      continue;
    }
    if (n->op == FV_OP_loop) {
      const loop_frame f = {.node = n};
      FV_PUSH(l->arena, stack, n_stack, cap, f);
      begin_loop(l, &stack[n_stack - 1]);
      n = n->body->first;
      continue;
    }
    FV_TRY(emit_node(l, n));
    n = n->next;
  }
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
    const lw_group *gr = v->def ? l->group[v->id] : NULL;
    if (!gr || gr->root != v->def || v->def->region != g->region ||
        l->buffer[v->id] != FV_NO_SLOT || gr->family->in_place)
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
    copy_bytes(l, lw_new_buffer(l, &out), src, &v->type);
  }
}

fv_status lw_host_entry(lw *l, fv_graph *g) {
  l->entry->graph = g;
  l->n_packed = 0;
  l->packed_index = (fv_index){0};
  l->n_result = 0;
  l->buffer = FV_NEW_N(l->arena, uint32_t, l->module->n_value);
  for (uint32_t i = 0; i < l->module->n_value; i++)
    l->buffer[i] = FV_NO_SLOT;
  place_ports(l, g);
  FV_TRY(emit_graph_body(l, g));
  copy_outputs(l, g);
  return lw_verify_host(l, l->entry);
}
