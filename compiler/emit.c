// SPDX-License-Identifier: Apache-2.0
#include "compiler/emit.h"

#include <string.h>

static void node_label(const fv_xpool *p, const fv_node *n, fv_str *s) {
  fv_str_puts(s, fv_op_get(n->op)->name);
  for (int i = 0; i < n->n_out; i++) {
    fv_str_puts(s, "\\n");
    fv_type_print(p, s, &n->out[i]->type);
  }
  const fv_span *span = fv_node_span(n);
  if (span && span->file)
    fv_str_printf(s, "\\n%s:%u", span->file, span->line);
}

// Graphviz: a box a node, a cluster a loop body.
static void emit_dot(fv_module *m, fv_str *s) {
  fv_str_printf(s, "digraph \"%s\" {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n",
                m->name);
  for (int g = 0; g < m->n_graph; g++) {
    fv_graph *gr = m->graph[g];
    fv_str_printf(s, "  subgraph cluster_%d {\n    label=\"%s\";\n", g, gr->name);
    for (int i = 0; i < gr->region->n_param; i++)
      fv_str_printf(s, "    v%u [label=\"%s\", shape=ellipse];\n", gr->region->param[i]->id,
                    gr->input_name[i]);
    for (fv_node *n = fv_walk_first(gr->region); n; n = fv_walk_next(gr->region, n)) {
      if (n->n_out == 0 || n->op == FV_OP_constant)
        continue;
      fv_str_printf(s, "    v%u [label=\"", n->out[0]->id);
      node_label(m->pool, n, s);
      fv_str_puts(s, n->n_body ? "\", style=bold];\n" : "\"];\n");
      for (int b = 0; n->n_body && b < n->body[0]->n_param; b++)
        fv_str_printf(s,
                      "    v%u [label=\"carry\", shape=ellipse];\n    v%u -> v%u [style=dashed];\n",
                      n->body[0]->param[b]->id, n->out[0]->id, n->body[0]->param[b]->id);
      for (int i = 0; i < n->n_in; i++) {
        const fv_value *v = n->in[i];
        if (!v || (v->def && v->def->op == FV_OP_constant))
          continue;
        fv_str_printf(s, "    v%u -> v%u;\n", v->def ? v->def->out[0]->id : v->id, n->out[0]->id);
      }
    }
    for (int i = 0; i < gr->region->n_result; i++) {
      const fv_value *v = gr->region->result[i];
      fv_str_printf(s, "    out%d_%d [label=\"%s\", shape=ellipse];\n    v%u -> out%d_%d;\n", g, i,
                    gr->output_name[i], v->def ? v->def->out[0]->id : v->id, g, i);
    }
    fv_str_puts(s, "  }\n");
  }
  fv_str_puts(s, "}\n");
}

static void json_string(fv_str *s, const char *t) {
  fv_str_json(s, t ? t : "", strlen(t ? t : ""));
}

static void json_type(fv_module *m, fv_str *s, const fv_type *t) {
  fv_str_printf(s, "\"dtype\":\"%s\",\"shape\":[", fv_dtype_name(t->dtype));
  for (int d = 0; d < t->rank; d++) {
    fv_str dim = {.arena = s->arena};
    fv_x_print(m->pool, &dim, t->dim[d]);
    fv_str_puts(s, d ? "," : "");
    json_string(s, dim.data);
  }
  fv_str_puts(s, "]");
}

static void json_node(fv_module *m, fv_str *s, const fv_node *n) {
  fv_str_puts(s, "{\"op\":");
  json_string(s, fv_op_get(n->op)->name);
  fv_str_puts(s, ",\"inputs\":[");
  for (int i = 0; i < n->n_in; i++)
    fv_str_printf(s, n->in[i] ? "%s%u" : "%snull", i ? "," : "", n->in[i] ? n->in[i]->id : 0);
  fv_str_puts(s, "],\"outputs\":[");
  for (int i = 0; i < n->n_out; i++) {
    fv_str_printf(s, "%s{\"id\":%u,", i ? "," : "", n->out[i]->id);
    json_type(m, s, &n->out[i]->type);
    fv_str_puts(s, "}");
  }
  fv_str_puts(s, "]");
  const fv_span *span = fv_node_span(n);
  if (span && span->file) {
    fv_str_puts(s, ",\"file\":");
    json_string(s, span->file);
    fv_str_printf(s, ",\"line\":%u,\"col\":%u", span->line, span->col);
  }
  fv_str_puts(s, "}");
}

