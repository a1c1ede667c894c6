// SPDX-License-Identifier: Apache-2.0
//
// Weights: views, conversion on use, alignment, sharded files.
#include "unit.h"

#include "frontend/weights/weights.h"

static fv_tensor matrix(const float *data) {
  return (fv_tensor){.name = "m", .dtype = FV_f32, .rank = 2, .dim = {2, 3}, .data = data};
}

// Read once, as by those that pack it, and kept, as by those that compute with it.
static void check_floats(const fv_tensor *t, int n, const float *want) {
  fv_arena *ar = fv_arena_create(NULL);
  for (int kept = 0; kept < 2; kept++) {
    void *own = NULL;
    const float *data = kept ? fv_tensor_data(ar, t) : fv_tensor_read(t, &own);
    assert_int_equal((uintptr_t)data % sizeof *data, 0);
    for (int i = 0; i < n; i++)
      assert_true(data[i] == want[i]);
    fv_tensor_done(t, own);
  }
  assert_ptr_equal(fv_tensor_data(ar, t), fv_tensor_data(ar, t));
  fv_arena_destroy(ar);
}

static void views(void **state) {
  (void)state;
  static const float data[] = {0, 1, 2, 3, 4, 5};
  fv_arena *ar = fv_arena_create(NULL);
  const fv_tensor m = matrix(data);
  fv_view v = fv_view_of(&m);
  assert_null(fv_view_transpose(&v, 2, (int64_t[]){1, 0}));
  const fv_tensor *t = fv_view_tensor(ar, &v, "t");
  assert_int_equal(t->dim[0], 3);
  check_floats(t, 6, (float[]){0, 3, 1, 4, 2, 5});
  assert_null(fv_view_slice(&v, 0, 1, 3));
  check_floats(fv_view_tensor(ar, &v, "t"), 4, (float[]){1, 4, 2, 5});
  assert_null(fv_view_reshape(ar, &v, 1, (int64_t[]){4}));
  check_floats(fv_view_tensor(ar, &v, "t"), 4, (float[]){1, 4, 2, 5});
  assert_null(fv_view_slice(&v, 0, 1, 3));  // of a copy, since no strides of the data say it
  check_floats(fv_view_tensor(ar, &v, "t"), 2, (float[]){4, 2});
  v = fv_view_of(&m);
  assert_null(fv_view_split(&v, -1, 3, 2));
  check_floats(fv_view_tensor(ar, &v, "t"), 2, (float[]){2, 5});
  v = fv_view_of(&m);
  assert_null(fv_view_select(&v, 0, 1));
  t = fv_view_tensor(ar, &v, "t");
  assert_ptr_equal(t->data, data + 3);  // rows in place are borrowed
  assert_int_equal(t->rank, 1);
  fv_arena_destroy(ar);
}

static void bad_views(void **state) {
  (void)state;
  static const float data[6];
  fv_arena *ar = fv_arena_create(NULL);
  const fv_tensor m = matrix(data);
  fv_view v = fv_view_of(&m);
  assert_non_null(fv_view_transpose(&v, 2, (int64_t[]){0, 0}));
  assert_non_null(fv_view_transpose(&v, 1, (int64_t[]){0}));
  assert_non_null(fv_view_slice(&v, 2, 0, 1));
  assert_non_null(fv_view_slice(&v, 0, -1, 1));
  assert_non_null(fv_view_slice(&v, 0, 0, INT64_MAX));
  assert_non_null(fv_view_slice(&v, INT64_MIN, 0, 1));
  assert_non_null(fv_view_split(&v, 1, 2, 0));
  assert_non_null(fv_view_split(&v, 1, 0, 0));
  assert_non_null(fv_view_split(&v, 1, 3, 3));
  assert_non_null(fv_view_select(&v, 0, 2));
  assert_non_null(fv_view_reshape(ar, &v, 2, (int64_t[]){INT64_MAX, INT64_MAX}));
  assert_non_null(fv_view_reshape(ar, &v, 1, (int64_t[]){5}));
  assert_non_null(fv_view_reshape(ar, &v, 9, (int64_t[]){6, 1, 1, 1, 1, 1, 1, 1, 1}));
  assert_int_equal(v.rank, 2);
  assert_int_equal(v.dim[1], 3);
  fv_arena_destroy(ar);
}

//===-- Files -------------------------------------------------------------===//

static void write_file(const char *dir, const char *name, const void *data, size_t n) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  fclose(f);
}

