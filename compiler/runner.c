// SPDX-License-Identifier: Apache-2.0
// Arguments of the launch, in this order. Buffers: the inputs, the outputs, for each state that the
// graph uses the block to read and, where it writes it, that of the next version, and an i64 for
// each symbol of the module, where the run leaves the symbols that it defines. Scalars: the symbols
// that are known when it begins, and the bytes that there are for each output.
#include "compiler/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

//===-- What a graph uses -----------------------------------------------------------------===//

// Both halves of this file derive the same lists from the graph.
typedef struct uses {
  fv_arena *ar;
  const fv_module *m;
  bool *seen;     // per expression
  bool *symbol;   // per symbol
  bool *read;     // per state: the graph uses it
  bool *written;  // per state
} uses;

static void use_expr(uses *u, const fv_expr *x) {
  const fv_expr **stack = NULL;
  size_t n = 0, cap = 0;
  for (;;) {
    if (x && !u->seen[x->id]) {
      u->seen[x->id] = true;
      if (x->kind == FV_E_SYM)
        u->symbol[x->ref] = true;
      for (int i = 0; i < x->n; i++)
        FV_PUSH(u->ar, stack, n, cap, x->arg[i]);
    }
    if (!n)
      return;
    x = stack[--n];
  }
}

static void use_type(uses *u, const fv_type *t) {
  for (int d = 0; d < t->rank; d++)
    use_expr(u, t->dim[d]);
}

static void use_node(uses *u, const fv_node *n) {
  for (int i = 0; i < n->n_out; i++)
    use_type(u, &n->out[i]->type);
  const fv_op_info *op = fv_op_get(n->op);
  for (int i = 0; i < op->n_attr; i++) {
    const fv_attr *a = &n->attr[i];
    if (a->kind == 'x')
      use_expr(u, a->x);
    for (int d = 0; a->kind == 'D' && d < a->n; d++)
      use_expr(u, a->dims[d]);
  }
  if (n->op != FV_OP_state_read && n->op != FV_OP_state_write)
    return;
  const int64_t s = fv_attr_int(n, "state");
  u->read[s] = true;
  u->written[s] = u->written[s] || n->op == FV_OP_state_write;
  use_type(u, &u->m->state[s]->type);
}

static void find_uses(fv_arena *ar, const fv_graph *g, uses *u) {
  const fv_module *m = g->module;
  *u = (uses){.ar = ar, .m = m};
  u->seen = FV_NEW_N(ar, bool, fv_xpool_count(m->pool));
  u->symbol = FV_NEW_N(ar, bool, fv_symbol_count(m->pool));
  u->read = FV_NEW_N(ar, bool, m->n_state);
  u->written = FV_NEW_N(ar, bool, m->n_state);
  for (int i = 0; i < g->region->n_param; i++)
    use_type(u, &g->region->param[i]->type);
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n))
    use_node(u, n);
  for (int i = 0; i < g->n_advance; i++) {
    use_expr(u, g->advance[i].next);
    u->symbol[g->advance[i].length] = true;
  }
}

static bool known_before(const fv_module *m, uint32_t symbol) {
  const fv_symbol_kind k = fv_symbol_get(m->pool, symbol)->kind;
  return k == FV_SYM_DIM || k == FV_SYM_STATE;
}

//===-- The program -----------------------------------------------------------------------===//

static uint32_t add_buffer(fv_arena *ar, fv_lentry *e, fv_lbuffer b) {
  FV_PUSH(ar, e->buffer, e->n_buffer, e->cap_buffer, b);
  return (uint32_t)(e->n_buffer - 1);
}

static fv_linst *add_inst(fv_arena *ar, fv_lentry *e, fv_hop op, const fv_span *span) {
  const fv_linst i = {
      .op = op, .span = span, .symbol = FV_NO_SLOT, .result = FV_NO_SLOT, .a = FV_NO_SLOT};
  FV_PUSH(ar, e->inst, e->n_inst, e->cap_inst, i);
  return &e->inst[e->n_inst - 1];
}

