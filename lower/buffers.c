// SPDX-License-Identifier: Apache-2.0
// Buffers of an entry, and where the values of its graph lie.
#include "lower/buffers.h"

#include <string.h>

#include "base/hash.h"

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

const fv_expr *lw_type_bytes(lw *l, const fv_type *t) {
  return fv_x_mul(l->pool, fv_type_stored(l->pool, t), fv_x_i64(l->pool, fv_dtype_size(t->dtype)));
}

const fv_expr *lw_type_room(lw *l, const fv_type *t) {
  return fv_lower_bound(l->pool, l->entry, lw_type_bytes(l, t));
}

void lw_copy_bytes(lw *l, uint32_t dst, uint32_t src, const fv_type *t) {
  fv_linst *i = lw_new_inst(l, FV_H_COPY, NULL);
  i->a = dst;
  i->b = src;
  i->x = lw_type_bytes(l, t);
}

const fv_expr *lw_ceil_div(fv_xpool *p, const fv_expr *a, int64_t b) {
  return fv_x_floordiv(p, fv_x_add(p, a, fv_x_i64(p, b - 1)), fv_x_i64(p, b));
}

//===-- Constants and states ------------------------------------------------------===//

static uint64_t align64(uint64_t n) {
  return (n + 63) & ~(uint64_t)63;
}

// Where the elements of a tensor are, or what they are made of.
static const void *elements_of(const fv_tensor *t) {
  return t->source ? (const void *)t->source : t->data;
}

// The same bytes in the same form: equal parts of constants are not one tensor.
static bool is_constant_of(const fv_lconst *c, const fv_node *n, const fv_layout *layout) {
  const fv_type *t = &n->out[0]->type;
  if (c->n_member != n->n_data || c->type.dtype != t->dtype || c->type.rank != t->rank ||
      !fv_layout_eq(&c->type.layout, layout))
    return false;
  for (int d = 0; d < t->rank; d++)
    if (c->type.dim[d] != t->dim[d])
      return false;
  for (int i = 0; i < c->n_member; i++)
    if (elements_of(c->member[i]) != elements_of(n->data[i]))
      return false;
  return true;
}

static uint64_t constant_hash(const fv_node *n, const fv_layout *layout) {
  uint64_t h = layout->n;
  for (int i = 0; i < n->n_data; i++) {
    const void *at = elements_of(n->data[i]);
    h = fv_hash64(&at, sizeof at, h);
  }
  return h;
}

// The constant of a node's tensors in a layout; equal ones are shared.
static fv_lconst *constant_of(lw *l, const fv_node *n, const fv_layout *layout) {
  fv_lowered *o = l->out;
  const uint64_t hash = constant_hash(n, layout);
  for (int64_t i = fv_index_first(&l->constants, hash); i != FV_INDEX_END;
       i = fv_index_next(&l->constants, i))
    if (is_constant_of(&o->constant[i], n, layout))
      return &o->constant[i];
  fv_lconst c = {.member = n->data, .n_member = n->n_data, .type = n->out[0]->type};
  c.type.layout = *layout;
  int64_t stored = 0;
  FV_CHECK(l->arena, fv_x_is_lit(fv_type_stored(l->pool, &c.type), &stored));
  c.stride = align64((uint64_t)stored * (uint64_t)fv_dtype_size(c.type.dtype));
  c.offset = align64(o->const_bytes);
  o->const_bytes = c.offset + c.stride * (uint64_t)c.n_member;
  FV_PUSH(l->arena, o->constant, o->n_constant, o->cap_constant, c);
  fv_index_add(l->arena, &l->constants, hash);
  return &o->constant[o->n_constant - 1];
}

uint32_t lw_constant_buffer(lw *l, const fv_node *n, const fv_layout *layout) {
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

const fv_expr *lw_state_offset(lw *l, const fv_node *n) {
  const fv_state *state = l->module->state[fv_attr_int(n, "state")];
  if (state->members == 1)
    return NULL;
  return fv_x_mul(l->pool, fv_attr_get(n, "member")->x,
                  fv_type_member_stride(l->pool, &state->type));
}

uint32_t lw_state_buffer(lw *l, const fv_node *n, fv_space space) {
  const int64_t s = fv_attr_int(n, "state");
  const fv_state *state = l->module->state[s];
  const fv_lbuffer b = {.space = space,
                        .dtype = state->type.dtype,
                        .index = (uint32_t)s,
                        .stride = lw_state_offset(l, n),
                        .name = state->name};
  return lw_new_buffer(l, &b);
}

//===-- Values ------------------------------------------------------------------------===//

uint32_t lw_value_buffer(lw *l, const fv_value *v) {
  if (l->buffer[v->id] != FV_NO_SLOT)
    return l->buffer[v->id];
  const fv_layout row_major = {0};
  uint32_t b;
  if (v->def && v->def->op == FV_OP_constant) {
    b = lw_constant_buffer(l, v->def, &row_major);
  } else if (v->def && v->def->op == FV_OP_state_read) {
    b = lw_state_buffer(l, v->def, FV_SPACE_STATE);
  } else {
    const fv_type t = lw_value_type(l, v);
    const fv_lbuffer a = {.space = FV_SPACE_ARENA,
                          .dtype = v->type.dtype,
                          .bytes = lw_type_room(l, &t),
                          .name = v->name,
                          .span = v->def ? fv_node_span(v->def) : NULL};
    b = lw_new_buffer(l, &a);
  }
  l->buffer[v->id] = b;
  return b;
}
