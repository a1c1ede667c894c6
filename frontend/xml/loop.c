// SPDX-License-Identifier: Apache-2.0
//
// <repeat>, <scan> and <loop>: the one region op of the graph IR.
#include <string.h>

#include "base/checked.h"
#include "frontend/xml/build.h"

//===-- Begin -------------------------------------------------------------===//

// Counter symbols are numbered: the dot keeps them out of reach of the names
// that a file can spell.
uint32_t fv_xml_counter(fv_xml_cx *cx, const fv_xml_elem *e, const char *name, int64_t max,
                        fv_symbol_kind kind) {
  const char *shown = name;
  if (!fv_xml_is_name(name)) {
    name = kind == FV_SYM_COUNTER ? "step" : "steps";
    shown = fv_arena_printf(cx->arena, "%s of the %s at line %u",
                            kind == FV_SYM_COUNTER ? "the step" : "the count", e->name,
                            (unsigned)fv_xml_at(cx, e)->line);
  }
  const char *unique = name;
  uint32_t sym;
  for (uint32_t n = 1; n == 1 || fv_symbol_find(cx->pool, unique, &sym); n++)
    unique = fv_arena_printf(cx->arena, "%s.%u", name, (unsigned)(fv_symbol_count(cx->pool) + n));
  const uint32_t made = fv_symbol_add(cx->pool, unique, 0, max, kind);
  fv_symbol_show(cx->pool, made, shown);
  return made;
}

// An operand that stands outside of the loop whose frame is on top.
static fv_value *outer_operand(fv_xml_cx *cx, const fv_xml_attr *a, const fv_dtype *like) {
  fv_xml_frame *inner = cx->top;
  cx->top = inner->up;
  fv_value *v = fv_xml_operand(cx, fv_xml_whole(a), like);
  cx->top = inner;
  return v;
}

static bool axis_of(fv_xml_cx *cx, const fv_xml_elem *e, int rank, int64_t *axis) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "axis");
  if (!fv_xml_int(cx, fv_xml_whole(a), axis))
    return false;
  if (*axis < -rank || *axis >= rank) {
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, a, 0),
                       "axis %lld is out of range for rank %d", (long long)*axis, rank);
    return false;
  }
  *axis += *axis < 0 ? rank : 0;
  return true;
}

// A scan makes as many steps as its first <each> has entries. Faults in it are
// reported when the child runs.
static const fv_expr *scan_trips(fv_xml_cx *cx, const fv_xml_elem *e) {
  for (fv_xml_elem *c = e->child; c; c = c->next) {
    if (strcmp(c->name, "each") != 0)
      continue;
    const fv_xml_attr *of = fv_xml_find_attr(c, "of");
    if (c->bad || !of)
      return NULL;
    const unsigned before = cx->n_faults;
    fv_xml_elem *current = cx->current;
    cx->current = c;
    fv_value *v = fv_xml_operand(cx, fv_xml_whole(of), NULL);
    int64_t axis;
    const bool good = v && axis_of(cx, c, v->type.rank, &axis);
    cx->current = current;
    c->bad |= cx->n_faults > before;
    return good ? v->type.dim[axis] : NULL;
  }
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                     "a <scan> needs an <each name=... of=... axis=.../> to run over");
  return NULL;
}

static const fv_expr *trips_of(fv_xml_cx *cx, const fv_xml_elem *e) {
  if (strcmp(e->name, "scan") == 0)
    return scan_trips(cx, e);
  const fv_xml_attr *a = fv_xml_find_attr(e, strcmp(e->name, "loop") == 0 ? "max" : "count");
  const fv_expr *trips = fv_xml_expr(cx, fv_xml_whole(a));
  if (trips && fv_xml_range(cx, trips).lo < 0) {
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, a, 0),
                       "the number of steps must not be negative");
    return NULL;
  }
  return trips;
}

