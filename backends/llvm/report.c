// SPDX-License-Identifier: Apache-2.0
// The words of this backend, and those of LLVM.
#include <llvm-c/Error.h>
#include <stdarg.h>
#include <stdio.h>

#include "llvm_backend.h"

int32_t llvm_report(const fv_host *host, fv_report *r, int32_t status, const char *fmt, ...) {
  char text[2048];
  va_list ap;
  if (!r)
    return status;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return host->error(r, status, text);
}

//===-- Errors of LLVM --------------------------------------------------===//

static void on_diagnostic(LLVMDiagnosticInfoRef info, void *user) {
  llvm_errors *e = user;
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError || e->text[0])
    return;
  char *text = LLVMGetDiagInfoDescription(info);
  snprintf(e->text, sizeof e->text, "%s", text);
  LLVMDisposeMessage(text);
}

void llvm_catch_errors(LLVMContextRef cx, llvm_errors *errors) {
  LLVMContextSetDiagnosticHandler(cx, on_diagnostic, errors);
}

int32_t llvm_report_error(fv_device *d, fv_report *r, LLVMErrorRef err) {
  char *text = LLVMGetErrorMessage(err);
  const int32_t status = llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: %s", text);
  LLVMDisposeErrorMessage(text);
  return status;
}
