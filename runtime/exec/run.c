// SPDX-License-Identifier: Apache-2.0
// Run: interprets the run section of a bound entry, then commits.
#include "runtime/exec/internal.h"

// A check of the program that did not hold.
static int32_t site_failed(fv_exec_ctx *c, uint64_t site) {
  if (site >= c->image.head->sites.count)
    return ex_fail(c, FV_MODEL_ERR_RUN, "a check of the model failed");
  return ex_fail(c, FV_MODEL_ERR_RUN, "%s", fv_exec_string(&c->image, c->image.site[site]));
}

static int32_t damaged(fv_exec_ctx *c, const char *what) {
  return ex_fail(c, FV_MODEL_ERR_IMAGE, "the program is damaged: %s", what);
}

int32_t ex_step(fv_exec_ctx *c, ex_entry *e, const fv_hinst *h) {
  switch (h->op) {
  case FV_H_LITERAL: e->slot[h->a] = e->literal[h->b]; return FV_MODEL_OK;
  case FV_H_SCALAR: {
    const int arity = ex_scalar_arity(h->n);
    e->slot[h->a] = ex_scalar(h->n, e->slot[h->b], arity > 1 ? e->slot[h->c] : 0,
                              arity > 2 ? e->slot[h->d] : 0);
    return FV_MODEL_OK;
  }
  default:  // CHECK
    EX_TRY(ex_want_known(c, e, e->slot[h->a]));
    return e->slot[h->a] ? FV_MODEL_OK : site_failed(c, h->b);
  }
}

//===-- Where buffers are ---------------------------------------------------===//

typedef struct region {
  fv_memref ref;
  int64_t left;  // bytes from there to the end of the buffer
} region;

// The next version of a double-buffered state is about to be written: the member at an offset, or
// through a buffer without a stride all of them.
static fv_memref next_version(const fv_exec_ctx *c, const fv_prog_buffer *b, int64_t offset) {
  ex_state *s = &c->state[b->index];
  if (b->stride_slot == FV_NO_SLOT)
    memset(s->written, 1, c->image.state[b->index].members);
  else if (s->stride && offset < s->bytes)
    s->written[offset / s->stride] = 1;
  return (fv_memref){s->object[1 - s->which], 0};
}

static fv_memref staged(const fv_exec_ctx *c, const ex_entry *e, uint32_t port) {
  const uint32_t item = e->item_of[e->prog->buffers.count + port];
  return (fv_memref){c->arena, e->item[item].offset};
}

static void *output_of(const fv_exec_ctx *c, const ex_entry *e, uint32_t i) {
  return c->outputs && c->outputs[i] ? c->outputs[i] : e->spare[i];
}

static fv_memref base_of(fv_exec_ctx *c, const ex_entry *e, uint32_t i, int64_t offset) {
  const fv_prog_buffer *b = &e->buffer[i];
  const bool host = c->opt.ops->host_memory;
  switch (b->space) {
  case FV_SPACE_ARENA: return (fv_memref){c->arena, e->item[e->item_of[e->storage[i]]].offset};
  case FV_SPACE_CONST: return (fv_memref){c->constants, (int64_t)b->offset};
  case FV_SPACE_INPUT:
    return host ? (fv_memref){(void *)(uintptr_t)c->inputs[b->index], 0} : staged(c, e, b->index);
  case FV_SPACE_OUTPUT:
    return host ? (fv_memref){output_of(c, e, b->index), 0}
                : staged(c, e, e->prog->inputs.count + b->index);
  case FV_SPACE_STATE: {
    const ex_state *s = &c->state[b->index];
    return (fv_memref){s->object[s->which], 0};
  }
  default: return next_version(c, b, offset);
  }
}

static bool resolve(fv_exec_ctx *c, const ex_entry *e, uint32_t i, region *out) {
  int64_t offset = 0;
  for (;; i = e->buffer[i].index) {
    const fv_prog_buffer *b = &e->buffer[i];
    if (b->stride_slot != FV_NO_SLOT &&
        __builtin_add_overflow(offset, e->slot[b->stride_slot], &offset))
      return false;
    if (b->space != FV_SPACE_VIEW)
      break;
  }
  const int64_t size = e->size[e->storage[i]];
  if (offset < 0 || offset > size || (offset == size && size))
    return false;
  out->ref = base_of(c, e, i, offset);
  out->ref.offset += offset;
  out->left = size - offset;
  if (!out->left)
    out->ref = (fv_memref){c->pad, 0};
  return true;
}

//===-- Instructions --------------------------------------------------------===//

