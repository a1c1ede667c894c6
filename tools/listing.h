// SPDX-License-Identifier: Apache-2.0
// tools/listing.h - what fv_list() tells, as a list.
#ifndef FOVEA_TOOLS_LISTING_H_
#define FOVEA_TOOLS_LISTING_H_

#include "tool.h"

typedef struct listing {
  struct listed {
    const char *kind, *name, *doc;
  } * item;
  size_t count;
} listing;

// kind NULL: all.
FV_NODISCARD fv_status listing_read(tool *t, const char *kind, listing *out);
// Usage error: there is no `what` of that name among those of the kind; with the one that may
// have been meant.
FV_NODISCARD fv_status listing_unknown(tool *t, const char *what, const char *kind,
                                       const char *name);

#endif  // FOVEA_TOOLS_LISTING_H_
