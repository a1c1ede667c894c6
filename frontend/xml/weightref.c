// SPDX-License-Identifier: Apache-2.0
//
// "@name | transpose(1, 0) | slice(0, 0, 128)": references to weights. Holes and
// arguments may hold counters of repeats; the reference is then a family with
// one tensor for each combination of their values.
#include <string.h>

#include "base/checked.h"
#include "frontend/xml/build.h"

enum { MAX_COUNTERS = 8, MAX_ARGS = FV_MAX_RANK, MAX_MODIFIERS = 8 };

typedef struct modifier {
  const char *name;
  fv_xml_slice at;
  int n;
  const fv_expr *arg[MAX_ARGS];
} modifier;

typedef struct reference {
  fv_xml_slice from;
  const fv_xml_text *name;
  modifier mod[MAX_MODIFIERS];
  int n_mod;
  uint32_t counter[MAX_COUNTERS];
  int64_t trips[MAX_COUNTERS];
  int n_counter;
  int64_t members;
  int64_t *values;        // of all symbols, to evaluate with
  const fv_tensor *base;  // what the name says, where it holds no counter
  fv_str text;            // of a name or a key, one after the other
} reference;

static fv_status fault(fv_xml_cx *cx, fv_xml_slice s, const char *text) {
  return fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, s.at), "%s", text);
}

//===-- Reading -----------------------------------------------------------===//

static bool parse_modifier(fv_xml_cx *cx, reference *r, fv_xml_slice s) {
  const char *p = s.attr->value + s.at;
  const char *open = s.n ? memchr(p, '(', s.n) : NULL;
  if (!open || p[s.n - 1] != ')')
    return fault(cx, s, "a modifier is written name(arguments), like transpose(1, 0)") == FV_OK;
  if (r->n_mod == MAX_MODIFIERS)
    return fault(cx, s, "too many modifiers for one weight") == FV_OK;
  modifier *m = &r->mod[r->n_mod++];
  const size_t head = (size_t)(open - p);
  m->at = s;
  m->name = fv_xml_slice_text(cx, fv_xml_trim((fv_xml_slice){s.attr, s.at, head}));
  fv_xml_slice rest = fv_xml_trim((fv_xml_slice){s.attr, s.at + head + 1, s.n - head - 2});
  fv_xml_slice item;
  while (fv_xml_next(&rest, &item)) {
    if (m->n == MAX_ARGS)
      return fault(cx, item, "too many arguments") == FV_OK;
    m->arg[m->n] = fv_xml_expr(cx, item);
    if (!m->arg[m->n++])
      return false;
  }
  return true;
}

static bool parse_reference(fv_xml_cx *cx, reference *r, fv_xml_slice s) {
  const char *v = s.attr->value;
  const size_t end = s.at + s.n;
  r->from = s;
  for (size_t at = s.at + 1, part = 0; at <= end; part++) {
    const char *bar = memchr(v + at, '|', end - at);
    const size_t cut = bar ? (size_t)(bar - v) : end;
    const fv_xml_slice piece = fv_xml_trim((fv_xml_slice){s.attr, at, cut - at});
    if (part == 0)
      r->name = fv_xml_interpolate(cx, piece);
    if (part == 0 ? !r->name : !parse_modifier(cx, r, piece))
      return false;
    at = cut + 1;
  }
  if (r->name->n > 0)
    return true;
  return fault(cx, s, "the name of a weight is expected behind '@'") == FV_OK;
}

//===-- Counters ----------------------------------------------------------===//

typedef struct collector {
  fv_xml_cx *cx;
  reference *r;
  bool failed;
} collector;

static const fv_xml_loop *loop_of(const fv_xml_cx *cx, uint32_t counter) {
  for (const fv_xml_frame *f = cx->top; f; f = f->up)
    if (f->loop && f->loop->counter == counter)
      return f->loop;
  return NULL;
}

