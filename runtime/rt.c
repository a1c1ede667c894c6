// SPDX-License-Identifier: Apache-2.0
// libfovea-rt: compiled models by name, over the table that every one exports.
#include "fovea/fovea-rt.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "runtime/exec/artifact.h"
#include "runtime/exec/cpu.h"
#include "runtime/exec/exec.h"
#include "runtime/library.h"

struct fv_rt_model {
  void *library;
  const fv_model_api *api;
};

struct fv_rt_context {
  const fv_model_api *api;
  fv_model_ctx *ctx;
  // Memory lent for outputs; it grows only.
  uint32_t n_room;
  void **room;
  size_t *room_bytes;
};

static FV_PRINTF(3, 4) int32_t fail(fv_rt_error *err, int32_t status, const char *format, ...) {
  if (err) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
  }
  return status;
}

static int32_t told(const fv_rt_context *c, int32_t status, fv_rt_error *err) {
  if (status == FV_MODEL_OK)
    return FV_RT_OK;
  const char *text = c->api->error(c->ctx);
  return fail(err, status, "%s", *text ? text : c->api->status_text(status));
}

//===-- Loading -----------------------------------------------------------------===//

static void first_error(void *user, const fv_diag *d) {
  fv_rt_error *err = user;
  if (!err->text[0])
    snprintf(err->text, sizeof err->text, "%s", d->text);
}

typedef struct look {
  fv_arena *arena;
  const char *path;
  char *getter;
  fv_rt_error *err;
  int32_t status;
} look;

// The getter's name, copied; the mapping goes with the arena.
static fv_status look_at_file(void *user) {
  look *l = user;
  fv_rt_error text = {""};
  fv_diag_sink sink = {.emit = first_error, .user = &text};
  const void *data;
  size_t size;
  const char *why;
  bool foreign;
  l->status = FV_RT_ERR_FILE;
  if (fv_file_map(l->arena, l->path, &sink, NULL, &data, &size) != FV_OK) {
    fail(l->err, l->status, "%s", text.text);
    return FV_ERR_IO;
  }
  const char *name = fv_library_getter(data, size, &why, &foreign);
  if (!name) {
    l->status = foreign ? FV_RT_ERR_ABI : FV_RT_ERR_FILE;
    fail(l->err, l->status, "%s: %s", l->path, why);
    return FV_ERR_ABI;
  }
  l->getter = strdup(name);
  l->status = l->getter ? FV_RT_OK : fail(l->err, FV_RT_ERR_OOM, "out of memory");
  return FV_OK;
}

static int32_t find_getter(const char *path, char **out, fv_rt_error *err) {
  fv_arena *ar = fv_arena_create(NULL);
  look l = {.arena = ar, .path = path, .err = err};
  if (!ar)
    return fail(err, FV_RT_ERR_OOM, "out of memory");
  const fv_status s = fv_arena_protect(ar, look_at_file, &l, NULL);
  fv_arena_destroy(ar);
  *out = l.getter;
  if (s == FV_ERR_OOM || s == FV_ERR_INTERNAL)
    return fail(err, FV_RT_ERR_OOM, "out of memory");
  return l.status;
}

static int32_t open_library(fv_rt_model *m, const char *path, const char *getter,
                            fv_rt_error *err) {
  // Without a '/' dlopen would search the system for it.
  char *real = realpath(path, NULL);
  if (!real)
    return fail(err, FV_RT_ERR_FILE, "%s: its path cannot be resolved", path);
  m->library = dlopen(real, RTLD_NOW | RTLD_LOCAL);
  free(real);
  if (!m->library)
    return fail(err, FV_RT_ERR_FILE, "%s", dlerror());
  const fv_model_api *(*get)(void);
  void *symbol = dlsym(m->library, getter);
  if (!symbol)
    return fail(err, FV_RT_ERR_FILE, "%s: its entry point is gone", path);
  memcpy(&get, &symbol, sizeof get);
  m->api = get();
  if (!m->api || m->api->abi >> 16 != FV_MODEL_ABI >> 16 || m->api->struct_size < sizeof *m->api ||
      !m->api->desc || m->api->desc->struct_size < sizeof *m->api->desc)
    return fail(err, FV_RT_ERR_ABI, "%s: it was made by another version of fovea", path);
  fv_exec_image view;
  const char *why = "";
  if (fv_exec_open(m->api->desc->image, m->api->desc->image_bytes, &view, &why) != FV_MODEL_OK)
    return fail(err, FV_RT_ERR_IMAGE, "%s: %s", path, why);
  return FV_RT_OK;
}

