// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec/artifact.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/exec/context.h"
#include "runtime/exec/cpu.h"

struct fv_model_context {
  const fv_model_code *code;
  fv_cpu *cpu;
  fv_exec *exec;
};

static int32_t create(const fv_model_code *code, int32_t threads, fv_model_context **out) {
  *out = NULL;
  if (threads < 0)
    return FV_EXEC_INVALID;
  fv_model_context *c = calloc(1, sizeof *c);
  if (!c)
    return FV_EXEC_OOM;
  c->code = code;
  c->cpu = fv_cpu_create(code->kernel, (size_t)code->n_kernel, threads);
  int r = FV_EXEC_OOM;
  if (c->cpu)
    r = fv_exec_create(code->image, code->constants, fv_cpu_ops(), c->cpu, &c->exec);
  if (r) {
    fv_exec_destroy(c->exec);
    fv_cpu_destroy(c->cpu);
    free(c);
    return r;
  }
  *out = c;
  return FV_EXEC_OK;
}

static void destroy(fv_model_context *c) {
  if (!c)
    return;
  fv_exec_destroy(c->exec);
  fv_cpu_destroy(c->cpu);
  free(c);
}

static const char *error(const fv_model_context *c) {
  return fv_exec_error(c->exec);
}

static int32_t bind(fv_model_context *c, uint32_t entry, const int64_t *dims) {
  const fv_program *p = c->code->image;
  if (entry >= p->entries.count)
    return exec_fail(c->exec, FV_EXEC_INVALID, "there is no entry %u", entry);
  const fv_prog_entry *e = &EXEC_ROWS(p, p->entries, fv_prog_entry)[entry];
  const uint32_t *used = EXEC_ROWS(p, e->used_symbols, uint32_t);
  int64_t *symbol = malloc(sizeof *symbol * (p->symbols.count + 1));
  if (!symbol)
    return exec_fail(c->exec, FV_EXEC_OOM, "out of memory");
  for (uint32_t i = 0; i < p->symbols.count; i++)
    symbol[i] = INT64_MIN;
  for (uint32_t i = 0; i < e->used_symbols.count; i++)
    symbol[used[i]] = dims[i];
  const int32_t r = fv_exec_bind_symbols(c->exec, entry, symbol);
  free(symbol);
  return r;
}

static int32_t output_dims(fv_model_context *c, uint32_t output, int64_t *dims) {
  if (!c->exec->e || output >= c->exec->e->outputs.count)
    return exec_fail(c->exec, FV_EXEC_INVALID, "there is no output %u", output);
  memcpy(dims, fv_exec_output_dims(c->exec, output), sizeof(int64_t) * FV_MAX_RANK);
  return FV_EXEC_OK;
}

static int64_t output_bytes(fv_model_context *c, uint32_t output) {
  if (!c->exec->e || output >= c->exec->e->outputs.count)
    return -1;
  return fv_exec_output_bytes(c->exec, output);
}

static int32_t run(fv_model_context *c, const void *const *in, void *const *out) {
  return fv_exec_run(c->exec, in, out);
}

static int64_t workspace_bytes(fv_model_context *c) {
  return fv_exec_workspace_bytes(c->exec);
}

static int32_t reset(fv_model_context *c) {
  return fv_exec_reset(c->exec);
}

static bool has_state(const fv_model_context *c, uint32_t state) {
  return state < ((const fv_program *)c->code->image)->states.count;
}

static int64_t state_length(fv_model_context *c, uint32_t state) {
  return has_state(c, state) ? fv_exec_state_length(c->exec, state) : -1;
}

static int64_t state_bytes(fv_model_context *c, uint32_t state) {
  return has_state(c, state) ? fv_exec_state_bytes(c->exec, state) : -1;
}

static int32_t state_save(fv_model_context *c, uint32_t state, void *out) {
  if (!has_state(c, state))
    return exec_fail(c->exec, FV_EXEC_INVALID, "there is no state %u", state);
  return fv_exec_state_save(c->exec, state, out);
}

static int32_t state_load(fv_model_context *c, uint32_t state, const void *in, int64_t length) {
  if (!has_state(c, state))
    return exec_fail(c->exec, FV_EXEC_INVALID, "there is no state %u", state);
  return fv_exec_state_load(c->exec, state, in, length);
}

const fv_model_api fv_model_api_v1 = {
    .struct_size = sizeof(fv_model_api),
    .abi = FV_MODEL_ABI,
    .create = create,
    .destroy = destroy,
    .error = error,
    .bind = bind,
    .output_dims = output_dims,
    .output_bytes = output_bytes,
    .run = run,
    .workspace_bytes = workspace_bytes,
    .reset = reset,
    .state_length = state_length,
    .state_bytes = state_bytes,
    .state_save = state_save,
    .state_load = state_load,
};
