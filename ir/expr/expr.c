// SPDX-License-Identifier: Apache-2.0
//
// The pool: hash-consing, symbols, and the construction of expressions of any
// dtype. What is special to i64 stands in expr_poly.c and expr_int.c.
#include "ir/expr/expr.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "ir/expr/expr_pool.h"

//===-- Pool ------------------------------------------------------------===//

fv_xpool *fv_xpool_create(fv_arena *ar) {
  fv_xpool *p = FV_NEW(ar, fv_xpool);
  p->arena = ar;
  p->n_slots = 256;
  p->table = FV_NEW_N(ar, const fv_expr *, p->n_slots);
  p->n_symbol_slots = 16;
  p->symbol_table = FV_NEW_N(ar, uint32_t, p->n_symbol_slots);
  return p;
}

fv_arena *fv_xpool_arena(const fv_xpool *p) {
  return p->arena;
}

uint32_t fv_xpool_count(const fv_xpool *p) {
  return p->count;
}

static uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 29;
}

static uint64_t hash_shape(const fv_xpool *p, const fv_expr *s, const fv_expr *const *arg) {
  uint64_t h =
      mix((uint64_t)s->kind << 24 | (uint64_t)s->op << 16 | (uint64_t)s->dtype << 8 | s->n, s->ref);
  h = mix(h, (uint64_t)s->lit.i);
  for (int i = 0; i < s->n; i++)
    h = mix(h, fv_xp_meta(p, arg[i])->hash);
  return mix(h, h >> 32);
}

static bool same_shape(const fv_expr *e, const fv_expr *s, const fv_expr *const *arg) {
  if (e->kind != s->kind || e->op != s->op || e->dtype != s->dtype || e->n != s->n ||
      e->ref != s->ref || e->lit.i != s->lit.i)
    return false;
  for (int i = 0; i < s->n; i++)
    if (e->arg[i] != arg[i])
      return false;
  return true;
}

static void grow_table(fv_xpool *p) {
  const size_t n = p->n_slots * 2;
  const fv_expr **t = FV_NEW_N(p->arena, const fv_expr *, n);
  for (size_t i = 0; i < p->n_slots; i++) {
    if (!p->table[i])
      continue;
    size_t k = fv_xp_meta(p, p->table[i])->hash & (n - 1);
    while (t[k])
      k = (k + 1) & (n - 1);
    t[k] = p->table[i];
  }
  p->table = t;
  p->n_slots = n;
}

static fv_range leaf_range(const fv_xpool *p, const fv_expr *e) {
  switch (e->kind) {
  case FV_E_LIT:
    return fv_dtype_is_float((fv_dtype)e->dtype) ? FV_RANGE_ALL : (fv_range){e->lit.i, e->lit.i};
  case FV_E_SYM: return (fv_range){p->symbol[e->ref].min, p->symbol[e->ref].max};
  case FV_E_INDEX: return (fv_range){0, INT64_MAX};
  default: return fv_xp_type_range((fv_dtype)e->dtype);
  }
}

static uint16_t op_flags(const fv_expr *e) {
  switch (e->op) {
  case FV_X_EXP:
  case FV_X_LOG:
  case FV_X_EXPM1:
  case FV_X_LOG1P:
  case FV_X_SIN:
  case FV_X_COS:
  case FV_X_TANH:
  case FV_X_ERF:
  case FV_X_POW: return FV_XF_TRANSCENDENTAL;
  default: return 0;
  }
}

static bool divides_by_zero(const fv_expr *e) {
  int64_t v;
  return (e->op == FV_X_FLOORDIV || e->op == FV_X_MOD) && fv_x_is_lit(e->arg[1], &v) && v == 0;
}

static uint16_t own_flags(const fv_xpool *p, const fv_expr *e) {
  switch (e->kind) {
  case FV_E_SYM: {
    const fv_symbol_kind k = p->symbol[e->ref].kind;
    return FV_XF_SYM | (k == FV_SYM_COUNTER || k == FV_SYM_RESULT ? FV_XF_RUN : 0);
  }
  case FV_E_INDEX: return FV_XF_INDEX;
  case FV_E_LOAD: {
    uint16_t f = FV_XF_LOAD;
    for (int i = 0; i < e->n; i++)
      f |= fv_x_has(e->arg[i], FV_XF_LOAD) ? FV_XF_INDIRECT : 0;
    return f;
  }
  case FV_E_OP: return op_flags(e) | (divides_by_zero(e) ? FV_XF_UNDEFINED : 0);
  default: return 0;
  }
}

