// SPDX-License-Identifier: Apache-2.0
//
// The npy format: magic, version, the size of the header, the header (a Python
// dict with descr, fortran_order and shape), the elements.
#include <string.h>

#include "base/checked.h"
#include "files.h"
#include "values.h"

static const char magic[] = "\x93NUMPY";

// numpy's name of each element type, without the byte order; bf16 has none.
static const struct {
  const char *name;
  fv_dtype dtype;
} types[] = {{"f4", FV_f32}, {"f8", FV_f64}, {"f2", FV_f16}, {"i1", FV_i8},  {"u1", FV_u8},
             {"i2", FV_i16}, {"i4", FV_i32}, {"i8", FV_i64}, {"b1", FV_bool}};

typedef struct header {
  tool *t;
  const char *path;
  const char *text;
  size_t size, at;
  char descr[16];
  bool fortran;
  int rank;
  int64_t dim[FV_MAX_RANK];
} header;

static fv_status bad(const header *h, const char *why) {
  return fv_error(h->t->diag, FV_ERR_PARSE, NULL, "'%s' is no npy file that can be read: %s",
                  h->path, why);
}

static bool take(header *h, const char *word) {
  while (h->at < h->size && (h->text[h->at] == ' ' || h->text[h->at] == '\n'))
    h->at++;
  const size_t n = strlen(word);
  if (h->size - h->at < n || memcmp(h->text + h->at, word, n) != 0)
    return false;
  h->at += n;
  return true;
}

// 'text' or "text"
static bool take_string(header *h, char *out, size_t cap) {
  const char quote = take(h, "'") ? '\'' : take(h, "\"") ? '"' : 0;
  const char *from = h->text + h->at;
  const char *end = quote ? memchr(from, quote, h->size - h->at) : NULL;
  if (!end || (size_t)(end - from) >= cap)
    return false;
  memcpy(out, from, (size_t)(end - from));
  out[end - from] = 0;
  h->at += (size_t)(end - from) + 1;
  return true;
}

static bool take_dim(header *h, int64_t *out) {
  (void)take(h, "");
  const size_t from = h->at;
  while (h->at < h->size && h->text[h->at] >= '0' && h->text[h->at] <= '9')
    h->at++;
  return fv_parse_i64(h->text + from, h->at - from, out);
}

// (), (3,), (3, 4)
static fv_status take_shape(header *h) {
  if (!take(h, "("))
    return bad(h, "its shape is malformed");
  while (!take(h, ")")) {
    int64_t d;
    if (!take_dim(h, &d))
      return bad(h, "its shape is malformed");
    if (h->rank == FV_MAX_RANK)
      return bad(h, "it has more than 8 dims");
    h->dim[h->rank++] = d;
    (void)take(h, "L");  // Python 2 wrote 3L
    if (take(h, ","))
      continue;
    if (!take(h, ")"))
      return bad(h, "its shape is malformed");
    break;
  }
  return FV_OK;
}

static fv_status take_field(header *h, unsigned *seen) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  char key[16];
  unsigned k = 0;
  if (!take_string(h, key, sizeof key) || !take(h, ":"))
    return bad(h, "its header is malformed");
  while (k < FV_COUNTOF(keys) && strcmp(key, keys[k]) != 0)
    k++;
  if (k == FV_COUNTOF(keys) || (*seen >> k & 1))
    return bad(h, "its header has an unknown key, or one twice");
  *seen |= 1U << k;
  if (k == 2)
    return take_shape(h);
  if (k == 1) {
    h->fortran = take(h, "True");
    return h->fortran || take(h, "False") ? FV_OK : bad(h, "its fortran_order is malformed");
  }
  if (take(h, "["))
    return bad(h, "records of several fields are not supported");
  return take_string(h, h->descr, sizeof h->descr) ? FV_OK : bad(h, "its descr is malformed");
}

static fv_status take_header(header *h) {
  unsigned seen = 0;
  if (!take(h, "{"))
    return bad(h, "its header is malformed");
  while (!take(h, "}")) {
    FV_TRY(take_field(h, &seen));
    if (take(h, ","))
      continue;
    if (!take(h, "}"))
      return bad(h, "its header is malformed");
    break;
  }
  return seen == 7 ? FV_OK : bad(h, "its header lacks descr, fortran_order or shape");
}

