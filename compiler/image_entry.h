// SPDX-License-Identifier: Apache-2.0
// compiler/image_entry.h - one graph's host program under construction.
#ifndef FOVEA_COMPILER_IMAGE_ENTRY_H_
#define FOVEA_COMPILER_IMAGE_ENTRY_H_

#include "base/str.h"
#include "compiler/image.h"

// A growing list of instructions.
typedef struct im_code {
  fv_hinst *inst;
  size_t n, cap;
} im_code;

typedef struct im_entry {
  const fv_lowered *l;
  const fv_lentry *e;
  fv_arena *arena;
  fv_xpool *pool;
  im_code bind, run;
  uint32_t n_slot;
  struct im_known {  // by expression id
    uint32_t slot;
    uint32_t walk;  // in which it was computed; UINT32_MAX: at bind, so it holds everywhere
  } * known;
  size_t n_known, cap_known;
  uint32_t walk;          // the walk at hand; counts from 1
  const fv_expr **stack;  // of the walk
  size_t n_stack, cap_stack;
  bool *symbol_used;
  const fv_condition *condition;  // all of the graph
  size_t n_condition;
  uint32_t (*condition_slot)[2];  // of both sides; those of the run are set where they are tested
  int64_t *literal;
  size_t n_literal, cap_literal;
  uint32_t *arg;
  size_t n_arg, cap_arg;
  fv_prog_buffer *buffer;
  uint32_t (*site)(void *user, const fv_span *span, const char *text);
  void *user;
} im_entry;

// Slot of an expression: bind-time ones are computed once in the bind section;
// those over counters and results of loops are computed here in the run section.
uint32_t im_slot(im_entry *m, const fv_expr *x);
// The same with the symbols that loops define replaced by their bounds.
uint32_t im_bound_slot(im_entry *m, const fv_expr *x);
// Translates the host program; fills bind, run (with absolute jump targets
// relative to the run section) and buffers with lifetimes.
void im_translate(im_entry *m);

#endif  // FOVEA_COMPILER_IMAGE_ENTRY_H_