static const fv_expr *note_symbol(void *user, const fv_expr *e) {
  collector *c = user;
  if (e->kind != FV_E_SYM || c->failed)
    return e;
  reference *r = c->r;
  for (int i = 0; i < r->n_counter; i++)
    if (r->counter[i] == e->ref)
      return e;
  const fv_xml_loop *loop = loop_of(c->cx, e->ref);
  int64_t trips;
  if (!loop || !fv_x_is_lit(loop->trips, &trips)) {
    const char *name = fv_symbol_get(c->cx->pool, e->ref)->name;
    (void)fv_xml_fault(c->cx, FV_ERR_PARSE, fv_xml_at_value(c->cx, r->from.attr, r->from.at),
                       loop ? "'%s' counts a number of steps that is not known before the run, so "
                              "it cannot choose a weight"
                            : "'%s' is not known before the run, so it cannot choose a weight",
                       name);
    c->failed = true;
    return e;
  }
  const size_t left = c->cx->limit.max_members - c->cx->n_member;
  if (r->n_counter == MAX_COUNTERS || !fv_mul_i64(r->members, trips, &r->members) ||
      (uint64_t)r->members > left) {
    (void)fv_xml_fault(c->cx, FV_ERR_LIMIT, fv_xml_at_value(c->cx, r->from.attr, r->from.at),
                       "this family of weights has too many members: with those before it there "
                       "would be more than %zu",
                       c->cx->limit.max_members);
    c->failed = true;
    return e;
  }
  r->counter[r->n_counter] = e->ref;
  r->trips[r->n_counter++] = trips;
  return e;
}

static bool find_counters(fv_xml_cx *cx, reference *r) {
  collector c = {.cx = cx, .r = r};
  r->members = 1;
  for (int i = 0; i < r->name->n; i++)
    if (r->name->piece[i].expr)
      (void)fv_x_rewrite(cx->pool, r->name->piece[i].expr, note_symbol, &c);
  for (int i = 0; i < r->n_mod; i++)
    for (int k = 0; k < r->mod[i].n; k++)
      (void)fv_x_rewrite(cx->pool, r->mod[i].arg[k], note_symbol, &c);
  if (!c.failed && r->n_counter)
    cx->n_member += (size_t)r->members;
  return !c.failed;
}

// One array for all references: only the counters of the one at hand are ever looked at.
static int64_t *room_for_symbols(fv_xml_cx *cx) {
  const size_t n = fv_symbol_count(cx->pool);
  if (n > cx->cap_symbol_value) {
    cx->cap_symbol_value = 2 * n;
    cx->symbol_value = FV_NEW_N(cx->arena, int64_t, cx->cap_symbol_value);
  }
  return cx->symbol_value;
}

// Sets the counters to those of one member, the last counting fastest.
static void set_member(const reference *r, int64_t member) {
  for (int i = r->n_counter - 1; i >= 0; i--) {
    r->values[r->counter[i]] = member % r->trips[i];
    member /= r->trips[i];
  }
}

static const fv_expr *member_expr(fv_xml_cx *cx, const reference *r) {
  const fv_expr *e = fv_x_i64(cx->pool, 0);
  for (int i = 0; i < r->n_counter; i++) {
    e = fv_x_mul(cx->pool, e, fv_x_i64(cx->pool, r->trips[i]));
    e = fv_x_add(cx->pool, e, fv_x_sym(cx->pool, r->counter[i]));
  }
  return e;
}

//===-- Tensors -----------------------------------------------------------===//

static const char *weight_name(void *user, int i) {
  return fv_weights_name(user, i);
}

// " (in step i = 3)", for messages.
static const char *which_step(fv_xml_cx *cx, const reference *r) {
  fv_str s = {.arena = cx->arena};
  for (int i = 0; i < r->n_counter; i++) {
    const char *name = fv_symbol_get(cx->pool, r->counter[i])->name;
    const size_t n = strcspn(name, ".");
    fv_str_printf(&s, "%s%.*s = %lld", i ? ", " : " in the step ", (int)n, name,
                  (long long)r->values[r->counter[i]]);
  }
  return s.data ? s.data : "";
}

// Until the next text.
static const char *spell(reference *r) {
  r->text.size = 0;
  fv_str_puts(&r->text, "");
  for (int i = 0; i < r->name->n; i++) {
    const fv_xml_piece *p = &r->name->piece[i];
    int64_t v = 0;
    if (p->text)
      fv_str_puts(&r->text, p->text);
    else if (fv_x_eval_i64(p->expr, r->values, &v))
      fv_str_printf(&r->text, "%lld", (long long)v);
  }
  return r->text.data;
}

