// SPDX-License-Identifier: Apache-2.0
// Bind: from the values of the symbols to sizes, states and offsets in the arena
// for every buffer.
#include "runtime/exec/internal.h"

static const char *port_name(const fv_exec_ctx *c, const fv_prog_port *p) {
  return fv_exec_string(&c->image, p->name);
}

//===-- Values of the symbols -----------------------------------------------===//

static bool is_dim_symbol(const fv_exec_ctx *c, uint32_t slot) {
  return slot < c->image.head->symbols.count && c->image.symbol[slot].kind == 0;
}

static int32_t take_input(fv_exec_ctx *c, ex_entry *e, uint32_t i, const int64_t *dim) {
  const fv_prog_port *p = &e->input[i];
  if (p->rank && !dim)
    return ex_fail(c, FV_MODEL_ERR_ARG, "input '%s' has no dims", port_name(c, p));
  for (uint32_t d = 0; d < p->rank; d++) {
    const uint32_t y = p->dim_slot[d];
    if (!is_dim_symbol(c, y))
      continue;
    if (e->wanted_known[y] && e->wanted[y] != dim[d])
      return ex_fail(c, FV_MODEL_ERR_DIM, "input '%s': dim %u is %lld, but %s is %lld",
                     port_name(c, p), d, (long long)dim[d], ex_symbol_name(c, y),
                     (long long)e->wanted[y]);
    e->wanted[y] = dim[d];
    e->wanted_known[y] = true;
  }
  return FV_MODEL_OK;
}

static int32_t gather_symbols(fv_exec_ctx *c, ex_entry *e, const int64_t *symbols,
                              const int64_t *const *input_dims) {
  const uint32_t n = c->image.head->symbols.count;
  memset(e->wanted, 0, n * sizeof *e->wanted);
  memset(e->wanted_known, 0, n * sizeof *e->wanted_known);
  for (uint32_t i = 0; symbols && i < e->prog->used_symbols.count; i++) {
    const uint32_t y = e->used[i];
    e->wanted_known[y] = symbols[i] != FV_MODEL_UNKNOWN;
    e->wanted[y] = e->wanted_known[y] ? symbols[i] : 0;
  }
  for (uint32_t i = 0; input_dims && i < e->prog->inputs.count; i++) {
    const int32_t status = take_input(c, e, i, input_dims[i]);
    if (status != FV_MODEL_OK)
      return status;
  }
  for (uint32_t i = 0; i < e->prog->used_symbols.count; i++) {
    const uint32_t y = e->used[i];
    const fv_prog_symbol *s = &c->image.symbol[y];
    if (!e->wanted_known[y] && s->min == s->max) {
      e->wanted[y] = s->min;
      e->wanted_known[y] = true;
    }
    if (!e->wanted_known[y])
      return ex_fail(c, FV_MODEL_ERR_DIM, "the dim '%s' does not follow from the inputs: give it",
                     ex_symbol_name(c, y));
  }
  for (uint32_t y = 0; y < n; y++) {
    const fv_prog_symbol *s = &c->image.symbol[y];
    if (e->wanted_known[y] && (e->wanted[y] < s->min || e->wanted[y] > s->max))
      return ex_fail(c, FV_MODEL_ERR_DIM, "%s = %lld is out of its range %lld..%lld",
                     ex_symbol_name(c, y), (long long)e->wanted[y], (long long)s->min,
                     (long long)s->max);
  }
  return FV_MODEL_OK;
}

static bool same_as_bound(const fv_exec_ctx *c, const ex_entry *e,
                          const int64_t *const *input_dims) {
  const uint32_t n = c->image.head->symbols.count;
  if (!e->bound || e->epoch != c->epoch || memcmp(e->wanted, e->given, n * sizeof *e->given) ||
      memcmp(e->wanted_known, e->known, n * sizeof *e->known))
    return false;
  for (uint32_t i = 0; input_dims && i < e->prog->inputs.count; i++)
    if (e->input[i].rank &&
        memcmp(input_dims[i], e->in_dim + FV_MAX_RANK * i, e->input[i].rank * sizeof **input_dims))
      return false;
  return true;
}

