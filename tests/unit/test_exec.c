// SPDX-License-Identifier: Apache-2.0
// The interpreter of host programs, on images made by hand.
#include "tests/unit/unit.h"

#include "runtime/exec/cpu.h"
#include "runtime/exec/exec.h"
#include "runtime/exec/internal.h"
#include "tests/unit/image_builder.h"

//===-- Kernels ---------------------------------------------------------------===//

enum { K_AXPY, K_ADD1, K_BELOW, K_CHECKED, K_NOTHING };

// 0: buf1[i] = 2 * buf0[i] + scalar0, element a block.
static int32_t k_axpy(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                      int64_t end) {
  (void)scratch;
  for (int64_t i = begin; i < end; i++)
    ((float *)buf[1])[i] = 2 * ((const float *)buf[0])[i] + (float)scalar[0];
  return 0;
}
// 1: buf1[i] = buf0[i] + 1
static int32_t k_add1(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                      int64_t end) {
  (void)scalar;
  (void)scratch;
  for (int64_t i = begin; i < end; i++)
    ((float *)buf[1])[i] = ((const float *)buf[0])[i] + 1;
  return 0;
}
// 2: flag = buf0[0] < scalar0
static int32_t k_below(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                       int64_t end) {
  (void)scratch;
  (void)begin;
  (void)end;
  *(uint8_t *)buf[1] = ((const float *)buf[0])[0] < (float)scalar[0];
  return 0;
}
// 3: as 1, but an element of 13 or more fails check site 1.
static int32_t k_checked(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                         int64_t end) {
  k_add1(buf, scalar, scratch, begin, end);
  for (int64_t i = begin; i < end; i++)
    if (((const float *)buf[0])[i] >= 13)
      return 2;
  return 0;
}
static int32_t k_nothing(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                         int64_t end) {
  (void)buf;
  (void)scalar;
  (void)scratch;
  (void)begin;
  (void)end;
  return 0;
}
static const fv_cpu_kernel_fn kernels[] = {k_axpy, k_add1, k_below, k_checked, k_nothing};

static void add_kernels(ib *b) {
  ib_kernel(b, "axpy", 2, 1, 0);
  ib_kernel(b, "add1", 2, 0, 0);
  ib_kernel(b, "below", 2, 1, 0);
  ib_kernel(b, "checked", 2, 0, 0);
  ib_kernel(b, "nothing", 2, 1, 0);
}

//===-- A device that counts, and may hide its memory --------------------------===//

static int allocations, live, fail_at;
static fv_device_ops counting_ops;
static void *counting_alloc(void *dev, int64_t bytes) {
  allocations++;
  if (fail_at && allocations == fail_at)
    return NULL;
  void *p = fv_cpu_ops()->alloc(dev, bytes);
  memset(p, 0xab, (size_t)bytes);
  live++;
  return p;
}
static void counting_free(void *dev, void *p, int64_t bytes) {
  live--;
  fv_cpu_ops()->free(dev, p, bytes);
}
static const fv_device_ops *counting(bool host_memory) {
  counting_ops = *fv_cpu_ops();
  counting_ops.alloc = counting_alloc;
  counting_ops.free = counting_free;
  counting_ops.host_memory = host_memory;
  allocations = live = fail_at = 0;
  return &counting_ops;
}

typedef struct bench {
  fv_exec_image im;
  fv_cpu_device *dev;
  fv_exec_ctx *c;
} bench;

static int32_t try_start(bench *t, ib *b, const fv_device_ops *ops, uint32_t threads,
                         const void *constants, const fv_cpu_kernel_fn *k) {
  const char *why = "";
  memset(t, 0, sizeof *t);
  int32_t s = fv_exec_open(b->image, b->size, &t->im, &why);
  if (s != FV_MODEL_OK)
    return s;
  const fv_model_options o = {.struct_size = sizeof o, .threads = threads};
  t->dev = fv_cpu_create(k, 5, &o);
  const fv_exec_options eo = {.constants = constants,
                              .const_bytes = b->const_bytes,
                              .ops = ops,
                              .dev = t->dev,
                              .max_bytes = 1 << 24,
                              .max_steps = 100000};
  return fv_exec_create(&t->im, &eo, &t->c);
}
static void start(bench *t, ib *b, const fv_device_ops *ops, const void *constants) {
  const char *why = "";
  if (fv_exec_open(b->image, b->size, &t->im, &why) != FV_MODEL_OK)
    fail_msg("%s", why);
  assert_int_equal(try_start(t, b, ops, 2, constants, kernels), FV_MODEL_OK);
}
static void stop(bench *t) {
  fv_exec_destroy(t->c);
  fv_cpu_destroy(t->dev);
}

static ib b;  // large
static _Alignas(64) const float constants[32] = {[16] = 100, 200, 300, 400};

//===-- A straight program: y = 2 * (x + c) + n ---------------------------------===//

static void build_straight(void) {
  ib_start(&b);
  const uint32_t n = ib_symbol(&b, "N", 0, 0, 100);
  add_kernels(&b);
  b.const_bytes = sizeof constants;
  ib_entry *e = ib_begin(&b, "main");
  e->used[e->n_used++] = n;
  const uint32_t four = ib_lit(e, 4), bytes = ib_op(e, FV_X_MUL, n, four);
  e->bind_end = e->n_inst;
  const uint32_t x = ib_buffer(e, FV_SPACE_INPUT, FV_f32, 0, 0);
  const uint32_t t = ib_buffer(e, FV_SPACE_ARENA, FV_f32, 0, bytes);
  const uint32_t y = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 0, 0);
  const uint32_t z = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 1, 0);
  const uint32_t k = ib_buffer(e, FV_SPACE_CONST, FV_f32, 0, 0);
  e->buffer[k].offset = 64;
  ib_launch(e, K_ADD1, n, FV_NO_SLOT, 2, (uint32_t[]){x, t});
  ib_launch(e, K_AXPY, n, four, 3, (uint32_t[]){t, y, n});
  const uint32_t sixteen = ib_lit(e, 16);
  ib_inst(e, FV_H_COPY, 0, z, k, sixteen, 0);
  ib_port(&b, &e->input[e->n_input++], "x", FV_f32, 1, &n);
  ib_port(&b, &e->output[e->n_output++], "y", FV_f32, 1, &n);
  ib_port(&b, &e->output[e->n_output++], "z", FV_f32, 1, &four);
  ib_finish(&b);
}

