# SPDX-License-Identifier: Apache-2.0
# `small` computes exactly, so that the tables are exact too.
fovea compare small.xml -t 1,2 --dim=S=2,3 --dim=B=1,2 -g main -i x=iota -i n=iota
fovea compare small.xml -b reference --dim=B=1,2,S=4 -g main 2>&1 | awk '{ print $2, $3 }'
fovea compare small.xml --dim=1,B=2
fovea compare small.xml --dim=B=2,
fovea compare small.xml -b reference --json -g for -i class=1
fovea compile small.xml -o libsmall.so >/dev/null
fovea compare small.xml libsmall.so -b reference -i x=iota -i n=iota -i class=0.5
# A library of something else is found out.
sed 's/<neg x="class" out="m"/<abs x="class" out="m"/' small.xml >other.xml
fovea compile other.xml -o libother.so >/dev/null
fovea compare small.xml libother.so -b llvm -g for -i class=1,2,3
fovea compile small.xml --let=W=4 -o libwide.so >/dev/null
fovea compare small.xml libwide.so -b llvm -g for -i class=1,2,3
fovea compare small.xml -b nonsense -g for
fovea compare small.xml -t one
fovea compare small.xml --verify
fovea compare libsmall.so --verify
fovea run $MODELS/se_digits.xml --verify -b reference | awk '{ print $1, $2, $3, $6, $7 }'
