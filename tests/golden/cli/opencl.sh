# SPDX-License-Identifier: Apache-2.0
# A machine whose OpenCL does not work is refused with what was found: not as one without a
# driver, and not by the end of the process, which is what some drivers do.
"$FOVEA" run small.xml -g for -b opencl >/dev/null 2>&1 && works=yes || works=no
for setting in POCL_CACHE_DIR= XDG_CACHE_HOME= POCL_CACHE_DIR=/proc/none HOME=/proc/none; do
  env "$setting" "$FOVEA" run small.xml -g for -b opencl >/dev/null 2>err
  code=$?
  [ $code -eq 0 ] || [ $code -eq 4 ] || echo "$setting: exit $code"
  [ $works = no ] || ! grep "no driver" err || echo "$setting: there is one"
  [ $code -eq 0 ] || grep -q "^fovea: error: \(there is no OpenCL device\|an OpenCL driver\)" err || cat err
done
OCL_ICD_VENDORS=/proc/none fovea run small.xml -g for -b opencl
fovea compare small.xml -g for -b reference,opencl:device=nonsense | sed '1s/.*/refused/'
# What a driver's compiler thinks of generated code is not printed.
echo '<model name="m" xmlns="urn:fovea:model:1"><input name="x" type="f32" shape="2, 13"/>
 <softmax x="x" out="y"/><output name="y"/></model>' >rows.xml
mkdir cache
[ $works = no ] || POCL_CACHE_DIR=$PWD/cache "$FOVEA" run rows.xml -b opencl 2>&1 >/dev/null | grep warning
