// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <stdlib.h>
#include <string.h>

#include "values.h"

bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

//===-- Reading -----------------------------------------------------------===//

fv_status safetensors_read(tool *t, const char *dir, const char *path, fv_safetensors **out) {
  const void *data;
  size_t size;
  if (dir)
    FV_TRY(fv_file_map_beneath(t->arena, dir, path, t->diag, NULL, &data, &size));
  else
    FV_TRY(fv_file_map(t->arena, path, t->diag, NULL, &data, &size));
  return fv_safetensors_open(t->arena, path, data, size, t->diag, NULL, out);
}

static const char *key_at(void *user, int i) {
  const fv_safetensors *file = user;
  return i < file->count ? file->tensor[i].name : NULL;
}

fv_status safetensors_get(tool *t, const char *path, const fv_safetensors *file, const char *key,
                          fv_tensor_io *out) {
  const fv_safetensor *from = fv_safetensors_find(file, key);
  if (!from) {
    fv_safetensors copy = *file;
    const fv_status s = fv_error(t->diag, FV_ERR_PARSE, NULL, "'%s' has no tensor '%s'", path, key);
    fv_note_meant(t->diag, NULL, key, key_at, &copy);
    return s;
  }
  if (!from->usable)
    return fv_error(t->diag, FV_ERR_TYPE, NULL,
                    "'%s': tensor '%s' is stored as %s, a type that fovea does not have", path, key,
                    from->type);
  *out = (fv_tensor_io){.name = from->name, .dtype = from->dtype, .rank = from->rank};
  memcpy(out->dim, from->dim, sizeof out->dim);
  out->data = fv_arena_dup(t->arena, from->data, (size_t)from->bytes);
  return FV_OK;
}

//===-- Writing -----------------------------------------------------------===//

static const struct {
  fv_dtype dtype;
  const char *name;
} types[] = {{FV_f32, "F32"}, {FV_f64, "F64"},  {FV_f16, "F16"}, {FV_bf16, "BF16"},
             {FV_i8, "I8"},   {FV_u8, "U8"},    {FV_i16, "I16"}, {FV_i32, "I32"},
             {FV_i64, "I64"}, {FV_bool, "BOOL"}};

static const char *type_name(fv_dtype d) {
  for (size_t i = 0; i < FV_COUNTOF(types); i++)
    if (types[i].dtype == d)
      return types[i].name;
  return "";
}

// Wider elements first, so that all are aligned; then by name.
static int by_width(const void *a, const void *b) {
  const fv_tensor_io *x = *(const fv_tensor_io *const *)a, *y = *(const fv_tensor_io *const *)b;
  const int64_t d = dtype_size(y->dtype) - dtype_size(x->dtype);
  return d ? (d > 0 ? 1 : -1) : strcmp(x->name, y->name);
}

static void put_row(fv_str *s, const fv_tensor_io *x, int64_t at) {
  fv_str_json(s, x->name, strlen(x->name));
  fv_str_printf(s, ":{\"dtype\":\"%s\",\"shape\":[", type_name(x->dtype));
  for (int i = 0; i < x->rank; i++)
    fv_str_printf(s, "%s%lld", i ? "," : "", (long long)x->dim[i]);
  fv_str_printf(s, "],\"data_offsets\":[%lld,%lld]}", (long long)at,
                (long long)(at + tensor_bytes(x)));
}

fv_status safetensors_write(tool *t, const char *path, const fv_tensor_io *tensor, size_t count) {
  const fv_tensor_io **order = FV_NEW_N(t->arena, const fv_tensor_io *, count);
  fv_piece *piece = FV_NEW_N(t->arena, fv_piece, count + 2);
  fv_str s = {.arena = t->arena};
  int64_t at = 0;
  for (size_t i = 0; i < count; i++)
    order[i] = &tensor[i];
  if (count)
    qsort(order, count, sizeof *order, by_width);
  fv_str_puts(&s, "{");
  for (size_t i = 0; i < count; i++) {
    fv_str_puts(&s, i ? "," : "");
    put_row(&s, order[i], at);
    piece[i + 2] = (fv_piece){order[i]->data, (size_t)tensor_bytes(order[i])};
    at += tensor_bytes(order[i]);
  }
  fv_str_puts(&s, "}");
  while (s.size % 8 != 0)
    fv_str_puts(&s, " ");
  unsigned char size[8];
  for (int i = 0; i < 8; i++)
    size[i] = (unsigned char)(s.size >> (8 * i) & 0xFF);
  piece[0] = (fv_piece){size, sizeof size};
  piece[1] = (fv_piece){s.data, s.size};
  const fv_new_file file = {.path = path, .piece = piece, .count = count + 2, .mode = 0644};
  return write_outputs(t, &file, 1);
}

fv_status tensors_save(tool *t, const char *path, const fv_tensor_io *tensor, size_t count) {
  if (ends_with(path, ".safetensors"))
    return safetensors_write(t, path, tensor, count);
  if (!ends_with(path, ".npy"))
    return usage_error(t, "--save: '%s' ends neither in .safetensors nor in .npy", path);
  if (count != 1)
    return usage_error(t, "--save: a .npy file holds one tensor, these are %zu: use .safetensors",
                       count);
  return npy_write(t, path, tensor);
}
