// SPDX-License-Identifier: Apache-2.0
#include "ir/eval/eval.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "ir/eval/eval_nest.h"
#include "ir/kernel/kernel.h"

int64_t fv_array_count(const fv_array *a) {
  int64_t n = 1;
  for (int i = 0; i < a->rank; i++)
    n *= a->dim[i];
  return n;
}

// Values of one scope: a graph or an expansion with all regions inside it. A value goes
// after the last node of its own region that uses it, itself or in a region inside.
typedef struct scope {
  fv_array *value;       // by value id - base; without data: not there
  const fv_node **last;  // by value id - base; NULL: it stays while its region runs
  uint32_t base, n_value;
  fv_arena *ar;       // of the values
  fv_arena *scratch;  // of one nest or kernel
  int64_t *symbol;
  fv_xvalues *kept;  // dims and the like, for a run of a graph
  fv_run_io *io;     // NULL inside an expansion
  fv_diag_sink *diag;
} scope;

//===-- Memory --------------------------------------------------------------------------===//

// What stands before the elements of an array that the evaluator has made. Arrays share
// them: a loop carries values on, a definition may return its operand.
typedef struct counted {
  _Alignas(16) size_t users;
} counted;

static fv_array *value_of(const scope *s, const fv_value *v) {
  return &s->value[v->id - s->base];
}

static fv_array share(const fv_array *a) {
  if (a->memory)
    ((counted *)a->memory)->users++;
  return *a;
}

static void drop(scope *s, fv_array *a) {
  counted *c = a->memory;
  if (c && --c->users == 0)
    fv_arena_give(s->ar, c);
  *a = (fv_array){.rank = 0};
}

// The value becomes `a`, whose user it is from now on.
static void set_value(scope *s, const fv_value *v, fv_array a) {
  drop(s, value_of(s, v));
  *value_of(s, v) = a;
}

// What fv_x_eval_kept gave no value for.
static fv_status no_value(const scope *s, const fv_span *span, const char *what) {
  return fv_error(s->diag, FV_ERR_RUN, span, "%s %s", what,
                  fv_x_overflowed(s->kept) ? "does not fit 64 bits" : "cannot be computed");
}

static fv_status make_array(scope *s, const fv_value *v, fv_array *out) {
  *out = (fv_array){.dtype = v->type.dtype, .rank = v->type.rank};
  const fv_span *span = v->def ? fv_node_span(v->def) : NULL;
  for (int d = 0; d < v->type.rank; d++)
    if (!fv_x_eval_kept(v->type.dim[d], s->symbol, s->kept, &out->dim[d]))
      return no_value(s, span, "a dim");
  int64_t bytes;
  if (!fv_bytes_i64(out->dim, out->rank, fv_dtype_size(out->dtype), &bytes))
    return fv_error(s->diag, FV_ERR_LIMIT, span, "a result is too large");
  counted *c = fv_arena_take(s->ar, sizeof *c + (size_t)bytes + 64);
  c->users = 1;
  out->memory = c;
  out->data = c + 1;
  return FV_OK;
}

static const fv_region *region_of(const fv_value *v) {
  return v->def ? v->def->region : v->region;
}

// The node of the value's region that `user` is or stands in.
static const fv_node *user_of(const fv_value *v, const fv_node *user) {
  while (user->region != region_of(v))
    user = user->region->owner;
  return user;
}

static void find_last_users(scope *s, fv_region *r) {
  for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n)) {
    for (int i = 0; i < n->n_in; i++)
      if (n->in[i])
        s->last[n->in[i]->id - s->base] = user_of(n->in[i], n);
    for (int i = 0; i < n->n_out; i++)
      s->last[n->out[i]->id - s->base] = n;
    for (int b = 0; b < n->n_body; b++)
      for (int i = 0; i < n->body[b]->n_result; i++) {
        const fv_value *v = n->body[b]->result[i];
        if (region_of(v) != n->body[b])
          s->last[v->id - s->base] = user_of(v, n);
      }
  }
}

// What a region results in stays, as do its parameters.
static void keep_results(scope *s, fv_region *r) {
  for (int i = 0; i < r->n_param; i++)
    s->last[r->param[i]->id - s->base] = NULL;
  for (int i = 0; i < r->n_result; i++)
    if (region_of(r->result[i]) == r)
      s->last[r->result[i]->id - s->base] = NULL;
}