static int32_t launch(fv_exec_ctx *c, ex_entry *e, const fv_hinst *h) {
  const fv_prog_kernel *k = &c->image.kernel[h->a];
  const uint32_t *arg = e->arg + h->d;
  const int64_t blocks = e->slot[h->b], scratch = h->c == FV_NO_SLOT ? 0 : e->slot[h->c];
  EX_TRY(ex_want_known(c, e, blocks));
  EX_TRY(ex_want_known(c, e, scratch));
  if (blocks <= 0)
    return FV_MODEL_OK;
  if (scratch < 0 || scratch > c->opt.max_bytes)
    return damaged(c, "scratch out of bounds");
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    region p;
    if (!resolve(c, e, arg[i], &p))
      return damaged(c, "a slice out of bounds");
    c->ref[i] = p.ref;
  }
  for (uint32_t i = 0; i < k->n_scalar; i++) {
    c->scalar[i] = e->slot[arg[k->n_buffer + i]];
    EX_TRY(ex_want_known(c, e, c->scalar[i]));
  }
  const int32_t r = c->opt.ops->launch(c->opt.dev, h->a, k->n_buffer, c->ref, k->n_scalar,
                                       c->scalar, blocks, scratch);
  if (r == FV_LAUNCH_REFUSED && c->opt.ops->error)
    return ex_fail(c, FV_MODEL_ERR_RUN, "%s", c->opt.ops->error(c->opt.dev));
  if (r < 0)
    return ex_device_failed(c, fv_exec_string(&c->image, k->name));
  return r ? site_failed(c, (uint64_t)k->first_site + (uint32_t)(r - 1)) : FV_MODEL_OK;
}

static int32_t copy_or_zero(fv_exec_ctx *c, ex_entry *e, const fv_hinst *h) {
  const int64_t bytes = e->slot[h->c];
  EX_TRY(ex_want_known(c, e, bytes));
  region to, from = {{0, 0}, 0};
  const bool copy = h->op == FV_H_COPY;
  if (!resolve(c, e, h->a, &to) || (copy && !resolve(c, e, h->b, &from)))
    return damaged(c, "a slice out of bounds");
  if (bytes < 0 || bytes > to.left || (copy && bytes > from.left))
    return damaged(c, "a copy out of bounds");
  if (!bytes)
    return FV_MODEL_OK;
  const int32_t r = copy ? c->opt.ops->copy(c->opt.dev, to.ref, from.ref, bytes)
                         : c->opt.ops->zero(c->opt.dev, to.ref, bytes);
  return r ? ex_device_failed(c, copy ? "copy" : "zero") : FV_MODEL_OK;
}

static int32_t swap(fv_exec_ctx *c, ex_entry *e, const fv_hinst *h) {
  const uint32_t a = e->storage[h->a], b = e->storage[h->b];
  if (e->size[a] != e->size[b])
    return damaged(c, "a swap of unequal buffers");
  e->storage[h->a] = b;
  e->storage[h->b] = a;
  return FV_MODEL_OK;
}

// A little-endian integer or bool of `size` bytes.
static int64_t to_i64(const uint8_t *data, uint32_t dtype, int64_t size) {
  uint64_t v = 0;
  for (int64_t i = size; i-- > 0;)
    v = v << 8 | data[i];
  if (dtype == FV_bool)
    return v != 0;
  const int unused = 64 - 8 * (int)size;
  return dtype == FV_u8 || !unused ? (int64_t)v : (int64_t)(v << unused) >> unused;
}

static int32_t out_of_range(fv_exec_ctx *c, const fv_hinst *h, int64_t v, int64_t most) {
  if (h->d >= c->image.head->sites.count)
    return site_failed(c, h->d);
  const char *text = fv_exec_string(&c->image, c->image.site[h->d]);
  const size_t n = strlen(text);
  if (!h->n || h->n > n)
    return site_failed(c, h->d);
  const int head = (int)(n - h->n);
  if (text[n - 1] == ' ')
    return ex_fail(c, FV_MODEL_ERR_RUN, "%.*s%lld%s%lld", head, text, (long long)v, text + head,
                   (long long)most);
  return ex_fail(c, FV_MODEL_ERR_RUN, "%.*s%lld%s", head, text, (long long)v, text + head);
}

static int32_t read_symbol(fv_exec_ctx *c, ex_entry *e, const fv_hinst *h) {
  region p;
  uint8_t data[8];
  const uint32_t dtype = e->buffer[h->b].dtype;
  const int64_t size = fv_exec_dtype_size(dtype);
  if (!resolve(c, e, h->b, &p) || p.left < size)
    return damaged(c, "a slice out of bounds");
  if (c->opt.ops->host_memory)
    memcpy(data, (const uint8_t *)p.ref.object + p.ref.offset, (size_t)size);
  else if (c->opt.ops->read(c->opt.dev, data, p.ref, size))
    return ex_device_failed(c, "read");
  const int64_t v = to_i64(data, dtype, size);
  if (v < c->image.symbol[h->a].min || v > e->slot[h->c])
    return out_of_range(c, h, v, e->slot[h->c]);
  e->slot[h->a] = v;
  return FV_MODEL_OK;
}

