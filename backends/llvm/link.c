// SPDX-License-Identifier: Apache-2.0
// Runs ld.lld on files that have no names.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "llvm_backend.h"

extern char **environ;

static int32_t failed(llvm_linker *l, const char *what, const char *name) {
  return llvm_report(l->host, l->report, FV_PLUGIN_IO, "llvm: cannot %s '%s': %s", what, name,
                     strerror(errno));
}

//===-- Finding the linker ----------------------------------------------===//

// folder/name if it can be run; NULL if not.
static char *runnable(const char *folder, size_t n, const char *name) {
  char *path = malloc(n + strlen(name) + 2);
  if (!path)
    return NULL;
  memcpy(path, folder, n);
  path[n] = '/';
  strcpy(path + n + 1, name);
  if (access(path, X_OK) == 0)
    return path;
  free(path);
  return NULL;
}

static char *find_linker(void) {
  static const char *const names[] = {"ld.lld-19", "ld.lld"};
  static const char known[] = "/usr/lib/llvm-19/bin";
  const char *env = getenv("PATH");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    for (const char *p = env ? env : ""; *p; p += strspn(p, ":")) {
      const size_t n = strcspn(p, ":");
      // Relative folders would mean another place: the linker runs elsewhere.
      char *path = n > 0 && *p == '/' ? runnable(p, n, names[i]) : NULL;
      if (path)
        return path;
      p += n;
    }
  return runnable(known, strlen(known), "ld.lld");
}

//===-- Files -----------------------------------------------------------===//

// Files without names, so that nothing is left whatever ends this process: on the disk, in the
// folder of temporary files, or, where that has none, in memory. The linker opens them through
// /proc under the numbers that they have here.
static const char *temporary_folder(void) {
  const char *tmp = getenv("TMPDIR");
  return tmp && tmp[0] == '/' ? tmp : "/tmp";
}

