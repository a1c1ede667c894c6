// SPDX-License-Identifier: Apache-2.0
//
// Construction of modules, graphs, regions and nodes, and walks over them.
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "ir/graph/attr_text.h"
#include "ir/graph/graph.h"

// Arrays of the IR hold no capacity: they are full when their count is a power
// of two, and then move to twice the room.
static void *make_room(fv_arena *ar, void *items, size_t elem, int count) {
  if (count & (count - 1))
    return items;
  void *wider = fv_arena_alloc_n(ar, elem, count ? 2 * (size_t)count : 1);
  if (count)
    memcpy(wider, items, elem * (size_t)count);
  return wider;
}

#define APPEND(ar, items, count, item) \
  ((items) = make_room((ar), (items), sizeof *(items), (count)), (items)[(count)++] = (item))

//===-- Modules, graphs, regions ----------------------------------------===//

fv_module *fv_module_create(fv_arena *ar, const char *name) {
  fv_module *m = FV_NEW(ar, fv_module);
  m->arena = ar;
  m->pool = fv_xpool_create(ar);
  m->name = fv_arena_strdup(ar, name);
  m->file = "";
  m->dir = "";
  return m;
}

fv_region *fv_region_create(fv_graph *g, fv_node *owner) {
  fv_region *r = FV_NEW(g->module->arena, fv_region);
  r->graph = g;
  r->owner = owner;
  return r;
}

fv_graph *fv_graph_create(fv_module *m, const char *name, const fv_span *span) {
  fv_graph *g = FV_NEW(m->arena, fv_graph);
  g->module = m;
  g->name = fv_arena_strdup(m->arena, name);
  g->span = span;
  g->region = fv_region_create(g, NULL);
  APPEND(m->arena, m->graph, m->n_graph, g);
  return g;
}

fv_value *fv_value_create(fv_module *m, const fv_type *t, fv_node *def, uint32_t index) {
  fv_value *v = FV_NEW(m->arena, fv_value);
  FV_CHECK(m->arena, m->n_value < UINT32_MAX);
  v->type = *t;
  v->def = def;
  v->index = index;
  v->id = m->n_value++;
  return v;
}

fv_value *fv_region_add_param(fv_region *r, const fv_type *t, const char *name) {
  fv_module *m = r->graph->module;
  fv_value *v = fv_value_create(m, t, NULL, (uint32_t)r->n_param);
  v->region = r;
  v->name = name ? fv_arena_strdup(m->arena, name) : NULL;
  APPEND(m->arena, r->param, r->n_param, v);
  return v;
}

void fv_region_add_result(fv_region *r, fv_value *v) {
  APPEND(r->graph->module->arena, r->result, r->n_result, v);
}

fv_value *fv_graph_add_input(fv_graph *g, const char *name, const fv_type *t) {
  fv_arena *ar = g->module->arena;
  int n = g->region->n_param;
  APPEND(ar, g->input_name, n, fv_arena_strdup(ar, name));
  return fv_region_add_param(g->region, t, name);
}

void fv_graph_add_output(fv_graph *g, const char *name, fv_value *v) {
  fv_arena *ar = g->module->arena;
  int n = g->region->n_result;
  APPEND(ar, g->output_name, n, fv_arena_strdup(ar, name));
  fv_region_add_result(g->region, v);
}

fv_state *fv_module_add_state(fv_module *m, const char *name, const fv_type *t, int members) {
  fv_state *s = FV_NEW(m->arena, fv_state);
  s->name = fv_arena_strdup(m->arena, name);
  s->type = *t;
  s->members = members;
  s->length_axis = -1;
  APPEND(m->arena, m->state, m->n_state, s);
  return s;
}

void fv_graph_add_advance(fv_graph *g, fv_advance a) {
  APPEND(g->module->arena, g->advance, g->n_advance, a);
}

void fv_module_add_verify(fv_module *m, fv_verify_case v) {
  APPEND(m->arena, m->verify, m->n_verify, v);
}

//===-- Nodes -----------------------------------------------------------===//

