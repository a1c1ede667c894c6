// SPDX-License-Identifier: Apache-2.0
//
// Dims and data: dims as values, and numbers that the run computes as symbols.
#include "ir/sem/sem_util.h"

int64_t fv_sem_symbol(fv_sem *s, int k, int count, const char *name, int64_t lo, int64_t hi) {
  const fv_attr *have = fv_attr_get(s->node, "symbols");
  if (k < have->n && have->ints[k] >= 0)
    return have->ints[k];
  int64_t *symbol = FV_NEW_N(s->arena, int64_t, count);
  for (int i = 0; i < count; i++)
    symbol[i] = i < have->n ? have->ints[i] : -1;
  symbol[k] = fv_symbol_add(s->pool, name, lo, hi < lo ? lo : hi, FV_SYM_RESULT);
  const fv_span *at = fv_node_span(s->node);
  if (at)
    fv_symbol_show(s->pool, (uint32_t)symbol[k],
                   fv_arena_printf(s->arena, "a number of the %s at line %u",
                                   fv_op_get(s->node->op)->name, at->line));
  fv_attr_set_ints(s->node, "symbols", count, symbol);
  return symbol[k];
}

fv_status fv_sem_want_symbols(fv_sem *s, int count) {
  const fv_attr *a = fv_attr_get(s->node, "symbols");
  if (a->n && a->n != count)
    return fv_sem_error(s, "symbols has %d entries, but %d are needed", a->n, count);
  for (int i = 0; i < a->n; i++)
    if (a->ints[i] >= 0 && fv_symbol_get(s->pool, (uint32_t)a->ints[i])->kind != FV_SYM_RESULT)
      return fv_sem_error(s, "symbols[%d] is no result", i);
  return FV_OK;
}

fv_status fv_sem_item(fv_sem *s) {
  const fv_type *t = fv_sem_type(s, 0);
  const fv_expr *dims[FV_MAX_RANK], *index[FV_MAX_RANK], *max;
  const int64_t min = fv_attr_int(s->node, "min");
  FV_TRY(fv_sem_want_int(s, 0));
  FV_TRY(fv_sem_want_symbols(s, 1));
  FV_TRY(fv_sem_expr(s, "max", &max));
  for (int i = 0; i < t->rank; i++) {
    if (fv_sem_need(s, FV_REL_EQ, t->dim[i], fv_x_i64(s->pool, 1),
                    fv_arena_printf(s->arena, "axis %d of 'x'", i)) != FV_YES)
      return fv_sem_error(s, "'x' must have one element; it is %s", fv_sem_type_text(s, t));
    dims[i] = fv_x_i64(s->pool, 1);
    index[i] = fv_x_i64(s->pool, 0);
  }
  const int64_t most = fv_x_range(s->pool, max, NULL, 0).hi;
  if (most < min)
    return fv_sem_error(s, "max = %s is below min = %lld", fv_sem_dim_text(s, max), (long long)min);
  fv_defined *d = FV_NEW(s->arena, fv_defined);
  d->symbol = (uint32_t)fv_sem_symbol(s, 0, 1, "item.value", min, most);
  d->max = max;
  fv_symbol_bound(s->pool, d->symbol, max);
  int64_t number;
  d->text = "item: ";
  d->range = fv_arena_printf(s->arena, " is not in %lld..%s%s", (long long)min,
                             fv_sem_dim_text(s, max), fv_x_is_lit(max, &number) ? "" : " = ");
  s->meaning->defined = d;
  s->meaning->n_defined = 1;
  fv_sem_result(s, FV_i64, t->rank, dims);
  return fv_sem_yield(s, fv_x_cast(s->pool, FV_i64, fv_sem_load(s, 0, index)));
}

// Where the part of a list that `start` and `end` name lies, as ONNX counts.
static int64_t clamped(int64_t at, int64_t n) {
  at += at < 0 ? n : 0;
  return at < 0 ? 0 : at > n ? n : at;
}

fv_status fv_sem_shape(fv_sem *s) {
  const fv_type *t = fv_sem_type(s, 0);
  const int64_t start = clamped(fv_attr_int(s->node, "start"), t->rank);
  int64_t end = clamped(fv_attr_int(s->node, "end"), t->rank);
  end = end < start ? start : end;
  const fv_expr *count = fv_x_i64(s->pool, end - start), *dim = fv_x_i64(s->pool, 0);
  fv_sem_result(s, FV_i64, 1, &count);
  for (int64_t i = end; i-- > start;)
    dim = fv_sem_pick(s, fv_sem_x2(s, FV_X_EQ, fv_sem_index(s, 0), fv_x_i64(s->pool, i - start)),
                      t->dim[i], dim);
  return fv_sem_yield(s, dim);
}

fv_status fv_sem_size(fv_sem *s) {
  const fv_type *t = fv_sem_type(s, 0);
  fv_sem_result(s, FV_i64, 0, NULL);
  return fv_sem_yield(s, fv_sem_product(s, t->rank, t->dim));
}
