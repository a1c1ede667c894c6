// SPDX-License-Identifier: Apache-2.0
// lower/host.h - the host program of an entry.
#ifndef FOVEA_LOWER_HOST_H_
#define FOVEA_LOWER_HOST_H_

#include "lower/group.h"

// Walks the graph, whose groups and layouts are chosen, and fills l->entry.
FV_NODISCARD fv_status lw_host_entry(lw *l, fv_graph *g);
// host_verify.c: is each buffer written before it is read? A fault is our own: ERR_INTERNAL.
FV_NODISCARD fv_status lw_verify_host(lw *l, const fv_lentry *e);

#endif  // FOVEA_LOWER_HOST_H_
