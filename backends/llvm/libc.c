// SPDX-License-Identifier: Apache-2.0
// Import libraries of libc to link against: the names and the symbols, so that no sysroot is
// needed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

// Two files make up libc. Until glibc 2.34 threads were apart (2.32 for signal masks): there a
// program that uses a library finds them only where the library says that it needs libpthread.
// Since then that file is empty, and symbols of its versions are found in the other.
typedef enum libc_part { LIBC, LIBPTHREAD, LIBC_PARTS } libc_part;

static const struct {
  const char *soname;
  llvm_file file, code, versions;
} part[LIBC_PARTS] = {
    {"libc.so.6", LLVM_FILE_LIBC, LLVM_FILE_LIBC_CODE, LLVM_FILE_LIBC_VERSIONS},
    {"libpthread.so.0", LLVM_FILE_LIBPTHREAD, LLVM_FILE_LIBPTHREAD_CODE,
     LLVM_FILE_LIBPTHREAD_VERSIONS},
};

// What an artifact may take, by the symbol version that it means. A reference without a version
// would bind to the oldest one, which for some of these has another meaning (pthread_cond_*,
// sched_getaffinity).
typedef struct group {
  libc_part part;
  int version;  // 100 * minor + patch; those of a part in ascending order
  const char *names;
} group;

static const group groups[] = {
    {LIBC, 205,
     "memmove memset memcmp bcmp memchr strlen strnlen strcmp strncmp strchr strrchr strstr "
     "strtol strtoll strtoul strtoull strerror snprintf vsnprintf malloc calloc realloc free "
     "posix_memalign qsort getenv __errno_location sysconf syscall open close read pread write "
     "lseek getpid mmap munmap mprotect madvise fopen fclose fread fgets nanosleep sched_yield "
     "sigfillset pthread_self pthread_attr_init pthread_attr_destroy pthread_mutex_init "
     "pthread_mutex_destroy pthread_mutex_lock pthread_mutex_unlock"},
    {LIBC, 302,
     "pthread_cond_init pthread_cond_destroy pthread_cond_wait pthread_cond_timedwait "
     "pthread_cond_signal pthread_cond_broadcast"},
    {LIBC, 304, "sched_getaffinity sched_setaffinity"},
    {LIBC, 600, "sched_getcpu"},
    {LIBC, 1400, "memcpy"},
    {LIBC, 1600, "aligned_alloc getauxval"},
    {LIBC, 1700, "clock_gettime secure_getenv"},
    {LIBPTHREAD, 205,
     "pthread_create pthread_join pthread_detach pthread_once pthread_attr_setstacksize "
     "pthread_sigmask pthread_mutex_trylock"},
};
enum { GROUPS = (int)(sizeof groups / sizeof *groups) };

// The linker script that gives each symbol of a part its version: that of its group, or the first
// one that the architecture had.
static char *version_script(const fv_device *d, libc_part p) {
  size_t room = 64;
  for (int i = 0; i < GROUPS; i++)
    room += 2 * strlen(groups[i].names) + 64;
  char *text = malloc(room), *at = text;
  if (!text)
    return NULL;
  int open = 0;
  for (int i = 0; i < GROUPS; i++) {
    const group *g = &groups[i];
    const int version = g->version > d->arch->glibc ? g->version : d->arch->glibc;
    if (g->part != p)
      continue;
    if (version != open) {
      at += sprintf(at, "%sGLIBC_2.%d", open ? "};\n" : "", version / 100);
      at += version % 100 ? sprintf(at, ".%d {\n", version % 100) : sprintf(at, " {\n");
      open = version;
    }
    for (const char *w = g->names; *w; w += strspn(w, " ")) {
      const size_t n = strcspn(w, " ");
      at += sprintf(at, "%.*s;\n", (int)n, w);
      w += n;
    }
  }
  sprintf(at, "};\n");
  return text;
}

// An object that defines the symbols of a part; nothing of it is ever run.
static int32_t code_of(fv_kernels *k, libc_part p, fv_report *r, LLVMMemoryBufferRef *out) {
  LLVMModuleRef m = llvm_new_module(k, "libc");
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(k->cx), NULL, 0, 0);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(k->cx);
  for (int i = 0; i < GROUPS; i++)
    for (const char *w = groups[i].names; groups[i].part == p && *w; w += strspn(w, " ")) {
      const size_t n = strcspn(w, " ");
      LLVMValueRef fn = LLVMAddFunction(m, "", type);
      LLVMSetValueName2(fn, w, n);
      LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(k->cx, fn, ""));
      LLVMBuildRetVoid(b);
      w += n;
    }
  LLVMDisposeBuilder(b);
  const int32_t status =
      llvm_codegen(k->device, k->device->machine, m, LLVMObjectFile, &k->errors, r, out);
  LLVMDisposeModule(m);
  return status;
}

static int32_t make_part(llvm_linker *l, fv_kernels *k, libc_part p, fv_report *r) {
  LLVMMemoryBufferRef object = NULL;
  char *versions = version_script(k->device, p);
  if (!versions)
    return FV_PLUGIN_OOM;
  int32_t status = llvm_linker_add_text(l, part[p].versions, versions);
  free(versions);
  if (status == FV_PLUGIN_OK)
    status = code_of(k, p, r, &object);
  if (status != FV_PLUGIN_OK)
    return status;
  status = llvm_linker_add_buffer(l, part[p].code, object);
  LLVMDisposeMemoryBuffer(object);
  const char *argv[] = {NULL,
                        "-shared",
                        "-soname",
                        part[p].soname,
                        "--version-script",
                        l->path[part[p].versions],
                        "-o",
                        "-",
                        l->path[part[p].code],
                        NULL};
  return status == FV_PLUGIN_OK ? llvm_linker_run(l, argv, part[p].file) : status;
}

int32_t llvm_make_libc(llvm_linker *l, fv_kernels *k, fv_report *r) {
  int32_t status = FV_PLUGIN_OK;
  for (int p = 0; p < LIBC_PARTS && status == FV_PLUGIN_OK; p++)
    status = make_part(l, k, (libc_part)p, r);
  return status;
}
