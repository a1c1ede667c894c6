// SPDX-License-Identifier: Apache-2.0
//
// <state> and its uses. An append writes rows after the valid part and gives
// the valid part with them; the graph that does it advances the length.
#include <string.h>

#include "base/checked.h"
#include "frontend/xml/build.h"

typedef struct use {
  int index;
  const fv_state *state;
  const fv_expr *member;
  fv_bounds all;  // of `member` in all steps of the loops around
} use;

//===-- Declaration -------------------------------------------------------===//

static bool plain_dims(fv_xml_cx *cx, const fv_xml_elem *e, const fv_type *t) {
  int64_t lit;
  for (int i = 0; i < t->rank; i++)
    if (!fv_x_is_lit(t->dim[i], &lit) && t->dim[i]->kind != FV_E_SYM) {
      (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, fv_xml_find_attr(e, "shape"), 0),
                         "a dim of a state is an integer or a dim of the model, no expression");
      return false;
    }
  return true;
}

// The symbol of the valid length: shared by all states that name it.
static bool declare_length(fv_xml_cx *cx, const fv_xml_elem *e, fv_state *s) {
  const fv_xml_attr *length = fv_xml_find_attr(e, "length");
  const fv_xml_attr *axis = fv_xml_find_attr(e, "axis");
  if (!length && !axis)
    return true;
  if (!length || !axis) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "a state that grows needs axis= and length= together");
    return false;
  }
  int64_t at;
  int64_t capacity;
  if (!fv_xml_int(cx, fv_xml_whole(axis), &at))
    return false;
  at += at < 0 ? s->type.rank : 0;
  if (at < 0 || at >= s->type.rank || !fv_x_is_lit(s->type.dim[at], &capacity)) {
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, axis, 0),
                       "axis= names the axis that grows; its dim in shape= is the capacity, a "
                       "plain integer");
    return false;
  }
  s->length_axis = (int)at;
  const char *name = fv_xml_slice_text(cx, fv_xml_whole(length));
  const fv_xml_name *known = fv_xml_scope_get(cx->model, name, strlen(name));
  if (known && known->kind == FV_XML_INT && known->expr->kind == FV_E_SYM) {
    const fv_symbol *sym = fv_symbol_get(cx->pool, known->expr->ref);
    s->length = known->expr->ref;
    if (sym->kind == FV_SYM_STATE && sym->max == capacity)
      return true;
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, length, 0),
                       sym->kind == FV_SYM_STATE
                           ? "'%s' is the length of a state of another capacity"
                           : "'%s' is a dim; the length of a state needs a name of its own",
                       name);
    return false;
  }
  if (known || !fv_xml_is_name(name)) {
    fv_xml_bind(cx, length, 0, name, FV_XML_POISON, NULL);
    return false;
  }
  s->length = fv_symbol_add(cx->pool, name, 0, capacity, FV_SYM_STATE);
  fv_xml_bind(cx, length, 0, name, FV_XML_INT, fv_x_sym(cx->pool, s->length));
  return true;
}

// States of one length stand in a ring, wherever a graph comes upon it.
static void join_length(fv_xml_cx *cx, const fv_state *s, int number) {
  FV_PUSH(cx->arena, cx->same_length, cx->n_same_length, cx->cap_same_length, number);
  if (s->length_axis < 0)
    return;
  const char *length = fv_symbol_get(cx->pool, s->length)->name;
  if (fv_xml_scope_note(cx->arena, cx->lengths, length, (size_t)number))
    return;
  const size_t first = fv_xml_scope_get(cx->lengths, length, strlen(length))->index;
  cx->same_length[number] = cx->same_length[first];
  cx->same_length[first] = number;
}

void fv_xml_run_state(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *name = fv_xml_find_attr(e, "name");
  const fv_xml_attr *members = fv_xml_find_attr(e, "members");
  const char *word = fv_xml_slice_text(cx, fv_xml_whole(name));
  fv_xml_name *entry = FV_NEW(cx->arena, fv_xml_name);
  *entry = (fv_xml_name){.name = word, .where = e};
  if (!fv_xml_is_name(word) || fv_xml_scope_get(cx->states, word, strlen(word))) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, name, 0),
                       "'%s' is no name, or the name of another state", word);
    return;
  }
  fv_xml_scope_put(cx->arena, cx->states, entry);
  fv_state s = {.length_axis = -1};
  int64_t n = 1;
  bool good = fv_xml_declared(cx, e, &s.type) && plain_dims(cx, e, &s.type);
  good = (!members || fv_xml_int(cx, fv_xml_whole(members), &n)) && good;
  if (good && (n < 1 || n > 65536)) {
    (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at_value(cx, members, 0),
                       "a state has 1 to 65536 members");
    good = false;
  }
  if (!good || !declare_length(cx, e, &s))
    return;
  fv_state *made = fv_module_add_state(cx->module, word, &s.type, (int)n);
  made->length_axis = s.length_axis;
  made->length = s.length;
  made->span = fv_xml_at(cx, e);
  join_length(cx, made, cx->module->n_state - 1);
  entry->kind = FV_XML_INDEX;
  entry->index = (size_t)cx->module->n_state - 1;
}

