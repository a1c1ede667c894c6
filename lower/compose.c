// SPDX-License-Identifier: Apache-2.0
// Composes the scalar expressions of a group's nodes into expressions over the
// operands of its kernel. Prologues, epilogues and implicit im2col enter here.
#include "lower/compose.h"

#include <string.h>

#include "base/hash.h"
#include "ir/expr/expr_walk.h"
#include "lower/buffers.h"

void lw_kernel_begin_to(lw_kernel *k, lw *l, const lw_group *g, const fv_value *out,
                        uint32_t buffer, const fv_type *t) {
  memset(k, 0, sizeof *k);
  k->l = l;
  k->group = g;
  k->kb = fv_kb_create(l->arena, l->pool, g->family->name);
  k->out = out;
  k->out_type = *t;
  k->span = g->root ? fv_node_span(g->root) : NULL;
  const int o = lw_operand_of(k, out, buffer, t);
  k->out_kbuf = k->operand[o].kbuf;
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
  FV_PUSH(k->l->arena, k->extent, k->n_index, k->cap_index, extent);
  return fv_x_index(k->l->pool, (uint32_t)k->n_index - 1);
}

bool lw_stores(const lw_kernel *k, const fv_value *v) {
  return v->def && k->group->root && k->l->group[v->id] == k->group && k->l->stored[v->id];
}

int lw_operand_of(lw_kernel *k, const fv_value *v, uint32_t buffer, const fv_type *t) {
  for (size_t i = 0; i < k->n_operand; i++)
    if (k->operand[i].value == v && fv_layout_eq(&k->operand[i].type.layout, &t->layout))
      return (int)i;
  lw_operand o = {.value = v, .type = *t, .buffer = buffer, .kbuf = -1};
  if (k->kb)
    o.kbuf = fv_kb_buffer(k->kb, t->dtype, v == k->out || lw_stores(k, v));
  FV_PUSH(k->l->arena, k->operand, k->n_operand, k->cap_operand, o);
  return (int)k->n_operand - 1;
}

// A constant of one element is worth more as a literal.
static bool literal_of(lw_kernel *k, const fv_value *v, const fv_expr **out) {
  const fv_node *n = v->def;
  if (!n || n->op != FV_OP_constant || n->n_data != 1 || fv_tensor_count(n->data[0]) != 1)
    return false;
  const fv_dtype t = n->data[0]->dtype;
  const fv_scalar s = fv_scalar_load(t, fv_tensor_data(k->l->arena, n->data[0]));
  *out = fv_dtype_is_float(t) ? fv_x_lit_f(k->l->pool, t, s.f) : fv_x_lit_i(k->l->pool, t, s.i);
  return true;
}

int lw_reduction_of(lw_kernel *k, const fv_node *n) {
  for (size_t i = 0; i < k->n_reduction; i++)
    if (k->reduction[i] == n)
      return (int)i;
  FV_PUSH(k->l->arena, k->reduction, k->n_reduction, k->cap_reduction, n);
  return (int)k->n_reduction - 1;
}

//===-- Elements of values --------------------------------------------------------===//

// An element of a virtual value, composed once: a value that is used twice at
// each of n steps would be composed 2^n times.
struct lw_element {
  const fv_value *value;
  const fv_expr *const *index;
  const fv_expr *x;
};

static uint64_t element_hash(const fv_value *v, const fv_expr *const *index) {
  uint32_t id[FV_MAX_RANK + 1] = {v->id};
  for (int i = 0; i < v->type.rank; i++)
    id[i + 1] = index[i]->id;
  return fv_hash64(id, sizeof *id * (size_t)(v->type.rank + 1), 0);
}

static const fv_expr *composed(const lw_kernel *k, const fv_value *v, const fv_expr *const *index,
                               uint64_t hash) {
  const size_t size = sizeof *index * (size_t)v->type.rank;
  for (int64_t i = fv_index_first(&k->elements, hash); i != FV_INDEX_END;
       i = fv_index_next(&k->elements, i))
    if (k->element[i].value == v && memcmp(k->element[i].index, index, size) == 0)
      return k->element[i].x;
  return NULL;
}

