// SPDX-License-Identifier: Apache-2.0
// Interprets kernel IR, one instruction after another, lane by lane. Plain
// rather than fast: it is the meaning of the language, and runs the serial
// kernels of the reference backend. Each work-item runs from one barrier to the next
// before another does, and notes whom it could have met in memory.
#include <string.h>

#include "ir/kernel/kernel_build.h"

// Who used an element last. Times count barriers: at one time, items meet.
typedef struct use {
  uint64_t written, read;
  uint32_t writer, reader;
  bool readers;  // others than that one, too, at that time
} use;

typedef struct machine {
  const fv_kernel_code *k;
  fv_scalar **value;     // of each instruction: its lanes, of this work-item
  uint32_t *jump;        // FOR, IF: its ELSE or END; ELSE: its END; END: its head
  unsigned char **base;  // of each buffer
  int64_t *bytes;        // of each buffer, INT64_MAX: unknown
  const int64_t *scalar;
  int64_t block;
  fv_scalar ***values;  // `value` of each work-item
  uint32_t item;
  uint64_t time;
  use **used;      // of each buffer that items write: its elements; NULL: nobody looks
  int32_t failed;  // 1 + site, or FV_K_OUTSIDE and so on
} machine;

static void note_use(machine *m, use *u, bool writes) {
  const uint32_t me = m->item;
  const bool was_written = u->written == m->time && u->writer != me;
  const bool was_read = u->read == m->time && (u->readers || u->reader != me);
  if (was_written || (writes && was_read))
    m->failed = FV_K_RACE;
  if (writes) {
    u->written = m->time;
    u->writer = me;
  } else {
    u->readers = was_read;
    u->reader = me;
    u->read = m->time;
  }
}

// NULL, and a failure, if it is not in the buffer.
static unsigned char *element(machine *m, const fv_kinst *in, int64_t index) {
  const int64_t size = fv_dtype_size((fv_dtype)in->dtype), bytes = m->bytes[in->buf];
  if (bytes != INT64_MAX && (index < 0 || index >= bytes / size)) {
    m->failed = FV_K_OUTSIDE;
    return NULL;
  }
  if (m->used && m->used[in->buf])
    note_use(m, &m->used[in->buf][index], in->op == FV_K_STORE || in->op == FV_K_SCATTER);
  return m->base[in->buf] + index * size;
}

//===-- Values ----------------------------------------------------------------===//

static void run_op(const machine *m, const fv_kinst *in, fv_scalar *out) {
  const fv_scalar none = {0};
  const uint32_t typed = in->xop == FV_X_SELECT ? in->b : in->a;
  const fv_dtype t = (fv_dtype)m->k->inst[typed].dtype;
  for (int i = 0; i < in->lanes; i++) {
    const fv_scalar v[3] = {m->value[in->a][i], in->b == FV_K_NONE ? none : m->value[in->b][i],
                            in->c == FV_K_NONE ? none : m->value[in->c][i]};
    out[i] = fv__k_eval((fv_scalar_op)in->xop, t, (fv_dtype)in->dtype, v);
  }
}

static void run_convert(const machine *m, const fv_kinst *in, fv_scalar *out) {
  const fv_scalar_op op = in->op == FV_K_CAST ? FV_X_CAST : FV_X_BITCAST;
  const fv_dtype t = (fv_dtype)m->k->inst[in->a].dtype;
  for (int i = 0; i < in->lanes; i++) {
    const fv_scalar v[3] = {m->value[in->a][i], {0}, {0}};
    out[i] = fv__k_eval(op, t, (fv_dtype)in->dtype, v);
  }
}

static void run_reduce(const machine *m, const fv_kinst *in, fv_scalar *out) {
  const fv_dtype t = (fv_dtype)in->dtype;
  fv_scalar part[256];
  int n = m->k->inst[in->a].lanes;
  memcpy(part, m->value[in->a], sizeof *part * (size_t)n);
  for (n /= 2; n >= 1; n /= 2)
    for (int i = 0; i < n; i++) {
      const fv_scalar v[3] = {part[i], part[i + n], {0}};
      part[i] = fv__k_eval((fv_scalar_op)in->xop, t, t, v);
    }
  *out = part[0];
}

static void run_load(machine *m, const fv_kinst *in, fv_scalar *out) {
  const fv_dtype t = (fv_dtype)in->dtype;
  const bool each = in->op == FV_K_GATHER;
  const int64_t count = !each && in->b != FV_K_NONE ? m->value[in->b][0].i : in->lanes;
  for (int i = 0; i < in->lanes; i++) {
    const bool on = each ? in->b == FV_K_NONE || m->value[in->b][i].i : i < count;
    const int64_t at = each ? m->value[in->a][i].i : m->value[in->a][0].i + i;
    const unsigned char *p = on ? element(m, in, at) : NULL;
    out[i] = p ? fv_scalar_load(t, p) : (fv_scalar){0};
  }
}

