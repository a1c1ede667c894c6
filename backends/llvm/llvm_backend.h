// SPDX-License-Identifier: Apache-2.0
// llvm_backend.h - what the files of this backend share.
//
// In the order of who calls whom, each file only those before it (tests/call_order.sh):
//   report.c   its words, and those of LLVM
//   uses_x86_64.c  what machine code is made of
//   arch.c     the architectures, by arch.def
//   cpus.c     names of CPUs and features
//   needs.c    which features a device may use, and which ones its code does
//   target.c   which machine: CPU, features, what its instruction set can do
//   codegen.c  a module through passes to code
//   values.c   kernel IR -> LLVM IR: types and constants
//   convert.c  ... casts
//   scalar.c   ... primitives
//   memory.c   ... loads and stores
//   print.c    ... structure: loops, variables, entry points
//   parts.c    kernels -> objects, on all threads
//   jit.c      ... -> this process
//   elf.c      objects with room for data
//   link.c     runs the linker
//   libc.c     what a library takes from libc, to link against
//   artifact.c kernels + artifact runtime -> a library
//   llvm.c     the table
//
// Everything here works without the host's allocator: memory is malloc's, and
// running out of it is FV_PLUGIN_OOM.
#ifndef FOVEA_BACKENDS_LLVM_LLVM_BACKEND_H_
#define FOVEA_BACKENDS_LLVM_LLVM_BACKEND_H_

#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/TargetMachine.h>
#include <stdbool.h>

#include "fovea/plugin.h"

//===-- Architectures ---------------------------------------------------===//

typedef struct llvm_arch {  // a row of arch.def, which says what these are
  const char *name, *least;
  uint16_t machine, registers;
  const char *calls[2];
  uint16_t glibc;
  const char *const *features;  // by features.def; ends with NULL
  // Adds the features that the code is made of to a set of bits in the order of `features`; `has`
  // are those that its maker was told of. False: there is an instruction that it does not know.
  // NULL: that cannot be told.
  bool (*uses)(const uint8_t *code, size_t size, uint64_t has, uint64_t *set);
} llvm_arch;

bool llvm_uses_x86_64(const uint8_t *code, size_t size, uint64_t has, uint64_t *set);

const llvm_arch *llvm_arch_of(const char *triple);                            // NULL: there is none
int32_t llvm_no_arch(const fv_host *host, fv_report *r, const char *triple);  // says so
bool llvm_is_linux_gnu(const char *triple);
bool llvm_calls_nothing(const llvm_arch *arch, const char *assembly);

//===-- Target ----------------------------------------------------------===//

// What the instruction set does without calling a library.
typedef struct llvm_isa {
  bool fma;     // fused multiply-add
  bool f16c;    // f16 <-> f32
  bool round;   // round to an integral float
  bool native;  // code runs in this process
} llvm_isa;

struct fv_device {
  const fv_host *host;
  const llvm_arch *arch;
  bool is_linux_gnu;  // what a library can be made for
  LLVMTargetMachineRef machine;
  char *triple, *cpu, *features, *layout, *text;
  llvm_isa isa;
  fv_target target;
  char *has;           // the instruction sets that its code may be made of, "avx2,fma"
  bool host_features;  // `features` has all that the CPU has, not only a difference
};

