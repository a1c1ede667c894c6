// SPDX-License-Identifier: Apache-2.0
// A library from a set of kernels. Three objects are linked by ld.lld: the
// kernels; the artifact runtime (bitcode of runtime/exec) with the image, the
// table of kernels and NAME_get; and the constants. Nothing else than NAME_get
// can be seen from outside, so any number of models fit into one program.
//
// The contract with the runtime is runtime/exec/artifact.h: the bitcode has
// fv_artifact_get() and refers to the constant fv_model_desc, which is made
// here.
#include <elf.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/Linker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

//===-- libc ------------------------------------------------------------===//

// What an artifact may take from libc, by the symbol version that it means. A
// reference without a version would bind to the oldest one, which for some of
// these has another meaning (pthread_cond_*, sched_getaffinity).
typedef struct libc_group {
  const char *version, *names;  // of x86-64; AArch64's libc began with 2.17
} libc_group;

static const libc_group libc_groups[] = {
    {"2.2.5",
     "memmove memset memcmp bcmp memchr strlen strnlen strcmp strncmp strchr strrchr strstr "
     "strtol strtoll strtoul strtoull strerror snprintf vsnprintf malloc calloc realloc free "
     "posix_memalign qsort getenv __errno_location sysconf syscall open close read pread write "
     "lseek getpid mmap munmap mprotect madvise fopen fclose fread fgets nanosleep sched_yield "
     "pthread_create pthread_join pthread_detach pthread_self pthread_once pthread_attr_init "
     "pthread_attr_destroy pthread_attr_setstacksize pthread_sigmask sigfillset "
     "pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_trylock "
     "pthread_mutex_unlock"},
    {"2.3.2",
     "pthread_cond_init pthread_cond_destroy pthread_cond_wait pthread_cond_timedwait "
     "pthread_cond_signal pthread_cond_broadcast"},
    {"2.3.4", "sched_getaffinity sched_setaffinity"},
    {"2.6", "sched_getcpu"},
    {"2.14", "memcpy"},
    {"2.16", "aligned_alloc getauxval"},
    {"2.17", "clock_gettime secure_getenv"},
};
enum { LIBC_GROUPS = (int)(sizeof libc_groups / sizeof *libc_groups) };

// The linker script that gives each symbol of the stub its version.
static char *libc_versions(const fv_device *d) {
  const bool x86 = strncmp(d->triple, "x86_64", 6) == 0;
  size_t room = 64;
  for (int i = 0; i < LIBC_GROUPS; i++)
    room += 2 * strlen(libc_groups[i].names) + 64;
  char *text = malloc(room), *p = text;
  if (!text)
    return NULL;
  p += sprintf(p, "%s", x86 ? "" : "GLIBC_2.17 {\n");
  for (int i = 0; i < LIBC_GROUPS; i++) {
    p += x86 ? sprintf(p, "GLIBC_%s {\n", libc_groups[i].version) : 0;
    for (const char *w = libc_groups[i].names; *w; w += strspn(w, " ")) {
      const size_t n = strcspn(w, " ");
      p += sprintf(p, "%.*s;\n", (int)n, w);
      w += n;
    }
    p += sprintf(p, "%s", x86 ? "};\n" : "");
  }
  sprintf(p, "%s", x86 ? "" : "};\n");
  return text;
}

