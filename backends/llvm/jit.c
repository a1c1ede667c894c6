// SPDX-License-Identifier: Apache-2.0
// Kernels -> one module -> object code -> this process (ORC LLJIT). The object
// code is made by ourselves, once, and serves the JIT as well as a library.
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Transforms/PassBuilder.h>
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

static int32_t report_error(fv_device *d, fv_report *r, LLVMErrorRef err) {
  char *text = LLVMGetErrorMessage(err);
  const int32_t status = llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: %s", text);
  LLVMDisposeErrorMessage(text);
  return status;
}

//===-- Passes and code -------------------------------------------------===//

int32_t llvm_optimise(fv_device *d, LLVMModuleRef module, const char *passes, fv_report *r) {
  char *text = NULL;
  int32_t status = FV_PLUGIN_OK;
  if (LLVMVerifyModule(module, LLVMReturnStatusAction, &text))
    status = llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: invalid code was made: %s", text);
  LLVMDisposeMessage(text);
  if (status != FV_PLUGIN_OK)
    return status;
  LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
  LLVMErrorRef err = LLVMRunPasses(module, passes, d->machine, o);
  LLVMDisposePassBuilderOptions(o);
  return err ? report_error(d, r, err) : FV_PLUGIN_OK;
}

int32_t llvm_codegen(fv_device *d, LLVMModuleRef module, LLVMCodeGenFileType type,
                     const llvm_errors *errors, fv_report *r, LLVMMemoryBufferRef *out) {
  char *text = NULL;
  LLVMMemoryBufferRef code = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(d->machine, module, type, &text, &code)) {
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

//===-- Building --------------------------------------------------------===//

static bool same_kernel(const fv_kernel_code *a, const fv_kernel_code *b) {
  if (a->n_inst != b->n_inst || a->n_buffer != b->n_buffer || a->n_global != b->n_global ||
      a->n_scalar != b->n_scalar)
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

static int32_t emit_code(fv_kernels *k, LLVMCodeGenFileType type, fv_report *r,
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
    return report_error(k->device, r, err);
  LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(k->jit);
  // memcpy and memset, which the code generator may call.
  LLVMOrcDefinitionGeneratorRef process = NULL;
  err = LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
      &process, LLVMOrcLLJITGetGlobalPrefix(k->jit), NULL, NULL);
  if (err)
    return report_error(k->device, r, err);
  LLVMOrcJITDylibAddGenerator(lib, process);
  LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(
      LLVMGetBufferStart(k->object), LLVMGetBufferSize(k->object), "kernels");
  err = LLVMOrcLLJITAddObjectFile(k->jit, lib, copy);  // owns the copy
  if (err)
    return report_error(k->device, r, err);
  for (size_t i = 0; i < k->count; i++) {
    if (k->unit[i] != i) {
      k->entry[i] = k->entry[k->unit[i]];
      continue;
    }
    LLVMOrcExecutorAddress address = 0;
    if ((err = LLVMOrcLLJITLookup(k->jit, &address, k->symbol[i].text)))
      return report_error(k->device, r, err);
    const uintptr_t raw = (uintptr_t)address;
    memcpy(&k->entry[i], &raw, sizeof raw);
  }
  return FV_PLUGIN_OK;
}

static void release(fv_kernels *k) {
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
  free(k->entry);
  free(k->unit);
  free(k->symbol);
  free(k);
}

static int32_t compile_kernels(fv_device *d, const fv_kernel_code *const *kernels, size_t count,
                               fv_report *r, fv_kernels **out) {
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
    status = emit_code(k, LLVMObjectFile, r, &k->object);
  if (status == FV_PLUGIN_OK && d->isa.native)
    status = load_code(k, r);
  if (status != FV_PLUGIN_OK) {
    release(k);
    return status;
  }
  *out = k;
  return FV_PLUGIN_OK;
}

static fv_cpu_kernel_fn cpu_kernel(fv_kernels *k, size_t index) {
  return index < k->count ? k->entry[index] : NULL;
}

//===-- Output ----------------------------------------------------------===//

static void free_blob(void *data, size_t size) {
  (void)size;
  free(data);
}

int32_t llvm_blob_from(const fv_host *host, fv_report *r, const void *data, size_t size,
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
  if (strcmp(kind, "llvm") == 0) {
    char *text = LLVMPrintModuleToString(k->module);
    const int32_t status = llvm_blob_from(host, r, text, strlen(text), out);
    LLVMDisposeMessage(text);
    return status;
  }
  if (strcmp(kind, "obj") == 0)
    return llvm_blob_from(host, r, LLVMGetBufferStart(k->object), LLVMGetBufferSize(k->object),
                          out);
  if (strcmp(kind, "asm") != 0)
    return llvm_report(host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: nothing called '%s' to emit (there are: llvm, asm, obj)", kind);
  LLVMMemoryBufferRef code = NULL;
  int32_t status = emit_code(k, LLVMAssemblyFile, r, &code);
  if (status == FV_PLUGIN_OK) {
    status = llvm_blob_from(host, r, LLVMGetBufferStart(code), LLVMGetBufferSize(code), out);
    LLVMDisposeMemoryBuffer(code);
  }
  return status;
}

static const char *describe(fv_device *d) {
  return d->text;
}

static const char *needs(fv_device *d) {
  return d->needs;
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
    .compile_kernels = compile_kernels,
    .release = release,
    .cpu_kernel = cpu_kernel,
    .emit = emit,
    .emit_artifact = llvm_emit_artifact,
    .needs = needs,
    .options = llvm_options,
};

FV_BACKEND_EXPORT(llvm, backend)