// Reports what `...` prints, unless r is NULL, and returns status.
int32_t llvm_report(const fv_host *host, fv_report *r, int32_t status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

extern const fv_option_info llvm_options[];
int32_t llvm_open(const fv_host *host, const fv_option *options, size_t n_options, fv_report *r,
                  fv_device **out);
void llvm_close(fv_device *d);

// cpus.c: may these be given to LLVM (which prints to stderr or aborts otherwise)? NULL: not
// given by the user.
int32_t llvm_check_names(const fv_host *host, fv_report *r, const llvm_arch *arch, const char *name,
                         const char *features);
// "avx2,fma"; NULL: no such CPU.
const char *llvm_cpu_features(const llvm_arch *arch, const char *name);
bool llvm_is_feature(const llvm_arch *arch, const char *name, size_t n);  // of some CPU
bool llvm_has_word(const char *list, const char *word, size_t n);

// Takes from d->features what no program could ask its processor for, unless it is in `given`, the
// user's own; what is left, beyond what every CPU has, is d->has. False: out of memory.
bool llvm_limit_features(fv_device *d, const char *given);
// k->needs: what the object is made of; all of d->has where that cannot be told.
bool llvm_find_needs(fv_kernels *k);

// Collects the errors of a context: LLVM's own handler would print and exit.
typedef struct llvm_errors {
  char text[512];
} llvm_errors;
void llvm_catch_errors(LLVMContextRef cx, llvm_errors *errors);
int32_t llvm_report_error(fv_device *d, fv_report *r, LLVMErrorRef err);

// One for a thread: d->machine is that of the thread that the host calls from.
int32_t llvm_new_machine(const fv_device *d, fv_report *r, LLVMTargetMachineRef *out);
// Code of a module. The module is changed by this (lowered) and must not be
// used again. *out is released with LLVMDisposeMemoryBuffer.
int32_t llvm_codegen(fv_device *d, LLVMTargetMachineRef machine, LLVMModuleRef module,
                     LLVMCodeGenFileType type, const llvm_errors *errors, fv_report *r,
                     LLVMMemoryBufferRef *out);
// Verifies, then runs a pass pipeline.
int32_t llvm_optimise(fv_device *d, LLVMTargetMachineRef machine, LLVMModuleRef module,
                      const char *passes, fv_report *r);

//===-- Printing --------------------------------------------------------===//

// State of printing one kernel.
typedef struct llvm_gen {
  LLVMContextRef cx;
  LLVMModuleRef module;
  LLVMBuilderRef b;
  LLVMValueRef fn;
  LLVMBasicBlockRef entry;  // allocas go here
  const llvm_isa *isa;
  const fv_kernel_code *k;
  LLVMValueRef *value;   // of each instruction
  LLVMValueRef *buffer;  // base pointer of each buffer
  LLVMValueRef scalars, block;
  const char *unsupported;  // first thing this printer cannot do
} llvm_gen;

// Prints `k` as the exported function `symbol` (fv_cpu_kernel_fn).
int32_t llvm_print_kernel(fv_device *d, LLVMModuleRef module, const fv_kernel_code *k,
                          const char *symbol, fv_report *r);
void llvm_mark_function(fv_device *d, LLVMValueRef fn);  // target attributes

// The type of a value: f16 and bf16 are held as i16, bool as i1.
LLVMTypeRef llvm_type(llvm_gen *g, fv_dtype t, unsigned lanes);
LLVMTypeRef llvm_int_type(llvm_gen *g, unsigned bits, unsigned lanes);
unsigned llvm_bits(fv_dtype t);
bool llvm_is_float(fv_dtype t);
bool llvm_is_narrow_float(fv_dtype t);  // f16, bf16: computed in f32
bool llvm_is_unsigned(fv_dtype t);

LLVMValueRef llvm_int(llvm_gen *g, unsigned bits, unsigned lanes, int64_t v);  // splat
LLVMValueRef llvm_real(llvm_gen *g, fv_dtype t, unsigned lanes, double v);     // f32, f64
LLVMValueRef llvm_splat(llvm_gen *g, LLVMValueRef scalar, unsigned lanes);
LLVMValueRef llvm_ramp(llvm_gen *g, unsigned bits, unsigned lanes, int64_t step);
// An intrinsic overloaded on the n_types given.
LLVMValueRef llvm_call(llvm_gen *g, const char *name, LLVMTypeRef *types, unsigned n_types,
                       LLVMValueRef *args, unsigned n_args);

LLVMValueRef llvm_load(llvm_gen *g, const fv_kinst *in);
LLVMValueRef llvm_gather(llvm_gen *g, const fv_kinst *in);
void llvm_store(llvm_gen *g, const fv_kinst *in);
void llvm_prefetch(llvm_gen *g, const fv_kinst *in);
void llvm_scatter(llvm_gen *g, const fv_kinst *in);

// Primitive `op` on values of dtype t; the result type is that of the table.
LLVMValueRef llvm_op(llvm_gen *g, fv_scalar_op op, fv_dtype t, unsigned lanes, LLVMValueRef a,
                     LLVMValueRef b, LLVMValueRef c);
LLVMValueRef llvm_cast(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes, LLVMValueRef v);
LLVMValueRef llvm_bitcast(llvm_gen *g, fv_dtype to, fv_dtype from, unsigned lanes, LLVMValueRef v);

//===-- Sets of kernels -------------------------------------------------===//

#define LLVM_SYMBOL_SIZE 64
typedef struct llvm_symbol {
  char text[LLVM_SYMBOL_SIZE];
} llvm_symbol;

// Kernels first..end that are no others' equals, in a module of their own.
typedef struct llvm_part {
  size_t first, end, n_inst;
  LLVMMemoryBufferRef bitcode, object;  // optimised; compiled
  int32_t status;
} llvm_part;

struct fv_kernels {
  fv_device *device;
  llvm_part *part;
  size_t n_part;
  LLVMContextRef cx;  // of what is made of all parts together
  llvm_errors errors;
  char *needs;          // the instruction sets that the code is made of
  LLVMOrcLLJITRef jit;  // NULL: the code is for another machine
  size_t count;
  fv_cpu_kernel_fn *entry;  // of each kernel
  uint32_t *unit;           // equal kernels share the function of unit[i]
  llvm_symbol *symbol;      // name of each kernel's function
};

LLVMModuleRef llvm_new_module(fv_kernels *k, const char *name);  // empty, in k->cx
// Fills part, unit and symbol.
int32_t llvm_make_parts(fv_kernels *k, const fv_kernel_code *const *kernels, fv_report *r);
void llvm_drop_parts(fv_kernels *k);
// Adds all kernels to a module of k->cx.
int32_t llvm_whole_module(fv_kernels *k, LLVMModuleRef whole, fv_report *r);
int32_t llvm_compile(fv_device *d, const fv_kernel_code *const *kernels, size_t count, fv_report *r,
                     fv_kernels **out);
void llvm_release(fv_kernels *k);
fv_cpu_kernel_fn llvm_cpu_kernel(fv_kernels *k, size_t index);
// Assembly or an object of the set.
int32_t llvm_set_code(fv_kernels *k, LLVMCodeGenFileType type, fv_report *r,
                      LLVMMemoryBufferRef *out);
int32_t llvm_emit_artifact(fv_kernels *k, const fv_artifact *a, fv_report *r, fv_blob *out);

//===-- Objects and linking ---------------------------------------------===//

// A piece of a file.
typedef struct llvm_piece {
  const void *data;
  size_t size;
} llvm_piece;

// A relocatable object with one read-only section that has room for `size` bytes, which are not
// there, under the hidden symbol `symbol` (at most LLVM_NAME_MAX bytes).
enum { LLVM_NAME_MAX = 255 };
typedef struct llvm_elf {
  unsigned char data[1024];
  size_t size;
} llvm_elf;
void llvm_elf_room(llvm_elf *e, uint16_t machine, const char *symbol, uint64_t size);
// What was linked with it is changed so that the section, the only one of its kind, has the bytes
// that will stand at *out_at, less than a page (of the architecture that has the largest) behind
// the end. False if it is no such file.
enum { LLVM_ELF_PAGE = 1 << 16 };
bool llvm_elf_fill(void *file, size_t size, uint64_t room, uint64_t *out_at);

// The files of a link.
typedef enum llvm_file {
  LLVM_FILE_MAIN,       // image, tables, runtime
  LLVM_FILE_KERNELS,    // ... if they are not in there
  LLVM_FILE_CONSTANTS,  // room for the weights
  LLVM_FILE_PLACE,      // script: where that is
  LLVM_FILE_EXPORTS,    // version script: what is seen from outside
  LLVM_FILE_LIBC,       // what stands for libc: see libc.c
  LLVM_FILE_LIBC_CODE,
  LLVM_FILE_LIBC_VERSIONS,
  LLVM_FILE_LIBPTHREAD,
  LLVM_FILE_LIBPTHREAD_CODE,
  LLVM_FILE_LIBPTHREAD_VERSIONS,
  LLVM_FILE_RESULT,
  LLVM_FILE_COUNT
} llvm_file;

typedef struct llvm_linker {
  const fv_host *host;
  fv_report *report;
  char *program;
  int fd[LLVM_FILE_COUNT];
  char path[LLVM_FILE_COUNT][32];  // for the linker's arguments
} llvm_linker;

// `program`: path of ld.lld, or NULL to search. Close it in any case.
int32_t llvm_linker_open(llvm_linker *l, const fv_host *host, fv_report *r, const char *program);
// Puts pieces into an input, behind what it has.
int32_t llvm_linker_add(llvm_linker *l, llvm_file f, const llvm_piece *piece, size_t count);
int32_t llvm_linker_add_buffer(llvm_linker *l, llvm_file f, LLVMMemoryBufferRef b);
int32_t llvm_linker_add_text(llvm_linker *l, llvm_file f, const char *text);
// Runs it with argv[1..] (argv[0] is filled in; NULL-terminated), among them -o -, which is `out`.
int32_t llvm_linker_run(llvm_linker *l, const char **argv, llvm_file out);
// Its bytes, and as many zeros behind them as there may be need for, which do not count.
int32_t llvm_linker_read(llvm_linker *l, llvm_file f, size_t spare, fv_blob *out);
void llvm_linker_close(llvm_linker *l);

// Makes LLVM_FILE_LIBC and LLVM_FILE_LIBPTHREAD.
int32_t llvm_make_libc(llvm_linker *l, fv_kernels *k, fv_report *r);

#endif  // FOVEA_BACKENDS_LLVM_LLVM_BACKEND_H_
