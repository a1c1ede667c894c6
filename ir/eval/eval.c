// SPDX-License-Identifier: Apache-2.0
#include "ir/eval/eval.h"

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

// Values of one scope: a graph or an expansion with all regions inside it.
typedef struct scope {
  const fv_array **value;  // by value id
  fv_arena *ar;
  int64_t *symbol;
  fv_run_io *io;  // NULL inside an expansion
  fv_diag_sink *diag;
} scope;

static fv_status make_array(scope *s, const fv_value *v, fv_array *out) {
  out->dtype = v->type.dtype;
  out->rank = v->type.rank;
  const fv_span *span = v->def ? fv_node_span(v->def) : NULL;
  for (int d = 0; d < v->type.rank; d++)
    if (!fv_x_eval_i64(v->type.dim[d], s->symbol, &out->dim[d]))
      return fv_error(s->diag, FV_ERR_RUN, span, "a dim cannot be computed");
  int64_t bytes;
  if (!fv_bytes_i64(out->dim, out->rank, fv_dtype_size(out->dtype), &bytes))
    return fv_error(s->diag, FV_ERR_LIMIT, span, "a result is too large");
  out->data = fv_arena_alloc(s->ar, (size_t)bytes + 64);
  return FV_OK;
}

//===-- Kernel ops and expansions ---------------------------------------------------===//

static fv_status eval_kernel(scope *s, const fv_node *n, const fv_array *const *in, fv_array *out) {
  fv_xpool *pool = n->region->graph->module->pool;
  fv_kb *kb = fv_kb_create(s->ar, pool, "serial");
  void **buf = FV_NEW_N(s->ar, void *, n->n_in + n->n_out);
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
  int64_t *scalar = FV_NEW_N(s->ar, int64_t, k->code.n_scalar), grid = 1, scratch = 0;
  for (uint32_t i = 0; i < k->code.n_scalar; i++)
    if (!fv_x_eval_i64(k->scalar[i], s->symbol, &scalar[i]))
      return fv_error(s->diag, FV_ERR_RUN, fv_node_span(n), "a size cannot be computed");
  if (k->scratch_bytes && !fv_x_eval_i64(k->scratch_bytes, s->symbol, &scratch))
    return fv_error(s->diag, FV_ERR_RUN, fv_node_span(n), "a size cannot be computed");
  for (int i = 0; i < n->meaning->grid_rank; i++)
    grid *= out[0].dim[i];
  const int32_t failed = fv_kernel_interpret(&k->code, s->ar, buf, scalar,
                                             fv_arena_alloc(s->ar, (size_t)scratch), 0, grid);
  if (failed > 0)
    return fv_error(s->diag, FV_ERR_RUN, fv_node_span(n), "%s: %s", fv_op_get(n->op)->name,
                    k->site[failed - 1].text);
  return FV_OK;
}

static fv_status eval_region(scope *s, const fv_region *r);

static fv_status eval_expansion(scope *outer, const fv_node *n, const fv_array *const *in,
                                fv_array *out) {
  const fv_region *x = n->meaning->expansion;
  fv_module *m = n->region->graph->module;
  scope s = *outer;
  s.io = NULL;
  s.value = FV_NEW_N(s.ar, const fv_array *, m->n_value);
  int p = 0;
  for (int i = 0; i < n->n_in; i++)
    if (in[i])
      s.value[x->param[p++]->id] = in[i];
  FV_TRY(eval_region(&s, x));
  for (int i = 0; i < n->n_out; i++)
    out[i] = *s.value[x->result[i]->id];
  return FV_OK;
}

static fv_status eval_meaning(scope *s, const fv_node *n, const fv_array *const *in,
                              fv_array *out) {
  if (n->meaning->kind == FV_MEANS_EXPAND)
    return eval_expansion(s, n, in, out);
  for (int i = 0; i < n->n_out; i++)
    FV_TRY(make_array(s, n->out[i], &out[i]));
  if (n->meaning->kind == FV_MEANS_KERNEL)
    return eval_kernel(s, n, in, out);
  return fv_eval_nest(n, s->ar, s->symbol, in, &out[0], s->diag);
}

//===-- Built-in nodes ----------------------------------------------------------------===//

