// SPDX-License-Identifier: Apache-2.0
// ir/expr/expr.h - typed, hash-consed expressions.
//
// One kind of expression serves for dims (integers over symbols), for indices
// (integers over loop indices) and for the meaning of ops (scalars of any
// dtype, with loads). Equal expressions of one pool are the same pointer.
// Building simplifies: constants fold; i64 sums and products are kept as a
// canonical polynomial over atoms, so two i64 expressions that are equal as
// polynomials are the same pointer.
// A pool is used by one thread at a time and lives in its arena.
#ifndef FOVEA_IR_EXPR_EXPR_H_
#define FOVEA_IR_EXPR_EXPR_H_

#include "base/arena.h"
#include "base/str.h"
#include "fovea/scalar.h"
#include "ir/expr/dtype.h"

typedef enum fv_expr_kind {
  FV_E_LIT,    // literal: lit.i (integers, bool) or lit.f (floats)
  FV_E_SYM,    // symbol `ref` of the pool, i64
  FV_E_INDEX,  // loop index `ref`, i64; its extent is the user's knowledge
  FV_E_LOAD,   // element of operand `ref` at arg[0..n), result dtype = dtype
  FV_E_OP,     // scalar primitive `op` of arg[0..n)
} fv_expr_kind;

// What occurs anywhere in an expression, itself included: noted when it is made,
// so that such questions need no walk.
enum {
  FV_XF_SYM = 1,              // a symbol
  FV_XF_INDEX = 2,            // a loop index
  FV_XF_LOAD = 4,             // a load: integers may wrap around
  FV_XF_RUN = 8,              // a symbol that only the run knows: a counter, a result
  FV_XF_INDIRECT = 16,        // a load at an index that is itself loaded
  FV_XF_TRANSCENDENTAL = 32,  // exp, log, sin, cos, tanh, erf, pow
  FV_XF_UNDEFINED = 64,       // a division of integers by the number 0
};

typedef struct fv_expr {
  uint8_t kind, op, dtype, n;
  uint32_t ref;
  uint32_t id;     // dense in the pool, in order of creation: arguments come first
  uint16_t flags;  // FV_XF_*
  // What it costs to evaluate as a tree, in additions, at most UINT16_MAX. Indices of
  // loads are free unless they are loaded.
  uint16_t cost;
  union {
    int64_t i;
    double f;
  } lit;
  const struct fv_expr *arg[];
} fv_expr;

typedef struct fv_xpool fv_xpool;

fv_xpool *fv_xpool_create(fv_arena *ar);
fv_arena *fv_xpool_arena(const fv_xpool *p);
uint32_t fv_xpool_count(const fv_xpool *p);  // ids are below this

//===-- Symbols ---------------------------------------------------------===//

// A symbol is a named i64 with a declared range. Fresh symbols for loop
// counters, data-dependent dims and so on come from here too.
typedef enum fv_symbol_kind {
  FV_SYM_DIM,      // bound by the shapes of inputs (or given by the caller)
  FV_SYM_STATE,    // valid length of a state: bound from the run context
  FV_SYM_COUNTER,  // counter of an enclosing loop region, 0 .. trips-1
  FV_SYM_RESULT,   // defined by a node at run time (trip count of a `loop`)
} fv_symbol_kind;

typedef struct fv_symbol {
  const char *name;
  const char *shown;  // in messages: as its author calls it, or what it is in words
  int64_t min, max;   // inclusive
  fv_symbol_kind kind;
  const struct fv_expr *most;   // a bound over other symbols, or NULL
  const struct fv_expr *outer;  // the same over symbols that have no such bound, as far as known
} fv_symbol;

uint32_t fv_symbol_add(fv_xpool *p, const char *name, int64_t min, int64_t max,
                       fv_symbol_kind kind);
void fv_symbol_show(fv_xpool *p, uint32_t sym, const char *as);
// Of a symbol that a node defines: it is never above `most`. The prover uses it.
void fv_symbol_bound(fv_xpool *p, uint32_t sym, const fv_expr *most);
const fv_symbol *fv_symbol_get(const fv_xpool *p, uint32_t sym);
uint32_t fv_symbol_count(const fv_xpool *p);
bool fv_symbol_find(const fv_xpool *p, const char *name, uint32_t *out);

//===-- Building --------------------------------------------------------===//

