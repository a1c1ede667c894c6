// SPDX-License-Identifier: Apache-2.0
// ir/sem/sem_util.h - what the families of semantics functions share.
//
// Private to ir/sem/; the contract of semantics functions is ir/sem/sem.h.
#ifndef FOVEA_IR_SEM_SEM_UTIL_H_
#define FOVEA_IR_SEM_SEM_UTIL_H_

#include "ir/sem/sem.h"

//===-- Messages --------------------------------------------------------===//

// "a: f32[2, 3], b: f32[4]" for all operands that are present.
const char *fv_sem_shapes(const fv_sem *s);
const char *fv_sem_dim_text(const fv_sem *s, const fv_expr *dim);
const char *fv_sem_type_text(const fv_sem *s, const fv_type *t);
const char *fv_sem_operand_name(const fv_sem *s, int operand);

// Fills the contents of the node's results (fv_value.content); the types are set.
void fv_sem_contents(const fv_node *n);

// Is `a` in this relation to `b`? What cannot be proved is checked, as fv_require says,
// where the model allows it, and then is so: YES. `what` may be NULL.
fv_truth fv_sem_need(fv_sem *s, fv_relation r, const fv_expr *a, const fv_expr *b,
                     const char *what);
// The same in front of another node of `at`, or at the end of it.
fv_truth fv_sem_need_at(fv_sem *s, fv_region *at, fv_node *before, fv_relation r, const fv_expr *a,
                        const fv_expr *b, const char *what);

//===-- Checks ----------------------------------------------------------===//

enum { FV_CLASS_FLOAT = 1, FV_CLASS_INT = 2, FV_CLASS_BOOL = 4 };
enum { FV_CLASS_NUMBER = FV_CLASS_FLOAT | FV_CLASS_INT, FV_CLASS_ANY = 7 };
FV_NODISCARD fv_status fv_sem_want_class(fv_sem *s, int operand, unsigned classes);
// A result rank beyond FV_MAX_RANK is the user's fault.
FV_NODISCARD fv_status fv_sem_rank_fits(fv_sem *s, int rank);
// Integer attributes and list lengths, with bounds (inclusive).
FV_NODISCARD fv_status fv_sem_int_in(fv_sem *s, const char *attr, int64_t lo, int64_t hi);
FV_NODISCARD fv_status fv_sem_float_min(fv_sem *s, const char *attr, double lo);
// List attribute `attr` of `want` entries within lo..hi; empty gives `dflt`.
FV_NODISCARD fv_status fv_sem_ints(fv_sem *s, const char *attr, int want, int64_t lo, int64_t hi,
                                   int64_t dflt, int64_t *out);
// A set of axes; an empty list means all when `empty_is_all`.
FV_NODISCARD fv_status fv_sem_axes(fv_sem *s, const char *attr, int rank, bool empty_is_all,
                                   bool *is_member);
FV_NODISCARD fv_status fv_sem_want_index(fv_sem *s, int operand);  // i64 or i32
// One of the words in `choices` ("none tanh"); *out is its number.
FV_NODISCARD fv_status fv_sem_choice(fv_sem *s, const char *attr, const char *choices, int *out);
bool fv_sem_is_one(const fv_sem *s, const fv_expr *dim);  // proved
// Is 0 <= e < extent always true? Knows the trips of the loops around the node.
fv_truth fv_sem_in_range(fv_sem *s, const fv_expr *e, const fv_expr *extent);
// A list of dims, each a literal or expression that is never negative.
FV_NODISCARD fv_status fv_sem_shape_attr(fv_sem *s, const char *attr, int *rank,
                                         const fv_expr **dims);
// Requires 0 <= e < extent: an error when proved false, a run check when unknown.
FV_NODISCARD fv_status fv_sem_want_in_range(fv_sem *s, const fv_expr *e, const fv_expr *extent,
                                            const char *what);
// A dim that must never be negative: else the error says how to mend it.
FV_NODISCARD fv_status fv_sem_want_not_negative(fv_sem *s, const fv_expr *dim, const char *what);
// An i64 expression attribute; values beyond +-2^48 are refused.
FV_NODISCARD fv_status fv_sem_expr(fv_sem *s, const char *attr, const fv_expr **out);
// A number for elements of dtype t; fractions and overflow are refused for integers.
FV_NODISCARD fv_status fv_sem_literal(fv_sem *s, const char *attr, fv_dtype t, const fv_expr **out);

// Number k of the `count` symbols that the node's attribute `symbols` names; made if there is
// none yet, and then it stays.
int64_t fv_sem_symbol(fv_sem *s, int k, int count, const char *name, int64_t lo, int64_t hi);
FV_NODISCARD fv_status fv_sem_want_symbols(fv_sem *s, int count);  // that many, or none yet

//===-- Recurrent cells -------------------------------------------------===//

// What all steps have in common. Weights are wide (fv_sb_widen).
typedef struct fv_cell {
  fv_sem *s;
  const fv_expr *hidden;
  int position[4];   // of each gate, in the order of FV_..._GATES, in the weights
  fv_value *r, *rb;  // rb may be NULL
} fv_cell;

