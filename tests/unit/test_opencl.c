// SPDX-License-Identifier: Apache-2.0
// The opencl plugin against the kernel interpreter: every primitive, cast,
// memory and control instruction, many widths. Skipped without a device.
#include <dlfcn.h>
#include <math.h>

#include "base/diag.h"
#include "fovea/plugin.h"
#include "ir/kernel/kernel.h"
#include "unit.h"

// Drivers keep things until the process ends.
#if defined(__SANITIZE_ADDRESS__)
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
  return "leak:libOpenCL\nleak:libpocl\nleak:libLLVM\nleak:libclang\nleak:libstdc++\n";
}
#endif

//===-- The plugin --------------------------------------------------------------------===//

struct fv_report {
  int32_t status;
  char text[8192];
};

static int32_t on_error(fv_report *r, int32_t status, const char *text) {
  r->status = status;
  snprintf(r->text, sizeof r->text, "%s", text);
  return status;
}

static void on_note(fv_report *r, const char *text) {
  const size_t n = strlen(r->text);
  snprintf(r->text + n, sizeof r->text - n, "\n%s", text);
}

static void on_did_you_mean(fv_report *r, const char *word,
                            const char *(*candidate)(void *user, int i), void *user) {
  const int near = fv_did_you_mean(word, candidate, user);
  if (near >= 0)
    on_note(r, candidate(user, near));
}

static const fv_host host = {.struct_size = sizeof host,
                             .abi = FV_ABI_VERSION,
                             .sanitizer = FV_ABI_SANITIZER,
                             .error = on_error,
                             .note = on_note,
                             .did_you_mean = on_did_you_mean};

typedef struct env {
  const fv_backend *backend;
  fv_device *device;
  fv_arena *ar;
  fv_xpool *pool;
} env;

static const char *open_plugin(env *e) {
  static fv_report r;
  void *so = dlopen(FV_BINARY_DIR "/lib/fovea/opencl.so", RTLD_NOW | RTLD_LOCAL);
  if (!so)
    return dlerror();
  void *symbol = dlsym(so, "fovea_plugin_query");
  if (!symbol)
    return "no query function";
  fv_plugin_query_fn query;
  memcpy(&query, &symbol, sizeof symbol);
  if (query(&host, &e->backend) != FV_PLUGIN_OK)
    return "the plugin refuses";
  if (e->backend->open(&host, NULL, 0, &r, &e->device) != FV_PLUGIN_OK)
    return r.text;
  return NULL;
}

//===-- Running both ------------------------------------------------------------------===//

enum { MAX_BUFFERS = 12 };

typedef struct job {
  const fv_kernel *k;
  const fv_kernel *plain;  // what the interpreter runs in its place; NULL: the same
  int64_t blocks;
  int64_t bytes[MAX_BUFFERS];
  unsigned char *input[MAX_BUFFERS];
} job;

static int32_t run_device(env *e, fv_kernels *set, const job *j, unsigned char **out) {
  fv_report r = {0, ""};
  void *dev = NULL;
  const fv_device_ops *ops = e->backend->create_queue(set, &r, &dev);
  assert_non_null(ops);
  // one object, so that the offsets matter
  const uint32_t n = j->k->code.n_global;
  fv_memref ref[MAX_BUFFERS];
  int64_t total = 64;
  for (uint32_t i = 0; i < n; i++) {
    ref[i].offset = total;
    total += (j->bytes[i] + 63) / 64 * 64 + 64;
  }
  void *object = ops->alloc(dev, total);
  assert_non_null(object);
  assert_int_equal(ops->zero(dev, (fv_memref){object, 0}, total), 0);
  for (uint32_t i = 0; i < n; i++) {
    ref[i].object = object;
    assert_int_equal(ops->write(dev, ref[i], j->input[i], j->bytes[i]), 0);
  }
  int64_t scalar[16], scratch = 0;
  assert_true(j->k->code.n_scalar <= 16);
  for (uint32_t i = 0; i < j->k->code.n_scalar; i++)
    assert_true(fv_x_eval_i64(j->k->scalar[i], NULL, &scalar[i]));
  if (j->k->scratch_bytes)
    assert_true(fv_x_eval_i64(j->k->scratch_bytes, NULL, &scratch));
  const int32_t failed =
      ops->launch(dev, 0, n, ref, j->k->code.n_scalar, scalar, j->blocks, scratch);
  if (failed < 0)
    fail_msg("launch: %s", ops->error(dev));
  for (uint32_t i = 0; i < n; i++)
    assert_int_equal(ops->read(dev, out[i], ref[i], j->bytes[i]), 0);
  // a launch after a failed one starts clean
  if (failed > 0)
    assert_int_equal(ops->launch(dev, 0, n, ref, j->k->code.n_scalar, scalar, 0, scratch), 0);
  ops->free(dev, object, total);
  e->backend->destroy_queue(dev);
  return failed;
}

