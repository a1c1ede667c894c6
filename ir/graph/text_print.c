// SPDX-License-Identifier: Apache-2.0
//
// The text form, written. Its grammar stands in ir/graph/text.h.
#include <string.h>

#include "base/hash.h"
#include "ir/graph/attr_text.h"
#include "ir/graph/text.h"

const char *const fv_symbol_kind_name[4] = {"dim", "state", "counter", "result"};

bool fv_text_is_word(const char *s) {
  for (const char *c = s; *c; c++) {
    const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
    const bool digit = (*c >= '0' && *c <= '9') || *c == '.';
    if (!letter && (!digit || c == s))
      return false;
  }
  return s[0] != 0;
}

typedef struct printer {
  fv_module *m;
  fv_str *out;
  const char **name;   // by value id, with the '%'
  const char **taken;  // names in use, open addressing
  size_t n_slots;
  uint32_t number;  // of the next value without a name
  int depth;
  fv_xprint how;  // with the names of large expressions
  uint32_t *let;  // by expression id: number + 1
  uint32_t n_let;
  const fv_expr **stack;  // of a walk over an expression
  size_t n_stack, cap_stack;
} printer;

//===-- Large expressions -----------------------------------------------===//
// What is shared within an expression would be printed at each place. So each part that
// would be long has a name, and stands once in the header, after its own parts.

enum { LARGE = 64 };  // operations

static const char *let_name(void *user, const fv_expr *e) {
  const printer *w = user;
  return w->let[e->id] ? fv_arena_printf(w->m->arena, "$%u", w->let[e->id] - 1) : NULL;
}

static bool lacks_name(const printer *w, const fv_expr *e) {
  return e->cost > LARGE && w->let[e->id] == 0;
}

static void puts_let(printer *w, const fv_expr *e) {
  fv_str_printf(w->out, "let $%u = ", w->n_let);
  fv_x_print_as(w->m->pool, w->out, e, &w->how);
  fv_str_puts(w->out, "\n");
  w->let[e->id] = ++w->n_let;
}

static void name_parts(printer *w, const fv_expr *x) {
  FV_PUSH(w->m->arena, w->stack, w->n_stack, w->cap_stack, x);
  while (w->n_stack > 0) {
    const fv_expr *e = w->stack[w->n_stack - 1];
    const size_t here = w->n_stack;
    for (int i = e->n - 1; i >= 0 && lacks_name(w, e); i--)
      if (lacks_name(w, e->arg[i]))
        FV_PUSH(w->m->arena, w->stack, w->n_stack, w->cap_stack, e->arg[i]);
    if (w->n_stack > here)
      continue;
    w->n_stack--;
    if (lacks_name(w, e))
      puts_let(w, e);
  }
}

static void name_dims(printer *w, const fv_type *t) {
  for (int i = 0; i < t->rank; i++)
    name_parts(w, t->dim[i]);
}

static void name_node_parts(printer *w, const fv_node *n) {
  for (int i = 0; i < fv_op_get(n->op)->n_attr; i++) {
    const fv_attr *a = &n->attr[i];
    if (a->kind == 'x' && a->x)
      name_parts(w, a->x);
    for (int d = 0; a->kind == 'D' && d < a->n; d++)
      name_parts(w, a->dims[d]);
  }
  for (int i = 0; i < n->n_out; i++)
    name_dims(w, &n->out[i]->type);
}

// In the order in which the text shows them.
static void puts_lets(printer *w) {
  w->let = FV_NEW_N(w->m->arena, uint32_t, fv_xpool_count(w->m->pool));
  w->how = (fv_xprint){.name = let_name, .user = w};
  for (int i = 0; i < w->m->n_state; i++)
    name_dims(w, &w->m->state[i]->type);
  for (int g = 0; g < w->m->n_graph; g++) {
    const fv_graph *gr = w->m->graph[g];
    for (int i = 0; i < gr->region->n_param; i++)
      name_dims(w, fv_graph_input_type(gr, i));
    for (size_t i = 0; i < gr->n_condition; i++) {
      name_parts(w, gr->condition[i].a);
      name_parts(w, gr->condition[i].b);
    }
    for (fv_node *n = fv_walk_first(gr->region); n; n = fv_walk_next(gr->region, n))
      name_node_parts(w, n);
    for (int i = 0; i < gr->n_advance; i++)
      name_parts(w, gr->advance[i].next);
  }
}

//===-- Names -----------------------------------------------------------===//

// Can the name stand in the text? Then as it is, or between back quotes.
static const char *usable_name(printer *w, const char *name) {
  if (!name || strspn(name, "0123456789") == strlen(name))
    return NULL;
  for (const char *c = name; *c; c++)
    if ((unsigned char)*c < ' ' || *c == '`' || *c == 0x7f)
      return NULL;
  return fv_arena_printf(w->m->arena, fv_text_is_word(name) ? "%%%s" : "%%`%s`", name);
}