static void run_store(machine *m, const fv_kinst *in) {
  const fv_dtype t = (fv_dtype)in->dtype;
  const bool each = in->op == FV_K_SCATTER;
  const int64_t count = !each && in->c != FV_K_NONE ? m->value[in->c][0].i : in->lanes;
  for (int i = 0; i < in->lanes; i++) {
    const bool on = each ? in->c == FV_K_NONE || m->value[in->c][i].i : i < count;
    const int64_t at = each ? m->value[in->a][i].i : m->value[in->a][0].i + i;
    unsigned char *p = on ? element(m, in, at) : NULL;
    if (p)
      fv_scalar_store(t, p, m->value[in->b][i]);
  }
}

static void run_value(machine *m, const fv_kinst *in, fv_scalar *out) {
  const int lanes = in->lanes;
  switch ((fv_kop)in->op) {
  case FV_K_SCALAR: out->i = m->scalar[in->imm.i]; break;
  case FV_K_BLOCK: out->i = m->block; break;
  case FV_K_ITEM: out->i = m->item; break;
  case FV_K_OP: run_op(m, in, out); break;
  case FV_K_CAST:
  case FV_K_BITCAST: run_convert(m, in, out); break;
  case FV_K_SPLAT:
    for (int i = 0; i < lanes; i++)
      out[i] = m->value[in->a][0];
    break;
  case FV_K_RAMP:
    for (int i = 0; i < lanes; i++)
      out[i].i = (int64_t)((uint64_t)m->value[in->a][0].i + (uint64_t)i * (uint64_t)in->imm.i);
    break;
  case FV_K_LOAD:
  case FV_K_GATHER: run_load(m, in, out); break;
  case FV_K_STORE:
  case FV_K_SCATTER: run_store(m, in); break;
  case FV_K_REDUCE: run_reduce(m, in, out); break;
  case FV_K_EXTRACT: *out = m->value[in->a][in->imm.i]; break;
  case FV_K_VAR:
  case FV_K_GET: memcpy(out, m->value[in->a], sizeof *out * (size_t)lanes); break;
  case FV_K_SET: memcpy(m->value[in->a], m->value[in->b], sizeof *out * (size_t)lanes); break;
  default: break;
  }
}

//===-- Control ---------------------------------------------------------------===//

// Runs instruction i; returns the number of the next.
static uint32_t step(machine *m, uint32_t i) {
  const fv_kinst *in = &m->k->inst[i];
  fv_scalar *out = m->value[i];
  switch (in->op) {
  case FV_K_FOR:
    out->i = m->value[in->a]->i;
    return out->i < m->value[in->b]->i ? i + 1 : m->jump[i] + 1;
  case FV_K_IF: return m->value[in->a]->i ? i + 1 : m->jump[i] + 1;
  case FV_K_ELSE: return m->jump[i] + 1;  // reached from the taken branch
  case FV_K_END: {
    const fv_kinst *head = &m->k->inst[m->jump[i]];
    if (head->op != FV_K_FOR)
      return i + 1;
    fv_scalar *index = m->value[m->jump[i]];
    // No wrap-around: the bound is compared before the step is added.
    if (m->value[head->b]->i - index->i <= head->imm.i)
      return i + 1;
    index->i += head->imm.i;
    return m->jump[i] + 1;
  }
  case FV_K_CHECK:
    if (!m->value[in->a]->i)
      m->failed = (int32_t)(1 + in->imm.i);
    return i + 1;
  default: run_value(m, in, out); return i + 1;
  }
}

static void match_scopes(machine *m, fv_arena *ar) {
  const fv_kernel_code *k = m->k;
  m->jump = FV_NEW_N(ar, uint32_t, k->n_inst);
  uint32_t *open = FV_NEW_N(ar, uint32_t, k->n_inst);
  uint32_t depth = 0;
  for (uint32_t i = 0; i < k->n_inst; i++) {
    const uint8_t op = k->inst[i].op;
    if (op == FV_K_ELSE || op == FV_K_END) {
      const uint32_t head = open[--depth];
      m->jump[head] = i;
      m->jump[i] = head;
    }
    if (op == FV_K_FOR || op == FV_K_IF || op == FV_K_ELSE)
      open[depth++] = i;
  }
}

