// SPDX-License-Identifier: Apache-2.0
//
// Values that come from outside a graph, and the ops with regions. These rows have
// no meaning as data; here are their types and checks only.
#include "base/checked.h"
#include "ir/graph/loop.h"
#include "ir/sem/sem_util.h"

// No run looks at the number of a member, which is an expression of counters and dims.
static fv_status want_member(fv_sem *s, const char *what, int members) {
  const fv_expr *member = fv_attr_get(s->node, "member")->x;
  const fv_expr *one = fv_x_i64(s->pool, 1), *count = fv_x_i64(s->pool, members);
  const fv_truth in = fv_sem_in_range(s, member, count);
  if (in == FV_YES)
    return FV_OK;
  if (in == FV_UNKNOWN &&
      fv_sem_need(s, FV_REL_LE, fv_x_i64(s->pool, 0), member, "member") == FV_YES &&
      fv_sem_need(s, FV_REL_LE, fv_x_add(s->pool, member, one), count, "member") == FV_YES)
    return FV_OK;
  return fv_sem_error(s, "member = %s, but %s has %d member%s%s", fv_sem_dim_text(s, member), what,
                      members, members == 1 ? "" : "s",
                      in == FV_NO ? "" : "; cannot prove that this is one of them");
}

fv_status fv_sem_constant(fv_sem *s) {
  const fv_node *n = s->node;
  FV_CHECK(s->arena, n->n_data > 0);
  const fv_tensor *first = n->data[0];
  int64_t bytes;
  FV_TRY(fv_sem_rank_fits(s, first->rank));
  if (!fv_bytes_i64(first->dim, first->rank, fv_dtype_size(first->dtype), &bytes))
    return fv_sem_error(s, "the dims of '%s' are not those of a tensor", first->name);
  fv_type t = {.dtype = first->dtype, .rank = first->rank};
  for (int i = 0; i < t.rank; i++)
    t.dim[i] = fv_x_i64(s->pool, first->dim[i]);
  for (int m = 1; m < n->n_data; m++) {
    const fv_tensor *other = n->data[m];
    bool equal = other->dtype == first->dtype && other->rank == first->rank;
    for (int i = 0; i < t.rank && equal; i++)
      equal = other->dim[i] == first->dim[i];
    if (!equal)
      return fv_sem_error(s, "members of a family must have one type: '%s' differs from '%s'",
                          other->name, first->name);
  }
  FV_TRY(want_member(s, fv_arena_printf(s->arena, "'%s'", first->name), n->n_data));
  fv_sem_add_result(s, &t);
  return FV_OK;
}

// In the graph, equal dims are one.
static fv_type state_type(const fv_sem *s, const fv_state *state) {
  fv_type t = state->type;
  for (int i = 0; i < t.rank; i++)
    t.dim[i] = fv_graph_unified(s->node->region->graph, t.dim[i]);
  return t;
}

static fv_status state_of(fv_sem *s, const fv_state **out) {
  const int64_t i = fv_attr_int(s->node, "state");
  if (i < 0 || i >= s->module->n_state)
    return fv_sem_error(s, "state = %lld, but the model has %d", (long long)i, s->module->n_state);
  const fv_state *state = s->module->state[i];
  FV_TRY(want_member(s, fv_arena_printf(s->arena, "state '%s'", state->name), state->members));
  *out = state;
  return FV_OK;
}

fv_status fv_sem_state_read(fv_sem *s) {
  const fv_state *state = NULL;
  FV_TRY(state_of(s, &state));
  const fv_type t = state_type(s, state);
  fv_sem_add_result(s, &t);
  return FV_OK;
}

// A value that takes the place of another must have its type.
// `body` (optional): where the value is made, at whose end it is tested.
static fv_status same_type(fv_sem *s, const char *what, const fv_type *have, const fv_type *want,
                           fv_region *body) {
  bool known = have->dtype == want->dtype && have->rank == want->rank;
  bool equal = known;
  for (int i = 0; i < want->rank && known; i++) {
    const fv_truth t = fv_sem_need_at(s, body ? body : s->node->region, body ? NULL : s->node,
                                      FV_REL_EQ, have->dim[i], want->dim[i], what);
    equal = equal && t == FV_YES;
    known = t != FV_NO;
  }
  if (equal)
    return FV_OK;
  return fv_sem_error(s, "%s must be %s; it is %s%s", what, fv_sem_type_text(s, want),
                      fv_sem_type_text(s, have),
                      known ? "; cannot prove that these are equal, declare the dims as one" : "");
}

