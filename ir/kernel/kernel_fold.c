// SPDX-License-Identifier: Apache-2.0
// Building values: primitives, conversions, lanes; and what is known of them
// without running: constants, identities, index arithmetic.
#include <math.h>

#include "ir/kernel/kernel_build.h"

//===-- Evaluation ------------------------------------------------------------===//

int64_t fv__k_wrap(fv_dtype t, int64_t v) {
  uint64_t bits = 0;
  if (t == FV_bool)
    return v != 0;
  fv_scalar_store(t, &bits, (fv_scalar){.i = v});
  return fv_scalar_load(t, &bits).i;
}

fv_dtype fv__k_result(fv_scalar_op op, fv_dtype t) {
  switch (op) {
  case FV_X_EQ:
  case FV_X_NE:
  case FV_X_LT:
  case FV_X_LE:
  case FV_X_IS_NAN: return FV_bool;
  default: return t;
  }
}

fv_scalar fv__k_eval(fv_scalar_op op, fv_dtype t, fv_dtype to, const fv_scalar v[3]) {
  const fv_scalar r = fv_scalar_eval(op, t, to, v[0], v[1], v[2]);
  return fv_dtype_is_float(to) ? (fv_scalar){.f = fv_round_to(to, r.f)} : r;
}

static bool all_const(const fv_kb *kb, const fv_kv v[3], fv_scalar out[3]) {
  for (int i = 0; i < 3 && v[i] != FV_K_NONE; i++) {
    const fv_kinst *in = kb_at(kb, v[i]);
    if (in->op != FV_K_CONST)
      return false;
    if (fv_dtype_is_float((fv_dtype)in->dtype))
      out[i].f = in->imm.f;
    else
      out[i].i = in->imm.i;
  }
  return true;
}

fv_kv fv__kb_unsplat(fv_kb *kb, fv_kv v) {
  const fv_kinst in = *kb_at(kb, v);
  if (in.lanes == 1)
    return v;
  if (in.op == FV_K_SPLAT)
    return in.a;
  if (in.op != FV_K_CONST)
    return FV_K_NONE;
  fv_kinst one = in;
  one.lanes = 1;
  one.reserved2 = 0;
  return fv__kb_pure(kb, &one);
}

//===-- Identities ------------------------------------------------------------===//

// An operation to be simplified. x, y: integer constants among its operands.
typedef struct fold {
  fv_kb *kb;
  fv_scalar_op op;
  fv_dtype t;
  int lanes;
  fv_kv a, b, c;
  int64_t x, y;
  bool has_x, has_y;
} fold;

static const fv_kinst *op_of(const fold *f, fv_kv v, fv_scalar_op op) {
  const fv_kinst *in = kb_at(f->kb, v);
  return in->op == FV_K_OP && in->xop == op ? in : NULL;
}

static fv_kv int_const(fold *f, fv_dtype t, int64_t v) {
  return fv_kb_const_i(f->kb, t, f->lanes, v);
}

// (u + k) + y = u + (k + y); a ramp takes in what is added to it.
static fv_kv fold_add(fold *f) {
  fv_kb *kb = f->kb;
  if (f->has_x)
    return fv_kb_add(kb, f->b, f->a);
  if (f->has_y && f->y == 0)
    return f->a;
  int64_t k;
  const fv_kinst *inner = op_of(f, f->a, FV_X_ADD);
  if (f->has_y && inner && fv_kb_const_value(kb, inner->b, &k)) {
    const fv_kv u = inner->a;
    return fv_kb_add(kb, u, fv_kb_add(kb, inner->b, f->b));
  }
  const fv_kinst l = *kb_at(kb, f->a), r = *kb_at(kb, f->b);
  if (l.op == FV_K_RAMP && r.op == FV_K_RAMP)
    return fv_kb_ramp(kb, fv_kb_add(kb, l.a, r.a), (int64_t)((uint64_t)l.imm.i + (uint64_t)r.imm.i),
                      f->lanes);
  if (l.op != FV_K_RAMP && r.op != FV_K_RAMP)
    return FV_K_NONE;
  const fv_kinst *ramp = l.op == FV_K_RAMP ? &l : &r;
  const fv_kv same = fv__kb_unsplat(kb, l.op == FV_K_RAMP ? f->b : f->a);
  return same == FV_K_NONE ? same
                           : fv_kb_ramp(kb, fv_kb_add(kb, ramp->a, same), ramp->imm.i, f->lanes);
}

