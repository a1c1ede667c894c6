// SPDX-License-Identifier: Apache-2.0
// Values of expressions of symbols. There is no pool here to take memory from: small expressions
// need none, the rest takes it from libc and gives it back.
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "ir/expr/expr.h"

enum { EVAL_LOCAL = 64 };

typedef struct eval_slot {
  const fv_expr *e;
  fv_scalar v;
} eval_slot;

// Values by expression: open addressing.
struct fv_xvalues {
  eval_slot *slot, local[EVAL_LOCAL];
  size_t n, cap;   // a power of two
  bool overflows;  // the last evaluation left 64 bits
};

typedef struct evaluator {
  const int64_t *symbol;
  const fv_expr **stack, *stack_local[EVAL_LOCAL];
  size_t n_stack, cap_stack;
  fv_xvalues own, *kept;  // kept: of what has not FV_XF_RUN
} evaluator;

static void values_init(fv_xvalues *t) {
  *t = (fv_xvalues){.cap = EVAL_LOCAL};
  t->slot = t->local;
}

static void values_fini(fv_xvalues *t) {
  if (t->slot != t->local)
    free(t->slot);
}

static eval_slot *values_find(const fv_xvalues *t, const fv_expr *e) {
  size_t k = (size_t)(e->id * 2654435769u) & (t->cap - 1);
  while (t->slot[k].e && t->slot[k].e != e)
    k = (k + 1) & (t->cap - 1);
  return &t->slot[k];
}

static bool values_add(fv_xvalues *t, const fv_expr *e, fv_scalar value) {
  if (t->n * 2 >= t->cap) {
    eval_slot *old = t->slot;
    const size_t n = t->cap;
    eval_slot *wider = n > SIZE_MAX / 2 ? NULL : calloc(n * 2, sizeof *wider);
    if (!wider)
      return false;
    t->slot = wider;
    t->cap = n * 2;
    for (size_t i = 0; i < n; i++)
      if (old[i].e)
        *values_find(t, old[i].e) = old[i];
    if (old != t->local)
      free(old);
  }
  *values_find(t, e) = (eval_slot){e, value};
  t->n++;
  return true;
}

static fv_xvalues *table_of(evaluator *v, const fv_expr *e) {
  return fv_x_has(e, FV_XF_RUN) ? &v->own : v->kept;
}

static void free_values(void *t) {
  values_fini(t);
}

fv_xvalues *fv_xvalues_create(fv_arena *ar) {
  fv_xvalues *t = FV_NEW(ar, fv_xvalues);
  values_init(t);
  void **slot = fv_arena_defer(ar, free_values);
  *slot = t;
  return t;
}

static bool eval_push(evaluator *v, const fv_expr *e) {
  if (v->n_stack == v->cap_stack) {
    const bool is_local = v->stack == v->stack_local;
    size_t bytes;
    if (!fv_mul_size(v->cap_stack * 2, sizeof *v->stack, &bytes))
      return false;
    const fv_expr **wider = realloc(is_local ? NULL : v->stack, bytes);
    if (!wider)
      return false;
    if (is_local)
      memcpy(wider, v->stack_local, sizeof v->stack_local);
    v->stack = wider;
    v->cap_stack *= 2;
  }
  v->stack[v->n_stack++] = e;
  return true;
}

// Of i64 and without a division by 0: does the value of e fit?
static bool overflows(const fv_expr *e, const fv_scalar *a) {
  int64_t r = 0;
  switch (e->op) {
  case FV_X_ADD: return !fv_add_i64(a[0].i, a[1].i, &r);
  case FV_X_SUB: return !fv_sub_i64(a[0].i, a[1].i, &r);
  case FV_X_MUL: return !fv_mul_i64(a[0].i, a[1].i, &r);
  case FV_X_MAD: return !fv_mul_i64(a[0].i, a[1].i, &r) || !fv_add_i64(r, a[2].i, &r);
  case FV_X_NEG:
  case FV_X_ABS: return a[0].i == INT64_MIN;
  case FV_X_DIV:
  case FV_X_FLOORDIV: return a[0].i == INT64_MIN && a[1].i == -1;
  default: return false;
  }
}

static bool eval_op(evaluator *v, const fv_expr *e, const fv_scalar *a, fv_scalar *out) {
  const fv_dtype t = (fv_dtype)e->arg[e->op == FV_X_SELECT ? 1 : 0]->dtype;
  const bool divides = e->op == FV_X_DIV || e->op == FV_X_FLOORDIV || e->op == FV_X_MOD;
  if (divides && !fv_dtype_is_float(t) && a[1].i == 0)
    return false;
  if (t == FV_i64 && overflows(e, a)) {
    v->kept->overflows = true;
    return false;
  }
  *out = fv_scalar_eval((fv_scalar_op)e->op, t, (fv_dtype)e->dtype, a[0], a[1], a[2]);
  if (fv_dtype_is_float((fv_dtype)e->dtype))
    out->f = fv_round_to((fv_dtype)e->dtype, out->f);
  return true;
}

// Evaluates the top of the stack or pushes what it needs first. Of a SELECT
// only the arm that is taken is looked at: the other may divide by zero.
static bool eval_step(evaluator *v) {
  const fv_expr *e = v->stack[v->n_stack - 1];
  fv_scalar a[3] = {{.i = 0}, {.i = 0}, {.i = 0}}, r = {.i = 0};
  int want = e->n;
  if (e->kind == FV_E_LIT) {
    memcpy(&r, &e->lit, sizeof r);
  } else if (e->kind == FV_E_SYM) {
    r.i = v->symbol[e->ref];
  } else if (e->kind == FV_E_OP) {
    for (int i = 0; i < want; i++) {
      if (e->op == FV_X_SELECT && i > 0 && (a[0].i != 0) != (i == 1))
        continue;
      const eval_slot *s = values_find(table_of(v, e->arg[i]), e->arg[i]);
      if (!s->e)
        return eval_push(v, e->arg[i]);
      a[i] = s->v;
    }
    if (!eval_op(v, e, a, &r))
      return false;
  } else {
    return false;
  }
  v->n_stack--;
  fv_xvalues *t = table_of(v, e);
  return values_find(t, e)->e || values_add(t, e, r);
}

bool fv_x_eval_kept(const fv_expr *e, const int64_t *symbol_values, fv_xvalues *kept,
                    int64_t *out) {
  evaluator v = {.symbol = symbol_values, .cap_stack = EVAL_LOCAL};
  v.stack = v.stack_local;
  values_init(&v.own);
  v.kept = kept ? kept : &v.own;
  v.kept->overflows = false;
  const eval_slot *known = e->dtype == FV_i64 ? values_find(table_of(&v, e), e) : NULL;
  bool ok = known && (known->e || eval_push(&v, e));
  while (ok && v.n_stack > 0)
    ok = eval_step(&v);
  if (ok)
    *out = values_find(table_of(&v, e), e)->v.i;
  if (v.stack != v.stack_local)
    free(v.stack);
  values_fini(&v.own);
  return ok;
}

bool fv_x_overflowed(const fv_xvalues *kept) {
  return kept->overflows;
}

bool fv_x_eval_i64(const fv_expr *e, const int64_t *symbol_values, int64_t *out) {
  return fv_x_eval_kept(e, symbol_values, NULL, out);
}
