// SPDX-License-Identifier: Apache-2.0
// tools/model.h - the MODEL argument: a description or a compiled library.
#ifndef FOVEA_TOOLS_MODEL_H_
#define FOVEA_TOOLS_MODEL_H_

#include "backends.h"

// Options of every command that loads a model.
typedef struct model_options {
  text_list let, weights, dim;
} model_options;
// Of those that make something of it for good. What runs a model binds dims instead.
#define DIM_ROW(T, member)                                                               \
  {                                                                                      \
    "dim", 0, OPTION_LIST, offsetof(T, member.dim), "NAME=N", NULL,                      \
        "make a dim of the model this number, as if it were written so; may be repeated" \
  }
#define MODEL_ROWS(T, member)                                             \
  {"let",                                                                 \
   0,                                                                     \
   OPTION_LIST,                                                           \
   offsetof(T, member.let),                                               \
   "NAME=N",                                                              \
   NULL,                                                                  \
   "set an integer <let> of the model; may be repeated"},                 \
  {                                                                       \
    "weights", 0, OPTION_LIST, offsetof(T, member.weights), "FILE", NULL, \
        "weights in place of those that the model names; may be repeated" \
  }

// Options of every command that compiles; how the backend is named differs.
typedef struct compile_options {
  const char *passes, *level;
  const char *backend;       // of -b, or NULL
  text_list backend_option;  // of --backend-option
} compile_options;
#define PASSES_ROWS(T, member)                                                \
  {NULL,                                                                      \
   'O',                                                                       \
   OPTION_TEXT,                                                               \
   offsetof(T, member.level),                                                 \
   "LEVEL",                                                                   \
   NULL,                                                                      \
   "0, 1 or 2: how much is simplified (default: 2)"},                         \
  {                                                                           \
    "passes", 0, OPTION_TEXT, offsetof(T, member.passes), "LIST", NULL,       \
        "the passes to run, in place of a level: a,b,c (`fovea list passes`)" \
  }
#define BACKEND_ROWS(T, member, help)                                                              \
  {"backend", 'b', OPTION_TEXT, offsetof(T, member.backend), "NAME[:KEY=VALUE]...", NULL, help}, { \
    "backend-option", 0, OPTION_LIST, offsetof(T, member.backend_option), "KEY=VALUE", NULL,       \
        "an option of the backend, as behind its name (`fovea list options`); may be repeated"     \
  }

typedef struct model {
  const char *path;
  fv_model *description;   // NULL for a library
  fv_executable *library;  // NULL for a description
  const fv_model_info *info;
} model;

FV_NODISCARD fv_status model_open(tool *t, const char *path, const model_options *o, model *out);
// "O2" or a list; NULL if the user said nothing.
// -O, --passes and --dump-after say what there is: ERR_ARG if not.
FV_NODISCARD fv_status passes_check(tool *t, const compile_options *o, const char *dump_after);
FV_NODISCARD fv_status passes_of(tool *t, const compile_options *o, const char **out);
// A library cannot be compiled again: ERR_ARG if the options say how.
FV_NODISCARD fv_status model_not_compiled(tool *t, const model *m, const compile_options *o);
typedef void (*dump_fn)(void *user, const char *pass, const char *text);
// For a library: itself.
FV_NODISCARD fv_status model_compile(tool *t, const model *m, fv_stage until, const backend_spec *b,
                                     const compile_options *o, const char *dump_after, dump_fn dump,
                                     int64_t threads, fv_executable **out);
// By name; NULL: the only one, or an error that lists them.
FV_NODISCARD fv_status graph_find(tool *t, const model *m, const char *name,
                                  const fv_graph_info **out);
// That many threads there can be: ERR_ARG if not.
FV_NODISCARD fv_status threads_check(tool *t, int64_t threads);
FV_NODISCARD fv_status context_open(tool *t, fv_executable *e, int64_t threads, fv_context **out);
// fv_bytes that hang on the arena.
fv_bytes *bytes_new(tool *t);

#endif  // FOVEA_TOOLS_MODEL_H_
