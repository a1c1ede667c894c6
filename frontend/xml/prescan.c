// SPDX-License-Identifier: Apache-2.0
//
// The scanner before the parser. It keeps hostile input away from libxml2
// (which is quadratic in the attributes of one tag, follows DTDs and unzips),
// and it knows the byte where each tag and attribute begins, which the parser
// does not tell.
#include <string.h>

#include "frontend/xml/tree.h"

enum { MAX_TAG_BYTES = 64 * 1024, MAX_TAG_ATTRS = 256 };

typedef struct scanner {
  fv_arena *arena;
  const fv_xml_file *file;
  fv_load_limits limit;
  fv_diag_sink *diag;
  fv_xml_scan *out;
  size_t at;
  int depth;
} scanner;

fv_load_limits fv_xml_limits(const fv_load_limits *given) {
  fv_load_limits l = given ? *given : (fv_load_limits){0};
  l.max_bytes = l.max_bytes ? l.max_bytes : (size_t)16 << 20;
  l.max_elements = l.max_elements ? l.max_elements : 1000000;
  l.max_depth = l.max_depth > 0 && l.max_depth < 200 ? l.max_depth : 64;
  l.max_nodes = l.max_nodes ? l.max_nodes : 1000000;
  l.max_members = l.max_members ? l.max_members : 1 << 18;
  return l;
}

static fv_status fault(scanner *s, size_t at, fv_status code, const char *text) {
  const fv_span span = fv_xml_place(s->file, at);
  return fv_error(s->diag, code, &span, "%s", text);
}

//===-- Characters ------------------------------------------------------===//

