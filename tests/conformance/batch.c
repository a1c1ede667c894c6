// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/batch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/internal.h"
#include "tests/compare.h"

enum { MAX_IO = 16 };

// One backend's half of a batch.
typedef struct side {
  fv_arena *arena;
  fv_module *module;
  built_case *built;
  fv_executable *exe;
  fv_context *cx;
  const conf_case *c;
  int n;
  fv_diag_sink *diag;
} side;

void case_repro(const batch_options *o, const conf_case *c, const char *what) {
  printf("FAIL (%s): test_conformance --backend=%s", what, o->backend);
  for (size_t i = 0; i < o->n_option; i++)
    printf(" --option=%s", o->option[i]);
  printf(" --op=%s --case=%d --dtype=%s --seed=%llu\n", fv_op_get(c->op)->name, c->number,
         fv_dtype_name(c->t), (unsigned long long)o->seed);
}

//===-- One side -------------------------------------------------------------------===//

static fv_status build_all(void *user) {
  side *s = user;
  s->module = fv_module_create(s->arena, "cases");
  s->built = FV_NEW_N(s->arena, built_case, s->n);
  for (int i = 0; i < s->n; i++)
    FV_TRY(case_build(s->module, fv_arena_printf(s->arena, "c%d", i), &s->c[i], s->diag,
                      &s->built[i]));
  return FV_OK;
}

static fv_status open_side(side *s, const char *backend, const batch_options *of) {
  const fv_compile_options o = {.struct_size = sizeof o,
                                .backend = backend,
                                .backend_option = of ? of->option : NULL,
                                .n_backend_option = of ? of->n_option : 0};
  s->arena = fv_arena_create(NULL);
  if (!s->arena)
    return FV_ERR_OOM;
  fv_status r = fv_guard(s->arena, s->diag, build_all, s);
  if (r == FV_OK)
    r = fv_compile_module(s->arena, s->module, &o, s->diag, &s->exe);
  if (r == FV_OK)
    r = fv_context_create(s->exe, 1, s->diag, &s->cx);
  return r;
}

static void close_side(side *s) {
  fv_context_destroy(s->cx);
  fv_executable_destroy(s->exe);
  fv_arena_destroy(s->arena);
}

//===-- One run ----------------------------------------------------------------------===//

typedef struct tensors {
  fv_tensor_io t[MAX_IO];
  int n;
} tensors;

static int64_t count(const fv_tensor_io *t) {
  int64_t n = 1;
  for (int d = 0; d < t->rank; d++)
    n *= t->dim[d];
  return n;
}

static void release(tensors *l) {
  for (int i = 0; i < l->n; i++)
    free(l->t[i].data);
  l->n = 0;
}

// Shapes of the inputs of a case in the sizes of a run. False if memory is short.
static bool shape_inputs(const side *s, int i, int run, tensors *out) {
  const built_case *b = &s->built[i];
  const fv_graph *g = b->graph;
  int64_t *symbol = calloc(fv_symbol_count(s->module->pool) + 1, sizeof *symbol);
  bool ok = symbol != NULL;
  for (int j = 0; ok && j < b->n_symbol; j++)
    symbol[b->first_symbol + (uint32_t)j] = case_size(b, run, j);
  *out = (tensors){.n = 0};
  for (int p = 0; ok && p < g->region->n_param; p++) {
    const fv_type *type = &g->region->param[p]->type;
    fv_tensor_io *t = &out->t[out->n++];
    *t = (fv_tensor_io){.name = g->input_name[p], .dtype = type->dtype, .rank = type->rank};
    for (int d = 0; ok && d < t->rank; d++)
      ok = fv_x_eval_i64(type->dim[d], symbol, &t->dim[d]);
  }
  free(symbol);
  return ok;
}

static bool fill_inputs(const side *s, int i, int run, uint64_t seed, tensors *in) {
  for (int p = 0; p < in->n; p++) {
    fv_tensor_io *t = &in->t[p];
    t->data = calloc((size_t)count(t) + 64, (size_t)fv_dtype_size(t->dtype));
    if (!t->data)
      return false;
    case_data(&s->c[i], &s->built[i], p, t->dtype, seed + (uint64_t)run * 31, count(t), t->data);
  }
  return true;
}

// A kernel of 16^4 elements keeps the reference busy and shows nothing new.
static bool is_large(const tensors *in) {
  int64_t n = 0;
  for (int i = 0; i < in->n; i++)
    n += count(&in->t[i]);
  return n > CASE_MAX_ELEMENTS;
}

static fv_status run_side(side *s, int i, const tensors *in, tensors *out) {
  char name[16];
  snprintf(name, sizeof name, "c%d", i);
  *out = (tensors){.n = 0};
  const fv_status r =
      fv_context_run(s->cx, name, in->t, (size_t)in->n, NULL, 0, out->t, MAX_IO, s->diag);
  if (r == FV_OK)
    out->n = fv_executable_get_info(s->exe)->graph[i].n_output;
  return r;
}

//===-- Comparing ---------------------------------------------------------------------===//

