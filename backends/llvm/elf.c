// SPDX-License-Identifier: Apache-2.0
// A minimal writer of ELF64 relocatable objects: one blob, one symbol. The
// constants of a model never pass through LLVM, which would copy them several
// times and cannot place more than 2 GB.
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

typedef struct cursor {
  llvm_elf *e;
  uint64_t start;  // offset in the file of the tail
} cursor;

static uint64_t put(cursor *c, const void *data, size_t size, size_t align) {
  size_t at = (size_t)(c->start + c->e->tail_size);
  const size_t pad = (align - at % align) % align;
  memset(c->e->tail + c->e->tail_size, 0, pad);
  c->e->tail_size += pad;
  at += pad;
  memcpy(c->e->tail + c->e->tail_size, data, size);
  c->e->tail_size += size;
  return at;
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
  _Static_assert(sizeof h == sizeof e->head, "the data starts at a multiple of 64");
  memcpy(e->head, &h, sizeof h);
}

void llvm_elf_data(llvm_elf *e, uint16_t machine, const char *symbol, uint64_t size) {
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
      [S_DATA] = {.sh_type = SHT_PROGBITS,
                  .sh_flags = SHF_ALLOC | (large ? SHF_X86_64_LARGE : 0),
                  .sh_offset = sizeof e->head,
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
  e->tail_size = 0;
  cursor c = {e, sizeof e->head + size};
  s[S_SYMTAB].sh_offset = put(&c, symbols, sizeof symbols, 8);
  s[S_STRTAB].sh_offset = put(&c, strings, n + 2, 1);
  s[S_SHSTRTAB].sh_offset = put(&c, names, names_size, 1);
  s[S_STACK].sh_offset = s[S_SHSTRTAB].sh_offset;
  put_head(e, machine, put(&c, s, sizeof s, 8));
}
