#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes what the benchmarks need, in BUILD/bench; BUILD is where fovea was built. With PYTHON in the
# environment, a Python that has the packages already, there is none of their own.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
out=$build/bench
packages="numpy onnx onnxruntime"

[ -e "$build/lib/libfovea.so" ] || {
  echo "build.sh: there is no $build/lib/libfovea.so: run make first" >&2
  exit 2
}
mkdir -p "$out"
flags="-std=gnu17 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -ffp-contract=off"
"${CC:-cc}" $flags bench/peak.c bench/slices.c -o "$out/peak"
"${CC:-cc}" $flags -I. -Iinclude bench/driver.c bench/slices.c -L"$build/lib" -lfovea \
  -Wl,-rpath,"\$ORIGIN/../lib" -o "$out/driver"

[ -z "${PYTHON-}" ] || exit 0
# Not build/venv: that one sees the system's packages, other versions perhaps.
[ -x "$out/venv/bin/pip" ] || python3 -m venv "$out/venv"
"$out/venv/bin/python" -c "import numpy, onnx, onnxruntime" 2>/dev/null ||
  "$out/venv/bin/pip" install --quiet --disable-pip-version-check $packages
