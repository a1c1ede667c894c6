// SPDX-License-Identifier: Apache-2.0
// runtime/exec/libc.h - what the artifact runtime takes from libc.
//
// Own prototypes, since this code is also compiled to bitcode for machines
// whose C library is not at hand. Threads are used through storage that is
// larger than any Linux libc's and is valid when zeroed.
#ifndef FOVEA_RUNTIME_EXEC_LIBC_H_
#define FOVEA_RUNTIME_EXEC_LIBC_H_

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *aligned_alloc(size_t align, size_t size);
void free(void *p);
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *p, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
int snprintf(char *restrict out, size_t size, const char *restrict format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char *restrict out, size_t size, const char *restrict format, va_list ap)
    __attribute__((format(printf, 3, 0)));

// Files, for what the kernel says of CPUs.
enum { EX_O_RDONLY = 0, EX_O_CLOEXEC = 02000000 };
int open(const char *path, int flags, ...);
ptrdiff_t read(int fd, void *out, size_t n);
int close(int fd);
int getpid(void);

int sched_getaffinity(int pid, size_t size, void *mask);
int sched_yield(void);

typedef struct ex_timespec {
  long seconds, nanoseconds;
} ex_timespec;
enum { EX_CLOCK_MONOTONIC = 1 };
int clock_gettime(int clock, ex_timespec *out);

// Threads. All statically initialised by zeroes in glibc and musl.
typedef union ex_mutex {
  uint64_t storage[12];
} ex_mutex;
typedef union ex_cond {
  uint64_t storage[12];
} ex_cond;
typedef uintptr_t ex_thread;  // unsigned long in glibc, a pointer in musl
int pthread_create(ex_thread *out, const void *attr, void *(*fn)(void *), void *arg);
int pthread_join(ex_thread t, void **out);
int pthread_mutex_init(ex_mutex *m, const void *attr);
int pthread_mutex_destroy(ex_mutex *m);
int pthread_mutex_lock(ex_mutex *m);
int pthread_mutex_unlock(ex_mutex *m);
int pthread_cond_init(ex_cond *c, const void *attr);
int pthread_cond_destroy(ex_cond *c);
int pthread_cond_wait(ex_cond *c, ex_mutex *m);
int pthread_cond_broadcast(ex_cond *c);

// Signal masks: bit n - 1 of 1024 is signal n (Linux, but for MIPS).
typedef struct ex_sigset {
  uint64_t bits[16];
} ex_sigset;
enum { EX_SIG_SETMASK = 2 };
int pthread_sigmask(int how, const ex_sigset *set, ex_sigset *old);
// All signals but ILL, TRAP, ABRT, BUS, FPE and SEGV.
static inline void ex_sigset_fill(ex_sigset *s) {
  memset(s, 0xff, sizeof *s);
  s->bits[0] &= ~(uint64_t)(1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 10);
}

#endif  // FOVEA_RUNTIME_EXEC_LIBC_H_
