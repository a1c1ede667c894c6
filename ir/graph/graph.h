// SPDX-License-Identifier: Apache-2.0
// ir/graph/graph.h - the graph IR: modules, graphs, regions, nodes, values.
//
// A module owns everything through one arena. Values are in SSA form: each is
// the result of one node or a parameter of one region, and a region sees the
// values of the regions around it. Nodes stand in a doubly linked list in
// program order (definitions before uses). All walks are iterative.
// Thread-compatible: one thread at a time per module.
#ifndef FOVEA_IR_GRAPH_GRAPH_H_
#define FOVEA_IR_GRAPH_GRAPH_H_

#include "base/diag.h"
#include "base/index.h"
#include "fovea/program.h"
#include "ir/expr/expr.h"

typedef struct fv_value fv_value;
typedef struct fv_node fv_node;
typedef struct fv_region fv_region;
typedef struct fv_graph fv_graph;
typedef struct fv_module fv_module;

//===-- Types -----------------------------------------------------------===//

// Layout: the order in which (axis, block) pieces are stored, outermost first.
// {0,0} {1,0} {2,0} is row-major (and is stored as n == 0). NCHW with channels
// in blocks of 16 is (0) (1/16) (2) (3) (1 % 16): pieces {0,0} {1,16,outer} ...
// A blocked axis appears twice: its outer piece (div) then its inner (mod);
// its extent is padded up to a multiple of the block, the padding is 0.
typedef struct fv_layout_piece {
  uint8_t axis;
  uint8_t inner;   // 1: index mod block, extent = block
  uint16_t block;  // 0: the whole axis
} fv_layout_piece;

typedef struct fv_layout {
  uint8_t n;  // 0 = row-major
  fv_layout_piece piece[FV_MAX_RANK + 2];
} fv_layout;

typedef struct fv_type {
  fv_dtype dtype;
  int rank;
  const fv_expr *dim[FV_MAX_RANK];  // i64 expressions over symbols
  fv_layout layout;
} fv_type;

// Never by memcmp: copies of a struct need not have the same padding.
bool fv_layout_eq(const fv_layout *a, const fv_layout *b);
bool fv_type_eq(const fv_type *a, const fv_type *b);  // same pointers per dim
// Is each axis stored once: as a whole, or as an outer and an inner piece?
bool fv_layout_valid(const fv_layout *l, int rank);
const fv_expr *fv_type_count(fv_xpool *p, const fv_type *t);          // elements, logical
const fv_expr *fv_type_bytes(fv_xpool *p, const fv_type *t);          // of the elements
const fv_expr *fv_type_member_stride(fv_xpool *p, const fv_type *t);  // fv_member_stride() of them
const fv_expr *fv_type_stored(fv_xpool *p, const fv_type *t);  // elements, with padding of blocks
// Offset in elements of the element at logical index[0..rank).
const fv_expr *fv_type_offset(fv_xpool *p, const fv_type *t, const fv_expr *const *index);
bool fv_type_static(const fv_type *t, int64_t dims[FV_MAX_RANK]);    // all dims literal?
void fv_type_print(const fv_xpool *p, fv_str *s, const fv_type *t);  // "f32[B, seq, 768]"
void fv_type_print_as(const fv_xpool *p, fv_str *s, const fv_type *t, const fv_xprint *how);

// Constant data, row-major, little-endian, borrowed from a mapping or an arena.
typedef struct fv_tensor {
  const char *name;  // of the weight as published; "" for inline constants
  fv_dtype dtype;
  int rank;
  int64_t dim[FV_MAX_RANK];
  const void *data;                 // its elements, unless it has a source
  struct fv_tensor_source *source;  // stored otherwise: strides, another type, not aligned
  const struct fv_mapping *file;    // where these may lie, or NULL: its pages may go after use
} fv_tensor;
typedef struct fv_tensor_source fv_tensor_source;
int64_t fv_tensor_count(const fv_tensor *t);

