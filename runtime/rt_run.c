// SPDX-License-Identifier: Apache-2.0
// Runs by name: which input is meant by which tensor, what the symbols are, where outputs go.
#include <stdlib.h>
#include <string.h>

#include "runtime/rt.h"

//===-- Names -------------------------------------------------------------------------===//

static int by_name(const void *a, const void *b) {
  return strcmp(((const rt_name *)a)->name, ((const rt_name *)b)->name);
}

static const rt_name *find(const rt_name *list, uint32_t n, const char *name) {
  const rt_name key = {name ? name : "", 0};
  return n ? bsearch(&key, list, n, sizeof *list, by_name) : NULL;
}

int32_t rt_find_entry(const fv_model_api *api, const char *name) {
  if (!name)
    return api->entry_count(api) ? 0 : -1;
  for (uint32_t i = 0; i < api->entry_count(api); i++)
    if (strcmp(api->entry_name(api, i), name) == 0)
      return (int32_t)i;
  return -1;
}

//===-- Contexts ----------------------------------------------------------------------===//

static void free_call(rt_call *k) {
  for (uint32_t i = 0; k->room && i < k->n_out; i++)
    free(k->room[i]);
  void *const own[] = {k->input, k->dim, k->in, k->out, k->symbol, k->room, k->room_bytes};
  for (size_t i = 0; i < FV_COUNTOF(own); i++)
    free(own[i]);
  *k = (rt_call){0};
}

void fv_rt_destroy(fv_rt_context *c) {
  if (!c)
    return;
  for (uint32_t i = 0; c->call && i < c->view.head->entries.count; i++)
    free_call(&c->call[i]);
  c->api->destroy(c->ctx);
  free(c->call);
  free(c->symbol);
  free(c->value);
  free(c);
}

// Dims are given by name; the other symbols are not the caller's to give.
static bool name_symbols(fv_rt_context *c) {
  const uint32_t n = c->view.head->symbols.count;
  c->symbol = calloc((size_t)n + 1, sizeof *c->symbol);
  c->value = calloc((size_t)n + 1, sizeof *c->value);
  if (!c->symbol || !c->value)
    return false;
  for (uint32_t i = 0; i < n; i++)
    if (c->view.symbol[i].kind == 0)
      c->symbol[c->n_symbol++] = (rt_name){fv_exec_string(&c->view, c->view.symbol[i].name), i};
  qsort(c->symbol, c->n_symbol, sizeof *c->symbol, by_name);
  return true;
}

int32_t rt_context_on(const fv_model_api *api, fv_model_ctx *ctx, fv_rt_context **out,
                      fv_rt_error *err) {
  fv_rt_context *c = calloc(1, sizeof *c);
  *out = NULL;
  if (!c) {
    api->destroy(ctx);
    return rt_fail(err, FV_RT_ERR_OOM, "out of memory");
  }
  c->api = api;
  c->ctx = ctx;
  c->last = -1;
  c->view = fv_exec_view(api->desc->image);
  c->call = calloc((size_t)c->view.head->entries.count + 1, sizeof *c->call);
  if (!c->call || !name_symbols(c)) {
    fv_rt_destroy(c);
    return rt_fail(err, FV_RT_ERR_OOM, "out of memory");
  }
  *out = c;
  return FV_RT_OK;
}

// What belongs to an entry is made when it is run first.
static int32_t prepare(fv_rt_context *c, uint32_t entry, fv_rt_error *err) {
  rt_call *k = &c->call[entry];
  const fv_prog_entry *e = &c->view.entry[entry];
  if (k->input)
    return FV_RT_OK;
  k->n_in = e->inputs.count;
  k->n_out = e->outputs.count;
  k->n_symbol = e->used_symbols.count;
  k->used = fv_exec_table(&c->view, e->used_symbols);
  k->dim = calloc((size_t)k->n_in + 1, sizeof *k->dim);
  k->in = calloc((size_t)k->n_in + 1, sizeof *k->in);
  k->out = calloc((size_t)k->n_out + 1, sizeof *k->out);
  k->symbol = calloc((size_t)k->n_symbol + 1, sizeof *k->symbol);
  k->room = calloc((size_t)k->n_out + 1, sizeof *k->room);
  k->room_bytes = calloc((size_t)k->n_out + 1, sizeof *k->room_bytes);
  rt_name *input = calloc((size_t)k->n_in + 1, sizeof *input);
  k->input = input;
  if (!k->dim || !k->in || !k->out || !k->symbol || !k->room || !k->room_bytes || !input) {
    free_call(k);
    return rt_fail(err, FV_RT_ERR_OOM, "out of memory");
  }
  const fv_prog_port *port = fv_exec_table(&c->view, e->inputs);
  for (uint32_t i = 0; i < k->n_in; i++)
    input[i] = (rt_name){fv_exec_string(&c->view, port[i].name), i};
  qsort(input, k->n_in, sizeof *input, by_name);
  return FV_RT_OK;
}

