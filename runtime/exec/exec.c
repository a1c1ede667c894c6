// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec/exec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/exec/context.h"

static int dtype_size(uint8_t t) {
  static const uint8_t size[] = {
#define X(name, bytes, kind) bytes,
      FV_DTYPE_TABLE(X)
#undef X
  };
  return t < FV_DTYPE_COUNT ? size[t] : 0;
}

int exec_fail(fv_exec *x, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(x->error, sizeof x->error, fmt, ap);
  va_end(ap);
  return code;
}

const char *exec_string(const fv_program *p, uint32_t offset) {
  return (const char *)p + offset;
}

const char *fv_exec_error(const fv_exec *x) {
  return x->error;
}

//===-- Create and destroy --------------------------------------------------------===//

static int upload_constants(fv_exec *x, const void *constants) {
  if (x->ops->host_memory) {
    x->constants = (void *)(uintptr_t)constants;
    return FV_EXEC_OK;
  }
  const int64_t bytes = (int64_t)x->p->const_bytes;
  x->own_constants = true;
  x->constants = x->ops->alloc(x->dev, bytes ? bytes : 64);
  if (!x->constants)
    return exec_fail(x, FV_EXEC_OOM, "out of device memory for the constants");
  if (bytes && x->ops->write(x->dev, (fv_memref){x->constants, 0}, constants, bytes))
    return exec_fail(x, FV_EXEC_FAILED, "%s", x->ops->error(x->dev));
  return FV_EXEC_OK;
}

int fv_exec_create(const void *image, const void *constants, const fv_device_ops *ops, void *dev,
                   fv_exec **out) {
  fv_exec *x = calloc(1, sizeof *x);
  *out = x;
  if (!x)
    return FV_EXEC_OOM;
  x->p = image;
  x->ops = ops;
  x->dev = dev;
  x->state = calloc(x->p->states.count + 1, sizeof *x->state);
  x->length = calloc(x->p->symbols.count + 1, sizeof *x->length);
  if (!x->state || !x->length)
    return exec_fail(x, FV_EXEC_OOM, "out of memory");
  return upload_constants(x, constants);
}

static void free_object(fv_exec *x, void **object, int64_t bytes) {
  if (*object)
    x->ops->free(x->dev, *object, bytes);
  *object = NULL;
}

static void free_ports(fv_exec *x) {
  if (!x->ops->host_memory && x->e) {
    for (uint32_t i = 0; x->in_object && i < x->e->inputs.count; i++)
      free_object(x, &x->in_object[i], x->in_bytes[i]);
    for (uint32_t i = 0; x->out_object && i < x->e->outputs.count; i++)
      free_object(x, &x->out_object[i], x->out_bytes[i]);
  }
}

static void free_entry(fv_exec *x) {
  free_ports(x);
  void *const all[] = {x->slot,     x->bound,    x->place,   x->start,  x->in_object,
                       x->out_object, x->in_bytes, x->out_bytes, x->in_dims, x->out_dims};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
  x->slot = x->bound = x->in_bytes = x->out_bytes = NULL;
  x->place = x->start = NULL;
  x->in_object = x->out_object = NULL;
  x->in_dims = x->out_dims = NULL;
  x->e = NULL;
}

static void free_states(fv_exec *x) {
  for (uint32_t i = 0; x->state && i < x->p->states.count; i++) {
    exec_state *s = &x->state[i];
    if (s->object[1] == s->object[0])
      s->object[1] = NULL;
    free_object(x, &s->object[0], s->bytes);
    free_object(x, &s->object[1], s->bytes);
    s->bytes = 0;
  }
}

void fv_exec_destroy(fv_exec *x) {
  if (!x)
    return;
  free_entry(x);
  free_states(x);
  free_object(x, &x->arena, x->arena_bytes);
  if (x->own_constants)
    free_object(x, &x->constants, (int64_t)x->p->const_bytes);
  free(x->state);
  free(x->length);
  free(x);
}

//===-- States --------------------------------------------------------------------===//

// Bytes of a state with the symbols at hand; -1 if out of range.
static int64_t state_bytes(const fv_exec *x, const fv_prog_state *s) {
  int64_t n = dtype_size(s->dtype);
  for (int d = 0; d < s->rank; d++) {
    const int64_t v = s->dim[d].symbol == FV_NO_SLOT ? s->dim[d].value : x->slot[s->dim[d].symbol];
    if (v < 0 || __builtin_mul_overflow(n, v, &n))
      return -1;
  }
  n = (n + 63) & ~INT64_C(63);
  return __builtin_mul_overflow(n, (int64_t)s->members, &n) ? -1 : n;
}

