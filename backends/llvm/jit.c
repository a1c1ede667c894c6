// SPDX-License-Identifier: Apache-2.0
// Kernels -> one module -> object code -> this process (ORC LLJIT). The object
// code is made by ourselves, once, and serves the JIT as well as a library.
#include <llvm-c/Error.h>
#include <llvm-c/Orc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

// The kernels are scheduled, vectorised and unrolled already; what is left is
// to make SSA, share subexpressions and move invariant ones out of loops.
static const char kernel_passes[] =
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(licm<allowspeculation>),gvn,instcombine<no-verify-fixpoint>,"
    "loop-mssa(licm<allowspeculation>),simplifycfg,adce)";

//===-- Building --------------------------------------------------------===//

static bool same_kernel(const fv_kernel_code *a, const fv_kernel_code *b) {
  if (a->n_inst != b->n_inst || a->n_buffer != b->n_buffer || a->n_global != b->n_global ||
      a->n_scalar != b->n_scalar || a->n_item != b->n_item)
    return false;
  return (a->n_inst == 0 || memcmp(a->inst, b->inst, a->n_inst * sizeof *a->inst) == 0) &&
         (a->n_buffer == 0 || memcmp(a->buffer, b->buffer, a->n_buffer * sizeof *a->buffer) == 0);
}

// Equal kernels share a unit: unit[i] is the first kernel equal to kernel i.
static void find_equal(fv_kernels *k, const fv_kernel_code *const *kernels) {
  for (size_t i = 0; i < k->count; i++) {
    size_t j = 0;
    while (j < i && !(k->unit[j] == j && same_kernel(kernels[j], kernels[i])))
      j++;
    k->unit[i] = (uint32_t)j;
    snprintf(k->symbol[i].text, LLVM_SYMBOL_SIZE, "fovea_k%zu_%.32s", j, kernels[j]->name);
  }
}

static int32_t build_module(fv_kernels *k, const fv_kernel_code *const *kernels, fv_report *r) {
  fv_device *d = k->device;
  k->cx = LLVMContextCreate();
  llvm_catch_errors(k->cx, &k->errors);
  k->module = LLVMModuleCreateWithNameInContext("kernels", k->cx);
  LLVMSetTarget(k->module, d->triple);
  LLVMSetDataLayout(k->module, d->layout);
  for (size_t i = 0; i < k->count; i++) {
    if (k->unit[i] != i)
      continue;
    const int32_t status = llvm_print_kernel(d, k->module, kernels[i], k->symbol[i].text, r);
    if (status != FV_PLUGIN_OK)
      return status;
  }
  return llvm_optimise(d, k->module, kernel_passes, r);
}

int32_t llvm_set_code(fv_kernels *k, LLVMCodeGenFileType type, fv_report *r,
                      LLVMMemoryBufferRef *out) {
  LLVMModuleRef copy = LLVMCloneModule(k->module);
  const int32_t status = llvm_codegen(k->device, copy, type, &k->errors, r, out);
  LLVMDisposeModule(copy);
  return status;
}

//===-- JIT -------------------------------------------------------------===//

static int32_t load_code(fv_kernels *k, fv_report *r) {
  LLVMErrorRef err = LLVMOrcCreateLLJIT(&k->jit, NULL);
  if (err)
    return llvm_report_error(k->device, r, err);
  LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(k->jit);
  // memcpy and memset, which the code generator may call.
  LLVMOrcDefinitionGeneratorRef process = NULL;
  err = LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
      &process, LLVMOrcLLJITGetGlobalPrefix(k->jit), NULL, NULL);
  if (err)
    return llvm_report_error(k->device, r, err);
  LLVMOrcJITDylibAddGenerator(lib, process);
  LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(
      LLVMGetBufferStart(k->object), LLVMGetBufferSize(k->object), "kernels");
  err = LLVMOrcLLJITAddObjectFile(k->jit, lib, copy);  // owns the copy
  if (err)
    return llvm_report_error(k->device, r, err);
  for (size_t i = 0; i < k->count; i++) {
    if (k->unit[i] != i) {
      k->entry[i] = k->entry[k->unit[i]];
      continue;
    }
    LLVMOrcExecutorAddress address = 0;
    if ((err = LLVMOrcLLJITLookup(k->jit, &address, k->symbol[i].text)))
      return llvm_report_error(k->device, r, err);
    const uintptr_t raw = (uintptr_t)address;
    memcpy(&k->entry[i], &raw, sizeof raw);
  }
  return FV_PLUGIN_OK;
}

void llvm_release(fv_kernels *k) {
  if (!k)
    return;
  if (k->jit) {
    LLVMErrorRef err = LLVMOrcDisposeLLJIT(k->jit);
    if (err)
      LLVMConsumeError(err);
  }
  if (k->object)
    LLVMDisposeMemoryBuffer(k->object);
  if (k->module)
    LLVMDisposeModule(k->module);
  if (k->cx)
    LLVMContextDispose(k->cx);
  free(k->needs);
  free(k->entry);
  free(k->unit);
  free(k->symbol);
  free(k);
}

int32_t llvm_compile(fv_device *d, const fv_kernel_code *const *kernels, size_t count, fv_report *r,
                     fv_kernels **out) {
  fv_kernels *k = calloc(1, sizeof *k);
  if (!k)
    return FV_PLUGIN_OOM;
  int32_t status = FV_PLUGIN_OOM;
  k->device = d;
  k->count = count;
  k->entry = calloc(count + 1, sizeof *k->entry);
  k->unit = calloc(count + 1, sizeof *k->unit);
  k->symbol = calloc(count + 1, sizeof *k->symbol);
  if (k->entry && k->unit && k->symbol) {
    find_equal(k, kernels);
    status = build_module(k, kernels, r);
  }
  if (status == FV_PLUGIN_OK)
    status = llvm_set_code(k, LLVMObjectFile, r, &k->object);
  if (status == FV_PLUGIN_OK && !llvm_find_needs(k))
    status = FV_PLUGIN_OOM;
  if (status == FV_PLUGIN_OK && d->isa.native)
    status = load_code(k, r);
  if (status != FV_PLUGIN_OK) {
    llvm_release(k);
    return status;
  }
  *out = k;
  return FV_PLUGIN_OK;
}

fv_cpu_kernel_fn llvm_cpu_kernel(fv_kernels *k, size_t index) {
  return index < k->count ? k->entry[index] : NULL;
}
