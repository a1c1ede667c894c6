// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

// Source text is kept by malloc: it is asked for while the library works, and
// no jump may cross the library.
typedef struct source {
  struct source *next;
  char *file, *text;
  size_t size;
} source;

typedef struct sources {
  source *first;
} sources;

enum { MAX_SOURCE = 64 << 20 };

static void sources_free(void *user) {
  sources *all = user;
  for (source *s = all->first, *next; s; s = next) {
    next = s->next;
    free(s->file);
    free(s->text);
    free(s);
  }
}

// Only regular files: opening a pipe would wait for its writer.
static void source_read(source *s) {
  struct stat st;
  if (stat(s->file, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_SOURCE)
    return;
  FILE *f = fopen(s->file, "rb");
  if (!f)
    return;
  s->text = malloc((size_t)st.st_size + 1);
  if (s->text)
    s->size = fread(s->text, 1, (size_t)st.st_size, f);
  fclose(f);
}

static const char *source_find(void *user, const char *file, size_t *size) {
  sources *all = user;
  source *s = all->first;
  while (s && strcmp(s->file, file) != 0)
    s = s->next;
  if (!s) {
    s = calloc(1, sizeof *s);
    if (!s)
      return NULL;
    s->file = strdup(file);
    if (!s->file) {
      free(s);
      return NULL;
    }
    s->next = all->first;
    all->first = s;
    source_read(s);
  }
  *size = s->size;
  return s->text;
}

static bool want_color(void) {
  const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
  return !(no && *no) && !(term && strcmp(term, "dumb") == 0) && isatty(STDERR_FILENO);
}

fv_diag_sink *report_create(fv_arena *ar, bool json) {
  sources *all = FV_NEW(ar, sources);
  *fv_arena_defer(ar, sources_free) = all;
  fv_diag_printer *p = FV_NEW(ar, fv_diag_printer);
  *p = (fv_diag_printer){.out = stderr,
                         .color = !json && want_color(),
                         .json = json,
                         .source = source_find,
                         .user = all};
  fv_diag_sink *sink = FV_NEW(ar, fv_diag_sink);
  *sink = (fv_diag_sink){.emit = fv_diag_print, .user = p};
  return sink;
}

fv_status usage_error(tool *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const fv_status s = fv_verror(t->diag, FV_ERR_ARG, NULL, fmt, ap);
  va_end(ap);
  return s;
}

static fv_status cannot_print(tool *t) {
  const int error = errno;
  t->output_failed = true;
  return fv_error(t->diag, FV_ERR_IO, NULL, "cannot write to standard output: %s",
                  strerror(error ? error : EIO));
}

static fv_status print(tool *t, const void *data, size_t size) {
  errno = 0;
  if (fwrite(data ? data : "", 1, size, stdout) == size && fflush(stdout) == 0)
    return FV_OK;
  return cannot_print(t);
}

fv_status print_text(tool *t, const fv_str *text) {
  return print(t, text->data, text->size);
}

// An interrupt that comes while files are written waits until all have their names.
void hold_signals(sigset_t *before) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGHUP);
  sigprocmask(SIG_BLOCK, &stop, before);
}

fv_status write_outputs(tool *t, const fv_new_file *file, size_t n) {
  sigset_t before;
  hold_signals(&before);
  const fv_status s = fv_files_write(file, n, t->diag);
  sigprocmask(SIG_SETMASK, &before, NULL);
  return s;
}

fv_status write_text(tool *t, const char *path, const fv_bytes *text) {
  if (strcmp(path, "-") == 0)
    return print(t, text->data, text->size);
  const fv_piece piece = {text->data, text->size};
  return write_outputs(t, &(fv_new_file){.path = path, .piece = &piece, .count = 1, .mode = 0644},
                       1);
}

// Some file systems tell only when a file is closed.
fv_status close_output(tool *t) {
  errno = 0;
  const bool lost = ferror(stdout) != 0;
  if (fclose(stdout) == 0 && !lost)
    return FV_OK;
  return t->output_failed ? FV_ERR_IO : cannot_print(t);
}

void print_note(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
}

const char *bytes_text(fv_arena *ar, int64_t bytes) {
  static const char *const unit[] = {"bytes", "kB", "MB", "GB", "TB"};
  double v = (double)bytes;
  size_t i = 0;
  while (v >= 1000 && i + 1 < FV_COUNTOF(unit)) {
    v /= 1000;
    i++;
  }
  return fv_arena_printf(ar, i ? "%.1f %s" : "%.0f %s", v, unit[i]);
}