static void json_port(fv_str *s, int i, const char *name, const fv_value *v, const fv_type *t) {
  fv_str_puts(s, i ? ",{\"name\":" : "{\"name\":");
  json_string(s, name);
  fv_str_printf(s, ",\"id\":%u,", v->id);
  json_type(v->def ? v->def->region->graph->module : v->region->graph->module, s, t);
  fv_str_puts(s, "}");
}

static void json_conditions(fv_str *s, const fv_graph *g) {
  const fv_condition *c;
  const size_t n = fv_graph_list_conditions(s->arena, g, &c);
  fv_str_puts(s, "],\"conditions\":[");
  for (size_t i = 0; i < n; i++) {
    fv_str text = {.arena = s->arena};
    fv_condition_print(g->module->pool, &text, &c[i], &fv_xprint_short);
    fv_str_puts(s, i ? ",{\"that\":" : "{\"that\":");
    json_string(s, text.data);
    fv_str_puts(s, ",\"for\":");
    json_string(s, c[i].text);
    fv_str_printf(s, ",\"checked\":\"%s\"}", i < g->n_condition ? "at bind" : "during the run");
  }
}

static void emit_json(fv_module *m, fv_str *s) {
  fv_str_puts(s, "{\"model\":");
  json_string(s, m->name);
  fv_str_puts(s, ",\"graphs\":[");
  for (int g = 0; g < m->n_graph; g++) {
    fv_graph *gr = m->graph[g];
    fv_str_puts(s, g ? ",{\"name\":" : "{\"name\":");
    json_string(s, gr->name);
    fv_str_puts(s, ",\"inputs\":[");
    for (int i = 0; i < gr->region->n_param; i++)
      json_port(s, i, gr->input_name[i], gr->region->param[i], fv_graph_input_type(gr, i));
    fv_str_puts(s, "],\"outputs\":[");
    for (int i = 0; i < gr->region->n_result; i++)
      json_port(s, i, gr->output_name[i], gr->region->result[i], &gr->region->result[i]->type);
    json_conditions(s, gr);
    fv_str_puts(s, "],\"nodes\":[");
    bool first = true;
    for (fv_node *n = fv_walk_first(gr->region); n; n = fv_walk_next(gr->region, n)) {
      fv_str_puts(s, first ? "" : ",");
      json_node(m, s, n);
      first = false;
    }
    fv_str_puts(s, "]}");
  }
  fv_str_puts(s, "]}\n");
}

fv_status fv_emit_module(fv_module *m, const char *kind, fv_str *out, fv_diag_sink *diag) {
  if (strcmp(kind, "text") == 0)
    fv_text_print(m, out);
  else if (strcmp(kind, "dot") == 0)
    emit_dot(m, out);
  else if (strcmp(kind, "json") == 0)
    emit_json(m, out);
  else
    return fv_error(diag, FV_ERR_ARG, NULL, "a model cannot be shown as '%s'", kind);
  return FV_OK;
}

//===-- Groups ----------------------------------------------------------------------------===//

// A kernel: its nodes, the place of the last one, whose result it writes, and what else it writes.
static void put_group(const fv_lgroup *x, fv_str *s) {
  const fv_span *span = NULL;
  fv_str_printf(s, "  %-11s", x->family);
  for (size_t i = 0; i < x->n_node; i++) {
    fv_str_printf(s, " %s", fv_op_get(x->node[i]->op)->name);
    const fv_span *at = fv_node_span(x->node[i]);
    span = at && at->file ? at : span;
  }
  fv_str_puts(s, "\n");
  if (span)
    fv_str_printf(s, "              at %s:%u:%u\n", span->file, span->line, span->col);
  if (x->apart)
    fv_str_printf(s, "              through memory: %s\n", x->apart);
  for (size_t i = 0; i < x->n_stored; i++)
    fv_str_printf(s, "              also written: the result of '%s', which others use, too\n",
                  fv_op_get(x->stored[i]->op)->name);
}

void fv_emit_groups(const fv_lowered *l, fv_str *out) {
  for (size_t i = 0; i < l->n_entry; i++) {
    const fv_lentry *e = &l->entry[i];
    fv_str_printf(out, "graph %s: %zu kernel%s\n", e->graph->name, e->n_group,
                  e->n_group == 1 ? "" : "s");
    for (size_t g = 0; g < e->n_group; g++)
      put_group(&e->group[g], out);
  }
}
