// SPDX-License-Identifier: Apache-2.0
// tools/tool.h - what the subcommands of `fovea` share.
//
// Results go to stdout, all else to stderr. A command runs under
// fv_arena_protect(): its memory is the arena's, and handles of the library
// hang on it, so nothing is released by hand.
#ifndef FOVEA_TOOLS_TOOL_H_
#define FOVEA_TOOLS_TOOL_H_

#include <signal.h>

#include "base/file.h"
#include "fovea/fovea.h"
#include "options.h"

typedef struct common_options {
  bool help;
  bool json;
  const char *diagnostics;
} common_options;

typedef struct tool {
  fv_arena *arena;
  fv_diag_sink *diag;
  const common_options *common;
  const void *options;  // of the command
  text_list args;       // what is no option
  bool output_failed;   // something was not written to stdout, which was told
} tool;

typedef struct command {
  const char *name, *usage, *doc;
  const option_row *option;
  size_t n_option;
  size_t size;  // of its values; options_init() fills in the defaults
  size_t min_args, max_args;
  fv_status (*run)(tool *t);
  const char *more;  // optional: rest of the help page
} command;

// cmd_*.c; the table is in commands.c.
extern const command command_check, command_inspect, command_compile, command_run, command_compare,
    command_list, command_fmt, command_help, command_version;

// Usage error: one sentence, exit code 2.
fv_status usage_error(tool *t, const char *fmt, ...) FV_PRINTF(2, 3);

//===-- Output (report.c) -------------------------------------------------===//

// The sink of the whole command: prints to stderr with source lines.
fv_diag_sink *report_create(fv_arena *ar, bool json);
void hold_signals(sigset_t *before);  // those that end the command; the caller lets them in again
// Writes files so that neither an error nor an interrupt leaves one half-written, or some of them.
FV_NODISCARD fv_status write_outputs(tool *t, const fv_new_file *file, size_t n);
FV_NODISCARD fv_status write_text(tool *t, const char *path, const fv_bytes *text);  // "-": stdout
// To stdout, at once.
FV_NODISCARD fv_status print_text(tool *t, const fv_str *text);
// At the end: an error if anything that was written to stdout is lost.
FV_NODISCARD fv_status close_output(tool *t);
void print_note(const char *fmt, ...) FV_PRINTF(1, 2);  // to stderr
const char *bytes_text(fv_arena *ar, int64_t bytes);    // "90.9 MB"

#endif  // FOVEA_TOOLS_TOOL_H_
