// SPDX-License-Identifier: Apache-2.0
//
// A tiny evaluator of semantics, for unit tests: nests by recursion over their
// expressions, expansions node by node. It checks that no load leaves its
// operand. Slow and simple on purpose: it shares nothing with the backends.
#ifndef FOVEA_TESTS_UNIT_SEM_EVAL_H_
#define FOVEA_TESTS_UNIT_SEM_EVAL_H_

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/kernel/kernel.h"
#include "ir/sem/sem.h"

typedef struct eval_tensor {
  fv_type type;
  int64_t dim[FV_MAX_RANK];
  int64_t count;
  fv_scalar *data;
} eval_tensor;

typedef struct eval_ctx {
  fv_arena *arena;
  const int64_t *symbols;
  const fv_node *node;
  eval_tensor **of;  // by value id
  int64_t index[FV_MAX_LOOPS];
  fv_scalar acc;
  const char *fault;  // the first thing that went wrong
} eval_ctx;

static inline bool eval_shape(eval_ctx *c, eval_tensor *t) {
  t->count = 1;
  for (int i = 0; i < t->type.rank; i++) {
    if (!fv_x_eval_i64(t->type.dim[i], c->symbols, &t->dim[i]))
      return false;
    t->count *= t->dim[i];
  }
  return true;
}

static inline eval_tensor *eval_new(eval_ctx *c, const fv_type *type) {
  eval_tensor *t = FV_NEW(c->arena, eval_tensor);
  t->type = *type;
  if (!eval_shape(c, t))
    c->fault = "dims cannot be evaluated";
  t->data = FV_NEW_N(c->arena, fv_scalar, t->count + 1);
  return t;
}

static inline fv_scalar eval_expr(eval_ctx *c, const fv_expr *e);

static inline fv_scalar eval_load(eval_ctx *c, const fv_expr *e) {
  if (e->ref == FV_NEST_ACC)
    return c->acc;
  const eval_tensor *t = c->of[c->node->in[e->ref]->id];
  int64_t at = 0;
  for (int i = 0; i < e->n; i++) {
    const int64_t k = eval_expr(c, e->arg[i]).i;
    if (k < 0 || k >= t->dim[i]) {
      c->fault = "a load leaves its operand";
      return (fv_scalar){0};
    }
    at = at * t->dim[i] + k;
  }
  return t->data[at];
}

static inline fv_scalar eval_expr(eval_ctx *c, const fv_expr *e) {
  fv_scalar v[3] = {{0}, {0}, {0}};
  switch (e->kind) {
  case FV_E_LIT:
    return fv_dtype_is_float((fv_dtype)e->dtype) ? (fv_scalar){.f = e->lit.f}
                                                 : (fv_scalar){.i = e->lit.i};
  case FV_E_SYM: return (fv_scalar){.i = c->symbols[e->ref]};
  case FV_E_INDEX: return (fv_scalar){.i = c->index[e->ref]};
  case FV_E_LOAD: return eval_load(c, e);
  default: break;
  }
  if (e->op == FV_X_SELECT)
    return eval_expr(c, eval_expr(c, e->arg[0]).i ? e->arg[1] : e->arg[2]);
  for (int i = 0; i < e->n; i++)
    v[i] = eval_expr(c, e->arg[i]);
  const fv_scalar r = fv_scalar_eval((fv_scalar_op)e->op, (fv_dtype)e->arg[0]->dtype,
                                     (fv_dtype)e->dtype, v[0], v[1], v[2]);
  return r;
}

static inline fv_scalar eval_identity(fv_combine c, fv_dtype t) {
  const bool f = fv_dtype_is_float(t);
  switch (c) {
  case FV_COMBINE_PROD: return f ? (fv_scalar){.f = 1} : (fv_scalar){.i = 1};
  case FV_COMBINE_MAX: return f ? (fv_scalar){.f = -INFINITY} : (fv_scalar){.i = INT64_MIN};
  case FV_COMBINE_MIN: return f ? (fv_scalar){.f = INFINITY} : (fv_scalar){.i = INT64_MAX};
  case FV_COMBINE_ALL: return (fv_scalar){.i = 1};
  default: return f ? (fv_scalar){.f = 0} : (fv_scalar){.i = 0};
  }
}

