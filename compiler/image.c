// SPDX-License-Identifier: Apache-2.0
#include "compiler/image.h"

#include <string.h>

#include "base/hash.h"
#include "compiler/image_entry.h"

typedef struct image {
  const fv_lowered *l;
  fv_str out;
  fv_str strings;  // appended at the end; string offsets are relative until then
  uint32_t *site;  // relative string offsets
  size_t n_site, cap_site;
  uint32_t *fix;  // places in out that hold a string offset
  size_t n_fix, cap_fix;
} image;

static uint32_t string(image *m, const char *s) {
  const uint32_t at = (uint32_t)m->strings.size;
  fv_str_append(&m->strings, s ? s : "", strlen(s ? s : "") + 1);
  return at;
}

// The text behind its place in the model.
static uint32_t placed(image *m, const fv_span *span, const char *text) {
  const char *s = text;
  if (span && span->file)
    s = fv_arena_printf(m->out.arena, "%s:%u:%u: %s", span->file, span->line, span->col, text);
  return string(m, s);
}

static uint32_t site(void *user, const fv_span *span, const char *text) {
  image *m = user;
  FV_PUSH(m->out.arena, m->site, m->n_site, m->cap_site, placed(m, span, text));
  return (uint32_t)(m->n_site - 1);
}

static void align(image *m) {
  static const char zero[8] = {0};
  if (m->out.size % 8)
    fv_str_append(&m->out, zero, 8 - m->out.size % 8);
}

static fv_table table(image *m, const void *data, size_t elem, size_t count) {
  align(m);
  const fv_table t = {(uint32_t)m->out.size, (uint32_t)count};
  if (count)
    fv_str_append(&m->out, data, elem * count);
  return t;
}

// Notes that the u32 at `offset` of the image is a string offset.
static void fix(image *m, size_t offset) {
  FV_PUSH(m->out.arena, m->fix, m->n_fix, m->cap_fix, (uint32_t)offset);
}

//===-- Module tables -------------------------------------------------------------===//

static fv_table symbols(image *m) {
  fv_xpool *p = m->l->module->pool;
  const uint32_t n = fv_symbol_count(p);
  fv_prog_symbol *s = FV_NEW_N(m->out.arena, fv_prog_symbol, n);
  for (uint32_t i = 0; i < n; i++) {
    const fv_symbol *from = fv_symbol_get(p, i);
    s[i] = (fv_prog_symbol){.name = string(m, from->shown),
                            .kind = (uint32_t)from->kind,
                            .min = from->min,
                            .max = from->max};
  }
  const fv_table t = table(m, s, sizeof *s, n);
  for (uint32_t i = 0; i < n; i++)
    fix(m, t.offset + i * sizeof *s);
  return t;
}

static fv_status states(image *m, fv_diag_sink *diag, fv_table *out) {
  const fv_module *mod = m->l->module;
  fv_prog_state *s = FV_NEW_N(m->out.arena, fv_prog_state, mod->n_state);
  for (int i = 0; i < mod->n_state; i++) {
    const fv_state *from = mod->state[i];
    s[i] =
        (fv_prog_state){.name = string(m, from->name),
                        .dtype = (uint8_t)from->type.dtype,
                        .rank = (uint8_t)from->type.rank,
                        .double_buffered = m->l->state_doubled[i],
                        .length_symbol = from->length_axis >= 0 ? from->length : FV_NO_SLOT,
                        .length_dim = (uint8_t)(from->length_axis >= 0 ? from->length_axis + 1 : 0),
                        .members = (uint32_t)from->members};
    for (int d = 0; d < from->type.rank; d++) {
      const fv_expr *x = from->type.dim[d];
      s[i].dim[d].symbol = FV_NO_SLOT;
      if (x->kind == FV_E_SYM)
        s[i].dim[d].symbol = x->ref;
      else if (!fv_x_is_lit(x, &s[i].dim[d].value))
        return fv_error(diag, FV_ERR_UNSUPPORTED, from->span,
                        "state '%s': each dim must be a number or a declared dim", from->name);
    }
  }
  *out = table(m, s, sizeof *s, (size_t)mod->n_state);
  for (int i = 0; i < mod->n_state; i++)
    fix(m, out->offset + (size_t)i * sizeof *s);
  return FV_OK;
}

