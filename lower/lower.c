// SPDX-License-Identifier: Apache-2.0
#include "lower/lower.h"

#include <string.h>

#include "base/checked.h"
#include "lower/host.h"
#include "lower/variant.h"

static bool has_room(const lw *l, const fv_expr *bytes) {
  int64_t n = fv_x_range(l->pool, bytes, NULL, 0).lo;
  if (!fv_x_has(bytes, FV_XF_SYM) && !fv_x_eval_i64(bytes, NULL, &n))
    return false;  // above 64 bits
  return n <= FV_MAX_BYTES;
}

// Buffers have room for the largest dims that the run may set: there must be a run for which that
// is within the limit.
static fv_status check_room(lw *l, const fv_graph *g) {
  const fv_lentry *e = l->entry;
  fv_status result = FV_OK;
  for (size_t i = 0; i < e->n_buffer; i++) {
    const fv_lbuffer *b = &e->buffer[i];
    if (b->bytes && !has_room(l, b->bytes))
      result = fv_error(l->diag, FV_ERR_LIMIT, b->span ? b->span : g->span,
                        "the room for '%s', at the largest dims that a run may set, is above the "
                        "limit of %lld bytes: lower the max of what sets them",
                        b->name ? b->name : "a value", (long long)FV_MAX_BYTES);
  }
  return result;
}

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
  FV_TRY(lw_host_entry(l, g));
  return check_room(l, g);
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
