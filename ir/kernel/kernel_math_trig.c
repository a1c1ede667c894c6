// SPDX-License-Identifier: Apache-2.0
// sin and cos: x = j pi/2 + r, then a polynomial in r, of which the two lowest
// bits of j choose function and sign.
//
// Up to trig_max the reduction is one in floats (Cody and Waite), where each
// part of pi/2 adds an error of its own the larger x is. Beyond, x meets those
// bits of 2/pi that matter, as integers (Payne and Hanek, "Radian reduction for
// trigonometric functions", SIGNUM Newsletter 18, 1983). The bits before give
// multiples of 4, those after nothing that shows: no f32 is nearer to a multiple
// of pi/2 than 2^-29.3, no f64 nearer than 2^-60.9 (Ng, "Argument reduction for
// huge arguments: good to the last bit", 1992).
//
// Huge arguments are rare and their reduction is long, so it stands in a branch
// that is taken when one lane needs it.
#include <math.h>

#include "ir/kernel/kernel_math.h"

typedef struct reduced {
  fv_kv j, r;
} reduced;

//===-- In floats -----------------------------------------------------------------===//

// pi/2 is cut into parts so short that every product but the last, and with it
// every difference of equal size, is exact.
static reduced reduce_small(km *c, fv_kv x) {
  const km_format *m = c->m;
  reduced v = {.r = x};
  fv_kv count;
  fv__km_round_product(c, x, M_2_PI, &count, &v.j);
  for (int i = 0; i <= m->n_pio2; i++)
    v.r = km_mad(c, count, km_f(c, -m->pio2[i]), v.r);
  return v;
}

//===-- In integers ---------------------------------------------------------------===//

enum {
  N_TABLE = 19,
  MAX_WORDS = 3,
  MAX_DIGITS = 2 * MAX_WORDS,
  DROPPED = 2,  // lowest digits of a product
  LEAD = 48,    // zero bits before the first of 2/pi
};

// 2/pi in words of 64 bits, as far as the largest f64 reaches. The zeros in
// front let the window begin before the point, where it begins for numbers
// with places behind theirs; so trig_max may be as low as 2^6 in f64.
static const uint64_t two_over_pi[N_TABLE] = {
    0x000000000000a2f9, 0x836e4e441529fc27, 0x57d1f534ddc0db62, 0x95993c439041fe51,
    0x63abdebbc561b724, 0x6e3a424dd2e00649, 0x2eea09d1921cfe1d, 0xeb1cb129a73ee882,
    0x35f52ebb4484e99c, 0x7026b45f7e413991, 0xd639835339f49c84, 0x5f8bbdf9283b1ff8,
    0x97ffde05980fef2f, 0x118b5a0a6d1f6d36, 0x7ecf27cb09b74f46, 0x3f669e5fea2d7527,
    0xbac7ebe5f17b3d07, 0x39f78a5292ea6bfb, 0x5fb11f8d5d085603};

static fv_kv digit_of(km *c, fv_kv v, int number) {  // 32 bits, without sign
  return km_op(c, FV_X_AND, number ? km_op(c, FV_X_SHR, v, km_i64(c, 32)) : v,
               km_i64(c, INT64_C(0xffffffff)));
}

// n words of 2/pi, highest first, from the bit that gives x the factor 2 on.
// Kernel IR has no tables: words are passed over by powers of two, so each
// power halves the selects that follow.
static void cut_window(km *c, fv_kv exponent, int n, fv_kv *out) {
  const km_format *m = c->m;
  const fv_kv start = km_sub(c, exponent, km_i64(c, m->bias + m->mant + 2 - LEAD));
  const fv_kv pass = km_op(c, FV_X_SHR, start, km_i64(c, 6));
  int span = 1;
  while (span <= (m->bias - m->mant - 2 + LEAD) / 64)
    span *= 2;
  fv_kv word[N_TABLE];
  for (int i = 0; i < span + n; i++)
    word[i] = km_i64(c, (int64_t)two_over_pi[i]);
  for (int step = span / 2; step > 0; step /= 2) {
    const fv_kv bit = km_op(c, FV_X_AND, pass, km_i64(c, step));
    const fv_kv on = km_op(c, FV_X_NE, bit, km_i64(c, 0));
    for (int i = 0; i < n + step; i++)
      word[i] = km_sel(c, on, word[i + step], word[i]);
  }
  const fv_kv left = km_op(c, FV_X_AND, start, km_i64(c, 63));
  const fv_kv right = km_op(c, FV_X_XOR, left, km_i64(c, 63));
  for (int i = 0; i < n; i++) {
    // SHR repeats the sign, so the first place goes by itself and is cleared.
    const fv_kv half = km_op(c, FV_X_SHR, word[i + 1], km_i64(c, 1));
    const fv_kv next = km_op(c, FV_X_AND, half, km_i64(c, INT64_MAX));
    out[i] = km_op(c, FV_X_OR, km_op(c, FV_X_SHL, word[i], left), km_op(c, FV_X_SHR, next, right));
  }
}

