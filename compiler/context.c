// SPDX-License-Identifier: Apache-2.0
// Running an executable with named tensors, whatever runs it: the table of a
// CPU program or library, a device's queue, or a graph runner.
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "compiler/internal.h"

struct fv_context {
  fv_executable *e;
  fv_model_ctx *ctx;  // CPU programs and libraries
  fv_exec_ctx *exec;  // devices with a queue
  void *queue;
  // Graph runners: states of the model and their lengths, by symbol.
  uint8_t **state, **state_next;
  int64_t *state_bytes, *length;
  // The last run: buffers of the outputs, inputs as given.
  int entry;
  const void **in;
  void **out;
  int64_t *out_room;
  int n_out;
};

//===-- Create and destroy ----------------------------------------------------------------===//

static fv_status create_queue(fv_context *c, fv_diag_sink *diag) {
  fv_executable *e = c->e;
  fv_report report = {.diag = diag};
  const fv_device_ops *ops = e->backend->create_queue(e->kernels, &report, &c->queue);
  if (!ops)
    return FV_ERR_BACKEND;
  const fv_exec_options o = {.constants = e->constants,
                             .const_bytes = e->lowered->const_bytes,
                             .ops = ops,
                             .dev = c->queue};
  if (fv_exec_create(&e->view, &o, &c->exec) != FV_MODEL_OK)
    return fv_error(diag, FV_ERR_OOM, NULL, "no context could be made on the device");
  return FV_OK;
}

static fv_status create_runner(fv_context *c, fv_diag_sink *diag) {
  const fv_module *m = c->e->module;
  const size_t n = (size_t)m->n_state + 1;
  c->state = calloc(n, sizeof *c->state);
  c->state_next = calloc(n, sizeof *c->state_next);
  c->state_bytes = calloc(n, sizeof *c->state_bytes);
  c->length = calloc(fv_symbol_count(m->pool) + 1, sizeof *c->length);
  if (!c->state || !c->state_next || !c->state_bytes || !c->length)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  return FV_OK;
}

fv_status fv_context_create(fv_executable *e, int threads, fv_diag_sink *diag, fv_context **out) {
  *out = NULL;
  fv_context *c = calloc(1, sizeof *c);
  if (!c)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  c->e = e;
  c->entry = -1;
  fv_status s = FV_OK;
  if (e->until != FV_STAGE_RUN) {
    s = fv_error(diag, FV_ERR_ARG, NULL, "compiling was stopped before what can be run");
  } else if (e->backend && e->backend->cpu_kernel && !e->api) {
    s = fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "the code is for another machine (%s)",
                 e->backend->describe(e->device));
  } else if (e->api) {
    const fv_model_options o = {.struct_size = sizeof o, .threads = (uint32_t)threads};
    const char *why = "";
    const int32_t r = e->api->create(e->api, &o, &c->ctx, &why);
    char missing[1024];
    if (r == FV_MODEL_ERR_CPU && !fv_cpu_has(e->api->desc->cpu_features, missing, sizeof missing))
      s = fv_error(diag, FV_ERR_UNSUPPORTED, NULL, "%s: %s", why, missing);
    else if (r != FV_MODEL_OK)
      s = fv_error(diag, r == FV_MODEL_ERR_OOM ? FV_ERR_OOM : FV_ERR_RUN, NULL,
                   "no context could be made: %s", why);
  } else if (e->backend->run_graph) {
    s = create_runner(c, diag);
  } else {
    s = create_queue(c, diag);
  }
  if (s != FV_OK)
    fv_context_destroy(c);
  else
    *out = c;
  return s;
}

static void free_states(fv_context *c) {
  const int n = c->e->module ? c->e->module->n_state : 0;
  for (int i = 0; c->state && i < n; i++) {
    free(c->state[i]);
    free(c->state_next[i]);
    c->state[i] = c->state_next[i] = NULL;
    c->state_bytes[i] = 0;
  }
}

static void free_outputs(fv_context *c) {
  for (int i = 0; i < c->n_out; i++)
    free(c->out[i]);
  free(c->out);
  free(c->out_room);
  free(c->in);
  c->out = NULL;
  c->out_room = NULL;
  c->in = NULL;
  c->n_out = 0;
}

void fv_context_destroy(fv_context *c) {
  if (!c)
    return;
  free_outputs(c);
  free_states(c);
  free(c->state);
  free(c->state_next);
  free(c->state_bytes);
  free(c->length);
  if (c->ctx)
    c->e->api->destroy(c->ctx);
  fv_exec_destroy(c->exec);
  if (c->queue)
    c->e->backend->destroy_queue(c->queue);
  free(c);
}

