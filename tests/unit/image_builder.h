// SPDX-License-Identifier: Apache-2.0
// tests/unit/image_builder.h - program images made by hand, for tests of the
// interpreter. One entry an image is enough here; a second one may be added.
#ifndef FOVEA_TESTS_UNIT_IMAGE_BUILDER_H_
#define FOVEA_TESTS_UNIT_IMAGE_BUILDER_H_

#include <string.h>

#include "fovea/program.h"

enum { IB_MAX = 1024, IB_ENTRIES = 2, IB_BYTES = 1 << 17 };

typedef struct ib_entry {
  const char *name;
  fv_prog_port input[8], output[8];
  uint32_t n_input, n_output;
  uint32_t used[8], n_used;
  fv_prog_buffer buffer[IB_MAX];
  uint32_t n_buffer;
  fv_hinst inst[IB_MAX];
  uint32_t n_inst, bind_end;
  uint32_t arg[IB_MAX], n_arg;
  int64_t literal[IB_MAX];
  uint32_t n_literal;
  fv_prog_advance advance[4];
  uint32_t n_advance, n_slot;
  fv_prog_condition condition[8];
  uint32_t n_condition, bind_conditions;
} ib_entry;

typedef struct ib {
  fv_prog_symbol symbol[8];
  uint32_t n_symbol;
  fv_prog_state state[4];
  uint32_t n_state;
  fv_prog_kernel kernel[8];
  uint32_t n_kernel;
  const char *site[16];
  uint32_t n_site;
  ib_entry entry[IB_ENTRIES];
  uint32_t n_entry;
  uint64_t const_bytes;
  uint32_t size;
  _Alignas(64) unsigned char image[IB_BYTES];
} ib;

static inline uint32_t ib_put(ib *b, const void *data, size_t n) {
  b->size = (b->size + 7) & ~7u;
  const uint32_t at = b->size;
  if (n)
    memcpy(b->image + at, data, n);
  b->size += (uint32_t)n;
  return at;
}
static inline uint32_t ib_str(ib *b, const char *s) {
  return ib_put(b, s, strlen(s) + 1);
}
static inline fv_table ib_table(ib *b, const void *data, size_t elem, uint32_t n) {
  return (fv_table){ib_put(b, data, elem * n), n};
}

// Symbols come first: slots below their number are theirs.
static inline uint32_t ib_symbol(ib *b, const char *name, uint32_t kind, int64_t lo, int64_t hi) {
  b->symbol[b->n_symbol] = (fv_prog_symbol){ib_str(b, name), kind, lo, hi};
  return b->n_symbol++;
}
static inline uint32_t ib_kernel(ib *b, const char *name, uint32_t n_buffer, uint32_t n_scalar,
                                 uint32_t first_site) {
  b->kernel[b->n_kernel] = (fv_prog_kernel){ib_str(b, name), n_buffer, n_scalar, first_site};
  return b->n_kernel++;
}
static inline uint32_t ib_site(ib *b, const char *text) {
  b->site[b->n_site] = text;
  return b->n_site++;
}
static inline ib_entry *ib_begin(ib *b, const char *name) {
  ib_entry *e = &b->entry[b->n_entry++];
  e->name = name;
  e->n_slot = b->n_symbol;
  return e;
}
static inline void ib_inst(ib_entry *e, uint16_t op, uint16_t n, uint32_t a, uint32_t bb,
                           uint32_t c, uint32_t d) {
  e->inst[e->n_inst++] = (fv_hinst){op, n, a, bb, c, d};
}
static inline uint32_t ib_lit(ib_entry *e, int64_t v) {
  e->literal[e->n_literal] = v;
  ib_inst(e, FV_H_LITERAL, 0, e->n_slot, e->n_literal++, 0, 0);
  return e->n_slot++;
}
static inline uint32_t ib_op(ib_entry *e, uint16_t op, uint32_t x, uint32_t y) {
  ib_inst(e, FV_H_SCALAR, op, e->n_slot, x, y, 0);
  return e->n_slot++;
}
static inline uint32_t ib_buffer(ib_entry *e, uint8_t space, uint8_t dtype, uint32_t index,
                                 uint32_t size_slot) {
  e->buffer[e->n_buffer] = (fv_prog_buffer){.space = space,
                                            .dtype = dtype,
                                            .index = index,
                                            .size_slot = size_slot,
                                            .stride_slot = FV_NO_SLOT,
                                            .first = 0,
                                            .last = UINT32_MAX};
  return e->n_buffer++;
}
static inline void ib_launch(ib_entry *e, uint32_t kernel, uint32_t blocks, uint32_t scratch,
                             uint32_t n, const uint32_t *arg) {
  ib_inst(e, FV_H_LAUNCH, 0, kernel, blocks, scratch, e->n_arg);
  for (uint32_t i = 0; i < n; i++)
    e->arg[e->n_arg++] = arg[i];
}
static inline void ib_condition(ib *b, ib_entry *e, uint32_t relation, const char *text, uint32_t x,
                                uint32_t y, const char *x_name, const char *y_name) {
  e->condition[e->n_condition++] = (fv_prog_condition){.relation = relation,
                                                       .text = ib_str(b, text),
                                                       .a_slot = x,
                                                       .b_slot = y,
                                                       .a_name = ib_str(b, x_name),
                                                       .b_name = ib_str(b, y_name)};
}

