// SPDX-License-Identifier: Apache-2.0
#include "tests/bounds/subject.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/internal.h"

static bool has_device(subject *s) {
  fv_backend b;
  fv_device *d = NULL;
  fv_report report = {.diag = &s->diag};
  if (fv_backend_find(s->backend, &s->diag, &b) != FV_OK ||
      b.open(fv_host_table(), NULL, 0, &report, &d) != FV_PLUGIN_OK)
    return false;
  if (b.close)
    b.close(d);
  return true;
}

static fv_status compile(subject *s, const char *path) {
  fv_model *m;
  const fv_compile_options o = {.struct_size = sizeof o,
                                .backend = s->backend,
                                .backend_option = &s->option,
                                .n_backend_option = s->option ? 1 : 0};
  FV_TRY(fv_model_load(path, NULL, &s->diag, &m));
  const fv_status status = fv_compile(m, &o, &s->diag, &s->exe);
  fv_model_destroy(m);
  return status == FV_OK ? fv_context_create(s->exe, 2, &s->diag, &s->context) : status;
}

int subject_open(subject *s, const char *backend, void (*put)(FILE *f, void *user), void *user) {
  char path[] = "bounds.XXXXXX";
  const char *option = strchr(backend, ':');
  *s = (subject){.option = option ? option + 1 : NULL, .printer = {.out = stderr}};
  snprintf(s->backend, sizeof s->backend, "%.*s", (int)strcspn(backend, ":"), backend);
  s->diag = (fv_diag_sink){.emit = fv_diag_print, .user = &s->printer};
  if (!has_device(s))
    return SUBJECT_MISSING;
  const int fd = mkstemp(path);
  FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
  if (!f)
    return 1;
  fprintf(f, "<model name='bounds' xmlns='urn:fovea:model:1'>\n");
  put(f, user);
  fprintf(f, "</model>\n");
  const bool ok = fclose(f) == 0 && compile(s, path) == FV_OK;
  unlink(path);
  return !ok;
}

void subject_close(subject *s) {
  fv_context_destroy(s->context);
  fv_executable_destroy(s->exe);
}
