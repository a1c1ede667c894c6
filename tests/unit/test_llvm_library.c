// SPDX-License-Identifier: Apache-2.0
// What the llvm plugin makes of many kernels together: parts on threads, libraries.
#define _GNU_SOURCE  // memmem
#include "tests/scratch.h"
#include "tests/unit/llvm_plugin.h"

#include <sys/mman.h>
#include <unistd.h>

#include "runtime/exec/artifact.h"

#define FOLDER FV_BINARY_DIR "/lib/fovea/"
#define RUNTIME FOLDER "exec-x86_64.bc"

static const char constants[4096] = "constants";

// With its constants behind it. *fd stays open: the loader knows a library by its path.
static void *open_library(const fv_blob *b, int *out_fd) {
  const int fd = *out_fd = memfd_create("library", MFD_CLOEXEC);
  char path[64];
  assert_true(fd >= 0);
  assert_int_equal(write(fd, b->data, b->size), (ssize_t)b->size);
  assert_int_equal(write(fd, constants, sizeof constants), (ssize_t)sizeof constants);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!so)
    fail_msg("%s", dlerror());
  return so;
}

static void expect_constants(void *symbol) {
  const fv_model_api *(*get)(void);
  memcpy(&get, &symbol, sizeof get);
  const fv_artifact_desc *desc = get()->desc;
  assert_int_equal(desc->const_bytes, sizeof constants);
  assert_int_equal((uintptr_t)desc->constants % 64, 0);
  assert_memory_equal(desc->constants, constants, sizeof constants);
}

static fv_blob make_library(const fv_backend *b, fv_kernels *k, const char *name, bool shared) {
  static const char image[128] = "image";
  const fv_artifact a = {.struct_size = sizeof a,
                         .shared = shared,
                         .name = name,
                         .image = image,
                         .image_size = sizeof image,
                         .constants_size = sizeof constants,
                         .manifest = "{\"by\": 1}",
                         .exec_folder = FOLDER};
  fv_blob out = {0};
  fv_report r = {0};
  if (b->emit_artifact(k, &a, &r, &out) != FV_PLUGIN_OK)
    fail_msg("%s", r.text);
  return out;
}

// Long enough that a few of them fill a part. With lanes that are no power of two it is refused.
static made *chain_kernel(int value, int lanes) {
  made *m = make("chain", value, lanes);
  const int in = buffer(m, FV_f32, false), out = buffer(m, FV_f32, true);
  uint32_t v = load(m, in, lanes, position(m, lanes), NONE);
  for (int i = 0; i < 200; i++)
    v = op(m, i % 3 ? FV_X_MUL : FV_X_ADD, FV_f32, lanes, v, v, NONE);
  const uint32_t r = inst(m, FV_K_REDUCE, FV_f32, 1, v, NONE, NONE);
  m->inst[r].xop = FV_X_ADD;
  store(m, out, constant(m, value), r, NONE);
  return m;
}

// The library exports NAME_get alone, needs libc alone, and its bytes depend on
// nothing but the input.
static void test_artifact(void **state) {
  (void)state;
  const fv_backend *b = plugin();
  fv_device *d = open_level(b, NULL);
  if (access(RUNTIME, R_OK) != 0 || strncmp(b->describe(d), "x86_64", 6) != 0) {
    b->close(d);
    skip();
  }
  made *m = chain_kernel(1, 8);
  const fv_kernel_code *code[2] = {&m->code, &m->code};
  fv_kernels *k = NULL;
  fv_report r = {0};
  assert_int_equal(b->compile_kernels(d, code, 2, &r, &k), FV_PLUGIN_OK);
  fv_blob one = make_library(b, k, "one", true), again = make_library(b, k, "one", true);
  assert_int_equal(one.size, again.size);
  assert_memory_equal(one.data, again.data, one.size);
  fv_blob two = make_library(b, k, "two", true), object = make_library(b, k, "three", false);
  int fd[2];
  void *so1 = open_library(&one, &fd[0]), *so2 = open_library(&two, &fd[1]);
  assert_non_null(dlsym(so1, "one_get"));
  assert_non_null(dlsym(so2, "two_get"));
  expect_constants(dlsym(so1, "one_get"));
  assert_null(dlsym(so1, "fv_artifact_get"));
  assert_non_null(memmem(one.data, one.size, "libc.so.6", 10));
  assert_non_null(memmem(one.data, one.size, "{\"by\": 1}", 10));
  assert_null(memmem(one.data, one.size, "libm.so", 7));
  assert_non_null(memmem(object.data, object.size, "three_get", 10));
  fv_blob *const blobs[] = {&one, &again, &two, &object};
  for (size_t i = 0; i < FV_COUNTOF(blobs); i++)
    blobs[i]->release(blobs[i]->data, blobs[i]->size);
  dlclose(so1);
  dlclose(so2);
  close(fd[0]);
  close(fd[1]);
  b->release(k);
  b->close(d);
  free(m);
}

