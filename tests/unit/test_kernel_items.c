// SPDX-License-Identifier: Apache-2.0
// Work-items as loops: random kernels of items that exchange values across
// barriers, against a plain evaluator that takes each step for all items. Values
// are vectors, in which leaves have 10 more in each lane.
#include <stdlib.h>
#include <string.h>

#include "ir/kernel/kernel.h"
#include "unit.h"

enum { MAX_STEP = 64, MAX_ITEM = 64, BLOCKS = 3, MAX_DEPTH = 4, LANES = 4 };

typedef enum kind {
  CONST,  // imm
  ITEM,
  BLOCK,
  ADD,       // a + b
  MUL,       // a * b
  VAR,       // a register, at first a
  GET,       // of register a
  SET,       // register a becomes b
  EXCHANGE,  // lane 0 of a of the item that is imm further on, round the group
  FOR,       // imm times
  IF_SAME,   // where the block is odd: all items go the same way
  IF_ITEM,   // where the last lane of a is odd
  END,       // of structure a
} kind;

typedef struct step {
  kind kind;
  int a, b;
  int64_t imm;
} step;

typedef struct program {
  step s[MAX_STEP];
  int n, n_item;
  int open[MAX_DEPTH], depth, varying;  // while it is made
  uint64_t random;
} program;

static int pick(program *p, int n) {
  p->random = p->random * 6364136223846793005u + 1442695040888963407u;
  return (int)((p->random >> 33) % (uint64_t)n);
}

//===-- Making programs -------------------------------------------------------===//

static bool in_sight(const program *p, int i) {
  int closed = 0;  // structures that end between i and here
  for (int k = p->n - 1; k > i; k--) {
    if (p->s[k].kind == END)
      closed++;
    else if (p->s[k].kind == FOR || p->s[k].kind == IF_SAME || p->s[k].kind == IF_ITEM)
      closed -= closed > 0;
  }
  return closed == 0;
}

static bool is_value(kind k) {
  return k <= MUL || k == GET || k == EXCHANGE;
}

// A step in sight that is a value, or a register; -1: none was hit.
static int find(program *p, bool is_register) {
  for (int tries = 0; tries < 24; tries++) {
    const int i = pick(p, p->n);
    if (in_sight(p, i) && (is_register ? p->s[i].kind == VAR : is_value(p->s[i].kind)))
      return i;
  }
  return is_register ? -1 : 0;
}

static void add(program *p, kind k, int a, int b, int64_t imm) {
  p->s[p->n++] = (step){k, a, b, imm};
}

static void open_structure(program *p, kind k, int a, int64_t imm) {
  p->open[p->depth++] = p->n;
  p->varying += k == IF_ITEM;
  add(p, k, a, 0, imm);
}

static void close_structure(program *p) {
  const int head = p->open[--p->depth];
  p->varying -= p->s[head].kind == IF_ITEM;
  add(p, END, head, 0, 0);
}

static void add_random(program *p) {
  const int var = find(p, true);
  switch (pick(p, 12)) {
  case 0: add(p, CONST, 0, 0, pick(p, 9)); break;
  case 1: add(p, ADD, find(p, false), find(p, false), 0); break;
  case 2: add(p, MUL, find(p, false), find(p, false), 0); break;
  case 3: add(p, VAR, find(p, false), 0, 0); break;
  case 4:
  case 5:
    if (var >= 0)
      add(p, SET, var, find(p, false), 0);
    break;
  case 6:
  case 7:
    if (var >= 0)
      add(p, GET, var, 0, 0);
    break;
  case 8:
    if (!p->varying)
      add(p, EXCHANGE, find(p, false), 0, pick(p, 70));
    break;
  case 9:
    if (p->depth)
      close_structure(p);
    break;
  case 10:
    if (p->depth < MAX_DEPTH)
      open_structure(p, pick(p, 2) ? IF_SAME : FOR, 0, 2 + pick(p, 2));
    break;
  default:
    if (p->depth < MAX_DEPTH)
      open_structure(p, IF_ITEM, find(p, false), 0);
    break;
  }
}

static void make(program *p, uint64_t seed) {
  static const int groups[] = {1, 2, 8, 64};
  *p = (program){.random = seed * 77};
  p->n_item = groups[pick(p, 4)];
  add(p, ITEM, 0, 0, 0);
  add(p, BLOCK, 0, 0, 0);
  add(p, VAR, 0, 0, 0);
  while (p->n < MAX_STEP - MAX_DEPTH - 1)
    add_random(p);
  while (p->depth)
    close_structure(p);
}

//===-- All items at once -----------------------------------------------------===//

