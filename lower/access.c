// SPDX-License-Identifier: Apache-2.0
// Composes the scalar expressions of a group's nodes into expressions over the
// operands of its kernel. Prologues, epilogues and implicit im2col enter here.
#include <string.h>

#include "lower/internal.h"

void lw_kernel_begin_to(lw_kernel *k, lw *l, const lw_group *g, const fv_value *out,
                        uint32_t buffer, const fv_type *t) {
  memset(k, 0, sizeof *k);
  k->l = l;
  k->group = g;
  k->kb = fv_kb_create(l->arena, l->pool, lw_family_name(g->family));
  k->out = out;
  k->out_type = *t;
  k->span = g->root ? fv_node_span(g->root) : NULL;
  k->out_kbuf = k->operand[lw_operand_of(k, out, buffer, t)].kbuf;
}

void lw_kernel_begin(lw_kernel *k, lw *l, const lw_group *g, bool dry) {
  if (!dry) {
    const fv_value *v = g->root->out[0];
    const fv_type t = lw_value_type(l, v);
    lw_kernel_begin_to(k, l, g, v, lw_value_buffer(l, v), &t);
    return;
  }
  memset(k, 0, sizeof *k);
  k->l = l;
  k->group = g;
}

const fv_expr *lw_new_index(lw_kernel *k, const fv_expr *extent) {
  if (k->n_index == LW_MAX_INDEX) {
    k->overflow = true;
    return fv_x_i64(k->l->pool, 0);
  }
  k->extent[k->n_index] = extent;
  return fv_x_index(k->l->pool, k->n_index++);
}

int lw_operand_of(lw_kernel *k, const fv_value *v, uint32_t buffer, const fv_type *t) {
  for (int i = 0; i < k->n_operand; i++)
    if (k->operand[i].value == v && fv_layout_eq(&k->operand[i].type.layout, &t->layout))
      return i;
  if (k->n_operand == LW_MAX_OPERANDS) {
    k->overflow = true;
    return 0;
  }
  lw_operand *o = &k->operand[k->n_operand];
  *o = (lw_operand){.value = v, .type = *t, .buffer = buffer, .kbuf = -1};
  if (k->kb)
    o->kbuf = fv_kb_buffer(k->kb, t->dtype, v == k->out);
  return k->n_operand++;
}

// A constant of one element is worth more as a literal.
static bool literal_of(lw_kernel *k, const fv_value *v, const fv_expr **out) {
  const fv_node *n = v->def;
  if (!n || n->op != FV_OP_constant || n->n_data != 1 || fv_tensor_count(n->data[0]) != 1)
    return false;
  const fv_dtype t = n->data[0]->dtype;
  const fv_scalar s = fv_scalar_load(t, n->data[0]->data);
  *out = fv_dtype_is_float(t) ? fv_x_lit_f(k->l->pool, t, s.f) : fv_x_lit_i(k->l->pool, t, s.i);
  return true;
}

static int reduction_of(lw_kernel *k, const fv_node *n) {
  for (int i = 0; i < k->n_reduction; i++)
    if (k->reduction[i] == n)
      return i;
  if (k->n_reduction == LW_MAX_OPERANDS) {
    k->overflow = true;
    return 0;
  }
  k->reduction[k->n_reduction] = n;
  return k->n_reduction++;
}

const fv_expr *lw_at(lw_kernel *k, const fv_value *v, const fv_expr *const *index) {
  fv_xpool *p = k->l->pool;
  const fv_expr *x;
  if (literal_of(k, v, &x))
    return x;
  if (v->def && v->def == k->bound)
    return fv_x_load(p, v->type.dtype, LW_BOUND, v->type.rank, index);
  if (lw_is_virtual(k->l, v)) {
    if (v->def->meaning->nest.combine == FV_COMBINE_NONE)
      return lw_nest_value(k, v->def, index);
    const uint32_t r = (uint32_t)reduction_of(k, v->def);
    return fv_x_load(p, v->type.dtype, LW_REDUCTION + r, v->type.rank, index);
  }
  fv_type t = lw_value_type(k->l, v);
  const int o = lw_operand_of(k, v, k->kb ? lw_value_buffer(k->l, v) : 0, &t);
  const fv_expr *offset = fv_type_offset(p, &t, index);
  return fv_x_load(p, t.dtype, (uint32_t)o, 1, &offset);
}

