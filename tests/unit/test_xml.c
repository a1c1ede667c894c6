// SPDX-License-Identifier: Apache-2.0
//
// The XML frontend: places, limits, overrides, the formatter, failing memory.
#include "unit.h"

#include "base/file.h"
#include "frontend/frontend.h"
#include "frontend/xml/fmt.h"
#include "frontend/xml/tree.h"

extern const fv_frontend fv_frontend_xml;

#define GOLDEN FV_SOURCE_DIR "/tests/golden/xml/"
#define MODELS FV_SOURCE_DIR "/models/"

typedef struct job {
  fv_arena *arena;
  const char *path, *text;
  size_t size;
  fv_load_options options;
  fv_diag_sink sink;
  collected said;
  fv_module *module;
  fv_xml_file *file;
  fv_str out;
  fv_status (*work)(struct job *j);
} job;

static fv_status work(void *user) {
  job *j = user;
  return j->work(j);
}

static fv_status run(job *j, const fv_allocator *a, fv_status (*f)(job *j)) {
  const char *bug = NULL;
  j->sink = (fv_diag_sink){.emit = collect, .user = &j->said};
  j->said.text[0] = 0;
  j->work = f;
  j->arena = fv_arena_create(a);
  if (!j->arena)
    return FV_ERR_OOM;
  const fv_status st = fv_arena_protect(j->arena, work, j, &bug);
  if (bug)
    fail_msg("%s", bug);
  return st;
}

static fv_status parse(job *j) {
  return fv_xml_parse(j->arena, "m.xml", j->text, j->size ? j->size : strlen(j->text),
                      &j->options.limits, &j->sink, &j->file);
}

static fv_status load(job *j) {
  return fv_frontend_xml.load(j->arena, j->path, &j->options, &j->sink, &j->module);
}

static fv_status format(job *j) {
  j->out = (fv_str){.arena = j->arena};
  return fv_xml_format(j->arena, "m.xml", j->text, strlen(j->text), NULL, &j->sink, &j->out);
}

static void check_place(const fv_xml_file *f, size_t at, unsigned line, unsigned col) {
  const fv_span s = fv_xml_place(f, at);
  assert_int_equal(s.line, line);
  assert_int_equal(s.col, col);
}

static void places_are_exact(void **state) {
  (void)state;
  job j = {.text = "<?xml version='1.0'?>\r\n<!-- <no tag='1'> -->\n<a xmlns='" FV_XML_NAMESPACE
                   "'\n  one = \"x &lt; y\" two='>'><![CDATA[<b>]]> <b/>\n\t<c z='1'/></a>"};
  assert_int_equal(run(&j, NULL, parse), FV_OK);
  const fv_xml_elem *a = j.file->root;
  check_place(j.file, a->at, 3, 1);
  assert_int_equal(a->n_attr, 2);
  check_place(j.file, a->attr[0].name_at, 4, 3);
  check_place(j.file, a->attr[0].value_at, 4, 10);
  assert_string_equal(a->attr[0].value, "x < y");
  check_place(j.file, fv_xml_value_offset(j.file, &a->attr[0], 4), 4, 17);  // the 'y'
  check_place(j.file, a->attr[1].value_at, 4, 25);
  assert_string_equal(a->text, "<b> ");
  check_place(j.file, a->child->at, 4, 44);
  check_place(j.file, a->child->next->at, 5, 2);
  check_place(j.file, a->child->next->attr[0].value_at, 5, 8);
  fv_arena_destroy(j.arena);
}

static void beyond_65535_lines(void **state) {
  (void)state;
  char *text = calloc(1, 400000);
  assert_non_null(text);
  strcpy(text, "<a xmlns='" FV_XML_NAMESPACE "'>");
  memset(text + strlen(text), '\n', 70000);
  strcat(text, "<b/></a>");
  job j = {.text = text};
  assert_int_equal(run(&j, NULL, parse), FV_OK);
  check_place(j.file, j.file->root->child->at, 70001, 1);
  fv_arena_destroy(j.arena);
  free(text);
}

