// SPDX-License-Identifier: Apache-2.0
// Random well-typed graphs.
//
// A generator holds the values made so far and what is known of them: whether
// they are exact (small integers moved, added, multiplied: every order of
// evaluation gives the same bits) and how large they are. Ops that jump, such as
// floor, compare and arg_max, take exact values only, so that rounding never
// decides a result and each difference between two backends is a bug.
//
// The name of an input says how it is filled (check.c): r reals, q positive
// numbers, n small integers, k<limit>_ indices below the limit. An output named
// exact* must agree bit for bit.
#ifndef FOVEA_TESTS_FUZZ_GEN_H_
#define FOVEA_TESTS_FUZZ_GEN_H_

#include "ir/sem/sem.h"

typedef struct fuzz_rng {
  uint64_t s;
} fuzz_rng;
uint64_t fuzz_next(fuzz_rng *r);               // splitmix64
uint64_t fuzz_below(fuzz_rng *r, uint64_t n);  // 0..n-1
double fuzz_unit(fuzz_rng *r);                 // [0, 1)
uint64_t fuzz_hash(const void *data, size_t n, uint64_t seed);

// How a tensor of a kind is filled.
fv_scalar fuzz_element(fuzz_rng *r, char kind, int64_t limit, fv_dtype t);

typedef struct val {
  fv_value *v;
  double mag, min;  // |x| <= mag, x >= min
  bool exact;
} val;

enum { GEN_MAX_VALUES = 512, GEN_MAX_DIMS = 8, GEN_LARGEST_SIZE = 33 };

typedef struct gen {
  fuzz_rng r;
  fv_arena *arena;
  fv_module *m;
  fv_graph *graph;
  fv_region *region;  // where nodes go
  fv_diag_sink silent;
  val value[GEN_MAX_VALUES];
  int n;
  fv_dtype real;  // the float type that most values have
  bool integral;  // fresh floats are small integers
  const fv_expr *dim[GEN_MAX_DIMS];
  int n_dim;
  int64_t largest[64];  // per symbol: a size for limits on work
  int n_input, n_counter;
  int depth;     // of loops
  double trips;  // of the loops around
} gen;

// A whole module from a seed.
void fuzz_generate(fv_arena *ar, uint64_t seed, fv_module **out);

//===-- For the builders ----------------------------------------------------===//

static inline bool gen_chance(gen *g, double p) {
  return fuzz_unit(&g->r) < p;
}
static inline int gen_int(gen *g, int lo, int hi) {
  return lo + (int)fuzz_below(&g->r, (uint64_t)(hi - lo + 1));
}
bool gen_is_real(const val *a);
bool gen_is_int(const val *a);
const fv_expr *gen_dim(gen *g);  // one of the graph's, or a new one
const fv_expr *gen_i64(gen *g, int64_t v);
bool gen_static(const fv_expr *e, int64_t *out);

// A value made before, lately more often than long ago.
val gen_pick(gen *g);
val gen_pick_real(gen *g);                  // made if there is none
val gen_pick_rank(gen *g, int lo, int hi);  // real; reshaped or made if there is none
val gen_small(gen *g, val a, double mag);   // a, squeezed below mag if it may be larger
// A new input or constant. kind: r, q, n as above, or 0: as the graph likes it.
val gen_fresh(gen *g, char kind, fv_dtype t, int rank, const fv_expr *const *dims);
val gen_index(gen *g, fv_dtype t, int64_t limit, int rank, const fv_expr *const *dims);

fv_node *gen_node(gen *g, fv_op op, int n_in, const val *in);  // not placed yet
// Infers and places it; its results become values. False if it is refused or
// would be too large. `like`: exactness, magnitude and least value of them.
bool gen_done(gen *g, fv_node *n, val like);
bool gen_op(gen *g, fv_op op, int n_in, const val *in, val like);  // both, no attributes
static inline val gen_last(const gen *g) {
  return g->value[g->n - 1];
}

// One attempt to add something; false if nothing was added.
typedef bool (*gen_builder)(gen *g);
bool gen_step(gen *g);
void gen_steps(gen *g, int n);

// gen_maps.c
bool gen_unary(gen *g), gen_binary(gen *g), gen_compare(gen *g), gen_where(gen *g),
    gen_cast(gen *g);
// gen_moves.c
bool gen_reshape(gen *g), gen_transpose(gen *g), gen_slice(gen *g), gen_concat(gen *g),
    gen_pad(gen *g), gen_expand(gen *g), gen_gather(gen *g), gen_scatter(gen *g), gen_make(gen *g),
    gen_split(gen *g);
// gen_sums.c
bool gen_reduce(gen *g), gen_moments(gen *g), gen_arg(gen *g), gen_top_k(gen *g),
    gen_matmul(gen *g), gen_linear(gen *g), gen_conv(gen *g), gen_pool(gen *g), gen_softmax(gen *g),
    gen_norm(gen *g);
// gen_indexed.c
bool gen_gather_nd(gen *g), gen_scatter_nd(gen *g), gen_scan(gen *g), gen_layer(gen *g);
// gen_blocks.c
bool gen_attention(gen *g), gen_cell(gen *g), gen_rotary(gen *g), gen_loop(gen *g),
    gen_masked(gen *g);
// gen_if.c
bool gen_if(gen *g);
void gen_state(gen *g);

#endif  // FOVEA_TESTS_FUZZ_GEN_H_
