// SPDX-License-Identifier: Apache-2.0
#include "listing.h"

#include <stdlib.h>
#include <string.h>

// The library is at work when it calls back, and no jump may cross it: rows are
// kept by malloc until it has returned.
typedef struct rows {
  struct listed *item;
  size_t count, cap;
  bool oom;
} rows;

static void rows_free(void *user) {
  rows *all = user;
  for (size_t i = 0; i < all->count; i++) {
    free((void *)(uintptr_t)all->item[i].name);
    free((void *)(uintptr_t)all->item[i].doc);
  }
  free(all->item);
}

static void add(void *user, const char *kind, const char *name, const char *doc) {
  rows *all = user;
  if (all->count == all->cap) {
    const size_t cap = all->cap ? 2 * all->cap : 64;
    struct listed *more = realloc(all->item, cap * sizeof *more);
    all->oom = all->oom || !more;
    if (!more)
      return;
    all->item = more;
    all->cap = cap;
  }
  struct listed *row = &all->item[all->count++];
  *row = (struct listed){kind, strdup(name), strdup(doc ? doc : "")};
  all->oom = all->oom || !row->name || !row->doc;
}

fv_status listing_read(tool *t, const char *kind, listing *out) {
  rows *all = FV_NEW(t->arena, rows);
  *fv_arena_defer(t->arena, rows_free) = all;
  fv_list(kind, add, all);
  *out = (listing){all->item, all->count};
  return all->oom ? fv_error(t->diag, FV_ERR_OOM, NULL, "out of memory") : FV_OK;
}

static const char *name_at(void *user, int i) {
  const listing *l = user;
  return (size_t)i < l->count ? l->item[i].name : NULL;
}

fv_status listing_unknown(tool *t, const char *what, const char *kind, const char *name) {
  listing all;
  FV_TRY(listing_read(t, kind, &all));
  const fv_status s = usage_error(t, "there is no %s '%s' (`fovea list %s`)", what, name, kind);
  fv_note_meant(t->diag, NULL, name, name_at, &all);
  return s;
}
