// SPDX-License-Identifier: Apache-2.0
//
// Text goes out through put(), which writes the model's name for each '@'.
// Names of graphs, tensors and dims are made C identifiers first, so nothing
// that a model says reaches the header as it is.
#include "compiler/artifact_header.h"

#include <string.h>

#include "compiler/artifact_names.h"
#include "fovea/program.h"
#include "runtime/exec/artifact.h"

typedef struct port {
  const char *name;
  const fv_prog_port *from;
  const char *shape;
  const char *room;  // the same with upper bounds for what only a run knows
} port;

// An entry with its names made identifiers.
typedef struct entry {
  const char *name;
  uint32_t index;
  const char **dim;  // by used symbol
  const uint32_t *symbol;
  uint32_t n_dim, n_in, n_out;
  port *in, *out;
} entry;

typedef struct header {
  fv_arena *arena;
  const char *image;
  const fv_program *p;
  const char *name;
  fv_str *out;
  entry *e;
} header;

static void put(header *h, const char *text) {
  for (const char *at; (at = strchr(text, '@')); text = at + 1) {
    fv_str_append(h->out, text, (size_t)(at - text));
    fv_str_puts(h->out, h->name);
  }
  fv_str_puts(h->out, text);
}

// The same with printf's formats; no argument may hold an '@'.
static void putf(header *h, const char *fmt, ...) FV_PRINTF(2, 3);
static void putf(header *h, const char *fmt, ...) {
  fv_str s = {.arena = h->arena};
  va_list ap;
  va_start(ap, fmt);
  fv_str_vprintf(&s, fmt, ap);
  va_end(ap);
  put(h, s.data);
}

static const void *rows(const header *h, fv_table t) {
  return h->image + t.offset;
}
static const char *string(const header *h, uint32_t offset) {
  return h->image + offset;
}

//===-- Names and shapes --------------------------------------------------===//

static const char *shape_of(header *h, const fv_prog_entry *from, const char *const *slot,
                            const fv_prog_port *p, const uint32_t *dim) {
  fv_str s = {.arena = h->arena};
  fv_str_puts(&s, "[");
  for (int d = 0; d < p->rank; d++)
    fv_str_printf(&s, "%s%s", d ? ", " : "", dim[d] < from->n_slot ? slot[dim[d]] : "?");
  fv_str_puts(&s, "]");
  return s.data;
}

static port *make_ports(header *h, const fv_prog_entry *from, const char *const *slot,
                        fv_table table) {
  const fv_prog_port *p = rows(h, table);
  port *out = FV_NEW_N(h->arena, port, table.count);
  const char **names = FV_NEW_N(h->arena, const char *, table.count);
  for (uint32_t i = 0; i < table.count; i++) {
    names[i] = fv_c_name(h->arena, string(h, p[i].name), names, i);
    out[i] = (port){names[i], &p[i], shape_of(h, from, slot, &p[i], p[i].dim_slot),
                    shape_of(h, from, slot, &p[i], p[i].bound_slot)};
  }
  return out;
}

static entry make_entry(header *h, uint32_t index, const char *name) {
  const fv_prog_entry *from = (const fv_prog_entry *)rows(h, h->p->entries) + index;
  const fv_prog_symbol *symbol = rows(h, h->p->symbols);
  entry e = {.name = name,
             .index = index,
             .symbol = rows(h, from->used_symbols),
             .n_dim = from->used_symbols.count,
             .n_in = from->inputs.count,
             .n_out = from->outputs.count};
  // All symbols get their names: shapes may tell of lengths of states too.
  const char **all = FV_NEW_N(h->arena, const char *, h->p->symbols.count);
  for (uint32_t i = 0; i < h->p->symbols.count; i++)
    all[i] = fv_c_name(h->arena, string(h, symbol[i].name), all, i);
  e.dim = FV_NEW_N(h->arena, const char *, e.n_dim);
  for (uint32_t i = 0; i < e.n_dim; i++)
    e.dim[i] = all[e.symbol[i]];
  const char **slot = fv_slot_texts(h->arena, h->p, index, all);
  e.in = make_ports(h, from, slot, from->inputs);
  e.out = make_ports(h, from, slot, from->outputs);
  return e;
}