static uint16_t cost_of(const fv_expr *e) {
  enum { TRANSCENDENTAL = 20, QUOTIENT = 6, INDIRECT = 4 };
  uint32_t c = 0;
  if (e->kind == FV_E_OP)
    c = op_flags(e) ? TRANSCENDENTAL : e->op == FV_X_DIV || e->op == FV_X_SQRT ? QUOTIENT : 1;
  for (int i = 0; i < e->n; i++)
    c += e->kind == FV_E_OP ? e->arg[i]->cost : fv_x_has(e->arg[i], FV_XF_LOAD) ? INDIRECT : 0;
  return (uint16_t)(c < UINT16_MAX ? c : UINT16_MAX);
}

static void fill_meta(fv_xpool *p, fv_expr *e, uint64_t hash) {
  fv_xmeta *m = &p->meta[e->id];
  m->hash = hash;
  m->index_set = e->kind == FV_E_INDEX ? UINT64_C(1) << e->ref % 64 : 0;
  e->flags = own_flags(p, e);
  e->cost = cost_of(e);
  for (int i = 0; i < e->n; i++) {
    e->flags |= e->arg[i]->flags;
    m->index_set |= fv_xp_meta(p, e->arg[i])->index_set;
  }
  if (e->kind != FV_E_OP) {
    m->range = leaf_range(p, e);
    return;
  }
  fv_range arg[3];
  for (int i = 0; i < e->n; i++)
    arg[i] = fv_xp_meta(p, e->arg[i])->range;
  m->range = fv_xp_op_range(e, arg);
}

const fv_expr *fv_xp_cons(fv_xpool *p, const fv_expr *shape, const fv_expr *const *arg) {
  const uint64_t hash = hash_shape(p, shape, arg);
  size_t k = hash & (p->n_slots - 1);
  for (; p->table[k]; k = (k + 1) & (p->n_slots - 1))
    if (fv_xp_meta(p, p->table[k])->hash == hash && same_shape(p->table[k], shape, arg))
      return p->table[k];
  FV_CHECK(p->arena, p->count < UINT32_MAX - 1);
  const size_t args = (size_t)shape->n * sizeof *arg;
  fv_expr *e = fv_arena_alloc(p->arena, sizeof *e + args);
  memcpy(e, shape, sizeof *e);
  if (args)
    memcpy(e->arg, arg, args);
  p->meta = fv_arena_grow(p->arena, p->meta, sizeof *p->meta, p->count, &p->cap_meta);
  e->id = p->count++;
  p->table[k] = e;
  fill_meta(p, e, hash);
  if (p->count > p->n_slots / 2)
    grow_table(p);
  return e;
}

const fv_expr *fv_xp_cons_op(fv_xpool *p, fv_scalar_op op, fv_dtype t, int n, const fv_expr *a,
                             const fv_expr *b, const fv_expr *c) {
  const fv_expr shape = {.kind = FV_E_OP, .op = (uint8_t)op, .dtype = (uint8_t)t, .n = (uint8_t)n};
  const fv_expr *const arg[3] = {a, b, c};
  return fv_xp_cons(p, &shape, arg);
}

//===-- Symbols ---------------------------------------------------------===//

static size_t symbol_slot(const fv_xpool *p, const char *name) {
  size_t k = fv_hash64(name, strlen(name), 0) & (p->n_symbol_slots - 1);
  while (p->symbol_table[k] && strcmp(p->symbol[p->symbol_table[k] - 1].name, name) != 0)
    k = (k + 1) & (p->n_symbol_slots - 1);
  return k;
}

static void grow_symbol_table(fv_xpool *p) {
  p->n_symbol_slots *= 2;
  p->symbol_table = FV_NEW_N(p->arena, uint32_t, p->n_symbol_slots);
  for (size_t i = 0; i < p->n_symbol; i++)
    p->symbol_table[symbol_slot(p, p->symbol[i].name)] = (uint32_t)i + 1;
}

