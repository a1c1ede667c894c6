# SPDX-License-Identifier: Apache-2.0
#
# What all of fovea needs. What one backend alone needs stands in its folder.

# Like find_package, but names the Debian package when something is missing.
function(fv_missing what package)
  message(FATAL_ERROR "${what} was not found: install the Debian package '${package}', "
          "or all of them with scripts/setup.sh build")
endfunction()

find_package(Threads REQUIRED)
find_package(LibXml2 QUIET)
if(NOT LibXml2_FOUND)
  fv_missing(libxml2 libxml2-dev)
endif()
pkg_check_modules(jansson QUIET IMPORTED_TARGET jansson)
if(NOT jansson_FOUND)
  fv_missing(Jansson libjansson-dev)
endif()
find_path(FV_XXHASH_DIR xxhash.h)
if(NOT FV_XXHASH_DIR)
  fv_missing(xxhash.h libxxhash-dev)
endif()
