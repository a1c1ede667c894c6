// SPDX-License-Identifier: Apache-2.0
//
// Walks over expressions: rewriting, substitution. All iterative.
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "ir/expr/expr_walk.h"

//===-- Walk ------------------------------------------------------------===//

void fv_xwalk_init(fv_xwalk *w, const fv_xpool *p) {
  w->p = p;
  w->order = w->order_local;
  w->n = 0;
  w->cap = FV_XWALK_LOCAL;
  w->slot = w->slot_local;
  w->n_slots = FV_XWALK_SLOTS;
  memset(w->slot_local, 0, sizeof w->slot_local);
}

static size_t first_slot(const fv_xwalk *w, const fv_expr *e) {
  return (size_t)(e->id * 2654435769u) & (w->n_slots - 1);
}

size_t fv_xwalk_find(const fv_xwalk *w, const fv_expr *e) {
  for (size_t k = first_slot(w, e); w->slot[k]; k = (k + 1) & (w->n_slots - 1))
    if (w->order[w->slot[k] - 1] == e)
      return w->slot[k] - 1;
  return FV_XWALK_NONE;
}

static void enter(fv_xwalk *w, size_t position) {
  size_t k = first_slot(w, w->order[position]);
  while (w->slot[k])
    k = (k + 1) & (w->n_slots - 1);
  w->slot[k] = (uint32_t)position + 1;
}

static void append(fv_xwalk *w, const fv_expr *e) {
  if (w->n == w->cap) {
    const fv_expr **order = FV_NEW_N(w->p->arena, const fv_expr *, w->cap * 2);
    memcpy(order, w->order, w->n * sizeof *order);
    w->order = order;
    w->cap *= 2;
  }
  w->order[w->n++] = e;
  if (w->n * 2 <= w->n_slots) {
    enter(w, w->n - 1);
    return;
  }
  w->n_slots *= 4;
  w->slot = FV_NEW_N(w->p->arena, uint32_t, w->n_slots);
  for (size_t i = 0; i < w->n; i++)
    enter(w, i);
}

typedef struct frame {
  const fv_expr *e;
  int next;  // argument to look at
} frame;

void fv_xwalk_postorder(fv_xwalk *w, const fv_expr *e, uint32_t flags) {
  frame local[FV_XWALK_LOCAL], *stack = local;
  size_t n = 0, cap = FV_XWALK_LOCAL;
  if (!fv_x_has(e, flags) || fv_xwalk_find(w, e) != FV_XWALK_NONE)
    return;
  stack[n++] = (frame){e, 0};
  while (n > 0) {
    frame *top = &stack[n - 1];
    if (top->next == top->e->n) {
      if (fv_xwalk_find(w, top->e) == FV_XWALK_NONE)
        append(w, top->e);
      n--;
      continue;
    }
    const fv_expr *arg = top->e->arg[top->next++];
    if (!fv_x_has(arg, flags) || fv_xwalk_find(w, arg) != FV_XWALK_NONE)
      continue;
    if (n == cap) {
      frame *wider = FV_NEW_N(w->p->arena, frame, cap * 2);
      memcpy(wider, stack, n * sizeof *stack);
      stack = wider;
      cap *= 2;
    }
    stack[n++] = (frame){arg, 0};
  }
}

bool fv_x_uses_index(const fv_xpool *p, const fv_expr *e, uint32_t index) {
  if (!(fv_xp_meta(p, e)->index_set >> index % 64 & 1))
    return false;
  if (p->n_index <= 64)
    return true;
  fv_xwalk w;
  fv_xwalk_init(&w, p);
  fv_xwalk_postorder(&w, e, FV_XF_INDEX);
  for (size_t i = 0; i < w.n; i++)
    if (w.order[i]->kind == FV_E_INDEX && w.order[i]->ref == index)
      return true;
  return false;
}

//===-- Rewriting -------------------------------------------------------===//

typedef const fv_expr *(*leaf_fn)(void *user, const fv_expr *e);

