// SPDX-License-Identifier: Apache-2.0
// Memory and commands of one context: an in-order command queue.
//
// A failed check writes its site into one word on the device, first come first
// served. A launch of a kernel with checks waits and reads that word, so that
// the answer belongs to this launch; kernels without checks run after it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

enum { SCRATCH_LIMIT = 64 << 20, GPU_GROUP = 64 };

typedef struct queue {
  fv_kernels *set;
  cl_command_queue commands;
  cl_kernel *kernel;  // one each, made at first use: setting arguments is not thread-safe
  cl_mem failed;      // int: 0 or 1 + site
  cl_mem scratch;
  size_t scratch_size;
  char error[256];
} queue;

static int32_t fail(queue *q, const char *what, cl_int e) {
  snprintf(q->error, sizeof q->error, "%s: %s (%d)", what, cl_error_name(e), (int)e);
  return -1;
}

//===-- Memory --------------------------------------------------------------------===//

static void *queue_alloc(void *dev, int64_t bytes) {
  queue *q = dev;
  cl_int e;
  const size_t size = bytes < 64 ? 64 : (size_t)bytes;
  cl_mem m = clCreateBuffer(q->set->device->context, CL_MEM_READ_WRITE, size, NULL, &e);
  if (!m)
    fail(q, "clCreateBuffer", e);
  return m;
}

static void queue_free(void *dev, void *object, int64_t bytes) {
  (void)dev;
  (void)bytes;
  if (object)
    clReleaseMemObject(object);  // commands that use it keep it
}

static int32_t queue_write(void *dev, fv_memref dst, const void *src, int64_t bytes) {
  queue *q = dev;
  if (bytes == 0)
    return 0;
  const cl_int e = clEnqueueWriteBuffer(q->commands, dst.object, CL_TRUE, (size_t)dst.offset,
                                        (size_t)bytes, src, 0, NULL, NULL);
  return e == CL_SUCCESS ? 0 : fail(q, "clEnqueueWriteBuffer", e);
}

static int32_t queue_read(void *dev, void *dst, fv_memref src, int64_t bytes) {
  queue *q = dev;
  cl_int e;
  if (bytes == 0) {
    e = clFinish(q->commands);
    return e == CL_SUCCESS ? 0 : fail(q, "clFinish", e);
  }
  e = clEnqueueReadBuffer(q->commands, src.object, CL_TRUE, (size_t)src.offset, (size_t)bytes, dst,
                          0, NULL, NULL);
  return e == CL_SUCCESS ? 0 : fail(q, "clEnqueueReadBuffer", e);
}

static int32_t queue_zero(void *dev, fv_memref dst, int64_t bytes) {
  queue *q = dev;
  const cl_uchar zero = 0;
  if (bytes == 0)
    return 0;
  const cl_int e = clEnqueueFillBuffer(q->commands, dst.object, &zero, 1, (size_t)dst.offset,
                                       (size_t)bytes, 0, NULL, NULL);
  return e == CL_SUCCESS ? 0 : fail(q, "clEnqueueFillBuffer", e);
}

static cl_int copy_piece(queue *q, cl_mem dst, int64_t to, cl_mem src, int64_t from,
                         int64_t bytes) {
  return clEnqueueCopyBuffer(q->commands, src, dst, (size_t)from, (size_t)to, (size_t)bytes, 0,
                             NULL, NULL);
}

// A copy within one object may not overlap: then it goes through another.
static int32_t queue_copy(void *dev, fv_memref dst, fv_memref src, int64_t bytes) {
  queue *q = dev;
  if (bytes == 0 || (dst.object == src.object && dst.offset == src.offset))
    return 0;
  const int64_t apart = dst.offset > src.offset ? dst.offset - src.offset : src.offset - dst.offset;
  if (dst.object != src.object || apart >= bytes) {
    const cl_int e = copy_piece(q, dst.object, dst.offset, src.object, src.offset, bytes);
    return e == CL_SUCCESS ? 0 : fail(q, "clEnqueueCopyBuffer", e);
  }
  cl_mem between = queue_alloc(q, bytes);
  if (!between)
    return -1;
  cl_int e = copy_piece(q, between, 0, src.object, src.offset, bytes);
  if (e == CL_SUCCESS)
    e = copy_piece(q, dst.object, dst.offset, between, 0, bytes);
  clReleaseMemObject(between);
  return e == CL_SUCCESS ? 0 : fail(q, "clEnqueueCopyBuffer", e);
}

