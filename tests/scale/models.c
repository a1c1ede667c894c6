// SPDX-License-Identifier: Apache-2.0
#include "tests/scale/models.h"

#include <stdio.h>
#include <string.h>

#include "ir/graph/example.h"

static const char head[] = "<model name=\"m\" xmlns=\"urn:fovea:model:1\">\n";

//===-- Of the op table -------------------------------------------------===//

typedef struct shape {
  fv_op op;
  const fv_op_info *info;
  fv_example ex;
  fv_dtype t;
  const fv_node *n;  // built
  int other;         // another operand of the same type as the first, or -1
} shape;

// An example whose first result has the type of its first operand.
static bool find_shape(fv_arena *ar, fv_op op, shape *s) {
  static const fv_dtype types[] = {FV_f32, FV_i64, FV_bool};
  fv_diag_sink silent = {0};
  *s = (shape){.op = op, .info = fv_op_get(op), .other = -1};
  for (int i = 0; fv_example_get(op, i, &s->ex); i++) {
    for (size_t k = 0; k < FV_COUNTOF(types); k++) {
      fv_module *m = fv_module_create(ar, "m");
      fv_graph *g = fv_graph_create(m, "main", NULL);
      fv_node *n;
      s->t = types[k];
      if (fv_example_build(g, op, &s->ex, s->t, &silent, &n) != FV_OK || n->n_in == 0 ||
          !n->in[0] || n->n_out == 0 || n->in[0]->type.rank == 0 ||
          !fv_type_eq(&n->in[0]->type, &n->out[0]->type))
        continue;
      s->n = n;
      for (int o = 1; o < n->n_in && s->other < 0; o++)
        if (n->in[o] && !s->ex.operand[o].positive && fv_type_eq(&n->in[o]->type, &n->in[0]->type))
          s->other = o;
      return true;
    }
  }
  return false;
}

static void put_inputs(const shape *s, fv_str *out) {
  for (int i = 0; i < s->n->n_in; i++) {
    if (!s->n->in[i])
      continue;
    const fv_type *t = &s->n->in[i]->type;
    const char *element = s->ex.operand[i].positive && i > 0 ? "const" : "input";
    fv_str_printf(out, "<%s name=\"x%d\" type=\"%s\" shape=\"", element, i,
                  fv_dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++)
      fv_str_printf(out, "%s%lld", d ? ", " : "", (long long)t->dim[d]->lit.i);
    fv_str_puts(out, element[0] == 'c' ? "\">1</const>\n" : "\"/>\n");
  }
}

// One node: the first operand is `a`, the other one of its type `b` (NULL: an input).
static void put_node(const shape *s, const char *a, const char *b, const char *y, fv_str *out) {
  const fv_op_info *o = s->info;
  fv_str_printf(out, "<%s", o->name);
  int open = -1;  // the operand whose attribute is being written
  for (int i = 0; i < s->n->n_in; i++) {
    if (!s->n->in[i])
      continue;
    const int p = i < o->n_operand ? i : o->n_operand - 1;
    if (p != open)
      fv_str_printf(out, "%s %.*s=\"", open >= 0 ? "\"" : "", (int)o->operand[p].len,
                    o->operand[p].name);
    else
      fv_str_puts(out, ", ");
    open = p;
    if (i == 0 || (i == s->other && b))
      fv_str_puts(out, i == 0 ? a : b);
    else
      fv_str_printf(out, "x%d", i);
  }
  fv_str_puts(out, "\"");
  for (int i = 0; i < s->ex.n_attr; i++) {
    const fv_example_attr *e = &s->ex.attr[i];
    fv_str_printf(out, " %.*s=\"%.*s\"", (int)e->name_len, e->name, (int)e->value_len, e->value);
  }
  fv_str_printf(out, " out=\"%s", y);
  for (int i = 1; i < s->n->n_out; i++)
    fv_str_puts(out, ", _");
  fv_str_puts(out, "\"/>\n");
}

