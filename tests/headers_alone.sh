#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# headers_alone.sh DIR: each header compiles alone, in any order.
set -eu
cd "$1"
status=0
dirs=
for dir in base include ir lower passes compiler runtime frontend; do
  [ ! -d "$dir" ] || dirs="$dirs $dir"
done
for header in $(find $dirs -name '*.h' | sort); do
  # Twice: the include guard is there.
  printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
    "${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function -fsyntax-only \
      -I. -Iinclude ${GEN:+-I"$GEN"} -x c - || {
    echo "$header does not compile alone"
    status=1
  }
done
# What is installed needs nothing of ours besides, and older languages will do.
for header in include/fovea/*.h; do
  for language in "c -std=c99 -Wall -Wextra -pedantic" "c++ -std=c++17 -Wall -Wextra"; do
    [ "${language%% *}" = c ] || command -v c++ >/dev/null || continue
    compiler=${CC:-cc}
    [ "${language%% *}" = c ] || compiler=c++
    printf '#include "%s"\n' "${header#include/}" |
      "$compiler" -x $language -Werror -fsyntax-only -Iinclude - || {
      echo "$header does not compile as ${language%% *} when installed"
      status=1
    }
  done
done
exit $status
