// SPDX-License-Identifier: Apache-2.0
// The skeleton of a backend: copy this folder, rename it, and fill it in.
//
// It opens, and declines every kernel. What a real one adds, in this order:
//   1. target()           what a schedule may know: vector width, caches, FMA
//   2. compile_kernels()  walk fv_kernel_code.inst from first to last, print
//                         each instruction in your language, build the result.
//                         A value is the number of its instruction; FOR and IF
//                         nest and close with END; see fovea/kernel.h
//   3. cpu_kernel()       entry points that the host calls with its threads, or
//      create_queue()     memory and launches of a device: fv_device_ops
//   4. emit()             the text of what was generated, for --emit=
// Then run the conformance suite on it: fovea plugin test, docs/add-a-backend.md.
//
// A backend includes fovea/plugin.h and nothing else of fovea, keeps no global
// state, prints nothing, and returns a status for everything that can fail.
#include <stdlib.h>
#include <string.h>

#include "fovea/plugin.h"

struct fv_device {
  const fv_host *host;  // the only way back into fovea
  fv_target target;
};

// A backend that runs compiled code has its handles here.
struct fv_kernels {
  fv_device *device;
};

static int32_t open_device(const fv_host *host, const fv_option *options, size_t n_options,
                           fv_report *r, fv_device **out) {
  *out = NULL;
  if (n_options > 0) {  // name what you do not know; never ignore an option
    (void)options;
    return host->error(r, FV_PLUGIN_FAILED, "null has no options");
  }
  fv_device *d = calloc(1, sizeof *d);
  if (!d)
    return FV_PLUGIN_OOM;
  d->host = host;
  // The plainest machine: scalar code, one worker.
  d->target = (fv_target){.struct_size = sizeof d->target,
                          .vector_bits = 32,
                          .registers = 16,
                          .l1_bytes = 32u << 10,
                          .l2_bytes = 256u << 10,
                          .l3_bytes = 1u << 20,
                          .group_size = 1,
                          .workers = 1};
  *out = d;
  return FV_PLUGIN_OK;
}

static void close_device(fv_device *d) {
  free(d);
}

static const char *describe(fv_device *d) {
  (void)d;
  return "no device: the skeleton of a backend";
}

static const fv_target *target(fv_device *d) {
  return &d->target;
}

// UNSUPPORTED with the reason: the host lists it and looks for another backend.
static int32_t compile_kernels(fv_device *d, const fv_kernel_code *const *kernels, size_t count,
                               fv_report *r, fv_kernels **out) {
  (void)kernels;
  (void)count;
  *out = NULL;
  return d->host->error(r, FV_PLUGIN_UNSUPPORTED, "null compiles no kernels");
}

// Accepts what a failed compile_kernels left behind, and NULL.
static void release(fv_kernels *k) {
  free(k);
}

static int32_t emit(fv_kernels *k, const char *kind, fv_report *r, fv_blob *out) {
  (void)kind;
  memset(out, 0, sizeof *out);
  return k->device->host->error(r, FV_PLUGIN_UNSUPPORTED, "null emits nothing");
}

static const fv_backend backend = {
    .struct_size = sizeof(fv_backend),
    .abi = FV_ABI_VERSION,
    .sanitizer = FV_ABI_SANITIZER,
    .name = "null",
    .doc = "The skeleton to copy; runs nothing",
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .target = target,
    .compile_kernels = compile_kernels,
    .release = release,
    .emit = emit,
};

FV_BACKEND_EXPORT(null, backend)
