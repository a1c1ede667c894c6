#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# products.sh BUILD SOURCE: what ARCHITECTURE.md and the public headers promise of the
# libraries, the plugins and what they compile, as far as their symbols show it.
set -u
build=$1
source=$2
status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fault() {
  echo "$*"
  status=1
}
needed() {
  readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}
defined() {
  nm -D --defined-only "$1" | awk '{ print $3 }' | grep -v '^_\(edata\|end\|_bss_start\|init\|fini\)$'
}
undefined() {
  nm -D --undefined-only "$1" | awk '{ sub("@.*", "", $2); print $2 }'
}

# libfovea-rt, and what is compiled, need libc only. Of that libpthread is a part: a file of its own
# before glibc 2.34, an empty one since.
only_libc() {
  for name in $(needed "$1"); do
    case $name in
    libc.so.* | libpthread.so.* | ld-linux*) ;;
    *) fault "$1 needs $name" ;;
    esac
  done
}
only_libc "$build/lib/libfovea-rt.so"

# LLVM and OpenCL are known to their plugins alone.
for file in "$build/lib/libfovea.so" "$build/lib/libfovea-rt.so" "$build/bin/fovea"; do
  needed "$file" | grep -E 'LLVM|OpenCL' && fault "$file needs it"
done

# A plugin exports one function, and links nothing of fovea.
for file in "$build"/lib/fovea/*.so; do
  [ "$(defined "$file")" = fovea_plugin_query ] || fault "$file exports" $(defined "$file")
  needed "$file" | grep fovea && fault "$file needs it"
  undefined "$file" | grep '^fv_' && fault "$file wants it of its host"
done

# The libraries export the API, print nothing and do not exit. They abort where a check of
# their own fails (fv_bug), and nowhere else.
for file in "$build/lib/libfovea.so" "$build/lib/libfovea-rt.so"; do
  defined "$file" | grep -v '^fv_' && fault "$file exports it"
  undefined "$file" | grep -xE 'v?printf|__v?printf_chk|puts|putchar|perror|stdout|_?exit|quick_exit' &&
    fault "$file prints or exits"
done
for word in 'abort()' stderr; do
  grep -rlF "$word" "$source"/base "$source"/ir "$source"/passes "$source"/lower "$source"/compiler \
    "$source"/runtime "$source"/frontend "$source"/backends --include='*.c' |
    grep -v '/base/arena\.c$\|/compiler/artifact_header\.c$' && fault "$word is there"
done

# Nothing before the backends knows one by its name.
grep -rnE '"(llvm|opencl|reference|null)"' "$source"/ir "$source"/passes "$source"/lower \
  "$source"/runtime --include='*.[ch]' && fault "a backend is named"

# old_libc DIR LIBRARY: libc and libpthread as glibc 2.31 had them, as far as LIBRARY uses them: these
# were in libpthread, all else in libc.
apart='pthread_create pthread_join pthread_detach pthread_once pthread_sigmask pthread_kill
pthread_attr_setstacksize pthread_attr_setaffinity_np pthread_mutex_trylock pthread_rwlock_rdlock
pthread_rwlock_wrlock pthread_rwlock_unlock pthread_key_create pthread_getspecific sem_wait sem_post'
old_libc() {
  mkdir -p "$1"
  for part in libc.so.6 libpthread.so.0; do
    nm -D --undefined-only "$2" | awk -v part="$part" -v apart="$apart" '
      BEGIN { n = split(apart, name); for (i = 1; i <= n; i++) thread[name[i]] = 1 }
      split($2, at, /@+/) == 2 && (at[1] in thread) == (part ~ /pthread/) {
        print "void " at[1] "(void) {}" >(part ".c")
        of[at[2]] = of[at[2]] at[1] ";"
      }
      END { for (v in of) print v " {" of[v] "};" >(part ".map") }'
    ${CC:-cc} -shared -nostdlib -fno-builtin -w "-Wl,-soname,$part,--version-script,$part.map" \
      -o "$1/$part" "$part.c" || fault "no $part of old"
  done
}

# A compiled library exports one function; names of values do not reach it; the same model gives
# the same bytes.
if [ -e "$build/lib/fovea/llvm.so" ]; then
  cat >"$work/secret.xml" <<'XML'
<model name="secret" xmlns="urn:fovea:model:1">
 <dim name="hidden_dim" max="9"/>
 <input name="x" type="f32" shape="hidden_dim, 3"/>
 <softmax x="x" out="hidden_value"/>
 <relu x="hidden_value" out="y"/>
 <output name="y"/>
</model>
XML
  for name in one two; do
    (cd "$work" && "$build/bin/fovea" compile secret.xml -o libsecret.so >/dev/null 2>&1 &&
      mv libsecret.so $name.so) || fault "the model is not compiled"
  done
  only_libc "$work/one.so"
  [ "$(defined "$work/one.so")" = secret_get ] || fault "a library exports" $(defined "$work/one.so")
  cmp "$work/one.so" "$work/two.so" || fault "the same model gives other bytes"
  # A program links with it alone where threads are apart, and then runs here.
  echo 'const void *secret_get(void); int main(void) { return !secret_get(); }' >"$work/main.c"
  (cd "$work" && old_libc old one.so && cp one.so libsecret.so &&
    ${CC:-cc} -c main.c && ld -o linked main.o libsecret.so old/libc.so.6 -rpath-link old \
    --no-allow-shlib-undefined --entry main && ${CC:-cc} -o run main.c -L. -lsecret) ||
    fault "a program that links the library needs -lpthread"
  LD_LIBRARY_PATH="$work" "$work/run" || fault "a program with the library does not run"
  grep -aq hidden_value "$work/one.so" && fault "generated code has the name of a value"
fi
exit $status
