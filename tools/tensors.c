// SPDX-License-Identifier: Apache-2.0
#include "tensors.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "dims.h"
#include "values.h"

typedef enum fill { FILL_RANDOM, FILL_ZEROS, FILL_ONES, FILL_IOTA, FILL_LIST, FILL_FILE } fill;

// What the command line says of one input.
typedef struct spec {
  fill kind;
  bool given;
  const char *text;  // after '='
  const char *by;    // "input 'x'", for messages
  int64_t seed;
  double lo, hi;
  text_list list;
} spec;

//===-- Grammar -----------------------------------------------------------===//

static fv_status parse_random(tool *t, const char *text, spec *s) {
  for (const char *p = text; *p;) {
    const size_t n = strcspn(p, ",");
    const char *eq = memchr(p, '=', n);
    const size_t key = eq ? (size_t)(eq - p) : 0, value = eq ? n - key - 1 : 0;
    bool ok = false;
    if (key == 4 && memcmp(p, "seed", 4) == 0)
      ok = fv_parse_i64(eq + 1, value, &s->seed);
    else if (key == 2 && memcmp(p, "lo", 2) == 0)
      ok = fv_parse_double(eq + 1, value, &s->lo) && isfinite(s->lo);
    else if (key == 2 && memcmp(p, "hi", 2) == 0)
      ok = fv_parse_double(eq + 1, value, &s->hi) && isfinite(s->hi);
    if (!ok)
      return usage_error(t, "%s: '%.*s' is none of seed=, lo=, hi=", s->by, (int)n, p);
    p += n + (p[n] == ',');
  }
  if (s->lo > s->hi)
    return usage_error(t, "%s: lo is more than hi", s->by);
  return FV_OK;
}

static void split_list(tool *t, const char *text, text_list *out) {
  for (const char *p = text;;) {
    const size_t n = strcspn(p, ",");
    text_list_add(t->arena, out, fv_arena_strndup(t->arena, p, n));
    if (!p[n])
      return;
    p += n + 1;
  }
}

static fv_status parse_spec(tool *t, const char *text, spec *s) {
  static const struct {
    const char *word;
    fill kind;
  } words[] = {{"zeros", FILL_ZEROS}, {"ones", FILL_ONES}, {"iota", FILL_IOTA}};
  s->text = text;
  for (size_t i = 0; i < FV_COUNTOF(words); i++)
    if (strcmp(text, words[i].word) == 0) {
      s->kind = words[i].kind;
      return FV_OK;
    }
  if (strncmp(text, "random", 6) == 0 && (text[6] == ':' || text[6] == 0)) {
    s->kind = FILL_RANDOM;
    return parse_random(t, text[6] ? text + 7 : text + 6, s);
  }
  if (text[0] == '@') {
    s->kind = FILL_FILE;
    return FV_OK;
  }
  if (!text[0])
    return usage_error(t, "%s: nothing stands behind '='", s->by);
  s->kind = FILL_LIST;
  split_list(t, text, &s->list);
  return FV_OK;
}

static const char *input_name(void *user, int i) {
  const fv_graph_info *g = user;
  return i < g->n_input ? g->input[i].name : NULL;
}

static int find_input(const fv_graph_info *g, const fv_index *index, const char *name) {
  for (int64_t i = fv_index_first(index, fv_hash64(name, strlen(name), 0)); i != FV_INDEX_END;
       i = fv_index_next(index, i))
    if (strcmp(g->input[i].name, name) == 0)
      return (int)i;
  return -1;
}

static fv_status parse_specs(tool *t, const fv_graph_info *g, const text_list *text, spec *specs) {
  fv_index index = {0};
  for (int i = 0; i < g->n_input; i++) {
    const bool real = dtype_is_float(g->input[i].dtype);
    specs[i] = (spec){.lo = real ? -1 : 0, .hi = 1};
    specs[i].by = fv_arena_printf(t->arena, "input '%s'", g->input[i].name);
    fv_index_add(t->arena, &index, fv_hash64(g->input[i].name, strlen(g->input[i].name), 0));
  }
  for (size_t k = 0; k < text->count; k++) {
    const char *eq = strchr(text->item[k], '=');
    if (!eq)
      return usage_error(t, "-i: '%s' is not NAME=TENSOR", text->item[k]);
    const char *name = fv_arena_strndup(t->arena, text->item[k], (size_t)(eq - text->item[k]));
    const int i = find_input(g, &index, name);
    if (i < 0) {
      fv_graph_info copy = *g;
      fv_str all = {.arena = t->arena};
      for (int n = 0; n < g->n_input && n < 8; n++)
        fv_str_printf(&all, "%s%s", n ? ", " : "; it has ", g->input[n].name);
      fv_str_puts(&all, g->n_input > 8 ? ", ..." : "");
      const fv_status s =
          usage_error(t, "graph '%s' has no input '%s'%s", g->name, name, all.data ? all.data : "");
      fv_note_meant(t->diag, NULL, name, input_name, &copy);
      return s;
    }
    if (specs[i].given)
      return usage_error(t, "%s is given twice", specs[i].by);
    specs[i].given = true;
    FV_TRY(parse_spec(t, eq + 1, &specs[i]));
  }
  return FV_OK;
}

