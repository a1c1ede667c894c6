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

static bool has_arch(const cpu *c, const char *triple) {
  const size_t n = strlen(c->arch);
  return strncmp(triple, c->arch, n) == 0 && (!triple[n] || triple[n] == '-');
}

const char *llvm_cpu_features(const char *triple, const char *name) {
  for (int i = 0; i < CPUS; i++)
    if (has_arch(&cpus[i], triple) && strcmp(cpus[i].name, name) == 0)
      return cpus[i].features;
  return NULL;
}

static bool has_word(const char *list, const char *word, size_t n) {
  for (const char *p = list; *p; p += strspn(p, ",")) {
    const size_t m = strcspn(p, ",");
    if (m == n && memcmp(p, word, n) == 0)
      return true;
    p += m;
  }
  return false;
}

//===-- What was meant --------------------------------------------------===//

enum { WORD = 31 };  // longer words are not guessed at

typedef struct guess {
  const char *word;
  size_t n, best;
  char text[WORD + 1];
} guess;

// Levenshtein's distance; SIZE_MAX for long words.
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
  size_t row[WORD + 1];
  if (n > WORD || m > WORD)
    return SIZE_MAX;
  for (size_t j = 0; j <= m; j++)
    row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      const size_t change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      const size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
      row[j] = change < shorter + 1 ? change : shorter + 1;
    }
  }
  return row[m];
}

static void consider(guess *g, const char *name, size_t n) {
  const size_t d = distance(g->word, g->n, name, n);
  if (d >= g->best || d > g->n / 3 + 1)
    return;
  g->best = d;
  snprintf(g->text, sizeof g->text, "%.*s", (int)n, name);
}

static int32_t unknown(const fv_host *host, fv_report *r, const guess *g, const char *what,
                       const char *triple) {
  char text[128];
  const int32_t s = llvm_report(host, r, FV_PLUGIN_ARG, "llvm: there is no %s '%.*s' of '%s'", what,
                                (int)g->n, g->word, triple);
  if (g->text[0]) {
    snprintf(text, sizeof text, "did you mean '%s'?", g->text);
    host->note(r, text);
  }
  return s;
}

//===-- Checks ----------------------------------------------------------===//

static int32_t check_cpu(const fv_host *host, fv_report *r, const char *triple, const char *name) {
  guess g = {.word = name, .n = strlen(name), .best = SIZE_MAX};
  if (llvm_cpu_features(triple, name))
    return FV_PLUGIN_OK;
  for (int i = 0; i < CPUS; i++)
    if (has_arch(&cpus[i], triple))
      consider(&g, cpus[i].name, strlen(cpus[i].name));
  return unknown(host, r, &g, "cpu", triple);
}

// One feature without its sign: an instruction set that some CPU has.
static int32_t check_feature(const fv_host *host, fv_report *r, const char *triple,
                             const char *name, size_t n) {
  guess g = {.word = name, .n = n, .best = SIZE_MAX};
  for (int i = 0; i < CPUS; i++) {
    if (!has_arch(&cpus[i], triple))
      continue;
    if (has_word(cpus[i].features, name, n))
      return FV_PLUGIN_OK;
    for (const char *p = cpus[i].features; *p; p += strspn(p, ",")) {
      const size_t m = strcspn(p, ",");
      consider(&g, p, m);
      p += m;
    }
  }
  return unknown(host, r, &g, "feature", triple);
}

static int32_t check_features(const fv_host *host, fv_report *r, const char *triple,
                              const char *list) {
  const char *least = llvm_cpu_features(triple, LLVM_LEAST_CPU(triple));
  for (const char *p = list; *p; p += strspn(p, ",")) {
    const size_t n = strcspn(p, ",");
    if (n < 2 || (*p != '+' && *p != '-'))
      return llvm_report(host, r, FV_PLUGIN_ARG,
                         "llvm: features: '%.*s' is neither +NAME nor -NAME", (int)n, p);
    const int32_t s = check_feature(host, r, triple, p + 1, n - 1);
    if (s != FV_PLUGIN_OK)
      return s;
    if (*p == '-' && least && has_word(least, p + 1, n - 1))
      return llvm_report(host, r, FV_PLUGIN_ARG, "llvm: features: every cpu of '%s' has '%.*s'",
                         triple, (int)n - 1, p + 1);
    p += n;
  }
  return FV_PLUGIN_OK;
}

int32_t llvm_check_names(const fv_host *host, fv_report *r, const char *triple, const char *name,
                         const char *features) {
  bool known = false;
  for (int i = 0; i < CPUS; i++)
    known = known || has_arch(&cpus[i], triple);
  if (!known && (name || features))
    return llvm_report(host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: the options cpu and features are not known for '%s'", triple);
  int32_t s = name ? check_cpu(host, r, triple, name) : FV_PLUGIN_OK;
  if (s == FV_PLUGIN_OK && features)
    s = check_features(host, r, triple, features);
  return s;
}
