// SPDX-License-Identifier: Apache-2.0
#include "frontend/xml/build.h"

void fv_xml_push(fv_xml_cx *cx, fv_xml_frame f) {
  if (cx->depth >= 4 * cx->limit.max_depth) {
    (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at(cx, f.site),
                       "blocks and loops are nested deeper than the limit allows");
    return;
  }
  f.up = cx->top;
  cx->top = fv_arena_dup(cx->arena, &f, sizeof f);
  cx->depth++;
}
