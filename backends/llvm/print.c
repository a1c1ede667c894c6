// SPDX-License-Identifier: Apache-2.0
// Kernel IR -> LLVM IR: structure. Each kernel becomes two functions: an
// internal one for one block, whose parameters carry what is known of the
// buffers (noalias, readonly), and the exported loop over blocks.
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

//===-- Control flow ----------------------------------------------------===//

// An open FOR or IF.
typedef struct frame {
  bool is_for;
  LLVMBasicBlockRef body, other, done;  // IF: `other` until ELSE was seen
  LLVMValueRef index, hi, step;
} frame;

static LLVMBasicBlockRef new_block(llvm_gen *g) {
  return LLVMAppendBasicBlockInContext(g->cx, g->fn, "");
}

static void begin_for(llvm_gen *g, const fv_kinst *in, uint32_t at, frame *f) {
  LLVMTypeRef i64 = LLVMInt64TypeInContext(g->cx);
  LLVMBasicBlockRef before = LLVMGetInsertBlock(g->b);
  LLVMValueRef lo = g->value[in->a];
  *f = (frame){.is_for = true, .body = new_block(g), .done = new_block(g)};
  f->hi = g->value[in->b];
  f->step = LLVMConstInt(i64, (unsigned long long)in->imm.i, 1);
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, lo, f->hi, ""), f->body, f->done);
  LLVMPositionBuilderAtEnd(g->b, f->body);
  f->index = LLVMBuildPhi(g->b, i64, "");
  LLVMAddIncoming(f->index, &lo, &before, 1);
  g->value[at] = f->index;
}

static void end_for(llvm_gen *g, frame *f) {
  // Extents are far below 2^63 (FV_MAX_BYTES), so the index does not wrap.
  LLVMValueRef next = LLVMBuildNSWAdd(g->b, f->index, f->step, "");
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->b);
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, next, f->hi, ""), f->body, f->done);
  LLVMAddIncoming(f->index, &next, &latch, 1);
  LLVMPositionBuilderAtEnd(g->b, f->done);
}

static void begin_if(llvm_gen *g, const fv_kinst *in, frame *f) {
  *f = (frame){.body = new_block(g), .other = new_block(g), .done = new_block(g)};
  LLVMBuildCondBr(g->b, g->value[in->a], f->body, f->other);
  LLVMPositionBuilderAtEnd(g->b, f->body);
}

static void begin_else(llvm_gen *g, frame *f) {
  LLVMBuildBr(g->b, f->done);
  LLVMPositionBuilderAtEnd(g->b, f->other);
  f->other = NULL;
}

static void end_if(llvm_gen *g, frame *f) {
  LLVMBuildBr(g->b, f->done);
  if (f->other) {
    LLVMPositionBuilderAtEnd(g->b, f->other);
    LLVMBuildBr(g->b, f->done);
  }
  LLVMPositionBuilderAtEnd(g->b, f->done);
}

// Marks a branch whose first way is the usual one.
static void usually(llvm_gen *g, LLVMValueRef branch) {
  LLVMTypeRef i32 = LLVMInt32TypeInContext(g->cx);
  LLVMMetadataRef parts[3] = {
      LLVMMDStringInContext2(g->cx, "branch_weights", 14),
      LLVMValueAsMetadata(LLVMConstInt(i32, 1u << 20, 0)),
      LLVMValueAsMetadata(LLVMConstInt(i32, 1, 0)),
  };
  LLVMMetadataRef node = LLVMMDNodeInContext2(g->cx, parts, 3);
  LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(g->cx, "prof", 4),
                  LLVMMetadataAsValue(g->cx, node));
}

static void emit_check(llvm_gen *g, const fv_kinst *in) {
  LLVMBasicBlockRef ok = new_block(g), failed = new_block(g);
  usually(g, LLVMBuildCondBr(g->b, g->value[in->a], ok, failed));
  LLVMPositionBuilderAtEnd(g->b, failed);
  LLVMTypeRef i32 = LLVMInt32TypeInContext(g->cx);
  LLVMBuildRet(g->b, LLVMConstInt(i32, (unsigned long long)(in->imm.i + 1), 1));
  LLVMPositionBuilderAtEnd(g->b, ok);
}