// Names are unique in the pool and fit between the back quotes of the text
// form: a name that is taken gets the symbol's number as its ending.
static const char *symbol_name(fv_xpool *p, const char *name) {
  char *s = fv_arena_strdup(p->arena, name && name[0] ? name : "_");
  for (char *c = s; *c; c++)
    if (*c == '`' || (unsigned char)*c < ' ' || *c == 0x7f)
      *c = '_';
  size_t ending = p->n_symbol;
  const char *unique = s;
  while (p->symbol_table[symbol_slot(p, unique)])
    unique = fv_arena_printf(p->arena, "%s_%zu", s, ending++);
  return unique;
}

uint32_t fv_symbol_add(fv_xpool *p, const char *name, int64_t min, int64_t max,
                       fv_symbol_kind kind) {
  FV_CHECK(p->arena, min <= max && p->n_symbol < UINT32_MAX - 1);
  const char *own = symbol_name(p, name);
  const fv_symbol s = {.name = own, .shown = own, .min = min, .max = max, .kind = kind};
  FV_PUSH(p->arena, p->symbol, p->n_symbol, p->cap_symbol, s);
  if (p->n_symbol > p->n_symbol_slots / 2)
    grow_symbol_table(p);
  else
    p->symbol_table[symbol_slot(p, s.name)] = (uint32_t)p->n_symbol;
  return (uint32_t)p->n_symbol - 1;
}

void fv_symbol_show(fv_xpool *p, uint32_t sym, const char *as) {
  FV_CHECK(p->arena, sym < p->n_symbol);
  p->symbol[sym].shown = as;
}

void fv_symbol_bound(fv_xpool *p, uint32_t sym, const fv_expr *most) {
  FV_CHECK(p->arena, sym < p->n_symbol);
  if (p->symbol[sym].most == most)
    return;
  p->symbol[sym].most = most;
  p->symbol[sym].outer = fv_xp_outer(p, most);
}

const fv_symbol *fv_symbol_get(const fv_xpool *p, uint32_t sym) {
  FV_CHECK(p->arena, sym < p->n_symbol);
  return &p->symbol[sym];
}

uint32_t fv_symbol_count(const fv_xpool *p) {
  return (uint32_t)p->n_symbol;
}

bool fv_symbol_find(const fv_xpool *p, const char *name, uint32_t *out) {
  const uint32_t s = p->symbol_table[symbol_slot(p, name)];
  if (s == 0)
    return false;
  *out = s - 1;
  return true;
}

//===-- Leaves ----------------------------------------------------------===//

const fv_expr *fv_x_lit_i(fv_xpool *p, fv_dtype t, int64_t v) {
  FV_CHECK(p->arena, !fv_dtype_is_float(t));
  int64_t memory = 0;
  fv_scalar_store(t, &memory, (fv_scalar){.i = v});
  const fv_expr shape = {
      .kind = FV_E_LIT, .dtype = (uint8_t)t, .lit.i = fv_scalar_load(t, &memory).i};
  return fv_xp_cons(p, &shape, NULL);
}

const fv_expr *fv_x_i64(fv_xpool *p, int64_t v) {
  return fv_x_lit_i(p, FV_i64, v);
}

const fv_expr *fv_x_lit_f(fv_xpool *p, fv_dtype t, double v) {
  FV_CHECK(p->arena, fv_dtype_is_float(t));
  const fv_expr shape = {
      .kind = FV_E_LIT, .dtype = (uint8_t)t, .lit.f = isnan(v) ? (double)NAN : fv_round_to(t, v)};
  return fv_xp_cons(p, &shape, NULL);
}

static const fv_expr *literal(fv_xpool *p, fv_dtype t, fv_scalar v) {
  return fv_dtype_is_float(t) ? fv_x_lit_f(p, t, v.f) : fv_x_lit_i(p, t, v.i);
}

const fv_expr *fv_x_lit(fv_xpool *p, fv_dtype t, double v) {
  const fv_scalar none = {.i = 0};
  return literal(p, t, fv_scalar_eval(FV_X_CAST, FV_f64, t, (fv_scalar){.f = v}, none, none));
}

const fv_expr *fv_x_sym(fv_xpool *p, uint32_t sym) {
  FV_CHECK(p->arena, sym < p->n_symbol);
  const fv_expr shape = {.kind = FV_E_SYM, .dtype = FV_i64, .ref = sym};
  return fv_xp_cons(p, &shape, NULL);
}

