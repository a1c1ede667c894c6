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
# A product whose batches broadcast stays a product: only the index of a batch is cut.
cat >product.xml <<'X'
<model name="m" unproved="check" xmlns="urn:fovea:model:1">
 <dim name="A" max="9"/> <dim name="B" max="9"/> <dim name="M" min="1" max="64"/>
 <input name="a" type="f32" shape="A, M, 96"/> <input name="b" type="f32" shape="B, 96, 80"/>
 <matmul a="a" b="b" out="y"/>
 <output name="y"/>
</model>
X
fovea inspect product.xml --emit=groups | sed -n 2p
for dims in "A=3 B=1 M=7" "A=1 B=3 M=7" "A=3 B=3 M=1" "A=1 B=4 M=1"; do
  fovea compare product.xml -b reference,llvm $(printf -- '--dim %s ' $dims) | tail -1 | awk '{print $NF}'
done
