// SPDX-License-Identifier: Apache-2.0
#include "slices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 4096, MAX_SAMPLES = 1 << 20 };

double slices_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// At least one iteration, then on until the time is over.
static int run_slice(const slices *s, double seconds, double *sample) {
  size_t n = 0;
  const double begin = slices_now();
  for (double from = begin, to; n < MAX_SAMPLES; from = to) {
    if (s->once(s->user))
      return 1;
    to = slices_now();
    sample[n++] = to - from;
    if (to - begin >= seconds)
      break;
  }
  qsort(sample, n, sizeof *sample, by_size);
  const double median = (sample[n / 2] + sample[(n - 1) / 2]) / 2;
  printf("{\"iterations\": %zu, \"min\": %.9g, \"median\": %.9g}\n", n, sample[0], median);
  return 0;
}

int slices_serve(const slices *s) {
  char line[LINE];
  int bad = 0;
  double *sample = malloc(sizeof *sample * MAX_SAMPLES);
  while (sample && !bad && fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "run ", 4) == 0) {
      bad = run_slice(s, strtod(line + 4, NULL), sample);
    } else if (s->save && strncmp(line, "save ", 5) == 0) {
      bad = s->save(s->user, line + 5);
      if (!bad)
        printf("{\"saved\": \"%s\"}\n", line + 5);
    } else {
      fprintf(stderr, "not understood: %s\n", line);
      bad = 1;
    }
    fflush(stdout);
  }
  bad |= !sample;
  free(sample);
  return bad;
}
