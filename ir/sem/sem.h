// SPDX-License-Identifier: Apache-2.0
// ir/sem/sem.h - what an op means, as data.
//
// A semantics function fv_sem_<op>() runs once per node. It checks operands,
// and gives the node exactly one meaning:
//   nest    parallel and reduced dims, one scalar expression, a combiner
//   expand  a graph of other ops: the op's definition
//   kernel  a builder of serial kernel IR, with the result types
// From that come verification, shape inference, constant folding, the
// reference interpreter and the generic lowering of every code generator.
#ifndef FOVEA_IR_SEM_SEM_H_
#define FOVEA_IR_SEM_SEM_H_

#include "ir/graph/graph.h"

enum { FV_MAX_LOOPS = 16 };

typedef enum fv_combine {
  FV_COMBINE_NONE,
  FV_COMBINE_SUM,
  FV_COMBINE_PROD,
  FV_COMBINE_MAX,  // NaN wins
  FV_COMBINE_MIN,
  FV_COMBINE_ANY,      // bool or
  FV_COMBINE_ALL,      // bool and
  FV_COMBINE_ARG_MAX,  // result i64: index[n_par] of the first largest; NaN is largest
  FV_COMBINE_ARG_MIN,
} fv_combine;

// The primitive that combines two values, and the value that changes nothing: what is
// combined over nothing. Not of ARG_MAX and ARG_MIN, whose value is that of MAX and MIN.
fv_scalar_op fv_combine_op(fv_combine c);
fv_scalar fv_combine_identity(fv_combine c, fv_dtype t);

// A nest is `value` at each point of its loops, and what becomes of the values:
//   MAP      out[i..] = value
//   REDUCE   out[i..] = post(combine of value over the reduced indices)
//   SCAN     out[.., k, ..] = combine of value at 0..k of axis `along`
//   SCATTER  out = base; then, point by point: out[target] = value, or
//            out[target] = combine(out[target], value)
typedef enum fv_nest_form {
  FV_NEST_MAP,
  FV_NEST_REDUCE,
  FV_NEST_SCAN,
  FV_NEST_SCATTER,
} fv_nest_form;

// Loops: index 0..n_par are parallel, n_par..n_par+n_red reduced (REDUCE alone has them).
// Parallel dim i is axis i of the result, its extent that of `type`; but for a scatter, whose
// loops are the points that it writes, whatever the rank of the result.
// `value` loads operands: LOAD ref = operand number of the node. In `post`
// (optional) LOAD ref == FV_NEST_ACC, n == 0 stands for the combined value.
// The type of what is combined is the dtype of `value`: a sum of i8 products in i32 is a value
// that casts before it multiplies. A sum over f16 or bf16 runs in f32 (as all
// f16 and bf16 expressions do, see fv_dtype_compute); over an empty range it is 0 (max: -inf,
// min: inf, prod 1, any false, all true). Loads out of range may stand only in
// an arm of SELECT whose condition excludes them.
enum { FV_NEST_ACC = 0xffff };
typedef struct fv_nest {
  fv_nest_form form;
  int n_par, n_red;
  const fv_expr *extent[FV_MAX_LOOPS];
  fv_combine combine;
  const fv_expr *value;
  const fv_expr *post;  // NULL = the combined value itself
  // SCAN. Float sums are carried with what their rounding lost: as exact at the last entry as
  // at the first.
  int along;
  bool exclusive;  // 0..k without k
  bool reverse;    // from the last entry to the first
  // SCATTER: an index of the result for each of its axes, over the points and perhaps from
  // data; `base` is over the indices of the result. Points come in row-major order, so of two
  // that write one element the later wins, and sums are made in that order. Each combine is
  // rounded to the element type. `check` must keep targets in range.
  const fv_expr *base;
  const fv_expr *target[FV_MAX_RANK];
  // Run-time check of data (an index in range): a bool expression over the
  // parallel indices that must hold everywhere, or NULL.
  const fv_expr *check;
  const char *check_text;
} fv_nest;

// The map that fills the result of a scatter before its points are written.
fv_nest fv_nest_base(const fv_nest *scatter, const fv_type *result);

struct fv_kb;  // kernel builder, ir/kernel/kernel.h

