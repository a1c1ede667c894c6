// SPDX-License-Identifier: Apache-2.0
// A library from a set of kernels. Three objects are linked by ld.lld: the
// kernels; the artifact runtime (bitcode of runtime/exec) with the image, the
// table of kernels and NAME_get; and room for the constants. Nothing else than NAME_get
// can be seen from outside, so any number of models fit into one program.
//
// The contract with the runtime is runtime/exec/artifact.h: the bitcode has
// fv_artifact_get() and refers to the constant fv_model_desc, which is made
// here.
#include <llvm-c/BitReader.h>
#include <llvm-c/Linker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "llvm_backend.h"

typedef struct artifact_names {
  char get[LLVM_NAME_MAX + 1], constants[LLVM_NAME_MAX + 1], soname[LLVM_NAME_MAX + 1];
  char versions[LLVM_NAME_MAX + 64];
  char runtime[4352];  // path of its bitcode
} artifact_names;

//===-- The module around the runtime -----------------------------------===//

static int32_t parse_runtime(fv_kernels *k, const char *path, fv_report *r, LLVMModuleRef *out) {
  LLVMMemoryBufferRef file = NULL;
  char *text = NULL;
  const fv_host *host = k->device->host;
  if (LLVMCreateMemoryBufferWithContentsOfFile(path, &file, &text)) {
    const int32_t s = llvm_report(host, r, FV_PLUGIN_FAILED,
                                  "llvm: cannot read the artifact runtime %s: %s", path, text);
    LLVMDisposeMessage(text);
    return s;
  }
  LLVMModuleRef m = NULL;
  const LLVMBool bad = LLVMParseBitcodeInContext2(k->cx, file, &m);
  LLVMDisposeMemoryBuffer(file);
  if (bad)
    return llvm_report(host, r, FV_PLUGIN_FAILED, "llvm: %s is no artifact runtime: %s", path,
                       k->errors.text);
  LLVMSetTarget(m, k->device->triple);
  LLVMSetDataLayout(m, k->device->layout);
  LLVMSetModuleIdentifier(m, "artifact", 8);
  *out = m;
  return FV_PLUGIN_OK;
}

static LLVMValueRef add_constant(LLVMModuleRef m, const char *name, LLVMValueRef v,
                                 unsigned align) {
  LLVMValueRef g = LLVMAddGlobal(m, LLVMTypeOf(v), name);
  LLVMSetInitializer(g, v);
  LLVMSetGlobalConstant(g, 1);
  LLVMSetLinkage(g, LLVMInternalLinkage);
  LLVMSetAlignment(g, align);
  return g;
}

// The table of kernels. They are in another object (hidden) or were linked in.
static LLVMValueRef kernel_table(fv_kernels *k, LLVMModuleRef m) {
  LLVMTypeRef ptr = LLVMPointerTypeInContext(k->cx, 0), i64 = LLVMInt64TypeInContext(k->cx);
  LLVMTypeRef params[5] = {ptr, ptr, ptr, i64, i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMInt32TypeInContext(k->cx), params, 5, 0);
  LLVMValueRef *entry = calloc(k->count + 1, sizeof(LLVMValueRef));
  if (!entry)
    return NULL;
  for (size_t i = 0; i < k->count; i++) {
    const char *name = k->symbol[i].text;
    entry[i] = LLVMGetNamedFunction(m, name);
    if (!entry[i])
      entry[i] = LLVMAddFunction(m, name, type);
    LLVMSetVisibility(entry[i], LLVMHiddenVisibility);
  }
  LLVMValueRef table = add_constant(m, "fovea_kernels", LLVMConstArray2(ptr, entry, k->count), 8);
  free(entry);
  return table;
}

static LLVMValueRef add_text(fv_kernels *k, LLVMModuleRef m, const char *name, const char *text) {
  LLVMValueRef v = LLVMConstStringInContext2(k->cx, text, strlen(text), 0);
  return add_constant(m, name, v, 1);
}