// A tensor like another in name, type and dims, of data that is stored as `dtype` with strides.
fv_tensor *fv_tensor_of(fv_arena *ar, const fv_tensor *like, const void *data, fv_dtype dtype,
                        const int64_t *stride);
// The same of elements of `base`, by its row-major order.
fv_tensor *fv_tensor_view(fv_arena *ar, const fv_tensor *like, const fv_tensor *base,
                          int64_t offset, const int64_t *stride);
// The elements in row-major order. What is stored otherwise is copied when it is first asked for,
// and kept as long as the tensor; exhaustion is that of `ar`. From any thread.
const void *fv_tensor_data(fv_arena *ar, const fv_tensor *t);
// The same for who passes over them once: *own goes with fv_tensor_done(), and so do pages of a
// file. NULL: out of memory.
const void *fv_tensor_read(const fv_tensor *t, void **own);
void fv_tensor_done(const fv_tensor *t, void *own);
// From its first element to its last, as they are stored.
typedef struct fv_tensor_span {
  const void *data;
  int64_t count;
  fv_dtype dtype;
} fv_tensor_span;
fv_tensor_span fv_tensor_stored(const fv_tensor *t);

//===-- Ops ---------------------------------------------------------------===//

typedef enum fv_op {
#define FV_OP(name, ...) FV_OP_##name,
#include "fovea/ops.def"
  FV_OP_COUNT
} fv_op;

typedef enum fv_op_flags {
  FV_OPF_NONE = 0,
  FV_OPF_EFFECT = 1 << 0,       // must stay, in order (state_write)
  FV_OPF_ELEMENTWISE = 1 << 1,  // output index == input index (with broadcast)
  FV_OPF_COMMUTES = 1 << 2,
  FV_OPF_MOVES = 1 << 3,    // result elements are input elements, unchanged
  FV_OPF_REGION = 1 << 4,   // has regions: one, its body
  FV_OPF_BUILTIN = 1 << 5,  // constant, state_read, ...: types only, no meaning as data
  FV_OPF_ARMS = 1 << 6,     // with REGION: two, of which one runs
} fv_op_flags;

typedef struct fv_param_info {  // one operand, result or attribute of the schema
  const char *name;
  size_t len;
  bool optional;  // operand with '?'
  bool variadic;  // operand with '*', only the last
  char kind;      // attributes: i int, f float, b bool, s string, I ints, D dims, t dtype, x expr
  const char *dflt;  // attributes: default text up to a space, NULL = required
  size_t dflt_len;
} fv_param_info;

enum { FV_MAX_OPERANDS = 16, FV_MAX_RESULTS = 8, FV_MAX_ATTRS = 12 };

typedef struct fv_op_info {
  // The columns of ops.def, which says what they mean; NULL = left out.
  const char *name, *doc;
  const char *operands, *results, *attrs, *shape;
  const char *const *corners, *const *usage;  // lists end with NULL
  unsigned flags;
  const char *dtypes;
  double tolerance;
  const char *const *examples;
  // Derived from the table.
  const char *section, *section_doc;
  int n_operand, n_result, n_attr;
  int n_body;  // regions of a node
  fv_param_info operand[FV_MAX_OPERANDS], result[FV_MAX_RESULTS], attr[FV_MAX_ATTRS];
} fv_op_info;

// Parsed once per process behind a once-guard; immutable after.
const fv_op_info *fv_op_get(fv_op op);
fv_op fv_op_find(const char *name, size_t len);  // FV_OP_COUNT if unknown
const char *fv_attr_kind_name(char kind);        // as in the schema, "int"; NULL if unknown

//===-- Attributes --------------------------------------------------------===//

