// SPDX-License-Identifier: Apache-2.0
//
// Constant data in the text form: f32[2] "name" [1.0, 2.0] for up to 16 elements;
// f32[768, 768] @"name":hash for larger weights, found again by name; and
// f32[100] x"0000803f..." for data that has no name to be found by, or bits that
// decimal numbers cannot say.
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "ir/graph/text.h"

static int64_t byte_count(const fv_tensor *t) {
  int64_t n;
  return fv_bytes_i64(t->dim, t->rank, fv_dtype_size(t->dtype), &n) ? n : 0;
}

//===-- Printing --------------------------------------------------------===//

// Does each element survive as a number? A NaN with a payload does not, nor
// does a bool that is neither 0 nor 1.
static bool survives(const fv_tensor *t, const unsigned char *data) {
  const size_t size = (size_t)fv_dtype_size(t->dtype);
  const int64_t n = fv_tensor_count(t);
  for (int64_t i = 0; i < n; i++) {
    const unsigned char *p = data + (size_t)i * size;
    unsigned char again[8];
    fv_scalar v = fv_scalar_load(t->dtype, p);
    if (fv_dtype_is_float(t->dtype) && isnan(v.f))
      v.f = (double)NAN;
    fv_scalar_store(t->dtype, again, v);
    if (memcmp(again, p, size) != 0)
      return false;
  }
  return true;
}

static void print_elements(fv_str *out, const fv_tensor *t) {
  const unsigned char *data = fv_tensor_data(out->arena, t);
  const size_t size = (size_t)fv_dtype_size(t->dtype);
  const int64_t n = fv_tensor_count(t);
  fv_str_puts(out, " [");
  for (int64_t i = 0; i < n; i++) {
    const fv_scalar v = fv_scalar_load(t->dtype, data + (size_t)i * size);
    fv_str_puts(out, i ? ", " : "");
    if (!fv_dtype_is_float(t->dtype))
      fv_str_printf(out, "%lld", (long long)v.i);
    else if (isnan(v.f))
      fv_str_puts(out, "nan");
    else
      fv_str_double(out, v.f);
  }
  fv_str_puts(out, "]");
}

static void print_bytes(fv_str *out, const fv_tensor *t) {
  static const char digit[] = "0123456789abcdef";
  const unsigned char *p = fv_tensor_data(out->arena, t);
  const int64_t n = byte_count(t);
  fv_str_puts(out, " x\"");
  char line[128];
  for (int64_t i = 0; i < n;) {
    size_t k = 0;
    for (; k + 2 <= sizeof line && i < n; i++) {
      line[k++] = digit[p[i] >> 4];
      line[k++] = digit[p[i] & 15];
    }
    fv_str_append(out, line, k);
  }
  fv_str_puts(out, "\"");
}

