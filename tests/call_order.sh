#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# call_order.sh DIR: a header that lists the files of its folder "in the order of who calls whom"
# means it: no file calls a function of one behind it, and all files are listed.
set -eu
cd "$1"
grep -rl --include='*.h' 'In the order of who calls whom' . | grep -v '^\./build' | sort \
  >"${TMPDIR:-/tmp}/order.$$"
trap 'rm -f "${TMPDIR:-/tmp}/order.$$"' EXIT
status=0
while read -r header; do
  folder=$(dirname "$header")
  files=$(sed -n 's/^\/\/   \([a-z0-9_]*\.c\) .*/\1/p' "$header")
  for file in "$folder"/*.c; do
    echo "$files" | grep -qx "$(basename "$file")" || {
      echo "$header does not list $(basename "$file")"
      status=1
    }
  done
  # Definitions begin in the first column; everything else that is called is a call.
  (cd "$folder" && awk '
    FNR == 1 { n++ }
    match($0, /^[a-z][A-Za-z0-9_ *]*[ *][a-z][a-z0-9_]*\(/) && !/^(static|typedef|extern|return|else)/ {
      name = substr($0, RSTART, RLENGTH - 1)
      sub(/.*[ *]/, "", name)
      where[name] = n
      file[n] = FILENAME
      next
    }
    {
      line = $0
      sub(/\/\/.*/, "", line)
      while (match(line, /[a-z][a-z0-9_]*\(/)) {
        name = substr(line, RSTART, RLENGTH - 1)
        line = substr(line, RSTART + RLENGTH)
        call[++calls] = name
        from[calls] = n
        place[calls] = FILENAME ":" FNR
      }
    }
    END {
      for (i = 1; i <= calls; i++)
        if (where[call[i]] > from[i]) {
          print place[i] ": calls " call[i] "() of " file[where[call[i]]] ", which is behind it"
          bad = 1
        }
      exit bad
    }' $files) || status=1
done <"${TMPDIR:-/tmp}/order.$$"
[ -s "${TMPDIR:-/tmp}/order.$$" ] || {
  echo "no header lists its files"
  status=1
}
exit $status
