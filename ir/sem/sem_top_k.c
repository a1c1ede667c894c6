// SPDX-License-Identifier: Apache-2.0
// top_k: the first k of a line in a strict total order, so that the answer is
// one whatever the machine. The k best so far are a heap with the last of them
// at its root: an element that does not come before the root costs one
// comparison, another one log2(k). Sorting the heap in place then gives the
// results in their order. Williams, "Algorithm 232: Heapsort" (1964).
#include "ir/kernel/kernel.h"
#include "ir/sem/sem_util.h"

// Buffers of the kernel: the operand, the results; then the heap's scratch.
enum { IN, VALUES, INDICES };

typedef struct top_k {
  fv_kb *kb;
  bool largest;
  fv_dtype type;        // what is compared
  int64_t k, levels;    // levels: of the heap, below its root
  int heap_x, heap_at;  // scratch: the values and where in the line they stand
  fv_kv in, out, step;  // of a line: offset of its first elements, their distance
} top_k;

// An element of a line: its value and its number.
typedef struct element {
  fv_kv x, at;
} element;

static fv_kv op2(const top_k *t, fv_scalar_op op, fv_kv a, fv_kv b) {
  return fv_kb_op(t->kb, op, a, b, FV_K_NONE);
}
static fv_kv op1(const top_k *t, fv_scalar_op op, fv_kv a) {
  return fv_kb_op(t->kb, op, a, FV_K_NONE, FV_K_NONE);
}
static fv_kv num(const top_k *t, int64_t v) {
  return fv_kb_i64(t->kb, v);
}

// Does a come before b? By value, NaN as the largest, equal values by number.
static fv_kv before(const top_k *t, element a, element b) {
  fv_kv first = t->largest ? op2(t, FV_X_LT, b.x, a.x) : op2(t, FV_X_LT, a.x, b.x);
  fv_kv same = op2(t, FV_X_EQ, a.x, b.x);
  if (fv_dtype_is_float(t->type)) {
    const fv_kv nan_a = op1(t, FV_X_IS_NAN, a.x), nan_b = op1(t, FV_X_IS_NAN, b.x);
    const fv_kv wins = t->largest ? nan_a : nan_b, loses = t->largest ? nan_b : nan_a;
    first = op2(t, FV_X_OR, first, op2(t, FV_X_AND, wins, op1(t, FV_X_NOT, loses)));
    same = op2(t, FV_X_OR, same, op2(t, FV_X_AND, nan_a, nan_b));
  }
  const fv_kv tie = op2(t, FV_X_AND, same, op2(t, FV_X_LT, a.at, b.at));
  return op2(t, FV_X_OR, first, tie);
}

//===-- The heap ----------------------------------------------------------===//

static element heap_get(const top_k *t, fv_kv slot) {
  return (element){fv_kb_load(t->kb, t->heap_x, slot, 1, FV_K_NONE),
                   fv_kb_load(t->kb, t->heap_at, slot, 1, FV_K_NONE)};
}

static void heap_set(const top_k *t, fv_kv slot, element e) {
  fv_kb_store(t->kb, t->heap_x, slot, e.x, FV_K_NONE);
  fv_kb_store(t->kb, t->heap_at, slot, e.at, FV_K_NONE);
}

// Puts e where `slot` is free, in a heap of `size` elements: what comes after it
// moves up. The heap is as deep as k says; below the slot of e nothing is done.
static void sift_down(const top_k *t, fv_kv slot, element e, fv_kv size) {
  fv_kb *kb = t->kb;
  const fv_kv free_slot = fv_kb_var(kb, slot);
  const fv_kv child = fv_kb_var(kb, fv_kb_add(kb, slot, fv_kb_add(kb, slot, num(t, 1))));
  fv_kb_for(kb, num(t, 0), num(t, t->levels), 1);
  const fv_kv left = fv_kb_get(kb, child);
  fv_kb_if(kb, op2(t, FV_X_LT, left, size));
  const fv_kv right =
      op2(t, FV_X_MIN, fv_kb_add(kb, left, num(t, 1)), fv_kb_sub(kb, size, num(t, 1)));
  const element l = heap_get(t, left), r = heap_get(t, right);
  const fv_kv second = before(t, l, r);
  const element last = {fv_kb_op(kb, FV_X_SELECT, second, r.x, l.x),
                        fv_kb_op(kb, FV_X_SELECT, second, r.at, l.at)};
  const fv_kv from = fv_kb_op(kb, FV_X_SELECT, second, right, left);
  fv_kb_if(kb, before(t, e, last));
  heap_set(t, fv_kb_get(kb, free_slot), last);
  fv_kb_set(kb, free_slot, from);
  fv_kb_set(kb, child, fv_kb_add(kb, from, fv_kb_add(kb, from, num(t, 1))));
  fv_kb_else(kb);
  fv_kb_set(kb, child, size);  // no further
  fv_kb_end(kb);
  fv_kb_end(kb);
  fv_kb_end(kb);
  heap_set(t, fv_kb_get(kb, free_slot), e);
}

//===-- A line ------------------------------------------------------------===//

static element line_get(const top_k *t, fv_kv at) {
  const fv_kv offset = fv_kb_add(t->kb, t->in, fv_kb_mul(t->kb, at, t->step));
  return (element){fv_kb_cast(t->kb, t->type, fv_kb_load(t->kb, IN, offset, 1, FV_K_NONE)), at};
}

