#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh [SENTENCE...]: fetches a published model, compiles it to a library,
# builds a C program with the library and runs it. BUILD is where fovea was built.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
build=${BUILD:-build}
fovea=$build/bin/fovea
models=$build/models
out=$build/demo

step() { printf '\n== %s\n' "$*"; }

# Without the published model: the small trained ones of the repository.
run_small() {
  step "Going on with the small models of this repository"
  for model in se_digits cbam_digits bahdanau transformer; do
    echo "fovea run models/$model.xml --verify"
    "$fovea" run "models/$model.xml" --verify
  done
  mkdir -p "$out"
  echo "fovea compile models/se_digits.xml -o $out/libse_digits.so"
  "$fovea" compile models/se_digits.xml -o "$out/libse_digits.so"
  "$fovea" compare models/se_digits.xml "$out/libse_digits.so"
}

[ -x "$fovea" ] || {
  echo "demo.sh: there is no $fovea: run make first" >&2
  exit 2
}
step "Fetching all-MiniLM-L6-v2"
if ! python3 examples/minilm/fetch.py "$models"; then
  echo "demo.sh: the model could not be fetched" >&2
  run_small
  exit 0
fi
echo "$models/minilm.safetensors"

step "Compiling models/minilm.xml"
mkdir -p "$out"
"$fovea" compile models/minilm.xml --weights "$models/minilm.safetensors" -o "$out/libminilm.so"
ldd "$out/libminilm.so"

step "Building the program"
set -x
"${CC:-cc}" -std=c17 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra -I"$out" \
  examples/minilm/demo.c examples/minilm/wordpiece.c -L"$out" -lminilm -Wl,-rpath,"\$ORIGIN" \
  -o "$out/demo"
{ set +x; } 2>/dev/null

step "Running it"
"$out/demo" "$models/vocab.txt" "$@"
