// SPDX-License-Identifier: Apache-2.0
// The pipeline:
//
//   as loaded -> fold_constants -> fold_control -> merge_equal -> drop_dead -> lowering
//
// The driver verifies after every pass, always, and names the pass that broke
// a rule.
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "passes/pass.h"

#define FV_PASS(name) extern const fv_pass fv_pass_##name;
#include "fv_passes.inc"
#undef FV_PASS

static const fv_pass *const passes[] = {
#define FV_PASS(name) &fv_pass_##name,
#include "fv_passes.inc"
#undef FV_PASS
    NULL};

static const struct {
  const char *name, *spec;
} preset[] = {
    {"O0", ""},
    {"O1", "fold_constants,fold_control,drop_dead"},
    {"O2", "fold_constants,fold_control,merge_equal,drop_dead"},
};

const fv_pass *fv_pass_at(size_t i) {
  return i < FV_COUNTOF(passes) ? passes[i] : NULL;
}

const fv_pass *fv_pass_find(const char *name, size_t len) {
  for (size_t i = 0; passes[i]; i++)
    if (strlen(passes[i]->name) == len && memcmp(passes[i]->name, name, len) == 0)
      return passes[i];
  return NULL;
}

static const char *candidate(void *user, int i) {
  (void)user;
  return passes[i] ? passes[i]->name : NULL;
}

static fv_status unknown(fv_diag_sink *diag, const char *name, size_t len) {
  char word[64];
  snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), name);
  const fv_status s =
      fv_error(diag, FV_ERR_ARG, NULL, "there is no pass '%s' (`fovea list passes`)", word);
  fv_note_meant(diag, NULL, word, candidate, NULL);
  return s;
}

static const char *spec_of(const fv_pipeline *p) {
  const char *spec = p->spec ? p->spec : "O2";
  for (size_t i = 0; i < FV_COUNTOF(preset); i++)
    if (strcmp(spec, preset[i].name) == 0)
      return preset[i].spec;
  return spec;
}

fv_status fv_pipeline_check(const fv_pipeline *p, fv_diag_sink *diag) {
  const char *spec = spec_of(p), *after = p->dump_after;
  bool dumps = !after || strcmp(after, "all") == 0;
  for (const char *s = spec; *s; s += *s == ',') {
    const size_t len = strcspn(s, ",");
    if (!fv_pass_find(s, len))
      return unknown(diag, s, len);
    dumps = dumps || (strlen(after) == len && memcmp(after, s, len) == 0);
    s += len;
  }
  if (!dumps && !fv_pass_find(after, strlen(after)))
    return unknown(diag, after, strlen(after));
  if (!dumps)
    return fv_error(diag, FV_ERR_ARG, NULL,
                    "pass '%s' does not run, so that nothing is after it: %s", after,
                    *spec ? spec : "there is none");
  return FV_OK;
}

static fv_status run_one(fv_module *m, const fv_pass *pass, const fv_pipeline *p,
                         fv_diag_sink *diag) {
  fv_pass_cx cx = {.diag = diag, .arena = m->arena};
  for (int i = 0; i < m->n_graph; i++)
    FV_TRY(pass->run(&cx, m->graph[i]));
  FV_TRY(fv_verify(m, fv_arena_printf(m->arena, "pass '%s'", pass->name), diag));
  if (p->dump_after && p->dump &&
      (strcmp(p->dump_after, "all") == 0 || strcmp(p->dump_after, pass->name) == 0)) {
    fv_str s = {.arena = m->arena};
    fv_text_print(m, &s);
    p->dump(p->user, pass->name, s.data ? s.data : "");
  }
  return FV_OK;
}

fv_status fv_pipeline_run(fv_module *m, const fv_pipeline *p, fv_diag_sink *diag) {
  FV_TRY(fv_pipeline_check(p, diag));
  for (const char *s = spec_of(p); *s; s += *s == ',') {
    const size_t len = strcspn(s, ",");
    FV_TRY(run_one(m, fv_pass_find(s, len), p, diag));
    s += len;
  }
  return FV_OK;
}
