// SPDX-License-Identifier: Apache-2.0
// tools/commands.h - the table of commands.
#ifndef FOVEA_TOOLS_COMMANDS_H_
#define FOVEA_TOOLS_COMMANDS_H_

#include "tool.h"

// By its name, or by the option that stands for it (--help, --version).
FV_NODISCARD fv_status command_find(tool *t, const char *name, const command **out);
// Reads the arguments behind the command's name, and runs it.
FV_NODISCARD fv_status command_execute(tool *t, const command *c, int argc, char *const *argv);

void put_overview(fv_str *out);  // of all commands
void put_json_overview(fv_str *out);
void put_help(const command *c, fv_str *out);  // the page of one
void put_json_help(const command *c, fv_str *out);

#endif  // FOVEA_TOOLS_COMMANDS_H_