static const char *last_error(const fv_context *c) {
  return c->ctx ? c->e->api->error(c->ctx) : fv_exec_error(c->exec);
}

static fv_status model_status(const fv_context *c, int32_t s, fv_diag_sink *diag) {
  static const fv_status map[] = {[FV_MODEL_OK] = FV_OK,
                                  [FV_MODEL_ERR_ARG] = FV_ERR_ARG,
                                  [FV_MODEL_ERR_DIM] = FV_ERR_ARG,
                                  [FV_MODEL_ERR_RUN] = FV_ERR_RUN,
                                  [FV_MODEL_ERR_OOM] = FV_ERR_OOM,
                                  [FV_MODEL_ERR_DEVICE] = FV_ERR_BACKEND,
                                  [FV_MODEL_ERR_IMAGE] = FV_ERR_ABI,
                                  [FV_MODEL_ERR_CPU] = FV_ERR_UNSUPPORTED,
                                  [FV_MODEL_ERR_LIMIT] = FV_ERR_LIMIT};
  if (s == FV_MODEL_OK)
    return FV_OK;
  const size_t i = (size_t)s < FV_COUNTOF(map) ? (size_t)s : FV_MODEL_ERR_DEVICE;
  return fv_error(diag, map[i], NULL, "%s", last_error(c));
}

//===-- Matching names -------------------------------------------------------------------===//

static int find_entry(const fv_model_info *info, const char *name) {
  if (!name)
    return 0;
  for (int i = 0; i < info->n_graph; i++)
    if (strcmp(info->graph[i].name, name) == 0)
      return i;
  return -1;
}

static fv_status match_inputs(const fv_graph_info *g, const fv_tensor_io *in, size_t n_in,
                              const fv_tensor_io **by_port, fv_diag_sink *diag) {
  for (size_t k = 0; k < n_in; k++) {
    int at = -1;
    for (int i = 0; i < g->n_input; i++)
      if (strcmp(g->input[i].name, in[k].name) == 0)
        at = i;
    if (at < 0)
      return fv_error(diag, FV_ERR_ARG, NULL, "graph '%s' has no input '%s'", g->name, in[k].name);
    const fv_port_info *p = &g->input[at];
    if (in[k].dtype != p->dtype || in[k].rank != p->rank)
      return fv_error(diag, FV_ERR_ARG, NULL,
                      "input '%s' is %s of rank %d, but the model wants %s[%s]", p->name,
                      fv_dtype_name(in[k].dtype), in[k].rank, fv_dtype_name(p->dtype), p->shape);
    by_port[at] = &in[k];
  }
  for (int i = 0; i < g->n_input; i++)
    if (!by_port[i])
      return fv_error(diag, FV_ERR_ARG, NULL, "input '%s' (%s[%s]) is not given", g->input[i].name,
                      fv_dtype_name(g->input[i].dtype), g->input[i].shape);
  return FV_OK;
}

// Values of all symbols of the model: given ones, else unknown.
static fv_status given_symbols(const fv_model_info *info, const fv_dim_value *dims, size_t n_dims,
                               int64_t *value, fv_diag_sink *diag) {
  for (int i = 0; i < info->n_symbol; i++)
    value[i] = FV_MODEL_UNKNOWN;
  for (size_t k = 0; k < n_dims; k++) {
    int at = -1;
    for (int i = 0; i < info->n_symbol; i++)
      if (strcmp(info->symbol[i].name, dims[k].name) == 0)
        at = i;
    if (at < 0)
      return fv_error(diag, FV_ERR_ARG, NULL, "the model has no dim '%s'", dims[k].name);
    value[at] = dims[k].value;
  }
  return FV_OK;
}

static fv_status room_for_outputs(fv_context *c, const fv_graph_info *g, int entry,
                                  fv_diag_sink *diag) {
  if (c->entry != entry) {
    free_outputs(c);
    c->out = calloc((size_t)g->n_output + 1, sizeof *c->out);
    c->out_room = calloc((size_t)g->n_output + 1, sizeof *c->out_room);
    c->in = calloc((size_t)g->n_input + 1, sizeof *c->in);
    if (!c->out || !c->out_room || !c->in)
      return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
    c->n_out = g->n_output;
    c->entry = entry;
  }
  return FV_OK;
}

