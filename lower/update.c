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

static int axis_of(const fv_node *n) {
  const int axis = (int)fv_attr_int(n, "axis");
  return axis < 0 ? axis + n->in[1]->type.rank : axis;
}

// The run may fail later, and then has changed nothing: the rows are behind the
// valid length, which grows with the commit alone. And nobody else reads the
// state, who could see them.
static lw_why match(lw *l, const fv_node *n) {
  const fv_node *read = n->op == FV_OP_tensor_scatter ? n->in[0]->def : NULL;
  if (!read || read->op != FV_OP_state_read || !becomes_next(l, n, read))
    return lw_other_kind;
  const int64_t number = fv_attr_int(read, "state");
  const fv_state *s = l->module->state[number];
  if (s->length_axis < 0 || s->length_axis != axis_of(n))
    return "the state has no valid length along the axis of the update";
  if (fv_prove_le(l->pool, fv_x_sym(l->pool, s->length), fv_attr_get(n, "position")->x) != FV_YES)
    return "the update may change valid rows";
  return l->state_uses[number] == 1 ? NULL : "the state is read elsewhere, too";
}

static lw_why takes(lw *l, const lw_group *g, const fv_node *n) {
  (void)l, (void)g, (void)n;
  return NULL;  // each new element is computed once
}

static bool composes(lw *l, const fv_node *n, int operand) {
  (void)l, (void)n;
  return operand == 1;
}

static fv_status emit(lw *l, const lw_group *g) {
  fv_xpool *p = l->pool;
  const fv_node *n = g->root, *read = n->in[0]->def;
  const fv_value *update = n->in[1];
  const fv_state *state = l->module->state[fv_attr_int(read, "state")];
  const int axis = axis_of(n);
  const fv_expr *position = fv_attr_get(n, "position")->x;
  fv_linst *check = lw_new_inst(l, FV_H_CHECK, fv_node_span(n));
  const fv_expr *end = fv_x_add(p, position, update->type.dim[axis]);
  fv_str rows = {.arena = l->arena};
  fv_x_print(p, &rows, state->type.dim[axis]);
  check->x = fv_x_op(p, FV_X_LE, end, n->out[0]->type.dim[axis], NULL);
  check->text =
      fv_arena_printf(l->arena, "state '%s' is full: it holds %s rows", state->name, rows.data);
  const lw_copy c = {.group = g,
                     .src = update,
                     .dst_buffer = lw_state_buffer(l, read, FV_SPACE_STATE),
                     .dst = update->type,
                     .within = &n->out[0]->type,
                     .shift_axis = axis,
                     .shift = position};
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
                                    .composes = composes,
                                    .emit = emit,
                                    .maps_only = true,
                                    .in_place = true};
