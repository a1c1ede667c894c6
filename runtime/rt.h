// SPDX-License-Identifier: Apache-2.0
// runtime/rt.h - a context of libfovea-rt, for those who have a model's table already.
//
// Whatever runs a model - a loaded library, a program compiled in this process, a device, a runner
// of graphs - is called by names here and nowhere else.
#ifndef FOVEA_RUNTIME_RT_H_
#define FOVEA_RUNTIME_RT_H_

#include "base/base.h"
#include "fovea/fovea-rt.h"
#include "runtime/exec/exec.h"

// A name and its index in the model or entry; lists are sorted by name.
typedef struct rt_name {
  const char *name;
  uint32_t at;
} rt_name;

// What a run hands to the table, in the order of the entry; kept for the next one.
typedef struct rt_call {
  rt_name *input;  // by name; NULL: the entry was not run yet
  uint32_t n_in, n_out, n_symbol;
  const uint32_t *used;  // per symbol of the entry: its number in the model
  const int64_t **dim;
  const void **in;
  void **out;
  int64_t *symbol;
  // Memory lent for outputs; it grows only.
  void **room;
  size_t *room_bytes;
} rt_call;

struct fv_rt_context {
  const fv_model_api *api;
  fv_model_ctx *ctx;
  fv_exec_image view;
  rt_name *symbol;  // dims of the model, by name
  uint32_t n_symbol;
  int64_t *value;  // per symbol of the model: as given for this run
  rt_call *call;   // per entry
  int32_t last;    // entry of the last run; -1: none
};

// Writes the text (err may be NULL) and returns the status.
FV_PRINTF(3, 4) int32_t rt_fail(fv_rt_error *err, int32_t status, const char *format, ...);
// The same with the words of the table for its own status; FV_RT_OK is none.
int32_t rt_told(const fv_rt_context *c, int32_t status, fv_rt_error *err);
int32_t rt_find_entry(const fv_model_api *api, const char *name);  // NULL: the first; -1: none
int32_t rt_port(const fv_model_api *api, uint32_t entry, fv_model_port kind, uint32_t i,
                fv_rt_port *out);

// Takes `ctx`, also when it fails.
int32_t rt_context_on(const fv_model_api *api, fv_model_ctx *ctx, fv_rt_context **out,
                      fv_rt_error *err);
// The last run once more, with the same memory and without any check.
int32_t rt_again(fv_rt_context *c, fv_rt_error *err);

#endif  // FOVEA_RUNTIME_RT_H_
