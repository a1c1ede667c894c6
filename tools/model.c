// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_THREADS = 4096 };

static void free_model(void *m) {
  fv_model_destroy(m);
}
static void free_executable(void *e) {
  fv_executable_destroy(e);
}
static void free_context(void *c) {
  fv_context_destroy(c);
}
static void free_bytes(void *b) {
  fv_bytes_free(b);
}

fv_bytes *bytes_new(tool *t) {
  void **slot = fv_arena_defer(t->arena, free_bytes);
  fv_bytes *b = FV_NEW(t->arena, fv_bytes);
  *slot = b;
  return b;
}

// A library begins as ELF files do.
static bool is_library(const char *path) {
  struct stat st;
  char head[4] = {0};
  if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
    return false;
  FILE *f = fopen(path, "rb");
  if (!f)
    return false;
  const size_t n = fread(head, 1, sizeof head, f);
  fclose(f);
  return n == sizeof head && memcmp(head, "\177ELF", 4) == 0;
}

fv_status model_open(tool *t, const char *path, const model_options *o, model *out) {
  *out = (model){.path = path};
  if (is_library(path)) {
    if (o->let.count || o->weights.count || o->dim.count)
      return usage_error(
          t, "'%s' is compiled: --let, --dim and --weights cannot change it any more", path);
    void **slot = fv_arena_defer(t->arena, free_executable);
    FV_TRY(fv_executable_load(path, t->diag, &out->library));
    *slot = out->library;
    out->info = fv_executable_get_info(out->library);
    return FV_OK;
  }
  const fv_model_load_options load = {.struct_size = sizeof load,
                                      .let = o->let.item,
                                      .n_let = o->let.count,
                                      .dim = o->dim.item,
                                      .n_dim = o->dim.count,
                                      .weights = o->weights.item,
                                      .n_weights = o->weights.count};
  void **slot = fv_arena_defer(t->arena, free_model);
  FV_TRY(fv_model_load(path, &load, t->diag, &out->description));
  *slot = out->description;
  out->info = fv_model_get_info(out->description);
  return FV_OK;
}

fv_status passes_of(tool *t, const compile_options *o, const char **out) {
  *out = o->passes;
  if (!o->level)
    return FV_OK;
  if (o->passes)
    return usage_error(t, "-O and --passes exclude each other");
  if (strlen(o->level) != 1 || o->level[0] < '0' || o->level[0] > '2')
    return usage_error(t, "-O%s: the levels are -O0, -O1 and -O2", o->level);
  *out = fv_arena_printf(t->arena, "O%s", o->level);
  return FV_OK;
}

fv_status passes_check(tool *t, const compile_options *o, const char *dump_after) {
  fv_compile_options c = {.struct_size = sizeof c, .dump_after = dump_after};
  FV_TRY(passes_of(t, o, &c.passes));
  return fv_compile_check(&c, t->diag);
}

fv_status model_not_compiled(tool *t, const model *m, const compile_options *o) {
  if (m->library && (o->level || o->passes || o->backend || o->backend_option.count))
    return usage_error(
        t, "'%s' is compiled: -b, -O, --passes and --backend-option cannot change it", m->path);
  return FV_OK;
}

fv_status model_compile(tool *t, const model *m, fv_stage until, const backend_spec *b,
                        const compile_options *o, const char *dump_after, dump_fn dump,
                        int64_t threads, fv_executable **out) {
  *out = m->library;
  if (m->library)
    return FV_OK;
  fv_compile_options c = {.struct_size = sizeof c,
                          .backend = b->name,
                          .dump_after = dump_after,
                          .dump = dump,
                          .backend_option = b->option.item,
                          .n_backend_option = b->option.count,
                          .until = until,
                          .threads = (int)threads};
  FV_TRY(passes_of(t, o, &c.passes));
  void **slot = fv_arena_defer(t->arena, free_executable);
  FV_TRY(fv_compile(m->description, &c, t->diag, out));
  *slot = *out;
  return FV_OK;
}

static const char *graph_name(void *user, int i) {
  const fv_model_info *info = user;
  return i < info->n_graph ? info->graph[i].name : NULL;
}

fv_status graph_find(tool *t, const model *m, const char *name, const fv_graph_info **out) {
  const fv_model_info *info = m->info;
  for (int i = 0; i < info->n_graph; i++)
    if (name ? strcmp(info->graph[i].name, name) == 0 : info->n_graph == 1) {
      *out = &info->graph[i];
      return FV_OK;
    }
  fv_str names = {.arena = t->arena};
  for (int i = 0; i < info->n_graph; i++)
    fv_str_printf(&names, "%s%s", i ? ", " : "", info->graph[i].name);
  if (!name)
    return usage_error(t, "'%s' has several graphs, say which by --graph: %s", m->path,
                       names.data ? names.data : "");
  fv_model_info copy = *info;
  const fv_status s = usage_error(t, "'%s' has no graph '%s', but: %s", m->path, name,
                                  names.data ? names.data : "none");
  fv_note_meant(t->diag, NULL, name, graph_name, &copy);
  return s;
}

fv_status threads_check(tool *t, int64_t threads) {
  if (threads > MAX_THREADS)
    return usage_error(t, "--threads: %lld are too many; %d is the most", (long long)threads,
                       MAX_THREADS);
  return FV_OK;
}

fv_status context_open(tool *t, fv_executable *e, int64_t threads, fv_context **out) {
  void **slot = fv_arena_defer(t->arena, free_context);
  FV_TRY(fv_context_create(e, (int)threads, t->diag, out));
  *slot = *out;
  return FV_OK;
}