static fv_value *lengths_of(fv_xml_cx *cx, const fv_xml_elem *e, fv_xml_loop *l) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "lengths");
  if (!a)
    return NULL;
  fv_value *v = fv_xml_operand(cx, fv_xml_whole(a), NULL);
  if (v && (v->type.rank != 1 || !fv_dtype_is_int(v->type.dtype))) {
    (void)fv_xml_fault(
        cx, FV_ERR_TYPE, fv_xml_at_value(cx, a, 0),
        "lengths must be integers of rank 1, one for each row of the batch; it is %s",
        fv_xml_type_text(cx, &v->type));
    v = NULL;
  }
  l->poisoned |= !v;
  if (!v || v->type.dtype == FV_i64)
    return v;
  fv_node *n = fv_xml_node(cx, FV_OP_cast, 1, &v);
  fv_attr_set_dtype(n, "to", FV_i64);
  return fv_xml_op1(cx, n);
}

void fv_xml_run_loop(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_xml_loop *l = FV_NEW(cx->arena, fv_xml_loop);
  const fv_xml_attr *var = fv_xml_find_attr(e, "var");
  const char *name = var ? fv_xml_slice_text(cx, fv_xml_whole(var)) : "";
  l->carries = fv_xml_scope_create(cx->arena, NULL);
  l->collects = fv_xml_scope_create(cx->arena, NULL);
  l->poisoned |= !fv_xml_bool(cx, fv_xml_find_attr(e, "reverse"), false, &l->reverse);
  l->trips = trips_of(cx, e);
  l->poisoned |= !l->trips;
  l->trips = l->trips ? l->trips : fv_x_i64(cx->pool, 1);
  l->lengths = lengths_of(cx, e, l);
  const int64_t most = fv_xml_range(cx, l->trips).hi;
  l->counter = fv_xml_counter(cx, e, name, most > 0 ? most - 1 : 0, FV_SYM_COUNTER);
  const fv_expr *counter = fv_x_sym(cx->pool, l->counter);
  l->time = counter;
  if (l->reverse) {
    const fv_expr *last = fv_x_sub(cx->pool, l->trips, fv_x_i64(cx->pool, 1));
    l->time = fv_x_sub(cx->pool, last, counter);
  }
  l->node = fv_xml_node(cx, FV_OP_loop, 0, NULL);
  fv_attr_set_expr(l->node, "trips", l->trips);
  fv_attr_set_int(l->node, "counter", l->counter);
  const fv_span *site = fv_xml_at(cx, e);
  fv_span *outer = fv_arena_dup(cx->arena, site, sizeof *site);
  outer->what = fv_arena_printf(cx->arena, "in <%s>", e->name);
  fv_xml_push(cx, (fv_xml_frame){.kind = FV_XML_IN_LOOP,
                                 .body = e,
                                 .next = e->child,
                                 .site = cx->current,
                                 .scope = fv_xml_scope_create(cx->arena, cx->top->scope),
                                 .region = l->node->body[0],
                                 .constants = fv_xml_scope_create(cx->arena, NULL),
                                 .outer = outer,
                                 .loop = l});
  if (var)
    fv_xml_bind(cx, var, 0, name, FV_XML_INT, l->time);
}

//===-- Children ----------------------------------------------------------===//

void fv_xml_run_each(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_xml_loop *l = cx->top->loop;
  const fv_xml_attr *name = fv_xml_find_attr(e, "name");
  const fv_xml_attr *of = fv_xml_find_attr(e, "of");
  fv_value *v = outer_operand(cx, of, NULL);
  int64_t axis = 0;
  bool good = v && axis_of(cx, e, v->type.rank, &axis) && !l->poisoned;
  if (good && fv_xml_need_equal(cx, v->type.dim[axis], l->trips, "scan: the entries and the steps",
                                fv_xml_at_value(cx, of, 0)) != FV_YES) {
    fv_str have = {.arena = cx->arena};
    fv_str want = {.arena = cx->arena};
    fv_x_print(cx->pool, &have, v->type.dim[axis]);
    fv_x_print(cx->pool, &want, l->trips);
    (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, of, 0),
                       "this has %s entries along axis %lld, but the scan makes %s steps",
                       have.data, (long long)axis, want.data);
    good = false;
  }
  fv_value *slice = NULL;
  if (good) {
    fv_node *n = fv_xml_node(cx, FV_OP_select, 1, &v);
    fv_attr_set_int(n, "axis", axis);
    fv_attr_set_expr(n, "index", l->time);
    slice = fv_xml_op1(cx, n);
  }
  fv_xml_bind_value(cx, fv_xml_whole(name), slice);
}