static void run_straight(bench *t, int64_t n) {
  float x[100], y[100] = {0}, z[4] = {0};
  for (int i = 0; i < 100; i++)
    x[i] = (float)i;
  assert_int_equal(fv_exec_run(t->c, 0, (const void *[]){x}, (void *[]){y, z}), FV_MODEL_OK);
  for (int i = 0; i < 100; i++)
    assert_true(y[i] == (i < n ? 2 * (float)(i + 1) + (float)n : 0));
  assert_true(z[0] == 100 && z[3] == 400);
}

// x, y of two elements and z of four at all distances from each other, and unwanted.
static void overlaps(bench *t) {
  for (int x = 0; x <= 8; x++)
    for (int y = -1; y <= 8; y++)
      for (int z = -1; z <= 8; z++) {
        float m[12];
        for (int i = 0; i < 12; i++)
          m[i] = (float)i;
        const bool xy = y >= 0 && abs(x - y) < 2, xz = z >= 0 && x < z + 4 && z < x + 2;
        const bool yz = y >= 0 && z >= 0 && y < z + 4 && z < y + 2;
        const int32_t s = fv_exec_run(t->c, 0, (const void *[]){m + x},
                                      (void *[]){y < 0 ? NULL : m + y, z < 0 ? NULL : m + z});
        const char *said = fv_exec_error(t->c);
        assert_int_equal(s, xy || xz || yz ? FV_MODEL_ERR_ARG : FV_MODEL_OK);
        if (s == FV_MODEL_OK)
          continue;
        assert_true((xy && !strcmp(said, "output 'y' overlaps input 'x'")) ||
                    (xz && !strcmp(said, "output 'z' overlaps input 'x'")) ||
                    (yz && (!strcmp(said, "output 'y' overlaps output 'z'") ||
                            !strcmp(said, "output 'z' overlaps output 'y'"))));
        for (int i = 0; i < 12; i++)
          assert_true(m[i] == (float)i);
      }
  // Without elements nothing overlaps.
  float m[4];
  assert_int_equal(fv_exec_bind(t->c, 0, (int64_t[]){0}, NULL), FV_MODEL_OK);
  assert_int_equal(fv_exec_run(t->c, 0, (const void *[]){m}, (void *[]){m, m}), FV_MODEL_OK);
}

static void straight_on(bool host) {
  bench t;
  build_straight();
  start(&t, &b, counting(host), constants);
  const int64_t *bad[] = {(int64_t[]){101}};
  assert_int_equal(fv_exec_run(t.c, 0, NULL, NULL), FV_MODEL_ERR_ARG);
  assert_int_equal(fv_exec_bind(t.c, 0, NULL, bad), FV_MODEL_ERR_DIM);
  assert_string_equal(fv_exec_error(t.c), "N = 101 is out of its range 0..100");
  assert_int_equal(fv_exec_bind(t.c, 0, NULL, NULL), FV_MODEL_ERR_DIM);
  assert_int_equal(fv_exec_bind(t.c, 1, NULL, NULL), FV_MODEL_ERR_ARG);
  const int64_t *dims[] = {(int64_t[]){100}};
  assert_int_equal(fv_exec_bind(t.c, 0, NULL, dims), FV_MODEL_OK);
  const int made = allocations;
  int64_t bytes;
  assert_int_equal(fv_exec_bytes(t.c, 0, FV_MODEL_OUTPUT, 0, &bytes), FV_MODEL_OK);
  assert_int_equal(bytes, 400);
  for (int64_t n = 100; n >= 0; n -= 7) {
    assert_int_equal(fv_exec_bind(t.c, 0, &n, NULL), FV_MODEL_OK);
    run_straight(&t, n);
    run_straight(&t, n);
  }
  assert_int_equal(allocations, made);  // grows only
  assert_int_equal(fv_exec_bind(t.c, 0, (int64_t[]){3}, dims), FV_MODEL_ERR_DIM);
  assert_string_equal(fv_exec_error(t.c), "input 'x': dim 0 is 100, but N is 3");
  assert_int_equal(fv_exec_bind(t.c, 0, (int64_t[]){0}, NULL), FV_MODEL_OK);
  float z[4];
  assert_int_equal(fv_exec_run(t.c, 0, (const void *[]){NULL}, (void *[]){NULL, z}), FV_MODEL_OK);
  assert_int_equal(fv_exec_bind(t.c, 0, (int64_t[]){2}, NULL), FV_MODEL_OK);
  assert_int_equal(fv_exec_run(t.c, 0, (const void *[]){NULL}, (void *[]){NULL, z}),
                   FV_MODEL_ERR_ARG);
  assert_string_equal(fv_exec_error(t.c), "input 'x' is NULL");
  assert_int_equal(fv_exec_run(t.c, 0, (const void *[]){(char *)z + 1}, (void *[]){z, z}),
                   FV_MODEL_ERR_ARG);
  // An output that is not wanted.
  float y[2] = {0};
  memset(z, 0, sizeof z);
  const void *x[] = {(float[]){1, 2}};
  assert_int_equal(fv_exec_run(t.c, 0, x, (void *[]){NULL, z}), FV_MODEL_OK);
  assert_true(z[0] == 100 && z[3] == 400);
  assert_int_equal(fv_exec_run(t.c, 0, x, (void *[]){y, NULL}), FV_MODEL_OK);
  assert_true(y[0] == 6 && y[1] == 8);
  assert_int_equal(fv_exec_run(t.c, 0, x, NULL), FV_MODEL_OK);
  overlaps(&t);
  stop(&t);
  assert_int_equal(live, 0);
}
static void test_straight(void **state) {
  (void)state;
  straight_on(true);
}
static void test_device_memory(void **state) {
  (void)state;
  straight_on(false);
}

