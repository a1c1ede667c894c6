// SPDX-License-Identifier: Apache-2.0
// libfovea-rt on a library that is made here: an image made by hand, kernels in
// C and the artifact runtime, put together by the C compiler. Without one the
// test is skipped.
#include "tests/unit/unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "fovea/fovea-rt.h"
#include "runtime/exec/artifact.h"
#include "runtime/library.h"
#include "tests/unit/image_builder.h"

static ib b;  // large
static char library[4200];
static unsigned char *file;
static size_t file_size;

// Entry "step": sum[M] = state + x[N, M] row 0 .. N-1, one row a block would
// race, so one block a column. The state `sum` is double-buffered.
static void build_image(void) {
  ib_start(&b);
  const uint32_t n = ib_symbol(&b, "N", 0, 0, 16), m = ib_symbol(&b, "M", 0, 1, 8);
  ib_kernel(&b, "add_rows", 3, 2, 0);
  ib_site(&b, "t.xml:3:4: an element is negative");
  b.const_bytes = 64;
  b.state[b.n_state++] = (fv_prog_state){.name = ib_str(&b, "sum"),
                                         .dtype = FV_f32,
                                         .rank = 1,
                                         .double_buffered = 1,
                                         .members = 1,
                                         .length_symbol = FV_NO_SLOT,
                                         .dim = {{0, m, 0}}};
  ib_entry *e = ib_begin(&b, "step");
  e->used[e->n_used++] = n;
  e->used[e->n_used++] = m;
  const uint32_t four = ib_lit(e, 4), bytes = ib_op(e, FV_X_MUL, m, four);
  e->bind_end = e->n_inst;
  const uint32_t x = ib_buffer(e, FV_SPACE_INPUT, FV_f32, 0, 0);
  const uint32_t old = ib_buffer(e, FV_SPACE_STATE, FV_f32, 0, 0);
  const uint32_t next = ib_buffer(e, FV_SPACE_STATE_NEXT, FV_f32, 0, 0);
  const uint32_t y = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 0, 0);
  ib_launch(e, 0, m, FV_NO_SLOT, 5, (uint32_t[]){x, old, next, n, m});
  ib_inst(e, FV_H_COPY, 0, y, next, bytes, 0);
  ib_port(&b, &e->input[e->n_input++], "x", FV_f32, 2, (uint32_t[]){n, m});
  ib_port(&b, &e->output[e->n_output++], "sum", FV_f32, 1, &m);
  ib_finish(&b);
}

static const char source[] =
    "#include \"runtime/exec/artifact.h\"\n"
    "static const _Alignas(64) unsigned char constants[64];\n"
    "static int32_t add_rows(void *const *buf, const int64_t *s, void *scratch, int64_t begin,\n"
    "                        int64_t end) {\n"
    "  const float *x = buf[0], *old = buf[1];\n"
    "  float *next = buf[2];\n"
    "  (void)scratch;\n"
    "  for (int64_t m = begin; m < end; m++) {\n"
    "    next[m] = old[m];\n"
    "    for (int64_t n = 0; n < s[0]; n++) {\n"
    "      if (x[n * s[1] + m] < 0) return 1;\n"
    "      next[m] += x[n * s[1] + m];\n"
    "    }\n"
    "  }\n"
    "  return 0;\n"
    "}\n"
    "static const fv_cpu_kernel_fn kernels[] = {add_rows};\n"
    "const fv_artifact_desc fv_model_desc = {sizeof(fv_artifact_desc), 1, \"t\", image,\n"
    "    sizeof image, constants, sizeof constants, kernels, \"sse3\", \"{}\", 0};\n"
    "__attribute__((visibility(\"default\"))) const fv_model_api *t_get(void) {\n"
    "  return fv_artifact_get();\n"
    "}\n";

static bool write_source(const char *path) {
  FILE *f = fopen(path, "w");
  if (!f)
    return false;
  fprintf(f, "static const _Alignas(64) unsigned char image[] = {");
  for (uint32_t i = 0; i < b.size; i++)
    fprintf(f, "%u,", b.image[i]);
  fprintf(f, "};\n%s", source);
  return fclose(f) == 0;
}

static bool write_file(const char *path, const void *data, size_t size) {
  FILE *f = fopen(path, "wb");
  const bool ok = f && fwrite(data, 1, size, f) == size;
  return f && fclose(f) == 0 && ok;
}