static void add_to(km *c, fv_kv *column, fv_kv v) {
  *column = *column == FV_K_NONE ? v : km_add(c, *column, v);
}

// significand * window mod 2^(64 n) without its last word, highest word first.
static void multiply(km *c, fv_kv significand, const fv_kv *window, int n, fv_kv *out) {
  const int n_digit = 2 * n, n_part = c->m->mant < 32 ? 1 : 2;
  fv_kv column[MAX_DIGITS];
  for (int i = 0; i < n_digit; i++)
    column[i] = FV_K_NONE;
  for (int i = 0; i < n_digit; i++)
    for (int k = 0; k < n_part && i + k < n_digit; k++) {
      const fv_kv a = digit_of(c, window[n - 1 - i / 2], i % 2);
      const fv_kv p = km_mul(c, a, digit_of(c, significand, k));
      if (i + k >= DROPPED)
        add_to(c, &column[i + k], digit_of(c, p, 0));
      if (i + k + 1 >= DROPPED && i + k + 1 < n_digit)
        add_to(c, &column[i + k + 1], digit_of(c, p, 1));
    }
  for (int i = DROPPED; i + 1 < n_digit; i++)
    column[i + 1] = km_add(c, column[i + 1], km_op(c, FV_X_SHR, column[i], km_i64(c, 32)));
  for (int i = DROPPED; i < n_digit; i += 2)
    out[n - 1 - i / 2] = km_op(c, FV_X_OR, digit_of(c, column[i], 0),
                               km_op(c, FV_X_SHL, column[i + 1], km_i64(c, 32)));
}

// The fraction word[0] / 2^64 + word[1] / 2^126 of a quarter turn, as radians:
// the upper part that a significand holds, the rest, and their product with pi/2 as
// double words, so that it is rounded but once.
static fv_kv to_radians(km *c, const fv_kv *word, int n) {
  const km_format *m = c->m;
  const int below = 63 - m->mant;
  const fv_kv twice = km_op(c, FV_X_SHR, word[0], km_i64(c, below - 1));
  const fv_kv high = km_op(c, FV_X_SHR, km_add(c, twice, km_i64(c, 1)), km_i64(c, 1));
  const fv_kv low = km_sub(c, word[0], km_op(c, FV_X_SHL, high, km_i64(c, below)));
  km_words v = {fv_kb_cast(c->kb, m->f, high), fv_kb_cast(c->kb, m->f, low)};
  if (n > 1)
    v.l = km_add(c, v.l, km_mul(c, fv_kb_cast(c->kb, m->f, word[1]), km_f(c, 0x1p-62)));
  v.l = km_mul(c, v.l, km_f(c, ldexp(1, -below)));
  const km_words by = {km_f(c, ldexp(m->half_pi[0], below - 64)),
                       km_f(c, ldexp(m->half_pi[1], below - 64))};
  return fv__km_product_words(c, v, by).h;
}

