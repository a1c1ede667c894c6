// SPDX-License-Identifier: Apache-2.0
//
// Random trees, written in a random one of the ways that XML has to write them,
// are read as they are meant, at their places, and the formatter keeps them.
#include "unit.h"

#include "frontend/xml/fmt.h"
#include "frontend/xml/tree.h"

enum { MAX_TEXT = 24, MAX_ATTRS = 4, MAX_NODES = 12, SEEDS = 4000 };

static uint64_t random_state;

static unsigned below(unsigned n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (unsigned)((random_state >> 20) % n);
}

typedef struct text {
  uint32_t code[MAX_TEXT];
  int n;
} text;

typedef struct node {
  text value[MAX_ATTRS];
  int n_attr;
  text content;  // of a node without children
  int children;
  int depth;
} node;

typedef struct writer {
  char bytes[1 << 16];
  size_t n;
} writer;

static void put(writer *w, const char *s) {
  const size_t n = strlen(s);
  assert_true(w->n + n < sizeof w->bytes);
  memcpy(w->bytes + w->n, s, n + 1);
  w->n += n;
}

static size_t utf8(uint32_t c, char *p) {
  if (c < 0x80)
    return p[0] = (char)c, p[1] = 0, 1;
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const unsigned head[] = {0, 0xc0, 0xe0, 0xf0};
  p[0] = (char)(head[more] | c >> 6 * more);
  for (int i = 1; i <= more; i++)
    p[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
  p[more + 1] = 0;
  return (size_t)more + 1;
}

static uint32_t random_code(void) {
  static const uint32_t special[] = {'&',  '<',   '>',    '"',     '\'',     ' ',    ' ',
                                     '\n', '\t',  '\r',   ',',     '#',      ';',    '{',
                                     ']',  0x0e9, 0x20ac, 0x1f600, 0x10ffff, 0xfffd, 0x80};
  return below(2) ? 'a' + below(26) : special[below(FV_COUNTOF(special))];
}

static text random_text(void) {
  text t = {.n = (int)below(MAX_TEXT)};
  for (int i = 0; i < t.n; i++)
    t.code[i] = random_code();
  return t;
}

static void put_reference(writer *w, uint32_t c) {
  static const struct {
    char c;
    const char *name;
  } named[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&apos;"}};
  char s[32];
  for (size_t i = 0; i < FV_COUNTOF(named); i++)
    if (c == (uint32_t)named[i].c && below(2)) {
      put(w, named[i].name);
      return;
    }
  static const char *const form[] = {"&#%u;", "&#x%x;", "&#x%X;", "&#00%u;"};
  (void)snprintf(s, sizeof s, form[below(4)], (unsigned)c);
  put(w, s);
}

static void put_char(writer *w, uint32_t c, bool must) {
  char s[8];
  if (must || below(6) == 0) {
    put_reference(w, c);
    return;
  }
  (void)utf8(c, s);
  put(w, s);
}

static void put_value(writer *w, const text *t) {
  const char quote[] = {below(2) ? '"' : '\'', 0};
  put(w, quote);
  for (int i = 0; i < t->n; i++) {
    const uint32_t c = t->code[i];
    static const char *const blank[] = {" ", "\n", "\t", "\r\n", "\r"};
    const bool must = c == '&' || c == '<' || c == (uint32_t)quote[0] || strchr("\n\r\t", (int)c);
    if (c == ' ' && below(3) == 0)
      put(w, blank[below(i + 1 < t->n && t->code[i + 1] == ' ' ? 4 : 5)]);  // each is one blank
    else
      put_char(w, c, c < 0x80 && must);
  }
  put(w, quote);
}

static void put_content(writer *w, const text *t) {
  for (int i = 0; i < t->n;) {
    if (below(8) == 0)
      put(w, below(2) ? "<!-- & <x> -->" : "<?p & ?>");
    if (below(6) == 0) {
      put(w, "<![CDATA[");
      for (int k = (int)below(5); k > 0 && i < t->n && t->code[i] != ']' && t->code[i] != '\r';
           k--) {
        char s[8];
        (void)utf8(t->code[i++], s);
        put(w, s);
      }
      put(w, "]]>");
      continue;
    }
    const uint32_t c = t->code[i++];
    put_char(w, c, c == '&' || c == '<' || c == ']' || c == '\r');
  }
}

static void put_blank(writer *w) {
  static const char *const gap[] = {"", "", " ", "\n", "\r\n  ", "\n\n\n", "<!-- c -->", "\t"};
  put(w, gap[below(FV_COUNTOF(gap))]);
}

static int make_tree(node *list) {
  int n = 1;
  memset(list, 0, MAX_NODES * sizeof *list);
  for (int i = 0; i < n; i++) {
    node *e = &list[i];
    e->n_attr = (int)below(MAX_ATTRS + 1);
    for (int k = 0; k < e->n_attr; k++)
      e->value[k] = random_text();
    if (n < MAX_NODES && below(2)) {
      list[n].depth = e->depth + 1;  // a chain with leaves beside it is enough
      e->children = 1;
      n++;
    } else {
      e->content = random_text();
    }
  }
  return n;
}

static void write_tree(writer *w, const node *list, int n) {
  if (below(3) == 0)
    put(w, below(2) ? "<?xml version='1.0' encoding='UTF-8'?>\n" : "\xef\xbb\xbf");
  for (int i = 0; i < n; i++) {
    char s[64];
    (void)snprintf(s, sizeof s, "<n%d%s", i, i ? "" : " xmlns='" FV_XML_NAMESPACE "'");
    put(w, s);
    for (int k = 0; k < list[i].n_attr; k++) {
      (void)snprintf(s, sizeof s, "%sa%d%s=%s", below(3) ? " " : "\n ", k, below(4) ? "" : " ",
                     below(4) ? "" : "\n");
      put(w, s);
      put_value(w, &list[i].value[k]);
    }
    put(w, below(4) ? ">" : " >");
    if (list[i].children)
      put_blank(w);
    else
      put_content(w, &list[i].content);
  }
  for (int i = n - 1; i >= 0; i--) {
    char s[32];
    (void)snprintf(s, sizeof s, "</n%d%s>", i, below(4) ? "" : " ");
    put(w, s);
    put_blank(w);
  }
}

//===-- What was read -------------------------------------------------------===//

static bool blank(uint32_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool same_value(const text *t, const char *have) {
  char want[5 * MAX_TEXT];
  size_t n = 0;
  for (int i = 0; i < t->n; i++)
    n += utf8(t->code[i], want + n);
  want[n] = 0;
  return strcmp(want, have) == 0;
}

// But for the number of blanks between words.
static bool same_words(const text *t, const char *have, size_t size) {
  size_t at = 0;
  bool gap = true;
  for (int i = 0; i < t->n; i++) {
    char s[8];
    if (blank(t->code[i])) {
      gap = true;
      continue;
    }
    const size_t before = at;
    while (at < size && blank((unsigned char)have[at]))
      at++;
    if (!gap && at != before)
      return false;
    if (gap && at == before && at > 0)
      return false;
    const size_t n = utf8(t->code[i], s);
    if (at + n > size || memcmp(have + at, s, n) != 0)
      return false;
    at += n;
    gap = false;
  }
  while (at < size && blank((unsigned char)have[at]))
    at++;
  return at == size;
}

static void same_tree(const fv_xml_file *f, const node *list, int n, const char *bytes) {
  const fv_xml_elem *e = f->root;
  for (int i = 0; i < n; i++, e = e->child) {
    assert_non_null(e);
    assert_int_equal(e->n_attr, list[i].n_attr);
    for (int k = 0; k < e->n_attr; k++)
      if (!same_value(&list[i].value[k], e->attr[k].value))
        fail_msg("attribute a%d of n%d is '%s' in:\n%s", k, i, e->attr[k].value, bytes);
    if (!e->child && !same_words(&list[i].content, e->text, e->text_size))
      fail_msg("the text of n%d is '%s' in:\n%s", i, e->text, bytes);
  }
  assert_null(e);
}

// Where a letter was read, it stands.
static void right_places(const fv_xml_file *f) {
  for (const fv_xml_elem *e = f->root; e; e = e->child) {
    for (int k = 0; k < e->n_attr; k++)
      for (size_t i = 0; e->attr[k].value[i]; i++) {
        const char c = e->attr[k].value[i];
        const char at = f->bytes[fv_xml_value_offset(f, &e->attr[k], i)];
        if (c >= 'a' && c <= 'z' && at != c && at != '&')
          fail_msg("'%c' of '%s' is told to be at '%c'", c, e->attr[k].value, at);
      }
    for (size_t i = 0; !e->child && i < e->text_size; i++) {
      const char at = f->bytes[fv_xml_text_offset(f, e, i)];
      if (e->text[i] >= 'a' && e->text[i] <= 'z' && at != e->text[i] && at != '&')
        fail_msg("'%c' of '%s' is told to be at '%c' in:\n%s", e->text[i], e->text, at, f->bytes);
    }
  }
}

typedef struct job {
  fv_arena *arena;
  const node *list;
  int n;
  const char *bytes;
  size_t size;
  fv_diag_sink *sink;
} job;

static fv_status work(void *user) {
  job *j = user;
  fv_xml_file *f;
  fv_str once = {.arena = j->arena};
  fv_str twice = {.arena = j->arena};
  FV_TRY(fv_xml_parse(j->arena, "m.xml", j->bytes, j->size, NULL, j->sink, &f));
  same_tree(f, j->list, j->n, j->bytes);
  right_places(f);
  FV_TRY(fv_xml_format(j->arena, "m.xml", j->bytes, j->size, NULL, j->sink, &once));
  FV_TRY(fv_xml_parse(j->arena, "m.xml", once.data, once.size, NULL, j->sink, &f));
  same_tree(f, j->list, j->n, once.data);
  FV_TRY(fv_xml_format(j->arena, "m.xml", once.data, once.size, NULL, j->sink, &twice));
  if (strcmp(once.data, twice.data) != 0)
    fail_msg("formatted once:\n%s\nand twice:\n%s", once.data, twice.data);
  return FV_OK;
}

static void reads_what_is_meant(void **state) {
  (void)state;
  static node list[MAX_NODES];
  static writer w;
  for (unsigned seed = 1; seed <= SEEDS; seed++) {
    collected said = {{0}};
    fv_diag_sink sink = {.emit = collect, .user = &said};
    const char *bug = NULL;
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
    w.n = 0;
    const int n = make_tree(list);
    write_tree(&w, list, n);
    job j = {.list = list, .n = n, .bytes = w.bytes, .size = w.n, .sink = &sink};
    j.arena = fv_arena_create(NULL);
    assert_non_null(j.arena);
    if (fv_arena_protect(j.arena, work, &j, &bug) != FV_OK)
      fail_msg("seed %u: %s in:\n%s", seed, said.text, w.bytes);
    fv_arena_destroy(j.arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reads_what_is_meant)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
