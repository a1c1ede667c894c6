// SPDX-License-Identifier: Apache-2.0
// The constants of a model pass through neither LLVM, which would copy them several times and
// cannot place more than 2 GB, nor the linker, which would hold them and its whole result in
// memory. It is given an object whose section has a size and no bytes; in what it makes, the
// headers are changed then to say that the bytes stand behind the end.
#include <elf.h>
#include <string.h>

#include "llvm_backend.h"

// Beyond this size the section is "large": the linker places it where 32-bit
// displacements need not reach over it.
#define LARGE_BYTES (UINT64_C(1) << 30)
#ifndef SHF_X86_64_LARGE
#define SHF_X86_64_LARGE 0x10000000
#endif

enum { S_NULL, S_DATA, S_SYMTAB, S_STRTAB, S_SHSTRTAB, S_STACK, S_COUNT };

// Section names in one string table: fixed offsets.
static const char small_names[] = "\0.rodata.fovea\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";
static const char large_names[] = "\0.lrodata.fovea\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";

static uint64_t put(llvm_elf *e, const void *data, size_t size, size_t align) {
  const size_t pad = (align - e->size % align) % align;
  memset(e->data + e->size, 0, pad);
  e->size += pad;
  memcpy(e->data + e->size, data, size);
  e->size += size;
  return e->size - size;
}

static void put_head(llvm_elf *e, uint16_t machine, uint64_t sections) {
  Elf64_Ehdr h = {
      .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
      .e_type = ET_REL,
      .e_machine = machine,
      .e_version = EV_CURRENT,
      .e_shoff = sections,
      .e_ehsize = sizeof(Elf64_Ehdr),
      .e_shentsize = sizeof(Elf64_Shdr),
      .e_shnum = S_COUNT,
      .e_shstrndx = S_SHSTRTAB,
  };
  memcpy(e->data, &h, sizeof h);
}

void llvm_elf_room(llvm_elf *e, uint16_t machine, const char *symbol, uint64_t size) {
  const bool large = machine == EM_X86_64 && size >= LARGE_BYTES;
  const char *names = large ? large_names : small_names;
  const size_t names_size = large ? sizeof large_names : sizeof small_names;
  char strings[LLVM_NAME_MAX + 2] = {0};
  const size_t n = strlen(symbol);
  memcpy(strings + 1, symbol, n < LLVM_NAME_MAX ? n : LLVM_NAME_MAX);
  const Elf64_Sym symbols[2] = {
      {0},
      {.st_name = 1,
       .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
       .st_other = STV_HIDDEN,
       .st_shndx = S_DATA,
       .st_size = size},
  };
  Elf64_Shdr s[S_COUNT] = {
      [S_DATA] = {.sh_type = size ? SHT_NOBITS : SHT_PROGBITS,
                  .sh_flags = SHF_ALLOC | (large ? SHF_X86_64_LARGE : 0),
                  .sh_offset = sizeof(Elf64_Ehdr),
                  .sh_size = size,
                  .sh_addralign = 64},
      [S_SYMTAB] = {.sh_type = SHT_SYMTAB,
                    .sh_size = sizeof symbols,
                    .sh_link = S_STRTAB,
                    .sh_info = 1,  // the first that is not local
                    .sh_addralign = 8,
                    .sh_entsize = sizeof symbols[0]},
      [S_STRTAB] = {.sh_type = SHT_STRTAB, .sh_size = n + 2, .sh_addralign = 1},
      [S_SHSTRTAB] = {.sh_type = SHT_STRTAB, .sh_size = names_size, .sh_addralign = 1},
      [S_STACK] = {.sh_type = SHT_PROGBITS, .sh_addralign = 1},
  };
  uint32_t name = 0;
  for (int i = 1; i < S_COUNT; i++) {
    name += (uint32_t)strlen(names + name) + 1;
    s[i].sh_name = name;
  }
  e->size = sizeof(Elf64_Ehdr);
  s[S_SYMTAB].sh_offset = put(e, symbols, sizeof symbols, 8);
  s[S_STRTAB].sh_offset = put(e, strings, n + 2, 1);
  s[S_SHSTRTAB].sh_offset = put(e, names, names_size, 1);
  s[S_STACK].sh_offset = s[S_SHSTRTAB].sh_offset;
  put_head(e, machine, put(e, s, sizeof s, 8));
}

//===-- What the linker made ----------------------------------------------===//

static bool within(size_t size, uint64_t at, uint64_t count, uint64_t each) {
  return at <= size && count <= (size - at) / each;
}

// Makes the segment of section `s`, which has one of its own, count on the file's bytes at `at`.
static bool move_segment(unsigned char *data, const Elf64_Ehdr *h, const Elf64_Shdr *s,
                         uint64_t at) {
  for (uint32_t i = 0; i < h->e_phnum; i++) {
    unsigned char *where = data + h->e_phoff + i * sizeof(Elf64_Phdr);
    Elf64_Phdr p;
    memcpy(&p, where, sizeof p);
    if (p.p_type != PT_LOAD || p.p_vaddr != s->sh_addr || p.p_memsz != s->sh_size ||
        p.p_filesz != 0)
      continue;
    p.p_offset = at;
    p.p_filesz = p.p_memsz;
    memcpy(where, &p, sizeof p);
    return true;
  }
  return false;
}

bool llvm_elf_fill(void *file, size_t size, uint64_t room, uint64_t *out_at) {
  unsigned char *data = file;
  Elf64_Ehdr h;
  if (size < sizeof h)
    return false;
  memcpy(&h, data, sizeof h);
  if (!within(size, h.e_shoff, h.e_shnum, sizeof(Elf64_Shdr)) ||
      !within(size, h.e_phoff, h.e_phnum, sizeof(Elf64_Phdr)))
    return false;
  for (uint32_t i = 0; i < h.e_shnum; i++) {
    unsigned char *where = data + h.e_shoff + i * sizeof(Elf64_Shdr);
    Elf64_Shdr s;
    memcpy(&s, where, sizeof s);
    if (s.sh_type != SHT_NOBITS || s.sh_flags & SHF_WRITE || s.sh_size != room)
      continue;
    // Pages are mapped whole: addresses and places are equal within the largest page.
    const uint64_t page = h.e_type == ET_DYN ? LLVM_ELF_PAGE : s.sh_addralign;
    const uint64_t at = size + ((s.sh_addr - size) & (page - 1));
    s.sh_type = SHT_PROGBITS;
    s.sh_offset = at;
    memcpy(where, &s, sizeof s);
    *out_at = at;
    return h.e_type != ET_DYN || move_segment(data, &h, &s, at);
  }
  return false;
}