//===-- What has no value ---------------------------------------------------===//

// " (K = 5, P = 3)" behind the error.
static void tell_symbols(fv_exec_ctx *c, const ex_entry *e, const uint32_t *y, uint32_t n) {
  size_t at = strlen(c->error);
  for (uint32_t i = 0; i < n && at < sizeof c->error; i++)
    at += (size_t)snprintf(c->error + at, sizeof c->error - at, "%s%s = %lld%s", i ? ", " : " (",
                           ex_symbol_name(c, y[i]), (long long)e->slot[y[i]], i + 1 < n ? "" : ")");
}

int32_t ex_want_known(fv_exec_ctx *c, const ex_entry *e, int64_t v) {
  if (v != FV_MODEL_UNKNOWN)
    return FV_MODEL_OK;
  (void)ex_fail(c, FV_MODEL_ERR_LIMIT, "a size that follows from the dims does not fit 64 bits");
  tell_symbols(c, e, e->used, e->prog->used_symbols.count);
  return FV_MODEL_ERR_LIMIT;
}

//===-- Sizes ---------------------------------------------------------------===//

// Notes the dims of a port, and whether they differ from the last ones.
static int32_t set_port(fv_exec_ctx *c, ex_entry *e, const char *kind, const fv_prog_port *p,
                        const uint32_t *slot, int64_t *dim, int64_t *bytes) {
  for (uint32_t d = 0; d < p->rank; d++) {
    const int64_t n = e->slot[slot[d]];
    EX_TRY(ex_want_known(c, e, n));
    if (n < 0)
      return ex_fail(c, FV_MODEL_ERR_DIM, "%s '%s': dim %u would be %lld", kind, port_name(c, p), d,
                     (long long)n);
    e->ports_changed = e->ports_changed || dim[d] != n;
    dim[d] = n;
  }
  if (!ex_bytes(dim, p->rank, fv_exec_dtype_size(p->dtype), c->opt.max_bytes, bytes))
    return ex_fail(c, FV_MODEL_ERR_LIMIT, "%s '%s' is too large", kind, port_name(c, p));
  return FV_MODEL_OK;
}

static int32_t set_ports(fv_exec_ctx *c, ex_entry *e, const int64_t *const *input_dims) {
  e->ports_changed = false;
  for (uint32_t i = 0; i < e->prog->inputs.count; i++) {
    const fv_prog_port *p = &e->input[i];
    for (uint32_t d = 0; input_dims && d < p->rank; d++)
      if (input_dims[i][d] != e->slot[p->dim_slot[d]])
        return ex_fail(c, FV_MODEL_ERR_DIM, "input '%s': dim %u is %lld, but must be %lld",
                       port_name(c, p), d, (long long)input_dims[i][d],
                       (long long)e->slot[p->dim_slot[d]]);
    const int32_t status =
        set_port(c, e, "input", p, p->dim_slot, e->in_dim + FV_MAX_RANK * i, &e->in_bytes[i]);
    if (status != FV_MODEL_OK)
      return status;
  }
  for (uint32_t i = 0; i < e->prog->outputs.count; i++) {
    const fv_prog_port *p = &e->output[i];
    const int32_t status =
        set_port(c, e, "output", p, p->bound_slot, e->out_dim + FV_MAX_RANK * i, &e->out_bytes[i]);
    if (status != FV_MODEL_OK)
      return status;
  }
  return FV_MODEL_OK;
}

static int32_t make_states(fv_exec_ctx *c, ex_entry *e) {
  for (uint32_t i = 0; i < e->prog->buffers.count; i++) {
    const fv_prog_buffer *b = &e->buffer[i];
    if (b->space != FV_SPACE_STATE && b->space != FV_SPACE_STATE_NEXT)
      continue;
    const int32_t status = ex_state_make(c, b->index, e->given, e->known);
    if (status != FV_MODEL_OK)
      return status;
    const uint32_t y = c->image.state[b->index].length_symbol;
    if (y != FV_NO_SLOT && c->length[y] > ex_length_capacity(c, y))
      return ex_fail(c, FV_MODEL_ERR_DIM, "'%s' is %lld, but at most %lld fit",
                     ex_symbol_name(c, y), (long long)c->length[y],
                     (long long)ex_length_capacity(c, y));
  }
  return FV_MODEL_OK;
}

