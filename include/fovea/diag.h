// SPDX-License-Identifier: Apache-2.0
// fovea/diag.h - status codes and diagnostics of the compiler.
#ifndef FOVEA_DIAG_H_
#define FOVEA_DIAG_H_

#include <stdint.h>

#define FV_NODISCARD __attribute__((warn_unused_result))

// One table: enumerator, exit code of the command, text.
#define FV_STATUS_TABLE(X)                         \
  X(OK, 0, "ok")                                   \
  X(ERR_NO, 1, "the answer is no")                 \
  X(ERR_ARG, 2, "invalid argument")                \
  X(ERR_PARSE, 3, "malformed input")               \
  X(ERR_TYPE, 3, "shape or element type mismatch") \
  X(ERR_LIMIT, 3, "a limit was exceeded")          \
  X(ERR_IO, 3, "input/output error")               \
  X(ERR_UNSUPPORTED, 4, "not supported")           \
  X(ERR_ABI, 5, "built for another ABI version")   \
  X(ERR_BACKEND, 5, "the backend failed")          \
  X(ERR_RUN, 5, "the run failed")                  \
  X(ERR_OOM, 5, "out of memory")                   \
  X(ERR_INTERNAL, 5, "internal error: a bug in fovea, not yours")

typedef enum fv_status {
#define X(id, exit_code, text) FV_##id,
  FV_STATUS_TABLE(X)
#undef X
} fv_status;

// A location in a source file. Lives as long as the arena it was made in.
// `outer` is the location from which a block was called or a region repeated:
// following it gives the expansion trace.
typedef struct fv_span {
  const char *file;             // NULL: no location known
  uint32_t line;                // 1-based, 0 = unknown
  uint32_t col;                 // 1-based, in bytes, 0 = unknown
  const char *what;             // optional: "in block 'layer'", used for outer spans
  const struct fv_span *outer;  // optional
} fv_span;

typedef enum fv_severity { FV_NOTE, FV_WARNING, FV_ERROR } fv_severity;

typedef struct fv_diag {
  fv_severity severity;
  fv_status code;
  const fv_span *span;  // optional
  const char *text;     // without location, without newline
} fv_diag;

typedef struct fv_diag_sink {
  void (*emit)(void *user, const fv_diag *d);  // optional: NULL = drop
  void *user;
  unsigned n_errors;
  unsigned max_errors;  // 0 = no limit; further errors are counted, not emitted
} fv_diag_sink;

#endif  // FOVEA_DIAG_H_
