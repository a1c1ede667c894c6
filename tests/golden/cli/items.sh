# SPDX-License-Identifier: Apache-2.0
# Work-items of a block: the kernels show them, and the results are those of one.
cat >long.xml <<X
<model name="m" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="3, 1000"/> <softmax x="x" axis="1" out="y"/> <output name="y"/>
</model>
X
for machine in interpreter interpreter:group=8 interpreter:group=8:loops=1; do
  echo "$machine"
  fovea inspect long.xml --emit=kernel -b $machine >kernels
  grep -o "^kernel\| of [0-9]* items" kernels
  echo "items $(grep -c ' = item' kernels), barriers $(grep -c barrier kernels)"
done
fovea compare long.xml -b reference,interpreter:group=8,interpreter:group=8:loops=1
for n in 0 7 2048 x; do
  fovea run small.xml -g for -b interpreter:group=$n
done
