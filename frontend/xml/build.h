// SPDX-License-Identifier: Apache-2.0
// frontend/xml/build.h - from the element tree to the graph IR: shared parts.
//
// Private to frontend/xml/. One context per load. Elements are worked off by a
// stack of frames (a graph, a block that is called, the body of a loop), each
// of which runs over the children of one element; nothing here recurses.
//
// A fault is reported where it stands and marks its element; what the element
// should have defined is bound as poison, and whatever uses poison is skipped
// in silence. So one run reports every fault once.
#ifndef FOVEA_FRONTEND_XML_BUILD_H_
#define FOVEA_FRONTEND_XML_BUILD_H_

#include "frontend/weights/weights.h"
#include "frontend/xml/tree.h"
#include "ir/graph/attr_text.h"
#include "ir/graph/loop.h"
#include "ir/sem/sem.h"

typedef struct fv_xml_cx fv_xml_cx;

//===-- Names -------------------------------------------------------------===//

// Text with holes: pieces are literal text or integer expressions of counters.
typedef struct fv_xml_piece {
  const char *text;  // or
  const fv_expr *expr;
} fv_xml_piece;
typedef struct fv_xml_text {
  fv_xml_piece *piece;
  int n;
  size_t cap;
} fv_xml_text;

typedef enum fv_xml_kind {
  FV_XML_POISON,   // of a faulty element
  FV_XML_VALUE,    // .value
  FV_XML_LITERAL,  // .literal: "2", a block's argument
  FV_XML_INT,      // .expr: let, dim, counter, parameter, length of a state
  FV_XML_TEXT,     // .text: parameter of a block
  FV_XML_CONST,    // .tensor: constant of the model
  FV_XML_INDEX,    // .index: in a list that is kept beside: a state, a carry, an output
} fv_xml_kind;

typedef struct fv_xml_name {
  const char *name;
  fv_xml_kind kind;
  union {
    fv_value *value;
    const char *literal;
    const fv_expr *expr;
    const fv_xml_text *text;
    const fv_tensor *tensor;
    size_t index;
  };
  const fv_xml_elem *where;  // what bound it
} fv_xml_name;

typedef struct fv_xml_scope {
  struct fv_xml_scope *outer;
  fv_xml_name **slot;  // open addressing, a power of two
  size_t n_slot, count;
} fv_xml_scope;

fv_xml_scope *fv_xml_scope_create(fv_arena *ar, fv_xml_scope *outer);
// In this scope only, or NULL.
fv_xml_name *fv_xml_scope_get(const fv_xml_scope *s, const char *name, size_t n);
fv_xml_name *fv_xml_scope_find(const fv_xml_scope *s, const char *name, size_t n);  // outwards
// Binds without a check.
void fv_xml_scope_put(fv_arena *ar, fv_xml_scope *s, fv_xml_name *entry);
// Notes that `name` has that index in a list; false if it has one already.
bool fv_xml_scope_note(fv_arena *ar, fv_xml_scope *s, const char *name, size_t index);

//===-- Frames ------------------------------------------------------------===//

typedef struct fv_xml_carry {
  const char *name;
  const fv_xml_elem *elem;
  fv_value *init, *param, *next;  // NULL: poison or missing
  bool has_next;
} fv_xml_carry;

typedef struct fv_xml_collect {
  const char *name;
  const fv_xml_elem *elem;
  fv_value *value;
  int64_t axis;  // of the stacked result, from 0
  bool poisoned;
} fv_xml_collect;

typedef struct fv_xml_rows {  // what is appended in a loop
  const fv_expr *count;
  const fv_span *at;
} fv_xml_rows;

typedef struct fv_xml_loop {
  fv_node *node;  // placed when the body is done
  uint32_t counter;
  const fv_expr *trips;
  const fv_expr *time;  // index of the step: counter, or trips - 1 - counter
  bool reverse, poisoned;
  fv_value *lengths;                 // i64[B], or NULL
  fv_xml_scope *carries, *collects;  // indices by name
  fv_xml_carry *carry;
  int n_carry;
  size_t cap_carry;
  fv_xml_collect *collect;
  int n_collect;
  size_t cap_collect;
  fv_xml_rows *rows;  // those whose number depends on what the run counts
  size_t n_rows, cap_rows;
} fv_xml_loop;

typedef struct fv_xml_if {
  fv_node *node;              // placed when both arms are done
  const fv_xml_elem *arm[2];  // <then>, <else>
  bool poisoned;
} fv_xml_if;