int32_t fv_rt_load(const char *path, fv_rt_model **out, fv_rt_error *err) {
  char *getter = NULL;
  *out = NULL;
  if (err)
    err->text[0] = 0;
  int32_t status = find_getter(path, &getter, err);
  fv_rt_model *m = status == FV_RT_OK ? calloc(1, sizeof *m) : NULL;
  if (status == FV_RT_OK)
    status = m ? open_library(m, path, getter, err) : fail(err, FV_RT_ERR_OOM, "out of memory");
  free(getter);
  if (status != FV_RT_OK)
    fv_rt_unload(m);
  else
    *out = m;
  return status;
}

void fv_rt_unload(fv_rt_model *m) {
  if (!m)
    return;
  if (m->library)
    dlclose(m->library);
  free(m);
}

//===-- What the model has --------------------------------------------------------===//

const char *fv_rt_name(const fv_rt_model *m) {
  return m->api->desc->name ? m->api->desc->name : "";
}

const char *fv_rt_manifest(const fv_rt_model *m) {
  return m->api->desc->manifest ? m->api->desc->manifest : "";
}

uint32_t fv_rt_entry_count(const fv_rt_model *m) {
  return m->api->entry_count(m->api);
}

const char *fv_rt_entry_name(const fv_rt_model *m, uint32_t entry) {
  return m->api->entry_name(m->api, entry);
}

static int32_t find_entry(const fv_model_api *api, const char *name) {
  if (!name)
    return api->entry_count(api) ? 0 : -1;
  for (uint32_t i = 0; i < api->entry_count(api); i++)
    if (strcmp(api->entry_name(api, i), name) == 0)
      return (int32_t)i;
  return -1;
}

int32_t fv_rt_find_entry(const fv_rt_model *m, const char *name) {
  return find_entry(m->api, name);
}

static int32_t port(const fv_model_api *api, uint32_t entry, fv_model_port kind, uint32_t i,
                    fv_rt_port *out) {
  fv_model_tensor t;
  const int32_t status = api->port(api, entry, kind, i, &t);
  if (status == FV_MODEL_OK)
    *out = (fv_rt_port){t.name, (fv_dtype)t.dtype, (int)t.rank};
  return status;
}

uint32_t fv_rt_input_count(const fv_rt_model *m, uint32_t entry) {
  return m->api->port_count(m->api, entry, FV_MODEL_INPUT);
}

uint32_t fv_rt_output_count(const fv_rt_model *m, uint32_t entry) {
  return m->api->port_count(m->api, entry, FV_MODEL_OUTPUT);
}

int32_t fv_rt_input(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_port *out) {
  return port(m->api, entry, FV_MODEL_INPUT, i, out);
}

int32_t fv_rt_output(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_port *out) {
  return port(m->api, entry, FV_MODEL_OUTPUT, i, out);
}

uint32_t fv_rt_symbol_count(const fv_rt_model *m, uint32_t entry) {
  return m->api->symbol_count(m->api, entry);
}

int32_t fv_rt_symbol_at(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_symbol *out) {
  fv_model_symbol s;
  const int32_t status = m->api->symbol(m->api, entry, i, &s);
  if (status == FV_MODEL_OK)
    *out = (fv_rt_symbol){s.name, s.min, s.max};
  return status;
}

//===-- Contexts --------------------------------------------------------------------===//

static void free_room(fv_rt_context *c) {
  for (uint32_t i = 0; i < c->n_room; i++)
    free(c->room[i]);
  free(c->room);
  free(c->room_bytes);
}

void fv_rt_destroy(fv_rt_context *c) {
  if (!c)
    return;
  c->api->destroy(c->ctx);
  free_room(c);
  free(c);
}

// A context without its inside; room for the outputs of any entry.
static fv_rt_context *make(const fv_model_api *api) {
  fv_rt_context *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->api = api;
  for (uint32_t i = 0; i < api->entry_count(api); i++) {
    const uint32_t n = api->port_count(api, i, FV_MODEL_OUTPUT);
    c->n_room = n > c->n_room ? n : c->n_room;
  }
  c->room = calloc((size_t)c->n_room + 1, sizeof *c->room);
  c->room_bytes = calloc((size_t)c->n_room + 1, sizeof *c->room_bytes);
  if (c->room && c->room_bytes)
    return c;
  c->n_room = 0;
  free_room(c);
  free(c);
  return NULL;
}

