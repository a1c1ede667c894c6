// SPDX-License-Identifier: Apache-2.0
#include "base/diag.h"

#include "tests/unit/unit.h"

static const char model[] =
    "<model>\r\n"
    "\t<matmul a=\"x\"/>\n"
    "  <add a=\"\xc3\xa4\" b=\"y\"/>";

static const char *model_source(void *user, const char *file, size_t *size) {
  (void)user;
  if (strcmp(file, "m.xml") != 0)
    return NULL;
  *size = sizeof model - 1;
  return model;
}

// What the printer makes of one error at `span`.
static char *print(fv_diag_printer p, const fv_span *span, const char *text) {
  static char buf[16384];
  memset(buf, 0, sizeof buf);
  p.out = fmemopen(buf, sizeof buf, "w");
  assert_non_null(p.out);
  fv_diag_sink sink = {.emit = fv_diag_print, .user = &p};
  assert_int_equal(fv_error(&sink, FV_ERR_TYPE, span, "%s", text), FV_ERR_TYPE);
  fclose(p.out);
  return buf;
}

static void errors_are_counted(void **state) {
  (void)state;
  collected c = {.text = ""};
  fv_diag_sink s = COLLECTING_SINK(&c);
  s.max_errors = 2;
  assert_int_equal(fv_error(&s, FV_ERR_PARSE, NULL, "first %d", 1), FV_ERR_PARSE);
  fv_note(&s, NULL, "note");
  fv_warning(&s, NULL, "warning");
  (void)fv_error(&s, FV_ERR_TYPE, NULL, "second");
  (void)fv_error(&s, FV_ERR_TYPE, NULL, "third");
  fv_note(&s, NULL, "of the third");
  assert_int_equal(s.n_errors, 3);
  assert_string_equal(c.text, "2 3 first 1\n0 0 note\n1 0 warning\n2 4 second\n");
  // No sink, no emit.
  assert_int_equal(fv_error(NULL, FV_ERR_IO, NULL, "x"), FV_ERR_IO);
  fv_note(NULL, NULL, "x");
  fv_warning(NULL, NULL, "x");
  fv_diag_sink mute = {.emit = NULL};
  assert_int_equal(fv_error(&mute, FV_ERR_IO, NULL, "x"), FV_ERR_IO);
  assert_int_equal(mute.n_errors, 1);
}

static void long_texts_are_cut(void **state) {
  (void)state;
  collected c = {.text = ""};
  fv_diag_sink s = COLLECTING_SINK(&c);
  (void)fv_error(&s, FV_ERR_PARSE, NULL, "%10000d", 1);
  assert_in_range(strlen(c.text), 4000, 4200);
  assert_non_null(strstr(c.text, " [...]\n"));
}

static void gnu_form(void **state) {
  (void)state;
  const fv_diag_printer p = {.source = model_source};
  assert_string_equal(print(p, NULL, "text"), "fovea: error: text\n");
  assert_string_equal(print(p, &(fv_span){.file = "other.xml"}, "t"), "other.xml: error: t\n");
  assert_string_equal(print(p, &(fv_span){.file = "other.xml", .line = 3, .col = 9}, "t"),
                      "other.xml:3:9: error: t\n");
  assert_string_equal(print(p, &(fv_span){.file = "m.xml", .line = 1}, "t"),
                      "m.xml:1: error: t\n    1 | <model>\n");
  // Tabs stay tabs, the caret counts characters and not bytes.
  assert_string_equal(print(p, &(fv_span){.file = "m.xml", .line = 2, .col = 10}, "t"),
                      "m.xml:2:10: error: t\n    2 | \t<matmul a=\"x\"/>\n      | \t        ^\n");
  assert_string_equal(print(p, &(fv_span){.file = "m.xml", .line = 3, .col = 13}, "t"),
                      "m.xml:3:13: error: t\n    3 |   <add a=\"\xc3\xa4\" b=\"y\"/>\n"
                      "      |            ^\n");
  // A place past the end of the line or of the file.
  assert_string_equal(print(p, &(fv_span){.file = "m.xml", .line = 1, .col = 99}, "t"),
                      "m.xml:1:99: error: t\n    1 | <model>\n      |        ^\n");
  assert_string_equal(print(p, &(fv_span){.file = "m.xml", .line = 7, .col = 1}, "t"),
                      "m.xml:7:1: error: t\n");
}

