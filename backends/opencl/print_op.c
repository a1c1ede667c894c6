// SPDX-License-Identifier: Apache-2.0
// Primitives, conversions and reductions as OpenCL C expressions.
//
// Signed overflow is undefined in C, so wrapping arithmetic is done unsigned.
// A vector comparison gives 0 or -1 in integers of the operand's size; bool
// values are made from it by negation.
#include <inttypes.h>
#include <stdio.h>

#include "print.h"

#define NONE FV_K_NONE

static void operand(printer *p, uint32_t v, const piece *at) {
  print_value(p, v, at->index);
}

// name or name<width>
static void sized(printer *p, const char *name, int width) {
  text_puts(p->out, name);
  if (width > 1)
    text_printf(p->out, "%d", width);
}

static void binary(printer *p, const fv_kinst *in, const piece *at, const char *op) {
  operand(p, in->a, at);
  text_puts(p->out, op);
  operand(p, in->b, at);
}

static void call(printer *p, const char *name, const fv_kinst *in, const piece *at) {
  text_printf(p->out, "%s(", name);
  operand(p, in->a, at);
  if (in->b != NONE) {
    text_puts(p->out, ", ");
    operand(p, in->b, at);
  }
  text_puts(p->out, ")");
}

static int operand_type(const printer *p, const fv_kinst *in) {
  return p->k->inst[in->a].dtype;
}

//===-- Integers ------------------------------------------------------------------===//

// (T)((U)a op (U)b), where U does not promote to int.
static void wrapping(printer *p, const fv_kinst *in, const piece *at, const char *op) {
  const int t = in->dtype;
  if (t == FV_bool && at->width == 1) {
    text_puts(p->out, "(uchar)((");
    binary(p, in, at, op);
    text_puts(p->out, ") != 0)");
    return;
  }
  if (t == FV_bool) {
    text_printf(p->out, "convert_uchar%d(-((", at->width);
    binary(p, in, at, op);
    text_puts(p->out, ") != (uchar)0))");
    return;
  }
  const char *wide = t == FV_i64 ? "ulong" : "uint";
  if (at->width == 1) {
    text_printf(p->out, "(%s)((%s)", type_name(t), wide);
    operand(p, in->a, at);
    text_printf(p->out, "%s(%s)", op, wide);
    operand(p, in->b, at);
    text_puts(p->out, ")");
    return;
  }
  text_printf(p->out, "as_%s%d(as_%s%d(", type_name(t), at->width, unsigned_name(t), at->width);
  operand(p, in->a, at);
  text_printf(p->out, ")%sas_%s%d(", op, unsigned_name(t), at->width);
  operand(p, in->b, at);
  text_puts(p->out, "))");
}

// Bits of the amount beyond the type's width do not count.
static void shift(printer *p, const fv_kinst *in, const piece *at, bool left) {
  const int t = in->dtype;
  const int mask = 8 * (t == FV_i64 ? 8 : t == FV_i32 ? 4 : t == FV_i16 ? 2 : 1) - 1;
  const char *name = left ? unsigned_name(t) : type_name(t);
  text_printf(p->out, at->width > 1 ? "as_%s%d(" : "(%s)(", type_name(t), at->width);
  if (left && at->width == 1)
    text_printf(p->out, "(%s)", t == FV_i64 ? "ulong" : "uint");
  else if (left)
    text_printf(p->out, "as_%s%d(", name, at->width);
  operand(p, in->a, at);
  if (left && at->width > 1)
    text_puts(p->out, ")");
  text_puts(p->out, left ? " << " : " >> ");
  if (at->width > 1)
    text_printf(p->out, "as_%s%d(", name, at->width);
  text_puts(p->out, "(");
  operand(p, in->b, at);
  text_printf(p->out, " & (%s)%d)", type_name(t), mask);
  text_puts(p->out, at->width > 1 ? "))" : ")");
}

