# SPDX-License-Identifier: Apache-2.0
# What a name's ending says, and static libraries: two of them in one program.
for end in .c .tar .bc .obj .so.1 .A ""; do
  fovea compile small.xml -o libx$end
done
ls | grep -v xml
fovea compile small.xml -o libone.a | sed 's/: .*;/: SIZE;/'
fovea compile small.xml --emit=a --name=a_name_that_is_longer_than_an_archive_has_room_for | sed 's/: .*;/: SIZE;/'
fovea compile expect.xml -o libtwo.a >/dev/null
fovea compile small.xml -o libagain.a --name=one >/dev/null
cmp libone.a libagain.a && echo "the same bytes"
for a in *.a; do
  head -c 7 $a && echo
done | sort -u
if command -v ar nm >/dev/null; then
  ar t libone.a
  ar x libone.a
  fovea compile small.xml -o one.o >/dev/null
  cmp one.o model.o
  # The index tells what the object has to offer.
  nm -s libsmall.a | grep ' in '
  nm -g --defined-only model.o | sed 's/^[0-9a-f]* //'
fi
cat >main.c <<'EOF'
#include <stdio.h>

#include "one.h"
#include "two.h"

int main(void) {
  one_ctx *a;
  two_ctx *b;
  if (one_create(1, &a) != one_OK || two_create(1, &b) != two_OK)
    return 1;
  uint16_t half[3] = {0x3c00, 0xc000, 0}, minus[3];
  one_for_in i = {half};
  one_for_out o = {minus};
  int32_t status = one_for_run(a, &i, &o);
  printf("%d: %04x %04x %04x\n", status, minus[0], minus[1], minus[2]);
  one_destroy(a);
  two_destroy(b);
  return 0;
}
EOF
${CC:-cc} -std=c99 -Wall -Wextra main.c -L. -lone -ltwo -lpthread -o main && ./main
