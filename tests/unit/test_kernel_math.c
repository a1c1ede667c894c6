// SPDX-License-Identifier: Apache-2.0
// The expansions of transcendental primitives against the C library: f32
// against its double functions, f64 against its long double ones, with MAD
// fused and unfused; and their special values.
#include <float.h>
#include <math.h>

#include "ir/kernel/kernel.h"
#include "unit.h"

enum { LANES = 16 };

//===-- A function as a kernel ------------------------------------------------------===//

// out[i] = op(a[i], b[i]), some lanes at a time.
static const fv_kernel *build_wide(fv_arena *ar, fv_scalar_op op, fv_dtype t, int lanes) {
  fv_xpool *pool = fv_xpool_create(ar);
  fv_kb *kb = fv_kb_create(ar, pool, "test");
  const bool two = fv_scalar_arity(op) == 2;
  const int a = fv_kb_buffer(kb, t, false), b = fv_kb_buffer(kb, t, false);
  const int out = fv_kb_buffer(kb, t, true);
  const fv_kv at = fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, lanes));
  const fv_kv x = fv_kb_load(kb, a, at, lanes, FV_K_NONE);
  const fv_kv y = two ? fv_kb_load(kb, b, at, lanes, FV_K_NONE) : FV_K_NONE;
  fv_kb_store(kb, out, at, fv_kb_op(kb, op, x, y, FV_K_NONE), FV_K_NONE);
  return fv_kb_finish(kb, "k", fv_x_i64(pool, 1));
}

static const fv_kernel *build(fv_arena *ar, fv_scalar_op op, fv_dtype t) {
  return build_wide(ar, op, t, LANES);
}

// The same code with each MAD as MUL and ADD.
static fv_kernel_code unfuse(fv_arena *ar, const fv_kernel_code *k) {
  fv_kinst *out = FV_NEW_N(ar, fv_kinst, 2 * (size_t)k->n_inst);
  uint32_t *map = FV_NEW_N(ar, uint32_t, k->n_inst), n = 0;
  for (uint32_t i = 0; i < k->n_inst; i++) {
    fv_kinst in = k->inst[i];
    in.a = in.a == FV_K_NONE ? in.a : map[in.a];
    in.b = in.b == FV_K_NONE ? in.b : map[in.b];
    in.c = in.c == FV_K_NONE ? in.c : map[in.c];
    if (in.op == FV_K_OP && in.xop == FV_X_MAD) {
      fv_kinst mul = in;
      mul.xop = FV_X_MUL;
      mul.c = FV_K_NONE;
      out[n++] = mul;
      in.xop = FV_X_ADD;
      in.a = n - 1;
      in.b = in.c;
      in.c = FV_K_NONE;
    }
    map[i] = n;
    out[n++] = in;
  }
  fv_kernel_code code = *k;
  code.inst = out;
  code.n_inst = n;
  return code;
}

//===-- References ------------------------------------------------------------------===//

static long double want_of(fv_scalar_op op, fv_dtype t, double a, double b) {
  if (t == FV_f32)
    switch (op) {
    case FV_X_EXP: return (long double)exp(a);
    case FV_X_LOG: return (long double)log(a);
    case FV_X_EXPM1: return (long double)expm1(a);
    case FV_X_LOG1P: return (long double)log1p(a);
    case FV_X_SIN: return (long double)sin(a);
    case FV_X_COS: return (long double)cos(a);
    case FV_X_TANH: return (long double)tanh(a);
    case FV_X_ERF: return (long double)erf(a);
    case FV_X_MOD: return (long double)fmod(a, b);
    default: return (long double)pow(a, b);
    }
  switch (op) {
  case FV_X_EXP: return expl((long double)a);
  case FV_X_LOG: return logl((long double)a);
  case FV_X_EXPM1: return expm1l((long double)a);
  case FV_X_LOG1P: return log1pl((long double)a);
  case FV_X_SIN: return sinl((long double)a);
  case FV_X_COS: return cosl((long double)a);
  case FV_X_TANH: return tanhl((long double)a);
  case FV_X_ERF: return erfl((long double)a);
  case FV_X_MOD: return (long double)fmod(a, b);
  default: return powl((long double)a, (long double)b);
  }
}