// Makes the tables of a scope; its values have ids from `base` up to `end`.
static void begin_scope(scope *s, fv_region *r, uint32_t base, uint32_t end) {
  s->base = base;
  s->n_value = end - base;
  s->value = fv_arena_take(s->ar, s->n_value * sizeof *s->value + 1);
  s->last = fv_arena_take(s->ar, s->n_value * sizeof *s->last + 1);
  memset(s->value, 0, s->n_value * sizeof *s->value);
  find_last_users(s, r);
  keep_results(s, r);
  for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n))
    for (int b = 0; b < n->n_body; b++)
      keep_results(s, n->body[b]);
}

static void end_scope(scope *s) {
  for (uint32_t i = 0; i < s->n_value; i++)
    drop(s, &s->value[i]);
  fv_arena_give(s->ar, s->value);
  fv_arena_give(s->ar, s->last);
}

static void drop_after(scope *s, fv_value *const *v, int count, const fv_node *n) {
  for (int i = 0; i < count; i++)
    if (v[i] && s->last[v[i]->id - s->base] == n)
      drop(s, value_of(s, v[i]));
}

static void drop_all(scope *s, fv_value *const *v, int count) {
  for (int i = 0; i < count; i++)
    drop(s, value_of(s, v[i]));
}

static void leave_region(scope *s, fv_region *r, const fv_node *n) {
  for (fv_node *b = fv_walk_first(r); b; b = fv_walk_next(r, b)) {
    drop_after(s, b->in, b->n_in, n);
    for (int i = 0; i < b->n_body; i++)
      drop_after(s, b->body[i]->result, b->body[i]->n_result, n);
    drop_all(s, b->out, b->n_out);
  }
  drop_after(s, r->result, r->n_result, n);
  drop_all(s, r->param, r->n_param);
}

// What goes once n has run, and all that its regions hold.
static void leave_node(scope *s, const fv_node *n) {
  drop_after(s, n->in, n->n_in, n);
  drop_after(s, n->out, n->n_out, n);
  for (int i = 0; i < n->n_body; i++)
    leave_region(s, n->body[i], n);
}

//===-- Kernel ops and expansions ---------------------------------------------------===//

static fv_status eval_kernel(scope *s, const fv_node *n, const fv_array *const *in, fv_array *out) {
  fv_xpool *pool = n->region->graph->module->pool;
  fv_kb *kb = fv_kb_create(s->scratch, pool, "serial");
  void **buf = FV_NEW_N(s->scratch, void *, n->n_in + n->n_out);
  int b = 0;
  for (int i = 0; i < n->n_in; i++) {
    if (!in[i])
      continue;
    fv_kb_buffer(kb, in[i]->dtype, false);
    buf[b++] = in[i]->data;
  }
  for (int i = 0; i < n->n_out; i++) {
    fv_kb_buffer(kb, out[i].dtype, true);
    buf[b++] = out[i].data;
  }
  n->meaning->build(n, kb);
  const fv_kernel *k = fv_kb_finish(kb, "op", fv_x_i64(pool, 1));
  int64_t *scalar = FV_NEW_N(s->scratch, int64_t, k->code.n_scalar), grid = 1, scratch = 0;
  for (uint32_t i = 0; i < k->code.n_scalar; i++)
    if (!fv_x_eval_kept(k->scalar[i], s->symbol, s->kept, &scalar[i]))
      return no_value(s, fv_node_span(n), "a size");
  if (k->scratch_bytes && !fv_x_eval_kept(k->scratch_bytes, s->symbol, s->kept, &scratch))
    return no_value(s, fv_node_span(n), "a size");
  for (int i = 0; i < n->meaning->grid_rank; i++)
    grid *= out[0].dim[i];
  const int32_t failed = fv_kernel_interpret(&k->code, s->scratch, buf, scalar,
                                             fv_arena_alloc(s->scratch, (size_t)scratch), 0, grid);
  if (failed > 0)
    return fv_error(s->diag, FV_ERR_RUN, fv_node_span(n), "%s: %s", fv_op_get(n->op)->name,
                    k->site[failed - 1].text);
  return FV_OK;
}

static fv_status eval_region(scope *s, const fv_region *r);

