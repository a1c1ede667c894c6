// SPDX-License-Identifier: Apache-2.0
// Contexts: made for an image on a device, and what can be asked of them.
#include "runtime/exec/internal.h"

int32_t ex_fail(fv_exec_ctx *c, int32_t status, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  vsnprintf(c->error, sizeof c->error, format, ap);
  va_end(ap);
  return status;
}

int32_t ex_device_failed(fv_exec_ctx *c, const char *what) {
  const char *text = c->opt.ops->error ? c->opt.ops->error(c->opt.dev) : NULL;
  return ex_fail(c, FV_MODEL_ERR_DEVICE, "%s: %s", what,
                 text && *text ? text : "the device failed");
}

const char *ex_symbol_name(const fv_exec_ctx *c, uint32_t symbol) {
  return fv_exec_string(&c->image, c->image.symbol[symbol].name);
}

bool ex_bytes(const int64_t *dim, uint32_t rank, int64_t elem, int64_t limit, int64_t *out) {
  int64_t n = elem;
  for (uint32_t d = 0; d < rank; d++)
    if (dim[d] < 0 || __builtin_mul_overflow(n, dim[d], &n))
      return false;
  if (n > limit)
    return false;
  *out = n;
  return true;
}

const char *fv_exec_error(const fv_exec_ctx *c) {
  return c->error;
}

const fv_exec_image *fv_exec_image_of(const fv_exec_ctx *c) {
  return &c->image;
}

int64_t fv_exec_workspace(const fv_exec_ctx *c) {
  return c->arena_bytes;
}

//===-- Create and destroy --------------------------------------------------===//

static void *zeroed(size_t count, size_t size) {
  return calloc(count ? count : 1, size);
}

// Which buffers, and on devices which ports, lie in the arena.
static void number_items(const fv_exec_ctx *c, ex_entry *e) {
  const fv_prog_entry *p = e->prog;
  const uint32_t ports = p->inputs.count + p->outputs.count;
  for (uint32_t i = 0; i < p->buffers.count; i++) {
    const fv_prog_buffer *b = &e->buffer[i];
    e->item_of[i] = FV_NO_SLOT;
    if (b->space != FV_SPACE_ARENA)
      continue;
    e->item[e->n_item] = (fv_plan_item){.first = b->first, .last = b->last};
    e->item_of[i] = e->n_item++;
  }
  for (uint32_t i = 0; i < ports; i++) {
    e->item_of[p->buffers.count + i] = FV_NO_SLOT;
    if (c->opt.ops->host_memory)
      continue;
    e->item[e->n_item] = (fv_plan_item){.first = 0, .last = UINT32_MAX};
    e->item_of[p->buffers.count + i] = e->n_item++;
  }
}

static uint32_t deepest_nest(const ex_entry *e) {
  uint32_t depth = 0, most = 0;
  for (uint32_t pc = 0; pc < e->prog->insts.count; pc++) {
    depth += e->inst[pc].op == FV_H_LOOP;
    most = depth > most ? depth : most;
    depth -= e->inst[pc].op == FV_H_END_LOOP;
  }
  return most;
}

static void note_bind_slots(const fv_exec_ctx *c, ex_entry *e) {
  for (uint32_t y = 0; y < c->image.head->symbols.count; y++)
    e->set_at_bind[y] = c->image.symbol[y].kind < 2;
  for (uint32_t pc = 0; pc < e->prog->bind_end; pc++)
    if (e->inst[pc].op != FV_H_CHECK)
      e->set_at_bind[e->inst[pc].a] = true;
}

