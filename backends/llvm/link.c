// SPDX-License-Identifier: Apache-2.0
// Runs ld.lld on files in a private folder, which is removed in any case.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "llvm_backend.h"

extern char **environ;

static int32_t failed(llvm_linker *l, const char *what, const char *name) {
  return llvm_report(l->host, l->report, FV_PLUGIN_IO, "llvm: cannot %s '%s': %s", what, name,
                     strerror(errno));
}

static int32_t no_memory(llvm_linker *l) {
  return llvm_report(l->host, l->report, FV_PLUGIN_OOM, "llvm: out of memory");
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

static int open_folder(const llvm_linker *l) {
  return open(l->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

int32_t llvm_linker_add(llvm_linker *l, const llvm_file *f) {
  const int dir = open_folder(l);
  if (dir < 0)
    return failed(l, "open", l->folder);
  const int fd = openat(dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  close(dir);
  if (fd < 0)
    return failed(l, "create temporary file", f->name);
  bool ok = true;
  for (size_t i = 0; ok && i < sizeof f->piece / sizeof *f->piece; i++)
    ok = write_all(fd, f->piece[i].data, f->piece[i].size);
  const int32_t status = ok ? FV_PLUGIN_OK : failed(l, "write temporary file", f->name);
  if (close(fd) != 0 && ok)
    return failed(l, "write temporary file", f->name);
  return status;
}

static void free_blob(void *data, size_t size) {
  (void)size;
  free(data);
}

static int32_t read_all(llvm_linker *l, int fd, const char *name, fv_blob *out) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return failed(l, "read", name);
  const size_t size = (size_t)st.st_size;
  char *data = malloc(size + 1);
  if (!data)
    return no_memory(l);
  size_t at = 0;
  while (at < size) {
    const ssize_t n = read(fd, data + at, size - at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      const int32_t status = failed(l, "read", name);
      free(data);
      return status;
    }
    at += (size_t)n;
  }
  data[size] = 0;
  *out = (fv_blob){.data = data, .size = size, .release = free_blob};
  return FV_PLUGIN_OK;
}

int32_t llvm_linker_read(llvm_linker *l, const char *name, fv_blob *out) {
  const int dir = open_folder(l);
  if (dir < 0)
    return failed(l, "open", l->folder);
  const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
  close(dir);
  if (fd < 0)
    return failed(l, "open", name);
  const int32_t status = read_all(l, fd, name, out);
  close(fd);
  return status;
}

//===-- Life ------------------------------------------------------------===//

int32_t llvm_linker_open(llvm_linker *l, const fv_host *host, fv_report *r, const char *program) {
  *l = (llvm_linker){.host = host, .report = r};
  const char *tmp = getenv("TMPDIR");
  if (!tmp || tmp[0] != '/' || strlen(tmp) > sizeof l->folder - 32)
    tmp = "/tmp";
  l->program = program ? strdup(program) : find_linker();
  if (!l->program)
    return llvm_report(host, r, FV_PLUGIN_UNSUPPORTED,
                       "llvm: making a library needs ld.lld (Debian package lld-19): not found");
  snprintf(l->folder, sizeof l->folder, "%s/fovea-XXXXXX", tmp);
  if (mkdtemp(l->folder))
    return FV_PLUGIN_OK;
  l->folder[0] = 0;
  return failed(l, "make a folder in", tmp);
}

void llvm_linker_close(llvm_linker *l) {
  const int dir = l->folder[0] ? open_folder(l) : -1;
  DIR *d = dir >= 0 ? fdopendir(dir) : NULL;
  if (d) {
    for (struct dirent *e = readdir(d); e; e = readdir(d))
      if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
  } else if (dir >= 0) {
    close(dir);
  }
  if (l->folder[0])
    rmdir(l->folder);
  free(l->program);
  *l = (llvm_linker){0};
}

//===-- Running ---------------------------------------------------------===//

// Starts the program in the folder, its output going to a pipe.
static int start(llvm_linker *l, const char **argv, char **env, int output, pid_t *pid) {
  posix_spawn_file_actions_t a;
  int err = posix_spawn_file_actions_init(&a);
  if (err)
    return err;
  err = posix_spawn_file_actions_addchdir_np(&a, l->folder);
  if (!err)
    err = posix_spawn_file_actions_addopen(&a, 0, "/dev/null", O_RDONLY, 0);
  if (!err)
    err = posix_spawn_file_actions_adddup2(&a, output, 1);
  if (!err)
    err = posix_spawn_file_actions_adddup2(&a, output, 2);
  if (!err) {
    char **args;  // posix_spawn does not write to the strings
    memcpy(&args, &argv, sizeof args);
    err = posix_spawn(pid, l->program, &a, NULL, args, env);
  }
  posix_spawn_file_actions_destroy(&a);
  return err;
}

// The caller's environment, but for the place of temporary files, which is the folder: an LLVM
// program that crashes leaves some. From malloc.
static char **environment(const char *folder_is) {
  size_t n = 0;
  while (environ[n])
    n++;
  char **env = malloc((n + 2) * sizeof *env);
  if (!env)
    return NULL;
  memcpy(env, &folder_is, sizeof *env);
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
  // lld maps its output: a disk without room for a page of it is a bus error.
  const int error = WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS ? ENOSPC : blamed_error(text);
  if (error)
    return llvm_report(l->host, l->report, FV_PLUGIN_IO, "llvm: %s cannot write to '%s': %s",
                       l->program, l->folder, strerror(error));
  if (WIFSIGNALED(status))
    return llvm_report(l->host, l->report, FV_PLUGIN_FAILED, "llvm: %s was ended by signal %d: %s",
                       l->program, WTERMSIG(status), text);
  const size_t n = strlen(text);
  if (n > 0 && text[n - 1] == '\n')
    text[n - 1] = 0;
  return llvm_report(l->host, l->report, FV_PLUGIN_FAILED, "llvm: %s failed: %s", l->program, text);
}

int32_t llvm_linker_run(llvm_linker *l, const char **argv) {
  pid_t pid = 0, got;
  int status = 0, fd[2];
  char text[1536] = "";
  argv[0] = "ld.lld";
  if (pipe2(fd, O_CLOEXEC) != 0)
    return failed(l, "make a pipe to", l->program);
  char temporary[sizeof l->folder + 8];
  snprintf(temporary, sizeof temporary, "TMPDIR=%s", l->folder);
  char **env = environment(temporary);
  const int err = env ? start(l, argv, env, fd[1], &pid) : ENOMEM;
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
  if (got < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
    return FV_PLUGIN_OK;
  return run_failed(l, status, text);
}
