# SPDX-License-Identifier: Apache-2.0
# Every example of the help pages and of the man page works, with the models that come along. The
# MiniLM ones need fetched weights, `dot` is not ours, and OpenCL drivers are slow and leak.
ln -s "$MODELS" models
mkdir bin && ln -s "$FOVEA" bin/fovea && PATH=$PWD/bin:$PATH
unset -f fovea
for command in compile inspect check run compare list fmt; do
  fovea help $command | sed -n '/^EXAMPLES/,$s/^  fovea/fovea/p'
done >examples
sed -n '/^.SH EXAMPLES/,$s/\\-/-/gp' "$MODELS/../docs/fovea.1" | grep '^fovea' >>examples
[ "$(wc -l <examples)" -gt 15 ] || echo "there are few examples"
"$FOVEA" compile models/se_digits.xml -o libse_digits.so 2>/dev/null
while read -r line; do
  case $line in
  *minilm* | *dot* | *opencl* | *digits.npy*) continue ;;
  esac
  sh -c "$line" >out 2>&1 </dev/null || { echo "$line"; cat out; }
done <examples
