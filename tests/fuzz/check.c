// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/check.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compiler/internal.h"
#include "tests/compare.h"
#include "tests/fuzz/gen.h"

enum { MAX_IN = 256, MAX_OUT = 16, MAX_SYMBOLS = 64, RUNS = 7 };

const char *const fuzz_verdict_name[FUZZ_VERDICTS] = {"same",    "invalid", "compile", "status",
                                                      "differs", "threads", "crash",   "hangs"};

// One way to run the module.
typedef struct side {
  const char *backend;
  bool wide, noisy;
  int n_context;
  fv_arena *arena;
  fv_module *module;
  fv_executable *exe;
  fv_context *cx[2];  // of one thread and of three
} side;

enum { REFERENCE, WIDE, NOISY, TESTED, SIDES };

typedef struct check {
  const fuzz_settings *set;
  const char *text;
  size_t size;
  side side[SIDES];
  fv_diag_sink diag;
  fv_dim_value dim[MAX_SYMBOLS];
  size_t n_dim;
  fv_tensor_io in[MAX_IN], wide_in[MAX_IN];
  size_t n_in;
  int nodes;
} check;

static void tell(const check *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  if (c->set->tell)
    vfprintf(c->set->tell, fmt, ap);
  va_end(ap);
}

//===-- Opening ------------------------------------------------------------------===//

typedef struct opening {
  check *c;
  side *s;
} opening;

static fv_status read_module(void *user) {
  opening *o = user;
  FV_TRY(fv_text_parse(o->s->arena, "fuzz.fvt", o->c->text, o->c->size, NULL, NULL, &o->c->diag,
                       &o->s->module));
  FV_TRY(fv_verify(o->s->module, "reading", &o->c->diag));
  return o->s->wide ? fuzz_widen(o->s->module, o->s->noisy, &o->c->diag) : FV_OK;
}

static fv_status open_side(check *c, side *s) {
  const bool tested = s == &c->side[TESTED] && c->set->option;
  const fv_compile_options o = {.struct_size = sizeof o,
                                .backend = s->backend,
                                .backend_option = tested ? (const char *[]){c->set->option} : NULL,
                                .n_backend_option = tested ? 1 : 0,
                                .passes = c->set->passes};
  opening op = {c, s};
  s->arena = fv_arena_create(NULL);
  FV_TRY(s->arena ? FV_OK : FV_ERR_OOM);
  FV_TRY(fv_guard(s->arena, &c->diag, read_module, &op));
  FV_TRY(fv_compile_module(s->arena, s->module, &o, &c->diag, &s->exe));
  for (int i = 0; i < s->n_context; i++)
    FV_TRY(fv_context_create(s->exe, i ? 3 : 1, &c->diag, &s->cx[i]));
  return FV_OK;
}

static void close_side(side *s) {
  for (int i = 0; i < s->n_context; i++)
    fv_context_destroy(s->cx[i]);
  fv_executable_destroy(s->exe);
  fv_arena_destroy(s->arena);
}

//===-- Inputs ----------------------------------------------------------------------===//

static int64_t count_of(const fv_tensor_io *t) {
  int64_t n = 1;
  for (int i = 0; i < t->rank; i++)
    n *= t->dim[i];
  return n;
}

// Memory that ends where the page ends, in front of one that cannot be read: a
// load beyond an input dies.
static size_t fence_size(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page + page;
}

static void *fenced(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), all = fence_size(bytes);
  char *p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p + all - page, page, PROT_NONE) != 0)
    return NULL;
  return p + all - page - bytes;
}

static void release(fv_tensor_io *t) {
  if (!t->data)
    return;
  const size_t bytes = (size_t)(count_of(t) * fv_dtype_size(t->dtype));
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *end = (char *)t->data + bytes + page;
  munmap(end - fence_size(bytes), fence_size(bytes));
  t->data = NULL;
}

