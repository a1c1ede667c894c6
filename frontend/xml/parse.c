// SPDX-License-Identifier: Apache-2.0
//
// libxml2's SAX2 events into our tree. The parser sees memory only, with no
// option that loads anything; no global of libxml2 is set. The tree
// is allocated before the parse from the scanner's counts, so that no arena
// call, which may jump, happens inside a callback.
#include <libxml/parser.h>
#include <pthread.h>
#include <string.h>

#include "base/file.h"
#include "frontend/xml/tree.h"

typedef struct builder {
  fv_xml_file *file;
  const fv_xml_scan *scan;
  fv_xml_elem *elem;
  size_t n_elem;
  fv_xml_attr *attr;
  size_t n_attr;
  char *text;  // decoded text never takes more room than the file
  size_t n_text, cap_text;
  fv_xml_elem *open;
  xmlParserCtxtPtr ctxt;
  bool broken;  // the two readers disagree: not well-formed
  int error_line, error_col;
  size_t error_at;
  bool failed;
  char message[256];
} builder;

const fv_xml_attr *fv_xml_find_attr(const fv_xml_elem *e, const char *name) {
  for (int i = 0; i < e->n_attr; i++)
    if (strcmp(e->attr[i].name, name) == 0)
      return &e->attr[i];
  return NULL;
}

//===-- Events ----------------------------------------------------------===//

static const char *keep(builder *b, const char *p, size_t n) {
  if (b->cap_text - b->n_text < n + 1) {
    b->broken = true;
    return "";
  }
  char *s = b->text + b->n_text;
  memcpy(s, p, n);
  s[n] = 0;
  b->n_text += n + 1;
  return s;
}

// libxml2 gives the attributes of a tag in the order of the file, but without
// the namespace declarations: match by name.
static void place_attr(builder *b, const fv_xml_tag *tag, fv_xml_attr *a) {
  const char *bytes = b->file->bytes;
  for (uint32_t i = 0; i < tag->n_attr; i++) {
    const fv_xml_mark *m = &b->scan->mark[tag->first_attr + i];
    if (strlen(a->name) == m->name_len && memcmp(bytes + m->name, a->name, m->name_len) == 0) {
      a->name_at = m->name;
      a->value_at = m->value;
      return;
    }
  }
  a->name_at = a->value_at = tag->at;  // a prefixed name
}

static void link_elem(builder *b, fv_xml_elem *e) {
  e->parent = b->open;
  if (!b->open) {
    b->file->root = b->file->root ? b->file->root : e;
  } else if (b->open->last_child) {
    b->open->last_child->next = e;
  } else {
    b->open->child = e;
  }
  if (b->open)
    b->open->last_child = e;
  b->open = e;
}

static void on_start(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int n_ns, const xmlChar **ns, int n_attr, int n_default,
                     const xmlChar **attr) {
  (void)prefix, (void)n_ns, (void)ns, (void)n_default;
  builder *b = user;
  if (b->broken || b->n_elem >= b->scan->n_tag) {
    b->broken = true;
    return;
  }
  const fv_xml_tag *tag = &b->scan->tag[b->n_elem];
  fv_xml_elem *e = &b->elem[b->n_elem++];
  e->name = keep(b, (const char *)name, strlen((const char *)name));
  e->foreign = !uri || strcmp((const char *)uri, FV_XML_NAMESPACE) != 0;
  e->at = tag->at;
  e->end = tag->end;
  e->text = "";
  e->attr = b->attr + b->n_attr;
  for (int i = 0; i < n_attr && b->n_attr < b->scan->n_mark; i++) {
    fv_xml_attr *a = &b->attr[b->n_attr++];
    const char *key = (const char *)attr[5 * i];
    const char *value = (const char *)attr[5 * i + 3];
    a->name = keep(b, key, strlen(key));
    a->value = keep(b, value, (size_t)((const char *)attr[5 * i + 4] - value));
    place_attr(b, tag, a);
    e->n_attr++;
  }
  link_elem(b, e);
}

static void on_end(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
  (void)name, (void)prefix, (void)uri;
  builder *b = user;
  if (!b->broken && b->open)
    b->open = b->open->parent;
}

static bool all_blank(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] != ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
      return false;
  return true;
}

// Where text of `len` bytes that ends at `end` begins to say something.
static uint32_t first_letter(const fv_xml_file *f, uint32_t end, size_t len) {
  size_t at = end > len ? end - len : 0;
  while (at + 1 < f->size && all_blank(f->bytes + at, 1))
    at++;
  return (uint32_t)at;
}

// Text comes in pieces; those before the first child are joined.
static void on_text(void *user, const xmlChar *text, int len) {
  builder *b = user;
  fv_xml_elem *e = b->open;
  if (b->broken || !e || len <= 0)
    return;
  const char *p = (const char *)text;
  const long now = xmlByteConsumed(b->ctxt);
  const uint32_t at = now > 0 && (size_t)now <= b->file->size ? (uint32_t)now : e->at;
  if (e->child) {
    if (!all_blank(p, (size_t)len) && !e->stray_at)
      e->stray_at = first_letter(b->file, at, (size_t)len);
    return;
  }
  if (e->text_size == 0) {
    e->text = keep(b, p, (size_t)len);
    e->text_size = b->broken ? 0 : (size_t)len;
    return;
  }
  b->n_text--;  // over the NUL of the piece before, which is the last one kept
  const char *more = keep(b, p, (size_t)len);
  e->text_size += more[0] ? (size_t)len : 0;
}

