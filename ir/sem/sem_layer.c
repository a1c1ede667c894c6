// SPDX-License-Identifier: Apache-2.0
//
// Whole recurrent layers: a loop over time around a step, once a direction.
#include <string.h>

#include "ir/sem/sem_util.h"

// Operands: x, w, r, b?, lengths?, then the states' first values (h0? and c0?).
enum { X, W, R, B, LENGTHS, FIRST };

// The cell of a layer.
typedef struct cell_kind {
  const char *gates;
  int n_state, n_gate;
  void (*step)(const fv_cell *c, fv_value *gx, fv_value **state);
} cell_kind;

typedef struct layer {
  fv_sem *s;
  const cell_kind *kind;
  int position[4];   // of the gates
  bool batch_first;  // layout 1
  bool backward[2];
  int directions;
  const fv_expr *time, *batch, *hidden;
} layer;

//===-- Checks ------------------------------------------------------------===//

// A dim, and whose it is.
typedef struct named_dim {
  const fv_expr *dim;
  const char *name;
} named_dim;

static named_dim times(fv_sem *s, int n, const fv_expr *dim, const char *name) {
  return (named_dim){fv_x_mul(s->pool, dim, fv_x_i64(s->pool, n)),
                     fv_arena_printf(s->arena, "%d times %s", n, name)};
}

// Operand `i`, if it is there, has these dims.
static fv_status want_dims(const layer *y, int i, int rank, const named_dim *want) {
  fv_sem *s = y->s;
  if (!fv_sem_has(s, i))
    return FV_OK;
  FV_TRY(fv_sem_want_rank(s, i, rank, rank));
  for (int d = 0; d < rank; d++)
    FV_TRY(fv_sem_same_dim(s, fv_sem_dim(s, i, d), want[d].dim,
                           fv_arena_printf(s->arena, "axis %d of '%s' and %s", d,
                                           fv_sem_operand_name(s, i), want[d].name)));
  return FV_OK;
}

static fv_status check_operands(layer *y) {
  fv_sem *s = y->s;
  FV_TRY(fv_sem_want_float(s, X));
  FV_TRY(fv_sem_want_rank(s, X, 3, 3));
  FV_TRY(fv_sem_want_rank(s, R, 3, 3));
  for (int i = W; i < s->node->n_in; i++)
    if (fv_sem_has(s, i))
      FV_TRY(i == LENGTHS ? fv_sem_want_index(s, i) : fv_sem_same_dtype(s, X, i));
  y->time = fv_sem_dim(s, X, y->batch_first);
  y->batch = fv_sem_dim(s, X, !y->batch_first);
  y->hidden = fv_sem_dim(s, R, 2);
  const named_dim way = {fv_x_i64(s->pool, y->directions), "the number of directions"};
  const named_dim input = {fv_sem_dim(s, X, 2), "axis 2 of 'x'"};
  const named_dim hidden = {y->hidden, "axis 2 of 'r'"};
  const named_dim batch = {y->batch, y->batch_first ? "axis 0 of 'x'" : "axis 1 of 'x'"};
  const named_dim rows = times(s, y->kind->n_gate, y->hidden, hidden.name);
  const named_dim both = times(s, 2 * y->kind->n_gate, y->hidden, hidden.name);
  FV_TRY(want_dims(y, W, 3, (const named_dim[]){way, rows, input}));
  FV_TRY(want_dims(y, R, 3, (const named_dim[]){way, rows, hidden}));
  FV_TRY(want_dims(y, B, 2, (const named_dim[]){way, both}));
  FV_TRY(want_dims(y, LENGTHS, 1, &batch));
  const named_dim state[] = {y->batch_first ? batch : way, y->batch_first ? way : batch, hidden};
  for (int i = 0; i < y->kind->n_state; i++)
    FV_TRY(want_dims(y, FIRST + i, 3, state));
  return FV_OK;
}

static fv_status read_attributes(layer *y) {
  fv_sem *s = y->s;
  int direction;
  FV_TRY(fv_sem_choice(s, "direction", "forward reverse bidirectional", &direction));
  FV_TRY(fv_sem_int_in(s, "layout", 0, 1));
  FV_TRY(fv_sem_gates(s, y->kind->gates, y->position));
  y->batch_first = fv_attr_int(s->node, "layout") == 1;
  y->directions = direction == 2 ? 2 : 1;
  y->backward[0] = direction == 1;
  y->backward[1] = true;
  return FV_OK;
}

//===-- Definition --------------------------------------------------------===//

static fv_value *pick(fv_sem *s, fv_value *v, int axis, const fv_expr *index) {
  if (!v)
    return NULL;
  fv_node *n = fv_sb_node(s, FV_OP_select, 1, &v);
  fv_attr_set_int(n, "axis", axis);
  fv_attr_set_expr(n, "index", index);
  return fv_sb_done(s, n);
}

// [batch, 1]: does step `at` belong to the sequence? NULL: always.
static fv_value *is_inside(const layer *y, const fv_expr *at) {
  fv_sem *s = y->s;
  if (!fv_sem_has(s, LENGTHS))
    return NULL;
  fv_value *lengths = fv_sb_cast(s, fv_sem_param(s, LENGTHS), FV_i64);
  fv_value *step = fv_sb_range(s, at, fv_x_add(s->pool, at, fv_x_i64(s->pool, 1)));
  return fv_sb_unsqueeze(s, fv_sb_2(s, FV_OP_less, step, lengths), 1);
}

