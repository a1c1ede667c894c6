// SPDX-License-Identifier: Apache-2.0
// Grouping: which values are computed inside the kernel of their consumer.
//
// Nodes are visited from the last to the first. A node joins the group of its
// consumers when all of them are in one group and the group's family can take
// it; else it becomes the root of a group of its own. Movement is repeated in
// every consumer. What is legal is asked of the composed expressions
// themselves (lower/access.c), not of op names.
#include <string.h>

#include "lower/internal.h"

const lw_group lw_everywhere = {.root = NULL};

const char *lw_family_name(lw_family f) {
  static const char *const name[] = {
#define X(id, name, doc) name,
      FV_FAMILY_TABLE(X)
#undef X
  };
  return name[f];
}

bool lw_is_virtual(const lw *l, const fv_value *v) {
  if (!v->def || !l->group[v->id])
    return false;
  return l->group[v->id]->root != v->def;
}

enum { MAX_MEMBERS = 40 };

typedef struct use {
  struct use *next;
  fv_node *node;  // NULL: a result of a region
} use;

typedef struct grouping {
  lw *l;
  use **users;      // by value id
  fv_node **order;  // all nodes, program order
  size_t n_order, cap_order;
} grouping;

static bool is_nest(const fv_node *n) {
  return n->meaning && n->meaning->kind == FV_MEANS_NEST;
}
static bool is_map(const fv_node *n) {
  return is_nest(n) && n->meaning->nest.combine == FV_COMBINE_NONE;
}

//===-- Cost ----------------------------------------------------------------===//

// An element of the result is an element of one operand at computed indices,
// or known without data: free to repeat.
static bool pure_move(const fv_node *n) {
  if (!is_map(n) || n->meaning->nest.check)
    return false;
  const fv_expr *v = n->meaning->nest.value;
  return v->kind == FV_E_LIT || (v->kind == FV_E_LOAD && !fv_x_has(v, FV_XF_INDIRECT));
}

// Points of the iteration space of a nest, and elements of its result.
static const fv_expr *points(lw *l, const fv_node *n) {
  const fv_nest *t = &n->meaning->nest;
  const fv_expr *c = fv_x_i64(l->pool, 1);
  for (int i = 0; i < t->n_par + t->n_red; i++)
    c = fv_x_mul(l->pool, c, t->extent[i]);
  return c;
}

//===-- Legality: looking at the composed expressions -----------------------===//

typedef struct survey {
  const lw_kernel *k;
  int n_par;
  const fv_expr *const *extent;  // of the root's loops
  uint64_t rows;                 // set of root indices that reductions run over
  bool has_rows;
  bool ok;
  const fv_expr *bound;
} survey;

// Set of root indices that the arguments of a reduction name, each a bare
// index once or a literal; false if they are anything else. A root that is longer
// than the reduction along an index, such as concat, asks for rows that are not
// there.
static bool row_set(const survey *k, const fv_expr *load, uint64_t *out) {
  const fv_nest *t = &k->k->reduction[load->ref - LW_REDUCTION]->meaning->nest;
  uint64_t s = 0;
  for (int i = 0; i < load->n; i++) {
    const fv_expr *a = load->arg[i];
    if (a->kind == FV_E_LIT)
      continue;
    if (a->kind != FV_E_INDEX || (int)a->ref >= k->n_par || (s >> a->ref & 1) ||
        k->extent[a->ref] != t->extent[i])
      return false;
    s |= (uint64_t)1 << a->ref;
  }
  *out = s;
  return true;
}

static void look_at_load(void *user, const fv_expr *e) {
  survey *k = user;
  if (e->ref == LW_BOUND) {
    const fv_nest *t = &k->k->bound->meaning->nest;
    for (int i = 0; i < e->n && i < k->n_par; i++) {
      int64_t one;  // the only index of a dim of 1 is 0
      if (k->extent[i] != t->extent[i])
        k->ok = false;
      const bool single = fv_x_is_lit(k->extent[i], &one) && one == 1;
      if (!single && (e->arg[i]->kind != FV_E_INDEX || e->arg[i]->ref != (uint32_t)i))
        k->ok = false;
    }
    if (e->n != k->n_par || (k->bound && k->bound != e))
      k->ok = false;
    k->bound = e;
  } else if (e->ref >= LW_REDUCTION) {
    uint64_t s;
    if (!row_set(k, e, &s) || (k->has_rows && s != k->rows)) {
      k->ok = false;
      return;
    }
    k->rows = s;
    k->has_rows = true;
  }
}

