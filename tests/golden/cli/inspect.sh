# SPDX-License-Identifier: Apache-2.0
fovea inspect small.xml
fovea inspect small.xml --json --let=W=5
fovea inspect small.xml --emit=text
fovea inspect small.xml --emit=text -o text && cat text
fovea inspect small.xml --emit=text -o /dev/full
fovea inspect small.xml --emit=nonsense
fovea inspect small.xml --assert-op=mul=1 --assert-no-op=softmax
fovea inspect small.xml --assert-op=mul=2 --assert-no-op=cast
fovea inspect small.xml --assert-op=mul
fovea inspect small.xml --assert-op=mull=1
fovea inspect $MODELS/transformer.xml
