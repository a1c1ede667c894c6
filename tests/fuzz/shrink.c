// SPDX-License-Identifier: Apache-2.0
// Makes a failing module small: drops outputs, cuts values loose (a node becomes
// an input), takes one arm of an if, lets values pass their node by, while the verdict
// stays the same.
#include <string.h>
#include <time.h>

#include "ir/sem/sem.h"
#include "tests/fuzz/check.h"

enum { SECONDS = 120 };  // when it is small enough

typedef struct shrinker {
  const fuzz_settings *set;
  fuzz_verdict verdict;
  fv_str *text;  // the smallest so far
  fv_arena *keep;
} shrinker;

// One change of the module; false if there is none with number `at`.
typedef bool (*change)(fv_module *m, int at);

static fv_node *node_at(fv_graph *g, int at) {
  fv_node *n = fv_walk_first(g->region);
  while (n && at-- > 0)
    n = fv_walk_next(g->region, n);
  return n;
}

static bool drop_output(fv_module *m, int at) {
  fv_graph *g = m->graph[0];
  fv_region *r = g->region;
  if (at >= r->n_result || r->n_result < 2)
    return false;
  for (int i = at; i + 1 < r->n_result; i++) {
    r->result[i] = r->result[i + 1];
    g->output_name[i] = g->output_name[i + 1];
  }
  r->n_result--;
  return true;
}

static void replace(fv_graph *g, const fv_value *v, fv_value *by) {
  fv_value **forward = FV_NEW_N(g->module->arena, fv_value *, g->module->n_value);
  forward[v->id] = by;
  fv_graph_forward(g, forward, g->module->n_value);
}

static bool uses_counter(const fv_module *m, const fv_expr *e) {
  if (e->kind == FV_E_SYM && fv_symbol_get(m->pool, e->ref)->kind != FV_SYM_DIM)
    return true;
  for (int i = 0; i < e->n; i++)
    if (uses_counter(m, e->arg[i]))
      return true;
  return false;
}

static bool cut_loose(fv_module *m, int at) {
  fv_graph *g = m->graph[0];
  fv_node *n = node_at(g, at);
  if (!n)
    return false;
  for (int i = 0; i < n->n_out; i++) {
    const fv_type *t = &n->out[i]->type;
    bool plain = true;
    for (int d = 0; d < t->rank; d++)
      plain = plain && !uses_counter(m, t->dim[d]);
    if (!plain)
      continue;
    bool exact = false;
    for (int k = 0; k < g->region->n_result; k++)
      exact = exact || g->output_name[k][0] == 'e';
    const char kind = exact || !fv_dtype_is_float(t->dtype) ? 'n' : 'r';
    replace(g, n->out[i],
            fv_graph_add_input(g, fv_arena_printf(m->arena, "%c_%u", kind, m->n_value), t));
  }
  return true;
}

// Operand at % 4 of node at / 4 takes the place of its first result.
static bool pass_by(fv_module *m, int at) {
  fv_graph *g = m->graph[0];
  fv_node *n = node_at(g, at / 4);
  if (!n)
    return false;
  const int i = at % 4;
  if (i < n->n_in && n->n_out && n->in[i] && fv_type_eq(&n->in[i]->type, &n->out[0]->type))
    replace(g, n->out[0], n->in[i]);
  return true;
}

// An arm takes the place of its `if`, where no dim tells the arms apart.
static bool take_arm(fv_module *m, int at) {
  fv_graph *g = m->graph[0];
  fv_node *n = node_at(g, at / 2);
  if (!n)
    return false;
  if (n->op != FV_OP_if)
    return true;
  fv_region *arm = n->body[at % 2];
  for (int i = 0; i < n->n_out; i++)
    if (!fv_type_eq(&n->out[i]->type, &arm->result[i]->type))
      return true;
  for (int i = 0; i < n->n_out; i++)
    replace(g, n->out[i], arm->result[i]);
  fv_region_inline(arm, n);
  fv_node_remove(n);
  return true;
}

static void drop_unused_inputs(fv_module *m) {
  fv_graph *g = m->graph[0];
  fv_region *r = g->region;
  uint32_t *uses = FV_NEW_N(m->arena, uint32_t, m->n_value);
  fv_graph_drop_dead(g);
  fv_graph_count_uses(g, uses);
  int n = 0;
  for (int i = 0; i < r->n_param; i++) {
    if (!uses[r->param[i]->id])
      continue;
    g->input_name[n] = g->input_name[i];
    r->param[n] = r->param[i];
    r->param[n]->index = (uint32_t)n;
    n++;
  }
  r->n_param = n;
}

typedef struct attempt {
  shrinker *s;
  change f;
  int at;
  fv_arena *arena;
  fv_str out;
  bool more;
} attempt;

static fv_status apply(void *user) {
  attempt *a = user;
  fv_module *m;
  fv_diag_sink silent = {0};
  FV_TRY(fv_text_parse(a->arena, "fuzz.fvt", a->s->text->data, a->s->text->size, NULL, NULL,
                       &silent, &m));
  a->more = a->f(m, a->at);
  if (!a->more)
    return FV_ERR_NO;
  drop_unused_inputs(m);
  fv_text_print(m, &a->out);
  return FV_OK;
}

// Tries change number `at`; *more: is there such a one?
static bool attempt_one(shrinker *s, change f, int at, bool *more) {
  attempt a = {.s = s, .f = f, .at = at, .arena = fv_arena_create(NULL), .more = true};
  a.out.arena = a.arena;
  bool better = a.arena && fv_arena_protect(a.arena, apply, &a, NULL) == FV_OK;
  *more = a.more;
  better =
      better && (a.out.size != s->text->size || memcmp(a.out.data, s->text->data, a.out.size) != 0);
  better = better && fuzz_check_apart(s->set, a.out.data, a.out.size) == s->verdict;
  if (better) {
    *s->text = (fv_str){.arena = s->keep};
    fv_str_append(s->text, a.out.data, a.out.size);
  }
  fv_arena_destroy(a.arena);
  return better;
}

void fuzz_shrink(fv_arena *ar, const fuzz_settings *set, fuzz_verdict verdict, fv_str *text) {
  static const change all[] = {drop_output, take_arm, cut_loose, pass_by};
  fuzz_settings quiet = *set;
  quiet.tell = NULL;
  shrinker s = {.set = &quiet, .verdict = verdict, .text = text, .keep = ar};
  const time_t end = time(NULL) + SECONDS;
  bool smaller = true;
  for (int round = 0; smaller && round < 4; round++) {
    smaller = false;
    for (size_t k = 0; k < FV_COUNTOF(all); k++) {
      bool more = true;
      for (int at = 0; more && time(NULL) < end;)
        if (attempt_one(&s, all[k], at, &more))
          smaller = true;
        else
          at++;
    }
  }
}
