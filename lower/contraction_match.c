// SPDX-License-Identifier: Apache-2.0
// Sums of products, recognized by what is computed, not by the op.
#include "lower/compose.h"
#include "lower/contraction.h"

int lw_axis_loop(const fv_expr *b, int axis) {
  const fv_expr *x = b->arg[axis];
  for (int k = 0; x->kind == FV_E_OP && x->op == FV_X_MIN && k < 2; k++)
    if (x->arg[k]->kind == FV_E_INDEX && !fv_x_has(x->arg[1 - k], FV_XF_INDEX | FV_XF_LOAD))
      return (int)x->arg[k]->ref;
  return x->kind == FV_E_INDEX ? (int)x->ref : -1;
}

const fv_expr *lw_axis_index(fv_xpool *p, const fv_expr *b, int axis, const fv_expr *index) {
  const fv_expr *x = b->arg[axis];
  return x->kind == FV_E_INDEX
             ? index
             : fv_x_op(p, FV_X_MIN, index, x->arg[x->arg[0]->kind == FV_E_INDEX], NULL);
}

// Bare: an operand at distinct loop indices, as packing needs it. One that is cut (of a dim
// that may be 1) is of the grid: columns and sums run over whole axes.
static bool bare_load(const fv_nest *t, const fv_expr *e) {
  if (e->kind != FV_E_LOAD || e->ref == FV_NEST_ACC)
    return false;
  for (int i = 0; i < e->n; i++) {
    const int loop = lw_axis_loop(e, i);
    if (loop < 0 || (e->arg[i]->kind != FV_E_INDEX && loop >= t->n_par))
      return false;
    for (int j = 0; j < i; j++)
      if (lw_axis_loop(e, j) == loop)
        return false;
  }
  return true;
}

static bool reduces_in(lw *l, const fv_nest *t, const fv_expr *x) {
  for (int i = t->n_par; i < t->n_par + t->n_red; i++)
    if (fv_x_uses_index(l->pool, x, (uint32_t)i))
      return true;
  return false;
}

typedef struct columns {
  lw *l;
  const fv_nest *nest;
  const fv_expr *load;
} columns;

static void look_columns(void *user, const fv_expr *load) {
  columns *c = user;
  if (reduces_in(c->l, c->nest, load))
    c->load = load;
}

static const fv_expr *stand_in(void *user, const fv_expr *e) {
  columns *c = user;
  return e == c->load ? fv_x_load(c->l->pool, (fv_dtype)e->dtype, FV_NEST_ACC, 0, NULL) : e;
}

// The factor is a function of one bare load and of what stands still along the reduced indices
// and the rows (an offset of its column, say). What it is over that load; NULL: it is none.
static const fv_expr *over_columns(lw *l, const fv_nest *t, const fv_expr *x,
                                   const fv_expr **out_load) {
  columns c = {.l = l, .nest = t};
  lw_each_load(l, x, look_columns, &c);
  if (!c.load || !bare_load(t, c.load))
    return NULL;
  const fv_expr *factor = fv_x_rewrite(l->pool, x, stand_in, &c);
  for (int i = 0; i < t->n_par + t->n_red; i++)
    if (fv_x_uses_index(l->pool, factor, (uint32_t)i) &&
        (i >= t->n_par || !fv_x_uses_index(l->pool, c.load, (uint32_t)i)))
      return NULL;
  *out_load = c.load;
  return factor;
}

static bool match_factors(lw *l, const fv_node *n, const fv_expr *a, const fv_expr *x,
                          lw_contraction *out) {
  const fv_nest *t = &n->meaning->nest;
  const fv_expr *b, *factor = over_columns(l, t, x, &b);
  if (!factor)
    return false;
  for (int i = t->n_par; i < t->n_par + t->n_red; i++)
    if (!fv_x_uses_index(l->pool, b, (uint32_t)i) || !fv_x_uses_index(l->pool, a, (uint32_t)i))
      return false;
  for (int i = t->n_par - 1; i >= 0; i--) {
    int64_t extent;
    if (fv_x_uses_index(l->pool, a, (uint32_t)i) || !fv_x_uses_index(l->pool, b, (uint32_t)i))
      continue;
    if (fv_x_is_lit(t->extent[i], &extent) && extent < 8)
      continue;
    int axis = 0;
    while (lw_axis_loop(b, axis) != i)
      axis++;
    if (b->arg[axis]->kind != FV_E_INDEX)
      continue;
    *out = (lw_contraction){a, b, factor, .b_operand = (int)b->ref, .col = i, .col_axis = axis};
    return true;
  }
  return false;
}

bool lw_match_contraction(lw *l, const fv_node *n, lw_contraction *out) {
  if (!n->meaning || n->meaning->kind != FV_MEANS_NEST)
    return false;
  const fv_nest *t = &n->meaning->nest;
  const fv_expr *v = t->value;
  if (t->form != FV_NEST_REDUCE || t->combine != FV_COMBINE_SUM || t->check || v->kind != FV_E_OP ||
      v->op != FV_X_MUL || v->dtype == FV_bool)
    return false;
  lw_contraction s[2];
  const bool ok[2] = {match_factors(l, n, v->arg[0], v->arg[1], &s[0]),
                      match_factors(l, n, v->arg[1], v->arg[0], &s[1])};
  if (!ok[0] && !ok[1])
    return false;
  int pick = ok[0] ? 0 : 1;
  if (ok[0] && ok[1]) {
    const fv_value *w[2] = {n->in[s[0].b_operand], n->in[s[1].b_operand]};
    const bool constant[2] = {w[0]->def && w[0]->def->op == FV_OP_constant,
                              w[1]->def && w[1]->def->op == FV_OP_constant};
    if (constant[0] != constant[1])
      pick = constant[0] ? 0 : 1;
    else
      pick = s[0].col > s[1].col ? 0 : 1;  // columns contiguous in the result
  }
  *out = s[pick];
  return true;
}
