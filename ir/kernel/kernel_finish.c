// SPDX-License-Identifier: Apache-2.0
// Finishing a kernel: expands the transcendental primitives, drops what nothing
// uses, numbers what is left (entry values first), lays out the group scratch.
#include <string.h>

#include "base/hash.h"
#include "ir/kernel/kernel_build.h"

//===-- Unused instructions ---------------------------------------------------===//

typedef struct sweep {
  fv_kb *kb;
  uint8_t *live;
  struct block {     // open structures
    uint32_t end;    // its END
    uint32_t other;  // its ELSE or FV_K_NONE
    bool live;       // something in it stays
  } * block;
  size_t n_block, cap_block;
  bool changed;
} sweep;

static void use(sweep *s, fv_kv v) {
  if (v != FV_K_NONE && !s->live[v]) {
    s->live[v] = 1;
    // A register that turns out to be read keeps SETs that the walk has passed.
    s->changed |= s->kb->inst[v].op == FV_K_VAR;
  }
}

static bool has_effect(const sweep *s, const fv_kinst *in) {
  switch (in->op) {
  case FV_K_STORE:
  case FV_K_SCATTER:
  case FV_K_CHECK:
  case FV_K_PREFETCH:
  case FV_K_BARRIER: return true;
  case FV_K_SET: return s->live[in->a] != 0;
  default: return false;
  }
}

// Leaves the structure on top at its head, instruction i.
static void sweep_head(sweep *s, uint32_t i) {
  const struct block b = s->block[--s->n_block];
  const fv_kinst *in = &s->kb->inst[i];
  if (!b.live)
    return;
  s->live[i] = s->live[b.end] = 1;
  if (b.other != FV_K_NONE)
    s->live[b.other] = 1;
  use(s, in->a);
  use(s, in->b);
  if (s->n_block)
    s->block[s->n_block - 1].live = true;
}

static void sweep_inst(sweep *s, uint32_t i) {
  const fv_kinst *in = &s->kb->inst[i];
  if (in->reserved2 & KB_DEAD)
    return;
  switch (in->op) {
  case FV_K_END: {
    const struct block b = {.end = i, .other = FV_K_NONE};
    FV_PUSH(s->kb->arena, s->block, s->n_block, s->cap_block, b);
    return;
  }
  case FV_K_ELSE: s->block[s->n_block - 1].other = i; return;
  case FV_K_FOR:
  case FV_K_IF: sweep_head(s, i); return;
  default: break;
  }
  if (has_effect(s, in)) {
    s->live[i] = 1;
    if (s->n_block)
      s->block[s->n_block - 1].live = true;
  }
  if (s->live[i]) {
    use(s, in->a);
    use(s, in->b);
    use(s, in->c);
  }
}

// One backward walk finds all but SETs of registers that are read earlier
// in a loop; so it is repeated until no further register turns out to be read.
uint8_t *fv__kb_live(fv_kb *kb) {
  sweep s = {.kb = kb, .live = FV_NEW_N(kb->arena, uint8_t, kb->n)};
  do {
    s.changed = false;
    s.n_block = 0;
    for (size_t i = kb->n; i-- > 0;)
      sweep_inst(&s, (uint32_t)i);
  } while (s.changed);
  return s.live;
}

//===-- Expansion -------------------------------------------------------------===//

static fv_kv mapped(const fv_kv *map, fv_kv v) {
  return v == FV_K_NONE ? v : map[v];
}