static const fv_expr *compose(lw_kernel *k, const fv_value *v, const fv_expr *const *index) {
  fv_arena *ar = k->l->arena;
  const uint64_t hash = element_hash(v, index);
  const fv_expr *x = composed(k, v, index, hash);
  if (x)
    return x;
  const struct lw_element e = {
      .value = v,
      .index = fv_arena_dup(ar, index, sizeof *index * (size_t)v->type.rank),
      .x = lw_nest_value(k, v->def, index)};
  FV_PUSH(ar, k->element, k->n_element, k->cap_element, e);
  fv_index_add(ar, &k->elements, hash);
  return e.x;
}

// Is the index within the dim whatever the loops stand at?
static bool proved(const lw_kernel *k, const fv_expr *index, const fv_expr *dim) {
  fv_xpool *p = k->l->pool;
  if (index->kind == FV_E_INDEX && k->extent[index->ref] == dim)
    return true;
  const fv_range r = fv_x_range(p, index, k->extent, (uint32_t)k->n_index);
  return r.lo >= 0 && r.hi < fv_x_range(p, dim, NULL, 0).lo;
}

const fv_expr *lw_load(lw_kernel *k, int operand, const fv_expr *const *index) {
  const fv_type *t = &k->operand[operand].type;
  uint32_t ref = (uint32_t)operand;
  for (int d = 0; d < t->rank; d++)
    if (!proved(k, index[d], t->dim[d]))
      ref |= LW_UNPROVED;
  const fv_expr *offset = fv_type_offset(k->l->pool, t, index);
  return fv_x_load(k->l->pool, t->dtype, ref, 1, &offset);
}

static const fv_expr *load_of(lw_kernel *k, const fv_value *v, const fv_expr *const *index) {
  const fv_type t = lw_value_type(k->l, v);
  const uint32_t buffer = k->kb ? lw_value_buffer(k->l, v) : 0;
  return lw_load(k, lw_operand_of(k, v, buffer, &t), index);
}

