// SPDX-License-Identifier: Apache-2.0
#include "frontend/xml/fmt.h"

#include <string.h>

#include "frontend/xml/tree.h"

enum { WIDTH = 120, WRAPPED = 4 };

typedef struct fmt {
  const char *p;
  size_t n, at;
  fv_str *out;
  int depth;
  size_t line;           // where the current line of the output begins
  size_t in_line, seen;  // where that of the input begins, as far as it was looked for
  int breaks;            // line breaks in the input since the last token
  bool apart;            // blanks in the input since the last token
  bool begun;
  bool after_open;  // the last token was a start tag with content
  bool in_text;     // text was seen since the last tag: what touches it must go on to
} fmt;

static bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t column(const fmt *f) {
  return f->out->size - f->line;
}

static void new_line(fmt *f, int depth) {
  fv_str_puts(f->out, "\n");
  f->line = f->out->size;
  for (int i = 0; i < depth; i++)
    fv_str_puts(f->out, " ");
}

static bool starts(const fmt *f, const char *word) {
  const size_t n = strlen(word);
  return f->n - f->at >= n && memcmp(f->p + f->at, word, n) == 0;
}

// Offset after the next `word`; the end if there is none.
static size_t past(const fmt *f, size_t from, const char *word) {
  const char *hit = from < f->n ? strstr(f->p + from, word) : NULL;
  return hit ? (size_t)(hit - f->p) + strlen(word) : f->n;
}

// Breaks the line in front of a token as the input did.
static void begin_token(fmt *f, int depth, const char *between) {
  if (!f->begun) {
    f->begun = true;
  } else if (f->breaks > 1 && !f->after_open) {
    fv_str_puts(f->out, "\n");
    new_line(f, depth);
  } else if (f->breaks > 0) {
    new_line(f, depth);
  } else if (!f->after_open && (f->apart || !f->in_text)) {
    fv_str_puts(f->out, between);
  }
  f->breaks = 0;
  f->apart = f->after_open = false;
}

// Copies as it is, but for the ends of lines; '"' becomes `quote`.
static void put_verbatim(fv_str *to, const char *p, size_t n, const char *quote) {
  for (size_t i = 0; i < n; i++) {
    if (p[i] == '"')
      fv_str_puts(to, quote);
    else if (p[i] != '\r' || i + 1 == n || p[i + 1] != '\n')
      fv_str_append(to, p[i] == '\r' ? "\n" : p + i, 1);
  }
}

// Puts a finished piece, which may hold line breaks.
static void put_piece(fmt *f, const fv_str *s) {
  fv_str_append(f->out, s->data, s->size);
  for (size_t i = 0; i < s->size; i++)
    if (s->data[i] == '\n')
      f->line = f->out->size - (s->size - i - 1);
}

//===-- Comments and declarations -----------------------------------------===//

// Lines after the first move with the comment: `shift` blanks to the right.
static void put_shifted(fmt *f, size_t from, size_t to, long shift) {
  while (from < to) {
    const char *end = memchr(f->p + from, '\n', to - from);
    size_t stop = end ? (size_t)(end - f->p) : to;
    const size_t next = end ? stop + 1 : to;
    while (end && stop > from && blank(f->p[stop - 1]))
      stop--;
    fv_str_append(f->out, f->p + from, stop - from);
    from = next;
    if (!end)
      return;
    size_t indent = 0;
    while (from + indent < to && (f->p[from + indent] == ' ' || f->p[from + indent] == '\t'))
      indent++;
    const bool empty =
        from + indent < to && (f->p[from + indent] == '\n' || f->p[from + indent] == '\r');
    const long wanted = (long)indent + shift;
    new_line(f, empty || wanted < 0 ? 0 : (int)wanted);
    from += indent;
  }
}

// Of an offset that is not before the one asked for last.
static size_t column_of(fmt *f, size_t at) {
  for (; f->seen < at; f->seen++)
    if (f->p[f->seen] == '\n')
      f->in_line = f->seen + 1;
  return at - f->in_line;
}

static void put_markup(fmt *f, const char *close, size_t skip) {
  const size_t from = f->at;
  const size_t to = past(f, from + skip, close);
  const long was = (long)column_of(f, from);
  begin_token(f, f->depth, "  ");
  put_shifted(f, from, to, (long)column(f) - was);
  f->at = to;
}

static void put_cdata(fmt *f) {
  const size_t from = f->at;
  fv_str piece = {.arena = f->out->arena};
  f->at = past(f, from, "]]>");
  f->in_text = true;
  begin_token(f, f->depth, " ");
  put_verbatim(&piece, f->p + from, f->at - from, "\"");
  put_piece(f, &piece);
}

//===-- Tags --------------------------------------------------------------===//

// One attribute as name="value", appended to `to`.
static void put_attr(const fmt *f, size_t *at, size_t end, fv_str *to) {
  const size_t name = *at;
  while (*at < end && f->p[*at] != '=' && !blank(f->p[*at]))
    ++*at;
  fv_str_append(to, f->p + name, *at - name);
  while (*at < end && (f->p[*at] == '=' || blank(f->p[*at])))
    ++*at;
  const char quote = f->p[(*at)++];
  fv_str_puts(to, "=\"");
  const char *close = memchr(f->p + *at, quote, end - *at);
  const size_t n = close ? (size_t)(close - f->p) - *at : end - *at;
  put_verbatim(to, f->p + *at, n, "&quot;");
  fv_str_puts(to, "\"");
  *at += n + 1;
}

