// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/checked.h"

static fv_status fail(fv_diag_sink *diag, const fv_span *span, const char *what, const char *path,
                      int error) {
  char buf[256];
#ifdef __GLIBC__
  const char *text = strerror_r(error, buf, sizeof buf);
#else
  const char *text = strerror_r(error, buf, sizeof buf) == 0 ? buf : "unknown error";
#endif
  return fv_error(diag, FV_ERR_IO, span, "cannot %s '%s': %s", what, path, text);
}

// Descriptors hang on the arena, since any allocation may jump; +1, because an
// empty slot is NULL and descriptor 0 is not.
static void close_handle(void *handle) {
  close((int)((intptr_t)handle - 1));
}

static void close_slot(void **slot) {
  if (*slot)
    close_handle(*slot);
  *slot = NULL;
}

// Only regular files: a FIFO would make us wait for ever, a device has no size.
static fv_status check_regular(int fd, const char *path, fv_diag_sink *diag, const fv_span *span,
                               size_t *out_size) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return fail(diag, span, "read", path, errno);
  if (S_ISDIR(st.st_mode))
    return fail(diag, span, "read", path, EISDIR);
  if (!S_ISREG(st.st_mode))
    return fv_error(diag, FV_ERR_IO, span, "cannot read '%s': not a regular file", path);
  if (st.st_size > FV_MAX_BYTES)
    return fv_error(diag, FV_ERR_LIMIT, span, "'%s' is too large", path);
  *out_size = (size_t)st.st_size;
  return FV_OK;
}

static int open_for_reading(const char *path) {
  int fd;
  do
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : fd;
}

static fv_status too_large(fv_diag_sink *diag, const fv_span *span, const char *path,
                           size_t max_bytes) {
  return fv_error(diag, FV_ERR_LIMIT, span, "'%s' has more than %zu bytes", path, max_bytes);
}

// Some files, those in /proc, do not tell their size; others grow meanwhile. So
// the end is where read() says it is.
static fv_status read_all(fv_arena *ar, int fd, const char *path, size_t expected, size_t max_bytes,
                          fv_diag_sink *diag, const fv_span *span, char **out_data,
                          size_t *out_size) {
  size_t size = 0, cap = expected + 1;
  char *data = fv_arena_alloc(ar, cap);
  for (;;) {
    if (size + 1 >= cap) {
      char extra;
      ssize_t n;
      do
        n = read(fd, &extra, 1);
      while (n < 0 && errno == EINTR);
      if (n < 0)
        return fail(diag, span, "read", path, errno);
      if (n == 0)
        break;
      if (size >= max_bytes)
        return too_large(diag, span, path, max_bytes);
      data = fv_arena_grow(ar, data, 1, cap, &cap);
      data[size++] = extra;
      continue;
    }
    const ssize_t n = read(fd, data + size, cap - size - 1);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail(diag, span, "read", path, errno);
    if (n == 0)
      break;
    size += (size_t)n;
    if (size > max_bytes)
      return too_large(diag, span, path, max_bytes);
  }
  data[size] = '\0';
  *out_data = data;
  *out_size = size;
  return FV_OK;
}

fv_status fv_file_read(fv_arena *ar, const char *path, size_t max_bytes, fv_diag_sink *diag,
                       const fv_span *span, char **out_data, size_t *out_size) {
  void **slot = fv_arena_defer(ar, close_handle);
  const int fd = open_for_reading(path);
  if (fd < 0)
    return fail(diag, span, "open", path, -fd);
  *slot = (void *)((intptr_t)fd + 1);
  size_t size = 0;
  fv_status s = check_regular(fd, path, diag, span, &size);
  if (s == FV_OK && size > max_bytes)
    s = too_large(diag, span, path, max_bytes);
  if (s == FV_OK)
    s = read_all(ar, fd, path, size, max_bytes, diag, span, out_data, out_size);
  close_slot(slot);
  return s;
}

