// SPDX-License-Identifier: Apache-2.0
#include "ir/eval/eval_steps.h"

#include <string.h>

#include "base/integer.h"
#include "ir/expr/expr_walk.h"

#define LATE_BIT (UINT32_C(1) << 31)

//===-- Which step is whose ---------------------------------------------------------===//

static size_t slot_of(const nest_eval *x, const fv_expr *e) {
  size_t k = (size_t)(e->id * 2654435769u) & (x->n_slots - 1);
  while (x->slot[k].e && x->slot[k].e != e)
    k = (k + 1) & (x->n_slots - 1);
  return k;
}

static int known_step(const nest_eval *x, const fv_expr *e) {
  if (x->n_slots == 0)
    return -1;
  const struct step_slot *s = &x->slot[slot_of(x, e)];
  return s->e ? s->step : -1;
}

static void know_step(nest_eval *x, const fv_expr *e, int number) {
  if ((size_t)number * 2 >= x->n_slots) {
    x->n_slots = x->n_slots ? 2 * x->n_slots : 32;
    x->slot = FV_NEW_N(x->ar, struct step_slot, x->n_slots);
    for (int i = 0; i < number; i++)
      x->slot[slot_of(x, x->s[i].e)] = (struct step_slot){x->s[i].e, i};
  }
  x->slot[slot_of(x, e)] = (struct step_slot){e, number};
}

//===-- Compilation -----------------------------------------------------------------===//

// An expression whose step is wanted, and what that step needs.
typedef struct want {
  const fv_expr *e;
  const fv_expr *need[3];
  int n_need;
  bool known;  // an integer of symbols, which has a value
  int64_t value;
  bool linear;  // a load whose offset moves linearly with the lane
} want;

// The expression whose step makes the values of e.
static const fv_expr *maker_of(const fv_expr *e) {
  while (e->kind == FV_E_OP && e->op == FV_X_CAST &&
         fv_dtype_widens((fv_dtype)e->arg[0]->dtype, (fv_dtype)e->dtype))
    e = e->arg[0];
  return e;
}

static void want_number(nest_eval *x, const fv_expr *e) {
  int64_t v;
  if (e->kind == FV_E_OP && e->dtype == FV_i64 && !fv_x_has(e, FV_XF_INDEX | FV_XF_LOAD) &&
      !fv_x_eval_kept(e, x->symbol, x->kept, &v))
    x->overflowed |= fv_x_overflowed(x->kept);
}

void fv_want_exact(nest_eval *x, const fv_expr *e) {
  want_number(x, e);
  if (!fv_x_has(e, FV_XF_INDEX | FV_XF_LOAD))
    return;
  fv_xwalk walk;
  fv_xwalk_init(&walk, x->pool);
  fv_xwalk_postorder(&walk, e, FV_XF_INDEX | FV_XF_LOAD);
  for (size_t i = 0; i < walk.n; i++)
    for (int k = 0; k < walk.order[i]->n; k++)
      want_number(x, walk.order[i]->arg[k]);
}

// The offset of a load. A linear one is base + stride * lane: neither varies in a chunk.
static void want_load(nest_eval *x, want *w) {
  const fv_expr *e = w->e, *lane = fv_x_index(x->pool, (uint32_t)x->lane);
  fv_type t = x->n->in[e->ref]->type;
  t.layout.n = 0;
  for (int d = 0; d < e->n; d++)
    fv_want_exact(x, e->arg[d]);
  const fv_expr *offset = fv_type_offset(x->pool, &t, e->arg);
  const fv_expr *sub[FV_MAX_LOOPS] = {0};
  sub[x->lane] = fv_x_add(x->pool, lane, fv_x_i64(x->pool, 1));
  const fv_expr *next = fv_x_subst_index(x->pool, offset, sub, FV_MAX_LOOPS);
  const fv_expr *stride = fv_x_sub(x->pool, next, offset);
  w->linear = !fv_x_has(offset, FV_XF_LOAD) && !fv_x_uses_index(x->pool, stride, (uint32_t)x->lane);
  w->need[0] = maker_of(offset);
  w->n_need = 1;
  if (w->linear) {
    sub[x->lane] = fv_x_i64(x->pool, 0);
    w->need[0] = fv_x_subst_index(x->pool, offset, sub, FV_MAX_LOOPS);
    w->need[1] = stride;
    w->n_need = 2;
  }
}