const fv_expr *fv_x_i64(fv_xpool *p, int64_t v);
const fv_expr *fv_x_lit_i(fv_xpool *p, fv_dtype t, int64_t v);  // integers, bool
const fv_expr *fv_x_lit_f(fv_xpool *p, fv_dtype t, double v);   // floats; v is rounded to t
const fv_expr *fv_x_lit(fv_xpool *p, fv_dtype t, double v);     // any dtype; ints truncate
const fv_expr *fv_x_sym(fv_xpool *p, uint32_t sym);
const fv_expr *fv_x_index(fv_xpool *p, uint32_t index);
const fv_expr *fv_x_load(fv_xpool *p, fv_dtype t, uint32_t operand, int n,
                         const fv_expr *const *index);
// Any primitive but CAST and BITCAST; arguments must agree in dtype (FV_CHECK).
const fv_expr *fv_x_op(fv_xpool *p, fv_scalar_op op, const fv_expr *a, const fv_expr *b,
                       const fv_expr *c);
const fv_expr *fv_x_cast(fv_xpool *p, fv_dtype t, const fv_expr *a);
const fv_expr *fv_x_bitcast(fv_xpool *p, fv_dtype t, const fv_expr *a);

// Short forms; i64 or any dtype.
static inline const fv_expr *fv_x_add(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  return fv_x_op(p, FV_X_ADD, a, b, NULL);
}
static inline const fv_expr *fv_x_sub(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  return fv_x_op(p, FV_X_SUB, a, b, NULL);
}
static inline const fv_expr *fv_x_mul(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  return fv_x_op(p, FV_X_MUL, a, b, NULL);
}
static inline const fv_expr *fv_x_floordiv(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  return fv_x_op(p, FV_X_FLOORDIV, a, b, NULL);
}
static inline const fv_expr *fv_x_mod(fv_xpool *p, const fv_expr *a, const fv_expr *b) {
  return fv_x_op(p, FV_X_MOD, a, b, NULL);
}

//===-- Questions -------------------------------------------------------===//

bool fv_x_is_lit(const fv_expr *e, int64_t *out);                // integer literal?
static inline bool fv_x_has(const fv_expr *e, unsigned flags) {  // any of FV_XF_*
  return (e->flags & flags) != 0;
}
bool fv_x_uses_index(const fv_xpool *p, const fv_expr *e, uint32_t index);
// Interval of an i64 expression: inclusive bounds that hold for every value of
// the symbols (in their ranges) and, if index_max is given, of the loop
// indices (0 .. index_max[ref], expressions of symbols; NULL entries unknown).
// Unknown bounds are INT64_MIN / INT64_MAX.
typedef struct fv_range {
  int64_t lo, hi;
} fv_range;
fv_range fv_x_range(fv_xpool *p, const fv_expr *e, const fv_expr *const *index_extent,
                    uint32_t n_index);

// The same for symbols that are known to lie within ranges, by number, too. A range in which
// there is none of the symbol's values says nothing.
fv_range fv_x_range_within(fv_xpool *p, const fv_expr *e, const fv_range *within, uint32_t n);

typedef enum fv_truth { FV_NO, FV_YES, FV_UNKNOWN } fv_truth;
// Never assumes: YES and NO hold for every value of the symbols.
fv_truth fv_prove_eq(fv_xpool *p, const fv_expr *a, const fv_expr *b);
fv_truth fv_prove_le(fv_xpool *p, const fv_expr *a, const fv_expr *b);

// Is `a` divisible by `b` for all symbols? If so *out_quotient = a / b.
bool fv_x_divide(fv_xpool *p, const fv_expr *a, const fv_expr *b, const fv_expr **out_quotient);

//===-- Substitution and evaluation --------------------------------------===//

// Rebuilds e; leaf(user, e) is called for SYM, INDEX and LOAD (whose arguments
// are already rebuilt) and returns the replacement (or e itself). Iterative.
const fv_expr *fv_x_rewrite(fv_xpool *p, const fv_expr *e,
                            const fv_expr *(*leaf)(void *user, const fv_expr *e), void *user);

// The same with part(user, e) called for operations, too.
const fv_expr *fv_x_rebuild(fv_xpool *p, const fv_expr *e,
                            const fv_expr *(*part)(void *user, const fv_expr *e), void *user);

// Replaces loop indices: index[ref] for ref < n (NULL = keep).
const fv_expr *fv_x_subst_index(fv_xpool *p, const fv_expr *e, const fv_expr *const *index,
                                uint32_t n);
