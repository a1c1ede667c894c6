// SPDX-License-Identifier: Apache-2.0
//
// What one core can do at most, of f32:
//
//   peak fma     multiply-adds: independent chains in the widest vectors there are
//   peak read    bytes read from a buffer that no cache holds
//   peak copy    bytes read and written, from such a buffer to another
//
// The first line of output says how much work one iteration is; then see slices.h.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slices.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { STEPS = 20000, BUFFER = 256 << 20 };

typedef struct machine {
  const char *name;
  int flop_per_step;
  float (*fma)(float m, float a);                 // STEPS steps
  uint64_t (*read)(const char *p, size_t bytes);  // bytes: a multiple of 4096
} machine;

// CHAINS chains of v = v * m + a: enough to hide the latency, few enough to stay in
// 16 registers. Variables, because gcc 12 keeps an array in memory; the empty asm
// keeps a compiler from making vectors of the chains.
// clang-format off
#define EACH_CHAIN(X, WITH)                                                            \
  X(0, WITH) X(1, WITH) X(2, WITH) X(3, WITH) X(4, WITH) X(5, WITH) X(6, WITH) X(7, WITH) \
  X(8, WITH) X(9, WITH) X(10, WITH) X(11, WITH)
#define CHAIN_BEGIN(i, V) V v##i = {(float)(i)};
#define CHAIN_STEP(i, MAD) v##i = MAD(v##i, vm, va); __asm__("" : "+x"(v##i));
#define CHAIN_END(i, SUM) sum = SUM(sum, v##i);
enum { CHAINS = 12 };

#define FMA_LOOP(V, SPLAT, MAD, SUM)          \
  const V vm = SPLAT(m), va = SPLAT(a);       \
  V sum = SPLAT(0);                           \
  EACH_CHAIN(CHAIN_BEGIN, V)                  \
  for (int k = 0; k < STEPS; k++) {           \
    EACH_CHAIN(CHAIN_STEP, MAD)               \
  }                                           \
  EACH_CHAIN(CHAIN_END, SUM)                  \
  float out[sizeof(V) / sizeof(float)];       \
  memcpy(out, &sum, sizeof out);              \
  return out[0]

#define READ_LOOP(V, LOAD, XOR)                     \
  enum { N = 8 };                                   \
  V v[N];                                           \
  memset(v, 0, sizeof v);                           \
  for (size_t at = 0; at < bytes; at += N * sizeof(V)) { \
    _Pragma("GCC unroll 8") for (size_t i = 0; i < N; i++) \
      v[i] = XOR(v[i], LOAD((const void *)(p + at + i * sizeof(V)))); \
  }                                                 \
  uint64_t out = 0, word[sizeof v / 8];             \
  memcpy(word, v, sizeof word);                     \
  for (size_t i = 0; i < sizeof v / 8; i++)         \
    out ^= word[i];                                 \
  return out

// clang-format on

#if defined(__x86_64__)

__attribute__((target("avx512f"))) static float fma_512(float m, float a) {
  FMA_LOOP(__m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps);
}
__attribute__((target("avx512f"))) static uint64_t read_512(const char *p, size_t bytes) {
  READ_LOOP(__m512i, _mm512_loadu_si512, _mm512_xor_si512);
}
__attribute__((target("avx2,fma"))) static float fma_256(float m, float a) {
  FMA_LOOP(__m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps);
}
__attribute__((target("avx2"))) static uint64_t read_256(const char *p, size_t bytes) {
  READ_LOOP(__m256i, _mm256_loadu_si256, _mm256_xor_si256);
}
static inline __m128 mad_128(__m128 v, __m128 m, __m128 a) {
  return _mm_add_ps(_mm_mul_ps(v, m), a);
}
static float fma_128(float m, float a) {
  FMA_LOOP(__m128, _mm_set1_ps, mad_128, _mm_add_ps);
}
static uint64_t read_128(const char *p, size_t bytes) {
  READ_LOOP(__m128i, _mm_loadu_si128, _mm_xor_si128);
}

static machine find_machine(void) {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f"))
    return (machine){"avx512f", 2 * CHAINS * 16, fma_512, read_512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (machine){"avx2+fma", 2 * CHAINS * 8, fma_256, read_256};
  return (machine){"sse2", 2 * CHAINS * 4, fma_128, read_128};
}

#else
#error "peak.c knows x86-64 only"
#endif

typedef struct job {
  machine cpu;
  char *from, *to;
  volatile float m, a;  // the compiler shall not know them
  volatile float sink;
  volatile uint64_t bits;
} job;

static int once_fma(void *user) {
  job *j = user;
  j->sink = j->cpu.fma(j->m, j->a);
  return 0;
}

static int once_read(void *user) {
  job *j = user;
  j->bits = j->cpu.read(j->from, BUFFER);
  return 0;
}

static int once_copy(void *user) {
  job *j = user;
  memcpy(j->to, j->from, BUFFER);
  __asm__("" : : "r"(j->to) : "memory");
  return 0;
}

static int make_buffers(job *j) {
  j->from = aligned_alloc(4096, BUFFER);
  j->to = aligned_alloc(4096, BUFFER);
  if (!j->from || !j->to)
    return 1;
  memset(j->from, 1, BUFFER);
  memset(j->to, 2, BUFFER);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc == 2 ? argv[1] : "";
  const int fma = strcmp(what, "fma") == 0, copy = strcmp(what, "copy") == 0;
  if (!fma && !copy && strcmp(what, "read") != 0) {
    fprintf(stderr, "usage: peak fma|read|copy\n");
    return 2;
  }
  job j = {.cpu = find_machine(), .m = 0.75F, .a = 0.25F};  // v stays between 0 and CHAINS
  if (!fma && make_buffers(&j)) {
    fprintf(stderr, "peak: no memory\n");
    return 1;
  }
  const long work = fma ? (long)STEPS * j.cpu.flop_per_step : copy ? 2L * BUFFER : BUFFER;
  printf("{\"what\": \"%s\", \"vectors\": \"%s\", \"work\": %ld}\n", what, j.cpu.name, work);
  fflush(stdout);
  const int code = slices_serve(&(slices){.user = &j,
                                          .once = fma    ? once_fma
                                                  : copy ? once_copy
                                                         : once_read});
  free(j.from);
  free(j.to);
  return code;
}