static want want_of(nest_eval *x, const fv_expr *e) {
  want w = {.e = e};
  if (e->kind == FV_E_LOAD && e->ref != FV_NEST_ACC) {
    want_load(x, &w);
  } else if (e->kind == FV_E_OP && !fv_x_has(e, FV_XF_INDEX | FV_XF_LOAD) &&
             fv_x_eval_kept(e, x->symbol, x->kept, &w.value)) {
    w.known = true;
  } else if (e->kind == FV_E_OP) {
    w.n_need = e->n;
    for (int i = 0; i < e->n; i++)
      w.need[i] = maker_of(e->arg[i]);
  }
  return w;
}

static bool is_linear(const step *s) {
  return !s->vary || s->form == STEP_LINEAR;
}

static bool is_span(const step *s) {
  return !s->vary || s->form == STEP_SPAN;
}

// Elements of tensors may wrap around, so only dims and indices are compared by their ends.
static step_form form_of_op(const fv_expr *e, const step *a, const step *b) {
  if (e->arg[0]->dtype == FV_i64 && is_linear(a) && is_linear(b)) {
    if (e->op == FV_X_ADD || e->op == FV_X_SUB || e->op == FV_X_NEG)
      return STEP_LINEAR;
    if (e->op == FV_X_MUL && (!a->vary || !b->vary))
      return STEP_LINEAR;
    if ((e->op == FV_X_LE || e->op == FV_X_LT || e->op == FV_X_EQ) && !fv_x_has(e, FV_XF_LOAD))
      return STEP_SPAN;
  }
  if (e->op == FV_X_AND && e->dtype == FV_bool && is_span(a) && is_span(b))
    return STEP_SPAN;
  return STEP_VALUES;
}

static void add_step(nest_eval *x, const want *w) {
  const fv_expr *e = w->e;
  step s = {.e = e, .known = w->known, .stale = w->known ? 0 : ~UINT32_C(0), .linear = w->linear};
  int need[3] = {0, 0, 0};
  for (int i = 0; i < w->n_need; i++) {
    need[i] = known_step(x, w->need[i]);
    s.uses |= x->s[need[i]].uses;
  }
  const uint32_t lane = UINT32_C(1) << x->lane;
  if (e->kind == FV_E_INDEX) {
    s.uses = UINT32_C(1) << e->ref;
    s.form = (int)e->ref == x->lane ? STEP_LINEAR : STEP_VALUES;
  } else if (e->kind == FV_E_LOAD && e->ref == FV_NEST_ACC) {
    s.uses = LATE_BIT;
  } else if (e->kind == FV_E_LOAD) {
    s.from = x->in[e->ref];
    s.offset = need[0];
    s.by = need[1];
    if (w->linear && fv_x_uses_index(x->pool, e, (uint32_t)x->lane))
      s.uses |= lane;
  }
  s.vary = (s.uses & lane) != 0;
  if (e->kind == FV_E_OP && !s.known) {
    memcpy(s.arg, need, sizeof need);
    if (s.vary && e->n <= 2)
      s.form = form_of_op(e, &x->s[need[0]], &x->s[need[e->n - 1]]);
  }
  const int64_t full = x->extent[x->lane];
  s.v = FV_NEW_N(x->ar, fv_scalar, !s.vary || full < 1 ? 1 : full < CHUNK ? full : CHUNK);
  if (s.known)
    s.v[0].i = w->value;
  size_t n = (size_t)x->n_step;
  FV_PUSH(x->ar, x->s, n, x->cap, s);
  know_step(x, e, x->n_step++);
}

int fv_step_of(nest_eval *x, const fv_expr *e) {
  e = maker_of(e);
  want *stack = NULL;
  size_t n = 0, cap = 0;
  FV_PUSH(x->ar, stack, n, cap, want_of(x, e));
  while (n > 0) {
    const want w = stack[n - 1];
    const size_t here = n;
    for (int i = w.n_need - 1; i >= 0 && known_step(x, w.e) < 0; i--)
      if (known_step(x, w.need[i]) < 0)
        FV_PUSH(x->ar, stack, n, cap, want_of(x, w.need[i]));
    if (n > here)
      continue;
    n--;
    if (known_step(x, w.e) < 0)
      add_step(x, &w);
  }
  return known_step(x, e);
}

void fv_mark_late(nest_eval *x, int post) {
  x->s[post].late = true;
  for (int i = post; i >= 0; i--) {
    const step *s = &x->s[i];
    if (!s->late || s->known)
      continue;
    if (s->e->kind == FV_E_LOAD && s->from)
      x->s[s->offset].late = x->s[s->linear ? s->by : s->offset].late = true;
    for (int k = 0; s->e->kind == FV_E_OP && k < s->e->n; k++)
      x->s[s->arg[k]].late = true;
  }
}

