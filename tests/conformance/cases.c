// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/cases.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "ir/sem/sem.h"

static const int64_t kSizes[] = {0, 1, 15, 16, 17, 33};
enum { MAX_NUMBERS = 8, MAX_DIM = 64 };

//===-- The numbers of an example ------------------------------------------------===//

// The different dims of an example, in order of appearance.
static int numbers_of(const fv_example *ex, int64_t *out) {
  int n = 0;
  for (int i = 0; i < ex->n_operand; i++)
    for (int d = 0; d < ex->operand[i].rank; d++) {
      int k = 0;
      while (k < n && out[k] != ex->operand[i].dim[d])
        k++;
      if (k == n && n < MAX_NUMBERS)
        out[n++] = ex->operand[i].dim[d];
    }
  return n;
}

// Is `dim` the number d, or, where multiples follow (the rows of stacked gates,
// the halves of a pair), a multiple of it? Returns the factor, or 0.
static int64_t factor_of(int64_t dim, int64_t d, bool multiples) {
  if (dim == d)
    return 1;
  return multiples && d > 1 && dim % d == 0 ? dim / d : 0;
}

// The same number in an example is the same dim: all become r, and so do bounds
// of ids that are bounded by it.
static void resize(fv_example *ex, int64_t d, int64_t r, bool multiples) {
  for (int i = 0; i < ex->n_operand; i++) {
    fv_example_operand *o = &ex->operand[i];
    for (int k = 0; k < o->rank; k++) {
      const int64_t f = factor_of(o->dim[k], d, multiples);
      if (f)
        o->dim[k] = f * r;
    }
    if (o->limit == d || o->limit == d + 1)
      o->limit += r - d;
    if (o->has_dtype && fv_dtype_is_int(o->dtype) && o->limit == 0)
      o->limit = 1;
  }
}

static bool is_large(const fv_example *ex) {
  int64_t sum = 0;
  for (int i = 0; i < ex->n_operand; i++) {
    int64_t n = 1;
    for (int d = 0; d < ex->operand[i].rank; d++)
      n *= ex->operand[i].dim[d];
    sum += n;
  }
  return sum > CASE_MAX_ELEMENTS;
}

//===-- Building -------------------------------------------------------------------===//

// Gives dims of parameters that are the number d the symbol's name.
static void name_number(built_case *b, int64_t d, bool multiples, fv_module *m) {
  const int j = b->n_symbol++;
  const uint32_t s = fv_symbol_add(m->pool, fv_arena_printf(m->arena, "%s_d%d", b->graph->name, j),
                                   d > 0, MAX_DIM, FV_SYM_DIM);
  if (j == 0)
    b->first_symbol = s;
  b->size[j] = d;
  const fv_expr *x = fv_x_sym(m->pool, s);
  for (int i = 0; i < b->graph->region->n_param; i++) {
    fv_type *t = &b->graph->region->param[i]->type;
    for (int k = 0; k < t->rank; k++) {
      int64_t v;
      const int64_t f = fv_x_is_lit(t->dim[k], &v) ? factor_of(v, d, multiples) : 0;
      if (f)
        t->dim[k] = fv_x_mul(m->pool, x, fv_x_i64(m->pool, f));
    }
  }
}

static fv_status make_symbolic(built_case *b, int variant, bool multiples, fv_diag_sink *diag) {
  int64_t number[MAX_NUMBERS];
  const int n = numbers_of(&b->ex, number);
  const int j = variant - CASE_SYMBOLIC;
  if (variant == CASE_ALL_SYMBOLIC ? n < 2 : j >= n)
    return FV_ERR_NO;
  for (int k = 0; k < n; k++)
    if (k == j || (variant == CASE_ALL_SYMBOLIC && number[k] > 1))
      name_number(b, number[k], multiples, b->graph->module);
  return b->n_symbol ? fv_infer_graph(b->graph, diag) : FV_ERR_NO;
}

// Each matrix comes transposed, so that its rows are not contiguous.
static fv_status make_strided(built_case *b, fv_node *n, fv_diag_sink *diag) {
  fv_region *r = b->graph->region;
  bool any = false;
  for (int i = 0; i < r->n_param; i++) {
    fv_value *p = r->param[i];
    const fv_type t = p->type;
    if (t.rank < 2)
      continue;
    for (int k = 0; k < t.rank; k++)
      p->type.dim[k] = t.dim[t.rank - 1 - k];
    fv_node *turn = fv_node_create(r, FV_OP_transpose, 1, &p, NULL);
    fv_node_insert_before(turn, n);
    FV_TRY(fv_infer_node(turn, diag));
    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] == p)
        n->in[k] = turn->out[0];
    any = true;
  }
  return any ? fv_infer_graph(b->graph, diag) : FV_ERR_NO;
}

