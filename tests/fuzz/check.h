// SPDX-License-Identifier: Apache-2.0
// Runs a module in the text form on the reference and on a backend, in several
// sizes of its symbols, and compares.
#ifndef FOVEA_TESTS_FUZZ_CHECK_H_
#define FOVEA_TESTS_FUZZ_CHECK_H_

#include <stdio.h>

#include "ir/graph/graph.h"

typedef enum fuzz_verdict {
  FUZZ_SAME,
  FUZZ_INVALID,  // the text is no module that compiles anywhere
  FUZZ_COMPILE,  // the backend refused what the reference takes
  FUZZ_STATUS,   // one run failed, the other did not
  FUZZ_DIFFERS,  // another result
  FUZZ_THREADS,  // other bits with three threads
  FUZZ_CRASH,    // fuzz_check_apart: a signal
  FUZZ_HANGS,    // fuzz_check_apart: no end in time
  FUZZ_VERDICTS
} fuzz_verdict;
extern const char *const fuzz_verdict_name[FUZZ_VERDICTS];

typedef struct fuzz_settings {
  const char *backend;
  const char *passes;
  const char *option;  // of the backend, key=value; NULL: none
  int seconds;         // of one check
  FILE *tell;          // what differs; NULL = nobody wants to know
} fuzz_settings;

fuzz_verdict fuzz_check(const fuzz_settings *s, const char *text, size_t size);
// In a process of its own.
fuzz_verdict fuzz_check_apart(const fuzz_settings *s, const char *text, size_t size);

// shrink.c: the smallest module with the same verdict that dropping values finds;
// *text is replaced by one in the arena.
void fuzz_shrink(fv_arena *ar, const fuzz_settings *s, fuzz_verdict verdict, fv_str *text);

// wide.c: the module with all floats as f64; with noise where it rounds.
fv_status fuzz_widen(fv_module *m, bool with_noise, fv_diag_sink *diag);

#endif  // FOVEA_TESTS_FUZZ_CHECK_H_