static int make_states(fv_exec *x) {
  const fv_prog_state *s = EXEC_ROWS(x->p, x->p->states, fv_prog_state);
  for (uint32_t i = 0; i < x->p->states.count; i++) {
    exec_state *t = &x->state[i];
    const int64_t bytes = state_bytes(x, &s[i]);
    if (bytes < 0 || bytes > INT64_C(1) << 46)
      return exec_fail(x, FV_EXEC_INVALID, "state '%s' is too large", exec_string(x->p, s[i].name));
    if (t->object[0] && t->bytes == bytes)
      continue;
    if (t->object[0])
      return exec_fail(x, FV_EXEC_INVALID,
                       "state '%s' has another size since its first run; reset it before the "
                       "dims change",
                       exec_string(x->p, s[i].name));
    t->bytes = bytes;
    for (int k = 0; k < (s[i].double_buffered ? 2 : 1); k++) {
      t->object[k] = x->ops->alloc(x->dev, bytes + 64);
      if (!t->object[k])
        return exec_fail(x, FV_EXEC_OOM, "out of memory for state '%s'",
                         exec_string(x->p, s[i].name));
      if (x->ops->zero(x->dev, (fv_memref){t->object[k], 0}, bytes + 64))
        return exec_fail(x, FV_EXEC_FAILED, "%s", x->ops->error(x->dev));
    }
    if (!s[i].double_buffered)
      t->object[1] = t->object[0];
  }
  return FV_EXEC_OK;
}

int fv_exec_reset(fv_exec *x) {
  free_states(x);
  memset(x->length, 0, sizeof *x->length * x->p->symbols.count);
  free_entry(x);
  return FV_EXEC_OK;
}

int64_t fv_exec_state_length(const fv_exec *x, uint32_t state) {
  const uint32_t s = EXEC_ROWS(x->p, x->p->states, fv_prog_state)[state].length_symbol;
  return s == FV_NO_SLOT ? 0 : x->length[s];
}

int64_t fv_exec_state_bytes(const fv_exec *x, uint32_t state) {
  return x->state[state].bytes;
}

int fv_exec_state_save(fv_exec *x, uint32_t state, void *out) {
  const exec_state *s = &x->state[state];
  if (!s->object[0])
    return exec_fail(x, FV_EXEC_INVALID, "the state has no size before the first bind");
  if (x->ops->read(x->dev, out, (fv_memref){s->object[0], 0}, s->bytes))
    return exec_fail(x, FV_EXEC_FAILED, "%s", x->ops->error(x->dev));
  return FV_EXEC_OK;
}

int fv_exec_state_load(fv_exec *x, uint32_t state, const void *in, int64_t length) {
  const exec_state *s = &x->state[state];
  const fv_prog_state *ps = &EXEC_ROWS(x->p, x->p->states, fv_prog_state)[state];
  if (!s->object[0])
    return exec_fail(x, FV_EXEC_INVALID, "the state has no size before the first bind");
  if (ps->length_symbol != FV_NO_SLOT) {
    const fv_prog_symbol *sym = &EXEC_ROWS(x->p, x->p->symbols, fv_prog_symbol)[ps->length_symbol];
    if (length < sym->min || length > sym->max)
      return exec_fail(x, FV_EXEC_INVALID, "length %lld of the state is out of range",
                       (long long)length);
    x->length[ps->length_symbol] = length;
  }
  if (x->ops->write(x->dev, (fv_memref){s->object[0], 0}, in, s->bytes))
    return exec_fail(x, FV_EXEC_FAILED, "%s", x->ops->error(x->dev));
  return FV_EXEC_OK;
}

//===-- Bind ----------------------------------------------------------------------===//

