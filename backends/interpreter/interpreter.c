// SPDX-License-Identifier: Apache-2.0
// Runs lowered kernels one instruction after another, for a machine that need not
// exist: the options say how many lanes and registers it has. So schedules are
// tested for any target on any machine, and each access to memory is checked.
#include "interpreter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fv_device {
  const fv_host *host;
  fv_target target;
};

//===-- Options -------------------------------------------------------------===//

enum { ANY, POWERS };  // of two

// X(id, key, least, most, which, initial, doc)
#define MACHINE(X)                                                                             \
  X(LANES, "lanes", 1, 16, POWERS, 8, "f32 in a vector, a power of two up to 16 (default: 8)") \
  X(REGISTERS, "registers", 4, 64, ANY, 16, "vector registers, 4 to 64 (default: 16)")         \
  X(FMA, "fma", 0, 1, ANY, 1, "1: it multiplies and adds with one rounding (default), 0: not") \
  X(L1, "l1_bytes", 1024, 1 << 24, ANY, 32 << 10,                                              \
    "first cache, from 1024 to 2^24 (default: 32768)")                                         \
  X(L2, "l2_bytes", 1024, 1 << 28, ANY, 512 << 10,                                             \
    "second cache, from 1024 to 2^28 (default: 524288)")                                       \
  X(GROUP, "group", 1, 1024, POWERS, 1,                                                        \
    "work-items of a block, a power of two up to 1024 (default: 1)")                           \
  X(LOOPS, "loops", 0, 1, ANY, 0,                                                              \
    "1: work-items are loops, as on a CPU; 0: it runs them and refuses races (default)")

enum {
#define X(id, key, least, most, which, initial, doc) id,
  MACHINE(X)
#undef X
      OPTIONS
};

static const fv_option_info options_of[] = {
#define X(id, key, least, most, which, initial, doc) {key, "N", doc, 0, 0},
    MACHINE(X)
#undef X
        {.key = NULL}};

static const struct {
  long least, most, initial;
  int which;
} range[] = {
#define X(id, key, least, most, which, initial, doc) {least, most, initial, which},
    MACHINE(X)
#undef X
};

static bool in_range(int i, const char *text, long *value) {
  char *end;
  errno = 0;
  *value = strtol(text, &end, 10);
  const bool number = (*text == '-' || (*text >= '0' && *text <= '9')) && !*end && !errno;
  return number && *value >= range[i].least && *value <= range[i].most &&
         (range[i].which == ANY || (*value & (*value - 1)) == 0);
}

static int32_t read_option(const fv_host *host, fv_report *r, const fv_option *o, long *value) {
  for (int i = 0; i < OPTIONS; i++) {
    if (strcmp(options_of[i].key, o->key) != 0)
      continue;
    if (in_range(i, o->value, &value[i]))
      return FV_PLUGIN_OK;
    char line[256];
    snprintf(line, sizeof line, "interpreter: %s='%.64s' is no %s from %ld to %ld", o->key,
             o->value, range[i].which == POWERS ? "power of two" : "number", range[i].least,
             range[i].most);
    return host->error(r, FV_PLUGIN_ARG, line);
  }
  return FV_PLUGIN_OK;
}

//===-- The device ----------------------------------------------------------===//

static int32_t open_device(const fv_host *host, const fv_option *options, size_t n_options,
                           fv_report *r, fv_device **out) {
  long value[OPTIONS];
  for (int i = 0; i < OPTIONS; i++)
    value[i] = range[i].initial;
  *out = NULL;
  for (size_t i = 0; i < n_options; i++) {
    const int32_t s = read_option(host, r, &options[i], value);
    if (s != FV_PLUGIN_OK)
      return s;
  }
  fv_device *d = calloc(1, sizeof *d);
  if (!d)
    return FV_PLUGIN_OOM;
  d->host = host;
  d->target = (fv_target){.struct_size = sizeof d->target,
                          .has_fma = value[FMA] != 0,
                          .has_f64 = 1,
                          .has_f16 = 1,
                          .vector_bits = (uint32_t)value[LANES] * 32,
                          .registers = (uint32_t)value[REGISTERS],
                          .l1_bytes = (uint32_t)value[L1],
                          .l2_bytes = (uint32_t)value[L2],
                          .l3_bytes = 4u << 20,
                          .has_groups = !value[LOOPS],
                          .group_size = (uint32_t)value[GROUP],
                          .workers = 1};
  *out = d;
  return FV_PLUGIN_OK;
}

static void close_device(fv_device *d) {
  free(d);
}

static const char *describe(fv_device *d) {
  (void)d;
  return "a machine that its options describe";
}

static const fv_target *target(fv_device *d) {
  return &d->target;
}

static int32_t compile_kernels(fv_device *d, const fv_kernel_code *const *kernels, size_t count,
                               fv_report *r, fv_kernels **out) {
  (void)r;
  fv_kernels *k = calloc(1, sizeof *k);
  *out = k;
  if (!k)
    return FV_PLUGIN_OOM;
  *k = (fv_kernels){.host = d->host, .code = kernels, .count = count};
  return FV_PLUGIN_OK;
}

static void release(fv_kernels *k) {
  free(k);
}

static int32_t emit(fv_kernels *k, const char *kind, fv_report *r, fv_blob *out) {
  (void)kind;
  memset(out, 0, sizeof *out);
  return k->host->error(r, FV_PLUGIN_UNSUPPORTED,
                        "the interpreter makes no code of its own; --emit=kernel shows what it "
                        "runs");
}

static const fv_backend backend = {
    .struct_size = sizeof(fv_backend),
    .abi = FV_ABI_VERSION,
    .sanitizer = FV_ABI_SANITIZER,
    .name = "interpreter",
    .doc = "runs lowered kernels for a machine that need not exist; checks each access",
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .target = target,
    .compile_kernels = compile_kernels,
    .release = release,
    .create_queue = interpreter_queue,
    .destroy_queue = interpreter_destroy,
    .emit = emit,
    .options = options_of,
};

FV_BACKEND_EXPORT(interpreter, backend)