// What is written in an input's name: kind, limit.
static void fill(fv_tensor_io *t, uint64_t seed) {
  fuzz_rng r = {fuzz_hash(t->name, strlen(t->name), seed)};
  const int64_t n = count_of(t), size = fv_dtype_size(t->dtype);
  const int64_t limit = t->name[0] == 'k' ? strtoll(t->name + 1, NULL, 10) : 1;
  for (int64_t i = 0; i < n; i++)
    fv_scalar_store(t->dtype, (char *)t->data + i * size,
                    fuzz_element(&r, t->name[0], limit, t->dtype));
}

static bool make_input(check *c, const fv_type *type, const char *name, const int64_t *symbol,
                       uint64_t seed) {
  fv_tensor_io *t = &c->in[c->n_in], *w = &c->wide_in[c->n_in];
  *t = (fv_tensor_io){.name = name, .dtype = type->dtype, .rank = type->rank};
  for (int i = 0; i < t->rank; i++)
    if (!fv_x_eval_i64(type->dim[i], symbol, &t->dim[i]) || t->dim[i] < 0)
      return false;
  *w = *t;
  if (fv_dtype_is_float(t->dtype))
    w->dtype = FV_f64;
  const int64_t n = count_of(t), size = fv_dtype_size(t->dtype), wsize = fv_dtype_size(w->dtype);
  t->data = fenced((size_t)(n * size));
  w->data = fenced((size_t)(n * wsize));
  c->n_in++;
  if (!t->data || !w->data)
    return false;
  fill(t, seed);
  for (int64_t i = 0; i < n; i++)
    fv_scalar_store(w->dtype, (char *)w->data + i * wsize,
                    fv_scalar_load(t->dtype, (char *)t->data + i * size));
  return true;
}

// Sizes of a run: some that all symbols share, then mixed ones.
static int64_t size_in_run(int run, uint32_t symbol, const fv_symbol *s) {
  static const int64_t same[] = {16, 1, 0, 17, 3}, mixed[] = {0, 1, 2, 3, 5, 15, 16, 31, 33};
  fuzz_rng r = {(uint64_t)run * 977 + symbol};
  int64_t v = run < (int)FV_COUNTOF(same) ? same[run] : mixed[fuzz_below(&r, FV_COUNTOF(mixed))];
  v = v < s->min ? s->min : v;
  return v > s->max ? s->max : v;
}

static bool make_inputs(check *c, int run) {
  const fv_module *m = c->side[REFERENCE].module;
  const fv_graph *g = m->graph[0];
  const uint32_t n = fv_symbol_count(m->pool);
  int64_t symbol[MAX_SYMBOLS] = {0};
  if (n > MAX_SYMBOLS || g->region->n_param > MAX_IN)
    return false;
  c->n_dim = c->n_in = 0;
  for (uint32_t i = 0; i < n; i++) {
    const fv_symbol *s = fv_symbol_get(m->pool, i);
    if (s->kind != FV_SYM_DIM)
      continue;
    symbol[i] = size_in_run(run, i, s);
    c->dim[c->n_dim++] = (fv_dim_value){s->name, symbol[i]};
  }
  for (int i = 0; i < g->region->n_param; i++)
    if (!make_input(c, &g->region->param[i]->type, g->input_name[i], symbol, (uint64_t)run))
      return false;
  return true;
}

static void release_inputs(check *c) {
  for (size_t i = 0; i < c->n_in; i++) {
    release(&c->in[i]);
    release(&c->wide_in[i]);
  }
  c->n_in = 0;
}

//===-- Comparing --------------------------------------------------------------------===//

static bool differ(const check *c, const fv_tensor_io *t, int64_t k, fv_scalar want, fv_scalar got,
                   double bound) {
  if (fv_dtype_is_float(t->dtype))
    tell(c, "  '%s' [%lld] of %lld: want %.9g, got %.9g, bound %.3g\n", t->name, (long long)k,
         (long long)count_of(t), want.f, got.f, bound);
  else
    tell(c, "  '%s' [%lld] of %lld: want %lld, got %lld\n", t->name, (long long)k,
         (long long)count_of(t), (long long)want.i, (long long)got.i);
  return false;
}

