// SPDX-License-Identifier: Apache-2.0
// Cases of the conformance suite: the examples of the op table, and what can be
// derived from each without knowing the op.
#ifndef FOVEA_TESTS_CONFORMANCE_CASES_H_
#define FOVEA_TESTS_CONFORMANCE_CASES_H_

#include "ir/graph/example.h"

// A case's number is example * CASE_VARIANTS + variant. A variant:
enum {
  CASE_PLAIN = 0,          // the example as it stands
  CASE_SPECIAL = 1,        // with NaN, infinities, zeros of both signs, denormals, extremes
  CASE_STRIDED = 2,        // operands read through a transpose
  CASE_RESIZED = 10,       // + 6 j + r: the j-th of its numbers becomes the r-th of 0 1 15 16 17 33
  CASE_SYMBOLIC = 60,      // + j: the j-th of its numbers is a symbol
  CASE_ALL_SYMBOLIC = 69,  // all are
  CASE_VARIANTS = 100,
};

// What would have more elements in its inputs is left out.
enum { CASE_MAX_ELEMENTS = 1 << 16 };

typedef struct conf_case {
  fv_op op;
  int number;
  fv_dtype t;  // of operands that name none
} conf_case;

// One case, built in a module.
typedef struct built_case {
  fv_example ex;
  fv_graph *graph;
  int n_symbol;  // of this case; their numbers follow first_symbol
  uint32_t first_symbol;
  int64_t size[FV_MAX_RANK * 2];  // of each symbol in the example
} built_case;

// Adds graph `name` to the module; not FV_OK where the variant does not exist.
FV_NODISCARD fv_status case_build(fv_module *m, const char *name, const conf_case *c,
                                  fv_diag_sink *diag, built_case *out);

// How often a built case is run, and the value of its symbol j in run r.
int case_runs(const built_case *b);
int64_t case_size(const built_case *b, int run, int j);

// Fills an input of n elements; `i` is the number of the parameter.
void case_data(const conf_case *c, const built_case *b, int i, fv_dtype t, uint64_t seed, int64_t n,
               void *data);

// All cases of op, each tried out; f(user, c) for those that exist. Of derived
// ones, in the first element type and in one more that changes, unless `full`.
void case_each(fv_op op, bool full, void (*f)(void *user, const conf_case *c), void *user);

#endif  // FOVEA_TESTS_CONFORMANCE_CASES_H_
