// SPDX-License-Identifier: Apache-2.0
// Running an executable with named tensors: as libfovea-rt runs a library, whatever runs it here -
// functions of this process, a device's queue, or a graph runner.
#include <stdlib.h>
#include <string.h>

#include "compiler/internal.h"
#include "compiler/runner.h"
#include "runtime/rt.h"

struct fv_context {
  fv_executable *e;
  void *queue;        // of a device
  fv_runner *runner;  // of a graph runner
  fv_rt_context *c;
  // The arguments of a run in the types of libfovea-rt; they grow only.
  fv_rt_tensor *tensor;
  fv_rt_dim *dim;
  size_t n_tensor, n_dim;
};

//===-- Create and destroy ----------------------------------------------------------------===//

// FV_MODEL_* and FV_RT_*, which are the same.
static fv_status told(int32_t s, const fv_rt_error *err, fv_diag_sink *diag) {
  static const fv_status map[] = {
      [FV_RT_OK] = FV_OK,
      [FV_RT_ERR_ARG] = FV_ERR_ARG,
      [FV_RT_ERR_DIM] = FV_ERR_ARG,
      [FV_RT_ERR_RUN] = FV_ERR_RUN,
      [FV_RT_ERR_OOM] = FV_ERR_OOM,
      [FV_RT_ERR_DEVICE] = FV_ERR_BACKEND,
      [FV_RT_ERR_IMAGE] = FV_ERR_ABI,
      [FV_RT_ERR_CPU] = FV_ERR_UNSUPPORTED,
      [FV_RT_ERR_LIMIT] = FV_ERR_LIMIT,
  };
  if (s == FV_RT_OK)
    return FV_OK;
  const size_t i = (size_t)s < FV_COUNTOF(map) ? (size_t)s : FV_RT_ERR_DEVICE;
  return fv_error(diag, map[i], NULL, "%s", err->text);
}

// On a device: its queue, or a graph runner.
static fv_status create_on_device(fv_context *c, fv_model_ctx **out, fv_diag_sink *diag) {
  fv_executable *e = c->e;
  fv_report report = {.diag = diag};
  const fv_device_ops *ops;
  const char *why = "";
  if (e->backend->run_graph) {
    c->runner = fv_runner_create(e);
    ops = c->runner ? fv_runner_ops() : NULL;
    if (!ops)
      return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  } else if (!e->backend->create_queue) {
    return fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "backend '%s' runs nothing", e->backend->name);
  } else {
    ops = e->backend->create_queue(e->kernels, &report, &c->queue);
    if (!ops)
      return FV_ERR_BACKEND;
  }
  void *dev = c->runner ? (void *)c->runner : c->queue;
  if (fv_artifact_create_on(e->api, ops, dev, out, &why) != FV_MODEL_OK)
    return fv_error(diag, FV_ERR_OOM, NULL, "no context could be made on the device: %s", why);
  return FV_OK;
}

static fv_status create_on_cpu(const fv_context *c, int threads, fv_model_ctx **out,
                               fv_diag_sink *diag) {
  const fv_model_api *api = c->e->api;
  const fv_model_options o = {.struct_size = sizeof o, .threads = (uint32_t)threads};
  const char *why = "";
  const int32_t r = api->create(api, &o, out, &why);
  char missing[1024];
  if (r == FV_MODEL_ERR_CPU && !fv_cpu_has(api->desc->cpu_features, missing, sizeof missing))
    return fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "%s: %s", why, missing);
  if (r != FV_MODEL_OK)
    return fv_error(diag, r == FV_MODEL_ERR_OOM ? FV_ERR_OOM : FV_ERR_RUN, NULL,
                    "no context could be made: %s", why);
  return FV_OK;
}

