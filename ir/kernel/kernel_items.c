// SPDX-License-Identifier: Apache-2.0
// Work-items as loops: from a kernel that n work-items of a block run together
// to one that does the work of the whole block by itself.
//
// The code is cut at its barriers, and at structures that hold one, into
// pieces; each piece becomes a loop over the items, so all have passed a
// barrier before one goes on (Karrenberg and Hack, "Improving performance of
// OpenCL on CPUs", 2012, has the general form). Values that are the same in
// all items are computed once, in front of the loop of their piece; others
// that a later piece uses, and registers of several pieces, get an element per
// item in the group scratch.
#include "ir/kernel/kernel_build.h"

typedef struct cutting {
  fv_kb *from, *to;
  const uint8_t *live;
  // Per instruction of `from`:
  bool *same;                  // the same in all items that come to it
  bool *top;                   // not within a structure that is in one piece
  bool *once;                  // computed in front of the loop
  bool *holds;                 // part of a structure that holds a barrier
  bool *kept;                  // needed in another piece than its own
  uint32_t *piece;             // in which it is
  int64_t *slot;               // if kept: where its elements begin, in elements of one item
  fv_kv *map;                  // its value in `to`
  fv_kv item;                  // the index of the loop that is built
  int buffer[FV_DTYPE_COUNT];  // of what is kept, by element type
} cutting;

static bool opens(const fv_kinst *in) {
  return in->op == FV_K_FOR || in->op == FV_K_IF;
}

static bool is_structure(const fv_kinst *in) {
  return opens(in) || in->op == FV_K_ELSE || in->op == FV_K_END;
}

static bool is_leaf(const fv_kinst *in) {
  return in->op == FV_K_CONST || in->op == FV_K_SCALAR || in->op == FV_K_BLOCK;
}

static bool is_access(const fv_kinst *in) {
  return in->op == FV_K_GET || in->op == FV_K_SET;
}

//===-- Structure -------------------------------------------------------------===//

typedef struct open_list {
  uint32_t *head;
  size_t n, cap;
} open_list;

static void find_barriers(cutting *c) {
  fv_kb *kb = c->from;
  open_list open = {0};
  for (uint32_t i = 0; i < kb->n; i++) {
    const fv_kinst *in = &kb->inst[i];
    if (!c->live[i])
      continue;
    if (opens(in))
      FV_PUSH(kb->arena, open.head, open.n, open.cap, i);
    else if (in->op == FV_K_END)
      open.n--;
    for (size_t k = open.n; in->op == FV_K_BARRIER && k-- > 0 && !c->holds[open.head[k]];)
      c->holds[open.head[k]] = true;
  }
}

// Fills holds of ELSE and END as of their heads, top and piece.
static void cut(cutting *c) {
  fv_kb *kb = c->from;
  open_list open = {0};
  size_t whole = 0;  // open structures that are in one piece
  uint32_t piece = 0;
  for (uint32_t i = 0; i < kb->n; i++) {
    const fv_kinst *in = &kb->inst[i];
    if (!c->live[i])
      continue;
    if (in->op == FV_K_ELSE || in->op == FV_K_END)
      c->holds[i] = c->holds[open.head[open.n - 1]];
    if (in->op == FV_K_END) {
      open.n--;
      whole -= !c->holds[i];
    }
    c->top[i] = whole == 0 && !(is_structure(in) && !c->holds[i]);
    if (opens(in)) {
      FV_PUSH(kb->arena, open.head, open.n, open.cap, i);
      whole += !c->holds[i];
    }
    const bool alone = in->op == FV_K_BARRIER || (is_structure(in) && c->holds[i]);
    piece += alone;
    c->piece[i] = piece;
    piece += alone;
  }
}

//===-- What is the same in all items -----------------------------------------===//

static bool all_of(const bool *is, const fv_kinst *in) {
  return (in->a == FV_K_NONE || is[in->a]) && (in->b == FV_K_NONE || is[in->b]) &&
         (in->c == FV_K_NONE || is[in->c]);
}

