// SPDX-License-Identifier: Apache-2.0
// Loads and stores. bool is a byte in memory (not 0 = true) and i1 as a value.
#include "llvm_backend.h"

static unsigned element_bytes(fv_dtype t) {
  return t == FV_bool ? 1 : llvm_bits(t) / 8;
}

// The type in memory.
static LLVMTypeRef memory_type(llvm_gen *g, fv_dtype t, unsigned lanes) {
  return t == FV_bool ? llvm_int_type(g, 8, lanes) : llvm_type(g, t, lanes);
}

static LLVMValueRef from_memory(llvm_gen *g, fv_dtype t, unsigned lanes, LLVMValueRef v) {
  return t == FV_bool ? LLVMBuildICmp(g->b, LLVMIntNE, v, llvm_int(g, 8, lanes, 0), "") : v;
}

static LLVMValueRef to_memory(llvm_gen *g, fv_dtype t, unsigned lanes, LLVMValueRef v) {
  return t == FV_bool ? LLVMBuildZExt(g->b, v, llvm_int_type(g, 8, lanes), "") : v;
}

static LLVMValueRef address(llvm_gen *g, const fv_kinst *in, fv_dtype t) {
  LLVMTypeRef element = memory_type(g, t, 1);
  return LLVMBuildGEP2(g->b, element, g->buffer[in->buf], &g->value[in->a], 1, "");
}

static LLVMValueRef alignment(llvm_gen *g, fv_dtype t) {
  return LLVMConstInt(LLVMInt32TypeInContext(g->cx), element_bytes(t), 0);
}

// lane < count, compared at the width of the elements, so that the mask is one
// compare of one vector.
static LLVMValueRef count_mask(llvm_gen *g, fv_dtype t, unsigned lanes, LLVMValueRef count) {
  LLVMTypeRef i64 = LLVMInt64TypeInContext(g->cx);
  unsigned bits = element_bytes(t) * 8;
  if (bits == 8 && lanes > 127)
    bits = 16;
  LLVMValueRef low[2] = {count, llvm_int(g, 64, 1, 0)};
  count = llvm_call(g, "llvm.smax", &i64, 1, low, 2);
  LLVMValueRef high[2] = {count, llvm_int(g, 64, 1, lanes)};
  count = llvm_call(g, "llvm.smin", &i64, 1, high, 2);
  if (bits < 64)
    count = LLVMBuildTrunc(g->b, count, llvm_int_type(g, bits, 1), "");
  return LLVMBuildICmp(g->b, LLVMIntULT, llvm_ramp(g, bits, lanes, 1), llvm_splat(g, count, lanes),
                       "");
}

static LLVMBasicBlockRef new_block(llvm_gen *g) {
  return LLVMAppendBasicBlockInContext(g->cx, g->fn, "");
}

// One element if `cond`, else 0: a branch, since memory behind it may not exist.
static LLVMValueRef load_if(llvm_gen *g, LLVMTypeRef type, LLVMValueRef p, fv_dtype t,
                            LLVMValueRef cond) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b), yes = new_block(g), done = new_block(g);
  LLVMBuildCondBr(g->b, cond, yes, done);
  LLVMPositionBuilderAtEnd(g->b, yes);
  LLVMValueRef v = LLVMBuildLoad2(g->b, type, p, "");
  LLVMSetAlignment(v, element_bytes(t));
  LLVMBuildBr(g->b, done);
  LLVMPositionBuilderAtEnd(g->b, done);
  LLVMValueRef phi = LLVMBuildPhi(g->b, type, ""), zero = LLVMConstNull(type);
  LLVMAddIncoming(phi, &v, &yes, 1);
  LLVMAddIncoming(phi, &zero, &from, 1);
  return phi;
}

static void store_if(llvm_gen *g, LLVMValueRef v, LLVMValueRef p, fv_dtype t, LLVMValueRef cond) {
  LLVMBasicBlockRef yes = new_block(g), done = new_block(g);
  LLVMBuildCondBr(g->b, cond, yes, done);
  LLVMPositionBuilderAtEnd(g->b, yes);
  LLVMSetAlignment(LLVMBuildStore(g->b, v, p), element_bytes(t));
  LLVMBuildBr(g->b, done);
  LLVMPositionBuilderAtEnd(g->b, done);
}

static LLVMValueRef positive(llvm_gen *g, LLVMValueRef count) {
  return LLVMBuildICmp(g->b, LLVMIntSGT, count, llvm_int(g, 64, 1, 0), "");
}

