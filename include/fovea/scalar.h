// SPDX-License-Identifier: Apache-2.0
// fovea/scalar.h - the scalar primitives: one table.
//
// These are the whole contract of a code generator. The same enumerators stand
// in expressions (dims, indices, semantics), in kernel IR and in the host
// program. Meaning for floats is IEEE 754 with these rules: max and min
// propagate NaN; compare with NaN is false (NE true); casts out of range
// saturate, NaN casts to 0. For integers: wrap-around in two's complement;
// FLOORDIV and MOD round to minus infinity (the sign of MOD is that of the
// divisor); division by zero gives 0 here, whoever can divide by zero emits a
// check before it.
#ifndef FOVEA_SCALAR_H_
#define FOVEA_SCALAR_H_

// X(id, text name, arity, of which types: ANY, or FLOATS only). Result type: that of the first
// argument, except: compares and IS_NAN -> bool; SELECT(cond, a, b) -> that of a; CAST -> as said.
#define FV_SCALAR_TABLE(X)                                                         \
  X(NEG, "neg", 1, ANY)                                                            \
  X(ABS, "abs", 1, ANY)                                                            \
  X(SQRT, "sqrt", 1, FLOATS)                                                       \
  X(EXP, "exp", 1, FLOATS)                                                         \
  X(LOG, "log", 1, FLOATS)                                                         \
  X(SIN, "sin", 1, FLOATS)                                                         \
  X(COS, "cos", 1, FLOATS)                                                         \
  X(TANH, "tanh", 1, FLOATS)                                                       \
  X(ERF, "erf", 1, FLOATS)                                                         \
  X(FLOOR, "floor", 1, ANY)                                                        \
  X(CEIL, "ceil", 1, ANY)                                                          \
  X(ROUND, "round", 1, ANY) /* half to even */                                     \
  X(IS_NAN, "is_nan", 1, FLOATS)                                                   \
  X(NOT, "not", 1, ANY) /* bool; bitwise for integers */                           \
  X(CAST, "cast", 1, ANY)                                                          \
  X(BITCAST, "bitcast", 1, ANY) /* same size, other type */                        \
  X(ADD, "add", 2, ANY)                                                            \
  X(SUB, "sub", 2, ANY)                                                            \
  X(MUL, "mul", 2, ANY)                                                            \
  X(DIV, "div", 2, ANY) /* floats; integers truncate to 0 */                       \
  X(FLOORDIV, "floordiv", 2, ANY)                                                  \
  X(MOD, "mod", 2, ANY) /* integers: floored; floats: fmod */                      \
  X(POW, "pow", 2, ANY)                                                            \
  X(MAX, "max", 2, ANY)                                                            \
  X(MIN, "min", 2, ANY)                                                            \
  X(AND, "and", 2, ANY) /* bool; bitwise for integers */                           \
  X(OR, "or", 2, ANY)                                                              \
  X(XOR, "xor", 2, ANY)                                                            \
  X(SHL, "shl", 2, ANY)                                                            \
  X(SHR, "shr", 2, ANY) /* arithmetic for signed types */                          \
  X(EQ, "eq", 2, ANY)                                                              \
  X(NE, "ne", 2, ANY)                                                              \
  X(LT, "lt", 2, ANY)                                                              \
  X(LE, "le", 2, ANY)                                                              \
  X(SELECT, "select", 3, ANY)  /* lazy: the arm not taken may load out of range */ \
  X(MAD, "mad", 3, ANY)        /* a * b + c, fused where the target has FMA */     \
  X(EXPM1, "expm1", 1, FLOATS) /* exp(a) - 1, exact to the last place near 0 */    \
  X(LOG1P, "log1p", 1, FLOATS) /* log(1 + a), the same */

typedef enum fv_scalar_op {
#define X(id, name, arity, types) FV_X_##id,
  FV_SCALAR_TABLE(X)
#undef X
      FV_X_COUNT
} fv_scalar_op;

#endif  // FOVEA_SCALAR_H_
