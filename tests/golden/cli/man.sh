# SPDX-License-Identifier: Apache-2.0
# Every command and every option of the help pages stands in the man page, every command in the
# README. What there is, is asked of the command itself.
docs=$MODELS/../docs
page=$(sed 's/\\-/-/g; s/\\fI//g; s/\\fR//g' "$docs/fovea.1")
commands=$("$FOVEA" help | sed -n '/^COMMANDS/,/^$/s/^  \([a-z]*\) .*/\1/p')
echo $commands
for command in $commands; do
  grep -q "fovea $command\>" "$MODELS/../README.md" || echo "$command is missing in README.md"
  echo "$page" | grep -q "^\.B fovea $command\$" || echo "$command is missing in the synopsis"
  echo "$page" | grep -q "^\.SS $command\$" || echo "$command is missing"
  for option in $("$FOVEA" help $command | sed -n 's/^  .*--\([a-z-]*\).*/\1/p' | sort -u); do
    echo "$page" | grep -q -e "--$option" || echo "$command --$option is missing"
  done
done
for kind in $("$FOVEA" help list | sed -n '/^KINDS/,$s/^  //p'); do
  echo "$page" | grep -q "^\.SS list" && echo "$page" | grep -q "\<$kind\>" || echo "list $kind is missing"
done
for option in $("$FOVEA" list options | sed 's/.*:\([a-z0-9_]*\)=.*/\1/'); do
  echo "$page" | grep -q "$option=" || echo "the option $option of a backend is missing"
done
