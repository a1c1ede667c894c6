# SPDX-License-Identifier: Apache-2.0
# --json: only JSON on standard output, of every command; read by a parser that is strict.
cat >strict.py <<'X'
import json, sys
def refuse(word):
    raise ValueError(word)
json.loads(sys.stdin.read(), parse_constant=refuse)
X
python=$(command -v python3) || python=
strict() {
  echo "$*" | sed "s:$MODELS/::"
  "$FOVEA" "$@" --json >out 2>err
  [ -s out ] || echo "no output"
  [ -z "$python" ] || $python strict.py <out || cat out
}
cat >odd.xml <<'X'
<model name="odd" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="4"/> <log x="x" out="y"/> <neg x="y" out="z"/>
 <output name="y"/> <output name="z"/>
</model>
X
strict check small.xml lost.xml
strict inspect small.xml
strict compile small.xml -o libsmall.so
strict inspect libsmall.so
strict run odd.xml -i x=-1,0,1,inf
cat out
strict compare odd.xml -i x=-1,0,1,inf -b reference,llvm
# Values that are off without bound.
sed 's/<neg x="y"/<abs x="y"/' odd.xml >even.xml
fovea compile even.xml -o libodd.so --name=odd >/dev/null
strict compare odd.xml libodd.so -b reference -i x=-1,0,1,inf
grep -o '"max_[a-z_]*": [^,}]*' out
strict run $MODELS/se_digits.xml --verify -b reference
strict list
strict list options
strict help
strict version
for command in $("$FOVEA" help | sed -n '/^COMMANDS/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
  strict help $command
done
strict fmt --check small.xml odd.xml
cat out
strict fmt odd.xml
fovea inspect odd.xml --emit=text --json
fovea compile odd.xml --emit=kernel --dump-after=all -o x --json
# What is printed can be given back.
fovea run odd.xml -i x=NaN,Infinity,-Infinity,1 --json
