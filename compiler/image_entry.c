// SPDX-License-Identifier: Apache-2.0
#include "compiler/image_entry.h"

#include <string.h>

//===-- Scalars -----------------------------------------------------------------===//

static void push(im_entry *m, im_code *c, fv_hinst i) {
  FV_PUSH(m->arena, c->inst, c->n, c->cap, i);
}

static void load_literal(im_entry *m, im_code *c, uint32_t slot, int64_t v) {
  FV_PUSH(m->arena, m->literal, m->n_literal, m->cap_literal, v);
  push(m, c, (fv_hinst){.op = FV_H_LITERAL, .a = slot, .b = (uint32_t)m->n_literal - 1});
}

// Known when the run is bound: no symbol that the run itself sets.
static bool at_bind(const fv_expr *x) {
  return !fv_x_has(x, FV_XF_RUN);
}

// The slot that holds x, or FV_NO_SLOT. Expressions may still be made, so the table grows.
static uint32_t slot_of(im_entry *m, const fv_expr *x) {
  if (x->kind == FV_E_SYM)
    return x->ref;
  while (m->n_known <= x->id)
    FV_PUSH(m->arena, m->known, m->n_known, m->cap_known, ((struct im_known){0}));
  const struct im_known *k = &m->known[x->id];
  return k->walk == m->walk || k->walk == UINT32_MAX ? k->slot : FV_NO_SLOT;
}

static uint32_t use(im_entry *m, const fv_expr *x) {
  if (x->kind == FV_E_SYM)
    m->symbol_used[x->ref] = true;
  return slot_of(m, x);
}

// Computes x, whose arguments are in slots.
static uint32_t compute_one(im_entry *m, im_code *c, const fv_expr *x) {
  im_code *to = at_bind(x) ? &m->bind : c;
  if (x->kind == FV_E_OP && (x->op == FV_X_CAST || x->op == FV_X_BITCAST))
    return use(m, x->arg[0]);  // bool and i64 are both i64 slots
  uint32_t arg[3] = {0, 0, 0};
  for (int i = 0; i < x->n; i++)
    arg[i] = use(m, x->arg[i]);
  const uint32_t slot = m->n_slot++;
  if (x->kind == FV_E_LIT)
    load_literal(m, to, slot, x->lit.i);
  else
    push(m, to,
         (fv_hinst){
             .op = FV_H_SCALAR, .n = x->op, .a = slot, .b = arg[0], .c = arg[1], .d = arg[2]});
  return slot;
}

// Each distinct part once: those known at bind for good, the others for this use,
// since the run changes what they are computed from.
static uint32_t compute(im_entry *m, im_code *c, const fv_expr *x) {
  FV_CHECK(m->arena, ++m->walk < UINT32_MAX);
  FV_PUSH(m->arena, m->stack, m->n_stack, m->cap_stack, x);
  while (m->n_stack > 0) {
    const fv_expr *e = m->stack[m->n_stack - 1];
    const size_t here = m->n_stack;
    const bool made = slot_of(m, e) != FV_NO_SLOT;
    for (int i = e->n - 1; i >= 0 && !made; i--)
      if (slot_of(m, e->arg[i]) == FV_NO_SLOT)
        FV_PUSH(m->arena, m->stack, m->n_stack, m->cap_stack, e->arg[i]);
    if (m->n_stack > here)
      continue;
    m->n_stack--;
    if (!made) {
      const uint32_t slot = compute_one(m, c, e);
      m->known[e->id] = (struct im_known){slot, at_bind(e) ? UINT32_MAX : m->walk};
    }
  }
  return use(m, x);
}

uint32_t im_slot(im_entry *m, const fv_expr *x) {
  return compute(m, &m->run, x);
}

// What an arm that is not taken or a check keeps from being computed may have less than nothing.
static uint32_t room_slot(im_entry *m, const fv_expr *x) {
  const fv_expr *zero = fv_x_i64(m->pool, 0), *most = fv_lower_bound(m->pool, m->e, x);
  if (fv_prove_le(m->pool, zero, most) != FV_YES)
    most = fv_x_op(m->pool, FV_X_MAX, most, zero, NULL);
  return compute(m, &m->bind, most);
}

uint32_t im_bound_slot(im_entry *m, const fv_expr *x) {
  return at_bind(x) ? compute(m, &m->bind, x) : room_slot(m, x);
}

//===-- Buffers -----------------------------------------------------------------===//

// slot = x, in the run section.
static void assign(im_entry *m, uint32_t slot, const fv_expr *x) {
  const uint32_t from = im_slot(m, x);
  if (from == slot)
    return;  // the symbol itself
  const uint32_t zero = compute(m, &m->bind, fv_x_i64(m->pool, 0));
  push(m, &m->run, (fv_hinst){.op = FV_H_SCALAR, .n = FV_X_ADD, .a = slot, .b = from, .c = zero});
}