static void test_allocation_fails(void **state) {
  (void)state;
  build_straight();
  for (int host = 0; host < 2; host++)
    for (int n = 1;; n++) {
      bench t;
      const fv_device_ops *ops = counting(host);
      fail_at = n;
      int32_t s = try_start(&t, &b, ops, 1, constants, kernels);
      if (s == FV_MODEL_OK)
        s = fv_exec_bind(t.c, 0, (int64_t[]){50}, NULL);
      const bool done = allocations < n;
      assert_int_equal(s, done ? FV_MODEL_OK : FV_MODEL_ERR_OOM);
      if (t.c) {  // it recovers
        assert_int_equal(fv_exec_bind(t.c, 0, (int64_t[]){50}, NULL), FV_MODEL_OK);
        run_straight(&t, 50);
      }
      stop(&t);
      assert_int_equal(live, 0);
      if (done)
        break;
    }
}

//===-- Loops: swap, while, slices, trips ---------------------------------------===//

// cur = x; for i < T while cur[0] < limit: slice_i = cur; next = cur + 1; swap
// outputs: y = cur [N], all[count, N].
static void build_loop(void) {
  ib_start(&b);
  const uint32_t n = ib_symbol(&b, "N", 0, 1, 8), trips = ib_symbol(&b, "T", 0, 0, 10);
  const uint32_t limit = ib_symbol(&b, "limit", 0, 0, 100);
  const uint32_t i = ib_symbol(&b, "i", 2, 0, 9), count = ib_symbol(&b, "count", 3, 0, 10);
  const uint32_t go = ib_symbol(&b, "go", 3, 0, 1);
  add_kernels(&b);
  const uint32_t site = ib_site(&b, "no bool");
  ib_entry *e = ib_begin(&b, "main");
  for (uint32_t s = n; s <= limit; s++)
    e->used[e->n_used++] = s;
  const uint32_t one = ib_lit(e, 1), four = ib_lit(e, 4), bytes = ib_op(e, FV_X_MUL, n, four);
  const uint32_t all_bytes = ib_op(e, FV_X_MUL, trips, bytes);
  e->bind_end = e->n_inst;
  const uint32_t x = ib_buffer(e, FV_SPACE_INPUT, FV_f32, 0, 0);
  const uint32_t cur = ib_buffer(e, FV_SPACE_ARENA, FV_f32, 0, bytes);
  const uint32_t next = ib_buffer(e, FV_SPACE_ARENA, FV_f32, 0, bytes);
  const uint32_t flag = ib_buffer(e, FV_SPACE_ARENA, FV_bool, 0, one);
  const uint32_t all = ib_buffer(e, FV_SPACE_ARENA, FV_f32, 0, all_bytes);
  const uint32_t slice = ib_buffer(e, FV_SPACE_VIEW, FV_f32, all, 0);
  const uint32_t y = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 0, 0);
  const uint32_t out = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 1, 0);
  ib_inst(e, FV_H_COPY, 0, cur, x, bytes, 0);
  ib_launch(e, K_BELOW, one, FV_NO_SLOT, 3, (uint32_t[]){cur, flag, limit});
  ib_inst(e, FV_H_READ, 0, go, flag, one, site);
  const uint32_t loop = e->n_inst;
  ib_inst(e, FV_H_LOOP, 0, i, trips, 0, go);
  e->buffer[slice].stride_slot = ib_op(e, FV_X_MUL, i, bytes);
  ib_inst(e, FV_H_COPY, 0, slice, cur, bytes, 0);
  ib_launch(e, K_ADD1, n, FV_NO_SLOT, 2, (uint32_t[]){cur, next});
  ib_inst(e, FV_H_SWAP, 0, cur, next, 0, 0);
  ib_launch(e, K_BELOW, one, FV_NO_SLOT, 3, (uint32_t[]){cur, flag, limit});
  ib_inst(e, FV_H_READ, 0, go, flag, one, site);
  ib_inst(e, FV_H_END_LOOP, 0, loop, count, 0, 0);
  e->inst[loop].c = e->n_inst;
  ib_inst(e, FV_H_COPY, 0, y, cur, bytes, 0);
  const uint32_t made = ib_op(e, FV_X_MUL, count, bytes);
  ib_inst(e, FV_H_COPY, 0, out, all, made, 0);
  ib_port(&b, &e->input[e->n_input++], "x", FV_f32, 1, &n);
  ib_port(&b, &e->output[e->n_output++], "y", FV_f32, 1, &n);
  ib_port(&b, &e->output[e->n_output++], "all", FV_f32, 2, (uint32_t[]){count, n});
  e->output[1].bound_slot[0] = trips;
  ib_finish(&b);
}