bool model_of_op(fv_arena *ar, fv_op op, int n, fv_str *out) {
  shape s;
  char a[32] = "x0", b[32] = "x0", y[32];
  if (!find_shape(ar, op, &s))
    return false;
  fv_str_puts(out, head);
  put_inputs(&s, out);
  for (int i = 0; i < n; i++) {
    snprintf(y, sizeof y, "c%d", i);
    put_node(&s, a, NULL, y, out);
    memcpy(a, y, sizeof a);
  }
  fv_str_printf(out, "<output name=\"chain\" value=\"%s\"/>\n", a);
  if (s.other >= 0) {
    snprintf(a, sizeof a, "x0");
    for (int i = 0; i < n; i++) {
      snprintf(y, sizeof y, "l%d", i);
      put_node(&s, a, b, y, out);
      memcpy(b, a, sizeof b);
      memcpy(a, y, sizeof a);
    }
    fv_str_printf(out, "<output name=\"ladder\" value=\"%s\"/>\n", a);
  }
  for (int i = 0; i < n; i++) {
    snprintf(y, sizeof y, "f%d", i);
    put_node(&s, "x0", NULL, y, out);
  }
  fv_str_printf(out, "<output name=\"fan\" value=\"f%d\"/>\n</model>\n", n - 1);
  return true;
}

//===-- Others ----------------------------------------------------------===//

// As a tree the extent of the last is 2^n long.
static void slices_of_a_symbol(fv_str *out, int n) {
  fv_str_printf(out, "%s<dim name=\"S\" min=\"1\" max=\"%d\"/>\n", head, 4 * n + 8);
  fv_str_puts(out, "<input name=\"v0\" type=\"f32\" shape=\"S\"/>\n");
  for (int i = 0; i < n; i++)
    fv_str_printf(out, "<slice x=\"v%d\" axis=\"0\" start=\"1\" end=\"-1\" out=\"v%d\"/>\n", i,
                  i + 1);
  fv_str_printf(out, "<output name=\"y\" value=\"v%d\"/>\n</model>\n", n);
}

// Integers of which each is used twice, and then as indices.
static void integers_into_gather(fv_str *out, int n) {
  fv_str_printf(out,
                "%s<input name=\"x\" type=\"f32\" shape=\"64\"/>\n"
                "<input name=\"v0\" type=\"i64\" shape=\"8\"/>\n"
                "<input name=\"c\" type=\"i64\" shape=\"8\"/>\n",
                head);
  for (int i = 0; i < n; i++)
    fv_str_printf(out,
                  "<max a=\"v%d\" b=\"c\" out=\"m%d\"/><sub a=\"v%d\" b=\"m%d\" out=\"v%d\"/>\n", i,
                  i, i, i, i + 1);
  fv_str_printf(out,
                "<clip x=\"v%d\" min=\"0\" max=\"63\" out=\"j\"/><gather x=\"x\" indices=\"j\" "
                "out=\"y\"/>\n<output name=\"y\"/>\n</model>\n",
                n);
}

static void symbols(fv_str *out, int n) {
  fv_str_puts(out, head);
  for (int i = 0; i < n; i++)
    fv_str_printf(out,
                  "<dim name=\"D%d\" min=\"1\" max=\"4\"/><input name=\"x%d\" type=\"f32\" "
                  "shape=\"D%d\"/><relu x=\"x%d\" out=\"y%d\"/><output name=\"y%d\"/>\n",
                  i, i, i, i, i, i);
  fv_str_puts(out, "</model>\n");
}

static void loops_in_sequence(fv_str *out, int n) {
  fv_str_printf(out, "%s<input name=\"v0\" type=\"f32\" shape=\"4\"/>\n", head);
  for (int i = 0; i < n; i++)
    fv_str_printf(out,
                  "<repeat count=\"2\" out=\"v%d=s\"><carry name=\"s\" init=\"v%d\"/>"
                  "<neg x=\"s\" out=\"t\"/><next s=\"t\"/></repeat>\n",
                  i + 1, i);
  fv_str_printf(out, "<output name=\"y\" value=\"v%d\"/>\n</model>\n", n);
}

