# SPDX-License-Identifier: Apache-2.0
#
# tests/unit/test_*.c: each file is a cmocka program and a test. It is linked to
# the rooms whose headers it includes, and to what those need.

pkg_check_modules(cmocka QUIET IMPORTED_TARGET cmocka)
if(NOT cmocka_FOUND)
  message(STATUS "cmocka was not found (Debian package libcmocka-dev): no unit tests")
endif()

function(fv_add_unit_test source)
  cmake_path(GET source STEM name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(STRINGS ${source} includes REGEX "^#include \"")
  set(rooms base)
  foreach(line ${includes})
    if(line MATCHES "\"(frontend|backends)/([a-z0-9_]+)/")
      set(room ${CMAKE_MATCH_1}_${CMAKE_MATCH_2})
      string(REPLACE "backends_" "backend_" room ${room})
      if(TARGET fv_${room})
        list(APPEND rooms ${room})
      endif()
    elseif(line MATCHES "\"(ir|passes|lower|runtime|compiler)/")
      list(APPEND rooms ${CMAKE_MATCH_1})
    elseif(line MATCHES "\"fovea/fovea.h\"")
      list(APPEND rooms compiler)
    endif()
  endforeach()
  list(REMOVE_DUPLICATES rooms)
  list(TRANSFORM rooms PREPEND fv_)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE fv_flags ${rooms} PkgConfig::cmocka m)
  target_compile_definitions(${name} PRIVATE FV_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             FV_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME unit.${name} COMMAND ${name})
  set_tests_properties(unit.${name} PROPERTIES LABELS "unit;sanitize" TIMEOUT 900
                       SKIP_RETURN_CODE 77)
endfunction()

if(cmocka_FOUND)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/test_*.c)
  foreach(source ${sources})
    fv_add_unit_test(${source})
  endforeach()
endif()

# The system's own Python is the one that has the packages of packages.txt.
find_program(FV_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(FV_PYTHON3 python3)

# Tests of the source tree itself.
foreach(name include_arrows call_order file_size headers_alone python)
  add_test(NAME source.${name} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/${name}.sh
           ${PROJECT_SOURCE_DIR})
  set_tests_properties(source.${name} PROPERTIES LABELS source SKIP_RETURN_CODE 77
                       ENVIRONMENT "CC=${CMAKE_C_COMPILER};GEN=${FV_GEN_DIR}")
endforeach()

# What the libraries, plugins and compiled models need and export.
if(TARGET fovea_command AND NOT FOVEA_SANITIZE)
  add_test(NAME source.products COMMAND sh ${PROJECT_SOURCE_DIR}/tests/products.sh
           ${CMAKE_BINARY_DIR} ${PROJECT_SOURCE_DIR})
  set_tests_properties(source.products PROPERTIES LABELS source TIMEOUT 120)
endif()

# Nothing recurs over what a user wrote; the calls are read from the machine code.
if(TARGET fovea_command AND FV_PYTHON3 AND CMAKE_OBJDUMP AND NOT FOVEA_SANITIZE AND
   CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  add_test(NAME recursion COMMAND ${FV_PYTHON3} -B ${PROJECT_SOURCE_DIR}/tests/recursion.py
           ${CMAKE_OBJDUMP} $<TARGET_FILE:fovea> $<TARGET_FILE:fovea_rt> $<TARGET_FILE:fovea_command>)
  set_tests_properties(recursion PROPERTIES LABELS source TIMEOUT 120)
endif()

# Libraries ask for the instruction sets that they are made of; GNU as is the judge.
find_program(FV_AS as)
if(TARGET fovea_command AND TARGET fv_plugin_llvm AND FV_PYTHON3 AND FV_AS AND NOT FOVEA_SANITIZE AND
   CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  add_test(NAME features COMMAND ${FV_PYTHON3} -B tests/features.py $<TARGET_FILE:fovea_command>
                                 models/se_digits.xml tests/golden/cli/small.xml docs/ops.md
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  add_test(NAME features.words COMMAND ${FV_PYTHON3} -B tests/feature_words.py
                                       $<TARGET_FILE:fovea_command> ${FV_GEN_DIR}/llvm_cpus.inc
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(features features.words PROPERTIES LABELS source TIMEOUT 900)
  add_test(NAME features.all_words COMMAND ${FV_PYTHON3} -B tests/feature_words.py
                                           $<TARGET_FILE:fovea_command> ${FV_GEN_DIR}/llvm_cpus.inc --all
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(features.all_words PROPERTIES LABELS "source;slow" TIMEOUT 7200)
endif()

# What is installed works, too.
if(TARGET fovea_command)
  set(flags "")
  if(FOVEA_SANITIZE)
    set(flags -fsanitize=${FOVEA_SANITIZE})
  endif()
  add_test(NAME install COMMAND sh ${PROJECT_SOURCE_DIR}/tests/install.sh ${CMAKE_BINARY_DIR})
  set_tests_properties(install PROPERTIES TIMEOUT 300
                       ENVIRONMENT "CC=${CMAKE_C_COMPILER};CFLAGS=${flags}")
endif()

# Every other kind of test is a folder that knows how to add itself.
file(GLOB kinds CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*/CMakeLists.txt)
foreach(kind ${kinds})
  cmake_path(GET kind PARENT_PATH kind)
  add_subdirectory(${kind})
endforeach()