// Does the group, as its members stand now, make a legal kernel?
static bool legal(lw *l, const lw_group *g) {
  lw_kernel k;
  lw_kernel_begin(&k, l, g, true);
  if (g->family == LW_CONTRACTION)
    k.bound = g->anchor;
  const fv_nest *t = &g->root->meaning->nest;
  const fv_expr *index[FV_MAX_LOOPS];
  for (int i = 0; i < t->n_par + t->n_red; i++)
    index[i] = lw_new_index(&k, t->extent[i]);
  survey look = {.k = &k, .n_par = t->n_par, .extent = t->extent, .ok = true};
  if (t->combine != FV_COMBINE_NONE) {  // the root itself runs over all its indices
    look.has_rows = true;
    look.rows = ((uint64_t)1 << t->n_par) - 1;
  }
  lw_each_load(l, lw_nest_value(&k, g->root, index), look_at_load, &look);
  // Values of the reductions, at the row indices, may use other reductions.
  for (int r = 0; r < k.n_reduction && look.ok; r++) {
    const fv_node *n = k.reduction[r];
    const fv_nest *m = &n->meaning->nest;
    const fv_expr *at[FV_MAX_LOOPS];
    int row = 0;
    for (int i = 0; i < m->n_par; i++) {
      while (row < t->n_par && !(look.rows >> row & 1))
        row++;
      int64_t one;
      const bool single = fv_x_is_lit(m->extent[i], &one) && one == 1;
      at[i] =
          single || row >= t->n_par ? fv_x_i64(l->pool, 0) : fv_x_index(l->pool, (uint32_t)row++);
    }
    for (int i = 0; i < m->n_red; i++)
      at[m->n_par + i] = lw_new_index(&k, m->extent[m->n_par + i]);
    lw_each_load(l, lw_nest_value(&k, n, at), look_at_load, &look);
  }
  if (g->family == LW_CONTRACTION && !look.bound && g->root != g->anchor)
    look.ok = false;
  return look.ok && !k.overflow;
}

//===-- Joining -----------------------------------------------------------------===//

// Is there a contraction upstream of v, reached through maps of single use and
// equal shape, whose epilogue v could be?
static bool epilogue_of_contraction(lw *l, const fv_node *v) {
  for (int depth = 0; depth < 8; depth++) {
    const fv_node *up = NULL;
    for (int i = 0; i < v->n_in && !up; i++) {
      const fv_value *a = v->in[i];
      if (!a || !a->def || a->def->region != v->region || l->uses[a->id] != 1 ||
          a->type.rank != v->out[0]->type.rank || !is_nest(a->def))
        continue;
      bool same = true;
      for (int d = 0; d < a->type.rank; d++)
        same = same && a->type.dim[d] == v->out[0]->type.dim[d];
      lw_contraction_shape shape;
      if (same && lw_contraction_match(l, a->def, &shape))
        return true;
      if (same && is_map(a->def) && !pure_move(a->def))
        up = a->def;
    }
    if (!up)
      return false;
    v = up;
  }
  return false;
}

// Is n the same along the last axis of its user? Then loops over a row compute
// it once, before them.
static bool once_a_row(const fv_node *n, const fv_node *user) {
  const fv_type *t = &n->out[0]->type, *u = &user->out[0]->type;
  int64_t one;
  return t->rank > 0 && t->rank == u->rank && fv_x_is_lit(t->dim[t->rank - 1], &one) && one == 1;
}

// Joining gives NULL, or the reason why not.
static lw_why join(grouping *gr, fv_node *n, lw_group *g, lw_family family, fv_node *anchor) {
  lw *l = gr->l;
  const lw_family old_family = g->family;
  fv_node *old_anchor = g->anchor;
  l->group[n->out[0]->id] = g;
  g->family = family;
  g->anchor = anchor;
  if (legal(l, g)) {
    g->size++;
    return NULL;
  }
  l->group[n->out[0]->id] = NULL;
  g->family = old_family;
  g->anchor = old_anchor;
  return "the kernel that uses it runs over other rows, or reads it at other indices";
}

static lw_why join_map(grouping *gr, fv_node *n, lw_group *g) {
  lw *l = gr->l;
  if (g->family == LW_ROW && epilogue_of_contraction(l, n))
    return "it is computed with the product before it";
  const int cost = n->meaning->nest.value->cost;
  const fv_expr *count = points(l, n);
  for (use *u = gr->users[n->out[0]->id]; u; u = u->next) {
    if (u->node == g->anchor && g->family == LW_CONTRACTION)
      return "a product reads its operands many times: only movement is computed within it";
    if (cost > 4 && points(l, u->node) != count && !once_a_row(n, u->node))
      return "its users would compute each of its elements more than once";
  }
  return join(gr, n, g, g->family, g->anchor);
}

