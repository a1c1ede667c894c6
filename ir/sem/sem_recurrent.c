// SPDX-License-Identifier: Apache-2.0
//
// One step of a recurrent layer. The layer itself is a loop around it.
#include <string.h>

#include "ir/sem/sem_util.h"

static fv_value *add(fv_sem *s, fv_value *a, fv_value *b) {
  return fv_sb_2(s, FV_OP_add, a, b);
}
static fv_value *mul(fv_sem *s, fv_value *a, fv_value *b) {
  return fv_sb_2(s, FV_OP_mul, a, b);
}

// Where gate `letter` stands in the stored order.
static fv_status gate_order(fv_sem *s, const char *letters, int *position) {
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
    FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, 0, 0), fv_sem_dim(s, i, 0), "the batch dims"));
    FV_TRY(fv_sem_same_dim(s, hidden, fv_sem_dim(s, i, 1), "the dims of the states"));
  }
  FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, 0, 1), fv_sem_dim(s, w, 1), "the last dims of x and w"));
  FV_TRY(fv_sem_same_dim(s, hidden, fv_sem_dim(s, w + 1, 1), "the last dims of h and r"));
  for (int i = w; i < w + 4; i++) {
    if (!fv_sem_has(s, i))
      continue;
    if (i >= w + 2)
      FV_TRY(fv_sem_want_rank(s, i, 1, 1));
    FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, i, 0), rows,
                           fv_arena_printf(s->arena,
                                           "the first dim of '%s' and %d times the "
                                           "dim of h",
                                           fv_sem_operand_name(s, i), n_gate)));
  }
  return FV_OK;
}

static fv_value *param(fv_sem *s, int operand) {
  return fv_sb_widen(s, fv_sem_param(s, operand));
}

// Gate number `position` of v along `axis`: v[position * hidden .. + hidden].
static fv_value *gate(fv_sem *s, fv_value *v, int position, int axis) {
  const fv_expr *hidden = fv_sem_dim(s, 1, 1);
  const fv_expr *start = fv_x_mul(s->pool, hidden, fv_x_i64(s->pool, position));
  return v ? fv_sb_slice(s, v, axis, start, fv_x_add(s->pool, start, hidden)) : NULL;
}

static fv_status finish(fv_sem *s, int n, fv_value **v) {
  for (int i = 0; i < n; i++)
    v[i] = fv_sb_cast(s, v[i], fv_sem_type(s, 0)->dtype);
  return fv_sem_results(s, n, v);
}

fv_status fv_sem_gru_cell(fv_sem *s) {
  enum { X, H, W, R, WB, RB };
  enum { RESET, UPDATE, NEW };
  int position[3] = {0};
  FV_TRY(check_cell(s, 1, 3));
  FV_TRY(gate_order(s, "rzn", position));
  fv_sem_begin_expansion(s);
  fv_value *h = param(s, H);
  fv_value *gx = fv_sb_linear(s, param(s, X), param(s, W), param(s, WB));
  fv_value *rw = param(s, R);
  fv_value *rb = param(s, RB);
  const bool all_at_once = fv_attr_bool(s->node, "linear_before_reset");
  fv_value *gh = all_at_once ? fv_sb_linear(s, h, rw, rb) : NULL;
  fv_value *sum[2];
  for (int i = RESET; i <= UPDATE; i++) {
    fv_value *from_h =
        all_at_once ? gate(s, gh, position[i], 1)
                    : fv_sb_linear(s, h, gate(s, rw, position[i], 0), gate(s, rb, position[i], 0));
    sum[i] = fv_sb_1(s, FV_OP_sigmoid, add(s, gate(s, gx, position[i], 1), from_h));
  }
  fv_value *from_h = all_at_once
                         ? mul(s, sum[RESET], gate(s, gh, position[NEW], 1))
                         : fv_sb_linear(s, mul(s, sum[RESET], h), gate(s, rw, position[NEW], 0),
                                        gate(s, rb, position[NEW], 0));
  fv_value *n = fv_sb_1(s, FV_OP_tanh, add(s, gate(s, gx, position[NEW], 1), from_h));
  fv_value *keep = fv_sb_2(s, FV_OP_sub, fv_sb_full_like(s, n, 1), sum[UPDATE]);
  fv_value *y = add(s, mul(s, keep, n), mul(s, sum[UPDATE], h));
  return finish(s, 1, &y);
}

fv_status fv_sem_lstm_cell(fv_sem *s) {
  enum { X, H, C, W, R, WB, RB };
  int position[4] = {0};
  FV_TRY(check_cell(s, 2, 4));
  FV_TRY(gate_order(s, "ifgo", position));
  fv_sem_begin_expansion(s);
  fv_value *sum = add(s, fv_sb_linear(s, param(s, X), param(s, W), param(s, WB)),
                      fv_sb_linear(s, param(s, H), param(s, R), param(s, RB)));
  fv_value *i = fv_sb_1(s, FV_OP_sigmoid, gate(s, sum, position[0], 1));
  fv_value *f = fv_sb_1(s, FV_OP_sigmoid, gate(s, sum, position[1], 1));
  fv_value *g = fv_sb_1(s, FV_OP_tanh, gate(s, sum, position[2], 1));
  fv_value *o = fv_sb_1(s, FV_OP_sigmoid, gate(s, sum, position[3], 1));
  fv_value *c = add(s, mul(s, f, param(s, C)), mul(s, i, g));
  fv_value *v[] = {mul(s, o, fv_sb_1(s, FV_OP_tanh, c)), c};
  return finish(s, 2, v);
}
