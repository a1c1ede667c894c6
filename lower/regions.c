// SPDX-License-Identifier: Apache-2.0
// Nodes with regions in the host program: a loop runs over carry buffers that
// change places, an `if` jumps over the arm that is not taken.
#include "lower/regions.h"

#include "lower/copy.h"

//===-- Frames ------------------------------------------------------------------------===//

typedef struct lw_frame {
  fv_node *node;
  fv_region *outer;
  // Loop:
  uint32_t *cur, *next;  // per carry
  bool *direct;          // the body writes next itself
  uint32_t *collect, *slice;
  uint32_t loop_inst, condition;  // condition: symbol, or FV_NO_SLOT
  int n_carry, n_collect;
  // If: the jump over the arm at hand.
  size_t jump;
} lw_frame;

static uint32_t arena_like(lw *l, const fv_node *n, const fv_type *t, const char *name) {
  const fv_lbuffer b = {.space = FV_SPACE_ARENA,
                        .dtype = t->dtype,
                        .bytes = lw_type_room(l, t),
                        .name = name,
                        .span = fv_node_span(n)};
  return lw_new_buffer(l, &b);
}

// Can result i of a body be computed straight into a buffer of type `to` that its kernel is given?
// Where only a check at the body's end says that its dims are those, it has a buffer of its own.
static bool computes_into(const lw *l, const fv_region *body, int i, const fv_type *to) {
  const fv_value *v = body->result[i];
  for (int d = 0; to && d < to->rank; d++)
    if (v->type.dim[d] != to->dim[d])
      return false;
  if (!lw_is_written(l, v) || v->def->region != body || l->group[v->id]->family->in_place)
    return false;
  for (int j = 0; j < i; j++)
    if (body->result[j] == v)
      return false;
  return true;
}

// A symbol of the run for a bool that the host must know.
static uint32_t flag_symbol(lw *l) {
  return fv_symbol_add(l->pool, "flag.run", 0, 1, FV_SYM_RESULT);
}

static fv_linst *read_symbol(lw *l, uint32_t symbol, uint32_t buffer, const fv_expr *max,
                             const fv_span *span, const char *text) {
  fv_linst *i = lw_new_inst(l, FV_H_READ, span);
  i->symbol = symbol;
  i->a = buffer;
  i->x = max;
  i->text = text;
  return i;
}

static void read_flag(lw *l, uint32_t symbol, uint32_t buffer, const fv_span *span) {
  read_symbol(l, symbol, buffer, fv_x_i64(l->pool, 1), span, "a condition is no bool");
}

void lw_read_defined(lw *l, const fv_node *n) {
  for (int i = 0; i < n->meaning->n_defined; i++) {
    const fv_defined *d = &n->meaning->defined[i];
    fv_linst *read = read_symbol(l, d->symbol, lw_value_buffer(l, n->out[d->result]), d->max,
                                 fv_node_span(n), d->text);
    read->range = d->range;
  }
}

//===-- Loops -------------------------------------------------------------------------===//

// The type of a collected value while the loop runs: time first.
static fv_type collected_type(const lw_frame *f, int c) {
  const fv_value *v = f->node->body[0]->result[f->n_carry + c];
  fv_type t = v->type;
  t.rank++;
  t.dim[0] = fv_attr_get(f->node, "trips")->x;
  for (int d = 0; d < v->type.rank; d++)
    t.dim[d + 1] = v->type.dim[d];
  return t;
}

static void begin_loop(lw *l, lw_frame *f) {
  fv_node *n = f->node;
  fv_xpool *p = l->pool;
  const fv_expr *trips = fv_attr_get(n, "trips")->x;
  f->n_carry = n->n_in;
  f->n_collect = n->body[0]->n_result - n->n_in;
  f->cur = FV_NEW_N(l->arena, uint32_t, f->n_carry);
  f->next = FV_NEW_N(l->arena, uint32_t, f->n_carry);
  f->direct = FV_NEW_N(l->arena, bool, f->n_carry);
  f->collect = FV_NEW_N(l->arena, uint32_t, f->n_collect);
  f->slice = FV_NEW_N(l->arena, uint32_t, f->n_collect);
  for (int i = 0; i < f->n_carry; i++) {
    const fv_value *param = n->body[0]->param[i];
    f->cur[i] = arena_like(l, n, &param->type, param->name);
    lw_copy_bytes(l, f->cur[i], lw_value_buffer(l, n->in[i]), &param->type);
    l->buffer[param->id] = f->cur[i];
    f->next[i] = FV_NO_SLOT;
    if (n->body[0]->result[i] == param)
      continue;
    f->next[i] = arena_like(l, n, &param->type, param->name);
    f->direct[i] = computes_into(l, n->body[0], i, &param->type);
    if (f->direct[i])
      l->buffer[n->body[0]->result[i]->id] = f->next[i];
  }
  const uint32_t counter = (uint32_t)fv_attr_int(n, "counter");
  for (int c = 0; c < f->n_collect; c++) {
    const fv_type t = collected_type(f, c);
    const fv_type *slice = &n->body[0]->result[f->n_carry + c]->type;
    f->collect[c] = arena_like(l, n, &t, "collected");
    const fv_lbuffer view = {.space = FV_SPACE_VIEW,
                             .dtype = t.dtype,
                             .index = f->collect[c],
                             .stride = fv_x_mul(p, fv_x_sym(p, counter), lw_type_bytes(l, slice))};
    f->slice[c] = lw_new_buffer(l, &view);
  }
  const int64_t w = fv_attr_int(n, "while_carry");
  f->condition = FV_NO_SLOT;
  if (w >= 0) {
    f->condition = flag_symbol(l);
    read_flag(l, f->condition, f->cur[w], fv_node_span(n));
  }
  f->loop_inst = (uint32_t)l->entry->n_inst;
  fv_linst *i = lw_new_inst(l, FV_H_LOOP, fv_node_span(n));
  i->x = trips;
  i->symbol = counter;
  i->result = f->condition;
}