static lw_why try_join(grouping *gr, fv_node *n, lw_group *g) {
  lw *l = gr->l;
  if (g->size >= MAX_MEMBERS)
    return "the kernel that uses it is large already";
  if (n->meaning->nest.check)
    return "it checks its operands at run time";
  if (g->family == LW_ATTENTION)
    return "attention reads its operands from memory";
  if (g->family == LW_KERNEL)
    return "a serial kernel reads its operands from memory";
  if (is_map(n))
    return join_map(gr, n, g);
  lw_contraction_shape shape;
  if (lw_contraction_match(l, n, &shape))
    return g->family == LW_MAP ? join(gr, n, g, LW_CONTRACTION, n)
                               : "a kernel computes one product, and no reduction with it";
  return g->family != LW_CONTRACTION ? join(gr, n, g, LW_ROW, g->anchor)
                                     : "a kernel computes one product, and no reduction with it";
}

// The operand that a contraction reads by columns comes from a buffer.
static bool is_column_operand(lw *l, const fv_node *user, const fv_value *v) {
  lw_contraction_shape shape;
  return lw_contraction_match(l, user, &shape) && user->in[shape.b_operand] == v;
}

// Each consumer repeats it: all are kernels of this region that compose
// expressions.
static bool everywhere(grouping *gr, const fv_node *n) {
  lw *l = gr->l;
  if (!pure_move(n))
    return false;
  for (use *u = gr->users[n->out[0]->id]; u; u = u->next) {
    if (!u->node || u->node->region != n->region)
      return false;
    if (!lw_composes(u->node) || is_column_operand(l, u->node, n->out[0]))
      return false;
  }
  return true;
}

// The one group that all users are in, or the reason why there is none.
static lw_why group_of_users(grouping *gr, const fv_node *n, lw_group **out) {
  *out = NULL;
  for (use *u = gr->users[n->out[0]->id]; u; u = u->next) {
    if (!u->node)
      return "it is a result of the graph or of a step of a loop";
    if (u->node->region != n->region)
      return "a loop uses it";
    if (!u->node->out || u->node->n_out == 0)
      return "it becomes a state";
    lw_group *g = gr->l->group[u->node->out[0]->id];
    if (!g)
      return "a loop begins with it";
    if (g == &lw_everywhere)
      return "movement that stands behind it is repeated by several kernels";
    if (*out && *out != g)
      return "several kernels use it";
    *out = g;
  }
  return *out ? NULL : "nobody uses it";
}

static void place(grouping *gr, fv_node *n) {
  lw *l = gr->l;
  if (!n->meaning)
    return;  // built-in
  lw_why why = "its kernel computes nothing else";
  if (is_nest(n)) {
    if (everywhere(gr, n)) {
      l->group[n->out[0]->id] = (lw_group *)(uintptr_t)&lw_everywhere;
      return;
    }
    lw_group *g;
    why = group_of_users(gr, n, &g);
    if (!why)
      why = try_join(gr, n, g);
    if (!why)
      return;
  }
  l->why[n->out[0]->id] = why;
  lw_group *g = FV_NEW(l->arena, lw_group);
  *g = (lw_group){.root = n, .size = 1};
  lw_contraction_shape shape;
  if (!is_nest(n)) {
    g->family = n->meaning->kind == FV_MEANS_KERNEL ? LW_KERNEL : lw_whole_of(n)->family;
    g->anchor = n;
  } else if (is_map(n)) {
    g->family = LW_MAP;
  } else if (lw_contraction_match(l, n, &shape)) {
    g->family = LW_CONTRACTION;
    g->anchor = n;
  } else {
    g->family = LW_ROW;
  }
  for (int i = 0; i < n->n_out; i++)
    l->group[n->out[i]->id] = g;
}

static void add_user(grouping *gr, const fv_value *v, fv_node *n) {
  use *u = FV_NEW(gr->l->arena, use);
  *u = (use){.next = gr->users[v->id], .node = n};
  gr->users[v->id] = u;
}

fv_status lw_group_graph(lw *l, fv_graph *g) {
  grouping gr = {.l = l};
  l->n_value = l->module->n_value;
  l->group = FV_NEW_N(l->arena, lw_group *, l->n_value);
  l->why = FV_NEW_N(l->arena, lw_why, l->n_value);
  l->uses = FV_NEW_N(l->arena, uint32_t, l->n_value);
  fv_graph_count_uses(g, l->uses);
  gr.users = FV_NEW_N(l->arena, use *, l->n_value);
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n)) {
    FV_PUSH(l->arena, gr.order, gr.n_order, gr.cap_order, n);
    for (int i = 0; i < n->n_in; i++)
      if (n->in[i])
        add_user(&gr, n->in[i], n);
    if (n->body)
      for (int i = 0; i < n->body->n_result; i++)
        add_user(&gr, n->body->result[i], NULL);
  }
  for (int i = 0; i < g->region->n_result; i++)
    add_user(&gr, g->region->result[i], NULL);
  for (size_t i = gr.n_order; i-- > 0;)
    place(&gr, gr.order[i]);
  return FV_OK;
}