typedef enum fv_xml_frame_kind {
  FV_XML_IN_GRAPH,
  FV_XML_IN_CALL,
  FV_XML_IN_LOOP,
  FV_XML_IN_IF,  // between its arms
  FV_XML_IN_ARM
} fv_xml_frame_kind;

typedef struct fv_xml_frame {
  struct fv_xml_frame *up;
  fv_xml_frame_kind kind;
  const fv_xml_elem *body;  // whose children run
  fv_xml_elem *next;        // the child that runs next
  fv_xml_elem *site;        // the graph, call or loop element
  fv_xml_scope *scope;
  fv_region *region;
  fv_xml_scope *constants;  // of the region: one node for each constant in it
  const fv_span *outer;     // expansion trace of what stands in it
  fv_xml_loop *loop;
  fv_xml_if *branch;
} fv_xml_frame;

//===-- The context -------------------------------------------------------===//

typedef struct fv_xml_update {
  const fv_expr *member;
  fv_bounds all;  // of `member` in all steps of the loops around
} fv_xml_update;

typedef struct fv_xml_written {  // the updates of a state in this graph
  fv_xml_update *update;
  size_t n, cap;
  fv_xml_update *varying;  // those of them that are no plain integers
  size_t n_varying, cap_varying;
  fv_xml_scope *plain;  // the others, by their text
  int64_t appended;     // members, in all steps together
} fv_xml_written;

typedef struct fv_xml_family {  // of weights: one for each combination of its counters
  const fv_tensor **tensor;
  int n;
  const fv_expr *member;  // which one
} fv_xml_family;

struct fv_xml_cx {
  bool one_graph;  // no <graph> in the file; set by fv_xml_check
  fv_arena *arena;
  fv_module *module;
  fv_xpool *pool;
  fv_diag_sink *diag;
  const fv_xml_file *file;
  const fv_load_options *options;
  fv_load_limits limit;
  fv_status status;  // the first fault
  unsigned n_faults;
  fv_xml_scope *model;            // integers and constants of the model
  fv_xml_scope *blocks, *states;  // elements and indices by name
  fv_xml_scope *graphs;           // indices by name
  fv_xml_scope *lengths;          // by the name of a length: the number of its first state
  int *same_length;               // by state: the next one of its length, in a ring
  size_t n_same_length, cap_same_length;
  fv_weights *weights;
  bool weights_failed;     // a file is missing: unknown names are no news
  fv_xml_scope *tensors;   // views of weights and literals, by what they are
  fv_xml_scope *families;  // references to weights, by what they say: indices
  fv_xml_family *family;
  size_t n_family, cap_family;
  size_t n_member;        // of all families
  int64_t *symbol_value;  // of counters, where a reference is evaluated
  size_t cap_symbol_value;
  fv_xml_scope *value_names;  // of the graph: how often each was used
  fv_graph *graph;
  fv_xml_scope *outputs;     // of the graph: indices by name
  fv_xml_scope *advances;    // of the graph: indices by the symbol of the length
  fv_xml_scope *written_of;  // of the graph: indices by the name of the state
  fv_xml_frame *top;
  int depth;
  size_t n_run;  // elements that have run
  fv_xml_written *written;
  size_t n_written, cap_written;
  fv_xml_elem *current;  // the element that runs
  bool poisoned;         // an expression used a poisoned name
};

//===-- Places and faults (report.c) --------------------------------------===//

const fv_span *fv_xml_at(fv_xml_cx *cx, const fv_xml_elem *e);
const fv_span *fv_xml_at_name(fv_xml_cx *cx, const fv_xml_attr *a);
const fv_span *fv_xml_at_value(fv_xml_cx *cx, const fv_xml_attr *a, size_t index);
const fv_span *fv_xml_at_offset(fv_xml_cx *cx, size_t offset);
// Reports, marks the current element, and remembers the first code.
fv_status fv_xml_fault(fv_xml_cx *cx, fv_status code, const fv_span *at, const char *fmt, ...)
    FV_PRINTF(4, 5);
// Faults that wait to be told in the order of the file.
typedef struct fv_xml_fault_notes {
  fv_diag *diag;  // the fault, then its notes
  size_t n, cap;
} fv_xml_fault_notes;
typedef struct fv_xml_held {
  fv_arena *arena;
  fv_xml_fault_notes *fault;
  size_t n, cap;
} fv_xml_held;
fv_diag_sink fv_xml_hold(fv_xml_held *h);
void fv_xml_tell(const fv_xml_held *h, fv_diag_sink *diag);
bool fv_xml_too_many(const fv_xml_cx *cx);
// " (did you mean 'x'?)", or "".
const char *fv_xml_suggest(fv_xml_cx *cx, const char *word, const char *(*candidate)(void *, int),
                           void *user);
