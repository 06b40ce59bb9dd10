# `cmake --install`: the tools, and for C and C++ projects the package `planish` with the target
# planish::runtime (the headers to run models with; a compiled model brings its runtime along).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(PLANISH_TOOLS GLOBAL PROPERTY PLANISH_TOOLS)
if(PLANISH_TOOLS)
  install(TARGETS ${PLANISH_TOOLS} EXPORT planishTargets)
endif()

if(TARGET planish_runtime_headers)
  set_target_properties(planish_runtime_headers PROPERTIES EXPORT_NAME runtime)
  add_library(planish::runtime ALIAS planish_runtime_headers)
  install(TARGETS planish_runtime_headers EXPORT planishTargets)
  install(DIRECTORY runtime/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()

if(PLANISH_TOOLS OR TARGET planish_runtime_headers)
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/planish)
  install(EXPORT planishTargets NAMESPACE planish:: DESTINATION ${package})
  configure_package_config_file(cmake/planishConfig.cmake.in ${PROJECT_BINARY_DIR}/planishConfig.cmake
    INSTALL_DESTINATION ${package})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/planishConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/planishConfig.cmake ${PROJECT_BINARY_DIR}/planishConfigVersion.cmake
    DESTINATION ${package})
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
