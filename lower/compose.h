// SPDX-License-Identifier: Apache-2.0
// lower/compose.h - kernels under construction, and the expressions they compute.
#ifndef FOVEA_LOWER_COMPOSE_H_
#define FOVEA_LOWER_COMPOSE_H_

#include "ir/kernel/kernel.h"
#include "lower/group.h"

// An operand of the kernel: a value in a buffer, in some layout.
typedef struct lw_operand {
  const fv_value *value;
  fv_type type;
  int kbuf;         // number in the kernel
  uint32_t buffer;  // of the entry
} lw_operand;

// Expressions of a kernel. LOAD ref: the number of an operand, whose element at the flat
// offset arg[0] it is; LW_UNPROVED in it if only the conditions around keep that in range.
// LW_REDUCTION + r is reduction r of the kernel at row indices arg[..]; LW_BOUND is a value
// that the schedule holds in a register (the accumulated contraction).
enum { LW_REDUCTION = 1 << 28, LW_BOUND = 1 << 29, LW_UNPROVED = 1 << 30 };
static inline bool lw_is_operand(const fv_expr *load) {
  return !(load->ref & (LW_REDUCTION | LW_BOUND));
}
static inline uint32_t lw_operand_number(const fv_expr *load) {
  return load->ref & ~(uint32_t)LW_UNPROVED;
}
static inline uint32_t lw_reduction_number(const fv_expr *load) {
  return load->ref & ~(uint32_t)LW_REDUCTION;
}

typedef struct lw_kernel {
  lw *l;
  fv_kb *kb;
  const lw_group *group;
  lw_operand *operand;
  size_t n_operand, cap_operand;
  const fv_node **reduction;
  size_t n_reduction, cap_reduction;
  const fv_node *bound;    // whose value is LW_BOUND
  const fv_expr **extent;  // of the indices handed out by lw_new_index
  size_t n_index, cap_index;
  struct lw_element *element;  // elements of virtual values composed so far
  size_t n_element, cap_element;
  fv_index elements;
  const fv_value *out;        // what it writes
  int out_kbuf;               // its buffer
  int parts[FV_DTYPE_COUNT];  // scratch that its reductions share, by type; 0 = none yet
  const fv_span *span;
  fv_type out_type;
} lw_kernel;

// A kernel with a builder, or (dry) only for looking at expressions.
void lw_kernel_begin(lw_kernel *k, lw *l, const lw_group *g, bool dry);
// A kernel that writes `out` in the given buffer and type.
void lw_kernel_begin_to(lw_kernel *k, lw *l, const lw_group *g, const fv_value *out,
                        uint32_t buffer, const fv_type *t);
const fv_expr *lw_new_index(lw_kernel *k, const fv_expr *extent);
bool lw_stores(const lw_kernel *k, const fv_value *v);  // of a member: is it written, too?
int lw_operand_of(lw_kernel *k, const fv_value *v, uint32_t buffer, const fv_type *t);
// The element of an operand at logical indices.
const fv_expr *lw_load(lw_kernel *k, int operand, const fv_expr *const *index);
int lw_reduction_of(lw_kernel *k, const fv_node *n);
// The element of v at logical indices, as an expression of operands.
const fv_expr *lw_at(lw_kernel *k, const fv_value *v, const fv_expr *const *index);
// An expression x of node n's nest at the given parallel and reduced indices.
const fv_expr *lw_inline(lw_kernel *k, const fv_node *n, const fv_expr *x,
                         const fv_expr *const *index);
// The same, where `acc` is the load of FV_NEST_ACC in x.
const fv_expr *lw_inline_over(lw_kernel *k, const fv_node *n, const fv_expr *x,
                              const fv_expr *const *index, const fv_expr *acc);
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
// Is e a linear function of the index? Then *out_step is what it grows by with each step.
bool lw_step(lw *l, const fv_expr *e, uint32_t index, int64_t *out_step);
const fv_expr *lw_subst(lw *l, const fv_expr *e, uint32_t index, const fv_expr *by);

#endif  // FOVEA_LOWER_COMPOSE_H_
