// SPDX-License-Identifier: Apache-2.0
// Family attention: what is computed of a tile of keys; see attention.c.
#include "lower/attention.h"

#include "lower/long_sum.h"

//===-- Scores --------------------------------------------------------------------===//

// s[r][j] = q[r] . k[j] for a tile of rows whose first is row0 of the block and a panel of keys.
static void scores(lw_att *a, fv_kv row0, fv_kv panel) {
  fv_kb *kb = a->k.kb;
  fv_arena *ar = a->k.l->arena;
  fv_kv *acc = FV_NEW_N(ar, fv_kv, a->rows * a->vectors), *base = FV_NEW_N(ar, fv_kv, a->rows);
  fv_kv *k = FV_NEW_N(ar, fv_kv, a->vectors);
  const fv_kv zero = fv_kb_const_f(kb, a->t, a->lanes, 0);
  for (int i = 0; i < a->rows * a->vectors; i++)
    acc[i] = fv_kb_var(kb, zero);
  for (int r = 0; r < a->rows; r++)
    base[r] = fv_kb_mul(kb, fv_kb_add(kb, row0, lw_i64(a, r)), lw_i64(a, a->k_stride));
  const int unroll = a->head % 4 == 0 ? 4 : 1;
  const fv_kv d0 = fv_kb_for(kb, lw_i64(a, 0), lw_i64(a, a->head), unroll);
  for (int u = 0; u < unroll; u++) {
    const fv_kv d = fv_kb_add(kb, d0, lw_i64(a, u));
    for (int v = 0; v < a->vectors; v++)
      k[v] = fv_kb_load(kb, a->s_k,
                        lw_at2(a, d, a->keys, fv_kb_add(kb, panel, lw_i64(a, v * a->lanes))),
                        a->lanes, FV_K_NONE);
    for (int r = 0; r < a->rows; r++) {
      const fv_kv q = fv_kb_splat(
          kb, fv_kb_load(kb, a->s_q, fv_kb_add(kb, base[r], d), 1, FV_K_NONE), a->lanes);
      for (int v = 0; v < a->vectors; v++) {
        const fv_kv var = acc[r * a->vectors + v];
        fv_kb_set(kb, var, fv_kb_mad(kb, q, k[v], fv_kb_get(kb, var)));
      }
    }
  }
  fv_kb_end(kb);
  for (int r = 0; r < a->rows; r++)
    for (int v = 0; v < a->vectors; v++)
      fv_kb_store(kb, a->s_s, fv_kb_add(kb, panel, lw_i64(a, r * a->keys + v * a->lanes)),
                  fv_kb_get(kb, acc[r * a->vectors + v]), FV_K_NONE);
}

// The same for one row, a key at a time.
static void scores_of_row(lw_att *a, fv_kv count) {
  fv_kb *kb = a->k.kb;
  const fv_kv j = fv_kb_for(kb, lw_i64(a, 0), count, 1);
  const fv_kv base = fv_kb_mul(kb, j, lw_i64(a, a->k_stride));
  const fv_kv sum = fv_kb_var(kb, fv_kb_const_f(kb, a->t, a->lanes, 0));
  const fv_kv d = fv_kb_for(kb, lw_i64(a, 0), lw_i64(a, a->k_stride), a->lanes);
  fv_kb_set(kb, sum,
            fv_kb_mad(kb, fv_kb_load(kb, a->s_q, d, a->lanes, FV_K_NONE),
                      fv_kb_load(kb, a->s_k, fv_kb_add(kb, base, d), a->lanes, FV_K_NONE),
                      fv_kb_get(kb, sum)));
  fv_kb_end(kb);
  const fv_kv all = fv_kb_get(kb, sum);
  fv_kb_store(kb, a->s_s, j, a->lanes > 1 ? fv_kb_reduce(kb, FV_X_ADD, all) : all, FV_K_NONE);
  fv_kb_end(kb);
}

