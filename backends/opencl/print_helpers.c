// SPDX-License-Identifier: Apache-2.0
// The functions in front of the kernels; only those that they call.
#include "print.h"

// Loads and stores of the first n lanes.
static void print_partial(text *t, const char *type, int width, bool store) {
  if (width == 1 && store) {
    text_printf(t,
                "static void fv_store_%s1(__global %s *p, %s v, long n) {\n"
                "  if (n > 0)\n    *p = v;\n}\n",
                type, type, type);
  } else if (width == 1) {
    text_printf(t,
                "static %s fv_load_%s1(const __global %s *p, long n) {\n"
                "  return n > 0 ? *p : (%s)0;\n}\n",
                type, type, type, type);
  } else if (store) {
    text_printf(t, "static void fv_store_%s%d(__global %s *p, %s%d v, long n) {\n", type, width,
                type, type, width);
    text_printf(t, "  if (n >= %d) {\n    vstore%d(v, 0, p);\n    return;\n  }\n", width, width);
    text_printf(t, "  %s lane[%d];\n  vstore%d(v, 0, lane);\n", type, width, width);
    text_puts(t, "  for (long i = 0; i < n; i++)\n    p[i] = lane[i];\n}\n");
  } else {
    text_printf(t, "static %s%d fv_load_%s%d(const __global %s *p, long n) {\n", type, width, type,
                width, type);
    text_printf(t, "  if (n >= %d)\n    return vload%d(0, p);\n", width, width);
    text_printf(t, "  %s lane[%d];\n", type, width);
    text_printf(t, "  for (int i = 0; i < %d; i++)\n    lane[i] = i < n ? p[i] : (%s)0;\n", width,
                type);
    text_printf(t, "  return vload%d(0, lane);\n}\n", width);
  }
}

// f16 and bf16 share the type ushort, u8 and bool the type uchar: a function
// that two of them need is printed once.
static bool first_of_type(const bool need[FV_DTYPE_COUNT][N_WIDTH], int dtype, int w) {
  const char *type = type_name(dtype);
  for (int d = 0; d < dtype; d++)
    if (need[d][w] && type_name(d) == type)
      return false;
  return need[dtype][w];
}

static void print_partials(text *t, const helpers *need) {
  for (int d = 0; d < FV_DTYPE_COUNT; d++)
    for (int w = 0; w < N_WIDTH; w++) {
      if (first_of_type(need->partial_load, d, w))
        print_partial(t, type_name(d), 1 << w, false);
      if (first_of_type(need->partial_store, d, w))
        print_partial(t, type_name(d), 1 << w, true);
    }
}

// x / 0 is 0; the smallest integer / -1 wraps, as / 1 does.
static void print_divide(text *t, int dtype) {
  const char *type = type_name(dtype);
  const bool is_signed = dtype != FV_u8 && dtype != FV_bool;
  text_printf(t, "static %s fv_div_%s(%s a, %s b) {\n  if (b == 0)\n    return 0;\n", type, type,
              type, type);
  if (is_signed)
    text_printf(t, "  if (b == -1)\n    return (%s)(0 - (%s)a);\n", type,
                dtype == FV_i64 ? "ulong" : "uint");
  text_puts(t, "  return a / b;\n}\n");
  text_printf(t, "static %s fv_mod_%s(%s a, %s b) {\n  if (b == 0", type, type, type, type);
  text_puts(t, is_signed ? " || b == -1)\n    return 0;\n" : ")\n    return 0;\n");
  text_printf(t, "  const %s r = a %% b;\n", type);
  text_puts(t, is_signed ? "  return r != 0 && (r < 0) != (b < 0) ? r + b : r;\n}\n"
                         : "  return r;\n}\n");
  text_printf(t, "static %s fv_floordiv_%s(%s a, %s b) {\n  if (b == 0", type, type, type, type);
  text_printf(t,
              is_signed ? " || b == -1)\n    return fv_div_%s(a, b);\n"
                        : ")\n    return fv_div_%s(a, b);\n",
              type);
  text_puts(t, is_signed ? "  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);\n}\n"
                         : "  return a / b;\n}\n");
}