// Distance in units of the last place of the wanted value in the format.
static double ulps(fv_dtype t, double got, long double want) {
  const int digits = t == FV_f32 ? 24 : 53, low = t == FV_f32 ? -149 : -1074;
  const int high = t == FV_f32 ? 128 : 1024;
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got) ? 0 : 1e30;
  if (want == 0 && got == 0)
    return !signbit(want) == !signbit(got) ? 0 : 1e29;
  // beyond the largest value both stand at its power of two
  const long double top = ldexpl(1, high);
  const long double g = isinf(got) ? copysignl(top, (long double)got) : (long double)got;
  const long double w = fabsl(want) > top ? copysignl(top, want) : want;
  int e;
  frexpl(w, &e);
  e = e - digits < low ? low : e - digits;
  if (e > high - digits)
    e = high - digits;
  return (double)(fabsl(g - w) / ldexpl(1, e));
}

//===-- Samples ---------------------------------------------------------------------===//

typedef struct rng {
  uint64_t s;
} rng;
static uint64_t next(rng *r) {
  r->s ^= r->s << 13;
  r->s ^= r->s >> 7;
  r->s ^= r->s << 17;
  return r->s * UINT64_C(2685821657736338717);
}

// Half from all bit patterns, half spread evenly over the exponents near 1.
static double sample(rng *r, fv_dtype t) {
  const uint64_t u = next(r);
  double v;
  if (u & 1) {
    v = ldexp((double)(u >> 12), -52 + (int)(u >> 1 & 31) - 20);
    if (u & 64)
      v = -v;
    return t == FV_f32 ? (double)(float)v : v;
  }
  if (t == FV_f64) {
    memcpy(&v, &u, sizeof v);
    return v;
  }
  const uint32_t half = (uint32_t)(u >> 32);
  float f;
  memcpy(&f, &half, sizeof f);
  return (double)f;
}

static void sample_pow(rng *r, fv_dtype t, double *x, double *y) {
  *x = sample(r, t);
  *y = sample(r, t);
  const uint64_t u = next(r);
  switch (u & 3) {
  case 0: return;
  case 1: *x = (double)((int)(u >> 8 & 511) - 256), *y = (double)((int)(u >> 20 & 63) - 32); return;
  default: {
    const double range = t == FV_f32 ? 155 : 1080;
    *y = range * ((double)(int64_t)next(r) * 0x1p-63) / log2(fabs(*x));
    if ((u & 3) == 2)
      *y = rint(*y);
    if (t == FV_f32)
      *y = (double)(float)*y;
  }
  }
}

//===-- Measuring -------------------------------------------------------------------===//

typedef struct measure {
  fv_scalar_op op;
  fv_dtype t;
  double bound;  // ULP
  int count;
} measure;

static void put(fv_dtype t, void *p, int i, double v) {
  fv_scalar_store(t, (char *)p + i * fv_dtype_size(t), (fv_scalar){.f = v});
}
static double get(fv_dtype t, const void *p, int i) {
  return fv_scalar_load(t, (const char *)p + i * fv_dtype_size(t)).f;
}

static void compare_all(const measure *m, bool fused, int n, void *const *buf) {
  double worst = 0;
  int at = 0;
  for (int i = 0; i < n; i++) {
    const double a = get(m->t, buf[0], i), b = get(m->t, buf[1], i);
    const double e = ulps(m->t, get(m->t, buf[2], i), want_of(m->op, m->t, a, b));
    if (e > worst) {
      worst = e;
      at = i;
    }
  }
  print_message("%s %s %s: %.3f ULP\n", fv_scalar_name(m->op), fv_dtype_name(m->t),
                fused ? "fused" : "unfused", worst);
  if (worst > m->bound)
    fail_msg("%s(%a, %a) = %a, want %La", fv_scalar_name(m->op), get(m->t, buf[0], at),
             get(m->t, buf[1], at), get(m->t, buf[2], at),
             want_of(m->op, m->t, get(m->t, buf[0], at), get(m->t, buf[1], at)));
}

