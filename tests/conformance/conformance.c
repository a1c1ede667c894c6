// SPDX-License-Identifier: Apache-2.0
// Holds a backend against the reference on what the op table says: every op,
// every example, every element type of its class, and cases derived from the
// examples (cases.h). Nothing is registered: a row is tested the moment it
// exists. The bounds are the table's own column; integers and exact ops must
// agree bit for bit.
//
//   test_conformance [--backend=llvm] [--option=KEY=VALUE] [--op=NAME] [--case=N] [--dtype=T]
//   [--seed=N]
//                    [--sample=K] [--full] [--jobs=N] [--list]
//
// Batches of cases are compiled together, each in a process of its own: one
// that dies is run again case by case, so that the culprit is named. --jobs=0
// runs in this process, for a debugger.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler/plugin.h"
#include "tests/conformance/batch.h"

// What the backends may decline on a device that has f64: nothing.
enum { EXPECTED_SKIPS = 0, BATCH = 50, MAX_JOBS = 64 };

typedef struct settings {
  batch_options batch;
  const char *op, *dtype;
  int only;    // case number, -1 = all
  int sample;  // every sample-th case
  int jobs;
  bool full, list;
} settings;

typedef struct suite {
  const settings *set;
  conf_case *c;
  size_t n, cap;
  size_t seen;
  bool failed;  // out of memory
} suite;

// A batch in flight.
typedef struct job {
  pid_t pid;
  size_t first;
  int n;
  totals *sum;  // shared with the child
} job;

//===-- Collecting ---------------------------------------------------------------------===//

static void collect(void *user, const conf_case *c) {
  suite *s = user;
  const settings *set = s->set;
  if ((set->only >= 0 && c->number != set->only) ||
      (set->dtype && strcmp(set->dtype, fv_dtype_name(c->t)) != 0) ||
      s->seen++ % (size_t)set->sample != 0)
    return;
  if (s->n == s->cap) {
    s->cap = s->cap ? 2 * s->cap : 1024;
    conf_case *c2 = realloc(s->c, s->cap * sizeof *c2);
    s->failed |= !c2;
    if (!c2)
      return;
    s->c = c2;
  }
  if (!s->failed)
    s->c[s->n++] = *c;
}

//===-- Processes -------------------------------------------------------------------------===//

static void spawn(const suite *s, job *j) {
  fflush(stdout);
  *j->sum = (totals){0};
  j->pid = fork();
  if (j->pid != 0)
    return;
  alarm((unsigned)(120 + 10 * j->n));
  batch_run(&s->set->batch, &s->c[j->first], j->n, j->sum);
  fflush(stdout);
  _exit(0);
}

static void add(totals *sum, const totals *t) {
  sum->passed += t->passed;
  sum->failed += t->failed;
  sum->skipped += t->skipped;
}

// A batch that died: its cases one after another.
static void run_apart(const suite *s, const job *dead, totals *sum) {
  for (int i = 0; i < dead->n; i++) {
    job j = {.first = dead->first + (size_t)i, .n = 1, .sum = dead->sum};
    int status = 0;
    spawn(s, &j);
    if (j.pid > 0 && waitpid(j.pid, &status, 0) == j.pid && status == 0) {
      add(sum, j.sum);
      continue;
    }
    case_repro(&s->set->batch, &s->c[j.first],
               WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "process");
    sum->failed++;
  }
}

static void finish_one(const suite *s, job *jobs, int n, totals *sum) {
  int status;
  const pid_t pid = wait(&status);
  for (int i = 0; i < n; i++) {
    if (jobs[i].pid != pid)
      continue;
    jobs[i].pid = 0;
    if (status == 0)
      add(sum, jobs[i].sum);
    else
      run_apart(s, &jobs[i], sum);
  }
}

static bool run_all(const suite *s, totals *sum) {
  const int n = s->set->jobs;
  job jobs[MAX_JOBS] = {{0}};
  totals *shared = mmap(NULL, sizeof *shared * MAX_JOBS, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    return false;
  size_t at = 0;
  int running = 0;
  while (at < s->n || running > 0) {
    int free_slot = 0;
    while (free_slot < n && jobs[free_slot].pid > 0)
      free_slot++;
    if (at == s->n || free_slot == n) {
      finish_one(s, jobs, n, sum);
      running--;
      continue;
    }
    const size_t left = s->n - at;
    job *j = &jobs[free_slot];
    *j = (job){.first = at, .n = left < BATCH ? (int)left : BATCH, .sum = &shared[free_slot]};
    spawn(s, j);
    if (j->pid < 0)
      return false;
    at += (size_t)j->n;
    running++;
  }
  return munmap(shared, sizeof *shared * MAX_JOBS) == 0;
}

// Is the backend's device there, and has it f64? Asked in a process of its own:
// a driver's threads do not survive a fork.
enum { DEVICE_FULL = 0, DEVICE_NO_F64 = 1, DEVICE_NONE = 2 };

static int ask_device(const char *backend) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    fv_diag_printer printer = {.out = stderr};
    fv_diag_sink diag = {.emit = fv_diag_print, .user = &printer};
    fv_backend b;
    fv_device *d = NULL;
    fv_report report = {.diag = &diag};
    if (fv_backend_find(backend, &diag, &b) != FV_OK ||
        b.open(fv_host_table(), NULL, 0, &report, &d) != FV_PLUGIN_OK)
      _exit(DEVICE_NONE);
    const bool no_f64 = !b.run_graph && !b.target(d)->has_f64;
    b.close(d);
    _exit(no_f64 ? DEVICE_NO_F64 : DEVICE_FULL);
  }
  int status;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
    return DEVICE_NONE;
  return WEXITSTATUS(status);
}

