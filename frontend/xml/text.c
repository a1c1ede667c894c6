// SPDX-License-Identifier: Apache-2.0
//
// What attribute values mean: lists, integer expressions, text with holes,
// types and shapes.
#include <string.h>

#include "base/checked.h"
#include "frontend/xml/build.h"

//===-- Slices and lists --------------------------------------------------===//

static bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

fv_xml_slice fv_xml_trim(fv_xml_slice s) {
  const char *v = s.attr->value;
  while (s.n && blank(v[s.at]))
    s.at++, s.n--;
  while (s.n && blank(v[s.at + s.n - 1]))
    s.n--;
  return s;
}

fv_xml_slice fv_xml_whole(const fv_xml_attr *a) {
  return fv_xml_trim((fv_xml_slice){.attr = a, .n = strlen(a->value)});
}

const char *fv_xml_slice_text(fv_xml_cx *cx, fv_xml_slice s) {
  return fv_arena_strndup(cx->arena, s.attr->value + s.at, s.n);
}

static size_t list_cut(fv_xml_slice s) {
  int depth = 0;
  size_t i = 0;
  for (; i < s.n; i++) {
    const char c = s.attr->value[s.at + i];
    depth += c == '(' || c == '[' || c == '{';
    depth -= c == ')' || c == ']' || c == '}';
    if (c == ',' && depth <= 0)
      break;
  }
  return i;
}

bool fv_xml_next(fv_xml_slice *rest, fv_xml_slice *out) {
  if (rest->n == 0)
    return false;
  const size_t cut = list_cut(*rest);
  *out = *rest;
  out->n = cut;
  *out = fv_xml_trim(*out);
  const size_t used = cut < rest->n ? cut + 1 : cut;
  rest->at += used;
  rest->n -= used;
  return true;
}

int fv_xml_list_count(const fv_xml_attr *a) {
  fv_xml_slice rest = fv_xml_whole(a);
  fv_xml_slice item;
  int n = 0;
  while (fv_xml_next(&rest, &item))
    n++;
  return n;
}

static bool name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool fv_xml_is_name(const char *s) {
  if (!name_start(*s))
    return false;
  for (; *s; s++)
    if (!name_start(*s) && !(*s >= '0' && *s <= '9'))
      return false;
  return true;
}

//===-- Integer expressions -----------------------------------------------===//

static bool is_int(const fv_xml_name *n) {
  return n->kind == FV_XML_INT;
}

static fv_xml_scope *scope_here(const fv_xml_cx *cx) {
  return cx->top ? cx->top->scope : cx->model;
}

const fv_expr *fv_xml_symbol(void *user, const char *name, size_t n) {
  fv_xml_cx *cx = user;
  const fv_xml_name *e = fv_xml_scope_find(scope_here(cx), name, n);
  if (!e)
    return NULL;
  if (e->kind == FV_XML_INT)
    return e->expr;
  // A value of one integer whose content is known: shape arithmetic.
  if (e->kind == FV_XML_VALUE && e->value->content && e->value->n_content == 1 &&
      fv_dtype_is_int(e->value->type.dtype))
    return e->value->content[0];
  if (e->kind != FV_XML_POISON)
    return NULL;
  cx->poisoned = true;
  return fv_x_i64(cx->pool, 1);
}

// The name that stands at `at`, if one does.
static const char *word_at(fv_xml_cx *cx, fv_xml_slice s, size_t at) {
  const char *p = s.attr->value + s.at;
  size_t end = at;
  while (end < s.n && (name_start(p[end]) || (p[end] >= '0' && p[end] <= '9')))
    end++;
  return end > at && name_start(p[at]) ? fv_arena_strndup(cx->arena, p + at, end - at) : NULL;
}

