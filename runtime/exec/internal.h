// SPDX-License-Identifier: Apache-2.0
// runtime/exec/internal.h - contexts, as the files of this folder share them.
#ifndef FOVEA_RUNTIME_EXEC_INTERNAL_H_
#define FOVEA_RUNTIME_EXEC_INTERNAL_H_

#include "runtime/exec/exec.h"
#include "runtime/exec/libc.h"

enum { EX_ALIGN = 64 };
#define EX_MAX_BYTES (INT64_C(1) << 46)
#define EX_MAX_SLOTS (1u << 24)

// A state in the context. Members are contiguous, each 64-byte aligned.
typedef struct ex_state {
  void *object[2];  // current is object[which]; [1] only if double-buffered
  uint8_t which;
  bool made;
  bool fresh;  // nothing was committed since it was made or reset
  int64_t dim[FV_MAX_RANK];
  int64_t member_bytes;  // payload of one
  int64_t stride;        // bytes from one to the next
  int64_t bytes;         // of all
  uint8_t *written;      // per member: the next version was written in this run
} ex_state;

// A loop that a run is in.
typedef struct ex_loop {
  uint32_t pc;  // of its LOOP
  int64_t trip, trips;
} ex_loop;

// The bytes of a tensor of the caller.
typedef struct ex_span {
  uintptr_t begin, end;
  const fv_prog_port *port;
  bool output;
} ex_span;

// What an entry has bound.
typedef struct ex_entry {
  const fv_prog_entry *prog;
  const fv_prog_port *input, *output;
  const fv_prog_buffer *buffer;
  const fv_hinst *inst;
  const uint32_t *arg;
  const int64_t *literal;
  const fv_prog_advance *advance;
  const uint32_t *used;
  const fv_prog_condition *condition;
  bool bound, planned, ran;
  bool ports_changed;          // the last bind gave a port other dims than the one before
  uint64_t epoch;              // of the state lengths at bind
  int64_t *slot;               // n_slot
  bool *set_at_bind;           // per slot: its value stands before the run
  int64_t *given, *wanted;     // per module symbol: dims bound, and those of a bind under way
  bool *known, *wanted_known;  // which of them are known
  int64_t *in_dim, *out_dim;   // FV_MAX_RANK per port: as bound
  int64_t *in_bytes, *out_bytes;
  int64_t *size;       // per buffer: bytes as bound
  uint32_t *item_of;   // per buffer, then per input, per output: its item, or FV_NO_SLOT
  fv_plan_item *item;  // arena buffers; staging of inputs and outputs (device memory only)
  uint32_t n_item;
  uint32_t *order;    // workspace of the planner
  uint32_t *storage;  // per buffer: the one whose memory it has at the moment (SWAP)
  ex_loop *loop;      // those that a run is in, from the outermost on: room for the deepest nest
  uint32_t depth;
  void **spare;  // per output: memory for one that the caller does not want
  int64_t *spare_bytes;
  ex_span *span;  // per input and output: workspace of a run
  int64_t arena_bytes;
} ex_entry;

struct fv_exec_ctx {
  fv_exec_image image;
  fv_exec_options opt;
  fv_device_ops ops;  // as far as the device knows them: opt.ops
  void *constants;    // object on the device
  void *pad;          // 64 zeroed bytes on the device, for buffers without elements
  void *arena;
  int64_t arena_bytes;
  uint64_t epoch;
  int64_t *length;  // per symbol: state lengths
  ex_state *state;
  ex_entry *entry;
  uint32_t max_buffer, max_scalar;  // of any kernel
  fv_memref *ref;                   // max_buffer
  int64_t *scalar;                  // max_scalar
  const void *const *inputs;        // during a run
  void *const *outputs;             // NULL, as each of them may be: not wanted
  char error[512];
};

int32_t ex_fail(fv_exec_ctx *c, int32_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int32_t ex_device_failed(fv_exec_ctx *c, const char *what);  // with the device's own words
const char *ex_symbol_name(const fv_exec_ctx *c, uint32_t symbol);

// scalar.c: primitive on i64 slots.
// FV_MODEL_UNKNOWN: what it gives does not fit 64 bits.
int64_t ex_scalar(uint32_t op, int64_t a, int64_t b, int64_t c);
int ex_scalar_arity(uint32_t op);  // 0: not allowed in host programs

// Bytes of dims; false if negative or over the limit.
bool ex_bytes(const int64_t *dim, uint32_t rank, int64_t elem, int64_t limit, int64_t *out);
static inline int64_t ex_align(int64_t n) {  // n <= EX_MAX_BYTES
  return (n + (EX_ALIGN - 1)) & ~(int64_t)(EX_ALIGN - 1);
}

// state.c
int32_t ex_state_make(fv_exec_ctx *c, uint32_t index, const int64_t *slot, const bool *known);
void ex_state_free(fv_exec_ctx *c, uint32_t index);
int32_t ex_state_zero(fv_exec_ctx *c, uint32_t index);
// Rows that fit where `symbol` is the length, over all states made.
int64_t ex_length_capacity(const fv_exec_ctx *c, uint32_t symbol);
// May the lengths become what the run makes them? at_bind: those that are known before the run.
int32_t ex_check_lengths(fv_exec_ctx *c, const ex_entry *e, bool at_bind);
int32_t ex_commit(fv_exec_ctx *c, ex_entry *e);

// bind.c: binds again with the symbols of the last bind. input_dims (optional)
// must be what follows from them.
int32_t ex_rebind(fv_exec_ctx *c, ex_entry *e, const int64_t *const *input_dims);

// Fails if a number has no value (see ex_scalar).
int32_t ex_want_known(fv_exec_ctx *c, const ex_entry *e, int64_t v);
#define EX_TRY(call)                    \
  do {                                  \
    const int32_t try_status_ = (call); \
    if (try_status_ != FV_MODEL_OK)     \
      return try_status_;               \
  } while (0)

// The condition holds, or `failure` with its words and the values.
int32_t ex_require(fv_exec_ctx *c, const ex_entry *e, uint32_t condition, int32_t failure);

// overlap.c: before a run writes anything.
int32_t ex_check_overlaps(fv_exec_ctx *c, ex_entry *e);

// run.c: one instruction of the kinds that a bind section has.
int32_t ex_step(fv_exec_ctx *c, ex_entry *e, const fv_hinst *h);

#endif  // FOVEA_RUNTIME_EXEC_INTERNAL_H_
