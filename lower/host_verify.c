// SPDX-License-Identifier: Apache-2.0
// Is each buffer of a host program written before it is read? What is wrong here
// would be a wrong answer without a word, so it is an internal error.
//
// Branches go forward and are closed in order, so one walk suffices: what counts
// as written behind a branch is what both its sides have written. A loop is
// looked at as if it ran: what it collects is empty if it does not.
#include "lower/host.h"

typedef struct branch {
  size_t join;    // where the sides meet; of the first side: where the second begins
  size_t writes;  // length of the log at its beginning
  uint32_t *first_side;
  size_t n_first, cap_first;
  bool second;
} branch;

typedef struct host_check {
  lw *l;
  const fv_lentry *e;
  bool *written;
  uint32_t *log;  // buffers, in the order in which they were first written
  size_t n_log, cap_log;
  branch *open;
  size_t n_open, cap_open;
} host_check;

static bool is_ours(const fv_lbuffer *b) {
  return b->space == FV_SPACE_ARENA || b->space == FV_SPACE_OUTPUT;
}

// The buffer itself, or the one that a view is of.
static uint32_t base_of(const host_check *c, uint32_t b) {
  while (c->e->buffer[b].space == FV_SPACE_VIEW)
    b = c->e->buffer[b].index;
  return b;
}

static void write_to(host_check *c, uint32_t b) {
  b = base_of(c, b);
  if (c->written[b])
    return;
  c->written[b] = true;
  FV_PUSH(c->l->arena, c->log, c->n_log, c->cap_log, b);
}

static fv_status read_from(host_check *c, uint32_t b, const fv_linst *i, size_t number) {
  b = base_of(c, b);
  const fv_lbuffer *x = &c->e->buffer[b];
  if (c->written[b] || !is_ours(x))
    return FV_OK;
  return fv_error(c->l->diag, FV_ERR_INTERNAL, i->span,
                  "internal error: instruction %zu of graph '%s' reads buffer %u%s%s, which "
                  "nothing has written",
                  number, c->e->graph->name, b, x->name ? " of " : "", x->name ? x->name : "");
}

static fv_status check_launch(host_check *c, const fv_linst *i, size_t number) {
  const fv_kernel_code *k = &i->kernel->code;
  for (uint32_t b = 0; b < k->n_global; b++)
    if (!k->buffer[b].written)
      FV_TRY(read_from(c, i->buffer[b], i, number));
  for (uint32_t b = 0; b < k->n_global; b++)
    if (k->buffer[b].written)
      write_to(c, i->buffer[b]);
  return FV_OK;
}

static fv_status check_inst(host_check *c, const fv_linst *i, size_t number) {
  switch (i->op) {
  case FV_H_LAUNCH: return check_launch(c, i, number);
  case FV_H_COPY:
    FV_TRY(read_from(c, i->b, i, number));
    write_to(c, i->a);
    return FV_OK;
  case FV_H_ZERO: write_to(c, i->a); return FV_OK;
  case FV_H_SWAP:
    FV_TRY(read_from(c, i->b, i, number));
    write_to(c, i->a);
    return FV_OK;
  case FV_H_READ: return read_from(c, i->a, i, number);
  default: return FV_OK;
  }
}

// The second side begins: nothing of the first is there.
static void turn(host_check *c, branch *b) {
  b->first_side = NULL;
  while (c->n_log > b->writes) {
    const uint32_t x = c->log[--c->n_log];
    c->written[x] = false;
    FV_PUSH(c->l->arena, b->first_side, b->n_first, b->cap_first, x);
  }
}

// Behind a branch counts what both its sides have written; of one side alone, nothing.
static void close_branch(host_check *c, const branch *b) {
  uint32_t *both = FV_NEW_N(c->l->arena, uint32_t, b->n_first);
  size_t n = 0;
  for (size_t k = 0; k < b->n_first; k++)
    if (c->written[b->first_side[k]])
      both[n++] = b->first_side[k];
  while (c->n_log > b->writes)
    c->written[c->log[--c->n_log]] = false;
  while (n > 0)
    write_to(c, both[--n]);
}

// A branch is IF cond, one side, IF false (to the end), the other side.
static void open_branch(host_check *c, size_t at) {
  const branch b = {.join = c->e->inst[at].match, .writes = c->n_log};
  FV_PUSH(c->l->arena, c->open, c->n_open, c->cap_open, b);
}

static bool is_jump(const fv_linst *i) {
  int64_t never;
  return i->op == FV_H_IF && fv_x_is_lit(i->x, &never) && !never;
}

fv_status lw_verify_host(lw *l, const fv_lentry *e) {
  host_check c = {.l = l, .e = e, .written = FV_NEW_N(l->arena, bool, e->n_buffer)};
  for (size_t i = 0; i < e->n_inst; i++) {
    while (c.n_open && c.open[c.n_open - 1].join == i)
      close_branch(&c, &c.open[--c.n_open]);
    branch *b = c.n_open ? &c.open[c.n_open - 1] : NULL;
    if (b && !b->second && is_jump(&e->inst[i]) && b->join == i + 1) {
      turn(&c, b);
      b->second = true;
      b->join = e->inst[i].match;
    } else if (e->inst[i].op == FV_H_IF) {
      open_branch(&c, i);
    } else {
      FV_TRY(check_inst(&c, &e->inst[i], i));
    }
  }
  return FV_OK;
}
