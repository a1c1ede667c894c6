// SPDX-License-Identifier: Apache-2.0
// Casts: saturating, NaN to 0, rounded once, and without library calls.
#include "llvm_backend.h"

static LLVMTypeRef f32_type(llvm_gen *g, unsigned lanes) {
  return llvm_type(g, FV_f32, lanes);
}

static LLVMValueRef as_i32(llvm_gen *g, LLVMValueRef f32, unsigned lanes) {
  return LLVMBuildBitCast(g->b, f32, llvm_int_type(g, 32, lanes), "");
}

static LLVMValueRef as_f32(llvm_gen *g, LLVMValueRef i32, unsigned lanes) {
  return LLVMBuildBitCast(g->b, i32, f32_type(g, lanes), "");
}

static LLVMValueRef narrow_to_i16(llvm_gen *g, LLVMValueRef i32, unsigned lanes) {
  return LLVMBuildTrunc(g->b, i32, llvm_int_type(g, 16, lanes), "");
}

static LLVMTypeRef half_type(llvm_gen *g, unsigned lanes) {
  LLVMTypeRef t = LLVMHalfTypeInContext(g->cx);
  return lanes == 1 ? t : LLVMVectorType(t, lanes);
}

// Without F16C, fpext and fptrunc of half call functions that libc lacks, so
// the conversions are done on the bits.
static LLVMValueRef f16_to_f32_bits(llvm_gen *g, LLVMValueRef h16, unsigned lanes) {
#define K(v) llvm_int(g, 32, lanes, (v))
  LLVMValueRef h = LLVMBuildZExt(g->b, h16, llvm_int_type(g, 32, lanes), "");
  LLVMValueRef sign = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, h, K(0x8000), ""), K(16), "");
  LLVMValueRef o = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, h, K(0x7fff), ""), K(13), "");
  LLVMValueRef exponent = LLVMBuildAnd(g->b, o, K(0x0f800000), "");
  LLVMValueRef normal = LLVMBuildAdd(g->b, o, K((127 - 15) << 23), "");
  LLVMValueRef special = LLVMBuildAdd(g->b, o, K((255 - 31) << 23), "");
  // Subnormal: give it the exponent of 2^-14 and subtract the implied one.
  LLVMValueRef shifted = as_f32(g, LLVMBuildAdd(g->b, o, K((128 - 15) << 23), ""), lanes);
  LLVMValueRef one = as_f32(g, K(113 << 23), lanes);
  LLVMValueRef sub = as_i32(g, LLVMBuildFSub(g->b, shifted, one, ""), lanes);
  LLVMValueRef is_special = LLVMBuildICmp(g->b, LLVMIntEQ, exponent, K(0x0f800000), "");
  LLVMValueRef is_sub = LLVMBuildICmp(g->b, LLVMIntEQ, exponent, K(0), "");
  o = LLVMBuildSelect(g->b, is_special, special, normal, "");
  o = LLVMBuildSelect(g->b, is_sub, sub, o, "");
  return as_f32(g, LLVMBuildOr(g->b, o, sign, ""), lanes);
}

static LLVMValueRef f32_to_f16_bits(llvm_gen *g, LLVMValueRef f, unsigned lanes) {
  LLVMValueRef u = as_i32(g, f, lanes);
  LLVMValueRef sign = LLVMBuildAnd(g->b, u, K(INT64_C(0x80000000)), "");
  u = LLVMBuildXor(g->b, u, sign, "");
  LLVMValueRef nan = LLVMBuildICmp(g->b, LLVMIntUGT, u, K(255 << 23), "");
  LLVMValueRef special = LLVMBuildSelect(g->b, nan, K(0x7e00), K(0x7c00), "");
  // Subnormal results: an addition puts the bits in place, rounded to even.
  LLVMValueRef magic = as_f32(g, K(((127 - 15) + (23 - 10) + 1) << 23), lanes);
  LLVMValueRef sub = as_i32(g, LLVMBuildFAdd(g->b, as_f32(g, u, lanes), magic, ""), lanes);
  sub = LLVMBuildSub(g->b, sub, as_i32(g, magic, lanes), "");
  LLVMValueRef odd = LLVMBuildAnd(g->b, LLVMBuildLShr(g->b, u, K(13), ""), K(1), "");
  LLVMValueRef normal = LLVMBuildAdd(g->b, u, K(-((127 - 15) << 23) + 0xfff), "");
  normal = LLVMBuildLShr(g->b, LLVMBuildAdd(g->b, normal, odd, ""), K(13), "");
  LLVMValueRef is_special = LLVMBuildICmp(g->b, LLVMIntUGE, u, K((127 + 16) << 23), "");
  LLVMValueRef is_sub = LLVMBuildICmp(g->b, LLVMIntULT, u, K(113 << 23), "");
  LLVMValueRef o = LLVMBuildSelect(g->b, is_sub, sub, normal, "");
  o = LLVMBuildSelect(g->b, is_special, special, o, "");
  o = LLVMBuildOr(g->b, o, LLVMBuildLShr(g->b, sign, K(16), ""), "");
  return narrow_to_i16(g, o, lanes);
}

