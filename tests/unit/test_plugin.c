// SPDX-License-Identifier: Apache-2.0
// Structs that begin with their size, of older and of newer versions: tables of plugins, which are
// built here by the C compiler (without one the test is skipped), and options.
#include "tests/unit/unit.h"

#include <stddef.h>
#include <unistd.h>

#include "base/diag.h"
#include "compiler/plugin.h"
#include "fovea/fovea.h"
#include "fovea/sized.h"

static const char source[] =
    "#include \"fovea/plugin.h\"\n"
    "static int32_t open_it(const fv_host *h, const fv_option *o, size_t n, fv_report *r,\n"
    "                       fv_device **out) { (void)h, (void)o, (void)n, (void)r; *out = 0;\n"
    "  return 0; }\n"
    "static void close_it(fv_device *d) { (void)d; }\n"
    "static const char *describe(fv_device *d) { (void)d; return \"\"; }\n"
    "static int32_t run(fv_device *d, const struct fv_graph *g, struct fv_run_io *io,\n"
    "                   fv_report *r) { (void)d, (void)g, (void)io, (void)r; return 1; }\n"
    "static const struct { fv_backend b; void *later[4]; } table = {\n"
    "  {.struct_size = SIZE, .abi = FV_ABI_VERSION, .sanitizer = FV_ABI_SANITIZER,\n"
    "   .name = \"old\", .doc = \"d\", .open = open_it, .close = close_it,\n"
    "   .describe = describe, .run_graph = run,\n"
    "   .needs = (const char *(*)(fv_device *))16}, {(void *)16}};\n"
    "FV_BACKEND_EXPORT(old, table.b)\n";

static char folder[4200];

// Out: the plugin's path. Each has a name of its own, as plugins stay loaded.
static void build(const char *name, const char *size, char path[8500]) {
  char command[20000], file[4300];
  snprintf(file, sizeof file, "%s/p.c", folder);
  FILE *f = fopen(file, "w");
  assert_non_null(f);
  fputs(source, f);
  fclose(f);
  snprintf(path, 8500, "%s/%s.so", folder, name);
  snprintf(command, sizeof command,
           "cc -std=gnu17 -shared -fPIC -DFV_BACKEND_AS_PLUGIN=1 '-DSIZE=%s' -include stddef.h"
#if defined(__SANITIZE_ADDRESS__)
           " -fsanitize=address"
#elif defined(__SANITIZE_THREAD__)
           " -fsanitize=thread"
#endif
           " -I'%s/include' -o '%s' '%s' 2>/dev/null",
           size, FV_SOURCE_DIR, path, file);
  if (system("cc --version >/dev/null 2>&1") != 0)
    exit(77);
  assert_int_equal(system(command), 0);
  unlink(file);
}

typedef struct said {
  char text[512];
} said;

static void hear(void *user, const fv_diag *d) {
  snprintf(((said *)user)->text, sizeof((said *)user)->text, "%s", d->text);
}

static void test_tables(void **state) {
  (void)state;
  static const struct {
    const char *name, *size;
    bool good, knows_needs;
  } row[] = {
      {"same", "sizeof(fv_backend)", true, true},
      {"older", "offsetof(fv_backend, needs)", true, false},
      {"newer", "sizeof table", true, true},
      {"oldest", "offsetof(fv_backend, run_graph)", false, false},
      {"none", "0", false, false},
      {"head", "offsetof(fv_backend, name)", false, false},
  };
  snprintf(folder, sizeof folder, "%s", scratch_dir());
  for (size_t i = 0; i < FV_COUNTOF(row); i++) {
    char path[8500];
    fv_backend b;
    said s = {""};
    fv_diag_sink sink = {.emit = hear, .user = &s};
    build(row[i].name, row[i].size, path);
    const fv_status status = fv_backend_find(path, &sink, &b);
    if ((status == FV_OK) != row[i].good)
      fail_msg("%s: %s", row[i].name, s.text);
    if (status == FV_OK)
      assert_int_equal(b.needs != NULL, row[i].knows_needs);
    else
      assert_non_null(strstr(s.text, "its table is incomplete"));
    unlink(path);
  }
  rmdir(folder);
}

static bool take(fv_compile_options *own, const fv_compile_options *given) {
  return FV_SIZED_OPTIONS(own, given);
}

// A caller's struct that ends before `passes` has none, whatever stands behind it.
static void test_options(void **state) {
  (void)state;
  struct {
    fv_compile_options o;
    const char *later;
  } newer = {.o = {.struct_size = sizeof newer, .backend = "reference"}};
  fv_compile_options older = {.struct_size = offsetof(fv_compile_options, passes),
                              .backend = "reference",
                              .passes = (const char *)16};
  fv_compile_options own;
  assert_true(take(&own, &older));
  assert_true(own.struct_size == sizeof own && !own.passes && !own.n_backend_option);
  assert_string_equal(own.backend, "reference");
  assert_true(take(&own, &newer.o));
  newer.later = "asked for";
  assert_false(take(&own, &newer.o));
  older.struct_size = 0;
  assert_false(take(&own, &older));
  assert_true(take(&own, NULL));
  assert_true(own.struct_size == sizeof own && !own.backend);
  // The library's own functions look.
  said s = {""};
  fv_diag_sink sink = {.emit = hear, .user = &s};
  const fv_model_load_options load = {.n_let = 1};
  fv_model *m;
  assert_int_equal(fv_model_load("none.xml", &load, &sink, &m), FV_ERR_ARG);
  assert_non_null(strstr(s.text, "struct_size"));
}

static void count_task(void *arg, uint32_t index) {
  _Atomic uint32_t *made = arg;
  made[index]++;
}

// Each task once, whatever the threads.
static void test_parallel_for(void **state) {
  (void)state;
  static const uint32_t threads[] = {0, 1, 3, 5000}, counts[] = {0, 1, 2, 100};
  for (size_t t = 0; t < FV_COUNTOF(threads); t++)
    for (size_t c = 0; c < FV_COUNTOF(counts); c++) {
      _Atomic uint32_t made[101] = {0};
      fv_report r = {.threads = threads[t]};
      fv_host_table()->parallel_for(&r, counts[c], count_task, made);
      for (uint32_t i = 0; i < FV_COUNTOF(made); i++)
        assert_int_equal(made[i], i < counts[c]);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_options),
                                     cmocka_unit_test(test_parallel_for)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
