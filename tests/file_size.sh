#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# No source file has more than 1,000 lines; no line of a table more than 100
# columns (clang-format keeps those of the rest).
set -eu
cd "$1"
find . \( -path ./build -o -path './build-*' -o -path ./.git \) -prune -o -type f \
  \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.py' -o -name '*.sh' -o -name '*.cmake' \
  -o -name '*.def' \) -print | xargs wc -l | awk '
  $2 == "total" { next }
  $1 > 1000 { printf "%s: %d lines, 1000 are allowed\n", $2, $1; bad = 1 }
  END { exit bad }'
find include -name '*.def' -print | xargs awk '
  length > 100 { printf "%s:%d: %d columns, 100 are allowed\n", FILENAME, FNR, length; bad = 1 }
  END { exit bad }'
