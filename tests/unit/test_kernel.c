// SPDX-License-Identifier: Apache-2.0
// The kernel builder: what it folds and merges, and that no folding, merging
// or sweeping changes what a kernel computes: random programs with loops,
// branches, registers and stores are run plainly and as finished kernels.
#include "ir/kernel/kernel.h"

#include <math.h>

#include "unit.h"

//===-- Frame ---------------------------------------------------------------------===//

typedef struct frame {
  fv_arena *ar;
  fv_xpool *pool;
} frame;

typedef void (*body_fn)(frame *f);
typedef struct call {
  frame f;
  body_fn body;
} call;

static fv_status run_body(void *user) {
  call *c = user;
  c->f.pool = fv_xpool_create(c->f.ar);
  c->body(&c->f);
  return FV_OK;
}

static fv_status guarded(body_fn body, const char **bug) {
  call c = {.f = {.ar = fv_arena_create(NULL)}, .body = body};
  assert_non_null(c.f.ar);
  const fv_status s = fv_arena_protect(c.f.ar, run_body, &c, bug);
  fv_arena_destroy(c.f.ar);
  return s;
}

static void run(body_fn body) {
  const char *bug = NULL;
  const fv_status s = guarded(body, &bug);
  if (s != FV_OK)
    fail_msg("status %d: %s", (int)s, bug ? bug : "");
}

static fv_kv op2(fv_kb *kb, fv_scalar_op op, fv_kv a, fv_kv b) {
  return fv_kb_op(kb, op, a, b, FV_K_NONE);
}
static fv_kv op1(fv_kb *kb, fv_scalar_op op, fv_kv a) {
  return fv_kb_op(kb, op, a, FV_K_NONE, FV_K_NONE);
}

//===-- Folding -------------------------------------------------------------------===//

static void folds(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int b = fv_kb_buffer(kb, FV_i64, false);
  const fv_kv x = fv_kb_load(kb, b, fv_kb_block(kb), 1, FV_K_NONE);
  const fv_kv zero = fv_kb_i64(kb, 0), one = fv_kb_i64(kb, 1), two = fv_kb_i64(kb, 2);
  assert_int_equal(fv_kb_add(kb, x, zero), x);
  assert_int_equal(fv_kb_add(kb, zero, x), x);
  assert_int_equal(fv_kb_mul(kb, x, one), x);
  assert_int_equal(fv_kb_mul(kb, zero, x), zero);
  assert_int_equal(fv_kb_sub(kb, x, x), zero);
  assert_int_equal(fv_kb_add(kb, fv_kb_add(kb, x, one), one), fv_kb_add(kb, two, x));
  assert_int_equal(fv_kb_sub(kb, fv_kb_add(kb, x, two), two), x);
  assert_int_equal(op2(kb, FV_X_FLOORDIV, x, one), x);
  assert_int_equal(op2(kb, FV_X_MOD, x, one), zero);
  assert_int_equal(op2(kb, FV_X_FLOORDIV, x, two), op2(kb, FV_X_SHR, x, one));
  assert_int_equal(op2(kb, FV_X_LE, x, x), fv_kb_const_i(kb, FV_bool, 1, 1));
  int64_t v;
  assert_true(fv_kb_const_value(kb, op2(kb, FV_X_FLOORDIV, fv_kb_i64(kb, -7), two), &v));
  assert_int_equal(v, -4);
  // lanes
  const fv_kv ramp = fv_kb_ramp(kb, x, 1, 8);
  assert_int_equal(fv_kb_add(kb, ramp, fv_kb_splat(kb, two, 8)),
                   fv_kb_ramp(kb, fv_kb_add(kb, x, two), 1, 8));
  assert_int_equal(fv_kb_extract(kb, ramp, 2), fv_kb_add(kb, x, two));
  assert_int_equal(fv_kb_gather(kb, b, ramp, FV_K_NONE), fv_kb_load(kb, b, x, 8, FV_K_NONE));
  const fv_kv sx = fv_kb_splat(kb, x, 8);
  assert_int_equal(fv_kb_mul(kb, sx, sx), fv_kb_splat(kb, fv_kb_mul(kb, x, x), 8));
  // floats: only what is true for all of them
  const int fb = fv_kb_buffer(kb, FV_f32, false);
  const fv_kv y = fv_kb_load(kb, fb, x, 1, FV_K_NONE);
  assert_int_not_equal(fv_kb_add(kb, y, fv_kb_const_f(kb, FV_f32, 1, 0)), y);
  assert_int_equal(fv_kb_add(kb, y, fv_kb_const_f(kb, FV_f32, 1, -0.0)), y);
  assert_int_equal(fv_kb_mul(kb, y, fv_kb_const_f(kb, FV_f32, 1, 1)), y);
  assert_int_not_equal(fv_kb_sub(kb, y, y), fv_kb_const_f(kb, FV_f32, 1, 0));
  const fv_kv c = op2(kb, FV_X_LT, x, two);
  assert_int_equal(fv_kb_op(kb, FV_X_SELECT, c, y, y), y);
  assert_int_equal(op1(kb, FV_X_NOT, op1(kb, FV_X_NOT, c)), c);
  // a storage float that was only widened is itself again
  const int hb = fv_kb_buffer(kb, FV_f16, false);
  const fv_kv h = fv_kb_load(kb, hb, x, 1, FV_K_NONE);
  assert_int_equal(fv_kb_cast(kb, FV_f16, fv_kb_cast(kb, FV_f32, h)), h);
}

