#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# include_arrows.sh DIR: which room includes what (ARCHITECTURE.md). Each file
# may include its own room and what the table below allows; system headers are
# of interest only where a room is freestanding.
set -eu
cd "$1"

# Room, then prefixes of what it may include besides itself.
cat >"${TMPDIR:-/tmp}/arrows.$$" <<'TABLE'
base          include/fovea/dtype.h include/fovea/diag.h
include/fovea
ir/expr       base/ include/fovea/
ir/graph      base/ include/fovea/ ir/expr/
ir/kernel     base/ include/fovea/ ir/expr/
ir/sem        base/ include/fovea/ ir/expr/ ir/graph/ ir/kernel/
ir/eval       base/ include/fovea/ ir/expr/ ir/graph/ ir/kernel/ ir/sem/
frontend      base/ ir/ include/fovea/ frontend/weights/ frontend/frontend.h
passes        base/ ir/ include/fovea/ gen/fv_passes.inc
lower         base/ ir/ include/fovea/
runtime/exec  include/fovea/program.h include/fovea/sized.h include/fovea/features.def
runtime       base/ include/fovea/ runtime/exec/
compiler      base/ ir/ passes/ lower/ runtime/ include/fovea/ gen/ frontend/frontend.h
backends      base/ ir/ include/fovea/
tools         base/ include/fovea/
TABLE
trap 'rm -f "${TMPDIR:-/tmp}/arrows.$$"' EXIT

for room in base include/fovea ir frontend passes lower runtime compiler backends tools; do
  [ ! -d "$room" ] || find "$room" \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.def' \)
done | sort | xargs grep -Hn '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' /dev/null | awk '
FNR == NR {
  allowed[$1] = ""
  for (i = 2; i <= NF; i++)
    allowed[$1] = allowed[$1] " " $i
  next
}
# The folder that a file or an include belongs to. Formats, backends and the
# folders of ir/ are rooms of their own.
function home(path, part, n) {
  n = split(path, part, "/")
  if (part[1] == "frontend" || part[1] == "backends" || part[1] == "ir")
    return n > 2 ? part[1] "/" part[2] : part[1]
  if (part[1] == "runtime" && part[2] == "exec" && n > 2)
    return "runtime/exec"
  if (part[1] == "include")
    return "include/fovea"
  return part[1]
}
function rule(room, part) {
  if (room in allowed)
    return allowed[room]
  split(room, part, "/")
  return allowed[part[1]]
}
{
  split($0, field, ":")
  file = field[1]
  match($0, /["<][^">]*[">]/)
  what = substr($0, RSTART + 1, RLENGTH - 2)
  local = substr($0, RSTART, 1) == "\""
  room = home(file)
  if (!local) {
    # What goes into artifacts has no C library to include.
    if (room == "runtime/exec" && what !~ /^(stddef|stdint|stdbool|stdarg|stdatomic|limits|float|immintrin)\.h$/)
      report(file ":" field[2], what)
    # LLVM and the models of others stay where they belong.
    if (what ~ /^(llvm|llvm-c|lld)\// && room != "backends/llvm")
      report(file ":" field[2], what)
    if (what ~ /^libxml\// && room !~ /^frontend\//)
      report(file ":" field[2], what)
    if (what ~ /^CL\// && room != "backends/opencl")
      report(file ":" field[2], what)
    next
  }
  if (what ~ /^fovea\//)
    what = "include/" what
  else if (what ~ /^fv_[a-z_]*\.inc$/)
    what = "gen/" what
  else if (what !~ /\//) {
    # A header beside the file.
    dir = file
    sub(/[^\/]*$/, "", dir)
    what = dir what
  }
  if (home(what) == room)
    next
  n = split(rule(room), prefix, " ")
  for (i = 1; i <= n; i++)
    if (index(what, prefix[i]) == 1)
      next
  report(file ":" field[2], what)
}
function report(place, what) {
  printf "%s: %s may not include %s\n", place, room, what
  bad = 1
}
END { exit bad }' "${TMPDIR:-/tmp}/arrows.$$" -
