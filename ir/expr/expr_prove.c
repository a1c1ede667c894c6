// SPDX-License-Identifier: Apache-2.0
//
// Intervals, and what can be proved with them about differences.
#include "base/checked.h"
#include "base/integer.h"
#include "ir/expr/expr_pool.h"
#include "ir/expr/expr_walk.h"

//===-- Intervals -------------------------------------------------------===//
// INT64_MIN as a lower and INT64_MAX as an upper bound mean "none"; sums and
// products saturate there.

static int64_t sat_add(int64_t a, int64_t b) {
  int64_t r;
  if (a == INT64_MIN || b == INT64_MIN)
    return INT64_MIN;
  if (a == INT64_MAX || b == INT64_MAX)
    return INT64_MAX;
  return fv_add_i64(a, b, &r) ? r : a < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t sat_neg(int64_t a) {
  return a == INT64_MIN ? INT64_MAX : a == INT64_MAX ? INT64_MIN : -a;
}

static int64_t sat_mul(int64_t a, int64_t b) {
  int64_t r;
  if (a == 0 || b == 0)
    return 0;
  const bool none = a == INT64_MIN || b == INT64_MIN || a == INT64_MAX || b == INT64_MAX;
  if (!none && fv_mul_i64(a, b, &r))
    return r;
  return (a < 0) != (b < 0) ? INT64_MIN : INT64_MAX;
}

static int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static int64_t max64(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static fv_range range_add(fv_range a, fv_range b) {
  return (fv_range){sat_add(a.lo, b.lo),
                    a.hi == INT64_MAX || b.hi == INT64_MAX ? INT64_MAX : sat_add(a.hi, b.hi)};
}

static fv_range range_neg(fv_range a) {
  return (fv_range){sat_neg(a.hi), sat_neg(a.lo)};
}

static fv_range range_mul(fv_range a, fv_range b) {
  const int64_t v[4] = {sat_mul(a.lo, b.lo), sat_mul(a.lo, b.hi), sat_mul(a.hi, b.lo),
                        sat_mul(a.hi, b.hi)};
  return (fv_range){min64(min64(v[0], v[1]), min64(v[2], v[3])),
                    max64(max64(v[0], v[1]), max64(v[2], v[3]))};
}

static fv_range range_floordiv(fv_range a, fv_range b) {
  if (b.lo < 1)
    return FV_RANGE_ALL;
  fv_range r;
  if (a.lo >= 0)
    r.lo = b.hi == INT64_MAX ? 0 : a.lo / b.hi;
  else
    r.lo = a.lo == INT64_MIN ? INT64_MIN : fv_floordiv_i64(a.lo, b.lo);
  if (a.hi >= 0)
    r.hi = a.hi == INT64_MAX ? INT64_MAX : a.hi / b.lo;
  else
    r.hi = b.hi == INT64_MAX ? -1 : fv_floordiv_i64(a.hi, b.hi);
  return r;
}

static fv_range range_mod(fv_range a, fv_range b) {
  if (b.lo < 1)
    return FV_RANGE_ALL;
  const int64_t hi = b.hi == INT64_MAX ? INT64_MAX : b.hi - 1;
  return (fv_range){0, a.lo >= 0 ? min64(a.hi, hi) : hi};
}

static fv_range range_abs(fv_range a) {
  const int64_t lo = a.lo > 0 ? a.lo : a.hi < 0 ? sat_neg(a.hi) : 0;
  return (fv_range){lo, max64(sat_neg(a.lo), a.hi)};
}

fv_range fv_xp_type_range(fv_dtype t) {
  switch (t) {
  case FV_bool: return (fv_range){0, 1};
  case FV_u8: return (fv_range){0, UINT8_MAX};
  case FV_i8: return (fv_range){INT8_MIN, INT8_MAX};
  case FV_i16: return (fv_range){INT16_MIN, INT16_MAX};
  case FV_i32: return (fv_range){INT32_MIN, INT32_MAX};
  default: return FV_RANGE_ALL;
  }
}

static fv_range range_i64(fv_scalar_op op, const fv_range *a) {
  switch (op) {
  case FV_X_ADD: return range_add(a[0], a[1]);
  case FV_X_SUB: return range_add(a[0], range_neg(a[1]));
  case FV_X_NEG: return range_neg(a[0]);
  case FV_X_MUL: return range_mul(a[0], a[1]);
  case FV_X_MAD: return range_add(range_mul(a[0], a[1]), a[2]);
  case FV_X_FLOORDIV: return range_floordiv(a[0], a[1]);
  case FV_X_DIV: return a[0].lo < 0 ? FV_RANGE_ALL : range_floordiv(a[0], a[1]);
  case FV_X_MOD: return range_mod(a[0], a[1]);
  case FV_X_ABS: return range_abs(a[0]);
  default: return FV_RANGE_ALL;
  }
}

// Primitives that cannot overflow, of any integer type.
static bool range_choice(fv_scalar_op op, const fv_range *a, fv_range *out) {
  switch (op) {
  case FV_X_MIN: *out = (fv_range){min64(a[0].lo, a[1].lo), min64(a[0].hi, a[1].hi)}; return true;
  case FV_X_MAX: *out = (fv_range){max64(a[0].lo, a[1].lo), max64(a[0].hi, a[1].hi)}; return true;
  case FV_X_SELECT:
    *out = (fv_range){min64(a[1].lo, a[2].lo), max64(a[1].hi, a[2].hi)};
    return true;
  default: return false;
  }
}

fv_range fv_xp_op_range(const fv_expr *e, const fv_range *arg) {
  const fv_dtype t = (fv_dtype)e->dtype;
  const fv_range all = fv_xp_type_range(t);
  fv_range r;
  if (fv_dtype_is_float(t) || t == FV_bool)
    return all;
  if (range_choice((fv_scalar_op)e->op, arg, &r))
    return r;
  if (e->op == FV_X_CAST) {  // saturates
    if (fv_dtype_is_float((fv_dtype)e->arg[0]->dtype))
      return all;
    return (fv_range){max64(all.lo, min64(arg[0].lo, all.hi)),
                      min64(all.hi, max64(arg[0].hi, all.lo))};
  }
  if (t != FV_i64)
    return all;
  r = range_i64((fv_scalar_op)e->op, arg);
  if (r.lo == INT64_MAX || r.hi == INT64_MIN)
    return all;
  if (!fv_x_has(e, FV_XF_LOAD))
    return r;
  // Elements of tensors wrap around where dims may not.
  bool bounded = r.lo != INT64_MIN && r.hi != INT64_MAX;
  for (int i = 0; i < e->n; i++)
    bounded = bounded && arg[i].lo != INT64_MIN && arg[i].hi != INT64_MAX;
  if (e->op == FV_X_MOD || (e->op == FV_X_FLOORDIV && arg[1].lo > 0))
    return r;
  return bounded ? r : all;
}

//===-- Bounds of polynomials -------------------------------------------===//
// An interval forgets that two terms hold the same symbol. So bounds are first
// taken symbolically, term by term: an index is at most its extent - 1,
// floordiv(x, k) * k lies in x - k + 1 .. x, and min(a, b) is at most each.

typedef struct bound_ctx {
  fv_xpool *p;
  const fv_expr *const *extent;
  uint32_t n_extent;
  int arm;  // which argument of min and max
} bound_ctx;

// The bound of one atom, times *scale; NULL if it has none.
static const fv_expr *atom_bound(const bound_ctx *c, const fv_expr *f, int64_t coef, bool up,
                                 int64_t *scale) {
  int64_t k;
  *scale = coef;
  if (f->kind == FV_E_INDEX) {
    if (!up)
      return fv_x_i64(c->p, 0);
    if (f->ref >= c->n_extent || !c->extent[f->ref])
      return NULL;
    return fv_xp_add(c->p, c->extent[f->ref], fv_x_i64(c->p, 1), -1);
  }
  if (f->kind != FV_E_OP || f->dtype != FV_i64)
    return NULL;
  if (f->op == FV_X_FLOORDIV && fv_x_is_lit(f->arg[1], &k) && k > 0 && coef % k == 0) {
    *scale = coef / k;
    return up ? f->arg[0] : fv_xp_add(c->p, f->arg[0], fv_x_i64(c->p, k - 1), -1);
  }
  if (f->op == (up ? FV_X_MIN : FV_X_MAX))
    return f->arg[c->arm];
  return NULL;
}

// Replaces one factor of a term by its bound if the others are not negative.
static const fv_expr *term_bound(const bound_ctx *c, const fv_expr *mono, int64_t coef,
                                 bool upper) {
  const fv_expr *f[FV_XMONO_FACTORS];
  const int n = fv_xp_factors(mono, f);
  for (int i = 0; i < n; i++) {
    const fv_expr *rest = NULL;
    bool positive = true;
    for (int j = 0; j < n; j++) {
      if (j == i)
        continue;
      positive = positive && fv_xp_meta(c->p, f[j])->range.lo >= 0;
      rest = rest ? fv_xp_mul(c->p, rest, f[j]) : f[j];
    }
    int64_t scale;
    const fv_expr *b = positive ? atom_bound(c, f[i], coef, (coef > 0) == upper, &scale) : NULL;
    if (!b)
      continue;
    b = rest ? fv_xp_mul(c->p, b, rest) : b;
    return fv_xp_mul(c->p, b, fv_x_i64(c->p, scale));
  }
  return NULL;
}

// An expression that is never below (above) e, with fewer unknowns.
static const fv_expr *relax(const bound_ctx *c, const fv_expr *e, bool upper) {
  for (int round = 0; round < 4; round++) {
    fv_xpoly a;
    fv_xp_decode(c->p, e, &a);
    const fv_expr *sum = fv_x_i64(c->p, a.c);
    bool changed = false;
    for (int i = 0; i < a.n; i++) {
      const fv_expr *b = term_bound(c, a.t[i].mono, a.t[i].coef, upper);
      changed = changed || b;
      if (!b)
        b = fv_xp_mul(c->p, a.t[i].mono, fv_x_i64(c->p, a.t[i].coef));
      sum = fv_xp_add(c->p, sum, b, 1);
    }
    if (!changed || fv_x_has(sum, FV_XF_LOAD))
      return e;
    e = sum;
  }
  return e;
}

static bool can_relax(const fv_xpool *p, const fv_expr *e) {
  fv_xpoly a;
  fv_xp_decode(p, e, &a);
  for (int i = 0; i < a.n; i++) {
    const fv_expr *f[FV_XMONO_FACTORS];
    const int n = fv_xp_factors(a.t[i].mono, f);
    for (int j = 0; j < n; j++)
      if (f[j]->kind == FV_E_INDEX || fv_xp_is_op(f[j], FV_X_FLOORDIV) ||
          fv_xp_is_op(f[j], FV_X_MIN) || fv_xp_is_op(f[j], FV_X_MAX))
        return true;
  }
  return false;
}

static fv_range tighten(fv_xpool *p, const fv_expr *e, fv_range r, const fv_expr *const *extent,
                        uint32_t n) {
  if (e->dtype != FV_i64 || fv_x_has(e, FV_XF_LOAD) || p->depth >= 4 || !can_relax(p, e))
    return r;
  p->depth++;
  for (int arm = 0; arm < 2; arm++) {
    const bound_ctx c = {.p = p, .extent = extent, .n_extent = n, .arm = arm};
    r.lo = max64(r.lo, fv_xp_meta(p, relax(&c, e, false))->range.lo);
    r.hi = min64(r.hi, fv_xp_meta(p, relax(&c, e, true))->range.hi);
  }
  p->depth--;
  return r;
}

//===-- Range with loop indices, or narrower symbols ----------------------===//

// What is known of leaves beside what they are: loops of indices, ranges of symbols.
typedef struct leaves {
  const fv_expr *const *extent;
  uint32_t n_extent;
  const fv_range *within;
  uint32_t n_within;
} leaves;

static fv_range leaf_range(fv_xpool *p, const fv_expr *e, const leaves *l) {
  fv_range r = fv_xp_meta(p, e)->range;
  if (e->kind == FV_E_SYM && e->ref < l->n_within) {
    const fv_range w = l->within[e->ref];
    if (w.lo <= r.hi && r.lo <= w.hi && w.lo <= w.hi)
      return (fv_range){max64(r.lo, w.lo), min64(r.hi, w.hi)};
  }
  if (e->kind == FV_E_INDEX) {
    r = (fv_range){0, INT64_MAX};
    if (e->ref < l->n_extent && l->extent[e->ref]) {
      const int64_t hi = fv_xp_meta(p, l->extent[e->ref])->range.hi;
      r.hi = hi == INT64_MAX ? hi : max64(hi - 1, 0);
    }
  }
  return r;
}

static fv_range walk_range(fv_xpool *p, const fv_expr *e, const leaves *l) {
  fv_xwalk w;
  fv_xwalk_init(&w, p);
  fv_xwalk_postorder(&w, e, l->n_within ? FV_XF_INDEX | FV_XF_SYM : FV_XF_INDEX);
  fv_range *r = FV_NEW_N(p->arena, fv_range, w.n);
  for (size_t i = 0; i < w.n; i++) {
    const fv_expr *x = w.order[i];
    if (x->kind != FV_E_OP) {
      r[i] = leaf_range(p, x, l);
    } else {
      fv_range arg[3];
      for (int k = 0; k < x->n; k++) {
        const size_t at = fv_xwalk_find(&w, x->arg[k]);
        arg[k] = at == FV_XWALK_NONE ? fv_xp_meta(p, x->arg[k])->range : r[at];
      }
      r[i] = fv_xp_op_range(x, arg);
    }
  }
  return r[w.n - 1];
}

fv_range fv_x_range(fv_xpool *p, const fv_expr *e, const fv_expr *const *index_extent,
                    uint32_t n_index) {
  fv_range r = fv_xp_meta(p, e)->range;
  if (r.lo == r.hi || fv_dtype_is_float((fv_dtype)e->dtype))
    return r;
  if (n_index > 0 && fv_x_has(e, FV_XF_INDEX))
    r = walk_range(p, e, &(leaves){.extent = index_extent, .n_extent = n_index});
  return tighten(p, e, r, index_extent, n_index);
}

fv_range fv_x_range_within(fv_xpool *p, const fv_expr *e, const fv_range *within, uint32_t n) {
  const fv_range known = fv_x_range(p, e, NULL, 0);
  if (!n || known.lo == known.hi || !fv_x_has(e, FV_XF_SYM) ||
      fv_dtype_is_float((fv_dtype)e->dtype))
    return known;
  const fv_range r = walk_range(p, e, &(leaves){.within = within, .n_within = n});
  return (fv_range){max64(r.lo, known.lo), min64(r.hi, known.hi)};
}

//===-- Proofs ----------------------------------------------------------===//

// No value of the symbols makes a sum zero if its terms, but not its constant,
// are all multiples of one number.
static bool never_zero_by_gcd(const fv_xpool *p, const fv_expr *d) {
  fv_xpoly a;
  fv_xp_decode(p, d, &a);
  uint64_t g = 0;
  for (int i = 0; i < a.n; i++) {
    uint64_t b = a.t[i].coef < 0 ? 0 - (uint64_t)a.t[i].coef : (uint64_t)a.t[i].coef;
    while (b) {
      const uint64_t t = g % b;
      g = b;
      b = t;
    }
  }
  const uint64_t c = a.c < 0 ? 0 - (uint64_t)a.c : (uint64_t)a.c;
  return g > 1 && c % g != 0;
}

fv_truth fv_prove_eq(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  if (a == b)
    return FV_YES;
  const fv_range ra = fv_xp_meta(p, a)->range, rb = fv_xp_meta(p, b)->range;
  if (ra.hi < rb.lo || rb.hi < ra.lo)
    return FV_NO;
  if (a->dtype != FV_i64 || b->dtype != FV_i64)
    return FV_UNKNOWN;
  const fv_expr *d = fv_xp_add(p, a, b, -1);
  int64_t v;
  if (fv_x_is_lit(d, &v))  // modulo 2^64, so for wrapping elements too
    return v == 0 ? FV_YES : FV_NO;
  if (fv_x_has(d, FV_XF_LOAD))
    return FV_UNKNOWN;
  const fv_range r = fv_x_range(p, d, NULL, 0);
  if (r.lo > 0 || r.hi < 0 || never_zero_by_gcd(p, d))
    return FV_NO;
  return r.lo == 0 && r.hi == 0 ? FV_YES : FV_UNKNOWN;
}

//===-- Bounds over other symbols ---------------------------------------===//
// What a symbol may be at most can be said over others, and theirs over further ones. A proof
// follows a few of these steps; the outer bound of a symbol has followed all there are.

enum { BOUND_NODES = 256, BOUND_STEPS = 32 };  // looked at in one expression; in one proof

// The last symbol before `before` that x holds and that has a bound, or `before` if there is none
// among the nodes that may be looked at.
static uint32_t last_bounded(const fv_xpool *p, const fv_expr *x, uint32_t before) {
  const fv_expr *queue[BOUND_NODES];
  uint16_t seen[2 * BOUND_NODES] = {0};  // position + 1, by id
  uint32_t last = before;
  size_t n = 0;
  if (fv_x_has(x, FV_XF_RUN))
    queue[n++] = x;
  for (size_t i = 0; i < n; i++) {
    const fv_expr *e = queue[i];
    if (e->kind == FV_E_SYM && e->ref < before && p->symbol[e->ref].most &&
        (last == before || e->ref > last))
      last = e->ref;
    for (int k = 0; k < e->n; k++) {
      size_t at = e->arg[k]->id % FV_COUNTOF(seen);
      while (seen[at] && queue[seen[at] - 1] != e->arg[k])
        at = (at + 1) % FV_COUNTOF(seen);
      if (seen[at] || n == BOUND_NODES || !fv_x_has(e->arg[k], FV_XF_RUN))
        continue;
      queue[n++] = e->arg[k];
      seen[at] = (uint16_t)n;
    }
  }
  return last;
}

typedef enum direction { FALLS = -1, EITHER, RISES } direction;

static direction direction_of(fv_xpool *p, const fv_expr *x, uint32_t sym) {
  const fv_expr *next = fv_x_add(p, fv_x_sym(p, sym), fv_x_i64(p, 1));
  next = fv_xp_add(p, fv_x_subst_sym(p, x, sym, next), x, -1);
  const fv_range r = fv_x_range(p, next, NULL, 0);
  return r.hi <= 0 ? FALLS : r.lo >= 0 ? RISES : EITHER;
}

const fv_expr *fv_xp_outer(fv_xpool *p, const fv_expr *x) {
  uint32_t before = UINT32_MAX;
  for (int step = 0; step < BOUND_STEPS; step++) {
    const uint32_t s = last_bounded(p, x, before);
    if (s == before)
      return x;
    if (direction_of(p, x, s) == RISES)
      x = fv_x_subst_sym(p, x, s, p->symbol[s].outer);
    before = s;
  }
  return x;
}

// With symbols that have a bound over others at that bound, where x falls with them.
static bool falls_to_0(fv_xpool *p, const fv_expr *x, bool outer) {
  uint32_t before = UINT32_MAX;
  for (int step = 0; step < BOUND_STEPS; step++) {
    const uint32_t s = last_bounded(p, x, before);
    if (s == before)
      return false;
    if (direction_of(p, x, s) == FALLS) {
      x = fv_x_subst_sym(p, x, s, outer ? p->symbol[s].outer : p->symbol[s].most);
      if (fv_x_range(p, x, NULL, 0).lo >= 0)
        return true;
    }
    before = s;
  }
  return false;
}

static bool never_negative(fv_xpool *p, const fv_expr *x) {
  return falls_to_0(p, x, false) || falls_to_0(p, x, true);
}

fv_truth fv_prove_le(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  if (a == b)
    return FV_YES;
  const fv_range ra = fv_xp_meta(p, a)->range, rb = fv_xp_meta(p, b)->range;
  if (ra.hi <= rb.lo)
    return FV_YES;
  if (ra.lo > rb.hi)
    return FV_NO;
  if (a->dtype != FV_i64 || b->dtype != FV_i64 || fv_x_has(a, FV_XF_LOAD) ||
      fv_x_has(b, FV_XF_LOAD))
    return FV_UNKNOWN;
  const fv_range r = fv_x_range(p, fv_xp_add(p, b, a, -1), NULL, 0);
  if (r.lo >= 0 || never_negative(p, fv_xp_add(p, b, a, -1)))
    return FV_YES;
  return r.hi < 0 ? FV_NO : FV_UNKNOWN;
}

bool fv_x_divide(fv_xpool *p, const fv_expr *a, const fv_expr *b, const fv_expr **out_quotient) {
  int64_t k;
  if (fv_x_is_lit(b, &k) && (k == 1 || k == -1)) {
    *out_quotient = k == 1 ? a : fv_xp_add(p, fv_x_i64(p, 0), a, -1);
    return true;
  }
  if (fv_x_is_lit(b, &k) && k == 0)
    return false;
  if (fv_x_is_lit(a, &k) && k == 0) {
    *out_quotient = a;
    return true;
  }
  fv_xpoly pa, pb, q, r;
  fv_xp_decode(p, a, &pa);
  fv_xp_decode(p, b, &pb);
  if (!fv_xp_poly_divide(p, &pa, &pb, &q, &r) || r.n > 0 || r.c != 0)
    return false;
  *out_quotient = fv_xp_encode(p, &q);
  return true;
}
