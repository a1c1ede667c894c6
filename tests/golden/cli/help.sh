# SPDX-License-Identifier: Apache-2.0
# The help pages, whole: defaults and wrapping are generated.
fovea help
for command in $("$FOVEA" help | sed -n '/^COMMANDS/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
  echo "---"
  fovea help $command
  [ "$(fovea help $command)" = "$(fovea $command --help)" ] || echo "$command --help is another page"
  [ "$(fovea help $command)" = "$(fovea $command -h)" ] || echo "$command -h is another page"
done
[ "$(fovea help)" = "$(fovea --help)" ] && [ "$(fovea help)" = "$(fovea -h)" ] || echo "--help"
[ "$(fovea version)" = "$(fovea --version)" ] && [ "$(fovea version)" = "$(fovea -V)" ] || echo "--version"