// Lane by lane: hardware has no vector division, and a divisor of 0 or -1
// must not trap.
static void divide(printer *p, const fv_kinst *in, const piece *at, const char *name) {
  p->need->divide[in->dtype] = true;
  if (at->width > 1)
    text_printf(p->out, "(%s%d)(", type_name(in->dtype), at->width);
  for (int i = 0; i < at->width; i++) {
    text_printf(p->out, "%sfv_%s_%s(", i ? ", " : "", name, type_name(in->dtype));
    operand(p, in->a, at);
    if (at->width > 1)
      text_printf(p->out, ".s%x", (unsigned)i);
    text_puts(p->out, ", ");
    operand(p, in->b, at);
    if (at->width > 1)
      text_printf(p->out, ".s%x", (unsigned)i);
    text_puts(p->out, ")");
  }
  if (at->width > 1)
    text_puts(p->out, ")");
}

static void negate(printer *p, const fv_kinst *in, const piece *at) {
  const int t = in->dtype;
  if (t == FV_bool) {
    operand(p, in->a, at);
  } else if (at->width > 1) {
    text_printf(p->out, "as_%s%d(-as_%s%d(", type_name(t), at->width, unsigned_name(t), at->width);
    operand(p, in->a, at);
    text_puts(p->out, "))");
  } else {
    text_printf(p->out, "(%s)(0 - (%s)", type_name(t), t == FV_i64 ? "ulong" : "uint");
    operand(p, in->a, at);
    text_puts(p->out, ")");
  }
}

static void invert(printer *p, const fv_kinst *in, const piece *at) {
  if (at->width == 1)
    text_printf(p->out, "(%s)", type_name(in->dtype));
  text_puts(p->out, in->dtype == FV_bool ? "(" : "(~");
  operand(p, in->a, at);
  text_puts(p->out, in->dtype == FV_bool ? " ^ (uchar)1)" : ")");
}

static void print_int_op(printer *p, const fv_kinst *in, const piece *at) {
  switch ((fv_scalar_op)in->xop) {
  case FV_X_ADD: wrapping(p, in, at, " + "); break;
  case FV_X_SUB: wrapping(p, in, at, " - "); break;
  case FV_X_MUL: wrapping(p, in, at, " * "); break;
  case FV_X_DIV: divide(p, in, at, "div"); break;
  case FV_X_FLOORDIV: divide(p, in, at, "floordiv"); break;
  case FV_X_MOD: divide(p, in, at, "mod"); break;
  case FV_X_MAX: call(p, "max", in, at); break;
  case FV_X_MIN: call(p, "min", in, at); break;
  case FV_X_AND: binary(p, in, at, " & "); break;
  case FV_X_OR: binary(p, in, at, " | "); break;
  case FV_X_XOR: binary(p, in, at, " ^ "); break;
  case FV_X_SHL: shift(p, in, at, true); break;
  case FV_X_SHR: shift(p, in, at, false); break;
  case FV_X_NEG: negate(p, in, at); break;
  case FV_X_NOT: invert(p, in, at); break;
  case FV_X_ABS:
    text_puts(p->out, "as_");
    sized(p, type_name(in->dtype), at->width);
    text_puts(p->out, "(");
    call(p, "abs", in, at);
    text_puts(p->out, ")");
    break;
  case FV_X_FLOOR:
  case FV_X_CEIL:
  case FV_X_ROUND: operand(p, in->a, at); break;
  default: p->unsupported = "a primitive that has no meaning for integers"; break;
  }
}

//===-- Floats --------------------------------------------------------------------===//

// a > b || a is NaN ? a : b
static void extreme(printer *p, const fv_kinst *in, const piece *at, const char *op) {
  if (at->width > 1) {
    text_puts(p->out, "select(");
    operand(p, in->b, at);
    text_puts(p->out, ", ");
    operand(p, in->a, at);
    text_puts(p->out, ", (");
  } else {
    text_puts(p->out, "(");
  }
  binary(p, in, at, op);
  text_puts(p->out, at->width > 1 ? ") | (" : " || ");
  operand(p, in->a, at);
  text_puts(p->out, " != ");
  operand(p, in->a, at);
  if (at->width > 1) {
    text_puts(p->out, "))");
    return;
  }
  text_puts(p->out, ") ? ");
  operand(p, in->a, at);
  text_puts(p->out, " : ");
  operand(p, in->b, at);
}

