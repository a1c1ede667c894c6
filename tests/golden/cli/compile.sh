# SPDX-License-Identifier: Apache-2.0
# A library, its header, and a program against the two.
fovea compile small.xml -o libsmall.so | sed 's/: .*;/: SIZE;/'
cat small.h
${CC:-cc} -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c small.h
! command -v c++ >/dev/null || c++ -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c++ small.h
cat >main.c <<'EOF'
#include <stdio.h>

#include "small.h"
#include "twin.h"

int main(void) {
  small_ctx *a;
  twin_ctx *b;
  if (small_create(1, &a) != small_OK || twin_create(2, &b) != twin_OK)
    return 1;
  float x[4] = {1, 2, 3, 4}, y[4] = {0};
  int64_t n[2] = {10, 20}, square[2] = {0};
  unsigned char keep[2] = {1, 0};
  small_main_dims dims = {2, 2};
  small_main_in in = {x, n, keep};
  small_main_out out = {y, square};
  int32_t status = small_main_run(a, &dims, &in, &out);
  printf("%d: %g %g %g %g, %d %d\n", status, y[0], y[1], y[2], y[3], (int)square[0],
         (int)square[1]);
  small_main_shapes shapes;
  status = small_main_output_dims(a, &shapes);
  printf("%d: y[%d, %d]\n", status, (int)shapes.y[0], (int)shapes.y[1]);
  dims.S = 17;
  status = small_main_run(a, &dims, &in, &out);
  printf("%d: %s\n", status, small_error(a));
  dims.S = 2;
  out.y = x + 1;  // nothing is written
  status = small_main_run(a, &dims, &in, &out);
  printf("%d: %s: %g %d\n", status, small_error(a), x[1], (int)square[0]);
  out.y = (float *)square;
  status = small_main_run(a, &dims, &in, &out);
  printf("%d: %s: %d\n", status, small_error(a), (int)square[0]);
  out.y = 0;  // not wanted
  status = small_main_run(a, &dims, &in, &out);
  printf("%d: %d %d\n", status, (int)square[0], (int)square[1]);
  printf("'%s'\n", small_error(0));
  small_destroy(0);
  uint16_t one[3] = {0x3c00, 0xc000, 0}, minus[3];
  twin_for_in i = {one};
  twin_for_out o = {minus};
  status = twin_for_run(b, &i, &o);
  printf("%d: %04x %04x %04x\n", status, minus[0], minus[1], minus[2]);
  small_destroy(a);
  twin_destroy(b);
  return 0;
}
EOF
fovea compile small.xml -o twin.o --name=twin >/dev/null
${CC:-cc} -std=c99 -Wall -Wextra main.c twin.o -L. -lsmall -Wl,-rpath,"$PWD" -lpthread -o main && ./main
ldd libsmall.so | grep -v -e vdso -e ld-linux -e libc.so -e libpthread.so
# The same input gives the same bytes.
mkdir again
fovea compile small.xml -o again/libsmall.so >/dev/null
cmp libsmall.so again/libsmall.so && cmp small.h again/small.h
fovea inspect libsmall.so | sed '/^made of/,$d'
fovea run libsmall.so -g main -i x=1,2 -i n=3,4 -i keep=1
fovea run libsmall.so --let=W=3
fovea compile libsmall.so
fovea compile small.xml --name=9lives
fovea compile small.xml -o -
fovea compile small.xml -o /nonexistent/libsmall.so
fovea compile small.xml -b reference -o libnone.so
fovea compile small.xml -o small.ll && grep -c '^define' small.ll >/dev/null && echo "LLVM IR"
fovea compile small.xml --emit=kernel | sed -n '1s/(.*//p'
ls
# No room for what a loop collects: the loop is named.
cat >room.xml <<'EOF'
<model name="room" xmlns="urn:fovea:model:1">
 <input name="k" type="i64" shape=""/>
 <item name="n" x="k" max="2000000000"/>
 <fill value="1" shape="1000000" out="row"/>
 <repeat var="i" count="n" out="s, r">
  <carry name="s" init="row"/>
  <add a="s" b="1" out="t"/> <collect r="t" axis="0"/> <next s="t"/>
 </repeat>
 <reduce_max x="r" keepdims="false" out="y"/>
 <output name="y"/>
</model>
EOF
fovea compile room.xml -o libroom.so