static int32_t run_interpreter(env *e, const job *j, unsigned char **out) {
  const fv_kernel *k = j->plain ? j->plain : j->k;
  int64_t scalar[16], scratch = 64;
  for (uint32_t i = 0; i < k->code.n_scalar; i++)
    assert_true(fv_x_eval_i64(k->scalar[i], NULL, &scalar[i]));
  if (k->scratch_bytes)
    assert_true(fv_x_eval_i64(k->scratch_bytes, NULL, &scratch));
  return fv_kernel_interpret(&k->code, e->ar, (void *const *)out, scalar,
                             fv_arena_alloc(e->ar, (size_t)scratch), 0, j->blocks);
}

static bool same(fv_dtype t, const unsigned char *a, const unsigned char *b) {
  if (memcmp(a, b, (size_t)fv_dtype_size(t)) == 0)
    return true;
  const fv_scalar x = fv_scalar_load(t, a), y = fv_scalar_load(t, b);
  return fv_dtype_is_float(t) && isnan(x.f) && isnan(y.f);
}

static void show(env *e, fv_kernels *set, const job *j) {
  fv_report r = {0, ""};
  fv_blob blob = {0};
  fv_str s = {.arena = e->ar};
  fv_kernel_print(&j->k->code, &s);
  if (e->backend->emit(set, "opencl", &r, &blob) == FV_PLUGIN_OK) {
    print_message("%s\n%s\n", s.data, (const char *)blob.data);
    blob.release(blob.data, blob.size);
  }
}

// Both runs must agree bit for bit (any NaN equals any other).
static void compare(env *e, const job *j, int32_t want_failed) {
  const fv_kernel_code *code = &j->k->code;
  fv_report r = {0, ""};
  fv_kernels *set = NULL;
  if (e->backend->compile_kernels(e->device, &code, 1, &r, &set) != FV_PLUGIN_OK) {
    fv_str s = {.arena = e->ar};
    fv_kernel_print(code, &s);
    fail_msg("%s\n%s", r.text, s.data);
  }
  unsigned char *got[MAX_BUFFERS], *want[MAX_BUFFERS];
  for (uint32_t i = 0; i < code->n_global; i++) {
    got[i] = fv_arena_alloc(e->ar, (size_t)j->bytes[i]);
    want[i] = fv_arena_dup(e->ar, j->input[i], (size_t)j->bytes[i]);
  }
  assert_int_equal(run_device(e, set, j, got), want_failed);
  assert_int_equal(run_interpreter(e, j, want), want_failed);
  for (uint32_t i = 0; i < code->n_global && want_failed == 0; i++) {
    const fv_dtype t = (fv_dtype)code->buffer[i].dtype;
    for (int64_t at = 0; at + fv_dtype_size(t) <= j->bytes[i]; at += fv_dtype_size(t))
      if (!same(t, got[i] + at, want[i] + at)) {
        show(e, set, j);
        const fv_scalar x = fv_scalar_load(t, got[i] + at), y = fv_scalar_load(t, want[i] + at);
        fail_msg("%s: buffer %u element %lld: %lld / %a, want %lld / %a", code->name, i,
                 (long long)(at / fv_dtype_size(t)), (long long)x.i, x.f, (long long)y.i, y.f);
      }
  }
  e->backend->release(set);
}

//===-- Inputs ------------------------------------------------------------------------===//

typedef struct rng {
  uint64_t s;
} rng;
static uint64_t next(rng *r) {
  r->s ^= r->s << 13;
  r->s ^= r->s >> 7;
  r->s ^= r->s << 17;
  return r->s * UINT64_C(2685821657736338717);
}

