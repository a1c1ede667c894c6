// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(text *t, size_t more) {
  if (t->oom || more > SIZE_MAX / 4 - t->size)
    return t->oom = true, false;
  if (t->size + more + 1 <= t->cap)
    return true;
  const size_t cap = (t->size + more + 1) * 2;
  char *data = realloc(t->data, cap);
  if (!data)
    return t->oom = true, false;
  t->data = data;
  t->cap = cap;
  return true;
}

void text_puts(text *t, const char *s) {
  const size_t n = strlen(s);
  if (!reserve(t, n))
    return;
  memcpy(t->data + t->size, s, n + 1);
  t->size += n;
}

void text_printf(text *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  va_list again;
  va_copy(again, ap);
  const int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (n < 0)
    t->oom = true;
  else if (reserve(t, (size_t)n)) {
    vsnprintf(t->data + t->size, (size_t)n + 1, fmt, again);
    t->size += (size_t)n;
  }
  va_end(again);
}
