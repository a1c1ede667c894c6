// SPDX-License-Identifier: Apache-2.0
// The kernel builder: appends instructions, each pure one once.
//
// An instruction may stand for an equal later one only where it dominates it:
// the table of known instructions follows the scopes. A GET or LOAD is equal
// to an earlier one when the register or buffer has the same epoch, and
// entering a loop starts a new epoch for all that its body may change.
#include <string.h>

#include "base/hash.h"
#include "ir/kernel/kernel_build.h"

fv_kb *fv_kb_create(fv_arena *ar, fv_xpool *pool, const char *family) {
  fv_kb *kb = FV_NEW(ar, fv_kb);
  kb->arena = ar;
  kb->pool = pool;
  kb->family = family;
  kb->n_item = 1;
  return kb;
}

//===-- Instructions --------------------------------------------------------===//

fv_kinst fv__kb_make(fv_kop op, fv_dtype t, int lanes) {
  fv_kinst in;
  memset(&in, 0, sizeof in);
  in.op = (uint8_t)op;
  in.dtype = (uint8_t)t;
  in.lanes = (uint16_t)lanes;
  in.a = in.b = in.c = FV_K_NONE;
  return in;
}

static fv_kv append(fv_kb *kb, const fv_kinst *in) {
  FV_CHECK(kb->arena, kb->n < FV_K_NONE - 1 && in->lanes > 0);
  FV_PUSH(kb->arena, kb->inst, kb->n, kb->cap, *in);
  FV_PUSH(kb->arena, kb->var_epoch, kb->n_epoch, kb->cap_epoch, 0);
  return (fv_kv)(kb->n - 1);
}

static void link_known(kb_table *t, size_t i) {
  uint32_t *head = &t->head[t->known[i].hash & (t->n_head - 1)];
  t->known[i].next = *head;
  *head = (uint32_t)i + 1;
}

static void remember(fv_kb *kb, kb_table *t, const fv_kinst *key, fv_kv value) {
  const struct kb_known e = {
      .key = *key, .value = value, .hash = (uint32_t)fv_hash64(key, sizeof *key, 0)};
  FV_PUSH(kb->arena, t->known, t->n, t->cap, e);
  if (t->n * 2 <= t->n_head) {
    link_known(t, t->n - 1);
    return;
  }
  t->n_head = t->n_head ? t->n_head * 4 : 256;
  t->head = FV_NEW_N(kb->arena, uint32_t, t->n_head);
  for (size_t i = 0; i < t->n; i++)  // oldest first: each chain stays newest first
    link_known(t, i);
}

static void forget(kb_table *t, size_t keep) {
  while (t->n > keep) {
    const struct kb_known *e = &t->known[--t->n];
    t->head[e->hash & (t->n_head - 1)] = e->next;
  }
}

static fv_kv find(const kb_table *t, const fv_kinst *key) {
  if (t->n_head == 0)
    return FV_K_NONE;
  const uint32_t hash = (uint32_t)fv_hash64(key, sizeof *key, 0);
  for (uint32_t i = t->head[hash & (t->n_head - 1)]; i; i = t->known[i - 1].next)
    if (t->known[i - 1].hash == hash && memcmp(&t->known[i - 1].key, key, sizeof *key) == 0)
      return t->known[i - 1].value;
  return FV_K_NONE;
}

// What the instruction is looked up as: reads carry the epochs they see in
// fields that they have no use for.
static fv_kinst stamped(const fv_kb *kb, const fv_kinst *in) {
  fv_kinst key = *in;
  if (in->op == FV_K_GET) {
    key.c = kb->var_epoch[in->a];
    key.reserved2 = kb->loop_epoch;
  } else if (in->op == FV_K_LOAD || in->op == FV_K_GATHER) {
    const kb_buffer *b = &kb->buffer[in->buf];
    key.c = b->epoch;
    key.reserved2 = b->code.written || b->code.aliases ? kb->loop_epoch : 0;
  }
  return key;
}

fv_kv fv__kb_pure(fv_kb *kb, const fv_kinst *in) {
  const bool entry =
      in->op == FV_K_CONST || in->op == FV_K_SCALAR || in->op == FV_K_BLOCK || in->op == FV_K_ITEM;
  kb_table *t = entry ? &kb->entry : &kb->body;
  const fv_kinst key = stamped(kb, in);
  const fv_kv known = find(t, &key);
  if (known != FV_K_NONE)
    return known;
  fv_kinst made = *in;
  made.reserved2 = entry ? KB_ENTRY : 0;
  const fv_kv v = append(kb, &made);
  remember(kb, t, &key, v);
  return v;
}

