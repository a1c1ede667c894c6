// SPDX-License-Identifier: Apache-2.0
// runtime/library.h - compiled models as files: their seal, and how they are loaded.
//
// dlopen believes what a file says: a library that was cut short kills the process. So a library
// is sealed when it is made, and the bytes are checked against the seal before they are loaded.
//
// The seal is a note in the ELF file (of name FOVEA, see runtime/exec/artifact.c) with the size of
// the file and a hash of all that dlopen reads: the headers, but for where the sections stand, and
// what is loaded. The last bytes of the file are a hash of the rest. Tools that strip libraries
// rewrite the rest and take the end off, but leave alone what is loaded: a file of another size
// than it was made with is held against the first hash only.
#ifndef FOVEA_RUNTIME_LIBRARY_H_
#define FOVEA_RUNTIME_LIBRARY_H_

#include "base/diag.h"
#include "runtime/exec/exec.h"

// Room for the last bytes, which whoever makes a library adds to what the linker wrote.
enum { FV_SEAL_BYTES = 24 };
// What makes a whole file sealed: bytes that go into its note, and its last ones.
typedef struct fv_seal {
  uint64_t note_at;
  unsigned char note[24], end[FV_SEAL_BYTES];
} fv_seal;
// The seal of a file of `size` bytes, the last ones included; what stands there does not
// count. Returns NULL or why there is none.
const char *fv_library_seal(const void *data, size_t size, fv_seal *out);

// Is this a whole ELF library for this machine, unchanged since it was sealed, that exports one
// function, NAME_get? Returns its name, within data, or NULL and a static sentence.
// *out_foreign (optional): it is a library, but for another machine.
const char *fv_library_getter(const void *data, size_t size, const char **out_why,
                              bool *out_foreign);

typedef struct fv_library {
  void *handle;
  const fv_model_api *api;
} fv_library;

// Checks a file and loads what was checked. On failure (IO: it cannot be read; PARSE: it is no
// compiled model, or damaged; ABI: made for another machine or by another version) *out is empty.
FV_NODISCARD fv_status fv_library_open(const char *path, fv_diag_sink *diag, fv_library *out);
void fv_library_close(fv_library *l);  // an empty one is fine

#endif  // FOVEA_RUNTIME_LIBRARY_H_
