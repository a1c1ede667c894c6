// SPDX-License-Identifier: Apache-2.0
// frontend/xml/fmt.h - the canonical form of a model file (`fovea fmt`).
//
// One blank between attributes, one of indentation a level, values in double
// quotes, long tags wrapped at 120 columns, at most one empty line. Line breaks
// between elements, comments, what stands in values, and the order of everything
// stay as they were written. Formatting twice gives the same bytes, and what is
// read from them is the same, but for blanks between the numbers of a text.
#ifndef FOVEA_FRONTEND_XML_FMT_H_
#define FOVEA_FRONTEND_XML_FMT_H_

#include "frontend/frontend.h"

// The text must be well-formed XML within the limits (else diagnosed); it need
// not be a right model. `out` is appended to.
FV_NODISCARD fv_status fv_xml_format(fv_arena *ar, const char *path, const char *bytes, size_t size,
                                     const fv_load_limits *limits, fv_diag_sink *diag, fv_str *out);

#endif  // FOVEA_FRONTEND_XML_FMT_H_
