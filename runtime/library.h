// SPDX-License-Identifier: Apache-2.0
// runtime/library.h - looking at a compiled model before it is loaded.
//
// dlopen believes what a file says: a library that was cut short kills the
// process. So the bytes are checked first.
#ifndef FOVEA_RUNTIME_LIBRARY_H_
#define FOVEA_RUNTIME_LIBRARY_H_

#include "base/base.h"

// The last bytes of a library that fovea wrote: a mark, and the hash of all that
// stands before them.
enum { FV_SEAL_BYTES = 24 };
void fv_library_seal(const void *data, size_t size, unsigned char out[FV_SEAL_BYTES]);

// Is this a whole ELF library for this machine that exports one function,
// NAME_get, and holds a program whose hash is right, and unaltered if it has a
// seal (strip takes it off)? Returns its name, within data, or NULL and a static sentence.
// *out_foreign (optional): it is a library made by fovea, but for another machine or by another
// version.
const char *fv_library_getter(const void *data, size_t size, const char **out_why,
                              bool *out_foreign);

#endif  // FOVEA_RUNTIME_LIBRARY_H_