// A literal filled to a declared shape, or just the value.
static fv_value *initial(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *init = fv_xml_find_attr(e, "init");
  const fv_xml_slice s = fv_xml_whole(init);
  fv_xml_frame *inner = cx->top;
  cx->top = inner->up;
  const char *literal = s.n ? fv_xml_literal(cx, s) : NULL;
  fv_type t = {0};
  fv_value *v = NULL;
  if (!literal) {
    v = fv_xml_operand(cx, s, NULL);
    if (v)
      fv_xml_assert_type(cx, e, v);
  } else if (!fv_xml_find_attr(e, "type") || !fv_xml_find_attr(e, "shape")) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "a carry that begins with a number needs type= and shape= (\"\" for one "
                       "element)");
  } else if (fv_xml_declared(cx, e, &t)) {
    v = fv_xml_literal_value(cx, s, literal, t.dtype);
    if (v && t.rank) {
      fv_node *n = fv_xml_node(cx, FV_OP_expand, 1, &v);
      fv_attr_set_dims(n, "shape", t.rank, t.dim);
      v = fv_xml_op1(cx, n);
    }
  }
  cx->top = inner;
  return v;
}

void fv_xml_run_carry(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_xml_loop *l = cx->top->loop;
  const fv_xml_attr *name = fv_xml_find_attr(e, "name");
  fv_xml_carry c = {.elem = e, .name = fv_xml_slice_text(cx, fv_xml_whole(name))};
  c.init = initial(cx, e);
  if (c.init)
    c.param = fv_region_add_param(cx->top->region, &c.init->type, fv_xml_unique(cx, c.name));
  l->poisoned |= !c.init;
  (void)fv_xml_scope_note(cx->arena, l->carries, c.name, (size_t)l->n_carry);  // twice: told below
  FV_PUSH(cx->arena, l->carry, l->n_carry, l->cap_carry, c);
  fv_xml_bind_value(cx, fv_xml_whole(name), c.param);
}

typedef struct carry_names {
  const fv_xml_loop *loop;
} carry_names;

static const char *carry_name(void *user, int i) {
  const fv_xml_loop *l = ((const carry_names *)user)->loop;
  return i >= 0 && i < l->n_carry ? l->carry[i].name : NULL;
}

static fv_xml_carry *find_carry(fv_xml_cx *cx, fv_xml_loop *l, const char *name,
                                const fv_span *at) {
  const fv_xml_name *known = fv_xml_scope_get(l->carries, name, strlen(name));
  if (known)
    return &l->carry[known->index];
  carry_names names = {l};
  (void)fv_xml_fault(cx, FV_ERR_PARSE, at, "no carry is called '%s'%s", name,
                     fv_xml_suggest(cx, name, carry_name, &names));
  l->poisoned = true;
  return NULL;
}

static bool same_type(fv_xml_cx *cx, const fv_xml_attr *next, const fv_type *a, const fv_type *b) {
  bool same = a->dtype == b->dtype && a->rank == b->rank;
  const char *what = fv_arena_printf(cx->arena, "the next value of carry '%s'", next->name);
  for (int i = 0; i < a->rank && same; i++)
    same =
        fv_xml_need_equal(cx, a->dim[i], b->dim[i], what, fv_xml_at_value(cx, next, 0)) == FV_YES;
  return same;
}

void fv_xml_run_next(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_xml_loop *l = cx->top->loop;
  for (int i = 0; i < e->n_attr; i++) {
    const fv_xml_attr *a = &e->attr[i];
    fv_xml_carry *c = find_carry(cx, l, a->name, fv_xml_at_name(cx, a));
    if (!c)
      continue;
    if (c->has_next)
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_name(cx, a),
                         "carry '%s' has its next value already", a->name);
    c->has_next = true;
    c->next = fv_xml_operand(cx, fv_xml_whole(a), c->param ? &c->param->type.dtype : NULL);
    if (c->next && c->param && !same_type(cx, a, &c->next->type, &c->param->type)) {
      (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, a, 0),
                         "carry '%s' begins as %s, but its next value is %s", c->name,
                         fv_xml_type_text(cx, &c->param->type),
                         fv_xml_type_text(cx, &c->next->type));
      c->next = NULL;
    }
    l->poisoned |= !c->next;
  }
}