static int open_unnamed(void) {
  const int fd = open(temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return fd >= 0 ? fd : memfd_create("fovea", MFD_CLOEXEC);
}

static bool write_all(int fd, const void *data, size_t size) {
  const char *p = data;
  while (size > 0) {
    const size_t chunk = size < (1u << 30) ? size : 1u << 30;
    const ssize_t n = write(fd, p, chunk);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    p += n;
    size -= (size_t)n;
  }
  return true;
}

static int32_t open_file(llvm_linker *l, llvm_file f) {
  l->fd[f] = open_unnamed();
  if (l->fd[f] < 0)
    return failed(l, "make a temporary file in", temporary_folder());
  snprintf(l->path[f], sizeof l->path[f], "/proc/self/fd/%d", l->fd[f]);
  return FV_PLUGIN_OK;
}

int32_t llvm_linker_add(llvm_linker *l, llvm_file f, const llvm_piece *piece, size_t count) {
  const int32_t status = l->fd[f] < 0 ? open_file(l, f) : FV_PLUGIN_OK;
  if (status != FV_PLUGIN_OK)
    return status;
  for (size_t i = 0; i < count; i++)
    if (!write_all(l->fd[f], piece[i].data, piece[i].size))
      return failed(l, "write a temporary file in", temporary_folder());
  return FV_PLUGIN_OK;
}

static void free_blob(void *data, size_t size) {
  (void)size;
  free(data);
}

int32_t llvm_linker_read(llvm_linker *l, llvm_file f, size_t spare, fv_blob *out) {
  struct stat st;
  if (fstat(l->fd[f], &st) != 0)
    return failed(l, "read from", temporary_folder());
  const size_t size = (size_t)st.st_size;
  char *data = size <= SIZE_MAX - spare ? calloc(1, size + spare) : NULL;
  if (!data)
    return llvm_report(l->host, l->report, FV_PLUGIN_OOM, "llvm: out of memory");
  for (size_t at = 0; at < size;) {
    const ssize_t n = pread(l->fd[f], data + at, size - at, (off_t)at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      errno = n ? errno : EIO;
      free(data);
      return failed(l, "read from", temporary_folder());
    }
    at += (size_t)n;
  }
  *out = (fv_blob){.data = data, .size = size, .release = free_blob};
  return FV_PLUGIN_OK;
}

int32_t llvm_linker_add_buffer(llvm_linker *l, llvm_file f, LLVMMemoryBufferRef b) {
  const llvm_piece piece = {LLVMGetBufferStart(b), LLVMGetBufferSize(b)};
  return llvm_linker_add(l, f, &piece, 1);
}

int32_t llvm_linker_add_text(llvm_linker *l, llvm_file f, const char *text) {
  const llvm_piece piece = {text, strlen(text)};
  return llvm_linker_add(l, f, &piece, 1);
}

//===-- Life ------------------------------------------------------------===//

int32_t llvm_linker_open(llvm_linker *l, const fv_host *host, fv_report *r, const char *program) {
  *l = (llvm_linker){.host = host, .report = r};
  for (int f = 0; f < LLVM_FILE_COUNT; f++)
    l->fd[f] = -1;
  l->program = program ? strdup(program) : find_linker();
  if (!l->program)
    return llvm_report(host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: making a library needs ld.lld (Debian package lld-19): not found");
  return FV_PLUGIN_OK;
}

void llvm_linker_close(llvm_linker *l) {
  for (int f = 0; f < LLVM_FILE_COUNT; f++)
    if (l->fd[f] >= 0)
      close(l->fd[f]);
  free(l->program);
  *l = (llvm_linker){0};
}

//===-- Running ---------------------------------------------------------===//

// Starts the program where no file has a name that its arguments could mean. Its results go to
// `out` through standard output, since it would look beside any other place for room; what it
// says goes to `words`.
static int start(llvm_linker *l, const char **argv, char **env, int out, int words, pid_t *pid) {
  posix_spawn_file_actions_t a;
  int err = posix_spawn_file_actions_init(&a);
  if (err)
    return err;
  err = posix_spawn_file_actions_addchdir_np(&a, "/proc/self");
  // A file that is put onto its own number stays open in the program.
  for (int f = 0; f < LLVM_FILE_COUNT && !err; f++)
    if (l->fd[f] >= 0)
      err = posix_spawn_file_actions_adddup2(&a, l->fd[f], l->fd[f]);
  if (!err)
    err = posix_spawn_file_actions_addopen(&a, 0, "/dev/null", O_RDONLY, 0);
  if (!err)
    err = posix_spawn_file_actions_adddup2(&a, out, 1);
  if (!err)
    err = posix_spawn_file_actions_adddup2(&a, words, 2);
  if (!err) {
    char **args;  // posix_spawn does not write to the strings
    memcpy(&args, &argv, sizeof args);
    err = posix_spawn(pid, l->program, &a, NULL, args, env);
  }
  posix_spawn_file_actions_destroy(&a);
  return err;
}

// The caller's environment, and that an LLVM program that crashes shall leave no files. From
// malloc.
static char **environment(void) {
  static char quiet[] = "LLVM_DISABLE_SYMBOLIZATION=1";
  size_t n = 0;
  while (environ[n])
    n++;
  char **env = malloc((n + 2) * sizeof *env);
  if (!env)
    return NULL;
  env[0] = quiet;
  memcpy(env + 1, environ, (n + 1) * sizeof *env);
  return env;
}

// All that the program says, of which the beginning is kept.
static void listen_to(int fd, char *text, size_t size) {
  char drop[512];
  for (size_t at = 0;;) {
    const bool room = at + 1 < size;
    const ssize_t n = read(fd, room ? text + at : drop, room ? size - 1 - at : sizeof drop);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    at += room ? (size_t)n : 0;
  }
}

// Whether the disk is to blame can be told by the program's words alone: the error of the
// system that they name, or 0.
static int blamed_error(const char *text) {
  static const int errors[] = {ENOSPC, EDQUOT, EFBIG, EIO, EROFS};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (strstr(text, strerror(errors[i])))
      return errors[i];
  return 0;
}

static int32_t run_failed(llvm_linker *l, int status, char *text) {
  const int error = blamed_error(text);
  if (error)
    return llvm_report(l->host, l->report, FV_PLUGIN_IO, "llvm: %s cannot write to '%s': %s",
                       l->program, temporary_folder(), strerror(error));
  if (WIFSIGNALED(status))
    return llvm_report(l->host, l->report, FV_PLUGIN_FAILED, "llvm: %s was ended by signal %d: %s",
                       l->program, WTERMSIG(status), text);
  const size_t n = strlen(text);
  if (n > 0 && text[n - 1] == '\n')
    text[n - 1] = 0;
  return llvm_report(l->host, l->report, FV_PLUGIN_FAILED, "llvm: %s failed: %s", l->program, text);
}

// The linker does not look whether its standard output took all. Its results end with the table of
// sections, which their head tells the place of.
static bool is_whole(int fd) {
  Elf64_Ehdr h;
  struct stat st;
  return fstat(fd, &st) == 0 && pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h &&
         h.e_shoff + (uint64_t)h.e_shnum * sizeof(Elf64_Shdr) <= (uint64_t)st.st_size;
}

int32_t llvm_linker_run(llvm_linker *l, const char **argv, llvm_file out) {
  pid_t pid = 0, got;
  int fd[2];
  int32_t opened = open_file(l, out);
  int status = 0;
  if (opened != FV_PLUGIN_OK)
    return opened;
  char text[1536] = "";
  argv[0] = "ld.lld";
  if (pipe2(fd, O_CLOEXEC) != 0)
    return failed(l, "make a pipe to", l->program);
  char **env = environment();
  const int err = env ? start(l, argv, env, l->fd[out], fd[1], &pid) : ENOMEM;
  free(env);
  close(fd[1]);
  if (!err)
    listen_to(fd[0], text, sizeof text);
  close(fd[0]);
  if (err)
    return llvm_report(l->host, l->report, FV_PLUGIN_FAILED, "llvm: cannot run %s: %s", l->program,
                       strerror(err));
  do
    got = waitpid(pid, &status, 0);
  while (got < 0 && errno == EINTR);
  // A host that ignores SIGCHLD leaves us without a status; the missing
  // output is then found when it is read.
  const bool good = got < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
  if (good && !is_whole(l->fd[out]))
    return llvm_report(l->host, l->report, FV_PLUGIN_IO,
                       "llvm: what %s wrote to a file in '%s' is cut short: no space left?",
                       l->program, temporary_folder());
  if (good)
    return FV_PLUGIN_OK;
  return run_failed(l, status, text);
}
