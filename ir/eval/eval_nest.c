// SPDX-License-Identifier: Apache-2.0
// A nest is compiled to steps in the order of expression ids (arguments come
// first); each step works on a chunk of up to CHUNK values of one index, the
// lane. The lane is the last parallel or the last reduced index, whichever is
// longer (a long reduced one is preferred). Loads whose offset moves linearly with the lane take no
// index arithmetic per element.
#include "ir/eval/eval_nest.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

enum { CHUNK = 512, LONG_ROW = 48 };

typedef struct step {
  const fv_expr *e;
  fv_scalar *v;  // CHUNK values
  int arg[3];    // steps of the arguments (of OP)
  bool vary;     // with the lane; else v[0] counts for all
  // LOAD
  const fv_array *from;
  int offset, stride;  // steps: flat offset (linear: at lane 0), elements a lane
  bool linear;
} step;

typedef struct nest_eval {
  const fv_node *n;
  const fv_nest *nest;
  const int64_t *symbol;
  const fv_array *const *in;
  fv_xpool *pool;
  fv_arena *ar;
  step *s;
  int n_step;
  size_t cap;
  int lane;                  // index number
  int64_t at[FV_MAX_LOOPS];  // current indices; at[lane] = start of the chunk
  int64_t extent[FV_MAX_LOOPS];
  int64_t count;  // of the chunk
  fv_scalar acc;  // for post
  int value, post, check;
} nest_eval;

//===-- Compilation -------------------------------------------------------------===//

static int find_step(const nest_eval *x, const fv_expr *e) {
  for (int i = x->n_step - 1; i >= 0; i--)
    if (x->s[i].e == e)
      return i;
  return -1;
}

static const fv_expr *flat_offset(nest_eval *x, const fv_expr *e) {
  fv_type t = x->n->in[e->ref]->type;
  t.layout.n = 0;
  return fv_type_offset(x->pool, &t, e->arg);
}

static bool uses_lane(const nest_eval *x, const fv_expr *e) {
  if (e->kind == FV_E_INDEX)
    return (int)e->ref == x->lane;
  for (int i = 0; i < e->n; i++)
    if (uses_lane(x, e->arg[i]))
      return true;
  return false;
}

static bool has_load(const fv_expr *e) {
  if (e->kind == FV_E_LOAD)
    return true;
  for (int i = 0; i < e->n; i++)
    if (has_load(e->arg[i]))
      return true;
  return false;
}

// Depth is bounded by the size of one op's scalar expression.
static int compile(nest_eval *x, const fv_expr *e) {
  const int known = find_step(x, e);
  if (known >= 0)
    return known;
  step s = {.e = e, .vary = uses_lane(x, e)};
  if (e->kind == FV_E_LOAD && e->ref != FV_NEST_ACC) {
    const fv_expr *offset = flat_offset(x, e);
    s.from = x->in[e->ref];
    const fv_expr *sub[FV_MAX_LOOPS] = {0};
    sub[x->lane] = fv_x_add(x->pool, fv_x_index(x->pool, (uint32_t)x->lane), fv_x_i64(x->pool, 1));
    const fv_expr *next = fv_x_subst_index(x->pool, offset, sub, FV_MAX_LOOPS);
    const fv_expr *stride = fv_x_sub(x->pool, next, offset);
    s.linear = !has_load(offset) && !uses_lane(x, stride);
    // A linear offset is base + stride * lane: neither varies within a chunk.
    sub[x->lane] = fv_x_i64(x->pool, 0);
    s.offset = compile(x, s.linear ? fv_x_subst_index(x->pool, offset, sub, FV_MAX_LOOPS) : offset);
    s.stride = s.linear ? compile(x, stride) : 0;
  } else if (e->kind == FV_E_OP) {
    for (int i = 0; i < e->n; i++)
      s.arg[i] = compile(x, e->arg[i]);
  }
  s.v = FV_NEW_N(x->ar, fv_scalar, CHUNK);
  size_t n = (size_t)x->n_step;
  FV_PUSH(x->ar, x->s, n, x->cap, s);
  return x->n_step++;
}

//===-- Steps -----------------------------------------------------------------------===//

static void load_linear(const step *s, int64_t base, int64_t stride, int64_t count) {
  const int64_t total = fv_array_count(s->from);
  const int64_t last = base + stride * (count - 1);
  const bool inside = base >= 0 && base < total && last >= 0 && last < total;
  if (inside && s->from->dtype == FV_f32) {
    const float *p = (const float *)s->from->data + base;
    for (int64_t i = 0; i < count; i++)
      s->v[i].f = (double)p[i * stride];
    return;
  }
  const int size = fv_dtype_size(s->from->dtype);
  const uint8_t *data = s->from->data;
  for (int64_t i = 0; i < count; i++) {
    const int64_t o = base + i * stride;
    // Out of range stands only in the arm of a select that is not taken.
    if (o >= 0 && o < total)
      s->v[i] = fv_scalar_load(s->from->dtype, data + o * size);
    else
      s->v[i].i = 0;
  }
}