// fv_model_desc, member by member as its declaration says.
static int32_t add_desc(fv_kernels *k, LLVMModuleRef m, const fv_artifact *a,
                        const char *constants) {
  LLVMTypeRef i8 = LLVMInt8TypeInContext(k->cx), i32 = LLVMInt32TypeInContext(k->cx);
  LLVMTypeRef i64 = LLVMInt64TypeInContext(k->cx);
  LLVMValueRef null = LLVMConstNull(LLVMPointerTypeInContext(k->cx, 0));
  LLVMValueRef bytes = LLVMConstStringInContext2(k->cx, (const char *)a->image, a->image_size, 1);
  LLVMValueRef data = LLVMAddGlobal(m, LLVMArrayType2(i8, a->constants_size), constants);
  LLVMSetGlobalConstant(data, 1);
  LLVMSetVisibility(data, LLVMHiddenVisibility);
  LLVMValueRef table = kernel_table(k, m);
  if (!table)
    return FV_PLUGIN_OOM;
  LLVMValueRef fields[] = {
      LLVMConstInt(i32, 80, 0),  // sizeof(fv_artifact_desc)
      LLVMConstInt(i32, k->count, 0),
      add_text(k, m, "fovea_name", a->name),
      add_constant(m, "fovea_image", bytes, 64),
      LLVMConstInt(i64, a->image_size, 0),
      data,
      LLVMConstInt(i64, a->constants_size, 0),
      table,
      add_text(k, m, "fovea_features", k->needs),
      a->manifest ? add_text(k, m, "fovea_manifest", a->manifest) : null,
      null,
  };
  const unsigned n_fields = (unsigned)(sizeof fields / sizeof *fields);
  LLVMValueRef desc =
      add_constant(m, "fovea_desc", LLVMConstStructInContext(k->cx, fields, n_fields, 0), 8);
  LLVMValueRef declared = LLVMGetNamedGlobal(m, "fv_model_desc");
  if (declared) {
    LLVMReplaceAllUsesWith(declared, desc);
    LLVMDeleteGlobal(declared);
  }
  return FV_PLUGIN_OK;
}

// const void *NAME_get(void) { return fv_artifact_get(); }
static int32_t add_get(fv_kernels *k, LLVMModuleRef m, const artifact_names *n, fv_report *r) {
  LLVMValueRef callee = LLVMGetNamedFunction(m, "fv_artifact_get");
  if (!callee || LLVMIsDeclaration(callee) || LLVMGetNamedFunction(m, n->get))
    return llvm_report(k->device->host, r, FV_PLUGIN_FAILED, "llvm: %s is no artifact runtime",
                       n->runtime);
  LLVMTypeRef type = LLVMFunctionType(LLVMPointerTypeInContext(k->cx, 0), NULL, 0, 0);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(k->cx);
  LLVMValueRef fn = LLVMAddFunction(m, n->get, type);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(k->cx, fn, ""));
  LLVMBuildRet(b, LLVMBuildCall2(b, type, callee, NULL, 0, ""));
  LLVMDisposeBuilder(b);
  return FV_PLUGIN_OK;
}

static void internalise(LLVMModuleRef m, const char *but) {
  for (LLVMValueRef f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f)) {
    size_t n;
    if (!LLVMIsDeclaration(f) && strcmp(LLVMGetValueName2(f, &n), but) != 0) {
      LLVMSetVisibility(f, LLVMDefaultVisibility);
      LLVMSetLinkage(f, LLVMInternalLinkage);
    }
  }
  for (LLVMValueRef g = LLVMGetFirstGlobal(m); g; g = LLVMGetNextGlobal(g))
    if (!LLVMIsDeclaration(g) && LLVMGetLinkage(g) != LLVMAppendingLinkage) {
      LLVMSetVisibility(g, LLVMDefaultVisibility);
      LLVMSetLinkage(g, LLVMInternalLinkage);
    }
}