static bool is_same(const cutting *c, const fv_kinst *in) {
  if (in->op == FV_K_LOAD || in->op == FV_K_GATHER) {
    const fv_kbuffer *b = &c->from->buffer[in->buf].code;
    if (b->written || b->aliases)
      return false;
  }
  return in->op != FV_K_ITEM && all_of(c->same, in);
}

// From "all are" down: each walk but the last finds a register that is set to what is not.
static void find_same(cutting *c) {
  const fv_kb *kb = c->from;
  for (size_t i = 0; i < kb->n; i++)
    c->same[i] = true;
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 0; i < kb->n; i++) {
      const fv_kinst *in = &kb->inst[i];
      if (!c->live[i])
        continue;
      c->same[i] = c->same[i] && is_same(c, in);
      if (in->op == FV_K_SET && c->same[in->a] && !c->same[i]) {
        c->same[in->a] = false;
        changed = true;
      }
    }
  }
}

// What is computed in front of the loops, in its order. It uses nothing that is not, so a register
// that items set on ways of their own is not, and nothing that depends on it.
static void find_once(cutting *c) {
  const fv_kb *kb = c->from;
  for (uint32_t i = 0; i < kb->n; i++)
    c->once[i] = c->same[i];
  for (uint32_t i = 0; i < kb->n; i++)  // it is used within a loop
    if (c->live[i] && is_access(&kb->inst[i]) && !c->top[i])
      c->once[kb->inst[i].a] = false;
  for (uint32_t i = 0; i < kb->n; i++) {
    const fv_kinst *in = &kb->inst[i];
    switch (in->op) {
    case FV_K_STORE:
    case FV_K_SCATTER:
    case FV_K_PREFETCH:
    case FV_K_CHECK: c->once[i] = false; break;
    default: c->once[i] = is_leaf(in) || (c->once[i] && c->top[i] && all_of(c->once, in)); break;
    }
    if (c->live[i] && opens(in) && c->holds[i] && !c->once[i])
      fv_arena_bug(kb->arena, "a barrier that not all work-items may come to");
  }
}

//===-- What lives longer than a piece ----------------------------------------===//

static void keep(cutting *c, fv_kv v, uint32_t piece, int64_t n_slot[FV_DTYPE_COUNT]) {
  if (v == FV_K_NONE || c->once[v] || c->kept[v] || c->piece[v] == piece ||
      c->from->inst[v].op == FV_K_ITEM)
    return;
  const fv_kinst *in = &c->from->inst[v];
  c->kept[v] = true;
  c->slot[v] = n_slot[in->dtype];
  n_slot[in->dtype] += in->lanes;
}

static void find_kept(cutting *c) {
  const fv_kb *kb = c->from;
  int64_t n_slot[FV_DTYPE_COUNT] = {0};
  for (uint32_t i = 0; i < kb->n; i++) {
    const fv_kinst *in = &kb->inst[i];
    if (!c->live[i] || c->once[i])
      continue;
    keep(c, in->a, c->piece[i], n_slot);
    keep(c, in->b, c->piece[i], n_slot);
    keep(c, in->c, c->piece[i], n_slot);
  }
  for (int t = 0; t < FV_DTYPE_COUNT; t++)
    if (n_slot[t])
      c->buffer[t] =
          fv_kb_scratch(c->to, (fv_dtype)t, fv_x_i64(kb->pool, n_slot[t] * (int64_t)kb->n_item));
}

static fv_kv slot_of(const cutting *c, fv_kv v) {
  fv_kb *kb = c->to;
  const int64_t first = c->slot[v] * (int64_t)c->from->n_item;
  return fv_kb_add(kb, fv_kb_i64(kb, first),
                   fv_kb_mul(kb, c->item, fv_kb_i64(kb, c->from->inst[v].lanes)));
}

static void put(const cutting *c, fv_kv v, fv_kv value) {
  fv_kb_store(c->to, c->buffer[c->from->inst[v].dtype], slot_of(c, v), value, FV_K_NONE);
}