static fv_kv fold_sub(fold *f) {
  fv_kb *kb = f->kb;
  if (f->a == f->b)
    return int_const(f, f->t, 0);
  if (f->has_y)
    return fv_kb_add(kb, f->a, int_const(f, f->t, (int64_t)(0 - (uint64_t)f->y)));
  const fv_kinst l = *kb_at(kb, f->a);
  if (l.op == FV_K_RAMP) {
    const fv_kv same = fv__kb_unsplat(kb, f->b);
    if (same != FV_K_NONE)
      return fv_kb_ramp(kb, fv_kb_sub(kb, l.a, same), l.imm.i, f->lanes);
  }
  return FV_K_NONE;
}

static fv_kv fold_mul(fold *f) {
  fv_kb *kb = f->kb;
  if (f->has_x)
    return fv_kb_mul(kb, f->b, f->a);
  if (!f->has_y)
    return FV_K_NONE;
  if (f->y == 0)
    return f->b;
  if (f->y == 1)
    return f->a;
  int64_t k;
  const fv_kinst *inner = op_of(f, f->a, FV_X_MUL);
  if (inner && fv_kb_const_value(kb, inner->b, &k)) {
    const fv_kv u = inner->a;
    return fv_kb_mul(kb, u, fv_kb_mul(kb, inner->b, f->b));
  }
  const fv_kinst l = *kb_at(kb, f->a);
  if (l.op == FV_K_RAMP) {
    const uint64_t step = (uint64_t)l.imm.i * (uint64_t)f->y;
    return fv_kb_ramp(kb, fv_kb_mul(kb, l.a, fv_kb_i64(kb, f->y)), (int64_t)step, f->lanes);
  }
  return FV_K_NONE;
}

// Floored division by 2^s is a shift, the remainder a mask; both signs.
static fv_kv fold_divide(fold *f) {
  if (!f->has_y || f->y <= 0 || (f->y & (f->y - 1)) != 0)
    return FV_K_NONE;
  const int s = __builtin_ctzll((uint64_t)f->y);
  if (f->op == FV_X_MOD)
    return f->y == 1 ? int_const(f, f->t, 0)
                     : fv_kb_op(f->kb, FV_X_AND, f->a, int_const(f, f->t, f->y - 1), FV_K_NONE);
  if (f->y == 1)
    return f->a;
  return f->op == FV_X_DIV ? FV_K_NONE
                           : fv_kb_op(f->kb, FV_X_SHR, f->a, int_const(f, f->t, s), FV_K_NONE);
}

static fv_kv fold_bits(fold *f) {
  if (f->has_x)
    return fv_kb_op(f->kb, f->op, f->b, f->a, FV_K_NONE);
  if (f->a == f->b)
    return f->op == FV_X_XOR ? int_const(f, f->t, 0) : f->a;
  if (!f->has_y)
    return FV_K_NONE;
  const int64_t ones = f->t == FV_bool ? 1 : fv__k_wrap(f->t, -1);
  if (f->op == FV_X_AND)
    return f->y == 0 ? f->b : f->y == ones ? f->a : FV_K_NONE;
  if (f->y == 0)
    return f->a;
  if (f->y != ones)
    return FV_K_NONE;
  return f->op == FV_X_OR ? f->b : fv_kb_op(f->kb, FV_X_NOT, f->a, FV_K_NONE, FV_K_NONE);
}

static fv_kv fold_select(fold *f) {
  fv_kb *kb = f->kb;
  int64_t on;
  if (f->b == f->c)
    return f->b;
  if (fv_kb_const_value(kb, f->a, &on))
    return on ? f->b : f->c;
  const fv_kinst *inverse = op_of(f, f->a, FV_X_NOT);
  if (inverse) {
    const fv_kv cond = inverse->a;
    return fv_kb_op(kb, FV_X_SELECT, cond, f->c, f->b);
  }
  int64_t p, q;
  if (f->t == FV_bool && fv_kb_const_value(kb, f->b, &p) && fv_kb_const_value(kb, f->c, &q))
    return p ? f->a : fv_kb_op(kb, FV_X_NOT, f->a, FV_K_NONE, FV_K_NONE);
  return FV_K_NONE;
}

