// SPDX-License-Identifier: Apache-2.0
// Images with each kind of host instruction and with conditions of bind and run: what conditions
// do, and that an image of which any word is damaged is refused, fails, or runs within its bounds.
// Images, inputs, outputs and constants end at a page that nobody may touch; of what is on the
// device each reference is checked.
#include "tests/unit/unit.h"

#include <sys/mman.h>

#include "base/base.h"

#include "runtime/exec/cpu.h"
#include "runtime/exec/exec.h"
#include "tests/unit/image_builder.h"

//===-- Memory that ends where it ends ----------------------------------------------===//

enum { PAGES = 1 << 17, PAGE = 4096 };

typedef struct pages {
  unsigned char *end;  // of what may be touched
} pages;

static pages make_pages(void) {
  unsigned char *p =
      mmap(NULL, PAGES + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(p != MAP_FAILED);
  assert_int_equal(mprotect(p + PAGES, PAGE, PROT_NONE), 0);
  return (pages){p + PAGES};
}

static void *last_bytes(const pages *p, size_t n) {
  assert_true(n <= PAGES);
  return p->end - n;
}

//===-- A device that looks at each reference ---------------------------------------===//

enum { MAX_OBJECTS = 64 };
typedef struct strict {
  struct {
    unsigned char *at;
    int64_t bytes;
  } object[MAX_OBJECTS];
  bool refused;  // something lay out of bounds
} strict;

static void *strict_alloc(void *dev, int64_t bytes) {
  strict *d = dev;
  for (int i = 0; i < MAX_OBJECTS; i++)
    if (!d->object[i].at) {
      d->object[i].at = fv_cpu_alloc(NULL, bytes);
      d->object[i].bytes = bytes;
      return d->object[i].at;
    }
  return NULL;
}

static void strict_free(void *dev, void *object, int64_t bytes) {
  strict *d = dev;
  bool known = false;
  for (int i = 0; i < MAX_OBJECTS && !known; i++)
    if (d->object[i].at == object) {
      known = d->object[i].bytes == bytes;
      d->object[i].at = NULL;
    }
  d->refused = d->refused || !known;
  fv_cpu_free(NULL, object, bytes);
}

static bool lies_within(strict *d, fv_memref r, int64_t bytes) {
  for (int i = 0; i < MAX_OBJECTS; i++)
    if (r.object && d->object[i].at == r.object)
      return r.offset >= 0 && bytes >= 0 && r.offset <= d->object[i].bytes &&
             bytes <= d->object[i].bytes - r.offset;
  return false;
}

static bool may(strict *d, fv_memref r, int64_t bytes) {
  const bool ok = bytes == 0 || lies_within(d, r, bytes);
  d->refused = d->refused || !ok;
  return ok;
}

static int32_t strict_copy(void *dev, fv_memref dst, fv_memref src, int64_t bytes) {
  return may(dev, dst, bytes) && may(dev, src, bytes) ? fv_cpu_copy(NULL, dst, src, bytes) : -1;
}
static int32_t strict_zero(void *dev, fv_memref dst, int64_t bytes) {
  return may(dev, dst, bytes) ? fv_cpu_zero(NULL, dst, bytes) : -1;
}
static int32_t strict_write(void *dev, fv_memref dst, const void *src, int64_t bytes) {
  return may(dev, dst, bytes) ? fv_cpu_write(NULL, dst, src, bytes) : -1;
}
static int32_t strict_read(void *dev, void *dst, fv_memref src, int64_t bytes) {
  return may(dev, src, bytes) ? fv_cpu_read(NULL, dst, src, bytes) : -1;
}
static int32_t strict_launch(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                             uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                             int64_t scratch_bytes) {
  (void)kernel;
  (void)n_scalar;
  (void)scalar;
  (void)blocks;
  (void)scratch_bytes;
  for (uint32_t i = 0; i < n_buf; i++)
    (void)may(dev, buf[i], 1);
  return 0;
}
static const char *strict_error(void *dev) {
  (void)dev;
  return "out of bounds";
}
static const fv_device_ops strict_ops = {.struct_size = sizeof strict_ops,
                                         .alloc = strict_alloc,
                                         .free = strict_free,
                                         .launch = strict_launch,
                                         .copy = strict_copy,
                                         .zero = strict_zero,
                                         .write = strict_write,
                                         .read = strict_read,
                                         .error = strict_error};

//===-- The image -------------------------------------------------------------------===//

// At bind: M <= N, M ~ P. In the run, with k = the first element of `count`: k <= N; in each of k
// steps: i != P; in the arm where k > 2: k == M. The length L grows by k, of a state whose rows are
// zeroed; `sum` is doubled.
enum { K_COPY };
enum { CONDITIONS = 5, AT_BIND = 2 };
static ib b;

static void add_conditions(ib_entry *e, uint32_t n, uint32_t m, uint32_t p, uint32_t k,
                           uint32_t i) {
  ib_condition(&b, e, FV_REL_LE, "m.xml:1:1: bind", m, n, "M", "N");
  ib_condition(&b, e, FV_REL_BROADCAST, "m.xml:2:1: bind", m, p, "M", "P");
  e->bind_conditions = e->n_condition;
  ib_condition(&b, e, FV_REL_LE, "m.xml:3:1: run", k, n, "k", "N");
  ib_condition(&b, e, FV_REL_NE, "m.xml:4:1: loop", i, p, "i", "P");
  ib_condition(&b, e, FV_REL_EQ, "m.xml:5:1: arm", k, m, "k", "M");
}

static void add_states(uint32_t n, uint32_t length) {
  b.state[b.n_state++] = (fv_prog_state){.name = ib_str(&b, "rows"),
                                         .dtype = FV_f32,
                                         .rank = 1,
                                         .length_dim = 1,
                                         .length_symbol = length,
                                         .members = 1,
                                         .dim = {{32, FV_NO_SLOT, 0}}};
  b.state[b.n_state++] = (fv_prog_state){.name = ib_str(&b, "sum"),
                                         .dtype = FV_f32,
                                         .rank = 1,
                                         .double_buffered = 1,
                                         .length_symbol = FV_NO_SLOT,
                                         .members = 2,
                                         .dim = {{0, n, 0}}};
}

static void add_ports(ib_entry *e, uint32_t n, uint32_t m, uint32_t p, uint32_t k) {
  const uint32_t none[] = {0};
  ib_port(&b, &e->input[e->n_input++], "x", FV_f32, 2, (uint32_t[]){n, m});
  ib_port(&b, &e->input[e->n_input++], "z", FV_f32, 1, &p);
  ib_port(&b, &e->input[e->n_input++], "count", FV_i32, 0, none);
  ib_port(&b, &e->output[e->n_output++], "y", FV_f32, 1, &k);
  e->output[0].bound_slot[0] = n;
}

static void build(void) {
  ib_start(&b);
  const uint32_t n = ib_symbol(&b, "N", 0, 1, 8), m = ib_symbol(&b, "M", 0, 1, 8);
  const uint32_t p = ib_symbol(&b, "P", 0, 1, 8), length = ib_symbol(&b, "L", 1, 0, 32);
  const uint32_t i = ib_symbol(&b, "i", 2, 0, 7), k = ib_symbol(&b, "k", 3, 0, 64);
  const uint32_t made = ib_symbol(&b, "made", 3, 0, 64);
  ib_kernel(&b, "copy", 2, 1, 0);
  const uint32_t full = ib_site(&b, "full"), bad = ib_site(&b, "no count");
  add_states(n, length);
  b.const_bytes = 64;
  ib_entry *e = ib_begin(&b, "main");
  for (uint32_t s = n; s <= p; s++)
    e->used[e->n_used++] = s;
  const uint32_t one = ib_lit(e, 1), two = ib_lit(e, 2), four = ib_lit(e, 4), most = ib_lit(e, 32);
  const uint32_t bytes = ib_op(e, FV_X_MUL, n, four), limit = ib_lit(e, 64);
  ib_inst(e, FV_H_CHECK, 0, ib_op(e, FV_X_LT, length, most), full, 0, 0);
  const uint32_t done = ib_op(e, FV_X_MUL, length, four);
  e->bind_end = e->n_inst;
  const uint32_t count = ib_buffer(e, FV_SPACE_INPUT, FV_i32, 2, 0);
  const uint32_t x = ib_buffer(e, FV_SPACE_INPUT, FV_f32, 0, 0);
  const uint32_t y = ib_buffer(e, FV_SPACE_OUTPUT, FV_f32, 0, 0);
  const uint32_t cur = ib_buffer(e, FV_SPACE_ARENA, FV_f32, 0, bytes);
  const uint32_t next = ib_buffer(e, FV_SPACE_ARENA, FV_f32, 0, bytes);
  const uint32_t constant = ib_buffer(e, FV_SPACE_CONST, FV_f32, 0, 0);
  const uint32_t rows = ib_buffer(e, FV_SPACE_STATE, FV_f32, 0, 0);
  e->buffer[rows].stride_slot = done;
  const uint32_t sum = ib_buffer(e, FV_SPACE_STATE_NEXT, FV_f32, 1, 0);
  const uint32_t view = ib_buffer(e, FV_SPACE_VIEW, FV_f32, cur, FV_NO_SLOT);
  add_conditions(e, n, m, p, k, i);
  ib_inst(e, FV_H_READ, 0, k, count, limit, bad);
  ib_inst(e, FV_H_REQUIRE, 0, 2, 0, 0, 0);
  ib_inst(e, FV_H_COPY, 0, cur, x, bytes, 0);
  ib_inst(e, FV_H_COPY, 0, sum, x, bytes, 0);
  const uint32_t loop = e->n_inst;
  ib_inst(e, FV_H_LOOP, 0, i, k, 0, FV_NO_SLOT);
  ib_inst(e, FV_H_REQUIRE, 0, 3, 0, 0, 0);
  e->buffer[view].stride_slot = ib_op(e, FV_X_MUL, i, four);
  ib_inst(e, FV_H_COPY, 0, view, constant, four, 0);
  ib_launch(e, K_COPY, n, FV_NO_SLOT, 3, (uint32_t[]){cur, next, n});
  ib_inst(e, FV_H_SWAP, 0, cur, next, 0, 0);
  ib_inst(e, FV_H_END_LOOP, 0, loop, made, 0, 0);
  e->inst[loop].c = e->n_inst;
  const uint32_t many = ib_op(e, FV_X_LT, two, k), test = e->n_inst;
  ib_inst(e, FV_H_IF, 0, many, 0, 0, 0);
  ib_inst(e, FV_H_REQUIRE, 0, 4, 0, 0, 0);
  e->inst[test].b = e->n_inst;
  const uint32_t more = ib_op(e, FV_X_MUL, k, four);
  ib_inst(e, FV_H_ZERO, 0, rows, 0, more, 0);
  ib_inst(e, FV_H_COPY, 0, y, cur, more, 0);
  e->advance[e->n_advance++] = (fv_prog_advance){length, ib_op(e, FV_X_ADD, length, k)};
  (void)one;
  add_ports(e, n, m, p, k);
  ib_finish(&b);
}

//===-- A bench ---------------------------------------------------------------------===//

enum { PORTS = 3 };
typedef struct bench {
  pages image, constant, port[2][PORTS];
  void *at[2][PORTS];
  strict dev;
  fv_exec_image im;
  fv_exec_ctx *c;
} bench;

static void set_up(bench *t) {
  memset(t, 0, sizeof *t);
  t->image = make_pages();
  t->constant = make_pages();
  for (int i = 0; i < 2 * PORTS; i++)
    t->port[i / PORTS][i % PORTS] = make_pages();
  assert_int_equal(mprotect(t->constant.end - PAGES, PAGES, PROT_READ), 0);
}

static void tear_down(bench *t) {
  munmap(t->image.end - PAGES, PAGES + PAGE);
  munmap(t->constant.end - PAGES, PAGES + PAGE);
  for (int i = 0; i < 2 * PORTS; i++)
    munmap(t->port[i / PORTS][i % PORTS].end - PAGES, PAGES + PAGE);
}

static int32_t run_nothing(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                           uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                           int64_t scratch_bytes) {
  (void)dev;
  (void)kernel;
  (void)n_buf;
  (void)buf;
  (void)n_scalar;
  (void)scalar;
  (void)blocks;
  (void)scratch_bytes;
  return 0;
}

static int32_t start(bench *t, bool host) {
  static fv_device_ops host_ops;
  host_ops = *fv_cpu_ops();
  host_ops.launch = run_nothing;  // a kernel trusts what its own compiler gave it
  host_ops.reserve = NULL;
  unsigned char *image = last_bytes(&t->image, b.size);
  memcpy(image, b.image, b.size);
  t->c = NULL;
  const int32_t s = fv_exec_open(image, b.size, &t->im, NULL);
  if (s != FV_MODEL_OK)
    return s;
  const fv_exec_options o = {.constants = last_bytes(&t->constant, 64),
                             .const_bytes = 64,
                             .ops = host ? &host_ops : &strict_ops,
                             .dev = &t->dev,
                             .max_bytes = 1 << 16,
                             .max_steps = 2000};
  return fv_exec_create(&t->im, &o, &t->c);
}

static void stop(bench *t) {
  fv_exec_destroy(t->c);
  t->c = NULL;
  for (int i = 0; i < MAX_OBJECTS; i++)
    assert_null(t->dev.object[i].at);
}

// Binds; then ports end at the end of their pages.
static int32_t bind(bench *t, const int64_t *dims) {
  const fv_prog_entry *e = t->im.entry;
  const uint32_t n[] = {e->inputs.count, e->outputs.count};
  const int32_t s = fv_exec_bind(t->c, 0, dims, NULL);
  for (int kind = 0; kind < 2 && s == FV_MODEL_OK; kind++)
    for (uint32_t i = 0; i < n[kind]; i++) {
      int64_t bytes = 0;
      const fv_model_port port = kind ? FV_MODEL_OUTPUT : FV_MODEL_INPUT;
      if (i >= PORTS || fv_exec_bytes(t->c, 0, port, i, &bytes) != FV_MODEL_OK || bytes > PAGES)
        return FV_MODEL_ERR_LIMIT;
      t->at[kind][i] = last_bytes(&t->port[kind][i], (size_t)bytes);
    }
  return s;
}

// All inputs hold k.
static int32_t run(bench *t, int32_t k) {
  for (uint32_t i = 0; i < t->im.entry->inputs.count; i++)
    for (unsigned char *p = t->at[0][i]; p + sizeof k <= t->port[0][i].end; p += sizeof k)
      memcpy(p, &k, sizeof k);
  return fv_exec_run(t->c, 0, (const void *const *)t->at[0], t->at[1]);
}

//===-- Conditions ------------------------------------------------------------------===//

static void assert_says(bench *t, int32_t s, int32_t want, const char *text) {
  if (s != want || strcmp(fv_exec_error(t->c), text) != 0)
    fail_msg("%d: '%s', not %d: '%s'", s, fv_exec_error(t->c), want, text);
}

// The first condition that fails is the one that is told; a run that fails leaves the length.
static void run_with(bench *t, int64_t n, int64_t m, int64_t p, int32_t k, int64_t *length) {
  char text[96] = "";
  int32_t want = FV_MODEL_ERR_DIM;
  if (m > n)
    snprintf(text, sizeof text, "m.xml:1:1: bind: M = %d must be at most N = %d", (int)m, (int)n);
  else if (m != p && m != 1 && p != 1)
    snprintf(text, sizeof text,
             "m.xml:2:1: bind: M = %d and P = %d must be equal, or one of them 1", (int)m, (int)p);
  const int32_t bound = bind(t, (int64_t[]){n, m, p});
  if (*text) {
    assert_says(t, bound, want, text);
    return;
  }
  assert_says(t, bound, FV_MODEL_OK, "");
  want = FV_MODEL_ERR_RUN;
  if (k > n)
    snprintf(text, sizeof text, "m.xml:3:1: run: k = %d must be at most N = %d", k, (int)n);
  else if (p < k)
    snprintf(text, sizeof text, "m.xml:4:1: loop: i = %d and P = %d must differ", (int)p, (int)p);
  else if (k > 2 && k != m)
    snprintf(text, sizeof text, "m.xml:5:1: arm: k = %d and M = %d must be equal", k, (int)m);
  assert_says(t, run(t, k), *text ? want : FV_MODEL_OK, text);
  *length += *text ? 0 : k;
  fv_model_state st;
  assert_int_equal(fv_exec_state(t->c, 0, &st), FV_MODEL_OK);
  assert_int_equal(st.length, *length);
}

static void test_conditions(void **state) {
  (void)state;
  bench t;
  set_up(&t);
  build();
  for (int host = 0; host < 2; host++) {
    assert_int_equal(start(&t, host), FV_MODEL_OK);
    for (int64_t v = 0; v < 4 * 4 * 4 * 5; v++) {
      const int64_t n = 1 + v / 80, m = 1 + v / 20 % 4, p = 1 + v / 5 % 4;
      int64_t length = 0;
      assert_int_equal(fv_exec_reset(t.c), FV_MODEL_OK);
      for (int again = 0; again < 2; again++)
        run_with(&t, n, m, p, (int32_t)(v % 5), &length);
    }
    assert_false(t.dev.refused);
    stop(&t);
  }
  tear_down(&t);
}

//===-- Damage ----------------------------------------------------------------------===//

static bool is_status(int32_t s) {
  return s == FV_MODEL_OK || s == FV_MODEL_ERR_ARG || s == FV_MODEL_ERR_DIM ||
         s == FV_MODEL_ERR_LIMIT || s == FV_MODEL_ERR_RUN || s == FV_MODEL_ERR_OOM ||
         s == FV_MODEL_ERR_IMAGE || s == FV_MODEL_ERR_DEVICE;
}

typedef struct tally {
  uint32_t refused, failed, ran;
} tally;

static void try_image(bench *t, tally *n) {
  // N, M, P, k: all conditions hold, then each but the others fails.
  static const int64_t with[][4] = {{3, 3, 3, 3}, {1, 3, 3, 0}, {8, 3, 2, 0},
                                    {4, 1, 1, 9}, {8, 8, 1, 3}, {8, 1, 5, 3}};
  for (int host = 0; host < 2; host++) {
    if (start(t, host) != FV_MODEL_OK) {
      n->refused++;
      stop(t);
      continue;
    }
    for (size_t i = 0; i < FV_COUNTOF(with) && t->im.head->entries.count; i++) {
      if (t->im.entry->used_symbols.count > 3)
        continue;
      int32_t s = bind(t, with[i]);
      for (int again = 0; again < 2 && s == FV_MODEL_OK; again++)
        s = run(t, (int32_t)with[i][3]);
      assert_true(is_status(s));
      n->failed += s != FV_MODEL_OK;
      n->ran += s == FV_MODEL_OK;
    }
    stop(t);
    if (t->dev.refused)
      fail_msg("a run went out of bounds");
  }
}

static void test_each_op_is_there(void **state) {
  (void)state;
  bool seen[FV_H_COUNT] = {false};
  build();
  for (uint32_t i = 0; i < b.entry[0].n_inst; i++)
    seen[b.entry[0].inst[i].op] = true;
  for (int op = 0; op < FV_H_COUNT; op++)
    if (!seen[op])
      fail_msg("host instruction %d is not in the image", op);
  assert_true(b.entry[0].n_condition == CONDITIONS && b.entry[0].bind_conditions == AT_BIND);
}

static fv_prog_entry *entry_of(void) {
  return (fv_prog_entry *)(void *)(b.image + ((fv_program *)(void *)b.image)->entries.offset);
}

// The field must be below a limit: so at the limit, and far above it, the image is refused.
static void must_be_below(uint32_t *field, uint32_t limit) {
  const uint32_t was = *field;
  fv_exec_image im;
  for (uint32_t by = limit; by >= limit; by = by * 2 + 1) {
    *field = by;
    assert_int_equal(fv_exec_open(b.image, b.size, &im, NULL), FV_MODEL_ERR_IMAGE);
    if (by == UINT32_MAX)
      break;
  }
  *field = was;
  assert_int_equal(fv_exec_open(b.image, b.size, &im, NULL), FV_MODEL_OK);
}

// Each field of each condition, and all that counts or names conditions.
static void test_malformed_conditions(void **state) {
  (void)state;
  build();
  fv_prog_entry *e = entry_of();
  fv_prog_condition *c = (fv_prog_condition *)(void *)(b.image + e->conditions.offset);
  fv_hinst *inst = (fv_hinst *)(void *)(b.image + e->insts.offset);
  uint32_t named = 0;
  for (int i = 0; i < CONDITIONS; i++, c++) {
    must_be_below(&c->relation, FV_REL_COUNT);
    must_be_below(&c->a_slot, e->n_slot);
    must_be_below(&c->b_slot, e->n_slot);
    must_be_below(&c->text, b.size);
    must_be_below(&c->a_name, b.size);
    must_be_below(&c->b_name, b.size);
  }
  must_be_below(&e->bind_conditions, CONDITIONS + 1);
  must_be_below(&e->conditions.count, b.size / sizeof *c + 1);
  must_be_below(&e->conditions.offset, b.size);
  for (uint32_t i = 0; i < e->insts.count; i++)
    if (inst[i].op == FV_H_REQUIRE) {
      must_be_below(&inst[i].a, CONDITIONS);
      named++;
    }
  assert_int_equal(named, CONDITIONS - AT_BIND);
  // No instruction of bind is a REQUIRE.
  assert_int_equal(inst[e->bind_end + 1].op, FV_H_REQUIRE);
  inst[e->bind_end - 1] = inst[e->bind_end + 1];
  fv_exec_image im;
  assert_int_equal(fv_exec_open(b.image, b.size, &im, NULL), FV_MODEL_ERR_IMAGE);
}

// Each word in turn: others like it, ends of ranges, and one bit of each byte.
static void test_damaged_words(void **state) {
  (void)state;
  static bench t;
  tally n = {0};
  set_up(&t);
  build();
  for (uint32_t at = 0; at + 4 <= b.size; at += 4) {
    uint32_t was;
    memcpy(&was, b.image + at, 4);
    const uint32_t by[] = {
        0,          1,          2,          was + 1,      was - 1,        was + 2,
        was * 2,    was ^ 1,    was ^ 0x80, was ^ 0x8000, was ^ 0x800000, was + 1000,
        0x7fffffff, 0x80000000, UINT32_MAX, b.size,       b.size - 1,     was ^ 0x80000000};
    for (size_t k = 0; k < FV_COUNTOF(by); k++) {
      memcpy(b.image + at, &by[k], 4);
      try_image(&t, &n);
    }
    memcpy(b.image + at, &was, 4);
  }
  tear_down(&t);
  assert_true(n.refused > 1000 && n.failed > 1000 && n.ran > 1000);
}

static void test_cut_short(void **state) {
  (void)state;
  fv_exec_image im;
  build();
  for (uint32_t size = 0; size < b.size; size++)
    assert_int_equal(fv_exec_open(b.image, size, &im, NULL), FV_MODEL_ERR_IMAGE);
}

// Two words at a time: what one check lets pass may be what another relies on.
static void test_damaged_pairs(void **state) {
  (void)state;
  static bench t;
  tally n = {0};
  uint64_t seed = 4711;
  set_up(&t);
  build();
  for (int round = 0; round < 20000; round++) {
    uint32_t at[2], was[2];
    for (int i = 0; i < 2; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      at[i] = (uint32_t)(seed >> 33) % (b.size / 4) * 4;
      memcpy(&was[i], b.image + at[i], 4);
      const uint32_t small = (uint32_t)(seed >> 20) % 48, by = seed >> 62 ? small : was[i] ^ small;
      memcpy(b.image + at[i], &by, 4);
    }
    try_image(&t, &n);
    for (int i = 2; i-- > 0;)
      memcpy(b.image + at[i], &was[i], 4);
  }
  tear_down(&t);
  assert_true(n.refused > 1000 && n.failed > 1000 && n.ran > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conditions),           cmocka_unit_test(test_each_op_is_there),
      cmocka_unit_test(test_malformed_conditions), cmocka_unit_test(test_cut_short),
      cmocka_unit_test(test_damaged_words),        cmocka_unit_test(test_damaged_pairs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