static LLVMValueRef f32_to_bf16(llvm_gen *g, LLVMValueRef f, unsigned lanes) {
  LLVMValueRef u = as_i32(g, f, lanes);
  LLVMValueRef high = LLVMBuildLShr(g->b, u, K(16), "");
  LLVMValueRef bias = LLVMBuildAdd(g->b, LLVMBuildAnd(g->b, high, K(1), ""), K(0x7fff), "");
  LLVMValueRef rounded = LLVMBuildLShr(g->b, LLVMBuildAdd(g->b, u, bias, ""), K(16), "");
  LLVMValueRef nan = LLVMBuildFCmp(g->b, LLVMRealUNO, f, f, "");
  LLVMValueRef quiet = LLVMBuildOr(g->b, high, K(0x40), "");  // a NaN stays one
  return narrow_to_i16(g, LLVMBuildSelect(g->b, nan, quiet, rounded, ""), lanes);
}

// f64 -> f32 rounded to odd: a second rounding to a narrower type then gives
// what one rounding would have given.
static LLVMValueRef f64_to_f32_odd(llvm_gen *g, LLVMValueRef x, unsigned lanes) {
  LLVMTypeRef f64 = llvm_type(g, FV_f64, lanes), i32 = llvm_int_type(g, 32, lanes);
  LLVMValueRef y = LLVMBuildFPTrunc(g->b, x, f32_type(g, lanes), "");
  LLVMValueRef back = LLVMBuildFPExt(g->b, y, f64, "");
  LLVMValueRef abs_x = llvm_call(g, "llvm.fabs", &f64, 1, &x, 1);
  LLVMValueRef abs_back = llvm_call(g, "llvm.fabs", &f64, 1, &back, 1);
  LLVMValueRef inexact = LLVMBuildFCmp(g->b, LLVMRealONE, back, x, "");
  LLVMValueRef away = LLVMBuildFCmp(g->b, LLVMRealOGT, abs_back, abs_x, "");
  LLVMValueRef bits = as_i32(g, y, lanes);
  bits = LLVMBuildSub(g->b, bits, LLVMBuildZExt(g->b, away, i32, ""), "");
  bits = LLVMBuildOr(g->b, bits, LLVMBuildZExt(g->b, inexact, i32, ""), "");
  return as_f32(g, bits, lanes);
}

// f16 or bf16 (held as i16) to f32.
static LLVMValueRef widen(llvm_gen *g, fv_dtype from, LLVMValueRef v, unsigned lanes) {
  if (from == FV_bf16) {
    LLVMValueRef u = LLVMBuildZExt(g->b, v, llvm_int_type(g, 32, lanes), "");
    return as_f32(g, LLVMBuildShl(g->b, u, K(16), ""), lanes);
  }
  if (!g->isa->f16c)
    return f16_to_f32_bits(g, v, lanes);
  LLVMValueRef h = LLVMBuildBitCast(g->b, v, half_type(g, lanes), "");
  return LLVMBuildFPExt(g->b, h, f32_type(g, lanes), "");
}
#undef K

static LLVMValueRef narrow(llvm_gen *g, fv_dtype to, LLVMValueRef f32, unsigned lanes) {
  if (to == FV_bf16)
    return f32_to_bf16(g, f32, lanes);
  if (!g->isa->f16c)
    return f32_to_f16_bits(g, f32, lanes);
  LLVMValueRef h = LLVMBuildFPTrunc(g->b, f32, half_type(g, lanes), "");
  return LLVMBuildBitCast(g->b, h, llvm_int_type(g, 16, lanes), "");
}

static LLVMValueRef float_to_float(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes,
                                   LLVMValueRef v) {
  if (llvm_is_narrow_float(from)) {
    v = widen(g, from, v, lanes);
    from = FV_f32;
  }
  if (to == from)
    return v;
  if (llvm_is_narrow_float(to))
    return narrow(g, to, from == FV_f64 ? f64_to_f32_odd(g, v, lanes) : v, lanes);
  return to == FV_f64 ? LLVMBuildFPExt(g->b, v, llvm_type(g, to, lanes), "")
                      : LLVMBuildFPTrunc(g->b, v, llvm_type(g, to, lanes), "");
}

static LLVMValueRef float_to_int(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes,
                                 LLVMValueRef v) {
  if (llvm_is_narrow_float(from)) {
    v = widen(g, from, v, lanes);
    from = FV_f32;
  }
  if (to == FV_bool)
    return LLVMBuildFCmp(g->b, LLVMRealUNE, v, llvm_real(g, from, lanes, 0), "");
  LLVMTypeRef types[2] = {llvm_type(g, to, lanes), llvm_type(g, from, lanes)};
  return llvm_call(g, llvm_is_unsigned(to) ? "llvm.fptoui.sat" : "llvm.fptosi.sat", types, 2, &v,
                   1);
}