static inline fv_scalar eval_step(fv_combine c, fv_dtype t, fv_scalar a, fv_scalar b) {
  static const fv_scalar_op op[] = {
      [FV_COMBINE_SUM] = FV_X_ADD, [FV_COMBINE_PROD] = FV_X_MUL, [FV_COMBINE_MAX] = FV_X_MAX,
      [FV_COMBINE_MIN] = FV_X_MIN, [FV_COMBINE_ANY] = FV_X_OR,   [FV_COMBINE_ALL] = FV_X_AND};
  return fv_scalar_eval(op[c], t, t, a, b, (fv_scalar){0});
}

// Steps an index vector over extents from..n; false at the end.
static inline bool eval_next(int64_t *index, const int64_t *extent, int from, int n) {
  for (int i = n - 1; i >= from; i--) {
    if (++index[i] < extent[i])
      return true;
    index[i] = 0;
  }
  return false;
}

static inline fv_scalar eval_reduced(eval_ctx *c, const fv_nest *nest, const int64_t *extent) {
  const fv_dtype t = (fv_dtype)nest->value->dtype;
  const int n = nest->n_par + nest->n_red;
  const bool arg = nest->combine == FV_COMBINE_ARG_MAX || nest->combine == FV_COMBINE_ARG_MIN;
  const bool max = nest->combine == FV_COMBINE_ARG_MAX;
  fv_scalar acc = eval_identity(nest->combine, t);
  int64_t best = -1;
  bool any = true;
  for (int i = nest->n_par; i < n; i++) {
    any = any && extent[i] > 0;
    c->index[i] = 0;
  }
  if (!any)
    return acc;
  do {
    const fv_scalar v = eval_expr(c, nest->value);
    if (!arg) {
      acc = eval_step(nest->combine, t, acc, v);
      continue;
    }
    const bool f = fv_dtype_is_float(t);
    const bool nan = f && isnan(v.f);
    const bool held = f && isnan(acc.f);
    const bool less = f ? v.f < acc.f : v.i < acc.i;
    const bool more = f ? v.f > acc.f : v.i > acc.i;
    if (best < 0 || (max ? (nan && !held) || more : (held && !nan) || less)) {
      acc = v;
      best = c->index[nest->n_par];
    }
  } while (eval_next(c->index, extent, nest->n_par, n));
  return arg ? (fv_scalar){.i = best} : acc;
}

static inline fv_scalar eval_round(fv_dtype t, fv_scalar v) {
  if (fv_dtype_is_float(t))
    v.f = fv_round_to(t, v.f);
  return v;
}

static inline int64_t eval_flat(const eval_tensor *t, const int64_t *index) {
  int64_t at = 0;
  for (int i = 0; i < t->type.rank; i++)
    at = at * t->dim[i] + index[i];
  return at;
}

// Each entry from the start of its line again: slow, and nothing runs on.
static inline fv_scalar eval_scanned(eval_ctx *c, const fv_nest *nest, const int64_t *extent) {
  const fv_dtype t = (fv_dtype)nest->value->dtype;
  const int64_t k = c->index[nest->along], n = extent[nest->along];
  fv_scalar acc = eval_identity(nest->combine, t);
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = nest->reverse ? n - 1 - i : i;
    if (at == k && nest->exclusive)
      break;
    c->index[nest->along] = at;
    acc = eval_step(nest->combine, t, acc, eval_expr(c, nest->value));
    if (at == k)
      break;
  }
  c->index[nest->along] = k;
  return acc;
}

