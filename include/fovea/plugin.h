// SPDX-License-Identifier: Apache-2.0
// fovea/plugin.h - the ABI between fovea and a backend plugin.
//
// A backend is one folder and one struct. Built in, a generated registry calls
// its query function; as a shared object (loaded RTLD_LOCAL from an absolute
// path) the loader finds it as `fovea_plugin_query`. The same sources serve
// both: a plugin links nothing of fovea and reaches the host only through the
// fv_host table that it is handed.
//
// A backend fills exactly one of compile_kernels (it prints kernel IR) and
// run_graph (it runs the graph IR itself, as it was before lowering).
// Threads: open, compile_kernels and emit may be called from any thread, one
// at a time per device; a program may be used by one thread at a time.
#ifndef FOVEA_PLUGIN_H_
#define FOVEA_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

#include "fovea/kernel.h"
#include "fovea/program.h"

// major << 16 | minor. A plugin loads if majors match and its minor is not
// newer than the host's. Members are only ever appended.
#define FV_ABI_MAJOR 2u
#define FV_ABI_MINOR 0u
#define FV_ABI_VERSION (FV_ABI_MAJOR << 16 | FV_ABI_MINOR)
#if defined(__SANITIZE_ADDRESS__)
#define FV_ABI_SANITIZER 1u
#elif defined(__SANITIZE_THREAD__)
#define FV_ABI_SANITIZER 2u
#else
#define FV_ABI_SANITIZER 0u
#endif

typedef struct fv_host fv_host;
typedef struct fv_report fv_report;  // opaque: where diagnostics of this call go

// What a plugin may call.
struct fv_host {
  uint32_t struct_size, abi, sanitizer;
  // Reports an error; `status` is returned. Values are those of fv_plugin_status.
  int32_t (*error)(fv_report *r, int32_t status, const char *text);
  void (*note)(fv_report *r, const char *text);
  // Notes the candidate that is near enough to `word` to be meant; candidate(user, i) returns
  // NULL past the end, else text that lives until the next call.
  void (*did_you_mean)(fv_report *r, const char *word, const char *(*candidate)(void *user, int i),
                       void *user);
  // Calls task(arg, i) for each i below count, in any order, on as many threads as this call may
  // use, and returns when all have returned. Tasks call nothing of the host.
  void (*parallel_for)(fv_report *r, uint32_t count, void (*task)(void *arg, uint32_t index),
                       void *arg);
};

// The part of the status codes that plugins return. REFUSED: a run whose data failed a
// check of the model (an id out of range, say); FAILED: the backend or its device did; ARG: an
// option has no such value; IO: a file could not be read or written.
enum {
  FV_PLUGIN_OK = 0,
  FV_PLUGIN_UNSUPPORTED = 1,
  FV_PLUGIN_FAILED = 2,
  FV_PLUGIN_OOM = 3,
  FV_PLUGIN_REFUSED = 4,
  FV_PLUGIN_ARG = 5,
  FV_PLUGIN_IO = 6
};

// An option that a backend takes, `-b NAME:KEY=VALUE`. The host knows a backend's
// table: it refuses other keys, gives open() each key at most once (the last value;
// of a list all of them, joined by commas), and lists them (`fovea list options`).
typedef struct fv_option_info {
  const char *key;
  const char *arg;  // what stands for the value: "NAME"
  const char *doc;  // one line
  uint32_t is_list;
  uint32_t reserved;
} fv_option_info;
typedef struct fv_option {
  const char *key, *value;  // the value is not empty
} fv_option;

typedef struct fv_device fv_device;    // backend-private
typedef struct fv_kernels fv_kernels;  // backend-private: a compiled set
struct fv_graph;                       // ir/graph/graph.h, for run_graph of built-in backends
struct fv_run_io;                      // ir/eval/eval.h, likewise

// Bytes handed out by emit: released by the plugin's own function.
typedef struct fv_blob {
  void *data;
  size_t size;
  void (*release)(void *data, size_t size);
} fv_blob;

