# SPDX-License-Identifier: Apache-2.0
#
# cmake -DCLANG=clang-19 -DARCHS=arch.def -DOUT=FILE -P cpus.cmake: the CPUs that this LLVM knows, with the
# instruction sets of each, as rows CPU(arch, name, "a,b,c"). LLVM itself prints a warning for a
# name that it does not know and goes on, or ends the process; its C API tells none.
set(rows "")
file(WRITE ${OUT}.c "void f(void) {}\n")
file(STRINGS ${ARCHS} archs REGEX "^ARCH")
foreach(row ${archs})
  if(NOT row MATCHES "^ARCH\\(([a-z0-9_]+), *[01], *([a-z]+),")
    message(FATAL_ERROR "${ARCHS}: what is '${row}'?")
  endif()
  set(arch ${CMAKE_MATCH_1})
  set(option -${CMAKE_MATCH_2}=)
  execute_process(COMMAND ${CLANG} -cc1 -triple ${arch}-linux-gnu -target-cpu ? -fsyntax-only -x c
                          /dev/null
                  ERROR_VARIABLE text OUTPUT_QUIET RESULT_VARIABLE ignored)
  if(NOT text MATCHES "valid target CPU values are: ([^\n]*)")
    message(FATAL_ERROR "${CLANG} does not tell the CPUs of ${arch}: ${text}")
  endif()
  string(REGEX MATCHALL "[A-Za-z0-9_.-]+" names "${CMAKE_MATCH_1}")
  foreach(name ${names})
    execute_process(COMMAND ${CLANG} --target=${arch}-linux-gnu ${option}${name} -S -emit-llvm -o -
                            -x c -
                    INPUT_FILE ${OUT}.c
                    OUTPUT_VARIABLE text ERROR_QUIET RESULT_VARIABLE failed)
    if(failed OR NOT text MATCHES "\"target-features\"=\"([^\"]*)\"")
      continue()
    endif()
    string(REGEX REPLACE "(^|,)-[^,]*" "" has "${CMAKE_MATCH_1}")
    string(REPLACE "+" "" has "${has}")
    string(REGEX REPLACE "^," "" has "${has}")
    string(APPEND rows "CPU(\"${arch}\", \"${name}\", \"${has}\")\n")
  endforeach()
endforeach()
file(WRITE ${OUT} "${rows}")
