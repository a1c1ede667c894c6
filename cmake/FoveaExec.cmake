# SPDX-License-Identifier: Apache-2.0
#
# The runtime that goes into artifacts: runtime/exec/*.c, freestanding C, as one
# bitcode file a target, lib/fovea/exec-<arch>.bc.

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/exec/*.c)
if(NOT sources)
  return()
endif()
find_program(FV_CLANG19 clang-19)
if(NOT FV_CLANG19)
  fv_missing(clang-19 clang-19)
endif()
find_program(FV_LLVM_LINK19 llvm-link-19)
if(NOT FV_LLVM_LINK19)
  fv_missing(llvm-link-19 llvm-19)
endif()

set(FV_EXEC_BITCODE "")
function(fv_add_exec arch triple)
  set(dir ${CMAKE_BINARY_DIR}/exec/${arch})
  file(MAKE_DIRECTORY ${dir} ${CMAKE_BINARY_DIR}/lib/fovea)
  set(parts "")
  foreach(source ${sources})
    cmake_path(GET source STEM stem)
    set(part ${dir}/${stem}.bc)
    add_custom_command(
      OUTPUT ${part}
      COMMAND ${FV_CLANG19} --target=${triple} -std=gnu17 -O2 -emit-llvm -c ${source} -o ${part}
              -I${PROJECT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/include -ffreestanding -fPIC
              -fvisibility=hidden -ffp-contract=off -fno-math-errno -DFV_EXEC_BITCODE=1
              -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -Wall -Wextra -MD -MF ${part}.d
      DEPENDS ${source} DEPFILE ${part}.d
      COMMENT "Compiling the artifact runtime for ${arch}: ${stem}.c" VERBATIM)
    list(APPEND parts ${part})
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/lib/fovea/exec-${arch}.bc)
  add_custom_command(OUTPUT ${out} COMMAND ${FV_LLVM_LINK19} -o ${out} ${parts} DEPENDS ${parts}
                     COMMENT "Linking exec-${arch}.bc" VERBATIM)
  add_custom_target(fv_exec_${arch} ALL DEPENDS ${out})
  install(FILES ${out} DESTINATION ${CMAKE_INSTALL_LIBDIR}/fovea)
endfunction()

file(STRINGS ${PROJECT_SOURCE_DIR}/include/fovea/arch.def rows REGEX "^ARCH")
foreach(row ${rows})
  if(row MATCHES "^ARCH\\(([a-z0-9_]+), *1,")
    fv_add_exec(${CMAKE_MATCH_1} ${CMAKE_MATCH_1}-unknown-linux-gnu)
  endif()
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             ${PROJECT_SOURCE_DIR}/include/fovea/arch.def)