#if LIBXML_VERSION >= 21200
static void on_error(void *user, const xmlError *err) {
#else
static void on_error(void *user, xmlErrorPtr err) {
#endif
  builder *b = user;
  if (b->failed || err->level < XML_ERR_ERROR)
    return;
  b->failed = true;
  b->error_line = err->line;
  b->error_col = err->int2;
  const long now = xmlByteConsumed(b->ctxt);
  b->error_at = now > 0 ? (size_t)now : 0;
  const char *text = err->message ? err->message : "not well-formed";
  size_t n = strlen(text);
  n = n < sizeof b->message ? n : sizeof b->message - 1;
  memcpy(b->message, text, n);
  while (n && all_blank(b->message + n - 1, 1))
    n--;
  b->message[n] = 0;
}

//===-- The parse -------------------------------------------------------===//

static void free_ctxt(void *ctxt) {
  xmlFreeParserCtxt(ctxt);
}
static void init_once(void) {
  xmlInitParser();
}

static void reserve(fv_arena *ar, builder *b) {
  b->elem = FV_NEW_N(ar, fv_xml_elem, b->scan->n_tag);
  b->attr = FV_NEW_N(ar, fv_xml_attr, b->scan->n_mark);
  // Each name, value and text piece takes a NUL more than in the file, where a
  // delimiter stood in its place.
  b->cap_text = b->file->size + b->scan->n_tag * 4 + b->scan->n_mark * 4 + 64;
  b->text = fv_arena_alloc(ar, b->cap_text);
}

// NOENT, or an ampersand of an attribute stays "&#38;". There is nothing else to
// be put in: the scanner has refused all that could declare an entity.
static int parse_options(void) {
  int options = XML_PARSE_NONET | XML_PARSE_BIG_LINES | XML_PARSE_NOENT;
#if LIBXML_VERSION >= 21300
  options |= XML_PARSE_NO_XXE;
#endif
  return options;
}

static bool run_parser(builder *b) {
  static const xmlSAXHandler handler = {
      .initialized = XML_SAX2_MAGIC,
      .startElementNs = on_start,
      .endElementNs = on_end,
      .characters = on_text,
      .cdataBlock = on_text,
      .serror = on_error,
  };
  *b->ctxt->sax = handler;
  b->ctxt->userData = b;
  (void)xmlCtxtReadMemory(b->ctxt, b->file->bytes, (int)b->file->size, NULL, "UTF-8",
                          parse_options());
  return b->ctxt->wellFormed && b->ctxt->errNo == XML_ERR_OK && !b->failed;
}

static fv_status report_malformed(builder *b, fv_diag_sink *diag) {
  const fv_xml_file *f = b->file;
  fv_span span = {.file = f->path};
  if (b->error_line > 0 && (uint32_t)b->error_line <= f->n_line) {
    span.line = (uint32_t)b->error_line;
    span.col = b->error_col > 0 ? (uint32_t)b->error_col : 1;
  } else if (b->error_at > 0) {
    span = fv_xml_place(f, b->error_at < f->size ? b->error_at : f->size);
  }
  if (b->ctxt->errNo == XML_ERR_NO_MEMORY)
    return fv_error(diag, FV_ERR_OOM, &span, "out of memory in the XML parser");
  return fv_error(diag, FV_ERR_PARSE, &span, "malformed XML: %s",
                  b->failed ? b->message : "the document is not well-formed");
}

fv_status fv_xml_parse(fv_arena *ar, const char *path, const char *bytes, size_t size,
                       const fv_load_limits *limits, fv_diag_sink *diag, fv_xml_file **out) {
  *out = NULL;
  fv_xml_file *f = FV_NEW(ar, fv_xml_file);
  f->path = fv_arena_strdup(ar, path);
  f->bytes = bytes;
  f->size = size;
  const fv_span whole = {.file = f->path, .line = 1, .col = 1};
  if (size > fv_xml_limits(limits).max_bytes || size > INT32_MAX - 1)
    return fv_error(diag, FV_ERR_LIMIT, &whole, "the file has %zu bytes; the limit is %zu", size,
                    fv_xml_limits(limits).max_bytes);
  fv_xml_find_lines(ar, f);
  if (all_blank(bytes, size))
    return fv_error(diag, FV_ERR_PARSE, &whole, "the file is empty");
  fv_xml_scan scan;
  FV_TRY(fv_xml_prescan(ar, f, limits, diag, &scan));
  builder b = {.file = f, .scan = &scan};
  reserve(ar, &b);
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, init_once);
  void **slot = fv_arena_defer(ar, free_ctxt);
  b.ctxt = xmlNewParserCtxt();
  *slot = b.ctxt;
  if (!b.ctxt)
    return fv_error(diag, FV_ERR_OOM, &whole, "out of memory in the XML parser");
  const bool good = run_parser(&b);
  fv_status st = FV_OK;
  if (!good || b.broken || !f->root || b.n_elem != scan.n_tag)
    st = report_malformed(&b, diag);
  *slot = NULL;
  xmlFreeParserCtxt(b.ctxt);
  FV_TRY(st);
  *out = f;
  return FV_OK;
}

fv_status fv_xml_read(fv_arena *ar, const char *path, const fv_load_limits *limits,
                      fv_diag_sink *diag, fv_xml_file **out) {
  *out = NULL;
  char *bytes;
  size_t size;
  FV_TRY(fv_file_read(ar, path, fv_xml_limits(limits).max_bytes, diag, NULL, &bytes, &size));
  return fv_xml_parse(ar, path, bytes, size, limits, diag, out);
}