// The block that a graph reads and, where it writes the state, that of the next version, which
// begins as a copy.
static uint32_t state_blocks(fv_arena *ar, fv_lentry *e, const uses *u, uint32_t s, uint32_t *out) {
  const fv_state *state = u->m->state[s];
  fv_xpool *p = u->m->pool;
  out[0] = add_buffer(
      ar, e, (fv_lbuffer){.space = FV_SPACE_STATE, .dtype = state->type.dtype, .index = s});
  if (!u->written[s])
    return 1;
  out[1] = add_buffer(
      ar, e, (fv_lbuffer){.space = FV_SPACE_STATE_NEXT, .dtype = state->type.dtype, .index = s});
  fv_linst *copy = add_inst(ar, e, FV_H_COPY, NULL);
  copy->a = out[1];
  copy->b = out[0];
  copy->x = fv_x_mul(p, fv_type_member_stride(p, &state->type), fv_x_i64(p, state->members));
  return 2;
}

// After the launch: the symbols that the run has set, one by one.
static void read_results(fv_arena *ar, fv_lentry *e, const uses *u, uint32_t results) {
  fv_xpool *p = u->m->pool;
  for (uint32_t y = 0; y < fv_symbol_count(p); y++) {
    if (!u->symbol[y] || fv_symbol_get(p, y)->kind != FV_SYM_RESULT)
      continue;
    const uint32_t one = add_buffer(ar, e,
                                    (fv_lbuffer){.space = FV_SPACE_VIEW,
                                                 .dtype = FV_i64,
                                                 .index = results,
                                                 .stride = fv_x_i64(p, 8 * (int64_t)y)});
    fv_linst *read = add_inst(ar, e, FV_H_READ, NULL);
    read->symbol = y;
    read->a = one;
    read->x = fv_x_i64(p, INT64_MAX);
    read->text = "a symbol is out of its range";
  }
}

static fv_kernel *lower_graph(fv_arena *ar, const fv_graph *g, uint32_t number, fv_lentry *e) {
  const fv_module *m = g->module;
  const uint32_t n_symbol = fv_symbol_count(m->pool);
  const int n_in = g->region->n_param, n_out = g->region->n_result;
  uses u;
  find_uses(ar, g, &u);
  fv_kernel *k = FV_NEW(ar, fv_kernel);
  uint32_t *buffer = FV_NEW_N(ar, uint32_t, n_in + n_out + 2 * m->n_state + 1), n = 0;
  for (int i = 0; i < n_in; i++)
    buffer[n++] = add_buffer(ar, e,
                             (fv_lbuffer){.space = FV_SPACE_INPUT,
                                          .dtype = g->region->param[i]->type.dtype,
                                          .index = (uint32_t)i});
  for (int i = 0; i < n_out; i++)
    buffer[n++] = add_buffer(ar, e,
                             (fv_lbuffer){.space = FV_SPACE_OUTPUT,
                                          .dtype = g->region->result[i]->type.dtype,
                                          .index = (uint32_t)i});
  for (int s = 0; s < m->n_state; s++)
    if (u.read[s])
      n += state_blocks(ar, e, &u, (uint32_t)s, &buffer[n]);
  const uint32_t results = add_buffer(
      ar, e,
      (fv_lbuffer){
          .space = FV_SPACE_ARENA, .dtype = FV_i64, .bytes = fv_x_i64(m->pool, 8 * n_symbol)});
  buffer[n++] = results;
  fv_lower_ranges(ar, e, g);
  const fv_expr **scalar = FV_NEW_N(ar, const fv_expr *, n_symbol + (uint32_t)n_out);
  uint32_t n_scalar = 0;
  for (uint32_t y = 0; y < n_symbol; y++)
    if (u.symbol[y] && known_before(m, y))
      scalar[n_scalar++] = fv_x_sym(m->pool, y);
  for (int i = 0; i < n_out; i++)
    scalar[n_scalar++] =
        fv_lower_bound(m->pool, e, fv_type_bytes(m->pool, &g->region->result[i]->type));
  *k = (fv_kernel){
      .code = {.struct_size = sizeof k->code, .name = g->name, .n_global = n, .n_scalar = n_scalar},
      .number = number,
      .grid = fv_x_i64(m->pool, 1),
      .scalar = scalar};
  fv_linst *launch = add_inst(ar, e, FV_H_LAUNCH, g->span);
  launch->kernel = k;
  launch->buffer = buffer;
  read_results(ar, e, &u, results);
  return k;
}

