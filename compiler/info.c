// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "compiler/internal.h"

static void port_from_type(fv_arena *ar, fv_module *m, const char *name, const fv_type *t,
                           fv_port_info *out) {
  fv_str s = {.arena = ar};
  *out = (fv_port_info){.name = fv_arena_strdup(ar, name), .dtype = t->dtype, .rank = t->rank};
  for (int d = 0; d < t->rank; d++) {
    const fv_expr *x = t->dim[d];
    out->dim[d] = -1;
    out->symbol[d] = x->kind == FV_E_SYM ? (int)x->ref : -1;
    int64_t n;
    if (fv_x_is_lit(x, &n))
      out->dim[d] = n;
    fv_str_puts(&s, d ? ", " : "");
    fv_x_print(m->pool, &s, x);
  }
  out->shape = s.data ? s.data : "";
}

static fv_port_info *inputs(fv_arena *ar, const fv_graph *g) {
  fv_port_info *p = FV_NEW_N(ar, fv_port_info, g->region->n_param);
  for (int i = 0; i < g->region->n_param; i++)
    port_from_type(ar, g->module, g->input_name[i], fv_graph_input_type(g, i), &p[i]);
  return p;
}

static fv_port_info *outputs(fv_arena *ar, const fv_graph *g) {
  fv_port_info *p = FV_NEW_N(ar, fv_port_info, g->region->n_result);
  for (int i = 0; i < g->region->n_result; i++)
    port_from_type(ar, g->module, g->output_name[i], &g->region->result[i]->type, &p[i]);
  return p;
}

static const char **conditions(fv_arena *ar, const fv_graph *g, int *count) {
  const fv_condition *c;
  const size_t n = fv_graph_list_conditions(ar, g, &c);
  const char **text = FV_NEW_N(ar, const char *, n);
  for (size_t i = 0; i < n; i++) {
    const fv_span *at = c[i].span;
    fv_str s = {.arena = ar};
    fv_condition_print(g->module->pool, &s, &c[i], &fv_xprint_short);
    if (at && at->file)
      fv_str_printf(&s, "  (%s:%u:%u: %s)", at->file, at->line, at->col, c[i].text);
    else
      fv_str_printf(&s, "  (%s)", c[i].text);
    text[i] = s.data;
  }
  *count = (int)n;
  return text;
}

// Where a weight is stored, and bytes of its type for one of its stored type.
typedef struct place {
  uintptr_t from, to;
  int64_t as, stored;
} place;

static int by_address(const void *a, const void *b) {
  const place *x = a, *y = b;
  return x->from < y->from ? -1 : x->from > y->from;
}

static place place_of(const fv_tensor *t) {
  const fv_tensor_span s = fv_tensor_stored(t);
  const int64_t size = fv_dtype_size(s.dtype);
  const uintptr_t from = (uintptr_t)s.data;
  return (place){from, from + (uintptr_t)(s.count * size), fv_dtype_size(t->dtype), size};
}

// Bytes of the weights that the model uses, each once, whoever else uses it and
// whatever part of it. Literals are no weights.
static void add_weights(fv_arena *ar, fv_module *m, fv_model_info *out) {
  place *list = NULL;
  size_t n_list = 0;
  size_t cap = 0;
  for (int g = 0; g < m->n_graph; g++) {
    fv_region *r = m->graph[g]->region;
    for (fv_node *n = fv_walk_first(r); n; n = fv_walk_next(r, n)) {
      out->n_node++;
      for (int d = 0; d < n->n_data; d++)
        if (n->data[d]->name[0])
          FV_PUSH(ar, list, n_list, cap, place_of(n->data[d]));
    }
  }
  if (n_list == 0)
    return;
  qsort(list, n_list, sizeof *list, by_address);
  uintptr_t end = 0;
  for (size_t i = 0; i < n_list; i++) {
    const uintptr_t to = list[i].to, begin = list[i].from > end ? list[i].from : end;
    if (to > begin)
      out->weight_bytes += (int64_t)(to - begin) / list[i].stored * list[i].as;
    end = to > end ? to : end;
  }
}

void fv_info_from_module(fv_arena *ar, fv_module *m, fv_model_info *out) {
  fv_graph_info *g = FV_NEW_N(ar, fv_graph_info, m->n_graph);
  for (int i = 0; i < m->n_graph; i++) {
    fv_graph *from = m->graph[i];
    g[i] = (fv_graph_info){.name = fv_arena_strdup(ar, from->name),
                           .n_input = from->region->n_param,
                           .n_output = from->region->n_result,
                           .input = inputs(ar, from),
                           .output = outputs(ar, from),
                           .n_bind_condition = (int)from->n_condition};
    g[i].condition = conditions(ar, from, &g[i].n_condition);
  }
  const uint32_t n_symbol = fv_symbol_count(m->pool);
  fv_symbol_info *s = FV_NEW_N(ar, fv_symbol_info, n_symbol);
  for (uint32_t i = 0; i < n_symbol; i++) {
    const fv_symbol *y = fv_symbol_get(m->pool, i);
    s[i] = (fv_symbol_info){fv_arena_strdup(ar, y->shown), y->min, y->max, y->kind == FV_SYM_STATE};
  }
  const char **state = FV_NEW_N(ar, const char *, m->n_state);
  for (int i = 0; i < m->n_state; i++)
    state[i] = fv_arena_strdup(ar, m->state[i]->name);
  *out = (fv_model_info){.name = fv_arena_strdup(ar, m->name),
                         .graph = g,
                         .n_graph = m->n_graph,
                         .symbol = s,
                         .n_symbol = (int)n_symbol,
                         .state = state,
                         .n_state = m->n_state};
  add_weights(ar, m, out);
}

