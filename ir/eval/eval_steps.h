// SPDX-License-Identifier: Apache-2.0
// ir/eval/eval_steps.h - the expressions of a nest as straight code.
//
// An expression becomes a step, after the steps of its arguments. A step makes the values of
// a chunk of one loop index, the lane; a step that does not vary with the lane makes one.
// Only what the change of an index concerns is run again. Integers that move linearly with
// the lane and conditions that hold on one span of it are kept as such, so that a guard
// around a window costs nothing inside of it.
#ifndef FOVEA_IR_EVAL_EVAL_STEPS_H_
#define FOVEA_IR_EVAL_EVAL_STEPS_H_

#include "ir/eval/eval.h"

enum { CHUNK = 256 };  // values of a step, at most

typedef enum step_form {
  STEP_VALUES,  // v
  STEP_LINEAR,  // first + stride * lane of the chunk
  STEP_SPAN,    // true on lanes [first, end)
} step_form;

typedef struct step {
  const fv_expr *e;
  int arg[3];  // steps of the arguments (of OP)
  bool vary;   // with the lane; else v[0] counts for all
  bool known;  // v[0] is its value for good, without any argument
  bool late;   // what comes after the combined value needs it
  step_form form;
  uint32_t uses;               // bit i: loop index i; LATE_BIT: the combined value
  uint32_t stale;              // which of them changed since it ran
  fv_scalar *v;                // of the chunk; of other forms: once they are asked for
  int64_t first, stride, end;  // LINEAR, SPAN
  bool filled;                 // v holds the values of another form
  // LOAD
  const fv_array *from;
  int offset, by;  // steps: flat offset (linear: at lane 0), elements a lane
  bool linear;
} step;

typedef struct nest_eval {
  const fv_node *n;
  const fv_nest *nest;
  const int64_t *symbol;
  fv_xvalues *kept;
  const fv_array *const *in;
  fv_xpool *pool;
  fv_arena *ar;
  step *s;
  int n_step;
  size_t cap;
  struct step_slot {
    const fv_expr *e;
    int step;
  } * slot;  // open addressing
  size_t n_slots;
  int lane;                  // index number
  int64_t at[FV_MAX_LOOPS];  // current indices; at[lane] = start of the chunk
  int64_t extent[FV_MAX_LOOPS];
  int64_t count;              // of the chunk
  int64_t was[FV_MAX_LOOPS];  // for which the steps ran
  int64_t was_count;
  fv_scalar acc;  // for post
  int value, post, check;
  int target[FV_MAX_RANK];  // of a scatter
  bool failed;              // a check
  bool overflowed;          // a number of dims does not fit 64 bits
} nest_eval;

// The step of e; made with all that it needs. The lane and the extents are set.
int fv_step_of(nest_eval *x, const fv_expr *e);
// Numbers of dims within an index or a condition are exact, while elements wrap around: sets
// x->overflowed where one does not fit 64 bits.
void fv_want_exact(nest_eval *x, const fv_expr *e);
// Marks the steps that `post` needs.
void fv_mark_late(nest_eval *x, int post);
// Runs what the indices at hand make necessary; `late`: only what `post` needs, for the
// combined value in x->acc.
void fv_run_steps(nest_eval *x, bool late);
// The values of a step on the lanes of the chunk.
fv_lanes fv_step_lanes(const nest_eval *x, int number);

#endif  // FOVEA_IR_EVAL_EVAL_STEPS_H_