static int choose_entry(fv_exec *x, uint32_t entry) {
  if (entry >= x->p->entries.count)
    return exec_fail(x, FV_EXEC_INVALID, "there is no entry %u", entry);
  const fv_prog_entry *e = &EXEC_ROWS(x->p, x->p->entries, fv_prog_entry)[entry];
  if (x->e == e)
    return FV_EXEC_OK;
  free_entry(x);
  x->e = e;
  x->slot = calloc(e->n_slot + 1, sizeof *x->slot);
  x->bound = calloc(x->p->symbols.count + 1, sizeof *x->bound);
  x->place = calloc(e->buffers.count + 1, sizeof *x->place);
  x->start = calloc(e->buffers.count + 1, sizeof *x->start);
  x->in_object = calloc(e->inputs.count + 1, sizeof *x->in_object);
  x->out_object = calloc(e->outputs.count + 1, sizeof *x->out_object);
  x->in_bytes = calloc(e->inputs.count + 1, sizeof *x->in_bytes);
  x->out_bytes = calloc(e->outputs.count + 1, sizeof *x->out_bytes);
  x->in_dims = calloc(e->inputs.count + 1, sizeof *x->in_dims);
  x->out_dims = calloc(e->outputs.count + 1, sizeof *x->out_dims);
  if (!x->slot || !x->bound || !x->place || !x->start || !x->in_object || !x->out_object ||
      !x->in_bytes || !x->out_bytes || !x->in_dims || !x->out_dims) {
    free_entry(x);
    return exec_fail(x, FV_EXEC_OOM, "out of memory");
  }
  for (uint32_t i = 0; i < x->p->symbols.count; i++)
    x->bound[i] = INT64_MIN;
  return FV_EXEC_OK;
}

// Values of the symbols: given, or named alone by an input dim.
static int solve_symbols(fv_exec *x, const int64_t *const *dims, const int64_t *symbols,
                         int64_t *value) {
  const fv_prog_port *in = EXEC_ROWS(x->p, x->e->inputs, fv_prog_port);
  const uint32_t n = x->p->symbols.count;
  for (uint32_t i = 0; i < n; i++)
    value[i] = symbols ? symbols[i] : INT64_MIN;
  for (uint32_t i = 0; dims && i < x->e->inputs.count; i++)
    for (int d = 0; d < in[i].rank; d++)
      if (in[i].dim_slot[d] < n && value[in[i].dim_slot[d]] == INT64_MIN)
        value[in[i].dim_slot[d]] = dims[i][d];
  const fv_prog_symbol *s = EXEC_ROWS(x->p, x->p->symbols, fv_prog_symbol);
  for (uint32_t i = 0; i < n; i++)
    if (s[i].kind == 1)
      value[i] = x->length[i];
  const uint32_t *used = EXEC_ROWS(x->p, x->e->used_symbols, uint32_t);
  for (uint32_t u = 0; u < x->e->used_symbols.count; u++) {
    const uint32_t i = used[u];
    if (value[i] == INT64_MIN && s[i].min == s[i].max)
      value[i] = s[i].min;
    if (value[i] == INT64_MIN)
      return exec_fail(x, FV_EXEC_INVALID, "dim '%s' is not known from the inputs; give its value",
                       exec_string(x->p, s[i].name));
    if (value[i] < s[i].min || value[i] > s[i].max)
      return exec_fail(x, FV_EXEC_INVALID, "dim '%s' is %lld, but the model says %lld to %lld",
                       exec_string(x->p, s[i].name), (long long)value[i], (long long)s[i].min,
                       (long long)s[i].max);
  }
  return FV_EXEC_OK;
}

static int64_t port_bytes(const fv_exec *x, const fv_prog_port *p, int64_t *dims) {
  int64_t n = dtype_size(p->dtype);
  for (int d = 0; d < p->rank; d++) {
    dims[d] = x->slot[p->bound_slot[d]];
    if (dims[d] < 0 || __builtin_mul_overflow(n, dims[d], &n))
      return -1;
  }
  return n > INT64_C(1) << 46 ? -1 : n;
}

static int check_inputs(fv_exec *x, const int64_t *const *dims) {
  const fv_prog_port *in = EXEC_ROWS(x->p, x->e->inputs, fv_prog_port);
  for (uint32_t i = 0; i < x->e->inputs.count; i++) {
    x->in_bytes[i] = port_bytes(x, &in[i], x->in_dims[i]);
    if (x->in_bytes[i] < 0)
      return exec_fail(x, FV_EXEC_INVALID, "input '%s' is too large",
                       exec_string(x->p, in[i].name));
    for (int d = 0; dims && d < in[i].rank; d++)
      if (dims[i][d] != x->in_dims[i][d])
        return exec_fail(x, FV_EXEC_INVALID, "input '%s': dim %d is %lld, but must be %lld",
                         exec_string(x->p, in[i].name), d, (long long)dims[i][d],
                         (long long)x->in_dims[i][d]);
  }
  const fv_prog_port *out = EXEC_ROWS(x->p, x->e->outputs, fv_prog_port);
  for (uint32_t i = 0; i < x->e->outputs.count; i++) {
    x->out_bytes[i] = port_bytes(x, &out[i], x->out_dims[i]);
    if (x->out_bytes[i] < 0)
      return exec_fail(x, FV_EXEC_INVALID, "output '%s' is too large",
                       exec_string(x->p, out[i].name));
  }
  return FV_EXEC_OK;
}

