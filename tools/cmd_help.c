// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

static fv_status run(tool *t) {
  fv_str s = {.arena = t->arena};
  if (t->args.count == 0) {
    (t->common->json ? put_json_overview : put_overview)(&s);
    return print_text(t, &s);
  }
  const command *c;
  FV_TRY(command_find(t, t->args.item[0], &c));
  (t->common->json ? put_json_help : put_help)(c, &s);
  return print_text(t, &s);
}

const command command_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .doc = "show the help page of a command",
    .max_args = 1,
    .run = run,
};
