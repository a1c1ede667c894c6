// SPDX-License-Identifier: Apache-2.0
// Kernels -> parts, each a module of its own that one thread takes through LLVM. How kernels are
// spread over parts depends on the kernels alone, so the code is the same for any number of
// threads.
#define _GNU_SOURCE
#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Linker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llvm_backend.h"

// The kernels are scheduled, vectorised and unrolled already; what is left is
// to make SSA, share subexpressions and move invariant ones out of loops.
static const char kernel_passes[] =
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(licm<allowspeculation>),gvn,instcombine<no-verify-fixpoint>,"
    "loop-mssa(licm<allowspeculation>),simplifycfg,adce)";

// Instructions of a part, unless one kernel has more: what a context, a machine and an object cost
// is then little beside their code.
enum { PART_INSTS = 1024 };

//===-- Equal kernels -----------------------------------------------------===//

typedef struct keyed {
  uint64_t hash;
  uint32_t kernel;
} keyed;

static uint64_t hash_bytes(uint64_t h, const void *data, size_t size) {
  const unsigned char *p = data;
  for (size_t i = 0; i < size; i++)
    h = (h ^ p[i]) * UINT64_C(0x100000001b3);
  return h;
}

static uint64_t hash_kernel(const fv_kernel_code *k) {
  const uint32_t counts[] = {k->n_inst, k->n_buffer, k->n_global, k->n_scalar, k->n_item};
  uint64_t h = hash_bytes(UINT64_C(0xcbf29ce484222325), counts, sizeof counts);
  h = hash_bytes(h, k->inst, k->n_inst * sizeof *k->inst);
  return hash_bytes(h, k->buffer, k->n_buffer * sizeof *k->buffer);
}

static bool same_kernel(const fv_kernel_code *a, const fv_kernel_code *b) {
  if (a->n_inst != b->n_inst || a->n_buffer != b->n_buffer || a->n_global != b->n_global ||
      a->n_scalar != b->n_scalar || a->n_item != b->n_item)
    return false;
  return (a->n_inst == 0 || memcmp(a->inst, b->inst, a->n_inst * sizeof *a->inst) == 0) &&
         (a->n_buffer == 0 || memcmp(a->buffer, b->buffer, a->n_buffer * sizeof *a->buffer) == 0);
}

static int by_hash(const void *a, const void *b) {
  const keyed *x = a, *y = b;
  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  return x->kernel < y->kernel ? -1 : x->kernel > y->kernel;
}

// Equal kernels share a function: unit[i] is the first kernel equal to kernel i.
static bool find_equal(fv_kernels *k, const fv_kernel_code *const *kernels) {
  keyed *key = calloc(k->count + 1, sizeof *key);
  if (!key)
    return false;
  for (size_t i = 0; i < k->count; i++)
    key[i] = (keyed){hash_kernel(kernels[i]), (uint32_t)i};
  qsort(key, k->count, sizeof *key, by_hash);
  for (size_t i = 0, first = 0; i < k->count; i++) {
    const uint32_t a = key[i].kernel;
    if (key[first].hash != key[i].hash)
      first = i;
    size_t j = first;
    while (j < i && !same_kernel(kernels[key[j].kernel], kernels[a]))
      j++;
    k->unit[a] = key[j].kernel;
  }
  free(key);
  for (size_t i = 0; i < k->count; i++)
    snprintf(k->symbol[i].text, LLVM_SYMBOL_SIZE, "fovea_k%u_%.32s", (unsigned)k->unit[i],
             kernels[k->unit[i]]->name);
  return true;
}

//===-- Parts -------------------------------------------------------------===//

// In the order of the kernels; the room is there.
static void make_parts(fv_kernels *k, const fv_kernel_code *const *kernels) {
  for (size_t i = 0; i < k->count; i++) {
    if (k->unit[i] != i)
      continue;
    if (k->n_part == 0 || k->part[k->n_part - 1].n_inst >= PART_INSTS)
      k->part[k->n_part++] = (llvm_part){.first = i};
    llvm_part *p = &k->part[k->n_part - 1];
    p->end = i + 1;
    p->n_inst += kernels[i]->n_inst;
  }
}

// What one thread works with.
typedef struct session {
  LLVMContextRef cx;
  LLVMTargetMachineRef machine;
  llvm_errors errors;
} session;