fv_kv fv__kb_replay(fv_kb *kb, const fv_kinst *in, fv_kv a, fv_kv b, fv_kv c) {
  switch ((fv_kop)in->op) {
  case FV_K_CONST:
  case FV_K_SCALAR:
  case FV_K_BLOCK:
  case FV_K_ITEM: {
    fv_kinst made = *in;
    made.reserved2 = 0;
    return fv__kb_pure(kb, &made);
  }
  case FV_K_OP:
    return fv__k_is_math(in) ? fv__kb_math(kb, (fv_scalar_op)in->xop, a, b)
                             : fv_kb_op(kb, (fv_scalar_op)in->xop, a, b, c);
  case FV_K_CAST: return fv_kb_cast(kb, (fv_dtype)in->dtype, a);
  case FV_K_BITCAST: return fv_kb_bitcast(kb, (fv_dtype)in->dtype, a);
  case FV_K_SPLAT: return fv_kb_splat(kb, a, in->lanes);
  case FV_K_RAMP: return fv_kb_ramp(kb, a, in->imm.i, in->lanes);
  case FV_K_LOAD: return fv_kb_load(kb, in->buf, a, in->lanes, b);
  case FV_K_GATHER: return fv_kb_gather(kb, in->buf, a, b);
  case FV_K_STORE: fv_kb_store(kb, in->buf, a, b, c); break;
  case FV_K_SCATTER: fv_kb_scatter(kb, in->buf, a, b, c); break;
  case FV_K_PREFETCH: fv_kb_prefetch(kb, in->buf, a); break;
  case FV_K_REDUCE: return fv_kb_reduce(kb, (fv_scalar_op)in->xop, a);
  case FV_K_EXTRACT: return fv_kb_extract(kb, a, (int)in->imm.i);
  case FV_K_VAR: return fv_kb_var(kb, a);
  case FV_K_GET: return fv_kb_get(kb, a);
  case FV_K_SET: fv_kb_set(kb, a, b); break;
  case FV_K_FOR: return fv_kb_for(kb, a, b, in->imm.i);
  case FV_K_IF: fv_kb_if(kb, a); break;
  case FV_K_ELSE: fv_kb_else(kb); break;
  case FV_K_END: fv_kb_end(kb); break;
  case FV_K_CHECK: fv_kb_check(kb, a, kb->site[in->imm.i].text, kb->site[in->imm.i].span); break;
  case FV_K_BARRIER: fv_kb_barrier(kb); break;
  case FV_K_COUNT: break;
  }
  return FV_K_NONE;
}

fv_kb *fv__kb_successor(fv_kb *kb) {
  fv_kb *to = fv_kb_create(kb->arena, kb->pool, kb->family);
  to->buffer = kb->buffer;
  to->n_buffer = to->cap_buffer = kb->n_buffer;
  to->clock = kb->clock;  // epochs go on
  to->scalar = kb->scalar;
  to->n_scalar = kb->n_scalar;
  to->cap_scalar = kb->cap_scalar;
  to->site = kb->site;
  to->n_site = kb->n_site;
  to->cap_site = kb->cap_site;
  to->n_item = kb->n_item;
  return to;
}

static fv_kb *expand_math(fv_kb *kb, const uint8_t *live) {
  bool any = false;
  for (size_t i = 0; i < kb->n && !any; i++)
    any = live[i] && fv__k_is_math(&kb->inst[i]);
  if (!any)
    return kb;
  fv_kb *to = fv__kb_successor(kb);
  fv_kv *map = FV_NEW_N(kb->arena, fv_kv, kb->n);
  for (size_t i = 0; i < kb->n; i++) {
    const fv_kinst *in = &kb->inst[i];
    map[i] = live[i]
                 ? fv__kb_replay(to, in, mapped(map, in->a), mapped(map, in->b), mapped(map, in->c))
                 : FV_K_NONE;
  }
  FV_CHECK(kb->arena, to->n_scope == 0);
  return to;
}

//===-- Numbering -------------------------------------------------------------===//

typedef struct numbering {
  fv_kb *kb;
  const uint8_t *live;
  fv_kinst *inst;
  fv_kv *map;
  uint32_t n;
  uint8_t buf[UINT8_MAX + 1];  // buffer of the builder -> of the code
} numbering;

static void number_inst(numbering *m, size_t i) {
  fv_kinst in = m->kb->inst[i];
  in.reserved2 = 0;
  in.a = mapped(m->map, in.a);
  in.b = mapped(m->map, in.b);
  in.c = mapped(m->map, in.c);
  if (fv__k_has_buffer((fv_kop)in.op))
    in.buf = m->buf[in.buf];
  m->map[i] = m->n;
  m->inst[m->n++] = in;
}