//===-- Files -------------------------------------------------------------===//

static fv_status read_file(tool *t, const fv_port_info *port, const spec *s, fv_tensor_io *out) {
  const char *hash = strrchr(s->text, '#');
  const char *path = fv_arena_strndup(t->arena, s->text + 1,
                                      hash ? (size_t)(hash - s->text - 1) : strlen(s->text + 1));
  if (!hash && ends_with(path, ".npy"))
    return npy_read(t, path, port->name, out);
  if (!ends_with(path, ".safetensors"))
    return usage_error(t, "%s: '%s' ends neither in .npy nor in .safetensors", s->by, path);
  fv_safetensors *file;
  FV_TRY(safetensors_read(t, NULL, path, &file));
  FV_TRY(safetensors_get(t, path, file, hash ? hash + 1 : port->name, out));
  out->name = port->name;
  return FV_OK;
}

// Element type and rank as the port has them; its symbols learn their values.
static fv_status match_port(tool *t, const fv_port_info *port, const fv_tensor_io *x,
                            const char *by, dims *d) {
  if (x->dtype != port->dtype)
    return fv_error(t->diag, FV_ERR_TYPE, NULL, "%s is %s, but the file holds %s", by,
                    dtype_name(port->dtype), dtype_name(x->dtype));
  fv_str shape = {.arena = t->arena};
  put_shape(&shape, x->rank, x->dim);
  if (x->rank != port->rank)
    return fv_error(t->diag, FV_ERR_TYPE, NULL, "%s is [%s], but the file holds %s", by,
                    port->shape, shape.data);
  for (int i = 0; i < x->rank; i++) {
    if (port->dim[i] >= 0 && port->dim[i] != x->dim[i])
      return fv_error(t->diag, FV_ERR_TYPE, NULL, "%s is [%s], but the file holds %s", by,
                      port->shape, shape.data);
    if (port->symbol[i] >= 0 && d)
      FV_TRY(dims_set(t, d, port->symbol[i], x->dim[i], by));
  }
  return FV_OK;
}

fv_status inputs_from_file(tool *t, const char *path, const fv_safetensors *file,
                           const fv_port_info *port, int n, fv_tensor_io **out) {
  *out = FV_NEW_N(t->arena, fv_tensor_io, n);
  for (int i = 0; i < n; i++) {
    fv_tensor_io *x = &(*out)[i];
    FV_TRY(safetensors_get(t, path, file, port[i].name, x));
    FV_TRY(match_port(t, &port[i], x, fv_arena_printf(t->arena, "'%s'", port[i].name), NULL));
  }
  return FV_OK;
}

//===-- Shapes ------------------------------------------------------------===//

// Symbols of a port without a value; *last: the dim of the last of them.
static int open_symbols(const fv_port_info *port, const dims *d, int *last) {
  int n = 0, symbol = -1;
  *last = -1;
  for (int i = 0; i < port->rank; i++)
    if (port->symbol[i] >= 0 && d->value[port->symbol[i]] == DIM_UNKNOWN) {
      n += port->symbol[i] != symbol;
      symbol = port->symbol[i];
      *last = i;
    }
  return n;
}

