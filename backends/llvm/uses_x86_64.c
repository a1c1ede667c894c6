// SPDX-License-Identifier: Apache-2.0
// The instruction sets that machine code of x86-64 is made of, read off the encoding of each
// instruction. LLVM tells them to nobody: its decoder takes all that any CPU has.
#include <string.h>

#include "llvm_backend.h"

enum {  // ids of features.def
#define X86_64(id, name, leaf, sub, reg, bit, state) F_##id,
#include "fovea/features.def"
  F_BASE  // none of them
};
_Static_assert(F_BASE <= 64, "a set of features is one word");

enum { LEGACY, VEX, EVEX };
enum { NP = 1, P66 = 2, PF3 = 4, PF2 = 8, ANY = 15 };
enum { ALL, W0, W1, L1, REG, HAS };

typedef struct insn {
  uint8_t space, map, prefix, opcode, length;  // length 2: 512 bits
  bool w, reg, round;
} insn;

typedef struct row {
  uint8_t space, map, prefix, from, to, when, feature;
  bool vector;
} row;

static const row rows[] = {
#define ROW(space, map, prefix, from, to, when, feature) \
  {SPACE_##space, map, prefix, from, to, when, F_##feature, VECTOR_##space},
#define SPACE_LEGACY LEGACY
#define SPACE_VEX VEX
#define SPACE_VEC VEX
#define SPACE_EVEX EVEX
#define SPACE_ONE EVEX
#define VECTOR_LEGACY false
#define VECTOR_VEX false
#define VECTOR_VEC true
#define VECTOR_EVEX true
#define VECTOR_ONE false
#include "uses_x86_64.def"
#undef ROW
};

//===-- Decoding --------------------------------------------------------===//

typedef struct reader {
  const uint8_t *at, *end;
} reader;

// The byte ahead; 0 past the end, where skip() fails.
static uint8_t peek(const reader *r, size_t ahead) {
  return (size_t)(r->end - r->at) > ahead ? r->at[ahead] : 0;
}

static bool skip(reader *r, size_t n) {
  if ((size_t)(r->end - r->at) < n)
    return false;
  r->at += n;
  return true;
}

static uint8_t prefix_of(unsigned pp) {
  return (uint8_t)(1u << pp);
}

// *narrow: operands have 16 bits.
static void read_prefixes(reader *r, insn *in, bool *narrow) {
  static const char plain[] = {0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x67, (char)0xf0, 0};
  in->prefix = NP;
  for (;; r->at++) {
    const uint8_t c = peek(r, 0);
    if (c == 0x66)
      *narrow = true;
    else if (c == 0xf3 || c == 0xf2)
      in->prefix = c == 0xf3 ? PF3 : PF2;
    else if (c == 0 || !strchr(plain, (char)c))
      break;
  }
  if (*narrow && in->prefix == NP)
    in->prefix = P66;
  if (peek(r, 0) >> 4 == 4) {
    in->w = peek(r, 0) >> 3 & 1;
    r->at++;
  }
}

static bool read_vex(reader *r, insn *in) {
  const bool three = peek(r, 0) == 0xc4;
  const uint8_t last = peek(r, three ? 2 : 1);
  in->space = VEX;
  in->map = three ? peek(r, 1) & 31 : 1;
  in->w = three && last >> 7;
  in->length = last >> 2 & 1;
  in->prefix = prefix_of(last & 3);
  return skip(r, three ? 3 : 2);
}

static bool read_evex(reader *r, insn *in) {
  const uint8_t p1 = peek(r, 2), p2 = peek(r, 3);
  in->space = EVEX;
  in->map = peek(r, 1) & 15;
  in->w = p1 >> 7;
  in->prefix = prefix_of(p1 & 3);
  in->length = p2 >> 5 & 3;
  in->round = p2 >> 4 & 1;
  return skip(r, 4);
}

static bool read_legacy(reader *r, insn *in) {
  if (peek(r, 0) != 0x0f)
    return true;
  in->map = peek(r, 1) == 0x38 ? 2 : peek(r, 1) == 0x3a ? 3 : 1;
  return skip(r, in->map == 1 ? 1 : 2);
}

static bool in(uint8_t op, uint8_t from, uint8_t to) {
  return from <= op && op <= to;
}

static bool has_modrm(const insn *i) {
  const uint8_t op = i->opcode;
  if (i->map == 0)
    return (op < 0x40 && (op & 7) < 4) || op == 0x63 || op == 0x69 || op == 0x6b ||
           in(op, 0x80, 0x8f) || in(op, 0xc0, 0xc1) || in(op, 0xc6, 0xc7) || in(op, 0xd0, 0xd3) ||
           in(op, 0xd8, 0xdf) || in(op, 0xf6, 0xf7) || op >= 0xfe;
  if (i->map == 1 && i->space == LEGACY)
    return !(op < 0x0c || in(op, 0x30, 0x37) || op == 0x77 || in(op, 0x80, 0x8f) ||
             in(op, 0xa0, 0xa2) || in(op, 0xa8, 0xaa) || in(op, 0xc8, 0xcf));
  return i->map != 1 || op != 0x77;  // vzeroupper
}

// Bytes of the constant behind the operands.
static size_t constant_bytes(const insn *i, bool narrow, uint8_t modrm) {
  const uint8_t op = i->opcode;
  const size_t word = narrow && !i->w ? 2 : 4;
  if (i->map == 3)
    return 1;
  if (i->map == 1)
    return in(op, 0x70, 0x73) || op == 0xc2 || in(op, 0xc4, 0xc6)           ? 1
           : i->space == LEGACY && (op == 0xa4 || op == 0xac || op == 0xba) ? 1
           : i->space == LEGACY && in(op, 0x80, 0x8f)                       ? 4
                                                                            : 0;
  if (i->map != 0)
    return 0;
  if (in(op, 0xb8, 0xbf))
    return i->w ? 8 : word;
  if (op == 0xf6 || op == 0xf7)
    return (modrm >> 3 & 7) > 1 ? 0 : op == 0xf6 ? 1 : word;
  if (in(op, 0xe8, 0xe9))
    return 4;
  if ((op < 0x40 && (op & 7) == 5) || op == 0x68 || op == 0x69 || op == 0x81 || op == 0xa9 ||
      op == 0xc7)
    return word;
  if (op == 0xc2)
    return 2;
  return (op < 0x40 && (op & 7) == 4) || in(op, 0x6a, 0x6b) || in(op, 0x70, 0x80) ||
                 in(op, 0x82, 0x83) || op == 0xa8 || in(op, 0xb0, 0xb7) || in(op, 0xc0, 0xc1) ||
                 op == 0xc6 || in(op, 0xe0, 0xe7) || op == 0xeb
             ? 1
             : 0;
}

// ModRM, SIB and displacement.
static bool read_operands(reader *r, insn *i, uint8_t *modrm) {
  *modrm = peek(r, 0);
  const unsigned mod = *modrm >> 6, rm = *modrm & 7;
  i->reg = mod == 3;
  if (!skip(r, 1) || mod == 3)
    return i->reg;
  unsigned base = rm;
  if (rm == 4) {
    base = peek(r, 0) & 7;
    if (!skip(r, 1))
      return false;
  }
  return skip(r, mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0);
}

// One instruction; false if it is cut short or of a kind that the kernels do not have (far jumps,
// moves of absolute addresses, ENTER).
static bool read_insn(reader *r, insn *i) {
  bool narrow = false;
  uint8_t modrm = 0;
  *i = (insn){.space = LEGACY};
  read_prefixes(r, i, &narrow);
  const uint8_t lead = peek(r, 0);
  const bool ok = lead == 0xc4 || lead == 0xc5 ? read_vex(r, i)
                  : lead == 0x62               ? read_evex(r, i)
                                               : read_legacy(r, i);
  i->opcode = peek(r, 0);
  if (!ok || !skip(r, 1))
    return false;
  if (i->map == 0 && (in(i->opcode, 0xa0, 0xa3) || i->opcode == 0xc8 || i->opcode == 0x8f))
    return false;
  if (has_modrm(i) && !read_operands(r, i, &modrm))
    return false;
  return skip(r, constant_bytes(i, narrow, modrm));
}

//===-- Classes ---------------------------------------------------------===//

static bool fits(const row *r, const insn *i, uint64_t has) {
  if (r->space != i->space || r->map != i->map || !(r->prefix & i->prefix) ||
      !in(i->opcode, r->from, r->to))
    return false;
  switch (r->when) {
  case W0: return !i->w;
  case W1: return i->w;
  case L1: return i->length == 1;
  case REG: return i->reg;
  case HAS: return has >> r->feature & 1;
  default: return true;
  }
}

static bool find(const insn *i, uint64_t has, uint64_t *set) {
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
    if (fits(&rows[k], i, has)) {
      if (rows[k].feature != F_BASE)
        *set |= 1ull << rows[k].feature;
      if (i->space == EVEX)
        *set |= 1ull << F_avx512f;
      else if (rows[k].vector)
        *set |= 1ull << F_avx;
      // Of instructions that round as they say, the length means that.
      if (i->space == EVEX && rows[k].vector && i->length < 2 && !(i->round && i->reg))
        *set |= 1ull << F_avx512vl;
      return true;
    }
  return false;
}

bool llvm_uses_x86_64(const uint8_t *code, size_t size, uint64_t has, uint64_t *set) {
  reader r = {code, code + size};
  insn i;
  while (r.at < r.end)
    if (!read_insn(&r, &i) || !find(&i, has, set))
      return false;
  return true;
}