static fv_status fill(fv_context *c, int threads, fv_diag_sink *diag) {
  const fv_executable *e = c->e;
  fv_rt_error err = {""};
  fv_model_ctx *ctx = NULL;
  if (e->until != FV_STAGE_RUN)
    return fv_error(diag, FV_ERR_ARG, NULL, "compiling was stopped before what can be run");
  if (!e->api)
    return fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "the code is for another machine (%s)",
                    e->backend->describe(e->device));
  FV_TRY(e->backend && !e->backend->cpu_kernel ? create_on_device(c, &ctx, diag)
                                               : create_on_cpu(c, threads, &ctx, diag));
  return told(rt_context_on(e->api, ctx, &c->c, &err), &err, diag);
}

fv_status fv_context_create(fv_executable *e, int threads, fv_diag_sink *diag, fv_context **out) {
  diag = FV_SINK(diag);
  *out = NULL;
  fv_context *c = calloc(1, sizeof *c);
  if (!c)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  c->e = e;
  const fv_status s = fill(c, threads, diag);
  if (s != FV_OK)
    fv_context_destroy(c);
  else
    *out = c;
  return s;
}

void fv_context_destroy(fv_context *c) {
  if (!c)
    return;
  fv_rt_destroy(c->c);
  if (c->queue)
    c->e->backend->destroy_queue(c->queue);
  fv_runner_destroy(c->runner);
  free(c->tensor);
  free(c->dim);
  free(c);
}

//===-- Runs ------------------------------------------------------------------------------===//

static bool make_room(fv_context *c, size_t n_tensor, size_t n_dim) {
  if (n_tensor > c->n_tensor) {
    free(c->tensor);
    c->tensor = calloc(n_tensor, sizeof *c->tensor);
    c->n_tensor = c->tensor ? n_tensor : 0;
  }
  if (n_dim > c->n_dim) {
    free(c->dim);
    c->dim = calloc(n_dim, sizeof *c->dim);
    c->n_dim = c->dim ? n_dim : 0;
  }
  return n_tensor <= c->n_tensor && n_dim <= c->n_dim;
}

static void take(const fv_tensor_io *from, fv_rt_tensor *to) {
  *to = (fv_rt_tensor){
      .name = from->name, .dtype = from->dtype, .rank = from->rank, .data = from->data};
  memcpy(to->dim, from->dim, sizeof to->dim);
}

static void give(const fv_rt_tensor *from, fv_tensor_io *to) {
  *to = (fv_tensor_io){
      .name = from->name, .dtype = from->dtype, .rank = from->rank, .data = from->data};
  memcpy(to->dim, from->dim, sizeof to->dim);
}

fv_status fv_context_run(fv_context *c, const char *entry, const fv_tensor_io *in, size_t n_in,
                         const fv_dim_value *dims, size_t n_dims, fv_tensor_io *out, size_t n_out,
                         fv_diag_sink *diag) {
  diag = FV_SINK(diag);
  fv_rt_error err = {""};
  if (n_out > SIZE_MAX - n_in || !make_room(c, n_in + n_out, n_dims))
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  fv_rt_tensor *given = c->tensor, *made = c->tensor + n_in;
  for (size_t i = 0; i < n_in; i++)
    take(&in[i], &given[i]);
  for (size_t i = 0; i < n_out; i++)
    made[i] = (fv_rt_tensor){.name = NULL};
  for (size_t i = 0; i < n_dims; i++)
    c->dim[i] = (fv_rt_dim){dims[i].name, dims[i].value};
  FV_TRY(told(fv_rt_run(c->c, entry, given, n_in, c->dim, n_dims, made, n_out, &err), &err, diag));
  for (size_t i = 0; i < n_out; i++)
    if (made[i].name)  // there may be room for more than there are
      give(&made[i], &out[i]);
  return FV_OK;
}

fv_status fv_context_again(fv_context *c, fv_diag_sink *diag) {
  diag = FV_SINK(diag);
  fv_rt_error err = {""};
  return told(rt_again(c->c, &err), &err, diag);
}

fv_status fv_context_reset(fv_context *c, fv_diag_sink *diag) {
  diag = FV_SINK(diag);
  fv_rt_error err = {""};
  return told(fv_rt_reset(c->c, &err), &err, diag);
}

int64_t fv_context_workspace_bytes(const fv_context *c) {
  return fv_rt_workspace_bytes(c->c);
}