static void merges(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int in = fv_kb_buffer(kb, FV_f32, false), out = fv_kb_buffer(kb, FV_f32, true);
  const fv_kv i = fv_kb_block(kb);
  const fv_kv a = fv_kb_load(kb, in, i, 1, FV_K_NONE);
  const fv_kv b = fv_kb_load(kb, out, i, 1, FV_K_NONE);
  assert_int_equal(fv_kb_load(kb, in, i, 1, FV_K_NONE), a);
  assert_int_equal(fv_kb_load(kb, out, i, 1, FV_K_NONE), b);
  fv_kb_store(kb, out, i, a, FV_K_NONE);
  assert_int_equal(fv_kb_load(kb, in, i, 1, FV_K_NONE), a);
  assert_int_not_equal(fv_kb_load(kb, out, i, 1, FV_K_NONE), b);
  // registers
  const fv_kv var = fv_kb_var(kb, a);
  assert_int_equal(fv_kb_get(kb, var), a);
  const fv_kv n = fv_kb_load(kb, fv_kb_buffer(kb, FV_i64, false), i, 1, FV_K_NONE);
  const fv_kv k = fv_kb_for(kb, fv_kb_i64(kb, 0), n, 1);
  const fv_kv g = fv_kb_get(kb, var);
  assert_int_not_equal(g, a);
  const fv_kv sum = fv_kb_add(kb, g, fv_kb_load(kb, in, k, 1, FV_K_NONE));
  assert_int_equal(fv_kb_load(kb, in, i, 1, FV_K_NONE), a);
  fv_kb_set(kb, var, sum);
  assert_int_equal(fv_kb_get(kb, var), sum);
  const fv_kv inner = fv_kb_mul(kb, a, a);
  fv_kb_end(kb);
  assert_int_not_equal(fv_kb_get(kb, var), sum);
  assert_int_not_equal(fv_kb_get(kb, var), a);
  assert_int_not_equal(fv_kb_mul(kb, a, a), inner);  // it does not dominate this place
}

static void aliases(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int in = fv_kb_buffer(kb, FV_f32, false), out = fv_kb_buffer(kb, FV_f32, true);
  fv_kb_set_aliases(kb, in);
  fv_kb_set_aliases(kb, out);
  const fv_kv i = fv_kb_block(kb);
  const fv_kv a = fv_kb_load(kb, in, i, 1, FV_K_NONE);
  fv_kb_store(kb, out, i, a, FV_K_NONE);
  assert_int_not_equal(fv_kb_load(kb, in, i, 1, FV_K_NONE), a);
}

static void wrong_type(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  fv_kb_add(kb, fv_kb_i64(kb, 1), fv_kb_const_f(kb, FV_f32, 1, 1));
}
static void storage_arithmetic(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int b = fv_kb_buffer(kb, FV_f16, false);
  const fv_kv x = fv_kb_load(kb, b, fv_kb_block(kb), 1, FV_K_NONE);
  fv_kb_add(kb, x, x);
}
static void read_only(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int b = fv_kb_buffer(kb, FV_i64, false);
  fv_kb_store(kb, b, fv_kb_block(kb), fv_kb_i64(kb, 1), FV_K_NONE);
}
static void open_scope(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  fv_kb_for(kb, fv_kb_i64(kb, 0), fv_kb_block(kb), 1);
  fv_kb_finish(kb, "k", fv_x_i64(f->pool, 1));
}