static int64_t buffer_bytes(const fv_exec_ctx *c, const ex_entry *e, const fv_prog_buffer *b) {
  switch (b->space) {
  case FV_SPACE_ARENA: return e->slot[b->size_slot];
  case FV_SPACE_CONST: return (int64_t)(c->image.head->const_bytes - b->offset);
  case FV_SPACE_INPUT: return e->in_bytes[b->index];
  case FV_SPACE_OUTPUT: return e->out_bytes[b->index];
  case FV_SPACE_STATE:
  case FV_SPACE_STATE_NEXT: return c->state[b->index].bytes;
  default: return 0;  // VIEW: that of its buffer
  }
}

//===-- The arena -----------------------------------------------------------===//

static void want_item(ex_entry *e, uint32_t slot, int64_t bytes, bool *changed) {
  const uint32_t i = e->item_of[slot];
  if (i == FV_NO_SLOT)
    return;
  const int64_t rounded = ex_align(bytes > 0 ? bytes : 1);  // as the planner leaves it
  *changed = *changed || e->item[i].bytes != rounded;
  e->item[i].bytes = rounded;
}

static int32_t plan(fv_exec_ctx *c, ex_entry *e) {
  const fv_prog_entry *p = e->prog;
  bool changed = !e->planned;
  e->planned = false;
  for (uint32_t i = 0; i < p->buffers.count; i++) {
    const int64_t n = buffer_bytes(c, e, &e->buffer[i]);
    EX_TRY(ex_want_known(c, e, n));
    if (n < 0 || n > EX_MAX_BYTES)
      return ex_fail(c, FV_MODEL_ERR_LIMIT, "a buffer of this model would have %lld bytes",
                     (long long)n);
    e->size[i] = n;
    want_item(e, i, n, &changed);
  }
  for (uint32_t i = 0; i < p->inputs.count; i++)
    want_item(e, p->buffers.count + i, e->in_bytes[i], &changed);
  for (uint32_t i = 0; i < p->outputs.count; i++)
    want_item(e, p->buffers.count + p->inputs.count + i, e->out_bytes[i], &changed);
  if (changed)
    e->arena_bytes = fv_plan_arena(e->item, e->n_item, e->order);
  if (e->arena_bytes < 0 || e->arena_bytes > c->opt.max_bytes)
    return ex_fail(c, FV_MODEL_ERR_LIMIT, "the workspace is too large");
  e->planned = true;
  return FV_MODEL_OK;
}

static int32_t grow_arena(fv_exec_ctx *c, int64_t bytes) {
  if (bytes <= c->arena_bytes)
    return FV_MODEL_OK;
  if (c->arena)
    c->opt.ops->free(c->opt.dev, c->arena, c->arena_bytes);
  c->arena_bytes = 0;
  c->arena = c->opt.ops->alloc(c->opt.dev, bytes);
  if (!c->arena) {
    for (uint32_t i = 0; i < c->image.head->entries.count; i++)
      c->entry[i].bound = false;
    return ex_fail(c, FV_MODEL_ERR_OOM, "out of memory for a workspace of %lld bytes",
                   (long long)bytes);
  }
  c->arena_bytes = bytes;
  return FV_MODEL_OK;
}

static int32_t reserve_scratch(fv_exec_ctx *c, const ex_entry *e) {
  const fv_device_ops *ops = c->opt.ops;
  if (!ops->reserve)
    return FV_MODEL_OK;
  int64_t most = 0;
  for (uint32_t pc = e->prog->bind_end; pc < e->prog->insts.count; pc++) {
    const fv_hinst *h = &e->inst[pc];
    if (h->op == FV_H_LAUNCH && h->c != FV_NO_SLOT && e->slot[h->c] > most)
      most = e->slot[h->c];
  }
  if (most > c->opt.max_bytes)
    return ex_fail(c, FV_MODEL_ERR_LIMIT, "the workspace is too large");
  if (most && ops->reserve(c->opt.dev, most))
    return ex_fail(c, FV_MODEL_ERR_OOM, "out of memory for %lld bytes of scratch a thread",
                   (long long)most);
  return FV_MODEL_OK;
}