// The object that holds all but the constants and, in a shared library, the
// kernels (which are compiled already).
static int32_t main_object(fv_kernels *k, const fv_artifact *a, const artifact_names *n,
                           fv_report *r, LLVMMemoryBufferRef *out) {
  LLVMModuleRef m = NULL;
  int32_t status = parse_runtime(k, n->runtime, r, &m);
  if (status != FV_PLUGIN_OK)
    return status;
  if (!a->shared)
    status = llvm_whole_module(k, m, r);
  if (status == FV_PLUGIN_OK)
    status = add_desc(k, m, a, n->constants);
  if (status == FV_PLUGIN_OK)
    status = add_get(k, m, n, r);
  if (status == FV_PLUGIN_OK) {
    internalise(m, n->get);
    status = llvm_optimise(k->device, k->device->machine, m, "globaldce", r);
  }
  if (status == FV_PLUGIN_OK)
    status = llvm_codegen(k->device, k->device->machine, m, LLVMObjectFile, &k->errors, r, out);
  LLVMDisposeModule(m);
  return status;
}

//===-- Linking ---------------------------------------------------------===//

// The parts, as an archive (its linker needs no index).
static int32_t add_kernels(llvm_linker *l, const fv_kernels *k) {
  llvm_piece piece = {"!<arch>\n", 8};
  int32_t status = llvm_linker_add(l, LLVM_FILE_KERNELS, &piece, 1);
  for (size_t i = 0; i < k->n_part && status == FV_PLUGIN_OK; i++) {
    char head[96], name[24];
    const size_t size = LLVMGetBufferSize(k->part[i].object);
    snprintf(name, sizeof name, "%zu/", i);
    snprintf(head, sizeof head, "%-16s%-12d%-6d%-6d%-8s%-10zu`\n", name, 0, 0, 0, "644", size);
    const llvm_piece member[] = {
        {head, 60}, {LLVMGetBufferStart(k->part[i].object), size}, {"\n", size % 2}};
    status = llvm_linker_add(l, LLVM_FILE_KERNELS, member, 3);
  }
  return status;
}

// Behind all else, where no displacement reaches over them, and read-only unlike what stands before
// them, so in a segment of their own. (Of an empty one some tools that strip take the header.)
static const char constants_last[] =
    "SECTIONS { .fovea.constants : { *(.rodata.fovea .lrodata.fovea) } } INSERT AFTER .bss;\n";

static int32_t link_shared(llvm_linker *l, fv_kernels *k, const fv_artifact *a,
                           const artifact_names *n, fv_report *r) {
  int32_t status = add_kernels(l, k);
  if (status == FV_PLUGIN_OK)
    status = llvm_linker_add_text(l, LLVM_FILE_PLACE, a->constants_size ? constants_last : "");
  if (status == FV_PLUGIN_OK)
    status = llvm_linker_add_text(l, LLVM_FILE_EXPORTS, n->versions);
  if (status == FV_PLUGIN_OK)
    status = llvm_make_libc(l, k, r);
  const char *argv[] = {NULL,
                        "-shared",
                        "-soname",
                        n->soname,
                        "--version-script",
                        l->path[LLVM_FILE_EXPORTS],
                        "-T",
                        l->path[LLVM_FILE_PLACE],
                        "--gc-sections",
                        "--no-undefined",
                        "--hash-style=gnu",
                        "--build-id=none",
                        "-s",
                        "-z",
                        "now",
                        "-z",
                        "relro",
                        "-z",
                        "noexecstack",
                        "-o",
                        "-",
                        l->path[LLVM_FILE_MAIN],
                        l->path[LLVM_FILE_KERNELS],
                        l->path[LLVM_FILE_CONSTANTS],
                        l->path[LLVM_FILE_LIBC],
                        l->path[LLVM_FILE_LIBPTHREAD],
                        NULL};
  return status == FV_PLUGIN_OK ? llvm_linker_run(l, argv, LLVM_FILE_RESULT) : status;
}

static int32_t link_object(llvm_linker *l) {
  const char *argv[] = {
      NULL, "-r", "-o", "-", l->path[LLVM_FILE_MAIN], l->path[LLVM_FILE_CONSTANTS], NULL};
  return llvm_linker_run(l, argv, LLVM_FILE_RESULT);
}

