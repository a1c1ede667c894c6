// SPDX-License-Identifier: Apache-2.0
//
// Words, numbers, expressions and types of the text form.
#include <string.h>

#include "ir/graph/text.h"

//===-- Places ----------------------------------------------------------===//

const fv_span *fv_tr_span(fv_text_reader *r, size_t at) {
  if (at < r->line_at) {  // rare: only faults look back
    r->line_at = 0;
    r->line_begin = 0;
    r->line = 1;
  }
  for (; r->line_at < at && r->line_at < r->size; r->line_at++) {
    if (r->text[r->line_at] == '\n') {
      r->line++;
      r->line_begin = r->line_at + 1;
    }
  }
  fv_span *s = FV_NEW(r->arena, fv_span);
  s->file = r->file;
  s->line = r->line;
  s->col = (uint32_t)(at - r->line_begin) + 1;
  return s;
}

fv_status fv_tr_fail(fv_text_reader *r, size_t at, fv_status code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fv_verror(r->diag, code, fv_tr_span(r, at), fmt, ap);
  va_end(ap);
  return code;
}

//===-- Words -----------------------------------------------------------===//

void fv_tr_skip(fv_text_reader *r) {
  for (; r->at < r->size; r->at++) {
    const char c = r->text[r->at];
    if (c == '#')
      while (r->at + 1 < r->size && r->text[r->at + 1] != '\n')
        r->at++;
    else if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
      return;
  }
}

bool fv_tr_eat(fv_text_reader *r, char c) {
  fv_tr_skip(r);
  if (r->at == r->size || r->text[r->at] != c)
    return false;
  r->at++;
  return true;
}

fv_status fv_tr_want(fv_text_reader *r, char c) {
  return fv_tr_eat(r, c) ? FV_OK : fv_tr_fail(r, r->at, FV_ERR_PARSE, "'%c' is expected here", c);
}

static size_t word_length(const fv_text_reader *r) {
  size_t n = 0;
  for (; r->at + n < r->size; n++) {
    const char c = r->text[r->at + n];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '.')
      break;
  }
  return n;
}

bool fv_tr_eat_word(fv_text_reader *r, const char *word) {
  fv_tr_skip(r);
  const size_t n = strlen(word);
  if (word_length(r) != n || memcmp(r->text + r->at, word, n) != 0)
    return false;
  r->at += n;
  return true;
}

fv_status fv_tr_want_word(fv_text_reader *r, const char *word) {
  return fv_tr_eat_word(r, word)
             ? FV_OK
             : fv_tr_fail(r, r->at, FV_ERR_PARSE, "'%s' is expected here", word);
}

fv_status fv_tr_word(fv_text_reader *r, const char **out) {
  fv_tr_skip(r);
  const size_t n = word_length(r);
  if (n == 0)
    return fv_tr_fail(r, r->at, FV_ERR_PARSE, "a word is expected here");
  *out = fv_arena_strndup(r->arena, r->text + r->at, n);
  r->at += n;
  return FV_OK;
}

fv_status fv_tr_name(fv_text_reader *r, const char **out) {
  if (!fv_tr_eat(r, '`'))
    return fv_tr_word(r, out);
  const size_t at = r->at;
  while (r->at < r->size && r->text[r->at] != '`' && (unsigned char)r->text[r->at] >= ' ')
    r->at++;
  if (r->at == r->size || r->text[r->at] != '`' || r->at == at)
    return fv_tr_fail(r, at - 1, FV_ERR_PARSE, "this name has no closing back quote");
  *out = fv_arena_strndup(r->arena, r->text + at, r->at++ - at);
  return FV_OK;
}

//===-- Strings ---------------------------------------------------------===//

static int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_hex4(fv_text_reader *r, uint32_t *out) {
  *out = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    const int d = r->at < r->size ? hex_value(r->text[r->at]) : -1;
    if (d < 0)
      return false;
    *out = *out << 4 | (uint32_t)d;
  }
  return true;
}