typedef struct fv_attr {
  char kind;      // as in fv_param_info; 0 = not given and no default
  bool is_whole;  // float: a whole number that an int64_t holds, `whole`
  int n;          // ints, dims
  union {
    int64_t i;
    struct {
      double f;       // the nearest one
      int64_t whole;  // exact, for integer types
    };
    bool b;
    const char *s;
    fv_dtype t;
    const int64_t *ints;
    const fv_expr *const *dims;
    const fv_expr *x;
  };
} fv_attr;

//===-- Graph -------------------------------------------------------------===//

struct fv_value {
  fv_type type;
  fv_node *def;       // NULL for a region parameter
  fv_region *region;  // of a parameter: whose; else NULL
  uint32_t index;     // which result or parameter
  uint32_t id;        // dense per module
  const char *name;   // for people; may be NULL; unique per graph when set
  // Known contents of a small integer tensor, row-major (shape arithmetic
  // travels here); NULL = unknown.
  const fv_expr *const *content;
  int n_content;
};

// Kinds of kernels that lower/ makes: what `expect` and reports name.
// In order of preference: a node is of the first family that takes it.
//   X(name, what it computes)
#define FV_FAMILY_TABLE(X)                                           \
  X(update, "new rows of a state, written in place")                 \
  X(attention, "scores, softmax and product with an online softmax") \
  X(contraction, "a product or convolution and what follows it")     \
  X(row, "reductions and what follows them, each row in one kernel") \
  X(map, "elementwise and movement, in one pass")                    \
  X(scan, "running combines along an axis")                          \
  X(scatter, "elements written where indices say, in order")         \
  X(serial, "an op that is given as a kernel itself")

struct fv_node {
  fv_node *prev, *next;
  fv_region *region;  // in which it stands
  fv_op op;
  int n_in, n_out;
  fv_value **in;  // NULL entries: absent optional operands
  fv_value **out;
  fv_attr *attr;     // n_attr of the op, in schema order
  fv_region **body;  // n_body of the op: loop 1, if 2 (then, else)
  int n_body;
  const fv_tensor **data;  // constant only: its members (1, or one per trip)
  int n_data;
  const fv_span **span;  // sources, through every pass
  int n_span;
  const struct fv_meaning *meaning;  // set by fv_infer_node; see ir/sem/sem.h
  const char *expect;  // optional: the family of FV_FAMILY_TABLE, or "fused": how it must be
                       // computed. Nodes of one element have the same pointer
};

// param and result grow by fv_region_add_* alone: these double their room at each
// power of two, so an array put in their place must have that much, too.
struct fv_region {
  fv_graph *graph;
  fv_node *owner;  // NULL for the graph's own region
  int index;       // which of the owner's
  fv_node *first, *last;
  fv_value **param, **result;
  int n_param, n_result;
};

// `loop`: trips(expr), counter(symbol), carried values.
//   in[i] initial carry i; body[0]->param[i] carry i in the body
//   body[0]->result = next carries, then collected values
//   out = final carries, then collected values stacked along attr collect_axes
// attr `while_carry` >= 0: that carry (bool scalar) is tested before each trip;
// then attr `count` is a FV_SYM_RESULT symbol: the trips made (<= trips).
// repeat, scan and loop of the dialect are all this op.
//
// `if`: in[0] is the condition (bool scalar), body[0] the arm that runs when it
// is true, body[1] the other. Arms have no parameters; result i of the arm that
// ran is out[i]. Where the arms give different dims, out[i] has a FV_SYM_RESULT
// symbol there: attr `symbols` has one entry an axis of each result, -1 = none.

typedef struct fv_state {
  const char *name;
  fv_type type;     // of one member; dims are static or FV_SYM_DIM symbols
  int members;      // 1, or one per trip of the repeat that uses it
  int length_axis;  // axis whose valid part is a length symbol, or -1
  uint32_t length;  // FV_SYM_STATE symbol, if length_axis >= 0
  const fv_span *span;
} fv_state;

typedef struct fv_input {
  const char *name;
  fv_value *value;  // a parameter of the graph's region
} fv_input;
typedef struct fv_output {
  const char *name;
  fv_value *value;  // any value visible in the graph's region
} fv_output;

