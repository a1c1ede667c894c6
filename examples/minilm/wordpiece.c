// SPDX-License-Identifier: Apache-2.0
//
// BERT's basic tokenizer: text is cleaned, lower-cased and freed of accents,
// words are split at spaces and around punctuation and CJK characters. Then
// WordPiece: each word is cut from the left into the longest pieces that the
// vocabulary has; all but the first begin with "##". Accents are known of
// Latin, Greek and Cyrillic letters; Hangul is not taken apart.
#include "wordpiece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latin.inc"

enum { MAX_WORD = 100 };  // characters; a longer word is [UNK]

struct wordpiece {
  char *text;  // the file, lines ended by NUL
  char **token;
  size_t count;
  uint32_t *slot;  // hash table of token numbers + 1
  size_t n_slot;   // a power of two
  int64_t cls, sep, unk;
};

//===-- The vocabulary ----------------------------------------------------===//

static size_t hash(const char *s, size_t n) {
  uint64_t h = 14695981039346656037U;  // FNV-1a
  for (size_t i = 0; i < n; i++)
    h = (h ^ (unsigned char)s[i]) * 1099511628211U;
  return (size_t)(h ^ h >> 32);
}

static int64_t find(const wordpiece *w, const char *s, size_t n) {
  for (size_t i = hash(s, n) & (w->n_slot - 1); w->slot[i]; i = (i + 1) & (w->n_slot - 1)) {
    const char *t = w->token[w->slot[i] - 1];
    if (strncmp(t, s, n) == 0 && t[n] == 0)
      return w->slot[i] - 1;
  }
  return -1;
}

static char *read_file(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  char *text = NULL;
  if (!f)
    return NULL;
  if (fseek(f, 0, SEEK_END) == 0) {
    const long n = ftell(f);
    text = n > 0 && fseek(f, 0, SEEK_SET) == 0 ? malloc((size_t)n + 1) : NULL;
    if (text && fread(text, 1, (size_t)n, f) != (size_t)n) {
      free(text);
      text = NULL;
    } else if (text) {
      text[n] = 0;
      *size = (size_t)n;
    }
  }
  fclose(f);
  return text;
}

static int index_tokens(wordpiece *w, size_t size) {
  size_t lines = 1;
  for (size_t i = 0; i < size; i++)
    lines += w->text[i] == '\n';
  w->n_slot = 64;
  while (w->n_slot < 2 * lines)
    w->n_slot *= 2;
  w->token = calloc(lines, sizeof *w->token);
  w->slot = calloc(w->n_slot, sizeof *w->slot);
  if (!w->token || !w->slot)
    return 0;
  for (char *line = w->text, *end; line < w->text + size; line = end + 1) {
    end = line + strcspn(line, "\r\n");
    const int crlf = end[0] == '\r' && end[1] == '\n';
    *end = 0;
    size_t i = hash(line, (size_t)(end - line)) & (w->n_slot - 1);
    while (w->slot[i])
      i = (i + 1) & (w->n_slot - 1);
    w->token[w->count++] = line;
    w->slot[i] = (uint32_t)w->count;
    end += crlf;
  }
  w->cls = find(w, "[CLS]", 5);
  w->sep = find(w, "[SEP]", 5);
  w->unk = find(w, "[UNK]", 5);
  return w->cls >= 0 && w->sep >= 0 && w->unk >= 0;
}

wordpiece *wordpiece_load(const char *path) {
  size_t size = 0;
  wordpiece *w = calloc(1, sizeof *w);
  if (!w)
    return NULL;
  w->text = read_file(path, &size);
  if (w->text && index_tokens(w, size))
    return w;
  wordpiece_free(w);
  return NULL;
}

void wordpiece_free(wordpiece *w) {
  if (!w)
    return;
  free(w->slot);
  free(w->token);
  free(w->text);
  free(w);
}

//===-- Characters --------------------------------------------------------===//

static int in(uint32_t c, uint32_t first, uint32_t last) {
  return c >= first && c <= last;
}

// The character at *s, which is moved behind it; U+FFFD for what is not UTF-8.
static uint32_t decode(const char **s) {
  const unsigned char *p = (const unsigned char *)*s;
  const int n = p[0] < 0x80            ? 0
                : in(p[0], 0xC2, 0xDF) ? 1
                : in(p[0], 0xE0, 0xEF) ? 2
                : in(p[0], 0xF0, 0xF4) ? 3
                                       : -1;
  uint32_t c = n <= 0 ? p[0] : p[0] & (0x3FU >> n);
  *s += 1;
  if (n < 0)
    return 0xFFFD;
  for (int i = 1; i <= n; i++) {
    if ((p[i] & 0xC0) != 0x80)
      return 0xFFFD;
    c = c << 6 | (p[i] & 0x3F);
  }
  *s += n;
  return c;
}

static size_t encode_utf8(uint32_t c, char *out) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  const int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = n - 1; i > 0; i--, c >>= 6)
    out[i] = (char)(0x80 | (c & 0x3F));
  out[0] = (char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
  return (size_t)n;
}