static void make_entries(header *h) {
  const fv_prog_entry *from = rows(h, h->p->entries);
  const uint32_t n = h->p->entries.count;
  const char **names = FV_NEW_N(h->arena, const char *, n);
  h->e = FV_NEW_N(h->arena, entry, n);
  for (uint32_t i = 0; i < n; i++) {
    names[i] = fv_c_part(h->arena, string(h, from[i].name), names, i);
    h->e[i] = make_entry(h, i, names[i]);
  }
}

static const char *c_type(unsigned dtype) {
  static const char *const types[] = {
      [FV_f32] = "float",   [FV_f64] = "double",  [FV_f16] = "uint16_t", [FV_bf16] = "uint16_t",
      [FV_i8] = "int8_t",   [FV_u8] = "uint8_t",  [FV_i16] = "int16_t",  [FV_i32] = "int32_t",
      [FV_i64] = "int64_t", [FV_bool] = "uint8_t"};
  return dtype < FV_DTYPE_COUNT ? types[dtype] : "uint8_t";
}

static const char *dtype_name(unsigned dtype) {
  static const char *const names[] = {
#define X(name, size, kind) #name,
      FV_DTYPE_TABLE(X)
#undef X
  };
  return dtype < FV_DTYPE_COUNT ? names[dtype] : "?";
}

//===-- The worked example ------------------------------------------------===//

static void put_example(header *h) {
  const entry *e = h->e;
  const fv_prog_symbol *symbol = rows(h, h->p->symbols);
  putf(h,
       "//   @_ctx *c;\n"
       "//   int32_t status = @_create(0, &c);  // 0: as many threads as the process may use\n"
       "//   if (status != @_OK)\n"
       "//     return fail(@_status_text(status));\n");
  if (e->n_dim) {
    putf(h, "//   @_%s_dims dims;\n", e->name);
    for (uint32_t i = 0; i < e->n_dim; i++)
      putf(h, "//   dims.%s = %lld;\n", e->dim[i],
           (long long)(symbol[e->symbol[i]].min > 1 ? symbol[e->symbol[i]].min : 1));
  }
  if (e->n_in)
    putf(h, "//   @_%s_in in;\n", e->name);
  for (uint32_t i = 0; i < e->n_in; i++)
    putf(h, "//   in.%s = my_%s;  // const %s *, %s\n", e->in[i].name, e->in[i].name,
         c_type(e->in[i].from->dtype), e->in[i].shape);
  if (e->n_out)
    putf(h, "//   @_%s_out out;\n", e->name);
  for (uint32_t i = 0; i < e->n_out; i++)
    putf(h, "//   out.%s = my_%s;  // %s *, room for %s\n", e->out[i].name, e->out[i].name,
         c_type(e->out[i].from->dtype), e->out[i].room);
  putf(h, "//   status = @_%s_run(c%s%s%s);\n", e->name, e->n_dim ? ", &dims" : "",
       e->n_in ? ", &in" : "", e->n_out ? ", &out" : "");
  put(h,
      "//   if (status != @_OK)\n"
      "//     fprintf(stderr, \"%s\\n\", @_error(c));\n"
      "//   @_destroy(c);\n");
}

static void put_top(header *h) {
  put(h, "// @.h - a model compiled by fovea: C99 and C++17, to be linked with its library.\n//\n");
  if (h->p->entries.count)
    put_example(h);
  put(h,
      "//\n"
      "// Tensors are dense and row-major; pointers are aligned to their element type. An\n"
      "// output that overlaps an input or another output of the run is refused.\n"
      "// Functions return 0 (@_OK) or another @_status; then @_error tells what was\n"
      "// wrong, outputs are undefined and states are as before. NULL in place of a context\n"
      "// or inputs is @_ERR_ARG, of dims @_ERR_DIM, as none is known; of outputs: none is\n"
      "// wanted. One thread at a time uses a context; there may be any number of contexts.\n");
}

//===-- What is the same in all models ------------------------------------===//

static void put_statuses(header *h) {
  put(h, "enum @_status {\n");
#define X(id, value, text) put(h, "  @_" #id " = " #value ",  // " text "\n");
  FV_MODEL_STATUS_TABLE(X)
#undef X
  // C89 and C++98 had no comma at the end; these do, and so have all since.
  put(h, "};\n\n");
}

