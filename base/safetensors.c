// SPDX-License-Identifier: Apache-2.0
//
// The format: a little-endian u64 with the size of the header, the header (one
// JSON object: name -> {dtype, shape, data_offsets}), the data. The header is
// read by hand, since a general JSON reader would lose the order of the keys
// or accept what the format forbids, and base/ has libc only.
#include "base/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/escape.h"
#include "base/hash.h"
#include "base/str.h"

enum { MAX_HEADER = 100000000 };

typedef struct range {
  int64_t begin, end;
  const char *name;
} range;

typedef struct reader {
  fv_arena *arena;
  const char *file;
  fv_diag_sink *diag;
  const fv_span *span;
  const char *text;  // the header
  size_t size, at;
  const char *data;
  int64_t data_size;
  fv_safetensors *st;
  size_t cap;
  range *used;  // by every tensor, skipped ones too
  size_t n_used, cap_used;
} reader;

// One row of the header as it stands there.
typedef struct row {
  const char *name;
  char dtype[16];
  int rank;
  int64_t dim[FV_MAX_RANK];
  int64_t begin, end;
  bool has_dtype, has_shape, has_offsets;
} row;

static fv_status bad(const reader *r, const char *text) {
  return fv_error(r->diag, FV_ERR_PARSE, r->span, "'%s': the header, at byte %zu: %s", r->file,
                  r->at + 8, text);
}

static fv_status bad_tensor(const reader *r, const char *name, const char *text) {
  return fv_error(r->diag, FV_ERR_PARSE, r->span, "'%s': tensor '%s': %s", r->file, name, text);
}

//===-- Characters --------------------------------------------------------===//

static void skip_space(reader *r) {
  while (r->at < r->size && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at])
    r->at++;
}

// The next character that is not white space; 0 at the end.
static char peek(reader *r) {
  skip_space(r);
  return r->at < r->size ? r->text[r->at] : 0;
}

