// SPDX-License-Identifier: Apache-2.0
// Kernels -> objects -> this process (ORC LLJIT). The objects are made by ourselves, once, and
// serve the JIT as well as a library.
#include <llvm-c/Error.h>
#include <llvm-c/Orc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

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
  for (size_t i = 0; i < k->n_part && !err; i++) {
    LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(
        LLVMGetBufferStart(k->part[i].object), LLVMGetBufferSize(k->part[i].object), "kernels");
    err = LLVMOrcLLJITAddObjectFile(k->jit, lib, copy);  // owns the copy
  }
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
  llvm_drop_parts(k);
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
  k->cx = LLVMContextCreate();
  llvm_catch_errors(k->cx, &k->errors);
  if (k->entry && k->unit && k->symbol)
    status = llvm_make_parts(k, kernels, r);
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
