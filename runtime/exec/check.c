// SPDX-License-Identifier: Apache-2.0
// Checks an image before it is used: after this, no table, slot, buffer or jump
// of it leads out of bounds, so a damaged or hostile image is refused.
#include <string.h>

#include "runtime/exec/context.h"

typedef struct checker {
  const fv_program *p;
  uint64_t size;
} checker;

static bool table_ok(const checker *c, fv_table t, uint64_t elem) {
  return t.offset % 8 == 0 && t.offset <= c->size && (uint64_t)t.count * elem <= c->size - t.offset;
}

static bool string_ok(const checker *c, uint32_t offset) {
  return offset < c->size && memchr((const char *)c->p + offset, 0, c->size - offset);
}

static bool module_ok(const checker *c) {
  const fv_program *p = c->p;
  if (!table_ok(c, p->symbols, sizeof(fv_prog_symbol)) ||
      !table_ok(c, p->states, sizeof(fv_prog_state)) ||
      !table_ok(c, p->kernels, sizeof(fv_prog_kernel)) || !table_ok(c, p->sites, 4) ||
      !table_ok(c, p->entries, sizeof(fv_prog_entry)) || !string_ok(c, p->name))
    return false;
  const fv_prog_symbol *y = EXEC_ROWS(p, p->symbols, fv_prog_symbol);
  for (uint32_t i = 0; i < p->symbols.count; i++)
    if (!string_ok(c, y[i].name))
      return false;
  const fv_prog_state *s = EXEC_ROWS(p, p->states, fv_prog_state);
  for (uint32_t i = 0; i < p->states.count; i++) {
    if (!string_ok(c, s[i].name) || s[i].rank > FV_MAX_RANK || s[i].dtype >= FV_DTYPE_COUNT ||
        (s[i].length_symbol != FV_NO_SLOT && s[i].length_symbol >= p->symbols.count))
      return false;
    for (int d = 0; d < s[i].rank; d++)
      if (s[i].dim[d].symbol != FV_NO_SLOT && s[i].dim[d].symbol >= p->symbols.count)
        return false;
  }
  const fv_prog_kernel *k = EXEC_ROWS(p, p->kernels, fv_prog_kernel);
  for (uint32_t i = 0; i < p->kernels.count; i++)
    if (!string_ok(c, k[i].name) || k[i].n_buffer > 64 || k[i].n_scalar > 64)
      return false;
  const uint32_t *site = EXEC_ROWS(p, p->sites, uint32_t);
  for (uint32_t i = 0; i < p->sites.count; i++)
    if (!string_ok(c, site[i]))
      return false;
  return true;
}

static bool ports_ok(const checker *c, fv_table t, uint32_t n_slot) {
  const fv_prog_port *port = EXEC_ROWS(c->p, t, fv_prog_port);
  for (uint32_t i = 0; i < t.count; i++) {
    if (!string_ok(c, port[i].name) || port[i].rank > FV_MAX_RANK ||
        port[i].dtype >= FV_DTYPE_COUNT)
      return false;
    for (int d = 0; d < port[i].rank; d++)
      if (port[i].dim_slot[d] >= n_slot || port[i].bound_slot[d] >= n_slot)
        return false;
  }
  return true;
}

static bool buffers_ok(const checker *c, const fv_prog_entry *e) {
  const fv_prog_buffer *b = EXEC_ROWS(c->p, e->buffers, fv_prog_buffer);
  for (uint32_t i = 0; i < e->buffers.count; i++) {
    if (b[i].stride_slot != FV_NO_SLOT && b[i].stride_slot >= e->n_slot)
      return false;
    switch (b[i].space) {
    case FV_SPACE_ARENA:
      if (b[i].size_slot >= e->n_slot)
        return false;
      break;
    case FV_SPACE_CONST:
      if (b[i].offset > c->p->const_bytes)
        return false;
      break;
    case FV_SPACE_INPUT:
      if (b[i].index >= e->inputs.count)
        return false;
      break;
    case FV_SPACE_OUTPUT:
      if (b[i].index >= e->outputs.count)
        return false;
      break;
    case FV_SPACE_STATE:
    case FV_SPACE_STATE_NEXT:
      if (b[i].index >= c->p->states.count)
        return false;
      break;
    case FV_SPACE_VIEW:
      if (b[i].index >= e->buffers.count || b[b[i].index].space != FV_SPACE_ARENA)
        return false;
      break;
    default: return false;
    }
  }
  return true;
}