static bool has_special(const conf_case *c, const fv_example *ex) {
  const fv_op_info *info = fv_op_get(c->op);
  const bool exact = info->tolerance == 0 || (info->flags & FV_OPF_ELEMENTWISE);
  for (int i = 0; i < ex->n_operand; i++) {
    const fv_example_operand *o = &ex->operand[i];
    const fv_dtype t = o->has_dtype ? o->dtype : c->t;
    if (!o->absent && o->limit == 0 && (fv_dtype_is_float(t) || (fv_dtype_is_int(t) && exact)))
      return true;
  }
  return false;
}

static fv_status build(fv_module *m, const char *name, const conf_case *c, bool multiples,
                       fv_diag_sink *diag, built_case *out) {
  const int variant = c->number % CASE_VARIANTS;
  fv_node *n;
  *out = (built_case){0};
  if (!fv_example_get(c->op, c->number / CASE_VARIANTS, &out->ex))
    return fv_error(diag, FV_ERR_PARSE, NULL, "the example cannot be read");
  if (variant == CASE_SPECIAL && !has_special(c, &out->ex))
    return FV_ERR_NO;
  if (variant >= CASE_RESIZED && variant < CASE_SYMBOLIC) {
    int64_t number[MAX_NUMBERS];
    const int j = (variant - CASE_RESIZED) / 6;
    const int64_t r = kSizes[(variant - CASE_RESIZED) % 6];
    if (j >= numbers_of(&out->ex, number) || number[j] == r)
      return FV_ERR_NO;
    resize(&out->ex, number[j], r, multiples);
    if (is_large(&out->ex))
      return FV_ERR_NO;
  }
  out->graph = fv_graph_create(m, name, NULL);
  FV_TRY(fv_example_build(out->graph, c->op, &out->ex, c->t, diag, &n));
  if (variant == CASE_STRIDED)
    return make_strided(out, n, diag);
  return variant >= CASE_SYMBOLIC ? make_symbolic(out, variant, multiples, diag) : FV_OK;
}

typedef struct trial {
  const conf_case *c;
  fv_arena *arena;
  bool multiples;
} trial;

static fv_status try_build(void *user) {
  trial *t = user;
  built_case b;
  fv_diag_sink silent = {0};
  return build(fv_module_create(t->arena, "trial"), "c", t->c, t->multiples, &silent, &b);
}

// A build that is refused leaves half a graph, so it is tried apart from others.
static fv_status is_accepted(const conf_case *c, bool multiples) {
  fv_arena *ar = fv_arena_create(NULL);
  trial t = {c, ar, multiples};
  const fv_status s = ar ? fv_arena_protect(ar, try_build, &t, NULL) : FV_ERR_OOM;
  fv_arena_destroy(ar);
  return s;
}

fv_status case_build(fv_module *m, const char *name, const conf_case *c, fv_diag_sink *diag,
                     built_case *out) {
  const bool multiples =
      c->number % CASE_VARIANTS >= CASE_RESIZED && is_accepted(c, false) != FV_OK;
  return build(m, name, c, multiples, diag, out);
}

//===-- Sizes and data ---------------------------------------------------------------===//

int case_runs(const built_case *b) {
  return b->n_symbol ? 4 : 1;
}

int64_t case_size(const built_case *b, int run, int j) {
  static const int64_t size[] = {0, 1, 16};
  const int64_t d = b->size[j];
  return run == 0 ? d : run < 3 ? size[run] : d + 1;
}

typedef struct source {
  uint64_t state;
} source;

