# SPDX-License-Identifier: Apache-2.0
# A division by zero fails the run, the same on all backends; what is dead does not run.
cat >zero.xml <<'M'
<model name="zero" xmlns="urn:fovea:model:1">
 <input name="a" type="i32" shape="2"/> <input name="b" type="i32" shape="2"/>
 <div a="a" b="b" out="y"/>
 <output name="y"/>
</model>
M
cat >dead.xml <<'M'
<model name="dead" xmlns="urn:fovea:model:1">
 <input name="a" type="i32" shape="2"/> <input name="b" type="i32" shape="2"/>
 <const name="one" type="i32" shape="1">1</const> <const name="none" type="i32" shape="1">0</const>
 <div a="a" b="b" out="q"/> <div a="one" b="none" out="r"/> <add a="a" b="b" out="y"/>
 <output name="y"/>
</model>
M
for backend in reference llvm; do
  fovea run zero.xml -b $backend -i a=1 -i b=0
  for level in 0 2; do
    fovea run dead.xml -b $backend -O$level -i a=1 -i b=0
  done
done