static void loop_case(bench *t, int64_t n, int64_t trips, int64_t limit) {
  float x[8], y[8], all[80];
  for (int i = 0; i < 8; i++)
    x[i] = (float)i;
  assert_int_equal(fv_exec_bind(t->c, 0, (int64_t[]){n, trips, limit}, NULL), FV_MODEL_OK);
  int64_t dim[8];
  assert_int_equal(fv_exec_dims(t->c, 0, FV_MODEL_OUTPUT, 1, dim), FV_MODEL_OK);
  assert_int_equal(dim[0], trips);
  const int64_t made = trips < limit ? trips : limit;
  for (int again = 0; again < 2; again++) {
    assert_int_equal(fv_exec_run(t->c, 0, (const void *[]){x}, (void *[]){y, all}), FV_MODEL_OK);
    assert_int_equal(fv_exec_dims(t->c, 0, FV_MODEL_OUTPUT, 1, dim), FV_MODEL_OK);
    assert_int_equal(dim[0], made);
    assert_int_equal(dim[1], n);
    for (int64_t i = 0; i < n; i++)
      assert_true(y[i] == (float)(i + made));
    for (int64_t k = 0; k < made; k++)
      for (int64_t i = 0; i < n; i++)
        assert_true(all[k * n + i] == (float)(i + k));
  }
}

static void test_loop(void **state) {
  (void)state;
  for (int host = 0; host < 2; host++) {
    bench t;
    build_loop();
    start(&t, &b, counting(host), NULL);
    for (int64_t n = 1; n <= 8; n++)
      for (int64_t trips = 0; trips <= 10; trips++)
        for (int64_t limit = 0; limit <= 12; limit += 3)
          loop_case(&t, n, trips, limit);
    stop(&t);
  }
}

//===-- READ and results that SCALAR writes -----------------------------------------===//

// n = the element of the input, which must be in 2..most; y holds n + 1 of the 9 it may.
static void build_read(uint8_t dtype) {
  ib_start(&b);
  const uint32_t most = ib_symbol(&b, "most", 0, 0, 8), n = ib_symbol(&b, "n", 3, 2, 8);
  const uint32_t made = ib_symbol(&b, "made", 3, 0, 9);
  static const char range[] = " is not in 2..most = ";
  const uint32_t site = ib_site(&b, "n:  is not in 2..most = ");
  ib_entry *e = ib_begin(&b, "main");
  e->used[e->n_used++] = most;
  const uint32_t one = ib_lit(e, 1), bound = ib_op(e, FV_X_ADD, most, one);
  e->bind_end = e->n_inst;
  const uint32_t x = ib_buffer(e, FV_SPACE_INPUT, dtype, 0, 0);
  const uint32_t y = ib_buffer(e, FV_SPACE_OUTPUT, FV_u8, 0, 0);
  ib_inst(e, FV_H_READ, sizeof range - 1, n, x, most, site);
  ib_inst(e, FV_H_SCALAR, FV_X_ADD, made, n, one, 0);
  ib_inst(e, FV_H_ZERO, 0, y, 0, made, 0);
  ib_port(&b, &e->input[e->n_input++], "x", dtype, 1, &one);
  ib_port(&b, &e->output[e->n_output++], "y", FV_u8, 1, &made);
  e->output[0].bound_slot[0] = bound;
  ib_finish(&b);
}

// Instructions take the primitives that integers have, and of those all.
static void test_primitives(void **state) {
  (void)state;
  enum { ANY = FV_MODEL_OK, FLOATS = FV_MODEL_ERR_IMAGE };
  static const int32_t want[] = {
#define X(id, name, arity, types) types,
      FV_SCALAR_TABLE(X)
#undef X
          FLOATS  // behind the last one
  };
  for (uint16_t op = 0; op <= FV_X_COUNT; op++) {
    fv_exec_image im;
    const char *why;
    ib_start(&b);
    ib_entry *e = ib_begin(&b, "main");
    const uint32_t one = ib_lit(e, 1);
    ib_inst(e, FV_H_SCALAR, op, e->n_slot++, one, one, one);
    e->bind_end = e->n_inst;
    ib_finish(&b);
    if (fv_exec_open(b.image, b.size, &im, &why) != want[op])
      fail_msg("primitive %d: %s", op, why);
  }
}

// What does not fit 64 bits fails, whatever the numbers; what does is exact.
static void test_exact(void **state) {
  (void)state;
  __extension__ typedef __int128 wide;
  static const int64_t edge[] = {
      INT64_MIN,           INT64_MIN + 1,    -(INT64_C(1) << 32), -3,       -1, 0, 1, 2, 7,
      INT64_C(3037000499), INT64_C(1) << 32, INT64_MAX - 1,       INT64_MAX};
  for (size_t i = 0; i < FV_COUNTOF(edge) * FV_COUNTOF(edge); i++) {
    const int64_t a = edge[i % FV_COUNTOF(edge)], c = edge[i / FV_COUNTOF(edge)];
    const wide want[] = {(wide)a + c, (wide)a - c, (wide)a * c, -(wide)a};
    static const uint32_t op[] = {FV_X_ADD, FV_X_SUB, FV_X_MUL, FV_X_NEG};
    for (size_t k = 0; k < FV_COUNTOF(op); k++) {
      const bool fits = want[k] >= INT64_MIN && want[k] <= INT64_MAX;
      const bool known = a != FV_MODEL_UNKNOWN && (op[k] == FV_X_NEG || c != FV_MODEL_UNKNOWN);
      assert_int_equal(ex_scalar(op[k], a, c, c),
                       known && fits ? (int64_t)want[k] : FV_MODEL_UNKNOWN);
    }
  }
}

