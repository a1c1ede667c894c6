// SPDX-License-Identifier: Apache-2.0
// The family scatter: the result is filled with its base, then each point is written.
//
// An index of the points is free if an axis of the target is that index and otherwise the same
// for all points: points that differ in it never meet. Blocks and lanes run over free indices;
// the others are gone through in row-major order within a block, so that what points do that
// meet depends on no number of threads and on no vector width.
#include "lower/lines.h"
#include "lower/map.h"

typedef struct scatter {
  lw_kernel k;
  const fv_expr *value, *offset, *check;
  lw_lines free;
  lw_loops ordered;
} scatter;

// The axis of the result that moves with a free index, or -1.
static int free_axis(fv_xpool *p, int rank, const fv_expr *const *target, const fv_expr *index) {
  for (int d = 0; d < rank; d++)
    if (!fv_x_has(fv_x_sub(p, target[d], index), FV_XF_INDEX | FV_XF_LOAD))
      return d;
  return -1;
}

static void point(void *user, lw_emit *e) {
  scatter *s = user;
  if (s->check)
    lw_emit_check(e, s->check);  // before anything out of bounds is touched
  lw_emit_store(e, s->k.out_kbuf, s->offset, lw_emit_expr(e, s->value));
}

static void block(void *user, lw_emit *e, fv_kv lo, fv_kv hi) {
  scatter *s = user;
  fv_kb *kb = s->k.kb;
  lw_emit in = *e;
  for (int i = 0; i < s->ordered.n; i++) {
    lw_bind(&in, s->ordered.index[i],
            fv_kb_for(kb, fv_kb_i64(kb, 0), lw_emit_host(&s->k, s->ordered.extent[i]), 1));
  }
  lw_each_line(&s->free, &in, lo, hi, point, s);
  for (int i = 0; i < s->ordered.n; i++)
    fv_kb_end(kb);
}

static void write_points(lw *l, const lw_group *g) {
  fv_xpool *p = l->pool;
  const fv_nest *t = &g->root->meaning->nest;
  scatter s = {.check = NULL};
  const fv_expr *index[FV_MAX_LOOPS], *target[FV_MAX_RANK];
  lw_kernel_begin(&s.k, l, g, false);
  const int rank = s.k.out_type.rank;
  for (int i = 0; i < t->n_par; i++)
    index[i] = lw_new_index(&s.k, t->extent[i]);
  for (int d = 0; d < rank; d++)
    target[d] = lw_inline(&s.k, g->root, t->target[d], index);
  for (int i = 0; i < t->n_par; i++) {
    const int axis = free_axis(p, rank, target, index[i]);
    lw_add_loop(axis < 0 ? &s.ordered : &s.free.loops, index[i], t->extent[i]);
    s.free.columns = axis < 0 ? s.free.columns : axis == rank - 1;
  }
  const fv_expr *offset = fv_type_offset(p, &s.k.out_type, target);
  const fv_expr *value = lw_nest_value(&s.k, g->root, index);
  if (t->combine != FV_COMBINE_NONE) {
    const int o = lw_operand_of(&s.k, s.k.out, 0, &s.k.out_type);
    const fv_expr *old = fv_x_load(p, s.k.out_type.dtype, (uint32_t)o, 1, &offset);
    value = fv_x_op(p, fv_combine_op(t->combine), old, value, NULL);
  }
  const fv_expr *all[] = {value, offset,
                          t->check ? lw_inline(&s.k, g->root, t->check, index) : NULL};
  lw_collapse(l, &s.free.loops, all, 3);
  s.value = all[0], s.offset = all[1], s.check = all[2];
  lw_launch_lines(&s.k, &s.free, s.value, lw_points(p, &s.ordered), block, &s);
}

static fv_status emit(lw *l, const lw_group *g) {
  const fv_nest base = fv_nest_base(&g->root->meaning->nest, &g->root->out[0]->type);
  FV_TRY(lw_map_nest(l, g, &base));
  write_points(l, g);
  return FV_OK;
}

static lw_why match(lw *l, const fv_node *n) {
  (void)l;
  return lw_is_nest(n, FV_NEST_SCATTER) ? NULL : lw_other_kind;
}

const lw_family lw_family_scatter = {
    .name = "scatter",
    .match = match,
    .takes = lw_takes_once,
    .takes_nothing = "a scatter is made point by point: only maps are computed within it",
    .alone = "it is made point by point, by a kernel of its own",
    .composes = lw_composes_all,
    .emit = emit,
    .maps_only = true};
