// SPDX-License-Identifier: Apache-2.0
// base/str.h - growing strings, and parsing of numbers without a locale.
#ifndef FOVEA_BASE_STR_H_
#define FOVEA_BASE_STR_H_

#include <stdarg.h>

#include "base/arena.h"

// A growing byte string in an arena. data is always NUL-terminated once
// something was appended; `{.arena = ar}` is an empty one.
typedef struct fv_str {
  fv_arena *arena;
  char *data;
  size_t size, cap;
} fv_str;

void fv_str_append(fv_str *s, const void *p, size_t n);
void fv_str_puts(fv_str *s, const char *text);
void fv_str_printf(fv_str *s, const char *fmt, ...) FV_PRINTF(2, 3);
void fv_str_vprintf(fv_str *s, const char *fmt, va_list ap);
// Shortest decimal text that reads back to the same double ("nan", "inf",
// "-inf" included); always with a '.', 'e' or a word, so it is no integer.
void fv_str_double(fv_str *s, double v);
// A number of JSON; what JSON has no number for is one of the strings "NaN",
// "Infinity", "-Infinity", as in the JSON mapping of protobuf.
void fv_str_json_double(fv_str *s, double v);
// JSON string with quotes and escapes.
void fv_str_json(fv_str *s, const char *text, size_t n);

// Whole-text parsers: false unless all n bytes are the number.
bool fv_parse_i64(const char *s, size_t n, int64_t *out);
bool fv_parse_double(const char *s, size_t n, double *out);       // also nan, inf, -inf
bool fv_parse_json_double(const char *s, size_t n, double *out);  // also the words of JSON

// A whole number, also written as a float would be: 2.0, 1e3, 1200e-2. Exact; set if FV_WHOLE.
typedef enum fv_whole {
  FV_WHOLE,
  FV_WHOLE_BEYOND,  // a whole number, but no int64_t
  FV_WHOLE_NONE,    // another number, or none at all
} fv_whole;
fv_whole fv_parse_whole_i64(const char *s, size_t n, int64_t *out);

#endif  // FOVEA_BASE_STR_H_
