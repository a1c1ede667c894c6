#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [--full]: runs the tests of the build in build/, then those labelled
# `sanitize` in a build with AddressSanitizer, and ends with one line
#   N passed, N failed, N skipped
# that counts cases. --full runs the tests that are labelled `slow` as well, and
# every test under the sanitizers. With ORACLE=1 in the environment, the scripts
# of `make oracle` run between the two and count.
set -u
cd "$(dirname "$0")/.."
full=
[ "${1-}" = --full ] && full=1
jobs=${JOBS:-$(nproc)}
results=build/check
mkdir -p "$results"
: >"$results/counts"

# run_suite NAME BUILD_DIR CTEST_ARGUMENTS...
run_suite() {
  name=$1
  dir=$2
  shift 2
  echo "== $name"
  rm -f "$dir/Testing/Temporary/LastTest.log"
  ctest --test-dir "$dir" -j "$jobs" --output-on-failure --no-tests=error \
    --output-log "$results/ctest.log" "$@"
  status=$?
  if [ -f "$dir/Testing/Temporary/LastTest.log" ]; then
    awk -f scripts/count.awk "$results/ctest.log" "$dir/Testing/Temporary/LastTest.log" >>"$results/counts"
  elif [ $status -ne 0 ]; then
    echo "0 1 0 $name" >>"$results/counts"
  fi
}

if [ -n "$full" ]; then
  run_suite "release build" build
else
  run_suite "release build" build -LE slow
fi
if [ "${ORACLE-}" = 1 ]; then
  scripts/oracle.sh >"$results/oracle.log" 2>&1
  cat "$results/oracle.log"
  awk '{ last = $0 }
       END {
         if (last !~ /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/)
           last = "0 passed, 1 failed, 0 skipped"
         split(last, n, " ")
         print n[1], n[3], n[5], "oracle"
       }' "$results/oracle.log" >>"$results/counts"
fi
if cmake --preset asan >"$results/asan.log" 2>&1 &&
  cmake --build --preset asan >>"$results/asan.log" 2>&1; then
  if [ -n "$full" ]; then
    run_suite "sanitizers" build/asan
  else
    run_suite "sanitizers" build/asan -L sanitize -LE slow
  fi
else
  tail -n 40 "$results/asan.log"
  echo "0 1 0 build/asan" >>"$results/counts"
fi

awk '$2 > 0 { printf "failed: %s (%d)\n", $4, $2 }' "$results/counts"
awk '{ p += $1; f += $2; s += $3 }
     END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' "$results/counts"
