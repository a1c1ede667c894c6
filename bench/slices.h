// SPDX-License-Identifier: Apache-2.0
// slices.h - a process that measures when it is told to, one slice of time after
// the other, so that a script can let several such processes take turns.
//
// Lines on stdin:                      Answers on stdout, one line of JSON each:
//   run SECONDS                          {"iterations": 812, "cpu": T, "wall": T}
//                                        T: {"min": 2.4e-4, "median": 2.5e-4}
//   save FILE                            {"saved": "FILE"}
//
// Times are of one iteration: processor time of all threads, and time that passed.
#ifndef BENCH_SLICES_H_
#define BENCH_SLICES_H_

typedef struct slices {
  void *user;
  int (*once)(void *user);                    // one iteration; 0: done, else give up
  int (*save)(void *user, const char *path);  // the results as raw bytes; may be NULL
} slices;

double slices_now(void);  // seconds, as time passes

// Obeys stdin to its end. Returns an exit code.
int slices_serve(const slices *s);

#endif  // BENCH_SLICES_H_
