// SPDX-License-Identifier: Apache-2.0
// The driver: model -> passes -> lowering -> kernels -> a program that runs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/emit.h"
#include "compiler/image.h"
#include "compiler/internal.h"
#include "compiler/manifest.h"
#include "compiler/options.h"
#include "compiler/runner.h"
#include "passes/pass.h"

typedef struct compile_cx {
  fv_executable *e;
  const fv_model *model;  // of which the module is, or NULL
  fv_module *module;
  const fv_compile_options *given;
  fv_compile_options o;  // as far as the caller knows them
  fv_diag_sink *diag;
} compile_cx;

//===-- Steps ---------------------------------------------------------------------------===//

static fv_status open_device(compile_cx *cx) {
  fv_executable *e = cx->e;
  const fv_compile_options *o = &cx->o;
  const char *name = o->backend ? o->backend : "llvm";
  FV_TRY(fv_backend_find(name, cx->diag, &e->table));
  e->backend = &e->table;
  fv_option *option;
  size_t n;
  FV_TRY(fv_options_read(e->arena, e->backend, o->backend_option, o->n_backend_option, cx->diag,
                         &option, &n));
  fv_report report = {.diag = cx->diag};
  return fv_plugin_status(e->backend->open(fv_host_table(), option, n, &report, &e->device));
}

static fv_status put_in_place(void *user, const void *data, size_t size) {
  uint8_t **at = user;
  memcpy(*at, data, size);
  *at += size;
  return FV_OK;
}

static fv_status make_constants(compile_cx *cx) {
  fv_executable *e = cx->e;
  const size_t size = ((size_t)e->lowered->const_bytes + 127) & ~(size_t)63;
  e->constants = aligned_alloc(64, size);
  if (!e->constants)
    return fv_error(cx->diag, FV_ERR_OOM, NULL, "out of memory: the weights need %zu bytes", size);
  uint8_t *at = e->constants;
  return fv_lower_write_constants(e->lowered, cx->diag, put_in_place, &at);
}

static fv_status compile_kernels(compile_cx *cx) {
  fv_executable *e = cx->e;
  const fv_lowered *l = e->lowered;
  const fv_kernel_code **code = FV_NEW_N(e->arena, const fv_kernel_code *, l->n_kernel);
  for (size_t i = 0; i < l->n_kernel; i++)
    code[i] = &l->kernel[i]->code;
  fv_report report = {.diag = cx->diag, .threads = (uint32_t)cx->o.threads};
  return fv_plugin_status(
      e->backend->compile_kernels(e->device, code, l->n_kernel, &report, &e->kernels));
}

// The table that runs the program, for functions of this process or a device. (Code for another
// machine has none: it is there to be written out.)
static fv_status make_runnable(compile_cx *cx, const fv_lowered *l) {
  fv_executable *e = cx->e;
  fv_cpu_kernel_fn *fn = NULL;
  if (e->backend->cpu_kernel) {
    fn = FV_NEW_N(e->arena, fv_cpu_kernel_fn, l->n_kernel + 1);
    for (size_t i = 0; i < l->n_kernel; i++)
      if (!(fn[i] = e->backend->cpu_kernel(e->kernels, i)))
        return FV_OK;
  }
  e->desc = (fv_artifact_desc){.struct_size = sizeof e->desc,
                               .kernel_count = (uint32_t)l->n_kernel,
                               .name = e->module->name,
                               .image = e->image,
                               .image_bytes = e->image_size,
                               .constants = e->constants,
                               .const_bytes = l->const_bytes,
                               .kernels = fn,
                               .cpu_features = fv_kernel_needs(e),
                               .manifest = e->manifest};
  fv_artifact_api(&e->desc, &e->own_api);
  e->api = &e->own_api;
  return FV_OK;
}

// The graphs as they were loaded, each a program of one launch.
static fv_status compile_runner(compile_cx *cx) {
  fv_executable *e = cx->e;
  const fv_lowered *l = fv_runner_lower(e->module);
  FV_TRY(fv_image_build(l, cx->diag, &e->image, &e->image_size));
  return make_runnable(cx, l);
}