const char *fv_xml_suggest_name(fv_xml_cx *cx, const fv_xml_scope *s, const char *word,
                                bool (*fits)(const fv_xml_name *n));
const char *fv_xml_type_text(fv_xml_cx *cx, const fv_type *t);

//===-- Text (text.c) -----------------------------------------------------===//

// A piece of an attribute's value: blanks around it are left out.
typedef struct fv_xml_slice {
  const fv_xml_attr *attr;
  size_t at, n;  // into attr->value
} fv_xml_slice;

fv_xml_slice fv_xml_whole(const fv_xml_attr *a);
fv_xml_slice fv_xml_trim(fv_xml_slice s);
const char *fv_xml_slice_text(fv_xml_cx *cx, fv_xml_slice s);
// The next element of a list; false at the end. Commas in brackets do not part.
bool fv_xml_next(fv_xml_slice *rest, fv_xml_slice *out);
int fv_xml_list_count(const fv_xml_attr *a);
bool fv_xml_is_name(const char *s);

// Integer expressions. NULL: reported or poisoned.
const fv_expr *fv_xml_expr(fv_xml_cx *cx, fv_xml_slice s);
const fv_expr *fv_xml_symbol(void *cx, const char *name, size_t n);  // for fv_attr_parse
void fv_xml_report_expr(fv_xml_cx *cx, fv_xml_slice s, const char *err, size_t at);
bool fv_xml_no_dots(fv_xml_cx *cx, fv_xml_slice s);                       // reports a '.'
bool fv_xml_is_defined(fv_xml_cx *cx, fv_xml_slice s, const fv_expr *e);  // reports 4/0
bool fv_xml_int(fv_xml_cx *cx, fv_xml_slice s, int64_t *out);             // must be a plain integer
// Text with {holes}; NULL: reported or poisoned.
const fv_xml_text *fv_xml_interpolate(fv_xml_cx *cx, fv_xml_slice s);
// As plain text; holes that depend on a counter are a fault.
const char *fv_xml_plain(fv_xml_cx *cx, fv_xml_slice s);
bool fv_xml_type(fv_xml_cx *cx, const fv_xml_attr *a, fv_dtype *out);
bool fv_xml_dims(fv_xml_cx *cx, const fv_xml_attr *a, int *rank, const fv_expr **dim);
bool fv_xml_bool(fv_xml_cx *cx, const fv_xml_attr *a, bool dflt, bool *out);
// Declared types: type= and shape=, bounded.
bool fv_xml_declared(fv_xml_cx *cx, const fv_xml_elem *e, fv_type *out);
// Number literals: "2", "1.5", "false".
bool fv_xml_is_literal(const char *s);
// The type of a literal whose place does not say one: bool, i64 if it is written as an integer, or
// f32.
fv_dtype fv_xml_literal_type(const char *s);

//===-- Values (value.c) --------------------------------------------------===//

// Between which numbers an expression lies, with what the graph requires so far.
fv_range fv_xml_range(fv_xml_cx *cx, const fv_expr *e);
// A literal as a constant of type t; s is where it stands.
fv_value *fv_xml_literal_value(fv_xml_cx *cx, fv_xml_slice s, const char *text, fv_dtype t);
// A constant in the current region: one node for the same members and the same
// expression (NULL: 0) that picks one.
fv_value *fv_xml_constant(fv_xml_cx *cx, const fv_tensor **data, int n, const fv_expr *member);
fv_value *fv_xml_constant_of(fv_xml_cx *cx, const fv_tensor *tensor);
// A node of the current region, inferred and placed; NULL: reported.
fv_node *fv_xml_node(fv_xml_cx *cx, fv_op op, int n_in, fv_value *const *in);
fv_node *fv_xml_place_node(fv_xml_cx *cx, fv_node *n);  // after its attributes were set
fv_value *fv_xml_op1(fv_xml_cx *cx, fv_node *n);        // result 0 of a placed node, or NULL

// Binds a name of the current scope; a fault if it is bound already.
void fv_xml_bind(fv_xml_cx *cx, const fv_xml_attr *a, size_t at, const char *name, fv_xml_kind kind,
                 const void *what);
