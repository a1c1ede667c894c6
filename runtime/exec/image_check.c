// SPDX-License-Identifier: Apache-2.0
// Checks an image before anything is believed of it: offsets and counts, every
// index of every table, the structure of loops and jumps, lifetimes.
#include "runtime/exec/internal.h"

static const uint8_t dtype_size[FV_DTYPE_COUNT] = {
#define X(name, size, kind) size,
    FV_DTYPE_TABLE(X)
#undef X
};

int64_t fv_exec_dtype_size(uint32_t dtype) {
  return dtype < FV_DTYPE_COUNT ? dtype_size[dtype] : 0;
}

char fv_exec_dtype_kind(uint32_t dtype) {
  static const char kind[] = {
#define X(name, size, k) k,
      FV_DTYPE_TABLE(X)
#undef X
  };
  return dtype < FV_DTYPE_COUNT ? kind[dtype] : 0;
}

// Checks return NULL, or a sentence.
typedef struct checker {
  const fv_exec_image *im;
  uint64_t size;
  const fv_prog_entry *e;
  const fv_prog_buffer *buffer;
  uint32_t *loop;  // per instruction of the entry: its innermost loop, or FV_NO_SLOT
} checker;

static bool table_ok(const checker *k, fv_table t, uint64_t elem) {
  return t.offset % 8 == 0 && t.offset <= k->size && t.count * elem <= k->size - t.offset;
}

static bool string_ok(const checker *k, uint32_t offset) {
  return offset < k->size;  // the last byte is 0
}

//===-- Tables of the module ------------------------------------------------===//

static const char *check_head(checker *k, const void *image, uint64_t size) {
  const fv_program *p = image;
  if (!image || (uintptr_t)image % 8 || size < sizeof *p)
    return "too small to be a program image, or not aligned";
  if (p->magic != FV_PROGRAM_MAGIC)
    return "not a program image";
  if (p->version != FV_PROGRAM_VERSION)
    return "a program image of another version";
  if (p->image_bytes < sizeof *p || p->image_bytes > size || p->image_bytes > UINT32_MAX)
    return "the program image is cut short";
  k->size = p->image_bytes;
  if (((const unsigned char *)image)[k->size - 1] != 0)
    return "the strings of the program image have no end";
  if (p->const_bytes > (uint64_t)EX_MAX_BYTES)
    return "the constants of the program image are too large";
  if (!table_ok(k, p->symbols, sizeof(fv_prog_symbol)) ||
      !table_ok(k, p->states, sizeof(fv_prog_state)) ||
      !table_ok(k, p->kernels, sizeof(fv_prog_kernel)) ||
      !table_ok(k, p->sites, sizeof(uint32_t)) || !table_ok(k, p->entries, sizeof(fv_prog_entry)) ||
      !string_ok(k, p->name))
    return "a table lies outside the program image";
  return NULL;
}

static bool symbol_is(const checker *k, uint32_t symbol, uint32_t kind) {
  return symbol < k->im->head->symbols.count && k->im->symbol[symbol].kind == kind;
}

enum { KIND_DIM, KIND_LENGTH, KIND_COUNTER, KIND_RESULT };

static const char *check_state(const checker *k, const fv_prog_state *s) {
  if (!string_ok(k, s->name) || s->dtype >= FV_DTYPE_COUNT || s->rank > FV_MAX_RANK ||
      s->double_buffered > 1 || s->members == 0 || s->members > 1u << 20 || s->length_dim > s->rank)
    return "a state of the program image is malformed";
  if (s->length_symbol != FV_NO_SLOT && !symbol_is(k, s->length_symbol, KIND_LENGTH))
    return "a state of the program image has a length that is none";
  for (uint32_t d = 0; d < s->rank; d++) {
    const fv_prog_dim *dim = &s->dim[d];
    if (dim->symbol == FV_NO_SLOT ? dim->value < 0 : !symbol_is(k, dim->symbol, KIND_DIM))
      return "a state of the program image has a dim that is none";
  }
  return NULL;
}

