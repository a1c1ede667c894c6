#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh FOVEA MODEL.xml: runs each line `run ARGUMENTS` of MODEL.run on every
# backend and as a library; all must print what stands in MODEL.out. Lines
# `show ARGUMENTS` print what `fovea inspect` says. FOVEA_UPDATE=1 writes it anew.
set -u
fovea=$1
model=$2
want=${model%.xml}.out
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
NO_COLOR=1 LC_ALL=C
export NO_COLOR LC_ALL
cd "$(dirname "$model")" || exit 2
file=$(basename "$model")
name=$(sed -n 's/.*<model name="\([a-z_0-9]*\)".*/\1/p' "$file")
"$fovea" compile "$file" -o "$work/lib$name.so" >"$work/compile" 2>&1 || { cat "$work/compile"; exit 1; }

# A fault of a run has its place in all; only the reference shows the lines there.
one() { # one WHO MODEL [OPTION...]
  who=$1
  shift
  grep -v '^#' "${file%.xml}.run" | while read -r verb arguments; do
    echo "# $arguments"
    case $verb in
    run) "$fovea" run "$@" --values=64 $arguments 2>&1 ;;
    show) "$fovea" inspect "$file" $arguments 2>&1 ;;
    esac || echo "exit $?"
  done | sed -e 's/^fovea: error: \([^ ]*:[0-9]*:[0-9]*\): /\1: error: /' \
    -e '/^ .*|/d; /: note: /d; /warnings* generated/d' >"$work/$who.out"
}
one reference "$file" -b reference
if [ -n "${FOVEA_UPDATE-}" ]; then
  cp "$work/reference.out" "$want"
fi
one llvm "$file" -b llvm
one unoptimised "$file" -b llvm -O0
one library "$work/lib$name.so"
"$fovea" list backends | grep -q '^opencl' && one opencl "$file" -b opencl
status=0
for out in "$work"/*.out; do
  diff -u "$want" "$out" || status=1
done
exit $status