// As deep as the dialect allows, one trip each: v[k] -> v[k + 1].
static void loops_in_loops(fv_str *out, int n) {
  enum { DEPTH = 50 };
  const int nests = (n + DEPTH - 1) / DEPTH;
  fv_str_printf(out, "%s<input name=\"v0_0\" type=\"f32\" shape=\"4\"/>\n", head);
  for (int k = 0; k < nests; k++) {
    for (int i = 0; i < DEPTH; i++) {
      const char *out_name = i ? "w" : "v", *init = i ? "s" : "v";
      fv_str_printf(out, "<repeat count=\"1\" out=\"%s%d_%d=s%d\">", out_name, i ? k : k + 1,
                    i ? i : 0, i);
      fv_str_printf(out, "<carry name=\"s%d\" init=\"%s%d%s\"/>\n", i, init, i ? i - 1 : k,
                    i ? "" : "_0");
    }
    fv_str_printf(out, "<neg x=\"s%d\" out=\"w%d_%d\"/>\n", DEPTH - 1, k, DEPTH);
    for (int i = DEPTH - 1; i >= 0; i--)
      fv_str_printf(out, "<next s%d=\"w%d_%d\"/></repeat>\n", i, k, i + 1);
  }
  fv_str_printf(out, "<output name=\"y\" value=\"v%d_0\"/>\n</model>\n", nests);
}

static void calls_of_a_block(fv_str *out, int n) {
  fv_str_printf(
      out,
      "%s<block name=\"step\" in=\"x\" out=\"y\"><neg x=\"x\" out=\"t\"/>"
      "<relu x=\"t\" out=\"y\"/></block>\n<input name=\"v0\" type=\"f32\" shape=\"4\"/>\n",
      head);
  for (int i = 0; i < n; i++)
    fv_str_printf(out, "<call block=\"step\" x=\"v%d\" y=\"v%d\"/>\n", i, i + 1);
  fv_str_printf(out, "<output name=\"y\" value=\"v%d\"/>\n</model>\n", n);
}

// Numbers of the run, each a bound of a slice: at most S, or at most the number before.
static void items(fv_str *out, int n, bool chain) {
  fv_str_printf(out,
                "%s<dim name=\"S\" min=\"1\" max=\"64\"/>\n<input name=\"x\" type=\"f32\" "
                "shape=\"S, 2\"/>\n<input name=\"k\" type=\"i64\" shape=\"1\"/>\n"
                "<reduce_sum x=\"x\" axes=\"0\" out=\"a0\"/>\n",
                head);
  for (int i = 0; i < n; i++) {
    char max[32] = "S";
    if (chain && i)
      snprintf(max, sizeof max, "n%d", i - 1);
    fv_str_printf(out,
                  "<item name=\"n%d\" x=\"k\" max=\"%s\"/><slice x=\"x\" axis=\"0\" end=\"n%d\" "
                  "out=\"s%d\"/><reduce_sum x=\"s%d\" axes=\"0\" out=\"r%d\"/>"
                  "<add a=\"a%d\" b=\"r%d\" out=\"a%d\"/>\n",
                  i, max, i, i, i, i, i, i, i + 1);
  }
  fv_str_printf(out, "<output name=\"y\" value=\"a%d\"/>\n</model>\n", n);
}

static void items_of_a_dim(fv_str *out, int n) {
  items(out, n, false);
}

static void items_in_a_chain(fv_str *out, int n) {
  items(out, n, true);
}

const special_model special_models[] = {
    {"slices_of_a_symbol", slices_of_a_symbol},
    {"integers_into_gather", integers_into_gather},
    {"symbols", symbols},
    {"loops_in_sequence", loops_in_sequence},
    {"loops_in_loops", loops_in_loops},
    {"calls_of_a_block", calls_of_a_block},
    {"items_of_a_dim", items_of_a_dim},
    {"items_in_a_chain", items_in_a_chain},
    {NULL, NULL},
};
