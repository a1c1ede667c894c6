// SPDX-License-Identifier: Apache-2.0
// libfovea-rt: compiled models, over the table that every one exports.
#include "runtime/rt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/exec/cpu.h"
#include "runtime/library.h"

struct fv_rt_model {
  fv_library library;
};

int32_t rt_fail(fv_rt_error *err, int32_t status, const char *format, ...) {
  if (err) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
  }
  return status;
}

int32_t rt_told(const fv_rt_context *c, int32_t status, fv_rt_error *err) {
  if (status == FV_MODEL_OK)
    return FV_RT_OK;
  const char *text = c->api->error(c->ctx);
  return rt_fail(err, status, "%s", *text ? text : c->api->status_text(status));
}

//===-- Loading -----------------------------------------------------------------===//

static void first_error(void *user, const fv_diag *d) {
  fv_rt_error *err = user;
  if (!err->text[0])
    snprintf(err->text, sizeof err->text, "%s", d->text);
}

static int32_t rt_status(fv_status s) {
  switch (s) {
  case FV_OK: return FV_RT_OK;
  case FV_ERR_ABI: return FV_RT_ERR_ABI;
  case FV_ERR_OOM:
  case FV_ERR_INTERNAL: return FV_RT_ERR_OOM;
  default: return FV_RT_ERR_FILE;
  }
}

int32_t fv_rt_load(const char *path, fv_rt_model **out, fv_rt_error *err) {
  fv_rt_error text = {""};
  fv_diag_sink sink = {.emit = first_error, .user = &text};
  *out = NULL;
  fv_rt_model *m = calloc(1, sizeof *m);
  if (!m)
    return rt_fail(err, FV_RT_ERR_OOM, "out of memory");
  const fv_status s = fv_library_open(path, &sink, &m->library);
  if (s != FV_OK)
    free(m);
  else
    *out = m;
  return rt_fail(err, rt_status(s), "%s", text.text);
}

void fv_rt_unload(fv_rt_model *m) {
  if (!m)
    return;
  fv_library_close(&m->library);
  free(m);
}

//===-- What the model has --------------------------------------------------------===//

const char *fv_rt_name(const fv_rt_model *m) {
  return m->library.api->desc->name ? m->library.api->desc->name : "";
}

const char *fv_rt_manifest(const fv_rt_model *m) {
  return m->library.api->desc->manifest ? m->library.api->desc->manifest : "";
}

uint32_t fv_rt_entry_count(const fv_rt_model *m) {
  return m->library.api->entry_count(m->library.api);
}

const char *fv_rt_entry_name(const fv_rt_model *m, uint32_t entry) {
  return m->library.api->entry_name(m->library.api, entry);
}

int32_t fv_rt_find_entry(const fv_rt_model *m, const char *name) {
  return rt_find_entry(m->library.api, name);
}

int32_t rt_port(const fv_model_api *api, uint32_t entry, fv_model_port kind, uint32_t i,
                fv_rt_port *out) {
  fv_model_tensor t;
  const int32_t status = api->port(api, entry, kind, i, &t);
  if (status == FV_MODEL_OK)
    *out = (fv_rt_port){t.name, (fv_dtype)t.dtype, (int)t.rank};
  return status;
}

uint32_t fv_rt_input_count(const fv_rt_model *m, uint32_t entry) {
  return m->library.api->port_count(m->library.api, entry, FV_MODEL_INPUT);
}

uint32_t fv_rt_output_count(const fv_rt_model *m, uint32_t entry) {
  return m->library.api->port_count(m->library.api, entry, FV_MODEL_OUTPUT);
}

int32_t fv_rt_input(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_port *out) {
  return rt_port(m->library.api, entry, FV_MODEL_INPUT, i, out);
}

int32_t fv_rt_output(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_port *out) {
  return rt_port(m->library.api, entry, FV_MODEL_OUTPUT, i, out);
}

uint32_t fv_rt_symbol_count(const fv_rt_model *m, uint32_t entry) {
  return m->library.api->symbol_count(m->library.api, entry);
}

int32_t fv_rt_symbol_at(const fv_rt_model *m, uint32_t entry, uint32_t i, fv_rt_symbol *out) {
  fv_model_symbol s;
  const int32_t status = m->library.api->symbol(m->library.api, entry, i, &s);
  if (status == FV_MODEL_OK)
    *out = (fv_rt_symbol){s.name, s.min, s.max};
  return status;
}

//===-- Contexts --------------------------------------------------------------------===//

int32_t fv_rt_create(const fv_rt_model *m, const fv_rt_options *options, fv_rt_context **out,
                     fv_rt_error *err) {
  fv_rt_options own;
  *out = NULL;
  if (err)
    err->text[0] = 0;
  if (!FV_SIZED_OPTIONS(&own, options))
    return rt_fail(err, FV_RT_ERR_ARG, FV_SIZED_REFUSAL);
  const fv_model_options o = {.struct_size = sizeof o,
                              .threads = own.threads,
                              .parallel_for = own.parallel_for,
                              .user = own.user};
  const fv_model_api *api = m->library.api;
  fv_model_ctx *ctx;
  const char *why = "";
  const int32_t status = api->create(api, &o, &ctx, &why);
  if (status == FV_MODEL_OK)
    return rt_context_on(api, ctx, out, err);
  char missing[256] = "";
  const bool cpu =
      status == FV_MODEL_ERR_CPU && !fv_cpu_has(api->desc->cpu_features, missing, sizeof missing);
  return rt_fail(err, status, "%s: %s%s%s", fv_rt_name(m), why, cpu ? ": " : "", missing);
}

int32_t fv_rt_fork(fv_rt_context *c, fv_rt_context **out, fv_rt_error *err) {
  fv_model_ctx *ctx;
  *out = NULL;
  if (err)
    err->text[0] = 0;
  const int32_t status = c->api->fork(c->ctx, &ctx);
  return status == FV_MODEL_OK ? rt_context_on(c->api, ctx, out, err) : rt_told(c, status, err);
}

int32_t fv_rt_reset(fv_rt_context *c, fv_rt_error *err) {
  return rt_told(c, c->api->reset(c->ctx), err);
}

int32_t fv_rt_save(fv_rt_context *c, void *data, uint64_t capacity, uint64_t *out_bytes,
                   fv_rt_error *err) {
  return rt_told(c, c->api->save(c->ctx, data, capacity, out_bytes), err);
}

int32_t fv_rt_restore(fv_rt_context *c, const void *data, uint64_t bytes, fv_rt_error *err) {
  return rt_told(c, c->api->load(c->ctx, data, bytes), err);
}

int64_t fv_rt_workspace_bytes(const fv_rt_context *c) {
  return c->api->workspace_bytes(c->ctx);
}