// What a run commits: symbol `length` becomes `next`.
typedef struct fv_advance {
  uint32_t length;
  const fv_expr *next;
  const fv_span *span;  // who says so, or NULL
} fv_advance;

// What the graph needs and what is not proved. Those of the graph are checked when a run is bound,
// before anything is computed; a and b are over symbols that are known then, and as the author
// wrote them. What the run alone can tell is a node `require` (see fv_require).
typedef struct fv_condition {
  fv_relation relation;
  const fv_expr *a, *b;
  const char *text;  // who needs it: "add", "matmul: the inner dims"
  const fv_span *span;
} fv_condition;

struct fv_graph {
  fv_module *module;
  const char *name;
  fv_region *region;  // params = inputs in order; results = outputs in order
  const char **input_name, **output_name;
  fv_type *declared;        // of the inputs, before equal dims became one; NULL: as they are
  fv_condition *condition;  // no two that say the same
  size_t n_condition, cap_condition;
  fv_index conditions;
  fv_node **late;  // nodes `require`, by region and what they say; some may be gone
  size_t n_late, cap_late;
  fv_index lates;
  const fv_expr **one;  // by symbol below n_one: the dim or number that it must equal, or NULL
  uint32_t n_one;
  size_t n_made_one;  // changes whenever `one` does
  fv_range *within;   // by symbol below n_within: what it was declared with and conditions say
  uint32_t n_within;
  const fv_expr **whole;  // mod(e, c), of which conditions say that it is 0
  size_t n_whole, cap_whole;
  fv_index wholes;  // of them, by e, as it was when so many dims had been made one
  size_t wholes_of_one;
  fv_advance *advance;
  int n_advance;
  const fv_span *span;
};

// <verify>: a golden pair of the model.
typedef struct fv_verify_case {
  const char *graph;
  const char *file;  // path beneath the model's directory
  double tolerance;  // relative to the largest magnitude of each output
  const fv_span *span;
} fv_verify_case;

struct fv_module {
  fv_arena *arena;
  fv_xpool *pool;
  const char *name;
  const char *file, *dir;  // dir ends with '/', or is ""
  bool check_unproved;     // what an op needs and cannot prove is a condition, not an error
  fv_graph **graph;
  int n_graph;
  fv_state **state;
  int n_state;
  fv_verify_case *verify;
  int n_verify;
  uint32_t n_value;  // value ids are below this
};

fv_module *fv_module_create(fv_arena *ar, const char *name);
fv_graph *fv_graph_create(fv_module *m, const char *name, const fv_span *span);
fv_region *fv_region_create(fv_graph *g, fv_node *owner);
fv_value *fv_region_add_param(fv_region *r, const fv_type *t, const char *name);
void fv_region_add_result(fv_region *r, fv_value *v);
fv_value *fv_graph_add_input(fv_graph *g, const char *name, const fv_type *t);
void fv_graph_add_output(fv_graph *g, const char *name, fv_value *v);
fv_state *fv_module_add_state(fv_module *m, const char *name, const fv_type *t, int members);
void fv_graph_add_advance(fv_graph *g, fv_advance a);
void fv_module_add_verify(fv_module *m, fv_verify_case v);

// Creates a node, not yet placed; attributes are set to their defaults; its
// results exist only after fv_infer_node.
fv_node *fv_node_create(fv_region *r, fv_op op, int n_in, fv_value *const *in, const fv_span *span);
void fv_node_insert_before(fv_node *n, fv_node *at);  // at == NULL: at the end of n->region
void fv_node_remove(fv_node *n);
void fv_node_add_span(fv_node *n, const fv_span *s);  // no duplicates
void fv_node_copy_spans(fv_node *n, const fv_node *from);
fv_value *fv_value_create(fv_module *m, const fv_type *t, fv_node *def, uint32_t index);
const fv_span *fv_node_span(const fv_node *n);  // first, or NULL
// Symbols that the run gets from n, by number, -1 = none: attribute `count` or `symbols`.
int fv_node_defines(const fv_node *n, const int64_t **symbols);
bool fv_node_sets(const fv_node *n, uint32_t symbol);  // is it one of those?
bool fv_node_symbols_exist(const fv_node *n);          // those that its attributes name by number

