# SPDX-License-Identifier: Apache-2.0
# What is wrong with a command line is told in a sentence; the exit code is 2.
fovea
fovea ruun small.xml
fovea run
fovea run small.xml other.xml
fovea run small.xml --backnd=llvm
fovea run small.xml --ver
fovea run small.xml --verify=yes
fovea run small.xml --threads
fovea run small.xml --threads=-1
fovea run small.xml -Z
fovea run small.xml -g for -O7
fovea run small.xml -g for -O1 --passes=drop_dead
fovea run small.xml -g for -b lvm
for command in run compile compare inspect "inspect --emit=text" "inspect --emit=asm"; do
  fovea $command absent.xml --passes=drop_dead,fold_constant
done
fovea compile absent.xml --dump-after=fold
fovea compile absent.xml --dump-after=merge_equal -O1
fovea compile absent.xml --dump-after=drop_dead -O0
fovea check --diagnostics=xml small.xml
fovea list opps
fovea list backends --markdown
fovea fmt small.xml --check -i
fovea version --nonsense
fovea version | sed 's/[0-9.]*$/VERSION/'
