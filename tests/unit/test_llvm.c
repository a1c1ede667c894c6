// SPDX-License-Identifier: Apache-2.0
// The llvm plugin against the kernel interpreter: every primitive, cast and
// memory instruction, all types, several widths, at each x86-64 level that
// this machine runs.
#include "tests/unit/llvm_plugin.h"

#include <math.h>
#include <unistd.h>

#include "base/arena.h"
#include "ir/expr/expr.h"

//===-- Data ------------------------------------------------------------===//

static const double special[] = {
    0,     -0.0,  1,        -1,       0.5,     1.5,    2.5,       -0.5,      -2.5,
    3.7,   -3.7,  0x1p-149, -0x1p-24, 1e30,    -1e30,  INFINITY,  -INFINITY, NAN,
    65519, 65520, 8388609,  0x1p31,   -0x1p31, 0x1p63, -0x1.8p63, 300,       1.00390625};
static const int64_t special_int[] = {0,
                                      1,
                                      -1,
                                      2,
                                      -2,
                                      3,
                                      -3,
                                      7,
                                      8,
                                      31,
                                      63,
                                      64,
                                      127,
                                      128,
                                      255,
                                      256,
                                      32767,
                                      -32768,
                                      INT32_MAX,
                                      INT32_MIN,
                                      INT64_MAX,
                                      INT64_MIN,
                                      INT64_MIN + 1,
                                      0x4040000000000001,
                                      -5,
                                      100,
                                      37};
enum { SPECIALS = (int)FV_COUNTOF(special) };

static uint64_t next_random(uint64_t *s) {
  *s ^= *s << 13;
  *s ^= *s >> 7;
  *s ^= *s << 17;
  return *s;
}

// Pairs (and triples) of special values, then random bits.
static void fill(fv_dtype t, void *data, int which) {
  uint64_t s = 88172645463325252u + (uint64_t)which;
  _Static_assert(FV_COUNTOF(special) == FV_COUNTOF(special_int), "one index for both");
  const int size = fv_dtype_size(t);
  for (int i = 0; i < ELEMENTS; i++) {
    char *p = (char *)data + i * size;
    const int at = which == 0 ? i % SPECIALS : which == 1 ? i / SPECIALS : (i * 7) % SPECIALS;
    const uint64_t bits = next_random(&s);
    if (at < SPECIALS && (which != 1 || i < SPECIALS * SPECIALS) && i < 600)
      fv_scalar_store(
          t, p,
          fv_dtype_is_float(t) ? (fv_scalar){.f = special[at]} : (fv_scalar){.i = special_int[at]});
    else if (t == FV_bool)
      *p = (char)(bits & 1);
    else
      memcpy(p, &bits, (size_t)size);
  }
}

// Equal bits; any NaN equals any NaN; `ulps` more for f32.
static bool same(fv_dtype t, const void *a, const void *b, int64_t ulps) {
  const fv_scalar x = fv_scalar_load(t, a), y = fv_scalar_load(t, b);
  if (memcmp(a, b, (size_t)fv_dtype_size(t)) == 0)
    return true;
  if (!fv_dtype_is_float(t))
    return false;
  if (isnan(x.f) && isnan(y.f))
    return true;
  if (t != FV_f32 || ulps == 0)
    return false;
  int32_t i, j;
  memcpy(&i, a, sizeof i);
  memcpy(&j, b, sizeof j);
  return llabs((int64_t)i - j) <= ulps;
}

//===-- Comparison ------------------------------------------------------===//

// Room of each buffer of a kernel.
enum { ROOM = 64 * ELEMENTS * 8 };

typedef struct expectation {
  const made *run, *meant;  // compiled; interpreted
  int64_t ulps;
} expectation;