static fv_status measure_body(void *user) {
  const measure *m = *(const measure **)user;
  fv_arena *ar = ((void **)user)[1];
  const fv_kernel *k = build(ar, m->op, m->t);
  const fv_kernel_code apart = unfuse(ar, &k->code);
  const int n = m->count / LANES * LANES;
  void *buf[3];
  for (int i = 0; i < 3; i++)
    buf[i] = fv_arena_alloc_n(ar, 8, (size_t)n);
  rng r = {UINT64_C(88172645463325252)};
  for (int i = 0; i < n; i++) {
    double x = sample(&r, m->t), y = sample(&r, m->t);
    if (m->op == FV_X_POW)
      sample_pow(&r, m->t, &x, &y);
    put(m->t, buf[0], i, x);
    put(m->t, buf[1], i, y);
  }
  assert_int_equal(fv_kernel_interpret(&k->code, ar, buf, NULL, NULL, 0, n / LANES), 0);
  compare_all(m, true, n, buf);
  memset(buf[2], 0, 8 * (size_t)n);
  assert_int_equal(fv_kernel_interpret(&apart, ar, buf, NULL, NULL, 0, n / LANES), 0);
  compare_all(m, false, n, buf);
  return FV_OK;
}

static void check_bound(const measure *m) {
  fv_arena *ar = fv_arena_create(NULL);
  void *user[2] = {(void *)(uintptr_t)m, ar};
  const char *bug = NULL;
  const fv_status s = fv_arena_protect(ar, measure_body, user, &bug);
  fv_arena_destroy(ar);
  if (s != FV_OK)
    fail_msg("status %d: %s", (int)s, bug ? bug : "");
}

static void test_bounds(void **state) {
  (void)state;
  const measure all[] = {
      {FV_X_EXP, FV_f32, 1.1, 100000},  {FV_X_LOG, FV_f32, 0.9, 100000},
      {FV_X_TANH, FV_f32, 2.5, 100000}, {FV_X_ERF, FV_f32, 2.8, 100000},
      {FV_X_SIN, FV_f32, 2.6, 100000},  {FV_X_COS, FV_f32, 2.6, 100000},
      {FV_X_EXPM1, FV_f32, 3, 100000},  {FV_X_LOG1P, FV_f32, 3, 100000},
      {FV_X_EXPM1, FV_f64, 3, 40000},   {FV_X_LOG1P, FV_f64, 3, 40000},
      {FV_X_POW, FV_f32, 1, 40000},     {FV_X_MOD, FV_f32, 0, 20000},
      {FV_X_EXP, FV_f64, 1.1, 40000},   {FV_X_LOG, FV_f64, 0.9, 40000},
      {FV_X_TANH, FV_f64, 2.6, 40000},  {FV_X_ERF, FV_f64, 1.6, 40000},
      {FV_X_SIN, FV_f64, 1.6, 100000},  {FV_X_COS, FV_f64, 1.6, 100000},
      {FV_X_POW, FV_f64, 1, 40000},     {FV_X_MOD, FV_f64, 0, 4000},
  };
  for (size_t i = 0; i < FV_COUNTOF(all); i++)
    check_bound(&all[i]);
}

//===-- Special values ----------------------------------------------------------------===//

