#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh FOVEA CASE.sh: runs the case in an empty folder; what it prints must be
# what stands in CASE.out. FOVEA_UPDATE=1 writes that anew.
set -u
here=$(cd "$(dirname "$0")" && pwd)
fovea=$1
case=$here/$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# `fovea ...` runs the command, and says so if it fails.
cat >"$work/prelude" <<'EOF'
fovea() {
  "$FOVEA" "$@" 2>&1
  code=$?
  [ $code -eq 0 ] || echo "exit $code"
}
EOF
mkdir "$work/in"
cp "$here"/*.xml "$work/in"
(
  cd "$work/in" || exit 1
  unset FOVEA_PLUGIN_PATH
  FOVEA=$fovea MODELS=$here/../../../models NO_COLOR=1 LC_ALL=C
  export FOVEA MODELS NO_COLOR LC_ALL
  . "$work/prelude"
  . "$case"
) >"$work/out" 2>&1
if [ -n "${FOVEA_UPDATE-}" ]; then
  cp "$work/out" "${case%.sh}.out"
fi
diff -u "${case%.sh}.out" "$work/out"