static void number_all(numbering *m) {
  fv_kb *kb = m->kb;
  for (int entry = 1; entry >= 0; entry--)
    for (size_t i = 0; i < kb->n; i++)
      if (m->live[i] && !(kb->inst[i].reserved2 & KB_ENTRY) == !entry)
        number_inst(m, i);
}

// Global buffers first; group buffers get offsets in the scratch.
static void place_buffers(numbering *m, fv_kernel *k) {
  fv_kb *kb = m->kb;
  fv_xpool *p = kb->pool;
  fv_kbuffer *out = FV_NEW_N(kb->arena, fv_kbuffer, kb->n_buffer);
  const fv_expr *used = fv_x_i64(p, 0);
  uint32_t n = 0;
  for (int scope = FV_SCOPE_GLOBAL; scope <= FV_SCOPE_GROUP; scope++) {
    for (size_t i = 0; i < kb->n_buffer; i++) {
      kb_buffer *b = &kb->buffer[i];
      if (b->code.scope != scope)
        continue;
      if (scope == FV_SCOPE_GROUP) {
        b->code.offset_scalar = (uint32_t)fv__kb_scalar(kb, used);
        const fv_expr *size = fv_x_i64(p, fv_dtype_size((fv_dtype)b->code.dtype));
        const fv_expr *bytes = fv_x_add(p, fv_x_mul(p, b->elements, size), fv_x_i64(p, 63));
        const fv_expr *unit = fv_x_i64(p, 64);
        used = fv_x_add(p, used, fv_x_mul(p, fv_x_floordiv(p, bytes, unit), unit));
      }
      m->buf[i] = (uint8_t)n;
      out[n++] = b->code;
    }
    if (scope == FV_SCOPE_GLOBAL)
      k->code.n_global = n;
  }
  k->code.buffer = out;
  k->code.n_buffer = n;
  k->scratch_bytes = n > k->code.n_global ? used : NULL;
}

fv_kernel *fv_kb_finish(fv_kb *kb, const char *name, const fv_expr *grid) {
  fv_arena *ar = kb->arena;
  FV_CHECK(ar, kb->n_scope == 0);
  kb = expand_math(kb, fv__kb_live(kb));
  fv_kernel *k = FV_NEW(ar, fv_kernel);
  numbering m = {.kb = kb,
                 .live = fv__kb_live(kb),
                 .inst = FV_NEW_N(ar, fv_kinst, kb->n),
                 .map = FV_NEW_N(ar, fv_kv, kb->n)};
  place_buffers(&m, k);
  number_all(&m);
  k->code.struct_size = sizeof k->code;
  k->code.name = fv_arena_strdup(ar, name);
  k->code.inst = m.inst;
  k->code.n_inst = m.n;
  k->code.n_scalar = (uint32_t)kb->n_scalar;
  k->code.n_item = kb->n_item;
  k->family = kb->family;
  k->grid = grid;
  k->scalar = kb->scalar;
  k->site = kb->site;
  k->n_site = (uint32_t)kb->n_site;
  uint32_t at;
  bool oom = false;
  const char *fault = fv__k_fault(&k->code, &at, &oom);
  FV_CHECK(ar, !oom);
  if (fault)
    fv_arena_bug(ar, fault);
  return k;
}

uint64_t fv_kernel_hash(const fv_kernel_code *k) {
  const uint32_t counts[] = {k->n_inst, k->n_buffer, k->n_global, k->n_scalar, k->n_item};
  uint64_t h = fv_hash64(counts, sizeof counts, 0);
  h = fv_hash64(k->buffer, sizeof *k->buffer * k->n_buffer, h);
  return fv_hash64(k->inst, sizeof *k->inst * k->n_inst, h);
}

bool fv_kernel_code_eq(const fv_kernel_code *a, const fv_kernel_code *b) {
  return a->n_inst == b->n_inst && a->n_buffer == b->n_buffer && a->n_global == b->n_global &&
         a->n_scalar == b->n_scalar && a->n_item == b->n_item &&
         memcmp(a->buffer, b->buffer, sizeof *a->buffer * a->n_buffer) == 0 &&
         memcmp(a->inst, b->inst, sizeof *a->inst * a->n_inst) == 0;
}