static fv_status grow_output(fv_context *c, int i, int64_t bytes, fv_diag_sink *diag) {
  if (c->out[i] && c->out_room[i] >= bytes)
    return FV_OK;
  free(c->out[i]);
  const size_t size = ((size_t)bytes + 127) & ~(size_t)63;
  c->out[i] = aligned_alloc(64, size);
  c->out_room[i] = c->out[i] ? bytes : 0;
  if (!c->out[i])
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory for the outputs");
  return FV_OK;
}

//===-- Programs ----------------------------------------------------------------------------===//

static int32_t bind_program(fv_context *c, int entry, const int64_t *symbol,
                            const int64_t *const *dims) {
  const fv_model_info *info = &c->e->info;
  // The table wants the values of the entry's own symbols, in its order.
  int64_t own[256];
  uint32_t n = 0;
  const uint32_t e = (uint32_t)entry;
  if (c->ctx) {
    n = c->e->api->symbol_count(c->e->api, e);
    for (uint32_t i = 0; i < n && i < FV_COUNTOF(own); i++) {
      fv_model_symbol s;
      own[i] = FV_MODEL_UNKNOWN;
      if (c->e->api->symbol(c->e->api, e, i, &s) != FV_MODEL_OK)
        continue;
      for (int k = 0; k < info->n_symbol; k++)
        if (strcmp(info->symbol[k].name, s.name) == 0)
          own[i] = symbol[k];
    }
    return c->e->api->bind(c->ctx, e, own, dims);
  }
  const fv_prog_entry *pe = &c->e->view.entry[entry];
  const uint32_t *used = fv_exec_table(&c->e->view, pe->used_symbols);
  for (uint32_t i = 0; i < pe->used_symbols.count && i < FV_COUNTOF(own); i++)
    own[i] = symbol[used[i]];
  return fv_exec_bind(c->exec, e, own, dims);
}

static int32_t port_dims(fv_context *c, int entry, int i, int64_t *dims) {
  return c->ctx ? c->e->api->dims(c->ctx, (uint32_t)entry, FV_MODEL_OUTPUT, (uint32_t)i, dims)
                : fv_exec_dims(c->exec, (uint32_t)entry, FV_MODEL_OUTPUT, (uint32_t)i, dims);
}

static int32_t run_program(fv_context *c) {
  const uint32_t e = (uint32_t)c->entry;
  return c->ctx ? c->e->api->run(c->ctx, e, c->in, c->out) : fv_exec_run(c->exec, e, c->in, c->out);
}

static fv_status run_with_program(fv_context *c, int entry, const fv_tensor_io *const *in,
                                  const int64_t *symbol, fv_tensor_io *out, size_t n_out,
                                  fv_diag_sink *diag) {
  const fv_graph_info *g = &c->e->info.graph[entry];
  const int64_t **dims = calloc((size_t)g->n_input + 1, sizeof *dims);
  if (!dims)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  for (int i = 0; i < g->n_input; i++) {
    dims[i] = in[i]->dim;
    c->in[i] = in[i]->data;
  }
  const int32_t bound = bind_program(c, entry, symbol, dims);
  free(dims);
  FV_TRY(model_status(c, bound, diag));
  for (int i = 0; i < g->n_output; i++) {
    int64_t bytes = 0;
    const int32_t r =
        c->ctx ? c->e->api->bytes(c->ctx, (uint32_t)entry, FV_MODEL_OUTPUT, (uint32_t)i, &bytes)
               : fv_exec_bytes(c->exec, (uint32_t)entry, FV_MODEL_OUTPUT, (uint32_t)i, &bytes);
    FV_TRY(model_status(c, r, diag));
    FV_TRY(grow_output(c, i, bytes, diag));
  }
  FV_TRY(model_status(c, run_program(c), diag));
  for (int i = 0; i < g->n_output && (size_t)i < n_out; i++) {
    out[i] = (fv_tensor_io){.name = g->output[i].name,
                            .dtype = g->output[i].dtype,
                            .rank = g->output[i].rank,
                            .data = c->out[i]};
    FV_TRY(model_status(c, port_dims(c, entry, i, out[i].dim), diag));
  }
  return FV_OK;
}

//===-- Graph runners ------------------------------------------------------------------------===//

typedef struct runner_cx {
  fv_context *c;
  int entry;
  const fv_tensor_io *const *in;
  int64_t *symbol;
  fv_arena *ar;
  fv_diag_sink *diag;
  fv_tensor_io *out;
  size_t n_out;
} runner_cx;

