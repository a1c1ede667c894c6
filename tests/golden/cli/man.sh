# SPDX-License-Identifier: Apache-2.0
# Every option of the help pages stands in the man page.
page=$MODELS/../docs/fovea.1
for command in check inspect compile run compare list fmt; do
  grep -q "^\.SS $command\$" "$page" || echo "$command is missing"
  for option in $(fovea help $command | sed -n 's/^  .*--\([a-z-]*\).*/\1/p' | sort -u); do
    grep -q -e "--$option" <<EOF || echo "$command --$option is missing"
$(sed 's/\\-/-/g' "$page")
EOF
  done
done