static void widen_ids(fv_value *const *v, int n, uint32_t *lo, uint32_t *hi) {
  for (int i = 0; i < n; i++) {
    *lo = v[i]->id < *lo ? v[i]->id : *lo;
    *hi = v[i]->id > *hi ? v[i]->id : *hi;
  }
}

// The values of a definition are made together: their ids are near one another.
static void begin_expansion(scope *s, fv_region *x) {
  uint32_t lo = UINT32_MAX, hi = 0;
  widen_ids(x->param, x->n_param, &lo, &hi);
  for (fv_node *n = fv_walk_first(x); n; n = fv_walk_next(x, n)) {
    widen_ids(n->out, n->n_out, &lo, &hi);
    for (int b = 0; b < n->n_body; b++)
      widen_ids(n->body[b]->param, n->body[b]->n_param, &lo, &hi);
  }
  begin_scope(s, x, lo <= hi ? lo : 0, lo <= hi ? hi + 1 : 0);
}

static fv_status eval_expansion(scope *outer, const fv_node *n, const fv_array *const *in,
                                fv_array *out) {
  fv_region *x = n->meaning->expansion;
  scope s = *outer;
  s.io = NULL;
  begin_expansion(&s, x);
  int p = 0;
  for (int i = 0; i < n->n_in; i++)
    if (in[i])
      set_value(&s, x->param[p++], share(in[i]));
  FV_TRY(eval_region(&s, x));
  for (int i = 0; i < n->n_out; i++)
    out[i] = share(value_of(&s, x->result[i]));
  end_scope(&s);
  return FV_OK;
}

// Until the node has run its symbols stand at their largest, so that there is room.
static fv_status reserve_symbols(scope *s, const fv_node *n) {
  for (int i = 0; i < n->meaning->n_defined; i++) {
    const fv_defined *d = &n->meaning->defined[i];
    if (!fv_x_eval_kept(d->max, s->symbol, s->kept, &s->symbol[d->symbol]))
      return no_value(s, fv_node_span(n), "a bound");
  }
  return FV_OK;
}

static fv_status out_of_range(const scope *s, const fv_node *n, const fv_defined *d, int64_t v) {
  char most[24] = "";
  const size_t len = strlen(d->range);
  if (len && d->range[len - 1] == ' ')
    snprintf(most, sizeof most, "%lld", (long long)s->symbol[d->symbol]);
  return fv_error(s->diag, FV_ERR_RUN, fv_node_span(n), "%s%lld%s%s", d->text, (long long)v,
                  d->range, most);
}

static fv_status define_symbols(scope *s, const fv_node *n, fv_array *out) {
  const fv_xpool *pool = n->region->graph->module->pool;
  for (int i = 0; i < n->meaning->n_defined; i++) {
    const fv_defined *d = &n->meaning->defined[i];
    const int64_t v = fv_scalar_load(out[d->result].dtype, out[d->result].data).i;
    if (v < fv_symbol_get(pool, d->symbol)->min || v > s->symbol[d->symbol])
      return out_of_range(s, n, d, v);
    s->symbol[d->symbol] = v;
  }
  for (int i = 0; n->meaning->n_defined && i < n->n_out; i++)
    for (int d = 0; d < out[i].rank; d++)
      if (!fv_x_eval_kept(n->out[i]->type.dim[d], s->symbol, s->kept, &out[i].dim[d]))
        return no_value(s, fv_node_span(n), "a dim");
  return FV_OK;
}

static fv_status eval_own(scope *s, const fv_node *n, const fv_array *const *in, fv_array *out) {
  if (n->meaning->kind == FV_MEANS_EXPAND)
    return eval_expansion(s, n, in, out);
  for (int i = 0; i < n->n_out; i++)
    FV_TRY(make_array(s, n->out[i], &out[i]));
  if (n->meaning->kind == FV_MEANS_KERNEL)
    FV_TRY(eval_kernel(s, n, in, out));
  else
    FV_TRY(fv_eval_nest(n, s->scratch, s->symbol, s->kept, in, &out[0], s->diag));
  fv_arena_clear(s->scratch);
  return FV_OK;
}

static fv_status eval_meaning(scope *s, const fv_node *n, const fv_array *const *in,
                              fv_array *out) {
  FV_TRY(reserve_symbols(s, n));
  FV_TRY(eval_own(s, n, in, out));
  return define_symbols(s, n, out);
}

//===-- Built-in nodes ----------------------------------------------------------------===//