//===-- Instructions ----------------------------------------------------===//

static LLVMValueRef emit_const(llvm_gen *g, const fv_kinst *in) {
  const fv_dtype t = (fv_dtype)in->dtype;
  if (llvm_is_narrow_float(t))
    return llvm_cast(g, t, FV_f64, in->lanes, llvm_real(g, FV_f64, in->lanes, in->imm.f));
  if (llvm_is_float(t))
    return llvm_real(g, t, in->lanes, in->imm.f);
  return llvm_int(g, llvm_bits(t), in->lanes, t == FV_bool ? in->imm.i != 0 : in->imm.i);
}

static LLVMValueRef emit_scalar(llvm_gen *g, const fv_kinst *in) {
  LLVMTypeRef i64 = LLVMInt64TypeInContext(g->cx);
  LLVMValueRef at = LLVMConstInt(i64, (unsigned long long)in->imm.i, 0);
  LLVMValueRef p = LLVMBuildGEP2(g->b, i64, g->scalars, &at, 1, "");
  LLVMValueRef v = LLVMBuildLoad2(g->b, i64, p, "");
  LLVMMetadataRef empty = LLVMMDNodeInContext2(g->cx, NULL, 0);
  LLVMSetMetadata(v, LLVMGetMDKindIDInContext(g->cx, "invariant.load", 14),
                  LLVMMetadataAsValue(g->cx, empty));
  return v;
}

// Lane i with lane i + n/2, and so on down to one lane.
static LLVMValueRef emit_reduce(llvm_gen *g, const fv_kinst *in) {
  const fv_dtype t = (fv_dtype)g->k->inst[in->a].dtype;
  LLVMTypeRef i32 = LLVMInt32TypeInContext(g->cx);
  LLVMValueRef v = g->value[in->a];
  unsigned n = g->k->inst[in->a].lanes;
  if (n & (n - 1)) {
    g->unsupported = "reduce of a number of lanes that is no power of two";
    return LLVMGetPoison(llvm_type(g, t, 1));
  }
  for (; n > 1; n /= 2) {
    LLVMValueRef half[2];
    for (unsigned h = 0; h < 2; h++) {
      LLVMValueRef at =
          LLVMBuildAdd(g->b, llvm_ramp(g, 32, n / 2, 1), llvm_int(g, 32, n / 2, h * (n / 2)), "");
      half[h] = n > 2 ? LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(LLVMTypeOf(v)), at, "")
                      : LLVMBuildExtractElement(g->b, v, LLVMConstInt(i32, h, 0), "");
    }
    v = llvm_op(g, (fv_scalar_op)in->xop, t, n / 2, half[0], half[1], NULL);
  }
  return v;
}

static LLVMValueRef emit_extract(llvm_gen *g, const fv_kinst *in) {
  if (g->k->inst[in->a].lanes == 1)
    return g->value[in->a];
  LLVMTypeRef i32 = LLVMInt32TypeInContext(g->cx);
  LLVMValueRef lane = LLVMConstInt(i32, (unsigned long long)in->imm.i, 0);
  return LLVMBuildExtractElement(g->b, g->value[in->a], lane, "");
}

static LLVMValueRef emit_ramp(llvm_gen *g, const fv_kinst *in) {
  LLVMValueRef base = llvm_splat(g, g->value[in->a], in->lanes);
  return LLVMBuildAdd(g->b, base, llvm_ramp(g, 64, in->lanes, in->imm.i), "");
}

// A register: an alloca in the entry block, which SROA turns into SSA values.
static LLVMValueRef emit_var(llvm_gen *g, const fv_kinst *in) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  LLVMPositionBuilder(g->b, g->entry, LLVMGetFirstInstruction(g->entry));
  LLVMValueRef slot = LLVMBuildAlloca(g->b, llvm_type(g, (fv_dtype)in->dtype, in->lanes), "");
  LLVMPositionBuilderAtEnd(g->b, here);
  LLVMBuildStore(g->b, g->value[in->a], slot);
  return slot;
}

