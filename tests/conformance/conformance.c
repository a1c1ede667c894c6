// SPDX-License-Identifier: Apache-2.0
// Runs the examples of the op table on a backend and holds the results against
// the reference: every op, every example, every element type of its class.
// Nothing is registered: a row is tested the moment it exists. The bounds are
// the table's own column; integers and exact ops must agree bit for bit.
//
//   conformance --backend=llvm [--op=NAME] [--case=N] [--dtype=T] [--seed=N] [--sample] [--list]
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/internal.h"
#include "ir/example.h"

enum { MAX_IO = 16 };

typedef struct settings {
  const char *backend, *op, *dtype;
  int only;  // case number, -1 = all
  uint64_t seed;
  bool sample, list;
} settings;

typedef struct totals {
  int passed, failed, skipped;
} totals;

typedef struct test_case {
  const settings *set;
  fv_op op;
  int number;
  fv_dtype t;
  fv_example ex;
  uint64_t random;
  fv_tensor_io in[MAX_IO];
  char name[MAX_IO][64];
  int n_in;
} test_case;

// One backend's half of a case.
typedef struct side {
  fv_arena *arena;
  fv_module *module;
  fv_executable *exe;
  fv_context *cx;
  fv_tensor_io out[MAX_IO];
  const test_case *c;
  fv_diag_sink *diag;
} side;

//===-- Data --------------------------------------------------------------------===//

static double uniform(test_case *c) {  // xorshift64
  c->random ^= c->random << 13;
  c->random ^= c->random >> 7;
  c->random ^= c->random << 17;
  return (double)(c->random >> 11) / 9007199254740992.0;
}

static fv_scalar random_value(test_case *c, const fv_example_operand *o, fv_dtype t) {
  fv_scalar v = {.i = 0};
  const double u = uniform(c);
  if (fv_dtype_is_float(t))
    v.f = o->positive ? u * 2 + 0.1 : u * 4 - 2;
  else if (t == FV_bool)
    v.i = u < 0.6;
  else if (o->limit > 0)
    v.i = (int64_t)(u * (double)o->limit);
  else
    v.i = (int64_t)(u * 9) - (t == FV_u8 ? 0 : 4);
  if (o->positive && !fv_dtype_is_float(t) && v.i <= 0)
    v.i = 1;
  return v;
}

static void make_inputs(test_case *c) {
  const fv_op_info *info = fv_op_get(c->op);
  for (int i = 0; i < c->ex.n_operand; i++) {
    const fv_example_operand *o = &c->ex.operand[i];
    if (o->absent)
      continue;
    const fv_param_info *p = &info->operand[i < info->n_operand ? i : info->n_operand - 1];
    if (p->variadic)
      snprintf(c->name[c->n_in], sizeof c->name[0], "%.*s%d", (int)p->len, p->name, i);
    else
      snprintf(c->name[c->n_in], sizeof c->name[0], "%.*s", (int)p->len, p->name);
    fv_tensor_io *in = &c->in[c->n_in];
    *in = (fv_tensor_io){.name = c->name[c->n_in], .rank = o->rank,
                         .dtype = o->has_dtype ? o->dtype : c->t};
    c->n_in++;
    int64_t n = 1;
    for (int d = 0; d < o->rank; d++)
      n *= in->dim[d] = o->dim[d];
    const size_t size = (size_t)fv_dtype_size(in->dtype);
    in->data = calloc((size_t)n + 64, size);
    for (int64_t k = 0; in->data && k < n; k++)
      fv_scalar_store(in->dtype, (char *)in->data + (size_t)k * size,
                      random_value(c, o, in->dtype));
  }
}

//===-- Running ------------------------------------------------------------------===//

static fv_status build(void *user) {
  side *s = user;
  fv_node *n;
  s->module = fv_module_create(s->arena, "example");
  fv_graph *g = fv_graph_create(s->module, "main", NULL);
  return fv_example_build(g, s->c->op, &s->c->ex, s->c->t, s->diag, &n);
}