#define FV_GRU_GATES "rzn"
#define FV_LSTM_GATES "ifgo"
// Where the gates stand in the order that the attribute `gates` names.
FV_NODISCARD fv_status fv_sem_gates(fv_sem *s, const char *letters, int *position);
// gx: w x + wb of all gates, wide. state[..]: h (and c), which become the next ones.
void fv_sb_gru_step(const fv_cell *c, fv_value *gx, fv_value **state);
void fv_sb_lstm_step(const fv_cell *c, fv_value *gx, fv_value **state);

//===-- Scalars ---------------------------------------------------------===//

static inline const fv_expr *fv_sem_x1(fv_sem *s, fv_scalar_op op, const fv_expr *a) {
  return fv_x_op(s->pool, op, a, NULL, NULL);
}
static inline const fv_expr *fv_sem_x2(fv_sem *s, fv_scalar_op op, const fv_expr *a,
                                       const fv_expr *b) {
  return fv_x_op(s->pool, op, a, b, NULL);
}
static inline const fv_expr *fv_sem_pick(fv_sem *s, const fv_expr *c, const fv_expr *a,
                                         const fv_expr *b) {
  return fv_x_op(s->pool, FV_X_SELECT, c, a, b);
}
// An index from data as i64; negative ones count from the end.
const fv_expr *fv_sem_wrapped(fv_sem *s, const fv_expr *index, const fv_expr *extent);
// Both conditions; NULL stands for true.
const fv_expr *fv_sem_both(fv_sem *s, const fv_expr *a, const fv_expr *b);
// 0 <= e < extent as a condition.
const fv_expr *fv_sem_bounds(fv_sem *s, const fv_expr *e, const fv_expr *extent);
const fv_expr *fv_sem_min_i64(fv_sem *s, const fv_expr *a, const fv_expr *b);  // proves first
const fv_expr *fv_sem_max_i64(fv_sem *s, const fv_expr *a, const fv_expr *b);
const fv_expr *fv_sem_product(fv_sem *s, int n, const fv_expr *const *dims);
// To the type in which sums run: f16 and bf16 become f32.
const fv_expr *fv_sem_widen(fv_sem *s, const fv_expr *e);
// The combined value, in `post`; t is the dtype of the nest's value.
const fv_expr *fv_sem_acc(fv_sem *s, fv_dtype t);
// Operand types [first, first + count) broadcast to one shape.
FV_NODISCARD fv_status fv_sem_broadcast_dims(fv_sem *s, const fv_type *const *types, int count,
                                             int *rank, const fv_expr **dims);
// Index of an element of a type at indices of a broader shape dims[0..rank), aligned right.
void fv_sem_broadcast_index(fv_sem *s, const fv_type *t, int rank, const fv_expr *const *dims,
                            const fv_expr *const *index, const fv_expr **out);

//===-- Windows (convolution, pooling) ------------------------------------===//

typedef struct fv_window {  // along one spatial axis
  int64_t stride, dilation, pad_begin, pad_end;
  const fv_expr *in, *kernel;  // extents
} fv_window;

// Reads strides, dilations (if the op has them) and pads of `spatial` axes.
FV_NODISCARD fv_status fv_sem_windows(fv_sem *s, int spatial, bool dilations, fv_window *w);
// Extent of the result along the window's axis; diagnosed when a window does
// not fit into the padded input.
FV_NODISCARD fv_status fv_sem_window_extent(fv_sem *s, const fv_window *w, int axis,
                                            const fv_expr **out);
// Input index of window `o` at its element `k`, and the condition under which
// it lies inside of the input (NULL: always).
const fv_expr *fv_sem_window_at(fv_sem *s, const fv_window *w, const fv_expr *o, const fv_expr *k,
                                const fv_expr **inside);

//===-- Expansions ------------------------------------------------------===//

fv_value *fv_sb_widen(fv_sem *s, fv_value *v);  // cast f16, bf16 to f32; NULL stays
fv_value *fv_sb_full_like(fv_sem *s, fv_value *like, double v);  // rank-0 constant of its dtype
fv_value *fv_sb_range(fv_sem *s, const fv_expr *start, const fv_expr *limit);  // i64[limit-start]
fv_value *fv_sb_linear(fv_sem *s, fv_value *x, fv_value *w, fv_value *b);
fv_value *fv_sb_concat(fv_sem *s, int n, fv_value *const *v, int axis);
fv_value *fv_sb_expand_dims(fv_sem *s, fv_value *v, int rank, const fv_expr *const *dims);
// Inserts an axis of extent 1 before `axis`.
fv_value *fv_sb_unsqueeze(fv_sem *s, fv_value *v, int axis);
// Softmax over the last axis taken over visible entries only (NULL: all). A row
// with none gives NaN in p unless zero_empty; the rest of p is 0 where not visible.
fv_value *fv_sb_masked_softmax(fv_sem *s, fv_value *scores, fv_value *visible, bool zero_empty);
fv_value *fv_sb_masked_matmul(fv_sem *s, fv_value *a, fv_value *b, fv_value *visible);
// Mask operand (bool, or float to be added) joined into scores and visibility.
void fv_sb_join_mask(fv_sem *s, fv_value *mask, fv_value **scores, fv_value **visible);
fv_value *fv_sb_and(fv_sem *s, fv_value *a, fv_value *b);  // NULL stands for true

#endif  // FOVEA_IR_SEM_SEM_UTIL_H_