static void compare_kernel(fv_cpu_kernel_fn fn, const expectation *e, int64_t blocks,
                           const int64_t *scalar, const char *where) {
  fv_arena *ar = fv_arena_create(NULL);
  const fv_kernel_code *k = &e->run->code;
  void *got[BUFFERS] = {0}, *want[BUFFERS] = {0};
  char *scratch = aligned_alloc(64, 4096);
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    got[i] = aligned_alloc(64, ROOM);
    want[i] = aligned_alloc(64, ROOM);
    memset(got[i], 0, ROOM);
    if (!k->buffer[i].written)
      fill((fv_dtype)k->buffer[i].dtype, got[i], (int)i);
    memcpy(want[i], got[i], ROOM);
  }
  const int32_t r1 = fn(got, scalar, scratch, 0, blocks);
  const int32_t r2 = fv_kernel_interpret(&e->meant->code, ar, want, scalar, scratch, 0, blocks);
  if (r1 != r2)
    fail_msg("%s: %s: returned %d, should be %d", where, k->name, r1, r2);
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    const fv_dtype t = (fv_dtype)k->buffer[i].dtype;
    const int size = fv_dtype_size(t);
    for (int j = 0; j < ROOM / 8; j++) {
      const char *g = (char *)got[i] + j * size, *w = (char *)want[i] + j * size;
      if (same(t, g, w, e->ulps))
        continue;
      const fv_scalar x = fv_scalar_load(t, g), y = fv_scalar_load(t, w);
      fail_msg("%s: %s: buffer %u element %d (%d of part %d): %.17g %lld, should be %.17g %lld",
               where, k->name, i, j, j % ELEMENTS, j / ELEMENTS, x.f, (long long)x.i, y.f,
               (long long)y.i);
    }
  }
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    free(got[i]);
    free(want[i]);
  }
  free(scratch);
  fv_arena_destroy(ar);
}

static void no_calls(const fv_backend *b, fv_kernels *k) {
  fv_blob text = {0};
  fv_report r = {0};
  assert_int_equal(b->emit(k, "asm", &r, &text), FV_PLUGIN_OK);
  char *copy = calloc(1, text.size + 1);
  assert_non_null(copy);
  memcpy(copy, text.data, text.size);
  text.release(text.data, text.size);
  for (char *p = copy; (p = strstr(p, "@PLT")) != NULL; p++) {
    char *name = p;
    while (name > copy && name[-1] != '\t' && name[-1] != '\n' && name[-1] != ' ')
      name--;
    if (strncmp(name, "mem", 3) != 0)
      fail_msg("code calls %.*s", (int)(p - name), name);
  }
  free(copy);
}

typedef void build_fn(expectation *list, size_t *count, const fv_target *t);

// Builds kernels for each level, compiles them as one set and compares each.
static void check_levels(build_fn *build, int64_t n_blocks) {
  const fv_backend *b = plugin();
  for (const level *l = levels(), *end = l + 4; l < end; l++) {
    fv_device *d = open_level(b, l->cpu);
    static expectation list[512];
    const fv_kernel_code *codes[512];
    size_t n = 0;
    build(list, &n, b->target(d));
    for (size_t i = 0; i < n; i++)
      codes[i] = &list[i].run->code;
    fv_report r = {0};
    fv_kernels *k = NULL;
    if (b->compile_kernels(d, codes, n, &r, &k) != FV_PLUGIN_OK)
      fail_msg("%s: %s", b->describe(d), r.text);
    no_calls(b, k);
    const int64_t scalar[4] = {5, 3, 64, 0};
    for (size_t i = 0; i < n && l->here; i++) {
      int lanes = 1;
      for (uint32_t j = 0; j < codes[i]->n_inst; j++)
        if (codes[i]->inst[j].op == FV_K_LOAD && codes[i]->inst[j].lanes > lanes)
          lanes = codes[i]->inst[j].lanes;
      compare_kernel(b->cpu_kernel(k, i), &list[i], n_blocks ? n_blocks : ELEMENTS / lanes, scalar,
                     b->describe(d));
    }
    for (size_t i = 0; i < n; i++) {
      if (list[i].meant != list[i].run)
        free((void *)(uintptr_t)list[i].meant);
      free((void *)(uintptr_t)list[i].run);
    }
    b->release(k);
    b->close(d);
  }
}

//===-- Primitives ------------------------------------------------------===//

