// SPDX-License-Identifier: Apache-2.0
// Types and constants of kernel IR as those of LLVM.
#include <string.h>

#include "llvm_backend.h"

//===-- Types and constants ---------------------------------------------===//

unsigned llvm_bits(fv_dtype t) {
  static const unsigned char bits[] = {
#define X(name, size, kind) kind == 'b' ? 1 : size * 8,
      FV_DTYPE_TABLE(X)
#undef X
  };
  return bits[t];
}

static char kind_of(fv_dtype t) {
  static const char kinds[] = {
#define X(name, size, kind) kind,
      FV_DTYPE_TABLE(X)
#undef X
  };
  return kinds[t];
}

bool llvm_is_float(fv_dtype t) {
  return kind_of(t) == 'f';
}

bool llvm_is_narrow_float(fv_dtype t) {
  return t == FV_f16 || t == FV_bf16;
}

bool llvm_is_unsigned(fv_dtype t) {
  return kind_of(t) == 'u';
}

static LLVMTypeRef vector_of(LLVMTypeRef t, unsigned lanes) {
  return lanes == 1 ? t : LLVMVectorType(t, lanes);
}

LLVMTypeRef llvm_int_type(llvm_gen *g, unsigned bits, unsigned lanes) {
  return vector_of(LLVMIntTypeInContext(g->cx, bits), lanes);
}

LLVMTypeRef llvm_type(llvm_gen *g, fv_dtype t, unsigned lanes) {
  if (t == FV_f32)
    return vector_of(LLVMFloatTypeInContext(g->cx), lanes);
  if (t == FV_f64)
    return vector_of(LLVMDoubleTypeInContext(g->cx), lanes);
  return llvm_int_type(g, llvm_bits(t), lanes);
}

LLVMValueRef llvm_splat(llvm_gen *g, LLVMValueRef scalar, unsigned lanes) {
  if (lanes == 1)
    return scalar;
  LLVMTypeRef i32 = LLVMInt32TypeInContext(g->cx);
  LLVMValueRef undef = LLVMGetPoison(LLVMVectorType(LLVMTypeOf(scalar), lanes));
  LLVMValueRef v = LLVMBuildInsertElement(g->b, undef, scalar, LLVMConstInt(i32, 0, 0), "");
  LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(i32, lanes));
  return LLVMBuildShuffleVector(g->b, v, undef, zeros, "");
}

LLVMValueRef llvm_int(llvm_gen *g, unsigned bits, unsigned lanes, int64_t v) {
  LLVMTypeRef t = LLVMIntTypeInContext(g->cx, bits);
  return llvm_splat(g, LLVMConstInt(t, (unsigned long long)v, 1), lanes);
}

LLVMValueRef llvm_real(llvm_gen *g, fv_dtype t, unsigned lanes, double v) {
  // Through the bits: ConstReal of an f32 NaN or an inexact double is not
  // obvious, a bit pattern is.
  union {
    float f;
    double d;
    uint32_t u32;
    uint64_t u64;
  } bits;
  if (t == FV_f64) {
    bits.d = v;
    LLVMValueRef i = LLVMConstInt(LLVMInt64TypeInContext(g->cx), bits.u64, 0);
    return llvm_splat(g, LLVMConstBitCast(i, llvm_type(g, t, 1)), lanes);
  }
  bits.f = (float)v;
  LLVMValueRef i = LLVMConstInt(LLVMInt32TypeInContext(g->cx), bits.u32, 0);
  return llvm_splat(g, LLVMConstBitCast(i, llvm_type(g, FV_f32, 1)), lanes);
}

LLVMValueRef llvm_ramp(llvm_gen *g, unsigned bits, unsigned lanes, int64_t step) {
  LLVMTypeRef t = LLVMIntTypeInContext(g->cx, bits);
  if (lanes == 1)
    return LLVMConstInt(t, 0, 0);
  LLVMValueRef v = LLVMConstNull(LLVMVectorType(t, lanes));
  for (unsigned i = 0; i < lanes; i++) {
    LLVMValueRef at = LLVMConstInt(LLVMInt32TypeInContext(g->cx), i, 0);
    const uint64_t n = (uint64_t)i * (uint64_t)step;
    v = LLVMBuildInsertElement(g->b, v, LLVMConstInt(t, n, 0), at, "");  // folds
  }
  return v;
}

LLVMValueRef llvm_call(llvm_gen *g, const char *name, LLVMTypeRef *types, unsigned n_types,
                       LLVMValueRef *args, unsigned n_args) {
  const unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMTypeRef ft = LLVMIntrinsicGetType(g->cx, id, types, n_types);
  LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->module, id, types, n_types);
  return LLVMBuildCall2(g->b, ft, f, args, n_args, "");
}
