// SPDX-License-Identifier: Apache-2.0
//
// The fovea command: finds the subcommand and runs it.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

typedef struct start {
  fv_arena *arena;
  int argc;
  char **argv;
} start;

// JSON is for programs: they want the reasons in JSON too. Looked for before
// the options are read, so that errors in those come out right.
static bool wants_json(int argc, char *const *argv) {
  for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--diagnostics=json") == 0 ||
        (strcmp(argv[i], "--diagnostics") == 0 && i + 1 < argc && strcmp(argv[i + 1], "json") == 0))
      return true;
  return false;
}

static fv_status run_all(void *user) {
  start *a = user;
  tool t = {.arena = a->arena};
  const command *c;
  t.diag = report_create(a->arena, wants_json(a->argc, a->argv));
  if (a->argc < 2) {
    fv_str s = {.arena = a->arena};
    put_overview(&s);
    fputs(s.data, stderr);
    return FV_ERR_ARG;
  }
  FV_TRY(command_find(&t, a->argv[1], &c));
  const fv_status s = command_execute(&t, c, a->argc - 2, a->argv + 2);
  const fv_status closed = close_output(&t);
  return s != FV_OK ? s : closed;
}

//===-- The process -------------------------------------------------------===//

static void on_interrupt(int signal) {
  (void)signal;
  _exit(130);
}

static void set_signals(void) {
  const struct sigaction stop = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &stop, NULL);
  // A limit on file sizes is an error of write() and no reason to die.
  const struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGXFSZ, &ignore, NULL);
}

// A standard stream that is closed would be the next file that is opened, and
// messages would go into it. What is opened here instead cannot be used the way
// the stream would be, so that its use is the error that it would have been.
static bool hold_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
        open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
      return false;
  return true;
}

int main(int argc, char **argv) {
  if (!hold_streams())
    return fv_status_exit_code(FV_ERR_IO);
  set_signals();
  fv_arena *ar = fv_arena_create(NULL);
  if (!ar) {
    fputs("fovea: error: out of memory\n", stderr);
    return fv_status_exit_code(FV_ERR_OOM);
  }
  start a = {ar, argc, argv};
  const char *bug = NULL;
  const fv_status s = fv_arena_protect(ar, run_all, &a, &bug);
  if (s == FV_ERR_INTERNAL && bug)
    fprintf(stderr, "fovea: error: internal error, please report it: %s\n", bug);
  else if (s == FV_ERR_OOM)
    fputs("fovea: error: out of memory\n", stderr);
  fv_arena_destroy(ar);
  return fv_status_exit_code(s);
}
