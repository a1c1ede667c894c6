// SPDX-License-Identifier: Apache-2.0
// What the processor can do, by LLVM's names.
#include <stdbool.h>

#include "runtime/exec/cpu.h"
#include "runtime/exec/libc.h"

#if defined(__x86_64__)

typedef struct feature {
  const char *name;
  uint32_t leaf, sub;
  uint8_t reg, bit;  // eax, ebx, ecx, edx
  uint8_t state;     // XCR0 bits that the system must have enabled
} feature;

enum { AVX_STATE = 0x06, AVX512_STATE = 0xe6 };

static const feature known[] = {
    {"sse3", 1, 0, 2, 0, 0},
    {"pclmul", 1, 0, 2, 1, 0},
    {"ssse3", 1, 0, 2, 9, 0},
    {"fma", 1, 0, 2, 12, AVX_STATE},
    {"cx16", 1, 0, 2, 13, 0},
    {"sse4.1", 1, 0, 2, 19, 0},
    {"sse4.2", 1, 0, 2, 20, 0},
    {"movbe", 1, 0, 2, 22, 0},
    {"popcnt", 1, 0, 2, 23, 0},
    {"aes", 1, 0, 2, 25, 0},
    {"avx", 1, 0, 2, 28, AVX_STATE},
    {"f16c", 1, 0, 2, 29, AVX_STATE},
    {"bmi", 7, 0, 1, 3, 0},
    {"avx2", 7, 0, 1, 5, AVX_STATE},
    {"bmi2", 7, 0, 1, 8, 0},
    {"avx512f", 7, 0, 1, 16, AVX512_STATE},
    {"avx512dq", 7, 0, 1, 17, AVX512_STATE},
    {"avx512ifma", 7, 0, 1, 21, AVX512_STATE},
    {"avx512cd", 7, 0, 1, 28, AVX512_STATE},
    {"avx512bw", 7, 0, 1, 30, AVX512_STATE},
    {"avx512vl", 7, 0, 1, 31, AVX512_STATE},
    {"avx512vbmi", 7, 0, 2, 1, AVX512_STATE},
    {"avx512vbmi2", 7, 0, 2, 6, AVX512_STATE},
    {"gfni", 7, 0, 2, 8, 0},
    {"vaes", 7, 0, 2, 9, AVX_STATE},
    {"vpclmulqdq", 7, 0, 2, 10, AVX_STATE},
    {"avx512vnni", 7, 0, 2, 11, AVX512_STATE},
    {"avx512bitalg", 7, 0, 2, 12, AVX512_STATE},
    {"avx512vpopcntdq", 7, 0, 2, 14, AVX512_STATE},
    {"avx512fp16", 7, 0, 3, 23, AVX512_STATE},
    {"avxvnni", 7, 1, 0, 4, AVX_STATE},
    {"avx512bf16", 7, 1, 0, 5, AVX512_STATE},
    {"lzcnt", 0x80000001, 0, 2, 5, 0},
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

static bool has(const feature *f, uint32_t state) {
  uint32_t r[4];
  return (state & f->state) == f->state && cpuid(f->leaf, f->sub, r) && (r[f->reg] >> f->bit & 1);
}

static bool has_name(const char *name, size_t n, uint32_t state) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strlen(known[i].name) == n && strncmp(known[i].name, name, n) == 0)
      return has(&known[i], state);
  return true;  // none that this file knows
}

#else

static uint32_t enabled_state(void) {
  return 0;
}
static bool has_name(const char *name, size_t n, uint32_t state) {
  (void)name;
  (void)n;
  (void)state;
  return true;
}

#endif

int fv_cpu_has(const char *features, char *missing, uint64_t size) {
  const uint32_t state = enabled_state();
  uint64_t at = 0;
  int all = 1;
  for (const char *s = features ? features : ""; *s;) {
    size_t n = 0;
    while (s[n] && s[n] != ',')
      n++;
    const size_t sign = *s == '+';
    // "-x" says that the code does without x.
    if (n > sign && *s != '-' && !has_name(s + sign, n - sign, state)) {
      if (at < size)
        at += (uint64_t)snprintf(missing + at, (size_t)(size - at), "%s%.*s", all ? "" : ",",
                                 (int)(n - sign), s + sign);
      all = 0;
    }
    s += n + (s[n] == ',');
  }
  return all;
}