void fv_xml_run_collect(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_xml_loop *l = cx->top->loop;
  for (int i = 0; i < e->n_attr; i++) {
    const fv_xml_attr *a = &e->attr[i];
    if (strcmp(a->name, "axis") == 0)
      continue;
    fv_xml_collect c = {.name = a->name, .elem = e};
    c.value = fv_xml_operand(cx, fv_xml_whole(a), NULL);
    c.poisoned = !c.value || !axis_of(cx, e, c.value->type.rank + 1, &c.axis);
    l->poisoned |= c.poisoned;
    if (!fv_xml_scope_note(cx->arena, l->collects, c.name, (size_t)l->n_collect))
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_name(cx, a), "'%s' is collected already",
                         c.name);
    FV_PUSH(cx->arena, l->collect, l->n_collect, l->cap_collect, c);
  }
}

//===-- End ---------------------------------------------------------------===//

// Is step `time` within the length of each row? bool[B].
static fv_value *row_runs(fv_xml_cx *cx, fv_xml_loop *l) {
  fv_node *n = fv_xml_node(cx, FV_OP_range, 0, NULL);
  fv_attr_set_expr(n, "start", l->time);
  fv_attr_set_expr(n, "limit", fv_x_add(cx->pool, l->time, fv_x_i64(cx->pool, 1)));
  fv_value *now = fv_xml_op1(cx, n);
  if (!now)
    return NULL;
  return fv_xml_op1(cx, fv_xml_node(cx, FV_OP_less, 2, (fv_value *[]){now, l->lengths}));
}

// where(runs, v, otherwise) with `runs` along the first axis of v.
static fv_value *keep_where(fv_xml_cx *cx, fv_value *runs, fv_value *v, fv_value *otherwise) {
  if (!runs || !v || !otherwise)
    return NULL;
  if (v->type.rank > 1) {
    int64_t axes[FV_MAX_RANK];
    for (int i = 1; i < v->type.rank; i++)
      axes[i - 1] = i;
    fv_node *n = fv_xml_node(cx, FV_OP_unsqueeze, 1, &runs);
    fv_attr_set_ints(n, "axes", v->type.rank - 1, axes);
    runs = fv_xml_op1(cx, n);
  }
  if (!runs)
    return NULL;
  return fv_xml_op1(cx, fv_xml_node(cx, FV_OP_where, 3, (fv_value *[]){runs, v, otherwise}));
}

static bool has_batch(fv_xml_cx *cx, const fv_xml_loop *l, const fv_value *v,
                      const fv_xml_elem *e) {
  if (v->type.rank > 0 &&
      fv_xml_need_equal(cx, v->type.dim[0], l->lengths->type.dim[0], "scan: the batch of lengths",
                        fv_xml_at(cx, e)) == FV_YES)
    return true;
  (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at(cx, e),
                     "in a scan with lengths the first axis must be the batch: lengths is %s, this "
                     "is %s",
                     fv_xml_type_text(cx, &l->lengths->type), fv_xml_type_text(cx, &v->type));
  return false;
}

static fv_value *zero_like(fv_xml_cx *cx, fv_xml_collect *c) {
  const fv_xml_attr *a = fv_xml_find_attr(c->elem, c->name);
  const char *zero = c->value->type.dtype == FV_bool ? "false" : "0";
  return fv_xml_literal_value(cx, fv_xml_whole(a), zero, c->value->type.dtype);
}