static void write_tensors(const char *dir, const char *name, const char *header, const void *data,
                          size_t n) {
  char bytes[1024];
  const uint64_t h = strlen(header);
  memcpy(bytes, &h, 8);
  memcpy(bytes + 8, header, h);
  memcpy(bytes + 8 + h, data, n);
  write_file(dir, name, bytes, 8 + h + n);
}

typedef struct files {
  const char *dir;
  char slash[4100];
  fv_arena *arena;
  fv_weights *set;
  collected said;
  fv_diag_sink sink;
} files;

static void setup(files *f) {
  f->dir = scratch_dir();
  snprintf(f->slash, sizeof f->slash, "%s/", f->dir);
  f->arena = fv_arena_create(NULL);
  f->set = fv_weights_create(f->arena);
  f->said.text[0] = 0;
  f->sink = (fv_diag_sink){.emit = collect, .user = &f->said};
  static const uint16_t half[] = {0x3c00, 0xc000};  // 1, -2
  static const float one[] = {1.5F};
  write_tensors(f->dir, "a.safetensors",
                "{\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", half, 4);
  write_tensors(f->dir, "b.safetensors",
                "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} ", one, 4);
}

static void teardown(files *f) {
  static const char *const names[] = {"a.safetensors", "b.safetensors", "i.json"};
  char path[4200];
  fv_arena_destroy(f->arena);
  for (size_t i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
    (void)remove(path);
  }
  assert_int_equal(remove(f->dir), 0);
}

static void converts(void **state) {
  (void)state;
  files f;
  setup(&f);
  const fv_dtype as = FV_f32;
  assert_int_equal(fv_weights_add(f.set, f.slash, "a.safetensors", &as, &f.sink, NULL), FV_OK);
  assert_int_equal(fv_weights_add(f.set, f.slash, "b.safetensors", NULL, &f.sink, NULL), FV_OK);
  const fv_tensor *h = fv_weights_find(f.set, "h");
  assert_non_null(h);
  assert_int_equal(h->dtype, FV_f32);
  check_floats(h, 2, (float[]){1, -2});
  fv_view v = fv_view_of(h);
  assert_null(fv_view_slice(&v, 0, 1, 2));  // before it is converted
  check_floats(fv_view_tensor(f.arena, &v, "v"), 1, (float[]){-2});
  const fv_tensor *x = fv_weights_find(f.set, "x");
  check_floats(x, 1, (float[]){1.5F});
  assert_ptr_equal(fv_weights_find(f.set, "x"), x);
  assert_null(fv_weights_find(f.set, "y"));
  assert_int_equal(fv_weights_add(f.set, f.slash, "b.safetensors", NULL, &f.sink, NULL),
                   FV_ERR_PARSE);  // 'x' twice
  teardown(&f);
}

static void shards(void **state) {
  (void)state;
  static const struct {
    const char *index;
    fv_status want;
  } cases[] = {
      {"{\"weight_map\":{\"h\":\"a.safetensors\",\"x\":\"b.safetensors\"}}", FV_OK},
      {"{\"weight_map\":{\"h\":\"b.safetensors\"}}", FV_ERR_PARSE},
      {"{\"weight_map\":{\"h\":1}}", FV_ERR_PARSE},
      {"{\"weight_map\":[]}", FV_ERR_PARSE},
      {"{}", FV_ERR_PARSE},
      {"{", FV_ERR_PARSE},
      {"{\"weight_map\":{\"h\":\"../a.safetensors\"}}", FV_ERR_IO},
      {"{\"weight_map\":{\"h\":\"/etc/passwd\"}}", FV_ERR_IO},
      {"{\"weight_map\":{\"h\":\"nowhere\"}}", FV_ERR_IO},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int trusted = 0; trusted < 2; trusted++) {
      files f;
      setup(&f);
      char path[4200];
      snprintf(path, sizeof path, "%s/i.json", f.dir);
      write_file(f.dir, "i.json", cases[i].index, strlen(cases[i].index));
      const fv_status st = trusted ? fv_weights_add(f.set, NULL, path, NULL, &f.sink, NULL)
                                   : fv_weights_add(f.set, f.slash, "i.json", NULL, &f.sink, NULL);
      if (st != cases[i].want)
        fail_msg("%s: %d %s", cases[i].index, (int)st, f.said.text);
      if (st == FV_OK)
        assert_int_equal(fv_weights_count(f.set), 2);
      teardown(&f);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(views),
      cmocka_unit_test(bad_views),
      cmocka_unit_test(converts),
      cmocka_unit_test(shards),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