static fv_kv fold_int(fold *f) {
  const bool same = f->a == f->b;
  switch (f->op) {
  case FV_X_ADD: return fold_add(f);
  case FV_X_SUB: return fold_sub(f);
  case FV_X_MUL: return fold_mul(f);
  case FV_X_DIV:
  case FV_X_FLOORDIV:
  case FV_X_MOD: return fold_divide(f);
  case FV_X_AND:
  case FV_X_OR:
  case FV_X_XOR: return fold_bits(f);
  case FV_X_SHL:
  case FV_X_SHR: return f->has_y && f->y == 0 ? f->a : FV_K_NONE;
  case FV_X_MAX:
  case FV_X_MIN: return same ? f->a : FV_K_NONE;
  case FV_X_EQ:
  case FV_X_LE: return same ? int_const(f, FV_bool, 1) : FV_K_NONE;
  case FV_X_NE:
  case FV_X_LT: return same ? int_const(f, FV_bool, 0) : FV_K_NONE;
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: return f->a;
  case FV_X_IS_NAN: return int_const(f, FV_bool, 0);
  default: return FV_K_NONE;
  }
}

// Only what holds for NaN, infinities and signed zeros too.
static fv_kv fold_float(fold *f) {
  fv_kb *kb = f->kb;
  double k = 0;
  const bool by = fv__kb_const_f(kb, f->b, &k);
  switch (f->op) {
  case FV_X_ADD: return by && k == 0 && signbit(k) ? f->a : FV_K_NONE;
  case FV_X_SUB: return by && k == 0 && !signbit(k) ? f->a : FV_K_NONE;
  case FV_X_MUL:
  case FV_X_DIV: return by && k == 1 ? f->a : FV_K_NONE;
  case FV_X_MAD: return by && k == 1 ? fv_kb_add(kb, f->a, f->c) : FV_K_NONE;
  default: return FV_K_NONE;
  }
}

static fv_kv fold_not(fold *f) {
  const fv_kinst *inner = op_of(f, f->a, f->op);  // NOT NOT, NEG NEG
  return inner ? inner->a : FV_K_NONE;
}

static bool commutes(fv_scalar_op op) {
  return op == FV_X_ADD || op == FV_X_MUL || op == FV_X_AND || op == FV_X_OR || op == FV_X_XOR ||
         op == FV_X_EQ || op == FV_X_NE || op == FV_X_MAD;
}

// A simpler value equal to the primitive, or FV_K_NONE. Operands have equal
// lanes; t is their dtype (of the arms for SELECT).
static fv_kv fold_op(fv_kb *kb, fv_scalar_op op, fv_dtype t, int lanes, const fv_kv v[3]) {
  fv_scalar k[3] = {{0}, {0}, {0}};
  if (all_const(kb, v, k)) {
    const fv_dtype to = fv__k_result(op, t);
    return fv__kb_const(kb, to, lanes, fv__k_eval(op, t, to, k));
  }
  fold f = {.kb = kb, .op = op, .t = t, .lanes = lanes, .a = v[0], .b = v[1], .c = v[2]};
  f.has_x = fv_kb_const_value(kb, f.a, &f.x);
  f.has_y = fv_kb_const_value(kb, f.b, &f.y);
  if (op == FV_X_SELECT)
    return fold_select(&f);
  if (op == FV_X_NOT || op == FV_X_NEG)
    return fold_not(&f);
  if (!fv_dtype_is_float(t))
    return fold_int(&f);
  double x;
  if (commutes(op) && fv__kb_const_f(kb, f.a, &x) && !fv__kb_const_f(kb, f.b, &x))
    return fv_kb_op(kb, op, f.b, f.a, f.c);
  return fold_float(&f);
}

//===-- Primitives ----------------------------------------------------------===//

