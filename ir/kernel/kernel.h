// SPDX-License-Identifier: Apache-2.0
// ir/kernel/kernel.h - building, verifying, printing and interpreting kernel IR.
#ifndef FOVEA_IR_KERNEL_KERNEL_H_
#define FOVEA_IR_KERNEL_KERNEL_H_

#include "base/diag.h"
#include "fovea/kernel.h"
#include "ir/expr/expr.h"

typedef uint32_t fv_kv;  // a value: number of an instruction, or FV_K_NONE

// A finished kernel with what the host must know to launch it.
typedef struct fv_kernel {
  fv_kernel_code code;
  const char *family;            // "contraction", for people
  const fv_expr *grid;           // blocks, i64 over symbols
  const fv_expr **scalar;        // what each i64 parameter is, over symbols
  const fv_expr *scratch_bytes;  // per worker; NULL = none
  struct fv_ksite {
    const char *text;  // "index out of range"
    const fv_span *span;
  } * site;
  uint32_t n_site;
  uint32_t number;  // of its code among the kernels of a program
} fv_kernel;

// Kernel builder. Appends instructions; folds constants; equal pure
// instructions in the same straight-line piece are made once.
typedef struct fv_kb fv_kb;

fv_kb *fv_kb_create(fv_arena *ar, fv_xpool *pool, const char *family);
int fv_kb_buffer(fv_kb *kb, fv_dtype storage, bool written);  // global, in launch order
// Group scratch of `elements` (an expression over symbols, or a literal).
int fv_kb_scratch(fv_kb *kb, fv_dtype t, const fv_expr *elements);
fv_dtype fv_kb_buffer_dtype(const fv_kb *kb, int buf);
void fv_kb_set_aliases(fv_kb *kb, int buf);

fv_kv fv_kb_const_i(fv_kb *kb, fv_dtype t, int lanes, int64_t v);
fv_kv fv_kb_const_f(fv_kb *kb, fv_dtype t, int lanes, double v);
fv_kv fv_kb_i64(fv_kb *kb, int64_t v);
fv_kv fv_kb_block(fv_kb *kb);
// An i64 expression over symbols alone: a literal, or a scalar parameter that
// the host computes.
fv_kv fv_kb_host(fv_kb *kb, const fv_expr *e);
fv_kv fv_kb_op(fv_kb *kb, fv_scalar_op op, fv_kv a, fv_kv b, fv_kv c);  // splats scalars as needed
fv_kv fv_kb_add(fv_kb *kb, fv_kv a, fv_kv b);
fv_kv fv_kb_sub(fv_kb *kb, fv_kv a, fv_kv b);
fv_kv fv_kb_mul(fv_kb *kb, fv_kv a, fv_kv b);
fv_kv fv_kb_mad(fv_kb *kb, fv_kv a, fv_kv b, fv_kv c);
fv_kv fv_kb_cast(fv_kb *kb, fv_dtype t, fv_kv a);  // identity when equal
fv_kv fv_kb_bitcast(fv_kb *kb, fv_dtype t, fv_kv a);
fv_kv fv_kb_splat(fv_kb *kb, fv_kv a, int lanes);  // identity when equal
fv_kv fv_kb_ramp(fv_kb *kb, fv_kv a, int64_t step, int lanes);
fv_kv fv_kb_load(fv_kb *kb, int buf, fv_kv offset, int lanes, fv_kv count);
fv_kv fv_kb_gather(fv_kb *kb, int buf, fv_kv offsets, fv_kv mask);
void fv_kb_store(fv_kb *kb, int buf, fv_kv offset, fv_kv value, fv_kv count);
void fv_kb_scatter(fv_kb *kb, int buf, fv_kv offsets, fv_kv value, fv_kv mask);
fv_kv fv_kb_reduce(fv_kb *kb, fv_scalar_op op, fv_kv a);
fv_kv fv_kb_extract(fv_kb *kb, fv_kv a, int lane);
fv_kv fv_kb_var(fv_kb *kb, fv_kv init);
fv_kv fv_kb_get(fv_kb *kb, fv_kv var);
void fv_kb_set(fv_kb *kb, fv_kv var, fv_kv value);
fv_kv fv_kb_for(fv_kb *kb, fv_kv lo, fv_kv hi, int64_t step);  // the index; close with end
void fv_kb_if(fv_kb *kb, fv_kv cond);
void fv_kb_else(fv_kb *kb);
void fv_kb_end(fv_kb *kb);
void fv_kb_check(fv_kb *kb, fv_kv cond, const char *text, const fv_span *span);
void fv_kb_prefetch(fv_kb *kb, int buf, fv_kv offset);  // a hint; any offset
// Comes to all work-items of a block or to none: what it stands in must be the same in all.
void fv_kb_barrier(fv_kb *kb);

// Work-items: the code is run by n of them in each block, which differ in fv_kb_item, an i64
// from 0 to n - 1. n is 1 unless it is set, before anything is built.
void fv_kb_set_items(fv_kb *kb, uint32_t n);
uint32_t fv_kb_items(const fv_kb *kb);
fv_kv fv_kb_item(fv_kb *kb);
// kernel_items.c: the same work by one work-item, for targets that have no groups.
fv_kb *fv_kb_item_loops(fv_kb *kb);

fv_dtype fv_kb_dtype(const fv_kb *kb, fv_kv v);
int fv_kb_lanes(const fv_kb *kb, fv_kv v);
bool fv_kb_const_value(const fv_kb *kb, fv_kv v, int64_t *out);  // integer constant?

// Transcendental primitives (EXP LOG SIN COS TANH ERF POW, float MOD) stay OP
// instructions while a kernel is built; this rewrites them to arithmetic, in
// place, so that every code generator computes the same polynomials
// (ir/kernel/kernel_math.c has bounds and sources). fv_kb_finish calls it.
fv_kernel *fv_kb_finish(fv_kb *kb, const char *name, const fv_expr *grid);

// Types, scopes, structure. For plugins' input and after every construction.
FV_NODISCARD fv_status fv_kernel_verify(const fv_kernel_code *k, fv_diag_sink *diag);
void fv_kernel_print(const fv_kernel_code *k, fv_str *out);  // --emit=kernel
uint64_t fv_kernel_hash(const fv_kernel_code *k);            // of the code, not of the name
bool fv_kernel_code_eq(const fv_kernel_code *a, const fv_kernel_code *b);  // but for the name
// Interprets blocks [begin, end): same contract as fv_cpu_kernel_fn. Floats are
// computed in double and rounded to dtype once per instruction.
int32_t fv_kernel_interpret(const fv_kernel_code *k, fv_arena *ar, void *const *buf,
                            const int64_t *scalar, void *scratch, int64_t begin, int64_t end);

// The same in memory whose bounds are known: FV_K_OUTSIDE at the first access
// outside of a buffer, which is not made. Work-items: FV_K_RACE where one reads or writes an
// element that another wrote, or writes what another read, with no barrier between;
// FV_K_APART where not all come to one barrier.
enum { FV_K_OUTSIDE = -1, FV_K_RACE = -2, FV_K_APART = -3 };
typedef struct fv_kmemory {
  void *const *buf;
  const int64_t *bytes;  // of each global buffer, NULL: unknown
  void *scratch;
  int64_t scratch_bytes;
} fv_kmemory;
int32_t fv_kernel_interpret_in(const fv_kernel_code *k, fv_arena *ar, const fv_kmemory *memory,
                               const int64_t *scalar, int64_t begin, int64_t end);

const char *fv_kop_name(fv_kop op);

#endif  // FOVEA_IR_KERNEL_KERNEL_H_