typedef struct inline_cx {
  lw_kernel *k;
  const fv_node *node;
  const fv_expr *const *index;
  const fv_expr *acc;
} inline_cx;

static const fv_expr *inline_leaf(void *user, const fv_expr *e) {
  inline_cx *cx = user;
  if (e->kind == FV_E_INDEX)
    return cx->index[e->ref];
  if (e->kind == FV_E_LOAD && e->ref == FV_NEST_ACC)
    return cx->acc;
  if (e->kind == FV_E_LOAD)
    return lw_at(cx->k, cx->node->in[e->ref], e->arg);
  return e;
}

// The depth of this recursion is bounded by the size of a group.
const fv_expr *lw_inline(lw_kernel *k, const fv_node *n, const fv_expr *x,
                         const fv_expr *const *index) {
  inline_cx cx = {.k = k, .node = n, .index = index};
  return fv_x_rewrite(k->l->pool, x, inline_leaf, &cx);
}

const fv_expr *lw_nest_post(lw_kernel *k, const fv_node *n, const fv_expr *const *index,
                            const fv_expr *acc) {
  if (!n->meaning->nest.post)
    return acc;
  inline_cx cx = {.k = k, .node = n, .index = index, .acc = acc};
  return fv_x_rewrite(k->l->pool, n->meaning->nest.post, inline_leaf, &cx);
}

void lw_kernel_launch(lw_kernel *k, const char *family, const fv_expr *grid) {
  lw *l = k->l;
  const char *name = fv_arena_printf(l->arena, "%s_%zu", family, l->out->n_kernel);
  fv_kernel *kernel = fv_kb_finish(k->kb, name, grid);
  const uint64_t hash = fv_kernel_hash(&kernel->code);
  fv_linst *inst = lw_new_inst(l, FV_H_LAUNCH, k->span);
  inst->kernel = kernel;
  inst->buffer = FV_NEW_N(l->arena, uint32_t, k->n_operand);
  for (int i = 0; i < k->n_operand; i++)
    inst->buffer[k->operand[i].kbuf] = k->operand[i].buffer;
  // Equal code is compiled once: the new kernel borrows the older one's code
  // and keeps its own scalars, grid and sites.
  for (size_t i = 0; i < l->out->n_kernel; i++) {
    const fv_kernel *old = l->out->kernel[i];
    if (old->n_site == 0 && kernel->n_site == 0 && fv_kernel_hash(&old->code) == hash &&
        old->code.n_scalar == kernel->code.n_scalar) {
      kernel->code = old->code;
      return;
    }
  }
  FV_PUSH(l->arena, l->out->kernel, l->out->n_kernel, l->out->cap_kernel, kernel);
}

const fv_expr *lw_ceil_div(fv_xpool *p, const fv_expr *a, int64_t b) {
  return fv_x_floordiv(p, fv_x_add(p, a, fv_x_i64(p, b - 1)), fv_x_i64(p, b));
}

//===-- Questions about expressions ---------------------------------------===//

// Begins a walk: nothing is seen yet.
static void begin_walk(lw *l) {
  struct lw_seen *s = &l->seen;
  const size_t need = fv_xpool_count(l->pool);
  if (s->cap < need) {
    s->cap = need * 2;
    s->stamp = FV_NEW_N(l->arena, uint32_t, s->cap);
    s->value = FV_NEW_N(l->arena, const fv_expr *, s->cap);
    s->now = 0;
  }
  s->now++;
}

