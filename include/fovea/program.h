// SPDX-License-Identifier: Apache-2.0
// fovea/program.h - a compiled model: the host program and its tables.
//
// An image is one block of bytes without pointers (all references are byte
// offsets from its start, all arrays 8-byte aligned, little-endian), so the
// same image runs in the process that compiled it and inside a shared library.
// runtime/exec interprets it; it is freestanding but for libc, and includes
// nothing of fovea but this header and those it includes.
#ifndef FOVEA_PROGRAM_H_
#define FOVEA_PROGRAM_H_

#include <stdint.h>

#include "fovea/kernel.h"

#define FV_PROGRAM_MAGIC 0x41455646u  // "FVEA"
#define FV_PROGRAM_VERSION 5u
#define FV_NO_SLOT 0xffffffffu

typedef struct fv_table {  // array in the image
  uint32_t offset, count;
} fv_table;

typedef struct fv_program {
  uint32_t magic, version;
  uint64_t image_bytes;
  uint64_t const_bytes;       // size of the constants that belong to the image
  uint64_t hash_lo, hash_hi;  // of the image, these fields 0; the constants have none here
  uint32_t name;              // string offset, like all names below
  uint32_t reserved;
  fv_table symbols;  // fv_prog_symbol
  fv_table states;   // fv_prog_state
  fv_table kernels;  // fv_prog_kernel
  fv_table sites;    // uint32_t: string "file:line:col: text" of run-time checks
  fv_table entries;  // fv_prog_entry
} fv_program;

typedef struct fv_prog_symbol {
  uint32_t name;
  uint32_t kind;  // 0 dim, 1 state length, 2 counter, 3 result
  int64_t min, max;
} fv_prog_symbol;

typedef struct fv_prog_dim {  // of a state: value, or symbol
  int64_t value;
  uint32_t symbol;  // FV_NO_SLOT: value counts
  uint32_t reserved;
} fv_prog_dim;

typedef struct fv_prog_state {
  uint32_t name;
  uint8_t dtype, rank, double_buffered;
  uint8_t length_dim;      // 1 + the dim of which length_symbol is the valid part; 0: not known
  uint32_t length_symbol;  // FV_NO_SLOT: none
  uint32_t members;
  uint32_t reserved2[2];
  fv_prog_dim dim[FV_MAX_RANK];  // of one member; members are contiguous, each 64-byte aligned
} fv_prog_state;

typedef struct fv_prog_kernel {
  uint32_t name;
  uint32_t n_buffer, n_scalar;  // global buffers and i64 scalars of a launch
  uint32_t first_site;          // check site i of the kernel is sites[first_site + i]
} fv_prog_kernel;

// Where a buffer lives.
typedef enum fv_space {
  FV_SPACE_ARENA,       // planned by bind; first/last are its lifetime
  FV_SPACE_CONST,       // at `offset` of the constants
  FV_SPACE_INPUT,       // input number `index`
  FV_SPACE_OUTPUT,      // output number `index`
  FV_SPACE_STATE,       // current version of state `index`
  FV_SPACE_STATE_NEXT,  // the version being written of a double-buffered state: one member of it,
                        // or without a stride_slot all of them, which then are written or copied
  FV_SPACE_VIEW,        // buffer `index` (a lower number) of the same entry, plus stride_slot: a
                        // slice of a collected value; it moves with that buffer in a SWAP
} fv_space;

// The members of a state stand one after another, each of `bytes` bytes at a multiple of 64.
enum { FV_MEMBER_ALIGN = 64 };
static inline int64_t fv_member_stride(int64_t bytes) {  // bytes < 2^62
  return (bytes + (FV_MEMBER_ALIGN - 1)) & ~(int64_t)(FV_MEMBER_ALIGN - 1);
}

typedef struct fv_prog_buffer {
  uint8_t space, dtype;
  uint16_t reserved;
  uint32_t index;
  uint64_t offset;       // CONST: bytes
  uint32_t size_slot;    // ARENA: bytes, known after the bind section
  uint32_t stride_slot;  // any space: slot of bytes added to the address, read at each use; or
                         // FV_NO_SLOT
  uint32_t first, last;  // ARENA: instructions of the entry, inclusive; loops are included whole
} fv_prog_buffer;