static bool takes(fv_scalar_op x, fv_dtype t) {
  switch (x) {
  case FV_X_EXP:
  case FV_X_LOG:
  case FV_X_EXPM1:
  case FV_X_LOG1P:
  case FV_X_SIN:
  case FV_X_COS:
  case FV_X_TANH:
  case FV_X_ERF:
  case FV_X_POW:
  case FV_X_CAST:
  case FV_X_BITCAST: return false;
  case FV_X_SQRT:
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: return fv_dtype_is_float(t);
  case FV_X_NOT:
  case FV_X_AND:
  case FV_X_OR:
  case FV_X_XOR: return !fv_dtype_is_float(t);
  case FV_X_MOD:
  case FV_X_SHL:
  case FV_X_SHR: return fv_dtype_is_int(t);
  // The interpreter floors a quotient that was not rounded to f32 before.
  case FV_X_FLOORDIV: return t == FV_f64 || !fv_dtype_is_float(t);
  case FV_X_MAD: return t == FV_f32 || t == FV_f64 || fv_dtype_is_int(t);
  default: return true;
  }
}

static bool gives_bool(fv_scalar_op x) {
  return x == FV_X_EQ || x == FV_X_NE || x == FV_X_LT || x == FV_X_LE || x == FV_X_IS_NAN;
}

// All primitives of a type: result of number i at i * ELEMENTS.
static made *primitives(fv_dtype t, int lanes, bool only_mad, bool split) {
  made *m = make(only_mad ? "mad" : "op", (int)t, lanes);
  for (int i = 0; i < 3; i++)
    buffer(m, t, false);
  const int out = buffer(m, t, true), flag = buffer(m, FV_bool, true);
  const uint32_t at = position(m, lanes);
  uint32_t v[3];
  for (int i = 0; i < 3; i++)
    v[i] = load(m, i, lanes, at, NONE);
  for (int x = 0; x < FV_X_COUNT; x++) {
    const fv_scalar_op xop = (fv_scalar_op)x;
    if (!takes(xop, t) || (xop == FV_X_MAD) != only_mad)
      continue;
    const int arity = fv_scalar_arity(xop);
    uint32_t r;
    if (xop == FV_X_SELECT)
      r = op(m, xop, t, lanes, op(m, FV_X_LT, FV_bool, lanes, v[0], v[1], NONE), v[1], v[2]);
    else if (xop == FV_X_MAD && split)
      r = op(m, FV_X_ADD, t, lanes, op(m, FV_X_MUL, t, lanes, v[0], v[1], NONE), v[2], NONE);
    else
      r = op(m, xop, gives_bool(xop) ? FV_bool : t, lanes, v[0], arity > 1 ? v[1] : NONE,
             arity > 2 ? v[2] : NONE);
    store(m, gives_bool(xop) ? flag : out, plus(m, at, x * ELEMENTS), r, NONE);
  }
  return m;
}

static const int widths[] = {1, 4, 8, 16};

static void build_primitives(expectation *list, size_t *n, const fv_target *target) {
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    for (size_t w = 0; w < FV_COUNTOF(widths); w++) {
      const fv_dtype dt = (fv_dtype)t;
      made *m = primitives(dt, widths[w], false, false);
      list[(*n)++] = (expectation){m, m, 0};
      if (!takes(FV_X_MAD, dt))
        continue;
      m = primitives(dt, widths[w], true, false);
      const bool split = fv_dtype_is_float(dt) && !target->has_fma;
      // The interpreter rounds twice: from the double, then to f32.
      list[(*n)++] =
          (expectation){m, split ? primitives(dt, widths[w], true, true) : m, split ? 0 : 1};
    }
}

static void test_primitives(void **state) {
  (void)state;
  check_levels(build_primitives, 0);
}

//===-- Casts, bitcasts, reductions -------------------------------------===//

static void build_casts(expectation *list, size_t *n, const fv_target *target) {
  (void)target;
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    for (size_t w = 0; w < FV_COUNTOF(widths); w++) {
      const int lanes = widths[w];
      made *m = make("cast", t, lanes);
      const int in = buffer(m, (fv_dtype)t, false);
      const uint32_t at = position(m, lanes), v = load(m, in, lanes, at, NONE);
      for (int to = 0; to < FV_DTYPE_COUNT; to++) {
        const int out = buffer(m, (fv_dtype)to, true);
        store(m, out, at, inst(m, FV_K_CAST, (fv_dtype)to, lanes, v, NONE, NONE), NONE);
        if (fv_dtype_size((fv_dtype)to) == fv_dtype_size((fv_dtype)t) && to != FV_bool)
          store(m, out, plus(m, at, ELEMENTS),
                inst(m, FV_K_BITCAST, (fv_dtype)to, lanes, v, NONE, NONE), NONE);
      }
      list[(*n)++] = (expectation){m, m, 0};
    }
}

