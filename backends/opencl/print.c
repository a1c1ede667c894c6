// SPDX-License-Identifier: Apache-2.0
// The frame of a printed kernel: parameters, statements, memory, structure.
#include "print.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define NONE FV_K_NONE

//===-- Types and values ----------------------------------------------------------===//

static const struct {
  const char *name, *as_unsigned, *as_signed;
} type_row[FV_DTYPE_COUNT] = {
    [FV_f32] = {"float", "uint", "int"},      [FV_f64] = {"double", "ulong", "long"},
    [FV_f16] = {"ushort", "ushort", "short"}, [FV_bf16] = {"ushort", "ushort", "short"},
    [FV_i8] = {"char", "uchar", "char"},      [FV_u8] = {"uchar", "uchar", "char"},
    [FV_i16] = {"short", "ushort", "short"},  [FV_i32] = {"int", "uint", "int"},
    [FV_i64] = {"long", "ulong", "long"},     [FV_bool] = {"uchar", "uchar", "char"},
};

const char *type_name(int dtype) {
  return type_row[dtype].name;
}
const char *unsigned_name(int dtype) {
  return type_row[dtype].as_unsigned;
}
const char *signed_name(int dtype) {
  return type_row[dtype].as_signed;
}
bool is_float(int dtype) {
  return dtype == FV_f32 || dtype == FV_f64;
}
bool is_bits(int dtype) {
  return dtype == FV_f16 || dtype == FV_bf16;
}

bool piece_at(int lanes, int i, piece *out) {
  const int whole = lanes / MAX_WIDTH;
  const int rest = lanes % MAX_WIDTH;
  out->index = i;
  out->count = whole + __builtin_popcount((unsigned)rest);
  out->start = 0;
  for (int n = 0; out->start < lanes; n++) {
    const int left = lanes - out->start;
    out->width = MAX_WIDTH;
    while (out->width > left)
      out->width /= 2;
    if (n == i)
      return true;
    out->start += out->width;
  }
  return false;
}

static void print_type_to(text *t, int dtype, int width) {
  text_puts(t, type_name(dtype));
  if (width > 1)
    text_printf(t, "%d", width);
}

void print_type(printer *p, int dtype, int width) {
  print_type_to(p->out, dtype, width);
}

void print_value(printer *p, uint32_t v, int piece_index) {
  const int lanes = p->k->inst[v].lanes;
  piece at;
  text_printf(p->out, "v%" PRIu32, v);
  if (piece_at(lanes, 0, &at) && at.count > 1)
    text_printf(p->out, "_%d", piece_index);
}

// A lane of a vector piece, or the scalar itself.
static void print_lane(printer *p, uint32_t v, const piece *at, int lane) {
  print_value(p, v, at->index);
  if (at->width > 1)
    text_printf(p->out, ".s%x", (unsigned)lane);
}

static void indent(printer *p) {
  for (int i = 0; i < p->depth; i++)
    text_puts(p->out, "  ");
}

//===-- Constants -----------------------------------------------------------------===//

// v is a value of the format already.
static unsigned half_bits(double v) {
  const unsigned sign = signbit(v) ? 0x8000u : 0;
  int e;
  if (isnan(v))
    return sign | 0x7e00u;
  if (isinf(v))
    return sign | 0x7c00u;
  const double m = frexp(fabs(v), &e);  // [1/2, 1)
  if (v == 0 || e < -13)
    return sign | (unsigned)ldexp(fabs(v), 24);
  return sign | (((unsigned)(e + 14) << 10) + ((unsigned)ldexp(m, 11) & 0x3ffu));
}

static void print_float(text *t, int dtype, double v) {
  uint64_t bits64;
  uint32_t bits32;
  const float f = (float)v;
  memcpy(&bits64, &v, sizeof bits64);
  memcpy(&bits32, &f, sizeof bits32);
  if (dtype == FV_f16)
    text_printf(t, "0x%04x", half_bits(v));
  else if (dtype == FV_bf16)
    text_printf(t, "0x%04x", isnan(v) ? bits32 >> 16 | 0x40 : bits32 >> 16);
  else if (fabs(v) < 1e6 && v == rint(v) && !(v == 0 && signbit(v)))
    text_printf(t, dtype == FV_f32 ? "%d.0f" : "%d.0", (int)v);
  else if (dtype == FV_f32)
    text_printf(t, "as_float(0x%08" PRIx32 "u)", bits32);
  else
    text_printf(t, "as_double(0x%016" PRIx64 "ul)", bits64);
}