fv_node *fv_node_create(fv_region *r, fv_op op, int n_in, fv_value *const *in,
                        const fv_span *span) {
  fv_module *m = r->graph->module;
  const fv_op_info *info = fv_op_get(op);
  fv_node *n = FV_NEW(m->arena, fv_node);
  n->region = r;
  n->op = op;
  n->n_in = n_in;
  n->in = FV_NEW_N(m->arena, fv_value *, n_in);
  if (n_in)
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
  n->attr = FV_NEW_N(m->arena, fv_attr, info->n_attr);
  for (int i = 0; i < info->n_attr; i++) {
    const fv_param_info *a = &info->attr[i];
    const char *why;
    size_t at;
    if (a->dflt)
      FV_CHECK(m->arena, fv_attr_parse(n, a, a->dflt, a->dflt_len, NULL, NULL, &why, &at) == FV_OK);
  }
  n->n_body = info->n_body;
  n->body = FV_NEW_N(m->arena, fv_region *, n->n_body);
  for (int i = 0; i < n->n_body; i++) {
    n->body[i] = fv_region_create(r->graph, n);
    n->body[i]->index = i;
  }
  fv_node_add_span(n, span);
  return n;
}

void fv_node_insert_before(fv_node *n, fv_node *at) {
  fv_region *r = at ? at->region : n->region;
  n->region = r;
  n->next = at;
  n->prev = at ? at->prev : r->last;
  if (n->prev)
    n->prev->next = n;
  else
    r->first = n;
  if (at)
    at->prev = n;
  else
    r->last = n;
  if (n->op == FV_OP_require)
    fv_graph_note_require(n);
}

void fv_node_remove(fv_node *n) {
  if (n->prev)
    n->prev->next = n->next;
  else
    n->region->first = n->next;
  if (n->next)
    n->next->prev = n->prev;
  else
    n->region->last = n->prev;
  n->prev = n->next = NULL;
}

void fv_node_add_span(fv_node *n, const fv_span *s) {
  if (!s)
    return;
  for (int i = 0; i < n->n_span; i++)
    if (n->span[i] == s)
      return;
  APPEND(n->region->graph->module->arena, n->span, n->n_span, s);
}

void fv_node_copy_spans(fv_node *n, const fv_node *from) {
  for (int i = 0; i < from->n_span; i++)
    fv_node_add_span(n, from->span[i]);
}

const fv_span *fv_node_span(const fv_node *n) {
  return n->n_span ? n->span[0] : NULL;
}

//===-- Attributes ------------------------------------------------------===//

fv_attr *fv_attr_get(const fv_node *n, const char *name) {
  const fv_op_info *info = fv_op_get(n->op);
  const size_t len = strlen(name);
  for (int i = 0; i < info->n_attr; i++)
    if (info->attr[i].len == len && memcmp(info->attr[i].name, name, len) == 0)
      return &n->attr[i];
  fv_arena_bug(n->region->graph->module->arena, "attribute that is not in the schema of its op");
}

bool fv_attr_is_missing(const fv_attr *a) {
  return a->kind == 0 || (a->kind == 'x' && !a->x) || (a->kind == 's' && !a->s);
}

static const fv_attr *attr_of_kind(const fv_node *n, const char *name, char kind) {
  const fv_attr *a = fv_attr_get(n, name);
  FV_CHECK(n->region->graph->module->arena, a->kind == kind);
  return a;
}

int64_t fv_attr_int(const fv_node *n, const char *name) {
  return attr_of_kind(n, name, 'i')->i;
}
double fv_attr_float(const fv_node *n, const char *name) {
  return attr_of_kind(n, name, 'f')->f;
}
bool fv_attr_bool(const fv_node *n, const char *name) {
  return attr_of_kind(n, name, 'b')->b;
}
const char *fv_attr_str(const fv_node *n, const char *name) {
  return attr_of_kind(n, name, 's')->s;
}

static fv_arena *arena_of(const fv_node *n) {
  return n->region->graph->module->arena;
}

static void set_attr(fv_node *n, const char *name, fv_attr v) {
  const fv_op_info *info = fv_op_get(n->op);
  fv_attr *a = fv_attr_get(n, name);
  FV_CHECK(arena_of(n), info->attr[a - n->attr].kind == v.kind);
  *a = v;
}

