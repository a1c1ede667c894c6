// SPDX-License-Identifier: Apache-2.0
#include "runtime/library.h"

#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

// The head of the file that this code is in, from the linker: its machine is this one's.
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

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

static void segment(const elf *e, uint32_t i, Elf64_Phdr *out) {  // after check_whole
  memcpy(out, e->data + e->head.e_phoff + (uint64_t)i * sizeof *out, sizeof *out);
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
    segment(e, i, &p);
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

// What the note holds. The hash is of what is loaded, the seal itself apart, and of file_bytes.
typedef struct seal {
  uint64_t file_bytes;
  fv_hash128 loaded;
} seal;
static const char note_name[8] = "FOVEA";
enum { NOTE_TYPE = 1 };

// Where the note's seal stands in the file; 0: there is none.
static uint64_t find_seal(const elf *e) {
  for (uint32_t i = 0; i < e->head.e_phnum; i++) {
    Elf64_Phdr p;
    segment(e, i, &p);
    if (p.p_type != PT_NOTE || !within(e, p.p_offset, p.p_filesz))
      continue;
    for (uint64_t at = p.p_offset, end = at + p.p_filesz; end - at >= sizeof(Elf64_Nhdr);) {
      Elf64_Nhdr n;
      memcpy(&n, e->data + at, sizeof n);
      const uint64_t name = ((uint64_t)n.n_namesz + 3) & ~3ull;
      const uint64_t desc = ((uint64_t)n.n_descsz + 3) & ~3ull;
      at += sizeof n;
      if (name + desc > end - at)
        break;
      if (n.n_type == NOTE_TYPE && n.n_namesz == sizeof note_name && n.n_descsz == sizeof(seal) &&
          memcmp(e->data + at, note_name, sizeof note_name) == 0)
        return at + name;
      at += name + desc;
    }
  }
  return 0;
}

typedef struct span {
  uint64_t begin, end;
} span;

static void absorb(fv_hash128 *h, const void *data, uint64_t size) {
  const fv_hash128 both[2] = {*h, fv_hash_bytes(data, size)};
  *h = fv_hash_bytes(both, sizeof both);
}

// What the loader reads of the headers: they are copied without the offsets of the sections.
static void absorb_headers(const elf *e, fv_hash128 *h) {
  Elf64_Ehdr head = e->head;
  head.e_shoff = 0;
  head.e_shnum = head.e_shstrndx = head.e_shentsize = 0;
  absorb(h, &head, sizeof head);
  for (uint32_t i = 0; i < head.e_phnum; i++) {
    Elf64_Phdr p;
    segment(e, i, &p);
    p.p_offset = 0;
    absorb(h, &p, sizeof p);
  }
}

// The bytes of `from`, but for those of the header, the segments' table and the seal in the note.
static void absorb_loaded(const elf *e, span from, uint64_t seal_at, fv_hash128 *h) {
  const uint64_t table = (uint64_t)e->head.e_phnum * sizeof(Elf64_Phdr);
  const span out[] = {{0, sizeof e->head},
                      {e->head.e_phoff, e->head.e_phoff + table},
                      {seal_at, seal_at + sizeof(seal)}};
  while (from.begin < from.end) {
    uint64_t stop = from.end, skip = from.begin;
    for (size_t i = 0; i < FV_COUNTOF(out); i++) {
      if (out[i].begin <= from.begin && from.begin < out[i].end)
        skip = out[i].end > skip ? out[i].end : skip;
      else if (from.begin < out[i].begin && out[i].begin < stop)
        stop = out[i].begin;
    }
    if (skip == from.begin)
      absorb(h, e->data + from.begin, stop - from.begin);
    from.begin = skip == from.begin ? stop : skip;
  }
}

// The two hashes of a sealed file; false where segments do not follow one another in the file.
static bool hash_file(const elf *e, uint64_t file_bytes, uint64_t seal_at, fv_hash128 *loaded,
                      fv_hash128 *rest) {
  const uint64_t end = e->size - FV_SEAL_BYTES;
  uint64_t at = 0;
  *loaded = *rest = (fv_hash128){0, 0};
  absorb_headers(e, loaded);
  absorb(loaded, &file_bytes, sizeof file_bytes);
  absorb(rest, e->data, sizeof e->head);
  absorb(rest, e->data + e->head.e_phoff, (uint64_t)e->head.e_phnum * sizeof(Elf64_Phdr));
  for (uint32_t i = 0; i < e->head.e_phnum; i++) {
    Elf64_Phdr p;
    segment(e, i, &p);
    if (p.p_type != PT_LOAD || p.p_filesz == 0)
      continue;
    if (p.p_offset < at || p.p_offset + p.p_filesz > end)
      return false;
    absorb(rest, e->data + at, p.p_offset - at);
    at = p.p_offset + p.p_filesz;
    absorb_loaded(e, (span){p.p_offset, at}, seal_at, loaded);
  }
  absorb(rest, e->data + at, end - at);
  return true;
}

static const char end_mark[8] = {'F', 'O', 'V', 'E', 'A', 'S', '2', '\n'};

static void make_end(fv_hash128 rest, unsigned char out[FV_SEAL_BYTES]) {
  memcpy(out, end_mark, sizeof end_mark);
  memcpy(out + 8, &rest, sizeof rest);
}

const char *fv_library_seal(const void *data, size_t size, fv_seal *out) {
  elf e = {.data = data, .size = size};
  seal s = {.file_bytes = size};
  fv_hash128 rest;
  const char *why = size < FV_SEAL_BYTES ? "it is no shared library" : check_whole(&e);
  const uint64_t at = why ? 0 : find_seal(&e);
  if (why || !at)
    return why ? why : "it has no room for a seal: it is without the artifact runtime";
  if (!hash_file(&e, size, at, &s.loaded, &rest))
    return "its segments are out of order";
  _Static_assert(sizeof s == sizeof out->note, "the seal is what the note holds");
  out->note_at = at;
  memcpy(out->note, &s, sizeof s);
  make_end(rest, out->end);
  return NULL;
}

static const char *check_seal(const elf *e) {
  static const char *const changed = "the library was changed or damaged after it was made";
  const uint64_t at = find_seal(e);
  unsigned char end[FV_SEAL_BYTES];
  seal s;
  fv_hash128 loaded, rest;
  if (!at)
    return "the library was not made by this version of fovea, or it is damaged";
  memcpy(&s, e->data + at, sizeof s);
  // A stripped file has lost its end, and with it what keeps room for the end here.
  const bool stripped = s.file_bytes != e->size;
  const elf whole = {e->data, stripped ? e->size + FV_SEAL_BYTES : e->size, e->head};
  if (!hash_file(&whole, s.file_bytes, at, &loaded, &rest) || loaded.lo != s.loaded.lo ||
      loaded.hi != s.loaded.hi)
    return changed;
  make_end(rest, end);
  return stripped || memcmp(e->data + e->size - sizeof end, end, sizeof end) == 0 ? NULL : changed;
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

const char *fv_library_getter(const void *data, size_t size, const char **out_why,
                              bool *out_foreign) {
  elf e = {.data = data, .size = size};
  const char *name = NULL, *why = check_whole(&e);
  const bool foreign = !why && e.head.e_machine != __ehdr_start.e_machine;
  if (foreign)
    why = "the library was made for another machine";
  if (!why)
    why = check_seal(&e);
  if (!why && !(name = find_getter(&e)))
    why = "the library was not made by fovea";
  *out_why = why ? why : "";
  if (out_foreign)
    *out_foreign = foreign;
  return why ? NULL : name;
}

//===-- Loading ---------------------------------------------------------------===//

// A name by which dlopen finds the open file itself, whatever stands at its path by now. glibc
// takes a name that it has seen for the library that it found then, and numbers of descriptors are
// used again: so the name tells the device and the inode too, each bit as "/" or "./", which lead
// nowhere.
static bool name_of_descriptor(int fd, char *out, size_t size) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return false;
  const uint64_t id[2] = {st.st_dev, st.st_ino};
  size_t at = (size_t)snprintf(out, size, "/proc/self/");
  for (unsigned i = 0; i < 128 && at + 2 < size; i++)
    at += (size_t)snprintf(out + at, size - at, "%s", id[i / 64] >> i % 64 & 1 ? "./" : "/");
  at += (size_t)snprintf(out + at, size - at, "fd/%d", fd);
  return at < size && access(out, R_OK) == 0;
}

// Where there is no /proc, the path is all there is.
static void *load_checked(int fd, const char *path) {
  char name[512], *real = NULL;
  if (!name_of_descriptor(fd, name, sizeof name))
    real = realpath(path, NULL);  // without a '/' dlopen would search the system for it
  void *handle = dlopen(real ? real : name, RTLD_NOW | RTLD_LOCAL);
  free(real);
  return handle;
}

// What the loader says begins with the name; the user knows the path.
static const char *loader_says(void) {
  const char *text = dlerror(), *colon = text ? strstr(text, ": ") : NULL;
  return colon ? colon + 2 : text ? text : "the loader refuses it";
}

typedef struct open_cx {
  fv_arena *arena;
  const char *path;
  fv_diag_sink *diag;
  fv_library *out;
} open_cx;

static fv_status refuse(const open_cx *cx, fv_status status, const char *why) {
  return fv_error(cx->diag, status, NULL, "library '%s': %s", cx->path, why);
}

static fv_status open_body(void *user) {
  open_cx *cx = user;
  fv_library *l = cx->out;
  const void *data;
  size_t size;
  const char *why;
  bool foreign;
  int fd;
  FV_TRY(fv_file_map_open(cx->arena, cx->path, cx->diag, &fd, &data, &size));
  const char *getter = fv_library_getter(data, size, &why, &foreign);
  if (!getter)
    return refuse(cx, foreign ? FV_ERR_ABI : FV_ERR_PARSE, why);
  l->handle = load_checked(fd, cx->path);
  if (!l->handle)
    return refuse(cx, FV_ERR_ABI, loader_says());
  const fv_model_api *(*get)(void);
  void *symbol = dlsym(l->handle, getter);
  if (!symbol)
    return refuse(cx, FV_ERR_PARSE, "its entry point is gone");
  memcpy(&get, &symbol, sizeof get);
  l->api = get();
  // Tables of an older version would lack functions that are called here.
  if (!l->api || l->api->abi >> 16 != FV_MODEL_ABI >> 16 || l->api->struct_size < sizeof *l->api ||
      !l->api->desc || l->api->desc->struct_size < sizeof *l->api->desc)
    return refuse(cx, FV_ERR_ABI, "it was made by another version of fovea");
  fv_exec_image view;
  if (fv_exec_open(l->api->desc->image, l->api->desc->image_bytes, &view, &why) != FV_MODEL_OK)
    return refuse(cx, FV_ERR_PARSE, why);
  return FV_OK;
}

fv_status fv_library_open(const char *path, fv_diag_sink *diag, fv_library *out) {
  fv_arena *ar = fv_arena_create(NULL);
  open_cx cx = {ar, path, diag, out};
  *out = (fv_library){0};
  fv_status s = FV_ERR_OOM;
  if (ar)
    s = fv_arena_protect(ar, open_body, &cx, NULL);
  fv_arena_destroy(ar);
  if (s == FV_ERR_OOM)
    s = fv_error(diag, s, NULL, "out of memory");
  if (s != FV_OK)
    fv_library_close(out);
  return s;
}

void fv_library_close(fv_library *l) {
  if (l->handle)
    dlclose(l->handle);
  *l = (fv_library){0};
}
