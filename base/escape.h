// SPDX-License-Identifier: Apache-2.0
// base/escape.h - text of unknown origin made safe: for JSON, for terminals.
// Internal to base/.
#ifndef FOVEA_BASE_ESCAPE_H_
#define FOVEA_BASE_ESCAPE_H_

#include <stdio.h>

#include "base/base.h"

// Bytes of the well-formed UTF-8 sequence at p (n > 0 bytes there), 0 if it is
// malformed: overlong, a surrogate, over U+10FFFF or cut off.
static inline size_t fv__utf8_size(const char *p, size_t n) {
  const unsigned char *u = (const unsigned char *)p;
  if (u[0] < 0x80)
    return 1;
  size_t size = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : 2;
  if (u[0] < 0xC2 || u[0] > 0xF4 || size > n)
    return 0;
  for (size_t i = 1; i < size; i++)
    if ((u[i] & 0xC0) != 0x80)
      return 0;
  if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F) ||
      (u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F))
    return 0;
  return size;
}

// Writes the JSON form of the character at p to out; returns how many bytes of
// p it was and leaves the bytes written in *size. What is not UTF-8 becomes
// U+FFFD, so that the result is always JSON.
static inline size_t fv__json_char(const char *p, size_t n, char out[8], size_t *size) {
  const size_t used = fv__utf8_size(p, n);
  const char c = *p;
  int written;
  if (used == 0)
    written = snprintf(out, 8, "\\ufffd");
  else if (c == '"' || c == '\\')
    written = snprintf(out, 8, "\\%c", c);
  else if (c == '\n')
    written = snprintf(out, 8, "\\n");
  else if (c == '\t')
    written = snprintf(out, 8, "\\t");
  else if (c == '\r')
    written = snprintf(out, 8, "\\r");
  else if (used == 1 && ((unsigned char)c < 0x20 || c == 0x7F))
    written = snprintf(out, 8, "\\u%04x", (unsigned)(unsigned char)c);
  else
    written = snprintf(out, 8, "%.*s", (int)used, p);
  *size = (size_t)written;
  return used ? used : 1;
}

#endif  // FOVEA_BASE_ESCAPE_H_
