// SPDX-License-Identifier: Apache-2.0
// A module through passes to code. Each thread has a context and a machine of its own.
#include <llvm-c/Analysis.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "llvm_backend.h"

//===-- Passes and code -------------------------------------------------===//

int32_t llvm_optimise(fv_device *d, LLVMTargetMachineRef machine, LLVMModuleRef module,
                      const char *passes, fv_report *r) {
  char *text = NULL;
  int32_t status = FV_PLUGIN_OK;
  if (LLVMVerifyModule(module, LLVMReturnStatusAction, &text))
    status = llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: invalid code was made: %s", text);
  LLVMDisposeMessage(text);
  if (status != FV_PLUGIN_OK)
    return status;
  LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
  LLVMErrorRef err = LLVMRunPasses(module, passes, machine, o);
  LLVMDisposePassBuilderOptions(o);
  return err ? llvm_report_error(d, r, err) : FV_PLUGIN_OK;
}

int32_t llvm_codegen(fv_device *d, LLVMTargetMachineRef machine, LLVMModuleRef module,
                     LLVMCodeGenFileType type, const llvm_errors *errors, fv_report *r,
                     LLVMMemoryBufferRef *out) {
  char *text = NULL;
  LLVMMemoryBufferRef code = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, type, &text, &code)) {
    const int32_t status = llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: %s", text);
    LLVMDisposeMessage(text);
    return status;
  }
  if (errors->text[0]) {
    LLVMDisposeMemoryBuffer(code);
    return llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: %s", errors->text);
  }
  *out = code;
  return FV_PLUGIN_OK;
}

LLVMModuleRef llvm_new_module(fv_kernels *k, const char *name) {
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext(name, k->cx);
  LLVMSetTarget(m, k->device->triple);
  LLVMSetDataLayout(m, k->device->layout);
  return m;
}
