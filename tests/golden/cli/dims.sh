# SPDX-License-Identifier: Apache-2.0
# --dim: a dim of the model becomes a number, as if it were written in its place.
cat >m.xml <<X
<model name="m" xmlns="urn:fovea:model:1">
 <dim name="N" max="64"/> <dim name="M" min="2" max="8"/>
 <input name="a" type="f32" shape="N, M"/>
 <let name="twice" value="2*N"/>
 <reshape x="a" shape="M, N" out="b"/>
 <concat x="b, b" axis="1" out="y"/>
 <output name="y" shape="M, twice"/>
</model>
X
fovea inspect m.xml --dim N=3
fovea check m.xml --dim=N=3 --dim M=4 -q
fovea compile m.xml --dim N=3 -o libm.so | sed 's/: .*;/: SIZE;/'
fovea inspect libm.so | grep inputs
fovea run libm.so --dim M=2 -i a=iota
fovea compile m.xml --dim N=3 --emit=kernel -o dim.kernel
sed 's/shape="N, M"/shape="3, M"/; s/value="2\*N"/value="6"/; s/shape="M, N"/shape="M, 3"/' m.xml >n.xml
fovea compile n.xml --emit=kernel -o number.kernel
cmp dim.kernel number.kernel && echo the same kernels
fovea check m.xml --dim M=1
fovea check m.xml --dim K=1
fovea check m.xml --dim twice=1
fovea check m.xml --dim N
fovea inspect libm.so --dim M=2
