// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "compiler/emit.h"
#include "compiler/internal.h"
#include "passes/pass.h"

#define FV_FRONTEND(name) extern const fv_frontend fv_frontend_##name;
#include "fv_frontends.inc"
#undef FV_FRONTEND
const fv_frontend *const fv_frontends[] = {
#define FV_FRONTEND(name) &fv_frontend_##name,
#include "fv_frontends.inc"
#undef FV_FRONTEND
    NULL};

void fv_bytes_free(fv_bytes *b) {
  free(b->data);
  *b = (fv_bytes){0};
}

fv_status fv_guard(fv_arena *ar, fv_diag_sink *diag, fv_status (*fn)(void *user), void *user) {
  const char *bug = NULL;
  const fv_status s = fv_arena_protect(ar, fn, user, &bug);
  if (s == FV_ERR_OOM)
    return fv_error(diag, s, NULL, "out of memory");
  if (s == FV_ERR_INTERNAL)
    return fv_error(diag, s, NULL, "internal error, please report it: %s", bug ? bug : "");
  return s;
}

//===-- Loading -----------------------------------------------------------------------===//

enum { HEAD = 4096 };

// By content; else by the file's name, so that a damaged model gets the words of
// its own format.
static const fv_frontend *frontend_of(const char *path, const void *head, size_t size) {
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; fv_frontends[i]; i++)
    if (fv_frontends[i]->recognises(path, head, size))
      return fv_frontends[i];
  for (size_t i = 0; dot && fv_frontends[i]; i++)
    if (strcmp(dot + 1, fv_frontends[i]->name) == 0)
      return fv_frontends[i];
  return NULL;
}

static fv_status load_module(fv_arena *ar, const char *path, const fv_load_options *o,
                             fv_diag_sink *diag, fv_module **out) {
  // Mapping through base tells a missing file, a folder or a pipe apart.
  const void *head;
  size_t size;
  FV_TRY(fv_file_map(ar, path, diag, NULL, &head, &size));
  const fv_frontend *f = frontend_of(path, head, size < HEAD ? size : HEAD);
  if (f) {
    FV_TRY(f->load(ar, path, o, diag, out));
    return fv_verify(*out, "loading", diag);
  }
  fv_span *span = FV_NEW(ar, fv_span);
  span->file = path;
  return fv_error(diag, FV_ERR_PARSE, span,
                  "this is no model that fovea reads (see `fovea list frontends`)");
}

typedef struct load_cx {
  fv_model *m;
  const char *path;
  fv_model_load_options o;
  fv_diag_sink *diag;
  fv_loaded *to;
} load_cx;

static fv_status load_into(void *user) {
  load_cx *cx = user;
  return load_module(cx->to->arena, cx->m->path, &cx->m->options, cx->diag, &cx->to->module);
}

static fv_status load(load_cx *cx) {
  cx->to->arena = fv_arena_create(NULL);
  if (!cx->to->arena)
    return fv_error(cx->diag, FV_ERR_OOM, NULL, "out of memory");
  const fv_status s = fv_guard(cx->to->arena, cx->diag, load_into, cx);
  if (s != FV_OK) {
    fv_arena_destroy(cx->to->arena);
    *cx->to = (fv_loaded){0};
  }
  return s;
}

fv_status fv_model_take(const fv_model *from, fv_diag_sink *diag, fv_loaded *out) {
  fv_model *m = (fv_model *)(uintptr_t)from;  // what it tells stays as it is
  pthread_mutex_lock(&m->lock);
  *out = m->loaded;
  m->loaded = (fv_loaded){0};
  pthread_mutex_unlock(&m->lock);
  load_cx cx = {.m = m, .diag = diag, .to = out};
  return out->module ? FV_OK : load(&cx);
}

static fv_status copy_integers(load_cx *cx, const char *const *texts, size_t n,
                               const fv_let **out) {
  fv_arena *ar = cx->m->arena;
  fv_let *let = FV_NEW_N(ar, fv_let, n);
  for (size_t i = 0; i < n; i++) {
    const char *text = texts[i], *eq = strchr(text, '=');
    if (!eq || eq == text || !fv_parse_i64(eq + 1, strlen(eq + 1), &let[i].value))
      return fv_error(cx->diag, FV_ERR_ARG, NULL, "'%s' is not NAME=INTEGER", text);
    let[i].name = fv_arena_strndup(ar, text, (size_t)(eq - text));
  }
  *out = let;
  return FV_OK;
}

static fv_status copy_options(void *user) {
  load_cx *cx = user;
  fv_model *m = cx->m;
  m->path = fv_arena_strdup(m->arena, cx->path);
  const fv_let *let = NULL, *dim = NULL;
  FV_TRY(copy_integers(cx, cx->o.let, cx->o.n_let, &let));
  FV_TRY(copy_integers(cx, cx->o.dim, cx->o.n_dim, &dim));
  const char **w = FV_NEW_N(m->arena, const char *, cx->o.n_weights);
  for (size_t i = 0; i < cx->o.n_weights; i++)
    w[i] = fv_arena_strdup(m->arena, cx->o.weights[i]);
  m->options = (fv_load_options){.let = let,
                                 .n_let = (int)cx->o.n_let,
                                 .dim = dim,
                                 .n_dim = (int)cx->o.n_dim,
                                 .weights = w,
                                 .n_weights = (int)cx->o.n_weights};
  return FV_OK;
}

