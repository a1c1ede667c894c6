// SPDX-License-Identifier: Apache-2.0
// tools/dims.h - the values of a model's symbols.
#ifndef FOVEA_TOOLS_DIMS_H_
#define FOVEA_TOOLS_DIMS_H_

#include "tensors.h"

// Says so once more or anew; `by` names who does. Disagreement is an error.
FV_NODISCARD fv_status dims_set(tool *t, dims *d, int symbol, int64_t value, const char *by);
// The value of an expression over known symbols; false if it has none.
bool dims_evaluate(const dims *d, const char *text, size_t n, int64_t *out);
// Extent of a dim of a port; false if it is not known yet.
bool dims_of_port(const dims *d, const fv_port_info *port, int dim, int64_t *out);

#endif  // FOVEA_TOOLS_DIMS_H_
