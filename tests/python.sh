#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# python.sh DIR: no Python file names what it does not define, or imports what it does not use.
set -eu
cd "$1"
if ! command -v pyflakes3 >/dev/null; then
  echo "SKIP: no pyflakes3 (Debian: apt-get install pyflakes3)"
  exit 77
fi
find . \( -path ./build -o -path './build-*' -o -path ./.git \) -prune -o -name '*.py' -print |
  xargs pyflakes3