// First and one past the last key that query i may see by position.
void lw_att_key_range(lw_att *a, fv_kv i, fv_kv *lo, fv_kv *hi) {
  fv_kb *kb = a->k.kb;
  fv_xpool *p = a->k.l->pool;
  const fv_kv offset = lw_emit_host(&a->k, fv_x_sub(p, a->valid, a->q_len));
  const fv_kv end = fv_kb_add(kb, fv_kb_add(kb, i, offset), lw_i64(a, 1));
  const int64_t window = fv_attr_int(a->n, "window");
  *lo = lw_i64(a, 0);
  *hi = a->visible_keys;
  if (fv_attr_bool(a->n, "causal"))
    *hi = lw_op2(a, FV_X_MIN, *hi, end);
  if (window > 0)
    *lo = lw_op2(a, FV_X_MAX, *lo, fv_kb_sub(kb, end, lw_i64(a, window)));
}

// x - j, cut to the lanes of a vector.
static fv_kv relative(lw_att *a, fv_kv x, fv_kv j) {
  const fv_kv most = lw_op2(a, FV_X_MIN, fv_kb_sub(a->k.kb, x, j), lw_i64(a, a->lanes));
  return fv_kb_cast(a->k.kb, FV_i32, lw_op2(a, FV_X_MAX, most, lw_i64(a, 0)));
}

// Softcap, bias and mask of one vector of scores; -inf where unseen.
static fv_kv masked_score(lw_att *a, const lw_emit *e, fv_kv s, fv_kv j, fv_kv lo, fv_kv hi) {
  fv_kb *kb = a->k.kb;
  const double cap = fv_attr_float(a->n, "softcap");
  if (cap > 0) {
    s = fv_kb_op(kb, FV_X_TANH, lw_op2(a, FV_X_DIV, s, lw_num(a, cap)), FV_K_NONE, FV_K_NONE);
    s = lw_op2(a, FV_X_MUL, s, lw_num(a, cap));
  }
  // Lanes are compared in 32 bits, relative to j.
  const fv_kv lane = fv_kb_cast(kb, FV_i32, fv_kb_ramp(kb, lw_i64(a, 0), 1, a->lanes));
  fv_kv seen = lw_op2(a, FV_X_LT, lane, relative(a, hi, j));
  if (fv_attr_int(a->n, "window") > 0)
    seen = lw_op2(a, FV_X_AND, seen, lw_op2(a, FV_X_LE, relative(a, lo, j), lane));
  lw_emit in = *e;
  in.lanes = a->lanes;
  in.lane = (int)a->ij->ref;
  lw_bind(&in, a->ij->ref, j);
  in.count = fv_kb_sub(kb, lw_emit_host(&a->k, a->k_len), j);
  const fv_expr *const both[] = {a->bias, a->mask};
  for (int i = 0; i < 2; i++) {
    if (!both[i])
      continue;
    const fv_kv m = lw_emit_expr(&in, both[i]);
    if (fv_kb_dtype(kb, m) == FV_bool) {
      seen = lw_op2(a, FV_X_AND, seen, m);
      continue;
    }
    const fv_kv f = fv_kb_cast(kb, a->t, m);
    seen = lw_op2(a, FV_X_AND, seen, lw_op2(a, FV_X_NE, f, lw_num(a, -__builtin_inf())));
    s = lw_op2(a, FV_X_ADD, s, f);
  }
  const fv_kv hidden = fv_kb_const_f(kb, a->t, a->lanes, -__builtin_inf());
  return fv_kb_op(kb, FV_X_SELECT, seen, s, hidden);
}

