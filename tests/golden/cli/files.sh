# SPDX-License-Identifier: Apache-2.0
# npy and safetensors: what is written can be read, what is odd is refused.
run() { echo "# $*"; fovea run small.xml -b reference "$@"; }
run -g main -i x=1,2,3 -i n=4,5,6 -i keep=1 --save=out.safetensors
run -g main -i x=@out.safetensors#y -i n=@out.safetensors#square -i keep=1
run -g for -i class=1,2,3 --save=out.npy
run -g for -i class=@out.npy
od -A d -c -N 128 out.npy
od -A d -c out.safetensors
run -g main -i x=1,2,3 -i n=4,5,6 -i keep=1 --save=out.npy
# Of two outputs one is wanted, by name.
run -g main -i x=1,2,3 -i n=4,5,6 -i keep=1 --want=square --save=square.npy
run -g main -i x=1,2,3 -i n=@square.npy -i keep=1 --want=square --want=y --json
run -g main -i x=1,2,3 --want=square,why
run -g main --verify --want=y
run -g for --save=out.txt
run -g for --save=/nonexistent/out.npy
run -g main -i x=@out.npy
run -g main -i x=@out.safetensors#Y
run -g main -i x=@out.safetensors#square
run -g main -i n=@out.safetensors
run -g main -i x=@nothere.npy
run -g main -i x=@out.safetensors#y -i n=1,2
# npy VERSION HEADER ELEMENTS, the header without padding
npy() {
  printf "\\223NUMPY\\00$1\\0\\$(printf %03o ${#2})\\0%s$3" "$2" >bad.npy
  run -g for -i class=@bad.npy
}
npy 1 "{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }" '\0\074\0\100\0\102'
npy 1 "{'shape': (3,), 'fortran_order': False, 'descr': '<f2'}" '\0\074\0\100\0\102'
npy 1 "{'descr': '>f2', 'fortran_order': False, 'shape': (3,), }" '\0\074\0\100\0\102'
npy 1 "{'descr': '<f2', 'fortran_order': True, 'shape': (3, 1), }" '\0\074\0\100\0\102'
npy 1 "{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }" '\0\074\0\100'
npy 1 "{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }" '\0\074\0\100'
npy 1 "{'descr': [('a', '<f2')], 'fortran_order': False, 'shape': (3,), }" ''
npy 1 "{'descr': '<f2', 'fortran_order': False, 'shape': (-3,), }" ''
npy 1 "{'descr': '<f2', 'fortran_order': False, 'shape': (4611686018427387904, 4), }" ''
npy 1 "{'descr': '<f2', 'fortran_order': False, }" ''
npy 1 "{'descr': '<f2', 'descr': '<f2', 'fortran_order': False, 'shape': (3,), }" ''
npy 9 "{}" ''
# safetensors HEADER DATA
st() {
  printf "\\$(printf %03o ${#1})\\0\\0\\0\\0\\0\\0\\0%s$2" "$1" >bad.safetensors
  run -g for -i class=@bad.safetensors
}
st '{"class":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}' '\0\074\0\100\0\102'
st '{"class":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}  ' '\0\074\0\100\0\102'
st '{"cl\u0061ss":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}' '\0\074\0\100\0\102'
st '{"class":{"dtype":"F16","shape":[3],"data_offsets":[0,4]}}' '\0\074\0\100'
st '{"class":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}' '\0\074\0\100'
st '{"class":{"dtype":"F16","shape":[3],"data_offsets":[2,8]}}' '\0\0\0\074\0\100\0\102'
st '{"class":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}' '\0\074\0\100\0\102\0\0'
st '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}' 'abc'
st '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' ''
st '{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}' ''
st '{"a":{"dtype":"U8","shape":[4611686018427387904,4],"data_offsets":[0,0]}}' ''
st '{"a":{"dtype":"Q8","shape":[0],"data_offsets":[0,0]}}' ''
st '{"a":{"dtype":"U8","shape":[0]}}' ''
st '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":1}}' ''
st '{"__metadata__":{"a":1}}' ''
st '{"__metadata__":{"a":"b"}} x' ''
st '[]' ''
printf '\377\377\377\377\377\377\377\177{}' >bad.safetensors
run -g for -i class=@bad.safetensors
printf '\020\0\0\0\0\0\0\0{}' >bad.safetensors
run -g for -i class=@bad.safetensors
printf '\020\0\0' >bad.safetensors
run -g for -i class=@bad.safetensors