//===-- Uses --------------------------------------------------------------===//

static bool is_state(const fv_xml_name *n) {
  return n->name != NULL;
}

static const fv_state *find_state(fv_xml_cx *cx, const fv_xml_elem *e, int *index) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "state");
  const char *name = fv_xml_plain(cx, fv_xml_whole(a));
  const fv_xml_name *known = name ? fv_xml_scope_get(cx->states, name, strlen(name)) : NULL;
  if (name && !known)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0), "no state is called '%s'%s",
                       name, fv_xml_suggest_name(cx, cx->states, name, is_state));
  if (!known || known->kind != FV_XML_INDEX)
    return NULL;
  *index = (int)known->index;
  return cx->module->state[*index];
}

//===-- Updates -----------------------------------------------------------===//

// Each step of a loop must update a member of its own: a higher one than the step before, or a
// lower one, together with all that the loops inside update in it.
static bool own_member(fv_xml_cx *cx, const fv_xml_elem *e, use *u) {
  u->all = (fv_bounds){u->member, u->member};
  for (const fv_xml_frame *f = cx->top; f; f = f->up) {
    if (!f->loop || (fv_loop_apart(f->loop->node, u->all) && fv_loop_widen(f->loop->node, &u->all)))
      continue;
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "each step of the loop must update a member of state '%s' of its own; give "
                       "it a member= that rises or falls with the counter of the loop",
                       u->state->name);
    return false;
  }
  return true;
}

static fv_xml_written *updates_of(fv_xml_cx *cx, const fv_state *s) {
  if (fv_xml_scope_note(cx->arena, cx->written_of, s->name, cx->n_written)) {
    const fv_xml_written none = {.plain = fv_xml_scope_create(cx->arena, NULL)};
    FV_PUSH(cx->arena, cx->written, cx->n_written, cx->cap_written, none);
  }
  return &cx->written[fv_xml_scope_get(cx->written_of, s->name, strlen(s->name))->index];
}

// The counter in some other step: unknown, as an index is.
static const fv_expr *other_step(void *user, const fv_expr *e) {
  fv_xpool *p = user;
  const bool counter = e->kind == FV_E_SYM && fv_symbol_get(p, e->ref)->kind == FV_SYM_COUNTER;
  return counter ? fv_x_index(p, e->ref) : e;
}

static bool below(fv_xpool *p, const fv_bounds *a, const fv_bounds *b) {
  return fv_prove_le(p, fv_x_add(p, a->hi, fv_x_i64(p, 1)), b->lo) == FV_YES;
}

// May a member that was updated be that of this use? Two updates must be apart in any two steps, a
// read follows an update in the same step.
static bool may_meet(fv_xml_cx *cx, const fv_xml_update *list, size_t n, const use *u,
                     bool update) {
  fv_xpool *p = cx->pool;
  const fv_expr *member = update ? fv_x_rewrite(p, u->member, other_step, p) : u->member;
  for (size_t i = 0; i < n; i++)
    if (fv_prove_eq(p, list[i].member, member) != FV_NO && !below(p, &list[i].all, &u->all) &&
        !below(p, &u->all, &list[i].all))
      return true;
  return false;
}

// Two plain integers are looked up; only what depends on a counter is compared.
static bool updated(fv_xml_cx *cx, const fv_xml_written *w, const use *u, bool update) {
  int64_t v;
  if (!fv_x_is_lit(u->member, &v))
    return may_meet(cx, w->update, w->n, u, update);
  const char *text = fv_arena_printf(cx->arena, "%lld", (long long)v);
  return fv_xml_scope_get(w->plain, text, strlen(text)) ||
         may_meet(cx, w->varying, w->n_varying, u, update);
}

static void note_update(fv_xml_cx *cx, fv_xml_written *w, const use *u) {
  const fv_xml_update update = {u->member, u->all};
  int64_t v;
  if (fv_x_is_lit(u->member, &v))
    (void)fv_xml_scope_note(cx->arena, w->plain, fv_arena_printf(cx->arena, "%lld", (long long)v),
                            w->n);
  else
    FV_PUSH(cx->arena, w->varying, w->n_varying, w->cap_varying, update);
  FV_PUSH(cx->arena, w->update, w->n, w->cap, update);
}

