// SPDX-License-Identifier: Apache-2.0
//
// Canonical polynomials of i64 expressions. A sum is stored as the binary
// chain ((t1 + t2) + t3) + c, a term as (f1 * f2) * coef, with terms and factors
// in an order that depends on structure alone, not on the pool: equal
// polynomials are the same node, in every pool they print alike, and consumers
// see nothing but ADD and MUL of two arguments.
#include <string.h>

#include "base/checked.h"
#include "ir/expr/expr_pool.h"

//===-- Order -----------------------------------------------------------===//

static int atom_rank(const fv_expr *e) {
  switch (e->kind) {
  case FV_E_INDEX: return 0;
  case FV_E_SYM: return 1;
  case FV_E_LOAD: return 2;
  case FV_E_OP: return 3;
  default: return 4;
  }
}

int fv_xp_compare(const fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  if (a == b)
    return 0;
  const int ra = atom_rank(a), rb = atom_rank(b);
  if (ra != rb)
    return ra < rb ? -1 : 1;
  if (a->kind == FV_E_LIT && b->kind == FV_E_LIT && a->lit.i != b->lit.i)
    return a->lit.i < b->lit.i ? -1 : 1;
  if (a->ref != b->ref)
    return a->ref < b->ref ? -1 : 1;
  const uint64_t ha = fv_xp_meta(p, a)->hash, hb = fv_xp_meta(p, b)->hash;
  if (ha != hb)
    return ha < hb ? -1 : 1;
  return a->id < b->id ? -1 : 1;
}

static bool is_mul(const fv_expr *e) {
  return fv_xp_is_op(e, FV_X_MUL) && e->dtype == FV_i64;
}

static bool is_add(const fv_expr *e) {
  return fv_xp_is_op(e, FV_X_ADD) && e->dtype == FV_i64;
}

int fv_xp_factors(const fv_expr *mono, const fv_expr *factor[FV_XMONO_FACTORS]) {
  int n = 1;
  const fv_expr *x = mono;
  for (; is_mul(x); x = x->arg[0]) {
    if (x->arg[1]->kind == FV_E_LIT || ++n > FV_XMONO_FACTORS) {
      factor[0] = mono;
      return 1;
    }
  }
  if (x->kind == FV_E_LIT)
    n = 1;
  if (n == 1) {
    factor[0] = mono;
    return 1;
  }
  x = mono;
  for (int i = n - 1; i > 0; i--, x = x->arg[0])
    factor[i] = x->arg[1];
  factor[0] = x;
  return n;
}

// Graded lexicographic: the higher degree first, then the smaller atoms.
static int compare_mono(const fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  if (a == b)
    return 0;
  if (!is_mul(a) && !is_mul(b))
    return fv_xp_compare(p, a, b);
  const fv_expr *fa[FV_XMONO_FACTORS], *fb[FV_XMONO_FACTORS];
  const int na = fv_xp_factors(a, fa), nb = fv_xp_factors(b, fb);
  if (na != nb)
    return na > nb ? -1 : 1;
  for (int i = 0; i < na; i++) {
    const int c = fv_xp_compare(p, fa[i], fb[i]);
    if (c)
      return c;
  }
  return 0;
}

//===-- Reading ---------------------------------------------------------===//

static void as_atom(const fv_expr *e, fv_xpoly *out) {
  out->n = 1;
  out->c = 0;
  out->t[0].mono = e;
  out->t[0].coef = 1;
}

// Appends one canonical term; false if e is none or stands in the wrong order.
static bool read_term(const fv_xpool *p, const fv_expr *e, fv_xpoly *out) {
  int64_t coef = 1;
  if (is_mul(e) && e->arg[1]->kind == FV_E_LIT) {
    coef = e->arg[1]->lit.i;
    e = e->arg[0];
  }
  if (e->kind == FV_E_LIT || coef == 0 || out->n == FV_XPOLY_TERMS)
    return false;
  if (out->n > 0 && compare_mono(p, out->t[out->n - 1].mono, e) >= 0)
    return false;
  out->t[out->n].mono = e;
  out->t[out->n++].coef = coef;
  return true;
}

