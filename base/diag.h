// SPDX-License-Identifier: Apache-2.0
// base/diag.h - diagnostics: the one way in which the library speaks.
//
// A sink is a callback; the library itself prints nothing. Format of the
// printers below: GNU, file:line:col: error: text, then the source line with a
// caret, then notes (the expansion trace among them).
#ifndef FOVEA_BASE_DIAG_H_
#define FOVEA_BASE_DIAG_H_

#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"

// Reports an error at `span` (may be NULL) and returns `code`:
//   return fv_error(sink, FV_ERR_TYPE, n->span, "...", ...);
fv_status fv_error(fv_diag_sink *s, fv_status code, const fv_span *span, const char *fmt, ...)
    FV_PRINTF(4, 5);
fv_status fv_verror(fv_diag_sink *s, fv_status code, const fv_span *span, const char *fmt,
                    va_list ap);
void fv_note(fv_diag_sink *s, const fv_span *span, const char *fmt, ...) FV_PRINTF(3, 4);
void fv_warning(fv_diag_sink *s, const fv_span *span, const char *fmt, ...) FV_PRINTF(3, 4);

// Printer for terminals and pipes. `source` (optional) gives the text of a
// file so that the line can be shown; it may return NULL.
typedef struct fv_diag_printer {
  FILE *out;
  bool color;
  bool json;  // one JSON object a line instead
  const char *(*source)(void *user, const char *file, size_t *size);
  void *user;
} fv_diag_printer;
void fv_diag_print(void *printer, const fv_diag *d);  // an emit callback

// Index of the candidate nearest to `word` by edit distance, -1 if none is
// near enough to be meant. candidate(user, i) returns NULL past the end.
int fv_did_you_mean(const char *word, const char *(*candidate)(void *user, int i), void *user);
// The same as a note; false if there is none.
bool fv_note_meant(fv_diag_sink *s, const fv_span *span, const char *word,
                   const char *(*candidate)(void *user, int i), void *user);

#endif  // FOVEA_BASE_DIAG_H_