static void print_mad(printer *p, const fv_kinst *in, const piece *at) {
  const bool f64 = in->dtype == FV_f64;
  if (f64)
    p->need->mad64 = true;
  else
    p->need->mad32 = true;
  text_puts(p->out, f64 ? "FV_MAD64(" : "FV_MAD32(");
  operand(p, in->a, at);
  text_puts(p->out, ", ");
  operand(p, in->b, at);
  text_puts(p->out, ", ");
  operand(p, in->c, at);
  text_puts(p->out, ")");
}

static void print_float_op(printer *p, const fv_kinst *in, const piece *at) {
  switch ((fv_scalar_op)in->xop) {
  case FV_X_ADD: binary(p, in, at, " + "); break;
  case FV_X_SUB: binary(p, in, at, " - "); break;
  case FV_X_MUL: binary(p, in, at, " * "); break;
  case FV_X_DIV: binary(p, in, at, " / "); break;
  case FV_X_MAX: extreme(p, in, at, " > "); break;
  case FV_X_MIN: extreme(p, in, at, " < "); break;
  case FV_X_MAD: print_mad(p, in, at); break;
  case FV_X_NEG:
    text_puts(p->out, "-");
    operand(p, in->a, at);
    break;
  case FV_X_ABS: call(p, "fabs", in, at); break;
  case FV_X_SQRT: call(p, "sqrt", in, at); break;
  case FV_X_FLOOR: call(p, "floor", in, at); break;
  case FV_X_CEIL: call(p, "ceil", in, at); break;
  case FV_X_ROUND: call(p, "rint", in, at); break;
  default: p->unsupported = "a primitive that was not expanded to arithmetic"; break;
  }
}

//===-- Truth ---------------------------------------------------------------------===//

static void compare(printer *p, const fv_kinst *in, const piece *at) {
  static const char *const sign[FV_X_COUNT] = {
      [FV_X_EQ] = " == ", [FV_X_NE] = " != ", [FV_X_LT] = " < ", [FV_X_LE] = " <= "};
  text_printf(p->out, at->width > 1 ? "convert_uchar%d(-(" : "(uchar)((", at->width);
  if (in->xop == FV_X_IS_NAN) {
    operand(p, in->a, at);
    text_puts(p->out, " != ");
    operand(p, in->a, at);
  } else {
    binary(p, in, at, sign[in->xop]);
  }
  text_puts(p->out, "))");
}

static void print_select(printer *p, const fv_kinst *in, const piece *at) {
  if (at->width == 1) {
    operand(p, in->a, at);
    text_puts(p->out, " ? ");
    operand(p, in->b, at);
    text_puts(p->out, " : ");
    operand(p, in->c, at);
    return;
  }
  text_puts(p->out, "select(");
  operand(p, in->c, at);
  text_puts(p->out, ", ");
  operand(p, in->b, at);
  text_printf(p->out, ", -convert_%s%d(", signed_name(in->dtype), at->width);
  operand(p, in->a, at);
  text_puts(p->out, "))");
}

void print_op(printer *p, const fv_kinst *in, const piece *at) {
  const int t = operand_type(p, in);
  switch ((fv_scalar_op)in->xop) {
  case FV_X_SELECT: print_select(p, in, at); break;
  case FV_X_IS_NAN:
  case FV_X_EQ:
  case FV_X_NE:
  case FV_X_LT:
  case FV_X_LE: compare(p, in, at); break;
  default:
    if (is_float(t))
      print_float_op(p, in, at);
    else
      print_int_op(p, in, at);
    break;
  }
}

//===-- Conversions ---------------------------------------------------------------===//

