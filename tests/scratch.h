// SPDX-License-Identifier: Apache-2.0
// tests/scratch.h - where tests keep what they write: folders of their own in TMPDIR.
#ifndef FOVEA_TESTS_SCRATCH_H_
#define FOVEA_TESTS_SCRATCH_H_

#include <stdio.h>
#include <stdlib.h>

// A new folder; its name is in static storage. NULL: none could be made.
static inline char *scratch_folder(void) {
  static char path[4096];
  const char *tmp = getenv("TMPDIR");
  const int n = snprintf(path, sizeof path, "%s/fovea-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  return n > 0 && (size_t)n < sizeof path ? mkdtemp(path) : NULL;
}

#endif  // FOVEA_TESTS_SCRATCH_H_