//===-- Values ----------------------------------------------------------------------===//

static const fv_scalar *values_of(const nest_eval *x, step *s) {
  if (!s->vary || s->form == STEP_VALUES || s->filled)
    return s->v;
  s->filled = true;
  for (int64_t i = 0; i < x->count; i++)
    s->v[i].i = s->form == STEP_SPAN
                    ? i >= s->first && i < s->end
                    : (int64_t)((uint64_t)s->first + (uint64_t)s->stride * (uint64_t)i);
  return s->v;
}

fv_lanes fv_step_lanes(const nest_eval *x, int number) {
  step *s = &x->s[number];
  return (fv_lanes){values_of(x, s), s->vary};
}

static int64_t first_of(const step *s) {
  return s->vary ? s->first : s->v[0].i;
}

static int64_t stride_of(const step *s) {
  return s->vary ? s->stride : 0;
}

static void do_linear(step *s, const step *a, const step *b) {
  const uint64_t fa = (uint64_t)first_of(a), fb = (uint64_t)first_of(b);
  const uint64_t sa = (uint64_t)stride_of(a), sb = (uint64_t)stride_of(b);
  switch (s->e->op) {
  case FV_X_ADD:
    s->first = (int64_t)(fa + fb);
    s->stride = (int64_t)(sa + sb);
    break;
  case FV_X_SUB:
    s->first = (int64_t)(fa - fb);
    s->stride = (int64_t)(sa - sb);
    break;
  case FV_X_NEG:
    s->first = (int64_t)(0 - fa);
    s->stride = (int64_t)(0 - sa);
    break;
  default:
    s->first = (int64_t)(fa * fb);
    s->stride = (int64_t)(fa * sb + sa * fb);
    break;
  }
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) {
  return v < lo ? lo : v > hi ? hi : v;
}

// What [*lo, *hi) and [from, to) have in common.
static void narrow(int64_t *lo, int64_t *hi, int64_t from, int64_t to) {
  *lo = from > *lo ? from : *lo;
  *hi = to < *hi ? to : *hi;
  if (*lo >= *hi)
    *lo = *hi = 0;
}

// The lanes [*lo, *hi) of 0..count-1 on which d + k * lane >= 0.
static void not_negative(int64_t d, int64_t k, int64_t count, int64_t *lo, int64_t *hi) {
  *lo = 0;
  *hi = count;
  if (k == 0)
    *hi = d >= 0 ? count : 0;
  else if (k > 0)
    *lo = clamp(-fv_floordiv_i64(d, k), 0, count);
  else
    *hi = clamp(fv_floordiv_i64(d, -k) + 1, 0, count);
}

static void do_compare(const nest_eval *x, step *s, const step *a, const step *b) {
  const int64_t d = first_of(b) - first_of(a), k = stride_of(b) - stride_of(a);
  not_negative(s->e->op == FV_X_LT ? d - 1 : d, k, x->count, &s->first, &s->end);
  if (s->e->op == FV_X_EQ) {
    int64_t lo, hi;
    not_negative(-d, -k, x->count, &lo, &hi);
    narrow(&s->first, &s->end, lo, hi);
  }
}

static void span_of(const nest_eval *x, const step *s, int64_t *lo, int64_t *hi) {
  *lo = s->vary ? s->first : 0;
  *hi = s->vary ? s->end : s->v[0].i ? x->count : 0;
}

static void do_and(const nest_eval *x, step *s, const step *a, const step *b) {
  int64_t lo, hi;
  span_of(x, a, &s->first, &s->end);
  span_of(x, b, &lo, &hi);
  narrow(&s->first, &s->end, lo, hi);
}

static void do_other_form(const nest_eval *x, step *s) {
  s->filled = false;
  if (s->e->kind == FV_E_INDEX) {
    s->first = x->at[x->lane];
    s->stride = 1;
    return;
  }
  const step *a = &x->s[s->arg[0]], *b = &x->s[s->arg[s->e->n - 1]];
  if (s->form == STEP_LINEAR) {
    do_linear(s, a, b);
  } else if (s->e->op == FV_X_AND) {
    do_and(x, s, a, b);
  } else {
    do_compare(x, s, a, b);
  }
}

//===-- Loads -----------------------------------------------------------------------===//

