// SPDX-License-Identifier: Apache-2.0
// Which machine to make code for. What its instruction set can do is asked of
// LLVM itself: a few lines are compiled and the assembly looked at. That holds
// for every CPU name, feature list and triple, without a table of our own.
#define _GNU_SOURCE
#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "llvm_backend.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_targets(void) {
  LLVMInitializeAllTargetInfos();
  LLVMInitializeAllTargets();
  LLVMInitializeAllTargetMCs();
  LLVMInitializeAllAsmPrinters();
  LLVMInitializeAllAsmParsers();  // the artifact runtime has inline assembly
}

//===-- Attributes ------------------------------------------------------===//

static void add_string(LLVMContextRef cx, LLVMValueRef fn, const char *key, const char *value) {
  LLVMAttributeRef a =
      LLVMCreateStringAttribute(cx, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(fn, (unsigned)LLVMAttributeFunctionIndex, a);
}

void llvm_mark_function(fv_device *d, LLVMValueRef fn) {
  LLVMContextRef cx = LLVMGetModuleContext(LLVMGetGlobalParent(fn));
  const char *width = d->target.vector_bits == 256 ? "256" : "512";
  add_string(cx, fn, "target-cpu", d->cpu);
  if (d->features[0])
    add_string(cx, fn, "target-features", d->features);
  add_string(cx, fn, "prefer-vector-width", width);
  add_string(cx, fn, "min-legal-vector-width", width);
}

//===-- Probe -----------------------------------------------------------===//

// One function of one intrinsic on vectors of `element`.
static void add_probe(LLVMModuleRef m, LLVMBuilderRef b, fv_device *d, const char *intrinsic,
                      LLVMTypeRef element, unsigned lanes, unsigned n_args) {
  LLVMContextRef cx = LLVMGetModuleContext(m);
  LLVMTypeRef t = LLVMVectorType(element, lanes);
  LLVMTypeRef params[4] = {LLVMPointerTypeInContext(cx, 0), t, t, t};
  LLVMTypeRef ft = LLVMFunctionType(LLVMVoidTypeInContext(cx), params, n_args + 1, 0);
  LLVMValueRef fn = LLVMAddFunction(m, "probe", ft), args[3], v;
  llvm_mark_function(d, fn);
  LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(cx, fn, ""));
  for (unsigned i = 0; i < n_args; i++)
    args[i] = LLVMGetParam(fn, i + 1);
  if (intrinsic) {
    const unsigned id = LLVMLookupIntrinsicID(intrinsic, strlen(intrinsic));
    LLVMTypeRef it = LLVMIntrinsicGetType(cx, id, &t, 1);
    v = LLVMBuildCall2(b, it, LLVMGetIntrinsicDeclaration(m, id, &t, 1), args, n_args, "");
  } else {
    v = LLVMBuildFPExt(b, args[0], LLVMVectorType(LLVMFloatTypeInContext(cx), lanes), "");
  }
  LLVMBuildStore(b, v, LLVMGetParam(fn, 0));
  LLVMBuildRetVoid(b);
}

typedef LLVMTypeRef (*element_fn)(LLVMContextRef cx);

// Assembly of the probe; NULL when LLVM fails. `intrinsic` NULL: to f32.
static char *probe(fv_device *d, const char *intrinsic, element_fn element, unsigned lanes,
                   unsigned n_args) {
  LLVMContextRef cx = LLVMContextCreate();
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext("probe", cx);
  LLVMBuilderRef b = LLVMCreateBuilderInContext(cx);
  llvm_errors errors = {{0}};
  llvm_catch_errors(cx, &errors);
  LLVMSetTarget(m, d->triple);
  LLVMSetDataLayout(m, d->layout);
  add_probe(m, b, d, intrinsic, element(cx), lanes, n_args);
  LLVMMemoryBufferRef out = NULL;
  char *text = NULL, *copy = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(d->machine, m, LLVMAssemblyFile, &text, &out)) {
    LLVMDisposeMessage(text);
  } else {
    const size_t n = LLVMGetBufferSize(out);
    copy = malloc(n + 1);
    if (copy) {
      memcpy(copy, LLVMGetBufferStart(out), n);
      copy[n] = 0;
    }
    LLVMDisposeMemoryBuffer(out);
  }
  LLVMDisposeBuilder(b);
  LLVMDisposeModule(m);
  LLVMContextDispose(cx);
  return copy;
}

// AVX-512 without its narrower vectors (avx512vl): LLVM ends the process on some kernels, wide ones
// of it (evex512) or not. One number is compared into a mask register by all that has AVX-512,
// eight only with narrower vectors; neither is an instruction that LLVM fails to find.
static bool lacks_vl(const char *one, const char *eight) {
  return strstr(one, "%k") && !strstr(eight, "%k");
}

