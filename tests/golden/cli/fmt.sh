# SPDX-License-Identifier: Apache-2.0
fovea fmt --check small.xml
fovea fmt small.xml >again.xml
fovea fmt --check again.xml
tr '\n' ' ' <small.xml >line.xml
fovea fmt --check line.xml small.xml
fovea fmt -i line.xml
fovea fmt --check line.xml
fovea inspect line.xml --emit=text >one
fovea inspect small.xml --emit=text >two
cmp one two
echo "<model" >bad.xml
fovea fmt bad.xml
fovea fmt nothere.xml
