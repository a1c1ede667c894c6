# SPDX-License-Identifier: Apache-2.0
#
# The libraries, the command, and what `make install` puts where.

function(fv_add_product target output)
  set(objects "")
  set(libs "")
  foreach(room ${ARGN})
    list(APPEND objects $<TARGET_OBJECTS:fv_${room}_obj>)
    get_property(room_libs GLOBAL PROPERTY FV_ROOM_LIBS_${room})
    list(APPEND libs ${room_libs})
  endforeach()
  list(REMOVE_DUPLICATES libs)
  add_library(${target} SHARED ${objects})
  add_library(fovea::${output} ALIAS ${target})
  target_link_libraries(${target} PRIVATE ${libs})
  target_link_options(${target} PRIVATE ${FV_NO_UNDEFINED})
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${output} EXPORT_NAME ${output}
                        LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
                        SOVERSION ${PROJECT_VERSION_MAJOR})
  install(TARGETS ${target} EXPORT fovea-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# libfovea-rt loads and runs artifacts and needs libc only.
fv_add_product(fovea_rt fovea-rt base runtime)
fv_add_product(fovea fovea base ir passes lower runtime ${FV_FRONTEND_ROOMS} ${FV_BACKEND_ROOMS}
               compiler)

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*.c)
if(sources)
  add_executable(fovea_command ${sources})
  target_link_libraries(fovea_command PRIVATE fv_flags fovea fv_base)
  set_target_properties(fovea_command PROPERTIES OUTPUT_NAME fovea
                        INSTALL_RPATH $ORIGIN/../${CMAKE_INSTALL_LIBDIR})
  # The command is of no use without what it loads.
  if(FV_PLUGINS)
    add_dependencies(fovea_command ${FV_PLUGINS})
  endif()
  if(TARGET fv_exec_x86_64)
    add_dependencies(fovea_command fv_exec_x86_64)
  endif()
  install(TARGETS fovea_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/fovea DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/docs/fovea.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# Relative, since `cmake --install --prefix` decides after the file was written.
set(FV_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up ${up})
  set(FV_PC_PREFIX "\${pcfiledir}/${up}")
endif()
foreach(name fovea fovea-rt)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${FV_GEN_DIR}/${name}.pc @ONLY)
  install(FILES ${FV_GEN_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fovea)
install(EXPORT fovea-targets NAMESPACE fovea:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/fovea-config.cmake.in
                              ${FV_GEN_DIR}/fovea-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${FV_GEN_DIR}/fovea-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${FV_GEN_DIR}/fovea-config.cmake ${FV_GEN_DIR}/fovea-config-version.cmake
        DESTINATION ${package_dir})
