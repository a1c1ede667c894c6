// SPDX-License-Identifier: Apache-2.0
// compiler/artifact_names.h - names and shapes of a model as C text.
#ifndef FOVEA_COMPILER_ARTIFACT_NAMES_H_
#define FOVEA_COMPILER_ARTIFACT_NAMES_H_

#include "base/str.h"
#include "fovea/program.h"

// A C and C++ identifier for `text` that is none of taken[0..n): what C has no
// letter for becomes '_', a keyword gets one at the end. fv_c_part: the same
// for what is only a part of identifiers, where keywords do no harm.
const char *fv_c_part(fv_arena *ar, const char *text, const char *const *taken, size_t n);
const char *fv_c_name(fv_arena *ar, const char *text, const char *const *taken, size_t n);
const char *fv_upper(fv_arena *ar, const char *name);

// What the slots of an entry hold, as text over the names of the symbols:
// "2 * S", "?" for what only a run knows.
const char **fv_slot_texts(fv_arena *ar, const fv_program *p, uint32_t entry,
                           const char *const *symbol);

#endif  // FOVEA_COMPILER_ARTIFACT_NAMES_H_
