// SPDX-License-Identifier: Apache-2.0
// A library that was compiled earlier, as an executable. The file is looked at
// before it is loaded: it must be an ELF shared object that exports a function
// NAME_get, where NAME is told by its own dynamic symbol table.
#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compiler/internal.h"

typedef struct elf {
  const unsigned char *data;
  size_t size;
} elf;

static const void *piece(const elf *e, uint64_t offset, uint64_t size) {
  return offset <= e->size && size <= e->size - offset ? e->data + offset : NULL;
}

static const Elf64_Shdr *section(const elf *e, const Elf64_Ehdr *h, uint32_t i) {
  if (i >= h->e_shnum || h->e_shentsize != sizeof(Elf64_Shdr))
    return NULL;
  return piece(e, h->e_shoff + (uint64_t)i * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr));
}

static bool ends_with_get(const char *s) {
  const size_t n = strlen(s);
  return n > 4 && strcmp(s + n - 4, "_get") == 0;
}

// The defined global function whose name ends in _get, or NULL.
static const char *getter(const elf *e) {
  const Elf64_Ehdr *h = piece(e, 0, sizeof *h);
  if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
      h->e_type != ET_DYN || h->e_machine != EM_X86_64)
    return NULL;
  for (uint32_t i = 0; i < h->e_shnum; i++) {
    const Elf64_Shdr *s = section(e, h, i);
    if (!s || s->sh_type != SHT_DYNSYM)
      continue;
    const Elf64_Shdr *t = section(e, h, s->sh_link);
    const char *names = t ? piece(e, t->sh_offset, t->sh_size) : NULL;
    const Elf64_Sym *sym = piece(e, s->sh_offset, s->sh_size);
    if (!names || !sym || t->sh_size == 0 || names[t->sh_size - 1] != 0)
      return NULL;
    for (uint64_t k = 0; k < s->sh_size / sizeof *sym; k++)
      if (sym[k].st_shndx != SHN_UNDEF && ELF64_ST_TYPE(sym[k].st_info) == STT_FUNC &&
          sym[k].st_name < t->sh_size && ends_with_get(names + sym[k].st_name))
        return names + sym[k].st_name;
  }
  return NULL;
}

typedef struct library_cx {
  fv_executable *e;
  const char *path;
  fv_diag_sink *diag;
} library_cx;

static fv_status refuse(library_cx *cx, const char *why) {
  return fv_error(cx->diag, FV_ERR_ABI, NULL, "library '%s': %s", cx->path, why);
}

static fv_status library_body(void *user) {
  library_cx *cx = user;
  fv_executable *e = cx->e;
  elf file;
  const void *data;
  FV_TRY(fv_file_map(e->arena, cx->path, cx->diag, NULL, &data, &file.size));
  file.data = data;
  const char *name = getter(&file);
  char real[PATH_MAX];
  if (!name)
    return refuse(cx, "this is no library made by fovea for this machine");
  if (!realpath(cx->path, real))
    return refuse(cx, "its path cannot be resolved");
  e->library = dlopen(real, RTLD_NOW | RTLD_LOCAL);
  if (!e->library)
    return refuse(cx, dlerror());
  const fv_model_api *(*get)(void);
  void *symbol = dlsym(e->library, name);
  memcpy(&get, &symbol, sizeof get);
  if (!symbol)
    return refuse(cx, "its entry point is gone");
  e->api = get();
  if (!e->api || e->api->abi >> 16 != FV_MODEL_ABI >> 16 || !e->api->desc)
    return refuse(cx, "it was made by another version of fovea");
  fv_exec_image view;
  const char *why = "";
  if (fv_exec_open(e->api->desc->image, e->api->desc->image_bytes, &view, &why) != FV_MODEL_OK)
    return refuse(cx, why);
  fv_info_from_image(e->arena, view.head, &e->info);
  return FV_OK;
}

fv_status fv_executable_load(const char *path, fv_diag_sink *diag, fv_executable **out) {
  *out = NULL;
  fv_executable *e = calloc(1, sizeof *e);
  fv_arena *ar = e ? fv_arena_create(NULL) : NULL;
  if (!ar) {
    free(e);
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  }
  e->arena = ar;
  e->own_arena = true;
  library_cx cx = {e, path, diag};
  const fv_status s = fv_guard(ar, diag, library_body, &cx);
  if (s != FV_OK)
    fv_executable_destroy(e);
  else
    *out = e;
  return s;
}