int32_t fv_rt_create(const fv_rt_model *m, const fv_rt_options *options, fv_rt_context **out,
                     fv_rt_error *err) {
  *out = NULL;
  if (err)
    err->text[0] = 0;
  if (options && options->struct_size < sizeof *options)
    return fail(err, FV_RT_ERR_ARG, "the options have no struct_size");
  fv_rt_context *c = make(m->api);
  if (!c)
    return fail(err, FV_RT_ERR_OOM, "out of memory");
  fv_model_options o = {.struct_size = sizeof o};
  if (options) {
    o.threads = options->threads;
    o.parallel_for = options->parallel_for;
    o.user = options->user;
  }
  const char *why = "";
  const int32_t status = m->api->create(m->api, &o, &c->ctx, &why);
  if (status != FV_MODEL_OK) {
    char missing[256] = "";
    const bool cpu = status == FV_MODEL_ERR_CPU &&
                     !fv_cpu_has(m->api->desc->cpu_features, missing, sizeof missing);
    fail(err, status, "%s: %s%s%s", fv_rt_name(m), why, cpu ? ": " : "", missing);
    fv_rt_destroy(c);
    return status;
  }
  *out = c;
  return FV_RT_OK;
}

int32_t fv_rt_fork(fv_rt_context *c, fv_rt_context **out, fv_rt_error *err) {
  *out = NULL;
  fv_rt_context *to = make(c->api);
  if (!to)
    return fail(err, FV_RT_ERR_OOM, "out of memory");
  const int32_t status = c->api->fork(c->ctx, &to->ctx);
  if (status == FV_MODEL_OK)
    *out = to;
  else
    fv_rt_destroy(to);
  return told(c, status, err);
}

int32_t fv_rt_reset(fv_rt_context *c, fv_rt_error *err) {
  return told(c, c->api->reset(c->ctx), err);
}

int32_t fv_rt_save(fv_rt_context *c, void *data, uint64_t capacity, uint64_t *out_bytes,
                   fv_rt_error *err) {
  return told(c, c->api->save(c->ctx, data, capacity, out_bytes), err);
}

int32_t fv_rt_restore(fv_rt_context *c, const void *data, uint64_t bytes, fv_rt_error *err) {
  return told(c, c->api->load(c->ctx, data, bytes), err);
}

int64_t fv_rt_workspace_bytes(const fv_rt_context *c) {
  return c->api->workspace_bytes(c->ctx);
}

//===-- Runs --------------------------------------------------------------------------===//

// What a run hands to the table, in the order of the entry.
typedef struct call {
  uint32_t entry, n_in, n_out, n_symbol;
  const int64_t **dim;
  const void **in;
  void **out;
  int64_t *symbol;
} call;

static int32_t take_inputs(const fv_model_api *api, call *k, const fv_rt_tensor *in, size_t n,
                           fv_rt_error *err) {
  for (size_t t = 0; t < n; t++) {
    fv_rt_port p = {"", FV_f32, 0};
    uint32_t i = 0;
    while (i < k->n_in && port(api, k->entry, FV_MODEL_INPUT, i, &p) == FV_MODEL_OK &&
           strcmp(p.name, in[t].name ? in[t].name : ""))
      i++;
    if (i == k->n_in)
      return fail(err, FV_RT_ERR_ARG, "there is no input '%s'", in[t].name ? in[t].name : "");
    if (k->dim[i])
      return fail(err, FV_RT_ERR_ARG, "input '%s' is given twice", p.name);
    if (in[t].dtype != p.dtype || in[t].rank != p.rank)
      return fail(err, FV_RT_ERR_DIM, "input '%s' has another element type or rank", p.name);
    k->dim[i] = in[t].dim;
    k->in[i] = in[t].data;
  }
  for (uint32_t i = 0; i < k->n_in; i++) {
    fv_rt_port p = {"", FV_f32, 0};
    if (!k->dim[i] && port(api, k->entry, FV_MODEL_INPUT, i, &p) == FV_MODEL_OK)
      return fail(err, FV_RT_ERR_ARG, "input '%s' is missing", p.name);
  }
  return FV_RT_OK;
}

static int32_t take_dims(const fv_model_api *api, call *k, const fv_rt_dim *dims, size_t n,
                         fv_rt_error *err) {
  for (uint32_t i = 0; i < k->n_symbol; i++)
    k->symbol[i] = FV_MODEL_UNKNOWN;
  for (size_t d = 0; d < n; d++) {
    fv_model_symbol s = {"", 0, 0};
    uint32_t i = 0;
    while (i < k->n_symbol && api->symbol(api, k->entry, i, &s) == FV_MODEL_OK &&
           strcmp(s.name, dims[d].name ? dims[d].name : ""))
      i++;
    if (i == k->n_symbol)
      return fail(err, FV_RT_ERR_ARG, "there is no dim '%s'", dims[d].name ? dims[d].name : "");
    k->symbol[i] = dims[d].value;
  }
  return FV_RT_OK;
}

