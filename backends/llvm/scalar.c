// SPDX-License-Identifier: Apache-2.0
// The scalar primitives (fovea/scalar.h) in LLVM IR. No fast-math flags, no
// instruction that ends in a call of libm, no undefined behaviour.
#include "llvm_backend.h"

//===-- Floats ----------------------------------------------------------===//

// b if it is NaN, else a unless b is the better one: NaN in either operand comes
// through. One unordered compare for both reasons to take a, since LLVM 19 combines
// "|x| is NaN, else |x| > 0" to "x > 0 or NaN", which loses the sign.
static LLVMValueRef float_extreme(llvm_gen *g, bool max, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef better = LLVMBuildFCmp(g->b, max ? LLVMRealUGT : LLVMRealULT, a, b, "");
  LLVMValueRef m = LLVMBuildSelect(g->b, better, a, b, "");
  return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, b, b, ""), b, m, "");
}

static LLVMValueRef copysign_of(llvm_gen *g, LLVMTypeRef t, LLVMValueRef magnitude,
                                LLVMValueRef sign) {
  LLVMValueRef args[2] = {magnitude, sign};
  return llvm_call(g, "llvm.copysign", &t, 1, args, 2);
}

// Half to even by adding and subtracting 2^(mantissa bits): for instruction
// sets that have no rounding instruction, where the intrinsic calls libm.
static LLVMValueRef round_by_magic(llvm_gen *g, fv_dtype dt, unsigned lanes, LLVMValueRef x) {
  LLVMTypeRef t = llvm_type(g, dt, lanes);
  LLVMValueRef magic = llvm_real(g, dt, lanes, dt == FV_f64 ? 0x1p52 : 0x1p23);
  LLVMValueRef a = llvm_call(g, "llvm.fabs", &t, 1, &x, 1);
  LLVMValueRef r = LLVMBuildFSub(g->b, LLVMBuildFAdd(g->b, a, magic, ""), magic, "");
  r = copysign_of(g, t, r, x);
  LLVMValueRef small = LLVMBuildFCmp(g->b, LLVMRealOLT, a, magic, "");
  return LLVMBuildSelect(g->b, small, r, x, "");
}

static LLVMValueRef rounding(llvm_gen *g, fv_scalar_op op, fv_dtype dt, unsigned lanes,
                             LLVMValueRef x) {
  LLVMTypeRef t = llvm_type(g, dt, lanes);
  if (g->isa->round)
    return llvm_call(g,
                     op == FV_X_FLOOR  ? "llvm.floor"
                     : op == FV_X_CEIL ? "llvm.ceil"
                                       : "llvm.roundeven",
                     &t, 1, &x, 1);
  LLVMValueRef r = round_by_magic(g, dt, lanes, x);
  if (op == FV_X_ROUND)
    return r;
  const bool floor = op == FV_X_FLOOR;
  LLVMValueRef past = LLVMBuildFCmp(g->b, floor ? LLVMRealOGT : LLVMRealOLT, r, x, "");
  LLVMValueRef moved = LLVMBuildFAdd(g->b, r, llvm_real(g, dt, lanes, floor ? -1 : 1), "");
  // Zero keeps the sign of x, as the instruction would have it.
  return copysign_of(g, t, LLVMBuildSelect(g->b, past, moved, r, ""), x);
}

static LLVMValueRef float_op(llvm_gen *g, fv_scalar_op op, fv_dtype dt, unsigned lanes,
                             LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef t = llvm_type(g, dt, lanes);
  LLVMValueRef abc[3] = {a, b, c};
  switch (op) {
  case FV_X_NEG: return LLVMBuildFNeg(g->b, a, "");
  case FV_X_ABS: return llvm_call(g, "llvm.fabs", &t, 1, &a, 1);
  case FV_X_SQRT: return llvm_call(g, "llvm.sqrt", &t, 1, &a, 1);
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: return rounding(g, op, dt, lanes, a);
  case FV_X_IS_NAN: return LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, "");
  case FV_X_ADD: return LLVMBuildFAdd(g->b, a, b, "");
  case FV_X_SUB: return LLVMBuildFSub(g->b, a, b, "");
  case FV_X_MUL: return LLVMBuildFMul(g->b, a, b, "");
  case FV_X_DIV: return LLVMBuildFDiv(g->b, a, b, "");
  case FV_X_FLOORDIV: return rounding(g, FV_X_FLOOR, dt, lanes, LLVMBuildFDiv(g->b, a, b, ""));
  case FV_X_MAX: return float_extreme(g, true, a, b);
  case FV_X_MIN: return float_extreme(g, false, a, b);
  case FV_X_EQ: return LLVMBuildFCmp(g->b, LLVMRealOEQ, a, b, "");
  case FV_X_NE: return LLVMBuildFCmp(g->b, LLVMRealUNE, a, b, "");
  case FV_X_LT: return LLVMBuildFCmp(g->b, LLVMRealOLT, a, b, "");
  case FV_X_LE: return LLVMBuildFCmp(g->b, LLVMRealOLE, a, b, "");
  case FV_X_MAD:
    return g->isa->fma ? llvm_call(g, "llvm.fma", &t, 1, abc, 3)
                       : LLVMBuildFAdd(g->b, LLVMBuildFMul(g->b, a, b, ""), c, "");
  default: return NULL;
  }
}

