// SPDX-License-Identifier: Apache-2.0
//
// Places with their expansion trace, and the one way to report a fault.
#include <stdarg.h>
#include <string.h>

#include "frontend/xml/build.h"

enum { MAX_FAULTS = 20 };

const fv_span *fv_xml_at_offset(fv_xml_cx *cx, size_t offset) {
  fv_span s = fv_xml_place(cx->file, offset);
  s.outer = cx->top ? cx->top->outer : NULL;
  return fv_arena_dup(cx->arena, &s, sizeof s);
}

const fv_span *fv_xml_at(fv_xml_cx *cx, const fv_xml_elem *e) {
  return fv_xml_at_offset(cx, e->at);
}

const fv_span *fv_xml_at_name(fv_xml_cx *cx, const fv_xml_attr *a) {
  return fv_xml_at_offset(cx, a->name_at);
}

const fv_span *fv_xml_at_value(fv_xml_cx *cx, const fv_xml_attr *a, size_t index) {
  return fv_xml_at_offset(cx, fv_xml_value_offset(cx->file, a, index));
}

fv_status fv_xml_fault(fv_xml_cx *cx, fv_status code, const fv_span *at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  (void)fv_verror(cx->diag, code, at, fmt, ap);
  va_end(ap);
  cx->n_faults++;
  if (cx->status == FV_OK)
    cx->status = code;
  if (cx->current)
    cx->current->bad = true;
  return code;
}

bool fv_xml_too_many(const fv_xml_cx *cx) {
  return cx->n_faults >= MAX_FAULTS;
}

const char *fv_xml_suggest(fv_xml_cx *cx, const char *word, const char *(*candidate)(void *, int),
                           void *user) {
  const int i = fv_did_you_mean(word, candidate, user);
  return i < 0 ? "" : fv_arena_printf(cx->arena, "; did you mean '%s'?", candidate(user, i));
}

typedef struct visible {
  const char **name;
  size_t n, cap;
} visible;

static const char *visible_name(void *user, int i) {
  const visible *v = user;
  return i >= 0 && (size_t)i < v->n ? v->name[i] : NULL;
}

const char *fv_xml_suggest_name(fv_xml_cx *cx, const fv_xml_scope *s, const char *word,
                                bool (*fits)(const fv_xml_name *n)) {
  visible v = {0};
  for (; s; s = s->outer)
    for (size_t i = 0; i < s->n_slot; i++)
      if (s->slot[i] && fits(s->slot[i]))
        FV_PUSH(cx->arena, v.name, v.n, v.cap, s->slot[i]->name);
  return fv_xml_suggest(cx, word, visible_name, &v);
}

const char *fv_xml_type_text(fv_xml_cx *cx, const fv_type *t) {
  fv_str s = {.arena = cx->arena};
  fv_type_print(cx->pool, &s, t);
  return s.data;
}
