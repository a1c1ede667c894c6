// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "compiler/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compiler/emit.h"
#include "fovea/sized.h"
#include "runtime/exec/pool.h"

//===-- The host side of the ABI --------------------------------------------------===//

fv_status fv_plugin_status(int32_t s) {
  switch (s) {
  case FV_PLUGIN_OK: return FV_OK;
  case FV_PLUGIN_UNSUPPORTED: return FV_ERR_UNSUPPORTED;
  case FV_PLUGIN_OOM: return FV_ERR_OOM;
  case FV_PLUGIN_REFUSED: return FV_ERR_RUN;
  case FV_PLUGIN_ARG: return FV_ERR_ARG;
  case FV_PLUGIN_IO: return FV_ERR_IO;
  default: return FV_ERR_BACKEND;
  }
}

fv_status fv_take_blob(fv_blob *b, fv_diag_sink *diag, fv_bytes *out) {
  const fv_status s = fv_bytes_copy(out, b->data, b->size, diag);
  if (b->release)
    b->release(b->data, b->size);
  return s;
}

static int32_t host_error(fv_report *r, int32_t status, const char *text) {
  const fv_status ignored = fv_error(r->diag, fv_plugin_status(status), r->span, "%s", text);
  (void)ignored;
  return status;
}

static void host_note(fv_report *r, const char *text) {
  fv_note(r->diag, r->span, "%s", text);
}

static void host_did_you_mean(fv_report *r, const char *word,
                              const char *(*candidate)(void *user, int i), void *user) {
  fv_note_meant(r->diag, r->span, word, candidate, user);
}

typedef struct tasks {
  _Atomic uint32_t next;
  uint32_t count;
  void (*task)(void *arg, uint32_t index);
  void *arg;
} tasks;

static void take_tasks(void *arg, uint32_t index) {
  tasks *t = arg;
  (void)index;
  for (uint32_t i; (i = atomic_fetch_add(&t->next, 1)) < t->count;)
    t->task(t->arg, i);
}

static void host_parallel_for(fv_report *r, uint32_t count, void (*task)(void *arg, uint32_t index),
                              void *arg) {
  tasks t = {.count = count, .task = task, .arg = arg};
  uint32_t threads = r->threads ? r->threads : fv_cpu_count();
  threads = threads < count ? threads : count;
  threads = threads < FV_POOL_MAX ? threads : FV_POOL_MAX;
  fv_pool *pool = threads > 1 ? fv_pool_create(threads) : NULL;
  if (pool)
    fv_pool_run(pool, threads, take_tasks, &t);
  else
    take_tasks(&t, 0);
  fv_pool_destroy(pool);
}

const fv_host *fv_host_table(void) {
  static const fv_host host = {.struct_size = sizeof host,
                               .abi = FV_ABI_VERSION,
                               .sanitizer = FV_ABI_SANITIZER,
                               .error = host_error,
                               .note = host_note,
                               .did_you_mean = host_did_you_mean,
                               .parallel_for = host_parallel_for};
  return &host;
}

//===-- Built-in backends -----------------------------------------------------------===//

#define FV_BACKEND(name) int32_t fv_backend_query_##name(const fv_host *, const fv_backend **);
#include "fv_backends.inc"
#undef FV_BACKEND
static const fv_plugin_query_fn built_in[] = {
#define FV_BACKEND(name) fv_backend_query_##name,
#include "fv_backends.inc"
#undef FV_BACKEND
    NULL};

//===-- Plugins -----------------------------------------------------------------------===//

static bool exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

// Beside the library or executable that this code is in: D/fovea/ or
// D/../lib/fovea/.
bool fv_plugin_dir(char *out, size_t size) {
  Dl_info info;
  char real[4096];
  if (!dladdr((void *)(uintptr_t)&fv_plugin_dir, &info) || !info.dli_fname ||
      !realpath(info.dli_fname, real))
    return false;
  char *slash = strrchr(real, '/');
  if (!slash)
    return false;
  *slash = 0;
  static const char *const place[] = {"fovea", "../lib/fovea", "lib/fovea", "../../lib/fovea"};
  for (size_t i = 0; i < FV_COUNTOF(place); i++) {
    const int n = snprintf(out, size, "%s/%s/", real, place[i]);
    if (n > 0 && (size_t)n < size && exists(out))
      return true;
  }
  return false;
}

static fv_status refuse(fv_diag_sink *diag, const char *path, const char *why) {
  return fv_error(diag, FV_ERR_ABI, NULL, "plugin '%s' is refused: %s", path, why);
}

// Is there what every backend has? A graph runner needs no more; a code generator compiles.
static bool complete(const fv_backend *b) {
  if (!b->name || !b->doc || !b->open || !b->close || !b->describe)
    return false;
  if (b->run_graph)
    return !b->compile_kernels;
  return b->target && b->compile_kernels && b->release && !b->create_queue == !b->destroy_queue;
}

