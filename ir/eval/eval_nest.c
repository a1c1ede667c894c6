// SPDX-License-Identifier: Apache-2.0
// The loops of a nest, around its steps (eval_steps.h). The lane is the last reduced index
// or the last parallel one (where that is short, the longest): which is long and along which
// the operands lie together.
#include "ir/eval/eval_nest.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ir/eval/eval_steps.h"

enum { LONG_ROW = 48 };

//===-- Combining -------------------------------------------------------------------===//

// What is combined so far: on each lane of a chunk, or once where the lane is reduced.
typedef struct totals {
  fv_scalar value[CHUNK];
  double lost[CHUNK];    // SUM of f64: the rounding errors
  int64_t index[CHUNK];  // ARG_MAX, ARG_MIN: of the value
} totals;

static void begin_totals(const nest_eval *x, totals *a, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    a->value[i] = fv_combine_identity(x->nest->combine, (fv_dtype)x->nest->value->dtype);
    a->lost[i] = 0;
    a->index[i] = 0;
  }
}

static bool is_float_sum(const nest_eval *x) {
  return x->nest->combine == FV_COMBINE_SUM && fv_dtype_is_float((fv_dtype)x->nest->value->dtype);
}

// A sum of narrower floats in double is right to the last place of its type. One of f64
// needs its rounding errors.
static bool is_exact_sum(const nest_eval *x) {
  return is_float_sum(x) && x->nest->value->dtype == FV_f64;
}

static bool seeks_index(const nest_eval *x) {
  return x->nest->combine == FV_COMBINE_ARG_MAX || x->nest->combine == FV_COMBINE_ARG_MIN;
}

static fv_scalar total(const nest_eval *x, const totals *a, int64_t i) {
  fv_scalar v = a->value[i];
  if (seeks_index(x))
    v.i = a->index[i];
  else if (is_exact_sum(x) && isfinite(v.f))
    v.f += a->lost[i];
  return v;
}

// Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974.
FV_INLINE void add_exactly(double *sum, double *lost, double v) {
  const double old = *sum;
  *sum = old + v;
  const bool larger = fabs(old) >= fabs(v);
  *lost += ((larger ? old : v) - *sum) + (larger ? v : old);
}

static void seek(const nest_eval *x, totals *a, int64_t i, fv_scalar v, int64_t index) {
  const bool max = x->nest->combine == FV_COMBINE_ARG_MAX;
  const fv_scalar best = a->value[i];
  bool better;
  if (fv_dtype_is_float((fv_dtype)x->nest->value->dtype))
    better = (max ? v.f > best.f : v.f < best.f) || (isnan(v.f) && !isnan(best.f));
  else
    better = max ? v.i > best.i : v.i < best.i;
  if (better) {
    a->value[i] = v;
    a->index[i] = index;
  }
}

// A chunk of a parallel lane: each of its values to a total of its own.
static void combine_each(const nest_eval *x, totals *a) {
  const fv_dtype t = (fv_dtype)x->nest->value->dtype;
  const fv_lanes v = fv_step_lanes(x, x->value);
  if (x->nest->combine == FV_COMBINE_NONE) {
    for (int64_t i = 0; i < x->count; i++)
      a->value[i] = v.v[i * v.by];
  } else if (is_exact_sum(x)) {
    for (int64_t i = 0; i < x->count; i++)
      add_exactly(&a->value[i].f, &a->lost[i], v.v[i * v.by].f);
  } else if (seeks_index(x)) {
    for (int64_t i = 0; i < x->count; i++)
      seek(x, a, i, v.v[i * v.by], x->at[x->nest->n_par]);
  } else {
    const fv_lanes arg[3] = {{a->value, 1}, v, v};
    fv_scalar_eval_n(fv_combine_op(x->nest->combine), t, t, arg, a->value, x->count);
  }
}

static double sum_floats(double sum, fv_lanes v, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    sum += v.v[i * v.by].f;
  return sum;
}

static void sum_exactly(double *to, double *to_lost, fv_lanes v, int64_t count) {
  double sum = *to, lost = *to_lost;
  for (int64_t i = 0; i < count; i++)
    add_exactly(&sum, &lost, v.v[i * v.by].f);
  *to = sum;
  *to_lost = lost;
}