// Device memory for the ports, for devices that cannot use the caller's.
static int make_ports(fv_exec *x) {
  if (x->ops->host_memory)
    return FV_EXEC_OK;
  for (uint32_t i = 0; i < x->e->inputs.count; i++) {
    x->in_object[i] = x->ops->alloc(x->dev, x->in_bytes[i] + 64);
    if (!x->in_object[i])
      return exec_fail(x, FV_EXEC_OOM, "out of device memory");
  }
  for (uint32_t i = 0; i < x->e->outputs.count; i++) {
    x->out_object[i] = x->ops->alloc(x->dev, x->out_bytes[i] + 64);
    if (!x->out_object[i])
      return exec_fail(x, FV_EXEC_OOM, "out of device memory");
  }
  return FV_EXEC_OK;
}

static int grow_arena(fv_exec *x, int64_t bytes) {
  if (bytes < 0)
    return exec_fail(x, FV_EXEC_INVALID, "the workspace is too large");
  if (x->arena && bytes <= x->arena_bytes)
    return FV_EXEC_OK;
  free_object(x, &x->arena, x->arena_bytes);
  x->arena_bytes = bytes > 64 ? bytes : 64;
  x->arena = x->ops->alloc(x->dev, x->arena_bytes);
  if (!x->arena)
    return exec_fail(x, FV_EXEC_OOM, "out of memory: the workspace needs %lld bytes",
                     (long long)bytes);
  return FV_EXEC_OK;
}

static int bind(fv_exec *x, uint32_t entry, const int64_t *const *dims, const int64_t *symbols) {
  int r = choose_entry(x, entry);
  if (r)
    return r;
  const uint32_t n = x->p->symbols.count;
  if ((r = solve_symbols(x, dims, symbols, x->slot)))
    return r;
  if (memcmp(x->bound, x->slot, sizeof *x->bound * n) == 0 && x->arena)
    return dims ? check_inputs(x, dims) : FV_EXEC_OK;
  for (uint32_t i = 0; i < n; i++)
    x->bound[i] = INT64_MIN;  // until all has gone well
  free_ports(x);
  if ((r = exec_instructions(x, 0, x->e->bind_end)) || (r = check_inputs(x, dims)) ||
      (r = make_states(x)) || (r = grow_arena(x, exec_plan(x))) || (r = make_ports(x)))
    return r;
  memcpy(x->bound, x->slot, sizeof *x->bound * n);
  return FV_EXEC_OK;
}

int fv_exec_bind(fv_exec *x, uint32_t entry, const int64_t *const *dims, const int64_t *symbols) {
  return bind(x, entry, dims, symbols);
}

int fv_exec_bind_symbols(fv_exec *x, uint32_t entry, const int64_t *symbols) {
  return bind(x, entry, NULL, symbols);
}

const int64_t *fv_exec_input_dims(const fv_exec *x, uint32_t input) {
  return x->in_dims[input];
}
const int64_t *fv_exec_output_dims(const fv_exec *x, uint32_t output) {
  return x->out_dims[output];
}
int64_t fv_exec_output_bytes(const fv_exec *x, uint32_t output) {
  return x->out_bytes[output];
}
int64_t fv_exec_workspace_bytes(const fv_exec *x) {
  return x->arena_bytes;
}

//===-- Run -----------------------------------------------------------------------===//

static void place_buffers(fv_exec *x, const void *const *in, void *const *out) {
  const fv_prog_buffer *b = EXEC_ROWS(x->p, x->e->buffers, fv_prog_buffer);
  const bool host = x->ops->host_memory;
  for (uint32_t i = 0; i < x->e->buffers.count; i++) {
    const uint32_t k = b[i].index;
    fv_memref m = {NULL, 0};
    switch (b[i].space) {
    case FV_SPACE_ARENA: m = (fv_memref){x->arena, x->start[i].offset}; break;
    case FV_SPACE_CONST: m = (fv_memref){x->constants, (int64_t)b[i].offset}; break;
    case FV_SPACE_INPUT:
      m.object = host ? (void *)(uintptr_t)in[k] : x->in_object[k];
      if (host && x->in_bytes[k] == 0)
        m.object = x->empty;
      break;
    case FV_SPACE_OUTPUT: m.object = host ? out[k] : x->out_object[k]; break;
    case FV_SPACE_STATE: m.object = x->state[k].object[0]; break;
    case FV_SPACE_STATE_NEXT: m.object = x->state[k].object[1]; break;
    default: break;
    }
    x->place[i] = m;
  }
}

