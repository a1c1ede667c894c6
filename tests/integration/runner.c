// SPDX-License-Identifier: Apache-2.0
//
// runner MODEL BACKEND: compiles a model (BACKEND "library": loads a compiled
// one) and then obeys requests on standard input, so that several runs share
// one context. A request is a line, behind it what it announces:
//   context THREADS                a new context in place of the one in use
//   use NUMBER                     which context is in use: at first 0
//   reset
//   workspace
//   run ENTRY INPUTS DIMS          then INPUTS tensors, then DIMS lines "NAME VALUE"
// A tensor is a line "NAME DTYPE RANK DIM..." and its bytes. Answers: "ok N" and
// N tensors; "size N"; "error STATUS", the words being on standard error.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "fovea/fovea.h"

enum { MAX_IO = 16, MAX_CONTEXTS = 8 };

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {
#define X(name, size, kind) {#name, size},
    FV_DTYPE_TABLE(X)
#undef X
};

typedef struct session {
  fv_executable *executable;
  fv_context *contexts[MAX_CONTEXTS], *context;
  int in_use;
  fv_diag_sink diag;
  char entry_name[64];  // of the last run
  fv_tensor_io in[MAX_IO], out[MAX_IO];
  char name[MAX_IO][64], dim_name[MAX_IO][64];
  fv_dim_value dim[MAX_IO];
} session;

static size_t bytes_of(const fv_tensor_io *x) {
  size_t n = dtypes[x->dtype].size;
  for (int i = 0; i < x->rank; i++)
    n *= (size_t)x->dim[i];
  return n;
}

static bool read_tensor(fv_tensor_io *x, char name[64]) {
  char dtype[16];
  if (scanf("%63s %15s %d", name, dtype, &x->rank) != 3 || x->rank < 0 || x->rank > FV_MAX_RANK)
    return false;
  x->name = name;
  for (size_t i = 0; i < FV_COUNTOF(dtypes); i++)
    if (strcmp(dtype, dtypes[i].name) == 0)
      x->dtype = (fv_dtype)i;
  for (int i = 0; i < x->rank; i++)
    if (scanf("%" SCNd64, &x->dim[i]) != 1 || x->dim[i] < 0)
      return false;
  const size_t n = bytes_of(x);
  free(x->data);
  x->data = malloc(n ? n : 1);
  return x->data && getchar() == '\n' && fread(x->data, 1, n, stdin) == n;
}

static void write_outputs(const session *s, int n) {
  printf("ok %d\n", n);
  for (int k = 0; k < n; k++) {
    const fv_tensor_io *x = &s->out[k];
    printf("%s %s %d", x->name, dtypes[x->dtype].name, x->rank);
    for (int i = 0; i < x->rank; i++)
      printf(" %" PRId64, x->dim[i]);
    printf("\n");
    fwrite(x->data, 1, bytes_of(x), stdout);
  }
}

static int output_count(const session *s) {
  const fv_model_info *info = fv_executable_get_info(s->executable);
  for (int i = 0; i < info->n_graph; i++)
    if (strcmp(info->graph[i].name, s->entry_name) == 0)
      return info->graph[i].n_output;
  return 0;
}

static void answer(fv_status status) {
  if (status == FV_OK)
    printf("ok 0\n");
  else
    printf("error %d\n", (int)status);
}

static bool run(session *s) {
  int n_in, n_dim;
  if (scanf("%63s %d %d", s->entry_name, &n_in, &n_dim) != 3 || n_in < 0 || n_in > MAX_IO ||
      n_dim < 0 || n_dim > MAX_IO)
    return false;
  for (int i = 0; i < n_in; i++)
    if (!read_tensor(&s->in[i], s->name[i]))
      return false;
  for (int i = 0; i < n_dim; i++) {
    if (scanf("%63s %" SCNd64, s->dim_name[i], &s->dim[i].value) != 2)
      return false;
    s->dim[i].name = s->dim_name[i];
  }
  const int n_out = output_count(s);
  if (n_out > MAX_IO)
    return false;
  const fv_status status = fv_context_run(s->context, s->entry_name, s->in, (size_t)n_in, s->dim,
                                          (size_t)n_dim, s->out, (size_t)n_out, &s->diag);
  if (status == FV_OK)
    write_outputs(s, n_out);
  else
    answer(status);
  return true;
}

static bool obey(session *s, const char *request) {
  int threads;
  if (strcmp(request, "run") == 0)
    return run(s);
  if (strcmp(request, "context") == 0 && scanf("%d", &threads) == 1) {
    fv_context_destroy(s->context);
    s->context = NULL;
    answer(fv_context_create(s->executable, threads, &s->diag, &s->context));
    s->contexts[s->in_use] = s->context;
    return s->context != NULL;
  }
  if (strcmp(request, "use") == 0 && scanf("%d", &s->in_use) == 1) {
    if (s->in_use < 0 || s->in_use >= MAX_CONTEXTS)
      return false;
    s->context = s->contexts[s->in_use];
    answer(FV_OK);
    return true;
  }
  if (strcmp(request, "reset") == 0) {
    answer(fv_context_reset(s->context, &s->diag));
    return true;
  }
  if (strcmp(request, "workspace") == 0) {
    printf("size %" PRId64 "\n", fv_context_workspace_bytes(s->context));
    return true;
  }
  return false;
}

static fv_status open_model(session *s, const char *path, const char *backend) {
  fv_model *m = NULL;
  if (strcmp(backend, "library") == 0)
    return fv_executable_load(path, &s->diag, &s->executable);
  FV_TRY(fv_model_load(path, NULL, &s->diag, &m));
  const fv_compile_options o = {.struct_size = sizeof o, .backend = backend};
  const fv_status status = fv_compile(m, &o, &s->diag, &s->executable);
  fv_model_destroy(m);
  return status;
}

int main(int argc, char **argv) {
  static fv_diag_printer printer;
  static session s;
  printer.out = stderr;
  s.diag = (fv_diag_sink){.emit = fv_diag_print, .user = &printer};
  if (argc != 3)
    return 2;
  const fv_status status = open_model(&s, argv[1], argv[2]);
  answer(status);
  fflush(stdout);
  char request[16];
  int rc = status == FV_OK ? 0 : 1;
  while (rc == 0 && scanf("%15s", request) == 1) {
    if (!obey(&s, request))
      rc = 2;
    fflush(stdout);
  }
  for (int i = 0; i < MAX_IO; i++)
    free(s.in[i].data);
  for (int i = 0; i < MAX_CONTEXTS; i++)
    fv_context_destroy(s.contexts[i]);
  fv_executable_destroy(s.executable);
  return rc;
}
