// SPDX-License-Identifier: Apache-2.0
// Passes over modules in the text form.
#include <stdio.h>
#include <string.h>

#include "passes/pass.h"
#include "unit.h"

typedef struct env {
  fv_arena *arena;
  fv_diag_sink diag;
  collected log;
} env;

// The text of `in` after the passes.
static const char *after(env *e, const char *in, const char *passes) {
  fv_module *m;
  const fv_pipeline p = {.spec = passes};
  fv_str out = {.arena = e->arena};
  if (fv_text_parse(e->arena, "in.fvt", in, strlen(in), NULL, NULL, &e->diag, &m) != FV_OK ||
      fv_verify(m, "reading", &e->diag) != FV_OK || fv_pipeline_run(m, &p, &e->diag) != FV_OK)
    fail_msg("%s", e->log.text);
  fv_text_print(m, &out);
  return out.data;
}

static void check(const char *in, const char *passes, const char *want) {
  env e = {.arena = fv_arena_create(NULL)};
  e.diag = COLLECTING_SINK(&e.log);
  assert_string_equal(after(&e, in, passes), want);
  fv_arena_destroy(e.arena);
}

#define HEAD "fovea 1\nmodule \"m\"\nsymbol B dim 0..9\n"

// The dims of what stays are those of the arm, in attributes too.
static void test_fold_control(void **state) {
  (void)state;
  static const char in[] = HEAD
      "symbol n result 0..18\nsymbol k result 0..9\n"
      "graph \"main\" {\n"
      "  input \"x\" %x : f32[B]\n"
      "  input \"c\" %c : bool[]\n"
      "  %t = constant <bool[] [1]>() : bool[]\n"
      "  %y = if(%t) {symbols = [2]} : f32[k] do {\n"
      "    %f = constant <bool[] [0]>() : bool[]\n"
      "    %z = if(%f) {symbols = [1]} : f32[n] do {\n"
      "      %two = concat(%x, %x) {axis = 0} : f32[B*2]\n"
      "      yield %two\n"
      "    } else {\n"
      "      yield %x\n"
      "    }\n"
      "    yield %z\n"
      "  } else {\n"
      "    %s = slice(%x) {axis = 0, end = 0} : f32[0]\n"
      "    yield %s\n"
      "  }\n"
      "  %w = fill() {value = 1, shape = k+1} : f32[k+1]\n"
      "  %l = if(%c) : f32[k+1] do {\n"
      "    yield %w\n"
      "  } else {\n"
      "    yield %w\n"
      "  }\n"
      "  output \"y\" %y\n"
      "  output \"l\" %l\n"
      "}\n";
  check(in, "fold_control,drop_dead",
        HEAD
        "symbol n result 0..18\nsymbol k result 0..9\n"
        "\ngraph \"main\" {\n"
        "  input \"x\" %x : f32[B]\n"
        "  input \"c\" %c : bool[]\n"
        "  %w = fill() {value = 1.0, shape = [B+1]} : f32[B+1]\n"
        "  %l = if(%c) : f32[B+1] do {\n"
        "    yield %w\n"
        "  } else {\n"
        "    yield %w\n"
        "  }\n"
        "  output \"y\" %x\n"
        "  output \"l\" %l\n"
        "}\n");
}

