// SPDX-License-Identifier: Apache-2.0
//
// Floored quotients and remainders of i64 expressions.
//
// Terms that are multiples of the divisor leave the quotient and vanish from
// the remainder: (a * k + b) floordiv k = a + b floordiv k holds for every
// integer, as long as nothing wraps around. Dims and indices never do; elements
// of tensors may, so what holds a load keeps its form.
#include "base/checked.h"
#include "base/integer.h"
#include "ir/expr/expr_pool.h"

static const fv_expr *cons2(fv_xpool *p, fv_scalar_op op, const fv_expr *a, const fv_expr *b) {
  return fv_xp_cons_op(p, op, FV_i64, 2, a, b, NULL);
}

static int64_t gcd(int64_t a, int64_t b) {  // b > 0
  if (a == INT64_MIN)
    a += b;  // keeps the gcd and can be negated
  if (a < 0)
    a = -a;
  while (b) {
    const int64_t t = a % b;
    a = b;
    b = t;
  }
  return a;
}

// Does every value of e have the same quotient by k > 0?
static bool one_quotient(const fv_xpool *p, const fv_expr *e, int64_t k, int64_t *out) {
  const fv_range r = fv_xp_meta(p, e)->range;
  if (r.lo == INT64_MIN || r.hi == INT64_MAX ||
      fv_floordiv_i64(r.lo, k) != fv_floordiv_i64(r.hi, k))
    return false;
  *out = fv_floordiv_i64(r.lo, k);
  return true;
}

// Divides all terms by their gcd with k; the constant is floored and *rest is
// what it loses. Returns the gcd.
static int64_t cancel_gcd(fv_xpoly *r, int64_t k, int64_t *rest) {
  int64_t g = k;
  for (int i = 0; i < r->n; i++)
    g = gcd(r->t[i].coef, g);
  for (int i = 0; i < r->n; i++)
    r->t[i].coef /= g;
  const int64_t c = fv_floordiv_i64(r->c, g);
  *rest = r->c - c * g;
  r->c = c;
  return g;
}

// Is r = op(x, m) + c with literal m? Then *x and *m.
static bool is_nested(const fv_xpoly *r, fv_scalar_op op, const fv_expr **x, int64_t *m) {
  if (r->n != 1 || r->t[0].coef != 1 || !fv_xp_is_op(r->t[0].mono, op))
    return false;
  *x = r->t[0].mono->arg[0];
  return fv_x_is_lit(r->t[0].mono->arg[1], m) && *m > 0;
}

//===-- By a literal ----------------------------------------------------===//

static const fv_expr *floordiv_literal(fv_xpool *p, const fv_expr *a, int64_t k) {
  fv_xpoly pa, pk = {.n = 0, .c = k}, q, r;
  fv_xp_decode(p, a, &pa);
  fv_xp_poly_divide(p, &pa, &pk, &q, &r);
  const fv_expr *whole = fv_xp_encode(p, &q);
  int64_t m, lost, shifted;
  if (one_quotient(p, fv_xp_encode(p, &r), k, &m))
    return fv_xp_add(p, whole, fv_x_i64(p, m), 1);
  const int64_t divisor = k / cancel_gcd(&r, k, &lost);
  const fv_expr *inner;
  if (is_nested(&r, FV_X_FLOORDIV, &inner, &m) && fv_mul_i64(r.c, m, &shifted) &&
      fv_mul_i64(divisor, m, &m)) {
    inner = fv_xp_add(p, inner, fv_x_i64(p, shifted), 1);
    return fv_xp_add(p, whole, fv_xp_floordiv(p, inner, fv_x_i64(p, m)), 1);
  }
  const fv_expr *part = fv_xp_encode(p, &r);
  if (divisor > 1)
    part = cons2(p, FV_X_FLOORDIV, part, fv_x_i64(p, divisor));
  return fv_xp_add(p, whole, part, 1);
}

static const fv_expr *mod_literal(fv_xpool *p, const fv_expr *a, int64_t k) {
  fv_xpoly pa, pk = {.n = 0, .c = k}, q, r;
  fv_xp_decode(p, a, &pa);
  fv_xp_poly_divide(p, &pa, &pk, &q, &r);
  const fv_expr *part = fv_xp_encode(p, &r);
  int64_t m, shift, lost;
  if (one_quotient(p, part, k, &m) && fv_mul_i64(m, k, &shift))
    return fv_xp_add(p, part, fv_x_i64(p, shift), -1);
  const int64_t g = cancel_gcd(&r, k, &lost);
  const int64_t divisor = k / g;
  const fv_expr *inner;
  if (is_nested(&r, FV_X_MOD, &inner, &m) && m % divisor == 0)
    part = fv_xp_mod(p, fv_xp_add(p, inner, fv_x_i64(p, r.c), 1), fv_x_i64(p, divisor));
  else if (divisor > 1)
    part = cons2(p, FV_X_MOD, fv_xp_encode(p, &r), fv_x_i64(p, divisor));
  else
    part = fv_x_i64(p, 0);
  if (g > 1)
    part = fv_xp_mul(p, part, fv_x_i64(p, g));
  return fv_xp_add(p, part, fv_x_i64(p, lost), 1);
}

