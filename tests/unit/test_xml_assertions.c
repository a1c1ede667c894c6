// SPDX-License-Identifier: Apache-2.0
//
// type= and shape= on every op of the table: each is an assertion about the first result,
// unless the op has a parameter of that name.
#include "unit.h"

#include <unistd.h>

#include "frontend/xml/build.h"

extern const fv_frontend fv_frontend_xml;

typedef struct job {
  fv_arena *arena;
  const char *path;
  fv_diag_sink sink;
  collected said;
} job;

static fv_status load(void *user) {
  job *j = user;
  const fv_load_options none = {0};
  fv_module *m;
  return fv_frontend_xml.load(j->arena, j->path, &none, &j->sink, &m);
}

static bool has_param(const fv_op_info *o, const char *name) {
  for (int i = 0; i < o->n_operand + o->n_attr; i++) {
    const fv_param_info *p = i < o->n_operand ? &o->operand[i] : &o->attr[i - o->n_operand];
    if (p->len == strlen(name) && memcmp(p->name, name, p->len) == 0)
      return true;
  }
  return false;
}

// The usage of an op as a model, with `more` in the op's own element. False: it stands in none.
static bool write_model(const char *path, const fv_op_info *o, const char *more) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  char begin[64];
  (void)snprintf(begin, sizeof begin, "<%s ", o->name);
  bool found = false;
  (void)fputs("<model name='m' xmlns='urn:fovea:model:1'>\n", f);
  for (int i = 0; o->usage[i]; i++) {
    const char *line = o->usage[i], *at = strstr(line, begin);
    if (at && !found) {
      found = true;
      const size_t n = (size_t)(at - line) + strlen(begin);
      (void)fprintf(f, "%.*s%s ", (int)n, line, more);
      line += n;
    }
    (void)fprintf(f, "%s\n", line);
  }
  (void)fputs(
      "<const name='some_output' type='f32'>1</const>"
      "<output name='some_output'/></model>\n",
      f);
  assert_int_equal(fclose(f), 0);
  return found;
}

// Whether the op says nothing against `more`; what else it says fails the test.
static bool takes(const char *path, const fv_op_info *o, const char *more, const char *refusal) {
  job j = {.path = path};
  j.sink = COLLECTING_SINK(&j.said);
  assert_true(write_model(path, o, more));
  j.arena = fv_arena_create(NULL);
  assert_non_null(j.arena);
  const char *bug = NULL;
  const fv_status st = fv_arena_protect(j.arena, load, &j, &bug);
  fv_arena_destroy(j.arena);
  if (bug || (st != FV_OK && !strstr(j.said.text, refusal)))
    fail_msg("%s %s: %s%s", o->name, more, bug ? bug : "", j.said.text);
  return st == FV_OK;
}

static void all_ops_assert(void **state) {
  (void)state;
  static const char *const types[] = {
#define X(id, size, kind) "type='" #id "'",
      FV_DTYPE_TABLE(X)
#undef X
  };
  const char *folder = scratch_dir();
  char path[4200];
  (void)snprintf(path, sizeof path, "%s/m.xml", folder);
  int n_asked = 0;
  for (int op = 0; op < FV_OP_COUNT; op++) {
    const fv_op_info *o = fv_op_get((fv_op)op);
    if (!o->n_result || (o->flags & FV_OPF_BUILTIN) || fv_xml_keyword_find(o->name))
      continue;
    assert_true(takes(path, o, "", ""));
    int right = 0;
    for (size_t t = 0; !has_param(o, "type") && t < FV_COUNTOF(types); t++)
      right += takes(path, o, types[t], "the type is asserted as");
    if (!has_param(o, "type") && right != 1)
      fail_msg("%s: type= may say %d types", o->name, right);
    if (!has_param(o, "shape") &&
        takes(path, o, "shape='7, 7, 7, 7, 7, 7, 7'", "the shape is asserted as"))
      fail_msg("%s: shape= may say anything", o->name);
    n_asked++;
  }
  assert_true(n_asked > FV_OP_COUNT / 2);
  assert_int_equal(unlink(path) | rmdir(folder), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_ops_assert),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