static const fv_expr *rebuild(fv_xpool *p, const fv_expr *e, const fv_expr *const *arg) {
  if (memcmp(arg, e->arg, e->n * sizeof *arg) == 0)
    return e;
  if (e->kind == FV_E_LOAD)
    return fv_x_load(p, (fv_dtype)e->dtype, e->ref, e->n, arg);
  if (e->op == FV_X_CAST)
    return fv_x_cast(p, (fv_dtype)e->dtype, arg[0]);
  if (e->op == FV_X_BITCAST)
    return fv_x_bitcast(p, (fv_dtype)e->dtype, arg[0]);
  return fv_x_op(p, (fv_scalar_op)e->op, arg[0], e->n > 1 ? arg[1] : NULL,
                 e->n > 2 ? arg[2] : NULL);
}

static const fv_expr *rewrite(fv_xpool *p, const fv_expr *e, uint32_t flags, leaf_fn leaf,
                              void *user, bool ops) {
  if (!fv_x_has(e, flags))
    return e;
  fv_xwalk w;
  fv_xwalk_init(&w, p);
  fv_xwalk_postorder(&w, e, flags);
  const fv_expr *local[FV_XWALK_LOCAL];
  const fv_expr **made = w.n <= FV_XWALK_LOCAL ? local : FV_NEW_N(p->arena, const fv_expr *, w.n);
  const fv_expr *arg[UINT8_MAX + 1];
  for (size_t i = 0; i < w.n; i++) {
    const fv_expr *x = w.order[i];
    for (int k = 0; k < x->n; k++) {
      const size_t at = fv_xwalk_find(&w, x->arg[k]);
      arg[k] = at == FV_XWALK_NONE ? x->arg[k] : made[at];
    }
    const fv_expr *y = x->n ? rebuild(p, x, arg) : x;
    made[i] = x->kind == FV_E_OP && !ops ? y : leaf(user, y);
  }
  return made[w.n - 1];
}

const fv_expr *fv_x_rewrite(fv_xpool *p, const fv_expr *e,
                            const fv_expr *(*leaf)(void *user, const fv_expr *e), void *user) {
  return rewrite(p, e, FV_XF_SYM | FV_XF_INDEX | FV_XF_LOAD, leaf, user, false);
}

const fv_expr *fv_x_rebuild(fv_xpool *p, const fv_expr *e,
                            const fv_expr *(*part)(void *user, const fv_expr *e), void *user) {
  return rewrite(p, e, FV_XF_SYM | FV_XF_INDEX | FV_XF_LOAD, part, user, true);
}

typedef struct subst {
  uint32_t kind, n;
  const fv_expr *const *by;  // by ref - first
  uint32_t first;
} subst;

static const fv_expr *subst_leaf(void *user, const fv_expr *e) {
  const subst *s = user;
  if (e->kind != s->kind || e->ref < s->first || e->ref - s->first >= s->n)
    return e;
  const fv_expr *by = s->by[e->ref - s->first];
  return by ? by : e;
}

const fv_expr *fv_x_subst_index(fv_xpool *p, const fv_expr *e, const fv_expr *const *index,
                                uint32_t n) {
  subst s = {.kind = FV_E_INDEX, .n = n, .by = index};
  return rewrite(p, e, FV_XF_INDEX, subst_leaf, &s, false);
}

const fv_expr *fv_x_subst_sym(fv_xpool *p, const fv_expr *e, uint32_t sym, const fv_expr *by) {
  subst s = {.kind = FV_E_SYM, .n = 1, .by = &by, .first = sym};
  return rewrite(p, e, FV_XF_SYM, subst_leaf, &s, false);
}

const fv_expr *fv_x_subst_syms(fv_xpool *p, const fv_expr *e, const fv_expr *const *by,
                               uint32_t n) {
  subst s = {.kind = FV_E_SYM, .n = n, .by = by};
  return rewrite(p, e, FV_XF_SYM, subst_leaf, &s, false);
}