static bool take_name(printer *w, const char *name) {
  size_t k = fv_hash64(name, strlen(name), 0) & (w->n_slots - 1);
  for (; w->taken[k]; k = (k + 1) & (w->n_slots - 1))
    if (strcmp(w->taken[k], name) == 0)
      return false;
  w->taken[k] = name;
  return true;
}

static void name_value(printer *w, const fv_value *v) {
  const char *name = usable_name(w, v->name);
  if (!name || !take_name(w, name))
    name = fv_arena_printf(w->m->arena, "%%%u", w->number++);
  w->name[v->id] = name;
}

// The order is that of the text, so that numbers come out as they went in.
static void name_values(printer *w, fv_graph *g) {
  size_t n = (size_t)g->region->n_param;
  for (fv_node *x = fv_walk_first(g->region); x; x = fv_walk_next(g->region, x))
    n += (size_t)x->n_out + (x->n_body ? (size_t)x->body[0]->n_param : 0);
  w->n_slots = 16;
  while (w->n_slots < 2 * n)
    w->n_slots *= 2;
  w->taken = FV_NEW_N(w->m->arena, const char *, w->n_slots);
  w->number = 0;
  for (int i = 0; i < g->region->n_param; i++)
    name_value(w, g->region->param[i]);
  for (fv_node *x = fv_walk_first(g->region); x; x = fv_walk_next(g->region, x)) {
    for (int i = 0; i < x->n_out; i++)
      name_value(w, x->out[i]);
    for (int i = 0; x->n_body && i < x->body[0]->n_param; i++)
      name_value(w, x->body[0]->param[i]);
  }
}

//===-- Pieces ----------------------------------------------------------===//

static void puts_value(printer *w, const fv_value *v) {
  fv_str_puts(w->out, v ? w->name[v->id] : "_");
}

static void puts_values(printer *w, fv_value *const *v, int n) {
  for (int i = 0; i < n; i++) {
    fv_str_puts(w->out, i ? ", " : "");
    puts_value(w, v[i]);
  }
}

static void puts_string(printer *w, const char *s) {
  fv_str_json(w->out, s, strlen(s));
}

static void indent(printer *w) {
  for (int i = 0; i < w->depth; i++)
    fv_str_puts(w->out, "  ");
}

static void puts_type(printer *w, const fv_type *t) {
  fv_type_print_as(w->m->pool, w->out, t, &w->how);
}

static void puts_symbol(printer *w, uint32_t sym) {
  const char *name = fv_symbol_get(w->m->pool, sym)->name;
  fv_str_printf(w->out, fv_text_is_word(name) ? "%s" : "`%s`", name);
}

static const char *attr_text(printer *w, const fv_attr *a) {
  fv_str s = {.arena = w->m->arena};
  if (a->kind == 's')
    fv_str_json(&s, a->s, strlen(a->s));
  else
    fv_attr_print(w->m->pool, &s, a, &w->how);
  return s.data;
}

static bool is_default(const fv_param_info *p, const fv_attr *a, const char *text) {
  if (!p->dflt)
    return false;
  if (a->kind == 'I' || a->kind == 'D')
    return a->n == 0 && p->dflt_len == 0;
  double v;
  if (a->kind == 'f')
    return fv_parse_double(p->dflt, p->dflt_len, &v) && memcmp(&v, &a->f, sizeof v) == 0;
  if (a->kind == 's')
    text = a->s;
  return strlen(text) == p->dflt_len && memcmp(text, p->dflt, p->dflt_len) == 0;
}

static void puts_attrs(printer *w, const fv_node *n) {
  const fv_op_info *info = fv_op_get(n->op);
  bool open = false;
  for (int i = 0; i < info->n_attr; i++) {
    const fv_param_info *p = &info->attr[i];
    if (n->attr[i].kind == 0)
      continue;
    const char *text = attr_text(w, &n->attr[i]);
    if (is_default(p, &n->attr[i], text))
      continue;
    fv_str_printf(w->out, "%s%.*s = %s", open ? ", " : " {", (int)p->len, p->name, text);
    open = true;
  }
  if (open)
    fv_str_puts(w->out, "}");
}

static void puts_data(printer *w, const fv_node *n) {
  fv_str_puts(w->out, " <");
  for (int i = 0; i < n->n_data; i++) {
    fv_str_puts(w->out, i ? ", " : "");
    fv_text_print_tensor(w->out, n->data[i]);
  }
  fv_str_puts(w->out, ">");
}

// Up to the end of the line, or to the '{' of a body.
static void puts_node(printer *w, const fv_node *n) {
  indent(w);
  puts_values(w, n->out, n->n_out);
  fv_str_printf(w->out, "%s%s", n->n_out ? " = " : "", fv_op_get(n->op)->name);
  if (n->n_data)
    puts_data(w, n);
  fv_str_puts(w->out, "(");
  puts_values(w, n->in, n->n_in);
  fv_str_puts(w->out, ")");
  puts_attrs(w, n);
  if (n->expect) {
    fv_str_puts(w->out, " expect ");
    puts_string(w, n->expect);
  }
  for (int i = 0; i < n->n_out; i++) {
    fv_str_puts(w->out, i ? ", " : " : ");
    puts_type(w, &n->out[i]->type);
  }
  fv_str_puts(w->out, n->n_body ? " do {\n" : "\n");
}