static inline void eval_scatter(eval_ctx *c, const fv_nest *nest, eval_tensor *out,
                                const int64_t *extent) {
  const fv_dtype t = out->type.dtype;
  int64_t at[FV_MAX_RANK], points = 1;
  for (int64_t i = 0; i < out->count; i++) {
    out->data[i] = eval_expr(c, nest->base);
    eval_next(c->index, out->dim, 0, out->type.rank);
  }
  for (int i = 0; i < nest->n_par; i++)
    points *= extent[i];
  memset(c->index, 0, sizeof c->index);
  for (; points > 0 && !c->fault; points--) {
    for (int d = 0; d < out->type.rank; d++) {
      at[d] = eval_expr(c, nest->target[d]).i;
      if (at[d] < 0 || at[d] >= out->dim[d])
        c->fault = "a target is out of range";
    }
    if (c->fault)
      return;
    fv_scalar *to = &out->data[eval_flat(out, at)];
    const fv_scalar v = eval_expr(c, nest->value);
    *to = eval_round(t, nest->combine ? eval_step(nest->combine, t, *to, v) : v);
    eval_next(c->index, extent, 0, nest->n_par);
  }
}

static inline void eval_nest(eval_ctx *c, const fv_node *n, const fv_nest *nest) {
  int64_t extent[FV_MAX_LOOPS];
  eval_tensor *out = c->of[n->out[0]->id];
  c->node = n;
  for (int i = 0; i < nest->n_par + nest->n_red; i++)
    if (!fv_x_eval_i64(nest->extent[i], c->symbols, &extent[i]))
      c->fault = "an extent cannot be evaluated";
  memset(c->index, 0, sizeof c->index);
  if (nest->form == FV_NEST_SCATTER) {
    eval_scatter(c, nest, out, extent);
    return;
  }
  for (int64_t at = 0; at < out->count && !c->fault; at++) {
    if (nest->check && !eval_expr(c, nest->check).i) {
      c->fault = nest->check_text;
      return;
    }
    fv_scalar v;
    if (nest->form == FV_NEST_MAP) {
      v = eval_expr(c, nest->value);
    } else if (nest->form == FV_NEST_SCAN) {
      v = eval_scanned(c, nest, extent);
    } else {
      c->acc = eval_reduced(c, nest, extent);
      v = nest->post ? eval_expr(c, nest->post) : c->acc;
    }
    out->data[at] = eval_round(out->type.dtype, v);
    eval_next(c->index, extent, 0, nest->n_par);
  }
}

static inline void eval_constant(const fv_node *n, eval_tensor *out) {
  const char *p = n->data[0]->data;
  for (int64_t i = 0; i < out->count; i++)
    out->data[i] = fv_scalar_load(out->type.dtype, p + i * fv_dtype_size(out->type.dtype));
}

// Kernel ops: the buffers are made, the serial code is interpreted.
static inline void eval_kernel(eval_ctx *c, const fv_node *n, fv_xpool *pool) {
  const int count = n->n_in + n->n_out;
  void **buf = FV_NEW_N(c->arena, void *, count);
  fv_kb *kb = fv_kb_create(c->arena, pool, "serial");
  for (int i = 0; i < count; i++) {
    const eval_tensor *t = c->of[(i < n->n_in ? n->in[i] : n->out[i - n->n_in])->id];
    const fv_dtype d = t->type.dtype;
    buf[i] = fv_arena_alloc(c->arena, (size_t)(t->count + 1) * 8);
    for (int64_t k = 0; k < t->count; k++)
      fv_scalar_store(d, (char *)buf[i] + k * fv_dtype_size(d), t->data[k]);
    fv_kb_buffer(kb, d, i >= n->n_in);
  }
  n->meaning->build(n, kb);
  const fv_type *first = &n->out[0]->type;
  const fv_expr *grid = fv_x_i64(pool, 1);
  for (int i = 0; i < n->meaning->grid_rank; i++)
    grid = fv_x_mul(pool, grid, first->dim[i]);
  const fv_kernel *k = fv_kb_finish(kb, "test", grid);
  int64_t *scalar = FV_NEW_N(c->arena, int64_t, k->code.n_scalar + 1);
  int64_t blocks = 0, scratch = 0;
  for (uint32_t i = 0; i < k->code.n_scalar; i++)
    if (!fv_x_eval_i64(k->scalar[i], c->symbols, &scalar[i]))
      c->fault = "a scalar cannot be evaluated";
  if (k->scratch_bytes && !fv_x_eval_i64(k->scratch_bytes, c->symbols, &scratch))
    c->fault = "the scratch cannot be evaluated";
  if (!fv_x_eval_i64(grid, c->symbols, &blocks) ||
      fv_kernel_interpret(&k->code, c->arena, buf, scalar,
                          fv_arena_alloc(c->arena, (size_t)scratch), 0, blocks) != 0)
    c->fault = "the kernel failed";
  for (int i = 0; i < n->n_out; i++) {
    eval_tensor *t = c->of[n->out[i]->id];
    const char *p = buf[n->n_in + i];
    for (int64_t e = 0; e < t->count; e++)
      t->data[e] = fv_scalar_load(t->type.dtype, p + e * fv_dtype_size(t->type.dtype));
  }
}

