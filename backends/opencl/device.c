// SPDX-License-Identifier: Apache-2.0
// Opening a device, and what a schedule may know of it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

//===-- Errors --------------------------------------------------------------------===//

const char *cl_error_name(cl_int e) {
  static const struct {
    cl_int code;
    const char *name;
  } row[] = {
#define ROW(x) {x, #x}
      ROW(CL_DEVICE_NOT_FOUND),
      ROW(CL_DEVICE_NOT_AVAILABLE),
      ROW(CL_COMPILER_NOT_AVAILABLE),
      ROW(CL_MEM_OBJECT_ALLOCATION_FAILURE),
      ROW(CL_OUT_OF_RESOURCES),
      ROW(CL_OUT_OF_HOST_MEMORY),
      ROW(CL_BUILD_PROGRAM_FAILURE),
      ROW(CL_MISALIGNED_SUB_BUFFER_OFFSET),
      ROW(CL_MEM_COPY_OVERLAP),
      ROW(CL_INVALID_VALUE),
      ROW(CL_INVALID_DEVICE),
      ROW(CL_INVALID_CONTEXT),
      ROW(CL_INVALID_COMMAND_QUEUE),
      ROW(CL_INVALID_MEM_OBJECT),
      ROW(CL_INVALID_BUILD_OPTIONS),
      ROW(CL_INVALID_PROGRAM),
      ROW(CL_INVALID_PROGRAM_EXECUTABLE),
      ROW(CL_INVALID_KERNEL_NAME),
      ROW(CL_INVALID_KERNEL),
      ROW(CL_INVALID_ARG_INDEX),
      ROW(CL_INVALID_ARG_VALUE),
      ROW(CL_INVALID_ARG_SIZE),
      ROW(CL_INVALID_KERNEL_ARGS),
      ROW(CL_INVALID_WORK_DIMENSION),
      ROW(CL_INVALID_WORK_GROUP_SIZE),
      ROW(CL_INVALID_WORK_ITEM_SIZE),
      ROW(CL_INVALID_GLOBAL_OFFSET),
      ROW(CL_INVALID_EVENT),
      ROW(CL_INVALID_OPERATION),
      ROW(CL_INVALID_BUFFER_SIZE),
      ROW(CL_INVALID_GLOBAL_WORK_SIZE),
      ROW(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
#undef ROW
      {CL_PLATFORM_NOT_FOUND_KHR, "CL_PLATFORM_NOT_FOUND_KHR"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    if (row[i].code == e)
      return row[i].name;
  return "unknown OpenCL error";
}

static int32_t status_of(cl_int e) {
  switch (e) {
  case CL_OUT_OF_HOST_MEMORY:
  case CL_MEM_OBJECT_ALLOCATION_FAILURE: return FV_PLUGIN_OOM;
  default: return FV_PLUGIN_FAILED;
  }
}

int32_t cl_fail(const fv_device *d, fv_report *r, const char *what, cl_int e) {
  char line[256];
  snprintf(line, sizeof line, "%s: %s (%d)", what, cl_error_name(e), (int)e);
  return d->host->error(r, status_of(e), line);
}

//===-- Questions -----------------------------------------------------------------===//

// The text of a device property, "" if the driver does not tell.
void cl_ask_text(cl_device_id id, cl_device_info what, char *out, size_t size) {
  size_t n = 0;
  out[0] = '\0';
  if (clGetDeviceInfo(id, what, 0, NULL, &n) != CL_SUCCESS || n == 0)
    return;
  char *all = calloc(n + 1, 1);
  if (all && clGetDeviceInfo(id, what, n, all, NULL) == CL_SUCCESS)
    snprintf(out, size, "%s", all);
  free(all);
}

static uint64_t ask_u64(cl_device_id id, cl_device_info what, uint64_t otherwise) {
  cl_ulong v = 0;
  return clGetDeviceInfo(id, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : otherwise;
}

uint32_t cl_ask_u32(cl_device_id id, cl_device_info what, uint32_t otherwise) {
  cl_uint v = 0;
  return clGetDeviceInfo(id, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : otherwise;
}

static size_t ask_size(cl_device_id id, cl_device_info what, size_t otherwise) {
  size_t v = 0;
  return clGetDeviceInfo(id, what, sizeof v, &v, NULL) == CL_SUCCESS ? v : otherwise;
}

//===-- Target --------------------------------------------------------------------===//

static uint32_t clamp_u32(uint64_t v) {
  return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

// Work-items hide each other's waits on a GPU; those of a CPU are loops of one thread.
enum { GPU_GROUP = 64 };

// A work-item of a GPU works on vectors of four: enough for wide loads. On a
// CPU it gets what the vector unit holds.
static void fill_target(fv_device *d) {
  fv_target *t = &d->target;
  const cl_device_fp_config f32 = ask_u64(d->id, CL_DEVICE_SINGLE_FP_CONFIG, 0);
  uint32_t width = cl_ask_u32(d->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, 0);
  if (width == 0)
    width = cl_ask_u32(d->id, CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, 4);
  width = d->is_cpu ? (width >= 16 ? 16 : width >= 8 ? 8 : 4) : 4;
  const uint32_t units = cl_ask_u32(d->id, CL_DEVICE_MAX_COMPUTE_UNITS, 1);
  *t = (fv_target){
      .struct_size = sizeof *t,
      .has_groups = 1,
      .has_fma = (f32 & CL_FP_FMA) != 0,
      .has_f64 = ask_u64(d->id, CL_DEVICE_DOUBLE_FP_CONFIG, 0) != 0,
      .vector_bits = width * 32,
      .registers = width >= 16 ? 32 : 16,
      .l1_bytes = 32u << 10,
      .l2_bytes = clamp_u32(ask_u64(d->id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, 1u << 20)),
      .group_size = d->is_cpu || d->most_items < GPU_GROUP ? 1 : GPU_GROUP,
      .local_bytes = clamp_u32(ask_u64(d->id, CL_DEVICE_LOCAL_MEM_SIZE, 0)),
      .workers = d->is_cpu ? units : units * 128,
  };
  t->l3_bytes = t->l2_bytes;
  if (t->l2_bytes > (1u << 20) && d->is_cpu)
    t->l2_bytes = 1u << 20;  // what CPU drivers report is the last level
  // -w: drivers count the warnings of generated code, where a library is silent.
  snprintf(
      d->options, sizeof d->options, "-cl-std=CL1.2 -w%s",
      f32 & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
}

static void fill_name(fv_device *d, const char *name) {
  char version[128], platform[128] = "";
  cl_ask_text(d->id, CL_DEVICE_OPENCL_C_VERSION, version, sizeof version);
  if (clGetPlatformInfo(d->platform, CL_PLATFORM_NAME, sizeof platform - 1, platform, NULL) !=
      CL_SUCCESS)
    platform[0] = '\0';
  snprintf(d->name, sizeof d->name, "%s, %s%s%s, %u-bit vectors%s", name, platform,
           platform[0] ? ", " : "", version, (unsigned)d->target.vector_bits,
           d->target.has_f64 ? "" : ", no f64");
}

// The option group=N.
static int32_t set_group(fv_device *d, fv_report *r, const char *text) {
  char *end, line[192];
  errno = 0;
  const unsigned long n = strtoul(text, &end, 10);
  if (!errno && !*end && *text >= '1' && *text <= '9' && !(n & (n - 1)) && n <= d->most_items) {
    d->target.group_size = (uint32_t)n;
    return FV_PLUGIN_OK;
  }
  snprintf(line, sizeof line, "opencl: group='%.64s' is no power of two from 1 to the device's %zu",
           text, d->most_items);
  return d->host->error(r, FV_PLUGIN_ARG, line);
}

//===-- Open, close -----------------------------------------------------------------===//

int32_t device_open(const fv_host *host, const fv_option *options, size_t n_options, fv_report *r,
                    fv_device **out) {
  const char *want = NULL, *group = NULL;
  for (size_t i = 0; i < n_options; i++)
    if (strcmp(options[i].key, "device") == 0)
      want = options[i].value;
    else if (strcmp(options[i].key, "group") == 0)
      group = options[i].value;
  *out = NULL;
  cl_candidate c;
  int32_t status = cl_find_device(host, r, want, &c);
  if (status != FV_PLUGIN_OK)
    return status;
  fv_device *d = calloc(1, sizeof *d);
  if (!d)
    return FV_PLUGIN_OOM;
  d->host = host;
  d->platform = c.platform;
  d->id = c.id;
  d->is_cpu = (c.type & CL_DEVICE_TYPE_CPU) != 0;
  d->parameter_bytes = ask_size(d->id, CL_DEVICE_MAX_PARAMETER_SIZE, 1024);
  d->most_items = ask_size(d->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, 1);
  fill_target(d);
  status = group ? set_group(d, r, group) : FV_PLUGIN_OK;
  if (status != FV_PLUGIN_OK) {
    free(d);
    return status;
  }
  fill_name(d, c.name);
  cl_int e;
  d->context = clCreateContext(NULL, 1, &d->id, NULL, NULL, &e);
  if (!d->context) {
    const int32_t failed = cl_fail(d, r, "clCreateContext", e);
    free(d);
    return failed;
  }
  *out = d;
  return FV_PLUGIN_OK;
}

void device_close(fv_device *d) {
  if (!d)
    return;
  clReleaseContext(d->context);
  free(d);
}
