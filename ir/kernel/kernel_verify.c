// SPDX-License-Identifier: Apache-2.0
// The rules of kernel IR: types, scopes, structure. Every rule is a static
// sentence; the first broken one is the answer.
#include <stdlib.h>
#include <string.h>

#include "ir/kernel/kernel_build.h"

enum { MAX_LANES = 256 };

typedef struct verifier {
  const fv_kernel_code *k;
  uint32_t at;         // the instruction looked at
  uint32_t *scope_of;  // of each instruction: the FOR, IF or ELSE around it, plus 1
  uint32_t *outer;     // of each such: the one around it
  uint8_t *closed;     // indexed like `outer`
  uint32_t scope;      // the innermost open one
} verifier;

#define RULE(cond, text) \
  do {                   \
    if (!(cond))         \
      return (text);     \
  } while (0)
#define TRY_RULE(expr)       \
  do {                       \
    const char *e_ = (expr); \
    if (e_)                  \
      return e_;             \
  } while (0)

static bool gives_value(fv_kop op) {
  switch (op) {
  case FV_K_STORE:
  case FV_K_SCATTER:
  case FV_K_VAR:
  case FV_K_SET:
  case FV_K_IF:
  case FV_K_ELSE:
  case FV_K_END:
  case FV_K_CHECK:
  case FV_K_PREFETCH:
  case FV_K_BARRIER: return false;
  default: return true;
  }
}

static const char *in_sight(const verifier *v, uint32_t n) {
  RULE(n < v->at, "an operand is no earlier instruction");
  RULE(!v->closed[v->scope_of[n]], "an operand is out of scope");
  return NULL;
}

// lanes 0: any.
static const char *value(const verifier *v, uint32_t n, int dtype, int lanes) {
  TRY_RULE(in_sight(v, n));
  const fv_kinst *in = &v->k->inst[n];
  RULE(gives_value((fv_kop)in->op), "an operand is no value");
  RULE(in->dtype == dtype, "an operand has the wrong type");
  RULE(lanes == 0 || in->lanes == lanes, "an operand has the wrong number of lanes");
  return NULL;
}

static const char *no_operand(uint32_t n) {
  return n == FV_K_NONE ? NULL : "an operand that the instruction does not have";
}

bool fv__k_has_buffer(fv_kop op) {
  switch (op) {
  case FV_K_LOAD:
  case FV_K_GATHER:
  case FV_K_STORE:
  case FV_K_SCATTER:
  case FV_K_PREFETCH: return true;
  default: return false;
  }
}

// How many operands an instruction may have; what it has no use for is absent,
// so equal instructions are equal bytes.
static int most_operands(fv_kop op) {
  switch (op) {
  case FV_K_CONST:
  case FV_K_SCALAR:
  case FV_K_BLOCK:
  case FV_K_ITEM:
  case FV_K_ELSE:
  case FV_K_END:
  case FV_K_BARRIER: return 0;
  case FV_K_LOAD:
  case FV_K_GATHER:
  case FV_K_SET:
  case FV_K_FOR: return 2;
  case FV_K_OP:
  case FV_K_STORE:
  case FV_K_SCATTER: return 3;
  default: return 1;
  }
}

static const char *check_unused(const fv_kinst *in) {
  const int n = most_operands((fv_kop)in->op);
  RULE(in->reserved == 0 && in->reserved2 == 0, "a reserved field is not 0");
  RULE(fv__k_has_buffer((fv_kop)in->op) || in->buf == 0,
       "a buffer that the instruction does not have");
  RULE(in->xop == 0 || in->op == FV_K_OP || in->op == FV_K_REDUCE, "a primitive in no primitive");
  TRY_RULE(n > 0 ? NULL : no_operand(in->a));
  TRY_RULE(n > 1 ? NULL : no_operand(in->b));
  return n > 2 ? NULL : no_operand(in->c);
}

static const char *check_op(const verifier *v, const fv_kinst *in) {
  RULE(in->xop < FV_X_COUNT && in->xop != FV_X_CAST && in->xop != FV_X_BITCAST,
       "no such primitive");
  const fv_scalar_op op = (fv_scalar_op)in->xop;
  const uint32_t arg[3] = {in->a, in->b, in->c};
  const int n = fv_scalar_arity(op);
  const int first = op == FV_X_SELECT;
  TRY_RULE(in_sight(v, arg[first]));
  const fv_dtype t = (fv_dtype)v->k->inst[arg[first]].dtype;
  RULE(in->dtype == fv__k_result(op, t), "the result has the wrong type");
  RULE(op == FV_X_SELECT || fv_dtype_compute(t) == t, "arithmetic on a storage type");
  RULE(op != FV_X_MAD || fv_dtype_is_float(t), "mad of integers");
  for (int i = 0; i < 3; i++)
    TRY_RULE(i >= n ? no_operand(arg[i])
                    : value(v, arg[i], i < first ? (int)FV_bool : (int)t, in->lanes));
  return NULL;
}

