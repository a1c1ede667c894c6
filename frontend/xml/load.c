// SPDX-License-Identifier: Apache-2.0
//
// The XML frontend: read, check, declare, then work off the frames.
#include <string.h>

#include "frontend/xml/build.h"
#include "frontend/xml/fmt.h"

//===-- Elements ----------------------------------------------------------===//

// What a faulty element would have defined.
static void poison(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_xml_poison_out(cx, e);
  static const char *const naming[] = {"let", "const", "weight", "input", "each", "carry", "item"};
  for (size_t i = 0; i < FV_COUNTOF(naming); i++) {
    const fv_xml_attr *a = fv_xml_find_attr(e, "name");
    if (a && strcmp(e->name, naming[i]) == 0 && fv_xml_is_name(a->value) &&
        !fv_xml_scope_find(cx->top->scope, a->value, strlen(a->value)))
      fv_xml_bind(cx, a, 0, a->value, FV_XML_POISON, NULL);
  }
  const fv_xml_elem *block = NULL;
  const fv_xml_attr *name = fv_xml_find_attr(e, "block");
  if (strcmp(e->name, "call") == 0 && name) {
    const fv_xml_name *b = fv_xml_scope_get(cx->blocks, name->value, strlen(name->value));
    block = b ? b->where : NULL;
  }
  const fv_xml_attr *out = block ? fv_xml_find_attr(block, "out") : NULL;
  fv_xml_slice rest = out ? fv_xml_whole(out) : (fv_xml_slice){0};
  fv_xml_slice item;
  while (out && fv_xml_next(&rest, &item)) {
    const fv_xml_attr *a = fv_xml_find_attr(e, fv_xml_slice_text(cx, item));
    if (a && fv_xml_is_name(a->value) &&
        !fv_xml_scope_find(cx->top->scope, a->value, strlen(a->value)))
      fv_xml_bind(cx, a, 0, a->value, FV_XML_POISON, NULL);
  }
}

// Every element that runs counts, so that blocks which call blocks end, whatever
// they hold.
static bool within_limit(fv_xml_cx *cx, const fv_xml_elem *e) {
  if (++cx->n_run <= cx->limit.max_nodes)
    return true;
  (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at(cx, e),
                     "the model has more than %zu nodes when its blocks are expanded",
                     cx->limit.max_nodes);
  return false;
}

static void run_element(fv_xml_cx *cx, fv_xml_elem *e) {
  cx->current = e;
  const fv_xml_keyword *k = fv_xml_keyword_find(e->name);
  if (e->bad) {
    if (cx->top->loop)
      cx->top->loop->poisoned = true;
    if (cx->top->branch)
      cx->top->branch->poisoned = true;
    poison(cx, e);
  } else if (!k) {
    fv_xml_run_op(cx, e);
  } else if (k->run && !(e->parent == cx->file->root && k->where & FV_XML_MODEL)) {
    k->run(cx, e);  // what the model declares has run before
  }
}

static void pop(fv_xml_cx *cx) {
  fv_xml_frame *f = cx->top;
  if (f->kind == FV_XML_IN_CALL)
    fv_xml_finish_call(cx, f);
  else if (f->kind == FV_XML_IN_LOOP)
    fv_xml_finish_loop(cx, f);
  else if (f->kind == FV_XML_IN_IF)
    fv_xml_finish_if(cx, f);
  else if (f->kind == FV_XML_IN_ARM)
    fv_xml_finish_arm(cx, f);
  cx->top = f->up;
  cx->depth--;
}

static void run_frames(fv_xml_cx *cx) {
  while (cx->top) {
    fv_xml_elem *e = cx->top->next;
    if (fv_xml_too_many(cx))
      return;
    if (!e) {
      pop(cx);
      continue;
    }
    if (!within_limit(cx, e))
      return;
    cx->top->next = e->next;
    run_element(cx, e);
  }
}

//===-- Graphs ------------------------------------------------------------===//

static void run_graph(fv_xml_cx *cx, fv_xml_elem *e, const char *name) {
  cx->current = e;
  if (!fv_xml_scope_note(cx->arena, cx->graphs, name, (size_t)cx->module->n_graph))
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e), "there is a graph '%s' already", name);
  cx->graph = fv_graph_create(cx->module, name, fv_xml_at(cx, e));
  cx->n_written = 0;
  cx->outputs = fv_xml_scope_create(cx->arena, NULL);
  cx->advances = fv_xml_scope_create(cx->arena, NULL);
  cx->written_of = fv_xml_scope_create(cx->arena, NULL);
  cx->value_names = fv_xml_scope_create(cx->arena, NULL);
  const unsigned before = cx->n_faults;
  fv_xml_push(cx, (fv_xml_frame){.kind = FV_XML_IN_GRAPH,
                                 .body = e,
                                 .next = e->child,
                                 .site = e,
                                 .scope = fv_xml_scope_create(cx->arena, cx->model),
                                 .region = cx->graph->region,
                                 .constants = fv_xml_scope_create(cx->arena, NULL)});
  run_frames(cx);
  cx->top = NULL;
  cx->depth = 0;
  cx->current = e;
  if (cx->n_faults == before)
    fv_xml_check_growth(cx);
  if (cx->n_faults == before && fv_graph_unify(cx->graph, cx->diag) != FV_OK) {
    cx->n_faults++;
    cx->status = cx->status == FV_OK ? FV_ERR_TYPE : cx->status;
  }
  bool has_output = false;
  for (const fv_xml_elem *c = e->child; c; c = c->next)
    has_output |= strcmp(c->name, "output") == 0;
  if (!has_output && cx->n_faults == before)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "graph '%s' has no <output>: nothing in it is needed", name);
}

