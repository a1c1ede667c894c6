// SPDX-License-Identifier: Apache-2.0
// lower/internal.h - what the files of this room share.
#ifndef FOVEA_LOWER_INTERNAL_H_
#define FOVEA_LOWER_INTERNAL_H_

#include "ir/sem/sem.h"
#include "lower/lower.h"

//===-- Groups ----------------------------------------------------------===//

// A group is the set of nodes that one kernel computes. Its root is the only
// member whose result gets a buffer; the others are computed where they are
// used. The family follows from what the members are.
typedef enum lw_family {
#define X(id, name, doc) LW_##id,
  FV_FAMILY_TABLE(X)
#undef X
} lw_family;
const char *lw_family_name(lw_family f);

typedef struct lw_group {
  fv_node *root;
  fv_node *anchor;  // the contraction, attention or kernel node; NULL for map and row
  lw_family family;
  uint32_t size;    // members
  uint32_t number;  // 1 + its place among the groups of the entry, once it is recorded
} lw_group;

// Why the value of a node gets a buffer: the node was not computed within the kernel of its
// users. Static text, or NULL: not asked.
typedef const char *lw_why;

typedef struct lw {
  fv_lowered *out;
  fv_module *module;
  fv_xpool *pool;
  fv_arena *arena;
  const fv_target *target;
  fv_diag_sink *diag;
  // Per value id, for the graph at hand:
  uint32_t n_value;
  lw_group **group;  // of the node that defines it; NULL for parameters, built-ins;
                     // &lw_everywhere for movement that each consumer repeats
  lw_why *why;       // of the node that defines it
  uint32_t *uses;
  fv_layout *layout;  // of the value's buffer
  uint32_t *buffer;   // buffer of the entry, or FV_NO_SLOT
  fv_lentry *entry;
  // (value, layout) -> buffer of packed copies, for this entry
  struct lw_packed {
    const fv_value *value;
    fv_layout layout;
    uint32_t buffer;
    const fv_region *region;
  } * packed;
  size_t n_packed, cap_packed;
  // Symbols that a loop defines, and their bounds.
  struct lw_result_symbol {
    uint32_t symbol;
    const fv_expr *bound;
  } * result;
  size_t n_result, cap_result;
  fv_region *region;  // being lowered
  // Scratch of walks over expressions, by expression id: an entry counts if its
  // stamp is that of the walk, so a walk costs what it visits.
  struct lw_seen {
    uint32_t *stamp;
    const fv_expr **value;
    size_t cap;
    uint32_t now;
  } seen;
} lw;

extern const lw_group lw_everywhere;

// expand.c: inlines definitions, drops dead nodes.
FV_NODISCARD fv_status lw_expand(lw *l, fv_graph *g);
// layout.c: fills l->layout after grouping: which values are stored with their
// channels in blocks.
void lw_choose_layouts(lw *l, fv_graph *g);
// group.c: fills l->group for the whole graph.
FV_NODISCARD fv_status lw_group_graph(lw *l, fv_graph *g);
bool lw_is_virtual(const lw *l, const fv_value *v);  // computed inside its consumer's kernel
// expand.c: composite ops that a family takes whole, if it does not refuse: NULL, or why.
typedef struct lw_whole {
  fv_op op;
  lw_family family;
  lw_why (*refuses)(const lw *l, const fv_node *n);
} lw_whole;
const lw_whole *lw_whole_of(const fv_node *n);
// Does the kernel of n read its operands through expressions, whatever their layout and the
// movement before them? Once definitions are inlined.
bool lw_composes(const fv_node *n);
lw_why lw_attention_refuses(const lw *l, const fv_node *n);  // attention.c
// host.c: is n tensor_scatter of the current version of a state, whose result becomes the next
// one? Then only the new rows are written, in place; *read is the state_read.
bool lw_in_place(const lw *l, const fv_node *n, const fv_node **read);
// report.c: what the groups of the graph are, and whether they are what `expect` says.
void lw_record_groups(lw *l, fv_graph *g);
FV_NODISCARD fv_status lw_test_expect(lw *l, fv_graph *g);

//===-- Kernels under construction --------------------------------------===//

// An operand of the kernel: a value in a buffer, in some layout.
typedef struct lw_operand {
  const fv_value *value;
  fv_type type;
  int kbuf;         // number in the kernel
  uint32_t buffer;  // of the entry
} lw_operand;

enum { LW_MAX_OPERANDS = 48, LW_MAX_INDEX = 64, LW_REDUCTION = 0x10000, LW_BOUND = 0x20000 };

