// SPDX-License-Identifier: Apache-2.0
// tools/cases.h - a run of one graph on given inputs, and how far results differ.
#ifndef FOVEA_TOOLS_CASES_H_
#define FOVEA_TOOLS_CASES_H_

#include "tensors.h"

typedef struct run_case {
  const fv_graph_info *graph;
  const char *label;  // "B=1 S=64", or the file of a golden case
  const fv_tensor_io *in;
  const fv_dim_value *dim;
  size_t n_dim;
  const fv_tensor_io *expected;  // in the order of the graph's outputs; NULL: not known
  double tolerance;
} run_case;

typedef struct case_list {
  run_case *item;
  size_t count, cap;
} case_list;

// The <verify> cases of a model, of all graphs (graph == NULL) or of one.
FV_NODISCARD fv_status cases_of_model(tool *t, const model *m, const char *graph, case_list *out);
// One case from -i and --dim.
FV_NODISCARD fv_status case_create(tool *t, const model *m, const fv_graph_info *g,
                                   const text_list *input, const char *const *dim, size_t n_dim,
                                   case_list *out);
// States are reset first. out: the context's, until its next run.
FV_NODISCARD fv_status case_run(tool *t, fv_context *c, const run_case *x, fv_tensor_io **out);
fv_tensor_io *tensors_copy(fv_arena *ar, const fv_tensor_io *x, int n);

typedef struct difference {
  double max_abs;   // greatest |got - want|
  double max_rel;   // the same, relative to the greatest |want|
  const char *why;  // if they do not match: the types, or the element that is off most
  bool match;       // floats: max_abs <= tolerance * greatest |want|; else all equal
} difference;
difference tensors_compare(fv_arena *ar, const fv_tensor_io *want, const fv_tensor_io *got,
                           double tolerance);
void put_json_errors(fv_str *s, const difference *d);  // , "max_abs_err": 1e-7, "max_rel_err": 2e-7
const char *difference_verdict(fv_arena *ar, const difference *d);  // "MATCH", "DIFF (why)"

//===-- Tables ------------------------------------------------------------===//

// Rows of text, printed in columns.
typedef struct table {
  fv_arena *arena;
  size_t columns;
  unsigned right;  // bit i: column i is aligned to the right
  text_list cell;
} table;
void table_row(table *w, const char *const *cell);
void table_put(const table *w, fv_str *out);

#endif  // FOVEA_TOOLS_CASES_H_