// What ahead-of-time output needs besides the kernels.
typedef struct fv_artifact {
  uint32_t struct_size;
  uint32_t shared;    // 1: shared library, 0: relocatable object
  const char *name;   // C identifier: the library exports NAME_get
  const void *image;  // fv_program
  size_t image_size;
  uint64_t constants_size;  // the host puts them behind the blob, see emit_artifact
  const char *exec_folder;  // ends with '/': exec-ARCH.bc in it is the artifact runtime
  const char *linker;       // path of ld.lld, or NULL to search
  const char *manifest;     // JSON text that says of what and how it was made, or NULL
} fv_artifact;

typedef struct fv_backend {
  uint32_t struct_size;
  uint32_t abi;
  uint32_t sanitizer;
  uint32_t reserved;
  const char *name;  // "llvm"
  const char *doc;   // one line

  // Opens the device. UNSUPPORTED with a sentence when there is none here.
  int32_t (*open)(const fv_host *host, const fv_option *options, size_t n_options, fv_report *r,
                  fv_device **out);
  void (*close)(fv_device *d);
  const char *(*describe)(fv_device *d);  // "x86-64 znver5, 512-bit vectors"

  // Code generators.
  const fv_target *(*target)(fv_device *d);
  int32_t (*compile_kernels)(fv_device *d, const fv_kernel_code *const *kernels, size_t count,
                             fv_report *r, fv_kernels **out);
  void (*release)(fv_kernels *k);
  // Either CPU entry points (the host then runs them with its own threads) ...
  fv_cpu_kernel_fn (*cpu_kernel)(fv_kernels *k, size_t index);
  // ... or a device with its own memory. *out_dev is passed to each function
  // of the returned table; one per context.
  const fv_device_ops *(*create_queue)(fv_kernels *k, fv_report *r, void **out_dev);
  void (*destroy_queue)(void *dev);
  // kind: "llvm", "asm", "opencl", "obj" ... UNSUPPORTED for one it has not.
  int32_t (*emit)(fv_kernels *k, const char *kind, fv_report *r, fv_blob *out);
  // optional: a library from the set. Ahead-of-time output. The constants are not in the blob:
  // it is the file up to them, whose headers count on constants_size bytes behind its end, which
  // the host writes there. So they pass through no memory of a plugin or a linker.
  int32_t (*emit_artifact)(fv_kernels *k, const fv_artifact *a, fv_report *r, fv_blob *out);

  // Graph runners. `graph` is const struct fv_graph *.
  int32_t (*run_graph)(fv_device *d, const struct fv_graph *graph, struct fv_run_io *io,
                       fv_report *r);

  // optional: the instruction sets that the code is made of beyond what every CPU of its kind has,
  // "avx2,fma"; lives as long as the kernels.
  const char *(*needs)(fv_kernels *k);
  // optional: the options of open(); ends with a key of NULL. Without it there are none.
  const fv_option_info *options;
} fv_backend;

typedef int32_t (*fv_plugin_query_fn)(const fv_host *host, const fv_backend **out);

// The last line of a backend: FV_BACKEND_EXPORT(llvm, backend)
#ifdef FV_BACKEND_AS_PLUGIN
#define FV_BACKEND_SYMBOL(id) fovea_plugin_query
#else
#define FV_BACKEND_SYMBOL(id) fv_backend_query_##id
#endif
#define FV_BACKEND_EXPORT(id, table)                                           \
  __attribute__((visibility("default")))                                       \
  int32_t FV_BACKEND_SYMBOL(id)(const fv_host *host, const fv_backend **out);  \
  int32_t FV_BACKEND_SYMBOL(id)(const fv_host *host, const fv_backend **out) { \
    if (host->abi >> 16 != FV_ABI_MAJOR || host->abi < FV_ABI_VERSION)         \
      return FV_PLUGIN_UNSUPPORTED;                                            \
    *out = &(table);                                                           \
    return FV_PLUGIN_OK;                                                       \
  }

#endif  // FOVEA_PLUGIN_H_
