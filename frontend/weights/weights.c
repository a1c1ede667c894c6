// SPDX-License-Identifier: Apache-2.0
#include "frontend/weights/weights.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/safetensors.h"

typedef struct entry {
  fv_tensor stored;
  const char *file;
  bool convert;
  fv_dtype as;
  const char *lacks;       // a type that fovea has not: the tensor cannot be used
  const fv_tensor *ready;  // aligned and converted; made when it is asked for
} entry;

struct fv_weights {
  fv_arena *arena;
  entry *item;
  size_t n, cap;
  uint32_t *slot;  // hash table of item numbers + 1, a power of two
  size_t n_slot;
  fv_str files;
};

// What a file is added with.
typedef struct source {
  fv_weights *set;
  const char *dir;   // NULL: the name is a path of the user's own
  bool trusted;      // the user named dir: links in it may lead out of it
  const char *name;  // of the file, as given
  const fv_dtype *as;
  fv_diag_sink *diag;
  const fv_span *span;
} source;

fv_weights *fv_weights_create(fv_arena *ar) {
  fv_weights *w = FV_NEW(ar, fv_weights);
  w->arena = ar;
  w->files.arena = ar;
  fv_str_puts(&w->files, "");
  return w;
}

int fv_weights_count(const fv_weights *w) {
  return (int)w->n;
}

const char *fv_weights_name(const fv_weights *w, int i) {
  return i >= 0 && (size_t)i < w->n ? w->item[i].stored.name : NULL;
}

const char *fv_weights_files(const fv_weights *w) {
  return w->files.data;
}

//===-- The table of names ------------------------------------------------===//

static size_t slot_of(const fv_weights *w, const char *name) {
  size_t i = (size_t)fv_hash64(name, strlen(name), 0) & (w->n_slot - 1);
  while (w->slot[i] && strcmp(w->item[w->slot[i] - 1].stored.name, name) != 0)
    i = (i + 1) & (w->n_slot - 1);
  return i;
}

static entry *find(const fv_weights *w, const char *name) {
  if (w->n_slot == 0)
    return NULL;
  const uint32_t hit = w->slot[slot_of(w, name)];
  return hit ? &w->item[hit - 1] : NULL;
}

static void insert(fv_weights *w, entry e) {
  FV_PUSH(w->arena, w->item, w->n, w->cap, e);
  if (2 * w->n > w->n_slot) {
    w->n_slot = w->n_slot ? 2 * w->n_slot : 64;
    w->slot = FV_NEW_N(w->arena, uint32_t, w->n_slot);
    for (size_t i = 0; i + 1 < w->n; i++)
      w->slot[slot_of(w, w->item[i].stored.name)] = (uint32_t)i + 1;
  }
  w->slot[slot_of(w, e.stored.name)] = (uint32_t)w->n;
}

//===-- Files -------------------------------------------------------------===//

static fv_status map(const source *s, const void **data, size_t *size) {
  fv_arena *ar = s->set->arena;
  if (!s->dir)
    return fv_file_map(ar, s->name, s->diag, s->span, data, size);
  if (s->trusted)
    return fv_file_map_beside(ar, s->dir, s->name, s->diag, s->span, data, size);
  const fv_status st = fv_file_map_beneath(ar, s->dir, s->name, s->diag, s->span, data, size);
  if (st == FV_ERR_IO)
    fv_note(s->diag, s->span,
            "what a model names is opened beneath its own directory, and no link leads out of it; "
            "--weights FILE takes weights from anywhere");
  return st;
}

static fv_status add_tensors(const source *s) {
  fv_weights *w = s->set;
  const void *data;
  size_t size;
  FV_TRY(map(s, &data, &size));
  const char *file = fv_arena_strdup(w->arena, s->name);
  const fv_mapping mapping = {data, size}, *kept = fv_arena_dup(w->arena, &mapping, sizeof mapping);
  fv_safetensors *st;
  FV_TRY(fv_safetensors_open(w->arena, file, data, size, s->diag, s->span, &st));
  for (int i = 0; i < st->count; i++) {
    const fv_safetensor *t = &st->tensor[i];
    entry e = {.file = file,
               .lacks = t->usable ? NULL : t->type,
               .convert = s->as && t->usable && fv_dtype_is_float(t->dtype)};
    e.as = e.convert ? *s->as : t->dtype;
    e.stored = (fv_tensor){
        .name = t->name, .dtype = t->dtype, .rank = t->rank, .data = t->data, .file = kept};
    memcpy(e.stored.dim, t->dim, sizeof e.stored.dim);
    const entry *twice = find(w, t->name);
    if (twice)
      return fv_error(s->diag, FV_ERR_PARSE, s->span, "weight '%s' is in both '%s' and '%s'",
                      t->name, twice->file, file);
    insert(w, e);
  }
  fv_str_printf(&w->files, "%s'%s'", w->files.size ? ", " : "", file);
  return FV_OK;
}