static double some_float(rng *r) {
  static const double special[] = {0,     -0.0,   1,        -1,        0.5,       2.5,
                                   3.5,   -2.5,   INFINITY, -INFINITY, NAN,       1e10,
                                   -1e10, 1e-40,  65504,    65519.99,  65520,     2147483648.0,
                                   127.5, -128.5, 0x1p-14,  0x1p-24,   0x1.8p-25, 255.5};
  const uint64_t u = next(r);
  if (u & 3)
    return special[(u >> 8) % (sizeof special / sizeof *special)];
  return ldexp((double)(int64_t)next(r), -63 + (int)(u >> 8 & 31) - 12);
}

static int64_t some_int(rng *r) {
  const uint64_t u = next(r);
  if (u & 1)
    return (int64_t)(u >> 8 & 15) - 8;
  if (u & 2)
    return (int64_t)next(r) >> (u >> 8 & 63);
  return u & 4 ? INT64_MIN : (int64_t)(u >> 8 & 1023) - 512;
}

static unsigned char *fill(env *e, rng *r, fv_dtype t, int count) {
  unsigned char *p = fv_arena_alloc(e->ar, (size_t)(count * fv_dtype_size(t)) + 64);
  for (int i = 0; i < count; i++) {
    const fv_scalar f = {.f = some_float(r)}, n = {.i = some_int(r)};
    const fv_scalar bit = {.i = n.i & 1};
    fv_scalar_store(t, p + i * fv_dtype_size(t), fv_dtype_is_float(t) ? f : t == FV_bool ? bit : n);
  }
  return p;
}

static bool skip_type(const env *e, fv_dtype t) {
  return t == FV_f64 && !e->backend->target(e->device)->has_f64;
}

//===-- Primitives --------------------------------------------------------------------===//

enum { BLOCKS = 6 };

static bool applies(fv_scalar_op op, fv_dtype t) {
  const bool is_float = fv_dtype_is_float(t);
  switch (op) {
  case FV_X_EXP:
  case FV_X_LOG:
  case FV_X_EXPM1:
  case FV_X_LOG1P:
  case FV_X_SIN:
  case FV_X_COS:
  case FV_X_TANH:
  case FV_X_ERF:
  case FV_X_CAST:
  case FV_X_BITCAST:
  case FV_X_MAD: return false;  // elsewhere
  case FV_X_POW: return !is_float && t != FV_bool;
  case FV_X_NOT:
  case FV_X_AND:
  case FV_X_OR:
  case FV_X_XOR: return !is_float;
  case FV_X_SHL:
  case FV_X_SHR: return !is_float && t != FV_bool;
  case FV_X_SQRT:
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: return is_float;
  case FV_X_SELECT:
  case FV_X_EQ:
  case FV_X_NE:
  case FV_X_LT:
  case FV_X_LE:
  case FV_X_MAX:
  case FV_X_MIN: return true;
  default: return t != FV_bool;
  }
}

static fv_kb *begin(env *e) {
  return fv_kb_create(e->ar, e->pool, "test");
}

static fv_kv op2(fv_kb *kb, fv_scalar_op op, fv_kv a, fv_kv b) {
  return fv_kb_op(kb, op, a, b, FV_K_NONE);
}

static fv_kv scaled(fv_kb *kb, fv_kv block, int by) {
  return fv_kb_mul(kb, block, fv_kb_i64(kb, by));
}