// A let or dim of the model that stands further down, or NULL.
static const fv_xml_elem *declared_later(const fv_xml_cx *cx, const char *word) {
  for (const fv_xml_elem *e = cx->file->root->child; e; e = e->next) {
    const fv_xml_attr *name = fv_xml_find_attr(e, "name");
    if (name && strcmp(name->value, word) == 0 &&
        (strcmp(e->name, "let") == 0 || strcmp(e->name, "dim") == 0))
      return e;
  }
  return NULL;
}

// Says more about an expression that did not parse at `at`.
void fv_xml_report_expr(fv_xml_cx *cx, fv_xml_slice s, const char *err, size_t at) {
  const fv_span *span = fv_xml_at_value(cx, s.attr, s.at + at);
  const char *word = word_at(cx, s, at);
  const fv_xml_name *e = word ? fv_xml_scope_find(scope_here(cx), word, strlen(word)) : NULL;
  const fv_xml_elem *later = word && !e ? declared_later(cx, word) : NULL;
  if (later) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, span,
                       "'%s' is used before it is defined, in line %u; move that up", word,
                       (unsigned)fv_xml_place(cx->file, later->at).line);
  } else if (e && e->kind == FV_XML_VALUE) {
    (void)fv_xml_fault(
        cx, FV_ERR_PARSE, span,
        "'%s' is a value; an integer stands here (a let, a dim, a counter, or what an "
        "<item> names)",
        word);
  } else if (e && e->kind == FV_XML_TEXT) {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, span, "parameter '%s' is text here, not an integer", word);
  } else if (word && !e && strcmp(word, "min") && strcmp(word, "max")) {
    const char *meant = fv_xml_suggest_name(cx, scope_here(cx), word, is_int);
    (void)fv_xml_fault(
        cx, FV_ERR_PARSE, span, "no integer is called '%s'%s", word,
        *meant ? meant : "; a dim is declared by <dim name= max=>, a number by <let>");
  } else {
    (void)fv_xml_fault(cx, FV_ERR_PARSE, span, "%s", err);
  }
}

// The symbols of counters have a dot in their names, so that no expression of
// a file can reach one that is out of scope.
bool fv_xml_no_dots(fv_xml_cx *cx, fv_xml_slice s) {
  const char *dot = s.n ? memchr(s.attr->value + s.at, '.', s.n) : NULL;
  if (!dot)
    return true;
  const size_t at = (size_t)(dot - s.attr->value);
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, at),
                     "an integer expression has no '.'");
  return false;
}

bool fv_xml_is_defined(fv_xml_cx *cx, fv_xml_slice s, const fv_expr *e) {
  if (!fv_x_has(e, FV_XF_UNDEFINED))
    return true;
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, s.at),
                     "this divides by 0, so it has no value");
  return false;
}

const fv_expr *fv_xml_expr(fv_xml_cx *cx, fv_xml_slice s) {
  const char *err = "an integer expression is expected here";
  size_t at = 0;
  cx->poisoned = false;
  const fv_expr *e = NULL;
  int64_t literal;
  if (fv_parse_i64(s.attr->value + s.at, s.n, &literal))
    return fv_x_i64(cx->pool, literal);
  if (!fv_xml_no_dots(cx, s))
    return NULL;
  if (s.n)
    e = fv_x_parse_i64(cx->pool, s.attr->value + s.at, s.n, fv_xml_symbol, cx, &err, &at);
  if (cx->poisoned)
    return NULL;
  if (!e)
    fv_xml_report_expr(cx, s, err, at);
  return e && fv_xml_is_defined(cx, s, e) ? e : NULL;
}

bool fv_xml_int(fv_xml_cx *cx, fv_xml_slice s, int64_t *out) {
  const fv_expr *e = fv_xml_expr(cx, s);
  if (!e)
    return false;
  if (fv_x_is_lit(e, out))
    return true;
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, s.at),
                     "this must be a plain integer; it depends on a dim or a counter");
  return false;
}

//===-- Text with holes ---------------------------------------------------===//