static const double special[] = {0,
                                 -0.0,
                                 1,
                                 -1,
                                 2,
                                 -2,
                                 0.5,
                                 -0.5,
                                 3,
                                 -3,
                                 1.5,
                                 -1.5,
                                 1e30,
                                 -1e30,
                                 88.7,
                                 88.8,
                                 -87.4,
                                 -103.9,
                                 -104.1,
                                 709.7,
                                 709.8,
                                 -745.1,
                                 -745.2,
                                 INFINITY,
                                 -INFINITY,
                                 NAN,
                                 0x1p-126,
                                 0x1p-149,
                                 -0x1p-149,
                                 0x1p-1022,
                                 0x1p-1074,
                                 -0x1p-1074,
                                 0x1p24,
                                 0x1.fffffep23,
                                 -0x1.fffffep23,
                                 0x1p53,
                                 0x1.fffffffffffffp52,
                                 -0x1.fffffffffffffp52,
                                 0x1.fffffffffffffp-1,
                                 0x1.fffffep-1,
                                 0x1.000002p0,
                                 0x1.0000000000001p0};
enum { N_SPECIAL = sizeof special / sizeof *special };

static fv_status special_body(void *user) {
  fv_arena *ar = user;
  static const fv_scalar_op ops[] = {FV_X_EXP, FV_X_LOG,  FV_X_EXPM1, FV_X_LOG1P, FV_X_SIN,
                                     FV_X_COS, FV_X_TANH, FV_X_ERF,   FV_X_POW,   FV_X_MOD};
  for (size_t o = 0; o < FV_COUNTOF(ops); o++)
    for (int t = FV_f32; t <= FV_f64; t++) {
      const fv_dtype d = (fv_dtype)t;
      const fv_kernel *k = build(ar, ops[o], d);
      const int n = (N_SPECIAL * N_SPECIAL + LANES - 1) / LANES * LANES;
      void *buf[3];
      for (int i = 0; i < 3; i++)
        buf[i] = fv_arena_alloc_n(ar, 8, (size_t)n);
      for (int i = 0; i < N_SPECIAL * N_SPECIAL; i++) {
        put(d, buf[0], i, special[i % N_SPECIAL]);
        put(d, buf[1], i, special[i / N_SPECIAL]);
      }
      assert_int_equal(fv_kernel_interpret(&k->code, ar, buf, NULL, NULL, 0, n / LANES), 0);
      for (int i = 0; i < N_SPECIAL * N_SPECIAL; i++) {
        const double a = get(d, buf[0], i), b = get(d, buf[1], i), got = get(d, buf[2], i);
        const long double want = want_of(ops[o], d, a, b);
        if (ulps(d, got, want) > 3)
          fail_msg("%s %s(%a, %a) = %a, want %La", fv_scalar_name(ops[o]), fv_dtype_name(d), a, b,
                   got, want);
      }
    }
  return FV_OK;
}

//===-- sin, cos of large arguments ---------------------------------------------------===//

// To 64 bits, computed with 3,000: next to multiples of pi/2, where all leading
// bits cancel; the largest floats; and the first that are reduced in integers.
static const struct trig_row {
  double x;
  long double sin, cos;
} trig_rows[] = {
    {0x1.6ac5b262ca1ffp+849, 0x1p+0L, -0x1.14ae72e6ba22ef46p-61L},  // the nearest f64 there is
    {0x1.504cac51f1eafp+131, -0x1p+0L, -0x1.0cb604d34f34125cp-59L},
    {0x1.e009c53148be1p+991, 0x1p+0L, 0x1.295a3b0a64b1d494p-59L},
    {0x1.6c6cbc45dc8dep+5, 0x1p+0L, -0x1.6d61b58c99c42f14p-61L},
    {0x1.b951f1572eba5p+23, -0x1p+0L, -0x1.f54f5227a4e83fc0p-60L},
    {0x1.f37c8ap+95, 0x1.ffffffffffffffd0p-1L, -0x1.bbdd52a58eafb598p-30L},  // the nearest f32
    {0x1.47d0fep+34, 0x1.ffffffffffffffb6p-1L, -0x1.149dafd6b89868f6p-29L},
    {0x1.32ede2p+85, 0x1.fffffffffffffcfcp-1L, -0x1.bc77be4e3b9602e0p-28L},
    {0x1.f9cbe2p+7, 0x1.fffffffffffffebcp-1L, -0x1.1fa3bb9a07e7808cp-28L},
    {0x1.fffffep+127, -0x1.0b3366508957520ep-1L, 0x1.b4bf2c79bdfcdaa6p-1L},
    {0x1.fffffffffffffp+1023, 0x1.452fc98b34e96b62p-8L, -0x1.fffe62ecfab753c0p-1L},
    {0x1p+1023, 0x1.205248cbdb75fe5ap-1L, -0x1.a719f26c232bea16p-1L},
    {0x1p+127, 0x1.3f2c62cde42bd712p-1L, 0x1.90571d9316bcc5fap-1L},
    {0x1.0f0cf064dd592p+73, -0x1.b453ab76bf3970fap-1L, 0x1.0be2cef01c8f3934p-1L},
    {0x1.0000000000001p+20, 0x1.526ccb338edb1060p-2L, 0x1.e33ada9254f47926p-1L},
    {0x1.900002p+13, 0x1.d3db95cbee243704p-1L, 0x1.9ff29c3f67faf884p-2L},
};