// Host instructions. Slots are i64; slot i < symbols.count is symbol i, and is
// written by LOOP (counters) and, in the run section, END_LOOP, READ and SCALAR
// (results) alone. Other slots are 0
// until they are written. Loops nest; IF jumps forward and stays in its loop.
// SCALAR takes every primitive that integers have; NOT is that of bool (1 if the
// slot is 0, else 0), CAST and BITCAST copy. What does not fit 64 bits fails the run.
//   X(id, operands)
#define FV_HOP_TABLE(X)                                                                    \
  X(LITERAL, "slot a = literals[b]")                                                       \
  X(SCALAR, "slot a = primitive n (fv_scalar_op, i64) of slots b, c, d")                   \
  X(LAUNCH,                                                                                \
    "kernel a over slot b blocks, scratch slot c bytes or FV_NO_SLOT; args[d..]: "         \
    "buffers, then scalar slots, as the kernel's counts say")                              \
  X(COPY, "buffer a = buffer b, slot c bytes")                                             \
  X(ZERO, "buffer a = 0, slot c bytes")                                                    \
  X(READ,                                                                                  \
    "slot a (a result) = the first element of buffer b, an integer or bool; below the "    \
    "symbol's min or above slot c fails the run with sites[d], the value before its last " \
    "n bytes, if n != 0, and slot c behind it, if it ends with a blank")                   \
  X(LOOP,                                                                                  \
    "counter slot a from 0 to slot b; leaves at instruction c (the one after END_LOOP); "  \
    "with slot d != FV_NO_SLOT: also when it is 0, before each trip")                      \
  X(END_LOOP, "back to LOOP at a; the trips made stand in slot b (FV_NO_SLOT: unwanted)")  \
  X(SWAP, "buffers a and b exchange their memory (both ARENA, equal sizes)")               \
  X(IF, "skip to instruction b when slot a is 0")                                          \
  X(CHECK, "slot a must not be 0, else the run fails with sites[b]")                       \
  X(REQUIRE, "condition a must hold, one that is not tested at bind")

typedef enum fv_hop {
#define X(id, text) FV_H_##id,
  FV_HOP_TABLE(X)
#undef X
      FV_H_COUNT
} fv_hop;

typedef struct fv_hinst {
  uint16_t op, n;
  uint32_t a, b, c, d;
} fv_hinst;

typedef struct fv_prog_port {  // an input or output
  uint32_t name;
  uint8_t dtype, rank;
  uint16_t reserved;
  uint32_t dim_slot[FV_MAX_RANK];  // outputs: may be set by the run (data-dependent dims)
  uint32_t
      bound_slot[FV_MAX_RANK];  // outputs: an upper bound known after bind; inputs: as dim_slot
} fv_prog_port;

typedef struct fv_prog_advance {
  uint32_t symbol, slot;  // at commit the state length `symbol` becomes slot's value
} fv_prog_advance;

// What must hold between two numbers, when a run is bound or while it runs.
//   X(id, sign, holds for a and b, what a failure says between and behind them)
#define FV_RELATION_TABLE(X)                   \
  X(EQ, "==", a == b, "and", " must be equal") \
  X(NE, "!=", a != b, "and", " must differ")   \
  X(LE, "<=", a <= b, "must be at most", "")   \
  X(BROADCAST, "~", a == b || a == 1 || b == 1, "and", " must be equal, or one of them 1")

typedef enum fv_relation {
#define X(id, sign, holds, between, behind) FV_REL_##id,
  FV_RELATION_TABLE(X)
#undef X
      FV_REL_COUNT
} fv_relation;

static inline int fv_relation_holds(uint32_t relation, int64_t a, int64_t b) {
  switch (relation) {
#define X(id, sign, holds, between, behind) \
  case FV_REL_##id: return holds;
    FV_RELATION_TABLE(X)
#undef X
  default: return 0;
  }
}

static inline const char *fv_relation_sign(uint32_t relation) {
  switch (relation) {
#define X(id, sign, holds, between, behind) \
  case FV_REL_##id: return sign;
    FV_RELATION_TABLE(X)
#undef X
  default: return "?";
  }
}

