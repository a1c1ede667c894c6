// SPDX-License-Identifier: Apache-2.0
#include "slices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 4096, MAX_SAMPLES = 1 << 20 };

typedef struct samples {
  double *cpu, *wall;
} samples;

static double clock_seconds(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double slices_now(void) {
  return clock_seconds(CLOCK_MONOTONIC);
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_times(const char *name, double *sample, size_t n) {
  qsort(sample, n, sizeof *sample, by_size);
  printf(", \"%s\": {\"min\": %.9g, \"median\": %.9g}", name, sample[0],
         (sample[n / 2] + sample[(n - 1) / 2]) / 2);
}

// At least one iteration, then on until the time is over.
static int run_slice(const slices *s, double seconds, samples *t) {
  size_t n = 0;
  const double begin = slices_now();
  double wall = begin, cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
  do {
    if (s->once(s->user))
      return 1;
    const double wall_to = slices_now(), cpu_to = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    t->wall[n] = wall_to - wall;
    t->cpu[n++] = cpu_to - cpu;
    wall = wall_to;
    cpu = cpu_to;
  } while (n < MAX_SAMPLES && wall - begin < seconds);
  printf("{\"iterations\": %zu", n);
  print_times("cpu", t->cpu, n);
  print_times("wall", t->wall, n);
  printf("}\n");
  return 0;
}

int slices_serve(const slices *s) {
  char line[LINE];
  int bad = 0;
  double *memory = malloc(2 * sizeof *memory * MAX_SAMPLES);
  samples t = {.cpu = memory, .wall = memory ? memory + MAX_SAMPLES : NULL};
  while (memory && !bad && fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "run ", 4) == 0) {
      bad = run_slice(s, strtod(line + 4, NULL), &t);
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
  bad |= !memory;
  free(memory);
  return bad;
}
