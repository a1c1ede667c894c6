# SPDX-License-Identifier: Apache-2.0
# Loops of any number of steps are loops: nothing is unrolled, at no stage. What would need memory
# for each step is refused where the model is read.
loop() {  # loop NAME ATTRIBUTES [MORE OUTPUTS] [MORE BODY]
  cat >"$1.xml" <<X
<model name="$1" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="4"/>
 <const name="zero" type="f32" shape="4">0, 0, 0, 0</const>
 <loop $2 var="i" out="y${3:+, ${3-}}">
  <carry name="a" init="${5:-x}"/> <carry name="go" init="true" type="bool" shape=""/>
  <add a="a" b="1" out="b"/> <less a="b" b="2" out="small"/> <reduce_max x="small" out="more" keepdims="false"/>
  <next a="b" go="more"/> ${4-}
 </loop>
 <add a="x" b="y" out="z"/>
 <output name="z"/>
</model>
X
}
loop many 'max="4611686018427387904" while="go"'
fovea check many.xml
fovea run many.xml -i x=0
fovea run many.xml -i x=0 -b reference
# One whose steps are all constant is not folded away step by step.
loop constant 'max="1000000000000" while="go"' '' '' zero
fovea run constant.xml -i x=0
loop collects 'max="4611686018427387904" while="go"' all '<collect all="b" axis="0"/>'
fovea check collects.xml
loop overflows 'max="9223372036854775808" while="go"'
fovea check overflows.xml
loop negative 'max="-1" while="go"'
fovea check negative.xml
cat >family.xml <<'X'
<model name="family" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="4"/>
 <state name="s" members="4611686018427387904" type="f32" shape="4"/>
 <repeat count="4611686018427387904" var="i" out="y">
  <carry name="a" init="x"/> <mul a="a" b="@w{i}" out="b"/> <next a="b"/>
 </repeat>
 <output name="y"/>
</model>
X
fovea check family.xml
# What is written twice is one family; different ones count together.
cat >families.xml <<'X'
<model name="families" xmlns="urn:fovea:model:1">
 <weights file="w.safetensors"/>
 <input name="x" type="f32" shape=""/>
 <repeat count="100000" var="i" out="y">
  <carry name="a" init="x"/>
  <mul a="a" b="@w | select(0, mod(i, 3))" out="b"/>
  <mul a="b" b="@w | select(0, mod(i + 0*2, 2 + 1))" out="c"/>
  <mul a="c" b="@w | select(0, mod(i, 2))" out="d"/>
  <mul a="d" b="@w | select(0, mod(i + 1, 3))" out="e"/>
  <next a="e"/>
 </repeat>
 <output name="y"/>
</model>
X
printf '\070\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}} \0\0\0\0\0\0\0\0\0\0\0\0' >w.safetensors
fovea check families.xml
