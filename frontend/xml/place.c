// SPDX-License-Identifier: Apache-2.0
//
// From bytes of the file to lines and columns, and from what was parsed back to
// the bytes that it was parsed from.
#include <string.h>

#include "frontend/xml/tree.h"

fv_span fv_xml_place(const fv_xml_file *f, size_t offset) {
  uint32_t lo = 0;
  uint32_t hi = f->n_line;
  while (hi - lo > 1) {
    const uint32_t mid = lo + (hi - lo) / 2;
    if (f->line[mid] <= offset)
      lo = mid;
    else
      hi = mid;
  }
  return (fv_span){.file = f->path, .line = lo + 1, .col = (uint32_t)(offset - f->line[lo]) + 1};
}

void fv_xml_find_lines(fv_arena *ar, fv_xml_file *f) {
  uint32_t n = 1;
  for (size_t i = 0; i < f->size; i++)
    n += f->bytes[i] == '\n';
  uint32_t *line = FV_NEW_N(ar, uint32_t, n);
  f->n_line = 1;
  for (size_t i = 0; i < f->size; i++)
    if (f->bytes[i] == '\n')
      line[f->n_line++] = (uint32_t)(i + 1);
  f->line = line;
}

// How many bytes the character behind "&...;" takes in the parsed text, and in
// the file. The parser has made sure that it is one.
static size_t reference_bytes(const fv_xml_file *f, size_t at, size_t *in_file) {
  const char *p = f->bytes + at;
  const char *end = memchr(p, ';', f->size - at);
  *in_file = end ? (size_t)(end - p) + 1 : 1;
  uint32_t c = 0;
  const bool hex = p[1] == '#' && p[2] == 'x';
  for (const char *d = p + (hex ? 3 : 2); p[1] == '#' && end && d < end && c < 0x110000; d++) {
    const unsigned digit = *d <= '9' ? (unsigned)(*d - '0') : ((unsigned)*d | 32U) - 'a' + 10U;
    c = c * (hex ? 16 : 10) + digit;
  }
  return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

// Behind what has no part in the text: comments and the like, marks of CDATA.
static size_t skip_markup(const fv_xml_file *f, size_t at, bool *cdata) {
  static const struct {
    const char *open, *close;
  } kind[] = {{"<!--", "-->"}, {"<![CDATA[", NULL}, {"<?", "?>"}};
  const char *p = f->bytes + at;
  if (*cdata) {
    *cdata = strncmp(p, "]]>", 3) != 0;
    return *cdata ? at : at + 3;
  }
  for (size_t i = 0; i < FV_COUNTOF(kind); i++) {
    if (strncmp(p, kind[i].open, strlen(kind[i].open)) != 0)
      continue;
    *cdata = !kind[i].close;
    const char *end = *cdata ? NULL : strstr(p + strlen(kind[i].open), kind[i].close);
    return end ? (size_t)(end - f->bytes) + strlen(kind[i].close) : at + strlen(kind[i].open);
  }
  return at;
}

// The place in the file of byte `index` of what is parsed from `at` on.
static size_t offset_of(const fv_xml_file *f, size_t at, size_t index, bool text) {
  bool cdata = false;
  for (size_t i = 0; at < f->size;) {
    const size_t next = text ? skip_markup(f, at, &cdata) : at;
    if (next != at) {
      at = next;
      continue;
    }
    if (i >= index)
      return at;
    size_t step = 1;
    if (f->bytes[at] == '&' && !cdata) {
      const size_t made = reference_bytes(f, at, &step);
      if (made > index - i)
        return at;
      i += made;
    } else {
      step = f->bytes[at] == '\r' && f->bytes[at + 1] == '\n' ? 2 : 1;
      i++;
    }
    at += step;
  }
  return at;
}

size_t fv_xml_value_offset(const fv_xml_file *f, const fv_xml_attr *a, size_t index) {
  return offset_of(f, a->value_at, index, false);
}

size_t fv_xml_text_offset(const fv_xml_file *f, const fv_xml_elem *e, size_t index) {
  return offset_of(f, e->end, index, true);
}
