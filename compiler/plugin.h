// SPDX-License-Identifier: Apache-2.0
// compiler/plugin.h - finding and loading backends.
//
// Built-in backends come from a generated registry. Plugins are loaded with
// RTLD_LOCAL from an absolute path only: FOVEA_PLUGIN_PATH (ignored under
// secure execution), then the directory that came with this library. Never the
// working directory, never a path out of a model. A loaded plugin stays loaded.
#ifndef FOVEA_COMPILER_PLUGIN_H_
#define FOVEA_COMPILER_PLUGIN_H_

#include "base/diag.h"
#include "fovea/fovea.h"
#include "fovea/plugin.h"

// A report is how a plugin's words reach a sink.
struct fv_report {
  fv_diag_sink *diag;
  const fv_span *span;
  uint32_t threads;  // for parallel_for; 0 = as many as the process may use
};

// The backend of a name; diagnosed when there is none or it is refused.
// *out is a copy, in which what the plugin does not know is NULL.
FV_NODISCARD fv_status fv_backend_find(const char *name, fv_diag_sink *diag, fv_backend *out);
// Calls f for each backend that can be found; plugins that are refused are
// told to diag.
void fv_backend_each(void (*f)(void *user, const fv_backend *b), void *user, fv_diag_sink *diag);

const fv_host *fv_host_table(void);
fv_status fv_plugin_status(int32_t s);
// What a plugin made, as bytes of the caller of the library.
FV_NODISCARD fv_status fv_take_blob(fv_blob *b, fv_diag_sink *diag, fv_bytes *out);

// Directory of the plugins and of what goes into artifacts, with a trailing
// '/'; false if it cannot be told.
bool fv_plugin_dir(char *out, size_t size);

#endif  // FOVEA_COMPILER_PLUGIN_H_