void print_const(printer *p, const fv_kinst *in, int width) {
  text *t = p->out;
  if (width > 1) {
    text_puts(t, "(");
    print_type(p, in->dtype, width);
    text_puts(t, ")(");
  }
  if (is_float(in->dtype) || is_bits(in->dtype))
    print_float(t, in->dtype, in->imm.f);
  else if (in->imm.i == INT64_MIN)
    text_puts(t, "(-9223372036854775807L - 1)");
  else if (in->dtype == FV_i64)
    text_printf(t, "%" PRId64 "L", in->imm.i);
  else
    text_printf(t, "(%s)%" PRId64, type_name(in->dtype), in->imm.i);
  if (width > 1)
    text_puts(t, ")");
}

//===-- Memory --------------------------------------------------------------------===//

// The address space of a buffer. Scratch that work-items share is local memory.
static const char *space_of(const fv_kernel_code *k, uint32_t buf) {
  return k->n_item > 1 && k->buffer[buf].scope == FV_SCOPE_GROUP ? "__local" : "__global";
}

// The helpers of partial accesses are for global memory.
static void need_partial(printer *p, const fv_kinst *in, bool *need) {
  *need = true;
  if (strcmp(space_of(p->k, in->buf), "__global") != 0)
    p->unsupported = "a partial access to memory of the group";
}

static void print_address(printer *p, const fv_kinst *in, const piece *at) {
  text_printf(p->out, "b%d + v%" PRIu32, in->buf, in->a);
  if (at->start)
    text_printf(p->out, " + %d", at->start);
}

static void print_count(printer *p, uint32_t count, const piece *at) {
  text_printf(p->out, "v%" PRIu32, count);
  if (at->start)
    text_printf(p->out, " - %d", at->start);
}

static void print_load(printer *p, const fv_kinst *in, const piece *at) {
  text *t = p->out;
  if (in->b != NONE) {
    need_partial(p, in, &p->need->partial_load[in->dtype][width_index(at->width)]);
    text_printf(t, "fv_load_%s%d(", type_name(in->dtype), at->width);
    print_address(p, in, at);
    text_puts(t, ", ");
    print_count(p, in->b, at);
    text_puts(t, ")");
  } else if (at->width == 1) {
    text_puts(t, "*(");
    print_address(p, in, at);
    text_puts(t, ")");
  } else {
    text_printf(t, "vload%d(0, ", at->width);
    print_address(p, in, at);
    text_puts(t, ")");
  }
}

static void print_gather(printer *p, const fv_kinst *in, const piece *at) {
  text *t = p->out;
  if (at->width > 1) {
    text_puts(t, "(");
    print_type(p, in->dtype, at->width);
    text_puts(t, ")(");
  }
  for (int i = 0; i < at->width; i++) {
    text_puts(t, i ? ", " : "");
    if (in->b != NONE) {
      print_lane(p, in->b, at, i);
      text_puts(t, " ? ");
    }
    text_printf(t, "b%d[", in->buf);
    print_lane(p, in->a, at, i);
    text_puts(t, "]");
    if (in->b != NONE)
      text_printf(t, " : (%s)0", type_name(in->dtype));
  }
  if (at->width > 1)
    text_puts(t, ")");
}

static void print_store(printer *p, const fv_kinst *in, const piece *at) {
  text *t = p->out;
  indent(p);
  if (in->c != NONE) {
    need_partial(p, in, &p->need->partial_store[in->dtype][width_index(at->width)]);
    text_printf(t, "fv_store_%s%d(", type_name(in->dtype), at->width);
    print_address(p, in, at);
    text_puts(t, ", ");
    print_value(p, in->b, at->index);
    text_puts(t, ", ");
    print_count(p, in->c, at);
    text_puts(t, ");\n");
  } else if (at->width == 1) {
    text_puts(t, "*(");
    print_address(p, in, at);
    text_puts(t, ") = ");
    print_value(p, in->b, at->index);
    text_puts(t, ";\n");
  } else {
    text_printf(t, "vstore%d(", at->width);
    print_value(p, in->b, at->index);
    text_puts(t, ", 0, ");
    print_address(p, in, at);
    text_puts(t, ");\n");
  }
}

static void print_scatter(printer *p, const fv_kinst *in, const piece *at) {
  text *t = p->out;
  for (int i = 0; i < at->width; i++) {
    indent(p);
    if (in->c != NONE) {
      text_puts(t, "if (");
      print_lane(p, in->c, at, i);
      text_puts(t, ") ");
    }
    text_printf(t, "b%d[", in->buf);
    print_lane(p, in->a, at, i);
    text_puts(t, "] = ");
    print_lane(p, in->b, at, i);
    text_puts(t, ";\n");
  }
}

