# SPDX-License-Identifier: Apache-2.0
# Standard streams that are closed, full, or read by nobody. A file that is opened does not take
# the place of a stream.
for command in "list ops" version help "help run" "run small.xml -g for" "inspect small.xml" \
               "inspect small.xml --emit=text" "check small.xml" "compare small.xml -g for" \
               "fmt small.xml" "compile small.xml --emit=kernel --dump-after=all -o -"; do
  echo "$command"
  "$FOVEA" $command 2>&1 >&-
  echo "closed: $?"
  if [ -e /dev/full ]; then
    "$FOVEA" $command 2>&1 >/dev/full
    echo "full: $?"
  fi
done
# Nobody reads on: the end of a pipe is no error to talk about.
"$FOVEA" list ops 2>err | head -1 | cut -c 1-3
cat err
"$FOVEA" run small.xml -g nope 2>&- >out
echo "exit $?, $(wc -c <out) bytes"
"$FOVEA" fmt -i small.xml <&- >&- 2>&-
echo "exit $?"