static fv_table kernels(image *m) {
  const fv_lowered *l = m->l;
  fv_prog_kernel *k = FV_NEW_N(m->out.arena, fv_prog_kernel, l->n_kernel);
  for (size_t i = 0; i < l->n_kernel; i++) {
    const fv_kernel *from = l->kernel[i];
    k[i] = (fv_prog_kernel){.name = string(m, from->code.name),
                            .n_buffer = from->code.n_global,
                            .n_scalar = from->code.n_scalar,
                            .first_site = (uint32_t)m->n_site};
    for (uint32_t s = 0; s < from->n_site; s++)
      site(m, from->site[s].span, from->site[s].text);
  }
  const fv_table t = table(m, k, sizeof *k, l->n_kernel);
  for (size_t i = 0; i < l->n_kernel; i++)
    fix(m, t.offset + i * sizeof *k);
  return t;
}

//===-- Entries -------------------------------------------------------------------===//

static void port(im_entry *e, fv_prog_port *p, const fv_type *t, bool output) {
  p->dtype = (uint8_t)t->dtype;
  p->rank = (uint8_t)t->rank;
  for (int d = 0; d < t->rank; d++) {
    p->bound_slot[d] = im_bound_slot(e, t->dim[d]);
    p->dim_slot[d] = output ? im_slot(e, t->dim[d]) : p->bound_slot[d];
  }
}

static fv_table put_ports(image *m, fv_prog_port *p, int n) {
  const fv_table t = table(m, p, sizeof *p, (size_t)n);
  for (int i = 0; i < n; i++)
    fix(m, t.offset + (size_t)i * sizeof *p);
  return t;
}

static const char *dim_text(image *m, const fv_expr *e) {
  fv_str s = {.arena = m->out.arena};
  fv_x_print(m->l->module->pool, &s, e);
  return s.data;
}

static fv_table condition_symbols(image *m, const fv_condition *c) {
  uint32_t y[FV_CONDITION_SYMBOLS];
  return table(m, y, sizeof *y, fv_condition_symbols(m->l->module->pool, c, y));
}

static fv_prog_condition *conditions(image *m, im_entry *e, const fv_graph *g) {
  fv_prog_condition *c = FV_NEW_N(m->out.arena, fv_prog_condition, e->n_condition);
  for (size_t i = 0; i < e->n_condition; i++) {
    const fv_condition *from = &e->condition[i];
    const bool at_bind = i < g->n_condition;
    c[i] = (fv_prog_condition){.relation = (uint32_t)from->relation,
                               .text = placed(m, from->span, from->text),
                               .a_slot = at_bind ? im_slot(e, from->a) : e->condition_slot[i][0],
                               .b_slot = at_bind ? im_slot(e, from->b) : e->condition_slot[i][1],
                               .a_name = string(m, dim_text(m, from->a)),
                               .b_name = string(m, dim_text(m, from->b)),
                               .symbols = condition_symbols(m, from)};
  }
  return c;
}

static fv_table put_conditions(image *m, const fv_prog_condition *c, size_t n) {
  const fv_table t = table(m, c, sizeof *c, n);
  for (size_t i = 0; i < n; i++) {
    const size_t at = t.offset + i * sizeof *c;
    fix(m, at + offsetof(fv_prog_condition, text));
    fix(m, at + offsetof(fv_prog_condition, a_name));
    fix(m, at + offsetof(fv_prog_condition, b_name));
  }
  return t;
}

// Symbols of kind dim that the entry's expressions name.
static fv_table used_symbols(image *m, const im_entry *e) {
  fv_xpool *p = m->l->module->pool;
  uint32_t *used = FV_NEW_N(m->out.arena, uint32_t, fv_symbol_count(p));
  size_t n = 0;
  for (uint32_t i = 0; i < fv_symbol_count(p); i++)
    if (e->symbol_used[i] && fv_symbol_get(p, i)->kind == FV_SYM_DIM)
      used[n++] = i;
  return table(m, used, sizeof *used, n);
}

// Bind section first, then the run section with its jumps moved past it.
static fv_table put_code(image *m, im_entry *e) {
  const uint32_t shift = (uint32_t)e->bind.n;
  for (size_t i = 0; i < e->run.n; i++) {
    fv_hinst *h = &e->run.inst[i];
    if (h->op == FV_H_LOOP)
      h->c += shift;
    else if (h->op == FV_H_END_LOOP)
      h->a += shift;
    else if (h->op == FV_H_IF)
      h->b += shift;
    FV_PUSH(e->arena, e->bind.inst, e->bind.n, e->bind.cap, *h);
  }
  for (size_t i = 0; i < e->e->n_buffer; i++) {
    fv_prog_buffer *b = &e->buffer[i];
    b->first = b->first == FV_NO_SLOT ? shift : b->first + shift;
    b->last = b->last + shift;
  }
  return table(m, e->bind.inst, sizeof *e->bind.inst, e->bind.n);
}