//===-- Integers --------------------------------------------------------===//

// Quotient and remainder without traps: x / 0 = 0, x mod 0 = 0, MIN / -1 = MIN.
static LLVMValueRef int_division(llvm_gen *g, fv_scalar_op op, fv_dtype dt, unsigned lanes,
                                 LLVMValueRef a, LLVMValueRef b) {
  const unsigned bits = llvm_bits(dt);
  const bool is_unsigned = llvm_is_unsigned(dt);
  LLVMValueRef zero = llvm_int(g, bits, lanes, 0), one = llvm_int(g, bits, lanes, 1);
  LLVMValueRef minus_one = llvm_int(g, bits, lanes, -1);
  LLVMValueRef by_zero = LLVMBuildICmp(g->b, LLVMIntEQ, b, zero, "");
  LLVMValueRef unsafe = by_zero;
  if (!is_unsigned) {
    LLVMValueRef min =
        llvm_int(g, bits, lanes, (int64_t)(UINT64_C(0xffffffffffffffff) << (bits - 1)));
    LLVMValueRef wraps = LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, a, min, ""),
                                      LLVMBuildICmp(g->b, LLVMIntEQ, b, minus_one, ""), "");
    unsafe = LLVMBuildOr(g->b, by_zero, wraps, "");
  }
  LLVMValueRef d = LLVMBuildSelect(g->b, unsafe, one, b, "");
  LLVMValueRef q = is_unsigned ? LLVMBuildUDiv(g->b, a, d, "") : LLVMBuildSDiv(g->b, a, d, "");
  LLVMValueRef r = LLVMBuildSub(g->b, a, LLVMBuildMul(g->b, q, d, ""), "");
  if (op != FV_X_DIV && !is_unsigned) {
    // Rounded to 0; to minus infinity one step more when the signs differ.
    LLVMValueRef signs = LLVMBuildXor(g->b, r, d, "");
    LLVMValueRef step = LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntNE, r, zero, ""),
                                     LLVMBuildICmp(g->b, LLVMIntSLT, signs, zero, ""), "");
    q = LLVMBuildAdd(g->b, q, LLVMBuildSelect(g->b, step, minus_one, zero, ""), "");
    r = LLVMBuildAdd(g->b, r, LLVMBuildSelect(g->b, step, d, zero, ""), "");
  }
  return LLVMBuildSelect(g->b, by_zero, zero, op == FV_X_MOD ? r : q, "");
}

static LLVMValueRef int_shift(llvm_gen *g, bool left, fv_dtype dt, unsigned lanes, LLVMValueRef a,
                              LLVMValueRef b) {
  const unsigned bits = llvm_bits(dt);
  b = LLVMBuildAnd(g->b, b, llvm_int(g, bits, lanes, (int64_t)bits - 1), "");
  if (left)
    return LLVMBuildShl(g->b, a, b, "");
  return llvm_is_unsigned(dt) ? LLVMBuildLShr(g->b, a, b, "") : LLVMBuildAShr(g->b, a, b, "");
}

static LLVMValueRef int_extreme(llvm_gen *g, bool max, fv_dtype dt, unsigned lanes, LLVMValueRef a,
                                LLVMValueRef b) {
  LLVMTypeRef t = llvm_type(g, dt, lanes);
  LLVMValueRef args[2] = {a, b};
  const char *name =
      llvm_is_unsigned(dt) ? (max ? "llvm.umax" : "llvm.umin") : (max ? "llvm.smax" : "llvm.smin");
  return llvm_call(g, name, &t, 1, args, 2);
}

