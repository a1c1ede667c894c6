// SPDX-License-Identifier: Apache-2.0
//
// The op table, with its schema texts parsed once per process.
#include <pthread.h>
#include <string.h>

#include "ir/graph/graph.h"

typedef struct op_table {
  fv_op_info info[FV_OP_COUNT];
  uint16_t by_name[FV_OP_COUNT];  // op numbers, sorted by name
} op_table;

// The rows as they are written; one without a name begins a section.
static const fv_op_info rows[] = {
#define FV_OP_SECTION(title_, doc_) {.section = (title_), .doc = (doc_)},
#define FV_OP(name_, ...) {.name = #name_, __VA_ARGS__},
#include "fovea/ops.def"
};

static op_table table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

// Cuts the next word off a text at blanks; false at its end, or without a text.
static bool next_word(const char **text, const char **word, size_t *len) {
  if (!*text)
    return false;
  *text += strspn(*text, " ");
  *word = *text;
  *len = strcspn(*text, " ");
  *text += *len;
  return *len > 0;
}

static int parse_names(const char *text, fv_param_info *out, int max) {
  int n = 0;
  const char *word;
  size_t len;
  while (n < max && next_word(&text, &word, &len)) {
    fv_param_info *p = &out[n++];
    p->optional = word[len - 1] == '?';
    p->variadic = word[len - 1] == '*';
    p->name = word;
    p->len = len - (p->optional || p->variadic);
  }
  return n;
}

static const struct {
  const char *name;
  char kind;
} kinds[] = {{"int", 'i'},  {"float", 'f'}, {"bool", 'b'},  {"string", 's'},
             {"ints", 'I'}, {"dims", 'D'},  {"dtype", 't'}, {"expr", 'x'}};

static char attr_kind(const char *word, size_t len) {
  for (size_t i = 0; i < FV_COUNTOF(kinds); i++)
    if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, word, len) == 0)
      return kinds[i].kind;
  return 0;
}

const char *fv_attr_kind_name(char kind) {
  for (size_t i = 0; i < FV_COUNTOF(kinds); i++)
    if (kinds[i].kind == kind)
      return kinds[i].name;
  return NULL;
}

// name:kind or name:kind=default
static int parse_attrs(const char *text, fv_param_info *out, int max) {
  int n = 0;
  const char *word;
  size_t len;
  while (n < max && next_word(&text, &word, &len)) {
    const char *colon = memchr(word, ':', len), *end = word + len;
    if (!colon)
      continue;
    const char *equals = memchr(colon, '=', (size_t)(end - colon));
    const char *kind_end = equals ? equals : end;
    fv_param_info *p = &out[n++];
    p->name = word;
    p->len = (size_t)(colon - word);
    p->kind = attr_kind(colon + 1, (size_t)(kind_end - colon - 1));
    p->dflt = equals ? equals + 1 : NULL;
    p->dflt_len = equals ? (size_t)(end - equals - 1) : 0;
  }
  return n;
}

static void fill_row(fv_op_info *o, const fv_op_info *row, const fv_op_info *section) {
  *o = *row;
  o->section = section->section;
  o->section_doc = section->doc;
  o->n_operand = parse_names(o->operands, o->operand, FV_MAX_OPERANDS);
  o->n_result = parse_names(o->results, o->result, FV_MAX_RESULTS);
  o->n_attr = parse_attrs(o->attrs, o->attr, FV_MAX_ATTRS);
  o->n_body = !(o->flags & FV_OPF_REGION) ? 0 : o->flags & FV_OPF_ARMS ? 2 : 1;
}

static void fill_table(void) {
  const fv_op_info *section = rows;
  int n = 0;
  for (size_t r = 0; r < FV_COUNTOF(rows); r++) {
    if (!rows[r].name) {
      section = &rows[r];
      continue;
    }
    fill_row(&table.info[n], &rows[r], section);
    int k = n;
    for (; k > 0 && strcmp(table.info[table.by_name[k - 1]].name, rows[r].name) > 0; k--)
      table.by_name[k] = table.by_name[k - 1];
    table.by_name[k] = (uint16_t)n++;
  }
}

const fv_op_info *fv_op_get(fv_op op) {
  pthread_once(&table_once, fill_table);
  return &table.info[op];
}

fv_op fv_op_find(const char *name, size_t len) {
  pthread_once(&table_once, fill_table);
  int lo = 0, hi = FV_OP_COUNT;
  while (lo < hi) {
    const int mid = (lo + hi) / 2;
    const char *at = table.info[table.by_name[mid]].name;
    int order = strncmp(at, name, len);
    if (order == 0)
      order = at[len] != 0;
    if (order == 0)
      return (fv_op)table.by_name[mid];
    if (order < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return FV_OP_COUNT;
}
