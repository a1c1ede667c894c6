// SPDX-License-Identifier: Apache-2.0
// The table of a compiled model, over the interpreter and the CPU device.
#include "runtime/exec/artifact.h"

#include "runtime/exec/cpu.h"
#include "runtime/exec/exec.h"
#include "runtime/exec/libc.h"

struct fv_model_ctx {
  const fv_model_api *api;
  fv_model_options options;
  fv_cpu_device *device;
  fv_exec_ctx *exec;
  char error[160];  // of this file; "" = ask the interpreter
};

static const char *status_text(int32_t status) {
  static const char *const text[] = {
#define X(id, value, words) [value] = words,
      FV_MODEL_STATUS_TABLE(X)
#undef X
  };
  return status >= 0 && (size_t)status < sizeof text / sizeof *text ? text[status]
                                                                    : "unknown status";
}

static int32_t fail(fv_model_ctx *c, int32_t status, const char *text) {
  snprintf(c->error, sizeof c->error, "%s", text);
  return status;
}

//===-- Create and destroy --------------------------------------------------===//

static void destroy(fv_model_ctx *c) {
  if (!c)
    return;
  fv_exec_destroy(c->exec);
  fv_cpu_destroy(c->device);
  free(c);
}

static int32_t open_program(const fv_artifact_desc *d, fv_exec_image *out, const char **why) {
  const int32_t status = fv_exec_open(d->image, d->image_bytes, out, why);
  if (status == FV_MODEL_OK && out->head->kernels.count != d->kernel_count) {
    *why = "the program and its kernels do not belong together";
    return FV_MODEL_ERR_IMAGE;
  }
  return status;
}

// On the device that is given, or on one of our own.
static int32_t make(fv_model_ctx *c, const fv_device_ops *ops, void *dev, const char **why) {
  const fv_artifact_desc *d = c->api->desc;
  fv_exec_image image;
  const int32_t status = open_program(d, &image, why);
  if (status != FV_MODEL_OK)
    return status;
  if (!ops) {
    c->device = fv_cpu_create(d->kernels, d->kernel_count, &c->options);
    if (!c->device)
      return FV_MODEL_ERR_OOM;
  }
  const fv_exec_options o = {.constants = d->constants,
                             .const_bytes = d->const_bytes,
                             .ops = ops ? ops : fv_cpu_ops(),
                             .dev = ops ? dev : c->device};
  return fv_exec_create(&image, &o, &c->exec);
}

static int32_t create_with(const fv_model_api *api, const fv_model_options *options,
                           const fv_device_ops *ops, void *dev, fv_model_ctx **out,
                           const char **why) {
  fv_model_ctx *c = calloc(1, sizeof *c);
  int32_t status = FV_MODEL_ERR_OOM;
  if (c) {
    c->api = api;
    status = FV_SIZED_OPTIONS(&c->options, options) ? make(c, ops, dev, why) : FV_MODEL_ERR_ARG;
    if (status == FV_MODEL_ERR_ARG && !**why)
      *why = "the options are not of this version";
  }
  *out = status == FV_MODEL_OK ? c : NULL;
  if (status == FV_MODEL_OK)
    return status;
  if (!**why)
    *why = status_text(status);
  destroy(c);
  return status;
}

static int32_t create(const fv_model_api *api, const fv_model_options *options, fv_model_ctx **out,
                      const char **why) {
  const char *ignored = NULL;
  why = why ? why : &ignored;
  *why = "";
  *out = NULL;
  if (!api->desc->kernels && api->desc->kernel_count) {
    *why = "the program runs on a device";
    return FV_MODEL_ERR_ARG;
  }
  // The sentence is static: which feature it is, cpu_features and the system tell.
  if (!fv_cpu_has(api->desc->cpu_features, NULL, 0)) {
    *why = status_text(FV_MODEL_ERR_CPU);
    return FV_MODEL_ERR_CPU;
  }
  return create_with(api, options, NULL, NULL, out, why);
}

int32_t fv_artifact_create_on(const fv_model_api *api, const fv_device_ops *ops, void *dev,
                              fv_model_ctx **out, const char **why) {
  *why = "";
  return create_with(api, NULL, ops, dev, out, why);
}

static const char *error(const fv_model_ctx *c) {
  if (!c)
    return "";
  return c->error[0] ? c->error : fv_exec_error(c->exec);
}

//===-- What the model has ----------------------------------------------------===//

static fv_exec_image image_of(const fv_model_api *api) {
  return fv_exec_view(api->desc->image);
}

static uint32_t entry_count(const fv_model_api *api) {
  return image_of(api).head->entries.count;
}

static const char *entry_name(const fv_model_api *api, uint32_t entry) {
  const fv_exec_image im = image_of(api);
  return entry < im.head->entries.count ? fv_exec_string(&im, im.entry[entry].name) : NULL;
}

static fv_table ports(const fv_exec_image *im, uint32_t entry, fv_model_port kind) {
  if (entry >= im->head->entries.count)
    return (fv_table){0, 0};
  return kind == FV_MODEL_INPUT ? im->entry[entry].inputs : im->entry[entry].outputs;
}

static uint32_t port_count(const fv_model_api *api, uint32_t entry, fv_model_port kind) {
  const fv_exec_image im = image_of(api);
  return ports(&im, entry, kind).count;
}

static int32_t port(const fv_model_api *api, uint32_t entry, fv_model_port kind, uint32_t index,
                    fv_model_tensor *out) {
  const fv_exec_image im = image_of(api);
  const fv_table t = ports(&im, entry, kind);
  if (index >= t.count)
    return FV_MODEL_ERR_ARG;
  const fv_prog_port *p = (const fv_prog_port *)fv_exec_table(&im, t) + index;
  *out = (fv_model_tensor){fv_exec_string(&im, p->name), p->dtype, p->rank};
  return FV_MODEL_OK;
}