static void test_casts(void **state) {
  (void)state;
  check_levels(build_casts, 0);
}

static void build_reductions(expectation *list, size_t *n, const fv_target *target) {
  static const fv_scalar_op ops[] = {FV_X_ADD, FV_X_MUL, FV_X_MAX, FV_X_MIN, FV_X_AND, FV_X_OR};
  (void)target;
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    for (size_t w = 1; w < FV_COUNTOF(widths); w++) {
      made *m = make("reduce", t, widths[w]);
      const int in = buffer(m, (fv_dtype)t, false), out = buffer(m, (fv_dtype)t, true);
      const uint32_t v = load(m, in, widths[w], position(m, widths[w]), NONE);
      const uint32_t block = inst(m, FV_K_BLOCK, FV_i64, 1, NONE, NONE, NONE);
      for (size_t i = 0; i < FV_COUNTOF(ops); i++) {
        if (i >= 4 && fv_dtype_is_float((fv_dtype)t))
          continue;
        const uint32_t r = inst(m, FV_K_REDUCE, (fv_dtype)t, 1, v, NONE, NONE);
        m->inst[r].xop = (uint8_t)ops[i];
        store(m, out, plus(m, block, (int64_t)i * ELEMENTS), r, NONE);
      }
      for (int lane = 0; lane < widths[w]; lane++) {
        const uint32_t r = inst(m, FV_K_EXTRACT, (fv_dtype)t, 1, v, NONE, NONE);
        store(m, out, plus(m, block, (6 + lane) * ELEMENTS), with_imm(m, r, lane), NONE);
      }
      list[(*n)++] = (expectation){m, m, 0};
    }
}

static void test_reductions(void **state) {
  (void)state;
  check_levels(build_reductions, 0);
}

//===-- Memory ----------------------------------------------------------===//

// Masked loads and stores with counts -1 .. lanes + 1, gathers, scatters.
static made *memory_kernel(fv_dtype t, int lanes) {
  made *m = make("memory", (int)t, lanes);
  const int in = buffer(m, t, false), out = buffer(m, t, true), out2 = buffer(m, t, true);
  const uint32_t block = inst(m, FV_K_BLOCK, FV_i64, 1, NONE, NONE, NONE);
  const uint32_t count = plus(m, block, -1),
                 at = op(m, FV_X_MUL, FV_i64, 1, block, constant(m, 2 * lanes), NONE);
  const uint32_t v = load(m, in, lanes, plus(m, at, 1), count);
  store(m, out, plus(m, at, 1), v, NONE);
  const uint32_t whole = load(m, in, lanes, at, NONE);
  store(m, out, plus(m, at, 2 * ELEMENTS), whole, count);
  // Every third element, where it is below the lane: mask by a compare.
  const uint32_t ramp = with_imm(m, inst(m, FV_K_RAMP, FV_i64, lanes, at, NONE, NONE), 3);
  const uint32_t limit = inst(m, FV_K_SPLAT, FV_i64, lanes, plus(m, at, 17), NONE, NONE);
  const uint32_t mask = op(m, FV_X_LT, FV_bool, lanes, ramp, limit, NONE);
  for (int masked = 0; masked < 2; masked++) {
    const uint32_t g = inst(m, FV_K_GATHER, t, lanes, ramp, masked ? mask : NONE, NONE);
    m->inst[g].buf = (uint8_t)in;
    store(m, out, plus(m, at, (4 + 2 * masked) * ELEMENTS), g, NONE);
    const uint32_t s = inst(m, FV_K_SCATTER, t, lanes, ramp, g, masked ? mask : NONE);
    m->inst[s].buf = (uint8_t)out2;
  }
  return m;
}

