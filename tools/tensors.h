// SPDX-License-Identifier: Apache-2.0
// tools/tensors.h - the inputs of a run, as the command line says them.
//
//   NAME=@FILE.npy                  NAME=@FILE.safetensors#KEY
//   NAME=random:seed=1,lo=-1,hi=1   NAME=zeros   NAME=ones   NAME=iota
//   NAME=1,2,3                      NAME=0.5 (all elements)
#ifndef FOVEA_TOOLS_TENSORS_H_
#define FOVEA_TOOLS_TENSORS_H_

#include "base/index.h"
#include "files.h"
#include "model.h"

#define TENSOR_HELP                                                                        \
  "TENSORS\n"                                                                              \
  "  NAME=@x.npy                  a numpy file\n"                                          \
  "  NAME=@f.safetensors#KEY      a tensor of a file (KEY: NAME, if left out)\n"           \
  "  NAME=random:seed=1,lo=0,hi=9 random numbers from lo to hi; floats from -1 to 1 and\n" \
  "                               integers from 0 to 1 if it says nothing; seed=0\n"       \
  "  NAME=zeros, ones, iota       all 0, all 1, or 0 1 2 ...\n"                            \
  "  NAME=1,2,3                   the elements; a single number stands for all\n"          \
  "  An input that is not named is random.\n"                                              \
  "DIMS\n"                                                                                 \
  "  A dim takes its value from --dim, else from the files and lists given as inputs,\n"   \
  "  else it is the least that the model allows.\n"

enum { DIM_UNKNOWN = -1 };

// Values of the symbols of a model, by their number there.
typedef struct dims {
  const fv_model_info *info;
  int64_t *value;   // or DIM_UNKNOWN
  const char **by;  // who said so, for messages
  fv_index index;   // of the symbols, by name
} dims;

// From "S=128" each.
FV_NODISCARD fv_status dims_create(tool *t, const fv_model_info *info, const char *const *text,
                                   size_t count, dims *out);
// Those that are known, as fv_context_run wants them; *n gets their number.
fv_dim_value *dims_values(tool *t, const dims *d, size_t *n);
void put_dims(fv_str *s, const dims *d);  // "B=1 S=64"

// Fills in[] in the order of the graph's inputs, and what is left open of d.
FV_NODISCARD fv_status inputs_create(tool *t, const fv_graph_info *g, const text_list *spec,
                                     dims *d, fv_tensor_io **out);
// Of a golden file: the tensors of the names of the ports.
FV_NODISCARD fv_status inputs_from_file(tool *t, const char *path, const fv_safetensors *file,
                                        const fv_port_info *port, int n, fv_tensor_io **out);

#endif  // FOVEA_TOOLS_TENSORS_H_