const fv_expr *lw_at(lw_kernel *k, const fv_value *v, const fv_expr *const *index) {
  fv_xpool *p = k->l->pool;
  const fv_expr *x;
  if (literal_of(k, v, &x))
    return x;
  if (v->def && v->def == k->bound)
    return fv_x_load(p, v->type.dtype, LW_BOUND, v->type.rank, index);
  if (!lw_is_virtual(k->l, k->group, v))
    return load_of(k, v, index);
  if (v->def->meaning->nest.form != FV_NEST_MAP) {
    const uint32_t r = (uint32_t)lw_reduction_of(k, v->def);
    return fv_x_load(p, v->type.dtype, LW_REDUCTION | r, v->type.rank, index);
  }
  return compose(k, v, index);
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

// Recursion with lw_at: as deep as virtual values stand behind each other, which
// grouping bounds (LW_MAX_DEPTH).
const fv_expr *lw_inline(lw_kernel *k, const fv_node *n, const fv_expr *x,
                         const fv_expr *const *index) {
  return lw_inline_over(k, n, x, index, NULL);
}

const fv_expr *lw_inline_over(lw_kernel *k, const fv_node *n, const fv_expr *x,
                              const fv_expr *const *index, const fv_expr *acc) {
  inline_cx cx = {.k = k, .node = n, .index = index, .acc = acc};
  return fv_x_rewrite(k->l->pool, x, inline_leaf, &cx);
}

const fv_expr *lw_nest_post(lw_kernel *k, const fv_node *n, const fv_expr *const *index,
                            const fv_expr *acc) {
  const fv_expr *post = n->meaning->nest.post;
  return post ? lw_inline_over(k, n, post, index, acc) : acc;
}

// Equal code is compiled once: the new kernel borrows the older one's code and
// keeps its own scalars, grid and sites.
static void share_code(lw *l, fv_kernel *kernel) {
  fv_lowered *o = l->out;
  const uint64_t hash = fv_kernel_hash(&kernel->code);
  for (int64_t i = fv_index_first(&l->kernels, hash); i != FV_INDEX_END;
       i = fv_index_next(&l->kernels, i))
    if (kernel->n_site == 0 && o->kernel[i]->n_site == 0 &&
        fv_kernel_code_eq(&o->kernel[i]->code, &kernel->code)) {
      kernel->code = o->kernel[i]->code;
      kernel->number = o->kernel[i]->number;
      return;
    }
  kernel->number = (uint32_t)o->n_kernel;
  FV_PUSH(l->arena, o->kernel, o->n_kernel, o->cap_kernel, kernel);
  fv_index_add(l->arena, &l->kernels, hash);
}

void lw_kernel_launch(lw_kernel *k, const char *family, const fv_expr *grid) {
  lw *l = k->l;
  const char *name = fv_arena_printf(l->arena, "%s_%zu", family, l->out->n_kernel);
  fv_kb *kb = l->target->has_groups ? k->kb : fv_kb_item_loops(k->kb);
  fv_kernel *kernel = fv_kb_finish(kb, name, grid);
  fv_linst *inst = lw_new_inst(l, FV_H_LAUNCH, k->span);
  inst->kernel = kernel;
  inst->buffer = FV_NEW_N(l->arena, uint32_t, k->n_operand);
  for (size_t i = 0; i < k->n_operand; i++)  // in the order of their making; scratch counts apart
    inst->buffer[i] = k->operand[i].buffer;
  share_code(l, kernel);
}

//===-- Questions about expressions ---------------------------------------===//

// The loads are gathered before f is called, which may walk and build itself.
void lw_each_load(lw *l, const fv_expr *x, void (*f)(void *user, const fv_expr *load), void *user) {
  fv_xwalk w;
  fv_xwalk_init(&w, l->pool);
  fv_xwalk_postorder(&w, x, FV_XF_LOAD);
  for (size_t i = 0; i < w.n; i++)
    if (w.order[i]->kind == FV_E_LOAD)
      f(user, w.order[i]);
}

const fv_expr *lw_subst(lw *l, const fv_expr *e, uint32_t index, const fv_expr *by) {
  const fv_expr **sub = FV_NEW_N(l->arena, const fv_expr *, (size_t)index + 1);
  sub[index] = by;
  return fv_x_subst_index(l->pool, e, sub, index + 1);
}

bool lw_step(lw *l, const fv_expr *e, uint32_t index, int64_t *out_step) {
  fv_xpool *p = l->pool;
  const fv_expr *next = lw_subst(l, e, index, fv_x_add(p, fv_x_index(p, index), fv_x_i64(p, 1)));
  return fv_x_is_lit(fv_x_sub(p, next, e), out_step);
}

//===-- Ranges ----------------------------------------------------------------===//

const fv_expr *lw_split_index(lw_kernel *k, const fv_expr *extent, int64_t block,
                              const fv_expr **out_block, const fv_expr **out_lane) {
  fv_xpool *p = k->l->pool;
  *out_block = lw_new_index(k, lw_ceil_div(p, extent, block));
  *out_lane = lw_new_index(k, fv_x_i64(p, block));
  return fv_x_add(p, fv_x_mul(p, *out_block, fv_x_i64(p, block)), *out_lane);
}

static const fv_expr *resolve(void *user, const fv_expr *e) {
  const lw_kernel *k = user;
  int64_t m;
  if (e->kind != FV_E_OP || e->dtype != FV_i64 || (e->op != FV_X_FLOORDIV && e->op != FV_X_MOD) ||
      !fv_x_is_lit(e->arg[1], &m) || m < 1)
    return e;
  const fv_range r = fv_x_range(k->l->pool, e->arg[0], k->extent, (uint32_t)k->n_index);
  if (r.lo < 0 || r.hi >= m)
    return e;
  return e->op == FV_X_MOD ? e->arg[0] : fv_x_i64(k->l->pool, 0);
}

const fv_expr *lw_simplify(lw_kernel *k, const fv_expr *x) {
  return fv_x_rebuild(k->l->pool, x, resolve, k);
}
