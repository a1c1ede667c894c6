// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "model.h"

typedef struct library_options {
  model_options model;
  compile_options compile;
  const char *output, *name, *emit, *backend, *dump_after;
} library_options;

static const option_row rows[] = {
    {"output", 'o', OPTION_TEXT, offsetof(library_options, output), "FILE", NULL,
     "the library, libNAME.so; NAME.h is written beside it (default: lib and the model's name); "
     "of text, \"-\""},
    {"name", 0, OPTION_TEXT, offsetof(library_options, name), "NAME", NULL,
     "prefix of all that C code sees, a C identifier (default: from the file)"},
    {"emit", 0, OPTION_TEXT, offsetof(library_options, emit), "KIND", NULL,
     "so, obj (to be linked, with NAME.h), or text: kernel, llvm, asm, opencl (default: by the "
     "ending of the file: .so .o .kernel .ll .s .cl, else so)"},
    {"backend", 'b', OPTION_TEXT, offsetof(library_options, backend), "NAME", NULL,
     "who makes the code (default: opencl for --emit=opencl, else llvm)"},
    COMPILE_ROWS(library_options, compile),
    {"dump-after", 0, OPTION_TEXT, offsetof(library_options, dump_after), "PASS", NULL,
     "print the graphs after this pass, or after all"},
    MODEL_ROWS(library_options, model),
};

//===-- Names -------------------------------------------------------------===//

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

static const char *kind_of(const library_options *o) {
  static const struct {
    const char *ending, *kind;
  } kinds[] = {{".so", "so"},   {".o", "obj"}, {".kernel", "kernel"},
               {".ll", "llvm"}, {".s", "asm"}, {".cl", "opencl"}};
  if (o->emit)
    return o->emit;
  for (size_t i = 0; o->output && i < FV_COUNTOF(kinds); i++)
    if (ends_with(o->output, kinds[i].ending))
      return kinds[i].kind;
  return "so";
}

//===-- The command -------------------------------------------------------===//

// Called from the library: prints at once.
static void dump(void *user, const char *pass, const char *text) {
  (void)user;
  printf("// after %s\n%s", pass, text);
}

static fv_status write_library(tool *t, const library_options *o, const model *m,
                               const fv_executable *e, bool shared) {
  const char *stem = name_of(t->arena, m->info->name);
  const char *path =
      o->output ? o->output : fv_arena_printf(t->arena, shared ? "lib%s.so" : "%s.o", stem);
  if (strcmp(path, "-") == 0)
    return usage_error(t, "a library comes with a header: name a file by -o");
  const char *name = o->name ? o->name : name_of(t->arena, path);
  fv_bytes *library = bytes_new(t), *header = bytes_new(t);
  FV_TRY(fv_executable_library(e, name, shared, t->diag, library, header));
  const char *beside = header_path(t->arena, path, name);
  const fv_piece code = {library->data, library->size};
  FV_TRY(write_text(t, beside, header));
  const fv_status s = write_output(t, path, &code, 1, shared ? 0755 : 0644);
  if (s != FV_OK) {
    unlink(beside);
    return s;
  }
  if (!t->common->json) {
    print_note("%s: %s; %s\n", path, bytes_text(t->arena, (int64_t)library->size), beside);
    return FV_OK;
  }
  fv_str out = {.arena = t->arena};
  fv_str_puts(&out, "{\"library\": ");
  fv_str_json(&out, path, strlen(path));
  fv_str_puts(&out, ", \"header\": ");
  fv_str_json(&out, beside, strlen(beside));
  fv_str_printf(&out, ", \"name\": \"%s\", \"bytes\": %zu}\n", name, library->size);
  return print_text(t, &out);
}

static fv_status run(tool *t) {
  const library_options *o = t->options;
  const char *kind = kind_of(o);
  const bool shared = strcmp(kind, "so") == 0, library = shared || strcmp(kind, "obj") == 0;
  const char *backend = o->backend ? o->backend : strcmp(kind, "opencl") == 0 ? "opencl" : NULL;
  model m;
  fv_executable *e;
  FV_TRY(model_open(t, t->args.item[0], &o->model, &m));
  if (m.library)
    return usage_error(t, "'%s' is compiled already", m.path);
  FV_TRY(model_compile(t, &m, backend, &o->compile, o->dump_after, dump, &e));
  if (library)
    return write_library(t, o, &m, e, shared);
  fv_bytes *text = bytes_new(t);
  FV_TRY(fv_executable_emit(e, kind, t->diag, text));
  return write_text(t, o->output ? o->output : "-", text);
}

const command command_compile = {
    .name = "compile",
    .usage = "MODEL [-o libNAME.so] [OPTION...]",
    .doc = "make a library and its C header of a model",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(library_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .more =
        "EXAMPLES\n"
        "  fovea compile models/minilm.xml -o build/libminilm.so\n"
        "  fovea compile models/se_digits.xml -o se.o --name=se\n"
        "  fovea compile models/se_digits.xml --emit=opencl -o se.cl\n"
        "  fovea compile models/minilm.xml -o /dev/null --emit=kernel --dump-after=all\n",
};