static const char *check_reduce(const verifier *v, const fv_kinst *in) {
  TRY_RULE(value(v, in->a, in->dtype, 0));
  const int lanes = v->k->inst[in->a].lanes;
  RULE(in->lanes == 1, "a reduction gives a scalar");
  RULE((lanes & (lanes - 1)) == 0, "a reduction is over a power of two");
  RULE(fv_dtype_compute((fv_dtype)in->dtype) == (fv_dtype)in->dtype,
       "arithmetic on a storage type");
  switch (in->xop) {
  case FV_X_ADD:
  case FV_X_MUL:
  case FV_X_MAX:
  case FV_X_MIN:
  case FV_X_AND:
  case FV_X_OR: return NULL;
  default: return "no such reduction";
  }
}

static const char *check_memory(const verifier *v, const fv_kinst *in) {
  RULE(in->buf < v->k->n_buffer, "no such buffer");
  const fv_kbuffer *b = &v->k->buffer[in->buf];
  RULE(in->dtype == b->dtype, "not the type of the buffer");
  const bool each = in->op == FV_K_GATHER || in->op == FV_K_SCATTER;
  const bool store = in->op == FV_K_STORE || in->op == FV_K_SCATTER;
  TRY_RULE(value(v, in->a, FV_i64, each ? in->lanes : 1));
  if (store) {
    RULE(b->written, "a store to a buffer that is only read");
    TRY_RULE(value(v, in->b, in->dtype, in->lanes));
  }
  const uint32_t guard = store ? in->c : in->b;
  if (guard != FV_K_NONE)
    TRY_RULE(value(v, guard, each ? FV_bool : FV_i64, each ? in->lanes : 1));
  return NULL;
}

static const char *check_var(const verifier *v, uint32_t n, const fv_kinst *in) {
  TRY_RULE(in_sight(v, n));
  const fv_kinst *var = &v->k->inst[n];
  RULE(var->op == FV_K_VAR, "not a register");
  RULE(var->dtype == in->dtype && var->lanes == in->lanes, "not the type of the register");
  return NULL;
}

static const char *check_convert(const verifier *v, const fv_kinst *in) {
  TRY_RULE(in_sight(v, in->a));
  const fv_kinst *src = &v->k->inst[in->a];
  RULE(in->op == FV_K_CAST ||
           fv_dtype_size((fv_dtype)src->dtype) == fv_dtype_size((fv_dtype)in->dtype),
       "a bit cast between sizes");
  return value(v, in->a, src->dtype, in->lanes);
}

static const char *check_extract(const verifier *v, const fv_kinst *in) {
  TRY_RULE(value(v, in->a, in->dtype, 0));
  RULE(in->lanes == 1, "a lane is a scalar");
  RULE(in->imm.i >= 0 && in->imm.i < v->k->inst[in->a].lanes, "no such lane");
  return NULL;
}

static const char *check_leaf(const verifier *v, const fv_kinst *in) {
  if (in->op == FV_K_CONST)
    return NULL;
  RULE(in->dtype == FV_i64 && in->lanes == 1, "not an i64 scalar");
  RULE(in->op != FV_K_SCALAR || (in->imm.i >= 0 && in->imm.i < v->k->n_scalar),
       "no such parameter");
  RULE(in->op != FV_K_ITEM || v->k->n_item > 1, "a work-item where each is a block");
  return NULL;
}