static int64_t member_of(const scope *s, const fv_node *n) {
  int64_t i = 0;
  return fv_x_eval_kept(fv_attr_get(n, "member")->x, s->symbol, s->kept, &i) ? i : 0;
}

// Where the member is in the blocks of its state, and how large it is.
static fv_status state_place(scope *s, const fv_node *n, int64_t *at, int64_t *bytes) {
  const int64_t state = fv_attr_int(n, "state");
  const fv_state *st = n->region->graph->module->state[state];
  int64_t dim[FV_MAX_RANK];
  for (int d = 0; d < st->type.rank; d++)
    if (!fv_x_eval_kept(st->type.dim[d], s->symbol, s->kept, &dim[d]))
      return fv_error(s->diag, FV_ERR_RUN, st->span, "a dim of state '%s' is unknown", st->name);
  if (!fv_bytes_i64(dim, st->type.rank, fv_dtype_size(st->type.dtype), bytes))
    return fv_error(s->diag, FV_ERR_LIMIT, st->span, "state '%s' is too large", st->name);
  *at = member_of(s, n) * fv_member_stride(*bytes);
  return FV_OK;
}

// " (K = 5, P = 3)"
static void tell_symbols(const scope *s, fv_xpool *pool, const fv_condition *c, fv_str *text) {
  uint32_t y[FV_CONDITION_SYMBOLS];
  const size_t n = fv_condition_symbols(pool, c, y);
  for (size_t i = 0; i < n; i++)
    fv_str_printf(text, "%s%s = %lld%s", i ? ", " : " (", fv_symbol_get(pool, y[i])->shown,
                  (long long)s->symbol[y[i]], i + 1 < n ? "" : ")");
}

static fv_status eval_require(scope *s, const fv_node *n) {
  fv_xpool *pool = n->region->graph->module->pool;
  const fv_condition c = fv_node_condition(n);
  int64_t a, b;
  if (!fv_x_eval_kept(c.a, s->symbol, s->kept, &a) || !fv_x_eval_kept(c.b, s->symbol, s->kept, &b))
    return no_value(s, c.span, fv_arena_printf(s->scratch, "%s: a number", c.text));
  if (fv_relation_holds(c.relation, a, b))
    return FV_OK;
  fv_str left = {.arena = s->ar}, right = {.arena = s->ar};
  fv_x_print(pool, &left, c.a);
  fv_x_print(pool, &right, c.b);
  const fv_relation_words w = fv_words_of_relation(c.relation, left.data, right.data);
  fv_str text = {.arena = s->ar};
  fv_str_printf(&text, FV_CONDITION_FAILS, c.text, w.a, w.a_is, (long long)a, w.between, w.b,
                w.b_is, (long long)b, w.behind);
  tell_symbols(s, pool, &c, &text);
  return fv_error(s->diag, FV_ERR_RUN, c.span, "%s", text.data);
}

static fv_status eval_builtin(scope *s, const fv_node *n, fv_array *out) {
  if (n->op == FV_OP_require)
    return eval_require(s, n);
  if (n->op == FV_OP_constant) {
    const fv_tensor *t = n->data[member_of(s, n)];
    *out = (fv_array){
        .dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)fv_tensor_data(s->ar, t)};
    memcpy(out->dim, t->dim, sizeof t->dim);
    return FV_OK;
  }
  const int64_t state = fv_attr_int(n, "state");
  int64_t at = 0, bytes = 0;
  FV_TRY(state_place(s, n, &at, &bytes));
  if (n->op == FV_OP_state_write) {
    memcpy(s->io->next[state] + at, value_of(s, n->in[0])->data, (size_t)bytes);
    return FV_OK;
  }
  FV_TRY(make_array(s, n->out[0], out));
  memcpy(out->data, s->io->state[state] + at, (size_t)bytes);
  return FV_OK;
}

//===-- Loops -------------------------------------------------------------------------===//

// Stacks `count` slices along an axis.
static fv_status stack(scope *s, const fv_array *slice, int64_t count, const fv_value *v,
                       int64_t axis, fv_array *out) {
  FV_TRY(make_array(s, v, out));
  if (axis < 0)
    axis += out->rank;
  int64_t outer = 1, inner = fv_dtype_size(out->dtype);
  for (int d = 0; d < out->rank; d++) {
    outer *= d < axis ? out->dim[d] : 1;
    inner *= d > axis ? out->dim[d] : 1;
  }
  for (int64_t o = 0; o < outer; o++)
    for (int64_t t = 0; t < count; t++)
      memcpy((uint8_t *)out->data + (o * count + t) * inner,
             (const uint8_t *)slice[t].data + o * inner, (size_t)inner);
  return FV_OK;
}