//===-- Values --------------------------------------------------------------------===//

static void print_ramp(printer *p, const fv_kinst *in, const piece *at) {
  text *t = p->out;
  if (at->width > 1)
    text_printf(t, "(long%d)(", at->width);
  text_printf(t, "v%" PRIu32, in->a);
  if (at->width > 1) {
    text_printf(t, ") + (long%d)(", at->width);
    for (int i = 0; i < at->width; i++) {
      const uint64_t step = (uint64_t)in->imm.i * (uint64_t)(at->start + i);
      text_printf(t, "%s%" PRId64 "L", i ? ", " : "", (int64_t)step);
    }
    text_puts(t, ")");
  } else {
    const uint64_t step = (uint64_t)in->imm.i * (uint64_t)at->start;
    text_printf(t, " + %" PRId64 "L", (int64_t)step);
  }
}

static void print_extract(printer *p, const fv_kinst *in) {
  const int lanes = p->k->inst[in->a].lanes;
  piece at;
  for (int i = 0; piece_at(lanes, i, &at); i++)
    if (in->imm.i < at.start + at.width) {
      print_lane(p, in->a, &at, (int)in->imm.i - at.start);
      return;
    }
}

// A bool in memory may be any byte.
static void print_load_bool(printer *p, const fv_kinst *in, const piece *at) {
  if (at->width > 1)
    text_printf(p->out, "convert_uchar%d(-(", at->width);
  else
    text_puts(p->out, "(uchar)((");
  if (in->op == FV_K_LOAD)
    print_load(p, in, at);
  else
    print_gather(p, in, at);
  text_puts(p->out, at->width > 1 ? " != (uchar)0))" : ") != 0)");
}

static void print_expression(printer *p, const fv_kinst *in, const piece *at) {
  text *t = p->out;
  switch ((fv_kop)in->op) {
  case FV_K_CONST: print_const(p, in, at->width); break;
  case FV_K_SCALAR: text_printf(t, "s%" PRId64, in->imm.i); break;
  case FV_K_BLOCK: text_puts(t, "block"); break;
  case FV_K_ITEM: text_puts(t, "(long)get_local_id(0)"); break;
  case FV_K_OP: print_op(p, in, at); break;
  case FV_K_CAST: print_cast(p, in, at); break;
  case FV_K_BITCAST: print_bitcast(p, in, at); break;
  case FV_K_SPLAT:
    if (at->width > 1) {
      text_puts(t, "(");
      print_type(p, in->dtype, at->width);
      text_puts(t, ")");
    }
    text_printf(t, "(v%" PRIu32 ")", in->a);
    break;
  case FV_K_RAMP: print_ramp(p, in, at); break;
  case FV_K_LOAD:
  case FV_K_GATHER:
    if (in->dtype == FV_bool)
      print_load_bool(p, in, at);
    else if (in->op == FV_K_LOAD)
      print_load(p, in, at);
    else
      print_gather(p, in, at);
    break;
  case FV_K_EXTRACT: print_extract(p, in); break;
  case FV_K_VAR:
  case FV_K_GET: print_value(p, in->a, at->index); break;
  default: p->unsupported = "an instruction of a newer version"; break;
  }
}

static void print_definition(printer *p, uint32_t number, const fv_kinst *in) {
  piece at;
  for (int i = 0; piece_at(in->lanes, i, &at); i++) {
    indent(p);
    if (in->op != FV_K_VAR)
      text_puts(p->out, "const ");
    print_type(p, in->dtype, at.width);
    text_puts(p->out, " ");
    print_value(p, number, at.index);
    text_puts(p->out, " = ");
    print_expression(p, in, &at);
    text_puts(p->out, ";\n");
  }
}

//===-- Statements ------------------------------------------------------------------===//

static void print_pieces(printer *p, const fv_kinst *in,
                         void (*one)(printer *, const fv_kinst *, const piece *)) {
  piece at;
  for (int i = 0; piece_at(in->lanes, i, &at); i++)
    one(p, in, &at);
}

static void print_set(printer *p, const fv_kinst *in, const piece *at) {
  indent(p);
  print_value(p, in->a, at->index);
  text_puts(p->out, " = ");
  print_value(p, in->b, at->index);
  text_puts(p->out, ";\n");
}