static void unmap(void *handle) {
  const fv_mapping *m = handle;
  munmap((void *)(uintptr_t)m->data, m->size);
}

// The descriptor stays the caller's.
static fv_status map_fd(fv_arena *ar, void **slot, const char *path, fv_diag_sink *diag,
                        const fv_span *span, const void **out_data, size_t *out_size) {
  const int fd = (int)((intptr_t)*slot - 1);
  fv_mapping *m = FV_NEW(ar, fv_mapping);
  void **mapped = fv_arena_defer(ar, unmap);
  FV_TRY(check_regular(fd, path, diag, span, &m->size));
  if (m->size == 0) {
    *out_data = fv_arena_alloc(ar, 0);
    *out_size = 0;
    return FV_OK;
  }
  void *data = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    return fail(diag, span, "map", path, errno);
  m->data = data;
  *mapped = m;
  *out_data = m->data;
  *out_size = m->size;
  return FV_OK;
}

fv_status fv_file_map(fv_arena *ar, const char *path, fv_diag_sink *diag, const fv_span *span,
                      const void **out_data, size_t *out_size) {
  void **slot = fv_arena_defer(ar, close_handle);
  const int fd = open_for_reading(path);
  if (fd < 0)
    return fail(diag, span, "open", path, -fd);
  *slot = (void *)((intptr_t)fd + 1);
  const fv_status s = map_fd(ar, slot, path, diag, span, out_data, out_size);
  close_slot(slot);
  return s;
}

fv_status fv_file_map_open(fv_arena *ar, const char *path, fv_diag_sink *diag, int *out_fd,
                           const void **out_data, size_t *out_size) {
  void **slot = fv_arena_defer(ar, close_handle);
  *out_fd = open_for_reading(path);
  if (*out_fd < 0)
    return fail(diag, NULL, "open", path, -*out_fd);
  *slot = (void *)((intptr_t)*out_fd + 1);
  return map_fd(ar, slot, path, diag, NULL, out_data, out_size);
}

fv_status fv_file_map_beneath(fv_arena *ar, const char *dir, const char *name, fv_diag_sink *diag,
                              const fv_span *span, const void **out_data, size_t *out_size) {
  const size_t n = strlen(dir);
  const char *path =
      fv_arena_printf(ar, "%s%s%s", dir, n == 0 || dir[n - 1] == '/' ? "" : "/", name);
  void **slot = fv_arena_defer(ar, close_handle);
  const int fd = fv__open_beneath(dir, name);
  if (fd == -EXDEV)
    return fv_error(diag, FV_ERR_IO, span, "cannot open '%s': it is not beneath the directory '%s'",
                    name, n ? dir : ".");
  if (fd < 0)
    return fail(diag, span, "open", path, -fd);
  *slot = (void *)((intptr_t)fd + 1);
  const fv_status s = map_fd(ar, slot, path, diag, span, out_data, out_size);
  close_slot(slot);
  return s;
}

fv_status fv_file_map_beside(fv_arena *ar, const char *dir, const char *name, fv_diag_sink *diag,
                             const fv_span *span, const void **out_data, size_t *out_size) {
  if (fv__leaves(name))
    return fv_error(diag, FV_ERR_IO, span, "cannot open '%s': it is not beneath the directory '%s'",
                    name, dir[0] ? dir : ".");
  const size_t n = strlen(dir);
  const char *path =
      fv_arena_printf(ar, "%s%s%s", dir, n == 0 || dir[n - 1] == '/' ? "" : "/", name);
  return fv_file_map(ar, path, diag, span, out_data, out_size);
}

void fv_mapping_release(const fv_mapping *m, const void *data, size_t size) {
  if (!m || size == 0)
    return;
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)m->data;
  const uintptr_t begin = (uintptr_t)data, end = begin + size;
  if (begin < first || end < begin || end > first + m->size)
    return;
  const uintptr_t from = begin & ~(page - 1);
  madvise((void *)from, (size_t)(end - from), MADV_DONTNEED);
}

