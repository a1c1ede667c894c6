// SPDX-License-Identifier: Apache-2.0
// ir/eval/eval_nest.h - one nest as straight code over chunks of an index.
#ifndef FOVEA_IR_EVAL_EVAL_NEST_H_
#define FOVEA_IR_EVAL_EVAL_NEST_H_

#include "ir/eval/eval.h"

fv_status fv_eval_nest(const fv_node *n, fv_arena *ar, const int64_t *symbol, fv_xvalues *kept,
                       const fv_array *const *in, fv_array *out, fv_diag_sink *diag);

#endif  // FOVEA_IR_EVAL_EVAL_NEST_H_