static int is_space(uint32_t c) {
  return c == ' ' || in(c, 9, 13) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         in(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// Control and format characters, and what stands for malformed text.
static int is_dropped(uint32_t c) {
  return c == 0xFFFD || c < 0x20 || in(c, 0x7F, 0x9F) || c == 0xAD || in(c, 0x200B, 0x200F) ||
         in(c, 0x202A, 0x202E) || in(c, 0x2060, 0x206F) || c == 0xFEFF || in(c, 0xE000, 0xF8FF);
}

static int is_mark(uint32_t c) {  // combining accents
  return in(c, 0x300, 0x36F) || in(c, 0x483, 0x487) || in(c, 0x1AB0, 0x1ABD) ||
         in(c, 0x1DC0, 0x1DFF) || in(c, 0x20D0, 0x20DC) || in(c, 0xFE20, 0xFE2F);
}

static int is_punctuation(uint32_t c) {
  if (c < 0x80)
    return in(c, 33, 47) || in(c, 58, 64) || in(c, 91, 96) || in(c, 123, 126);
  return c == 0xA1 || c == 0xA7 || c == 0xAB || c == 0xB6 || c == 0xB7 || c == 0xBB || c == 0xBF ||
         c == 0x37E || c == 0x387 || in(c, 0x55A, 0x55F) || in(c, 0x589, 0x58A) || c == 0x60C ||
         c == 0x61B || c == 0x61F || c == 0x964 || c == 0x965 || in(c, 0x2010, 0x2027) ||
         (in(c, 0x2030, 0x205E) && c != 0x2044 && c != 0x2052) || in(c, 0x207D, 0x207E) ||
         in(c, 0x208D, 0x208E) || in(c, 0x3001, 0x3003) || in(c, 0x3008, 0x3011) ||
         in(c, 0x3014, 0x301F) || c == 0x30FB || in(c, 0xFF01, 0xFF03) || in(c, 0xFF05, 0xFF0A) ||
         in(c, 0xFF0C, 0xFF0F) || c == 0xFF1A || c == 0xFF1B || c == 0xFF1F || c == 0xFF20 ||
         in(c, 0xFF3B, 0xFF3D) || c == 0xFF3F || c == 0xFF5B || c == 0xFF5D ||
         in(c, 0xFF5F, 0xFF65);
}

static int is_cjk(uint32_t c) {
  return in(c, 0x4E00, 0x9FFF) || in(c, 0x3400, 0x4DBF) || in(c, 0x20000, 0x2A6DF) ||
         in(c, 0x2A700, 0x2CEAF) || in(c, 0xF900, 0xFAFF) || in(c, 0x2F800, 0x2FA1F);
}

// Lower case, without an accent.
static uint32_t plain(uint32_t c) {
  static const uint16_t greek[][3] = {
      // with tonos, small and capital
      {0x3AC, 0x386, 0x3B1}, {0x3AD, 0x388, 0x3B5}, {0x3AE, 0x389, 0x3B7}, {0x3AF, 0x38A, 0x3B9},
      {0x3CC, 0x38C, 0x3BF}, {0x3CD, 0x38E, 0x3C5}, {0x3CE, 0x38F, 0x3C9}};
  if (in(c, 'A', 'Z'))
    return c + 32;
  if (in(c, 0xC0, 0x24F))
    return latin_00c0[c - 0xC0];
  if (in(c, 0x1E00, 0x1EFF))
    return latin_1e00[c - 0x1E00];
  for (size_t i = 0; in(c, 0x386, 0x3CE) && i < sizeof greek / sizeof *greek; i++)
    if (c == greek[i][0] || c == greek[i][1])
      return greek[i][2];
  if (in(c, 0x391, 0x3A9))
    return c + 32;  // Greek
  if (in(c, 0x410, 0x42F))
    c += 32;  // Cyrillic
  if (c == 0x401 || c == 0x451)
    return 0x435;
  if (in(c, 0x402, 0x40F) && c != 0x403 && c != 0x407 && c != 0x40C && c != 0x40D && c != 0x40E)
    return c + 80;
  return c == 0x439 ? 0x438 : c;
}

//===-- Words -------------------------------------------------------------===//

typedef struct output {
  int64_t *ids;
  size_t count, room;
} output;

static void put(output *o, int64_t id) {
  if (o->count < o->room)
    o->ids[o->count++] = id;
}

// The longest pieces from the left; if one is not there, the word is unknown.
static void put_word(const wordpiece *w, output *o, const char *word, size_t n, size_t chars) {
  char piece[4 * MAX_WORD + 2];
  const size_t before = o->count;
  if (n == 0)
    return;
  for (size_t from = 0, to; from < n && chars <= MAX_WORD; from = to) {
    const size_t head = from ? 2 : 0;
    int64_t id = -1;
    memcpy(piece, "##", 2);
    memcpy(piece + head, word + from, n - from);
    for (to = n; to > from && id < 0; to--)
      if (to == n || ((unsigned char)word[to] & 0xC0) != 0x80)  // whole characters only
        id = find(w, piece, head + to - from);
    if (id < 0) {
      chars = MAX_WORD + 1;
      break;
    }
    to++;  // the loop went one too far
    put(o, id);
  }
  if (chars > MAX_WORD) {
    o->count = before;
    put(o, w->unk);
  }
}

size_t wordpiece_encode(const wordpiece *w, const char *text, int64_t *ids, size_t room) {
  output o = {ids, 0, room - 1};
  char word[4 * MAX_WORD + 8];
  size_t n = 0, chars = 0;
  put(&o, w->cls);
  while (*text) {
    const uint32_t c = decode(&text);
    const int alone = is_punctuation(c) || is_cjk(c);
    if (!is_space(c) && (is_dropped(c) || is_mark(c)))
      continue;
    if (is_space(c) || alone) {
      put_word(w, &o, word, n, chars);
      n = chars = 0;
    }
    if (is_space(c))
      continue;
    if (chars++ < MAX_WORD)
      n += encode_utf8(plain(c), word + n);
    if (alone) {
      put_word(w, &o, word, n, chars);
      n = chars = 0;
    }
  }
  put_word(w, &o, word, n, chars);
  o.room = room;
  put(&o, w->sep);
  return o.count;
}
