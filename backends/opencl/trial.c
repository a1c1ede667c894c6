// SPDX-License-Identifier: Apache-2.0
// Drivers are asked in a child process first: there are some that end the process that asks
// (PoCL without /sys, or with an empty POCL_CACHE_DIR), which is not theirs. What is known of
// them is known of this process, so that it is asked once.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "opencl.h"

enum { SECONDS = 60 };  // a driver that takes longer does not answer

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char refusal[512];  // "": they answer

static void ask(int words) {
  static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
    signal(fatal[i], SIG_DFL);  // the host's handlers are none of this process
  dup2(words, STDOUT_FILENO);
  dup2(words, STDERR_FILENO);
  alarm(SECONDS);
  cl_platform_id platform[16];
  cl_uint n = 0, devices;
  if (clGetPlatformIDs(16, platform, &n) == CL_SUCCESS)
    for (cl_uint i = 0; i < n && i < 16; i++)
      (void)clGetDeviceIDs(platform[i], CL_DEVICE_TYPE_ALL, 0, NULL, &devices);
  _exit(0);
}

// The last line of what it says.
static void listen_to(int fd, char *line, size_t size) {
  char c;
  size_t at = 0;
  bool ended = false;
  line[0] = '\0';
  for (;;) {
    const ssize_t n = read(fd, &c, 1);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    if (ended && c != '\n')
      at = 0;
    ended = c == '\n';
    if (!ended && at + 1 < size) {
      line[at++] = c;
      line[at] = '\0';
    }
  }
}

static void try_drivers(void) {
  int fd[2], status = 0;
  char line[320];
  if (pipe2(fd, O_CLOEXEC) != 0)
    return;  // nothing is known; the drivers are asked all the same
  const pid_t child = fork();
  if (child == 0)
    ask(fd[1]);
  close(fd[1]);
  if (child > 0)
    listen_to(fd[0], line, sizeof line);
  close(fd[0]);
  pid_t got = -1;
  while (child > 0 && (got = waitpid(child, &status, 0)) < 0 && errno == EINTR)
    continue;
  if (got < 0 || !WIFSIGNALED(status))
    return;
  if (WTERMSIG(status) == SIGALRM)
    snprintf(refusal, sizeof refusal, "the OpenCL drivers do not answer within %d seconds",
             SECONDS);
  else
    snprintf(refusal, sizeof refusal,
             "an OpenCL driver ends the process that asks for its devices, by signal %d%s%s",
             WTERMSIG(status), line[0] ? ": " : "", line);
}

const char *cl_drivers_refuse(void) {
  pthread_once(&once, try_drivers);
  return refusal[0] ? refusal : NULL;
}
