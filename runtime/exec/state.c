// SPDX-License-Identifier: Apache-2.0
// States: made when their dims are known, kept between runs, and changed only by
// the commit that ends a run.
#include "runtime/exec/internal.h"

static const char *state_name(const fv_exec_ctx *c, uint32_t index) {
  return fv_exec_string(&c->image, c->image.state[index].name);
}

void ex_state_free(fv_exec_ctx *c, uint32_t index) {
  ex_state *s = &c->state[index];
  for (int i = 0; i < 2; i++)
    if (s->object[i])
      c->opt.ops->free(c->opt.dev, s->object[i], s->bytes);
  free(s->written);
  memset(s, 0, sizeof *s);
}

int32_t ex_state_zero(fv_exec_ctx *c, uint32_t index) {
  ex_state *s = &c->state[index];
  for (int i = 0; i < 2; i++)
    if (s->object[i] && c->opt.ops->zero(c->opt.dev, (fv_memref){s->object[i], 0}, s->bytes))
      return ex_device_failed(c, "zeroing a state");
  s->which = 0;
  s->fresh = true;
  return FV_MODEL_OK;
}

static int32_t allocate(fv_exec_ctx *c, uint32_t index, const int64_t *dim) {
  const fv_prog_state *p = &c->image.state[index];
  ex_state *s = &c->state[index];
  int64_t payload, bytes;
  if (!ex_bytes(dim, p->rank, fv_exec_dtype_size(p->dtype), c->opt.max_bytes, &payload))
    return ex_fail(c, FV_MODEL_ERR_LIMIT, "state '%s' is too large", state_name(c, index));
  const int64_t stride = fv_member_stride(payload);
  if (__builtin_mul_overflow(stride, (int64_t)p->members, &bytes) || bytes > c->opt.max_bytes)
    return ex_fail(c, FV_MODEL_ERR_LIMIT, "state '%s' is too large", state_name(c, index));
  ex_state_free(c, index);
  s->bytes = bytes ? bytes : FV_MEMBER_ALIGN;
  s->stride = stride;
  s->member_bytes = payload;
  memcpy(s->dim, dim, p->rank * sizeof *dim);
  s->written = calloc(p->members, 1);
  s->object[0] = c->opt.ops->alloc(c->opt.dev, s->bytes);
  if (p->double_buffered)
    s->object[1] = c->opt.ops->alloc(c->opt.dev, s->bytes);
  if (!s->written || !s->object[0] || (p->double_buffered && !s->object[1])) {
    ex_state_free(c, index);
    return ex_fail(c, FV_MODEL_ERR_OOM, "out of memory for state '%s' of %lld bytes",
                   state_name(c, index), (long long)bytes);
  }
  const int32_t status = ex_state_zero(c, index);
  if (status != FV_MODEL_OK)
    ex_state_free(c, index);
  else
    s->made = true;
  c->epoch++;  // other entries have to look at it again
  return status;
}

int32_t ex_state_make(fv_exec_ctx *c, uint32_t index, const int64_t *slot, const bool *known) {
  const fv_prog_state *p = &c->image.state[index];
  ex_state *s = &c->state[index];
  int64_t dim[FV_MAX_RANK];
  bool same = s->made;
  for (uint32_t d = 0; d < p->rank; d++) {
    const uint32_t y = p->dim[d].symbol;
    dim[d] = p->dim[d].value;
    if (y != FV_NO_SLOT) {
      // What a state was made with stands, where the entry does not say.
      if (!known[y] && !s->made)
        return ex_fail(c, FV_MODEL_ERR_DIM, "state '%s' needs the dim '%s', which is not known",
                       state_name(c, index), ex_symbol_name(c, y));
      dim[d] = known[y] ? slot[y] : s->dim[d];
    }
    same = same && dim[d] == s->dim[d];
    if (s->made && !s->fresh && dim[d] != s->dim[d])
      return ex_fail(c, FV_MODEL_ERR_DIM,
                     "state '%s' is in use with %s = %lld, not %lld: reset it first",
                     state_name(c, index), y != FV_NO_SLOT ? ex_symbol_name(c, y) : "a dim",
                     (long long)s->dim[d], (long long)dim[d]);
  }
  return same ? FV_MODEL_OK : allocate(c, index, dim);
}

