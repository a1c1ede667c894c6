// SPDX-License-Identifier: Apache-2.0
#include "base/diag.h"

#include <string.h>

#include "base/escape.h"

// A text is formatted on the stack: reporting must work when memory is short.
#define MAX_TEXT 4096

static void emit(fv_diag_sink *s, fv_severity severity, fv_status code, const fv_span *span,
                 const char *fmt, va_list ap) {
  if (!s->emit)
    return;
  char text[MAX_TEXT];
  static const char cut[] = " [...]";
  const int n = vsnprintf(text, sizeof text, fmt, ap);
  if (n < 0)
    memcpy(text, cut, sizeof cut);
  else if ((size_t)n >= sizeof text)
    memcpy(text + sizeof text - sizeof cut, cut, sizeof cut);
  const fv_diag d = {.severity = severity, .code = code, .span = span, .text = text};
  s->emit(s->user, &d);
}

static bool over_limit(const fv_diag_sink *s) {
  return s->max_errors != 0 && s->n_errors > s->max_errors;
}

fv_status fv_verror(fv_diag_sink *s, fv_status code, const fv_span *span, const char *fmt,
                    va_list ap) {
  if (!s)
    return code;
  s->n_errors++;
  if (!over_limit(s))
    emit(s, FV_ERROR, code, span, fmt, ap);
  return code;
}

fv_status fv_error(fv_diag_sink *s, fv_status code, const fv_span *span, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fv_verror(s, code, span, fmt, ap);
  va_end(ap);
  return code;
}

void fv_note(fv_diag_sink *s, const fv_span *span, const char *fmt, ...) {
  // A note belongs to the error before it, which was not shown either.
  if (!s || over_limit(s))
    return;
  va_list ap;
  va_start(ap, fmt);
  emit(s, FV_NOTE, FV_OK, span, fmt, ap);
  va_end(ap);
}

void fv_warning(fv_diag_sink *s, const fv_span *span, const char *fmt, ...) {
  if (!s)
    return;
  va_list ap;
  va_start(ap, fmt);
  emit(s, FV_WARNING, FV_OK, span, fmt, ap);
  va_end(ap);
}

static const char *const severity_name[] = {
    [FV_NOTE] = "note", [FV_WARNING] = "warning", [FV_ERROR] = "error"};
static const char *const severity_color[] = {
    [FV_NOTE] = "\033[1;36m", [FV_WARNING] = "\033[1;35m", [FV_ERROR] = "\033[1;31m"};
static const char *const code_name[] = {
#define X(id, exit_code, text) #id,
    FV_STATUS_TABLE(X)
#undef X
};

static void print_json_string(FILE *out, const char *text) {
  fputc('"', out);
  for (size_t i = 0, n = strlen(text); i < n;) {
    char c[8];
    size_t size;
    i += fv__json_char(text + i, n - i, c, &size);
    fwrite(c, 1, size, out);
  }
  fputc('"', out);
}

static void print_json_place(FILE *out, const fv_span *span) {
  if (span && span->file) {
    fputs(",\"file\":", out);
    print_json_string(out, span->file);
  }
  if (span && span->line)
    fprintf(out, ",\"line\":%u", span->line);
  if (span && span->line && span->col)
    fprintf(out, ",\"column\":%u", span->col);
}

static void print_json(FILE *out, const fv_diag *d) {
  fprintf(out, "{\"severity\":\"%s\"", severity_name[d->severity]);
  if (d->severity == FV_ERROR && (size_t)d->code < FV_COUNTOF(code_name))
    fprintf(out, ",\"code\":\"%s\"", code_name[d->code]);
  print_json_place(out, d->span);
  fputs(",\"message\":", out);
  print_json_string(out, d->text);
  if (d->span && d->span->outer) {
    fputs(",\"trace\":[", out);
    for (const fv_span *s = d->span->outer; s; s = s->outer) {
      fputs("{\"what\":", out);
      print_json_string(out, s->what ? s->what : "");
      print_json_place(out, s);
      fputs(s->outer ? "}," : "}", out);
    }
    fputs("]", out);
  }
  fputs("}\n", out);
}

// Prints n bytes so that a terminal takes none of them for a command; returns
// the columns used. Tabs stay, newlines only where `lines` allows them.
static size_t print_safe(FILE *out, const char *text, size_t n, bool lines) {
  size_t columns = 0;
  for (size_t i = 0; i < n; columns++) {
    const unsigned char c = (unsigned char)text[i];
    const size_t size = fv__utf8_size(text + i, n - i);
    const bool c1_control = size == 2 && c == 0xC2 && (unsigned char)text[i + 1] < 0xA0;
    const bool control = (c < 0x20 && c != '\t' && !(lines && c == '\n')) || c == 0x7F;
    if (size == 0 || c1_control || control)
      fputc('?', out);
    else
      fwrite(text + i, 1, size, out);
    i += size ? size : 1;
  }
  return columns;
}