static bool same_exactly(const check *c, const fv_tensor_io *want, const fv_tensor_io *got) {
  const bool real = fv_dtype_is_float(want->dtype);
  for (int64_t k = 0; k < count_of(want); k++) {
    const fv_scalar x = element(want, k), y = element(got, k);
    if (real ? x.f != y.f && !(isnan(x.f) && isnan(y.f)) : x.i != y.i)
      return differ(c, want, k, x, y, 0);
  }
  return true;
}

// How far rounding leads astray in the reference, and a little noise in f64: the
// backend may be as far off, and some more.
static bool same_nearly(const check *c, const fv_tensor_io *want, const fv_tensor_io *wide,
                        const fv_tensor_io *noisy, const fv_tensor_io *got) {
  double scale = 0, error = 0;
  const int64_t n = count_of(want);
  for (int64_t k = 0; k < n; k++) {
    const double x = element(want, k).f, w = element(wide, k).f, z = element(noisy, k).f;
    if (isfinite(x) != isfinite(w) || isnan(x) != isnan(w) || isfinite(z) != isfinite(w))
      return true;  // rounding decides whether there is a number: nothing to learn here
    if (isfinite(w)) {
      scale = fmax(scale, fabs(w));
      error = fmax(error, fmax(fabs(x - w), fabs(z - w)));
    }
  }
  const double bound = 16 * error + eps_of(want->dtype) * (16 + 8 * c->nodes) * fmax(scale, 1e-3);
  for (int64_t k = 0; k < n; k++) {
    const double w = element(wide, k).f, y = element(got, k).f;
    const bool same = isfinite(w) ? fabs(y - w) <= bound : isnan(w) ? isnan(y) : y == w;
    if (!same)
      return differ(c, want, k, element(wide, k), element(got, k), bound);
  }
  return true;
}

static bool same_bits(const check *c, const fv_tensor_io *a, const fv_tensor_io *b) {
  const size_t size = (size_t)fv_dtype_size(a->dtype);
  for (int64_t k = 0; k < count_of(a); k++)
    if (memcmp((char *)a->data + (size_t)k * size, (char *)b->data + (size_t)k * size, size) != 0)
      return differ(c, a, k, element(a, k), element(b, k), 0);
  return true;
}

//===-- Running ------------------------------------------------------------------------===//

static fv_status run(check *c, side *s, int context, fv_tensor_io *out) {
  return fv_context_run(s->cx[context], "main", s->wide ? c->wide_in : c->in, c->n_in, c->dim,
                        c->n_dim, out, MAX_OUT, &c->diag);
}

static fuzz_verdict compare(const check *c, const fv_tensor_io *want, const fv_tensor_io *wide,
                            const fv_tensor_io *noisy, const fv_tensor_io *got,
                            const fv_tensor_io *again) {
  const int n = c->side[REFERENCE].module->graph[0]->region->n_result;
  for (int i = 0; i < n; i++) {
    if (!same_shape(&want[i], &got[i]) || !same_shape(&got[i], &again[i])) {
      tell(c, "  '%s': another shape\n", want[i].name);
      return FUZZ_DIFFERS;
    }
    const bool exact = !fv_dtype_is_float(want[i].dtype) || want[i].name[0] == 'e';
    if (!(exact ? same_exactly(c, &want[i], &got[i])
                : same_nearly(c, &want[i], &wide[i], &noisy[i], &got[i])))
      return FUZZ_DIFFERS;
    if (!same_bits(c, &got[i], &again[i]))
      return FUZZ_THREADS;
  }
  return FUZZ_SAME;
}

