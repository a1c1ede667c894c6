// SPDX-License-Identifier: Apache-2.0
//
// The elements of the dialect that are no ops, and the check of names, places
// and attributes of all elements before anything runs.
#include <string.h>

#include "frontend/xml/build.h"

const fv_xml_keyword fv_xml_keywords[] = {
    {"model", FV_XML_ROOT, "name! unproved", false, FV_XML_MODEL, NULL, "A model file"},
    {"weights", FV_XML_MODEL, "file! type", false, 0, fv_xml_run_weights,
     "A file of weights beneath the model's directory"},
    {"let", FV_XML_MODEL | FV_XML_CODE, "name! value!", false, 0, fv_xml_run_let,
     "A named integer"},
    {"dim", FV_XML_MODEL, "name! min max!", false, 0, fv_xml_run_dim,
     "A symbolic dim with its range"},
    {"const", FV_XML_MODEL | FV_XML_CODE, "name! type! shape", true, 0, fv_xml_run_const,
     "A small constant, its elements as text"},
    {"state", FV_XML_MODEL, "name! type! shape! axis length members", false, 0, fv_xml_run_state,
     "A tensor that stays from run to run"},
    {"block", FV_XML_MODEL, "name! in param out", false, FV_XML_BLOCK, NULL,
     "A piece of graph to be called"},
    {"graph", FV_XML_MODEL, "name!", false, FV_XML_GRAPH, NULL, "An entry of the model"},
    {"verify", FV_XML_MODEL, "file! graph tolerance", false, 0, NULL,
     "Golden inputs and outputs of a graph"},
    {"input", FV_XML_GRAPH, "name! type! shape!", false, 0, fv_xml_run_input,
     "An input of the graph"},
    {"output", FV_XML_GRAPH, "name! value type shape", false, 0, fv_xml_run_output,
     "An output of the graph"},
    {"require", FV_XML_CODE, "that!", false, 0, fv_xml_run_require,
     "Something that must hold when a run begins"},
    {"weight", FV_XML_CODE, "name! from! type shape", false, 0, fv_xml_run_weight,
     "Names a weight"},
    {"call", FV_XML_CODE, "block! *", false, 0, fv_xml_run_call, "Expands a block here"},
    {"repeat", FV_XML_CODE, "count! var out", false, FV_XML_BODY, fv_xml_run_loop,
     "Runs its body a number of times"},
    {"scan", FV_XML_CODE, "var reverse lengths out", false, FV_XML_BODY, fv_xml_run_loop,
     "Runs its body for each entry along an axis"},
    {"loop", FV_XML_CODE, "max! while var count out", false, FV_XML_BODY, fv_xml_run_loop,
     "Runs its body while a carry is true"},
    {"each", FV_XML_BODY, "name! of! axis!", false, 0, fv_xml_run_each, "What a scan runs over"},
    {"carry", FV_XML_BODY, "name! init! type shape", false, 0, fv_xml_run_carry,
     "A value that goes from step to step"},
    {"next", FV_XML_BODY, "*", false, 0, fv_xml_run_next, "The next values of carries"},
    {"collect", FV_XML_BODY, "axis! *", false, 0, fv_xml_run_collect,
     "Values of all steps, stacked along a new axis"},
    {"if", FV_XML_CODE, "cond! dims out", false, FV_XML_IF, fv_xml_run_if, "Runs one of its arms"},
    {"then", FV_XML_IF, "out", false, FV_XML_ARM, fv_xml_run_arm, "Runs if the condition is true"},
    {"else", FV_XML_IF, "out", false, FV_XML_ARM, fv_xml_run_arm, "Runs if it is false"},
    {"item", FV_XML_CODE, "name! x! min max!", false, 0, fv_xml_run_item,
     "Names a number that the run computes"},
    {"read", FV_XML_CODE, "state! member out!", false, 0, fv_xml_run_read,
     "The valid part of a state"},
    {"write", FV_XML_CODE, "state! member x!", false, 0, fv_xml_run_write,
     "The next version of a state"},
    {"append", FV_XML_CODE, "state! member x! out", false, 0, fv_xml_run_append,
     "Puts rows after the valid part of a state"},
};
const int fv_xml_n_keywords = (int)FV_COUNTOF(fv_xml_keywords);

