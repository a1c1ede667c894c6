// SPDX-License-Identifier: Apache-2.0
#include "cases.h"

#include <math.h>
#include <string.h>

#include "dims.h"
#include "values.h"

//===-- Making them -------------------------------------------------------===//

static const char *dir_of(fv_arena *ar, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? fv_arena_strndup(ar, path, (size_t)(slash - path) + 1) : "";
}

static const fv_graph_info *find_graph(const fv_model_info *info, const char *name) {
  for (int i = 0; i < info->n_graph; i++)
    if (strcmp(info->graph[i].name, name) == 0)
      return &info->graph[i];
  return NULL;
}

static fv_status add_golden(tool *t, const model *m, const fv_verify_info *v, case_list *out) {
  const fv_graph_info *g = find_graph(m->info, v->graph);
  fv_safetensors *file;
  fv_tensor_io *in, *expected;
  FV_TRY(safetensors_read(t, dir_of(t->arena, m->path), v->path, &file));
  FV_TRY(inputs_from_file(t, v->path, file, g->input, g->n_input, &in));
  FV_TRY(inputs_from_file(t, v->path, file, g->output, g->n_output, &expected));
  const run_case c = {
      .graph = g, .label = v->path, .in = in, .expected = expected, .tolerance = v->tolerance};
  FV_PUSH(t->arena, out->item, out->count, out->cap, c);
  return FV_OK;
}

fv_status cases_of_model(tool *t, const model *m, const char *graph, case_list *out) {
  if (!m->description)
    return usage_error(t,
                       "'%s' is compiled and has no golden cases any more; "
                       "`fovea compare MODEL.xml %s --verify` has",
                       m->path, m->path);
  const int n = fv_model_verify_count(m->description);
  for (int i = 0; i < n; i++) {
    const fv_verify_info v = fv_model_verify_get(m->description, i);
    if (!graph || strcmp(graph, v.graph) == 0)
      FV_TRY(add_golden(t, m, &v, out));
  }
  if (out->count == 0)
    return usage_error(t, graph ? "'%s' has no <verify> for graph '%s'" : "'%s' has no <verify>",
                       m->path, graph);
  return FV_OK;
}

fv_status case_create(tool *t, const model *m, const fv_graph_info *g, const text_list *input,
                      const char *const *dim, size_t n_dim, case_list *out) {
  dims d;
  fv_tensor_io *in;
  fv_str label = {.arena = t->arena};
  FV_TRY(dims_create(t, m->info, dim, n_dim, &d));
  FV_TRY(inputs_create(t, g, input, &d, &in));
  run_case c = {.graph = g, .in = in};
  c.dim = dims_values(t, &d, &c.n_dim);
  put_dims(&label, &d);
  c.label = label.data;
  FV_PUSH(t->arena, out->item, out->count, out->cap, c);
  return FV_OK;
}

//===-- Running them ------------------------------------------------------===//

fv_status case_run(tool *t, fv_context *c, const run_case *x, fv_tensor_io **out) {
  const fv_graph_info *g = x->graph;
  fv_tensor_io *y = FV_NEW_N(t->arena, fv_tensor_io, g->n_output);
  FV_TRY(fv_context_reset(c, t->diag));
  FV_TRY(fv_context_run(c, g->name, x->in, (size_t)g->n_input, x->dim, x->n_dim, y,
                        (size_t)g->n_output, t->diag));
  for (int i = 0; i < g->n_output; i++)
    y[i].name = g->output[i].name;
  *out = y;
  return FV_OK;
}

fv_tensor_io *tensors_copy(fv_arena *ar, const fv_tensor_io *x, int n) {
  fv_tensor_io *y = FV_NEW_N(ar, fv_tensor_io, n);
  for (int i = 0; i < n; i++) {
    y[i] = x[i];
    y[i].data = fv_arena_dup(ar, x[i].data, (size_t)tensor_bytes(&x[i]));
  }
  return y;
}

//===-- Comparing ---------------------------------------------------------===//

static double greater(double a, double b) {
  return a > b ? a : b;
}
static double magnitude(double v) {
  return v < 0 ? -v : v;
}

static double distance(double want, double got) {
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got) ? 0 : (double)INFINITY;
  return want == got ? 0 : magnitude(got - want);
}

static bool same_shape(const fv_tensor_io *a, const fv_tensor_io *b) {
  bool same = a->dtype == b->dtype && a->rank == b->rank;
  for (int i = 0; same && i < a->rank; i++)
    same = a->dim[i] == b->dim[i];
  return same;
}