int64_t ex_length_capacity(const fv_exec_ctx *c, uint32_t symbol) {
  int64_t capacity = c->image.symbol[symbol].max;
  for (uint32_t i = 0; i < c->image.head->states.count; i++) {
    const fv_prog_state *p = &c->image.state[i];
    if (p->length_symbol == symbol && p->length_dim && c->state[i].made &&
        c->state[i].dim[p->length_dim - 1] < capacity)
      capacity = c->state[i].dim[p->length_dim - 1];
  }
  return capacity;
}

//===-- Commit --------------------------------------------------------------===//

// What this run left unwritten of a double-buffered state moves along.
static int32_t carry_over(fv_exec_ctx *c, uint32_t index) {
  ex_state *s = &c->state[index];
  const fv_prog_state *p = &c->image.state[index];
  for (uint32_t m = 0; m < p->members; m++) {
    const int64_t at = (int64_t)m * s->stride;
    const fv_memref to = {s->object[1 - s->which], at}, from = {s->object[s->which], at};
    if (!s->written[m] && s->member_bytes &&
        c->opt.ops->copy(c->opt.dev, to, from, s->member_bytes))
      return ex_device_failed(c, "committing a state");
  }
  return FV_MODEL_OK;
}

static bool any_written(const fv_exec_ctx *c, uint32_t index) {
  const uint8_t *w = c->state[index].written;
  for (uint32_t m = 0; w && m < c->image.state[index].members; m++)
    if (w[m])
      return true;
  return false;
}

// The state that bounds a length, if one does.
static const fv_prog_state *narrowest(const fv_exec_ctx *c, uint32_t symbol, int64_t capacity) {
  for (uint32_t i = 0; i < c->image.head->states.count; i++) {
    const fv_prog_state *p = &c->image.state[i];
    if (p->length_symbol == symbol && p->length_dim && c->state[i].made &&
        c->state[i].dim[p->length_dim - 1] == capacity)
      return p;
  }
  return NULL;
}

int32_t ex_check_lengths(fv_exec_ctx *c, const ex_entry *e, bool at_bind) {
  for (uint32_t i = 0; i < e->prog->advances.count; i++) {
    const fv_prog_advance *a = &e->advance[i];
    const int64_t n = e->slot[a->slot], capacity = ex_length_capacity(c, a->symbol);
    if ((at_bind && !e->set_at_bind[a->slot]) || (n >= 0 && n <= capacity))
      continue;
    const fv_prog_state *full = narrowest(c, a->symbol, capacity);
    if (n < 0 || !full)
      return ex_fail(c, FV_MODEL_ERR_RUN, "'%s' would become %lld, but is 0 to %lld",
                     ex_symbol_name(c, a->symbol), (long long)n, (long long)capacity);
    return ex_fail(c, FV_MODEL_ERR_RUN,
                   "state '%s' is full: '%s' is %lld and would become %lld, but it has %lld rows",
                   fv_exec_string(&c->image, full->name), ex_symbol_name(c, a->symbol),
                   (long long)c->length[a->symbol], (long long)n, (long long)capacity);
  }
  return FV_MODEL_OK;
}

int32_t ex_commit(fv_exec_ctx *c, ex_entry *e) {
  const fv_program *p = c->image.head;
  const int32_t fits = ex_check_lengths(c, e, false);
  if (fits != FV_MODEL_OK)
    return fits;
  for (uint32_t i = 0; i < p->states.count; i++)
    if (any_written(c, i)) {
      const int32_t status = carry_over(c, i);
      if (status != FV_MODEL_OK)
        return status;
    }
  // Nothing fails from here on.
  for (uint32_t i = 0; i < p->states.count; i++)
    if (any_written(c, i)) {
      c->state[i].which = (uint8_t)(1 - c->state[i].which);
      c->state[i].fresh = false;
    }
  for (uint32_t i = 0; i < e->prog->buffers.count; i++)
    if (e->buffer[i].space == FV_SPACE_STATE)
      c->state[e->buffer[i].index].fresh = false;
  for (uint32_t i = 0; i < e->prog->advances.count; i++) {
    const fv_prog_advance *a = &e->advance[i];
    if (c->length[a->symbol] != e->slot[a->slot]) {
      c->length[a->symbol] = e->slot[a->slot];
      c->epoch++;
    }
  }
  return FV_MODEL_OK;
}

