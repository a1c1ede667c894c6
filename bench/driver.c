// SPDX-License-Identifier: Apache-2.0
//
// Runs one entry of a model again and again, when it is told to (slices.h):
//
//   driver MODEL [--backend B] [--graph G] [--threads N] [--weights FILE]
//                [--let N=V] [--dim N=V] [--range INPUT=V] [--input INPUT=FILE]
//
// MODEL is a description or a compiled library. An input is the raw bytes of FILE, or
// random: floats in [-1, 1), integers in [0, V), V being 2 unless --range gives it. The
// first line of output tells about the model; "save" writes the first output.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/fovea.h"
#include "slices.h"

enum { MAX_PAIRS = 32, MAX_TENSORS = 64 };

typedef struct pair_list {
  const char *text[MAX_PAIRS];  // "name=value"
  size_t count;
} pair_list;

typedef struct driver {
  const char *path, *backend, *graph;
  int threads;
  pair_list weights, lets, dims, ranges, inputs;
  fv_model *model;
  fv_executable *exe;
  fv_context *context;
  fv_tensor_io in[MAX_TENSORS], out[MAX_TENSORS];
  size_t n_in, n_out;
  double load_s, compile_s;
} driver;

static size_t dtype_size(fv_dtype t) {
  static const size_t size[] = {
#define X(name, bytes, kind) bytes,
      FV_DTYPE_TABLE(X)
#undef X
  };
  return size[t];
}

static _Noreturn void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("driver: ", stderr);
  vfprintf(stderr, format, args);
  fputs("\n", stderr);
  va_end(args);
  exit(1);
}

static void tell(void *user, const fv_diag *d) {
  (void)user;
  fprintf(stderr, "driver: %s\n", d->text);
}

//===-- Arguments ---------------------------------------------------------===//

static const char *find_pair(const pair_list *list, const char *name) {
  const size_t n = strlen(name);
  for (size_t i = 0; i < list->count; i++)
    if (strncmp(list->text[i], name, n) == 0 && list->text[i][n] == '=')
      return list->text[i] + n + 1;
  return NULL;
}

static void add_pair(pair_list *list, const char *text) {
  if (list->count == MAX_PAIRS)
    die("too many options");
  list->text[list->count++] = text;
}

static void parse(driver *d, int argc, char **argv) {
  *d = (driver){.backend = "llvm", .threads = 1};
  for (int i = 1; i < argc; i++) {
    const char *option = argv[i];
    if (strncmp(option, "--", 2) != 0) {
      d->path = option;
      continue;
    }
    if (++i == argc)
      die("%s needs a value", option);
    if (strcmp(option, "--backend") == 0)
      d->backend = argv[i];
    else if (strcmp(option, "--graph") == 0)
      d->graph = argv[i];
    else if (strcmp(option, "--threads") == 0)
      d->threads = atoi(argv[i]);
    else if (strcmp(option, "--weights") == 0)
      add_pair(&d->weights, argv[i]);
    else if (strcmp(option, "--let") == 0)
      add_pair(&d->lets, argv[i]);
    else if (strcmp(option, "--dim") == 0)
      add_pair(&d->dims, argv[i]);
    else if (strcmp(option, "--range") == 0)
      add_pair(&d->ranges, argv[i]);
    else if (strcmp(option, "--input") == 0)
      add_pair(&d->inputs, argv[i]);
    else
      die("there is no option %s", option);
  }
  if (!d->path)
    die("usage: driver MODEL [OPTIONS]; see driver.c");
}

//===-- Inputs ------------------------------------------------------------===//