typedef enum fv_meaning_kind { FV_MEANS_NEST, FV_MEANS_EXPAND, FV_MEANS_KERNEL } fv_meaning_kind;

// A symbol that the node defines: once it has run, the one element of its result number
// `result`, an integer; between the symbol's min and `max`, else the run fails with `text`, the
// value, `range`, and the largest behind a range that ends with a blank.
typedef struct fv_defined {
  uint32_t symbol;
  int result;
  const fv_expr *max;
  const char *text, *range;  // "item: ", " is not in 0..S = "
} fv_defined;

typedef struct fv_meaning {
  fv_meaning_kind kind;
  fv_nest nest;
  // EXPAND: a region whose parameters are the operands that are present (in
  // order) and whose results are the results of the node.
  fv_region *expansion;
  // KERNEL: emits the body; grid of one block per element of the first
  // `grid_rank` dims of result 0. Buffers of kb: operands (absent ones
  // skipped), then results. Loads and stores take offsets in elements of the
  // row-major tensors.
  void (*build)(const fv_node *n, struct fv_kb *kb);
  int grid_rank;
  const fv_defined *defined;
  int n_defined;
  // Hashes of what it was made of, and of the types of the results: see
  // fv_node_is_inferred().
  uint64_t from, types;
} fv_meaning;

// The working state of one semantics function.
typedef struct fv_sem {
  fv_node *node;
  fv_module *module;
  fv_xpool *pool;
  fv_arena *arena;
  fv_diag_sink *diag;
  fv_meaning *meaning;
  fv_type out[FV_MAX_RESULTS];
  int n_out;
  fv_region *build;      // EXPAND: where fv_sb_* put nodes
  fv_status failed;      // EXPAND: the first failure of a fv_sb_* call
  const fv_type *types;  // optional: instead of `out`, for an op without a bound on its results
} fv_sem;

//===-- Checking operands -----------------------------------------------===//

fv_status fv_sem_error(fv_sem *s, const char *fmt, ...) FV_PRINTF(2, 3);  // ERR_TYPE at the node
bool fv_sem_has(const fv_sem *s, int operand);
const fv_type *fv_sem_type(const fv_sem *s, int operand);
int fv_sem_rank(const fv_sem *s, int operand);
const fv_expr *fv_sem_dim(const fv_sem *s, int operand, int axis);  // axis may be negative
FV_NODISCARD fv_status fv_sem_want_rank(fv_sem *s, int operand, int lo, int hi);
FV_NODISCARD fv_status fv_sem_want_float(fv_sem *s, int operand);
FV_NODISCARD fv_status fv_sem_want_int(fv_sem *s, int operand);
FV_NODISCARD fv_status fv_sem_want_bool(fv_sem *s, int operand);
FV_NODISCARD fv_status fv_sem_same_dtype(fv_sem *s, int a, int b);
// Equal dims: proved unequal is an error; unknown is an error, too, that names
// both expressions ("cannot prove S == T; declare them as one dim").
FV_NODISCARD fv_status fv_sem_same_dim(fv_sem *s, const fv_expr *a, const fv_expr *b,
                                       const char *what);
// The same of an axis of operand a and one of operand b, named so.
FV_NODISCARD fv_status fv_sem_same_axis(fv_sem *s, int a, int axis_a, int b, int axis_b);
// An axis attribute, normalised to 0..rank-1; diagnosed when out of range.
FV_NODISCARD fv_status fv_sem_axis(fv_sem *s, const char *attr, int rank, int *out);

//===-- Nests -----------------------------------------------------------===//

// The result type of a nest (dims are the parallel extents).
void fv_sem_result(fv_sem *s, fv_dtype t, int rank, const fv_expr *const *dims);
const fv_expr *fv_sem_index(fv_sem *s, int i);  // loop index i
// Adds a reduced dim, returns its index number. Call after fv_sem_result.
int fv_sem_reduce(fv_sem *s, const fv_expr *extent);
const fv_expr *fv_sem_load(fv_sem *s, int operand, const fv_expr *const *index);
// Operand at the parallel indices, broadcast from the right (numpy rules).
const fv_expr *fv_sem_arg(fv_sem *s, int operand);
// Result type = broadcast of the operands [first, first+count), dtype t.
FV_NODISCARD fv_status fv_sem_broadcast(fv_sem *s, int first, int count, fv_dtype t);
fv_status fv_sem_yield(fv_sem *s, const fv_expr *value);  // combine NONE
fv_status fv_sem_combine(fv_sem *s, fv_combine c, const fv_expr *value, const fv_expr *post);
// A running combine along axis `along` of the result.
fv_status fv_sem_scan(fv_sem *s, fv_combine c, int along, bool exclusive, bool reverse,
                      const fv_expr *value);