// From f32 or, without a second rounding, from what else is wider.
static void to_bits(printer *p, const fv_kinst *in, const piece *at) {
  const int from = operand_type(p, in);
  const int w = width_index(at->width);
  const bool half = in->dtype == FV_f16;
  if (!half && from != FV_f32 && from != FV_f16) {  // lane by lane
    const bool f64 = from == FV_f64;
    p->need->bfloat[0] = true;
    if (f64)
      p->need->bfloat_from_double = true;
    else
      p->need->bfloat_from_wide = true;
    if (at->width > 1)
      text_printf(p->out, "(ushort%d)(", at->width);
    for (int i = 0; i < at->width; i++) {
      text_printf(p->out, "%s%s(", i ? ", " : "", f64 ? "fv_bfloat_double" : "fv_bfloat_long");
      operand(p, in->a, at);
      if (at->width > 1)
        text_printf(p->out, ".s%x", (unsigned)i);
      text_puts(p->out, ")");
    }
    text_puts(p->out, at->width > 1 ? ")" : "");
    return;
  }
  if (half && from == FV_f64) {
    p->need->half_from_double[w] = true;
    text_printf(p->out, "fv_half_double%d(", at->width);
    operand(p, in->a, at);
    text_puts(p->out, ")");
    return;
  }
  (half ? p->need->half : p->need->bfloat)[w] = true;
  text_printf(p->out, half ? "fv_half%d(" : "fv_bfloat%d(", at->width);
  if (is_bits(from)) {
    (from == FV_f16 ? p->need->half : p->need->bfloat)[w] = true;
    text_printf(p->out, from == FV_f16 ? "fv_from_half%d(" : "fv_from_bfloat%d(", at->width);
    operand(p, in->a, at);
    text_puts(p->out, ")");
  } else if (from == FV_f32) {
    operand(p, in->a, at);
  } else {
    text_puts(p->out, "convert_");
    sized(p, "float", at->width);
    text_puts(p->out, "(");
    operand(p, in->a, at);
    text_puts(p->out, ")");
  }
  text_puts(p->out, ")");
}

// The operand as f32 if it is stored as bits, else itself.
static void widened(printer *p, const fv_kinst *in, const piece *at) {
  const int from = operand_type(p, in);
  if (!is_bits(from)) {
    operand(p, in->a, at);
    return;
  }
  (from == FV_f16 ? p->need->half : p->need->bfloat)[width_index(at->width)] = true;
  text_printf(p->out, from == FV_f16 ? "fv_from_half%d(" : "fv_from_bfloat%d(", at->width);
  operand(p, in->a, at);
  text_puts(p->out, ")");
}

static void to_bool(printer *p, const fv_kinst *in, const piece *at) {
  const int from = operand_type(p, in);
  const char *zero = is_bits(from) ? "float" : type_name(from);
  text_printf(p->out, at->width > 1 ? "convert_uchar%d(-(" : "(uchar)((", at->width);
  widened(p, in, at);
  text_printf(p->out, " != (%s)0))", zero);
}

// Saturating; NaN gives 0.
static void float_to_int(printer *p, const fv_kinst *in, const piece *at) {
  const bool f64 = operand_type(p, in) == FV_f64;
  text_puts(p->out, "convert_");
  sized(p, type_name(in->dtype), at->width);
  text_puts(p->out, "_sat(");
  if (at->width > 1) {
    text_puts(p->out, "select((");
    sized(p, f64 ? "double" : "float", at->width);
    text_puts(p->out, ")(0), ");
    widened(p, in, at);
    text_puts(p->out, ", ");
  }
  widened(p, in, at);
  text_puts(p->out, " == ");
  widened(p, in, at);
  if (at->width > 1) {
    text_puts(p->out, "))");
    return;
  }
  text_puts(p->out, " ? ");
  widened(p, in, at);
  text_puts(p->out, f64 ? " : 0.0)" : " : 0.0f)");
}

void print_cast(printer *p, const fv_kinst *in, const piece *at) {
  const int from = operand_type(p, in), to = in->dtype;
  if (is_bits(to)) {
    to_bits(p, in, at);
  } else if (to == FV_bool) {
    to_bool(p, in, at);
  } else if (!is_float(to) && (is_float(from) || is_bits(from))) {
    float_to_int(p, in, at);
  } else {
    text_puts(p->out, "convert_");
    sized(p, type_name(to), at->width);
    text_puts(p->out, is_float(to) || from == FV_bool ? "(" : "_sat(");
    widened(p, in, at);
    text_puts(p->out, ")");
  }
}