static void run_graphs(fv_xml_cx *cx) {
  if (fv_xml_one_graph(cx->file)) {
    run_graph(cx, cx->file->root, "main");
    return;
  }
  for (fv_xml_elem *e = cx->file->root->child; e && !fv_xml_too_many(cx); e = e->next) {
    const fv_xml_attr *name = fv_xml_find_attr(e, "name");
    if (strcmp(e->name, "graph") != 0 || e->foreign || !name)
      continue;
    const char *word = fv_xml_slice_text(cx, fv_xml_whole(name));
    cx->current = e;
    if (fv_xml_is_name(word))
      run_graph(cx, e, word);
    else
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, name, 0),
                         "'%s' is no name: a name has letters, digits and '_', no digit first",
                         word);
  }
}

//===-- Declarations ------------------------------------------------------===//

static void declare_block(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "name");
  const char *name = fv_xml_slice_text(cx, fv_xml_whole(a));
  if (fv_xml_scope_get(cx->blocks, name, strlen(name)) || !fv_xml_is_name(name)) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0),
                       "'%s' is no name, or the name of another block", name);
    return;
  }
  fv_xml_name *entry = FV_NEW(cx->arena, fv_xml_name);
  *entry = (fv_xml_name){.name = name, .where = e};
  fv_xml_scope_put(cx->arena, cx->blocks, entry);
}

// What the model says before its graphs. Of the ops of a model without <graph>,
// nothing runs here.
static void declare(fv_xml_cx *cx) {
  for (fv_xml_elem *e = cx->file->root->child; e && !fv_xml_too_many(cx); e = e->next) {
    const fv_xml_keyword *k = fv_xml_keyword_find(e->name);
    cx->current = e;
    const fv_xml_attr *name = fv_xml_find_attr(e, "name");
    if (!k || e->foreign || !(k->where & FV_XML_MODEL))
      continue;
    if (strcmp(e->name, "block") == 0 && name) {
      declare_block(cx, e);
    } else if (e->bad) {
      const bool number = strcmp(e->name, "let") == 0 || strcmp(e->name, "dim") == 0 ||
                          strcmp(e->name, "const") == 0;
      if (number && name && fv_xml_is_name(name->value) &&
          !fv_xml_scope_get(cx->model, name->value, strlen(name->value)))
        fv_xml_bind(cx, name, 0, name->value, FV_XML_POISON, NULL);
      cx->weights_failed |= strcmp(e->name, "weights") == 0;
    } else if (k->run) {
      k->run(cx, e);
    }
  }
}

static bool is_let(const fv_xml_name *n) {
  return n->where && strcmp(n->where->name, "let") == 0;
}

static bool is_dim(const fv_xml_name *n) {
  return n->where && strcmp(n->where->name, "dim") == 0;
}

// What the command line sets, the model must have, as <let> or <dim>.
static void check_integers(fv_xml_cx *cx, const char *element, bool (*fits)(const fv_xml_name *n),
                           const fv_let *set, int n) {
  for (int i = 0; i < n; i++) {
    const char *name = set[i].name;
    const fv_xml_name *e = fv_xml_scope_get(cx->model, name, strlen(name));
    if (e && (e->kind == FV_XML_POISON || fits(e)))
      continue;
    (void)fv_xml_fault(cx, FV_ERR_ARG, fv_xml_at(cx, cx->file->root),
                       "the model has no <%s name=\"%s\">%s", element, name,
                       fv_xml_suggest_name(cx, cx->model, name, fits));
  }
}

static void check_overrides(fv_xml_cx *cx, const fv_load_options *o) {
  cx->current = NULL;
  check_integers(cx, "let", is_let, o->let, o->n_let);
  check_integers(cx, "dim", is_dim, o->dim, o->n_dim);
  if (o->n_weights > 0 && fv_weights_count(cx->weights) == 0 && !cx->weights_failed)
    (void)fv_xml_fault(cx, FV_ERR_ARG, fv_xml_at(cx, cx->file->root),
                       "the model has no <weights>, so '%s' would stand in place of nothing",
                       o->weights[0]);
}

