// SPDX-License-Identifier: Apache-2.0
//
// <if> with its arms <then> and <else>: the graph IR's op with two regions. <item>:
// a number that the run computes becomes a dim.
#include <string.h>

#include "frontend/xml/build.h"

static fv_xml_slice list_of(const fv_xml_elem *e, const char *attr) {
  const fv_xml_attr *a = fv_xml_find_attr(e, attr);
  return a ? fv_xml_whole(a) : (fv_xml_slice){0};
}

static int count_of(const fv_xml_elem *e) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "out");
  return a ? fv_xml_list_count(a) : 0;
}

void fv_xml_run_if(fv_xml_cx *cx, const fv_xml_elem *e) {
  static const fv_dtype condition = FV_bool;
  fv_xml_if *f = FV_NEW(cx->arena, fv_xml_if);
  fv_value *cond = fv_xml_operand(cx, fv_xml_whole(fv_xml_find_attr(e, "cond")), &condition);
  f->poisoned = !cond;
  f->node = fv_xml_node(cx, FV_OP_if, 1, &cond);
  fv_xml_push(cx, (fv_xml_frame){.kind = FV_XML_IN_IF,
                                 .body = e,
                                 .next = e->child,
                                 .site = cx->current,
                                 .scope = cx->top->scope,
                                 .region = cx->top->region,
                                 .constants = cx->top->constants,
                                 .outer = cx->top->outer,
                                 .branch = f});
}

void fv_xml_run_arm(fv_xml_cx *cx, const fv_xml_elem *e) {
  fv_xml_if *f = cx->top->branch;
  const int arm = strcmp(e->name, "then") == 0 ? 0 : 1;
  if (f->arm[arm]) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, e), "this <if> has a <%s> already", e->name);
    f->poisoned = true;
    return;
  }
  f->arm[arm] = e;
  const fv_span *site = fv_xml_at(cx, e);
  fv_span *outer = fv_arena_dup(cx->arena, site, sizeof *site);
  outer->what = fv_arena_printf(cx->arena, "in <%s>", e->name);
  fv_xml_push(cx, (fv_xml_frame){.kind = FV_XML_IN_ARM,
                                 .body = e,
                                 .next = e->child,
                                 .site = cx->current,
                                 .scope = fv_xml_scope_create(cx->arena, cx->top->scope),
                                 .region = f->node->body[arm],
                                 .constants = fv_xml_scope_create(cx->arena, NULL),
                                 .outer = outer,
                                 .branch = f});
}

// The values that the arm gives, in order. A literal has the type of the other
// arm's value, if that stands above.
void fv_xml_finish_arm(fv_xml_cx *cx, fv_xml_frame *frame) {
  fv_xml_if *f = frame->branch;
  const int arm = frame->region->index;
  const fv_region *other = f->node->body[1 - arm];
  const int want = count_of(frame->up->site), have = count_of(frame->body);
  cx->current = frame->site;
  if (have != want) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at(cx, frame->body),
                       "this arm gives %d value%s in out=, but <if> names %d", have,
                       have == 1 ? "" : "s", want);
    f->poisoned = true;
    return;
  }
  fv_xml_slice rest = list_of(frame->body, "out");
  fv_xml_slice item;
  for (int i = 0; i < have && fv_xml_next(&rest, &item); i++) {
    const fv_dtype *like = i < other->n_result ? &other->result[i]->type.dtype : NULL;
    fv_value *v = fv_xml_operand(cx, item, like);
    if (v)
      fv_region_add_result(frame->region, v);
    f->poisoned |= !v;
  }
}

static bool complete(fv_xml_cx *cx, const fv_xml_elem *e, const fv_xml_if *f) {
  const int want = count_of(e);
  if (f->arm[0] && (f->arm[1] || want == 0))
    return true;
  for (const fv_xml_elem *c = e->child; c; c = c->next)
    if (c->bad)
      return false;
  (void)fv_xml_fault(
      cx, FV_ERR_PARSE, fv_xml_at(cx, e),
      f->arm[0] ? "an <if> that gives values needs an <else>" : "an <if> needs a <then>");
  return false;
}

