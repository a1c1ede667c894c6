// SPDX-License-Identifier: Apache-2.0
// base/beneath.h - opening files beneath a directory. Internal to base/.
#ifndef FOVEA_BASE_BENEATH_H_
#define FOVEA_BASE_BENEATH_H_

#include "base/base.h"

// A read-only descriptor of `name`, which does not leave `dir`, or -errno;
// -EXDEV if it would leave. A FIFO does not block it.
int fv__open_beneath(const char *dir, const char *name);

// The same for kernels without openat2(2): refuses every symbolic link (-ELOOP).
int fv__open_beneath_walk(const char *dir, const char *name);

// Does the name leave its directory, whatever the file system holds?
bool fv__leaves(const char *name);

#endif  // FOVEA_BASE_BENEATH_H_
