// SPDX-License-Identifier: Apache-2.0
// What an evaluation costs, from the meaning alone. Definitions nest as deep as the op table
// says, and loops inside of them as their builders wrote them.
#include <math.h>

#include "ir/eval/eval.h"

static double nest_work(const fv_nest *t) {
  double points = 1;
  for (int i = 0; i < t->n_par + t->n_red; i++) {
    int64_t extent;
    if (!fv_x_is_lit(t->extent[i], &extent))
      return INFINITY;
    points *= extent > 0 ? (double)extent : 0;
  }
  return points * (1 + t->value->cost);
}

// A serial op looks at its operands a few times.
static double kernel_work(const fv_node *n) {
  enum { TIMES = 16 };
  double elements = 0;
  for (int i = 0; i < n->n_in + n->n_out; i++) {
    const fv_value *v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
    int64_t dim[FV_MAX_RANK];
    if (v && !fv_type_static(&v->type, dim))
      return INFINITY;
    double count = 1;
    for (int d = 0; v && d < v->type.rank; d++)
      count *= (double)dim[d];
    elements += v ? count : 0;
  }
  return TIMES * elements;
}

static double region_work(const fv_region *r) {
  double work = 0;
  for (const fv_node *n = r->first; n; n = n->next) {
    int64_t trips = 0;
    if (!n->n_body)
      work += fv_eval_work(n);
    else if (n->op == FV_OP_loop && fv_x_is_lit(fv_attr_get(n, "trips")->x, &trips))
      work += (double)trips * region_work(n->body[0]);
    else
      return INFINITY;
  }
  return work;
}

double fv_eval_work(const fv_node *n) {
  enum { PER_NODE = 100 };  // each is prepared
  if (!n->meaning)
    return PER_NODE;
  switch (n->meaning->kind) {
  case FV_MEANS_NEST: return PER_NODE + nest_work(&n->meaning->nest);
  case FV_MEANS_EXPAND: return PER_NODE + region_work(n->meaning->expansion);
  default: return PER_NODE + kernel_work(n);
  }
}
