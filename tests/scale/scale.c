// SPDX-License-Identifier: Apache-2.0
//
// scale FOVEA [--from=N] [--to=N] [--only=NAME] [--command=check|reference|groups]
//
// Models of n, 10 n, ... nodes through the command, with 256 KB of stack: each must go
// through, and neither its time nor its memory may grow faster than its size. What is
// asserted is the slope from one size to the next, of processor time, so that a busy machine
// says the same as a free one.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ir/graph/graph.h"
#include "tests/scale/models.h"
#include "tests/scratch.h"

enum { STACK_BYTES = 256 << 10 };
#define ADDRESS_BYTES ((rlim_t)8 << 30)
#define SECONDS_AT_MOST 300u
// Ten times the size may take 25 times the time, beyond what any process takes.
#define SLOPE_TIME 25.0
#define SLOPE_MEMORY 16.0
#define FLOOR_SECONDS 0.05
#define FLOOR_KB 16384.0

typedef struct options {
  const char *fovea, *only, *command;
  int from, to;
} options;

typedef struct cost {
  int status;
  double seconds, kb;
} cost;

static void limit(int what, rlim_t bytes) {
  const struct rlimit l = {bytes, bytes};
  if (setrlimit(what, &l) != 0)
    _exit(120);
}

static void become(const options *o, const char *model) {
  const char *const check[] = {o->fovea, "check", model, NULL};
  const char *const run[] = {o->fovea, "run", "-b", "reference", model, NULL};
  const char *const groups[] = {o->fovea, "inspect", "--emit=groups", model, NULL};
  const char *const *argv = strcmp(o->command, "check") == 0    ? check
                            : strcmp(o->command, "groups") == 0 ? groups
                                                                : run;
  const int null = open("/dev/null", O_WRONLY);
  limit(RLIMIT_STACK, STACK_BYTES);
  limit(RLIMIT_AS, ADDRESS_BYTES);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, SECONDS_AT_MOST);
  if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
    _exit(121);
  execv(o->fovea, (char *const *)(uintptr_t)argv);
  _exit(122);
}

static bool measure(const options *o, const char *model, cost *out) {
  struct rusage u;
  int status;
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0)
    become(o, model);
  if (child < 0 || wait4(child, &status, 0, &u) != child)
    return false;
  out->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  out->seconds = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
  out->kb = (double)u.ru_maxrss;
  return true;
}

typedef struct subject {
  const char *name;
  fv_op op;  // or
  const special_model *special;
} subject;

static bool write_model(const subject *s, int n, const char *path) {
  fv_arena *ar = fv_arena_create(NULL);
  fv_str text = {.arena = ar};
  bool ok = true;
  if (s->special)
    s->special->write(&text, n);
  else
    ok = model_of_op(ar, s->op, n, &text);
  FILE *f = ok ? fopen(path, "w") : NULL;
  if (f) {
    fwrite(text.data, 1, text.size, f);
    ok = fclose(f) == 0;
  } else if (ok) {
    perror(path);
    exit(2);
  }
  fv_arena_destroy(ar);
  return ok;
}

static double above(double v, double floor) {
  return v > floor ? v : floor;
}

// The curve of one model; false if it fails or is too steep.
static bool test(const options *o, const subject *s) {
  cost last = {.status = 0};
  for (int n = o->from; n <= o->to; n *= 10) {
    char path[64];
    cost now = {.status = 0};
    snprintf(path, sizeof path, "%s-%d.xml", s->name, n);
    if (!write_model(s, n, path))
      return true;  // the op makes no chain
    const bool ran = measure(o, path, &now);
    unlink(path);
    const char *why = !ran || now.status                                              ? "fails"
                      : n == o->from                                                  ? NULL
                      : now.seconds > SLOPE_TIME * above(last.seconds, FLOOR_SECONDS) ? "time"
                      : now.kb > SLOPE_MEMORY * above(last.kb, FLOOR_KB)              ? "memory"
                                                                                      : NULL;
    if (why) {
      printf("%s of %d (%s): %s: exit %d, %.2f s, %.0f MB; of %d: %.2f s, %.0f MB\n", s->name, n,
             o->command, why, now.status, now.seconds, now.kb / 1024, n / 10, last.seconds,
             last.kb / 1024);
      return false;
    }
    last = now;
  }
  return true;
}

static bool parse(int argc, char **argv, options *o) {
  *o = (options){
      .fovea = argc > 1 ? argv[1] : NULL, .command = "reference", .from = 100, .to = 1000};
  for (int i = 2; i < argc; i++) {
    const char *v = strchr(argv[i], '=');
    if (!v)
      return false;
    v++;
    if (strncmp(argv[i], "--from=", 7) == 0)
      o->from = atoi(v);
    else if (strncmp(argv[i], "--to=", 5) == 0)
      o->to = atoi(v);
    else if (strncmp(argv[i], "--only=", 7) == 0)
      o->only = v;
    else if (strncmp(argv[i], "--command=", 10) == 0)
      o->command = v;
    else
      return false;
  }
  return o->fovea && o->from > 0 && o->to >= o->from;
}

int main(int argc, char **argv) {
  options o;
  char fovea[4096], *dir;
  if (!parse(argc, argv, &o) || !realpath(o.fovea, fovea) || !(dir = scratch_folder()) ||
      chdir(dir) != 0) {
    fprintf(stderr, "usage: scale FOVEA [--from=N] [--to=N] [--only=NAME] [--command=C]\n");
    return 2;
  }
  o.fovea = fovea;
  int failed = 0;
  for (int i = 0; i < FV_OP_COUNT; i++) {
    const subject s = {.name = fv_op_get((fv_op)i)->name, .op = (fv_op)i};
    if (!o.only || strcmp(o.only, s.name) == 0)
      failed += !test(&o, &s);
  }
  for (const special_model *m = special_models; m->name; m++) {
    const subject s = {.name = m->name, .special = m};
    if (!o.only || strcmp(o.only, s.name) == 0)
      failed += !test(&o, &s);
  }
  if (chdir("/") != 0 || rmdir(dir) != 0)
    fprintf(stderr, "%s is left\n", dir);
  printf("%d too steep\n", failed);
  return failed > 0;
}
