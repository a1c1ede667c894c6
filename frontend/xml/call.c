// SPDX-License-Identifier: Apache-2.0
//
// <call>: a block is expanded where it is called. It sees its arguments, its
// parameters and what the model declares, nothing else.
#include <string.h>

#include "frontend/xml/build.h"

typedef struct call {
  const fv_xml_elem *block, *site;
  fv_xml_scope *inside;
  bool failed;
} call;

// The names in a list attribute of the block; "n=3" is a parameter with a default.
static fv_xml_slice head_of(fv_xml_slice item, fv_xml_slice *dflt) {
  const char *v = item.attr->value;
  const char *eq = item.n ? memchr(v + item.at, '=', item.n) : NULL;
  *dflt = (fv_xml_slice){0};
  if (!eq)
    return item;
  const size_t head = (size_t)(eq - v) - item.at;
  *dflt = fv_xml_trim((fv_xml_slice){item.attr, item.at + head + 1, item.n - head - 1});
  return fv_xml_trim((fv_xml_slice){item.attr, item.at, head});
}

static bool next_name(fv_xml_cx *cx, fv_xml_slice *rest, const char **name, fv_xml_slice *at,
                      fv_xml_slice *dflt) {
  fv_xml_slice item;
  if (!rest->attr || !fv_xml_next(rest, &item))
    return false;
  *at = head_of(item, dflt);
  *name = fv_xml_slice_text(cx, *at);
  return true;
}

static fv_xml_slice list_of(const fv_xml_elem *block, const char *which) {
  const fv_xml_attr *a = fv_xml_find_attr(block, which);
  return a ? fv_xml_whole(a) : (fv_xml_slice){0};
}

static bool in_list(fv_xml_cx *cx, const fv_xml_elem *block, const char *which, const char *word) {
  fv_xml_slice rest = list_of(block, which);
  fv_xml_slice at;
  fv_xml_slice dflt;
  const char *name;
  while (next_name(cx, &rest, &name, &at, &dflt))
    if (strcmp(name, word) == 0)
      return true;
  return false;
}

//===-- Arguments ---------------------------------------------------------===//

static void put(fv_xml_cx *cx, call *c, const char *name, fv_xml_name entry) {
  entry.name = name;
  entry.where = c->block;
  const bool twice = fv_xml_scope_find(c->inside, name, strlen(name)) != NULL;
  if (twice || !fv_xml_is_name(name)) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, c->block),
                       twice ? "block '%s' cannot call an argument '%s': that name is bound already"
                             : "block '%s' calls an argument '%s', which is no name",
                       fv_xml_find_attr(c->block, "name")->value, name);
    c->failed = true;
    return;
  }
  fv_xml_scope_put(cx->arena, c->inside, fv_arena_dup(cx->arena, &entry, sizeof entry));
}

static void bind_values(fv_xml_cx *cx, call *c) {
  fv_xml_slice rest = list_of(c->block, "in");
  fv_xml_slice at;
  fv_xml_slice dflt;
  const char *name;
  while (next_name(cx, &rest, &name, &at, &dflt)) {
    const fv_xml_attr *a = fv_xml_find_attr(c->site, name);
    fv_xml_name entry = {.kind = FV_XML_POISON};
    if (!a) {
      (void)fv_xml_fault(
          cx, FV_ERR_PARSE, fv_xml_at(cx, c->site),
          "block '%s' needs the argument %s=", fv_xml_find_attr(c->block, "name")->value, name);
      c->failed = true;
    } else {
      const fv_xml_slice s = fv_xml_whole(a);
      entry.literal = s.n ? fv_xml_literal(cx, s) : NULL;
      entry.kind = FV_XML_LITERAL;
      if (!entry.literal) {
        entry.value = fv_xml_operand(cx, s, NULL);
        entry.kind = entry.value ? FV_XML_VALUE : FV_XML_POISON;
      }
    }
    put(cx, c, name, entry);
  }
}