static int32_t probe_isa(fv_device *d, fv_report *r) {
  char *fma = probe(d, "llvm.fma", LLVMFloatTypeInContext, 16, 3),
       *f16 = probe(d, NULL, LLVMHalfTypeInContext, 8, 1),
       *round = probe(d, "llvm.roundeven", LLVMFloatTypeInContext, 8, 1),
       *one = probe(d, "llvm.maxnum", LLVMFloatTypeInContext, 1, 2),
       *eight = probe(d, "llvm.maxnum", LLVMFloatTypeInContext, 8, 2);
  int32_t status = FV_PLUGIN_OK;
  if (!fma || !f16 || !round || !one || !eight) {
    status = llvm_report(d->host, r, FV_PLUGIN_FAILED,
                         "llvm: cannot make code for cpu '%s' of '%s'", d->cpu, d->triple);
  } else {
    d->isa.fma = llvm_calls_nothing(d->arch, fma);
    d->isa.f16c = llvm_calls_nothing(d->arch, f16);
    d->isa.round = llvm_calls_nothing(d->arch, round);
    d->target.vector_bits = strstr(fma, "zmm") ? 512 : strstr(fma, "ymm") && d->isa.fma ? 256 : 128;
    d->target.registers = d->target.vector_bits == 512 ? 32 : d->arch->registers;
    if (lacks_vl(one, eight))
      status = llvm_report(d->host, r, FV_PLUGIN_UNSUPPORTED,
                           "llvm: %s has avx512f but not avx512vl, which no code is made for; add "
                           "the feature, or take avx512f away",
                           d->cpu);
  }
  free(fma);
  free(f16);
  free(round);
  free(one);
  free(eight);
  return status;
}

//===-- Description for schedules ---------------------------------------===//

static uint32_t cache_size(int name, uint32_t otherwise) {
  const long n = sysconf(name);
  return n > 0 && n <= INT32_MAX ? (uint32_t)n : otherwise;
}

static uint32_t count_workers(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return n > 0 ? (uint32_t)n : 1;
}

static void describe_target(fv_device *d) {
  fv_target *t = &d->target;
  t->struct_size = sizeof *t;
  t->has_fma = d->isa.fma;
  t->has_f64 = t->has_f16 = 1;
  t->l1_bytes = 32u << 10;
  t->l2_bytes = 1u << 20;
  t->l3_bytes = 16u << 20;
  t->group_size = 1;
  t->workers = 1;
  if (!d->isa.native)
    return;
#ifdef _SC_LEVEL1_DCACHE_SIZE
  t->l1_bytes = cache_size(_SC_LEVEL1_DCACHE_SIZE, t->l1_bytes);
  t->l2_bytes = cache_size(_SC_LEVEL2_CACHE_SIZE, t->l2_bytes);
  t->l3_bytes = cache_size(_SC_LEVEL3_CACHE_SIZE, t->l3_bytes);
#endif
  t->workers = count_workers();
}

static char *join(const char *a, const char *b, const char *c) {
  const size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
  char *s = malloc(n);
  if (s)
    snprintf(s, n, "%s%s%s", a, b, c);
  return s;
}

static bool describe_text(fv_device *d) {
  char tail[64];
  const size_t arch = strcspn(d->triple, "-");
  snprintf(tail, sizeof tail, ", %u-bit vectors", (unsigned)d->target.vector_bits);
  d->text = join(d->triple, " ", "");
  if (!d->text)
    return false;
  d->text[arch] = 0;
  char *text = join(d->text, " ", d->cpu);
  free(d->text);
  d->text = text ? join(text, tail, "") : NULL;
  free(text);
  return d->text != NULL;
}

//===-- Open ------------------------------------------------------------===//

static char *copy_message(char *m) {
  char *s = strdup(m);
  LLVMDisposeMessage(m);
  return s;
}

typedef struct choice {
  const char *triple, *cpu, *features;
} choice;

const fv_option_info llvm_options[] = {
    {.key = "cpu", .arg = "NAME", .doc = "the CPU to make code for (default: this one's)"},
    {.key = "features",
     .arg = "+NAME,-NAME",
     .doc = "instruction sets more or less than the CPU has",
     .is_list = 1},
    {.key = "triple", .arg = "TRIPLE", .doc = "another machine, e.g. aarch64-linux-gnu"},
    {.key = NULL}};

static void read_options(const fv_option *o, size_t n, choice *c) {
  for (size_t i = 0; i < n; i++) {
    if (strcmp(o[i].key, "triple") == 0)
      c->triple = o[i].value;
    else if (strcmp(o[i].key, "cpu") == 0)
      c->cpu = o[i].value;
    else if (strcmp(o[i].key, "features") == 0)
      c->features = o[i].value;
  }
  if (c->cpu && strcmp(c->cpu, "native") == 0)
    c->cpu = NULL;
}