typedef struct trig_samples {
  void *x, *out;  // 8 bytes an element
  long double *want;
  int n;
} trig_samples;

static void add_sample(trig_samples *s, fv_dtype t, double x, long double want) {
  put(t, s->x, s->n, x);
  s->want[s->n++] = want;
}

// Both signs of the rows and of every exponent; small and large arguments, zeros
// and what is not finite side by side, as lanes of one vector.
static trig_samples trig_samples_of(fv_arena *ar, fv_scalar_op op, fv_dtype t) {
  const int most = t == FV_f32 ? 127 : 1023, least = t == FV_f32 ? -149 : -1074;
  enum { EACH = 8, MAX = 2200 * 2 * (EACH + 2) };
  trig_samples s = {fv_arena_alloc_n(ar, 8, MAX), fv_arena_alloc_n(ar, 8, MAX),
                    FV_NEW_N(ar, long double, MAX), 0};
  for (size_t i = 0; i < FV_COUNTOF(trig_rows); i++) {
    const struct trig_row *row = &trig_rows[i];
    if (t == FV_f32 && (row->x > FLT_MAX || (double)(float)row->x != row->x))
      continue;
    for (int sign = -1; sign <= 1; sign += 2)
      add_sample(&s, t, sign * row->x, op == FV_X_COS ? row->cos : (long double)sign * row->sin);
  }
  const double plain[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1};
  rng r = {UINT64_C(1442695040888963407)};
  for (int e = least; e <= most; e++)
    for (int i = 0; i < EACH; i++) {
      const double v = ldexp(1 + (double)(next(&r) >> 12) * 0x1p-52, e);
      const double x = t == FV_f32 ? (double)(float)fmin(v, FLT_MAX) : v;
      add_sample(&s, t, x, want_of(op, t, x, 0));
      add_sample(&s, t, -x, want_of(op, t, -x, 0));
      const double p = plain[next(&r) % FV_COUNTOF(plain)];
      if (i == 0)
        add_sample(&s, t, p, want_of(op, t, p, 0));
    }
  while (s.n % (3 * LANES))
    add_sample(&s, t, 1, want_of(op, t, 1, 0));
  return s;
}

static void check_trig(const trig_samples *s, fv_arena *ar, fv_scalar_op op, fv_dtype t,
                       const fv_kernel_code *k, int lanes) {
  void *buf[3] = {s->x, s->x, s->out};
  memset(s->out, 0, 8 * (size_t)s->n);
  assert_int_equal(fv_kernel_interpret(k, ar, buf, NULL, NULL, 0, s->n / lanes), 0);
  const double bound = t == FV_f32 ? 2.6 : 1.6;
  for (int i = 0; i < s->n; i++) {
    const double got = get(t, s->out, i), off = ulps(t, got, s->want[i]);
    if (off > bound)
      fail_msg("%s %s x%d (%a) = %a, want %La: %g ULP", fv_scalar_name(op), fv_dtype_name(t), lanes,
               get(t, s->x, i), got, s->want[i], off);
  }
}