static const char *tensor_text(fv_xml_cx *cx, const fv_tensor *t) {
  fv_str s = {.arena = cx->arena};
  fv_str_printf(&s, "%s[", fv_dtype_name(t->dtype));
  for (int i = 0; i < t->rank; i++)
    fv_str_printf(&s, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
  fv_str_puts(&s, "]");
  return s.data;
}

static const char *apply_one(fv_xml_cx *cx, const modifier *m, const int64_t *arg, fv_view *v) {
  if (strcmp(m->name, "transpose") == 0)
    return fv_view_transpose(v, m->n, arg);
  if (strcmp(m->name, "reshape") == 0)
    return fv_view_reshape(cx->arena, v, m->n, arg);
  if (strcmp(m->name, "slice") == 0)
    return m->n == 3 ? fv_view_slice(v, arg[0], arg[1], arg[2])
                     : "slice takes an axis, a start and an end";
  if (strcmp(m->name, "split") == 0)
    return m->n == 3 ? fv_view_split(v, arg[0], arg[1], arg[2])
                     : "split takes an axis, a number of parts and which of them";
  if (strcmp(m->name, "select") == 0)
    return m->n == 2 ? fv_view_select(v, arg[0], arg[1]) : "select takes an axis and an index";
  return "unknown modifier; they are transpose, slice, split, select and reshape";
}

// Hexadecimal, and a blank.
static void put_key(fv_str *s, uint64_t v) {
  char digits[17];
  size_t n = sizeof digits;
  digits[--n] = ' ';
  do
    digits[--n] = "0123456789abcdef"[v & 15];
  while (v >>= 4);
  fv_str_append(s, digits + n, sizeof digits - n);
}

// What tells a view: its tensor, by its index, as a name in a file may itself look like a
// reference, and the modifiers with the values of their arguments.
static bool view_key(fv_xml_cx *cx, reference *r, const fv_tensor *t,
                     int64_t arg[MAX_MODIFIERS][MAX_ARGS]) {
  r->text.size = 0;
  put_key(&r->text, (uintptr_t)t);
  for (int i = 0; i < r->n_mod; i++) {
    fv_str_puts(&r->text, r->mod[i].name);
    fv_str_puts(&r->text, " ");
    for (int k = 0; k < r->mod[i].n; k++) {
      if (!fv_x_eval_i64(r->mod[i].arg[k], r->values, &arg[i][k]))
        return fault(cx, r->mod[i].at, "this argument cannot be computed") == FV_OK;
      put_key(&r->text, (uint64_t)arg[i][k]);
    }
  }
  return true;
}

static const char *view_name(fv_xml_cx *cx, const reference *r, const fv_tensor *t,
                             int64_t arg[MAX_MODIFIERS][MAX_ARGS]) {
  fv_str s = {.arena = cx->arena};
  fv_str_puts(&s, t->name);
  for (int i = 0; i < r->n_mod; i++) {
    fv_str_printf(&s, " | %s(", r->mod[i].name);
    for (int k = 0; k < r->mod[i].n; k++)
      fv_str_printf(&s, "%s%lld", k ? ", " : "", (long long)arg[i][k]);
    fv_str_puts(&s, ")");
  }
  return s.data;
}

// The weight `t` seen through the modifiers; one copy serves all references.
static const fv_tensor *modified(fv_xml_cx *cx, reference *r, const fv_tensor *t) {
  int64_t arg[MAX_MODIFIERS][MAX_ARGS];
  if (!view_key(cx, r, t, arg))
    return NULL;
  const fv_xml_name *known = fv_xml_scope_get(cx->tensors, r->text.data, r->text.size);
  if (known)
    return known->tensor;
  fv_view v = fv_view_of(t);
  for (int i = 0; i < r->n_mod; i++) {
    const char *err = apply_one(cx, &r->mod[i], arg[i], &v);
    if (err) {
      (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, r->mod[i].at.attr, r->mod[i].at.at),
                         "%s: '%s' is %s%s", err, t->name, tensor_text(cx, t), which_step(cx, r));
      return NULL;
    }
  }
  fv_xml_name e = {.name = fv_arena_strdup(cx->arena, r->text.data), .kind = FV_XML_CONST};
  e.tensor = fv_view_tensor(cx->arena, &v, view_name(cx, r, t, arg));
  fv_xml_scope_put(cx->arena, cx->tensors, fv_arena_dup(cx->arena, &e, sizeof e));
  return e.tensor;
}

