# SPDX-License-Identifier: Apache-2.0
# `expect`, and assertions about kernels: what was found instead, where, and why.
fovea compile expect.xml -o libexpect.so | sed 's/: .*;/: SIZE;/'
fovea inspect expect.xml --emit=groups
fovea inspect expect.xml --assert-kernel=attention=1 --assert-kernel=row=3 --assert-kernel=map=1
fovea inspect expect.xml --assert-kernel=contraction=2 --assert-kernel=serial=0
fovea inspect expect.xml --assert-kernel=atention=2
fovea inspect expect.xml --assert-kernel=attention
fovea inspect expect.xml --assert-kernel=attention=1 -b reference
fovea check lost.xml
fovea compile lost.xml -o liblost.so
fovea run lost.xml
cat >word.xml <<'X'
<model name="word" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="2"/>
 <exp x="x" out="y" expect="maps"/> <exp x="y" out="z" expect="squeeze_excite"/>
 <output name="z"/>
</model>
X
fovea check word.xml
cat >wide.xml <<'X'
<model name="wide" xmlns="urn:fovea:model:1">
 <dim name="S" min="1" max="64"/>
 <graph name="a">
  <input name="x" type="f32" shape="1, 1, S, 1024"/>
  <attention q="x" k="x" v="x" out="y" expect="attention"/>
  <output name="y"/>
 </graph>
</model>
X
fovea compile wide.xml -o libwide.so
fovea run wide.xml -b reference --values=2
ls ./*.so
