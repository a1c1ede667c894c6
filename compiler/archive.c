// SPDX-License-Identifier: Apache-2.0
// The format of System V and GNU: a mark, then members, each behind a header of
// decimal text; the member "/" is the index. Times and owners are 0.
#include "compiler/archive.h"

#include <ar.h>
#include <stdio.h>
#include <string.h>

enum { MAX_MEMBER = 9 };  // GB: the header has ten digits for a size

// Fields are filled up with spaces and have no end.
static void set(char *field, size_t room, const char *text) {
  memset(field, ' ', room);
  memcpy(field, text, strlen(text));
}

static void put_header(unsigned char *at, const char *member, const char *mode, size_t size) {
  struct ar_hdr h;
  char digits[32];
  snprintf(digits, sizeof digits, "%zu", size);
  set(h.ar_name, sizeof h.ar_name, member);
  set(h.ar_date, sizeof h.ar_date, "0");
  set(h.ar_uid, sizeof h.ar_uid, "0");
  set(h.ar_gid, sizeof h.ar_gid, "0");
  set(h.ar_mode, sizeof h.ar_mode, mode);
  set(h.ar_size, sizeof h.ar_size, digits);
  memcpy(h.ar_fmag, ARFMAG, sizeof h.ar_fmag);
  memcpy(at, &h, sizeof h);
}

static void put_be32(unsigned char *at, uint32_t v) {
  for (int i = 0; i < 4; i++)
    at[i] = (unsigned char)(v >> (24 - 8 * i));
}

// "NAME_get" in the index: a count of 1, the place of the member that defines it.
static void put_index(unsigned char *at, size_t size, size_t member, const char *name) {
  put_header(at, "/", "0", size);
  at += sizeof(struct ar_hdr);
  put_be32(at, 1);
  put_be32(at + 4, (uint32_t)member);
  snprintf((char *)at + 8, size - 8, "%s_get", name);
}

fv_status fv_archive_make(fv_arena *ar, uint64_t size, const char *name, fv_diag_sink *diag,
                          fv_archive_parts *out) {
  // All members begin at even places.
  const size_t index = (8 + strlen(name) + sizeof "_get" + 1) & ~(size_t)1;
  const size_t member = SARMAG + sizeof(struct ar_hdr) + index;
  if (size > (uint64_t)MAX_MEMBER * 1000000000 || member > UINT32_MAX)
    return fv_error(diag, FV_ERR_LIMIT, NULL,
                    "the object has %llu bytes, a member of an archive at most %d GB: make it an "
                    "object or a shared library",
                    (unsigned long long)size, MAX_MEMBER);
  unsigned char *data = fv_arena_alloc(ar, member + sizeof(struct ar_hdr));
  memcpy(data, ARMAG, SARMAG);
  put_index(data + SARMAG, index, member, name);
  put_header(data + member, "model.o/", "644", (size_t)size);
  *out = (fv_archive_parts){data, member + sizeof(struct ar_hdr), size % 2};
  return FV_OK;
}