static void put_table(header *h) {
  put(h,
      "typedef struct @_ctx @_ctx;\n\n"
      "typedef struct @_options {\n"
      "  uint32_t struct_size;  // sizeof(@_options)\n"
      "  uint32_t threads;      // 0: as many as the process may use; 1 makes none\n"
      "  // optional: threads of your own. Calls task(arg, i) for each i below count, in\n"
      "  // any order, on any threads, and returns when all have returned.\n"
      "  void (*parallel_for)(void *user, uint32_t count, void (*task)(void *arg, uint32_t "
      "index),\n"
      "                       void *arg);\n"
      "  void *user;\n"
      "} @_options;\n\n"
      "typedef struct @_tensor {\n"
      "  const char *name;\n"
      "  uint32_t dtype;  // ");
  for (unsigned i = 0; i < FV_DTYPE_COUNT; i++)
    putf(h, "%s%u %s", i ? ", " : "", i, dtype_name(i));
  put(h,
      "\n  uint32_t rank;\n"
      "} @_tensor;\n\n"
      "typedef struct @_symbol {\n"
      "  const char *name;\n"
      "  int64_t min, max;\n"
      "} @_symbol;\n\n"
      "typedef struct @_state {\n"
      "  const char *name;\n"
      "  uint32_t dtype, rank, members, reserved;\n"
      "  int64_t length, capacity;  // in rows; -1: it has no length\n"
      "} @_state;\n\n"
      "// The table behind the functions below, and more: entries and tensors by number,\n"
      "// for programs that know a model only when they run. kind: 0 input, 1 output.\n"
      "struct @_api {\n"
      "  uint32_t struct_size;\n"
      "  uint32_t abi;\n"
      "  const void *desc;\n"
      "  int32_t (*create)(const struct @_api *api, const @_options *options, @_ctx **out,\n"
      "                    const char **why);\n"
      "  void (*destroy)(@_ctx *c);\n"
      "  const char *(*error)(const @_ctx *c);\n"
      "  const char *(*status_text)(int32_t status);\n"
      "  uint32_t (*entry_count)(const struct @_api *api);\n"
      "  const char *(*entry_name)(const struct @_api *api, uint32_t entry);\n"
      "  uint32_t (*port_count)(const struct @_api *api, uint32_t entry, int kind);\n"
      "  int32_t (*port)(const struct @_api *api, uint32_t entry, int kind, uint32_t index,\n"
      "                  @_tensor *out);\n"
      "  uint32_t (*symbol_count)(const struct @_api *api, uint32_t entry);\n"
      "  int32_t (*symbol)(const struct @_api *api, uint32_t entry, uint32_t index,\n"
      "                    @_symbol *out);\n"
      "  int32_t (*bind)(@_ctx *c, uint32_t entry, const int64_t *symbols,\n"
      "                  const int64_t *const *input_dims);\n"
      "  int32_t (*dims)(const @_ctx *c, uint32_t entry, int kind, uint32_t index,\n"
      "                  int64_t *out_dims);\n"
      "  int32_t (*bytes)(const @_ctx *c, uint32_t entry, int kind, uint32_t index,\n"
      "                   int64_t *out_bytes);\n"
      "  int64_t (*workspace_bytes)(const @_ctx *c);\n"
      "  int32_t (*run)(@_ctx *c, uint32_t entry, const void *const *inputs, void *const "
      "*outputs);\n"
      "  int32_t (*reset)(@_ctx *c);\n"
      "  int32_t (*fork)(@_ctx *c, @_ctx **out);\n"
      "  int32_t (*save)(@_ctx *c, void *data, uint64_t capacity, uint64_t *out_bytes);\n"
      "  int32_t (*load)(@_ctx *c, const void *data, uint64_t bytes);\n"
      "  uint32_t (*state_count)(const struct @_api *api);\n"
      "  int32_t (*state)(const @_ctx *c, uint32_t index, @_state *out);\n"
      "};\n\n"
      "const struct @_api *@_get(void);\n\n");
}