static bool find_use(fv_xml_cx *cx, const fv_xml_elem *e, bool update, use *u) {
  const fv_xml_attr *member = fv_xml_find_attr(e, "member");
  u->state = find_state(cx, e, &u->index);
  u->member = member ? fv_xml_expr(cx, fv_xml_whole(member)) : fv_x_i64(cx->pool, 0);
  if (!u->state || !u->member)
    return false;
  if (!member && u->state->members > 1) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "state '%s' has %d members; say which by member=", u->state->name,
                       u->state->members);
    return false;
  }
  u->all = (fv_bounds){u->member, u->member};
  if (update && !own_member(cx, e, u))
    return false;
  fv_xml_written *w = updates_of(cx, u->state);
  if (updated(cx, w, u, update)) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "state '%s' was updated before in this graph; use the value of that update",
                       u->state->name);
    return false;
  }
  if (update)
    note_update(cx, w, u);
  return true;
}

static fv_node *state_node(fv_xml_cx *cx, fv_op op, const use *u, fv_value *x) {
  fv_node *n = fv_xml_node(cx, op, x ? 1 : 0, &x);
  fv_attr_set_int(n, "state", u->index);
  fv_attr_set_expr(n, "member", u->member);
  return n;
}

// The first `length` entries along the axis that grows.
static fv_value *valid_part(fv_xml_cx *cx, const fv_state *s, fv_value *v, const fv_expr *length) {
  if (!v)
    return NULL;
  fv_node *n = fv_xml_node(cx, FV_OP_slice, 1, &v);
  fv_attr_set_int(n, "axis", s->length_axis);
  fv_attr_set_expr(n, "end", length);
  return fv_xml_op1(cx, n);
}

void fv_xml_run_read(fv_xml_cx *cx, const fv_xml_elem *e) {
  use u = {0};
  fv_value *v = NULL;
  if (find_use(cx, e, false, &u)) {
    v = fv_xml_op1(cx, state_node(cx, FV_OP_state_read, &u, NULL));
    if (u.state->length_axis >= 0)
      v = valid_part(cx, u.state, v, fv_x_sym(cx->pool, u.state->length));
  }
  fv_xml_bind_value(cx, fv_xml_whole(fv_xml_find_attr(e, "out")), v);
}

void fv_xml_run_write(fv_xml_cx *cx, const fv_xml_elem *e) {
  use u = {0};
  fv_value *x = fv_xml_operand(cx, fv_xml_whole(fv_xml_find_attr(e, "x")), NULL);
  if (!find_use(cx, e, true, &u) || !x)
    return;
  if (u.state->length_axis >= 0) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "state '%s' grows: rows are put to it by <append>", u.state->name);
    return;
  }
  (void)fv_xml_place_node(cx, state_node(cx, FV_OP_state_write, &u, x));
}

// All appends to states of one length in a graph add the same number of rows.
static bool advance(fv_xml_cx *cx, const fv_xml_elem *e, const fv_state *s, const fv_expr *next) {
  fv_graph *g = cx->graph;
  const char *length = fv_symbol_get(cx->pool, s->length)->name;
  const fv_xml_name *known = fv_xml_scope_get(cx->advances, length, strlen(length));
  if (known) {
    if (fv_prove_eq(cx->pool, g->advance[known->index].next, next) == FV_YES)
      return true;
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at(cx, e),
                       "all appends of a graph to states of one length must add the same number "
                       "of rows");
    return false;
  }
  (void)fv_xml_scope_note(cx->arena, cx->advances, length, (size_t)g->n_advance);
  fv_graph_add_advance(g,
                       (fv_advance){.length = s->length, .next = next, .span = fv_xml_at(cx, e)});
  return true;
}

// The length is one for all members, so the loops around say nothing about the number of rows. What
// their bodies count is known when they end.
static void note_rows(fv_xml_cx *cx, const fv_xml_elem *e, const fv_expr *count) {
  const fv_xml_rows rows = {count, fv_xml_at(cx, e)};
  for (fv_xml_frame *f = cx->top; f && fv_x_has(count, FV_XF_RUN); f = f->up)
    if (f->loop)
      FV_PUSH(cx->arena, f->loop->rows, f->loop->n_rows, f->loop->cap_rows, rows);
}

bool fv_xml_check_rows(fv_xml_cx *cx, const fv_xml_loop *l) {
  if (!l->n_rows)
    return true;
  const bool *varies = fv_symbols_inside(cx->arena, l->node);
  for (size_t i = 0; i < l->n_rows; i++)
    if (fv_x_uses_symbols(cx->pool, l->rows[i].count, varies)) {
      (void)fv_xml_fault(cx, FV_ERR_TYPE, l->rows[i].at,
                         "the rows that <append> adds may be more in one step of the loop than in "
                         "another; their number must be known before the loop");
      return false;
    }
  return true;
}