static int make_library(void **state) {
  (void)state;
  char c[4200], command[16384];
  build_image();
  const char *dir = scratch_dir();
  snprintf(c, sizeof c, "%s/t.c", dir);
  snprintf(library, sizeof library, "%s/libt.so", dir);
  if (!write_source(c))
    return -1;
  snprintf(command, sizeof command,
           "cc -std=gnu17 -O1 -shared -fPIC -fvisibility=hidden -DFV_EXEC_BITCODE=1 -I'%s' "
           "-I'%s/include' -o '%s' '%s' '%s'/runtime/exec/*.c -Wl,-s -pthread 2>/dev/null",
           FV_SOURCE_DIR, FV_SOURCE_DIR, library, c, FV_SOURCE_DIR);
  if (system("cc --version >/dev/null 2>&1") != 0)
    exit(77);
  if (system(command) != 0)
    return -1;
  FILE *f = fopen(library, "rb");
  if (!f)
    return -1;
  fseek(f, 0, SEEK_END);
  file_size = (size_t)ftell(f);
  rewind(f);
  file = calloc(1, file_size + FV_SEAL_BYTES);
  const bool ok = file && fread(file, 1, file_size, f) == file_size;
  fclose(f);
  const char *why;
  if (!ok || fv_library_getter(file, file_size, &why, NULL))  // it has no seal yet
    return -1;
  file_size += FV_SEAL_BYTES;
  fv_seal seal;
  why = fv_library_seal(file, file_size, &seal);
  if (why)
    fail_msg("%s", why);
  memcpy(file + seal.note_at, seal.note, sizeof seal.note);
  memcpy(file + file_size - sizeof seal.end, seal.end, sizeof seal.end);
  return write_file(library, file, file_size) ? 0 : -1;
}

static int remove_library(void **state) {
  (void)state;
  free(file);
  unlink(library);
  char *slash = strrchr(library, '/');
  memcpy(slash, "/t.c", 5);
  unlink(library);
  *slash = 0;
  rmdir(library);
  return 0;
}

static void test_questions(void **state) {
  (void)state;
  fv_rt_model *m;
  fv_rt_error err;
  assert_int_equal(fv_rt_load(library, &m, &err), FV_RT_OK);
  assert_string_equal(fv_rt_name(m), "t");
  assert_string_equal(fv_rt_manifest(m), "{}");
  assert_int_equal(fv_rt_entry_count(m), 1);
  assert_string_equal(fv_rt_entry_name(m, 0), "step");
  assert_null(fv_rt_entry_name(m, 1));
  assert_int_equal(fv_rt_find_entry(m, "stop"), -1);
  fv_rt_port p;
  assert_int_equal(fv_rt_input_count(m, 0), 1);
  assert_int_equal(fv_rt_output_count(m, 0), 1);
  assert_int_equal(fv_rt_output_count(m, 7), 0);
  assert_int_equal(fv_rt_input(m, 0, 0, &p), FV_RT_OK);
  assert_true(strcmp(p.name, "x") == 0 && p.dtype == FV_f32 && p.rank == 2);
  assert_int_equal(fv_rt_output(m, 0, 1, &p), FV_RT_ERR_ARG);
  fv_rt_symbol s;
  assert_int_equal(fv_rt_symbol_count(m, 0), 2);
  assert_int_equal(fv_rt_symbol_at(m, 0, 1, &s), FV_RT_OK);
  assert_true(strcmp(s.name, "M") == 0 && s.min == 1 && s.max == 8);
  fv_rt_unload(m);
  fv_rt_unload(NULL);
}

static void fails(fv_rt_context *c, const fv_rt_tensor *in, size_t n_in, fv_rt_tensor *out,
                  int32_t status, const char *text) {
  fv_rt_error err;
  assert_int_equal(fv_rt_run(c, "step", in, n_in, NULL, 0, out, 1, &err), status);
  assert_string_equal(err.text, text);
}