fv_lowered *fv_runner_lower(fv_module *m) {
  fv_arena *ar = m->arena;
  fv_lowered *l = FV_NEW(ar, fv_lowered);
  l->module = m;
  l->n_entry = (size_t)m->n_graph;
  l->entry = FV_NEW_N(ar, fv_lentry, m->n_graph);
  l->state_doubled = FV_NEW_N(ar, bool, m->n_state);
  for (int i = 0; i < m->n_state; i++)
    l->state_doubled[i] = true;
  for (int i = 0; i < m->n_graph; i++) {
    l->entry[i].graph = m->graph[i];
    FV_PUSH(ar, l->kernel, l->n_kernel, l->cap_kernel,
            lower_graph(ar, m->graph[i], (uint32_t)i, &l->entry[i]));
  }
  return l;
}

//===-- The launch ------------------------------------------------------------------------===//

struct fv_runner {
  fv_executable *e;
  char error[512];
};

static void first_error(void *user, const fv_diag *d) {
  fv_runner *r = user;
  if (r->error[0] || d->severity != FV_ERROR)
    return;
  if (d->span && d->span->file)
    snprintf(r->error, sizeof r->error, "%s:%u:%u: %s", d->span->file, d->span->line, d->span->col,
             d->text);
  else
    snprintf(r->error, sizeof r->error, "%s", d->text);
}

typedef struct launch_cx {
  fv_runner *r;
  const fv_graph *g;
  fv_arena *ar;
  const fv_memref *buf;
  const int64_t *scalar;
  int32_t result;
  const char *bug;
} launch_cx;

static uint8_t *address(const fv_memref *m) {
  return (uint8_t *)m->object + m->offset;
}

static bool make_input(const fv_type *t, const int64_t *symbol, const fv_memref *m, fv_array *out) {
  *out = (fv_array){.dtype = t->dtype, .rank = t->rank, .data = address(m)};
  for (int d = 0; d < t->rank; d++)
    if (!fv_x_eval_i64(t->dim[d], symbol, &out->dim[d]))
      return false;
  return true;
}

static fv_status give_outputs(const launch_cx *cx, const fv_array *out, const int64_t *room,
                              fv_diag_sink *diag) {
  const fv_memref *to = cx->buf + cx->g->region->n_param;
  for (int i = 0; i < cx->g->region->n_result; i++) {
    const int64_t bytes = fv_array_count(&out[i]) * fv_dtype_size(out[i].dtype);
    if (bytes > room[i])
      return fv_error(diag, FV_ERR_BACKEND, NULL, "output '%s' is larger than it may be",
                      cx->g->output_name[i]);
    if (bytes)
      memcpy(address(&to[i]), out[i].data, (size_t)bytes);
  }
  return FV_OK;
}