static LLVMValueRef emit_op(llvm_gen *g, const fv_kinst *in) {
  const fv_scalar_op op = (fv_scalar_op)in->xop;
  const fv_kinst *first = &g->k->inst[op == FV_X_SELECT ? in->b : in->a];
  return llvm_op(g, op, (fv_dtype)first->dtype, in->lanes, g->value[in->a],
                 in->b == FV_K_NONE ? NULL : g->value[in->b],
                 in->c == FV_K_NONE ? NULL : g->value[in->c]);
}

static LLVMValueRef emit_convert(llvm_gen *g, const fv_kinst *in) {
  const fv_dtype from = (fv_dtype)g->k->inst[in->a].dtype;
  return (in->op == FV_K_CAST ? llvm_cast : llvm_bitcast)(g, (fv_dtype)in->dtype, from, in->lanes,
                                                          g->value[in->a]);
}

static LLVMValueRef emit_get(llvm_gen *g, const fv_kinst *in) {
  LLVMTypeRef t = llvm_type(g, (fv_dtype)in->dtype, in->lanes);
  return LLVMBuildLoad2(g->b, t, g->value[in->a], "");
}

static void emit_inst(llvm_gen *g, uint32_t at, frame *stack, uint32_t *depth) {
  const fv_kinst *in = &g->k->inst[at];
  LLVMValueRef v = NULL;
  switch ((fv_kop)in->op) {
  case FV_K_CONST: v = emit_const(g, in); break;
  case FV_K_SCALAR: v = emit_scalar(g, in); break;
  case FV_K_BLOCK: v = g->block; break;
  case FV_K_OP: v = emit_op(g, in); break;
  case FV_K_CAST:
  case FV_K_BITCAST: v = emit_convert(g, in); break;
  case FV_K_SPLAT: v = llvm_splat(g, g->value[in->a], in->lanes); break;
  case FV_K_RAMP: v = emit_ramp(g, in); break;
  case FV_K_LOAD: v = llvm_load(g, in); break;
  case FV_K_GATHER: v = llvm_gather(g, in); break;
  case FV_K_STORE: llvm_store(g, in); break;
  case FV_K_PREFETCH: llvm_prefetch(g, in); break;
  case FV_K_SCATTER: llvm_scatter(g, in); break;
  case FV_K_REDUCE: v = emit_reduce(g, in); break;
  case FV_K_EXTRACT: v = emit_extract(g, in); break;
  case FV_K_VAR: v = emit_var(g, in); break;
  case FV_K_GET: v = emit_get(g, in); break;
  case FV_K_SET: LLVMBuildStore(g->b, g->value[in->b], g->value[in->a]); break;
  case FV_K_FOR: begin_for(g, in, at, &stack[(*depth)++]); return;
  case FV_K_IF: begin_if(g, in, &stack[(*depth)++]); break;
  case FV_K_ELSE: begin_else(g, &stack[*depth - 1]); break;
  case FV_K_END:
    --*depth;
    (stack[*depth].is_for ? end_for : end_if)(g, &stack[*depth]);
    break;
  case FV_K_CHECK: emit_check(g, in); break;
  case FV_K_ITEM:
  case FV_K_BARRIER: break;  // a block runs on one thread
  case FV_K_COUNT: break;
  }
  g->value[at] = v;
}

//===-- Functions -------------------------------------------------------===//

static void add_attribute(llvm_gen *g, LLVMValueRef fn, unsigned index, const char *name) {
  const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(fn, index, LLVMCreateEnumAttribute(g->cx, kind, 0));
}

// body(scalars, block, buffers...) -> i32
static LLVMTypeRef body_type(llvm_gen *g, LLVMTypeRef *params) {
  LLVMTypeRef ptr = LLVMPointerTypeInContext(g->cx, 0);
  params[0] = ptr;
  params[1] = LLVMInt64TypeInContext(g->cx);
  for (uint32_t i = 0; i < g->k->n_buffer; i++)
    params[2 + i] = ptr;
  return LLVMFunctionType(LLVMInt32TypeInContext(g->cx), params, 2 + g->k->n_buffer, 0);
}