static void print_divides(text *t, const helpers *need) {
  for (int d = 0; d < FV_DTYPE_COUNT; d++)
    if (need->divide[d] && !(d == FV_bool && need->divide[FV_u8]))
      print_divide(t, d);
}

// Pointers to half are core OpenCL 1.2, values are not.
static void print_half(text *t, int width) {
  const char *n[] = {"", "2", "4", "8", "16"};
  const char *w = n[width_index(width)];
  text_printf(t, "static float%s fv_from_half%d(ushort%s h) {\n", w, width, w);
  text_printf(t, "  return vload_half%s(0, (const __private half *)&h);\n}\n", w);
  text_printf(t, "static ushort%s fv_half%d(float%s v) {\n  ushort%s h;\n", w, width, w, w);
  text_printf(t, "  vstore_half%s_rte(v, 0, (__private half *)&h);\n  return h;\n}\n", w);
}

static void print_half_from_double(text *t, int width) {
  const char *n[] = {"", "2", "4", "8", "16"};
  const char *w = n[width_index(width)];
  text_printf(t, "static ushort%s fv_half_double%d(double%s v) {\n  ushort%s h;\n", w, width, w, w);
  text_printf(t, "  vstore_half%s_rte(v, 0, (__private half *)&h);\n  return h;\n}\n", w);
}

// Nearest, ties to even; a NaN stays one.
static void print_bfloat(text *t, int width) {
  const char *n[] = {"", "2", "4", "8", "16"};
  const char *w = n[width_index(width)];
  text_printf(t, "static float%s fv_from_bfloat%d(ushort%s h) {\n", w, width, w);
  text_printf(t, "  return as_float%s(convert_uint%s(h) << 16);\n}\n", w, w);
  text_printf(t, "static ushort%s fv_bfloat%d(float%s v) {\n", w, width, w);
  text_printf(t, "  const uint%s u = as_uint%s(v), up = u >> 16;\n", w, w);
  text_printf(t, "  const uint%s near = (u + 0x7fffu + (up & 1u)) >> 16;\n", w);
  if (width == 1)
    text_puts(t, "  return (ushort)(v != v ? up | 0x40u : near);\n}\n");
  else
    text_printf(t, "  return convert_ushort%s(select(near, up | 0x40u, v != v));\n}\n", w);
}

// To odd first, so that the second rounding sees whether anything was lost.
static void print_bfloat_wide(text *t, const char *name, const char *type) {
  text_printf(t, "static ushort fv_bfloat_%s(%s v) {\n", name, type);
  text_puts(t, "  const float f = convert_float_rtz(v);\n");
  text_printf(t, "  const uint odd = convert_%s%s(f) != v;\n", type, name[0] == 'l' ? "_sat" : "");
  text_puts(t, "  return fv_bfloat1(as_float(as_uint(f) | odd));\n}\n");
}

void print_helpers(text *t, const helpers *need) {
  text_puts(t, "#pragma OPENCL FP_CONTRACT OFF\n");
  if (need->f64)
    text_puts(t, "#ifdef cl_khr_fp64\n#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n#endif\n");
  if (need->mad32)
    text_puts(t,
              "#ifdef FP_FAST_FMAF\n#define FV_MAD32(a, b, c) fma(a, b, c)\n#else\n"
              "#define FV_MAD32(a, b, c) ((a) * (b) + (c))\n#endif\n");
  if (need->mad64)
    text_puts(t,
              "#ifdef FP_FAST_FMA\n#define FV_MAD64(a, b, c) fma(a, b, c)\n#else\n"
              "#define FV_MAD64(a, b, c) ((a) * (b) + (c))\n#endif\n");
  text_puts(t, "\n");
  print_partials(t, need);
  print_divides(t, need);
  for (int w = 0; w < N_WIDTH; w++) {
    if (need->half[w])
      print_half(t, 1 << w);
    if (need->half_from_double[w])
      print_half_from_double(t, 1 << w);
    if (need->bfloat[w])
      print_bfloat(t, 1 << w);
  }
  if (need->bfloat_from_wide)
    print_bfloat_wide(t, "long", "long");
  if (need->bfloat_from_double)
    print_bfloat_wide(t, "double", "double");
  text_puts(t, "\n");
}