static bool take(reader *r, char c) {
  if (peek(r) != c)
    return false;
  r->at++;
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The four digits after \u, or -1.
static int32_t take_hex(reader *r) {
  if (r->size - r->at < 4)
    return -1;
  int32_t v = 0;
  for (int i = 0; i < 4; i++) {
    const int d = hex_digit(r->text[r->at++]);
    if (d < 0)
      return -1;
    v = v * 16 + d;
  }
  return v;
}

static void put_utf8(fv_str *s, uint32_t c) {
  char b[4];
  size_t n = 0;
  if (c < 0x80) {
    b[n++] = (char)c;
  } else if (c < 0x800) {
    b[n++] = (char)(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    b[n++] = (char)(0xE0 | c >> 12);
    b[n++] = (char)(0x80 | (c >> 6 & 0x3F));
  } else {
    b[n++] = (char)(0xF0 | c >> 18);
    b[n++] = (char)(0x80 | (c >> 12 & 0x3F));
    b[n++] = (char)(0x80 | (c >> 6 & 0x3F));
  }
  if (c >= 0x80)
    b[n++] = (char)(0x80 | (c & 0x3F));
  fv_str_append(s, b, n);
}

// Behind the \u of an escape.
static fv_status take_unicode(reader *r, fv_str *s) {
  int32_t c = take_hex(r);
  if (c >= 0xD800 && c < 0xDC00) {
    if (r->size - r->at < 2 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u')
      return bad(r, "half a surrogate pair");
    r->at += 2;
    const int32_t low = take_hex(r);
    if (low < 0xDC00 || low > 0xDFFF)
      return bad(r, "half a surrogate pair");
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
  } else if (c < 0 || (c >= 0xDC00 && c < 0xE000)) {
    return bad(r, "a malformed \\u escape");
  }
  if (c == 0)
    return bad(r, "a NUL character in a string");
  put_utf8(s, (uint32_t)c);
  return FV_OK;
}

static fv_status take_escape(reader *r, fv_str *s) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (r->at == r->size)
    return bad(r, "a string without an end");
  const char c = r->text[r->at++];
  if (c == 'u')
    return take_unicode(r, s);
  const char *hit = c ? strchr(from, c) : NULL;
  if (!hit)
    return bad(r, "an unknown escape in a string");
  fv_str_append(s, &to[hit - from], 1);
  return FV_OK;
}

static fv_status take_string(reader *r, const char **out) {
  if (!take(r, '"'))
    return bad(r, "a string was expected");
  fv_str s = {.arena = r->arena};
  fv_str_puts(&s, "");
  for (;;) {
    if (r->at == r->size)
      return bad(r, "a string without an end");
    const char *p = r->text + r->at;
    const size_t n = fv__utf8_size(p, r->size - r->at);
    if (n == 0)
      return bad(r, "text that is not UTF-8");
    if (n == 1 && (unsigned char)*p < 0x20)
      return bad(r, "a control character in a string");
    r->at += n;
    if (*p == '"')
      break;
    if (*p == '\\')
      FV_TRY(take_escape(r, &s));
    else
      fv_str_append(&s, p, n);
  }
  *out = s.data;
  return FV_OK;
}

// Shapes and offsets are integers that are not negative; JSON allows no leading 0.
static fv_status take_count(reader *r, int64_t *out) {
  if (peek(r) == '-')
    return bad(r, "a negative number");
  const size_t from = r->at;
  while (r->at < r->size && r->text[r->at] >= '0' && r->text[r->at] <= '9')
    r->at++;
  const size_t n = r->at - from;
  if (n == 0 || (n > 1 && r->text[from] == '0'))
    return bad(r, "an integer was expected");
  if (!fv_parse_i64(r->text + from, n, out))
    return bad(r, "a number out of range");
  return FV_OK;
}

//===-- The object --------------------------------------------------------===//

static fv_status take_shape(reader *r, row *t) {
  if (!take(r, '['))
    return bad(r, "a list was expected");
  t->rank = 0;
  if (take(r, ']'))
    return FV_OK;
  do {
    int64_t d;
    FV_TRY(take_count(r, &d));
    if (t->rank == FV_MAX_RANK)
      return bad_tensor(r, t->name, "it has more than 8 dims");
    t->dim[t->rank++] = d;
  } while (take(r, ','));
  return take(r, ']') ? FV_OK : bad(r, "',' or ']' was expected");
}

static fv_status take_offsets(reader *r, row *t) {
  if (!take(r, '['))
    return bad(r, "a list was expected");
  FV_TRY(take_count(r, &t->begin));
  if (!take(r, ','))
    return bad(r, "data_offsets has two numbers");
  FV_TRY(take_count(r, &t->end));
  return take(r, ']') ? FV_OK : bad(r, "data_offsets has two numbers");
}

static fv_status take_field(reader *r, row *t) {
  const char *key, *dtype;
  FV_TRY(take_string(r, &key));
  bool *seen = strcmp(key, "dtype") == 0          ? &t->has_dtype
               : strcmp(key, "shape") == 0        ? &t->has_shape
               : strcmp(key, "data_offsets") == 0 ? &t->has_offsets
                                                  : NULL;
  if (!seen)
    return bad(r, "a key other than dtype, shape and data_offsets");
  if (*seen)
    return bad(r, "a key stands there twice");
  *seen = true;
  if (!take(r, ':'))
    return bad(r, "':' was expected");
  if (seen == &t->has_shape)
    return take_shape(r, t);
  if (seen == &t->has_offsets)
    return take_offsets(r, t);
  FV_TRY(take_string(r, &dtype));
  if (strlen(dtype) >= sizeof t->dtype)
    return bad_tensor(r, t->name, "its dtype is unknown");
  memcpy(t->dtype, dtype, strlen(dtype) + 1);
  return FV_OK;
}

static fv_status take_metadata(reader *r) {
  const char *text;
  if (!take(r, '{'))
    return bad(r, "__metadata__ must be an object of strings");
  if (take(r, '}'))
    return FV_OK;
  do {
    FV_TRY(take_string(r, &text));
    if (!take(r, ':'))
      return bad(r, "':' was expected");
    FV_TRY(take_string(r, &text));
  } while (take(r, ','));
  return take(r, '}') ? FV_OK : bad(r, "',' or '}' was expected");
}

//===-- Tensors -----------------------------------------------------------===//

// What the format has; dtype -1: fovea has not. Bits, since F4 is half a byte.
static const struct {
  const char *name;
  int bits, dtype;
} dtypes[] = {
    {"F32", 32, FV_f32},    {"F64", 64, FV_f64},    {"F16", 16, FV_f16}, {"BF16", 16, FV_bf16},
    {"I8", 8, FV_i8},       {"U8", 8, FV_u8},       {"I16", 16, FV_i16}, {"I32", 32, FV_i32},
    {"I64", 64, FV_i64},    {"BOOL", 8, FV_bool},   {"U16", 16, -1},     {"U32", 32, -1},
    {"U64", 64, -1},        {"F8_E4M3", 8, -1},     {"F8_E5M2", 8, -1},  {"F8_E8M0", 8, -1},
    {"F8_E4M3FNUZ", 8, -1}, {"F8_E5M2FNUZ", 8, -1}, {"F4", 4, -1},       {"F6_E2M3", 6, -1},
    {"F6_E3M2", 6, -1},     {"C64", 64, -1}};

static int find_dtype(const char *name) {
  for (size_t i = 0; i < FV_COUNTOF(dtypes); i++)
    if (strcmp(dtypes[i].name, name) == 0)
      return (int)i;
  return -1;
}

static size_t slot_of(const fv_safetensors *st, const char *name) {
  size_t i = (size_t)fv_hash64(name, strlen(name), 0) & (st->n_slot - 1);
  while (st->slot[i] && strcmp(st->tensor[st->slot[i] - 1].name, name) != 0)
    i = (i + 1) & (st->n_slot - 1);
  return i;
}

const fv_safetensor *fv_safetensors_find(const fv_safetensors *st, const char *name) {
  if (st->n_slot == 0)
    return NULL;
  const uint32_t hit = st->slot[slot_of(st, name)];
  return hit ? &st->tensor[hit - 1] : NULL;
}

static void insert(reader *r, fv_safetensor t) {
  fv_safetensors *st = r->st;
  FV_PUSH(r->arena, st->tensor, st->count, r->cap, t);
  if ((size_t)st->count * 2 > st->n_slot) {
    st->n_slot = st->n_slot ? st->n_slot * 2 : 64;
    st->slot = FV_NEW_N(r->arena, uint32_t, st->n_slot);
    for (int i = 0; i + 1 < st->count; i++)
      st->slot[slot_of(st, st->tensor[i].name)] = (uint32_t)i + 1;
  }
  st->slot[slot_of(st, t.name)] = (uint32_t)st->count;
}

// The row against the data: its bytes are there and as many as it says.
static fv_status check_row(const reader *r, const row *t, int dtype) {
  int64_t bits, bytes = t->end - t->begin;
  if (!t->has_dtype || !t->has_shape || !t->has_offsets)
    return bad_tensor(r, t->name, "dtype, shape or data_offsets is missing");
  if (dtype < 0)
    return fv_error(r->diag, FV_ERR_PARSE, r->span, "'%s': tensor '%s': its dtype '%s' is unknown",
                    r->file, t->name, t->dtype);
  if (t->begin > t->end || t->end > r->data_size)
    return fv_error(r->diag, FV_ERR_PARSE, r->span,
                    "'%s': tensor '%s' has bytes %lld to %lld of the data, which has %lld", r->file,
                    t->name, (long long)t->begin, (long long)t->end, (long long)r->data_size);
  if (!fv_bytes_i64(t->dim, t->rank, dtypes[dtype].bits, &bits) || bits > FV_MAX_BYTES)
    return bad_tensor(r, t->name, "it is too large");
  if (bits % 8 != 0 || bits / 8 != bytes)
    return fv_error(r->diag, FV_ERR_PARSE, r->span,
                    "'%s': tensor '%s': its shape and dtype want %lld bytes, its offsets give %lld",
                    r->file, t->name, (long long)(bits / 8), (long long)bytes);
  return FV_OK;
}

static fv_status add_row(reader *r, const row *t) {
  const int dtype = find_dtype(t->dtype);
  FV_TRY(check_row(r, t, dtype));
  const range used = {t->begin, t->end, t->name};
  FV_PUSH(r->arena, r->used, r->n_used, r->cap_used, used);
  if (fv_safetensors_find(r->st, t->name))
    return bad_tensor(r, t->name, "it stands in the header twice");
  fv_safetensor out = {
      .name = t->name,
      .type = dtypes[dtype].name,
      .usable = dtypes[dtype].dtype >= 0,
      .dtype = dtypes[dtype].dtype < 0 ? FV_DTYPE_COUNT : (fv_dtype)dtypes[dtype].dtype,
      .rank = t->rank,
      .bytes = t->end - t->begin,
      .data = r->data + t->begin};
  memcpy(out.dim, t->dim, sizeof out.dim);
  insert(r, out);
  return FV_OK;
}

static fv_status take_row(reader *r, bool *metadata) {
  row t = {0};
  FV_TRY(take_string(r, &t.name));
  if (!take(r, ':'))
    return bad(r, "':' was expected");
  if (strcmp(t.name, "__metadata__") == 0) {
    if (*metadata)
      return bad(r, "__metadata__ stands there twice");
    *metadata = true;
    return take_metadata(r);
  }
  if (!take(r, '{'))
    return bad(r, "'{' was expected");
  if (!take(r, '}')) {
    do
      FV_TRY(take_field(r, &t));
    while (take(r, ','));
    if (!take(r, '}'))
      return bad(r, "',' or '}' was expected");
  }
  return add_row(r, &t);
}

static fv_status take_header(reader *r) {
  bool metadata = false;
  if (r->size == 0 || r->text[0] != '{')
    return bad(r, "it must begin with '{'");
  r->at = 1;
  if (!take(r, '}')) {
    do
      FV_TRY(take_row(r, &metadata));
    while (take(r, ','));
    if (!take(r, '}'))
      return bad(r, "',' or '}' was expected");
  }
  return peek(r) == 0 && r->at == r->size ? FV_OK : bad(r, "text behind the last '}'");
}

//===-- The file ----------------------------------------------------------===//

static int by_place(const void *a, const void *b) {
  const range *x = a, *y = b;
  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

// Every byte of the data belongs to one tensor.
static fv_status check_cover(reader *r) {
  if (r->n_used)
    qsort(r->used, r->n_used, sizeof *r->used, by_place);
  int64_t at = 0;
  for (size_t i = 0; i < r->n_used; i++) {
    const range *u = &r->used[i];
    if (u->begin < at)
      return fv_error(r->diag, FV_ERR_PARSE, r->span, "'%s': tensors '%s' and '%s' overlap",
                      r->file, r->used[i - 1].name, u->name);
    if (u->begin > at)
      return bad_tensor(r, u->name, "before it are bytes that belong to no tensor");
    at = u->end;
  }
  if (at != r->data_size)
    return fv_error(r->diag, FV_ERR_PARSE, r->span, "'%s': the last %lld bytes belong to no tensor",
                    r->file, (long long)(r->data_size - at));
  return FV_OK;
}

fv_status fv_safetensors_open(fv_arena *ar, const char *file, const void *data, size_t size,
                              fv_diag_sink *diag, const fv_span *span, fv_safetensors **out) {
  const unsigned char *byte = data;
  uint64_t n = 0;
  if (size < 8)
    return fv_error(diag, FV_ERR_PARSE, span, "'%s' is no safetensors file: it has %zu bytes", file,
                    size);
  for (int i = 7; i >= 0; i--)
    n = n << 8 | byte[i];
  if (n > MAX_HEADER)
    return fv_error(diag, FV_ERR_LIMIT, span,
                    "'%s' is no safetensors file, or its header has more than 100 MB", file);
  if (n > size - 8)
    return fv_error(diag, FV_ERR_PARSE, span,
                    "'%s' is cut off: its header has %llu bytes, the file %zu", file,
                    (unsigned long long)n, size);
  reader r = {.arena = ar,
              .file = file,
              .diag = diag,
              .span = span,
              .text = (const char *)data + 8,
              .size = (size_t)n,
              .data = (const char *)data + 8 + n,
              .data_size = (int64_t)(size - 8 - (size_t)n),
              .st = FV_NEW(ar, fv_safetensors)};
  FV_TRY(take_header(&r));
  FV_TRY(check_cover(&r));
  *out = r.st;
  return FV_OK;
}
