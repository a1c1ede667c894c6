# SPDX-License-Identifier: Apache-2.0
# The help pages, whole: defaults and wrapping are generated.
fovea help
for command in check inspect compile run compare list fmt; do
  echo "---"
  fovea help $command
done
[ "$(fovea help run)" = "$(fovea run --help)" ] || echo "run --help is another page"
[ "$(fovea help run)" = "$(fovea run -h)" ] || echo "run -h is another page"