typedef struct plain {
  const program *p;
  int64_t block, value[MAX_STEP][MAX_ITEM][LANES];
  int left[MAX_STEP];                // trips of a FOR
  bool off[MAX_STEP + 1][MAX_ITEM];  // items that are not in structure i; MAX_STEP: none
  int around[MAX_DEPTH + 1], depth;
} plain;

static int64_t plain_lane(const plain *m, const step *s, int k, int lane) {
  const int64_t a = m->value[s->a][k][lane], b = m->value[s->b][k][lane];
  switch (s->kind) {
  case CONST: return s->imm + 10 * lane;
  case ITEM: return k + 10 * lane;
  case BLOCK: return m->block + 10 * lane;
  case ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
  case MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
  case EXCHANGE: return m->value[s->a][(k + s->imm) % m->p->n_item][0] + 10 * lane;
  case SET: return b;
  default: return a;
  }
}

static void plain_step(plain *m, int i) {
  const step *s = &m->p->s[i];
  int64_t got[MAX_ITEM][LANES];
  for (int k = 0; k < m->p->n_item; k++)
    for (int lane = 0; lane < LANES; lane++)
      got[k][lane] = plain_lane(m, s, k, lane);
  for (int k = 0; k < m->p->n_item; k++)
    if (!m->off[m->around[m->depth]][k])
      memcpy(m->value[s->kind == SET ? s->a : i][k], got[k], sizeof got[k]);
}

static void enter(plain *m, int i) {
  const step *s = &m->p->s[i];
  const bool *outer = m->off[m->around[m->depth]];
  for (int k = 0; k < m->p->n_item; k++)
    m->off[i][k] = outer[k] || (s->kind == IF_ITEM && !(m->value[s->a][k][LANES - 1] & 1)) ||
                   (s->kind == IF_SAME && !(m->block & 1));
  m->left[i] = s->kind == FOR ? (int)s->imm : 1;
  m->around[++m->depth] = i;
}

static void run_plain(plain *m) {
  m->around[0] = MAX_STEP;
  for (int i = 0; i < m->p->n; i++) {
    const step *s = &m->p->s[i];
    if (s->kind == FOR || s->kind == IF_SAME || s->kind == IF_ITEM)
      enter(m, i);
    else if (s->kind != END)
      plain_step(m, i);
    else if (--m->left[s->a] > 0)
      i = s->a;
    else
      m->depth--;
  }
}

//===-- As a kernel -----------------------------------------------------------===//

typedef struct building {
  const program *p;
  fv_kb *kb;
  fv_kv v[MAX_STEP];
  int shared;
} building;

static fv_kv exchange(building *b, const step *s) {
  fv_kb *kb = b->kb;
  const fv_kv n = fv_kb_i64(kb, b->p->n_item), item = fv_kb_item(kb);
  fv_kb_store(kb, b->shared, item, fv_kb_extract(kb, b->v[s->a], 0), FV_K_NONE);
  fv_kb_barrier(kb);
  const fv_kv at = fv_kb_op(kb, FV_X_MOD, fv_kb_add(kb, item, fv_kb_i64(kb, s->imm)), n, FV_K_NONE);
  const fv_kv got = fv_kb_load(kb, b->shared, at, 1, FV_K_NONE);
  fv_kb_barrier(kb);
  return fv_kb_ramp(kb, got, 10, LANES);
}

static fv_kv odd(fv_kb *kb, fv_kv x) {
  const fv_kv bit = fv_kb_op(kb, FV_X_AND, x, fv_kb_i64(kb, 1), FV_K_NONE);
  return fv_kb_op(kb, FV_X_EQ, bit, fv_kb_i64(kb, 1), FV_K_NONE);
}

static void build_step(building *b, int i) {
  fv_kb *kb = b->kb;
  const step *s = &b->p->s[i];
  switch (s->kind) {
  case CONST: b->v[i] = fv_kb_ramp(kb, fv_kb_i64(kb, s->imm), 10, LANES); break;
  case ITEM: b->v[i] = fv_kb_ramp(kb, fv_kb_item(kb), 10, LANES); break;
  case BLOCK: b->v[i] = fv_kb_ramp(kb, fv_kb_block(kb), 10, LANES); break;
  case ADD: b->v[i] = fv_kb_add(kb, b->v[s->a], b->v[s->b]); break;
  case MUL: b->v[i] = fv_kb_mul(kb, b->v[s->a], b->v[s->b]); break;
  case VAR: b->v[i] = fv_kb_var(kb, b->v[s->a]); break;
  case GET: b->v[i] = fv_kb_get(kb, b->v[s->a]); break;
  case SET: fv_kb_set(kb, b->v[s->a], b->v[s->b]); break;
  case EXCHANGE: b->v[i] = exchange(b, s); break;
  case FOR: b->v[i] = fv_kb_for(kb, fv_kb_i64(kb, 0), fv_kb_i64(kb, s->imm), 1); break;
  case IF_SAME: fv_kb_if(kb, odd(kb, fv_kb_block(kb))); break;
  case IF_ITEM: fv_kb_if(kb, odd(kb, fv_kb_extract(kb, b->v[s->a], LANES - 1))); break;
  case END: fv_kb_end(kb); break;
  }
}