// An i64 that f64 holds exactly and that rounds to the same bf16: what lies
// below the significand becomes one sticky bit.
static LLVMValueRef i64_to_53_bits_odd(llvm_gen *g, LLVMValueRef v, unsigned lanes) {
  LLVMValueRef low = LLVMBuildAnd(g->b, v, llvm_int(g, 64, lanes, 0x7ff), "");
  LLVMValueRef zero = llvm_int(g, 64, lanes, 0);
  LLVMValueRef inexact = LLVMBuildICmp(g->b, LLVMIntNE, low, zero, "");
  LLVMValueRef sticky = LLVMBuildSelect(g->b, inexact, llvm_int(g, 64, lanes, 0x400), zero, "");
  sticky = LLVMBuildOr(g->b, LLVMBuildXor(g->b, v, low, ""), sticky, "");
  LLVMValueRef shifted = LLVMBuildAdd(g->b, v, llvm_int(g, 64, lanes, INT64_C(1) << 53), "");
  LLVMValueRef exact =
      LLVMBuildICmp(g->b, LLVMIntULE, shifted, llvm_int(g, 64, lanes, INT64_C(1) << 54), "");
  return LLVMBuildSelect(g->b, exact, v, sticky, "");
}

static LLVMValueRef int_to_float(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes,
                                 LLVMValueRef v) {
  // Narrow floats pass through a type that holds the integer exactly.
  fv_dtype via = to;
  if (to == FV_bf16 && from == FV_i64)
    v = i64_to_53_bits_odd(g, v, lanes);
  if (llvm_is_narrow_float(to))
    via = llvm_bits(from) <= 16 ? FV_f32 : FV_f64;
  LLVMTypeRef t = llvm_type(g, via, lanes);
  v = from == FV_bool || llvm_is_unsigned(from) ? LLVMBuildUIToFP(g->b, v, t, "")
                                                : LLVMBuildSIToFP(g->b, v, t, "");
  return via == to ? v : float_to_float(g, to, via, lanes, v);
}

// Largest and smallest value of an integer type.
static int64_t int_max(fv_dtype t) {
  const unsigned bits = llvm_bits(t) - !llvm_is_unsigned(t);
  return (int64_t)((UINT64_C(1) << bits) - 1);
}

static int64_t int_min(fv_dtype t) {
  return llvm_is_unsigned(t) ? 0 : -int_max(t) - 1;
}

static LLVMValueRef int_to_int(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes,
                               LLVMValueRef v) {
  const unsigned bits = llvm_bits(from);
  if (to == FV_bool)
    return LLVMBuildICmp(g->b, LLVMIntNE, v, llvm_int(g, bits, lanes, 0), "");
  LLVMTypeRef ft = llvm_type(g, from, lanes), tt = llvm_type(g, to, lanes);
  if (from == FV_bool)
    return LLVMBuildZExt(g->b, v, tt, "");
  const bool is_unsigned = llvm_is_unsigned(from);
  if (int_max(from) > int_max(to)) {
    LLVMValueRef args[2] = {v, llvm_int(g, bits, lanes, int_max(to))};
    v = llvm_call(g, is_unsigned ? "llvm.umin" : "llvm.smin", &ft, 1, args, 2);
  }
  if (int_min(from) < int_min(to)) {
    LLVMValueRef args[2] = {v, llvm_int(g, bits, lanes, int_min(to))};
    v = llvm_call(g, "llvm.smax", &ft, 1, args, 2);
  }
  if (llvm_bits(to) < bits)
    return LLVMBuildTrunc(g->b, v, tt, "");
  if (llvm_bits(to) == bits)
    return v;
  return is_unsigned ? LLVMBuildZExt(g->b, v, tt, "") : LLVMBuildSExt(g->b, v, tt, "");
}

LLVMValueRef llvm_cast(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes, LLVMValueRef v) {
  if (to == from)
    return v;
  if (llvm_is_float(from))
    return llvm_is_float(to) ? float_to_float(g, to, from, lanes, v)
                             : float_to_int(g, to, from, lanes, v);
  return llvm_is_float(to) ? int_to_float(g, to, from, lanes, v)
                           : int_to_int(g, to, from, lanes, v);
}

LLVMValueRef llvm_bitcast(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes, LLVMValueRef v) {
  if (to == from)
    return v;
  if (from == FV_bool)
    v = LLVMBuildZExt(g->b, v, llvm_int_type(g, 8, lanes), "");
  if (to == FV_bool)
    return LLVMBuildICmp(g->b, LLVMIntNE, v, llvm_int(g, 8, lanes, 0), "");
  return LLVMBuildBitCast(g->b, v, llvm_type(g, to, lanes), "");
}
