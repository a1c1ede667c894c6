// SPDX-License-Identifier: Apache-2.0
// Random graphs on a backend, against the reference.
//
//   fuzz_graphs [--backend=llvm] [--seed=FIRST] [--count=N | --seconds=N] [--jobs=N]
//               [--no-shrink] [--print] [--text=FILE [--passes=P]]
//
// Seeds FIRST, FIRST + 1, ... each make one module (gen.h); each is compiled and
// run in a process of its own. A seed that fails is printed as the line that runs
// it again and, made small, in the text form, which --text=FILE runs.
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/gen.h"

enum { MAX_JOBS = 64 };

typedef struct options {
  fuzz_settings set;
  uint64_t seed, count;
  int seconds, jobs;
  bool no_shrink, print;
  const char *text;
} options;

typedef struct making {
  fv_arena *arena;
  uint64_t seed;
  fv_str *out;
} making;

static fv_status make(void *user) {
  making *k = user;
  fv_module *m;
  fuzz_generate(k->arena, k->seed, &m);
  fv_text_print(m, k->out);
  return FV_OK;
}

static const char *passes_of(uint64_t seed) {
  return seed % 5 == 3 ? "O0" : "O2";
}

static fuzz_verdict report(const options *o, fv_arena *ar, fuzz_verdict v, fv_str *text) {
  printf("FAIL (%s): fuzz_graphs --backend=%s%s%s --passes=%s --seed=%llu --count=1\n",
         fuzz_verdict_name[v], o->set.backend, o->set.option ? " --option=" : "",
         o->set.option ? o->set.option : "", o->set.passes, (unsigned long long)o->seed);
  if (!o->no_shrink)
    fuzz_shrink(ar, &o->set, v, text);
  fuzz_settings loud = o->set;
  loud.tell = stdout;
  fuzz_check_apart(&loud, text->data, text->size);
  printf("%s\n", text->data);
  return v;
}

static fuzz_verdict check_seed(const options *o, uint64_t seed) {
  fv_arena *ar = fv_arena_create(NULL);
  fv_str text = {.arena = ar};
  making k = {ar, seed, &text};
  options one = *o;
  const char *bug = NULL;
  fuzz_verdict v = FUZZ_SAME;
  one.seed = seed;
  if (!one.set.passes)
    one.set.passes = passes_of(seed);
  if (!ar || fv_arena_protect(ar, make, &k, &bug) != FV_OK) {
    printf("FAIL (building): fuzz_graphs --seed=%llu --count=1: %s\n", (unsigned long long)seed,
           bug ? bug : "out of memory");
    v = FUZZ_INVALID;
  } else if (o->print) {
    printf("%s", text.data);
  } else {
    v = fuzz_check_apart(&one.set, text.data, text.size);
    if (v != FUZZ_SAME)
      v = report(&one, ar, v, &text);
  }
  fv_arena_destroy(ar);
  return v;
}

//===-- Many -------------------------------------------------------------------------===//

typedef struct tally {
  uint64_t passed, failed;
} tally;

static void finish_one(tally *t) {
  int status;
  if (wait(&status) < 0)
    return;
  if (status == 0)
    t->passed++;
  else
    t->failed++;
}

static tally run_seeds(const options *o) {
  const time_t end = time(NULL) + o->seconds;
  tally t = {0};
  int running = 0;
  for (uint64_t i = 0; o->seconds ? time(NULL) < end : i < o->count; i++) {
    if (running == o->jobs) {
      finish_one(&t);
      running--;
    }
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
      const fuzz_verdict v = check_seed(o, o->seed + i);
      fflush(stdout);
      _exit(v != FUZZ_SAME);
    }
    if (pid < 0)
      t.failed++;
    else
      running++;
  }
  while (running-- > 0)
    finish_one(&t);
  return t;
}

static int run_text(const options *o) {
  fv_arena *ar = fv_arena_create(NULL);
  fv_diag_printer printer = {.out = stderr};
  fv_diag_sink diag = {.emit = fv_diag_print, .user = &printer};
  char *data;
  size_t size;
  fuzz_settings set = o->set;
  set.tell = stdout;
  if (!ar || fv_file_read(ar, o->text, 64 << 20, &diag, NULL, &data, &size) != FV_OK)
    return 2;
  const fuzz_verdict v = fuzz_check(&set, data, size);
  printf("%s\n", fuzz_verdict_name[v]);
  fv_arena_destroy(ar);
  return v != FUZZ_SAME;
}

//===-- Options ------------------------------------------------------------------------===//

static const char *value_of(const char *arg, const char *option) {
  const size_t n = strlen(option);
  return strncmp(arg, option, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static bool parse(int argc, char **argv, options *o) {
  const char *v;
  for (int i = 1; i < argc; i++) {
    if ((v = value_of(argv[i], "--backend")))
      o->set.backend = v;
    else if ((v = value_of(argv[i], "--option")))
      o->set.option = v;
    else if ((v = value_of(argv[i], "--passes")))
      o->set.passes = v;
    else if ((v = value_of(argv[i], "--seed")))
      o->seed = strtoull(v, NULL, 10);
    else if ((v = value_of(argv[i], "--count")))
      o->count = strtoull(v, NULL, 10);
    else if ((v = value_of(argv[i], "--seconds")))
      o->seconds = atoi(v);
    else if ((v = value_of(argv[i], "--jobs")))
      o->jobs = atoi(v);
    else if ((v = value_of(argv[i], "--text")))
      o->text = v;
    else if (strcmp(argv[i], "--no-shrink") == 0)
      o->no_shrink = true;
    else if (strcmp(argv[i], "--print") == 0)
      o->print = true;
    else
      return false;
  }
  return o->jobs > 0 && o->jobs <= MAX_JOBS;
}

int main(int argc, char **argv) {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  options o = {.set = {.backend = "llvm", .seconds = 60},
               .seed = 1,
               .count = 100,
               .jobs = cores < 1          ? 1
                       : cores > MAX_JOBS ? MAX_JOBS
                                          : (int)cores};
  if (!parse(argc, argv, &o)) {
    fputs(
        "usage: fuzz_graphs [--backend=B] [--option=KEY=VALUE] [--passes=P] [--seed=N]\n"
        "                   [--count=N | --seconds=N] [--jobs=N] [--no-shrink] [--print] "
        "[--text=FILE]\n",
        stderr);
    return 2;
  }
  if (o.text)
    return run_text(&o);
  const tally t = run_seeds(&o);
  printf("%llu passed, %llu failed, 0 skipped\n", (unsigned long long)t.passed,
         (unsigned long long)t.failed);
  return t.failed > 0;
}