const fv_expr *fv_x_index(fv_xpool *p, uint32_t index) {
  const fv_expr shape = {.kind = FV_E_INDEX, .dtype = FV_i64, .ref = index};
  if (index >= p->n_index)
    p->n_index = index + 1;
  return fv_xp_cons(p, &shape, NULL);
}

const fv_expr *fv_x_load(fv_xpool *p, fv_dtype t, uint32_t operand, int n,
                         const fv_expr *const *index) {
  FV_CHECK(p->arena, n >= 0 && n <= UINT8_MAX);
  for (int i = 0; i < n; i++)
    FV_CHECK(p->arena, index[i]->dtype == FV_i64);
  const fv_expr shape = {.kind = FV_E_LOAD, .dtype = (uint8_t)t, .ref = operand, .n = (uint8_t)n};
  return fv_xp_cons(p, &shape, index);
}

//===-- Primitives of any dtype -----------------------------------------===//

static bool is_value(const fv_expr *e, double v) {
  if (e->kind != FV_E_LIT)
    return false;
  if (fv_dtype_is_float((fv_dtype)e->dtype))
    return e->lit.f == v && signbit(e->lit.f) == signbit(v);
  return (double)e->lit.i == v;  // only asked for 0, 1 and -1
}

static fv_scalar lit_scalar(const fv_expr *e) {
  fv_scalar s = {.i = 0};
  if (e)
    memcpy(&s, &e->lit, sizeof s);
  return s;
}

// x + -0, x - 0, x * 1, x / 1 are x for every float, NaN and -0 included;
// x + 0 is not (-0 + 0 is 0).
static const fv_expr *simplify_arith(fv_xpool *p, fv_scalar_op op, const fv_expr *a,
                                     const fv_expr *b) {
  const fv_dtype t = (fv_dtype)a->dtype;
  const double nothing = fv_dtype_is_float(t) ? -0.0 : 0;
  switch (op) {
  case FV_X_ADD: return is_value(b, nothing) ? a : is_value(a, nothing) ? b : NULL;
  case FV_X_SUB:
    if (is_value(b, 0))
      return a;
    return a == b && !fv_dtype_is_float(t) ? fv_x_lit_i(p, t, 0) : NULL;
  case FV_X_MUL:
    if (is_value(a, 1))
      return b;
    if (is_value(b, 1))
      return a;
    if (!fv_dtype_is_float(t))
      return is_value(a, 0) ? a : is_value(b, 0) ? b : NULL;
    if (is_value(a, -1) || is_value(b, -1))
      return fv_x_op(p, FV_X_NEG, is_value(a, -1) ? b : a, NULL, NULL);
    return NULL;
  case FV_X_DIV: return is_value(b, 1) ? a : NULL;
  case FV_X_POW: return is_value(b, 1) ? a : NULL;
  case FV_X_FLOORDIV: return is_value(b, 1) && !fv_dtype_is_float(t) ? a : NULL;
  case FV_X_MAX:
  case FV_X_MIN: return a == b ? a : NULL;
  default: return NULL;
  }
}

static const fv_expr *simplify_logic(fv_xpool *p, fv_scalar_op op, const fv_expr *a,
                                     const fv_expr *b) {
  const bool is_bool = a->dtype == FV_bool, is_float = fv_dtype_is_float((fv_dtype)a->dtype);
  if (is_float)
    return NULL;
  switch (op) {
  case FV_X_AND:
    if (a == b || is_value(a, 0) || (is_bool && is_value(b, 1)))
      return a;
    return is_value(b, 0) || (is_bool && is_value(a, 1)) ? b : NULL;
  case FV_X_OR:
    if (a == b || is_value(b, 0) || (is_bool && is_value(a, 1)))
      return a;
    return is_value(a, 0) || (is_bool && is_value(b, 1)) ? b : NULL;
  case FV_X_XOR:
    if (a == b)
      return fv_x_lit_i(p, (fv_dtype)a->dtype, 0);
    return is_value(b, 0) ? a : is_value(a, 0) ? b : NULL;
  case FV_X_EQ:
  case FV_X_LE: return a == b ? fv_x_lit_i(p, FV_bool, 1) : NULL;
  case FV_X_NE:
  case FV_X_LT: return a == b ? fv_x_lit_i(p, FV_bool, 0) : NULL;
  default: return NULL;
  }
}

