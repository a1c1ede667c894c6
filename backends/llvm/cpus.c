// SPDX-License-Identifier: Apache-2.0
// The names of CPUs and of instruction sets that an option may give. The table
// is made from LLVM when fovea is built (cpus.cmake).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

typedef struct cpu {
  const char *arch, *name, *features;
} cpu;

static const cpu cpus[] = {
#define CPU(arch, name, features) {arch, name, features},
#include "llvm_cpus.inc"
#undef CPU
};
enum { CPUS = (int)(sizeof cpus / sizeof *cpus) };

static bool has_arch(const cpu *c, const llvm_arch *arch) {
  return strcmp(c->arch, arch->name) == 0;
}

const char *llvm_cpu_features(const llvm_arch *arch, const char *name) {
  for (int i = 0; i < CPUS; i++)
    if (has_arch(&cpus[i], arch) && strcmp(cpus[i].name, name) == 0)
      return cpus[i].features;
  return NULL;
}

bool llvm_has_word(const char *list, const char *word, size_t n) {
  for (const char *p = list; *p; p += strspn(p, ",")) {
    const size_t m = strcspn(p, ",");
    if (m == n && memcmp(p, word, n) == 0)
      return true;
    p += m;
  }
  return false;
}

//===-- Checks ----------------------------------------------------------===//

// Names that may be meant: of CPUs, or of instruction sets that some CPU has.
typedef struct names {
  const llvm_arch *arch;
  bool features;
  char text[64];
} names;

static const char *word_at(names *all, const char *list, int *i) {
  for (const char *p = list; *p; p += strspn(p, ",")) {
    const size_t n = strcspn(p, ",");
    if ((*i)-- == 0) {
      snprintf(all->text, sizeof all->text, "%.*s", (int)n, p);
      return all->text;
    }
    p += n;
  }
  return NULL;
}

static const char *name_at(void *user, int i) {
  names *all = user;
  for (int c = 0; c < CPUS; c++) {
    if (!has_arch(&cpus[c], all->arch))
      continue;
    const char *word = word_at(all, all->features ? cpus[c].features : cpus[c].name, &i);
    if (word)
      return word;
  }
  return NULL;
}

static int32_t unknown(const fv_host *host, fv_report *r, const char *word, names *all) {
  const int32_t s = llvm_report(host, r, FV_PLUGIN_ARG, "llvm: there is no %s '%s' of '%s'",
                                all->features ? "feature" : "cpu", word, all->arch->name);
  host->did_you_mean(r, word, name_at, all);
  return s;
}

bool llvm_is_feature(const llvm_arch *arch, const char *name, size_t n) {
  for (int i = 0; i < CPUS; i++)
    if (has_arch(&cpus[i], arch) && llvm_has_word(cpus[i].features, name, n))
      return true;
  return false;
}

static int32_t check_features(const fv_host *host, fv_report *r, const llvm_arch *arch,
                              const char *list) {
  const char *least = llvm_cpu_features(arch, arch->least);
  for (const char *p = list; *p; p += strspn(p, ",")) {
    const size_t n = strcspn(p, ",");
    if (n < 2 || (*p != '+' && *p != '-'))
      return llvm_report(host, r, FV_PLUGIN_ARG,
                         "llvm: features: '%.*s' is neither +NAME nor -NAME", (int)n, p);
    if (!llvm_is_feature(arch, p + 1, n - 1)) {
      char word[64];
      snprintf(word, sizeof word, "%.*s", (int)n - 1, p + 1);
      return unknown(host, r, word, &(names){.arch = arch, .features = true});
    }
    if (*p == '-' && least && llvm_has_word(least, p + 1, n - 1))
      return llvm_report(host, r, FV_PLUGIN_ARG, "llvm: features: every cpu of '%s' has '%.*s'",
                         arch->name, (int)n - 1, p + 1);
    p += n;
  }
  return FV_PLUGIN_OK;
}

int32_t llvm_check_names(const fv_host *host, fv_report *r, const llvm_arch *arch, const char *name,
                         const char *features) {
  if (name && !llvm_cpu_features(arch, name))
    return unknown(host, r, name, &(names){.arch = arch});
  return features ? check_features(host, r, arch, features) : FV_PLUGIN_OK;
}
