// SPDX-License-Identifier: Apache-2.0
// tools/backends.h - the value of -b: a backend and its options.
//
//   NAME[:KEY=VALUE]...[,NAME...]      llvm   reference,llvm:cpu=x86-64:features=+avx2,-fma
//
// A comma begins the next backend, unless '+' or '-' follows it: names of backends begin with
// neither, words of a list of features do.
#ifndef FOVEA_TOOLS_BACKENDS_H_
#define FOVEA_TOOLS_BACKENDS_H_

#include "tool.h"

typedef struct backend_spec {
  const char *text;  // as it was written; names it in tables
  const char *name;
  text_list option;  // "KEY=VALUE"
} backend_spec;

typedef struct backend_list {
  backend_spec *item;
  size_t count, cap;
} backend_list;

// Adds the backends of a text. There are all of them and all their options, or it is a
// usage error.
FV_NODISCARD fv_status backends_parse(tool *t, const char *text, backend_list *out);
// The one backend of -b (NULL: `otherwise`), with options given apart (--backend-option).
FV_NODISCARD fv_status backend_parse(tool *t, const char *text, const char *otherwise,
                                     const text_list *more, backend_spec *out);

#endif  // FOVEA_TOOLS_BACKENDS_H_