static int32_t add_constants(llvm_linker *l, fv_kernels *k, const fv_artifact *a,
                             const artifact_names *n) {
  llvm_elf e;
  llvm_elf_room(&e, k->device->arch->machine, n->constants, a->constants_size);
  const llvm_piece piece = {e.data, e.size};
  return llvm_linker_add(l, LLVM_FILE_CONSTANTS, &piece, 1);
}

// The result up to where the constants will stand.
static int32_t take_result(llvm_linker *l, fv_kernels *k, const fv_artifact *a, fv_report *r,
                           fv_blob *out) {
  const int32_t status = llvm_linker_read(l, LLVM_FILE_RESULT, LLVM_ELF_PAGE, out);
  uint64_t end = out->size;
  if (status != FV_PLUGIN_OK || a->constants_size == 0)
    return status;
  if (llvm_elf_fill(out->data, out->size, a->constants_size, &end)) {
    out->size = end;
    return FV_PLUGIN_OK;
  }
  out->release(out->data, out->size);
  *out = (fv_blob){0};
  return llvm_report(k->device->host, r, FV_PLUGIN_FAILED,
                     "llvm: %s left no room for the constants", l->program);
}

static int32_t link_all(fv_kernels *k, const fv_artifact *a, const artifact_names *n,
                        LLVMMemoryBufferRef object, fv_report *r, fv_blob *out) {
  llvm_linker l;
  int32_t status = llvm_linker_open(&l, k->device->host, r, a->linker);
  if (status == FV_PLUGIN_OK)
    status = llvm_linker_add_buffer(&l, LLVM_FILE_MAIN, object);
  if (status == FV_PLUGIN_OK)
    status = add_constants(&l, k, a, n);
  if (status == FV_PLUGIN_OK)
    status = a->shared ? link_shared(&l, k, a, n, r) : link_object(&l);
  if (status == FV_PLUGIN_OK)
    status = take_result(&l, k, a, r, out);
  llvm_linker_close(&l);
  return status;
}

// Told before any work: which system, and whether its runtime came along.
static int32_t check_target(const fv_device *d, const char *runtime, fv_report *r) {
  if (!d->is_linux_gnu)
    return llvm_report(d->host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: a library for '%s' cannot be made: it would have to be Linux with "
                       "glibc, as '%s-linux-gnu' (--emit=asm shows the kernels)",
                       d->triple, d->arch->name);
  if (access(runtime, R_OK) != 0)
    return llvm_report(d->host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: a library for '%s' cannot be made: its runtime is not there, '%s' "
                       "(--emit=asm shows the kernels)",
                       d->triple, runtime);
  return FV_PLUGIN_OK;
}

int32_t llvm_emit_artifact(fv_kernels *k, const fv_artifact *a, fv_report *r, fv_blob *out) {
  const fv_device *d = k->device;
  artifact_names n;
  if (strlen(a->name) > LLVM_NAME_MAX - 32)
    return llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: the name of the model is too long");
  snprintf(n.get, sizeof n.get, "%s_get", a->name);
  snprintf(n.constants, sizeof n.constants, "%s__fovea_constants", a->name);
  snprintf(n.soname, sizeof n.soname, "lib%s.so", a->name);
  snprintf(n.versions, sizeof n.versions, "{ global: %s; local: *; };\n", n.get);
  const int size =
      snprintf(n.runtime, sizeof n.runtime, "%sexec-%s.bc", a->exec_folder, d->arch->name);
  if (size < 0 || (size_t)size >= sizeof n.runtime)
    return llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: the path of the runtime is too long");
  int32_t status = check_target(d, n.runtime, r);
  if (status != FV_PLUGIN_OK)
    return status;
  k->errors.text[0] = 0;  // of an earlier call
  LLVMMemoryBufferRef object = NULL;
  status = main_object(k, a, &n, r, &object);
  if (status != FV_PLUGIN_OK)
    return status;
  status = link_all(k, a, &n, object, r, out);
  LLVMDisposeMemoryBuffer(object);
  return status;
}