static void refresh_one(im_entry *m, uint32_t b) {
  const fv_expr *stride = m->e->buffer[b].stride;
  if (stride && !at_bind(stride))
    assign(m, m->buffer[b].stride_slot, stride);
}

// A stride over loop counters is brought up to date before each use.
static void refresh(im_entry *m, uint32_t b) {
  for (; m->e->buffer[b].space == FV_SPACE_VIEW; b = m->e->buffer[b].index)
    refresh_one(m, b);
  refresh_one(m, b);
}

static void make_buffers(im_entry *m) {
  m->buffer = FV_NEW_N(m->arena, fv_prog_buffer, m->e->n_buffer);
  for (size_t i = 0; i < m->e->n_buffer; i++) {
    const fv_lbuffer *s = &m->e->buffer[i];
    fv_prog_buffer *b = &m->buffer[i];
    *b = (fv_prog_buffer){.space = (uint8_t)s->space,
                          .dtype = (uint8_t)s->dtype,
                          .index = s->index,
                          .offset = s->offset,
                          .size_slot = FV_NO_SLOT,
                          .stride_slot = FV_NO_SLOT,
                          .first = FV_NO_SLOT};
    if (s->space == FV_SPACE_ARENA)
      b->size_slot = room_slot(m, s->bytes);
    if (!s->stride)
      continue;
    if (at_bind(s->stride))
      b->stride_slot = im_slot(m, s->stride);
    else
      b->stride_slot = s->stride->kind == FV_E_SYM ? s->stride->ref : m->n_slot++;
  }
}

static void touch_one(fv_prog_buffer *p, uint32_t at) {
  if (p->first == FV_NO_SLOT || at < p->first)
    p->first = at;
  if (at > p->last)
    p->last = at;
}

static void touch(im_entry *m, uint32_t b, uint32_t at) {
  for (; m->e->buffer[b].space == FV_SPACE_VIEW; b = m->e->buffer[b].index)
    touch_one(&m->buffer[b], at);
  touch_one(&m->buffer[b], at);
}

// The loop around each instruction, by its LOOP; for a LOOP the one around it.
static uint32_t *enclosing_loops(const im_entry *m) {
  const im_code *c = &m->run;
  uint32_t *around = FV_NEW_N(m->arena, uint32_t, c->n), now = FV_NO_SLOT;
  for (uint32_t i = 0; i < c->n; i++) {
    around[i] = now;
    if (c->inst[i].op == FV_H_LOOP)
      now = i;
    else if (c->inst[i].op == FV_H_END_LOOP)
      now = around[c->inst[i].a];
  }
  return around;
}

// A buffer that crosses the edge of a loop lives through the whole loop.
static bool extend_over_loops(const im_entry *m, const uint32_t *around, fv_prog_buffer *b) {
  const uint32_t first = b->first, last = b->last;
  const bool tested = m->run.inst[last].op == FV_H_LOOP;  // before each trip
  for (uint32_t l = tested ? last : around[last]; l != FV_NO_SLOT && l > b->first; l = around[l])
    b->last = m->run.inst[l].c - 1;
  for (uint32_t l = around[first]; l != FV_NO_SLOT && m->run.inst[l].c - 1 < b->last; l = around[l])
    b->first = l;
  return b->first != first || b->last != last;
}

// Two buffers that change places live as long as either.
static bool join_lifetimes(fv_prog_buffer *a, fv_prog_buffer *b) {
  const uint32_t first = a->first < b->first ? a->first : b->first;
  const uint32_t last = a->last > b->last ? a->last : b->last;
  const bool changed = a->first != first || b->first != first || a->last != last || b->last != last;
  a->first = b->first = first;
  a->last = b->last = last;
  return changed;
}

static void extend_lifetimes(im_entry *m) {
  const im_code *c = &m->run;
  const uint32_t *around = enclosing_loops(m);
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < m->e->n_buffer; i++)
      if (m->buffer[i].first != FV_NO_SLOT)
        again = extend_over_loops(m, around, &m->buffer[i]) || again;
    for (size_t i = 0; i < c->n; i++)
      if (c->inst[i].op == FV_H_SWAP)
        again = join_lifetimes(&m->buffer[c->inst[i].a], &m->buffer[c->inst[i].b]) || again;
  }
}

//===-- Instructions ------------------------------------------------------------===//

static void launch(im_entry *m, const fv_linst *s) {
  const fv_kernel *k = s->kernel;
  fv_hinst i = {.op = FV_H_LAUNCH, .a = k->number, .c = FV_NO_SLOT};
  for (uint32_t b = 0; b < k->code.n_global; b++)
    refresh(m, s->buffer[b]);
  i.b = im_slot(m, k->grid);
  if (k->scratch_bytes)
    i.c = im_slot(m, k->scratch_bytes);
  uint32_t *slot = FV_NEW_N(m->arena, uint32_t, k->code.n_scalar);
  for (uint32_t x = 0; x < k->code.n_scalar; x++)
    slot[x] = im_slot(m, k->scalar[x]);
  i.d = (uint32_t)m->n_arg;
  for (uint32_t b = 0; b < k->code.n_global; b++) {
    FV_PUSH(m->arena, m->arg, m->n_arg, m->cap_arg, s->buffer[b]);
    touch(m, s->buffer[b], (uint32_t)m->run.n);
  }
  for (uint32_t x = 0; x < k->code.n_scalar; x++)
    FV_PUSH(m->arena, m->arg, m->n_arg, m->cap_arg, slot[x]);
  push(m, &m->run, i);
}

