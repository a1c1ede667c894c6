// SPDX-License-Identifier: Apache-2.0
// A module in higher precision, with and without noise: how far may rounding lead?
//
// The reference in f64 says what a result is without rounding. Where a small error
// grows on its way, as in a norm of nearly equal numbers, a single run in f32 may
// be right by luck; so the same is run with each inexact value off by a few units
// of the precision that it has in the module.
#include <math.h>

#include "ir/sem/sem.h"
#include "tests/compare.h"
#include "tests/fuzz/check.h"

typedef struct widening {
  fv_graph *g;
  fv_diag_sink *diag;
  double *amplitude;  // by value id: of the noise
  bool *exact;
  size_t cap;
} widening;

static double amplitude_of(fv_dtype t) {
  return t == FV_f32 ? 0x1p-22 : eps_of(t);  // sums in f32 err by more than one
}

//===-- Types -------------------------------------------------------------------===//

static void widen_type(fv_type *t) {
  if (fv_dtype_is_float(t->dtype))
    t->dtype = FV_f64;
}

static void widen_params(fv_region *r) {
  for (int i = 0; i < r->n_param; i++)
    widen_type(&r->param[i]->type);
}

static const fv_tensor *widen_tensor(fv_arena *ar, const fv_tensor *t) {
  if (!fv_dtype_is_float(t->dtype))
    return t;
  fv_tensor *w = fv_arena_dup(ar, t, sizeof *t);
  const int64_t n = fv_tensor_count(t), size = fv_dtype_size(t->dtype);
  double *data = FV_NEW_N(ar, double, n + 1);
  for (int64_t i = 0; i < n; i++)
    data[i] = fv_scalar_load(t->dtype, (const char *)t->data + i * size).f;
  w->dtype = FV_f64;
  w->data = data;
  return w;
}

static void widen_node(fv_arena *ar, fv_node *n) {
  const fv_op_info *info = fv_op_get(n->op);
  for (int i = 0; i < info->n_attr; i++)
    if (n->attr[i].kind == 't' && fv_dtype_is_float(n->attr[i].t))
      n->attr[i].t = FV_f64;
  for (int i = 0; i < n->n_data; i++)
    n->data[i] = widen_tensor(ar, n->data[i]);
  for (int i = 0; i < n->n_body; i++)
    widen_params(n->body[i]);
}

//===-- Definitions ---------------------------------------------------------------===//

// Room for ids that were made since; what a definition makes inside is as precise
// as f32 at least.
static void grow(widening *w, double amplitude) {
  const size_t n = w->g->module->n_value;
  fv_arena *ar = w->g->module->arena;
  if (n <= w->cap)
    return;
  double *a = FV_NEW_N(ar, double, 2 * n);
  bool *e = FV_NEW_N(ar, bool, 2 * n);
  for (size_t i = 0; i < 2 * n; i++) {
    a[i] = i < w->cap ? w->amplitude[i] : amplitude;
    e[i] = i < w->cap && w->exact[i];
  }
  w->amplitude = a;
  w->exact = e;
  w->cap = 2 * n;
}

static void inline_node(const widening *w, fv_node *n, fv_value **forward) {
  fv_region *x = n->meaning->expansion;
  const double inside = fmin(w->amplitude[n->out[0]->id], amplitude_of(FV_f32));
  int p = 0;
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i])
      forward[x->param[p++]->id] = n->in[i];
  while (x->first) {
    fv_node *m = x->first;
    fv_node_remove(m);
    m->region = n->region;
    fv_node_insert_before(m, n);
    for (int i = 0; i < m->n_out; i++)
      w->amplitude[m->out[i]->id] = inside;
  }
  for (int i = 0; i < n->n_out; i++) {
    w->amplitude[x->result[i]->id] = w->amplitude[n->out[i]->id];
    forward[n->out[i]->id] = x->result[i];
  }
  fv_node_remove(n);
}

