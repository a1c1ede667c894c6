// SPDX-License-Identifier: Apache-2.0
// backends/opencl/opencl.h - what the files of this backend share.
#ifndef FOVEA_BACKENDS_OPENCL_OPENCL_H_
#define FOVEA_BACKENDS_OPENCL_OPENCL_H_

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdbool.h>

#include "fovea/plugin.h"

#ifndef CL_PLATFORM_NOT_FOUND_KHR  // of cl_icd.h
#define CL_PLATFORM_NOT_FOUND_KHR (-1001)
#endif

struct fv_device {
  const fv_host *host;
  cl_platform_id platform;
  cl_device_id id;
  cl_context context;
  bool is_cpu;
  size_t most_items;       // work-items of a group
  size_t parameter_bytes;  // room for the arguments of a kernel
  fv_target target;
  char name[640];     // for people
  char options[128];  // of every build
};

typedef struct kernel_info {
  char *name;  // in the source
  uint32_t n_global, n_scalar, n_item;
  bool checks, scratch;
} kernel_info;

struct fv_kernels {
  fv_device *device;
  cl_program program;
  char *source;
  kernel_info *kernel;
  size_t count;
};

const char *cl_error_name(cl_int e);
// Reports "what: CL_NAME" and gives the plugin status for e.
int32_t cl_fail(const fv_device *d, fv_report *r, const char *what, cl_int e);

// Of a device, `otherwise` or "" if the driver does not tell.
uint32_t cl_ask_u32(cl_device_id id, cl_device_info what, uint32_t otherwise);
void cl_ask_text(cl_device_id id, cl_device_info what, char *out, size_t size);

// trial.c: why the drivers cannot be asked at all, a sentence; NULL: they can.
const char *cl_drivers_refuse(void);

// find.c
typedef struct cl_candidate {
  cl_platform_id platform;
  cl_device_id id;
  cl_device_type type;
  char name[256];
} cl_candidate;
int32_t cl_find_device(const fv_host *host, fv_report *r, const char *want, cl_candidate *out);

// space.c: a folder in which the driver may keep files and that has no room left.
bool cl_find_full_folder(char *out, size_t size);

// device.c
int32_t device_open(const fv_host *host, const fv_option *options, size_t n_options, fv_report *r,
                    fv_device **out);
void device_close(fv_device *d);

// queue.c
const fv_device_ops *queue_create(fv_kernels *k, fv_report *r, void **out_dev);
void queue_destroy(void *dev);

#endif  // FOVEA_BACKENDS_OPENCL_OPENCL_H_
