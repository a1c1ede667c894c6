// SPDX-License-Identifier: Apache-2.0
// What became of the graph: the groups, for people, and the test of `expect`,
// which says how an element of the model must be computed.
#include <string.h>

#include "lower/group.h"

static bool is_grouped(const lw *l, const fv_node *n) {
  return n->meaning && n->n_out && l->group[n->out[0]->id] &&
         l->group[n->out[0]->id] != &lw_rematerialised;
}

void lw_record_groups(lw *l, fv_graph *g) {
  fv_lentry *e = l->entry;
  for (fv_node *n = fv_walk_first(g->region); n; n = fv_walk_next(g->region, n)) {
    if (!is_grouped(l, n))
      continue;
    lw_group *from = l->group[n->out[0]->id];
    if (!from->number) {
      const fv_lgroup x = {.family = from->family->name, .apart = l->why[from->root->out[0]->id]};
      FV_PUSH(l->arena, e->group, e->n_group, e->cap_group, x);
      from->number = (uint32_t)e->n_group;
    }
    fv_lgroup *to = &e->group[from->number - 1];
    FV_PUSH(l->arena, to->node, to->n_node, to->cap_node, n);
    if (l->stored[n->out[0]->id])
      FV_PUSH(l->arena, to->stored, to->n_stored, to->cap_stored, n);
  }
}

//===-- What is expected --------------------------------------------------------------===//

enum { MAX_KERNELS = 8 };  // of an element that are told apart

// An element of the model: the nodes that share a pointer, which stand together.
typedef struct element {
  const char *expect;
  const fv_node *first, *last;
  const lw_group *group[MAX_KERNELS];
  int n_group;    // MAX_KERNELS + 1: more
  bool repeated;  // the last node is movement that every user repeats
} element;

static void add_node(const lw *l, element *x, const fv_node *n) {
  x->last = n;
  x->repeated = n->n_out && l->group[n->out[0]->id] == &lw_rematerialised;
  if (!is_grouped(l, n))
    return;
  const lw_group *g = l->group[n->out[0]->id];
  for (int i = 0; i < x->n_group && i < MAX_KERNELS; i++)
    if (x->group[i] == g)
      return;
  if (x->n_group < MAX_KERNELS)
    x->group[x->n_group] = g;
  if (x->n_group <= MAX_KERNELS)
    x->n_group++;
}

static const fv_node *next_of(fv_graph *g, const fv_node *n) {
  return fv_walk_next(g->region, (fv_node *)(uintptr_t)n);
}

static void note_apart(lw *l, const fv_node *n) {
  const lw_why why = l->why[n->out[0]->id];
  if (why)
    fv_note(l->diag, fv_node_span(n), "the result of '%s' goes through memory: %s",
            fv_op_get(n->op)->name, why);
}

// What keeps the element from being one kernel, or a part of the kernel of its operands.
static void note_reasons(lw *l, fv_graph *g, const element *x, bool of_operands) {
  for (const fv_node *n = x->first; n; n = n == x->last ? NULL : next_of(g, n)) {
    for (int i = 0; of_operands && i < n->n_in; i++) {
      const fv_node *def = n->in[i] ? n->in[i]->def : NULL;
      if (def && def->expect != x->expect && is_grouped(l, def))
        note_apart(l, def);
    }
    if (!of_operands && n != x->last && is_grouped(l, n))
      note_apart(l, n);
  }
}

static const char *kernels_text(lw *l, const element *x) {
  fv_str s = {.arena = l->arena};
  for (int i = 0; i < x->n_group && i < MAX_KERNELS; i++)
    fv_str_printf(&s, "%s%s", i ? ", " : "", x->group[i]->family->name);
  fv_str_puts(&s, x->n_group > MAX_KERNELS ? ", ..." : "");
  return s.data;
}

static fv_status test_element(lw *l, fv_graph *g, const element *x) {
  const fv_span *at = fv_node_span(x->last);
  const bool fused = strcmp(x->expect, "fused") == 0;
  if (x->n_group == 0)
    return fused && x->repeated
               ? FV_OK
               : fv_error(l->diag, FV_ERR_NO, at, "expected '%s', but %s", x->expect,
                          x->repeated ? "this is movement, done within the kernels that use it"
                                      : "no kernel computes this");
  const lw_group *of = l->group[x->last->out[0]->id];
  if (fused && (x->repeated || !lw_is_written(l, x->last->out[0])))
    return FV_OK;
  if (fused) {
    const lw_why why = l->why[x->last->out[0]->id];
    return fv_error(l->diag, FV_ERR_NO, at,
                    "expected 'fused', but this writes its result to memory, by a kernel of the "
                    "family '%s'%s%s",
                    of->family->name, why ? ": " : "", why ? why : "");
  }
  if (x->n_group == 1 && strcmp(x->group[0]->family->name, x->expect) == 0)
    return FV_OK;
  const fv_status s =
      x->n_group == 1
          ? fv_error(l->diag, FV_ERR_NO, at, "expected '%s', but this is computed by '%s'",
                     x->expect, kernels_text(l, x))
          : fv_error(l->diag, FV_ERR_NO, at,
                     "expected one kernel '%s', but several compute this: %s", x->expect,
                     kernels_text(l, x));
  note_reasons(l, g, x, x->n_group == 1);
  return s;
}

fv_status lw_test_expect(lw *l, fv_graph *g) {
  element x = {0};
  fv_status result = FV_OK;
  for (const fv_node *n = fv_walk_first(g->region);; n = next_of(g, n)) {
    if (x.expect && (!n || n->expect != x.expect)) {
      const fv_status s = test_element(l, g, &x);
      result = s == FV_OK ? result : s;
      x = (element){0};
    }
    if (!n)
      return result;
    if (n->expect && !x.expect)
      x = (element){.expect = n->expect, .first = n};
    if (n->expect)
      add_node(l, &x, n);
  }
}
