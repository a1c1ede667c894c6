#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh BUILD: installs into an empty place, moves that, and uses it as
# others would: the command, pkg-config, CMake.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >"$work/log" || {
  cat "$work/log"
  exit 1
}
mv "$work/first" "$work/prefix"
unset FOVEA_PLUGIN_PATH LD_LIBRARY_PATH
mkdir "$work/use"
cd "$work/use"
cat >twice.xml <<'XML'
<model name="twice" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="3"/>
 <add a="x" b="x" out="y"/>
 <output name="y"/>
</model>
XML
fovea=$work/prefix/bin/fovea
"$fovea" list backends | awk '{ print $1 }' | tr '\n' ' '
echo
case $("$fovea" list backends) in
*llvm*)
  "$fovea" run twice.xml -i x=1,2,3 -b llvm
  "$fovea" compile twice.xml -o libtwice.so
  "$fovea" run libtwice.so -i x=1,2,3
  ;;
esac

cat >use.c <<'C'
#include <fovea/fovea-rt.h>
#include <fovea/fovea.h>
#include <stdio.h>

enum {
#define FV_OP(name, ...) OP_##name,
#include <fovea/ops.def>
  OP_COUNT
};

int main(int argc, char **argv) {
  fv_model *model;
  fv_diag_sink sink = {0};
  if (fv_model_load("twice.xml", NULL, &sink, &model) != FV_OK)
    return 1;
  fv_model_destroy(model);
  fv_rt_error error = {""};
  fv_rt_model *library = NULL;
  const int32_t status = argc > 1 ? fv_rt_load(argv[1], &library, &error) : FV_RT_OK;
  fv_rt_unload(library);
  printf("%s %d %s\n", fv_version(), (int)OP_COUNT, error.text);
  return status != FV_RT_OK;
}
C
library=
[ ! -e libtwice.so ] || library=./libtwice.so
pc=$(dirname "$(find "$work/prefix" -name fovea.pc)")
if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH="$pc"
  ${CC:-cc} -std=c99 -Wall -Wextra -Werror ${CFLAGS-} use.c -o use \
    $(pkg-config --cflags --libs fovea fovea-rt) -Wl,-rpath,"$pc/.."
  ./use $library
fi
cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(use LANGUAGES C)
find_package(fovea REQUIRED)
add_executable(use use.c)
target_link_libraries(use PRIVATE fovea::fovea fovea::fovea-rt)
CMAKE
cmake -S . -B out -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="${CC:-cc}" \
  -DCMAKE_C_FLAGS="${CFLAGS-}" >log 2>&1 && cmake --build out >>log 2>&1 || {
  cat log
  exit 1
}
out/use $library