void fv_xp_decode(const fv_xpool *p, const fv_expr *e, fv_xpoly *out) {
  out->n = 0;
  out->c = 0;
  if (e->kind == FV_E_LIT) {
    out->c = e->lit.i;
    return;
  }
  const fv_expr *term[FV_XPOLY_TERMS + 1];
  int k = 0;
  const fv_expr *x = e;
  for (; is_add(x) && k < FV_XPOLY_TERMS; x = x->arg[0])
    term[k++] = x->arg[1];
  term[k++] = x;
  bool ok = !(is_add(x) && k > 1);
  if (ok && k > 1 && term[0]->kind == FV_E_LIT)
    out->c = term[0]->lit.i;
  const int last = out->c != 0 ? 1 : 0;
  for (int i = k - 1; ok && i >= last; i--)
    ok = read_term(p, term[i], out);
  if (!ok)
    as_atom(e, out);
}

//===-- Writing ---------------------------------------------------------===//

static const fv_expr *cons_mul(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  return fv_xp_cons_op(p, FV_X_MUL, FV_i64, 2, a, b, NULL);
}

static const fv_expr *cons_add(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  return fv_xp_cons_op(p, FV_X_ADD, FV_i64, 2, a, b, NULL);
}

// x mod n + n * floordiv(x, n) is x: looks for one such pair and replaces it.
static bool recombine_at(fv_xpool *p, fv_xpoly *a, int i) {
  const fv_expr *m = a->t[i].mono, *x = m->arg[0], *n = m->arg[1];
  const int64_t c = a->t[i].coef;
  const fv_expr *whole = fv_xp_mul(p, fv_xp_floordiv(p, x, n), n);
  fv_xpoly px, pw, pm, sum, next;
  fv_xp_decode(p, x, &px);
  fv_xp_decode(p, whole, &pw);
  as_atom(m, &pm);
  if (!fv_xp_poly_add(p, &px, &pw, -1, &sum) || !fv_xp_poly_add(p, &sum, &pm, -1, &next) ||
      !fv_xp_poly_add(p, a, &next, c, &sum) || sum.n >= a->n)
    return false;
  *a = sum;
  return true;
}

static void recombine(fv_xpool *p, fv_xpoly *a) {
  if (p->depth >= 4)
    return;
  p->depth++;
  for (int i = 0; i < a->n;) {
    const fv_expr *m = a->t[i].mono;
    const bool candidate =
        a->n > 1 && fv_xp_is_op(m, FV_X_MOD) && m->dtype == FV_i64 && !fv_x_has(m, FV_XF_LOAD);
    i = candidate && recombine_at(p, a, i) ? 0 : i + 1;
  }
  p->depth--;
}

const fv_expr *fv_xp_encode(fv_xpool *p, const fv_xpoly *a) {
  fv_xpoly work;
  for (int i = 0; i < a->n && a != &work; i++) {
    if (a->n > 1 && fv_xp_is_op(a->t[i].mono, FV_X_MOD)) {
      work = *a;
      recombine(p, &work);
      a = &work;
    }
  }
  const fv_expr *e = NULL;
  for (int i = 0; i < a->n; i++) {
    const fv_expr *t = a->t[i].mono;
    if (a->t[i].coef != 1)
      t = cons_mul(p, t, fv_x_i64(p, a->t[i].coef));
    e = e ? cons_add(p, e, t) : t;
  }
  if (!e)
    return fv_x_i64(p, a->c);
  return a->c ? cons_add(p, e, fv_x_i64(p, a->c)) : e;
}

//===-- Arithmetic ------------------------------------------------------===//