//===-- Loops ---------------------------------------------------------------===//

// Before each trip: into the body, or past the end.
static void next_trip(ex_entry *e, uint32_t *pc) {
  const ex_loop *top = &e->loop[e->depth - 1];
  const fv_hinst *h = &e->inst[top->pc];
  if (top->trip < top->trips && (h->d == FV_NO_SLOT || e->slot[h->d])) {
    e->slot[h->a] = top->trip;
    *pc = top->pc + 1;
    return;
  }
  const uint32_t result = e->inst[h->c - 1].b;
  if (result != FV_NO_SLOT)
    e->slot[result] = top->trip;
  *pc = h->c;
  e->depth--;
}

static int32_t step(fv_exec_ctx *c, ex_entry *e, uint32_t *pc) {
  const fv_hinst *h = &e->inst[*pc];
  switch (h->op) {
  case FV_H_LOOP:
    EX_TRY(ex_want_known(c, e, e->slot[h->b]));
    e->loop[e->depth++] = (ex_loop){.pc = *pc, .trip = 0, .trips = e->slot[h->b]};
    next_trip(e, pc);
    return FV_MODEL_OK;
  case FV_H_END_LOOP:
    e->loop[e->depth - 1].trip++;
    next_trip(e, pc);
    return FV_MODEL_OK;
  case FV_H_IF:
    EX_TRY(ex_want_known(c, e, e->slot[h->a]));
    *pc = e->slot[h->a] ? *pc + 1 : h->b;
    return FV_MODEL_OK;
  default: break;
  }
  ++*pc;
  switch (h->op) {
  case FV_H_LAUNCH: return launch(c, e, h);
  case FV_H_COPY:
  case FV_H_ZERO: return copy_or_zero(c, e, h);
  case FV_H_SWAP: return swap(c, e, h);
  case FV_H_READ: return read_symbol(c, e, h);
  case FV_H_REQUIRE: return ex_require(c, e, h->a, FV_MODEL_ERR_RUN);
  default: return ex_step(c, e, h);
  }
}

static int32_t run_section(fv_exec_ctx *c, ex_entry *e) {
  uint64_t steps = 0;
  e->depth = 0;
  for (uint32_t pc = e->prog->bind_end; pc < e->prog->insts.count;) {
    if (c->opt.max_steps && ++steps > c->opt.max_steps)
      return ex_fail(c, FV_MODEL_ERR_LIMIT, "the run takes more than %llu steps",
                     (unsigned long long)c->opt.max_steps);
    const int32_t status = step(c, e, &pc);
    if (status != FV_MODEL_OK)
      return status;
  }
  return FV_MODEL_OK;
}

//===-- The run -------------------------------------------------------------===//

static int32_t check_alignment(fv_exec_ctx *c, const char *kind, const fv_prog_port *p,
                               const void *data) {
  if ((uintptr_t)data % (uintptr_t)fv_exec_dtype_size(p->dtype) == 0)
    return FV_MODEL_OK;
  return ex_fail(c, FV_MODEL_ERR_ARG, "%s '%s' is not aligned to its elements", kind,
                 fv_exec_string(&c->image, p->name));
}

static int32_t check_inputs(fv_exec_ctx *c, const ex_entry *e) {
  for (uint32_t i = 0; i < e->prog->inputs.count; i++) {
    const void *data = c->inputs ? c->inputs[i] : NULL;
    if (e->in_bytes[i] == 0)
      continue;
    if (!data)
      return ex_fail(c, FV_MODEL_ERR_ARG, "input '%s' is NULL",
                     fv_exec_string(&c->image, e->input[i].name));
    const int32_t status = check_alignment(c, "input", &e->input[i], data);
    if (status != FV_MODEL_OK)
      return status;
  }
  return FV_MODEL_OK;
}

// Kernels write into the caller's memory, or where an output is not wanted into memory of ours.
static int32_t make_spare(fv_exec_ctx *c, ex_entry *e, uint32_t i) {
  const fv_device_ops *ops = c->opt.ops;
  const int64_t bytes = e->out_bytes[i];
  if (!ops->host_memory || bytes <= e->spare_bytes[i])
    return FV_MODEL_OK;
  if (e->spare[i])
    ops->free(c->opt.dev, e->spare[i], e->spare_bytes[i]);
  e->spare[i] = ops->alloc(c->opt.dev, bytes);
  e->spare_bytes[i] = e->spare[i] ? bytes : 0;
  return e->spare[i] ? FV_MODEL_OK
                     : ex_fail(c, FV_MODEL_ERR_OOM, "out of memory for output '%s' of %lld bytes",
                               fv_exec_string(&c->image, e->output[i].name), (long long)bytes);
}