static void test_folds(void **s) {
  (void)s;
  run(folds);
}
static void test_merges(void **s) {
  (void)s;
  run(merges);
  run(aliases);
}
static void test_misuse(void **s) {
  (void)s;
  const char *bug = NULL;
  const body_fn wrong[] = {wrong_type, storage_arithmetic, read_only, open_scope};
  for (size_t i = 0; i < FV_COUNTOF(wrong); i++)
    assert_int_equal(guarded(wrong[i], &bug), FV_ERR_INTERNAL);
}

//===-- Text, layout, sweeping ------------------------------------------------------===//

static const char expected_text[] =
    "kernel sum_rows(b0: f32, b1: f32 written, b2: f16 group at s1, s0..s2) {\n"
    "  %0 = block i64\n"
    "  %1 = scalar i64 s0\n"
    "  %2 = const f32 0.0\n"
    "  %3 = const i64 0\n"
    "  %4 = mul i64 %0, %1\n"
    "  %5 = var f32 %2\n"
    "  %6 = for i64 %3 to %1 step 8\n"
    "    %7 = sub i64 %1, %6\n"
    "    %8 = add i64 %4, %6\n"
    "    %9 = load f32x8 b0[%8] count %7\n"
    "    %10 = reduce add f32 %9\n"
    "    %11 = get f32 %5\n"
    "    %12 = add f32 %10, %11\n"
    "    set %5 = %12\n"
    "  end\n"
    "  %15 = get f32 %5\n"
    "  %16 = le bool %15, %2\n"
    "  check %16 site 0\n"
    "  store f32 b1[%0] = %15\n"
    "  %19 = cast f16 %15\n"
    "  store f16 b2[%3] = %19\n"
    "}\n";

static void text_and_layout(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "row");
  const fv_expr *n = fv_x_sym(f->pool, fv_symbol_add(f->pool, "n", 1, 100, FV_SYM_DIM));
  const int half = fv_kb_scratch(kb, FV_f16, n);
  const int in = fv_kb_buffer(kb, FV_f32, false), out = fv_kb_buffer(kb, FV_f32, true);
  const fv_kv block = fv_kb_block(kb), size = fv_kb_host(kb, n);
  const fv_kv row = fv_kb_mul(kb, block, size);
  const fv_kv acc = fv_kb_var(kb, fv_kb_const_f(kb, FV_f32, 1, 0));
  const fv_kv unused = fv_kb_var(kb, fv_kb_const_f(kb, FV_f32, 8, 1));
  const fv_kv i = fv_kb_for(kb, fv_kb_i64(kb, 0), fv_kb_host(kb, n), 8);
  const fv_kv left = fv_kb_sub(kb, fv_kb_host(kb, n), i);
  const fv_kv v = fv_kb_load(kb, in, fv_kb_add(kb, row, i), 8, left);
  fv_kb_set(kb, unused, v);  // never read: goes
  const fv_kv sum = fv_kb_reduce(kb, FV_X_ADD, v);
  fv_kb_set(kb, acc, fv_kb_add(kb, fv_kb_get(kb, acc), sum));
  fv_kb_end(kb);
  fv_kb_for(kb, fv_kb_i64(kb, 0), fv_kb_host(kb, n), 1);  // without effect: goes
  fv_kb_load(kb, in, row, 1, FV_K_NONE);
  fv_kb_end(kb);
  fv_kb_if(kb, fv_kb_const_i(kb, FV_bool, 1, 0));  // never taken: goes
  fv_kb_store(kb, out, row, fv_kb_get(kb, acc), FV_K_NONE);
  fv_kb_end(kb);
  const fv_kv r = fv_kb_get(kb, acc);
  const fv_kv zero = fv_kb_const_f(kb, FV_f32, 1, 0);
  fv_kb_check(kb, op2(kb, FV_X_LE, r, zero), "too much", NULL);
  fv_kb_store(kb, out, fv_kb_block(kb), r, FV_K_NONE);
  fv_kb_store(kb, half, fv_kb_i64(kb, 0), fv_kb_cast(kb, FV_f16, r), FV_K_NONE);
  const int more = fv_kb_scratch(kb, FV_i8, fv_x_i64(f->pool, 3));
  (void)more;
  const fv_kernel *k = fv_kb_finish(kb, "sum_rows", n);
  fv_str s = {.arena = f->ar};
  // the second scratch buffer is in the header; compare what comes before it
  fv_kernel_code shown = k->code;
  assert_int_equal(k->code.n_buffer, 4);
  shown.n_buffer = 3;
  fv_kernel_print(&shown, &s);
  assert_string_equal(s.data, expected_text);
  assert_int_equal(k->n_site, 1);
  assert_string_equal(k->site[0].text, "too much");
  int64_t value[1] = {33}, at;
  assert_true(fv_x_eval_i64(k->scalar[k->code.buffer[2].offset_scalar], value, &at));
  assert_int_equal(at, 0);
  assert_true(fv_x_eval_i64(k->scalar[k->code.buffer[3].offset_scalar], value, &at));
  assert_int_equal(at, 128);  // 66 bytes, up to the next 64
  assert_true(fv_x_eval_i64(k->scratch_bytes, value, &at));
  assert_int_equal(at, 192);
  fv_kernel_code renamed = k->code;
  renamed.name = "other";
  assert_int_equal(fv_kernel_hash(&renamed), fv_kernel_hash(&k->code));
}