typedef struct tag {
  fv_str name;
  fv_str attr[257];  // bounded by the scanner
  int n;
  bool closed;
} tag;

static size_t tag_end(const fmt *f) {
  char quote = 0;
  for (size_t i = f->at; i < f->n; i++) {
    const char c = f->p[i];
    if (quote)
      quote = c == quote ? 0 : quote;
    else if (c == '"' || c == '\'')
      quote = c;
    else if (c == '>')
      return i;
  }
  return f->n;
}

static void read_tag(fmt *f, tag *t) {
  fv_arena *ar = f->out->arena;
  const size_t end = tag_end(f);
  size_t at = f->at;
  while (at < end && !blank(f->p[at]) && !(f->p[at] == '/' && at + 1 == end))
    at++;
  t->name = (fv_str){.arena = ar};
  fv_str_append(&t->name, f->p + f->at, at - f->at);
  t->n = 0;
  for (;;) {
    while (at < end && blank(f->p[at]))
      at++;
    if (at >= end || f->p[at] == '/' || t->n == 257)
      break;
    t->attr[t->n] = (fv_str){.arena = ar};
    put_attr(f, &at, end, &t->attr[t->n++]);
  }
  t->closed = end > 0 && f->p[end - 1] == '/';
  f->at = end < f->n ? end + 1 : end;
}

static void put_start(fmt *f, tag *t) {
  read_tag(f, t);
  size_t width = t->name.size + (t->closed ? 2 : 1);
  for (int i = 0; i < t->n; i++)
    width += 1 + t->attr[i].size;
  if (f->breaks == 0 && f->begun && column(f) > (size_t)f->depth && column(f) + 1 + width > WIDTH)
    f->breaks = 1;
  f->in_text = false;
  begin_token(f, f->depth, " ");
  const bool wrap = column(f) + width > WIDTH;
  fv_str_append(f->out, t->name.data, t->name.size);
  for (int i = 0; i < t->n; i++) {
    if (wrap && i > 0 && column(f) + 1 + t->attr[i].size + 2 > WIDTH)
      new_line(f, f->depth + WRAPPED);
    else
      fv_str_puts(f->out, " ");
    put_piece(f, &t->attr[i]);
  }
  fv_str_puts(f->out, t->closed ? "/>" : ">");
  f->depth += !t->closed;
  f->after_open = !t->closed;
}

static void put_end(fmt *f) {
  const size_t from = f->at;
  f->at = past(f, from, ">");
  size_t to = f->at - 1;
  while (to > from && blank(f->p[to - 1]))
    to--;
  f->depth--;
  if (f->breaks && !f->after_open)
    new_line(f, f->depth);
  f->breaks = 0;
  f->apart = f->after_open = f->in_text = false;
  fv_str_append(f->out, f->p + from, to - from);
  fv_str_puts(f->out, ">");
}

//===-- Text --------------------------------------------------------------===//

static void put_text(fmt *f, size_t to) {
  while (f->at < to && blank(f->p[f->at])) {
    f->breaks += f->p[f->at] == '\n';
    f->apart = true;
    f->at++;
  }
  if (f->at == to)
    return;
  size_t end = to;
  while (end > f->at && blank(f->p[end - 1]))
    end--;
  f->in_text = true;
  begin_token(f, f->depth, " ");
  while (f->at < end) {
    const char *nl = memchr(f->p + f->at, '\n', end - f->at);
    size_t stop = nl ? (size_t)(nl - f->p) : end;
    const size_t next = nl ? stop + 1 : end;
    while (stop > f->at && blank(f->p[stop - 1]))
      stop--;
    fv_str_append(f->out, f->p + f->at, stop - f->at);
    f->at = next;
    while (f->at < end && blank(f->p[f->at]))
      f->at++;
    if (f->at < end)
      new_line(f, f->depth);
  }
  for (f->at = end; f->at < to; f->at++) {
    f->breaks += f->p[f->at] == '\n';
    f->apart = true;
  }
}

static void put_next(fmt *f, tag *t) {
  if (f->p[f->at] != '<') {
    const char *open = memchr(f->p + f->at, '<', f->n - f->at);
    put_text(f, open ? (size_t)(open - f->p) : f->n);
  } else if (starts(f, "<!--")) {
    put_markup(f, "-->", 4);
  } else if (starts(f, "<?")) {
    put_markup(f, "?>", 2);
  } else if (starts(f, "<![CDATA[")) {
    put_cdata(f);
  } else if (starts(f, "</")) {
    put_end(f);
  } else {
    put_start(f, t);
  }
}

fv_status fv_xml_format(fv_arena *ar, const char *path, const char *bytes, size_t size,
                        const fv_load_limits *limits, fv_diag_sink *diag, fv_str *out) {
  fv_xml_file *file;
  FV_TRY(fv_xml_parse(ar, path, bytes, size, limits, diag, &file));
  fmt f = {.p = bytes, .n = size, .out = out, .line = out->size};
  tag *t = FV_NEW(ar, tag);
  if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
    f.at = 3;
  while (f.at < f.n)
    put_next(&f, t);
  fv_str_puts(out, "\n");
  return FV_OK;
}