static void limits_hold(void **state) {
  (void)state;
  static const struct {
    const char *text;
    fv_load_limits limits;
    fv_status want;
  } cases[] = {
      {"<a><b/><b/></a>", {.max_elements = 3}, FV_OK},
      {"<a><b/><b/></a>", {.max_elements = 2}, FV_ERR_LIMIT},
      {"<a><b></b></a>", {.max_depth = 2}, FV_OK},
      {"<a><b></b></a>", {.max_depth = 1}, FV_ERR_LIMIT},
      {"<a/>", {.max_bytes = 3}, FV_ERR_LIMIT},
      {"<a>", {0}, FV_ERR_PARSE},
      {"", {0}, FV_ERR_PARSE},
      {" \n", {0}, FV_ERR_PARSE},
      {"<", {0}, FV_ERR_PARSE},
      {"<a", {0}, FV_ERR_PARSE},
      {"<a b", {0}, FV_ERR_PARSE},
      {"<a b=", {0}, FV_ERR_PARSE},
      {"<a b='", {0}, FV_ERR_PARSE},
      {"<!--", {0}, FV_ERR_PARSE},
      {"<![CDATA[", {0}, FV_ERR_PARSE},
      {"<?", {0}, FV_ERR_PARSE},
      {"</a>", {0}, FV_ERR_PARSE},
      {"<a/><a/>", {0}, FV_ERR_PARSE},
      {"<a b='&#0;'/>", {0}, FV_ERR_PARSE},
      {"<a b='&#xD800;'/>", {0}, FV_ERR_PARSE},
      {"<x:a/>", {0}, FV_ERR_PARSE},
      {"<a b='1' b='2'/>", {0}, FV_ERR_PARSE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    job j = {.text = cases[i].text, .options = {.limits = cases[i].limits}};
    const fv_status st = run(&j, NULL, parse);
    if (st != cases[i].want)
      fail_msg("%s: status %d", cases[i].text, (int)st);
    assert_true(st == FV_OK || j.said.text[0]);
    fv_arena_destroy(j.arena);
  }
}

// Each prefix of a file, and each with one byte changed, ends in a status.
static void cut_and_changed(void **state) {
  (void)state;
  static const char text[] = "<?xml version='1.0'?><!--c--><a xmlns='" FV_XML_NAMESPACE
                             "' b='&amp;&#65;'><c>1<![CDATA[2"
                             "]]>3</c><d e=\"'\"/></a>";
  for (size_t n = 0; n < sizeof text - 1; n++) {
    char *copy = calloc(1, n + 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    job j = {.text = copy, .size = n};
    if (n) {
      assert_int_not_equal(run(&j, NULL, parse), FV_OK);
      fv_arena_destroy(j.arena);
    }
    free(copy);
  }
  for (size_t n = 0; n < sizeof text - 1; n++)
    for (const char *c = "<>&'\"/!-]= a\xff"; *c; c++) {
      char copy[sizeof text];
      memcpy(copy, text, sizeof text);
      copy[n] = *c;
      job j = {.text = copy};
      const fv_status st = run(&j, NULL, parse);
      assert_true(st == FV_OK || j.said.text[0]);
      fv_arena_destroy(j.arena);
    }
}

static void lets_are_overridden(void **state) {
  (void)state;
  const fv_let fewer[] = {{"layers", 1}};
  const fv_let unknown[] = {{"layer", 1}};
  job j = {.path = MODELS "transformer.xml", .options = {.let = fewer, .n_let = 1}};
  assert_int_equal(run(&j, NULL, load), FV_OK);
  assert_int_equal(j.module->state[0]->members, 1);
  assert_int_equal(j.module->n_graph, 3);
  fv_arena_destroy(j.arena);
  j.options.let = unknown;
  assert_int_equal(run(&j, NULL, load), FV_ERR_ARG);
  assert_non_null(strstr(j.said.text, "did you mean 'layers'"));
  fv_arena_destroy(j.arena);
}

static void weights_are_replaced(void **state) {
  (void)state;
  const char *const path[] = {MODELS "se_digits.safetensors"};
  job j = {.path = MODELS "se_digits.xml", .options = {.weights = path, .n_weights = 1}};
  assert_int_equal(run(&j, NULL, load), FV_OK);
  fv_arena_destroy(j.arena);
  const char *const wrong[] = {MODELS "bahdanau.safetensors"};
  j.options.weights = wrong;
  assert_int_not_equal(run(&j, NULL, load), FV_OK);
  assert_non_null(strstr(j.said.text, "no weight is called 'stem.conv.weight'"));
  fv_arena_destroy(j.arena);
}

static void formats(void **state) {
  (void)state;
  static const struct {
    const char *in, *out;
  } cases[] = {
      {"<a   b = 'x'\n c=\"y\" ></a >", "<a b=\"x\" c=\"y\"></a>\n"},
      {"<a>\n\n\n\n  <b/><c/>  <!-- d -->\n\n\n\n<e/>\n\n</a>\n\n",
       "<a>\n <b/> <c/>  <!-- d -->\n\n <e/>\n</a>\n"},
      {"<a>\n<!-- one\n     two -->\n<b>1,\n      2</b></a>",
       "<a>\n <!-- one\n      two -->\n <b>1,\n  2</b></a>\n"},
      {"<a b='say \"x\"'/>", "<a b=\"say &quot;x&quot;\"/>\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    job j = {.text = cases[i].in};
    assert_int_equal(run(&j, NULL, format), FV_OK);
    assert_string_equal(j.out.data, cases[i].out);
    fv_arena_destroy(j.arena);
    j.text = cases[i].out;
    assert_int_equal(run(&j, NULL, format), FV_OK);
    assert_string_equal(j.out.data, cases[i].out);
    fv_arena_destroy(j.arena);
  }
}

static fv_status format_twice(job *j) {
  char *text;
  size_t size;
  fv_str first = {.arena = j->arena};
  j->out = (fv_str){.arena = j->arena};
  FV_TRY(fv_file_read(j->arena, j->path, 1 << 20, &j->sink, NULL, &text, &size));
  FV_TRY(fv_xml_format(j->arena, "m.xml", text, size, NULL, &j->sink, &first));
  FV_TRY(fv_xml_format(j->arena, "m.xml", first.data, first.size, NULL, &j->sink, &j->out));
  return strcmp(first.data, j->out.data) == 0 ? FV_OK : FV_ERR_NO;
}

static void formats_models_once(void **state) {
  (void)state;
  static const char *const path[] = {MODELS "bahdanau.xml", MODELS "transformer.xml",
                                     MODELS "minilm.xml", MODELS "cbam_digits.xml"};
  for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
    job j = {.path = path[i]};
    assert_int_equal(run(&j, NULL, format_twice), FV_OK);
    fv_arena_destroy(j.arena);
  }
}

static void recognises(void **state) {
  (void)state;
  static const struct {
    const char *head;
    bool want;
  } cases[] = {
      {"<model name='a'", true},    {"<?xml version='1.0'?>\n<!-- a > b -->\n<model ", true},
      {"<net name='a'", false},     {"\x08\x07", false},
      {"<!-- <model> --", false},   {"", false},
      {"\xef\xbb\xbf<model>", true}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(fv_frontend_xml.recognises("m", cases[i].head, strlen(cases[i].head)),
                     cases[i].want);
}

// The n-th allocation fails, n = 1, 2, ... until the load gets through.
static void failing_memory(void **state) {
  (void)state;
  static const char *const path[] = {MODELS "transformer.xml", GOLDEN "weights_names.xml",
                                     GOLDEN "loop_errors.xml", GOLDEN "malformed.xml"};
  for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
    counting_allocator c = {.fail_at = 1};
    for (bool through = false; !through; c.fail_at++) {
      c.calls = 0;
      const fv_allocator a = counting_of(&c);
      job j = {.path = path[i]};
      const fv_status st = run(&j, &a, load);
      through = c.calls < c.fail_at;
      assert_true(through || st == FV_ERR_OOM);
      fv_arena_destroy(j.arena);
      assert_int_equal(c.live_blocks, 0);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(places_are_exact),
      cmocka_unit_test(beyond_65535_lines),
      cmocka_unit_test(limits_hold),
      cmocka_unit_test(cut_and_changed),
      cmocka_unit_test(lets_are_overridden),
      cmocka_unit_test(weights_are_replaced),
      cmocka_unit_test(formats),
      cmocka_unit_test(formats_models_once),
      cmocka_unit_test(recognises),
      cmocka_unit_test(failing_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