static fv_status solve(runner_cx *cx) {
  const fv_graph *g = cx->c->e->module->graph[cx->entry];
  const fv_module *m = g->module;
  for (uint32_t s = 0; s < fv_symbol_count(m->pool); s++) {
    const fv_symbol *y = fv_symbol_get(m->pool, s);
    if (y->kind == FV_SYM_STATE)
      cx->symbol[s] = cx->c->length[s];
    else if (y->min == y->max && cx->symbol[s] == FV_MODEL_UNKNOWN)
      cx->symbol[s] = y->min;
  }
  for (int i = 0; i < g->region->n_param; i++) {
    const fv_type *t = &g->region->param[i]->type;
    for (int d = 0; d < t->rank; d++)
      if (t->dim[d]->kind == FV_E_SYM && cx->symbol[t->dim[d]->ref] == FV_MODEL_UNKNOWN)
        cx->symbol[t->dim[d]->ref] = cx->in[i]->dim[d];
  }
  for (uint32_t s = 0; s < fv_symbol_count(m->pool); s++) {
    const fv_symbol *y = fv_symbol_get(m->pool, s);
    if (y->kind != FV_SYM_DIM || cx->symbol[s] == FV_MODEL_UNKNOWN)
      continue;
    if (cx->symbol[s] < y->min || cx->symbol[s] > y->max)
      return fv_error(cx->diag, FV_ERR_ARG, NULL,
                      "dim '%s' is %lld, but the model says %lld to %lld", y->name,
                      (long long)cx->symbol[s], (long long)y->min, (long long)y->max);
  }
  for (int i = 0; i < g->region->n_param; i++) {
    const fv_type *t = &g->region->param[i]->type;
    for (int d = 0; d < t->rank; d++) {
      int64_t want = 0;
      if (!fv_x_eval_i64(t->dim[d], cx->symbol, &want) || want != cx->in[i]->dim[d])
        return fv_error(cx->diag, FV_ERR_ARG, NULL, "input '%s': dim %d is %lld, but must be %lld",
                        g->input_name[i], d, (long long)cx->in[i]->dim[d], (long long)want);
    }
  }
  return FV_OK;
}

static fv_status make_states(runner_cx *cx) {
  fv_context *c = cx->c;
  const fv_module *m = c->e->module;
  for (int i = 0; i < m->n_state; i++) {
    const fv_state *s = m->state[i];
    int64_t dim[FV_MAX_RANK + 1] = {s->members}, bytes;
    for (int d = 0; d < s->type.rank; d++)
      if (!fv_x_eval_i64(s->type.dim[d], cx->symbol, &dim[d + 1]) || dim[d + 1] < 0)
        return FV_OK;  // this graph does not know its dims, so it does not use it
    if (!fv_bytes_i64(dim, s->type.rank + 1, fv_dtype_size(s->type.dtype), &bytes))
      return fv_error(cx->diag, FV_ERR_LIMIT, s->span, "state '%s' is too large", s->name);
    if (c->state[i] && c->state_bytes[i] != bytes)
      return fv_error(cx->diag, FV_ERR_ARG, s->span,
                      "state '%s' has another size since its first run; reset it", s->name);
    if (!c->state[i]) {
      c->state[i] = calloc(1, (size_t)bytes + 64);
      c->state_next[i] = calloc(1, (size_t)bytes + 64);
      if (!c->state[i] || !c->state_next[i])
        return fv_error(cx->diag, FV_ERR_OOM, s->span, "out of memory for state '%s'", s->name);
      c->state_bytes[i] = bytes;
    }
    memcpy(c->state_next[i], c->state[i], (size_t)bytes);
  }
  return FV_OK;
}

static fv_status commit(runner_cx *cx) {
  fv_context *c = cx->c;
  const fv_module *m = c->e->module;
  const fv_graph *g = m->graph[cx->entry];
  for (int i = 0; i < g->n_advance; i++) {
    int64_t v;
    const fv_symbol *y = fv_symbol_get(m->pool, g->advance[i].length);
    if (!fv_x_eval_i64(g->advance[i].next, cx->symbol, &v) || v < y->min || v > y->max)
      return fv_error(cx->diag, FV_ERR_RUN, g->span, "state length '%s' leaves its range", y->name);
    c->length[g->advance[i].length] = v;
  }
  for (int i = 0; i < m->n_state; i++) {
    uint8_t *s = c->state[i];
    c->state[i] = c->state_next[i];
    c->state_next[i] = s;
  }
  return FV_OK;
}