static uint64_t next_random(uint64_t *state) {  // splitmix64
  uint64_t z = *state += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

static void fill(void *data, fv_dtype t, size_t count, uint64_t range, uint64_t *state) {
  const size_t size = dtype_size(t);
  for (size_t i = 0; i < count; i++) {
    const uint64_t r = next_random(state);
    const double d = 2 * ((double)(r >> 11) / (double)(1ULL << 53)) - 1;
    const float f = (float)d;
    uint64_t bits = t == FV_bool ? r & 1 : r % range;
    if (t == FV_f64) {
      memcpy(&bits, &d, sizeof d);
    } else if (t == FV_f32 || t == FV_bf16) {
      uint32_t word;
      memcpy(&word, &f, sizeof f);
      bits = t == FV_f32 ? word : word >> 16;
    } else if (t == FV_f16) {  // a magnitude from 2^-5 to 1
      bits = (r & 0x83FF) | (10 + (r >> 32) % 5) << 10;
    }
    memcpy((char *)data + i * size, &bits, size);  // little endian
  }
}

static void read_input(const char *path, void *data, size_t bytes) {
  FILE *f = fopen(path, "rb");
  if (!f || fread(data, 1, bytes, f) != bytes || fgetc(f) != EOF)
    die("%s does not hold the %zu bytes of its input", path, bytes);
  fclose(f);
}

static void bind_input(driver *d, const fv_model_info *info, const fv_port_info *port,
                       uint64_t *state) {
  fv_tensor_io *t = &d->in[d->n_in++];
  *t = (fv_tensor_io){.name = port->name, .dtype = port->dtype, .rank = port->rank};
  size_t count = 1;
  for (int i = 0; i < port->rank; i++) {
    t->dim[i] = port->dim[i];
    if (t->dim[i] < 0) {
      const char *name = port->symbol[i] >= 0 ? info->symbol[port->symbol[i]].name : "";
      const char *value = find_pair(&d->dims, name);
      if (!value)
        die("input %s [%s]: give --dim %s=N", port->name, port->shape, name);
      t->dim[i] = atoll(value);
    }
    count *= (size_t)t->dim[i];
  }
  const size_t bytes = count * dtype_size(t->dtype);
  t->data = aligned_alloc(64, (bytes + 127) / 64 * 64);
  if (!t->data)
    die("no memory for input %s", port->name);
  const char *path = find_pair(&d->inputs, port->name);
  const char *range = find_pair(&d->ranges, port->name);
  if (path)
    read_input(path, t->data, bytes);
  else
    fill(t->data, t->dtype, count, range ? (uint64_t)atoll(range) : 2, state);
}

//===-- The model ---------------------------------------------------------===//

static int is_library(const char *path) {
  const size_t n = strlen(path);
  return n > 3 && strcmp(path + n - 3, ".so") == 0;
}

static void load(driver *d, fv_diag_sink *sink) {
  const double begin = slices_now();
  if (is_library(d->path)) {
    if (fv_executable_load(d->path, sink, &d->exe))
      exit(1);
    d->load_s = slices_now() - begin;
    return;
  }
  const fv_model_load_options o = {.struct_size = sizeof o,
                                   .let = d->lets.text,
                                   .n_let = d->lets.count,
                                   .weights = d->weights.text,
                                   .n_weights = d->weights.count};
  if (fv_model_load(d->path, &o, sink, &d->model))
    exit(1);
  d->load_s = slices_now() - begin;
  const fv_compile_options c = {.struct_size = sizeof c, .backend = d->backend};
  if (fv_compile(d->model, &c, sink, &d->exe))
    exit(1);
  d->compile_s = slices_now() - begin - d->load_s;
}

static const fv_graph_info *find_graph(const driver *d, const fv_model_info *info) {
  for (int i = 0; i < info->n_graph; i++)
    if (!d->graph || strcmp(info->graph[i].name, d->graph) == 0)
      return &info->graph[i];
  die("%s has no graph %s", d->path, d->graph ? d->graph : "at all");
}

static void start(driver *d, fv_diag_sink *sink) {
  const fv_model_info *info = fv_executable_get_info(d->exe);
  const fv_graph_info *graph = find_graph(d, info);
  if (graph->n_input > MAX_TENSORS || graph->n_output > MAX_TENSORS)
    die("%s has too many inputs or outputs", d->path);
  uint64_t state = 1;
  for (int i = 0; i < graph->n_input; i++)
    bind_input(d, info, &graph->input[i], &state);
  d->n_out = (size_t)graph->n_output;
  if (fv_context_create(d->exe, d->threads, sink, &d->context) ||
      fv_context_run(d->context, graph->name, d->in, d->n_in, NULL, 0, d->out, d->n_out, sink))
    exit(1);
}

static int once(void *user) {
  driver *d = user;
  return fv_context_again(d->context, NULL) != 0;
}

static int save(void *user, const char *path) {
  const driver *d = user;
  const fv_tensor_io *t = &d->out[0];
  size_t bytes = dtype_size(t->dtype);
  for (int i = 0; i < t->rank; i++)
    bytes *= (size_t)t->dim[i];
  FILE *f = fopen(path, "wb");
  if (!f)
    return 1;
  const int bad = fwrite(t->data, 1, bytes, f) != bytes;
  return fclose(f) != 0 || bad;
}

int main(int argc, char **argv) {
  static driver d;  // some KiB
  fv_diag_sink sink = {.emit = tell};
  parse(&d, argc, argv);
  load(&d, &sink);
  start(&d, &sink);
  printf("{\"load_s\": %.3f, \"compile_s\": %.3f, \"workspace_bytes\": %lld}\n", d.load_s,
         d.compile_s, (long long)fv_context_workspace_bytes(d.context));
  fflush(stdout);
  const int code = slices_serve(&(slices){.user = &d, .once = once, .save = save});
  fv_context_destroy(d.context);
  fv_executable_destroy(d.exe);
  fv_model_destroy(d.model);
  for (size_t i = 0; i < d.n_in; i++)
    free(d.in[i].data);
  return code;
}
