// SPDX-License-Identifier: Apache-2.0
// The manifest of a compiled model: of what, by what and for what it was made.
#include "compiler/manifest.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"

static void put_text(fv_str *s, const char *key, const char *text) {
  fv_str_printf(s, ",\n \"%s\": ", key);
  fv_str_json(s, text, strlen(text));
}

static void put_hash(fv_str *s, fv_hash128 h) {
  fv_str_printf(s, "\"%016llx%016llx\"", (unsigned long long)h.hi, (unsigned long long)h.lo);
}

// What the command line said of the model.
static void put_integers(fv_str *s, const char *key, const fv_let *let, int n) {
  for (int i = 0; i < n; i++) {
    if (i == 0)
      fv_str_printf(s, ",\n \"%s\": {", key);
    fv_str_puts(s, i ? ", " : "");
    fv_str_json(s, let[i].name, strlen(let[i].name));
    fv_str_printf(s, ": %lld", (long long)let[i].value);
  }
  fv_str_puts(s, n ? "}" : "");
}

// Without its directory: the same input gives the same bytes wherever it lies.
static fv_status put_model(fv_str *s, const fv_model *m, fv_diag_sink *diag) {
  const char *slash = strrchr(m->path, '/'), *name = slash ? slash + 1 : m->path;
  const void *data;
  size_t size;
  FV_TRY(fv_file_map(s->arena, m->path, diag, NULL, &data, &size));
  fv_str_puts(s, ",\n \"model\": {\"file\": ");
  fv_str_json(s, name, strlen(name));
  fv_str_puts(s, ", \"xxh3\": ");
  put_hash(s, fv_hash_bytes(data, size));
  fv_str_puts(s, "}");
  put_integers(s, "lets", m->options.let, m->options.n_let);
  put_integers(s, "dims", m->options.dim, m->options.n_dim);
  return FV_OK;
}

// The tensors as they were loaded, in the order of their use: what the files hold
// besides, and how it is spread over them, does not count.
static void put_weights(fv_str *s, fv_module *m) {
  fv_hash128 all = {0};
  int64_t bytes = 0;
  for (int g = 0; g < m->n_graph; g++) {
    fv_region *r = m->graph[g]->region;
    for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n))
      for (int d = 0; d < n->n_data; d++) {
        const fv_tensor *t = n->data[d];
        const int64_t size = fv_tensor_count(t) * fv_dtype_size(t->dtype);
        void *own;
        const void *data = fv_tensor_read(t, &own);
        if (!data)
          fv_arena_exhausted(s->arena);
        const fv_hash128 chain[] = {all, fv_hash_bytes(data, (size_t)size)};
        fv_tensor_done(t, own);
        all = fv_hash_bytes(chain, sizeof chain);
        bytes += size;
      }
  }
  fv_str_printf(s, ",\n \"weights\": {\"bytes\": %lld, \"xxh3\": ", (long long)bytes);
  put_hash(s, all);
  fv_str_puts(s, "}");
}

static void put_options(fv_str *s, const fv_compile_options *o) {
  put_text(s, "passes", o->passes ? o->passes : "O2");
  if (o->n_backend_option == 0)
    return;
  fv_str_puts(s, ",\n \"options\": [");
  for (size_t i = 0; i < o->n_backend_option; i++) {
    fv_str_puts(s, i ? ", " : "");
    fv_str_json(s, o->backend_option[i], strlen(o->backend_option[i]));
  }
  fv_str_puts(s, "]");
}

const char *fv_kernel_needs(const fv_executable *e) {
  return e->kernels && e->backend->needs ? e->backend->needs(e->kernels) : NULL;
}

fv_status fv_manifest_make(const fv_executable *e, const fv_model *m, const fv_compile_options *o,
                           fv_diag_sink *diag, const char **out) {
  fv_str s = {.arena = e->arena};
  const char *needs = fv_kernel_needs(e);
  fv_str_puts(&s, "{\"fovea\": \"" FV_VERSION "\"");
  if (m)
    FV_TRY(put_model(&s, m, diag));
  put_weights(&s, e->module);
  put_options(&s, o);
  put_text(&s, "backend", e->backend->name);
  if (e->backend->describe)
    put_text(&s, "target", e->backend->describe(e->device));
  if (needs)
    put_text(&s, "cpu_features", needs);
  fv_str_puts(&s, "}");
  *out = s.data;
  return FV_OK;
}