static void test_read(void **state) {
  (void)state;
  static const uint8_t dtype[] = {FV_i8, FV_u8, FV_i16, FV_i32, FV_i64};
  for (int host = 0; host < 2; host++)
    for (size_t k = 0; k < sizeof dtype; k++) {
      bench t;
      build_read(dtype[k]);
      start(&t, &b, counting(host), NULL);
      for (int64_t v = -3; v <= 9; v++) {
        const int64_t x = v;  // little-endian: its first bytes are the narrower element
        const bool fits = v >= 2 && v <= 6;
        uint8_t y[16];
        int64_t dim[8];
        memset(y, 1, sizeof y);
        assert_int_equal(fv_exec_bind(t.c, 0, (int64_t[]){6}, NULL), FV_MODEL_OK);
        const int32_t s = fv_exec_run(t.c, 0, (const void *[]){&x}, (void *[]){y});
        assert_int_equal(s, fits ? FV_MODEL_OK : FV_MODEL_ERR_RUN);
        if (!fits) {
          char want[64];
          snprintf(want, sizeof want, "n: %lld is not in 2..most = 6",
                   (long long)(dtype[k] == FV_u8 ? (uint8_t)v : v));
          assert_string_equal(fv_exec_error(t.c), want);
          continue;
        }
        assert_int_equal(fv_exec_dims(t.c, 0, FV_MODEL_OUTPUT, 0, dim), FV_MODEL_OK);
        assert_int_equal(dim[0], v + 1);
        for (int64_t i = 0; i < 16; i++)
          assert_int_equal(y[i], i <= v ? 0 : 1);
      }
      stop(&t);
    }
  // A float is no scalar of the host; dims and lengths are not the run's to write.
  fv_exec_image im;
  const char *why;
  build_read(FV_f32);
  assert_int_equal(fv_exec_open(b.image, b.size, &im, &why), FV_MODEL_ERR_IMAGE);
  for (int inst = 0; inst < 2; inst++) {
    build_read(FV_i64);
    fv_hinst h;
    fv_prog_entry entry;
    memcpy(&entry, b.image + ((fv_program *)(void *)b.image)->entries.offset, sizeof entry);
    const size_t at = entry.insts.offset + (entry.bind_end + (uint32_t)inst) * sizeof h;
    memcpy(&h, b.image + at, sizeof h);
    h.a = 0;  // the dim
    memcpy(b.image + at, &h, sizeof h);
    assert_int_equal(fv_exec_open(b.image, b.size, &im, &why), FV_MODEL_ERR_IMAGE);
  }
}

//===-- Nested loops and IF ---------------------------------------------------------===//

// for i < A: for j < B: if (i + j) % 2: y += 1
static void test_nested(void **state) {
  (void)state;
  ib_start(&b);
  const uint32_t na = ib_symbol(&b, "A", 0, 0, 9), nb = ib_symbol(&b, "B", 0, 0, 9);
  const uint32_t i = ib_symbol(&b, "i", 2, 0, 9), j = ib_symbol(&b, "j", 2, 0, 9);
  add_kernels(&b);
  ib_entry *e = ib_begin(&b, "main");
  e->used[e->n_used++] = na;
  e->used[e->n_used++] = nb;
  const uint32_t one = ib_lit(e, 1), two = ib_lit(e, 2), four = ib_lit(e, 4);
  e->bind_end = e->n_inst;
  const uint32_t y = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 0, 0);
  ib_inst(e, FV_H_ZERO, 0, y, 0, four, 0);
  const uint32_t outer = e->n_inst;
  ib_inst(e, FV_H_LOOP, 0, i, na, 0, FV_NO_SLOT);
  const uint32_t inner = e->n_inst;
  ib_inst(e, FV_H_LOOP, 0, j, nb, 0, FV_NO_SLOT);
  const uint32_t odd = ib_op(e, FV_X_MOD, ib_op(e, FV_X_ADD, i, j), two);
  const uint32_t skip = e->n_inst;
  ib_inst(e, FV_H_IF, 0, odd, 0, 0, 0);
  ib_launch(e, K_ADD1, one, FV_NO_SLOT, 2, (uint32_t[]){y, y});
  e->inst[skip].b = e->n_inst;
  ib_inst(e, FV_H_END_LOOP, 0, inner, FV_NO_SLOT, 0, 0);
  e->inst[inner].c = e->n_inst;
  ib_inst(e, FV_H_END_LOOP, 0, outer, FV_NO_SLOT, 0, 0);
  e->inst[outer].c = e->n_inst;
  ib_port(&b, &e->output[e->n_output++], "y", FV_f32, 0, NULL);
  ib_finish(&b);
  bench t;
  start(&t, &b, fv_cpu_ops(), NULL);
  for (int64_t a = 0; a < 10; a++)
    for (int64_t c = 0; c < 10; c++) {
      float got = -1, want = 0;
      assert_int_equal(fv_exec_bind(t.c, 0, (int64_t[]){a, c}, NULL), FV_MODEL_OK);
      assert_int_equal(fv_exec_run(t.c, 0, NULL, (void *[]){&got}), FV_MODEL_OK);
      for (int64_t p = 0; p < a * c; p++)
        want += (float)((p / c + p % c) % 2);
      assert_true(got == want);
    }
  stop(&t);
  // A jump into a loop is refused.
  b.entry[0].inst[0] = b.entry[0].inst[0];
  fv_hinst *inst =
      (fv_hinst *)(void *)(b.image +
                           ((fv_prog_entry *)(void *)(b.image + ((fv_program *)(void *)b.image)
                                                                    ->entries.offset))
                               ->insts.offset);
  fv_exec_image im;
  inst[skip].b = outer;
  assert_int_equal(fv_exec_open(b.image, b.size, &im, NULL), FV_MODEL_ERR_IMAGE);
  inst[skip].b = e->n_inst;
  assert_int_equal(fv_exec_open(b.image, b.size, &im, NULL), FV_MODEL_ERR_IMAGE);
}

//===-- As wide and as deep as it comes ----------------------------------------------===//