static bool make_entry(fv_exec_ctx *c, ex_entry *e, const fv_prog_entry *p) {
  const fv_exec_image *im = &c->image;
  e->prog = p;
  e->input = fv_exec_table(im, p->inputs);
  e->output = fv_exec_table(im, p->outputs);
  e->buffer = fv_exec_table(im, p->buffers);
  e->inst = fv_exec_table(im, p->insts);
  e->arg = fv_exec_table(im, p->args);
  e->literal = fv_exec_table(im, p->literals);
  e->advance = fv_exec_table(im, p->advances);
  e->used = fv_exec_table(im, p->used_symbols);
  e->condition = fv_exec_table(im, p->conditions);
  const size_t symbols = im->head->symbols.count, in = p->inputs.count, out = p->outputs.count;
  const size_t items = p->buffers.count + in + out;
  e->slot = zeroed(p->n_slot, sizeof *e->slot);
  e->set_at_bind = zeroed(p->n_slot, sizeof *e->set_at_bind);
  e->given = zeroed(symbols, sizeof *e->given);
  e->wanted = zeroed(symbols, sizeof *e->wanted);
  e->known = zeroed(symbols, sizeof *e->known);
  e->wanted_known = zeroed(symbols, sizeof *e->wanted_known);
  e->in_dim = zeroed(in, FV_MAX_RANK * sizeof *e->in_dim);
  e->out_dim = zeroed(out, FV_MAX_RANK * sizeof *e->out_dim);
  e->in_bytes = zeroed(in, sizeof *e->in_bytes);
  e->out_bytes = zeroed(out, sizeof *e->out_bytes);
  e->size = zeroed(p->buffers.count, sizeof *e->size);
  e->item_of = zeroed(items, sizeof *e->item_of);
  e->item = zeroed(items, sizeof *e->item);
  e->order = zeroed(items, 2 * sizeof *e->order);
  e->storage = zeroed(p->buffers.count, sizeof *e->storage);
  e->loop = zeroed(deepest_nest(e), sizeof *e->loop);
  e->spare = zeroed(out, sizeof *e->spare);
  e->spare_bytes = zeroed(out, sizeof *e->spare_bytes);
  e->span = zeroed(in + out, sizeof *e->span);
  if (!e->slot || !e->set_at_bind || !e->given || !e->wanted || !e->known || !e->wanted_known ||
      !e->in_dim || !e->out_dim || !e->in_bytes || !e->out_bytes || !e->size || !e->item_of ||
      !e->item || !e->order || !e->storage || !e->loop || !e->spare || !e->spare_bytes || !e->span)
    return false;
  number_items(c, e);
  note_bind_slots(c, e);
  return true;
}

static void free_entry(fv_exec_ctx *c, ex_entry *e) {
  for (uint32_t i = 0; e->spare && e->spare_bytes && i < e->prog->outputs.count; i++)
    if (e->spare[i])
      c->opt.ops->free(c->opt.dev, e->spare[i], e->spare_bytes[i]);
  void *const own[] = {e->set_at_bind,  e->slot,      e->given,       e->wanted,  e->known,
                       e->wanted_known, e->in_dim,    e->out_dim,     e->size,    e->item_of,
                       e->item,         e->order,     e->in_bytes,    e->storage, e->loop,
                       e->spare,        e->out_bytes, e->spare_bytes, e->span};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    free(own[i]);
}

static int32_t place_constants(fv_exec_ctx *c) {
  const fv_device_ops *ops = c->opt.ops;
  const int64_t bytes = (int64_t)c->image.head->const_bytes;
  static const uint64_t zero[8] = {0};
  c->pad = ops->alloc(c->opt.dev, EX_ALIGN);
  if (!c->pad)
    return FV_MODEL_ERR_OOM;
  if (ops->write(c->opt.dev, (fv_memref){c->pad, 0}, zero, sizeof zero))
    return FV_MODEL_ERR_DEVICE;
  if (ops->host_memory) {
    c->constants = (void *)(uintptr_t)c->opt.constants;
    return FV_MODEL_OK;
  }
  if (!bytes)
    return FV_MODEL_OK;
  c->constants = ops->alloc(c->opt.dev, bytes);
  if (!c->constants)
    return FV_MODEL_ERR_OOM;
  if (ops->write(c->opt.dev, (fv_memref){c->constants, 0}, c->opt.constants, bytes))
    return FV_MODEL_ERR_DEVICE;
  return FV_MODEL_OK;
}

static int32_t make_tables(fv_exec_ctx *c) {
  const fv_program *p = c->image.head;
  c->state = zeroed(p->states.count, sizeof *c->state);
  c->entry = zeroed(p->entries.count, sizeof *c->entry);
  c->length = zeroed(p->symbols.count, sizeof *c->length);
  for (uint32_t i = 0; i < p->kernels.count; i++) {
    const fv_prog_kernel *k = &c->image.kernel[i];
    c->max_buffer = k->n_buffer > c->max_buffer ? k->n_buffer : c->max_buffer;
    c->max_scalar = k->n_scalar > c->max_scalar ? k->n_scalar : c->max_scalar;
  }
  c->ref = zeroed(c->max_buffer, sizeof *c->ref);
  c->scalar = zeroed(c->max_scalar, sizeof *c->scalar);
  if (!c->state || !c->entry || !c->length || !c->ref || !c->scalar)
    return FV_MODEL_ERR_OOM;
  for (uint32_t i = 0; i < p->entries.count; i++)
    if (!make_entry(c, &c->entry[i], &c->image.entry[i]))
      return FV_MODEL_ERR_OOM;
  return FV_MODEL_OK;
}

