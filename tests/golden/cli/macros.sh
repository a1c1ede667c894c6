# SPDX-License-Identifier: Apache-2.0
# Every macro without arguments of the compiler's C headers is a name of an input, an output and a dim
# somewhere: headers compile behind all of them.
cc=${CC:-cc}
for h in assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign \
  stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar \
  wctype; do
  echo "#include <$h.h>" | $cc -E -x c - >/dev/null 2>&1 && echo "#include <$h.h>"
done >all.c
for flags in -std=c99 -std=gnu17 "-std=gnu17 -D_GNU_SOURCE"; do
  $cc $flags -dM -E all.c 2>/dev/null
done | sed -n 's/^#define \([A-Za-z][A-Za-z0-9_]*\) .*/\1/p' | sort -u | grep -vx 'true\|false' >names
[ "$(wc -l <names)" -gt 300 ] || echo "too few macros: $(wc -l <names)"
{
  echo '<model name="ports" xmlns="urn:fovea:model:1">'
  sed 's/.*/<graph name="g_&"><input name="&" type="f32" shape=""\/><output name="&"\/><\/graph>/' names
  echo '</model>'
} >ports.xml
{
  echo '<model name="dims" xmlns="urn:fovea:model:1">'
  sed 's/.*/<dim name="&" max="9"\/>/' names
  echo '<graph name="main">'
  sed 's/.*/<input name="x_&" type="f32" shape="&"\/><output name="y_&" value="x_&"\/>/' names
  echo '</graph></model>'
} >dims.xml
for m in ports dims; do
  fovea compile $m.xml -b llvm -o $m.o >/dev/null
  { cat all.c; echo "#include \"$m.h\""; echo 'int main(void) { return 0; }'; } >use.c
  for flags in -std=c99 -std=gnu17 "-std=gnu17 -D_GNU_SOURCE"; do
    $cc $flags -fsyntax-only use.c 2>&1 | grep error: | head -5
  done
done
echo done