static uint64_t next(source *s) {  // splitmix64
  uint64_t z = s->state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static double uniform(source *s) {
  return (double)(next(s) >> 11) * 0x1p-53;
}

static fv_scalar ordinary(source *s, const fv_example_operand *o, fv_dtype t) {
  fv_scalar v = {.i = 0};
  const double u = uniform(s);
  if (fv_dtype_is_float(t)) {
    v.f = (o->positive ? u * 2 + 0.1 : u * 4 - 2) * o->scale;
  } else if (t == FV_bool) {
    v.i = u < 0.6;
  } else if (o->limit > 0) {
    v.i = (int64_t)(u * (double)o->limit);
  } else {
    v.i = (int64_t)(u * 9) - (t == FV_u8 ? 0 : 4);
    if (o->positive && v.i <= 0)
      v.i = 1;
  }
  return v;
}

static fv_scalar special_float(source *s, fv_dtype t) {
  static const struct {
    double max, min, tiny;  // largest, smallest normal, smallest
  } bounds[FV_DTYPE_COUNT] = {[FV_f32] = {FLT_MAX, FLT_MIN, 0x1p-149},
                              [FV_f64] = {DBL_MAX, DBL_MIN, 0x1p-1074},
                              [FV_f16] = {65504, 0x1p-14, 0x1p-24},
                              [FV_bf16] = {0x1.fep127, 0x1p-126, 0x1p-133}};
  const double value[] = {NAN,
                          INFINITY,
                          -INFINITY,
                          0.0,
                          -0.0,
                          bounds[t].max,
                          -bounds[t].max,
                          1.0,
                          -1.0,
                          0.5,
                          -0.5,
                          2.5,
                          bounds[t].min,
                          -bounds[t].min,
                          bounds[t].tiny,
                          -bounds[t].tiny};
  return (fv_scalar){.f = value[next(s) % FV_COUNTOF(value)]};
}

static fv_scalar special_int(source *s, const fv_example_operand *o, fv_dtype t) {
  const int bits = 8 * fv_dtype_size(t) - (t == FV_u8 ? 0 : 1);
  const int64_t max = (int64_t)((UINT64_C(1) << bits) - 1), min = t == FV_u8 ? 0 : -max - 1;
  const int64_t all[] = {min, max, min + 1, max - 1, 0, 1, t == FV_u8 ? 128 : -1};
  const int64_t positive[] = {1, max, 2, max - 1};
  return (fv_scalar){.i = o->positive ? positive[next(s) % FV_COUNTOF(positive)]
                                      : all[next(s) % FV_COUNTOF(all)]};
}

static const fv_example_operand *operand_of(const fv_example *ex, int param) {
  int i = 0;
  while (ex->operand[i].absent || param-- > 0)
    i++;
  return &ex->operand[i];
}

void case_data(const conf_case *c, const built_case *b, int i, fv_dtype t, uint64_t seed, int64_t n,
               void *data) {
  const fv_op_info *info = fv_op_get(c->op);
  const fv_example_operand *o = operand_of(&b->ex, i);
  const size_t size = (size_t)fv_dtype_size(t);
  source s = {seed * 1000003 + (uint64_t)c->op * 7919 + (uint64_t)c->number * 16 + (uint64_t)i};
  const bool special = c->number % CASE_VARIANTS == CASE_SPECIAL && t != FV_bool && o->limit == 0;
  const bool exact = info->tolerance == 0 || (info->flags & FV_OPF_ELEMENTWISE);
  for (int64_t k = 0; k < n; k++) {
    fv_scalar v = ordinary(&s, o, t);
    if (special && exact && next(&s) % 4)
      v = fv_dtype_is_float(t) ? special_float(&s, t) : special_int(&s, o, t);
    fv_scalar_store(t, (char *)data + (size_t)k * size, v);
  }
  // A sum takes infinities in any order: one NaN shows how far each element reaches.
  if (special && !exact && i == 0 && n > 0 && fv_dtype_is_float(t))
    fv_scalar_store(t, (char *)data + (size_t)(next(&s) % (uint64_t)n) * size,
                    (fv_scalar){.f = NAN});
}

//===-- All cases -----------------------------------------------------------------------===//

static int types_of(const fv_op_info *info, fv_dtype *out) {
  int n = 0;
  if (info->dtypes[0] == '-') {  // the examples name their types
    out[n++] = FV_f32;
    return n;
  }
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    for (const char *p = info->dtypes; *p; p++)
      if ((*p == 'f' && fv_dtype_is_float((fv_dtype)t)) ||
          (*p == 'i' && fv_dtype_is_int((fv_dtype)t)) || (*p == 'b' && t == FV_bool))
        out[n++] = (fv_dtype)t;
  return n;
}

void case_each(fv_op op, bool full, void (*f)(void *user, const conf_case *c), void *user) {
  fv_dtype type[FV_DTYPE_COUNT];
  const int n_type = types_of(fv_op_get(op), type), n_example = fv_example_count(op);
  for (int e = 0; e < n_example; e++)
    for (int v = 0; v < CASE_VARIANTS; v++) {
      const int other = n_type > 1 ? 1 + (e + v) % (n_type - 1) : 0;
      for (int t = 0; t < n_type; t++) {
        if (v > CASE_SPECIAL && !full && t != 0 && t != other)
          continue;
        const conf_case c = {op, e * CASE_VARIANTS + v, type[t]};
        fv_status s = is_accepted(&c, false);
        if (s != FV_OK && s != FV_ERR_NO && v >= CASE_RESIZED)
          s = is_accepted(&c, true);
        // What must work, and what breaks us, is a case whether it builds or not.
        if (s == FV_OK || v == CASE_PLAIN || s == FV_ERR_INTERNAL)
          f(user, &c);
      }
    }
}
