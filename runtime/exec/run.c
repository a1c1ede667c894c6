// SPDX-License-Identifier: Apache-2.0
// Running the instructions of a bound entry.
#include <string.h>

#include "runtime/exec/context.h"

// i64 primitives as fovea/scalar.h defines them; wrap-around without undefined
// behaviour. What cannot stand in a host program was rejected with the image.
int64_t exec_scalar(uint16_t op, int64_t a, int64_t b, int64_t c) {
  const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
  switch (op) {
  case FV_X_NEG: return (int64_t)(0 - ua);
  case FV_X_ABS: return a < 0 ? (int64_t)(0 - ua) : a;
  case FV_X_NOT: return !a;
  case FV_X_ADD: return (int64_t)(ua + ub);
  case FV_X_SUB: return (int64_t)(ua - ub);
  case FV_X_MUL: return (int64_t)(ua * ub);
  case FV_X_DIV: return b == 0 ? 0 : b == -1 ? (int64_t)(0 - ua) : a / b;
  case FV_X_FLOORDIV:
    if (b == 0)
      return 0;
    if (b == -1)
      return (int64_t)(0 - ua);
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
  case FV_X_MOD:
    if (b == 0 || b == -1)
      return 0;
    return a % b + ((a % b != 0 && (a % b < 0) != (b < 0)) ? b : 0);
  case FV_X_MAX: return a > b ? a : b;
  case FV_X_MIN: return a < b ? a : b;
  case FV_X_AND: return a & b;
  case FV_X_OR: return a | b;
  case FV_X_XOR: return a ^ b;
  case FV_X_EQ: return a == b;
  case FV_X_NE: return a != b;
  case FV_X_LT: return a < b;
  case FV_X_LE: return a <= b;
  case FV_X_SELECT: return a ? b : c;
  default: return 0;
  }
}

static fv_memref memory(const fv_exec *x, uint32_t buffer) {
  const fv_prog_buffer *b = &EXEC_ROWS(x->p, x->e->buffers, fv_prog_buffer)[buffer];
  fv_memref m = x->place[buffer];
  if (b->space == FV_SPACE_VIEW)
    m = x->place[b->index];
  if (b->stride_slot != FV_NO_SLOT)
    m.offset += x->slot[b->stride_slot];
  return m;
}

// Result of a device function: a check's site, the device's own words.
static int device_result(fv_exec *x, int32_t r, uint32_t first_site) {
  if (r == 0)
    return FV_EXEC_OK;
  if (r < 0)
    return exec_fail(x, FV_EXEC_FAILED, "%s", x->ops->error(x->dev));
  const uint32_t site = first_site + (uint32_t)r - 1;
  if (site >= x->p->sites.count)
    return exec_fail(x, FV_EXEC_FAILED, "a check of the data failed");
  return exec_fail(x, FV_EXEC_FAILED, "%s",
                   exec_string(x->p, EXEC_ROWS(x->p, x->p->sites, uint32_t)[site]));
}

enum { MAX_ARGS = 64 };

static int launch(fv_exec *x, const fv_hinst *i) {
  const fv_prog_kernel *k = &EXEC_ROWS(x->p, x->p->kernels, fv_prog_kernel)[i->a];
  const uint32_t *arg = EXEC_ROWS(x->p, x->e->args, uint32_t) + i->d;
  fv_memref buf[MAX_ARGS];
  int64_t scalar[MAX_ARGS];
  const int64_t blocks = x->slot[i->b];
  if (blocks <= 0)
    return FV_EXEC_OK;
  for (uint32_t b = 0; b < k->n_buffer; b++) {
    buf[b] = memory(x, arg[b]);
    const fv_prog_buffer *pb = &EXEC_ROWS(x->p, x->e->buffers, fv_prog_buffer)[arg[b]];
    if (pb->space == FV_SPACE_STATE_NEXT)
      x->state[pb->index].written = true;
  }
  for (uint32_t s = 0; s < k->n_scalar; s++)
    scalar[s] = x->slot[arg[k->n_buffer + s]];
  const int32_t r = x->ops->launch(x->dev, i->a, k->n_buffer, buf, k->n_scalar, scalar, blocks,
                                   i->c == FV_NO_SLOT ? 0 : x->slot[i->c]);
  return device_result(x, r, k->first_site);
}

static int copy(fv_exec *x, const fv_hinst *i) {
  const fv_prog_buffer *b = &EXEC_ROWS(x->p, x->e->buffers, fv_prog_buffer)[i->a];
  if (b->space == FV_SPACE_STATE_NEXT)
    x->state[b->index].written = true;
  const int64_t bytes = x->slot[i->c];
  if (bytes <= 0)
    return FV_EXEC_OK;
  if (i->op == FV_H_ZERO)
    return device_result(x, x->ops->zero(x->dev, memory(x, i->a), bytes), 0);
  return device_result(x, x->ops->copy(x->dev, memory(x, i->a), memory(x, i->b), bytes), 0);
}

// Enters the loop body or leaves: returns the next instruction, or -1 failed.
static int64_t loop_head(fv_exec *x, uint32_t pc, const fv_hinst *i) {
  bool go = x->slot[i->a] < x->slot[i->b];
  if (go && i->d != FV_NO_SLOT) {
    uint8_t flag = 0;
    if (device_result(x, x->ops->read(x->dev, &flag, memory(x, i->d), 1), 0))
      return -1;
    go = flag != 0;
  }
  return go ? (int64_t)pc + 1 : (int64_t)i->c;
}

int exec_instructions(fv_exec *x, uint32_t from, uint32_t to) {
  const fv_hinst *inst = EXEC_ROWS(x->p, x->e->insts, fv_hinst);
  const int64_t *literal = EXEC_ROWS(x->p, x->e->literals, int64_t);
  int64_t next;
  for (uint32_t pc = from; pc < to; pc = (uint32_t)next) {
    const fv_hinst *i = &inst[pc];
    next = (int64_t)pc + 1;
    int r = FV_EXEC_OK;
    switch (i->op) {
    case FV_H_LITERAL: x->slot[i->a] = literal[i->b]; break;
    case FV_H_SCALAR:
      x->slot[i->a] = exec_scalar(i->n, x->slot[i->b], x->slot[i->c], x->slot[i->d]);
      break;
    case FV_H_LAUNCH: r = launch(x, i); break;
    case FV_H_COPY:
    case FV_H_ZERO: r = copy(x, i); break;
    case FV_H_LOOP:
      x->slot[i->a] = 0;
      next = loop_head(x, pc, i);
      if (next == (int64_t)i->c && inst[i->c - 1].b != FV_NO_SLOT)
        x->slot[inst[i->c - 1].b] = 0;
      break;
    case FV_H_END_LOOP: {
      const fv_hinst *head = &inst[i->a];
      x->slot[head->a]++;
      if (i->b != FV_NO_SLOT)
        x->slot[i->b] = x->slot[head->a];
      next = loop_head(x, i->a, head);
      break;
    }
    case FV_H_SWAP: {
      const fv_memref m = x->place[i->a];
      x->place[i->a] = x->place[i->b];
      x->place[i->b] = m;
      break;
    }
    case FV_H_IF:
      if (!x->slot[i->a])
        next = i->b;
      break;
    case FV_H_CHECK:
      if (!x->slot[i->a])
        r = device_result(x, 1 + (int32_t)i->b, 0);
      break;
    default: r = exec_fail(x, FV_EXEC_FAILED, "unknown instruction"); break;
    }
    if (r)
      return r;
    if (next < 0)
      return FV_EXEC_FAILED;
  }
  return FV_EXEC_OK;
}