//===-- Bind ----------------------------------------------------------------===//

static int32_t run_bind_section(fv_exec_ctx *c, ex_entry *e) {
  const uint32_t n = c->image.head->symbols.count;
  memset(e->slot, 0, e->prog->n_slot * sizeof *e->slot);
  for (uint32_t y = 0; y < n; y++)
    e->slot[y] = c->image.symbol[y].kind == 1 ? c->length[y] : e->given[y];
  for (uint32_t pc = 0; pc < e->prog->bind_end; pc++) {
    const int32_t status = ex_step(c, e, &e->inst[pc]);
    if (status != FV_MODEL_OK)
      return status;
  }
  return FV_MODEL_OK;
}

int32_t ex_require(fv_exec_ctx *c, const ex_entry *e, uint32_t condition, int32_t failure) {
  const fv_prog_condition *k = &e->condition[condition];
  const int64_t a = e->slot[k->a_slot], b = e->slot[k->b_slot];
  EX_TRY(ex_want_known(c, e, a));
  EX_TRY(ex_want_known(c, e, b));
  if (fv_relation_holds(k->relation, a, b))
    return FV_MODEL_OK;
  const fv_relation_words w = fv_words_of_relation(
      k->relation, fv_exec_string(&c->image, k->a_name), fv_exec_string(&c->image, k->b_name));
  (void)ex_fail(c, failure, FV_CONDITION_FAILS, fv_exec_string(&c->image, k->text), w.a, w.a_is,
                (long long)a, w.between, w.b, w.b_is, (long long)b, w.behind);
  tell_symbols(c, e, fv_exec_table(&c->image, k->symbols), k->symbols.count);
  return failure;
}

static int32_t check_conditions(fv_exec_ctx *c, const ex_entry *e) {
  for (uint32_t i = 0; i < e->prog->bind_conditions; i++) {
    const int32_t status = ex_require(c, e, i, FV_MODEL_ERR_DIM);
    if (status != FV_MODEL_OK)
      return status;
  }
  return FV_MODEL_OK;
}

int32_t ex_rebind(fv_exec_ctx *c, ex_entry *e, const int64_t *const *input_dims) {
  e->bound = e->ran = false;
  int32_t status = run_bind_section(c, e);
  if (status == FV_MODEL_OK)
    status = check_conditions(c, e);
  if (status == FV_MODEL_OK)
    status = set_ports(c, e, input_dims);
  if (status == FV_MODEL_OK)
    status = make_states(c, e);
  if (status == FV_MODEL_OK)
    status = plan(c, e);
  if (status == FV_MODEL_OK)
    status = grow_arena(c, e->arena_bytes);
  if (status == FV_MODEL_OK)
    status = reserve_scratch(c, e);
  e->bound = status == FV_MODEL_OK;
  e->epoch = c->epoch;
  return status;
}

int32_t fv_exec_bind(fv_exec_ctx *c, uint32_t entry, const int64_t *symbols,
                     const int64_t *const *input_dims) {
  c->error[0] = 0;
  if (entry >= c->image.head->entries.count)
    return ex_fail(c, FV_MODEL_ERR_ARG, "there is no entry %u", entry);
  ex_entry *e = &c->entry[entry];
  const int32_t status = gather_symbols(c, e, symbols, input_dims);
  if (status != FV_MODEL_OK)
    return status;
  if (same_as_bound(c, e, input_dims)) {
    e->ran = false;
    return FV_MODEL_OK;
  }
  const uint32_t n = c->image.head->symbols.count;
  memcpy(e->given, e->wanted, n * sizeof *e->given);
  memcpy(e->known, e->wanted_known, n * sizeof *e->known);
  return ex_rebind(c, e, input_dims);
}