LLVMValueRef llvm_load(llvm_gen *g, const fv_kinst *in) {
  const fv_dtype t = (fv_dtype)in->dtype;
  const unsigned lanes = in->lanes;
  LLVMTypeRef type = memory_type(g, t, lanes);
  LLVMValueRef p = address(g, in, t), v;
  if (in->b == FV_K_NONE) {
    v = LLVMBuildLoad2(g->b, type, p, "");
    LLVMSetAlignment(v, element_bytes(t));
  } else if (lanes == 1) {
    v = load_if(g, type, p, t, positive(g, g->value[in->b]));
  } else {
    LLVMTypeRef types[2] = {type, LLVMPointerTypeInContext(g->cx, 0)};
    LLVMValueRef args[4] = {p, alignment(g, t), count_mask(g, t, lanes, g->value[in->b]),
                            LLVMConstNull(type)};
    v = llvm_call(g, "llvm.masked.load", types, 2, args, 4);
  }
  return from_memory(g, t, lanes, v);
}

// To the second cache: the first holds what the kernel works on.
void llvm_prefetch(llvm_gen *g, const fv_kinst *in) {
  LLVMTypeRef pointer = LLVMPointerTypeInContext(g->cx, 0);
  enum { READ, SECOND_CACHE = 2, DATA = 1 };
  LLVMValueRef args[4] = {address(g, in, (fv_dtype)in->dtype), llvm_int(g, 32, 1, READ),
                          llvm_int(g, 32, 1, SECOND_CACHE), llvm_int(g, 32, 1, DATA)};
  llvm_call(g, "llvm.prefetch", &pointer, 1, args, 4);
}

void llvm_store(llvm_gen *g, const fv_kinst *in) {
  const fv_dtype t = (fv_dtype)in->dtype;
  const unsigned lanes = in->lanes;
  LLVMValueRef p = address(g, in, t), v = to_memory(g, t, lanes, g->value[in->b]);
  if (in->c == FV_K_NONE) {
    LLVMSetAlignment(LLVMBuildStore(g->b, v, p), element_bytes(t));
  } else if (lanes == 1) {
    store_if(g, v, p, t, positive(g, g->value[in->c]));
  } else {
    LLVMTypeRef types[2] = {memory_type(g, t, lanes), LLVMPointerTypeInContext(g->cx, 0)};
    LLVMValueRef args[4] = {v, p, alignment(g, t), count_mask(g, t, lanes, g->value[in->c])};
    llvm_call(g, "llvm.masked.store", types, 2, args, 4);
  }
}

// The mask of a gather or scatter; all lanes when it has none.
static LLVMValueRef lane_mask(llvm_gen *g, uint32_t mask, unsigned lanes) {
  return mask == FV_K_NONE ? LLVMConstAllOnes(llvm_type(g, FV_bool, lanes)) : g->value[mask];
}

LLVMValueRef llvm_gather(llvm_gen *g, const fv_kinst *in) {
  const fv_dtype t = (fv_dtype)in->dtype;
  const unsigned lanes = in->lanes;
  LLVMTypeRef type = memory_type(g, t, lanes);
  LLVMValueRef p = address(g, in, t), v;
  if (lanes == 1 && in->b == FV_K_NONE) {
    v = LLVMBuildLoad2(g->b, type, p, "");
    LLVMSetAlignment(v, element_bytes(t));
  } else if (lanes == 1) {
    v = load_if(g, type, p, t, g->value[in->b]);
  } else {
    LLVMTypeRef types[2] = {type, LLVMVectorType(LLVMPointerTypeInContext(g->cx, 0), lanes)};
    LLVMValueRef args[4] = {p, alignment(g, t), lane_mask(g, in->b, lanes), LLVMConstNull(type)};
    v = llvm_call(g, "llvm.masked.gather", types, 2, args, 4);
  }
  return from_memory(g, t, lanes, v);
}

void llvm_scatter(llvm_gen *g, const fv_kinst *in) {
  const fv_dtype t = (fv_dtype)in->dtype;
  const unsigned lanes = in->lanes;
  LLVMValueRef p = address(g, in, t), v = to_memory(g, t, lanes, g->value[in->b]);
  if (lanes == 1 && in->c == FV_K_NONE) {
    LLVMSetAlignment(LLVMBuildStore(g->b, v, p), element_bytes(t));
  } else if (lanes == 1) {
    store_if(g, v, p, t, g->value[in->c]);
  } else {
    LLVMTypeRef types[2] = {memory_type(g, t, lanes),
                            LLVMVectorType(LLVMPointerTypeInContext(g->cx, 0), lanes)};
    LLVMValueRef args[4] = {v, p, alignment(g, t), lane_mask(g, in->c, lanes)};
    llvm_call(g, "llvm.masked.scatter", types, 2, args, 4);
  }
}