// One kernel with all primitives of a type at a width.
static void primitives(env *e, rng *r, fv_dtype t, int lanes) {
  fv_kb *kb = begin(e);
  const int a = fv_kb_buffer(kb, t, false), b = fv_kb_buffer(kb, t, false);
  const int out = fv_kb_buffer(kb, t, true), truth = fv_kb_buffer(kb, FV_bool, true);
  const fv_kv block = fv_kb_block(kb);
  const fv_kv at = scaled(kb, block, lanes);
  const fv_kv x = fv_kb_load(kb, a, at, lanes, FV_K_NONE);
  const fv_kv y = fv_kb_load(kb, b, at, lanes, FV_K_NONE);
  const fv_kv less = op2(kb, FV_X_LT, x, y);
  int n = 0, n_truth = 0;
  for (int op = 0; op < FV_X_COUNT; op++) {
    if (!applies((fv_scalar_op)op, t))
      continue;
    const int arity = fv_scalar_arity((fv_scalar_op)op);
    const fv_kv v = op == FV_X_SELECT
                        ? fv_kb_op(kb, FV_X_SELECT, less, x, y)
                        : fv_kb_op(kb, (fv_scalar_op)op, x, arity > 1 ? y : FV_K_NONE, FV_K_NONE);
    const bool is_truth = fv_kb_dtype(kb, v) == FV_bool && t != FV_bool;
    const int slot = is_truth ? n_truth++ : n++;
    const fv_kv to = fv_kb_add(kb, at, fv_kb_i64(kb, (int64_t)slot * lanes * BLOCKS));
    fv_kb_store(kb, is_truth ? truth : out, to, v, FV_K_NONE);
  }
  const fv_kernel *k = fv_kb_finish(kb, "primitives", fv_x_i64(e->pool, 1));
  const int count = lanes * BLOCKS, size = fv_dtype_size(t);
  job j = {.k = k,
           .blocks = BLOCKS,
           .bytes = {count * size, count * size, 40 * count * size, 40 * count}};
  j.input[0] = fill(e, r, t, count);
  j.input[1] = fill(e, r, t, count);
  j.input[2] = fv_arena_alloc(e->ar, (size_t)j.bytes[2]);
  j.input[3] = fv_arena_alloc(e->ar, (size_t)j.bytes[3]);
  compare(e, &j, 0);
}

// One kernel with the casts from a type to all others, and its bit casts.
static void casts(env *e, rng *r, fv_dtype t, int lanes) {
  fv_kb *kb = begin(e);
  const int a = fv_kb_buffer(kb, t, false), count = lanes * BLOCKS;
  const fv_kv at = scaled(kb, fv_kb_block(kb), lanes);
  const fv_kv x = fv_kb_load(kb, a, at, lanes, FV_K_NONE);
  const fv_kv second = fv_kb_add(kb, at, fv_kb_i64(kb, count));
  job j = {.blocks = BLOCKS, .bytes = {count * fv_dtype_size(t)}};
  j.input[0] = fill(e, r, t, count);
  for (int to = 0, n = 1; to < FV_DTYPE_COUNT; to++) {
    const fv_dtype d = (fv_dtype)to;
    if (skip_type(e, d))
      continue;
    const int out = fv_kb_buffer(kb, d, true);
    fv_kb_store(kb, out, at, fv_kb_cast(kb, d, x), FV_K_NONE);
    if (fv_dtype_size(d) == fv_dtype_size(t) && d != FV_bool && t != FV_bool)
      fv_kb_store(kb, out, second, fv_kb_bitcast(kb, d, x), FV_K_NONE);
    j.bytes[n] = 2 * count * fv_dtype_size(d);
    j.input[n] = fv_arena_alloc(e->ar, (size_t)j.bytes[n]);
    n++;
  }
  j.k = fv_kb_finish(kb, "casts", fv_x_i64(e->pool, 1));
  compare(e, &j, 0);
}

static void reductions(env *e, rng *r, fv_dtype t, int lanes) {
  static const fv_scalar_op ops[] = {FV_X_ADD, FV_X_MUL, FV_X_MAX, FV_X_MIN, FV_X_AND, FV_X_OR};
  fv_kb *kb = begin(e);
  const int a = fv_kb_buffer(kb, t, false), out = fv_kb_buffer(kb, t, true);
  const fv_kv block = fv_kb_block(kb);
  const fv_kv x = fv_kb_load(kb, a, scaled(kb, block, lanes), lanes, FV_K_NONE);
  const fv_kv to = scaled(kb, block, 8);
  for (int i = 0; i < 6; i++)
    if (applies(ops[i], t) && (t != FV_bool || i > 1))
      fv_kb_store(kb, out, fv_kb_add(kb, to, fv_kb_i64(kb, i)), fv_kb_reduce(kb, ops[i], x),
                  FV_K_NONE);
  fv_kb_store(kb, out, fv_kb_add(kb, to, fv_kb_i64(kb, 6)), fv_kb_extract(kb, x, lanes - 1),
              FV_K_NONE);
  const fv_kernel *k = fv_kb_finish(kb, "reductions", fv_x_i64(e->pool, 1));
  job j = {.k = k,
           .blocks = BLOCKS,
           .bytes = {lanes * BLOCKS * fv_dtype_size(t), 8 * BLOCKS * fv_dtype_size(t)}};
  j.input[0] = fill(e, r, t, lanes * BLOCKS);
  j.input[1] = fv_arena_alloc(e->ar, (size_t)j.bytes[1]);
  compare(e, &j, 0);
}