enum { WIDE = 400, DEEP = 200 };
static int32_t k_sum(void *const *buf, const int64_t *scalar, void *scratch, int64_t begin,
                     int64_t end) {
  (void)scalar;
  (void)scratch;
  (void)begin;
  (void)end;
  for (int i = 0; i < WIDE - 1; i++)
    ((float *)buf[WIDE - 1])[0] += ((const float *)buf[i])[0];
  return 0;
}

// A kernel of many buffers within many loops of one trip each.
static void test_wide_and_deep(void **state) {
  (void)state;
  static const fv_cpu_kernel_fn wide[] = {k_sum, k_sum, k_sum, k_sum, k_sum};
  float x = 2, y = -1;
  ib_start(&b);
  ib_kernel(&b, "sum", WIDE, 0, 0);
  ib_entry *e = ib_begin(&b, "main");
  const uint32_t one = ib_lit(e, 1), four = ib_lit(e, 4);
  e->bind_end = e->n_inst;
  uint32_t arg[WIDE], loop[DEEP];
  for (int i = 0; i < WIDE; i++)
    arg[i] = ib_buffer(e, i < WIDE - 1 ? FV_SPACE_INPUT : FV_SPACE_OUTPUT, FV_f32, 0, 0);
  ib_inst(e, FV_H_ZERO, 0, arg[WIDE - 1], 0, four, 0);
  for (int i = 0; i < DEEP; i++) {
    loop[i] = e->n_inst;
    ib_inst(e, FV_H_LOOP, 0, e->n_slot++, one, 0, FV_NO_SLOT);
  }
  ib_launch(e, 0, one, FV_NO_SLOT, WIDE, arg);
  for (int i = DEEP; i-- > 0;) {
    ib_inst(e, FV_H_END_LOOP, 0, loop[i], FV_NO_SLOT, 0, 0);
    e->inst[loop[i]].c = e->n_inst;
  }
  ib_port(&b, &e->input[e->n_input++], "x", FV_f32, 0, NULL);
  ib_port(&b, &e->output[e->n_output++], "y", FV_f32, 0, NULL);
  ib_finish(&b);
  bench t;
  assert_int_equal(try_start(&t, &b, fv_cpu_ops(), 2, NULL, wide), FV_MODEL_OK);
  assert_int_equal(fv_exec_bind(t.c, 0, NULL, NULL), FV_MODEL_OK);
  assert_int_equal(fv_exec_run(t.c, 0, (const void *[]){&x}, (void *[]){&y}), FV_MODEL_OK);
  assert_true(y == 2 * (WIDE - 1));
  stop(&t);
}

//===-- States -----------------------------------------------------------------------===//

// cache[C] with length L: rows L..L+N become x + 1, which fails where x >= 13; y
// = the first L + N rows. rnn[2]: two members, the one of which is doubled.
static void build_states(void) {
  ib_start(&b);
  const uint32_t n = ib_symbol(&b, "N", 0, 1, 8), cap = ib_symbol(&b, "C", 0, 1, 64);
  const uint32_t len = ib_symbol(&b, "L", 1, 0, 60);
  add_kernels(&b);
  ib_site(&b, "m.xml:1:1: first");
  ib_site(&b, "m.xml:12:5: 13 is unlucky");
  ib_site(&b, "m.xml:2:2: the state is full");
  b.state[b.n_state++] = (fv_prog_state){.name = ib_str(&b, "cache"),
                                         .dtype = FV_f32,
                                         .rank = 1,
                                         .length_dim = 1,
                                         .length_symbol = len,
                                         .members = 1,
                                         .dim = {{0, cap, 0}}};
  b.state[b.n_state++] = (fv_prog_state){.name = ib_str(&b, "rnn"),
                                         .dtype = FV_f32,
                                         .rank = 1,
                                         .double_buffered = 1,
                                         .length_symbol = FV_NO_SLOT,
                                         .members = 3,
                                         .dim = {{2, FV_NO_SLOT, 0}}};
  ib_entry *e = ib_begin(&b, "main");
  e->used[e->n_used++] = n;
  e->used[e->n_used++] = cap;
  const uint32_t two = ib_lit(e, 2), four = ib_lit(e, 4), at = ib_op(e, FV_X_MUL, len, four);
  const uint32_t end = ib_op(e, FV_X_ADD, len, n), bytes = ib_op(e, FV_X_MUL, end, four);
  const uint32_t member = ib_lit(e, 64), eight = ib_lit(e, 8);
  e->bind_end = e->n_inst;
  const uint32_t x = ib_buffer(e, FV_SPACE_INPUT, FV_f32, 0, 0);
  const uint32_t whole = ib_buffer(e, FV_SPACE_STATE, FV_f32, 0, 0);
  const uint32_t rows = ib_buffer(e, FV_SPACE_STATE, FV_f32, 0, 0);
  e->buffer[rows].stride_slot = at;
  const uint32_t old = ib_buffer(e, FV_SPACE_STATE, FV_f32, 1, 0);
  const uint32_t new = ib_buffer(e, FV_SPACE_STATE_NEXT, FV_f32, 1, 0);
  e->buffer[old].stride_slot = e->buffer[new].stride_slot = member;
  const uint32_t y = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 0, 0);
  const uint32_t h = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 1, 0);
  ib_launch(e, K_ADD1, two, FV_NO_SLOT, 2, (uint32_t[]){old, new});
  ib_inst(e, FV_H_COPY, 0, h, new, eight, 0);
  ib_launch(e, K_CHECKED, n, FV_NO_SLOT, 2, (uint32_t[]){x, rows});
  ib_inst(e, FV_H_COPY, 0, y, whole, bytes, 0);
  e->advance[e->n_advance++] = (fv_prog_advance){len, end};
  ib_port(&b, &e->input[e->n_input++], "x", FV_f32, 1, &n);
  ib_port(&b, &e->output[e->n_output++], "y", FV_f32, 1, &end);
  ib_port(&b, &e->output[e->n_output++], "h", FV_f32, 1, &two);
  ib_finish(&b);
}