static fv_status run(side *s, const char *backend) {
  const char *bug = NULL;
  s->arena = fv_arena_create(NULL);
  fv_status r = fv_arena_protect(s->arena, build, s, &bug);
  const fv_compile_options o = {.struct_size = sizeof o, .backend = backend};
  if (r == FV_OK)
    r = fv_compile_module(s->arena, s->module, &o, s->diag, &s->exe);
  if (r == FV_OK)
    r = fv_context_create(s->exe, 1, s->diag, &s->cx);
  if (r == FV_OK)
    r = fv_context_run(s->cx, "main", s->c->in, (size_t)s->c->n_in, NULL, 0, s->out, MAX_IO,
                       s->diag);
  return r;
}

static void release(side *s) {
  fv_context_destroy(s->cx);
  fv_executable_destroy(s->exe);
  fv_arena_destroy(s->arena);
}

//===-- Comparing -----------------------------------------------------------------===//

static double eps_of(fv_dtype t) {
  switch (t) {
  case FV_f64: return 0x1p-52;
  case FV_f16: return 0x1p-10;
  case FV_bf16: return 0x1p-7;
  default: return 0x1p-23;
  }
}

static double largest(const fv_tensor_io *t, int64_t n) {
  double scale = 1;
  for (int64_t k = 0; k < n; k++) {
    const double v =
        fabs(fv_scalar_load(t->dtype, (char *)t->data + k * fv_dtype_size(t->dtype)).f);
    if (isfinite(v) && v > scale)
      scale = v;
  }
  return scale;
}

// Number of elements that differ by more than the op allows; tells the first.
static int64_t differences(const test_case *c, const fv_tensor_io *want, const fv_tensor_io *got) {
  int64_t n = 1, bad = 0;
  if (want->rank != got->rank || want->dtype != got->dtype)
    return 1;
  for (int d = 0; d < want->rank; d++) {
    if (want->dim[d] != got->dim[d])
      return 1;
    n *= want->dim[d];
  }
  const bool real = fv_dtype_is_float(want->dtype);
  const double bound = fv_op_get(c->op)->tolerance * eps_of(want->dtype);
  const double scale = real ? largest(want, n) : 1;
  for (int64_t k = 0; k < n; k++) {
    const int64_t at = k * fv_dtype_size(want->dtype);
    const fv_scalar x = fv_scalar_load(want->dtype, (char *)want->data + at);
    const fv_scalar y = fv_scalar_load(got->dtype, (char *)got->data + at);
    const bool same = !real ? x.i == y.i
                            : x.f == y.f || (isnan(x.f) && isnan(y.f)) ||
                                  fabs(x.f - y.f) <= bound * fmax(fabs(x.f), scale);
    if (!same && bad++ == 0 && real)
      printf("  '%s' [%lld]: reference %.9g, %s %.9g\n", want->name, (long long)k, x.f,
             c->set->backend, y.f);
    else if (!same && bad == 1)
      printf("  '%s' [%lld]: reference %lld, %s %lld\n", want->name, (long long)k, (long long)x.i,
             c->set->backend, (long long)y.i);
  }
  return bad;
}

// 0 passed, 1 failed, -1 skipped.
static int check(test_case *c, fv_diag_sink *diag) {
  side ref = {.c = c, .diag = diag}, sut = {.c = c, .diag = diag};
  int result = 1;
  if (run(&ref, "reference") == FV_OK) {
    const fv_status r = run(&sut, c->set->backend);
    result = r == FV_ERR_UNSUPPORTED ? -1 : r != FV_OK;
    const fv_graph_info *g = &fv_executable_get_info(ref.exe)->graph[0];
    for (int i = 0; r == FV_OK && i < g->n_output; i++)
      result |= differences(c, &ref.out[i], &sut.out[i]) != 0;
  }
  release(&ref);
  release(&sut);
  return result;
}