//===-- Memory ------------------------------------------------------------------------===//

// Partial loads and stores, gathers and scatters with masks, scratch.
static void memory(env *e, rng *r, fv_dtype t, int lanes) {
  fv_kb *kb = begin(e);
  const int a = fv_kb_buffer(kb, t, false), order = fv_kb_buffer(kb, FV_i64, false);
  const int out = fv_kb_buffer(kb, t, true), bits = fv_kb_buffer(kb, FV_bool, false);
  const int tmp = fv_kb_scratch(kb, FV_i8, fv_x_i64(e->pool, 3));
  const int row = fv_kb_scratch(kb, t, fv_x_i64(e->pool, lanes));
  const fv_kv block = fv_kb_block(kb), zero = fv_kb_i64(kb, 0);
  const fv_kv at = scaled(kb, block, lanes);
  const fv_kv count = op2(kb, FV_X_MOD, scaled(kb, block, 3), fv_kb_i64(kb, lanes + 2));
  const fv_kv part = fv_kb_load(kb, a, at, lanes, count);
  fv_kb_store(kb, out, at, part, count);
  const fv_kv index = fv_kb_load(kb, order, at, lanes, FV_K_NONE);
  const fv_kv mask = fv_kb_load(kb, bits, at, lanes, FV_K_NONE);
  const int64_t plane = (int64_t)lanes * BLOCKS;
  fv_kb_store(kb, out, fv_kb_add(kb, at, fv_kb_i64(kb, plane)),
              fv_kb_gather(kb, a, index, FV_K_NONE), FV_K_NONE);
  const fv_kv masked = fv_kb_gather(kb, a, index, mask);
  fv_kb_store(kb, row, zero, masked, FV_K_NONE);
  fv_kb_store(kb, tmp, zero, fv_kb_cast(kb, FV_i8, block), FV_K_NONE);
  fv_kb_barrier(kb);
  const fv_kv back = fv_kb_ramp(kb, fv_kb_i64(kb, lanes - 1), -1, lanes);
  const fv_kv turned = fv_kb_gather(kb, row, back, FV_K_NONE);
  const fv_kv far = fv_kb_add(kb, index, fv_kb_i64(kb, 2 * plane));
  fv_kb_scatter(kb, out, far, turned, mask);
  const fv_kv kept = fv_kb_cast(kb, FV_i64, fv_kb_load(kb, tmp, zero, 1, FV_K_NONE));
  fv_kb_store(kb, out, fv_kb_add(kb, kept, fv_kb_i64(kb, 3 * plane)), fv_kb_extract(kb, turned, 0),
              FV_K_NONE);
  const fv_kernel *k = fv_kb_finish(kb, "memory", fv_x_i64(e->pool, 1));
  const int n = lanes * BLOCKS, size = fv_dtype_size(t);
  job j = {.k = k, .blocks = BLOCKS, .bytes = {n * size, n * 8, 4 * n * size, n}};
  j.input[0] = fill(e, r, t, n);
  int64_t *p = fv_arena_alloc_n(e->ar, 8, (size_t)n);
  for (int i = 0; i < n; i++)
    p[i] = i;
  for (int i = n - 1; i > 0; i--) {  // a permutation: no two lanes store to one place
    const int o = (int)(next(r) % (uint64_t)(i + 1));
    const int64_t swap = p[i];
    p[i] = p[o];
    p[o] = swap;
  }
  j.input[1] = (unsigned char *)p;
  j.input[2] = fill(e, r, t, 4 * n);
  j.input[3] = fill(e, r, FV_bool, n);
  compare(e, &j, 0);
}

//===-- Control -----------------------------------------------------------------------===//