static void inline_all(widening *w) {
  for (bool again = true; again;) {
    fv_value **forward = FV_NEW_N(w->g->module->arena, fv_value *, w->g->module->n_value);
    again = false;
    grow(w, amplitude_of(FV_f32));
    for (fv_node *n = fv_walk_first(w->g->region), *next; n; n = next) {
      next = fv_walk_next(w->g->region, n);
      if (!n->meaning || n->meaning->kind != FV_MEANS_EXPAND)
        continue;
      inline_node(w, n, forward);
      again = true;
    }
    if (again)
      fv_graph_forward(w->g, forward, w->g->module->n_value);
  }
}

//===-- Noise -----------------------------------------------------------------------===//

static bool integers(const fv_tensor *t) {
  if (!fv_dtype_is_float(t->dtype))
    return true;
  for (int64_t i = 0; i < fv_tensor_count(t); i++) {
    const double v =
        fv_scalar_load(t->dtype, (const char *)t->data + i * fv_dtype_size(t->dtype)).f;
    if (v != floor(v))
      return false;
  }
  return true;
}

// Small integers stay exact here; gen.h says the same when it makes a graph.
static bool exact_op(fv_op op) {
  switch (op) {
  case FV_OP_add:
  case FV_OP_sub:
  case FV_OP_mul:
  case FV_OP_reduce_sum:
  case FV_OP_reduce_prod:
  case FV_OP_matmul:
  case FV_OP_masked_matmul:
  case FV_OP_linear:
  case FV_OP_conv: return true;
  default: return fv_op_get(op)->tolerance == 0 && op != FV_OP_state_read;
  }
}

static void find_exact(const widening *w, const fv_node *n) {
  bool exact = exact_op(n->op) && (n->op != FV_OP_constant || integers(n->data[0]));
  for (int i = 0; i < n->n_in; i++)
    exact = exact && (!n->in[i] || w->exact[n->in[i]->id]);
  for (int i = 0; i < n->n_out; i++)
    w->exact[n->out[i]->id] = exact || !fv_dtype_is_float(n->out[i]->type.dtype);
  for (int i = 0; n->n_body && i < n->body[0]->n_param; i++)
    w->exact[n->body[0]->param[i]->id] = w->exact[n->in[i]->id];
}

static fv_value *place(const widening *w, fv_op op, fv_value *a, fv_value *b, fv_node *at,
                       fv_region *r) {
  fv_node *n = fv_node_create(r, op, b ? 2 : 1, (fv_value *[]){a, b}, NULL);
  if (op == FV_OP_clip) {
    fv_attr_set_float(n, "min", -1e3);
    fv_attr_set_float(n, "max", 1e3);
  }
  FV_CHECK(w->g->module->arena, fv_infer_node(n, w->diag) == FV_OK);
  fv_node_insert_before(n, at);
  return n->out[0];
}

static fv_value *number(const widening *w, double v, fv_node *at, fv_region *r) {
  fv_arena *ar = w->g->module->arena;
  fv_tensor *t = FV_NEW(ar, fv_tensor);
  *t = (fv_tensor){.name = "", .dtype = FV_f64, .data = fv_arena_dup(ar, &v, sizeof v)};
  fv_node *n = fv_node_create(r, FV_OP_constant, 0, NULL, NULL);
  n->n_data = 1;
  n->data = FV_NEW_N(ar, const fv_tensor *, 1);
  n->data[0] = t;
  FV_CHECK(ar, fv_infer_node(n, w->diag) == FV_OK);
  fv_node_insert_before(n, at);
  return n->out[0];
}

