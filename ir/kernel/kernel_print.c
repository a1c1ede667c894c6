// SPDX-License-Identifier: Apache-2.0
// Kernel IR as text, for people: one instruction a line, bodies indented.
#include <inttypes.h>

#include "ir/kernel/kernel_build.h"

static const char *const kop_name[FV_K_COUNT] = {
#define X(id, name) name,
    FV_KOP_TABLE(X)
#undef X
};

const char *fv_kop_name(fv_kop op) {
  return op < FV_K_COUNT ? kop_name[op] : "?";
}

static void print_type(fv_str *s, int dtype, int lanes) {
  fv_str_puts(s, fv_dtype_name((fv_dtype)dtype));
  if (lanes > 1)
    fv_str_printf(s, "x%d", lanes);
}

static void print_operand(fv_str *s, const char *before, uint32_t v) {
  if (v != FV_K_NONE)
    fv_str_printf(s, "%s%%%" PRIu32, before, v);
}

static void print_const(fv_str *s, const fv_kinst *in) {
  fv_str_puts(s, " ");
  if (fv_dtype_is_float((fv_dtype)in->dtype))
    fv_str_double(s, in->imm.f);
  else
    fv_str_printf(s, "%" PRId64, in->imm.i);
}

static void print_memory(fv_str *s, const fv_kinst *in) {
  const bool each = in->op == FV_K_GATHER || in->op == FV_K_SCATTER;
  const bool store = in->op == FV_K_STORE || in->op == FV_K_SCATTER;
  fv_str_printf(s, " b%d[%%%" PRIu32 "]", in->buf, in->a);
  if (store)
    print_operand(s, " = ", in->b);
  print_operand(s, each ? " where " : " count ", store ? in->c : in->b);
}

// What follows name and type.
static void print_rest(fv_str *s, const fv_kinst *in) {
  switch ((fv_kop)in->op) {
  case FV_K_CONST: print_const(s, in); break;
  case FV_K_SCALAR: fv_str_printf(s, " s%" PRId64, in->imm.i); break;
  case FV_K_RAMP:
    print_operand(s, " ", in->a);
    fv_str_printf(s, " step %" PRId64, in->imm.i);
    break;
  case FV_K_LOAD:
  case FV_K_GATHER:
  case FV_K_STORE:
  case FV_K_SCATTER:
  case FV_K_PREFETCH: print_memory(s, in); break;
  case FV_K_EXTRACT:
    print_operand(s, " ", in->a);
    fv_str_printf(s, " lane %" PRId64, in->imm.i);
    break;
  case FV_K_SET:
    print_operand(s, " ", in->a);
    print_operand(s, " = ", in->b);
    break;
  case FV_K_FOR:
    print_operand(s, " ", in->a);
    print_operand(s, " to ", in->b);
    fv_str_printf(s, " step %" PRId64, in->imm.i);
    break;
  case FV_K_CHECK:
    print_operand(s, " ", in->a);
    fv_str_printf(s, " site %" PRId64, in->imm.i);
    break;
  default:
    print_operand(s, " ", in->a);
    print_operand(s, ", ", in->b);
    print_operand(s, ", ", in->c);
    break;
  }
}

static bool is_statement(const fv_kinst *in) {
  switch (in->op) {
  case FV_K_STORE:
  case FV_K_SCATTER:
  case FV_K_SET:
  case FV_K_IF:
  case FV_K_ELSE:
  case FV_K_END:
  case FV_K_CHECK:
  case FV_K_PREFETCH:
  case FV_K_BARRIER: return true;
  default: return false;
  }
}

static void print_inst(fv_str *s, uint32_t number, const fv_kinst *in) {
  if (!is_statement(in))
    fv_str_printf(s, "%%%" PRIu32 " = ", number);
  if (in->op == FV_K_OP)
    fv_str_puts(s, fv_scalar_name((fv_scalar_op)in->xop));
  else
    fv_str_puts(s, fv_kop_name((fv_kop)in->op));
  if (in->op == FV_K_REDUCE)
    fv_str_printf(s, " %s", fv_scalar_name((fv_scalar_op)in->xop));
  if (in->op == FV_K_STORE || in->op == FV_K_SCATTER || !is_statement(in)) {
    fv_str_puts(s, " ");
    print_type(s, in->dtype, in->lanes);
  }
  print_rest(s, in);
  fv_str_puts(s, "\n");
}

static void print_head(const fv_kernel_code *k, fv_str *s) {
  fv_str_printf(s, "kernel %s(", k->name);
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    const fv_kbuffer *b = &k->buffer[i];
    fv_str_printf(s, "%sb%" PRIu32 ": %s", i ? ", " : "", i, fv_dtype_name((fv_dtype)b->dtype));
    if (b->scope == FV_SCOPE_GROUP)
      fv_str_printf(s, " group at s%" PRIu32, b->offset_scalar);
    else if (b->written)
      fv_str_puts(s, " written");
    if (b->aliases)
      fv_str_puts(s, " aliases");
  }
  if (k->n_scalar)
    fv_str_printf(s, "%ss0..s%" PRIu32, k->n_buffer ? ", " : "", k->n_scalar - 1);
  fv_str_puts(s, ")");
  if (k->n_item > 1)
    fv_str_printf(s, " of %" PRIu32 " items", k->n_item);
  fv_str_puts(s, " {\n");
}

void fv_kernel_print(const fv_kernel_code *k, fv_str *out) {
  print_head(k, out);
  int depth = 1;
  for (uint32_t i = 0; i < k->n_inst; i++) {
    const fv_kinst *in = &k->inst[i];
    const bool closes = in->op == FV_K_ELSE || in->op == FV_K_END;
    if (closes && depth > 1)
      depth--;
    for (int d = 0; d < depth; d++)
      fv_str_puts(out, "  ");
    print_inst(out, i, in);
    if (in->op == FV_K_FOR || in->op == FV_K_IF || in->op == FV_K_ELSE)
      depth++;
  }
  fv_str_puts(out, "}\n");
}
