#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oracle.sh [ARGUMENTS...]: runs each tests/oracle/*.py, in a process of its own, in
# a virtual environment that sees the system's packages and holds those of
# tests/oracle/requirements.txt; without a network it stays as it is, and the cases
# that need what is missing are skipped. The arguments go to each script. Ends with
#   N passed, N failed, N skipped
# the sum of the scripts' own last lines.
set -eu
cd "$(dirname "$0")/.."
venv=build/venv
requirements=tests/oracle/requirements.txt

# Debian's packages are those of its own Python, whatever else is first in PATH.
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
[ -x "$venv/bin/python" ] || "$python" -m venv --system-site-packages "$venv"
if ! cmp -s "$requirements" "$venv/installed.txt"; then
  if "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" \
    >"$venv/pip.log" 2>&1; then
    cp "$requirements" "$venv/installed.txt"
  else
    tail -n 1 "$venv/pip.log"
    echo "pip cannot install $requirements: what needs it is skipped"
  fi
fi

log=$venv/script.log
counts=$venv/counts
: >"$counts"
for script in tests/oracle/*.py; do
  case $(basename "$script") in _*) continue ;; esac # shared by the others
  echo "== $script"
  # The last line is the script's count; a script that ends without one has failed.
  { "$venv/bin/python" "$script" "$@" 2>&1 || true; } | tee "$log"
  awk '{ last = $0 }
       END {
         if (last !~ /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/)
           last = "0 passed, 1 failed, 0 skipped"
         print last
       }' "$log" >>"$counts"
done
awk '{ p += $1; f += $3; s += $5 }
     END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' "$counts"