// Parameters that hold parameters would double at each call.
enum { MAX_TEXT = 4096 };

typedef struct text_builder {
  fv_xml_cx *cx;
  fv_xml_text *text;
  fv_str plain;  // what has not become a piece
  size_t size;
} text_builder;

static bool add_text(text_builder *b, const char *p, size_t n) {
  b->size += n;
  if (b->size > MAX_TEXT)
    return false;
  fv_str_append(&b->plain, p, n);
  return true;
}

static void end_text(text_builder *b) {
  if (b->plain.size)
    FV_PUSH(b->cx->arena, b->text->piece, b->text->n, b->text->cap,
            (fv_xml_piece){.text = b->plain.data});
  b->plain = (fv_str){.arena = b->cx->arena};
}

static bool add_expr(text_builder *b, const fv_expr *x) {
  int64_t v;
  if (fv_x_is_lit(x, &v)) {
    const char *s = fv_arena_printf(b->cx->arena, "%lld", (long long)v);
    return add_text(b, s, strlen(s));
  }
  end_text(b);
  FV_PUSH(b->cx->arena, b->text->piece, b->text->n, b->text->cap, (fv_xml_piece){.expr = x});
  return ++b->size <= MAX_TEXT;
}

static bool add_all(text_builder *b, const fv_xml_text *t) {
  bool fits = true;
  for (int i = 0; i < t->n && fits; i++)
    fits = t->piece[i].text ? add_text(b, t->piece[i].text, strlen(t->piece[i].text))
                            : add_expr(b, t->piece[i].expr);
  return fits;
}

// False: reported, poisoned, or too long.
static bool add_hole(text_builder *b, fv_xml_slice hole) {
  hole = fv_xml_trim(hole);
  const fv_xml_name *e = fv_xml_scope_find(scope_here(b->cx), hole.attr->value + hole.at, hole.n);
  if (hole.n && e && e->kind == FV_XML_TEXT)
    return add_all(b, e->text);
  const fv_expr *x = fv_xml_expr(b->cx, hole);
  return x && add_expr(b, x);
}

static bool add_pieces(text_builder *b, fv_xml_slice s) {
  const char *p = s.attr->value + s.at;
  for (size_t i = 0; i < s.n;) {
    const char *open = memchr(p + i, '{', s.n - i);
    const size_t upto = open ? (size_t)(open - p) : s.n;
    if (!add_text(b, p + i, upto - i))
      return false;
    if (!open)
      break;
    const char *close = memchr(open, '}', s.n - upto);
    if (!close) {
      (void)fv_xml_fault(b->cx, FV_ERR_PARSE, fv_xml_at_value(b->cx, s.attr, s.at + upto),
                         "'{' without '}'");
      return false;
    }
    if (!add_hole(b, (fv_xml_slice){s.attr, s.at + upto + 1, (size_t)(close - open) - 1}))
      return false;
    i = (size_t)(close - p) + 1;
  }
  end_text(b);
  return true;
}

const fv_xml_text *fv_xml_interpolate(fv_xml_cx *cx, fv_xml_slice s) {
  text_builder b = {.cx = cx, .text = FV_NEW(cx->arena, fv_xml_text)};
  b.plain.arena = cx->arena;
  if (add_pieces(&b, s))
    return b.text;
  if (b.size > MAX_TEXT)
    (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at_value(cx, s.attr, s.at),
                       "this text has more than %d characters when its braces are filled in",
                       MAX_TEXT);
  return NULL;
}

const char *fv_xml_plain(fv_xml_cx *cx, fv_xml_slice s) {
  if (!memchr(s.attr->value + s.at, '{', s.n))
    return fv_xml_slice_text(cx, s);
  const fv_xml_text *t = fv_xml_interpolate(cx, s);
  if (!t)
    return NULL;
  if (t->n == 0)
    return "";
  if (t->n == 1 && t->piece[0].text)
    return t->piece[0].text;
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, s.attr, s.at),
                     "this must be known before the run; it depends on a dim or a counter");
  return NULL;
}