// Steps at or beyond the length of a row keep its carries and collect zeros.
static bool apply_lengths(fv_xml_cx *cx, fv_xml_loop *l) {
  if (!l->lengths)
    return true;
  fv_value *runs = row_runs(cx, l);
  bool good = runs != NULL;
  for (int i = 0; i < l->n_carry && good; i++) {
    fv_xml_carry *c = &l->carry[i];
    good = has_batch(cx, l, c->next, c->elem);
    c->next = good ? keep_where(cx, runs, c->next, c->param) : NULL;
    good = c->next != NULL;
  }
  for (int i = 0; i < l->n_collect && good; i++) {
    fv_xml_collect *c = &l->collect[i];
    good = has_batch(cx, l, c->value, c->elem);
    c->value = good ? keep_where(cx, runs, c->value, zero_like(cx, c)) : NULL;
    good = c->value != NULL;
  }
  return good;
}

static void need_next(fv_xml_cx *cx, fv_xml_loop *l) {
  for (int i = 0; i < l->n_carry; i++) {
    const fv_xml_carry *c = &l->carry[i];
    if (c->has_next)
      continue;
    l->poisoned = true;
    if (!c->elem->bad)
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, c->elem),
                         "carry '%s' has no next value; add <next %s=.../>, or take it out of the "
                         "loop: values around it are visible inside",
                         c->name, c->name);
  }
}

static void set_while(fv_xml_cx *cx, const fv_xml_elem *e, fv_xml_loop *l) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "while");
  if (!a)
    return;
  const char *name = fv_xml_slice_text(cx, fv_xml_whole(a));
  const fv_xml_carry *c = find_carry(cx, l, name, fv_xml_at_value(cx, a, 0));
  if (!c)
    return;
  fv_attr_set_int(l->node, "while_carry", c - l->carry);
  const fv_xml_attr *count = fv_xml_find_attr(e, "count");
  const char *symbol = count ? fv_xml_slice_text(cx, fv_xml_whole(count)) : "";
  const int64_t most = fv_xml_range(cx, l->trips).hi;
  fv_attr_set_int(l->node, "count", fv_xml_counter(cx, e, symbol, most, FV_SYM_RESULT));
}

// A collected value of a reverse scan stands at its own time.
static fv_value *flipped(fv_xml_cx *cx, const fv_xml_loop *l, fv_value *v, int64_t axis) {
  fv_node *order = fv_xml_node(cx, FV_OP_range, 0, NULL);
  const fv_expr *one = fv_x_i64(cx->pool, 1);
  fv_attr_set_expr(order, "start", fv_x_sub(cx->pool, l->trips, one));
  fv_attr_set_expr(order, "limit", fv_x_i64(cx->pool, -1));
  fv_attr_set_int(order, "delta", -1);
  fv_value *indices = fv_xml_op1(cx, order);
  if (!indices)
    return NULL;
  fv_node *n = fv_xml_node(cx, FV_OP_gather, 2, (fv_value *[]){v, indices});
  fv_attr_set_int(n, "axis", axis);
  return fv_xml_op1(cx, n);
}

// A loop that may end early keeps room for all its steps.
static bool room_for_steps(fv_xml_cx *cx, const fv_xml_loop *l) {
  for (int i = 0; i < l->n_collect; i++) {
    const fv_type *t = &l->collect[i].value->type;
    int64_t least[FV_MAX_RANK + 1], bytes;
    least[0] = fv_xml_range(cx, l->trips).lo;
    for (int d = 0; d < t->rank; d++)
      least[d + 1] = fv_xml_range(cx, t->dim[d]).lo;
    if (fv_bytes_i64(least, t->rank + 1, fv_dtype_size(t->dtype), &bytes))
      continue;
    (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at(cx, l->collect[i].elem),
                       "%lld times %s are more bytes than the limit of %lld", (long long)least[0],
                       fv_xml_type_text(cx, t), (long long)FV_MAX_BYTES);
    return false;
  }
  return true;
}

static int collect_index(const fv_xml_loop *l, const char *name) {
  const fv_xml_name *known = fv_xml_scope_get(l->collects, name, strlen(name));
  return known ? (int)known->index : -1;
}

