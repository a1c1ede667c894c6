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

// X(id, text name, arity). Result type: that of the first argument, except:
// compares and IS_NAN -> bool; SELECT(cond, a, b) -> that of a; CAST -> as said.
#define FV_SCALAR_TABLE(X)                                                   \
  X(NEG, "neg", 1)                                                           \
  X(ABS, "abs", 1)                                                           \
  X(SQRT, "sqrt", 1)                                                         \
  X(EXP, "exp", 1)                                                           \
  X(LOG, "log", 1)                                                           \
  X(SIN, "sin", 1)                                                           \
  X(COS, "cos", 1)                                                           \
  X(TANH, "tanh", 1)                                                         \
  X(ERF, "erf", 1)                                                           \
  X(FLOOR, "floor", 1)                                                       \
  X(CEIL, "ceil", 1)                                                         \
  X(ROUND, "round", 1) /* half to even */                                    \
  X(IS_NAN, "is_nan", 1)                                                     \
  X(NOT, "not", 1) /* bool; bitwise for integers */                          \
  X(CAST, "cast", 1)                                                         \
  X(BITCAST, "bitcast", 1) /* same size, other type */                       \
  X(ADD, "add", 2)                                                           \
  X(SUB, "sub", 2)                                                           \
  X(MUL, "mul", 2)                                                           \
  X(DIV, "div", 2) /* floats; integers truncate to 0 */                      \
  X(FLOORDIV, "floordiv", 2)                                                 \
  X(MOD, "mod", 2) /* integers: floored; floats: fmod */                     \
  X(POW, "pow", 2)                                                           \
  X(MAX, "max", 2)                                                           \
  X(MIN, "min", 2)                                                           \
  X(AND, "and", 2) /* bool; bitwise for integers */                          \
  X(OR, "or", 2)                                                             \
  X(XOR, "xor", 2)                                                           \
  X(SHL, "shl", 2)                                                           \
  X(SHR, "shr", 2) /* arithmetic for signed types */                         \
  X(EQ, "eq", 2)                                                             \
  X(NE, "ne", 2)                                                             \
  X(LT, "lt", 2)                                                             \
  X(LE, "le", 2)                                                             \
  X(SELECT, "select", 3) /* lazy: the arm not taken may load out of range */ \
  X(MAD, "mad", 3)       /* a * b + c, fused where the target has FMA */     \
  X(EXPM1, "expm1", 1)   /* exp(a) - 1, exact to the last place near 0 */    \
  X(LOG1P, "log1p", 1)   /* log(1 + a), the same */

typedef enum fv_scalar_op {
#define X(id, name, arity) FV_X_##id,
  FV_SCALAR_TABLE(X)
#undef X
      FV_X_COUNT
} fv_scalar_op;

#endif  // FOVEA_SCALAR_H_