// A list of n elements settles the one dim that is open, or of several the
// last: the others are then at their least.
static fv_status settle_by_list(tool *t, const fv_port_info *port, const spec *s, dims *d) {
  int last;
  int64_t known = 1, v;
  if (s->list.count == 1 || open_symbols(port, d, &last) == 0)
    return FV_OK;
  for (int i = 0; i < port->rank; i++) {
    const int y = port->symbol[i];
    if (i == last)
      continue;
    if (y >= 0 && y != port->symbol[last] && d->value[y] == DIM_UNKNOWN)
      FV_TRY(dims_set(t, d, y, d->info->symbol[y].min, "its least value"));
    if (!dims_of_port(d, port, i, &v) || !fv_mul_i64(known, v, &known))
      return FV_OK;  // the number of elements is checked when they are filled in
  }
  const int64_t n = (int64_t)s->list.count;
  if (known <= 0 || n % known != 0)
    return fv_error(t->diag, FV_ERR_ARG, NULL, "%s is [%s]: %lld elements do not fill it", s->by,
                    port->shape, (long long)n);
  return dims_set(t, d, port->symbol[last], n / known, s->by);
}

// Lists that leave one answer come before those that leave several.
static fv_status settle_by_lists(tool *t, const fv_graph_info *g, const spec *s, dims *d) {
  for (int most = 1; most <= FV_MAX_RANK; most++)
    for (int i = 0; i < g->n_input; i++) {
      int last;
      if (s[i].kind == FILL_LIST && open_symbols(&g->input[i], d, &last) <= most)
        FV_TRY(settle_by_list(t, &g->input[i], &s[i], d));
    }
  return FV_OK;
}

static fv_status shape_of(tool *t, const fv_port_info *port, const spec *s, dims *d,
                          fv_tensor_io *out) {
  *out = (fv_tensor_io){.name = port->name, .dtype = port->dtype, .rank = port->rank};
  int64_t bytes;
  for (int i = 0; i < port->rank; i++)
    if (!dims_of_port(d, port, i, &out->dim[i]))
      return fv_error(t->diag, FV_ERR_ARG, NULL,
                      "%s is [%s], which says too little of its size: give it by -i %s=@FILE",
                      s->by, port->shape, port->name);
  if (!fv_bytes_i64(out->dim, out->rank, dtype_size(out->dtype), &bytes))
    return fv_error(t->diag, FV_ERR_LIMIT, NULL, "%s is too large", s->by);
  out->data = fv_arena_alloc(t->arena, (size_t)bytes);
  return FV_OK;
}

//===-- Elements ----------------------------------------------------------===//

// splitmix64 (Steele, Lea, Flood 2014).
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15U;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

// Of a magnitude below 2^53; range_holds() sees to that.
static int64_t round_down(double v) {
  const int64_t n = (int64_t)v;
  return (double)n > v ? n - 1 : n;
}

static int64_t round_up(double v) {
  return -round_down(-v);
}

// Whether lo and hi have elements of type t between them.
static bool range_holds(const spec *s, fv_dtype t) {
  if (dtype_is_float(t))
    return value_holds(t, s->lo) && value_holds(t, s->hi);
  if (!(s->lo > -0x1p53 && s->hi < 0x1p53))
    return false;
  return round_up(s->lo) <= round_down(s->hi) && value_fits(t, round_up(s->lo)) &&
         value_fits(t, round_down(s->hi));
}

// The name takes part, so that inputs differ and their order does not matter.
static void fill_random(const spec *s, const fv_tensor_io *x) {
  uint64_t state = fv_hash64(x->name, strlen(x->name), (uint64_t)s->seed);
  const int64_t n = tensor_count(x);
  const bool real = dtype_is_float(x->dtype);
  const int64_t lo = real ? 0 : round_up(s->lo), span = real ? 0 : round_down(s->hi) - lo + 1;
  for (int64_t i = 0; i < n; i++) {
    const double u = (double)(next_random(&state) >> 11) * 0x1p-53;
    if (real)
      value_set(x->dtype, x->data, i, s->lo + u * (s->hi - s->lo));
    else
      value_set_int(x->dtype, x->data, i, lo + (int64_t)(u * (double)span));
  }
}

static fv_status set_element(tool *t, const spec *s, const fv_tensor_io *x, int64_t i,
                             const char *text) {
  const size_t n = strlen(text);
  double v;
  int64_t k;
  if (dtype_is_float(x->dtype)) {
    if (!fv_parse_json_double(text, n, &v))
      return usage_error(t, "%s: '%s' is no number", s->by, text);
    if (!value_holds(x->dtype, v))
      return usage_error(t, "%s: '%s' is out of the range of %s", s->by, text,
                         dtype_name(x->dtype));
    value_set(x->dtype, x->data, i, v);
    return FV_OK;
  }
  const bool truth = x->dtype == FV_bool && (!strcmp(text, "true") || !strcmp(text, "false"));
  const fv_whole whole = truth ? FV_WHOLE : fv_parse_whole_i64(text, n, &k);
  if (truth)
    k = text[0] == 't';
  else if (whole == FV_WHOLE_NONE)
    return usage_error(t, "%s: '%s' is no %s", s->by, text, dtype_name(x->dtype));
  else if (whole == FV_WHOLE_BEYOND || !value_fits(x->dtype, k))
    return usage_error(t, "%s: '%s' is out of the range of %s", s->by, text, dtype_name(x->dtype));
  value_set_int(x->dtype, x->data, i, k);
  return FV_OK;
}