// What an arm needs is tested at bind where each run takes that arm: dims become one, and what
// follows goes. What is needed in an arm that may not be taken stays where it is.
static void test_needs_of_an_arm(void **state) {
  (void)state;
#define NEEDS                                                           \
  "fovea 1\nmodule \"m\"\nunproved check\nsymbol B dim 1..9\nsymbol C " \
  "dim 1..9\nsymbol n result 0..9\n"
  static const char in[] = NEEDS
      "graph \"main\" {\n"
      "  input \"x\" %x : f32[B]\n"
      "  input \"y\" %y : f32[C]\n"
      "  input \"c\" %c : bool[]\n"
      "  %t = constant <bool[] [1]>() : bool[]\n"
      "  %k = constant <i64[] [4]>() : i64[]\n"
      "  %i = item(%k) {min = 0, max = 9, symbols = [2]} : i64[]\n"
      "  %u = if(%t) : f32[B] do {\n"
      "    require() {a = B, relation = \"==\", b = C, what = \"r\"}\n"
      "    require() {a = n, relation = \"<=\", b = B, what = \"r\"}\n"
      "    require() {a = n, relation = \"<=\", b = 4, what = \"r\"}\n"
      "    %a = sub(%x, %y) : f32[max(B, C)]\n"
      "    %b = slice(%a) {axis = 0, end = B} : f32[B]\n"
      "    yield %b\n"
      "  } else {\n"
      "    require() {a = B, relation = \"<=\", b = 3, what = \"r\"}\n"
      "    yield %x\n"
      "  }\n"
      "  %v = if(%c) : f32[B] do {\n"
      "    require() {a = C, relation = \"==\", b = 5, what = \"r\"}\n"
      "    require() {a = C, relation = \"==\", b = B, what = \"r\"}\n"
      "    yield %u\n"
      "  } else {\n"
      "    yield %x\n"
      "  }\n"
      "  output \"v\" %v\n"
      "}\n";
  check(in, "fold_control,drop_dead",
        NEEDS
        "\ngraph \"main\" {\n"
        "  input \"x\" %x : f32[B]\n"
        "  input \"y\" %y : f32[C]\n"
        "  input \"c\" %c : bool[]\n"
        "  require B == C \"r\"\n"
        "  require 4 <= B \"r\"\n"
        "  %a = sub(%x, %y) : f32[B]\n"
        "  %b = slice(%a) {axis = 0, end = B} : f32[B]\n"
        "  %v = if(%c) : f32[B] do {\n"
        "    require() {a = B, relation = \"==\", b = 5, what = \"r\"}\n"
        "    yield %b\n"
        "  } else {\n"
        "    yield %x\n"
        "  }\n"
        "  output \"v\" %v\n"
        "}\n");
}

// In a loop, too, if it surely makes a trip. Else a run may not come to the arm, which needs
// nothing then.
static void test_needs_of_an_arm_in_a_loop(void **state) {
  (void)state;
  static const struct {
    const char *trips, *way;
    bool surely;
  } loop[] = {{"3", "", true},
              {"0", "", false},
              {"T", "", false},
              {"T+1", "", true},
              {"B", "", true},
              {"n", "", false},
              {"3", ", while_carry = 1", false},
              {"B", ", while_carry = 1", false}};
  for (size_t i = 0; i < FV_COUNTOF(loop); i++) {
    env e = {.arena = fv_arena_create(NULL)};
    e.diag = COLLECTING_SINK(&e.log);
    const char *text = fv_arena_printf(
        e.arena,
        "fovea 1\nmodule \"m\"\nunproved check\nsymbol B dim 1..9\nsymbol C dim 1..9\n"
        "symbol T dim 0..9\nsymbol n result 0..9\nsymbol i counter 0..9\n"
        "graph \"main\" {\n"
        "  input \"x\" %%x : f32[B]\n"
        "  input \"y\" %%y : f32[C]\n"
        "  input \"z\" %%z : f32[T]\n"
        "  input \"k\" %%k : i64[]\n"
        "  %%t = constant <bool[] [1]>() : bool[]\n"
        "  %%n = item(%%k) {min = 0, max = 9, symbols = [3]} : i64[]\n"
        "  %%l, %%m = loop(%%x, %%t) {trips = %s, counter = 4%s} : f32[B], bool[] do {\n"
        "    param %%h : f32[B]\n"
        "    param %%g : bool[]\n"
        "    %%u = if(%%t) : f32[B] do {\n"
        "      require() {a = C, relation = \"<=\", b = 5, what = \"r\"}\n"
        "      %%a = add(%%h, %%y) : f32[max(B, C)]\n"
        "      %%b = slice(%%a) {axis = 0, end = B} : f32[B]\n"
        "      yield %%b\n"
        "    } else {\n"
        "      yield %%h\n"
        "    }\n"
        "    yield %%u, %%g\n"
        "  }\n"
        "  output \"l\" %%l\n"
        "}\n",
        loop[i].trips, loop[i].way);
    const char *out = after(&e, text, "fold_control,drop_dead");
    const char *bind = "\n  require C <= 5 \"r\"\n  require B ~ C \"add\"\n";
    const char *run =
        "\n    require() {a = C, relation = \"<=\", b = 5, what = \"r\"}\n"
        "    require() {a = B, relation = \"~\", b = C, what = \"add\"}\n";
    if (strstr(out, "if(") || !strstr(out, loop[i].surely ? bind : run) ||
        strstr(out, loop[i].surely ? run : bind))
      fail_msg("trips = %s%s:\n%s", loop[i].trips, loop[i].way, out);
    assert_string_equal(after(&e, out, "drop_dead"), out);
    fv_arena_destroy(e.arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_fold_control),
                                     cmocka_unit_test(test_needs_of_an_arm),
                                     cmocka_unit_test(test_needs_of_an_arm_in_a_loop)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
