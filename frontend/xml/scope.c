// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/hash.h"
#include "frontend/xml/build.h"

fv_xml_scope *fv_xml_scope_create(fv_arena *ar, fv_xml_scope *outer) {
  fv_xml_scope *s = FV_NEW(ar, fv_xml_scope);
  s->outer = outer;
  return s;
}

static size_t first_slot(const fv_xml_scope *s, const char *name, size_t n) {
  return (size_t)fv_hash64(name, n, 0) & (s->n_slot - 1);
}

static bool is_called(const fv_xml_name *e, const char *name, size_t n) {
  return strncmp(e->name, name, n) == 0 && e->name[n] == 0;
}

fv_xml_name *fv_xml_scope_get(const fv_xml_scope *s, const char *name, size_t n) {
  if (s->count == 0)
    return NULL;
  for (size_t i = first_slot(s, name, n); s->slot[i]; i = (i + 1) & (s->n_slot - 1))
    if (is_called(s->slot[i], name, n))
      return s->slot[i];
  return NULL;
}

fv_xml_name *fv_xml_scope_find(const fv_xml_scope *s, const char *name, size_t n) {
  for (; s; s = s->outer) {
    fv_xml_name *e = fv_xml_scope_get(s, name, n);
    if (e)
      return e;
  }
  return NULL;
}

static void insert(fv_xml_scope *s, fv_xml_name *entry) {
  size_t i = first_slot(s, entry->name, strlen(entry->name));
  while (s->slot[i])
    i = (i + 1) & (s->n_slot - 1);
  s->slot[i] = entry;
}

bool fv_xml_scope_note(fv_arena *ar, fv_xml_scope *s, const char *name, size_t index) {
  if (fv_xml_scope_get(s, name, strlen(name)))
    return false;
  const fv_xml_name e = {.name = name, .kind = FV_XML_INDEX, .index = index};
  fv_xml_scope_put(ar, s, fv_arena_dup(ar, &e, sizeof e));
  return true;
}

void fv_xml_scope_put(fv_arena *ar, fv_xml_scope *s, fv_xml_name *entry) {
  if (2 * (s->count + 1) > s->n_slot) {
    fv_xml_name **old = s->slot;
    const size_t n_old = s->n_slot;
    s->n_slot = n_old ? 2 * n_old : 16;
    s->slot = FV_NEW_N(ar, fv_xml_name *, s->n_slot);
    for (size_t i = 0; i < n_old; i++)
      if (old[i])
        insert(s, old[i]);
  }
  insert(s, entry);
  s->count++;
}