static fv_status fill_list(tool *t, const spec *s, const fv_tensor_io *x) {
  const int64_t n = tensor_count(x);
  const bool all = s->list.count == 1;
  if (!all && (int64_t)s->list.count != n) {
    fv_str type = {.arena = t->arena};
    put_type(&type, x);
    return fv_error(t->diag, FV_ERR_ARG, NULL, "%s is %s and wants %lld elements, not %zu", s->by,
                    type.data, (long long)n, s->list.count);
  }
  if (!all) {
    for (int64_t i = 0; i < n; i++)
      FV_TRY(set_element(t, s, x, i, s->list.item[i]));
    return FV_OK;
  }
  // Read even where there is no element for it.
  int64_t element = 0;
  const fv_tensor_io one = {.dtype = x->dtype, .data = &element};
  FV_TRY(set_element(t, s, &one, 0, s->list.item[0]));
  const size_t size = (size_t)dtype_size(x->dtype);
  for (int64_t i = 0; i < n; i++)
    memcpy((char *)x->data + (size_t)i * size, &element, size);
  return FV_OK;
}

static fv_status fill_iota(tool *t, const spec *s, const fv_tensor_io *x) {
  const int64_t n = tensor_count(x);
  const bool real = dtype_is_float(x->dtype);
  if (n > 0 && !(real ? value_holds(x->dtype, (double)(n - 1)) : value_fits(x->dtype, n - 1)))
    return usage_error(t, "%s: iota would reach %lld, which is out of the range of %s", s->by,
                       (long long)(n - 1), dtype_name(x->dtype));
  for (int64_t i = 0; i < n; i++)
    value_set(x->dtype, x->data, i, (double)i);
  return FV_OK;
}

static fv_status fill_input(tool *t, const spec *s, const fv_tensor_io *x) {
  if (!range_holds(s, x->dtype))
    return usage_error(t, "%s: no %s lies between lo and hi", s->by, dtype_name(x->dtype));
  switch (s->kind) {
  case FILL_RANDOM: fill_random(s, x); break;
  case FILL_LIST: return fill_list(t, s, x);
  case FILL_ONES:
    for (int64_t i = 0; i < tensor_count(x); i++)
      value_set(x->dtype, x->data, i, 1);
    break;
  case FILL_IOTA: return fill_iota(t, s, x);
  case FILL_ZEROS:
  case FILL_FILE: break;
  }
  return FV_OK;
}

// What can tell dims comes first: files, then lists; what is then still open
// is at its least.
fv_status inputs_create(tool *t, const fv_graph_info *g, const text_list *text, dims *d,
                        fv_tensor_io **out) {
  spec *s = FV_NEW_N(t->arena, spec, g->n_input);
  fv_tensor_io *in = FV_NEW_N(t->arena, fv_tensor_io, g->n_input);
  FV_TRY(parse_specs(t, g, text, s));
  for (int i = 0; i < g->n_input; i++)
    if (s[i].kind == FILL_FILE) {
      FV_TRY(read_file(t, &g->input[i], &s[i], &in[i]));
      FV_TRY(match_port(t, &g->input[i], &in[i], s[i].by, d));
    }
  FV_TRY(settle_by_lists(t, g, s, d));
  for (int i = 0; i < g->n_input; i++)
    for (int k = 0; k < g->input[i].rank; k++) {
      const int y = g->input[i].symbol[k];
      if (y >= 0 && d->value[y] == DIM_UNKNOWN && !d->info->symbol[y].is_state_length)
        FV_TRY(dims_set(t, d, y, d->info->symbol[y].min, "its least value"));
    }
  for (int i = 0; i < g->n_input; i++)
    if (s[i].kind != FILL_FILE) {
      FV_TRY(shape_of(t, &g->input[i], &s[i], d, &in[i]));
      FV_TRY(fill_input(t, &s[i], &in[i]));
    }
  *out = in;
  return FV_OK;
}