int32_t fv_exec_reset(fv_exec_ctx *c) {
  for (uint32_t i = 0; i < c->image.head->states.count; i++)
    if (c->state[i].made) {
      const int32_t status = ex_state_zero(c, i);
      if (status != FV_MODEL_OK)
        return status;
    }
  memset(c->length, 0, c->image.head->symbols.count * sizeof *c->length);
  c->epoch++;
  return FV_MODEL_OK;
}

int32_t fv_exec_state(const fv_exec_ctx *c, uint32_t index, fv_model_state *out) {
  if (index >= c->image.head->states.count)
    return FV_MODEL_ERR_ARG;
  const fv_prog_state *p = &c->image.state[index];
  *out = (fv_model_state){.name = state_name(c, index),
                          .dtype = p->dtype,
                          .rank = p->rank,
                          .members = p->members,
                          .length = -1,
                          .capacity = -1};
  if (p->length_symbol != FV_NO_SLOT) {
    out->length = c->length[p->length_symbol];
    out->capacity = ex_length_capacity(c, p->length_symbol);
  }
  return FV_MODEL_OK;
}

//===-- Save and load -------------------------------------------------------===//

enum { SAVE_MAGIC = 0x54535646, SAVE_VERSION = 1 };  // "FVST"

typedef struct save_head {
  uint32_t magic, version;
  uint64_t hash_lo, hash_hi;  // of the program
  uint64_t bytes;             // of the whole
  uint32_t symbols, states;
} save_head;  // then an i64 length per symbol, then the states

typedef struct save_state {
  uint64_t made;
  int64_t dim[FV_MAX_RANK];
  int64_t bytes;  // that follow: the current version of all members
} save_state;

static uint64_t saved_bytes(const fv_exec_ctx *c) {
  const fv_program *p = c->image.head;
  uint64_t n = sizeof(save_head) + (uint64_t)p->symbols.count * sizeof(int64_t);
  for (uint32_t i = 0; i < p->states.count; i++)
    n += sizeof(save_state) + (c->state[i].made ? (uint64_t)c->state[i].bytes : 0);
  return n;
}

int32_t fv_exec_save(fv_exec_ctx *c, void *data, uint64_t capacity, uint64_t *out_bytes) {
  const fv_program *p = c->image.head;
  const uint64_t bytes = saved_bytes(c);
  *out_bytes = bytes;
  if (!data)
    return FV_MODEL_OK;
  if (capacity < bytes)
    return ex_fail(c, FV_MODEL_ERR_ARG, "the states need %llu bytes, not %llu",
                   (unsigned long long)bytes, (unsigned long long)capacity);
  unsigned char *to = data;
  const save_head head = {SAVE_MAGIC, SAVE_VERSION,     p->hash_lo,     p->hash_hi,
                          bytes,      p->symbols.count, p->states.count};
  memcpy(to, &head, sizeof head);
  to += sizeof head;
  memcpy(to, c->length, p->symbols.count * sizeof *c->length);
  to += p->symbols.count * sizeof *c->length;
  for (uint32_t i = 0; i < p->states.count; i++) {
    const ex_state *s = &c->state[i];
    save_state row = {.made = s->made, .bytes = s->made ? s->bytes : 0};
    memcpy(row.dim, s->dim, sizeof row.dim);
    memcpy(to, &row, sizeof row);
    to += sizeof row;
    if (s->made && c->opt.ops->read(c->opt.dev, to, (fv_memref){s->object[s->which], 0}, s->bytes))
      return ex_device_failed(c, "saving a state");
    to += row.bytes;
  }
  return FV_MODEL_OK;
}