static void open_body(printer *w, const fv_region *body) {
  w->depth++;
  for (int i = 0; i < body->n_param; i++) {
    indent(w);
    fv_str_puts(w->out, "param ");
    puts_value(w, body->param[i]);
    fv_str_puts(w->out, " : ");
    puts_type(w, &body->param[i]->type);
    fv_str_puts(w->out, "\n");
  }
}

static void close_body(printer *w, const fv_region *body) {
  indent(w);
  fv_str_puts(w->out, body->n_result ? "yield " : "yield");
  puts_values(w, body->result, body->n_result);
  fv_str_puts(w->out, "\n");
  w->depth--;
  indent(w);
  fv_str_puts(w->out, body->index + 1 < body->owner->n_body ? "} else {\n" : "}\n");
}

//===-- Structure -------------------------------------------------------===//

static void puts_nodes(printer *w, const fv_graph *g) {
  fv_walk at = {.top = g->region};
  while (fv_walk_step(&at)) {
    if (at.event == FV_WALK_ENTER)
      puts_node(w, at.node);
    else if (at.event == FV_WALK_BEGIN)
      open_body(w, at.region);
    else if (at.event == FV_WALK_END)
      close_body(w, at.region);
  }
}

static void puts_graph(printer *w, fv_graph *g) {
  name_values(w, g);
  fv_str_puts(w->out, "\ngraph ");
  puts_string(w, g->name);
  fv_str_puts(w->out, " {\n");
  w->depth = 1;
  for (int i = 0; i < g->region->n_param; i++) {
    fv_str_puts(w->out, "  input ");
    puts_string(w, g->input_name[i]);
    fv_str_printf(w->out, " %s : ", w->name[g->region->param[i]->id]);
    puts_type(w, fv_graph_input_type(g, i));
    fv_str_puts(w->out, "\n");
  }
  for (size_t i = 0; i < g->n_condition; i++) {
    fv_str_puts(w->out, "  require ");
    fv_condition_print(w->m->pool, w->out, &g->condition[i], &w->how);
    fv_str_puts(w->out, " ");
    puts_string(w, g->condition[i].text);
    fv_str_puts(w->out, "\n");
  }
  puts_nodes(w, g);
  for (int i = 0; i < g->region->n_result; i++) {
    fv_str_puts(w->out, "  output ");
    puts_string(w, g->output_name[i]);
    fv_str_puts(w->out, " ");
    puts_value(w, g->region->result[i]);
    fv_str_puts(w->out, "\n");
  }
  for (int i = 0; i < g->n_advance; i++) {
    fv_str_puts(w->out, "  advance ");
    puts_symbol(w, g->advance[i].length);
    fv_str_puts(w->out, " = ");
    fv_x_print_as(w->m->pool, w->out, g->advance[i].next, &w->how);
    fv_str_puts(w->out, "\n");
  }
  fv_str_puts(w->out, "}\n");
}

static void puts_header(printer *w) {
  const fv_module *m = w->m;
  fv_str_puts(w->out, "fovea 1\nmodule ");
  puts_string(w, m->name);
  fv_str_puts(w->out, m->check_unproved ? "\nunproved check\n" : "\n");
  for (uint32_t i = 0; i < fv_symbol_count(m->pool); i++) {
    const fv_symbol *s = fv_symbol_get(m->pool, i);
    fv_str_puts(w->out, "symbol ");
    puts_symbol(w, i);
    fv_str_printf(w->out, " %s %lld..%lld\n", fv_symbol_kind_name[s->kind], (long long)s->min,
                  (long long)s->max);
  }
  puts_lets(w);
  for (int i = 0; i < m->n_state; i++) {
    const fv_state *s = m->state[i];
    fv_str_puts(w->out, "state ");
    puts_string(w, s->name);
    fv_str_printf(w->out, " members %d", s->members);
    if (s->length_axis >= 0) {
      fv_str_printf(w->out, " axis %d length ", s->length_axis);
      puts_symbol(w, s->length);
    }
    fv_str_puts(w->out, " : ");
    puts_type(w, &s->type);
    fv_str_puts(w->out, "\n");
  }
  for (int i = 0; i < m->n_verify; i++) {
    fv_str_puts(w->out, "verify ");
    puts_string(w, m->verify[i].graph);
    fv_str_puts(w->out, " ");
    puts_string(w, m->verify[i].file);
    fv_str_puts(w->out, " ");
    fv_str_double(w->out, m->verify[i].tolerance);
    fv_str_puts(w->out, "\n");
  }
}

void fv_text_print(fv_module *m, fv_str *out) {
  printer w = {.m = m, .out = out};
  w.name = FV_NEW_N(m->arena, const char *, m->n_value);
  puts_header(&w);
  for (int i = 0; i < m->n_graph; i++)
    puts_graph(&w, m->graph[i]);
}
