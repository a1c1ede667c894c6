# SPDX-License-Identifier: Apache-2.0
# Machines: names that there are not, code for others, and what a library says of itself.
for o in cpu=znver9 cpu=sapphirerapid cpu=i486 features=+avx9 features=avx2 features=-64bit \
         features=-sse2 triple=pdp11-unix triple=aarch65-linux-gnu; do
  fovea compile small.xml -o libm.so -b llvm:triple=x86_64-linux-gnu:$o
done
for triple in aarch64-linux-gnu x86_64-w64-mingw32 x86_64-apple-darwin x86_64-linux-musl; do
  fovea compile small.xml --emit=asm -b llvm:triple=$triple -o m.s && grep -c ret m.s >/dev/null && echo "assembly"
  for end in so a o; do
    fovea compile small.xml -b llvm:triple=$triple -o libm.$end | sed "s: '/.*/exec: 'exec:"
  done
done
ls | grep -v xml
fovea run small.xml -b llvm:triple=aarch64-linux-gnu -g for
# Of those that are named last the kernels use none, though they do use others of the CPU.
fovea compile small.xml -o libm.so --name=small \
  -b llvm:triple=x86_64-linux-gnu:cpu=x86-64-v4:features=+sha,+avx512vpopcntdq | sed 's/: .*;/: SIZE;/'
fovea inspect libm.so --json | sed 's/"xxh3": "[0-9a-f]*"/"xxh3": HASH/; s/"fovea": "[0-9.]*"/"fovea": VERSION/'
fovea inspect libm.so | sed -n '/^made of/,$s/"xxh3": "[0-9a-f]*"/"xxh3": HASH/p'
for how in "libm.so" "small.xml -b llvm:cpu=x86-64-v4"; do
  if grep -q avx512vl /proc/cpuinfo; then
    echo "fovea: error: this CPU lacks an instruction set that the code needs: avx512f,avx512dq,avx512bw,avx512vl"
    echo "exit 4"
  else
    fovea run $how -g for
  fi
done
# Kernels that are made of what every x86-64 has ask for nothing, whatever the CPU.
cat >plain.xml <<XML
<model name="plain" xmlns="urn:fovea:model:1">
 <input name="x" type="i64" shape="1"/>
 <not x="x" out="y"/>
 <output name="y"/>
</model>
XML
for cpu in x86-64 x86-64-v2 x86-64-v4 znver4; do
  fovea compile plain.xml -o libp.so -b llvm:triple=x86_64-linux-gnu:cpu=$cpu >/dev/null
  fovea inspect libp.so --json | grep cpu_features
done
fovea run libp.so -i x=6
# AVX-512 on top of a CPU that has none is 512 bits wide; the first of its kind alone is refused.
fovea compile small.xml -o libw.so --name=small -b llvm:cpu=x86-64-v3:features=+avx512f
fovea compile small.xml --emit=asm -o w.s -b llvm:cpu=x86-64-v3:features=+avx512vl && grep -q zmm w.s && echo "512 bits"
# Tools that strip libraries leave the seal whole; others spoil it.
fovea compile small.xml -o libs.so --name=small >/dev/null
if command -v strip >/dev/null; then
  strip libs.so && fovea run libs.so -g for -i class=1,2,3
else
  fovea run libs.so -g for -i class=1,2,3
fi
fovea compile small.xml -o libs.so --name=small >/dev/null
printf 'x' | dd of=libs.so bs=1 seek=9000 conv=notrunc 2>/dev/null
fovea run libs.so -g for