//===-- New files -----------------------------------------------------------===//

// A file on its way to its name. It is written without one, where the file system can do that:
// then nothing is left behind whatever ends the process. Else it has a name of its own.
struct fv_draft {
  const char *given;  // its path, as the caller has it
  fv_diag_sink *diag;
  int dir, fd;
  bool special;  // something that is no regular file has the name; it is written to at the end
  char temporary[64];  // "": it has no name yet
  const char *base;    // in path
  char path[PATH_MAX];
  void *view;
  size_t view_size;
};

// 0 or an errno.
static int write_all(int fd, const void *data, size_t size) {
  const char *p = data;
  while (size > 0) {
    const size_t chunk = size < (size_t)1 << 30 ? size : (size_t)1 << 30;
    const ssize_t n = write(fd, p, chunk);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    p += n;
    size -= (size_t)n;
  }
  return 0;
}

static fv_status not_written(const fv_draft *d, int error) {
  return error ? fail(d->diag, NULL, "write", d->given, error) : FV_OK;
}

fv_status fv_draft_put(fv_draft *d, const void *data, size_t size) {
  return not_written(d, write_all(d->fd, data, size));
}

fv_status fv_draft_patch(fv_draft *d, uint64_t at, const void *data, size_t size) {
  const char *p = data;
  while (size > 0) {
    const ssize_t n = pwrite(d->fd, p, size, (off_t)at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return not_written(d, errno);
    p += n;
    at += (uint64_t)n;
    size -= (size_t)n;
  }
  return FV_OK;
}

static void drop_view(fv_draft *d) {
  if (d->view)
    munmap(d->view, d->view_size);
  d->view = NULL;
}

fv_status fv_draft_view(fv_draft *d, const void **data, size_t *size) {
  struct stat st;
  drop_view(d);
  if (fstat(d->fd, &st) != 0)
    return not_written(d, errno);
  *data = "";
  *size = (size_t)st.st_size;
  if (*size == 0)
    return FV_OK;
  void *view = mmap(NULL, *size, PROT_READ, MAP_SHARED, d->fd, 0);
  if (view == MAP_FAILED)
    return not_written(d, errno);
  *data = d->view = view;
  d->view_size = *size;
  return FV_OK;
}

// The name is short and its own, since path's may already be as long as names
// can be. Another process may be at the same path, hence the tries.
static void next_name(char name[64], unsigned i) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  snprintf(name, 64, ".fovea-%ld-%ld-%u.tmp", (long)getpid(), now.tv_nsec, i);
}

enum { NAME_TRIES = 100 };