static void build_memory(expectation *list, size_t *n, const fv_target *target) {
  (void)target;
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    for (size_t w = 0; w < FV_COUNTOF(widths); w++) {
      made *m = memory_kernel((fv_dtype)t, widths[w]);
      list[(*n)++] = (expectation){m, m, 0};
    }
}

static void test_memory(void **state) {
  (void)state;
  check_levels(build_memory, 19);
}

//===-- Control flow ----------------------------------------------------===//

// sum = 0; for i in 0..scalar[0]+block: if i mod 2 sum += x[i] else sum -= i;
// scratch, check that block != 7.
static made *control_kernel(void) {
  made *m = make("control", 0, 0);
  const int in = buffer(m, FV_f32, false), out = buffer(m, FV_f32, true);
  const int tmp = (int)m->code.n_buffer++;
  m->buffer[tmp] =
      (fv_kbuffer){.dtype = FV_f32, .scope = FV_SCOPE_GROUP, .written = 1, .offset_scalar = 2};
  m->code.n_scalar = 3;
  const uint32_t block = inst(m, FV_K_BLOCK, FV_i64, 1, NONE, NONE, NONE);
  const uint32_t n = op(m, FV_X_ADD, FV_i64, 1, block,
                        with_imm(m, inst(m, FV_K_SCALAR, FV_i64, 1, NONE, NONE, NONE), 0), NONE);
  const uint32_t zero = inst(m, FV_K_CONST, FV_f32, 1, NONE, NONE, NONE);
  const uint32_t sum = inst(m, FV_K_VAR, FV_f32, 1, zero, NONE, NONE);
  const uint32_t i = with_imm(m, inst(m, FV_K_FOR, FV_i64, 1, constant(m, 0), n, NONE), 1);
  const uint32_t odd = op(m, FV_X_MOD, FV_i64, 1, i, constant(m, 2), NONE);
  const uint32_t cond = op(m, FV_X_EQ, FV_bool, 1, odd, constant(m, 1), NONE);
  inst(m, FV_K_IF, FV_bool, 1, cond, NONE, NONE);
  uint32_t now = inst(m, FV_K_GET, FV_f32, 1, sum, NONE, NONE);
  uint32_t x = load(m, in, 1, plus(m, i, 300), NONE);
  inst(m, FV_K_SET, FV_f32, 1, sum, op(m, FV_X_ADD, FV_f32, 1, now, x, NONE), NONE);
  inst(m, FV_K_ELSE, FV_bool, 1, NONE, NONE, NONE);
  now = inst(m, FV_K_GET, FV_f32, 1, sum, NONE, NONE);
  x = inst(m, FV_K_CAST, FV_f32, 1, i, NONE, NONE);
  inst(m, FV_K_SET, FV_f32, 1, sum, op(m, FV_X_SUB, FV_f32, 1, now, x, NONE), NONE);
  inst(m, FV_K_END, FV_bool, 1, NONE, NONE, NONE);
  inst(m, FV_K_END, FV_bool, 1, NONE, NONE, NONE);
  now = inst(m, FV_K_GET, FV_f32, 1, sum, NONE, NONE);
  store(m, tmp, constant(m, 3), now, NONE);
  inst(m, FV_K_BARRIER, FV_bool, 1, NONE, NONE, NONE);
  const uint32_t ok = op(m, FV_X_NE, FV_bool, 1, block, constant(m, 7), NONE);
  with_imm(m, inst(m, FV_K_CHECK, FV_bool, 1, ok, NONE, NONE), 4);
  store(m, out, block, load(m, tmp, 1, constant(m, 3), NONE), NONE);
  return m;
}

static void build_control(expectation *list, size_t *n, const fv_target *target) {
  (void)target;
  for (int i = 0; i < 2; i++) {  // twice: equal kernels share code
    made *m = control_kernel();
    m->name[0] = (char)('a' + i);
    list[(*n)++] = (expectation){m, m, 0};
  }
}

static void test_control(void **state) {
  (void)state;
  check_levels(build_control, 7);
  check_levels(build_control, 12);  // block 7 fails: both return 5
}

//===-- A register tile -------------------------------------------------===//