// A sum's terms may be as large as its largest neighbour, or as 1.
static double scale_of(const fv_op_info *info, const fv_tensor_io *t) {
  double scale = 1;
  if (info->flags & FV_OPF_ELEMENTWISE)
    return scale;
  for (int64_t k = 0; k < count(t); k++) {
    const double v = fabs(element(t, k).f);
    if (isfinite(v) && v > scale)
      scale = v;
  }
  return scale;
}

static bool same_float(double want, double got, double tolerance, double scale) {
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got);
  if (tolerance == 0)
    return want == got && signbit(want) == signbit(got);
  if (isinf(want) || isinf(got))
    return want == got;
  return fabs(got - want) <= tolerance * fmax(fabs(want), scale);
}

static void tell_difference(const fv_tensor_io *t, int64_t k, fv_scalar want, fv_scalar got) {
  if (fv_dtype_is_float(t->dtype))
    printf("  '%s' [%lld]: want %.9g, got %.9g\n", t->name, (long long)k, want.f, got.f);
  else
    printf("  '%s' [%lld]: want %lld, got %lld\n", t->name, (long long)k, (long long)want.i,
           (long long)got.i);
}

static bool same_tensor(const conf_case *c, const fv_tensor_io *want, const fv_tensor_io *got) {
  const fv_op_info *info = fv_op_get(c->op);
  if (!same_shape(want, got)) {
    printf("  '%s': another shape or element type\n", want->name);
    return false;
  }
  const bool real = fv_dtype_is_float(want->dtype);
  const double tolerance = info->tolerance * eps_of(want->dtype);
  const double scale = real && info->tolerance > 0 ? scale_of(info, want) : 1;
  for (int64_t k = 0; k < count(want); k++) {
    const fv_scalar x = element(want, k), y = element(got, k);
    if (real ? !same_float(x.f, y.f, tolerance, scale) : x.i != y.i) {
      tell_difference(want, k, x, y);
      return false;
    }
  }
  return true;
}

// The reference decides; what it refuses to run must be refused. An example as
// it stands must run.
static bool same_run(side *ref, side *sut, int i, int run, const batch_options *o) {
  tensors in, want, got;
  bool same = shape_inputs(ref, i, run, &in);
  if (same && is_large(&in))
    return true;
  same = same && fill_inputs(ref, i, run, o->seed, &in);
  const fv_status rs = same ? run_side(ref, i, &in, &want) : FV_ERR_OOM;
  const fv_status ss = same ? run_side(sut, i, &in, &got) : FV_ERR_OOM;
  if (rs != ss || (rs != FV_OK && ref->c[i].number % CASE_VARIANTS == CASE_PLAIN)) {
    printf("  reference: status %d, %s: status %d\n", (int)rs, o->backend, (int)ss);
    same = false;
  }
  for (int k = 0; same && rs == FV_OK && k < want.n; k++)
    same = same_tensor(&ref->c[i], &want.t[k], &got.t[k]);
  if (!same && ref->built[i].n_symbol)
    for (int j = 0; j < ref->built[i].n_symbol; j++)
      printf("  symbol %d of %lld is %lld\n", j, (long long)ref->built[i].size[j],
             (long long)case_size(&ref->built[i], run, j));
  release(&in);
  return same;
}

//===-- Batches ------------------------------------------------------------------------===//

static bool has_f64(const fv_graph *g) {
  bool any = false;
  for (const fv_node *n = g->region->first; n; n = n->next) {
    for (int i = 0; i < n->n_in; i++)
      any |= n->in[i] && n->in[i]->type.dtype == FV_f64;
    for (int i = 0; i < n->n_out; i++)
      any |= n->out[i]->type.dtype == FV_f64;
  }
  return any;
}

// Declining is a skip only where the element type may be one that a device lacks.
static void compile_failed(const batch_options *o, const side *ref, fv_status r, totals *sum) {
  if (r == FV_ERR_UNSUPPORTED && ref->exe && has_f64(ref->built[0].graph)) {
    sum->skipped++;
    return;
  }
  case_repro(o, ref->c, "compile");
  sum->failed++;
}

void batch_run(const batch_options *o, const conf_case *c, int n, totals *sum) {
  fv_diag_printer printer = {.out = stdout};
  fv_diag_sink tell = {.emit = n == 1 ? fv_diag_print : NULL, .user = &printer}, silent = {0};
  side ref = {.c = c, .n = n, .diag = &tell}, sut = {.c = c, .n = n, .diag = &tell};
  fv_status r = open_side(&ref, "reference", NULL);
  if (r == FV_OK)
    r = open_side(&sut, o->backend, o);
  if (r != FV_OK && n == 1)
    compile_failed(o, &ref, r, sum);
  ref.diag = sut.diag = &silent;
  for (int i = 0; r == FV_OK && i < n; i++) {
    bool same = true;
    const int runs = case_runs(&ref.built[i]);
    for (int k = 0; same && k < runs; k++)
      same = same_run(&ref, &sut, i, k, o);
    if (!same)
      case_repro(o, &c[i], "result");
    sum->passed += same;
    sum->failed += !same;
  }
  close_side(&ref);
  close_side(&sut);
  for (int i = 0; r != FV_OK && n > 1 && i < n; i++)
    batch_run(o, &c[i], 1, sum);
}
