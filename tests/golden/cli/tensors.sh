# SPDX-License-Identifier: Apache-2.0
# The tensor grammar, and where dims come from. All results are exact.
run() { echo "# $*"; fovea run small.xml -b reference "$@"; }
run -g main -i x=1,2,3,4 -i n=10,20 -i keep=true,false
run -g main -i x=1,2,3,4 -i n=10 -i keep=1
run -g main -i x=0.5 -i n=1,2,3,4,5 -i keep=ones --dim B=2 --values=3
run -g main -i x=iota -i n=iota -i keep=zeros --dim=B=2,S=3
run -g main -i x=nan,-inf,1e3 -i n=zeros -i keep=0
run -g for -i class=0.1,65504,1e-8
run -g for --let=W=2 -i class=-1
run -g main -i n=random:seed=3,lo=5,hi=5 -i x=zeros -i keep=1
run -g main -i n=iota -i x=ones -i keep=1 --json
echo "## not so"
run
run -g mian
run -g main -i z=1
run -g main -i nn=1
run -g main -i n=1 -i n=2
run -g main -i n
run -g main -i n=
run -g main -i n=1.5
run -g main -i keep=2
run -g main -i x=one
run -g main -i x=1,2,3 --dim=B=2
run -g main -i n=random:sed=1
run -g main -i n=random:lo=2,hi=1
run -g main -i n=random:lo=0.2,hi=0.8
run -g main --dim=S=17
run -g main --dim=Q=1
run -g main --dim=S
run -g main -i n=1,2,3 -i x=@small.xml
echo "## what a type cannot hold, whether there are elements or not"
for type in i8 u8 i16 i32 i64 bool f16 f32; do
  cat >types.xml <<X
<model name="types" xmlns="urn:fovea:model:1">
 <dim name="N" min="0" max="70000"/> <input name="v" type="$type" shape="N"/>
 <output name="y" value="v"/>
</model>
X
  for n in 0 70000; do
    echo "$type[$n] refuses$(
      for text in 2.5 1e0 one 0x1 -1 2 1 128 256 32768 65536 2147483648 9223372036854775808 iota; do
        "$FOVEA" run types.xml -b reference --dim=N=$n --values=1 -i v=$text >said 2>&1 ||
          { printf ' %s' $text; cat said >>why; }
      done)"
  done
done
grep -E "'(2.5|2|128|65536)'|iota" why | sort -u