static void build_entry(image *m, const fv_lentry *from, fv_prog_entry *out) {
  const fv_graph *g = from->graph;
  fv_arena *ar = m->out.arena;
  fv_xpool *p = m->l->module->pool;
  im_entry e = {.l = m->l,
                .e = from,
                .arena = ar,
                .pool = p,
                .n_slot = fv_symbol_count(p),
                .site = site,
                .user = m};
  e.symbol_used = FV_NEW_N(ar, bool, fv_symbol_count(p));
  e.n_condition = fv_graph_list_conditions(ar, g, &e.condition);
  e.condition_slot = fv_arena_alloc(ar, (e.n_condition + 1) * sizeof *e.condition_slot);
  im_translate(&e);
  fv_prog_port *in = FV_NEW_N(ar, fv_prog_port, g->region->n_param);
  fv_prog_port *res = FV_NEW_N(ar, fv_prog_port, g->region->n_result);
  for (int i = 0; i < g->region->n_param; i++) {
    in[i].name = string(m, g->input_name[i]);
    port(&e, &in[i], fv_graph_input_type(g, i), false);
  }
  for (int i = 0; i < g->region->n_result; i++) {
    res[i].name = string(m, g->output_name[i]);
    port(&e, &res[i], &g->region->result[i]->type, true);
  }
  fv_prog_advance *adv = FV_NEW_N(ar, fv_prog_advance, g->n_advance);
  for (int i = 0; i < g->n_advance; i++)
    adv[i] = (fv_prog_advance){g->advance[i].length, im_slot(&e, g->advance[i].next)};
  const fv_prog_condition *must = conditions(m, &e, g);
  out->name = string(m, g->name);
  out->inputs = put_ports(m, in, g->region->n_param);
  out->outputs = put_ports(m, res, g->region->n_result);
  out->used_symbols = used_symbols(m, &e);
  out->bind_end = (uint32_t)e.bind.n;
  out->n_slot = e.n_slot;
  out->insts = put_code(m, &e);
  out->buffers = table(m, e.buffer, sizeof *e.buffer, from->n_buffer);
  out->args = table(m, e.arg, sizeof *e.arg, e.n_arg);
  out->literals = table(m, e.literal, sizeof *e.literal, e.n_literal);
  out->advances = table(m, adv, sizeof *adv, (size_t)g->n_advance);
  out->conditions = put_conditions(m, must, e.n_condition);
  out->bind_conditions = (uint32_t)g->n_condition;
}

fv_status fv_image_build(const fv_lowered *l, fv_diag_sink *diag, void **out_image,
                         size_t *out_size) {
  fv_arena *ar = l->module->arena;
  image m = {.l = l, .out = {.arena = ar}, .strings = {.arena = ar}};
  fv_program head = {
      .magic = FV_PROGRAM_MAGIC, .version = FV_PROGRAM_VERSION, .const_bytes = l->const_bytes};
  fv_str_append(&m.out, &head, sizeof head);
  head.name = string(&m, l->module->name);
  fix(&m, offsetof(fv_program, name));
  head.symbols = symbols(&m);
  FV_TRY(states(&m, diag, &head.states));
  head.kernels = kernels(&m);
  fv_prog_entry *entry = FV_NEW_N(ar, fv_prog_entry, l->n_entry);
  for (size_t i = 0; i < l->n_entry; i++)
    build_entry(&m, &l->entry[i], &entry[i]);
  head.entries = table(&m, entry, sizeof *entry, l->n_entry);
  for (size_t i = 0; i < l->n_entry; i++)
    fix(&m, head.entries.offset + i * sizeof *entry);
  head.sites = table(&m, m.site, sizeof *m.site, m.n_site);
  for (size_t i = 0; i < m.n_site; i++)
    fix(&m, head.sites.offset + i * sizeof *m.site);
  align(&m);
  const uint32_t strings_at = (uint32_t)m.out.size;
  fv_str_append(&m.out, m.strings.data, m.strings.size);
  align(&m);
  head.image_bytes = m.out.size;
  memcpy(m.out.data, &head, sizeof head);
  for (size_t i = 0; i < m.n_fix; i++) {
    uint32_t v;
    memcpy(&v, m.out.data + m.fix[i], sizeof v);
    v += strings_at;
    memcpy(m.out.data + m.fix[i], &v, sizeof v);
  }
  const fv_hash128 h = fv_hash_bytes(m.out.data, m.out.size);
  memcpy(m.out.data + offsetof(fv_program, hash_lo), &h.lo, sizeof h.lo);
  memcpy(m.out.data + offsetof(fv_program, hash_hi), &h.hi, sizeof h.hi);
  *out_image = m.out.data;
  *out_size = m.out.size;
  return FV_OK;
}