static void print_inst(printer *p, uint32_t number) {
  const fv_kinst *in = &p->k->inst[number];
  text *t = p->out;
  switch ((fv_kop)in->op) {
  case FV_K_STORE: print_pieces(p, in, print_store); break;
  case FV_K_SCATTER: print_pieces(p, in, print_scatter); break;
  case FV_K_SET: print_pieces(p, in, print_set); break;
  case FV_K_PREFETCH: break;  // a GPU hides latency by its other groups
  case FV_K_REDUCE: indent(p), print_reduce(p, number, in); break;
  case FV_K_FOR:
    indent(p);
    text_printf(t, "for (long v%" PRIu32 " = v%" PRIu32 "; ", number, in->a);
    text_printf(t, "v%" PRIu32 " < v%" PRIu32 "; ", number, in->b);
    text_printf(t, "v%" PRIu32 " += %" PRId64 "L) {\n", number, in->imm.i);
    p->depth++;
    break;
  case FV_K_IF:
    indent(p);
    text_printf(t, "if (v%" PRIu32 ") {\n", in->a);
    p->depth++;
    break;
  case FV_K_ELSE:
    p->depth--;
    indent(p);
    text_puts(t, "} else {\n");
    p->depth++;
    break;
  case FV_K_END:
    p->depth--;
    indent(p);
    text_puts(t, "}\n");
    break;
  case FV_K_CHECK:
    indent(p);
    text_printf(t, "if (!v%" PRIu32 ") {\n", in->a);
    indent(p);
    text_printf(t, "  atomic_cmpxchg(failed, 0, %" PRId64 ");\n", in->imm.i + 1);
    indent(p);
    text_puts(t, "  return;\n");
    indent(p);
    text_puts(t, "}\n");
    break;
  case FV_K_BARRIER:
    if (p->k->n_item > 1) {
      indent(p);
      text_puts(t, "barrier(CLK_LOCAL_MEM_FENCE);\n");
    }
    break;
  default: print_definition(p, number, in); break;
  }
}

//===-- Kernel ------------------------------------------------------------------------===//

static void print_parameters(printer *p) {
  const fv_kernel_code *k = p->k;
  text *t = p->out;
  text_printf(t, "__kernel void k_%s(long first, long end, __global int *failed,\n", k->name);
  text_printf(t, "    %s uchar *scratch, long scratch_bytes",
              k->n_item > 1 ? "__local" : "__global");
  for (uint32_t i = 0; i < k->n_global; i++)
    text_printf(t, ",\n    __global uchar *%sbase%" PRIu32 ", long offset%" PRIu32,
                k->buffer[i].aliases ? "" : "restrict ", i, i);
  for (uint32_t i = 0; i < k->n_scalar; i++)
    text_printf(t, "%s long s%" PRIu32, i % 8 ? "," : ",\n   ", i);
  text_puts(t, ") {\n");
}

static void print_buffers(printer *p) {
  const fv_kernel_code *k = p->k;
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    const fv_kbuffer *b = &k->buffer[i];
    const char *type = type_name(b->dtype);
    const char *space = space_of(k, i);
    text_printf(p->out, "  %s %s *b%" PRIu32 " = (%s %s *)", space, type, i, space, type);
    if (b->scope == FV_SCOPE_GLOBAL)
      text_printf(p->out, "(base%" PRIu32 " + offset%" PRIu32 ");\n", i, i);
    else if (k->n_item > 1)
      text_printf(p->out, "(scratch + s%" PRIu32 ");\n", b->offset_scalar);
    else
      text_printf(p->out, "(scratch + (block - first) * scratch_bytes + s%" PRIu32 ");\n",
                  b->offset_scalar);
  }
}

void print_kernel(text *out, const fv_kernel_code *k, helpers *need, const char **unsupported) {
  printer p = {.k = k, .out = out, .need = need, .depth = 1};
  print_parameters(&p);
  text_printf(out, "  const long block = first + (long)get_%s_id(0);\n",
              k->n_item > 1 ? "group" : "global");
  text_puts(out, "  if (block >= end)\n    return;\n");
  print_buffers(&p);
  for (uint32_t i = 0; i < k->n_buffer; i++)
    need->f64 |= k->buffer[i].dtype == FV_f64;
  for (uint32_t i = 0; i < k->n_inst; i++) {
    need->f64 |= k->inst[i].dtype == FV_f64;
    print_inst(&p, i);
  }
  text_puts(out, "}\n\n");
  if (p.unsupported)
    *unsupported = p.unsupported;
}