// Where the header is: 2 bytes of size in version 1, 4 in 2 and 3.
static fv_status find_header(header *h, const unsigned char *p, size_t size, size_t *data_at) {
  if (size < 10 || memcmp(p, magic, 6) != 0)
    return bad(h, "it does not begin like one");
  if (p[6] < 1 || p[6] > 3)
    return bad(h, "its version is not 1, 2 or 3");
  const size_t at = p[6] == 1 ? 10 : 12;
  if (size < at)
    return bad(h, "it is cut off");
  h->size = (size_t)p[8] | (size_t)p[9] << 8;
  if (at == 12)
    h->size |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
  if (h->size > size - at)
    return bad(h, "it is cut off");
  h->text = (const char *)p + at;
  *data_at = at + h->size;
  return FV_OK;
}

static fv_status find_type(const header *h, fv_dtype *out) {
  const char order = h->descr[0];
  for (size_t i = 0; i < FV_COUNTOF(types); i++) {
    if (!strchr("<>|=", order) || strcmp(h->descr + 1, types[i].name) != 0)
      continue;
    *out = types[i].dtype;
    if (order == '>' && dtype_size(*out) > 1)
      return bad(h, "it is big-endian; numpy converts it by x.astype(x.dtype.newbyteorder('<'))");
    return FV_OK;
  }
  return fv_error(h->t->diag, FV_ERR_UNSUPPORTED, NULL,
                  "'%s' holds elements of type '%s', which fovea has not", h->path, h->descr);
}

fv_status npy_read(tool *t, const char *path, const char *name, fv_tensor_io *out) {
  header h = {.t = t, .path = path};
  const void *file;
  size_t size, at = 0;
  int64_t bytes;
  fv_dtype dtype = FV_f32;
  FV_TRY(fv_file_map(t->arena, path, t->diag, NULL, &file, &size));
  FV_TRY(find_header(&h, file, size, &at));
  FV_TRY(take_header(&h));
  FV_TRY(find_type(&h, &dtype));
  if (h.fortran && h.rank > 1)
    return bad(&h, "it is in Fortran order; numpy converts it by numpy.ascontiguousarray(x)");
  if (!fv_bytes_i64(h.dim, h.rank, dtype_size(dtype), &bytes))
    return bad(&h, "its shape is too large");
  if ((size_t)bytes != size - at)
    return fv_error(t->diag, FV_ERR_PARSE, NULL,
                    "'%s': its shape wants %lld bytes of elements, the file has %zu", path,
                    (long long)bytes, size - at);
  *out = (fv_tensor_io){.name = name, .dtype = dtype, .rank = h.rank};
  memcpy(out->dim, h.dim, sizeof out->dim);
  // In memory of our own: elements of a mapped file may lie at odd addresses.
  out->data = fv_arena_dup(t->arena, (const char *)file + at, (size_t)bytes);
  return FV_OK;
}

fv_status npy_write(tool *t, const char *path, const fv_tensor_io *tensor) {
  fv_str s = {.arena = t->arena};
  const char *type = NULL;
  for (size_t i = 0; i < FV_COUNTOF(types); i++)
    if (types[i].dtype == tensor->dtype)
      type = types[i].name;
  if (!type)
    return fv_error(t->diag, FV_ERR_UNSUPPORTED, NULL,
                    "npy has no element type %s; save '%s' as .safetensors",
                    dtype_name(tensor->dtype), tensor->name);
  fv_str_printf(&s, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                dtype_size(tensor->dtype) == 1 ? '|' : '<', type);
  for (int i = 0; i < tensor->rank; i++)
    fv_str_printf(&s, i ? " %lld%s" : "%lld%s", (long long)tensor->dim[i],
                  i + 1 < tensor->rank || tensor->rank == 1 ? "," : "");
  fv_str_puts(&s, "), }");
  // The elements begin at a multiple of 64 bytes.
  while ((10 + s.size + 1) % 64 != 0)
    fv_str_puts(&s, " ");
  fv_str_puts(&s, "\n");
  unsigned char head[10];
  memcpy(head, magic, 6);
  head[6] = 1;
  head[7] = 0;
  head[8] = (unsigned char)(s.size & 0xFF);
  head[9] = (unsigned char)(s.size >> 8);
  const fv_piece pieces[] = {
      {head, sizeof head}, {s.data, s.size}, {tensor->data, (size_t)tensor_bytes(tensor)}};
  const fv_new_file file = {
      .path = path, .piece = pieces, .count = FV_COUNTOF(pieces), .mode = 0644};
  return write_outputs(t, &file, 1);
}
