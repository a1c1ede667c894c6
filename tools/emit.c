// SPDX-License-Identifier: Apache-2.0
#include "emit.h"

#include <ctype.h>
#include <string.h>

#include "files.h"

typedef enum emit_stage {
  STAGE_GRAPH,
  STAGE_GROUPS,
  STAGE_KERNEL,
  STAGE_CODE,
  STAGE_LIBRARY
} emit_stage;

struct emit_kind {
  const char *name, *ending;
  emit_stage stage;
  fv_library_kind library;
};
static const struct emit_kind kinds[] = {
    {"xml", NULL, STAGE_GRAPH, 0},
    {"text", NULL, STAGE_GRAPH, 0},
    {"json", NULL, STAGE_GRAPH, 0},
    {"dot", NULL, STAGE_GRAPH, 0},
    {"groups", NULL, STAGE_GROUPS, 0},
    {"kernel", ".kernel", STAGE_KERNEL, 0},
    {"llvm", ".ll", STAGE_CODE, 0},
    {"asm", ".s", STAGE_CODE, 0},
    {"opencl", ".cl", STAGE_CODE, 0},
    {"obj", ".o", STAGE_LIBRARY, FV_LIBRARY_OBJECT},
    {"a", ".a", STAGE_LIBRARY, FV_LIBRARY_ARCHIVE},
    {"so", ".so", STAGE_LIBRARY, FV_LIBRARY_SHARED},
};

fv_status emit_kind_of(tool *t, const char *path, const char **out) {
  fv_str libraries = {.arena = t->arena}, texts = {.arena = t->arena};
  for (size_t i = 0; i < FV_COUNTOF(kinds); i++) {
    if (!kinds[i].ending)
      continue;
    *out = kinds[i].name;
    if (ends_with(path, kinds[i].ending))
      return FV_OK;
    fv_str *s = kinds[i].stage == STAGE_LIBRARY ? &libraries : &texts;
    fv_str_printf(s, "%s%s", s->size ? ", " : "", kinds[i].ending);
  }
  const fv_status s =
      usage_error(t, "'%s' does not tell by its ending what to make: %s for a library, %s for text",
                  path, libraries.data, texts.data);
  fv_note(t->diag, NULL, "--emit=KIND says it whatever the name");
  return s;
}

static const char *kind_at(void *user, int i) {
  (void)user;
  return i < (int)FV_COUNTOF(kinds) ? kinds[i].name : NULL;
}

static fv_status find_kind(tool *t, const char *name, const struct emit_kind **out) {
  fv_str all = {.arena = t->arena};
  for (size_t i = 0; i < FV_COUNTOF(kinds); i++) {
    *out = &kinds[i];
    if (strcmp(kinds[i].name, name) == 0)
      return FV_OK;
    fv_str_printf(&all, "%s%s", i ? ", " : "", kinds[i].name);
  }
  const fv_status s = usage_error(t, "--emit: '%s' is none of %s", name, all.data);
  fv_note_meant(t->diag, NULL, name, kind_at, NULL);
  return s;
}

//===-- Libraries ---------------------------------------------------------===//

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

// out/libminilm.so -> minilm; what C has no letter for becomes '_'.
static const char *name_of(fv_arena *ar, const char *path) {
  const char *base = base_name(path);
  if (strncmp(base, "lib", 3) == 0 && base[3] && base[3] != '.')
    base += 3;
  const size_t n = strcspn(base, ".");
  char *name = fv_arena_printf(ar, "%.*s", (int)n, base);
  for (char *c = name; *c; c++)
    if (!isascii(*c) || !isalnum((unsigned char)*c))
      *c = '_';
  return name[0] >= '0' && name[0] <= '9' ? fv_arena_printf(ar, "_%s", name) : name;
}

static const char *header_path(fv_arena *ar, const char *library, const char *name) {
  const char *base = base_name(library);
  return fv_arena_printf(ar, "%.*s%s.h", (int)(base - library), library, name);
}