static fv_status compile_body(void *user) {
  compile_cx *cx = user;
  fv_executable *e = cx->e;
  if (!FV_SIZED_OPTIONS(&cx->o, cx->given))
    return fv_error(cx->diag, FV_ERR_ARG, NULL, "fv_compile: " FV_SIZED_REFUSAL);
  if (cx->o.threads < 0)
    return fv_error(cx->diag, FV_ERR_ARG, NULL, "fv_compile: a negative number of threads");
  FV_TRY(open_device(cx));
  e->module = cx->module;
  fv_info_from_module(e->arena, e->module, &e->info);
  e->until = cx->o.until;
  // What is dead does not run, on any backend and at any level.
  for (int i = 0; i < e->module->n_graph; i++)
    fv_graph_drop_dead(e->module->graph[i]);
  if (e->backend->run_graph)
    return compile_runner(cx);
  const fv_pipeline p = {
      .spec = cx->o.passes, .dump_after = cx->o.dump_after, .dump = cx->o.dump, .user = cx->o.user};
  FV_TRY(fv_pipeline_run(e->module, &p, cx->diag));
  fv_target target;
  FV_SIZED_TAKE(&target, e->backend->target(e->device));
  FV_TRY(fv_lower(e->module, &target, e->until == FV_STAGE_GROUPS, cx->diag, &e->lowered));
  if (e->until != FV_STAGE_RUN && e->until != FV_STAGE_CODE)
    return FV_OK;
  FV_TRY(fv_image_build(e->lowered, cx->diag, &e->image, &e->image_size));
  FV_TRY(compile_kernels(cx));
  FV_TRY(fv_manifest_make(e, cx->model, &cx->o, cx->diag, &e->manifest));
  if (e->until == FV_STAGE_CODE)
    return FV_OK;
  FV_TRY(make_constants(cx));
  return make_runnable(cx, e->lowered);
}

//===-- Entry points ----------------------------------------------------------------------===//

void fv_executable_destroy(fv_executable *e) {
  if (!e)
    return;
  if (e->kernels)
    e->backend->release(e->kernels);
  if (e->device)
    e->backend->close(e->device);
  fv_library_close(&e->library);
  free(e->constants);
  if (e->own_arena)
    fv_arena_destroy(e->arena);
  free(e);
}

static fv_status run_compile(compile_cx *cx, fv_arena *ar, bool own, fv_executable **out) {
  *out = NULL;
  fv_executable *e = ar ? calloc(1, sizeof *e) : NULL;
  if (!e) {
    if (own)
      fv_arena_destroy(ar);
    return fv_error(cx->diag, FV_ERR_OOM, NULL, "out of memory");
  }
  *e = (fv_executable){.arena = ar, .own_arena = own, .graph_runs = PTHREAD_MUTEX_INITIALIZER};
  cx->e = e;
  const fv_status s = fv_guard(ar, cx->diag, compile_body, cx);
  if (s != FV_OK)
    fv_executable_destroy(e);
  else
    *out = e;
  return s;
}

fv_status fv_compile(const fv_model *m, const fv_compile_options *o, fv_diag_sink *diag,
                     fv_executable **out) {
  diag = FV_SINK(diag);
  compile_cx cx = {.model = m, .given = o, .diag = diag};
  fv_loaded from;
  *out = NULL;
  FV_TRY(fv_model_take(m, diag, &from));
  cx.module = from.module;
  return run_compile(&cx, from.arena, true, out);
}

static fv_status check_body(void *user) {
  return open_device(user);
}