static fuzz_verdict one_run(check *c) {
  fv_tensor_io want[MAX_OUT], wide[MAX_OUT], noisy[MAX_OUT], got[MAX_OUT], again[MAX_OUT];
  const fv_status r = run(c, &c->side[REFERENCE], 0, want);
  const fv_status w = run(c, &c->side[WIDE], 0, wide);
  const fv_status z = run(c, &c->side[NOISY], 0, noisy);
  const fv_status t = run(c, &c->side[TESTED], 0, got);
  const fv_status t3 = run(c, &c->side[TESTED], 1, again);
  if ((r == FV_OK) != (t == FV_OK) || t != t3) {
    c->diag.emit = c->set->tell ? fv_diag_print : NULL;  // again, to hear why
    (void)run(c, &c->side[r == FV_OK ? TESTED : REFERENCE], 0, want);
    tell(c, "  status of the reference: %d, of %s: %d, %d\n", (int)r, c->side[TESTED].backend,
         (int)t, (int)t3);
    return FUZZ_STATUS;
  }
  return r == FV_OK && w == FV_OK && z == FV_OK ? compare(c, want, wide, noisy, got, again)
                                                : FUZZ_SAME;
}

static fuzz_verdict all_runs(check *c) {
  fuzz_verdict v = FUZZ_SAME;
  for (int i = 0; i < RUNS && v == FUZZ_SAME; i++) {
    if (make_inputs(c, i))
      v = one_run(c);
    release_inputs(c);
    if (v != FUZZ_SAME)
      for (size_t k = 0; k < c->n_dim; k++)
        tell(c, "  %s = %lld\n", c->dim[k].name, (long long)c->dim[k].value);
    if (!c->n_dim && !c->side[REFERENCE].module->n_state)
      break;
  }
  return v;
}

fuzz_verdict fuzz_check(const fuzz_settings *s, const char *text, size_t size) {
  fv_diag_printer printer = {.out = s->tell};
  check *c = calloc(1, sizeof *c);
  if (!c)
    return FUZZ_INVALID;
  *c = (check){
      .set = s,
      .text = text,
      .size = size,
      .side = {[REFERENCE] = {.backend = "reference", .n_context = 1},
               [WIDE] = {.backend = "reference", .n_context = 1, .wide = true},
               [NOISY] = {.backend = "reference", .n_context = 1, .wide = true, .noisy = true},
               [TESTED] = {.backend = s->backend, .n_context = 2}},
      .diag = {.emit = s->tell ? fv_diag_print : NULL, .user = &printer}};
  fuzz_verdict v = FUZZ_SAME;
  for (int i = 0; i < SIDES && v == FUZZ_SAME; i++)
    if (open_side(c, &c->side[i]) != FV_OK)
      v = i == TESTED ? FUZZ_COMPILE : FUZZ_INVALID;
  c->diag.emit = NULL;  // a run may fail, if it fails everywhere
  if (v == FUZZ_SAME) {
    fv_region *r = c->side[REFERENCE].module->graph[0]->region;
    for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n))
      c->nodes++;
    v = all_runs(c);
  }
  for (int i = 0; i < SIDES; i++)
    close_side(&c->side[i]);
  free(c);
  return v;
}

fuzz_verdict fuzz_check_apart(const fuzz_settings *s, const char *text, size_t size) {
  fflush(NULL);
  const pid_t pid = fork();
  if (pid == 0) {
    alarm((unsigned)s->seconds);
    const fuzz_verdict v = fuzz_check(s, text, size);
    fflush(NULL);
    _exit((int)v);
  }
  int status;
  if (pid < 0 || waitpid(pid, &status, 0) != pid)
    return FUZZ_INVALID;
  if (WIFSIGNALED(status))
    return WTERMSIG(status) == SIGALRM ? FUZZ_HANGS : FUZZ_CRASH;
  return WEXITSTATUS(status) < FUZZ_VERDICTS ? (fuzz_verdict)WEXITSTATUS(status) : FUZZ_CRASH;
}
