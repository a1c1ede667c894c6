// SPDX-License-Identifier: Apache-2.0
// ir/graph/attr_text.h - attribute text to typed attributes.
//
// The XML frontend, the text form and the examples of the op table share this
// one parser, so that an attribute reads the same wherever it stands.
#ifndef FOVEA_IR_GRAPH_ATTR_TEXT_H_
#define FOVEA_IR_GRAPH_ATTR_TEXT_H_

#include "ir/graph/graph.h"

// Parses the text of attribute `a` (an entry of the schema of n's op) and sets
// it on n. Integers are expressions whose value must be a literal ("2*H" with H
// a let); lists are separated by commas, optionally in [ ]. `symbol` (optional)
// resolves names that are no symbols of the pool. On failure nothing is set,
// *err is a sentence without position and *err_at the offset into text.
FV_NODISCARD fv_status fv_attr_parse(fv_node *n, const fv_param_info *a, const char *text,
                                     size_t len,
                                     const fv_expr *(*symbol)(void *user, const char *name,
                                                              size_t n),
                                     void *user, const char **err, size_t *err_at);

// Prints an attribute in the form that fv_attr_parse reads.
void fv_attr_print(const fv_xpool *p, fv_str *out, const fv_attr *a, const fv_xprint *how);

#endif  // FOVEA_IR_GRAPH_ATTR_TEXT_H_