// Expressions of a kernel: LOAD ref < LW_MAX_OPERANDS is an element of that
// operand at the flat offset arg[0]; LW_REDUCTION + r is reduction r of the
// kernel at row indices arg[..]; LW_BOUND is a value that the schedule holds in
// a register (the accumulated contraction).
typedef struct lw_kernel {
  lw *l;
  fv_kb *kb;
  const lw_group *group;
  lw_operand operand[LW_MAX_OPERANDS];
  int n_operand;
  const fv_node *reduction[LW_MAX_OPERANDS];
  int n_reduction;
  const fv_node *bound;  // whose value is LW_BOUND
  uint32_t n_index;      // indices handed out by lw_new_index
  const fv_expr *extent[LW_MAX_INDEX];
  const fv_value *out;  // what it writes
  int out_kbuf;         // its buffer
  const fv_span *span;
  fv_type out_type;
  bool overflow;  // more operands or indices than a kernel may have
} lw_kernel;

// access.c
// A kernel with a builder, or (dry) only for looking at expressions.
void lw_kernel_begin(lw_kernel *k, lw *l, const lw_group *g, bool dry);
// A kernel that writes `out` in the given buffer and type.
void lw_kernel_begin_to(lw_kernel *k, lw *l, const lw_group *g, const fv_value *out,
                        uint32_t buffer, const fv_type *t);
const fv_expr *lw_new_index(lw_kernel *k, const fv_expr *extent);
int lw_operand_of(lw_kernel *k, const fv_value *v, uint32_t buffer, const fv_type *t);
// The element of v at logical indices, as an expression of operands.
const fv_expr *lw_at(lw_kernel *k, const fv_value *v, const fv_expr *const *index);
// An expression x of node n's nest at the given parallel and reduced indices.
const fv_expr *lw_inline(lw_kernel *k, const fv_node *n, const fv_expr *x,
                         const fv_expr *const *index);
static inline const fv_expr *lw_nest_value(lw_kernel *k, const fv_node *n,
                                           const fv_expr *const *index) {
  return lw_inline(k, n, n->meaning->nest.value, index);
}
const fv_expr *lw_nest_post(lw_kernel *k, const fv_node *n, const fv_expr *const *index,
                            const fv_expr *acc);
// Quotients and remainders that the extents of the kernel's indices decide are
// resolved: floordiv(i, 16) is 0 where i < 16.
const fv_expr *lw_simplify(lw_kernel *k, const fv_expr *x);
// The index `at` as block * 16 + lane of a blocked axis: two new indices.
const fv_expr *lw_split_index(lw_kernel *k, const fv_expr *extent, int64_t block,
                              const fv_expr **out_block, const fv_expr **out_lane);
// Finishes the kernel and appends its launch to the entry.
void lw_kernel_launch(lw_kernel *k, const char *family, const fv_expr *grid);
// Calls f for each distinct LOAD in x (loads inside the arguments included).
void lw_each_load(lw *l, const fv_expr *x, void (*f)(void *user, const fv_expr *load), void *user);
const fv_expr *lw_ceil_div(fv_xpool *p, const fv_expr *a, int64_t b);

//===-- Emission of expressions -------------------------------------------===//

// A place in a kernel where expressions are emitted. Indices have scalar
// values; `lane` (or -1) is the index that varies over the lanes: lane j
// stands for index value + j.
typedef struct lw_emit {
  lw_kernel *k;
  int lanes;  // 1: all scalar
  int lane;   // index number, -1 = none
  fv_kv index[LW_MAX_INDEX];
  fv_kv count;                 // active lanes (i64), FV_K_NONE = all
  fv_kv guard;                 // bool (1 or lanes), FV_K_NONE: inside a lazy arm
  fv_kv bound;                 // LW_BOUND
  struct lw_memo *memo;        // expr -> value, of this place
  const struct lw_memo *rows;  // reductions of the row, or NULL
} lw_emit;

struct lw_memo {
  const fv_expr **key;
  fv_kv *value;
  size_t n, cap;
};

fv_kv lw_memo_get(const struct lw_memo *m, const fv_expr *x);
void lw_memo_set(lw_kernel *k, struct lw_memo *m, const fv_expr *x, fv_kv v);
void lw_emit_init(lw_emit *e, lw_kernel *k, int lanes, int lane);
fv_kv lw_emit_expr(lw_emit *e, const fv_expr *x);    // in the compute type of its dtype
fv_kv lw_emit_host(lw_kernel *k, const fv_expr *x);  // over symbols alone
// Stores v at flat offset expression `offset` of a buffer, converting.
void lw_emit_store(lw_emit *e, int kbuf, const fv_expr *offset, fv_kv v);
fv_kv lw_emit_to_storage(lw_kernel *k, fv_kv v, fv_dtype storage);
int lw_lanes(const lw *l, fv_dtype compute);  // vector lanes of the target

