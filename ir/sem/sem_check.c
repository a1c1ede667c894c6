// SPDX-License-Identifier: Apache-2.0
//
// Checks of attributes and index ranges, shared by the semantics functions.
#include <math.h>
#include <string.h>

#include "ir/graph/loop.h"
#include "ir/sem/sem_util.h"

fv_status fv_sem_rank_fits(fv_sem *s, int rank) {
  if (rank <= FV_MAX_RANK)
    return FV_OK;
  return fv_sem_error(s, "the result would have rank %d; at most %d is possible (%s)", rank,
                      FV_MAX_RANK, fv_sem_shapes(s));
}

fv_status fv_sem_int_in(fv_sem *s, const char *attr, int64_t lo, int64_t hi) {
  const int64_t v = fv_attr_int(s->node, attr);
  if (v >= lo && v <= hi)
    return FV_OK;
  if (hi == INT64_MAX)
    return fv_sem_error(s, "%s = %lld is out of range: it must be %lld or more", attr, (long long)v,
                        (long long)lo);
  return fv_sem_error(s, "%s = %lld is out of range: it must be in %lld..%lld", attr, (long long)v,
                      (long long)lo, (long long)hi);
}

fv_status fv_sem_float_min(fv_sem *s, const char *attr, double lo) {
  const double v = fv_attr_float(s->node, attr);
  if (v >= lo && isfinite(v))
    return FV_OK;
  return fv_sem_error(s, "%s = %g is out of range: it must be finite and %g or more", attr, v, lo);
}

fv_status fv_sem_ints(fv_sem *s, const char *attr, int want, int64_t lo, int64_t hi, int64_t dflt,
                      int64_t *out) {
  const fv_attr *a = fv_attr_get(s->node, attr);
  if (a->n != 0 && a->n != want)
    return fv_sem_error(s, "%s has %d entries, but %d are needed (%s)", attr, a->n, want,
                        fv_sem_shapes(s));
  for (int i = 0; i < want; i++) {
    out[i] = a->n ? a->ints[i] : dflt;
    if (out[i] < lo || out[i] > hi)
      return fv_sem_error(s, "%s[%d] = %lld is out of range: it must be in %lld..%lld", attr, i,
                          (long long)out[i], (long long)lo, (long long)hi);
  }
  return FV_OK;
}

fv_status fv_sem_axes(fv_sem *s, const char *attr, int rank, bool empty_is_all, bool *is_member) {
  const fv_attr *a = fv_attr_get(s->node, attr);
  for (int i = 0; i < rank; i++)
    is_member[i] = a->n == 0 && empty_is_all;
  for (int i = 0; i < a->n; i++) {
    const int64_t axis = a->ints[i];
    if (axis < -rank || axis >= rank)
      return fv_sem_error(s, "%s[%d] = %lld is out of range for rank %d (%s)", attr, i,
                          (long long)axis, rank, fv_sem_shapes(s));
    const int64_t k = axis < 0 ? axis + rank : axis;
    if (is_member[k])
      return fv_sem_error(s, "%s names axis %lld twice", attr, (long long)k);
    is_member[k] = true;
  }
  return FV_OK;
}

fv_status fv_sem_choice(fv_sem *s, const char *attr, const char *choices, int *out) {
  const char *word = fv_attr_str(s->node, attr);
  const size_t len = strlen(word);
  const char *p = choices;
  for (int i = 0; *p; i++) {
    const size_t n = strcspn(p, " ");
    if (n == len && memcmp(p, word, n) == 0) {
      *out = i;
      return FV_OK;
    }
    p += n + (p[n] == ' ');
  }
  return fv_sem_error(s, "%s = '%s' is unknown; it is one of: %s", attr, word, choices);
}

bool fv_sem_is_one(const fv_sem *s, const fv_expr *dim) {
  int64_t v;
  if (fv_x_is_lit(dim, &v))
    return v == 1;
  return fv_prove_eq(s->pool, dim, fv_x_i64(s->pool, 1)) == FV_YES;
}

//===-- Index ranges ----------------------------------------------------===//

static fv_truth between(fv_sem *s, const fv_expr *e, const fv_expr *extent) {
  const fv_truth lo = fv_prove_le(s->pool, fv_x_i64(s->pool, 0), e);
  const fv_truth hi = fv_prove_le(s->pool, fv_x_add(s->pool, e, fv_x_i64(s->pool, 1)), extent);
  if (lo == FV_NO || hi == FV_NO)
    return FV_NO;
  return lo == FV_YES && hi == FV_YES ? FV_YES : FV_UNKNOWN;
}

fv_truth fv_sem_in_range(fv_sem *s, const fv_expr *e, const fv_expr *extent) {
  fv_truth t = between(s, e, extent);
  const fv_expr *zero = fv_x_i64(s->pool, 0), *one = fv_x_i64(s->pool, 1);
  fv_bounds b = {e, e};
  // The trips of a loop may be a symbol, and so is its last trip.
  for (const fv_node *n = s->node->region->owner; n && t != FV_YES; n = n->region->owner) {
    if (n->op != FV_OP_loop || fv_attr_get(n, "counter")->kind == 0 ||
        fv_attr_get(n, "trips")->kind == 0)
      continue;
    if (fv_loop_never_reaches(n, e))
      return FV_YES;
    if (t == FV_NO)
      continue;
    if (!fv_loop_widen(n, &b))
      break;
    if (fv_prove_le(s->pool, zero, b.lo) == FV_YES &&
        fv_prove_le(s->pool, fv_x_add(s->pool, b.hi, one), extent) == FV_YES)
      t = FV_YES;
  }
  return t;
}

