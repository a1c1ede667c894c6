// SPDX-License-Identifier: Apache-2.0
#include "runtime/library.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "fovea/program.h"

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#elif defined(__riscv)
#define THIS_MACHINE EM_RISCV
#else
#define THIS_MACHINE EM_NONE
#endif

typedef struct elf {
  const unsigned char *data;
  size_t size;
  Elf64_Ehdr head;
} elf;

static bool within(const elf *e, uint64_t offset, uint64_t size) {
  return offset <= e->size && size <= e->size - offset;
}

static bool section(const elf *e, uint32_t i, Elf64_Shdr *out) {
  const uint64_t at = (uint64_t)i * sizeof *out;
  if (i >= e->head.e_shnum || !within(e, e->head.e_shoff, at + sizeof *out))
    return false;
  memcpy(out, e->data + e->head.e_shoff + at, sizeof *out);
  return true;
}

// Header, and nothing that it names lies past the end of the file.
static const char *check_whole(elf *e) {
  if (e->size < sizeof e->head)
    return "the file is too short to be a library";
  memcpy(&e->head, e->data, sizeof e->head);
  const Elf64_Ehdr *h = &e->head;
  if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
      h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_DYN)
    return "the file is no shared library";
  if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_shentsize != sizeof(Elf64_Shdr) ||
      !within(e, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr)) ||
      !within(e, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr)))
    return "the library is cut short or damaged";
  for (uint32_t i = 0; i < h->e_phnum; i++) {
    Elf64_Phdr p;
    memcpy(&p, e->data + h->e_phoff + i * sizeof p, sizeof p);
    if (p.p_type == PT_LOAD && !within(e, p.p_offset, p.p_filesz))
      return "the library is cut short or damaged";
  }
  for (uint32_t i = 0; i < h->e_shnum; i++) {
    Elf64_Shdr s;
    if (!section(e, i, &s) ||
        (s.sh_type != SHT_NOBITS && s.sh_type != SHT_NULL && !within(e, s.sh_offset, s.sh_size)))
      return "the library is cut short or damaged";
  }
  return NULL;
}

//===-- The seal --------------------------------------------------------------===//

static const unsigned char seal_mark[8] = {'F', 'O', 'V', 'E', 'A', 'S', '1', '\n'};

void fv_library_seal(const void *data, size_t size, unsigned char out[FV_SEAL_BYTES]) {
  const fv_hash128 h = fv_hash_bytes(data, size);
  memcpy(out, seal_mark, sizeof seal_mark);
  memcpy(out + 8, &h.lo, sizeof h.lo);
  memcpy(out + 16, &h.hi, sizeof h.hi);
}

// Tables that only the loader reads, and code, can be checked in no other way.
static const char *check_seal(const elf *e) {
  unsigned char seal[FV_SEAL_BYTES];
  if (e->size < sizeof seal)
    return NULL;
  const unsigned char *have = e->data + e->size - sizeof seal;
  if (memcmp(have, seal_mark, sizeof seal_mark) != 0)
    return NULL;
  fv_library_seal(e->data, e->size - sizeof seal, seal);
  return memcmp(have, seal, sizeof seal) == 0
             ? NULL
             : "the library was changed or damaged after it was made";
}

//===-- The exported function -------------------------------------------------===//

static bool ends_with_get(const char *s) {
  const size_t n = strlen(s);
  return n > 4 && strcmp(s + n - 4, "_get") == 0;
}

// The only defined symbol of the dynamic table, if its name ends in _get.
static const char *find_getter(const elf *e) {
  const char *found = NULL;
  for (uint32_t i = 0; i < e->head.e_shnum; i++) {
    Elf64_Shdr table, text;
    if (!section(e, i, &table) || table.sh_type != SHT_DYNSYM)
      continue;
    if (!section(e, table.sh_link, &text) || text.sh_type != SHT_STRTAB || text.sh_size == 0 ||
        e->data[text.sh_offset + text.sh_size - 1] != 0)
      return NULL;
    for (uint64_t k = 0; k < table.sh_size / sizeof(Elf64_Sym); k++) {
      Elf64_Sym s;
      memcpy(&s, e->data + table.sh_offset + k * sizeof s, sizeof s);
      if (s.st_shndx == SHN_UNDEF)
        continue;
      const char *name = (const char *)e->data + text.sh_offset + s.st_name;
      if (found || ELF64_ST_TYPE(s.st_info) != STT_FUNC || s.st_name >= text.sh_size ||
          !ends_with_get(name))
        return NULL;
      found = name;
    }
  }
  return found;
}

//===-- The program -------------------------------------------------------------===//

// Programs are 64-byte aligned in memory, hence in the file.
static const char *check_program(const elf *e) {
  const char *why = "the library holds no program of fovea";
  for (size_t at = 0; at < e->size && e->size - at >= sizeof(fv_program); at += 64) {
    fv_program head;
    memcpy(&head, e->data + at, sizeof head);
    if (head.magic != FV_PROGRAM_MAGIC || head.image_bytes < sizeof head ||
        !within(e, at, head.image_bytes))
      continue;
    if (head.version != FV_PROGRAM_VERSION)
      return "the library was made by another version of fovea";
    unsigned char *copy = malloc(head.image_bytes);
    if (!copy)
      return "out of memory";
    const uint64_t lo = head.hash_lo, hi = head.hash_hi;
    head.hash_lo = head.hash_hi = 0;
    memcpy(copy, e->data + at, head.image_bytes);
    memcpy(copy, &head, sizeof head);
    const fv_hash128 h = fv_hash_bytes(copy, head.image_bytes);
    free(copy);
    if (h.lo == lo && h.hi == hi)
      return NULL;
    why = "the program in the library is damaged";
  }
  return why;
}

const char *fv_library_getter(const void *data, size_t size, const char **out_why,
                              bool *out_foreign) {
  elf e = {.data = data, .size = size};
  const char *name = NULL, *why = check_whole(&e);
  bool foreign = false;
  if (!why)
    why = check_seal(&e);
  if (!why && !(name = find_getter(&e)))
    why = "the library was not made by fovea";
  if (!why && e.head.e_machine != THIS_MACHINE) {
    why = "the library was made for another machine";
    foreign = true;
  }
  if (!why)
    why = check_program(&e);
  *out_why = why ? why : "";
  if (out_foreign)
    *out_foreign = foreign;
  return why ? NULL : name;
}
