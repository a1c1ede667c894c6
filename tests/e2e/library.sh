#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# library.sh FOVEA MODEL [OPTION...]: compiles the model, takes the library for a
# model of its own in comparisons on the model's golden cases and on random
# inputs, and checks that it needs libc only. Options are those of the model
# (--weights, --let).
set -eu
fovea=$1
model=$2
shift 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$fovea" compile "$model" -o "$dir/libm.so" --name m "$@"
"$fovea" compare "$model" "$dir/libm.so" -b llvm --verify "$@"
"$fovea" compare "$model" "$dir/libm.so" -b reference,llvm "$@"
needed=$(ldd "$dir/libm.so" | grep -v -e 'libc\.so' -e 'libpthread\.so' -e linux-vdso -e ld-linux || true)
if [ -n "$needed" ]; then
  echo "the library needs more than libc: $needed"
  exit 1
fi
