# SPDX-License-Identifier: Apache-2.0
# Every kind of --emit, by both commands that have it.
for kind in xml text json dot groups kernel llvm asm opencl; do
  "$FOVEA" inspect small.xml --emit=$kind >a && "$FOVEA" compile small.xml --emit=$kind >b &&
    cmp a b && [ -s a ] && echo "$kind: same"
done
fovea inspect small.xml --emit=groups
fovea inspect small.xml --emit=xml | diff - small.xml >/dev/null || echo "canonical form"
fovea inspect small.xml --emit=xml >again.xml && fovea fmt --check again.xml
fovea inspect small.xml --emit=so
fovea inspect small.xml --emit=obj
fovea compile small.xml --emit=so -o -
fovea inspect small.xml --emit=so -o libone.so | sed 's/: .*;/: SIZE;/'
fovea compile small.xml --emit=so -o libtwo.so --name=one | sed 's/: .*;/: SIZE;/'
fovea compile small.xml --emit=obj -o three.o | sed 's/: .*;/: SIZE;/'
ls ./*.so ./*.o ./*.h
fovea run libone.so -g for -i class=1,2,3
fovea compile small.xml --emit=assm
fovea compile small.xml --emit=asm -b opencl
fovea compile small.xml --emit=text --dump-after=all
fovea inspect libone.so --emit=text
fovea inspect libone.so --emit=so -o x.so
# What the passes do shows, unless there are none.
cat >fold.xml <<'X'
<model name="fold" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="2"/>
 <const name="one" type="f32" shape="2">1, 1</const>
 <exp x="one" out="e"/> <add a="x" b="e" out="y"/>
 <output name="y"/>
</model>
X
fovea inspect fold.xml --emit=text | grep -c exp
fovea inspect fold.xml --emit=text -O0 | grep -c exp
fovea inspect fold.xml --assert-no-op=exp --assert-op=add=1
fovea inspect fold.xml --assert-no-op=exp -O0
