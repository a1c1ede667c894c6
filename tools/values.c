// SPDX-License-Identifier: Apache-2.0
#include "values.h"

#include <math.h>
#include <string.h>

static const struct {
  const char *name;
  int64_t size;
  char kind;
} dtypes[] = {
#define X(name, size, kind) {#name, size, kind},
    FV_DTYPE_TABLE(X)
#undef X
};

const char *dtype_name(fv_dtype t) {
  return t < FV_DTYPE_COUNT ? dtypes[t].name : "?";
}
int64_t dtype_size(fv_dtype t) {
  return dtypes[t].size;
}
bool dtype_is_float(fv_dtype t) {
  return dtypes[t].kind == 'f';
}

int64_t tensor_count(const fv_tensor_io *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++)
    n *= t->dim[i];
  return n;
}

int64_t tensor_bytes(const fv_tensor_io *t) {
  return tensor_count(t) * dtype_size(t->dtype);
}

void put_shape(fv_str *s, int rank, const int64_t *dim) {
  fv_str_puts(s, "[");
  for (int i = 0; i < rank; i++)
    fv_str_printf(s, "%s%lld", i ? ", " : "", (long long)dim[i]);
  fv_str_puts(s, "]");
}

void put_type(fv_str *s, const fv_tensor_io *t) {
  fv_str_puts(s, dtype_name(t->dtype));
  put_shape(s, t->rank, t->dim);
}

//===-- Short floats ------------------------------------------------------===//

// Nothing here needs libm: frexp and ldexp are in libc.

// Both formats are: sign, exponent with the bias -(least - 1), `bits` of fraction.
static double from_short(uint16_t h, int bits, int least) {
  const int exponent_bits = 15 - bits;
  const int e = h >> bits & ((1 << exponent_bits) - 1);
  const int f = h & ((1 << bits) - 1);
  double v;
  if (e == (1 << exponent_bits) - 1)
    v = f ? (double)NAN : (double)INFINITY;
  else if (e == 0)
    v = ldexp(f, least - bits);
  else
    v = ldexp(f + (1 << bits), least - bits + e - 1);
  return h >> 15 ? -v : v;
}

static uint16_t to_short(double v, int bits, int least, int greatest) {
  const unsigned sign = signbit(v) ? 0x8000U : 0;
  const unsigned infinity = (unsigned)(greatest - least + 2) << bits;
  const double a = fabs(v);
  if (isnan(v))
    return (uint16_t)(sign | infinity | 1U << (bits - 1));
  if (a == 0)
    return (uint16_t)sign;
  int e = 0;
  if (!isinf(v))
    (void)frexp(a, &e);  // a is in [2^(e-1), 2^e)
  if (isinf(v) || --e > greatest)
    return (uint16_t)(sign | infinity);
  e = e > least ? e : least;
  // Scaling by a power of two is exact, and adding 2^52 rounds to an integer,
  // half to even. A carry moves into the exponent by itself.
  const volatile double shifted = ldexp(a, bits - e) + 0x1p52;
  const double q = shifted - 0x1p52;
  return (uint16_t)(sign | (((unsigned)(e - least) << bits) + (unsigned)q));
}

enum { F16_BITS = 10, F16_LEAST = -14, F16_MOST = 15 };
enum { BF16_BITS = 7, BF16_LEAST = -126, BF16_MOST = 127 };

//===-- Elements ----------------------------------------------------------===//

#define GET(T)                 \
  do {                         \
    T v_;                      \
    memcpy(&v_, p, sizeof v_); \
    return v_;                 \
  } while (0)
#define SET(T, x)              \
  do {                         \
    const T v_ = (T)(x);       \
    memcpy(p, &v_, sizeof v_); \
    return;                    \
  } while (0)

static uint16_t word_at(const void *p) {
  GET(uint16_t);
}

int64_t value_get_int(const fv_tensor_io *t, int64_t i) {
  const char *p = (const char *)t->data + i * dtype_size(t->dtype);
  switch (t->dtype) {
  case FV_i8: GET(int8_t);
  case FV_u8: GET(uint8_t);
  case FV_i16: GET(int16_t);
  case FV_i32: GET(int32_t);
  case FV_i64: GET(int64_t);
  case FV_bool: return *p != 0;
  default: return (int64_t)value_get(t, i);
  }
}

static float float_at(const void *p) {
  GET(float);
}
static double double_at(const void *p) {
  GET(double);
}

double value_get(const fv_tensor_io *t, int64_t i) {
  const char *p = (const char *)t->data + i * dtype_size(t->dtype);
  switch (t->dtype) {
  case FV_f32: return (double)float_at(p);
  case FV_f64: return double_at(p);
  case FV_f16: return from_short(word_at(p), F16_BITS, F16_LEAST);
  case FV_bf16: return from_short(word_at(p), BF16_BITS, BF16_LEAST);
  default: return (double)value_get_int(t, i);
  }
}

void value_set(fv_dtype t, void *data, int64_t i, double v) {
  char *p = (char *)data + i * dtype_size(t);
  switch (t) {
  case FV_f32: SET(float, v);
  case FV_f64: SET(double, v);
  case FV_f16: SET(uint16_t, to_short(v, F16_BITS, F16_LEAST, F16_MOST));
  case FV_bf16: SET(uint16_t, to_short(v, BF16_BITS, BF16_LEAST, BF16_MOST));
  default: value_set_int(t, data, i, (int64_t)v); return;
  }
}

void value_set_int(fv_dtype t, void *data, int64_t i, int64_t v) {
  char *p = (char *)data + i * dtype_size(t);
  switch (t) {
  case FV_i8: SET(int8_t, v);
  case FV_u8: SET(uint8_t, v);
  case FV_i16: SET(int16_t, v);
  case FV_i32: SET(int32_t, v);
  case FV_i64: SET(int64_t, v);
  case FV_bool: SET(uint8_t, v != 0);
  default: value_set(t, data, i, (double)v); return;
  }
}

bool value_fits(fv_dtype t, int64_t v) {
  switch (t) {
  case FV_i8: return v >= INT8_MIN && v <= INT8_MAX;
  case FV_u8: return v >= 0 && v <= UINT8_MAX;
  case FV_i16: return v >= INT16_MIN && v <= INT16_MAX;
  case FV_i32: return v >= INT32_MIN && v <= INT32_MAX;
  case FV_bool: return v == 0 || v == 1;
  default: return true;
  }
}

bool value_holds(fv_dtype t, double v) {
  double rounded = 0;
  const fv_tensor_io one = {.dtype = t, .data = &rounded};
  value_set(t, &rounded, 0, v);
  return !isfinite(v) || isfinite(value_get(&one, 0));
}

//===-- Text --------------------------------------------------------------===//

void put_value(fv_str *s, const fv_tensor_io *t, int64_t i) {
  if (t->dtype == FV_bool)
    fv_str_puts(s, value_get_int(t, i) ? "true" : "false");
  else if (dtype_is_float(t->dtype) && isnan(value_get(t, i)))
    fv_str_puts(s, "nan");  // its sign says nothing
  else if (dtype_is_float(t->dtype))
    fv_str_printf(s, "%.6g", value_get(t, i));
  else
    fv_str_printf(s, "%lld", (long long)value_get_int(t, i));
}

void put_json_value(fv_str *s, const fv_tensor_io *t, int64_t i) {
  if (!dtype_is_float(t->dtype))
    put_value(s, t, i);
  else
    fv_str_json_double(s, value_get(t, i));
}