static void end_trip(lw *l, const lw_frame *f) {
  const fv_node *n = f->node;
  for (int c = 0; c < f->n_collect; c++) {
    const fv_value *v = n->body[0]->result[f->n_carry + c];
    lw_copy_bytes(l, f->slice[c], lw_value_buffer(l, v), &v->type);
  }
  for (int i = 0; i < f->n_carry; i++)
    if (f->next[i] != FV_NO_SLOT && !f->direct[i])
      lw_copy_bytes(l, f->next[i], lw_value_buffer(l, n->body[0]->result[i]),
                    &n->body[0]->result[i]->type);
  for (int i = 0; i < f->n_carry; i++) {
    if (f->next[i] == FV_NO_SLOT)
      continue;
    fv_linst *s = lw_new_inst(l, FV_H_SWAP, NULL);
    s->a = f->cur[i];
    s->b = f->next[i];
  }
  if (f->condition != FV_NO_SLOT)
    read_flag(l, f->condition, f->cur[fv_attr_int(n, "while_carry")], fv_node_span(n));
  const uint32_t end = (uint32_t)l->entry->n_inst;
  fv_linst *e = lw_new_inst(l, FV_H_END_LOOP, NULL);
  e->match = f->loop_inst;
  const int64_t count = fv_attr_int(n, "count");
  if (count >= 0)
    e->result = (uint32_t)count;
  l->entry->inst[f->loop_inst].match = end;
}

static void end_loop(lw *l, const lw_frame *f) {
  const fv_node *n = f->node;
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

//===-- If ----------------------------------------------------------------------------===//

static void begin_if(lw *l, lw_frame *f) {
  const fv_node *n = f->node;
  const uint32_t flag = flag_symbol(l);
  read_flag(l, flag, lw_value_buffer(l, n->in[0]), fv_node_span(n));
  f->jump = l->entry->n_inst;
  lw_new_inst(l, FV_H_IF, fv_node_span(n))->x = fv_x_sym(l->pool, flag);
}

static void begin_arm(lw *l, const lw_frame *f, const fv_region *arm) {
  for (int i = 0; i < f->node->n_out; i++)
    if (computes_into(l, arm, i, NULL))
      l->buffer[arm->result[i]->id] = lw_value_buffer(l, f->node->out[i]);
}

static void end_arm(lw *l, lw_frame *f, const fv_region *arm) {
  const fv_node *n = f->node;
  const fv_attr *symbols = fv_attr_get(n, "symbols");
  int at = 0;
  for (int i = 0; i < n->n_out; i++) {
    const fv_value *v = arm->result[i];
    const uint32_t from = lw_value_buffer(l, v), to = lw_value_buffer(l, n->out[i]);
    if (from != to)
      lw_copy_bytes(l, to, from, &v->type);
    for (int d = 0; d < v->type.rank; d++, at++) {
      if (at >= symbols->n || symbols->ints[at] < 0)
        continue;
      fv_linst *set = lw_new_inst(l, FV_H_SCALAR, NULL);
      set->symbol = (uint32_t)symbols->ints[at];
      set->x = v->type.dim[d];
    }
  }
  const size_t jump = l->entry->n_inst;
  if (arm->index == 0)
    lw_new_inst(l, FV_H_IF, NULL)->x = fv_x_lit_i(l->pool, FV_bool, 0);
  l->entry->inst[f->jump].match = (uint32_t)l->entry->n_inst;
  f->jump = jump;
}

//===-- The walk ----------------------------------------------------------------------===//

void lw_begin_node(lw *l, lw_regions *r, fv_node *n) {
  lw_frame *f = FV_NEW(l->arena, lw_frame);
  f->node = n;
  FV_PUSH(l->arena, r->frame, r->n, r->cap, f);
  if (n->op == FV_OP_loop)
    begin_loop(l, f);
  else
    begin_if(l, f);
}

void lw_begin_region(lw *l, const lw_regions *r, fv_region *body) {
  lw_frame *f = r->frame[r->n - 1];
  f->outer = l->region;
  l->region = body;
  if (f->node->op == FV_OP_if)
    begin_arm(l, f, body);
}

void lw_end_region(lw *l, const lw_regions *r, const fv_region *body) {
  lw_frame *f = r->frame[r->n - 1];
  if (f->node->op == FV_OP_loop)
    end_trip(l, f);
  else
    end_arm(l, f, body);
  l->region = f->outer;
}

void lw_end_node(lw *l, lw_regions *r, fv_node *n) {
  const lw_frame *f = r->frame[--r->n];
  if (n->op == FV_OP_loop)
    end_loop(l, f);
}