typedef struct slices {
  fv_array *item;
  size_t n, cap;
} slices;

typedef struct loop_run {
  const fv_node *n;
  int64_t trip, trips;
  fv_array *carry;
  slices *slice;  // per collected value, one a trip
} loop_run;

static void add_slice(scope *s, slices *l, fv_array a) {
  if (l->n == l->cap) {
    const size_t cap = l->cap ? 2 * l->cap : 4;
    fv_array *wider = fv_arena_take(s->ar, cap * sizeof *wider);
    if (l->n)
      memcpy(wider, l->item, l->n * sizeof *wider);
    fv_arena_give(s->ar, l->item);
    l->item = wider;
    l->cap = cap;
  }
  l->item[l->n++] = a;
}

static fv_status start_loop(scope *s, const fv_node *n, loop_run *l) {
  *l = (loop_run){.n = n};
  if (!fv_x_eval_kept(fv_attr_get(n, "trips")->x, s->symbol, s->kept, &l->trips))
    return no_value(s, fv_node_span(n), "the number of trips");
  if (l->trips < 0)
    return fv_error(s->diag, FV_ERR_RUN, fv_node_span(n), "the number of trips is %lld",
                    (long long)l->trips);
  l->carry = fv_arena_take(s->ar, (size_t)n->n_in * sizeof *l->carry + 1);
  for (int i = 0; i < n->n_in; i++)
    l->carry[i] = share(value_of(s, n->in[i]));
  const size_t bytes = (size_t)(n->body[0]->n_result - n->n_in) * sizeof *l->slice;
  l->slice = fv_arena_take(s->ar, bytes + 1);
  memset(l->slice, 0, bytes);
  return FV_OK;
}

// Sets up the next trip; false when the loop is over.
static bool next_trip(scope *s, loop_run *l) {
  const fv_node *n = l->n;
  const int64_t w = fv_attr_int(n, "while_carry");
  if (l->trip >= l->trips || (w >= 0 && !*(const uint8_t *)l->carry[w].data))
    return false;
  s->symbol[fv_attr_int(n, "counter")] = l->trip;
  for (int i = 0; i < n->n_in; i++)
    set_value(s, n->body[0]->param[i], share(&l->carry[i]));
  return true;
}

static void end_trip(scope *s, loop_run *l) {
  const fv_region *b = l->n->body[0];
  for (int i = 0; i < l->n->n_in; i++) {
    drop(s, &l->carry[i]);
    l->carry[i] = share(value_of(s, b->result[i]));
  }
  for (int c = l->n->n_in; c < b->n_result; c++)
    add_slice(s, &l->slice[c - l->n->n_in], share(value_of(s, b->result[c])));
  l->trip++;
}

static fv_status finish_loop(scope *s, loop_run *l) {
  const fv_node *n = l->n;
  const int64_t count = fv_attr_int(n, "count");
  if (count >= 0)
    s->symbol[count] = l->trip;
  for (int i = 0; i < n->n_in; i++)
    set_value(s, n->out[i], l->carry[i]);
  const int64_t *axes = fv_attr_get(n, "collect_axes")->ints;
  for (int c = n->n_in; c < n->n_out; c++) {
    slices *collected = &l->slice[c - n->n_in];
    fv_array out;
    FV_TRY(stack(s, collected->item, l->trip, n->out[c], axes[c - n->n_in], &out));
    set_value(s, n->out[c], out);
    for (size_t t = 0; t < collected->n; t++)
      drop(s, &collected->item[t]);
    fv_arena_give(s->ar, collected->item);
  }
  fv_arena_give(s->ar, l->carry);
  fv_arena_give(s->ar, l->slice);
  leave_node(s, n);
  return FV_OK;
}

//===-- Regions -----------------------------------------------------------------------===//