// Each item writes what the values and registers outside of all structures are at the end.
static fv_kernel *build(const program *p, fv_arena *ar, bool loops, int *n_out) {
  fv_xpool *pool = fv_xpool_create(ar);
  building b = {.p = p, .kb = fv_kb_create(ar, pool, "test")};
  fv_kb *kb = b.kb;
  fv_kb_set_items(kb, (uint32_t)p->n_item);
  const int out = fv_kb_buffer(kb, FV_i64, true);
  b.shared = fv_kb_scratch(kb, FV_i64, fv_x_i64(pool, p->n_item));
  int depth = 0;
  for (int i = 0; i < p->n; i++)
    build_step(&b, i);
  const fv_kv row =
      fv_kb_add(kb, fv_kb_mul(kb, fv_kb_block(kb), fv_kb_i64(kb, p->n_item)), fv_kb_item(kb));
  *n_out = 0;
  for (int i = 0; i < p->n; i++) {
    const kind k = p->s[i].kind;
    depth += (k == FOR || k == IF_SAME || k == IF_ITEM) - (k == END);
    if (depth || !(is_value(k) || k == VAR))
      continue;
    const fv_kv at = fv_kb_add(kb, fv_kb_mul(kb, row, fv_kb_i64(kb, MAX_STEP * LANES)),
                               fv_kb_i64(kb, LANES * (*n_out)++));
    fv_kb_store(kb, out, at, k == VAR ? fv_kb_get(kb, b.v[i]) : b.v[i], FV_K_NONE);
  }
  return fv_kb_finish(loops ? fv_kb_item_loops(kb) : kb, "test", fv_x_i64(pool, BLOCKS));
}

typedef struct test {
  fv_arena *ar;
  uint64_t seed;
} test;

static int compare(const program *p, const int64_t *got, int64_t block) {
  plain *m = calloc(1, sizeof *m);
  assert_non_null(m);
  m->p = p;
  m->block = block;
  run_plain(m);
  int wrong = 0;
  for (int k = 0; k < p->n_item; k++) {
    int depth = 0, n = 0;
    const int64_t *row = got + (block * p->n_item + k) * MAX_STEP * LANES;
    for (int i = 0; i < p->n; i++) {
      const kind x = p->s[i].kind;
      depth += (x == FOR || x == IF_SAME || x == IF_ITEM) - (x == END);
      if (!depth && (is_value(x) || x == VAR))
        wrong += memcmp(row + (ptrdiff_t)LANES * n++, m->value[i][k], sizeof m->value[i][k]) != 0;
    }
  }
  free(m);
  return wrong;
}

// As loops, or by the interpreter's own items.
static void run_one(const test *t, bool loops) {
  program p;
  int n_out;
  make(&p, t->seed);
  const fv_kernel *k = build(&p, t->ar, loops, &n_out);
  assert_int_equal(k->code.n_item, loops ? 1 : p.n_item);
  int64_t scalar[8] = {0}, scratch_bytes = 0;
  assert_true(k->code.n_scalar <= FV_COUNTOF(scalar));
  for (uint32_t i = 0; i < k->code.n_scalar; i++)
    assert_true(fv_x_eval_i64(k->scalar[i], NULL, &scalar[i]));
  if (k->scratch_bytes)
    assert_true(fv_x_eval_i64(k->scratch_bytes, NULL, &scratch_bytes));
  const size_t bytes = sizeof(int64_t) * BLOCKS * (size_t)p.n_item * MAX_STEP * LANES;
  int64_t *out = fv_arena_alloc_n(t->ar, bytes, 1);
  const fv_kmemory memory = {.buf = (void *[]){out},
                             .bytes = (int64_t[]){(int64_t)bytes},
                             .scratch = fv_arena_alloc_n(t->ar, (size_t)scratch_bytes + 1, 1),
                             .scratch_bytes = scratch_bytes};
  assert_int_equal(fv_kernel_interpret_in(&k->code, t->ar, &memory, scalar, 0, BLOCKS), 0);
  for (int64_t block = 0; block < BLOCKS; block++)
    if (compare(&p, out, block)) {
      fv_str s = {.arena = t->ar};
      fv_kernel_print(&k->code, &s);
      fail_msg("seed %llu, %d items, block %d differs:\n%s", (unsigned long long)t->seed, p.n_item,
               (int)block, s.data);
    }
}