static fv_status runner_body(void *user) {
  runner_cx *cx = user;
  fv_context *c = cx->c;
  const fv_graph_info *info = &c->e->info.graph[cx->entry];
  const fv_graph *g = c->e->module->graph[cx->entry];
  FV_TRY(solve(cx));
  FV_TRY(make_states(cx));
  fv_array *in = FV_NEW_N(cx->ar, fv_array, info->n_input);
  fv_array *out = FV_NEW_N(cx->ar, fv_array, info->n_output);
  for (int i = 0; i < info->n_input; i++) {
    in[i] = (fv_array){.dtype = cx->in[i]->dtype, .rank = cx->in[i]->rank, .data = cx->in[i]->data};
    memcpy(in[i].dim, cx->in[i]->dim, sizeof in[i].dim);
  }
  fv_run_io io = {.symbol = cx->symbol,
                  .input = in,
                  .output = out,
                  .state = c->state,
                  .state_next = c->state_next,
                  .arena = cx->ar,
                  .diag = cx->diag};
  fv_report report = {.diag = cx->diag};
  FV_TRY(fv_plugin_status(c->e->backend->run_graph(c->e->device, g, &io, &report)));
  for (int i = 0; i < info->n_output && (size_t)i < cx->n_out; i++) {
    const int64_t bytes = fv_array_count(&out[i]) * fv_dtype_size(out[i].dtype);
    FV_TRY(grow_output(c, i, bytes, cx->diag));
    memcpy(c->out[i], out[i].data, (size_t)bytes);
    cx->out[i] = (fv_tensor_io){.name = info->output[i].name,
                                .dtype = out[i].dtype,
                                .rank = out[i].rank,
                                .data = c->out[i]};
    memcpy(cx->out[i].dim, out[i].dim, sizeof out[i].dim);
  }
  return commit(cx);
}

//===-- Runs
//------------------------------------------------------------------------------------===//

fv_status fv_context_run(fv_context *c, const char *entry, const fv_tensor_io *in, size_t n_in,
                         const fv_dim_value *dims, size_t n_dims, fv_tensor_io *out, size_t n_out,
                         fv_diag_sink *diag) {
  const fv_model_info *info = &c->e->info;
  const int e = find_entry(info, entry);
  if (e < 0)
    return fv_error(diag, FV_ERR_ARG, NULL, "the model has no graph '%s'", entry);
  const fv_graph_info *g = &info->graph[e];
  const fv_tensor_io **by_port = calloc((size_t)g->n_input + 1, sizeof *by_port);
  int64_t *symbol = calloc((size_t)info->n_symbol + 1, sizeof *symbol);
  fv_status s = by_port && symbol ? FV_OK : fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  if (s == FV_OK)
    s = match_inputs(g, in, n_in, by_port, diag);
  if (s == FV_OK)
    s = given_symbols(info, dims, n_dims, symbol, diag);
  if (s == FV_OK)
    s = room_for_outputs(c, g, e, diag);
  if (s == FV_OK && (c->ctx || c->exec)) {
    s = run_with_program(c, e, by_port, symbol, out, n_out, diag);
  } else if (s == FV_OK) {
    fv_arena *ar = fv_arena_create(NULL);
    runner_cx cx = {c, e, by_port, symbol, ar, diag, out, n_out};
    s = ar ? fv_guard(ar, diag, runner_body, &cx)
           : fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
    fv_arena_destroy(ar);
  }
  free(by_port);
  free(symbol);
  return s;
}

fv_status fv_context_again(fv_context *c, fv_diag_sink *diag) {
  if (c->entry < 0 || !(c->ctx || c->exec))
    return fv_error(diag, FV_ERR_ARG, NULL, "there is no run to repeat");
  return model_status(c, run_program(c), diag);
}

fv_status fv_context_reset(fv_context *c, fv_diag_sink *diag) {
  if (c->ctx)
    return model_status(c, c->e->api->reset(c->ctx), diag);
  if (c->exec)
    return model_status(c, fv_exec_reset(c->exec), diag);
  free_states(c);
  memset(c->length, 0, sizeof *c->length * fv_symbol_count(c->e->module->pool));
  return FV_OK;
}

int64_t fv_context_workspace_bytes(const fv_context *c) {
  return c->ctx ? c->e->api->workspace_bytes(c->ctx) : c->exec ? fv_exec_workspace(c->exec) : 0;
}