// Out of range stands only in the arm of a select that is not taken.
static void load_linear(const step *s, int64_t base, int64_t stride, int64_t count) {
  const int64_t total = fv_array_count(s->from);
  int64_t lo, hi, from, to;
  not_negative(base, stride, count, &lo, &hi);
  not_negative(total - 1 - base, -stride, count, &from, &to);
  narrow(&lo, &hi, from, to);
  if (hi - lo < count) {
    memset(s->v, 0, (size_t)lo * sizeof *s->v);
    memset(s->v + hi, 0, (size_t)(count - hi) * sizeof *s->v);
  }
  const fv_dtype t = s->from->dtype;
  if (lo < hi)
    fv_scalar_load_n(t, (const uint8_t *)s->from->data + (base + lo * stride) * fv_dtype_size(t),
                     stride, s->v + lo, hi - lo);
}

static void do_load(nest_eval *x, step *s) {
  const int64_t count = s->vary ? x->count : 1;
  if (!s->from) {
    s->v[0] = x->acc;
    return;
  }
  step *o = &x->s[s->offset];
  if (s->linear) {
    const int64_t stride = x->s[s->by].v[0].i;
    load_linear(s, o->v[0].i + stride * x->at[x->lane], stride, count);
    return;
  }
  const int64_t total = fv_array_count(s->from);
  const int size = fv_dtype_size(s->from->dtype);
  const fv_scalar *at = values_of(x, o);
  for (int64_t i = 0; i < count; i++) {
    const int64_t k = at[o->vary ? i : 0].i;
    if (k >= 0 && k < total)
      s->v[i] = fv_scalar_load(s->from->dtype, (const uint8_t *)s->from->data + k * size);
    else
      s->v[i].i = 0;
  }
}

//===-- Operations ------------------------------------------------------------------===//

static void copy_lanes(const nest_eval *x, fv_scalar *to, step *from, int64_t lo, int64_t hi) {
  const fv_scalar *v = values_of(x, from);
  if (from->vary && hi > lo)
    memcpy(to + lo, v + lo, (size_t)(hi - lo) * sizeof *to);
  for (int64_t i = lo; !from->vary && i < hi; i++)
    to[i] = v[0];
}

// A condition that holds on a span takes the arms piece by piece.
static bool do_select(const nest_eval *x, const step *s, int64_t count) {
  const step *c = &x->s[s->arg[0]];
  if (s->e->op != FV_X_SELECT || !is_span(c))
    return false;
  int64_t lo, hi;
  span_of(x, c, &lo, &hi);
  narrow(&lo, &hi, 0, count);
  step *other = &x->s[s->arg[2]];
  copy_lanes(x, s->v, other, 0, lo);
  copy_lanes(x, s->v, &x->s[s->arg[1]], lo, hi);
  copy_lanes(x, s->v, other, hi, count);
  return true;
}

static void do_op(nest_eval *x, step *s) {
  const int64_t count = s->vary ? x->count : 1;
  const fv_expr *e = s->e;
  if (do_select(x, s, count))
    return;
  fv_lanes arg[3];
  for (int k = 0; k < 3; k++)
    arg[k] = fv_step_lanes(x, s->arg[k < e->n ? k : 0]);
  const fv_dtype t = (fv_dtype)(e->op == FV_X_SELECT ? e->dtype : e->arg[0]->dtype);
  fv_scalar_eval_n((fv_scalar_op)e->op, t, (fv_dtype)e->dtype, arg, s->v, count);
}

static void run_step(nest_eval *x, step *s) {
  switch (s->e->kind) {
  case FV_E_LIT:
    if (fv_dtype_is_float((fv_dtype)s->e->dtype))
      s->v[0].f = s->e->lit.f;
    else
      s->v[0].i = s->e->lit.i;
    break;
  case FV_E_SYM: s->v[0].i = x->symbol[s->e->ref]; break;
  case FV_E_INDEX: s->v[0].i = x->at[s->e->ref]; break;
  case FV_E_LOAD: do_load(x, s); break;
  default: do_op(x, s); break;
  }
}

void fv_run_steps(nest_eval *x, bool late) {
  uint32_t changed = late ? LATE_BIT : 0;
  for (int d = 0; d < FV_MAX_LOOPS; d++) {
    if (x->at[d] != x->was[d])
      changed |= UINT32_C(1) << d;
    x->was[d] = x->at[d];
  }
  if (x->count != x->was_count)
    changed |= UINT32_C(1) << x->lane;
  x->was_count = x->count;
  for (int i = 0; i < x->n_step; i++) {
    step *s = &x->s[i];
    s->stale |= s->uses & changed;
    // The combined value is not there yet while it is being made.
    if (!s->stale || (late ? !s->late : (s->uses & LATE_BIT) != 0))
      continue;
    s->stale = 0;
    if (s->vary && s->form != STEP_VALUES)
      do_other_form(x, s);
    else
      run_step(x, s);
  }
}