// The first k elements, then a heap of them from its lowest parents up.
static void fill(const top_k *t) {
  fv_kb *kb = t->kb;
  const fv_kv i = fv_kb_for(kb, num(t, 0), num(t, t->k), 1);
  heap_set(t, i, line_get(t, i));
  fv_kb_end(kb);
  const fv_kv n = fv_kb_for(kb, num(t, 0), num(t, t->k / 2), 1);
  const fv_kv parent = fv_kb_sub(kb, num(t, t->k / 2 - 1), n);
  sift_down(t, parent, heap_get(t, parent), num(t, t->k));
  fv_kb_end(kb);
}

// Each other element takes the slot of the last one kept, if it comes before it.
static void scan(const top_k *t, fv_kv extent) {
  fv_kb *kb = t->kb;
  const fv_kv i = fv_kb_for(kb, num(t, t->k), extent, 1);
  const element e = line_get(t, i);
  fv_kb_if(kb, before(t, e, heap_get(t, num(t, 0))));
  sift_down(t, num(t, 0), e, num(t, t->k));
  fv_kb_end(kb);
  fv_kb_end(kb);
}

// The root is the last result, then the last but one, as the heap shrinks.
static void drain(const top_k *t) {
  fv_kb *kb = t->kb;
  const fv_kv n = fv_kb_for(kb, num(t, 1), num(t, t->k + 1), 1);
  const fv_kv size = fv_kb_sub(kb, num(t, t->k), n);
  const element root = heap_get(t, num(t, 0)), e = heap_get(t, size);
  const fv_kv to = fv_kb_add(kb, t->out, fv_kb_mul(kb, size, t->step));
  fv_kb_store(kb, VALUES, to, fv_kb_cast(kb, fv_kb_buffer_dtype(kb, VALUES), root.x), FV_K_NONE);
  fv_kb_store(kb, INDICES, to, root.at, FV_K_NONE);
  sift_down(t, num(t, 0), e, size);
  fv_kb_end(kb);
}

//===-- The op ------------------------------------------------------------===//

// A block is one element of the dims before the axis; the dims after it are a
// loop in the block.
static void build_top_k(const fv_node *node, struct fv_kb *kb) {
  const fv_type *x = &node->in[0]->type;
  const int64_t given = fv_attr_int(node, "axis");
  const int axis = (int)(given < 0 ? given + x->rank : given);
  top_k t = {.kb = kb,
             .largest = fv_attr_bool(node, "largest"),
             .type = fv_dtype_compute(x->dtype),
             .k = fv_attr_int(node, "k")};
  if (t.k == 0)
    return;
  while (t.k >> (t.levels + 1))
    t.levels++;
  fv_xpool *pool = node->region->graph->module->pool;
  t.heap_x = fv_kb_scratch(kb, t.type, fv_x_i64(pool, t.k));
  t.heap_at = fv_kb_scratch(kb, FV_i64, fv_x_i64(pool, t.k));
  const fv_kv extent = fv_kb_host(kb, x->dim[axis]);
  fv_kv inner = fv_kb_i64(kb, 1);
  for (int i = axis + 1; i < x->rank; i++)
    inner = fv_kb_mul(kb, inner, fv_kb_host(kb, x->dim[i]));
  const fv_kv block = fv_kb_block(kb);
  const fv_kv in = fv_kb_mul(kb, fv_kb_mul(kb, block, extent), inner);
  const fv_kv out = fv_kb_mul(kb, fv_kb_mul(kb, block, num(&t, t.k)), inner);
  const fv_kv j = fv_kb_for(kb, fv_kb_i64(kb, 0), inner, 1);
  t.in = fv_kb_add(kb, in, j);
  t.out = fv_kb_add(kb, out, j);
  t.step = inner;
  fill(&t);
  scan(&t, extent);
  drain(&t);
  fv_kb_end(kb);
}

fv_status fv_sem_top_k(fv_sem *s) {
  fv_type values = *fv_sem_type(s, 0);
  int axis;
  FV_TRY(fv_sem_want_class(s, 0, FV_CLASS_NUMBER));
  FV_TRY(fv_sem_want_rank(s, 0, 1, FV_MAX_RANK));
  FV_TRY(fv_sem_axis(s, "axis", values.rank, &axis));
  FV_TRY(fv_sem_int_in(s, "k", 0, INT32_MAX));
  const fv_expr *k = fv_x_i64(s->pool, fv_attr_int(s->node, "k"));
  const fv_truth fits = fv_sem_need(s, FV_REL_LE, k, values.dim[axis],
                                    fv_arena_printf(s->arena, "k and axis %d of 'x'", axis));
  if (fits != FV_YES)
    return fv_sem_error(
        s, "k = %s %s the extent %s of axis %d%s (%s)", fv_sem_dim_text(s, k),
        fits == FV_NO ? "exceeds" : "may exceed", fv_sem_dim_text(s, values.dim[axis]), axis,
        fits == FV_NO ? "" : "; declare a larger min for its dims", fv_sem_shapes(s));
  values.dim[axis] = k;
  values.layout = (fv_layout){0};
  fv_type indices = values;
  indices.dtype = FV_i64;
  fv_sem_add_result(s, &values);
  fv_sem_add_result(s, &indices);
  return fv_sem_kernel(s, axis, build_top_k);
}