// The tensor that the name says, which is the same for all members if it holds no counter.
static const fv_tensor *named(fv_xml_cx *cx, reference *r) {
  if (r->base)
    return r->base;
  const char *name = spell(r);
  const fv_tensor *t = fv_weights_find(cx->weights, name);
  bool counted = false;
  for (int i = 0; i < r->name->n; i++)
    counted = counted || r->name->piece[i].expr;
  r->base = counted ? NULL : t;
  if (t || cx->weights_failed)
    return t;  // its file could not be read, which was said
  const fv_span *at = fv_xml_at_value(cx, r->from.attr, r->from.at);
  const char *lacks = fv_weights_lacks(cx->weights, name);
  if (lacks)
    (void)fv_xml_fault(cx, FV_ERR_TYPE, at,
                       "weight '%s' is stored as %s, a type that fovea does not have", name, lacks);
  else if (fv_weights_count(cx->weights) == 0)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, at,
                       "'@%s' needs weights, but the model names no file; add <weights file=.../>",
                       name);
  else
    (void)fv_xml_fault(cx, FV_ERR_PARSE, at, "no weight is called '%s' in %s%s%s", name,
                       fv_weights_files(cx->weights), which_step(cx, r),
                       fv_xml_suggest(cx, name, weight_name, cx->weights));
  return NULL;
}

static const fv_tensor *member_tensor(fv_xml_cx *cx, reference *r) {
  const fv_tensor *t = named(cx, r);
  return t && r->n_mod ? modified(cx, r, t) : t;
}

static bool same_type(const fv_tensor *a, const fv_tensor *b) {
  bool same = a->dtype == b->dtype && a->rank == b->rank;
  for (int i = 0; i < a->rank && same; i++)
    same = a->dim[i] == b->dim[i];
  return same;
}

static const fv_tensor **all_members(fv_xml_cx *cx, reference *r) {
  r->values = room_for_symbols(cx);
  r->text = (fv_str){.arena = cx->arena};
  const fv_tensor **list = FV_NEW_N(cx->arena, const fv_tensor *, r->members);
  for (int64_t m = 0; m < r->members; m++) {
    set_member(r, m);
    list[m] = member_tensor(cx, r);
    if (!list[m])
      return NULL;
    if (!same_type(list[0], list[m])) {
      (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, r->from.attr, r->from.at),
                         "the members of a family must have one type: '%s' is %s, '%s' is %s",
                         list[0]->name, tensor_text(cx, list[0]), list[m]->name,
                         tensor_text(cx, list[m]));
      return NULL;
    }
  }
  return list;
}

//===-- Families ------------------------------------------------------------===//

// What a reference says: equal expressions are one expression, so equal references have one key.
static const char *family_key(fv_xml_cx *cx, const reference *r) {
  fv_str s = {.arena = cx->arena};
  for (int i = 0; i < r->name->n; i++) {
    const fv_xml_piece *p = &r->name->piece[i];
    if (p->text)
      fv_str_printf(&s, "%zu:%s", strlen(p->text), p->text);
    else
      fv_str_printf(&s, "{%u}", (unsigned)p->expr->id);
  }
  for (int i = 0; i < r->n_mod; i++) {
    fv_str_printf(&s, "|%s", r->mod[i].name);
    for (int k = 0; k < r->mod[i].n; k++)
      fv_str_printf(&s, " %u", (unsigned)r->mod[i].arg[k]->id);
  }
  return s.data;
}

static bool make_family(fv_xml_cx *cx, reference *r, const char *key) {
  if (!find_counters(cx, r))
    return false;
  if (r->members == 0)
    return fault(cx, r->from, "this weight stands in a loop that never runs") == FV_OK;
  const fv_tensor **list = all_members(cx, r);
  if (!list)
    return false;
  const fv_xml_family f = {list, (int)r->members, member_expr(cx, r)};
  FV_PUSH(cx->arena, cx->family, cx->n_family, cx->cap_family, f);
  return fv_xml_scope_note(cx->arena, cx->families, key, cx->n_family - 1);
}

fv_value *fv_xml_weight(fv_xml_cx *cx, fv_xml_slice s) {
  reference *r = FV_NEW(cx->arena, reference);
  if (!parse_reference(cx, r, s))
    return NULL;
  const char *key = family_key(cx, r);
  const fv_xml_name *known = fv_xml_scope_get(cx->families, key, strlen(key));
  if (!known && !make_family(cx, r, key))
    return NULL;
  const fv_xml_family *f = &cx->family[known ? known->index : cx->n_family - 1];
  return fv_xml_constant(cx, f->tensor, f->n, f->member);
}