static void test_text(void **s) {
  (void)s;
  run(text_and_layout);
}

//===-- Verifier --------------------------------------------------------------------===//

static void verifier(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int in = fv_kb_buffer(kb, FV_f32, false), out = fv_kb_buffer(kb, FV_f32, true);
  const fv_kv i = fv_kb_for(kb, fv_kb_i64(kb, 0), fv_kb_block(kb), 1);
  const fv_kv v = fv_kb_load(kb, in, i, 8, FV_K_NONE);
  const fv_kv g = fv_kb_gather(kb, in, fv_kb_ramp(kb, i, 2, 8), FV_K_NONE);
  const fv_kv m = fv_kb_mad(kb, v, v, g);
  const fv_kv var = fv_kb_var(kb, m);
  fv_kb_if(kb, op2(kb, FV_X_LT, i, fv_kb_i64(kb, 3)));
  fv_kb_set(kb, var, v);
  fv_kb_else(kb);
  fv_kb_set(kb, var, g);
  fv_kb_end(kb);
  fv_kb_store(kb, out, i, fv_kb_get(kb, var), FV_K_NONE);
  fv_kb_store(kb, out, i, fv_kb_reduce(kb, FV_X_MAX, m), FV_K_NONE);
  fv_kb_end(kb);
  const fv_kernel *k = fv_kb_finish(kb, "k", fv_x_i64(f->pool, 1));
  collected c = {""};
  fv_diag_sink sink = COLLECTING_SINK(&c);
  assert_int_equal(fv_kernel_verify(&k->code, &sink), FV_OK);
  // No change of one byte of an instruction may crash it; most are refused.
  const uint32_t n = k->code.n_inst;
  unsigned refused = 0, tried = 0;
  for (uint32_t j = 0; j < n; j++)
    for (size_t byte = 0; byte < sizeof(fv_kinst); byte++)
      for (int bit = 0; bit < 8; bit++) {
        fv_kinst *inst = fv_arena_dup(f->ar, k->code.inst, sizeof *inst * n);
        ((unsigned char *)&inst[j])[byte] ^= (unsigned char)(1 << bit);
        fv_kernel_code bad = k->code;
        bad.inst = inst;
        c.text[0] = '\0';
        tried++;
        refused += fv_kernel_verify(&bad, &sink) != FV_OK;
      }
  assert_true(refused * 2 > tried);
  fv_kernel_code cut = k->code;
  cut.n_inst--;
  c.text[0] = '\0';
  assert_int_equal(fv_kernel_verify(&cut, &sink), FV_ERR_TYPE);
  assert_non_null(strstr(c.text, "a scope is left open"));
}

static void test_verifier(void **s) {
  (void)s;
  run(verifier);
}

//===-- Random programs -------------------------------------------------------------===//

typedef struct rng {
  uint64_t s;
} rng;
static uint32_t below(rng *r, uint32_t n) {
  r->s ^= r->s << 13;
  r->s ^= r->s >> 7;
  r->s ^= r->s << 17;
  return (uint32_t)(r->s >> 20) % n;
}