static const char *check_module(const checker *k) {
  const fv_exec_image *im = k->im;
  const fv_program *p = im->head;
  for (uint32_t i = 0; i < p->symbols.count; i++) {
    const fv_prog_symbol *s = &im->symbol[i];
    if (!string_ok(k, s->name) || s->kind > KIND_RESULT || s->min > s->max)
      return "a symbol of the program image is malformed";
  }
  for (uint32_t i = 0; i < p->states.count; i++) {
    const char *why = check_state(k, &im->state[i]);
    if (why)
      return why;
  }
  for (uint32_t i = 0; i < p->kernels.count; i++) {
    const fv_prog_kernel *n = &im->kernel[i];
    // A launch lists them, so there are fewer than words in the image.
    if (!string_ok(k, n->name) || n->n_buffer > k->size / 4 || n->n_scalar > k->size / 4)
      return "a kernel of the program image is malformed";
  }
  for (uint32_t i = 0; i < p->sites.count; i++)
    if (!string_ok(k, im->site[i]))
      return "a table lies outside the program image";
  return NULL;
}

//===-- Tables of an entry --------------------------------------------------===//

static bool slot_ok(const checker *k, uint32_t slot) {
  return slot < k->e->n_slot;
}

// May instructions of this kind of symbol write the slot?
static bool writes_ok(const checker *k, uint32_t slot, uint32_t kind) {
  return slot_ok(k, slot) &&
         (slot >= k->im->head->symbols.count || k->im->symbol[slot].kind == kind);
}

static const char *check_ports(const checker *k, fv_table t) {
  const fv_prog_port *p = fv_exec_table(k->im, t);
  for (uint32_t i = 0; i < t.count; i++) {
    if (!string_ok(k, p[i].name) || p[i].dtype >= FV_DTYPE_COUNT || p[i].rank > FV_MAX_RANK)
      return "an input or output of the program image is malformed";
    for (uint32_t d = 0; d < p[i].rank; d++)
      if (!slot_ok(k, p[i].dim_slot[d]) || !slot_ok(k, p[i].bound_slot[d]))
        return "a dim of the program image has no slot";
  }
  return NULL;
}

static bool buffer_ok(const checker *k, uint32_t i) {
  const fv_prog_buffer *b = &k->buffer[i];
  const fv_program *p = k->im->head;
  if (b->dtype >= FV_DTYPE_COUNT || (b->stride_slot != FV_NO_SLOT && !slot_ok(k, b->stride_slot)))
    return false;
  switch (b->space) {
  case FV_SPACE_ARENA: return slot_ok(k, b->size_slot) && b->first <= b->last;
  case FV_SPACE_CONST: return b->offset <= p->const_bytes;
  case FV_SPACE_INPUT: return b->index < k->e->inputs.count;
  case FV_SPACE_OUTPUT: return b->index < k->e->outputs.count;
  case FV_SPACE_STATE: return b->index < p->states.count;
  case FV_SPACE_STATE_NEXT:
    return b->index < p->states.count && k->im->state[b->index].double_buffered;
  case FV_SPACE_VIEW: return b->index < i;
  default: return false;
  }
}

static bool condition_ok(const checker *k, const fv_prog_condition *c) {
  if (c->relation >= FV_REL_COUNT || !slot_ok(k, c->a_slot) || !slot_ok(k, c->b_slot) ||
      !string_ok(k, c->text) || !string_ok(k, c->a_name) || !string_ok(k, c->b_name) ||
      !table_ok(k, c->symbols, sizeof(uint32_t)))
    return false;
  const uint32_t *symbol = fv_exec_table(k->im, c->symbols);
  for (uint32_t i = 0; i < c->symbols.count; i++)
    if (symbol[i] >= k->im->head->symbols.count)
      return false;
  return true;
}

static const char *check_conditions(const checker *k) {
  const fv_prog_condition *c = fv_exec_table(k->im, k->e->conditions);
  if (k->e->bind_conditions > k->e->conditions.count)
    return "the conditions of the program image are malformed";
  for (uint32_t i = 0; i < k->e->conditions.count; i++)
    if (!condition_ok(k, &c[i]))
      return "a condition of the program image is malformed";
  return NULL;
}