static void put_common(header *h) {
  putf(h,
       "// Makes a context: states, workspace and threads of its own.\n"
       "static inline int32_t @_create_with(const @_options *options, @_ctx **out,\n"
       "                                    const char **why) {\n"
       "  const struct @_api *api = @_get();\n"
       "  if (api->abi >> 16 != %u || api->struct_size < sizeof *api)\n"
       "    return @_ERR_IMAGE;  // the library is not the one that this header came with\n"
       "  return api->create(api, options, out, why);\n"
       "}\n\n",
       FV_MODEL_ABI >> 16);
  put(h,
      "static inline int32_t @_create(uint32_t threads, @_ctx **out) {\n"
      "  @_options o;\n"
      "  o.struct_size = sizeof o;\n"
      "  o.threads = threads;\n"
      "  o.parallel_for = 0;\n"
      "  o.user = 0;\n"
      "  return @_create_with(&o, out, 0);\n"
      "}\n\n"
      "static inline void @_destroy(@_ctx *c) { @_get()->destroy(c); }  // NULL is fine\n\n"
      "// What was wrong with the last call; \"\" if nothing was, or c is NULL.\n"
      "static inline const char *@_error(const @_ctx *c) { return @_get()->error(c); }\n\n"
      "static inline const char *@_status_text(int32_t status) {\n"
      "  return @_get()->status_text(status);\n"
      "}\n\n");
}

static void put_states(header *h) {
  if (h->p->states.count == 0)
    return;
  put(h,
      "// The model has states. reset makes them new; fork makes a context with the same\n"
      "// ones; save with data == NULL tells the size.\n"
      "static inline int32_t @_reset(@_ctx *c) { return @_get()->reset(c); }\n"
      "static inline int32_t @_fork(@_ctx *c, @_ctx **out) { return @_get()->fork(c, out); }\n"
      "static inline int32_t @_save(@_ctx *c, void *data, uint64_t capacity, uint64_t *out_bytes) "
      "{\n"
      "  return @_get()->save(c, data, capacity, out_bytes);\n"
      "}\n"
      "static inline int32_t @_load(@_ctx *c, const void *data, uint64_t bytes) {\n"
      "  return @_get()->load(c, data, bytes);\n"
      "}\n\n");
}

//===-- Entries -----------------------------------------------------------===//

static void put_ports(header *h, const entry *e, const port *p, uint32_t n, bool in) {
  if (n == 0)
    return;
  putf(h, "typedef struct @_%s_%s {\n", e->name, in ? "in" : "out");
  for (uint32_t i = 0; i < n; i++) {
    putf(h, "  %s%s *%s;  // %s %s", in ? "const " : "", c_type(p[i].from->dtype), p[i].name,
         dtype_name(p[i].from->dtype), p[i].shape);
    if (strcmp(p[i].shape, p[i].room) != 0)
      putf(h, ", at most %s", p[i].room);
    put(h, "\n");
  }
  putf(h, "} @_%s_%s;\n\n", e->name, in ? "in" : "out");
}

static void put_types(header *h, const entry *e) {
  const fv_prog_symbol *symbol = rows(h, h->p->symbols);
  if (e->n_dim) {
    putf(h, "typedef struct @_%s_dims {\n", e->name);
    for (uint32_t i = 0; i < e->n_dim; i++)
      putf(h, "  int64_t %s;  // %lld to %lld\n", e->dim[i], (long long)symbol[e->symbol[i]].min,
           (long long)symbol[e->symbol[i]].max);
    putf(h, "} @_%s_dims;\n\n", e->name);
  }
  put_ports(h, e, e->in, e->n_in, true);
  put_ports(h, e, e->out, e->n_out, false);
  if (e->n_out == 0)
    return;
  putf(h, "// Dims of the outputs of %s.\ntypedef struct @_%s_shapes {\n", e->name, e->name);
  for (uint32_t i = 0; i < e->n_out; i++)
    putf(h, "  int64_t %s[%d];%s\n", e->out[i].name,
         e->out[i].from->rank ? e->out[i].from->rank : 1,
         e->out[i].from->rank ? "" : "  // a scalar: has none");
  putf(h, "} @_%s_shapes;\n\n", e->name);
}

static void put_bind(header *h, const entry *e) {
  putf(h,
       "// Makes ready for runs with these dims. @_%s_run does it itself; to call it before\n"
       "// keeps allocations out of the first run.\n"
       "static inline int32_t @_%s_bind(@_ctx *c%s",
       e->name, e->name, e->n_dim ? ",\n    " : "");
  if (e->n_dim)
    putf(h, "const @_%s_dims *dims", e->name);
  put(h, ") {\n");
  if (e->n_dim) {
    putf(h, "  int64_t symbols[%u];\n  if (!dims)\n    return @_get()->bind(c, %u, 0, 0);\n",
         e->n_dim, e->index);
    for (uint32_t i = 0; i < e->n_dim; i++)
      putf(h, "  symbols[%u] = dims->%s;\n", i, e->dim[i]);
  }
  putf(h, "  return @_get()->bind(c, %u, %s, 0);\n}\n\n", e->index, e->n_dim ? "symbols" : "0");
}

