# SPDX-License-Identifier: Apache-2.0
# Weights of a direction are parts of constants: what a definition picks of them is no kernel.
fovea inspect layer.xml --emit=groups
fovea compare layer.xml -b reference,llvm --dim=T=1,3 | awk '{ print $1, $2, $3, $4, $5, $8 }'