void fv_text_print_tensor(fv_str *out, const fv_tensor *t) {
  const char *name = t->name ? t->name : "";
  fv_str_printf(out, "%s[", fv_dtype_name(t->dtype));
  for (int i = 0; i < t->rank; i++)
    fv_str_printf(out, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
  fv_str_puts(out, "]");
  const bool small = fv_tensor_count(t) <= FV_TEXT_INLINE;
  if (!small && name[0]) {
    fv_str_puts(out, " @");
    fv_str_json(out, name, strlen(name));
    fv_str_printf(
        out, ":%016llx",
        (unsigned long long)fv_hash64(fv_tensor_data(out->arena, t), (size_t)byte_count(t), 0));
    return;
  }
  if (name[0]) {
    fv_str_puts(out, " ");
    fv_str_json(out, name, strlen(name));
  }
  if (small && survives(t, fv_tensor_data(out->arena, t)))
    print_elements(out, t);
  else
    print_bytes(out, t);
}

//===-- Reading ---------------------------------------------------------===//

static int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static fv_status read_elements(fv_text_reader *r, fv_tensor *t) {
  const int64_t n = fv_tensor_count(t);
  const size_t at = r->at - 1;
  const int64_t size = fv_dtype_size(t->dtype);
  // An element takes two bytes of text, so the text bounds the memory.
  if (n > (int64_t)(r->size - r->at))
    return fv_tr_fail(r, at, FV_ERR_PARSE, "%lld elements are needed here", (long long)n);
  unsigned char *data = fv_arena_alloc_n(r->arena, (size_t)size, (size_t)n);
  for (int64_t i = 0; i < n; i++) {
    fv_scalar v = {.i = 0};
    if (i > 0)
      FV_TRY(fv_tr_want(r, ','));
    if (fv_dtype_is_float(t->dtype))
      FV_TRY(fv_tr_double(r, &v.f));
    else
      FV_TRY(fv_tr_int(r, INT64_MIN, INT64_MAX, &v.i));
    fv_scalar_store(t->dtype, data + i * size, v);
  }
  t->data = data;
  return fv_tr_want(r, ']');
}

static fv_status read_bytes(fv_text_reader *r, fv_tensor *t) {
  const int64_t n = byte_count(t);
  const size_t at = r->at;
  if (n > (int64_t)(r->size - at) / 2)
    return fv_tr_fail(r, at, FV_ERR_PARSE, "%lld bytes are needed here", (long long)n);
  unsigned char *data = fv_arena_alloc(r->arena, (size_t)n);
  for (int64_t i = 0; i < n; i++) {
    const int hi = hex_digit(r->text[r->at]), lo = hex_digit(r->text[r->at + 1]);
    if (hi < 0 || lo < 0)
      return fv_tr_fail(r, r->at, FV_ERR_PARSE, "two hexadecimal digits are expected here");
    data[i] = (unsigned char)(hi << 4 | lo);
    r->at += 2;
  }
  t->data = data;
  return fv_tr_want(r, '"');
}

static fv_status read_reference(fv_text_reader *r, fv_tensor *t) {
  uint64_t hash = 0;
  const size_t at = r->at;
  FV_TRY(fv_tr_string(r, &t->name));
  FV_TRY(fv_tr_want(r, ':'));
  for (int i = 0; i < 16; i++, r->at++) {
    const int d = r->at < r->size ? hex_digit(r->text[r->at]) : -1;
    if (d < 0)
      return fv_tr_fail(r, r->at, FV_ERR_PARSE, "a hash of 16 hexadecimal digits is expected here");
    hash = hash << 4 | (uint64_t)d;
  }
  const fv_tensor *w = r->weights ? r->weights(r->user, t->name) : NULL;
  if (!w)
    return fv_tr_fail(r, at, FV_ERR_PARSE, "there is no weight '%s'%s", t->name,
                      r->weights ? "" : ": the text was read without weights");
  bool equal = w->dtype == t->dtype && w->rank == t->rank;
  for (int i = 0; i < t->rank && equal; i++)
    equal = w->dim[i] == t->dim[i];
  if (!equal)
    return fv_tr_fail(r, at, FV_ERR_TYPE, "weight '%s' has another type", t->name);
  if (fv_hash64(fv_tensor_data(r->arena, w), (size_t)byte_count(w), 0) != hash)
    return fv_tr_fail(r, at, FV_ERR_PARSE, "weight '%s' has other contents", t->name);
  t->data = w->data;
  t->source = w->source;
  t->file = w->file;
  return FV_OK;
}

fv_status fv_tr_tensor(fv_text_reader *r, const fv_tensor **out) {
  fv_tensor *t = FV_NEW(r->arena, fv_tensor);
  fv_type type;
  int64_t bytes;
  fv_tr_skip(r);
  const size_t at = r->at;
  FV_TRY(fv_tr_type(r, &type));
  t->dtype = type.dtype;
  t->rank = type.rank;
  t->name = "";
  if (!fv_type_static(&type, t->dim) || type.layout.n ||
      !fv_bytes_i64(t->dim, t->rank, fv_dtype_size(t->dtype), &bytes))
    return fv_tr_fail(r, at, FV_ERR_TYPE, "data must have plain integer dims and fit in memory");
  *out = t;
  if (fv_tr_eat(r, '@'))
    return read_reference(r, t);
  fv_tr_skip(r);
  if (r->at < r->size && r->text[r->at] == '"')
    FV_TRY(fv_tr_string(r, &t->name));
  if (fv_tr_eat(r, '['))
    return read_elements(r, t);
  if (fv_tr_eat(r, 'x') && r->at < r->size && r->text[r->at] == '"') {
    r->at++;
    return read_bytes(r, t);
  }
  return fv_tr_fail(r, r->at, FV_ERR_PARSE, "data is expected here: [...], x\"...\" or @\"name\"");
}
