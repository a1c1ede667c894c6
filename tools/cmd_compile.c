// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "emit.h"

typedef struct library_options {
  model_options model;
  compile_options compile;
  const char *output, *name, *emit, *backend, *dump_after;
} library_options;

static const option_row rows[] = {
    {"output", 'o', OPTION_TEXT, offsetof(library_options, output), "FILE", NULL,
     "the library, libNAME.so; NAME.h is written beside it (default: lib and the model's name; "
     "of kinds that are text: standard output, \"-\")"},
    {"name", 0, OPTION_TEXT, offsetof(library_options, name), "NAME", NULL,
     "prefix of all that C code sees, a C identifier (default: from the file)"},
    {"emit", 0, OPTION_TEXT, offsetof(library_options, emit), "KIND", NULL,
     "what to write, see KINDS OF OUTPUT (default: by the ending of the file: "
     ".so .o .kernel .ll .s .cl, else so)"},
    {"backend", 'b', OPTION_TEXT, offsetof(library_options, backend), "NAME", NULL,
     "who makes the code (default: opencl for --emit=opencl, else llvm)"},
    COMPILE_ROWS(library_options, compile),
    {"dump-after", 0, OPTION_TEXT, offsetof(library_options, dump_after), "PASS", NULL,
     "print the graphs after this pass, or after all"},
    MODEL_ROWS(library_options, model),
};

static fv_status run(tool *t) {
  const library_options *o = t->options;
  const char *by_ending = o->output ? emit_kind_of(o->output) : NULL;
  const emit_request r = {.kind = o->emit     ? o->emit
                                  : by_ending ? by_ending
                                              : "so",
                          .output = o->output,
                          .name = o->name,
                          .backend = o->backend,
                          .dump_after = o->dump_after,
                          .compile = &o->compile};
  model m;
  FV_TRY(model_open(t, t->args.item[0], &o->model, &m));
  return emit(t, &m, &r);
}

const command command_compile = {
    .name = "compile",
    .usage = "MODEL [-o libNAME.so] [OPTION...]",
    .doc = "make a library and its C header of a model",
    .option = rows,
    .n_option = FV_COUNTOF(rows),
    .size = sizeof(library_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
    .more = EMIT_HELP
    "\nEXAMPLES\n"
    "  fovea compile models/se_digits.xml -o libse_digits.so\n"
    "  fovea compile models/se_digits.xml -o se.o --name=se\n"
    "  fovea compile models/se_digits.xml --emit=opencl -o se.cl\n"
    "  fovea compile models/transformer.xml -o /dev/null --emit=kernel --dump-after=all\n"
    "  fovea compile models/minilm.xml --weights=minilm.safetensors -o libminilm.so\n",
};