bool fv_xp_poly_add(const fv_xpool *p, const fv_xpoly *a, const fv_xpoly *b, int64_t scale,
                    fv_xpoly *out) {
  int64_t c;
  if (!fv_mul_i64(b->c, scale, &c) || !fv_add_i64(a->c, c, &out->c))
    return false;
  int n = 0;
  for (int i = 0, j = 0; i < a->n || j < b->n;) {
    const int order = i == a->n ? 1 : j == b->n ? -1 : compare_mono(p, a->t[i].mono, b->t[j].mono);
    const fv_expr *mono = order <= 0 ? a->t[i].mono : b->t[j].mono;
    int64_t coef = 0;
    if (order >= 0 && !fv_mul_i64(b->t[j++].coef, scale, &coef))
      return false;
    if (order <= 0 && !fv_add_i64(a->t[i++].coef, coef, &coef))
      return false;
    if (coef == 0)
      continue;
    if (n == FV_XPOLY_TERMS)
      return false;
    out->t[n].mono = mono;
    out->t[n++].coef = coef;
  }
  out->n = n;
  return true;
}

// Adds one term in its place.
static bool insert_term(const fv_xpool *p, fv_xpoly *a, const fv_expr *mono, int64_t coef) {
  int i = 0;
  for (; i < a->n; i++) {
    const int c = compare_mono(p, a->t[i].mono, mono);
    if (c > 0)
      break;
    if (c < 0)
      continue;
    if (!fv_add_i64(a->t[i].coef, coef, &a->t[i].coef))
      return false;
    if (a->t[i].coef == 0) {
      a->n--;
      memmove(&a->t[i], &a->t[i + 1], (size_t)(a->n - i) * sizeof a->t[0]);
    }
    return true;
  }
  if (a->n == FV_XPOLY_TERMS)
    return false;
  memmove(&a->t[i + 1], &a->t[i], (size_t)(a->n - i) * sizeof a->t[0]);
  a->t[i].mono = mono;
  a->t[i].coef = coef;
  a->n++;
  return true;
}

static const fv_expr *mono_of(fv_xpool *p, const fv_expr *const *factor, int n) {
  const fv_expr *e = factor[0];
  for (int i = 1; i < n; i++)
    e = cons_mul(p, e, factor[i]);
  return e;
}

static bool mono_mul(fv_xpool *p, const fv_expr *a, const fv_expr *b, const fv_expr **out) {
  const fv_expr *fa[FV_XMONO_FACTORS], *fb[FV_XMONO_FACTORS], *f[2 * FV_XMONO_FACTORS];
  const int na = fv_xp_factors(a, fa), nb = fv_xp_factors(b, fb);
  if (na + nb > FV_XMONO_FACTORS)
    return false;
  for (int i = 0, j = 0; i < na || j < nb;) {
    const bool first = j == nb || (i < na && fv_xp_compare(p, fa[i], fb[j]) <= 0);
    f[i + j] = first ? fa[i] : fb[j];
    if (first)
      i++;
    else
      j++;
  }
  *out = mono_of(p, f, na + nb);
  return true;
}

// out += coef * mono * b
static bool add_scaled(fv_xpool *p, fv_xpoly *out, const fv_expr *mono, int64_t coef,
                       const fv_xpoly *b) {
  for (int j = 0; j < b->n; j++) {
    const fv_expr *m;
    int64_t c;
    if (!fv_mul_i64(coef, b->t[j].coef, &c) || !mono_mul(p, mono, b->t[j].mono, &m) ||
        !insert_term(p, out, m, c))
      return false;
  }
  int64_t c;
  if (!fv_mul_i64(coef, b->c, &c))
    return false;
  return c == 0 || insert_term(p, out, mono, c);
}

bool fv_xp_poly_mul(fv_xpool *p, const fv_xpoly *a, const fv_xpoly *b, fv_xpoly *out) {
  static const fv_xpoly zero = {.n = 0};
  if ((a->n + (a->c != 0)) * (b->n + (b->c != 0)) > FV_XPOLY_TERMS)
    return false;
  if (!fv_xp_poly_add(p, &zero, b, a->c, out))
    return false;
  for (int i = 0; i < a->n; i++)
    if (!add_scaled(p, out, a->t[i].mono, a->t[i].coef, b))
      return false;
  return true;
}

