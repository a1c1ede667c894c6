#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh KIND...: installs the Debian packages of packages.txt that are of
# these kinds (build, test, oracle) and not there yet. Does nothing when all are.
# Exit code 2: it may not install, and has said what to run.
set -eu
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
  echo "usage: scripts/setup.sh build|test|oracle..." >&2
  exit 2
fi
wanted=$(awk -v kinds=" $* " '!/^#/ && NF >= 2 && index(kinds, " " $2 " ") { print $1 }' packages.txt)
if ! command -v dpkg-query >/dev/null; then
  echo "setup: this is not a Debian system; fovea needs what these packages hold:" $wanted >&2
  exit 0
fi

missing=
for package in $wanted; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -eq 0 ]; then
  as_root=env
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root="sudo env"
else
  echo "setup: packages are missing; run this as root:" >&2
  echo "  apt-get update && $line" >&2
  exit 2
fi
echo "setup: installing$missing" >&2
$as_root DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
$as_root DEBIAN_FRONTEND=noninteractive $line >&2
