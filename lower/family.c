// SPDX-License-Identifier: Apache-2.0
// The table of schedule families.
#include <string.h>

#include "lower/group.h"

const char lw_other_kind[] = "it is no such op";

static const lw_family *const families[] = {
#define X(name, doc) &lw_family_##name,
    FV_FAMILY_TABLE(X)
#undef X
};

const lw_family *lw_family_find(const char *name) {
  for (size_t i = 0; i < FV_COUNTOF(families); i++)
    if (strcmp(families[i]->name, name) == 0)
      return families[i];
  return NULL;
}

static const lw_family *first_match(lw *l, const fv_node *n) {
  for (size_t i = 0; i < FV_COUNTOF(families); i++)
    if (!families[i]->match(l, n))
      return families[i];
  return NULL;
}

const lw_family *lw_family_of(lw *l, const fv_node *n) {
  const uint32_t id = n->out[0]->id;
  if (!l->family)  // definitions are being inlined
    return first_match(l, n);
  if (!l->family[id])
    l->family[id] = first_match(l, n);
  return l->family[id];
}
