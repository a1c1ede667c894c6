# SPDX-License-Identifier: Apache-2.0
# Dims that broadcast: the kernel for equal ones is that of a model that declares one dim, with
# what is fused into it; another is there for the rest.
model() { # model FILE, the dims of b
  cat >"$1" <<X
<model name="m" unproved="check" xmlns="urn:fovea:model:1">
 <dim name="N" max="64"/> <dim name="M" max="64"/> <dim name="S" max="64"/> <dim name="T" max="64"/>
 <graph name="map">
  <input name="a" type="f32" shape="N, S"/> <input name="b" type="f32" shape="$2"/>
  <exp x="a" out="e"/> <add a="e" b="b" out="s"/> <relu x="s" out="y"/>
  <output name="y"/>
 </graph>
 <graph name="row">
  <input name="a" type="f32" shape="N, S"/> <input name="b" type="f32" shape="$2"/>
  <add a="a" b="b" out="s"/> <softmax x="s" axis="-1" out="y"/>
  <output name="y"/>
 </graph>
</model>
X
}
model one.xml "N, S"
model two.xml "M, T"
fovea inspect two.xml --emit=groups
fovea compile one.xml --emit=kernel -o one.kernel
fovea compile two.xml --emit=kernel -o two.kernel
grep -c '^kernel' one.kernel two.kernel
# Each kernel without its number, on one line.
lines() { sed 's/^kernel \([a-z]*\)_[0-9]*/kernel \1/' "$1" | tr '\n' ';' | sed 's/};/}\n/g'; }
lines one.kernel | while read -r kernel; do
  lines two.kernel | grep -cxF "$kernel"
done