static bool launch_ok(const checker *c, const fv_prog_entry *e, const fv_hinst *h) {
  if (h->a >= c->p->kernels.count || h->b >= e->n_slot ||
      (h->c != FV_NO_SLOT && h->c >= e->n_slot))
    return false;
  const fv_prog_kernel *k = &EXEC_ROWS(c->p, c->p->kernels, fv_prog_kernel)[h->a];
  const uint64_t end = (uint64_t)h->d + k->n_buffer + k->n_scalar;
  if (end > e->args.count)
    return false;
  const uint32_t *arg = EXEC_ROWS(c->p, e->args, uint32_t) + h->d;
  for (uint32_t i = 0; i < k->n_buffer; i++)
    if (arg[i] >= e->buffers.count)
      return false;
  for (uint32_t i = 0; i < k->n_scalar; i++)
    if (arg[k->n_buffer + i] >= e->n_slot)
      return false;
  return true;
}

static bool inst_ok(const checker *c, const fv_prog_entry *e, uint32_t at) {
  const fv_hinst *all = EXEC_ROWS(c->p, e->insts, fv_hinst), *h = &all[at];
  const uint32_t n = e->n_slot, nb = e->buffers.count;
  const bool bind = at < e->bind_end;
  switch (h->op) {
  case FV_H_LITERAL: return h->a < n && h->b < e->literals.count;
  case FV_H_SCALAR: return h->n < FV_X_COUNT && h->a < n && h->b < n && h->c < n && h->d < n;
  case FV_H_LAUNCH: return !bind && launch_ok(c, e, h);
  case FV_H_COPY: return !bind && h->a < nb && h->b < nb && h->c < n;
  case FV_H_ZERO: return !bind && h->a < nb && h->c < n;
  case FV_H_LOOP:
    return !bind && h->a < n && h->b < n && (h->d == FV_NO_SLOT || h->d < nb) && h->c > at + 1 &&
           h->c <= e->insts.count && all[h->c - 1].op == FV_H_END_LOOP && all[h->c - 1].a == at;
  case FV_H_END_LOOP:
    return !bind && h->a < at && h->a >= e->bind_end && all[h->a].op == FV_H_LOOP &&
           all[h->a].c == at + 1 && (h->b == FV_NO_SLOT || h->b < n);
  case FV_H_SWAP: {
    const fv_prog_buffer *b = EXEC_ROWS(c->p, e->buffers, fv_prog_buffer);
    return !bind && h->a < nb && h->b < nb && b[h->a].space == FV_SPACE_ARENA &&
           b[h->b].space == FV_SPACE_ARENA;
  }
  case FV_H_IF: return !bind && h->a < n && h->b > at && h->b <= e->insts.count;
  case FV_H_CHECK: return h->a < n && h->b < c->p->sites.count;
  default: return false;
  }
}

static bool entry_ok(const checker *c, const fv_prog_entry *e) {
  if (!string_ok(c, e->name) || !table_ok(c, e->inputs, sizeof(fv_prog_port)) ||
      !table_ok(c, e->outputs, sizeof(fv_prog_port)) || !table_ok(c, e->used_symbols, 4) ||
      !table_ok(c, e->buffers, sizeof(fv_prog_buffer)) ||
      !table_ok(c, e->insts, sizeof(fv_hinst)) || !table_ok(c, e->args, 4) ||
      !table_ok(c, e->literals, 8) || !table_ok(c, e->advances, sizeof(fv_prog_advance)) ||
      e->bind_end > e->insts.count || e->n_slot < c->p->symbols.count ||
      e->n_slot > (uint32_t)1 << 28)
    return false;
  const uint32_t *used = EXEC_ROWS(c->p, e->used_symbols, uint32_t);
  for (uint32_t i = 0; i < e->used_symbols.count; i++)
    if (used[i] >= c->p->symbols.count)
      return false;
  const fv_prog_advance *a = EXEC_ROWS(c->p, e->advances, fv_prog_advance);
  for (uint32_t i = 0; i < e->advances.count; i++)
    if (a[i].symbol >= c->p->symbols.count || a[i].slot >= e->n_slot)
      return false;
  if (!ports_ok(c, e->inputs, e->n_slot) || !ports_ok(c, e->outputs, e->n_slot) ||
      !buffers_ok(c, e))
    return false;
  for (uint32_t i = 0; i < e->insts.count; i++)
    if (!inst_ok(c, e, i))
      return false;
  return true;
}

const char *fv_image_check(const void *image, size_t size) {
  const fv_program *p = image;
  if ((uintptr_t)image % 8)
    return "the program image is not aligned";
  if (size < sizeof *p || p->magic != FV_PROGRAM_MAGIC)
    return "this is not a program image";
  if (p->version != FV_PROGRAM_VERSION)
    return "the program image is of another version";
  if (p->image_bytes != size)
    return "the program image is truncated";
  const checker c = {p, size};
  if (!module_ok(&c))
    return "the program image is damaged";
  const fv_prog_entry *e = EXEC_ROWS(p, p->entries, fv_prog_entry);
  for (uint32_t i = 0; i < p->entries.count; i++)
    if (!entry_ok(&c, &e[i]))
      return "an entry of the program image is damaged";
  return NULL;
}