static int32_t build_part(const fv_kernels *k, const fv_kernel_code *const *kernels, llvm_part *p,
                          const session *s, fv_report *r) {
  fv_device *d = k->device;
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext("kernels", s->cx);
  LLVMSetTarget(m, d->triple);
  LLVMSetDataLayout(m, d->layout);
  int32_t status = FV_PLUGIN_OK;
  for (size_t i = p->first; i < p->end && status == FV_PLUGIN_OK; i++)
    if (k->unit[i] == i)
      status = llvm_print_kernel(d, m, kernels[i], k->symbol[i].text, r);
  if (status == FV_PLUGIN_OK)
    status = llvm_optimise(d, s->machine, m, kernel_passes, r);
  if (status == FV_PLUGIN_OK)
    p->bitcode = LLVMWriteBitcodeToMemoryBuffer(m);
  if (status == FV_PLUGIN_OK)
    status = llvm_codegen(d, s->machine, m, LLVMObjectFile, &s->errors, r, &p->object);
  LLVMDisposeModule(m);
  return status;
}

static void drop_part(llvm_part *p) {
  if (p->bitcode)
    LLVMDisposeMemoryBuffer(p->bitcode);
  if (p->object)
    LLVMDisposeMemoryBuffer(p->object);
  p->bitcode = p->object = NULL;
}

static int32_t compile_part(const fv_kernels *k, const fv_kernel_code *const *kernels, llvm_part *p,
                            fv_report *r) {
  session s = {.cx = LLVMContextCreate()};
  llvm_catch_errors(s.cx, &s.errors);
  int32_t status = llvm_new_machine(k->device, r, &s.machine);
  if (status == FV_PLUGIN_OK)
    status = build_part(k, kernels, p, &s, r);
  if (s.machine)
    LLVMDisposeTargetMachine(s.machine);
  LLVMContextDispose(s.cx);
  return status;
}

typedef struct work {
  fv_kernels *k;
  const fv_kernel_code *const *kernels;
  uint32_t *order;  // of parts: large ones first, so that none is left over at the end
} work;

// Silent: other threads report nothing.
static void do_part(void *arg, uint32_t index) {
  const work *w = arg;
  llvm_part *p = &w->k->part[w->order[index]];
  p->status = compile_part(w->k, w->kernels, p, NULL);
}

static int by_size(const void *a, const void *b, void *parts) {
  const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  const llvm_part *p = parts;
  if (p[x].n_inst != p[y].n_inst)
    return p[x].n_inst > p[y].n_inst ? -1 : 1;
  return x < y ? -1 : x > y;
}

int32_t llvm_make_parts(fv_kernels *k, const fv_kernel_code *const *kernels, fv_report *r) {
  k->part = calloc(k->count + 1, sizeof *k->part);
  uint32_t *order = calloc(k->count + 1, sizeof *order);
  int32_t status = FV_PLUGIN_OOM;
  if (k->part && order && find_equal(k, kernels)) {
    make_parts(k, kernels);
    for (size_t i = 0; i < k->n_part; i++)
      order[i] = (uint32_t)i;
    qsort_r(order, k->n_part, sizeof *order, by_size, k->part);
    work w = {k, kernels, order};
    k->device->host->parallel_for(r, (uint32_t)k->n_part, do_part, &w);
    status = FV_PLUGIN_OK;
  }
  free(order);
  // What went wrong in the first of those that failed is told by failing again.
  for (size_t i = 0; i < k->n_part && status == FV_PLUGIN_OK; i++)
    if (k->part[i].status != FV_PLUGIN_OK) {
      drop_part(&k->part[i]);
      status = compile_part(k, kernels, &k->part[i], r);
    }
  return status;
}

void llvm_drop_parts(fv_kernels *k) {
  for (size_t i = 0; i < k->n_part; i++)
    drop_part(&k->part[i]);
  free(k->part);
}

//===-- All of them -------------------------------------------------------===//

int32_t llvm_whole_module(fv_kernels *k, LLVMModuleRef whole, fv_report *r) {
  for (size_t i = 0; i < k->n_part; i++) {
    LLVMModuleRef m = NULL;
    if (LLVMParseBitcodeInContext2(k->cx, k->part[i].bitcode, &m) || LLVMLinkModules2(whole, m))
      return llvm_report(k->device->host, r, FV_PLUGIN_FAILED, "llvm: %s", k->errors.text);
  }
  return FV_PLUGIN_OK;
}

int32_t llvm_set_code(fv_kernels *k, LLVMCodeGenFileType type, fv_report *r,
                      LLVMMemoryBufferRef *out) {
  fv_device *d = k->device;
  LLVMModuleRef m = llvm_new_module(k, "kernels");
  int32_t status = llvm_whole_module(k, m, r);
  if (status == FV_PLUGIN_OK)
    status = llvm_codegen(d, d->machine, m, type, &k->errors, r, out);
  LLVMDisposeModule(m);
  return status;
}
