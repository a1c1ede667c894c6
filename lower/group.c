// SPDX-License-Identifier: Apache-2.0
// Grouping: which values are computed inside the kernel of their users.
//
// Nodes are visited from the last to the first. A node joins the group of its
// users when all of them are in one group and the group's family takes it; else
// it becomes the root of a group of its own. Movement is rematerialised in every
// user. What is legal is asked of the composed expressions themselves
// (lower/compose.c), not of op names.
#include "lower/group.h"

#include "lower/compose.h"
#include "lower/variant.h"

const lw_group lw_rematerialised = {.root = NULL};

bool lw_is_virtual(const lw *l, const lw_group *g, const fv_value *v) {
  const lw_group *own = v->def ? l->group[v->id] : NULL;
  return own && own->root != v->def && (own == g || !l->stored[v->id]);
}

bool lw_is_written(const lw *l, const fv_value *v) {
  const lw_group *g = v->def ? l->group[v->id] : NULL;
  return g && (g->root == v->def || l->stored[v->id]);
}

bool lw_is_nest(const fv_node *n, fv_nest_form form) {
  return n->meaning && n->meaning->kind == FV_MEANS_NEST && n->meaning->nest.form == form;
}

//===-- Cost ----------------------------------------------------------------===//

// An element of the result is an element of one operand at computed indices,
// or known without data: free to compute again.
static bool is_movement(const fv_node *n) {
  if (!lw_is_map(n) || n->meaning->nest.check)
    return false;
  const fv_expr *v = n->meaning->nest.value;
  if (v->kind == FV_E_LIT)
    return true;
  if (v->kind != FV_E_LOAD)
    return false;
  return !fv_x_has(v, FV_XF_INDIRECT);
}

// Points of the iteration space of a nest, and elements of its result.
static const fv_expr *points(lw *l, const fv_node *n) {
  const fv_nest *t = &n->meaning->nest;
  const fv_expr *c = fv_x_i64(l->pool, 1);
  for (int i = 0; i < t->n_par + t->n_red; i++)
    c = fv_x_mul(l->pool, c, t->extent[i]);
  return c;
}

// Is n the same along the last axis of its user? Then loops over a row compute
// it once, before them.
static bool once_a_row(const fv_node *n, const fv_node *user) {
  const fv_type *t = &n->out[0]->type, *u = &user->out[0]->type;
  int64_t one;
  return t->rank > 0 && t->rank == u->rank && fv_x_is_lit(t->dim[t->rank - 1], &one) && one == 1;
}

enum { CHEAP = 4 };

// Does a user, which is movement, pick so little of n that computing it again costs nothing?
static bool picks_little(lw *l, const fv_node *n, const fv_node *user) {
  enum { LITTLE = 8 };
  const fv_expr *some = fv_x_mul(l->pool, points(l, user), fv_x_i64(l->pool, LITTLE));
  return l->group[user->out[0]->id] == &lw_rematerialised &&
         fv_prove_le(l->pool, some, points(l, n)) == FV_YES;
}

lw_why lw_repeats_work(lw *l, const fv_node *n) {
  if (n->meaning->nest.value->cost <= CHEAP)
    return NULL;
  const fv_expr *count = lw_common(l, points(l, n));
  for (const fv_use *u = fv_uses_of(&l->uses, n->out[0]); u; u = u->next)
    if (lw_common(l, points(l, u->node)) != count && !once_a_row(n, u->node) &&
        !picks_little(l, n, u->node))
      return "its users would compute each of its elements more than once";
  return NULL;
}

lw_why lw_takes_once(lw *l, const lw_group *g, const fv_node *n) {
  (void)g;
  return lw_repeats_work(l, n);
}

bool lw_composes_all(lw *l, const fv_node *n, int operand) {
  (void)l, (void)n, (void)operand;
  return true;
}

// Epilogues are looked for this far.
enum { MAX_EPILOGUE = 8 };

// The operand of n, used by it alone and of its shape, that comes from a map
// (*out) or, then true is returned, from an anchor that takes n as its epilogue.
static bool operand_of_epilogue(lw *l, const fv_node *n, const fv_node **out) {
  *out = NULL;
  for (int i = 0; i < n->n_in; i++) {
    const fv_value *a = n->in[i];
    if (!a || !a->def || a->def->region != n->region || l->uses.count[a->id] != 1 ||
        a->type.rank != n->out[0]->type.rank || !a->def->meaning)
      continue;
    bool same = true;
    for (int d = 0; d < a->type.rank; d++)
      same = same && a->type.dim[d] == n->out[0]->type.dim[d];
    const lw_family *f = same ? lw_family_of(l, a->def) : NULL;
    if (f && f->has_epilogue)
      return true;
    if (f && !*out && lw_is_map(a->def) && !is_movement(a->def))
      *out = a->def;
  }
  return false;
}

