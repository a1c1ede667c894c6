// SPDX-License-Identifier: Apache-2.0
//
// One step of a recurrent layer, and the cells, which are a step and the product with x in front
// of it. The layer itself is a loop around steps, with one product in front of them all.
#include <string.h>

#include "ir/sem/sem_util.h"

static fv_value *add(fv_sem *s, fv_value *a, fv_value *b) {
  return fv_sb_2(s, FV_OP_add, a, b);
}
static fv_value *mul(fv_sem *s, fv_value *a, fv_value *b) {
  return fv_sb_2(s, FV_OP_mul, a, b);
}

fv_status fv_sem_gates(fv_sem *s, const char *letters, int *position) {
  const char *gates = fv_attr_str(s->node, "gates");
  const size_t n = strlen(letters);
  bool good = strlen(gates) == n;
  for (size_t i = 0; i < n && good; i++) {
    const char *at = strchr(gates, letters[i]);
    good = at != NULL;
    if (at)
      position[i] = (int)(at - gates);
  }
  if (good)
    return FV_OK;
  return fv_sem_error(s, "gates = '%s' must hold each of the letters '%s' once", gates, letters);
}

// Operands x, h, [c,] w, r, wb, rb: dims and element types.
static fv_status check_cell(fv_sem *s, int n_state, int n_gate) {
  const int w = 1 + n_state;
  FV_TRY(fv_sem_want_float(s, 0));
  for (int i = 1; i < s->node->n_in; i++)
    if (fv_sem_has(s, i))
      FV_TRY(fv_sem_same_dtype(s, 0, i));
  for (int i = 0; i < w + 2; i++)
    FV_TRY(fv_sem_want_rank(s, i, 2, 2));
  const fv_expr *hidden = fv_sem_dim(s, 1, 1);
  const fv_expr *rows = fv_x_mul(s->pool, hidden, fv_x_i64(s->pool, n_gate));
  for (int i = 1; i < w; i++) {
    FV_TRY(fv_sem_same_axis(s, i, 0, 0, 0));
    FV_TRY(fv_sem_same_axis(s, i, 1, 1, 1));
  }
  FV_TRY(fv_sem_same_axis(s, w, 1, 0, 1));
  FV_TRY(fv_sem_same_axis(s, w + 1, 1, 1, 1));
  for (int i = w; i < w + 4; i++) {
    if (!fv_sem_has(s, i))
      continue;
    if (i >= w + 2)
      FV_TRY(fv_sem_want_rank(s, i, 1, 1));
    FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, i, 0), rows,
                           fv_arena_printf(s->arena, "axis 0 of '%s' and %d times axis 1 of 'h'",
                                           fv_sem_operand_name(s, i), n_gate)));
  }
  return FV_OK;
}

static fv_value *param(fv_sem *s, int operand) {
  return fv_sb_widen(s, fv_sem_param(s, operand));
}

//===-- Steps -------------------------------------------------------------===//

// Gate number `position` of v along `axis`: v[position * hidden .. + hidden].
static fv_value *gate(const fv_cell *c, fv_value *v, int position, int axis) {
  fv_sem *s = c->s;
  const fv_expr *start = fv_x_mul(s->pool, c->hidden, fv_x_i64(s->pool, position));
  return v ? fv_sb_slice(s, v, axis, start, fv_x_add(s->pool, start, c->hidden)) : NULL;
}

static fv_value *narrow(const fv_cell *c, fv_value *v) {
  return fv_sb_cast(c->s, v, fv_sem_type(c->s, 0)->dtype);
}

void fv_sb_gru_step(const fv_cell *c, fv_value *gx, fv_value **state) {
  enum { RESET, UPDATE, NEW };
  fv_sem *s = c->s;
  const int *at = c->position;
  fv_value *h = fv_sb_widen(s, state[0]);
  const bool all_at_once = fv_attr_bool(s->node, "linear_before_reset");
  fv_value *gh = all_at_once ? fv_sb_linear(s, h, c->r, c->rb) : NULL;
  fv_value *sum[2];
  for (int i = RESET; i <= UPDATE; i++) {
    fv_value *from_h = all_at_once
                           ? gate(c, gh, at[i], 1)
                           : fv_sb_linear(s, h, gate(c, c->r, at[i], 0), gate(c, c->rb, at[i], 0));
    sum[i] = fv_sb_1(s, FV_OP_sigmoid, add(s, gate(c, gx, at[i], 1), from_h));
  }
  fv_value *from_h = all_at_once ? mul(s, sum[RESET], gate(c, gh, at[NEW], 1))
                                 : fv_sb_linear(s, mul(s, sum[RESET], h), gate(c, c->r, at[NEW], 0),
                                                gate(c, c->rb, at[NEW], 0));
  fv_value *n = fv_sb_1(s, FV_OP_tanh, add(s, gate(c, gx, at[NEW], 1), from_h));
  fv_value *keep = fv_sb_2(s, FV_OP_sub, fv_sb_full_like(s, n, 1), sum[UPDATE]);
  state[0] = narrow(c, add(s, mul(s, keep, n), mul(s, sum[UPDATE], h)));
}

void fv_sb_lstm_step(const fv_cell *c, fv_value *gx, fv_value **state) {
  fv_sem *s = c->s;
  const int *at = c->position;
  fv_value *sum = add(s, gx, fv_sb_linear(s, fv_sb_widen(s, state[0]), c->r, c->rb));
  fv_value *i = fv_sb_1(s, FV_OP_sigmoid, gate(c, sum, at[0], 1));
  fv_value *f = fv_sb_1(s, FV_OP_sigmoid, gate(c, sum, at[1], 1));
  fv_value *g = fv_sb_1(s, FV_OP_tanh, gate(c, sum, at[2], 1));
  fv_value *o = fv_sb_1(s, FV_OP_sigmoid, gate(c, sum, at[3], 1));
  fv_value *next = add(s, mul(s, f, fv_sb_widen(s, state[1])), mul(s, i, g));
  state[0] = narrow(c, mul(s, o, fv_sb_1(s, FV_OP_tanh, next)));
  state[1] = narrow(c, next);
}

//===-- Cells -------------------------------------------------------------===//

fv_status fv_sem_gru_cell(fv_sem *s) {
  enum { X, H, W, R, WB, RB };
  fv_cell c = {.s = s};
  FV_TRY(check_cell(s, 1, 3));
  FV_TRY(fv_sem_gates(s, FV_GRU_GATES, c.position));
  fv_sem_begin_expansion(s);
  c.hidden = fv_sem_dim(s, H, 1);
  c.r = param(s, R);
  c.rb = param(s, RB);
  fv_value *state[] = {fv_sem_param(s, H)};
  fv_sb_gru_step(&c, fv_sb_linear(s, param(s, X), param(s, W), param(s, WB)), state);
  return fv_sem_results(s, 1, state);
}

fv_status fv_sem_lstm_cell(fv_sem *s) {
  enum { X, H, C, W, R, WB, RB };
  fv_cell c = {.s = s};
  FV_TRY(check_cell(s, 2, 4));
  FV_TRY(fv_sem_gates(s, FV_LSTM_GATES, c.position));
  fv_sem_begin_expansion(s);
  c.hidden = fv_sem_dim(s, H, 1);
  c.r = param(s, R);
  c.rb = param(s, RB);
  fv_value *state[] = {fv_sem_param(s, H), fv_sem_param(s, C)};
  fv_sb_lstm_step(&c, fv_sb_linear(s, param(s, X), param(s, W), param(s, WB)), state);
  return fv_sem_results(s, 2, state);
}