// A parameter is an integer if it reads as one, else text; 'quoted' is text.
static fv_xml_name param_value(fv_xml_cx *cx, fv_xml_slice s) {
  const char *p = s.attr->value + s.at;
  const bool quoted = s.n >= 2 && p[0] == '\'' && p[s.n - 1] == '\'';
  fv_xml_name e = {.kind = FV_XML_TEXT};
  if (quoted)
    s.at++, s.n -= 2;
  const fv_xml_text *text = fv_xml_interpolate(cx, s);
  const bool plain = text && (text->n == 0 || (text->n == 1 && text->piece[0].text));
  const char *word = plain ? (text->n ? text->piece[0].text : "") : NULL;
  e.text = text;
  if (!text) {
    e.kind = FV_XML_POISON;
  } else if (!quoted && text->n == 1 && text->piece[0].expr) {
    e.kind = FV_XML_INT;
    e.expr = text->piece[0].expr;
  } else if (!quoted && word && *word && !strchr(word, '.')) {
    const char *err;
    size_t at;
    cx->poisoned = false;
    const fv_expr *x = fv_x_parse_i64(cx->pool, word, strlen(word), fv_xml_symbol, cx, &err, &at);
    if (cx->poisoned)
      e.kind = FV_XML_POISON;
    else if (x && !fv_xml_is_defined(cx, s, x))
      e.kind = FV_XML_POISON;
    else if (x)
      e = (fv_xml_name){.kind = FV_XML_INT, .expr = x};
    const fv_xml_name *same = x ? NULL : fv_xml_scope_find(cx->top->scope, word, strlen(word));
    if (same && same->kind == FV_XML_TEXT)
      e = (fv_xml_name){.kind = FV_XML_TEXT, .text = same->text};
  }
  return e;
}

static void bind_params(fv_xml_cx *cx, call *c) {
  fv_xml_slice rest = list_of(c->block, "param");
  fv_xml_slice at;
  fv_xml_slice dflt;
  const char *name;
  while (next_name(cx, &rest, &name, &at, &dflt)) {
    const fv_xml_attr *a = fv_xml_find_attr(c->site, name);
    fv_xml_name entry = {.kind = FV_XML_POISON};
    if (a || dflt.attr) {
      entry = param_value(cx, a ? fv_xml_whole(a) : dflt);
    } else {
      (void)fv_xml_fault(
          cx, FV_ERR_PARSE, fv_xml_at(cx, c->site),
          "block '%s' needs the parameter %s=", fv_xml_find_attr(c->block, "name")->value, name);
      c->failed = true;
    }
    put(cx, c, name, entry);
  }
}

typedef struct formals {
  const char *name[64];
  int n;
} formals;

static const char *formal_name(void *user, int i) {
  const formals *f = user;
  return i < f->n ? f->name[i] : NULL;
}

static void check_actuals(fv_xml_cx *cx, call *c) {
  static const char *const lists[] = {"in", "param", "out"};
  formals all = {.n = 0};
  for (size_t k = 0; k < FV_COUNTOF(lists); k++) {
    fv_xml_slice rest = list_of(c->block, lists[k]);
    fv_xml_slice at;
    fv_xml_slice dflt;
    const char *name;
    while (all.n < 64 && next_name(cx, &rest, &name, &at, &dflt))
      all.name[all.n++] = name;
  }
  for (int i = 0; i < c->site->n_attr; i++) {
    const fv_xml_attr *a = &c->site->attr[i];
    bool known = strcmp(a->name, "block") == 0;
    for (size_t k = 0; k < FV_COUNTOF(lists) && !known; k++)
      known = in_list(cx, c->block, lists[k], a->name);
    if (known)
      continue;
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_name(cx, a),
                       "block '%s' has no argument, parameter or result '%s'%s",
                       fv_xml_find_attr(c->block, "name")->value, a->name,
                       fv_xml_suggest(cx, a->name, formal_name, &all));
    c->failed = true;
  }
}

