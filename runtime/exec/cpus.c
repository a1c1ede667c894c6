// SPDX-License-Identifier: Apache-2.0
// How many threads are worth having. Linux; what cannot be read is no limit.
#include <stdbool.h>

#include "runtime/exec/libc.h"
#include "runtime/exec/pool.h"

enum { MAX_CPUS = 8192, TEXT = 4096 };

// The file as text; false if there is none.
static bool read_text(const char *path, char *out, size_t size) {
  const int fd = open(path, EX_O_RDONLY | EX_O_CLOEXEC);
  if (fd < 0)
    return false;
  size_t n = 0;
  for (ptrdiff_t got; n + 1 < size && (got = read(fd, out + n, size - 1 - n)) > 0;)
    n += (size_t)got;
  close(fd);
  out[n] = 0;
  return n > 0;
}

static bool parse_number(const char **text, int64_t *out) {
  const char *s = *text;
  int64_t n = 0;
  bool any = false;
  for (; *s >= '0' && *s <= '9' && n < INT64_MAX / 16; s++, any = true)
    n = n * 10 + (*s - '0');
  *text = s;
  *out = n;
  return any;
}

//===-- Physical cores --------------------------------------------------------===//

static bool in_mask(const uint64_t *mask, int64_t cpu) {
  return cpu >= 0 && cpu < MAX_CPUS && mask[cpu / 64] >> (cpu % 64) & 1;
}

// Is this the first CPU of its core, of those in the mask? The list of siblings
// is "0,4" or "0-1".
static bool leads_its_core(const uint64_t *mask, int64_t cpu) {
  char path[128], text[TEXT];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
           (int)cpu);
  if (!read_text(path, text, sizeof text))
    return true;
  for (const char *s = text; *s && *s != '\n';) {
    int64_t lo, hi;
    if (!parse_number(&s, &lo))
      return true;
    hi = lo;
    if (*s == '-' && (s++, !parse_number(&s, &hi)))
      return true;
    for (int64_t i = lo; i <= hi && i < cpu; i++)
      if (in_mask(mask, i))
        return false;
    if (*s == ',')
      s++;
    else
      break;
  }
  return true;
}

static uint32_t count_cores(void) {
  uint64_t mask[MAX_CPUS / 64] = {0};
  if (sched_getaffinity(0, sizeof mask, mask))
    return 1;
  uint32_t n = 0;
  for (int64_t cpu = 0; cpu < MAX_CPUS; cpu++)
    n += in_mask(mask, cpu) && leads_its_core(mask, cpu);
  return n ? n : 1;
}

//===-- Control groups --------------------------------------------------------===//

static uint32_t quota_threads(int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0)
    return UINT32_MAX;
  const int64_t n = quota / period + (quota % period != 0);
  return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

// "200000 100000" or "max 100000".
static uint32_t quota_v2(const char *dir) {
  char path[TEXT + 64], text[128];
  snprintf(path, sizeof path, "%s/cpu.max", dir);
  const char *s = text;
  int64_t quota, period;
  if (!read_text(path, text, sizeof text) || !parse_number(&s, &quota) || *s++ != ' ' ||
      !parse_number(&s, &period))
    return UINT32_MAX;
  return quota_threads(quota, period);
}

static uint32_t quota_v1(const char *dir) {
  char path[TEXT + 64], text[128];
  int64_t quota, period;
  const char *s = text;
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);  // "-1": none
  if (!read_text(path, text, sizeof text) || !parse_number(&s, &quota))
    return UINT32_MAX;
  snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
  s = text;
  if (!read_text(path, text, sizeof text) || !parse_number(&s, &period))
    return UINT32_MAX;
  return quota_threads(quota, period);
}

// The least quota of a group and of all groups above it.
static uint32_t walk_up(const char *root, const char *group, uint32_t (*quota)(const char *dir)) {
  char dir[TEXT];
  uint32_t least = UINT32_MAX;
  const size_t base = strlen(root);
  const int n = snprintf(dir, sizeof dir, "%s%s", root, group);
  if (n < 0 || (size_t)n >= sizeof dir)
    return least;
  for (size_t end = (size_t)n;; end--) {
    if (end <= base || dir[end] == '/' || dir[end] == 0) {
      dir[end] = 0;
      const uint32_t q = quota(dir);
      least = q < least ? q : least;
    }
    if (end <= base)
      return least;
  }
}

// Lines "0::/path" (v2) and "4:cpu,cpuacct:/path" (v1).
static uint32_t group_threads(void) {
  char text[TEXT];
  uint32_t least = UINT32_MAX;
  if (!read_text("/proc/self/cgroup", text, sizeof text))
    return least;
  for (char *line = text, *next; *line; line = next) {
    for (next = line; *next && *next != '\n'; next++) {
    }
    if (*next)
      *next++ = 0;
    char *kind = line;
    while (*kind && *kind != ':')
      kind++;
    char *path = *kind ? kind + 1 : kind;
    while (*path && *path != ':')
      path++;
    if (!*path)
      continue;
    *path++ = 0;
    kind++;
    uint32_t q = UINT32_MAX;
    if (!*kind)
      q = walk_up("/sys/fs/cgroup", path, quota_v2);
    else if (strcmp(kind, "cpu,cpuacct") == 0 || strcmp(kind, "cpu") == 0)
      q = walk_up("/sys/fs/cgroup/cpu", path, quota_v1);
    least = q < least ? q : least;
  }
  return least;
}

uint32_t fv_cpu_count(void) {
  const uint32_t cores = count_cores(), quota = group_threads();
  return quota < cores ? quota : cores;
}
