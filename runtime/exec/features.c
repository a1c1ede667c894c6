// SPDX-License-Identifier: Apache-2.0
// Which instruction sets the processor has, by LLVM's names.
#include <stdbool.h>

#include "runtime/exec/cpu.h"
#include "runtime/exec/libc.h"

#if defined(__x86_64__)

typedef struct feature {
  const char *name;
  uint32_t leaf, sub;
  uint8_t reg, bit;  // eax, ebx, ecx, edx
  uint8_t state;     // parts of XCR0 that the system must have enabled
} feature;

static const feature known[] = {
#define X86_64(id, name, leaf, sub, reg, bit, state) {name, leaf, sub, reg, bit, state},
#include "fovea/features.def"
};

static bool cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]) {
  __asm__ volatile("cpuid"
                   : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                   : "a"(leaf & 0x80000000), "c"(0));
  if (r[0] < leaf)
    return false;
  __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
  return true;
}

static uint32_t enabled_state(void) {
  uint32_t r[4], lo, hi;
  if (!cpuid(1, 0, r) || !(r[2] >> 27 & 1))  // OSXSAVE
    return 0;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return lo;
}

static bool has(const feature *f) {
  uint32_t r[4];
  return (enabled_state() & f->state) == f->state && cpuid(f->leaf, f->sub, r) &&
         (r[f->reg] >> f->bit & 1);
}

#elif defined(__aarch64__)

unsigned long getauxval(unsigned long type);

typedef struct feature {
  const char *name;
  uint8_t word, bit;
} feature;

static const feature known[] = {
#define AARCH64(id, name, word, bit) {name, word, bit},
#include "fovea/features.def"
};

static bool has(const feature *f) {
  static const unsigned long type[] = {16, 26};  // AT_HWCAP, AT_HWCAP2
  return getauxval(type[f->word]) >> f->bit & 1;
}

#else

typedef struct feature {
  const char *name;
} feature;

static const feature known[] = {{""}};

static bool has(const feature *f) {
  (void)f;
  return false;
}

#endif

// What is not known cannot be vouched for.
static bool has_name(const char *name, size_t n) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strlen(known[i].name) == n && strncmp(known[i].name, name, n) == 0)
      return has(&known[i]);
  return false;
}

int fv_cpu_has(const char *features, char *missing, uint64_t size) {
  uint64_t at = 0;
  int all = 1;
  for (const char *s = features ? features : ""; *s;) {
    size_t n = 0;
    while (s[n] && s[n] != ',')
      n++;
    if (n && !has_name(s, n)) {
      if (at < size)
        at += (uint64_t)snprintf(missing + at, (size_t)(size - at), "%s%.*s", all ? "" : ",",
                                 (int)n, s);
      all = 0;
    }
    s += n + (s[n] == ',');
  }
  return all;
}