static const char *check_tables(checker *k) {
  const fv_prog_entry *e = k->e;
  if (!string_ok(k, e->name) || e->n_slot < k->im->head->symbols.count ||
      e->n_slot > EX_MAX_SLOTS || e->bind_end > e->insts.count)
    return "an entry of the program image is malformed";
  if (!table_ok(k, e->inputs, sizeof(fv_prog_port)) ||
      !table_ok(k, e->outputs, sizeof(fv_prog_port)) ||
      !table_ok(k, e->used_symbols, sizeof(uint32_t)) ||
      !table_ok(k, e->buffers, sizeof(fv_prog_buffer)) ||
      !table_ok(k, e->insts, sizeof(fv_hinst)) || !table_ok(k, e->args, sizeof(uint32_t)) ||
      !table_ok(k, e->literals, sizeof(int64_t)) ||
      !table_ok(k, e->advances, sizeof(fv_prog_advance)) ||
      !table_ok(k, e->conditions, sizeof(fv_prog_condition)))
    return "a table lies outside the program image";
  k->buffer = fv_exec_table(k->im, e->buffers);
  for (uint32_t i = 0; i < e->buffers.count; i++)
    if (!buffer_ok(k, i))
      return "a buffer of the program image is malformed";
  const uint32_t *used = fv_exec_table(k->im, e->used_symbols);
  for (uint32_t i = 0; i < e->used_symbols.count; i++)
    if (!symbol_is(k, used[i], KIND_DIM))
      return "an entry of the program image uses a symbol that is no dim";
  const fv_prog_advance *a = fv_exec_table(k->im, e->advances);
  for (uint32_t i = 0; i < e->advances.count; i++)
    if (!symbol_is(k, a[i].symbol, KIND_LENGTH) || !slot_ok(k, a[i].slot))
      return "an entry of the program image advances what is no length";
  const char *why = check_conditions(k);
  why = why ? why : check_ports(k, e->inputs);
  return why ? why : check_ports(k, e->outputs);
}

//===-- Instructions ----------------------------------------------------------===//

// Buffer `i` at instruction `pc`, which must be within its lifetime.
static bool use_ok(const checker *k, uint32_t i, uint32_t pc) {
  if (i >= k->e->buffers.count)
    return false;
  while (k->buffer[i].space == FV_SPACE_VIEW)
    i = k->buffer[i].index;
  const fv_prog_buffer *b = &k->buffer[i];
  return b->space != FV_SPACE_ARENA || (b->first <= pc && pc <= b->last);
}

// The same for a buffer that is stored to: not one of the caller's inputs, not
// a constant.
static bool write_ok(const checker *k, uint32_t i, uint32_t pc) {
  if (!use_ok(k, i, pc))
    return false;
  while (k->buffer[i].space == FV_SPACE_VIEW)
    i = k->buffer[i].index;
  return k->buffer[i].space != FV_SPACE_INPUT && k->buffer[i].space != FV_SPACE_CONST;
}

static bool scalar_ok(const checker *k, const fv_hinst *h, bool bind) {
  const int arity = ex_scalar_arity(h->n);
  const bool writes = bind ? slot_ok(k, h->a) && h->a >= k->im->head->symbols.count
                           : writes_ok(k, h->a, KIND_RESULT);
  return arity > 0 && writes && slot_ok(k, h->b) && (arity < 2 || slot_ok(k, h->c)) &&
         (arity < 3 || slot_ok(k, h->d));
}

static bool launch_ok(const checker *k, const fv_hinst *h, uint32_t pc) {
  if (h->a >= k->im->head->kernels.count || !slot_ok(k, h->b) ||
      (h->c != FV_NO_SLOT && !slot_ok(k, h->c)))
    return false;
  const fv_prog_kernel *n = &k->im->kernel[h->a];
  const uint32_t count = n->n_buffer + n->n_scalar;
  if (h->d > k->e->args.count || count > k->e->args.count - h->d)
    return false;
  const uint32_t *arg = (const uint32_t *)fv_exec_table(k->im, k->e->args) + h->d;
  for (uint32_t i = 0; i < n->n_buffer; i++)
    if (!use_ok(k, arg[i], pc))
      return false;
  for (uint32_t i = n->n_buffer; i < count; i++)
    if (!slot_ok(k, arg[i]))
      return false;
  return true;
}

static bool is_arena(const checker *k, uint32_t i) {
  return i < k->e->buffers.count && k->buffer[i].space == FV_SPACE_ARENA &&
         k->buffer[i].stride_slot == FV_NO_SLOT;
}

static bool read_ok(const checker *k, const fv_hinst *h, uint32_t pc) {
  return symbol_is(k, h->a, KIND_RESULT) && use_ok(k, h->b, pc) &&
         fv_exec_dtype_kind(k->buffer[h->b].dtype) != 'f' && slot_ok(k, h->c) &&
         h->d < k->im->head->sites.count;
}

// A jump from pc to `to`: forward, and between the same loops.
static bool jump_ok(const checker *k, uint32_t pc, uint32_t to) {
  const uint32_t n = k->e->insts.count;
  if (to <= pc || to > n)
    return false;
  return k->loop[pc] == (to == n ? FV_NO_SLOT : k->loop[to]);
}