fv_dtype fv_kb_dtype(const fv_kb *kb, fv_kv v) {
  FV_CHECK(kb->arena, v < kb->n);
  return (fv_dtype)kb->inst[v].dtype;
}

int fv_kb_lanes(const fv_kb *kb, fv_kv v) {
  FV_CHECK(kb->arena, v < kb->n);
  return kb->inst[v].lanes;
}

//===-- Buffers -------------------------------------------------------------===//

static int add_buffer(fv_kb *kb, const kb_buffer *b) {
  FV_CHECK(kb->arena, kb->n_buffer < UINT8_MAX);
  FV_PUSH(kb->arena, kb->buffer, kb->n_buffer, kb->cap_buffer, *b);
  return (int)kb->n_buffer - 1;
}

int fv_kb_buffer(fv_kb *kb, fv_dtype storage, bool written) {
  const kb_buffer b = {.code = {.dtype = (uint8_t)storage,
                                .scope = FV_SCOPE_GLOBAL,
                                .written = written,
                                .offset_scalar = FV_K_NONE}};
  return add_buffer(kb, &b);
}

int fv_kb_scratch(fv_kb *kb, fv_dtype t, const fv_expr *elements) {
  const kb_buffer b = {.code = {.dtype = (uint8_t)t,
                                .scope = FV_SCOPE_GROUP,
                                .written = 1,
                                .offset_scalar = FV_K_NONE},
                       .elements = elements};
  return add_buffer(kb, &b);
}

fv_dtype fv_kb_buffer_dtype(const fv_kb *kb, int buf) {
  FV_CHECK(kb->arena, buf >= 0 && (size_t)buf < kb->n_buffer);
  return (fv_dtype)kb->buffer[buf].code.dtype;
}

// Loads already made may have been merged as if the buffer stood alone, so
// this comes before the first use.
void fv_kb_set_aliases(fv_kb *kb, int buf) {
  FV_CHECK(kb->arena, buf >= 0 && (size_t)buf < kb->n_buffer);
  FV_CHECK(kb->arena, !kb->buffer[buf].used || kb->buffer[buf].code.aliases);
  kb->buffer[buf].code.aliases = 1;
}

static kb_buffer *use_buffer(fv_kb *kb, int buf) {
  FV_CHECK(kb->arena, buf >= 0 && (size_t)buf < kb->n_buffer);
  kb->buffer[buf].used = true;
  return &kb->buffer[buf];
}

static void note_store(fv_kb *kb, kb_buffer *b) {
  FV_CHECK(kb->arena, b->code.written);
  kb->clock++;
  b->epoch = kb->clock;
  if (b->code.aliases)
    for (size_t i = 0; i < kb->n_buffer; i++)
      if (kb->buffer[i].code.aliases)
        kb->buffer[i].epoch = kb->clock;
}

//===-- Constants and parameters --------------------------------------------===//

fv_kv fv__kb_const(fv_kb *kb, fv_dtype t, int lanes, fv_scalar v) {
  fv_kinst in = fv__kb_make(FV_K_CONST, t, lanes);
  if (fv_dtype_is_float(t))
    in.imm.f = fv_round_to(t, v.f);
  else
    in.imm.i = fv__k_wrap(t, v.i);
  return fv__kb_pure(kb, &in);
}

fv_kv fv_kb_const_i(fv_kb *kb, fv_dtype t, int lanes, int64_t v) {
  FV_CHECK(kb->arena, !fv_dtype_is_float(t));
  return fv__kb_const(kb, t, lanes, (fv_scalar){.i = v});
}

fv_kv fv_kb_const_f(fv_kb *kb, fv_dtype t, int lanes, double v) {
  FV_CHECK(kb->arena, fv_dtype_is_float(t));
  return fv__kb_const(kb, t, lanes, (fv_scalar){.f = v});
}

fv_kv fv_kb_i64(fv_kb *kb, int64_t v) {
  return fv_kb_const_i(kb, FV_i64, 1, v);
}

bool fv_kb_const_value(const fv_kb *kb, fv_kv v, int64_t *out) {
  if (v == FV_K_NONE || kb->inst[v].op != FV_K_CONST || fv_dtype_is_float(fv_kb_dtype(kb, v)))
    return false;
  *out = kb->inst[v].imm.i;
  return true;
}

bool fv__kb_const_f(const fv_kb *kb, fv_kv v, double *out) {
  if (v == FV_K_NONE || kb->inst[v].op != FV_K_CONST || !fv_dtype_is_float(fv_kb_dtype(kb, v)))
    return false;
  *out = kb->inst[v].imm.f;
  return true;
}