fv_status fv_sem_want_in_range(fv_sem *s, const fv_expr *e, const fv_expr *extent,
                               const char *what) {
  switch (fv_sem_in_range(s, e, extent)) {
  case FV_YES: return FV_OK;
  case FV_NO:
    return fv_sem_error(
        s, "%s = %s is out of range: it must be in 0..%s (%s)", what, fv_sem_dim_text(s, e),
        fv_sem_dim_text(s, fv_x_sub(s->pool, extent, fv_x_i64(s->pool, 1))), fv_sem_shapes(s));
  default: {
    const fv_expr *zero = fv_x_i64(s->pool, 0), *next = fv_x_add(s->pool, e, fv_x_i64(s->pool, 1));
    if (fv_sem_need(s, FV_REL_LE, zero, e, what) == FV_YES &&
        fv_sem_need(s, FV_REL_LE, next, extent, what) == FV_YES)
      return FV_OK;
    fv_sem_check(
        s, fv_sem_bounds(s, e, extent),
        fv_arena_printf(s->arena, "%s: %s is out of range", fv_op_get(s->node->op)->name, what));
    return FV_OK;
  }
  }
}

typedef struct divisor {
  fv_graph *graph;
  const fv_expr *zero;  // the first that may be 0
} divisor;

static const fv_expr *look_divisor(void *user, const fv_expr *e) {
  divisor *d = user;
  if (!d->zero && e->kind == FV_E_OP && (e->op == FV_X_FLOORDIV || e->op == FV_X_MOD)) {
    const fv_range r = fv_graph_range(d->graph, e->arg[1]);
    d->zero = r.lo <= 0 && r.hi >= 0 ? e->arg[1] : NULL;
  }
  return e;
}

fv_status fv_sem_want_not_negative(fv_sem *s, const fv_expr *dim, const char *what) {
  int64_t zero;
  divisor d = {.graph = s->node->region->graph};
  (void)fv_x_rebuild(s->pool, look_divisor(&d, dim), look_divisor, &d);
  if (d.zero)
    return fv_sem_error(
        s, "%s would be %s, which divides by %s%s", what, fv_sem_dim_text(s, dim),
        fv_sem_dim_text(s, d.zero),
        fv_x_is_lit(d.zero, &zero) ? "" : ": it may be 0, unless a <dim> has another min");
  const fv_truth ok = fv_sem_need(s, FV_REL_LE, fv_x_i64(s->pool, 0), dim, what);
  if (ok == FV_YES)
    return FV_OK;
  const char *shapes = fv_sem_shapes(s);
  const char *of = *shapes ? fv_arena_printf(s->arena, " (%s)", shapes) : "";
  if (ok == FV_NO)
    return fv_sem_error(s, "%s would be %s, which is negative%s", what, fv_sem_dim_text(s, dim),
                        of);
  return fv_sem_error(
      s,
      "%s would be %s, which may be negative; declare a larger min or a smaller max "
      "for its dims%s",
      what, fv_sem_dim_text(s, dim), of);
}

fv_status fv_sem_shape_attr(fv_sem *s, const char *attr, int *rank, const fv_expr **dims) {
  const fv_attr *a = fv_attr_get(s->node, attr);
  FV_TRY(fv_sem_rank_fits(s, a->n));
  *rank = a->n;
  for (int i = 0; i < a->n; i++) {
    dims[i] = a->dims[i];
    FV_TRY(fv_sem_want_not_negative(s, dims[i], fv_arena_printf(s->arena, "%s[%d]", attr, i)));
  }
  return FV_OK;
}

fv_status fv_sem_expr(fv_sem *s, const char *attr, const fv_expr **out) {
  const int64_t limit = INT64_C(1) << 48;
  *out = fv_attr_get(s->node, attr)->x;
  int64_t v;
  if (fv_x_is_lit(*out, &v) && (v < -limit || v > limit))
    return fv_sem_error(s, "%s = %lld is out of range", attr, (long long)v);
  return FV_OK;
}

fv_status fv_sem_literal(fv_sem *s, const char *attr, fv_dtype t, const fv_expr **out) {
  const fv_attr *a = fv_attr_get(s->node, attr);
  if (fv_dtype_is_float(t) && fv_scalar_holds(t, a->f)) {
    *out = fv_x_lit_f(s->pool, t, a->f);
    return FV_OK;
  }
  if (a->is_whole && fv_scalar_fits(t, a->whole)) {
    *out = fv_x_lit_i(s->pool, t, a->whole);
    return FV_OK;
  }
  return fv_sem_error(s, "%s = %s cannot be represented in %s", attr,
                      a->is_whole ? fv_arena_printf(s->arena, "%lld", (long long)a->whole)
                                  : fv_arena_printf(s->arena, "%g", a->f),
                      fv_dtype_name(t));
}