static int64_t member_of(const scope *s, const fv_node *n) {
  int64_t i = 0;
  return fv_x_eval_i64(fv_attr_get(n, "member")->x, s->symbol, &i) ? i : 0;
}

static fv_status state_place(scope *s, const fv_node *n, uint8_t *const *blocks, uint8_t **out,
                             int64_t *bytes) {
  const int64_t state = fv_attr_int(n, "state");
  const fv_state *st = n->region->graph->module->state[state];
  int64_t dim[FV_MAX_RANK];
  for (int d = 0; d < st->type.rank; d++)
    if (!fv_x_eval_i64(st->type.dim[d], s->symbol, &dim[d]))
      return fv_error(s->diag, FV_ERR_RUN, st->span, "a dim of state '%s' is unknown", st->name);
  if (!fv_bytes_i64(dim, st->type.rank, fv_dtype_size(st->type.dtype), bytes))
    return fv_error(s->diag, FV_ERR_LIMIT, st->span, "state '%s' is too large", st->name);
  *out = blocks[state] + member_of(s, n) * *bytes;
  return FV_OK;
}

static fv_status eval_builtin(scope *s, const fv_node *n, fv_array *out) {
  if (n->op == FV_OP_constant) {
    const fv_tensor *t = n->data[member_of(s, n)];
    *out = (fv_array){.dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data};
    memcpy(out->dim, t->dim, sizeof t->dim);
    return FV_OK;
  }
  uint8_t *place;
  int64_t bytes;
  if (n->op == FV_OP_state_read) {
    // A private copy: the oracle keeps every version of a state.
    FV_TRY(state_place(s, n, s->io->state_next, &place, &bytes));
    FV_TRY(make_array(s, n->out[0], out));
    memcpy(out->data, place, (size_t)bytes);
    return FV_OK;
  }
  FV_TRY(state_place(s, n, s->io->state_next, &place, &bytes));
  memcpy(place, s->value[n->in[0]->id]->data, (size_t)bytes);
  return FV_OK;
}

//===-- Loops -------------------------------------------------------------------------===//

static const fv_array *copy_array(scope *s, const fv_array *a) {
  fv_array *c = FV_NEW(s->ar, fv_array);
  *c = *a;
  const size_t bytes = (size_t)(fv_array_count(a) * fv_dtype_size(a->dtype));
  c->data = fv_arena_alloc(s->ar, bytes + 64);
  memcpy(c->data, a->data, bytes);
  return c;
}

// Stacks `count` slices along an axis.
static fv_status stack(scope *s, const fv_array *const *slice, int64_t count, const fv_value *v,
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
             (const uint8_t *)slice[t]->data + o * inner, (size_t)inner);
  return FV_OK;
}

typedef struct loop_run {
  const fv_node *n;
  int64_t trip, trips;
  const fv_array **carry;
  const fv_array ***slice;  // per collected value, per trip
} loop_run;

static fv_status start_loop(scope *s, const fv_node *n, loop_run *l) {
  *l = (loop_run){.n = n};
  if (!fv_x_eval_i64(fv_attr_get(n, "trips")->x, s->symbol, &l->trips) || l->trips < 0)
    return fv_error(s->diag, FV_ERR_RUN, fv_node_span(n), "the number of trips is unknown");
  l->carry = FV_NEW_N(s->ar, const fv_array *, n->n_in);
  for (int i = 0; i < n->n_in; i++)
    l->carry[i] = s->value[n->in[i]->id];
  const int n_collect = n->body->n_result - n->n_in;
  l->slice = FV_NEW_N(s->ar, const fv_array **, n_collect);
  for (int c = 0; c < n_collect; c++)
    l->slice[c] = FV_NEW_N(s->ar, const fv_array *, l->trips);
  return FV_OK;
}

// Sets up the next trip; false when the loop is over.
static bool next_trip(scope *s, loop_run *l) {
  const fv_node *n = l->n;
  const int64_t w = fv_attr_int(n, "while_carry");
  if (l->trip >= l->trips || (w >= 0 && !*(const uint8_t *)l->carry[w]->data))
    return false;
  s->symbol[fv_attr_int(n, "counter")] = l->trip;
  for (int i = 0; i < n->n_in; i++)
    s->value[n->body->param[i]->id] = l->carry[i];
  return true;
}