enum { CELLS = 8, MAX_STEPS = 160, LANES = 4 };
typedef enum kind { LIT, HIDDEN, OP, LOAD, STORE, VAR, GET, SET, FOR, IF, ELSE, END } kind;
typedef struct step {
  kind kind;
  fv_scalar_op op;
  int a, b, c;  // steps
  int64_t imm;  // literal, cell, loop step
  int lanes;
} step;
typedef struct program {
  step s[MAX_STEPS];
  int n;
} program;

static int add_step(program *p, step s) {
  p->s[p->n] = s;
  return p->n++;
}

// A value in sight: one of those on the stack.
typedef struct sight {
  int value[MAX_STEPS], n_value;
  int var[MAX_STEPS], n_var;
} sight;

static int some(rng *r, const sight *v) {
  return v->value[below(r, (uint32_t)v->n_value)];
}

static const fv_scalar_op int_ops[] = {
    FV_X_ADD, FV_X_SUB, FV_X_MUL, FV_X_DIV, FV_X_FLOORDIV, FV_X_MOD, FV_X_MAX, FV_X_MIN,
    FV_X_AND, FV_X_OR,  FV_X_XOR, FV_X_SHL, FV_X_SHR,      FV_X_NEG, FV_X_ABS, FV_X_NOT};

static void random_step(rng *r, program *p, sight *v) {
  step s = {.lanes = 1};
  switch (below(r, 8)) {
  case 0: s.kind = LIT, s.imm = (int64_t)below(r, 9) - 3; break;
  case 1: s.kind = HIDDEN, s.imm = below(r, CELLS); break;
  case 2: s.kind = LOAD, s.imm = below(r, CELLS); break;
  case 3:
    s.kind = STORE, s.imm = below(r, CELLS), s.a = some(r, v);
    add_step(p, s);
    return;
  case 4:
    s.kind = VAR, s.a = some(r, v), s.lanes = p->s[s.a].lanes;
    v->var[v->n_var++] = add_step(p, s);
    return;
  case 5:
    if (v->n_var == 0)
      return;
    s.a = v->var[below(r, (uint32_t)v->n_var)];
    s.lanes = p->s[s.a].lanes;
    if (below(r, 2)) {
      s.kind = GET;
      break;
    }
    s.kind = SET, s.b = some(r, v);
    if (p->s[s.b].lanes == s.lanes)
      add_step(p, s);
    return;
  default:
    s.kind = OP;
    s.op = int_ops[below(r, FV_COUNTOF(int_ops))];
    s.a = some(r, v);
    s.b = fv_scalar_arity(s.op) > 1 ? some(r, v) : s.a;
    s.lanes = p->s[s.a].lanes > p->s[s.b].lanes ? p->s[s.a].lanes : p->s[s.b].lanes;
    break;
  }
  if ((s.kind == LIT || s.kind == HIDDEN || s.kind == LOAD) && below(r, 3) == 0)
    s.lanes = LANES;  // a ramp, or the neighbouring cells
  v->value[v->n_value++] = add_step(p, s);
}

static void random_block(rng *r, program *p, sight *v, int depth) {
  const int n = 4 + (int)below(r, 12);
  for (int i = 0; i < n && p->n < MAX_STEPS - 24; i++) {
    if (depth < 3 && below(r, 5) == 0) {
      const sight outside = *v;
      const bool loop = below(r, 2);
      step s = {.kind = loop ? FOR : IF,
                .a = some(r, v),
                .b = some(r, v),
                .lanes = 1,
                .imm = 1 + (int64_t)below(r, 3)};
      if (p->s[s.a].lanes > 1 || p->s[s.b].lanes > 1)
        continue;
      const int head = add_step(p, s);
      if (loop)
        v->value[v->n_value++] = head;
      random_block(r, p, v, depth + 1);
      *v = outside;
      if (!loop && below(r, 2)) {
        add_step(p, (step){.kind = ELSE, .lanes = 1});
        random_block(r, p, v, depth + 1);
        *v = outside;
      }
      add_step(p, (step){.kind = END, .a = head, .lanes = 1});
    } else {
      random_step(r, p, v);
    }
  }
}