//===-- What is given -----------------------------------------------------------------===//

static const char *type_name(fv_dtype t) {
  static const char *const name[] = {
#define X(id, size, kind) #id,
      FV_DTYPE_TABLE(X)
#undef X
  };
  return (unsigned)t < FV_COUNTOF(name) ? name[t] : "no element type";
}

static int32_t take_inputs(fv_rt_context *c, uint32_t entry, const fv_rt_tensor *in, size_t n,
                           fv_rt_error *err) {
  rt_call *k = &c->call[entry];
  fv_rt_port p = {"", FV_f32, 0};
  for (uint32_t i = 0; i < k->n_in; i++)
    k->dim[i] = NULL;
  for (size_t t = 0; t < n; t++) {
    const rt_name *at = find(k->input, k->n_in, in[t].name);
    if (!at)
      return rt_fail(err, FV_RT_ERR_ARG, "graph '%s' has no input '%s'",
                     c->api->entry_name(c->api, entry), in[t].name ? in[t].name : "");
    const uint32_t i = at->at;
    if (k->dim[i])
      return rt_fail(err, FV_RT_ERR_ARG, "input '%s' is given twice", at->name);
    if (rt_port(c->api, entry, FV_MODEL_INPUT, i, &p) != FV_MODEL_OK || in[t].dtype != p.dtype ||
        in[t].rank != p.rank)
      return rt_fail(err, FV_RT_ERR_DIM,
                     "input '%s' is %s of rank %d, but the model wants %s of "
                     "rank %d",
                     p.name, type_name(in[t].dtype), in[t].rank, type_name(p.dtype), p.rank);
    k->dim[i] = in[t].dim;
    k->in[i] = in[t].data;
  }
  for (uint32_t i = 0; i < k->n_in; i++)
    if (!k->dim[i] && rt_port(c->api, entry, FV_MODEL_INPUT, i, &p) == FV_MODEL_OK)
      return rt_fail(err, FV_RT_ERR_ARG, "input '%s' (%s of rank %d) is not given", p.name,
                     type_name(p.dtype), p.rank);
  return FV_RT_OK;
}

// A dim that this entry does not need may be given: it is another's.
static int32_t take_dims(fv_rt_context *c, uint32_t entry, const fv_rt_dim *dims, size_t n,
                         fv_rt_error *err) {
  rt_call *k = &c->call[entry];
  for (uint32_t i = 0; i < k->n_symbol; i++)
    c->value[k->used[i]] = FV_MODEL_UNKNOWN;
  for (size_t d = 0; d < n; d++) {
    const rt_name *at = find(c->symbol, c->n_symbol, dims[d].name);
    if (!at)
      return rt_fail(err, FV_RT_ERR_ARG, "the model has no dim '%s'",
                     dims[d].name ? dims[d].name : "");
    c->value[at->at] = dims[d].value;
  }
  for (uint32_t i = 0; i < k->n_symbol; i++)
    k->symbol[i] = c->value[k->used[i]];
  return FV_RT_OK;
}

//===-- Outputs -----------------------------------------------------------------------===//