// Loops over points instead of the result's indices, for fv_sem_scatter. After fv_sem_result.
void fv_sem_points(fv_sem *s, int n, const fv_expr *const *extent);
fv_status fv_sem_scatter(fv_sem *s, fv_combine c, const fv_expr *base, const fv_expr *const *target,
                         const fv_expr *value);
void fv_sem_check(fv_sem *s, const fv_expr *cond, const char *text);

//===-- Expansions ------------------------------------------------------===//

// Starts an expansion; the parameters stand for the operands.
void fv_sem_begin_expansion(fv_sem *s);
fv_value *fv_sem_param(fv_sem *s, int operand);  // NULL if absent
// Appends a node. Attributes are given as alternating name, value by the
// setters above on the returned node's... use the fv_sb_* helpers. A failed
// inference was already reported; the helpers then return NULL and accept
// NULL operands, so that a definition reads as straight code and only its
// end, fv_sem_results, tests.
fv_node *fv_sb_node(fv_sem *s, fv_op op, int n_in, fv_value *const *in);  // not inferred yet
fv_value *fv_sb_done(fv_sem *s, fv_node *n);  // infers and places it; result 0
fv_value *fv_sb_1(fv_sem *s, fv_op op, fv_value *a);
fv_value *fv_sb_2(fv_sem *s, fv_op op, fv_value *a, fv_value *b);
fv_value *fv_sb_3(fv_sem *s, fv_op op, fv_value *a, fv_value *b, fv_value *c);
fv_value *fv_sb_scalar(fv_sem *s, fv_dtype t, double v);  // rank-0 constant
fv_value *fv_sb_reduce(fv_sem *s, fv_op op, fv_value *a, int axis, bool keepdims);
fv_value *fv_sb_reshape(fv_sem *s, fv_value *a, int rank, const fv_expr *const *dims);
fv_value *fv_sb_transpose(fv_sem *s, fv_value *a, int rank, const int64_t *perm);
fv_value *fv_sb_cast(fv_sem *s, fv_value *a, fv_dtype t);
fv_value *fv_sb_slice(fv_sem *s, fv_value *a, int axis, const fv_expr *start, const fv_expr *end);
// A loop within a definition: what is built between begin and end is its body, which sees the
// values around it. carry[i] becomes the value that trip `counter` begins with.
typedef struct fv_sb_loop {
  fv_node *node;
  fv_region *outer;
  int n_carry;
  const fv_expr *counter;  // 0..trips-1
} fv_sb_loop;
fv_sb_loop fv_sb_begin_loop(fv_sem *s, const fv_expr *trips, int n, fv_value **carry);
// next[i] follows carry[i]; each[j] is kept of every trip. out: the last carries, then the
// kept values stacked along a new axis 0. All NULL after a failure.
void fv_sb_end_loop(fv_sem *s, fv_sb_loop *l, fv_value *const *next, int n_each,
                    fv_value *const *each, fv_value **out);
// Names the results; ERR_TYPE if any is NULL.
fv_status fv_sem_results(fv_sem *s, int n, fv_value *const *v);

//===-- Kernel ops ------------------------------------------------------===//

fv_status fv_sem_kernel(fv_sem *s, int grid_rank,
                        void (*build)(const fv_node *n, struct fv_kb *kb));
void fv_sem_add_result(fv_sem *s, const fv_type *t);

// One declaration per row of the op table.
#define FV_OP(name, operands, results, flags, ...) fv_status fv_sem_##name(fv_sem *s);
#include "fovea/ops.def"

#endif  // FOVEA_IR_SEM_SEM_H_