static void do_load(nest_eval *x, step *s) {
  const int64_t count = s->vary ? x->count : 1;
  if (s->e->ref == FV_NEST_ACC) {
    s->v[0] = x->acc;
    return;
  }
  const step *o = &x->s[s->offset];
  if (s->linear) {
    const int64_t stride = x->s[s->stride].v[0].i;
    load_linear(s, o->v[0].i + stride * x->at[x->lane], stride, count);
    return;
  }
  const int64_t total = fv_array_count(s->from);
  const int size = fv_dtype_size(s->from->dtype);
  for (int64_t i = 0; i < count; i++) {
    const int64_t at = o->vary ? o->v[i].i : o->v[0].i;
    if (at >= 0 && at < total)
      s->v[i] = fv_scalar_load(s->from->dtype, (const uint8_t *)s->from->data + at * size);
    else
      s->v[i].i = 0;
  }
}

// The common float operations without a call per element.
#define FAST(expr)                                       \
  for (int64_t i = 0; i < count; i++) {                  \
    const double p = a->v[i * ia].f, q = b->v[i * ib].f; \
    s->v[i].f = (expr);                                  \
  }                                                      \
  return true

static bool do_fast(const nest_eval *x, step *s, int64_t count) {
  if (s->e->n != 2 || !fv_dtype_is_float((fv_dtype)s->e->dtype))
    return false;
  const step *a = &x->s[s->arg[0]], *b = &x->s[s->arg[1]];
  const int64_t ia = a->vary, ib = b->vary;
  switch (s->e->op) {
  case FV_X_MUL: FAST(p * q);
  case FV_X_ADD: FAST(p + q);
  case FV_X_SUB: FAST(p - q);
  case FV_X_DIV: FAST(p / q);
  default: return false;
  }
}
#undef FAST

static void do_op(nest_eval *x, step *s) {
  const int64_t count = s->vary ? x->count : 1;
  const fv_expr *e = s->e;
  if (do_fast(x, s, count))
    return;
  const step *a[3] = {&x->s[s->arg[0]], &x->s[s->arg[e->n > 1 ? 1 : 0]],
                      &x->s[s->arg[e->n > 2 ? 2 : 0]]};
  const fv_dtype t = (fv_dtype)(e->op == FV_X_SELECT ? e->dtype : e->arg[0]->dtype);
  for (int64_t i = 0; i < count; i++)
    s->v[i] =
        fv_scalar_eval((fv_scalar_op)e->op, t, (fv_dtype)e->dtype, a[0]->v[a[0]->vary ? i : 0],
                       a[1]->v[a[1]->vary ? i : 0], a[2]->v[a[2]->vary ? i : 0]);
  if (e->op == FV_X_CAST && fv_dtype_is_float((fv_dtype)e->dtype))
    for (int64_t i = 0; i < count; i++)
      s->v[i].f = fv_round_to((fv_dtype)e->dtype, s->v[i].f);
}

// Runs steps [0, n) for the chunk at hand; `all` also those that do not vary.
static void run_steps(nest_eval *x, int n, bool all) {
  for (int i = 0; i < n; i++) {
    step *s = &x->s[i];
    if (!s->vary && !all)
      continue;
    switch (s->e->kind) {
    case FV_E_LIT:
      if (fv_dtype_is_float((fv_dtype)s->e->dtype))
        s->v[0].f = s->e->lit.f;
      else
        s->v[0].i = s->e->lit.i;
      break;
    case FV_E_SYM: s->v[0].i = x->symbol[s->e->ref]; break;
    case FV_E_INDEX:
      for (int64_t k = 0; k < (s->vary ? x->count : 1); k++)
        s->v[k].i = x->at[s->e->ref] + k;
      break;
    case FV_E_LOAD: do_load(x, s); break;
    default: do_op(x, s); break;
    }
  }
}

//===-- Combining -------------------------------------------------------------------===//

