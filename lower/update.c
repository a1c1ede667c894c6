// SPDX-License-Identifier: Apache-2.0
// The family update: new rows of a state, written behind the valid ones in place.
#include "lower/copy.h"

// The write that makes the result of n the next version of the state that it reads.
static bool becomes_next(lw *l, const fv_node *n, const fv_node *read) {
  const fv_expr *member = fv_attr_get(read, "member")->x;
  for (const fv_use *u = fv_uses_of(&l->uses, n->out[0]); u; u = u->next)
    if (u->node && u->node->op == FV_OP_state_write && u->region == n->region &&
        fv_attr_int(u->node, "state") == fv_attr_int(read, "state") &&
        fv_attr_get(u->node, "member")->x == member)
      return true;
  return false;
}

// A scatter of rows: the value at each point is the element of an operand there, and the target
// is the point itself but for one axis, along which it begins at `start`.
typedef struct row_write {
  int axis;
  const fv_expr *start;
  int operand;
} row_write;

static bool loads_own(const fv_expr *x, int n) {
  if (x->kind != FV_E_LOAD || x->n != n)
    return false;
  for (int i = 0; i < n; i++)
    if (x->arg[i]->kind != FV_E_INDEX || x->arg[i]->ref != (uint32_t)i)
      return false;
  return true;
}

static bool writes_rows(lw *l, const fv_node *n, row_write *out) {
  if (!lw_is_nest(n, FV_NEST_SCATTER))
    return false;
  const fv_nest *t = &n->meaning->nest;
  const int rank = n->out[0]->type.rank;
  if (t->combine != FV_COMBINE_NONE || t->n_par != rank || !loads_own(t->base, rank) ||
      !loads_own(t->value, rank))
    return false;
  *out = (row_write){.axis = -1, .operand = (int)t->value->ref};
  for (int d = 0; d < rank; d++) {
    const fv_expr *start = fv_x_sub(l->pool, t->target[d], fv_x_index(l->pool, (uint32_t)d));
    int64_t zero;
    if (fv_x_is_lit(start, &zero) && zero == 0 && t->extent[d] == n->out[0]->type.dim[d])
      continue;
    if (out->axis >= 0 || fv_x_has(start, FV_XF_INDEX | FV_XF_LOAD))
      return false;
    out->axis = d;
    out->start = start;
  }
  return out->axis >= 0;
}

// The run may fail later, and then has changed nothing: the rows are behind the
// valid length, which grows with the commit alone. And nobody else reads the
// state, who could see them.
static lw_why match(lw *l, const fv_node *n) {
  row_write w;
  if (!writes_rows(l, n, &w))
    return lw_other_kind;
  const fv_node *read = n->in[n->meaning->nest.base->ref]->def;
  if (!read || read->op != FV_OP_state_read || !becomes_next(l, n, read))
    return lw_other_kind;
  const int64_t number = fv_attr_int(read, "state");
  const fv_state *s = l->module->state[number];
  if (s->length_axis < 0 || s->length_axis != w.axis)
    return "the state has no valid length along the axis of the update";
  if (fv_prove_le(l->pool, fv_x_sym(l->pool, s->length), w.start) != FV_YES)
    return "the update may change valid rows";
  return l->state_uses[number] == 1 ? NULL : "the state is read elsewhere, too";
}

static lw_why takes(lw *l, const lw_group *g, const fv_node *n) {
  (void)l, (void)g, (void)n;
  return NULL;  // each new element is computed once
}

static bool composes(lw *l, const fv_node *n, int operand) {
  row_write w;
  return writes_rows(l, n, &w) && operand == w.operand;
}

static fv_status emit(lw *l, const lw_group *g) {
  fv_xpool *p = l->pool;
  const fv_node *n = g->root, *read = n->in[n->meaning->nest.base->ref]->def;
  row_write w;
  FV_CHECK(l->arena, writes_rows(l, n, &w));
  const fv_value *update = n->in[w.operand];
  const fv_state *state = l->module->state[fv_attr_int(read, "state")];
  fv_linst *check = lw_new_inst(l, FV_H_CHECK, fv_node_span(n));
  const fv_expr *end = fv_x_add(p, w.start, update->type.dim[w.axis]);
  fv_str rows = {.arena = l->arena};
  fv_x_print(p, &rows, state->type.dim[w.axis]);
  check->x = fv_x_op(p, FV_X_LE, end, n->out[0]->type.dim[w.axis], NULL);
  check->text =
      fv_arena_printf(l->arena, "state '%s' is full: it holds %s rows", state->name, rows.data);
  const lw_copy c = {.group = g,
                     .src = update,
                     .dst_buffer = lw_state_buffer(l, read, FV_SPACE_STATE),
                     .dst = update->type,
                     .within = &n->out[0]->type,
                     .shift_axis = w.axis,
                     .shift = w.start};
  lw_copy_map(l, &c);
  l->buffer[n->out[0]->id] = c.dst_buffer;
  return FV_OK;
}

const lw_family lw_family_update = {.name = "update",
                                    .match = match,
                                    .takes = takes,
                                    .takes_nothing =
                                        "the new rows of a state are written one by "
                                        "one",
                                    .alone = "it writes its rows into the state, in place",
                                    .composes = composes,
                                    .emit = emit,
                                    .maps_only = true,
                                    .in_place = true};