// Masks a row of scores; returns the largest. A NaN is passed over here: it makes the sum NaN.
static fv_kv mask_row(lw_att *a, const lw_emit *e, fv_kv r, fv_kv j0, fv_kv count) {
  fv_kb *kb = a->k.kb;
  fv_kv lo, hi;
  lw_att_key_range(a, lw_index_value(e, a->ii->ref), &lo, &hi);
  const fv_kv top = fv_kb_var(kb, fv_kb_const_f(kb, a->t, a->lanes, -__builtin_inf()));
  const fv_kv c = fv_kb_for(kb, lw_i64(a, 0), count, a->panel);
  for (int v = 0; v < a->vectors; v++) {
    const fv_kv jj = fv_kb_add(kb, c, lw_i64(a, v * a->lanes)), at = lw_at2(a, r, a->keys, jj);
    const fv_kv s = masked_score(a, e, fv_kb_load(kb, a->s_s, at, a->lanes, FV_K_NONE),
                                 fv_kb_add(kb, j0, jj), lo, hi);
    const fv_kv old = fv_kb_get(kb, top);
    fv_kb_store(kb, a->s_s, at, s, FV_K_NONE);
    fv_kb_set(kb, top, fv_kb_op(kb, FV_X_SELECT, lw_op2(a, FV_X_LT, old, s), s, old));
  }
  fv_kb_end(kb);
  return a->lanes > 1 ? fv_kb_reduce(kb, FV_X_MAX, fv_kb_get(kb, top)) : fv_kb_get(kb, top);
}

// What exp takes off the scores of a row whose largest is m: a row that sees
// nothing stays at exp(-inf) = 0.
static fv_kv base_of(lw_att *a, fv_kv m) {
  const fv_kv none = lw_op2(a, FV_X_EQ, m, lw_num(a, -__builtin_inf()));
  return fv_kb_op(a->k.kb, FV_X_SELECT, none, lw_num(a, 0), m);
}

// By what sums of exp(s - old) are multiplied when the largest is m.
static fv_kv factor_of(lw_att *a, fv_kv old, fv_kv m) {
  const fv_kv gap = lw_op2(a, FV_X_SUB, old, base_of(a, m));
  return fv_kb_op(a->k.kb, FV_X_EXP, gap, FV_K_NONE, FV_K_NONE);
}

// Scores of a row become exp(s - base); returns their sum.
static fv_kv exp_row(lw_att *a, fv_kv r, fv_kv base, fv_kv count) {
  fv_kb *kb = a->k.kb;
  const fv_kv sum = fv_kb_var(kb, fv_kb_const_f(kb, a->t, a->lanes, 0));
  const fv_kv c = fv_kb_for(kb, lw_i64(a, 0), count, a->panel);
  for (int v = 0; v < a->vectors; v++) {
    const fv_kv at = lw_at2(a, r, a->keys, fv_kb_add(kb, c, lw_i64(a, v * a->lanes)));
    const fv_kv s = fv_kb_load(kb, a->s_s, at, a->lanes, FV_K_NONE);
    const fv_kv p = fv_kb_op(kb, FV_X_EXP, lw_op2(a, FV_X_SUB, s, base), FV_K_NONE, FV_K_NONE);
    fv_kb_store(kb, a->s_s, at, p, FV_K_NONE);
    fv_kb_set(kb, sum, lw_op2(a, FV_X_ADD, fv_kb_get(kb, sum), p));
  }
  fv_kb_end(kb);
  return a->lanes > 1 ? fv_kb_reduce(kb, FV_X_ADD, fv_kb_get(kb, sum)) : fv_kb_get(kb, sum);
}

// m follows the largest score once that is beyond it by this much. So however slowly the scores of
// many keys rise, what the factors round is soon of no weight; and weights stay near 1.
static const double slack = 0.0625;

// Moves m and l of the tile's rows on, a vector of rows at a time: `sums` false
// after the maxima, which gives the factors, true after the sums.
static void move_rows(lw_att *a, fv_kv row0, fv_kv rows, bool sums) {
  fv_kb *kb = a->k.kb;
  for (int r = 0; r < a->rows; r += a->lanes) {
    const fv_kv at = fv_kb_add(kb, row0, lw_i64(a, r)), count = fv_kb_sub(kb, rows, lw_i64(a, r));
    const fv_kv t = fv_kb_load(kb, a->s_t, lw_i64(a, r), a->lanes, FV_K_NONE);
    const int s = sums ? a->s_l : a->s_m;
    const fv_kv old = fv_kb_load(kb, s, at, a->lanes, FV_K_NONE);
    fv_kv next;
    if (sums) {
      const fv_kv alpha = fv_kb_load(kb, a->s_a, lw_i64(a, r), a->lanes, FV_K_NONE);
      next = fv_kb_mad(kb, old, alpha, t);
    } else {
      const fv_kv beyond = lw_op2(a, FV_X_LT, lw_op2(a, FV_X_ADD, old, lw_num(a, slack)), t);
      next = fv_kb_op(kb, FV_X_SELECT, beyond, t, old);
      fv_kb_store(kb, a->s_a, lw_i64(a, r), factor_of(a, old, next), FV_K_NONE);
    }
    fv_kb_store(kb, s, at, next, a->lanes > 1 ? count : FV_K_NONE);
  }
}