// Quotient of two monos as factors; -1 if m is not divisible by d.
static int mono_divide(const fv_expr *m, const fv_expr *d, const fv_expr **f) {
  const fv_expr *fm[FV_XMONO_FACTORS], *fd[FV_XMONO_FACTORS];
  const int nm = fv_xp_factors(m, fm), nd = fv_xp_factors(d, fd);
  int n = 0, j = 0;
  for (int i = 0; i < nm; i++) {
    if (j < nd && fm[i] == fd[j])
      j++;
    else
      f[n++] = fm[i];
  }
  return j == nd ? n : -1;
}

// Divides by a literal k: the multiples of k go to q.
static bool divide_by_literal(const fv_xpoly *a, int64_t k, fv_xpoly *q, fv_xpoly *r) {
  q->n = 0;
  r->n = 0;
  if (k == 0 || k == -1)
    return false;
  for (int i = 0; i < a->n; i++) {
    const int64_t quotient = a->t[i].coef / k, rest = a->t[i].coef % k;
    q->t[q->n].mono = a->t[i].mono;
    q->t[q->n].coef = quotient;
    q->n += quotient != 0;
    r->t[r->n].mono = a->t[i].mono;
    r->t[r->n].coef = rest;
    r->n += rest != 0;
  }
  q->c = a->c / k;
  r->c = a->c % k;
  if (r->c != 0 && (r->c < 0) != (k < 0)) {  // constants have a floored quotient
    r->c += k;
    q->c--;
  }
  return q->n > 0 || q->c != 0;
}

bool fv_xp_poly_divide(fv_xpool *p, const fv_xpoly *a, const fv_xpoly *b, fv_xpoly *q,
                       fv_xpoly *r) {
  if (b->n == 0)
    return divide_by_literal(a, b->c, q, r);
  q->n = 0;
  q->c = 0;
  *r = *a;
  const fv_expr *lead = b->t[0].mono;
  const int64_t lead_coef = b->t[0].coef;
  for (int i = 0, steps = 0; i < r->n && steps < FV_XPOLY_TERMS; steps++) {
    const fv_expr *f[FV_XMONO_FACTORS];
    const int n = mono_divide(r->t[i].mono, lead, f);
    const bool exact = lead_coef == -1 ? r->t[i].coef != INT64_MIN : r->t[i].coef % lead_coef == 0;
    if (n < 0 || !exact) {
      i++;
      continue;
    }
    const int64_t c = r->t[i].coef / lead_coef;
    fv_xpoly next;
    if (c == INT64_MIN)
      return false;
    if (n == 0) {
      if (!fv_xp_poly_add(p, r, b, -c, &next) || !fv_add_i64(q->c, c, &q->c))
        return false;
    } else {
      const fv_expr *m = mono_of(p, f, n);
      next = *r;
      if (!add_scaled(p, &next, m, -c, b) || !insert_term(p, q, m, c))
        return false;
    }
    *r = next;
  }
  return q->n > 0 || q->c != 0;
}

//===-- Sums and products of expressions --------------------------------===//

const fv_expr *fv_xp_add(fv_xpool *p, const fv_expr *a, const fv_expr *b, int64_t scale) {
  fv_xpoly pa, pb, sum;
  fv_xp_decode(p, a, &pa);
  fv_xp_decode(p, b, &pb);
  if (fv_xp_poly_add(p, &pa, &pb, scale, &sum))
    return fv_xp_encode(p, &sum);
  if (scale == 1)
    return fv_xp_compare(p, a, b) <= 0 ? cons_add(p, a, b) : cons_add(p, b, a);
  if (pa.n == 0 && pa.c == 0)
    return fv_xp_cons_op(p, FV_X_NEG, FV_i64, 1, b, NULL, NULL);
  return fv_xp_cons_op(p, FV_X_SUB, FV_i64, 2, a, b, NULL);
}

const fv_expr *fv_xp_mul(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  fv_xpoly pa, pb, product;
  fv_xp_decode(p, a, &pa);
  fv_xp_decode(p, b, &pb);
  if (fv_xp_poly_mul(p, &pa, &pb, &product))
    return fv_xp_encode(p, &product);
  return fv_xp_compare(p, a, b) <= 0 ? cons_mul(p, a, b) : cons_mul(p, b, a);
}
