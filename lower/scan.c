// SPDX-License-Identifier: Apache-2.0
// The family scan: running combines along one axis.
//
// The entries of a line are made one after another by one block, so the bits do not depend on
// the number of threads; lines that lie side by side in memory run over the lanes. A float sum
// carries what its roundings lost beside it (TwoSum), so that entry 10^7 of a line is as exact
// as the first.
#include "lower/lines.h"
#include "lower/map.h"

typedef struct scan {
  lw_kernel k;
  const fv_nest *nest;
  const fv_expr *value, *offset, *check;
  const fv_expr *along;  // the index
  lw_lines lines;        // the other indices
  fv_dtype t;            // in which it is computed
} scan;

static bool is_float_sum(const scan *s) {
  return s->nest->combine == FV_COMBINE_SUM && fv_dtype_is_float(s->t);
}

static fv_kv op2(const scan *s, fv_scalar_op op, fv_kv a, fv_kv b) {
  return fv_kb_op(s->k.kb, op, a, b, FV_K_NONE);
}

// acc = acc combined with v. `rest` is what the last sum lost, which is exact and goes into the
// next one; but for infinities, where it is NaN and counts for nothing.
static void advance(scan *s, fv_kv acc, fv_kv rest, fv_kv v) {
  fv_kb *kb = s->k.kb;
  const fv_kv old = fv_kb_get(kb, acc);
  if (rest != FV_K_NONE)
    v = op2(s, FV_X_ADD, v, fv_kb_get(kb, rest));
  const fv_kv sum = op2(s, fv_combine_op(s->nest->combine), old, v);
  fv_kb_set(kb, acc, sum);
  if (rest == FV_K_NONE)
    return;
  const fv_kv part = op2(s, FV_X_SUB, sum, old);
  const fv_kv lost = op2(s, FV_X_ADD, op2(s, FV_X_SUB, old, op2(s, FV_X_SUB, sum, part)),
                         op2(s, FV_X_SUB, v, part));
  const fv_kv nan = fv_kb_op(kb, FV_X_IS_NAN, lost, FV_K_NONE, FV_K_NONE);
  const fv_kv zero = fv_kb_const_f(kb, s->t, fv_kb_lanes(kb, lost), 0);
  fv_kb_set(kb, rest, fv_kb_op(kb, FV_X_SELECT, nan, zero, lost));
}

static void store(scan *s, lw_emit *e, fv_kv acc, fv_kv rest) {
  fv_kb *kb = s->k.kb;
  fv_kv v = fv_kb_get(kb, acc);
  if (rest != FV_K_NONE)
    v = op2(s, FV_X_ADD, v, fv_kb_get(kb, rest));
  lw_emit_store(e, s->k.out_kbuf, s->offset, v);
}

// The line, or lines side by side, at the emitter's indices.
static void line(void *user, lw_emit *at) {
  scan *s = user;
  fv_kb *kb = s->k.kb;
  const fv_kv acc = fv_kb_var(kb, lw_identity(&s->k, s->nest->combine, s->t, at->lanes));
  const fv_kv rest =
      is_float_sum(s) ? fv_kb_var(kb, fv_kb_const_f(kb, s->t, at->lanes, 0)) : FV_K_NONE;
  const fv_kv length = lw_emit_host(&s->k, s->nest->extent[s->nest->along]);
  lw_emit e = *at;
  const fv_kv i = fv_kb_for(kb, fv_kb_i64(kb, 0), length, 1);
  lw_bind(&e, s->along->ref,
          s->nest->reverse ? fv_kb_sub(kb, fv_kb_sub(kb, length, fv_kb_i64(kb, 1)), i) : i);
  if (s->check)
    lw_emit_check(&e, s->check);
  const fv_kv v = fv_kb_splat(kb, lw_emit_expr(&e, s->value), e.lanes);
  if (s->nest->exclusive)
    store(s, &e, acc, rest);
  advance(s, acc, rest, v);
  if (!s->nest->exclusive)
    store(s, &e, acc, rest);
  fv_kb_end(kb);
}

static void block(void *user, lw_emit *e, fv_kv lo, fv_kv hi) {
  scan *s = user;
  lw_each_line(&s->lines, e, lo, hi, line, s);
}

static fv_status emit(lw *l, const lw_group *g) {
  fv_xpool *p = l->pool;
  scan s = {.nest = &g->root->meaning->nest};
  const fv_nest *t = s.nest;
  const fv_expr *index[FV_MAX_LOOPS];
  lw_kernel_begin(&s.k, l, g, false);
  for (int i = 0; i < t->n_par; i++) {
    index[i] = lw_new_index(&s.k, t->extent[i]);
    if (i != t->along)
      lw_add_loop(&s.lines.loops, index[i], t->extent[i]);
  }
  s.along = index[t->along];
  const fv_expr *all[] = {lw_nest_value(&s.k, g->root, index),
                          fv_type_offset(p, &s.k.out_type, index),
                          t->check ? lw_inline(&s.k, g->root, t->check, index) : NULL};
  lw_collapse(l, &s.lines.loops, all, 3);
  s.value = all[0], s.offset = all[1], s.check = all[2];
  s.t = fv_dtype_compute((fv_dtype)s.value->dtype);
  s.lines.columns = s.lines.loops.n && t->along != t->n_par - 1;
  lw_launch_lines(&s.k, &s.lines, s.value, t->extent[t->along], block, &s);
  return FV_OK;
}

static lw_why match(lw *l, const fv_node *n) {
  (void)l;
  return lw_is_nest(n, FV_NEST_SCAN) ? NULL : lw_other_kind;
}

const lw_family lw_family_scan = {
    .name = "scan",
    .match = match,
    .takes = lw_takes_once,
    .takes_nothing = "a scan is made entry by entry: only maps are computed within it",
    .alone = "it is made entry by entry, by a kernel of its own",
    .composes = lw_composes_all,
    .emit = emit,
    .maps_only = true};