// "at [0, 3] nan, not 5"
static const char *describe(fv_arena *ar, const fv_tensor_io *want, const fv_tensor_io *got,
                            int64_t i) {
  fv_str s = {.arena = ar};
  int64_t index[FV_MAX_RANK], rest = i;
  for (int d = want->rank - 1; d >= 0; d--) {
    index[d] = rest % want->dim[d];
    rest /= want->dim[d];
  }
  if (want->rank) {
    fv_str_puts(&s, "at ");
    put_shape(&s, want->rank, index);
    fv_str_puts(&s, " ");
  }
  put_value(&s, got, i);
  fv_str_puts(&s, ", not ");
  put_value(&s, want, i);
  return s.data;
}

static difference compare_integers(fv_arena *ar, const fv_tensor_io *want,
                                   const fv_tensor_io *got) {
  difference d = {.match = true};
  double scale = 0;
  int64_t worst = -1;
  const int64_t n = tensor_count(want);
  for (int64_t i = 0; i < n; i++) {
    const int64_t a = value_get_int(want, i), b = value_get_int(got, i);
    scale = greater(scale, magnitude((double)a));
    if (a == b)
      continue;
    const double off = greater(1, magnitude((double)b - (double)a));
    worst = off > d.max_abs ? i : worst;
    d.max_abs = greater(d.max_abs, off);
  }
  d.max_rel = scale > 0 ? d.max_abs / scale : d.max_abs;
  d.match = worst < 0;
  d.why = d.match ? NULL : describe(ar, want, got, worst);
  return d;
}

difference tensors_compare(fv_arena *ar, const fv_tensor_io *want, const fv_tensor_io *got,
                           double tolerance) {
  if (!same_shape(want, got)) {
    fv_str s = {.arena = ar};
    put_type(&s, got);
    fv_str_puts(&s, ", not ");
    put_type(&s, want);
    return (difference){.why = s.data, .max_abs = (double)INFINITY, .max_rel = (double)INFINITY};
  }
  if (!dtype_is_float(want->dtype))
    return compare_integers(ar, want, got);
  difference d = {0};
  double scale = 0;
  int64_t worst = 0;
  const int64_t n = tensor_count(want);
  for (int64_t i = 0; i < n; i++) {
    const double a = value_get(want, i), off = distance(a, value_get(got, i));
    worst = off > d.max_abs ? i : worst;
    d.max_abs = greater(d.max_abs, off);
    if (isfinite(a))
      scale = greater(scale, magnitude(a));
  }
  d.max_rel = d.max_abs == 0 ? 0 : scale > 0 ? d.max_abs / scale : (double)INFINITY;
  d.match = d.max_abs <= tolerance * scale;
  d.why = d.match ? NULL : describe(ar, want, got, worst);
  return d;
}

void put_json_errors(fv_str *s, const difference *d) {
  fv_str_puts(s, ", \"max_abs_err\": ");
  fv_str_json_double(s, d->max_abs);
  fv_str_puts(s, ", \"max_rel_err\": ");
  fv_str_json_double(s, d->max_rel);
}

const char *difference_verdict(fv_arena *ar, const difference *d) {
  return d->match ? "MATCH" : fv_arena_printf(ar, "DIFF (%s)", d->why);
}

//===-- Tables ------------------------------------------------------------===//

void table_row(table *w, const char *const *cell) {
  for (size_t i = 0; i < w->columns; i++)
    text_list_add(w->arena, &w->cell, cell[i] ? cell[i] : "");
}

void table_put(const table *w, fv_str *out) {
  size_t *width = FV_NEW_N(w->arena, size_t, w->columns);
  for (size_t i = 0; i < w->cell.count; i++) {
    const size_t n = strlen(w->cell.item[i]);
    if (n > width[i % w->columns])
      width[i % w->columns] = n;
  }
  for (size_t i = 0; i < w->cell.count; i++) {
    const size_t column = i % w->columns;
    const bool last = column + 1 == w->columns;
    const int pad = (int)(width[column] - strlen(w->cell.item[i]));
    if (w->right >> column & 1)
      fv_str_printf(out, "%*s%s", pad, "", w->cell.item[i]);
    else
      fv_str_printf(out, "%s%*s", w->cell.item[i], last ? 0 : pad, "");
    if (last)
      while (out->size > 0 && out->data[out->size - 1] == ' ')
        out->data[--out->size] = 0;  // an empty last cell
    fv_str_puts(out, last ? "\n" : "  ");
  }
}
