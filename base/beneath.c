// SPDX-License-Identifier: Apache-2.0
#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int open_dir(const char *dir) {
  const int fd = open(dir[0] ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

bool fv__leaves(const char *name) {
  if (name[0] == '/')
    return true;
  for (const char *p = name; *p; p += strspn(p, "/")) {
    const size_t n = strcspn(p, "/");
    if (n == 2 && p[0] == '.' && p[1] == '.')
      return true;
    p += n;
  }
  return false;
}

int fv__open_beneath_walk(const char *dir, const char *name) {
  if (fv__leaves(name))
    return -EXDEV;
  int at = open_dir(dir);
  const char *p = name;
  while (at >= 0) {
    char part[NAME_MAX + 1];
    const size_t n = strcspn(p, "/");
    const char *rest = p + n + strspn(p + n, "/");
    int fd = -1;
    errno = n == 0 ? ENOENT : ENAMETOOLONG;
    if (n > 0 && n <= NAME_MAX) {
      memcpy(part, p, n);
      part[n] = '\0';
      fd = openat(at, part,
                  *rest ? O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC : READ_FLAGS | O_NOFOLLOW);
    }
    const int error = errno;
    close(at);
    if (fd < 0)
      return -error;
    if (!*rest)
      return fd;
    at = fd;
    p = rest;
  }
  return at;
}

#ifdef SYS_openat2
#include <linux/openat2.h>

int fv__open_beneath(const char *dir, const char *name) {
  if (fv__leaves(name))
    return -EXDEV;
  const int at = open_dir(dir);
  if (at < 0)
    return at;
  const struct open_how how = {.flags = READ_FLAGS,
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  int fd = -1, error = EAGAIN;
  // EAGAIN: something was renamed meanwhile, and the kernel could not tell.
  for (int i = 0; i < 100 && fd < 0 && (error == EAGAIN || error == EINTR); i++) {
    fd = (int)syscall(SYS_openat2, at, name, &how, sizeof how);
    error = fd < 0 ? errno : 0;
  }
  close(at);
  if (fd >= 0)
    return fd;
  // Old kernels do not know the call, old sandboxes forbid it.
  if (error == ENOSYS || error == EPERM)
    return fv__open_beneath_walk(dir, name);
  return -error;
}
#else
int fv__open_beneath(const char *dir, const char *name) {
  return fv__open_beneath_walk(dir, name);
}
#endif