static void put_run(header *h, const entry *e) {
  putf(h, "static inline int32_t @_%s_run(@_ctx *c", e->name);
  if (e->n_dim)
    putf(h, ", const @_%s_dims *dims", e->name);
  if (e->n_in)
    putf(h, ",\n    const @_%s_in *in", e->name);
  if (e->n_out)
    putf(h, ", const @_%s_out *out", e->name);
  put(h, ") {\n");
  putf(h, "  const void *inputs[%u];\n  void *outputs[%u];\n", e->n_in ? e->n_in : 1,
       e->n_out ? e->n_out : 1);
  putf(h, "  const int32_t status = @_%s_bind(c%s);\n  if (status != @_OK)\n    return status;\n",
       e->name, e->n_dim ? ", dims" : "");
  if (e->n_in == 0)
    put(h, "  inputs[0] = 0;\n");
  for (uint32_t i = 0; i < e->n_in; i++)
    putf(h, "  inputs[%u] = in ? in->%s : 0;\n", i, e->in[i].name);
  if (e->n_out == 0)
    put(h, "  outputs[0] = 0;\n");
  for (uint32_t i = 0; i < e->n_out; i++)
    putf(h, "  outputs[%u] = out ? out->%s : 0;\n", i, e->out[i].name);
  putf(h, "  return @_get()->run(c, %u, inputs, outputs);\n}\n\n", e->index);
}

static void put_shapes(header *h, const entry *e) {
  if (e->n_out == 0)
    return;
  putf(h,
       "// After a run: dims of what it wrote. After a bind: dims that there must be room\n"
       "// for, an upper bound where they depend on data.\n"
       "static inline int32_t @_%s_output_dims(const @_ctx *c, @_%s_shapes *out) {\n"
       "  const struct @_api *api = @_get();\n"
       "  int32_t status = @_OK;\n",
       e->name, e->name);
  for (uint32_t i = 0; i < e->n_out; i++)
    if (e->out[i].from->rank)
      putf(h,
           "  if (status == @_OK)\n"
           "    status = api->dims(c, %u, 1, %u, out->%s);\n",
           e->index, i, e->out[i].name);
    else
      putf(h, "  out->%s[0] = 1;\n", e->out[i].name);
  bool none = true;
  for (uint32_t i = 0; i < e->n_out; i++)
    none = none && e->out[i].from->rank == 0;
  put(h, none ? "  (void)api;\n  (void)c;\n  return status;\n}\n\n" : "  return status;\n}\n\n");
}

fv_status fv_artifact_header(fv_arena *ar, const void *image, size_t size, const char *name,
                             fv_str *out) {
  const fv_program *p = image;
  if (size < sizeof *p || p->magic != FV_PROGRAM_MAGIC || p->version != FV_PROGRAM_VERSION ||
      p->image_bytes > size)
    return FV_ERR_ABI;
  header h = {.arena = ar, .image = image, .p = p, .name = name, .out = out};
  make_entries(&h);
  const char *guard = fv_upper(ar, name);
  put_top(&h);
  putf(&h, "#ifndef FOVEA_MODEL_%s_H_\n#define FOVEA_MODEL_%s_H_\n\n", guard, guard);
  put(&h, "#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  put_statuses(&h);
  put_table(&h);
  put_common(&h);
  put_states(&h);
  for (uint32_t i = 0; i < p->entries.count; i++) {
    putf(&h, "//===-- %s %.*s===//\n\n", h.e[i].name,
         (int)(64 > strlen(h.e[i].name) ? 64 - strlen(h.e[i].name) : 1),
         "------------------------------------------------------------------");
    put_types(&h, &h.e[i]);
    put_bind(&h, &h.e[i]);
    put_run(&h, &h.e[i]);
    put_shapes(&h, &h.e[i]);
  }
  putf(&h, "#ifdef __cplusplus\n}\n#endif\n\n#endif  // FOVEA_MODEL_%s_H_\n", guard);
  return FV_OK;
}