//===-- By an expression ------------------------------------------------===//

// a = q * b + r with fewer terms in r; false if there is nothing to gain.
static bool split(fv_xpool *p, const fv_expr *a, const fv_expr *b, const fv_expr **q,
                  const fv_expr **r) {
  fv_xpoly pa, pb, pq, pr;
  fv_xp_decode(p, a, &pa);
  fv_xp_decode(p, b, &pb);
  if (!fv_xp_poly_divide(p, &pa, &pb, &pq, &pr))
    return false;
  if (pr.n + (pr.c != 0) >= pa.n + (pa.c != 0))
    return false;
  *q = fv_xp_encode(p, &pq);
  *r = fv_xp_encode(p, &pr);
  return true;
}

// Is 0 <= a < b always?
static bool is_below(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  if (fv_xp_meta(p, a)->range.lo < 0 || p->depth >= 4)
    return false;
  p->depth++;
  const bool below = fv_prove_le(p, fv_xp_add(p, a, fv_x_i64(p, 1), 1), b) == FV_YES;
  p->depth--;
  return below;
}

static const fv_expr *floordiv_symbolic(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  const fv_expr *q = NULL, *r = a;
  if (!split(p, a, b, &q, &r))
    r = a;
  int64_t v;
  const bool none = (fv_x_is_lit(r, &v) && v == 0) || is_below(p, r, b);
  const fv_expr *part = none ? fv_x_i64(p, 0) : cons2(p, FV_X_FLOORDIV, r, b);
  return q ? fv_xp_add(p, q, part, 1) : part;
}

static const fv_expr *mod_symbolic(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  const fv_expr *q, *r = a;
  if (!split(p, a, b, &q, &r))
    r = a;
  int64_t v;
  if ((fv_x_is_lit(r, &v) && v == 0) || is_below(p, r, b))
    return r;
  return cons2(p, FV_X_MOD, r, b);
}

//===-- Entry -----------------------------------------------------------===//

// Elements of tensors may wrap: only what their range alone proves.
static const fv_expr *wrapping(fv_xpool *p, fv_scalar_op op, const fv_expr *a, const fv_expr *b) {
  const fv_range ra = fv_xp_meta(p, a)->range, rb = fv_xp_meta(p, b)->range;
  int64_t k;
  if (fv_x_is_lit(b, &k) && k == 1)
    return op == FV_X_MOD ? fv_x_i64(p, 0) : a;
  if (ra.lo >= 0 && ra.hi < rb.lo)
    return op == FV_X_MOD ? a : fv_x_i64(p, 0);
  return cons2(p, op, a, b);
}

const fv_expr *fv_xp_floordiv(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  int64_t k;
  if (fv_x_has(a, FV_XF_LOAD) || fv_x_has(b, FV_XF_LOAD))
    return wrapping(p, FV_X_FLOORDIV, a, b);
  if (fv_x_is_lit(b, &k)) {
    if (k == 0 || k == INT64_MIN)  // zero stays, for the run to report
      return cons2(p, FV_X_FLOORDIV, a, b);
    if (k == 1)
      return a;
    if (k > 0)
      return floordiv_literal(p, a, k);
    const fv_expr *minus = fv_xp_add(p, fv_x_i64(p, 0), a, -1);
    return k == -1 ? minus : floordiv_literal(p, minus, -k);
  }
  const fv_range rb = fv_xp_meta(p, b)->range;
  if (rb.lo < 1)
    return cons2(p, FV_X_FLOORDIV, a, b);
  return floordiv_symbolic(p, a, b);
}

const fv_expr *fv_xp_mod(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  int64_t k;
  if (fv_x_has(a, FV_XF_LOAD) || fv_x_has(b, FV_XF_LOAD))
    return wrapping(p, FV_X_MOD, a, b);
  if (fv_x_is_lit(b, &k)) {
    if (k == 1 || k == -1)
      return fv_x_i64(p, 0);
    if (k > 0)
      return mod_literal(p, a, k);
    int64_t v;
    if (k != 0 && fv_x_is_lit(a, &v))
      return fv_x_i64(p, fv_scalar_eval(FV_X_MOD, FV_i64, FV_i64, (fv_scalar){.i = v},
                                        (fv_scalar){.i = k}, (fv_scalar){.i = 0})
                             .i);
    return cons2(p, FV_X_MOD, a, b);
  }
  if (fv_xp_meta(p, b)->range.lo < 1)
    return cons2(p, FV_X_MOD, a, b);
  return mod_symbolic(p, a, b);
}