void fv_attr_set_int(fv_node *n, const char *name, int64_t v) {
  set_attr(n, name, (fv_attr){.kind = 'i', .i = v});
}
void fv_attr_set_float(fv_node *n, const char *name, double v) {
  const bool whole = v >= -0x1p63 && v < 0x1p63 && v == floor(v);
  set_attr(n, name,
           (fv_attr){.kind = 'f', .f = v, .is_whole = whole, .whole = whole ? (int64_t)v : 0});
}
void fv_attr_set_bool(fv_node *n, const char *name, bool v) {
  set_attr(n, name, (fv_attr){.kind = 'b', .b = v});
}
void fv_attr_set_str(fv_node *n, const char *name, const char *v) {
  set_attr(n, name, (fv_attr){.kind = 's', .s = fv_arena_strdup(arena_of(n), v)});
}
void fv_attr_set_ints(fv_node *n, const char *name, int count, const int64_t *v) {
  const int64_t *copy = fv_arena_dup(arena_of(n), v, (size_t)count * sizeof *v);
  set_attr(n, name, (fv_attr){.kind = 'I', .n = count, .ints = copy});
}
void fv_attr_set_dims(fv_node *n, const char *name, int count, const fv_expr *const *v) {
  const fv_expr *const *copy = fv_arena_dup(arena_of(n), v, (size_t)count * sizeof *v);
  set_attr(n, name, (fv_attr){.kind = 'D', .n = count, .dims = copy});
}
void fv_attr_set_dtype(fv_node *n, const char *name, fv_dtype t) {
  set_attr(n, name, (fv_attr){.kind = 't', .t = t});
}
void fv_attr_set_expr(fv_node *n, const char *name, const fv_expr *x) {
  set_attr(n, name, (fv_attr){.kind = 'x', .x = x});
}

uint64_t fv_attr_hash(uint64_t seed, const fv_attr *a) {
  const uint64_t h = fv_hash64(&a->n, sizeof a->n, seed ^ (uint64_t)a->kind << 56);
  switch (a->kind) {
  case 's': return fv_hash64(a->s, a->s ? strlen(a->s) : 0, h);
  case 'I': return fv_hash64(a->ints, sizeof *a->ints * (size_t)a->n, h);
  case 'D': return fv_hash64(a->dims, sizeof *a->dims * (size_t)a->n, h);
  case 'b': return fv_hash64(&a->b, sizeof a->b, h);
  case 't': return fv_hash64(&a->t, sizeof a->t, h);
  case 'f': return fv_hash64(&a->whole, sizeof a->whole, fv_hash64(&a->f, sizeof a->f, h));
  default: return fv_hash64(&a->i, sizeof a->i, h);
  }
}

bool fv_attr_eq(const fv_attr *a, const fv_attr *b) {
  if (a->kind != b->kind || a->n != b->n)
    return false;
  switch (a->kind) {
  case 's': return a->s == b->s || (a->s && b->s && strcmp(a->s, b->s) == 0);
  case 'I': return memcmp(a->ints, b->ints, sizeof *a->ints * (size_t)a->n) == 0;
  case 'D': return memcmp(a->dims, b->dims, sizeof *a->dims * (size_t)a->n) == 0;
  case 'b': return a->b == b->b;
  case 't': return a->t == b->t;
  case 'f': return memcmp(&a->f, &b->f, sizeof a->f) == 0 && a->whole == b->whole;
  default: return a->i == b->i;
  }
}

int fv_node_defines(const fv_node *n, const int64_t **symbols) {
  const fv_op_info *info = fv_op_get(n->op);
  for (int i = 0; i < info->n_attr; i++) {
    const fv_param_info *p = &info->attr[i];
    const fv_attr *a = &n->attr[i];
    const bool one = p->len == 5 && memcmp(p->name, "count", 5) == 0 && a->kind == 'i';
    const bool list = p->len == 7 && memcmp(p->name, "symbols", 7) == 0 && a->kind == 'I';
    if (!one && !list)
      continue;
    *symbols = one ? &a->i : a->ints;
    return one ? 1 : a->n;
  }
  return 0;
}

bool fv_node_sets(const fv_node *n, uint32_t symbol) {
  const int64_t *own;
  const int count = fv_node_defines(n, &own);
  for (int i = 0; i < count; i++)
    if (own[i] == (int64_t)symbol)
      return true;
  return false;
}

