// SPDX-License-Identifier: Apache-2.0
// `if`: arms of a few steps that see the values around them, and give values of
// one type or, along one axis, of different dims.
#include "tests/fuzz/gen.h"

enum { MAX_GIVEN = 3 };

typedef struct branch {
  fv_node *node;
  fv_region *outer;
  int values;  // of g->value: those outside
  val given[MAX_GIVEN];
  int n_given;
  bool exact;
} branch;

// An input, or a comparison of numbers that are exact.
static val condition(gen *g) {
  for (int tries = 0; tries < 3; tries++) {
    const val a = gen_pick(g);
    if (!a.exact || a.v->type.dtype == FV_bool)
      continue;
    fv_node *n = gen_node(g, FV_OP_reduce_max, 1, &a);
    fv_attr_set_bool(n, "keepdims", false);
    if (!gen_done(g, n, a))
      continue;
    const val in[] = {gen_last(g), gen_fresh(g, 'n', a.v->type.dtype, 0, NULL)};
    if (gen_op(g, FV_OP_less, 2, in, (val){.exact = true, .mag = 1}))
      return gen_last(g);
  }
  return gen_fresh(g, 'n', FV_bool, 0, NULL);
}

static void begin_arm(gen *g, branch *b, int arm) {
  g->n = b->values;
  g->region = b->node->body[arm];
  gen_steps(g, gen_int(g, 0, 4));
}

static void give(gen *g, branch *b, int i, val a) {
  fv_region_add_result(g->region, a.v);
  b->given[i].exact = b->given[i].exact && a.exact;
  b->given[i].mag = a.mag > b->given[i].mag ? a.mag : b->given[i].mag;
}

// A part of `a` along one axis, or a itself: arms of different dims.
static val part_of(gen *g, val a) {
  if (!a.v->type.rank || gen_chance(g, 0.5))
    return a;
  fv_node *n = gen_node(g, FV_OP_slice, 1, &a);
  fv_attr_set_int(n, "axis", gen_int(g, 0, a.v->type.rank - 1));
  fv_attr_set_expr(n, "end", gen_i64(g, gen_int(g, 0, 4)));
  return gen_done(g, n, a) ? gen_last(g) : a;
}

// A value that the other arm may give where this one gives `a`.
static val match(gen *g, val a) {
  for (int i = g->n - 1; i >= 0; i--) {
    const fv_type *t = &g->value[i].v->type;
    if (t->dtype == a.v->type.dtype && t->rank == a.v->type.rank && gen_chance(g, 0.4))
      return part_of(g, g->value[i]);
  }
  return gen_fresh(g, 0, a.v->type.dtype, a.v->type.rank, a.v->type.dim);
}

// How large the dims may be that the arms give differently.
static bool note_symbols(gen *g, const fv_node *n) {
  const fv_attr *symbols = fv_attr_get(n, "symbols");
  int at = 0;
  for (int i = 0; i < n->n_out; i++)
    for (int d = 0; d < n->out[i]->type.rank; d++, at++) {
      if (at >= symbols->n || symbols->ints[at] < 0)
        continue;
      if (symbols->ints[at] >= (int64_t)FV_COUNTOF(g->largest))
        return false;
      int64_t most = 0;
      for (int b = 0; b < 2; b++) {
        int64_t v = 0;
        if (!fv_x_eval_i64(n->body[b]->result[i]->type.dim[d], g->largest, &v))
          return false;
        most = v > most ? v : most;
      }
      g->largest[symbols->ints[at]] = most;
    }
  return true;
}

static bool generate(gen *g, branch *b) {
  begin_arm(g, b, 0);
  for (int i = gen_int(g, 1, MAX_GIVEN); i > 0; i--) {
    const val a = part_of(g, gen_pick(g));
    if (a.v->type.rank > 4)
      continue;
    b->given[b->n_given] = a;
    give(g, b, b->n_given++, a);
  }
  begin_arm(g, b, 1);
  for (int i = 0; i < b->n_given; i++)
    give(g, b, i, match(g, b->given[i]));
  g->n = b->values;
  g->region = b->outer;
  val like = {.exact = true};
  for (int i = 0; i < b->n_given; i++) {
    like.exact = like.exact && (b->given[i].exact || !gen_is_real(&b->given[i]));
    like.mag = b->given[i].mag > like.mag ? b->given[i].mag : like.mag;
  }
  like.min = -like.mag;
  if (!b->n_given || fv_infer_node(b->node, &g->silent) != FV_OK || !note_symbols(g, b->node))
    return false;
  return gen_done(g, b->node, like);
}

bool gen_if(gen *g) {
  // Each axis of a result may need a symbol, and there is room for few.
  if (g->depth >= 3 || fv_symbol_count(g->m->pool) + 12 > FV_COUNTOF(g->largest))
    return false;
  const val cond = condition(g);
  branch b = {.outer = g->region, .values = g->n};
  b.node = gen_node(g, FV_OP_if, 1, &cond);
  g->depth++;
  const bool done = generate(g, &b);
  g->depth--;
  g->region = b.outer;
  if (!done)
    g->n = b.values;
  return done;
}