static void control(env *e, rng *r) {
  fv_kb *kb = begin(e);
  const int a = fv_kb_buffer(kb, FV_i64, false), out = fv_kb_buffer(kb, FV_i64, true);
  const fv_kv block = fv_kb_block(kb);
  const fv_kv x = fv_kb_load(kb, a, block, 1, FV_K_NONE);
  const fv_kv sum = fv_kb_var(kb, fv_kb_i64(kb, 0));
  const fv_kv wide = fv_kb_var(kb, fv_kb_const_i(kb, FV_i64, 32, 1));
  const fv_kv i = fv_kb_for(kb, fv_kb_i64(kb, -3), op2(kb, FV_X_AND, x, fv_kb_i64(kb, 31)), 4);
  const fv_kv odd =
      op2(kb, FV_X_EQ, op2(kb, FV_X_AND, fv_kb_add(kb, i, x), fv_kb_i64(kb, 1)), fv_kb_i64(kb, 1));
  fv_kb_if(kb, odd);
  fv_kb_set(kb, sum, fv_kb_add(kb, fv_kb_get(kb, sum), i));
  fv_kb_else(kb);
  fv_kb_set(kb, wide, fv_kb_add(kb, fv_kb_get(kb, wide), fv_kb_ramp(kb, i, 3, 32)));
  fv_kb_end(kb);
  fv_kb_end(kb);
  const fv_kv total = fv_kb_reduce(kb, FV_X_ADD, fv_kb_get(kb, wide));
  fv_kb_store(kb, out, block, op2(kb, FV_X_XOR, fv_kb_get(kb, sum), total), FV_K_NONE);
  const fv_kernel *k = fv_kb_finish(kb, "control", fv_x_i64(e->pool, 1));
  enum { N = 1000 };
  job j = {.k = k, .blocks = N, .bytes = {N * 8, N * 8}};
  j.input[0] = fill(e, r, FV_i64, N);
  j.input[1] = fv_arena_alloc(e->ar, N * 8);
  compare(e, &j, 0);
}

static void checks(env *e) {
  for (int64_t limit = 5; limit <= 100; limit += 95) {
    fv_kb *kb = begin(e);
    const int out = fv_kb_buffer(kb, FV_i64, true);
    const fv_kv block = fv_kb_block(kb);
    fv_kb_check(kb, op2(kb, FV_X_LE, fv_kb_i64(kb, 0), block), "never", NULL);
    fv_kb_check(kb, op2(kb, FV_X_LT, block, fv_kb_i64(kb, limit)), "too far", NULL);
    fv_kb_store(kb, out, block, block, FV_K_NONE);
    const fv_kernel *k = fv_kb_finish(kb, "checks", fv_x_i64(e->pool, 1));
    job j = {.k = k, .blocks = 40, .bytes = {40 * 8}};
    j.input[0] = fv_arena_alloc(e->ar, 40 * 8);
    compare(e, &j, limit < 40 ? 2 : 0);
  }
}

// More scratch than the device gets at once: the launch goes in slices.
static void slices(env *e, rng *r) {
  enum { N = 40, ROW = 1 << 19 };
  fv_kb *kb = begin(e);
  const int a = fv_kb_buffer(kb, FV_i64, false), out = fv_kb_buffer(kb, FV_i64, true);
  const int tmp = fv_kb_scratch(kb, FV_i64, fv_x_i64(e->pool, ROW));  // 4 MiB a block
  const fv_kv block = fv_kb_block(kb), size = fv_kb_i64(kb, ROW);
  const fv_kv x = fv_kb_load(kb, a, block, 1, FV_K_NONE);
  const fv_kv i = fv_kb_for(kb, fv_kb_i64(kb, 0), size, 997);
  fv_kb_store(kb, tmp, i, fv_kb_add(kb, x, i), FV_K_NONE);
  fv_kb_end(kb);
  const fv_kv sum = fv_kb_var(kb, fv_kb_i64(kb, 0));
  const fv_kv k = fv_kb_for(kb, fv_kb_i64(kb, 0), size, 997);
  const fv_kv v = fv_kb_load(kb, tmp, k, 1, FV_K_NONE);
  fv_kb_set(kb, sum, fv_kb_add(kb, fv_kb_get(kb, sum), v));
  fv_kb_end(kb);
  fv_kb_store(kb, out, block, fv_kb_get(kb, sum), FV_K_NONE);
  job j = {.blocks = N, .bytes = {N * 8, N * 8}};
  j.k = fv_kb_finish(kb, "slices", fv_x_i64(e->pool, 1));
  j.input[0] = fill(e, r, FV_i64, N);
  j.input[1] = fv_arena_alloc(e->ar, N * 8);
  compare(e, &j, 0);
}

