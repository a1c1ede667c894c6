// SPDX-License-Identifier: Apache-2.0
// tools/options.h - GNU options from a table: parsing, and the help page.
#ifndef FOVEA_TOOLS_OPTIONS_H_
#define FOVEA_TOOLS_OPTIONS_H_

#include "base/diag.h"
#include "base/str.h"

// The member of the values that an option fills in:
typedef enum option_kind {
  OPTION_FLAG,    // bool
  OPTION_TEXT,    // const char *
  OPTION_INT,     // int64_t, >= 0
  OPTION_NUMBER,  // double, >= 0
  OPTION_LIST,    // text_list: may be given again
  OPTION_COMMAS,  // text_list: a list with commas; may be given again
} option_kind;

typedef struct text_list {
  const char **item;
  size_t count, cap;
} text_list;

typedef struct option_row {
  const char *name;  // without the dashes; NULL: has a letter only
  char letter;       // 0: none
  option_kind kind;
  size_t offset;        // of the member in the values
  const char *arg;      // NAME of the argument, NULL for flags
  const char *initial;  // the default, as text; NULL: none
  const char *help;
} option_row;

// The rows of a command are followed by those of all commands.
typedef struct option_table {
  const option_row *row[2];
  size_t count[2];
  void *values[2];
} option_table;

// Reads the arguments into the values; what is no option goes to `rest`. The
// initial values must have been set (options_init). Long names may be cut
// short; "--" ends the options.
FV_NODISCARD fv_status options_parse(fv_arena *ar, const option_table *t, int argc,
                                     char *const *argv, fv_diag_sink *diag, text_list *rest);
FV_NODISCARD fv_status options_init(fv_arena *ar, const option_table *t, fv_diag_sink *diag);
void options_help(const option_table *t, fv_str *out);

void text_list_add(fv_arena *ar, text_list *l, const char *text);

#endif  // FOVEA_TOOLS_OPTIONS_H_
