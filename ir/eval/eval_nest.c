// SPDX-License-Identifier: Apache-2.0
// The loops of a nest, around its steps (eval_steps.h). The lane is the last reduced index
// if that is long, else the last parallel one or, where that is short, the longest.
#include "ir/eval/eval_nest.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ir/eval/eval_steps.h"

enum { LONG_ROW = 48 };

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

static bool is_float_sum(const nest_eval *x) {
  return x->nest->combine == FV_COMBINE_SUM && fv_dtype_is_float((fv_dtype)x->nest->value->dtype);
}

// A chunk of a parallel lane: each of its values to an accumulator of its own.
static void combine_each(const nest_eval *x, fv_scalar *acc, arg_best *arg) {
  const fv_scalar *v = fv_step_values(x, x->value);
  const bool vary = x->s[x->value].vary;
  if (x->nest->combine == FV_COMBINE_NONE) {
    for (int64_t i = 0; i < x->count; i++)
      acc[i] = v[vary ? i : 0];
  } else if (is_float_sum(x) && vary) {
    for (int64_t i = 0; i < x->count; i++)
      acc[i].f += v[i].f;
  } else {
    for (int64_t i = 0; i < x->count; i++)
      combine_one(x, &acc[i], &arg[i], v[vary ? i : 0], x->at[x->nest->n_par]);
  }
}

// A chunk of the reduced lane, in order.
static void combine_chunk(const nest_eval *x, fv_scalar *acc, arg_best *arg, int64_t first) {
  const fv_scalar *v = fv_step_values(x, x->value);
  const bool vary = x->s[x->value].vary;
  if (is_float_sum(x) && vary) {
    double sum = acc->f;
    for (int64_t i = 0; i < x->count; i++)
      sum += v[i].f;
    acc->f = sum;
    return;
  }
  for (int64_t i = 0; i < x->count; i++)
    combine_one(x, acc, arg, v[vary ? i : 0], first + i);
}

//===-- The loops -------------------------------------------------------------------===//

static fv_scalar finish_element(nest_eval *x, fv_scalar acc) {
  if (x->post < 0)
    return acc;
  x->acc = acc;
  const int64_t count = x->count;
  x->count = 1;
  fv_run_steps(x, true);
  x->count = count;
  return fv_step_values(x, x->post)[0];
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
        fv_run_steps(x, false);
        combine_each(x, acc, arg);
        if (x->check >= 0)
          for (int64_t i = 0; i < (x->s[x->check].vary ? x->count : 1); i++)
            *ok = *ok && fv_step_values(x, x->check)[i].i;
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
        fv_run_steps(x, false);
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

static int parallel_lane(const nest_eval *x) {
  int lane = x->nest->n_par > 0 ? x->nest->n_par - 1 : 0;
  for (int i = lane - 1; i >= 0 && x->extent[lane] < LONG_ROW; i--)
    if (x->extent[i] > x->extent[lane])
      lane = i;
  return lane;
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
  const int par = parallel_lane(&x), red = n_all - 1;
  const bool reduced =
      t->n_red && !t->check &&
      (t->n_par == 0 || x.extent[red] >= x.extent[par] || x.extent[red] >= LONG_ROW);
  x.lane = reduced ? red : par;
  if (t->n_par == 0 && !reduced)
    x.extent[0] = 1;
  x.value = fv_step_of(&x, t->value);
  if (t->check)
    x.check = fv_step_of(&x, t->check);
  if (t->post) {
    x.post = fv_step_of(&x, t->post);
    fv_mark_late(&x, x.post);
  }
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