static const char *take(const fv_backend *b, fv_backend *out) {
  if (b->struct_size < offsetof(fv_backend, name))
    return "its table is incomplete";
  FV_SIZED_TAKE(out, b);
  if (out->abi >> 16 != FV_ABI_MAJOR || out->abi > FV_ABI_VERSION)
    return "its ABI version does not fit this fovea";
  if (out->sanitizer != FV_ABI_SANITIZER)
    return "it was built with another sanitizer setting";
  return complete(out) ? NULL : "its table is incomplete";
}

static fv_status load(const char *path, fv_diag_sink *diag, fv_backend *out) {
  if (path[0] != '/')
    return fv_error(diag, FV_ERR_ARG, NULL, "plugin '%s' is refused: the path is not absolute",
                    path);
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!so)
    return refuse(diag, path, dlerror());
  void *symbol = dlsym(so, "fovea_plugin_query");
  fv_plugin_query_fn query;
  memcpy(&query, &symbol, sizeof query);  // ISO C has no cast from object to function
  const fv_backend *b = NULL;
  const char *why = NULL;
  if (!symbol)
    why = "it exports no fovea_plugin_query";
  else if (query(fv_host_table(), &b) != FV_PLUGIN_OK || !b)
    why = "it was built for another version of fovea";
  else
    why = take(b, out);
  if (!why)
    return FV_OK;
  dlclose(so);
  return refuse(diag, path, why);
}

// Directories of plugins, colon-separated; the result is malloc'ed.
static char *search_path(void) {
  const char *env = secure_getenv("FOVEA_PLUGIN_PATH");
  char own[4096];
  const bool has_own = fv_plugin_dir(own, sizeof own);
  char *s = NULL;
  if (asprintf(&s, "%s%s%s", env ? env : "", env && has_own ? ":" : "", has_own ? own : "") < 0)
    return NULL;
  return s;
}

typedef struct names {
  const char **item;
  int count;
} names;

// Out of memory: one name fewer to be meant.
static void add_name(void *user, const fv_backend *b) {
  names *all = user;
  const char **more = realloc(all->item, ((size_t)all->count + 1) * sizeof *more);
  if (!more)
    return;
  all->item = more;
  all->item[all->count++] = b->name;
}

static const char *name_at(void *user, int i) {
  const names *all = user;
  return i < all->count ? all->item[i] : NULL;
}

static fv_status unknown(const char *name, fv_diag_sink *diag) {
  names all = {0};
  fv_diag_sink silent = {0};
  const fv_status s = fv_error(diag, FV_ERR_ARG, NULL,
                               "there is no backend '%s' (see `fovea list backends`)", name);
  fv_backend_each(add_name, &all, &silent);
  fv_note_meant(diag, NULL, name, name_at, &all);
  free(all.item);
  return s;
}

fv_status fv_backend_find(const char *name, fv_diag_sink *diag, fv_backend *out) {
  const fv_backend *b;
  for (size_t i = 0; built_in[i]; i++)
    if (built_in[i](fv_host_table(), &b) == FV_PLUGIN_OK && strcmp(b->name, name) == 0) {
      FV_SIZED_TAKE(out, b);
      return FV_OK;
    }
  if (strchr(name, '/'))  // a path given by the user
    return load(name, diag, out);
  char *path = search_path(), *save = NULL, file[4608];
  if (!path)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  bool found = false;
  fv_status s = FV_ERR_UNSUPPORTED;
  for (char *d = strtok_r(path, ":", &save); d && !found; d = strtok_r(NULL, ":", &save)) {
    const int n = snprintf(file, sizeof file, "%s/%s.so", d, name);
    found = n > 0 && (size_t)n < sizeof file && exists(file);
    if (found)
      s = load(file, diag, out);
  }
  free(path);
  return found ? s : unknown(name, diag);
}

void fv_backend_each(void (*f)(void *user, const fv_backend *b), void *user, fv_diag_sink *diag) {
  const fv_backend *b;
  fv_backend own;
  for (size_t i = 0; built_in[i]; i++)
    if (built_in[i](fv_host_table(), &b) == FV_PLUGIN_OK)
      f(user, b);
  char *path = search_path(), *save = NULL, file[4608];
  for (char *d = path ? strtok_r(path, ":", &save) : NULL; d; d = strtok_r(NULL, ":", &save)) {
    struct dirent **entry;
    const int n = scandir(d, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
      const char *dot = strrchr(entry[i]->d_name, '.');
      const int len = snprintf(file, sizeof file, "%s/%s", d, entry[i]->d_name);
      if (dot && strcmp(dot, ".so") == 0 && len > 0 && (size_t)len < sizeof file &&
          load(file, diag, &own) == FV_OK)
        f(user, &own);
      free(entry[i]);
    }
    if (n >= 0)
      free(entry);
  }
  free(path);
}
