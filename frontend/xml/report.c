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

//===-- Order ---------------------------------------------------------------===//

// What is found in several passes over the file is told in its order: each fault with its notes.
static void hold(void *user, const fv_diag *d) {
  fv_xml_held *h = user;
  fv_diag copy = *d;
  copy.text = fv_arena_strdup(h->arena, d->text);
  if (h->n == 0 || d->severity != FV_NOTE)
    FV_PUSH(h->arena, h->fault, h->n, h->cap, (fv_xml_fault_notes){0});
  fv_xml_fault_notes *last = &h->fault[h->n - 1];
  FV_PUSH(h->arena, last->diag, last->n, last->cap, copy);
}

fv_diag_sink fv_xml_hold(fv_xml_held *h) {
  return (fv_diag_sink){.emit = hold, .user = h};
}

// What has no place stays behind what it was told after.
static bool comes_before(const fv_xml_fault_notes *a, const fv_xml_fault_notes *b) {
  const fv_span *x = a->diag[0].span, *y = b->diag[0].span;
  if (!x || !y || !x->file || !y->file || strcmp(x->file, y->file) != 0)
    return false;
  return x->line != y->line ? x->line < y->line : x->col < y->col;
}

void fv_xml_tell(const fv_xml_held *h, fv_diag_sink *diag) {
  for (size_t i = 1; i < h->n; i++) {  // of few: see MAX_FAULTS
    const fv_xml_fault_notes f = h->fault[i];
    size_t k = i;
    for (; k > 0 && comes_before(&f, &h->fault[k - 1]); k--)
      h->fault[k] = h->fault[k - 1];
    h->fault[k] = f;
  }
  for (size_t i = 0; i < h->n; i++)
    for (size_t k = 0; k < h->fault[i].n; k++) {
      const fv_diag *d = &h->fault[i].diag[k];
      if (d->severity == FV_ERROR)
        (void)fv_error(diag, d->code, d->span, "%s", d->text);
      else if (d->severity == FV_WARNING)
        fv_warning(diag, d->span, "%s", d->text);
      else
        fv_note(diag, d->span, "%s", d->text);
    }
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
