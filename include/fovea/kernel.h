// SPDX-License-Identifier: Apache-2.0
// fovea/kernel.h - kernel IR: the language that code generators print.
//
// A kernel is the work of one block of a one-dimensional grid: a task on a CPU,
// a work-group on a GPU, there of n_item work-items that all run the code and
// share its group-scope buffers. It is a flat array of fixed-size instructions; a value
// is the number of the instruction that made it. Vectors have a constant number
// of lanes. What a schedule unrolls is unrolled when the kernel is built, so a
// register tile is a set of VARs and a printer emits plain SSA or C variables.
// This header is all that a code generator needs to read kernels; it is part of
// the plugin ABI: enumerators are appended, structs carry their size.
#ifndef FOVEA_KERNEL_H_
#define FOVEA_KERNEL_H_

#include <stdint.h>

#include "fovea/dtype.h"
#include "fovea/scalar.h"

// X(id, text name)
//   dtype, lanes   of the result (of the value, for stores and VAR)
//   a b c          instruction numbers, FV_K_NONE = absent
#define FV_KOP_TABLE(X)                                                                            \
  X(CONST, "const")       /* imm.i for integers and bool, imm.f for floats; splat over lanes */    \
  X(SCALAR, "scalar")     /* i64 parameter number imm.i */                                         \
  X(BLOCK, "block")       /* i64 index of this block in the grid */                                \
  X(OP, "op")             /* primitive xop of a, b, c (equal lanes); not CAST, BITCAST */          \
  X(CAST, "cast")         /* a to dtype; out of range saturates, NaN to integer is 0 */            \
  X(BITCAST, "bitcast")   /* a to dtype of the same size */                                        \
  X(SPLAT, "splat")       /* scalar a to all lanes */                                              \
  X(RAMP, "ramp")         /* i64: scalar a + lane * imm.i */                                       \
  X(LOAD, "load")         /* lanes elements of buffer `buf` from element offset a (i64); with b    \
                             (i64): only the first b lanes are read, the rest is 0 */              \
  X(GATHER, "gather")     /* buffer `buf` at element offsets a (i64 x lanes); with b (bool x       \
                             lanes): only where true, else 0 */                                    \
  X(STORE, "store")       /* b to buffer `buf` at element offset a; with c (i64): first c lanes */ \
  X(SCATTER, "scatter")   /* b at element offsets a (i64 x lanes), with c (bool x lanes) */        \
  X(PREFETCH, "prefetch") /* a hint: the line of buffer `buf` at element offset a will be read;    \
                           the offset may lie outside the buffer */                                \
  X(REDUCE, "reduce")     /* lanes of a to a scalar by xop (ADD MUL MAX MIN AND OR), as a          \
                             halving tree: lane i with lane i + n/2, and so on */                  \
  X(EXTRACT, "extract")   /* scalar: lane imm.i of a */                                            \
  X(VAR, "var")           /* a mutable register with initial value a */                            \
  X(GET, "get")           /* the current value of VAR a */                                         \
  X(SET, "set")           /* VAR a becomes b */                                                    \
  X(FOR, "for")           /* i64 index from a while < b, by imm.i > 0; the body ends at END */     \
  X(IF, "if")             /* bool scalar a */                                                      \
  X(ELSE, "else")                                                                                  \
  X(END, "end")                                                                                    \
  X(CHECK, "check")     /* bool scalar a must hold, else the run fails at site imm.i */            \
  X(BARRIER, "barrier") /* all of the group have written their group-scope stores */               \
  X(ITEM, "item")       /* i64 index of this work-item in its block, below n_item */

typedef enum fv_kop {
#define X(id, name) FV_K_##id,
  FV_KOP_TABLE(X)
#undef X
      FV_K_COUNT
} fv_kop;

#define FV_K_NONE 0xffffffffu

typedef struct fv_kinst {
  uint8_t op;      // fv_kop
  uint8_t xop;     // fv_scalar_op, for OP and REDUCE
  uint8_t dtype;   // fv_dtype
  uint8_t buf;     // for LOAD GATHER STORE SCATTER PREFETCH
  uint16_t lanes;  // 1 = scalar
  uint16_t reserved;
  uint32_t a, b, c;
  uint32_t reserved2;
  union {
    int64_t i;
    double f;
  } imm;
} fv_kinst;

typedef enum fv_kscope {
  FV_SCOPE_GLOBAL,  // an argument of the launch
  FV_SCOPE_GROUP,   // scratch of the worker (CPU) or local memory (GPU); undefined at start
} fv_kscope;

typedef struct fv_kbuffer {
  uint8_t dtype;    // storage type of its elements
  uint8_t scope;    // fv_kscope
  uint8_t written;  // 1: the kernel stores to it
  uint8_t aliases;  // 1: may overlap another buffer of the launch (in-place); else it does not
  uint32_t reserved;
  // GROUP: byte offset of this buffer in the block's scratch, as the number of an
  // i64 scalar parameter; the launch gives the total. Multiples of 64.
  uint32_t offset_scalar;
  uint32_t reserved2;
} fv_kbuffer;

typedef struct fv_kernel_code {
  uint32_t struct_size;
  uint32_t n_inst;
  const char *name;  // [a-z0-9_]+, unique in its set
  const fv_kinst *inst;
  const fv_kbuffer *buffer;  // global ones first, in launch order
  uint32_t n_buffer, n_global, n_scalar;
  uint32_t n_item;  // work-items of a block; above 1 only where the target has groups
} fv_kernel_code;

// How a CPU kernel is called: blocks [begin, end) one after another. buf: the
// global buffers, 64-byte aligned unless the caller owns them (then aligned to
// their element). Returns 0, or 1 + the site of the check that failed.
typedef int32_t (*fv_cpu_kernel_fn)(void *const *buf, const int64_t *scalar, void *scratch,
                                    int64_t begin, int64_t end);

// What a schedule may know of a target. Never its name.
typedef struct fv_target {
  uint32_t struct_size;
  uint8_t has_groups;  // it runs the work-items of a block; else they are loops before it sees them
  uint8_t has_fma;
  uint8_t has_f64, has_f16;
  uint32_t vector_bits;  // widest useful vector, e.g. 512, 256, 128
  uint32_t registers;    // vector registers
  uint32_t l1_bytes, l2_bytes, l3_bytes;
  uint32_t group_size;   // work-items of a block that a schedule may use, a power of two
  uint32_t local_bytes;  // GPU: local memory of a group
  uint32_t workers;      // parallel blocks worth having
} fv_target;

#endif  // FOVEA_KERNEL_H_