// Attribute access by name; FV_CHECK fails for a name not in the schema.
fv_attr *fv_attr_get(const fv_node *n, const char *name);
int64_t fv_attr_int(const fv_node *n, const char *name);
double fv_attr_float(const fv_node *n, const char *name);
bool fv_attr_bool(const fv_node *n, const char *name);
const char *fv_attr_str(const fv_node *n, const char *name);
bool fv_attr_is_missing(const fv_attr *a);  // it was never set, or to NULL
void fv_attr_set_int(fv_node *n, const char *name, int64_t v);
void fv_attr_set_float(fv_node *n, const char *name, double v);
void fv_attr_set_bool(fv_node *n, const char *name, bool v);
void fv_attr_set_str(fv_node *n, const char *name, const char *v);
void fv_attr_set_ints(fv_node *n, const char *name, int count, const int64_t *v);
void fv_attr_set_dims(fv_node *n, const char *name, int count, const fv_expr *const *v);
void fv_attr_set_dtype(fv_node *n, const char *name, fv_dtype t);
void fv_attr_set_expr(fv_node *n, const char *name, const fv_expr *x);

// Attributes of one schema entry; texts and lists count by what they hold.
uint64_t fv_attr_hash(uint64_t seed, const fv_attr *a);
bool fv_attr_eq(const fv_attr *a, const fv_attr *b);

// Replaces each use in the graph (operands, region results) of the old values
// by forward[id], in one walk; NULL = keep, as are values whose id is not below n.
void fv_graph_forward(fv_graph *g, fv_value *const *forward, uint32_t n);
// Removes nodes whose results and symbols nobody uses, from the last to the first, so
// one walk takes whole chains; effects, and loops with effects, stay. Returns how
// many went.
uint64_t fv_graph_drop_dead(fv_graph *g);
// Moves all nodes of a region in front of `at`, which stands in another.
void fv_region_inline(fv_region *from, fv_node *at);
// Copies the nodes of `from`, with their regions, to stand in `to` in front of `at` (NULL: at
// its end). copy[id] is the copy of a value, by the ids of the module that `from` is of: the
// caller sets those that are seen from outside, the others are filled in. Meanings are shared.
void fv_region_clone_nodes(fv_region *from, fv_region *to, fv_node *at, fv_value **copy);
// The same graphs, to be changed apart; states, symbols and meanings are shared.
fv_module *fv_module_clone(const fv_module *m);
// Replaces symbols s < n by by[s] (NULL = keep) in all types and attributes; the
// graph must be inferred again.
void fv_graph_subst_symbols(fv_graph *g, const fv_expr *const *by, uint32_t n);
// Uses of each value id (operands and region results), in one walk.
void fv_graph_count_uses(const fv_graph *g, uint32_t *uses /* n_value entries */);

// Iterative walk over all nodes of a region and of the regions inside, in
// program order; a node comes before its regions.
//   for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n)) ...
fv_node *fv_walk_first(fv_region *r);
fv_node *fv_walk_next(fv_region *r, fv_node *n);

// The same walk with its structure: a node is entered, each of its regions
// begins and ends, then it is left (with no regions, at once).
//   fv_walk w = {.top = r};
//   while (fv_walk_step(&w)) ...
typedef enum fv_walk_event {
  FV_WALK_START,
  FV_WALK_ENTER,
  FV_WALK_LEAVE,
  FV_WALK_BEGIN,
  FV_WALK_END
} fv_walk_event;
typedef struct fv_walk {
  fv_region *top;
  fv_walk_event event;
  fv_node *node;      // of ENTER and LEAVE; the owner of the region that begins or ends
  fv_region *region;  // in which the node stands, or that begins or ends
} fv_walk;
bool fv_walk_step(fv_walk *w);