// An object that defines the symbols; nothing of it is ever run.
static int32_t libc_object(fv_kernels *k, fv_report *r, LLVMMemoryBufferRef *out) {
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext("libc", k->cx);
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(k->cx), NULL, 0, 0);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(k->cx);
  LLVMSetTarget(m, k->device->triple);
  LLVMSetDataLayout(m, k->device->layout);
  for (int i = 0; i < LIBC_GROUPS; i++)
    for (const char *w = libc_groups[i].names; *w; w += strspn(w, " ")) {
      const size_t n = strcspn(w, " ");
      LLVMValueRef fn = LLVMAddFunction(m, "", type);
      LLVMSetValueName2(fn, w, n);
      LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(k->cx, fn, ""));
      LLVMBuildRetVoid(b);
      w += n;
    }
  LLVMDisposeBuilder(b);
  const int32_t status = llvm_codegen(k->device, m, LLVMObjectFile, &k->errors, r, out);
  LLVMDisposeModule(m);
  return status;
}

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
      add_text(k, m, "fovea_features", k->device->needs),
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
static int32_t add_get(fv_kernels *k, LLVMModuleRef m, const fv_artifact *a, const char *get,
                       fv_report *r) {
  LLVMValueRef callee = LLVMGetNamedFunction(m, "fv_artifact_get");
  if (!callee || LLVMIsDeclaration(callee) || LLVMGetNamedFunction(m, get))
    return llvm_report(k->device->host, r, FV_PLUGIN_FAILED, "llvm: %s is no artifact runtime",
                       a->exec_bitcode);
  LLVMTypeRef type = LLVMFunctionType(LLVMPointerTypeInContext(k->cx, 0), NULL, 0, 0);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(k->cx);
  LLVMValueRef fn = LLVMAddFunction(m, get, type);
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
static int32_t main_object(fv_kernels *k, const fv_artifact *a, const char *get,
                           const char *constants, fv_report *r, LLVMMemoryBufferRef *out) {
  LLVMModuleRef m = NULL;
  int32_t status = parse_runtime(k, a->exec_bitcode, r, &m);
  if (status != FV_PLUGIN_OK)
    return status;
  if (!a->shared && LLVMLinkModules2(m, LLVMCloneModule(k->module)))
    status = llvm_report(k->device->host, r, FV_PLUGIN_FAILED, "llvm: %s", k->errors.text);
  if (status == FV_PLUGIN_OK)
    status = add_desc(k, m, a, constants);
  if (status == FV_PLUGIN_OK)
    status = add_get(k, m, a, get, r);
  if (status == FV_PLUGIN_OK) {
    internalise(m, get);
    status = llvm_optimise(k->device, m, "globaldce", r);
  }
  if (status == FV_PLUGIN_OK)
    status = llvm_codegen(k->device, m, LLVMObjectFile, &k->errors, r, out);
  LLVMDisposeModule(m);
  return status;
}

//===-- Linking ---------------------------------------------------------===//

typedef struct artifact_names {
  char get[LLVM_NAME_MAX + 1], constants[LLVM_NAME_MAX + 1], soname[LLVM_NAME_MAX + 1];
  char versions[LLVM_NAME_MAX + 64];
} artifact_names;

static int32_t add_buffer(llvm_linker *l, const char *name, LLVMMemoryBufferRef b) {
  const llvm_file f = {name, {{LLVMGetBufferStart(b), LLVMGetBufferSize(b)}}};
  return llvm_linker_add(l, &f);
}

// A libc.so.6 to link against: the name and the symbols, so that no sysroot is
// needed.
static int32_t make_libc(llvm_linker *l, fv_kernels *k, fv_report *r) {
  LLVMMemoryBufferRef object = NULL;
  char *versions = libc_versions(k->device);
  if (!versions)
    return FV_PLUGIN_OOM;
  const llvm_file script = {"libc.map", {{versions, strlen(versions)}}};
  int32_t status = llvm_linker_add(l, &script);
  free(versions);
  if (status == FV_PLUGIN_OK)
    status = libc_object(k, r, &object);
  if (status != FV_PLUGIN_OK)
    return status;
  status = add_buffer(l, "libc.o", object);
  LLVMDisposeMemoryBuffer(object);
  const char *argv[] = {NULL,       "-shared", "-soname",   "libc.so.6", "--version-script",
                        "libc.map", "-o",      "libc.so.6", "libc.o",    NULL};
  return status == FV_PLUGIN_OK ? llvm_linker_run(l, argv) : status;
}

static int32_t link_shared(llvm_linker *l, fv_kernels *k, const artifact_names *n, fv_report *r) {
  int32_t status = add_buffer(l, "kernels.o", k->object);
  const llvm_file script = {"out.map", {{n->versions, strlen(n->versions)}}};
  if (status == FV_PLUGIN_OK)
    status = llvm_linker_add(l, &script);
  if (status == FV_PLUGIN_OK)
    status = make_libc(l, k, r);
  const char *argv[] = {NULL,
                        "-shared",
                        "-soname",
                        n->soname,
                        "--version-script",
                        "out.map",
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
                        "out",
                        "main.o",
                        "kernels.o",
                        "constants.o",
                        "libc.so.6",
                        NULL};
  return status == FV_PLUGIN_OK ? llvm_linker_run(l, argv) : status;
}

static int32_t add_constants(llvm_linker *l, fv_kernels *k, const fv_artifact *a,
                             const artifact_names *n) {
  llvm_elf *e = malloc(sizeof *e);
  if (!e)
    return FV_PLUGIN_OOM;
  const uint16_t machine = strncmp(k->device->triple, "aarch64", 7) == 0 ? EM_AARCH64 : EM_X86_64;
  llvm_elf_data(e, machine, n->constants, a->constants_size);
  const llvm_file f = {
      "constants.o",
      {{e->head, sizeof e->head}, {a->constants, a->constants_size}, {e->tail, e->tail_size}}};
  const int32_t status = llvm_linker_add(l, &f);
  free(e);
  return status;
}

static int32_t link_all(fv_kernels *k, const fv_artifact *a, const artifact_names *n,
                        LLVMMemoryBufferRef object, fv_report *r, fv_blob *out) {
  llvm_linker l;
  int32_t status = llvm_linker_open(&l, k->device->host, r, a->linker);
  if (status == FV_PLUGIN_OK)
    status = add_buffer(&l, "main.o", object);
  if (status == FV_PLUGIN_OK)
    status = add_constants(&l, k, a, n);
  if (status == FV_PLUGIN_OK && a->shared) {
    status = link_shared(&l, k, n, r);
  } else if (status == FV_PLUGIN_OK) {
    const char *argv[] = {NULL, "-r", "-o", "out", "main.o", "constants.o", NULL};
    status = llvm_linker_run(&l, argv);
  }
  if (status == FV_PLUGIN_OK)
    status = llvm_linker_read(&l, "out", out);
  llvm_linker_close(&l);
  return status;
}

int32_t llvm_emit_artifact(fv_kernels *k, const fv_artifact *a, fv_report *r, fv_blob *out) {
  const fv_host *host = k->device->host;
  artifact_names n;
  if (strncmp(k->device->triple, "x86_64", 6) != 0)
    return llvm_report(host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: a library for '%s' cannot be made: its runtime is built for x86_64 "
                       "alone (--emit=asm shows the kernels)",
                       k->device->triple);
  if (strlen(a->name) > LLVM_NAME_MAX - 32)
    return llvm_report(host, r, FV_PLUGIN_FAILED, "llvm: the name of the model is too long");
  snprintf(n.get, sizeof n.get, "%s_get", a->name);
  snprintf(n.constants, sizeof n.constants, "%s__fovea_constants", a->name);
  snprintf(n.soname, sizeof n.soname, "lib%s.so", a->name);
  snprintf(n.versions, sizeof n.versions, "{ global: %s; local: *; };\n", n.get);
  k->errors.text[0] = 0;  // of an earlier call
  LLVMMemoryBufferRef object = NULL;
  int32_t status = main_object(k, a, n.get, n.constants, r, &object);
  if (status != FV_PLUGIN_OK)
    return status;
  status = link_all(k, a, &n, object, r, out);
  LLVMDisposeMemoryBuffer(object);
  return status;
}