// What a condition that fails says: who needs it, then each side, as `N = 3` or a mere number.
// With the words of fv_words_of_relation() and the values as long long: text, a, a_is, a's value,
// between, b, b_is, b's value, behind.
#define FV_CONDITION_FAILS "%s: %s%s%lld %s %s%s%lld%s"
typedef struct fv_relation_words {
  const char *a, *a_is, *between, *b, *b_is, *behind;
} fv_relation_words;

static inline int fv_is_number_text(const char *s) {
  s += *s == '-';
  while (*s >= '0' && *s <= '9')
    s++;
  return *s == 0;
}

static inline fv_relation_words fv_words_of_relation(uint32_t relation, const char *a,
                                                     const char *b) {
  fv_relation_words w = {a, " = ", "", b, " = ", ""};
  switch (relation) {
#define X(id, sign, holds, is_between, is_behind) \
  case FV_REL_##id:                               \
    w.between = is_between;                       \
    w.behind = is_behind;                         \
    break;
    FV_RELATION_TABLE(X)
#undef X
  default: break;
  }
  if (fv_is_number_text(a))
    w.a = w.a_is = "";
  if (fv_is_number_text(b))
    w.b = w.b_is = "";
  return w;
}

// The first `bind_conditions` of an entry are tested behind the bind section, before anything else
// is made of the dims; each of the others by a REQUIRE.
typedef struct fv_prog_condition {
  uint32_t relation;
  uint32_t text;  // "file:line:col: op: what"
  uint32_t a_slot, b_slot;
  uint32_t a_name, b_name;  // as expressions of dims; a number stands for itself
  fv_table symbols;         // uint32_t: what the sides name, to be told with their values
} fv_prog_condition;

typedef struct fv_prog_entry {
  uint32_t name;
  uint32_t n_slot;
  fv_table inputs, outputs;  // fv_prog_port
  fv_table used_symbols;     // uint32_t: FV_SYM_DIM symbols that a bind must know
  fv_table buffers;          // fv_prog_buffer
  fv_table insts;            // fv_hinst
  fv_table args;             // uint32_t
  fv_table literals;         // int64_t
  fv_table advances;         // fv_prog_advance
  fv_table conditions;       // fv_prog_condition
  uint32_t bind_end;         // insts [0, bind_end) run at bind, the rest at each run
  uint32_t bind_conditions;
} fv_prog_entry;

//===-- Devices ---------------------------------------------------------===//

// Every buffer of a launch has at least 64 readable bytes from its address if
// it has no elements: the interpreter puts memory of its own in place of an
// empty input or output.
// Memory on a device: an object and a byte offset. On a CPU the object is the
// base pointer.
typedef struct fv_memref {
  void *object;
  int64_t offset;
} fv_memref;

// What the interpreter of the host program asks of a device. Functions return
// 0, -1 (device failure; `error` has the text), 1 + a failed check's site, or FV_LAUNCH_REFUSED:
// a check failed that is none of the program's sites; `error` has the text.
// Commands of one queue run in order; read waits.
#define FV_LAUNCH_REFUSED (-2)
typedef struct fv_device_ops {
  uint32_t struct_size;
  uint32_t host_memory;  // 1: objects are host pointers, inputs and outputs are used in place
  void *(*alloc)(void *dev, int64_t bytes);  // 64-byte aligned; NULL = out of memory
  void (*free)(void *dev, void *object, int64_t bytes);
  int32_t (*launch)(void *dev, uint32_t kernel, uint32_t n_buf, const fv_memref *buf,
                    uint32_t n_scalar, const int64_t *scalar, int64_t blocks,
                    int64_t scratch_bytes);
  int32_t (*copy)(void *dev, fv_memref dst, fv_memref src, int64_t bytes);
  int32_t (*zero)(void *dev, fv_memref dst, int64_t bytes);
  int32_t (*write)(void *dev, fv_memref dst, const void *src, int64_t bytes);
  int32_t (*read)(void *dev, void *dst, fv_memref src, int64_t bytes);
  const char *(*error)(void *dev);
  // optional: makes room for launches with up to so many bytes of scratch a
  // worker or group, so that they need not allocate. 0, or -1.
  int32_t (*reserve)(void *dev, int64_t scratch_bytes);
} fv_device_ops;

#endif  // FOVEA_PROGRAM_H_