// Scratch buffers lie behind each other: one ends where the next begins.
static int64_t scratch_room(const machine *m, uint32_t buf, int64_t all) {
  const fv_kernel_code *k = m->k;
  const int64_t from = m->scalar[k->buffer[buf].offset_scalar];
  int64_t end = all;
  for (uint32_t i = k->n_global; i < k->n_buffer; i++) {
    const int64_t at = m->scalar[k->buffer[i].offset_scalar];
    end = at > from && at < end ? at : end;
  }
  return end - from;
}

static void place_buffers(machine *m, fv_arena *ar, const fv_kmemory *memory) {
  const fv_kernel_code *k = m->k;
  m->base = FV_NEW_N(ar, unsigned char *, k->n_buffer);
  m->bytes = FV_NEW_N(ar, int64_t, k->n_buffer);
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    const bool global = i < k->n_global;
    m->base[i] = global ? memory->buf[i]
                        : (unsigned char *)memory->scratch + m->scalar[k->buffer[i].offset_scalar];
    m->bytes[i] = !memory->bytes ? INT64_MAX
                  : global       ? memory->bytes[i]
                                 : scratch_room(m, i, memory->scratch_bytes);
  }
}

static void watch_uses(machine *m, fv_arena *ar) {
  const fv_kernel_code *k = m->k;
  if (k->n_item == 1)
    return;
  m->used = FV_NEW_N(ar, use *, k->n_buffer);
  for (uint32_t i = 0; i < k->n_buffer; i++)
    if (k->buffer[i].written && m->bytes[i] != INT64_MAX)
      m->used[i] = FV_NEW_N(ar, use, m->bytes[i] / fv_dtype_size((fv_dtype)k->buffer[i].dtype));
}

static fv_scalar **make_values(const fv_kernel_code *k, fv_arena *ar) {
  size_t lanes = 0;
  for (uint32_t i = 0; i < k->n_inst; i++)
    lanes += k->inst[i].lanes;
  fv_scalar **value = FV_NEW_N(ar, fv_scalar *, k->n_inst);
  fv_scalar *next = FV_NEW_N(ar, fv_scalar, lanes);
  for (uint32_t i = 0; i < k->n_inst; i++) {
    const fv_kinst *in = &k->inst[i];
    value[i] = next;
    next += in->lanes;
    if (in->op == FV_K_CONST)
      for (int j = 0; j < in->lanes; j++)
        value[i][j].i = in->imm.i;  // either member: equal sizes
  }
  return value;
}

static void prepare(machine *m, fv_arena *ar, const fv_kmemory *memory) {
  const fv_kernel_code *k = m->k;
  m->values = FV_NEW_N(ar, fv_scalar **, k->n_item);
  for (uint32_t i = 0; i < k->n_item; i++)
    m->values[i] = make_values(k, ar);
  place_buffers(m, ar, memory);
  watch_uses(m, ar);
  match_scopes(m, ar);
}

// Runs this work-item from instruction i to the barrier that it comes to, or to the end.
static uint32_t run_to_barrier(machine *m, uint32_t i) {
  m->value = m->values[m->item];
  while (i < m->k->n_inst && m->k->inst[i].op != FV_K_BARRIER && !m->failed)
    i = step(m, i);
  return i;
}

static void run_block(machine *m) {
  const fv_kernel_code *k = m->k;
  for (uint32_t from = 0; from < k->n_inst && !m->failed;) {
    uint32_t to = 0;
    m->time++;
    for (m->item = 0; m->item < k->n_item && !m->failed; m->item++) {
      const uint32_t at = run_to_barrier(m, from);
      if (m->item > 0 && at != to && !m->failed)
        m->failed = FV_K_APART;
      to = at;
    }
    from = to + 1;
  }
}

int32_t fv_kernel_interpret_in(const fv_kernel_code *k, fv_arena *ar, const fv_kmemory *memory,
                               const int64_t *scalar, int64_t begin, int64_t end) {
  machine *m = FV_NEW(ar, machine);
  m->k = k;
  m->scalar = scalar;
  prepare(m, ar, memory);
  for (m->block = begin; m->block < end && !m->failed; m->block++)
    run_block(m);
  return m->failed;
}

int32_t fv_kernel_interpret(const fv_kernel_code *k, fv_arena *ar, void *const *buf,
                            const int64_t *scalar, void *scratch, int64_t begin, int64_t end) {
  const fv_kmemory memory = {.buf = buf, .scratch = scratch};
  return fv_kernel_interpret_in(k, ar, &memory, scalar, begin, end);
}
