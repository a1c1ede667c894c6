// SPDX-License-Identifier: Apache-2.0
#include "lower/lower.h"

#include <string.h>

#include "lower/host.h"

static fv_status lower_graph(lw *l, fv_graph *g, bool groups_only) {
  l->layout = NULL;
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

//===-- Constants in their layouts ------------------------------------------------===//

// One member: walks the destination in order, piece by piece like a counter.
static void write_member(const fv_lconst *c, const fv_tensor *t, uint8_t *out) {
  const int size = fv_dtype_size(c->type.dtype);
  const fv_layout *y = &c->type.layout;
  if (y->n == 0) {
    memcpy(out, t->data, (size_t)fv_tensor_count(t) * (size_t)size);
    return;
  }
  int64_t stride[FV_MAX_RANK], extent[FV_MAX_RANK + 2], at[FV_MAX_RANK + 2] = {0};
  int64_t s = 1, total = 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    stride[d] = s;
    s *= t->dim[d];
  }
  for (int i = 0; i < y->n; i++) {
    const fv_layout_piece q = y->piece[i];
    extent[i] = q.inner   ? q.block
                : q.block ? (t->dim[q.axis] + q.block - 1) / q.block
                          : t->dim[q.axis];
    total *= extent[i];
  }
  for (int64_t e = 0; e < total; e++, out += size) {
    int64_t index[FV_MAX_RANK] = {0}, from = 0;
    bool inside = true;
    for (int i = 0; i < y->n; i++) {
      const fv_layout_piece q = y->piece[i];
      index[q.axis] += q.block && !q.inner ? at[i] * q.block : at[i];
    }
    for (int d = 0; d < t->rank; d++) {
      inside = inside && index[d] < t->dim[d];
      from += index[d] * stride[d];
    }
    if (inside)
      memcpy(out, (const uint8_t *)t->data + from * size, (size_t)size);
    for (int i = y->n - 1; i >= 0 && ++at[i] == extent[i]; i--)
      at[i] = 0;
  }
}

void fv_lower_write_constants(const fv_lowered *l, void *out) {
  for (size_t i = 0; i < l->n_constant; i++) {
    const fv_lconst *c = &l->constant[i];
    for (int m = 0; m < c->n_member; m++)
      write_member(c, c->member[m], (uint8_t *)out + c->offset + c->stride * (uint64_t)m);
  }
}