// What wraps around at the end is what does so at each step.
static fv_scalar sum_integers(fv_dtype t, fv_scalar to, fv_lanes v, int64_t count) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += (uint64_t)v.v[i * v.by].i;
  const fv_scalar part = {.i = (int64_t)sum};
  return fv_scalar_eval(FV_X_ADD, t, t, to, part, part);
}

// A chunk of the reduced lane, in order.
static void combine_chunk(const nest_eval *x, totals *a, int64_t first) {
  const fv_dtype t = (fv_dtype)x->nest->value->dtype;
  const fv_lanes v = fv_step_lanes(x, x->value);
  if (is_exact_sum(x))
    sum_exactly(&a->value[0].f, &a->lost[0], v, x->count);
  else if (is_float_sum(x))
    a->value[0].f = sum_floats(a->value[0].f, v, x->count);
  else if (x->nest->combine == FV_COMBINE_SUM)
    a->value[0] = sum_integers(t, a->value[0], v, x->count);
  else
    for (int64_t i = 0; i < x->count; i++) {
      const fv_scalar k = v.v[i * v.by];
      if (seeks_index(x))
        seek(x, a, 0, k, first + i);
      else
        a->value[0] = fv_scalar_eval(fv_combine_op(x->nest->combine), t, t, a->value[0], k, k);
    }
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
  return fv_step_lanes(x, x->post).v[0];
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

// The check at each point of the chunk.
static void test_checks(nest_eval *x) {
  if (x->check < 0)
    return;
  const fv_lanes ok = fv_step_lanes(x, x->check);
  for (int64_t i = 0; i < (ok.by ? x->count : 1); i++)
    x->failed = x->failed || !ok.v[i].i;
}

// The lane is a parallel index: a chunk of results at a time.
static void run_parallel_lane(nest_eval *x, fv_array *out) {
  const fv_nest *t = x->nest;
  const int n_par = t->n_par, n_all = n_par + t->n_red;
  const bool reduces = t->combine != FV_COMBINE_NONE;
  totals *a = FV_NEW(x->ar, totals);
  const int64_t full = x->extent[x->lane];
  do {
    for (int64_t c = 0; c < full; c += CHUNK) {
      x->at[x->lane] = c;
      x->count = full - c < CHUNK ? full - c : CHUNK;
      begin_totals(x, a, x->count);
      const bool none = reduces && empty_range(x, n_par, n_all);
      while (!none) {
        fv_run_steps(x, false);
        combine_each(x, a);
        test_checks(x);
        if (!reduces || !advance(x, n_par, n_all, -1))
          break;
      }
      const int64_t count = x->count;
      for (int64_t i = 0; i < count; i++) {
        x->at[x->lane] = c + i;
        put(out, x, reduces ? finish_element(x, total(x, a, i)) : a->value[i]);
      }
      x->count = count;
      x->at[x->lane] = 0;
    }
  } while (advance(x, 0, n_par, x->lane));
}

// The lane is the last reduced index: a result at a time.
static void run_reduced_lane(nest_eval *x, fv_array *out) {
  const fv_nest *t = x->nest;
  const int n_par = t->n_par, n_all = n_par + t->n_red;
  const int64_t full = x->extent[x->lane];
  totals *a = FV_NEW(x->ar, totals);
  do {
    begin_totals(x, a, 1);
    bool more = !empty_range(x, n_par, n_all);
    while (more) {
      for (int64_t c = 0; c < full; c += CHUNK) {
        x->at[x->lane] = c;
        x->count = full - c < CHUNK ? full - c : CHUNK;
        fv_run_steps(x, false);
        combine_chunk(x, a, c);
      }
      x->at[x->lane] = 0;
      more = advance(x, n_par, n_all, x->lane);
    }
    x->count = 1;
    put(out, x, finish_element(x, total(x, a, 0)));
  } while (advance(x, 0, n_par, -1));
}

//===-- Scans -----------------------------------------------------------------------===//

// A running value. A float sum keeps what each addition lost (TwoSum; nothing is lost beyond
// infinity and NaN).
typedef struct running {
  fv_scalar acc;
  double rest;
} running;

static void run_on(const nest_eval *x, running *r, fv_scalar v) {
  const fv_dtype t = (fv_dtype)x->nest->value->dtype;
  if (!is_float_sum(x)) {
    r->acc = fv_scalar_eval(fv_combine_op(x->nest->combine), t, t, r->acc, v, v);
    return;
  }
  const double old = r->acc.f, sum = old + v.f, part = sum - old;
  const double lost = (old - (sum - part)) + (v.f - part);
  r->acc.f = sum;
  if (!isnan(lost))
    r->rest += lost;
}

static void put_running(fv_array *out, const nest_eval *x, const running *r) {
  put(out, x, is_float_sum(x) ? (fv_scalar){.f = r->acc.f + r->rest} : r->acc);
}

// The lane is the axis of the scan.
static void run_scan(nest_eval *x, fv_array *out) {
  const fv_nest *t = x->nest;
  const int64_t full = x->extent[x->lane];
  do {
    running r = {.acc = fv_combine_identity(t->combine, (fv_dtype)t->value->dtype)};
    for (int64_t c = 0; c < full; c += CHUNK) {
      x->count = full - c < CHUNK ? full - c : CHUNK;
      const int64_t first = t->reverse ? full - c - x->count : c;
      x->at[x->lane] = first;
      fv_run_steps(x, false);
      test_checks(x);
      const fv_lanes v = fv_step_lanes(x, x->value);
      for (int64_t i = 0; i < x->count; i++) {
        const int64_t k = t->reverse ? x->count - 1 - i : i;
        x->at[x->lane] = first + k;
        if (t->exclusive)
          put_running(out, x, &r);
        run_on(x, &r, v.v[k * v.by]);
        if (!t->exclusive)
          put_running(out, x, &r);
      }
    }
    x->at[x->lane] = 0;
  } while (advance(x, 0, t->n_par, x->lane));
}

//===-- Scatters --------------------------------------------------------------------===//

// Writes point i of the chunk.
static void write_point(const nest_eval *x, fv_array *out, int64_t i) {
  const fv_combine c = x->nest->combine;
  const fv_dtype t = out->dtype;
  int64_t o = 0;
  for (int d = 0; d < out->rank; d++) {
    const fv_lanes target = fv_step_lanes(x, x->target[d]);
    const int64_t k = target.v[i * target.by].i;
    if (k < 0 || k >= out->dim[d])
      return;  // its check fails the run
    o = o * out->dim[d] + k;
  }
  uint8_t *p = (uint8_t *)out->data + o * fv_dtype_size(t);
  const fv_lanes value = fv_step_lanes(x, x->value);
  fv_scalar v = value.v[i * value.by];
  if (c != FV_COMBINE_NONE)
    v = fv_scalar_eval(fv_combine_op(c), t, t, fv_scalar_load(t, p), v, v);
  fv_scalar_store(t, p, v);
}

// The lane is the last index of the points; these are gone through in order.
static void run_scatter(nest_eval *x, fv_array *out) {
  const fv_nest *t = x->nest;
  if (empty_range(x, 0, t->n_par))
    return;
  const int64_t full = x->extent[x->lane];
  do {
    for (int64_t c = 0; c < full && !x->failed; c += CHUNK) {
      x->at[x->lane] = c;
      x->count = full - c < CHUNK ? full - c : CHUNK;
      fv_run_steps(x, false);
      test_checks(x);
      for (int64_t i = 0; i < x->count && !x->failed; i++)
        write_point(x, out, i);
    }
    x->at[x->lane] = 0;
  } while (advance(x, 0, t->n_par, x->lane));
}

//===-- Nests -----------------------------------------------------------------------===//

static int parallel_lane(const nest_eval *x) {
  int lane = x->nest->n_par > 0 ? x->nest->n_par - 1 : 0;
  if (x->nest->form == FV_NEST_SCATTER)
    return lane;
  for (int i = lane - 1; i >= 0 && x->extent[lane] < LONG_ROW; i--)
    if (x->extent[i] > x->extent[lane])
      lane = i;
  return lane;
}

// Loads of elements that lie apart along a lane.
typedef struct far_loads {
  fv_xpool *pool;
  uint32_t lane;
  int n;
} far_loads;

static const fv_expr *see_load(void *user, const fv_expr *e) {
  far_loads *f = user;
  bool far = false;
  for (int i = 0; e->kind == FV_E_LOAD && i + 1 < e->n; i++)
    far = far || fv_x_uses_index(f->pool, e->arg[i], f->lane);
  f->n += far;
  return e;
}

static int count_far_loads(const nest_eval *x, int lane) {
  far_loads f = {.pool = x->pool, .lane = (uint32_t)lane};
  fv_x_rewrite(x->pool, x->nest->value, see_load, &f);
  return f.n;
}

static int choose_lane(const nest_eval *x) {
  const fv_nest *t = x->nest;
  const int par = parallel_lane(x), red = t->n_par + t->n_red - 1;
  if (t->form == FV_NEST_SCAN)
    return t->along;
  if (!t->n_red || t->check)
    return par;
  if (t->n_par > 0 && x->extent[par] >= LONG_ROW && x->extent[red] >= LONG_ROW)
    return count_far_loads(x, red) < count_far_loads(x, par) ? red : par;
  return t->n_par == 0 || x->extent[red] >= x->extent[par] || x->extent[red] >= LONG_ROW ? red
                                                                                         : par;
}

static void run_loops(nest_eval *x, fv_array *out) {
  if (x->nest->form == FV_NEST_SCATTER)
    run_scatter(x, out);
  else if (fv_array_count(out) == 0)
    return;
  else if (x->nest->form == FV_NEST_SCAN)
    run_scan(x, out);
  else if (x->nest->n_red && x->lane >= x->nest->n_par)
    run_reduced_lane(x, out);
  else
    run_parallel_lane(x, out);
}

static fv_status run_nest(const fv_node *n, const fv_nest *t, fv_arena *ar, const int64_t *symbol,
                          fv_xvalues *kept, const fv_array *const *in, fv_array *out,
                          fv_diag_sink *diag) {
  nest_eval x = {.n = n,
                 .nest = t,
                 .symbol = symbol,
                 .kept = kept,
                 .in = in,
                 .ar = ar,
                 .pool = n->region->graph->module->pool,
                 .post = -1,
                 .check = -1};
  for (int i = 0; i < t->n_par + t->n_red; i++)
    if (!fv_x_eval_kept(t->extent[i], symbol, kept, &x.extent[i]) || x.extent[i] < 0)
      return fv_error(diag, FV_ERR_RUN, fv_node_span(n), "an extent is out of range");
  if (t->n_par + t->n_red == 0)
    x.extent[0] = 1;
  x.lane = choose_lane(&x);
  x.value = fv_step_of(&x, t->value);
  for (int d = 0; t->form == FV_NEST_SCATTER && d < out->rank; d++) {
    fv_want_exact(&x, t->target[d]);
    x.target[d] = fv_step_of(&x, t->target[d]);
  }
  if (t->check) {
    fv_want_exact(&x, t->check);
    x.check = fv_step_of(&x, t->check);
  }
  if (t->post) {
    x.post = fv_step_of(&x, t->post);
    fv_mark_late(&x, x.post);
  }
  if (x.overflowed)
    return fv_error(diag, FV_ERR_RUN, fv_node_span(n),
                    "a size that follows from the dims does not fit 64 bits");
  run_loops(&x, out);
  if (x.failed)
    return fv_error(diag, FV_ERR_RUN, fv_node_span(n), "%s", t->check_text);
  return FV_OK;
}

fv_status fv_eval_nest(const fv_node *n, fv_arena *ar, const int64_t *symbol, fv_xvalues *kept,
                       const fv_array *const *in, fv_array *out, fv_diag_sink *diag) {
  const fv_nest *t = &n->meaning->nest;
  if (t->form == FV_NEST_SCATTER) {
    const fv_nest base = fv_nest_base(t, &n->out[0]->type);
    FV_TRY(run_nest(n, &base, ar, symbol, kept, in, out, diag));
  }
  return run_nest(n, t, ar, symbol, kept, in, out, diag);
}