// Do the saved dims fit the state's own, and the bytes the dims?
static bool row_fits(const fv_exec_ctx *c, uint32_t index, const save_state *row, uint64_t left) {
  const fv_prog_state *p = &c->image.state[index];
  int64_t payload, bytes;
  if (row->made > 1 || (!row->made && row->bytes))
    return false;
  if (!row->made)
    return true;
  for (uint32_t d = 0; d < p->rank; d++) {
    const uint32_t y = p->dim[d].symbol;
    if (y == FV_NO_SLOT
            ? row->dim[d] != p->dim[d].value
            : row->dim[d] < c->image.symbol[y].min || row->dim[d] > c->image.symbol[y].max)
      return false;
  }
  if (!ex_bytes(row->dim, p->rank, fv_exec_dtype_size(p->dtype), c->opt.max_bytes, &payload) ||
      __builtin_mul_overflow(fv_member_stride(payload), (int64_t)p->members, &bytes))
    return false;
  return row->bytes == (bytes ? bytes : FV_MEMBER_ALIGN) && (uint64_t)row->bytes <= left;
}

static bool lengths_fit(const fv_exec_ctx *c, const unsigned char *length) {
  for (uint32_t i = 0; i < c->image.head->symbols.count; i++) {
    int64_t n;
    memcpy(&n, length + i * sizeof n, sizeof n);
    if (n < 0 || (n > 0 && (c->image.symbol[i].kind != 1 || n > c->image.symbol[i].max)))
      return false;
  }
  return true;
}

static bool saved_ok(const fv_exec_ctx *c, const unsigned char *data, uint64_t bytes) {
  const fv_program *p = c->image.head;
  save_head head;
  const uint64_t lengths = p->symbols.count * sizeof(int64_t);
  if (bytes < sizeof head + lengths)
    return false;
  memcpy(&head, data, sizeof head);
  if (head.magic != SAVE_MAGIC || head.version != SAVE_VERSION || head.hash_lo != p->hash_lo ||
      head.hash_hi != p->hash_hi || head.bytes != bytes || head.symbols != p->symbols.count ||
      head.states != p->states.count || !lengths_fit(c, data + sizeof head))
    return false;
  uint64_t at = sizeof head + lengths;
  for (uint32_t i = 0; i < p->states.count; i++) {
    save_state row;
    if (bytes - at < sizeof row)
      return false;
    memcpy(&row, data + at, sizeof row);
    at += sizeof row;
    if (!row_fits(c, i, &row, bytes - at))
      return false;
    at += (uint64_t)row.bytes;
  }
  return at == bytes;
}

// A failure half-way leaves the states reset.
static int32_t load_rows(fv_exec_ctx *c, const unsigned char *from) {
  const fv_program *p = c->image.head;
  const unsigned char *length = from + sizeof(save_head);
  const unsigned char *at = length + p->symbols.count * sizeof(int64_t);
  for (uint32_t i = 0; i < p->states.count; i++) {
    save_state row;
    memcpy(&row, at, sizeof row);
    at += sizeof row;
    if (!row.made) {
      ex_state_free(c, i);
      continue;
    }
    ex_state *s = &c->state[i];
    bool same = s->made;
    for (uint32_t d = 0; d < c->image.state[i].rank; d++)
      same = same && s->dim[d] == row.dim[d];
    const int32_t status = same ? FV_MODEL_OK : allocate(c, i, row.dim);
    if (status != FV_MODEL_OK)
      return status;
    if (c->opt.ops->write(c->opt.dev, (fv_memref){s->object[s->which], 0}, at, row.bytes))
      return ex_device_failed(c, "loading a state");
    s->fresh = false;
    at += row.bytes;
  }
  memcpy(c->length, length, p->symbols.count * sizeof *c->length);
  return FV_MODEL_OK;
}

int32_t fv_exec_load(fv_exec_ctx *c, const void *data, uint64_t bytes) {
  if (!data || !saved_ok(c, data, bytes))
    return ex_fail(c, FV_MODEL_ERR_ARG, "these are not saved states of this model");
  const int32_t status = load_rows(c, data);
  if (status != FV_MODEL_OK) {
    char text[sizeof c->error];
    memcpy(text, c->error, sizeof text);
    (void)fv_exec_reset(c);
    memcpy(c->error, text, sizeof text);
  }
  // States may have moved or gone: every entry looks at them again.
  for (uint32_t i = 0; i < c->image.head->entries.count; i++)
    c->entry[i].bound = false;
  c->epoch++;
  return status;
}