static void test_run(void **state) {
  (void)state;
  fv_rt_model *m;
  fv_rt_context *c, *d;
  fv_rt_error err;
  assert_int_equal(fv_rt_load(library, &m, &err), FV_RT_OK);
  const fv_rt_options o = {.struct_size = sizeof o, .threads = 3};
  assert_int_equal(fv_rt_create(m, &o, &c, &err), FV_RT_OK);
  float x[] = {1, 2, 3, 4, 5, 6}, mine[3];
  fv_rt_tensor in = {.name = "x", .dtype = FV_f32, .rank = 2, .dim = {2, 3}, .data = x};
  fv_rt_tensor out = {.name = NULL};
  assert_int_equal(fv_rt_run(c, NULL, &in, 1, NULL, 0, &out, 1, &err), FV_RT_OK);
  const float *y = out.data;
  assert_true(out.rank == 1 && out.dim[0] == 3 && out.bytes == 12 && strcmp(out.name, "sum") == 0);
  assert_true(y[0] == 5 && y[1] == 7 && y[2] == 9);
  out = (fv_rt_tensor){.data = mine, .bytes = sizeof mine};
  const fv_rt_dim dims[] = {{"M", 3}};
  assert_int_equal(fv_rt_run(c, "step", &in, 1, dims, 1, &out, 1, &err), FV_RT_OK);
  assert_true(mine[2] == 18);
  // What is wrong is told, and the state stays.
  out.bytes = 8;
  fails(c, &in, 1, &out, FV_RT_ERR_ARG, "output 'sum' needs 12 bytes, not 8");
  out.bytes = 12;
  fails(c, &in, 0, &out, FV_RT_ERR_ARG, "input 'x' (f32 of rank 2) is not given");
  fails(c, (fv_rt_tensor[]){in, in}, 2, &out, FV_RT_ERR_ARG, "input 'x' is given twice");
  in.dtype = FV_i32;
  fails(c, &in, 1, &out, FV_RT_ERR_DIM,
        "input 'x' is i32 of rank 2, but the model wants f32 of rank 2");
  in.dtype = FV_f32;
  in.dim[0] = 17;
  fails(c, &in, 1, &out, FV_RT_ERR_DIM, "N = 17 is out of its range 0..16");
  in.dim[0] = 2;
  x[5] = -1;
  fails(c, &in, 1, &out, FV_RT_ERR_RUN, "t.xml:3:4: an element is negative");
  x[5] = 6;
  assert_int_equal(fv_rt_run(c, "stop", &in, 1, NULL, 0, &out, 1, &err), FV_RT_ERR_ARG);
  assert_int_equal(fv_rt_run(c, NULL, &in, 1, &(fv_rt_dim){"Q", 1}, 1, &out, 1, &err),
                   FV_RT_ERR_ARG);
  assert_string_equal(err.text, "the model has no dim 'Q'");
  // A fork goes its own way; saved states come back.
  uint64_t bytes;
  assert_int_equal(fv_rt_fork(c, &d, &err), FV_RT_OK);
  assert_int_equal(fv_rt_save(c, NULL, 0, &bytes, &err), FV_RT_OK);
  void *saved = malloc(bytes);
  assert_int_equal(fv_rt_save(c, saved, bytes, &bytes, &err), FV_RT_OK);
  assert_int_equal(fv_rt_run(d, "step", &in, 1, NULL, 0, &out, 1, &err), FV_RT_OK);
  assert_true(mine[2] == 27);
  assert_int_equal(fv_rt_reset(c, &err), FV_RT_OK);
  assert_int_equal(fv_rt_run(c, "step", &in, 1, NULL, 0, &out, 1, &err), FV_RT_OK);
  assert_true(mine[2] == 9);
  assert_int_equal(fv_rt_restore(c, saved, bytes, &err), FV_RT_OK);
  assert_int_equal(fv_rt_run(c, "step", &in, 1, NULL, 0, &out, 1, &err), FV_RT_OK);
  assert_true(mine[2] == 27);
  assert_int_equal(fv_rt_restore(c, saved, bytes - 1, &err), FV_RT_ERR_ARG);
  free(saved);
  fv_rt_destroy(d);
  fv_rt_destroy(c);
  fv_rt_unload(m);
}

// Outputs that are not wanted, and options of other versions.
static void test_sizes(void **state) {
  (void)state;
  fv_rt_model *m;
  fv_rt_context *c;
  fv_rt_error err;
  float x[] = {1, 2, 3};
  const fv_rt_tensor in = {.name = "x", .dtype = FV_f32, .rank = 2, .dim = {1, 3}, .data = x};
  assert_int_equal(fv_rt_load(library, &m, &err), FV_RT_OK);
  struct {
    fv_rt_options o;
    uint64_t later;
  } newer = {.o = {.struct_size = sizeof newer, .threads = 1}};
  const fv_rt_options older = {
      .struct_size = offsetof(fv_rt_options, parallel_for),
      .threads = 1,
      .parallel_for = (void (*)(void *, uint32_t, void (*)(void *, uint32_t), void *))1};
  const fv_rt_options *const good[] = {NULL, &older, &newer.o};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(fv_rt_create(m, good[i], &c, &err), FV_RT_OK);
    assert_int_equal(fv_rt_run(c, NULL, &in, 1, NULL, 0, NULL, 0, &err), FV_RT_OK);
    fv_rt_tensor out = {.name = NULL};
    assert_int_equal(fv_rt_run(c, NULL, &in, 1, NULL, 0, &out, 1, &err), FV_RT_OK);
    assert_true(((const float *)out.data)[2] == 6);
    fv_rt_destroy(c);
  }
  newer.later = 7;  // asks for what this version does not know
  assert_int_equal(fv_rt_create(m, &newer.o, &c, &err), FV_RT_ERR_ARG);
  assert_int_equal(fv_rt_create(m, &(fv_rt_options){.threads = 1}, &c, &err), FV_RT_ERR_ARG);
  fv_rt_unload(m);
}

