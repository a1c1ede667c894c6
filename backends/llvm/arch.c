// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "llvm_backend.h"

static const char *const features_x86_64[] = {
#define X86_64(id, name, leaf, sub, reg, bit, state) name,
#include "fovea/features.def"
    NULL};
static const char *const features_aarch64[] = {
#define AARCH64(id, name, word, bit) name,
#include "fovea/features.def"
    NULL};

static const llvm_arch archs[] = {
#define ARCH(name, runtime, cpu_flag, least, machine, registers, call, jump, glibc, uses) \
  {#name, least, machine, registers, {call, jump}, glibc, features_##name, uses},
#include "fovea/arch.def"
#undef ARCH
};
enum { ARCHS = (int)(sizeof archs / sizeof *archs) };

const llvm_arch *llvm_arch_of(const char *triple) {
  const size_t n = strcspn(triple, "-");
  for (int i = 0; i < ARCHS; i++)
    if (strlen(archs[i].name) == n && memcmp(archs[i].name, triple, n) == 0)
      return &archs[i];
  return NULL;
}

static const char *name_at(void *user, int i) {
  (void)user;
  return i < ARCHS ? archs[i].name : NULL;
}

int32_t llvm_no_arch(const fv_host *host, fv_report *r, const char *triple) {
  char all[128] = "", word[64];
  size_t at = 0;
  for (int i = 0; i < ARCHS && at < sizeof all; i++)
    at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", archs[i].name);
  snprintf(word, sizeof word, "%.*s", (int)strcspn(triple, "-"), triple);
  const int32_t s =
      llvm_report(host, r, FV_PLUGIN_UNSUPPORTED,
                  "llvm: no code is made for '%s'; the architectures are %s", triple, all);
  host->did_you_mean(r, word, name_at, NULL);
  return s;
}

// arch-vendor-linux[-gnu], as LLVM writes it.
bool llvm_is_linux_gnu(const char *triple) {
  const char *p = strchr(triple, '-');
  p = p ? strchr(p + 1, '-') : NULL;
  return p && (strcmp(p, "-linux") == 0 || strcmp(p, "-linux-gnu") == 0);
}

bool llvm_calls_nothing(const llvm_arch *arch, const char *assembly) {
  return !strstr(assembly, arch->calls[0]) && !strstr(assembly, arch->calls[1]);
}
