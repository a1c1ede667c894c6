// SPDX-License-Identifier: Apache-2.0
// tests/bounds/subject.h - the backend that a test holds to its bounds.
#ifndef FOVEA_TESTS_BOUNDS_SUBJECT_H_
#define FOVEA_TESTS_BOUNDS_SUBJECT_H_

#include <stdio.h>

#include "base/diag.h"
#include "fovea/fovea.h"

typedef struct subject {
  char backend[64];    // its name
  const char *option;  // of it, key=value; NULL: none
  fv_executable *exe;
  fv_context *context;
  fv_diag_printer printer;
  fv_diag_sink diag;
} subject;

enum { SUBJECT_MISSING = 77 };  // no such device: the test is skipped

// Compiles a model of the graphs that `put` writes. 0, SUBJECT_MISSING or 1.
int subject_open(subject *s, const char *backend, void (*put)(FILE *f, void *user), void *user);
void subject_close(subject *s);

#endif  // FOVEA_TESTS_BOUNDS_SUBJECT_H_