fv_kv fv_kb_block(fv_kb *kb) {
  const fv_kinst in = fv__kb_make(FV_K_BLOCK, FV_i64, 1);
  return fv__kb_pure(kb, &in);
}

void fv_kb_set_items(fv_kb *kb, uint32_t n) {
  FV_CHECK(kb->arena, n > 0 && kb->n == 0);
  kb->n_item = n;
}

uint32_t fv_kb_items(const fv_kb *kb) {
  return kb->n_item;
}

fv_kv fv_kb_item(fv_kb *kb) {
  if (kb->n_item == 1)
    return fv_kb_i64(kb, 0);
  const fv_kinst in = fv__kb_make(FV_K_ITEM, FV_i64, 1);
  return fv__kb_pure(kb, &in);
}

int fv__kb_scalar(fv_kb *kb, const fv_expr *e) {
  for (size_t i = 0; i < kb->n_scalar; i++)
    if (kb->scalar[i] == e)
      return (int)i;
  FV_PUSH(kb->arena, kb->scalar, kb->n_scalar, kb->cap_scalar, e);
  return (int)kb->n_scalar - 1;
}

fv_kv fv_kb_host(fv_kb *kb, const fv_expr *e) {
  FV_CHECK(kb->arena, e->dtype == FV_i64 && e->kind != FV_E_INDEX && e->kind != FV_E_LOAD);
  int64_t v;
  if (fv_x_is_lit(e, &v))
    return fv_kb_i64(kb, v);
  fv_kinst in = fv__kb_make(FV_K_SCALAR, FV_i64, 1);
  in.imm.i = fv__kb_scalar(kb, e);
  return fv__kb_pure(kb, &in);
}

//===-- Memory --------------------------------------------------------------===//

static bool is_i64(const fv_kb *kb, fv_kv v, int lanes) {
  return v < kb->n && fv_kb_dtype(kb, v) == FV_i64 && fv_kb_lanes(kb, v) == lanes;
}

static fv_kv zero(fv_kb *kb, fv_dtype t, int lanes) {
  return fv__kb_const(kb, t, lanes, (fv_scalar){.i = 0});
}

fv_kv fv_kb_load(fv_kb *kb, int buf, fv_kv offset, int lanes, fv_kv count) {
  const fv_dtype t = (fv_dtype)use_buffer(kb, buf)->code.dtype;
  FV_CHECK(kb->arena, is_i64(kb, offset, 1) && (count == FV_K_NONE || is_i64(kb, count, 1)));
  int64_t n;
  if (fv_kb_const_value(kb, count, &n)) {
    if (n <= 0)
      return zero(kb, t, lanes);
    if (n >= lanes)
      count = FV_K_NONE;
  }
  fv_kinst in = fv__kb_make(FV_K_LOAD, t, lanes);
  in.buf = (uint8_t)buf;
  in.a = offset;
  in.b = count;
  return fv__kb_pure(kb, &in);
}

fv_kv fv_kb_gather(fv_kb *kb, int buf, fv_kv offsets, fv_kv mask) {
  const fv_dtype t = (fv_dtype)use_buffer(kb, buf)->code.dtype;
  const int lanes = fv_kb_lanes(kb, offsets);
  FV_CHECK(kb->arena, is_i64(kb, offsets, lanes));
  FV_CHECK(kb->arena, mask == FV_K_NONE || fv_kb_dtype(kb, mask) == FV_bool);
  int64_t on;
  if (fv_kb_const_value(kb, mask, &on)) {
    if (!on)
      return zero(kb, t, lanes);
    mask = FV_K_NONE;
  }
  if (mask == FV_K_NONE) {
    const fv_kv one = fv__kb_unsplat(kb, offsets);
    if (one != FV_K_NONE)
      return fv_kb_splat(kb, fv_kb_load(kb, buf, one, 1, FV_K_NONE), lanes);
    const fv_kinst at = *kb_at(kb, offsets);
    if (at.op == FV_K_RAMP && at.imm.i == 1)
      return fv_kb_load(kb, buf, at.a, lanes, FV_K_NONE);
  }
  fv_kinst in = fv__kb_make(FV_K_GATHER, t, lanes);
  in.buf = (uint8_t)buf;
  in.a = offsets;
  in.b = mask == FV_K_NONE ? mask : fv_kb_splat(kb, mask, lanes);
  return fv__kb_pure(kb, &in);
}

