# SPDX-License-Identifier: Apache-2.0
#
# fv_flags: the compile options of all our C code.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Kind of build" FORCE)
endif()

option(FOVEA_WERROR "Turn warnings into errors" OFF)
set(FOVEA_SANITIZE "" CACHE STRING
    "Sanitizers, comma-separated as for -fsanitize=: address,undefined or thread")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

# A build that can be moved, and the same bytes wherever it is made.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

# Contraction is a decision of schedules and definitions, never of a compiler.
add_compile_options(-ffp-contract=off)
if(FOVEA_SANITIZE)
  add_compile_options(-fsanitize=${FOVEA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FOVEA_SANITIZE})
  if(FOVEA_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

set(FV_GEN_DIR ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${FV_GEN_DIR})

add_library(fv_flags INTERFACE)
target_include_directories(fv_flags INTERFACE ${PROJECT_SOURCE_DIR}
                           ${PROJECT_SOURCE_DIR}/include ${FV_GEN_DIR})
# Empty, so that a file may say #define _GNU_SOURCE itself.
target_compile_definitions(fv_flags INTERFACE _GNU_SOURCE= FV_VERSION="${PROJECT_VERSION}")
if(FOVEA_SANITIZE)
  target_compile_definitions(fv_flags INTERFACE FV_ARENA_BLOCK=1)
endif()
target_compile_options(fv_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wwrite-strings -Wvla>
  $<$<BOOL:${FOVEA_WERROR}>:-Werror>)
# A sanitizer's run-time library is found only when the program is linked.
if(NOT FOVEA_SANITIZE)
  set(FV_NO_UNDEFINED -Wl,--no-undefined)
endif()

# gcc 12's leak checker takes what lies before a library's thread-local block for a size, and
# reads wherever that leads.
if(FOVEA_SANITIZE MATCHES "address")
  file(WRITE ${CMAKE_BINARY_DIR}/sanitizer_env.cmake
       "set(ENV{LSAN_OPTIONS} \"intercept_tls_get_addr=0:\$ENV{LSAN_OPTIONS}\")\n")
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY TEST_INCLUDE_FILES
               ${CMAKE_BINARY_DIR}/sanitizer_env.cmake)
endif()