fv_status fv_sem_state_write(fv_sem *s) {
  const fv_state *state = NULL;
  FV_TRY(state_of(s, &state));
  const fv_type want = state_type(s, state);
  return same_type(s, fv_arena_printf(s->arena, "the new value of state '%s'", state->name),
                   fv_sem_type(s, 0), &want, NULL);
}

fv_status fv_sem_require(fv_sem *s) {
  const fv_condition c = fv_node_condition(s->node);
  if (c.relation >= FV_REL_COUNT || c.a->dtype != FV_i64 || c.b->dtype != FV_i64)
    return fv_sem_error(s, "no relation of two integers");
  if (fv_x_has(c.a, FV_XF_INDEX | FV_XF_LOAD) || fv_x_has(c.b, FV_XF_INDEX | FV_XF_LOAD))
    return fv_sem_error(s, "is about an index or data, which no host program knows");
  return FV_OK;
}

//===-- Symbols that regions set ------------------------------------------===//

// Does x depend on one that has a value in the regions of the node alone? *inside is found when it
// is needed.
static bool is_inside(fv_sem *s, const fv_expr *x, const bool **inside) {
  if (!fv_x_has(x, FV_XF_RUN))
    return false;
  if (!*inside)
    *inside = fv_symbols_inside(s->arena, s->node);
  return fv_x_uses_symbols(s->pool, x, *inside);
}

//===-- Loop --------------------------------------------------------------===//

static fv_status check_trips(fv_sem *s) {
  const fv_expr *trips = fv_attr_get(s->node, "trips")->x;
  const int64_t counter = fv_attr_int(s->node, "counter");
  FV_CHECK(s->arena, counter >= 0 && counter < fv_symbol_count(s->pool));
  return fv_sem_want_not_negative(s, trips, "trips");
}

static fv_status check_while(fv_sem *s) {
  const int64_t carry = fv_attr_int(s->node, "while_carry");
  if (carry < 0)
    return FV_OK;
  if (carry >= s->node->n_in)
    return fv_sem_error(s, "while_carry = %lld, but the loop carries %d value%s", (long long)carry,
                        s->node->n_in, s->node->n_in == 1 ? "" : "s");
  const fv_type *t = fv_sem_type(s, (int)carry);
  if (t->dtype != FV_bool || t->rank != 0)
    return fv_sem_error(s, "the carry that 'while' tests must be bool[]; it is %s",
                        fv_sem_type_text(s, t));
  return FV_OK;
}

// The trips are stored one after another, so each has as many elements.
static fv_status same_in_all_trips(fv_sem *s, int which, const fv_type *each, const bool **inside) {
  for (int i = 0; i < each->rank; i++)
    if (is_inside(s, each->dim[i], inside))
      return fv_sem_error(
          s,
          "collected value %d is %s, whose dims may differ from trip to trip; what is "
          "collected has dims that are known before the loop",
          which, fv_sem_type_text(s, each));
  return FV_OK;
}

// A value of each trip becomes one value with a new axis of `trips` entries.
static fv_status collected(fv_sem *s, const fv_expr *trips, int which, const fv_type *each,
                           fv_type *out) {
  const int64_t axis = fv_attr_get(s->node, "collect_axes")->ints[which];
  const int rank = each->rank + 1;
  FV_TRY(fv_sem_rank_fits(s, rank));
  if (axis < -rank || axis >= rank)
    return fv_sem_error(s, "collect_axes[%d] = %lld is out of range for rank %d", which,
                        (long long)axis, rank);
  const int at = (int)(axis < 0 ? axis + rank : axis);
  *out = (fv_type){.dtype = each->dtype, .rank = rank};
  for (int i = 0; i < rank; i++)
    out->dim[i] = i == at ? trips : each->dim[i < at ? i : i - 1];
  return FV_OK;
}