//===-- Meaning ----------------------------------------------------------------===//

// Runs the semantics of n: checks, sets n->meaning, creates or re-types
// n->out. Operands must be inferred. Errors go to diag with n's span.
FV_NODISCARD fv_status fv_infer_node(fv_node *n, fv_diag_sink *diag);
// Does the meaning of n, and do the types of its results, still follow from its operands,
// its attributes and the loops around it? No built-in node is asked: inferring costs as much.
bool fv_node_is_inferred(const fv_node *n);
FV_NODISCARD fv_status fv_infer_graph(fv_graph *g, fv_diag_sink *diag);

//===-- Conditions --------------------------------------------------------===//

fv_truth fv_prove(fv_xpool *p, fv_relation r, const fv_expr *a, const fv_expr *b);
// The need arises in the region `at` in front of the node `before`, or at its end.
// YES: proved, or checked: as a condition of the graph, or if it is about what only the run knows
// or arises in an arm of `if`, by a node `require` there. NO: it never holds. UNKNOWN: the model
// does not allow unproved needs (see check_unproved; an author's own requirement is always
// allowed), or it is about indices or data.
fv_truth fv_require(fv_region *at, fv_node *before, const fv_condition *need, bool by_author);
fv_condition fv_node_condition(const fv_node *n);  // of a node `require`
void fv_graph_note_require(fv_node *n);            // it was placed, or changed
// All conditions: the n_condition of the graph, then those of its nodes in program order.
size_t fv_graph_list_conditions(fv_arena *ar, const fv_graph *g, const fv_condition **out);
// Dims that conditions make equal become one in all types and attributes, and what then is
// proved is listed no more; the graph is inferred again. An error if a condition never holds.
FV_NODISCARD fv_status fv_graph_unify(fv_graph *g, fv_diag_sink *diag);
const fv_expr *fv_graph_unified(fv_graph *g, const fv_expr *e);  // the same for an expression
// As fv_x_range, with what conditions like S <= 512 say of single dims: it is so in each run.
fv_range fv_graph_range(fv_graph *g, const fv_expr *e);
// The type of an input in the dims of its declaration: these are bound by what a run is given.
const fv_type *fv_graph_input_type(const fv_graph *g, int i);
void fv_graph_copy_conditions(fv_graph *to, const fv_graph *from);  // in place of its own
// The symbols within the sides that are no side themselves, so that a message can tell their
// values; of very many the first. Returns how many.
enum { FV_CONDITION_SYMBOLS = 16 };
size_t fv_condition_symbols(fv_xpool *p, const fv_condition *c,
                            uint32_t out[static FV_CONDITION_SYMBOLS]);
void fv_condition_print(const fv_xpool *p, fv_str *s, const fv_condition *c, const fv_xprint *how);

//===-- Verifier and text -------------------------------------------------===//

// Structure, scoping, types as the semantics say. Reports through diag.
// `when` names the step that has just run ("pass 'expand'").
FV_NODISCARD fv_status fv_verify(fv_module *m, const char *when, fv_diag_sink *diag);

// The text form round-trips byte for byte. Constant data: small tensors are
// printed, larger ones as @"name" with a content hash; with `weights` (an
// optional lookup by name) the reader finds them again.
void fv_text_print(fv_module *m, fv_str *out);
FV_NODISCARD fv_status fv_text_parse(fv_arena *ar, const char *file, const char *text, size_t size,
                                     const fv_tensor *(*weights)(void *user, const char *name),
                                     void *user, fv_diag_sink *diag, fv_module **out);

#endif  // FOVEA_IR_GRAPH_GRAPH_H_
