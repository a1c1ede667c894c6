// SPDX-License-Identifier: Apache-2.0
// Runs cases on the reference and on a backend, and compares.
#ifndef FOVEA_TESTS_CONFORMANCE_BATCH_H_
#define FOVEA_TESTS_CONFORMANCE_BATCH_H_

#include "tests/conformance/cases.h"

typedef struct batch_options {
  const char *backend;
  const char **option;  // of the backend, key=value
  size_t n_option;
  uint64_t seed;
} batch_options;

typedef struct totals {
  int passed, failed, skipped;
} totals;

// The line that runs one case again.
void case_repro(const batch_options *o, const conf_case *c, const char *what);

// All cases in one module, so in one compile; one after another if that fails.
// Results are printed as they fail and added to sum.
void batch_run(const batch_options *o, const conf_case *c, int n, totals *sum);

#endif  // FOVEA_TESTS_CONFORMANCE_BATCH_H_
