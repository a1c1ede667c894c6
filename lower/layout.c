// SPDX-License-Identifier: Apache-2.0
// Which values are stored with their channels in blocks of 16.
//
// A convolution makes 16 channels of one pixel at a time. Stored row-major they
// lie a whole image apart; in blocks they are one vector store. So the result
// of a contraction whose columns are not its last axis is blocked, and so are
// maps over blocked values of the same dims. Consumers compose their loads from
// the layout of the type, so any nest may read a blocked value; what reads whole
// buffers (loops, states, outputs, kernel ops) gets them row-major.
#include "lower/blocking.h"
#include "lower/emit.h"

typedef struct layouts {
  lw *l;
  bool *plain;  // by value id: some user reads the buffer as it lies
} layouts;

static void find_plain_users(layouts *s) {
  const fv_uses *uses = &s->l->uses;
  for (uint32_t v = 0; v < uses->n_value; v++)
    for (const fv_use *u = uses->first[v]; u && !s->plain[v]; u = u->next)
      s->plain[v] = !lw_use_composes(s->l, u);
}

// The axis of v whose blocks would be vectors, or -1.
static int blocked_axis(const layouts *s, const fv_value *v, int axis) {
  int64_t channels;
  if (s->plain[v->id] || axis < 0 || axis == v->type.rank - 1 || v->type.rank < 3 ||
      !fv_x_is_lit(v->type.dim[axis], &channels) || channels % LW_PANEL != 0)
    return -1;
  return axis;
}

static void block(lw *l, const fv_value *v, int axis) {
  fv_layout y = {0};
  for (int i = 0; i < v->type.rank; i++)
    y.piece[y.n++] =
        (fv_layout_piece){.axis = (uint8_t)i, .block = i == axis ? (uint16_t)LW_PANEL : 0};
  y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)axis, .inner = 1, .block = LW_PANEL};
  l->layout[v->id] = y;
}

void lw_choose_layouts(lw *l, fv_graph *g) {
  layouts s = {.l = l, .plain = FV_NEW_N(l->arena, bool, l->n_value)};
  l->layout = FV_NEW_N(l->arena, fv_layout, l->n_value);
  find_plain_users(&s);
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n)) {
    const lw_group *gr = n->n_out ? l->group[n->out[0]->id] : NULL;
    if (!gr || gr->root != n || !gr->family->blocked_axis)
      continue;
    const int axis = blocked_axis(&s, n->out[0], gr->family->blocked_axis(l, gr));
    if (axis >= 0)
      block(l, n->out[0], axis);
  }
}