static LLVMValueRef int_op(llvm_gen *g, fv_scalar_op op, fv_dtype dt, unsigned lanes,
                           LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef t = llvm_type(g, dt, lanes);
  const bool u = llvm_is_unsigned(dt);
  switch (op) {
  case FV_X_NEG: return LLVMBuildNeg(g->b, a, "");
  case FV_X_ABS: {
    LLVMValueRef args[2] = {a, LLVMConstInt(LLVMInt1TypeInContext(g->cx), 0, 0)};
    return u ? a : llvm_call(g, "llvm.abs", &t, 1, args, 2);
  }
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: return a;
  case FV_X_IS_NAN: return LLVMConstNull(llvm_type(g, FV_bool, lanes));
  case FV_X_NOT: return LLVMBuildNot(g->b, a, "");
  case FV_X_ADD: return LLVMBuildAdd(g->b, a, b, "");
  case FV_X_SUB: return LLVMBuildSub(g->b, a, b, "");
  case FV_X_MUL: return LLVMBuildMul(g->b, a, b, "");
  case FV_X_MAD: return LLVMBuildAdd(g->b, LLVMBuildMul(g->b, a, b, ""), c, "");
  case FV_X_DIV:
  case FV_X_FLOORDIV:
  case FV_X_MOD: return int_division(g, op, dt, lanes, a, b);
  case FV_X_MAX: return int_extreme(g, true, dt, lanes, a, b);
  case FV_X_MIN: return int_extreme(g, false, dt, lanes, a, b);
  case FV_X_AND: return LLVMBuildAnd(g->b, a, b, "");
  case FV_X_OR: return LLVMBuildOr(g->b, a, b, "");
  case FV_X_XOR: return LLVMBuildXor(g->b, a, b, "");
  case FV_X_SHL: return int_shift(g, true, dt, lanes, a, b);
  case FV_X_SHR: return int_shift(g, false, dt, lanes, a, b);
  case FV_X_EQ: return LLVMBuildICmp(g->b, LLVMIntEQ, a, b, "");
  case FV_X_NE: return LLVMBuildICmp(g->b, LLVMIntNE, a, b, "");
  case FV_X_LT: return LLVMBuildICmp(g->b, u ? LLVMIntULT : LLVMIntSLT, a, b, "");
  case FV_X_LE: return LLVMBuildICmp(g->b, u ? LLVMIntULE : LLVMIntSLE, a, b, "");
  default: return NULL;
  }
}

// bool: arithmetic is that of 0 and 1 with "not 0" as the result.
static LLVMValueRef bool_op(llvm_gen *g, fv_scalar_op op, unsigned lanes, LLVMValueRef a,
                            LLVMValueRef b, LLVMValueRef c) {
  switch (op) {
  case FV_X_NEG:
  case FV_X_ABS:
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND:
  case FV_X_SHL: return a;
  case FV_X_SHR: return LLVMBuildAnd(g->b, a, LLVMBuildNot(g->b, b, ""), "");
  case FV_X_MAD: return LLVMBuildOr(g->b, LLVMBuildAnd(g->b, a, b, ""), c, "");
  case FV_X_NOT: return LLVMBuildNot(g->b, a, "");
  case FV_X_ADD:
  case FV_X_MAX:
  case FV_X_OR: return LLVMBuildOr(g->b, a, b, "");
  case FV_X_MUL:
  case FV_X_DIV:
  case FV_X_FLOORDIV:
  case FV_X_MIN:
  case FV_X_AND: return LLVMBuildAnd(g->b, a, b, "");
  case FV_X_SUB:
  case FV_X_XOR:
  case FV_X_NE: return LLVMBuildXor(g->b, a, b, "");
  case FV_X_EQ: return LLVMBuildNot(g->b, LLVMBuildXor(g->b, a, b, ""), "");
  case FV_X_LT: return LLVMBuildAnd(g->b, LLVMBuildNot(g->b, a, ""), b, "");
  case FV_X_LE: return LLVMBuildOr(g->b, LLVMBuildNot(g->b, a, ""), b, "");
  case FV_X_MOD:
  case FV_X_IS_NAN: return LLVMConstNull(llvm_type(g, FV_bool, lanes));
  default: return NULL;
  }
}

//===-- Dispatch --------------------------------------------------------===//

static bool gives_bool(fv_scalar_op op) {
  return op == FV_X_EQ || op == FV_X_NE || op == FV_X_LT || op == FV_X_LE || op == FV_X_IS_NAN;
}

LLVMValueRef llvm_op(llvm_gen *g, fv_scalar_op op, fv_dtype t, unsigned lanes, LLVMValueRef a,
                     LLVMValueRef b, LLVMValueRef c) {
  LLVMValueRef v = NULL;
  if (op == FV_X_SELECT)
    return LLVMBuildSelect(g->b, a, b, c, "");
  if (llvm_is_narrow_float(t)) {
    a = llvm_cast(g, FV_f32, t, lanes, a);
    b = b ? llvm_cast(g, FV_f32, t, lanes, b) : NULL;
    c = c ? llvm_cast(g, FV_f32, t, lanes, c) : NULL;
    v = float_op(g, op, FV_f32, lanes, a, b, c);
    if (v && !gives_bool(op))
      v = llvm_cast(g, t, FV_f32, lanes, v);
  } else if (llvm_is_float(t)) {
    v = float_op(g, op, t, lanes, a, b, c);
  } else if (t == FV_bool) {
    v = bool_op(g, op, lanes, a, b, c);
  } else {
    v = int_op(g, op, t, lanes, a, b, c);
  }
  if (!v) {
    static const char *const names[] = {
#define X(id, name, arity, types) name,
        FV_SCALAR_TABLE(X)
#undef X
    };
    if (!g->unsupported)
      g->unsupported = names[op];
    return a;
  }
  return v;
}
