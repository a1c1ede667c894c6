// SPDX-License-Identifier: Apache-2.0
// lower/emit.h - composed expressions as kernel instructions; loops around them.
#ifndef FOVEA_LOWER_EMIT_H_
#define FOVEA_LOWER_EMIT_H_

#include "lower/compose.h"

typedef struct lw_binding lw_binding;
struct lw_binding {
  const lw_binding *outer;
  uint32_t index;
  fv_kv value;
};

// Values made so far at a point of the kernel where all indices stand still.
typedef struct lw_point lw_point;

// A point in a kernel where expressions are emitted. Indices have scalar
// values; `lane` (or -1) is the index that varies over the lanes: lane j
// stands for index value + j. Copy it to go on elsewhere.
typedef struct lw_emit {
  lw_kernel *k;
  int lanes;  // 1: all scalar. Where it changes, lw_emit_move or lw_bind must follow
  int lane;   // index number, -1 = none
  const lw_binding *indices;
  fv_kv count;     // active lanes (i64), FV_K_NONE = all; set before anything is emitted
  fv_kv guard;     // bool (1 or lanes), FV_K_NONE: inside a lazy arm
  bool own_range;  // unproved loads check their offsets themselves
  bool exact;      // numbers of dims do not wrap around: in offsets and conditions
  bool together;   // all of several work-items are here, and may share what comes (lw_for)
  fv_kv bound;     // LW_BOUND
  lw_point *point;
  const struct lw_memo *rows;  // reductions of the row, or NULL
} lw_emit;

struct lw_memo {
  const fv_expr **key;
  fv_kv *value;
  size_t n, cap;
};

struct lw_point {
  struct lw_memo memo[2];  // of elements; where numbers are exact
  lw_point *scalar;        // of the scalar parts
};

fv_kv lw_memo_get(const struct lw_memo *m, const fv_expr *x);
void lw_memo_set(lw_kernel *k, struct lw_memo *m, const fv_expr *x, fv_kv v);
void lw_emit_init(lw_emit *e, lw_kernel *k, int lanes, int lane);
// From here on the index has this value; nothing made before counts any more.
void lw_bind(lw_emit *e, uint32_t index, fv_kv value);
void lw_emit_move(lw_emit *e);  // to another point: nothing made before counts any more
// An emitter for what is the same in all lanes: same indices, one lane.
lw_emit lw_scalar_of(lw_emit *e);
fv_kv lw_index_value(const lw_emit *e, uint32_t index);   // FV_K_NONE: it has none
fv_kv lw_emit_expr(lw_emit *e, const fv_expr *x);         // in the compute type of its dtype
fv_kv lw_emit_exact(const lw_emit *e, const fv_expr *x);  // of an offset or a condition
fv_kv lw_emit_host(lw_kernel *k, const fv_expr *x);       // over symbols alone
// Stores v at flat offset expression `offset` of a buffer, converting.
void lw_emit_store(lw_emit *e, int kbuf, const fv_expr *offset, fv_kv v);
fv_kv lw_emit_to_storage(lw_kernel *k, fv_kv v, fv_dtype storage);
int lw_lanes(const lw *l, fv_dtype compute);  // vector lanes of the target
uint32_t lw_group_items(const lw *l);         // work-items of a block: a power of two

//===-- Loops ---------------------------------------------------------------===//

typedef struct lw_loops {
  int n;
  uint32_t index[FV_MAX_LOOPS];  // index numbers of the kernel, outermost first
  const fv_expr *extent[FV_MAX_LOOPS];
} lw_loops;

void lw_add_loop(lw_loops *s, const fv_expr *index, const fv_expr *extent);
const fv_expr *lw_points(fv_xpool *p, const lw_loops *s);
// How many steps make a block that is worth its launch, if each has so many points.
int64_t lw_steps_of_block(fv_range points);
// Merges neighbours that the expressions x[0..n_x) (NULL ok) see only as one
// linear index, and rewrites the expressions.
void lw_collapse(lw *l, lw_loops *s, const fv_expr **x, int n_x);
// Does some load of x move by one element with index i?
bool lw_runs_along(lw_kernel *k, const fv_expr *x, uint32_t index);
// Lanes such that the widest element of x or t fills a vector.
int lw_choose_lanes(lw_kernel *k, const fv_expr *x, fv_dtype t, const fv_expr *extent);
// Blocks over the rows of `rows`. Without columns (NULL) a block is `step` rows; else it is
// `step` columns of one row, which body gets as lo..hi. Returns the grid.
typedef void (*lw_block_body)(void *user, lw_emit *e, fv_kv lo, fv_kv hi);
const fv_expr *lw_blocks(lw_kernel *k, const lw_loops *rows, const fv_expr *columns, int64_t step,
                         lw_block_body body, void *user);
// Sets the loops' indices from a row number.
void lw_decode_row(lw_emit *e, const lw_loops *s, fv_kv row);
// Begins a loop over lo..hi by `step`, and is its index. Work-items that are together share it:
// neighbours take neighbouring steps, and each is by itself in the body.
fv_kv lw_for(lw_emit *e, fv_kv lo, fv_kv hi, int64_t step);
// Work-items that share the next lw_for.
int64_t lw_sharers(const lw_emit *e);
// What only the first of work-items that are together does: stores of what all have.
typedef struct lw_once {
  lw_emit e;
  bool open;
} lw_once;
lw_once lw_begin_once(const lw_emit *e);
void lw_end_once(lw_once *o);
// Calls body for index lo..hi (FV_K_NONE: extent) in steps of `lanes`: whole
// vectors first, then one masked step for the rest. Work-items that are together share them.
typedef void (*lw_lane_body)(void *user, lw_emit *e);
void lw_lane_loop(const lw_emit *at, int lanes, uint32_t index, fv_kv lo, const fv_expr *extent,
                  fv_kv hi, lw_lane_body body, void *user);

//===-- Reductions (reduction.c) --------------------------------------------===//

// What a combiner begins with.
fv_kv lw_identity(lw_kernel *k, fv_combine c, fv_dtype t, int lanes);

// Emits the reductions that x needs and that are not yet in `rows`, in order;
// those that depend on the lane only where there is one.
void lw_ensure_reductions(lw_emit *e, const fv_expr *x, struct lw_memo *rows);

#endif  // FOVEA_LOWER_EMIT_H_
