// SPDX-License-Identifier: Apache-2.0
// backends/opencl/text.h - a growing string; a plugin has no arena.
#ifndef FOVEA_BACKENDS_OPENCL_TEXT_H_
#define FOVEA_BACKENDS_OPENCL_TEXT_H_

#include <stdbool.h>
#include <stddef.h>

// {0} is an empty one. Once memory runs out, `oom` stays set and nothing more
// is appended. data is NUL-terminated when not NULL; free() it.
typedef struct text {
  char *data;
  size_t size, cap;
  bool oom;
} text;

void text_puts(text *t, const char *s);
void text_printf(text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif  // FOVEA_BACKENDS_OPENCL_TEXT_H_
