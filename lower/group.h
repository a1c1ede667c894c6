// SPDX-License-Identifier: Apache-2.0
// lower/group.h - groups of nodes, schedule families, and the state of a lowering.
#ifndef FOVEA_LOWER_GROUP_H_
#define FOVEA_LOWER_GROUP_H_

#include "base/index.h"
#include "ir/graph/uses.h"
#include "ir/sem/sem.h"
#include "lower/lower.h"

// Why something is not so: static text, or NULL if it is so.
typedef const char *lw_why;

typedef struct lw lw;
typedef struct lw_family lw_family;

//===-- Groups ----------------------------------------------------------===//

// The nodes that one kernel computes. The root's result gets a buffer; the other members are
// virtual: computed where they are used. Of these a kernel also writes what is stored
// (lw.stored): values that it makes anyway and that others want, too.
typedef struct lw_group {
  fv_node *root;
  fv_node *anchor;  // of a family with an epilogue: the product; else NULL
  const lw_family *family;
  bool reduces;     // some member is more than a map
  uint32_t size;    // members
  uint32_t number;  // 1 + its index among the groups of the entry, once it is recorded
} lw_group;

// Of values that each user computes again, since it is only movement.
extern const lw_group lw_rematerialised;

// Why a family does not match a node that is not of its kind at all.
extern const char lw_other_kind[];

// What one kernel may hold. What is beyond goes through memory.
enum {
  LW_MAX_MEMBERS = 40,
  LW_MAX_DEPTH = 32,      // virtual values behind each other: composing is recursive in them
  LW_MAX_ELEMENTS = 512,  // elements of virtual values: a value read at n indices is n of them
  LW_MAX_BUFFERS = 24,
};

//===-- Schedule families -----------------------------------------------===//

// A family makes the kernels of groups of one kind: one file, and one row of
// FV_FAMILY_TABLE. NULL members: it does no such thing.
struct lw_family {
  const char *name;
  // Can n, whose definition is not inlined yet, be the anchor or root of a group? NULL, or why
  // not: lw_other_kind if it is nothing like what the family computes.
  lw_why (*match)(lw *l, const fv_node *n);
  // g is of this family: may map n, used by g alone, be computed in its kernel?
  lw_why (*takes)(lw *l, const lw_group *g, const fv_node *n);
  lw_why takes_nothing;  // without `takes`, or of what is no map: the reason
  // May a node of this family be computed in g, which is then of this family?
  lw_why (*leads)(lw *l, const lw_group *g);
  lw_why alone;  // of nests without `leads`: why such a node has a kernel of its own
  // Does the kernel of n read operand i through composed expressions, whatever its layout
  // and the movement before it? Else it reads a buffer as it lies.
  bool (*composes)(lw *l, const fv_node *n, int operand);
  // The axis of the result that the kernel would like to store in blocks, or -1.
  int (*blocked_axis)(lw *l, const lw_group *g);
  fv_status (*emit)(lw *l, const lw_group *g);
  bool has_epilogue;  // maps behind its anchor are computed with it
  bool maps_only;     // what joins its groups are maps
  bool stores;        // its kernel can write each reduction that it makes
  bool in_place;      // it writes into the buffer of operand 0
  bool emits_twice;   // its kernels read all they read through expressions: see lower/variant.h
};

#define X(name, doc) extern const lw_family lw_family_##name;
FV_FAMILY_TABLE(X)
#undef X

// The first family of the table that n matches; NULL: its definition is to be inlined.
const lw_family *lw_family_of(lw *l, const fv_node *n);
const lw_family *lw_family_find(const char *name);  // NULL: there is none

//===-- The state of a lowering -----------------------------------------===//

struct lw {
  fv_lowered *out;
  fv_module *module;
  fv_xpool *pool;
  fv_arena *arena;
  const fv_target *target;
  fv_diag_sink *diag;
  // For the graph at hand, by value id, of the node that defines it:
  uint32_t n_value;
  lw_group **group;          // NULL for parameters and built-ins, or &lw_rematerialised
  lw_why *why;               // of a root: why it is not computed within its users
  lw_group **behind;         // of movement: the kernel of a row that alone uses it, or NULL
  bool *stored;              // its kernel, of which it is not the root, writes it
  uint32_t *position;        // of the node in the walk of the graph
  uint32_t *depth;           // virtual values between it and the root, itself included
  const lw_family **family;  // what lw_family_of found so far
  fv_uses uses;
  uint32_t *state_uses;  // by state: uses of all reads of it in the graph
  fv_layout *layout;     // of the value's buffer
  uint32_t *buffer;      // buffer of the entry, or FV_NO_SLOT
  fv_lentry *entry;
  struct lw_packed *packed;  // copies of values in other layouts
  size_t n_packed, cap_packed;
  fv_index packed_index;
  fv_index constants, kernels;  // those of `out`
  fv_region *region;            // being lowered
  // lower/variant.c: by symbol below n_common what a dim is in the common case, or NULL; which of
  // them were replaced; by value id, the walk that saw it.
  const fv_expr **common;
  uint32_t n_common;
  bool *assumed;
  uint32_t *assumption;
  size_t n_assumption, cap_assumption;
  uint32_t *seen, walk;
  struct lw_variant *variant;  // being emitted
};

// expand.c: inlines definitions, but for nodes that a family takes whole; drops dead nodes.
FV_NODISCARD fv_status lw_expand(lw *l, fv_graph *g, fv_value **copy);
// group.c: fills l->group for the whole graph.
FV_NODISCARD fv_status lw_group_graph(lw *l, fv_graph *g);
// layout.c: fills l->layout: which values are stored with their channels in blocks.
void lw_choose_layouts(lw *l, fv_graph *g);
// report.c: what the groups of the graph are, and whether they are what `expect` says.
void lw_record_groups(lw *l, fv_graph *g);
FV_NODISCARD fv_status lw_test_expect(lw *l, fv_graph *g);

//===-- For families: what may join -------------------------------------===//

bool lw_is_nest(const fv_node *n, fv_nest_form form);
static inline bool lw_is_map(const fv_node *n) {
  return lw_is_nest(n, FV_NEST_MAP);
}
// Computed where the kernel of g uses it. What g stores is virtual in g alone.
bool lw_is_virtual(const lw *l, const lw_group *g, const fv_value *v);
bool lw_is_written(const lw *l, const fv_value *v);  // a kernel writes its buffer
// Would users of n that run over other points compute it again and again, at a cost?
lw_why lw_repeats_work(lw *l, const fv_node *n);
// Of families: `takes`, where only that counts, and `composes`, where all operands are.
lw_why lw_takes_once(lw *l, const lw_group *g, const fv_node *n);
bool lw_composes_all(lw *l, const fv_node *n, int operand);
// Is n behind an anchor that takes it as its epilogue?
bool lw_is_epilogue(lw *l, const fv_node *n);
bool lw_use_composes(lw *l, const fv_use *u);

#endif  // FOVEA_LOWER_GROUP_H_