//===-- Loops ---------------------------------------------------------------===//

enum { LW_BLOCK = 16 };  // channels of a block, columns of a panel

typedef struct lw_loops {
  int n;
  uint32_t index[FV_MAX_LOOPS];  // index numbers of the kernel, outermost first
  const fv_expr *extent[FV_MAX_LOOPS];
} lw_loops;

void lw_add_loop(lw_loops *s, const fv_expr *index, const fv_expr *extent);
const fv_expr *lw_points(fv_xpool *p, const lw_loops *s);
// Merges neighbours that the expressions x[0..n_x) (NULL ok) see only as one
// linear index, and rewrites the expressions.
void lw_collapse(fv_xpool *p, lw_loops *s, const fv_expr **x, int n_x);
// Does some load of x move by one element with index i?
bool lw_runs_along(lw_kernel *k, const fv_expr *x, uint32_t index);
// Rows of a register tile: how many accumulators of `row` vectors each leave room to compute.
enum { LW_TILE_ROWS = 12 };
int lw_tile_rows(const lw *l, int row);

// Lanes such that the widest element of x or t fills a vector.
int lw_choose_lanes(lw_kernel *k, const fv_expr *x, fv_dtype t, const fv_expr *extent);
// Sets the loops' indices from a row number.
void lw_decode_row(lw_emit *e, const lw_loops *s, fv_kv row);
// Calls body for index lo..hi (FV_K_NONE: extent) in steps of `lanes`: whole
// vectors first, then one masked step for the rest.
typedef void (*lw_lane_body)(void *user, lw_emit *e);
void lw_lane_loop(const lw_emit *at, int lanes, uint32_t index, fv_kv lo, const fv_expr *extent,
                  fv_kv hi, lw_lane_body body, void *user);

//===-- Families ----------------------------------------------------------===//

fv_status lw_map(lw *l, const lw_group *g);  // map.c: map and row
// map.c: copies src to a buffer in another layout or place: axis j of src runs
// with axis perm[j] of dst (NULL: j), `shift` (optional) is added to the index
// of shift_axis of dst. What a layout pads is set to 0.
typedef struct lw_copy {
  const fv_value *src;
  uint32_t src_buffer, dst_buffer;
  fv_type dst;            // extents of the copy; layout of the destination
  const fv_type *within;  // optional: type of the whole destination, row-major
  const int *perm;
  int shift_axis;
  const fv_expr *shift;
} lw_copy;
void lw_copy_map(lw *l, const lw_copy *c);
fv_status lw_contraction(lw *l, const lw_group *g);  // contraction.c
fv_status lw_attention(lw *l, const lw_group *g);    // attention.c
fv_status lw_serial(lw *l, const lw_group *g);       // serial.c

// What makes a nest a contraction: sum of a * b where one axis of the result
// (the last that only b sees) runs over columns. Indices are loop numbers.
typedef struct lw_contraction_shape {
  const fv_expr *a, *b;  // the factors as the nest has them
  int b_operand;         // the node's operand that holds the columns
  int col;               // parallel index of the columns
  int col_axis;          // axis of the operand
} lw_contraction_shape;
bool lw_contraction_match(const lw *l, const fv_node *n, lw_contraction_shape *out);

//===-- Buffers of the entry (host.c) -----------------------------------------===//

uint32_t lw_value_buffer(lw *l, const fv_value *v);     // materialised values
fv_type lw_value_type(lw *l, const fv_value *v);        // as stored
const fv_expr *lw_type_bytes(lw *l, const fv_type *t);  // upper bound, known at bind
// v in another layout: constants are packed at compile time, others by a
// kernel launched here (once per entry and region).
uint32_t lw_packed_buffer(lw *l, const fv_value *v, const fv_layout *layout, fv_type *out_type);
// Emits both variants under a branch that the host takes by `cond` (bool over
// symbols); without a branch if cond is a literal.
void lw_either(lw *l, const fv_expr *cond, void (*yes)(lw *l, const lw_group *g),
               void (*no)(lw *l, const lw_group *g), const lw_group *g);
uint32_t lw_new_buffer(lw *l, const fv_lbuffer *b);
fv_linst *lw_new_inst(lw *l, fv_hop op, const fv_span *span);
fv_status lw_host_entry(lw *l, fv_graph *g);

#endif  // FOVEA_LOWER_INTERNAL_H_