// C[12 x 32] += A[k x 12] * B[k x 32]: 24 accumulators of 16 lanes.
static made *tile_kernel(void) {
  enum { ROWS = 12, COLS = 2, LANES = 16 };
  made *m = make("tile", ROWS, COLS);
  const int a = buffer(m, FV_f32, false), b = buffer(m, FV_f32, false), c = buffer(m, FV_f32, true);
  m->code.n_scalar = 1;
  const uint32_t k = with_imm(m, inst(m, FV_K_SCALAR, FV_i64, 1, NONE, NONE, NONE), 0);
  const uint32_t zero = inst(m, FV_K_CONST, FV_f32, LANES, NONE, NONE, NONE);
  uint32_t acc[ROWS][COLS];
  for (int r = 0; r < ROWS; r++)
    for (int j = 0; j < COLS; j++)
      acc[r][j] = inst(m, FV_K_VAR, FV_f32, LANES, zero, NONE, NONE);
  const uint32_t i = with_imm(m, inst(m, FV_K_FOR, FV_i64, 1, constant(m, 0), k, NONE), 1);
  const uint32_t at_a = op(m, FV_X_MUL, FV_i64, 1, i, constant(m, ROWS), NONE);
  const uint32_t at_b = op(m, FV_X_MUL, FV_i64, 1, i, constant(m, COLS * LANES), NONE);
  uint32_t col[COLS];
  for (int j = 0; j < COLS; j++)
    col[j] = load(m, b, LANES, plus(m, at_b, j * LANES), NONE);
  for (int r = 0; r < ROWS; r++) {
    const uint32_t x = load(m, a, 1, plus(m, at_a, r), NONE);
    const uint32_t splat = inst(m, FV_K_SPLAT, FV_f32, LANES, x, NONE, NONE);
    for (int j = 0; j < COLS; j++) {
      const uint32_t old = inst(m, FV_K_GET, FV_f32, LANES, acc[r][j], NONE, NONE);
      inst(m, FV_K_SET, FV_f32, LANES, acc[r][j],
           op(m, FV_X_MAD, FV_f32, LANES, splat, col[j], old), NONE);
    }
  }
  inst(m, FV_K_END, FV_bool, 1, NONE, NONE, NONE);
  for (int r = 0; r < ROWS; r++)
    for (int j = 0; j < COLS; j++)
      store(m, c, constant(m, (r * COLS + j) * LANES),
            inst(m, FV_K_GET, FV_f32, LANES, acc[r][j], NONE, NONE), NONE);
  return m;
}

static void test_tile_has_no_spills(void **state) {
  (void)state;
  const fv_backend *b = plugin();
  fv_device *d = open_level(b, "x86-64-v4");
  assert_int_equal(b->target(d)->vector_bits, 512);
  assert_int_equal(b->target(d)->registers, 32);
  assert_true(b->target(d)->has_fma);
  made *m = tile_kernel();
  const fv_kernel_code *code = &m->code;
  fv_kernels *k = NULL;
  fv_report r = {0};
  fv_blob text = {0};
  assert_int_equal(b->compile_kernels(d, &code, 1, &r, &k), FV_PLUGIN_OK);
  assert_int_equal(b->emit(k, "asm", &r, &text), FV_PLUGIN_OK);
  int fma = 0, spills = 0;
  char line[256];
  for (size_t i = 0, n = 0; i < text.size; i++) {
    const char c = ((const char *)text.data)[i];
    line[n] = c == '\n' ? 0 : c;
    if (n + 1 < sizeof line)
      n++;
    if (c != '\n')
      continue;
    n = 0;
    fma += strstr(line, "vfmadd") != NULL && strstr(line, "zmm") != NULL;
    spills += strstr(line, "zmm") != NULL && strstr(line, "%rsp") != NULL;
  }
  assert_int_equal(fma, 24);
  assert_int_equal(spills, 0);
  text.release(text.data, text.size);
  b->release(k);
  b->close(d);
  free(m);
}

//===-- Refusals --------------------------------------------------------===//