static bool inst_ok(const checker *k, const fv_hinst *inst, uint32_t pc) {
  const fv_hinst *h = &inst[pc];
  const bool bind = pc < k->e->bind_end;
  if (bind && h->op != FV_H_LITERAL && h->op != FV_H_SCALAR && h->op != FV_H_CHECK)
    return false;
  switch (h->op) {
  case FV_H_LITERAL:
    return slot_ok(k, h->a) && h->a >= k->im->head->symbols.count && h->b < k->e->literals.count;
  case FV_H_SCALAR: return scalar_ok(k, h, bind);
  case FV_H_LAUNCH: return launch_ok(k, h, pc);
  case FV_H_COPY: return write_ok(k, h->a, pc) && use_ok(k, h->b, pc) && slot_ok(k, h->c);
  case FV_H_ZERO: return write_ok(k, h->a, pc) && slot_ok(k, h->c);
  case FV_H_READ: return read_ok(k, h, pc);
  case FV_H_LOOP:
    return writes_ok(k, h->a, KIND_COUNTER) && slot_ok(k, h->b) &&
           (h->d == FV_NO_SLOT || slot_ok(k, h->d));
  case FV_H_END_LOOP: return h->b == FV_NO_SLOT || writes_ok(k, h->b, KIND_RESULT);
  case FV_H_SWAP:
    return is_arena(k, h->a) && is_arena(k, h->b) && use_ok(k, h->a, pc) && use_ok(k, h->b, pc);
  case FV_H_IF: return slot_ok(k, h->a) && jump_ok(k, pc, h->b);
  case FV_H_CHECK: return slot_ok(k, h->a) && h->b < k->im->head->sites.count;
  case FV_H_REQUIRE: return h->a < k->e->conditions.count;
  default: return false;
  }
}

// Fills k->loop; LOOP belongs to the loop around it, END_LOOP to its own.
static bool nest_loops(checker *k, const fv_hinst *inst) {
  uint32_t inner = FV_NO_SLOT;
  const uint32_t n = k->e->insts.count;
  for (uint32_t pc = 0; pc < n; pc++) {
    const fv_hinst *h = &inst[pc];
    k->loop[pc] = inner;
    if (h->op == FV_H_LOOP) {
      if (h->c <= pc + 1 || h->c > n || inst[h->c - 1].op != FV_H_END_LOOP)
        return false;
      inner = pc;
    } else if (h->op == FV_H_END_LOOP) {
      if (inner == FV_NO_SLOT || h->a != inner || inst[h->a].c != pc + 1)
        return false;
      inner = k->loop[inner];
    }
  }
  return inner == FV_NO_SLOT;
}

static const char *check_entry(checker *k) {
  const char *why = check_tables(k);
  if (why)
    return why;
  const fv_hinst *inst = fv_exec_table(k->im, k->e->insts);
  k->loop = malloc(((size_t)k->e->insts.count + 1) * sizeof *k->loop);
  if (!k->loop)
    return "out of memory";
  if (!nest_loops(k, inst))
    why = "the loops of the program image do not nest";
  for (uint32_t pc = 0; pc < k->e->insts.count && !why; pc++)
    if (!inst_ok(k, inst, pc))
      why = "an instruction of the program image is malformed";
  free(k->loop);
  return why;
}

fv_exec_image fv_exec_view(const void *image) {
  fv_exec_image im = {.base = image, .head = image};
  im.symbol = fv_exec_table(&im, im.head->symbols);
  im.state = fv_exec_table(&im, im.head->states);
  im.kernel = fv_exec_table(&im, im.head->kernels);
  im.site = fv_exec_table(&im, im.head->sites);
  im.entry = fv_exec_table(&im, im.head->entries);
  return im;
}

int32_t fv_exec_open(const void *image, uint64_t size, fv_exec_image *out, const char **why) {
  fv_exec_image im = {.base = image, .head = image};
  checker k = {.im = &im};
  const char *bad = check_head(&k, image, size);
  if (!bad) {
    im = fv_exec_view(image);
    bad = check_module(&k);
  }
  for (uint32_t i = 0; !bad && i < im.head->entries.count; i++) {
    k.e = &im.entry[i];
    bad = check_entry(&k);
  }
  if (why)
    *why = bad ? bad : "";
  if (bad)
    return FV_MODEL_ERR_IMAGE;
  *out = im;
  return FV_MODEL_OK;
}

int32_t fv_exec_find_entry(const fv_exec_image *im, const char *name) {
  for (uint32_t i = 0; i < im->head->entries.count; i++)
    if (strcmp(fv_exec_string(im, im->entry[i].name), name) == 0)
      return (int32_t)i;
  return -1;
}