static const char *check_inst(const verifier *v, const fv_kinst *in) {
  switch ((fv_kop)in->op) {
  case FV_K_CONST:
  case FV_K_SCALAR:
  case FV_K_BLOCK:
  case FV_K_ITEM: return check_leaf(v, in);
  case FV_K_OP: return check_op(v, in);
  case FV_K_CAST:
  case FV_K_BITCAST: return check_convert(v, in);
  case FV_K_SPLAT: return value(v, in->a, in->dtype, 1);
  case FV_K_RAMP: RULE(in->dtype == FV_i64, "not i64"); return value(v, in->a, FV_i64, 1);
  case FV_K_LOAD:
  case FV_K_GATHER:
  case FV_K_STORE:
  case FV_K_SCATTER:
  case FV_K_PREFETCH: return check_memory(v, in);
  case FV_K_REDUCE: return check_reduce(v, in);
  case FV_K_EXTRACT: return check_extract(v, in);
  case FV_K_VAR: return value(v, in->a, in->dtype, in->lanes);
  case FV_K_GET: return check_var(v, in->a, in);
  case FV_K_SET: TRY_RULE(check_var(v, in->a, in)); return value(v, in->b, in->dtype, in->lanes);
  case FV_K_FOR:
    RULE(in->imm.i > 0, "the step of a loop is not positive");
    RULE(in->dtype == FV_i64 && in->lanes == 1, "a loop index is an i64 scalar");
    TRY_RULE(value(v, in->a, FV_i64, 1));
    return value(v, in->b, FV_i64, 1);
  case FV_K_IF: return value(v, in->a, FV_bool, 1);
  case FV_K_CHECK:
    RULE(in->imm.i >= 0 && in->imm.i < INT32_MAX, "no such site");
    return value(v, in->a, FV_bool, 1);
  case FV_K_ELSE:
    RULE(v->scope && v->k->inst[v->scope - 1].op == FV_K_IF, "else without if");
    return NULL;
  case FV_K_END: return v->scope ? NULL : "end of nothing";
  case FV_K_BARRIER: return NULL;
  case FV_K_COUNT: break;
  }
  return "no such instruction";
}

static void close_scope(verifier *v) {
  v->closed[v->scope] = 1;
  v->scope = v->outer[v->scope];
}

static void open_scope(verifier *v) {
  v->outer[v->at + 1] = v->scope;
  v->scope = v->at + 1;
}

static const char *check_all(verifier *v) {
  const fv_kernel_code *k = v->k;
  for (uint32_t i = 0; i < k->n_inst; i++) {
    const fv_kinst *in = &k->inst[i];
    v->at = i;
    RULE(in->dtype < FV_DTYPE_COUNT, "no such element type");
    RULE(in->lanes >= 1 && in->lanes <= MAX_LANES, "too many lanes");
    TRY_RULE(check_inst(v, in));
    TRY_RULE(check_unused(in));
    if (in->op == FV_K_ELSE || in->op == FV_K_END)
      close_scope(v);
    if (in->op == FV_K_FOR || in->op == FV_K_IF || in->op == FV_K_ELSE)
      open_scope(v);
    v->scope_of[i] = v->scope;  // the index of a loop belongs to its body
  }
  v->at = k->n_inst;
  RULE(v->scope == 0, "a scope is left open");
  return NULL;
}

static const char *check_head(const fv_kernel_code *k) {
  RULE(k->struct_size >= sizeof *k, "made for an older version");
  RULE(k->name && k->name[0] &&
           k->name[strspn(k->name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0,
       "the name has characters outside [a-z0-9_]");
  RULE(k->n_global <= k->n_buffer && k->n_buffer <= UINT8_MAX, "wrong number of buffers");
  RULE(k->n_item > 0, "no work-items");
  RULE(k->n_inst < FV_K_NONE - 1, "too many instructions");
  for (uint32_t i = 0; i < k->n_buffer; i++) {
    const fv_kbuffer *b = &k->buffer[i];
    RULE(b->dtype < FV_DTYPE_COUNT, "no such element type");
    RULE(b->scope == (i < k->n_global ? FV_SCOPE_GLOBAL : FV_SCOPE_GROUP),
         "global buffers do not come first");
    RULE(b->scope == FV_SCOPE_GLOBAL || b->offset_scalar < k->n_scalar,
         "a scratch buffer without an offset");
  }
  return NULL;
}

const char *fv__k_fault(const fv_kernel_code *k, uint32_t *at, bool *oom) {
  *at = 0;
  TRY_RULE(check_head(k));
  verifier v = {.k = k};
  v.scope_of = calloc((size_t)k->n_inst + 1, sizeof *v.scope_of);
  v.outer = calloc((size_t)k->n_inst + 1, sizeof *v.outer);
  v.closed = calloc((size_t)k->n_inst + 1, 1);
  const char *fault = NULL;
  *oom = !v.scope_of || !v.outer || !v.closed;
  if (!*oom)
    fault = check_all(&v);
  *at = v.at;
  free(v.scope_of);
  free(v.outer);
  free(v.closed);
  return fault;
}

fv_status fv_kernel_verify(const fv_kernel_code *k, fv_diag_sink *diag) {
  uint32_t at;
  bool oom = false;
  const char *fault = fv__k_fault(k, &at, &oom);
  if (oom)
    return FV_ERR_OOM;
  if (!fault)
    return FV_OK;
  return fv_error(diag, FV_ERR_TYPE, NULL, "kernel %s, instruction %%%u: %s",
                  k->name ? k->name : "?", (unsigned)at, fault);
}
