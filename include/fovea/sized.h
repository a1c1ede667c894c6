// SPDX-License-Identifier: Apache-2.0
// fovea/sized.h - structs that begin with their size.
//
// Members are only ever appended, so a struct of an older version is a prefix of ours, and ours
// one of a newer version's. Nobody reads such a struct where it stands: whoever is handed one takes
// a copy, in which the members that the other side does not know are 0. Behind the members that we
// know there may be others; an option among them that is set was meant, and cannot be followed.
#ifndef FOVEA_SIZED_H_
#define FOVEA_SIZED_H_

#include <stdbool.h>
#include <stddef.h>

static inline void fv_sized_copy(void *own, size_t own_size, const void *given, size_t size) {
  unsigned char *to = (unsigned char *)own;
  const unsigned char *from = (const unsigned char *)given;
  for (size_t i = 0; i < own_size; i++)
    to[i] = i < size ? from[i] : 0;
}

static inline bool fv_sized_known(const void *given, size_t own_size, size_t size) {
  const unsigned char *from = (const unsigned char *)given;
  for (size_t i = own_size; i < size; i++)
    if (from[i])
      return false;
  return true;
}

// A table of functions or facts: *own becomes what we know of *given.
#define FV_SIZED_TAKE(own, given)                                      \
  (fv_sized_copy((own), sizeof *(own), (given), (given)->struct_size), \
   (void)((own)->struct_size = sizeof *(own)))

// Options: NULL means all defaults. False where struct_size was not set, or members are set that
// we do not know; *own is then not to be used.
#define FV_SIZED_OPTIONS(own, given)                                                             \
  ((given) ? (given)->struct_size >= sizeof(given)->struct_size &&                               \
                 fv_sized_known((given), sizeof *(own), (given)->struct_size) &&                 \
                 (FV_SIZED_TAKE((own), (given)), true)                                           \
           : (fv_sized_copy((own), sizeof *(own), (own), 0), (own)->struct_size = sizeof *(own), \
              true))

#define FV_SIZED_REFUSAL \
  "struct_size of the options is not set, or they are of a newer version and used"

#endif  // FOVEA_SIZED_H_