static void append_store(fv_kb *kb, fv_kop op, int buf, fv_kv at, fv_kv value, fv_kv guard) {
  fv_kinst in = fv__kb_make(op, fv_kb_dtype(kb, value), fv_kb_lanes(kb, value));
  in.buf = (uint8_t)buf;
  in.a = at;
  in.b = value;
  in.c = guard;
  append(kb, &in);
  note_store(kb, &kb->buffer[buf]);
}

void fv_kb_store(fv_kb *kb, int buf, fv_kv offset, fv_kv value, fv_kv count) {
  const fv_dtype t = (fv_dtype)use_buffer(kb, buf)->code.dtype;
  FV_CHECK(kb->arena, is_i64(kb, offset, 1) && fv_kb_dtype(kb, value) == t);
  FV_CHECK(kb->arena, count == FV_K_NONE || is_i64(kb, count, 1));
  int64_t n;
  if (fv_kb_const_value(kb, count, &n)) {
    if (n <= 0)
      return;
    if (n >= fv_kb_lanes(kb, value))
      count = FV_K_NONE;
  }
  append_store(kb, FV_K_STORE, buf, offset, value, count);
}

void fv_kb_scatter(fv_kb *kb, int buf, fv_kv offsets, fv_kv value, fv_kv mask) {
  const fv_dtype t = (fv_dtype)use_buffer(kb, buf)->code.dtype;
  const int lanes = fv_kb_lanes(kb, value);
  FV_CHECK(kb->arena, is_i64(kb, offsets, lanes) && fv_kb_dtype(kb, value) == t);
  FV_CHECK(kb->arena, mask == FV_K_NONE || fv_kb_dtype(kb, mask) == FV_bool);
  int64_t on;
  if (fv_kb_const_value(kb, mask, &on)) {
    if (!on)
      return;
    mask = FV_K_NONE;
  }
  const fv_kinst at = *kb_at(kb, offsets);
  if (mask == FV_K_NONE && at.op == FV_K_RAMP && at.imm.i == 1)
    append_store(kb, FV_K_STORE, buf, at.a, value, FV_K_NONE);
  else
    append_store(kb, FV_K_SCATTER, buf, offsets, value,
                 mask == FV_K_NONE ? mask : fv_kb_splat(kb, mask, lanes));
}

//===-- Registers -------------------------------------------------------------===//

// After VAR and SET the value is known: a GET in sight of it is that value.
static void remember_value(fv_kb *kb, fv_kv var, fv_kv value) {
  fv_kinst get = fv__kb_make(FV_K_GET, fv_kb_dtype(kb, var), fv_kb_lanes(kb, var));
  get.a = var;
  const fv_kinst key = stamped(kb, &get);
  remember(kb, &kb->body, &key, value);
}

fv_kv fv_kb_var(fv_kb *kb, fv_kv init) {
  fv_kinst in = fv__kb_make(FV_K_VAR, fv_kb_dtype(kb, init), fv_kb_lanes(kb, init));
  in.a = init;
  const fv_kv var = append(kb, &in);
  kb->var_epoch[var] = ++kb->clock;
  remember_value(kb, var, init);
  return var;
}

fv_kv fv_kb_get(fv_kb *kb, fv_kv var) {
  FV_CHECK(kb->arena, var < kb->n && kb_at(kb, var)->op == FV_K_VAR);
  fv_kinst in = fv__kb_make(FV_K_GET, fv_kb_dtype(kb, var), fv_kb_lanes(kb, var));
  in.a = var;
  return fv__kb_pure(kb, &in);
}

void fv_kb_set(fv_kb *kb, fv_kv var, fv_kv value) {
  FV_CHECK(kb->arena, var < kb->n && kb_at(kb, var)->op == FV_K_VAR);
  FV_CHECK(kb->arena, fv_kb_dtype(kb, var) == fv_kb_dtype(kb, value));
  fv_kinst in = fv__kb_make(FV_K_SET, fv_kb_dtype(kb, var), fv_kb_lanes(kb, var));
  in.a = var;
  in.b = fv_kb_splat(kb, value, in.lanes);
  append(kb, &in);
  kb->var_epoch[var] = ++kb->clock;
  remember_value(kb, var, in.b);
}

//===-- Structure -------------------------------------------------------------===//

static void open_scope(fv_kb *kb, kb_scope_kind kind, int taken) {
  const kb_scope s = {.kind = kind,
                      .taken = (int8_t)taken,
                      .start = kb->n,
                      .known = kb->body.n,
                      .outer_epoch = kb->loop_epoch};
  FV_PUSH(kb->arena, kb->scope, kb->n_scope, kb->cap_scope, s);
}