// dims="n": names for the dims that the arms give differently, in order.
static void bind_dims(fv_xml_cx *cx, const fv_xml_elem *e, const fv_node *n) {
  const fv_xml_attr *a = fv_xml_find_attr(e, "dims");
  fv_xml_slice rest = list_of(e, "dims"), item;
  const fv_attr *symbols = n ? fv_attr_get(n, "symbols") : NULL;
  int at = 0;
  while (a && fv_xml_next(&rest, &item)) {
    const char *word = fv_xml_slice_text(cx, item);
    while (symbols && at < symbols->n && symbols->ints[at] < 0)
      at++;
    const bool found = symbols && at < symbols->n;
    if (n && !found)
      (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, a, item.at),
                         "the arms give no further dim differently: '%s' names none", word);
    if (found)
      fv_symbol_show(cx->pool, (uint32_t)symbols->ints[at], word);
    fv_xml_bind(cx, a, item.at, word, found ? FV_XML_INT : FV_XML_POISON,
                found ? fv_x_sym(cx->pool, (uint32_t)symbols->ints[at++]) : NULL);
  }
}

void fv_xml_finish_if(fv_xml_cx *cx, fv_xml_frame *frame) {
  fv_xml_if *f = frame->branch;
  const fv_xml_elem *e = frame->site;
  cx->current = frame->site;
  cx->top = frame->up;
  const bool good = complete(cx, e, f) && !f->poisoned && !e->bad;
  fv_node *n = good ? fv_xml_place_node(cx, f->node) : NULL;
  bind_dims(cx, e, n);
  if (!n) {
    fv_xml_poison_out(cx, e);
    return;
  }
  fv_xml_slice rest = list_of(e, "out"), item;
  for (int i = 0; i < n->n_out && fv_xml_next(&rest, &item); i++)
    if (strcmp(fv_xml_slice_text(cx, item), "_") != 0)
      fv_xml_bind_value(cx, item, n->out[i]);
}

//===-- Item ----------------------------------------------------------------===//

// The name is bound to the symbol, even if the value is not wanted.
void fv_xml_run_item(fv_xml_cx *cx, const fv_xml_elem *e) {
  const fv_xml_attr *name = fv_xml_find_attr(e, "name"), *min = fv_xml_find_attr(e, "min");
  const char *word = fv_xml_slice_text(cx, fv_xml_whole(name));
  fv_value *x = fv_xml_operand(cx, fv_xml_whole(fv_xml_find_attr(e, "x")), NULL);
  const fv_expr *max = fv_xml_expr(cx, fv_xml_whole(fv_xml_find_attr(e, "max")));
  int64_t least = 0;
  const bool good = (!min || fv_xml_int(cx, fv_xml_whole(min), &least)) && x && max;
  fv_node *n = good ? fv_xml_node(cx, FV_OP_item, 1, &x) : NULL;
  if (n) {
    const int64_t most = fv_xml_range(cx, max).hi;
    fv_attr_set_int(n, "min", least);
    fv_attr_set_expr(n, "max", max);
    if (fv_xml_is_name(word) && most >= least) {
      // As for counters: the dot keeps it out of reach of what a file can spell.
      const char *hidden = fv_arena_printf(cx->arena, "%s.0", word);
      const int64_t symbol = fv_symbol_add(cx->pool, hidden, least, most, FV_SYM_RESULT);
      fv_symbol_show(cx->pool, (uint32_t)symbol, word);
      fv_attr_set_ints(n, "symbols", 1, &symbol);
    }
    n = fv_xml_place_node(cx, n);
  }
  fv_xml_bind(cx, name, 0, word, n ? FV_XML_INT : FV_XML_POISON,
              n ? fv_x_sym(cx->pool, (uint32_t)fv_attr_get(n, "symbols")->ints[0]) : NULL);
}
