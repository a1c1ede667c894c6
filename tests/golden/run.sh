#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh FOVEA FILE: runs `fovea check` on a file of this folder and compares
# its messages and exit code with FILE's .err. FOVEA_UPDATE=1 rewrites that.
set -u
fovea=$1
file=$2
cd "$(dirname "$0")" || exit 2
want=${file%.*}.err
have=$(mktemp) || exit 2
trap 'rm -f "$have"' EXIT
NO_COLOR=1 "$fovea" check "$file" >/dev/null 2>"$have"
echo "exit $?" >>"$have"
# Faults are told in the order of the file.
grep -E '^[^ ]+:[0-9]+:[0-9]+: (error|warning): ' "$have" | sort -c -s -t: -k2,2n -k3,3n || exit 1
if [ "${FOVEA_UPDATE:-0}" = 1 ]; then
  cp "$have" "$want"
  exit 0
fi
diff -u "$want" "$have"
