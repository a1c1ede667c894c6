# SPDX-License-Identifier: Apache-2.0
# A compile that is ended at any time, by a signal that cannot be caught or by one that can,
# leaves nothing: neither where it writes nor where temporary files lie.
cat >big.xml <<'X'
<model name="big" xmlns="urn:fovea:model:1">
 <weights file="w.safetensors"/>
 <input name="x" type="f32" shape="8388608"/> <add a="x" b="@w" out="y"/> <output name="y"/>
</model>
X
head='{"w":{"dtype":"F32","shape":[8388608],"data_offsets":[0,33554432]}}     '
printf '\110\0\0\0\0\0\0\0%s' "$head" >w.safetensors
truncate -s $((8 + ${#head} + 33554432)) w.safetensors
mkdir tmp out
run() {
  TMPDIR=$PWD/tmp "$FOVEA" compile big.xml -o out/lib$1.$1 >/dev/null 2>&1 &
  sleep $2
  kill -$3 $! 2>/dev/null
  wait $! 2>/dev/null
}
for after in 0.02 0.05 0.1 0.15 0.2 0.3; do
  for signal in INT TERM KILL HUP; do
    run so $after $signal
    run a $after $signal
  done
done
ls -A tmp
# All or nothing.
ls -A out | grep -v -x -e 'lib\(so.so\|a.a\)' -e 'so.h' -e 'a.h'
fovea compile big.xml -o out/libso.so | sed 's/: .*;/: SIZE;/'
fovea run out/libso.so --values=1
