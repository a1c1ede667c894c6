// SPDX-License-Identifier: Apache-2.0
// The OpenCL backend: prints a set of kernels as one program, builds it.
#include "opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

//===-- Compile -------------------------------------------------------------------===//

static bool describe_kernel(kernel_info *out, const fv_kernel_code *k) {
  const size_t n = strlen(k->name);
  out->name = malloc(n + 3);
  if (!out->name)
    return false;
  snprintf(out->name, n + 3, "k_%s", k->name);
  out->n_global = k->n_global;
  out->n_scalar = k->n_scalar;
  out->n_item = k->n_item;
  out->scratch = k->n_buffer > k->n_global;
  for (uint32_t i = 0; i < k->n_inst; i++)
    out->checks |= k->inst[i].op == FV_K_CHECK;
  return true;
}

static int32_t decline(const fv_device *d, fv_report *r, const fv_kernel_code *k, const char *why) {
  char line[512];
  snprintf(line, sizeof line, "kernel %s: %s", k->name, why);
  return d->host->error(r, FV_PLUGIN_UNSUPPORTED, line);
}

static bool uses_f64(const fv_kernel_code *k) {
  for (uint32_t i = 0; i < k->n_buffer; i++)
    if (k->buffer[i].dtype == FV_f64)
      return true;
  for (uint32_t i = 0; i < k->n_inst; i++)
    if (k->inst[i].dtype == FV_f64)
      return true;
  return false;
}

// Prints all kernels; *out_source is the caller's, set on success.
static int32_t print_all(fv_kernels *set, const fv_kernel_code *const *kernels, fv_report *r) {
  fv_device *d = set->device;
  helpers need = {0};
  text body = {0}, all = {0};
  int32_t status = FV_PLUGIN_OK;
  for (size_t i = 0; i < set->count && status == FV_PLUGIN_OK; i++) {
    const fv_kernel_code *k = kernels[i];
    const char *why = NULL;
    const size_t bytes = 4 * sizeof(cl_ulong) + 16 * (size_t)k->n_global + 8 * (size_t)k->n_scalar;
    if (uses_f64(k) && !d->target.has_f64)
      why = "the device has no f64";
    else if (bytes + 8 > d->parameter_bytes)
      why = "more parameters than the device takes";
    else
      print_kernel(&body, k, &need, &why);
    if (why)
      status = decline(d, r, k, why);
    else if (!describe_kernel(&set->kernel[i], k))
      status = FV_PLUGIN_OOM;
  }
  print_helpers(&all, &need);
  text_puts(&all, body.data ? body.data : "");
  if (status == FV_PLUGIN_OK && (body.oom || all.oom))
    status = FV_PLUGIN_OOM;
  free(body.data);
  set->source = all.data;
  return status;
}

static void report_log(const fv_device *d, cl_program program, fv_report *r) {
  size_t n = 0;
  if (clGetProgramBuildInfo(program, d->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &n) != CL_SUCCESS ||
      n <= 1)
    return;
  char *log = calloc(n + 1, 1);
  if (log &&
      clGetProgramBuildInfo(program, d->id, CL_PROGRAM_BUILD_LOG, n, log, NULL) == CL_SUCCESS)
    d->host->note(r, log);
  free(log);
}

static int32_t build(fv_kernels *set, fv_report *r) {
  fv_device *d = set->device;
  const char *source = set->source;
  cl_int e;
  set->program = clCreateProgramWithSource(d->context, 1, &source, NULL, &e);
  if (!set->program)
    return cl_fail(d, r, "clCreateProgramWithSource", e);
  e = clBuildProgram(set->program, 1, &d->id, d->options, NULL, NULL);
  if (e == CL_SUCCESS)
    return FV_PLUGIN_OK;
  char folder[512], line[640];
  if (cl_find_full_folder(folder, sizeof folder)) {
    snprintf(line, sizeof line, "the OpenCL compiler failed: no space left in '%s'", folder);
    return d->host->error(r, FV_PLUGIN_IO, line);
  }
  const int32_t status = cl_fail(d, r, "the OpenCL compiler refused the kernels", e);
  report_log(d, set->program, r);
  return status;
}

static void release(fv_kernels *k) {
  if (!k)
    return;
  if (k->program)
    clReleaseProgram(k->program);
  for (size_t i = 0; k->kernel && i < k->count; i++)
    free(k->kernel[i].name);
  free(k->kernel);
  free(k->source);
  free(k);
}

static int32_t compile_kernels(fv_device *d, const fv_kernel_code *const *kernels, size_t count,
                               fv_report *r, fv_kernels **out) {
  *out = NULL;
  fv_kernels *set = calloc(1, sizeof *set);
  if (!set)
    return FV_PLUGIN_OOM;
  set->device = d;
  set->count = count;
  set->kernel = calloc(count + 1, sizeof *set->kernel);
  int32_t status = set->kernel ? print_all(set, kernels, r) : FV_PLUGIN_OOM;
  if (status == FV_PLUGIN_OK)
    status = build(set, r);
  if (status != FV_PLUGIN_OK)
    release(set);
  else
    *out = set;
  return status;
}

//===-- Emit ----------------------------------------------------------------------===//

static void release_blob(void *data, size_t size) {
  (void)size;
  free(data);
}

static int32_t emit(fv_kernels *k, const char *kind, fv_report *r, fv_blob *out) {
  if (strcmp(kind, "opencl") != 0)
    return k->device->host->error(r, FV_PLUGIN_UNSUPPORTED, "opencl emits one kind: opencl");
  const size_t n = strlen(k->source);
  char *copy = malloc(n + 1);
  if (!copy)
    return FV_PLUGIN_OOM;
  memcpy(copy, k->source, n + 1);
  *out = (fv_blob){.data = copy, .size = n, .release = release_blob};
  return FV_PLUGIN_OK;
}

//===-- Table ---------------------------------------------------------------------===//

static const char *describe(fv_device *d) {
  return d->name;
}

static const fv_target *target(fv_device *d) {
  return &d->target;
}

static const fv_option_info options[] = {
    {.key = "device",
     .arg = "NAME",
     .doc = "a device by a part of its name, or by its number (default: the first GPU, else 0)"},
    {.key = "group",
     .arg = "N",
     .doc = "work-items of a block, a power of two (default: 64 on a GPU, else 1)"},
    {.key = NULL}};

static const fv_backend backend = {
    .struct_size = sizeof(fv_backend),
    .abi = FV_ABI_VERSION,
    .sanitizer = FV_ABI_SANITIZER,
    .name = "opencl",
    .doc = "OpenCL C 1.2 for GPUs and CPUs",
    .open = device_open,
    .close = device_close,
    .describe = describe,
    .target = target,
    .compile_kernels = compile_kernels,
    .release = release,
    .create_queue = queue_create,
    .destroy_queue = queue_destroy,
    .emit = emit,
    .options = options,
};

FV_BACKEND_EXPORT(opencl, backend)