static int transfer(fv_exec *x, const void *const *in, void *const *out, bool inputs) {
  if (x->ops->host_memory)
    return FV_EXEC_OK;
  const uint32_t n = inputs ? x->e->inputs.count : x->e->outputs.count;
  for (uint32_t i = 0; i < n; i++) {
    int32_t r = 0;
    if (inputs && x->in_bytes[i])
      r = x->ops->write(x->dev, (fv_memref){x->in_object[i], 0}, in[i], x->in_bytes[i]);
    else if (!inputs && x->out_bytes[i])
      r = x->ops->read(x->dev, out[i], (fv_memref){x->out_object[i], 0}, x->out_bytes[i]);
    if (r > 0 && (uint32_t)r <= x->p->sites.count)
      return exec_fail(x, FV_EXEC_FAILED, "%s",
                       exec_string(x->p, EXEC_ROWS(x->p, x->p->sites, uint32_t)[r - 1]));
    if (r)
      return exec_fail(x, FV_EXEC_FAILED, "%s", x->ops->error(x->dev));
  }
  return FV_EXEC_OK;
}

// A double-buffered state that the run will write in part keeps the rest.
static int prepare_states(fv_exec *x) {
  for (uint32_t i = 0; i < x->p->states.count; i++) {
    exec_state *s = &x->state[i];
    s->written = false;
    if (s->object[0] == s->object[1])
      continue;
    if (x->ops->copy(x->dev, (fv_memref){s->object[1], 0}, (fv_memref){s->object[0], 0},
                     s->bytes))
      return exec_fail(x, FV_EXEC_FAILED, "%s", x->ops->error(x->dev));
  }
  return FV_EXEC_OK;
}

static int commit(fv_exec *x) {
  const fv_prog_advance *a = EXEC_ROWS(x->p, x->e->advances, fv_prog_advance);
  const fv_prog_symbol *s = EXEC_ROWS(x->p, x->p->symbols, fv_prog_symbol);
  for (uint32_t i = 0; i < x->e->advances.count; i++) {
    const int64_t v = x->slot[a[i].slot];
    if (v > s[a[i].symbol].max || v < s[a[i].symbol].min)
      return exec_fail(x, FV_EXEC_FAILED, "state length '%s' would be %lld, beyond its range %lld",
                       exec_string(x->p, s[a[i].symbol].name), (long long)v,
                       (long long)s[a[i].symbol].max);
  }
  for (uint32_t i = 0; i < x->e->advances.count; i++)
    x->length[a[i].symbol] = x->slot[a[i].slot];
  for (uint32_t i = 0; i < x->p->states.count; i++) {
    exec_state *t = &x->state[i];
    if (!t->written)
      continue;
    void *o = t->object[0];
    t->object[0] = t->object[1];
    t->object[1] = o;
  }
  return FV_EXEC_OK;
}

int fv_exec_run(fv_exec *x, const void *const *in, void *const *out) {
  if (!x->e || !x->arena)
    return exec_fail(x, FV_EXEC_INVALID, "bind an entry before the run");
  // State lengths may have moved on since bind.
  const fv_prog_symbol *sym = EXEC_ROWS(x->p, x->p->symbols, fv_prog_symbol);
  for (uint32_t i = 0; i < x->p->symbols.count; i++)
    if (sym[i].kind == 1 && x->length[i] != x->bound[i])
      return exec_fail(x, FV_EXEC_INVALID, "the state has moved on: bind again before the run");
  place_buffers(x, in, out);
  int r;
  if ((r = prepare_states(x)) || (r = transfer(x, in, out, true)) ||
      (r = exec_instructions(x, x->e->bind_end, x->e->insts.count)) ||
      (r = transfer(x, in, out, false)))
    return r;
  const fv_prog_port *port = EXEC_ROWS(x->p, x->e->outputs, fv_prog_port);
  for (uint32_t i = 0; i < x->e->outputs.count; i++)
    for (int d = 0; d < port[i].rank; d++)
      x->out_dims[i][d] = x->slot[port[i].dim_slot[d]];
  return commit(x);
}