// Transcendental functions: MADs fuse or do not, so the last bits differ.
static void functions(env *e, rng *r, fv_dtype t) {
  static const fv_scalar_op ops[] = {FV_X_EXP, FV_X_LOG,  FV_X_EXPM1, FV_X_LOG1P, FV_X_SIN,
                                     FV_X_COS, FV_X_TANH, FV_X_ERF,   FV_X_POW,   FV_X_MOD};
  enum { N = 8 * 16 };
  const double eps = t == FV_f32 ? 0x1p-21 : 0x1p-50;
  for (size_t o = 0; o < sizeof ops / sizeof *ops; o++) {
    fv_kb *kb = begin(e);
    const int a = fv_kb_buffer(kb, t, false), b = fv_kb_buffer(kb, t, false);
    const int out = fv_kb_buffer(kb, t, true);
    const fv_kv at = scaled(kb, fv_kb_block(kb), 8);
    const fv_kv x = fv_kb_load(kb, a, at, 8, FV_K_NONE);
    const fv_kv y = fv_scalar_arity(ops[o]) > 1 ? fv_kb_load(kb, b, at, 8, FV_K_NONE) : FV_K_NONE;
    fv_kb_store(kb, out, at, fv_kb_op(kb, ops[o], x, y, FV_K_NONE), FV_K_NONE);
    const fv_kernel *k = fv_kb_finish(kb, "functions", fv_x_i64(e->pool, 1));
    const fv_kernel_code *code = &k->code;
    const int size = fv_dtype_size(t);
    job j = {.k = k, .blocks = N / 8, .bytes = {N * size, N * size, N * size}};
    for (int i = 0; i < 3; i++)
      j.input[i] = fill(e, r, t, N);
    fv_report report = {0, ""};
    fv_kernels *set = NULL;
    if (e->backend->compile_kernels(e->device, &code, 1, &report, &set) != FV_PLUGIN_OK)
      fail_msg("%s", report.text);
    unsigned char *got[3];
    for (int i = 0; i < 3; i++)
      got[i] = fv_arena_alloc(e->ar, (size_t)j.bytes[i]);
    assert_int_equal(run_device(e, set, &j, got), 0);
    for (int i = 0; i < N; i++) {
      const fv_scalar u = fv_scalar_load(t, j.input[0] + i * size);
      const fv_scalar v = fv_scalar_load(t, j.input[1] + i * size);
      const double have = fv_scalar_load(t, got[2] + i * size).f;
      const double want = fv_round_to(t, fv_scalar_eval(ops[o], t, t, u, v, v).f);
      const bool far = (ops[o] == FV_X_SIN || ops[o] == FV_X_COS) && fabs(u.f) > 1e5;
      const double least = t == FV_f32 ? 0x1p-147 : 0x1p-1072;
      if (far || (isnan(have) && isnan(want)) || have == want)
        continue;
      if (!(fabs(have - want) <= eps * fabs(want) + least))
        fail_msg("%s(%a, %a) = %a, want %a", fv_scalar_name(ops[o]), u.f, v.f, have, want);
    }
    e->backend->release(set);
  }
}

//===-- Driver ------------------------------------------------------------------------===//

// A kernel takes a fifth of a second to compile, so each type meets a few of
// the widths, and all widths meet a few of the types.
static void one_type(env *e, rng *r, fv_dtype t, int width) {
  const bool computes = fv_dtype_compute(t) == t;
  const bool usual = width == 1 || width == 3 || width == 16;
  const bool all_widths = t == FV_f32 || t == FV_i8;
  if (computes && (usual || all_widths))
    primitives(e, r, t, width);
  if (computes && (width == 8 || width == 32))
    reductions(e, r, t, width);
  if (width == 1 || width == 3)
    casts(e, r, t, width);
  if (width == 3 || (width == 16 && (all_widths || t == FV_bf16)) || (width == 24 && all_widths))
    memory(e, r, t, width);
}

//===-- Work-items ----------------------------------------------------------------------===//

