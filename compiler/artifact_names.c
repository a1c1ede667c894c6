// SPDX-License-Identifier: Apache-2.0
#include "compiler/artifact_names.h"

#include <stdlib.h>
#include <string.h>

//===-- Identifiers -------------------------------------------------------===//

static const char *const c_words[] = {
#include "compiler/c_words.def"
};

static int compare(const void *key, const void *word) {
  return strcmp(key, *(const char *const *)word);
}

static bool is_c_word(const char *s) {
  return bsearch(s, c_words, FV_COUNTOF(c_words), sizeof *c_words, compare) != NULL;
}

static bool is_taken(const char *s, const char *const *taken, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(taken[i], s) == 0)
      return true;
  return false;
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static const char *spell(fv_arena *ar, const char *text, bool alone, const char *const *taken,
                         size_t n) {
  fv_str s = {.arena = ar};
  // Names that begin with '_' are the compiler's own.
  if (alone && !is_letter(text[0]))
    fv_str_puts(&s, "x");
  for (; *text; text++)
    fv_str_append(&s, is_letter(*text) || is_digit(*text) ? text : "_", 1);
  if (alone && is_c_word(s.data))
    fv_str_puts(&s, "_");
  const char *name = s.data ? s.data : "";
  for (int i = 2; is_taken(name, taken, n); i++)
    name = fv_arena_printf(ar, "%s_%d", s.data, i);
  return name;
}

const char *fv_c_name(fv_arena *ar, const char *text, const char *const *taken, size_t n) {
  return spell(ar, text, true, taken, n);
}

const char *fv_c_part(fv_arena *ar, const char *text, const char *const *taken, size_t n) {
  return spell(ar, text, false, taken, n);
}

const char *fv_upper(fv_arena *ar, const char *name) {
  char *s = fv_arena_strdup(ar, name);
  for (char *c = s; *c; c++)
    if (*c >= 'a' && *c <= 'z')
      *c = (char)(*c - 'a' + 'A');
  return s;
}

//===-- Expressions -------------------------------------------------------===//

// How tightly a text binds: a sum, a product, or an atom.
typedef enum tightness { SUM, PRODUCT, ATOM } tightness;

typedef struct slot {
  const char *text;
  tightness how;
} slot;

enum { MAX_TEXT = 120 };

static const char *wrapped(fv_arena *ar, slot s, tightness least) {
  return s.how >= least ? s.text : fv_arena_printf(ar, "(%s)", s.text);
}

static slot call(fv_arena *ar, const fv_hinst *i, slot a, slot b, slot c) {
  static const struct {
    const char *name;
    int arity;
  } ops[] = {
#define X(id, name, arity, types) {name, arity},
      FV_SCALAR_TABLE(X)
#undef X
  };
  if (i->n >= FV_X_COUNT)
    return (slot){"?", ATOM};
  const char *name = ops[i->n].name;
  switch (ops[i->n].arity) {
  case 1: return (slot){fv_arena_printf(ar, "%s(%s)", name, a.text), ATOM};
  case 2: return (slot){fv_arena_printf(ar, "%s(%s, %s)", name, a.text, b.text), ATOM};
  default: return (slot){fv_arena_printf(ar, "%s(%s, %s, %s)", name, a.text, b.text, c.text), ATOM};
  }
}

static slot scalar(fv_arena *ar, const fv_hinst *i, slot a, slot b, slot c) {
  switch (i->n) {
  case FV_X_ADD:
    if (b.text[0] == '-')
      return (slot){fv_arena_printf(ar, "%s - %s", a.text, b.text + 1), SUM};
    return (slot){fv_arena_printf(ar, "%s + %s", a.text, b.text), SUM};
  case FV_X_SUB:
    return (slot){fv_arena_printf(ar, "%s - %s", a.text, wrapped(ar, b, PRODUCT)), SUM};
  case FV_X_MUL:
    // Expressions hold the factor behind, as in S*2; people write it before.
    if (is_digit(b.text[0]) && b.how == ATOM)
      return (slot){fv_arena_printf(ar, "%s * %s", b.text, wrapped(ar, a, PRODUCT)), PRODUCT};
    return (slot){fv_arena_printf(ar, "%s * %s", wrapped(ar, a, PRODUCT), wrapped(ar, b, ATOM)),
                  PRODUCT};
  case FV_X_NEG: return (slot){fv_arena_printf(ar, "-%s", wrapped(ar, a, ATOM)), PRODUCT};
  default: return call(ar, i, a, b, c);
  }
}

const char **fv_slot_texts(fv_arena *ar, const fv_program *p, uint32_t entry,
                           const char *const *symbol) {
  const char *image = (const char *)p;
  const fv_prog_entry *e = (const fv_prog_entry *)(const void *)(image + p->entries.offset) + entry;
  const fv_hinst *inst = (const void *)(image + e->insts.offset);
  const int64_t *literal = (const void *)(image + e->literals.offset);
  slot *s = FV_NEW_N(ar, slot, e->n_slot);
  for (uint32_t i = 0; i < e->n_slot; i++)
    s[i] = (slot){i < p->symbols.count ? symbol[i] : "?", ATOM};
  for (uint32_t i = 0; i < e->bind_end; i++) {
    const fv_hinst *h = &inst[i];
    if (h->op == FV_H_LITERAL)
      s[h->a] = (slot){fv_arena_printf(ar, "%lld", (long long)literal[h->b]), ATOM};
    else if (h->op == FV_H_SCALAR)
      s[h->a] = scalar(ar, h, s[h->b], s[h->c < e->n_slot ? h->c : h->b],
                       s[h->d < e->n_slot ? h->d : h->b]);
    else
      continue;
    if (strlen(s[h->a].text) > MAX_TEXT)
      s[h->a] = (slot){"?", ATOM};
  }
  const char **text = FV_NEW_N(ar, const char *, e->n_slot);
  for (uint32_t i = 0; i < e->n_slot; i++)
    text[i] = s[i].text;
  return text;
}
