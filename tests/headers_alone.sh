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
exit $status