// Each input times the sum of its block, which the items make together as a halving tree.
static fv_kernel *build_items(env *e, uint32_t items, bool loops) {
  fv_kb *kb = begin(e);
  fv_kb_set_items(kb, items);
  const int in = fv_kb_buffer(kb, FV_i32, false), out = fv_kb_buffer(kb, FV_i32, true);
  const int shared = fv_kb_scratch(kb, FV_i32, fv_x_i64(e->pool, items));
  const fv_kv zero = fv_kb_i64(kb, 0), two = fv_kb_i64(kb, 2), item = fv_kb_item(kb);
  const fv_kv at = fv_kb_add(kb, fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, items)), item);
  const fv_kv x = fv_kb_load(kb, in, at, 1, FV_K_NONE);
  fv_kb_store(kb, shared, item, x, FV_K_NONE);
  fv_kb_barrier(kb);
  const fv_kv half = fv_kb_var(kb, fv_kb_i64(kb, items / 2));
  fv_kb_for(kb, zero, fv_kb_i64(kb, 6), 1);
  const fv_kv now = fv_kb_get(kb, half);
  fv_kb_if(kb, op2(kb, FV_X_LT, item, now));
  const fv_kv other = fv_kb_load(kb, shared, fv_kb_add(kb, item, now), 1, FV_K_NONE);
  fv_kb_store(kb, shared, item, fv_kb_add(kb, fv_kb_load(kb, shared, item, 1, FV_K_NONE), other),
              FV_K_NONE);
  fv_kb_end(kb);
  fv_kb_barrier(kb);
  fv_kb_set(kb, half, op2(kb, FV_X_FLOORDIV, now, two));
  fv_kb_end(kb);
  const fv_kv sum = fv_kb_load(kb, shared, zero, 1, FV_K_NONE);
  fv_kb_store(kb, out, at, fv_kb_mul(kb, sum, x), FV_K_NONE);
  if (loops)
    kb = fv_kb_item_loops(kb);
  return fv_kb_finish(kb, "items", fv_x_i64(e->pool, BLOCKS));
}

static void items(env *e, rng *r) {
  for (uint32_t n = 1; n <= 64; n *= 4) {
    job j = {.k = build_items(e, n, false), .plain = build_items(e, n, true), .blocks = BLOCKS};
    j.bytes[0] = j.bytes[1] = (int64_t)(4 * n * BLOCKS);
    j.input[0] = fill(e, r, FV_i32, (int)n * BLOCKS);
    j.input[1] = fill(e, r, FV_i32, (int)n * BLOCKS);
    compare(e, &j, 0);
  }
}

static fv_status all(void *user) {
  env *e = user;
  rng r = {UINT64_C(88172645463325252)};
  static const int widths[] = {1, 2, 3, 4, 8, 16, 24, 32};
  e->pool = fv_xpool_create(e->ar);
  control(e, &r);
  checks(e);
  slices(e, &r);
  items(e, &r);
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
      if (!skip_type(e, (fv_dtype)t))
        one_type(e, &r, (fv_dtype)t, widths[w]);
  functions(e, &r, FV_f32);
  if (!skip_type(e, FV_f64))
    functions(e, &r, FV_f64);
  return FV_OK;
}

static void test_agrees(void **state) {
  env *e = *state;
  const char *bug = NULL;
  const fv_status s = fv_arena_protect(e->ar, all, e, &bug);
  if (s != FV_OK)
    fail_msg("status %d: %s", (int)s, bug ? bug : "");
}

static void test_refusals(void **state) {
  env *e = *state;
  fv_report r = {0, ""};
  fv_device *d = NULL;
  const fv_option none = {"device", "no such device"};
  assert_int_equal(e->backend->open(&host, &none, 1, &r, &d), FV_PLUGIN_UNSUPPORTED);
  assert_non_null(strstr(r.text, "no OpenCL device matches"));
  assert_null(d);
  const fv_option first = {"device", "0"};
  assert_int_equal(e->backend->open(&host, &first, 1, &r, &d), FV_PLUGIN_OK);
  assert_non_null(strstr(e->backend->describe(d), "OpenCL C"));
  e->backend->close(d);
}

int main(void) {
  env e = {0};
  const char *why = open_plugin(&e);
  if (why) {
    printf("skipped: %s\n", why);
    return 77;
  }
  printf("%s\n", e.backend->describe(e.device));
  e.ar = fv_arena_create(NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_agrees, &e),
                                     cmocka_unit_test_prestate(test_refusals, &e)};
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  fv_arena_destroy(e.ar);
  e.backend->close(e.device);
  return failed;
}
