// SPDX-License-Identifier: Apache-2.0
//
// What an attribute that names a value means: a name, a weight or a literal.
#include <string.h>

#include "frontend/xml/build.h"

const char *fv_xml_literal(fv_xml_cx *cx, fv_xml_slice s) {
  const char *text = fv_xml_slice_text(cx, s);
  if (fv_xml_is_literal(text))
    return text;
  const fv_xml_name *e = fv_xml_scope_find(cx->top->scope, text, strlen(text));
  return e && e->kind == FV_XML_LITERAL ? e->literal : NULL;
}

static bool is_operand(const fv_xml_name *n) {
  return n->kind == FV_XML_VALUE || n->kind == FV_XML_CONST || n->kind == FV_XML_LITERAL;
}

static bool defines(const fv_xml_elem *e, const char *word) {
  const fv_xml_attr *out = fv_xml_find_attr(e, "out");
  if (!out)
    return false;
  fv_xml_slice rest = fv_xml_whole(out);
  fv_xml_slice item;
  while (fv_xml_next(&rest, &item))
    if (item.n == strlen(word) && memcmp(out->value + item.at, word, item.n) == 0)
      return true;
  return false;
}

// Where in the element that runs now the name is defined later on, or NULL.
static const fv_xml_elem *defined_later(const fv_xml_cx *cx, const char *word) {
  for (const fv_xml_frame *f = cx->top; f; f = f->kind == FV_XML_IN_CALL ? NULL : f->up) {
    const fv_xml_elem *same = f == cx->top ? cx->current : NULL;
    if (same && same->parent == f->body && defines(same, word))
      return same;
    for (const fv_xml_elem *e = f->next; e; e = e->next)
      if (defines(e, word))
        return e;
  }
  return NULL;
}

static void report_unknown(fv_xml_cx *cx, fv_xml_slice s, const char *word) {
  const fv_span *at = fv_xml_at_value(cx, s.attr, s.at);
  const fv_xml_elem *later = defined_later(cx, word);
  const fv_xml_name *elsewhere = NULL;
  const fv_xml_frame *f = cx->top;
  while (f && f->kind != FV_XML_IN_CALL)
    f = f->up;
  for (const fv_xml_frame *up = f ? f->up : NULL; up && !elsewhere; up = up->up)
    elsewhere = fv_xml_scope_get(up->scope, word, strlen(word));
  if (later) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, at,
                       "value '%s' is used before it is defined, in line %u; what goes from one "
                       "step of a loop to the next is a <carry>",
                       word, (unsigned)fv_xml_place(cx->file, later->at).line);
  } else if (elsewhere && is_operand(elsewhere)) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, at,
                       "value '%s' is not visible here: a block sees only its arguments; add it to "
                       "in= of the block",
                       word);
  } else {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, at, "no value is called '%s'%s", word,
                       strchr(word, ' ')
                           ? "; names are separated by commas"
                           : fv_xml_suggest_name(cx, cx->top->scope, word, is_operand));
  }
}

static fv_value *named(fv_xml_cx *cx, fv_xml_slice s, const char *word, const fv_dtype *like) {
  const fv_xml_name *e = fv_xml_scope_find(cx->top->scope, word, strlen(word));
  if (!e) {
    report_unknown(cx, s, word);
    return NULL;
  }
  switch (e->kind) {
  case FV_XML_VALUE: return e->value;
  case FV_XML_POISON: return NULL;
  case FV_XML_LITERAL: return fv_xml_literal_value(cx, s, e->literal, like ? *like : FV_f32);
  case FV_XML_CONST: return fv_xml_constant_of(cx, e->tensor);
  case FV_XML_TEXT:
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, s.at),
                       "'%s' is a parameter, not a value; a weight of that name is @{%s}", word,
                       word);
    return NULL;
  case FV_XML_INDEX: return NULL;  // no scope of values holds one
  case FV_XML_INT:
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, s.at),
                       "'%s' is an integer, not a value", word);
    return NULL;
  }
  return NULL;
}

fv_dtype fv_xml_literal_type(const char *s) {
  if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)
    return FV_bool;
  s += *s == '-';
  return *s && s[strspn(s, "0123456789")] == '\0' ? FV_i64 : FV_f32;
}

fv_value *fv_xml_operand(fv_xml_cx *cx, fv_xml_slice s, const fv_dtype *like) {
  if (s.n == 0) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, s.at),
                       "a value is expected here");
    return NULL;
  }
  if (s.attr->value[s.at] == '@')
    return fv_xml_weight(cx, s);
  const char *literal = fv_xml_literal(cx, s);
  if (literal) {
    return fv_xml_literal_value(cx, s, literal, like ? *like : fv_xml_literal_type(literal));
  }
  const char *word = fv_xml_plain(cx, s);
  return word ? named(cx, s, word, like) : NULL;
}
