// SPDX-License-Identifier: Apache-2.0
// The host program of a graph: walks its regions in order, gives each
// materialised value a buffer, launches the kernel of each group, and turns
// loop nodes into loops over swapped carry buffers.
#include <string.h>

#include "lower/internal.h"

uint32_t lw_new_buffer(lw *l, const fv_lbuffer *b) {
  fv_lentry *e = l->entry;
  FV_PUSH(l->arena, e->buffer, e->n_buffer, e->cap_buffer, *b);
  return (uint32_t)(e->n_buffer - 1);
}

fv_linst *lw_new_inst(lw *l, fv_hop op, const fv_span *span) {
  fv_lentry *e = l->entry;
  const fv_linst i = {.op = op, .span = span, .result = FV_NO_SLOT, .a = FV_NO_SLOT};
  FV_PUSH(l->arena, e->inst, e->n_inst, e->cap_inst, i);
  return &e->inst[e->n_inst - 1];
}

void lw_either(lw *l, const fv_expr *cond, void (*yes)(lw *l, const lw_group *g),
               void (*no)(lw *l, const lw_group *g), const lw_group *g) {
  int64_t known;
  if (fv_x_is_lit(cond, &known)) {
    (known ? yes : no)(l, g);
    return;
  }
  const size_t first = l->entry->n_inst;
  lw_new_inst(l, FV_H_IF, NULL)->x = cond;
  yes(l, g);
  const size_t jump = l->entry->n_inst;
  lw_new_inst(l, FV_H_IF, NULL)->x = fv_x_lit_i(l->pool, FV_bool, 0);
  l->entry->inst[first].match = (uint32_t)l->entry->n_inst;
  no(l, g);
  l->entry->inst[jump].match = (uint32_t)l->entry->n_inst;
}

fv_type lw_value_type(lw *l, const fv_value *v) {
  fv_type t = v->type;
  if (l->layout && v->def && v->id < l->n_value)
    t.layout = l->layout[v->id];
  return t;
}

// Symbols that a loop defines are replaced by their bounds.
const fv_expr *lw_type_bytes(lw *l, const fv_type *t) {
  fv_xpool *p = l->pool;
  const fv_expr *x = fv_x_mul(p, fv_type_stored(p, t), fv_x_i64(p, fv_dtype_size(t->dtype)));
  for (size_t i = l->n_result; i-- > 0;)
    x = fv_x_subst_sym(p, x, l->result[i].symbol, l->result[i].bound);
  return x;
}

//===-- Constants and states ------------------------------------------------------===//

static uint64_t align64(uint64_t n) {
  return (n + 63) & ~(uint64_t)63;
}

// The constant of a node's tensors in a layout; equal ones are shared.
static fv_lconst *constant_of(lw *l, const fv_node *n, const fv_layout *layout) {
  fv_lowered *o = l->out;
  for (size_t i = 0; i < o->n_constant; i++) {
    fv_lconst *c = &o->constant[i];
    if (c->n_member == n->n_data &&
        memcmp(c->member, n->data, sizeof *n->data * (size_t)n->n_data) == 0 &&
        fv_layout_eq(&c->type.layout, layout))
      return c;
  }
  fv_lconst c = {.member = n->data, .n_member = n->n_data, .type = n->out[0]->type};
  c.type.layout = *layout;
  int64_t stored = 0;
  FV_CHECK(l->arena, fv_x_is_lit(fv_type_stored(l->pool, &c.type), &stored));
  c.stride = align64((uint64_t)stored * (uint64_t)fv_dtype_size(c.type.dtype));
  c.offset = align64(o->const_bytes);
  o->const_bytes = c.offset + c.stride * (uint64_t)c.n_member;
  FV_PUSH(l->arena, o->constant, o->n_constant, o->cap_constant, c);
  return &o->constant[o->n_constant - 1];
}

static uint32_t constant_buffer(lw *l, const fv_node *n, const fv_layout *layout) {
  const fv_lconst *c = constant_of(l, n, layout);
  fv_lbuffer b = {.space = FV_SPACE_CONST,
                  .dtype = c->type.dtype,
                  .offset = c->offset,
                  .name = n->data[0]->name};
  if (c->n_member > 1)
    b.stride =
        fv_x_mul(l->pool, fv_attr_get(n, "member")->x, fv_x_i64(l->pool, (int64_t)c->stride));
  return lw_new_buffer(l, &b);
}

static uint32_t state_buffer(lw *l, const fv_node *n, fv_space space) {
  const int64_t s = fv_attr_int(n, "state");
  const fv_state *state = l->module->state[s];
  fv_xpool *p = l->pool;
  fv_lbuffer b = {
      .space = space, .dtype = state->type.dtype, .index = (uint32_t)s, .name = state->name};
  if (state->members > 1) {
    const fv_expr *bytes = lw_type_bytes(l, &state->type);
    b.stride = fv_x_mul(p, fv_attr_get(n, "member")->x,
                        fv_x_mul(p, lw_ceil_div(p, bytes, 64), fv_x_i64(p, 64)));
  }
  return lw_new_buffer(l, &b);
}

//===-- Values ------------------------------------------------------------------------===//

uint32_t lw_value_buffer(lw *l, const fv_value *v) {
  if (l->buffer[v->id] != FV_NO_SLOT)
    return l->buffer[v->id];
  const fv_layout row_major = {0};
  uint32_t b;
  if (v->def && v->def->op == FV_OP_constant) {
    b = constant_buffer(l, v->def, &row_major);
  } else if (v->def && v->def->op == FV_OP_state_read) {
    b = state_buffer(l, v->def, FV_SPACE_STATE);
  } else {
    const fv_type t = lw_value_type(l, v);
    const fv_lbuffer a = {.space = FV_SPACE_ARENA,
                          .dtype = v->type.dtype,
                          .bytes = lw_type_bytes(l, &t),
                          .name = v->name};
    b = lw_new_buffer(l, &a);
  }
  l->buffer[v->id] = b;
  return b;
}

