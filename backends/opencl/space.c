// SPDX-License-Identifier: Apache-2.0
// A driver that compiles through files says "build failure" when the disk is
// full and nothing more. So the places where it may write are looked at.
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "opencl.h"

enum { LEAST = 1 << 20 };  // bytes: a compiler cannot do with less

static bool is_full(const char *folder) {
  struct statvfs s;
  return statvfs(folder, &s) == 0 && s.f_blocks > 0 &&
         (unsigned long long)s.f_bavail * s.f_frsize < LEAST;
}

bool cl_find_full_folder(char *out, size_t size) {
  static const struct {
    const char *variable, *within;
  } place[] = {{"POCL_CACHE_DIR", ""},
               {"XDG_CACHE_HOME", ""},
               {"HOME", "/.cache"},
               {"HOME", ""},
               {"TMPDIR", ""}};
  for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
    const char *base = getenv(place[i].variable);
    const int n = base ? snprintf(out, size, "%s%s", base, place[i].within) : -1;
    if (n > 0 && (size_t)n < size && is_full(out))
      return true;
  }
  snprintf(out, size, "/tmp");
  return is_full(out);
}