static const fv_expr *simplify_unary(fv_scalar_op op, const fv_expr *a) {
  switch (op) {
  case FV_X_NEG:
  case FV_X_NOT: return fv_xp_is_op(a, op) ? a->arg[0] : NULL;
  case FV_X_ABS:
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: return fv_xp_is_op(a, op) ? a : NULL;
  default: return NULL;
  }
}

static bool is_test(fv_scalar_op op) {
  return op == FV_X_EQ || op == FV_X_NE || op == FV_X_LT || op == FV_X_LE || op == FV_X_IS_NAN;
}

static const fv_expr *fold(fv_xpool *p, fv_scalar_op op, fv_dtype t, const fv_expr *a,
                           const fv_expr *b, const fv_expr *c) {
  const fv_dtype of = (fv_dtype)(op == FV_X_SELECT ? b : a)->dtype;
  return literal(p, t, fv_scalar_eval(op, of, t, lit_scalar(a), lit_scalar(b), lit_scalar(c)));
}

// i64: sums and products are polynomials; what could overflow stays.
static const fv_expr *i64_arith(fv_xpool *p, fv_scalar_op op, const fv_expr *a, const fv_expr *b,
                                const fv_expr *c) {
  switch (op) {
  case FV_X_ADD: return fv_xp_add(p, a, b, 1);
  case FV_X_SUB: return fv_xp_add(p, a, b, -1);
  case FV_X_NEG: return fv_xp_add(p, fv_x_i64(p, 0), a, -1);
  case FV_X_MUL: return fv_xp_mul(p, a, b);
  case FV_X_MAD: return fv_xp_add(p, fv_xp_mul(p, a, b), c, 1);
  case FV_X_DIV:
    if (fv_xp_meta(p, a)->range.lo < 0 || fv_xp_meta(p, b)->range.lo < 0)
      return NULL;
    return fv_xp_floordiv(p, a, b);
  case FV_X_FLOORDIV: return fv_xp_floordiv(p, a, b);
  case FV_X_MOD: return fv_xp_mod(p, a, b);
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: return a;
  case FV_X_IS_NAN: return fv_x_lit_i(p, FV_bool, 0);
  case FV_X_ABS:
    if (fv_xp_meta(p, a)->range.lo >= 0)
      return a;
    return fv_xp_meta(p, a)->range.hi <= 0 ? fv_xp_add(p, fv_x_i64(p, 0), a, -1) : NULL;
  default: return NULL;
  }
}

static const fv_expr *truth(fv_xpool *p, fv_truth t, bool negate) {
  return t == FV_UNKNOWN ? NULL : fv_x_lit_i(p, FV_bool, (t == FV_YES) != negate);
}

static const fv_expr *i64_order(fv_xpool *p, fv_scalar_op op, const fv_expr *a, const fv_expr *b) {
  const fv_expr *low;
  switch (op) {
  case FV_X_EQ: return truth(p, fv_prove_eq(p, a, b), false);
  case FV_X_NE: return truth(p, fv_prove_eq(p, a, b), true);
  case FV_X_LE: return truth(p, fv_prove_le(p, a, b), false);
  case FV_X_LT: return truth(p, fv_prove_le(p, b, a), true);
  case FV_X_MIN:
  case FV_X_MAX:
    if (fv_prove_le(p, a, b) == FV_YES)
      low = a;
    else if (fv_prove_le(p, b, a) == FV_YES)
      low = b;
    else
      return NULL;
    return (op == FV_X_MIN) == (low == a) ? a : b;
  default: return NULL;
  }
}

static bool orderless(fv_scalar_op op) {
  return op == FV_X_MIN || op == FV_X_MAX || op == FV_X_EQ || op == FV_X_NE;
}

static const fv_expr *build_i64(fv_xpool *p, fv_scalar_op op, fv_dtype t, int n, const fv_expr *a,
                                const fv_expr *b, const fv_expr *c) {
  const fv_expr *r = i64_arith(p, op, a, b, c);
  if (!r)
    r = n == 2 ? i64_order(p, op, a, b) : NULL;
  if (r)
    return r;
  if (orderless(op) && fv_xp_compare(p, a, b) > 0)
    return fv_xp_cons_op(p, op, t, n, b, a, NULL);
  return fv_xp_cons_op(p, op, t, n, a, b, c);
}

