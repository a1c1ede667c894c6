// SPDX-License-Identifier: Apache-2.0
// tests/unit/llvm_plugin.h - the llvm plugin, loaded, and kernels made by hand for it.
#ifndef FOVEA_TESTS_UNIT_LLVM_PLUGIN_H_
#define FOVEA_TESTS_UNIT_LLVM_PLUGIN_H_

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "fovea/plugin.h"
#include "ir/kernel/kernel.h"

//===-- The plugin ------------------------------------------------------===//

struct fv_report {
  int32_t status;
  char text[4096], note[256];
};

static inline int32_t on_error(fv_report *r, int32_t status, const char *text) {
  r->status = status;
  snprintf(r->text, sizeof r->text, "%s", text);
  return status;
}

static inline void on_note(fv_report *r, const char *text) {
  snprintf(r->note, sizeof r->note, "%s", text);
}

static inline void on_did_you_mean(fv_report *r, const char *word,
                                   const char *(*candidate)(void *user, int i), void *user) {
  const int near = fv_did_you_mean(word, candidate, user);
  if (near >= 0)
    on_note(r, candidate(user, near));
}

// As many threads as there are tasks: what is made must not depend on who makes it.
typedef struct job {
  void (*task)(void *arg, uint32_t index);
  void *arg;
  uint32_t index;
} job;

static inline void *do_job(void *arg) {
  const job *j = arg;
  j->task(j->arg, j->index);
  return NULL;
}

static bool one_thread;

static inline void on_parallel_for(fv_report *r, uint32_t count,
                                   void (*task)(void *arg, uint32_t index), void *arg) {
  (void)r;
  pthread_t *thread = calloc(count + 1, sizeof *thread);
  job *j = calloc(count + 1, sizeof *j);
  assert_true(thread && j);
  for (uint32_t i = 0; i < count; i++) {
    j[i] = (job){task, arg, i};
    if (one_thread)
      do_job(&j[i]);
    else
      assert_int_equal(pthread_create(&thread[i], NULL, do_job, &j[i]), 0);
  }
  for (uint32_t i = 0; i < count && !one_thread; i++)
    pthread_join(thread[i], NULL);
  free(thread);
  free(j);
}

static const fv_host host = {.struct_size = sizeof host,
                             .abi = FV_ABI_VERSION,
                             .sanitizer = FV_ABI_SANITIZER,
                             .error = on_error,
                             .note = on_note,
                             .did_you_mean = on_did_you_mean,
                             .parallel_for = on_parallel_for};

static inline const fv_backend *plugin(void) {
  void *so = dlopen(FV_BINARY_DIR "/lib/fovea/llvm.so", RTLD_NOW | RTLD_LOCAL);
  if (!so)
    fail_msg("%s", dlerror());
  void *symbol = dlsym(so, "fovea_plugin_query");
  assert_non_null(symbol);
  fv_plugin_query_fn query;
  memcpy(&query, &symbol, sizeof symbol);
  const fv_backend *b = NULL;
  assert_int_equal(query(&host, &b), FV_PLUGIN_OK);
  return b;
}

typedef struct level {
  const char *cpu;  // NULL: this machine's
  bool here;        // runs on this machine
} level;

static inline const level *levels(void) {
  static level l[4] = {{"x86-64", true}, {"x86-64-v3", false}, {"x86-64-v4", false}, {NULL, true}};
#ifdef __x86_64__
  l[1].here = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  l[2].here = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  l[0].here = false;
#endif
  return l;
}

static inline fv_device *open_level(const fv_backend *b, const char *cpu) {
  const fv_option option = {"cpu", cpu};
  fv_report r = {0};
  fv_device *d = NULL;
  if (b->open(&host, &option, cpu ? 1 : 0, &r, &d) != FV_PLUGIN_OK)
    fail_msg("%s", r.text);
  return d;
}

//===-- Kernels by hand -------------------------------------------------===//

enum { MAX_INST = 400, BUFFERS = 12, ELEMENTS = 640 };

typedef struct made {
  fv_kernel_code code;
  fv_kbuffer buffer[BUFFERS];
  fv_kinst inst[MAX_INST];
  char name[32];
} made;

static inline made *make(const char *name, int a, int b) {
  made *m = calloc(1, sizeof *m);
  assert_non_null(m);
  snprintf(m->name, sizeof m->name, "%s_%d_%d", name, a, b);
  m->code = (fv_kernel_code){.struct_size = sizeof m->code,
                             .n_item = 1,
                             .name = m->name,
                             .inst = m->inst,
                             .buffer = m->buffer};
  return m;
}

static inline int buffer(made *m, fv_dtype t, bool written) {
  m->buffer[m->code.n_buffer] = (fv_kbuffer){.dtype = (uint8_t)t, .written = written};
  m->code.n_global++;
  return (int)m->code.n_buffer++;
}

static inline uint32_t add(made *m, fv_kinst in) {
  assert_true(m->code.n_inst < MAX_INST);
  m->inst[m->code.n_inst] = in;
  return m->code.n_inst++;
}

#define NONE FV_K_NONE
static inline uint32_t inst(made *m, fv_kop op, fv_dtype t, int lanes, uint32_t a, uint32_t b,
                            uint32_t c) {
  return add(m, (fv_kinst){.op = (uint8_t)op,
                           .dtype = (uint8_t)t,
                           .lanes = (uint16_t)lanes,
                           .a = a,
                           .b = b,
                           .c = c});
}

static inline uint32_t constant(made *m, int64_t v) {
  const uint32_t at = inst(m, FV_K_CONST, FV_i64, 1, NONE, NONE, NONE);
  m->inst[at].imm.i = v;
  return at;
}

static inline uint32_t op(made *m, fv_scalar_op x, fv_dtype t, int lanes, uint32_t a, uint32_t b,
                          uint32_t c) {
  const uint32_t at = inst(m, FV_K_OP, t, lanes, a, b, c);
  m->inst[at].xop = (uint8_t)x;
  return at;
}

static inline uint32_t with_imm(made *m, uint32_t at, int64_t imm) {
  m->inst[at].imm.i = imm;
  return at;
}

static inline uint32_t load(made *m, int buf, int lanes, uint32_t offset, uint32_t count) {
  const uint32_t at =
      inst(m, FV_K_LOAD, (fv_dtype)m->buffer[buf].dtype, lanes, offset, count, NONE);
  m->inst[at].buf = (uint8_t)buf;
  return at;
}

static inline void store(made *m, int buf, uint32_t offset, uint32_t v, uint32_t count) {
  const uint32_t at =
      inst(m, FV_K_STORE, (fv_dtype)m->buffer[buf].dtype, m->inst[v].lanes, offset, v, count);
  m->inst[at].buf = (uint8_t)buf;
}

// block * lanes
static inline uint32_t position(made *m, int lanes) {
  const uint32_t block = inst(m, FV_K_BLOCK, FV_i64, 1, NONE, NONE, NONE);
  return op(m, FV_X_MUL, FV_i64, 1, block, constant(m, lanes), NONE);
}

static inline uint32_t plus(made *m, uint32_t a, int64_t v) {
  return op(m, FV_X_ADD, FV_i64, 1, a, constant(m, v), NONE);
}

#endif  // FOVEA_TESTS_UNIT_LLVM_PLUGIN_H_