// Loops run from a & 7 to b & 7; branches are taken when a is odd.
static fv_kv build_step(fv_kb *kb, const step *s, const fv_kv *v, int in, int cells) {
  const fv_kv seven = fv_kb_i64(kb, 7);
  switch (s->kind) {
  case LIT:
    return s->lanes > 1 ? fv_kb_ramp(kb, fv_kb_i64(kb, s->imm), 2, s->lanes)
                        : fv_kb_i64(kb, s->imm);
  case HIDDEN: return fv_kb_load(kb, in, fv_kb_i64(kb, s->imm), s->lanes, FV_K_NONE);
  case LOAD: return fv_kb_load(kb, cells, fv_kb_i64(kb, s->imm), s->lanes, FV_K_NONE);
  case OP:
    return fv_kb_op(kb, s->op, v[s->a],
                    s->b == s->a && fv_scalar_arity(s->op) == 1 ? FV_K_NONE : v[s->b], FV_K_NONE);
  case STORE: fv_kb_store(kb, cells, fv_kb_i64(kb, s->imm), v[s->a], FV_K_NONE); break;
  case VAR: return fv_kb_var(kb, v[s->a]);
  case GET: return fv_kb_get(kb, v[s->a]);
  case SET: fv_kb_set(kb, v[s->a], v[s->b]); break;
  case FOR:
    return fv_kb_for(kb, op2(kb, FV_X_AND, v[s->a], seven), op2(kb, FV_X_AND, v[s->b], seven),
                     s->imm);
  case IF: {
    const fv_kv one = fv_kb_i64(kb, 1);
    fv_kb_if(kb, op2(kb, FV_X_EQ, op2(kb, FV_X_AND, v[s->a], one), one));
    break;
  }
  case ELSE: fv_kb_else(kb); break;
  case END: fv_kb_end(kb); break;
  }
  return FV_K_NONE;
}

typedef struct plain {
  const program *p;
  int64_t value[MAX_STEPS][LANES];
  const int64_t *in;
  int64_t *cells;
} plain;

static int64_t lane_of(const plain *m, int i, int lane) {
  return m->value[i][m->p->s[i].lanes > 1 ? lane : 0];
}

static int past_end(const program *p, int i, bool stop_at_else) {
  int depth = 0;
  for (i++;; i++) {
    const kind k = p->s[i].kind;
    if (depth == 0 && (k == END || (k == ELSE && stop_at_else)))
      return i + 1;
    depth += (k == FOR || k == IF) - (k == END);
  }
}

static void plain_step(plain *m, int i) {
  const step *s = &m->p->s[i];
  for (int l = 0; l < s->lanes; l++) {
    int64_t *out = &m->value[i][l];
    switch (s->kind) {
    case LIT: *out = s->imm + 2 * l; break;
    case HIDDEN: *out = m->in[s->imm + l]; break;
    case LOAD: *out = m->cells[s->imm + l]; break;
    case OP: {
      const fv_scalar a = {.i = lane_of(m, s->a, l)}, b = {.i = lane_of(m, s->b, l)};
      *out = fv_scalar_eval(s->op, FV_i64, FV_i64, a, b, b).i;
      break;
    }
    case VAR:
    case GET: *out = m->value[s->a][l]; break;
    case SET: m->value[s->a][l] = m->value[s->b][l]; break;
    default: break;
    }
  }
  if (s->kind == STORE)
    for (int l = 0; l < m->p->s[s->a].lanes; l++)
      m->cells[s->imm + l] = m->value[s->a][l];
}

static void run_plain(plain *m) {
  const program *p = m->p;
  for (int i = 0; i < p->n;) {
    const step *s = &p->s[i];
    if (s->kind == FOR) {
      m->value[i][0] = m->value[s->a][0] & 7;
      i = m->value[i][0] < (m->value[s->b][0] & 7) ? i + 1 : past_end(p, i, false);
    } else if (s->kind == IF) {
      i = m->value[s->a][0] & 1 ? i + 1 : past_end(p, i, true);
    } else if (s->kind == ELSE) {
      i = past_end(p, i, false);
    } else if (s->kind == END && p->s[s->a].kind == FOR) {
      const step *head = &p->s[s->a];
      m->value[s->a][0] += head->imm;
      i = m->value[s->a][0] < (m->value[head->b][0] & 7) ? s->a + 1 : i + 1;
    } else {
      plain_step(m, i++);
    }
  }
}

static uint64_t random_seed;

