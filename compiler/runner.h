// SPDX-License-Identifier: Apache-2.0
// compiler/runner.h - graphs that a backend runs itself, as programs.
//
// A graph becomes a host program of one launch: the interpreter of host programs binds the dims,
// keeps the states and commits, as for any other program, and the kernel is the whole graph.
#ifndef FOVEA_COMPILER_RUNNER_H_
#define FOVEA_COMPILER_RUNNER_H_

#include "compiler/internal.h"

// The programs of a module; kernel i is graph i.
fv_lowered *fv_runner_lower(fv_module *m);

// The device that launches them, one at a time for each executable. NULL: out of memory.
typedef struct fv_runner fv_runner;
fv_runner *fv_runner_create(fv_executable *e);
void fv_runner_destroy(fv_runner *r);  // NULL ok
const fv_device_ops *fv_runner_ops(void);

#endif  // FOVEA_COMPILER_RUNNER_H_