static int32_t append(bench *t, int64_t n, int64_t cap, float first, float *y, float *h) {
  float x[8];
  for (int i = 0; i < 8; i++)
    x[i] = first + (float)i;
  const int32_t s = fv_exec_bind(t->c, 0, (int64_t[]){n, cap}, NULL);
  return s ? s : fv_exec_run(t->c, 0, (const void *[]){x}, (void *[]){y, h});
}

static void states_on(bool host) {
  bench t;
  float y[64], h[2];
  build_states();
  start(&t, &b, counting(host), NULL);
  assert_int_equal(append(&t, 3, 20, 0, y, h), FV_MODEL_OK);
  assert_true(y[0] == 1 && y[2] == 3 && h[0] == 1);
  assert_int_equal(append(&t, 2, 20, 7, y, h), FV_MODEL_OK);
  assert_true(y[2] == 3 && y[3] == 8 && y[4] == 9 && h[1] == 2);
  // Fails half-way: nothing has changed.
  assert_int_equal(append(&t, 8, 20, 6, y, h), FV_MODEL_ERR_RUN);
  assert_string_equal(fv_exec_error(t.c), "m.xml:12:5: 13 is unlucky");
  fv_model_state st;
  assert_int_equal(fv_exec_state(t.c, 0, &st), FV_MODEL_OK);
  assert_int_equal(st.length, 5);
  assert_int_equal(st.capacity, 20);
  // What was saved comes back, in another context too.
  uint64_t bytes;
  assert_int_equal(fv_exec_save(t.c, NULL, 0, &bytes), FV_MODEL_OK);
  unsigned char *saved = malloc(bytes);
  assert_int_equal(fv_exec_save(t.c, saved, bytes - 1, &bytes), FV_MODEL_ERR_ARG);
  assert_int_equal(fv_exec_save(t.c, saved, bytes, &bytes), FV_MODEL_OK);
  assert_int_equal(append(&t, 1, 20, 0, y, h), FV_MODEL_OK);
  assert_true(y[4] == 9 && y[5] == 1 && h[1] == 3);
  // Another capacity while in use.
  assert_int_equal(append(&t, 1, 21, 0, y, h), FV_MODEL_ERR_DIM);
  assert_string_equal(fv_exec_error(t.c),
                      "state 'cache' is in use with C = 20, not 21: reset it first");
  bench other;
  start(&other, &b, &counting_ops, NULL);
  assert_int_equal(fv_exec_load(other.c, saved, bytes), FV_MODEL_OK);
  assert_int_equal(append(&other, 1, 20, 0, y, h), FV_MODEL_OK);
  assert_true(y[4] == 9 && y[5] == 1 && h[1] == 3);
  for (uint64_t i = 0; i < bytes; i += 3) {  // damaged ones are refused, or are other states
    unsigned char old = saved[i];
    saved[i] ^= 0x41;
    if (fv_exec_load(other.c, saved, bytes) == FV_MODEL_OK)
      (void)append(&other, 1, 20, 0, y, h);
    saved[i] = old;
    assert_int_equal(fv_exec_load(other.c, saved, i), FV_MODEL_ERR_ARG);
  }
  free(saved);
  stop(&other);
  // Full: 20 rows.
  assert_int_equal(append(&t, 8, 20, 0, y, h), FV_MODEL_OK);
  assert_int_equal(append(&t, 6, 20, 0, y, h), FV_MODEL_OK);
  assert_int_equal(append(&t, 1, 20, 0, y, h), FV_MODEL_ERR_RUN);
  assert_int_equal(fv_exec_state(t.c, 0, &st), FV_MODEL_OK);
  assert_int_equal(st.length, 20);
  assert_int_equal(fv_exec_reset(t.c), FV_MODEL_OK);
  assert_int_equal(append(&t, 1, 33, 0, y, h), FV_MODEL_OK);
  assert_true(y[0] == 1 && h[0] == 1);
  // Bound as before: the lengths have grown, and with them an output.
  assert_int_equal(fv_exec_run(t.c, 0, (const void *[]){y}, (void *[]){y, h}), FV_MODEL_ERR_DIM);
  stop(&t);
  assert_int_equal(live, 0);
}
static void test_states(void **state) {
  (void)state;
  states_on(true);
  states_on(false);
}

//===-- The planner -----------------------------------------------------------------===//

static void test_planner(void **state) {
  (void)state;
  enum { MAX = 120 };
  static fv_plan_item item[MAX];
  static uint32_t order[2 * MAX];
  uint32_t seed = 12345;
  for (int round = 0; round < 400; round++) {
    const uint32_t n = (uint32_t)round % MAX;
    int64_t bytes[MAX];
    for (uint32_t i = 0; i < n; i++) {
      seed = seed * 1664525u + 1013904223u;
      item[i].bytes = bytes[i] = seed >> 8 & (seed >> 28 > 8 ? 0xffff : 0xff);
      item[i].first = seed >> 3 & 63;
      item[i].last = item[i].first + (seed >> 20 & 31);
    }
    const int64_t total = fv_plan_arena(item, n, order);
    int64_t sum = 0, peak = 0;
    for (uint32_t i = 0; i < n; i++) {
      assert_true(item[i].bytes >= bytes[i] && item[i].bytes >= 64 && item[i].offset % 64 == 0);
      assert_true(item[i].offset >= 0 && item[i].offset + item[i].bytes <= total);
      sum += item[i].bytes;
      for (uint32_t k = 0; k < i; k++)
        if (item[i].first <= item[k].last && item[k].first <= item[i].last)
          assert_true(item[i].offset + item[i].bytes <= item[k].offset ||
                      item[k].offset + item[k].bytes <= item[i].offset);
    }
    for (uint32_t at = 0; at < 96; at++) {
      int64_t alive = 0;
      for (uint32_t i = 0; i < n; i++)
        alive += item[i].first <= at && at <= item[i].last ? item[i].bytes : 0;
      peak = alive > peak ? alive : peak;
    }
    assert_true(total >= peak && total <= sum && total <= 2 * peak);
  }
  item[0] = (fv_plan_item){.bytes = -1};
  assert_int_equal(fv_plan_arena(item, 1, order), -1);
  item[0].bytes = item[1].bytes = INT64_C(1) << 46;
  item[1].first = item[1].last = 0;
  assert_int_equal(fv_plan_arena(item, 2, order), -1);
}

