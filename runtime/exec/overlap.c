// SPDX-License-Identifier: Apache-2.0
// No output may lie over another tensor of the run: kernels are compiled for memory apart.
#include "runtime/exec/internal.h"

static void sift_down(ex_span *s, uint32_t i, uint32_t n) {
  for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && s[child + 1].begin > s[child].begin)
      child++;
    if (s[child].begin <= s[i].begin)
      return;
    const ex_span t = s[i];
    s[i] = s[child];
    s[child] = t;
  }
}

// By their begins: heapsort, as any other way costs memory or, at worst, the square of n.
static void sort_spans(ex_span *s, uint32_t n) {
  for (uint32_t i = n / 2; i-- > 0;)
    sift_down(s, i, n);
  for (uint32_t end = n; end > 1; end--) {
    const ex_span t = s[0];
    s[0] = s[end - 1];
    s[end - 1] = t;
    sift_down(s, 0, end - 1);
  }
}

static void add_span(ex_entry *e, uint32_t *n, const void *data, int64_t bytes,
                     const fv_prog_port *port, bool output) {
  const uintptr_t begin = (uintptr_t)data, end = begin + (uintptr_t)bytes;
  if (data && bytes > 0)
    e->span[(*n)++] = (ex_span){begin, end < begin ? UINTPTR_MAX : end, port, output};
}

int32_t ex_check_overlaps(fv_exec_ctx *c, ex_entry *e) {
  const ex_span *reach[2] = {NULL, NULL};  // those of inputs, of outputs that end last so far
  uint32_t n = 0;
  for (uint32_t i = 0; c->outputs && i < e->prog->outputs.count; i++)
    add_span(e, &n, c->outputs[i], e->out_bytes[i], &e->output[i], true);
  if (n == 0)
    return FV_MODEL_OK;
  for (uint32_t i = 0; c->inputs && i < e->prog->inputs.count; i++)
    add_span(e, &n, c->inputs[i], e->in_bytes[i], &e->input[i], false);
  sort_spans(e->span, n);
  for (uint32_t i = 0; i < n; i++) {
    const ex_span *s = &e->span[i];
    for (int output = s->output ? 0 : 1; output < 2; output++) {
      const ex_span *before = reach[output];
      if (!before || before->end <= s->begin)
        continue;
      const ex_span *a = s->output ? s : before, *b = s->output ? before : s;
      return ex_fail(c, FV_MODEL_ERR_ARG, "output '%s' overlaps %s '%s'",
                     fv_exec_string(&c->image, a->port->name), b->output ? "output" : "input",
                     fv_exec_string(&c->image, b->port->name));
    }
    if (!reach[s->output] || s->end > reach[s->output]->end)
      reach[s->output] = s;
  }
  return FV_MODEL_OK;
}