const fv_xml_keyword *fv_xml_keyword_find(const char *name) {
  for (int i = 0; i < fv_xml_n_keywords; i++)
    if (strcmp(fv_xml_keywords[i].name, name) == 0)
      return &fv_xml_keywords[i];
  return NULL;
}

bool fv_xml_one_graph(const fv_xml_file *f) {
  for (const fv_xml_elem *e = f->root->child; e; e = e->next)
    if (strcmp(e->name, "graph") == 0)
      return false;
  return true;
}

//===-- Candidates for suggestions ----------------------------------------===//

static const char *element_name(void *user, int i) {
  (void)user;
  if (i < fv_xml_n_keywords)
    return fv_xml_keywords[i].name;
  // Built-in rows lead the table; they are no elements.
  for (int op = 0, at = fv_xml_n_keywords; op < FV_OP_COUNT; op++) {
    const fv_op_info *info = fv_op_get((fv_op)op);
    if (!(info->flags & FV_OPF_BUILTIN) && at++ == i)
      return info->name;
  }
  return NULL;
}

enum { MAX_ALLOWED = FV_MAX_OPERANDS + FV_MAX_ATTRS + 8 };
typedef struct allowed {
  const char *name[MAX_ALLOWED];
  bool required[MAX_ALLOWED];
  int n;
  bool any;
} allowed;

static const char *allowed_name(void *user, int i) {
  const allowed *a = user;
  return i < a->n ? a->name[i] : NULL;
}

static void allow(fv_xml_cx *cx, allowed *a, const char *name, size_t len, bool required) {
  for (int i = 0; i < a->n; i++)
    if (strlen(a->name[i]) == len && memcmp(a->name[i], name, len) == 0)
      return;
  a->required[a->n] = required;
  a->name[a->n++] = fv_arena_strndup(cx->arena, name, len);
}

static void allow_keyword(fv_xml_cx *cx, allowed *a, const fv_xml_keyword *k) {
  for (const char *p = k->attrs; *p;) {
    const size_t n = strcspn(p, " !");
    if (*p == '*')
      a->any = true;
    else
      allow(cx, a, p, n, p[n] == '!');
    p += strcspn(p, " ");
    p += strspn(p, " ");
  }
}

static void allow_op(fv_xml_cx *cx, allowed *a, const fv_op_info *info) {
  for (int i = 0; i < info->n_operand; i++)
    allow(cx, a, info->operand[i].name, info->operand[i].len, !info->operand[i].optional);
  for (int i = 0; i < info->n_attr; i++)
    allow(cx, a, info->attr[i].name, info->attr[i].len, !info->attr[i].dflt);
  allow(cx, a, "out", 3, info->n_result > 0);
  allow(cx, a, "expect", 6, false);
  allow(cx, a, "shape", 5, false);
  allow(cx, a, "type", 4, false);
}

//===-- Checks --------------------------------------------------------------===//

static void check_attrs(fv_xml_cx *cx, const fv_xml_elem *e, allowed *a) {
  for (int i = 0; i < e->n_attr && !a->any; i++) {
    const fv_xml_attr *have = &e->attr[i];
    bool known = false;
    for (int k = 0; k < a->n; k++)
      known |= strcmp(have->name, a->name[k]) == 0;
    if (!known)
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_name(cx, have), "<%s> has no attribute '%s'%s",
                         e->name, have->name, fv_xml_suggest(cx, have->name, allowed_name, a));
  }
  for (int k = 0; k < a->n; k++)
    if (a->required[k] && !fv_xml_find_attr(e, a->name[k]))
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                         "<%s> needs the attribute %s=", e->name, a->name[k]);
}