static void run_case(const settings *set, fv_op op, int number, fv_dtype t, totals *sum) {
  fv_diag_printer printer = {.out = stdout};
  fv_diag_sink diag = {.emit = fv_diag_print, .user = &printer};
  const char *name = fv_op_get(op)->name;
  test_case c = {.set = set, .op = op, .number = number, .t = t,
                 .random = set->seed * 2654435761u + (uint64_t)op * 977 + (uint64_t)number + 1};
  if (set->list) {
    printf("%s %d %s\n", name, number, fv_dtype_name(t));
    return;
  }
  if (!fv_example_get(op, number, &c.ex)) {
    printf("FAIL %s %d: the example cannot be read\n", name, number);
    sum->failed++;
    return;
  }
  make_inputs(&c);
  const int r = check(&c, &diag);
  for (int i = 0; i < c.n_in; i++)
    free(c.in[i].data);
  if (r > 0)
    printf("FAIL: test_conformance --backend=%s --op=%s --case=%d --dtype=%s --seed=%llu\n",
           set->backend, name, number, fv_dtype_name(t), (unsigned long long)set->seed);
  sum->passed += r == 0;
  sum->failed += r > 0;
  sum->skipped += r < 0;
}

//===-- All cases --------------------------------------------------------------------===//

static bool in_classes(const char *classes, fv_dtype t) {
  for (const char *p = classes; *p; p++)
    if ((*p == 'f' && fv_dtype_is_float(t)) || (*p == 'i' && fv_dtype_is_int(t)) ||
        (*p == 'b' && t == FV_bool))
      return true;
  return false;
}

static void run_op(const settings *set, fv_op op, totals *sum) {
  const fv_op_info *info = fv_op_get(op);
  const int n = fv_example_count(op);
  for (int i = 0; i < n; i++) {
    if ((set->only >= 0 && i != set->only) || (set->sample && i != 0 && i != n - 1))
      continue;
    if (info->dtypes[0] == '-') {  // the examples name their types
      run_case(set, op, i, FV_f32, sum);
      continue;
    }
    for (int t = 0; t < FV_DTYPE_COUNT; t++)
      if (in_classes(info->dtypes, (fv_dtype)t) &&
          (!set->dtype || strcmp(set->dtype, fv_dtype_name((fv_dtype)t)) == 0))
        run_case(set, op, i, (fv_dtype)t, sum);
  }
}

static const char *value_of(const char *arg, const char *option) {
  const size_t n = strlen(option);
  return strncmp(arg, option, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static bool parse(int argc, char **argv, settings *s) {
  const char *v;
  for (int i = 1; i < argc; i++) {
    if ((v = value_of(argv[i], "--backend")))
      s->backend = v;
    else if ((v = value_of(argv[i], "--op")))
      s->op = v;
    else if ((v = value_of(argv[i], "--dtype")))
      s->dtype = v;
    else if ((v = value_of(argv[i], "--case")))
      s->only = atoi(v);
    else if ((v = value_of(argv[i], "--seed")))
      s->seed = strtoull(v, NULL, 10);
    else if (strcmp(argv[i], "--sample") == 0)
      s->sample = true;
    else if (strcmp(argv[i], "--list") == 0)
      s->list = true;
    else
      return false;
  }
  return true;
}

// Is the backend's device there? Without one there is nothing to test.
static bool available(const char *backend) {
  fv_diag_sink silent = {0};
  const fv_backend *b;
  fv_device *d = NULL;
  fv_report report = {.diag = &silent};
  if (fv_backend_find(backend, &silent, &b) != FV_OK ||
      b->open(fv_host_table(), NULL, 0, &report, &d) != FV_PLUGIN_OK)
    return false;
  if (b->close)
    b->close(d);
  return true;
}

int main(int argc, char **argv) {
  settings set = {.backend = "llvm", .only = -1, .seed = 1};
  totals sum = {0};
  if (!parse(argc, argv, &set)) {
    fputs("usage: conformance [--backend=B] [--op=NAME] [--case=N] [--dtype=T] [--seed=N] "
          "[--sample] [--list]\n",
          stderr);
    return 2;
  }
  if (!available(set.backend)) {
    printf("backend '%s' has no device here\n0 passed, 0 failed, 1 skipped\n", set.backend);
    return 77;
  }
  printf("backend %s, seed %llu\n", set.backend, (unsigned long long)set.seed);
  for (int op = 0; op < FV_OP_COUNT; op++)
    if (!set.op || strcmp(set.op, fv_op_get((fv_op)op)->name) == 0)
      run_op(&set, (fv_op)op, &sum);
  if (!set.list)
    printf("%d passed, %d failed, %d skipped\n", sum.passed, sum.failed, sum.skipped);
  return sum.failed > 0;
}