static void mark_parameters(llvm_gen *g) {
  add_attribute(g, g->fn, 1, "noalias");
  add_attribute(g, g->fn, 1, "readonly");
  for (uint32_t i = 0; i < g->k->n_buffer; i++) {
    const fv_kbuffer *b = &g->k->buffer[i];
    if (!b->aliases)
      add_attribute(g, g->fn, 3 + i, "noalias");
    if (!b->written && b->scope == FV_SCOPE_GLOBAL)
      add_attribute(g, g->fn, 3 + i, "readonly");
    add_attribute(g, g->fn, 3 + i, "nocapture");
  }
}

static void print_body(llvm_gen *g, frame *stack) {
  g->entry = new_block(g);
  g->scalars = LLVMGetParam(g->fn, 0);
  g->block = LLVMGetParam(g->fn, 1);
  for (uint32_t i = 0; i < g->k->n_buffer; i++)
    g->buffer[i] = LLVMGetParam(g->fn, 2 + i);
  LLVMPositionBuilderAtEnd(g->b, g->entry);
  // A block of its own for the allocas: the code starts after it.
  LLVMBasicBlockRef start = new_block(g);
  LLVMBuildBr(g->b, start);
  LLVMPositionBuilderAtEnd(g->b, start);
  uint32_t depth = 0;
  for (uint32_t i = 0; i < g->k->n_inst; i++)
    emit_inst(g, i, stack, &depth);
  LLVMBuildRet(g->b, LLVMConstNull(LLVMInt32TypeInContext(g->cx)));
}

static LLVMValueRef load_at(llvm_gen *g, LLVMTypeRef t, LLVMValueRef base, uint64_t index) {
  LLVMValueRef at = LLVMConstInt(LLVMInt64TypeInContext(g->cx), index, 0);
  return LLVMBuildLoad2(g->b, t, LLVMBuildGEP2(g->b, t, base, &at, 1, ""), "");
}

// fn(buf, scalar, scratch, begin, end): the blocks one after another.
static void print_entry(llvm_gen *g, LLVMTypeRef bt, LLVMValueRef body, LLVMValueRef *args) {
  LLVMTypeRef ptr = LLVMPointerTypeInContext(g->cx, 0), i8 = LLVMInt8TypeInContext(g->cx);
  LLVMTypeRef i64 = LLVMInt64TypeInContext(g->cx), i32 = LLVMInt32TypeInContext(g->cx);
  LLVMValueRef scalars = LLVMGetParam(g->fn, 1), end = LLVMGetParam(g->fn, 4);
  LLVMBasicBlockRef start = new_block(g), loop = new_block(g), next = new_block(g),
                    done = new_block(g);
  LLVMValueRef zero = LLVMConstNull(i32), begin = LLVMGetParam(g->fn, 3);
  LLVMPositionBuilderAtEnd(g->b, start);
  args[0] = scalars;
  for (uint32_t i = 0; i < g->k->n_buffer; i++) {
    const fv_kbuffer *b = &g->k->buffer[i];
    if (b->scope == FV_SCOPE_GLOBAL) {
      args[2 + i] = load_at(g, ptr, LLVMGetParam(g->fn, 0), i);
    } else {
      LLVMValueRef offset = load_at(g, i64, scalars, b->offset_scalar);
      args[2 + i] = LLVMBuildGEP2(g->b, i8, LLVMGetParam(g->fn, 2), &offset, 1, "");
    }
  }
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, begin, end, ""), loop, done);
  LLVMPositionBuilderAtEnd(g->b, loop);
  LLVMValueRef block = LLVMBuildPhi(g->b, i64, "");
  args[1] = block;
  LLVMValueRef failed = LLVMBuildCall2(g->b, bt, body, args, 2 + g->k->n_buffer, "");
  LLVMValueRef ok = LLVMBuildICmp(g->b, LLVMIntEQ, failed, zero, "");
  usually(g, LLVMBuildCondBr(g->b, ok, next, done));
  LLVMPositionBuilderAtEnd(g->b, next);
  LLVMValueRef following = LLVMBuildNSWAdd(g->b, block, LLVMConstInt(i64, 1, 0), "");
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, following, end, ""), loop, done);
  LLVMAddIncoming(block, &begin, &start, 1);
  LLVMAddIncoming(block, &following, &next, 1);
  LLVMPositionBuilderAtEnd(g->b, done);
  LLVMValueRef result = LLVMBuildPhi(g->b, i32, "");
  LLVMAddIncoming(result, &zero, &start, 1);
  LLVMAddIncoming(result, &failed, &loop, 1);
  LLVMAddIncoming(result, &zero, &next, 1);
  LLVMBuildRet(g->b, result);
}

