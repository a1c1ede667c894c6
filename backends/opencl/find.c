// SPDX-License-Identifier: Apache-2.0
// The devices that there are, the one that is meant, and, if there is none, which platform
// answered what.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

typedef struct devices {
  cl_candidate *item;
  size_t count, cap;
  bool oom;
  char why[1024];  // what was found that is of no use
  bool pocl;       // ... among it PoCL without a device
} devices;

static void add(devices *all, const cl_candidate *c) {
  if (all->count == all->cap) {
    const size_t cap = all->cap ? 2 * all->cap : 8;
    cl_candidate *more = realloc(all->item, cap * sizeof *more);
    all->oom = all->oom || !more;
    if (!more)
      return;
    all->item = more;
    all->cap = cap;
  }
  all->item[all->count++] = *c;
}

static void add_why(devices *all, const char *what, const char *name, const char *how) {
  const size_t at = strlen(all->why);
  snprintf(all->why + at, sizeof all->why - at, "%s%s '%.200s' %s", at ? "; " : "", what, name,
           how);
}

//===-- Asking ------------------------------------------------------------===//

static const char *useless(cl_device_id id) {
  if (!cl_ask_u32(id, CL_DEVICE_AVAILABLE, 0))
    return "is not available";
  if (!cl_ask_u32(id, CL_DEVICE_COMPILER_AVAILABLE, 0))
    return "has no compiler";
  return cl_ask_u32(id, CL_DEVICE_ENDIAN_LITTLE, 0) ? NULL : "is big-endian";
}

static void add_devices(devices *all, cl_platform_id platform, const cl_device_id *id, cl_uint n) {
  for (cl_uint i = 0; i < n; i++) {
    cl_candidate c = {.platform = platform, .id = id[i]};
    cl_device_type type = CL_DEVICE_TYPE_CPU;
    clGetDeviceInfo(id[i], CL_DEVICE_TYPE, sizeof type, &type, NULL);
    c.type = type;
    cl_ask_text(id[i], CL_DEVICE_NAME, c.name, sizeof c.name);
    const char *why = useless(id[i]);
    if (why)
      add_why(all, "device", c.name, why);
    else
      add(all, &c);
  }
}

static void ask_platform(devices *all, cl_platform_id platform) {
  char name[256] = "?", answer[128];
  cl_uint n = 0;
  (void)clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
  cl_int e = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &n);
  cl_device_id *id = e == CL_SUCCESS && n > 0 ? calloc(n, sizeof *id) : NULL;
  if (id)
    e = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, n, id, NULL);
  if (id && e == CL_SUCCESS) {
    add_devices(all, platform, id, n);
  } else {
    all->oom = all->oom || (e == CL_SUCCESS && n > 0);
    e = e == CL_SUCCESS ? CL_DEVICE_NOT_FOUND : e;
    snprintf(answer, sizeof answer, "has no device: %s (%d)", cl_error_name(e), (int)e);
    add_why(all, "platform", name, answer);
    all->pocl = all->pocl || strcmp(name, "Portable Computing Language") == 0;
  }
  free(id);
}

static void ask_all(devices *all) {
  cl_uint n = 0;
  cl_int e = clGetPlatformIDs(0, NULL, &n);
  cl_platform_id *platform = e == CL_SUCCESS && n > 0 ? calloc(n, sizeof(cl_platform_id)) : NULL;
  if (platform)
    e = clGetPlatformIDs(n, platform, NULL);
  for (cl_uint i = 0; platform && e == CL_SUCCESS && i < n; i++)
    ask_platform(all, platform[i]);
  if (!platform || e != CL_SUCCESS)
    snprintf(all->why, sizeof all->why, "no driver is installed, e.g. pocl-opencl-icd (%s)",
             cl_error_name(e == CL_SUCCESS ? CL_PLATFORM_NOT_FOUND_KHR : e));
  free(platform);
}

//===-- Choosing ----------------------------------------------------------===//

// By number, by a part of the name, or the first GPU, else the first of all.
static const cl_candidate *choose(const devices *all, const char *want) {
  if (want) {
    char *end;
    const long number = strtol(want, &end, 10);
    if (end != want && *end == '\0')
      return number >= 0 && (size_t)number < all->count ? &all->item[number] : NULL;
  }
  for (size_t i = 0; i < all->count; i++)
    if (want ? strstr(all->item[i].name, want) != NULL
             : (all->item[i].type & CL_DEVICE_TYPE_GPU) != 0)
      return &all->item[i];
  return want || all->count == 0 ? NULL : &all->item[0];
}

static int32_t refuse(const fv_host *host, fv_report *r, const devices *all, const char *want) {
  char line[2048];
  if (all->count == 0) {
    snprintf(line, sizeof line, "there is no OpenCL device: %s", all->why);
    const int32_t status = host->error(r, FV_PLUGIN_UNSUPPORTED, line);
    if (all->pocl)
      host->note(r,
                 "PoCL has none where it cannot write to a folder for its files: POCL_CACHE_DIR, "
                 "XDG_CACHE_HOME, or .cache in HOME");
    return status;
  }
  int at = snprintf(line, sizeof line, "no OpenCL device matches '%.128s'; there are:", want);
  for (size_t i = 0; i < all->count && at > 0 && (size_t)at < sizeof line; i++)
    at += snprintf(line + at, sizeof line - (size_t)at, "%s %zu '%.128s'", i ? "," : "", i,
                   all->item[i].name);
  return host->error(r, FV_PLUGIN_UNSUPPORTED, line);
}

int32_t cl_find_device(const fv_host *host, fv_report *r, const char *want, cl_candidate *out) {
  devices all = {0};
  const char *refusal = cl_drivers_refuse();
  if (refusal)
    return host->error(r, FV_PLUGIN_UNSUPPORTED, refusal);
  ask_all(&all);
  const cl_candidate *found = choose(&all, want);
  int32_t status = FV_PLUGIN_OK;
  if (all.oom)
    status = FV_PLUGIN_OOM;
  else if (!found)
    status = refuse(host, r, &all, want);
  else
    *out = *found;
  free(all.item);
  return status;
}