static const fv_expr *build_select(fv_xpool *p, const fv_expr *c, const fv_expr *a,
                                   const fv_expr *b) {
  FV_CHECK(p->arena, c->dtype == FV_bool && a && b && a->dtype == b->dtype);
  if (c->kind == FV_E_LIT)
    return c->lit.i ? a : b;
  if (a == b)
    return a;
  if (fv_xp_is_op(c, FV_X_NOT))
    return build_select(p, c->arg[0], b, a);
  return fv_xp_cons_op(p, FV_X_SELECT, (fv_dtype)a->dtype, 3, c, a, b);
}

// Sums, products, quotients and remainders of i64 literals fold where they do
// not overflow (i64_arith); all other primitives of literals fold here.
static bool folds_as_scalar(fv_scalar_op op, fv_dtype t) {
  if (t != FV_i64)
    return true;
  return op != FV_X_ADD && op != FV_X_SUB && op != FV_X_MUL && op != FV_X_MAD && op != FV_X_NEG &&
         op != FV_X_ABS && op != FV_X_DIV && op != FV_X_FLOORDIV && op != FV_X_MOD;
}

const fv_expr *fv_x_op(fv_xpool *p, fv_scalar_op op, const fv_expr *a, const fv_expr *b,
                       const fv_expr *c) {
  FV_CHECK(p->arena, op < FV_X_COUNT && op != FV_X_CAST && op != FV_X_BITCAST);
  if (op == FV_X_SELECT)
    return build_select(p, a, b, c);
  const int n = fv_scalar_arity(op);
  const fv_dtype of = (fv_dtype)a->dtype;
  FV_CHECK(p->arena, n < 2 || (b && b->dtype == of));
  FV_CHECK(p->arena, n < 3 || (c && c->dtype == of));
  if (n < 2)
    b = NULL;
  if (n < 3)
    c = NULL;
  const fv_dtype t = is_test(op) ? FV_bool : of;
  if (a->kind == FV_E_LIT && (n < 2 || b->kind == FV_E_LIT) && (n < 3 || c->kind == FV_E_LIT) &&
      folds_as_scalar(op, of))
    return fold(p, op, t, a, b, c);
  const fv_expr *r = NULL;
  if (n == 2)
    r = simplify_logic(p, op, a, b);
  else if (n == 1)
    r = simplify_unary(op, a);
  if (r)
    return r;
  if (of == FV_i64)
    return build_i64(p, op, t, n, a, b, c);
  if (n == 2)
    r = simplify_arith(p, op, a, b);
  return r ? r : fv_xp_cons_op(p, op, t, n, a, b, c);
}

const fv_expr *fv_x_cast(fv_xpool *p, fv_dtype t, const fv_expr *a) {
  const fv_dtype from = (fv_dtype)a->dtype;
  if (from == t)
    return a;
  if (a->kind == FV_E_LIT)
    return fold(p, FV_X_CAST, t, a, NULL, NULL);
  if (fv_xp_is_op(a, FV_X_CAST) && a->arg[0]->dtype == t && fv_dtype_widens(t, from))
    return a->arg[0];
  return fv_xp_cons_op(p, FV_X_CAST, t, 1, a, NULL, NULL);
}

const fv_expr *fv_x_bitcast(fv_xpool *p, fv_dtype t, const fv_expr *a) {
  const fv_dtype from = (fv_dtype)a->dtype;
  if (from == t)
    return a;
  FV_CHECK(p->arena, fv_dtype_size(from) == fv_dtype_size(t));
  if (a->kind == FV_E_LIT)
    return fold(p, FV_X_BITCAST, t, a, NULL, NULL);
  return fv_xp_cons_op(p, FV_X_BITCAST, t, 1, a, NULL, NULL);
}

bool fv_x_is_lit(const fv_expr *e, int64_t *out) {
  if (e->kind != FV_E_LIT || fv_dtype_is_float((fv_dtype)e->dtype))
    return false;
  *out = e->lit.i;
  return true;
}