// Copies of the library under other names are libraries of their own, and one that takes the place
// of a loaded one is not taken for it, whatever numbers the descriptors have.
static void test_many(void **state) {
  (void)state;
  enum { MANY = 8 };
  fv_rt_model *m[MANY];
  fv_rt_error err;
  char path[4300], other[4300];
  snprintf(path, sizeof path, "%s.copy", library);
  snprintf(other, sizeof other, "%s.new", library);
  for (int i = 0; i < MANY; i++) {
    assert_true(write_file(other, file, file_size) && rename(other, path) == 0);
    if (fv_rt_load(path, &m[i], &err) != FV_RT_OK)
      fail_msg("%s", err.text);
    for (int k = 0; k < i; k++)
      assert_ptr_not_equal(fv_rt_name(m[i]), fv_rt_name(m[k]));
  }
  fv_rt_model *again;
  assert_int_equal(fv_rt_load(path, &again, &err), FV_RT_OK);
  assert_ptr_equal(fv_rt_name(again), fv_rt_name(m[MANY - 1]));
  fv_rt_unload(again);
  for (int i = 0; i < MANY; i++)
    fv_rt_unload(m[i]);
  unlink(path);
}

// No shortened or altered file is taken for a library; none is loaded here.
static void test_damaged(void **state) {
  (void)state;
  const char *why;
  bool foreign;
  assert_string_equal(fv_library_getter(file, file_size, &why, &foreign), "t_get");
  for (size_t n = 0; n < file_size - FV_SEAL_BYTES; n += n < 4096 ? 1 : 61) {
    unsigned char *copy = malloc(n + 1);  // its own block: overruns are seen
    memcpy(copy, file, n);
    assert_null(fv_library_getter(copy, n, &why, NULL));
    assert_true(*why);
    free(copy);
  }
  size_t at = 0;
  while (at + b.size <= file_size && memcmp(file + at, b.image, b.size) != 0)
    at += 8;
  assert_true(at + b.size <= file_size);
  for (size_t i = 0; i < file_size; i += i < 4096 || i > file_size - 2048 ? 1 : 29) {
    file[i] ^= 4;  // the end, the mark and the sections are no less sealed than the code
    if (fv_library_getter(file, file_size, &why, NULL))
      fail_msg("byte %zu", i);
    file[i] ^= 4;
  }
  for (uint32_t i = 0; i < b.size; i++) {
    file[at + i] ^= 4;
    assert_null(fv_library_getter(file, file_size, &why, NULL));
    // Without its end, as strip leaves it, the hash of what is loaded stands.
    assert_null(fv_library_getter(file, file_size - FV_SEAL_BYTES, &why, NULL));
    file[at + i] ^= 4;
  }
  assert_string_equal(fv_library_getter(file, file_size - FV_SEAL_BYTES, &why, NULL), "t_get");
  uint32_t seed = 1;
  for (int round = 0; round < 20000; round++) {  // headers and tables: no crash
    seed = seed * 1664525u + 1013904223u;
    const size_t k = (seed >> 4) % (round % 2 ? 1024 : file_size);
    const unsigned char old = file[k];
    file[k] ^= (unsigned char)(1u << (seed >> 29));
    (void)fv_library_getter(file, file_size, &why, NULL);
    file[k] = old;
  }
  file[18] = 0xf3;  // e_machine
  assert_null(fv_library_getter(file, file_size, &why, &foreign));
  assert_true(foreign);
  assert_string_equal(why, "the library was made for another machine");
}

static void test_no_library(void **state) {
  (void)state;
  fv_rt_model *m;
  fv_rt_error err;
  assert_int_equal(fv_rt_load("/nowhere/at/all.so", &m, &err), FV_RT_ERR_FILE);
  assert_true(err.text[0] && !m);
  assert_int_equal(fv_rt_load(FV_SOURCE_DIR "/LICENSE", &m, &err), FV_RT_ERR_FILE);
  assert_non_null(strstr(err.text, "the file is no shared library"));
  assert_int_equal(fv_rt_load(FV_SOURCE_DIR, &m, NULL), FV_RT_ERR_FILE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_questions), cmocka_unit_test(test_run),
      cmocka_unit_test(test_sizes),     cmocka_unit_test(test_many),
      cmocka_unit_test(test_damaged),   cmocka_unit_test(test_no_library)};
  return cmocka_run_group_tests(tests, make_library, remove_library);
}