bool lw_is_epilogue(lw *l, const fv_node *n) {
  for (int i = 0; n && i < MAX_EPILOGUE; i++) {
    const fv_node *before;
    if (operand_of_epilogue(l, n, &before))
      return true;
    n = before;
  }
  return false;
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

static bool is_single(const fv_expr *extent) {
  int64_t one;
  return fv_x_is_lit(extent, &one) && one == 1;
}

// Set of root indices, but for those that are always 0, that the arguments of a reduction
// name, each a bare index once or a literal; false if they are anything else. A root that is longer
// than the reduction along an index, such as concat, asks for rows that are not
// there.
static bool row_set(const survey *k, const fv_expr *load, uint64_t *out) {
  const fv_node *n = k->k->reduction[lw_reduction_number(load)];
  const fv_nest *t = &n->meaning->nest;
  const bool stored = k->k->l->stored[n->out[0]->id];
  uint64_t s = 0;
  for (int i = 0; i < load->n; i++) {
    const fv_expr *a = load->arg[i];
    if (a->kind == FV_E_LIT && (!stored || is_single(t->extent[i])))
      continue;
    if (a->kind != FV_E_INDEX || (int)a->ref >= k->n_par || (s >> a->ref & 1) ||
        k->extent[a->ref] != t->extent[i])
      return false;
    s |= (uint64_t)!is_single(t->extent[i]) << a->ref;
  }
  *out = s;
  // Without a row the blocks split the root's own indices, if it has any, and each makes it.
  for (int i = 0; stored && s == 0 && i < k->n_par; i++)
    if (!is_single(k->extent[i]))
      return false;
  return true;
}

// The anchor's value is there at the root's own indices alone.
static void survey_bound(survey *k, const fv_expr *e) {
  const fv_nest *t = &k->k->bound->meaning->nest;
  for (int i = 0; i < e->n && i < k->n_par; i++) {
    if (k->extent[i] != t->extent[i])
      k->ok = false;
    const bool own = e->arg[i]->kind == FV_E_INDEX && e->arg[i]->ref == (uint32_t)i;
    if (!own && !is_single(k->extent[i]))  // the only index of a dim of 1 is 0
      k->ok = false;
  }
  if (e->n != k->n_par || (k->bound && k->bound != e))
    k->ok = false;
  k->bound = e;
}

static void survey_load(void *user, const fv_expr *e) {
  survey *k = user;
  if (e->ref & LW_BOUND) {
    survey_bound(k, e);
  } else if (e->ref & LW_REDUCTION) {
    uint64_t s;
    if (!row_set(k, e, &s) || (k->has_rows && s != k->rows)) {
      k->ok = false;
      return;
    }
    k->rows = s;
    k->has_rows = true;
  }
}

// Row indices of a reduction, as the root sees them: dims of 1 are at 0, the
// others are the root's row indices in order.
static void row_indices(lw_kernel *k, const survey *look, const fv_nest *m, const fv_expr **at) {
  fv_xpool *p = k->l->pool;
  int row = 0;
  for (int i = 0; i < m->n_par; i++) {
    while (row < look->n_par && !(look->rows >> row & 1))
      row++;
    at[i] = is_single(m->extent[i]) || row >= look->n_par ? fv_x_i64(p, 0)
                                                          : fv_x_index(p, (uint32_t)row++);
  }
  for (int i = 0; i < m->n_red; i++)
    at[m->n_par + i] = lw_new_index(k, m->extent[m->n_par + i]);
}

// What a scatter computes besides its values: targets, and the base at indices of its own.
static void survey_scatter(lw_kernel *k, const fv_expr *const *index, survey *look) {
  const fv_node *root = k->group->root;
  const fv_type *t = &root->out[0]->type;
  const fv_expr *own[FV_MAX_RANK];
  for (int i = 0; i < t->rank; i++) {
    own[i] = lw_new_index(k, t->dim[i]);
    lw_each_load(k->l, lw_inline(k, root, root->meaning->nest.target[i], index), survey_load, look);
  }
  lw_each_load(k->l, lw_inline(k, root, root->meaning->nest.base, own), survey_load, look);
}

static lw_why too_large(const lw_kernel *k) {
  if (k->n_operand + 1 > LW_MAX_BUFFERS)
    return "the kernel that uses it would read too many buffers";
  return k->n_element > LW_MAX_ELEMENTS ? "the kernel that uses it would be too large" : NULL;
}

// Does the group, as its members stand now, make a legal kernel? NULL, or why not.
static lw_why illegal(lw *l, const lw_group *g) {
  static const char *const other =
      "the kernel that uses it runs over other rows, or reads it at "
      "other indices";
  lw_kernel k;
  lw_kernel_begin(&k, l, g, true);
  k.bound = g->anchor;
  const fv_nest *t = &g->root->meaning->nest;
  const fv_expr *index[FV_MAX_LOOPS];
  for (int i = 0; i < t->n_par + t->n_red; i++)
    index[i] = lw_new_index(&k, t->extent[i]);
  survey look = {.k = &k, .n_par = t->n_par, .extent = t->extent, .ok = true};
  if (t->form == FV_NEST_REDUCE) {  // the root itself runs over all its indices
    look.has_rows = true;
    for (int i = 0; i < t->n_par; i++)
      look.rows |= (uint64_t)!is_single(t->extent[i]) << i;
  }
  lw_each_load(l, lw_nest_value(&k, g->root, index), survey_load, &look);
  if (t->form == FV_NEST_SCATTER)
    survey_scatter(&k, index, &look);
  // Values of the reductions, at the row indices, may use other reductions.
  for (size_t r = 0; r < k.n_reduction && look.ok && !too_large(&k); r++) {
    const fv_node *n = k.reduction[r];
    const fv_expr *at[FV_MAX_LOOPS];
    row_indices(&k, &look, &n->meaning->nest, at);
    lw_each_load(l, lw_nest_value(&k, n, at), survey_load, &look);
  }
  if (g->anchor && !look.bound && g->root != g->anchor)
    look.ok = false;
  return look.ok ? too_large(&k) : other;
}

//===-- Joining -----------------------------------------------------------------===//

// The group with n in it, if its kernel stays legal.
static lw_why join(lw *l, fv_node *n, lw_group *g, const lw_group *after) {
  const lw_group before = *g;
  l->group[n->out[0]->id] = g;
  *g = *after;
  g->size++;
  const lw_why why = illegal(l, g);
  if (!why)
    return NULL;
  l->group[n->out[0]->id] = NULL;
  *g = before;
  return why;
}

// Virtual values behind n, up to the kernel's root, if n becomes one. Composing
// is recursive in them, and each may be read at other indices by the next.
static uint32_t depth_of(const lw *l, const fv_node *n) {
  uint32_t depth = 0;
  for (const fv_use *u = fv_uses_of(&l->uses, n->out[0]); u; u = u->next) {
    const uint32_t d = u->node && u->node->n_out ? l->depth[u->node->out[0]->id] : 0;
    depth = d > depth ? d : depth;
  }
  return depth + 1;
}

static lw_why try_join(lw *l, fv_node *n, lw_group *g) {
  const lw_family *own = lw_family_of(l, n);
  lw_group after = *g;
  if (g->size >= LW_MAX_MEMBERS || depth_of(l, n) > LW_MAX_DEPTH)
    return "the kernel that uses it is large already";
  if (n->meaning->nest.check)
    return "it checks its operands at run time";
  const bool map = lw_is_map(n);
  if (!map && !own->leads)
    return own->alone;
  if (!g->family->takes || (!map && g->family->maps_only))
    return g->family->takes_nothing;
  const lw_why why = map ? g->family->takes(l, g, n) : own->leads(l, g);
  if (why)
    return why;
  if (!map) {
    after.family = own;
    after.anchor = own->has_epilogue ? n : NULL;
    after.reduces = true;
  }
  return join(l, n, g, &after);
}

bool lw_use_composes(lw *l, const fv_use *u) {
  const lw_family *f = u->node && u->node->meaning ? lw_family_of(l, u->node) : NULL;
  return f && f->composes && f->composes(l, u->node, u->index);
}

static bool rematerialises(lw *l, const fv_node *n) {
  if (!is_movement(n) || depth_of(l, n) > LW_MAX_DEPTH)
    return false;
  for (const fv_use *u = fv_uses_of(&l->uses, n->out[0]); u; u = u->next)
    if (u->region != n->region || !lw_use_composes(l, u))
      return false;
  return true;
}

// The group that the use is in, or NULL; of movement lw_rematerialised, unless the kernel of a
// row alone uses that: it makes reductions, and what movement picks for it.
static lw_group *group_of_use(lw *l, const fv_node *n, const fv_use *u) {
  if (!u->node || u->node->n_out == 0)
    return NULL;
  lw_group *g = l->group[u->node->out[0]->id];
  if (g == &lw_rematerialised && l->behind[u->node->out[0]->id] &&
      (!lw_is_map(n) || picks_little(l, n, u->node)))
    g = l->behind[u->node->out[0]->id];
  return g;
}

// The one group that all users are in, or the reason why there is none.
static lw_why group_of_users(lw *l, const fv_node *n, lw_group **out) {
  lw_why several = NULL;
  *out = NULL;
  for (const fv_use *u = fv_uses_of(&l->uses, n->out[0]); u; u = u->next) {
    if (!u->node)
      return "it is a result of the graph or of a step of a loop";
    if (u->region != n->region)
      return "a loop uses it";
    if (u->node->n_out == 0)
      return "it becomes a state";
    lw_group *g = group_of_use(l, n, u);
    if (!g)
      return "a loop begins with it";
    if (g == &lw_rematerialised)
      several = "several kernels use it, through movement";
    else if (*out && *out != g)
      several = "several kernels use it";
    *out = g;
  }
  return several ? several : *out ? NULL : "nobody uses it";
}

// The first kernel that uses n and can write it, too, before all that else reads it; or NULL.
static lw_group *group_to_store(lw *l, const fv_node *n) {
  lw_group *g = NULL;
  for (const fv_use *u = fv_uses_of(&l->uses, n->out[0]); u; u = u->next) {
    if (u->region != n->region)
      return NULL;
    lw_group *h = group_of_use(l, n, u);
    if (h && h->root && h->family->stores &&
        (!g || l->position[h->root->out[0]->id] < l->position[g->root->out[0]->id]))
      g = h;
  }
  for (const fv_use *u = g ? fv_uses_of(&l->uses, n->out[0]) : NULL; u; u = u->next)
    if (u->node && group_of_use(l, n, u) != g &&
        (u->node->n_out == 0 ||
         l->position[u->node->out[0]->id] < l->position[g->root->out[0]->id]))
      return NULL;
  return g;
}

// A reduction that several want is written by the kernel of a row that makes it.
static bool store_within(lw *l, fv_node *n) {
  const uint32_t id = n->out[0]->id;
  lw_group *g = lw_family_of(l, n)->stores ? group_to_store(l, n) : NULL;
  l->stored[id] = g != NULL;
  l->stored[id] = g && !try_join(l, n, g);
  return l->stored[id];
}

static void make_root(lw *l, fv_node *n, lw_why why) {
  l->why[n->out[0]->id] = why;
  lw_group *g = FV_NEW(l->arena, lw_group);
  *g = (lw_group){.root = n, .size = 1, .family = lw_family_of(l, n)};
  g->anchor = g->family->has_epilogue ? n : NULL;
  g->reduces = !lw_is_map(n);
  for (int i = 0; i < n->n_out; i++)
    l->group[n->out[i]->id] = g;
}

static void assign_group(lw *l, fv_node *n) {
  lw_why why = "its kernel computes nothing else";
  if (!n->meaning || n->n_out == 0)
    return;  // built-in
  if (n->meaning->n_defined) {
    why = "the host reads it";
  } else if (n->meaning->kind == FV_MEANS_NEST) {
    const uint32_t id = n->out[0]->id;
    lw_group *g;
    if (rematerialises(l, n)) {
      l->group[id] = (lw_group *)(uintptr_t)&lw_rematerialised;
      l->depth[id] = depth_of(l, n);
      if (!group_of_users(l, n, &g) && g->reduces && !g->anchor && !g->family->in_place)
        l->behind[id] = g;
      return;
    }
    why = group_of_users(l, n, &g);
    if (!why)
      why = try_join(l, n, g);
    if (!why || store_within(l, n)) {
      l->depth[id] = depth_of(l, n);
      l->why[id] = why;
      return;
    }
  }
  make_root(l, n, why);
}

fv_status lw_group_graph(lw *l, fv_graph *g) {
  fv_node **order = NULL;
  size_t n = 0, cap = 0;
  l->n_value = l->module->n_value;
  l->group = FV_NEW_N(l->arena, lw_group *, l->n_value);
  l->why = FV_NEW_N(l->arena, lw_why, l->n_value);
  l->behind = FV_NEW_N(l->arena, lw_group *, l->n_value);
  l->depth = FV_NEW_N(l->arena, uint32_t, l->n_value);
  l->stored = FV_NEW_N(l->arena, bool, l->n_value);
  l->position = FV_NEW_N(l->arena, uint32_t, l->n_value);
  l->family = FV_NEW_N(l->arena, const lw_family *, l->n_value);
  l->state_uses = FV_NEW_N(l->arena, uint32_t, l->module->n_state);
  fv_uses_build(&l->uses, l->arena, g);
  for (fv_node *x = fv_walk_first(g->region); x; x = fv_walk_next(g->region, x)) {
    for (int i = 0; i < x->n_out; i++)
      l->position[x->out[i]->id] = (uint32_t)n;
    FV_PUSH(l->arena, order, n, cap, x);
    if (x->op == FV_OP_state_read)
      l->state_uses[fv_attr_int(x, "state")] += l->uses.count[x->out[0]->id];
  }
  while (n-- > 0)
    assign_group(l, order[n]);
  return FV_OK;
}