static fv_scalar start_value(fv_combine c, fv_dtype t) {
  const bool f = fv_dtype_is_float(t);
  const int bits = fv_dtype_size(t) * 8;
  const int64_t top = t == FV_u8 ? 255 : bits == 64 ? INT64_MAX : (INT64_C(1) << (bits - 1)) - 1;
  fv_scalar v = {.i = 0};
  switch (c) {
  case FV_COMBINE_MAX:
  case FV_COMBINE_ARG_MAX:
    if (f)
      v.f = -INFINITY;
    else
      v.i = t == FV_u8 || t == FV_bool ? 0 : -top - 1;
    break;
  case FV_COMBINE_MIN:
  case FV_COMBINE_ARG_MIN:
    if (f)
      v.f = INFINITY;
    else
      v.i = t == FV_bool ? 1 : top;
    break;
  case FV_COMBINE_PROD:
  case FV_COMBINE_ALL:
    if (f)
      v.f = 1;
    else
      v.i = 1;
    break;
  default:
    if (f)
      v.f = 0;
    break;
  }
  return v;
}

static fv_scalar_op combiner(fv_combine c) {
  static const fv_scalar_op op[] = {
      [FV_COMBINE_SUM] = FV_X_ADD, [FV_COMBINE_PROD] = FV_X_MUL, [FV_COMBINE_MAX] = FV_X_MAX,
      [FV_COMBINE_MIN] = FV_X_MIN, [FV_COMBINE_ANY] = FV_X_OR,   [FV_COMBINE_ALL] = FV_X_AND};
  return op[c];
}

typedef struct arg_best {
  fv_scalar best;
  int64_t index;
} arg_best;

static void combine_one(const nest_eval *x, fv_scalar *acc, arg_best *arg, fv_scalar v,
                        int64_t index) {
  const fv_combine c = x->nest->combine;
  const fv_dtype t = (fv_dtype)x->nest->value->dtype;
  if (c == FV_COMBINE_SUM && fv_dtype_is_float(t)) {
    acc->f += v.f;
    return;
  }
  if (c != FV_COMBINE_ARG_MAX && c != FV_COMBINE_ARG_MIN) {
    *acc = fv_scalar_eval(combiner(c), t, t, *acc, v, v);
    return;
  }
  bool better;
  if (fv_dtype_is_float(t))
    better = (c == FV_COMBINE_ARG_MAX ? v.f > arg->best.f : v.f < arg->best.f) ||
             (isnan(v.f) && !isnan(arg->best.f));
  else
    better = c == FV_COMBINE_ARG_MAX ? v.i > arg->best.i : v.i < arg->best.i;
  if (better)
    *arg = (arg_best){v, index};
}

// A chunk of the reduced lane, in order.
static void combine_chunk(const nest_eval *x, fv_scalar *acc, arg_best *arg, int64_t first) {
  const step *v = &x->s[x->value];
  if (x->nest->combine == FV_COMBINE_SUM && v->vary &&
      fv_dtype_is_float((fv_dtype)x->nest->value->dtype)) {
    double sum = acc->f;
    for (int64_t i = 0; i < x->count; i++)
      sum += v->v[i].f;
    acc->f = sum;
    return;
  }
  for (int64_t i = 0; i < x->count; i++)
    combine_one(x, acc, arg, v->v[v->vary ? i : 0], first + i);
}

//===-- The loops -------------------------------------------------------------------===//

static fv_scalar finish_element(nest_eval *x, fv_scalar acc) {
  if (x->post < 0)
    return acc;
  x->acc = acc;
  const int64_t count = x->count;
  x->count = 1;
  run_steps(x, x->n_step, true);
  x->count = count;
  return x->s[x->post].v[0];
}

// Next tuple of indices lo..hi-1 but `skip`; false after the last.
static bool advance(nest_eval *x, int lo, int hi, int skip) {
  for (int d = hi - 1; d >= lo; d--) {
    if (d == skip)
      continue;
    if (++x->at[d] < x->extent[d])
      return true;
    x->at[d] = 0;
  }
  return false;
}

static bool empty_range(const nest_eval *x, int lo, int hi) {
  for (int d = lo; d < hi; d++)
    if (x->extent[d] == 0)
      return true;
  return false;
}

static void put(fv_array *out, const nest_eval *x, const fv_scalar v) {
  int64_t o = 0;
  for (int d = 0; d < x->nest->n_par; d++)
    o = o * out->dim[d] + x->at[d];
  fv_scalar_store(out->dtype, (uint8_t *)out->data + o * fv_dtype_size(out->dtype), v);
}