static int32_t place_output(fv_rt_context *c, call *k, uint32_t i, const fv_rt_tensor *t,
                            fv_rt_error *err) {
  int64_t bytes;
  const int32_t status = c->api->bytes(c->ctx, k->entry, FV_MODEL_OUTPUT, i, &bytes);
  if (status != FV_MODEL_OK)
    return told(c, status, err);
  if (t && t->data && t->data != c->room[i]) {  // lent before is lent again
    k->out[i] = t->data;
    if ((uint64_t)bytes <= t->bytes)
      return FV_RT_OK;
    fv_rt_port p = {"", FV_f32, 0};
    (void)port(c->api, k->entry, FV_MODEL_OUTPUT, i, &p);
    return fail(err, FV_RT_ERR_ARG, "output '%s' needs %lld bytes, not %zu", p.name,
                (long long)bytes, t->bytes);
  }
  if (!c->room[i] || c->room_bytes[i] < (size_t)bytes) {
    const size_t size = ((size_t)bytes + 127) & ~(size_t)63;
    free(c->room[i]);
    c->room[i] = aligned_alloc(64, size);
    c->room_bytes[i] = c->room[i] ? size : 0;
    if (!c->room[i])
      return fail(err, FV_RT_ERR_OOM, "out of memory for an output of %zu bytes", size);
  }
  k->out[i] = c->room[i];
  return FV_RT_OK;
}

static int32_t give_output(fv_rt_context *c, const call *k, uint32_t i, fv_rt_tensor *t) {
  fv_rt_port p;
  int32_t status = port(c->api, k->entry, FV_MODEL_OUTPUT, i, &p);
  int64_t bytes = 0;
  if (status == FV_MODEL_OK)
    status = c->api->dims(c->ctx, k->entry, FV_MODEL_OUTPUT, i, t->dim);
  if (status == FV_MODEL_OK)
    status = c->api->bytes(c->ctx, k->entry, FV_MODEL_OUTPUT, i, &bytes);
  if (status != FV_MODEL_OK)
    return status;
  t->name = p.name;
  t->dtype = p.dtype;
  t->rank = p.rank;
  t->data = k->out[i];
  t->bytes = (size_t)bytes;
  return FV_MODEL_OK;
}

static int32_t bind_and_run(fv_rt_context *c, call *k, fv_rt_tensor *out, size_t n_out,
                            fv_rt_error *err) {
  int32_t status = c->api->bind(c->ctx, k->entry, k->symbol, k->dim);
  if (status != FV_MODEL_OK)
    return told(c, status, err);
  for (uint32_t i = 0; i < k->n_out; i++) {
    status = place_output(c, k, i, i < n_out ? &out[i] : NULL, err);
    if (status != FV_RT_OK)
      return status;
  }
  status = c->api->run(c->ctx, k->entry, k->in, k->out);
  for (uint32_t i = 0; status == FV_MODEL_OK && i < k->n_out && i < n_out; i++)
    status = give_output(c, k, i, &out[i]);
  return told(c, status, err);
}

int32_t fv_rt_run(fv_rt_context *c, const char *entry, const fv_rt_tensor *in, size_t n_in,
                  const fv_rt_dim *dims, size_t n_dims, fv_rt_tensor *out, size_t n_out,
                  fv_rt_error *err) {
  const fv_model_api *api = c->api;
  if (err)
    err->text[0] = 0;
  const int32_t found = find_entry(api, entry);
  if (found < 0)
    return fail(err, FV_RT_ERR_ARG, "there is no entry '%s'", entry ? entry : "");
  call k = {.entry = (uint32_t)found};
  k.n_in = api->port_count(api, k.entry, FV_MODEL_INPUT);
  k.n_out = api->port_count(api, k.entry, FV_MODEL_OUTPUT);
  k.n_symbol = api->symbol_count(api, k.entry);
  // One block for the four arrays.
  const size_t words = 2 * (size_t)k.n_in + k.n_out + k.n_symbol + 1;
  void *block = calloc(words, 8);
  if (!block)
    return fail(err, FV_RT_ERR_OOM, "out of memory");
  k.dim = block;
  k.in = (const void **)(k.dim + k.n_in);
  k.out = (void **)(k.in + k.n_in);
  k.symbol = (int64_t *)(void *)(k.out + k.n_out);
  int32_t status = take_inputs(api, &k, in, n_in, err);
  if (status == FV_RT_OK)
    status = take_dims(api, &k, dims, n_dims, err);
  if (status == FV_RT_OK)
    status = bind_and_run(c, &k, out, n_out, err);
  free(block);
  return status;
}
