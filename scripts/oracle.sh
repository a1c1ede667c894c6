#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs each tests/oracle/*.py, in a process of its own, in a virtual environment
# that sees the system's packages and holds those of tests/oracle/requirements.txt.
set -eu
cd "$(dirname "$0")/.."
venv=build/venv
requirements=tests/oracle/requirements.txt

# Debian's packages are those of its own Python, whatever else is first in PATH.
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
[ -x "$venv/bin/python" ] || "$python" -m venv --system-site-packages "$venv"
if [ -f "$requirements" ] && ! cmp -s "$requirements" "$venv/installed.txt"; then
  "$venv/bin/pip" install --quiet --requirement "$requirements"
  cp "$requirements" "$venv/installed.txt"
fi

passed=0
failed=0
for script in tests/oracle/*.py; do
  [ -e "$script" ] || continue
  case $(basename "$script") in _*) continue ;; esac # shared by the others
  echo "== $script"
  if "$venv/bin/python" "$script" "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