// In front of `at`: v (1 + a sin(10^6 v + k)), which is another number for each
// value; infinities and NaN stay. *keep: the nodes that go on reading v.
static fv_value *noisy(const widening *w, fv_value *v, fv_node *at, fv_region *r,
                       fv_node *keep[2]) {
  fv_value *x = place(w, FV_OP_clip, v, NULL, at, r);
  keep[0] = x->def;
  x = place(w, FV_OP_mul, x, number(w, 1e6, at, r), at, r);
  x = place(w, FV_OP_add, x, number(w, v->id, at, r), at, r);
  x = place(w, FV_OP_sin, x, NULL, at, r);
  x = place(w, FV_OP_mul, x, number(w, w->amplitude[v->id], at, r), at, r);
  x = place(w, FV_OP_add, x, number(w, 1, at, r), at, r);
  x = place(w, FV_OP_mul, v, x, at, r);
  keep[1] = x->def;
  return x;
}

// A sum in f32 or f64 rounds at each term, the same way where terms are alike; one
// in a narrow type runs in f32 and rounds at its end.
static bool rounds_often(const widening *w, const fv_node *n) {
  return n->meaning && n->meaning->kind == FV_MEANS_NEST && n->meaning->nest.n_red > 0 &&
         w->amplitude[n->out[0]->id] <= amplitude_of(FV_f32);
}

typedef struct noise {
  fv_value *from, *to;
  fv_node *keep[2];
} noise;

static void add_noise(widening *w) {
  fv_module *m = w->g->module;
  fv_arena *ar = m->arena;
  noise *all = NULL;
  size_t n_all = 0, cap = 0;
  fv_node *first = fv_walk_first(w->g->region);
  for (int i = 0; i < w->g->region->n_param; i++) {
    fv_value *v = w->g->region->param[i];
    const char kind = w->g->input_name[i][0];
    w->exact[v->id] = !fv_dtype_is_float(v->type.dtype) || kind == 'n' || kind == 'k';
    noise x = {.from = v};
    if (w->exact[v->id])
      continue;
    x.to = noisy(w, v, first, w->g->region, x.keep);
    FV_PUSH(ar, all, n_all, cap, x);
  }
  for (fv_node *n = first, *next; n; n = next) {
    next = fv_walk_next(w->g->region, n);
    find_exact(w, n);
    const bool rounds =
        fv_op_get(n->op)->tolerance > 0 || n->op == FV_OP_cast || n->op == FV_OP_constant;
    for (int i = 0; i < n->n_out && rounds; i++) {
      noise x = {.from = n->out[i]};
      if (w->exact[x.from->id] || !fv_dtype_is_float(x.from->type.dtype))
        continue;
      if (rounds_often(w, n))
        w->amplitude[x.from->id] *= 8;
      x.to = noisy(w, x.from, n->next, n->region, x.keep);
      FV_PUSH(ar, all, n_all, cap, x);
    }
  }
  const uint32_t n_value = m->n_value;
  fv_value **forward = FV_NEW_N(ar, fv_value *, n_value);
  for (size_t i = 0; i < n_all; i++)
    forward[all[i].from->id] = all[i].to;
  fv_graph_forward(w->g, forward, n_value);
  for (size_t i = 0; i < n_all; i++)
    all[i].keep[0]->in[0] = all[i].keep[1]->in[0] = all[i].from;
}

static void find_amplitudes(widening *w) {
  fv_region *r = w->g->region;
  grow(w, amplitude_of(FV_f32));
  for (int i = 0; i < r->n_param; i++)
    w->amplitude[r->param[i]->id] = amplitude_of(r->param[i]->type.dtype);
  for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n))
    for (int i = 0; i < n->n_out; i++)
      w->amplitude[n->out[i]->id] = amplitude_of(n->out[i]->type.dtype);
}

fv_status fuzz_widen(fv_module *m, bool with_noise, fv_diag_sink *diag) {
  widening w = {.g = m->graph[0], .diag = diag};
  fv_region *r = w.g->region;
  find_amplitudes(&w);
  for (int i = 0; i < m->n_state; i++)
    widen_type(&m->state[i]->type);
  widen_params(r);
  for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n))
    widen_node(m->arena, n);
  FV_TRY(fv_infer_graph(w.g, diag));
  if (with_noise) {
    inline_all(&w);
    add_noise(&w);
  }
  return FV_OK;
}