// The lane is a parallel index: a chunk of results at a time.
static bool run_parallel_lane(nest_eval *x, fv_array *out, bool *ok) {
  const fv_nest *t = x->nest;
  const int n_par = t->n_par, n_all = n_par + t->n_red;
  const bool reduces = t->combine != FV_COMBINE_NONE;
  fv_scalar *acc = FV_NEW_N(x->ar, fv_scalar, CHUNK);
  arg_best *arg = FV_NEW_N(x->ar, arg_best, CHUNK);
  const int64_t full = x->extent[x->lane];
  do {
    for (int64_t c = 0; c < full; c += CHUNK) {
      x->at[x->lane] = c;
      x->count = full - c < CHUNK ? full - c : CHUNK;
      for (int64_t i = 0; i < x->count; i++) {
        acc[i] = start_value(t->combine, (fv_dtype)t->value->dtype);
        arg[i] = (arg_best){acc[i], 0};
      }
      const bool none = reduces && empty_range(x, n_par, n_all);
      while (!none) {
        run_steps(x, x->n_step, true);
        const step *v = &x->s[x->value];
        for (int64_t i = 0; i < x->count; i++) {
          if (reduces)
            combine_one(x, &acc[i], &arg[i], v->v[v->vary ? i : 0], x->at[n_par]);
          else
            acc[i] = v->v[v->vary ? i : 0];
        }
        if (x->check >= 0)
          for (int64_t i = 0; i < x->count; i++)
            *ok = *ok && x->s[x->check].v[x->s[x->check].vary ? i : 0].i;
        if (!reduces || !advance(x, n_par, n_all, -1))
          break;
      }
      const int64_t count = x->count;
      const bool is_arg = t->combine == FV_COMBINE_ARG_MAX || t->combine == FV_COMBINE_ARG_MIN;
      for (int64_t i = 0; i < count; i++) {
        x->at[x->lane] = c + i;
        if (is_arg)
          acc[i].i = arg[i].index;
        put(out, x, reduces ? finish_element(x, acc[i]) : acc[i]);
      }
      x->count = count;
      x->at[x->lane] = 0;
    }
  } while (advance(x, 0, n_par, x->lane));
  return true;
}

// The lane is the last reduced index: a result at a time.
static void run_reduced_lane(nest_eval *x, fv_array *out) {
  const fv_nest *t = x->nest;
  const int n_par = t->n_par, n_all = n_par + t->n_red;
  const bool is_arg = t->combine == FV_COMBINE_ARG_MAX || t->combine == FV_COMBINE_ARG_MIN;
  const int64_t full = x->extent[x->lane];
  do {
    fv_scalar acc = start_value(t->combine, (fv_dtype)t->value->dtype);
    arg_best arg = {acc, 0};
    bool more = !empty_range(x, n_par, n_all);
    while (more) {
      for (int64_t c = 0; c < full; c += CHUNK) {
        x->at[x->lane] = c;
        x->count = full - c < CHUNK ? full - c : CHUNK;
        run_steps(x, x->n_step, true);
        combine_chunk(x, &acc, &arg, c);
      }
      x->at[x->lane] = 0;
      more = advance(x, n_par, n_all, x->lane);
    }
    if (is_arg)
      acc.i = arg.index;
    x->count = 1;
    put(out, x, finish_element(x, acc));
  } while (advance(x, 0, n_par, -1));
}

fv_status fv_eval_nest(const fv_node *n, fv_arena *ar, const int64_t *symbol,
                       const fv_array *const *in, fv_array *out, fv_diag_sink *diag) {
  const fv_nest *t = &n->meaning->nest;
  const int n_all = t->n_par + t->n_red;
  nest_eval x = {.n = n,
                 .nest = t,
                 .symbol = symbol,
                 .in = in,
                 .ar = ar,
                 .pool = n->region->graph->module->pool,
                 .post = -1,
                 .check = -1};
  for (int i = 0; i < n_all; i++)
    if (!fv_x_eval_i64(t->extent[i], symbol, &x.extent[i]) || x.extent[i] < 0)
      return fv_error(diag, FV_ERR_RUN, fv_node_span(n), "an extent is out of range");
  const int last_par = t->n_par - 1, last_red = n_all - 1;
  const bool reduced =
      t->n_red && !t->check &&
      (t->n_par == 0 || x.extent[last_red] >= x.extent[last_par] || x.extent[last_red] >= LONG_ROW);
  x.lane = reduced ? last_red : last_par < 0 ? 0 : last_par;
  if (t->n_par == 0 && !reduced)
    x.extent[0] = 1;
  x.value = compile(&x, t->value);
  if (t->check)
    x.check = compile(&x, t->check);
  if (t->post)
    x.post = compile(&x, t->post);
  if (fv_array_count(out) == 0)
    return FV_OK;
  bool ok = true;
  if (reduced)
    run_reduced_lane(&x, out);
  else
    run_parallel_lane(&x, out, &ok);
  if (!ok)
    return fv_error(diag, FV_ERR_RUN, fv_node_span(n), "%s", t->check_text);
  return FV_OK;
}