// The online softmax of a tile's rows. In passes, since within a row each step
// waits for the one before.
static void soften(lw_att *a, const lw_emit *e, fv_kv row0, fv_kv rows, fv_kv j0, fv_kv count,
                   fv_kv lo) {
  fv_kb *kb = a->k.kb;
  lw_emit in = *e;
  fv_kv r = fv_kb_for(kb, lw_i64(a, 0), rows, 1);
  lw_bind(&in, a->ii->ref, fv_kb_add(kb, lo, fv_kb_add(kb, row0, r)));
  fv_kb_store(kb, a->s_t, r, mask_row(a, &in, r, j0, count), FV_K_NONE);
  fv_kb_end(kb);
  move_rows(a, row0, rows, false);
  r = fv_kb_for(kb, lw_i64(a, 0), rows, 1);
  const fv_kv m = fv_kb_load(kb, a->s_m, fv_kb_add(kb, row0, r), 1, FV_K_NONE);
  fv_kb_store(kb, a->s_t, r, exp_row(a, r, base_of(a, m), count), FV_K_NONE);
  fv_kb_end(kb);
  move_rows(a, row0, rows, true);
}

// o[r] = o[r] alpha[r] + p[r] v for a tile; `careful`: keys of weight 0 are left out. The products
// of a tile are summed apart, since each addition is off by half an eps of its sum.
static void add_values(lw_att *a, fv_kv row0, fv_kv count, bool careful) {
  fv_kb *kb = a->k.kb;
  fv_arena *ar = a->k.l->arena;
  fv_kv *acc = FV_NEW_N(ar, fv_kv, a->rows * a->vectors);
  fv_kv *val = FV_NEW_N(ar, fv_kv, a->vectors);
  const fv_kv c = fv_kb_for(kb, lw_i64(a, 0), lw_i64(a, a->v_stride), a->panel);
  for (int i = 0; i < a->rows * a->vectors; i++)
    acc[i] = fv_kb_var(kb, fv_kb_const_f(kb, a->t, a->lanes, 0));
  const int unroll = 4;
  const fv_kv j0 = fv_kb_for(kb, lw_i64(a, 0), count, unroll);
  for (int u = 0; u < unroll; u++) {
    const fv_kv j = fv_kb_add(kb, j0, lw_i64(a, u));
    for (int v = 0; v < a->vectors; v++)
      val[v] = fv_kb_load(kb, a->s_v,
                          lw_at2(a, j, a->v_stride, fv_kb_add(kb, c, lw_i64(a, v * a->lanes))),
                          a->lanes, FV_K_NONE);
    for (int r = 0; r < a->rows; r++) {
      const fv_kv p1 =
          fv_kb_load(kb, a->s_s, fv_kb_add(kb, j, lw_i64(a, r * a->keys)), 1, FV_K_NONE);
      const fv_kv p = fv_kb_splat(kb, p1, a->lanes);
      for (int v = 0; v < a->vectors; v++) {
        const fv_kv var = acc[r * a->vectors + v], old = fv_kb_get(kb, var);
        fv_kv next = fv_kb_mad(kb, p, val[v], old);
        if (careful)
          next = fv_kb_op(kb, FV_X_SELECT, lw_op2(a, FV_X_EQ, p, lw_num(a, 0)), old, next);
        fv_kb_set(kb, var, next);
      }
    }
  }
  fv_kb_end(kb);
  for (int r = 0; r < a->rows; r++) {
    const fv_kv alpha =
        fv_kb_splat(kb, fv_kb_load(kb, a->s_a, lw_i64(a, r), 1, FV_K_NONE), a->lanes);
    for (int v = 0; v < a->vectors; v++) {
      const fv_kv at = lw_at2(a, fv_kb_add(kb, row0, lw_i64(a, r)), a->v_stride,
                              fv_kb_add(kb, c, lw_i64(a, v * a->lanes)));
      const fv_kv o = fv_kb_load(kb, a->s_o, at, a->lanes, FV_K_NONE);
      const fv_kv sum = fv_kb_get(kb, acc[r * a->vectors + v]);
      fv_kb_store(kb, a->s_o, at, fv_kb_mad(kb, o, alpha, sum), FV_K_NONE);
    }
  }
  fv_kb_end(kb);
}