static uint32_t symbol_count(const fv_model_api *api, uint32_t entry) {
  const fv_exec_image im = image_of(api);
  return entry < im.head->entries.count ? im.entry[entry].used_symbols.count : 0;
}

static int32_t symbol(const fv_model_api *api, uint32_t entry, uint32_t index,
                      fv_model_symbol *out) {
  const fv_exec_image im = image_of(api);
  if (index >= symbol_count(api, entry))
    return FV_MODEL_ERR_ARG;
  const uint32_t *used = fv_exec_table(&im, im.entry[entry].used_symbols);
  const fv_prog_symbol *s = &im.symbol[used[index]];
  *out = (fv_model_symbol){fv_exec_string(&im, s->name), s->min, s->max};
  return FV_MODEL_OK;
}

static uint32_t state_count(const fv_model_api *api) {
  return image_of(api).head->states.count;
}

//===-- Bind and run ------------------------------------------------------------===//

// Callers that have no context yet, or no more, are told so, and not ended.
static bool begin(fv_model_ctx *c) {
  if (c)
    c->error[0] = 0;
  return c != NULL;
}

static int32_t bind(fv_model_ctx *c, uint32_t entry, const int64_t *symbols,
                    const int64_t *const *input_dims) {
  if (!begin(c))
    return FV_MODEL_ERR_ARG;
  return fv_exec_bind(c->exec, entry, symbols, input_dims);
}

static int32_t dims(const fv_model_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                    int64_t *out_dims) {
  return !c ? FV_MODEL_ERR_ARG : fv_exec_dims(c->exec, entry, kind, index, out_dims);
}

static int32_t bytes(const fv_model_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                     int64_t *out_bytes) {
  return !c ? FV_MODEL_ERR_ARG : fv_exec_bytes(c->exec, entry, kind, index, out_bytes);
}

static int64_t workspace_bytes(const fv_model_ctx *c) {
  return c ? fv_exec_workspace(c->exec) : 0;
}

static int32_t run(fv_model_ctx *c, uint32_t entry, const void *const *inputs,
                   void *const *outputs) {
  if (!begin(c))
    return FV_MODEL_ERR_ARG;
  return fv_exec_run(c->exec, entry, inputs, outputs);
}

//===-- States ------------------------------------------------------------------===//

static int32_t reset(fv_model_ctx *c) {
  if (!begin(c))
    return FV_MODEL_ERR_ARG;
  return fv_exec_reset(c->exec);
}

static int32_t save(fv_model_ctx *c, void *data, uint64_t capacity, uint64_t *out_bytes) {
  if (!begin(c))
    return FV_MODEL_ERR_ARG;
  return fv_exec_save(c->exec, data, capacity, out_bytes);
}

static int32_t load(fv_model_ctx *c, const void *data, uint64_t size) {
  if (!begin(c))
    return FV_MODEL_ERR_ARG;
  return fv_exec_load(c->exec, data, size);
}

static int32_t fork_states(fv_model_ctx *c, fv_model_ctx *to) {
  uint64_t size;
  int32_t status = save(c, NULL, 0, &size);
  void *data = status == FV_MODEL_OK ? malloc(size) : NULL;
  if (!data)
    return FV_MODEL_ERR_OOM;
  status = save(c, data, size, &size);
  if (status == FV_MODEL_OK)
    status = load(to, data, size);
  free(data);
  return status;
}

static int32_t fork_ctx(fv_model_ctx *c, fv_model_ctx **out) {
  fv_model_ctx *to;
  *out = NULL;
  if (!begin(c))
    return FV_MODEL_ERR_ARG;
  if (!c->device)
    return fail(c, FV_MODEL_ERR_ARG, "a context on a device cannot be forked");
  int32_t status = create(c->api, &c->options, &to, NULL);
  if (status == FV_MODEL_OK)
    status = fork_states(c, to);
  if (status == FV_MODEL_OK) {
    *out = to;
    return status;
  }
  destroy(to);
  return fail(c, status, "the context could not be forked");
}

static int32_t state(const fv_model_ctx *c, uint32_t index, fv_model_state *out) {
  return !c ? FV_MODEL_ERR_ARG : fv_exec_state(c->exec, index, out);
}

//===-- The table ---------------------------------------------------------------===//

#define API_OF(d)                                                                               \
  {                                                                                             \
    .struct_size = sizeof(fv_model_api), .abi = FV_MODEL_ABI, .desc = (d), .create = create,    \
    .destroy = destroy, .error = error, .status_text = status_text, .entry_count = entry_count, \
    .entry_name = entry_name, .port_count = port_count, .port = port,                           \
    .symbol_count = symbol_count, .symbol = symbol, .bind = bind, .dims = dims, .bytes = bytes, \
    .workspace_bytes = workspace_bytes, .run = run, .reset = reset, .fork = fork_ctx,           \
    .save = save, .load = load, .state_count = state_count, .state = state                      \
  }

void fv_artifact_api(const fv_artifact_desc *desc, fv_model_api *out) {
  *out = (fv_model_api)API_OF(desc);
}

#ifdef FV_EXEC_BITCODE
// An ELF note: sizes of name and content, type, name; the content is written by whoever makes
// the library.
typedef struct seal_note {
  uint32_t name_bytes, content_bytes, type;
  char name[8];
  uint32_t content[6];
} seal_note;
__attribute__((used, section(".note.fovea"))) static const seal_note seal = {
    .name_bytes = 8, .content_bytes = sizeof seal.content, .type = 1, .name = "FOVEA"};

const fv_model_api *fv_artifact_get(void) {
  static const fv_model_api api = API_OF(&fv_model_desc);
  return &api;
}
#endif