static fv_status launch_body(void *user) {
  launch_cx *cx = user;
  const fv_graph *g = cx->g;
  const fv_module *m = g->module;
  const uint32_t n_symbol = fv_symbol_count(m->pool);
  const int n_in = g->region->n_param, n_out = g->region->n_result;
  fv_diag_sink diag = {.emit = first_error, .user = cx->r};
  uses u;
  find_uses(cx->ar, g, &u);
  int64_t *symbol = FV_NEW_N(cx->ar, int64_t, n_symbol);
  for (uint32_t y = 0; y < n_symbol; y++)
    symbol[y] = u.symbol[y] && known_before(m, y) ? *cx->scalar++ : FV_MODEL_UNKNOWN;
  fv_array *in = FV_NEW_N(cx->ar, fv_array, n_in), *out = FV_NEW_N(cx->ar, fv_array, n_out);
  for (int i = 0; i < n_in; i++)
    if (!make_input(&g->region->param[i]->type, symbol, &cx->buf[i], &in[i]))
      return fv_error(&diag, FV_ERR_BACKEND, NULL, "a dim of input '%s' is not known",
                      g->input_name[i]);
  const uint8_t **state = FV_NEW_N(cx->ar, const uint8_t *, m->n_state);
  uint8_t **next = FV_NEW_N(cx->ar, uint8_t *, m->n_state);
  const fv_memref *at = cx->buf + n_in + n_out;
  for (int s = 0; s < m->n_state; s++) {
    state[s] = u.read[s] ? address(at++) : NULL;
    next[s] = u.written[s] ? address(at++) : NULL;
  }
  fv_run_io io = {.symbol = symbol,
                  .input = in,
                  .output = out,
                  .state = state,
                  .next = next,
                  .arena = cx->ar,
                  .diag = &diag};
  fv_report report = {.diag = &diag};
  cx->result = cx->r->e->backend->run_graph(cx->r->e->device, g, &io, &report);
  FV_TRY(fv_plugin_status(cx->result));
  FV_TRY(give_outputs(cx, out, cx->scalar, &diag));
  for (uint32_t y = 0; y < n_symbol; y++)  // a loop that was not reached has set none
    if (symbol[y] == FV_MODEL_UNKNOWN)
      symbol[y] = fv_symbol_get(m->pool, y)->min;
  memcpy(address(at), symbol, n_symbol * sizeof *symbol);
  return FV_OK;
}

static fv_status launch_in_own_arena(void *user) {
  launch_cx *cx = user;
  return fv_arena_protect(cx->ar, launch_body, cx, &cx->bug);
}

static int32_t launch(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                      uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                      int64_t scratch_bytes) {
  fv_runner *r = dev;
  (void)n_buf, (void)n_scalar, (void)blocks, (void)scratch_bytes;
  r->error[0] = 0;
  fv_arena *ar = fv_arena_create(NULL);
  launch_cx cx = {.r = r,
                  .g = r->e->module->graph[kernel],
                  .ar = ar,
                  .buf = buf,
                  .scalar = scalar,
                  .result = FV_PLUGIN_OK};
  // Expressions that the run makes are in the module's arena: one run at a time.
  pthread_mutex_lock(&r->e->graph_runs);
  const fv_status s =
      ar ? fv_arena_protect(r->e->module->arena, launch_in_own_arena, &cx, &cx.bug) : FV_ERR_OOM;
  pthread_mutex_unlock(&r->e->graph_runs);
  fv_arena_destroy(ar);
  if (s != FV_OK && !r->error[0])
    snprintf(r->error, sizeof r->error, "%s",
             cx.bug            ? cx.bug
             : s == FV_ERR_OOM ? "out of memory"
                               : "the backend gave no reason");
  return s == FV_OK ? 0 : cx.result == FV_PLUGIN_REFUSED ? FV_LAUNCH_REFUSED : -1;
}

static const char *error(void *dev) {
  return ((fv_runner *)dev)->error;
}

// Memory is that of the CPU device, whose functions for it look at no device.
const fv_device_ops *fv_runner_ops(void) {
  static const fv_device_ops ops = {.struct_size = sizeof ops,
                                    .host_memory = 1,
                                    .alloc = fv_cpu_alloc,
                                    .free = fv_cpu_free,
                                    .launch = launch,
                                    .copy = fv_cpu_copy,
                                    .zero = fv_cpu_zero,
                                    .write = fv_cpu_write,
                                    .read = fv_cpu_read,
                                    .error = error};
  return &ops;
}

fv_runner *fv_runner_create(fv_executable *e) {
  fv_runner *r = calloc(1, sizeof *r);
  if (r)
    r->e = e;
  return r;
}

void fv_runner_destroy(fv_runner *r) {
  free(r);
}