static void check_text(fv_xml_cx *cx, const fv_xml_elem *e, bool takes_text) {
  size_t i = 0;
  while (i < e->text_size && strchr(" \t\r\n", e->text[i]))
    i++;
  if (!takes_text && i < e->text_size)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_offset(cx, fv_xml_text_offset(cx->file, e, i)),
                       "text has no meaning inside <%s>; a comment is <!-- ... -->", e->name);
  if (e->stray_at)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_offset(cx, e->stray_at),
                       "text has no meaning inside <%s>; a comment is <!-- ... -->", e->name);
}

static const char *place_name(unsigned where) {
  switch (where & -where) {
  case FV_XML_ROOT: return "at the top of the file";
  case FV_XML_MODEL: return "directly under <model>";
  case FV_XML_GRAPH: return where & FV_XML_BODY ? "in a graph, block, loop or arm" : "in a graph";
  case FV_XML_BLOCK: return "in a block";
  case FV_XML_IF: return "in an <if>";
  default: return "in a <repeat>, <scan> or <loop>";
  }
}

static unsigned holds_of(const fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_keyword *k = fv_xml_keyword_find(e->name);
  const bool graph_too = e == cx->file->root && cx->one_graph;
  return k ? k->holds | (graph_too ? (unsigned)FV_XML_GRAPH : 0) : 0;
}

static bool check_name(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_op op = fv_op_find(e->name, strlen(e->name));
  const bool builtin = op < FV_OP_COUNT && fv_op_get(op)->flags & FV_OPF_BUILTIN;
  if (!e->parent && strcmp(e->name, "model") != 0)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "the root of a model file is <model>, not <%s>", e->name);
  else if (e->foreign)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "<%s> is not in the namespace of models; write <model name=... "
                       "xmlns=\"" FV_XML_NAMESPACE "\">",
                       e->name);
  else if (fv_xml_keyword_find(e->name) || (op < FV_OP_COUNT && !builtin))
    return true;
  else
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e), "unknown element <%s>%s", e->name,
                       strcmp(e->name, "constant") == 0
                           ? "; did you mean 'const'?"
                           : fv_xml_suggest(cx, e->name, element_name, NULL));
  return false;
}

static bool check_place(fv_xml_cx *cx, const fv_xml_elem *e, unsigned where) {
  const fv_xml_keyword *k = fv_xml_keyword_find(e->name);
  const unsigned may = k ? k->where : (unsigned)FV_XML_CODE;
  if (may & where)
    return true;
  if (where == 0)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e), "<%s> cannot have elements inside",
                       e->parent->name);
  else if (where == FV_XML_MODEL && (may & FV_XML_GRAPH))
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "<%s> stands in a graph: this model has <graph> elements, put it into one",
                       e->name);
  else
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e), "<%s> stands only %s", e->name,
                       place_name(may));
  return false;
}

// Returns whether the children are worth a look.
static bool check_one(fv_xml_cx *cx, fv_xml_elem *e) {
  cx->current = e;
  const unsigned where = e->parent ? holds_of(cx, e->parent) : (unsigned)FV_XML_ROOT;
  if (!check_name(cx, e) || !check_place(cx, e, where))
    return false;
  const fv_xml_keyword *k = fv_xml_keyword_find(e->name);
  allowed *a = FV_NEW(cx->arena, allowed);
  if (k)
    allow_keyword(cx, a, k);
  else
    allow_op(cx, a, fv_op_get(fv_op_find(e->name, strlen(e->name))));
  check_attrs(cx, e, a);
  check_text(cx, e, k && k->text);
  return true;
}

void fv_xml_check(fv_xml_cx *cx) {
  cx->one_graph = fv_xml_one_graph(cx->file);
  fv_xml_elem *e = cx->file->root;
  while (e && !fv_xml_too_many(cx)) {
    const bool inside = check_one(cx, e);
    if (inside && e->child) {
      e = e->child;
      continue;
    }
    while (e && !e->next)
      e = e->parent;
    e = e ? e->next : NULL;
  }
  cx->current = NULL;
}