static void copy(im_entry *m, const fv_linst *s) {
  refresh(m, s->a);
  if (s->op == FV_H_COPY)
    refresh(m, s->b);
  const uint32_t bytes = im_slot(m, s->x);
  touch(m, s->a, (uint32_t)m->run.n);
  if (s->op == FV_H_COPY)
    touch(m, s->b, (uint32_t)m->run.n);
  push(m, &m->run, (fv_hinst){.op = (uint16_t)s->op, .a = s->a, .b = s->b, .c = bytes});
}

static void require(im_entry *m, const fv_linst *s) {
  const size_t i = m->e->graph->n_condition + s->number;
  FV_CHECK(m->arena, i < m->n_condition);
  m->condition_slot[i][0] = im_slot(m, m->condition[i].a);
  m->condition_slot[i][1] = im_slot(m, m->condition[i].b);
  push(m, &m->run, (fv_hinst){.op = FV_H_REQUIRE, .a = (uint32_t)i});
}

static void translate_one(im_entry *m, const fv_linst *s) {
  switch (s->op) {
  case FV_H_LAUNCH: launch(m, s); break;
  case FV_H_COPY:
  case FV_H_ZERO: copy(m, s); break;
  case FV_H_LOOP: {
    const uint32_t trips = im_slot(m, s->x);
    push(m, &m->run,
         (fv_hinst){.op = FV_H_LOOP, .a = s->symbol, .b = trips, .c = s->match, .d = s->result});
    break;
  }
  case FV_H_READ: {
    const uint32_t most = im_slot(m, s->x);
    const char *range = s->range ? s->range : "";
    const size_t n = strlen(range);
    refresh(m, s->a);
    touch(m, s->a, (uint32_t)m->run.n);
    push(m, &m->run,
         (fv_hinst){
             .op = FV_H_READ,
             .n = n <= UINT16_MAX ? (uint16_t)n : 0,
             .a = s->symbol,
             .b = s->a,
             .c = most,
             .d = m->site(m->user, s->span, fv_arena_printf(m->arena, "%s%s", s->text, range))});
    break;
  }
  case FV_H_SCALAR: assign(m, s->symbol, s->x); break;
  case FV_H_END_LOOP:
    push(m, &m->run, (fv_hinst){.op = FV_H_END_LOOP, .a = s->match, .b = s->result});
    break;
  case FV_H_SWAP:
    touch(m, s->a, (uint32_t)m->run.n);
    touch(m, s->b, (uint32_t)m->run.n);
    push(m, &m->run, (fv_hinst){.op = FV_H_SWAP, .a = s->a, .b = s->b});
    break;
  case FV_H_IF: {
    const uint32_t cond = im_slot(m, s->x);
    push(m, &m->run, (fv_hinst){.op = FV_H_IF, .a = cond, .b = s->match});
    break;
  }
  case FV_H_CHECK: {
    const uint32_t cond = im_slot(m, s->x);
    push(m, &m->run,
         (fv_hinst){.op = FV_H_CHECK, .a = cond, .b = m->site(m->user, s->span, s->text)});
    break;
  }
  case FV_H_REQUIRE: require(m, s); break;
  default: FV_CHECK(m->arena, false); break;
  }
}

void im_translate(im_entry *m) {
  const fv_lentry *e = m->e;
  make_buffers(m);
  // Where each lowered instruction begins, to set the jumps afterwards.
  uint32_t *begin = FV_NEW_N(m->arena, uint32_t, e->n_inst + 1);
  uint32_t *final = FV_NEW_N(m->arena, uint32_t, e->n_inst + 1);
  for (size_t i = 0; i < e->n_inst; i++) {
    begin[i] = (uint32_t)m->run.n;
    translate_one(m, &e->inst[i]);
    final[i] = (uint32_t)m->run.n - 1;
  }
  begin[e->n_inst] = (uint32_t)m->run.n;
  for (size_t i = 0; i < e->n_inst; i++) {
    fv_hinst *h = &m->run.inst[final[i]];  // of a jump: others may have left nothing
    if (e->inst[i].op == FV_H_LOOP)
      h->c = final[h->c] + 1;
    else if (e->inst[i].op == FV_H_END_LOOP)
      h->a = final[h->a];
    else if (e->inst[i].op == FV_H_IF)
      h->b = begin[h->b];
  }
  extend_lifetimes(m);
}
