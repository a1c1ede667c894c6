// SPDX-License-Identifier: Apache-2.0
#include "base/safetensors.h"

#include <string.h>

#include "unit.h"

static fv_status open_text(fv_arena *ar, const char *header, const void *data, size_t size,
                           fv_safetensors **out) {
  const size_t n = strlen(header);
  char *file = fv_arena_alloc(ar, 8 + n + size);
  file[0] = (char)(n & 0xFF);
  file[1] = (char)(n >> 8);
  memcpy(file + 8, header, n);
  memcpy(file + 8 + n, data, size);
  return fv_safetensors_open(ar, "test", file, 8 + n + size, NULL, NULL, out);
}

static void test_reads(void **state) {
  (void)state;
  fv_arena *ar = fv_arena_create(NULL);
  fv_safetensors *st;
  assert_int_equal(open_text(ar, "{}", "", 0, &st), FV_OK);
  assert_int_equal(st->count, 0);
  assert_null(fv_safetensors_find(st, "a"));
  assert_int_equal(
      open_text(ar,
                "{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"I16\",\"shape\":[2,1],"
                "\"data_offsets\":[1,5]},\"a\\u00e9\\ud83d\\ude00\":{\"shape\":[],"
                "\"data_offsets\":[0,1],\"dtype\":\"BOOL\"},\"z\":{\"dtype\":\"F8_E4M3\","
                "\"shape\":[1],\"data_offsets\":[5,6]}}",
                "\1\2\0\3\0x", 6, &st),
      FV_OK);
  assert_int_equal(st->count, 3);
  assert_false(fv_safetensors_find(st, "z")->usable);
  assert_string_equal(fv_safetensors_find(st, "z")->type, "F8_E4M3");
  const fv_safetensor *b = fv_safetensors_find(st, "b");
  assert_non_null(b);
  assert_int_equal(b->dtype, FV_i16);
  assert_int_equal(b->rank, 2);
  assert_int_equal(b->dim[0], 2);
  assert_int_equal(b->bytes, 4);
  assert_memory_equal(b->data, "\2\0\3\0", 4);
  const fv_safetensor *a = fv_safetensors_find(st, "a\xc3\xa9\xf0\x9f\x98\x80");
  assert_non_null(a);
  assert_int_equal(a->rank, 0);
  fv_arena_destroy(ar);
}

// Whatever stands in a file, it is refused or every tensor lies within it.
static void test_damage(void **state) {
  (void)state;
  static const char header[] =
      "{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"I16\",\"shape\":[2,1],"
      "\"data_offsets\":[0,4]},\"a\\u00e9\":{\"shape\":[3],\"data_offsets\":[4,7],"
      "\"dtype\":\"BOOL\"}}";
  static const char bytes[] = "\"{}[],:0129-eE\\ub\x80\xff\n ";
  unsigned good = 0, all = 0;
  for (size_t i = 0; i < sizeof header - 1; i++)
    for (size_t k = 0; k < sizeof bytes; k++) {
      char text[sizeof header];
      memcpy(text, header, sizeof header);
      text[i] = bytes[k];
      fv_arena *ar = fv_arena_create(NULL);
      fv_safetensors *st;
      all++;
      if (open_text(ar, text, "\0\0\0\0\0\0\0", 7, &st) == FV_OK) {
        good++;
        for (int t = 0; t < st->count; t++)
          assert_true(st->tensor[t].bytes >= 0 && st->tensor[t].bytes <= 7);
      }
      fv_arena_destroy(ar);
    }
  assert_true(good > 0 && good < all / 2);
}

static void test_cut(void **state) {
  (void)state;
  static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}   ";
  enum { HEADER = sizeof header - 1, SIZE = 8 + HEADER + 4 };
  char file[SIZE] = {(char)HEADER};
  memcpy(file + 8, header, HEADER);
  for (size_t n = 0; n <= SIZE; n++) {
    fv_arena *ar = fv_arena_create(NULL);
    fv_safetensors *st;
    // In memory of exactly that size, so that a read beyond it is found.
    char *copy = fv_arena_dup(ar, file, n);
    const fv_status s = fv_safetensors_open(ar, "test", copy, n, NULL, NULL, &st);
    assert_int_equal(s == FV_OK, n == SIZE);
    fv_arena_destroy(ar);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads),
      cmocka_unit_test(test_damage),
      cmocka_unit_test(test_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