static void test_refusals(void **state) {
  (void)state;
  const fv_backend *b = plugin();
  fv_report r = {0};
  fv_device *d = NULL;
  const fv_option o = {"triple", "pdp11-unknown-unix"};
  assert_int_equal(b->open(&host, &o, 1, &r, &d), FV_PLUGIN_UNSUPPORTED);
  assert_non_null(strstr(r.text, "pdp11"));
  d = open_level(b, NULL);
  made *m = make("exp", 0, 0);
  const uint32_t x = inst(m, FV_K_CONST, FV_f32, 1, NONE, NONE, NONE);
  op(m, FV_X_EXP, FV_f32, 1, x, NONE, NONE);
  const fv_kernel_code *code = &m->code;
  fv_kernels *k = NULL;
  assert_int_equal(b->compile_kernels(d, &code, 1, &r, &k), FV_PLUGIN_UNSUPPORTED);
  assert_non_null(strstr(r.text, "exp"));
  b->close(d);
  free(m);
}

// What LLVM would print a warning for, or abort over: names of CPUs and features.
static void test_names(void **state) {
  (void)state;
  static const struct {
    const char *triple, *key, *value, *meant;  // "": nothing is near; NULL: it is good
  } row[] = {
      {"x86_64-linux-gnu", "cpu", "znver4", NULL},
      {"x86_64-linux-gnu", "cpu", "haswel", "haswell"},
      {"x86_64-linux-gnu", "cpu", "i486", ""},  // has no 64-bit mode
      {"x86_64-linux-gnu", "cpu", "neoverse-n1", ""},
      {"aarch64-linux-gnu", "cpu", "neoverse-n1", NULL},
      {"aarch64-linux-gnu", "cpu", "neoverse-n7", "neoverse-n1"},
      {"x86_64-linux-gnu", "features", "+avx2,-fma", NULL},
      {"x86_64-linux-gnu", "features", "+avx2,+avx512ff", "avx512f"},
      {"x86_64-linux-gnu", "features", "-sse2", ""},
      {"x86_64-linux-gnu", "features", "-64bit", ""},
      {"x86_64-linux-gnu", "features", "avx2", ""},
      {"riscv64-linux-gnu", "cpu", "sifive-u74", ""},
  };
  const fv_backend *b = plugin();
  for (size_t i = 0; i < FV_COUNTOF(row); i++) {
    const fv_option o[] = {{"triple", row[i].triple}, {row[i].key, row[i].value}};
    fv_report r = {0};
    fv_device *d = NULL;
    const int32_t s = b->open(&host, o, 2, &r, &d);
    if ((s == FV_PLUGIN_OK) != !row[i].meant)
      fail_msg("%s=%s: %d, %s", row[i].key, row[i].value, (int)s, r.text);
    if (row[i].meant && *row[i].meant && !strstr(r.note, row[i].meant))
      fail_msg("%s=%s: %s", row[i].key, row[i].value, r.note);
    if (s == FV_PLUGIN_OK)
      b->close(d);
  }
}

// The kernel's vectors of 128 to 512 bits, with the features of the CPU more or less: what it is
// made of is asked for, in the order of features.def, and no more. Where nothing can be asked (no
// ELF, no reader of code for the architecture), it is all that may be used, but for what no program
// could ask for.
static void test_needs(void **state) {
  (void)state;
  static const struct {
    const char *triple, *cpu, *features, *needs;
  } row[] = {
      {"x86_64-linux-gnu", "x86-64", "+sha,+aes", ""},
      {"x86_64-linux-gnu", "x86-64-v3", "+sha", "fma,avx"},
      {"x86_64-linux-gnu", "x86-64-v3", "-fma", "avx"},
      {"x86_64-linux-gnu", "x86-64-v4", "+avx512vnni", "avx,avx512f,avx512dq,avx512vl"},
      {"x86_64-w64-mingw32", "x86-64-v2", "+fma,-popcnt,-fma,+sse3,+sha",
       "cx16,sha,sse3,sse4.1,sse4.2,ssse3"},
      {"aarch64-linux-gnu", "neoverse-n1", "-aes", "crc,dotprod,fullfp16,lse,rcpc,rdm,sha2"},
  };
  const fv_backend *b = plugin();
  made *m = tile_kernel();
  const fv_kernel_code *code = &m->code;
  for (size_t i = 0; i < FV_COUNTOF(row); i++) {
    const fv_option o[] = {
        {"triple", row[i].triple}, {"cpu", row[i].cpu}, {"features", row[i].features}};
    fv_report r = {0};
    fv_device *d = NULL;
    fv_kernels *k = NULL;
    assert_int_equal(b->open(&host, o, 3, &r, &d), FV_PLUGIN_OK);
    assert_int_equal(b->compile_kernels(d, &code, 1, &r, &k), FV_PLUGIN_OK);
    if (strcmp(b->needs(k), row[i].needs) != 0)
      fail_msg("%s: needs %s, want %s", row[i].cpu, b->needs(k), row[i].needs);
    b->release(k);
    b->close(d);
  }
  free(m);
}

