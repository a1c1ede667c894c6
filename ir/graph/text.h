// SPDX-License-Identifier: Apache-2.0
// ir/graph/text.h - inside of the text form: what text_*.c share.
//
//   fovea 1
//   module "name"
//   unproved check
//   symbol B dim 1..64
//   let $0 = max(S-2, 0)+64
//   state "cache" members 12 axis 1 length past : f32[B, 512, 64]
//   verify "main" "golden.safetensors" 1e-05
//
//   graph "main" {
//     input "x" %x : f32[B, 4]
//     require B <= 2*S "slice"
//     %w = constant <f32[4, 768] @"layer.weight":0123456789abcdef>() : f32[4, 768]
//     %0 = matmul(%x, %w) : f32[B, 768]
//     %y = loop(%0) {trips = 3, counter = 1} : f32[B, 768] do {
//       param %a : f32[B, 768]
//       %b = relu(%a) : f32[B, 768]
//       yield %b
//     }
//     %z = if(%c) : f32[B, 768] do {
//       yield %w
//     } else {
//       yield %y
//     }
//     output "y" %y
//     advance past = past+1
//   }
//
// Values without a name are numbered in the order of the text; '_' is an absent
// operand; attributes at their default are left out; '#' begins a comment. A `let` names a
// part of expressions, so that what they share is written once; numbers count from 0.
#ifndef FOVEA_IR_GRAPH_TEXT_H_
#define FOVEA_IR_GRAPH_TEXT_H_

#include "ir/graph/graph.h"

enum { FV_TEXT_INLINE = 16 };  // elements of a named tensor that are printed

// May s stand without quotes? Letters, digits, '_' and '.', no digit first.
bool fv_text_is_word(const char *s);
extern const char *const fv_symbol_kind_name[4];

//===-- Reading ---------------------------------------------------------===//

typedef struct fv_text_reader {
  fv_arena *arena;
  const char *file, *text;
  size_t size, at;
  size_t line_at;  // how far lines are counted
  uint32_t line;   // the line of line_at
  size_t line_begin;
  fv_diag_sink *diag;
  fv_module *m;
  const fv_tensor *(*weights)(void *user, const char *name);
  void *user;
  const fv_expr **let;
  size_t n_let, cap_let;
} fv_text_reader;

const fv_span *fv_tr_span(fv_text_reader *r, size_t at);
fv_status fv_tr_fail(fv_text_reader *r, size_t at, fv_status code, const char *fmt, ...)
    FV_PRINTF(4, 5);
void fv_tr_skip(fv_text_reader *r);         // blanks, line ends, comments
bool fv_tr_eat(fv_text_reader *r, char c);  // skips first
bool fv_tr_eat_word(fv_text_reader *r, const char *word);
FV_NODISCARD fv_status fv_tr_want(fv_text_reader *r, char c);
FV_NODISCARD fv_status fv_tr_want_word(fv_text_reader *r, const char *word);
FV_NODISCARD fv_status fv_tr_word(fv_text_reader *r, const char **out);    // letters, digits, _ .
FV_NODISCARD fv_status fv_tr_name(fv_text_reader *r, const char **out);    // word or `quoted`
FV_NODISCARD fv_status fv_tr_string(fv_text_reader *r, const char **out);  // "with escapes"
FV_NODISCARD fv_status fv_tr_int(fv_text_reader *r, int64_t lo, int64_t hi, int64_t *out);
FV_NODISCARD fv_status fv_tr_double(fv_text_reader *r, double *out);
// Where the text of an expression or attribute ends: at one of `stops` outside
// brackets.
size_t fv_tr_extent(const fv_text_reader *r, const char *stops);
FV_NODISCARD fv_status fv_tr_expr(fv_text_reader *r, const char *stops, const fv_expr **out);
const fv_expr *fv_tr_let(void *reader, const char *name, size_t n);  // "$0"; for the parsers
FV_NODISCARD fv_status fv_tr_symbol(fv_text_reader *r, uint32_t *out);
FV_NODISCARD fv_status fv_tr_type(fv_text_reader *r, fv_type *out);

//===-- Constants (text_data.c) -----------------------------------------===//

void fv_text_print_tensor(fv_str *out, const fv_tensor *t);
FV_NODISCARD fv_status fv_tr_tensor(fv_text_reader *r, const fv_tensor **out);

#endif  // FOVEA_IR_GRAPH_TEXT_H_