// t: NULL where it is not wanted.
static int32_t place_output(fv_rt_context *c, uint32_t entry, uint32_t i, const fv_rt_tensor *t,
                            fv_rt_error *err) {
  rt_call *k = &c->call[entry];
  int64_t bytes;
  k->out[i] = NULL;
  if (!t)
    return FV_RT_OK;
  const int32_t status = c->api->bytes(c->ctx, entry, FV_MODEL_OUTPUT, i, &bytes);
  if (status != FV_MODEL_OK)
    return rt_told(c, status, err);
  if (t->data && t->data != k->room[i]) {  // lent before is lent again
    k->out[i] = t->data;
    if ((uint64_t)bytes <= t->bytes)
      return FV_RT_OK;
    fv_rt_port p = {"", FV_f32, 0};
    (void)rt_port(c->api, entry, FV_MODEL_OUTPUT, i, &p);
    return rt_fail(err, FV_RT_ERR_ARG, "output '%s' needs %lld bytes, not %zu", p.name,
                   (long long)bytes, t->bytes);
  }
  if (!k->room[i] || k->room_bytes[i] < (size_t)bytes) {
    const size_t size = ((size_t)bytes + 127) & ~(size_t)63;
    free(k->room[i]);
    k->room[i] = aligned_alloc(64, size);
    k->room_bytes[i] = k->room[i] ? size : 0;
    if (!k->room[i])
      return rt_fail(err, FV_RT_ERR_OOM, "out of memory for an output of %zu bytes", size);
  }
  k->out[i] = k->room[i];
  return FV_RT_OK;
}

static int32_t give_output(fv_rt_context *c, uint32_t entry, uint32_t i, fv_rt_tensor *t) {
  fv_rt_port p;
  int32_t status = rt_port(c->api, entry, FV_MODEL_OUTPUT, i, &p);
  int64_t bytes = 0;
  if (status == FV_MODEL_OK)
    status = c->api->dims(c->ctx, entry, FV_MODEL_OUTPUT, i, t->dim);
  if (status == FV_MODEL_OK)
    status = c->api->bytes(c->ctx, entry, FV_MODEL_OUTPUT, i, &bytes);
  if (status != FV_MODEL_OK)
    return status;
  t->name = p.name;
  t->dtype = p.dtype;
  t->rank = p.rank;
  t->data = c->call[entry].out[i];
  t->bytes = (size_t)bytes;
  return FV_MODEL_OK;
}

//===-- Runs --------------------------------------------------------------------------===//

static int32_t bind_and_run(fv_rt_context *c, uint32_t entry, fv_rt_tensor *out, size_t n_out,
                            fv_rt_error *err) {
  rt_call *k = &c->call[entry];
  int32_t status = c->api->bind(c->ctx, entry, k->symbol, k->dim);
  if (status != FV_MODEL_OK)
    return rt_told(c, status, err);
  for (uint32_t i = 0; i < k->n_out; i++) {
    status = place_output(c, entry, i, i < n_out ? &out[i] : NULL, err);
    if (status != FV_RT_OK)
      return status;
  }
  status = c->api->run(c->ctx, entry, k->in, k->out);
  c->last = status == FV_MODEL_OK ? (int32_t)entry : -1;
  for (uint32_t i = 0; status == FV_MODEL_OK && i < k->n_out && i < n_out; i++)
    status = give_output(c, entry, i, &out[i]);
  return rt_told(c, status, err);
}

int32_t fv_rt_run(fv_rt_context *c, const char *entry, const fv_rt_tensor *in, size_t n_in,
                  const fv_rt_dim *dims, size_t n_dims, fv_rt_tensor *out, size_t n_out,
                  fv_rt_error *err) {
  if (err)
    err->text[0] = 0;
  const int32_t found = rt_find_entry(c->api, entry);
  if (found < 0)
    return rt_fail(err, FV_RT_ERR_ARG, "the model has no graph '%s'", entry ? entry : "");
  const uint32_t e = (uint32_t)found;
  int32_t status = prepare(c, e, err);
  if (status == FV_RT_OK)
    status = take_inputs(c, e, in, n_in, err);
  if (status == FV_RT_OK)
    status = take_dims(c, e, dims, n_dims, err);
  return status == FV_RT_OK ? bind_and_run(c, e, out, n_out, err) : status;
}

int32_t rt_again(fv_rt_context *c, fv_rt_error *err) {
  if (c->last < 0)
    return rt_fail(err, FV_RT_ERR_ARG, "there is no run to repeat");
  const rt_call *k = &c->call[c->last];
  return rt_told(c, c->api->run(c->ctx, (uint32_t)c->last, k->in, k->out), err);
}
