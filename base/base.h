// SPDX-License-Identifier: Apache-2.0
// base/base.h - status codes and the few macros that everything uses.
//
// base/ depends on libc only and every room may include it. Nothing in it has
// global state, and nothing in it prints, exits or aborts on bad input.
#ifndef FOVEA_BASE_BASE_H_
#define FOVEA_BASE_BASE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/diag.h"

#define FV_NORETURN __attribute__((noreturn))
#define FV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
// For what is made of constants: each call becomes code of its own.
#define FV_INLINE static inline __attribute__((always_inline))
// The result hangs on the arguments alone.
#define FV_CONST __attribute__((const))
#define FV_COUNTOF(a) (sizeof(a) / sizeof((a)[0]))

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