static fv_status run_random(void *user) {
  run_one(user, true);
  run_one(user, false);
  return FV_OK;
}

//===-- Races -----------------------------------------------------------------===//

// Items that write and read elements of the group, with barriers between or not.
typedef struct meeting {
  bool barrier, shift, writes;  // the second access: of the next item's element; a store
  int32_t want;
} meeting;

static fv_status meet(void *user) {
  static const meeting all[] = {
      {false, false, false, 0}, {false, true, false, FV_K_RACE}, {true, true, false, 0},
      {false, false, true, 0},  {false, true, true, FV_K_RACE},  {true, true, true, 0},
  };
  enum { N = 8 };
  fv_arena *ar = ((const test *)user)->ar;
  for (size_t i = 0; i < FV_COUNTOF(all); i++) {
    fv_xpool *pool = fv_xpool_create(ar);
    fv_kb *kb = fv_kb_create(ar, pool, "meet");
    fv_kb_set_items(kb, N);
    const int out = fv_kb_buffer(kb, FV_i64, true);
    const int shared = fv_kb_scratch(kb, FV_i64, fv_x_i64(pool, N));
    const fv_kv item = fv_kb_item(kb), one = fv_kb_i64(kb, 1);
    const fv_kv next =
        fv_kb_op(kb, FV_X_MOD, fv_kb_add(kb, item, one), fv_kb_i64(kb, N), FV_K_NONE);
    const fv_kv at = all[i].shift ? next : item;
    fv_kb_store(kb, shared, item, item, FV_K_NONE);
    if (all[i].barrier)
      fv_kb_barrier(kb);
    if (all[i].writes)
      fv_kb_store(kb, shared, at, one, FV_K_NONE);
    else
      fv_kb_store(kb, out, item, fv_kb_load(kb, shared, at, 1, FV_K_NONE), FV_K_NONE);
    const fv_kernel *k = fv_kb_finish(kb, "meet", fv_x_i64(pool, 1));
    int64_t result[N], scratch[N], scalar[2] = {0};
    const fv_kmemory memory = {.buf = (void *[]){result},
                               .bytes = (int64_t[]){sizeof result},
                               .scratch = scratch,
                               .scratch_bytes = sizeof scratch};
    assert_true(k->code.n_scalar <= FV_COUNTOF(scalar));
    assert_int_equal(fv_kernel_interpret_in(&k->code, ar, &memory, scalar, 0, 1), all[i].want);
  }
  return FV_OK;
}

static void test_races(void **state) {
  (void)state;
  test t = {.ar = fv_arena_create(NULL)};
  assert_int_equal(fv_arena_protect(t.ar, meet, &t, NULL), FV_OK);
  fv_arena_destroy(t.ar);
}

static void test_random(void **state) {
  (void)state;
  const char *seed = getenv("FV_SEED");
  const uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
  for (uint64_t i = first; i < first + (seed ? 1 : 2000); i++) {
    test t = {.ar = fv_arena_create(NULL), .seed = i};
    const char *bug = NULL;
    if (fv_arena_protect(t.ar, run_random, &t, &bug) != FV_OK)
      fail_msg("seed %llu: %s", (unsigned long long)i, bug ? bug : "");
    fv_arena_destroy(t.ar);
  }
}

//===-- What is refused -------------------------------------------------------===//

static fv_status barrier_apart(void *user) {
  const test *t = user;
  fv_kb *kb = fv_kb_create(t->ar, fv_xpool_create(t->ar), "test");
  fv_kb_set_items(kb, 8);
  const int out = fv_kb_buffer(kb, FV_i64, true);
  fv_kb_if(kb, odd(kb, fv_kb_item(kb)));
  fv_kb_store(kb, out, fv_kb_item(kb), fv_kb_i64(kb, 1), FV_K_NONE);
  fv_kb_barrier(kb);
  fv_kb_end(kb);
  (void)fv_kb_item_loops(kb);
  return FV_OK;
}

static void test_barrier_apart(void **state) {
  (void)state;
  test t = {.ar = fv_arena_create(NULL)};
  const char *bug = NULL;
  assert_int_equal(fv_arena_protect(t.ar, barrier_apart, &t, &bug), FV_ERR_INTERNAL);
  assert_non_null(strstr(bug, "barrier"));
  fv_arena_destroy(t.ar);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random),
      cmocka_unit_test(test_barrier_apart),
      cmocka_unit_test(test_races),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