static void random_program(frame *f) {
  rng r = {random_seed};
  program *p = FV_NEW(f->ar, program);
  sight *v = FV_NEW(f->ar, sight);
  v->value[v->n_value++] = add_step(p, (step){.kind = HIDDEN, .lanes = 1, .imm = 1});
  random_block(&r, p, v, 0);
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int in = fv_kb_buffer(kb, FV_i64, false), out = fv_kb_buffer(kb, FV_i64, true);
  fv_kv *value = FV_NEW_N(f->ar, fv_kv, p->n);
  for (int i = 0; i < p->n; i++)
    value[i] = build_step(kb, &p->s[i], value, in, out);
  const fv_kernel *k = fv_kb_finish(kb, "k", fv_x_i64(f->pool, 1));
  int64_t input[CELLS + LANES], got[CELLS + LANES], want[CELLS + LANES];
  for (int i = 0; i < CELLS + LANES; i++) {
    input[i] = (int64_t)below(&r, 50) - 10;
    got[i] = want[i] = i;
  }
  plain *m = FV_NEW(f->ar, plain);
  m->p = p;
  m->in = input;
  m->cells = want;
  run_plain(m);
  void *buf[2] = {input, got};
  assert_int_equal(fv_kernel_interpret(&k->code, f->ar, buf, NULL, NULL, 0, 1), 0);
  if (memcmp(got, want, sizeof got) != 0) {
    fv_str s = {.arena = f->ar};
    fv_kernel_print(&k->code, &s);
    fail_msg("seed %llu differs:\n%s", (unsigned long long)random_seed, s.data);
  }
}

static void test_random(void **s) {
  (void)s;
  const char *seed = getenv("FV_SEED");
  const uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
  for (random_seed = first; random_seed < first + (seed ? 1 : 4000); random_seed++)
    run(random_program);
}

//===-- Interpreter -----------------------------------------------------------------===//

static void memory(frame *f) {
  fv_kb *kb = fv_kb_create(f->ar, f->pool, "test");
  const int in = fv_kb_buffer(kb, FV_f32, false), out = fv_kb_buffer(kb, FV_f32, true);
  const int tmp = fv_kb_scratch(kb, FV_f32, fv_x_i64(f->pool, 8));
  const fv_kv i = fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, 8));
  const fv_kv v = fv_kb_load(kb, in, i, 8, fv_kb_sub(kb, fv_kb_i64(kb, 13), i));
  fv_kb_store(kb, tmp, fv_kb_i64(kb, 0), v, FV_K_NONE);
  fv_kb_prefetch(kb, in, fv_kb_i64(kb, 1 << 20));  // outside: no fault
  fv_kb_barrier(kb);
  const fv_kv back = fv_kb_ramp(kb, fv_kb_i64(kb, 7), -1, 8);
  const fv_kv turned = fv_kb_gather(kb, tmp, back, FV_K_NONE);
  const fv_kv mask = op2(kb, FV_X_LT, fv_kb_const_f(kb, FV_f32, 1, 0), turned);
  fv_kb_scatter(kb, out, fv_kb_ramp(kb, i, 1, 8), turned, mask);
  fv_kb_check(kb, op2(kb, FV_X_LT, fv_kb_block(kb), fv_kb_i64(kb, 2)), "block", NULL);
  const fv_kernel *k = fv_kb_finish(kb, "k", fv_x_i64(f->pool, 2));
  float input[13], output[16];
  for (int j = 0; j < 13; j++)
    input[j] = (float)j;
  for (int j = 0; j < 16; j++)
    output[j] = -1;
  _Alignas(64) unsigned char scratch[64];
  int64_t *scalar = FV_NEW_N(f->ar, int64_t, k->code.n_scalar);
  for (uint32_t j = 0; j < k->code.n_scalar; j++)
    assert_true(fv_x_eval_i64(k->scalar[j], NULL, &scalar[j]));
  void *buf[2] = {input, output};
  assert_int_equal(fv_kernel_interpret(&k->code, f->ar, buf, scalar, scratch, 0, 2), 0);
  for (int j = 0; j < 16; j++) {
    const int from = j < 8 ? 7 - j : 23 - j;
    const float want = from < 13 && from > 0 ? (float)from : -1;
    assert_true(output[j] == want);
  }
  assert_int_equal(fv_kernel_interpret(&k->code, f->ar, buf, scalar, scratch, 2, 3), 1);
}

static void test_memory(void **s) {
  (void)s;
  run(memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_folds),  cmocka_unit_test(test_merges),   cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_text),   cmocka_unit_test(test_verifier), cmocka_unit_test(test_random),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