//===-- Options ------------------------------------------------------------------------------===//

static const char *value_of(const char *arg, const char *option) {
  const size_t n = strlen(option);
  return strncmp(arg, option, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static bool parse(int argc, char **argv, settings *s) {
  const char *v;
  s->batch.option = calloc((size_t)argc, sizeof *s->batch.option);
  if (!s->batch.option)
    return false;
  for (int i = 1; i < argc; i++) {
    if ((v = value_of(argv[i], "--backend")))
      s->batch.backend = v;
    else if ((v = value_of(argv[i], "--option")))
      s->batch.option[s->batch.n_option++] = v;
    else if ((v = value_of(argv[i], "--op")))
      s->op = v;
    else if ((v = value_of(argv[i], "--dtype")))
      s->dtype = v;
    else if ((v = value_of(argv[i], "--case")))
      s->only = atoi(v);
    else if ((v = value_of(argv[i], "--seed")))
      s->batch.seed = strtoull(v, NULL, 10);
    else if ((v = value_of(argv[i], "--sample")))
      s->sample = atoi(v);
    else if ((v = value_of(argv[i], "--jobs")))
      s->jobs = atoi(v);
    else if (strcmp(argv[i], "--full") == 0)
      s->full = true;
    else if (strcmp(argv[i], "--list") == 0)
      s->list = true;
    else
      return false;
  }
  return s->sample > 0 && s->jobs >= 0 && s->jobs <= MAX_JOBS;
}

static int summarize(const settings *set, int device, totals *sum) {
  if (device == DEVICE_FULL && sum->skipped != EXPECTED_SKIPS) {
    printf("FAIL: %d cases were declined, expected %d\n", sum->skipped, EXPECTED_SKIPS);
    sum->failed++;
  }
  if (sum->passed + sum->failed + sum->skipped == 0) {
    printf("FAIL: no such case of backend %s\n", set->batch.backend);
    sum->failed++;
  }
  printf("%d passed, %d failed, %d skipped\n", sum->passed, sum->failed, sum->skipped);
  return sum->failed > 0;
}

static int run_cases(const settings *set) {
  const int device = set->list ? DEVICE_FULL : ask_device(set->batch.backend);
  if (device == DEVICE_NONE) {
    printf("backend '%s' has no device here\n0 passed, 0 failed, 1 skipped\n", set->batch.backend);
    return 77;
  }
  suite s = {.set = set};
  for (int op = 0; op < FV_OP_COUNT; op++)
    if (!set->op || strcmp(set->op, fv_op_get((fv_op)op)->name) == 0)
      case_each((fv_op)op, set->full || set->only >= 0, collect, &s);
  totals sum = {0};
  bool ok = !s.failed;
  for (size_t i = 0; set->list && i < s.n; i++)
    printf("%s %d %s\n", fv_op_get(s.c[i].op)->name, s.c[i].number, fv_dtype_name(s.c[i].t));
  if (!set->list && ok) {
    printf("backend %s, seed %llu\n", set->batch.backend, (unsigned long long)set->batch.seed);
    if (set->jobs == 0)
      batch_run(&set->batch, s.c, (int)s.n, &sum);
    else
      ok = run_all(&s, &sum);
  }
  free(s.c);
  if (!ok) {
    fputs("out of memory or processes\n", stderr);
    return 1;
  }
  return set->list ? 0 : summarize(set, device, &sum);
}

int main(int argc, char **argv) {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  settings set = {.batch = {.backend = "llvm", .seed = 1},
                  .only = -1,
                  .sample = 1,
                  .jobs = cores < 1          ? 1
                          : cores > MAX_JOBS ? MAX_JOBS
                                             : (int)cores};
  if (!parse(argc, argv, &set)) {
    fputs(
        "usage: test_conformance [--backend=B] [--option=KEY=VALUE] [--op=NAME] [--case=N] "
        "[--dtype=T] [--seed=N] "
        "[--sample=K] [--full] [--jobs=N] [--list]\n",
        stderr);
    free(set.batch.option);
    return 2;
  }
  const int status = run_cases(&set);
  free(set.batch.option);
  return status;
}
