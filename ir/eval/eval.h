// SPDX-License-Identifier: Apache-2.0
// ir/eval/eval.h - evaluates graphs straight from the semantics: the oracle.
//
// Floats are computed in double (integers at their own width) and rounded once
// per op. Composite ops are evaluated through their definitions, kernel ops
// through the interpreter of kernel IR. Nothing is fused. Used by the
// reference backend and by constant folding.
// A value goes after its last use. Thread-compatible. Results live in the arena that is
// handed in.
#ifndef FOVEA_IR_EVAL_EVAL_H_
#define FOVEA_IR_EVAL_EVAL_H_

#include "ir/sem/sem.h"

// A tensor in memory, row-major.
typedef struct fv_array {
  fv_dtype dtype;
  int rank;
  int64_t dim[FV_MAX_RANK];
  void *data;
  void *memory;  // the evaluator's own; NULL: `data` is someone else's
} fv_array;
int64_t fv_array_count(const fv_array *a);

// What a run of a graph works on. States: one block of bytes per state, its members where
// fv_member_stride() puts them. The run reads one block and writes another, the next version, which
// begins as a copy: so a read gives what the last run left, whatever is written before it.
typedef struct fv_run_io {
  int64_t *symbol;              // by symbol number; dims and state lengths are set
  const fv_array *input;        // in the order of the graph
  fv_array *output;             // set by the run, in `arena`
  const uint8_t *const *state;  // NULL where the graph does not use it
  uint8_t *const *next;         // NULL where it does not write it
  fv_arena *arena;              // of the run: results and everything between
  fv_diag_sink *diag;
} fv_run_io;

FV_NODISCARD fv_status fv_eval_graph(const fv_graph *g, fv_run_io *io);

// One node with given operands (NULL entries: absent); results in the arena.
FV_NODISCARD fv_status fv_eval_node(const fv_node *n, fv_arena *ar, int64_t *symbol,
                                    const fv_array *const *in, fv_array *out, fv_diag_sink *diag);

// Scalar operations that evaluating n takes, about; infinite if that depends on a symbol.
double fv_eval_work(const fv_node *n);

#endif  // FOVEA_IR_EVAL_EVAL_H_