static fv_value *append_rows(fv_xml_cx *cx, const fv_xml_elem *e, const use *u, fv_value *x) {
  const fv_state *s = u->state;
  if (s->length_axis < 0 || x->type.rank != s->type.rank) {
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, fv_xml_find_attr(e, "x"), 0),
                       s->length_axis < 0
                           ? "state '%s' (%s) has no axis= and length=, so it cannot grow; <write> "
                             "replaces it; the value is %s"
                           : "rows for state '%s' must have its rank: it is %s, the value is %s",
                       s->name, fv_xml_type_text(cx, &s->type), fv_xml_type_text(cx, &x->type));
    return NULL;
  }
  const fv_expr *past = fv_x_sym(cx->pool, s->length);
  const fv_expr *rows = x->type.dim[s->length_axis];
  const fv_expr *next = fv_x_add(cx->pool, past, rows);
  if (!advance(cx, e, s, next))
    return NULL;
  note_rows(cx, e, rows);
  fv_value *old = fv_xml_op1(cx, state_node(cx, FV_OP_state_read, u, NULL));
  if (!old)
    return NULL;
  fv_node *n = fv_xml_node(cx, FV_OP_tensor_scatter, 2, (fv_value *[]){old, x});
  fv_attr_set_int(n, "axis", s->length_axis);
  fv_attr_set_expr(n, "position", past);
  fv_value *all = fv_xml_op1(cx, n);
  if (!all || !fv_xml_place_node(cx, state_node(cx, FV_OP_state_write, u, all)))
    return NULL;
  return valid_part(cx, s, all, next);
}

// The length of a state grows in each run, whichever arms it takes and wherever its loops end.
static bool always_runs(fv_xml_cx *cx, const fv_xml_elem *e) {
  for (const fv_xml_frame *f = cx->top; f; f = f->up) {
    const bool may_end = f->loop && fv_xml_find_attr(f->site, "while");
    if (f->kind != FV_XML_IN_ARM && !may_end)
      continue;
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "<append> stands in no %s: each run adds its rows",
                       may_end ? "loop with while=" : "arm of an <if>");
    return false;
  }
  return true;
}

// Steps with members of their own, so there are as many members.
static bool count_members(fv_xml_cx *cx, const fv_xml_elem *e, const use *u) {
  int64_t n = 1, trips;
  for (const fv_xml_frame *f = cx->top; f; f = f->up) {
    if (!f->loop)
      continue;
    if (!fv_x_is_lit(f->loop->trips, &trips) || !fv_mul_i64(n, trips, &n)) {
      (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at(cx, e),
                         "to how many members of state '%s' this appends depends on the run; the "
                         "loop must make a plain number of steps",
                         u->state->name);
      return false;
    }
  }
  fv_xml_written *w = updates_of(cx, u->state);
  if (!fv_add_i64(w->appended, n, &w->appended))
    w->appended = INT64_MAX;
  return true;
}

void fv_xml_check_growth(fv_xml_cx *cx) {
  const fv_graph *g = cx->graph;
  for (int i = 0; i < g->n_advance; i++) {
    const char *length = fv_symbol_get(cx->pool, g->advance[i].length)->name;
    const int first = (int)fv_xml_scope_get(cx->lengths, length, strlen(length))->index;
    int at = first;
    do {
      const fv_state *s = cx->module->state[at];
      const int64_t n = updates_of(cx, s)->appended;
      if (n < s->members) {
        (void)fv_xml_fault(cx, FV_ERR_TYPE, g->advance[i].span,
                           "'%s' grows with this, but the graph appends to %lld of the %d member%s "
                           "of state '%s', which has this length: append to each",
                           length, (long long)n, s->members, s->members == 1 ? "" : "s", s->name);
        break;
      }
      at = cx->same_length[at];
    } while (at != first);
  }
}

void fv_xml_run_append(fv_xml_cx *cx, const fv_xml_elem *e) {
  use u = {0};
  const fv_xml_attr *out = fv_xml_find_attr(e, "out");
  fv_value *x = fv_xml_operand(cx, fv_xml_whole(fv_xml_find_attr(e, "x")), NULL);
  const bool found = find_use(cx, e, true, &u);
  fv_value *v = found && x && always_runs(cx, e) && count_members(cx, e, &u)
                    ? append_rows(cx, e, &u, x)
                    : NULL;
  if (out)
    fv_xml_bind_value(cx, fv_xml_whole(out), v);
}
