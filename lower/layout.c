// SPDX-License-Identifier: Apache-2.0
// Which values are stored with their channels in blocks of 16.
//
// A convolution makes 16 channels of one place at a time. Stored row-major they
// lie a whole image apart; in blocks they are one vector store. So the result
// of a contraction whose columns are not its last axis is blocked, and so are
// maps over blocked values of the same dims. Consumers compose their loads from
// the layout of the type, so any nest may read a blocked value; what reads whole
// buffers (loops, states, outputs, kernel ops) gets them row-major.
#include <string.h>

#include "lower/internal.h"

typedef struct layouts {
  lw *l;
  bool *plain;  // by value id: some user reads the buffer as it lies
} layouts;

static void find_plain_users(layouts *s, fv_graph *g) {
  for (int i = 0; i < g->region->n_result; i++)
    s->plain[g->region->result[i]->id] = true;
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n)) {
    const fv_node *read;
    const bool composes = lw_composes(n) && !lw_in_place(s->l, n, &read);
    for (int i = 0; i < n->n_in; i++)
      if (n->in[i] && !composes)
        s->plain[n->in[i]->id] = true;
    for (int i = 0; n->body && i < n->body->n_result; i++)
      s->plain[n->body->result[i]->id] = true;
  }
}

// The axis of v whose blocks would be vectors, or -1.
static int blocked_axis(const layouts *s, const fv_value *v, int axis) {
  int64_t channels;
  if (s->plain[v->id] || axis < 0 || axis == v->type.rank - 1 || v->type.rank < 3 ||
      !fv_x_is_lit(v->type.dim[axis], &channels) || channels % LW_BLOCK != 0)
    return -1;
  return axis;
}

static void block(lw *l, const fv_value *v, int axis) {
  fv_layout y = {0};
  for (int i = 0; i < v->type.rank; i++)
    y.piece[y.n++] =
        (fv_layout_piece){.axis = (uint8_t)i, .block = i == axis ? (uint16_t)LW_BLOCK : 0};
  y.piece[y.n++] = (fv_layout_piece){.axis = (uint8_t)axis, .inner = 1, .block = LW_BLOCK};
  l->layout[v->id] = y;
}

// The layout of an operand of the same dims, for a map.
static int axis_of_operands(lw *l, const lw_group *g) {
  lw_kernel k;
  lw_kernel_begin(&k, l, g, true);
  const fv_nest *t = &g->root->meaning->nest;
  const fv_value *out = g->root->out[0];
  const fv_expr *index[FV_MAX_LOOPS];
  for (int i = 0; i < t->n_par; i++)
    index[i] = lw_new_index(&k, t->extent[i]);
  lw_nest_value(&k, g->root, index);
  for (int o = 0; o < k.n_operand; o++) {
    const fv_type *a = &k.operand[o].type;
    bool same = a->layout.n > 0 && a->rank == out->type.rank;
    for (int d = 0; d < out->type.rank && same; d++)
      same = a->dim[d] == out->type.dim[d];
    if (same)
      return a->layout.piece[a->layout.n - 1].axis;
  }
  return -1;
}

void lw_choose_layouts(lw *l, fv_graph *g) {
  layouts s = {.l = l, .plain = FV_NEW_N(l->arena, bool, l->n_value)};
  l->layout = FV_NEW_N(l->arena, fv_layout, l->n_value);
  find_plain_users(&s, g);
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n)) {
    const lw_group *gr = n->n_out ? l->group[n->out[0]->id] : NULL;
    lw_contraction_shape shape;
    int axis = -1;
    if (!gr || gr->root != n)
      continue;
    if (gr->family == LW_CONTRACTION && lw_contraction_match(l, gr->anchor, &shape))
      axis = shape.col;
    else if (gr->family == LW_MAP && !n->meaning->nest.check)
      axis = axis_of_operands(l, gr);
    axis = blocked_axis(&s, n->out[0], axis);
    if (axis >= 0)
      block(l, n->out[0], axis);
  }
}