// out="a, b=h, ys": collected values by name, "name=carry" the last value of
// that carry, the rest the last values of the carries in order.
static void bind_out(fv_xml_cx *cx, const fv_xml_elem *e, const fv_xml_loop *l, fv_value **out) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "out");
  if (!a)
    return;
  fv_xml_slice rest = fv_xml_whole(a);
  fv_xml_slice item;
  int next = 0;
  while (fv_xml_next(&rest, &item)) {
    const char *eq = memchr(a->value + item.at, '=', item.n);
    const size_t head = eq ? (size_t)(eq - a->value) - item.at : item.n;
    const fv_xml_slice name = fv_xml_trim((fv_xml_slice){a, item.at, head});
    const char *word = fv_xml_slice_text(cx, name);
    const int k = eq ? -1 : collect_index(l, word);
    int which = k >= 0 ? l->n_carry + k : next;
    if (eq) {
      const fv_xml_slice from =
          fv_xml_trim((fv_xml_slice){a, item.at + head + 1, item.n - head - 1});
      const fv_xml_carry *c =
          find_carry(cx, (fv_xml_loop *)(uintptr_t)l, fv_xml_slice_text(cx, from),
                     fv_xml_at_value(cx, a, from.at));
      which = c ? (int)(c - l->carry) : 0;
    } else if (k < 0 && next++ >= l->n_carry) {
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, item.at),
                         "'%s' is neither collected nor the last value of a carry: there %s %d "
                         "carr%s",
                         word, l->n_carry == 1 ? "is" : "are", l->n_carry,
                         l->n_carry == 1 ? "y" : "ies");
      which = -1;
    }
    if (strcmp(word, "_") != 0)
      fv_xml_bind_value(cx, name, which >= 0 ? out[which] : NULL);
  }
}

// Places the loop in the region around it, whose frame is on top by now.
static fv_node *place_loop(fv_xml_cx *cx, fv_xml_loop *l) {
  fv_node *n = l->node;
  n->n_in = l->n_carry;
  n->in = FV_NEW_N(cx->arena, fv_value *, l->n_carry);
  int64_t *axes = FV_NEW_N(cx->arena, int64_t, l->n_collect);
  for (int i = 0; i < l->n_carry; i++) {
    n->in[i] = l->carry[i].init;
    fv_region_add_result(n->body[0], l->carry[i].next);
  }
  for (int i = 0; i < l->n_collect; i++) {
    axes[i] = l->collect[i].axis;
    fv_region_add_result(n->body[0], l->collect[i].value);
  }
  fv_attr_set_ints(n, "collect_axes", l->n_collect, axes);
  return fv_xml_place_node(cx, n);
}

void fv_xml_finish_loop(fv_xml_cx *cx, fv_xml_frame *f) {
  fv_xml_loop *l = f->loop;
  fv_xml_elem *e = f->site;
  need_next(cx, l);
  if (!l->poisoned)
    l->poisoned = !apply_lengths(cx, l);
  cx->current = e;
  cx->top = f->up;
  set_while(cx, e, l);
  l->poisoned |= !fv_xml_check_rows(cx, l);
  if (!l->poisoned && !e->bad)
    l->poisoned = !room_for_steps(cx, l);
  fv_node *n = l->poisoned || e->bad ? NULL : place_loop(cx, l);
  if (!n) {
    fv_xml_poison_out(cx, e);
    return;
  }
  fv_value **out = FV_NEW_N(cx->arena, fv_value *, n->n_out);
  for (int i = 0; i < n->n_out; i++)
    out[i] = n->out[i];
  for (int i = 0; i < l->n_collect && l->reverse; i++)
    out[l->n_carry + i] = flipped(cx, l, out[l->n_carry + i], l->collect[i].axis);
  bind_out(cx, e, l, out);
  const fv_xml_attr *count = fv_xml_find_attr(e, "count");
  if (count && strcmp(e->name, "loop") == 0) {
    const int64_t symbol = fv_attr_int(n, "count");
    fv_xml_bind(cx, count, 0, fv_xml_slice_text(cx, fv_xml_whole(count)), FV_XML_INT,
                symbol >= 0 ? fv_x_sym(cx->pool, (uint32_t)symbol) : l->trips);
  }
}