static inline void ib_port(ib *b, fv_prog_port *p, const char *name, uint8_t dtype, uint8_t rank,
                           const uint32_t *slot) {
  *p = (fv_prog_port){.name = ib_str(b, name), .dtype = dtype, .rank = rank};
  for (uint8_t d = 0; d < rank; d++)
    p->dim_slot[d] = p->bound_slot[d] = slot[d];
}

static inline void ib_finish_entry(ib *b, const ib_entry *e, fv_prog_entry *out) {
  *out = (fv_prog_entry){.name = ib_str(b, e->name),
                         .n_slot = e->n_slot,
                         .bind_end = e->bind_end,
                         .bind_conditions = e->bind_conditions};
  out->inputs = ib_table(b, e->input, sizeof *e->input, e->n_input);
  out->outputs = ib_table(b, e->output, sizeof *e->output, e->n_output);
  out->used_symbols = ib_table(b, e->used, sizeof *e->used, e->n_used);
  out->buffers = ib_table(b, e->buffer, sizeof *e->buffer, e->n_buffer);
  out->insts = ib_table(b, e->inst, sizeof *e->inst, e->n_inst);
  out->args = ib_table(b, e->arg, sizeof *e->arg, e->n_arg);
  out->literals = ib_table(b, e->literal, sizeof *e->literal, e->n_literal);
  out->advances = ib_table(b, e->advance, sizeof *e->advance, e->n_advance);
  out->conditions = ib_table(b, e->condition, sizeof *e->condition, e->n_condition);
}

static inline void ib_start(ib *b) {
  memset(b, 0, sizeof *b);
  b->size = sizeof(fv_program);
}

static inline void ib_finish(ib *b) {
  fv_program head = {.magic = FV_PROGRAM_MAGIC,
                     .version = FV_PROGRAM_VERSION,
                     .const_bytes = b->const_bytes,
                     .hash_lo = 1};
  uint32_t site[16];
  for (uint32_t i = 0; i < b->n_site; i++)
    site[i] = ib_str(b, b->site[i]);
  fv_prog_entry entry[IB_ENTRIES];
  for (uint32_t i = 0; i < b->n_entry; i++)
    ib_finish_entry(b, &b->entry[i], &entry[i]);
  head.name = ib_str(b, "m");
  head.symbols = ib_table(b, b->symbol, sizeof *b->symbol, b->n_symbol);
  head.states = ib_table(b, b->state, sizeof *b->state, b->n_state);
  head.kernels = ib_table(b, b->kernel, sizeof *b->kernel, b->n_kernel);
  head.sites = ib_table(b, site, sizeof *site, b->n_site);
  head.entries = ib_table(b, entry, sizeof *entry, b->n_entry);
  const uint64_t end = 0;
  ib_put(b, &end, sizeof end);
  head.image_bytes = b->size;
  memcpy(b->image, &head, sizeof head);
}

#endif  // FOVEA_TESTS_UNIT_IMAGE_BUILDER_H_