// What was built in a branch that is never taken goes; what was built in one
// that always is stays in sight.
static kb_scope close_scope(fv_kb *kb) {
  FV_CHECK(kb->arena, kb->n_scope > 0);
  const kb_scope s = kb->scope[--kb->n_scope];
  kb->loop_epoch = s.outer_epoch;
  if (s.taken != 1)
    forget(&kb->body, s.known);
  if (s.taken == 0)
    for (size_t i = s.start; i < kb->n; i++)
      if (!(kb->inst[i].reserved2 & KB_ENTRY))
        kb->inst[i].reserved2 |= KB_DEAD;
  return s;
}

fv_kv fv_kb_for(fv_kb *kb, fv_kv lo, fv_kv hi, int64_t step) {
  FV_CHECK(kb->arena, is_i64(kb, lo, 1) && is_i64(kb, hi, 1) && step > 0);
  int64_t from, to;
  if (fv_kb_const_value(kb, lo, &from) && fv_kb_const_value(kb, hi, &to)) {
    const bool none = from >= to;
    if (none || (uint64_t)to - (uint64_t)from <= (uint64_t)step) {
      open_scope(kb, KB_FOR, none ? 0 : 1);
      return lo;
    }
  }
  fv_kinst in = fv__kb_make(FV_K_FOR, FV_i64, 1);
  in.a = lo;
  in.b = hi;
  in.imm.i = step;
  const fv_kv index = append(kb, &in);
  open_scope(kb, KB_FOR, -1);
  kb->loop_epoch = ++kb->clock;
  return index;
}

static void append_mark(fv_kb *kb, fv_kop op) {
  const fv_kinst in = fv__kb_make(op, FV_bool, 1);
  append(kb, &in);
}

void fv_kb_if(fv_kb *kb, fv_kv cond) {
  FV_CHECK(kb->arena, fv_kb_dtype(kb, cond) == FV_bool && fv_kb_lanes(kb, cond) == 1);
  int64_t on;
  if (fv_kb_const_value(kb, cond, &on)) {
    open_scope(kb, KB_IF, on ? 1 : 0);
    return;
  }
  fv_kinst in = fv__kb_make(FV_K_IF, FV_bool, 1);
  in.a = cond;
  append(kb, &in);
  open_scope(kb, KB_IF, -1);
}

void fv_kb_else(fv_kb *kb) {
  const kb_scope s = close_scope(kb);
  FV_CHECK(kb->arena, s.kind == KB_IF);
  if (s.taken < 0)
    append_mark(kb, FV_K_ELSE);
  open_scope(kb, KB_ELSE, s.taken < 0 ? -1 : !s.taken);
}

void fv_kb_end(fv_kb *kb) {
  const kb_scope s = close_scope(kb);
  if (s.taken < 0)
    append_mark(kb, FV_K_END);
}

void fv_kb_check(fv_kb *kb, fv_kv cond, const char *text, const fv_span *span) {
  FV_CHECK(kb->arena, fv_kb_dtype(kb, cond) == FV_bool && fv_kb_lanes(kb, cond) == 1);
  int64_t on;
  if (fv_kb_const_value(kb, cond, &on) && on)
    return;
  size_t site = 0;
  while (site < kb->n_site &&
         (kb->site[site].span != span || strcmp(kb->site[site].text, text) != 0))
    site++;
  if (site == kb->n_site) {
    const struct fv_ksite s = {.text = fv_arena_strdup(kb->arena, text), .span = span};
    FV_PUSH(kb->arena, kb->site, kb->n_site, kb->cap_site, s);
  }
  fv_kinst in = fv__kb_make(FV_K_CHECK, FV_bool, 1);
  in.a = cond;
  in.imm.i = (int64_t)site;
  append(kb, &in);
}

void fv_kb_prefetch(fv_kb *kb, int buf, fv_kv offset) {
  fv_kinst in = fv__kb_make(FV_K_PREFETCH, (fv_dtype)use_buffer(kb, buf)->code.dtype, 1);
  FV_CHECK(kb->arena, is_i64(kb, offset, 1));
  in.buf = (uint8_t)buf;
  in.a = offset;
  append(kb, &in);
}

void fv_kb_barrier(fv_kb *kb) {
  append_mark(kb, FV_K_BARRIER);
  kb->clock++;
  for (size_t i = 0; i < kb->n_buffer; i++)
    if (kb->buffer[i].code.scope == FV_SCOPE_GROUP)
      kb->buffer[i].epoch = kb->clock;
}