static void end_trip(scope *s, loop_run *l) {
  const fv_region *b = l->n->body;
  for (int i = 0; i < l->n->n_in; i++)
    l->carry[i] = s->value[b->result[i]->id];
  for (int c = l->n->n_in; c < b->n_result; c++)
    l->slice[c - l->n->n_in][l->trip] = copy_array(s, s->value[b->result[c]->id]);
  l->trip++;
}

static fv_status finish_loop(scope *s, loop_run *l) {
  const fv_node *n = l->n;
  const int64_t count = fv_attr_int(n, "count");
  if (count >= 0)
    s->symbol[count] = l->trip;
  for (int i = 0; i < n->n_in; i++)
    s->value[n->out[i]->id] = l->carry[i];
  const int64_t *axes = fv_attr_get(n, "collect_axes")->ints;
  for (int c = n->n_in; c < n->n_out; c++) {
    fv_array *out = FV_NEW(s->ar, fv_array);
    FV_TRY(stack(s, l->slice[c - n->n_in], l->trip, n->out[c], axes[c - n->n_in], out));
    s->value[n->out[c]->id] = out;
  }
  return FV_OK;
}

//===-- Regions -----------------------------------------------------------------------===//

static fv_status eval_simple(scope *s, const fv_node *n) {
  const fv_array **in = FV_NEW_N(s->ar, const fv_array *, n->n_in);
  fv_array *out = FV_NEW_N(s->ar, fv_array, n->n_out);
  for (int i = 0; i < n->n_in; i++)
    in[i] = n->in[i] ? s->value[n->in[i]->id] : NULL;
  FV_TRY(n->meaning ? eval_meaning(s, n, in, out) : eval_builtin(s, n, out));
  for (int i = 0; i < n->n_out; i++)
    s->value[n->out[i]->id] = &out[i];
  return FV_OK;
}

// Iterative over nested loops; definitions nest as deep as the op table says.
static fv_status eval_region(scope *s, const fv_region *r) {
  loop_run *frame = NULL;
  size_t n_frame = 0, cap = 0;
  const fv_node *n = r->first;
  for (;;) {
    if (n && n->op == FV_OP_loop) {
      loop_run l;
      FV_TRY(start_loop(s, n, &l));
      FV_PUSH(s->ar, frame, n_frame, cap, l);
      n = NULL;
    } else if (n) {
      FV_TRY(eval_simple(s, n));
      n = n->next;
      continue;
    } else if (!n_frame) {
      return FV_OK;
    } else {
      end_trip(s, &frame[n_frame - 1]);
    }
    // At the head of the innermost loop; leave it, and perhaps its outer ones.
    while (!n && n_frame) {
      loop_run *l = &frame[n_frame - 1];
      if (next_trip(s, l)) {
        n = l->n->body->first;
        if (n)
          break;
        end_trip(s, l);
        continue;
      }
      FV_TRY(finish_loop(s, l));
      n = l->n->next;
      n_frame--;
      if (!n && n_frame)
        end_trip(s, &frame[n_frame - 1]);
    }
    if (!n && !n_frame)
      return FV_OK;
  }
}

fv_status fv_eval_graph(const fv_graph *g, fv_run_io *io) {
  scope s = {.ar = io->arena, .symbol = io->symbol, .io = io, .diag = io->diag};
  s.value = FV_NEW_N(io->arena, const fv_array *, g->module->n_value);
  for (int i = 0; i < g->region->n_param; i++)
    s.value[g->region->param[i]->id] = &io->input[i];
  FV_TRY(eval_region(&s, g->region));
  for (int i = 0; i < g->region->n_result; i++)
    io->output[i] = *s.value[g->region->result[i]->id];
  return FV_OK;
}

fv_status fv_eval_node(const fv_node *n, fv_arena *ar, int64_t *symbol, const fv_array *const *in,
                       fv_array *out, fv_diag_sink *diag) {
  scope s = {.ar = ar, .symbol = symbol, .diag = diag};
  return eval_meaning(&s, n, in, out);
}