//===-- A tile ----------------------------------------------------------------------===//

void lw_att_tile(lw_att *a, const lw_emit *e, fv_kv j0, fv_kv count, fv_kv finite, fv_kv lo,
                 fv_kv hi) {
  fv_kb *kb = a->k.kb;
  const fv_kv row0 = fv_kb_for(kb, lw_i64(a, 0), fv_kb_sub(kb, hi, lo), a->rows);
  if (a->one_row) {
    scores_of_row(a, count);
  } else {
    const fv_kv at = fv_kb_for(kb, lw_i64(a, 0), count, a->panel);
    scores(a, row0, at);
    fv_kb_end(kb);
  }
  const fv_kv rows =
      lw_op2(a, FV_X_MIN, lw_i64(a, a->rows), fv_kb_sub(kb, fv_kb_sub(kb, hi, lo), row0));
  soften(a, e, row0, rows, j0, count, lo);
  fv_kb_if(kb, finite);
  add_values(a, row0, count, false);
  fv_kb_else(kb);
  add_values(a, row0, count, true);
  fv_kb_end(kb);
  fv_kb_end(kb);
}

//===-- Stretches of tiles ----------------------------------------------------------===//

// A sum of the stretch joins that of all before, which is `alpha` of what it was. What goes on
// with the next stretch begins at 0; of the last one the whole takes its place.
static void join_sum(lw_att *a, int s, const int *total, fv_kv at, fv_kv alpha, int lanes,
                     bool last) {
  fv_kb *kb = a->k.kb;
  const fv_kv sum = fv_kb_load(kb, total[0], at, lanes, FV_K_NONE);
  const fv_kv carry = fv_kb_load(kb, total[1], at, lanes, FV_K_NONE);
  lw_long_sum all = {lw_op2(a, FV_X_MUL, sum, alpha), lw_op2(a, FV_X_MUL, carry, alpha)};
  all = lw_long_add(kb, all, fv_kb_load(kb, s, at, lanes, FV_K_NONE));
  if (last) {
    fv_kb_store(kb, s, at, fv_kb_add(kb, all.total, all.carry), FV_K_NONE);
    return;
  }
  fv_kb_store(kb, total[0], at, all.total, FV_K_NONE);
  fv_kb_store(kb, total[1], at, all.carry, FV_K_NONE);
  fv_kb_store(kb, s, at, fv_kb_const_f(kb, a->t, lanes, 0), FV_K_NONE);
}

void lw_att_join(lw_att *a, fv_kv rows, bool last) {
  fv_kb *kb = a->k.kb;
  const fv_kv r = fv_kb_for(kb, lw_i64(a, 0), rows, 1);
  const fv_kv m = fv_kb_load(kb, a->s_m, r, 1, FV_K_NONE);
  const fv_kv alpha = factor_of(a, fv_kb_load(kb, a->s_total_m, r, 1, FV_K_NONE), m);
  join_sum(a, a->s_l, a->s_total_l, r, alpha, 1, last);
  const fv_kv c = fv_kb_for(kb, lw_i64(a, 0), lw_i64(a, a->v_stride), a->lanes);
  join_sum(a, a->s_o, a->s_total_o, lw_at2(a, r, a->v_stride, c), fv_kb_splat(kb, alpha, a->lanes),
           a->lanes, last);
  fv_kb_end(kb);
  fv_kb_store(kb, a->s_total_m, r, m, FV_K_NONE);
  fv_kb_end(kb);
}