static fv_status eval_simple(scope *s, const fv_node *n) {
  const size_t in_bytes = (size_t)n->n_in * sizeof(fv_array *);
  const fv_array **in = fv_arena_take(s->ar, in_bytes + 1);
  fv_array *out = fv_arena_take(s->ar, (size_t)n->n_out * sizeof *out + 1);
  for (int i = 0; i < n->n_in; i++)
    in[i] = n->in[i] ? value_of(s, n->in[i]) : NULL;
  FV_TRY(n->meaning ? eval_meaning(s, n, in, out) : eval_builtin(s, n, out));
  for (int i = 0; i < n->n_out; i++)
    set_value(s, n->out[i], out[i]);
  fv_arena_give(s->ar, in);
  fv_arena_give(s->ar, out);
  leave_node(s, n);
  return FV_OK;
}

// A region op under way: a loop between its trips, or an arm.
typedef struct frame {
  const fv_node *n;
  const fv_region *arm;  // NULL: a loop
  loop_run loop;
} frame;

static fv_status enter_frame(scope *s, const fv_node *n, frame *f) {
  *f = (frame){.n = n};
  if (n->op == FV_OP_loop)
    return start_loop(s, n, &f->loop);
  f->arm = n->body[*(const uint8_t *)value_of(s, n->in[0])->data ? 0 : 1];
  return FV_OK;
}

// The arm has run: its results become those of the node, their dims the symbols.
static void finish_arm(scope *s, const fv_node *n, const fv_region *arm) {
  const fv_attr *symbols = fv_attr_get(n, "symbols");
  int at = 0;
  for (int i = 0; i < n->n_out; i++) {
    const fv_array *v = value_of(s, arm->result[i]);
    for (int d = 0; d < v->rank; d++, at++)
      if (at < symbols->n && symbols->ints[at] >= 0)
        s->symbol[symbols->ints[at]] = v->dim[d];
    set_value(s, n->out[i], share(v));
  }
  leave_node(s, n);
}

// The body of f has ended, or (`begin`) is about to run first: where its next run
// begins, or NULL when the node is done.
static fv_status next_run(scope *s, frame *f, bool begin, const fv_region **out) {
  *out = NULL;
  if (f->arm) {
    if (begin)
      *out = f->arm;
    else
      finish_arm(s, f->n, f->arm);
    return FV_OK;
  }
  if (!begin)
    end_trip(s, &f->loop);
  if (!next_trip(s, &f->loop))
    return finish_loop(s, &f->loop);
  *out = f->n->body[0];
  return FV_OK;
}

// Iterative over nested regions; definitions nest as deep as the op table says.
static fv_status eval_region(scope *s, const fv_region *r) {
  frame *stack = NULL;
  size_t n_stack = 0, cap = 0;
  const fv_node *n = r->first;
  for (;;) {
    const bool begin = n && n->n_body;
    if (n && !begin) {
      FV_TRY(eval_simple(s, n));
      n = n->next;
      continue;
    }
    if (begin) {
      frame f;
      FV_TRY(enter_frame(s, n, &f));
      FV_PUSH(s->ar, stack, n_stack, cap, f);
    } else if (!n_stack) {
      return FV_OK;
    }
    const fv_region *body;
    FV_TRY(next_run(s, &stack[n_stack - 1], begin, &body));
    n = body ? body->first : stack[--n_stack].n->next;
  }
}

fv_status fv_eval_graph(const fv_graph *g, fv_run_io *io) {
  scope s = {.ar = io->arena, .symbol = io->symbol, .io = io, .diag = io->diag};
  s.scratch = fv_arena_create_child(io->arena);
  s.kept = fv_xvalues_create(io->arena);
  begin_scope(&s, g->region, 0, g->module->n_value);
  for (int i = 0; i < g->region->n_param; i++)
    set_value(&s, g->region->param[i], io->input[i]);
  FV_TRY(eval_region(&s, g->region));
  for (int i = 0; i < g->region->n_result; i++)
    io->output[i] = share(value_of(&s, g->region->result[i]));
  end_scope(&s);
  fv_arena_destroy(s.scratch);
  return FV_OK;
}

fv_status fv_eval_node(const fv_node *n, fv_arena *ar, int64_t *symbol, const fv_array *const *in,
                       fv_array *out, fv_diag_sink *diag) {
  scope s = {.ar = ar, .symbol = symbol, .diag = diag};
  s.scratch = fv_arena_create_child(ar);
  FV_TRY(eval_meaning(&s, n, in, out));
  fv_arena_destroy(s.scratch);
  return FV_OK;
}