static int32_t check_outputs(fv_exec_ctx *c, ex_entry *e) {
  for (uint32_t i = 0; i < e->prog->outputs.count; i++) {
    const void *data = c->outputs ? c->outputs[i] : NULL;
    if (e->out_bytes[i] == 0)
      continue;
    const int32_t status =
        data ? check_alignment(c, "output", &e->output[i], data) : make_spare(c, e, i);
    if (status != FV_MODEL_OK)
      return status;
  }
  return FV_MODEL_OK;
}

// The state lengths that the entry was bound with have changed.
static int32_t follow_lengths(fv_exec_ctx *c, ex_entry *e) {
  const int32_t status = ex_rebind(c, e, NULL);
  if (status != FV_MODEL_OK || !e->ports_changed)
    return status;
  e->bound = false;
  return ex_fail(c, FV_MODEL_ERR_DIM,
                 "the states have grown and with them an input or output: bind again");
}

static int32_t write_inputs(fv_exec_ctx *c, const ex_entry *e) {
  for (uint32_t i = 0; i < e->prog->inputs.count; i++)
    if (e->in_bytes[i] &&
        c->opt.ops->write(c->opt.dev, staged(c, e, i), c->inputs[i], e->in_bytes[i]))
      return ex_device_failed(c, "writing an input");
  return FV_MODEL_OK;
}

// Dims that the run found are within what was bound; reads what is on a device.
static int32_t finish_outputs(fv_exec_ctx *c, const ex_entry *e) {
  for (uint32_t i = 0; i < e->prog->outputs.count; i++) {
    const fv_prog_port *p = &e->output[i];
    int64_t dim[FV_MAX_RANK], bytes;
    for (uint32_t d = 0; d < p->rank; d++) {
      dim[d] = e->slot[p->dim_slot[d]];
      if (dim[d] < 0 || dim[d] > e->out_dim[FV_MAX_RANK * i + d])
        return damaged(c, "an output is larger than it was bound");
    }
    if (c->opt.ops->host_memory || !c->outputs || !c->outputs[i])
      continue;
    if (!ex_bytes(dim, p->rank, fv_exec_dtype_size(p->dtype), EX_MAX_BYTES, &bytes))
      return damaged(c, "an output is too large");
    if (bytes &&
        c->opt.ops->read(c->opt.dev, c->outputs[i], staged(c, e, e->prog->inputs.count + i), bytes))
      return ex_device_failed(c, "reading an output");
  }
  return FV_MODEL_OK;
}

// What an earlier run, perhaps a failed one, has left behind.
static void clean_up(fv_exec_ctx *c, ex_entry *e) {
  for (uint32_t i = 0; i < e->prog->buffers.count; i++)
    e->storage[i] = i;
  for (uint32_t i = 0; i < c->image.head->states.count; i++)
    if (c->state[i].written)
      memset(c->state[i].written, 0, c->image.state[i].members);
}

int32_t fv_exec_run(fv_exec_ctx *c, uint32_t entry, const void *const *inputs,
                    void *const *outputs) {
  c->error[0] = 0;
  if (entry >= c->image.head->entries.count)
    return ex_fail(c, FV_MODEL_ERR_ARG, "there is no entry %u", entry);
  ex_entry *e = &c->entry[entry];
  if (!e->bound)
    return ex_fail(c, FV_MODEL_ERR_ARG, "'%s' is not bound",
                   fv_exec_string(&c->image, e->prog->name));
  int32_t status = FV_MODEL_OK;
  if (e->epoch != c->epoch)
    status = follow_lengths(c, e);
  e->ran = false;
  c->inputs = inputs;
  c->outputs = outputs;
  if (status == FV_MODEL_OK)
    status = check_inputs(c, e);
  if (status == FV_MODEL_OK)
    status = check_outputs(c, e);
  if (status == FV_MODEL_OK)
    status = ex_check_overlaps(c, e);
  clean_up(c, e);
  if (status == FV_MODEL_OK)
    status = ex_check_lengths(c, e, true);
  if (status == FV_MODEL_OK && !c->opt.ops->host_memory)
    status = write_inputs(c, e);
  if (status == FV_MODEL_OK)
    status = run_section(c, e);
  if (status == FV_MODEL_OK)
    status = finish_outputs(c, e);
  if (status == FV_MODEL_OK)
    status = ex_commit(c, e);
  c->inputs = NULL;
  c->outputs = NULL;
  e->ran = status == FV_MODEL_OK;
  return status;
}