// The line of `text` with that number; NULL if there is none.
static const char *find_line(const char *text, size_t size, uint32_t line, size_t *out_size) {
  const char *p = text, *end = text + size;
  for (uint32_t i = 1; i < line; i++) {
    p = memchr(p, '\n', (size_t)(end - p));
    if (!p)
      return NULL;
    p++;
  }
  const char *stop = memchr(p, '\n', (size_t)(end - p));
  if (!stop)
    stop = end;
  if (stop > p && stop[-1] == '\r')
    stop--;
  *out_size = (size_t)(stop - p);
  return p;
}

// The source line and the caret below it; of a long line, the part around it.
static void print_source(const fv_diag_printer *p, const fv_span *span) {
  enum { before = 70, after = 50 };
  size_t size, n;
  if (!p->source || !span || !span->file || span->line == 0)
    return;
  const char *text = p->source(p->user, span->file, &size);
  const char *line = text ? find_line(text, size, span->line, &n) : NULL;
  if (!line)
    return;
  size_t at = span->col ? span->col - 1 : 0;
  if (at > n)
    at = n;
  size_t first = n > before + after && at > before ? at - before : 0;
  // Not in the middle of a character.
  while (first < at && first > 0 && ((unsigned char)line[first] & 0xC0) == 0x80)
    first++;
  const size_t last = n - first > before + after ? first + before + after : n;

  fprintf(p->out, "%5u | %s", span->line, first ? "..." : "");
  print_safe(p->out, line + first, last - first, false);
  fprintf(p->out, "%s\n", last < n ? "..." : "");
  if (span->col == 0)
    return;
  fprintf(p->out, "      | %s", first ? "   " : "");
  // A tab stays a tab, so that the caret stands where the eye expects it.
  for (size_t i = first; i < at; i++)
    if (line[i] == '\t')
      fputc('\t', p->out);
    else if (((unsigned char)line[i] & 0xC0) != 0x80)
      fputc(' ', p->out);
  fprintf(p->out, "%s^%s\n", p->color ? "\033[1;32m" : "", p->color ? "\033[0m" : "");
}

static void print_head(const fv_diag_printer *p, fv_severity severity, const fv_span *span) {
  if (p->color)
    fputs("\033[1m", p->out);
  if (!span || !span->file) {
    fputs("fovea: ", p->out);
  } else {
    print_safe(p->out, span->file, strlen(span->file), false);
    fputc(':', p->out);
    if (span->line)
      fprintf(p->out, "%u:", span->line);
    if (span->line && span->col)
      fprintf(p->out, "%u:", span->col);
    fputc(' ', p->out);
  }
  fprintf(p->out, "%s%s:%s ", p->color ? severity_color[severity] : "", severity_name[severity],
          p->color ? "\033[0m" : "");
}

void fv_diag_print(void *printer, const fv_diag *d) {
  const fv_diag_printer *p = printer;
  flockfile(p->out);
  if (p->json) {
    print_json(p->out, d);
  } else {
    print_head(p, d->severity, d->span);
    print_safe(p->out, d->text, strlen(d->text), true);
    fputc('\n', p->out);
    print_source(p, d->span);
    for (const fv_span *s = d->span ? d->span->outer : NULL; s; s = s->outer) {
      const char *what = s->what ? s->what : "expanded from here";
      print_head(p, FV_NOTE, s);
      print_safe(p->out, what, strlen(what), false);
      fputc('\n', p->out);
    }
  }
  funlockfile(p->out);
}

// Case, and the two dashes, are what people mix up most: they cost nothing.
static char fold(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c == '-' ? '_' : c;
}

#define MAX_WORD 63

// Insertions, deletions, replacements and swaps of neighbours.
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m) {
  size_t row[3][MAX_WORD + 1];
  for (size_t j = 0; j <= m; j++)
    row[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *now = row[i % 3];
    const size_t *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t best = last[j - 1] + (fold(a[i - 1]) != fold(b[j - 1]));
      if (last[j] + 1 < best)
        best = last[j] + 1;
      if (now[j - 1] + 1 < best)
        best = now[j - 1] + 1;
      if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]) &&
          before[j - 2] + 1 < best)
        best = before[j - 2] + 1;
      now[j] = best;
    }
  }
  return row[n % 3][m];
}

int fv_did_you_mean(const char *word, const char *(*candidate)(void *user, int i), void *user) {
  const size_t n = strlen(word);
  if (n == 0 || n > MAX_WORD)
    return -1;
  // A third of the word may be wrong, at most four letters, and never all of it.
  size_t best_distance = (n + 2) / 3 + 1;
  if (best_distance > 5)
    best_distance = 5;
  if (best_distance > n)
    best_distance = n;
  int best = -1;
  for (int i = 0;; i++) {
    const char *c = candidate(user, i);
    if (!c)
      return best;
    const size_t m = strlen(c);
    if (m > MAX_WORD)
      continue;
    const size_t distance = edit_distance(word, n, c, m);
    if (distance < best_distance) {
      best_distance = distance;
      best = i;
    }
  }
}

bool fv_note_meant(fv_diag_sink *s, const fv_span *span, const char *word,
                   const char *(*candidate)(void *user, int i), void *user) {
  const int near = fv_did_you_mean(word, candidate, user);
  if (near >= 0)
    fv_note(s, span, "did you mean '%s'?", candidate(user, near));
  return near >= 0;
}