int32_t fv_exec_create(const fv_exec_image *image, const fv_exec_options *options,
                       fv_exec_ctx **out) {
  *out = NULL;
  const uint64_t constants = image->head->const_bytes;
  if (options->const_bytes < constants || (constants && !options->constants) ||
      (uintptr_t)options->constants % EX_ALIGN)
    return FV_MODEL_ERR_ARG;
  fv_exec_ctx *c = calloc(1, sizeof *c);
  if (!c)
    return FV_MODEL_ERR_OOM;
  c->image = *image;
  c->opt = *options;
  FV_SIZED_TAKE(&c->ops, options->ops);
  c->opt.ops = &c->ops;
  if (c->opt.max_bytes <= 0 || c->opt.max_bytes > EX_MAX_BYTES)
    c->opt.max_bytes = EX_MAX_BYTES;
  c->epoch = 1;
  int32_t status = make_tables(c);
  if (status == FV_MODEL_OK)
    status = place_constants(c);
  if (status != FV_MODEL_OK) {
    fv_exec_destroy(c);
    return status;
  }
  *out = c;
  return FV_MODEL_OK;
}

void fv_exec_destroy(fv_exec_ctx *c) {
  if (!c)
    return;
  const fv_device_ops *ops = c->opt.ops;
  for (uint32_t i = 0; c->state && i < c->image.head->states.count; i++)
    ex_state_free(c, i);
  for (uint32_t i = 0; c->entry && i < c->image.head->entries.count; i++)
    free_entry(c, &c->entry[i]);
  if (c->arena)
    ops->free(c->opt.dev, c->arena, c->arena_bytes);
  if (c->pad)
    ops->free(c->opt.dev, c->pad, EX_ALIGN);
  if (c->constants && !ops->host_memory)
    ops->free(c->opt.dev, c->constants, (int64_t)c->image.head->const_bytes);
  free(c->state);
  free(c->entry);
  free(c->length);
  free(c->ref);
  free(c->scalar);
  free(c);
}

//===-- Questions -----------------------------------------------------------===//

static const ex_entry *bound_port(const fv_exec_ctx *c, uint32_t entry, fv_model_port kind,
                                  uint32_t index) {
  if (entry >= c->image.head->entries.count)
    return NULL;
  const ex_entry *e = &c->entry[entry];
  const uint32_t n = kind == FV_MODEL_INPUT ? e->prog->inputs.count : e->prog->outputs.count;
  return e->bound && index < n ? e : NULL;
}

int32_t fv_exec_dims(const fv_exec_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                     int64_t *out) {
  const ex_entry *e = bound_port(c, entry, kind, index);
  if (!e)
    return FV_MODEL_ERR_ARG;
  const fv_prog_port *p = kind == FV_MODEL_INPUT ? &e->input[index] : &e->output[index];
  const int64_t *bound = (kind == FV_MODEL_INPUT ? e->in_dim : e->out_dim) + FV_MAX_RANK * index;
  for (uint32_t d = 0; d < p->rank; d++)
    out[d] = kind == FV_MODEL_OUTPUT && e->ran ? e->slot[p->dim_slot[d]] : bound[d];
  return FV_MODEL_OK;
}

int32_t fv_exec_bytes(const fv_exec_ctx *c, uint32_t entry, fv_model_port kind, uint32_t index,
                      int64_t *out) {
  int64_t dim[FV_MAX_RANK];
  const int32_t status = fv_exec_dims(c, entry, kind, index, dim);
  if (status != FV_MODEL_OK)
    return status;
  const ex_entry *e = &c->entry[entry];
  const fv_prog_port *p = kind == FV_MODEL_INPUT ? &e->input[index] : &e->output[index];
  return ex_bytes(dim, p->rank, fv_exec_dtype_size(p->dtype), EX_MAX_BYTES, out)
             ? FV_MODEL_OK
             : FV_MODEL_ERR_LIMIT;
}