static fv_status tell_library(tool *t, const char *path, const char *header, const char *name,
                              int64_t size) {
  if (!t->common->json) {
    print_note("%s: %s; %s\n", path, bytes_text(t->arena, size), header);
    return FV_OK;
  }
  fv_str out = {.arena = t->arena};
  fv_str_puts(&out, "{\"library\": ");
  fv_str_json(&out, path, strlen(path));
  fv_str_puts(&out, ", \"header\": ");
  fv_str_json(&out, header, strlen(header));
  fv_str_printf(&out, ", \"name\": \"%s\", \"bytes\": %lld}\n", name, (long long)size);
  return print_text(t, &out);
}

static fv_status write_library(tool *t, const emit_request *r, const model *m,
                               const fv_executable *e) {
  const bool object = r->found->library == FV_LIBRARY_OBJECT;
  const char *path = r->output
                         ? r->output
                         : fv_arena_printf(t->arena, "%s%s%s", object ? "" : "lib",
                                           name_of(t->arena, m->info->name), r->found->ending);
  const char *name = r->name ? r->name : name_of(t->arena, path);
  const char *header = header_path(t->arena, path, name);
  int64_t bytes;
  sigset_t before;
  hold_signals(&before);
  const fv_status s =
      fv_executable_write_library(e, name, r->found->library, path, header, t->diag, &bytes);
  sigprocmask(SIG_SETMASK, &before, NULL);
  return s == FV_OK ? tell_library(t, path, header, name, bytes) : s;
}

//===-- All kinds ---------------------------------------------------------===//

// Called from the library: prints at once.
static void dump(void *user, const char *pass, const char *text) {
  (void)user;
  printf("// after %s\n%s", pass, text);
}

static fv_status emit_graphs(tool *t, const model *m, const emit_request *r) {
  const char *passes;
  fv_bytes *text = bytes_new(t);
  FV_TRY(passes_of(t, r->compile, &passes));
  FV_TRY(fv_model_emit(m->description, r->found->name, passes, t->diag, text));
  return write_text(t, r->output ? r->output : "-", text);
}

fv_status emit_check(tool *t, emit_request *r) {
  const bool printed = !r->output || strcmp(r->output, "-") == 0;
  FV_TRY(find_kind(t, r->kind, &r->found));
  const bool library = r->found->stage == STAGE_LIBRARY;
  if (r->dump_after && r->found->stage == STAGE_GRAPH)
    return usage_error(t, "--dump-after goes with kinds that compile; '%s' does not", r->kind);
  if (library && r->output && printed)
    return usage_error(t, "a library comes with a header: name a file by -o");
  if (t->common->json && (r->dump_after || (printed && !library && strcmp(r->kind, "json") != 0)))
    return usage_error(t, "--json: what goes to standard output is no JSON; name a file by -o");
  FV_TRY(passes_check(t, r->compile, r->dump_after));
  const bool opencl = strcmp(r->kind, "opencl") == 0;
  return backend_parse(t, r->compile->backend, opencl ? "opencl" : "llvm",
                       &r->compile->backend_option, &r->backend);
}

fv_status emit(tool *t, const model *m, const emit_request *r) {
  fv_executable *e;
  if (m->library)
    return usage_error(t, "'%s' is compiled already", m->path);
  if (r->found->stage == STAGE_GRAPH)
    return emit_graphs(t, m, r);
  const fv_stage until = r->found->stage == STAGE_GROUPS   ? FV_STAGE_GROUPS
                         : r->found->stage == STAGE_KERNEL ? FV_STAGE_KERNELS
                                                           : FV_STAGE_CODE;
  FV_TRY(model_compile(t, m, until, &r->backend, r->compile, r->dump_after, dump, r->threads, &e));
  if (r->found->stage == STAGE_LIBRARY)
    return write_library(t, r, m, e);
  fv_bytes *text = bytes_new(t);
  FV_TRY(fv_executable_emit(e, r->found->name, t->diag, text));
  return write_text(t, r->output ? r->output : "-", text);
}
