// base/base.h - status codes and the few macros that everything uses.
//
// base/ depends on libc only and every room may include it. Nothing in it has
// global state, and nothing in it prints, exits or aborts on bad input.
#ifndef FOVEA_BASE_BASE_H_
#define FOVEA_BASE_BASE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FV_NODISCARD __attribute__((warn_unused_result))
#define FV_NORETURN __attribute__((noreturn))
#define FV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define FV_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))

// One table: enumerator, exit code of the command, text.
#define FV_STATUS_TABLE(X)                                      \
  X(OK, 0, "ok")                                                \
  X(ERR_NO, 1, "the answer is no")                              \
  X(ERR_ARG, 2, "invalid argument")                             \
  X(ERR_PARSE, 3, "malformed input")                            \
  X(ERR_TYPE, 3, "shape or element type mismatch")              \
  X(ERR_LIMIT, 3, "a limit was exceeded")                       \
  X(ERR_IO, 3, "input/output error")                            \
  X(ERR_UNSUPPORTED, 4, "not supported")                        \
  X(ERR_ABI, 5, "built for another ABI version")                \
  X(ERR_BACKEND, 5, "the backend failed")                       \
  X(ERR_RUN, 5, "the run failed")                               \
  X(ERR_OOM, 5, "out of memory")                                \
  X(ERR_INTERNAL, 5, "internal error: a bug in fovea, not yours")

typedef enum fv_status {
#define X(id, exit_code, text) FV_##id,
  FV_STATUS_TABLE(X)
#undef X
} fv_status;

const char *fv_status_text(fv_status s);
int fv_status_exit_code(fv_status s);

// Propagates a failure. Only for functions that own nothing to release.
#define FV_TRY(expr)                \
  do {                              \
    fv_status try_status_ = (expr); \
    if (try_status_ != FV_OK)       \
      return try_status_;           \
  } while (0)

#endif  // FOVEA_BASE_BASE_H_
