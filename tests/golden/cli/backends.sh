# SPDX-License-Identifier: Apache-2.0
# Backends and their options. What is wrong with them is said before any work: a model that there
# is not is not looked for.
for b in lvm "" , llvm, llvm: llvm:cpu llvm:cpu= llvm:=x llvm:cpux=1 llvm:cpu=znver9 llvm:features=+avx9 \
         reference:cpu=x null:x=1 opencl:devise=0 llvm,reference \
         interpreter:lanes=1,fma=0 interpreter:lanes=1,fma interpreter,lanes=1 interpreter:lanes=1,fma=0:group=2 \
         llvm:features=+avx,cpu=x86-64; do
  echo "-b '$b'"
  fovea run absent.xml -b "$b" | sed "s/of '[a-z0-9_]*'/of THIS MACHINE/"
done
for command in "inspect --assert-kernel=map=1" "inspect --emit=asm" compile compare; do
  fovea $command absent.xml -b llvm:cpux=1 | head -1
done
fovea compare absent.xml -b reference,lvm
fovea compare absent.xml -b reference,interpreter:lanes=1,fma=0
fovea compile absent.xml --backend-option=cpu=x86-64,features=+avx
fovea compare small.xml -g for -b reference,reference,llvm:cpu=x86-64:features=+avx2,-avx,llvm:cpu=x86-64 -i class=1,2,3 |
  sed 's/  *[0-9] .*M/ M/'
fovea compare small.xml --backend-option=cpu=x86-64
# The last value counts; lists grow.
fovea inspect small.xml --emit=llvm -b llvm:cpu=znver4:cpu=x86-64:features=+avx:features=+fma |
  grep -o '"target-[a-z]*"="[^"]*"' | sort -u
fovea compile small.xml -o libm.so --backend-option=cpu=x86-64 >/dev/null
fovea run libm.so -g for -b reference
fovea run libm.so -g for -O1
# The skeleton claims nothing, whatever is asked of it.
cat >one.xml <<'X'
<model name="one" xmlns="urn:fovea:model:1">
 <input name="x" type="f64" shape="3"/> <top_k x="x" k="2" out="y, _"/> <output name="y"/>
</model>
X
for model in one.xml $MODELS/se_digits.xml; do
  for how in run "run -t 2" compile "inspect --emit=groups" "inspect --emit=kernel" \
             "inspect --assert-kernel=map=1" "compile --emit=llvm -o -"; do
    fovea $how $model -b null
  done
done | sort | uniq -c | sed 's/^ *//'
fovea compare small.xml -b reference,null -g for -i class=1,2,3
fovea list backends | sed 's/  *.*//'
fovea list options