// Fills triple, cpu and features: the host's, unless the options say other.
static int32_t choose(fv_device *d, const choice *c, fv_report *r) {
  char *host_triple = copy_message(LLVMGetDefaultTargetTriple());
  char *triple = c->triple ? copy_message(LLVMNormalizeTargetTriple(c->triple)) : NULL;
  int32_t status = FV_PLUGIN_OOM;
  if (host_triple && (triple || !c->triple)) {
    d->triple = triple ? triple : host_triple;
    d->arch = llvm_arch_of(d->triple);
    d->is_linux_gnu = llvm_is_linux_gnu(d->triple);
    d->isa.native = !triple || (d->arch == llvm_arch_of(host_triple) && d->is_linux_gnu);
    status = d->arch ? FV_PLUGIN_OK : llvm_no_arch(d->host, r, d->triple);
  }
  if (status == FV_PLUGIN_OK) {
    const bool host_cpu = d->isa.native && !c->cpu;
    d->host_features = host_cpu;
    d->cpu =
        host_cpu ? copy_message(LLVMGetHostCPUName()) : strdup(c->cpu ? c->cpu : d->arch->least);
    char *base = host_cpu ? copy_message(LLVMGetHostCPUFeatures()) : strdup("");
    const char *more = c->features ? c->features : "";
    // As clang does for -mavx512f: without it LLVM has no 512-bit vectors, and may end the process.
    const char *wide = strstr(more, "+avx512") ? "+evex512," : "";
    char *head = base ? join(base, base[0] && more[0] ? "," : "", wide) : NULL;
    d->features = head ? join(head, more, "") : NULL;
    free(head);
    free(base);
    status = d->cpu && d->features ? FV_PLUGIN_OK : FV_PLUGIN_OOM;
  }
  if (d->triple != host_triple)
    free(host_triple);
  if (d->triple != triple)
    free(triple);
  return status;
}

int32_t llvm_new_machine(const fv_device *d, fv_report *r, LLVMTargetMachineRef *out) {
  LLVMTargetRef target = NULL;
  char *text = NULL;
  if (LLVMGetTargetFromTriple(d->triple, &target, &text)) {
    const int32_t status =
        llvm_report(d->host, r, FV_PLUGIN_UNSUPPORTED, "llvm: no target '%s': %s", d->triple, text);
    LLVMDisposeMessage(text);
    return status;
  }
  // Position independent: the same code serves the JIT and a library.
  *out = LLVMCreateTargetMachine(target, d->triple, d->cpu, d->features, LLVMCodeGenLevelAggressive,
                                 LLVMRelocPIC, LLVMCodeModelSmall);
  return *out ? FV_PLUGIN_OK
              : llvm_report(d->host, r, FV_PLUGIN_FAILED, "llvm: cannot make code for '%s'",
                            d->triple);
}

static int32_t open_machine(fv_device *d, fv_report *r) {
  const int32_t status = llvm_new_machine(d, r, &d->machine);
  if (status != FV_PLUGIN_OK)
    return status;
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(d->machine);
  d->layout = copy_message(LLVMCopyStringRepOfTargetData(layout));
  LLVMDisposeTargetData(layout);
  return d->layout ? FV_PLUGIN_OK : FV_PLUGIN_OOM;
}

int32_t llvm_open(const fv_host *host, const fv_option *options, size_t n_options, fv_report *r,
                  fv_device **out) {
  choice c = {0};
  pthread_once(&once, init_targets);
  read_options(options, n_options, &c);
  fv_device *d = calloc(1, sizeof *d);
  if (!d)
    return FV_PLUGIN_OOM;
  d->host = host;
  int32_t status = choose(d, &c, r);
  if (status == FV_PLUGIN_OK)
    status = llvm_check_names(host, r, d->arch, c.cpu, c.features);
  if (status == FV_PLUGIN_OK && !llvm_limit_features(d, c.features ? c.features : ""))
    status = FV_PLUGIN_OOM;
  if (status == FV_PLUGIN_OK)
    status = open_machine(d, r);
  if (status == FV_PLUGIN_OK)
    status = probe_isa(d, r);
  if (status == FV_PLUGIN_OK) {
    describe_target(d);
    if (!describe_text(d))
      status = FV_PLUGIN_OOM;
  }
  if (status != FV_PLUGIN_OK) {
    llvm_close(d);
    return status;
  }
  *out = d;
  return FV_PLUGIN_OK;
}

void llvm_close(fv_device *d) {
  if (!d)
    return;
  if (d->machine)
    LLVMDisposeTargetMachine(d->machine);
  free(d->triple);
  free(d->cpu);
  free(d->features);
  free(d->layout);
  free(d->text);
  free(d->has);
  free(d);
}