// An op on values that are the same in all lanes is done once.
static fv_kv uniform_op(fv_kb *kb, fv_scalar_op op, const fv_kv v[3], int n, int lanes) {
  fv_kv one[3] = {FV_K_NONE, FV_K_NONE, FV_K_NONE};
  for (int i = 0; i < n; i++)
    if ((one[i] = fv__kb_unsplat(kb, v[i])) == FV_K_NONE)
      return FV_K_NONE;
  return fv_kb_splat(kb, fv_kb_op(kb, op, one[0], one[1], one[2]), lanes);
}

// f16 and bf16 are storage types: they move, they do not compute.
static bool computes(fv_scalar_op op, fv_dtype t) {
  return op == FV_X_SELECT || fv_dtype_compute(t) == t;
}

fv_kv fv_kb_op(fv_kb *kb, fv_scalar_op op, fv_kv a, fv_kv b, fv_kv c) {
  FV_CHECK(kb->arena, op < FV_X_COUNT && op != FV_X_CAST && op != FV_X_BITCAST);
  fv_kv v[3] = {a, b, c};
  const int n = fv_scalar_arity(op);
  int lanes = 1;
  for (int i = 0; i < 3; i++) {
    FV_CHECK(kb->arena, i < n ? v[i] < kb->n : v[i] == FV_K_NONE);
    if (i < n && fv_kb_lanes(kb, v[i]) > lanes)
      lanes = fv_kb_lanes(kb, v[i]);
  }
  const int first = op == FV_X_SELECT;
  const fv_dtype t = fv_kb_dtype(kb, v[first]);
  FV_CHECK(kb->arena, first == 0 || fv_kb_dtype(kb, a) == FV_bool);
  for (int i = first + 1; i < n; i++)
    FV_CHECK(kb->arena, fv_kb_dtype(kb, v[i]) == t);
  FV_CHECK(kb->arena, computes(op, t));
  if (op == FV_X_MAD && !fv_dtype_is_float(t))
    return fv_kb_add(kb, fv_kb_mul(kb, a, b), c);
  if (lanes > 1) {
    const fv_kv r = uniform_op(kb, op, v, n, lanes);
    if (r != FV_K_NONE)
      return r;
    for (int i = 0; i < n; i++)
      v[i] = fv_kb_splat(kb, v[i], lanes);
  }
  const fv_kv r = fold_op(kb, op, t, lanes, v);
  if (r != FV_K_NONE)
    return r;
  if (commutes(op) && v[0] > v[1] && kb_at(kb, v[1])->op != FV_K_CONST) {
    const fv_kv first_made = v[1];
    v[1] = v[0];
    v[0] = first_made;
  }
  fv_kinst in = fv__kb_make(FV_K_OP, fv__k_result(op, t), lanes);
  in.xop = (uint8_t)op;
  in.a = v[0];
  in.b = v[1];
  in.c = v[2];
  return fv__kb_pure(kb, &in);
}

fv_kv fv_kb_add(fv_kb *kb, fv_kv a, fv_kv b) {
  return fv_kb_op(kb, FV_X_ADD, a, b, FV_K_NONE);
}
fv_kv fv_kb_sub(fv_kb *kb, fv_kv a, fv_kv b) {
  return fv_kb_op(kb, FV_X_SUB, a, b, FV_K_NONE);
}
fv_kv fv_kb_mul(fv_kb *kb, fv_kv a, fv_kv b) {
  return fv_kb_op(kb, FV_X_MUL, a, b, FV_K_NONE);
}
fv_kv fv_kb_mad(fv_kb *kb, fv_kv a, fv_kv b, fv_kv c) {
  return fv_kb_op(kb, FV_X_MAD, a, b, c);
}

//===-- Conversions and lanes -------------------------------------------------===//