// The long way stands in a branch, once.
static void check_branch(const fv_kernel_code *k) {
  int n = 0;
  for (uint32_t i = 0; i < k->n_inst; i++)
    n += k->inst[i].op == FV_K_IF;
  assert_int_equal(n, 1);
}

static fv_status trig_body(void *user) {
  fv_arena *ar = user;
  static const int lanes[] = {1, 3, LANES};
  for (int op = FV_X_SIN; op <= FV_X_COS; op++)
    for (int t = FV_f32; t <= FV_f64; t++) {
      const trig_samples s = trig_samples_of(ar, (fv_scalar_op)op, (fv_dtype)t);
      for (size_t i = 0; i < FV_COUNTOF(lanes); i++) {
        const fv_kernel *k = build_wide(ar, (fv_scalar_op)op, (fv_dtype)t, lanes[i]);
        const fv_kernel_code apart = unfuse(ar, &k->code);
        check_branch(&k->code);
        check_trig(&s, ar, (fv_scalar_op)op, (fv_dtype)t, &k->code, lanes[i]);
        check_trig(&s, ar, (fv_scalar_op)op, (fv_dtype)t, &apart, lanes[i]);
      }
    }
  return FV_OK;
}

//===-- Integers ----------------------------------------------------------------------===//

static fv_status integers_body(void *user) {
  fv_arena *ar = user;
  // powers of small integers are exact in floats, wrap in integers
  for (int t = 0; t < FV_DTYPE_COUNT; t++) {
    const fv_dtype d = (fv_dtype)t;
    if (fv_dtype_compute(d) != d || d == FV_bool)
      continue;
    const bool is_float = fv_dtype_is_float(d);
    const fv_kernel *k = build(ar, FV_X_POW, d);
    enum { N = 41 * 16 };
    void *buf[3];
    for (int i = 0; i < 3; i++)
      buf[i] = fv_arena_alloc_n(ar, 8, N);
    for (int i = 0; i < N; i++) {
      const int x = i / 16 - 20, y = i % 16 - (is_float ? 0 : 2);
      const fv_scalar a = is_float ? (fv_scalar){.f = x} : (fv_scalar){.i = x};
      const fv_scalar b = is_float ? (fv_scalar){.f = y} : (fv_scalar){.i = y};
      fv_scalar_store(d, (char *)buf[0] + i * fv_dtype_size(d), a);
      fv_scalar_store(d, (char *)buf[1] + i * fv_dtype_size(d), b);
    }
    assert_int_equal(fv_kernel_interpret(&k->code, ar, buf, NULL, NULL, 0, N / LANES), 0);
    for (int i = 0; i < N; i++) {
      const fv_scalar a = fv_scalar_load(d, (char *)buf[0] + i * fv_dtype_size(d));
      const fv_scalar b = fv_scalar_load(d, (char *)buf[1] + i * fv_dtype_size(d));
      const fv_scalar got = fv_scalar_load(d, (char *)buf[2] + i * fv_dtype_size(d));
      const fv_scalar want = fv_scalar_eval(FV_X_POW, d, d, a, b, b);
      if (!is_float)
        assert_int_equal(got.i, want.i);
      else if (fv_round_to(d, want.f) == want.f)
        assert_true(got.f == want.f);
    }
  }
  return FV_OK;
}

static void protect(fv_status (*body)(void *)) {
  fv_arena *ar = fv_arena_create(NULL);
  const char *bug = NULL;
  const fv_status s = fv_arena_protect(ar, body, ar, &bug);
  fv_arena_destroy(ar);
  if (s != FV_OK)
    fail_msg("status %d: %s", (int)s, bug ? bug : "");
}

static void test_special(void **state) {
  (void)state;
  protect(special_body);
}
static void test_trig(void **state) {
  (void)state;
  protect(trig_body);
}
static void test_integers(void **state) {
  (void)state;
  protect(integers_body);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_special),
      cmocka_unit_test(test_trig),
      cmocka_unit_test(test_integers),
      cmocka_unit_test(test_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