//===-- Types, shapes, words ----------------------------------------------===//

static const char *dtype_name(void *user, int i) {
  (void)user;
  return i >= 0 && i < FV_DTYPE_COUNT ? fv_dtype_name((fv_dtype)i) : NULL;
}

bool fv_xml_type(fv_xml_cx *cx, const fv_xml_attr *a, fv_dtype *out) {
  const char *word = fv_xml_plain(cx, fv_xml_whole(a));
  if (!word)
    return false;
  if (fv_dtype_find(word, out))
    return true;
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0),
                     "'%s' is none of the types f32 f64 f16 bf16 i8 u8 i16 i32 i64 bool%s", word,
                     fv_xml_suggest(cx, word, dtype_name, NULL));
  return false;
}

bool fv_xml_bool(fv_xml_cx *cx, const fv_xml_attr *a, bool dflt, bool *out) {
  *out = dflt;
  const char *word = a ? fv_xml_plain(cx, fv_xml_whole(a)) : "";
  if (!word)
    return false;
  if (!a)
    return true;
  *out = strcmp(word, "true") == 0;
  if (*out || strcmp(word, "false") == 0)
    return true;
  (void)fv_xml_fault(cx, FV_ERR_PARSE, fv_xml_at_value(cx, a, 0), "this must be true or false");
  return false;
}

bool fv_xml_dims(fv_xml_cx *cx, const fv_xml_attr *a, int *rank, const fv_expr **dim) {
  fv_xml_slice rest = fv_xml_whole(a);
  fv_xml_slice item;
  *rank = 0;
  bool good = true;
  while (fv_xml_next(&rest, &item)) {
    if (*rank == FV_MAX_RANK) {
      (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at_value(cx, a, item.at),
                         "a tensor has at most %d dims", FV_MAX_RANK);
      return false;
    }
    const fv_expr *d = fv_xml_expr(cx, item);
    const int64_t least = d ? fv_xml_range(cx, d).lo : 0;
    if (least < 0) {  // INT64_MIN: there is no bound
      const char *number =
          least == INT64_MIN ? "negative" : fv_arena_printf(cx->arena, "%lld", (long long)least);
      (void)fv_xml_fault(cx, FV_ERR_TYPE, fv_xml_at_value(cx, a, item.at),
                         "a dim must not be negative, and this may be %s", number);
      d = NULL;
    }
    good = good && d;
    dim[(*rank)++] = d;
  }
  return good;
}

bool fv_xml_declared(fv_xml_cx *cx, const fv_xml_elem *e, fv_type *out) {
  *out = (fv_type){0};
  const fv_xml_attr *shape = fv_xml_find_attr(e, "shape");
  const bool typed = fv_xml_type(cx, fv_xml_find_attr(e, "type"), &out->dtype);
  const bool shaped = fv_xml_dims(cx, shape, &out->rank, out->dim);
  if (!typed || !shaped)
    return false;
  int64_t least[FV_MAX_RANK];
  int64_t bytes;
  for (int i = 0; i < out->rank; i++)
    least[i] = fv_xml_range(cx, out->dim[i]).lo;
  if (fv_bytes_i64(least, out->rank, fv_dtype_size(out->dtype), &bytes))
    return true;
  (void)fv_xml_fault(cx, FV_ERR_LIMIT, fv_xml_at_value(cx, shape, 0),
                     "%s has more bytes than the limit of %lld", fv_xml_type_text(cx, out),
                     (long long)FV_MAX_BYTES);
  return false;
}

bool fv_xml_is_literal(const char *s) {
  double v;
  return fv_parse_double(s, strlen(s), &v)
             ? !name_start(*s) || !strcmp(s, "inf") || !strcmp(s, "nan")
             : !strcmp(s, "true") || !strcmp(s, "false");
}
