// SPDX-License-Identifier: Apache-2.0
#include "lower/lower.h"

#include <string.h>

#include "lower/host.h"
#include "lower/variant.h"

static fv_status lower_graph(lw *l, fv_graph *g, bool groups_only) {
  l->layout = NULL;
  lw_assume_equal(l, g);
  FV_TRY(lw_group_graph(l, g));
  FV_TRY(lw_test_expect(l, g));
  lw_record_groups(l, g);
  if (groups_only) {
    l->entry->graph = g;
    return FV_OK;
  }
  lw_choose_layouts(l, g);
  return lw_host_entry(l, g);
}

fv_status fv_lower(const fv_module *given, const fv_target *target, bool groups_only,
                   fv_diag_sink *diag, fv_lowered **out) {
  fv_module *m = fv_module_clone(given);
  lw *l = FV_NEW(m->arena, lw);
  *l = (lw){.module = m, .pool = m->pool, .arena = m->arena, .target = target, .diag = diag};
  fv_lowered *o = FV_NEW(m->arena, fv_lowered);
  o->module = m;
  o->entry = FV_NEW_N(m->arena, fv_lentry, m->n_graph);
  o->n_entry = (size_t)m->n_graph;
  o->state_doubled = FV_NEW_N(m->arena, bool, m->n_state);
  l->out = o;
  fv_value **copy = FV_NEW_N(m->arena, fv_value *, given->n_value);
  for (int i = 0; i < m->n_graph; i++)
    FV_TRY(lw_expand(l, m->graph[i], copy));
  FV_TRY(fv_verify(m, "lowering: expand", diag));
  fv_status result = FV_OK;
  for (int i = 0; i < m->n_graph; i++) {
    l->entry = &o->entry[i];
    const fv_status s = lower_graph(l, m->graph[i], groups_only);
    if (s != FV_OK && s != FV_ERR_NO)
      return s;
    result = result == FV_OK ? s : result;  // what the other graphs do not meet is told, too
  }
  *out = o;
  return result;
}