static void append_utf8(fv_str *s, uint32_t c) {
  char b[4];
  size_t n = 0;
  if (c < 0x80) {
    b[n++] = (char)c;
  } else if (c < 0x800) {
    b[n++] = (char)(0xc0 | c >> 6);
    b[n++] = (char)(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    b[n++] = (char)(0xe0 | c >> 12);
    b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    b[n++] = (char)(0x80 | (c & 0x3f));
  } else {
    b[n++] = (char)(0xf0 | c >> 18);
    b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
    b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    b[n++] = (char)(0x80 | (c & 0x3f));
  }
  fv_str_append(s, b, n);
}

static bool read_escape(fv_text_reader *r, fv_str *s) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  const char c = r->at < r->size ? r->text[r->at++] : 0;
  const char *known = c ? strchr(from, c) : NULL;
  if (known) {
    fv_str_append(s, &to[known - from], 1);
    return true;
  }
  uint32_t code, low;
  if (c != 'u' || !read_hex4(r, &code) || code == 0)
    return false;
  if (code >= 0xd800 && code < 0xdc00) {  // the first half of a pair
    if (r->size - r->at < 6 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u')
      return false;
    r->at += 2;
    if (!read_hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
      return false;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  append_utf8(s, code);
  return true;
}

fv_status fv_tr_string(fv_text_reader *r, const char **out) {
  fv_str s = {.arena = r->arena};
  fv_tr_skip(r);
  const size_t at = r->at;
  FV_TRY(fv_tr_want(r, '"'));
  fv_str_puts(&s, "");
  while (r->at < r->size && r->text[r->at] != '"') {
    const char c = r->text[r->at++];
    if ((unsigned char)c < ' ')
      break;
    if (c != '\\')
      fv_str_append(&s, &c, 1);
    else if (!read_escape(r, &s))
      return fv_tr_fail(r, r->at, FV_ERR_PARSE, "this escape is unknown");
  }
  if (r->at == r->size || r->text[r->at] != '"')
    return fv_tr_fail(r, at, FV_ERR_PARSE, "this string is not closed");
  r->at++;
  *out = s.data ? s.data : "";
  return FV_OK;
}

//===-- Numbers ---------------------------------------------------------===//

static size_t number_length(const fv_text_reader *r, const char *chars) {
  size_t n = 0;
  while (r->at + n < r->size && r->text[r->at + n] && strchr(chars, r->text[r->at + n]))
    n++;
  return n;
}

fv_status fv_tr_int(fv_text_reader *r, int64_t lo, int64_t hi, int64_t *out) {
  fv_tr_skip(r);
  const size_t n = number_length(r, "-0123456789");
  if (!fv_parse_i64(r->text + r->at, n, out))
    return fv_tr_fail(r, r->at, FV_ERR_PARSE, "an integer is expected here");
  if (*out < lo || *out > hi)
    return fv_tr_fail(r, r->at, FV_ERR_PARSE, "this must be in %lld..%lld", (long long)lo,
                      (long long)hi);
  r->at += n;
  return FV_OK;
}

fv_status fv_tr_double(fv_text_reader *r, double *out) {
  fv_tr_skip(r);
  const size_t n = number_length(r, "-+.0123456789einfa");
  if (!fv_parse_double(r->text + r->at, n, out))
    return fv_tr_fail(r, r->at, FV_ERR_PARSE, "a number is expected here");
  r->at += n;
  return FV_OK;
}

//===-- Expressions and types -------------------------------------------===//

size_t fv_tr_extent(const fv_text_reader *r, const char *stops) {
  int depth = 0;
  bool quoted = false;
  size_t i = r->at;
  for (; i < r->size && r->text[i] != 0; i++) {
    const char c = r->text[i];
    if (c == '`')
      quoted = !quoted;
    if (quoted)
      continue;
    if (depth == 0 && strchr(stops, c))
      break;
    depth += (c == '(' || c == '[') - (c == ')' || c == ']');
  }
  return i;
}

const fv_expr *fv_tr_let(void *reader, const char *name, size_t n) {
  const fv_text_reader *r = reader;
  int64_t i;
  const bool known = n > 1 && name[0] == '$' && fv_parse_i64(name + 1, n - 1, &i) && i >= 0 &&
                     (uint64_t)i < r->n_let;
  return known ? r->let[i] : NULL;
}

fv_status fv_tr_expr(fv_text_reader *r, const char *stops, const fv_expr **out) {
  fv_tr_skip(r);
  const size_t end = fv_tr_extent(r, stops);
  const char *err = "an expression is expected here";
  size_t at = 0;
  *out = fv_x_parse_i64(r->m->pool, r->text + r->at, end - r->at, fv_tr_let, r, &err, &at);
  if (!*out)
    return fv_tr_fail(r, r->at + at, FV_ERR_PARSE, "%s", err);
  r->at = end;
  return FV_OK;
}

fv_status fv_tr_symbol(fv_text_reader *r, uint32_t *out) {
  const char *name;
  fv_tr_skip(r);
  const size_t at = r->at;
  FV_TRY(fv_tr_name(r, &name));
  if (!fv_symbol_find(r->m->pool, name, out))
    return fv_tr_fail(r, at, FV_ERR_PARSE, "there is no symbol '%s'", name);
  return FV_OK;
}

static fv_status read_layout(fv_text_reader *r, fv_type *t) {
  const size_t at = r->at - 1;
  int64_t v;
  do {
    fv_layout_piece piece = {0};
    if (t->layout.n == FV_COUNTOF(t->layout.piece))
      return fv_tr_fail(r, r->at, FV_ERR_PARSE, "a layout has at most %d pieces",
                        (int)FV_COUNTOF(t->layout.piece));
    FV_TRY(fv_tr_int(r, 0, FV_MAX_RANK - 1, &v));
    piece.axis = (uint8_t)v;
    const bool outer = fv_tr_eat(r, '/');
    if (outer || fv_tr_eat(r, '%')) {
      FV_TRY(fv_tr_int(r, 1, UINT16_MAX, &v));
      piece.block = (uint16_t)v;
      piece.inner = !outer;
    }
    t->layout.piece[t->layout.n++] = piece;
  } while (fv_tr_eat(r, ','));
  FV_TRY(fv_tr_want(r, '}'));
  if (!fv_layout_valid(&t->layout, t->rank))
    return fv_tr_fail(r, at, FV_ERR_PARSE, "this layout does not store each axis once");
  return FV_OK;
}

fv_status fv_tr_type(fv_text_reader *r, fv_type *out) {
  const char *word;
  fv_tr_skip(r);
  const size_t at = r->at;
  *out = (fv_type){.rank = 0};
  FV_TRY(fv_tr_word(r, &word));
  if (!fv_dtype_find(word, &out->dtype))
    return fv_tr_fail(r, at, FV_ERR_PARSE, "'%s' is not an element type", word);
  FV_TRY(fv_tr_want(r, '['));
  if (!fv_tr_eat(r, ']')) {
    do {
      if (out->rank == FV_MAX_RANK)
        return fv_tr_fail(r, r->at, FV_ERR_PARSE, "a tensor has at most %d axes", FV_MAX_RANK);
      FV_TRY(fv_tr_expr(r, ",]", &out->dim[out->rank]));
      out->rank++;
    } while (fv_tr_eat(r, ','));
    FV_TRY(fv_tr_want(r, ']'));
  }
  if (r->at < r->size && r->text[r->at] == '{') {  // a body would come after a blank
    r->at++;
    return read_layout(r, out);
  }
  return FV_OK;
}