// Code for other systems, but no libraries.
static void test_other_systems(void **state) {
  (void)state;
  static const char *const triple[] = {"x86_64-w64-mingw32",     "x86_64-apple-darwin",
                                       "x86_64-linux-musl",      "x86_64-linux-gnux32",
                                       "x86_64-unknown-freebsd", "x86_64-linux-android",
                                       "aarch64-apple-darwin",   "aarch64-pc-windows-msvc"};
  const fv_backend *b = plugin();
  for (size_t i = 0; i < FV_COUNTOF(triple); i++) {
    const fv_option o = {"triple", triple[i]};
    fv_report r = {0};
    fv_device *d = NULL;
    fv_kernels *k = NULL;
    fv_blob out = {0};
    const fv_artifact a = {.struct_size = sizeof a,
                           .shared = 1,
                           .name = "m",
                           .exec_folder = FV_BINARY_DIR "/lib/fovea/"};
    assert_int_equal(b->open(&host, &o, 1, &r, &d), FV_PLUGIN_OK);
    assert_int_equal(b->compile_kernels(d, NULL, 0, &r, &k), FV_PLUGIN_OK);
    assert_int_equal(b->emit_artifact(k, &a, &r, &out), FV_PLUGIN_UNSUPPORTED);
    if (!strstr(r.text, "Linux with glibc"))
      fail_msg("%s: %s", triple[i], r.text);
    b->release(k);
    b->close(d);
  }
}

// Another machine: code, but none that could run here.
static void test_other_machine(void **state) {
  (void)state;
  const fv_backend *b = plugin();
  const fv_option o = {"triple", "aarch64-linux-gnu"};
  fv_report r = {0};
  fv_device *d = NULL;
  fv_kernels *k = NULL;
  fv_blob text = {0};
  assert_int_equal(b->open(&host, &o, 1, &r, &d), FV_PLUGIN_OK);
  assert_int_equal(b->target(d)->vector_bits, 128);
  assert_true(b->target(d)->has_fma);
  made *m = tile_kernel();
  const fv_kernel_code *code = &m->code;
  assert_int_equal(b->compile_kernels(d, &code, 1, &r, &k), FV_PLUGIN_OK);
#ifndef __aarch64__
  assert_null((void *)(uintptr_t)b->cpu_kernel(k, 0));
#endif
  assert_int_equal(b->emit(k, "asm", &r, &text), FV_PLUGIN_OK);
  assert_non_null(memmem(text.data, text.size, "fmla", 4));
  text.release(text.data, text.size);
  assert_int_equal(b->emit(k, "llvm", &r, &text), FV_PLUGIN_OK);
  assert_non_null(memmem(text.data, text.size, "llvm.fma", 8));
  text.release(text.data, text.size);
  assert_int_equal(b->emit(k, "punch cards", &r, &text), FV_PLUGIN_UNSUPPORTED);
  b->release(k);
  b->close(d);
  free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_primitives),    cmocka_unit_test(test_casts),
      cmocka_unit_test(test_reductions),    cmocka_unit_test(test_memory),
      cmocka_unit_test(test_control),       cmocka_unit_test(test_tile_has_no_spills),
      cmocka_unit_test(test_refusals),      cmocka_unit_test(test_names),
      cmocka_unit_test(test_needs),         cmocka_unit_test(test_other_machine),
      cmocka_unit_test(test_other_systems),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