//===-- Launch ----------------------------------------------------------------------===//

static cl_kernel get_kernel(queue *q, uint32_t i) {
  if (!q->kernel[i]) {
    cl_int e;
    q->kernel[i] = clCreateKernel(q->set->program, q->set->kernel[i].name, &e);
    if (!q->kernel[i])
      fail(q, "clCreateKernel", e);
  }
  return q->kernel[i];
}

static int32_t ensure_scratch(queue *q, size_t size) {
  if (q->scratch_size >= size)
    return 0;
  if (q->scratch)
    clReleaseMemObject(q->scratch);
  q->scratch_size = 0;
  q->scratch = queue_alloc(q, (int64_t)size);
  if (!q->scratch)
    return -1;
  q->scratch_size = size;
  return 0;
}

// What a kernel needs may leave less of the device than its other kernels find.
static int32_t refuse_group(queue *q, cl_kernel k, const kernel_info *info, int64_t local) {
  size_t most = 0;
  const fv_device *d = q->set->device;
  const cl_int e =
      clGetKernelWorkGroupInfo(k, d->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
  if (e != CL_SUCCESS)
    return fail(q, "clGetKernelWorkGroupInfo", e);
  if (info->n_item <= most && local <= (int64_t)d->target.local_bytes)
    return 0;
  snprintf(
      q->error, sizeof q->error,
      "kernel %s: groups of %u with %lld bytes of local memory, the device runs up to %zu with "
      "%u: ask for less by opencl:group=",
      info->name, (unsigned)info->n_item, (long long)local, most, (unsigned)d->target.local_bytes);
  return -1;
}

// Arguments but for first and end; see print_parameters.
static int32_t set_arguments(queue *q, cl_kernel k, const kernel_info *info, uint32_t n_buf,
                             const fv_memref *buf, uint32_t n_scalar, const int64_t *scalar,
                             int64_t scratch_bytes) {
  cl_uint at = 2;
  const cl_mem scratch = q->scratch ? q->scratch : q->failed;
  const bool local = info->n_item > 1;
  const cl_long stride = scratch_bytes;
  cl_int e = clSetKernelArg(k, at++, sizeof q->failed, &q->failed);
  if (e == CL_SUCCESS)
    e = local ? clSetKernelArg(k, at++, scratch_bytes > 0 ? (size_t)scratch_bytes : 1, NULL)
              : clSetKernelArg(k, at++, sizeof scratch, &scratch);
  if (e == CL_SUCCESS)
    e = clSetKernelArg(k, at++, sizeof stride, &stride);
  for (uint32_t i = 0; i < n_buf && e == CL_SUCCESS; i++) {
    const cl_mem object = buf[i].object;
    const cl_long offset = buf[i].offset;
    e = clSetKernelArg(k, at++, sizeof object, &object);
    if (e == CL_SUCCESS)
      e = clSetKernelArg(k, at++, sizeof offset, &offset);
  }
  for (uint32_t i = 0; i < n_scalar && e == CL_SUCCESS; i++) {
    const cl_long v = scalar[i];
    e = clSetKernelArg(k, at++, sizeof v, &v);
  }
  return e == CL_SUCCESS ? 0 : fail(q, "clSetKernelArg", e);
}

static int32_t run_slice(queue *q, cl_kernel k, uint32_t n_item, int64_t first, int64_t end) {
  const cl_long range[2] = {first, end};
  for (cl_uint i = 0; i < 2; i++) {
    const cl_int e = clSetKernelArg(k, i, sizeof range[i], &range[i]);
    if (e != CL_SUCCESS)
      return fail(q, "clSetKernelArg", e);
  }
  // A block without work-items is a whole task: on a CPU each is a group of its own.
  const size_t blocks = (size_t)(end - first);
  const size_t group = n_item > 1 ? n_item : q->set->device->is_cpu ? 1 : GPU_GROUP;
  const size_t global = n_item > 1 ? blocks * n_item : (blocks + group - 1) / group * group;
  const cl_int e = clEnqueueNDRangeKernel(q->commands, k, 1, NULL, &global, &group, 0, NULL, NULL);
  return e == CL_SUCCESS ? 0 : fail(q, "clEnqueueNDRangeKernel", e);
}

static int32_t take_failure(queue *q) {
  cl_int site = 0;
  const cl_int none = 0;
  cl_int e =
      clEnqueueReadBuffer(q->commands, q->failed, CL_TRUE, 0, sizeof site, &site, 0, NULL, NULL);
  if (e == CL_SUCCESS && site != 0)
    e = clEnqueueWriteBuffer(q->commands, q->failed, CL_TRUE, 0, sizeof none, &none, 0, NULL, NULL);
  return e == CL_SUCCESS ? site : fail(q, "reading the failed check", e);
}

static int32_t queue_launch(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                            uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                            int64_t scratch_bytes) {
  queue *q = dev;
  if (blocks <= 0)
    return 0;
  cl_kernel k = get_kernel(q, kernel);
  if (!k)
    return -1;
  const kernel_info *info = &q->set->kernel[kernel];
  int64_t slice = INT64_C(1) << 24;
  if (info->n_item > 1) {
    if (refuse_group(q, k, info, scratch_bytes))
      return -1;
  } else if (info->scratch && scratch_bytes > 0) {
    slice = SCRATCH_LIMIT / scratch_bytes;
    slice = slice < 1 ? 1 : slice;
    slice = slice > blocks ? blocks : slice;
    if (ensure_scratch(q, (size_t)slice * (size_t)scratch_bytes))
      return -1;
  }
  if (set_arguments(q, k, info, n_buf, buf, n_scalar, scalar, scratch_bytes))
    return -1;
  for (int64_t first = 0; first < blocks; first += slice) {
    const int64_t left = blocks - first;
    if (run_slice(q, k, info->n_item, first, first + (left < slice ? left : slice)))
      return -1;
  }
  return info->checks ? take_failure(q) : 0;
}

static const char *queue_error(void *dev) {
  return ((queue *)dev)->error;
}

//===-- Create, destroy ---------------------------------------------------------------===//

const fv_device_ops *queue_create(fv_kernels *set, fv_report *r, void **out_dev) {
  static const fv_device_ops ops = {
      .struct_size = sizeof(fv_device_ops),
      .host_memory = 0,
      .alloc = queue_alloc,
      .free = queue_free,
      .launch = queue_launch,
      .copy = queue_copy,
      .zero = queue_zero,
      .write = queue_write,
      .read = queue_read,
      .error = queue_error,
  };
  const fv_device *d = set->device;
  cl_int e = CL_OUT_OF_HOST_MEMORY, none = 0;
  *out_dev = NULL;
  queue *q = calloc(1, sizeof *q);
  if (!q) {
    cl_fail(d, r, "create_queue", e);
    return NULL;
  }
  q->set = set;
  q->kernel = calloc(set->count + 1, sizeof *q->kernel);
  if (q->kernel)
    q->commands = clCreateCommandQueue(d->context, d->id, 0, &e);
  if (q->commands)
    q->failed = clCreateBuffer(d->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, sizeof none,
                               &none, &e);
  if (!q->failed) {
    cl_fail(d, r, "clCreateCommandQueue", e);
    queue_destroy(q);
    return NULL;
  }
  *out_dev = q;
  return &ops;
}

void queue_destroy(void *dev) {
  queue *q = dev;
  if (!q)
    return;
  if (q->commands)
    clFinish(q->commands);
  for (size_t i = 0; q->kernel && i < q->set->count; i++)
    if (q->kernel[i])
      clReleaseKernel(q->kernel[i]);
  if (q->failed)
    clReleaseMemObject(q->failed);
  if (q->scratch)
    clReleaseMemObject(q->scratch);
  if (q->commands)
    clReleaseCommandQueue(q->commands);
  free(q->kernel);
  free(q);
}