static void expansion_trace(void **state) {
  (void)state;
  const fv_span far = {.file = "m.xml", .line = 9, .col = 3, .what = "in repeat 2 of 12"};
  const fv_span near = {
      .file = "m.xml", .line = 7, .col = 5, .what = "in block 'layer'", .outer = &far};
  const fv_span at = {.file = "m.xml", .line = 1, .outer = &near};
  const fv_diag_printer p = {.json = false};
  assert_string_equal(print(p, &at, "t"),
                      "m.xml:1: error: t\n"
                      "m.xml:7:5: note: in block 'layer'\n"
                      "m.xml:9:3: note: in repeat 2 of 12\n");
  const fv_diag_printer json = {.json = true};
  assert_string_equal(
      print(json, &at, "say \"x\""),
      "{\"severity\":\"error\",\"code\":\"ERR_TYPE\",\"file\":\"m.xml\",\"line\":1,"
      "\"message\":\"say \\\"x\\\"\",\"trace\":["
      "{\"what\":\"in block 'layer'\",\"file\":\"m.xml\",\"line\":7,\"column\":5},"
      "{\"what\":\"in repeat 2 of 12\",\"file\":\"m.xml\",\"line\":9,\"column\":3}]}\n");
}

static void terminals_are_safe(void **state) {
  (void)state;
  const fv_diag_printer p = {.json = false};
  assert_string_equal(print(p, &(fv_span){.file = "a\033[2Jb"}, "x\033]0;y\007\xc2\x9bz\xff"),
                      "a?[2Jb: error: x?]0;y??z?\n");
  const fv_diag_printer color = {.color = true};
  assert_string_equal(print(color, NULL, "t"), "\033[1mfovea: \033[1;31merror:\033[0m t\n");
}

static const char *long_line(void *user, const char *file, size_t *size) {
  (void)user;
  (void)file;
  static char line[100000];
  memset(line, 'x', sizeof line);
  *size = sizeof line;
  return line;
}

static void long_lines_are_cut(void **state) {
  (void)state;
  const fv_diag_printer p = {.source = long_line};
  const char *text = print(p, &(fv_span){.file = "f", .line = 1, .col = 5000}, "t");
  assert_in_range(strlen(text), 200, 400);
  assert_non_null(strstr(text, "| ...xxx"));
  assert_non_null(strstr(text, "xxx...\n"));
}

static const char *op_name(void *user, int i) {
  (void)user;
  static const char *const names[] = {"matmul", "softmax", "layer_norm", "relu", "add", "mul", "x"};
  return (size_t)i < FV_COUNTOF(names) ? names[i] : NULL;
}

static void did_you_mean(void **state) {
  (void)state;
  static const struct {
    const char *word;
    int index;
  } cases[] = {{"matmull", 0},      {"mamtul", 0}, {"sofmax", 1}, {"LayerNorm", 2},
               {"layer-norm", 2},   {"ReLU", 3},   {"ad", 4},     {"mull", 5},
               {"convolution", -1}, {"", -1},      {"q", -1},     {"X", 6}};
  for (size_t i = 0; i < FV_COUNTOF(cases); i++)
    assert_int_equal(fv_did_you_mean(cases[i].word, op_name, NULL), cases[i].index);
  char longer[500];
  memset(longer, 'a', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_int_equal(fv_did_you_mean(longer, op_name, NULL), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors_are_counted), cmocka_unit_test(long_texts_are_cut),
      cmocka_unit_test(gnu_form),           cmocka_unit_test(expansion_trace),
      cmocka_unit_test(terminals_are_safe), cmocka_unit_test(long_lines_are_cut),
      cmocka_unit_test(did_you_mean),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
