// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

static fv_status run(tool *t) {
  fv_str s = {.arena = t->arena};
  fv_str_printf(&s, t->common->json ? "{\"version\": \"%s\"}\n" : "fovea %s\n", fv_version());
  return print_text(t, &s);
}

const command command_version = {
    .name = "version",
    .usage = "",
    .doc = "show the version",
    .run = run,
};