static fv_kv take(const cutting *c, fv_kv v) {
  const fv_kinst *in = &c->from->inst[v];
  return fv_kb_load(c->to, c->buffer[in->dtype], slot_of(c, v), in->lanes, FV_K_NONE);
}

//===-- Building --------------------------------------------------------------===//

// Operand v of an instruction in this piece.
static fv_kv operand(const cutting *c, fv_kv v, uint32_t piece) {
  if (v == FV_K_NONE)
    return v;
  if (c->from->inst[v].op == FV_K_ITEM)
    return c->item;
  return c->kept[v] && c->piece[v] != piece ? take(c, v) : c->map[v];
}

static void build_again(cutting *c, uint32_t i) {
  const fv_kinst *in = &c->from->inst[i];
  const uint32_t piece = c->piece[i];
  if (in->op == FV_K_ITEM)
    return;
  if (in->op == FV_K_VAR && c->kept[i]) {
    put(c, i, operand(c, in->a, piece));
  } else if (in->op == FV_K_SET && c->kept[in->a]) {
    put(c, in->a, operand(c, in->b, piece));
  } else {
    c->map[i] = in->op == FV_K_GET && c->kept[in->a]
                    ? take(c, in->a)
                    : fv__kb_replay(c->to, in, operand(c, in->a, piece), operand(c, in->b, piece),
                                    operand(c, in->c, piece));
    if (c->kept[i])
      put(c, i, c->map[i]);
  }
}

// Builds the piece that begins at i; returns where the next one does.
static uint32_t build_piece(cutting *c, uint32_t i) {
  const fv_kb *kb = c->from;
  uint32_t end = i;
  bool rest = false;
  for (; end < kb->n && (!c->live[end] || c->piece[end] == c->piece[i]); end++) {
    if (c->live[end] && c->once[end])
      build_again(c, end);
    else
      rest |= c->live[end] && kb->inst[end].op != FV_K_ITEM;
  }
  if (!rest)
    return end;
  c->item = fv_kb_for(c->to, fv_kb_i64(c->to, 0), fv_kb_i64(c->to, kb->n_item), 1);
  for (uint32_t k = i; k < end; k++)
    if (c->live[k] && !c->once[k])
      build_again(c, k);
  fv_kb_end(c->to);
  return end;
}

fv_kb *fv_kb_item_loops(fv_kb *kb) {
  if (kb->n_item <= 1)
    return kb;
  fv_arena *ar = kb->arena;
  cutting c = {.from = kb,
               .to = fv__kb_successor(kb),
               .live = fv__kb_live(kb),
               .same = FV_NEW_N(ar, bool, kb->n),
               .top = FV_NEW_N(ar, bool, kb->n),
               .once = FV_NEW_N(ar, bool, kb->n),
               .holds = FV_NEW_N(ar, bool, kb->n),
               .kept = FV_NEW_N(ar, bool, kb->n),
               .piece = FV_NEW_N(ar, uint32_t, kb->n),
               .slot = FV_NEW_N(ar, int64_t, kb->n),
               .map = FV_NEW_N(ar, fv_kv, kb->n)};
  c.to->n_item = 1;
  find_barriers(&c);
  cut(&c);
  find_same(&c);
  find_once(&c);
  find_kept(&c);
  for (uint32_t i = 0; i < kb->n; i++)
    if (c.live[i] && is_leaf(&kb->inst[i]))
      build_again(&c, i);
  for (uint32_t i = 0; i < kb->n;) {
    const fv_kinst *in = &kb->inst[i];
    const bool structure = c.live[i] && is_structure(in) && c.holds[i];
    if (!c.live[i] || in->op == FV_K_BARRIER || structure) {
      if (structure)
        build_again(&c, i);
      i++;
    } else {
      i = build_piece(&c, i);
    }
  }
  FV_CHECK(ar, c.to->n_scope == 0);
  return c.to;
}
