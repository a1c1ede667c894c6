// SPDX-License-Identifier: Apache-2.0
// ir/kernel/kernel_build.h - the builder as the kernel_*.c files of this room share it.
#ifndef FOVEA_IR_KERNEL_KERNEL_BUILD_H_
#define FOVEA_IR_KERNEL_KERNEL_BUILD_H_

#include "ir/kernel/kernel.h"

// Marks in fv_kinst.reserved2 while a kernel is built; 0 in a finished one.
enum {
  KB_ENTRY = 1,  // constant, parameter, block: moves to the kernel's entry, so it dominates all
  KB_DEAD = 2,   // in a branch that is never taken, or unused
};

// Equal instructions that are in sight. Entries form a stack: leaving a scope
// takes its entries off. Buckets chain through `next`.
typedef struct kb_table {
  struct kb_known {
    fv_kinst key;  // stamped, see kb_find
    fv_kv value;
    uint32_t next;  // 1 + entry, 0 = end
    uint32_t hash;
  } * known;
  size_t n, cap;
  uint32_t *head;  // 1 + entry
  size_t n_head;
} kb_table;

typedef enum kb_scope_kind { KB_FOR, KB_IF, KB_ELSE } kb_scope_kind;
typedef struct kb_scope {
  kb_scope_kind kind;
  int8_t taken;  // 1: inline, no instruction stands for it; 0: never run; -1: run time decides
  size_t start;  // instructions before it
  size_t known;  // entries of the table before it
  uint32_t outer_epoch;  // loop epoch outside
} kb_scope;

typedef struct kb_buffer {
  fv_kbuffer code;
  const fv_expr *elements;  // GROUP
  uint32_t epoch;           // of its last store
  bool used;
} kb_buffer;

struct fv_kb {
  fv_arena *arena;
  fv_xpool *pool;
  const char *family;
  fv_kinst *inst;
  size_t n, cap;
  uint32_t *var_epoch;  // per instruction; of VARs: the last SET
  size_t n_epoch, cap_epoch;
  uint32_t clock, loop_epoch;
  kb_table entry, body;
  kb_scope *scope;
  size_t n_scope, cap_scope;
  kb_buffer *buffer;
  size_t n_buffer, cap_buffer;
  const fv_expr **scalar;
  size_t n_scalar, cap_scalar;
  struct fv_ksite *site;
  size_t n_site, cap_site;
  uint32_t n_item;
};

//===-- kernel_build.c ------------------------------------------------------===//

static inline const fv_kinst *kb_at(const fv_kb *kb, fv_kv v) {
  return &kb->inst[v];
}
fv_kinst fv__kb_make(fv_kop op, fv_dtype t, int lanes);  // operands absent
fv_kv fv__kb_pure(fv_kb *kb, const fv_kinst *in);        // makes it once
fv_kv fv__kb_const(fv_kb *kb, fv_dtype t, int lanes, fv_scalar v);
int fv__kb_scalar(fv_kb *kb, const fv_expr *e);  // number of the i64 parameter
bool fv__kb_const_f(const fv_kb *kb, fv_kv v, double *out);

//===-- kernel_fold.c -------------------------------------------------------===//

// The scalar that v repeats in every lane, FV_K_NONE if its lanes may differ.
fv_kv fv__kb_unsplat(fv_kb *kb, fv_kv v);

// One primitive as every executor of ours computes it: floats in double,
// rounded once to the result type. t: of the operands, `to`: of the result.
fv_scalar fv__k_eval(fv_scalar_op op, fv_dtype t, fv_dtype to, const fv_scalar v[3]);
int64_t fv__k_wrap(fv_dtype t, int64_t v);  // v as an integer of type t
fv_dtype fv__k_result(fv_scalar_op op, fv_dtype t);
bool fv__k_has_buffer(fv_kop op);

//===-- kernel_finish.c -----------------------------------------------------===//

uint8_t *fv__kb_live(fv_kb *kb);     // per instruction: 1 = something needs it
fv_kb *fv__kb_successor(fv_kb *kb);  // the same buffers and parameters, no instructions
// Builds instruction `in` again with other operands.
fv_kv fv__kb_replay(fv_kb *kb, const fv_kinst *in, fv_kv a, fv_kv b, fv_kv c);

//===-- kernel_math.c -------------------------------------------------------===//

bool fv__k_is_math(const fv_kinst *in);  // an OP that is to be expanded
fv_kv fv__kb_math(fv_kb *kb, fv_scalar_op op, fv_kv a, fv_kv b);

//===-- kernel_verify.c -----------------------------------------------------===//

// The first broken rule as a static sentence with the number of the
// instruction, NULL if there is none. *oom is set when memory ran out.
const char *fv__k_fault(const fv_kernel_code *k, uint32_t *at, bool *oom);

#endif  // FOVEA_IR_KERNEL_KERNEL_BUILD_H_