void print_bitcast(printer *p, const fv_kinst *in, const piece *at) {
  if (in->dtype == FV_bool) {
    to_bool(p, in, at);
    return;
  }
  text_puts(p->out, "as_");
  sized(p, type_name(in->dtype), at->width);
  text_puts(p->out, "(");
  operand(p, in->a, at);
  text_puts(p->out, ")");
}

//===-- Reductions ----------------------------------------------------------------===//

// One level of the tree: a temporary from two others. `lower` and `upper` are
// printed as they are.
static void print_level(printer *p, const fv_kinst *in, int width, const char *result,
                        const char *lower, const char *upper) {
  text *t = p->out;
  const char *type = type_name(in->dtype);
  text_printf(t, "const %s", type);
  if (width > 1)
    text_printf(t, "%d", width);
  text_printf(t, " %s = ", result);
  const bool f = is_float(in->dtype);
  switch ((fv_scalar_op)in->xop) {
  case FV_X_MAX:
  case FV_X_MIN: {
    const bool max = in->xop == FV_X_MAX;
    if (!f)
      text_printf(t, "%s(%s, %s)", max ? "max" : "min", lower, upper);
    else if (width > 1)
      text_printf(t, "select(%s, %s, (%s %s %s) | (%s != %s))", upper, lower, lower,
                  max ? ">" : "<", upper, lower, lower);
    else
      text_printf(t, "(%s %s %s || %s != %s) ? %s : %s", lower, max ? ">" : "<", upper, lower,
                  lower, lower, upper);
    break;
  }
  case FV_X_AND: text_printf(t, "%s & %s", lower, upper); break;
  case FV_X_OR: text_printf(t, "%s | %s", lower, upper); break;
  default: {
    const char *op = in->xop == FV_X_MUL ? "*" : "+";
    if (f)
      text_printf(t, "%s %s %s", lower, op, upper);
    else if (width > 1)
      text_printf(t, "as_%s%d(as_%s%d(%s) %s as_%s%d(%s))", type, width, unsigned_name(in->dtype),
                  width, lower, op, unsigned_name(in->dtype), width, upper);
    else
      text_printf(t, "(%s)((%s)%s %s (%s)%s)", type, in->dtype == FV_i64 ? "ulong" : "uint", lower,
                  op, in->dtype == FV_i64 ? "ulong" : "uint", upper);
    break;
  }
  }
  text_puts(t, "; ");
}

#define TEMP "t%" PRIu32 "_%d_%d"

// Lane i with lane i + n/2: first whole pieces, then halves of the last.
void print_reduce(printer *p, uint32_t number, const fv_kinst *in) {
  const int lanes = p->k->inst[in->a].lanes;
  char result[48], lower[56], upper[56];
  piece at;
  int level = 0;
  piece_at(lanes, 0, &at);
  int pieces = at.count;
  for (int i = 0; piece_at(lanes, i, &at); i++) {
    text_puts(p->out, "const ");
    print_type(p, in->dtype, at.width);
    text_printf(p->out, " " TEMP " = ", number, level, i);
    print_value(p, in->a, i);
    text_puts(p->out, "; ");
  }
  int width = at.width;
  for (; pieces > 1; level++) {
    pieces /= 2;
    for (int i = 0; i < pieces; i++) {
      snprintf(result, sizeof result, TEMP, number, level + 1, i);
      snprintf(lower, sizeof lower, TEMP, number, level, i);
      snprintf(upper, sizeof upper, TEMP, number, level, i + pieces);
      print_level(p, in, width, result, lower, upper);
    }
  }
  for (; width > 1; level++) {
    width /= 2;
    snprintf(result, sizeof result, TEMP, number, level + 1, 0);
    snprintf(lower, sizeof lower, TEMP ".lo", number, level, 0);
    snprintf(upper, sizeof upper, TEMP ".hi", number, level, 0);
    print_level(p, in, width, result, lower, upper);
  }
  text_printf(p->out, "const %s v%" PRIu32 " = " TEMP ";\n", type_name(in->dtype), number, number,
              level, 0);
}
