// SPDX-License-Identifier: Apache-2.0
// libFuzzer targets: what reads bytes that others wrote. Built once for each with
// its name in FUZZ_TARGET; a finding is what the sanitizers report.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/frontend.h"
#include "frontend/weights/weights.h"
#include "runtime/exec/exec.h"

extern const fv_frontend fv_frontend_xml;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
  fv_arena *arena;
  const uint8_t *data;
  size_t size;
  const char *path;  // a file that holds the data
  fv_diag_sink silent;
} input;

// The text form: what it accepts is valid and can be printed.
static fv_status text(void *user) {
  input *in = user;
  fv_module *m;
  FV_TRY(fv_text_parse(in->arena, "input", (const char *)in->data, in->size, NULL, NULL,
                       &in->silent, &m));
  FV_TRY(fv_verify(m, "reading", &in->silent));
  fv_str out = {.arena = in->arena};
  fv_text_print(m, &out);
  return FV_OK;
}

static fv_status xml(void *user) {
  input *in = user;
  const fv_load_options o = {.limits = {.max_nodes = 10000, .max_elements = 10000}};
  fv_module *m;
  FV_TRY(fv_frontend_xml.load(in->arena, in->path, &o, &in->silent, &m));
  return fv_verify(m, "loading", &in->silent);
}

// Every tensor of the file is read through.
static fv_status safetensors(void *user) {
  input *in = user;
  fv_weights *w = fv_weights_create(in->arena);
  FV_TRY(fv_weights_add(w, NULL, in->path, NULL, &in->silent, NULL));
  uint64_t sum = 0;
  for (int i = 0; i < fv_weights_count(w); i++) {
    const fv_tensor *t = fv_weights_find(w, fv_weights_name(w, i));
    const int64_t n = t ? fv_tensor_count(t) * fv_dtype_size(t->dtype) : 0;
    const uint8_t *data = t ? fv_tensor_data(in->arena, t) : NULL;
    for (int64_t k = 0; k < n; k++)
      sum += data[k];
  }
  return sum == UINT64_MAX ? FV_ERR_NO : FV_OK;
}

static fv_status image(void *user) {
  input *in = user;
  fv_exec_image view;
  void *copy = fv_arena_dup(in->arena, in->data, in->size);
  return fv_exec_open(copy, in->size, &view, NULL) == FV_MODEL_OK ? FV_OK : FV_ERR_PARSE;
}

static const struct {
  const char *name;
  fv_status (*run)(void *user);
} target[] = {{"text", text}, {"xml", xml}, {"safetensors", safetensors}, {"image", image}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  const int file = memfd_create("input", 0);
  if (file < 0 || write(file, data, size) != (ssize_t)size)
    abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  input in = {.arena = fv_arena_create(NULL), .data = data, .size = size, .path = path};
  const char *bug = NULL;
  if (!in.arena)
    abort();
  size_t k = 0;
  while (strcmp(target[k].name, FUZZ_TARGET) != 0)
    k++;
  const fv_status s = fv_arena_protect(in.arena, target[k].run, &in, &bug);
  if (s == FV_ERR_INTERNAL || bug)
    abort();
  fv_arena_destroy(in.arena);
  close(file);
  return 0;
}
