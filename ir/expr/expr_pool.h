// SPDX-License-Identifier: Apache-2.0
// ir/expr/expr_pool.h - inside of the expression pool: what expr*.c share.
#ifndef FOVEA_IR_EXPR_EXPR_POOL_H_
#define FOVEA_IR_EXPR_EXPR_POOL_H_

#include "ir/expr/expr.h"

// What the pool knows about each expression, by id.
typedef struct fv_xmeta {
  uint64_t hash;       // of the structure: the same in every pool
  fv_range range;      // integers: from the ranges of the symbols
  uint64_t index_set;  // bit ref % 64 of each loop index that occurs
} fv_xmeta;

struct fv_xpool {
  fv_arena *arena;
  const fv_expr **table;  // open addressing, a power of two of slots
  size_t n_slots;
  fv_xmeta *meta;
  size_t cap_meta;
  uint32_t count;
  uint32_t n_index;  // loop indices have numbers below this
  fv_symbol *symbol;
  size_t n_symbol, cap_symbol;
  uint32_t *symbol_table;  // symbol number + 1
  size_t n_symbol_slots;
  int depth;  // of simplifications that build further expressions
};

// Makes or finds the node as it stands, without simplification.
const fv_expr *fv_xp_cons(fv_xpool *p, const fv_expr *shape, const fv_expr *const *arg);
const fv_expr *fv_xp_cons_op(fv_xpool *p, fv_scalar_op op, fv_dtype t, int n, const fv_expr *a,
                             const fv_expr *b, const fv_expr *c);

static inline const fv_xmeta *fv_xp_meta(const fv_xpool *p, const fv_expr *e) {
  return &p->meta[e->id];
}
static inline bool fv_xp_is_op(const fv_expr *e, fv_scalar_op op) {
  return e->kind == FV_E_OP && e->op == op;
}

//===-- Polynomials (expr_poly.c) ---------------------------------------===//

// Sum of coef * mono, leading term first, plus c. A mono is a product of atoms
// in canonical order, without a literal. A sum of more terms or a product of
// more factors is kept as it was built and stands as one atom in what is built
// from it, which bounds the work for one operation.
enum { FV_XPOLY_TERMS = 48, FV_XMONO_FACTORS = 16 };
typedef struct fv_xpoly {
  int n;
  int64_t c;
  struct {
    const fv_expr *mono;
    int64_t coef;
  } t[FV_XPOLY_TERMS];
} fv_xpoly;

void fv_xp_decode(const fv_xpool *p, const fv_expr *e, fv_xpoly *out);
const fv_expr *fv_xp_encode(fv_xpool *p, const fv_xpoly *a);
// These are false on overflow and when the result has too many terms.
bool fv_xp_poly_add(const fv_xpool *p, const fv_xpoly *a, const fv_xpoly *b, int64_t scale,
                    fv_xpoly *out);  // a + scale * b
bool fv_xp_poly_mul(fv_xpool *p, const fv_xpoly *a, const fv_xpoly *b, fv_xpoly *out);
// a = q * b + r; true if q is not zero.
bool fv_xp_poly_divide(fv_xpool *p, const fv_xpoly *a, const fv_xpoly *b, fv_xpoly *q, fv_xpoly *r);
int fv_xp_factors(const fv_expr *mono, const fv_expr *factor[FV_XMONO_FACTORS]);
int fv_xp_compare(const fv_xpool *p, const fv_expr *a, const fv_expr *b);  // of atoms

// i64 primitives with literal or symbolic arguments; never NULL.
const fv_expr *fv_xp_add(fv_xpool *p, const fv_expr *a, const fv_expr *b, int64_t scale);
const fv_expr *fv_xp_mul(fv_xpool *p, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_xp_floordiv(fv_xpool *p, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_xp_mod(fv_xpool *p, const fv_expr *a, const fv_expr *b);

//===-- Intervals (expr_prove.c) ----------------------------------------===//

#define FV_RANGE_ALL ((fv_range){INT64_MIN, INT64_MAX})
fv_range fv_xp_type_range(fv_dtype t);
// Interval of a node from those of its arguments.
fv_range fv_xp_op_range(const fv_expr *e, const fv_range *arg);
// Never below x: symbols with which it rises are replaced by their outer bounds.
const fv_expr *fv_xp_outer(fv_xpool *p, const fv_expr *x);

#endif  // FOVEA_IR_EXPR_EXPR_POOL_H_