//===-- From an image -------------------------------------------------------------------===//

static const void *rows(const fv_program *p, fv_table t) {
  return (const char *)p + t.offset;
}

// Literals of the bind section, so that fixed dims are told as numbers.
static bool literal_slot(const fv_program *p, const fv_prog_entry *e, uint32_t slot, int64_t *out) {
  const fv_hinst *h = rows(p, e->insts);
  for (uint32_t i = 0; i < e->bind_end; i++)
    if (h[i].op == FV_H_LITERAL && h[i].a == slot) {
      *out = ((const int64_t *)rows(p, e->literals))[h[i].b];
      return true;
    }
  return false;
}

static fv_port_info *image_ports(fv_arena *ar, const fv_program *p, const fv_prog_entry *e,
                                 fv_table t) {
  const fv_prog_port *from = rows(p, t);
  const fv_prog_symbol *symbol = rows(p, p->symbols);
  fv_port_info *out = FV_NEW_N(ar, fv_port_info, t.count);
  for (uint32_t i = 0; i < t.count; i++) {
    fv_str s = {.arena = ar};
    out[i] = (fv_port_info){.name = (const char *)p + from[i].name,
                            .dtype = (fv_dtype)from[i].dtype,
                            .rank = from[i].rank};
    for (int d = 0; d < from[i].rank; d++) {
      const uint32_t slot = from[i].dim_slot[d];
      out[i].symbol[d] = slot < p->symbols.count ? (int)slot : -1;
      out[i].dim[d] = -1;
      fv_str_puts(&s, d ? ", " : "");
      if (slot < p->symbols.count)
        fv_str_puts(&s, (const char *)p + symbol[slot].name);
      else if (literal_slot(p, e, slot, &out[i].dim[d]))
        fv_str_printf(&s, "%lld", (long long)out[i].dim[d]);
      else
        fv_str_puts(&s, "?");
    }
    out[i].shape = s.data ? s.data : "";
  }
  return out;
}

static const char **image_conditions(fv_arena *ar, const fv_program *p, fv_table t) {
  const fv_prog_condition *c = rows(p, t);
  const char **text = FV_NEW_N(ar, const char *, t.count);
  for (uint32_t i = 0; i < t.count; i++)
    text[i] = fv_arena_printf(ar, "%s %s %s  (%s)", (const char *)p + c[i].a_name,
                              fv_relation_sign(c[i].relation), (const char *)p + c[i].b_name,
                              (const char *)p + c[i].text);
  return text;
}

void fv_info_from_image(fv_arena *ar, const fv_program *p, fv_model_info *out) {
  const fv_prog_entry *e = rows(p, p->entries);
  fv_graph_info *g = FV_NEW_N(ar, fv_graph_info, p->entries.count);
  for (uint32_t i = 0; i < p->entries.count; i++)
    g[i] = (fv_graph_info){.name = (const char *)p + e[i].name,
                           .n_input = (int)e[i].inputs.count,
                           .n_output = (int)e[i].outputs.count,
                           .input = image_ports(ar, p, &e[i], e[i].inputs),
                           .output = image_ports(ar, p, &e[i], e[i].outputs),
                           .condition = image_conditions(ar, p, e[i].conditions),
                           .n_condition = (int)e[i].conditions.count,
                           .n_bind_condition = (int)e[i].bind_conditions};
  const fv_prog_symbol *y = rows(p, p->symbols);
  fv_symbol_info *s = FV_NEW_N(ar, fv_symbol_info, p->symbols.count);
  for (uint32_t i = 0; i < p->symbols.count; i++)
    s[i] = (fv_symbol_info){(const char *)p + y[i].name, y[i].min, y[i].max, y[i].kind == 1};
  const fv_prog_state *st = rows(p, p->states);
  const char **state = FV_NEW_N(ar, const char *, p->states.count);
  for (uint32_t i = 0; i < p->states.count; i++)
    state[i] = (const char *)p + st[i].name;
  *out = (fv_model_info){.name = (const char *)p + p->name,
                         .graph = g,
                         .n_graph = (int)p->entries.count,
                         .symbol = s,
                         .n_symbol = (int)p->symbols.count,
                         .state = state,
                         .n_state = (int)p->states.count,
                         .weight_bytes = (int64_t)p->const_bytes};
}