static fv_kv convert(fv_kb *kb, fv_kop op, fv_dtype t, fv_kv a) {
  const fv_kinst src = *kb_at(kb, a);
  if (src.dtype == t)
    return a;
  if (src.op == FV_K_CONST) {
    const fv_scalar v[3] = {fv_dtype_is_float((fv_dtype)src.dtype) ? (fv_scalar){.f = src.imm.f}
                                                                   : (fv_scalar){.i = src.imm.i}};
    return fv__kb_const(
        kb, t, src.lanes,
        fv__k_eval(op == FV_K_CAST ? FV_X_CAST : FV_X_BITCAST, (fv_dtype)src.dtype, t, v));
  }
  if (src.op == FV_K_SPLAT)
    return fv_kb_splat(kb, convert(kb, op, t, src.a), src.lanes);
  // Widening a storage float is exact: there and back is the value itself.
  if (src.op == op && kb_at(kb, src.a)->dtype == t &&
      (op == FV_K_BITCAST || (src.dtype == FV_f32 && (t == FV_f16 || t == FV_bf16))))
    return src.a;
  fv_kinst in = fv__kb_make(op, t, src.lanes);
  in.a = a;
  return fv__kb_pure(kb, &in);
}

fv_kv fv_kb_cast(fv_kb *kb, fv_dtype t, fv_kv a) {
  FV_CHECK(kb->arena, a < kb->n);
  return convert(kb, FV_K_CAST, t, a);
}

fv_kv fv_kb_bitcast(fv_kb *kb, fv_dtype t, fv_kv a) {
  FV_CHECK(kb->arena, a < kb->n && fv_dtype_size(t) == fv_dtype_size(fv_kb_dtype(kb, a)));
  return convert(kb, FV_K_BITCAST, t, a);
}

fv_kv fv_kb_splat(fv_kb *kb, fv_kv a, int lanes) {
  FV_CHECK(kb->arena, a < kb->n && lanes >= 1);
  fv_kinst src = *kb_at(kb, a);
  if (src.lanes == lanes)
    return a;
  FV_CHECK(kb->arena, src.lanes == 1);
  if (src.op == FV_K_CONST) {
    src.lanes = (uint16_t)lanes;
    src.reserved2 = 0;
    return fv__kb_pure(kb, &src);
  }
  fv_kinst in = fv__kb_make(FV_K_SPLAT, (fv_dtype)src.dtype, lanes);
  in.a = a;
  return fv__kb_pure(kb, &in);
}

fv_kv fv_kb_ramp(fv_kb *kb, fv_kv a, int64_t step, int lanes) {
  FV_CHECK(kb->arena, fv_kb_dtype(kb, a) == FV_i64 && fv_kb_lanes(kb, a) == 1 && lanes >= 1);
  if (lanes == 1 || step == 0)
    return fv_kb_splat(kb, a, lanes);
  fv_kinst in = fv__kb_make(FV_K_RAMP, FV_i64, lanes);
  in.a = a;
  in.imm.i = step;
  return fv__kb_pure(kb, &in);
}

fv_kv fv_kb_reduce(fv_kb *kb, fv_scalar_op op, fv_kv a) {
  const int lanes = fv_kb_lanes(kb, a);
  FV_CHECK(kb->arena, (lanes & (lanes - 1)) == 0 && computes(op, fv_kb_dtype(kb, a)));
  if (lanes == 1)
    return a;
  const fv_kv one = fv__kb_unsplat(kb, a);
  if (one != FV_K_NONE && op != FV_X_ADD && op != FV_X_MUL)
    return one;
  fv_kinst in = fv__kb_make(FV_K_REDUCE, fv_kb_dtype(kb, a), 1);
  in.xop = (uint8_t)op;
  in.a = a;
  return fv__kb_pure(kb, &in);
}

fv_kv fv_kb_extract(fv_kb *kb, fv_kv a, int lane) {
  FV_CHECK(kb->arena, lane >= 0 && lane < fv_kb_lanes(kb, a));
  const fv_kv one = fv__kb_unsplat(kb, a);
  if (one != FV_K_NONE)
    return one;
  const fv_kinst src = *kb_at(kb, a);
  if (src.op == FV_K_RAMP)
    return fv_kb_add(kb, src.a, fv_kb_mul(kb, fv_kb_i64(kb, lane), fv_kb_i64(kb, src.imm.i)));
  fv_kinst in = fv__kb_make(FV_K_EXTRACT, (fv_dtype)src.dtype, 1);
  in.a = a;
  in.imm.i = lane;
  return fv__kb_pure(kb, &in);
}
