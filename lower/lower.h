// SPDX-License-Identifier: Apache-2.0
// lower/lower.h - graph IR to kernel IR and a host program, for a target.
//
// The way: expand (definitions are inlined, but for the nodes that a schedule
// family takes whole) -> group (which values are computed inside a consumer,
// which get a buffer) -> one kernel a group, made by the group's schedule
// family -> a host program per graph with buffers and their lifetimes.
// A schedule sees the group and the target description, never a backend name.
#ifndef FOVEA_LOWER_LOWER_H_
#define FOVEA_LOWER_LOWER_H_

#include "fovea/program.h"
#include "ir/graph/graph.h"
#include "ir/kernel/kernel.h"

// A constant of the program: a family of tensors in one layout and type.
typedef struct fv_lconst {
  const fv_tensor **member;
  int n_member;
  fv_type type;     // static dims; logical axes are those of the tensors
  uint64_t offset;  // in the constants, bytes, multiple of 64
  uint64_t stride;  // between members, bytes
} fv_lconst;

// A buffer of a host program; mirrors fv_prog_buffer with expressions.
typedef struct fv_lbuffer {
  fv_space space;
  fv_dtype dtype;
  uint32_t index;
  uint64_t offset;
  const fv_expr *bytes;   // ARENA
  const fv_expr *stride;  // optional: bytes added to the address
  uint32_t first, last;
  const char *name;     // of a value it holds, for people
  const fv_span *span;  // of that value, or NULL
} fv_lbuffer;

// A host instruction with expressions; mirrors fv_hinst.
typedef struct fv_linst {
  fv_hop op;
  const fv_kernel *kernel;  // LAUNCH
  uint32_t *buffer;         // LAUNCH: kernel->code.n_global of them
  uint32_t a, b;            // buffers (COPY, ZERO, SWAP, READ: a)
  const fv_expr *x;         // COPY, ZERO: bytes; LOOP: trips; CHECK, IF: condition (0 or 1);
                            // SCALAR: the value; READ: the largest
  uint32_t symbol, result;  // LOOP: counter, symbol that must not be 0 (or FV_NO_SLOT); END_LOOP:
                            // result, of the trips made (or FV_NO_SLOT); READ, SCALAR: symbol
  uint32_t match;           // LOOP: its END_LOOP; END_LOOP: its LOOP; IF: where to skip to
  uint32_t number;          // REQUIRE: which of the graph's nodes `require`
  const char *text;         // CHECK, READ
  const char
      *range;  // READ: behind the value in its message, see fv_defined; NULL: it is not shown
  const fv_span *span;
} fv_linst;

// The nodes that one kernel computes, in program order.
typedef struct fv_lgroup {
  const char *family;    // of FV_FAMILY_TABLE
  const fv_node **node;  // the last one's result is what it writes
  size_t n_node, cap_node;
  const char *apart;       // why that is not computed within the kernel of its users, or NULL
  const fv_node **stored;  // others whose results it writes, too
  size_t n_stored, cap_stored;
} fv_lgroup;

// A symbol that the run sets, and between which values it may lie: expressions of
// symbols that are known at bind and of those that stand before it in the list.
typedef struct fv_lrange {
  uint32_t symbol;
  const fv_expr *lo, *hi;
} fv_lrange;

typedef struct fv_lentry {
  const fv_graph *graph;
  fv_lbuffer *buffer;
  size_t n_buffer, cap_buffer;
  fv_linst *inst;
  size_t n_inst, cap_inst;
  fv_lgroup *group;  // in program order; a loop's are there once
  size_t n_group, cap_group;
  fv_lrange *range;
  size_t n_range, cap_range;
  uint32_t n_required;
  size_t *range_of;  // by symbol below n_symbol: 1 + its range; 0 = the run does not set it
  size_t n_symbol, cap_symbol;
} fv_lentry;

// Fills e->range with what the nodes of g define.
void fv_lower_ranges(fv_arena *ar, fv_lentry *e, const fv_graph *g);
// The largest value of x (a dim or size), known at bind: symbols that the run sets are
// replaced by the ends of their ranges.
const fv_expr *fv_lower_bound(fv_xpool *p, const fv_lentry *e, const fv_expr *x);

typedef struct fv_lowered {
  fv_module *module;
  fv_kernel **kernel;  // no two with equal code
  size_t n_kernel, cap_kernel;
  fv_lconst *constant;
  size_t n_constant, cap_constant;
  uint64_t const_bytes;
  fv_lentry *entry;
  size_t n_entry;
  bool *state_doubled;  // per state: written as a whole, so double-buffered
} fv_lowered;

// Lowers a verified module, which stays as it is (its pool may get symbols): *out is of a
// copy in which definitions are inlined. groups_only: no kernels and no host programs are made.
FV_NODISCARD fv_status fv_lower(const fv_module *m, const fv_target *target, bool groups_only,
                                fv_diag_sink *diag, fv_lowered **out);

// Gives the constants in their layouts, const_bytes in all, piece by piece to put(user, ...), which
// may stop it. What a piece was made of is not kept in memory.
FV_NODISCARD fv_status fv_lower_write_constants(const fv_lowered *l, fv_diag_sink *diag,
                                                fv_status (*put)(void *user, const void *data,
                                                                 size_t size),
                                                void *user);

#endif  // FOVEA_LOWER_LOWER_H_
