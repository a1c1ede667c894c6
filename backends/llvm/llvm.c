// SPDX-License-Identifier: Apache-2.0
// The table of the backend, and what it shows of a set of kernels.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

//===-- Output ----------------------------------------------------------===//

static void free_blob(void *data, size_t size) {
  (void)size;
  free(data);
}

static int32_t blob_from(const fv_host *host, fv_report *r, const void *data, size_t size,
                         fv_blob *out) {
  void *copy = malloc(size + 1);
  if (!copy)
    return llvm_report(host, r, FV_PLUGIN_OOM, "llvm: out of memory");
  memcpy(copy, data, size);
  *out = (fv_blob){.data = copy, .size = size, .release = free_blob};
  return FV_PLUGIN_OK;
}

static int32_t emit(fv_kernels *k, const char *kind, fv_report *r, fv_blob *out) {
  const fv_host *host = k->device->host;
  k->errors.text[0] = 0;  // of an earlier call
  LLVMMemoryBufferRef code = NULL;
  int32_t status;
  if (strcmp(kind, "llvm") == 0) {
    LLVMModuleRef m = llvm_new_module(k, "kernels");
    status = llvm_whole_module(k, m, r);
    if (status == FV_PLUGIN_OK) {
      char *text = LLVMPrintModuleToString(m);
      status = blob_from(host, r, text, strlen(text), out);
      LLVMDisposeMessage(text);
    }
    LLVMDisposeModule(m);
    return status;
  }
  const bool object = strcmp(kind, "obj") == 0;
  if (!object && strcmp(kind, "asm") != 0)
    return llvm_report(host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: nothing called '%s' to emit (there are: llvm, asm, obj)", kind);
  status = llvm_set_code(k, object ? LLVMObjectFile : LLVMAssemblyFile, r, &code);
  if (status == FV_PLUGIN_OK) {
    status = blob_from(host, r, LLVMGetBufferStart(code), LLVMGetBufferSize(code), out);
    LLVMDisposeMemoryBuffer(code);
  }
  return status;
}

static const char *describe(fv_device *d) {
  return d->text;
}

static const char *needs(fv_kernels *k) {
  return k->needs;
}

static const fv_target *target(fv_device *d) {
  return &d->target;
}

static const fv_backend backend = {
    .struct_size = sizeof(fv_backend),
    .abi = FV_ABI_VERSION,
    .sanitizer = FV_ABI_SANITIZER,
    .name = "llvm",
    .doc = "native code through LLVM: JIT and libraries",
    .open = llvm_open,
    .close = llvm_close,
    .describe = describe,
    .target = target,
    .compile_kernels = llvm_compile,
    .release = llvm_release,
    .cpu_kernel = llvm_cpu_kernel,
    .emit = emit,
    .emit_artifact = llvm_emit_artifact,
    .needs = needs,
    .options = llvm_options,
};

FV_BACKEND_EXPORT(llvm, backend)