// Grows an explicit stack, since expressions may be deep.
typedef struct walk {
  lw *l;
  const fv_expr **stack;
  size_t n, cap;
} walk;

static void push(walk *w, const fv_expr *x) {
  struct lw_seen *s = &w->l->seen;
  if (s->stamp[x->id] == s->now)
    return;
  s->stamp[x->id] = s->now;
  FV_PUSH(w->l->arena, w->stack, w->n, w->cap, x);
}

// The loads are gathered before f is called, which may walk and build itself.
void lw_each_load(lw *l, const fv_expr *x, void (*f)(void *user, const fv_expr *load), void *user) {
  walk w = {.l = l};
  const fv_expr **load = NULL;
  size_t n = 0, cap = 0;
  begin_walk(l);
  push(&w, x);
  while (w.n) {
    const fv_expr *e = w.stack[--w.n];
    if (e->kind == FV_E_LOAD)
      FV_PUSH(l->arena, load, n, cap, e);
    for (int i = 0; i < e->n; i++)
      push(&w, e->arg[i]);
  }
  for (size_t i = 0; i < n; i++)
    f(user, load[i]);
}

//===-- Ranges ----------------------------------------------------------------===//

const fv_expr *lw_split_index(lw_kernel *k, const fv_expr *extent, int64_t block,
                              const fv_expr **out_block, const fv_expr **out_lane) {
  fv_xpool *p = k->l->pool;
  *out_block = lw_new_index(k, lw_ceil_div(p, extent, block));
  *out_lane = lw_new_index(k, fv_x_i64(p, block));
  return fv_x_add(p, fv_x_mul(p, *out_block, fv_x_i64(p, block)), *out_lane);
}

static const fv_expr *resolve(lw_kernel *k, const fv_expr *e) {
  int64_t m;
  if (e->kind != FV_E_OP || e->dtype != FV_i64 || (e->op != FV_X_FLOORDIV && e->op != FV_X_MOD) ||
      !fv_x_is_lit(e->arg[1], &m) || m < 1)
    return e;
  const fv_range r = fv_x_range(k->l->pool, e->arg[0], k->extent, k->n_index);
  if (r.lo < 0 || r.hi >= m)
    return e;
  return e->op == FV_X_MOD ? e->arg[0] : fv_x_i64(k->l->pool, 0);
}

// Depth is bounded as everywhere here: by the members of a group.
static const fv_expr *simplify(lw_kernel *k, const fv_expr *e) {
  fv_xpool *p = k->l->pool;
  struct lw_seen *s = &k->l->seen;
  if (e->n == 0)
    return e;
  if (s->stamp[e->id] == s->now)
    return s->value[e->id];
  const fv_expr *arg[FV_MAX_RANK];
  bool same = true;
  for (int i = 0; i < e->n; i++) {
    arg[i] = simplify(k, e->arg[i]);
    same = same && arg[i] == e->arg[i];
  }
  const fv_expr *r = e;
  if (!same && e->kind == FV_E_LOAD)
    r = fv_x_load(p, (fv_dtype)e->dtype, e->ref, e->n, arg);
  else if (!same && e->op == FV_X_CAST)
    r = fv_x_cast(p, (fv_dtype)e->dtype, arg[0]);
  else if (!same && e->op == FV_X_BITCAST)
    r = fv_x_bitcast(p, (fv_dtype)e->dtype, arg[0]);
  else if (!same)
    r = fv_x_op(p, (fv_scalar_op)e->op, arg[0], e->n > 1 ? arg[1] : NULL, e->n > 2 ? arg[2] : NULL);
  r = resolve(k, r);
  s->stamp[e->id] = s->now;
  s->value[e->id] = r;
  return r;
}

// Only expressions that were there at the start are looked up, so the scratch
// need not grow while new ones are made.
const fv_expr *lw_simplify(lw_kernel *k, const fv_expr *x) {
  begin_walk(k->l);
  return simplify(k, x);
}
