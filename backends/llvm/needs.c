// SPDX-License-Identifier: Apache-2.0
// Which instruction sets a machine must have to run a set of kernels. What the code generator may
// use is limited to what a program can ask its processor for; what it did use is read off the code.
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

//===-- What may be used ------------------------------------------------===//

typedef struct feature {
  const char *name;
  size_t n;
  bool without;  // "-name"
} feature;

static int compare(const void *a, const void *b) {
  const feature *x = a, *y = b;
  const int c = memcmp(x->name, y->name, x->n < y->n ? x->n : y->n);
  if (c != 0 || x->n != y->n)
    return c ? c : x->n < y->n ? -1 : 1;
  return x->name < y->name ? -1 : 1;  // equal names keep their order
}

// The features in a list, sorted, each once; of equal names the last counts. From malloc.
static feature *sort_features(const char *list, size_t *out_count) {
  size_t count = 0, kept = 0;
  feature *f = calloc(strlen(list) + 1, sizeof *f);
  if (!f)
    return NULL;
  for (const char *p = list; *p; p += strspn(p, ",")) {
    const size_t n = strcspn(p, ","), sign = *p == '+' || *p == '-';
    f[count++] = (feature){p + sign, n - sign, *p == '-'};
    p += n;
  }
  qsort(f, count, sizeof *f, compare);
  for (size_t i = 0; i < count; i++) {
    const bool again =
        i + 1 < count && f[i].n == f[i + 1].n && memcmp(f[i].name, f[i + 1].name, f[i].n) == 0;
    if (f[i].n && !f[i].without && !again)
      f[kept++] = f[i];
  }
  *out_count = kept;
  return f;
}

// The bit of a feature in the sets of its architecture; -1: it has none.
static int bit_of(const llvm_arch *arch, const char *name, size_t n) {
  for (int i = 0; arch->features[i]; i++)
    if (strlen(arch->features[i]) == n && memcmp(arch->features[i], name, n) == 0)
      return i;
  return -1;
}

static bool is_given(const char *given, const feature *f) {
  char word[64];
  const int n = snprintf(word, sizeof word, "+%.*s", (int)f->n, f->name);
  return n > 0 && (size_t)n < sizeof word && llvm_has_word(given, word, (size_t)n);
}

bool llvm_limit_features(fv_device *d, const char *given) {
  // The host's own features are all in d->features.
  const char *of_cpu = d->host_features ? NULL : llvm_cpu_features(d->arch, d->cpu);
  const char *least = llvm_cpu_features(d->arch, d->arch->least);
  const size_t n = (of_cpu ? strlen(of_cpu) + 1 : 0) + strlen(d->features) + 1;
  char *list = malloc(n), *less = calloc(2 * n + strlen(d->features), 1), *has = calloc(n, 1);
  feature *f = NULL;
  size_t count = 0;
  if (list) {
    snprintf(list, n, "%s%s%s", of_cpu ? of_cpu : "", of_cpu ? "," : "", d->features);
    f = sort_features(list, &count);
  }
  const bool ok = f && less && has;
  if (ok) {
    char *to = less + sprintf(less, "%s", d->features), *out = has;
    for (size_t i = 0; i < count; i++) {
      if (!llvm_is_feature(d->arch, f[i].name, f[i].n) ||
          (least && llvm_has_word(least, f[i].name, f[i].n)))
        continue;
      if (bit_of(d->arch, f[i].name, f[i].n) >= 0 || is_given(given, &f[i]))
        out += sprintf(out, "%s%.*s", out > has ? "," : "", (int)f[i].n, f[i].name);
      else
        to += sprintf(to, "%s-%.*s", to > less ? "," : "", (int)f[i].n, f[i].name);
    }
    free(d->features);
    d->features = less;
    d->has = has;
  } else {
    free(less);
    free(has);
  }
  free(f);
  free(list);
  return ok;
}

//===-- What is used ----------------------------------------------------===//

// The features of all code in an object; false if that cannot be told.
static bool find_uses(const fv_device *d, const uint8_t *data, size_t size, uint64_t *set) {
  const llvm_arch *arch = d->arch;
  Elf64_Ehdr h;
  if (!arch->uses || size < sizeof h || memcmp(data, ELFMAG, SELFMAG) != 0)
    return false;
  memcpy(&h, data, sizeof h);
  uint64_t has = 0;
  for (int i = 0; arch->features[i]; i++)
    if (llvm_has_word(d->has, arch->features[i], strlen(arch->features[i])))
      has |= 1ull << i;
  if (h.e_shoff > size || (size - h.e_shoff) / sizeof(Elf64_Shdr) < h.e_shnum)
    return false;
  for (uint32_t i = 0; i < h.e_shnum; i++) {
    Elf64_Shdr s;
    memcpy(&s, data + h.e_shoff + i * sizeof s, sizeof s);
    if (s.sh_type != SHT_PROGBITS || !(s.sh_flags & SHF_EXECINSTR))
      continue;
    if (s.sh_offset > size || s.sh_size > size - s.sh_offset ||
        !arch->uses(data + s.sh_offset, s.sh_size, has, set))
      return false;
  }
  return true;
}

bool llvm_find_needs(fv_kernels *k) {
  const fv_device *d = k->device;
  const char *const *name = d->arch->features;
  uint64_t set = 0;
  size_t room = 1;
  for (size_t i = 0; i < k->n_part; i++)
    if (!find_uses(d, (const uint8_t *)LLVMGetBufferStart(k->part[i].object),
                   LLVMGetBufferSize(k->part[i].object), &set))
      return (k->needs = strdup(d->has)) != NULL;
  // Not only names in d->has: those bring others with them, as fma does avx.
  for (int i = 0; name[i]; i++)
    room += strlen(name[i]) + 1;
  char *out = k->needs = calloc(room, 1);
  for (int i = 0; out && name[i]; i++)
    if (set >> i & 1)
      out += sprintf(out, "%s%s", out > k->needs ? "," : "", name[i]);
  return out != NULL;
}