//===-- Sharded files -----------------------------------------------------===//

static void free_json(void *root) {
  json_decref(root);
}

static bool ends_with(const char *s, const char *end) {
  const size_t n = strlen(s);
  const size_t m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

// Directory part of a path, with its '/', or "".
static const char *dir_part(fv_arena *ar, const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? fv_arena_strndup(ar, path, (size_t)(slash - path) + 1) : "";
}

typedef struct shards {
  const char **file;
  size_t n, cap;
} shards;

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Each file once.
static void sort_shards(shards *list) {
  size_t kept = 0;
  if (list->n > 1)
    qsort(list->file, list->n, sizeof *list->file, by_name);
  for (size_t i = 0; i < list->n; i++)
    if (i == 0 || strcmp(list->file[i], list->file[kept - 1]) != 0)
      list->file[kept++] = list->file[i];
  list->n = kept;
}

static fv_status read_index(const source *s, json_t **out) {
  const void *data;
  size_t size;
  FV_TRY(map(s, &data, &size));
  void **slot = fv_arena_defer(s->set->arena, free_json);
  json_error_t err;
  json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &err);
  *slot = root;
  if (!root)
    return fv_error(s->diag, FV_ERR_PARSE, s->span, "'%s', line %d: %s", s->name, err.line,
                    err.text);
  *out = json_object_get(root, "weight_map");
  if (!json_is_object(*out))
    return fv_error(s->diag, FV_ERR_PARSE, s->span, "'%s' has no \"weight_map\"", s->name);
  return FV_OK;
}

// The index names a file for each weight; each must be in its file.
static fv_status check_index(const source *s, json_t *map_of, const char *dir) {
  const char *name;
  json_t *value;
  json_object_foreach(map_of, name, value) {
    const entry *e = find(s->set, name);
    const char *file = json_string_value(value);
    const char *path = fv_arena_printf(s->set->arena, "%s%s", dir, file);
    if (!e || strcmp(e->file, path) != 0)
      return fv_error(s->diag, FV_ERR_PARSE, s->span,
                      "'%s' says that '%s' has weight '%s'; it has not", s->name, file, name);
  }
  return FV_OK;
}

static fv_status add_shards(const source *s) {
  fv_arena *ar = s->set->arena;
  json_t *map_of;
  FV_TRY(read_index(s, &map_of));
  shards list = {0};
  const char *name;
  json_t *value;
  json_object_foreach(map_of, name, value) {
    const char *file = json_string_value(value);
    if (!file)
      return fv_error(s->diag, FV_ERR_PARSE, s->span, "'%s': weight '%s' names no file", s->name,
                      name);
    FV_PUSH(ar, list.file, list.n, list.cap, file);
  }
  sort_shards(&list);
  // Shards lie beside the index, also when the user named the index: the names in
  // it are never trusted, but then the links in its directory are.
  const char *beside = dir_part(ar, s->name);
  for (size_t i = 0; i < list.n; i++) {
    source shard = *s;
    shard.dir = s->dir ? s->dir : beside;
    shard.trusted = s->trusted || !s->dir;
    shard.name = s->dir ? fv_arena_printf(ar, "%s%s", beside, list.file[i]) : list.file[i];
    FV_TRY(add_tensors(&shard));
  }
  return check_index(s, map_of, s->dir ? beside : "");
}

fv_status fv_weights_add(fv_weights *w, const char *dir, const char *name, const fv_dtype *as,
                         fv_diag_sink *diag, const fv_span *span) {
  const source s = {.set = w, .dir = dir, .name = name, .as = as, .diag = diag, .span = span};
  return ends_with(name, ".json") ? add_shards(&s) : add_tensors(&s);
}

//===-- Tensors -----------------------------------------------------------===//

static const fv_tensor *make_ready(fv_weights *w, const entry *e) {
  const fv_view v = fv_view_of(&e->stored);
  fv_tensor like = e->stored;
  like.dtype = e->as;
  return fv_tensor_of(w->arena, &like, e->stored.data, e->stored.dtype, v.stride);
}

const fv_tensor *fv_weights_find(fv_weights *w, const char *name) {
  entry *e = find(w, name);
  if (!e || e->lacks)
    return NULL;
  if (!e->ready)
    e->ready = make_ready(w, e);
  return e->ready;
}

const char *fv_weights_lacks(const fv_weights *w, const char *name) {
  const entry *e = find(w, name);
  return e ? e->lacks : NULL;
}