// A device that does not open is no fault of the command line: what it says is
// left to the compile that needs it.
fv_status fv_compile_check(const fv_compile_options *o, fv_diag_sink *diag) {
  diag = FV_SINK(diag);
  fv_compile_options own;
  if (!FV_SIZED_OPTIONS(&own, o))
    return fv_error(diag, FV_ERR_ARG, NULL, "fv_compile_check: " FV_SIZED_REFUSAL);
  const fv_pipeline p = {.spec = own.passes, .dump_after = own.dump_after};
  FV_TRY(fv_pipeline_check(&p, diag));
  if (!own.backend)
    return FV_OK;
  fv_diag_sink silent = {0};
  for (int told = 0; told < 2; told++) {
    fv_diag_sink *sink = told ? diag : &silent;
    fv_arena *ar = fv_arena_create(NULL);
    if (!ar)
      return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
    fv_executable e = {.arena = ar};
    compile_cx cx = {.e = &e, .o = own, .diag = sink};
    const fv_status s = fv_guard(ar, sink, check_body, &cx);
    if (e.device)
      e.backend->close(e.device);
    fv_arena_destroy(ar);
    if (s != FV_ERR_ARG || told)
      return s == FV_ERR_ARG ? s : FV_OK;
  }
  return FV_OK;
}

fv_status fv_compile_module(fv_arena *ar, fv_module *m, const fv_compile_options *o,
                            fv_diag_sink *diag, fv_executable **out) {
  compile_cx cx = {.module = m, .given = o, .diag = diag};
  return run_compile(&cx, ar, false, out);
}

const fv_model_info *fv_executable_get_info(const fv_executable *e) {
  return &e->info;
}

const char *fv_executable_manifest(const fv_executable *e) {
  return e->manifest ? e->manifest : "";
}

int fv_executable_count_kernels(const fv_executable *e, const char *family) {
  static const char *const all[] = {
#define X(name, doc) #name,
      FV_FAMILY_TABLE(X)
#undef X
  };
  bool known = false;
  for (size_t i = 0; i < FV_COUNTOF(all); i++)
    known = known || strcmp(all[i], family) == 0;
  if (!known || !e->lowered)
    return -1;
  int n = 0;
  for (size_t i = 0; i < e->lowered->n_entry; i++)
    for (size_t g = 0; g < e->lowered->entry[i].n_group; g++)
      n += strcmp(e->lowered->entry[i].group[g].family, family) == 0;
  return n;
}

//===-- Emission --------------------------------------------------------------------------===//

typedef struct show_cx {
  const fv_executable *e;
  fv_arena *ar;
  fv_diag_sink *diag;
  fv_bytes *out;
  bool groups;
} show_cx;

static fv_status show_kernels(void *user) {
  show_cx *cx = user;
  fv_str s = {.arena = cx->ar};
  if (cx->groups)
    fv_emit_groups(cx->e->lowered, &s);
  for (size_t i = 0; !cx->groups && i < cx->e->lowered->n_kernel; i++)
    fv_kernel_print(&cx->e->lowered->kernel[i]->code, &s);
  return fv_bytes_copy(cx->out, s.data, s.size, cx->diag);
}

fv_status fv_executable_emit(const fv_executable *e, const char *kind, fv_diag_sink *diag,
                             fv_bytes *out) {
  diag = FV_SINK(diag);
  if (!e->lowered)
    return fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "there are no kernels to show here");
  const bool groups = strcmp(kind, "groups") == 0;
  if (!groups && (e->until == FV_STAGE_GROUPS ||
                  (e->until == FV_STAGE_KERNELS && strcmp(kind, "kernel") != 0)))
    return fv_error(diag, FV_ERR_ARG, NULL, "compiling was stopped before '%s'", kind);
  if (groups || strcmp(kind, "kernel") == 0) {
    fv_arena *ar = fv_arena_create(NULL);
    if (!ar)
      return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
    show_cx cx = {e, ar, diag, out, groups};
    const fv_status s = fv_guard(ar, diag, show_kernels, &cx);
    fv_arena_destroy(ar);
    return s;
  }
  if (!e->backend->emit)
    return fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "backend '%s' shows nothing", e->backend->name);
  fv_report report = {.diag = diag};
  fv_blob blob = {0};
  FV_TRY(fv_plugin_status(e->backend->emit(e->kernels, kind, &report, &blob)));
  return fv_take_blob(&blob, diag, out);
}