// 0 or an errno. O_CREAT lets the kernel apply the umask, which no thread-safe call tells.
static int open_named(fv_draft *d, unsigned mode) {
  for (unsigned i = 0; i < NAME_TRIES; i++) {
    next_name(d->temporary, i);
    d->fd = openat(d->dir, d->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (d->fd >= 0)
      return 0;
    if (errno != EEXIST)
      break;
  }
  d->temporary[0] = '\0';
  return errno;
}

static int link_as(const fv_draft *d, const char *name) {
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", d->fd);
  return linkat(AT_FDCWD, self, d->dir, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

// A link does not replace a file: where there is one, it goes by another name for a moment.
static int give_name(fv_draft *d) {
  int error = d->temporary[0] ? EEXIST : link_as(d, d->base);
  for (unsigned i = 0; error == EEXIST && !d->temporary[0] && i < NAME_TRIES; i++) {
    char name[sizeof d->temporary];
    next_name(name, i);
    error = link_as(d, name);
    if (error == 0)
      memcpy(d->temporary, name, sizeof name);
  }
  if (!d->temporary[0])
    return error;
  if (renameat(d->dir, d->temporary, d->dir, d->base) != 0)
    return errno;
  d->temporary[0] = '\0';
  return 0;
}

static void drop(fv_draft *d) {
  drop_view(d);
  if (d->temporary[0])
    unlinkat(d->dir, d->temporary, 0);
  if (d->fd >= 0)
    close(d->fd);
  if (d->dir >= 0)
    close(d->dir);
}

// A symbolic link stays one: what it leads to is replaced.
static int find_place(fv_draft *d, const char *path) {
  if (!realpath(path, d->path)) {
    const size_t n = strlen(path);
    if (errno != ENOENT)
      return errno;
    if (n >= sizeof d->path)
      return ENAMETOOLONG;
    memcpy(d->path, path, n + 1);
  }
  char *slash = strrchr(d->path, '/');
  d->base = slash ? slash + 1 : d->path;
  if (!*d->base)
    return *d->path ? EISDIR : ENOENT;
  if (slash == d->path) {
    d->dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  } else {
    if (slash)
      *slash = '\0';
    d->dir = open(slash ? d->path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  return d->dir < 0 ? errno : 0;
}

static bool is_special(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

// 0 or an errno. A name can be given later only where /proc shows the file.
static int open_draft(fv_draft *d, unsigned mode) {
  d->special = is_special(d->given);
  if (d->special) {
    d->fd = memfd_create("fovea", MFD_CLOEXEC);
    return d->fd < 0 ? errno : 0;
  }
  const int error = find_place(d, d->given);
  if (error)
    return error;
  if (access("/proc/self/fd", X_OK) == 0)
    d->fd = openat(d->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, (mode_t)mode);
  return d->fd < 0 ? open_named(d, mode) : 0;
}

// Writes and syncs it. Some file systems know no fsync; that says nothing about the data.
static fv_status fill(fv_draft *d, const fv_new_file *f) {
  FV_TRY(not_written(d, open_draft(d, f->mode)));
  for (size_t i = 0; i < f->count; i++)
    FV_TRY(fv_draft_put(d, f->piece[i].data, f->piece[i].size));
  if (f->write)
    FV_TRY(f->write(f->user, d));
  const bool synced = d->special || fsync(d->fd) == 0 || errno == EINVAL || errno == ENOSYS;
  return not_written(d, synced ? 0 : errno);
}

static fv_status write_in_place(fv_draft *d) {
  const void *data;
  size_t size;
  FV_TRY(fv_draft_view(d, &data, &size));
  const int fd = open(d->given, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  int error = fd < 0 ? errno : write_all(fd, data, size);
  if (fd >= 0 && close(fd) != 0 && error == 0)
    error = errno;
  return not_written(d, error);
}

// The caller holds back signals that end the process, and one has come.
static bool is_to_end(void) {
  sigset_t s;
  return sigpending(&s) == 0 && (sigismember(&s, SIGINT) == 1 || sigismember(&s, SIGTERM) == 1 ||
                                 sigismember(&s, SIGHUP) == 1);
}

// Names come last, so that a disk that is full leaves all files as they were.
static fv_status write_files(fv_draft *d, const fv_new_file *f, size_t n) {
  for (size_t i = 0; i < n; i++)
    FV_TRY(fill(&d[i], &f[i]));
  if (n && is_to_end())
    return not_written(&d[0], EINTR);
  for (size_t i = 0; i < n; i++)
    FV_TRY(d[i].special ? write_in_place(&d[i]) : not_written(&d[i], give_name(&d[i])));
  return FV_OK;
}

fv_status fv_files_write(const fv_new_file *file, size_t n, fv_diag_sink *diag) {
  fv_draft *d = calloc(n, sizeof *d);
  if (!d)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  for (size_t i = 0; i < n; i++) {
    d[i].given = file[i].path;
    d[i].diag = diag;
    d[i].dir = d[i].fd = -1;
  }
  const fv_status s = write_files(d, file, n);
  for (size_t i = 0; i < n; i++)
    drop(&d[i]);
  free(d);
  return s;
}