static LLVMValueRef add_function(llvm_gen *g, fv_device *d, const char *name, LLVMTypeRef t) {
  LLVMValueRef fn = LLVMAddFunction(g->module, name, t);
  add_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "nounwind");
  llvm_mark_function(d, fn);
  return fn;
}

static void print_functions(llvm_gen *g, fv_device *d, const char *symbol, LLVMTypeRef *params,
                            LLVMValueRef *args, frame *stack) {
  char name[LLVM_SYMBOL_SIZE + 8];
  const size_t n = strlen(symbol);
  memcpy(name, symbol, n);
  memcpy(name + n, ".block", sizeof ".block");
  LLVMTypeRef bt = body_type(g, params);
  LLVMValueRef body = g->fn = add_function(g, d, name, bt);
  LLVMSetLinkage(body, LLVMInternalLinkage);
  mark_parameters(g);
  print_body(g, stack);
  LLVMTypeRef ptr = LLVMPointerTypeInContext(g->cx, 0), i64 = LLVMInt64TypeInContext(g->cx);
  LLVMTypeRef entry_params[5] = {ptr, ptr, ptr, i64, i64};
  LLVMTypeRef et = LLVMFunctionType(LLVMInt32TypeInContext(g->cx), entry_params, 5, 0);
  g->fn = add_function(g, d, symbol, et);
  print_entry(g, bt, body, args);
}

int32_t llvm_print_kernel(fv_device *d, LLVMModuleRef module, const fv_kernel_code *k,
                          const char *symbol, fv_report *r) {
  int32_t status = FV_PLUGIN_OOM;
  uint32_t depth = 1;
  if (k->n_item > 1)
    return llvm_report(d->host, r, FV_PLUGIN_UNSUPPORTED, "kernel %s: work-items are for GPUs",
                       k->name);
  for (uint32_t i = 0; i < k->n_inst; i++)
    depth += k->inst[i].op == FV_K_FOR || k->inst[i].op == FV_K_IF;
  LLVMContextRef cx = LLVMGetModuleContext(module);
  llvm_gen g = {.cx = cx, .module = module, .isa = &d->isa, .k = k};
  const size_t n_buffer = (size_t)k->n_buffer + 2;
  g.value = calloc((size_t)k->n_inst + 1, sizeof *g.value);
  g.buffer = calloc(n_buffer, sizeof *g.buffer);
  LLVMTypeRef *params = calloc(n_buffer, sizeof(LLVMTypeRef));
  LLVMValueRef *args = calloc(n_buffer, sizeof(LLVMValueRef));
  frame *stack = calloc(depth, sizeof *stack);
  if (g.value && g.buffer && params && args && stack) {
    g.b = LLVMCreateBuilderInContext(cx);
    print_functions(&g, d, symbol, params, args, stack);
    LLVMDisposeBuilder(g.b);
    status = FV_PLUGIN_OK;
    if (g.unsupported)
      status = llvm_report(d->host, r, FV_PLUGIN_UNSUPPORTED, "llvm: kernel %s: %s", k->name,
                           g.unsupported);
  }
  free(g.value);
  free(g.buffer);
  free(params);
  free(args);
  free(stack);
  return status;
}
