// SPDX-License-Identifier: Apache-2.0
#include "passes/pass.h"

static fv_status run(fv_pass_cx *cx, fv_graph *g) {
  cx->changes += fv_graph_drop_dead(g);
  return FV_OK;
}

const fv_pass fv_pass_drop_dead = {
    .name = "drop_dead", .doc = "Removes nodes whose results nobody uses", .run = run};