// |x| * 2/pi mod 4 is word[0] / 2^62 + word[1] / 2^126: the nearest integer j,
// and what is left, which has a sign.
static reduced reduce_huge(km *c, fv_kv x, fv_kv magnitude) {
  const km_format *m = c->m;
  const int n = m->mant < 32 ? 1 : 2;
  fv_kv window[MAX_WORDS], word[MAX_WORDS];
  const km_number number = fv__km_take_apart(c, magnitude);
  cut_window(c, number.exponent, n + 1, window);
  multiply(c, number.significand, window, n + 1, word);
  const fv_kv places = km_i64(c, 62);
  const fv_kv half = km_i64(c, INT64_C(1) << 61);
  const fv_kv j64 = km_op(c, FV_X_SHR, km_add(c, word[0], half), places);
  word[0] = km_op(c, FV_X_SHL, word[0], km_i64(c, 2));
  if (n > 1) {
    const fv_kv carried = km_op(c, FV_X_SHR, word[1], places);
    word[0] = km_op(c, FV_X_OR, word[0], km_op(c, FV_X_AND, carried, km_i64(c, 3)));
    word[1] = km_op(c, FV_X_AND, word[1], km_i64(c, (INT64_C(1) << 62) - 1));
  }
  const fv_kv r = to_radians(c, word, n), j = fv_kb_cast(c->kb, m->i, j64);
  const fv_kv negative = km_op(c, FV_X_LT, x, km_f(c, 0));
  const fv_kv finite = km_op(c, FV_X_LT, magnitude, km_f(c, INFINITY));
  return (reduced){
      .j = km_sel(c, negative, km_un(c, FV_X_NEG, j), j),
      .r = km_sel(c, finite, km_sel(c, negative, km_un(c, FV_X_NEG, r), r), km_f(c, NAN))};
}

//===-- Both ----------------------------------------------------------------------===//

static fv_kv any_lane(km *c, fv_kv v) {
  if ((c->lanes & (c->lanes - 1)) == 0)
    return fv_kb_reduce(c->kb, FV_X_OR, v);
  fv_kv any = fv_kb_extract(c->kb, v, 0);
  for (int i = 1; i < c->lanes; i++)
    any = km_op(c, FV_X_OR, any, fv_kb_extract(c->kb, v, i));
  return any;
}

// NaN is not huge; it stays NaN in floats.
static reduced reduce(km *c, fv_kv x) {
  fv_kb *kb = c->kb;
  const reduced small = reduce_small(c, x);
  const fv_kv magnitude = km_un(c, FV_X_ABS, x);
  const fv_kv huge = km_op(c, FV_X_LT, km_f(c, c->m->trig_max), magnitude);
  const fv_kv j = fv_kb_var(kb, small.j), r = fv_kb_var(kb, small.r);
  fv_kb_if(kb, any_lane(c, huge));
  const reduced other = reduce_huge(c, x, magnitude);
  fv_kb_set(kb, j, km_sel(c, huge, other.j, small.j));
  fv_kb_set(kb, r, km_sel(c, huge, other.r, small.r));
  fv_kb_end(kb);
  return (reduced){.j = fv_kb_get(kb, j), .r = fv_kb_get(kb, r)};
}

fv_kv fv__km_trig(km *c, fv_kv x, int quarter) {
  const km_format *m = c->m;
  const reduced v = reduce(c, x);
  const fv_kv z = km_mul(c, v.r, v.r);
  fv_kv s = fv__km_poly(c, m->sin, m->n_sin, z);
  s = km_mad(c, km_mul(c, v.r, z), s, v.r);
  s = fv__km_with_sign(c, s, v.r);  // -0 stays
  fv_kv k = fv__km_poly(c, m->cos, m->n_cos, z);
  // 1 - z/2 rounded, and what the rounding lost
  const fv_kv h = km_mul(c, z, km_f(c, 0.5));
  const fv_kv w = km_sub(c, km_f(c, 1), h);
  const fv_kv lost = km_sub(c, km_sub(c, km_f(c, 1), w), h);
  k = km_add(c, w, km_mad(c, km_mul(c, z, z), k, lost));
  const fv_kv j = km_add(c, v.j, km_i(c, quarter));
  const fv_kv odd = km_op(c, FV_X_NE, km_op(c, FV_X_AND, j, km_i(c, 1)), km_i(c, 0));
  const int to_sign = 8 * fv_dtype_size(m->f) - 2;
  const fv_kv two = km_op(c, FV_X_AND, j, km_i(c, 2));
  const fv_kv sign = km_op(c, FV_X_SHL, two, km_i(c, to_sign));
  return km_float(c, km_op(c, FV_X_XOR, km_bits(c, km_sel(c, odd, k, s)), sign));
}