static void declare_verify(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_module *m = cx->module;
  const fv_xml_attr *graph = fv_xml_find_attr(e, "graph");
  const fv_xml_attr *tolerance = fv_xml_find_attr(e, "tolerance");
  fv_verify_case v = {.tolerance = 1e-5, .span = fv_xml_at(cx, e)};
  v.file = fv_xml_slice_text(cx, fv_xml_whole(fv_xml_find_attr(e, "file")));
  v.graph = graph ? fv_xml_slice_text(cx, fv_xml_whole(graph)) : m->graph[0]->name;
  if (!fv_xml_scope_get(cx->graphs, v.graph, strlen(v.graph)))
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, graph, 0), "no graph is called '%s'",
                       v.graph);
  else if (!graph && m->n_graph != 1)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e),
                       "the model has several graphs; say which by graph=");
  if (tolerance) {
    const fv_xml_slice s = fv_xml_whole(tolerance);
    if (!fv_parse_double(tolerance->value + s.at, s.n, &v.tolerance) || !(v.tolerance >= 0))
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, tolerance, s.at),
                         "the tolerance must be a number that is not negative");
  }
  fv_module_add_verify(m, v);
}

static void declare_verifies(fv_xml_cx *cx) {
  for (fv_xml_elem *e = cx->file->root->child; e; e = e->next) {
    cx->current = e;
    if (strcmp(e->name, "verify") == 0 && !e->foreign && !e->bad && cx->module->n_graph > 0)
      declare_verify(cx, e);
  }
}

//===-- The frontend ------------------------------------------------------===//

static const char *dir_of(fv_arena *ar, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? fv_arena_strndup(ar, path, (size_t)(slash - path) + 1) : "";
}

// unproved="check": what ops need and cannot prove is checked when a run begins.
static void set_unproved(fv_xml_cx *cx) {
  const fv_xml_attr *a = fv_xml_find_attr(cx->file->root, "unproved");
  cx->module->check_unproved = a && strcmp(a->value, "check") == 0;
  if (a && !cx->module->check_unproved && strcmp(a->value, "refuse") != 0)
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0),
                       "'%s' is unknown; it is one of: refuse check", a->value);
}

static void lower(fv_xml_cx *cx) {
  fv_xml_check(cx);
  if (cx->file->root->bad || fv_xml_too_many(cx))
    return;  // the root is no model: what follows would be noise
  set_unproved(cx);
  declare(cx);
  if (cx->options)
    check_overrides(cx, cx->options);
  run_graphs(cx);
  declare_verifies(cx);
}

static fv_status load(fv_arena *ar, const char *path, const fv_load_options *options,
                      fv_diag_sink *diag, fv_module **out) {
  *out = NULL;
  fv_xml_file *file;
  FV_TRY(fv_xml_read(ar, path, options ? &options->limits : NULL, diag, &file));
  const fv_xml_attr *name = fv_xml_find_attr(file->root, "name");
  fv_module *m = fv_module_create(ar, name ? name->value : "model");
  m->file = file->path;
  m->dir = dir_of(ar, path);
  fv_xml_held held = {.arena = ar};
  fv_diag_sink in_order = fv_xml_hold(&held);
  fv_xml_cx cx = {
      .arena = ar,
      .module = m,
      .pool = m->pool,
      .diag = &in_order,
      .file = file,
      .options = options,
      .limit = fv_xml_limits(options ? &options->limits : NULL),
      .model = fv_xml_scope_create(ar, NULL),
      .blocks = fv_xml_scope_create(ar, NULL),
      .states = fv_xml_scope_create(ar, NULL),
      .graphs = fv_xml_scope_create(ar, NULL),
      .lengths = fv_xml_scope_create(ar, NULL),
      .tensors = fv_xml_scope_create(ar, NULL),
      .families = fv_xml_scope_create(ar, NULL),
      .weights = fv_weights_create(ar),
  };
  lower(&cx);
  fv_xml_tell(&held, diag);
  if (fv_xml_too_many(&cx))
    fv_note(diag, NULL, "%s: more faults may follow; mend these first", file->path);
  if (cx.status == FV_OK)
    *out = m;
  return cx.status;
}

// A root element named "model", after a declaration and comments.
static bool recognises(const char *path, const void *head, size_t size) {
  (void)path;
  const char *p = head;
  size_t i = size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  while (i < size) {
    if (strchr(" \t\r\n", p[i]) && p[i]) {
      i++;
      continue;
    }
    if (size - i < 6 || p[i] != '<')
      return false;
    if (p[i + 1] != '?' && p[i + 1] != '!')
      return memcmp(p + i, "<model", 6) == 0;
    const bool comment = memcmp(p + i, "<!--", 4) == 0;
    i += 2;
    while (i < size && !(p[i] == '>' && (!comment || memcmp(p + i - 2, "--", 2) == 0)))
      i++;
    i++;
  }
  return false;
}

const fv_frontend fv_frontend_xml = {
    .name = "xml",
    .doc = "fovea's own model description, " FV_XML_NAMESPACE,
    .recognises = recognises,
    .load = load,
    .format = fv_xml_format,
};