static inline void eval_node(eval_ctx *c, const fv_node *n, fv_module *m);

// A loop without a condition, whose kept values are stacked along axis 0.
static inline void eval_loop(eval_ctx *c, const fv_node *n, fv_module *m) {
  const uint32_t count = fv_symbol_count(m->pool);
  const fv_region *b = n->body[0];
  const int64_t *outer = c->symbols;
  int64_t *symbols = FV_NEW_N(c->arena, int64_t, count + 1), trips = 0;
  if (outer)
    memcpy(symbols, outer, sizeof *symbols * count);
  if (!fv_x_eval_i64(fv_attr_get(n, "trips")->x, symbols, &trips))
    c->fault = "trips cannot be evaluated";
  c->symbols = symbols;
  for (int i = 0; i < n->n_in; i++)
    c->of[b->param[i]->id] = c->of[n->in[i]->id];
  for (int64_t t = 0; t < trips && !c->fault; t++) {
    symbols[fv_attr_int(n, "counter")] = t;
    for (const fv_node *k = b->first; k && !c->fault; k = k->next)
      eval_node(c, k, m);
    for (int i = n->n_in; i < n->n_out && !c->fault; i++) {
      const eval_tensor *each = c->of[b->result[i]->id];
      memcpy(c->of[n->out[i]->id]->data + t * each->count, each->data,
             sizeof *each->data * (size_t)each->count);
    }
    for (int i = 0; i < n->n_in && !c->fault; i++)
      c->of[b->param[i]->id] = c->of[b->result[i]->id];
  }
  for (int i = 0; i < n->n_in; i++)
    c->of[n->out[i]->id] = c->of[b->param[i]->id];
  c->symbols = outer;
}

// Evaluates n, whose operands stand in c->of. Expansions nest a few levels.
static inline void eval_node(eval_ctx *c, const fv_node *n, fv_module *m) {
  for (int i = 0; i < n->n_out; i++)
    c->of[n->out[i]->id] = eval_new(c, &n->out[i]->type);
  if (n->op == FV_OP_constant) {
    eval_constant(n, c->of[n->out[0]->id]);
    return;
  }
  if (n->op == FV_OP_loop) {
    eval_loop(c, n, m);
    return;
  }
  switch (n->meaning->kind) {
  case FV_MEANS_NEST: eval_nest(c, n, &n->meaning->nest); return;
  case FV_MEANS_KERNEL: eval_kernel(c, n, m->pool); return;
  default: break;
  }
  const fv_region *r = n->meaning->expansion;
  for (int i = 0, k = 0; i < n->n_in; i++)
    if (n->in[i])
      c->of[r->param[k++]->id] = c->of[n->in[i]->id];
  for (const fv_node *b = r->first; b && !c->fault; b = b->next)
    eval_node(c, b, m);
  for (int i = 0; i < n->n_out && !c->fault; i++)
    c->of[n->out[i]->id] = c->of[r->result[i]->id];
}

#endif  // FOVEA_TESTS_UNIT_SEM_EVAL_H_
