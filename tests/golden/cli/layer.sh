# SPDX-License-Identifier: Apache-2.0
# Weights of a direction are parts of constants: what a definition picks of them is no kernel.
fovea inspect layer.xml --emit=groups
fovea compare layer.xml -b reference,llvm --dim=T=1,3 | awk '{ print $1, $2, $3, $4, $5, $8 }'
# The same of weights that are stored in another type and order.
{
  printf '\200\0\0\0\0\0\0\0%-128s' '{"w":{"dtype":"BF16","shape":[3,6,2],"data_offsets":[0,72]},"r":{"dtype":"BF16","shape":[2,6,2],"data_offsets":[72,120]}}'
  k=0
  while [ $k -lt 60 ]; do
    printf "\\$(printf %03o $((4 * k)))\\076"
    k=$((k + 1))
  done
} >stored.safetensors
sed '/<const name="[wr]"/,/<\/const>/d
     s|<graph name="main">|<weights file="stored.safetensors" type="f32"/>&|
     s|w="w" r="r"|w="@w \| transpose(2, 1, 0)" r="@r"|' layer.xml >stored.xml
fovea compare stored.xml -b reference,llvm --dim=T=1,3 | awk '{ print $1, $2, $3, $4, $5, $8 }'