// Length of the UTF-8 sequence at p, 0 if it is none (overlong forms,
// surrogates and code points beyond Unicode included).
static size_t utf8_length(const unsigned char *p, size_t left) {
  static const struct {
    unsigned char lo, hi;    // first byte
    unsigned char lo2, hi2;  // second byte
    unsigned char n;
  } form[] = {
      {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  for (size_t i = 0; i < FV_COUNTOF(form); i++) {
    if (p[0] < form[i].lo || p[0] > form[i].hi)
      continue;
    if (form[i].n > left)
      return 0;
    if (form[i].n > 1 && (p[1] < form[i].lo2 || p[1] > form[i].hi2))
      return 0;
    for (size_t k = 2; k < form[i].n; k++)
      if ((p[k] & 0xc0) != 0x80)
        return 0;
    return form[i].n;
  }
  return 0;
}

static fv_status check_characters(scanner *s) {
  const unsigned char *p = (const unsigned char *)s->file->bytes;
  const size_t size = s->file->size;
  if (size >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
    return fault(s, 0, FV_ERR_PARSE, "the file is UTF-16; save it as UTF-8");
  if (size >= 2 && p[0] == 0x1f && p[1] == 0x8b)
    return fault(s, 0, FV_ERR_PARSE, "the file is compressed; a model is plain XML");
  for (size_t i = 0; i < size;) {
    if (p[i] == 0)
      return fault(s, i, FV_ERR_PARSE, "a NUL byte: this is no XML text");
    const size_t n = utf8_length(p + i, size - i);
    if (n == 0)
      return fault(s, i, FV_ERR_PARSE, "these bytes are not UTF-8");
    i += n;
  }
  return FV_OK;
}

static bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool starts(const scanner *s, const char *word) {
  const size_t n = strlen(word);
  return s->file->size - s->at >= n && memcmp(s->file->bytes + s->at, word, n) == 0;
}

// Moves past the next `word`; false at the end of the file.
static bool skip_past(scanner *s, size_t from, const char *word) {
  const char *hit = strstr(s->file->bytes + from, word);  // no NUL inside: checked above
  s->at = hit ? (size_t)(hit - s->file->bytes) + strlen(word) : s->file->size;
  return hit != NULL;
}

//===-- Tags ------------------------------------------------------------===//

static fv_status scan_attr(scanner *s, size_t end, bool *more) {
  const char *b = s->file->bytes;
  while (s->at < end && blank(b[s->at]))
    s->at++;
  *more = false;
  if (s->at >= end || b[s->at] == '/')
    return FV_OK;
  fv_xml_mark m = {.name = (uint32_t)s->at};
  while (s->at < end && !blank(b[s->at]) && b[s->at] != '=' && b[s->at] != '/')
    s->at++;
  m.name_len = (uint32_t)(s->at - m.name);
  while (s->at < end && (blank(b[s->at]) || b[s->at] == '='))
    s->at++;
  const char quote = b[s->at];
  if (m.name_len == 0 || s->at >= end || (quote != '"' && quote != '\''))
    return FV_OK;  // malformed: the parser says it better
  m.value = (uint32_t)++s->at;
  const char *close = memchr(b + s->at, quote, end - s->at);
  s->at = close ? (size_t)(close - b) + 1 : end;
  FV_PUSH(s->arena, s->out->mark, s->out->n_mark, s->out->cap_mark, m);
  *more = true;
  return FV_OK;
}

// The end of a tag: '>' outside of quotes.
static size_t tag_end(const scanner *s) {
  const char *b = s->file->bytes;
  char quote = 0;
  for (size_t i = s->at + 1; i < s->file->size; i++) {
    if (quote) {
      quote = b[i] == quote ? 0 : quote;
    } else if (b[i] == '"' || b[i] == '\'') {
      quote = b[i];
    } else if (b[i] == '>') {
      return i;
    }
    if (i - s->at > MAX_TAG_BYTES)
      return i;
  }
  return s->file->size;
}

static fv_status scan_start_tag(scanner *s) {
  const char *b = s->file->bytes;
  const size_t begin = s->at;
  const size_t end = tag_end(s);
  if (end - begin > MAX_TAG_BYTES)
    return fault(s, begin, FV_ERR_LIMIT, "this tag is longer than 64 KiB");
  fv_xml_tag t = {.at = (uint32_t)begin, .first_attr = (uint32_t)s->out->n_mark};
  s->at++;
  while (s->at < end && !blank(b[s->at]) && b[s->at] != '/')
    s->at++;
  for (bool more = true; more;)
    FV_TRY(scan_attr(s, end, &more));
  t.n_attr = (uint32_t)(s->out->n_mark - t.first_attr);
  if (t.n_attr > MAX_TAG_ATTRS)
    return fault(s, begin, FV_ERR_LIMIT, "this tag has more than 256 attributes");
  FV_PUSH(s->arena, s->out->tag, s->out->n_tag, s->out->cap_tag, t);
  if (s->out->n_tag > s->limit.max_elements)
    return fault(s, begin, FV_ERR_LIMIT, "the file has more elements than the limit allows");
  s->depth += !(end > begin && b[end - 1] == '/');
  if (s->depth > s->limit.max_depth)
    return fault(s, begin, FV_ERR_LIMIT, "elements are nested deeper than the limit allows");
  s->at = end < s->file->size ? end + 1 : end;
  s->out->tag[s->out->n_tag - 1].end = (uint32_t)s->at;
  return FV_OK;
}

static bool is_word(const char *p, size_t n, const char *word) {
  for (size_t i = 0; i < n; i++)
    if (!word[i] || (p[i] | 0x20) != (word[i] | 0x20))
      return false;
  return word[n] == 0;
}

// encoding= of an XML declaration: the bytes are read as UTF-8 whatever it says.
static fv_status check_declaration(const scanner *s, size_t begin, size_t end) {
  const char *b = s->file->bytes;
  const char *word = strstr(b + begin, "encoding");
  const size_t at = word ? (size_t)(word - b) + strcspn(word, "\"'") + 1 : end;
  if (at >= end)
    return FV_OK;
  const size_t n = strcspn(b + at, "\"'");
  if (is_word(b + at, n, "UTF-8") || is_word(b + at, n, "US-ASCII"))
    return FV_OK;
  const fv_span span = fv_xml_place(s->file, at);
  return fv_error(s->diag, FV_ERR_PARSE, &span, "the encoding of a model is UTF-8, not '%.*s'",
                  (int)(n < 40 ? n : 40), b + at);
}

static fv_status scan_markup(scanner *s) {
  const size_t begin = s->at;
  if (starts(s, "<!--")) {
    (void)skip_past(s, begin + 4, "-->");
  } else if (starts(s, "<![CDATA[")) {
    (void)skip_past(s, begin + 9, "]]>");
  } else if (starts(s, "<?")) {
    const bool declares = starts(s, "<?xml") && blank(s->file->bytes[begin + 5]);
    (void)skip_past(s, begin + 2, "?>");
    return declares ? check_declaration(s, begin, s->at) : FV_OK;
  } else if (starts(s, "<!")) {
    return fault(s, begin, FV_ERR_PARSE,
                 "a document type or entity declaration has no place in a model; remove it");
  } else if (starts(s, "</")) {
    (void)skip_past(s, begin + 2, ">");
    s->depth--;
  } else {
    return scan_start_tag(s);
  }
  return FV_OK;
}

fv_status fv_xml_prescan(fv_arena *ar, const fv_xml_file *f, const fv_load_limits *limits,
                         fv_diag_sink *diag, fv_xml_scan *out) {
  scanner s = {.arena = ar, .file = f, .limit = fv_xml_limits(limits), .diag = diag, .out = out};
  *out = (fv_xml_scan){0};
  FV_TRY(check_characters(&s));
  while (s.at < f->size) {
    const char *open = memchr(f->bytes + s.at, '<', f->size - s.at);
    if (!open)
      break;
    s.at = (size_t)(open - f->bytes);
    FV_TRY(scan_markup(&s));
  }
  return FV_OK;
}