uint32_t lw_packed_buffer(lw *l, const fv_value *v, const fv_layout *layout, fv_type *out_type) {
  *out_type = v->type;
  out_type->layout = *layout;
  for (size_t i = 0; i < l->n_packed; i++)
    if (l->packed[i].value == v && l->packed[i].region == l->region &&
        fv_layout_eq(&l->packed[i].layout, layout))
      return l->packed[i].buffer;
  struct lw_packed e = {.value = v, .layout = *layout, .region = l->region};
  if (v->def && v->def->op == FV_OP_constant) {
    e.buffer = constant_buffer(l, v->def, layout);
  } else {
    const fv_lbuffer a = {.space = FV_SPACE_ARENA,
                          .dtype = v->type.dtype,
                          .bytes = lw_type_bytes(l, out_type),
                          .name = v->name};
    e.buffer = lw_new_buffer(l, &a);
    const lw_copy c = {
        .src = v, .src_buffer = lw_value_buffer(l, v), .dst_buffer = e.buffer, .dst = *out_type};
    lw_copy_map(l, &c);
  }
  FV_PUSH(l->arena, l->packed, l->n_packed, l->cap_packed, e);
  return e.buffer;
}

static void copy_bytes(lw *l, uint32_t dst, uint32_t src, const fv_type *t) {
  fv_linst *i = lw_new_inst(l, FV_H_COPY, NULL);
  fv_xpool *p = l->pool;
  i->a = dst;
  i->b = src;
  i->x = fv_x_mul(p, fv_type_stored(p, t), fv_x_i64(p, fv_dtype_size(t->dtype)));
}

//===-- States ------------------------------------------------------------------------===//

bool lw_in_place(const lw *l, const fv_node *n, const fv_node **out_read) {
  if (n->op != FV_OP_tensor_scatter || !n->in[0]->def || n->in[0]->def->op != FV_OP_state_read)
    return false;
  const fv_node *read = n->in[0]->def;
  for (const fv_node *w = n->next; w; w = w->next)
    if (w->op == FV_OP_state_write && w->in[0] == n->out[0] &&
        fv_attr_int(w, "state") == fv_attr_int(read, "state") &&
        fv_attr_get(w, "member")->x == fv_attr_get(read, "member")->x) {
      *out_read = read;
      return l->uses[n->in[0]->id] == 1;
    }
  return false;
}

static void emit_scatter(lw *l, const fv_node *n, const fv_node *read) {
  fv_xpool *p = l->pool;
  const fv_value *update = n->in[1];
  const uint32_t b = state_buffer(l, read, FV_SPACE_STATE);
  int axis = (int)fv_attr_int(n, "axis");
  axis = axis < 0 ? axis + update->type.rank : axis;
  const fv_expr *position = fv_attr_get(n, "position")->x;
  fv_linst *check = lw_new_inst(l, FV_H_CHECK, fv_node_span(n));
  const fv_expr *end = fv_x_add(p, position, update->type.dim[axis]);
  check->x = fv_x_op(p, FV_X_LE, end, n->out[0]->type.dim[axis], NULL);
  check->text = "tensor_scatter: position is out of range";
  const lw_copy c = {.src = update,
                     .src_buffer = lw_value_buffer(l, update),
                     .dst_buffer = b,
                     .dst = update->type,
                     .within = &n->out[0]->type,
                     .shift_axis = axis,
                     .shift = position};
  lw_copy_map(l, &c);
  l->buffer[n->out[0]->id] = b;
}

static void emit_state_write(lw *l, const fv_node *n) {
  const int64_t s = fv_attr_int(n, "state");
  const uint32_t src = lw_value_buffer(l, n->in[0]);
  const fv_lbuffer *b = &l->entry->buffer[src];
  if (b->space == FV_SPACE_STATE && b->index == (uint32_t)s)
    return;  // written in place
  l->out->state_doubled[s] = true;
  const uint32_t dst = state_buffer(l, n, FV_SPACE_STATE_NEXT);
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
  const fv_node *read;
  if (!v->def || v->def->region != body || !l->group[v->id] || l->group[v->id]->root != v->def ||
      lw_in_place(l, v->def, &read))
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
  const fv_node *read;
  if (n->op == FV_OP_state_write) {
    emit_state_write(l, n);
    return FV_OK;
  }
  if (!n->meaning || !n->n_out)
    return FV_OK;
  const lw_group *g = l->group[n->out[0]->id];
  if (!g || g->root != n)
    return FV_OK;
  if (lw_in_place(l, n, &read)) {
    emit_scatter(l, n, read);
    return FV_OK;
  }
  switch (g->family) {
  case LW_MAP:
  case LW_ROW: return lw_map(l, g);
  case LW_CONTRACTION: return lw_contraction(l, g);
  case LW_ATTENTION: return lw_attention(l, g);
  case LW_KERNEL: return lw_serial(l, g);
  }
  return FV_OK;
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
    const fv_node *read;
    const lw_group *gr = v->def ? l->group[v->id] : NULL;
    if (!gr || gr->root != v->def || v->def->region != g->region ||
        l->buffer[v->id] != FV_NO_SLOT || lw_in_place(l, v->def, &read))
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
  l->n_result = 0;
  l->buffer = FV_NEW_N(l->arena, uint32_t, l->module->n_value);
  for (uint32_t i = 0; i < l->module->n_value; i++)
    l->buffer[i] = FV_NO_SLOT;
  place_ports(l, g);
  FV_TRY(emit_graph_body(l, g));
  copy_outputs(l, g);
  return FV_OK;
}
