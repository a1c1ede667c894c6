// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "emit.h"

typedef struct library_options {
  model_options model;
  compile_options compile;
  const char *output, *name, *emit, *dump_after;
  int64_t threads;
} library_options;

static const option_row rows[] = {
    {"output", 'o', OPTION_TEXT, offsetof(library_options, output), "FILE", NULL,
     "the library, libNAME.so, libNAME.a or NAME.o; NAME.h is written beside it (default: "
     "libMODEL.so; of kinds that are text: standard output, \"-\")"},
    {"name", 0, OPTION_TEXT, offsetof(library_options, name), "NAME", NULL,
     "prefix of all that C code sees, a C identifier (default: from the file)"},
    {"emit", 0, OPTION_TEXT, offsetof(library_options, emit), "KIND", NULL,
     "what to write, see KINDS OF OUTPUT (default: by the ending of the file: "
     ".so .a .o .kernel .ll .s .cl)"},
    BACKEND_ROWS(library_options, compile,
                 "who makes the code (default: opencl for --emit=opencl, else llvm)"),
    {"threads", 't', OPTION_INT, offsetof(library_options, threads), "N", "0",
     "threads to compile with, which change nothing in what is made; 0: as many as this process "
     "may use"},
    PASSES_ROWS(library_options, compile),
    {"dump-after", 0, OPTION_TEXT, offsetof(library_options, dump_after), "PASS", NULL,
     "print the graphs after this pass, or after all"},
    MODEL_ROWS(library_options, model),
    DIM_ROW(library_options, model),
};

static fv_status run(tool *t) {
  const library_options *o = t->options;
  emit_request r = {.kind = o->emit ? o->emit : "so",
                    .output = o->output,
                    .name = o->name,
                    .dump_after = o->dump_after,
                    .threads = o->threads,
                    .compile = &o->compile};
  model m;
  if (!o->emit && o->output && strcmp(o->output, "-") != 0)
    FV_TRY(emit_kind_of(t, o->output, &r.kind));
  FV_TRY(threads_check(t, o->threads));
  FV_TRY(emit_check(t, &r));
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
    "  fovea compile models/se_digits.xml -o libse.a -b llvm:cpu=x86-64-v3\n"
    "  fovea compile models/se_digits.xml -o se.o --name=se\n"
    "  fovea compile models/se_digits.xml --emit=opencl -o se.cl\n"
    "  fovea compile models/transformer.xml -o /dev/null --emit=kernel --dump-after=all\n"
    "  fovea compile models/minilm.xml --weights=minilm.safetensors -o libminilm.so\n",
};