bool fv_node_symbols_exist(const fv_node *n) {
  static const char *const name[] = {"counter", "count", "symbols"};
  const fv_op_info *info = fv_op_get(n->op);
  const int64_t symbols = fv_symbol_count(n->region->graph->module->pool);
  for (int i = 0; i < info->n_attr; i++) {
    const fv_param_info *p = &info->attr[i];
    const fv_attr *a = &n->attr[i];
    bool names = false;
    for (size_t k = 0; k < FV_COUNTOF(name); k++)
      names = names || (strlen(name[k]) == p->len && memcmp(name[k], p->name, p->len) == 0);
    if (!names)
      continue;
    const int64_t none = p->dflt && p->dflt_len ? -1 : 0;  // -1 where that is the default
    if (a->kind == 'i' && (a->i < none || a->i >= symbols))
      return false;
    for (int k = 0; a->kind == 'I' && k < a->n; k++)
      if (a->ints[k] < -1 || a->ints[k] >= symbols)
        return false;
  }
  return true;
}

//===-- Walks -----------------------------------------------------------===//

// The first node in the regions of n from number `from` on, or NULL.
static fv_node *first_inside(const fv_node *n, int from) {
  for (int i = from; i < n->n_body; i++)
    if (n->body[i]->first)
      return n->body[i]->first;
  return NULL;
}

fv_node *fv_walk_first(fv_region *r) {
  return r->first;
}

fv_node *fv_walk_next(fv_region *r, fv_node *n) {
  fv_node *next = first_inside(n, 0);
  next = next ? next : n->next;
  for (const fv_region *at = n->region; !next && at != r; at = at->owner->region) {
    next = first_inside(at->owner, at->index + 1);
    next = next ? next : at->owner->next;
  }
  return next;
}

static bool step_to(fv_walk *w, fv_walk_event event, fv_node *n, fv_region *r) {
  w->event = event;
  w->node = n;
  w->region = r;
  return true;
}

// Enters n, or ends the region if there is no more node.
static bool step_into(fv_walk *w, fv_node *n, fv_region *r) {
  if (n)
    return step_to(w, FV_WALK_ENTER, n, r);
  return r != w->top && step_to(w, FV_WALK_END, r->owner, r);
}

bool fv_walk_step(fv_walk *w) {
  fv_node *n = w->node;
  switch (w->event) {
  case FV_WALK_START: return step_into(w, w->top->first, w->top);
  case FV_WALK_BEGIN: return step_into(w, w->region->first, w->region);
  case FV_WALK_LEAVE: return step_into(w, n->next, w->region);
  case FV_WALK_ENTER:
    return n->n_body ? step_to(w, FV_WALK_BEGIN, n, n->body[0])
                     : step_to(w, FV_WALK_LEAVE, n, n->region);
  case FV_WALK_END: {
    const int next = w->region->index + 1;
    return next < n->n_body ? step_to(w, FV_WALK_BEGIN, n, n->body[next])
                            : step_to(w, FV_WALK_LEAVE, n, n->region);
  }
  }
  return false;
}

// A chain of replacements ends at a value that stays.
static void forward_all(fv_value **v, int count, fv_value *const *forward, uint32_t n) {
  for (int i = 0; i < count; i++)
    while (v[i] && v[i]->id < n && forward[v[i]->id])
      v[i] = forward[v[i]->id];
}

void fv_graph_forward(fv_graph *g, fv_value *const *forward, uint32_t n) {
  forward_all(g->region->result, g->region->n_result, forward, n);
  for (fv_node *x = fv_walk_first(g->region); x; x = fv_walk_next(g->region, x)) {
    forward_all(x->in, x->n_in, forward, n);
    for (int b = 0; b < x->n_body; b++)
      forward_all(x->body[b]->result, x->body[b]->n_result, forward, n);
  }
}

static void count_all(fv_value *const *v, int n, uint32_t *uses) {
  for (int i = 0; i < n; i++)
    if (v[i])
      uses[v[i]->id]++;
}

void fv_graph_count_uses(const fv_graph *g, uint32_t *uses) {
  memset(uses, 0, g->module->n_value * sizeof *uses);
  count_all(g->region->result, g->region->n_result, uses);
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n)) {
    count_all(n->in, n->n_in, uses);
    for (int b = 0; b < n->n_body; b++)
      count_all(n->body[b]->result, n->body[b]->n_result, uses);
  }
}
