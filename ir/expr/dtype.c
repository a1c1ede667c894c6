// SPDX-License-Identifier: Apache-2.0
#include "ir/expr/dtype.h"

#include <string.h>

typedef struct dtype_row {
  const char *name;
  int size;
  char kind;
} dtype_row;

static const dtype_row row[FV_DTYPE_COUNT] = {
#define X(name, size, kind) {#name, size, kind},
    FV_DTYPE_TABLE(X)
#undef X
};

const char *fv_dtype_name(fv_dtype t) {
  return row[t].name;
}

int fv_dtype_size(fv_dtype t) {
  return row[t].size;
}

bool fv_dtype_is_float(fv_dtype t) {
  return row[t].kind == 'f';
}

bool fv_dtype_is_int(fv_dtype t) {
  return row[t].kind == 'i' || row[t].kind == 'u';
}

bool fv_dtype_widens(fv_dtype from, fv_dtype to) {
  const dtype_row *f = &row[from], *t = &row[to];
  if (f->kind == 'b')
    return fv_dtype_is_int(to) || to == from;
  return to == from ||
         (t->size > f->size && (t->kind == f->kind || (f->kind == 'u' && t->kind == 'i')));
}

bool fv_dtype_find(const char *name, fv_dtype *out) {
  for (int i = 0; i < FV_DTYPE_COUNT; i++) {
    if (strcmp(row[i].name, name) == 0) {
      *out = (fv_dtype)i;
      return true;
    }
  }
  return false;
}

fv_dtype fv_dtype_compute(fv_dtype t) {
  return t == FV_f16 || t == FV_bf16 ? FV_f32 : t;
}