// The first values of the states of direction d; 0 where none are given.
static void first_states(const layer *y, int d, fv_value **state) {
  fv_sem *s = y->s;
  const fv_expr *dims[] = {y->batch, y->hidden};
  for (int i = 0; i < y->kind->n_state; i++) {
    if (fv_sem_has(s, FIRST + i))
      state[i] = pick(s, fv_sem_param(s, FIRST + i), y->batch_first ? 1 : 0, fv_x_i64(s->pool, d));
    else
      state[i] = fv_sb_expand_dims(s, fv_sb_scalar(s, fv_sem_type(s, X)->dtype, 0), 2, dims);
  }
}

// The cell of direction d, and *gx, w x + wb of all its steps: one product.
static fv_cell cell_of(const layer *y, int d, fv_value **gx) {
  fv_sem *s = y->s;
  fv_cell c = {.s = s, .hidden = y->hidden};
  memcpy(c.position, y->position, sizeof c.position);
  const fv_expr *which = fv_x_i64(s->pool, d), *zero = fv_x_i64(s->pool, 0);
  const fv_expr *rows = fv_x_mul(s->pool, y->hidden, fv_x_i64(s->pool, y->kind->n_gate));
  fv_value *w = fv_sb_widen(s, pick(s, fv_sem_param(s, W), 0, which)), *wb = NULL;
  c.r = fv_sb_widen(s, pick(s, fv_sem_param(s, R), 0, which));
  if (fv_sem_has(s, B)) {
    fv_value *b = fv_sb_widen(s, pick(s, fv_sem_param(s, B), 0, which));
    wb = fv_sb_slice(s, b, 0, zero, rows);
    c.rb = fv_sb_slice(s, b, 0, rows, fv_x_mul(s->pool, rows, fv_x_i64(s->pool, 2)));
  }
  *gx = fv_sb_linear(s, fv_sb_widen(s, fv_sem_param(s, X)), w, wb);
  return c;
}

// Direction d: its last states, and all h as [time, batch, hidden].
static void run_direction(const layer *y, int d, fv_value **state, fv_value **all) {
  fv_sem *s = y->s;
  fv_value *gx, *next[2], *out[3];
  const bool backward = y->backward[d];
  const fv_expr *one = fv_x_i64(s->pool, 1);
  first_states(y, d, state);
  const fv_cell cell = cell_of(y, d, &gx);
  fv_sb_loop l = fv_sb_begin_loop(s, y->time, y->kind->n_state, state);
  const fv_expr *at = l.counter;
  if (backward)
    at = fv_x_sub(s->pool, fv_x_sub(s->pool, y->time, one), at);
  for (int i = 0; i < y->kind->n_state; i++)
    next[i] = state[i];
  y->kind->step(&cell, pick(s, gx, y->batch_first ? 1 : 0, at), next);
  fv_value *inside = is_inside(y, at), *each = next[0];
  if (inside) {  // a state stands still outside of its sequence, and nothing comes out
    each = fv_sb_3(s, FV_OP_where, inside, next[0], fv_sb_full_like(s, next[0], 0));
    for (int i = 0; i < y->kind->n_state; i++)
      next[i] = fv_sb_3(s, FV_OP_where, inside, next[i], state[i]);
  }
  fv_sb_end_loop(s, &l, next, 1, &each, out);
  for (int i = 0; i < y->kind->n_state; i++)
    state[i] = out[i];
  *all = out[y->kind->n_state];
  if (backward && *all) {
    fv_node *turn = fv_sb_node(s, FV_OP_slice, 1, all);
    fv_attr_set_int(turn, "axis", 0);
    fv_attr_set_expr(turn, "start", fv_x_i64(s->pool, -1));  // if there is one
    fv_attr_set_expr(turn, "end", fv_x_i64(s->pool, -(INT64_C(1) << 48)));
    fv_attr_set_int(turn, "step", -1);
    *all = fv_sb_done(s, turn);
  }
}

// The values of both directions side by side, along a new axis.
static fv_value *join(const layer *y, fv_value *const *v, int axis) {
  fv_value *part[2] = {NULL, NULL};
  for (int d = 0; d < y->directions; d++)
    part[d] = fv_sb_unsqueeze(y->s, v[d], axis);
  return y->directions == 1 ? part[0] : fv_sb_concat(y->s, 2, part, axis);
}

static fv_status run_layer(fv_sem *s, const cell_kind *kind) {
  const int n_state = kind->n_state;
  layer y = {.s = s, .kind = kind};
  FV_TRY(read_attributes(&y));
  FV_TRY(check_operands(&y));
  fv_sem_begin_expansion(s);
  fv_value *all[2] = {NULL, NULL}, *last[2][2] = {{NULL}}, *result[3];
  for (int d = 0; d < y.directions; d++) {
    fv_value *state[2];
    run_direction(&y, d, state, &all[d]);
    for (int i = 0; i < n_state; i++)
      last[i][d] = state[i];
    if (y.batch_first && all[d])
      all[d] = fv_sb_transpose(s, all[d], 3, (const int64_t[]){1, 0, 2});
  }
  result[0] = join(&y, all, y.batch_first ? 2 : 1);
  for (int i = 0; i < n_state; i++)
    result[1 + i] = join(&y, last[i], y.batch_first ? 1 : 0);
  return fv_sem_results(s, 1 + n_state, result);
}

fv_status fv_sem_lstm(fv_sem *s) {
  static const cell_kind lstm = {FV_LSTM_GATES, 2, 4, fv_sb_lstm_step};
  return run_layer(s, &lstm);
}
fv_status fv_sem_gru(fv_sem *s) {
  static const cell_kind gru = {FV_GRU_GATES, 1, 3, fv_sb_gru_step};
  return run_layer(s, &gru);
}