fv_status fv_sem_loop(fv_sem *s) {
  const fv_node *n = s->node;
  const fv_region *body = n->body[0];
  FV_TRY(check_trips(s));
  FV_TRY(check_while(s));
  const int carries = n->n_in;
  const int collects = body->n_result - carries;
  if (body->n_param != carries || collects < 0)
    return fv_sem_error(s, "%d value%s carried, but the body takes %d and gives %d", carries,
                        carries == 1 ? " is" : "s are", body->n_param, body->n_result);
  if (fv_attr_get(n, "collect_axes")->n != collects)
    return fv_sem_error(s, "%d value%s collected, but collect_axes has %d entries", collects,
                        collects == 1 ? " is" : "s are", fv_attr_get(n, "collect_axes")->n);
  const int64_t count = fv_attr_int(n, "count");
  if (count < 0 && collects > 0 && fv_attr_int(n, "while_carry") >= 0)
    return fv_sem_error(s, "a while loop that collects values needs a count symbol");
  if (count >= 0)
    fv_symbol_bound(s->pool, (uint32_t)count, fv_attr_get(n, "trips")->x);
  const fv_expr *trips =
      count >= 0 ? fv_x_sym(s->pool, (uint32_t)count) : fv_attr_get(n, "trips")->x;
  fv_type *types = FV_NEW_N(s->arena, fv_type, body->n_result);
  for (int i = 0; i < carries; i++) {
    const char *name = body->param[i]->name ? body->param[i]->name : "";
    const char *what = fv_arena_printf(s->arena, "the next value of carry %d%s%s%s", i,
                                       *name ? " '" : "", name, *name ? "'" : "");
    types[i] = *fv_sem_type(s, i);
    FV_TRY(same_type(s, what, &body->result[i]->type, &types[i], n->body[0]));
  }
  const bool *inside = NULL;
  for (int i = 0; i < collects; i++) {
    FV_TRY(same_in_all_trips(s, i, &body->result[carries + i]->type, &inside));
    FV_TRY(collected(s, trips, i, &body->result[carries + i]->type, &types[carries + i]));
  }
  s->types = types;
  s->n_out = body->n_result;
  return FV_OK;
}

//===-- If ----------------------------------------------------------------===//

// What two equal dims are called behind the arms; NULL: only an arm can say it.
static const fv_expr *common_dim(fv_sem *s, const fv_expr *a, const fv_expr *b) {
  const bool *inside = NULL;
  if (fv_prove_eq(s->pool, a, b) != FV_YES)
    return NULL;
  return !is_inside(s, a, &inside) ? a : !is_inside(s, b, &inside) ? b : NULL;
}

// The dim of axis number `at` (over all results). Where the arms differ it is a symbol, made
// when the node is inferred first, so that it stays when it is inferred again.
static const fv_expr *arm_dim(fv_sem *s, int at, int axes, const fv_expr *a, const fv_expr *b) {
  const fv_attr *have = fv_attr_get(s->node, "symbols");
  const fv_expr *common = common_dim(s, a, b);
  if ((at >= have->n || have->ints[at] < 0) && common)
    return common;
  const fv_range ra = fv_x_range(s->pool, a, NULL, 0), rb = fv_x_range(s->pool, b, NULL, 0);
  const int64_t symbol = fv_sem_symbol(s, at, axes, "if.dim", ra.lo < rb.lo ? ra.lo : rb.lo,
                                       ra.hi > rb.hi ? ra.hi : rb.hi);
  return fv_x_sym(s->pool, (uint32_t)symbol);
}

static fv_status check_arms(fv_sem *s, int *axes) {
  const fv_region *yes = s->node->body[0], *no = s->node->body[1];
  const fv_type *cond = fv_sem_type(s, 0);
  if (cond->dtype != FV_bool || cond->rank != 0)
    return fv_sem_error(s, "the condition must be bool[]; it is %s", fv_sem_type_text(s, cond));
  if (yes->n_result != no->n_result || yes->n_param || no->n_param)
    return fv_sem_error(s, "one arm gives %d value%s, the other %d", yes->n_result,
                        yes->n_result == 1 ? "" : "s", no->n_result);
  for (int i = 0; i < yes->n_result; i++) {
    const fv_type *a = &yes->result[i]->type, *b = &no->result[i]->type;
    if (a->dtype != b->dtype || a->rank != b->rank)
      return fv_sem_error(s, "result %d is %s in one arm and %s in the other", i,
                          fv_sem_type_text(s, a), fv_sem_type_text(s, b));
    *axes += a->rank;
  }
  return fv_sem_want_symbols(s, *axes);
}

fv_status fv_sem_if(fv_sem *s) {
  const fv_region *yes = s->node->body[0], *no = s->node->body[1];
  int axes = 0, at = 0;
  FV_TRY(check_arms(s, &axes));
  fv_type *types = FV_NEW_N(s->arena, fv_type, yes->n_result);
  for (int i = 0; i < yes->n_result; i++) {
    const fv_type *a = &yes->result[i]->type, *b = &no->result[i]->type;
    types[i] = (fv_type){.dtype = a->dtype, .rank = a->rank};
    for (int d = 0; d < a->rank; d++)
      types[i].dim[d] = arm_dim(s, at++, axes, a->dim[d], b->dim[d]);
  }
  s->types = types;
  s->n_out = yes->n_result;
  return FV_OK;
}