//===-- Views -----------------------------------------------------------------------===//

enum { V_LAUNCH, V_COPY_TO, V_COPY_FROM, V_ZERO, V_READ, V_USES };

// One use of `bytes` at a view of a view of a buffer; their offsets and the buffer's size are
// symbols.
static void build_view(int use) {
  ib_start(&b);
  uint32_t symbol[4];
  static const char *const name[] = {"size", "outer", "inner", "bytes"};
  const uint32_t made = ib_symbol(&b, "made", 3, INT64_MIN, INT64_MAX);
  for (int i = 0; i < 4; i++)
    symbol[i] = ib_symbol(&b, name[i], 0, 0, INT64_MAX);
  const uint32_t kernel = ib_kernel(&b, "nothing", 1, 0, 0), site = ib_site(&b, "made");
  ib_entry *e = ib_begin(&b, "main");
  for (int i = 0; i < 4; i++)
    e->used[e->n_used++] = symbol[i];
  const uint32_t one = ib_lit(e, 1), many = ib_lit(e, 64), most = ib_lit(e, 255);
  const uint32_t outer = ib_op(e, FV_X_SUB, symbol[1], many);
  const uint32_t inner = ib_op(e, FV_X_SUB, symbol[2], many);
  e->bind_end = e->n_inst;
  const uint32_t whole = ib_buffer(e, FV_SPACE_ARENA, FV_u8, 0, symbol[0]);
  const uint32_t other = ib_buffer(e, FV_SPACE_ARENA, FV_u8, 0, many);
  const uint32_t part = ib_buffer(e, FV_SPACE_VIEW, FV_u8, whole, FV_NO_SLOT);
  e->buffer[part].stride_slot = outer;
  const uint32_t view = ib_buffer(e, FV_SPACE_VIEW, FV_u8, part, FV_NO_SLOT);
  e->buffer[view].stride_slot = inner;
  switch (use) {
  case V_LAUNCH: ib_launch(e, kernel, one, FV_NO_SLOT, 1, &view); break;
  case V_COPY_TO: ib_inst(e, FV_H_COPY, 0, view, other, symbol[3], 0); break;
  case V_COPY_FROM: ib_inst(e, FV_H_COPY, 0, other, view, symbol[3], 0); break;
  case V_ZERO: ib_inst(e, FV_H_ZERO, 0, view, 0, symbol[3], 0); break;
  default: ib_inst(e, FV_H_READ, 0, made, view, most, site); break;
  }
  ib_finish(&b);
}

// A view begins within its buffer, at whose end only that of an empty one may; what is copied,
// cleared or read ends within it.
static bool is_within(int use, int64_t size, int64_t offset, int64_t bytes) {
  if (offset < 0 || offset > size || (offset == size && size))
    return false;
  return use == V_LAUNCH || offset + (use == V_READ ? 1 : bytes) <= size;
}

static void test_views(void **state) {
  (void)state;
  static const int64_t at[] = {0,  1,  2,  63, 64,  65,
                               66, 71, 72, 73, 127, 128};  // 64 more than meant
  static const fv_cpu_kernel_fn kernel[] = {k_nothing};
  int refused = 0, ran = 0;
  for (int use = 0; use < V_USES; use++) {
    build_view(use);
    bench t = {0};
    if (try_start(&t, &b, fv_cpu_ops(), 1, NULL, kernel) != FV_MODEL_OK)
      fail_msg("use %d is refused", use);
    for (int64_t size = 0; size <= 9; size++)
      for (size_t o = 0; o < sizeof at / sizeof *at; o++)
        for (size_t i = 0; i < sizeof at / sizeof *at; i++)
          for (int64_t bytes = 0; bytes <= 9; bytes += 3) {
            const int64_t symbol[] = {size, at[o], at[i], bytes};
            assert_int_equal(fv_exec_bind(t.c, 0, symbol, NULL), FV_MODEL_OK);
            const int32_t s = fv_exec_run(t.c, 0, NULL, NULL);
            const bool good = is_within(use, size, at[o] + at[i] - 128, bytes);
            if (good != (s == FV_MODEL_OK) ||
                (!good && !strstr(fv_exec_error(t.c), "out of bounds")))
              fail_msg("use %d of %lld bytes at %lld + %lld of %lld: %d %s", use, (long long)bytes,
                       (long long)at[o] - 64, (long long)at[i] - 64, (long long)size, s,
                       fv_exec_error(t.c));
            ran += good;
            refused += !good;
          }
    stop(&t);
  }
  assert_true(ran > 100 && refused > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_straight),
      cmocka_unit_test(test_device_memory),
      cmocka_unit_test(test_allocation_fails),
      cmocka_unit_test(test_loop),
      cmocka_unit_test(test_primitives),
      cmocka_unit_test(test_exact),
      cmocka_unit_test(test_read),
      cmocka_unit_test(test_views),
      cmocka_unit_test(test_nested),
      cmocka_unit_test(test_wide_and_deep),
      cmocka_unit_test(test_states),
      cmocka_unit_test(test_planner),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
