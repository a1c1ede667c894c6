# SPDX-License-Identifier: Apache-2.0
# Constants are folded as far as a budget of work and bytes goes, which is a multiple of what the
# model holds: compiling takes no time of its own. What is beyond it is left to the run.
fold() {  # fold NAME BODY: how many nodes are left that take no input
  cat >"$1.xml" <<X
<model name="$1" xmlns="urn:fovea:model:1">
 <input name="x" type="f32" shape="1"/>
 $2 <add a="x" b="c" out="y"/> <output name="y"/>
</model>
X
  printf '%s: ' "$1"
  fovea inspect "$1.xml" --emit=text --passes=fold_constants,drop_dead |
    grep -cE ' = (matmul|add|concat|softmax|transpose)\('
}
ones() { printf '<const name="a" type="f32" shape="%s">1</const>' "$1"; }
# One node is left in each: the sum with the input. A product too large stays as a second.
fold product "$(ones '64, 64') <matmul a=\"a\" b=\"a\" out=\"c\"/>"
fold large_product "$(ones '1024, 1024') <matmul a=\"a\" b=\"a\" out=\"c\"/>"
fold large_movement "$(ones '1024, 1024') <transpose x=\"a\" perm=\"1, 0\" out=\"c\"/>"
# A chain is folded in one walk; one that doubles, until its bytes are out of proportion.
steps() {  # steps N OP: a chain from a to c; OP has %s for the operand
  awk -v n="$1" -v op="$2" 'BEGIN { for (i = 1; i <= n; i++) {
    t = op; gsub("%s", i == 1 ? "a" : "c" (i - 1), t)
    print "<" t " out=\"c" (i == n ? "" : i) "\"/>" } }'
}
fold chain "$(ones 4) $(steps 3000 'add a="%s" b="1"')"
fold doubling "$(ones '65536, 1') $(steps 10 'concat x="%s, %s" axis="0"')"