void fv_xml_bind_value(fv_xml_cx *cx, fv_xml_slice name, fv_value *v);  // NULL: poison
const char *fv_xml_unique(fv_xml_cx *cx, const char *name);             // for names in the IR
void fv_xml_poison_out(fv_xml_cx *cx, const fv_xml_elem *e);
// Are these dims equal? What is not proved becomes a condition where the model allows it: YES.
fv_truth fv_xml_need_equal(fv_xml_cx *cx, const fv_expr *a, const fv_expr *b, const char *what,
                           const fv_span *at);
// Hold type=, shape= or both of e against v.
void fv_xml_assert_dtype(fv_xml_cx *cx, const fv_xml_elem *e, const fv_value *v);
void fv_xml_assert_shape(fv_xml_cx *cx, const fv_xml_elem *e, const fv_value *v);
void fv_xml_assert_type(fv_xml_cx *cx, const fv_xml_elem *e, const fv_value *v);

const fv_tensor *fv_xml_const_tensor(fv_xml_cx *cx, const fv_xml_elem *e);
uint32_t fv_xml_counter(fv_xml_cx *cx, const fv_xml_elem *e, const char *name, int64_t max,
                        fv_symbol_kind kind);

//===-- Operands (operand.c, weightref.c) ---------------------------------===//

// Resolves one operand: a name, @weight or literal (of type `like`). NULL:
// reported or poisoned.
fv_value *fv_xml_operand(fv_xml_cx *cx, fv_xml_slice s, const fv_dtype *like);
// Is it a literal, or a block's argument that is one? Then its text.
const char *fv_xml_literal(fv_xml_cx *cx, fv_xml_slice s);
fv_value *fv_xml_weight(fv_xml_cx *cx, fv_xml_slice s);  // "@name | ..."

//===-- Elements ----------------------------------------------------------===//

enum {  // where an element may stand
  FV_XML_ROOT = 1,
  FV_XML_MODEL = 2,
  FV_XML_GRAPH = 4,
  FV_XML_BLOCK = 8,
  FV_XML_BODY = 16,  // of a repeat, scan or loop
  FV_XML_IF = 32,    // between the arms
  FV_XML_ARM = 64,   // in a then or else
  FV_XML_CODE = FV_XML_GRAPH | FV_XML_BLOCK | FV_XML_BODY | FV_XML_ARM,
};

typedef struct fv_xml_keyword {
  const char *name;
  unsigned where;
  const char *attrs;  // names with blanks between; "!" after a required one, "*" any
  bool text;          // has text content
  unsigned holds;     // what kind of parent its children have, 0 = no children
  void (*run)(fv_xml_cx *cx, const fv_xml_elem *e);  // NULL: not run in a frame
  const char *doc;
} fv_xml_keyword;

extern const fv_xml_keyword fv_xml_keywords[];
extern const int fv_xml_n_keywords;
const fv_xml_keyword *fv_xml_keyword_find(const char *name);

// Names, attributes and places of all elements, before anything runs.
void fv_xml_check(fv_xml_cx *cx);
bool fv_xml_one_graph(const fv_xml_file *f);  // no <graph>: ops stand under <model>

void fv_xml_push(fv_xml_cx *cx, fv_xml_frame f);  // frame.c
void fv_xml_run_op(fv_xml_cx *cx, const fv_xml_elem *e);

void fv_xml_run_let(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_dim(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_const(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_require(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_weights(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_weight(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_state(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_input(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_output(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_call(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_finish_call(fv_xml_cx *cx, fv_xml_frame *f);
void fv_xml_run_loop(fv_xml_cx *cx, const fv_xml_elem *e);  // repeat, scan, loop
void fv_xml_run_each(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_carry(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_next(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_collect(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_finish_loop(fv_xml_cx *cx, fv_xml_frame *f);
void fv_xml_run_if(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_arm(fv_xml_cx *cx, const fv_xml_elem *e);  // then, else
void fv_xml_finish_arm(fv_xml_cx *cx, fv_xml_frame *f);
void fv_xml_finish_if(fv_xml_cx *cx, fv_xml_frame *f);
void fv_xml_run_item(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_read(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_write(fv_xml_cx *cx, const fv_xml_elem *e);
void fv_xml_run_append(fv_xml_cx *cx, const fv_xml_elem *e);
// At the end of a loop: the rows that are appended in it are as many in each step.
bool fv_xml_check_rows(fv_xml_cx *cx, const fv_xml_loop *l);
// At the end of a graph: a length that it advances grows in all states that have it.
void fv_xml_check_growth(fv_xml_cx *cx);

#endif  // FOVEA_FRONTEND_XML_BUILD_H_