const fv_expr *fv_x_subst_sym(fv_xpool *p, const fv_expr *e, uint32_t sym, const fv_expr *by);
// Replaces symbols: by[ref] for ref < n (NULL = keep).
const fv_expr *fv_x_subst_syms(fv_xpool *p, const fv_expr *e, const fv_expr *const *by, uint32_t n);

// Value of an i64 expression of symbols; false on overflow, division by zero.
bool fv_x_eval_i64(const fv_expr *e, const int64_t *symbol_values, int64_t *out);
// The same many times over, while only symbols of FV_XF_RUN change: what does not hang on those is
// evaluated once. The table belongs to the arena; one a pool of expressions.
typedef struct fv_xvalues fv_xvalues;
fv_xvalues *fv_xvalues_create(fv_arena *ar);
bool fv_x_eval_kept(const fv_expr *e, const int64_t *symbol_values, fv_xvalues *kept, int64_t *out);
bool fv_x_overflowed(const fv_xvalues *kept);  // is that why the last one gave no value?

//===-- Scalars: the one evaluator ---------------------------------------===//

// A scalar of any dtype: integers and bool in .i, floats in .f (as double).
typedef union fv_scalar {
  int64_t i;
  double f;
} fv_scalar;
// Evaluates one primitive at dtype t (of the first argument; for SELECT of the
// arms; `to` for CAST/BITCAST) in double or wrapped integers. Does not round
// floats to t.
fv_scalar fv_scalar_eval(fv_scalar_op op, fv_dtype t, fv_dtype to, fv_scalar a, fv_scalar b,
                         fv_scalar c);
// The same for each of n: element i of an operand is v[i * by].
typedef struct fv_lanes {
  const fv_scalar *v;
  int64_t by;  // 1, or 0: one for all
} fv_lanes;
void fv_scalar_eval_n(fv_scalar_op op, fv_dtype t, fv_dtype to, const fv_lanes arg[3], fv_scalar *v,
                      int64_t n);
// Loads n elements, `stride` elements apart.
void fv_scalar_load_n(fv_dtype t, const void *p, int64_t stride, fv_scalar *v, int64_t n);
double fv_round_to(fv_dtype t, double v);                // nearest value of a float dtype
fv_scalar fv_scalar_load(fv_dtype t, const void *p);     // from memory
void fv_scalar_store(fv_dtype t, void *p, fv_scalar v);  // rounds, saturates never (wraps ints)
const char *fv_scalar_name(fv_scalar_op op);
int fv_scalar_arity(fv_scalar_op op);
// Does v stay finite when it is rounded to t? (True for inf and nan themselves.)
bool fv_scalar_holds(fv_dtype t, double v);
// Is v an element of t, which is no float type?
bool fv_scalar_fits(fv_dtype t, int64_t v);
// Reads a number, or true or false, as an element of t. NULL, or why it is none:
// "is no" or "is out of the range of", to be put between the text and the type.
const char *fv_scalar_parse(fv_dtype t, const char *s, size_t n, fv_scalar *out);

//===-- Text -------------------------------------------------------------===//

// Dims and indices print as infix with symbol names: "seq+past", "i0*64+i1",
// "floordiv(i0, 64)"; other scalars as prefix calls. What is shared is printed at each
// place, so the text of a small expression may be very long: hence the limit and the names.
typedef struct fv_xprint {
  size_t limit;  // characters, about; what is beyond becomes "...". 0: no limit
  bool shown;    // symbols as they are shown
  const char *(*name)(void *user, const fv_expr *e);  // optional: stands for e; NULL: none
  void *user;
} fv_xprint;
extern const fv_xprint fv_xprint_short;  // for people
void fv_x_print_as(const fv_xpool *p, fv_str *s, const fv_expr *e, const fv_xprint *how);
void fv_x_print(const fv_xpool *p, fv_str *s, const fv_expr *e);  // short
// Parses an i64 expression over the pool's symbols: + - * / % ( ) and
// floordiv() mod() min() max(). '/' is floordiv. `symbol` (optional) resolves
// other names, and '$' with digits behind it. On failure *err is a static sentence and *err_at the
// offset.
const fv_expr *fv_x_parse_i64(fv_xpool *p, const char *text, size_t n,
                              const fv_expr *(*symbol)(void *user, const char *name, size_t n),
                              void *user, const char **err, size_t *err_at);

#endif  // FOVEA_IR_EXPR_EXPR_H_
