// SPDX-License-Identifier: Apache-2.0
#include "base/base.h"

static const struct {
  int exit_code;
  const char *text;
} table[] = {
#define X(id, exit_code, text) {exit_code, text},
    FV_STATUS_TABLE(X)
#undef X
};

// A status may come from a plugin, so it need not be one of ours.
const char *fv_status_text(fv_status s) {
  return (size_t)s < FV_COUNTOF(table) ? table[s].text : "unknown status";
}

int fv_status_exit_code(fv_status s) {
  return (size_t)s < FV_COUNTOF(table) ? table[s].exit_code : table[FV_ERR_INTERNAL].exit_code;
}
