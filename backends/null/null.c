// SPDX-License-Identifier: Apache-2.0
// The skeleton of a backend: copy this folder, rename it, fill it in. As it stands it opens no
// device and so claims nothing: whatever is asked of it is refused with that sentence.
//
// In this order (docs/add-a-backend.md):
//   1. find_machine()    what a schedule may know of it: vector width, caches, FMA
//   2. print_inst()      each instruction of kernel IR in your language (fovea/kernel.h)
//   3. compile_kernels() the printed text to code
//   4. cpu_kernel()      entry points, which the host calls with its threads; or
//      create_queue()    memory and launches of a device, fv_device_ops (fovea/program.h)
//   5. emit()            the text of what was made, for --emit=
// Then `ctest -R conformance` runs every op on it.
//
// A backend includes fovea/plugin.h and nothing else of fovea, keeps no global state, prints
// nothing, and returns a status for everything that can fail.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "fovea/plugin.h"

struct fv_device {
  const fv_host *host;  // the only way back into fovea
  fv_target target;
};

struct fv_kernels {
  const fv_device *device;
  // ... what compile_kernels() made
};

//===-- Device ------------------------------------------------------------===//

// Is the machine here, and what may a schedule know of it?
static bool find_machine(fv_target *out) {
  *out = (fv_target){.struct_size = sizeof *out,
                     .vector_bits = 128,
                     .registers = 16,
                     .l1_bytes = 32u << 10,
                     .l2_bytes = 256u << 10,
                     .l3_bytes = 1u << 20,
                     .group_size = 1,
                     .workers = 1};
  return false;  // a skeleton has none
}

// Takes options? Then list them in a table (fv_option_info) and read them here: the host has
// refused all others.
static int32_t open_device(const fv_host *host, const fv_option *options, size_t n_options,
                           fv_report *r, fv_device **out) {
  (void)options;
  (void)n_options;
  *out = NULL;
  fv_target found;
  if (!find_machine(&found))
    return host->error(r, FV_PLUGIN_UNSUPPORTED,
                       "null is the skeleton of a backend: there is no device that it could open");
  fv_device *d = calloc(1, sizeof *d);
  if (!d)
    return FV_PLUGIN_OOM;
  d->host = host;
  d->target = found;
  *out = d;
  return FV_PLUGIN_OK;
}

static void close_device(fv_device *d) {
  free(d);
}

static const char *describe(fv_device *d) {
  (void)d;
  return "no device";
}

static const fv_target *target(fv_device *d) {
  return &d->target;
}

//===-- Kernels -----------------------------------------------------------===//

// A value is the number of its instruction; FOR and IF nest and close with END. Returns what
// cannot be printed, or NULL.
static const char *print_inst(const fv_kernel_code *k, uint32_t i) {
  switch (k->inst[i].op) {
  // case FV_K_CONST: ... one case for each instruction
  default: return "this instruction is not printed yet";
  }
}

static int32_t print_kernel(const fv_device *d, const fv_kernel_code *k, fv_report *r) {
  for (uint32_t i = 0; i < k->n_inst; i++) {
    const char *why = print_inst(k, i);
    char line[256];
    if (!why)
      continue;
    snprintf(line, sizeof line, "kernel %s, instruction %u: %s", k->name, (unsigned)i, why);
    return d->host->error(r, FV_PLUGIN_UNSUPPORTED, line);
  }
  return FV_PLUGIN_OK;
}

static int32_t compile_kernels(fv_device *d, const fv_kernel_code *const *kernels, size_t count,
                               fv_report *r, fv_kernels **out) {
  *out = NULL;
  for (size_t i = 0; i < count; i++) {
    const int32_t status = print_kernel(d, kernels[i], r);
    if (status != FV_PLUGIN_OK)
      return status;
  }
  fv_kernels *set = calloc(1, sizeof *set);
  if (!set)
    return FV_PLUGIN_OOM;
  set->device = d;
  *out = set;
  return FV_PLUGIN_OK;
}

// NULL is fine.
static void release(fv_kernels *set) {
  free(set);
}

static int32_t emit(fv_kernels *set, const char *kind, fv_report *r, fv_blob *out) {
  (void)kind;
  *out = (fv_blob){0};
  return set->device->host->error(r, FV_PLUGIN_UNSUPPORTED, "null shows nothing");
}

//===-- Table -------------------------------------------------------------===//

static const fv_backend backend = {
    .struct_size = sizeof(fv_backend),
    .abi = FV_ABI_VERSION,
    .sanitizer = FV_ABI_SANITIZER,
    .name = "null",
    .doc = "the skeleton of a backend, to be copied; runs nothing",
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .target = target,
    .compile_kernels = compile_kernels,
    .release = release,
    .emit = emit,
};

FV_BACKEND_EXPORT(null, backend)