//===-- The call ----------------------------------------------------------===//

static bool is_block(const fv_xml_name *n) {
  return n->name != NULL;
}

static const fv_xml_elem *find_block(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "block");
  const char *name = fv_xml_plain(cx, fv_xml_whole(a));
  if (!name)
    return NULL;
  const fv_xml_name *found = fv_xml_scope_get(cx->blocks, name, strlen(name));
  if (!found) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0), "no block is called '%s'%s",
                       name, fv_xml_suggest_name(cx, cx->blocks, name, is_block));
    return NULL;
  }
  for (const fv_xml_frame *f = cx->top; f; f = f->up)
    if (f->body == found->where) {
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0),
                         "block '%s' calls itself; what repeats is a <repeat>", name);
      return NULL;
    }
  return found->where->bad ? NULL : found->where;
}

static void bind_outputs(fv_xml_cx *cx, const fv_xml_elem *block, const fv_xml_elem *site,
                         const fv_xml_scope *inside) {
  fv_xml_slice rest = list_of(block, "out");
  fv_xml_slice at;
  fv_xml_slice dflt;
  const char *name;
  while (next_name(cx, &rest, &name, &at, &dflt)) {
    const fv_xml_attr *a = fv_xml_find_attr(site, name);
    const fv_xml_name *e = inside ? fv_xml_scope_get(inside, name, strlen(name)) : NULL;
    if (a)
      fv_xml_bind_value(cx, fv_xml_whole(a), e && e->kind == FV_XML_VALUE ? e->value : NULL);
  }
}

// The block is unknown: whatever could be a result is poison.
static void poison_call(fv_xml_cx *cx, const fv_xml_elem *e) {
  for (int i = 0; i < e->n_attr; i++) {
    const char *v = e->attr[i].value;
    if (strcmp(e->attr[i].name, "block") != 0 && fv_xml_is_name(v) &&
        !fv_xml_scope_find(cx->top->scope, v, strlen(v)))
      fv_xml_bind(cx, &e->attr[i], 0, fv_arena_strdup(cx->arena, v), FV_XML_POISON, NULL);
  }
}

void fv_xml_run_call(fv_xml_cx *cx, const fv_xml_elem *e) {
  call c = {.site = e, .block = find_block(cx, e)};
  if (!c.block) {
    poison_call(cx, e);
    return;
  }
  c.inside = fv_xml_scope_create(cx->arena, cx->model);
  check_actuals(cx, &c);
  bind_values(cx, &c);
  bind_params(cx, &c);
  if (c.failed) {
    bind_outputs(cx, c.block, e, NULL);
    return;
  }
  const fv_span *site = fv_xml_at(cx, e);
  fv_span *outer = fv_arena_dup(cx->arena, site, sizeof *site);
  outer->what = fv_arena_printf(cx->arena, "in block '%s', called here",
                                fv_xml_find_attr(c.block, "name")->value);
  fv_xml_push(cx, (fv_xml_frame){.kind = FV_XML_IN_CALL,
                                 .body = c.block,
                                 .next = c.block->child,
                                 .site = cx->current,
                                 .scope = c.inside,
                                 .region = cx->top->region,
                                 .constants = cx->top->constants,
                                 .outer = outer});
}

void fv_xml_finish_call(fv_xml_cx *cx, fv_xml_frame *f) {
  fv_xml_slice rest = list_of(f->body, "out");
  fv_xml_slice at;
  fv_xml_slice dflt;
  const char *name;
  cx->current = f->site;
  while (next_name(cx, &rest, &name, &at, &dflt)) {
    const fv_xml_name *e = fv_xml_scope_get(f->scope, name, strlen(name));
    if (!e)
      (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, at.attr, at.at),
                         "nothing in block '%s' defines its result '%s'",
                         fv_xml_find_attr(f->body, "name")->value, name);
  }
  cx->top = f->up;
  bind_outputs(cx, f->body, f->site, f->scope);
}