// Of many kernels, equal ones share a function, and the code is the same however many threads made
// it. Of several that are refused the first is told.
static void test_parts(void **state) {
  (void)state;
  enum { MANY = 40, DISTINCT = 29 };
  const fv_backend *b = plugin();
  fv_device *d = open_level(b, NULL);
  made *m[MANY];
  const fv_kernel_code *code[MANY];
  for (int i = 0; i < MANY; i++)
    code[i] = &(m[i] = chain_kernel(i % DISTINCT, 8))->code;
  fv_kernels *k[2] = {NULL, NULL};
  fv_blob text[2][2] = {0};
  for (int t = 0; t < 2; t++) {
    fv_report r = {0};
    one_thread = t == 0;
    assert_int_equal(b->compile_kernels(d, code, MANY, &r, &k[t]), FV_PLUGIN_OK);
    assert_int_equal(b->emit(k[t], "llvm", &r, &text[t][0]), FV_PLUGIN_OK);
    if (access(RUNTIME, R_OK) == 0 && strncmp(b->describe(d), "x86_64", 6) == 0)
      text[t][1] = make_library(b, k[t], "many", true);
    for (int i = 0; i < MANY; i++)
      for (int j = 0; j < i; j++)
        assert_int_equal(b->cpu_kernel(k[t], (size_t)i) == b->cpu_kernel(k[t], (size_t)j),
                         i % DISTINCT == j % DISTINCT);
  }
  for (int i = 0; i < 2; i++) {
    assert_int_equal(text[0][i].size, text[1][i].size);
    assert_memory_equal(text[0][i].data, text[1][i].data, text[0][i].size);
    for (int t = 0; t < 2; t++)
      if (text[t][i].release)
        text[t][i].release(text[t][i].data, text[t][i].size);
  }
  made *wrong[] = {chain_kernel(1000, 3), chain_kernel(1001, 3)};
  code[MANY / 3] = &wrong[0]->code;
  code[MANY - 1] = &wrong[1]->code;
  fv_report r = {0};
  fv_kernels *none = NULL;
  assert_int_equal(b->compile_kernels(d, code, MANY, &r, &none), FV_PLUGIN_UNSUPPORTED);
  assert_non_null(strstr(r.text, "chain_1000_3"));
  for (int t = 0; t < 2; t++)
    b->release(k[t]);
  b->close(d);
  for (int i = 0; i < MANY; i++)
    free(m[i]);
  free(wrong[0]);
  free(wrong[1]);
}

// Faults are reported and leave nothing behind.
static void test_artifact_refusals(void **state) {
  (void)state;
  const fv_backend *b = plugin();
  fv_device *d = open_level(b, NULL);
  fv_kernels *k = NULL;
  fv_report r = {0};
  fv_blob out = {0};
  fv_artifact a = {.struct_size = sizeof a,
                   .shared = 1,
                   .name = "m",
                   .image = "",
                   .image_size = 1,
                   .exec_folder = "/nowhere/"};
  assert_int_equal(b->compile_kernels(d, NULL, 0, &r, &k), FV_PLUGIN_OK);
  assert_int_equal(b->emit_artifact(k, &a, &r, &out), FV_PLUGIN_UNSUPPORTED);
  assert_non_null(strstr(r.text, "/nowhere/exec-"));
  char folder[4100], path[4200];
  const char *scratch = scratch_folder();
  assert_non_null(scratch);
  snprintf(folder, sizeof folder, "%s", scratch);
  snprintf(path, sizeof path, "%s/exec-%.*s.bc", folder, (int)strcspn(b->describe(d), " "),
           b->describe(d));
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("no bitcode", f);
  fclose(f);
  strcat(folder, "/");
  a.exec_folder = folder;
  assert_int_equal(b->emit_artifact(k, &a, &r, &out), FV_PLUGIN_FAILED);
  assert_null(out.data);
  unlink(path);
  rmdir(folder);
  if (access(RUNTIME, R_OK) == 0) {
    a.exec_folder = FOLDER;
    a.linker = "/bin/false";
    assert_int_equal(b->emit_artifact(k, &a, &r, &out), FV_PLUGIN_FAILED);
    if (!strstr(r.text, "/bin/false"))
      fail_msg("%s", r.text);
  }
  b->release(k);
  b->close(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_artifact), cmocka_unit_test(test_parts),
                                     cmocka_unit_test(test_artifact_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