// What a model tells is its own: its module may be taken away.
static fv_status describe(void *user) {
  const load_cx *cx = user;
  fv_model *m = cx->m;
  fv_module *from = m->loaded.module;
  fv_info_from_module(m->arena, from, &m->info);
  m->n_verify = from->n_verify;
  m->verify = FV_NEW_N(m->arena, fv_verify_info, from->n_verify);
  for (int i = 0; i < from->n_verify; i++)
    m->verify[i] = (fv_verify_info){fv_arena_strdup(m->arena, from->verify[i].graph),
                                    fv_arena_strdup(m->arena, from->verify[i].file),
                                    from->verify[i].tolerance};
  return FV_OK;
}

static fv_status describe_guarded(void *user) {
  load_cx *cx = user;
  return fv_guard(cx->m->arena, cx->diag, describe, cx);
}

fv_status fv_model_load(const char *path, const fv_model_load_options *o, fv_diag_sink *diag,
                        fv_model **out) {
  diag = FV_SINK(diag);
  load_cx cx = {.path = path, .diag = diag};
  *out = NULL;
  if (!FV_SIZED_OPTIONS(&cx.o, o))
    return fv_error(diag, FV_ERR_ARG, NULL, "fv_model_load: " FV_SIZED_REFUSAL);
  fv_model *m = calloc(1, sizeof *m);
  fv_arena *ar = m ? fv_arena_create(NULL) : NULL;
  if (!ar) {
    free(m);
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  }
  *m = (fv_model){.arena = ar, .lock = PTHREAD_MUTEX_INITIALIZER};
  cx.m = m;
  cx.to = &m->loaded;
  fv_status s = fv_guard(ar, diag, copy_options, &cx);
  if (s == FV_OK)
    s = load(&cx);
  if (s == FV_OK)
    s = fv_guard(m->loaded.arena, diag, describe_guarded, &cx);
  if (s != FV_OK)
    fv_model_destroy(m);
  else
    *out = m;
  return s;
}

void fv_model_destroy(fv_model *m) {
  if (!m)
    return;
  fv_arena_destroy(m->loaded.arena);
  fv_arena_destroy(m->arena);
  free(m);
}

const fv_model_info *fv_model_get_info(const fv_model *m) {
  return &m->info;
}

int fv_model_verify_count(const fv_model *m) {
  return m->n_verify;
}

fv_verify_info fv_model_verify_get(const fv_model *m, int i) {
  return m->verify[i];
}

//===-- Emission ------------------------------------------------------------------------===//

typedef struct emit_cx {
  fv_loaded from;
  const char *kind, *passes;
  fv_diag_sink *diag;
  fv_bytes *out;
} emit_cx;

fv_status fv_bytes_copy(fv_bytes *out, const void *data, size_t size, fv_diag_sink *diag) {
  out->data = malloc(size + 1);
  if (!out->data)
    return fv_error(diag, FV_ERR_OOM, NULL, "out of memory");
  if (size)
    memcpy(out->data, data, size);
  ((char *)out->data)[size] = 0;
  out->size = size;
  return FV_OK;
}

static fv_status simplify(fv_module *m, const char *passes, fv_diag_sink *diag) {
  const fv_pipeline p = {.spec = passes};
  return fv_pipeline_run(m, &p, diag);
}

static fv_status emit_body(void *user) {
  emit_cx *cx = user;
  FV_TRY(simplify(cx->from.module, cx->passes, cx->diag));
  fv_str s = {.arena = cx->from.arena};
  FV_TRY(fv_emit_module(cx->from.module, cx->kind, &s, cx->diag));
  return fv_bytes_copy(cx->out, s.data, s.size, cx->diag);
}

fv_status fv_model_emit(const fv_model *m, const char *kind, const char *passes, fv_diag_sink *diag,
                        fv_bytes *out) {
  diag = FV_SINK(diag);
  if (strcmp(kind, "xml") == 0)  // the description itself, in its canonical form
    return fv_format(m->path, diag, out);
  emit_cx cx = {.kind = kind, .passes = passes, .diag = diag, .out = out};
  FV_TRY(fv_model_take(m, diag, &cx.from));
  const fv_status s = fv_guard(cx.from.arena, diag, emit_body, &cx);
  fv_arena_destroy(cx.from.arena);
  return s;
}

//===-- Counting --------------------------------------------------------------------------===//

typedef struct count_cx {
  fv_loaded from;
  const char *passes, *const *op;
  size_t n_op;
  int *count;
  fv_diag_sink *diag;
} count_cx;

static int count_nodes(const fv_module *m, fv_op op) {
  int n = 0;
  for (int g = 0; g < m->n_graph; g++) {
    fv_region *r = m->graph[g]->region;
    for (fv_node *x = fv_walk_first(r); x; x = fv_walk_next(r, x))
      n += x->op == op;
  }
  return n;
}

static fv_status count_body(void *user) {
  count_cx *cx = user;
  FV_TRY(simplify(cx->from.module, cx->passes, cx->diag));
  for (size_t i = 0; i < cx->n_op; i++) {
    const fv_op op = fv_op_find(cx->op[i], strlen(cx->op[i]));
    cx->count[i] = op == FV_OP_COUNT ? -1 : count_nodes(cx->from.module, op);
  }
  return FV_OK;
}

fv_status fv_model_count_ops(const fv_model *m, const char *passes, const char *const *op,
                             size_t n_op, int *count, fv_diag_sink *diag) {
  diag = FV_SINK(diag);
  count_cx cx = {.passes = passes, .op = op, .n_op = n_op, .count = count, .diag = diag};
  FV_TRY(fv_model_take(m, diag, &cx.from));
  const fv_status s = fv_guard(cx.from.arena, diag, count_body, &cx);
  fv_arena_destroy(cx.from.arena);
  return s;
}
